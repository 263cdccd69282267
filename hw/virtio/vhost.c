/*
 * vhost: queues that a worker in the host's kernel serves.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "hw/virtio/vhost.h"

#include <errno.h>
#include <inttypes.h>
#include <linux/vhost.h>
#include <string.h>
#include <sys/ioctl.h>

#include "virtio-internal.h"

/*
 * Bits of the worker's words that mean something else than in virtio's: orders, which only
 * the caller gives. Old drivers' ANY_LAYOUT is one of them.
 */
#define WORKER_ORDERS (1ull << VHOST_F_LOG_ALL | 1ull << VHOST_NET_F_VIRTIO_NET_HDR)

static int vhost_ioctl(VhostDev *hdev, unsigned long request, void *arg)
{
    return ioctl(hdev->fd, request, arg) < 0 ? -errno : 0;
}

/* Events ------------------------------------------------------------------- */

static void vhost_failed(void *opaque)
{
    VhostDev *hdev = opaque;

    virtio_error(hdev->vdev, "vhost cannot follow the rings");
}

bool vhost_dev_init(VhostDev *hdev, VirtIODevice *vdev, int fd, uint64_t need, Error **errp)
{
    int ret;

    *hdev = (VhostDev) { .vdev = vdev, .fd = fd, .err = { .fd = -1 } };
    for (unsigned i = 0; i < VHOST_MAX_QUEUES; i++) {
        hdev->rings[i].call.fd = -1;
    }
    ret = vhost_ioctl(hdev, VHOST_SET_OWNER, NULL);
    if (ret == 0) {
        ret = vhost_ioctl(hdev, VHOST_GET_FEATURES, &hdev->features);
    }
    for (unsigned i = 0; ret == 0 && i < VHOST_MAX_QUEUES; i++) {
        ret = vhost_ring_init(&hdev->rings[i]);
    }
    if (ret == 0) {
        ret = event_notifier_init(&hdev->err);
    }
    if (ret < 0) {
        error_setg_errno(errp, -ret, "vhost cannot be initialized");
    } else if (need & ~hdev->features) {
        error_setg(errp, "vhost of this host lacks features 0x%" PRIx64,
                   need & ~hdev->features);
    } else {
        hdev->next = vdev->vhosts;
        vdev->vhosts = hdev;
        return true;
    }
    vhost_dev_cleanup(hdev);
    return false;
}

static void vhost_unlink(VhostDev *hdev)
{
    VhostDev **link = &hdev->vdev->vhosts;

    while (*link && *link != hdev) {
        link = &(*link)->next;
    }
    if (*link) {
        *link = hdev->next;
    }
}

void vhost_dev_cleanup(VhostDev *hdev)
{
    g_assert(!hdev->running);
    if (!hdev->vdev) {
        return;
    }
    vhost_unlink(hdev);
    for (unsigned i = 0; i < VHOST_MAX_QUEUES; i++) {
        vhost_ring_cleanup(&hdev->rings[i]);
    }
    event_notifier_cleanup(&hdev->err);
    hdev->vdev = NULL;
}

/* Start and stop ----------------------------------------------------------- */

/* All of guest RAM, where we have it. */
static int vhost_set_memory(VhostDev *hdev)
{
    const AddressSpace *as = hdev->vdev->as;
    g_autofree struct vhost_memory *mem =
        g_malloc0(sizeof(*mem) + as->nr_ram * sizeof(mem->regions[0]));

    for (unsigned i = 0; i < as->nr_ram; i++) {
        const FlatRange *r = &as->ram[i];

        mem->regions[mem->nregions++] = (struct vhost_memory_region) {
            .guest_phys_addr = r->start,
            .memory_size = r->size,
            .userspace_addr = (uintptr_t)address_space_map_ro(as, r->start, r->size),
        };
    }
    return vhost_ioctl(hdev, VHOST_SET_MEM_TABLE, mem);
}

