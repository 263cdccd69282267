/*
 * What a reset does besides resetting devices: put loaded blobs back.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef SYSEMU_RESET_H
#define SYSEMU_RESET_H

#include "hw/boards.h"

typedef void QEMUResetHandler(void *opaque);

/* Handlers run in the order of registration, CPUs paused, lock held. */
void qemu_register_reset(MachineState *ms, QEMUResetHandler *fn, void *opaque);
/*
 * Devices, then the handlers, then the machine class's reset (which restores its
 * roms and CPUs).
 */
void qemu_devices_reset(MachineState *ms);

#endif
