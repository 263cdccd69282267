/*
 * What accelerators are told of the memory map, and help it with.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef EXEC_MEMORY_LISTENER_H
#define EXEC_MEMORY_LISTENER_H

#include "exec/hwaddr.h"
#include "qemu/error.h"
#include "qemu/event_notifier.h"

typedef struct FlatRange FlatRange;
typedef struct MemoryListener MemoryListener;

/* An eventfd that a write to addr (of any data, or of just data) signals. */
typedef struct MemoryRegionIoeventfd {
    hwaddr addr;                /* in the region */
    unsigned size;              /* 0: any size; else 1, 2, 4, 8 */
    bool match_data;
    uint64_t data;
    EventNotifier *e;
} MemoryRegionIoeventfd;

/* Registers of a region whose writes may be coalesced; len 0: there are none. */
typedef struct MemoryRegionCoalesced {
    hwaddr offset;
    uint64_t len;
} MemoryRegionCoalesced;

/* Who wants to hear of the sealed map: the accelerator. NULL hooks allowed. */
struct MemoryListener {
    /* Once for each range, in ascending order, when the map is sealed. */
    bool (*region_add)(MemoryListener *listener, const FlatRange *range,
                       Error **errp);
    /*
     * An eventfd came or went at an absolute address. May be called on any
     * thread after sealing. Returns 0 or negative errno.
     */
    int (*eventfd_add)(MemoryListener *listener, hwaddr addr,
                       const MemoryRegionIoeventfd *fd);
    void (*eventfd_del)(MemoryListener *listener, hwaddr addr,
                        const MemoryRegionIoeventfd *fd);
    /* Dispatch the coalesced writes that are known of. Any thread. */
    void (*flush_coalesced)(MemoryListener *listener);
};

#endif
