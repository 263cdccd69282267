/*
 * The virtio-mmio transport: registers, kicks and the interrupt.
 *
 * Version 2 by default; version 1 ("legacy") with force-legacy=on.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "hw/virtio/virtio-mmio.h"

#include "qemu/trace.h"
#include "virtio-mmio-internal.h"
#include "qemu/cutils.h"
#include "qemu/log.h"
#include "qemu/main-loop.h"

#define VIRT_MAGIC  0x74726976      /* "virt" */
#define VIRT_VENDOR 0x554d4551      /* as QEMU's */

/* Registers, section 4.2.2 and (legacy) 4.2.4. */
enum {
    REG_MAGIC               = 0x000,
    REG_VERSION             = 0x004,
    REG_DEVICE_ID           = 0x008,
    REG_VENDOR_ID           = 0x00c,
    REG_DEVICE_FEATURES     = 0x010,
    REG_DEVICE_FEATURES_SEL = 0x014,
    REG_DRIVER_FEATURES     = 0x020,
    REG_DRIVER_FEATURES_SEL = 0x024,
    REG_GUEST_PAGE_SIZE     = 0x028,
    REG_QUEUE_SEL           = 0x030,
    REG_QUEUE_NUM_MAX       = 0x034,
    REG_QUEUE_NUM           = 0x038,
    REG_QUEUE_ALIGN         = 0x03c,
    REG_QUEUE_PFN           = 0x040,
    REG_QUEUE_READY         = 0x044,
    REG_QUEUE_NOTIFY        = VIRTIO_MMIO_NOTIFY_OFFSET,
    REG_INTERRUPT_STATUS    = 0x060,
    REG_INTERRUPT_ACK       = VIRTIO_MMIO_ACK_OFFSET,
    REG_STATUS              = 0x070,
    REG_QUEUE_DESC_LOW      = 0x080,
    REG_QUEUE_DESC_HIGH     = 0x084,
    REG_QUEUE_DRIVER_LOW    = 0x090,
    REG_QUEUE_DRIVER_HIGH   = 0x094,
    REG_QUEUE_DEVICE_LOW    = 0x0a0,
    REG_QUEUE_DEVICE_HIGH   = 0x0a4,
    REG_SHM_SEL             = 0x0ac,
    REG_SHM_LEN_LOW         = 0x0b0,
    REG_SHM_LEN_HIGH        = 0x0b4,
    REG_SHM_BASE_LOW        = 0x0b8,
    REG_SHM_BASE_HIGH       = 0x0bc,
    REG_QUEUE_RESET         = 0x0c0,
    REG_CONFIG_GENERATION   = 0x0fc,
    REG_CONFIG              = 0x100,
};

/* How a register may be used. */
enum {
    R = 1, W = 2, RW = R | W,
    LEGACY = 4, MODERN = 8, BOTH = LEGACY | MODERN,
    QUEUE = 16,         /* acts on the selected queue: nothing if there is none */
    SETUP = 32,         /* may not be written while that queue is ready */
};

typedef struct VirtioMMIOReg {
    const char *name;
    uint8_t flags;
} VirtioMMIOReg;

