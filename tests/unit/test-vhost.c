/*
 * What a vhost worker is told. The worker is this program: ioctl() is ours.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/vhost.h>
#include <stdarg.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "hw/virtio/vhost.h"
#include "hw/virtio/virtio-info.h"
#include "virtio-harness.h"

#define ANY_LAYOUT 27

static struct {
    int fd;
    uint64_t knows;             /* features */
    uint64_t features;          /* that it is to use */
    unsigned nregions;
    struct vhost_memory_region regions[4];
    struct vhost_vring_addr addr[2];
    unsigned num[2], base[2];
    int kick[2];
    uint64_t cid;
    int running, changes;       /* of a socket worker; how often it was told */
    unsigned long fail;         /* a request to be refused */
} worker;

static int worker_request(unsigned long request, void *arg)
{
    const struct vhost_vring_state *state = arg;
    const struct vhost_vring_file *file = arg;
    const struct vhost_memory *mem = arg;

    switch (request) {
    case VHOST_GET_FEATURES:
        *(uint64_t *)arg = worker.knows;
        break;
    case VHOST_SET_FEATURES:
        worker.features = *(uint64_t *)arg;
        break;
    case VHOST_SET_MEM_TABLE:
        g_assert_cmpuint(mem->nregions, <=, G_N_ELEMENTS(worker.regions));
        worker.nregions = mem->nregions;
        memcpy(worker.regions, mem->regions, mem->nregions * sizeof(mem->regions[0]));
        break;
    case VHOST_SET_VRING_NUM:
        worker.num[state->index] = state->num;
        break;
    case VHOST_SET_VRING_BASE:
        worker.base[state->index] = state->num;
        break;
    case VHOST_GET_VRING_BASE:
        ((struct vhost_vring_state *)arg)->num = worker.base[state->index];
        break;
    case VHOST_SET_VRING_ADDR:
        memcpy(&worker.addr[state->index], arg, sizeof(worker.addr[0]));
        break;
    case VHOST_SET_VRING_KICK:
        worker.kick[file->index] = file->fd;
        break;
    case VHOST_VSOCK_SET_GUEST_CID:
        worker.cid = *(uint64_t *)arg;
        break;
    case VHOST_VSOCK_SET_RUNNING:
        worker.running = *(int *)arg;
        worker.changes++;
        break;
    }
    return 0;
}

int ioctl(int fd, unsigned long request, ...)
{
    va_list ap;
    void *arg;

    va_start(ap, request);
    arg = va_arg(ap, void *);
    va_end(ap);
    if (fd != worker.fd || request == worker.fail) {
        errno = fd == worker.fd ? ENOMEM : ENOTTY;
        return -1;
    }
    return worker_request(request, arg);
}

static VT *start(gconstpointer legacy, VTDevice **d, VhostDev *hdev)
{
    VT *t = vt_new_device(legacy, d);
    Error *err = NULL;

    memset(&worker, 0, sizeof(worker));
    worker.fd = open("/dev/null", O_RDWR | O_CLOEXEC);
    worker.knows = ~0ull;
    worker.kick[0] = worker.kick[1] = -1;
    g_assert(vhost_dev_init(hdev, &(*d)->vdev, worker.fd, 0, &err));
    vt_negotiate(t, ~0ull);
    vt_setup_queue(t, 0, 16);
    vt_setup_queue(t, 1, 8);
    vt_driver_ok(t);
    return t;
}

static void finish(VT *t, VhostDev *hdev)
{
    vhost_dev_cleanup(hdev);
    vt_free(t);
    close(worker.fd);
}

/*
 * The features that both know, but none of those bits that are orders to the worker:
 * old drivers' ANY_LAYOUT is its "put a header before each frame".
 */
