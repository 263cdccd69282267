/*
 * The NBD client, with a server that lies, dies and says nothing on demand.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "block-requests.h"
#include "block/blockdev.h"
#include "block/nbd-client.h"
#include "nbd-peer.h"
#include "qemu/main-loop.h"

#define SIZE (1u << 20)
#define DEPTH 32u

/* The server ----------------------------------------------------------------------------------- */

typedef enum Trick {
    HONEST, BAD_MAGIC, LONG_OPTION, WRONG_OPTION, NO_EXPORT, NO_TERMS, BIG_BLOCKS, HUGE_SIZE,
    SILENT_HELLO, ENDLESS_OPTIONS,
    /* Requests. */
    WRONG_COOKIE, EARLY_REPLY, DIE_IN_HEAD, DIE_IN_DATA, SILENT, TRICKLE, NO_SPACE, REPLY_TWICE,
    DIE_OFTEN, OTHER_SIZE,
} Trick;

typedef struct Server {
    char *dir, *path;
    int fd, stop[2];
    GThread *thread;
    uint16_t flags;
    uint64_t size;
    Trick trick;
    unsigned served, connections;   /* requests, of all connections */
    uint8_t disk[SIZE];
} Server;

static void put_terms(const Server *s, int fd)
{
    uint64_t size = s->trick == HUGE_SIZE ? UINT64_MAX :
        s->trick == OTHER_SIZE && s->connections > 1 ? SIZE / 2 : s->size;
    uint8_t info[64], *p = info;

    if (s->trick != NO_TERMS) {
        peer_put_export(fd, size, s->flags);
    }
    nbd_put16(&p, NBD_INFO_BLOCK_SIZE);
    nbd_put32(&p, s->trick == BIG_BLOCKS ? 4096 : 1);
    nbd_put32(&p, 4096);
    nbd_put32(&p, 65536);
    peer_put_option(fd, NBD_OPT_GO, NBD_REP_INFO, info, 14);
    peer_put_option(fd, NBD_OPT_GO, NBD_REP_ACK, info, 0);
}

/* Until the client or the test has gone. */
static void do_nothing(const Server *s, int fd)
{
    struct pollfd fds[] = { { .fd = s->stop[0], .events = POLLIN }, { .fd = fd } };

    poll(fds, 2, -1);
}

/* Options up to NBD_OPT_GO: no other one is known here. */
static bool get_go(int fd, uint8_t *data, size_t size)
{
    uint32_t which;

    do {
        if (!peer_get_option(fd, &which, data, size)) {
            return false;
        }
        if (which != NBD_OPT_GO) {
            peer_put_option(fd, which, NBD_REP_ERR | NBD_ERR_UNSUP, "", 0);
        }
    } while (which != NBD_OPT_GO);
    return true;
}

static bool hello(Server *s, int fd)
{
    uint8_t data[NBD_MAX_NAME + 8] = { 0 }, flags[4];

    if (s->trick == SILENT_HELLO) {
        do_nothing(s, fd);
        return false;
    }
    peer_put_greeting(fd, s->trick == BAD_MAGIC ? 1 : NBD_MAGIC);
    if (!peer_get(fd, flags, 4) || !get_go(fd, data, sizeof(data))) {
        return false;
    }
    if (s->trick == LONG_OPTION || s->trick == WRONG_OPTION || s->trick == NO_EXPORT) {
        peer_put_option(fd, s->trick == WRONG_OPTION ? 99 : NBD_OPT_GO, s->trick == NO_EXPORT ?
                        NBD_REP_ERR | NBD_ERR_UNKNOWN : NBD_REP_INFO, data,
                        s->trick == NO_EXPORT ? 8 : UINT32_MAX);
        do_nothing(s, fd);
        return false;
    }
    put_terms(s, fd);
    return true;
}

typedef struct Asked {
    uint16_t flags, cmd;
    uint64_t cookie, at;
    uint32_t len;
} Asked;

