/*
 * Fuzz target: what an NBD server says to our client. Whatever it is, each request ends, once, and
 * nothing is written where it was not asked for.
 *
 * An input is what the server does, one thing after the other (Step): so that it gets past the
 * greeting, and its replies are for requests that there are.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <glib.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "block/nbd-client.h"
#include "fuzz.h"

#define SIZE (1u << 20)
#define PIECE 8192u
#define MAX_ASKED 32u
#define WAIT_US 5000            /* for what the client may not say */

typedef enum Step {
    GREET, READ_OPTION, ANSWER_OPTION, ALL_OPTIONS, READ_REQUEST, SIMPLE_REPLY, CHUNK, RAW, STEPS
} Step;

typedef struct Script {
    const uint8_t *p, *end;
    int listener, fd;
    uint32_t option;            /* the last one that was read */
    uint64_t cookies[MAX_ASKED], offsets[MAX_ASKED];
    unsigned asked;
} Script;

static Script script = { .listener = -1 };
static char *path;

/* The server -------------------------------------------------------------------------------- */

static uint32_t next(Script *s, unsigned bytes)
{
    uint32_t v = 0;

    for (; bytes && s->p < s->end; bytes--) {
        v = v << 8 | *s->p++;
    }
    return v;
}

static void put(Script *s, const void *buf, size_t len)
{
    if (send(s->fd, buf, len, MSG_NOSIGNAL) < 0) {
        s->p = s->end;
    }
}

static bool get(Script *s, void *buf, size_t len)
{
    return !len || recv(s->fd, buf, len, MSG_WAITALL) == (ssize_t)len;
}

static void greet(Script *s)
{
    uint8_t head[18], *p = head;

    nbd_put64(&p, NBD_MAGIC);
    nbd_put64(&p, NBD_OPTION_MAGIC);
    nbd_put16(&p, NBD_FIXED_NEWSTYLE | next(s, 1));
    put(s, head, sizeof(head));
    get(s, head, 4);
}

static bool read_option(Script *s)
{
    uint8_t head[16], data[512];
    const uint8_t *p = head + 8;
    uint32_t len;

    if (!get(s, head, sizeof(head))) {
        return false;
    }
    s->option = nbd_get(&p, 4);
    len = nbd_get(&p, 4);
    return len <= sizeof(data) && get(s, data, len);
}

static void put_option(Script *s, uint32_t type, const uint8_t *data, uint32_t len)
{
    uint8_t head[20], *p = head;

    nbd_put64(&p, NBD_OPTION_REPLY_MAGIC);
    nbd_put32(&p, s->option);
    nbd_put32(&p, type);
    nbd_put32(&p, len);
    put(s, head, sizeof(head));
    put(s, data, MIN(len, 64));
}

static void put_export(Script *s, uint64_t size, uint16_t flags)
{
    uint8_t data[64] = { 0 }, *p = data;

    nbd_put16(&p, NBD_INFO_EXPORT);
    nbd_put64(&p, size);
    nbd_put16(&p, flags);
    put_option(s, NBD_REP_INFO, data, 12);
}

static void put_context(Script *s, uint32_t id)
{
    uint8_t data[64] = { 0 }, *p = data;

    nbd_put32(&p, id);
    memcpy(p, "base:allocation", 15);
    put_option(s, NBD_REP_META, data, 19);
}

static void answer_option(Script *s)
{
    uint8_t data[64] = { 0 }, kind = next(s, 1);

    switch (kind % 5) {
    case 0:
        put_option(s, NBD_REP_ACK, data, 0);
        break;
    case 1:
        put_export(s, (uint64_t)next(s, 3) << (kind & 32), next(s, 2));
        break;
    case 2:
        put_context(s, next(s, 1));
        break;
    case 3:
        put_option(s, NBD_REP_ERR | next(s, 1), data, next(s, 2));
        break;
    default:
        for (unsigned i = 0; i < 14; i++) {
            data[i] = next(s, 1);
        }
        put_option(s, next(s, 1), data, kind & 32 ? 14 : next(s, 2));
        break;
    }
}