static const VirtioMMIOReg mmio_regs[REG_CONFIG / 4] = {
    [REG_MAGIC / 4]               = { "MagicValue", R | BOTH },
    [REG_VERSION / 4]             = { "Version", R | BOTH },
    [REG_DEVICE_ID / 4]           = { "DeviceID", R | BOTH },
    [REG_VENDOR_ID / 4]           = { "VendorID", R | BOTH },
    [REG_DEVICE_FEATURES / 4]     = { "DeviceFeatures", R | BOTH },
    [REG_DEVICE_FEATURES_SEL / 4] = { "DeviceFeaturesSel", W | BOTH },
    [REG_DRIVER_FEATURES / 4]     = { "DriverFeatures", W | BOTH },
    [REG_DRIVER_FEATURES_SEL / 4] = { "DriverFeaturesSel", W | BOTH },
    [REG_GUEST_PAGE_SIZE / 4]     = { "GuestPageSize", W | LEGACY },
    [REG_QUEUE_SEL / 4]           = { "QueueSel", W | BOTH },
    [REG_QUEUE_NUM_MAX / 4]       = { "QueueNumMax", R | BOTH | QUEUE },
    [REG_QUEUE_NUM / 4]           = { "QueueNum", W | BOTH | QUEUE | SETUP },
    [REG_QUEUE_ALIGN / 4]         = { "QueueAlign", W | LEGACY | QUEUE | SETUP },
    [REG_QUEUE_PFN / 4]           = { "QueuePFN", RW | LEGACY | QUEUE },
    [REG_QUEUE_READY / 4]         = { "QueueReady", RW | MODERN | QUEUE },
    [REG_QUEUE_NOTIFY / 4]        = { "QueueNotify", W | BOTH },
    [REG_INTERRUPT_STATUS / 4]    = { "InterruptStatus", R | BOTH },
    [REG_INTERRUPT_ACK / 4]       = { "InterruptACK", W | BOTH },
    [REG_STATUS / 4]              = { "Status", RW | BOTH },
    [REG_QUEUE_DESC_LOW / 4]      = { "QueueDescLow", W | MODERN | QUEUE | SETUP },
    [REG_QUEUE_DESC_HIGH / 4]     = { "QueueDescHigh", W | MODERN | QUEUE | SETUP },
    [REG_QUEUE_DRIVER_LOW / 4]    = { "QueueDriverLow", W | MODERN | QUEUE | SETUP },
    [REG_QUEUE_DRIVER_HIGH / 4]   = { "QueueDriverHigh", W | MODERN | QUEUE | SETUP },
    [REG_QUEUE_DEVICE_LOW / 4]    = { "QueueDeviceLow", W | MODERN | QUEUE | SETUP },
    [REG_QUEUE_DEVICE_HIGH / 4]   = { "QueueDeviceHigh", W | MODERN | QUEUE | SETUP },
    [REG_SHM_SEL / 4]             = { "SHMSel", W | MODERN },
    [REG_SHM_LEN_LOW / 4]         = { "SHMLenLow", R | MODERN },
    [REG_SHM_LEN_HIGH / 4]        = { "SHMLenHigh", R | MODERN },
    [REG_SHM_BASE_LOW / 4]        = { "SHMBaseLow", R | MODERN },
    [REG_SHM_BASE_HIGH / 4]       = { "SHMBaseHigh", R | MODERN },
    [REG_QUEUE_RESET / 4]         = { "QueueReset", RW | MODERN | QUEUE },
    [REG_CONFIG_GENERATION / 4]   = { "ConfigGeneration", R | MODERN },
};

/* Registers ---------------------------------------------------------------- */

static VirtQueue *mmio_selected(VirtIOMMIOProxy *p)
{
    return p->vbus.vdev ? virtio_get_queue(p->vbus.vdev, p->queue_sel) : NULL;
}

static void mmio_soft_reset(VirtIOMMIOProxy *p)
{
    p->device_features_sel = 0;
    p->driver_features_sel = 0;
    p->queue_sel = 0;
    p->shm_sel = 0;
    virtio_mmio_ack(p, UINT32_MAX);
}

/* Which of the 32-bit halves of the offered features is selected. */
static uint32_t mmio_device_features(VirtIOMMIOProxy *p)
{
    uint64_t f = virtio_offered_features(p->vbus.vdev);

    switch (p->device_features_sel) {
    case 0:
        return f;
    case 1:
        return f >> 32;
    default:
        return 0;
    }
}

/* Section 4.2.2: a region that does not exist has length and base ~0. */
static uint32_t mmio_shm_read(VirtIOMMIOProxy *p, hwaddr reg)
{
    const VirtioDeviceClass *vdc = virtio_get_class(p->vbus.vdev);
    VirtioShmRegion shm;

    if (!vdc->get_shm || !vdc->get_shm(p->vbus.vdev, p->shm_sel, &shm)) {
        return UINT32_MAX;
    }
    switch (reg) {
    case REG_SHM_LEN_LOW:
        return shm.len;
    case REG_SHM_LEN_HIGH:
        return shm.len >> 32;
    case REG_SHM_BASE_LOW:
        return shm.addr;
    default:
        return shm.addr >> 32;
    }
}