/* False: the connection ends. */
static bool play(Server *s, int fd, const Asked *a)
{
    switch (s->trick) {
    case WRONG_COOKIE:
        peer_put_reply(fd, 0, a->cookie + 1);
        break;
    case DIE_IN_HEAD:
        peer_put(fd, "\x67\x44\x66", 3);
        return false;
    case DIE_IN_DATA:
        peer_put_reply(fd, 0, a->cookie);
        peer_put(fd, s->disk, a->len / 2);
        return false;
    case REPLY_TWICE:
        peer_put_reply(fd, NBD_EIO, a->cookie);
        peer_put_reply(fd, NBD_EIO, a->cookie);
        break;
    case TRICKLE:
        peer_put_reply(fd, 0, a->cookie);
        for (unsigned i = 0; i < 15; i++) {
            peer_put(fd, s->disk, 1);
            g_usleep(100000);
        }
        return false;
    case SILENT:
        break;
    case NO_SPACE:
        peer_put_reply(fd, NBD_ENOSPC, a->cookie);
        return true;
    case OTHER_SIZE:
        return false;
    default:
        return s->trick != DIE_OFTEN || s->served % 50;
    }
    do_nothing(s, fd);
    return false;
}

static void answer(Server *s, int fd, const Asked *a)
{
    if (a->cmd == NBD_CMD_ZEROES) {
        memset(s->disk + a->at, 0, a->len);
    }
    peer_put_reply(fd, 0, a->cookie);
    if (a->cmd == NBD_CMD_READ) {
        peer_put(fd, s->disk + a->at, a->len);
    }
}

static bool serve_one(Server *s, int fd)
{
    uint8_t head[NBD_REQUEST_BYTES];
    const uint8_t *p = head;
    Asked a;

    if (!peer_get(fd, head, sizeof(head))) {
        return false;
    }
    g_assert_cmphex(nbd_get(&p, 4), ==, NBD_REQUEST_MAGIC);
    a.flags = nbd_get(&p, 2);
    a.cmd = nbd_get(&p, 2);
    a.cookie = nbd_get(&p, 8);
    a.at = nbd_get(&p, 8);
    a.len = nbd_get(&p, 4);
    g_assert_cmpuint(a.at + a.len, <=, s->size);
    /* Nothing that was not offered. */
    g_assert_true(a.cmd != NBD_CMD_FLUSH || s->flags & NBD_SEND_FLUSH);
    g_assert_true(a.cmd != NBD_CMD_TRIM || s->flags & NBD_SEND_TRIM);
    g_assert_true(a.cmd != NBD_CMD_ZEROES || s->flags & NBD_SEND_ZEROES);
    g_assert_true(!(a.flags & NBD_FUA) || s->flags & NBD_SEND_FUA);
    s->served++;
    if (a.cmd == NBD_CMD_WRITE && s->trick == EARLY_REPLY) {
        peer_put_reply(fd, 0, a.cookie);
        do_nothing(s, fd);
        return false;
    }
    if (a.cmd == NBD_CMD_WRITE && !peer_get(fd, s->disk + a.at, a.len)) {
        return false;
    }
    if (!play(s, fd, &a)) {
        return false;
    }
    if (s->trick != NO_SPACE) {
        answer(s, fd, &a);
    }
    return true;
}

static gpointer server_thread(gpointer opaque)
{
    Server *s = opaque;
    struct pollfd fds[] = {
        { .fd = s->fd, .events = POLLIN }, { .fd = s->stop[0], .events = POLLIN },
    };

    while (poll(fds, 2, -1) > 0 && !fds[1].revents) {
        int fd = accept(s->fd, NULL, NULL);

        s->connections++;
        if (hello(s, fd)) {
            while (serve_one(s, fd)) {
            }
        }
        close(fd);
    }
    return NULL;
}

static Server *server_new(Trick trick, uint16_t flags)
{
    Server *s = g_new0(Server, 1);

    s->dir = g_dir_make_tmp("nbd-XXXXXX", NULL);
    s->path = g_strconcat(s->dir, "/s", NULL);
    s->trick = trick;
    s->flags = NBD_HAS_FLAGS | flags;
    s->size = SIZE;
    for (unsigned i = 0; i < SIZE; i++) {
        s->disk[i] = i / 512 + 1;
    }
    s->fd = peer_listen(s->path);
    g_assert_true(g_unix_open_pipe(s->stop, 0, NULL));
    s->thread = g_thread_new("server", server_thread, s);
    return s;
}

