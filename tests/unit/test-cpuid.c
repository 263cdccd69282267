/*
 * CPUID tables from what made-up hosts support.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <string.h>

#include "target/i386/cpu-named.h"
#include "target/i386/cpuid.h"

/* Of both vendors: xsave with AVX and AVX-512, x2APIC, KVM's leaves. */
static const CPUIDEntry common[] = {
    { 1, 0, false, 0x000806f8, 0x00100800, 0x97fab223, 0x0f8bfbff },
    { 6, 0, false, 4, 0, 0, 0 },
    { 7, 0, true, 1, 0xd19f27eb, 0x00415f5e, 0x24000010 },
    { 7, 1, true, 0x00001c30, 0, 0, 0 },
    { 0xd, 0, true, 0xe7, 0x240, 0xa88, 0 },
    { 0xd, 1, true, 0xf, 0, 0, 0 },
    { 0xd, 2, true, 0x100, 0x240, 0, 0 },
    { 0xd, 5, true, 0x40, 0x440, 0, 0 },
    { 0xd, 6, true, 0x200, 0x480, 0, 0 },
    { 0xd, 7, true, 0x400, 0x680, 0, 0 },
    { 0x40000000, 0, false, 0x40000001, 0x4b4d564b, 0x564b4d56, 0x4d },
    { 0x40000001, 0, false, 0x01007efb, 0, 0, 0 },
    { 0x80000000, 0, false, 0x80000021, 0, 0, 0 },
    { 0x80000001, 0, false, 0x00a00f11, 0, 0x00c003f7, 0x2fd3fbff },
    { 0x80000007, 0, false, 0, 0, 0, 0x100 },
    { 0x80000008, 0, false, 0x3030, 0x1000, 0, 0 },
};
static const CPUIDEntry intel[] = {
    { 0, 0, false, 0x1f, 0x756e6547, 0x6c65746e, 0x49656e69 },
    { 4, 0, true, 0x7c004121, 0x02c0003f, 0x3f, 0 },
    { 4, 1, true, 0x7c004122, 0x01c0003f, 0x3f, 0 },
    { 4, 2, true, 0x7c004143, 0x03c0003f, 0x7ff, 0 },
    { 4, 3, true, 0x7c0fc163, 0x0380003f, 0xdfff, 4 },
    { 4, 4, true, 0, 0, 0, 0 },
    { 0xa, 0, false, 0x08300802, 0, 0, 0x603 },
    { 0xb, 0, true, 1, 2, 0x100, 0x33 },
    { 0x1f, 0, true, 1, 2, 0x100, 0x33 },
};
static const CPUIDEntry amd[] = {
    { 0, 0, false, 0x10, 0x68747541, 0x444d4163, 0x69746e65 },
    { 0x8000001d, 0, true, 0x00004121, 0x01c0003f, 0x3f, 0 },
    { 0x8000001d, 1, true, 0x00004122, 0x01c0003f, 0x3f, 0 },
    { 0x8000001d, 2, true, 0x00004143, 0x01c0003f, 0x3ff, 2 },
    { 0x8000001d, 3, true, 0x0003c163, 0x03c0003f, 0x7fff, 1 },
    { 0x8000001d, 4, true, 0, 0, 0, 0 },
    { 0x8000001e, 0, false, 7, 0x103, 0x100, 0 },
};

static void append(CPUIDTable *t, const CPUIDEntry *rows, unsigned n)
{
    memcpy(&t->e[t->n], rows, n * sizeof(*rows));
    t->n += n;
}

static CPUIDTable *host(bool is_amd)
{
    CPUIDTable *t = g_new0(CPUIDTable, 1);

    append(t, common, G_N_ELEMENTS(common));
    if (is_amd) {
        append(t, amd, G_N_ELEMENTS(amd));
    } else {
        append(t, intel, G_N_ELEMENTS(intel));
    }
    return t;
}

/* Build for -cpu text; the caller frees. */
static CPUIDTable *build(bool is_amd, const char *text, unsigned dies,
                         unsigned cores, unsigned threads)
{
    X86CPUTopoInfo topo = {
        .dies_per_pkg = dies, .cores_per_die = cores, .threads_per_core = threads,
    };
    CPUIDTable *t = host(is_amd);
    Error *err = NULL;
    X86CPUModel *model = x86_cpu_model_parse(text, "host", &err);

    g_assert_null(err);
    g_assert_true(x86_cpuid_build(t, model, &topo, &err));
    x86_cpu_model_free(model);
    return t;
}

