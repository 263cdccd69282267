/*
 * The NBD client and structured replies: what servers may send, and what they may not.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "block/blockdev.h"
#include "block/job-internal.h"
#include "block/nbd-client.h"
#include "nbd-peer.h"
#include "qemu/main-loop.h"

#define SIZE (1u << 20)
#define AT 4096u                /* what is asked for */
#define LEN 65536u
#define HALF (LEN / 2)
#define BASE_ID 7u
#define MAX_CHUNKS 20

/* A chunk; where offset or n say so, what is wrong. */
typedef struct Chunk {
    uint16_t flags, type;
    uint64_t offset;            /* of the export; of a status: its context */
    uint32_t n;                 /* bytes, or an error's number */
    uint32_t zero;              /* a status: NBD_ZERO, … */
    uint32_t more;              /* bytes more than belong there */
} Chunk;

#define DONE NBD_CHUNK_DONE
#define DATA(_flags, _at, _n) { _flags, NBD_CHUNK_DATA, _at, _n, 0, 0 }
#define HOLE(_flags, _at, _n) { _flags, NBD_CHUNK_HOLE, _at, _n, 0, 0 }
#define FAIL(_flags, _error) { _flags, NBD_CHUNK_ERROR, 0, _error, 0, 0 }
#define STATUS(_flags, _n, _zero) { _flags, NBD_CHUNK_STATUS, BASE_ID, _n, _zero, 0 }
#define NONE { DONE, NBD_CHUNK_NONE, 0, 0, 0, 0 }

typedef struct Case {
    const char *name;
    int ret;                    /* of a read */
    uint32_t zero_from, zero_to;        /* it has zeroes there, else what the disk has */
    Chunk chunks[MAX_CHUNKS];
} Case;

static const Case cases[] = {
    { "whole", 0, 0, 0, { DATA(DONE, AT, LEN) } },
    { "two halves", 0, 0, 0, { DATA(0, AT, HALF), DATA(DONE, AT + HALF, HALF) } },
    { "halves backwards", 0, 0, 0, { DATA(0, AT + HALF, HALF), DATA(0, AT, HALF), NONE } },
    { "a hole", 0, 512, HALF,
      { DATA(0, AT, 512), HOLE(0, AT + 512, HALF - 512), DATA(DONE, AT + HALF, HALF) } },
    { "all a hole", 0, 0, LEN, { HOLE(DONE, AT, LEN) } },
    { "half of it twice", 0, HALF, LEN, { DATA(0, AT, HALF), DATA(DONE, AT, HALF) } },
    { "an error", -ENOSPC, 0, 0, { FAIL(DONE, NBD_ENOSPC) } },
    { "data, then an error", -EIO, 0, 0, { DATA(0, AT, HALF), FAIL(0, NBD_EIO), NONE } },
    { "an error of no number", -EIO, 0, 0, { FAIL(DONE, 0) } },
    { "an error with words", -EINVAL, 0, 0,
      { { DONE, NBD_CHUNK_ERROR, 0, NBD_EINVAL, 0, 4000 } } },
    { "an error of another kind", -ENOMEM, 0, 0,
      { { DONE, NBD_CHUNK_IS_ERROR | 99, 0, NBD_ENOMEM, 0, 8 } } },
    /* From here on the connection is given up. */
    { "half of it", -EIO, 0, 0, { DATA(DONE, AT, HALF) } },
    { "nothing", -EIO, 0, 0, { NONE } },
    { "before it", -EIO, 0, 0, { DATA(DONE, AT - 512, LEN) } },
    { "beyond it", -EIO, 0, 0, { DATA(DONE, AT + 512, LEN) } },
    { "an offset that wraps", -EIO, 0, 0, { DATA(DONE, UINT64_MAX - 511, LEN) } },
    { "too much", -EIO, 0, 0, { DATA(DONE, AT, LEN + 512) } },
    { "too much in pieces", -EIO, 0, 0, { DATA(0, AT, LEN), DATA(DONE, AT, 512) } },
    { "a hole beyond it", -EIO, 0, 0, { HOLE(DONE, AT, LEN + 1) } },
    { "a hole of no bytes", -EIO, 0, 0, { HOLE(0, AT, 0), HOLE(DONE, AT, LEN) } },
    { "a hole with more", -EIO, 0, 0, { { DONE, NBD_CHUNK_HOLE, AT, LEN, 0, 4 } } },
    { "data without bytes", -EIO, 0, 0, { DATA(0, AT, 0), DATA(DONE, AT, LEN) } },
    { "words that are too long", -EIO, 0, 0,
      { { DONE, NBD_CHUNK_ERROR, 0, NBD_EINVAL, 0, 5000 } } },
    { "errors without an end", -EIO, 0, 0,
      { FAIL(0, 5), FAIL(0, 5), FAIL(0, 5), FAIL(0, 5), FAIL(0, 5), FAIL(0, 5), FAIL(0, 5),
        FAIL(0, 5), FAIL(0, 5), FAIL(0, 5), FAIL(0, 5), FAIL(0, 5), FAIL(0, 5), FAIL(0, 5),
        FAIL(0, 5), FAIL(0, 5), FAIL(DONE, NBD_ENOSPC) } },
    { "a chunk that is not known", -EIO, 0, 0, { { DONE, 9, AT, LEN, 0, 0 } } },
    { "an end that is none", -EIO, 0, 0, { { 0, NBD_CHUNK_NONE, 0, 0, 1, 0 }, NONE } },
    { "a status", -EIO, 0, 0, { STATUS(DONE, LEN, 0) } },
    { "an answer without data", -EIO, 0, 0, { { 0, UINT16_MAX, 0, 0, 0, 0 } } },
};

