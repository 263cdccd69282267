/*
 * QMP about what happens to images by themselves.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "qmp.h"

static void on_corrupted(void *opaque, const BlockCorruption *c)
{
    qmp_emit(opaque, "BLOCK_IMAGE_CORRUPTED",
             json_pack("{s:s, s:s, s:s, s:I, s:b}", "device", c->device, "node-name", c->node_name,
                       "msg", c->what, "offset", (json_int_t)c->offset, "fatal", c->fatal));
}

const BlockListener qmp_block_listener = {
    .corrupted = on_corrupted,
};
