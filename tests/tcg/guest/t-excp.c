/*
 * Exceptions: vectors, error codes, return addresses; segments and gates.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "guest.h"

#define RUN(name, text) static void name(u64 a) \
    { __asm__ volatile(text :: "a"(a) : "memory", "cc", "rcx", "rdx"); }
RUN(divide, "xor %%edx, %%edx; xor %%ecx, %%ecx; div %%ecx")
RUN(ud2, "ud2")
RUN(lock_reg, ".byte 0xf0, 0x90")
RUN(int3, "int3")
RUN(int_n, "int $0x55")
RUN(load_ds, "mov %%eax, %%ds")
RUN(load_ss, "mov %%eax, %%ss; mov $0x10, %%eax; mov %%eax, %%ss")
RUN(load_ldt, "lldt %%ax")
RUN(load_tr, "ltr %%ax")
RUN(stack_far, "push %%rbp; mov %%rax, %%rbp; mov (%%rbp), %%rcx; pop %%rbp")
RUN(wrmsr_bad, "mov %%eax, %%ecx; xor %%eax, %%eax; cdq; wrmsr")
RUN(far_ret, "push %%rax; lea 1f(%%rip), %%rcx; push %%rcx; lretq; 1:")
/* What the first one leaves is put in its place. */
static void far_call_mem(u64 a) { __asm__ volatile("lcall *(%0)" :: "r"(a) : "memory"); }
static void too_long(u64 a)
{
    __asm__ volatile(".rept 15; .byte 0x66; .endr; nop");
}

static void vectors(void)
{
    check_eq(guarded(divide, 0), 0);
    check_eq(guarded(ud2, 0), 6);
    check_eq(*(u16 *)last.rip, 0x0b0f);
    check(last.rflags & 0x10000);           /* faults push RF */
    check_eq(guarded(lock_reg, 0), 6);
    check_eq(guarded(int3, 0), 3);
    check_eq(((u8 *)last.rip)[-1], 0xcc);
    check(!(last.rflags & 0x10000));
    check_eq(guarded(int_n, 0), 0x55);
    check_eq(guarded(too_long, 0), 13);
    check_eq(guarded(stack_far, 1ull << 47), 12);
    check_eq(last.error, 0);
    check_eq(guarded(wrmsr_bad, 0x12345678), 13);
}

static void selectors(void)
{
    gdt[SPARE >> 3] = 0;
    check_eq(guarded(load_ds, SPARE), 13);
    check_eq(last.error, SPARE);
    check_eq(guarded(load_ds, 0x1000 + 3), 13);
    check_eq(last.error, 0x1000);
    check_eq(guarded(load_ds, 0x14), 13);           /* there is no LDT */
    check_eq(last.error, 0x14);
    gdt[SPARE >> 3] = 0x00cf13000000ffff;           /* not present */
    check_eq(guarded(load_ds, SPARE), 11);
    check_eq(last.error, SPARE);
    check_eq(guarded(load_ss, SPARE), 12);
    check_eq(last.error, SPARE);
    gdt[SPARE >> 3] = 0x00cf92000000ffff;
    check_eq(guarded(load_ds, SPARE), -1);
    check_eq(gdt[SPARE >> 3], 0x00cf93000000ffff);  /* accessed */
    check_eq(guarded(load_ss, UDATA), 13);
    check_eq(last.error, UDATA & ~3);
    check_eq(guarded(load_ss, RODATA), 13);
    check_eq(guarded(load_ldt, KDATA), 13);
    check_eq(guarded(load_tr, TSS), 13);            /* it is busy */
    check_eq(last.error, TSS);
    gdt[SPARE >> 3] = 0x0000890000000067;           /* a TSS, its second half a segment */
    gdt[(SPARE >> 3) + 1] = 0x00cf930000000000;
    check_eq(guarded(load_tr, SPARE), 13);
    check_eq(last.error, SPARE);
    check_eq(guarded(far_ret, KDATA), 13);
    check_eq(last.error, KDATA);
    __asm__ volatile("mov %0, %%ds" :: "r"(KDATA));
}

