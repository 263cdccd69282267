/*
 * A fake machine with one virtio-mmio transport, driven by hand.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "virtio-harness.h"

#include <stdlib.h>
#include <string.h>

#include "hw/virtio/virtio-mmio.h"
#include "qemu/cutils.h"
#include "qemu/main-loop.h"

static const MachineClass fake_machine_class = {
    .oc = {
        .name = "fake-machine",
        .parent = &machine_base_class,
        .instance_size = sizeof(MachineState),
    },
};

static uint64_t io_read(void *opaque, hwaddr addr, unsigned size)
{
    ((VT *)opaque)->io_accesses++;
    return 0;
}

static void io_write(void *opaque, hwaddr addr, uint64_t data, unsigned size)
{
    ((VT *)opaque)->io_accesses++;
}

static const MemoryRegionOps io_ops = { .read = io_read, .write = io_write };

static void irq_handler(void *opaque, int n, int level)
{
    VT *t = opaque;

    if (level && !t->irq_level) {
        t->irq_edges++;
    }
    t->irq_level = level;
}

VT *vt_new(bool legacy)
{
    static bool loop_ready;
    VT *t = g_new0(VT, 1);
    VirtioMMIOSlot slot = { 0, VT_MMIO_BASE, 5, { irq_handler, t, 0, NULL } };

    if (!loop_ready) {
        loop_ready = true;
        qemu_init_main_loop();
    }
    t->legacy = legacy;
    t->ms = (MachineState *)object_new(&fake_machine_class.oc, NULL);
    runstate_init(t->ms);
    /* Exact allocations, so that an address sanitizer sees every overrun. */
    t->ram = aligned_alloc(4096, VT_RAM_SIZE);
    memset(t->ram, 0, VT_RAM_SIZE);
    t->high = aligned_alloc(4096, VT_HIGH_SIZE);
    memset(t->high, 0, VT_HIGH_SIZE);
    memory_region_init_ram_ptr(&t->ram_mr, "ram", VT_RAM_SIZE, t->ram);
    memory_region_add_subregion(&t->ms->system_memory, 0, &t->ram_mr);
    memory_region_init_ram_ptr(&t->high_mr, "high", VT_HIGH_SIZE, t->high);
    memory_region_add_subregion(&t->ms->system_memory, VT_HIGH_BASE,
                                &t->high_mr);
    memory_region_init_io(&t->io_mr, &io_ops, t, "io", 0x1000);
    memory_region_add_subregion(&t->ms->system_memory, VT_IO_BASE, &t->io_mr);
    if (legacy) {
        GlobalProperty *g = g_new0(GlobalProperty, 1);

        g->driver = g_strdup("virtio-mmio");
        g->property = g_strdup("force-legacy");
        g->value = g_strdup("on");
        g_ptr_array_add(t->ms->globals, g);
    }
    g_assert(virtio_mmio_create(t->ms, &slot, NULL));
    t->next_ring = 0x100000;
    return t;
}

static DeviceState *vt_try_plug(VT *t, const DeviceClass *dc,
                                const char *options, Error **errp)
{
    DeviceState *dev = qdev_new(dc, "dut");
    g_autoptr(QemuOpts) opts = qemu_opts_parse(options, NULL, errp);
    BusState *bus = qbus_find(t->ms, "virtio-bus", NULL, dc->oc.name, errp);

    if (!opts || !bus || !object_set_opts(&dev->obj, opts, errp) ||
        !qdev_realize(dev, t->ms, bus, errp)) {
        object_free(&dev->obj);
        return NULL;
    }
    return dev;
}

void vt_plug(VT *t, const DeviceClass *dc, const char *options)
{
    Error *err = NULL;
    DeviceState *dev = vt_try_plug(t, dc, options, &err);

    if (!dev) {
        g_error("%s", error_get_pretty(err));
    }
    t->vdev = (VirtIODevice *)dev;
    g_assert(address_space_seal(&t->ms->memory, NULL));
    vm_start(t->ms);
}

