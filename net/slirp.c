/*
 * -netdev user: a TCP/IP stack for those without privileges, in a process of its own.
 *
 * Frames go there and come in two rings of memory that the processes share; a byte on a socket
 * wakes who sleeps. What comes is for the guest and is not looked at; lengths and positions are,
 * for a guest may have taken the other process over.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "qemu/iov.h"
#include "qemu/log.h"
#include "qemu/timer.h"
#include "slirp-options.h"
#include "slirp-relay.h"
#include "usernet.h"

/* Lines for the log between two frames. */
#define MAX_LOGS 16

typedef struct UserSource {
    GSource source;
    struct UserState *s;
} UserSource;

typedef struct UserState {
    SlirpOptions o;
    UserNetShared *shared;  /* NULL: the process has gone, or is not yet there */
    FrameRing from_guest, to_guest;
    int wake_fd;            /* also the network's number */
    UserSource *source;
    gpointer wake_tag;
    uint32_t resets;        /* that the stack was told of */
    uint32_t resets_seen;   /* that it has done, and whose frames we have left out */
    bool receiving;         /* the card waits for frames */
    bool blocked;           /* it waits for room */
    bool wake;              /* the stack, before we sleep */
    bool broken;            /* the process has done what it must not */
    GPtrArray *relays;      /* of SlirpRelay */
} UserState;

static const NetClientClass user_class;

/* Traffic ------------------------------------------------------------------- */

/* The stack is woken once for all frames that come in one round of the main loop. */
static int user_send(NetClientState *nc, unsigned q, const struct iovec *iov, unsigned cnt)
{
    UserState *s = downcast(nc, UserState, o.nc);
    size_t len = MIN(iov_size(iov, cnt), NET_FRAME_MAX);
    uint8_t *to;

    if (!s->shared || s->broken) {
        return 0;
    }
    to = frame_ring_reserve(&s->from_guest, len);
    if (!to && frame_ring_await_room(&s->from_guest)) {
        to = frame_ring_reserve(&s->from_guest, len);
    }
    if (!to) {
        s->blocked = true;
        return -EAGAIN;
    }
    iov_to_buf(iov, cnt, 0, to, len);
    frame_ring_commit(&s->from_guest, USERNET_FRAME, len);
    s->wake |= frame_ring_wants_frames(&s->from_guest);
    return 0;
}

/* False: the stack has not yet begun anew since the last reset. */
static bool caught_up(UserState *s)
{
    if (s->resets_seen != s->resets) {
        if (atomic_load(&s->shared->resets_done) != s->resets) {
            return false;
        }
        s->resets_seen = s->resets;
        s->broken |= !frame_ring_skip_to(&s->to_guest, atomic_load(&s->shared->done_pos));
    }
    return !s->broken;
}

static void log_text(const UserState *s, const uint8_t *data, size_t len)
{
    if (qemu_loglevel_mask(LOG_GUEST_ERROR)) {
        g_autofree char *raw = g_strndup((const char *)data, len);
        g_autofree char *text = usernet_printable(raw, strlen(raw), false);

        qemu_log("netdev %s: %s\n", s->o.nc.obj.id, text);
    }
}

static ssize_t user_recv(NetClientState *nc, unsigned q, const struct iovec *iov, unsigned cnt)
{
    UserState *s = downcast(nc, UserState, o.nc);
    const uint8_t *data;
    ssize_t len = 0;
    unsigned type;

    for (unsigned i = 0; i < MAX_LOGS && s->shared && caught_up(s); i++) {
        len = frame_ring_peek(&s->to_guest, NET_FRAME_MAX, &data, &type);
        if (len <= 0) {
            s->broken |= len < 0;
            break;
        }
        if (type == USERNET_FRAME) {
            iov_from_buf(iov, cnt, 0, data, len);
            frame_ring_next(&s->to_guest);
            return len;
        }
        log_text(s, data, MIN(len, USERNET_LOG_MAX));
        frame_ring_next(&s->to_guest);
    }
    return -EAGAIN;
}

static void user_set_receive(NetClientState *nc, unsigned q, bool on)
{
    downcast(nc, UserState, o.nc)->receiving = on;
}

/* This may be a vCPU's thread: the source wakes the stack. */
static void user_reset(NetClientState *nc)
{
    UserState *s = downcast(nc, UserState, o.nc);

    if (s->shared) {
        atomic_store(&s->shared->reset_pos, s->from_guest.pos);
        atomic_store(&s->shared->resets, ++s->resets);
        s->wake = true;
        g_main_context_wakeup(NULL);
    }
}

/* The main loop's source ------------------------------------------------------ */

static bool frames_wait(UserState *s)
{
    return s->receiving && caught_up(s) && frame_ring_await_frames(&s->to_guest);
}

static bool has_work(UserState *s)
{
    return s->broken || frames_wait(s) ||
           (s->blocked && frame_ring_await_room(&s->from_guest));
}