static uint32_t reg(const CPUIDTable *t, uint32_t leaf, uint32_t subleaf, char r)
{
    uint32_t out[4];

    x86_cpuid_lookup(t, leaf, subleaf, out);
    return out[r - 'a'];        /* 'a'..'d' for EAX, EBX, ECX, EDX */
}

static void test_intel_topology(void)
{
    g_autofree CPUIDTable *t = build(false, NULL, 1, 3, 2);
    g_autofree CPUIDTable *cpu = g_new0(CPUIDTable, 1);

    /* Three cores of two threads: ids of 1 + 2 bits, eight of them set aside. */
    x86_cpuid_for_cpu(t, 0xd, cpu);
    g_assert_cmphex(reg(cpu, 1, 0, 'b'), ==, 0x0d080800);
    g_assert_cmphex(reg(cpu, 1, 0, 'd') & 1u << 28, !=, 0);
    g_assert_cmphex(reg(cpu, 4, 0, 'a'), ==, 0x121 | 1 << 14 | 3 << 26);
    g_assert_cmphex(reg(cpu, 4, 2, 'a'), ==, 0x143 | 1 << 14 | 3 << 26);
    g_assert_cmphex(reg(cpu, 4, 3, 'a'), ==, 0x163 | 7 << 14 | 3 << 26);
    g_assert_cmphex(reg(cpu, 4, 4, 'a'), ==, 0);
    g_assert_cmphex(reg(cpu, 0xb, 0, 'a'), ==, 1);
    g_assert_cmphex(reg(cpu, 0xb, 0, 'b'), ==, 2);
    g_assert_cmphex(reg(cpu, 0xb, 0, 'c'), ==, 0x100);
    g_assert_cmphex(reg(cpu, 0xb, 1, 'a'), ==, 3);
    g_assert_cmphex(reg(cpu, 0xb, 1, 'b'), ==, 6);
    g_assert_cmphex(reg(cpu, 0xb, 1, 'c'), ==, 0x201);
    g_assert_cmphex(reg(cpu, 0xb, 2, 'c'), ==, 2);
    g_assert_cmphex(reg(cpu, 0xb, 1, 'd'), ==, 0xd);
    /* No dies: the host's own leaf 0x1f must not shine through. */
    g_assert_cmphex(reg(cpu, 0x1f, 0, 'b'), ==, 0);
    /* AMD's counts are reserved here. */
    g_assert_cmphex(reg(cpu, 0x80000008, 0, 'c'), ==, 0);
}

static void test_intel_dies(void)
{
    g_autofree CPUIDTable *t = build(false, NULL, 2, 2, 2);
    g_autofree CPUIDTable *cpu = g_new0(CPUIDTable, 1);

    x86_cpuid_for_cpu(t, 0xb, cpu);
    g_assert_cmphex(reg(cpu, 0, 0, 'a'), ==, 0x1f);
    g_assert_cmphex(reg(cpu, 0x1f, 0, 'c'), ==, 0x100);
    g_assert_cmphex(reg(cpu, 0x1f, 1, 'a'), ==, 2);
    g_assert_cmphex(reg(cpu, 0x1f, 1, 'b'), ==, 4);
    g_assert_cmphex(reg(cpu, 0x1f, 2, 'a'), ==, 3);
    g_assert_cmphex(reg(cpu, 0x1f, 2, 'b'), ==, 8);
    g_assert_cmphex(reg(cpu, 0x1f, 2, 'c'), ==, 0x502);
    g_assert_cmphex(reg(cpu, 0x1f, 2, 'd'), ==, 0xb);
    g_assert_cmphex(reg(cpu, 4, 3, 'a') >> 14 & 0xfff, ==, 3);  /* L3: a die's */
}

static void test_one_cpu(void)
{
    g_autofree CPUIDTable *t = build(false, NULL, 1, 1, 1);

    g_assert_cmphex(reg(t, 1, 0, 'b'), ==, 0x00010800);
    g_assert_cmphex(reg(t, 1, 0, 'd') & 1u << 28, ==, 0);
    g_assert_cmphex(reg(t, 4, 3, 'a'), ==, 0x163);
    g_assert_cmphex(reg(t, 0xb, 0, 'b'), ==, 1);
}

