/*
 * What CPUID shows: features by the model, leaves by the topology.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "target/i386/cpuid.h"

#include <string.h>

/* Bits of leaf 1 EDX that AMD repeats in leaf 0x80000001 EDX (APM 3, E.4.2). */
#define EXT1_EDX_ALIASES        0x0183f3ffu

CPUIDEntry *x86_cpuid_find(CPUIDTable *table, uint32_t leaf, uint32_t subleaf)
{
    for (unsigned i = 0; i < table->n; i++) {
        CPUIDEntry *e = &table->e[i];

        if (e->leaf == leaf && (!e->has_subleaf || e->subleaf == subleaf)) {
            return e;
        }
    }
    return NULL;
}

void x86_cpuid_lookup(const CPUIDTable *table, uint32_t leaf, uint32_t subleaf,
                      uint32_t out[4])
{
    const CPUIDEntry *e = x86_cpuid_find((CPUIDTable *)table, leaf, subleaf);

    memset(out, 0, 4 * sizeof(*out));
    if (e) {
        out[0] = e->eax;
        out[1] = e->ebx;
        out[2] = e->ecx;
        out[3] = e->edx;
    }
}

typedef bool MatchFn(const CPUIDEntry *e, uint32_t arg);

static void remove_if(CPUIDTable *table, MatchFn *match, uint32_t arg)
{
    unsigned n = 0;

    for (unsigned i = 0; i < table->n; i++) {
        if (!match(&table->e[i], arg)) {
            table->e[n++] = table->e[i];
        }
    }
    table->n = n;
}

static bool is_leaf(const CPUIDEntry *e, uint32_t leaf)
{
    return e->leaf == leaf;
}

static bool is_hypervisor(const CPUIDEntry *e, uint32_t arg)
{
    return e->leaf >> 16 == 0x4000;
}

static bool is_basic_above(const CPUIDEntry *e, uint32_t level)
{
    return e->leaf < 0x40000000 && e->leaf > level;
}

static bool is_extended_above(const CPUIDEntry *e, uint32_t level)
{
    return e->leaf >= 0x80000000 && e->leaf > level;
}

/* A zeroed row; a full table (it never is) loses the last one. */
static CPUIDEntry *add_row(CPUIDTable *table, uint32_t leaf, uint32_t subleaf,
                           bool has_subleaf)
{
    CPUIDEntry *e = &table->e[MIN(table->n, X86_MAX_CPUID - 1)];

    table->n = MIN(table->n + 1, X86_MAX_CPUID);
    *e = (CPUIDEntry) { .leaf = leaf, .subleaf = subleaf, .has_subleaf = has_subleaf };
    return e;
}

static CPUIDEntry *find_or_add(CPUIDTable *table, uint32_t leaf)
{
    CPUIDEntry *e = x86_cpuid_find(table, leaf, 0);

    return e ? e : add_row(table, leaf, 0, false);
}

/* "AuthenticAMD" or "HygonGenuine", which follows AMD's manuals. */
static bool is_amd(CPUIDTable *table)
{
    const CPUIDEntry *e = x86_cpuid_find(table, 0, 0);

    return e && (e->ecx == 0x444d4163 || e->ecx == 0x656e6975);
}

/* Features that take leaves with them. */

/* The user components of XSAVE and what they belong to (SDM 1, 13.1). */
static const struct {
    uint8_t bit;
    X86Feature feature;
} xsave_components[] = {
    { 2, X86_FEATURE_AVX }, { 3, X86_FEATURE_MPX }, { 4, X86_FEATURE_MPX },
    { 5, X86_FEATURE_AVX512F }, { 6, X86_FEATURE_AVX512F }, { 7, X86_FEATURE_AVX512F },
    { 9, X86_FEATURE_PKU }, { 17, X86_FEATURE_AMX_TILE }, { 18, X86_FEATURE_AMX_TILE },
};

static bool is_lost_component(const CPUIDEntry *e, uint32_t lost)
{
    return e->leaf == 0xd && e->has_subleaf && e->subleaf >= 2 && e->subleaf < 32 &&
           lost >> e->subleaf & 1;
}

