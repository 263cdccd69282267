/*
 * The region tree and its sealed, flat form.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "exec/memory.h"

#include <errno.h>
#include <string.h>

static void region_init(MemoryRegion *mr, MemoryRegionKind kind,
                        const char *name, uint64_t size)
{
    *mr = (MemoryRegion) { .kind = kind, .name = name, .size = size };
}

void memory_region_init(MemoryRegion *mr, const char *name, uint64_t size)
{
    region_init(mr, MEMORY_REGION_CONTAINER, name, size);
}

void memory_region_init_io(MemoryRegion *mr, const MemoryRegionOps *ops,
                           void *opaque, const char *name, uint64_t size)
{
    region_init(mr, MEMORY_REGION_IO, name, size);
    mr->ops = ops;
    mr->opaque = opaque;
}

void memory_region_init_ram_ptr(MemoryRegion *mr, const char *name,
                                uint64_t size, void *host)
{
    region_init(mr, MEMORY_REGION_RAM, name, size);
    mr->host = host;
}

void memory_region_init_rom_ptr(MemoryRegion *mr, const char *name, uint64_t size, void *host)
{
    memory_region_init_ram_ptr(mr, name, size, host);
    mr->readonly = true;
}

void memory_region_init_alias(MemoryRegion *mr, const char *name,
                              MemoryRegion *orig, hwaddr offset,
                              uint64_t size)
{
    g_assert(offset <= orig->size && size <= orig->size - offset);
    region_init(mr, MEMORY_REGION_ALIAS, name, size);
    mr->alias = orig;
    mr->alias_offset = offset;
}

void memory_region_init_kernel(MemoryRegion *mr, const char *name,
                               uint64_t size)
{
    region_init(mr, MEMORY_REGION_KERNEL, name, size);
}

void memory_region_add_subregion_overlap(MemoryRegion *mr, hwaddr offset,
                                         MemoryRegion *sub, int priority)
{
    guint i;

    g_assert(!sub->container);
    g_assert(offset <= mr->size && sub->size <= mr->size - offset);
    if (!mr->subregions) {
        mr->subregions = g_ptr_array_new();
    }
    sub->addr = offset;
    sub->priority = priority;
    sub->container = mr;
    for (i = 0; i < mr->subregions->len; i++) {
        const MemoryRegion *other = g_ptr_array_index(mr->subregions, i);

        if (other->addr > offset) {
            break;
        }
    }
    g_ptr_array_insert(mr->subregions, i, sub);
}

void memory_region_add_subregion(MemoryRegion *mr, hwaddr offset,
                                 MemoryRegion *sub)
{
    memory_region_add_subregion_overlap(mr, offset, sub, 0);
}

void memory_region_del_subregion(MemoryRegion *sub)
{
    g_assert(sub->container);
    g_ptr_array_remove(sub->container->subregions, sub);
    sub->container = NULL;
}

static void visit(const MemoryRegion *mr, hwaddr start, unsigned depth, MemoryRegionFn *fn,
                  void *opaque)
{
    fn(mr, start, depth, opaque);
    for (guint i = 0; mr->subregions && i < mr->subregions->len; i++) {
        const MemoryRegion *sub = g_ptr_array_index(mr->subregions, i);

        visit(sub, start + sub->addr, depth + 1, fn, opaque);
    }
}

void memory_region_foreach(const MemoryRegion *root, MemoryRegionFn *fn, void *opaque)
{
    visit(root, root->addr, 0, fn, opaque);
}

typedef struct Place {
    hwaddr start;
    uint64_t size;
    const MemoryRegion *taken_by;
} Place;

static void look_for_overlap(const MemoryRegion *mr, hwaddr start, unsigned depth, void *opaque)
{
    Place *place = opaque;

    if (mr->kind != MEMORY_REGION_CONTAINER && start < place->start + place->size &&
        place->start < start + mr->size) {
        place->taken_by = mr;
    }
}

const MemoryRegion *memory_region_find(const MemoryRegion *root, hwaddr start, uint64_t size)
{
    Place place = { .start = start, .size = size };

    memory_region_foreach(root, look_for_overlap, &place);
    return place.taken_by;
}

/*
 * Rendering. Regions are drawn from the highest priority down; each takes what
 * is still free of its window. The result is kept sorted.
 */

