/*
 * vhost-user: the guest's memory and the rings that a back end is lent.
 *
 * Titles of sections are those of the specification "Vhost-user Protocol".
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <string.h>
#include <unistd.h>

#include "sysemu/hostmem.h"
#include "vhost-user-internal.h"
#include "virtio-internal.h"

/*
 * Addresses of the rings are "user addresses" of ours, but any numbering will do that is the
 * one of the memory table: the guest's addresses from here on tell nothing about this process.
 */
#define USER_ADDR_BASE (1ull << 40)

#define STATUS_FEATURES_OK (VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER | \
                            VIRTIO_CONFIG_S_FEATURES_OK)

/* Memory ------------------------------------------------------------------- */

/* Of r from at on, as much as one backend has; *fd is that one's. False: none has it. */
static bool region_of(const HostMemoryBackend *memdev, const FlatRange *r, uint64_t at,
                      VuRegion *region, int *fd)
{
    const char *host = (const char *)r->mr->host + r->offset + at;
    const HostMemoryBackend *part = host_memory_backend_part(memdev, host);
    uint64_t offset = part ? host - (const char *)part->host : 0;

    if (!part) {
        return false;
    }
    *region = (VuRegion) { r->start + at, MIN(r->size - at, part->size - offset),
                           USER_ADDR_BASE + r->start + at, offset };
    *fd = part->fd;
    return true;
}

static void add_region(VhostUser *vu, const VuRegion *region, int fd)
{
    VuPayload payload = { .one_region.region = *region };

    vu_send_acked(&vu->conn, &(VuMessage) { VU_ADD_MEM_REG, &payload,
                                            sizeof(payload.one_region), &fd, 1 });
}

/* For one message, if the back end does not take them one by one. */
typedef struct MemoryTable {
    VuPayload payload;
    int fds[VU_MAX_REGIONS];
    uint32_t n;
} MemoryTable;

static void tell_region(VhostUser *vu, MemoryTable *table, const VuRegion *region, int fd)
{
    if (has_protocol(vu, VU_PROTOCOL_F_CONFIGURE_MEM_SLOTS)) {
        add_region(vu, region, fd);
    } else if (table->n < VU_MAX_REGIONS) {
        table->payload.memory.regions[table->n] = *region;
        table->fds[table->n++] = fd;
    } else {
        vu_conn_fail(&vu->conn, "it cannot know more than %u pieces of memory", VU_MAX_REGIONS);
    }
}

/* The pieces of guest memory that the backends have; others (a ROM) are not for buffers. */
static void tell_memory(VhostUser *vu)
{
    const AddressSpace *as = vu->vdev->as;
    const HostMemoryBackend *memdev = vu->vdev->dev.machine->memdev;
    MemoryTable table = { 0 };

    for (unsigned i = 0; i < as->nr_ram; i++) {
        VuRegion region;
        int fd;

        for (uint64_t at = 0; at < as->ram[i].size; at += region.size) {
            if (!region_of(memdev, &as->ram[i], at, &region, &fd)) {
                break;
            }
            tell_region(vu, &table, &region, fd);
        }
    }
    if (!has_protocol(vu, VU_PROTOCOL_F_CONFIGURE_MEM_SLOTS)) {
        table.payload.memory.num = table.n;
        vu_send_acked(&vu->conn, &(VuMessage) {
            VU_SET_MEM_TABLE, &table.payload,
            offsetof(VuPayload, memory.regions[table.n]), table.fds, table.n });
    }
    vu->memory_told = true;
}

/* Rings -------------------------------------------------------------------- */

static void send_state(VhostUser *vu, VuRequest request, unsigned index, unsigned num)
{
    VuPayload payload = { .state = { index, num } };

    vu_send(&vu->conn, &(VuMessage) { request, &payload, sizeof(payload.state) });
}

static void send_fd(VhostUser *vu, VuRequest request, unsigned index, int fd)
{
    VuPayload payload = { .u64 = index };

    vu_send(&vu->conn, &(VuMessage) { request, &payload, sizeof(payload.u64), &fd, 1 });
}

