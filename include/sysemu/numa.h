/*
 * The guest's NUMA nodes: which RAM and which processors each has, and how far they are apart.
 *
 * Made of -numa options in their order, then completed once; constant from then on.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef SYSEMU_NUMA_H
#define SYSEMU_NUMA_H

#include "hw/boards.h"

#define NUMA_NODES_MAX          128
#define NUMA_DISTANCE_LOCAL     10      /* ACPI 6.5, 5.2.17 */
#define NUMA_DISTANCE_REMOTE    20

typedef struct NumaNode {
    bool present;
    uint64_t size;          /* bytes of RAM; nodes' RAM lies in the order of their ids */
    char *memdev;           /* id of the backend that is all of it; NULL: a part of the machine's */
} NumaNode;

typedef struct NumaState {
    unsigned nr_nodes;
    NumaNode nodes[NUMA_NODES_MAX];
    int *cpu_node;          /* smp.max_cpus of them; -1: not given, until completed */
    uint8_t (*distance)[NUMA_NODES_MAX];    /* [from][to], 0: not given; NULL: none given */
    Object *ram;            /* the RAM, where it is of several backends; owned */
} NumaState;

/*
 * One -numa option: node, dist or cpu. After -smp. Errors are QEMU's. The state is made by the
 * first and lives as long as the machine.
 */
bool numa_option(MachineState *ms, QemuOpts *opts, Error **errp);

/*
 * All options were read and ms->objects are there: check that they fit each other, choose what was
 * left out, and set ms->memory_backend or numa->ram. Without -m (ram_size_given) the nodes' sizes
 * are the machine's. Nothing to do without -numa.
 */
bool numa_complete(MachineState *ms, bool ram_size_given, Error **errp);

/* What "info numa" says; caller frees. */
char *numa_info(const MachineState *ms);

void numa_free(NumaState *numa);

#endif
