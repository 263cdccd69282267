/*
 * The system side of the software CPU: segments, exceptions, MSRs, ports, and
 * its seam to the local APIC.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef TARGET_I386_TCG_SYSTEM_H
#define TARGET_I386_TCG_SYSTEM_H

#include "target/i386/tcg/sys/desc.h"
#include "target/i386/tcg/tcg-cpu.h"

/* The APIC as the CPU uses it; accel/tcg/ connects it. All on the CPU's thread. */
typedef struct TCGPVOps {
    /* KVM hypercall to other CPUs: kick, IPIs (Linux, hypercalls.rst). */
    uint64_t (*hypercall)(TCGCPU *c, uint64_t nr, const uint64_t *args);
    void (*steal_update)(TCGCPU *c);
    void (*set_preempted)(TCGCPU *c, bool preempted);
} TCGPVOps;

/* exec.c ------------------------------------------------------------------- */
typedef enum TCGExit {
    TCG_EXIT_REQUEST,       /* POLL_EXIT */
    TCG_EXIT_HALT,          /* c->halted, or not started */
    TCG_EXIT_SHUTDOWN,      /* triple fault */
    TCG_EXIT_DEBUG,         /* c->debug: an INT3, or an event */
} TCGExit;
/* Run guest code. On the CPU's thread, without the machine lock. */
TCGExit tcg_run(TCGCPU *c);
/* Set bits in c->poll. Any thread. */
void tcg_poll_set(TCGCPU *c, unsigned bits);

/* seg.c -------------------------------------------------------------------- */
/* Do selectors name descriptors: neither real nor virtual-8086 mode. */
static inline bool tcg_protected(const TCGCPU *c)
{
    return (c->cr0 & CR0_PE) && !(c->eflags & VM_MASK);
}
/* Are size bytes at off within the limit of a segment? */
static inline bool tcg_in_limit(const SegmentCache *s, uint64_t off, unsigned size)
{
    uint64_t last = off + size - 1;

    if ((s->attr & 0xc) == 4) {         /* expand-down data */
        return off > s->limit && last <= (s->attr & DESC_DB ? 0xffffffffu : 0xffff);
    }
    return last <= s->limit;
}
/* Load a segment register as MOV and POP do. Raises. */
void tcg_load_seg(TCGCPU *c, unsigned seg, uint16_t sel);
/* The descriptor that sel names; false: outside its table. Raises #PF. */
bool tcg_read_desc(TCGCPU *c, uint16_t sel, uint64_t *lo, uint64_t *hi);
void tcg_desc_to_cache(uint16_t sel, uint64_t desc, SegmentCache *sc);
/* desc with its accessed bit set, in the table too: it is about to be loaded. Raises. */
uint64_t tcg_mark_accessed(TCGCPU *c, uint16_t sel, uint64_t desc);
/* #GP(error) unless off is an address in the code segment desc. */
void tcg_check_target(TCGCPU *c, uint64_t desc, uint64_t off, uint32_t error);
/* Set CS (and CPL) from a checked descriptor. Raises as long as nothing has changed. */
void tcg_set_cs(TCGCPU *c, uint16_t sel, uint64_t desc, unsigned cpl);
/* Flat 64-bit or 32-bit CS and SS, as SYSCALL and its kin make them. */
void tcg_set_flat_cs(TCGCPU *c, uint16_t sel, unsigned cpl, bool code64);
void tcg_set_flat_ss(TCGCPU *c, uint16_t sel, unsigned cpl);
/*
 * gates.c: a far JMP or CALL to what is no code segment: a call gate, a task gate or a
 * TSS, or else #GP. next: the address behind the instruction. Sets c->eip.
 */
void tcg_far_gate(TCGCPU *c, uint16_t sel, uint64_t desc, bool call, uint64_t next);
/*
 * To an outer ring: selector 0 in data segments that may not be used there, and in those
 * that were null with an RPL. The bases of FS and GS stay.
 */
void tcg_drop_segs(TCGCPU *c);

