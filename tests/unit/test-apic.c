/*
 * Local APIC: priorities, EOI, IPIs, timers, x2APIC, hostile register values.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <string.h>

#include "target/i386/apic.h"
#include "hw/core/state.h"
#include "qemu/timer.h"

/* Register offsets, from the SDM and not from the code under test. */
#define APIC_ID     0x020
#define APIC_VER    0x030
#define APIC_TPR    0x080
#define APIC_PPR    0x0a0
#define APIC_EOI    0x0b0
#define APIC_LDR    0x0d0
#define APIC_DFR    0x0e0
#define APIC_SVR    0x0f0
#define APIC_ISR    0x100
#define APIC_TMR    0x180
#define APIC_IRR    0x200
#define APIC_ESR    0x280
#define APIC_ICR    0x300
#define APIC_ICR2   0x310
#define APIC_LVTT   0x320
#define APIC_LVT0   0x350
#define APIC_LVT1   0x360
#define APIC_LVTERR 0x370
#define APIC_TMICT  0x380
#define APIC_TMCCT  0x390
#define APIC_TDCR   0x3e0

#define NR_CPUS     4
#define TSC_HZ      3000000000ull

typedef struct FakeCPU {
    APICState *apic;
    unsigned interrupts, nmis, inits, sipis;
    uint8_t sipi_vector;
} FakeCPU;

typedef struct Machine {
    APICBus *bus;
    FakeCPU cpu[NR_CPUS];
    int eoi_vector;         /* last broadcast, or -1 */
    unsigned eois;
    int extint_vector;
    unsigned acks;
} Machine;

static void fake_interrupt(void *cpu)
{
    ((FakeCPU *)cpu)->interrupts++;
}

static void fake_nmi(void *cpu)
{
    ((FakeCPU *)cpu)->nmis++;
}

static void fake_init(void *cpu)
{
    ((FakeCPU *)cpu)->inits++;
}

static void fake_sipi(void *cpu, uint8_t vector)
{
    ((FakeCPU *)cpu)->sipis++;
    ((FakeCPU *)cpu)->sipi_vector = vector;
}

/* 3 GHz on the virtual clock. */
static uint64_t fake_tsc(void *cpu)
{
    return qemu_clock_get_ns(QEMU_CLOCK_VIRTUAL) * 3;
}

static const APICCPUOps cpu_ops = {
    .interrupt = fake_interrupt,
    .nmi = fake_nmi,
    .init = fake_init,
    .sipi = fake_sipi,
    .read_tsc = fake_tsc,
};

static void fake_eoi(void *opaque, uint8_t vector)
{
    ((Machine *)opaque)->eoi_vector = vector;
    ((Machine *)opaque)->eois++;
}

static int fake_extint_ack(void *opaque)
{
    ((Machine *)opaque)->acks++;
    return ((Machine *)opaque)->extint_vector;
}

static const APICBusOps bus_ops = {
    .eoi = fake_eoi,
    .extint_ack = fake_extint_ack,
};

static void wr(FakeCPU *cpu, uint32_t reg, uint32_t value)
{
    apic_mmio_write(cpu->apic, reg, value, 4);
}

static uint32_t rd(FakeCPU *cpu, uint32_t reg)
{
    return apic_mmio_read(cpu->apic, reg, 4);
}

static const uint32_t fake_ids[NR_CPUS] = { 0, 1, 2, 17 };

/* Four CPUs with all APICs software-enabled. */
static Machine *machine_new(void)
{
    static const APICFeatures features = {
        .phys_bits = 40, .x2apic = true, .tsc_deadline = true, .tsc_hz = TSC_HZ,
    };
    Machine *m = g_new0(Machine, 1);

    m->eoi_vector = -1;
    m->bus = apic_bus_new(18, &bus_ops, m);
    for (unsigned i = 0; i < NR_CPUS; i++) {
        m->cpu[i].apic = apic_new(m->bus, fake_ids[i], i == 0);
        apic_connect_cpu(m->cpu[i].apic, &cpu_ops, &m->cpu[i], &features);
        wr(&m->cpu[i], APIC_SVR, 0x1ff);
    }
    return m;
}

static void machine_free(Machine *m)
{
    apic_bus_free(m->bus);
    g_free(m);
}

static uint64_t msr(FakeCPU *cpu, uint32_t n)
{
    uint64_t value = 0;

    g_assert_true(apic_msr_read(cpu->apic, n, &value));
    return value;
}

static void wrmsr(FakeCPU *cpu, uint32_t n, uint64_t value)
{
    g_assert_true(apic_msr_write(cpu->apic, n, value));
}

static void go_x2apic(FakeCPU *cpu)
{
    wrmsr(cpu, MSR_APIC_BASE, msr(cpu, MSR_APIC_BASE) | 1 << 10);
}

static void msi(Machine *m, unsigned dest, uint32_t data)
{
    apic_bus_send_msi(m->bus, 0xfee00000u | dest << 12, data);
}

static void advance(int64_t ns)
{
    qemu_clock_advance_virtual(qemu_clock_get_ns(QEMU_CLOCK_VIRTUAL) + ns);
}

static void test_reset(void)
{
    Machine *m = machine_new();

    apic_reset(m->cpu[0].apic);
    apic_reset(m->cpu[3].apic);
    g_assert_cmphex(rd(&m->cpu[3], APIC_ID), ==, 17u << 24);
    g_assert_cmphex(rd(&m->cpu[0], APIC_VER), ==, 0x00050014);
    g_assert_cmphex(rd(&m->cpu[0], APIC_SVR), ==, 0xff);
    g_assert_cmphex(rd(&m->cpu[0], APIC_DFR), ==, 0xffffffff);
    g_assert_cmphex(rd(&m->cpu[0], APIC_LVTT), ==, 0x10000);
    g_assert_cmphex(rd(&m->cpu[0], APIC_LVT0), ==, 0x700);
    g_assert_cmphex(rd(&m->cpu[3], APIC_LVT0), ==, 0x10000);
    g_assert_cmphex(apic_get_base(m->cpu[0].apic), ==, 0xfee00900);
    g_assert_cmphex(apic_get_base(m->cpu[3].apic), ==, 0xfee00800);
    g_assert_cmphex(apic_mmio_page(m->cpu[0].apic), ==, 0xfee00000);
    /* Nothing comes through while it is software-disabled. */
    msi(m, 17, 0x50);
    g_assert_false(apic_has_interrupt(m->cpu[3].apic));
    machine_free(m);
}

