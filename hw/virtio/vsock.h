/*
 * Sockets between guest and host (virtio 1.2, section 5.10) in user space: connections of the
 * guest's are UNIX sockets of the host's.
 *
 * A program of the host connects to PATH, sends "CONNECT PORT\n" and gets "OK HOSTPORT\n" once a
 * program of the guest's that listens to PORT has the connection; a guest that connects to port N
 * of the host (CID 2) reaches who listens at PATH_N. Everything here belongs to the device's loop;
 * init and cleanup are called with the device stopped, under the machine lock.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef HW_VIRTIO_VSOCK_H
#define HW_VIRTIO_VSOCK_H

#include <glib.h>
#include <linux/virtio_vsock.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

#include "qemu/error.h"

#define VSOCK_HOST_CID   2
#define VSOCK_CONNS      1024
#define VSOCK_GUEST_CONNS (VSOCK_CONNS - 64)    /* the host can always open some */
#define VSOCK_REPLIES    256
#define VSOCK_PACKET_MAX (64 * 1024)            /* bytes of data in one packet */

typedef struct VsockHost VsockHost;

typedef enum VsockState {
    VSOCK_FREE,
    VSOCK_HELLO,            /* the host's program has yet to say CONNECT */
    VSOCK_REQUESTED,        /* the guest has yet to answer */
    VSOCK_OPEN,
    VSOCK_CLOSING,          /* the host is gone; the guest has yet to confirm */
    VSOCK_LINGER,           /* the guest is gone; what it sent goes on to the host */
} VsockState;

/* Packets to send to the guest, by priority. */
enum {
    VSOCK_SEND_RST = 1 << 0,        /* the last one: the connection is free then */
    VSOCK_SEND_REQUEST = 1 << 1,
    VSOCK_SEND_RESPONSE = 1 << 2,
    VSOCK_SEND_SHUTDOWN = 1 << 3,
    VSOCK_SEND_CREDIT = 1 << 4,
};

typedef struct VsockConn {
    VsockHost *host;
    VsockState state;
    int fd;                 /* -1: the host is gone */
    uint32_t generation;    /* of the slot: events of the one before it are stale */
    uint32_t guest_port, host_port;
    bool from_guest;
    unsigned send;          /* VSOCK_SEND_* */
    bool readable;          /* the socket may have data, or its end */
    bool hung_up;           /* the program will not read any more */
    bool asked_credit;
    unsigned shut_host, shut_guest;     /* VIRTIO_VSOCK_SHUTDOWN_*, as each side declared */
    /* Guest to host: bytes arrived, passed on, and as last told; all modulo 2^32. */
    uint32_t buf_alloc, rx_cnt, fwd_cnt, told_fwd;
    /* Host to guest: bytes sent, and the guest's account. */
    uint32_t tx_cnt, peer_alloc, peer_fwd;
    char *buf;              /* arrived, not yet passed on; NULL: nothing */
    uint32_t buf_start, buf_len;
    char line[32];          /* HELLO */
    unsigned line_len;
    int64_t deadline;       /* monotonic us; 0: none */
    bool queued;            /* in host->ready */
    GList link;
} VsockConn;

/* RST for a packet that belongs to no connection, or no longer. */
typedef struct VsockReply {
    uint32_t src_port, dst_port;
    uint16_t type;
} VsockReply;

struct VsockHost {
    uint64_t guest_cid;
    char *path;
    int listen_fd, epoll_fd;
    GMainContext *ctx;
    GSource *source, *timer;        /* NULL: stopped; nothing has a deadline */
    void (*wake)(void *opaque);     /* there is something for the guest */
    void *opaque;
    VsockConn *conns;               /* VSOCK_CONNS */
    uint16_t free_slots[VSOCK_CONNS];
    unsigned nr_free, nr_from_guest;
    GHashTable *by_ports;           /* of VsockConn, by &guest_port, &host_port */
    GQueue ready;                   /* of VsockConn: each sends one packet in its turn */
    VsockReply replies[VSOCK_REPLIES];
    unsigned first_reply, nr_replies;
    bool reply_next;
    bool accept_later;
    uint32_t next_port;
};

/* Listen at path (copied); guest_cid and wake are set. False with errp set. */
bool vsock_host_init(VsockHost *h, const char *path, Error **errp);
void vsock_host_cleanup(VsockHost *h);
/* Begin and end to look at sockets. */
void vsock_host_start(VsockHost *h, GMainContext *ctx);
void vsock_host_stop(VsockHost *h);
/* Forget all connections: each ends for the host. Stopped or not. */
void vsock_host_reset(VsockHost *h);

/* True: no packet of the guest's can be taken before it has taken some of ours. */
bool vsock_host_full(const VsockHost *h);
/* A packet from the guest with data of hdr->len bytes. */
void vsock_host_receive(VsockHost *h, const struct virtio_vsock_hdr *hdr,
                        const struct iovec *data, unsigned n);
/*
 * The next packet for the guest: header, and data as hdr->len says in data, whose n
 * buffers have room bytes. False: there is none.
 */
bool vsock_host_next(VsockHost *h, struct virtio_vsock_hdr *hdr, const struct iovec *data,
                     unsigned n, size_t room);
/* Maybe there is one. */
bool vsock_host_pending(const VsockHost *h);

/* vsock-host.c, for vsock-conn.c ------------------------------------------------ */

/* Close what is open; the slot is free. Not in a turn of c's own in h->ready. */
void vsock_conn_free(VsockConn *c);
/* Out of the table by ports. */
void vsock_conn_unpublish(VsockConn *c);
/* c has something to send, or may have. */
void vsock_conn_queue(VsockConn *c, unsigned send);
void vsock_conn_set_deadline(VsockConn *c, int64_t us);
/* Answer with RST. */
void vsock_host_reply(VsockHost *h, const struct virtio_vsock_hdr *hdr);

/* vsock-conn.c, for vsock-host.c ------------------------------------------------ */

/* A packet of the connection's arrived. */
void vsock_conn_receive(VsockConn *c, const struct virtio_vsock_hdr *hdr,
                        const struct iovec *data, unsigned n);
/* Its next packet; c may be free then. False: none now. */
bool vsock_conn_next(VsockConn *c, struct virtio_vsock_hdr *hdr, const struct iovec *data,
                     unsigned n, size_t room);
/* Events (EPOLL*) of its socket. */
void vsock_conn_event(VsockConn *c, unsigned events);
/* Its time is over. */
void vsock_conn_expire(VsockConn *c);
/* Take the guest's account of its buffers. */
void vsock_conn_credit(VsockConn *c, const struct virtio_vsock_hdr *hdr);
/* Whether vsock_conn_next() could find something. */
bool vsock_conn_pending(const VsockConn *c);

#endif
