/*
 * Images for others: exports of an NBD server.
 *
 * Main thread with the machine lock.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef BLOCK_EXPORT_H
#define BLOCK_EXPORT_H

#include "block/action.h"
#include "net/peer.h"

/* One server for a process. max_connections 0: as many as there may be. */
bool block_nbd_start(const NetAddr *addr, uint32_t max_connections, Error **errp);
/* All exports end, whoever uses them. */
bool block_nbd_stop(Error **errp);

typedef struct BlockExportOptions {
    const char *id, *node;
    const char *name;           /* that clients ask for; NULL: node */
    const char *description;    /* NULL: none */
    bool writable;
    const BlockBitmapName *bitmaps; /* node NULL: the node or what is below it */
    unsigned n_bitmaps;
} BlockExportOptions;
bool block_export_add(const BlockExportOptions *options, Error **errp);
/* hard: also while it has clients. It is gone when BlockListener.export_deleted is called. */
bool block_export_del(const char *id, bool hard, Error **errp);

typedef struct BlockExportInfo {
    const char *id, *node;
    bool shutting_down;
} BlockExportInfo;
typedef void BlockExportInfoFn(const BlockExportInfo *info, void *opaque);
void block_export_foreach(BlockExportInfoFn *fn, void *opaque);

#endif
