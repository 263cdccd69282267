/*
 * Record locks by 9P: those of one guest, whose kernel grants them to its processes.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "9p-internal.h"

#include <errno.h>
#include <fcntl.h>

enum { LOCK_SUCCESS, LOCK_BLOCKED, LOCK_ERROR, LOCK_GRACE };    /* Rlock's status */

int v9fs_lock(V9fsState *s, V9fsCall *c)
{
    uint32_t id, flags, pid;
    uint64_t start, len;
    const char *client;
    uint8_t type;
    V9fsFid *fid;
    int ret = v9fs_get(c, "dbdqqds", &id, &type, &flags, &start, &len, &pid, &client);

    if (ret) {
        return ret;
    }
    fid = v9fs_fid_get(s, id);
    if (!fid) {
        return -EBADF;
    }
    ret = v9fs_use(s, fid);
    if (ret >= 0) {
        v9fs_unuse(s, fid);
        ret = v9fs_put(c, "b", LOCK_SUCCESS);
    }
    v9fs_fid_put(s, fid);
    return ret;
}

int v9fs_getlock(V9fsState *s, V9fsCall *c)
{
    uint32_t id, pid;
    uint64_t start, len;
    const char *client;
    uint8_t type;
    V9fsFid *fid;
    int ret = v9fs_get(c, "dbqqds", &id, &type, &start, &len, &pid, &client);

    if (ret) {
        return ret;
    }
    fid = v9fs_fid_get(s, id);
    if (!fid) {
        return -EBADF;
    }
    ret = v9fs_use(s, fid);
    if (ret >= 0) {
        v9fs_unuse(s, fid);
        ret = v9fs_put(c, "bqqds", F_UNLCK, start, len, pid, client);
    }
    v9fs_fid_put(s, fid);
    return ret;
}
