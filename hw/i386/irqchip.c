/*
 * Wires local APICs, I/O APIC, PICs and PIT of our own together and to the
 * accelerator, if that has a part of them.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "hw/i386/irqchip.h"

#include "hw/i386/microvm.h"
#include "hw/intc/i8259.h"
#include "hw/timer/i8254.h"
#include "sysemu/reset.h"

/* MSI writes must reach the APICs even where something else is mapped. */
#define LAPIC_PRIORITY 4096

/* An I/O APIC, and which GSI its input 0 is. */
typedef struct X86IOAPIC {
    struct X86Irqchip *chip;
    IOAPICState *ioapic;    /* NULL: there is none, or it is the accelerator's */
    unsigned gsi_base;
} X86IOAPIC;

struct X86Irqchip {
    AccelState *accel;
    APICBus *apics;         /* NULL: the accelerator's */
    X86IOAPIC ioapics[X86_MAX_IOAPICS];
    PICState *pic;          /* NULL: pic=off */
    PITState *pit;          /* NULL: not added */
};

/* From the lines ----------------------------------------------------------- */

static void set_gsi(void *opaque, int n, int level)
{
    X86Irqchip *chip = opaque;
    IOAPICState *ioapic = chip->ioapics[n / IOAPIC_NUM_PINS].ioapic;

    if (chip->pic && n < PIC_NUM_IRQS) {
        qemu_set_irq(pic_irq(chip->pic, n), level);
    }
    qemu_set_irq(ioapic_irq(ioapic, n % IOAPIC_NUM_PINS), level);
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
 * from the PICs, so that is for inputs without them.
 */
static void connect_gsis(X86Irqchip *chip, qemu_irq *gsi)
{
    bool direct = !chip->apics && accel_get_class(chip->accel)->attach_irqfd;

    for (unsigned n = 0; n < X86_NUM_GSIS; n++) {
        bool to_pic = chip->pic && n < IOAPIC_NUM_PINS;

        if (chip->ioapics[n / IOAPIC_NUM_PINS].ioapic) {
            gsi[n] = (qemu_irq) {
                .handler = set_gsi, .opaque = chip, .n = n,
                .ops = direct && !to_pic ? &gsi_ops : NULL,
            };
        }
    }
}

/* From an I/O APIC to local APICs ------------------------------------------ */

static int send_msi_to_bus(void *opaque, uint64_t addr, uint32_t data)
{
    X86IOAPIC *from = opaque;

    return apic_bus_send_msi(from->chip->apics, addr, data);
}

static int send_msi_to_accel(void *opaque, uint64_t addr, uint32_t data)
{
    AccelState *accel = ((X86IOAPIC *)opaque)->chip->accel;

    return accel_get_class(accel)->send_msi(accel, addr, data);
}

static void tell_accel_of_route(void *opaque, unsigned pin, uint64_t addr,
                                uint32_t data, bool masked)
{
    X86IOAPIC *from = opaque;
    AccelState *accel = from->chip->accel;

    accel_get_class(accel)->set_msi_route(accel, from->gsi_base + pin, addr, data, masked);
}

/* Nobody says when a level has been served: 0, so that the entry does not wait for it. */
static int send_edge_to_accel(void *opaque, uint64_t addr, uint32_t data)
{
    send_msi_to_accel(opaque, addr, data & ~MSI_DATA_LEVEL);
    return 0;
}

static void tell_accel_of_edge(void *opaque, unsigned pin, uint64_t addr,
                               uint32_t data, bool masked)
{
    tell_accel_of_route(opaque, pin, addr, data & ~MSI_DATA_LEVEL, masked);
}

static const IOAPICOps ioapic_ops[] = {
    [ACCEL_IRQCHIP_KERNEL] = {
        .send_msi = send_edge_to_accel, .route_changed = tell_accel_of_edge,
    },
    [ACCEL_IRQCHIP_SPLIT] = {
        .send_msi = send_msi_to_accel, .route_changed = tell_accel_of_route,
    },
    [ACCEL_IRQCHIP_USER] = { .send_msi = send_msi_to_bus },
};

/* From local APICs back ---------------------------------------------------- */

static void eoi(void *opaque, uint8_t vector)
{
    X86Irqchip *chip = opaque;

    for (unsigned i = 0; i < X86_MAX_IOAPICS; i++) {
        if (chip->ioapics[i].ioapic) {
            ioapic_eoi(chip->ioapics[i].ioapic, vector);
        }
    }
}

static int extint_ack(void *opaque)
{
    X86Irqchip *chip = opaque;

    return chip->pic ? pic_acknowledge(chip->pic) : -1;
}

static const APICBusOps bus_ops = { .eoi = eoi, .extint_ack = extint_ack };

/* Making them -------------------------------------------------------------- */

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
    for (unsigned i = 0; i < X86_MAX_IOAPICS; i++) {
        if (chip->ioapics[i].ioapic) {
            ioapic_reset(chip->ioapics[i].ioapic);
        }
    }
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
        .nr_pins = config->ioapic2 ? X86_NUM_GSIS : IOAPIC_NUM_PINS,
        .wide_ids = config->apic_id_limit > XAPIC_ID_LIMIT,
        .eoi = eoi,
        .extint_ack = extint_ack,
        .opaque = chip,
    };

    if (config->mode == ACCEL_IRQCHIP_KERNEL) {
        *intr = (qemu_irq) { 0 };
        return true;
    }
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

