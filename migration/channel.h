/*
 * Channels: where a machine goes to or comes from.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef MIGRATION_CHANNEL_H
#define MIGRATION_CHANNEL_H

#include <sys/uio.h>

#include "hw/boards.h"
#include "qemu/event_notifier.h"

typedef struct Channel {
    int fd;                     /* -1: none */
    bool connecting;            /* the first write finds out whether it is */
    bool listening;             /* fd is to be accepted from */
    bool writes;                /* the machine goes out */
    bool two_way;               /* who reads can answer */
    char *path;                 /* file: what shall be replaced; NULL: another kind */
    char *temp;                 /* what is written meanwhile; NULL: path itself */
    char *unlink_path;          /* of a listening socket */
    GPid pid;                   /* exec: of the program; 0: none, or it has ended */
    int status;                 /* of one that has: as waitpid() says */
    struct Layers *layers;      /* a file, incoming: with its bases; outgoing: its base; or NULL */
    char *base_name;            /* outgoing, with those */
    EventNotifier hurry;        /* set: no more waiting */
    /* Instead of all that: as channel_write() and channel_read() do. */
    int (*put)(void *opaque, const void *data, size_t len);
    ssize_t (*get)(void *opaque, void *data, size_t len);
    void *opaque;
} Channel;

/* c->fd is what it will be: see what it can. Main thread. */
void channel_connected(Channel *c);
/* To write to, or to read from. False with errp set; then c holds nothing. */
bool channel_open(Channel *c, MachineState *ms, const char *uri, bool incoming, Error **errp);
/* Any thread: all was written. 0; or negative errno, -ECHILD for a program that fails. */
int channel_finish(Channel *c);
/*
 * After that: put the file in its place. Where that is not wanted, or failed, what was
 * written is removed by channel_close().
 */
bool channel_commit(Channel *c, Error **errp);
void channel_close(Channel *c);
/* Any thread. All of it: 0 or negative errno, -ECANCELED after hurry. */
int channel_write(Channel *c, const void *data, size_t len);
/* The same for several pieces; iov is used up. */
int channel_writev(Channel *c, struct iovec *iov, unsigned niov);
/* Until e is set: 0; -ECANCELED after hurry, -ECONNRESET when nobody reads any more. */
int channel_wait(Channel *c, EventNotifier *e);
/*
 * Until one of events (POLLIN, POLLOUT) can be done, or ms have passed (-1: never): those, 0, or
 * -ECANCELED after hurry. POLLIN also where the other side has gone.
 */
int channel_poll(Channel *c, short events, int ms);
/* Let little wait to be sent, so that what comes next is soon there. */
void channel_be_short(Channel *c);
/* Bytes read, less than len only at the end; or negative errno. */
ssize_t channel_read(Channel *c, void *data, size_t len);

#endif
