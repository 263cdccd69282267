/*
 * vhost-user: making a back end's acquaintance, and getting over its loss.
 *
 * All but stopping is done without waiting: requests are sent, and what follows from an answer
 * is done when it comes. The log of written pages (LOG_SHMFD) and the transfer of a back end's
 * state (DEVICE_STATE) belong to migration and are not asked for.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "hw/virtio/vhost-user.h"

#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#include "sysemu/hostmem.h"
#include "vhost-user-internal.h"
#include "virtio-internal.h"

/* Protocol features that we can use. */
#define PROTOCOL_FEATURES (1ull << VU_PROTOCOL_F_MQ | 1ull << VU_PROTOCOL_F_REPLY_ACK | \
                           1ull << VU_PROTOCOL_F_INFLIGHT_SHMFD | \
                           1ull << VU_PROTOCOL_F_RESET_DEVICE | \
                           1ull << VU_PROTOCOL_F_CONFIGURE_MEM_SLOTS | \
                           1ull << VU_PROTOCOL_F_STATUS)
/* And with configuration space that is the back end's. */
#define CONFIG_FEATURES (1ull << VU_PROTOCOL_F_BACKEND_REQ | 1ull << VU_PROTOCOL_F_CONFIG)

/* Configuration space ------------------------------------------------------ */

static void ask_config(VhostUser *vu);

static void got_config(VuConn *conn, unsigned index, const VuPayload *payload)
{
    VhostUser *vu = vu_of(conn);
    bool changed;

    vu->config_asked = false;
    if (payload->config.size != vu->cfg.config_len) {
        vu_conn_fail(conn, "%u bytes of configuration space, not %u", payload->config.size,
                     vu->cfg.config_len);
        return;
    }
    changed = vu->known && memcmp(vu->config, payload->config.data, vu->cfg.config_len);
    memcpy(vu->config, payload->config.data, vu->cfg.config_len);
    if (changed) {
        virtio_notify_config(vu->vdev);
    }
    if (vu->config_again) {
        ask_config(vu);
    }
}

static void ask_config(VhostUser *vu)
{
    VuPayload payload = { .config.size = vu->cfg.config_len };
    uint32_t size = VU_CONFIG_HEAD + vu->cfg.config_len;

    vu->config_again = vu->config_asked;
    if (!vu->config_asked) {
        vu->config_asked = true;
        vu_ask(&vu->conn, &(VuMessage) { VU_GET_CONFIG, &payload, size }, size, got_config, 0);
    }
}

/* The back end says so. */
static void config_changed(void *opaque)
{
    VhostUser *vu = opaque;

    if (vu->state == VU_UP) {
        ask_config(vu);
    }
}

void vhost_user_set_config(VhostUser *vu, unsigned offset, const void *data, unsigned len)
{
    VuPayload payload = { .config = { .offset = offset, .size = len } };

    memcpy(vu->config + offset, data, len);
    memcpy(payload.config.data, data, len);
    if (vu->state == VU_UP) {
        vu_send_acked(&vu->conn, &(VuMessage) { VU_SET_CONFIG, &payload, VU_CONFIG_HEAD + len });
    }
}

const void *vhost_user_config(const VhostUser *vu)
{
    return vu->config;
}

uint64_t vhost_user_features(const VhostUser *vu)
{
    return vu->features;
}

/* Acquaintance ------------------------------------------------------------- */

static void got_queue_num(VuConn *conn, unsigned index, const VuPayload *payload)
{
    unsigned need = vu_of(conn)->cfg.nr_queues;

    if (payload->u64 < need) {
        vu_conn_fail(conn, "it has %" PRIu64 " queues, not the %u of the device", payload->u64,
                     need);
    }
}

static void got_mem_slots(VuConn *conn, unsigned index, const VuPayload *payload)
{
    if (payload->u64 < vu_of(conn)->vdev->as->nr_ram) {
        vu_conn_fail(conn, "it cannot know more than %" PRIu64 " pieces of memory", payload->u64);
    }
}