static void vhost_end_rings(VhostDev *hdev, bool go_on)
{
    for (unsigned i = 0; i < hdev->nvqs; i++) {
        vhost_ring_end(&hdev->rings[i], go_on);
    }
}

static int vhost_set_vring(VhostDev *hdev, unsigned i, VirtQueue *vq)
{
    struct vhost_vring_state num = { i, vq->regs.num }, base = { i, vq->ring.last_avail };
    struct vhost_vring_addr addr = {
        .index = i,
        .desc_user_addr = (uintptr_t)vq->ring.desc,
        .avail_user_addr = (uintptr_t)vq->ring.avail,
        .used_user_addr = (uintptr_t)vq->ring.used,
    };
    struct vhost_vring_file call = { i, vhost_ring_begin(&hdev->rings[i], vq) };
    struct vhost_vring_file err = { i, hdev->err.fd };
    struct vhost_vring_file kick = { i, vhost_ring_kick_fd(&hdev->rings[i]) };
    const struct { unsigned long request; void *arg; } steps[] = {
        { VHOST_SET_VRING_NUM, &num },
        { VHOST_SET_VRING_BASE, &base },
        { VHOST_SET_VRING_ADDR, &addr },
        { VHOST_SET_VRING_CALL, &call },
        { VHOST_SET_VRING_ERR, &err },
        { VHOST_SET_VRING_KICK, &kick },
    };
    int ret = 0;

    for (size_t step = 0; ret == 0 && step < G_N_ELEMENTS(steps); step++) {
        ret = vhost_ioctl(hdev, steps[step].request, steps[step].arg);
    }
    return ret;
}

/* The worker no longer listens. */
static void vhost_forget_kicks(VhostDev *hdev)
{
    for (unsigned i = 0; i < hdev->nvqs; i++) {
        struct vhost_vring_file none = { i, -1 };

        vhost_ioctl(hdev, VHOST_SET_VRING_KICK, &none);
    }
}

int vhost_dev_start(VhostDev *hdev, unsigned first, unsigned nvqs, uint64_t extra)
{
    VirtIODevice *vdev = hdev->vdev;
    uint64_t features = (vdev->features & hdev->features & ~WORKER_ORDERS) | extra;
    int ret;

    g_assert(!hdev->running && nvqs <= VHOST_MAX_QUEUES);
    hdev->nvqs = nvqs;
    hdev->acked = features;
    ret = vhost_ioctl(hdev, VHOST_SET_FEATURES, &features);
    if (ret == 0) {
        ret = vhost_set_memory(hdev);
    }
    for (unsigned i = 0; ret == 0 && i < nvqs; i++) {
        ret = vhost_set_vring(hdev, i, virtio_get_queue(vdev, first + i));
    }
    if (ret < 0) {
        vhost_forget_kicks(hdev);
        vhost_end_rings(hdev, true);
        return ret;
    }
    for (unsigned i = 0; i < nvqs; i++) {
        vhost_ring_lend(&hdev->rings[i]);
    }
    hdev->err_source = event_notifier_add_handler(&hdev->err, virtio_get_context(vdev),
                                                  vhost_failed, hdev);
    hdev->running = true;
    return 0;
}

/*
 * With its backend gone the worker has returned all that it took: its position
 * in the available ring says it all, and nothing is believed of the guest's memory.
 */
static void vhost_get_position(VhostDev *hdev, unsigned i)
{
    struct vhost_vring_state base = { .index = i };

    if (vhost_ioctl(hdev, VHOST_GET_VRING_BASE, &base) == 0) {
        vhost_ring_set_position(&hdev->rings[i], base.num);
    }
}

void vhost_dev_stop(VhostDev *hdev, bool go_on)
{
    if (!hdev->running) {
        return;
    }
    vhost_forget_kicks(hdev);
    for (unsigned i = 0; i < hdev->nvqs; i++) {
        vhost_get_position(hdev, i);
    }
    g_source_destroy(hdev->err_source);
    g_clear_pointer(&hdev->err_source, g_source_unref);
    vhost_end_rings(hdev, go_on);
    hdev->running = false;
}
