/*
 * What a saved machine holds of KVM: the clock, and the MSRs that CPUX86State has no field for.
 * Interrupt controllers are in kvm-chips.c.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <errno.h>
#include <string.h>

#include "kvm-int.h"

/* Clocks ------------------------------------------------------------------- */

static void clock_pre_save(void *obj)
{
    KVMState *s = obj;
    struct kvm_clock_data clock = { 0 };
    int khz = kvm_ioctl(kvm_cpu(s->parent.machine->cpus[0])->fd, KVM_GET_TSC_KHZ, NULL);

    kvm_ioctl(s->vmfd, KVM_GET_CLOCK, &clock);
    s->clock = (X86Clock) {
        .kvmclock = clock.clock, .tsc_khz = MAX(khz, 0), .one_by_one = true,
    };
}

/* The guest has measured its TSC: it must go on at that rate. */
static bool clock_post_load(void *obj, Error **errp)
{
    KVMState *s = obj;
    const MachineState *ms = s->parent.machine;

    for (unsigned i = 0; i < ms->smp.cpus; i++) {
        int fd = kvm_cpu(ms->cpus[i])->fd;
        int khz = kvm_ioctl(fd, KVM_GET_TSC_KHZ, NULL), ret;

        if (!s->clock.tsc_khz || khz <= 0 || (uint32_t)khz == s->clock.tsc_khz) {
            continue;
        }
        ret = kvm_ioctl(fd, KVM_SET_TSC_KHZ, (void *)(uintptr_t)s->clock.tsc_khz);
        if (ret < 0) {
            error_setg_errno(errp, -ret, "the guest's TSC has %u kHz, this host's %d, which it "
                             "cannot scale", s->clock.tsc_khz, khz);
            return false;
        }
    }
    return true;
}

int kvm_put_clock(CPUState *cpu)
{
    KVMState *s = kvm_state(cpu);
    struct kvm_clock_data clock = { .clock = s->clock.kvmclock };

    return cpu->cpu_index == 0 ? kvm_ioctl(s->vmfd, KVM_SET_CLOCK, &clock) : 0;
}

static const StateField clock_fields[] = {
    STATE_STRUCT(KVMState, clock, x86_clock_fields),
    STATE_END
};

static const StateDesc clock_state = {
    .name = "clock", .version = 1, .fields = clock_fields,
    .pre_save = clock_pre_save, .post_load = clock_post_load,
};

/* Other MSRs ---------------------------------------------------------------- */

/* struct kvm_msrs with one. */
typedef struct OneMSR {
    uint32_t nmsrs, pad;
    struct kvm_msr_entry e[1];
} OneMSR;

static bool get_msr(CPUState *cpu, uint32_t index, uint64_t *value)
{
    OneMSR one = { .nmsrs = 1, .e[0].index = index };
    bool ok = kvm_ioctl(kvm_cpu(cpu)->fd, KVM_GET_MSRS, &one) == 1;

    *value = one.e[0].data;
    return ok;
}

static struct kvm_msr_list *list_msrs(const KVMState *s)
{
    struct kvm_msr_list count = { 0 }, *list;

    kvm_ioctl(s->fd, KVM_GET_MSR_INDEX_LIST, &count);
    list = g_malloc0(sizeof(*list) + count.nmsrs * sizeof(list->indices[0]));
    list->nmsrs = count.nmsrs;
    if (kvm_ioctl(s->fd, KVM_GET_MSR_INDEX_LIST, list) < 0) {
        list->nmsrs = 0;
    }
    return list;
}

/* Pairs of index and value, 64 bits each. */
static void save_msrs(const void *field, const char *name, GByteArray *out)
{
    CPUState *cpu = (CPUState *)field;
    g_autofree struct kvm_msr_list *list = list_msrs(kvm_state(cpu));
    g_autoptr(GByteArray) pairs = g_byte_array_new();

    for (unsigned i = 0; i < list->nmsrs; i++) {
        uint64_t pair[2] = { list->indices[i] };

        if (!kvm_msr_has_row(list->indices[i]) && get_msr(cpu, list->indices[i], &pair[1])) {
            g_byte_array_append(pairs, (const uint8_t *)pair, sizeof(pair));
        }
    }
    state_put_bytes(out, "other-msrs", pairs->data, pairs->len);
}

static bool load_msrs(void *field, const char *name, StateReader *in, Error **errp)
{
    KVMCPU *kc = kvm_cpu(field);
    const uint8_t *data;
    uint32_t len;

    if (!state_get_bytes(in, "other-msrs", &data, &len, errp)) {
        return false;
    }
    g_clear_pointer(&kc->other_msrs, g_bytes_unref);
    kc->other_msrs = g_bytes_new(data, len / 16 * 16);
    return true;
}

/* Most are what they are in every virtual CPU, and some then cannot be written. */
int kvm_put_other_msrs(CPUState *cpu)
{
    GBytes *saved = kvm_cpu(cpu)->other_msrs;
    gsize size = 0;
    const uint64_t *pair = saved ? g_bytes_get_data(saved, &size) : NULL;

    for (const uint64_t *end = pair + size / sizeof(*pair); pair < end; pair += 2) {
        OneMSR one = { .nmsrs = 1, .e[0] = { .index = pair[0], .data = pair[1] } };
        uint64_t now;

        if (get_msr(cpu, pair[0], &now) && now == pair[1]) {
            continue;
        }
        if (kvm_ioctl(kvm_cpu(cpu)->fd, KVM_SET_MSRS, &one) != 1) {
            error_report("KVM refuses MSR 0x%x = 0x%" PRIx64, one.e[0].index,
                         (uint64_t)one.e[0].data);
            return -EINVAL;
        }
    }
    g_clear_pointer(&kvm_cpu(cpu)->other_msrs, g_bytes_unref);
    return 0;
}

static const StateInfo msrs_info = { .save = save_msrs, .load = load_msrs };

static const StateField msrs_fields[] = {
    STATE_CUSTOM(X86CPU, cs, msrs_info),
    STATE_END
};

static const StateDesc msrs_state = {
    .name = "kvm-msrs", .version = 1, .optional = true, .fields = msrs_fields,
};

void kvm_foreach_state(AccelState *as, StateFn *fn, void *opaque)
{
    KVMState *s = downcast(as, KVMState, parent);
    const MachineState *ms = as->machine;

    fn(&clock_state, NULL, 0, s, opaque);
    kvm_foreach_lapic(s, fn, opaque);
    for (unsigned i = 0; i < ms->smp.cpus; i++) {
        fn(&msrs_state, NULL, i, ms->cpus[i], opaque);
    }
}
