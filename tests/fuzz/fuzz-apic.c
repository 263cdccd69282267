/*
 * Fuzz target: local APICs of four CPUs, by registers in memory, MSRs, messages and time. A CPU
 * gives only vectors that it was sent.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <stdlib.h>

#include "fuzz.h"
#include "machine.h"
#include "qemu/timer.h"
#include "target/i386/apic.h"

#define NR_CPUS 4

static APICState *apics[NR_CPUS];
static APICBus *bus;

static void event(void *cpu)
{
}

static void sipi(void *cpu, uint8_t vector)
{
}

static uint64_t tsc(void *cpu)
{
    return qemu_clock_get_ns(QEMU_CLOCK_VIRTUAL) * 3;
}

static void eoi(void *opaque, uint8_t vector)
{
}

static int extint_ack(void *opaque)
{
    return 0x20;
}

static const APICCPUOps cpu_ops = {
    .interrupt = event, .nmi = event, .init = event, .sipi = sipi, .read_tsc = tsc,
};
static const APICBusOps bus_ops = { .eoi = eoi, .extint_ack = extint_ack };

static void step_msr(APICState *apic, FuzzInput *in)
{
    static const uint32_t msrs[] = { MSR_APIC_BASE, MSR_TSC_DEADLINE };
    unsigned how = fuzz_take(in, 1);
    uint32_t msr = how & 1 ? msrs[how >> 1 & 1] : MSR_X2APIC_FIRST + (how >> 1);
    uint64_t value = fuzz_take(in, how & 128 ? 8 : 2);

    if (how & 64) {
        apic_msr_write(apic, msr, value);
    } else {
        apic_msr_read(apic, msr, &value);
    }
}

static void step_cpu(APICState *apic, FuzzInput *in)
{
    static uint32_t flag;
    unsigned how = fuzz_take(in, 1);

    switch (how % 10) {
    case 0:
        apic_init_reset(apic);
        break;
    case 1:
        apic_reset(apic);
        break;
    case 2:
        apic_eoi(apic);
        break;
    case 3:
        apic_set_cr8(apic, how >> 4);
        if (apic_get_cr8(apic) != how >> 4) {
            abort();
        }
        break;
    case 4:
        apic_set_pv_eoi(apic, how & 128 ? &flag : NULL);
        break;
    case 5:
        apic_send_ipi_to(apic, fuzz_take(in, 4), fuzz_take(in, 4));
        break;
    case 6:
        apic_tsc_changed(apic);
        break;
    case 7:
        g_free(apic_dump(apic));
        break;
    default:
        if (apic_has_interrupt(apic) && apic_get_interrupt(apic) < -1) {
            abort();
        }
    }
}

static void step(APICState *apic, FuzzInput *in)
{
    unsigned how = fuzz_take(in, 1);
    uint32_t reg = fuzz_take(in, 1) << 4;

    switch (how % 8) {
    case 0:
    case 1:
        apic_mmio_write(apic, reg, fuzz_take(in, 4), 4);
        break;
    case 2:
        apic_mmio_write(apic, reg + (how >> 4), fuzz_take(in, 4), 1u << (how >> 3) % 3);
        break;
    case 3:
        apic_mmio_read(apic, reg + (how >> 4), 1u << (how >> 3) % 3);
        break;
    case 4:
        step_msr(apic, in);
        break;
    case 5:
        apic_bus_send_msi(bus, 0xfee00000u | (uint64_t)fuzz_take(in, 3), fuzz_take(in, 4));
        break;
    case 6:
        qemu_clock_advance_virtual(qemu_clock_get_ns(QEMU_CLOCK_VIRTUAL) + (1ll << (how >> 3)));
        break;
    case 7:
        step_cpu(apic, in);
        break;
    }
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    qemu_clock_virtual_manual();
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    FuzzInput in = { data, data + size };
    static const uint32_t wide[] = { 0, 1, 2, 300 }, narrow[] = { 0, 1, 2, 17 };
    unsigned how = fuzz_take(&in, 1);
    const uint32_t *ids = how & 1 ? wide : narrow;
    const APICFeatures features = {
        .phys_bits = 40, .x2apic = (how & 3) != 2, .tsc_deadline = how & 4, .tsc_hz = 3000000000ull,
    };

    bus = apic_bus_new(ids[NR_CPUS - 1] + 1, &bus_ops, NULL);
    for (unsigned i = 0; i < NR_CPUS; i++) {
        apics[i] = apic_new(bus, ids[i], i == 0);
        apic_connect_cpu(apics[i], &cpu_ops, apics[i], &features);
    }
    for (unsigned i = 0; i < 1000 && in.p < in.end; i++) {
        step(apics[fuzz_take(&in, 1) % NR_CPUS], &in);
    }
    apic_bus_free(bus);
    return 0;
}
