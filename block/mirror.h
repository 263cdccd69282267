/*
 * What mirror and commit jobs have in common.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef BLOCK_MIRROR_H
#define BLOCK_MIRROR_H

#include "job-internal.h"

/* base, which is below blk's disk, takes what is above; completed, it is the disk. */
bool block_active_commit_start(BlockBackend *blk, BlockNode *base,
                               const BlockJobOptions *options, Error **errp);
/* base is written from now on, and has at least length bytes. blk: its disk. Main thread. */
bool block_make_writable(BlockBackend *blk, BlockNode *base, uint64_t length, Error **errp);

#endif