/* Higher classes first; equal or lower classes wait for EOI. */
static void test_priority(void)
{
    Machine *m = machine_new();
    FakeCPU *cpu = &m->cpu[0];

    msi(m, 0, 0x41);
    msi(m, 0, 0x61);
    msi(m, 0, 0x65);
    g_assert_cmpuint(cpu->interrupts, ==, 3);
    msi(m, 0, 0x65);
    g_assert_cmpuint(cpu->interrupts, ==, 3);   /* in IRR already: no new wake */
    g_assert_cmpint(apic_get_interrupt(cpu->apic), ==, 0x65);
    g_assert_cmphex(rd(cpu, APIC_ISR + 0x30), ==, 1u << 5);
    g_assert_cmphex(rd(cpu, APIC_IRR + 0x30), ==, 1u << 1);
    g_assert_cmphex(rd(cpu, APIC_IRR + 0x20), ==, 1u << 1);
    g_assert_cmphex(rd(cpu, APIC_PPR), ==, 0x60);
    g_assert_cmpint(apic_get_interrupt(cpu->apic), ==, -1);
    msi(m, 0, 0x71);
    g_assert_cmpint(apic_get_interrupt(cpu->apic), ==, 0x71);   /* nests */
    wr(cpu, APIC_EOI, 0);
    g_assert_false(apic_has_interrupt(cpu->apic));
    cpu->interrupts = 0;
    wr(cpu, APIC_EOI, 0);
    g_assert_cmpuint(cpu->interrupts, >, 0);    /* EOI tells of the next */
    g_assert_cmpint(apic_get_interrupt(cpu->apic), ==, 0x61);
    wr(cpu, APIC_EOI, 0);
    g_assert_cmpint(apic_get_interrupt(cpu->apic), ==, 0x41);
    wr(cpu, APIC_EOI, 0);
    wr(cpu, APIC_EOI, 0);   /* one too many */
    g_assert_cmphex(rd(cpu, APIC_PPR), ==, 0);
    g_assert_cmpuint(m->eois, ==, 0);           /* edges are not broadcast */
    machine_free(m);
}

static void test_tpr(void)
{
    Machine *m = machine_new();
    FakeCPU *cpu = &m->cpu[1];

    apic_set_cr8(cpu->apic, 5);
    g_assert_cmphex(rd(cpu, APIC_TPR), ==, 0x50);
    msi(m, 1, 0x5f);
    g_assert_false(apic_has_interrupt(cpu->apic));
    msi(m, 1, 0x60);
    g_assert_cmpint(apic_get_interrupt(cpu->apic), ==, 0x60);
    wr(cpu, APIC_EOI, 0);
    cpu->interrupts = 0;
    wr(cpu, APIC_TPR, 0x4f);
    g_assert_cmpuint(cpu->interrupts, ==, 1);
    g_assert_cmpuint(apic_get_cr8(cpu->apic), ==, 4);
    g_assert_cmphex(rd(cpu, APIC_PPR), ==, 0x4f);
    g_assert_cmpint(apic_get_interrupt(cpu->apic), ==, 0x5f);
    machine_free(m);
}

static void test_level_eoi(void)
{
    Machine *m = machine_new();
    FakeCPU *cpu = &m->cpu[0];

    msi(m, 0, 0xc033);      /* level, assert */
    g_assert_cmphex(rd(cpu, APIC_TMR + 0x10), ==, 1u << 19);
    g_assert_cmpint(apic_get_interrupt(cpu->apic), ==, 0x33);
    wr(cpu, APIC_EOI, 0);
    g_assert_cmpint(m->eoi_vector, ==, 0x33);
    msi(m, 0, 0x8034);      /* level, de-assert: nothing */
    g_assert_false(apic_has_interrupt(cpu->apic));
    msi(m, 0, 0x0033);      /* the same vector as an edge */
    g_assert_cmphex(rd(cpu, APIC_TMR + 0x10), ==, 0);
    machine_free(m);
}

/* Every vector, both ends of the words. */
static void test_all_vectors(void)
{
    Machine *m = machine_new();
    FakeCPU *cpu = &m->cpu[0];

    for (unsigned v = 16; v < 256; v++) {
        msi(m, 0, v);
        g_assert_cmphex(rd(cpu, APIC_IRR + v / 32 * 16), ==, 1u << v % 32);
        g_assert_cmpint(apic_get_interrupt(cpu->apic), ==, v);
        g_assert_cmphex(rd(cpu, APIC_ISR + v / 32 * 16), ==, 1u << v % 32);
        wr(cpu, APIC_EOI, 0);
    }
    for (unsigned v = 0; v < 16; v++) {
        g_assert_cmpint(apic_bus_send_msi(m->bus, 0xfee00000, v), ==, 0);
    }
    wr(cpu, APIC_ESR, 0);
    g_assert_cmphex(rd(cpu, APIC_ESR), ==, 0x40);
    machine_free(m);
}

static unsigned pending_mask(Machine *m)
{
    unsigned mask = 0;

    for (unsigned i = 0; i < NR_CPUS; i++) {
        int v = apic_get_interrupt(m->cpu[i].apic);

        if (v >= 0) {
            mask |= 1u << i;
            apic_eoi(m->cpu[i].apic);
        }
    }
    return mask;
}

