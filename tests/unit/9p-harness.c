/*
 * A 9P client that says what a test wants.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "9p-harness.h"

#include <fcntl.h>
#include <glib/gstdio.h>
#include <stdarg.h>
#include <string.h>
#include <unistd.h>

#include "qemu/le.h"

static void put(NineClient *c, uint64_t value, unsigned size)
{
    st_le(c->t + c->t_len, value, size);
    c->t_len += size;
}

static void put_bytes(NineClient *c, const void *data, size_t len)
{
    g_assert_cmpuint(c->t_len + len, <=, sizeof(c->t));
    memcpy(c->t + c->t_len, data, len);
    c->t_len += len;
}

static void make(NineClient *c, uint8_t type, const char *format, va_list ap)
{
    const char *s;

    c->t_len = 0;
    put(c, 0, 4);
    put(c, type, 1);
    put(c, type == P9_TVERSION ? 0xffff : 7, 2);
    for (; *format; format++) {
        switch (*format) {
        case 'b':
            put(c, va_arg(ap, unsigned), 1);
            break;
        case 'w':
            put(c, va_arg(ap, unsigned), 2);
            break;
        case 'd':
            put(c, va_arg(ap, unsigned), 4);
            break;
        case 'q':
            put(c, va_arg(ap, uint64_t), 8);
            break;
        case 's':
            s = va_arg(ap, const char *);
            put(c, strlen(s), 2);
            put_bytes(c, s, strlen(s));
            break;
        case 'z':
            s = va_arg(ap, const void *);
            put_bytes(c, s, va_arg(ap, size_t));
            break;
        default:
            g_assert_not_reached();
        }
    }
    st_le(c->t, c->t_len, 4);
}

void nc_make(NineClient *c, uint8_t type, const char *format, ...)
{
    va_list ap;

    va_start(ap, format);
    make(c, type, format, ap);
    va_end(ap);
}

/* The message in pieces of exact size, so that a sanitizer sees what is read beyond them. */
int nc_serve(NineClient *c)
{
    g_autofree uint8_t *t = g_memdup2(c->t, c->t_len);
    struct iovec out[3] = { { t, MIN(c->t_len, 5) } };
    struct iovec in[2] = { { c->r, 9 }, { c->r + 9, sizeof(c->r) - 9 } };
    V9fsCall call = {
        .out_sg = out, .out_num = c->t_len > 5 ? 2 : 1, .out_len = c->t_len,
        .in_sg = in, .in_num = 2, .in_len = sizeof(c->r), .scratch = c->scratch,
    };

    if (c->t_len > 5) {
        out[1] = (struct iovec) { t + 5, c->t_len - 5 };
    }
    c->r_len = v9fs_parse_header(&call) ? v9fs_serve(c->s, &call) : 0;
    c->p = c->r + V9FS_HEADER;
    if (!c->r_len) {
        return -1;
    }
    g_assert_cmpuint(ld_le(c->r, 4), ==, c->r_len);
    g_assert_cmpuint(ld_le(c->r + 5, 2), ==, call.tag);
    if (c->r[4] == P9_RLERROR) {
        g_assert_cmpuint(c->r_len, ==, 11);
        return ld_le(c->p, 4);
    }
    g_assert_cmpuint(c->r[4], ==, call.type + 1);
    return 0;
}

int nc_send(NineClient *c, uint8_t type, const char *format, ...)
{
    va_list ap;

    va_start(ap, format);
    make(c, type, format, ap);
    va_end(ap);
    return nc_serve(c);
}

uint64_t nc_take(NineClient *c, unsigned size)
{
    uint64_t value = ld_le(c->p, size);

    g_assert_cmpuint(c->p + size - c->r, <=, c->r_len);
    c->p += size;
    return value;
}

int nc_walk(NineClient *c, uint32_t fid, const char *path)
{
    g_auto(GStrv) names = g_strsplit(path, "/", -1);
    unsigned n = *path ? g_strv_length(names) : 0;

    nc_make(c, P9_TWALK, "ddw", NC_ROOT, fid, n);
    for (unsigned i = 0; i < n; i++) {
        put(c, strlen(names[i]), 2);
        put_bytes(c, names[i], strlen(names[i]));
    }
    st_le(c->t, c->t_len, 4);
    if (nc_serve(c)) {
        return c->r_len ? (int)ld_le(c->r + V9FS_HEADER, 4) : -1;
    }
    return nc_take(c, 2) == n ? 0 : ENOENT;
}

