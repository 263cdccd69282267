/*
 * The TCP/IP stack of a user network, by libslirp, in the process of user networks.
 *
 * libslirp runs in the main loop as a source of its own: prepare asks it which
 * descriptors to poll and how long to sleep, dispatch lets it work. Frames come
 * from the machine's process in one ring and go there in another; beyond that
 * frames are lost, as in any network, and TCP slows down.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "qemu/confine.h"
#include "qemu/timer.h"
#include "slirp-filter.h"
#include "slirp-internal.h"

#define GUEST_MTU 1500

#define FRAMES_A_ROUND 64

typedef struct SlirpTimer {
    QEMUTimer timer;
    SlirpStack *s;
    SlirpTimerId id;
    void *opaque;           /* libslirp's */
} SlirpTimer;

/* Called by libslirp ------------------------------------------------------- */

static void put_record(SlirpStack *s, unsigned type, const void *data, size_t len)
{
    if (frame_ring_put(&s->to_guest, type, data, len) && frame_ring_wants_frames(&s->to_guest)) {
        s->wake = true;
    }
}

static void queue_frame(const uint8_t *frame, size_t len, void *opaque)
{
    put_record(opaque, USERNET_FRAME, frame, len);
}

/* To the machine's log (-d guest_errors). */
static void log_error(SlirpStack *s, const char *text)
{
    put_record(s, USERNET_LOG, text, MIN(strlen(text), USERNET_LOG_MAX));
}

static ssize_t cb_send_packet(const void *buf, size_t len, void *opaque)
{
    SlirpStack *s = opaque;

    if (len && len <= NET_FRAME_MAX) {
        ip_fragment(buf, len, GUEST_MTU, ++s->fragment_id, queue_frame, s);
    }
    return len;
}

static void cb_guest_error(const char *msg, void *opaque)
{
    log_error(opaque, msg);
}

static int64_t cb_clock_get_ns(void *opaque)
{
    return qemu_clock_get_ns(QEMU_CLOCK_VIRTUAL);
}

static void timer_expired(void *opaque)
{
    SlirpTimer *t = opaque;

    t->s->lib.handle_timer(t->s->slirp, t->id, t->opaque);
}

static void *cb_timer_new(SlirpTimerId id, void *cb_opaque, void *opaque)
{
    SlirpStack *s = opaque;
    SlirpTimer *t = g_new0(SlirpTimer, 1);

    t->s = s;
    t->id = id;
    t->opaque = cb_opaque;
    timer_init_ns(&t->timer, QEMU_CLOCK_VIRTUAL, timer_expired, t);
    return t;
}

static void cb_timer_free(void *timer, void *opaque)
{
    SlirpTimer *t = timer;

    timer_del(&t->timer);
    g_free(t);
}

static void cb_timer_mod(void *timer, int64_t expire_ms, void *opaque)
{
    timer_mod_ns(&((SlirpTimer *)timer)->timer, expire_ms * 1000000);
}

/* What to poll is asked for before every sleep: these are counted only. */
static void cb_register_poll_fd(int fd, void *opaque)
{
    slirp_limit_opened(&((SlirpStack *)opaque)->limit, fd);
}

static void cb_unregister_poll_fd(int fd, void *opaque)
{
    slirp_limit_closed(&((SlirpStack *)opaque)->limit, fd);
}

/* A connection of a guest forward has room again. */
static void cb_notify(void *opaque)
{
    ((SlirpStack *)opaque)->accept = true;
}

static const SlirpCb slirp_callbacks = {
    .send_packet = cb_send_packet,
    .guest_error = cb_guest_error,
    .clock_get_ns = cb_clock_get_ns,
    .timer_new_opaque = cb_timer_new,
    .timer_free = cb_timer_free,
    .timer_mod = cb_timer_mod,
    .register_poll_fd = cb_register_poll_fd,
    .unregister_poll_fd = cb_unregister_poll_fd,
    .notify = cb_notify,
};

/* The main loop's source --------------------------------------------------- */

static GIOCondition events_to_glib(int events)
{
    return (events & SLIRP_POLL_IN ? G_IO_IN : 0) | (events & SLIRP_POLL_OUT ? G_IO_OUT : 0) |
           (events & SLIRP_POLL_PRI ? G_IO_PRI : 0) | (events & SLIRP_POLL_ERR ? G_IO_ERR : 0) |
           (events & SLIRP_POLL_HUP ? G_IO_HUP : 0);
}

