/*
 * virtio-scsi's requests and task management (virtio 1.2, section 5.6.6).
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <string.h>

#include "qemu/cutils.h"
#include "qemu/iov.h"
#include "virtio-scsi.h"

#define REQ_HEADER      offsetof(struct virtio_scsi_cmd_req, cdb)
#define RESP_HEADER     offsetof(struct virtio_scsi_cmd_resp, sense)

typedef struct virtio_scsi_cmd_req CmdHeader;
typedef struct virtio_scsi_ctrl_tmf_req TMFHeader;

/* One command, in its queue's pool. */
typedef struct VirtIOSCSIReq {
    VirtQueueElement elem;
    SCSIRequest req;            /* its dev is NULL when that went while the machine stood */
    VirtIOSCSI *s;
    GList link;                 /* in s->requests */
    uint64_t serial, tag;
    struct iovec *resp;         /* where the answer begins; goes on in req.in */
    size_t resp_cut;            /* bytes of it in the first entry of req.in */
    size_t data_len;            /* all that the driver has buffers for */
    bool aborted;
} VirtIOSCSIReq;

/* A task management function that waits for commands to end. */
typedef struct VirtIOSCSITask {
    VirtQueueElement elem;
    GList link;                 /* in s->tasks */
    uint64_t serial, tag;       /* it waits for older ones */
    unsigned id, lun;
    bool one, all_luns;         /* the command with that tag; of all the target's LUNs */
} VirtIOSCSITask;

size_t virtio_scsi_req_size(void)
{
    return sizeof(VirtIOSCSIReq);
}

size_t virtio_scsi_task_size(void)
{
    return sizeof(VirtIOSCSITask);
}

/* Completion ---------------------------------------------------------------------------- */

static void push(VirtIOSCSI *s, VirtQueueElement *elem, size_t len)
{
    unsigned n = virtio_queue_index(elem->vq);

    virtqueue_push(elem->vq, elem, len);
    s->dirty[n / 64] |= 1ull << (n % 64);
}

void virtio_scsi_notify(VirtIOSCSI *s)
{
    for (unsigned i = 0; i < DIV_ROUND_UP(s->num_queues + VSCSI_FIRST_QUEUE, 64); i++) {
        while (s->dirty[i]) {
            unsigned bit = __builtin_ctzll(s->dirty[i]);

            s->dirty[i] &= s->dirty[i] - 1;
            virtio_notify(virtio_get_queue(&s->vdev, i * 64 + bit));
        }
    }
}

/* The answer, however the driver cut it: data goes on where it ends. */
static void write_response(const VirtIOSCSIReq *r, const uint8_t *data, size_t len)
{
    for (struct iovec *iov = r->resp; iov != r->req.in && len; iov++) {
        size_t part = MIN(iov->iov_len, len);

        memcpy(iov->iov_base, data, part);
        data += part;
        len -= part;
    }
    if (r->resp_cut) {
        memcpy((uint8_t *)r->req.in->iov_base - r->resp_cut, data, MIN(len, r->resp_cut));
    }
}

static void tasks_look(VirtIOSCSI *s);

static void finish(VirtIOSCSIReq *r, uint8_t response)
{
    VirtIOSCSI *s = r->s;
    size_t size = RESP_HEADER + s->sense_size;
    uint8_t buf[RESP_HEADER + VSCSI_SENSE_MAX] = { 0 }, sense[SCSI_SENSE_LEN];
    struct virtio_scsi_cmd_resp *resp = (void *)buf;
    size_t done = response == VIRTIO_SCSI_S_OK ? r->req.transferred : 0;

    resp->response = response;
    resp->resid = r->data_len - done;
    if (response == VIRTIO_SCSI_S_OK) {
        resp->status = r->req.status;
        if (resp->status == SCSI_CHECK_CONDITION) {
            scsi_fill_sense(r->req.sense, sense);
            resp->sense_len = MIN(sizeof(sense), s->sense_size);
            memcpy(buf + RESP_HEADER, sense, resp->sense_len);
        }
    }
    write_response(r, buf, size);
    g_queue_unlink(&s->requests, &r->link);
    push(s, &r->elem, size + (r->req.in_len ? done : 0));
    tasks_look(s);
}

