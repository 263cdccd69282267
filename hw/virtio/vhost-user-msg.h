/*
 * vhost-user, the message layer: requests to a back end, its answers, and when to give it up.
 *
 * The numbers and layouts are those of the specification "Vhost-user Protocol"; what it calls
 * front end is this program. A back end answers requests in order, so that what is not yet
 * answered is a queue. Nothing here blocks but vu_conn_wait(): answers come by the main loop,
 * and who does not answer within the time limit is hung up on, as is who answers anything that
 * was not asked for. Main loop and machine lock.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef HW_VIRTIO_VHOST_USER_MSG_H
#define HW_VIRTIO_VHOST_USER_MSG_H

#include <linux/vhost_types.h>

#include "chardev/char-peer.h"

typedef enum VuRequest {
    VU_GET_FEATURES = 1,
    VU_SET_FEATURES = 2,
    VU_SET_OWNER = 3,
    VU_SET_MEM_TABLE = 5,
    VU_SET_VRING_NUM = 8,
    VU_SET_VRING_ADDR = 9,
    VU_SET_VRING_BASE = 10,
    VU_GET_VRING_BASE = 11,
    VU_SET_VRING_KICK = 12,
    VU_SET_VRING_CALL = 13,
    VU_SET_VRING_ERR = 14,
    VU_GET_PROTOCOL_FEATURES = 15,
    VU_SET_PROTOCOL_FEATURES = 16,
    VU_GET_QUEUE_NUM = 17,
    VU_SET_VRING_ENABLE = 18,
    VU_SET_BACKEND_REQ_FD = 21,
    VU_GET_CONFIG = 24,
    VU_SET_CONFIG = 25,
    VU_GET_INFLIGHT_FD = 31,
    VU_SET_INFLIGHT_FD = 32,
    VU_RESET_DEVICE = 34,
    VU_GET_MAX_MEM_SLOTS = 36,
    VU_ADD_MEM_REG = 37,
    VU_SET_STATUS = 39,
} VuRequest;

/* What a back end asks of us, on a channel of its own. */
#define VU_BACKEND_CONFIG_CHANGE_MSG 2

/* Bit of the features that says there are protocol features, and those. */
#define VU_F_PROTOCOL_FEATURES 30
enum {
    VU_PROTOCOL_F_MQ = 0,
    VU_PROTOCOL_F_REPLY_ACK = 3,
    VU_PROTOCOL_F_BACKEND_REQ = 5,
    VU_PROTOCOL_F_CONFIG = 9,
    VU_PROTOCOL_F_INFLIGHT_SHMFD = 12,
    VU_PROTOCOL_F_RESET_DEVICE = 13,
    VU_PROTOCOL_F_CONFIGURE_MEM_SLOTS = 15,
    VU_PROTOCOL_F_STATUS = 16,
};

/* Flags of a message. */
#define VU_VERSION      0x1u
#define VU_VERSION_MASK 0x3u
#define VU_REPLY        0x4u
#define VU_NEED_REPLY   0x8u

/* Requests that wait for an answer: some for each queue, and what a guest may cause. */
#define VU_MAX_WAITING  1024u
#define VU_MAX_REGIONS  8u          /* in a memory table */
#define VU_CONFIG_MAX   256u
#define VU_CONFIG_HEAD  12u         /* before the data */

typedef struct VuHeader {
    uint32_t request;
    uint32_t flags;
    uint32_t size;                  /* of the payload */
} VuHeader;

typedef struct VuRegion {
    uint64_t guest_addr, size, user_addr, mmap_offset;
} VuRegion;

typedef struct VuInflight {
    uint64_t mmap_size, mmap_offset;
    uint16_t num_queues, queue_size;
} VuInflight;

typedef union VuPayload {
    uint64_t u64;
    struct vhost_vring_state state;
    struct vhost_vring_addr addr;
    struct {
        uint32_t num, padding;
        VuRegion regions[VU_MAX_REGIONS];
    } memory;
    struct {
        uint64_t padding;
        VuRegion region;
    } one_region;
    struct {
        uint32_t offset, size, flags;
        uint8_t data[VU_CONFIG_MAX];
    } config;
    VuInflight inflight;
} VuPayload;

typedef struct VuConn VuConn;

/* An answer of the right kind and size. index is the caller's. May fail the connection. */
typedef void VuAnswer(VuConn *conn, unsigned index, const VuPayload *payload);

/* A message to send; the descriptors stay the caller's. */
typedef struct VuMessage {
    VuRequest request;
    const VuPayload *payload;
    uint32_t size;
    const int *fds;
    unsigned nr_fds;
} VuMessage;

typedef struct VuConnOps {
    void (*opened)(VuConn *conn);   /* a back end is there */
    void (*idle)(VuConn *conn);     /* it has answered all that it was asked */
    void (*closed)(VuConn *conn);   /* it has gone; once for each opened() */
} VuConnOps;

/* Embedded in its owner; fields private to vhost-user-msg.c, but the first ones. */
struct VuConn {
    CharBackend *chr;
    const VuConnOps *ops;
    const char *name;               /* of the device, for messages */
    uint32_t timeout_ms;            /* for each answer */
    bool reply_ack;                 /* agreed; the owner sets it */
    bool silent;                    /* failures are not reported: why is enough */
    char *why;                      /* the last failure since it worked, or NULL; owned */

    bool alive;                     /* connected and not failed */
    GQueue waiting;                 /* of VuWaiting */
    guint timer;                    /* while something waits */
    VuHeader header;                /* of the answer that comes in */
    VuPayload payload;
    uint32_t have;                  /* bytes of the two */
};

/* opened() comes at once if the back end is there. */
void vu_conn_init(VuConn *conn);
/* closed() does not come any more. */
void vu_conn_cleanup(VuConn *conn);

/* Send msg, which has no answer. What goes wrong fails the connection. */
void vu_send(VuConn *conn, const VuMessage *msg);
/* The same, with a u64 of its own. */
void vu_send_u64(VuConn *conn, VuRequest request, uint64_t val);
/* The same, but with reply_ack it has to be answered by a zero. */
void vu_send_acked(VuConn *conn, const VuMessage *msg);
/* Send msg, whose answer has size bytes. */
void vu_ask(VuConn *conn, const VuMessage *msg, uint32_t size, VuAnswer *fn, unsigned index);
void vu_ask_u64(VuConn *conn, VuRequest request, VuAnswer *fn);

/*
 * Wait until all is answered, at most for the time limit: false if the connection has
 * failed meanwhile or before.
 */
bool vu_conn_wait(VuConn *conn);
/* Say why, if that is news, and hang up. */
void vu_conn_fail(VuConn *conn, const char *fmt, ...) G_GNUC_PRINTF(2, 3);
/* The back end is fine: what goes wrong now is news. */
void vu_conn_works(VuConn *conn);

#endif
