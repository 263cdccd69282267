/*
 * Names of features, as users of -cpu write them, and where each feature is.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <stdio.h>
#include <string.h>

#include "target/i386/cpuid.h"

enum { REG_EAX, REG_EBX, REG_ECX, REG_EDX, MSR_LOW, MSR_HIGH, MSR_ALLOWED1 };

typedef struct FeatureWordInfo {
    uint32_t index;             /* of the leaf or MSR */
    uint16_t gate;              /* MSRs: the feature that they go with */
    uint8_t subleaf;
    uint8_t reg;
} FeatureWordInfo;

#define CPUID_INFO(word, leaf, sub, r) \
    [FEAT_##word] = { .index = (leaf), .subleaf = (sub), .reg = REG_##r },
#define MSR_INFO(word, msr, part, feature) \
    [FEAT_##word] = { .index = (msr), .gate = X86_FEATURE_##feature, .reg = MSR_##part },
static const FeatureWordInfo words[FEATURE_WORDS] = {
    X86_FEATURE_WORDS(CPUID_INFO, MSR_INFO)
};

/* The named features, all their names in the same order, and how long each is with its end. */
#define NUMBER_F(word, bit, id, name) FEAT_##word * 32 + (bit),
#define NUMBER_N(word, bit, name) FEAT_##word * 32 + (bit),
#define NAME_F(word, bit, id, name) name "\0"
#define NAME_N(word, bit, name) name "\0"
static const uint16_t numbers[] = { X86_FEATURES(NUMBER_F, NUMBER_N) };
#define SIZE_F(word, bit, id, name) sizeof(name),
#define SIZE_N(word, bit, name) sizeof(name),
static const char names[] = X86_FEATURES(NAME_F, NAME_N);
static const uint8_t sizes[] = { X86_FEATURES(SIZE_F, SIZE_N) };

#define FOREACH_NAME(i, p) \
    for ((i) = 0, (p) = names; (i) < G_N_ELEMENTS(numbers); (p) += sizes[(i)++])

static const struct {
    const char *alias;
    const char *name;
} aliases[] = {
    { "sse3", "pni" }, { "sse4-1", "sse4.1" }, { "sse4-2", "sse4.2" },
    { "xd", "nx" }, { "i64", "lm" }, { "ffxsr", "fxsr-opt" },
    { "pclmuldq", "pclmulqdq" },
};

/* All of that name, which is in canonical form: two bits may share one. */
static bool add_named(X86FeatureSet *set, const char *name, size_t len)
{
    bool found = false;
    const char *p;
    unsigned i;

    FOREACH_NAME(i, p) {
        if (sizes[i] == len + 1 && p[0] == name[0] && !memcmp(p, name, len)) {
            x86_feature_add(set, numbers[i]);
            found = true;
        }
    }
    return found;
}

bool x86_feature_find(const char *name, X86FeatureSet *set)
{
    g_autofree char *canonical = g_strdelimit(g_strdup(name), "_", '-');
    const char *wanted = canonical;

    for (unsigned i = 0; i < G_N_ELEMENTS(aliases); i++) {
        if (!strcmp(canonical, aliases[i].alias)) {
            wanted = aliases[i].name;
        }
    }
    return add_named(set, wanted, strlen(wanted));
}

void x86_feature_apply_list(X86FeatureSet *set, const char *list)
{
    for (const char *end; *list; list = *end ? end + 1 : end) {
        bool less = *list == '-', known;
        X86FeatureSet bits = { 0 };

        end = strchrnul(list, ' ');
        known = end == list || add_named(&bits, list + less, end - list - less);
        g_assert(known);
        for (FeatureWord w = 0; w < FEATURE_WORDS; w++) {
            set->w[w] = less ? set->w[w] & ~bits.w[w] : set->w[w] | bits.w[w];
        }
    }
}

const char *x86_feature_name(FeatureWord word, unsigned bit)
{
    const char *p;
    unsigned i;

    FOREACH_NAME(i, p) {
        if (numbers[i] == word * 32 + bit) {
            return p;
        }
    }
    return NULL;
}

char *x86_feature_describe(FeatureWord word, unsigned bit)
{
    static const char *const regs[] = { "EAX", "EBX", "ECX", "EDX" };
    const FeatureWordInfo *info = &words[word];
    const char *name = x86_feature_name(word, bit);
    g_autofree char *reg = word < FEAT_FIRST_MSR
        ? g_strdup_printf("CPUID.%02XH:%s", info->index, regs[info->reg])
        : g_strdup_printf("MSR(%XH)", info->index);

    return g_strdup_printf("%s%s%s [bit %u]", reg, name ? "." : "", name ? name : "",
                           info->reg == MSR_HIGH ? bit + 32 : bit);
}

uint32_t *x86_feature_reg(CPUIDTable *table, FeatureWord word)
{
    const FeatureWordInfo *info = &words[word];
    CPUIDEntry *e;

    if (word >= FEAT_FIRST_MSR) {
        return &table->features.w[word];
    }
    e = x86_cpuid_find(table, info->index, info->subleaf);
    if (!e) {
        return NULL;
    }
    switch (info->reg) {
    case REG_EAX:
        return &e->eax;
    case REG_EBX:
        return &e->ebx;
    case REG_ECX:
        return &e->ecx;
    default:
        return &e->edx;
    }
}

void x86_feature_set(CPUIDTable *table, X86Feature f, bool on)
{
    uint32_t *reg = x86_feature_reg(table, f / 32), bit = 1u << (f % 32);

    if (reg) {
        *reg = on ? *reg | bit : *reg & ~bit;
    }
}

X86Feature x86_feature_gate(FeatureWord word)
{
    return words[word].gate;
}

uint32_t x86_feature_msr(FeatureWord word, unsigned *shift)
{
    *shift = words[word].reg == MSR_LOW ? 0 : 32;
    return words[word].index;
}

static gint compare_names(gconstpointer a, gconstpointer b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

void x86_feature_list(void)
{
    g_autoptr(GPtrArray) sorted = g_ptr_array_new();
    size_t column = 0;
    const char *p;
    unsigned i;

    FOREACH_NAME(i, p) {
        g_ptr_array_add(sorted, (char *)p);
    }
    g_ptr_array_sort(sorted, compare_names);
    for (i = 0; i < sorted->len; i++) {
        const char *name = g_ptr_array_index(sorted, i);

        if (column + strlen(name) + 1 > 75) {
            puts("");
            column = 0;
        }
        column += printf("%s%s", column ? " " : "  ", name);
    }
    puts("");
}