/* As a server that works does. */
static void all_options(Script *s)
{
    uint8_t none[64] = { 0 };

    while (read_option(s)) {
        if (s->option == NBD_OPT_SET_META) {
            put_context(s, 0);
        } else if (s->option == NBD_OPT_GO) {
            put_export(s, SIZE, NBD_HAS_FLAGS | next(s, 2));
        }
        put_option(s, NBD_REP_ACK, none, 0);
        if (s->option == NBD_OPT_GO) {
            return;
        }
    }
}

static void read_request(Script *s)
{
    uint8_t head[NBD_REQUEST_BYTES], data[PIECE];
    const uint8_t *p = head + 6;
    unsigned type;
    uint32_t len;

    if (s->asked == MAX_ASKED || !get(s, head, sizeof(head))) {
        return;
    }
    type = nbd_get(&p, 2);
    s->cookies[s->asked] = nbd_get(&p, 8);
    s->offsets[s->asked++] = nbd_get(&p, 8);
    len = nbd_get(&p, 4);
    if (type == NBD_CMD_WRITE) {
        get(s, data, MIN(len, sizeof(data)));
    }
}

/* Of one of the requests that were read, or of none. */
static unsigned which(Script *s)
{
    unsigned i = next(s, 1);

    return s->asked ? i % s->asked : i % MAX_ASKED;
}

static void simple_reply(Script *s)
{
    uint8_t head[16], *p = head;

    nbd_put32(&p, NBD_SIMPLE_REPLY_MAGIC);
    nbd_put32(&p, next(s, 1));
    nbd_put64(&p, s->cookies[which(s)]);
    put(s, head, sizeof(head));
}

/* Facts and data of a length that is right, or another one. */
static void chunk(Script *s)
{
    g_autofree uint8_t *buf = g_malloc0(20 + UINT16_MAX);
    uint8_t *head = buf, *p = buf + 20;
    uint16_t flags = next(s, 1), type = next(s, 1);
    unsigned i = which(s);
    uint32_t n = next(s, 2), len = flags & 2 ? next(s, 2) : UINT32_MAX;

    if (type & 128) {
        type |= NBD_CHUNK_IS_ERROR;
        nbd_put32(&p, n);
        nbd_put16(&p, 0);
    } else if (type == NBD_CHUNK_STATUS) {
        nbd_put32(&p, next(s, 1));
        nbd_put32(&p, n);
        nbd_put32(&p, next(s, 1));
    } else if (type != NBD_CHUNK_NONE) {
        nbd_put64(&p, s->offsets[i] + (int16_t)next(s, 2));
        if (type == NBD_CHUNK_HOLE) {
            nbd_put32(&p, n);
        } else {
            p += MIN(n, 60000);
        }
    }
    len = MIN(len, (uint32_t)(p - buf - 20));
    nbd_put32(&head, NBD_CHUNK_MAGIC);
    nbd_put16(&head, flags & ~2);
    nbd_put16(&head, type);
    nbd_put64(&head, s->cookies[i]);
    nbd_put32(&head, len);
    put(s, buf, 20 + len);
}

static void raw(Script *s)
{
    size_t n = next(s, 1);

    n = MIN(n, (size_t)(s->end - s->p));
    put(s, s->p, n);
    s->p += n;
}

static void play(Script *s)
{
    static void (*const steps[])(Script *) = {
        [GREET] = greet, [ANSWER_OPTION] = answer_option, [ALL_OPTIONS] = all_options,
        [READ_REQUEST] = read_request, [SIMPLE_REPLY] = simple_reply, [CHUNK] = chunk, [RAW] = raw,
    };

    while (s->p < s->end) {
        Step step = *s->p++ % STEPS;

        if (step == READ_OPTION) {
            read_option(s);
        } else {
            steps[step](s);
        }
    }
}

