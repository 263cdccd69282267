/*
 * CPUID of the software CPU: exactly what is implemented.
 *
 * It calls itself an AMD processor of family 1Ah, as that is free of the flaws
 * for which systems slow themselves down, and of their remedies.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "target/i386/tcg/sys/cpuid.h"

#include <cpuid.h>
#include <string.h>

#include "target/i386/cpuid.h"
#include "target/i386/tcg/ops/fpu.h"

static const uint16_t features[] = {
    X86_FEATURE_FPU, X86_FEATURE_DE, X86_FEATURE_PSE, X86_FEATURE_TSC, X86_FEATURE_MSR,
    X86_FEATURE_PAE, X86_FEATURE_CX8, X86_FEATURE_APIC, X86_FEATURE_SEP, X86_FEATURE_PGE,
    X86_FEATURE_CMOV, X86_FEATURE_PAT, X86_FEATURE_CLFLUSH, X86_FEATURE_MMX, X86_FEATURE_FXSR,
    X86_FEATURE_SSE, X86_FEATURE_SSE2,
    X86_FEATURE_SSE3, X86_FEATURE_SSSE3, X86_FEATURE_CX16, X86_FEATURE_PCID, X86_FEATURE_SSE4_1,
    X86_FEATURE_SSE4_2, X86_FEATURE_X2APIC, X86_FEATURE_MOVBE, X86_FEATURE_POPCNT,
    X86_FEATURE_TSC_DEADLINE, X86_FEATURE_XSAVE, X86_FEATURE_RDRAND, X86_FEATURE_HYPERVISOR,
    X86_FEATURE_XSAVEOPT, X86_FEATURE_XSAVEC, X86_FEATURE_XGETBV1, X86_FEATURE_XSAVES,
    X86_FEATURE_FSGSBASE, X86_FEATURE_TSC_ADJUST, X86_FEATURE_BMI1, X86_FEATURE_SMEP,
    X86_FEATURE_BMI2, X86_FEATURE_ERMS, X86_FEATURE_INVPCID, X86_FEATURE_RDSEED, X86_FEATURE_ADX,
    X86_FEATURE_SMAP, X86_FEATURE_CLFLUSHOPT,
    X86_FEATURE_UMIP, X86_FEATURE_PKU, X86_FEATURE_RDPID, X86_FEATURE_FSRM, X86_FEATURE_ARAT,
    X86_FEATURE_SYSCALL, X86_FEATURE_NX, X86_FEATURE_PDPE1GB, X86_FEATURE_RDTSCP, X86_FEATURE_LM,
    X86_FEATURE_LAHF_LM, X86_FEATURE_ABM, X86_FEATURE_3DNOWPREFETCH, X86_FEATURE_INVTSC,
    X86_FEATURE_AMD_NO_SSB,
    X86_FEATURE_LFENCE_ALWAYS_SERIALIZING, X86_FEATURE_NULL_SEL_CLR_BASE, X86_FEATURE_AUTO_IBRS,
    X86_FEATURE_KVMCLOCK, X86_FEATURE_KVM_NOPIODELAY, X86_FEATURE_KVMCLOCK2,
    X86_FEATURE_KVM_STEAL_TIME, X86_FEATURE_KVM_PV_EOI, X86_FEATURE_KVM_PV_UNHALT,
    X86_FEATURE_KVM_PV_TLB_FLUSH, X86_FEATURE_KVM_PV_IPI, X86_FEATURE_KVM_PV_SCHED_YIELD,
    X86_FEATURE_KVMCLOCK_STABLE_BIT,
};

/* What the host's own instructions do; the second part with a VEX prefix. */
static const uint16_t host_sse[] = {
    X86_FEATURE_AES, X86_FEATURE_PCLMULQDQ, X86_FEATURE_SHA_NI,
}, host_vex[] = { X86_FEATURE_AVX, X86_FEATURE_FMA, X86_FEATURE_F16C };