/* Leaf 0xd without the components of features that were taken away. */
static void trim_xsave(CPUIDTable *table)
{
    CPUIDEntry *main_leaf;
    uint32_t lost = 0;

    if (!x86_feature_in(&table->features, X86_FEATURE_XSAVE)) {
        remove_if(table, is_leaf, 0xd);
        return;
    }
    for (unsigned i = 0; i < G_N_ELEMENTS(xsave_components); i++) {
        if (!x86_feature_in(&table->features, xsave_components[i].feature)) {
            lost |= 1u << xsave_components[i].bit;
        }
    }
    remove_if(table, is_lost_component, lost);
    main_leaf = x86_cpuid_find(table, 0xd, 0);
    if (!main_leaf) {
        return;
    }
    main_leaf->eax &= ~lost;
    main_leaf->ecx = 576;       /* legacy region and header */
    for (unsigned i = 0; i < table->n; i++) {
        const CPUIDEntry *e = &table->e[i];

        if (e->leaf == 0xd && e->subleaf >= 2 && e->subleaf < 32 &&
            main_leaf->eax >> e->subleaf & 1) {
            main_leaf->ecx = MAX(main_leaf->ecx, e->ebx + e->eax);
        }
    }
}

/* Leaves of features that named models do not have. */
static void trim_named(CPUIDTable *table)
{
    static const uint32_t leaves[] = {
        0x12, 0x14, 0x19, 0x1c, 0x1d, 0x1e, 0x8000001b, 0x8000001f, 0x80000021,
        0x80000022,
    };

    for (unsigned i = 0; i < G_N_ELEMENTS(leaves); i++) {
        remove_if(table, is_leaf, leaves[i]);
    }
}

static void hide_pmu(CPUIDTable *table)
{
    remove_if(table, is_leaf, 0xa);
    remove_if(table, is_leaf, 0x80000022);
    x86_feature_set(table, X86_FEATURE_PDCM, false);
    x86_feature_set(table, X86_FEATURE_PERFCTR_CORE, false);
}

/* Identity. */

static void set_vendor(CPUIDTable *table, const char *vendor)
{
    static const uint32_t leaves[] = { 0, 0x80000000 };

    for (unsigned i = 0; i < G_N_ELEMENTS(leaves); i++) {
        CPUIDEntry *e = x86_cpuid_find(table, leaves[i], 0);

        if (e) {
            memcpy(&e->ebx, vendor, 4);
            memcpy(&e->edx, vendor + 4, 4);
            memcpy(&e->ecx, vendor + 8, 4);
        }
    }
}

static void set_model_id(CPUIDTable *table, const char *model_id)
{
    char text[48] = { 0 };

    memcpy(text, model_id, MIN(strlen(model_id), sizeof(text)));
    for (unsigned i = 0; i < 3; i++) {
        CPUIDEntry *e = find_or_add(table, 0x80000002 + i);

        memcpy(&e->eax, text + 16 * i, 4);
        memcpy(&e->ebx, text + 16 * i + 4, 4);
        memcpy(&e->ecx, text + 16 * i + 8, 4);
        memcpy(&e->edx, text + 16 * i + 12, 4);
    }
}

/* The fields of the signature: SDM 2A, figure 3-6. */
static uint32_t signature(uint32_t old, const X86CPUModel *model)
{
    uint32_t sig = old;

    if (model->family >= 0) {
        uint32_t extended = model->family > 0xf ? model->family - 0xf : 0;

        sig = (sig & ~0x0ff00f00u) | MIN(model->family, 0xf) << 8 | extended << 20;
    }
    if (model->model >= 0) {
        sig = (sig & ~0x000f00f0u) | (model->model & 0xf) << 4 |
              (uint32_t)model->model >> 4 << 16;
    }
    if (model->stepping >= 0) {
        sig = (sig & ~0xfu) | model->stepping;
    }
    return sig;
}

static void apply_identity(CPUIDTable *table, const X86CPUModel *model)
{
    CPUIDEntry *leaf1 = x86_cpuid_find(table, 1, 0);
    CPUIDEntry *ext1 = x86_cpuid_find(table, 0x80000001, 0);

    if (leaf1) {
        leaf1->eax = signature(leaf1->eax, model);
    }
    if (ext1 && is_amd(table)) {
        ext1->eax = signature(ext1->eax, model);
    }
    if (model->vendor) {
        set_vendor(table, model->vendor);
    }
    if (model->model_id) {
        set_model_id(table, model->model_id);
    }
}

static void apply_phys_bits(CPUIDTable *table, const X86CPUModel *model)
{
    CPUIDEntry *e = x86_cpuid_find(table, 0x80000008, 0);
    unsigned host, bits;

    if (!e) {
        return;
    }
    host = e->eax & 0xff;
    bits = host;
    if (model->phys_bits && (!model->host_phys_bits || model->phys_bits < host)) {
        bits = MIN(host, model->phys_bits);
    }
    if (model->host_phys_bits && model->host_phys_bits_limit) {
        bits = MIN(bits, model->host_phys_bits_limit);
    }
    e->eax = (e->eax & ~0xffu) | bits;
}