static void open_channel(VhostUser *vu)
{
    int fd = vu_channel_open(&vu->channel);

    if (fd >= 0) {
        vu_send_acked(&vu->conn, &(VuMessage) { VU_SET_BACKEND_REQ_FD, .fds = &fd, .nr_fds = 1 });
        close(fd);
    }
}

static void got_protocol(VuConn *conn, unsigned index, const VuPayload *payload)
{
    VhostUser *vu = vu_of(conn);
    uint64_t wanted = PROTOCOL_FEATURES | (vu->cfg.config_len ? CONFIG_FEATURES : 0);

    vu->protocol = payload->u64 & wanted;
    vu_send_u64(conn, VU_SET_PROTOCOL_FEATURES, vu->protocol);
    conn->reply_ack = has_protocol(vu, VU_PROTOCOL_F_REPLY_ACK);
    if (has_protocol(vu, VU_PROTOCOL_F_MQ)) {
        vu_ask_u64(conn, VU_GET_QUEUE_NUM, got_queue_num);
    }
    if (has_protocol(vu, VU_PROTOCOL_F_CONFIGURE_MEM_SLOTS)) {
        vu_ask_u64(conn, VU_GET_MAX_MEM_SLOTS, got_mem_slots);
    }
    if (!vu->cfg.config_len) {
        return;
    }
    if (!has_protocol(vu, VU_PROTOCOL_F_CONFIG)) {
        vu_conn_fail(conn, "it has no configuration space");
        return;
    }
    if (has_protocol(vu, VU_PROTOCOL_F_BACKEND_REQ)) {
        open_channel(vu);
    }
    vu->config_asked = false;
    ask_config(vu);
}

static void got_features(VuConn *conn, unsigned index, const VuPayload *payload)
{
    VhostUser *vu = vu_of(conn);
    uint64_t have = payload->u64, protocol = 1ull << VU_F_PROTOCOL_FEATURES;
    uint64_t need = vu->cfg.need | (vu->cfg.config_len ? protocol : 0);

    if (vu->known) {
        need |= vu->features & (vu->vdev->host_features | protocol);
    }
    if (need & ~have) {
        vu_conn_fail(conn, "it lacks features 0x%" PRIx64, need & ~have);
        return;
    }
    vu->features = vu->known ? vu->features : have;
    if (vu->features & protocol) {
        vu_ask_u64(conn, VU_GET_PROTOCOL_FEATURES, got_protocol);
    }
}

static void vu_opened(VuConn *conn)
{
    VhostUser *vu = vu_of(conn);

    vu->state = VU_NEGOTIATING;
    vu->protocol = 0;
    vu->memory_told = vu->inflight_asked = false;
    vu_send(conn, &(VuMessage) { VU_SET_OWNER });
    vu_ask_u64(conn, VU_GET_FEATURES, got_features);
}

static void tell_link(VhostUser *vu, bool up)
{
    if (vu->known && vu->cfg.link) {
        vu->cfg.link(vu->vdev, up);
    }
}

/* It has answered all: after the first questions that means we know it. */
static void vu_idle(VuConn *conn)
{
    VhostUser *vu = vu_of(conn);

    if (vu->state != VU_NEGOTIATING) {
        return;
    }
    vu->state = VU_UP;
    vu_conn_works(conn);
    if (vu->running) {
        vhost_user_start_backend(vu);
    }
    tell_link(vu, true);
}

static void vu_closed(VuConn *conn)
{
    VhostUser *vu = vu_of(conn);
    bool was_up = vu->state == VU_UP;

    vu->state = VU_DOWN;
    vu->lost |= vu->started;
    vu->started = false;
    vu_channel_close(&vu->channel);
    if (was_up) {
        tell_link(vu, false);
    }
}

static const VuConnOps conn_ops = {
    .opened = vu_opened,
    .idle = vu_idle,
    .closed = vu_closed,
};

/* Life --------------------------------------------------------------------- */

