/*
 * What the backends that sit on descriptors share.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef NET_NET_FD_H
#define NET_NET_FD_H

#include "net/net.h"

/*
 * A descriptor that is polled for the one or the other direction, as long as
 * somebody is interested. Zero it and set nc, queue and fd (-1: none).
 */
typedef struct NetFD {
    NetClientState *nc;
    unsigned queue;
    int fd;                 /* the owner closes it */
    bool want_in, want_out;
    bool watch;             /* call gone() even while nobody is interested */
    bool words_left;        /* the peer has gone, but input is left that nobody wants yet */
    guint tag;              /* the source, or 0 */
    GIOCondition cond;      /* what it polls */
    /* Input is there / the fd takes output / it failed or the peer hung up. */
    void (*in)(struct NetFD *f);
    void (*out)(struct NetFD *f);
    void (*gone)(struct NetFD *f);
} NetFD;

void net_fd_poll(NetFD *f, bool in, bool out);
/* Stop polling and close. */
void net_fd_close(NetFD *f);

/*
 * A descriptor by its number or name (fd_param_open()): it must be open; becomes
 * non-blocking and close-on-exec. -1 with errp set on failure.
 */
int net_parse_fd(NetClientState *nc, const char *str, Error **errp);
/* They are not used after all (fd_param_put()). */
void net_put_fds(const int *fds, unsigned n);
/* "3:4:5" as numbers; at most NET_MAX_QUEUES. 0 with errp set on failure. */
unsigned net_parse_fds(NetClientState *nc, const char *str, int *fds, Error **errp);

#endif