static void test_features(gconstpointer legacy)
{
    const uint64_t order = 1ull << VHOST_NET_F_VIRTIO_NET_HDR;
    VhostDev hdev;
    VTDevice *d;
    VT *t = start(legacy, &d, &hdev);

    g_assert_cmpint(vhost_dev_start(&hdev, 0, 2, 0), ==, 0);
    g_assert_cmphex(worker.features, ==,
                    d->vdev.features & ~(1ull << ANY_LAYOUT | 1ull << VHOST_F_LOG_ALL));
    g_assert_cmphex(worker.features & 1ull << VIRTIO_RING_F_EVENT_IDX, !=, 0);
    vhost_dev_stop(&hdev, true);
    worker.knows &= ~(1ull << VIRTIO_RING_F_EVENT_IDX);
    hdev.features = worker.knows;
    g_assert_cmpint(vhost_dev_start(&hdev, 0, 2, order), ==, 0);
    g_assert_cmphex(worker.features & order, !=, 0);
    g_assert_cmphex(worker.features & 1ull << VIRTIO_RING_F_EVENT_IDX, ==, 0);
    vhost_dev_stop(&hdev, true);
    finish(t, &hdev);
}

/* Of our memory the worker sees the guest's RAM, and the rings in it. */
static void test_memory(gconstpointer legacy)
{
    VhostDev hdev;
    VTDevice *d;
    VT *t = start(legacy, &d, &hdev);

    g_assert_cmpint(vhost_dev_start(&hdev, 0, 2, 0), ==, 0);
    g_assert_cmpuint(worker.nregions, ==, 2);
    g_assert_cmphex(worker.regions[0].guest_phys_addr, ==, 0);
    g_assert_cmphex(worker.regions[0].memory_size, ==, VT_RAM_SIZE);
    g_assert_cmphex(worker.regions[0].userspace_addr, ==, (uintptr_t)t->ram);
    g_assert_cmphex(worker.regions[1].guest_phys_addr, ==, VT_HIGH_BASE);
    g_assert_cmphex(worker.regions[1].memory_size, ==, VT_HIGH_SIZE);
    for (unsigned i = 0; i < 2; i++) {
        g_assert_cmpuint(worker.num[i], ==, t->ring[i].num);
        g_assert_cmphex(worker.addr[i].desc_user_addr, ==, (uintptr_t)t->ring[i].desc);
        g_assert_cmphex(worker.addr[i].avail_user_addr, ==, (uintptr_t)t->ring[i].avail);
        g_assert_cmphex(worker.addr[i].used_user_addr, ==, (uintptr_t)t->ring[i].used);
    }
    vhost_dev_stop(&hdev, true);
    finish(t, &hdev);
}

/* What a monitor sees of a queue that a worker serves, and when none does. */
static void test_info(gconstpointer legacy)
{
    VirtioQueueInfo q;
    VirtioInfo info;
    VhostDev hdev;
    VTDevice *d;
    VT *t = start(legacy, &d, &hdev);

    g_assert_cmpint(vhost_dev_start(&hdev, 0, 2, 0), ==, 0);
    virtio_get_info(&d->vdev, &info);
    g_assert(info.running && info.worker_running && info.nr_workers == 1);
    g_assert_cmphex(info.worker_acked, ==, worker.features);
    g_assert_cmphex(info.base, ==, VT_MMIO_BASE);
    t->ring[0].avail->idx = 5;
    t->ring[0].used->idx = 2;
    worker.base[0] = 4;
    g_assert(virtio_get_queue_info(&d->vdev, 0, &q));
    g_assert(q.ready && q.worker && q.kick_fd == worker.kick[0] && q.call_fd >= 0);
    g_assert_cmphex(q.desc_host, ==, (uintptr_t)t->ring[0].desc);
    g_assert_cmphex(q.desc, ==, t->ring[0].desc_addr);
    g_assert_cmpuint(q.avail_idx, ==, 5);
    g_assert_cmpuint(q.last_avail, ==, 4);
    g_assert_cmpuint(q.used_idx, ==, 2);
    g_assert_cmpuint(q.in_flight, ==, 2);
    g_assert_false(virtio_get_queue_info(&d->vdev, 99, &q));
    t->ring[0].avail->idx = t->ring[0].used->idx = worker.base[0] = 0;
    vhost_dev_stop(&hdev, true);
    g_assert(virtio_get_queue_info(&d->vdev, 0, &q));
    g_assert(q.ready && !q.worker && q.kick_fd == -1);
    vhost_dev_cleanup(&hdev);
    virtio_get_info(&d->vdev, &info);
    g_assert(info.nr_workers == 0 && !info.worker_running);
    finish(t, &hdev);
}

