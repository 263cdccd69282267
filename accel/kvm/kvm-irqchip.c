/*
 * The host kernel's interrupt controllers: PIC, IOAPIC, PIT and the lines into
 * them.
 *
 * KVM's default routing is kept: GSI n is pin n of the IOAPIC and, below 16,
 * IRQ n of the PICs.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <errno.h>
#include <string.h>

#include "kvm-int.h"
#include "qemu/log.h"
#include "sysemu/reset.h"
#include "target/i386/apic.h"

/* The kernel's I/O APIC knows destinations of 8 bits only. */
AccelIrqchipMode kvm_irqchip_mode(AccelState *as, const AccelIrqchip *chip)
{
    int mode = downcast(as, KVMState, parent)->irqchip_mode;

    if (mode == KVM_IRQCHIP_MODE_AUTO) {
        return chip->pic && !chip->wide_ids ? ACCEL_IRQCHIP_KERNEL : ACCEL_IRQCHIP_SPLIT;
    }
    return mode;
}

static void kvm_set_irq(void *opaque, int n, int level)
{
    KVMState *s = opaque;
    struct kvm_irq_level line = { .irq = n, .level = level != 0 };
    int ret = kvm_ioctl(s->vmfd, KVM_IRQ_LINE, &line);

    if (ret < 0) {
        qemu_log_mask(LOG_KVM, "kvm: interrupt line %d: %s\n", n, strerror(-ret));
    }
}

static int kvm_set_irqfd(KVMState *s, int n, EventNotifier *e, uint32_t flags)
{
    struct kvm_irqfd irqfd = { .fd = e->fd, .gsi = n, .flags = flags };

    return kvm_ioctl(s->vmfd, KVM_IRQFD, &irqfd);
}

static int kvm_irq_attach(void *opaque, int n, EventNotifier *e)
{
    return kvm_set_irqfd(opaque, n, e, 0);
}

static void kvm_irq_detach(void *opaque, int n, EventNotifier *e)
{
    kvm_set_irqfd(opaque, n, e, KVM_IRQFD_FLAG_DEASSIGN);
}

static const IRQOps kvm_irq_ops = {
    .attach = kvm_irq_attach,
    .detach = kvm_irq_detach,
};

static void kvm_reset_chip(KVMState *s, struct kvm_irqchip *chip)
{
    int ret = kvm_ioctl(s->vmfd, KVM_SET_IRQCHIP, chip);

    if (ret < 0) {
        error_report("cannot reset interrupt controller %u: %s", chip->chip_id,
                     strerror(-ret));
    }
}

static void kvm_reset_pic(KVMState *s)
{
    /* The lines that ELCR may make level-triggered: not 0, 1, 2, 8 and 13. */
    struct kvm_irqchip master = {
        .chip_id = KVM_IRQCHIP_PIC_MASTER, .chip.pic.elcr_mask = 0xf8,
    };
    struct kvm_irqchip slave = {
        .chip_id = KVM_IRQCHIP_PIC_SLAVE, .chip.pic.elcr_mask = 0xde,
    };

    kvm_reset_chip(s, &master);
    kvm_reset_chip(s, &slave);
}

static void kvm_reset_ioapic(KVMState *s)
{
    struct kvm_irqchip ioapic = {
        .chip_id = KVM_IRQCHIP_IOAPIC,
        .chip.ioapic.base_address = 0xfec00000,
    };

    for (unsigned i = 0; i < KVM_IOAPIC_NUM_PINS; i++) {
        ioapic.chip.ioapic.redirtbl[i].fields.mask = 1;
    }
    kvm_reset_chip(s, &ioapic);
}

static void kvm_reset_pit(KVMState *s)
{
    struct kvm_pit_state2 pit = { 0 };

    for (unsigned i = 0; i < G_N_ELEMENTS(pit.channels); i++) {
        /* No mode chosen: a count of zero means 65536 and nothing ticks. */
        pit.channels[i].mode = 0xff;
        pit.channels[i].gate = i != 2;
        pit.channels[i].count = 0x10000;
    }
    kvm_ioctl(s->vmfd, KVM_SET_PIT2, &pit);
}

static void kvm_irqchip_reset(void *opaque)
{
    KVMState *s = opaque;

    /* What KVM just made is in its power-on state. */
    if (!atomic_load(&s->ran)) {
        return;
    }
    kvm_reset_pic(s);
    kvm_reset_ioapic(s);
    if (s->pit) {
        kvm_reset_pit(s);
    }
}

bool kvm_create_irqchip(AccelState *as, AccelIrqchip *chip, Error **errp)
{
    KVMState *s = downcast(as, KVMState, parent);
    /* Port 0x61 too, which guests read to calibrate their clocks. */
    struct kvm_pit_config config = { .flags = KVM_PIT_SPEAKER_DUMMY };
    int ret;

    if (kvm_irqchip_mode(as, chip) == ACCEL_IRQCHIP_SPLIT) {
        return kvm_create_split_irqchip(s, chip, errp);
    }
    if (!chip->pic) {
        error_setg(errp, "pic=off needs kernel-irqchip=split: KVM makes the PIC "
                   "with the others");
        return false;
    }
    if (chip->wide_ids) {
        error_setg(errp, "kernel-irqchip=on: KVM's I/O APIC has no place for APIC ids above %u; "
                   "use kernel-irqchip=split", XAPIC_ID_LIMIT - 1);
        return false;
    }
    ret = kvm_ioctl(s->vmfd, KVM_CREATE_IRQCHIP, NULL);
    if (ret < 0) {
        error_setg_errno(errp, -ret, "KVM cannot create the interrupt controllers");
        return false;
    }
    s->kernel_chips = true;
    if (chip->pit) {
        ret = kvm_ioctl(s->vmfd, KVM_CREATE_PIT2, &config);
        if (ret < 0) {
            error_setg_errno(errp, -ret, "KVM cannot create the interval timer");
            return false;
        }
        s->pit = true;
    }
    if (chip->nr_pins > chip->nr_gsis) {
        kvm_routes_init(s, chip->nr_pins, chip->nr_gsis);
    }
    for (unsigned i = 0; i < chip->nr_gsis; i++) {
        chip->gsi[i] = (qemu_irq) {
            .handler = kvm_set_irq, .opaque = s, .n = i, .ops = &kvm_irq_ops,
        };
    }
    qemu_register_reset(as->machine, kvm_irqchip_reset, s);
    return true;
}
