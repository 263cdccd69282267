/*
 * Names of CPUID's feature bits, as users of -cpu write them.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <stdio.h>
#include <string.h>

#include "target/i386/cpuid.h"

enum { REG_EAX, REG_EBX, REG_ECX, REG_EDX };

typedef struct FeatureWordInfo {
    uint32_t leaf;
    uint8_t subleaf;
    uint8_t reg;
    /* Names of bit 0, 1, 2 …, each followed by a space; "." has no name. */
    const char *names;
} FeatureWordInfo;

/* SDM 2A, CPUID; APM 3, appendix E; Linux, Documentation/virt/kvm/x86/cpuid.rst. */
static const FeatureWordInfo words[FEATURE_WORDS] = {
    [FEAT_1_EDX] = { 1, 0, REG_EDX,
        "fpu vme de pse tsc msr pae mce "
        "cx8 apic . sep mtrr pge mca cmov "
        "pat pse36 pn clflush . ds acpi mmx "
        "fxsr sse sse2 ss ht tm ia64 pbe " },
    [FEAT_1_ECX] = { 1, 0, REG_ECX,
        "pni pclmulqdq dtes64 monitor ds-cpl vmx smx est "
        "tm2 ssse3 cid . fma cx16 xtpr pdcm "
        ". pcid dca sse4.1 sse4.2 x2apic movbe popcnt "
        "tsc-deadline aes xsave . avx f16c rdrand hypervisor " },
    [FEAT_7_0_EBX] = { 7, 0, REG_EBX,
        "fsgsbase tsc-adjust sgx bmi1 hle avx2 . smep "
        "bmi2 erms invpcid rtm . . mpx . "
        "avx512f avx512dq rdseed adx smap avx512ifma pcommit clflushopt "
        "clwb intel-pt avx512pf avx512er avx512cd sha-ni avx512bw avx512vl " },
    [FEAT_7_0_ECX] = { 7, 0, REG_ECX,
        ". avx512vbmi umip pku . waitpkg avx512vbmi2 . "
        "gfni vaes vpclmulqdq avx512vnni avx512bitalg . avx512-vpopcntdq . "
        "la57 . . . . . rdpid . "
        "bus-lock-detect cldemote . movdiri movdir64b . sgxlc pks " },
    [FEAT_7_0_EDX] = { 7, 0, REG_EDX,
        ". . avx512-4vnniw avx512-4fmaps fsrm . . . "
        "avx512-vp2intersect . md-clear . . . serialize . "
        "tsx-ldtrk . . arch-lbr . . amx-bf16 avx512-fp16 "
        "amx-tile amx-int8 spec-ctrl stibp flush-l1d arch-capabilities "
        "core-capability ssbd " },
    [FEAT_7_1_EAX] = { 7, 1, REG_EAX,
        ". . . . avx-vnni avx512-bf16 . . "
        ". . fzrm fsrs fsrc . . . "
        ". . . . . amx-fp16 . avx-ifma " },
    [FEAT_8000_0001_EDX] = { 0x80000001, 0, REG_EDX,
        ". . . . . . . . "
        ". . . syscall . . . . "
        ". . . mp nx . mmxext . "
        ". fxsr-opt pdpe1gb rdtscp . lm 3dnowext 3dnow " },
    [FEAT_8000_0001_ECX] = { 0x80000001, 0, REG_ECX,
        "lahf-lm cmp-legacy svm extapic cr8legacy abm sse4a misalignsse "
        "3dnowprefetch osvw ibs xop skinit wdt . lwp "
        "fma4 tce . nodeid-msr . tbm topoext perfctr-core "
        "perfctr-nb . . . . . . . " },
    [FEAT_8000_0007_EDX] = { 0x80000007, 0, REG_EDX,
        ". . . . . . . . invtsc " },
    [FEAT_8000_0008_EBX] = { 0x80000008, 0, REG_EBX,
        "clzero . xsaveerptr . . . . . "
        ". wbnoinvd . . ibpb . ibrs amd-stibp "
        ". . . . . . . . "
        "amd-ssbd virt-ssbd amd-no-ssb . . . . . " },
    [FEAT_8000_000A_EDX] = { 0x8000000a, 0, REG_EDX,
        "npt lbrv svm-lock nrip-save tsc-scale vmcb-clean flushbyasid decodeassists "
        ". . pause-filter . pfthreshold avic . v-vmsave-vmload "
        "vgif . . . . . . . "
        ". . . . svme-addr-chk . . . " },
    [FEAT_D_1_EAX] = { 0xd, 1, REG_EAX,
        "xsaveopt xsavec xgetbv1 xsaves " },
    [FEAT_6_EAX] = { 6, 0, REG_EAX, ". . arat " },
    [FEAT_KVM] = { 0x40000001, 0, REG_EAX,
        "kvmclock kvm-nopiodelay kvm-mmu kvmclock "
        "kvm-asyncpf kvm-steal-time kvm-pv-eoi kvm-pv-unhalt "
        ". kvm-pv-tlb-flush kvm-asyncpf-vmexit kvm-pv-ipi "
        "kvm-poll-control kvm-pv-sched-yield kvm-asyncpf-int kvm-msi-ext-dest-id "
        ". . . . . . . . "
        "kvmclock-stable-bit " },
    [FEAT_KVM_HINTS] = { 0x40000001, 0, REG_EDX, "kvm-hint-dedicated " },
};