/* What is visible of a region: [lo, lo + size) in absolute addresses. */
typedef struct Window {
    hwaddr lo;
    uint64_t size;
} Window;

/* Fill the gaps in [start, start + size) with mr. */
static void render_leaf(GArray *flat, MemoryRegion *mr, hwaddr start,
                        uint64_t size, hwaddr offset)
{
    guint i = 0;

    while (size) {
        uint64_t len = size;
        FlatRange range;

        while (i < flat->len &&
               g_array_index(flat, FlatRange, i).start +
               (g_array_index(flat, FlatRange, i).size - 1) < start) {
            i++;
        }
        if (i < flat->len) {
            const FlatRange *r = &g_array_index(flat, FlatRange, i);

            if (r->start <= start) {
                uint64_t covered = MIN(size, r->size - (start - r->start));

                start += covered;
                offset += covered;
                size -= covered;
                continue;
            }
            len = MIN(size, r->start - start);
        }
        range = (FlatRange) { .start = start, .size = len, .offset = offset, .mr = mr };
        g_array_insert_val(flat, i, range);
        start += len;
        offset += len;
        size -= len;
    }
}

static gint by_priority(gconstpointer a, gconstpointer b)
{
    const MemoryRegion *ma = *(MemoryRegion *const *)a;
    const MemoryRegion *mb = *(MemoryRegion *const *)b;

    return mb->priority - ma->priority;
}

/* base is where the first byte of mr would be; only window is visible. */
static void render(GArray *flat, MemoryRegion *mr, hwaddr base, Window window)
{
    hwaddr lo = MAX(base, window.lo);
    /* Last bytes, not ends: a region may reach to the end of the space. */
    hwaddr last = MIN(base + (mr->size - 1), window.lo + (window.size - 1));
    Window visible = { .lo = lo, .size = last - lo + 1 };
    g_autoptr(GPtrArray) subs = NULL;

    if (!mr->size || !window.size || lo > last) {
        return;
    }
    switch (mr->kind) {
    case MEMORY_REGION_ALIAS:
        /* The offset wraps on purpose where the target lies below the alias. */
        render(flat, mr->alias, base - mr->alias_offset, visible);
        return;
    case MEMORY_REGION_CONTAINER:
        if (!mr->subregions) {
            return;
        }
        subs = g_ptr_array_copy(mr->subregions, NULL, NULL);
        g_ptr_array_sort(subs, by_priority);
        for (guint i = 0; i < subs->len; i++) {
            MemoryRegion *sub = g_ptr_array_index(subs, i);

            render(flat, sub, base + sub->addr, visible);
        }
        return;
    default:
        render_leaf(flat, mr, lo, visible.size, lo - base);
    }
}

void address_space_init(AddressSpace *as, MemoryRegion *root, const char *name,
                        bool is_io)
{
    *as = (AddressSpace) { .name = name, .root = root, .is_io = is_io };
    as->listeners = g_ptr_array_new();
}

static void free_region(MemoryRegion *mr)
{
    for (guint i = 0; mr->subregions && i < mr->subregions->len; i++) {
        free_region(g_ptr_array_index(mr->subregions, i));
    }
    g_clear_pointer(&mr->subregions, g_ptr_array_unref);
    g_clear_pointer(&mr->ioeventfds, g_array_unref);
}

void address_space_destroy(AddressSpace *as)
{
    if (!as->root) {
        return;
    }
    free_region(as->root);
    g_ptr_array_unref(as->listeners);
    g_free(as->ranges);
    g_free(as->ram);
    *as = (AddressSpace) { 0 };
}

void address_space_add_listener(AddressSpace *as, MemoryListener *listener)
{
    g_assert(!as->sealed);
    g_ptr_array_add(as->listeners, listener);
}

static bool tell_listeners(AddressSpace *as, Error **errp)
{
    for (guint l = 0; l < as->listeners->len; l++) {
        MemoryListener *listener = g_ptr_array_index(as->listeners, l);

        for (unsigned i = 0; listener->region_add && i < as->nr_ranges; i++) {
            if (!listener->region_add(listener, &as->ranges[i], errp)) {
                return false;
            }
        }
    }
    return true;
}

