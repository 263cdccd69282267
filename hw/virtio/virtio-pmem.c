/*
 * The virtio persistent memory device (virtio 1.2, section 5.19): a file of the host's as memory
 * of the guest's, which writes it back when it wants to.
 *
 * System calls: fsync.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "hw/virtio/virtio.h"

#include <errno.h>
#include <linux/virtio_pmem.h>
#include <string.h>
#include <unistd.h>

#include "hw/boards.h"
#include "qemu/confine.h"
#include "qemu/cutils.h"
#include "qemu/iov.h"
#include "qemu/log.h"
#include "sysemu/hostmem.h"

#define PMEM_QUEUE_SIZE 64
#define PMEM_ALIGN      (128 * MiB)     /* what Linux adds and removes memory by */
#define PMEM_F_SHMEM_REGION 0           /* the place is also said as shared memory region 0 */

enum { PMEM_OK, PMEM_EIO };             /* virtio_pmem_resp.ret */

typedef struct VirtIOPMEM {
    VirtIODevice vdev;
    ObjectLink memdev;          /* property */

    HostMemoryBackend *backend;
    VirtQueue *vq;
    /*
     * Flushes that came before the last sync began, and after: one sync does for all that came
     * before it. The former wait for the worker, which knows nothing of them.
     */
    VirtQueueElement *syncing[PMEM_QUEUE_SIZE], *waiting[PMEM_QUEUE_SIZE];
    unsigned nr_syncing, nr_waiting;
    GThreadPool *worker;        /* one thread, while there is something to do */
    bool busy;                  /* the worker has a sync to do, or has done it untold */
    bool synced;                /* told, and stopped since before answers were sent */
    int error;                  /* of the last sync: errno; the worker's while it is busy */
} VirtIOPMEM;

/* Flushes ---------------------------------------------------------------------- */

static void pmem_begin(VirtIOPMEM *s);

static void pmem_answer(VirtIOPMEM *s, VirtQueueElement *elem, uint32_t ret)
{
    struct virtio_pmem_resp resp = { .ret = ret };

    iov_from_buf(elem->in_sg, elem->in_num, 0, &resp, sizeof(resp));
    virtqueue_push(s->vq, elem, sizeof(resp));
}

static void pmem_finish(VirtIOPMEM *s)
{
    for (unsigned i = 0; i < s->nr_syncing; i++) {
        pmem_answer(s, s->syncing[i], s->error ? PMEM_EIO : PMEM_OK);
    }
    if (s->nr_syncing) {
        virtio_notify(s->vq);
    }
    s->nr_syncing = 0;
    s->synced = false;
    pmem_begin(s);
}

/* In the main loop. Answers of a device that has stopped wait for its start, and its first kick. */
static gboolean pmem_worker_done(gpointer opaque)
{
    VirtIOPMEM *s = opaque;

    s->busy = false;
    s->synced = true;
    if (virtio_queue_live(s->vq)) {
        pmem_finish(s);
    }
    return G_SOURCE_REMOVE;
}

/* In the worker: a disk takes its time. */
static void pmem_sync(gpointer data, gpointer opaque)
{
    VirtIOPMEM *s = opaque;
    GSource *source = g_idle_source_new();

    thread_confine(&block_pool_filter);
    s->error = fsync(s->backend->fd) < 0 ? errno : 0;
    g_source_set_priority(source, G_PRIORITY_DEFAULT);
    g_source_set_callback(source, pmem_worker_done, s, NULL);
    g_source_attach(source, virtio_get_context(&s->vdev));
    g_source_unref(source);
}

static void pmem_begin(VirtIOPMEM *s)
{
    if (s->busy || s->synced || !s->nr_waiting) {
        return;
    }
    memcpy(s->syncing, s->waiting, s->nr_waiting * sizeof(s->waiting[0]));
    s->nr_syncing = s->nr_waiting;
    s->nr_waiting = 0;
    s->busy = true;
    g_thread_pool_push(s->worker, s, NULL);
}

static void pmem_handle_output(VirtIODevice *vdev, VirtQueue *vq)
{
    VirtIOPMEM *s = downcast(vdev, VirtIOPMEM, vdev);
    bool keeps = s->backend->share && !s->backend->readonly && s->backend->fd >= 0;
    VirtQueueElement *elem;

    if (s->synced) {
        pmem_finish(s);
    }
    for (unsigned n = 0; n < PMEM_QUEUE_SIZE && (elem = virtqueue_pop(vq)); n++) {
        struct virtio_pmem_req req;

        if (elem->in_len < sizeof(struct virtio_pmem_resp) ||
            iov_to_buf(elem->out_sg, elem->out_num, 0, &req, sizeof(req)) < sizeof(req)) {
            virtio_error(vdev, "a flush without request or room for the answer");
            virtqueue_detach(vq, elem);
            return;
        }
        if (req.type == VIRTIO_PMEM_REQ_TYPE_FLUSH && keeps) {
            s->waiting[s->nr_waiting++] = elem;
            continue;
        }
        /* What is not written anywhere is as safe as it will be. */
        pmem_answer(s, elem, req.type == VIRTIO_PMEM_REQ_TYPE_FLUSH ? PMEM_OK : PMEM_EIO);
        virtio_notify(vq);
    }
    pmem_begin(s);
    if (!virtio_queue_empty(vq)) {
        virtio_queue_kick(vq);
    }
}