static void test_amd_topology(void)
{
    g_autofree CPUIDTable *t = build(true, NULL, 2, 3, 2);
    g_autofree CPUIDTable *cpu = g_new0(CPUIDTable, 1);

    /* Package 1, die 1, core 2, thread 1 in bits 4, 3, 2:1 and 0. */
    x86_cpuid_for_cpu(t, 0x1d, cpu);
    g_assert_cmphex(reg(cpu, 1, 0, 'b'), ==, 0x1d0c0800);
    g_assert_cmphex(reg(cpu, 0x80000001, 0, 'c') & 1u << 1, !=, 0);
    g_assert_cmphex(reg(cpu, 0x80000008, 0, 'c'), ==, 0x400b);
    g_assert_cmphex(reg(cpu, 0x8000001d, 0, 'a'), ==, 0x121 | 1 << 14);
    g_assert_cmphex(reg(cpu, 0x8000001d, 3, 'a'), ==, 0x163 | 7 << 14);
    g_assert_cmphex(reg(cpu, 0x8000001e, 0, 'a'), ==, 0x1d);
    g_assert_cmphex(reg(cpu, 0x8000001e, 0, 'b'), ==, 0x106);   /* 2 threads, core 6 */
    g_assert_cmphex(reg(cpu, 0x8000001e, 0, 'c'), ==, 0x103);   /* 2 nodes, node 3 */
    g_assert_cmphex(reg(cpu, 0xb, 1, 'a'), ==, 4);
}

static void test_amd_without_topoext(void)
{
    g_autofree CPUIDTable *t = build(true, "host,topoext=off,-mmx", 1, 2, 1);

    g_assert_cmphex(reg(t, 0x80000001, 0, 'c') & 1u << 22, ==, 0);
    /* What leaf 1 lost is lost in AMD's copy, too. */
    g_assert_cmphex(reg(t, 1, 0, 'd') & 1u << 23, ==, 0);
    g_assert_cmphex(reg(t, 0x80000001, 0, 'd') & 1u << 23, ==, 0);
    g_assert_cmphex(reg(t, 0x80000001, 0, 'd') & 1u << 29, !=, 0);
}

static void test_features(void)
{
    g_autofree CPUIDTable *plain = build(false, "host", 1, 1, 1);
    g_autofree CPUIDTable *less = build(false, "host,-x2apic,sse4_1=off,+invtsc", 1, 1, 1);
    g_autofree CPUIDTable *last = build(false, "host,-avx512f,+avx512f,pmu=off,kvm=off",
                                        1, 1, 1);

    g_assert_cmphex(reg(plain, 1, 0, 'c'), ==, 0x97fab223);
    g_assert_cmphex(reg(plain, 0x80000007, 0, 'd'), ==, 0);     /* migratable */
    g_assert_cmphex(reg(plain, 0xa, 0, 'a'), !=, 0);
    g_assert_cmphex(reg(plain, 0x40000001, 0, 'a'), !=, 0);
    g_assert_cmphex(reg(less, 1, 0, 'c'), ==, 0x97fab223 & ~(1u << 21 | 1u << 19));
    g_assert_cmphex(reg(less, 0x80000007, 0, 'd'), ==, 0x100);
    /* Minus after plus, wherever they stand. */
    g_assert_cmphex(reg(last, 7, 0, 'b') & 1u << 16, ==, 0);
    g_assert_cmphex(reg(last, 7, 0, 'b') & 1u << 5, !=, 0);
    g_assert_cmphex(reg(last, 0xa, 0, 'a'), ==, 0);
    g_assert_cmphex(reg(last, 0x40000001, 0, 'a'), ==, 0);
}

/* Without AVX-512 its three components and their room are gone; and so on down. */
static void test_xsave(void)
{
    g_autofree CPUIDTable *plain = build(false, "host", 1, 1, 1);
    g_autofree CPUIDTable *no512 = build(false, "host,-avx512f", 1, 1, 1);
    g_autofree CPUIDTable *noavx = build(false, "host,avx=off", 1, 1, 1);
    g_autofree CPUIDTable *none = build(false, "host,-xsave", 1, 1, 1);

    g_assert_cmphex(reg(plain, 0xd, 0, 'a'), ==, 0xe7);
    g_assert_cmphex(reg(no512, 0xd, 0, 'a'), ==, 7);
    g_assert_cmphex(reg(no512, 0xd, 0, 'c'), ==, 0x340);
    g_assert_cmphex(reg(no512, 0xd, 5, 'a'), ==, 0);
    g_assert_cmphex(reg(no512, 7, 0, 'b') & 0xd0030000, ==, 0);
    g_assert_cmphex(reg(noavx, 0xd, 0, 'a'), ==, 3);
    g_assert_cmphex(reg(noavx, 0xd, 0, 'c'), ==, 576);
    g_assert_cmphex(reg(noavx, 7, 0, 'b') & 1u << 5, ==, 0);
    g_assert_cmphex(reg(noavx, 1, 0, 'c') & (1u << 12 | 1u << 29), ==, 0);
    g_assert_cmphex(reg(none, 0xd, 0, 'a'), ==, 0);
    g_assert_cmphex(reg(none, 0xd, 1, 'a'), ==, 0);
}

