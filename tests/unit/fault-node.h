/*
 * An image in memory that fails, and waits, when a test says so.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef TESTS_UNIT_FAULT_NODE_H
#define TESTS_UNIT_FAULT_NODE_H

#include "block/block-internal.h"

#define FAULT_SIZE (4u << 20)

/* Read and written by worker threads; zeroed by fault_node_new(). */
extern struct Fault {
    int error[BLOCK_OP__MAX];   /* errno for requests of this kind */
    unsigned seen[BLOCK_OP__MAX];
    unsigned fua, unmap;        /* requests with these flags */
    unsigned delay_us;
    int held;                   /* requests wait as long as it is set */
} fault;

/* A drive of that name, whose image is all zeros at first. */
void fault_drive_new(const char *id);

#endif
