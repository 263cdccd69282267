/*
 * What a Linux process can see of the processor, mostly through signals and
 * ptrace: single steps, breakpoints, faults, floating-point state. Prints TAP.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#define _GNU_SOURCE
#include <errno.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

static unsigned nr, failed;
/* QEMU's emulated processor has no #XM and no ICEBP, and its far RET fails under SMAP. */
static bool soft_host;
static bool good;

#define CHECK(c) do { \
        if (!(c)) { \
            printf("# line %d: %s\n", __LINE__, #c); \
            good = false; \
        } \
    } while (0)

/* The signal that ended a function, if any --------------------------------- */

static sigjmp_buf back;
static siginfo_t info;
static greg_t regs[NGREG];

static void on_signal(int sig, siginfo_t *si, void *context)
{
    info = *si;
    memcpy(regs, ((ucontext_t *)context)->uc_mcontext.gregs, sizeof(regs));
    siglongjmp(back, sig);
}

static void handle(int sig, void (*fn)(int, siginfo_t *, void *))
{
    struct sigaction sa = { .sa_sigaction = fn, .sa_flags = SA_SIGINFO | SA_ONSTACK };

    sigaction(sig, &sa, NULL);
}

static int signal_of(void (*fn)(uintptr_t), uintptr_t arg)
{
    static const int sigs[] = { SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGTRAP };
    int sig;

    for (unsigned i = 0; i < 5; i++) {
        handle(sigs[i], on_signal);
    }
    sig = sigsetjmp(back, 1);
    if (!sig) {
        fn(arg);
    }
    return sig;
}

static void rd(uintptr_t a) { (void)*(volatile char *)a; }
static void wr(uintptr_t a) { *(volatile char *)a = 1; }
static void call(uintptr_t a) { ((void (*)(void))a)(); }
static void ud2(uintptr_t a) { __asm__ volatile("ud2"); }
static void hlt(uintptr_t a) { __asm__ volatile("hlt"); }
static void int3(uintptr_t a) { __asm__ volatile("int3"); }
static void icebp(uintptr_t a) { __asm__ volatile(".byte 0xf1"); }

static void divide(uintptr_t a)
{
    __asm__ volatile("xor %%edx, %%edx; div %%edx" ::: "rdx", "rax");
}

static void sse_divide(uintptr_t a)
{
    uint32_t csr = 0x1d80;
    float one = 1, zero = 0;

    __asm__ volatile("ldmxcsr %1; divss %2, %0" : "+x"(one) : "m"(csr), "m"(zero));
}

static void x87_divide(uintptr_t a)
{
    uint16_t cw = 0x37b;

    __asm__ volatile("fldcw %0; fld1; fldz; fdivrp; fwait" :: "m"(cw));
}

static void faults(void)
{
    uint32_t csr = 0x1f80;
    char *p = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    CHECK(signal_of(rd, 16) == SIGSEGV && info.si_code == SEGV_MAPERR &&
          info.si_addr == (void *)16 && regs[REG_ERR] == 4 && regs[REG_TRAPNO] == 14);
    CHECK(signal_of(wr, (uintptr_t)p) == SIGSEGV && info.si_code == SEGV_ACCERR &&
          (regs[REG_ERR] & 6) == 6);
    rd((uintptr_t)p);
    CHECK(signal_of(call, (uintptr_t)p) == SIGSEGV && regs[REG_ERR] == 0x15);
    CHECK(signal_of(rd, 1ul << 63) == SIGSEGV && regs[REG_TRAPNO] == 13);
    CHECK(signal_of(ud2, 0) == SIGILL && regs[REG_TRAPNO] == 6);
    CHECK(signal_of(hlt, 0) == SIGSEGV && regs[REG_TRAPNO] == 13 && regs[REG_ERR] == 0);
    CHECK(signal_of(int3, 0) == SIGTRAP && ((uint8_t *)regs[REG_RIP])[-1] == 0xcc);
    CHECK(soft_host ||
          (signal_of(icebp, 0) == SIGTRAP && ((uint8_t *)regs[REG_RIP])[-1] == 0xf1));
    CHECK(signal_of(divide, 0) == SIGFPE && info.si_code == FPE_INTDIV);
    CHECK(soft_host ||
          (signal_of(sse_divide, 0) == SIGFPE && info.si_code == FPE_FLTDIV));
    __asm__ volatile("ldmxcsr %0" :: "m"(csr));
    CHECK(signal_of(x87_divide, 0) == SIGFPE && info.si_code == FPE_FLTDIV);
    __asm__ volatile("fninit");
}

/* TF and NT ---------------------------------------------------------------- */

static volatile unsigned traps;

static void on_trap(int sig, siginfo_t *si, void *context)
{
    traps++;
}

static uint64_t get_flags(void)
{
    uint64_t f;

    __asm__ volatile("pushfq; pop %0" : "=r"(f));
    return f;
}

