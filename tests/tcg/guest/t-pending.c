/*
 * Pending debug exceptions: what MOV SS and POP SS put off, what becomes of it at the next
 * instruction, and SYSRET that loads TF (SDM 3A, 6.8.3; 3B, 18.3.1; APM 2, 13.1).
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "guest.h"

#define B0 1u
#define BD 0x2000u
#define BS 0x4000u
#define FL_TF 0x100ull
#define V_TRY 0x55

/* What happens, in order --------------------------------------------------- */

typedef struct Event { u64 vector, rip, dr6; } Event;
static Event events[8];
static unsigned nr;
static u64 resume;                      /* where a fault goes on */
u16 watched_ss[4];

static u64 take_dr6(void)
{
    u64 v;

    __asm__ volatile("mov %%dr6, %0" : "=r"(v));
    __asm__ volatile("mov %0, %%dr6" :: "r"(0xffff0ff0ull));
    return v & 0xe00f;
}

static void note(Frame *f)
{
    if (nr < 8) {
        events[nr] = (Event) { f->vector, f->rip, f->vector == 1 ? take_dr6() : 0 };
    }
    nr++;
    if (f->vector == 1) {
        f->rflags &= ~FL_TF;            /* one step is enough */
    }
}

static void note_fault(Frame *f)
{
    note(f);
    f->rip = resume;
    f->rflags &= ~FL_TF;
}

static u64 stub(unsigned vector)
{
    extern u8 trap_stubs[][16];

    return (u64)trap_stubs[vector];
}

/* DR0: both bytes of watched_ss, read or written; DR1: the instruction at code, if any. */
static void arm(u64 code, u64 dr7)
{
    __asm__ volatile("mov %0, %%dr0; mov %1, %%dr1; mov %2, %%dr7"
                     :: "r"(watched_ss), "r"(code), "r"(0x400 | dr7));
}
#define WATCH   (2ull | 3ull << 16 | 1ull << 18)
#define BREAK   8ull
#define DETECT  0x2000ull

static void begin(u64 dr7, u64 code)
{
    static const u8 traps[] = { 1, 3, 4, V_TRY }, faults[] = { 6, 13, 14 };

    for (unsigned i = 0; i < sizeof(traps); i++) {
        handlers[traps[i]] = note;
    }
    for (unsigned i = 0; i < sizeof(faults); i++) {
        handlers[faults[i]] = note_fault;
    }
    nr = 0;
    watched_ss[0] = KDATA;
    take_dr6();
    arm(dr7 & BREAK ? code : 0, dr7);       /* DR6 may show what is not enabled */
}

static void end(void)
{
    static const u8 vectors[] = { 1, 3, 4, V_TRY, 6, 13, 14 };

    arm(0, 0);
    for (unsigned i = 0; i < sizeof(vectors); i++) {
        handlers[vectors[i]] = NULL;
    }
}

static void event_at(unsigned line, unsigned i, u64 vector, u64 rip, u64 dr6)
{
    check_at(events[i].vector == vector, "the event's vector", events[i].vector, vector, line);
    check_at(events[i].rip == rip, "its RIP", events[i].rip, rip, line);
    check_at(events[i].dr6 == dr6, "its DR6", events[i].dr6, dr6, line);
}
#define event(...) event_at(__LINE__, __VA_ARGS__)

/* MOV SS from watched memory, one instruction, next: ----------------------- */

#define MOV_SS "mov watched_ss(%rip), %ss\n"
#define AFTER(name, before, insn) \
    void name(void); extern u8 name##_at[], name##_next[]; \
    __asm__(".pushsection .text\n" #name ": " before "\n" MOV_SS #name "_at: " insn "\n" \
            #name "_next: nop\n" \
            "pushfq; andl $~0x100, (%rsp); popfq; ret\n.popsection")
#define RUN(name, dr7) do { \
        begin(dr7, (u64)name##_at); \
        resume = (u64)name##_next; \
        name(); \
        end(); \
    } while (0)
#define SET_TF "pushfq; orl $0x100, (%rsp); popfq"

AFTER(ss_nop, "", "nop");
AFTER(ss_ss, "mov $0x10, %ecx", "mov %ecx, %ss");
AFTER(ss_int, "", "int $0x55");
AFTER(ss_int1, "", ".byte 0xcd, 1");
AFTER(ss_int3, "", "int3");
AFTER(ss_icebp, "", ".byte 0xf1");
AFTER(ss_ud2, "", "ud2");
AFTER(ss_gp, "mov $1 << 63, %rcx", "mov (%rcx), %ecx");
AFTER(ss_pf, "mov $0x10000000000, %rcx", "mov (%rcx), %ecx");
AFTER(ss_hlt, "", "hlt");
AFTER(ss_popf, "pushfq", "popfq");
AFTER(ss_iret, "mov %rsp, %rcx; pushq $0x10; push %rcx; pushfq; pushq $8;"
               "lea ss_iret_next(%rip), %rcx; push %rcx", "iretq");
