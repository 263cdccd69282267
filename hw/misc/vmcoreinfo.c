/*
 * vmcoreinfo: the guest's kernel names its VMCOREINFO note.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "hw/misc/vmcoreinfo.h"

#include "hw/boards.h"
#include "hw/nvram/fw_cfg.h"

typedef struct VMCoreInfoState {
    DeviceState dev;
    VMCoreInfo info;
} VMCoreInfoState;

static bool vmcoreinfo_realize(DeviceState *dev, Error **errp)
{
    VMCoreInfoState *s = downcast(dev, VMCoreInfoState, dev);
    MachineState *ms = dev->machine;
    const MachineClass *mc = machine_get_class(ms);
    DeviceState *fw_cfg;

    if (ms->vmcoreinfo || !mc->get_fw_cfg) {
        error_setg(errp, ms->vmcoreinfo ? "at most one vmcoreinfo device is permitted"
                                        : "this machine has no fw_cfg");
        return false;
    }
    fw_cfg = mc->get_fw_cfg(ms, errp);
    if (!fw_cfg ||
        !fw_cfg_add_buffer(fw_cfg, "etc/vmcoreinfo", &s->info, sizeof(s->info), errp)) {
        return false;
    }
    ms->vmcoreinfo = &s->info;
    return true;
}

static void vmcoreinfo_reset(DeviceState *dev)
{
    VMCoreInfoState *s = downcast(dev, VMCoreInfoState, dev);

    s->info = (VMCoreInfo) { .host_format = VMCOREINFO_FORMAT_ELF };
}

static const StateField vmcoreinfo_fields[] = {
    STATE_INT(VMCoreInfoState, info.host_format),
    STATE_INT(VMCoreInfoState, info.guest_format),
    STATE_INT(VMCoreInfoState, info.size),
    STATE_INT(VMCoreInfoState, info.paddr),
    STATE_END
};

static const StateDesc vmcoreinfo_state = { .version = 1, .fields = vmcoreinfo_fields };

static const DeviceClass vmcoreinfo_class = {
    .oc = {
        .name = "vmcoreinfo",
        .desc = "the guest's kernel tells dumps where its symbols are",
        .instance_size = sizeof(VMCoreInfoState),
    },
    .user_creatable = true,
    .realize = vmcoreinfo_realize,
    .reset = vmcoreinfo_reset,
    .state = MACHINE_STATE(&vmcoreinfo_state),
};
DEFINE_CLASS(vmcoreinfo, &vmcoreinfo_class.oc);