static void apply_levels(CPUIDTable *table, const X86CPUModel *model)
{
    CPUIDEntry *basic = x86_cpuid_find(table, 0, 0);
    CPUIDEntry *extended = x86_cpuid_find(table, 0x80000000, 0);

    if (model->level && basic) {
        basic->eax = model->level;
        remove_if(table, is_basic_above, model->level);
    }
    /* Rows may have moved: look again. */
    extended = x86_cpuid_find(table, 0x80000000, 0);
    if (model->xlevel >= 0x80000000 && extended) {
        extended->eax = model->xlevel;
        remove_if(table, is_extended_above, model->xlevel);
    }
}

/* Topology. */

static unsigned width(unsigned count)
{
    return count > 1 ? g_bit_storage(count - 1) : 0;
}

static unsigned package_width(const CPUIDTable *table)
{
    return table->thread_width + table->core_width + table->die_width;
}

/* Leaf 1 and its relatives on AMD: how many logical processors a package has. */
static void topology_counts(CPUIDTable *table, const X86CPUTopoInfo *topo)
{
    unsigned threads = topo->threads_per_core * topo->cores_per_die *
                       topo->dies_per_pkg;
    CPUIDEntry *leaf1 = x86_cpuid_find(table, 1, 0);
    CPUIDEntry *ext1 = x86_cpuid_find(table, 0x80000001, 0);
    CPUIDEntry *ext8 = x86_cpuid_find(table, 0x80000008, 0);
    bool amd = is_amd(table);
    /* SDM: ids set aside, a power of two. APM: processors that are there. */
    unsigned count = amd ? threads : 1u << package_width(table);

    x86_feature_set(table, X86_FEATURE_HT, threads > 1);
    x86_feature_set(table, X86_FEATURE_CMP_LEGACY, amd && threads > 1);
    if (leaf1) {
        leaf1->ebx = (leaf1->ebx & 0xffff) | MIN(count, 255) << 16;
    }
    if (amd && leaf1 && ext1) {
        ext1->edx &= ~EXT1_EDX_ALIASES | leaf1->edx;
    }
    if (ext8) {
        ext8->ecx &= ~0xf0ffu;
        if (amd) {
            ext8->ecx |= package_width(table) << 12 | MIN(threads - 1, 255);
        }
    }
}

/* Ids that share a cache of this level: a core's, from level 3 on the die's. */
static unsigned cache_sharing(const CPUIDTable *table, unsigned level)
{
    unsigned shift = table->thread_width;

    if (level >= 3) {
        shift += table->core_width;
    }
    return (1u << shift) - 1;
}

/* Leaves 4 (SDM) and 0x8000001d (APM): the same fields but for the cores. */
static void topology_caches(CPUIDTable *table)
{
    unsigned cores = (1u << (package_width(table) - table->thread_width)) - 1;

    for (unsigned i = 0; i < table->n; i++) {
        CPUIDEntry *e = &table->e[i];

        if ((e->leaf != 4 && e->leaf != 0x8000001d) || !(e->eax & 0x1f)) {
            continue;
        }
        e->eax &= 0x3fff;
        e->eax |= MIN(cache_sharing(table, e->eax >> 5 & 7), 0xfff) << 14;
        if (e->leaf == 4) {
            e->eax |= MIN(cores, 63) << 26;
        }
    }
}

static void add_level(CPUIDTable *table, uint32_t leaf, unsigned subleaf,
                      unsigned type, unsigned shift, unsigned count)
{
    CPUIDEntry *e = add_row(table, leaf, subleaf, true);

    e->eax = shift;
    e->ebx = count;
    e->ecx = type << 8 | subleaf;
}