SNIPPET(user_cli, "cli; int $0x80");
SNIPPET(user_hlt, "hlt");
SNIPPET(user_in, "in $0x80, %al; int $0x80");
SNIPPET(user_int, "int $0x55");
SNIPPET(user_sgdt, "sub $16, %rsp; sgdt (%rsp); int $0x80");
SNIPPET(user_smsw, "smsw %eax; int $0x80");
SNIPPET(user_rdtsc, "rdtsc; int $0x80");
SNIPPET(user_popf, "pushfq; orl $0x3200, (%rsp); popfq; int $0x80");

static void time_stamp(u64 a) { rdtsc(); }

static void privilege(void)
{
    check_eq(user_run(user_cli, 0), 13);
    check_eq(user_run(user_cli, 0x3000), V_BACK);
    check_eq(user_run(user_hlt, 0), 13);
    check_eq(user_run(user_in, 0), 13);
    check_eq(user_run(user_in, 0x3000), V_BACK);
    check_eq(user_run(user_int, 0), 13);
    check_eq(last.error, 0x55 * 8 + 2);
    check_eq(user_run(user_popf, 0), V_BACK);       /* IOPL and IF stay */
    check_eq(last.rflags & 0x3200, 0);
    check_eq(user_run(user_rdtsc, 0), V_BACK);
    wr_cr4(rd_cr4() | 4);                           /* TSD */
    check_eq(user_run(user_rdtsc, 0), 13);
    check_eq(guarded(time_stamp, 0), -1);
    wr_cr4(rd_cr4() & ~4ull);
    check_eq(user_run(user_smsw, 0), V_BACK);
    if (cpuid(7, 0).c & 4) {
        wr_cr4(rd_cr4() | CR4_UMIP);
        check_eq(user_run(user_sgdt, 0), 13);
        check_eq(user_run(user_smsw, 0), 13);
        wr_cr4(rd_cr4() & ~(u64)CR4_UMIP);
    }
}

static unsigned df_count;
static void on_df(Frame *f)
{
    df_count++;
    check_eq(f->error, 0);
    handlers[8] = NULL;
    reset_gate(13);
    reset_gate(14);
    last = *f;
    __asm__ volatile("jmp guarded_out" :: "D"(8));
}

static void bad_stack(u64 a)
{
    __asm__ volatile("mov %%rsp, %%rbx; mov %0, %%rsp; push %%rax; mov %%rbx, %%rsp"
                     :: "r"(a) : "rbx", "memory");
}
static void touch(u64 a) { (void)*(volatile u8 *)a; }

static void double_fault(void)
{
    map_page(0, 0);
    test_pt[0] = 0;
    handlers[8] = on_df;
    set_gate(13, 0, 0x0e, 0);               /* not present: #NP in #GP */
    check_eq(guarded(touch, 1ull << 47), 8);
    handlers[8] = on_df;
    set_gate(14, 0, 0x0e, 0);
    check_eq(guarded(touch, TEST_VA), 8);
    handlers[8] = on_df;
    /* A page fault whose handler has no stack. */
    check_eq(guarded(bad_stack, TEST_VA + 0x800), 8);
    check_eq(df_count, 3);
    /* A benign one first: the second is delivered as it is. */
    set_gate(6, 0, 0x0e, 0);
    check_eq(guarded(ud2, 0), 11);
    check_eq(last.error, 6 * 8 + 2 + 1);
    reset_gate(6);
    handlers[8] = NULL;
    set_gate(0x55, (u64)ud2, 0x0c, 0);      /* no gate of long mode */
    check_eq(guarded(int_n, 0), 13);
    check_eq(last.error, 0x55 * 8 + 2);
    reset_gate(0x55);
}

static void fpu_fld1(u64 a) { __asm__ volatile("fninit; fld1; fstp %st(0)"); }
static void sse_xorps(u64 a) { __asm__ volatile("xorps %xmm0, %xmm0"); }
static void fpu_wait(u64 a) { __asm__ volatile("fwait"); }

