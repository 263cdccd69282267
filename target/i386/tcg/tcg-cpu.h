/*
 * One vCPU of the software CPU.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef TARGET_I386_TCG_CPU_H
#define TARGET_I386_TCG_CPU_H

#include <setjmp.h>
#include <stdatomic.h>

#include "exec/memory.h"
#include "target/i386/cpu.h"
#include "target/i386/tcg/sys/debug.h"
#include "target/i386/tcg/sys/event.h"
#include "target/i386/tcg/decode/insn.h"
#include "target/i386/tcg/mem/tlb.h"

#define likely(x)   __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)

#define TCG_PAGE_BITS 12
#define TCG_PAGE_SIZE 4096u
#define TCG_PAGE_MASK (~(uint64_t)0xfff)

enum {
    EXCP_DE = 0, EXCP_DB = 1, EXCP_NMI = 2, EXCP_BP = 3, EXCP_OF = 4,
    EXCP_BR = 5, EXCP_UD = 6, EXCP_NM = 7, EXCP_DF = 8, EXCP_TS = 10,
    EXCP_NP = 11, EXCP_SS = 12, EXCP_GP = 13, EXCP_PF = 14, EXCP_MF = 16,
    EXCP_AC = 17, EXCP_MC = 18, EXCP_XM = 19,
};

/* Page fault error code: SDM 3A, 4.7. */
#define PF_P 1u
#define PF_W 2u
#define PF_U 4u
#define PF_RSVD 8u
#define PF_I 16u
#define PF_PK 32u

typedef enum MMUAccess { MMU_READ, MMU_WRITE, MMU_FETCH } MMUAccess;

typedef struct TCGState TCGState;       /* shared by all vCPUs: block.h */

/* An access by the slow path, within one page. */
typedef struct TCGAccess {
    uint64_t va;
    uint8_t *host;              /* NULL: a device's, or not as simple as that */
    unsigned n;
    bool write, code;           /* code: the page holds decoded code */
} TCGAccess;

/* c->poll bits: why the interpreter should come back to its loop. */
enum {
    POLL_EXIT = 1 << 0,         /* exit_request, or something to do there */
    POLL_IRQ  = 1 << 1,         /* look at the interrupt controller */
    POLL_EXCLUSIVE = 1 << 2,    /* another vCPU wants to be alone */
    POLL_STEP = 1 << 3,         /* after each instruction, REP's element */
};

struct TCGCPU {
    /* Hot: what nearly every op touches. */
    uint64_t regs[18];          /* and R_ZERO, R_PAGE */
    /* What translated code names most follows: jit/jit-int.h. */
    uint64_t jc_tag[2];         /* of code in the lower and the upper half */
    atomic_uint poll;           /* POLL_*; set by any thread */
    uint32_t jit_flags;         /* of translated code: jit/jit-int.h */
    TLBSlot slots[TLB_SLOTS];

    int64_t lf_res;             /* lazy flags: flags.h */
    uint64_t lf_aux;
    TLBEntry *tlb;              /* of the current address space and mode */
    uint64_t tlb_gen;
    uint64_t eip;               /* of the op that called out, or where to go on */
    int df;                     /* 1 or -1 */
    bool ahead;                 /* x-verify: the interpreter tries what will be translated code's */
    uint64_t jit_tmp;
    uint64_t jit_missed;        /* x-verify: an address that the TLB did not have */

    uint64_t eflags;            /* without CF PF AF ZF SF OF DF */
    SegmentCache segs[CPU_NB_SEGS];
    SegmentCache ldt, tr;
    DescriptorTable gdt, idt;
    uint8_t cpl;
    uint8_t code_size;          /* X86CodeSize */
    uint8_t mmu_mode;
    bool stack32;               /* SS.B (not 64-bit code) */
    bool fpu_off;               /* CR0.TS or EM: x87 and SSE need a look */
    bool check_alignment;       /* #AC: CPL 3 with CR0.AM and EFLAGS.AC */
    uint8_t vex_has, vex_on;    /* VEX_*: what CPUID shows; what can be used now */
    bool vec_off;               /* fpu_off, or no CR4.OSFXSR; translated code looks at both: */
    bool sse_checked;           /* an SSE exception is unmasked */
    bool shadow;                /* STI or MOV SS: next instruction undisturbed */
    bool ss_shadow;             /* MOV SS: by debug traps as well */
    uint8_t fault_seg;          /* of the access: #SS or #GP */
    bool irq_waiting;           /* an interrupt waits for IF */
    bool halted;
    bool nmi_masked;
    atomic_uint nmi_pending;    /* 0 to 2: nmi_latch() */
    atomic_bool init_pending;
    atomic_int sipi_pending;    /* vector, or -1 */
    atomic_bool pv_unhalted;    /* KVM's kick: the next HLT is none */
    atomic_bool asleep;         /* waits for the poll word to change */
    atomic_bool drop_tlb;       /* before it runs on: tcg_drop_all_tlbs() */

