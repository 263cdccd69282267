/*
 * Saved machines: fields by their rows, and streams that are cut off, damaged or made up.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <errno.h>
#include <glib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "hw/core/state.h"
#include "migration/internal.h"

/* Fields ---------------------------------------------------------------------------- */

typedef struct Inner {
    uint16_t a;
    bool b;
} Inner;

typedef struct Outer {
    uint8_t one;
    uint32_t list[3];
    Inner inner, twins[2];
    uint8_t small;
} Outer;

static const StateField inner_fields[] = {
    STATE_INT(Inner, a), STATE_BOOL(Inner, b), STATE_END
};

static const StateField outer_fields[] = {
    STATE_INT(Outer, one),
    STATE_ARRAY(Outer, list),
    STATE_STRUCT(Outer, inner, inner_fields),
    STATE_STRUCTS(Outer, twins, inner_fields),
    STATE_MAX(Outer, small, 7),
    STATE_END
};

static const Outer sample = {
    .one = 1, .list = { 2, 3, 0xffffffff }, .inner = { 4, true },
    .twins = { { 5, false }, { 6, true } }, .small = 7,
};

static bool load(const uint8_t *data, size_t len, Outer *out)
{
    StateReader in = { .p = data, .left = len };
    Error *err = NULL;
    bool ok = state_load_fields(outer_fields, out, &in, &err) && state_check_end(&in, &err);

    g_assert(ok == !err);
    error_free(err);
    return ok;
}

static void test_fields(void)
{
    g_autoptr(GByteArray) buf = g_byte_array_new();
    Outer out = { 0 };

    state_save_fields(outer_fields, &sample, buf);
    g_assert_true(load(buf->data, buf->len, &out));
    g_assert_cmpint(memcmp(&out, &sample, sizeof(out)), ==, 0);
    for (size_t len = 0; len < buf->len; len++) {
        g_autofree uint8_t *cut = g_memdup2(buf->data, len);

        g_assert_false(load(cut, len, &out));
    }
}

/* Each byte as each value: loaded or refused, and no bool is anything but a bool. */
static void test_hostile_fields(void)
{
    g_autoptr(GByteArray) buf = g_byte_array_new();

    state_save_fields(outer_fields, &sample, buf);
    for (size_t i = 0; i < buf->len; i++) {
        g_autofree uint8_t *copy = g_memdup2(buf->data, buf->len);

        for (unsigned value = 0; value < 256; value++) {
            Outer out = { 0 };

            copy[i] = value;
            if (load(copy, buf->len, &out)) {
                g_assert_cmpint(*(uint8_t *)&out.inner.b, <=, 1);
                g_assert_cmpint(out.small, <=, 7);
            }
        }
    }
}

/* Streams ----------------------------------------------------------------------------- */

#define RAM_SIZE (4 * FORMAT_PAGE)
#define FINGERPRINT "machine: test\ncpus: 1\n"

typedef struct Stream {
    Channel c;
    SectionWriter w;
    RamCounters counters;
    _Atomic uint64_t bandwidth;
} Stream;

static void channel_of(Channel *c, int fd)
{
    *c = (Channel) { .fd = fd };
    g_assert_cmpint(event_notifier_init(&c->hurry), ==, 0);
}

static Stream *stream_of(uint32_t layout)
{
    Stream *s = g_new0(Stream, 1);
    FormatHeader h;

    channel_of(&s->c, memfd_create("stream", MFD_CLOEXEC));
    s->w = (SectionWriter) {
        .c = &s->c, .counters = &s->counters, .max_bandwidth = &s->bandwidth,
    };
    format_make_header(&h, layout, RAM_SIZE);
    g_assert_cmpint(channel_write(&s->c, &h, sizeof(h)), ==, 0);
    return s;
}

static Stream *stream_new(void)
{
    return stream_of(FORMAT_STREAM);
}

static void put(Stream *s, SectionType type, const void *data, size_t len)
{
    g_assert_cmpint(section_write(&s->w, type, NULL, 0, data, len), ==, 0);
}

/* What was written, and no more of the stream. */
static GBytes *stream_end(Stream *s)
{
    off_t len = lseek(s->c.fd, 0, SEEK_CUR);
    uint8_t *data = g_malloc(len);

    g_assert_cmpint(pread(s->c.fd, data, len, 0), ==, len);
    channel_close(&s->c);
    g_free(s);
    return g_bytes_new_take(data, len);
}