static void server_free(Server *s)
{
    close(s->stop[1]);
    g_thread_join(s->thread);
    close(s->stop[0]);
    close(s->fd);
    unlink(s->path);
    rmdir(s->dir);
    g_free(s->path);
    g_free(s->dir);
    g_free(s);
}

/* The client ----------------------------------------------------------------------------------- */

static BlockNode *try_open(const Server *s, const char *options, char **message)
{
    g_autofree char *text = g_strdup_printf("driver=nbd,node-name=n,server.type=unix,"
                                            "server.path=%s,x-reply-timeout=1,%s", s->path,
                                            options);
    g_autoptr(QemuOpts) opts = qemu_opts_parse(text, NULL, NULL);
    Error *err = NULL;
    BlockNode *bs = blockdev_add(opts, &err);

    *message = err ? g_strdup(error_get_pretty(err)) : NULL;
    error_free(err);
    return bs;
}

static BlockBackend *open_export(const Server *s, const char *options)
{
    g_autofree char *message = NULL;
    BlockNode *bs = try_open(s, options, &message);

    g_assert_cmpstr(message, ==, NULL);
    return blk_new("d", bs);
}

static void close_export(BlockBackend *blk)
{
    BlockNode *bs = blk->root;

    blk_free(blk);
    block_node_close(bs);
}

/* Tests ---------------------------------------------------------------------------------------- */

/* What a server that makes no sense gets, in less time than a guest is patient. */
static void test_hello(void)
{
    static const struct { Trick trick; const char *message; } cases[] = {
        { BAD_MAGIC, "does not speak NBD" }, { LONG_OPTION, "is too long" },
        { WRONG_OPTION, "Unexpected option reply" }, { NO_EXPORT, "export not available" },
        { NO_TERMS, "did not say what the export is" },
        { BIG_BLOCKS, "minimum block size 4096 is not supported" },
        { HUGE_SIZE, "is too large" }, { SILENT_HELLO, "does not answer" },
    };

    for (unsigned i = 0; i < G_N_ELEMENTS(cases); i++) {
        Server *s = server_new(cases[i].trick, 0);
        g_autofree char *message = NULL;

        g_assert_null(try_open(s, "export=e", &message));
        g_assert_nonnull(message);
        g_test_message("%s", message);
        g_assert_nonnull(strstr(message, cases[i].message));
        server_free(s);
    }
}

static void test_read_only(void)
{
    Server *s = server_new(HONEST, NBD_READ_ONLY);
    g_autofree char *message = NULL;
    BlockNode *bs;

    g_assert_null(try_open(s, "export=e", &message));
    g_assert_cmpstr(message, ==, "request on write denied without write permission");
    g_clear_pointer(&message, g_free);
    g_assert_null(try_open(s, "x-reply-timeout=0", &message));
    g_assert_cmpstr(message, ==, "'x-reply-timeout' must be 1 or more");
    g_clear_pointer(&message, g_free);
    bs = try_open(s, "auto-read-only=on", &message);
    g_assert_true(bs->is_ro);
    g_assert_cmpuint(bs->length, ==, SIZE);
    block_node_close(bs);
    server_free(s);
}

