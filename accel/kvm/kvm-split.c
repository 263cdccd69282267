/*
 * kernel-irqchip=split: local APICs in the host kernel, I/O APIC and PICs are the
 * board's.
 *
 * The I/O APICs' messages go down as kvm-routes.c has it, EOIs of levels come up
 * (KVM_EXIT_IOAPIC_EOI). The PICs' INTR is for the boot processor.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <errno.h>

#include "kvm-int.h"
#include "target/i386/apic.h"

struct KVMSplitIrqchip {
    AccelIrqchip board;         /* its callbacks */
    atomic_bool intr;           /* level of the PICs' INTR */
};

void kvm_split_eoi(KVMState *s, uint8_t vector)
{
    if (s->split) {
        s->split->board.eoi(s->split->board.opaque, vector);
    }
}

/* The PICs ----------------------------------------------------------------- */

static CPUState *boot_processor(const KVMState *s)
{
    const MachineState *ms = s->parent.machine;

    return ms->cpus ? ms->cpus[0] : NULL;
}

static void set_intr(void *opaque, int n, int level)
{
    KVMState *s = opaque;
    CPUState *cpu = boot_processor(s);

    atomic_store(&s->split->intr, level);
    if (level && cpu) {
        kvm_vcpu_kick(cpu);
    }
}

void kvm_split_before_run(CPUState *cpu)
{
    struct KVMSplitIrqchip *split = kvm_state(cpu)->split;
    struct kvm_run *run = kvm_cpu(cpu)->run;
    struct kvm_interrupt irq;
    int vector;

    if (!split || cpu->cpu_index != 0) {
        return;
    }
    if (atomic_load(&split->intr) && run->ready_for_interrupt_injection) {
        vector = split->board.extint_ack(split->board.opaque);
        irq.irq = vector;
        if (vector >= 0) {
            kvm_ioctl(kvm_cpu(cpu)->fd, KVM_INTERRUPT, &irq);
            run->ready_for_interrupt_injection = 0;
        }
    }
    /* Come back as soon as it can take (the next) one. */
    run->request_interrupt_window = atomic_load(&split->intr);
}

/* Making it ---------------------------------------------------------------- */

/* Ids of 32 bits in messages and in the APICs' registers, 0xff among them (KVM API, 7.13). */
static bool enable_wide_ids(KVMState *s, Error **errp)
{
    struct kvm_enable_cap cap = {
        .cap = KVM_CAP_X2APIC_API,
        .args = { KVM_X2APIC_API_USE_32BIT_IDS | KVM_X2APIC_API_DISABLE_BROADCAST_QUIRK },
    };
    int ret = kvm_ioctl(s->vmfd, KVM_ENABLE_CAP, &cap);

    if (ret < 0) {
        error_setg_errno(errp, -ret, "KVM has no APIC ids above %u", XAPIC_ID_LIMIT - 1);
    }
    return ret >= 0;
}

bool kvm_create_split_irqchip(KVMState *s, AccelIrqchip *chip, Error **errp)
{
    struct kvm_enable_cap cap = {
        .cap = KVM_CAP_SPLIT_IRQCHIP, .args = { chip->nr_pins },
    };
    int ret = kvm_ioctl(s->vmfd, KVM_ENABLE_CAP, &cap);

    if (ret < 0) {
        error_setg_errno(errp, -ret, "KVM cannot split the interrupt controllers");
        return false;
    }
    if (chip->wide_ids && !enable_wide_ids(s, errp)) {
        return false;
    }
    s->split = g_new0(struct KVMSplitIrqchip, 1);
    s->split->board = *chip;
    kvm_routes_init(s, chip->nr_pins, 0);
    chip->intr = (qemu_irq) { .handler = set_intr, .opaque = s };
    return true;
}

void kvm_split_free(KVMState *s)
{
    g_clear_pointer(&s->split, g_free);
}
