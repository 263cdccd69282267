/*
 * Writing to a qcow2 image begins and ends.
 *
 * Main thread.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef BLOCK_QCOW2_OPEN_H
#define BLOCK_QCOW2_OPEN_H

#include "qcow2-alloc.h"

/* The refcount table, where tables are, caches. On failure the caller closes. */
bool qcow2_open_for_writing(Qcow2Node *s, Error **errp);
void qcow2_close_for_writing(Qcow2Node *s);
/* Bytes that the file cannot grow beyond; 0: it can. */
uint64_t qcow2_file_limit(const Qcow2Node *s);
/* qcow2-repair.c: the refcounts of a dirty image, which is not dirty then. */
bool qcow2_repair(Qcow2Node *s, Error **errp);

#endif