static int events_from_glib(GIOCondition cond)
{
    return (cond & G_IO_IN ? SLIRP_POLL_IN : 0) | (cond & G_IO_OUT ? SLIRP_POLL_OUT : 0) |
           (cond & G_IO_PRI ? SLIRP_POLL_PRI : 0) | (cond & G_IO_ERR ? SLIRP_POLL_ERR : 0) |
           (cond & (G_IO_HUP | G_IO_NVAL) ? SLIRP_POLL_HUP : 0);
}

static bool fd_listens(int fd)
{
    int on = 0;
    socklen_t len = sizeof(on);

    return getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &on, &len) == 0 && on;
}

static SlirpPoll *poll_of(SlirpStack *s, int fd)
{
    return &g_array_index(s->polls, SlirpPoll, fd);
}

/* Each has a place of its own, so that one more costs nothing for the others. */
static int add_poll(int fd, int events, void *opaque)
{
    SlirpStack *s = opaque;
    GIOCondition cond = events_to_glib(events);
    GSource *source = &s->source->source;
    SlirpPoll *p;

    if ((guint)fd >= s->polls->len) {
        g_array_set_size(s->polls, fd + 1);
    }
    p = poll_of(s, fd);
    if (!p->tag) {
        p->listens = fd_listens(fd);
    }
    /* Who knocks outside may wait. */
    cond = p->listens && slirp_limit_reached(&s->limit) ? 0 : cond;
    if (!p->tag) {
        p->tag = g_source_add_unix_fd(source, fd, cond);
        g_array_append_val(s->polled, fd);
    } else if (p->cond != cond) {
        g_source_modify_unix_fd(source, p->tag, cond);
    }
    p->cond = cond;
    p->round = s->round;
    return fd;
}

static int get_revents(int fd, void *opaque)
{
    SlirpStack *s = opaque;
    SlirpPoll *p = (guint)fd < s->polls->len ? poll_of(s, fd) : NULL;

    if (!p || !p->tag) {
        return 0;
    }
    return events_from_glib(g_source_query_unix_fd(&s->source->source, p->tag));
}

/* Poll no more what this round did not want. */
static void drop_polls(SlirpStack *s)
{
    for (guint i = s->polled->len; i-- > 0;) {
        SlirpPoll *p = poll_of(s, g_array_index(s->polled, int, i));

        if (p->round != s->round) {
            g_source_remove_unix_fd(&s->source->source, p->tag);
            p->tag = NULL;
            g_array_remove_index(s->polled, i);
        }
    }
}

/* The stack ---------------------------------------------------------------- */

static bool user_new_stack(SlirpStack *s, Error **errp)
{
    SlirpConfig cfg = { .version = SLIRP_CONFIG_VERSION_MAX };
    bool ok = slirp_fill_config(s, &cfg, errp);

    if (ok) {
        s->slirp = s->lib.new(&cfg, &slirp_callbacks, s);
        if (!s->slirp) {
            error_setg(errp, "libslirp %s refuses the configuration", s->lib.version_string());
        }
    }
    g_free(cfg.vdnssearch);
    return s->slirp != NULL;
}

/* Whatever the user allows, the process needs as many descriptors for other things. */
static unsigned limit_of(const SlirpStack *s)
{
    struct rlimit lim;

    return getrlimit(RLIMIT_NOFILE, &lim) < 0 ? s->o.max_connections
                                              : MIN(s->o.max_connections, lim.rlim_cur / 2);
}

/*
 * The card was reset: what the guest's past has sent is forgotten, what it has opened is closed.
 * libslirp can only close all at once, so peers of the guest's past are cut off, too; forwards
 * stay.
 */
static void begin_anew(SlirpStack *s)
{
    bool ok, used = s->limit.by_guest;

    frame_ring_skip_to(&s->from_guest, atomic_load(&s->shared->reset_pos));
    ip_reassembly_clear(&s->fragments);
    if (used) {
        s->round++;
        drop_polls(s);
        g_clear_pointer(&s->slirp, s->lib.cleanup);
    }
    atomic_store(&s->shared->done_pos, s->to_guest.pos);
    atomic_store(&s->shared->resets_done, s->resets);
    s->wake = true;
    if (used) {
        slirp_limit_cleanup(&s->limit);
        slirp_limit_init(&s->limit, limit_of(s));
        ok = user_new_stack(s, NULL);
        g_assert(ok);       /* it was with the same options */
        slirp_restore_forwards(s);
    }
}

