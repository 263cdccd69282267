/*
 * Which features a CPU has: what its model asks for, of what the accelerator supports.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <string.h>

#include "target/i386/cpuid.h"

/* Features that make no sense without another one (SDM 1, chapters 13 to 18); 0 ends them. */
#define LOSE_MAX 18
static const struct {
    uint16_t without;
    uint16_t lose[LOSE_MAX];
} dependencies[] = {
    { X86_FEATURE_XSAVE, { X86_FEATURE_AVX, X86_FEATURE_PKU, X86_FEATURE_MPX,
      X86_FEATURE_AMX_TILE, X86_FEATURE_XSAVEOPT, X86_FEATURE_XSAVEC, X86_FEATURE_XGETBV1,
      X86_FEATURE_XSAVES, X86_FEATURE_XFD } },
    { X86_FEATURE_AVX, { X86_FEATURE_FMA, X86_FEATURE_F16C, X86_FEATURE_AVX2,
      X86_FEATURE_AVX_VNNI, X86_FEATURE_AVX_IFMA, X86_FEATURE_VAES, X86_FEATURE_VPCLMULQDQ,
      X86_FEATURE_XOP, X86_FEATURE_FMA4 } },
    { X86_FEATURE_AVX2, { X86_FEATURE_AVX512F } },
    { X86_FEATURE_AVX512F, { X86_FEATURE_AVX512DQ, X86_FEATURE_AVX512IFMA, X86_FEATURE_AVX512PF,
      X86_FEATURE_AVX512ER, X86_FEATURE_AVX512CD, X86_FEATURE_AVX512BW, X86_FEATURE_AVX512VL,
      X86_FEATURE_AVX512VBMI, X86_FEATURE_AVX512VBMI2, X86_FEATURE_AVX512VNNI,
      X86_FEATURE_AVX512BITALG, X86_FEATURE_AVX512_VPOPCNTDQ, X86_FEATURE_AVX512_4VNNIW,
      X86_FEATURE_AVX512_4FMAPS, X86_FEATURE_AVX512_BF16, X86_FEATURE_AVX512_FP16,
      X86_FEATURE_AVX512_VP2INTERSECT } },
    { X86_FEATURE_AMX_TILE, { X86_FEATURE_AMX_BF16, X86_FEATURE_AMX_INT8, X86_FEATURE_AMX_FP16 } },
    { X86_FEATURE_INTEL_PT, { X86_FEATURE_INTEL_PT_LIP } },
};

static bool any_bit(const X86FeatureSet *set)
{
    for (FeatureWord w = 0; w < FEATURE_WORDS; w++) {
        if (set->w[w]) {
            return true;
        }
    }
    return false;
}

/* Take from set, and add to *dropped, what lacks that which it depends on. */
static void drop_dependents(X86FeatureSet *set, X86FeatureSet *dropped)
{
    for (unsigned i = 0; i < G_N_ELEMENTS(dependencies); i++) {
        const uint16_t *lose = dependencies[i].lose;

        if (x86_feature_in(set, dependencies[i].without)) {
            continue;
        }
        for (unsigned n = 0; n < LOSE_MAX && lose[n]; n++) {
            if (x86_feature_in(set, lose[n])) {
                x86_feature_add(dropped, lose[n]);
                x86_feature_remove(set, lose[n]);
            }
        }
    }
    for (FeatureWord w = FEAT_FIRST_MSR; w < FEATURE_WORDS; w++) {
        if (!x86_feature_in(set, x86_feature_gate(w))) {
            dropped->w[w] |= set->w[w];
            set->w[w] = 0;
        }
    }
}

static void warn_each(const char *what, const X86FeatureSet *set)
{
    for (FeatureWord w = 0; w < FEATURE_WORDS; w++) {
        for (uint32_t left = set->w[w]; left; left &= left - 1) {
            g_autofree char *text = x86_feature_describe(w, __builtin_ctz(left));

            warn_report("%s: %s", what, text);
        }
    }
}

