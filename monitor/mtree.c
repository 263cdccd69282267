/*
 * "info mtree" and "info surface": what the guest can reach.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "exec/memory.h"
#include "hmp.h"
#include "qmp.h"

/* The memory tree ------------------------------------------------------------- */

typedef struct TreePrinter {
    Monitor *mon;
    GPtrArray *targets;     /* of const MemoryRegion: aliased, to be shown */
} TreePrinter;

static const char *kind_name(const MemoryRegion *mr)
{
    while (mr->kind == MEMORY_REGION_ALIAS) {
        mr = mr->alias;
    }
    if (mr->kind == MEMORY_REGION_RAM) {
        return mr->readonly ? "rom" : "ram";
    }
    return "i/o";
}

static void print_region(const MemoryRegion *mr, hwaddr start, unsigned depth,
                         void *opaque)
{
    TreePrinter *tp = opaque;
    /* The size of a whole address space does not fit into 64 bits. */
    hwaddr last = mr->size == UINT64_MAX ? UINT64_MAX : start + (mr->size - 1);

    monitor_printf(tp->mon, "%*s" HWADDR_FMT "-" HWADDR_FMT " (prio %d, %s): ",
                   (int)(depth + 1) * 2, "", start, last, mr->priority, kind_name(mr));
    if (mr->kind != MEMORY_REGION_ALIAS) {
        monitor_printf(tp->mon, "%s\n", mr->name);
        return;
    }
    monitor_printf(tp->mon, "alias %s @%s " HWADDR_FMT "-" HWADDR_FMT "\n", mr->name,
                   mr->alias->name, mr->alias_offset, mr->alias_offset + (mr->size - 1));
    if (!g_ptr_array_find_with_equal_func(tp->targets, mr->alias, NULL, NULL)) {
        g_ptr_array_add(tp->targets, mr->alias);
    }
}

static void print_address_space(Monitor *mon, AddressSpace *as, TreePrinter *tp)
{
    if (as->root) {
        monitor_printf(mon, "address-space: %s\n", as->name);
        memory_region_foreach(as->root, print_region, tp);
        monitor_puts(mon, "\n");
    }
}

static void print_flat_view(Monitor *mon, AddressSpace *as, unsigned n)
{
    if (!as->root) {
        return;
    }
    monitor_printf(mon, "FlatView #%u\n AS \"%s\", root: %s\n Root memory region: %s\n", n,
                   as->name, as->root->name, as->root->name);
    for (unsigned i = 0; i < as->nr_ranges; i++) {
        const FlatRange *r = &as->ranges[i];

        monitor_printf(mon, "  " HWADDR_FMT "-" HWADDR_FMT " (prio %d, %s): %s", r->start,
                       r->start + (r->size - 1), r->mr->priority, kind_name(r->mr),
                       r->mr->name);
        if (r->offset) {
            monitor_printf(mon, " @" HWADDR_FMT, r->offset);
        }
        monitor_puts(mon, "\n");
    }
    monitor_puts(mon, "\n");
}

void hmp_info_mtree(Monitor *mon, json_t *args)
{
    MachineState *ms = mon->ms;
    g_autoptr(GPtrArray) targets = g_ptr_array_new();
    TreePrinter tp = { mon, targets };

    if (hmp_bool(args, "flatview")) {
        print_flat_view(mon, &ms->memory, 0);
        print_flat_view(mon, &ms->io, 1);
        return;
    }
    print_address_space(mon, &ms->memory, &tp);
    print_address_space(mon, &ms->io, &tp);
    for (guint i = 0; i < targets->len; i++) {
        const MemoryRegion *mr = g_ptr_array_index(targets, i);

        if (!mr->container) {
            monitor_printf(mon, "memory-region: %s\n", mr->name);
            memory_region_foreach(mr, print_region, &tp);
            monitor_puts(mon, "\n");
        }
    }
}

/* The surface ------------------------------------------------------------------ */

static const char *server_name(const MemoryRegion *mr)
{
    return mr->kind == MEMORY_REGION_KERNEL ? "kernel" : "vmm";
}

/* Every range of as that is not memory, with totals. */
static json_t *surface_of(const AddressSpace *as)
{
    json_t *list = json_array();
    json_int_t kernel = 0, vmm = 0;

    for (unsigned i = 0; i < as->nr_ranges; i++) {
        const FlatRange *r = &as->ranges[i];

        if (r->mr->kind == MEMORY_REGION_RAM) {
            continue;
        }
        *(r->mr->kind == MEMORY_REGION_KERNEL ? &kernel : &vmm) += r->size;
        json_array_append_new(list, json_pack("{s:I,s:I,s:s,s:s}",
            "start", (json_int_t)r->start, "size", (json_int_t)r->size,
            "name", r->mr->name, "server", server_name(r->mr)));
    }
    return json_pack("{s:o,s:i,s:I,s:I,s:I}", "ranges", list,
                     "count", (int)json_array_size(list), "bytes", kernel + vmm,
                     "kernel-bytes", kernel, "vmm-bytes", vmm);
}

json_t *qmp_x_query_surface(Monitor *mon, json_t *args, Error **errp)
{
    return json_pack("{s:o,s:o}", "ports", surface_of(&mon->ms->io),
                     "memory", surface_of(&mon->ms->memory));
}

static void print_surface(Monitor *mon, json_t *space, const char *title, int digits)
{
    json_t *r;
    size_t i;

    monitor_printf(mon, "%s:\n", title);
    json_array_foreach(json_object_get(space, "ranges"), i, r) {
        uint64_t start = hmp_int(r, "start", 0), size = hmp_int(r, "size", 0);

        monitor_printf(mon, "  %0*" PRIx64 "-%0*" PRIx64 " %8" PRIu64 " bytes  %-6s  %s\n",
                       digits, start, digits, start + (size - 1), size,
                       hmp_str(r, "server"), hmp_str(r, "name"));
    }
    monitor_printf(mon, "  total: %" PRId64 " ranges, %" PRId64 " bytes (kernel %" PRId64
                   ", vmm %" PRId64 ")\n", hmp_int(space, "count", 0),
                   hmp_int(space, "bytes", 0), hmp_int(space, "kernel-bytes", 0),
                   hmp_int(space, "vmm-bytes", 0));
}

void hmp_info_surface(Monitor *mon, json_t *args)
{
    json_t *s = hmp_qmp(mon, "x-query-surface", NULL);

    print_surface(mon, json_object_get(s, "ports"), "I/O ports", 4);
    print_surface(mon, json_object_get(s, "memory"), "Memory, without RAM", 16);
    json_decref(s);
}
