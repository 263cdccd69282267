/*
 * What the files of the software CPU's accelerator share.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef ACCEL_TCG_INT_H
#define ACCEL_TCG_INT_H

#include "qemu/cutils.h"
#include "sysemu/accel.h"
#include "target/i386/tcg/block.h"
#include "target/i386/tcg/sys/system.h"

#define TCG_CODE (23 * MiB)      /* memory for blocks and translated code, to begin with */

#define TCG_PHYS_BITS 40

enum { TCG_THREAD_SINGLE, TCG_THREAD_MULTI };

typedef struct TCGAccel {
    AccelState parent;
    uint64_t tb_size;           /* "tb-size": bytes for decoded blocks; 0: as the guest needs */
    int thread_mode;            /* "thread": TCG_THREAD_* */
    bool one_insn;              /* "one-insn-per-tb" */
    OnOffAuto jit;              /* "jit": translate what is executed often */
    bool verify;                /* "x-verify": and compare with the interpreter */
    uint32_t jit_threshold;     /* "x-jit-threshold": how often */
    bool perfmap;               /* "perfmap": names of translated code for perf */
    int perf_map;               /* its file, until the translator has it, or -1 */
    TCGState *state;            /* made by the first vCPU: RAM is known then */
    X86Clock clock;             /* tcg-state.c: where the machine was saved */
} TCGAccel;

static inline TCGAccel *tcg_accel(const CPUState *cpu)
{
    return downcast(cpu->machine->accel, TCGAccel, parent);
}

static inline TCGCPU *tcg_cpu(const CPUState *cpu)
{
    return (TCGCPU *)cpu->accel;
}

/* tcg-cpu.c: the hooks of AccelClass by these names. */
bool tcg_vcpu_init(CPUState *cpu, Error **errp);
void tcg_vcpu_destroy(CPUState *cpu);
void tcg_vcpu_exec(CPUState *cpu);
void tcg_vcpu_kick(CPUState *cpu);
void tcg_inject_nmi(CPUState *cpu);
bool tcg_is_dead(CPUState *cpu);
/* tcg-dirty.c: a hook of AccelClass */
uint64_t tcg_dirty_take(AccelState *as, struct DirtyLog *log, uint64_t *words);
/* tcg-state.c: a hook of AccelClass */
void tcg_foreach_state(AccelState *as, StateFn *fn, void *opaque);
/* tcg-debug.c */
int tcg_set_debug(CPUState *cpu, const CPUDebug *debug);
/* After TCG_EXIT_DEBUG: false when it is to go on. The CPU's thread. */
bool tcg_debug_exit(TCGCPU *c);
/* tcg-regs.c */
void tcg_get_registers(CPUState *cpu);
bool tcg_put_registers(CPUState *cpu);
/* tcg-crash.c: say on stderr where the guest was if a signal ends us. */
void tcg_crash_init(void);
/* This thread runs c's code from now on; NULL: no more. */
void tcg_crash_running(TCGCPU *c);
/* tcg-pv.c: KVM's hypercalls; what RAX gets. */
uint64_t tcg_hypercall(TCGCPU *c, uint64_t nr, const uint64_t *args);
/* The thread begins to run guest code, after it has slept or was stopped. */
void tcg_steal_begin(TCGCPU *c);
/* It waits for its turn to run, or no longer does. */
void tcg_set_preempted(TCGCPU *c, bool preempted);
/* From time to time, while the guest has steal time switched on. */
void tcg_steal_update(TCGCPU *c);
/* tcg-apic.c: join the vCPU and its local APIC. */
void tcg_connect_apic(TCGCPU *c, X86CPU *cpu);

/* Make a halted or waiting vCPU look at its poll word. Any thread. */
void tcg_wake(TCGCPU *c);

/* From vcpu-calls.inc. */
extern const ThreadFilter tcg_vcpu_filter;

#endif
