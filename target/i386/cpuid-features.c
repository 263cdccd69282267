/*
 * Which features a CPU has: what its model asks for, of what the accelerator supports.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <string.h>

#include "target/i386/cpuid.h"

/* Features that make no sense without another one (SDM 1, chapters 13 to 18). */
static const struct {
    X86Feature without;
    const char *lose;           /* names */
} dependencies[] = {
    { X86_FEATURE_XSAVE, "avx pku mpx amx-tile xsaveopt xsavec xgetbv1 xsaves xfd" },
    { X86_FEATURE_AVX, "fma f16c avx2 avx-vnni avx-ifma vaes vpclmulqdq xop fma4" },
    { X86_FEATURE_AVX2, "avx512f" },
    { X86_FEATURE_AVX512F, "avx512dq avx512ifma avx512pf avx512er avx512cd avx512bw avx512vl "
      "avx512vbmi avx512vbmi2 avx512vnni avx512bitalg avx512-vpopcntdq "
      "avx512-4vnniw avx512-4fmaps avx512-bf16 avx512-fp16 avx512-vp2intersect" },
    { X86_FEATURE_AMX_TILE, "amx-bf16 amx-int8 amx-fp16" },
    { X86_FEATURE_INTEL_PT, "intel-pt-lip" },
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
        g_auto(GStrv) names = NULL;
        X86FeatureSet bits = { 0 };

        if (x86_feature_in(set, dependencies[i].without)) {
            continue;
        }
        names = g_strsplit(dependencies[i].lose, " ", -1);
        for (unsigned n = 0; names[n]; n++) {
            x86_feature_find(names[n], &bits);
        }
        for (FeatureWord w = 0; w < FEATURE_WORDS; w++) {
            dropped->w[w] |= set->w[w] & bits.w[w];
            set->w[w] &= ~bits.w[w];
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
    for (unsigned f = 0; f < FEATURE_WORDS * 32; f++) {
        if (x86_feature_in(set, f)) {
            g_autofree char *text = x86_feature_describe(f / 32, f % 32);

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
