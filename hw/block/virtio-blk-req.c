/*
 * virtio-blk's requests (virtio 1.2, section 5.2.6): from the ring to the
 * backend and back.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <errno.h>
#include <string.h>

#include "hw/boards.h"
#include "qemu/cutils.h"
#include "qemu/iov.h"
#include "qemu/trace.h"
#include "virtio-blk.h"

/* Completion ---------------------------------------------------------------- */

static void req_complete(VirtIOBlockReq *req, uint8_t status)
{
    VirtQueue *vq = req->elem.vq;
    unsigned n = virtio_queue_index(vq);

    trace(virtio_blk_req_complete, "%s queue %u head %u status %u",
          qdev_name(&req->s->vdev.dev), n, req->elem.head, status);
    *req->status = status;
    /* Section 2.7.8.2: the used ring tells of no byte that was not written. */
    virtqueue_push(vq, &req->elem, req->filled == req->in_len - 1 ? req->in_len : req->filled);
    req->s->dirty[n / 64] |= 1ull << (n % 64);
}

void virtio_blk_notify(void *opaque)
{
    VirtIOBlock *s = opaque;

    for (int i = 0; i < DIV_ROUND_UP(s->num_queues, 64); i++) {
        while (s->dirty[i]) {
            unsigned bit = __builtin_ctzll(s->dirty[i]);

            s->dirty[i] &= s->dirty[i] - 1;
            virtio_notify(virtio_get_queue(&s->vdev, i * 64 + bit));
        }
    }
}

static void req_failed(VirtIOBlockReq *req, int err)
{
    VirtIOBlock *s = req->s;

    switch (block_conf_error(&s->conf, s->vdev.dev.machine, req->breq.op, err)) {
    case BLOCK_ERROR_ACTION_STOP:
        req->next = NULL;
        *s->failed_tail = req;
        s->failed_tail = &req->next;
        break;
    case BLOCK_ERROR_ACTION_IGNORE:
        req_complete(req, VIRTIO_BLK_S_OK);
        break;
    default:
        req_complete(req, VIRTIO_BLK_S_IOERR);
        break;
    }
}

static void req_done(BlockRequest *breq, int ret)
{
    VirtIOBlockReq *req = container_of(breq, VirtIOBlockReq, breq);

    if (ret < 0) {
        req_failed(req, -ret);
    } else {
        req->filled = breq->op == BLOCK_OP_READ ? breq->bytes : 0;
        req_complete(req, VIRTIO_BLK_S_OK);
    }
}

static void req_submit(VirtIOBlockReq *req)
{
    const BlockRequest *breq = &req->breq;

    trace(virtio_blk_submit, "%s head %u op %d offset %" PRIu64 " bytes %" PRIu64,
          qdev_name(&req->s->vdev.dev), req->elem.head, breq->op, breq->offset, breq->bytes);
    blk_submit(req->s->conf.blk, &req->breq);
}

void virtio_blk_retry(VirtIOBlock *s)
{
    VirtIOBlockReq *req = s->failed;

    if (!req) {
        return;
    }
    s->failed = NULL;
    s->failed_tail = &s->failed;
    while (req) {
        VirtIOBlockReq *next = req->next;

        req_submit(req);
        req = next;
    }
    blk_kick(s->conf.blk);
    virtio_blk_notify(s);
}

/* Requests ------------------------------------------------------------------ */

/* Is [sector, sector + bytes) on the disk, in whole logical blocks? */
static bool range_ok(const VirtIOBlock *s, uint64_t sector, uint64_t bytes)
{
    uint64_t capacity = blk_getlength(s->conf.blk) / BDRV_SECTOR_SIZE;
    uint32_t block_sectors = s->conf.logical_block_size / BDRV_SECTOR_SIZE;

    return bytes <= BDRV_REQUEST_MAX_BYTES &&
           bytes % s->conf.logical_block_size == 0 && sector % block_sectors == 0 &&
           sector <= capacity && bytes / BDRV_SECTOR_SIZE <= capacity - sector;
}

static void handle_rw(VirtIOBlockReq *req, uint64_t sector, bool is_write)
{
    VirtIOBlock *s = req->s;
    VirtQueueElement *elem = &req->elem;
    BlockRequest *breq = &req->breq;
    size_t in_bytes = req->in_len - 1;
    size_t out_bytes = elem->out_len - sizeof(struct virtio_blk_outhdr);

    breq->op = is_write ? BLOCK_OP_WRITE : BLOCK_OP_READ;
    breq->offset = sector * BDRV_SECTOR_SIZE;
    breq->bytes = is_write ? out_bytes : in_bytes;
    breq->iov = is_write ? elem->out_sg : elem->in_sg;
    breq->niov = is_write ? elem->out_num : elem->in_num;
    /* Data in the other direction is not ours to look at or to fill. */
    if ((is_write ? in_bytes : out_bytes) || !range_ok(s, sector, breq->bytes) ||
        (is_write && blk_is_read_only(s->conf.blk))) {
        req_complete(req, VIRTIO_BLK_S_IOERR);
    } else if (!breq->bytes) {
        req_complete(req, VIRTIO_BLK_S_OK);
    } else {
        req_submit(req);
    }
}

static void handle_flush(VirtIOBlockReq *req)
{
    req->breq.op = BLOCK_OP_FLUSH;
    req->breq.offset = req->breq.bytes = 0;
    req_submit(req);
}

