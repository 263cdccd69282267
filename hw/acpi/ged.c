/*
 * The generic event device: events, the power button, power off, reset.
 *
 * A read of the event selector gives the pending bits and clears them. The line is high while
 * any is pending; each event makes a fresh edge, also when the one before was not yet read, so
 * that none is lost between the guest's read and its end of interrupt.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "hw/acpi/ged.h"

#include "hw/acpi/aml.h"
#include "qemu/log.h"
#include "sysemu/runstate.h"

/* Sleep control register, ACPI 6.5 table 4.19. */
#define SLP_TYP_SHIFT   2
#define SLP_TYP_MASK    7
#define SLP_EN          (1u << 5)

#define GED_MAX_EVENTS  8
/* 5.6.6, table 5.177: "S0 power button pressed". */
#define NOTIFY_POWER_BUTTON 0x80

typedef struct GedEvent {
    uint32_t bit;
    const char *path;
    uint8_t value;
} GedEvent;

typedef struct GedState {
    DeviceState dev;
    AcpiGedSlot slot;
    MemoryRegion selector;
    MemoryRegion regs;
    uint32_t pending;           /* machine lock */
    unsigned nr_events;
    GedEvent events[GED_MAX_EVENTS];
} GedState;

/* Events ------------------------------------------------------------------- */

static void send_event(DeviceState *dev, uint32_t bit)
{
    GedState *s = downcast(dev, GedState, dev);

    s->pending |= bit;
    qemu_irq_lower(s->slot.irq);
    qemu_irq_raise(s->slot.irq);
}

static void press_power_button(MachineState *ms, RunStateEvent event, ShutdownCause cause,
                               void *opaque)
{
    if (event == RUN_STATE_EVENT_POWERDOWN) {
        send_event(opaque, ACPI_GED_POWER_BUTTON);
    }
}

void acpi_ged_send_event(DeviceState *dev, uint32_t bit)
{
    send_event(dev, bit);
}

void acpi_ged_add_event(DeviceState *dev, uint32_t bit, const char *path, uint8_t value)
{
    GedState *s = downcast(dev, GedState, dev);

    g_assert(s->nr_events < GED_MAX_EVENTS);
    s->events[s->nr_events++] = (GedEvent) { bit, path, value };
}

/* Registers ---------------------------------------------------------------- */

/* Every width comes here, as a part of a wider access would not be told from a whole one. */
#define GED_ANY_ACCESS { .min_access_size = 1, .max_access_size = 8, .unaligned = true }

static bool valid_access(hwaddr addr, unsigned size, unsigned wanted)
{
    if (size != wanted || addr % wanted) {
        qemu_log_mask(LOG_GUEST_ERROR, "acpi-ged: %u-byte access at offset 0x%x, not %u bytes\n",
                      size, (unsigned)addr, wanted);
        return false;
    }
    return true;
}

static uint64_t selector_read(void *opaque, hwaddr addr, unsigned size)
{
    GedState *s = opaque;
    uint32_t pending = s->pending;

    if (!valid_access(addr, size, ACPI_GED_SELECTOR_SIZE)) {
        return 0;
    }
    s->pending = 0;
    qemu_irq_lower(s->slot.irq);
    return pending;
}

static void selector_write(void *opaque, hwaddr addr, uint64_t data, unsigned size)
{
    qemu_log_mask(LOG_GUEST_ERROR, "acpi-ged: write to the event selector\n");
}

static const MemoryRegionOps selector_ops = {
    .read = selector_read,
    .write = selector_write,
    .valid = GED_ANY_ACCESS,
};

static void sleep_control(GedState *s, uint8_t value)
{
    unsigned type = value >> SLP_TYP_SHIFT & SLP_TYP_MASK;

    if (!(value & SLP_EN)) {
        return;
    }
    if (type != ACPI_GED_SLP_TYP_S5) {
        qemu_log_mask(LOG_GUEST_ERROR, "acpi-ged: no sleep type %u\n", type);
        return;
    }
    qemu_system_shutdown_request(s->dev.machine, SHUTDOWN_CAUSE_GUEST_SHUTDOWN);
}

/* Nothing wakes up (WAK_STS), and what is written is not kept. */
static uint64_t regs_read(void *opaque, hwaddr addr, unsigned size)
{
    return 0;
}

static void regs_write(void *opaque, hwaddr addr, uint64_t data, unsigned size)
{
    GedState *s = opaque;

    if (!valid_access(addr, size, 1)) {
        return;
    }
    switch (addr) {
    case ACPI_GED_SLEEP_CONTROL:
        sleep_control(s, data);
        break;
    case ACPI_GED_SLEEP_STATUS:
        break;
    case ACPI_GED_RESET:
        if (data == ACPI_GED_RESET_VALUE) {
            qemu_system_reset_request(s->dev.machine, SHUTDOWN_CAUSE_GUEST_RESET);
        }
        break;
    }
}

