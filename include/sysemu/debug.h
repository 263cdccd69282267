/*
 * Debugging guest code from outside: what a debugger asks of an accelerator.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef SYSEMU_DEBUG_H
#define SYSEMU_DEBUG_H

#include <stdbool.h>
#include <stdint.h>

/* x86 has four address registers (SDM 3B, 17.2.1). */
#define CPU_DEBUG_NR_HW 4

typedef enum CPUDebugType {
    CPU_DEBUG_EXECUTE,      /* values as in DR7's R/W fields */
    CPU_DEBUG_WRITE = 1,
    CPU_DEBUG_ACCESS = 3,
} CPUDebugType;

/* What makes a CPU stop: AccelClass.set_debug(). */
typedef struct CPUDebug {
    bool enabled;           /* a debugger is there: INT3 stops, too */
    bool single_step;
    unsigned nr_hw;
    struct {
        uint64_t addr;
        unsigned len;       /* 1, 2, 4 or 8 bytes; 1 for EXECUTE */
        CPUDebugType type;
    } hw[CPU_DEBUG_NR_HW];
    /*
     * Whether the debugger put the INT3 at this linear address there; without one
     * (NULL) it is the guest's own. On the CPU's thread, without the machine lock.
     */
    bool (*owns_breakpoint)(void *opaque, uint64_t addr);
    void *opaque;
} CPUDebug;

static inline bool cpu_debug_owns_breakpoint(const CPUDebug *d, uint64_t addr)
{
    return d->owns_breakpoint && d->owns_breakpoint(d->opaque, addr);
}

/* Why one stopped: CPUState.debug_event, valid once the machine has stopped. */
typedef struct CPUDebugEvent {
    bool hit;
    bool watch;             /* addr was accessed */
    uint64_t addr;
    CPUDebugType type;
} CPUDebugEvent;

#endif
