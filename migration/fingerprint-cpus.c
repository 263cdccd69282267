/*
 * What CPUs offer, as fingerprints have it: the first feature that one has and the other has not.
 *
 * Of the same accelerator all of CPUID must be the same. Of another one what programs rely on must
 * be: features, vendor, model, areas of XSAVE, widths of addresses, topology. Names, caches,
 * frequencies and leaves without anything are each accelerator's own.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <stdio.h>
#include <string.h>

#include "internal.h"
#include "target/i386/cpuid.h"

static bool parse(const char *line, CPUIDEntry *e)
{
    e->has_subleaf = true;
    return sscanf(line, "cpuid 0x%x 0x%x: 0x%x 0x%x 0x%x 0x%x", &e->leaf, &e->subleaf, &e->eax,
                  &e->ebx, &e->ecx, &e->edx) == 6;
}

/* The first feature that only one of them has; caller frees. NULL: they have the same. */
static char *first_feature(CPUIDTable *ours, CPUIDTable *theirs)
{
    for (FeatureWord w = 0; w < FEAT_FIRST_MSR; w++) {
        const uint32_t *a = x86_feature_reg(ours, w), *b = x86_feature_reg(theirs, w);
        uint32_t here = a ? *a : 0, there = b ? *b : 0;

        if (here != there) {
            unsigned bit = __builtin_ctz(here ^ there);
            g_autofree char *name = x86_feature_describe(w, bit);

            return g_strdup_printf("its CPUs %s %s, those of this one %s",
                                   there >> bit & 1 ? "have" : "do not have", name,
                                   there >> bit & 1 ? "do not" : "do");
        }
    }
    return NULL;
}

char *fingerprint_feature(const char *ours, const char *theirs)
{
    g_autofree CPUIDTable *a = g_new0(CPUIDTable, 1), *b = g_new0(CPUIDTable, 1);

    a->n = b->n = 1;
    return parse(ours, &a->e[0]) && parse(theirs, &b->e[0]) ? first_feature(a, b) : NULL;
}

static CPUIDTable *read_table(const char *text)
{
    CPUIDTable *table = g_new0(CPUIDTable, 1);

    while (text && table->n < X86_MAX_CPUID) {
        table->n += parse(text, &table->e[table->n]);
        text = strchr(text, '\n');
        text = text ? text + 1 : NULL;
    }
    return table;
}

/* Leaves that are no features, and which of EAX, EBX, ECX and EDX count. */
static const struct {
    uint32_t leaf;
    uint8_t subleaf;
    bool regs[4];
    char what[32];
} relied_on[] = {
    { 0, 0, { false, true, true, true }, "vendor (-cpu MODEL,vendor=)" },
    { 1, 0, { true, true }, "model" },
    { 0xb, 0, { true, true, true }, "topology" },
    { 0xb, 1, { true, true, true }, "topology" },
    { 0xd, 0, { true, false, true, true }, "XSAVE area" },
    { 0xd, 2, { true, true }, "XSAVE area (AVX)" },
    { 0xd, 5, { true, true }, "XSAVE area (AVX-512)" },
    { 0xd, 6, { true, true }, "XSAVE area (AVX-512)" },
    { 0xd, 7, { true, true }, "XSAVE area (AVX-512)" },
    { 0xd, 9, { true, true }, "XSAVE area (PKRU)" },
    { 0x80000008, 0, { true }, "width of addresses" },
};

static bool same_leaf(const CPUIDTable *ours, const CPUIDTable *theirs, unsigned i)
{
    uint32_t a[4], b[4];
    bool same = true;

    x86_cpuid_lookup(ours, relied_on[i].leaf, relied_on[i].subleaf, a);
    x86_cpuid_lookup(theirs, relied_on[i].leaf, relied_on[i].subleaf, b);
    for (unsigned r = 0; r < 4; r++) {
        same &= !relied_on[i].regs[r] || a[r] == b[r];
    }
    return same;
}

bool fingerprint_check_cpus(const char *ours, const char *theirs, Error **errp)
{
    g_autofree CPUIDTable *a = read_table(ours), *b = read_table(theirs);
    g_autofree char *feature = first_feature(a, b);

    if (feature) {
        error_setg(errp, "the saved machine is another one: %s", feature);
        return false;
    }
    for (unsigned i = 0; i < G_N_ELEMENTS(relied_on); i++) {
        if (!same_leaf(a, b, i)) {
            error_setg(errp, "the saved machine is another one: its CPUs differ in their %s",
                       relied_on[i].what);
            return false;
        }
    }
    return true;
}
