/*
 * CPUID between what KVM supports and what a vCPU gets.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "accel/kvm/kvm-int.h"

#include <cpuid.h>

#include "target/i386/cpuid.h"

/* KVM's answer to KVM_GET_SUPPORTED_CPUID, with room for what it may have. */
typedef struct KVMCPUIDBuffer {
    struct kvm_cpuid2 head;
    struct kvm_cpuid_entry2 e[X86_MAX_CPUID];
} KVMCPUIDBuffer;

/* What KVM can do and does not say there (KVM API, 4.46). */
static void add_unsaid(const KVMState *s, CPUIDTable *table)
{
    x86_feature_set(table, X86_FEATURE_HYPERVISOR, true);
    if (s->has_tsc_deadline) {
        x86_feature_set(table, X86_FEATURE_TSC_DEADLINE, true);
    }
    if (s->disabled_exits) {
        x86_feature_set(table, X86_FEATURE_KVM_HINT_DEDICATED, true);
    }
    if (s->disabled_exits & KVM_X86_DISABLE_EXITS_MWAIT) {
        CPUIDEntry *mwait = x86_cpuid_find(table, 5, 0);

        x86_feature_set(table, X86_FEATURE_MONITOR, true);
        if (mwait) {
            __cpuid(5, mwait->eax, mwait->ebx, mwait->ecx, mwait->edx);
        }
    }
    if (s->irqchip_mode == ACCEL_IRQCHIP_USER) {
        kvm_lapic_limit_cpuid(table);
    }
}

bool kvm_supported_cpuid(AccelState *as, CPUIDTable *table, Error **errp)
{
    KVMState *s = downcast(as, KVMState, parent);
    g_autofree KVMCPUIDBuffer *buf = g_new0(KVMCPUIDBuffer, 1);
    int ret;

    buf->head.nent = X86_MAX_CPUID;
    ret = kvm_ioctl(s->fd, KVM_GET_SUPPORTED_CPUID, buf);
    if (ret < 0) {
        error_setg_errno(errp, -ret, "KVM does not tell the CPUID it supports");
        return false;
    }
    table->n = MIN(buf->head.nent, X86_MAX_CPUID);
    for (unsigned i = 0; i < table->n; i++) {
        const struct kvm_cpuid_entry2 *k = &buf->e[i];

        table->e[i] = (CPUIDEntry) {
            .leaf = k->function, .subleaf = k->index,
            .has_subleaf = k->flags & KVM_CPUID_FLAG_SIGNIFCANT_INDEX,
            .eax = k->eax, .ebx = k->ebx, .ecx = k->ecx, .edx = k->edx,
        };
    }
    add_unsaid(s, table);
    if (table->want_msrs) {
        kvm_supported_msrs(s, table);
    }
    return true;
}

int kvm_arch_init_vcpu(CPUState *cpu)
{
    X86CPU *x86 = x86_cpu(cpu);
    g_autofree KVMCPUIDBuffer *buf = g_new0(KVMCPUIDBuffer, 1);
    g_autofree CPUIDTable *table = g_new0(CPUIDTable, 1);
    int ret;

    if (!x86->cpuid) {
        return 0;
    }
    x86_cpuid_for_cpu(x86->cpuid, x86->apic_id, table);
    buf->head.nent = table->n;
    for (unsigned i = 0; i < table->n; i++) {
        const CPUIDEntry *e = &table->e[i];

        buf->e[i] = (struct kvm_cpuid_entry2) {
            .function = e->leaf, .index = e->subleaf,
            .flags = e->has_subleaf ? KVM_CPUID_FLAG_SIGNIFCANT_INDEX : 0,
            .eax = e->eax, .ebx = e->ebx, .ecx = e->ecx, .edx = e->edx,
        };
    }
    ret = kvm_ioctl(kvm_cpu(cpu)->fd, KVM_SET_CPUID2, buf);
    return ret < 0 ? ret : kvm_hide_msr_features(cpu);
}
