/*
 * vmgenid: an identifier that changes when the machine is a copy of itself (UAPI.14).
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <string.h>

#include "hw/acpi/aml.h"
#include "hw/acpi/ged.h"
#include "hw/acpi/shared-page.h"
#include "hw/boards.h"
#include "hw/loader.h"
#include "qemu/cutils.h"

#define GUID_SIZE       16
#define NOTIFY_CHANGED  0x80

typedef struct VMGenIDState {
    DeviceState dev;
    char *guid;
    hwaddr addr;            /* 0: the board has not placed it */
    DeviceState *ged;
} VMGenIDState;

bool acpi_vmgenid_place(DeviceState *dev, hwaddr addr, DeviceState *ged, Error **errp)
{
    VMGenIDState *s = downcast(dev, VMGenIDState, dev);
    uint8_t *rom = rom_add(dev->machine, "VM generation ID", addr, GUID_SIZE, errp);

    if (!rom) {
        return false;
    }
    qemu_uuid_le_bytes(s->guid, rom);
    s->addr = addr;
    s->ged = ged;
    acpi_ged_add_event(ged, ACPI_GED_VMGENID, "VGEN", NOTIFY_CHANGED);
    return true;
}

static bool vmgenid_realize(DeviceState *dev, Error **errp)
{
    VMGenIDState *s = downcast(dev, VMGenIDState, dev);

    if (!strcmp(s->guid, "auto")) {
        g_free(s->guid);
        s->guid = g_uuid_string_random();
    } else if (!g_uuid_string_is_valid(s->guid)) {
        error_setg(errp, "Property 'vmgenid.guid': '%s' is neither a UUID nor 'auto'", s->guid);
        return false;
    }
    return true;
}

static void vmgenid_build_aml(DeviceState *dev, Aml *aml)
{
    const VMGenIDState *s = downcast(dev, const VMGenIDState, dev);

    aml_begin_device(aml, "VGEN");
    aml_name(aml, "_HID");
    aml_string(aml, "QEMUVGID");
    aml_name(aml, "_CID");
    aml_string(aml, "VM_Gen_Counter");
    aml_name(aml, "_DDN");
    aml_string(aml, "VM_Gen_Counter");
    aml_name(aml, "ADDR");
    aml_begin_package(aml, 2);
    aml_integer(aml, (uint32_t)s->addr);
    aml_integer(aml, s->addr >> 32);
    aml_end(aml);
    aml_end(aml);
}

/* The saved machine has been loaded, as another one may be: this is its own identifier. */
static bool vmgenid_post_load(void *obj, Error **errp)
{
    VMGenIDState *s = obj;
    uint8_t guid[GUID_SIZE], before[GUID_SIZE];
    const AddressSpace *as = &s->dev.machine->memory;

    qemu_uuid_le_bytes(s->guid, guid);
    if (s->addr && address_space_read(as, s->addr, before, GUID_SIZE) &&
        memcmp(guid, before, GUID_SIZE)) {
        address_space_write(as, s->addr, guid, GUID_SIZE);
        acpi_ged_send_event(s->ged, ACPI_GED_VMGENID);
    }
    return true;
}

STATE_NOT(VMGenIDState, addr, "the board's");
STATE_NOT(VMGenIDState, ged, "the board's");

static const StateDesc vmgenid_state = { .version = 1, .post_load = vmgenid_post_load };

static const Property vmgenid_props[] = {
    DEFINE_PROP_STRING("guid", VMGenIDState, guid, "auto",
                       "the identifier, or \"auto\" for a random one"),
    DEFINE_PROP_END
};

static const DeviceClass vmgenid_class = {
    .oc = {
        .name = "vmgenid",
        .desc = "identifier of the machine's generation (ACPI)",
        .instance_size = sizeof(VMGenIDState),
        .props = vmgenid_props,
    },
    .user_creatable = true,
    .realize = vmgenid_realize,
    .build_aml = vmgenid_build_aml,
    .state = MACHINE_STATE(&vmgenid_state),
};
DEFINE_CLASS(vmgenid, &vmgenid_class.oc);