static gboolean user_prepare(GSource *source, gint *timeout)
{
    UserState *s = downcast(source, UserSource, source)->s;

    if (s->wake) {
        s->wake = false;
        /* No room: many bytes say so already. */
        send(s->wake_fd, "", 1, MSG_DONTWAIT | MSG_NOSIGNAL);
    }
    *timeout = -1;
    return has_work(s);
}

static gboolean user_check(GSource *source)
{
    UserState *s = downcast(source, UserSource, source)->s;

    return g_source_query_unix_fd(source, s->wake_tag) || has_work(s);
}

static gboolean user_dispatch(GSource *source, GSourceFunc fn, gpointer opaque)
{
    UserState *s = downcast(source, UserSource, source)->s;
    char buf[64];

    if (recv(s->wake_fd, buf, sizeof(buf), MSG_DONTWAIT) == 0) {
        usernet_give_up(NULL);      /* it has ended */
        return G_SOURCE_CONTINUE;
    }
    if (frames_wait(s)) {
        net_notify_readable(&s->o.nc, 0);
    }
    if (s->blocked && frame_ring_await_room(&s->from_guest)) {
        s->blocked = false;
        net_notify_writable(&s->o.nc, 0);
    }
    if (s->broken) {
        usernet_give_up("does not keep to its rules");
    }
    return G_SOURCE_CONTINUE;
}

static const GSourceFuncs user_source_funcs = {
    .prepare = user_prepare,
    .check = user_check,
    .dispatch = user_dispatch,
};

/* The other process ------------------------------------------------------------- */

static void leave(UserState *s)
{
    if (s->source) {
        g_source_destroy(&s->source->source);
        g_source_unref(&s->source->source);
        s->source = NULL;
    }
    g_clear_pointer(&s->relays, g_ptr_array_unref);
    if (s->shared) {
        munmap(s->shared, USERNET_MEMORY);
        s->shared = NULL;
        close(s->wake_fd);
    }
}

static void take_down(NetClientState *nc, void *opaque)
{
    UserState *s = downcast(nc, UserState, o.nc);

    if (net_client_class(nc) == &user_class && s->shared) {
        leave(s);
        net_set_carrier(nc, false);
        net_notify_writable(nc, 0);     /* to throw away what waits */
    }
}

static void process_lost(void)
{
    net_foreach(take_down, NULL);
}

static void tell_clock(NetClientState *nc, void *opaque)
{
    UserState *s = downcast(nc, UserState, o.nc);

    if (net_client_class(nc) == &user_class && s->shared) {
        atomic_store(&s->shared->stopped, !*(bool *)opaque);
        s->wake = true;
    }
}

static void clock_changed(bool running)
{
    net_foreach(tell_clock, &running);
}

static void append(GString *text, const char *s)
{
    g_string_append_len(text, s, strlen(s) + 1);
}

static void append_option(GString *text, const char *name, const char *value)
{
    append(text, name);
    append(text, value);
}

/* Names and values of all properties, as the stack takes them. */
static GString *options_text(const UserState *s)
{
    GString *text = g_string_new(NULL);

    append(text, s->o.nc.obj.id);
    for (const Property *prop = slirp_properties; prop->name; prop++) {
        GPtrArray *list = prop->info == &prop_strlist ?
                          *(GPtrArray **)property_field(&s->o.nc.obj, prop) : NULL;
        g_autofree char *value = prop->info != &prop_strlist && prop->info->get ?
                                 prop->info->get(&s->o.nc.obj, prop) : NULL;

        for (guint i = 0; list && i < list->len; i++) {
            append_option(text, prop->name, g_ptr_array_index(list, i));
        }
        if (value && !strcmp(prop->name, "tftp")) {     /* its folder is another one */
            g_autofree char *path = g_canonicalize_filename(value, NULL);

            append_option(text, prop->name, path);
        } else if (value) {
            append_option(text, prop->name, value);
        }
    }
    return text;
}

/* Opening ------------------------------------------------------------------ */

/* Of a size that nobody can change: what is mapped stays there. */
static int make_memory(UserState *s)
{
    int fd = memfd_create("user network", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    uint8_t *p = MAP_FAILED;

    if (fd >= 0 && ftruncate(fd, USERNET_MEMORY) == 0 &&
        fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) == 0) {
        p = mmap(NULL, USERNET_MEMORY, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    }
    if (p == MAP_FAILED) {
        int err = errno;

        if (fd >= 0) {
            close(fd);
        }
        return -err;
    }
    s->shared = (UserNetShared *)(void *)p;
    p += USERNET_HEADER;
    frame_ring_init(&s->from_guest, &s->shared->from_guest, p, USERNET_FROM_GUEST);
    frame_ring_init(&s->to_guest, &s->shared->to_guest, p + USERNET_FROM_GUEST,
                    USERNET_TO_GUEST);
    return fd;
}

/* fds for the other process; they are the caller's. */
static bool make_channel(UserState *s, int *fds, Error **errp)
{
    int pair[2];

    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0) {
        error_setg_errno(errp, errno, "socketpair");
        return false;
    }
    fds[USERNET_FD_WAKE] = pair[1];
    s->wake_fd = pair[0];
    fds[USERNET_FD_MEMORY] = make_memory(s);
    if (fds[USERNET_FD_MEMORY] < 0) {
        error_setg_errno(errp, -fds[USERNET_FD_MEMORY], "no memory for a user network");
        close(pair[0]);
        return false;
    }
    return true;
}