/* Of a look for zeroes: what is known then, of how many bytes. */
static const struct { const char *name; bool zero; uint32_t n; Chunk chunks[MAX_CHUNKS]; }
looks[] = {
    { "zeroes", true, LEN, { STATUS(DONE, LEN, NBD_HOLE | NBD_ZERO) } },
    { "some zeroes", true, HALF, { STATUS(0, HALF, NBD_ZERO), NONE } },
    { "more than was asked for", true, LEN, { STATUS(DONE, 2 * LEN, NBD_ZERO) } },
    { "data", false, HALF, { STATUS(DONE, HALF, 0) } },
    { "a hole that may have data", false, LEN, { STATUS(DONE, LEN, NBD_HOLE) } },
    { "an odd end", true, HALF, { STATUS(DONE, HALF + 100, NBD_ZERO) } },
    { "an error", false, LEN, { FAIL(DONE, NBD_EINVAL) } },
    { "nothing", false, LEN, { NONE } },
    { "no bytes", false, LEN, { STATUS(DONE, 0, NBD_ZERO) } },
    { "twice", false, LEN, { STATUS(0, HALF, NBD_ZERO), STATUS(DONE, HALF, NBD_ZERO) } },
    { "of another context", false, LEN,
      { { DONE, NBD_CHUNK_STATUS, BASE_ID + 1, LEN, NBD_ZERO, 0 } } },
    { "of many stretches", false, LEN, { { DONE, NBD_CHUNK_STATUS, BASE_ID, LEN, NBD_ZERO, 8 } } },
    { "by data", false, LEN, { DATA(DONE, AT, LEN) } },
};

/* The server ------------------------------------------------------------------------------- */

static char *path;
static int listener;
static uint8_t disk[SIZE];
static const Chunk *script;

static void answer_option(int fd, uint32_t option)
{
    uint8_t buf[64], *p = buf;

    if (option == NBD_OPT_SET_META) {
        nbd_put32(&p, BASE_ID);
        memcpy(p, "base:allocation", 15);
        peer_put_option(fd, option, NBD_REP_META, buf, 19);
    } else if (option == NBD_OPT_GO) {
        peer_put_export(fd, SIZE, NBD_HAS_FLAGS);
    }
    peer_put_option(fd, option, NBD_REP_ACK, buf, 0);
}

static bool hello(int fd)
{
    uint8_t buf[256];
    uint32_t option;

    peer_put_greeting(fd, NBD_MAGIC);
    if (!peer_get(fd, buf, 4)) {
        return false;
    }
    do {
        if (!peer_get_option(fd, &option, buf, sizeof(buf))) {
            return false;
        }
        answer_option(fd, option);
    } while (option != NBD_OPT_GO);
    return true;
}

