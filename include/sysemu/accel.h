/*
 * Accelerators: what runs guest code.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef SYSEMU_ACCEL_H
#define SYSEMU_ACCEL_H

#include "hw/core/cpu.h"
#include "hw/irq.h"
#include "qemu/confine.h"
#include "qemu/object.h"

typedef struct AccelClass AccelClass;
typedef struct AccelChips AccelChips;
typedef struct CPUIDTable CPUIDTable;

/* In-kernel (or in-accelerator) interrupt controllers a board asks for. */
typedef struct AccelIrqchip {
    bool pic;
    bool pit;
    bool wide_ids;              /* there are APIC ids that need x2APIC mode */
    unsigned nr_gsis;           /* mode KERNEL: lines to fill in */
    unsigned nr_pins;           /* inputs of all I/O APICs; send_msi() and the like take these */
    qemu_irq *gsi;              /* out: nr_gsis lines into the controllers */
    /*
     * Mode SPLIT only: the rest of the controllers, which the board has. Both
     * are called on vCPU threads without the machine lock.
     */
    void (*eoi)(void *opaque, uint8_t vector);  /* of a level-triggered route */
    int (*extint_ack)(void *opaque);    /* 8259 acknowledge: vector or -1 */
    void *opaque;
    qemu_irq intr;              /* out: for the 8259's INTR output */
} AccelIrqchip;

typedef enum AccelIrqchipMode {
    ACCEL_IRQCHIP_KERNEL,       /* create_irqchip() makes LAPIC, IOAPIC, PIC, PIT */
    ACCEL_IRQCHIP_SPLIT,        /* LAPIC there, the rest are our devices */
    ACCEL_IRQCHIP_USER,         /* all are our devices (the software CPU) */
} AccelIrqchipMode;

