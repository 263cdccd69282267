/*
 * The user-space controllers wired up: from a line to a vector and back, through
 * the machine's address spaces, with our local APICs and in split mode.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <string.h>

#include "hw/i386/irqchip.h"
#include "hw/i386/microvm.h"
#include "qemu/main-loop.h"
#include "qemu/timer.h"
#include "sysemu/reset.h"

typedef struct FakeAccel {
    AccelState parent;
    AccelIrqchip chip;
    int intr_level;
    unsigned msis, routes;
    uint64_t addr;
    uint32_t data;
    unsigned pin;
    bool fail, masked;
    uint32_t attached;
} FakeAccel;

typedef struct Fixture {
    MachineState ms;
    FakeAccel accel;
    X86Irqchip *chip;
    qemu_irq gsi[X86_NUM_GSIS];
} Fixture;

static void set_intr(void *opaque, int n, int level)
{
    ((FakeAccel *)opaque)->intr_level = level;
}

static bool create_irqchip(AccelState *as, AccelIrqchip *chip, Error **errp)
{
    FakeAccel *fa = (FakeAccel *)as;

    if (fa->fail) {
        error_setg(errp, "no");
        return false;
    }
    chip->intr = (qemu_irq) { .handler = set_intr, .opaque = fa };
    fa->chip = *chip;
    return true;
}

static int send_msi(AccelState *as, uint64_t addr, uint32_t data)
{
    FakeAccel *fa = (FakeAccel *)as;

    fa->msis++;
    fa->addr = addr;
    fa->data = data;
    return 1;
}

static void set_msi_route(AccelState *as, unsigned n, uint64_t addr,
                          uint32_t data, bool masked)
{
    FakeAccel *fa = (FakeAccel *)as;

    fa->routes++;
    fa->pin = n;
    fa->data = data;
    fa->masked = masked;
}

static int attach_irqfd(AccelState *as, unsigned n, EventNotifier *e)
{
    ((FakeAccel *)as)->attached |= 1u << n;
    return 0;
}

static void detach_irqfd(AccelState *as, unsigned n, EventNotifier *e)
{
    ((FakeAccel *)as)->attached &= ~(1u << n);
}

static const AccelClass accel_class = {
    .oc = { .name = "fake" },
    .create_irqchip = create_irqchip,
    .send_msi = send_msi,
    .set_msi_route = set_msi_route,
    .attach_irqfd = attach_irqfd,
    .detach_irqfd = detach_irqfd,
};

static const MachineClass machine_class = { .oc = { .name = "fake" } };

static Fixture *fixture_new(AccelIrqchipMode mode, bool pic, bool pit)
{
    Fixture *f = g_new0(Fixture, 1);
    X86IrqchipConfig config = {
        .mode = mode, .pic = pic, .ioapic_id = 2, .apic_id_limit = 2,
    };

    f->accel.parent.obj.oc = &accel_class.oc;
    f->ms.obj.oc = &machine_class.oc;
    f->ms.accel = &f->accel.parent;
    f->ms.devices = g_ptr_array_new();
    memory_region_init(&f->ms.system_memory, "system", UINT64_MAX);
    memory_region_init(&f->ms.system_io, "io", 65536);
    address_space_init(&f->ms.memory, &f->ms.system_memory, "memory", false);
    address_space_init(&f->ms.io, &f->ms.system_io, "I/O", true);
    f->chip = x86_irqchip_new(&f->ms, &config, f->gsi, NULL);
    g_assert_nonnull(f->chip);
    if (pit) {
        x86_irqchip_add_pit(f->chip, &f->ms, f->gsi[0]);
    }
    g_assert_true(address_space_seal(&f->ms.memory, NULL));
    g_assert_true(address_space_seal(&f->ms.io, NULL));
    if (f->ms.apic_bus) {
        apic_new(f->ms.apic_bus, 0, true);
        apic_new(f->ms.apic_bus, 1, false);
        apic_mmio_write(apic_bus_find(f->ms.apic_bus, 0), 0xf0, 0x1ff, 4);
        apic_mmio_write(apic_bus_find(f->ms.apic_bus, 1), 0xf0, 0x1ff, 4);
    }
    return f;
}

static void fixture_free(Fixture *f)
{
    address_space_destroy(&f->ms.memory);
    address_space_destroy(&f->ms.io);
    x86_irqchip_free(f->chip);
    g_ptr_array_unref(f->ms.devices);
    g_ptr_array_unref(f->ms.reset_handlers);
    g_free(f);
}

static bool outb(Fixture *f, unsigned port, uint64_t value)
{
    return address_space_rw(&f->ms.io, port, &value, 1, true);
}

static bool inb(Fixture *f, unsigned port, uint8_t *out)
{
    uint64_t value = 0;
    bool ok = address_space_rw(&f->ms.io, port, &value, 1, false);

    *out = value;
    return ok;
}

static bool writel(Fixture *f, hwaddr addr, uint64_t value)
{
    return address_space_rw(&f->ms.memory, addr, &value, 4, true);
}

static void set_rte(Fixture *f, unsigned pin, uint64_t rte)
{
    writel(f, 0xfec00000, 0x11 + 2 * pin);
    writel(f, 0xfec00010, rte >> 32);
    writel(f, 0xfec00000, 0x10 + 2 * pin);
    writel(f, 0xfec00010, rte & 0xffffffff);
}

static void init_pics(Fixture *f)
{
    outb(f, 0x20, 0x11);
    outb(f, 0x21, 0x20);
    outb(f, 0x21, 4);
    outb(f, 0x21, 1);
}

static void test_edge(void)
{
    Fixture *f = fixture_new(ACCEL_IRQCHIP_USER, true, true);
    APICState *apic = apic_bus_find(f->ms.apic_bus, 1);

    set_rte(f, 5, 1ull << 56 | 0x35);
    qemu_set_irq(f->gsi[5], 1);
    g_assert_cmpint(apic_get_interrupt(apic), ==, 0x35);
    apic_eoi(apic);
    qemu_set_irq(f->gsi[5], 0);
    g_assert_cmpint(apic_get_interrupt(apic), ==, -1);
    set_rte(f, 23, 1ull << 56 | 0x65);
    qemu_set_irq(f->gsi[23], 1);
    g_assert_cmpint(apic_get_interrupt(apic), ==, 0x65);
    fixture_free(f);
}

/* The EOI of a CPU reaches the I/O APIC, which asks again. */
static void test_level(void)
{
    Fixture *f = fixture_new(ACCEL_IRQCHIP_USER, true, true);
    APICState *apic = apic_bus_find(f->ms.apic_bus, 0);

    set_rte(f, 9, 0x8035);
    qemu_set_irq(f->gsi[9], 1);
    g_assert_cmpint(apic_get_interrupt(apic), ==, 0x35);
    apic_eoi(apic);
    g_assert_cmpint(apic_get_interrupt(apic), ==, 0x35);
    qemu_set_irq(f->gsi[9], 0);
    apic_eoi(apic);
    g_assert_false(apic_has_interrupt(apic));
    fixture_free(f);
}

