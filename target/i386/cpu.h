/*
 * The architectural state of an x86-64 CPU.
 *
 * What the Intel SDM and AMD APM call visible state, independent of who runs
 * it: target/i386/kvm.c translates it to ioctls, the software CPU works on it.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef TARGET_I386_CPU_H
#define TARGET_I386_CPU_H

#include "hw/core/cpu.h"
#include "hw/core/state.h"
#include "qemu/object.h"
#include "target/i386/features.h"

enum {
    R_EAX, R_ECX, R_EDX, R_EBX, R_ESP, R_EBP, R_ESI, R_EDI,
    R_R8, R_R9, R_R10, R_R11, R_R12, R_R13, R_R14, R_R15,
    CPU_NB_REGS
};

enum { R_ES, R_CS, R_SS, R_DS, R_FS, R_GS, CPU_NB_SEGS };

#define CC_C    0x0001u
#define CC_P    0x0004u
#define CC_A    0x0010u
#define CC_Z    0x0040u
#define CC_S    0x0080u
#define TF_MASK 0x0100u
#define IF_MASK 0x0200u
#define DF_MASK 0x0400u
#define CC_O    0x0800u
#define IOPL_MASK 0x3000u
#define NT_MASK 0x4000u
#define RF_MASK 0x10000u
#define VM_MASK 0x20000u
#define AC_MASK 0x40000u
#define VIF_MASK 0x80000u
#define VIP_MASK 0x100000u
#define ID_MASK 0x200000u

#define CR0_PE  (1u << 0)
#define CR0_MP  (1u << 1)
#define CR0_EM  (1u << 2)
#define CR0_TS  (1u << 3)
#define CR0_ET  (1u << 4)
#define CR0_NE  (1u << 5)
#define CR0_WP  (1u << 16)
#define CR0_AM  (1u << 18)
#define CR0_NW  (1u << 29)
#define CR0_CD  (1u << 30)
#define CR0_PG  (1u << 31)

#define CR4_VME (1u << 0)
#define CR4_PVI (1u << 1)
#define CR4_TSD (1u << 2)
#define CR4_DE  (1u << 3)
#define CR4_PSE (1u << 4)
#define CR4_PAE (1u << 5)
#define CR4_MCE (1u << 6)
#define CR4_PGE (1u << 7)
#define CR4_PCE (1u << 8)
#define CR4_OSFXSR     (1u << 9)
#define CR4_OSXMMEXCPT (1u << 10)
#define CR4_UMIP       (1u << 11)
#define CR4_LA57       (1u << 12)
#define CR4_FSGSBASE   (1u << 16)
#define CR4_PCIDE      (1u << 17)
#define CR4_OSXSAVE    (1u << 18)
#define CR4_SMEP       (1u << 20)
#define CR4_SMAP       (1u << 21)
#define CR4_PKE        (1u << 22)

/* Components of XSAVE's area (SDM 1, 13.1), in XCR0. */
#define XCR0_X87       (1u << 0)
#define XCR0_SSE       (1u << 1)
#define XCR0_AVX       (1u << 2)
#define XCR0_PKRU      (1u << 9)

#define EFER_SCE   (1u << 0)
#define EFER_LME   (1u << 8)
#define EFER_LMA   (1u << 10)
#define EFER_NXE   (1u << 11)
#define EFER_FFXSR (1u << 14)
#define EFER_AUTOIBRS (1u << 21)

#define APICBASE_BSP    (1u << 8)
#define APICBASE_EXTD   (1u << 10)
#define APICBASE_ENABLE (1u << 11)

#define APIC_DEFAULT_ADDRESS 0xfee00000u

/* Segment attributes as in bytes 5 and 6 of a descriptor (SDM 3A, 3.4.5). */
#define DESC_TYPE_MASK  0x000fu     /* bits 3:0 of the type */
#define DESC_S          0x0010u     /* code or data */
#define DESC_DPL_SHIFT  5
#define DESC_P          0x0080u
#define DESC_AVL        0x1000u
#define DESC_L          0x2000u
#define DESC_DB         0x4000u
#define DESC_G          0x8000u

typedef struct SegmentCache {
    uint16_t selector;
    uint16_t attr;          /* DESC_*; 0: unusable */
    uint32_t limit;         /* in bytes, after scaling by G */
    uint64_t base;
} SegmentCache;

