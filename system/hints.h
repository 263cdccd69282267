/*
 * Hints for people in front of a blank screen.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef SYSTEM_HINTS_H
#define SYSTEM_HINTS_H

#include "hw/boards.h"

/*
 * Give the hints that the finished machine deserves, and watch it for those that come later;
 * each is one line on stderr, once. Main thread, before the machine runs. Who does not call
 * this has no hints, and no cost.
 */
void hints_start(MachineState *ms);

#endif
