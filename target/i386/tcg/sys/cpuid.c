/*
 * CPUID of the software CPU: exactly what is implemented.
 *
 * It calls itself an AMD processor of family 1Ah, as that is free of the flaws
 * for which systems slow themselves down, and of their remedies.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "target/i386/tcg/sys/cpuid.h"

#include <string.h>

#define XSAVE_SIZE 576u     /* FXSAVE's area and the header */
#define BIT32(n) (1u << (n))

/* FPU DE PSE TSC MSR PAE CX8 APIC SEP PGE CMOV PAT CLFSH MMX FXSR SSE SSE2 */
#define LEAF1_EDX (BIT32(0) | BIT32(2) | BIT32(3) | BIT32(4) | BIT32(5) | BIT32(6) | \
                   BIT32(8) | BIT32(9) | BIT32(11) | BIT32(13) | BIT32(15) | \
                   BIT32(16) | BIT32(19) | BIT32(23) | BIT32(24) | BIT32(25) | BIT32(26))
/* SSE3 SSSE3 CX16 PCID SSE4.1 SSE4.2 X2APIC POPCNT DEADLINE XSAVE RDRAND HYPERVISOR */
#define LEAF1_ECX (BIT32(0) | BIT32(9) | BIT32(13) | BIT32(17) | BIT32(19) | BIT32(20) | \
                   BIT32(21) | BIT32(23) | BIT32(24) | BIT32(26) | BIT32(30) | BIT32(31))
/* FSGSBASE TSC_ADJUST SMEP ERMS INVPCID RDSEED SMAP CLFLUSHOPT */
#define LEAF7_EBX (BIT32(0) | BIT32(1) | BIT32(7) | BIT32(9) | BIT32(10) | BIT32(18) | \
                   BIT32(20) | BIT32(23))
#define LEAF7_ECX (BIT32(2) | BIT32(22))        /* UMIP RDPID */
#define LEAF7_EDX BIT32(4)                      /* FSRM */
/* SYSCALL NX PDPE1GB RDTSCP LM, and what AMD repeats of leaf 1 */
#define EXT1_EDX (BIT32(11) | BIT32(20) | BIT32(26) | BIT32(27) | BIT32(29) | \
                  (LEAF1_EDX & 0x0183f3ffu))
#define EXT1_ECX (BIT32(0) | BIT32(8))          /* LAHF_LM 3DNOWPREFETCH */
/*
 * CLOCKSOURCE NOP_IO_DELAY CLOCKSOURCE2 STEAL_TIME PV_EOI PV_UNHALT PV_TLB_FLUSH
 * PV_SEND_IPI SCHED_YIELD CLOCKSOURCE_STABLE.
 */
#define KVM_EAX (BIT32(0) | BIT32(1) | BIT32(3) | BIT32(5) | BIT32(6) | BIT32(7) | \
                 BIT32(9) | BIT32(11) | BIT32(13) | BIT32(24))

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
    set(t, 0x40000001, (uint32_t[4]){ KVM_EAX });
    set(t, 0x40000010, (uint32_t[4]){ tsc_khz, 1000000 });
}

void tcg_cpuid_fill(CPUIDTable *t, unsigned phys_bits, uint32_t tsc_khz)
{
    vendor(t, 0, 0xd);
    set(t, 1, (uint32_t[4]){ 0x00b00f20, 8 << 8, LEAF1_ECX, LEAF1_EDX });
    set(t, 6, (uint32_t[4]){ BIT32(2) });                   /* ARAT */
    set(t, 7, (uint32_t[4]){ 0, LEAF7_EBX, LEAF7_ECX, LEAF7_EDX });
    t->e[t->n - 1].has_subleaf = true;
    /* XSAVE: x87 and SSE alone, in the standard form. */
    set(t, 0xd, (uint32_t[4]){ 3, XSAVE_SIZE, XSAVE_SIZE });
    t->e[t->n - 1].has_subleaf = true;
    hypervisor(t, tsc_khz);
    vendor(t, 0x80000000, 0x80000021);
    set(t, 0x80000001, (uint32_t[4]){ 0x00b00f20, 0, EXT1_ECX, EXT1_EDX });
    brand(t);
    set(t, 0x80000007, (uint32_t[4]){ 0, 0, 0, BIT32(8) }); /* invariant TSC */
    set(t, 0x80000008, (uint32_t[4]){ 48 << 8 | phys_bits, BIT32(26) });
    /* LFENCE serialises, null selectors clear bases, automatic IBRS. */
    set(t, 0x80000021, (uint32_t[4]){ BIT32(2) | BIT32(6) | BIT32(8) });
}