    uint64_t cr0, cr2, cr3, cr4, efer, xcr0;
    uint32_t pkru;
    uint64_t dr[8];
    uint64_t apic_base;
    uint64_t star, lstar, cstar, fmask, kernel_gs_base;
    uint64_t sysenter_cs, sysenter_esp, sysenter_eip;
    uint64_t pat, tsc_adjust, tsc_aux, misc_enable, spec_ctrl;
    int64_t tsc_offset;
    uint64_t phys_reserved;     /* page table bits that must be 0 */
    uint64_t gib_reserved;      /* and in an entry for 1 GiB, if there are none */
    uint64_t wall_clock_msr, system_time_msr, steal_time_msr, pv_eoi_en_msr, poll_control_msr;
    int64_t steal_wall, steal_cpu;      /* clocks, as of the last look */
    uint64_t spins;             /* PAUSEs since the last yield */

    /* Exception being raised or delivered; -1: none. */
    sigjmp_buf jmp;
    int excp;
    uint32_t excp_err;
    bool excp_has_err;
    int delivering;             /* vector under delivery, -1: none */
    TCGEvent under_way;         /* comes before the next instruction */
    bool shutdown;              /* triple fault */

    /* A read-modify-write that could not be done in place: mem.h. */
    uint8_t rmw_buf[16] __attribute__((aligned(16)));
    uint64_t rmw_addr;
    unsigned rmw_size;
    bool rmw_exclusive;

    /* x87 as registers R0-R7; xmm. */
    FPReg fpregs[8];
    uint16_t fpuc, fpus, fpop;
    uint8_t fptag;              /* bit n: Rn is not empty */
    uint64_t fpip, fpdp;
    uint16_t fpcs, fpds;
    uint32_t mxcsr;             /* control bits; flags while not running */
    XMMReg xmm[16] __attribute__((aligned(16)));
    XMMReg ymmh[16];            /* AVX: the upper halves */
    XMMReg vec_tmp, vec_res;    /* operands of the vector op under way */

    X86Op tmp_ops[2];           /* uncached single instruction */
    struct TCGVerify *verify;   /* jit/verify.c; NULL: no x-verify. Else no TLB lets write */
    void (*on_access)(TCGCPU *c, const TCGAccess *a);   /* while ahead; may raise */
    TCGDebug debug;

    CPUState *cs;               /* NULL in the in-process tests */
    TCGState *tcg;
    AddressSpace *mem, *io;
    const CPUIDTable *cpuid;
    const struct TCGPVOps *pv_ops;      /* system.h; NULL: no APIC */
    struct APICState *apic;     /* target/i386/apic.h; NULL: none */
    uint64_t apic_page;         /* page number of its registers, or -1 */
    unsigned index;
    X86MPState mp_state;
    uint8_t sipi_vector;

    uint64_t gen_next;          /* generations of TLBSpace.gen, never 0 */
    uint64_t code_gen_next;
    /*
     * Code in the upper half, where kernels are: global pages outlive loads of CR3.
     * upper_private: a page that was not global has been seen.
     */
    uint64_t upper_gen, upper_large;
    uint64_t upper_seen[64];    /* as TLBSpace.code_seen */
    bool upper_private;
    uint64_t use_clock;
    unsigned cur_space;
    uint64_t stat_flushes, stat_fills, stat_lookups;
    CodeTLB ctlb[CODE_TLB_SIZE];
    JumpEntry jc[JC_SIZE];
    TLBSpace spaces[TLB_ASIDS];
};

/* Raise an exception of the instruction at c->eip. Does not return. */
G_NORETURN void tcg_raise(TCGCPU *c, int vector);
G_NORETURN void tcg_raise_err(TCGCPU *c, int vector, uint32_t error);
/* Where it could raise: begin the instruction at c->eip anew, from the loop. */
G_NORETURN void tcg_restart(TCGCPU *c);

/* SDM 1, "Canonical Addressing", with 48 bits. */
static inline bool tcg_canonical(uint64_t addr)
{
    return (uint64_t)((int64_t)(addr << 16) >> 16) == addr;
}

/* What tags of the jump cache and the code TLB must be for code at lin. */
static inline uint64_t code_tag(const TCGCPU *c, uint64_t lin)
{
    return c->jc_tag[lin >> 63];
}

/* After a change of CPL, CS, SS, CR0, CR4, EFER, AC: derived fields. */
void tcg_update_mode(TCGCPU *c);

#endif