static void device_not_available(void)
{
    u64 cr0 = rd_cr0();

    check_eq(guarded((void (*)(u64))wr_cr0, cr0 | CR0_TS), -1);
    check_eq(guarded(fpu_fld1, 0), 7);
    check_eq(guarded(sse_xorps, 0), 7);
    check_eq(guarded(fpu_wait, 0), 7);
    __asm__ volatile("clts");
    check_eq(guarded(fpu_fld1, 0), -1);
    wr_cr0(cr0 | CR0_EM);
    check_eq(guarded(fpu_fld1, 0), 7);
    check_eq(guarded(sse_xorps, 0), 6);
    wr_cr0(cr0);
    wr_cr4(rd_cr4() & ~(u64)CR4_OSFXSR);
    check_eq(guarded(sse_xorps, 0), 6);
    wr_cr4(rd_cr4() | CR4_OSFXSR);
}

static void x87_error(u64 a)
{
    /* Division by zero, unmasked: the next waiting instruction reports it. */
    u16 cw = 0x37b;

    __asm__ volatile("fninit; fldcw %0; fld1; fldz; fdivrp; fwait; fninit" :: "m"(cw));
}

static void sse_error(u64 a)
{
    u32 csr = 0x1d80, old = 0x1f80;

    __asm__ volatile("ldmxcsr %0; pcmpeqd %%xmm0, %%xmm0; psrld $25, %%xmm0; pslld $23, %%xmm0\n"
                     "xorps %%xmm1, %%xmm1; divss %%xmm1, %%xmm0; ldmxcsr %1"
                     :: "m"(csr), "m"(old));
}

static void arithmetic_exceptions(void)
{
    u32 old = 0x1f80;

    check_eq(guarded(x87_error, 0), 16);
    __asm__ volatile("fninit");
    check_eq(guarded(sse_error, 0), 19);
    __asm__ volatile("ldmxcsr %0" :: "m"(old));
    wr_cr4(rd_cr4() & ~(u64)CR4_OSXMMEXCPT);
    check_eq(guarded(sse_error, 0), 6);
    wr_cr4(rd_cr4() | CR4_OSXMMEXCPT);
    __asm__ volatile("ldmxcsr %0" :: "m"(old));
}

/* 32-bit code -------------------------------------------------------------- */

/* All end with INT 80h. */
#define SNIPPET32(name, text) SNIPPET(name, ".code32; " text "; int $0x80; .code64")
SNIPPET32(code32_write, "movl $1, 0x7000");
SNIPPET32(code32_write_ds, "mov $0x48, %eax; mov %eax, %ds; movl $1, 0x7000");
SNIPPET32(code32_read_ds, "mov $0x48, %eax; mov %eax, %ds; mov 0x7000, %eax");
SNIPPET32(code32_write_cs, "movl $1, %cs:0x7000");
SNIPPET32(code32_limit, "mov $0x50, %eax; mov %eax, %ds; mov 0xffd, %eax");
SNIPPET32(code32_in_limit, "mov $0x50, %eax; mov %eax, %ds; mov 0xffc, %eax");
SNIPPET32(code32_down, "mov $0x50, %eax; mov %eax, %ds; mov 0xffc, %eax");
SNIPPET32(code32_null, "xor %eax, %eax; mov %eax, %ds; mov 0, %eax");
SNIPPET32(code32_into, "mov $0x7fffffff, %eax; inc %eax; into");
SNIPPET32(code32_bound, "push $5; push $1; mov $7, %eax; bound %eax, (%esp)");
SNIPPET32(code32_aaa, "mov $0x0f, %eax; aaa");

static int in32(const void *code)
{
    int v;

    __asm__ volatile("mov %0, %%ds; mov %0, %%es" :: "r"(KDATA));
    v = code32_run(code, KCODE32, KDATA);
    __asm__ volatile("mov %0, %%ds; mov %0, %%es" :: "r"(KDATA));
    return v;
}

SNIPPET32(set_ds_write, "mov $0x10, %eax; mov %eax, %ds; movl $1, 0x7000");