struct AccelClass {
    ObjectClass oc;             /* "kvm", "tcg", "qtest" */
    bool has_vcpu_threads;      /* false: no guest code is ever run */
    bool host_cpus;             /* guest CPUs are the host's: "-cpu host" is there */
    bool unpack_kernels;        /* guest code is slow: bzImages are unpacked here */
    bool rtc_by_default;        /* boards with an rtc property of "auto" have one */
    /*
     * 0 if the host has the facility, or negative errno (-EOPNOTSUPP: there, but for
     * other guests; used when named alone). NULL: it always has.
     */
    int (*probe)(void);
    /* What probe()'s errno (positive) means to a person; caller frees. Of who has a probe. */
    char *(*why_not)(int err);
    /* Open the host's facility; called once, before the machine's init. */
    bool (*init_machine)(AccelState *as, MachineState *ms, Error **errp);
    void (*exit_machine)(AccelState *as);       /* may be NULL */
    /*
     * Which controllers the board has to make itself; of chip, pic and wide_ids count.
     * NULL: ACCEL_IRQCHIP_USER.
     */
    AccelIrqchipMode (*irqchip_mode)(AccelState *as, const AccelIrqchip *chip);
    /*
     * Make the in-kernel controllers before any CPU, fill in the lines. Not
     * called in mode USER. In mode SPLIT chip is copied, not kept.
     */
    bool (*create_irqchip)(AccelState *as, AccelIrqchip *chip, Error **errp);
    /*
     * All CPUID leaves that guest CPUs can have, in *table (zeroed by the
     * caller, but for want_msrs). NULL: none, CPUs have no CPUID.
     */
    bool (*supported_cpuid)(AccelState *as, CPUIDTable *table, Error **errp);
    /*
     * Mode SPLIT, and KERNEL for inputs from nr_gsis on, whose I/O APIC is the board's: a message
     * to the local APICs; how many CPUs took it (0: none). Bits 11:5 of addr are bits 14:8 of the
     * destination.
     * Any thread; must not call back into the I/O APIC.
     */
    int (*send_msi)(AccelState *as, uint64_t addr, uint32_t data);
    /*
     * The same modes: what I/O APIC input n sends when not masked; EOIs are wanted if
     * it is a level (mode SPLIT only). Called with the I/O APIC's lock.
     */
    void (*set_msi_route)(AccelState *as, unsigned n, uint64_t addr,
                          uint32_t data, bool masked);
    /*
     * The same modes: e sends input n's message without our help, see IRQOps.
     * Any thread.
     */
    int (*attach_irqfd)(AccelState *as, unsigned n, EventNotifier *e);
    void (*detach_irqfd)(AccelState *as, unsigned n, EventNotifier *e);
    /* Mode KERNEL: registers of c->which, while no CPU runs. set: false with errp set. */
    void (*get_chips)(AccelState *as, AccelChips *c);
    bool (*set_chips)(AccelState *as, const AccelChips *c, Error **errp);
    /* On the CPU's own thread, machine lock held, before the first run. */
    bool (*vcpu_init)(CPUState *cpu, Error **errp);
    void (*vcpu_destroy)(CPUState *cpu);
    /*
     * Run guest code until exit_request is seen, or something happened that
     * the machine must handle (it then has been requested through
     * sysemu/runstate.h). Called and returns without the machine lock.
     */
    void (*vcpu_exec)(CPUState *cpu);
    const ThreadFilter *vcpu_filter;    /* what its threads may call; with has_vcpu_threads */
    /* Make a running vcpu_exec() notice exit_request. Any thread. */
    void (*vcpu_kick)(CPUState *cpu);
    /*
     * Copy all registers between the accelerator and the architectural state
     * (target/i386/cpu.h). get: on the CPU's thread, or when it is stopped. put: when
     * no CPU can run, see cpus_put_registers(); false after an error, which it prints.
     */
    void (*get_registers)(CPUState *cpu);
    bool (*put_registers)(CPUState *cpu);
    /*
     * What makes the CPU stop, from its next run on; it then sets debug_event
     * and requests RUN_STATE_DEBUG. CPU paused; 0 or negative errno. May be NULL.
     */
    int (*set_debug)(CPUState *cpu, const CPUDebug *debug);
    /*
     * Whether the CPU sleeps and no device can wake it: halted with interrupts off, or not
     * started, and no NMI, INIT, start-up IPI or kick is on its way. CPU paused; may be NULL
     * where that cannot be seen.
     */
    bool (*is_dead)(CPUState *cpu);
    /* An NMI to the CPU; any thread; may be NULL. */
    void (*inject_nmi)(CPUState *cpu);
    /* Call fn for what the accelerator keeps besides CPUs; may be NULL. */
    void (*foreach_state)(AccelState *as, StateFn *fn, void *opaque);
    /*
     * What CPUs write is logged, too (exec/dirty-log.h): from start to stop, on the main thread;
     * false with errp set. take: dirty_log_take() with what CPUs have written until it returns;
     * what they write afterwards the next one has. Any thread, without any lock; waits for CPUs,
     * which may wait for the machine lock. Each may be NULL, take where CPUs run no code.
     */
    bool (*dirty_start)(AccelState *as, Error **errp);
    uint64_t (*dirty_take)(AccelState *as, struct DirtyLog *log, uint64_t *words);
    void (*dirty_stop)(AccelState *as);
    /* Counters in a person's form (caller frees); any time; may be NULL. */
    char *(*info)(AccelState *as);
};

struct AccelState {
    Object obj;
    MachineState *machine;
};

static inline const AccelClass *accel_get_class(const AccelState *as)
{
    return downcast(as->obj.oc, const AccelClass, oc);
}

/*
 * QemuOpts as -accel has them, of a colon-separated list ("kvm:tcg"; NULL: kvm, then tcg).
 * Caller unrefs.
 */
GPtrArray *accel_candidates(const char *names);
/*
 * Try them in turn, with their properties; sets ms->accel. What fails is reported if another one
 * is tried, else it is errp's. A host's accelerator that is not for guests like ours is passed
 * over where there is an alternative, and warned of where there is none.
 */
bool accel_init(MachineState *ms, const GPtrArray *candidates, Error **errp);

#endif