static gpointer server_thread(gpointer opaque)
{
    Script *s = opaque;
    struct timeval limit = { 0, WAIT_US };

    s->fd = accept(s->listener, NULL, NULL);
    if (s->fd >= 0) {
        setsockopt(s->fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
        setsockopt(s->fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
        play(s);
        close(s->fd);
    }
    return NULL;
}

/* The client -------------------------------------------------------------------------------- */

typedef struct Asked {
    NbdCall call;
    BlockRequest req;
    struct iovec iov[2];
    uint8_t *buf;
    bool ended;
} Asked;

static GMutex lock;
static GCond cond;
static unsigned left;

static void ended(NbdCall *call, int ret)
{
    Asked *a = (Asked *)call;

    g_mutex_lock(&lock);
    if (a->ended || ret > 0) {
        abort();
    }
    a->ended = true;
    left--;
    g_cond_signal(&cond);
    g_mutex_unlock(&lock);
}

static void use(NbdLink *link)
{
    static const struct { BlockOp op; uint64_t pos; uint32_t bytes; bool status; } what[] = {
        { BLOCK_OP_READ, 0, PIECE, false }, { BLOCK_OP_READ, SIZE - 512, 512, false },
        { BLOCK_OP_WRITE, 512, PIECE / 2, false }, { BLOCK_OP_READ, PIECE, PIECE, true },
        { BLOCK_OP_WRITE_ZEROES, 4096, PIECE, false }, { BLOCK_OP_DISCARD, 0, PIECE, false },
        { BLOCK_OP_FLUSH, 0, 0, false }, { BLOCK_OP_READ, 1024, 1024, false },
    };
    Asked asked[G_N_ELEMENTS(what)] = { 0 };

    left = G_N_ELEMENTS(what);
    for (unsigned i = 0; i < G_N_ELEMENTS(what); i++) {
        Asked *a = &asked[i];
        uint32_t first = what[i].bytes / 3;

        /* Each has its own memory, whose ends sanitizers know. */
        a->buf = g_malloc0(MAX(what[i].bytes, 1));
        a->iov[0] = (struct iovec) { a->buf, first };
        a->iov[1] = (struct iovec) { a->buf + first, what[i].bytes - first };
        a->req = (BlockRequest) { .node_op = what[i].op, .pos = what[i].pos,
                                  .bytes = what[i].bytes, .iov = a->iov, .niov = 2 };
        a->call = (NbdCall) { .req = &a->req, .done = ended, .status = what[i].status,
                              .next = i + 1 < G_N_ELEMENTS(what) ? &asked[i + 1].call : NULL };
    }
    nbd_link_submit(link, &asked[0].call);
    g_mutex_lock(&lock);
    while (left) {
        g_cond_wait(&cond, &lock);
    }
    g_mutex_unlock(&lock);
    for (unsigned i = 0; i < G_N_ELEMENTS(what); i++) {
        if (asked[i].call.known && (!asked[i].call.extent || asked[i].call.extent > PIECE)) {
            abort();
        }
        g_free(asked[i].buf);
    }
}

static void remove_folder(void)
{
    g_autofree char *dir = g_path_get_dirname(path);

    unlink(path);
    rmdir(dir);
}

static void listen_somewhere(void)
{
    struct sockaddr_un un = { .sun_family = AF_UNIX };
    g_autofree char *dir = g_dir_make_tmp("nbd-XXXXXX", NULL);

    path = g_strconcat(dir, "/s", NULL);
    g_strlcpy(un.sun_path, path, sizeof(un.sun_path));
    script.listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (bind(script.listener, (struct sockaddr *)&un, sizeof(un)) < 0 ||
        listen(script.listener, 1) < 0) {
        abort();
    }
    atexit(remove_folder);
}

/* Connections that the client of the last input made anew, before it went. */
static void forget_connections(void)
{
    struct pollfd fd = { .fd = script.listener, .events = POLLIN };

    while (poll(&fd, 1, 0) > 0) {
        close(accept(script.listener, NULL, NULL));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    NetAddr addr = { .type = (char *)"unix" };
    NbdTerms terms;
    Error *err = NULL;
    GThread *server;
    NbdLink *link;
    bool ok;

    if (!size) {
        return 0;
    }
    if (script.listener < 0) {
        listen_somewhere();
    }
    forget_connections();
    addr.path = path;
    script = (Script) { .p = data, .end = data + size, .listener = script.listener };
    server = g_thread_new("server", server_thread, &script);
    link = nbd_link_new(&(NbdLinkOptions) { .server = &addr, .export_name = "e",
                                            .reply_timeout = 1 }, NULL, NULL);
    ok = nbd_link_wait(link, &terms, &err);
    if (ok == !!err) {
        abort();
    }
    error_free(err);
    if (ok) {
        use(link);
    }
    g_thread_join(server);
    nbd_link_unref(link);
    return 0;
}
