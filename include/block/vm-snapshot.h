/*
 * Snapshots inside of images: disks as they are at one moment, and in one image the machine.
 *
 * Main thread with the machine lock, but for reading and writing of states. Lists are of
 * BlockNode and freed by g_ptr_array_unref().
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef BLOCK_VM_SNAPSHOT_H
#define BLOCK_VM_SNAPSHOT_H

#include "block/image-info.h"

/*
 * The images that a snapshot of the machine is of: those named, or (NULL) all that are written
 * to. NULL with errp set: one is not known, or has no place for snapshots, or a job is at it.
 */
GPtrArray *vm_snapshot_nodes(const char *const *names, Error **errp);
/* The one that has the machine's state: this one, or (NULL) any. It is the first from now on. */
BlockNode *vm_snapshot_state_node(GPtrArray *nodes, const char *name, Error **errp);
/* Of the disk, or of the node. */
const char *vm_snapshot_node_name(const BlockNode *bs);
/* NULL: the image has none of that name. */
const BlockSnapshotInfo *vm_snapshot_find(const BlockNode *bs, const char *name);
bool vm_snapshot_in_all(const GPtrArray *nodes, const char *name);
bool vm_snapshot_in_any(const GPtrArray *nodes, const char *name);

/* A machine's state in an image: written or read once, from the beginning; any one thread. */
typedef struct BlockVMState BlockVMState;
BlockVMState *vm_state_new(BlockNode *bs);
BlockVMState *vm_state_open(BlockNode *bs, const BlockSnapshotInfo *sn, Error **errp);
/* 0 or negative errno. */
int vm_state_write(BlockVMState *v, const void *data, size_t len);
/* Bytes, fewer only at the end; or negative errno. */
ssize_t vm_state_read(BlockVMState *v, void *data, size_t len);
/* What no snapshot has become is given up. */
void vm_state_free(BlockVMState *v);

/*
 * Of all of nodes, or of none; sn has name, date and clocks, v becomes part of that in the
 * first. False with errp set.
 */
bool vm_snapshot_create(GPtrArray *nodes, const BlockSnapshotInfo *sn, BlockVMState *v,
                        Error **errp);
/* Where there is one. */
bool vm_snapshot_delete(GPtrArray *nodes, const char *name, Error **errp);
/* The disks are again as they were. After a failure some are, some not. */
bool vm_snapshot_revert(GPtrArray *nodes, const char *name, Error **errp);

#endif