/* All commands, with whatever the server offers; nothing else is asked for (serve_one()). */
static void test_commands(void)
{
    static const uint16_t offers[] = {
        0, NBD_SEND_FLUSH, NBD_SEND_FLUSH | NBD_SEND_FUA | NBD_SEND_TRIM | NBD_SEND_ZEROES,
        NBD_SEND_ZEROES,
    };
    g_autofree uint8_t *buf = g_malloc(SIZE), *want = g_malloc(SIZE);

    for (unsigned i = 0; i < G_N_ELEMENTS(offers); i++) {
        Server *s = server_new(HONEST, offers[i]);
        BlockBackend *blk = open_export(s, "discard=unmap");
        unsigned before;

        memcpy(want, s->disk, SIZE);
        memset(buf, 0x77, SIZE);
        memset(want + 4096, 0x77, 300 * 1024);
        g_assert_cmpint(run_request(blk, BLOCK_OP_WRITE, 0, 4096, buf, 300 * 1024), ==, 0);
        memset(want + 8192, 0, 200 * 1024);
        g_assert_cmpint(run_request(blk, BLOCK_OP_WRITE_ZEROES, 0, 8192, NULL, 200 * 1024), ==, 0);
        g_assert_cmpint(run_request(blk, BLOCK_OP_FLUSH, 0, 0, NULL, 0), ==, 0);
        g_assert_cmpint(run_request(blk, BLOCK_OP_DISCARD, BLOCK_REQ_MAY_UNMAP, 0, NULL, 512), ==,
                        0);
        before = s->served;
        memset(want + 512, 0x77, 512);
        g_assert_cmpint(run_request(blk, BLOCK_OP_WRITE, BLOCK_REQ_FUA, 512, buf, 512), ==, 0);
        /* Without FUA a flush follows the write. */
        g_assert_cmpuint(s->served - before, ==, offers[i] == NBD_SEND_FLUSH ? 2 : 1);
        g_assert_cmpint(run_request(blk, BLOCK_OP_READ, 0, 0, buf, SIZE), ==, 0);
        g_assert_cmpmem(buf, SIZE, want, SIZE);
        g_assert_cmpmem(s->disk, SIZE, want, SIZE);
        close_export(blk);
        server_free(s);
    }
}

/* An export may end within a sector: its rest is zeroes, and takes nothing else. */
static void test_odd_size(void)
{
    Server *s = server_new(HONEST, 0);
    BlockBackend *blk;
    uint8_t buf[1024], zeroes[512 - 100] = { 0 };

    s->size = SIZE - 512 + 100;
    blk = open_export(s, "read-only=off");
    g_assert_cmpuint(blk->root->length, ==, SIZE);
    memset(buf, 0xff, sizeof(buf));
    g_assert_cmpint(run_request(blk, BLOCK_OP_READ, 0, SIZE - 1024, buf, 1024), ==, 0);
    g_assert_cmpmem(buf, 612, s->disk + SIZE - 1024, 612);
    g_assert_cmpmem(buf + 612, 412, zeroes, 412);
    g_assert_cmpint(run_request(blk, BLOCK_OP_WRITE, 0, SIZE - 1024, buf, 1024), ==, 0);
    buf[1023] = 1;
    g_assert_cmpint(run_request(blk, BLOCK_OP_WRITE, 0, SIZE - 1024, buf, 1024), ==, -ENOSPC);
    close_export(blk);
    server_free(s);
}

/* Whatever the server does, the guest has an answer. */
static void test_hostile(void)
{
    static const struct { Trick trick; BlockOp op; int ret; } cases[] = {
        { WRONG_COOKIE, BLOCK_OP_READ, -EIO }, { EARLY_REPLY, BLOCK_OP_WRITE, -EIO },
        { DIE_IN_HEAD, BLOCK_OP_READ, -EIO }, { DIE_IN_DATA, BLOCK_OP_READ, -EIO },
        { SILENT, BLOCK_OP_WRITE, -EIO },
        { TRICKLE, BLOCK_OP_READ, -EIO }, { NO_SPACE, BLOCK_OP_WRITE, -ENOSPC },
        { REPLY_TWICE, BLOCK_OP_READ, -EIO },
    };
    g_autofree uint8_t *buf = g_malloc0(SIZE);

    for (unsigned i = 0; i < G_N_ELEMENTS(cases); i++) {
        Server *s = server_new(cases[i].trick, 0);
        BlockBackend *blk = open_export(s, "export=e");

        g_assert_cmpint(run_request(blk, cases[i].op, 0, 0, buf, SIZE), ==, cases[i].ret);
        if (cases[i].trick < SILENT) {
            /* The next one has an answer, too. */
            g_assert_cmpint(run_request(blk, BLOCK_OP_READ, 0, 0, buf, 512), ==, -EIO);
        }
        close_export(blk);
        server_free(s);
    }
}