/* Whatever the worker refuses, our handlers serve on. */
static void test_refused(gconstpointer legacy)
{
    static const unsigned long steps[] = {
        VHOST_SET_FEATURES, VHOST_SET_MEM_TABLE, VHOST_SET_VRING_NUM, VHOST_SET_VRING_BASE,
        VHOST_SET_VRING_ADDR, VHOST_SET_VRING_CALL, VHOST_SET_VRING_ERR, VHOST_SET_VRING_KICK,
    };
    VTBuf buf = { 0x1000, 64, true };
    VhostDev hdev;
    VTDevice *d;
    VT *t = start(legacy, &d, &hdev);

    for (unsigned i = 0; i < G_N_ELEMENTS(steps); i++) {
        worker.fail = steps[i];
        g_assert_cmpint(vhost_dev_start(&hdev, 0, 2, 0), ==, -ENOMEM);
        g_assert(!hdev.running && worker.kick[0] == -1 && worker.kick[1] == -1);
        worker.fail = 0;
        vt_add(&t->ring[0], &buf, 1);
        vt_kick(t, &t->ring[0]);
        g_assert_nonnull(vt_used(&t->ring[0]));
    }
    finish(t, &hdev);
}

/* The rings go on where the worker left them. */
static void test_position(gconstpointer legacy)
{
    VTBuf buf = { 0x1000, 64, true };
    VhostDev hdev;
    VTDevice *d;
    VT *t = start(legacy, &d, &hdev);
    VTRing *r = &t->ring[0];

    vt_add(r, &buf, 1);
    vt_kick(t, r);
    g_assert_nonnull(vt_used(r));
    g_assert_cmpint(vhost_dev_start(&hdev, 0, 2, 0), ==, 0);
    g_assert_cmpuint(worker.base[0], ==, 1);
    vt_add(r, &buf, 1);
    vt_kick(t, r);
    g_assert_null(vt_used(r));
    /* As if the worker had served that one. */
    r->used->ring[1] = (struct vring_used_elem){ r->avail->ring[1], 64 };
    r->used->idx = worker.base[0] = 2;
    g_assert_nonnull(vt_used(r));
    vhost_dev_stop(&hdev, true);
    vt_add(r, &buf, 1);
    vt_kick(t, r);
    g_assert_nonnull(vt_used(r));
    g_assert_cmpuint(r->used->idx, ==, 3);
    finish(t, &hdev);
}

/* Sockets by the host's kernel ------------------------------------------------- */

static const DeviceClass *vsock_class(void)
{
    return (const DeviceClass *)object_class_by_name(device_classes, "vhost-vsock-device");
}

/* The worker as an inherited descriptor; caller frees. */
static char *vsock_options(const char *more)
{
    memset(&worker, 0, sizeof(worker));
    worker.fd = open("/dev/null", O_RDWR | O_CLOEXEC);
    worker.knows = ~0ull;
    return g_strdup_printf("vhostfd=%d,%s", worker.fd, more);
}

/* It runs while the driver does and the machine; the driver is told when packets were lost. */
static void test_vsock(gconstpointer legacy)
{
    g_autofree char *options = vsock_options("guest-cid=77");
    VT *t = vt_new(legacy != NULL);
    VTRing *event;

    vt_plug(t, vsock_class(), options);
    g_assert_cmpuint(worker.cid, ==, 77);
    g_assert_cmpuint(vt_rd(t, VT_DEVICE_ID), ==, VIRTIO_ID_VSOCK);
    g_assert_cmpuint(vt_rd(t, VT_CONFIG), ==, 77);
    g_assert_cmphex(vt_offered(t) & 0xffffff, ==, 2);
    vt_negotiate(t, ~0ull);
    vt_setup_queue(t, 0, 16);
    vt_setup_queue(t, 1, 8);
    event = vt_setup_queue(t, 2, 8);
    vt_driver_ok(t);
    g_assert_cmpint(worker.running, ==, 1);
    g_assert_cmpuint(worker.num[1], ==, 8);
    g_assert_cmphex(worker.features & 2, ==, 2);
    vt_add(event, &(VTBuf) { 0x10000, 4, true }, 1);
    vt_kick(t, event);
    g_assert_null(vt_used(event));
    if (!legacy) {
        memset(t->ram + 0x10000, 0xff, 4);
        vt_wr(t, VT_QUEUE_SEL, 0);
        vt_wr(t, VT_QUEUE_RESET, 1);
        VT_WAIT(t, vt_used(event));
        g_assert_cmpuint(t->ram[0x10000], ==, 0);
        g_assert_cmpint(worker.running, ==, 0);
    }
    vt_wr(t, VT_STATUS, 0);
    g_assert_cmpint(worker.running, ==, 0);
    g_assert_cmpint(worker.changes, ==, 2);
    vt_free(t);
}

