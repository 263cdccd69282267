/*
 * Memory regions and address spaces: what answers at which guest address.
 *
 * A machine builds a tree of regions, then seals it. Sealing renders the tree
 * into a sorted array that is never changed again, so that look-ups need no
 * lock and no reference count.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef EXEC_MEMORY_H
#define EXEC_MEMORY_H

#include <glib.h>
#include <stdbool.h>

#include "exec/hwaddr.h"
#include "exec/memory-listener.h"
#include "qemu/error.h"

typedef struct MemoryRegion MemoryRegion;
typedef struct AddressSpace AddressSpace;

/*
 * What an io region does. Sizes are 1, 2, 4 or 8 bytes, data is in host (and
 * guest) little-endian order, addr counts from the start of the region.
 */
typedef struct MemoryRegionOps {
    uint64_t (*read)(void *opaque, hwaddr addr, unsigned size);
    void (*write)(void *opaque, hwaddr addr, uint64_t data, unsigned size);
    /*
     * Accesses outside these limits never reach the device: reads give all
     * ones on the I/O bus and zero in memory, writes are dropped. Zero means
     * 1 (min) and 8 (max). Unaligned accesses are refused unless allowed.
     */
    struct {
        unsigned min_access_size;
        unsigned max_access_size;
        bool unaligned;
    } valid;
    /*
     * What read and write implement; other valid accesses are split or widened
     * into these. Zero: as valid.
     */
    struct {
        unsigned min_access_size;
        unsigned max_access_size;
    } impl;
    /* Called without the machine lock: the device has its own protection. */
    bool lockless;
} MemoryRegionOps;

typedef enum MemoryRegionKind {
    MEMORY_REGION_CONTAINER,
    MEMORY_REGION_IO,
    MEMORY_REGION_RAM,
    MEMORY_REGION_ALIAS,
    MEMORY_REGION_KERNEL,       /* served by the host kernel: shown, not dispatched */
} MemoryRegionKind;

/* Embedded in its owner, which outlives the address space. Fields private. */
struct MemoryRegion {
    MemoryRegionKind kind;
    bool readonly;
    const char *name;
    const MemoryRegionOps *ops;
    void *opaque;
    uint64_t size;
    hwaddr addr;                /* in the container */
    int priority;
    void *host;                 /* RAM: the first byte */
    MemoryRegion *alias;
    hwaddr alias_offset;
    MemoryRegion *container;
    GPtrArray *subregions;      /* of MemoryRegion, by address */
    GArray *ioeventfds;         /* of MemoryRegionIoeventfd */
    MemoryRegionCoalesced coalesced;
};

/* One piece of a sealed map: no overlaps, sorted by start. */
struct FlatRange {
    hwaddr start;
    uint64_t size;
    hwaddr offset;              /* of start in mr */
    MemoryRegion *mr;           /* io, ram or kernel; aliases are resolved */
};

struct AddressSpace {
    const char *name;
    MemoryRegion *root;
    bool sealed;
    bool is_io;                 /* the I/O port space: all-ones when nobody answers */
    FlatRange *ranges;
    unsigned nr_ranges;
    FlatRange *ram;             /* only the RAM pieces */
    unsigned nr_ram;
    GPtrArray *listeners;       /* of MemoryListener */
    struct DirtyLog *dirty;     /* exec/dirty-log.h; atomic; NULL: nobody keeps one */
};

/* A region that only holds others. name is not copied, in all of these. */
void memory_region_init(MemoryRegion *mr, const char *name, uint64_t size);
/* Device registers. */
void memory_region_init_io(MemoryRegion *mr, const MemoryRegionOps *ops,
                           void *opaque, const char *name, uint64_t size);
/* RAM at host, which the caller owns. */
void memory_region_init_ram_ptr(MemoryRegion *mr, const char *name, uint64_t size, void *host);
/* RAM that the guest cannot write, at host, which may be mapped so. */
void memory_region_init_rom_ptr(MemoryRegion *mr, const char *name, uint64_t size, void *host);
/* A window on [offset, offset + size) of orig. */
void memory_region_init_alias(MemoryRegion *mr, const char *name,
                              MemoryRegion *orig, hwaddr offset,
                              uint64_t size);
/* A place that the host kernel serves (in-kernel interrupt controllers). */
void memory_region_init_kernel(MemoryRegion *mr, const char *name, uint64_t size);