static void test_msi(void)
{
    Fixture *f = fixture_new(ACCEL_IRQCHIP_USER, true, true);

    g_assert_true(writel(f, 0xfee01000, 0x77));
    g_assert_cmpint(apic_get_interrupt(apic_bus_find(f->ms.apic_bus, 1)), ==, 0x77);
    fixture_free(f);
}

/* PIT to PIC to LINT0 of the boot processor, and to the I/O APIC. */
static void test_virtual_wire(void)
{
    Fixture *f = fixture_new(ACCEL_IRQCHIP_USER, true, true);
    APICState *bsp = apic_bus_find(f->ms.apic_bus, 0);
    APICState *ap = apic_bus_find(f->ms.apic_bus, 1);

    init_pics(f);
    apic_mmio_write(bsp, 0x350, 0x700, 4);
    set_rte(f, 0, 1ull << 56 | 0x41);
    outb(f, 0x43, 0x34);
    outb(f, 0x40, 0xa9);    /* 1193 ticks: a millisecond */
    outb(f, 0x40, 0x04);
    qemu_set_irq(f->gsi[0], 0);
    while (apic_get_interrupt(ap) >= 0) {   /* the PIT's output rose already */
        apic_eoi(ap);
    }
    while (apic_get_interrupt(bsp) >= 0) {
        outb(f, 0x20, 0x20);
    }
    qemu_clock_advance_virtual(qemu_clock_get_ns(QEMU_CLOCK_VIRTUAL) + 1100000);
    g_assert_cmpint(apic_get_interrupt(bsp), ==, 0x20);
    g_assert_cmpint(apic_get_interrupt(bsp), ==, -1);
    g_assert_cmpint(apic_get_interrupt(ap), ==, 0x41);
    fixture_free(f);
}

