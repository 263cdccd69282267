/*
 * Single steps and data breakpoints over every kind of entry, with and without MOV SS
 * before it. What is left out: SYSENTER, and SYSCALL in 32-bit code, which Intel and AMD
 * have different modes for; the signal code of ICEBP after a watched MOV SS, as hypervisors
 * that intercept #DB make DR6 anew.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <stdlib.h>
#include <sys/ptrace.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#include "selftest.h"

u16 watched_ss;

/* With EAX = 20, getpid of INT 80h; as a SYSCALL it is writev, which fails. */
#define STEP(name, before, text) \
    void step_##name(u64); extern u8 step_##name##_at[]; \
    __asm__(".pushsection .text\nstep_" #name ": push %rbx; mov $20, %eax; " before "\n" \
            "xor %edi, %edi; xor %edx, %edx; xor %esi, %esi\n" \
            "step_" #name "_at: " text "\n" \
            "pushfq; andl $~0x100, (%rsp); popfq; pop %rbx; ret\n.popsection")
#define TF "pushfq; orl $0x100, (%rsp); popfq; "
#define SS "mov watched_ss, %ss; "

STEP(nops, "", TF "nop; nop");
STEP(ss, "", TF SS "nop; nop");
STEP(ss2, "", TF SS SS "nop; nop");
STEP(ss3, "", TF SS SS SS "nop; nop");
STEP(popf, "pushfq", TF "popfq; nop");
STEP(ss_popf, "pushfq", TF SS "popfq; nop");
STEP(pushf, "", TF "pushfq; popq %rcx; nop");
STEP(int3, "", TF "int3; nop");
STEP(ss_int3, "", TF SS "int3; nop");
STEP(int_3, "", TF ".byte 0xcd, 3; nop");
STEP(int80, "", TF "int $0x80; nop");
STEP(ss_int80, "", TF SS "int $0x80; nop");
STEP(syscall, "", TF "syscall; nop");
STEP(ss_syscall, "", TF SS "syscall; nop");
STEP(icebp, "", TF ".byte 0xf1; nop");
STEP(ss_icebp, "", TF SS ".byte 0xf1; nop");
STEP(ud2, "", TF "ud2");
STEP(ss_ud2, "", TF SS "ud2");
STEP(cli, "", TF SS "cli");
STEP(hlt, "", TF SS "hlt");
STEP(pf, "", TF SS "mov -1, %rcx");
STEP(int4, "", TF SS "int $4");
STEP(int1, "", TF SS ".byte 0xcd, 1");
STEP(int81, "", TF SS "int $0x81");
#define STRINGS(n) "mov $" #n ", %ecx; mov low, %rdi; mov low, %rsi; "
STEP(movs, "", STRINGS(3) TF "rep movsb; nop");
STEP(cmps, "", STRINGS(0) TF "repe cmpsb; nop");
STEP(cpuid, "", TF "cpuid; nop");
STEP(xgetbv, "xor %ecx, %ecx", TF "xgetbv; nop");
STEP(jump, "", TF "jmp 1f; nop; 1: call 2f; 2: pop %rcx; nop");
STEP(iret, "", TF "mov %rsp, %rcx; pushq $0x2b; push %rcx; pushfq; pushq $0x33;"
               "lea 1f(%rip), %rcx; push %rcx; iretq; 1: nop");
STEP(lret, "", TF "pushq $0x33; lea 1f(%rip), %rcx; push %rcx; lretq; 1: nop");

typedef struct Step { const char *name; void (*fn)(u64); u8 *at; } Step;
#define ROW(name) { #name, step_##name, step_##name##_at }
static const Step steps[] = {
    ROW(nops), ROW(ss), ROW(ss2), ROW(ss3), ROW(popf), ROW(ss_popf), ROW(pushf), ROW(int3),
    ROW(ss_int3), ROW(int_3), ROW(int80), ROW(ss_int80), ROW(syscall), ROW(ss_syscall),
    ROW(icebp), ROW(ss_icebp), ROW(ud2), ROW(ss_ud2), ROW(cli), ROW(hlt), ROW(pf), ROW(int4),
    ROW(int1), ROW(int81), ROW(movs), ROW(cmps), ROW(cpuid), ROW(xgetbv), ROW(jump), ROW(iret),
    ROW(lret),
};