static void fill_ram(uint8_t *ram)
{
    memset(ram, 0, RAM_SIZE);
    for (unsigned i = 0; i < FORMAT_PAGE; i++) {
        ram[FORMAT_PAGE + i] = i * 7;
    }
    ram[RAM_SIZE - 1] = 1;
}

static void put_end(Stream *s)
{
    uint32_t n = s->w.sections;

    put(s, SECTION_END, &n, sizeof(n));
}

static GBytes *good_stream(void)
{
    g_autofree uint8_t *ram = g_malloc(RAM_SIZE);
    Stream *s = stream_new();

    fill_ram(ram);
    put(s, SECTION_FINGERPRINT, FINGERPRINT, strlen(FINGERPRINT));
    g_assert_cmpint(ram_write(&s->w, ram, RAM_SIZE), ==, 0);
    put(s, SECTION_STATE, "first", 5);
    put(s, SECTION_STATE, "second", 6);
    put_end(s);
    return stream_end(s);
}

/* Load it into RAM that held something else; the message, or NULL if all is well. Caller frees. */
static char *try_load(const uint8_t *data, size_t len, SavedMachine *m)
{
    int fd = memfd_create("saved", MFD_CLOEXEC);
    Error *err = NULL;
    char *text = NULL;
    Channel c;
    bool ok;

    g_assert_cmpint(pwrite(fd, data, len, 0), ==, len);
    channel_of(&c, fd);
    *m = (SavedMachine) {
        .fingerprint = g_strdup(FINGERPRINT),
        .ram = { .ram = memset(g_malloc(RAM_SIZE), 0xaa, RAM_SIZE), .size = RAM_SIZE },
    };
    ok = saved_machine_read(m, &c, &err);
    g_assert(ok == !err);
    if (err) {
        text = g_strdup(error_get_pretty(err));
        g_assert_true(g_utf8_validate(text, -1, NULL) && !strchr(text, '\n'));
        error_free(err);
    }
    channel_close(&c);
    return text;
}

static void done(SavedMachine *m)
{
    g_free(m->ram.ram);
    saved_machine_clear(m);
}

static void test_stream(void)
{
    g_autoptr(GBytes) stream = good_stream();
    g_autofree uint8_t *ram = g_malloc(RAM_SIZE);
    SavedMachine m;
    gsize len;
    const uint8_t *data = g_bytes_get_data(stream, &len);
    g_autofree char *error = try_load(data, len, &m);

    fill_ram(ram);
    g_assert_null(error);
    g_assert_cmpint(memcmp(m.ram.ram, ram, RAM_SIZE), ==, 0);
    g_assert_cmpuint(m.sections->len, ==, 2);
    g_assert_cmpmem(g_bytes_get_data(m.sections->pdata[1], NULL), 6, "second", 6);
    done(&m);
}

/* All of RAM, then what has changed: a page, one that has become zeros; the rest stays. */
static void test_rounds(void)
{
    g_autofree uint8_t *ram = g_malloc(RAM_SIZE);
    const uint64_t changed = 1 << 1 | 1 << 2;
    uint64_t reached;
    g_autoptr(GBytes) stream = NULL;
    g_autofree char *error = NULL;
    Stream *s = stream_new();
    SavedMachine m;
    gsize len;

    fill_ram(ram);
    put(s, SECTION_FINGERPRINT, FINGERPRINT, strlen(FINGERPRINT));
    s->w.moving = true;
    g_assert_cmpint(ram_write(&s->w, ram, RAM_SIZE), ==, 0);
    memset(ram + FORMAT_PAGE, 0, FORMAT_PAGE);
    ram[2 * FORMAT_PAGE] = 7;
    ram[3 * FORMAT_PAGE] = 8;       /* not said to have changed */
    put(s, SECTION_ROUND, NULL, 0);
    g_assert_cmpint(ram_write_pages(&s->w, ram, RAM_SIZE, &changed, &reached), ==, 0);
    put_end(s);
    stream = stream_end(s);
    error = try_load(g_bytes_get_data(stream, &len), g_bytes_get_size(stream), &m);
    g_assert_null(error);
    ram[3 * FORMAT_PAGE] = 0;
    g_assert_cmpint(memcmp(m.ram.ram, ram, RAM_SIZE), ==, 0);
    done(&m);
}