typedef struct DescriptorTable {
    uint64_t base;
    uint16_t limit;
} DescriptorTable;

typedef union XMMReg {
    uint8_t b[16];
    uint16_t w[8];
    uint32_t l[4];
    uint64_t q[2];
    float s[4];
    double d[2];
} XMMReg;

/* The 80-bit register as memory holds it. */
typedef struct FPReg {
    uint64_t mantissa;
    uint16_t exponent;      /* with sign */
} FPReg;

/* KVM's mp_state values are the same in meaning; translated by name. */
typedef enum X86MPState {
    X86_MP_RUNNABLE,
    X86_MP_UNINITIALIZED,   /* waits for INIT */
    X86_MP_INIT_RECEIVED,   /* waits for SIPI */
    X86_MP_SIPI_RECEIVED,
    X86_MP_HALTED,
} X86MPState;

/*
 * Whose state goes to the accelerator: each level writes more than the one before. Other
 * threads may send a CPU events (NMI, INIT, start-up IPI) at any time, so those that
 * wait are only written, and so forgotten, by INIT and a reset.
 */
typedef enum X86PutLevel {
    X86_PUT_CHANGED,        /* registers that a debugger changed */
    X86_PUT_INIT,           /* x86_cpu_init_reset() */
    X86_PUT_RESET,          /* x86_cpu_reset(): time and the local APIC, too */
    X86_PUT_LOADED,         /* all of a saved machine's, events that wait as well */
} X86PutLevel;

#define X86_NB_MTRR_VAR 8

/* The next instruction is undisturbed, as KVM numbers the reasons (KVM_X86_SHADOW_INT_*). */
enum { X86_SHADOW_MOV_SS = 1, X86_SHADOW_STI = 2 };

typedef struct CPUX86State {
    uint64_t regs[CPU_NB_REGS];
    uint64_t eip;
    uint64_t eflags;
    SegmentCache segs[CPU_NB_SEGS];
    SegmentCache ldt;
    SegmentCache tr;
    DescriptorTable gdt;
    DescriptorTable idt;
    uint64_t cr[5];         /* cr[1] unused */
    uint64_t cr8;
    uint64_t dr[8];
    uint64_t xcr0;
    uint64_t efer;
    uint64_t apic_base;

    uint64_t star, lstar, cstar, fmask;
    uint64_t kernel_gs_base;
    uint64_t sysenter_cs, sysenter_esp, sysenter_eip;
    uint64_t pat;
    uint64_t tsc;           /* value at tsc_clock (KVM: when last read) */
    int64_t tsc_clock;      /* ns of QEMU_CLOCK_VIRTUAL; a reset's is that of all CPUs */
    uint64_t tsc_adjust;
    uint64_t tsc_aux;
    uint64_t tsc_deadline;
    uint64_t misc_enable;
    uint64_t spec_ctrl;
    uint64_t mtrr_deftype;
    uint64_t mtrr_fixed[11];
    struct { uint64_t base, mask; } mtrr_var[X86_NB_MTRR_VAR];

    /* KVM's paravirtual MSRs (Linux, Documentation/virt/kvm/x86/msr.rst). */
    uint64_t wall_clock_msr;
    uint64_t system_time_msr;
    uint64_t async_pf_en_msr;
    uint64_t async_pf_int_msr;
    uint64_t steal_time_msr;
    uint64_t pv_eoi_en_msr;
    uint64_t poll_control_msr;

    /* x87, MMX and SSE. */
    FPReg fpregs[8];        /* physical registers R0-R7 */
    uint16_t fpuc;          /* control word */
    uint16_t fpus;          /* status word, with TOP in bits 13:11 */
    uint8_t fptag;          /* abridged: bit n set = Rn not empty */
    uint16_t fpop;
    uint16_t fpcs, fpds;    /* software CPU only; KVM has them in the following */
    uint64_t fpip, fpdp;
    uint32_t mxcsr;
    XMMReg xmm[16];
    /* The state beyond SSE in XSAVE's standard form; may be NULL. */
    void *xsave_area;
    uint32_t xsave_size;    /* bytes of it; 0: NULL */

    X86MPState mp_state;
    uint8_t sipi_vector;

    /* Pending events, as KVM_GET_VCPU_EVENTS has them. */
    uint8_t exception_pending;
    uint8_t exception_injected;
    uint8_t exception_nr;
    bool has_error_code;
    uint32_t error_code;
    bool exception_has_payload;
    uint8_t interrupt_injected;
    uint8_t interrupt_nr;
    bool interrupt_soft;
    uint8_t interrupt_shadow;   /* X86_SHADOW_* */
    uint8_t nmi_pending;        /* how many: 0 to 2 */
    bool nmi_injected, nmi_masked;
    /* Without the kernel's APICs: what other CPUs have sent and this one has not seen yet. */
    bool init_pending;
    bool has_sipi;              /* a start-up IPI with sipi_vector */
    bool pv_unhalted;           /* KVM's kick: the next HLT is none */
    /* The kernel's local APIC, one of each four words of its page. */
    bool has_lapic;
    uint32_t lapic[64];

    /* What the accelerator shall take from here; it then sets X86_PUT_CHANGED. */
    X86PutLevel put_level;
} CPUX86State;