/*
 * The one place that says which accesses are legal: width, direction, version
 * and the queue's state. Returns NULL (and logs) when this one is not.
 */
static const VirtioMMIOReg *mmio_check(VirtIOMMIOProxy *p, hwaddr addr,
                                       unsigned size, unsigned dir)
{
    unsigned version = p->vbus.legacy ? LEGACY : MODERN;
    const VirtioMMIOReg *reg = &mmio_regs[addr / 4];
    VirtQueue *vq;

    if (size != 4 || addr % 4 || !reg->name || !(reg->flags & dir) ||
        !(reg->flags & version)) {
        qemu_log_mask(LOG_GUEST_ERROR, "virtio-mmio.%u: bad %u-byte %s at 0x%"
                      PRIx64 " (%s)\n", p->slot.index, size,
                      dir == R ? "read" : "write", addr,
                      reg->name ? reg->name : "no register");
        return NULL;
    }
    vq = mmio_selected(p);
    if ((reg->flags & QUEUE) && !vq) {
        return NULL;
    }
    if (dir == W && (reg->flags & SETUP) && vq->regs.ready) {
        qemu_log_mask(LOG_GUEST_ERROR, "virtio-mmio.%u: write of %s while queue "
                      "%u is in use\n", p->slot.index, reg->name,
                      p->queue_sel);
        return NULL;
    }
    return reg;
}

static uint32_t mmio_reg_read(VirtIOMMIOProxy *p, hwaddr addr)
{
    VirtIODevice *vdev = p->vbus.vdev;

    switch (addr) {
    case REG_DEVICE_ID:
        return virtio_device_id(vdev);
    case REG_DEVICE_FEATURES:
        return mmio_device_features(p);
    case REG_QUEUE_NUM_MAX:
        return virtio_queue_max_size(mmio_selected(p));
    case REG_QUEUE_PFN:
        return mmio_selected(p)->regs.legacy_pfn;
    case REG_QUEUE_READY:
        return mmio_selected(p)->regs.ready;
    case REG_STATUS:
        return virtio_get_status(vdev);
    case REG_SHM_LEN_LOW:
    case REG_SHM_LEN_HIGH:
    case REG_SHM_BASE_LOW:
    case REG_SHM_BASE_HIGH:
        return mmio_shm_read(p, addr);
    case REG_CONFIG_GENERATION:
        return __atomic_load_n(&vdev->config_generation, __ATOMIC_SEQ_CST);
    default:
        return 0;               /* QueueReset: done as soon as it is asked for */
    }
}

static uint64_t mmio_read(void *opaque, hwaddr addr, unsigned size)
{
    VirtIOMMIOProxy *p = opaque;
    uint64_t val = 0;
    bool locked;

    if (addr == REG_INTERRUPT_STATUS && size == 4) {
        return virtio_mmio_isr(p);
    }
    locked = bql_locked();
    if (!locked) {
        bql_lock();
    }
    if (addr >= REG_CONFIG) {
        val = p->vbus.vdev ? virtio_config_read(p->vbus.vdev, addr - REG_CONFIG,
                                                size) : 0;
    } else if (mmio_check(p, addr, size, R)) {
        switch (addr) {
        case REG_MAGIC:
            val = VIRT_MAGIC;
            break;
        case REG_VERSION:
            val = p->vbus.legacy ? 1 : 2;
            break;
        case REG_VENDOR_ID:
            val = VIRT_VENDOR;
            break;
        default:
            /* An empty transport has device ID 0 and nothing else. */
            val = p->vbus.vdev ? mmio_reg_read(p, addr) : 0;
            break;
        }
    }
    if (!locked) {
        bql_unlock();
    }
    return val;
}

static void mmio_queue_set_num(VirtIOMMIOProxy *p, uint32_t num)
{
    VirtQueue *vq = mmio_selected(p);

    /* Section 2.7: a power of two. */
    if (!num || num > vq->max_size || (num & (num - 1))) {
        qemu_log_mask(LOG_GUEST_ERROR, "virtio-mmio.%u: queue %u cannot have %u "
                      "entries\n", p->slot.index, p->queue_sel, num);
        return;
    }
    vq->regs.num = num;
}

