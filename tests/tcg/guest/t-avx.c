/*
 * AVX: what has to be so that it can be used, the upper halves of registers, and XSAVE's forms.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "guest.h"

#define XCR0_AVX 7      /* x87, SSE and AVX */
#define COMPACTED (1ull << 63)
#define PATTERN 0x1122334455667788

static u8 area[4096] __attribute__((aligned(64)));
static u64 ymm[4] __attribute__((aligned(32)));
#define BV (*(u64 *)(area + 512))
#define COMP (*(u64 *)(area + 520))
#define UPPER (*(u64 *)(area + 576))    /* of YMM0 */

static void xsetbv(u64 v) { __asm__ volatile("xsetbv" :: "a"((u32)v), "d"(0), "c"(0)); }
static u64 xgetbv(u32 n)
{
    u32 lo, hi;

    __asm__ volatile("xgetbv" : "=a"(lo), "=d"(hi) : "c"(n));
    return (u64)hi << 32 | lo;
}
static void get_xgetbv(u64 n) { xgetbv(n); }

#define XSAVE_FN(name) static void name(u64 mask) \
    { __asm__ volatile(#name "64 %0" : "+m"(area) : "a"((u32)mask), "d"(0)); }
XSAVE_FN(xsave) XSAVE_FN(xrstor) XSAVE_FN(xsaveopt) XSAVE_FN(xsavec) XSAVE_FN(xsaves)
XSAVE_FN(xrstors)

/* VPCMPEQD YMM0, YMM0, YMM0 and an AVX one. */
static void avx2(u64 a) { __asm__ volatile(".byte 0xc5, 0xfd, 0x76, 0xc0"); }
static void avx(u64 a) { __asm__ volatile("vxorps %ymm1, %ymm1, %ymm1"); }
static void andn(u64 a) { __asm__ volatile("andn %%rax, %%rax, %%rax" ::: "rax", "cc"); }
static void locked(u64 a) { __asm__ volatile(".byte 0xf0, 0xc5, 0xf8, 0x57, 0xc0"); }
static void aligned(u64 a) { __asm__ volatile("vmovaps (%0), %%ymm1" :: "r"(a)); }
static void unaligned(u64 a) { __asm__ volatile("vaddps (%0), %%ymm1, %%ymm1" :: "r"(a)); }

/* Two moves in one block: of AVX, and (VMOVNTDQA ymm2, [rax]) of AVX2. */
static void avx_then_avx2(u64 a)
{
    __asm__ volatile("vmovups (%%rax), %%ymm1\n\t.byte 0xc4, 0xe2, 0x7d, 0x2a, 0x10" :: "a"(a));
}

static void set_ymm0(void)
{
    for (unsigned i = 0; i < 4; i++) {
        ymm[i] = PATTERN + i;
    }
    __asm__ volatile("vmovups %0, %%ymm0" :: "m"(ymm));
}

static u64 upper_of_ymm0(void)
{
    __asm__ volatile("vmovups %%ymm0, %0" : "=m"(ymm));
    return ymm[2];
}

/* On an emulated host KVM's guests have no XCR0 of their own. */
static bool begin(void)
{
    if (option("soft-host")) {
        return false;
    }
    if (!(cpuid(1, 0).c & 1u << 28)) {
        if (cpuid(1, 0).c & 1u << 26) {
            wr_cr4(rd_cr4() | CR4_OSXSAVE);
            check_eq(guarded(xsetbv, XCR0_AVX), 13);
            wr_cr4(rd_cr4() & ~(u64)CR4_OSXSAVE);
        }
        check_eq(guarded(avx, 0), 6);
        return false;
    }
    wr_cr4(rd_cr4() | CR4_OSXSAVE);
    xsetbv(XCR0_AVX);
    return true;
}

static void end(void)
{
    xsetbv(3);
    wr_cr4(rd_cr4() & ~(u64)CR4_OSXSAVE);
}

static void conditions(void)
{
    bool has_avx2 = cpuid(7, 0).b & 1u << 5;

    if (!(cpuid(7, 0).b & 1u << 3)) {
        check_eq(guarded(andn, 0), 6);
    }
    if (!begin()) {
        return;
    }
    check_eq(guarded(avx, 0), -1);
    check_eq(guarded(avx2, 0), has_avx2 ? -1 : 6);
    for (int i = 0; i < 4; i++) {       /* until the block is translated */
        check_eq(guarded(avx_then_avx2, (u64)area), has_avx2 ? -1 : 6);
    }
    check_eq(guarded(locked, 0), 6);
    check_eq(guarded(aligned, (u64)area), -1);
    check_eq(guarded(aligned, (u64)area + 16), 13);
    check_eq(guarded(unaligned, (u64)area + 1), -1);
    wr_cr0(rd_cr0() | CR0_TS);
    check_eq(guarded(avx, 0), 7);
    check_eq(guarded(andn, 0), cpuid(7, 0).b & 1u << 3 ? -1 : 6);
    check_eq(guarded(locked, 0), 6);
    __asm__ volatile("clts");
    wr_cr4(rd_cr4() & ~(u64)CR4_OSFXSR);        /* for SSE alone */
    check_eq(guarded(avx, 0), -1);
    wr_cr4(rd_cr4() | CR4_OSFXSR);
    check_eq(guarded(xsetbv, 5), 13);           /* not without SSE */
    xsetbv(3);
    check_eq(guarded(avx, 0), 6);
    xsetbv(XCR0_AVX);
    wr_cr4(rd_cr4() & ~(u64)CR4_OSXSAVE);
    check_eq(guarded(avx, 0), 6);
    wr_cr4(rd_cr4() | CR4_OSXSAVE);
    end();
}

static void halves(void)
{
    if (!begin()) {
        return;
    }
    set_ymm0();
    __asm__ volatile("xorps %xmm0, %xmm0");
    check_eq(upper_of_ymm0(), PATTERN + 2);
    check_eq(ymm[0], 0);
    __asm__ volatile("vxorps %xmm1, %xmm1, %xmm0");
    check_eq(upper_of_ymm0(), 0);
    set_ymm0();
    __asm__ volatile("vzeroupper");
    check_eq(upper_of_ymm0(), 0);
    check_eq(ymm[0], PATTERN);
    __asm__ volatile("vzeroall");
    upper_of_ymm0();
    check_eq(ymm[0], 0);
    end();
}

static void standard_form(void)
{
    CPUIDRegs r;

    if (!begin()) {
        return;
    }
    check_eq(cpuid(0xd, 0).a & 7, 7);
    check_eq(cpuid(0xd, 0).b, 832);
    check(cpuid(0xd, 0).c >= 832);
    r = cpuid(0xd, 2);
    check(r.a == 256 && r.b == 576 && r.c == 0);
    set_ymm0();
    check_eq(guarded(xsave, 7), -1);
    check_eq(BV & 6, 6);                        /* x87 may be as at the beginning */
    check_eq(COMP, 0);
    check_eq(UPPER, PATTERN + 2);
    __asm__ volatile("vzeroall");
    check_eq(guarded(xrstor, 4), -1);
    check_eq(upper_of_ymm0(), PATTERN + 2);
    check_eq(ymm[0], 0);
    BV = 3;
    check_eq(guarded(xrstor, 4), -1);           /* its initial state */
    check_eq(upper_of_ymm0(), 0);
    *(u32 *)(area + 24) = 1u << 16;             /* MXCSR goes with AVX, too */
    check_eq(guarded(xrstor, 4), 13);
    *(u32 *)(area + 24) = 0x1f80;
    xsetbv(3);
    check_eq(cpuid(0xd, 0).b, 576);
    BV = 7;
    check_eq(guarded(xrstor, 7), 13);           /* not enabled */
    end();
}

static void set_xss(u64 v) { wrmsr(0xda0, v); }
static void get_xss(u64 a) { rdmsr(0xda0); }

static void other_forms(void)
{
    unsigned has = cpuid(0xd, 1).a;

    if (!begin()) {
        return;
    }
    if (has & 4) {
        set_ymm0();
        check_eq(xgetbv(1) & 4, 4);
    }
    __asm__ volatile("vzeroupper");
    check_eq(guarded(get_xgetbv, 1), has & 4 ? -1 : 13);
    BV = COMP = 0;
    UPPER = 1;
    check_eq(guarded(xsaveopt, 7), has & 1 ? -1 : 6);
    if (has & 1) {
        check_eq(UPPER, BV & 4 ? 0 : 1);        /* nothing to be written, if it knows */
    }
    set_ymm0();
    check_eq(guarded(xsavec, 6), has & 2 ? -1 : 6);
    if (has & 2) {
        check_eq(BV, 6);
        check_eq(COMP, COMPACTED | 6);
        check_eq(UPPER, PATTERN + 2);
        check_eq(cpuid(0xd, 1).b, 832);
        __asm__ volatile("vzeroall");
        check_eq(guarded(xrstor, 6), -1);
        check_eq(upper_of_ymm0(), PATTERN + 2);
        check_eq(ymm[1], PATTERN + 1);
        COMP = COMPACTED | 2;                   /* without what BV has */
        check_eq(guarded(xrstor, 6), 13);
        COMP = COMPACTED | 6 | 1ull << 40;
        check_eq(guarded(xrstor, 6), 13);
        COMP = COMPACTED | 6;
        area[575] = 1;
        check_eq(guarded(xrstor, 6), 13);
        area[575] = 0;
    }
    check_eq(guarded(get_xss, 0), has & 8 ? -1 : 13);
    check_eq(guarded(set_xss, 0), has & 8 ? -1 : 13);
    check_eq(guarded(set_xss, 1ull << 40), 13);
    check_eq(guarded(xsaves, 7), has & 8 ? -1 : 6);
    if (has & 8) {
        check_eq(COMP, COMPACTED | 7);
        check_eq(guarded(xrstors, 7), -1);
        BV = COMP = 0;
        check_eq(guarded(xrstors, 7), 13);      /* only the compacted form */
    } else {
        check_eq(guarded(xrstors, 7), 6);
    }
    end();
}

/* PKRU in both forms; alone, the compacted one puts it behind the header. */
static void saved_pkru(void)
{
    CPUIDRegs r = cpuid(0xd, 9);
    bool compacts = cpuid(0xd, 1).a & 2;

    if (!(cpuid(7, 0).c & 1u << 3) || !(cpuid(1, 0).c & 1u << 26) || option("soft-host")) {
        return;
    }
    wr_cr4(rd_cr4() | CR4_OSXSAVE | CR4_PKE);
    xsetbv(0x203);
    check(r.a == 8 && r.b >= 576 && !(r.c & 1));
    check_eq(cpuid(0xd, 0).b, r.b + 8);
    wrpkru(0x55555554);
    BV = COMP = 0;
    check_eq(guarded(xsave, 0x200), -1);
    check_eq(BV, 0x200);
    check_eq(*(u64 *)(area + r.b), 0x55555554);
    wrpkru(4);
    check_eq(guarded(xrstor, 0x200), -1);
    check_eq(rdpkru(), 0x55555554);
    BV = 0;
    check_eq(guarded(xrstor, 0x200), -1);
    check_eq(rdpkru(), 0);
    wrpkru(0x1230);
    check_eq(guarded(xsavec, 0x200), compacts ? -1 : 6);
    if (compacts) {
        check_eq(COMP, COMPACTED | 0x200);
        check_eq(UPPER, 0x1230);
        wrpkru(0);
        check_eq(guarded(xrstor, 0x203), -1);
        check_eq(rdpkru(), 0x1230);
    }
    wrpkru(0);
    xsetbv(3);
    wr_cr4(rd_cr4() & ~(u64)(CR4_OSXSAVE | CR4_PKE));
}

const Test avx_tests[] = {
    { "AVX: CR4, XCR0, CR0, prefixes, alignment", conditions },
    { "AVX: upper halves", halves },
    { "AVX: XSAVE and XRSTOR", standard_form },
    { "XSAVEOPT, XSAVEC, XSAVES, XGETBV", other_forms },
    { "XSAVE and PKRU", saved_pkru },
    { NULL, NULL }
};