static void test_damaged_stream(void)
{
    g_autoptr(GBytes) stream = good_stream();
    gsize len;
    const uint8_t *data = g_bytes_get_data(stream, &len);
    SavedMachine m;

    for (size_t cut = 0; cut < len; cut++) {
        g_autofree char *error = try_load(data, cut, &m);

        g_assert_nonnull(error);
        done(&m);
    }
    for (size_t i = 0; i < len; i++) {
        g_autofree uint8_t *copy = g_memdup2(data, len);
        g_autofree char *error = NULL;

        copy[i] ^= 1u << i % 8;
        error = try_load(copy, len, &m);
        g_assert_nonnull(error);
        done(&m);
    }
}

/* Whose check sums are right. */
static void expect(Stream *s, const char *message)
{
    g_autoptr(GBytes) stream = stream_end(s);
    gsize len;
    const uint8_t *data = g_bytes_get_data(stream, &len);
    SavedMachine m;
    g_autofree char *error = try_load(data, len, &m);

    g_assert_nonnull(error);
    if (!strstr(error, message)) {
        g_error("'%s' instead of '%s'", error, message);
    }
    done(&m);
}

static Stream *begun(void)
{
    Stream *s = stream_new();

    put(s, SECTION_FINGERPRINT, FINGERPRINT, strlen(FINGERPRINT));
    return s;
}

static void test_made_up_streams(void)
{
    static const uint64_t bad_ranges[][2] = {
        { 1, FORMAT_PAGE }, { 0, 1 }, { 0, 0 }, { RAM_SIZE, FORMAT_PAGE },
        { 0, RAM_SIZE + FORMAT_PAGE }, { FORMAT_PAGE, UINT64_MAX & ~4095ull },
        { UINT64_MAX & ~4095ull, FORMAT_PAGE },
    };
    const uint64_t all[2] = { 0, RAM_SIZE };
    uint8_t page[sizeof(uint64_t) + FORMAT_PAGE] = { 0 };
    static const char other[] = "machine: test\ncpus: 2\x1b[31m\n";
    Stream *s = stream_new();

    put(s, SECTION_STATE, "x", 1);
    expect(s, "fingerprint of the machine is missing");
    s = begun();
    put(s, SECTION_FINGERPRINT, FINGERPRINT, strlen(FINGERPRINT));
    expect(s, "a second fingerprint");
    s = stream_new();
    put(s, SECTION_FINGERPRINT, other, strlen(other));
    expect(s, "it has 'cpus: 2?[31m' where this one has 'cpus: 1'");
    for (size_t i = 0; i < G_N_ELEMENTS(bad_ranges); i++) {
        s = begun();
        put(s, SECTION_ZERO, bad_ranges[i], sizeof(bad_ranges[i]));
        expect(s, "pages that RAM does not have");
    }
    s = begun();
    put(s, SECTION_CONFIRM, NULL, 0);
    expect(s, "waits for an answer, which this channel cannot carry");
    s = begun();
    put(s, SECTION_YOURS, NULL, 0);
    expect(s, "an answer where none is expected");
    s = begun();
    put(s, SECTION_ZERO, all, sizeof(all));
    put(s, SECTION_PAGES, page, sizeof(page));
    expect(s, "pages that RAM does not have");
    s = begun();
    put(s, SECTION_PAGES, page, 8);
    expect(s, "pages are missing");
    s = begun();
    put(s, SECTION_PAGES, page, sizeof(page));
    put_end(s);
    expect(s, "RAM is not complete");
    s = begun();
    put(s, SECTION_ZERO, all, sizeof(all));
    s->w.sections++;
    put_end(s);
    expect(s, "sections are missing");
    s = begun();
    put(s, SECTION_ROUND, NULL, 0);
    expect(s, "RAM is not complete");
    s = begun();
    put(s, SECTION_ZERO, all, sizeof(all));
    put(s, SECTION_ROUND, NULL, 0);
    put(s, SECTION_ZERO, bad_ranges[4], sizeof(bad_ranges[4]));
    expect(s, "pages that RAM does not have");
    s = begun();
    put(s, 77, "x", 1);
    expect(s, "section type 77 is not known");
}