/* Section 2.7.2: descriptors, available ring, then aligned the used ring. */
static void mmio_queue_set_pfn(VirtIOMMIOProxy *p, uint32_t pfn)
{
    VirtQueue *vq = mmio_selected(p);
    VirtQueueRegs *regs = &vq->regs;
    uint32_t page = p->guest_page_size, align = regs->legacy_align;

    if (!pfn) {
        virtio_queue_do_reset(vq);
        return;
    }
    if (regs->ready || !page || (page & (page - 1)) || align < 4 ||
        (align & (align - 1))) {
        qemu_log_mask(LOG_GUEST_ERROR, "virtio-mmio.%u: queue %u is in use, or "
                      "page size %u or alignment %u are unusable\n",
                      p->slot.index, p->queue_sel, page, align);
        return;
    }
    regs->legacy_pfn = pfn;
    regs->desc = (uint64_t)pfn * page;
    regs->avail = regs->desc + 16ull * regs->num;
    regs->used = QEMU_ALIGN_UP(regs->avail + 6 + 2ull * regs->num,
                                  (uint64_t)align);
    virtio_queue_set_ready(vq, true);
}

static void mmio_queue_set_ready(VirtIOMMIOProxy *p, uint32_t val)
{
    VirtQueue *vq = mmio_selected(p);
    const VirtQueueRegs *regs = &vq->regs;

    if (val && !regs->desc && !regs->avail && !regs->used) {
        qemu_log_mask(LOG_GUEST_ERROR, "virtio-mmio.%u: queue %u has no "
                      "addresses\n", p->slot.index, p->queue_sel);
        return;
    }
    virtio_queue_set_ready(vq, val & 1);
}

static void mmio_set_low(hwaddr *addr, uint32_t val)
{
    *addr = (*addr & ~0xffffffffull) | val;
}

static void mmio_set_high(hwaddr *addr, uint32_t val)
{
    *addr = (uint32_t)*addr | (uint64_t)val << 32;
}

static void mmio_queue_write(VirtIOMMIOProxy *p, hwaddr addr, uint32_t val)
{
    VirtQueue *vq = mmio_selected(p);

    switch (addr) {
    case REG_QUEUE_NUM:
        mmio_queue_set_num(p, val);
        break;
    case REG_QUEUE_ALIGN:
        vq->regs.legacy_align = val;
        break;
    case REG_QUEUE_PFN:
        mmio_queue_set_pfn(p, val);
        break;
    case REG_QUEUE_READY:
        mmio_queue_set_ready(p, val);
        break;
    case REG_QUEUE_DESC_LOW:
        mmio_set_low(&vq->regs.desc, val);
        break;
    case REG_QUEUE_DESC_HIGH:
        mmio_set_high(&vq->regs.desc, val);
        break;
    case REG_QUEUE_DRIVER_LOW:
        mmio_set_low(&vq->regs.avail, val);
        break;
    case REG_QUEUE_DRIVER_HIGH:
        mmio_set_high(&vq->regs.avail, val);
        break;
    case REG_QUEUE_DEVICE_LOW:
        mmio_set_low(&vq->regs.used, val);
        break;
    case REG_QUEUE_DEVICE_HIGH:
        mmio_set_high(&vq->regs.used, val);
        break;
    case REG_QUEUE_RESET:
        if (val == 1 &&
            virtio_has_feature(p->vbus.vdev, VIRTIO_FEATURE_RING_RESET)) {
            virtio_queue_do_reset(vq);
        }
        break;
    }
}

static void mmio_reg_write(VirtIOMMIOProxy *p, hwaddr addr, uint32_t val)
{
    VirtIODevice *vdev = p->vbus.vdev;

    switch (addr) {
    case REG_DEVICE_FEATURES_SEL:
        p->device_features_sel = val;
        break;
    case REG_DRIVER_FEATURES:
        virtio_set_driver_features(vdev, p->driver_features_sel, val);
        break;
    case REG_DRIVER_FEATURES_SEL:
        p->driver_features_sel = val;
        break;
    case REG_GUEST_PAGE_SIZE:
        p->guest_page_size = val;
        break;
    case REG_QUEUE_SEL:
        p->queue_sel = val;
        break;
    case REG_STATUS:
        virtio_set_status(vdev, val);
        if (!(val & 0xff)) {
            mmio_soft_reset(p);
        }
        break;
    case REG_SHM_SEL:
        p->shm_sel = val;
        break;
    default:
        mmio_queue_write(p, addr, val);
        break;
    }
}

