/*
 * What the files of the KVM accelerator share.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef ACCEL_KVM_INT_H
#define ACCEL_KVM_INT_H

#include <linux/kvm.h>
#include <pthread.h>

#include "exec/memory.h"
#include "sysemu/accel.h"
#include "target/i386/cpu.h"

/* Exit reasons that are counted; what lies beyond shares the last counter. */
#define KVM_NR_EXITS 48

/* kernel-irqchip unsaid: in the kernel, but split where no PICs are wanted. */
#define KVM_IRQCHIP_MODE_AUTO   (ACCEL_IRQCHIP_USER + 1)

/* Three pages for the TSS and one for the page table that VMX real mode needs. */
#define KVM_IDENTITY_MAP_ADDR   0xfeffc000ULL
#define KVM_TSS_ADDR            0xfeffd000ULL

typedef struct KVMRoutes KVMRoutes;

typedef struct KVMState {
    AccelState parent;
    int irqchip_mode;           /* "kernel-irqchip": AccelIrqchipMode or AUTO */
    uint64_t shadow_mem;        /* "kvm-shadow-mem", bytes; 0: KVM's choice */
    char *device;               /* "device": where KVM is */

    int fd;                     /* /dev/kvm */
    int vmfd;
    int run_size;               /* of a vCPU's shared pages */
    unsigned nr_slots;
    unsigned max_slots;
    unsigned disabled_exits;    /* KVM_X86_DISABLE_EXITS_* in force */
    int xsave_size;             /* KVM_GET_XSAVE2's buffer; at least 4096 */
    bool has_xcrs;
    bool has_tsc_deadline;
    bool kernel_chips;          /* PICs and I/O APIC are the kernel's */
    bool pit;                   /* made with the controllers */
    atomic_bool ran;            /* some vCPU has run: a reset must restore */
    uint64_t msrs_known;        /* rows of the MSR table KVM has; see kvm.c */
    gsize msrs_probed;          /* g_once: msrs_known is valid */
    struct kvm_coalesced_mmio_ring *coalesced; /* kvm-coalesced.c; atomic; NULL: no vCPU yet */
    int coalesced_page;              /* of a vCPU's shared pages; 0: KVM has no such ring */
    GMutex coalesced_lock;      /* the ring's reading end, its life; registers' locks after it */
    struct KVMSplitIrqchip *split;  /* kvm-split.c; NULL: not split */
    X86Clock clock;             /* kvm-state.c: where the machine was saved */
    struct kvm_pit_state2 *loaded_pit;  /* kvm-chips.c: until all CPUs have their APICs; or NULL */
    bool manual_protect;        /* kvm-dirty.c: marks go by KVM_CLEAR_DIRTY_LOG */
    uint64_t *dirty_words;      /* of the slot at hand; NULL: nothing is logged */
    KVMRoutes *routes;          /* kvm-routes.c; NULL: the board has no I/O APIC with us */
    MemoryListener memory_listener;
    MemoryListener io_listener;
} KVMState;

/* What makes KVM_RUN return. It has a handler only so as not to kill us. */
#define SIG_IPI SIGUSR1

/* CPUState.accel */
typedef struct KVMCPU {
    int fd;
    struct kvm_run *run;
    pthread_t thread;
    bool touched;               /* it ran, or more than its first registers was put */
    CPUDebug debug;             /* in force; CPU paused, or own thread */
    bool io_pending;            /* the next KVM_RUN completes an access */
    GBytes *other_msrs;         /* kvm-state.c: of a saved machine; NULL: none */
    /* Only used with kernel-irqchip=off: kvm-lapic.c. Set by any thread. */
    atomic_uint kicked;         /* a futex; set: look again before you run or wait */
    atomic_uint nmi_pending;    /* nmi_latch() */
    atomic_bool init_pending;
    atomic_int sipi_pending;    /* vector, or -1 */
    uint64_t exits[KVM_NR_EXITS];   /* own thread; others read roughly */
} KVMCPU;

static inline KVMState *kvm_state(const CPUState *cpu)
{
    return downcast(cpu->machine->accel, KVMState, parent);
}

static inline KVMCPU *kvm_cpu(const CPUState *cpu)
{
    return (KVMCPU *)cpu->accel;
}

/* ioctl() with EINTR retried; the result or negative errno. Not for KVM_RUN. */
int kvm_ioctl(int fd, unsigned long request, void *arg);
/* KVM_CHECK_EXTENSION on the system: 0 is "no". */
int kvm_check_extension(const KVMState *s, int cap);

/* kvm-irqchip.c: hooks of AccelClass */
AccelIrqchipMode kvm_irqchip_mode(AccelState *as, const AccelIrqchip *chip);
bool kvm_create_irqchip(AccelState *as, AccelIrqchip *chip, Error **errp);

/* kvm-state.c: a hook of AccelClass */
void kvm_foreach_state(AccelState *as, StateFn *fn, void *opaque);
/* kvm-chips.c: hooks of AccelClass, and the kernel's local APICs in the form of ours. */
void kvm_get_chips(AccelState *as, AccelChips *c);
bool kvm_set_chips(AccelState *as, const AccelChips *c, Error **errp);
void kvm_foreach_lapic(KVMState *s, StateFn *fn, void *opaque);
/* Steps of kvm_arch_put_registers() for a saved machine: 0 or negative errno. */
int kvm_put_clock(CPUState *cpu);
int kvm_put_pit(CPUState *cpu);
int kvm_put_other_msrs(CPUState *cpu);

