/*
 * A disk of three images that is written while jobs are at work on it, and a plain buffer that
 * has what it should have.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef TESTS_JOB_HARNESS_H
#define TESTS_JOB_HARNESS_H

#include "block/action.h"
#include "block/events.h"
#include "qcow2-harness.h"

#define JOB_DISK (8u << 20)

typedef struct JobTest {
    BlockBackend *blk;
    GRand *rng;
    uint8_t *model;
    GString *history;           /* of the job's states, a letter each */
    char *error;
    bool ready, concluded;
    char error_event;           /* the last: of stopping, reporting, ignoring */
    bool failed_reading;
    BlockIoStatus io_status;
} JobTest;

extern const BlockListener job_listener;    /* its opaque is a JobTest */

/* A test that wants Debian's tools, and is skipped without. */
void job_add_test(const char *path, gconstpointer arg, GTestDataFunc fn);
void job_add_node(const char *text);
/* base.img <- mid.img <- top.img, with something in each; the disk is top. */
void job_begin(JobTest *st, const char *create, const char *base_format);
/* What a guest does. */
void job_use_disk(JobTest *st);
void job_use_until(JobTest *st, const bool *flag);
void job_check_disk(JobTest *st);
/* What its own tools say the image has. */
void job_check_file(JobTest *st, const char *name, const char *format);
void job_flush_and_close(JobTest *st);
void job_finish(JobTest *st);

#endif
