/*
 * isa-serial: a 16550A at a PC's COM port.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <string.h>

#include "hw/acpi/aml.h"
#include "hw/char/serial.h"
#include "hw/isa/isa.h"

#define MAX_ISA_SERIAL_PORTS 4
/* Property values that mean "by the index". */
#define UNSET UINT32_MAX

typedef struct ISASerialState {
    DeviceState dev;
    uint32_t index;
    uint32_t iobase;
    uint32_t irq;
    bool wakeup;
    SerialState uart;
} ISASerialState;

static const struct {
    uint16_t iobase;
    uint8_t irq;
} com_ports[MAX_ISA_SERIAL_PORTS] = {
    { 0x3f8, 4 }, { 0x2f8, 3 }, { 0x3e8, 4 }, { 0x2e8, 3 },
};

static const DeviceClass isa_serial_class;

static bool index_taken(const ISASerialState *isa, uint32_t index)
{
    const GPtrArray *children = isa->dev.parent_bus->children;

    for (guint i = 0; children && i < children->len; i++) {
        const DeviceState *dev = g_ptr_array_index(children, i);

        if (dev != &isa->dev && dev->obj.oc == &isa_serial_class.oc &&
            downcast(dev, const ISASerialState, dev)->index == index) {
            return true;
        }
    }
    return false;
}

/* Fill in what the user left to us. */
static bool choose_port(ISASerialState *isa, Error **errp)
{
    if (isa->index == UNSET) {
        isa->index = 0;
        while (index_taken(isa, isa->index)) {
            isa->index++;
        }
    }
    if (isa->index >= MAX_ISA_SERIAL_PORTS) {
        error_setg(errp, "Max. supported number of ISA serial ports is %d.",
                   MAX_ISA_SERIAL_PORTS);
        return false;
    }
    if (isa->iobase == UNSET) {
        isa->iobase = com_ports[isa->index].iobase;
    }
    if (isa->irq == UNSET) {
        isa->irq = com_ports[isa->index].irq;
    }
    return true;
}

static bool isa_serial_realize(DeviceState *dev, Error **errp)
{
    ISASerialState *isa = downcast(dev, ISASerialState, dev);
    Error *err = NULL;
    qemu_irq irq;

    if (!choose_port(isa, errp)) {
        return false;
    }
    irq = isa_get_irq(dev, isa->irq, &err);
    if (err) {
        error_propagate(errp, err);
        return false;
    }
    serial_realize(&isa->uart, irq, "serial");
    if (!isa_register_ioport(dev, &isa->uart.io, isa->iobase, errp)) {
        serial_unrealize(&isa->uart);
        return false;
    }
    return true;
}

static void isa_serial_unrealize(DeviceState *dev)
{
    serial_unrealize(&downcast(dev, ISASerialState, dev)->uart);
}

static void isa_serial_reset(DeviceState *dev)
{
    serial_reset(&downcast(dev, ISASerialState, dev)->uart);
}

static void isa_serial_build_aml(DeviceState *dev, Aml *aml)
{
    const ISASerialState *isa = downcast(dev, const ISASerialState, dev);
    char name[] = { 'C', 'O', 'M', '1' + isa->index, 0 };

    aml_begin_device(aml, name);
    aml_name(aml, "_HID");
    aml_eisa_id(aml, "PNP0501");
    aml_name(aml, "_UID");
    aml_integer(aml, isa->index + 1);
    aml_name(aml, "_STA");
    aml_integer(aml, 0xf);
    aml_name(aml, "_CRS");
    aml_begin_resources(aml);
    aml_res_io(aml, isa->iobase, 8, 0);
    aml_res_irq(aml, isa->irq);
    aml_end(aml);
    aml_end(aml);
}

static const Property isa_serial_props[] = {
    DEFINE_PROP_UINT32("index", ISASerialState, index, "4294967295",
                       "COM port less one: decides iobase and irq"),
    DEFINE_PROP_UINT32("iobase", ISASerialState, iobase, "4294967295",
                       "first of 8 I/O ports"),
    DEFINE_PROP_UINT32("irq", ISASerialState, irq, "4294967295", "ISA interrupt"),
    DEFINE_PROP_UINT32("baudbase", ISASerialState, uart.baudbase, "115200",
                       "baud at divisor 1"),
    DEFINE_PROP_BOOL("wakeup", ISASerialState, wakeup, "off",
                     "accepted; there is no sleep to wake up from"),
    DEFINE_PROP_CHR("chardev", ISASerialState, uart.chr),
    DEFINE_PROP_END
};

static void isa_serial_pre_save(void *obj)
{
    serial_state.pre_save(&((ISASerialState *)obj)->uart);
}

static bool isa_serial_post_load(void *obj, Error **errp)
{
    return serial_state.post_load(&((ISASerialState *)obj)->uart, errp);
}

static void save_uart(const void *field, const char *name, GByteArray *out)
{
    state_put_struct(out, name, serial_state.fields, field);
}

static bool load_uart(void *field, const char *name, StateReader *in, Error **errp)
{
    return state_get_struct(in, name, serial_state.fields, field, errp);
}

static const StateInfo uart_info = { .save = save_uart, .load = load_uart };

static const StateField isa_serial_fields[] = {
    STATE_CUSTOM(ISASerialState, uart, uart_info),
    STATE_END
};

static const StateDesc isa_serial_state = {
    .version = 1,
    .fields = isa_serial_fields,
    .pre_save = isa_serial_pre_save,
    .post_load = isa_serial_post_load,
};

static const DeviceClass isa_serial_class = {
    .oc = {
        .name = "isa-serial",
        .desc = "16550A serial port",
        .instance_size = sizeof(ISASerialState),
        .props = isa_serial_props,
    },
    .bus_type = TYPE_ISA_BUS,
    .user_creatable = true,
    .realize = isa_serial_realize,
    .unrealize = isa_serial_unrealize,
    .reset = isa_serial_reset,
    .build_aml = isa_serial_build_aml,
    .state = MACHINE_STATE(&isa_serial_state),
};
DEFINE_CLASS(isa_serial, &isa_serial_class.oc);