static void handle_get_id(VirtIOBlockReq *req)
{
    char id[VIRTIO_BLK_ID_BYTES] = { 0 };
    const char *serial = req->s->serial;

    if (serial) {
        memcpy(id, serial, MIN(strlen(serial), sizeof(id)));
    }
    req->filled = iov_from_buf(req->elem.in_sg, req->elem.in_num, 0, id, sizeof(id));
    req_complete(req, VIRTIO_BLK_S_OK);
}

/* One segment at a time: max_discard_seg and max_write_zeroes_seg are 1. */
static void handle_range(VirtIOBlockReq *req, bool zeroes)
{
    VirtIOBlock *s = req->s;
    struct virtio_blk_discard_write_zeroes seg;
    size_t len = req->elem.out_len - sizeof(struct virtio_blk_outhdr);
    uint32_t allowed = zeroes ? VIRTIO_BLK_WRITE_ZEROES_FLAG_UNMAP : 0;
    uint32_t max = zeroes ? s->max_write_zeroes_sectors : s->max_discard_sectors;
    uint64_t bytes;
    bool unmap;

    if (!virtio_has_feature(&s->vdev, zeroes ? VIRTIO_BLK_F_WRITE_ZEROES
                                             : VIRTIO_BLK_F_DISCARD) ||
        len != sizeof(seg)) {
        req_complete(req, VIRTIO_BLK_S_UNSUPP);
        return;
    }
    iov_to_buf(req->elem.out_sg, req->elem.out_num, 0, &seg, sizeof(seg));
    if (seg.flags & ~allowed) {
        req_complete(req, VIRTIO_BLK_S_UNSUPP);
        return;
    }
    bytes = (uint64_t)seg.num_sectors * BDRV_SECTOR_SIZE;
    if (seg.num_sectors > max || blk_is_read_only(s->conf.blk) ||
        !range_ok(s, seg.sector, bytes)) {
        req_complete(req, VIRTIO_BLK_S_IOERR);
        return;
    }
    unmap = seg.flags & VIRTIO_BLK_WRITE_ZEROES_FLAG_UNMAP;
    req->breq.op = zeroes ? BLOCK_OP_WRITE_ZEROES : BLOCK_OP_DISCARD;
    req->breq.flags = unmap ? BLOCK_REQ_MAY_UNMAP : 0;
    req->breq.offset = seg.sector * BDRV_SECTOR_SIZE;
    req->breq.bytes = bytes;
    if (bytes) {
        req_submit(req);
    } else {
        req_complete(req, VIRTIO_BLK_S_OK);
    }
}

static void handle_type(VirtIOBlockReq *req, const struct virtio_blk_outhdr *hdr)
{
    req->breq.flags = req->s->request_merging ? 0 : BLOCK_REQ_ALONE;
    req->breq.iov = NULL;
    req->breq.niov = 0;
    req->breq.cb = req_done;
    switch (hdr->type) {
    case VIRTIO_BLK_T_IN:
        handle_rw(req, hdr->sector, false);
        break;
    case VIRTIO_BLK_T_OUT:
        handle_rw(req, hdr->sector, true);
        break;
    case VIRTIO_BLK_T_FLUSH:
        handle_flush(req);
        break;
    case VIRTIO_BLK_T_GET_ID:
        handle_get_id(req);
        break;
    case VIRTIO_BLK_T_DISCARD:
        handle_range(req, false);
        break;
    case VIRTIO_BLK_T_WRITE_ZEROES:
        handle_range(req, true);
        break;
    default:
        req_complete(req, VIRTIO_BLK_S_UNSUPP);
        break;
    }
}

/*
 * Nothing may be assumed about how the driver cuts a request into descriptors:
 * the header is the first 16 bytes to read, the status the last byte to write.
 */
static bool handle_request(VirtIOBlock *s, VirtIOBlockReq *req)
{
    VirtQueueElement *elem = &req->elem;
    struct virtio_blk_outhdr hdr;
    struct iovec *last;

    if (elem->out_len < sizeof(hdr) || !elem->in_num ||
        elem->in_len > UINT32_MAX) {
        virtio_error(&s->vdev, "request with %zu bytes of header and %zu bytes "
                     "to write", elem->out_len, elem->in_len);
        virtqueue_detach(elem->vq, elem);
        return false;
    }
    req->s = s;
    iov_to_buf(elem->out_sg, elem->out_num, 0, &hdr, sizeof(hdr));
    iov_discard_front(&elem->out_sg, &elem->out_num, sizeof(hdr));
    last = &elem->in_sg[elem->in_num - 1];
    req->status = (uint8_t *)last->iov_base + last->iov_len - 1;
    req->in_len = elem->in_len;
    req->filled = 0;
    iov_discard_back(elem->in_sg, &elem->in_num, 1);
    handle_type(req, &hdr);
    return true;
}

/* Take what is there, at most a queue full, and hand it over together. */
static void handle_batch(VirtIODevice *vdev, VirtQueue *vq)
{
    VirtIOBlock *s = downcast(vdev, VirtIOBlock, vdev);
    unsigned room = virtio_queue_size(vq);
    VirtIOBlockReq *req;

    while (room-- && (req = virtqueue_pop(vq)) && handle_request(s, req)) {
        continue;
    }
    blk_kick(s->conf.blk);
}

void virtio_blk_handle_output(VirtIODevice *vdev, VirtQueue *vq)
{
    bool all = virtio_queue_serve(vq, handle_batch);

    virtio_blk_notify(vdev);
    if (!all) {
        virtio_queue_kick(vq);
    }
}