/* What is the same, what is told of where it is not. */
static void test_fingerprints(void)
{
    static const struct {
        const char *ours, *theirs, *message;
    } cases[] = {
        { "a: 1\nb: 2\n", "a: 1\nb: 2\n", NULL },
        { "a: 1\nb: 2\n", "b: 2\na: 1\n", NULL },
        { "a: 1\nb: 2\n", "a: 1\nb: 3\n", "it has 'b: 3' where this one has 'b: 2'" },
        { "a: 1\nb: 2\n", "a: 1\n", "it does not have 'b: 2'" },
        { "a: 1\n", "a: 1\nb: 2\n", "it has 'b: 2', this one has not" },
        { "a: 1\n", "a: 1\na: 2\n", "it has 'a: 2' where this one has 'a: 1'" },
        { "a: 1\n", "", "it does not have 'a: 1'" },
        { "a: 1\n", "a: 1\n\n", "it has '', this one has not" },
        { "cpuid 0x7 0x0: 0x1 0x20 0x0 0x0\n", "cpuid 0x7 0x0: 0x1 0x0 0x0 0x0\n",
          "its CPUs do not have CPUID.07H:EBX.avx2 [bit 5], those of this one do" },
        { "cpuid 0x1 0x0: 0x1 0x0 0x0 0x0\n", "cpuid 0x1 0x0: 0x2 0x0 0x0 0x0\n",
          "it has 'cpuid 0x1 0x0: 0x2 0x0 0x0 0x0' where" },
        /* Another accelerator: names and caches are its own, features are not. */
        { "accelerator: a\ncpuid 0x4 0x0: 0x1 0x0 0x0 0x0\nb: 1\n",
          "accelerator: b\ncpuid 0x4 0x0: 0x2 0x0 0x0 0x0\nb: 1\n", NULL },
        { "accelerator: a\ncpuid 0x80000002 0x0: 0x1 0x0 0x0 0x0\n", "accelerator: b\n", NULL },
        { "accelerator: a\nb: 1\n", "accelerator: b\nb: 2\n", "it has 'b: 2' where" },
        { "accelerator: a\ncpuid 0x7 0x0: 0x1 0x20 0x0 0x0\n",
          "accelerator: b\ncpuid 0x7 0x0: 0x1 0x0 0x0 0x0\n",
          "its CPUs do not have CPUID.07H:EBX.avx2 [bit 5], those of this one do" },
        { "accelerator: a\n", "accelerator: b\ncpuid 0x1 0x0: 0x0 0x0 0x0 0x1\n",
          "its CPUs have CPUID.01H:EDX.fpu [bit 0], those of this one do not" },
        { "accelerator: a\ncpuid 0x0 0x0: 0x1 0x2 0x0 0x0\n",
          "accelerator: b\ncpuid 0x0 0x0: 0x2 0x3 0x0 0x0\n", "CPUs differ in their vendor" },
        { "accelerator: a\ncpuid 0x80000008 0x0: 0x3028 0x0 0x0 0x0\n",
          "accelerator: b\ncpuid 0x80000008 0x0: 0x302e 0x0 0x0 0x0\n", "width of addresses" },
        { "accelerator: a\ncpuid 0xd 0x9: 0x8 0x340 0x0 0x0\n",
          "accelerator: b\ncpuid 0xd 0x9: 0x8 0xa80 0x0 0x0\n", "XSAVE area (PKRU)" },
    };

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        size_t len = strlen(cases[i].theirs);
        g_autofree char *exact = g_memdup2(cases[i].theirs, len);   /* no byte behind it */
        Error *err = NULL;

        g_assert_cmpint(fingerprint_check(cases[i].ours, exact, len, &err), ==,
                        !cases[i].message);
        if (cases[i].message && !strstr(error_get_pretty(err), cases[i].message)) {
            g_error("'%s' instead of '%s'", error_get_pretty(err), cases[i].message);
        }
        error_free(err);
    }
}