typedef struct Storm {
    BlockBackend *blk;
    BlockRequest req[DEPTH];
    struct iovec iov[DEPTH];
    uint8_t *buf[DEPTH];
    uint8_t *want;
    unsigned left, busy;
} Storm;

static void storm_done(BlockRequest *req, int ret);

/* Each slot has a part of the disk of its own. */
static void storm_next(Storm *st, unsigned i)
{
    uint32_t part = SIZE / DEPTH, len = g_test_rand_int_range(1, part / 512 + 1) * 512;
    uint32_t at = i * part + g_test_rand_int_range(0, (part - len) / 512 + 1) * 512;
    BlockRequest *req = &st->req[i];

    st->iov[i] = (struct iovec) { st->buf[i], len };
    *req = (BlockRequest) { .op = g_test_rand_bit() ? BLOCK_OP_READ : BLOCK_OP_WRITE,
                            .offset = at, .bytes = len, .iov = &st->iov[i], .niov = 1,
                            .cb = storm_done };
    if (req->op == BLOCK_OP_WRITE) {
        memset(st->buf[i], g_test_rand_int_range(1, 255), len);
        memcpy(st->want + at, st->buf[i], len);
    }
    st->busy++;
    blk_submit(st->blk, req);
}

static Storm storm;

static void storm_done(BlockRequest *req, int ret)
{
    unsigned i = req - storm.req;

    g_assert_cmpint(ret, ==, 0);
    if (req->op == BLOCK_OP_READ) {
        g_assert_cmpmem(storm.buf[i], req->bytes, storm.want + req->offset, req->bytes);
    }
    storm.busy--;
    if (storm.left) {
        storm.left--;
        storm_next(&storm, i);
    }
}

static void storm_batch_end(void *opaque)
{
    blk_kick(storm.blk);
}

/* A server that dies again and again: with reconnect-delay nobody sees it. */
static void test_reconnect(void)
{
    static const BlockDevOps ops = { .batch_end = storm_batch_end };
    Server *s = server_new(DIE_OFTEN, 0);

    storm = (Storm) { .blk = open_export(s, "reconnect-delay=60"), .left = 1000 };
    storm.want = g_memdup2(s->disk, SIZE);
    blk_set_context(storm.blk, NULL, &ops, NULL);
    for (unsigned i = 0; i < DEPTH; i++) {
        storm.buf[i] = g_malloc(SIZE / DEPTH);
        storm_next(&storm, i);
    }
    blk_kick(storm.blk);
    while (storm.busy) {
        g_main_context_iteration(NULL, TRUE);
        blk_kick(storm.blk);
    }
    g_assert_cmpuint(s->connections, >, 10);
    g_assert_cmpmem(s->disk, SIZE, storm.want, SIZE);
    for (unsigned i = 0; i < DEPTH; i++) {
        g_free(storm.buf[i]);
    }
    g_free(storm.want);
    close_export(storm.blk);
    server_free(s);
}

/* A connection to another export is none; meanwhile it is tried every second, not after 1, 2, 4. */
static void test_other_export(void)
{
    Server *s = server_new(OTHER_SIZE, 0);
    BlockBackend *blk = open_export(s, "reconnect-delay=6");
    int64_t start = g_get_monotonic_time();
    uint8_t buf[512];

    g_assert_cmpint(run_request(blk, BLOCK_OP_READ, 0, 0, buf, 512), ==, -EIO);
    g_assert_cmpint(g_get_monotonic_time() - start, >, G_USEC_PER_SEC * 59 / 10);
    g_assert_cmpuint(s->connections, >, 4);
    close_export(blk);
    server_free(s);
}

/* A server that greets whoever comes back and answers nothing: calls end nevertheless. */
static void test_silent_again(void)
{
    Server *s = server_new(SILENT, 0);
    BlockBackend *blk = open_export(s, "reconnect-delay=2");
    uint8_t buf[512] = { 0 };

    g_assert_cmpint(run_request(blk, BLOCK_OP_WRITE, 0, 0, buf, 512), ==, -EIO);
    close_export(blk);
    server_free(s);
}