static void test_named_model(void)
{
    g_autofree CPUIDTable *t = build(false, "qemu64,+avx2", 1, 1, 1);

    g_assert_cmphex(reg(t, 1, 0, 'a') & 0x0fff0ff0, ==, 0x00060fb0);    /* 15, 107 */
    g_assert_cmphex(reg(t, 1, 0, 'c'), ==,
                    1u << 0 | 1u << 13 | 1u << 21 | 1u << 31);
    g_assert_cmphex(reg(t, 0xa, 0, 'a'), ==, 0);
    /* avx2 without avx falls again. */
    g_assert_cmphex(reg(t, 7, 0, 'b'), ==, 0);
    g_assert_cmphex(reg(t, 0x80000008, 0, 'a') & 0xff, ==, 40);
    g_assert_cmphex(reg(t, 0x80000002, 0, 'a'), ==, 0x554d4551);        /* "QEMU" */
}

/* Models of QEMU's by all their names: what one has, and the next version has not. */
static void test_processor_models(void)
{
    static const struct { const char *name, *has, *has_not; int family, model; } some[] = {
        { "Haswell", "avx2", "ibpb", 6, 60 }, { "Haswell-v1", "rtm", NULL, 6, 60 },
        { "Haswell-noTSX", "fma", "rtm", 6, 60 }, { "Haswell-IBRS", "spec-ctrl", NULL, 6, 60 },
        { "Haswell-v4", "spec-ctrl", "hle", 6, 60 },
        { "EPYC-Rome", "clwb", "ibrs", 23, 49 }, { "EPYC-Rome-v2", "ibrs", NULL, 23, 49 },
        { "EPYC-Milan", "pku", "vaes", 25, 1 }, { "Icelake-Server", "avx512vnni", NULL, 6, 134 },
        { "Nehalem", "sse4.2", "avx", 6, 26 }, { "Opteron_G1-v1", "lm", "cx16", 15, 6 },
        { "qemu64-v1", "svm", NULL, 15, 107 },
    };
    g_autofree char *first = x86_named_model_name(0);
    char *name;
    unsigned n = 0;

    if (!first) {
        g_test_skip("built without these models");
        return;
    }
    for (unsigned i = 0; i < G_N_ELEMENTS(some); i++) {
        X86CPUModel *model = x86_cpu_model_parse(some[i].name, "host", NULL);
        X86FeatureSet has = { 0 }, has_not = { 0 };

        g_assert_nonnull(model);
        g_assert_cmpstr(model->obj.oc->name, ==, some[i].name);
        g_assert_cmpint(model->family, ==, some[i].family);
        g_assert_cmpint(model->model, ==, some[i].model);
        g_assert_true(x86_feature_find(some[i].has, &has));
        g_assert_true(!some[i].has_not || x86_feature_find(some[i].has_not, &has_not));
        for (FeatureWord w = 0; w < FEATURE_WORDS; w++) {
            g_assert_cmphex(model->base.w[w] & has.w[w], ==, has.w[w]);
            g_assert_cmphex(model->base.w[w] & has_not.w[w], ==, 0);
        }
        x86_cpu_model_free(model);
    }
    /* Each name is a model, and no two are the same. */
    for (; (name = x86_cpu_model_name(n)); n++) {
        X86CPUModel *model = x86_cpu_model_parse(name, "host", NULL);

        g_assert_nonnull(model);
        x86_cpu_model_free(model);
        g_free(name);
    }
    g_assert_cmpuint(n, >, 100);
    g_assert_null(x86_cpu_model_parse("Haswell-v9", "host", NULL));
    g_assert_null(x86_cpu_model_parse("Haswel", "host", NULL));
    g_assert_null(x86_cpu_model_parse("-v1", "host", NULL));
}

static void test_identity(void)
{
    g_autofree CPUIDTable *t = build(false, "host,family=23,model=49,stepping=2,"
                                     "vendor=AuthenticAMD,model-id=Made up,level=7,"
                                     "host-phys-bits-limit=39", 1, 1, 1);

    g_assert_cmphex(reg(t, 1, 0, 'a'), ==, 0x00830f12);
    g_assert_cmphex(reg(t, 0, 0, 'b'), ==, 0x68747541);
    g_assert_cmphex(reg(t, 0, 0, 'd'), ==, 0x69746e65);
    g_assert_cmphex(reg(t, 0, 0, 'c'), ==, 0x444d4163);
    g_assert_cmphex(reg(t, 0x80000002, 0, 'a'), ==, 0x6564614d);
    g_assert_cmphex(reg(t, 0, 0, 'a'), ==, 7);
    g_assert_cmphex(reg(t, 0xd, 0, 'a'), ==, 0);
    g_assert_cmphex(reg(t, 0x80000008, 0, 'a') & 0xff, ==, 39);
}