static void set_flags(uint64_t f)
{
    __asm__ volatile("push %0; popfq" :: "r"(f) : "cc");
}

static long raw_getpid(void)
{
    long r;

    __asm__ volatile("syscall" : "=a"(r) : "a"(SYS_getpid) : "rcx", "r11", "memory");
    return r;
}

static void steps(void)
{
    long pid = getpid(), got;

    handle(SIGTRAP, on_trap);
    traps = 0;
    set_flags(get_flags() | 0x100);
    got = raw_getpid();
    set_flags(get_flags() & ~0x100ul);
    CHECK(got == pid);
    CHECK(traps > 4 && traps < 60);
    CHECK(!(get_flags() & 0x100));
    set_flags(get_flags() | 0x4000);            /* NT */
    CHECK(raw_getpid() == pid);
    set_flags(get_flags() & ~0x4000ul);
    traps = 0;
    set_flags(get_flags() | 0x4100);
    got = raw_getpid();
    set_flags(get_flags() & ~0x4100ul);
    CHECK(got == pid && traps > 4);
}

/* Signal frames ------------------------------------------------------------ */

static void change_frame(int sig, siginfo_t *si, void *context)
{
    ucontext_t *uc = context;

    uc->uc_mcontext.gregs[REG_RBX] = 0x1234;
    uc->uc_mcontext.gregs[REG_EFL] |= 0x801;
    uc->uc_mcontext.fpregs->_xmm[3].element[0] = 0xabcd;
    uc->uc_mcontext.fpregs->mxcsr |= 0x8000;
    uc->uc_mcontext.fpregs->cwd = 0xf7f;
    __asm__ volatile("fninit; xorps %%xmm3, %%xmm3" ::: "xmm3");
}

static void frames(void)
{
    uint64_t bx, fl, xmm, tid = syscall(SYS_gettid);
    uint32_t csr, plain = 0x1f80;
    uint16_t cw;

    handle(SIGUSR1, change_frame);
    __asm__ volatile("xor %%ebx, %%ebx; pcmpeqd %%xmm3, %%xmm3; syscall\n"
                     "pushfq; pop %1; mov %%rbx, %0; movq %%xmm3, %2; stmxcsr %3; fnstcw %4"
                     : "=r"(bx), "=&r"(fl), "=&r"(xmm), "=m"(csr), "=m"(cw)
                     : "a"(SYS_tkill), "D"(tid), "S"(SIGUSR1)
                     : "rbx", "rcx", "r11", "xmm3", "memory");
    CHECK(bx == 0x1234);
    CHECK((fl & 0x801) == 0x801);
    CHECK(xmm == 0xffffffff0000abcd);
    CHECK(csr & 0x8000);
    CHECK(cw == 0xf7f);
    __asm__ volatile("ldmxcsr %0; fninit" :: "m"(plain));
}

/* A traced child ----------------------------------------------------------- */

static volatile uint64_t watched;

static void __attribute__((noinline)) landmark(void)
{
    __asm__ volatile("nop; nop");
}

static int wait_stop(pid_t pid)
{
    int status;

    waitpid(pid, &status, 0);
    return WIFSTOPPED(status) ? WSTOPSIG(status) : -1;
}

static pid_t traced_child(void)
{
    pid_t pid = fork();

    if (pid == 0) {
        ptrace(PTRACE_TRACEME, 0, 0, 0);
        raise(SIGSTOP);
        landmark();
        watched = 1;
        landmark();
        _exit(7);
    }
    CHECK(wait_stop(pid) == SIGSTOP);
    return pid;
}

#define DR(n) (offsetof(struct user, u_debugreg) + 8 * (n))

static void breakpoints(void)
{
    pid_t pid = traced_child();
    struct user_regs_struct r;
    int status;

    ptrace(PTRACE_POKEUSER, pid, DR(0), (long)landmark);
    ptrace(PTRACE_POKEUSER, pid, DR(1), (long)&watched);
    CHECK(ptrace(PTRACE_POKEUSER, pid, DR(7), 1 | 4 | 0x900000) == 0);
    ptrace(PTRACE_CONT, pid, 0, 0);
    CHECK(wait_stop(pid) == SIGTRAP);
    ptrace(PTRACE_GETREGS, pid, 0, &r);
    CHECK(r.rip == (uintptr_t)landmark);
    CHECK((ptrace(PTRACE_PEEKUSER, pid, DR(6), 0) & 15) == 1);
    ptrace(PTRACE_CONT, pid, 0, 0);
    CHECK(wait_stop(pid) == SIGTRAP);
    CHECK((ptrace(PTRACE_PEEKUSER, pid, DR(6), 0) & 15) == 2);
    CHECK(ptrace(PTRACE_PEEKDATA, pid, &watched, 0) == 1);
    ptrace(PTRACE_POKEUSER, pid, DR(7), 0);
    ptrace(PTRACE_CONT, pid, 0, 0);
    waitpid(pid, &status, 0);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 7);
}