static void req_complete(SCSIRequest *req)
{
    VirtIOSCSIReq *r = container_of(req, VirtIOSCSIReq, req);

    if (req->failed) {
        return;                 /* until the machine goes on */
    }
    finish(r, r->aborted ? VIRTIO_SCSI_S_ABORTED :
           req->overrun ? VIRTIO_SCSI_S_OVERRUN : VIRTIO_SCSI_S_OK);
}

void virtio_scsi_retry(VirtIOSCSI *s)
{
    g_autoptr(GPtrArray) failed = g_ptr_array_new();

    for (GList *l = s->requests.head; l; l = l->next) {
        if (((VirtIOSCSIReq *)l->data)->req.failed) {
            g_ptr_array_add(failed, l->data);
        }
    }
    for (guint i = 0; i < failed->len; i++) {
        VirtIOSCSIReq *r = failed->pdata[i];
        SCSIDevice *dev = r->req.dev;

        if (dev) {
            scsi_request_retry(&r->req);
            blk_kick(dev->conf.blk);
        } else {
            finish(r, VIRTIO_SCSI_S_BAD_TARGET);
        }
    }
    virtio_scsi_notify(s);
}

/* What has ended is told; what stopped the machine ends when that goes on. */
void virtio_scsi_abandon(VirtIOSCSI *s, SCSIDevice *dev)
{
    if (dev->conf.blk) {
        blk_drain(dev->conf.blk);
    }
    for (GList *l = s->requests.head; l; l = l->next) {
        VirtIOSCSIReq *r = l->data;

        if (r->req.dev == dev) {
            scsi_request_forget(&r->req);
            r->req.dev = NULL;
        }
    }
    virtio_scsi_notify(s);
}

void virtio_scsi_forget(VirtIOSCSI *s, const VirtQueue *vq)
{
    for (GList *l = s->requests.head, *next; l; l = next) {
        VirtIOSCSIReq *r = l->data;

        next = l->next;
        if (!vq || r->elem.vq == vq) {
            scsi_request_forget(&r->req);
            g_queue_unlink(&s->requests, l);
        }
    }
    if (!vq || virtio_queue_index(vq) == VSCSI_CTRL_QUEUE) {
        g_queue_init(&s->tasks);
    }
}

/* Commands ------------------------------------------------------------------------------- */

/* Section 5.6.6.1: 1, the target, and a LUN in the format of one level. */
static SCSIDevice *find_device(VirtIOSCSI *s, const uint8_t *lun, unsigned *number)
{
    *number = (lun[2] << 8 | lun[3]) & 0x3fff;
    return lun[0] == 1 ? scsi_find(&s->bus, lun[1], *number) : NULL;
}

/*
 * Move past so many bytes. The entries before stay as they are, for write_response(); of the one
 * that is cut, *cut tells how much.
 */
static void cut_front(struct iovec **iov, unsigned *num, size_t bytes, size_t *cut)
{
    while (*num && bytes >= (*iov)->iov_len) {
        bytes -= (*iov)->iov_len;
        (*iov)++;
        (*num)--;
    }
    if (bytes) {
        (*iov)->iov_base = (uint8_t *)(*iov)->iov_base + bytes;
        (*iov)->iov_len -= bytes;
    }
    *cut = bytes;
}

/* Cut headers from data. False: it is no request. */
static bool take_headers(VirtIOSCSI *s, VirtIOSCSIReq *r, CmdHeader *hdr, uint8_t *cdb)
{
    VirtQueueElement *elem = &r->elem;
    size_t out = REQ_HEADER + s->cdb_size, in = RESP_HEADER + s->sense_size;
    SCSIRequest *req = &r->req;

    if (elem->out_len < out || elem->in_len < in) {
        virtio_error(&s->vdev, "request with headers of %zu and %zu bytes", elem->out_len,
                     elem->in_len);
        virtqueue_detach(elem->vq, elem);
        return false;
    }
    iov_to_buf(elem->out_sg, elem->out_num, 0, hdr, REQ_HEADER);
    iov_to_buf(elem->out_sg, elem->out_num, REQ_HEADER, cdb, MIN(s->cdb_size, SCSI_CDB_MAX));
    iov_discard_front(&elem->out_sg, &elem->out_num, out);
    *req = (SCSIRequest) { .out = elem->out_sg, .out_num = elem->out_num,
                           .out_len = elem->out_len - out, .in = elem->in_sg,
                           .in_num = elem->in_num, .in_len = elem->in_len - in };
    r->resp = req->in;
    cut_front(&req->in, &req->in_num, in, &r->resp_cut);
    r->data_len = MAX(req->in_len, req->out_len);
    return true;
}