/* Only where no ioeventfd caught the write. Kicks of idle queues are nothing. */
static void mmio_queue_notify(VirtIOMMIOProxy *p, uint32_t n)
{
    VirtIODevice *vdev = p->vbus.vdev;
    /* With NOTIFICATION_DATA (2.9) the position of what is new follows; it says nothing more. */
    bool data = vdev && virtio_has_feature(vdev, VIRTIO_FEATURE_NOTIFICATION_DATA);
    VirtQueue *vq = vdev ? virtio_get_queue(vdev, data ? n & 0xffff : n) : NULL;

    if (vq && vq->regs.ready && virtio_driver_ok(p->vbus.vdev)) {
        virtio_queue_kick(vq);
    }
}

static void mmio_write(void *opaque, hwaddr addr, uint64_t val, unsigned size)
{
    VirtIOMMIOProxy *p = opaque;
    bool locked;

    if (addr - REG_INTERRUPT_ACK < 4) {
        /* May be coalesced: no machine lock. Other than whole it is only logged. */
        if (addr == REG_INTERRUPT_ACK && size == 4) {
            virtio_mmio_ack(p, val);
        } else {
            mmio_check(p, addr, size, W);
        }
        return;
    }
    if (addr == REG_QUEUE_NOTIFY && size == 4) {
        trace(virtio_mmio_queue_notify, "%u value 0x%" PRIx64, p->slot.index, val);
        mmio_queue_notify(p, val);
        return;
    }
    locked = bql_locked();
    if (!locked) {
        bql_lock();
    }
    if (!p->vbus.vdev) {
        /* Nobody is here to write to. */
    } else if (addr >= REG_CONFIG) {
        virtio_config_write(p->vbus.vdev, addr - REG_CONFIG, val, size);
    } else if (mmio_check(p, addr, size, W)) {
        mmio_reg_write(p, addr, val);
    }
    if (!locked) {
        bql_unlock();
    }
}

/* Every width comes here, to be judged by mmio_check(). */
static const MemoryRegionOps mmio_ops = {
    .read = mmio_read,
    .write = mmio_write,
    .valid = { .min_access_size = 1, .max_access_size = 8, .unaligned = true },
    .lockless = true,
};

/* Device ------------------------------------------------------------------- */

static bool mmio_realize(DeviceState *dev, Error **errp)
{
    VirtIOMMIOProxy *p = downcast(dev, VirtIOMMIOProxy, dev);
    MachineState *ms = dev->machine;
    g_autofree char *name = g_strdup_printf("virtio-mmio-bus.%u",
                                            p->slot.index);

    g_mutex_init(&p->irq_lock);
    p->irq_notifier.fd = -1;
    p->vbus.ops = &virtio_mmio_bus_ops;
    p->vbus.as = &ms->memory;
    p->vbus.legacy = p->force_legacy;
    p->vbus.bus.max_dev = 1;
    qbus_init(&p->vbus.bus, "virtio-bus", name, dev, ms);
    memory_region_init_io(&p->iomem, &mmio_ops, p, "virtio-mmio",
                          VIRTIO_MMIO_REGION_SIZE);
    memory_region_add_subregion(&ms->system_memory, p->slot.base, &p->iomem);
    return true;
}

static void mmio_unrealize(DeviceState *dev)
{
    VirtIOMMIOProxy *p = downcast(dev, VirtIOMMIOProxy, dev);

    qbus_cleanup(&p->vbus.bus);
    g_mutex_clear(&p->irq_lock);
}

static void mmio_reset(DeviceState *dev)
{
    VirtIOMMIOProxy *p = downcast(dev, VirtIOMMIOProxy, dev);

    address_space_flush_coalesced(p->vbus.as);
    if (p->vbus.vdev) {
        virtio_reset(p->vbus.vdev);
    }
    /* Drivers set this once, before their own first reset. */
    p->guest_page_size = 0;
    mmio_soft_reset(p);
}