/* Only memory that others can map is any good. */
static bool check_memory(const VirtIODevice *vdev, Error **errp)
{
    const HostMemoryBackend *memdev = vdev->dev.machine->memdev;

    if (memdev && host_memory_backend_is_shared(memdev)) {
        return true;
    }
    error_setg(errp, "vhost-user needs guest memory that the back end can map");
    error_append_hint(errp, "Use -object memory-backend-memfd,id=mem,size=SIZE,share=on "
                      "-machine memory-backend=mem\n");
    return false;
}

static bool meet_backend(VhostUser *vu, Error **errp)
{
    if (!qemu_chr_fe_wait_connected(vu->conn.chr, errp)) {
        return false;
    }
    vu->conn.silent = true;
    vu_conn_init(&vu->conn);
    if (!vu_conn_wait(&vu->conn) || vu->state != VU_UP) {
        error_setg(errp, "vhost-user back end: %s", vu->conn.why);
        return false;
    }
    vu->conn.silent = false;
    vu->known = true;
    /* Ring features are not offered if the other side of the rings does not know them. */
    vu->vdev->prop_packed = false;
    vu->vdev->prop_in_order &= vu->features >> VIRTIO_FEATURE_IN_ORDER & 1;
    vu->vdev->prop_event_idx &= vu->features >> VIRTIO_RING_F_EVENT_IDX & 1;
    vu->vdev->prop_indirect_desc &= vu->features >> VIRTIO_RING_F_INDIRECT_DESC & 1;
    vu->vdev->prop_queue_reset &= vu->features >> VIRTIO_FEATURE_RING_RESET & 1;
    return true;
}

static bool open_rings(VhostUser *vu, Error **errp)
{
    int ret = event_notifier_init(&vu->err);

    vu->err.fd = ret < 0 ? -1 : vu->err.fd;
    for (unsigned i = 0; ret == 0 && i < vu->cfg.nr_queues; i++) {
        ret = vhost_ring_init(&vu->rings[i]);
    }
    if (ret < 0) {
        error_setg_errno(errp, -ret, "cannot make an eventfd");
    }
    return ret == 0;
}

VhostUser *vhost_user_new(VirtIODevice *vdev, const VhostUserConfig *cfg, Error **errp)
{
    VhostUser *vu;

    if (!cfg->chr->chr) {
        error_setg(errp, "missing chardev");
        return NULL;
    }
    if (!qemu_chr_passes_fds(cfg->chr->chr)) {
        error_setg(errp, "chardev \"%s\" does not support FD passing", cfg->chr->chr->obj.id);
        return NULL;
    }
    if (!check_memory(vdev, errp)) {
        return NULL;
    }
    g_assert(cfg->config_len <= VU_CONFIG_MAX);
    vu = g_new0(VhostUser, 1);
    vu->vdev = vdev;
    vu->cfg = *cfg;
    if (!vdev->legacy) {
        vu->cfg.need |= 1ull << VIRTIO_F_VERSION_1;
    }
    vu->conn = (VuConn) { .chr = cfg->chr, .ops = &conn_ops, .name = qdev_name(&vdev->dev),
                          .timeout_ms = cfg->timeout_ms };
    vu->channel = (VuChannel) { .fn = config_changed, .opaque = vu };
    vu->inflight_fd = vu->err.fd = -1;
    vu->rings = g_new0(VhostRing, cfg->nr_queues);
    for (unsigned i = 0; i < cfg->nr_queues; i++) {
        vu->rings[i].call.fd = -1;
    }
    if (!open_rings(vu, errp) || !meet_backend(vu, errp)) {
        vhost_user_free(vu);
        return NULL;
    }
    return vu;
}

void vhost_user_free(VhostUser *vu)
{
    if (!vu) {
        return;
    }
    g_assert(!vu->running);
    vu_conn_cleanup(&vu->conn);
    vu_channel_close(&vu->channel);
    vhost_user_forget_inflight(vu);
    for (unsigned i = 0; i < vu->cfg.nr_queues; i++) {
        vhost_ring_cleanup(&vu->rings[i]);
    }
    if (vu->err.fd >= 0) {
        event_notifier_cleanup(&vu->err);
    }
    g_free(vu->rings);
    g_free(vu);
}