static void host_features(CPUIDTable *t)
{
    unsigned a, b = 0, c = 0, d;
    CPUIDTable host = { .n = 2, .e = { { .leaf = 1 }, { .leaf = 7 } } };

    __cpuid(1, a, b, c, d);
    host.e[0].ecx = c;
    if (__get_cpuid_count(7, 0, &a, &b, &c, &d)) {
        host.e[1].ebx = b;
    }
    x86_cpuid_read_features(&host);
    for (unsigned i = 0; i < G_N_ELEMENTS(host_sse); i++) {
        x86_feature_set(t, host_sse[i], x86_feature_in(&host.features, host_sse[i]));
    }
    if (!__builtin_cpu_supports("avx")) {
        return;                 /* or its system does not keep the registers */
    }
    for (unsigned i = 0; i < G_N_ELEMENTS(host_vex); i++) {
        x86_feature_set(t, host_vex[i], x86_feature_in(&host.features, host_vex[i]));
    }
    x86_feature_set(t, X86_FEATURE_AVX2, true);     /* done by SSE's */
}

static CPUIDEntry *add(CPUIDTable *t, uint32_t leaf)
{
    CPUIDEntry *e = &t->e[t->n++];

    e->leaf = leaf;
    return e;
}

static void set(CPUIDTable *t, uint32_t leaf, const uint32_t r[4])
{
    CPUIDEntry *e = add(t, leaf);

    e->eax = r[0];
    e->ebx = r[1];
    e->ecx = r[2];
    e->edx = r[3];
}

static void vendor(CPUIDTable *t, uint32_t leaf, uint32_t max)
{
    CPUIDEntry *e = add(t, leaf);

    e->eax = max;
    memcpy(&e->ebx, "Auth", 4);
    memcpy(&e->edx, "enti", 4);
    memcpy(&e->ecx, "cAMD", 4);
}

static void brand(CPUIDTable *t)
{
    char name[48] = "Software CPU";

    for (unsigned i = 0; i < 3; i++) {
        uint32_t r[4];

        memcpy(r, name + 16 * i, 16);
        set(t, 0x80000002 + i, r);
    }
}

static void hypervisor(CPUIDTable *t, uint32_t tsc_khz)
{
    uint32_t sig[4] = { 0x40000010 };

    memcpy(&sig[1], "KVMKVMKVM\0\0\0", 12);
    set(t, 0x40000000, sig);
    add(t, 0x40000001);
    set(t, 0x40000010, (uint32_t[4]){ tsc_khz, 1000000 });
}

/* SDM 1, 13.2. What hangs on features that are taken away goes with them. */
static void xsave(CPUIDTable *t)
{
    const uint64_t all = XCR0_X87 | XCR0_SSE | XCR0_AVX | XCR0_PKRU;
    static const struct { uint32_t sub, r[4]; } rows[] = {
        { 1, { 0 } }, { 2, { XSAVE_AVX_SIZE, XSAVE_AVX } }, { 9, { XSAVE_PKRU_SIZE, XSAVE_PKRU } },
    };

    set(t, 0xd, (uint32_t[4]){ all, tcg_xsave_size(all), tcg_xsave_size(all) });
    t->e[t->n - 1].has_subleaf = true;
    for (unsigned i = 0; i < G_N_ELEMENTS(rows); i++) {
        set(t, 0xd, rows[i].r);
        t->e[t->n - 1].has_subleaf = true;
        t->e[t->n - 1].subleaf = rows[i].sub;
    }
}

void tcg_cpuid_fill(CPUIDTable *t, unsigned phys_bits, uint32_t tsc_khz)
{
    vendor(t, 0, 0xd);
    set(t, 1, (uint32_t[4]){ 0x00b00f20, 8 << 8 });
    add(t, 6);
    add(t, 7)->has_subleaf = true;
    xsave(t);
    hypervisor(t, tsc_khz);
    vendor(t, 0x80000000, 0x80000021);
    set(t, 0x80000001, (uint32_t[4]){ 0x00b00f20 });
    brand(t);
    add(t, 0x80000007);
    set(t, 0x80000008, (uint32_t[4]){ 48 << 8 | phys_bits });
    add(t, 0x80000021);
    for (unsigned i = 0; i < G_N_ELEMENTS(features); i++) {
        *x86_feature_reg(t, features[i] / 32) |= 1u << features[i] % 32;
    }
    host_features(t);
    /* What AMD repeats of leaf 1. */
    *x86_feature_reg(t, FEAT_8000_0001_EDX) |= *x86_feature_reg(t, FEAT_1_EDX) & 0x0183f3ffu;
    x86_cpuid_read_features(t);
}