STATE_NOT(VirtIOMMIOProxy, slot, "the board's");
STATE_NOT(VirtIOMMIOProxy, nr_direct, "workers of the host's are not saved");
STATE_NOT(VirtIOMMIOProxy, irqfd, "the accelerator's way to the line");
STATE_NOT(VirtIOMMIOProxy, nr_pulses, "for the choice of that way");
STATE_NOT(VirtIOMMIOProxy, irq_notifier, "the host's");
STATE_NOT(VirtIOMMIOProxy, repeat, "of a machine that was loaded");

/* Coalesced acknowledgements are the guest's: they come first. */
static void mmio_pre_save(void *obj)
{
    address_space_flush_coalesced(((VirtIOMMIOProxy *)obj)->vbus.as);
}

/*
 * An interrupt may have been on its way through the host's kernel. It comes once more when the
 * machine runs: until then local APICs that are the kernel's do not have their state.
 */
static bool mmio_post_load(void *obj, Error **errp)
{
    VirtIOMMIOProxy *p = obj;

    p->repeat = p->isr;
    return true;
}

static const StateField mmio_fields[] = {
    STATE_CUSTOM(VirtIOMMIOProxy, vbus, virtio_bus_info),
    STATE_INT(VirtIOMMIOProxy, device_features_sel),
    STATE_INT(VirtIOMMIOProxy, driver_features_sel),
    STATE_INT(VirtIOMMIOProxy, queue_sel),
    STATE_INT(VirtIOMMIOProxy, shm_sel),
    STATE_INT(VirtIOMMIOProxy, guest_page_size),
    STATE_MAX(VirtIOMMIOProxy, isr, VIRTIO_ISR_VRING | VIRTIO_ISR_CONFIG),
    STATE_BOOL(VirtIOMMIOProxy, line),
    STATE_END
};

static const StateDesc mmio_state = {
    .version = 1, .fields = mmio_fields, .pre_save = mmio_pre_save, .post_load = mmio_post_load,
};

static const Property mmio_props[] = {
    DEFINE_PROP_BOOL("force-legacy", VirtIOMMIOProxy, force_legacy, "off",
                     "version 1 registers instead of version 2"),
    DEFINE_PROP_IGNORED("ioeventfd", "accepted: used whenever it works"),
    DEFINE_PROP_IGNORED("format_transport_address", "accepted, without effect"),
    DEFINE_PROP_END
};

static const DeviceClass virtio_mmio_class = {
    .oc = {
        .name = "virtio-mmio",
        .desc = "Virtio over memory-mapped registers",
        .instance_size = sizeof(VirtIOMMIOProxy),
        .props = mmio_props,
    },
    .realize = mmio_realize,
    .unrealize = mmio_unrealize,
    .reset = mmio_reset,
    .build_aml = virtio_mmio_build_aml,
    .state = MACHINE_STATE(&mmio_state),
};
DEFINE_CLASS(virtio_mmio, &virtio_mmio_class.oc);

bool virtio_mmio_create(MachineState *ms, const VirtioMMIOSlot *slot,
                        Error **errp)
{
    DeviceState *dev = qdev_new(&virtio_mmio_class, NULL);

    downcast(dev, VirtIOMMIOProxy, dev)->slot = *slot;
    if (!machine_apply_globals(ms, &dev->obj, errp) ||
        !qdev_realize(dev, ms, NULL, errp)) {
        object_free(&dev->obj);
        return false;
    }
    return true;
}

VirtIOMMIOProxy *virtio_mmio_transport(DeviceState *dev)
{
    return device_get_class(dev) == &virtio_mmio_class ? downcast(dev, VirtIOMMIOProxy, dev) : NULL;
}

void virtio_mmio_unmap_unused(MachineState *ms)
{
    for (unsigned i = 0; i < ms->devices->len; i++) {
        VirtIOMMIOProxy *p = virtio_mmio_transport(ms->devices->pdata[i]);

        if (p && !p->vbus.vdev) {
            memory_region_del_subregion(&p->iomem);
        }
    }
}