/* NULL: the driver broke the protocol; else the device that has a request for its host. */
static bool start_request(VirtIOSCSI *s, VirtIOSCSIReq *r, SCSIDevice **dev)
{
    uint8_t cdb[SCSI_CDB_MAX] = { 0 };
    CmdHeader hdr;

    *dev = NULL;
    if (!take_headers(s, r, &hdr, cdb)) {
        return false;
    }
    r->s = s;
    r->tag = hdr.tag;
    r->serial = s->serial++;
    r->aborted = false;
    r->link = (GList) { .data = r };
    g_queue_push_tail_link(&s->requests, &r->link);
    memcpy(r->req.cdb, cdb, sizeof(cdb));
    r->req.complete = req_complete;
    r->req.dev = *dev = find_device(s, hdr.lun, &r->req.lun);
    if (!*dev) {
        finish(r, VIRTIO_SCSI_S_BAD_TARGET);
    } else if (r->req.out_len && r->req.in_len) {
        finish(r, VIRTIO_SCSI_S_FAILURE);       /* both ways at once: not offered (INOUT) */
    } else {
        scsi_request_start(&r->req);
    }
    return true;
}

static void kick(SCSIDevice *dev)
{
    if (dev && dev->need_kick) {
        dev->need_kick = false;
        blk_kick(dev->conf.blk);
    }
}

/* Take what is there, at most a queue full; requests for one device go to its host together. */
static void handle_batch(VirtIODevice *vdev, VirtQueue *vq)
{
    VirtIOSCSI *s = downcast(vdev, VirtIOSCSI, vdev);
    unsigned room = virtio_queue_size(vq);
    SCSIDevice *last = NULL, *dev;
    VirtIOSCSIReq *r;

    while (room-- && (r = virtqueue_pop(vq)) && start_request(s, r, &dev)) {
        if (dev != last) {
            kick(last);
        }
        last = dev;
    }
    kick(last);
}

void virtio_scsi_handle_cmd(VirtIODevice *vdev, VirtQueue *vq)
{
    bool all = virtio_queue_serve(vq, handle_batch);

    virtio_scsi_notify(downcast(vdev, VirtIOSCSI, vdev));
    if (!all) {
        virtio_queue_kick(vq);
    }
}

/* Task management ------------------------------------------------------------------------ */

static bool task_names(const VirtIOSCSITask *t, const VirtIOSCSIReq *r)
{
    const SCSIRequest *req = &r->req;

    return req->dev && req->dev->id == t->id && r->serial < t->serial &&
           (t->all_luns || req->lun == t->lun) && (!t->one || r->tag == t->tag);
}

static unsigned count_named(VirtIOSCSI *s, const VirtIOSCSITask *t)
{
    unsigned n = 0;

    for (GList *l = s->requests.head; l; l = l->next) {
        n += task_names(t, l->data);
    }
    return n;
}

static void answer(VirtIOSCSI *s, VirtQueueElement *elem, uint8_t response)
{
    iov_from_buf(elem->in_sg, elem->in_num, 0, &response, 1);
    push(s, elem, 1);
}

/* Those that have nothing left to wait for are answered. */
static void tasks_look(VirtIOSCSI *s)
{
    for (GList *l = s->tasks.head, *next; l; l = next) {
        VirtIOSCSITask *t = l->data;

        next = l->next;
        if (!count_named(s, t)) {
            g_queue_unlink(&s->tasks, l);
            answer(s, &t->elem, VIRTIO_SCSI_S_OK);
        }
    }
}

/* The host is not asked to stop what it does: it ends soon, and the guest waits for that. */
static void abort_named(VirtIOSCSI *s, VirtIOSCSITask *t)
{
    for (GList *l = s->requests.head; l; l = l->next) {
        if (task_names(t, l->data)) {
            ((VirtIOSCSIReq *)l->data)->aborted = true;
        }
    }
    t->link = (GList) { .data = t };
    g_queue_push_tail_link(&s->tasks, &t->link);
    tasks_look(s);
}

static void reset_units(VirtIOSCSI *s, const VirtIOSCSITask *t)
{
    for (SCSIDevice *dev = s->bus.targets[t->id]; dev; dev = dev->next) {
        if (t->all_luns || dev->lun == t->lun) {
            scsi_set_attention(dev, SENSE_RESET);
        }
    }
}

