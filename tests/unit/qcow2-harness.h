/*
 * Images of qemu-img's making, and what is in them, for the tests of qcow2.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef TESTS_QCOW2_HARNESS_H
#define TESTS_QCOW2_HARNESS_H

#include "block-requests.h"
#include "block/block-internal.h"

/* False: Debian's tools are not here, and the test is to be skipped. */
bool have_tools(void);
/* A folder for the test's images, made at first use; removed by scratch_remove(). */
const char *scratch(void);
char *in_scratch(const char *name);
void scratch_remove(void);
/* Run a shell command in the folder; it must succeed. */
void tool(const char *format, ...) G_GNUC_PRINTF(1, 2);
/* The same: its exit status. */
int tool_status(const char *format, ...) G_GNUC_PRINTF(1, 2);
/* qemu-img check finds no error; leaks are one if strict. */
void check_image(const char *name, bool strict);

BlockBackend *open_drive(const char *name, const char *options);
/* All of an image as its own tools see it; length bytes, caller frees. */
uint8_t *contents(const char *name, size_t *length);
/* Reads of many sizes give model. */
void compare_reads(BlockBackend *blk, const uint8_t *model, size_t length, GRand *rng);

#endif