static void ipi(FakeCPU *cpu, uint32_t dest, uint32_t icr)
{
    wr(cpu, APIC_ICR2, dest << 24);
    wr(cpu, APIC_ICR, icr);
}

static void test_ipi_physical(void)
{
    Machine *m = machine_new();

    ipi(&m->cpu[0], 17, 0x4055);
    g_assert_cmphex(pending_mask(m), ==, 8);
    ipi(&m->cpu[0], 0xff, 0x4055);
    g_assert_cmphex(pending_mask(m), ==, 15);
    ipi(&m->cpu[0], 5, 0x4055);             /* nobody */
    g_assert_cmphex(pending_mask(m), ==, 0);
    ipi(&m->cpu[1], 99, 0x44055);           /* self */
    g_assert_cmphex(pending_mask(m), ==, 2);
    ipi(&m->cpu[1], 99, 0x84055);           /* all */
    g_assert_cmphex(pending_mask(m), ==, 15);
    ipi(&m->cpu[1], 99, 0xc4055);           /* others */
    g_assert_cmphex(pending_mask(m), ==, 13);
    g_assert_cmphex(rd(&m->cpu[1], APIC_ICR), ==, 0xc4055);     /* idle */
    machine_free(m);
}

static void test_ipi_logical(void)
{
    Machine *m = machine_new();

    for (unsigned i = 0; i < NR_CPUS; i++) {    /* flat */
        wr(&m->cpu[i], APIC_LDR, 1u << (24 + i));
    }
    ipi(&m->cpu[0], 0x0a, 0x4855);
    g_assert_cmphex(pending_mask(m), ==, 10);
    ipi(&m->cpu[0], 0x10, 0x4855);
    g_assert_cmphex(pending_mask(m), ==, 0);
    ipi(&m->cpu[0], 0xff, 0x4855);
    g_assert_cmphex(pending_mask(m), ==, 15);
    for (unsigned i = 0; i < NR_CPUS; i++) {    /* two clusters of two */
        wr(&m->cpu[i], APIC_DFR, 0x0fffffff);
        wr(&m->cpu[i], APIC_LDR, (i / 2) << 28 | 1u << (24 + i % 2));
    }
    ipi(&m->cpu[0], 0x13, 0x4855);
    g_assert_cmphex(pending_mask(m), ==, 12);
    ipi(&m->cpu[0], 0x02, 0x4855);
    g_assert_cmphex(pending_mask(m), ==, 2);
    ipi(&m->cpu[0], 0x21, 0x4855);
    g_assert_cmphex(pending_mask(m), ==, 0);
    machine_free(m);
}

static void test_lowest_priority(void)
{
    Machine *m = machine_new();
    unsigned seen = 0;

    for (unsigned i = 0; i < NR_CPUS; i++) {
        wr(&m->cpu[i], APIC_LDR, 1u << (24 + i));
    }
    apic_set_cr8(m->cpu[0].apic, 3);
    apic_set_cr8(m->cpu[1].apic, 2);
    apic_set_cr8(m->cpu[2].apic, 3);
    apic_set_cr8(m->cpu[3].apic, 3);
    for (unsigned i = 0; i < 8; i++) {      /* the least busy of all */
        ipi(&m->cpu[0], 0x0f, 0x4955);
        g_assert_cmphex(pending_mask(m), ==, 2);
    }
    ipi(&m->cpu[0], 0x0d, 0x4955);          /* CPU 1 is not asked */
    g_assert_cmpint(__builtin_popcount(pending_mask(m)), ==, 1);
    apic_set_cr8(m->cpu[1].apic, 3);
    for (unsigned i = 0; i < 64; i++) {     /* equals share the work */
        unsigned mask;

        ipi(&m->cpu[0], 0x0f, 0x4955);
        mask = pending_mask(m);
        g_assert_cmpint(__builtin_popcount(mask), ==, 1);
        seen |= mask;
    }
    g_assert_cmphex(seen, ==, 15);
    /* An APIC that is off is no candidate, though it looks idle. */
    wr(&m->cpu[1], APIC_SVR, 0xff);
    apic_set_cr8(m->cpu[1].apic, 0);
    ipi(&m->cpu[0], 0x0f, 0x4955);
    g_assert_cmphex(pending_mask(m) & 2, ==, 0);
    /* MSI with redirection hint. */
    g_assert_cmpint(apic_bus_send_msi(m->bus, 0xfee0f00c, 0x55), ==, 1);
    g_assert_cmpint(apic_bus_send_msi(m->bus, 0xfee0f004, 0x56), ==, 3);
    machine_free(m);
}

static void test_init_sipi_nmi(void)
{
    Machine *m = machine_new();

    ipi(&m->cpu[0], 1, 0xc500);         /* INIT, level assert */
    ipi(&m->cpu[0], 1, 0x8500);         /* de-assert: nothing */
    g_assert_cmpuint(m->cpu[1].inits, ==, 1);
    ipi(&m->cpu[0], 1, 0x0699);
    g_assert_cmpuint(m->cpu[1].sipis, ==, 1);
    g_assert_cmphex(m->cpu[1].sipi_vector, ==, 0x99);
    ipi(&m->cpu[0], 0, 0xc0601);        /* SIPI to all others, any vector */
    g_assert_cmpuint(m->cpu[0].sipis, ==, 0);
    g_assert_cmpuint(m->cpu[3].sipis, ==, 1);
    ipi(&m->cpu[0], 2, 0x0400);
    g_assert_cmpuint(m->cpu[2].nmis, ==, 1);
    ipi(&m->cpu[0], 0, 0x80500);        /* INIT to all with self: invalid */
    ipi(&m->cpu[0], 0, 0x40600);
    g_assert_cmpuint(m->cpu[0].inits + m->cpu[0].sipis, ==, 0);
    qemu_set_irq(apic_bus_lint(m->bus, 1), 1);      /* LINT1 is masked after reset */
    qemu_set_irq(apic_bus_lint(m->bus, 1), 0);
    g_assert_cmpuint(m->cpu[2].nmis, ==, 1);
    wr(&m->cpu[2], APIC_LVT1, 0x400);
    qemu_set_irq(apic_bus_lint(m->bus, 1), 1);
    qemu_set_irq(apic_bus_lint(m->bus, 1), 1);
    g_assert_cmpuint(m->cpu[2].nmis, ==, 2);    /* on the edge only */
    machine_free(m);
}