static void test_absent(void)
{
    Fixture *f = fixture_new(ACCEL_IRQCHIP_USER, false, false);
    static const unsigned ports[] = { 0x20, 0x21, 0xa0, 0xa1, 0x4d0, 0x4d1, 0x40,
                                      0x43, 0x61 };
    uint8_t value;

    for (unsigned i = 0; i < G_N_ELEMENTS(ports); i++) {
        g_assert_false(inb(f, ports[i], &value));
        g_assert_cmphex(value, ==, 0xff);
        g_assert_false(outb(f, ports[i], 0x11));
    }
    qemu_set_irq(f->gsi[3], 1);      /* goes to the I/O APIC alone */
    fixture_free(f);
    f = fixture_new(ACCEL_IRQCHIP_USER, true, true);
    for (unsigned i = 0; i < G_N_ELEMENTS(ports); i++) {
        g_assert_true(inb(f, ports[i], &value));
    }
    fixture_free(f);
}

static void test_reset(void)
{
    Fixture *f = fixture_new(ACCEL_IRQCHIP_USER, true, true);
    APICState *apic = apic_bus_find(f->ms.apic_bus, 0);
    g_autofree char *text = NULL;

    set_rte(f, 9, 0x35);
    init_pics(f);
    outb(f, 0x21, 0xaa);
    qemu_devices_reset(&f->ms);
    qemu_set_irq(f->gsi[9], 1);
    g_assert_cmphex(apic_mmio_read(apic, 0xf0, 4), ==, 0xff);
    text = x86_irqchip_dump(f->chip);
    g_assert_nonnull(strstr(text, "pin 9  0x0000000000010000"));
    g_assert_nonnull(strstr(text, "imr=ff"));
    fixture_free(f);
}

static void test_split(void)
{
    Fixture *f = fixture_new(ACCEL_IRQCHIP_SPLIT, true, true);

    g_assert_null(f->ms.apic_bus);
    g_assert_false(writel(f, 0xfee00000, 0x77));    /* not ours */
    set_rte(f, 9, 3ull << 56 | 0x8035);
    g_assert_cmpuint(f->accel.routes, ==, 2);       /* a write per half */
    g_assert_false(f->accel.masked);
    g_assert_cmpuint(f->accel.pin, ==, 9);
    qemu_set_irq(f->gsi[9], 1);
    g_assert_cmpuint(f->accel.msis, ==, 1);
    g_assert_cmphex(f->accel.addr, ==, 0xfee03000);
    g_assert_cmphex(f->accel.data, ==, 0xc035);
    f->accel.chip.eoi(f->accel.chip.opaque, 0x35);
    g_assert_cmpuint(f->accel.msis, ==, 2);
    set_rte(f, 9, 0x18035);
    g_assert_true(f->accel.masked);
    g_assert_null(f->gsi[9].ops);                   /* the PICs want to see it */
    init_pics(f);
    qemu_set_irq(f->gsi[4], 1);
    g_assert_cmpint(f->accel.intr_level, ==, 1);
    g_assert_cmphex(f->accel.chip.extint_ack(f->accel.chip.opaque), ==, 0x24);
    g_assert_cmpint(f->accel.intr_level, ==, 0);
    fixture_free(f);
    f = fixture_new(ACCEL_IRQCHIP_SPLIT, false, true);
    g_assert_cmpint(f->accel.chip.extint_ack(f->accel.chip.opaque), ==, -1);
    g_assert_false(f->accel.chip.pic);
    g_assert_cmpint(f->gsi[9].ops->attach(f->gsi[9].opaque, f->gsi[9].n, NULL), ==, 0);
    g_assert_cmphex(f->accel.attached, ==, 1u << 9);
    f->gsi[9].ops->detach(f->gsi[9].opaque, f->gsi[9].n, NULL);
    g_assert_cmphex(f->accel.attached, ==, 0);
    fixture_free(f);
}

static void test_split_fails(void)
{
    Fixture *f = fixture_new(ACCEL_IRQCHIP_USER, true, true);
    X86IrqchipConfig config = { .mode = ACCEL_IRQCHIP_SPLIT };
    g_autoptr(Error) err = NULL;

    f->accel.fail = true;
    g_assert_null(x86_irqchip_new(&f->ms, &config, f->gsi, &err));
    g_assert_cmpstr(error_get_pretty(err), ==, "no");
    fixture_free(f);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    qemu_init_main_loop();
    bql_unlock();   /* accesses take it where they need it: nowhere here */
    qemu_clock_virtual_manual();
    g_test_add_func("/irqchip/edge", test_edge);
    g_test_add_func("/irqchip/level", test_level);
    g_test_add_func("/irqchip/msi", test_msi);
    g_test_add_func("/irqchip/virtual-wire", test_virtual_wire);
    g_test_add_func("/irqchip/absent", test_absent);
    g_test_add_func("/irqchip/reset", test_reset);
    g_test_add_func("/irqchip/split", test_split);
    g_test_add_func("/irqchip/split-fails", test_split_fails);
    return g_test_run();
}