static bool make_relays(UserState *s, int *fds, unsigned *nfds, Error **errp)
{
    const GPtrArray *rules = s->o.guestfwd;

    s->relays = g_ptr_array_new_with_free_func((GDestroyNotify)slirp_relay_free);
    for (guint i = 0; rules && i < rules->len; i++) {
        GuestRule r;
        SlirpRelay *relay;

        if (!slirp_parse_guestfwd(g_ptr_array_index(rules, i), &r, errp)) {
            return false;
        }
        if (r.command) {
            continue;
        }
        if (*nfds == USERNET_MAX_FDS) {
            error_setg(errp, "too many rules of guestfwd=");
            return false;
        }
        relay = slirp_relay_new(&r, &fds[*nfds], errp);
        if (!relay) {
            return false;
        }
        ++*nfds;
        g_ptr_array_add(s->relays, relay);
    }
    return true;
}

static void start_source(UserState *s)
{
    GSource *source = g_source_new((GSourceFuncs *)&user_source_funcs, sizeof(UserSource));

    s->source = downcast(source, UserSource, source);
    s->source->s = s;
    s->wake_tag = g_source_add_unix_fd(source, s->wake_fd, G_IO_IN);
    g_source_set_can_recurse(source, TRUE);     /* as qemu_fd_source() */
    g_source_attach(source, NULL);
}

static bool user_open(NetClientState *nc, Error **errp)
{
    UserState *s = downcast(nc, UserState, o.nc);
    g_autoptr(GString) text = options_text(s);
    g_autofree char *answer = NULL;
    int fds[USERNET_MAX_FDS];
    unsigned nfds = USERNET_FDS;

    for (unsigned i = 0; i < USERNET_MAX_FDS; i++) {
        fds[i] = -1;
    }
    if (usernet_start(process_lost, errp) && make_channel(s, fds, errp) &&
        make_relays(s, fds, &nfds, errp)) {
        answer = usernet_call(USERNET_ADD, s->wake_fd, text, fds, nfds, errp);
    }
    for (unsigned i = 0; i < nfds; i++) {
        if (fds[i] >= 0) {
            close(fds[i]);
        }
    }
    if (!answer) {
        leave(s);
        return false;
    }
    qemu_clock_set_listener(clock_changed);
    start_source(s);
    nc->info = g_strdup_printf("type=user,net=%s,restrict=%s", s->o.net ? s->o.net : "10.0.2.0/24",
                               s->o.restricted ? "on" : "off");
    return true;
}

static void user_close(NetClientState *nc)
{
    UserState *s = downcast(nc, UserState, o.nc);
    g_autoptr(GString) none = g_string_new(NULL);

    if (s->shared) {
        g_free(usernet_call(USERNET_DEL, s->wake_fd, none, NULL, 0, NULL));
    }
    leave(s);
}

/* Questions ------------------------------------------------------------------ */

static char *user_connections(NetClientState *nc)
{
    UserState *s = downcast(nc, UserState, o.nc);
    g_autoptr(GString) none = g_string_new(NULL);

    return s->shared ? usernet_call(USERNET_CONNECTIONS, s->wake_fd, none, NULL, 0, NULL) : NULL;
}

static bool user_change_hostfwd(NetClientState *nc, const char *rule, bool add, Error **errp)
{
    UserState *s = downcast(nc, UserState, o.nc);
    g_autoptr(GString) text = g_string_new(NULL);
    g_autofree char *answer = NULL;

    append(text, rule);
    answer = usernet_call(add ? USERNET_HOSTFWD_ADD : USERNET_HOSTFWD_REMOVE,
                          s->shared ? s->wake_fd : 0, text, NULL, 0, errp);
    return answer;
}

static const NetClientClass user_class = {
    .oc = {
        .name = "user",
        .parent = &netdev_base_class,
        .instance_size = sizeof(UserState),
        .props = slirp_properties,
    },
    .open = user_open,
    .close = user_close,
    .reset = user_reset,
    .send = user_send,
    .recv = user_recv,
    .set_receive = user_set_receive,
    .connections = user_connections,
    .change_hostfwd = user_change_hostfwd,
};
DEFINE_CLASS(netdev_user, &user_class.oc);