/* Put sub into mr at offset. Before sealing. The higher priority wins. */
void memory_region_add_subregion(MemoryRegion *mr, hwaddr offset,
                                 MemoryRegion *sub);
void memory_region_add_subregion_overlap(MemoryRegion *mr, hwaddr offset,
                                         MemoryRegion *sub, int priority);
/* Take sub out of its container again. Before sealing. */
void memory_region_del_subregion(MemoryRegion *sub);

/*
 * Ask the accelerator to have writes signal e; before or after sealing. Of a lockless
 * region, whose own handler does the same for the writes that still come: with an
 * accelerator that matches none, all. Machine lock. Returns 0 or negative errno.
 */
int memory_region_add_eventfd(AddressSpace *as, MemoryRegion *mr,
                              const MemoryRegionIoeventfd *fd);
void memory_region_del_eventfd(AddressSpace *as, MemoryRegion *mr,
                               const MemoryRegionIoeventfd *fd);

/*
 * Writes to these registers of a lockless region may be coalesced (KVM_COALESCED_MMIO):
 * dispatched later, in order and before any access that leaves the host kernel, but else not
 * before somebody calls address_space_flush_coalesced(). It saves a CPU's way to user space.
 * Their handlers run on any thread and may neither take the machine lock nor flush. Before
 * sealing.
 */
void memory_region_set_coalesced(MemoryRegion *mr, hwaddr offset, uint64_t len);
/*
 * Dispatch all coalesced writes that CPUs made so far. Any thread, with or without the machine
 * lock; cheap if there are none.
 */
void address_space_flush_coalesced(const AddressSpace *as);

void address_space_init(AddressSpace *as, MemoryRegion *root, const char *name,
                        bool is_io);
void address_space_destroy(AddressSpace *as);
/* Before sealing; the listener stays the caller's. */
void address_space_add_listener(AddressSpace *as, MemoryListener *listener);
/* Render the tree and tell the listeners; the tree must not change any more. */
bool address_space_seal(AddressSpace *as, Error **errp);

/* The range that holds addr in a sealed space, or NULL. */
const FlatRange *address_space_lookup(const AddressSpace *as, hwaddr addr);

/*
 * The one door to guest memory: a pointer to len bytes at addr, only if all
 * of them are one piece of RAM that can be written; NULL otherwise (also for len 0). The
 * pointer is valid as long as the address space. Any thread, no lock. What it points
 * to changes under the reader: read once, check, then use. Who has written there says so by
 * address_space_wrote() (exec/dirty-log.h); virtqueues do it for what devices return.
 */
void *address_space_map(const AddressSpace *as, hwaddr addr, uint64_t len);
/* The same to read only: memory that cannot be written, too. */
const void *address_space_map_ro(const AddressSpace *as, hwaddr addr, uint64_t len);

/*
 * Read or write an access of 1, 2, 4 or 8 bytes as a CPU would: RAM or a
 * device register. Takes the machine lock for devices that want it, so call
 * without it; the _locked form is for callers that hold it. Returns false when nobody
 * answered (the read value is then all ones or zero).
 */
bool address_space_rw(AddressSpace *as, hwaddr addr, uint64_t *data,
                      unsigned size, bool is_write);
bool address_space_rw_locked(AddressSpace *as, hwaddr addr, uint64_t *data,
                             unsigned size, bool is_write);

/*
 * Copy between buf and guest RAM, across pieces; for loaders and monitors.
 * False if any byte is not RAM (the rest may have been copied).
 */
bool address_space_read(const AddressSpace *as, hwaddr addr, void *buf,
                        uint64_t len);
bool address_space_write(const AddressSpace *as, hwaddr addr, const void *buf,
                         uint64_t len);

/* Call fn for the tree (before rendering) in "info mtree" order. */
typedef void MemoryRegionFn(const MemoryRegion *mr, hwaddr start,
                            unsigned depth, void *opaque);
void memory_region_foreach(const MemoryRegion *root, MemoryRegionFn *fn,
                           void *opaque);
/* Whose region, no container's, has a byte of [start, start + size) in the tree; NULL: nobody's. */
const MemoryRegion *memory_region_find(const MemoryRegion *root, hwaddr start, uint64_t size);

#endif
