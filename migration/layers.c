/*
 * A saved machine that names its base: opening all its files, mapping them, and what has changed.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "layers.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "qemu/confine.h"
#include "qemu/fdset.h"

/* Heads ------------------------------------------------------------------------------------ */

/* What a file says of its base. */
typedef struct BaseName {
    FormatBase head;
    char name[FORMAT_MAX_BASE_NAME + 1];
    bool there;
} BaseName;

static bool read_at(int fd, void *data, size_t len, uint64_t offset, Error **errp)
{
    ssize_t n = pread(fd, data, len, offset);

    if (n < 0) {
        error_setg_errno(errp, errno, "cannot read the saved machine");
    } else if ((size_t)n < len) {
        error_setg(errp, "the saved machine is cut off");
    }
    return n >= 0 && (size_t)n == len;
}

bool layers_are_needed(int fd)
{
    FormatHeader h;

    return read_at(fd, &h, sizeof(h), 0, NULL) && !memcmp(h.magic, FORMAT_MAGIC, sizeof(h.magic)) &&
           h.layout == FORMAT_DIFFERENCE;
}

bool layers_check_name(const char *name, Error **errp)
{
    bool ok = *name && strlen(name) <= FORMAT_MAX_BASE_NAME && strcmp(name, ".") &&
              strcmp(name, "..");

    for (const char *p = name; ok && *p; p++) {
        ok = *p != '/' && g_ascii_isprint(*p);
    }
    if (!ok) {
        error_setg(errp, "a base is named by its file's name in the same folder");
    }
    return ok;
}

static bool take_base(BaseName *base, const uint8_t *data, size_t len, Error **errp)
{
    if (base->there || len <= sizeof(base->head) || memchr(data + sizeof(base->head), 0,
                                                            len - sizeof(base->head))) {
        error_setg(errp, "the name of its base is damaged");
        return false;
    }
    memcpy(&base->head, data, sizeof(base->head));
    memcpy(base->name, data + sizeof(base->head), len - sizeof(base->head));
    base->name[len - sizeof(base->head)] = 0;
    base->there = true;
    return layers_check_name(base->name, errp);
}

static bool take_extents(Layer *l, const uint8_t *data, size_t len, Error **errp)
{
    uint64_t next = 0;

    if (l->extents || len % sizeof(FormatExtent)) {
        error_setg(errp, "the list of what changed is damaged");
        return false;
    }
    l->nr_extents = len / sizeof(FormatExtent);
    l->extents = g_memdup2(data, MAX(len, 1));
    for (uint32_t i = 0; i < l->nr_extents; i++) {
        const FormatExtent *e = &l->extents[i];

        if (e->offset % FORMAT_PAGE || e->len % FORMAT_PAGE || !e->len || e->offset < next ||
            e->offset > l->ram_size || e->len > l->ram_size - e->offset) {
            error_setg(errp, "the list of what changed names pages that RAM does not have");
            return false;
        }
        next = e->offset + e->len;
    }
    return true;
}

static bool take_section(Layer *l, BaseName *base, const SectionHeader *h, const uint8_t *data,
                         Error **errp)
{
    switch (h->type) {
    case SECTION_IDENTITY:
        if (l->has_id || h->length != sizeof(l->id)) {
            error_setg(errp, "its identity is damaged");
            return false;
        }
        memcpy(l->id, data, sizeof(l->id));
        l->has_id = true;
        return true;
    case SECTION_BASE:
        return take_base(base, data, h->length, errp);
    case SECTION_EXTENTS:
        return take_extents(l, data, h->length, errp);
    default:
        if (l->image || h->length != sizeof(l->image)) {
            error_setg(errp, "an image of RAM where none is expected");
            return false;
        }
        memcpy(&l->image, data, sizeof(l->image));
        return true;
    }
}

/* One section's head, and what follows if it is of interest here. */
static bool scan_section(Layer *l, BaseName *base, uint64_t *at, SectionHeader *h, Error **errp)
{
    g_autofree uint8_t *data = NULL;

    if (!read_at(l->fd, h, sizeof(*h), *at, errp) || !format_check_section(h, errp)) {
        return false;
    }
    *at += sizeof(*h) + h->length;
    if (h->type != SECTION_IDENTITY && h->type != SECTION_BASE && h->type != SECTION_EXTENTS &&
        h->type != SECTION_RAM_IMAGE) {
        return true;
    }
    data = g_malloc(h->length + 1);
    if (!read_at(l->fd, data, h->length, *at - h->length, errp)) {
        return false;
    }
    if (format_crc(0, data, h->length) != h->crc) {
        error_setg(errp, "a section of type %u is damaged", h->type);
        return false;
    }
    return take_section(l, base, h, data, errp);
}

