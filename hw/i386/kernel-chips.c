/*
 * What a saved machine holds of the controllers and the PIT that the accelerator keeps: the same as
 * of the board's own, so that it goes on with either.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <string.h>

#include "hw/i386/irqchip.h"
#include "hw/intc/i8259.h"
#include "hw/intc/ioapic.h"
#include "hw/timer/i8254.h"

static AccelState *accel_of(const void *field)
{
    return *(AccelState *const *)field;
}

static void get(const void *field, AccelChips *c)
{
    accel_get_class(accel_of(field))->get_chips(accel_of(field), c);
}

static bool set(const void *field, const AccelChips *c, Error **errp)
{
    return accel_get_class(accel_of(field))->set_chips(accel_of(field), c, errp);
}

/* Each is put into a device of our own, which nobody is connected to, and saved from there. */

static void save_pics(const void *field, const char *name, GByteArray *out)
{
    PICState *pic = pic_new((qemu_irq) { 0 });
    AccelChips c = { .which = ACCEL_CHIP_PICS };

    get(field, &c);
    for (unsigned i = 0; i < 2; i++) {
        *pic_chip(pic, i) = c.pic[i];
    }
    state_save_fields(pic_state.fields, pic, out);
    pic_free(pic);
}

static bool load_pics(void *field, const char *name, StateReader *in, Error **errp)
{
    PICState *pic = pic_new((qemu_irq) { 0 });
    AccelChips c = { .which = ACCEL_CHIP_PICS };
    bool ok = state_load_fields(pic_state.fields, pic, in, errp);

    for (unsigned i = 0; i < 2; i++) {
        c.pic[i] = *pic_chip(pic, i);
    }
    pic_free(pic);
    return ok && set(field, &c, errp);
}

static void save_ioapic(const void *field, const char *name, GByteArray *out)
{
    static const IOAPICOps nothing;
    IOAPICState *ioapic = ioapic_new(0, false, &nothing, NULL);
    AccelChips c = { .which = ACCEL_CHIP_IOAPIC };

    get(field, &c);
    ioapic_set_registers(ioapic, &c.ioapic);
    state_save_fields(ioapic_state.fields, ioapic, out);
    ioapic_free(ioapic);
}

static bool load_ioapic(void *field, const char *name, StateReader *in, Error **errp)
{
    static const IOAPICOps nothing;
    IOAPICState *ioapic = ioapic_new(0, false, &nothing, NULL);
    AccelChips c = { .which = ACCEL_CHIP_IOAPIC };
    bool ok = state_load_fields(ioapic_state.fields, ioapic, in, errp);

    ioapic_get_registers(ioapic, &c.ioapic);
    ioapic_free(ioapic);
    return ok && set(field, &c, errp);
}

static void save_pit(const void *field, const char *name, GByteArray *out)
{
    PITState *pit = pit_new((qemu_irq) { 0 });
    AccelChips c = { .which = ACCEL_CHIP_PIT };

    get(field, &c);
    for (unsigned i = 0; i < 3; i++) {
        PITChannel *ch = pit_channel(pit, i);

        *ch = c.pit[i];
        pit_channel_start(ch, c.pit[i].count, c.pit_elapsed[i]);
    }
    pit_restart(pit);
    state_save_fields(pit_state.fields, pit, out);
    pit_free(pit);
}

static bool load_pit(void *field, const char *name, StateReader *in, Error **errp)
{
    PITState *pit = pit_new((qemu_irq) { 0 });
    AccelChips c = { .which = ACCEL_CHIP_PIT };
    bool ok = state_load_fields(pit_state.fields, pit, in, errp) &&
        pit_state.post_load(pit, errp);

    for (unsigned i = 0; i < 3; i++) {
        c.pit[i] = *pit_channel(pit, i);
    }
    pit_free(pit);
    return ok && set(field, &c, errp);
}

static const StateInfo pics_info = { .save = save_pics, .load = load_pics };
static const StateInfo ioapic_info = { .save = save_ioapic, .load = load_ioapic };
static const StateInfo pit_info = { .save = save_pit, .load = load_pit };

static const StateField pics_fields[] = {
    STATE_CUSTOM(MachineState, accel, pics_info),
    STATE_END
};

static const StateField ioapic_fields[] = {
    STATE_CUSTOM(MachineState, accel, ioapic_info),
    STATE_END
};

static const StateField pit_fields[] = {
    STATE_CUSTOM(MachineState, accel, pit_info),
    STATE_END
};

/* Names and versions of the board's own. */
static const StateDesc states[] = {
    { .name = "ioapic", .version = 1, .fields = ioapic_fields },
    { .name = "i8259", .version = 1, .fields = pics_fields },
    { .name = "i8254", .version = 1, .fields = pit_fields },
};

void x86_kernel_chips_foreach_state(MachineState *ms, bool pit, StateFn *fn, void *opaque)
{
    for (unsigned i = 0; i < G_N_ELEMENTS(states) - !pit; i++) {
        fn(&states[i], NULL, 0, ms, opaque);
    }
}