typedef struct CPUIDTable CPUIDTable;

/* One CPUID leaf as the guest sees it. */
typedef struct CPUIDEntry {
    uint32_t leaf;
    uint32_t subleaf;
    bool has_subleaf;       /* subleaf matters */
    uint32_t eax, ebx, ecx, edx;
} CPUIDEntry;

#define X86_MAX_CPUID 192

/* All that the guest can find out by CPUID; same on every CPU but for ids. */
struct CPUIDTable {
    unsigned n;
    /* Bits of an APIC id that hold the thread, core and die: x86_cpuid_build(). */
    uint8_t thread_width, core_width, die_width;
    /* Asked of the accelerator: what it supports in the MSRs' words of features. */
    bool want_msrs;
    /* Every feature bit, in one place: x86_cpuid_build(). */
    X86FeatureSet features;
    /* Of the MSRs' words: what the accelerator supports and the guest is not to see. */
    uint32_t msr_hidden[FEATURE_WORDS - FEAT_FIRST_MSR];
    CPUIDEntry e[X86_MAX_CPUID];
};

typedef struct X86CPU {
    CPUState cs;
    uint32_t apic_id;
    bool x2apic_at_reset;       /* some CPU's id needs it: apic_bus_new() */
    /* Ours, when the accelerator has none (hw/i386/apic.h); else NULL. */
    struct APICState *apic;
    /* Shared by all CPUs, for cpuid.h's functions; NULL: no CPUID. */
    const CPUIDTable *cpuid;
    CPUX86State env;
} X86CPU;

static inline X86CPU *x86_cpu(CPUState *cs)
{
    return downcast(cs, X86CPU, cs);
}

/*
 * One more NMI for a CPU, any thread. Of those that come close together one will be in
 * service and one waits behind it; who runs the CPU sees to it that no more wait then.
 */
static inline void nmi_latch(atomic_uint *pending)
{
    unsigned n = atomic_load(pending);

    while (n < 2 && !atomic_compare_exchange_weak(pending, &n, n + 1)) {
    }
}

/*
 * Power-on (or INIT) state of the registers: SDM 3A, table 9-1. The boot
 * processor becomes runnable, the others wait for INIT.
 */
void x86_cpu_reset(X86CPU *cpu);

/*
 * An INIT that a CPU with an APIC of ours (or none) takes: its registers and its APIC's
 * (SDM 3A, table 9-1, the column for INIT: the APIC keeps its address and mode). On its
 * own thread, between getting the registers from the accelerator and putting them.
 */
void x86_cpu_init_reset(X86CPU *cpu);

/* What a saved machine holds of a CPU; obj is an X86CPU, synchronized before. */
extern const StateDesc x86_cpu_state;

/* What it holds of time that the CPUs share, whoever runs them: part "clock". */
typedef struct X86Clock {
    uint64_t kvmclock;          /* ns that KVM's paravirtual clock shows */
    uint32_t tsc_khz;           /* 0: not known */
    bool one_by_one;            /* TSCs that run together were read one after the other */
} X86Clock;
extern const StateField x86_clock_fields[];

/*
 * Registers in a person's form, as "info registers" prints them; caller frees.
 * Prints env as it is: synchronize first.
 */
char *x86_cpu_dump_state(X86CPU *cpu);

#endif