AFTER(ss_syscall, "", "syscall");
AFTER(tf_nop, SET_TF, "nop");
AFTER(tf_ss, "mov $0x10, %ecx; " SET_TF, "mov %ecx, %ss");
AFTER(tf_int, SET_TF, "int $0x55");
AFTER(tf_icebp, SET_TF, ".byte 0xf1");
AFTER(tf_ud2, SET_TF, "ud2");
AFTER(tf_hlt, SET_TF, "hlt");
AFTER(tf_syscall, SET_TF, "syscall");
AFTER(tf_detect, "xor %ecx, %ecx; " SET_TF, "mov %rcx, %dr3");
AFTER(popf_sets, "pushfq; orl $0x100, (%rsp)", "popfq");
AFTER(popf_clears, "pushfq; " SET_TF, "popfq");
AFTER(iret_clears, "mov %rsp, %rcx; pushq $0x10; push %rcx; pushfq; pushq $8;"
                   "lea iret_clears_next(%rip), %rcx; push %rcx;" SET_TF, "iretq");

/* A SYSCALL in ring 0: on with what follows it. */
void ring0_entry(void);
__asm__(".pushsection .text\nring0_entry: jmp *%rcx\n.popsection");

static void set_syscall(u64 mask)
{
    wrmsr(0xc0000081, (u64)KCODE << 32 | (u64)0x18 << 48);
    wrmsr(0xc0000082, (u64)ring0_entry);
    wrmsr(0xc0000084, mask);
}

/* One trap for MOV SS and the next instruction, which may lead to a handler. */
static void put_off(void)
{
    RUN(ss_nop, WATCH);
    check_eq(nr, 1);
    event(0, 1, (u64)ss_nop_next, B0);
    RUN(ss_ss, WATCH);                          /* the second puts nothing off */
    check_eq(nr, 1);
    event(0, 1, (u64)ss_ss_next, B0);
    RUN(ss_popf, WATCH);
    check_eq(nr, 1);
    event(0, 1, (u64)ss_popf_next, B0);
    RUN(ss_iret, WATCH);
    check_eq(nr, 1);
    event(0, 1, (u64)ss_iret_next, B0);
    RUN(ss_hlt, WATCH);                         /* the trap ends it */
    check_eq(nr, 1);
    event(0, 1, (u64)ss_hlt_next, B0);
}

static void into_handlers(void)
{
    RUN(ss_int, WATCH);
    check_eq(nr, 2);
    event(0, 1, stub(V_TRY), B0);
    event(1, V_TRY, (u64)ss_int_next, 0);
    RUN(ss_int3, WATCH);
    check_eq(nr, 2);
    event(0, 1, stub(3), B0);
    event(1, 3, (u64)ss_int3_next, 0);
    RUN(ss_int1, WATCH);                        /* twice its own handler */
    check_eq(nr, 2);
    event(0, 1, stub(1), B0);
    event(1, 1, (u64)ss_int1_next, 0);
    set_syscall(0);
    RUN(ss_syscall, WATCH);
    check_eq(nr, 1);
    event(0, 1, (u64)ring0_entry, B0);
}

static void one_for_icebp(void)
{
    RUN(ss_icebp, WATCH);
    check_eq(nr, 1);
    event(0, 1, (u64)ss_icebp_next, B0);
    RUN(tf_icebp, 0);                           /* its handler is not stepped into */
    check_eq(nr, 1);
    event(0, 1, (u64)tf_icebp_next, 0);
}

static void dropped_by_faults(void)
{
    test_pt[0] = 0;
    invlpg(TEST_VA);
    RUN(ss_ud2, WATCH);
    check_eq(nr, 1);
    event(0, 6, (u64)ss_ud2_at, 0);
    RUN(ss_gp, WATCH);
    check_eq(nr, 1);
    event(0, 13, (u64)ss_gp_at, 0);
    RUN(ss_pf, WATCH);
    check_eq(nr, 1);
    event(0, 14, (u64)ss_pf_at, 0);
    RUN(tf_ud2, WATCH);
    check_eq(nr, 1);
    event(0, 6, (u64)tf_ud2_at, 0);
}