static void test_init_reset(void)
{
    Machine *m = machine_new();
    FakeCPU *cpu = &m->cpu[3];

    go_x2apic(cpu);
    msi(m, 17, 0x44);
    apic_init_reset(cpu->apic);
    g_assert_false(apic_has_interrupt(cpu->apic));
    g_assert_cmphex(msr(cpu, MSR_APIC_BASE), ==, 0xfee00c00);
    g_assert_cmphex(msr(cpu, 0x802), ==, 17);
    g_assert_cmphex(msr(cpu, 0x80f), ==, 0xff);
    machine_free(m);
}

static void test_extint(void)
{
    Machine *m = machine_new();
    FakeCPU *cpu = &m->cpu[0];
    qemu_irq intr = apic_bus_lint(m->bus, 0);

    m->extint_vector = 0x30;
    wr(cpu, APIC_LVT0, 0x700);
    apic_set_cr8(cpu->apic, 15);        /* ExtINT has no priority */
    qemu_set_irq(intr, 1);
    g_assert_true(apic_has_interrupt(cpu->apic));
    g_assert_false(apic_has_interrupt(m->cpu[1].apic));
    g_assert_cmpint(apic_get_interrupt(cpu->apic), ==, 0x30);
    g_assert_cmphex(rd(cpu, APIC_ISR + 0x10), ==, 0);
    qemu_set_irq(intr, 0);
    g_assert_false(apic_has_interrupt(cpu->apic));
    wr(cpu, APIC_LVT0, 0x10700);
    qemu_set_irq(intr, 1);
    g_assert_false(apic_has_interrupt(cpu->apic));
    cpu->interrupts = 0;
    wr(cpu, APIC_LVT0, 0x700);          /* unmasked while high */
    g_assert_cmpuint(cpu->interrupts, ==, 1);
    /* As a message, once, with the pin low. */
    qemu_set_irq(intr, 0);
    msi(m, 2, 0x0700);
    g_assert_cmpint(apic_get_interrupt(m->cpu[2].apic), ==, 0x30);
    g_assert_false(apic_has_interrupt(m->cpu[2].apic));
    /* Globally disabled: LINT0 is INTR. */
    wrmsr(&m->cpu[1], MSR_APIC_BASE, 0xfee00000);
    g_assert_false(apic_has_interrupt(m->cpu[1].apic));
    qemu_set_irq(intr, 1);
    g_assert_cmpint(apic_get_interrupt(m->cpu[1].apic), ==, 0x30);
    g_assert_cmpuint(m->acks, ==, 3);
    machine_free(m);
}

static void test_lint_level(void)
{
    Machine *m = machine_new();
    FakeCPU *cpu = &m->cpu[0];
    qemu_irq intr = apic_bus_lint(m->bus, 0);

    wr(cpu, APIC_LVT0, 0x8045);         /* fixed, level */
    qemu_set_irq(intr, 1);
    qemu_set_irq(intr, 1);
    g_assert_cmphex(rd(cpu, APIC_LVT0), ==, 0xc045);    /* remote IRR */
    g_assert_cmpint(apic_get_interrupt(cpu->apic), ==, 0x45);
    g_assert_cmpint(apic_get_interrupt(cpu->apic), ==, -1);
    wr(cpu, APIC_EOI, 0);
    g_assert_cmpint(apic_get_interrupt(cpu->apic), ==, 0x45);   /* still high */
    qemu_set_irq(intr, 0);
    wr(cpu, APIC_EOI, 0);
    g_assert_false(apic_has_interrupt(cpu->apic));
    g_assert_cmphex(rd(cpu, APIC_LVT0), ==, 0x8045);
    wr(cpu, APIC_LVT0, 0x0045);         /* edge */
    qemu_set_irq(intr, 1);
    qemu_set_irq(intr, 0);
    g_assert_cmpint(apic_get_interrupt(cpu->apic), ==, 0x45);
    machine_free(m);
}

static void test_errors(void)
{
    Machine *m = machine_new();
    FakeCPU *cpu = &m->cpu[0];

    wr(cpu, APIC_LVTERR, 0xfe);
    ipi(cpu, 0, 0x4005);                /* illegal vector sent */
    g_assert_cmphex(rd(cpu, APIC_ESR), ==, 0);
    wr(cpu, APIC_ESR, 0);
    g_assert_cmphex(rd(cpu, APIC_ESR), ==, 0x20);
    g_assert_cmpint(apic_get_interrupt(cpu->apic), ==, 0xfe);
    wr(cpu, APIC_EOI, 0);
    rd(cpu, 0x3f0);                     /* a hole */
    wr(cpu, APIC_ESR, 0);
    g_assert_cmphex(rd(cpu, APIC_ESR), ==, 0x80);
    wr(cpu, APIC_ESR, 0);
    g_assert_cmphex(rd(cpu, APIC_ESR), ==, 0);
    wr(cpu, APIC_LVTERR, 0x03);         /* the error interrupt is in error */
    ipi(cpu, 0, 0x4005);
    wr(cpu, APIC_ESR, 0);
    g_assert_cmphex(rd(cpu, APIC_ESR), ==, 0x60);
    machine_free(m);
}

