/*
 * The virtio-mmio transport's end of a device: kicks in, interrupts out.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "qemu/cutils.h"
#include "virtio-mmio-internal.h"

/* The interrupt ------------------------------------------------------------ */

/*
 * An eventfd of the accelerator saves a system call an interrupt, but each of them makes the
 * host's kernel wait for a grace period when the machine ends: it is for devices that
 * have shown that they interrupt often.
 */
#define IRQFD_AFTER 256

static void mmio_set_line(VirtIOMMIOProxy *p, bool level)
{
    if (p->line != level) {
        p->line = level;
        qemu_set_irq(p->slot.irq, level);
    }
}

static void mmio_irq_attach(VirtIOMMIOProxy *p)
{
    const IRQOps *ops = p->slot.irq.ops;

    if (p->irqfd || !ops || !ops->attach ||
        event_notifier_init(&p->irq_notifier) < 0) {
        return;
    }
    if (ops->attach(p->slot.irq.opaque, p->slot.irq.n, &p->irq_notifier) < 0) {
        event_notifier_cleanup(&p->irq_notifier);
        return;
    }
    mmio_set_line(p, false);
    p->irqfd = true;
}

static void mmio_irq_detach(VirtIOMMIOProxy *p)
{
    if (p->irqfd) {
        p->slot.irq.ops->detach(p->slot.irq.opaque, p->slot.irq.n,
                                &p->irq_notifier);
        event_notifier_cleanup(&p->irq_notifier);
        p->irqfd = false;
    }
}

/*
 * A fresh edge although the line may be high: interrupt controllers see the
 * transports as edge-triggered inputs.
 */
static void mmio_pulse(VirtIOMMIOProxy *p)
{
    if (p->nr_pulses < IRQFD_AFTER && ++p->nr_pulses == IRQFD_AFTER) {
        mmio_irq_attach(p);
    }
    if (p->irqfd) {
        event_notifier_set(&p->irq_notifier);
    } else {
        mmio_set_line(p, false);
        mmio_set_line(p, true);
    }
}

static void mmio_notify(VirtioBusState *vbus, unsigned isr_bits)
{
    VirtIOMMIOProxy *p = container_of(vbus, VirtIOMMIOProxy, vbus);
    unsigned old;

    /*
     * A bit that is still set means that the guest has yet to acknowledge it, and
     * looks at the rings then: the caller's barrier after their change, which pairs with
     * the CPU's return to the guest, lets no acknowledgement slip between.
     */
    address_space_flush_coalesced(vbus->as);
    g_mutex_lock(&p->irq_lock);
    old = p->isr;
    __atomic_store_n(&p->isr, old | isr_bits, __ATOMIC_SEQ_CST);
    if (isr_bits & ~old) {
        mmio_pulse(p);
    }
    g_mutex_unlock(&p->irq_lock);
}

/*
 * Queues whose worker interrupts by itself: nobody sets a bit for them. It counts as
 * set from the change of the used index on, until the guest acknowledges what
 * it read; buffers that come between the two keep it set.
 */

static uint16_t used_index(const VirtQueue *vq)
{
    return __atomic_load_n(&vq->ring.used->idx, __ATOMIC_ACQUIRE);
}

/* True if a direct queue has returned buffers since the last acknowledgement. */
static bool direct_read_locked(VirtIOMMIOProxy *p)
{
    VirtQueue *vq;
    bool any = false;

    for (unsigned i = 0; p->nr_direct && (vq = virtio_get_queue(p->vbus.vdev, i)); i++) {
        if (vq->direct) {
            vq->direct_seen = used_index(vq);
            any |= vq->direct_seen != vq->direct_acked;
        }
    }
    return any;
}

/* What was read is acknowledged. */
static void direct_ack_locked(VirtIOMMIOProxy *p)
{
    VirtQueue *vq;

    for (unsigned i = 0; p->nr_direct && (vq = virtio_get_queue(p->vbus.vdev, i)); i++) {
        vq->direct_acked = vq->direct ? vq->direct_seen : vq->direct_acked;
    }
}

static EventNotifier *mmio_direct_begin(VirtioBusState *vbus, VirtQueue *vq)
{
    VirtIOMMIOProxy *p = container_of(vbus, VirtIOMMIOProxy, vbus);

    g_mutex_lock(&p->irq_lock);
    mmio_irq_attach(p);
    if (!p->irqfd) {
        g_mutex_unlock(&p->irq_lock);
        return NULL;
    }
    vq->direct_seen = vq->direct_acked = used_index(vq);
    vq->direct = true;
    __atomic_store_n(&p->nr_direct, p->nr_direct + 1, __ATOMIC_SEQ_CST);
    g_mutex_unlock(&p->irq_lock);
    return &p->irq_notifier;
}

static void mmio_direct_end(VirtioBusState *vbus, VirtQueue *vq)
{
    VirtIOMMIOProxy *p = container_of(vbus, VirtIOMMIOProxy, vbus);
    bool pending;

    g_mutex_lock(&p->irq_lock);
    pending = used_index(vq) != vq->direct_acked;
    vq->direct = false;
    __atomic_store_n(&p->nr_direct, p->nr_direct - 1, __ATOMIC_SEQ_CST);
    g_mutex_unlock(&p->irq_lock);
    if (pending) {
        mmio_notify(vbus, VIRTIO_ISR_VRING);
    }
}