/* Nobody listens yet: open-timeout tries again. */
static void test_open_timeout(void)
{
    Server *s = server_new(HONEST, 0);
    g_autofree char *away = g_strconcat(s->path, "-away", NULL), *message = NULL;
    BlockNode *bs;
    GThread *back;

    g_assert_cmpint(rename(s->path, away), ==, 0);
    g_assert_null(try_open(s, "export=e", &message));
    g_assert_nonnull(strstr(message, "Failed to connect"));
    g_free(message);
    g_assert_null(try_open(s, "open-timeout=1", &message));
    g_free(message);
    back = g_thread_new("back", (GThreadFunc)(void (*)(void))g_usleep, (gpointer)300000ul);
    g_assert_cmpint(rename(away, s->path), ==, 0);
    bs = try_open(s, "open-timeout=60", &message);
    g_thread_join(back);
    g_assert_nonnull(bs);
    block_node_close(bs);
    server_free(s);
}

static void test_names(void)
{
    static const struct { const char *name, *options; } cases[] = {
        { "nbd:unix:/tmp/s", "server.type=unix server.path=/tmp/s" },
        { "nbd:unix:/tmp/s:exportname=a:b", "export=a:b server.type=unix server.path=/tmp/s" },
        { "nbd:host:1", "server.type=inet server.host=host server.port=1" },
        { "nbd:[::1]:1:exportname=x",
          "export=x server.type=inet server.host=::1 server.port=1" },
        { "nbd://h", "export= server.type=inet server.host=h server.port=10809" },
        { "nbd://h:2/a%20b", "export=a b server.type=inet server.host=h server.port=2" },
        { "nbd+tcp://[fe80::1]/x",
          "export=x server.type=inet server.host=fe80::1 server.port=10809" },
        { "nbd+unix:///x?socket=/a%3fb", "export=x server.type=unix server.path=/a?b" },
        { "nbd:", NULL }, { "nbd:host", NULL }, { "nbd:unix:", NULL }, { "nbd+unix:///x", NULL },
        { "nbd+unix://h/x?socket=y", NULL }, { "nbd://h/x?y=z", NULL }, { "nbd://h/%zz", NULL },
        { "nbds://h/x", NULL }, { "nbd://[::1", NULL }, { "nbd+unix:///x?socket=", NULL },
    };

    for (unsigned i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autoptr(QemuOpts) opts = qemu_opts_new();
        g_autoptr(GString) text = g_string_new("");
        Error *err = NULL;
        bool ok = nbd_parse_filename(cases[i].name, opts, &err);

        g_test_message("%s", cases[i].name);
        g_assert_true(ok == (cases[i].options != NULL) && ok == !err);
        error_free(err);
        for (unsigned j = 0; ok && j < opts->opts->len; j++) {
            const QemuOpt *o = &g_array_index(opts->opts, QemuOpt, j);

            if (strcmp(o->name, "driver")) {
                g_string_append_printf(text, "%s%s=%s", text->len ? " " : "", o->name, o->str);
            }
        }
        g_assert_cmpstr(ok ? text->str : NULL, ==, ok ? cases[i].options : NULL);
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    qemu_init_main_loop();
    g_test_add_func("/nbd-client/names", test_names);
    g_test_add_func("/nbd-client/hello", test_hello);
    g_test_add_func("/nbd-client/read-only", test_read_only);
    g_test_add_func("/nbd-client/commands", test_commands);
    g_test_add_func("/nbd-client/odd-size", test_odd_size);
    g_test_add_func("/nbd-client/hostile", test_hostile);
    g_test_add_func("/nbd-client/reconnect", test_reconnect);
    g_test_add_func("/nbd-client/other-export", test_other_export);
    g_test_add_func("/nbd-client/silent-again", test_silent_again);
    g_test_add_func("/nbd-client/open-timeout", test_open_timeout);
    return g_test_run();
}