/* Software disable masks the LVT and keeps what is pending. */
static void test_software_disable(void)
{
    Machine *m = machine_new();
    FakeCPU *cpu = &m->cpu[0];

    wr(cpu, APIC_LVTERR, 0xfe);
    msi(m, 0, 0x51);
    wr(cpu, APIC_SVR, 0xff);
    g_assert_cmphex(rd(cpu, APIC_LVTERR), ==, 0x100fe);
    wr(cpu, APIC_LVTERR, 0xfd);
    g_assert_cmphex(rd(cpu, APIC_LVTERR), ==, 0x100fd);
    msi(m, 0, 0x61);
    g_assert_cmpint(apic_get_interrupt(cpu->apic), ==, 0x51);
    wr(cpu, APIC_EOI, 0);
    g_assert_cmpint(apic_get_interrupt(cpu->apic), ==, -1);
    wr(cpu, APIC_SVR, 0xffffffff);
    g_assert_cmphex(rd(cpu, APIC_SVR), ==, 0x3ff);
    machine_free(m);
}

static void test_base(void)
{
    Machine *m = machine_new();
    FakeCPU *cpu = &m->cpu[0];
    APICState *apic = cpu->apic;

    /* xAPIC: reserved bits; EXTD without EN. */
    g_assert_false(apic_msr_write(apic, MSR_APIC_BASE, 0xfee00901));
    g_assert_false(apic_msr_write(apic, MSR_APIC_BASE, 0xfee00b00));
    g_assert_false(apic_msr_write(apic, MSR_APIC_BASE, 0xfee00500));
    g_assert_false(apic_msr_write(apic, MSR_APIC_BASE, 1ull << 40 | 0x900));
    wrmsr(cpu, MSR_APIC_BASE, 0xffdead0900);    /* moved */
    g_assert_cmphex(apic_mmio_page(apic), ==, 0xffdead0000);
    wrmsr(cpu, MSR_APIC_BASE, 0xfee00d00);      /* x2APIC */
    g_assert_true(apic_mmio_page(apic) == UINT64_MAX);
    g_assert_false(apic_msr_write(apic, MSR_APIC_BASE, 0xfee00900));
    wrmsr(cpu, MSR_APIC_BASE, 0xfee00100);      /* off: state is lost */
    g_assert_true(apic_mmio_page(apic) == UINT64_MAX);
    g_assert_false(apic_msr_write(apic, MSR_APIC_BASE, 0xfee00d00));
    g_assert_cmpint(apic_bus_send_msi(m->bus, 0xfee00000, 0x55), ==, 0);
    wrmsr(cpu, MSR_APIC_BASE, 0xfee00900);
    g_assert_cmphex(rd(cpu, APIC_SVR), ==, 0xff);
    machine_free(m);
}

static void test_no_features(void)
{
    static const APICFeatures none = { .phys_bits = 36 };
    Machine *m = machine_new();
    FakeCPU *cpu = &m->cpu[0];
    uint64_t value;

    apic_connect_cpu(cpu->apic, &cpu_ops, cpu, &none);
    g_assert_false(apic_msr_write(cpu->apic, MSR_APIC_BASE, 0xfee00d00));
    g_assert_false(apic_msr_read(cpu->apic, MSR_TSC_DEADLINE, &value));
    g_assert_false(apic_msr_write(cpu->apic, MSR_TSC_DEADLINE, 1));
    wr(cpu, APIC_LVTT, 0x40030);        /* deadline mode does not exist */
    g_assert_cmphex(rd(cpu, APIC_LVTT), ==, 0x30);
    machine_free(m);
}

static void test_x2apic(void)
{
    Machine *m = machine_new();
    FakeCPU *cpu = &m->cpu[3];
    uint64_t value;

    g_assert_false(apic_msr_read(cpu->apic, 0x802, &value));
    for (unsigned i = 0; i < NR_CPUS; i++) {
        go_x2apic(&m->cpu[i]);
    }
    g_assert_cmphex(msr(cpu, 0x802), ==, 17);
    g_assert_cmphex(msr(cpu, 0x80d), ==, 0x10002);  /* cluster 1, bit 1 */
    wrmsr(cpu, 0x830, 1ull << 32 | 0x55);           /* physical */
    g_assert_cmphex(pending_mask(m), ==, 2);
    wrmsr(cpu, 0x830, 0x00010002ull << 32 | 0x855); /* cluster */
    g_assert_cmphex(pending_mask(m), ==, 8);
    wrmsr(cpu, 0x830, 0x00000007ull << 32 | 0x855);
    g_assert_cmphex(pending_mask(m), ==, 7);
    wrmsr(cpu, 0x830, 0xffffffffull << 32 | 0x55);
    g_assert_cmphex(pending_mask(m), ==, 15);
    wrmsr(cpu, 0x830, 0xffull << 32 | 0x55);        /* no broadcast here */
    g_assert_cmphex(pending_mask(m), ==, 0);
    g_assert_cmphex(msr(cpu, 0x830), ==, 0xff00000055ull);
    msi(m, 0xff, 0x55);                             /* but by message it is */
    g_assert_cmphex(pending_mask(m), ==, 15);
    wrmsr(cpu, 0x83f, 0x77);
    g_assert_cmpint(apic_get_interrupt(cpu->apic), ==, 0x77);
    wrmsr(cpu, 0x80b, 0);
    g_assert_cmpint(apic_get_interrupt(cpu->apic), ==, -1);
    wrmsr(cpu, 0x828, 0);
    machine_free(m);
}

