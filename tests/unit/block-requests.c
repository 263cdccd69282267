/*
 * Drives and their requests, one at a time, for tests.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "block-requests.h"

#include <glib.h>

#include "block/blockdev.h"

char *try_drive(const char *path, const char *options)
{
    g_autofree char *text = g_strdup_printf("file=%s,id=d%s%s", path,
                                            *options ? "," : "", options);
    g_autoptr(QemuOpts) opts = qemu_opts_parse(text, NULL, NULL);
    Error *err = NULL;
    char *msg;

    if (drive_new(opts, &err)) {
        return NULL;
    }
    msg = g_strdup(error_get_pretty(err));
    error_free(err);
    return msg;
}

void request_done(BlockRequest *req, int ret)
{
    req->ret = ret;
    req->done = UINT64_MAX;
}

int run_request(BlockBackend *blk, BlockOp op, unsigned flags, uint64_t offset, void *buf,
                uint64_t len)
{
    struct iovec iov = { buf, len };
    BlockRequest req = { .op = op, .flags = flags, .offset = offset, .bytes = len,
                         .iov = &iov, .niov = buf ? 1 : 0, .cb = request_done };

    blk_submit(blk, &req);
    blk_kick(blk);
    blk_drain(blk);
    g_assert_cmpuint(req.done, ==, UINT64_MAX);
    return req.ret;
}
