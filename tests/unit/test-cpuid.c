/*
 * CPUID tables from what made-up hosts support.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <string.h>

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

/* intel-pt is not in the made-up host: a warning, or with enforce an error. */
static void test_missing(void)
{
    if (g_test_subprocess()) {
        X86CPUTopoInfo topo = { 1, 1, 1 };
        g_autofree CPUIDTable *t = host(false);
        g_autoptr(Error) err = NULL;
        X86CPUModel *model;

        error_init("test");
        model = x86_cpu_model_parse("host,+avx512pf,enforce", "host", NULL);
        g_assert_false(x86_cpuid_build(t, model, &topo, &err));
        error_report("%s", error_get_pretty(err));
        x86_cpu_model_free(model);
        return;
    }
    g_test_trap_subprocess(NULL, 0, 0);
    g_test_trap_assert_passed();
    g_test_trap_assert_stderr("*warning: host doesn't support requested feature: "
                              "CPUID.07H:EBX.avx512pf ?bit 26?*"
                              "Host doesn't support requested features*");
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
            g_autofree char *name = x86_feature_name(w, bit);
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
    g_test_add_func("/cpuid/identity", test_identity);
    g_test_add_func("/cpuid/missing", test_missing);
    g_test_add_func("/cpuid/corpus", test_corpus);
    g_test_add_func("/cpuid/names", test_names);
    g_test_add_func("/cpuid/full-table", test_full_table);
    return g_test_run();
}