static void set_status(VhostUser *vu, unsigned status)
{
    if (has_protocol(vu, VU_PROTOCOL_F_STATUS)) {
        vu_send_u64(&vu->conn, VU_SET_STATUS, status);
    }
}

/* Nobody says how far the back end was: it is in the used ring. */
static void position_from_used(VhostRing *r)
{
    vhost_ring_set_position(r, __atomic_load_n(&r->vq->ring.used->idx, __ATOMIC_ACQUIRE));
}

static void tell_ring(VhostUser *vu, unsigned i)
{
    VhostRing *r = &vu->rings[i];
    const VirtQueueRegs *regs = &r->vq->regs;
    VuPayload addr = { .addr = {
        .index = i,
        .desc_user_addr = USER_ADDR_BASE + regs->desc,
        .avail_user_addr = USER_ADDR_BASE + regs->avail,
        .used_user_addr = USER_ADDR_BASE + regs->used,
    } };

    if (vu->lost) {
        position_from_used(r);
    }
    send_state(vu, VU_SET_VRING_NUM, i, regs->num);
    send_state(vu, VU_SET_VRING_BASE, i, r->vq->ring.last_avail);
    vu_send_acked(&vu->conn, &(VuMessage) { VU_SET_VRING_ADDR, &addr, sizeof(addr.addr) });
    send_fd(vu, VU_SET_VRING_CALL, i, r->call_fd);
    send_fd(vu, VU_SET_VRING_ERR, i, vu->err.fd);
    /* Before the kicks: one that finds the ring disabled would be in vain. */
    if (vu->features >> VU_F_PROTOCOL_FEATURES & 1) {
        send_state(vu, VU_SET_VRING_ENABLE, i, i < vu->nr_running);
    }
    send_fd(vu, VU_SET_VRING_KICK, i, vhost_ring_kick_fd(r));
}

static void start_rings(VhostUser *vu)
{
    VirtioBusState *vbus = vu->vdev->vbus;

    if (vu->inflight_fd >= 0) {
        VuPayload payload = { .inflight = vu->inflight };

        vu_send(&vu->conn, &(VuMessage) { VU_SET_INFLIGHT_FD, &payload,
                                          sizeof(payload.inflight), &vu->inflight_fd, 1 });
    }
    for (unsigned i = 0; i < vu->cfg.nr_queues; i++) {
        if (vu->rings[i].vq) {
            tell_ring(vu, i);
        }
    }
    set_status(vu, STATUS_FEATURES_OK | VIRTIO_CONFIG_S_DRIVER_OK);
    /* Section "Ring states": a ring starts by its first kick; some may have been lost. */
    for (unsigned i = 0; i < vu->cfg.nr_queues; i++) {
        if (vu->rings[i].vq) {
            virtio_queue_kick(vu->rings[i].vq);
        }
    }
    if (vu->lost) {
        vbus->ops->notify(vbus, VIRTIO_ISR_VRING);  /* so may interrupts */
    }
    vu->lost = false;
    vu->started = vu->dirty = true;
}

static void got_inflight(VuConn *conn, unsigned index, const VuPayload *payload)
{
    VhostUser *vu = vu_of(conn);
    int fd = qemu_chr_fe_get_msgfd(conn->chr);

    vu->inflight_asked = false;
    if (fd < 0) {
        vu_conn_fail(conn, "no descriptor in answer to request %d", VU_GET_INFLIGHT_FD);
        return;
    }
    vu->inflight_fd = fd;
    vu->inflight = payload->inflight;
    vu->inflight.num_queues = vu->cfg.nr_queues;
    vu->inflight.queue_size = vu->cfg.queue_size;
    if (vu->running) {
        start_rings(vu);
    }
}

static void ask_inflight(VhostUser *vu)
{
    VuPayload payload = { .inflight = {
        .num_queues = vu->cfg.nr_queues, .queue_size = vu->cfg.queue_size,
    } };

    if (!vu->inflight_asked) {
        vu->inflight_asked = true;
        vu_ask(&vu->conn, &(VuMessage) { VU_GET_INFLIGHT_FD, &payload, sizeof(payload.inflight) },
               sizeof(payload.inflight), got_inflight, 0);
    }
}

