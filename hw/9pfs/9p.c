/*
 * The 9P server: from a message to who serves it, and its answer.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "9p-internal.h"

#include <errno.h>
#include <string.h>
#include <sys/resource.h>

#include "qemu/iov.h"
#include "qemu/le.h"

enum {
    NEEDS_VERSION = 1 << 0,
    CHANGES       = 1 << 1,     /* refused where guests change nothing */
};

static const struct {
    V9fsOp *fn;
    unsigned flags;
} ops[256] = {
    [P9_TSTATFS] = { v9fs_statfs, NEEDS_VERSION },
    [P9_TLOPEN] = { v9fs_lopen, NEEDS_VERSION },
    [P9_TLCREATE] = { v9fs_lcreate, NEEDS_VERSION | CHANGES },
    [P9_TSYMLINK] = { v9fs_symlink, NEEDS_VERSION | CHANGES },
    [P9_TMKNOD] = { v9fs_mknod, NEEDS_VERSION | CHANGES },
    [P9_TRENAME] = { v9fs_rename, NEEDS_VERSION | CHANGES },
    [P9_TREADLINK] = { v9fs_readlink, NEEDS_VERSION },
    [P9_TGETATTR] = { v9fs_getattr, NEEDS_VERSION },
    [P9_TSETATTR] = { v9fs_setattr, NEEDS_VERSION | CHANGES },
    [P9_TXATTRWALK] = { v9fs_xattrwalk, NEEDS_VERSION },
    [P9_TXATTRCREATE] = { v9fs_xattrcreate, NEEDS_VERSION | CHANGES },
    [P9_TREADDIR] = { v9fs_readdir, NEEDS_VERSION },
    [P9_TFSYNC] = { v9fs_fsync, NEEDS_VERSION },
    [P9_TLOCK] = { v9fs_lock, NEEDS_VERSION },
    [P9_TGETLOCK] = { v9fs_getlock, NEEDS_VERSION },
    [P9_TLINK] = { v9fs_link, NEEDS_VERSION | CHANGES },
    [P9_TMKDIR] = { v9fs_mkdir, NEEDS_VERSION | CHANGES },
    [P9_TRENAMEAT] = { v9fs_renameat, NEEDS_VERSION | CHANGES },
    [P9_TUNLINKAT] = { v9fs_unlinkat, NEEDS_VERSION | CHANGES },
    [P9_TVERSION] = { v9fs_version, 0 },
    [P9_TATTACH] = { v9fs_attach, NEEDS_VERSION },
    [P9_TWALK] = { v9fs_walk, NEEDS_VERSION },
    [P9_TREAD] = { v9fs_read, NEEDS_VERSION },
    [P9_TWRITE] = { v9fs_write, NEEDS_VERSION | CHANGES },
    [P9_TCLUNK] = { v9fs_clunk, NEEDS_VERSION },
    [P9_TREMOVE] = { v9fs_remove, NEEDS_VERSION },
};

bool v9fs_parse_header(V9fsCall *c)
{
    uint8_t header[V9FS_HEADER];

    if (iov_to_buf(c->out_sg, c->out_num, 0, header, sizeof(header)) < sizeof(header) ||
        c->in_len < V9FS_MIN_REPLY) {
        return false;
    }
    c->size = ld_le(header, 4);
    c->type = header[4];
    c->tag = ld_le(header + 5, 2);
    return c->size >= V9FS_HEADER && c->size <= c->out_len && c->size <= V9FS_MSIZE_MAX;
}

/* The answer's head; all of it to the guest. */
static uint32_t finish(V9fsCall *c, uint8_t type)
{
    uint8_t *out = c->scratch->out;
    uint32_t len = c->out + c->payload;

    st_le(out, len, 4);
    out[4] = type;
    st_le(out + 5, c->tag, 2);
    if (len > c->in_len) {
        return 0;
    }
    iov_from_buf(c->in_sg, c->in_num, 0, out, c->out);
    return len;
}

uint32_t v9fs_answer_empty(V9fsCall *c)
{
    uint8_t out[V9FS_HEADER];

    st_le(out, sizeof(out), 4);
    out[4] = c->type + 1;
    st_le(out + 5, c->tag, 2);
    iov_from_buf(c->in_sg, c->in_num, 0, out, sizeof(out));
    return sizeof(out);
}

/* A Twrite's data stay where they are. */
static int take_message(V9fsCall *c)
{
    V9fsScratch *scratch = c->scratch;
    size_t len = c->type == P9_TWRITE ? MIN(c->size, V9FS_WRITE_HEADER) : c->size;

    if (len > sizeof(scratch->in)) {
        return -ENAMETOOLONG;
    }
    iov_to_buf(c->out_sg, c->out_num, 0, scratch->in, len);
    c->in = scratch->in + V9FS_HEADER;
    c->in_end = scratch->in + len;
    return 0;
}

static int serve(V9fsState *s, V9fsCall *c)
{
    V9fsOp *fn = ops[c->type].fn;
    unsigned flags = ops[c->type].flags;
    int ret;

    if (!fn) {
        return -EOPNOTSUPP;
    }
    if ((flags & NEEDS_VERSION) && !s->msize) {
        return -EPROTO;
    }
    if ((flags & CHANGES) && s->fs->readonly) {
        return -EROFS;
    }
    ret = take_message(c);
    return ret ? ret : fn(s, c);
}

uint32_t v9fs_serve(V9fsState *s, V9fsCall *c)
{
    int ret;

    c->out = V9FS_HEADER;
    c->payload = 0;
    ret = serve(s, c);
    if (ret == V9FS_MALFORMED) {
        return 0;
    }
    if (ret < 0) {
        c->out = V9FS_HEADER;
        c->payload = 0;
        v9fs_put(c, "d", -ret);
        return finish(c, P9_RLERROR);
    }
    return finish(c, c->type + 1);
}

/* Half of the descriptors that we may have, for all exports; those are opened again as needed. */
static unsigned fd_limit(void)
{
    struct rlimit lim;

    if (getrlimit(RLIMIT_NOFILE, &lim) < 0) {
        return 256;
    }
    return MAX(16, MIN(lim.rlim_cur, 1u << 20) / 2 / MAX(1, fsdev_count()));
}

V9fsState *v9fs_new(FsExport *fs, unsigned max_fids)
{
    V9fsState *s = g_new0(V9fsState, 1);

    s->fs = fs;
    s->max_fids = max_fids;
    s->max_fds = fd_limit();
    v9fs_fids_init(s);
    return s;
}

FsExport *v9fs_export(const V9fsState *s)
{
    return s->fs;
}

void v9fs_reset(V9fsState *s)
{
    unsigned max_fids = s->max_fids, max_fds = s->max_fds;
    FsExport *fs = s->fs;

    v9fs_fids_cleanup(s);
    *s = (V9fsState) { .fs = fs, .max_fids = max_fids, .max_fds = max_fds };
    v9fs_fids_init(s);
}

void v9fs_free(V9fsState *s)
{
    v9fs_fids_cleanup(s);
    g_free(s);
}