unsigned virtio_mmio_isr(VirtIOMMIOProxy *p)
{
    unsigned isr = __atomic_load_n(&p->isr, __ATOMIC_SEQ_CST);

    if (__atomic_load_n(&p->nr_direct, __ATOMIC_SEQ_CST)) {
        g_mutex_lock(&p->irq_lock);
        isr = p->isr | (direct_read_locked(p) ? VIRTIO_ISR_VRING : 0);
        g_mutex_unlock(&p->irq_lock);
    }
    return isr;
}

void virtio_mmio_ack(VirtIOMMIOProxy *p, unsigned bits)
{
    unsigned old;

    g_mutex_lock(&p->irq_lock);
    if (bits & VIRTIO_ISR_VRING) {
        direct_ack_locked(p);
    }
    old = p->isr;
    __atomic_store_n(&p->isr, old & ~bits, __ATOMIC_SEQ_CST);
    if (p->isr && p->isr != old) {
        mmio_pulse(p);
    } else if (!p->isr) {
        mmio_set_line(p, false);
    }
    g_mutex_unlock(&p->irq_lock);
}

/* The device's end --------------------------------------------------------- */

static MemoryRegionIoeventfd mmio_ioeventfd(VirtQueue *vq)
{
    return (MemoryRegionIoeventfd) {
        .addr = VIRTIO_MMIO_NOTIFY_OFFSET,
        .size = 4,
        .match_data = true,
        .data = vq->index,
        .e = &vq->host_notifier,
    };
}

/* Where this fails, the register's write does the same more slowly. */
static void mmio_queue_attach(VirtioBusState *vbus, VirtQueue *vq)
{
    VirtIOMMIOProxy *p = container_of(vbus, VirtIOMMIOProxy, vbus);
    MemoryRegionIoeventfd fd = mmio_ioeventfd(vq);

    vq->has_ioeventfd = memory_region_add_eventfd(vbus->as, &p->iomem,
                                                  &fd) == 0;
}

static void mmio_queue_detach(VirtioBusState *vbus, VirtQueue *vq)
{
    VirtIOMMIOProxy *p = container_of(vbus, VirtIOMMIOProxy, vbus);
    MemoryRegionIoeventfd fd = mmio_ioeventfd(vq);

    if (vq->has_ioeventfd) {
        memory_region_del_eventfd(vbus->as, &p->iomem, &fd);
        vq->has_ioeventfd = false;
    }
}

static void mmio_started(VirtioBusState *vbus)
{
    VirtIOMMIOProxy *p = container_of(vbus, VirtIOMMIOProxy, vbus);

    if (!p->repeat) {
        return;
    }
    p->repeat = false;
    g_mutex_lock(&p->irq_lock);
    if (p->isr) {
        mmio_pulse(p);
    }
    g_mutex_unlock(&p->irq_lock);
}

/* InterruptStatus without what a guest's read of it does. */
static unsigned mmio_peek_isr(VirtIOMMIOProxy *p)
{
    unsigned isr;
    VirtQueue *vq;

    address_space_flush_coalesced(p->vbus.as);
    g_mutex_lock(&p->irq_lock);
    isr = p->isr;
    for (unsigned i = 0; p->nr_direct && (vq = virtio_get_queue(p->vbus.vdev, i)); i++) {
        if (vq->direct && used_index(vq) != vq->direct_acked) {
            isr |= VIRTIO_ISR_VRING;
        }
    }
    g_mutex_unlock(&p->irq_lock);
    return isr;
}

static void mmio_describe(VirtioBusState *vbus, VirtioInfo *info)
{
    VirtIOMMIOProxy *p = container_of(vbus, VirtIOMMIOProxy, vbus);

    info->slot = p->slot.index;
    info->base = p->slot.base;
    info->irq = p->slot.irq_num;
    info->isr = mmio_peek_isr(p);
    info->queue_sel = p->queue_sel;
}

static void mmio_plugged(VirtioBusState *vbus)
{
    VirtIOMMIOProxy *p = container_of(vbus, VirtIOMMIOProxy, vbus);

    if (!vbus->as->sealed) {
        memory_region_set_coalesced(&p->iomem, VIRTIO_MMIO_ACK_OFFSET, 4);
    }
}

static void mmio_unplugged(VirtioBusState *vbus)
{
    mmio_irq_detach(container_of(vbus, VirtIOMMIOProxy, vbus));
}

const VirtioBusOps virtio_mmio_bus_ops = {
    .notify = mmio_notify,
    .queue_attach = mmio_queue_attach,
    .queue_detach = mmio_queue_detach,
    .direct_begin = mmio_direct_begin,
    .direct_end = mmio_direct_end,
    .started = mmio_started,
    .describe = mmio_describe,
    .plugged = mmio_plugged,
    .unplugged = mmio_unplugged,
};
