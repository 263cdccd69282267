/*
 * Model-specific registers between the architectural state and KVM.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "accel/kvm/kvm-int.h"

#include <errno.h>
#include <string.h>

#include "qemu/error.h"
#include "target/i386/cpuid.h"
#include "target/i386/msr.h"

typedef struct MSRRow {
    uint32_t index;
    uint16_t offset;        /* of a uint64_t in CPUX86State */
    uint16_t kind;          /* X86_MSR_* */
} MSRRow;

#define MSR_ROW(name, number, field, what) \
    { .index = MSR_##name, .offset = offsetof(CPUX86State, field), .kind = (what) },
#define MSR_NO_ROW(name, number)
static const MSRRow msr_rows[] = {
    X86_MSRS(MSR_ROW, MSR_NO_ROW)
};
G_STATIC_ASSERT(G_N_ELEMENTS(msr_rows) <= 64);

bool kvm_msr_has_row(uint32_t index)
{
    for (unsigned row = 0; row < G_N_ELEMENTS(msr_rows); row++) {
        if (msr_rows[row].index == index) {
            return true;
        }
    }
    return index == MSR_KVM_WALL_CLOCK_OLD || index == MSR_KVM_SYSTEM_TIME_OLD;
}

/* struct kvm_msrs with room for all. */
typedef struct MSRBatch {
    uint32_t nmsrs, pad;
    struct kvm_msr_entry e[G_N_ELEMENTS(msr_rows)];
} MSRBatch;
G_STATIC_ASSERT(offsetof(MSRBatch, e) == offsetof(struct kvm_msrs, entries));

static uint64_t *msr_field(const CPUX86State *env, unsigned row)
{
    return (uint64_t *)((char *)env + msr_rows[row].offset);
}

/*
 * Which rows the host's KVM has. Asked for when the first reset or the first look
 * at the registers needs it: most machines never do.
 */
static uint64_t known_rows(KVMState *s)
{
    g_autofree struct kvm_msr_list *list = NULL;
    struct kvm_msr_list count = { 0 };

    if (!g_once_init_enter(&s->msrs_probed)) {
        return s->msrs_known;
    }
    kvm_ioctl(s->fd, KVM_GET_MSR_INDEX_LIST, &count);
    list = g_malloc0(sizeof(*list) + count.nmsrs * sizeof(list->indices[0]));
    list->nmsrs = count.nmsrs;
    if (kvm_ioctl(s->fd, KVM_GET_MSR_INDEX_LIST, list) < 0) {
        list->nmsrs = 0;
    }
    for (unsigned row = 0; row < G_N_ELEMENTS(msr_rows); row++) {
        uint32_t index = msr_rows[row].index;

        if (msr_rows[row].kind == X86_MSR_LAPIC && s->irqchip_mode == ACCEL_IRQCHIP_USER) {
            continue;
        }
        /* The list leaves out what every KVM has. */
        if (index >= MSR_MTRR_PHYSBASE0 && index <= MSR_MTRR_DEF_TYPE) {
            s->msrs_known |= 1ULL << row;
        }
        for (unsigned i = 0; i < list->nmsrs; i++) {
            if (list->indices[i] == index) {
                s->msrs_known |= 1ULL << row;
            }
        }
    }
    g_once_init_leave(&s->msrs_probed, 1);
    return s->msrs_known;
}

int kvm_get_msrs(CPUState *cpu)
{
    CPUX86State *env = &x86_cpu(cpu)->env;
    uint64_t known = known_rows(kvm_state(cpu));
    unsigned rows[G_N_ELEMENTS(msr_rows)];
    MSRBatch batch = { 0 };
    int ret;

    for (unsigned row = 0; row < G_N_ELEMENTS(msr_rows); row++) {
        if (known >> row & 1) {
            rows[batch.nmsrs] = row;
            batch.e[batch.nmsrs++].index = msr_rows[row].index;
        }
    }
    /* KVM reads up to the first one it refuses. */
    ret = kvm_ioctl(kvm_cpu(cpu)->fd, KVM_GET_MSRS, &batch);
    for (int i = 0; i < ret; i++) {
        *msr_field(env, rows[i]) = batch.e[i].data;
    }
    return MIN(ret, 0);
}

int kvm_put_msrs(CPUState *cpu, bool all, const CPUX86State *changed)
{
    const CPUX86State *env = &x86_cpu(cpu)->env;
    uint64_t known = changed ? ~0ULL : known_rows(kvm_state(cpu));
    MSRBatch batch = { 0 };
    unsigned n = 0;
    int ret;

    for (unsigned row = 0; row < G_N_ELEMENTS(msr_rows); row++) {
        uint64_t value = *msr_field(env, row);

        if (!(known >> row & 1) || (!all && msr_rows[row].kind == X86_MSR_CLOCK) ||
            (changed && value == *msr_field(changed, row))) {
            continue;
        }
        batch.e[n].index = msr_rows[row].index;
        batch.e[n++].data = value;
    }
    batch.nmsrs = n;
    if (!n) {
        return 0;
    }
    ret = kvm_ioctl(kvm_cpu(cpu)->fd, KVM_SET_MSRS, &batch);
    if (ret >= 0 && (unsigned)ret < n) {
        error_report("KVM refuses MSR 0x%x = 0x%" PRIx64, batch.e[ret].index,
                     (uint64_t)batch.e[ret].data);
        return -EINVAL;
    }
    return MIN(ret, 0);
}

/* One MSR of a vCPU, or of what KVM supports (fd of /dev/kvm); false: there is none. */
static bool get_one(int fd, uint32_t index, uint64_t *value)
{
    MSRBatch one = { .nmsrs = 1, .e[0].index = index };
    bool ok = kvm_ioctl(fd, KVM_GET_MSRS, &one) == 1;

    *value = one.e[0].data;
    return ok;
}

void kvm_supported_msrs(KVMState *s, CPUIDTable *table)
{
    if (!kvm_check_extension(s, KVM_CAP_GET_MSR_FEATURES)) {
        return;
    }
    for (FeatureWord w = FEAT_FIRST_MSR; w < FEATURE_WORDS; w++) {
        unsigned shift;
        uint64_t value;

        if (get_one(s->fd, x86_feature_msr(w, &shift), &value)) {
            table->features.w[w] = value >> shift;
        }
    }
}

int kvm_hide_msr_features(CPUState *cpu)
{
    const CPUIDTable *table = x86_cpu(cpu)->cpuid;
    int fd = kvm_cpu(cpu)->fd;

    for (FeatureWord w = FEAT_FIRST_MSR; w < FEATURE_WORDS; w++) {
        MSRBatch one = { .nmsrs = 1 };
        uint32_t hidden = table->msr_hidden[w - FEAT_FIRST_MSR];
        unsigned shift;
        uint64_t value;

        one.e[0].index = x86_feature_msr(w, &shift);
        if (!hidden || !get_one(fd, one.e[0].index, &value)) {
            continue;
        }
        one.e[0].data = value & ~((uint64_t)hidden << shift);
        if (kvm_ioctl(fd, KVM_SET_MSRS, &one) != 1) {
            error_report("KVM refuses MSR 0x%x = 0x%" PRIx64, one.e[0].index,
                         (uint64_t)one.e[0].data);
            return -EINVAL;
        }
    }
    return 0;
}