/* -cpu text against the made-up host, with avx2 and what hangs on it only if with_avx2. */
static void build_and_report(const char *text, const char *accel, bool with_avx2)
{
    X86CPUTopoInfo topo = { 1, 1, 1 };
    g_autofree CPUIDTable *t = host(false);
    g_autoptr(Error) err = NULL;
    X86CPUModel *model;

    error_init("test");
    *x86_feature_reg(t, FEAT_1_ECX) |= 1u << 29;        /* f16c */
    *x86_feature_reg(t, FEAT_7_0_EBX) &= with_avx2 ? ~0u : ~(1u << 5);
    model = x86_cpu_model_parse(text, "host", NULL);
    model->accel_name = accel;
    if (!x86_cpuid_build(t, model, &topo, &err)) {
        error_report("%s", error_get_pretty(err));
    }
    x86_cpu_model_free(model);
}

/* What is missing of what is asked for: a warning each, and with enforce an error. */
static const struct {
    const char *text, *accel;
    bool with_avx2;
    const char *messages;
} missing_corpus[] = {
    { "host,+avx512pf,enforce", "host", true,
      "test: warning: host doesn't support requested feature: CPUID.07H:EBX.avx512pf [bit 26]\n"
      "test: Host doesn't support requested features\n" },
    { "x86-64-v3", "TCG", true, "" },
    { "x86-64-v3,enforce", "TCG", true, "" },
    { "x86-64-v3", "TCG", false,
      "test: warning: TCG doesn't support requested feature: CPUID.07H:EBX.avx2 [bit 5]\n" },
    { "x86-64-v3,enforce,check=off", "TCG", false,
      "test: warning: TCG doesn't support requested feature: CPUID.07H:EBX.avx2 [bit 5]\n"
      "test: TCG doesn't support requested features\n" },
    { "x86-64-v3,check=off", "TCG", false, "" },
    { "x86-64-v3,enforce,-avx2", "TCG", false, "" },
    { "qemu64,enforce,+avx2", "TCG", true,
      "test: warning: This feature depends on other features that were not requested: "
      "CPUID.07H:EBX.avx2 [bit 5]\n"
      "test: TCG doesn't support requested features\n" },
    { "qemu64,+rdctl-no,+vmx,+vmx-invvpid,+vmx-ept,+xstore,sgx1=on", "TCG", true,
      "test: warning: This feature depends on other features that were not requested: "
      "MSR(10AH).rdctl-no [bit 0]\n"
      "test: warning: TCG doesn't support requested feature: CPUID.12H:EAX.sgx1 [bit 0]\n"
      "test: warning: TCG doesn't support requested feature: CPUID.C0000001H:EDX.xstore "
      "[bit 2]\n"
      "test: warning: TCG doesn't support requested feature: MSR(48BH).vmx-ept [bit 1]\n"
      "test: warning: TCG doesn't support requested feature: MSR(48CH).vmx-invvpid [bit 32]\n" },
    { "host,enforce,-avx512f,+kvmclock", "host", true, "" },
};

static void test_missing(gconstpointer data)
{
    unsigned i = GPOINTER_TO_UINT(data);
    g_autofree char *pattern = NULL;

    if (g_test_subprocess()) {
        build_and_report(missing_corpus[i].text, missing_corpus[i].accel,
                         missing_corpus[i].with_avx2);
        return;
    }
    pattern = g_strdelimit(g_strdup(missing_corpus[i].messages), "[]", '?');
    g_test_trap_subprocess(NULL, 0, 0);
    g_test_trap_assert_passed();
    g_test_trap_assert_stderr(pattern);
}

