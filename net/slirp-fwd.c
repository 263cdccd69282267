/*
 * The stack of a user network: ports of the host that lead into the guest, and addresses in the
 * guest's network that lead to chardevs and programs.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "chardev/char-txq.h"
#include "qemu/confine.h"
#include "qemu/cutils.h"
#include "slirp-filter.h"
#include "slirp-internal.h"

/* With so many bytes waiting for a chardev's peer the guest sends in vain. */
#define FWD_FULL (64 * 1024)
/* One more segment can be so long, and complete what came before it: libslirp's window. */
#define FWD_QUEUE (FWD_FULL + (64 + 128 + 32) * 1024)

typedef struct GuestForward {
    SlirpStack *s;
    CharBackend chr;
    CharTxQueue tx;         /* to the chardev: bytes that libslirp has acknowledged */
    struct in_addr server;
    int port;
    char *command;          /* instead of the chardev; NULL */
} GuestForward;

/* [tcp|udp]:[HOSTADDR]:HOSTPORT, then end ('\0' or what *p moves behind). */
static bool parse_host_side(const char **p, char end, HostForward *side, Error **errp)
{
    const char *rule = *p;
    g_autofree char *proto = slirp_next_part(p, ':');
    g_autofree char *addr = NULL, *port = NULL;

    *side = (HostForward) { .addr.s_addr = INADDR_ANY };
    if (!proto) {
        return slirp_bad_rule(errp, "host", rule, "No : separators");
    }
    if (*proto && strcmp(proto, "tcp") && strcmp(proto, "udp")) {
        return slirp_bad_rule(errp, "host", rule, "Bad protocol name");
    }
    side->udp = !strcmp(proto, "udp");
    addr = slirp_next_part(p, ':');
    if (!addr) {
        return slirp_bad_rule(errp, "host", rule, "Missing : separator");
    }
    if (*addr && !inet_aton(addr, &side->addr)) {
        return slirp_bad_rule(errp, "host", rule, "Bad host address");
    }
    port = end ? slirp_next_part(p, end) : g_strdup(*p);
    if (!slirp_parse_port(port, true, &side->port)) {
        return slirp_bad_rule(errp, "host", rule, "Bad host port");
    }
    return true;
}

static bool parse_hostfwd(SlirpStack *s, const char *rule, HostForward *f, Error **errp)
{
    g_autofree char *addr = NULL;
    const char *p = rule;

    if (!parse_host_side(&p, '-', f, errp)) {
        return false;
    }
    f->guest = s->guest;
    addr = slirp_next_part(&p, ':');
    if (!addr) {
        return slirp_bad_rule(errp, "host", rule, "Missing guest address");
    }
    if (*addr && !inet_aton(addr, &f->guest)) {
        return slirp_bad_rule(errp, "host", rule, "Bad guest address");
    }
    if (!slirp_parse_port(p, false, &f->guest_port)) {
        return slirp_bad_rule(errp, "host", rule, "Bad guest port");
    }
    return true;
}

/* Port 0 is one that is free, and stays the same in a stack that replaces this one. */
static void choose_port(HostForward *f)
{
    struct sockaddr_in sin = { .sin_family = AF_INET, .sin_addr = f->addr };
    socklen_t len = sizeof(sin);
    int fd = socket(AF_INET, (f->udp ? SOCK_DGRAM : SOCK_STREAM) | SOCK_CLOEXEC, 0);

    if (fd >= 0 && bind(fd, (struct sockaddr *)&sin, len) == 0 &&
        getsockname(fd, (struct sockaddr *)&sin, &len) == 0) {
        f->port = ntohs(sin.sin_port);
    }
    if (fd >= 0) {
        close(fd);
    }
}

static bool start_hostfwd(SlirpStack *s, const HostForward *f)
{
    return s->lib.add_hostfwd(s->slirp, f->udp, f->addr, f->port, f->guest, f->guest_port) >= 0;
}

/* [tcp|udp]:[HOSTADDR]:HOSTPORT-[GUESTADDR]:GUESTPORT */
static bool add_hostfwd(SlirpStack *s, const char *rule, Error **errp)
{
    HostForward f;

    if (!parse_hostfwd(s, rule, &f, errp)) {
        return false;
    }
    if (!f.port) {
        choose_port(&f);
    }
    errno = 0;
    if (!start_hostfwd(s, &f)) {
        error_setg_errno(errp, errno ? errno : EIO, "Could not set up host forwarding rule '%s'",
                         rule);
        return false;
    }
    g_array_append_val(s->host_forwards, f);
    return true;
}

static void forget_hostfwd(SlirpStack *s, const HostForward *f)
{
    for (guint i = 0; i < s->host_forwards->len; i++) {
        const HostForward *h = &g_array_index(s->host_forwards, HostForward, i);

        if (h->udp == f->udp && h->port == f->port && h->addr.s_addr == f->addr.s_addr) {
            g_array_remove_index(s->host_forwards, i);
            return;
        }
    }
}

bool slirp_change_hostfwd(SlirpStack *s, const char *rule, bool add, Error **errp)
{
    const char *p = rule;
    HostForward host;

    if (add) {
        return add_hostfwd(s, rule, errp);
    }
    if (!parse_host_side(&p, '\0', &host, errp)) {
        return false;
    }
    if (s->lib.remove_hostfwd(s->slirp, host.udp, host.addr, host.port) < 0) {
        error_setg(errp, "host forwarding rule for %s not found", rule);
        return false;
    }
    forget_hostfwd(s, &host);
    return true;
}