static void put_chunk(int fd, const Chunk *c, uint64_t cookie)
{
    g_autofree uint8_t *buf = g_malloc0(20 + 12 + LEN + 8192);
    uint8_t *p = buf + 20, *head = buf;

    if (c->type & NBD_CHUNK_IS_ERROR) {
        nbd_put32(&p, c->n);
        nbd_put16(&p, c->more);
    } else if (c->type == NBD_CHUNK_STATUS) {
        nbd_put32(&p, c->offset);
        nbd_put32(&p, c->n);
        nbd_put32(&p, c->zero);
    } else if (c->type == NBD_CHUNK_DATA || c->type == NBD_CHUNK_HOLE) {
        nbd_put64(&p, c->offset);
        if (c->type == NBD_CHUNK_HOLE) {
            nbd_put32(&p, c->n);
        } else {
            memcpy(p, disk + c->offset % HALF, c->n);
            p += c->n;
        }
    }
    p += c->more;
    nbd_put32(&head, NBD_CHUNK_MAGIC);
    nbd_put16(&head, c->flags);
    nbd_put16(&head, c->type);
    nbd_put64(&head, cookie);
    nbd_put32(&head, p - buf - 20);
    peer_put(fd, buf, p - buf);
}

static void serve(int fd)
{
    uint8_t head[NBD_REQUEST_BYTES];
    const uint8_t *p = head + 8;
    const Chunk *c = script;
    uint64_t cookie;

    if (!peer_get(fd, head, sizeof(head))) {
        return;
    }
    cookie = nbd_get(&p, 8);
    if (c->type == UINT16_MAX) {
        peer_put_reply(fd, 0, cookie);
    } else {
        while (c < script + MAX_CHUNKS && (c->flags || c->type || c->n || c->zero)) {
            put_chunk(fd, c++, cookie);
        }
    }
    /* Until the client has gone, in its own time. */
    peer_get(fd, head, sizeof(head));
}

static gpointer server_thread(gpointer opaque)
{
    int fd;

    while ((fd = accept(listener, NULL, NULL)) >= 0) {
        if (hello(fd)) {
            serve(fd);
        }
        close(fd);
    }
    return NULL;
}

/* The client ------------------------------------------------------------------------------- */

static BlockNode *open_export(const Chunk *chunks)
{
    g_autofree char *text = g_strdup_printf("driver=nbd,node-name=n,server.type=unix,"
                                            "server.path=%s,x-reply-timeout=20", path);
    g_autoptr(QemuOpts) opts = qemu_opts_parse(text, NULL, NULL);
    BlockNode *bs;

    script = chunks;
    bs = blockdev_add(opts, NULL);
    g_assert_nonnull(bs);
    return bs;
}

/* What nobody filled is not what was in memory before. */
static void test_read(gconstpointer arg)
{
    const Case *t = arg;
    g_autofree uint8_t *buf = g_malloc(LEN);
    BlockNode *bs = open_export(t->chunks);

    memset(buf, 0xee, LEN);
    g_assert_cmpint(block_pread(bs, AT, buf, LEN), ==, t->ret);
    for (uint32_t i = 0; t->ret == 0 && i < LEN; i++) {
        bool zero = i >= t->zero_from && i < t->zero_to;

        g_assert_cmphex(buf[i], ==, zero ? 0 : disk[(AT + i) % HALF]);
    }
    block_node_close(bs);
}

static void test_look(gconstpointer arg)
{
    unsigned i = GPOINTER_TO_UINT(arg);
    BlockNode *bs = open_export(looks[i].chunks);
    uint64_t n;

    g_assert_true(block_reads_zero(bs, AT, LEN, &n) == looks[i].zero);
    g_assert_cmpuint(n, ==, looks[i].n);
    block_node_close(bs);
}

int main(int argc, char **argv)
{
    g_autofree char *dir = g_dir_make_tmp("nbd-XXXXXX", NULL);
    GThread *server;
    int ret;

    g_test_init(&argc, &argv, NULL);
    qemu_init_main_loop();
    /* The halves are alike, so that data of either can be told from zeroes and nothing else. */
    for (uint32_t i = 0; i < SIZE; i++) {
        disk[i] = i % HALF / 128 % 255 + 1;
    }
    path = g_strconcat(dir, "/s", NULL);
    listener = peer_listen(path);
    server = g_thread_new("server", server_thread, NULL);
    for (unsigned i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *name = g_strconcat("/nbd-chunks/read/", cases[i].name, NULL);

        g_test_add_data_func(name, &cases[i], test_read);
    }
    for (unsigned i = 0; i < G_N_ELEMENTS(looks); i++) {
        g_autofree char *name = g_strconcat("/nbd-chunks/zeroes/", looks[i].name, NULL);

        g_test_add_data_func(name, GUINT_TO_POINTER(i), test_look);
    }
    ret = g_test_run();
    shutdown(listener, SHUT_RDWR);
    g_thread_join(server);
    close(listener);
    unlink(path);
    rmdir(dir);
    g_free(path);
    return ret;
}
