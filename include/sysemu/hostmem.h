/*
 * Memory backends: the host memory that becomes guest RAM.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef SYSEMU_HOSTMEM_H
#define SYSEMU_HOSTMEM_H

#include <stdatomic.h>

#include "exec/memory.h"
#include "hw/boards.h"
#include "qemu/object.h"

/* NUMA nodes of the host that a backend can name. */
#define HOST_NODES_MAX 128

extern EnumNames host_mem_policies;

/* -object memory-backend-ram|memfd|file */
typedef struct HostMemoryBackend {
    Object obj;
    uint64_t size;
    bool share;
    bool prealloc;
    bool reserve;
    bool merge;             /* MADV_MERGEABLE (KSM) */
    bool dump;              /* part of a core dump of the VMM */
    bool hugetlb;           /* memfd */
    uint64_t hugetlbsize;
    bool seal;              /* memfd: against shrinking and growing */
    char *mem_path;         /* file */
    bool readonly;          /* file: mapped without the right to write */
    bool discard_data;
    uint64_t align;
    uint32_t prealloc_threads;
    GPtrArray *host_nodes;  /* "0", "2-3": as given */
    int policy;             /* of those nodes: index of host_mem_policies, MPOL_… */
    unsigned long node_mask[HOST_NODES_MAX / (8 * sizeof(long))];   /* host_nodes, parsed */

    int fd;                 /* -1: anonymous */
    void *host;             /* NULL until complete */
    uint64_t page_size;     /* what the host gives and takes back */
    bool had_contents;      /* of mem_path, before we mapped it */
    bool in_use;            /* a machine maps it */
    atomic_bool kept;            /* nothing of it is given back for now */
    MemoryRegion mr;        /* a device's place for it in the guest's memory */
    /* RAM of several backends, one behind the other at host: borrowed; else NULL and 0. */
    struct HostMemoryBackend **parts;
    unsigned nr_parts;
} HostMemoryBackend;

bool object_is_memory_backend(const Object *obj);

/*
 * What the machine uses when none is named: private and anonymous, or a file at mem_path
 * (may be NULL), with the machine's size, mem-merge and dump-guest-core. The caller's;
 * NULL with errp set on failure.
 */
HostMemoryBackend *host_memory_backend_new_default(const MachineState *ms,
                                                   const char *mem_path,
                                                   bool prealloc,
                                                   Error **errp);

/*
 * The RAM of several complete backends, which move to be one piece of this process's memory, in
 * their order: it has that piece's size and the largest of their page sizes, and no descriptor.
 * The caller's (object_free()), to be freed before the parts. NULL with errp set.
 */
Object *host_memory_backend_join(const GPtrArray *parts, const char *id, Error **errp);

/*
 * The backend that brought the byte at host: b itself, or one of its parts. NULL if host lies
 * outside of b.
 */
const HostMemoryBackend *host_memory_backend_part(const HostMemoryBackend *b, const void *host);

/* Whether other processes can map all of it, by its descriptors. */
bool host_memory_backend_is_shared(const HostMemoryBackend *b);
/* Whether all of it is files that others find by their names; before: and that had contents. */
bool host_memory_backend_is_named(const HostMemoryBackend *b, bool before);
/* Whether a private mapping of a file may come in its place: anonymous, not bound, not filled. */
bool host_memory_backend_is_plain(const HostMemoryBackend *b);

/* Whether pages are not to be given back for now: a balloon gets none. */
void host_memory_backend_keep(HostMemoryBackend *b, bool keep);

/* A private mapping of a file has come in place of the anonymous memory. */
void host_memory_backend_replaced(HostMemoryBackend *b);

/*
 * Give what is at host back to the host at once: pages that lie within [host, host + len)
 * completely; they read as zeros afterwards. False: nothing was given, as outside of the backend,
 * while it is kept, or where a private mapping would show what its file held before. Any thread.
 */
bool host_memory_backend_discard(const HostMemoryBackend *b, void *host, uint64_t len);

#endif