/* Chardevs behind guest addresses ------------------------------------------ */

static int fwd_can_read(void *opaque)
{
    GuestForward *f = opaque;
    size_t room = f->s->lib.socket_can_recv(f->s->slirp, f->server, f->port);

    f->s->held |= !room;
    return room;
}

static void fwd_read(void *opaque, const uint8_t *buf, int size)
{
    GuestForward *f = opaque;

    f->s->lib.socket_recv(f->s->slirp, f->server, f->port, buf, size);
}

static ssize_t fwd_write(const void *buf, size_t len, void *opaque)
{
    return chr_txq_write(&((GuestForward *)opaque)->tx, buf, len);
}

static bool start_guestfwd(SlirpStack *s, GuestForward *f)
{
    return (f->command ? s->lib.add_exec(s->slirp, f->command, &f->server, f->port)
                       : s->lib.add_guestfwd(s->slirp, fwd_write, f, &f->server, f->port)) >= 0;
}

bool slirp_forward_is_full(const SlirpStack *s, const uint8_t *frame, size_t len)
{
    uint32_t addr;
    int port;

    if (!s->forwards->len || !slirp_frame_has_data(frame, len, &addr, &port)) {
        return false;
    }
    for (guint i = 0; i < s->forwards->len; i++) {
        const GuestForward *f = g_ptr_array_index(s->forwards, i);

        if (chr_txq_len(&f->tx) >= FWD_FULL && f->server.s_addr == addr && f->port == port) {
            return true;
        }
    }
    return false;
}

/* The machine's process has the chardev; it passes the bytes on by the socket fd, now ours. */
static bool fwd_open_socket(GuestForward *fwd, int fd, Error **errp)
{
    g_autofree char *options = g_strdup_printf("socket,id=guestfwd%d,fd=%d", fd, fd);
    g_autoptr(QemuOpts) opts = qemu_opts_parse(options, "backend", errp);
    Chardev *chr = opts ? qemu_chr_new_from_opts(opts, errp) : NULL;

    if (!chr || !qemu_chr_fe_init(&fwd->chr, chr, errp)) {
        return false;
    }
    chr_txq_init(&fwd->tx, &fwd->chr, FWD_QUEUE, NULL, NULL);
    return true;
}

/* next_fd is where the socket is, if the rule leads to a chardev, and moves on. */
static bool add_guestfwd(SlirpStack *s, const char *rule, const int **next_fd, Error **errp)
{
    GuestRule r;
    GuestForward *fwd;

    if (!slirp_parse_guestfwd(rule, &r, errp)) {
        return false;
    }
    fwd = g_new0(GuestForward, 1);
    fwd->s = s;
    fwd->server = r.server;
    fwd->port = r.port;
    g_ptr_array_add(s->forwards, fwd);
    if (r.command) {
        fwd->command = g_strdup(r.target);
        confine_need(CONFINE_PROGRAMS);
        if (!confine_programs(errp)) {
            return false;
        }
    } else if (!fwd_open_socket(fwd, *(*next_fd)++, errp)) {
        return false;
    }
    if (!start_guestfwd(s, fwd)) {
        error_setg(errp, "Conflicting/invalid host:port in guest forwarding rule '%s'", rule);
        return false;
    }
    if (fwd->chr.chr) {
        qemu_chr_fe_set_handlers(&fwd->chr, fwd_can_read, fwd_read, NULL, fwd);
    }
    return true;
}

static void forward_free(gpointer data)
{
    GuestForward *f = data;
    Chardev *chr = f->chr.chr;

    chr_txq_cleanup(&f->tx);
    qemu_chr_fe_deinit(&f->chr);
    if (chr) {
        qemu_chr_remove(chr, NULL);
    }
    g_free(f->command);
    g_free(f);
}

bool slirp_add_forwards(SlirpStack *s, const int *fds, Error **errp)
{
    s->forwards = g_ptr_array_new_with_free_func(forward_free);
    s->host_forwards = g_array_new(FALSE, FALSE, sizeof(HostForward));
    for (guint i = 0; s->o.hostfwd && i < s->o.hostfwd->len; i++) {
        if (!add_hostfwd(s, g_ptr_array_index(s->o.hostfwd, i), errp)) {
            return false;
        }
    }
    for (guint i = 0; s->o.guestfwd && i < s->o.guestfwd->len; i++) {
        if (!add_guestfwd(s, g_ptr_array_index(s->o.guestfwd, i), &fds, errp)) {
            return false;
        }
    }
    return true;
}

void slirp_remove_forwards(SlirpStack *s)
{
    g_clear_pointer(&s->forwards, g_ptr_array_unref);
    g_clear_pointer(&s->host_forwards, g_array_unref);
}

void slirp_restore_forwards(SlirpStack *s)
{
    for (guint i = 0; i < s->host_forwards->len; i++) {
        const HostForward *f = &g_array_index(s->host_forwards, HostForward, i);

        if (!start_hostfwd(s, f)) {
            warn_report("netdev %s: port %d of the host is no longer forwarded", s->o.nc.obj.id,
                        f->port);
        }
    }
    for (guint i = 0; i < s->forwards->len; i++) {
        start_guestfwd(s, g_ptr_array_index(s->forwards, i));
    }
}

void slirp_accept_forwards(SlirpStack *s)
{
    for (guint i = 0; i < s->forwards->len; i++) {
        GuestForward *f = g_ptr_array_index(s->forwards, i);

        if (f->chr.chr) {
            qemu_chr_fe_accept_input(&f->chr);
        }
    }
}
