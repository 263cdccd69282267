/*
 * fw_cfg: named blobs that a guest reads through three registers, byte by byte or by DMA
 * (QEMU, docs/specs/fw_cfg). Only there when something is to be read.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef HW_NVRAM_FW_CFG_H
#define HW_NVRAM_FW_CFG_H

#include "hw/boards.h"

#define FW_CFG_MAX_NAME     55          /* characters */
#define FW_CFG_MAX_FILES    256
#define FW_CFG_MAX_SIZE     (64u << 20) /* of a file, bytes */
#define FW_CFG_PORTS        12

/* -fw_cfg: a blob to be offered, in MachineState.fw_cfg_items. */
typedef struct FWCfgItem {
    char *name;
    GBytes *data;
} FWCfgItem;

/*
 * Make the device, map its registers at the I/O ports from port on and offer what -fw_cfg
 * named. The machine owns it. Before the map is sealed. NULL with errp set.
 */
DeviceState *fw_cfg_create(MachineState *ms, uint16_t port, Error **errp);

/*
 * Offer a buffer of the caller's that the guest may read, and write by DMA. Before the guest
 * runs. False with errp set.
 */
bool fw_cfg_add_buffer(DeviceState *fw_cfg, const char *name, void *data, uint32_t size,
                       Error **errp);

#endif