static bool check_layer(Layer *l, uint32_t layout, const BaseName *base, Error **errp)
{
    struct stat st;

    if (fstat(l->fd, &st) < 0 || !S_ISREG(st.st_mode)) {
        error_setg(errp, "a machine whose RAM is mapped can only come from a file");
    } else if (!l->image || l->image % FORMAT_IMAGE_ALIGN || l->image > INT64_MAX - l->ram_size ||
               (uint64_t)st.st_size < l->image + l->ram_size) {
        error_setg(errp, "the saved machine is cut off");
    } else if (base->there != (layout == FORMAT_DIFFERENCE) || base->there != !!l->extents) {
        error_setg(errp, "what it says of its base is incomplete");
    } else {
        l->size = st.st_size;
        return true;
    }
    return false;
}

static bool scan_layer(Layer *l, BaseName *base, Error **errp)
{
    SectionHeader h = { 0 };
    uint64_t at = sizeof(FormatHeader);
    FormatHeader head;

    if (!read_at(l->fd, &head, sizeof(head), 0, errp) ||
        !format_check_header(&head, head.ram_size, errp)) {
        return false;
    }
    l->ram_size = head.ram_size;
    if (head.layout == FORMAT_STREAM || l->ram_size > INT64_MAX || l->ram_size % FORMAT_PAGE) {
        error_setg(errp, "it was saved without mapped-ram");
        return false;
    }
    for (unsigned n = 0; h.type != SECTION_END; n++) {
        if (n > FORMAT_MAX_SECTIONS) {
            error_setg(errp, "there is more state than any machine has");
            return false;
        }
        if (!scan_section(l, base, &at, &h, errp)) {
            return false;
        }
    }
    return check_layer(l, head.layout, base, errp);
}

/* Files ------------------------------------------------------------------------------------ */

/* What is opened is not what l says it should be. */
static bool check_base(const Layer *l, const BaseName *name, const Layer *base, Error **errp)
{
    if (!base->has_id) {
        error_setg(errp, "it was saved by an older version");
    } else if (base->size != name->head.size || memcmp(base->id, name->head.id, sizeof(base->id))) {
        error_setg(errp, "it is not the one that it was");
    } else if (base->ram_size != l->ram_size) {
        error_setg(errp, "it has another size of RAM");
    } else {
        return true;
    }
    return false;
}

/* name, which the layer above says, becomes what the next one says. */
static bool open_base(Layers *layers, const char *folder, BaseName *name, Error **errp)
{
    g_autofree char *path = g_build_filename(folder, name->name, NULL);
    BaseName next = { 0 };
    Layer *l = &layers->layer[layers->n];

    if (layers->n == LAYERS_MAX) {
        error_setg(errp, "there are more than %d files, each the base of another", LAYERS_MAX);
        return false;
    }
    l->fd = qemu_open(path, O_RDONLY | O_NONBLOCK, 0);
    if (l->fd < 0) {
        error_setg(errp, "base '%s': %s", path,
                   confine_strerror(confine_errno(path, false, errno)));
        return false;
    }
    layers->n++;
    if (!scan_layer(l, &next, errp) || !check_base(l - 1, name, l, errp)) {
        error_prepend(errp, "base '%s': ", path);
        return false;
    }
    *name = next;
    return true;
}

Layers *layers_open(const char *path, int fd, Error **errp)
{
    g_autofree char *folder = g_path_get_dirname(path);
    Layers *layers = g_new0(Layers, 1);
    BaseName base = { 0 };
    bool ok;

    layers->n = 1;
    layers->layer[0].fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    ok = scan_layer(&layers->layer[0], &base, errp);
    while (ok && base.there) {
        ok = open_base(layers, folder, &base, errp);
    }
    if (!ok) {
        layers_free(layers);
    }
    return ok ? layers : NULL;
}

void layers_free(Layers *layers)
{
    for (unsigned i = 0; layers && i < layers->n; i++) {
        if (layers->layer[i].fd >= 0) {
            close(layers->layer[i].fd);
        }
        g_free(layers->layer[i].extents);
    }
    g_free(layers);
}

GByteArray *layers_base_section(const Layers *base, const char *name)
{
    GByteArray *out = g_byte_array_new();
    FormatBase head = { .size = base->layer[0].size };

    memcpy(head.id, base->layer[0].id, sizeof(head.id));
    g_byte_array_append(out, (const uint8_t *)&head, sizeof(head));
    g_byte_array_append(out, (const uint8_t *)name, strlen(name));
    return out;
}

/* RAM -------------------------------------------------------------------------------------- */