/* Life ------------------------------------------------------------------------- */

/* The worker may be at it: its end finds nobody waiting. */
static void pmem_reset(VirtIODevice *vdev)
{
    VirtIOPMEM *s = downcast(vdev, VirtIOPMEM, vdev);

    s->nr_syncing = s->nr_waiting = 0;
    s->synced = false;
}

static void pmem_queue_reset(VirtIODevice *vdev, VirtQueue *vq)
{
    pmem_reset(vdev);
}

static void pmem_get_config(VirtIODevice *vdev, void *data)
{
    const VirtIOPMEM *s = downcast(vdev, const VirtIOPMEM, vdev);

    *(struct virtio_pmem_config *)data = (struct virtio_pmem_config) {
        .start = s->backend->mr.addr, .size = s->backend->mr.size,
    };
}

static uint64_t pmem_get_features(VirtIODevice *vdev, bool modern)
{
    return modern ? 1ull << PMEM_F_SHMEM_REGION : 0;
}

static bool pmem_get_shm(VirtIODevice *vdev, unsigned id, VirtioShmRegion *shm)
{
    const VirtIOPMEM *s = downcast(vdev, const VirtIOPMEM, vdev);

    *shm = (VirtioShmRegion) { .addr = s->backend->mr.addr, .len = s->backend->mr.size };
    return id == 0;
}

static bool pmem_realize(VirtIODevice *vdev, Error **errp)
{
    VirtIOPMEM *s = downcast(vdev, VirtIOPMEM, vdev);
    HostMemoryBackend *b = downcast(s->memdev.obj, HostMemoryBackend, obj);

    if (!b) {
        error_setg(errp, "'memdev' property is not set");
        return false;
    }
    if (b->in_use) {
        error_setg(errp, "can't use already busy memdev: %s", b->obj.id);
        return false;
    }
    if (b->readonly) {
        memory_region_init_rom_ptr(&b->mr, b->obj.id, b->size, b->host);
    } else {
        memory_region_init_ram_ptr(&b->mr, b->obj.id, b->size, b->host);
    }
    if (!machine_add_device_memory(vdev->dev.machine, &b->mr, PMEM_ALIGN, errp)) {
        return false;
    }
    b->in_use = true;
    s->backend = b;
    s->worker = g_thread_pool_new(pmem_sync, s, 1, FALSE, NULL);
    vdev->config_len = sizeof(struct virtio_pmem_config);
    s->vq = virtio_add_queue(vdev, PMEM_QUEUE_SIZE, sizeof(VirtQueueElement),
                             pmem_handle_output);
    return true;
}

static void pmem_unrealize(VirtIODevice *vdev)
{
    VirtIOPMEM *s = downcast(vdev, VirtIOPMEM, vdev);
    GSource *done;

    g_thread_pool_free(s->worker, FALSE, TRUE);
    done = g_main_context_find_source_by_user_data(virtio_get_context(vdev), s);
    if (done) {
        g_source_destroy(done);
    }
    s->backend->in_use = false;
}

static const ObjectLinkTarget memdev_target = { "memory-backend", object_is_memory_backend };

static const Property pmem_props[] = {
    DEFINE_PROP_LINK("memdev", VirtIOPMEM, memdev, &memdev_target,
                     "ID of the -object memory-backend-file that the guest sees"),
    DEFINE_PROP_END
};

STATE_NOT(VirtIOPMEM, backend, "the host's");
STATE_NOT(VirtIOPMEM, vq, "the core's");
STATE_NOT(VirtIOPMEM, syncing, "in flight: taken again");
STATE_NOT(VirtIOPMEM, waiting, "in flight: taken again");
STATE_NOT(VirtIOPMEM, nr_syncing, "in flight: taken again");
STATE_NOT(VirtIOPMEM, nr_waiting, "in flight: taken again");
STATE_NOT(VirtIOPMEM, worker, "the host's");
STATE_NOT(VirtIOPMEM, busy, "under way in the host");
STATE_NOT(VirtIOPMEM, synced, "in flight: taken again");
STATE_NOT(VirtIOPMEM, error, "of the last sync");

/* What the guest writes is in the file, as in a disk's image, or it would be lost. */
static const char *pmem_blocker(const void *obj)
{
    const VirtIOPMEM *s = obj;

    return s->backend->share || s->backend->readonly
           ? NULL : "with share=off (its contents are nowhere else) does not support migration";
}

static const StateDesc pmem_state = { .version = 1, .blocker = pmem_blocker };

static const VirtioDeviceClass virtio_pmem_class = {
    .dc = {
        .oc = {
            .name = "virtio-pmem-device",
            .desc = "a file of the host's as persistent memory",
            .parent = &virtio_device_base_class,
            .instance_size = sizeof(VirtIOPMEM),
            .props = pmem_props,
        },
        VIRTIO_DEVICE_HOOKS,
        .state = MACHINE_STATE(&pmem_state),
    },
    .device_id = VIRTIO_ID_PMEM,
    .realize = pmem_realize,
    .unrealize = pmem_unrealize,
    .get_features = pmem_get_features,
    .get_config = pmem_get_config,
    .reset = pmem_reset,
    .queue_reset = pmem_queue_reset,
    .get_shm = pmem_get_shm,
};
DEFINE_CLASS(virtio_pmem, &virtio_pmem_class.dc.oc);
