/*
 * The state of a virtio-mmio transport, for its two files.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef HW_VIRTIO_VIRTIO_MMIO_INTERNAL_H
#define HW_VIRTIO_VIRTIO_MMIO_INTERNAL_H

#include "hw/virtio/virtio-mmio.h"
#include "virtio-internal.h"

#define VIRTIO_MMIO_NOTIFY_OFFSET 0x050
#define VIRTIO_MMIO_ACK_OFFSET    0x064

typedef struct VirtIOMMIOProxy {
    DeviceState dev;
    bool force_legacy;
    VirtioMMIOSlot slot;
    MemoryRegion iomem;
    VirtioBusState vbus;

    /* Registers of the transport itself; machine lock. */
    uint32_t device_features_sel;
    uint32_t driver_features_sel;
    uint32_t queue_sel;
    uint32_t shm_sel;
    uint32_t guest_page_size;   /* legacy; 0: not set */
    bool repeat;                /* it interrupts once more when it starts */

    /*
     * Acknowledgements are coalesced (memory_region_set_coalesced()): who looks at
     * the bits flushes first. Status bits and line change together, so that an
     * acknowledgement and a new event on another thread cannot leave one
     * without the other.
     */
    GMutex irq_lock;            /* all below; interrupt controllers' locks come after it */
    unsigned isr;
    unsigned nr_direct;         /* queues whose worker interrupts by itself; atomic */
    bool line;                  /* its level, where the eventfd is not used */
    bool irqfd;                 /* the accelerator listens to irq_notifier */
    unsigned nr_pulses;         /* counted up to where irqfd is tried */
    EventNotifier irq_notifier;
} VirtIOMMIOProxy;

/* What the transport does for the device core. */
extern const VirtioBusOps virtio_mmio_bus_ops;

/* The transport that dev is, or NULL. */
VirtIOMMIOProxy *virtio_mmio_transport(DeviceState *dev);
/* DeviceClass.build_aml: a transport with a device is a LNRO0005. */
void virtio_mmio_build_aml(DeviceState *dev, Aml *aml);

/* InterruptStatus. Any thread; coalesced acknowledgements are flushed. */
unsigned virtio_mmio_isr(VirtIOMMIOProxy *p);
/* InterruptACK: clear bits; what remains interrupts again. Any thread. */
void virtio_mmio_ack(VirtIOMMIOProxy *p, unsigned bits);

#endif
