/*
 * CPU initialisation for every machine and accelerator: topology to APIC ids to
 * vCPUs.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "hw/i386/cpu-internal.h"

#include <string.h>

#include "qemu/timer.h"
#include "target/i386/apic.h"
#include "sysemu/accel.h"
#include "sysemu/cpus.h"
#include "target/i386/cpuid.h"

static unsigned field_width(unsigned count)
{
    return g_bit_storage(count - 1) * (count > 1);
}

uint32_t x86_apic_id_from_index(const CpuTopology *smp, unsigned cpu_index)
{
    unsigned thread = cpu_index % smp->threads;
    unsigned core = cpu_index / smp->threads % smp->cores;
    unsigned die = cpu_index / smp->threads / smp->cores % smp->dies;
    unsigned package = cpu_index / smp->threads / smp->cores / smp->dies;
    uint32_t id = package;

    id = id << field_width(smp->dies) | die;
    id = id << field_width(smp->cores) | core;
    return id << field_width(smp->threads) | thread;
}

uint32_t x86_apic_id_limit(const CpuTopology *smp)
{
    return x86_apic_id_from_index(smp, smp->max_cpus - 1) + 1;
}

/* The CPUID of all CPUs, or NULL with an accelerator that has none (qtest). */
static bool make_cpuid(MachineState *ms, CPUIDTable **out, Error **errp)
{
    const AccelClass *ac = accel_get_class(ms->accel);
    const MachineClass *mc = machine_get_class(ms);
    const char *def = machine_default_cpu_model(mc, ms->accel);
    X86CPUTopoInfo topo = {
        .dies_per_pkg = ms->smp.dies,
        .cores_per_die = ms->smp.cores,
        .threads_per_core = ms->smp.threads,
        .wide_ids = x86_apic_id_limit(&ms->smp) > XAPIC_ID_LIMIT,
    };
    g_autofree CPUIDTable *table = g_new0(CPUIDTable, 1);
    X86CPUModel *model = x86_cpu_model_parse(ms->cpu_model, def, errp);
    bool ok;

    if (!model) {
        return false;
    }
    model->accel_name = ac->host_cpus ? "host" : "TCG";
    /* KVM's guests have the host's: what differs between vendors is the processor's. */
    if (!ac->host_cpus && !model->vendor) {
        model->vendor = g_strdup(model->named_vendor);
    }
    table->want_msrs = x86_cpu_model_wants_msrs(model);
    if (!strcmp(model->obj.oc->name, "host") && !ac->host_cpus && ac->supported_cpuid) {
        error_setg(errp, "CPU model 'host' requires KVM");
        ok = false;
    } else if (!ac->supported_cpuid) {
        ok = true;
    } else {
        ok = ac->supported_cpuid(ms->accel, table, errp) &&
             x86_cpuid_build(table, model, &topo, errp);
        *out = ok ? g_steal_pointer(&table) : NULL;
    }
    x86_cpu_model_free(model);
    return ok;
}

bool x86_cpus_init(MachineState *ms, Error **errp)
{
    CPUIDTable *table = NULL;
    unsigned i;

    if (!make_cpuid(ms, &table, errp)) {
        return false;
    }
    ms->cpus = g_new0(CPUState *, ms->smp.cpus);
    for (i = 0; i < ms->smp.cpus; i++) {
        X86CPU *cpu = g_new0(X86CPU, 1);

        cpu->cs.machine = ms;
        cpu->cs.cpu_index = i;
        cpu->apic_id = x86_apic_id_from_index(&ms->smp, i);
        cpu->x2apic_at_reset = x86_apic_id_limit(&ms->smp) > XAPIC_ID_LIMIT;
        if (ms->apic_bus) {     /* which owns it */
            cpu->apic = apic_new(ms->apic_bus, cpu->apic_id, i == 0);
        }
        cpu->cpuid = table;
        x86_cpu_reset(cpu);
        ms->cpus[i] = &cpu->cs;
    }
    /* All threads first, then wait: the kernel makes vCPUs side by side. */
    for (i = 0; i < ms->smp.cpus; i++) {
        if (!cpu_start_thread(ms->cpus[i], errp)) {
            return false;
        }
    }
    for (i = 0; i < ms->smp.cpus; i++) {
        if (!cpu_wait_created(ms->cpus[i], errp)) {
            return false;
        }
    }
    return true;
}

void x86_cpus_reset(MachineState *ms)
{
    int64_t now = qemu_clock_get_ns(QEMU_CLOCK_VIRTUAL);

    for (unsigned i = 0; i < ms->smp.cpus; i++) {
        x86_cpu_reset(x86_cpu(ms->cpus[i]));
        /* One moment for all, or their clocks would differ for ever. */
        x86_cpu(ms->cpus[i])->env.tsc_clock = now;
        cpu_set_dirty(ms->cpus[i]);
    }
}

void x86_cpus_cleanup(MachineState *ms)
{
    const CPUIDTable *table;

    if (!ms->cpus) {
        return;
    }
    table = x86_cpu(ms->cpus[0])->cpuid;
    cpu_stop_threads(ms);
    for (unsigned i = 0; i < ms->smp.cpus; i++) {
        g_free(x86_cpu(ms->cpus[i])->env.xsave_area);
        g_free(ms->cpus[i]);
    }
    g_clear_pointer(&ms->cpus, g_free);
    g_free((void *)table);
}
