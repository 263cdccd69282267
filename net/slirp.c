/*
 * -netdev user: a TCP/IP stack in the process, by libslirp. No privileges.
 *
 * libslirp runs in the main loop as a source of its own: prepare asks it which
 * descriptors to poll and how long to sleep, dispatch lets it work. What it
 * sends to the guest waits in a bounded queue until the NIC fetches it;
 * beyond that frames are lost, as in any network, and TCP slows down.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include "qemu/confine.h"
#include "qemu/iov.h"
#include "qemu/log.h"
#include "qemu/timer.h"
#include "slirp-filter.h"
#include "slirp-internal.h"

#define GUEST_MTU 1500

#define RESOLV_CONF "/etc/resolv.conf"

typedef struct SlirpTimer {
    QEMUTimer timer;
    UserState *s;
    SlirpTimerId id;
    void *opaque;           /* libslirp's */
} SlirpTimer;

/* Called by libslirp ------------------------------------------------------- */

static void queue_frame(const uint8_t *frame, size_t len, void *opaque)
{
    frame_queue_put(&((UserState *)opaque)->in, frame, len);
}

static ssize_t cb_send_packet(const void *buf, size_t len, void *opaque)
{
    UserState *s = opaque;

    if (len && len <= NET_FRAME_MAX) {
        ip_fragment(buf, len, GUEST_MTU, ++s->fragment_id, queue_frame, s);
    }
    return len;
}

static void cb_guest_error(const char *msg, void *opaque)
{
    qemu_log_mask(LOG_GUEST_ERROR, "netdev %s: %s\n", ((UserState *)opaque)->nc.obj.id, msg);
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
    UserState *s = opaque;
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
    slirp_limit_opened(&((UserState *)opaque)->limit, fd);
}

static void cb_unregister_poll_fd(int fd, void *opaque)
{
    slirp_limit_closed(&((UserState *)opaque)->limit, fd);
}