/* What the SDM's table of x2APIC registers lets through, and nothing else. */
static void test_x2apic_access(void)
{
    static const char readable[] =
        "0011000010100101" "1111111111111111" "1111111110000000"
        "1011111111000010";
    static const char writable[] =
        "0000000010010001" "0000000000000000" "0000000010000000"
        "1011111110000011";
    Machine *m = machine_new();
    FakeCPU *cpu = &m->cpu[0];
    uint64_t value;

    go_x2apic(cpu);
    for (unsigned i = 0; i < 0x100; i++) {
        bool r = i < 0x40 && readable[i] == '1';
        bool w = i < 0x40 && writable[i] == '1';

        g_assert_cmpint(apic_msr_read(cpu->apic, 0x800 + i, &value), ==, r);
        g_assert_cmpint(apic_msr_write(cpu->apic, 0x800 + i, 0), ==, w);
        g_assert_false(apic_msr_write(cpu->apic, 0x800 + i, ~0ull) && i != 0x30);
    }
    /* Reserved bits. */
    g_assert_false(apic_msr_write(cpu->apic, 0x808, 0x100));
    g_assert_false(apic_msr_write(cpu->apic, 0x80b, 1));
    g_assert_false(apic_msr_write(cpu->apic, 0x80f, 0x1000));
    g_assert_false(apic_msr_write(cpu->apic, 0x828, 1));
    g_assert_false(apic_msr_write(cpu->apic, 0x830, 1u << 20));
    g_assert_false(apic_msr_write(cpu->apic, 0x832, 1u << 19));
    g_assert_false(apic_msr_write(cpu->apic, 0x838, 1ull << 32));
    g_assert_false(apic_msr_write(cpu->apic, 0x83e, 4));
    g_assert_false(apic_msr_write(cpu->apic, 0x83f, 0x100));
    machine_free(m);
}

static void test_timer_one_shot(void)
{
    Machine *m = machine_new();
    FakeCPU *cpu = &m->cpu[0];

    wr(cpu, APIC_LVTT, 0xec);
    wr(cpu, APIC_TDCR, 3);              /* divide by 16 */
    wr(cpu, APIC_TMICT, 1000);          /* 16 us */
    g_assert_cmpint(apic_timer_deadline(cpu->apic), ==,
                    qemu_clock_get_ns(QEMU_CLOCK_VIRTUAL) + 16000);
    advance(4000);
    g_assert_cmpuint(rd(cpu, APIC_TMCCT), ==, 750);
    g_assert_false(apic_has_interrupt(cpu->apic));
    advance(11999);
    g_assert_false(apic_has_interrupt(cpu->apic));
    advance(1);
    g_assert_cmpint(apic_get_interrupt(cpu->apic), ==, 0xec);
    apic_eoi(cpu->apic);
    g_assert_cmpuint(rd(cpu, APIC_TMCCT), ==, 0);
    advance(1000000);
    g_assert_false(apic_has_interrupt(cpu->apic));
    wr(cpu, APIC_TMICT, 1000);
    wr(cpu, APIC_TMICT, 0);             /* stops it */
    advance(1000000);
    g_assert_false(apic_has_interrupt(cpu->apic));
    wr(cpu, APIC_LVTT, 0x100ec);        /* masked: counts in silence */
    wr(cpu, APIC_TMICT, 1000);
    advance(1000);
    g_assert_cmpuint(rd(cpu, APIC_TMCCT), >, 0);
    advance(1000000);
    g_assert_false(apic_has_interrupt(cpu->apic));
    wr(cpu, APIC_TDCR, 0xb);
    wr(cpu, APIC_TMICT, 0xffffffff);
    advance(4000000000);
    wr(cpu, APIC_TDCR, 0xa);            /* goes on as if it had begun before the machine did */
    advance(1280);
    g_assert_cmpuint(rd(cpu, APIC_TMCCT), ==, 0xffffffff - 4000000000u - 10);
    g_assert_true(apic_state.post_load(cpu->apic, NULL));
    machine_free(m);
}

/* What is due when the main loop has not run the timer's callback yet ------ */

typedef struct Late {
    QEMUTimer timer;
    FakeCPU *cpu;
    uint32_t reg, value;
} Late;

static void late_write(void *opaque)
{
    Late *late = opaque;

    wr(late->cpu, late->reg, late->value);
}

/* A count of 1000 ns ends, and at that moment, first of all, the guest writes a register. */
static void late(Machine *m, uint32_t lvt, uint32_t reg, uint32_t value)
{
    Late late = { .cpu = &m->cpu[0], .reg = reg, .value = value };

    timer_init_ns(&late.timer, QEMU_CLOCK_VIRTUAL, late_write, &late);
    timer_mod_ns(&late.timer, qemu_clock_get_ns(QEMU_CLOCK_VIRTUAL) + 1000);
    wr(late.cpu, APIC_TDCR, 0xb);
    wr(late.cpu, APIC_LVTT, lvt);
    wr(late.cpu, APIC_TMICT, 1000);
    advance(1000);
}

static void test_timer_late(void)
{
    Machine *m = machine_new();
    FakeCPU *cpu = &m->cpu[0];

    /* A one-shot that has ended does not start again as a periodic one. */
    late(m, 0xec, APIC_LVTT, 0x200ec);
    g_assert_cmpuint(rd(cpu, APIC_TMCCT), ==, 0);
    g_assert_cmpint(apic_get_interrupt(cpu->apic), ==, 0xec);
    apic_eoi(cpu->apic);
    advance(1000000);
    g_assert_false(apic_has_interrupt(cpu->apic));
    /* Its interrupt comes whatever is done to the timer then. */
    late(m, 0xec, APIC_TMICT, 0);
    g_assert_cmpint(apic_get_interrupt(cpu->apic), ==, 0xec);
    apic_eoi(cpu->apic);
    late(m, 0xec, APIC_LVTT, 0x100ec);
    g_assert_cmpint(apic_get_interrupt(cpu->apic), ==, 0xec);
    apic_eoi(cpu->apic);
    late(m, 0xec, APIC_LVTT, 0x400ec);
    g_assert_cmpint(apic_get_interrupt(cpu->apic), ==, 0xec);
    machine_free(m);
}

