/*
 * virtio-blk: state shared by its two files.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef HW_BLOCK_VIRTIO_BLK_H
#define HW_BLOCK_VIRTIO_BLK_H

#include <linux/virtio_blk.h>

#include "hw/block/block-conf.h"
#include "hw/virtio/virtio.h"

typedef struct VirtIOBlock VirtIOBlock;

/* One request, in its queue's pool. */
typedef struct VirtIOBlockReq {
    VirtQueueElement elem;
    BlockRequest breq;          /* stays as it is, to be tried again */
    VirtIOBlock *s;
    uint8_t *status;            /* the last byte that the driver lets us write */
    uint32_t in_len;            /* all of them */
    uint32_t filled;            /* how many from the start we have written, but for the status */
    struct VirtIOBlockReq *next;
} VirtIOBlockReq;

struct VirtIOBlock {
    VirtIODevice vdev;

    /* Properties. */
    BlockConf conf;
    char *serial;
    ObjectLink iothread;
    uint32_t cyls, heads, secs;
    uint32_t max_discard_sectors, max_write_zeroes_sectors;
    uint16_t num_queues, queue_size;
    bool config_wce, discard, write_zeroes, request_merging;

    bool initial_wce;           /* what the user wants; resets go back to it */
    bool saved_wce;             /* what was in force when the machine was saved */
    /* In the loop. */
    uint64_t *dirty;            /* a bit per queue with unannounced completions */
    VirtIOBlockReq *failed, **failed_tail;  /* to be tried again when we go on */
};

/* The handler of every request queue. */
void virtio_blk_handle_output(VirtIODevice *vdev, VirtQueue *vq);
/* BlockDevOps.batch_end: tell the guest. */
void virtio_blk_notify(void *opaque);
/* Submit what stopped the machine once more. */
void virtio_blk_retry(VirtIOBlock *s);

#endif