static void with_steps(void)
{
    RUN(tf_nop, WATCH);
    check_eq(nr, 1);
    event(0, 1, (u64)tf_nop_next, B0 | BS);
    RUN(tf_ss, 0);
    check_eq(nr, 1);
    event(0, 1, (u64)tf_ss_next, BS);
    RUN(tf_hlt, WATCH);
    check_eq(nr, 1);
    event(0, 1, (u64)tf_hlt_next, B0 | BS);
    RUN(tf_int, 0);                             /* the handler runs with TF clear */
    check_eq(nr, 2);
    event(0, V_TRY, (u64)tf_int_next, 0);
    event(1, 1, (u64)tf_int_next + 1, BS);
    RUN(popf_sets, WATCH);
    check_eq(nr, 1);
    event(0, 1, (u64)popf_sets_next, B0);
    RUN(popf_clears, WATCH);
    check_eq(nr, 1);
    event(0, 1, (u64)popf_clears_next, B0 | BS);
    RUN(iret_clears, 0);
    check_eq(nr, 1);
    event(0, 1, (u64)iret_clears_next, BS);
    set_syscall(FL_TF);
    RUN(tf_syscall, 0);
    check_eq(nr, 0);
    set_syscall(0);
    RUN(tf_syscall, WATCH);
    check_eq(nr, 1);
    event(0, 1, (u64)ring0_entry, B0 | BS);
}

/* Instruction breakpoints behind MOV SS are not seen; general detection is. */
static void other_breakpoints(void)
{
    RUN(ss_nop, BREAK);
    check_eq(nr, 0);
    RUN(ss_nop, BREAK | WATCH);
    check_eq(nr, 1);
    event(0, 1, (u64)ss_nop_next, B0);
    RUN(tf_detect, DETECT);
    check_eq(nr, 1);
    event(0, 1, (u64)tf_detect_at, BD);
}

/* POP SS and INTO ---------------------------------------------------------- */

#define CODE32(name, text) SNIPPET(name, ".code32; " text "; int $0x80; .code64")
CODE32(code32_pop_ss, "mov %esp, %ebp; mov $watched_ss, %esp; pop %ss; mov %ebp, %esp; nop");
CODE32(code32_into, "mov $0x10, %eax; mov %eax, %ds; mov $0x7fffffff, %eax;"
                    "inc %eax; mov watched_ss, %ss; into");

static void legacy(void)
{
    begin(WATCH, 0);
    check_eq(code32_run(code32_pop_ss, KCODE32, KDATA), V_BACK);
    check_eq(nr, 1);
    check_eq(events[0].dr6, B0);
    check_eq(events[0].rip, last.rip - 3);      /* behind MOV ESP: NOP and INT 80h follow */
    end();
    begin(WATCH, 0);
    check_eq(code32_run(code32_into, KCODE32, KDATA), V_BACK);
    check_eq(nr, 2);
    event(0, 1, stub(4), B0);
    event(1, 4, last.rip - 2, 0);
    end();
}

/* SYSRET ------------------------------------------------------------------- */

SNIPPET(user_target, "int $0x80");
static u64 user_rip;

static void sysret_tf(u64 flags)
{
    __asm__ volatile("sysretq" :: "c"(user_rip), "a"(0) : "memory");
}

static void sysret_steps(void)
{
    set_syscall(0);
    check_eq(user_run(user_target, 0), V_BACK);
    user_rip = last.rip - 2;
    begin(0, 0);
    __asm__ volatile("mov %0, %%r11" :: "r"(FL_TF | 2) : "r11");
    check_eq(guarded(sysret_tf, 0), V_BACK);
    check_eq(nr, 1);
    event(0, 1, user_rip, BS);                  /* before the first instruction there */
    end();
}

/* A delivery to a watched stack -------------------------------------------- */

static void watched_push(void)
{
    /* UD2's frame: SS is pushed first, just below what is aligned. */
    begin(0, 0);
    __asm__ volatile("mov %%rsp, %%rbx; lea -1024(%%rsp), %%rsp; and $-16, %%rsp\n"
                     "lea -8(%%rsp), %%rcx; mov %%rcx, %%dr0; mov %0, %%dr7\n"
                     "lea 1f(%%rip), %%rcx; mov %%rcx, %1\n"
                     "ud2; 1: mov %2, %%dr7; mov %%rbx, %%rsp"
                     :: "r"(0x400ull | 2 | 1 << 16 | 3 << 18), "m"(resume), "r"(0x400ull)
                     : "rbx", "rcx", "memory");
    check_eq(nr, 2);
    event(0, 1, stub(6), B0);
    check_eq(events[1].vector, 6);
    end();
}

const Test pending_tests[] = {
    { "MOV SS puts a data breakpoint off by one instruction", put_off },
    { "... into the handler of INT n, INT3, SYSCALL", into_handlers },
    { "... together with ICEBP", one_for_icebp },
    { "... and a fault drops it", dropped_by_faults },
    { "... and with single steps", with_steps },
    { "... but no other breakpoints", other_breakpoints },
    { "POP SS and INTO in 32-bit code", legacy },
    { "SYSRET that loads TF", sysret_steps },
    { "a delivery to a watched stack", watched_push },
    { NULL, NULL }
};