static void segments32(void)
{
    check_eq(in32(set_ds_write), V_BACK);
    check_eq(in32(code32_write), 13);           /* DS is null */
    check_eq(last.error, 0);
    check_eq(in32(code32_read_ds), V_BACK);
    check_eq(in32(code32_write_ds), 13);
    check_eq(last.error, 0);
    check_eq(in32(code32_write_cs), 13);
    gdt[SPARE >> 3] = 0x0040930000000fff;       /* 4 KiB */
    check_eq(in32(code32_in_limit), V_BACK);
    check_eq(in32(code32_limit), 13);
    gdt[SPARE >> 3] = 0x0040970000000fff;       /* expand-down: from 0x1000 */
    check_eq(in32(code32_down), 13);
    gdt[SPARE >> 3] = 0x0040970000000ffb;
    check_eq(in32(code32_down), V_BACK);
    check_eq(in32(code32_null), 13);
    check_eq(in32(code32_into), 4);
    check_eq(in32(code32_bound), 5);
    check_eq(in32(code32_aaa), V_BACK);
    check_eq(last.rax & 0xffff, 0x105);
}

/* Alignment ---------------------------------------------------------------- */

#define FL_AC (1u << 18)
SNIPPET(odd_load, "mov -7(%rsp), %eax; int $0x80");
SNIPPET(odd_store, "movb $1, -1(%rsp); mov %ax, -3(%rsp); int $0x80");
SNIPPET(odd_rmw, "addl $1, -6(%rsp); int $0x80");
SNIPPET(odd_push, "sub $4, %rsp; push %rax; int $0x80");
SNIPPET(odd_string, "lea -64(%rsp), %rdi; lea -31(%rsp), %rsi; mov $2, %ecx; rep movsq; int $0x80");
SNIPPET(even_all, "mov -8(%rsp), %rax; mov %eax, -4(%rsp); addw $1, -2(%rsp); movb $1, -3(%rsp);"
                  "push %rax; lea -64(%rsp), %rdi; lea -32(%rsp), %rsi; mov $2, %ecx; rep movsq;"
                  "movups -31(%rsp), %xmm0; int $0x80");
/* Armed by user code itself, and disarmed. */
SNIPPET(armed_popf, "pushfq; orl $0x40000, (%rsp); popfq; mov -7(%rsp), %eax; int $0x80");
SNIPPET(disarmed_popf, "pushfq; andl $~0x40000, (%rsp); popfq; mov -7(%rsp), %eax; int $0x80");

static void odd_here(u64 arg) { (void)*(volatile u32 *)(page(0) + arg); }

static void alignment(void)
{
    static const u8 *const odd[] = { odd_load, odd_store, odd_rmw, odd_push, odd_string };

    check_eq(user_run(odd_load, FL_AC), V_BACK);        /* CR0.AM is clear */
    wr_cr0(rd_cr0() | CR0_AM);
    for (unsigned i = 0; i < sizeof(odd) / sizeof(*odd); i++) {
        check_eq(user_run(odd[i], 0), V_BACK);
        check_eq(user_run(odd[i], FL_AC), 17);
        check_eq(last.error, 0);
    }
    check_eq(user_run(even_all, FL_AC), V_BACK);
    check_eq(user_run(armed_popf, 0), 17);
    check_eq(user_run(disarmed_popf, FL_AC), V_BACK);
    __asm__ volatile("pushfq; orl $0x40000, (%%rsp); popfq" ::: "memory", "cc");
    check_eq(guarded(odd_here, 1), -1);                 /* ring 0 */
    __asm__ volatile("pushfq; andl $~0x40000, (%%rsp); popfq" ::: "memory", "cc");
    wr_cr0(rd_cr0() & ~(u64)CR0_AM);
}

/* Call gates --------------------------------------------------------------- */

void gate_target(void);
__asm__(".pushsection .text\n"
        "gate_target: lretq\n.popsection");
SNIPPET(user_gate, "movabs $0x5300000000, %rax; push %rax; lcall *(%rsp); pop %rax; int $0x80");
SNIPPET(user_gate_jmp, "movabs $0x5300000000, %rax; push %rax; ljmp *(%rsp); int $0x80");

