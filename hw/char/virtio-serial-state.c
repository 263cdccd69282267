/*
 * What a saved machine holds of the virtio console device: what its driver knows of ports.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "qemu/cutils.h"
#include "virtio-serial.h"

STATE_NOT(VirtIOSerial, bus, "the machine's");
STATE_NOT(VirtIOSerial, ctrl_in, "the core's");
STATE_NOT(VirtIOSerialSlot, port, "a device of its own");

static const StateField slot_fields[] = {
    STATE_MAX(VirtIOSerialSlot, pending, 2 * PORT_MSG_RESIZE - 1),
    STATE_BOOL(VirtIOSerialSlot, added),
    STATE_BOOL(VirtIOSerialSlot, ready),
    STATE_END
};

static void save_slots(const void *field, const char *name, GByteArray *out)
{
    const VirtIOSerial *s = container_of(field, VirtIOSerial, slots);

    for (uint32_t nr = 0; nr < s->max_ports; nr++) {
        state_put_struct(out, "slot", slot_fields, &s->slots[nr]);
    }
}

/* Messages about a port that is not there are none. */
static bool load_slots(void *field, const char *name, StateReader *in, Error **errp)
{
    VirtIOSerial *s = container_of(field, VirtIOSerial, slots);

    for (uint32_t nr = 0; nr < s->max_ports; nr++) {
        VirtIOSerialSlot *slot = &s->slots[nr];

        if (!state_get_struct(in, "slot", slot_fields, slot, errp)) {
            return false;
        }
        if (!slot->port) {
            slot->pending &= PORT_MSG_REMOVE;
            slot->ready = false;
        } else if (!slot->port->name) {
            slot->pending &= ~PORT_MSG_NAME;
        }
    }
    return true;
}

static const StateInfo slots_info = { .save = save_slots, .load = load_slots };

static const StateField serial_fields[] = {
    STATE_BOOL(VirtIOSerial, driver_ready),
    STATE_CUSTOM(VirtIOSerial, slots, slots_info),
    STATE_END
};

const StateDesc virtio_serial_state = { .version = 1, .fields = serial_fields };
