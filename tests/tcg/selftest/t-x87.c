/*
 * x87 and SSE state across signals, and the exceptions they raise. Left out: pointers to
 * instruction and operand, which AMD's processors do not always keep.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "selftest.h"

static void print_fpu(const char *name, const struct _libc_fpstate *f)
{
    printf("%s: cw %x sw %x tags %x mxcsr %x st0 %x:%02x%02x st1 %x xmm5 %x\n", name, f->cwd,
           f->swd, f->ftw, f->mxcsr, f->_st[0].exponent, f->_st[0].significand[3],
           f->_st[0].significand[0], f->_st[1].exponent, f->_xmm[5].element[0]);
}

/* The handler begins afresh, and what it leaves is forgotten; the frame counts. */
static void on_usr1(int sig, siginfo_t *si, void *context)
{
    struct _libc_fpstate *f = ((ucontext_t *)context)->uc_mcontext.fpregs;
    u16 cw, sw;
    u32 csr;

    print_fpu("frame", f);
    __asm__ volatile("fnstcw %0; fnstsw %1; stmxcsr %2" : "=m"(cw), "=m"(sw), "=m"(csr));
    printf("handler: cw %x sw %x mxcsr %x\n", cw, sw, csr);
    f->cwd = 0x27f;
    f->_st[0].exponent ^= 0x8000;
    f->_xmm[5].element[0]++;
    f->mxcsr |= 0x8000;
    __asm__ volatile("fninit; fldpi; pcmpeqd %%xmm5, %%xmm5" ::: "xmm5");
}

static void across(void)
{
    struct sigaction sa = { .sa_sigaction = on_usr1, .sa_flags = SA_SIGINFO | SA_ONSTACK };
    struct _libc_fpstate after __attribute__((aligned(16)));
    u32 csr = 0x1fa0;
    u16 cw = 0xf7f;

    sigaction(SIGUSR1, &sa, NULL);
    memset(&after, 0, sizeof(after));
    __asm__ volatile("fninit; fldz; fldpi; fld1; fchs; fdivp; fldcw %1; ldmxcsr %2;"
                     "mov $7, %%eax; movd %%eax, %%xmm5" :: "m"(after), "m"(cw), "m"(csr)
                     : "rax", "xmm5");
    raise(SIGUSR1);
    __asm__ volatile("fxsave64 %0; fninit" : "=m"(after));
    print_fpu("after", &after);
    csr = 0x1f80;
    __asm__ volatile("ldmxcsr %0" :: "m"(csr));
}

#define RAISE(name, text) static void name(u64 mask) \
    { u16 cw = mask; u32 csr = 0x1f80 & ~(~mask << 7 & 0x1f80); \
      __asm__ volatile("fninit; fldcw %0; ldmxcsr %1; " text "; fwait; fninit" \
                       :: "m"(cw), "m"(csr) : "xmm0", "xmm1", "rax"); }
RAISE(by_zero, "fld1; fldz; fdivrp")
RAISE(zero_by_zero, "fldz; fldz; fdivrp")
RAISE(stack_under, "fstp %%st(0)")
RAISE(stack_over, "fld1; fld1; fld1; fld1; fld1; fld1; fld1; fld1; fld1")
RAISE(inexact, "fldpi; push $0; fstps (%%rsp); pop %%rax")
RAISE(root, "fld1; fchs; fsqrt")
RAISE(overflow, "pushq $0x7fff; fildq (%%rsp); pop %%rax; fld1; fscale")
RAISE(sse_by_zero, "mov $0x3f800000, %%eax; movd %%eax, %%xmm0; xorps %%xmm1, %%xmm1;"
                   "divss %%xmm1, %%xmm0")
RAISE(sse_invalid, "xorps %%xmm0, %%xmm0; divss %%xmm0, %%xmm0")
RAISE(sse_inexact, "mov $3, %%eax; cvtsi2ss %%eax, %%xmm1; mov $1, %%eax;"
                   "cvtsi2ss %%eax, %%xmm0; divss %%xmm1, %%xmm0")
RAISE(fcomp_alias, "fldz; fld1; .byte 0xde, 0xd1")
RAISE(fxch_alias, "fldz; fld1; .byte 0xdf, 0xc9")
RAISE(fstp_alias, "fldz; fld1; .byte 0xdf, 0xd1, 0xdf, 0xd9, 0xd9, 0xd9")
RAISE(ffreep, "fldz; fld1; .byte 0xdf, 0xc1")
RAISE(undefined, "fld1; fldz; fdivrp; .byte 0xdf, 0xfc")

static void ldmxcsr(u64 v) { u32 csr = v; __asm__ volatile("ldmxcsr %0" :: "m"(csr)); }

static void exceptions(void)
{
    static const struct { const char *name; void (*fn)(u64); u16 flag; } rows[] = {
        { "1/0", by_zero, 4 }, { "0/0", zero_by_zero, 1 }, { "stack under", stack_under, 1 },
        { "stack over", stack_over, 1 }, { "inexact", inexact, 32 }, { "root", root, 1 },
        { "overflow", overflow, 8 }, { "SSE 1/0", sse_by_zero, 4 }, { "SSE 0/0", sse_invalid, 1 },
        { "SSE inexact", sse_inexact, 32 }, { "FCOMP", fcomp_alias, 1 }, { "FXCH", fxch_alias, 1 },
        { "FSTP", fstp_alias, 1 }, { "FFREEP", ffreep, 1 }, { "undefined", undefined, 4 },
    };

    for (unsigned i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        for (unsigned masked = 0; masked < 2; masked++) {
            clear_traps();
            run_code(rows[i].fn, 0x37f & ~(masked ? 0 : rows[i].flag), false);
            print_traps(rows[i].name, 0);
            printf("  code %d\n", nr_traps ? traps[0].code : 0);
        }
    }
    clear_traps();
    run_code(ldmxcsr, 1 << 16, false);
    print_traps("LDMXCSR", 0);
    ldmxcsr(0x1f80);
}

void x87_tests(void)
{
    test("x87 and SSE state across a signal");
    across();
    test("exceptions of x87 and SSE");
    exceptions();
}