static bool was_reset(const SlirpStack *s)
{
    return atomic_load(&s->shared->resets) != s->resets;
}

/* A round of the source ---------------------------------------------------- */

static bool has_work(SlirpStack *s)
{
    return s->accept || s->flush || was_reset(s) || frame_ring_await_frames(&s->from_guest);
}

/* One byte says it; when there is no room for it many say so already. */
static void wake_card(SlirpStack *s)
{
    if (s->wake) {
        s->wake = false;
        send(s->wake_fd, "", 1, MSG_DONTWAIT | MSG_NOSIGNAL);
    }
}

static gboolean user_prepare(GSource *source, gint *timeout)
{
    SlirpStack *s = downcast(source, SlirpSource, source)->s;
    uint32_t ms = UINT32_MAX;

    qemu_clock_enable_virtual(!atomic_load(&s->shared->stopped));
    s->round++;
    s->lib.pollfds_fill(s->slirp, &ms, add_poll, s);
    drop_polls(s);
    wake_card(s);
    *timeout = ms > INT_MAX ? -1 : (gint)ms;
    s->deadline = ms > INT_MAX ? -1 : g_source_get_time(source) + (gint64)ms * 1000;
    return has_work(s);
}

static gboolean user_check(GSource *source)
{
    SlirpStack *s = downcast(source, SlirpSource, source)->s;

    if (g_source_query_unix_fd(source, s->wake_tag) || has_work(s) ||
        (s->deadline >= 0 && g_source_get_time(source) >= s->deadline)) {
        return TRUE;
    }
    for (guint i = 0; i < s->polled->len; i++) {
        if (g_source_query_unix_fd(source, poll_of(s, g_array_index(s->polled, int, i))->tag)) {
            return TRUE;
        }
    }
    return FALSE;
}

/* Traffic ------------------------------------------------------------------ */

static int64_t now_ms(void)
{
    return qemu_clock_get_ns(QEMU_CLOCK_REALTIME) / 1000000;
}

/* The one count that libslirp does not tell by itself. */
static void count_streams(SlirpStack *s)
{
    if (slirp_limit_wants_recount(&s->limit, now_ms())) {
        char *text = s->lib.connection_info(s->slirp);

        slirp_limit_recount(&s->limit, text);
        free(text);
    }
}

static void user_input(SlirpStack *s, size_t len)
{
    if (s->o.tftp && slirp_frame_is_inside(s, s->frame, len)) {
        len = slirp_tftp_filter(&s->files, s->frame, len, sizeof(s->frame));
    }
    if (!slirp_filter_frame(s->frame, len) || slirp_forward_is_full(s, s->frame, len)) {
        return;
    }
    count_streams(s);
    if (!slirp_limit_begin(&s->limit, s->frame, len)) {
        log_error(s, "max-connections reached");
        return;
    }
    s->lib.input(s->slirp, s->frame, len);
    slirp_limit_done(&s->limit);
    /* An answer that it waited for sends nothing by itself. */
    s->flush |= slirp_frame_is_address(s->frame, len);
}

/* The guest's next frame into s->frame; 0: there is none. */
static size_t take_frame(SlirpStack *s)
{
    const uint8_t *data;
    unsigned type;
    ssize_t len = frame_ring_peek(&s->from_guest, sizeof(s->frame), &data, &type);

    /* Looked at after the ring: what came before a reset is not taken for what came after. */
    if (was_reset(s)) {
        s->resets = atomic_load(&s->shared->resets);
        begin_anew(s);
        return take_frame(s);
    }
    if (len <= 0) {
        g_assert(len == 0);     /* the machine's process is no guest's */
        return 0;
    }
    memcpy(s->frame, data, len);
    frame_ring_next(&s->from_guest);
    return len;
}

/* Others want to be served, too, after some. */
static void take_frames(SlirpStack *s)
{
    size_t len;

    for (unsigned i = 0; i < FRAMES_A_ROUND && (len = take_frame(s)); i++) {
        if (ip_is_fragment(s->frame, len)) {
            len = ip_reassemble(&s->fragments, s->frame, len,
                                now_ms(), s->frame, sizeof(s->frame));
        }
        if (len) {
            user_input(s, len);
        }
    }
    if (frame_ring_wants_room(&s->from_guest)) {
        s->wake = true;
    }
}

static void drain_wake_ups(SlirpStack *s)
{
    char buf[64];

    while (recv(s->wake_fd, buf, sizeof(buf), MSG_DONTWAIT) == sizeof(buf)) {
        continue;
    }
}

