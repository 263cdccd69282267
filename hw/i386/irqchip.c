/*
 * Wires local APICs, I/O APIC, PICs and PIT of our own together and to the
 * accelerator, if that has a part of them.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "hw/i386/irqchip.h"

#include "hw/i386/microvm.h"
#include "hw/intc/i8259.h"
#include "hw/intc/ioapic.h"
#include "hw/timer/i8254.h"
#include "sysemu/reset.h"

/* MSI writes must reach the APICs even where something else is mapped. */
#define LAPIC_PRIORITY 4096

struct X86Irqchip {
    AccelState *accel;
    APICBus *apics;         /* NULL in split mode */
    IOAPICState *ioapic;
    PICState *pic;          /* NULL: pic=off */
    PITState *pit;          /* NULL: not added */
};

/* ---- From the lines ---- */

static void set_gsi(void *opaque, int n, int level)
{
    X86Irqchip *chip = opaque;

    if (chip->pic && n < PIC_NUM_IRQS) {
        qemu_set_irq(pic_irq(chip->pic, n), level);
    }
    qemu_set_irq(ioapic_irq(chip->ioapic, n), level);
}

static int attach_gsi(void *opaque, int n, EventNotifier *e)
{
    X86Irqchip *chip = opaque;

    return accel_get_class(chip->accel)->attach_irqfd(chip->accel, n, e);
}

static void detach_gsi(void *opaque, int n, EventNotifier *e)
{
    X86Irqchip *chip = opaque;

    accel_get_class(chip->accel)->detach_irqfd(chip->accel, n, e);
}

static const IRQOps gsi_ops = { .attach = attach_gsi, .detach = detach_gsi };

/*
 * An eventfd that the accelerator turns into the I/O APIC's message is hidden
 * from the PICs, so that is for machines without them.
 */
static void connect_gsis(X86Irqchip *chip, qemu_irq *gsi)
{
    bool direct = !chip->apics && !chip->pic &&
        accel_get_class(chip->accel)->attach_irqfd;

    for (unsigned n = 0; n < X86_NUM_GSIS; n++) {
        gsi[n] = (qemu_irq) {
            .handler = set_gsi, .opaque = chip, .n = n,
            .ops = direct ? &gsi_ops : NULL,
        };
    }
}

/* ---- From the I/O APIC to local APICs ---- */

static int send_msi_to_bus(void *opaque, uint64_t addr, uint32_t data)
{
    X86Irqchip *chip = opaque;

    return apic_bus_send_msi(chip->apics, addr, data);
}

static int send_msi_to_accel(void *opaque, uint64_t addr, uint32_t data)
{
    X86Irqchip *chip = opaque;

    return accel_get_class(chip->accel)->send_msi(chip->accel, addr, data);
}

static void tell_accel_of_route(void *opaque, unsigned pin, uint64_t addr,
                                uint32_t data, bool masked)
{
    X86Irqchip *chip = opaque;

    accel_get_class(chip->accel)->set_msi_route(chip->accel, pin, addr, data,
                                                masked);
}

static const IOAPICOps user_ioapic_ops = { .send_msi = send_msi_to_bus };

static const IOAPICOps split_ioapic_ops = {
    .send_msi = send_msi_to_accel,
    .route_changed = tell_accel_of_route,
};

/* ---- From local APICs back ---- */

static void eoi(void *opaque, uint8_t vector)
{
    X86Irqchip *chip = opaque;

    ioapic_eoi(chip->ioapic, vector);
}

static int extint_ack(void *opaque)
{
    X86Irqchip *chip = opaque;

    return chip->pic ? pic_acknowledge(chip->pic) : -1;
}

static const APICBusOps bus_ops = { .eoi = eoi, .extint_ack = extint_ack };

/* ---- Making them ---- */

static void map_pic(X86Irqchip *chip, MemoryRegion *io)
{
    memory_region_add_subregion(io, PIC_MASTER_PORT, pic_region(chip->pic, 0));
    memory_region_add_subregion(io, PIC_SLAVE_PORT, pic_region(chip->pic, 1));
    memory_region_add_subregion(io, ELCR_PORT, pic_elcr_region(chip->pic));
}

