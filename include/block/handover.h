/*
 * Images that are handed from one process to the next. Main thread.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef BLOCK_HANDOVER_H
#define BLOCK_HANDOVER_H

#include "qemu/error.h"

/* The guest stands still: what was written reaches the medium. */
void blk_sync_all(void);
/*
 * Images of a machine that comes from another process are that one's until blk_activate_all():
 * those that are opened from now on are neither locked nor written.
 */
void blk_expect_handover(void);
/*
 * Locks are given up, another process may take the images; what is known of them has been written.
 * / They are ours again, as far as they were not. The guest stands still. False with errp set:
 * somebody else has one, or a job. Nothing is inactive then, or everything.
 */
bool blk_inactivate_all(Error **errp);
bool blk_activate_all(Error **errp);

#endif