static const struct {
    const char *alias;
    const char *name;
} aliases[] = {
    { "sse3", "pni" }, { "sse4-1", "sse4.1" }, { "sse4-2", "sse4.2" },
    { "xd", "nx" }, { "i64", "lm" }, { "ffxsr", "fxsr-opt" },
    { "pclmuldq", "pclmulqdq" }, { "lahf_lm", "lahf-lm" },
};

typedef bool NameFn(const char *name, size_t len, FeatureWord word, unsigned bit,
                    void *opaque);

/* Call fn for every bit that has a name, until it returns true. */
static bool foreach_name(FeatureWord first, FeatureWord last, NameFn *fn, void *opaque)
{
    for (FeatureWord word = first; word <= last; word++) {
        const char *p = words[word].names;

        for (unsigned bit = 0; *p; bit++) {
            size_t len = strchr(p, ' ') - p;

            if (*p != '.' && fn(p, len, word, bit, opaque)) {
                return true;
            }
            p += len + 1;
        }
    }
    return false;
}

typedef struct FindName {
    const char *name;
    size_t len;
    X86FeatureSet *set;
    bool found;
} FindName;

/* All words are searched: two bits may share a name. */
static bool match_name(const char *name, size_t len, FeatureWord word, unsigned bit,
                       void *opaque)
{
    FindName *f = opaque;

    if (len == f->len && !memcmp(name, f->name, len)) {
        f->set->w[word] |= 1u << bit;
        f->found = true;
    }
    return false;
}

bool x86_feature_find(const char *name, X86FeatureSet *set)
{
    g_autofree char *canonical = g_strdelimit(g_strdup(name), "_", '-');
    FindName f = { .name = canonical, .set = set };

    for (unsigned i = 0; i < G_N_ELEMENTS(aliases); i++) {
        if (!strcmp(canonical, aliases[i].alias)) {
            f.name = aliases[i].name;
        }
    }
    f.len = strlen(f.name);
    foreach_name(0, FEATURE_WORDS - 1, match_name, &f);
    return f.found;
}

typedef struct NameOf {
    unsigned bit;
    char *name;
} NameOf;

static bool match_bit(const char *name, size_t len, FeatureWord word, unsigned bit,
                      void *opaque)
{
    NameOf *n = opaque;

    if (bit == n->bit) {
        n->name = g_strndup(name, len);
    }
    return n->name != NULL;
}

char *x86_feature_name(FeatureWord word, unsigned bit)
{
    NameOf n = { .bit = bit };

    foreach_name(word, word, match_bit, &n);
    return n.name;
}

char *x86_feature_word_name(FeatureWord word)
{
    static const char *const regs[] = { "EAX", "EBX", "ECX", "EDX" };

    return g_strdup_printf("CPUID.%02XH:%s", words[word].leaf, regs[words[word].reg]);
}

uint32_t *x86_feature_reg(CPUIDTable *table, FeatureWord word)
{
    const FeatureWordInfo *info = &words[word];
    CPUIDEntry *e = x86_cpuid_find(table, info->leaf, info->subleaf);

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

static bool collect_name(const char *name, size_t len, FeatureWord word,
                         unsigned bit, void *opaque)
{
    g_ptr_array_add(opaque, g_strndup(name, len));
    return false;
}

static gint compare_names(gconstpointer a, gconstpointer b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

void x86_feature_list(void)
{
    g_autoptr(GPtrArray) names = g_ptr_array_new_with_free_func(g_free);
    size_t column = 0;

    foreach_name(0, FEATURE_WORDS - 1, collect_name, names);
    g_ptr_array_sort(names, compare_names);
    for (guint i = 0; i < names->len; i++) {
        const char *name = g_ptr_array_index(names, i);

        if (column + strlen(name) + 1 > 75) {
            printf("\n");
            column = 0;
        }
        column += printf("%s%s", column ? " " : "  ", name);
    }
    printf("\n");
}
