/*
 * Drives and their requests, one at a time, for tests.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef TESTS_BLOCK_REQUESTS_H
#define TESTS_BLOCK_REQUESTS_H

#include "block/block-internal.h"

/* -drive file=…,id=d: NULL and it is open, or the message. Caller frees. */
char *try_drive(const char *path, const char *options);
/* A request's cb: done becomes UINT64_MAX, ret what it came to. */
void request_done(BlockRequest *req, int ret);
/* Submit and wait. */
int run_request(BlockBackend *blk, BlockOp op, unsigned flags, uint64_t offset, void *buf,
                uint64_t len);

#endif
