/*
 * What a saved machine holds of the software CPU besides its CPUs: time, as the guest sees it.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "qemu/timer.h"
#include "target/i386/apic.h"
#include "tcg-int.h"

static void clock_pre_save(void *obj)
{
    TCGAccel *s = obj;

    s->clock = (X86Clock) {
        .kvmclock = qemu_clock_get_ns(QEMU_CLOCK_VIRTUAL) + (uint64_t)s->state->kvmclock_offset,
        .tsc_khz = s->state->tsc_khz,
    };
}

/*
 * TSCs that are less than a second apart ran together: KVM's own rule (KVM API, "KVM_SET_MSRS" of
 * IA32_TSC). A guest would see those of two CPUs go back and forth otherwise.
 */
static void join_tscs(const MachineState *ms, uint32_t khz)
{
    const CPUX86State *first = &x86_cpu(ms->cpus[0])->env;

    for (unsigned i = 1; i < ms->smp.cpus; i++) {
        CPUX86State *env = &x86_cpu(ms->cpus[i])->env;
        int64_t apart = env->tsc - first->tsc, second = khz * 1000ll;

        if (apart > -second && apart < second) {
            env->tsc = first->tsc;
            env->tsc_clock = first->tsc_clock;
        }
    }
}

static bool clock_post_load(void *obj, Error **errp)
{
    TCGAccel *s = obj;
    const MachineState *ms = s->parent.machine;
    const X86Clock *clock = &s->clock;

    s->state->kvmclock_offset = clock->kvmclock - qemu_clock_get_ns(QEMU_CLOCK_VIRTUAL);
    if (!clock->tsc_khz) {
        return true;
    }
    s->state->tsc_khz = clock->tsc_khz;
    for (unsigned i = 0; i < s->state->nr_cpus; i++) {
        if (s->state->cpus[i]->apic) {
            apic_set_tsc_hz(s->state->cpus[i]->apic, clock->tsc_khz * 1000ull);
        }
    }
    if (clock->one_by_one) {
        join_tscs(ms, clock->tsc_khz);
    }
    return true;
}

static const StateField clock_fields[] = {
    STATE_STRUCT(TCGAccel, clock, x86_clock_fields),
    STATE_END
};

static const StateDesc clock_state = {
    .name = "clock", .version = 1, .fields = clock_fields,
    .pre_save = clock_pre_save, .post_load = clock_post_load,
};

void tcg_foreach_state(AccelState *as, StateFn *fn, void *opaque)
{
    fn(&clock_state, NULL, 0, as, opaque);
}
