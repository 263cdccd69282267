/*
 * A process of user networks that a guest has taken over, for the machine's side of it: what it
 * answers, what it puts into the memory and the sockets that both have.
 *
 * It is played here: posix_spawn() below stands in for the C library's and starts nothing.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <fcntl.h>
#include <spawn.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "fuzz-guest.h"
#include "net/net.h"
#include "net/usernet-proto.h"
#include "qemu/error.h"
#include "qemu/socket.h"

#define ANSWERS 4

static struct {
    int questions;              /* -1: it is not there */
    int wake, relay;
    UserNetShared *shared;
    FrameRing from_guest, to_guest;
    /* What it says to the next question: packets that are there before it is asked. */
    size_t len[ANSWERS];
    UserNetAnswer answer[ANSWERS];
} peer = { .questions = -1, .wake = -1, .relay = -1 };

/* Its start ------------------------------------------------------------------ */

static void hang_up(int *fd)
{
    if (*fd >= 0) {
        close(*fd);
        *fd = -1;
    }
}

static void say(const UserNetAnswer *a, size_t len)
{
    send(peer.questions, a, len, MSG_DONTWAIT | MSG_NOSIGNAL);
}

static void say_ahead(void)
{
    for (unsigned i = 0; i < ANSWERS && peer.len[i]; i++) {
        say(&peer.answer[i], peer.len[i]);
    }
}

/* The socket that it would find as its own. */
int posix_spawn_file_actions_adddup2(posix_spawn_file_actions_t *actions, int fd, int as)
{
    if (as == USERNET_SOCKET) {
        hang_up(&peer.questions);
        peer.questions = fcntl(fd, F_DUPFD_CLOEXEC, USERNET_SOCKET + 1);
    }
    return 0;
}

/* It has ended already, for who looks; and confines itself without a word. */
int posix_spawn(pid_t *pid, const char *path, const posix_spawn_file_actions_t *actions,
                const posix_spawnattr_t *attr, char *const argv[], char *const env[])
{
    const UserNetAnswer fine = { .status = USERNET_OK };

    *pid = vfork();
    if (*pid == 0) {
        _exit(0);
    }
    say(&fine, sizeof(fine.status));
    say_ahead();
    return 0;
}

/* Questions ------------------------------------------------------------------- */

/* There is an answer to the next question always, or the process's end: nobody has to wait. */
static void choose_answer(Guest *g)
{
    unsigned how = take(g, 1), n = 0;
    size_t len = how & 4 ? take(g, 1) : 0;
    const uint8_t *data = fuzz_take_bytes(&g->in, &len);

    memset(peer.len, 0, sizeof(peer.len));
    for (unsigned more = (how & 7) == 7 ? how >> 3 & 3 : 0; more; more--) {
        peer.answer[n].status = USERNET_MORE;
        peer.len[n++] = sizeof(UserNetAnswer);
    }
    peer.answer[n].status = how & 4 ? how >> 5 & 3 : how == 3 ? USERNET_ERROR : USERNET_OK;
    memcpy(peer.answer[n].text, data, len);
    peer.len[n] = sizeof(peer.answer[n].status) + len;
    if ((how & 0x1f) == 0x1c) {         /* no packet of its kind */
        peer.len[n] = 1 + len % sizeof(peer.answer[n].status);
    }
}

void usernet_ahead(Guest *g)
{
    choose_answer(g);
    if (peer.questions >= 0) {
        say_ahead();
    }
}

static void forget_network(void)
{
    hang_up(&peer.wake);
    hang_up(&peer.relay);
    if (peer.shared) {
        munmap(peer.shared, USERNET_MEMORY);
        peer.shared = NULL;
    }
}

static void take_network(const int *fds, unsigned nfds)
{
    uint8_t *p;

    forget_network();
    g_assert_cmpuint(nfds, ==, USERNET_FDS + 1);
    peer.wake = fds[USERNET_FD_WAKE];
    peer.relay = fds[USERNET_FDS];
    p = mmap(NULL, USERNET_MEMORY, PROT_READ | PROT_WRITE, MAP_SHARED, fds[USERNET_FD_MEMORY], 0);
    g_assert(p != MAP_FAILED);
    close(fds[USERNET_FD_MEMORY]);
    peer.shared = (UserNetShared *)(void *)p;
    p += USERNET_HEADER;
    frame_ring_init(&peer.from_guest, &peer.shared->from_guest, p, USERNET_FROM_GUEST);
    frame_ring_init(&peer.to_guest, &peer.shared->to_guest, p + USERNET_FROM_GUEST,
                    USERNET_TO_GUEST);
}

