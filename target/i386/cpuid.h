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

/* Registers whose bits are features with names: cpu-features.c has them. */
typedef enum FeatureWord {
    FEAT_1_EDX, FEAT_1_ECX,
    FEAT_7_0_EBX, FEAT_7_0_ECX, FEAT_7_0_EDX, FEAT_7_1_EAX,
    FEAT_8000_0001_EDX, FEAT_8000_0001_ECX,
    FEAT_8000_0007_EDX, FEAT_8000_0008_EBX, FEAT_8000_000A_EDX,
    FEAT_D_1_EAX, FEAT_6_EAX,
    FEAT_KVM, FEAT_KVM_HINTS,
    FEATURE_WORDS
} FeatureWord;

typedef struct X86FeatureSet {
    uint32_t w[FEATURE_WORDS];
} X86FeatureSet;

/* The bits called name ("sse4.1", "sse4_1", …) added to *set; false: unknown. */
bool x86_feature_find(const char *name, X86FeatureSet *set);
/* The name of a bit (caller frees), or NULL. */
char *x86_feature_name(FeatureWord word, unsigned bit);
/* "CPUID.01H:ECX", caller frees. */
char *x86_feature_word_name(FeatureWord word);
/* The register of a word in the table, or NULL when the leaf is not there. */
uint32_t *x86_feature_reg(CPUIDTable *table, FeatureWord word);
/* Print every name, for -cpu help. */
void x86_feature_list(void);

/* A row of table, or NULL. subleaf counts only where it matters. */
CPUIDEntry *x86_cpuid_find(CPUIDTable *table, uint32_t leaf, uint32_t subleaf);

/* -cpu MODEL[,+feature][,-feature][,feature=on|off]… parsed, not yet applied. */
typedef struct X86CPUModel {
    char *name;             /* "host", "max", "qemu64", … */
    bool has_base;          /* false: everything the accelerator has */
    X86FeatureSet base;     /* what the named model has */
    X86FeatureSet plus;     /* asked for */
    X86FeatureSet minus;    /* taken away */
    const char *accel_name; /* for messages: "host" (KVM) or "TCG" */
    bool kvm_hidden;        /* kvm=off */
    bool migratable;        /* no invtsc unless asked for */
    bool pmu;
    bool check;             /* warn about what the accelerator lacks */
    bool enforce;           /* and make it an error */
    bool host_phys_bits;
    uint8_t phys_bits;      /* 0: the accelerator's */
    uint8_t host_phys_bits_limit;   /* 0: none */
    int32_t family, model, stepping;    /* -1: the accelerator's */
    uint32_t level, xlevel;     /* 0: as many as there are */
    char *vendor;           /* 12 characters; NULL: the accelerator's */
    char *model_id;         /* NULL: the accelerator's */
} X86CPUModel;

/*
 * Parse -cpu. Unknown models and features are errors in QEMU's words.
 * NULL text means default_model. accel_name is the caller's to set.
 */
X86CPUModel *x86_cpu_model_parse(const char *text, const char *default_model,
                                 Error **errp);
void x86_cpu_model_free(X86CPUModel *model);
/* The i-th model's name, or NULL behind the last. */
const char *x86_cpu_model_name(unsigned i);
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