/* Lengths are refused before anything is allocated for them. */
static void test_limits(void)
{
    static const SectionType types[] = {
        SECTION_FINGERPRINT, SECTION_PAGES, SECTION_ZERO, SECTION_STATE, SECTION_END,
    };

    for (size_t i = 0; i < G_N_ELEMENTS(types); i++) {
        Stream *s = begun();
        SectionHeader h;

        format_make_section(&h, types[i], 1ull << 40, 0);
        g_assert_cmpint(channel_write(&s->c, &h, sizeof(h)), ==, 0);
        expect(s, "is too long");
    }
}

/* Mapped files --------------------------------------------------------------------------- */

/* A file with an image of RAM at its place. */
static GBytes *mapped_file(uint64_t image)
{
    g_autofree uint8_t *ram = g_malloc(RAM_SIZE);
    Stream *s = stream_of(FORMAT_MAPPED);

    fill_ram(ram);
    put(s, SECTION_FINGERPRINT, FINGERPRINT, strlen(FINGERPRINT));
    put(s, SECTION_STATE, "first", 5);
    put(s, SECTION_RAM_IMAGE, &image, sizeof(image));
    put_end(s);
    g_assert_cmpint(ram_write_extents(&s->w, ram, RAM_SIZE, FORMAT_IMAGE_ALIGN,
                                      &(FormatExtent) { 0, RAM_SIZE }, 1), ==, 0);
    g_assert_cmpint(lseek(s->c.fd, 0, SEEK_END), ==, FORMAT_IMAGE_ALIGN + RAM_SIZE);
    return stream_end(s);
}

static void test_mapped(void)
{
    g_autoptr(GBytes) file = mapped_file(FORMAT_IMAGE_ALIGN);
    g_autofree uint8_t *ram = g_malloc(RAM_SIZE);
    void *own = mmap(NULL, RAM_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    gsize len;
    const uint8_t *data = g_bytes_get_data(file, &len);
    int fd = memfd_create("mapped", MFD_CLOEXEC);
    Error *err = NULL;
    SavedMachine m = {
        .fingerprint = g_strdup(FINGERPRINT),
        .ram = { .ram = own, .size = RAM_SIZE, .replaceable = true },
    };
    g_autofree char *error = NULL;
    Channel c;

    fill_ram(ram);
    g_assert_cmpint(pwrite(fd, data, len, 0), ==, len);
    channel_of(&c, fd);
    g_assert_true(saved_machine_read(&m, &c, &err));
    g_assert_true(m.ram.replaced);
    g_assert_cmpmem(own, RAM_SIZE, ram, RAM_SIZE);
    memset(own, 0x55, RAM_SIZE);        /* the file stays as it is */
    munmap(own, RAM_SIZE);
    channel_close(&c);
    saved_machine_clear(&m);
    error = try_load(data, len, &m);
    g_assert_null(error);
    g_assert_false(m.ram.replaced);
    g_assert_cmpmem(m.ram.ram, RAM_SIZE, ram, RAM_SIZE);
    done(&m);
}

static void test_hostile_mapped(void)
{
    static const uint64_t places[] = {
        0, 1, FORMAT_PAGE, 2 * FORMAT_IMAGE_ALIGN, UINT64_MAX & ~(FORMAT_IMAGE_ALIGN - 1ull),
    };
    const uint64_t place = FORMAT_IMAGE_ALIGN, all[2] = { 0, RAM_SIZE };
    SavedMachine m;
    Stream *s;

    for (size_t i = 0; i < G_N_ELEMENTS(places); i++) {
        g_autoptr(GBytes) file = mapped_file(places[i]);
        gsize len;
        const uint8_t *data = g_bytes_get_data(file, &len);
        g_autofree char *error = try_load(data, len, &m);

        g_assert_nonnull(error);
        done(&m);
    }
    s = begun();
    put(s, SECTION_RAM_IMAGE, &place, sizeof(place));
    expect(s, "where none is expected");
    s = stream_of(FORMAT_MAPPED);
    put(s, SECTION_FINGERPRINT, FINGERPRINT, strlen(FINGERPRINT));
    put(s, SECTION_ZERO, all, sizeof(all));
    put(s, SECTION_RAM_IMAGE, &place, sizeof(place));
    put_end(s);
    expect(s, "RAM is not complete");
}

/* Answers ------------------------------------------------------------------------------- */

/* What a source makes of these bytes, behind which the connection ends; answer: what it says. */
static int confirm(const void *data, size_t len, char **refusal, uint8_t *answer)
{
    Channel c;
    int fds[2], ret;

    g_assert_cmpint(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), ==, 0);
    channel_of(&c, fds[0]);
    g_assert_cmpint(write(fds[1], data, len), ==, len);
    shutdown(fds[1], SHUT_WR);
    ret = reply_confirm(&c, refusal);
    channel_close(&c);
    g_assert_cmpint(read(fds[1], answer, sizeof(SectionHeader)), ==,
                    ret ? 0 : sizeof(SectionHeader));
    close(fds[1]);
    return ret;
}