static void ptrace_steps(void)
{
    pid_t pid = traced_child();
    struct user_regs_struct r;
    unsigned seen = 0;
    int status;

    for (unsigned i = 0; i < 3000 && seen < 2; i++) {
        ptrace(PTRACE_SINGLESTEP, pid, 0, 0);
        if (wait_stop(pid) != SIGTRAP) {
            break;
        }
        ptrace(PTRACE_GETREGS, pid, 0, &r);
        seen += r.rip == (uintptr_t)landmark;
    }
    CHECK(seen == 2);
    /* A return address out of range must not hurt the kernel. */
    ptrace(PTRACE_SYSCALL, pid, 0, 0);
    wait_stop(pid);
    ptrace(PTRACE_GETREGS, pid, 0, &r);
    r.orig_rax = SYS_getpid;
    r.rip = 0x800000000000;
    r.rcx = r.rip;
    ptrace(PTRACE_SETREGS, pid, 0, &r);
    ptrace(PTRACE_CONT, pid, 0, 0);
    CHECK(wait_stop(pid) == SIGSEGV);
    kill(pid, SIGKILL);
    waitpid(pid, &status, 0);
}

/* State that must survive switches ----------------------------------------- */

static int keeps_state(uint64_t seed)
{
    for (unsigned i = 0; i < 300; i++) {
        uint64_t in = seed + i, out, dummy = i;
        double x;

        __asm__ volatile("movq %3, %%xmm7; fninit; fildll %4; mov %5, %%eax; syscall\n"
                         "movq %%xmm7, %0; fstpl %1"
                         : "=&r"(out), "=m"(x), "+m"(dummy)
                         : "r"(in), "m"(dummy), "i"(SYS_sched_yield)
                         : "rax", "rcx", "r11", "xmm7", "memory");
        if (out != in || x != i) {
            return 1;
        }
    }
    return 0;
}

static void switches(void)
{
    int status, bad = 0;

    for (unsigned i = 0; i < 4; i++) {
        if (fork() == 0) {
            _exit(keeps_state(i * 0x123456789abcull));
        }
    }
    bad += keeps_state(42);
    while (wait(&status) > 0) {
        bad += status != 0;
    }
    CHECK(bad == 0);
}

/* 32-bit code of a 64-bit process: the kernel's selectors are 23h and 33h. */
static void compatibility(void)
{
    static const uint8_t code[] = {
        0xb8, 0xff, 0xff, 0xff, 0x7f,       /* mov $0x7fffffff, %eax */
        0x40,                               /* inc %eax: REX in 64-bit code */
        0xcb,                               /* lret */
    };
    uint8_t *p = mmap(NULL, 8192, PROT_READ | PROT_WRITE | PROT_EXEC,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);
    uint64_t rax;

    memcpy(p, code, sizeof(code));
    __asm__ volatile("mov %%rsp, %%rbx; mov %2, %%rsp\n"
                     "sub $8, %%rsp; movl $0x33, 4(%%rsp); lea 1f(%%rip), %%rax\n"
                     "mov %%eax, (%%rsp); pushq $0x23; push %1; lretq\n"
                     "1: mov %%rbx, %%rsp"
                     : "=&a"(rax) : "r"(p), "r"(p + 8192) : "rbx", "memory", "cc");
    CHECK((uint32_t)rax == 0x80000000);
}

static void clocks(void)
{
    struct timespec a, b;
    int64_t d = 0;

    clock_gettime(CLOCK_MONOTONIC, &a);
    for (unsigned i = 0; i < 20000 && d >= 0; i++) {
        clock_gettime(CLOCK_MONOTONIC, &b);
        d = (b.tv_sec - a.tv_sec) * 1000000000 + b.tv_nsec - a.tv_nsec;
        a = b;
        if (i % 1000 == 0) {
            sched_yield();
        }
    }
    CHECK(d >= 0);
}

static void run(const char *name, void (*fn)(void))
{
    good = true;
    fn();
    failed += !good;
    printf("%s %u - %s\n", good ? "ok" : "not ok", ++nr, name);
    fflush(stdout);
}

int main(int argc, char **argv)
{
    static char stack[65536];
    stack_t ss = { .ss_sp = stack, .ss_size = sizeof(stack) };

    soft_host = argc > 1;
    sigaltstack(&ss, NULL);
    run("signals for faults", faults);
    run("TF and NT across system calls", steps);
    run("changed signal frames", frames);
    run("breakpoints by ptrace", breakpoints);
    run("single steps by ptrace, a bad return address", ptrace_steps);
    run("floating-point state across switches", switches);
    if (!soft_host) {
        run("32-bit code", compatibility);
    }
    run("clocks", clocks);
    printf("1..%u\n", nr);
    return failed != 0;
}