void vhost_user_start_backend(VhostUser *vu)
{
    uint64_t features = vu->vdev->features & vu->features;

    features |= vu->features & 1ull << VU_F_PROTOCOL_FEATURES;
    vu_send_u64(&vu->conn, VU_SET_FEATURES, features);
    set_status(vu, STATUS_FEATURES_OK);
    if (!vu->memory_told) {
        tell_memory(vu);
    }
    if (has_protocol(vu, VU_PROTOCOL_F_INFLIGHT_SHMFD) && vu->inflight_fd < 0) {
        ask_inflight(vu);   /* and go on when it is there */
    } else {
        start_rings(vu);
    }
}

static void got_base(VuConn *conn, unsigned index, const VuPayload *payload)
{
    VhostUser *vu = vu_of(conn);

    if (payload->state.index != index || payload->state.num > UINT16_MAX) {
        vu_conn_fail(conn, "position %u of queue %u where queue %u's is due", payload->state.num,
                     payload->state.index, index);
    } else {
        vhost_ring_set_position(&vu->rings[index], payload->state.num);
    }
}

/* When the positions have come the back end touches nothing any more. */
static void stop_backend(VhostUser *vu)
{
    for (unsigned i = 0; i < vu->cfg.nr_queues; i++) {
        VuPayload payload = { .state.index = i };

        if (vu->rings[i].vq) {
            vu_ask(&vu->conn, &(VuMessage) { VU_GET_VRING_BASE, &payload, sizeof(payload.state) },
                   sizeof(payload.state), got_base, i);
        }
    }
    if (vu_conn_wait(&vu->conn)) {
        set_status(vu, 0);
    } else {
        vu->lost = true;
    }
    vu->started = false;
}

static void vu_ring_error(void *opaque)
{
    virtio_error(((VhostUser *)opaque)->vdev, "vhost-user back end cannot follow the rings");
}

void vhost_user_start(VhostUser *vu, unsigned nr)
{
    if (vu->running) {
        return;
    }
    for (unsigned i = 0; i < vu->cfg.nr_queues; i++) {
        VirtQueue *vq = virtio_get_queue(vu->vdev, i);

        if (virtio_queue_live(vq)) {
            vhost_ring_begin(&vu->rings[i], vq);
            vhost_ring_lend(&vu->rings[i]);
        }
    }
    vu->err_source = event_notifier_add_handler(&vu->err, NULL, vu_ring_error, vu);
    vu->nr_running = nr;
    vu->running = true;
    if (vu->state == VU_UP) {
        vhost_user_start_backend(vu);
    }
}

void vhost_user_forget_inflight(VhostUser *vu)
{
    if (vu->inflight_fd >= 0) {
        close(vu->inflight_fd);
        vu->inflight_fd = -1;
    }
}

void vhost_user_stop(VhostUser *vu, bool go_on)
{
    if (!vu->running) {
        return;
    }
    vu->running = false;
    if (vu->started) {
        stop_backend(vu);
    }
    for (unsigned i = 0; i < vu->cfg.nr_queues; i++) {
        VhostRing *r = &vu->rings[i];

        if (r->vq && vu->lost) {
            position_from_used(r);
        }
        vhost_ring_end(r, go_on);
    }
    vu->lost = false;
    if (go_on) {
        vhost_user_forget_inflight(vu);     /* we complete them */
    }
    g_source_destroy(vu->err_source);
    g_clear_pointer(&vu->err_source, g_source_unref);
}

void vhost_user_reset(VhostUser *vu)
{
    g_assert(!vu->running);
    vhost_user_forget_inflight(vu);
    if (vu->dirty && vu->state == VU_UP && has_protocol(vu, VU_PROTOCOL_F_RESET_DEVICE)) {
        vu_send_acked(&vu->conn, &(VuMessage) { VU_RESET_DEVICE });
        vu->memory_told = has_protocol(vu, VU_PROTOCOL_F_CONFIGURE_MEM_SLOTS);
    }
    vu->dirty = false;
}
