/*
 * CPUID: what the guest sees, computed from what the accelerator supports,
 * what -cpu asks for and the topology.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef TARGET_I386_CPUID_H
#define TARGET_I386_CPUID_H

#include "qemu/object.h"
#include "target/i386/cpu.h"

/* The position of one CPU in the machine: hw/i386/cpu.c computes it. */
typedef struct X86CPUTopoInfo {
    unsigned dies_per_pkg;
    unsigned cores_per_die;
    unsigned threads_per_core;
    bool wide_ids;              /* there are APIC ids that need x2APIC mode */
} X86CPUTopoInfo;

/* The bits called name ("sse4.1", "sse4_1", …) added to *set; false: unknown. */
bool x86_feature_find(const char *name, X86FeatureSet *set);
/* "sse4.1 -avx …", one of our own: what *set has more or less. */
void x86_feature_apply_list(X86FeatureSet *set, const char *list);
/* The name of a bit, or NULL. */
const char *x86_feature_name(FeatureWord word, unsigned bit);
/* "CPUID.01H:ECX.avx [bit 28]", caller frees. */
char *x86_feature_describe(FeatureWord word, unsigned bit);
/* The register of a word in the table, or NULL when the leaf is not there. */
uint32_t *x86_feature_reg(CPUIDTable *table, FeatureWord word);
/* Set or clear the bit of f in its leaf, if that is there; table->features stays as it is. */
void x86_feature_set(CPUIDTable *table, X86Feature f, bool on);
/* Words of MSRs: the feature that the MSR is there with; its number and the word's lowest bit. */
X86Feature x86_feature_gate(FeatureWord word);
uint32_t x86_feature_msr(FeatureWord word, unsigned *shift);
/* Print every name, for -cpu help. */
void x86_feature_list(void);

/* A row of table, or NULL. subleaf counts only where it matters. */
CPUIDEntry *x86_cpuid_find(CPUIDTable *table, uint32_t leaf, uint32_t subleaf);

/* -cpu MODEL[,+feature][,-feature][,feature=on|off]… parsed, not yet applied. */
typedef struct X86CPUModel {
    Object obj;             /* its class is the named model */
    bool has_base;          /* false: everything the accelerator has */
    X86FeatureSet base;     /* what the named model has */
    X86FeatureSet optional; /* the part of it that nobody misses */
    X86FeatureSet plus;     /* asked for */
    X86FeatureSet minus;    /* taken away */
    const char *accel_name; /* for messages: "host" (KVM) or "TCG" */
    bool kvm;               /* tell the guest of it */
    bool migratable;        /* no invtsc unless asked for */
    bool pmu;
    bool check;             /* warn about what the accelerator lacks */
    bool enforce;           /* and make it an error */
    bool host_phys_bits;
    bool ignored;
    uint32_t phys_bits;     /* 0: the accelerator's */
    uint32_t host_phys_bits_limit;  /* 0: none */
    int32_t family, model, stepping;    /* -1: the accelerator's */
    uint32_t level, xlevel;     /* 0: as many as there are */
    const char *named_vendor;   /* the named model's, where the accelerator's does not matter */
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
/* Everything that the accelerator supports, nothing asked for or taken away. */
bool x86_cpu_model_is_whole(const X86CPUModel *model);
/* Does it name bits of MSRs, so that the accelerator is to tell what it supports of them? */
bool x86_cpu_model_wants_msrs(const X86CPUModel *model);
/* What the model is to have, and may not do without, that supported lacks. */
void x86_cpu_model_missing(const X86CPUModel *model, const X86FeatureSet *supported,
                           X86FeatureSet *missing);
/* The i-th model's name, caller frees; NULL behind the last. */
char *x86_cpu_model_name(unsigned i);
/* Whether it is the same on every host that has what it needs. */
bool x86_cpu_model_is_fixed(const char *name);
/* -cpu help, on stdout. */
void x86_cpu_list(void);

/* table->features and what hangs on them: from the model and what the accelerator supports. */
bool x86_cpuid_apply_features(CPUIDTable *table, const X86CPUModel *model, Error **errp);
/* table->features as the leaves have them now. */
void x86_cpuid_read_features(CPUIDTable *table);

/*
 * What the accelerator can do, in *table, becomes what this model shows: features taken away or
 * added, topology leaves (1, 4, 0xb, 0x1f, 0x80000008, 0x8000001d/1e) for the
 * topology. Values that depend on the CPU (APIC ids) are filled in by x86_cpuid_for_cpu(). Each
 * feature of the model, or asked for by +, that the accelerator lacks is warned about (check),
 * and then an error (enforce), in QEMU's words. Wide ids without x2APIC are an error; with them
 * the leaf of KVM's features says that messages have room for them (MSI_EXT_DEST_ID).
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