int nc_clunk(NineClient *c, uint32_t fid)
{
    return nc_send(c, P9_TCLUNK, "d", fid);
}

int nc_open(NineClient *c, uint32_t fid, unsigned flags)
{
    return nc_send(c, P9_TLOPEN, "dd", fid, flags);
}

int nc_create(NineClient *c, uint32_t fid, const char *name, unsigned flags, unsigned mode)
{
    int ret = nc_walk(c, fid, "");

    return ret ? ret : nc_send(c, P9_TLCREATE, "dsddd", fid, name, flags, mode, 0);
}

int nc_write(NineClient *c, uint32_t fid, uint64_t offset, const void *data, uint32_t len)
{
    int ret = nc_send(c, P9_TWRITE, "dqdz", fid, offset, len, data, (size_t)len);

    return ret ? -ret : (int)nc_take(c, 4);
}

int nc_read(NineClient *c, uint32_t fid, uint64_t offset, uint32_t count)
{
    int ret = nc_send(c, P9_TREAD, "dqd", fid, offset, count);

    return ret ? -ret : (int)nc_take(c, 4);
}

int nc_stat(NineClient *c, uint32_t fid, struct stat *st)
{
    int ret = nc_send(c, P9_TGETATTR, "dq", fid, UINT64_C(0x7ff));

    if (ret) {
        return ret;
    }
    nc_take(c, 8);
    nc_take(c, 5);
    st->st_ino = nc_take(c, 8);
    st->st_mode = nc_take(c, 4);
    st->st_uid = nc_take(c, 4);
    st->st_gid = nc_take(c, 4);
    st->st_nlink = nc_take(c, 8);
    st->st_rdev = nc_take(c, 8);
    st->st_size = nc_take(c, 8);
    return 0;
}

static unsigned nr_clients;

NineClient *nc_new_at(const char *dir, const char *options, unsigned max_fids)
{
    g_autofree char *text = g_strdup_printf("local,id=f%u,path=%s,%s", ++nr_clients, dir,
                                            options);
    g_autofree char *id = g_strdup_printf("f%u", nr_clients);
    g_autoptr(QemuOpts) opts = qemu_opts_parse(text, "fsdriver", NULL);
    NineClient *c = g_new0(NineClient, 1);
    Error *err = NULL;

    if (!fsdev_add(opts, &err)) {
        g_error("%s", error_get_pretty(err));
    }
    c->dir = g_strdup(dir);
    c->scratch = g_malloc(sizeof(*c->scratch));
    c->s = v9fs_new(fsdev_find(id), max_fids);
    g_assert_cmpint(fs_thread_enter(fsdev_find(id)), ==, 0);
    g_assert_cmpint(nc_send(c, P9_TVERSION, "ds", 100000, "9P2000.L"), ==, 0);
    g_assert_cmpint(nc_send(c, P9_TATTACH, "ddssd", NC_ROOT, ~0u, "user", "", 0), ==, 0);
    return c;
}

NineClient *nc_new(const char *options)
{
    g_autofree char *dir = g_dir_make_tmp("9p-XXXXXX", NULL);

    return nc_new_at(dir, options, 1000);
}

static void remove_tree(const char *path)
{
    GDir *dir = g_dir_open(path, 0, NULL);
    const char *name;

    while (dir && (name = g_dir_read_name(dir))) {
        g_autofree char *file = g_build_filename(path, name, NULL);

        if (g_file_test(file, G_FILE_TEST_IS_SYMLINK) || !g_file_test(file, G_FILE_TEST_IS_DIR)) {
            unlink(file);
        } else {
            remove_tree(file);
        }
    }
    if (dir) {
        g_dir_close(dir);
    }
    rmdir(path);
}

void nc_free(NineClient *c)
{
    g_autofree char *out = g_strconcat(c->dir, "-out", NULL);

    v9fs_free(c->s);
    remove_tree(c->dir);
    remove_tree(out);
    g_free(c->dir);
    g_free(c->scratch);
    g_free(c);
}
