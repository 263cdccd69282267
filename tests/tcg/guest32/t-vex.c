/*
 * VEX prefixes in 32-bit code, where they share their bytes with LES and LDS: W does not count
 * for general registers, and addresses are of 32 bits.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "guest32.h"

#define CR4_OSFXSR (1u << 9)
#define CR4_OSXSAVE (1u << 18)

static u32 va[8] __attribute__((aligned(32))) = { 1, 2, 3, 4, 5, 6, 7, 8 };
static u32 vb[8], vc[8];

typedef struct Regs { u32 a, b, c, d; } Regs;
static Regs cpuid(u32 leaf)
{
    Regs r;

    __asm__ volatile("cpuid" : "=a"(r.a), "=b"(r.b), "=c"(r.c), "=d"(r.d) : "a"(leaf), "c"(0));
    return r;
}

static void xsetbv(u32 v) { __asm__ volatile("xsetbv" :: "a"(v), "d"(0), "c"(0)); }
static void add(u32 a) { __asm__ volatile("vaddps %ymm1, %ymm1, %ymm1"); }

static void far_pointers(void)
{
    static const struct { u32 off; u16 sel; } __attribute__((packed)) p = { 0x1234, KDATA };
    u32 v;

    __asm__ volatile("les %1, %0" : "=r"(v) : "m"(p));
    check_eq(v, 0x1234);
    v = 0;
    __asm__ volatile("lds %1, %0" : "=r"(v) : "m"(p));
    check_eq(v, 0x1234);
}

static void general(void)
{
    u32 v;

    if (!(cpuid(7).b & 1u << 8) || !(cpuid(7).b & 1u << 3)) {
        return;
    }
    __asm__ volatile("andn %2, %1, %0" : "=r"(v) : "r"(0xff), "r"(0x1234) : "cc");
    check_eq(v, 0x1200);
    /* RORX by 36, with W: as by 4. */
    __asm__ volatile(".byte 0xc4, 0xe3, 0xfb, 0xf0, 0xc0, 36" : "=a"(v) : "a"(0x12345678));
    check_eq(v, 0x81234567);
}

static void vectors(void)
{
    u32 cr4 = rd_cr4();

    if (!(cpuid(7).b & 1u << 5)) {
        check_eq(guarded(add, 0), 6);
        return;
    }
    wr_cr4(cr4 | CR4_OSFXSR);
    check_eq(guarded(add, 0), 6);
    wr_cr4(cr4 | CR4_OSFXSR | CR4_OSXSAVE);
    xsetbv(7);
    __asm__ volatile("vmovdqa %1, %%ymm1; vpaddd %%ymm1, %%ymm1, %%ymm7; vmovdqu %%ymm7, %0"
                     : "=m"(vb) : "m"(va));
    check_eq(vb[0], 2);
    check_eq(vb[7], 16);
    /* VMOVQ and VPINSRQ are VMOVD and VPINSRD. */
    __asm__ volatile("vmovdqa %1, %%ymm0; .byte 0xc4, 0xe1, 0xf9, 0x6e, 0xc0; vmovdqu %%ymm0, %0"
                     : "=m"(vc) : "m"(va), "a"(0x55));
    check_eq(vc[0], 0x55);
    check_eq(vc[1] | vc[2] | vc[4] | vc[7], 0);
    __asm__ volatile("vmovdqa %1, %%ymm0; .byte 0xc4, 0xe3, 0xf9, 0x22, 0xc0, 3; vmovdqu %%ymm0, %0"
                     : "=m"(vc) : "m"(va), "a"(0x66));
    check_eq(vc[2], 3);
    check_eq(vc[3], 0x66);
    /* Indices below 0, and sums that wrap round. */
    for (unsigned i = 0; i < 8; i++) {
        vb[i] = -1 - i;
    }
    __asm__ volatile("vmovdqu %1, %%ymm1; vpcmpeqd %%ymm2, %%ymm2, %%ymm2;"
                     "vpgatherdd %%ymm2, (%2, %%ymm1, 4), %%ymm3; vmovdqu %%ymm3, %0"
                     : "=m"(vc) : "m"(vb), "r"(va + 8), "m"(va));
    check_eq(vc[0], 8);
    check_eq(vc[7], 1);
    xsetbv(3);
    wr_cr4(cr4);
}

const Test vex_tests[] = {
    { "LES, LDS", far_pointers },
    { "VEX: general registers", general },
    { "VEX: vectors", vectors },
    { NULL, NULL }
};