static void add_ioapic(X86Irqchip *chip, MachineState *ms, const X86IrqchipConfig *config,
                       unsigned index)
{
    static const hwaddr addrs[X86_MAX_IOAPICS] = {
        IO_APIC_DEFAULT_ADDRESS, IO_APIC_SECONDARY_ADDRESS,
    };
    X86IOAPIC *io = &chip->ioapics[index];

    io->chip = chip;
    io->gsi_base = index * IOAPIC_NUM_PINS;
    io->ioapic = ioapic_new(config->ioapic_id + index, config->apic_id_limit > XAPIC_ID_LIMIT,
                            &ioapic_ops[config->mode], io);
    memory_region_add_subregion(&ms->system_memory, addrs[index], ioapic_region(io->ioapic));
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
    if (config->mode != ACCEL_IRQCHIP_KERNEL) {
        add_ioapic(chip, ms, config, 0);
    }
    if (config->ioapic2) {
        add_ioapic(chip, ms, config, 1);
    }
    if (config->pic && config->mode != ACCEL_IRQCHIP_KERNEL) {
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
        for (unsigned i = 0; i < X86_MAX_IOAPICS; i++) {
            ioapic_free(chip->ioapics[i].ioapic);
        }
        apic_bus_free(chip->apics);
        g_free(chip);
    }
}

void x86_irqchip_foreach_state(X86Irqchip *chip, StateFn *fn, void *opaque)
{
    const GPtrArray *apics = chip->apics ? apic_bus_list(chip->apics) : NULL;

    for (guint i = 0; apics && i < apics->len; i++) {
        fn(&apic_state, NULL, i, apics->pdata[i], opaque);
    }
    for (unsigned i = 0; i < X86_MAX_IOAPICS; i++) {
        if (chip->ioapics[i].ioapic) {
            fn(&ioapic_state, NULL, i, chip->ioapics[i].ioapic, opaque);
        }
    }
    if (chip->pic) {
        fn(&pic_state, NULL, 0, chip->pic, opaque);
    }
    if (chip->pit) {
        fn(&pit_state, NULL, 0, chip->pit, opaque);
    }
}

char *x86_irqchip_dump(X86Irqchip *chip)
{
    GString *out = g_string_new(NULL);

    if (chip->pic) {
        g_autofree char *pic = pic_dump(chip->pic);

        g_string_append(out, pic);
    }
    for (unsigned i = 0; i < X86_MAX_IOAPICS; i++) {
        if (chip->ioapics[i].ioapic) {
            g_autofree char *ioapic = ioapic_dump(chip->ioapics[i].ioapic, i);

            g_string_append(out, ioapic);
        }
    }
    return g_string_free(out, FALSE);
}

static void append_count(GString *out, unsigned gsi, uint64_t count)
{
    if (count) {
        g_string_append_printf(out, "%2u: %" PRIu64 "\n", gsi, count);
    }
}

char *x86_irqchip_counts(X86Irqchip *chip)
{
    GString *out = g_string_new(NULL);

    if (chip->pic) {
        g_string_append(out, "IRQ statistics for i8259:\n");
        for (unsigned i = 0; i < PIC_NUM_IRQS; i++) {
            append_count(out, i, pic_count(chip->pic, i));
        }
    }
    g_string_append(out, "IRQ statistics for ioapic:\n");
    for (unsigned n = 0; n < X86_NUM_GSIS; n++) {
        IOAPICState *ioapic = chip->ioapics[n / IOAPIC_NUM_PINS].ioapic;

        append_count(out, n, ioapic ? ioapic_count(ioapic, n % IOAPIC_NUM_PINS) : 0);
    }
    return g_string_free(out, FALSE);
}
