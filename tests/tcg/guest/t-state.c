/*
 * CPUID against what works: XSAVE; code that changes; the clock.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "guest.h"

static u8 area[4096] __attribute__((aligned(64)));

static void xsave(u64 mask)
{
    __asm__ volatile("xsave64 %0" : "+m"(area) : "a"((u32)mask), "d"(0));
}

static void xrstor(u64 mask)
{
    __asm__ volatile("xrstor64 %0" :: "m"(area), "a"((u32)mask), "d"(0));
}

static void xsave_odd(u64 a)
{
    __asm__ volatile("xsave64 %0" : "+m"(area[8]) : "a"(3), "d"(0));
}

static u64 xgetbv(void)
{
    u32 lo, hi;

    __asm__ volatile("xgetbv" : "=a"(lo), "=d"(hi) : "c"(0));
    return (u64)hi << 32 | lo;
}
static void xsetbv(u64 v) { __asm__ volatile("xsetbv" :: "a"((u32)v), "d"(0), "c"(0)); }

static u64 get_xmm0(void)
{
    u64 v;

    __asm__ volatile("movq %%xmm0, %0" : "=r"(v));
    return v;
}

static void xsave_state(void)
{
    CPUIDRegs r;

    if (!(cpuid(1, 0).c & 1u << 26)) {
        check_eq(guarded((void (*)(u64))wr_cr4, rd_cr4() | CR4_OSXSAVE), 13);
        return;
    }
    check_eq(guarded(xsave, 3), 6);
    check(!(cpuid(1, 0).c & 1u << 27));
    wr_cr4(rd_cr4() | CR4_OSXSAVE);
    check(cpuid(1, 0).c & 1u << 27);
    check_eq(guarded(xsetbv, 2), 13);
    check_eq(guarded(xsetbv, 3), -1);
    check_eq(xgetbv(), 3);
    r = cpuid(0xd, 0);
    check_eq(r.a & 3, 3);
    check_eq(r.b, 576);
    check(r.c >= 576);
    __asm__ volatile("fninit; fld1; movq %0, %%xmm0" :: "r"(0x1122334455667788));
    check_eq(guarded(xsave, 3), -1);
    check_eq(*(u64 *)(area + 512) & 3, 3);
    __asm__ volatile("fninit; xorps %xmm0, %xmm0");
    check_eq(guarded(xrstor, 3), -1);
    check_eq(get_xmm0(), 0x1122334455667788);
    __asm__ volatile("fstp %st(0)");
    *(u64 *)(area + 512) = 0;               /* initial state */
    check_eq(guarded(xrstor, 3), -1);
    check_eq(get_xmm0(), 0);
    check_eq(guarded(xsave_odd, 0), 13);
    *(u64 *)(area + 512) = 1ull << 62;
    check_eq(guarded(xrstor, 3), 13);
    *(u64 *)(area + 512) = 0;
    *(u64 *)(area + 528) = 1;               /* the header's reserved part */
    check_eq(guarded(xrstor, 3), 13);
    *(u64 *)(area + 528) = 0;
    wr_cr0(rd_cr0() | CR0_TS);
    check_eq(guarded(xsave, 3), 7);
    __asm__ volatile("clts");
    wr_cr4(rd_cr4() & ~(u64)CR4_OSXSAVE);
}

/* Code is changed by the processor that runs it, without any ceremony. */
static void self_modifying(void)
{
    static u8 code[64] __attribute__((aligned(64))) = { 0xb8, 1, 0, 0, 0, 0xc3 };
    u32 (*fn)(void) = (u32 (*)(void))code;
    u32 v;

    for (u32 i = 1; i < 200; i++) {
        *(volatile u32 *)(code + 1) = i;
        check_eq(fn(), i);
    }
    /* The next instruction in the same block. */
    __asm__ volatile("movb $42, 1f + 1(%%rip); 1: mov $1, %0" : "=r"(v) :: "memory");
    check_eq(v, 42);
    /* Through another address. */
    test_pt[7] = ((u64)code & ~0xfffull) | PTE_P | PTE_W;
    invlpg(TEST_VA + 7 * 4096);
    *(volatile u32 *)(TEST_VA + 7 * 4096 + ((u64)code & 0xfff) + 1) = 4711;
    check_eq(fn(), 4711);
    __asm__ volatile("lock addl $1, %0" : "+m"(*(u32 *)(code + 1)));
    check_eq(fn(), 4712);
}

static void stos(u64 a)
{
    u64 n = 64;

    __asm__ volatile("rep stosb" : "+c"(n), "+D"(a) : "a"(7) : "memory");
}

static void faulting_string(void)
{
    u64 end = TEST_VA + 8192;

    map_page(1, PTE_P | PTE_W);
    test_pt[2] = 0;
    invlpg(end);
    check_eq(guarded(stos, end - 10), 14);
    check_eq(last.rdi, end);
    check_eq(last.rcx, 54);
    check_eq(last_cr2, end);
    check_eq(page(1)[4095], 7);
}

static void features(void)
{
    CPUIDRegs r = cpuid(1, 0);
    u64 t;

    if (r.c & 1u << 30) {
        __asm__ volatile("1: rdrand %0; jnc 1b" : "=r"(t) :: "cc");
    }
    check(cpuid(0x80000007, 0).d & 1u << 8 || !option("invtsc"));
    t = rdtsc();
    check(rdtsc() > t);
    check_eq(cpuid(0x40000000, 0).b == 0x4b4d564b, !option("kvm=off"));
    check_eq(!!(r.c & 1u << 31), 1);
}

