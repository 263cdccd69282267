/*
 * Writing to a qcow2 image begins and ends.
 *
 * Main thread.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef BLOCK_QCOW2_OPEN_H
#define BLOCK_QCOW2_OPEN_H

#include "job-internal.h"
#include "qcow2-alloc.h"

/* The refcount table, where tables are, caches. On failure the caller closes. */
bool qcow2_open_for_writing(Qcow2Node *s, Error **errp);
void qcow2_close_for_writing(Qcow2Node *s);
/* Bytes that the file cannot grow beyond; 0: it can. */
uint64_t qcow2_file_limit(const Qcow2Node *s);
/* qcow2.c: as it is, for reading or writing. */
bool qcow2_lock_files(Qcow2Node *s, Error **errp);
/* qcow2-repair.c: the refcounts of a dirty image, which is not dirty then. */
bool qcow2_repair(Qcow2Node *s, Error **errp);

/*
 * qcow2-bitmap.c: the bitmaps that the image has; it says that they are in use from now on; it
 * has what they are now.
 */
extern const uint64_t qcow2_kept_bitmaps;   /* their autoclear bit, if what is written is marked */
bool qcow2_load_bitmaps(Qcow2Node *s, Error **errp);
bool qcow2_use_bitmaps(Qcow2Node *s, Error **errp);
int qcow2_store_bitmaps(Qcow2Node *s);
/* The offsets of clusters that they have in the file, into set; false: not all makes sense. */
bool qcow2_bitmap_clusters(Qcow2Node *s, GHashTable *set);
bool qcow2_can_store_bitmap(const BlockNode *bs, Error **errp);
/* qcow2-chain.c: the header with this backing file (NULL: none) and s->h's bitmaps. */
int qcow2_write_header(Qcow2Node *s, const char *backing, const char *format);

/* The driver's functions: qcow2-chain.c, qcow2-write.c, qcow2-create.c. */
int qcow2_allocated(BlockNode *bs, uint64_t pos, uint64_t bytes, uint64_t *n);
bool qcow2_reads_zero(BlockNode *bs, uint64_t pos, uint64_t bytes, uint64_t *n);
int qcow2_change_backing(BlockNode *bs, const char *name, const char *format);
bool qcow2_reopen(BlockNode *bs, bool read_only, Error **errp);
bool qcow2_create(BlockNode *file, QemuOpts *opts, Error **errp);

#endif
