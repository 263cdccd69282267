/*
 * Fuzz target: a saved machine, as a stream and as a file to map, as it is and with check sums that
 * are right, and by post-copy. What is accepted is whole; what is refused is told in one line; what
 * is kept is bounded, no page is put where one is, and each part's fields are loaded by rows of
 * every kind.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <errno.h>
#include <glib.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "fuzz.h"
#include "hw/core/state.h"
#include "migration/internal.h"
#include "migration/postcopy.h"

#define RAM_SIZE (4 * FORMAT_PAGE)
#define FINGERPRINT "machine: fuzz\ncpuid 0x1 0x0: 0x0 0x0 0x1 0x0\n"

typedef struct Inner {
    uint16_t a;
    bool b;
} Inner;

typedef struct Part {
    uint64_t number;
    uint32_t list[3];
    uint8_t bytes[5], small;
    Inner inner, twins[2];
} Part;

static const StateField inner_fields[] = {
    STATE_INT(Inner, a), STATE_BOOL(Inner, b), STATE_END
};

static const StateField part_fields[] = {
    STATE_INT(Part, number),
    STATE_ARRAY(Part, list),
    STATE_BYTES(Part, bytes),
    STATE_MAX(Part, small, 7),
    STATE_STRUCT(Part, inner, inner_fields),
    STATE_STRUCTS(Part, twins, inner_fields),
    STATE_END
};

static void check_error(bool ok, Error *err)
{
    const char *text = err ? error_get_pretty(err) : "";

    if (ok == (err != NULL)) {
        abort();
    }
    for (; *text; text++) {
        if (!g_ascii_isprint(*text)) {
            abort();
        }
    }
    error_free(err);
}

static void load_part(GBytes *section)
{
    gsize len;
    const uint8_t *data = g_bytes_get_data(section, &len);
    g_autofree uint8_t *copy = g_memdup2(data, len);
    StateReader in = { .p = copy, .left = len };
    Part part = { 0 };
    Error *err = NULL;
    bool ok = state_load_fields(part_fields, &part, &in, &err) && state_check_end(&in, &err);

    if (part.small > 7) {
        abort();
    }
    check_error(ok, err);
}

static void check_machine(const SavedMachine *m, bool ok)
{
    if (m->state_bytes > FORMAT_MAX_ALL_STATE + FORMAT_MAX_STATE ||
        m->sections->len > FORMAT_MAX_SECTIONS || m->ram.next > RAM_SIZE ||
        (ok && (!m->complete || (!m->mapped && !m->late && m->ram.next != RAM_SIZE)))) {
        abort();
    }
    for (guint i = 0; i < m->sections->len; i++) {
        load_part(m->sections->pdata[i]);
    }
}

/* What it says of its bases, none of which is there. */
static void open_layers(int fd)
{
    Error *err = NULL;
    Layers *layers = layers_open("no-such-folder/file", fd, &err);

    check_error(layers != NULL, err);
    for (unsigned i = 0; layers && i < layers->layer[0].nr_extents; i++) {
        const FormatExtent *e = &layers->layer[0].extents[i];

        if (!e->len || e->offset > layers->layer[0].ram_size ||
            e->len > layers->layer[0].ram_size - e->offset) {
            abort();
        }
    }
    layers_free(layers);
}

/* Memory that comes late ------------------------------------------------------------------- */

typedef struct FakePager {
    Pager pager;
    HostMemoryBackend ram;
    bool there[RAM_SIZE / FORMAT_PAGE];
} FakePager;

static void fake_nothing(Pager *p)
{
}

static int fake_begin(Pager *p)
{
    return 0;
}

static int fake_discard(Pager *p, uint64_t offset, uint64_t len)
{
    for (uint64_t at = offset; at < offset + len; at += FORMAT_PAGE) {
        ((FakePager *)p)->there[at / FORMAT_PAGE] = false;
    }
    return 0;
}

/* Only what has been taken away before. */
static int fake_fill(Pager *p, uint64_t offset, const uint8_t *data, uint64_t len)
{
    FakePager *f = (FakePager *)p;

    if (!len || offset >= RAM_SIZE || len > RAM_SIZE - offset) {
        abort();
    }
    for (uint64_t at = offset; at < offset + len; at += FORMAT_PAGE) {
        if (f->there[at / FORMAT_PAGE]) {
            abort();
        }
        f->there[at / FORMAT_PAGE] = true;
        memset((uint8_t *)f->ram.host + at, data ? data[at - offset] : 0, FORMAT_PAGE);
    }
    return 0;
}

static int fake_next(Pager *p, uint64_t *offset)
{
    return -EAGAIN;
}

static const PagerOps fake_ops = {
    fake_nothing, fake_begin, fake_nothing, fake_discard, fake_fill, fake_next, fake_nothing,
};

static void tell(void *opaque, SectionType what)
{
}

static void expect_late(SavedMachine *m, FakePager *f, Channel *c)
{
    *f = (FakePager) {
        .pager = { &fake_ops, -1, &f->ram }, .ram = { .host = m->ram.ram, .size = RAM_SIZE },
    };
    memset(f->there, true, sizeof(f->there));
    m->post = postcopy_new(&f->pager);
    m->post->c = c;
    m->post->tell = tell;
    c->two_way = true;
}

static void load(const uint8_t *data, size_t size, bool late)
{
    SavedMachine m = {
        .fingerprint = g_strdup(FINGERPRINT),
        .ram = { .ram = memset(g_malloc(RAM_SIZE), 0xaa, RAM_SIZE), .size = RAM_SIZE },
    };
    Channel c = { .fd = memfd_create("stream", MFD_CLOEXEC) };
    Error *err = NULL;
    FakePager f;
    bool ok;

    if (c.fd < 0 || event_notifier_init(&c.hurry) < 0 ||
        pwrite(c.fd, data, size, 0) != (ssize_t)size) {
        abort();
    }
    open_layers(c.fd);
    if (late) {
        expect_late(&m, &f, &c);
    }
    ok = saved_machine_read(&m, &c, &err);
    check_machine(&m, ok);
    check_error(ok, err);
    postcopy_free(m.post);
    channel_close(&c);
    g_free(m.ram.ram);
    saved_machine_clear(&m);
}

/* Let check sums be right, as far as there are sections. */
static void mend(uint8_t *data, size_t size)
{
    FormatHeader head;
    SectionHeader h;

    if (!data || size < sizeof(head)) {
        return;
    }
    memcpy(&head, data, sizeof(head));
    memcpy(head.magic, FORMAT_MAGIC, sizeof(head.magic));
    head.version = FORMAT_VERSION;
    head.ram_size = RAM_SIZE;
    head.crc = format_crc(0, &head, offsetof(FormatHeader, crc));
    memcpy(data, &head, sizeof(head));
    for (size_t at = sizeof(head); size - at >= sizeof(h); at += h.length) {
        memcpy(&h, data + at, sizeof(h));
        at += sizeof(h);
        h.length = MIN(h.length, size - at);
        h.crc = format_crc(0, data + at, h.length);
        h.header_crc = format_crc(0, &h, offsetof(SectionHeader, header_crc));
        memcpy(data + at - sizeof(h), &h, sizeof(h));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    g_autoptr(GByteArray) copy = g_byte_array_new();

    g_byte_array_append(copy, data, size);
    load(data, size, false);
    mend(copy->data, copy->len);
    load(copy->data, copy->len, false);
    load(copy->data, copy->len, true);
    return 0;
}