/* The flags that QEMU 7.2 lists: host models of its users name each of them. */
static const char qemu_flags[] =
    "3dnow 3dnowext 3dnowprefetch abm ace2 ace2-en acpi adx aes amd-no-ssb amd-ssbd amd-stibp "
    "amx-bf16 amx-int8 amx-tile apic arat arch-capabilities arch-lbr avic avx avx-vnni avx2 "
    "avx512-4fmaps avx512-4vnniw avx512-bf16 avx512-fp16 avx512-vp2intersect avx512-vpopcntdq "
    "avx512bitalg avx512bw avx512cd avx512dq avx512er avx512f avx512ifma avx512pf avx512vbmi "
    "avx512vbmi2 avx512vl avx512vnni bmi1 bmi2 bus-lock-detect cid cldemote clflush clflushopt "
    "clwb clzero cmov cmp-legacy core-capability cr8legacy cx16 cx8 dca de decodeassists ds "
    "ds-cpl dtes64 erms est extapic f16c flushbyasid fma fma4 fpu fsgsbase fsrm "
    "full-width-write fxsr fxsr-opt gfni hle ht hypervisor ia64 ibpb ibrs ibrs-all ibs "
    "intel-pt intel-pt-lip invpcid invtsc kvm-asyncpf kvm-asyncpf-int kvm-hint-dedicated "
    "kvm-mmu kvm-msi-ext-dest-id kvm-nopiodelay kvm-poll-control kvm-pv-eoi kvm-pv-ipi "
    "kvm-pv-sched-yield kvm-pv-tlb-flush kvm-pv-unhalt kvm-steal-time kvmclock "
    "kvmclock-stable-bit la57 lahf-lm lbrv lm lwp mca mce md-clear mds-no misalignsse mmx "
    "mmxext monitor movbe movdir64b movdiri mpx msr mtrr nodeid-msr npt nrip-save nx osvw pae "
    "pat pause-filter pbe pcid pclmulqdq pcommit pdcm pdpe1gb perfctr-core perfctr-nb "
    "pfthreshold pge phe phe-en pks pku pmm pmm-en pn pni popcnt pschange-mc-no pse pse36 "
    "rdctl-no rdpid rdrand rdseed rdtscp rsba rtm sep serialize sgx sgx-debug sgx-exinfo "
    "sgx-kss sgx-mode64 sgx-provisionkey sgx-tokenkey sgx1 sgx2 sgxlc sha-ni skinit "
    "skip-l1dfl-vmentry smap smep smx spec-ctrl split-lock-detect ss ssb-no ssbd sse sse2 "
    "sse4.1 sse4.2 sse4a ssse3 stibp svm svm-lock svme-addr-chk syscall taa-no tbm tce tm tm2 "
    "topoext tsc tsc-adjust tsc-deadline tsc-scale tsx-ctrl tsx-ldtrk umip v-vmsave-vmload "
    "vaes vgif virt-ssbd vmcb-clean vme vmx vmx-activity-hlt vmx-activity-shutdown "
    "vmx-activity-wait-sipi vmx-apicv-register vmx-apicv-vid vmx-apicv-x2apic vmx-apicv-xapic "
    "vmx-cr3-load-noexit vmx-cr3-store-noexit vmx-cr8-load-exit vmx-cr8-store-exit "
    "vmx-desc-exit vmx-encls-exit vmx-entry-ia32e-mode vmx-entry-load-bndcfgs "
    "vmx-entry-load-efer vmx-entry-load-pat vmx-entry-load-perf-global-ctrl "
    "vmx-entry-load-pkrs vmx-entry-load-rtit-ctl vmx-entry-noload-debugctl vmx-ept vmx-ept-1gb "
    "vmx-ept-2mb vmx-ept-advanced-exitinfo vmx-ept-execonly vmx-eptad vmx-eptp-switching "
    "vmx-exit-ack-intr vmx-exit-clear-bndcfgs vmx-exit-clear-rtit-ctl vmx-exit-load-efer "
    "vmx-exit-load-pat vmx-exit-load-perf-global-ctrl vmx-exit-load-pkrs "
    "vmx-exit-nosave-debugctl vmx-exit-save-efer vmx-exit-save-pat "
    "vmx-exit-save-preemption-timer vmx-flexpriority vmx-hlt-exit vmx-ins-outs vmx-intr-exit "
    "vmx-invept vmx-invept-all-context vmx-invept-single-context "
    "vmx-invept-single-context-noglobals vmx-invlpg-exit vmx-invpcid-exit vmx-invvpid "
    "vmx-invvpid-all-context vmx-invvpid-single-addr vmx-io-bitmap vmx-io-exit "
    "vmx-monitor-exit vmx-movdr-exit vmx-msr-bitmap vmx-mtf vmx-mwait-exit vmx-nmi-exit "
    "vmx-page-walk-4 vmx-page-walk-5 vmx-pause-exit vmx-ple vmx-pml vmx-posted-intr "
    "vmx-preemption-timer vmx-rdpmc-exit vmx-rdrand-exit vmx-rdseed-exit vmx-rdtsc-exit "
    "vmx-rdtscp-exit vmx-secondary-ctls vmx-shadow-vmcs vmx-store-lma vmx-true-ctls "
    "vmx-tsc-offset vmx-tsc-scaling vmx-unrestricted-guest vmx-vintr-pending vmx-vmfunc "
    "vmx-vmwrite-vmexit-fields vmx-vnmi vmx-vnmi-pending vmx-vpid vmx-wbinvd-exit vmx-xsaves "
    "vmx-zero-len-inject vpclmulqdq waitpkg wbnoinvd wdt x2apic xcrypt xcrypt-en xfd xgetbv1 "
    "xop xsave xsavec xsaveerptr xsaveopt xsaves xstore xstore-en xtpr";

