/*
 * I/O APIC: entries to messages, edges, levels, EOI, masks, odd accesses.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <string.h>

#include "hw/intc/ioapic.h"

typedef struct Bus {
    IOAPICState *ioapic;
    unsigned msis, routes;
    uint64_t addr;
    uint32_t data;
    int taken;              /* what the CPUs answer */
    bool masked;
} Bus;

static int send_msi(void *opaque, uint64_t addr, uint32_t data)
{
    Bus *b = opaque;

    b->msis++;
    b->addr = addr;
    b->data = data;
    return b->taken;
}

static void route_changed(void *opaque, unsigned pin, uint64_t addr,
                          uint32_t data, bool masked)
{
    Bus *b = opaque;

    b->routes++;
    b->masked = masked;
}

static const IOAPICOps ops = {
    .send_msi = send_msi,
    .route_changed = route_changed,
};

static Bus *bus_new(bool ext_dest)
{
    Bus *b = g_new0(Bus, 1);

    b->taken = 1;
    b->ioapic = ioapic_new(5, ext_dest, &ops, b);
    return b;
}

static void bus_free(Bus *b)
{
    ioapic_free(b->ioapic);
    g_free(b);
}

static uint64_t mmio_read(Bus *b, hwaddr addr, unsigned size)
{
    MemoryRegion *mr = ioapic_region(b->ioapic);

    return mr->ops->read(mr->opaque, addr, size);
}

static void mmio_write(Bus *b, hwaddr addr, uint64_t data, unsigned size)
{
    MemoryRegion *mr = ioapic_region(b->ioapic);

    mr->ops->write(mr->opaque, addr, data, size);
}

static uint32_t rd(Bus *b, unsigned reg)
{
    mmio_write(b, 0, reg, 4);
    return mmio_read(b, 0x10, 4);
}

static void wr(Bus *b, unsigned reg, uint32_t value)
{
    mmio_write(b, 0, reg, 4);
    mmio_write(b, 0x10, value, 4);
}

static void set_rte(Bus *b, unsigned pin, uint64_t rte)
{
    wr(b, 0x11 + 2 * pin, rte >> 32);
    wr(b, 0x10 + 2 * pin, rte);
}

static uint64_t get_rte(Bus *b, unsigned pin)
{
    return rd(b, 0x10 + 2 * pin) | (uint64_t)rd(b, 0x11 + 2 * pin) << 32;
}

static void line(Bus *b, unsigned pin, int level)
{
    qemu_set_irq(ioapic_irq(b->ioapic, pin), level);
}

static void test_registers(void)
{
    Bus *b = bus_new(false);

    g_assert_cmphex(rd(b, 0), ==, 0x05000000);
    g_assert_cmphex(rd(b, 1), ==, 0x00170020);
    g_assert_cmphex(rd(b, 2), ==, 0x05000000);
    wr(b, 0, 0xffffffff);
    g_assert_cmphex(rd(b, 0), ==, 0x0f000000);
    wr(b, 1, 0xffffffff);
    g_assert_cmphex(rd(b, 1), ==, 0x00170020);
    for (unsigned pin = 0; pin < IOAPIC_NUM_PINS; pin++) {
        g_assert_cmphex(get_rte(b, pin), ==, 0x10000);
        set_rte(b, pin, ~0ull);
        g_assert_cmphex(get_rte(b, pin), ==, 0xff0000000001afffull);
    }
    g_assert_cmphex(rd(b, 0x40), ==, 0);
    ioapic_reset(b->ioapic);
    g_assert_cmphex(rd(b, 0), ==, 0x05000000);
    g_assert_cmphex(get_rte(b, 23), ==, 0x10000);
    bus_free(b);
}

static void test_edge(void)
{
    Bus *b = bus_new(false);

    set_rte(b, 4, 0x0300000000000031ull);
    line(b, 4, 1);
    g_assert_cmpuint(b->msis, ==, 1);
    g_assert_cmphex(b->addr, ==, 0xfee03000);
    g_assert_cmphex(b->data, ==, 0x4031);
    line(b, 4, 1);                      /* no new edge */
    g_assert_cmpuint(b->msis, ==, 1);
    line(b, 4, 0);
    line(b, 4, 1);
    g_assert_cmpuint(b->msis, ==, 2);
    line(b, 4, 0);
    set_rte(b, 4, 0x10031);             /* masked: the edge is lost */
    line(b, 4, 1);
    set_rte(b, 4, 0x31);
    g_assert_cmpuint(b->msis, ==, 2);
    set_rte(b, 4, 0x0800000000000931ull);   /* lowest priority, logical */
    line(b, 4, 0);
    line(b, 4, 1);
    g_assert_cmphex(b->addr, ==, 0xfee08004);
    g_assert_cmphex(b->data, ==, 0x4131);
    bus_free(b);
}

static void test_level(void)
{
    Bus *b = bus_new(false);

    set_rte(b, 9, 0x8045);
    line(b, 9, 1);
    g_assert_cmpuint(b->msis, ==, 1);
    g_assert_cmphex(b->data, ==, 0xc045);
    g_assert_cmphex(get_rte(b, 9), ==, 0xc045);     /* remote IRR */
    line(b, 9, 0);
    line(b, 9, 1);
    g_assert_cmpuint(b->msis, ==, 1);   /* waits for EOI */
    ioapic_eoi(b->ioapic, 0x44);
    g_assert_cmpuint(b->msis, ==, 1);
    ioapic_eoi(b->ioapic, 0x45);
    g_assert_cmpuint(b->msis, ==, 2);   /* asserted still: again */
    line(b, 9, 0);
    ioapic_eoi(b->ioapic, 0x45);
    g_assert_cmpuint(b->msis, ==, 2);
    g_assert_cmphex(get_rte(b, 9), ==, 0x8045);
    /* Two pins share a vector: one EOI for both. */
    set_rte(b, 10, 0x8045);
    line(b, 9, 1);
    line(b, 10, 1);
    g_assert_cmpuint(b->msis, ==, 4);
    mmio_write(b, 0x40, 0x45, 4);       /* EOI register */
    g_assert_cmpuint(b->msis, ==, 6);
    bus_free(b);
}