STEP(w_mov, "", "mov watched_ss, %cx; nop; nop");
STEP(w_ss, "", SS "nop; nop");
STEP(w_ss2, "", SS SS "nop; nop");
STEP(w_reg, "", SS "mov %ss, %ecx; mov %ecx, %ss; nop; nop");
STEP(w_int3, "", SS "int3; nop");
STEP(w_int_3, "", SS ".byte 0xcd, 3; nop");
STEP(w_int80, "", SS "int $0x80; nop");
STEP(w_syscall, "", SS "syscall; nop");
STEP(w_ud2, "", SS "ud2");
STEP(w_cli, "", SS "cli");
STEP(w_pf, "", SS "mov -1, %rcx");
STEP(w_int4, "", SS "int $4");
STEP(w_int1, "", SS ".byte 0xcd, 1");
STEP(w_popf, "pushfq", SS "popfq; nop");
STEP(w_popf_tf, "pushfq; orl $0x100, (%rsp)", SS "popfq; nop");
STEP(w_step, "", TF SS "nop; nop");
STEP(w_iret, "mov %rsp, %rcx; pushq $0x2b; push %rcx; pushfq; pushq $0x33;"
             "lea 1f(%rip), %rcx; push %rcx", SS "iretq; 1: nop");
STEP(w_break, "", SS ".globl watched_nop; watched_nop: nop; nop");
STEP(w_icebp, "", SS ".byte 0xf1; nop");
extern u8 watched_nop[];

static const Step watched[] = {
    ROW(w_mov), ROW(w_ss), ROW(w_ss2), ROW(w_reg), ROW(w_int3), ROW(w_int_3), ROW(w_int80),
    ROW(w_syscall), ROW(w_ud2), ROW(w_cli), ROW(w_pf), ROW(w_int4), ROW(w_int1), ROW(w_popf),
    ROW(w_popf_tf), ROW(w_step), ROW(w_iret), ROW(w_break),
};

static void run_steps(const Step *s, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        clear_traps();
        run_code(s[i].fn, 0, false);
        print_traps(s[i].name, (u64)s[i].at);
    }
}

#define DR(n) ((void *)(offsetof(struct user, u_debugreg) + 8 * (n)))

/* DR0 watches watched_ss, DR1 breaks at watched_nop: a child sets them for us. */
static bool set_breakpoints(u64 dr7)
{
    pid_t parent = getpid(), child = fork();
    int status;

    if (child == 0) {
        if (ptrace(PTRACE_ATTACH, parent, 0, 0)) {
            _exit(1);
        }
        waitpid(parent, &status, 0);
        status = ptrace(PTRACE_POKEUSER, parent, DR(0), &watched_ss) ||
                 ptrace(PTRACE_POKEUSER, parent, DR(1), watched_nop) ||
                 ptrace(PTRACE_POKEUSER, parent, DR(7), dr7);
        ptrace(PTRACE_DETACH, parent, 0, 0);
        _exit(status);
    }
    waitpid(child, &status, 0);
    return status == 0;
}

void steps_tests(void)
{
    __asm__ volatile("mov %%ss, %0" : "=m"(watched_ss));
    test("single steps");
    run_steps(steps, sizeof(steps) / sizeof(*steps));
    test("data breakpoints on what MOV SS reads");
    if (!set_breakpoints(2 | 3 << 16 | 1 << 18 | 8)) {
        skipped("no ptrace of the parent");
        return;
    }
    run_steps(watched, sizeof(watched) / sizeof(*watched));
    clear_traps();
    run_code(step_w_icebp, 0, false);
    printf("ICEBP: %u\n", nr_traps);
    set_breakpoints(0);
}