/* The kernel does not start: the device says that it needs a reset, and lives. */
static void test_vsock_refused(gconstpointer legacy)
{
    g_autofree char *options = vsock_options("guest-cid=3");
    VT *t = vt_new(legacy != NULL);

    vt_plug(t, vsock_class(), options);
    worker.fail = VHOST_VSOCK_SET_RUNNING;
    vt_negotiate(t, 0);
    vt_setup_queue(t, 0, 16);
    vt_setup_queue(t, 1, 16);
    vt_driver_ok(t);
    g_assert_cmphex(vt_rd(t, VT_STATUS) & 0x40, ==, 0x40);
    vt_wr(t, VT_STATUS, 0);
    worker.fail = 0;
    vt_negotiate(t, 0);
    vt_setup_queue(t, 0, 16);
    vt_setup_queue(t, 1, 16);
    vt_driver_ok(t);
    g_assert_cmpint(worker.running, ==, 1);
    vt_free(t);
}

static void test_vsock_options(gconstpointer legacy)
{
    static const struct {
        const char *options, *error;
        unsigned long fail;
        uint64_t lacks;
    } bad[] = {
        { "guest-cid=2", "guest-cid property must be greater than 2", 0, 0 },
        { "guest-cid=3,vhostfd=x",
          "vhost-vsock: unable to parse vhostfd: 'x' is no open file descriptor", 0, 0 },
        { "guest-cid=3", "vhost-vsock: unable to set guest cid: Cannot allocate memory",
          VHOST_VSOCK_SET_GUEST_CID, 0 },
        { "guest-cid=3,seqpacket=on",
          "vhost-vsock: seqpacket=on: this host's kernel has no such sockets", 0, 2 },
    };

    for (unsigned i = 0; i < G_N_ELEMENTS(bad); i++) {
        g_autofree char *options = vsock_options(bad[i].options), *error = NULL;
        VT *t = vt_new(legacy != NULL);

        worker.fail = bad[i].fail;
        worker.knows &= ~bad[i].lacks;
        error = vt_plug_error(t, vsock_class(), options);
        g_assert_cmpstr(error, ==, bad[i].error);
        vt_free(t);
    }
}

/*
 * O_NONBLOCK is a flag of the eventfd that both sides have: who is lent a ring can take it away,
 * and must not make us wait.
 */
static void test_blocking(gconstpointer legacy)
{
    VhostDev hdev;
    VTDevice *d;
    VT *t = start(legacy, &d, &hdev);

    g_assert_cmpint(vhost_dev_start(&hdev, 0, 2, 0), ==, 0);
    g_assert_cmpint(fcntl(hdev.rings[0].call_fd, F_SETFL, 0), ==, 0);
    alarm(60);
    vhost_dev_stop(&hdev, true);
    alarm(0);
    finish(t, &hdev);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    vt_add_test("/vhost/features", test_features);
    vt_add_test("/vhost/memory", test_memory);
    vt_add_test("/vhost/info", test_info);
    vt_add_test("/vhost/refused", test_refused);
    vt_add_test("/vhost/position", test_position);
    vt_add_modern_test("/vhost/blocking", test_blocking);
    vt_add_test("/vhost/vsock", test_vsock);
    vt_add_modern_test("/vhost/vsock-refused", test_vsock_refused);
    vt_add_modern_test("/vhost/vsock-options", test_vsock_options);
    return g_test_run();
}