/* Warn about what is lost; false when the model insists on it. */
static bool report_lost(const X86CPUModel *model, const X86FeatureSet *dependent,
                        const X86FeatureSet *missing, Error **errp)
{
    bool host = !strcmp(model->accel_name, "host");
    g_autofree char *what = g_strdup_printf("%s doesn't support requested feature",
                                            model->accel_name);

    if (model->check || model->enforce) {
        warn_each("This feature depends on other features that were not requested", dependent);
        warn_each(what, missing);
    }
    if (model->enforce && (any_bit(dependent) || any_bit(missing))) {
        error_setg(errp, "%s doesn't support requested features",
                   host ? "Host" : model->accel_name);
        return false;
    }
    return true;
}

bool x86_cpu_model_is_whole(const X86CPUModel *model)
{
    return !model->has_base && !any_bit(&model->minus) && !any_bit(&model->plus);
}

bool x86_cpu_model_wants_msrs(const X86CPUModel *model)
{
    bool any = false;

    for (FeatureWord w = FEAT_FIRST_MSR; w < FEATURE_WORDS; w++) {
        any |= model->plus.w[w] || model->minus.w[w];
    }
    return any;
}

/* What the model has where anything goes. */
static void wanted_features(const X86CPUModel *model, const X86FeatureSet *supported,
                            X86FeatureSet *wanted)
{
    *wanted = model->has_base ? model->base : *supported;
    if (!model->has_base && model->migratable) {
        x86_feature_remove(wanted, X86_FEATURE_INVTSC);
    }
    for (FeatureWord w = 0; w < FEATURE_WORDS; w++) {
        wanted->w[w] = (wanted->w[w] | model->plus.w[w]) & ~model->minus.w[w];
    }
}

void x86_cpu_model_missing(const X86CPUModel *model, const X86FeatureSet *supported,
                           X86FeatureSet *missing)
{
    for (FeatureWord w = 0; w < FEATURE_WORDS; w++) {
        uint32_t base = w < FEAT_FIRST_MSR ? model->base.w[w] & ~model->optional.w[w] : 0;

        missing->w[w] = ((base & ~model->minus.w[w]) | model->plus.w[w]) & ~supported->w[w];
    }
    /* One name with two bits: having one of them is enough. */
    if (x86_feature_in(supported, X86_FEATURE_KVMCLOCK) ||
        x86_feature_in(supported, X86_FEATURE_KVMCLOCK2)) {
        x86_feature_remove(missing, X86_FEATURE_KVMCLOCK);
        x86_feature_remove(missing, X86_FEATURE_KVMCLOCK2);
    }
}

void x86_cpuid_read_features(CPUIDTable *table)
{
    for (FeatureWord w = 0; w < FEATURE_WORDS; w++) {
        const uint32_t *reg = x86_feature_reg(table, w);

        table->features.w[w] = reg ? *reg : 0;
    }
}

/* table's features become those of wanted that it has. */
static void write_features(CPUIDTable *table, const X86FeatureSet *wanted)
{
    for (FeatureWord w = 0; w < FEATURE_WORDS; w++) {
        uint32_t supported = table->features.w[w];
        uint32_t *reg = x86_feature_reg(table, w);

        table->features.w[w] &= wanted->w[w];
        if (reg) {
            *reg = table->features.w[w];
        }
        if (w >= FEAT_FIRST_MSR && x86_feature_in(wanted, x86_feature_gate(w))) {
            table->msr_hidden[w - FEAT_FIRST_MSR] = supported & ~wanted->w[w];
        }
    }
}

bool x86_cpuid_apply_features(CPUIDTable *table, const X86CPUModel *model, Error **errp)
{
    X86FeatureSet wanted, missing, lost = { 0 };
    /* Whole features hang together on the host as it is; looking costs time. */
    bool whole = x86_cpu_model_is_whole(model);

    x86_cpuid_read_features(table);
    wanted_features(model, &table->features, &wanted);
    if (!whole) {
        drop_dependents(&wanted, &lost);
    }
    x86_cpu_model_missing(model, &table->features, &missing);
    for (FeatureWord w = 0; w < FEATURE_WORDS; w++) {
        lost.w[w] &= model->plus.w[w];
        missing.w[w] &= wanted.w[w];
        wanted.w[w] &= table->features.w[w];
    }
    if (!whole) {
        X86FeatureSet ignored = { 0 };

        drop_dependents(&wanted, &ignored);
    }
    write_features(table, &wanted);
    return report_lost(model, &lost, &missing, errp);
}