static void test_level_mask(void)
{
    Bus *b = bus_new(false);

    set_rte(b, 9, 0x18045);
    line(b, 9, 1);
    g_assert_cmpuint(b->msis, ==, 0);
    set_rte(b, 9, 0x8045);              /* unmasking finds the level */
    g_assert_cmpuint(b->msis, ==, 1);
    set_rte(b, 9, 0x18045);
    g_assert_cmphex(get_rte(b, 9), ==, 0x1c045);
    ioapic_eoi(b->ioapic, 0x45);
    g_assert_cmpuint(b->msis, ==, 1);
    set_rte(b, 9, 0x8045);
    g_assert_cmpuint(b->msis, ==, 2);
    /* Edge mode and back clears remote IRR. */
    set_rte(b, 9, 0x10045);
    g_assert_cmphex(get_rte(b, 9), ==, 0x10045);
    set_rte(b, 9, 0x8045);
    g_assert_cmpuint(b->msis, ==, 3);
    bus_free(b);
}

/* Nobody takes it: no EOI will come, so nothing waits for one. */
static void test_not_taken(void)
{
    Bus *b = bus_new(false);

    b->taken = 0;
    set_rte(b, 9, 0x8045);
    line(b, 9, 1);
    g_assert_cmphex(get_rte(b, 9), ==, 0x8045);
    b->taken = 1;
    line(b, 9, 1);
    g_assert_cmphex(get_rte(b, 9), ==, 0xc045);
    bus_free(b);
}

/* NMI and ExtINT are never levels: they have no EOI. */
static void test_modes(void)
{
    Bus *b = bus_new(false);

    for (unsigned mode = 2; mode < 8; mode++) {
        set_rte(b, 0, 0x8000 | mode << 8);
        line(b, 0, 0);
        line(b, 0, 1);
        g_assert_cmphex(b->data, ==, 0x4000 | mode << 8);
        g_assert_cmphex(get_rte(b, 0) & 0x4000, ==, 0);
        set_rte(b, 0, 0x10000);
    }
    bus_free(b);
}

/* Bits 55:49 of an entry are bits 11:5 of the message's address, where that is agreed on. */
static void test_ext_dest(void)
{
    for (unsigned ext = 0; ext <= 1; ext++) {
        Bus *b = bus_new(ext);

        set_rte(b, 3, 0x1fffffff00000031ull);
        g_assert_cmphex(get_rte(b, 3), ==, ext ? 0x1ffe000000000031ull : 0x1f00000000000031ull);
        line(b, 3, 1);
        g_assert_cmpuint(b->msis, ==, 1);
        g_assert_cmphex(b->addr, ==, ext ? 0xfee1ffe0 : 0xfee1f000);
        bus_free(b);
    }
}

static void test_routes(void)
{
    Bus *b = bus_new(false);

    set_rte(b, 3, 0x55);
    g_assert_cmpuint(b->routes, ==, 2);
    g_assert_false(b->masked);
    ioapic_reset(b->ioapic);
    g_assert_cmpuint(b->routes, ==, 2 + IOAPIC_NUM_PINS);
    g_assert_true(b->masked);
    bus_free(b);
}

static void test_sweep(void)
{
    Bus *b = bus_new(false);
    g_autofree char *text = NULL;

    for (unsigned sel = 0; sel < 256; sel++) {
        mmio_write(b, 0, sel, 1);
        g_assert_cmpuint(mmio_read(b, 0, 1), ==, sel);
        for (unsigned size = 1; size <= 4; size *= 2) {
            mmio_write(b, 0x10, 0xffffffff, size);
            mmio_read(b, 0x10, size);
        }
    }
    for (hwaddr addr = 0; addr < 0x1000; addr++) {
        for (unsigned size = 1; size <= 4; size *= 2) {
            mmio_write(b, addr, 0xffffffff, size);
            mmio_read(b, addr, size);
        }
    }
    mmio_write(b, 0, 0x10, 4);
    mmio_write(b, 0x10, 0, 4);
    mmio_write(b, 0x10, 0xff, 1);       /* narrow data is dropped */
    g_assert_cmphex(rd(b, 0x10), ==, 0);
    text = ioapic_dump(b->ioapic, 0);
    g_assert_nonnull(strstr(text, "pin 23"));
    bus_free(b);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/ioapic/registers", test_registers);
    g_test_add_func("/ioapic/edge", test_edge);
    g_test_add_func("/ioapic/level", test_level);
    g_test_add_func("/ioapic/level-mask", test_level_mask);
    g_test_add_func("/ioapic/not-taken", test_not_taken);
    g_test_add_func("/ioapic/modes", test_modes);
    g_test_add_func("/ioapic/ext-dest", test_ext_dest);
    g_test_add_func("/ioapic/routes", test_routes);
    g_test_add_func("/ioapic/sweep", test_sweep);
    return g_test_run();
}