static void make_gate(u8 access, u16 sel)
{
    u64 a = (u64)gate_target;

    gdt[SPARE >> 3] = (a & 0xffff) | (u64)sel << 16 | (u64)access << 40 | (a >> 16 & 0xffff) << 48;
    gdt[(SPARE >> 3) + 1] = a >> 32;
}

static void call_gates(void)
{
    struct __attribute__((packed)) { u32 off; u16 sel; } p = { 0, SPARE };

    make_gate(0xec, KCODE);
    check_eq(guarded(far_call_mem, (u64)&p), -1);       /* same ring */
    check_eq(user_run(user_gate, 0), V_BACK);           /* inwards and back */
    check_eq(user_run(user_gate_jmp, 0), 13);           /* a jump stays in its ring */
    check_eq(last.error, KCODE);
    make_gate(0x8c, KCODE);
    check_eq(user_run(user_gate, 0), 13);               /* DPL 0 */
    check_eq(last.error, SPARE);
    make_gate(0x6c, KCODE);
    check_eq(user_run(user_gate, 0), 11);
    check_eq(last.error, SPARE);
    make_gate(0xec, KDATA);
    check_eq(guarded(far_call_mem, (u64)&p), 13);
    check_eq(last.error, KDATA);
    gdt[SPARE >> 3] = 0x0000e50000300000;               /* task gates are no more */
    check_eq(guarded(far_call_mem, (u64)&p), 13);
    check_eq(last.error, SPARE);
    p.sel = TSS;                                        /* nor are task switches */
    check_eq(guarded(far_call_mem, (u64)&p), 13);
    check_eq(last.error, TSS);
}

/* SYSCALL ------------------------------------------------------------------ */

extern void syscall_entry(void);
__asm__(".pushsection .text\nsyscall_entry: sysretq\n.popsection");
SNIPPET(user_syscall,
        "mov $0x1234, %edx; pushfq; orl $0x400, (%rsp); popfq; syscall; cld; int $0x80");

static void system_calls(void)
{
    wrmsr(0xc0000081, (u64)KCODE << 32 | (u64)0x18 << 48);
    wrmsr(0xc0000082, (u64)syscall_entry);
    wrmsr(0xc0000084, 0x600);
    check_eq(user_run(user_syscall, 0), V_BACK);
    check_eq(last.rdx, 0x1234);
    check(last.r11 & 0x400);
    check_eq(last.cs, UCODE);
    check_eq(last.ss, UDATA);
    wrmsr(0xc0000080, rdmsr(0xc0000080) & ~1ull);
    check_eq(user_run(user_syscall, 0), 6);
    wrmsr(0xc0000080, rdmsr(0xc0000080) | 1);
}

static void iret_nt(u64 a)
{
    __asm__ volatile("pushfq; orl $0x4000, (%rsp); popfq; iretq");
}

static void iret_bad_cs(u64 a)
{
    __asm__ volatile("mov %%rsp, %%rcx; pushq $0x10; push %%rcx; pushfq; push %0; push $0; iretq"
                     :: "r"(a) : "rcx", "memory");
}

static void interrupt_returns(void)
{
    check_eq(guarded(iret_nt, 0), 13);
    check_eq(last.error, 0);
    check_eq(guarded(iret_bad_cs, KDATA), 13);
    check_eq(last.error, KDATA);
    check_eq(guarded(iret_bad_cs, 0), 13);
    check_eq(last.error, 0);
    check_eq(guarded(iret_bad_cs, 0x1000), 13);
    check_eq(last.error, 0x1000);
}

const Test excp_tests[] = {
    { "vectors and error codes of exceptions", vectors },
    { "selectors and descriptors", selectors },
    { "privileged instructions, UMIP", privilege },
    { "double faults", double_fault },
    { "#NM and #UD by CR0 and CR4", device_not_available },
    { "#MF and #XM", arithmetic_exceptions },
    { "segments of 32-bit code", segments32 },
    { "alignment checks", alignment },
    { "call gates, task gates", call_gates },
    { "SYSCALL and SYSRET", system_calls },
    { "IRET that is refused", interrupt_returns },
    { NULL, NULL }
};