/* task.c ------------------------------------------------------------------- */
typedef struct TaskSwitch {
    enum { TASK_JMP, TASK_CALL, TASK_IRET, TASK_INT } why;
    uint16_t sel;           /* of the TSS; who may use it has been checked */
    uint32_t eip, eflags;   /* of the old task, when it goes on */
    bool external;          /* the EXT bit of error codes */
    bool has_err;           /* err goes on the new task's stack */
    uint32_t err;
} TaskSwitch;
/* Outside long mode. Sets c->eip. Raises, in the old task or the new one. */
void tcg_task_switch(TCGCPU *c, const TaskSwitch *s);
/* The task to which IRET with NT set returns. */
uint16_t tcg_task_link(TCGCPU *c);
/* size bytes at off in the TSS; ext is added to error codes. */
uint64_t tcg_tss_read(TCGCPU *c, unsigned off, unsigned size, uint32_t ext);
/* Outside long mode: SS, marked as accessed, and SP, returned, for an inner ring. Raises. */
uint64_t tcg_inner_stack(TCGCPU *c, unsigned cpl, uint32_t ext, SegmentCache *ss);

/* vm86.c ------------------------------------------------------------------- */
/* IRET at CPL 0 whose EFLAGS have VM set: pop the frame on the stack. May raise. */
void tcg_vm86_enter(TCGCPU *c);
/* EFLAGS.VM has been saved: data segments become null. */
void tcg_vm86_leave(TCGCPU *c);
void tcg_vm86_load_seg(TCGCPU *c, unsigned seg, uint16_t sel);
/* #GP in virtual-8086 mode unless IOPL is 3: PUSHF, POPF, INT n, IRET. */
void tcg_vm86_need_iopl(TCGCPU *c);

/* excp.c ------------------------------------------------------------------- */
typedef enum IntKind { INT_FAULT, INT_TRAP, INT_SOFT, INT_EXTERNAL } IntKind;
/* Go through the IDT; eip is what the handler returns to. Raises. */
void tcg_interrupt(TCGCPU *c, unsigned vector, IntKind kind, bool has_err,
                   uint32_t err, uint64_t eip);
/* INT n, INT3, INTO; next is the address behind the instruction. */
void tcg_soft_int(TCGCPU *c, unsigned vector, uint64_t next);

/* msr.c, cpuid.c ----------------------------------------------------------- */
uint64_t tcg_tsc(const TCGCPU *c);
/* The guest's TSC ticks this many times a second (kHz), but for that of a machine that came in. */
uint64_t tcg_tsc_khz(void);
/* Its ticks within so many ns, at the rate of c->tcg. */
uint64_t tcg_ticks(const TCGCPU *c, int64_t ns);
void tcg_rdmsr(TCGCPU *c, uint32_t msr, uint64_t *v);
void tcg_wrmsr(TCGCPU *c, uint32_t msr, uint64_t v);
/* The fields of MSRs were set as a whole: what they stand for follows. */
void tcg_msrs_loaded(TCGCPU *c);
/* Does its CPUID show the feature? */
static inline bool tcg_has(const TCGCPU *c, X86Feature f)
{
    return c->cpuid && x86_feature_in(&c->cpuid->features, f);
}

/* What CPUID shows; t outlives c. Before anything is executed. */
void tcg_set_cpuid(TCGCPU *c, const CPUIDTable *t);

/* io.c --------------------------------------------------------------------- */
/* #GP if the program may not touch these ports: IOPL, the TSS's bitmap. */
void tcg_check_io(TCGCPU *c, unsigned port, unsigned size);
uint64_t tcg_in(TCGCPU *c, unsigned port, unsigned size);
void tcg_out(TCGCPU *c, unsigned port, uint64_t v, unsigned size);

/* cregs.c ------------------------------------------------------------------ */
/* A value that an instruction loads; #GP for what the register may not hold. */
void tcg_set_cr0(TCGCPU *c, uint64_t v);
void tcg_set_cr3(TCGCPU *c, uint64_t v);
void tcg_set_cr4(TCGCPU *c, uint64_t v);
void tcg_set_efer(TCGCPU *c, uint64_t v);
void tcg_set_pkru(TCGCPU *c, uint32_t v);

/* vector state ------------------------------------------------------------- */
/* Load the guest's MXCSR into the host (all masked) and back, with flags. */
void tcg_mxcsr_enter(TCGCPU *c);
void tcg_mxcsr_leave(TCGCPU *c);

#endif
