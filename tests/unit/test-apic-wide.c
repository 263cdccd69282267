/*
 * Local APICs with ids above 254: modes, destinations, what is not a broadcast.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "target/i386/apic.h"

#define NR_CPUS 4

static const uint32_t ids[NR_CPUS] = { 0, 0x1f, 0xff, 0x11f };

typedef struct Machine {
    APICBus *bus;
    APICState *apic[NR_CPUS];
    MemoryRegion *window;
} Machine;

static void nothing(void *cpu)
{
}

static void no_sipi(void *cpu, uint8_t vector)
{
}

static const APICCPUOps cpu_ops = {
    .interrupt = nothing, .nmi = nothing, .init = nothing, .sipi = no_sipi,
};

static uint64_t msr(APICState *apic, uint32_t n)
{
    uint64_t value = 0;

    g_assert_true(apic_msr_read(apic, n, &value));
    return value;
}

static void set_up(Machine *m, gconstpointer data)
{
    static const APICFeatures features = { .phys_bits = 40, .x2apic = true };

    m->bus = apic_bus_new(0x120, NULL, NULL);
    m->window = apic_bus_window(m->bus);
    for (unsigned i = 0; i < NR_CPUS; i++) {
        m->apic[i] = apic_new(m->bus, ids[i], i == 0);
        apic_connect_cpu(m->apic[i], &cpu_ops, NULL, &features);
        g_assert_true(apic_msr_write(m->apic[i], 0x80f, 0x1ff));
    }
}

static void tear_down(Machine *m, gconstpointer data)
{
    apic_bus_free(m->bus);
}

/* Bit n: CPU n had the interrupt, which it takes and ends. */
static unsigned pending(Machine *m)
{
    unsigned mask = 0;

    for (unsigned i = 0; i < NR_CPUS; i++) {
        if (apic_get_interrupt(m->apic[i]) >= 0) {
            mask |= 1u << i;
            apic_eoi(m->apic[i]);
        }
    }
    return mask;
}

/* SDM, "x2APIC State Transitions": as firmware leaves them; INIT keeps the mode. */
static void test_reset(Machine *m, gconstpointer data)
{
    for (unsigned i = 0; i < NR_CPUS; i++) {
        g_assert_cmphex(apic_get_base(m->apic[i]), ==, i ? 0xfee00c00 : 0xfee00d00);
        g_assert_cmphex(apic_mmio_page(m->apic[i]), ==, UINT64_MAX);
        g_assert_cmphex(msr(m->apic[i], 0x802), ==, ids[i]);
    }
    g_assert_cmphex(msr(m->apic[3], 0x80d), ==, 0x118000);      /* cluster 0x11, bit 15 */
    apic_init_reset(m->apic[3]);
    g_assert_cmphex(apic_get_base(m->apic[3]), ==, 0xfee00c00);
    g_assert_cmphex(msr(m->apic[3], 0x80d), ==, 0x118000);
    apic_bus_reset(m->bus);
    g_assert_cmphex(apic_get_base(m->apic[3]), ==, 0xfee00c00);
}

/* Bits 11:5 of the address are bits 14:8 of the destination; 0xff is a number like others. */
static void test_messages(Machine *m, gconstpointer data)
{
    static const struct {
        uint64_t addr;
        unsigned who;
    } rows[] = {
        { 0xfee1f000, 2 }, { 0xfee1f020, 8 }, { 0xfeeff000, 4 }, { 0xfeefffe0, 0 },
        { 0xfee1ffe0, 0 }, { 0xfee00000, 1 },
    };

    for (unsigned i = 0; i < G_N_ELEMENTS(rows); i++) {
        g_assert_cmpint(apic_bus_send_msi(m->bus, rows[i].addr, 0x51), ==, rows[i].who != 0);
        g_assert_cmphex(pending(m), ==, rows[i].who);
        m->window->ops->write(m->window->opaque, rows[i].addr - 0xfee00000, 0x51, 4);
        g_assert_cmphex(pending(m), ==, rows[i].who);
    }
    m->window->ops->write(m->window->opaque, 0x1f030, 0x51, 4);     /* no message */
    g_assert_cmphex(pending(m), ==, 0);
}

static void test_ipis(Machine *m, gconstpointer data)
{
    g_assert_true(apic_msr_write(m->apic[0], 0x830, 0x11full << 32 | 0x51));
    g_assert_cmphex(pending(m), ==, 8);
    g_assert_true(apic_msr_write(m->apic[0], 0x830, 0x118000ull << 32 | 0x851));
    g_assert_cmphex(pending(m), ==, 8);
    g_assert_true(apic_msr_write(m->apic[3], 0x830, 0xffffffffull << 32 | 0x51));
    g_assert_cmphex(pending(m), ==, 15);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add("/apic-wide/reset", Machine, NULL, set_up, test_reset, tear_down);
    g_test_add("/apic-wide/messages", Machine, NULL, set_up, test_messages, tear_down);
    g_test_add("/apic-wide/ipis", Machine, NULL, set_up, test_ipis, tear_down);
    return g_test_run();
}
