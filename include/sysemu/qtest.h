/*
 * The qtest protocol: a test program plays the CPU.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef SYSEMU_QTEST_H
#define SYSEMU_QTEST_H

#include "hw/boards.h"

typedef struct Chardev Chardev;

/*
 * Serve the protocol on chr. log names a file for requests and replies; NULL:
 * stderr; "none": no log. Before the machine's init, main thread, lock held.
 * The server lives as long as the machine, whose interrupt lines it taps: they can be
 * watched (irq_intercept_in) and driven (set_irq_in) by the name "ioapic". False with
 * errp set on failure.
 */
bool qtest_server_init(MachineState *ms, Chardev *chr, const char *log, Error **errp);

#endif