char *vt_plug_error(VT *t, const DeviceClass *dc, const char *options)
{
    Error *err = NULL;
    char *msg;

    g_assert_null(vt_try_plug(t, dc, options, &err));
    msg = g_strdup(error_get_pretty(err));
    error_free(err);
    return msg;
}

static void vt_unrealize(VT *t, bool on_bus)
{
    for (int i = t->ms->devices->len - 1; i >= 0; i--) {
        DeviceState *dev = t->ms->devices->pdata[i];

        if (!on_bus || dev->parent_bus) {
            qdev_unrealize(dev);
        }
    }
}

void vt_free(VT *t)
{
    /* Transports hold regions of the address space, so they go after it. */
    vt_unrealize(t, true);
    while (g_main_context_iteration(NULL, FALSE)) {
        continue;
    }
    address_space_destroy(&t->ms->memory);
    vt_unrealize(t, false);
    g_array_unref(t->ms->rsm.notifiers);
    g_mutex_clear(&t->ms->rsm.lock);
    object_free(&t->ms->obj);
    free(t->ram);
    free(t->high);
    g_free(t);
}

uint64_t vt_rd_sized(VT *t, unsigned reg, unsigned size)
{
    uint64_t val = 0;

    address_space_rw_locked(&t->ms->memory, VT_MMIO_BASE + reg, &val, size,
                            false);
    return val;
}

void vt_wr_sized(VT *t, unsigned reg, uint64_t val, unsigned size)
{
    address_space_rw_locked(&t->ms->memory, VT_MMIO_BASE + reg, &val, size,
                            true);
}

uint32_t vt_rd(VT *t, unsigned reg)
{
    return vt_rd_sized(t, reg, 4);
}

void vt_wr(VT *t, unsigned reg, uint32_t val)
{
    vt_wr_sized(t, reg, val, 4);
}

void vt_poll(VT *t)
{
    for (int i = 0; i < 1000 && g_main_context_iteration(NULL, FALSE); i++) {
        continue;
    }
}

uint64_t vt_offered(VT *t)
{
    uint64_t f;

    vt_wr(t, VT_DEVICE_FEATURES_SEL, 1);
    f = (uint64_t)vt_rd(t, VT_DEVICE_FEATURES) << 32;
    vt_wr(t, VT_DEVICE_FEATURES_SEL, 0);
    return f | vt_rd(t, VT_DEVICE_FEATURES);
}

void vt_negotiate(VT *t, uint64_t want)
{
    if (t->legacy) {
        vt_wr(t, VT_GUEST_PAGE_SIZE, 4096);
    } else {
        want |= 1ull << VIRTIO_F_VERSION_1;
    }
    vt_wr(t, VT_STATUS, 0);
    g_assert_cmphex(vt_rd(t, VT_STATUS), ==, 0);
    vt_wr(t, VT_STATUS, 1);
    vt_wr(t, VT_STATUS, 3);
    want &= vt_offered(t);
    vt_wr(t, VT_DRIVER_FEATURES_SEL, 0);
    vt_wr(t, VT_DRIVER_FEATURES, want);
    if (!t->legacy) {
        vt_wr(t, VT_DRIVER_FEATURES_SEL, 1);
        vt_wr(t, VT_DRIVER_FEATURES, want >> 32);
        vt_wr(t, VT_STATUS, 11);
        g_assert_cmphex(vt_rd(t, VT_STATUS), ==, 11);
    }
}

VTRing *vt_layout_queue(VT *t, unsigned n, unsigned num)
{
    VTRing *r = &t->ring[n];

    *r = (VTRing) { .index = n, .num = num };
    r->desc_addr = t->next_ring;
    r->avail_addr = r->desc_addr + 16 * num;
    r->used_addr = QEMU_ALIGN_UP(r->avail_addr + 6 + 2 * num, 4096);
    t->next_ring = QEMU_ALIGN_UP(r->used_addr + 6 + 8 * num, 4096);
    if (t->next_ring > 0x800000) {
        t->next_ring = 0x100000;
    }
    r->desc = (void *)(t->ram + r->desc_addr);
    r->avail = (void *)(t->ram + r->avail_addr);
    r->used = (void *)(t->ram + r->used_addr);
    memset(r->desc, 0, r->used_addr + 6 + 8 * num - r->desc_addr);
    return r;
}