/* What systems read unasked. */
static void read_msr(u64 msr) { rdmsr(msr); }

static void fixed_msrs(void)
{
    static const u32 there[] = {
        0x17, 0x2a, 0x8b, 0x179, 0x17a, 0x1d9, 0x1db, 0x1de, 0xc0010000, 0xc0010003,
        0xc0010004, 0xc0010007, 0xc0010010, 0xc0010015, 0xc001001f, 0xc0010055, 0xc0010058,
        0xc0010112, 0xc0010113, 0xc0011029,
    };

    if (!option("tcg")) {
        return;                 /* KVM's are the host's model's and vendor's */
    }
    for (unsigned i = 0; i < sizeof(there) / sizeof(there[0]); i++) {
        check_eq(guarded(read_msr, there[i]), -1);
    }
    for (u32 msr = 0xc0010000; msr < 0xc0010008; msr++) {
        wrmsr(msr, ~0ull);
        check_eq(rdmsr(msr), 0);
    }
    check_eq(rdmsr(0x179), 0);
    check_eq(guarded(read_msr, 0xc0010008), 13);
    check_eq(guarded(read_msr, 0x178), 13);
    check_eq(guarded(read_msr, 0x17b), 13);     /* MCG_CTL: MCG_CAP has it not */
}

/* KVM's clock: Linux, Documentation/virt/kvm/x86/msr.rst. */
static void kvm_clock(void)
{
    static volatile struct {
        u32 version, pad;
        u64 tsc, time;
        u32 mul;
        signed char shift;
        u8 flags;
    } clock __attribute__((aligned(64)));
    u64 a, b;

    if (cpuid(0x40000000, 0).b != 0x4b4d564b || !(cpuid(0x40000001, 0).a & 8)) {
        return;
    }
    wrmsr(0x4b564d01, (u64)&clock | 1);
    check(clock.version != 0 && !(clock.version & 1));
    a = clock.tsc;
    b = rdtsc();
    check(b >= a);
    check(clock.mul != 0);
    wrmsr(0x4b564d01, 0);
}

/* x87 opcodes with second names -------------------------------------------- */

/* FNINIT, FLDZ, FLD1, the instruction; the stack's top and tags then. */
#define X87(bytes, top_, tags_) do { \
        u16 env_[14]; \
        __asm__ volatile("fninit; fldz; fld1; .byte " bytes "; fnstenv %0; fninit" \
                         : "=m"(env_)); \
        check_eq(env_[2] >> 11 & 7, top_); \
        check_eq(env_[4], tags_); \
    } while (0)

static void x87_undefined(u64 a)
{
    u16 cw = 0x37b;

    __asm__ volatile("fninit; fldcw %0; fld1; fldz; fdivrp; .byte 0xdf, 0xfc" :: "m"(cw));
}

static void x87_aliases(void)
{
    X87("0xde, 0xd1", 7, 0x7fff);               /* FCOMP */
    X87("0xdc, 0xd9", 7, 0x7fff);
    X87("0xdc, 0xd1", 6, 0x4fff);               /* FCOM */
    X87("0xdf, 0xc9", 6, 0x1fff);               /* FXCH */
    X87("0xdd, 0xc9", 6, 0x1fff);
    X87("0xdf, 0xd1", 7, 0x3fff);               /* FSTP */
    X87("0xdf, 0xd9", 7, 0x3fff);
    X87("0xd9, 0xd9", 7, 0x3fff);
    X87("0xdf, 0xc1", 7, 0xffff);               /* FFREEP */
    check_eq(guarded(x87_undefined, 0), 6);     /* not #MF */
    __asm__ volatile("fninit");
}

/* A shift's flags are kept for who may want them, but not beyond a call that makes its own. */
static void flags_behind_shifts(void)
{
    for (int i = 0; i < 4; i++) {       /* until the block is translated */
        u64 word = 5, shifted = 1, old = 5;
        u8 zero, none;

        __asm__ volatile("mov %[shifted], %%rdx; shl $3, %%rdx; lock cmpxchg %[old], %[word];"
                         "setz %[zero]; mov %%rdx, %[shifted]"
                         : [word] "+m"(word), [shifted] "+r"(shifted), "+a"(old),
                           [zero] "=q"(zero) : [old] "r"(9ull) : "rdx", "cc", "memory");
        check_eq(zero, 1);
        check_eq(shifted, 8);
        __asm__ volatile("mov %[shifted], %%rdx; shr $4, %%rdx; lock cmpxchg %[old], %[word];"
                         "setz %[none]; mov %%rdx, %[shifted]"
                         : [word] "+m"(word), [shifted] "+r"(shifted), "+a"(old),
                           [none] "=q"(none) : [old] "r"(7ull) : "rdx", "cc", "memory");
        check_eq(none, 0);
        check_eq(shifted, 0);
        check_eq(old, 9);
    }
}

const Test state_tests[] = {
    { "XSAVE and XRSTOR", xsave_state },
    { "code that changes itself", self_modifying },
    { "REP STOS stops where it faults", faulting_string },
    { "features that CPUID shows", features },
    { "KVM's clock", kvm_clock },
    { "MSRs that no bit of CPUID announces", fixed_msrs },
    { "x87 opcodes with second names", x87_aliases },
    { "flags behind shifts", flags_behind_shifts },
    { NULL, NULL }
};
