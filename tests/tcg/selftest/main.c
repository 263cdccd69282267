/*
 * The program's signals, its LDT, and its ways into other segments.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <asm/ldt.h>
#include <setjmp.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "selftest.h"

Trap traps[64];
unsigned nr_traps;
u8 *low;
static sigjmp_buf back;
static bool stop_at_trap;
static u8 *alt_stack;

void test(const char *name)
{
    printf("== %s\n", name);
    fflush(stdout);
}

void skipped(const char *why)
{
    printf("skipped: %s\n", why);
}

void clear_traps(void)
{
    nr_traps = 0;
}

static void on_signal(int sig, siginfo_t *si, void *context)
{
    greg_t *regs = ((ucontext_t *)context)->uc_mcontext.gregs;
    Trap *t = &traps[nr_traps < 63 ? nr_traps : 63];

    nr_traps++;
    t->sig = sig;
    t->code = si->si_code;
    t->trapno = regs[REG_TRAPNO];
    t->error = regs[REG_ERR];
    memcpy(t->regs, regs, sizeof(t->regs));
    t->cs = regs[REG_CSGSFS];
    t->ss = (u64)regs[REG_CSGSFS] >> 48;
    if (nr_traps > 60) {
        regs[REG_EFL] &= ~FL_TF;
    }
    if (sig != SIGTRAP || stop_at_trap) {
        siglongjmp(back, 1);
    }
}

void run_code(void (*fn)(u64), u64 arg, bool stop)
{
    stop_at_trap = stop;
    if (!sigsetjmp(back, 1)) {
        fn(arg);
    }
    __asm__ volatile("cld; fninit");
}

void print_traps(const char *name, u64 base)
{
    printf("%s:", name);
    for (unsigned i = 0; i < nr_traps && i < 64; i++) {
        Trap *t = &traps[i];
        long at = t->regs[REG_RIP] - base;

        printf(" %s", sigabbrev_np(t->sig));
        if (t->sig != SIGTRAP) {
            printf("(%d,%lx)", t->trapno, t->error);
        } else {
            printf("/%d", t->code);
        }
        if (at >= -64 && at < 4096) {
            printf("@%ld", at);
        }
    }
    printf("\n");
}

/* Other segments ----------------------------------------------------------- */

typedef struct Far { u64 rip, cs, flags, rsp, ss; } Far;

static void go_far(u64 arg)
{
    Far *f = (Far *)arg;

    __asm__ volatile("mov %0, %%rsp; xor %%eax, %%eax; xor %%ecx, %%ecx; xor %%edx, %%edx\n"
                     "xor %%esi, %%esi; xor %%edi, %%edi; xor %%ebp, %%ebp; iretq"
                     :: "r"(f), "b"(low) : "memory");
}

void run_at(const void *code, unsigned size, u16 cs, u16 ss, u64 rip, u64 rsp, u64 flags)
{
    Far f = { rip, cs, flags | 2, rsp, ss };

    memcpy(low, code, size);
    clear_traps();
    run_code(go_far, (u64)&f, true);
}

bool set_ldt(unsigned n, u32 base, u32 limit, unsigned flags)
{
    struct user_desc d = {
        .entry_number = n, .base_addr = base, .limit = limit, .seg_32bit = flags & 1,
        .contents = (flags >> 1) & 3, .read_exec_only = !!(flags & LDT_RO),
        .limit_in_pages = !!(flags & LDT_PAGES), .seg_not_present = !!(flags & LDT_ABSENT),
        .useable = !!(flags & LDT_USEABLE),
    };

    return syscall(SYS_modify_ldt, 0x11, &d, sizeof(d)) == 0;
}

void clear_ldt(unsigned n)
{
    struct user_desc d = { .entry_number = n, .read_exec_only = 1, .seg_not_present = 1 };

    syscall(SYS_modify_ldt, 0x11, &d, sizeof(d));
}

static void *low_memory(size_t size)
{
    void *p = mmap(NULL, size, PROT_READ | PROT_WRITE | PROT_EXEC,
                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);

    if (p == MAP_FAILED) {
        perror("mmap");
        exit(1);
    }
    return p;
}

int main(void)
{
    static const int signals[] = { SIGTRAP, SIGSEGV, SIGBUS, SIGILL, SIGFPE };
    struct sigaction sa = {
        .sa_sigaction = on_signal, .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER,
    };
    stack_t ss = { .ss_size = 65536 };

    setvbuf(stdout, NULL, _IOLBF, 0);
    low = low_memory(LOW_SIZE);
    ss.ss_sp = alt_stack = low_memory(ss.ss_size);
    sigaltstack(&ss, NULL);
    for (unsigned i = 0; i < sizeof(signals) / sizeof(*signals); i++) {
        sigaction(signals[i], &sa, NULL);
    }
    steps_tests();
    segments_tests();
    frames_tests();
    bases_tests();
    ports_tests();
    x87_tests();
    ptrace_tests();
    printf("== end\n");
    return 0;
}
