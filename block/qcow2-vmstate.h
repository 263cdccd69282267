/*
 * A machine's state in a qcow2 image: behind the end of the disk, in the tables of a snapshot.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef BLOCK_QCOW2_VMSTATE_H
#define BLOCK_QCOW2_VMSTATE_H

#include "qcow2-alloc.h"
#include "snapshot-ops.h"

typedef struct Qcow2VMState {
    BlockVMState base;
    Qcow2Node *s;
    uint8_t *buf;
    /* Writing: used bytes of buf are not in clusters yet, which are in order. */
    size_t used;
    GArray *clusters;
    /* Reading: the entries of the snapshot's L1 that are the state's; the L2 table at hand. */
    uint64_t pos;
    uint64_t *l1, *l2;
    uint32_t n_l1, at_l2;       /* n_l1: none */
} Qcow2VMState;

/* qcow2-vmstate.c. Data in new clusters in a row: where. */
int qcow2_put_clusters(Qcow2Node *s, const void *data, size_t bytes, uint64_t *offset);
/* The L1 table of a snapshot, in host byte order; caller frees. NULL: it cannot be read. */
uint64_t *qcow2_read_snapshot_l1(Qcow2Node *s, const BlockSnapshotInfo *sn);
/* L2 tables for what was written, and their entries in l1 from the first on. */
int qcow2_vmstate_link(Qcow2VMState *v, uint64_t *l1);
/* How many those are. */
uint32_t qcow2_vmstate_tables(Qcow2VMState *v);
BlockVMState *qcow2_vmstate_new(BlockNode *bs);
BlockVMState *qcow2_vmstate_open(BlockNode *bs, const BlockSnapshotInfo *sn, Error **errp);
int qcow2_vmstate_write(BlockVMState *base, const void *data, size_t len);
ssize_t qcow2_vmstate_read(BlockVMState *base, void *data, size_t len);
void qcow2_vmstate_free(BlockVMState *base);

#endif
