/*
 * A build without NBD.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "block/export.h"

#include "job-internal.h"

static bool not_there(Error **errp)
{
    error_setg(errp, "NBD is not compiled into this binary");
    return false;
}

bool block_nbd_start(const NetAddr *addr, uint32_t max_connections, Error **errp)
{
    return not_there(errp);
}

bool block_nbd_stop(Error **errp)
{
    return not_there(errp);
}

bool block_export_add(const BlockExportOptions *options, Error **errp)
{
    return not_there(errp);
}

bool block_export_del(const char *id, bool hard, Error **errp)
{
    return not_there(errp);
}

void block_export_foreach(BlockExportInfoFn *fn, void *opaque)
{
}

void block_nbd_end(void)
{
}