static void test_qemu_flags(void)
{
    g_auto(GStrv) names = g_strsplit(qemu_flags, " ", -1);

    for (unsigned i = 0; names[i]; i++) {
        g_autofree char *text = g_strdup_printf("kvm64,%s=off,+%s,-%s", names[i], names[i],
                                                names[i]);
        g_autoptr(Error) err = NULL;
        X86CPUModel *model = x86_cpu_model_parse(text, "host", &err);

        g_assert_cmpstr(err ? error_get_pretty(err) : NULL, ==, NULL);
        x86_cpu_model_free(model);
    }
}

/* Bits of MSRs: those that are taken away, where CPUID shows that the MSR is there. */
static void test_msr_features(void)
{
    const X86CPUTopoInfo topo = { 1, 1, 1 };
    static const struct {
        const char *text;
        uint32_t hidden[2];     /* of 0x10a and 0x48b */
    } rows[] = {
        { "host,vmx-ept=off,-mds-no", { 0x20, 2 } },
        { "host,-vmx,-mds-no", { 0x20, 0 } },
        { "host,-arch-capabilities,-mds-no", { 0, 0 } },
        { "kvm64,+arch-capabilities,+mds-no", { 0x109, 0 } },
        { "kvm64,+vmx,-vmx-vpid", { 0, 0x20 } },
    };

    for (unsigned i = 0; i < G_N_ELEMENTS(rows); i++) {
        g_autofree CPUIDTable *t = host(false);
        X86CPUModel *model = x86_cpu_model_parse(rows[i].text, "host", NULL);

        g_assert_true(x86_cpu_model_wants_msrs(model));
        t->features.w[FEAT_ARCH_CAPABILITIES] = 0x129;
        t->features.w[FEAT_VMX_SECONDARY_CTLS] = 0x23;
        *x86_feature_reg(t, FEAT_1_ECX) |= 1u << 5;
        *x86_feature_reg(t, FEAT_7_0_EDX) |= 1u << 29;
        g_assert_true(x86_cpuid_build(t, model, &topo, NULL));
        g_assert_cmphex(t->msr_hidden[0], ==, rows[i].hidden[0]);
        g_assert_cmphex(t->msr_hidden[FEAT_VMX_SECONDARY_CTLS - FEAT_FIRST_MSR], ==,
                        rows[i].hidden[1]);
        x86_cpu_model_free(model);
    }
}

/* Text and the error it must give; NULL: none. */
static const struct {
    const char *text, *error;
} corpus[] = {
    { "host", NULL }, { "max", NULL }, { "qemu64", NULL }, { "x86-64-v3", NULL },
    { "host,", NULL }, { "host,,", NULL }, { "host,,+avx", NULL },
    { "host,+x2apic,-sgx", NULL }, { "host,topoext=on", NULL },
    { "host,pmu=off", NULL }, { "host,+invtsc,migratable=off", NULL },
    { "host,migratable=on,host-phys-bits-limit=40", NULL },
    { "host,lahf_lm,sse4_2=on,sse4-1=off,+sse4.1", NULL },
    { "host,kvm=off,l3-cache=on,host_phys_bits=on,min-level=3", NULL },
    { "qemu64,phys-bits=52", NULL }, { "host,-pmu,+kvm", NULL },
    { "", "-cpu option cannot be empty" },
    { ",", "unable to find CPU model ''" },
    { "bogus", "unable to find CPU model 'bogus'" },
    { "+avx", "unable to find CPU model '+avx'" },
    { "HOST", "unable to find CPU model 'HOST'" },
    { "host,nosuch=on", "Property 'host-x86_64-cpu.nosuch' not found" },
    { "host,nosuch", "Property 'host-x86_64-cpu.nosuch' not found" },
    { "qemu64,+nosuch", "Property 'qemu64-x86_64-cpu.nosuch' not found" },
    { "max,-nosuch", "Property 'max-x86_64-cpu.nosuch' not found" },
    { "host,+x2apic=on", "Property 'host-x86_64-cpu.x2apic=on' not found" },
    { "host,+", "Property 'host-x86_64-cpu.' not found" },
    { "host,.=on", "Property 'host-x86_64-cpu..' not found" },
    { "host,=on", "Property 'host-x86_64-cpu.' not found" },
    { "host,pmu=maybe", "Parameter 'pmu' expects 'on' or 'off'" },
    { "host,avx=1", "Parameter 'avx' expects 'on' or 'off'" },
    { "host,kvm=", "Parameter 'kvm' expects 'on' or 'off'" },
    { "host,l3-cache=2", "Parameter 'l3-cache' expects 'on' or 'off'" },
    { "host,family=x", "Parameter 'family' expects uint64" },
    { "host,family=-1", "Parameter 'family' expects uint64" },
    { "host,family=9999", "Property 'host-x86_64-cpu.family' doesn't take value '9999' "
      "(maximum: 270)" },
    { "host,vendor=abc", "Property 'host-x86_64-cpu.vendor' doesn't take value 'abc'" },
    { "host,phys-bits=99", "phys-bits should be between 32 and 52 (but is 99)" },
    { "host,phys-bits=300", "Property 'host-x86_64-cpu.phys-bits' doesn't take value "
      "'300' (maximum: 255)" },
};

