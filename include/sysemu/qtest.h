/*
 * The qtest protocol: a test program plays the CPU.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef SYSEMU_QTEST_H
#define SYSEMU_QTEST_H

#include "hw/boards.h"
#include "hw/irq.h"

typedef struct Chardev Chardev;

/*
 * Serve the protocol on chr. log names a file for requests and replies; NULL:
 * stderr; "none": no log. Before the machine's init, main thread, lock held.
 * The server lives as long as the machine. False with errp set on failure.
 */
bool qtest_server_init(MachineState *ms, Chardev *chr, const char *log, Error **errp);

/*
 * For boards: the line to give to devices instead of irq, which is input n of
 * the interrupt controllers. Unchanged when there is no test. Such lines can be
 * watched (irq_intercept_in) and driven (set_irq_in) by the name "ioapic".
 */
qemu_irq qtest_tap_irq(MachineState *ms, unsigned n, qemu_irq irq);

#endif
