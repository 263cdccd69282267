/*
 * CPUID: what the guest sees, computed from what the accelerator supports,
 * what -cpu asks for and the topology.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef TARGET_I386_CPUID_H
#define TARGET_I386_CPUID_H

#include "target/i386/cpu.h"

/* The position of one CPU in the machine: hw/i386/cpu.c computes it. */
typedef struct X86CPUTopoInfo {
    unsigned dies_per_pkg;
    unsigned cores_per_die;
    unsigned threads_per_core;
} X86CPUTopoInfo;

/* -cpu MODEL[,+feature][,-feature][,feature=on|off]… parsed, not yet applied. */
typedef struct X86CPUModel {
    char *name;             /* "host", "max", "qemu64", … */
    GPtrArray *features;    /* of X86FeatureSetting */
    bool kvm_hidden;        /* kvm=off */
} X86CPUModel;

/*
 * Parse -cpu. Unknown models and features are errors in QEMU's words.
 * NULL text means default_model.
 */
X86CPUModel *x86_cpu_model_parse(const char *text, const char *default_model,
                                 Error **errp);
void x86_cpu_model_free(X86CPUModel *model);
/* -cpu help, on stdout. */
void x86_cpu_list(void);

/*
 * What the accelerator can do, in *table, becomes what this model shows: features taken away or
 * added, topology leaves (1, 4, 0xb, 0x1f, 0x80000008, 0x8000001d/1e) for the
 * topology. Values that depend on the CPU (APIC ids) are filled in by x86_cpuid_for_cpu(). A
 * feature that was asked for by + and that the accelerator lacks is warned about as QEMU does.
 */
bool x86_cpuid_build(CPUIDTable *table, const X86CPUModel *model,
                     const X86CPUTopoInfo *topo, Error **errp);
/* A copy of table with the APIC id of one CPU filled in. */
void x86_cpuid_for_cpu(const CPUIDTable *table, uint32_t apic_id,
                       CPUIDTable *out);
/* What CPUID answers for leaf/subleaf; zeros when out of range (SDM 2A). */
void x86_cpuid_lookup(const CPUIDTable *table, uint32_t leaf, uint32_t subleaf,
                      uint32_t out[4]);

#endif
