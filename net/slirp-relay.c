/*
 * guestfwd= to a chardev: the chardev is the machine's, what it is connected with is in the
 * process of user networks. Either side waits for the other: its socket is not read while the
 * chardev's peer does not, and the chardev is not while the socket is full.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "slirp-relay.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "chardev/char-txq.h"
#include "qemu/main-loop.h"

#define CHUNK 4096

struct SlirpRelay {
    CharBackend chr;
    Chardev *own;               /* was made for the rule, and goes with it; or NULL */
    CharTxQueue tx;             /* to the chardev */
    int fd;
    guint in, out;              /* sources of fd: it has bytes, takes bytes; 0: not asked */
    uint8_t waiting[CHUNK];     /* for fd */
    size_t head, len;           /* bytes of it: gone, in all */
};

static void await_input(SlirpRelay *r);

/* From the network to the chardev ----------------------------------------------- */

static gboolean fd_readable(gint fd, GIOCondition cond, gpointer opaque)
{
    SlirpRelay *r = opaque;
    uint8_t buf[CHUNK];
    ssize_t len = recv(fd, buf, sizeof(buf), MSG_DONTWAIT);

    if (len < 0 && (errno == EAGAIN || errno == EINTR)) {
        return G_SOURCE_CONTINUE;
    }
    if (len > 0) {
        chr_txq_put(&r->tx, buf, len);
        chr_txq_flush(&r->tx);
        if (!chr_txq_full(&r->tx)) {
            return G_SOURCE_CONTINUE;
        }
    }
    /* Full, or the network has gone. */
    r->in = 0;
    return G_SOURCE_REMOVE;
}

static void chardev_drained(void *opaque)
{
    await_input(opaque);
}

static void await_input(SlirpRelay *r)
{
    if (!r->in) {
        r->in = qemu_fd_add(r->fd, G_IO_IN, fd_readable, r);
    }
}

/* From the chardev to the network ------------------------------------------------ */

static void send_waiting(SlirpRelay *r)
{
    ssize_t len = send(r->fd, r->waiting + r->head, r->len - r->head, MSG_DONTWAIT | MSG_NOSIGNAL);

    if (len > 0) {
        r->head += len;
    } else if (len < 0 && errno != EAGAIN && errno != EINTR) {
        r->head = r->len;       /* nobody is there */
    }
}

static gboolean fd_writable(gint fd, GIOCondition cond, gpointer opaque)
{
    SlirpRelay *r = opaque;

    send_waiting(r);
    if (r->head < r->len) {
        return G_SOURCE_CONTINUE;
    }
    r->out = 0;
    qemu_chr_fe_accept_input(&r->chr);
    return G_SOURCE_REMOVE;
}

static int chr_can_read(void *opaque)
{
    return ((SlirpRelay *)opaque)->out ? 0 : CHUNK;
}

static void chr_read(void *opaque, const uint8_t *buf, int size)
{
    SlirpRelay *r = opaque;

    g_assert(size <= CHUNK && !r->out);
    memcpy(r->waiting, buf, size);
    r->head = 0;
    r->len = size;
    send_waiting(r);
    if (r->head < r->len) {
        r->out = qemu_fd_add(r->fd, G_IO_OUT, fd_writable, r);
    }
}

/* All of it ----------------------------------------------------------------------- */

static bool open_chardev(SlirpRelay *r, const GuestRule *rule, Error **errp)
{
    g_autofree char *label = g_strdup_printf("guestfwd.tcp.%d", rule->port);
    Error *err = NULL;
    Chardev *chr = qemu_chr_new(label, rule->target, NULL, &err);

    r->own = g_str_has_prefix(rule->target, "chardev:") ? NULL : chr;
    if (!chr || !qemu_chr_fe_init(&r->chr, chr, &err)) {
        error_setg(errp, "Could not open guest forwarding device '%s': %s", label,
                   err ? error_get_pretty(err) : "no such device");
        g_clear_pointer(&err, error_free);
        return false;
    }
    return true;
}

SlirpRelay *slirp_relay_new(const GuestRule *rule, int *peer, Error **errp)
{
    SlirpRelay *r = g_new0(SlirpRelay, 1);
    int fds[2];

    r->fd = -1;
    if (!open_chardev(r, rule, errp)) {
        slirp_relay_free(r);
        return NULL;
    }
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) < 0) {
        error_setg_errno(errp, errno, "socketpair");
        slirp_relay_free(r);
        return NULL;
    }
    r->fd = fds[0];
    *peer = fds[1];
    chr_txq_init(&r->tx, &r->chr, CHUNK, chardev_drained, r);
    qemu_chr_fe_set_handlers(&r->chr, chr_can_read, chr_read, NULL, r);
    await_input(r);
    return r;
}

static void remove_source(guint *tag)
{
    if (*tag) {
        g_source_remove(*tag);
        *tag = 0;
    }
}

void slirp_relay_free(SlirpRelay *r)
{
    remove_source(&r->in);
    remove_source(&r->out);
    chr_txq_cleanup(&r->tx);
    qemu_chr_fe_deinit(&r->chr);
    if (r->own) {
        qemu_chr_remove(r->own, NULL);
    }
    if (r->fd >= 0) {
        close(r->fd);
    }
    g_free(r);
}