/* kvm-debug.c: the hook of AccelClass by this name, and the handler of its exits */
int kvm_set_debug(CPUState *cpu, const CPUDebug *debug);
bool kvm_exit_debug(CPUState *cpu, struct kvm_run *run);

/* kvm-split.c: the kernel has local APICs alone. AccelClass's hooks, and steps of a vCPU. */
bool kvm_create_split_irqchip(KVMState *s, AccelIrqchip *chip, Error **errp);
/* Before KVM_RUN: the board's PICs may want to interrupt the boot processor. */
void kvm_split_before_run(CPUState *cpu);
/* KVM_EXIT_IOAPIC_EOI */
void kvm_split_eoi(KVMState *s, uint8_t vector);
void kvm_split_free(KVMState *s);

/*
 * kvm-routes.c: the inputs of I/O APICs that are the board's: of nr_pins those from first on. The
 * hooks of AccelClass by these names. The table has room for two routes a pin.
 */
void kvm_routes_init(KVMState *s, unsigned nr_pins, unsigned first);
void kvm_routes_free(KVMState *s);
int kvm_send_msi(AccelState *as, uint64_t addr, uint32_t data);
void kvm_set_msi_route(AccelState *as, unsigned n, uint64_t addr, uint32_t data,
                       bool masked);
int kvm_attach_irqfd(AccelState *as, unsigned n, EventNotifier *e);
void kvm_detach_irqfd(AccelState *as, unsigned n, EventNotifier *e);

/*
 * kvm-lapic.c: kernel-irqchip=off, local APICs of our own; in the other modes these
 * do nothing. All on the CPU's thread.
 */
/* Take what only works with the kernel's APICs out of CPUID. */
void kvm_lapic_limit_cpuid(CPUIDTable *table);
void kvm_lapic_connect(CPUState *cpu);
/* What waits, to env and from there; of our APICs. get: 0. */
int kvm_lapic_get_events(CPUState *cpu);
void kvm_lapic_put_events(CPUState *cpu);
/* Something waits that kvm_lapic_before_run() would see to. */
bool kvm_lapic_pending(CPUState *cpu);
/* Pass events to KVM. False: the CPU halts or waits, and waited; look again. */
bool kvm_lapic_before_run(CPUState *cpu);
void kvm_lapic_after_run(CPUState *cpu);
/* KVM_EXIT_MMIO: true if it was for the APIC's registers. */
bool kvm_lapic_mmio(CPUState *cpu, struct kvm_run *run);
/* KVM_EXIT_HLT, which comes in this mode only. */
bool kvm_exit_hlt(CPUState *cpu, struct kvm_run *run);

/*
 * kvm-coalesced.c: writes that KVM collects (KVM_COALESCED_MMIO). add: tell it of a
 * range's; flush: dispatch what came, any thread; map, unmap: the ring is in this
 * vCPU's shared pages, or was.
 */
void kvm_coalesced_init(KVMState *s);
void kvm_coalesced_add(KVMState *s, const FlatRange *range);
void kvm_coalesced_flush(KVMState *s);
void kvm_coalesced_map(KVMState *s, struct kvm_run *run);
void kvm_coalesced_unmap(KVMState *s, struct kvm_run *run);

/* kvm-cpu.c: hooks of AccelClass, and an access to memory in pieces as devices take them */
void kvm_mmio_access(AddressSpace *as, hwaddr addr, uint8_t *data, unsigned len,
                     bool is_write);
bool kvm_vcpu_init(CPUState *cpu, Error **errp);
void kvm_vcpu_destroy(CPUState *cpu);
void kvm_vcpu_exec(CPUState *cpu);
void kvm_vcpu_kick(CPUState *cpu);
void kvm_inject_nmi(CPUState *cpu);
bool kvm_is_dead(CPUState *cpu);         /* kvm-lapic.c */
void kvm_init_kick(void);   /* block the kick's signal in this thread and all it will start */
char *kvm_info(AccelState *as);     /* exits of all vCPUs by reason; caller frees */

/* target/i386/kvm-cpuid.c */
bool kvm_supported_cpuid(AccelState *as, CPUIDTable *table, Error **errp);
int kvm_arch_init_vcpu(CPUState *cpu);      /* gives it its CPUID; 0 or negative errno */

/* target/i386/kvm.c */
void kvm_arch_get_registers(CPUState *cpu);
bool kvm_arch_put_registers(CPUState *cpu);

/* target/i386/kvm-msr.c: the MSRs of env in one batch each. */
int kvm_get_msrs(CPUState *cpu);
/* all: time and reset-only MSRs too. changed: only what differs from that. */
int kvm_put_msrs(CPUState *cpu, bool all, const CPUX86State *changed);
/* Is this MSR in a row of the table, or the same as one that is? */
bool kvm_msr_has_row(uint32_t index);
/* What KVM supports in the MSRs' words of table->features. */
void kvm_supported_msrs(KVMState *s, CPUIDTable *table);
/* Take table->msr_hidden from the new vCPU, which has its CPUID. 0 or negative errno. */
int kvm_hide_msr_features(CPUState *cpu);

/* From vcpu-calls.inc. */
extern const ThreadFilter kvm_vcpu_filter;

#endif