/* A connection of a guest forward has room again. */
static void cb_notify(void *opaque)
{
    ((UserState *)opaque)->accept = true;
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

static SlirpPoll *poll_of(UserState *s, int fd)
{
    return &g_array_index(s->polls, SlirpPoll, fd);
}

/* Each has a place of its own, so that one more costs nothing for the others. */
static int add_poll(int fd, int events, void *opaque)
{
    UserState *s = opaque;
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
    UserState *s = opaque;
    SlirpPoll *p = (guint)fd < s->polls->len ? poll_of(s, fd) : NULL;

    if (!p || !p->tag) {
        return 0;
    }
    return events_from_glib(g_source_query_unix_fd(&s->source->source, p->tag));
}

/* Poll no more what this round did not want. */
static void drop_polls(UserState *s)
{
    for (guint i = s->polled->len; i-- > 0;) {
        SlirpPoll *p = poll_of(s, g_array_index(s->polled, int, i));

        if (p->round != s->round) {
            g_source_remove_unix_fd(&s->source->source, p->tag);
            p->tag = NULL;
            g_array_remove_index_fast(s->polled, i);
        }
    }
}

/* The stack ---------------------------------------------------------------- */

static bool user_new_stack(UserState *s, Error **errp)
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
static unsigned limit_of(const UserState *s)
{
    struct rlimit lim;

    return getrlimit(RLIMIT_NOFILE, &lim) < 0 ? s->max_connections
                                              : MIN(s->max_connections, lim.rlim_cur / 2);
}

/*
 * After a reset: what the guest's past has opened is closed. libslirp can only close all at once,
 * so peers of the guest's past are cut off, too; forwards stay.
 */
static void renew_stack(UserState *s)
{
    bool ok;

    if (!s->outdated) {
        return;
    }
    s->outdated = false;
    s->round++;
    drop_polls(s);
    g_clear_pointer(&s->slirp, s->lib.cleanup);
    slirp_limit_cleanup(&s->limit);
    slirp_limit_init(&s->limit, limit_of(s));
    frame_queue_clear(&s->in);
    ok = user_new_stack(s, NULL);
    g_assert(ok);       /* it was with the same options */
    slirp_restore_forwards(s);
}

/* A round of the source ---------------------------------------------------- */

static bool frames_wait(const UserState *s)
{
    return s->receiving && !frame_queue_empty(&s->in);
}

static bool has_work(const UserState *s)
{
    return frames_wait(s) || s->accept || s->flush;
}

static gboolean user_prepare(GSource *source, gint *timeout)
{
    UserState *s = ((SlirpSource *)source)->s;
    uint32_t ms = UINT32_MAX;

    renew_stack(s);
    s->round++;
    s->lib.pollfds_fill(s->slirp, &ms, add_poll, s);
    drop_polls(s);
    *timeout = ms > INT_MAX ? -1 : (gint)ms;
    s->deadline = ms > INT_MAX ? -1 : g_source_get_time(source) + (gint64)ms * 1000;
    return has_work(s);
}

static gboolean user_check(GSource *source)
{
    UserState *s = ((SlirpSource *)source)->s;

    if (has_work(s) ||
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

static gboolean user_dispatch(GSource *source, GSourceFunc fn, gpointer opaque)
{
    UserState *s = ((SlirpSource *)source)->s;

    renew_stack(s);
    s->flush = false;
    s->lib.pollfds_poll(s->slirp, 0, get_revents, s);
    if (s->accept) {
        s->accept = false;
        slirp_accept_forwards(s);
    }
    if (frames_wait(s)) {
        net_notify_readable(&s->nc, 0);
    }
    return G_SOURCE_CONTINUE;
}

static const GSourceFuncs user_source_funcs = {
    .prepare = user_prepare,
    .check = user_check,
    .dispatch = user_dispatch,
};

/* Traffic ------------------------------------------------------------------ */

static int64_t now_ms(void)
{
    return qemu_clock_get_ns(QEMU_CLOCK_REALTIME) / 1000000;
}

/* The one count that libslirp does not tell by itself. */
static void count_streams(UserState *s)
{
    if (slirp_limit_wants_recount(&s->limit, now_ms())) {
        char *text = s->lib.connection_info(s->slirp);

        slirp_limit_recount(&s->limit, text);
        free(text);
    }
}

static void user_input(UserState *s, size_t len)
{
    if (s->tftp && slirp_frame_is_inside(s, s->frame, len)) {
        len = slirp_tftp_filter(&s->files, s->frame, len, sizeof(s->frame));
    }
    if (!slirp_filter_frame(s->frame, len) || slirp_forward_is_full(s, s->frame, len)) {
        return;
    }
    count_streams(s);
    if (!slirp_limit_begin(&s->limit, s->frame, len)) {
        qemu_log_mask(LOG_GUEST_ERROR, "netdev %s: max-connections reached\n", s->nc.obj.id);
        return;
    }
    s->lib.input(s->slirp, s->frame, len);
    slirp_limit_done(&s->limit);
    /* An answer that it waited for sends nothing by itself. */
    if (slirp_frame_is_address(s->frame, len) && !s->flush) {
        s->flush = true;
        g_main_context_wakeup(NULL);
    }
}

/*
 * A copy, because the guest could change the frame under libslirp's checks. The
 * answers are delivered by the source, not from here: no recursion.
 */
static int user_send(NetClientState *nc, unsigned q, const struct iovec *iov, unsigned cnt)
{
    UserState *s = (UserState *)nc;
    size_t len = iov_to_buf(iov, cnt, 0, s->frame, sizeof(s->frame));

    renew_stack(s);
    if (ip_is_fragment(s->frame, len)) {
        len = ip_reassemble(&s->fragments, s->frame, len,
                            now_ms(), s->frame, sizeof(s->frame));
    }
    if (len) {
        user_input(s, len);
    }
    return 0;
}

static ssize_t user_recv(NetClientState *nc, unsigned q, const struct iovec *iov, unsigned cnt)
{
    return frame_queue_get(&((UserState *)nc)->in, iov, cnt);
}

static void user_set_receive(NetClientState *nc, unsigned q, bool on)
{
    ((UserState *)nc)->receiving = on;
}

/* libslirp's text is malloc()ed in the library. */
static char *user_connections(NetClientState *nc)
{
    UserState *s = (UserState *)nc;

    return s->lib.connection_info(s->slirp);
}

/* Opening ------------------------------------------------------------------ */

static void user_start(UserState *s)
{
    GSource *source = g_source_new((GSourceFuncs *)&user_source_funcs, sizeof(SlirpSource));

    s->source = (SlirpSource *)source;
    s->source->s = s;
    s->polls = g_array_new(FALSE, TRUE, sizeof(SlirpPoll));
    s->polled = g_array_new(FALSE, FALSE, sizeof(int));
    g_source_set_name(source, "slirp");
    g_source_set_can_recurse(source, TRUE);     /* as qemu_fd_source() */
    g_source_attach(source, NULL);
}

/* Sockets, the files of tftp=, and the names of the host's name servers, now and then. */
static void declare_needs(const UserState *s)
{
    g_autofree char *servers = realpath(RESOLV_CONF, NULL);
    g_autofree char *folder = servers ? g_path_get_dirname(servers) : NULL;

    confine_need(CONFINE_SOCKETS);
    confine_need_path(RESOLV_CONF, CONFINE_READ);
    confine_need_path("/dev/urandom", CONFINE_READ);    /* a reset makes a new stack */
    if (folder && strcmp(folder, "/etc")) {
        confine_need_path(folder, CONFINE_READ);    /* a daemon's, which replaces the file */
    }
    if (s->tftp) {
        confine_need_path(s->tftp, CONFINE_READ);
        confine_need_path("/dev/null", CONFINE_READ);
    }
}

static bool user_open(NetClientState *nc, Error **errp)
{
    UserState *s = (UserState *)nc;

    slirp_limit_init(&s->limit, limit_of(s));
    slirp_tftp_init(&s->files, s->tftp);
    if (!slirp_lib_load(&s->lib, errp) || !user_new_stack(s, errp) ||
        !slirp_add_forwards(s, errp)) {
        return false;
    }
    declare_needs(s);
    user_start(s);
    nc->info = g_strdup_printf("type=user,net=%s,restrict=%s", s->net ? s->net : "10.0.2.0/24",
                               s->restricted ? "on" : "off");
    return true;
}

/*
 * The guest starts anew: what its past has opened is closed, by the source: this may be a vCPU's
 * thread, which opens no sockets.
 */
static void user_reset(NetClientState *nc)
{
    UserState *s = (UserState *)nc;

    ip_reassembly_clear(&s->fragments);
    frame_queue_clear(&s->in);
    if (s->limit.by_guest) {
        s->outdated = true;
        g_main_context_wakeup(NULL);
    }
}

static void user_close(NetClientState *nc)
{
    UserState *s = (UserState *)nc;

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
    frame_queue_clear(&s->in);
}

static const Property user_props[] = {
    DEFINE_PROP_STRING("hostname", UserState, hostname, NULL, "name that DHCP gives the guest"),
    DEFINE_PROP_BOOL("restrict", UserState, restricted, "off",
                     "cut the guest off from the host and the outside"),
    DEFINE_PROP_BOOL("ipv4", UserState, ipv4, "on", "IPv4 for the guest"),
    DEFINE_PROP_BOOL("ipv6", UserState, ipv6, "on", "IPv6 for the guest"),
    DEFINE_PROP_STRING("net", UserState, net, NULL, "guest network: ADDRESS[/PREFIX or MASK]"
                       " (unset: 10.0.2.0/24)"),
    DEFINE_PROP_STRING("host", UserState, host, NULL, "address of the host (unset: number 2)"),
    DEFINE_PROP_STRING("dhcpstart", UserState, dhcpstart, NULL,
                       "first address that DHCP gives out (unset: number 15)"),
    DEFINE_PROP_STRING("dns", UserState, dns, NULL, "address of the DNS (unset: number 3)"),
    DEFINE_PROP_STRING("ipv6-net", UserState, ipv6_net, NULL, "guest network: PREFIX/LENGTH"),
    DEFINE_PROP_STRING("ipv6-prefix", UserState, ipv6_prefix, NULL,
                       "guest network (unset: fec0::)"),
    DEFINE_PROP_UINT8("ipv6-prefixlen", UserState, ipv6_prefixlen, "64", "its length"),
    DEFINE_PROP_STRING("ipv6-host", UserState, ipv6_host, NULL, "address of the host"),
    DEFINE_PROP_STRING("ipv6-dns", UserState, ipv6_dns, NULL, "address of the DNS"),
    DEFINE_PROP_STRLIST("dnssearch", UserState, dnssearch, "domains to search, by DHCP"),
    DEFINE_PROP_STRING("domainname", UserState, domainname, NULL, "domain, by DHCP"),
    DEFINE_PROP_STRING("tftp", UserState, tftp, NULL, "folder to serve by TFTP"),
    DEFINE_PROP_STRING("tftp-server-name", UserState, tftp_server_name, NULL,
                       "name of the TFTP server, by DHCP"),
    DEFINE_PROP_STRING("bootfile", UserState, bootfile, NULL, "file to boot, by DHCP"),
    DEFINE_PROP_STRLIST("hostfwd", UserState, hostfwd,
                        "[tcp|udp]:[HOSTADDR]:PORT-[GUESTADDR]:PORT"),
    DEFINE_PROP_STRLIST("guestfwd", UserState, guestfwd,
                        "[tcp]:ADDR:PORT-CHARDEV or [tcp]:ADDR:PORT-cmd:COMMAND"),
    DEFINE_PROP_UINT32("max-connections", UserState, max_connections, "512",
                       "sockets that the guest, or peers through hostfwd=, may make it open"),
    DEFINE_PROP_NO_STRING("smb", "smb= is not supported"),
    DEFINE_PROP_NO_STRING("smbserver", "smb= is not supported"),
    DEFINE_PROP_END
};

static const NetClientClass user_class = {
    .oc = {
        .name = "user",
        .parent = &netdev_base_class,
        .instance_size = sizeof(UserState),
        .props = user_props,
    },
    .open = user_open,
    .close = user_close,
    .reset = user_reset,
    .send = user_send,
    .recv = user_recv,
    .set_receive = user_set_receive,
    .connections = user_connections,
    .change_hostfwd = slirp_change_hostfwd,
};
DEFINE_CLASS(netdev_user, &user_class.oc);