static GBytes *reply_bytes(SectionType type, const char *text)
{
    Channel c;
    int fd = memfd_create("reply", MFD_CLOEXEC);
    uint8_t buf[2 * FORMAT_MAX_REPLY];
    ssize_t n;

    channel_of(&c, fd);
    g_assert_cmpint(reply_write(&c, type, text), ==, 0);
    n = pread(fd, buf, sizeof(buf), 0);
    channel_close(&c);
    return g_bytes_new(buf, n);
}

/* Only a whole and right "loaded" makes a source give its guest up, and it says so then. */
static void test_replies(void)
{
    g_autoptr(GBytes) loaded = reply_bytes(SECTION_LOADED, "");
    g_autoptr(GBytes) failed = reply_bytes(SECTION_FAILED, "no\33 room\n");
    g_autoptr(GBytes) yours = reply_bytes(SECTION_YOURS, "");
    g_autofree char *refusal = NULL;
    uint8_t answer[sizeof(SectionHeader)], data[sizeof(SectionHeader)];
    gsize len;

    g_assert_cmpint(confirm(g_bytes_get_data(loaded, &len), sizeof(data), &refusal, answer), ==, 0);
    g_assert_cmpmem(answer, sizeof(answer), g_bytes_get_data(yours, NULL), sizeof(answer));
    g_assert_cmpint(confirm(answer, sizeof(answer), &refusal, answer), ==, -EBADMSG);
    g_assert_null(refusal);
    memcpy(data, g_bytes_get_data(loaded, NULL), sizeof(data));
    for (size_t i = 0; i < sizeof(data); i++) {
        g_assert_cmpint(confirm(data, i, &refusal, answer), ==, -ECONNRESET);
        for (unsigned bit = 0; bit < 8; bit++) {
            data[i] ^= 1u << bit;
            g_assert_cmpint(confirm(data, sizeof(data), &refusal, answer), !=, 0);
            data[i] ^= 1u << bit;
        }
    }
    g_assert_null(refusal);
    g_assert_cmpint(confirm(g_bytes_get_data(failed, &len), g_bytes_get_size(failed), &refusal,
                            answer), ==, -EREMOTEIO);
    g_assert_cmpstr(refusal, ==, "no? room?");
}

/* The check value of CRC-32C, "Castagnoli": RFC 3720, appendix B.4. */
static void test_crc(void)
{
    static const uint8_t zeros[32];

    g_assert_cmphex(format_crc(0, "123456789", 9), ==, 0xe3069283);
    g_assert_cmphex(format_crc(0, zeros, sizeof(zeros)), ==, 0x8a9136aa);
    g_assert_cmphex(format_crc(format_crc(0, "1234", 4), "56789", 5), ==, 0xe3069283);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/migration/crc", test_crc);
    g_test_add_func("/migration/fields", test_fields);
    g_test_add_func("/migration/hostile-fields", test_hostile_fields);
    g_test_add_func("/migration/stream", test_stream);
    g_test_add_func("/migration/rounds", test_rounds);
    g_test_add_func("/migration/damaged-stream", test_damaged_stream);
    g_test_add_func("/migration/made-up-streams", test_made_up_streams);
    g_test_add_func("/migration/replies", test_replies);
    g_test_add_func("/migration/fingerprints", test_fingerprints);
    g_test_add_func("/migration/limits", test_limits);
    g_test_add_func("/migration/mapped", test_mapped);
    g_test_add_func("/migration/hostile-mapped", test_hostile_mapped);
    return g_test_run();
}