/* What it was asked, of which networks are what matters. */
static void take_questions(void)
{
    static UserNetRequest req;
    int fds[USERNET_MAX_FDS];
    unsigned nfds = USERNET_MAX_FDS;

    while (peer.questions >= 0 &&
           recv_with_fds(peer.questions, &req, sizeof(req), fds, &nfds) > 0) {
        if (req.op == USERNET_ADD) {
            take_network(fds, nfds);
        }
        nfds = USERNET_MAX_FDS;
    }
}

/* A person asks for what the process knows. */
static void ask(Guest *g)
{
    NetClientState *nc = net_find("n");
    unsigned how = take(g, 1);
    Error *err = NULL;

    usernet_ahead(g);
    if (nc && how & 1) {
        g_autofree char *text = net_client_class(nc)->connections(nc);

        g_assert(!text || g_utf8_validate(text, -1, NULL));
    } else if (nc && !net_client_class(nc)->change_hostfwd(nc, "tcp::1-:1", how & 2, &err)) {
        g_assert(g_utf8_validate(error_get_pretty(err), -1, NULL));
        error_free(err);
    }
}

void usernet_leave(Guest *g)
{
    usernet_ahead(g);
}

/* Memory ----------------------------------------------------------------------- */

static void wake(void)
{
    send(peer.wake, "", 1, MSG_DONTWAIT | MSG_NOSIGNAL);
}

/* As it should be done. */
static void put_record(Guest *g)
{
    unsigned how = take(g, 1);
    size_t len = take(g, how & 2 ? 2 : 1);
    g_autofree uint8_t *record = g_malloc0(len + 1);
    size_t have = MIN(len, 64u);
    const uint8_t *data = fuzz_take_bytes(&g->in, &have);

    memcpy(record, data, have);
    for (unsigned n = 1 + (how >> 2 & 31); n && len; n--) {
        frame_ring_put(&peer.to_guest, how & 1, record, len);
    }
    wake();
}

static void take_records(Guest *g)
{
    unsigned type, n = take(g, 1);
    const uint8_t *data;

    while (n-- && frame_ring_peek(&peer.from_guest, NET_FRAME_MAX, &data, &type) > 0) {
        frame_ring_next(&peer.from_guest);
    }
    if (frame_ring_wants_room(&peer.from_guest)) {
        wake();
    }
}

static void begin_anew(Guest *g)
{
    unsigned how = take(g, 1);

    frame_ring_skip_to(&peer.from_guest, atomic_load(&peer.shared->reset_pos));
    atomic_store(&peer.shared->done_pos, how & 1 ? take(g, 4) : peer.to_guest.pos);
    atomic_store(&peer.shared->resets_done, atomic_load(&peer.shared->resets) + (how >> 6));
    wake();
}

/* Positions, flags, lengths, wherever they are. */
static void write_word(Guest *g)
{
    unsigned how = take(g, 1);
    uint8_t *p = (uint8_t *)peer.shared;
    uint32_t value;

    p += how & 128 ? USERNET_HEADER + (how & 64 ? USERNET_FROM_GUEST : 0) + take(g, 2) * 4u
                   : (how >> 1) * 4u % sizeof(UserNetShared);
    memcpy(&value, p, sizeof(value));
    value = how & 1 ? take(g, 4) : value + (int8_t)take(g, 1);
    memcpy(p, &value, sizeof(value));
}

static void use_relay(Guest *g)
{
    unsigned how = take(g, 1);
    char buf[512] = "";

    if (how & 1) {
        send(peer.relay, buf, how * 2, MSG_DONTWAIT | MSG_NOSIGNAL);
    } else if (how & 2) {
        recv(peer.relay, buf, sizeof(buf), MSG_DONTWAIT);
    } else if (how & 4) {
        shutdown(peer.relay, how & 8 ? SHUT_RD : SHUT_WR);
    }
}

static void end(Guest *g)
{
    unsigned how = take(g, 1);
    const UserNetAnswer a = { .status = how >> 2 };

    if ((how & 3) == 3) {
        hang_up(&peer.questions);
    } else if ((how & 3) == 2) {
        hang_up(&peer.wake);
    } else if (how & 1) {
        say(&a, sizeof(a.status) + (how >> 2));
    } else {
        wake();
    }
}

static void (*const acts[])(Guest *g) = {
    put_record, take_records, begin_anew, write_word, use_relay, ask, put_record, end,
};

void usernet_host(Guest *g)
{
    unsigned which = take(g, 1) % G_N_ELEMENTS(acts);

    take_questions();
    if (peer.shared) {
        acts[which](g);
    }
    fuzz_settle();
}