static void test_timer_periodic(void)
{
    Machine *m = machine_new();
    FakeCPU *cpu = &m->cpu[0];

    wr(cpu, APIC_LVTT, 0x200ec);
    wr(cpu, APIC_TDCR, 0xb);            /* divide by 1 */
    wr(cpu, APIC_TMICT, 1000000);
    for (unsigned i = 0; i < 10; i++) {
        advance(999999);
        g_assert_false(apic_has_interrupt(cpu->apic));
        g_assert_cmpuint(rd(cpu, APIC_TMCCT), ==, 1);
        advance(1);
        g_assert_cmpint(apic_get_interrupt(cpu->apic), ==, 0xec);
        apic_eoi(cpu->apic);
    }
    advance(500000);
    wr(cpu, APIC_TDCR, 0);              /* by 2, half way */
    g_assert_cmpuint(rd(cpu, APIC_TMCCT), ==, 500000);
    advance(999999);
    g_assert_false(apic_has_interrupt(cpu->apic));
    advance(1);
    g_assert_cmpint(apic_get_interrupt(cpu->apic), ==, 0xec);
    machine_free(m);
}

/* 0 ns is no period; the host must not be made to spin. */
static void test_timer_hostile(void)
{
    Machine *m = machine_new();
    FakeCPU *cpu = &m->cpu[0];

    wr(cpu, APIC_LVTT, 0x200ec);
    wr(cpu, APIC_TDCR, 0xb);
    for (unsigned count = 0; count < 4; count++) {
        int64_t now = qemu_clock_get_ns(QEMU_CLOCK_VIRTUAL);

        wr(cpu, APIC_TMICT, count);
        g_assert_cmpint(apic_timer_deadline(cpu->apic), >=, count ? now + 10000 : -1);
        advance(100000);
        rd(cpu, APIC_TMCCT);
    }
    wr(cpu, APIC_TDCR, 0xffffffff);
    g_assert_cmphex(rd(cpu, APIC_TDCR), ==, 0xb);
    for (unsigned d = 0; d < 16; d++) {
        for (unsigned mode = 0; mode < 4; mode++) {
            wr(cpu, APIC_LVTT, mode << 17 | 0x20);
            wr(cpu, APIC_TDCR, d);
            wr(cpu, APIC_TMICT, 0xffffffff);
            advance(1000);
            rd(cpu, APIC_TMCCT);
            wr(cpu, APIC_TMICT, 1);
            advance(1000);
        }
    }
    machine_free(m);
}

static void test_timer_deadline(void)
{
    Machine *m = machine_new();
    FakeCPU *cpu = &m->cpu[0];

    wrmsr(cpu, MSR_TSC_DEADLINE, 1);            /* not in this mode: dropped */
    g_assert_cmpuint(msr(cpu, MSR_TSC_DEADLINE), ==, 0);
    wr(cpu, APIC_LVTT, 0x400ed);
    wr(cpu, APIC_TMICT, 1000);                      /* dropped as well */
    g_assert_cmpint(apic_timer_deadline(cpu->apic), ==, -1);
    wrmsr(cpu, MSR_TSC_DEADLINE, fake_tsc(NULL) + 30000);   /* 10 us */
    advance(9999);
    g_assert_false(apic_has_interrupt(cpu->apic));
    g_assert_cmpuint(msr(cpu, MSR_TSC_DEADLINE), >, 0);
    advance(2);
    g_assert_cmpint(apic_get_interrupt(cpu->apic), ==, 0xed);
    apic_eoi(cpu->apic);
    g_assert_cmpuint(msr(cpu, MSR_TSC_DEADLINE), ==, 0);
    wrmsr(cpu, MSR_TSC_DEADLINE, 1);            /* long past: at once */
    g_assert_cmpint(apic_get_interrupt(cpu->apic), ==, 0xed);
    apic_eoi(cpu->apic);
    wrmsr(cpu, MSR_TSC_DEADLINE, UINT64_MAX);   /* the end of time */
    g_assert_cmpint(apic_timer_deadline(cpu->apic), >, 0);
    advance(1000000000);
    g_assert_false(apic_has_interrupt(cpu->apic));
    wrmsr(cpu, MSR_TSC_DEADLINE, fake_tsc(NULL) + 30000);
    wr(cpu, APIC_LVTT, 0xed);                       /* leaving the mode disarms */
    advance(1000000000);
    g_assert_false(apic_has_interrupt(cpu->apic));
    machine_free(m);
}

static void test_pv_eoi(void)
{
    Machine *m = machine_new();
    FakeCPU *cpu = &m->cpu[0];
    uint32_t flag = 0;

    apic_set_pv_eoi(cpu->apic, &flag);
    msi(m, 0, 0x50);
    g_assert_cmpint(apic_get_interrupt(cpu->apic), ==, 0x50);
    g_assert_cmpuint(flag, ==, 1);
    flag = 0;                                   /* the guest's EOI */
    g_assert_cmphex(rd(cpu, APIC_ISR + 0x20), ==, 0);
    /* A second request takes the permission away. */
    msi(m, 0, 0x50);
    g_assert_cmpint(apic_get_interrupt(cpu->apic), ==, 0x50);
    g_assert_cmpuint(flag, ==, 1);
    msi(m, 0, 0x51);
    g_assert_false(apic_has_interrupt(cpu->apic));
    g_assert_cmpuint(flag, ==, 0);
    apic_eoi(cpu->apic);
    g_assert_cmpint(apic_get_interrupt(cpu->apic), ==, 0x51);
    /* A guest that does not know better: an ordinary EOI with the bit set. */
    g_assert_cmpuint(flag, ==, 1);
    apic_eoi(cpu->apic);
    g_assert_cmpuint(flag, ==, 0);
    g_assert_cmphex(rd(cpu, APIC_ISR + 0x20), ==, 0);
    msi(m, 0, 0xc052);                          /* level: always a real one */
    g_assert_cmpint(apic_get_interrupt(cpu->apic), ==, 0x52);
    g_assert_cmpuint(flag, ==, 0);
    apic_eoi(cpu->apic);
    g_assert_cmpint(m->eoi_vector, ==, 0x52);
    apic_set_pv_eoi(cpu->apic, NULL);
    msi(m, 0, 0x50);
    apic_get_interrupt(cpu->apic);
    g_assert_cmpuint(flag, ==, 0);
    machine_free(m);
}

