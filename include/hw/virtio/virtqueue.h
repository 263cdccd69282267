/*
 * Virtqueues, split and packed (virtio 1.2, sections 2.7 and 2.8), the device's side.
 *
 * A queue belongs to its device's loop: every function here is called from
 * there, without any lock, except where noted. Requests live in a pool that
 * is made with the queue: popping and pushing allocate nothing.
 *
 * Everything that the guest writes is checked. What breaks the protocol marks
 * the device as broken (virtio_error()) and pop then returns NULL; the
 * caller needs no error path of its own. Buffers are host pointers into guest
 * RAM, never anything else; their contents change under the reader: copy a
 * header once, check, then use.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef HW_VIRTIO_VIRTQUEUE_H
#define HW_VIRTIO_VIRTQUEUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#define VIRTQUEUE_MAX_SIZE 1024

typedef struct VirtIODevice VirtIODevice;
typedef struct VirtQueue VirtQueue;

/*
 * One request: the buffers of a descriptor chain. First member of the device's
 * own request struct. Belongs to the device from pop to push; the iovecs may
 * be consumed (modified) by the device.
 */
typedef struct VirtQueueElement {
    struct iovec *out_sg;       /* what the driver wrote for us */
    struct iovec *in_sg;        /* where we write */
    unsigned out_num, in_num;
    size_t out_len, in_len;     /* sums; each buffer is at least one byte */
    VirtQueue *vq;
    /* Private to virtqueue.c and virtqueue-packed.c. */
    unsigned head;              /* packed: 0 */
    uint16_t id, ndescs;        /* packed: the buffer's, and places in the ring that it takes */
    unsigned nr_bufs;           /* packed: those it was made of */
    uint16_t turn;              /* how many were popped before it; runs on */
    bool in_flight;
    bool again;                 /* popped for the second time, see VirtRing.again */
    struct VirtQueueElement *next_free;
} VirtQueueElement;

/* The guest made buffers available (or may have: popping may give NULL). */
typedef void VirtIOHandleOutput(VirtIODevice *vdev, VirtQueue *vq);

/*
 * Add the next queue, in realize. size: most entries, a power of two up to
 * VIRTQUEUE_MAX_SIZE (2 up). elem_size: of the device's request struct, which starts with
 * a VirtQueueElement; the rest of it is zero at first and afterwards as its last user left
 * it. The queue is freed with the device.
 */
VirtQueue *virtio_add_queue(VirtIODevice *vdev, unsigned size,
                            size_t elem_size, VirtIOHandleOutput *handler);
/* By index; NULL when there is none. Any thread. */
VirtQueue *virtio_get_queue(const VirtIODevice *vdev, unsigned n);
unsigned virtio_queue_index(const VirtQueue *vq);
/* What the device said (never 0), and what the driver chose. Any thread. */
unsigned virtio_queue_max_size(const VirtQueue *vq);
unsigned virtio_queue_size(const VirtQueue *vq);
/* Set up by the driver, device running and not broken: popping makes sense. */
bool virtio_queue_live(const VirtQueue *vq);

/*
 * Take the next available request, or NULL: none there, queue not live, or
 * protocol broken. out_num and in_num may be 0 (never both).
 */
void *virtqueue_pop(VirtQueue *vq);
/*
 * Put the request that was popped last back, to be popped again. Only in
 * reverse order of popping.
 */
void virtqueue_unpop(VirtQueue *vq, VirtQueueElement *elem);
/* True when there is nothing to pop (also when broken or not live). */
bool virtio_queue_empty(VirtQueue *vq);

/*
 * Return a request; len: bytes written to its in_sg from the start. The
 * element goes back to the pool. Out of order is fine. The guest is not
 * told before virtio_notify(). An element that a reset took away is ignored.
 */
void virtqueue_push(VirtQueue *vq, VirtQueueElement *elem, uint32_t len);
/*
 * The same in two steps, so that several become visible at once: fill entry
 * ahead (0, 1, …) places beyond the used index, then publish count of them.
 */
void virtqueue_fill(VirtQueue *vq, VirtQueueElement *elem, uint32_t len,
                    unsigned ahead);
void virtqueue_flush(VirtQueue *vq, unsigned count);
/* Forget a request without returning it (device is about to be reset). */
void virtqueue_detach(VirtQueue *vq, VirtQueueElement *elem);
/* Popped and not yet pushed. */
unsigned virtqueue_in_flight(const VirtQueue *vq);

/* Interrupt the guest about used buffers, unless it asked not to be. */
void virtio_notify(VirtQueue *vq);

/*
 * Ask the guest for kicks, or not to bother. After enabling, look at the queue
 * once more: buffers may have arrived before the guest saw it. Queues start
 * enabled.
 */
void virtio_queue_set_notification(VirtQueue *vq, bool enable);
/*
 * Have batch, which takes a queue full of requests at most, called until the queue is empty, with
 * kicks not wanted meanwhile. A guest with several CPUs may always have more by then: false after
 * some batches with kicks still off, as others in the loop have their turn. The caller kicks.
 */
bool virtio_queue_serve(VirtQueue *vq, VirtIOHandleOutput *batch);
/* Have the handler called soon, as if the guest had kicked. Any thread. */
void virtio_queue_kick(VirtQueue *vq);

#endif
