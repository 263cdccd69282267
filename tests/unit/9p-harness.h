/*
 * A 9P client that says what a test wants, and a folder that is served.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef TESTS_UNIT_9P_HARNESS_H
#define TESTS_UNIT_9P_HARNESS_H

#include <errno.h>

#include "hw/9pfs/9p.h"

#define NC_ROOT 1000u           /* the fid of the export's root */

/* A session with a folder of its own, and what came last. */
typedef struct NineClient {
    char *dir;                  /* the folder's path; "DIR-out" is beside it */
    V9fsState *s;
    V9fsScratch *scratch;
    uint8_t t[128 * 1024], r[128 * 1024];
    uint32_t t_len;             /* of what was sent, in sum; */
    uint32_t r_len;             /* of the answer; 0: the connection is broken */
    const uint8_t *p;           /* where nc_take() goes on in r */
} NineClient;

/* As -fsdev: "security_model=none"; the folder's number is in its id. Attached. */
NineClient *nc_new(const char *options);
/* As above, but with a folder that is there. */
NineClient *nc_new_at(const char *dir, const char *options, unsigned max_fids);
void nc_free(NineClient *c);

/* Put a message into t: b, w, d, q numbers; s string; z (const void *, size_t) bytes. */
void nc_make(NineClient *c, uint8_t type, const char *format, ...);
/* Serve what is in t: 0, an errno of Rlerror, or -1: broken. */
int nc_serve(NineClient *c);
/* Both. */
int nc_send(NineClient *c, uint8_t type, const char *format, ...);
/* Numbers of the answer, in order. */
uint64_t nc_take(NineClient *c, unsigned size);

/* Walk from the root; path of up to 16 names. */
int nc_walk(NineClient *c, uint32_t fid, const char *path);
int nc_clunk(NineClient *c, uint32_t fid);
int nc_open(NineClient *c, uint32_t fid, unsigned flags);
/* A new file in the root, open; fid stands for it. */
int nc_create(NineClient *c, uint32_t fid, const char *name, unsigned flags, unsigned mode);
int nc_write(NineClient *c, uint32_t fid, uint64_t offset, const void *data, uint32_t len);
/* The data are at p. Their length or -errno. */
int nc_read(NineClient *c, uint32_t fid, uint64_t offset, uint32_t count);
/* Tgetattr of a fid: st_mode, st_uid, st_gid, st_rdev, st_size, st_ino, st_nlink. */
int nc_stat(NineClient *c, uint32_t fid, struct stat *st);

#endif
