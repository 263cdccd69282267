/*
 * A traced child: single steps through code, debug registers, registers that cannot be.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <errno.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#include "selftest.h"

#define DR(n) ((void *)(offsetof(struct user, u_debugreg) + 8 * (n)))
#define REG(r) ((void *)offsetof(struct user, regs.r))

u64 watched[4];
extern u8 child_code[], child_wait[], child_end[];
__asm__(".pushsection .text\n"
        "child_code: mov $20, %eax; int $0x80; mov $39, %eax; syscall; pushfq; popfq\n"
        "mov %ss, %eax; mov %eax, %ss; nop\n"
        "mov $3, %ecx; lea watched, %rdi; rep stosb\n"
        "cpuid; xor %ecx, %ecx; xgetbv; int3; nop; .byte 0xf1; nop\n"
        "lock incq watched; mov watched + 8, %rax; movups watched + 12, %xmm0\n"
        "push watched; pop watched + 16\n"
        "child_wait: int3; jmp child_wait; child_end:\n.popsection");

static int wait_stop(pid_t pid)
{
    int status = 0;

    waitpid(pid, &status, 0);
    return WIFSTOPPED(status) ? WSTOPSIG(status) : -1;
}

static pid_t start_child(void)
{
    pid_t pid = fork();

    if (pid == 0) {
        ptrace(PTRACE_TRACEME, 0, 0, 0);
        raise(SIGSTOP);
        __asm__ volatile("jmp child_code");
    }
    if (wait_stop(pid) != SIGSTOP) {
        return -1;
    }
    ptrace(PTRACE_POKEUSER, pid, REG(rip), child_code);
    /* It is in a system call: no restart of it. */
    ptrace(PTRACE_POKEUSER, pid, REG(orig_rax), -1l);
    return pid;
}

static void end_child(pid_t pid)
{
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
}

static void single_steps(pid_t pid)
{
    u64 rip = 0;

    for (unsigned i = 0; i < 60 && rip != (u64)child_wait; i++) {
        siginfo_t si = { 0 };

        ptrace(PTRACE_SINGLESTEP, pid, 0, 0);
        printf("%d", wait_stop(pid));
        ptrace(PTRACE_GETSIGINFO, pid, 0, &si);
        rip = ptrace(PTRACE_PEEKUSER, pid, REG(rip), 0);
        printf("/%d@%ld TF %d DR6 %lx\n", si.si_code, (long)(rip - (u64)child_code),
               !!(ptrace(PTRACE_PEEKUSER, pid, REG(eflags), 0) & FL_TF),
               ptrace(PTRACE_PEEKUSER, pid, DR(6), 0) & 0xe00f);
    }
}

static const struct { const char *name; u64 dr[2], dr7; } breaks[] = {
    { "write, 1 byte", { 0, 2 }, 0x110005 }, { "write, 2 bytes", { 0, 2 }, 0x550005 },
    { "write, 8 bytes", { 0, 8 }, 0x990005 }, { "access, 4 bytes", { 8, 12 }, 0xff0005 },
    { "access, 8 bytes", { 8, 16 }, 0xbb0005 }, { "both at one place", { 0, 0 }, 0x9d0005 },
    { "odd address", { 1, 3 }, 0xdd0005 }, { "of no address", { 1ull << 47, 0 }, 0x110005 },
    { "ports", { 0x80, 0 }, 0x120005 },
};

static void data_breakpoints(unsigned n)
{
    pid_t pid = start_child();
    long bad;

    printf("%s:", breaks[n].name);
    ptrace(PTRACE_POKEUSER, pid, DR(7), 0);
    bad = ptrace(PTRACE_POKEUSER, pid, DR(0), (u64)watched + breaks[n].dr[0]) << 2 |
          ptrace(PTRACE_POKEUSER, pid, DR(1), (u64)watched + breaks[n].dr[1]) << 1 |
          ptrace(PTRACE_POKEUSER, pid, DR(7), breaks[n].dr7);
    printf(" %ld", bad);
    for (unsigned i = 0; !bad && i < 20; i++) {
        u64 rip;

        ptrace(PTRACE_POKEUSER, pid, DR(6), 0);
        ptrace(PTRACE_CONT, pid, 0, 0);
        printf(" %d", wait_stop(pid));
        rip = ptrace(PTRACE_PEEKUSER, pid, REG(rip), 0);
        printf("@%ld/%lx", (long)(rip - (u64)child_code),
               ptrace(PTRACE_PEEKUSER, pid, DR(6), 0) & 15);
        if (rip > (u64)child_wait || rip < (u64)child_code) {
            break;
        }
    }
    printf("\n");
    end_child(pid);
}

static void odd_registers(void)
{
    pid_t pid = start_child();
    static const u16 sels[] = { 0, 3, 0x18, CS32, DS_USER, CS64, 0xfffb, LDT_SEL(500) };

    for (unsigned i = 0; i < sizeof(sels) / sizeof(*sels); i++) {
        printf("%x: cs %ld", sels[i], ptrace(PTRACE_POKEUSER, pid, REG(cs), sels[i]));
        printf(" ss %ld", ptrace(PTRACE_POKEUSER, pid, REG(ss), sels[i]));
        printf(" gs %ld\n", ptrace(PTRACE_POKEUSER, pid, REG(gs), sels[i]));
    }
    ptrace(PTRACE_POKEUSER, pid, REG(cs), CS64);
    ptrace(PTRACE_POKEUSER, pid, REG(ss), DS_USER);
    ptrace(PTRACE_POKEUSER, pid, REG(gs), 0);
    ptrace(PTRACE_POKEUSER, pid, REG(eflags), -1l);
    printf("flags %lx\n", ptrace(PTRACE_PEEKUSER, pid, REG(eflags), 0) & ~0x10302);
    ptrace(PTRACE_POKEUSER, pid, REG(eflags), 0x202);
    printf("gs_base %ld\n", ptrace(PTRACE_POKEUSER, pid, REG(gs_base), 1ul << 47));
    ptrace(PTRACE_POKEUSER, pid, REG(rip), 1ul << 47);
    ptrace(PTRACE_CONT, pid, 0, 0);
    printf("no address: %d\n", wait_stop(pid));
    ptrace(PTRACE_POKEUSER, pid, REG(rip), child_wait);
    ptrace(PTRACE_POKEUSER, pid, REG(cs), CS32);
    ptrace(PTRACE_SINGLESTEP, pid, 0, 0);
    printf("32 bits: %d", wait_stop(pid));
    printf(" @%ld\n", (long)(ptrace(PTRACE_PEEKUSER, pid, REG(rip), 0) - (u64)child_wait));
    end_child(pid);
}

void ptrace_tests(void)
{
    pid_t pid;

    test("single steps of a child");
    pid = start_child();
    single_steps(pid);
    end_child(pid);
    test("data breakpoints of a child");
    for (unsigned i = 0; i < sizeof(breaks) / sizeof(*breaks); i++) {
        data_breakpoints(i);
    }
    test("odd registers of a child");
    odd_registers();
}
