/*
 * fsync() of a disk that takes as long as a test wants, or fails (-Wl,--wrap=fsync). Any thread.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef TESTS_UNIT_SLOW_DISK_H
#define TESTS_UNIT_SLOW_DISK_H

#include <stdbool.h>

/* None counted, none held, none fails. */
void slow_disk_reset(void);
/* From now on they wait, and are counted anew; or those that wait go on. */
void slow_disk_hold(bool on);
/* From now on they fail with this error; 0: succeed. */
void slow_disk_fail(int error);
/* How many have begun. */
unsigned slow_disk_syncs(void);
/* Until n have begun. */
void slow_disk_wait(unsigned n);

#endif
