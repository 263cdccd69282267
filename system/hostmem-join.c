/*
 * RAM of several backends: their mappings move together, so that all else sees one.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <errno.h>
#include <inttypes.h>
#include <sys/mman.h>

#include "qemu/cutils.h"
#include "sysemu/hostmem.h"

static bool check_part(const HostMemoryBackend *part, uint64_t offset, Error **errp)
{
    const char *id = part->obj.id;

    if (part->in_use) {
        error_setg(errp, "memory backend %s can't be used multiple times.", id);
    } else if (part->readonly) {
        error_setg(errp, "Memory backend '%s' is readonly, RAM cannot be", id);
    } else if (part->size % part->page_size) {
        error_setg(errp, "memory backend '%s': its size must be a multiple of 0x%" PRIx64, id,
                   part->page_size);
    } else if (offset % part->page_size) {
        error_setg(errp, "memory backend '%s' has pages of 0x%" PRIx64 " bytes: the nodes before "
                   "it must have a multiple of that", id, part->page_size);
    } else if (part->size > INT64_MAX - offset) {
        error_setg(errp, "memory backend '%s' is too large", id);
    } else {
        return true;
    }
    return false;
}

static bool add_part(HostMemoryBackend *b, HostMemoryBackend *part, Error **errp)
{
    if (!check_part(part, b->size, errp)) {
        return false;
    }
    b->parts[b->nr_parts++] = part;
    b->size += part->size;
    b->page_size = MAX(b->page_size, part->page_size);
    if (part->mem_path && !b->mem_path) {
        b->mem_path = g_strdup(part->mem_path);
    }
    return true;
}

/* An area of address space for all, aligned as the parts' own are. NULL: none to be had. */
static char *reserve_area(const HostMemoryBackend *b)
{
    uint64_t align = MAX(2 * MiB, b->page_size);
    char *area = mmap(NULL, b->size + align, PROT_NONE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0), *start;

    if (area == MAP_FAILED) {
        return NULL;
    }
    start = (char *)QEMU_ALIGN_UP((uintptr_t)area, align);
    if (start > area) {
        munmap(area, start - area);
    }
    if (start + b->size < area + b->size + align) {
        munmap(start + b->size, area + align - start);
    }
    return start;
}

/* What is not moved stays the part's own; then the rest of the area is nobody's. */
static bool move_parts(HostMemoryBackend *b, Error **errp)
{
    char *at = reserve_area(b);

    b->host = at;
    for (unsigned i = 0; at && i < b->nr_parts; i++) {
        HostMemoryBackend *part = b->parts[i];
        void *moved = mremap(part->host, part->size, part->size, MREMAP_MAYMOVE | MREMAP_FIXED,
                             at);

        if (moved == MAP_FAILED) {
            error_setg_errno(errp, errno, "cannot set up guest memory '%s' beside others",
                             part->obj.id);
            munmap(at, b->size - (at - (char *)b->host));
            return false;
        }
        part->host = moved;
        part->in_use = true;
        at += part->size;
    }
    if (!at) {
        error_setg_errno(errp, errno, "cannot set up guest memory of %u backends", b->nr_parts);
    }
    return at;
}

static void joined_init(Object *obj)
{
    downcast(obj, HostMemoryBackend, obj)->fd = -1;
}

static void joined_finalize(Object *obj)
{
    HostMemoryBackend *b = downcast(obj, HostMemoryBackend, obj);

    g_free(b->mem_path);
    g_free(b->parts);
}

/* Nobody's -object. */
static const ObjectClass joined_class = {
    .name = "joined-memory",
    .instance_size = sizeof(HostMemoryBackend),
    .init = joined_init,
    .finalize = joined_finalize,
};

Object *host_memory_backend_join(const GPtrArray *parts, const char *id, Error **errp)
{
    Object *obj = object_new(&joined_class, id);
    HostMemoryBackend *b = downcast(obj, HostMemoryBackend, obj);

    b->parts = g_new0(HostMemoryBackend *, parts->len);
    for (guint i = 0; i < parts->len; i++) {
        if (!add_part(b, parts->pdata[i], errp)) {
            object_free(obj);
            return NULL;
        }
    }
    if (!move_parts(b, errp)) {
        object_free(obj);
        return NULL;
    }
    return obj;
}
