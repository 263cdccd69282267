/*
 * A build without fw_cfg.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "hw/nvram/fw_cfg.h"

DeviceState *fw_cfg_create(MachineState *ms, uint16_t port, Error **errp)
{
    error_setg(errp, "fw_cfg is not compiled into this binary");
    return NULL;
}

bool fw_cfg_add_buffer(DeviceState *fw_cfg, const char *name, void *data, uint32_t size,
                       Error **errp)
{
    return false;
}