static const MemoryRegionOps regs_ops = {
    .read = regs_read,
    .write = regs_write,
    .valid = GED_ANY_ACCESS,
};

/* In the DSDT -------------------------------------------------------------- */

static void build_evt(const GedState *s, Aml *aml)
{
    aml_begin_method(aml, "_EVT", 1, true);
    aml_op(aml, AML_STORE);
    aml_path(aml, "ESEL");
    aml_local(aml, 0);
    for (unsigned i = 0; i < s->nr_events; i++) {
        const GedEvent *event = &s->events[i];

        aml_begin_if(aml);
        aml_op(aml, AML_AND);
        aml_local(aml, 0);
        aml_integer(aml, event->bit);
        aml_integer(aml, 0);
        aml_op(aml, AML_NOTIFY);
        aml_path(aml, event->path);
        aml_integer(aml, event->value);
        aml_end(aml);
    }
    aml_end(aml);
}

/* 5.6.9.1: all interrupts of _CRS are events, _EVT handles them. */
static void ged_build_aml(DeviceState *dev, Aml *aml)
{
    const GedState *s = downcast(dev, const GedState, dev);

    aml_begin_device(aml, "PWRB");
    aml_name(aml, "_HID");
    aml_eisa_id(aml, "PNP0C0C");
    aml_name(aml, "_UID");
    aml_integer(aml, 0);
    aml_end(aml);

    aml_begin_device(aml, "GED");
    aml_name(aml, "_HID");
    aml_string(aml, "ACPI0013");
    aml_name(aml, "_UID");
    aml_string(aml, "GED");
    aml_name(aml, "_CRS");
    aml_begin_resources(aml);
    aml_res_interrupt(aml, s->slot.gsi);
    aml_end(aml);
    aml_memory_region(aml, "EREG", s->slot.selector_base, ACPI_GED_SELECTOR_SIZE);
    aml_dword_field(aml, "EREG", "ESEL", 8 * ACPI_GED_SELECTOR_SIZE);
    build_evt(s, aml);
    aml_end(aml);
}

/* Device ------------------------------------------------------------------- */

static bool ged_realize(DeviceState *dev, Error **errp)
{
    GedState *s = downcast(dev, GedState, dev);
    MachineState *ms = dev->machine;

    memory_region_init_io(&s->selector, &selector_ops, s, "acpi-ged", ACPI_GED_SELECTOR_SIZE);
    memory_region_init_io(&s->regs, &regs_ops, s, "acpi-regs", ACPI_GED_REG_COUNT);
    memory_region_add_subregion(&ms->system_memory, s->slot.selector_base, &s->selector);
    memory_region_add_subregion(&ms->system_memory, s->slot.regs_base, &s->regs);
    runstate_add_notifier(ms, press_power_button, s);
    ms->has_power_button = true;
    return true;
}

static void ged_unrealize(DeviceState *dev)
{
    runstate_del_notifier(dev->machine, press_power_button, dev);
}

static void ged_reset(DeviceState *dev)
{
    GedState *s = downcast(dev, GedState, dev);

    s->pending = 0;
    qemu_irq_lower(s->slot.irq);
}

STATE_NOT(GedState, slot, "the board's");
STATE_NOT(GedState, nr_events, "what devices there are");
STATE_NOT(GedState, events, "what devices there are");

static const StateField ged_fields[] = {
    STATE_INT(GedState, pending),
    STATE_END
};

static const StateDesc ged_state = { .version = 1, .fields = ged_fields };

static const DeviceClass ged_class = {
    .oc = {
        .name = "acpi-ged",
        .desc = "ACPI generic event device",
        .instance_size = sizeof(GedState),
    },
    .realize = ged_realize,
    .unrealize = ged_unrealize,
    .reset = ged_reset,
    .build_aml = ged_build_aml,
    .state = MACHINE_STATE(&ged_state),
};
DEFINE_CLASS(acpi_ged, &ged_class.oc);

DeviceState *acpi_ged_create(MachineState *ms, const AcpiGedSlot *slot, Error **errp)
{
    DeviceState *dev = qdev_new(&ged_class, NULL);

    downcast(dev, GedState, dev)->slot = *slot;
    acpi_ged_add_event(dev, ACPI_GED_POWER_BUTTON, "PWRB", NOTIFY_POWER_BUTTON);
    if (!machine_apply_globals(ms, &dev->obj, errp) ||
        !qdev_realize(dev, ms, NULL, errp)) {
        object_free(&dev->obj);
        return NULL;
    }
    return dev;
}
