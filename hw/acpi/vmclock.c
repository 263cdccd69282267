/*
 * vmclock: a page that tells the guest when its clock may have been disrupted (UAPI.13). No
 * clock is offered in it: the guest has KVM's.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "hw/acpi/aml.h"
#include "hw/acpi/ged.h"
#include "hw/acpi/shared-page.h"
#include "hw/boards.h"
#include "hw/loader.h"
#include "qemu/le.h"

#define PAGE_SIZE               4096
#define NOTIFY_CHANGED          0x80

/* "The vmclock_abi structure": offsets and values; what is not named here is 0. */
#define VMCLOCK_MAGIC           0x00
#define VMCLOCK_MAGIC_VALUE     0x4b4c4356
#define VMCLOCK_SIZE            0x04
#define VMCLOCK_VERSION         0x08
#define VMCLOCK_COUNTER_ID      0x0a
#define COUNTER_INVALID         0xff
#define VMCLOCK_TIME_TYPE       0x0b
#define TIME_TAI                1
#define VMCLOCK_SEQ_COUNT       0x0c        /* odd while the rest changes */
#define VMCLOCK_DISRUPTION      0x10        /* another value: the clock may have jumped */
#define VMCLOCK_FLAGS           0x18
#define FLAG_VM_GEN_COUNTER     (1u << 7)
#define FLAG_NOTIFICATION       (1u << 8)
#define VMCLOCK_GENERATION      0x68        /* another value: this is a copy */

typedef struct VMClockState {
    DeviceState dev;
    hwaddr addr;            /* 0: the board has not placed it */
    DeviceState *ged;
} VMClockState;

bool acpi_vmclock_place(DeviceState *dev, hwaddr addr, DeviceState *ged, Error **errp)
{
    uint8_t *rom = rom_add(dev->machine, "VM clock", addr, PAGE_SIZE, errp);

    if (!rom) {
        return false;
    }
    st_le(rom + VMCLOCK_MAGIC, VMCLOCK_MAGIC_VALUE, 4);
    st_le(rom + VMCLOCK_SIZE, PAGE_SIZE, 4);
    st_le(rom + VMCLOCK_VERSION, 1, 2);
    st_le(rom + VMCLOCK_COUNTER_ID, COUNTER_INVALID, 1);
    st_le(rom + VMCLOCK_TIME_TYPE, TIME_TAI, 1);
    st_le(rom + VMCLOCK_FLAGS, FLAG_VM_GEN_COUNTER | FLAG_NOTIFICATION, 8);
    downcast(dev, VMClockState, dev)->addr = addr;
    downcast(dev, VMClockState, dev)->ged = ged;
    acpi_ged_add_event(ged, ACPI_GED_VMCLOCK, "VCLK", NOTIFY_CHANGED);
    return true;
}

static bool vmclock_realize(DeviceState *dev, Error **errp)
{
    return true;
}

static void bump(uint8_t *p)
{
    st_le(p, ld_le(p, 8) + 1, 8);
}

/* The saved machine has been loaded: time has passed, and it may be a copy. */
static bool vmclock_post_load(void *obj, Error **errp)
{
    VMClockState *s = obj;
    uint8_t *page = address_space_map(&s->dev.machine->memory, s->addr, PAGE_SIZE);
    uint32_t seq;

    if (s->addr && page) {
        seq = ld_le(page + VMCLOCK_SEQ_COUNT, 4);
        bump(page + VMCLOCK_DISRUPTION);
        bump(page + VMCLOCK_GENERATION);
        st_le(page + VMCLOCK_SEQ_COUNT, (seq & ~1u) + 2, 4);
        acpi_ged_send_event(s->ged, ACPI_GED_VMCLOCK);
    }
    return true;
}

STATE_NOT(VMClockState, addr, "the board's");
STATE_NOT(VMClockState, ged, "the board's");

static const StateDesc vmclock_state = { .version = 1, .post_load = vmclock_post_load };

static void vmclock_build_aml(DeviceState *dev, Aml *aml)
{
    const VMClockState *s = downcast(dev, const VMClockState, dev);

    aml_begin_device(aml, "VCLK");
    aml_name(aml, "_HID");
    aml_string(aml, "AMZNC10C");
    aml_name(aml, "_CID");
    aml_string(aml, "VMCLOCK");
    aml_name(aml, "_DDN");
    aml_string(aml, "VMCLOCK");
    aml_name(aml, "_CRS");
    aml_begin_resources(aml);
    aml_res_memory32(aml, s->addr, PAGE_SIZE);
    aml_end(aml);
    aml_end(aml);
}

static const DeviceClass vmclock_class = {
    .oc = {
        .name = "vmclock",
        .desc = "page that tells of disruptions of the clock (ACPI)",
        .instance_size = sizeof(VMClockState),
    },
    .user_creatable = true,
    .realize = vmclock_realize,
    .build_aml = vmclock_build_aml,
    .state = MACHINE_STATE(&vmclock_state),
};
DEFINE_CLASS(vmclock, &vmclock_class.oc);