void vt_tell_queue(VT *t, VTRing *r)
{
    vt_wr(t, VT_QUEUE_SEL, r->index);
    vt_wr(t, VT_QUEUE_NUM, r->num);
    if (t->legacy) {
        vt_wr(t, VT_QUEUE_ALIGN, 4096);
        vt_wr(t, VT_QUEUE_PFN, r->desc_addr / 4096);
        return;
    }
    vt_wr(t, VT_DESC, r->desc_addr);
    vt_wr(t, VT_DESC + 4, r->desc_addr >> 32);
    vt_wr(t, VT_AVAIL, r->avail_addr);
    vt_wr(t, VT_AVAIL + 4, r->avail_addr >> 32);
    vt_wr(t, VT_USED, r->used_addr);
    vt_wr(t, VT_USED + 4, r->used_addr >> 32);
    vt_wr(t, VT_QUEUE_READY, 1);
}

VTRing *vt_setup_queue(VT *t, unsigned n, unsigned num)
{
    VTRing *r = vt_layout_queue(t, n, num);

    vt_tell_queue(t, r);
    return r;
}

void vt_driver_ok(VT *t)
{
    vt_wr(t, VT_STATUS, t->legacy ? 7 : 15);
    vt_poll(t);
}

VTRing *vt_start(VT *t, uint64_t want, unsigned num)
{
    VTRing *r;

    vt_negotiate(t, want);
    r = vt_setup_queue(t, 0, num);
    vt_driver_ok(t);
    return r;
}

void vt_desc(VTRing *r, unsigned i, uint64_t addr, uint32_t len,
             uint16_t flags, uint16_t next)
{
    r->desc[i] = (struct vring_desc) { addr, len, flags, next };
}

void vt_avail(VTRing *r, unsigned head)
{
    r->avail->ring[r->avail->idx % r->num] = head;
    __atomic_store_n(&r->avail->idx, r->avail->idx + 1, __ATOMIC_RELEASE);
}

void vt_kick(VT *t, VTRing *r)
{
    vt_wr(t, VT_QUEUE_NOTIFY, r->index);
    vt_poll(t);
}

const struct vring_used_elem *vt_used(VTRing *r)
{
    if (__atomic_load_n(&r->used->idx, __ATOMIC_ACQUIRE) == r->last_used) {
        return NULL;
    }
    return &r->used->ring[r->last_used++ % r->num];
}

unsigned vt_add(VTRing *r, const VTBuf *buf, unsigned n)
{
    unsigned head = r->next_desc % r->num;

    for (unsigned i = 0; i < n; i++) {
        unsigned d = (head + i) % r->num;

        vt_desc(r, d, buf[i].addr, buf[i].len,
                (buf[i].write ? VRING_DESC_F_WRITE : 0) |
                (i + 1 < n ? VRING_DESC_F_NEXT : 0), (d + 1) % r->num);
    }
    r->next_desc = (head + n) % r->num;
    vt_avail(r, head);
    return head;
}

void vt_assert_needs_reset(VT *t)
{
    vt_poll(t);
    g_assert_cmphex(vt_rd(t, VT_STATUS) & 0x40, ==, 0x40);
    g_assert_cmphex(vt_rd(t, VT_ISR) & 2, ==, 2);
    g_assert_cmpint(t->irq_level, ==, 1);
}

void vt_add_test(const char *path, void (*fn)(gconstpointer legacy))
{
    g_autofree char *modern = g_strdup_printf("%s/modern", path);
    g_autofree char *legacy = g_strdup_printf("%s/legacy", path);

    g_test_add_data_func(modern, NULL, fn);
    g_test_add_data_func(legacy, GINT_TO_POINTER(1), fn);
}

void vt_add_modern_test(const char *path, void (*fn)(gconstpointer legacy))
{
    g_test_add_data_func(path, NULL, fn);
}