static void reset(void *opaque)
{
    X86Irqchip *chip = opaque;

    if (chip->apics) {
        apic_bus_reset(chip->apics);
    }
    ioapic_reset(chip->ioapic);
    if (chip->pic) {
        pic_reset(chip->pic);
    }
    if (chip->pit) {
        pit_reset(chip->pit);
    }
}

/* The part of the accelerator; where the PICs' INTR goes to. */
static bool init_local_apics(X86Irqchip *chip, MachineState *ms,
                             const X86IrqchipConfig *config, qemu_irq *intr,
                             Error **errp)
{
    AccelIrqchip split = {
        .pic = config->pic,
        .eoi = eoi,
        .extint_ack = extint_ack,
        .opaque = chip,
    };

    if (config->mode == ACCEL_IRQCHIP_SPLIT) {
        if (!accel_get_class(ms->accel)->create_irqchip(ms->accel, &split, errp)) {
            return false;
        }
        *intr = split.intr;
        return true;
    }
    chip->apics = apic_bus_new(config->apic_id_limit, &bus_ops, chip);
    ms->apic_bus = chip->apics;
    *intr = apic_bus_lint(chip->apics, 0);
    memory_region_add_subregion_overlap(&ms->system_memory, APIC_DEFAULT_ADDRESS,
                                        apic_bus_window(chip->apics),
                                        LAPIC_PRIORITY);
    return true;
}

X86Irqchip *x86_irqchip_new(MachineState *ms, const X86IrqchipConfig *config,
                            qemu_irq *gsi, Error **errp)
{
    X86Irqchip *chip = g_new0(X86Irqchip, 1);
    qemu_irq intr;

    chip->accel = ms->accel;
    if (!init_local_apics(chip, ms, config, &intr, errp)) {
        g_free(chip);
        return NULL;
    }
    chip->ioapic = ioapic_new(config->ioapic_id, chip->apics ? &user_ioapic_ops
                                                             : &split_ioapic_ops,
                              chip);
    memory_region_add_subregion(&ms->system_memory, IO_APIC_DEFAULT_ADDRESS,
                                ioapic_region(chip->ioapic));
    if (config->pic) {
        chip->pic = pic_new(intr);
        map_pic(chip, &ms->system_io);
    }
    connect_gsis(chip, gsi);
    qemu_register_reset(ms, reset, chip);
    return chip;
}

void x86_irqchip_add_pit(X86Irqchip *chip, MachineState *ms, qemu_irq irq0)
{
    chip->pit = pit_new(irq0);
    memory_region_add_subregion(&ms->system_io, PIT_PORT, pit_region(chip->pit));
    memory_region_add_subregion(&ms->system_io, PIT_SPEAKER_PORT,
                                pit_port_b_region(chip->pit));
}

void x86_irqchip_free(X86Irqchip *chip)
{
    if (chip) {
        pit_free(chip->pit);
        pic_free(chip->pic);
        ioapic_free(chip->ioapic);
        apic_bus_free(chip->apics);
        g_free(chip);
    }
}

char *x86_irqchip_dump(X86Irqchip *chip)
{
    g_autofree char *pic = chip->pic ? pic_dump(chip->pic) : g_strdup("");
    g_autofree char *ioapic = ioapic_dump(chip->ioapic);

    return g_strconcat(pic, ioapic, NULL);
}

static void append_counts(GString *out, X86Irqchip *chip, bool pic)
{
    unsigned n = pic ? PIC_NUM_IRQS : IOAPIC_NUM_PINS;

    g_string_append_printf(out, "IRQ statistics for %s:\n", pic ? "i8259" : "ioapic");
    for (unsigned i = 0; i < n; i++) {
        uint64_t count = pic ? pic_count(chip->pic, i) : ioapic_count(chip->ioapic, i);

        if (count) {
            g_string_append_printf(out, "%2u: %" PRIu64 "\n", i, count);
        }
    }
}

char *x86_irqchip_counts(X86Irqchip *chip)
{
    GString *out = g_string_new(NULL);

    if (chip->pic) {
        append_counts(out, chip, true);
    }
    append_counts(out, chip, false);
    return g_string_free(out, FALSE);
}