static void run_function(VirtIOSCSI *s, VirtIOSCSITask *t, uint32_t function)
{
    switch (function) {
    case VIRTIO_SCSI_T_TMF_QUERY_TASK:
        t->one = true;
        /* fall through */
    case VIRTIO_SCSI_T_TMF_QUERY_TASK_SET:
        answer(s, &t->elem, count_named(s, t) ? VIRTIO_SCSI_S_FUNCTION_SUCCEEDED
                                              : VIRTIO_SCSI_S_OK);
        break;
    case VIRTIO_SCSI_T_TMF_I_T_NEXUS_RESET:
        t->all_luns = true;
        /* fall through */
    case VIRTIO_SCSI_T_TMF_LOGICAL_UNIT_RESET:
        reset_units(s, t);
        abort_named(s, t);
        break;
    case VIRTIO_SCSI_T_TMF_ABORT_TASK:
        t->one = true;
        /* fall through */
    case VIRTIO_SCSI_T_TMF_ABORT_TASK_SET:
    case VIRTIO_SCSI_T_TMF_CLEAR_TASK_SET:
        abort_named(s, t);
        break;
    default:
        answer(s, &t->elem, VIRTIO_SCSI_S_FUNCTION_REJECTED);
        break;
    }
}

static bool handle_tmf(VirtIOSCSI *s, VirtIOSCSITask *t)
{
    TMFHeader hdr;
    SCSIDevice *dev;

    if (iov_to_buf(t->elem.out_sg, t->elem.out_num, 0, &hdr, sizeof(hdr)) < sizeof(hdr) ||
        !t->elem.in_len) {
        return false;
    }
    dev = find_device(s, hdr.lun, &t->lun);
    if (!dev) {
        answer(s, &t->elem, VIRTIO_SCSI_S_BAD_TARGET);
    } else if (dev->lun != t->lun && hdr.subtype != VIRTIO_SCSI_T_TMF_I_T_NEXUS_RESET) {
        answer(s, &t->elem, VIRTIO_SCSI_S_INCORRECT_LUN);
    } else {
        t->id = dev->id;
        t->tag = hdr.tag;
        t->serial = s->serial++;
        t->one = t->all_luns = false;
        run_function(s, t, hdr.subtype);
    }
    return true;
}

/* There are no events to subscribe to. */
static bool handle_subscription(VirtIOSCSI *s, VirtQueueElement *elem)
{
    struct virtio_scsi_ctrl_an_resp resp = { .response = VIRTIO_SCSI_S_OK };
    /* Without the padding of the host's ABI. */
    size_t len = offsetof(struct virtio_scsi_ctrl_an_resp, response) + 1;

    if (elem->out_len < sizeof(struct virtio_scsi_ctrl_an_req) || elem->in_len < len) {
        return false;
    }
    iov_from_buf(elem->in_sg, elem->in_num, 0, &resp, len);
    push(s, elem, len);
    return true;
}

static bool handle_control(VirtIOSCSI *s, VirtIOSCSITask *t)
{
    VirtQueueElement *elem = &t->elem;
    uint32_t type;

    if (iov_to_buf(elem->out_sg, elem->out_num, 0, &type, sizeof(type)) == sizeof(type)) {
        switch (type) {
        case VIRTIO_SCSI_T_TMF:
            return handle_tmf(s, t);
        case VIRTIO_SCSI_T_AN_QUERY:
        case VIRTIO_SCSI_T_AN_SUBSCRIBE:
            return handle_subscription(s, elem);
        }
    }
    return false;
}

void virtio_scsi_handle_ctrl(VirtIODevice *vdev, VirtQueue *vq)
{
    VirtIOSCSI *s = downcast(vdev, VirtIOSCSI, vdev);
    unsigned room = virtio_queue_size(vq);
    VirtIOSCSITask *t = NULL;

    while (room && (t = virtqueue_pop(vq))) {
        room--;
        if (!handle_control(s, t)) {
            virtio_error(vdev, "control request of %zu and %zu bytes", t->elem.out_len,
                         t->elem.in_len);
            virtqueue_detach(vq, &t->elem);
        }
    }
    virtio_scsi_notify(s);
    if (!room) {
        virtio_queue_kick(vq);
    }
}