static gboolean user_dispatch(GSource *source, GSourceFunc fn, gpointer opaque)
{
    SlirpStack *s = downcast(source, SlirpSource, source)->s;

    if (g_source_query_unix_fd(source, s->wake_tag)) {
        drain_wake_ups(s);
    }
    s->flush = false;
    take_frames(s);
    s->lib.pollfds_poll(s->slirp, 0, get_revents, s);
    if (s->accept || s->held) {
        s->accept = s->held = false;
        slirp_accept_forwards(s);
    }
    return G_SOURCE_CONTINUE;
}

static const GSourceFuncs user_source_funcs = {
    .prepare = user_prepare,
    .check = user_check,
    .dispatch = user_dispatch,
};

char *slirp_stack_connections(SlirpStack *s)
{
    return s->lib.connection_info(s->slirp);
}

/* Opening ------------------------------------------------------------------ */

static void user_start(SlirpStack *s)
{
    GSource *source = g_source_new((GSourceFuncs *)&user_source_funcs, sizeof(SlirpSource));

    s->source = downcast(source, SlirpSource, source);
    s->source->s = s;
    s->polls = g_array_new(FALSE, TRUE, sizeof(SlirpPoll));
    s->polled = g_array_new(FALSE, FALSE, sizeof(int));
    s->wake_tag = g_source_add_unix_fd(source, s->wake_fd, G_IO_IN);
    g_source_set_can_recurse(source, TRUE);     /* as qemu_fd_source() */
    g_source_attach(source, NULL);
}

/* Landlock lets it be looked up, but not read. */
static bool tftp_allowed(const SlirpStack *s, Error **errp)
{
    int fd = s->o.tftp ? open(s->o.tftp, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
    int err = s->o.tftp && fd < 0 ? confine_errno(s->o.tftp, false, errno) : 0;

    if (fd >= 0) {
        close(fd);
    }
    if (err == ESANDBOX) {
        error_setg(errp, "tftp=%s: %s", s->o.tftp, confine_strerror(err));
    }
    return err != ESANDBOX;
}

static bool map_memory(SlirpStack *s, int fd, Error **errp)
{
    uint8_t *p = mmap(NULL, USERNET_MEMORY, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

    if (p == MAP_FAILED) {
        error_setg_errno(errp, errno, "mmap");
        return false;
    }
    s->shared = (UserNetShared *)(void *)p;
    p += USERNET_HEADER;
    frame_ring_init(&s->from_guest, &s->shared->from_guest, p, USERNET_FROM_GUEST);
    frame_ring_init(&s->to_guest, &s->shared->to_guest, p + USERNET_FROM_GUEST,
                    USERNET_TO_GUEST);
    return true;
}

bool slirp_stack_open(SlirpStack *s, const int *fds, Error **errp)
{
    bool mapped = map_memory(s, fds[USERNET_FD_MEMORY], errp);

    close(fds[USERNET_FD_MEMORY]);
    s->wake_fd = fds[USERNET_FD_WAKE];
    slirp_limit_init(&s->limit, limit_of(s));
    slirp_tftp_init(&s->files, s->o.tftp);
    if (!mapped || !tftp_allowed(s, errp) || !slirp_lib_load(&s->lib, errp) ||
        !user_new_stack(s, errp) || !slirp_add_forwards(s, fds + USERNET_FDS, errp)) {
        return false;
    }
    if (s->o.tftp) {
        confine_need_path(s->o.tftp, CONFINE_READ);
    }
    user_start(s);
    return true;
}

static const ObjectClass slirp_stack_class = {
    .name = "user",
    .instance_size = sizeof(SlirpStack),
    .props = slirp_properties,
};

SlirpStack *slirp_stack_new(const char *id)
{
    return downcast(object_new(&slirp_stack_class, id), SlirpStack, o.nc.obj);
}

void slirp_stack_free(SlirpStack *s)
{
    if (s->source) {
        g_source_destroy(&s->source->source);
        g_source_unref(&s->source->source);
        g_array_unref(s->polls);
        g_array_unref(s->polled);
    }
    slirp_remove_forwards(s);
    if (s->slirp) {
        s->lib.cleanup(s->slirp);
    }
    slirp_limit_cleanup(&s->limit);
    slirp_tftp_cleanup(&s->files);
    ip_reassembly_clear(&s->fragments);
    if (s->shared) {
        munmap(s->shared, USERNET_MEMORY);
    }
    close(s->wake_fd);
    object_free(&s->o.nc.obj);
}