static void test_corpus(void)
{
    for (unsigned i = 0; i < G_N_ELEMENTS(corpus); i++) {
        g_autoptr(Error) err = NULL;
        X86CPUModel *model = x86_cpu_model_parse(corpus[i].text, "host", &err);

        g_test_message("-cpu '%s'", corpus[i].text);
        g_assert_cmpstr(err ? error_get_pretty(err) : NULL, ==, corpus[i].error);
        g_assert_true((model != NULL) == !corpus[i].error);
        x86_cpu_model_free(model);
    }
}

/* Every bit of every word with a name is found by that name. */
static void test_names(void)
{
    unsigned found = 0;

    for (FeatureWord w = 0; w < FEATURE_WORDS; w++) {
        for (unsigned bit = 0; bit < 32; bit++) {
            const char *name = x86_feature_name(w, bit);
            X86FeatureSet set = { 0 };

            if (name) {
                g_assert_true(x86_feature_find(name, &set));
                g_assert_cmphex(set.w[w] >> bit & 1, ==, 1);
                found++;
            }
        }
    }
    g_assert_cmpuint(found, >, 200);
}

/* A host that answers with a full table leaves no room: nothing may overflow. */
static void test_full_table(void)
{
    X86CPUTopoInfo topo = { 2, 2, 2 };
    g_autofree CPUIDTable *t = host(true);
    X86CPUModel *model = x86_cpu_model_parse("host,model-id=x", "host", NULL);

    while (t->n < X86_MAX_CPUID) {
        t->e[t->n] = (CPUIDEntry) { .leaf = 0x1000 + t->n };
        t->n++;
    }
    g_assert_true(x86_cpuid_build(t, model, &topo, NULL));
    g_assert_cmpuint(t->n, <=, X86_MAX_CPUID);
    x86_cpu_model_free(model);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/cpuid/intel-topology", test_intel_topology);
    g_test_add_func("/cpuid/intel-dies", test_intel_dies);
    g_test_add_func("/cpuid/one-cpu", test_one_cpu);
    g_test_add_func("/cpuid/amd-topology", test_amd_topology);
    g_test_add_func("/cpuid/amd-without-topoext", test_amd_without_topoext);
    g_test_add_func("/cpuid/features", test_features);
    g_test_add_func("/cpuid/xsave", test_xsave);
    g_test_add_func("/cpuid/named-model", test_named_model);
    g_test_add_func("/cpuid/processor-models", test_processor_models);
    g_test_add_func("/cpuid/identity", test_identity);
    for (unsigned i = 0; i < G_N_ELEMENTS(missing_corpus); i++) {
        g_autofree char *path = g_strdup_printf("/cpuid/missing/%u", i);

        g_test_add_data_func(path, GUINT_TO_POINTER(i), test_missing);
    }
    g_test_add_func("/cpuid/qemu-flags", test_qemu_flags);
    g_test_add_func("/cpuid/msr-features", test_msr_features);
    g_test_add_func("/cpuid/corpus", test_corpus);
    g_test_add_func("/cpuid/names", test_names);
    g_test_add_func("/cpuid/full-table", test_full_table);
    return g_test_run();
}
