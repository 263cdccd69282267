/*
 * Writing to a qcow2 image: clusters that are counted, tables that reach the file, what is done
 * when an image turns out not to be sound.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef BLOCK_QCOW2_ALLOC_H
#define BLOCK_QCOW2_ALLOC_H

#include "qcow2.h"

/* qcow2-refcount.c: with the lock held ----------------------------------------------- */

/* The i-th count of a piece of a refcount block. */
void qcow2_set_count(const Qcow2Node *s, void *table, uint64_t i, uint64_t count);
/* Does any cluster of these bytes hold a table? */
bool qcow2_has_table(const Qcow2Node *s, uint64_t offset, uint64_t bytes);
/* They do from now on. They do not any longer. */
void qcow2_add_table(Qcow2Node *s, uint64_t offset, uint64_t bytes);
void qcow2_remove_table(Qcow2Node *s, uint64_t offset, uint64_t bytes);
/*
 * Up to want clusters in a row, counted once: the first one's offset, and how many. 0 or
 * negative errno. Worker: gives up the lock meanwhile.
 */
int qcow2_alloc(Qcow2Node *s, uint64_t want, uint64_t *host, uint64_t *got);
/* Count down what is in reclaim. Worker: gives up the lock meanwhile. */
int qcow2_reclaim(Qcow2Node *s);
/* How often the cluster is referred to; once more. Worker: gives up the lock meanwhile. */
int qcow2_count(Qcow2Node *s, uint64_t offset, uint64_t *count);
int qcow2_count_up(Qcow2Node *s, uint64_t offset);

/* qcow2-commit.c --------------------------------------------------------------------- */

int qcow2_pwrite(BlockNode *bs, uint64_t pos, const void *buf, size_t len);
int qcow2_flush_files(Qcow2Node *s);
/* offset of a cluster, with a flag: the guest gave it up, a snapshot did. */
enum { QCOW2_BY_REQUEST = 1, QCOW2_BY_SNAPSHOT = 2 };
void qcow2_push(GArray *list, uint64_t offset);
/* With the lock: a request begins, and ends. */
unsigned qcow2_enter(Qcow2Node *s);
void qcow2_leave(Qcow2Node *s, unsigned epoch);
/* With the lock: the file has all that memory has. */
bool qcow2_is_clean(const Qcow2Node *s);
/* With the lock. */
void qcow2_set_l1(Qcow2Node *s, uint32_t index, uint64_t entry);
/* Worker, without the lock: what is in memory now is on the medium. */
int qcow2_commit(Qcow2Node *s);
/* Worker, with the lock, given up meanwhile: a commit if there is much to write. */
int qcow2_relieve(Qcow2Node *s);
/* A commit, after what can be freed is. */
int qcow2_flush(Qcow2Node *s);
/* No request is under way: the file is complete, and nothing in it is lost. */
int qcow2_settle(Qcow2Node *s);

/* qcow2-resize.c: main thread. n clusters in a row; with the lock, given up meanwhile. */
int qcow2_alloc_row(Qcow2Node *s, uint64_t n, uint64_t *first);
/* What the header says of the disk. */
int qcow2_write_size(Qcow2Node *s, uint64_t size, uint32_t l1_size, uint64_t l1_offset);
/* A driver's truncate: it only grows. */
int qcow2_truncate(BlockNode *bs, uint64_t size);

/* qcow2-write.c: worker, without the lock ---------------------------------------------- */

int qcow2_write(Qcow2Node *s, BlockRequest *req);
/* Discard and write-zeroes. */
int qcow2_clear(Qcow2Node *s, BlockRequest *req);
/* BlockDriver.populate */
int qcow2_populate(BlockNode *bs, uint64_t pos, uint64_t bytes, bool *reading);

#endif