/* SDM 2A: leaf 0xb, and 0x1f where a package has dies. Types: thread, core, die. */
static void topology_levels(CPUIDTable *table, const X86CPUTopoInfo *topo)
{
    unsigned core_shift = table->thread_width;
    unsigned die_shift = core_shift + table->core_width;
    unsigned per_die = topo->threads_per_core * topo->cores_per_die;
    unsigned per_pkg = per_die * topo->dies_per_pkg;
    CPUIDEntry *leaf0 = x86_cpuid_find(table, 0, 0);

    if (!leaf0 || leaf0->eax < 4) {
        return;
    }
    leaf0->eax = MAX(leaf0->eax, topo->dies_per_pkg > 1 ? 0x1f : 0xb);
    remove_if(table, is_leaf, 0xb);
    remove_if(table, is_leaf, 0x1f);
    add_level(table, 0xb, 0, 1, core_shift, topo->threads_per_core);
    add_level(table, 0xb, 1, 2, package_width(table), per_pkg);
    add_level(table, 0xb, 2, 0, 0, 0);
    if (topo->dies_per_pkg > 1) {
        add_level(table, 0x1f, 0, 1, core_shift, topo->threads_per_core);
        add_level(table, 0x1f, 1, 2, die_shift, per_die);
        add_level(table, 0x1f, 2, 5, package_width(table), per_pkg);
        add_level(table, 0x1f, 3, 0, 0, 0);
    }
}

/* APM 3, E.4.15 to E.4.17: extended APIC id, core and node ids. */
static void topology_amd(CPUIDTable *table, const X86CPUTopoInfo *topo)
{
    CPUIDEntry *ext0 = x86_cpuid_find(table, 0x80000000, 0);
    CPUIDEntry *e;

    if (!x86_feature_in(&table->features, X86_FEATURE_TOPOEXT)) {
        return;
    }
    /* The extension promises cache leaves, which we cannot invent. */
    if (!ext0 || !x86_cpuid_find(table, 0x8000001d, 0)) {
        x86_feature_set(table, X86_FEATURE_TOPOEXT, false);
        return;
    }
    ext0->eax = MAX(ext0->eax, 0x8000001e);
    remove_if(table, is_leaf, 0x8000001e);
    e = add_row(table, 0x8000001e, 0, false);
    e->ebx = (topo->threads_per_core - 1) << 8;
    e->ecx = MIN(topo->dies_per_pkg - 1, 7) << 8;
}

/* Linux, Documentation/virt/kvm/x86/cpuid.rst: what guests that are told of KVM ask for. */
static bool apply_wide_ids(CPUIDTable *table, Error **errp)
{
    if (!x86_feature_in(&table->features, X86_FEATURE_X2APIC)) {
        error_setg(errp, "-smp: APIC ids above 254 need x2apic, which this -cpu or the accelerator "
                   "does not have");
        return false;
    }
    x86_feature_set(table, X86_FEATURE_KVM_MSI_EXT_DEST_ID, true);
    return true;
}

bool x86_cpuid_build(CPUIDTable *table, const X86CPUModel *model,
                     const X86CPUTopoInfo *topo, Error **errp)
{
    table->thread_width = width(topo->threads_per_core);
    table->core_width = width(topo->cores_per_die);
    table->die_width = width(topo->dies_per_pkg);

    if (!x86_cpuid_apply_features(table, model, errp)) {
        return false;
    }
    if (!x86_cpu_model_is_whole(model)) {
        trim_xsave(table);
    }
    if (model->has_base) {
        trim_named(table);
    }
    if (!model->pmu) {
        hide_pmu(table);
    }
    if (!model->kvm) {
        remove_if(table, is_hypervisor, 0);
    }
    apply_identity(table, model);
    apply_phys_bits(table, model);
    topology_counts(table, topo);
    topology_caches(table);
    topology_levels(table, topo);
    topology_amd(table, topo);
    apply_levels(table, model);
    if (topo->wide_ids && !apply_wide_ids(table, errp)) {
        return false;
    }
    x86_cpuid_read_features(table);
    return true;
}

void x86_cpuid_for_cpu(const CPUIDTable *table, uint32_t apic_id, CPUIDTable *out)
{
    unsigned package = apic_id >> package_width(table);

    *out = *table;
    for (unsigned i = 0; i < out->n; i++) {
        CPUIDEntry *e = &out->e[i];

        switch (e->leaf) {
        case 1:
            e->ebx = (e->ebx & 0x00ffffff) | apic_id << 24;
            break;
        case 0xb:
        case 0x1f:
            e->edx = apic_id;
            break;
        case 0x8000001e: {
            unsigned dies = (e->ecx >> 8 & 7) + 1;
            unsigned die = apic_id >> (table->thread_width + table->core_width) &
                           ((1u << table->die_width) - 1);
            unsigned core = apic_id >> table->thread_width &
                            ((1u << (table->core_width + table->die_width)) - 1);

            e->eax = apic_id;
            e->ebx = (e->ebx & ~0xffu) | (core & 0xff);
            e->ecx = (e->ecx & ~0xffu) | ((package * dies + die) & 0xff);
            break;
        }
        }
    }
}