/* Bytes [at, at + len) of RAM, as this layer alone has them. */
static int read_range(const Layer *l, uint8_t *to, uint64_t at, uint64_t len)
{
    while (len) {
        ssize_t n = pread(l->fd, to, MIN(len, 1u << 30), l->image + at);

        if (n <= 0) {
            return n < 0 ? -errno : -EIO;
        }
        to += n;
        at += n;
        len -= n;
    }
    return 0;
}

/* What the layer has of [at, at + len). */
static int read_layer(const Layer *l, uint8_t *to, uint64_t at, uint64_t len)
{
    int ret = l->extents ? 0 : read_range(l, to, at, len);

    for (uint32_t i = 0; i < l->nr_extents && l->extents[i].offset < at + len && !ret; i++) {
        uint64_t begin = MAX(l->extents[i].offset, at);
        uint64_t end = MIN(l->extents[i].offset + l->extents[i].len, at + len);

        if (begin < end) {
            ret = read_range(l, to + (begin - at), begin, end - begin);
        }
    }
    return ret;
}

/* From the oldest one on. */
static int read_all(const Layers *layers, uint8_t *to, uint64_t at, uint64_t len)
{
    int ret = 0;

    for (unsigned i = layers->n; i-- && !ret;) {
        ret = read_layer(&layers->layer[i], to, at, len);
    }
    return ret;
}

int layers_read(const Layers *layers, void *host)
{
    return read_all(layers, host, 0, layers->layer[0].ram_size);
}

static int map_extent(const Layer *l, uint8_t *host, uint64_t at, uint64_t len)
{
    return mmap(host + at, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_FIXED | MAP_NORESERVE,
                l->fd, l->image + at) == MAP_FAILED ? -errno : 0;
}

int layers_map(const Layers *layers, void *host)
{
    int ret = 0;

    for (unsigned i = layers->n; i-- && !ret;) {
        const Layer *l = &layers->layer[i];

        ret = l->extents ? 0 : map_extent(l, host, 0, l->ram_size);
        for (uint32_t e = 0; e < l->nr_extents && !ret; e++) {
            ret = map_extent(l, host, l->extents[e].offset, l->extents[e].len);
        }
    }
    return ret;
}

/* What changed ----------------------------------------------------------------------------- */

#define STEP (1u << 20)

static bool wants_end(int hurry)
{
    struct pollfd pfd = { .fd = hurry, .events = POLLIN };

    return poll(&pfd, 1, 0) > 0;
}

static void add_page(GArray *extents, uint64_t offset)
{
    FormatExtent *last = extents->len ? &g_array_index(extents, FormatExtent, extents->len - 1)
                                      : NULL;

    if (last && last->offset + last->len == offset) {
        last->len += FORMAT_PAGE;
    } else {
        FormatExtent e = { offset, FORMAT_PAGE };

        g_array_append_val(extents, e);
    }
}

/* Close gaps of up to gap bytes; there are some extents. */
static void merge(GArray *extents, uint64_t gap)
{
    FormatExtent *all = (FormatExtent *)extents->data;
    guint n = 0;

    for (guint i = 1; i < extents->len; i++) {
        if (all[i].offset - (all[n].offset + all[n].len) <= gap) {
            all[n].len = all[i].offset + all[i].len - all[n].offset;
        } else {
            all[++n] = all[i];
        }
    }
    g_array_set_size(extents, n + 1);
}

static void compare_step(GArray *extents, const uint8_t *ram, const uint8_t *was, uint64_t at,
                         uint64_t len)
{
    for (uint64_t i = 0; i < len; i += FORMAT_PAGE) {
        if (memcmp(ram + at + i, was + i, FORMAT_PAGE)) {
            add_page(extents, at + i);
        }
    }
}

int layers_compare(const Layers *base, const void *ram, int hurry, FormatExtent **extents,
                   uint32_t *n)
{
    GArray *found = g_array_new(FALSE, FALSE, sizeof(FormatExtent));
    uint64_t size = base->layer[0].ram_size, gap = FORMAT_PAGE;
    g_autofree uint8_t *was = g_malloc(STEP);
    int ret = 0;

    for (uint64_t at = 0, len; at < size && !ret; at += len) {
        len = MIN(STEP, size - at);
        ret = wants_end(hurry) ? -ECANCELED : read_all(base, was, at, len);
        if (!ret) {
            compare_step(found, ram, was, at, len);
        }
        /* The list stays short while it is made. */
        for (; found->len > FORMAT_MAX_EXTENTS; gap *= 2) {
            merge(found, gap);
        }
    }
    *n = found->len;
    *extents = (FormatExtent *)g_array_free(found, FALSE);
    return ret;
}