/* Eventfds that devices asked for while the tree was still open. */
static void flush_eventfds(AddressSpace *as)
{
    for (unsigned i = 0; i < as->nr_ranges; i++) {
        MemoryRegion *mr = as->ranges[i].mr;
        g_autoptr(GArray) early = g_steal_pointer(&mr->ioeventfds);

        for (guint n = 0; early && n < early->len; n++) {
            memory_region_add_eventfd(as, mr,
                                      &g_array_index(early, MemoryRegionIoeventfd, n));
        }
    }
}

bool address_space_seal(AddressSpace *as, Error **errp)
{
    g_autoptr(GArray) flat = g_array_new(FALSE, FALSE, sizeof(FlatRange));
    Window all = { .lo = 0, .size = as->root->size };

    g_assert(!as->sealed);
    render(flat, as->root, 0, all);
    as->nr_ranges = flat->len;
    as->ranges = g_memdup2(flat->data, flat->len * sizeof(FlatRange));
    as->ram = g_new0(FlatRange, MAX(flat->len, 1));
    for (unsigned i = 0; i < as->nr_ranges; i++) {
        if (as->ranges[i].mr->kind == MEMORY_REGION_RAM) {
            as->ram[as->nr_ram++] = as->ranges[i];
        }
    }
    as->sealed = true;
    if (!tell_listeners(as, errp)) {
        return false;
    }
    flush_eventfds(as);
    return true;
}

void memory_region_set_coalesced(MemoryRegion *mr, hwaddr offset, uint64_t len)
{
    g_assert(mr->kind == MEMORY_REGION_IO && mr->ops->lockless);
    mr->coalesced = (MemoryRegionCoalesced) { offset, len };
}

void address_space_flush_coalesced(const AddressSpace *as)
{
    for (guint l = 0; l < as->listeners->len; l++) {
        MemoryListener *listener = g_ptr_array_index(as->listeners, l);

        if (listener->flush_coalesced) {
            listener->flush_coalesced(listener);
        }
    }
}

/* Where the region starts in the sealed map; false if it is not visible. */
static bool region_address(const AddressSpace *as, const MemoryRegion *mr,
                           hwaddr offset, hwaddr *addr)
{
    for (unsigned i = 0; i < as->nr_ranges; i++) {
        const FlatRange *r = &as->ranges[i];

        if (r->mr == mr && offset >= r->offset && offset - r->offset < r->size) {
            *addr = r->start + (offset - r->offset);
            return true;
        }
    }
    return false;
}

int memory_region_add_eventfd(AddressSpace *as, MemoryRegion *mr,
                              const MemoryRegionIoeventfd *fd)
{
    hwaddr addr;
    int ret = 0;

    g_assert(mr->ops->lockless);
    if (!mr->ioeventfds) {
        mr->ioeventfds = g_array_new(FALSE, FALSE, sizeof(*fd));
    }
    for (guint l = 0; as->sealed && l < as->listeners->len; l++) {
        MemoryListener *listener = g_ptr_array_index(as->listeners, l);

        if (listener->eventfd_add && region_address(as, mr, fd->addr, &addr)) {
            ret = listener->eventfd_add(listener, addr, fd);
        }
    }
    if (ret == 0) {
        g_array_append_val(mr->ioeventfds, *fd);
    }
    return ret;
}

void memory_region_del_eventfd(AddressSpace *as, MemoryRegion *mr,
                               const MemoryRegionIoeventfd *fd)
{
    hwaddr addr;

    for (guint i = 0; mr->ioeventfds && i < mr->ioeventfds->len; i++) {
        const MemoryRegionIoeventfd *f =
            &g_array_index(mr->ioeventfds, MemoryRegionIoeventfd, i);

        if (f->addr != fd->addr || f->size != fd->size || f->e != fd->e ||
            f->match_data != fd->match_data || f->data != fd->data) {
            continue;
        }
        for (guint l = 0; as->sealed && l < as->listeners->len; l++) {
            MemoryListener *listener = g_ptr_array_index(as->listeners, l);

            if (listener->eventfd_del && region_address(as, mr, fd->addr, &addr)) {
                listener->eventfd_del(listener, addr, fd);
            }
        }
        g_array_remove_index(mr->ioeventfds, i);
        return;
    }
}