/* Every offset, every size, nasty values: alive, and the CPUs still served. */
static void test_sweep(void)
{
    static const uint32_t values[] = { 0, 1, 0x10, 0x80, 0xffffffff, 0xc0055 };
    Machine *m = machine_new();
    FakeCPU *cpu = &m->cpu[0];

    for (uint32_t offset = 0; offset < 0x1000; offset++) {
        for (unsigned size = 1; size <= 4; size *= 2) {
            for (unsigned i = 0; i < G_N_ELEMENTS(values); i++) {
                apic_mmio_write(cpu->apic, offset, values[i], size);
            }
            uint32_t value = apic_mmio_read(cpu->apic, offset, size);

            g_assert_cmphex(size < 4 ? value >> size * 8 : 0, ==, 0);
        }
    }
    advance(1000000);
    /* Narrow reads see their part of the register. */
    wr(cpu, APIC_SVR, 0x1fe);
    g_assert_cmphex(apic_mmio_read(cpu->apic, APIC_SVR, 1), ==, 0xfe);
    g_assert_cmphex(apic_mmio_read(cpu->apic, APIC_SVR + 1, 1), ==, 0x01);
    g_assert_cmphex(apic_mmio_read(cpu->apic, APIC_SVR + 2, 2), ==, 0);
    apic_reset(cpu->apic);
    wr(cpu, APIC_SVR, 0x1ff);
    msi(m, 0, 0x42);
    g_assert_cmpint(apic_get_interrupt(cpu->apic), ==, 0x42);
    machine_free(m);
}

static void test_msi(void)
{
    Machine *m = machine_new();
    MemoryRegion *window = apic_bus_window(m->bus);
    g_autofree char *text = NULL;

    g_assert_true(window->ops->lockless);
    window->ops->write(window->opaque, 0x11000, 0x61, 4);
    g_assert_cmpint(apic_get_interrupt(m->cpu[3].apic), ==, 0x61);
    window->ops->write(window->opaque, 0x11080, 0x71, 4);   /* no message */
    window->ops->write(window->opaque, 0x11000, 0x0371, 4); /* reserved mode */
    window->ops->write(window->opaque, 0x11000, 0x0671, 4); /* SIPI: not by MSI */
    g_assert_false(apic_has_interrupt(m->cpu[3].apic));
    g_assert_cmpuint(m->cpu[3].sipis, ==, 0);
    g_assert_cmphex(window->ops->read(window->opaque, 0x20, 4), ==, UINT64_MAX);
    g_assert_cmpint(apic_bus_send_msi(m->bus, 0xfed00000, 0x61), ==, 0);
    text = apic_dump(m->cpu[3].apic);
    g_assert_nonnull(strstr(text, "ISR  97\n"));
    machine_free(m);
}

static gpointer poster(gpointer opaque)
{
    Machine *m = opaque;

    for (unsigned i = 0; i < 20000; i++) {
        for (unsigned v = 0x80; v < 0x84; v++) {
            msi(m, 0, v);
        }
    }
    return NULL;
}

/* Posted from two threads while the CPU takes them: none stays behind. */
static void test_threads(void)
{
    Machine *m = machine_new();
    GThread *a = g_thread_new("a", poster, m);
    GThread *b = g_thread_new("b", poster, m);
    APICState *apic = m->cpu[0].apic;
    unsigned taken = 0;

    for (unsigned i = 0; i < 50000; i++) {
        if (apic_get_interrupt(apic) >= 0) {
            apic_eoi(apic);
            taken++;
        }
    }
    g_thread_join(a);
    g_thread_join(b);
    while (apic_get_interrupt(apic) >= 0) {
        apic_eoi(apic);
        taken++;
    }
    g_assert_cmpuint(taken, >=, 4);
    for (unsigned i = 0; i < 8; i++) {
        g_assert_cmphex(rd(&m->cpu[0], APIC_IRR + i * 16), ==, 0);
        g_assert_cmphex(rd(&m->cpu[0], APIC_ISR + i * 16), ==, 0);
    }
    machine_free(m);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    qemu_clock_virtual_manual();
    g_test_add_func("/apic/reset", test_reset);
    g_test_add_func("/apic/priority", test_priority);
    g_test_add_func("/apic/tpr", test_tpr);
    g_test_add_func("/apic/level-eoi", test_level_eoi);
    g_test_add_func("/apic/all-vectors", test_all_vectors);
    g_test_add_func("/apic/ipi/physical", test_ipi_physical);
    g_test_add_func("/apic/ipi/logical", test_ipi_logical);
    g_test_add_func("/apic/ipi/lowest-priority", test_lowest_priority);
    g_test_add_func("/apic/ipi/init-sipi-nmi", test_init_sipi_nmi);
    g_test_add_func("/apic/init-reset", test_init_reset);
    g_test_add_func("/apic/lint/extint", test_extint);
    g_test_add_func("/apic/lint/level", test_lint_level);
    g_test_add_func("/apic/errors", test_errors);
    g_test_add_func("/apic/software-disable", test_software_disable);
    g_test_add_func("/apic/base", test_base);
    g_test_add_func("/apic/no-features", test_no_features);
    g_test_add_func("/apic/x2apic/ipi", test_x2apic);
    g_test_add_func("/apic/x2apic/access", test_x2apic_access);
    g_test_add_func("/apic/timer/one-shot", test_timer_one_shot);
    g_test_add_func("/apic/timer/periodic", test_timer_periodic);
    g_test_add_func("/apic/timer/late", test_timer_late);
    g_test_add_func("/apic/timer/hostile", test_timer_hostile);
    g_test_add_func("/apic/timer/deadline", test_timer_deadline);
    g_test_add_func("/apic/pv-eoi", test_pv_eoi);
    g_test_add_func("/apic/sweep", test_sweep);
    g_test_add_func("/apic/msi", test_msi);
    g_test_add_func("/apic/threads", test_threads);
    return g_test_run();
}
