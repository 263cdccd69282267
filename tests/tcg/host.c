/*
 * Runs code on the host's CPU with all registers set, catching its faults.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <cpuid.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>

#include "diff.h"

/* In low memory, so that absolute 32-bit addresses reach it. */
#define STATE_VA 0x1f000000ul
#define ST ((CaseState *)STATE_VA)
#define HOST_RSP (*(uint64_t *)(STATE_VA + 0x800))
#define EXIT_PTR (*(uint64_t *)(STATE_VA + 0x808))
#define HAS_AVX (*(uint8_t *)(STATE_VA + 0x810))

uint8_t *const host_code = (uint8_t *)CODE_VA;
uint8_t *const host_data = (uint8_t *)DATA_VA;

void host_enter(void);
void host_leave(void);
void host_fault(void);

__asm__(
    ".globl host_enter, host_leave, host_fault\n"
    ".set S, 0x1f000000\n"
    "host_enter:\n"
    "push %rbx; push %rbp; push %r12; push %r13; push %r14; push %r15\n"
    "mov %rsp, S+0x800\n"
    "mov $7, %eax; xor %edx, %edx; cmpb $0, S+0x810; je 1f\n"
    "xsave64 S+0xa00; xrstor64 S+192; jmp 2f\n"
    "1: fxsave64 S+0xa00; fxrstor64 S+192\n"
    "2:\n"
    "pushq S+128\n"
    "popfq\n"
    "mov S+0, %rax; mov S+8, %rcx; mov S+16, %rdx; mov S+24, %rbx\n"
    "mov S+32, %rsp; mov S+40, %rbp; mov S+48, %rsi; mov S+56, %rdi\n"
    "mov S+64, %r8; mov S+72, %r9; mov S+80, %r10; mov S+88, %r11\n"
    "mov S+96, %r12; mov S+104, %r13; mov S+112, %r14; mov S+120, %r15\n"
    "jmp *S+136\n"
    "host_leave:\n"
    "mov %rax, S+0; mov %rcx, S+8; mov %rdx, S+16; mov %rbx, S+24\n"
    "mov %rsp, S+32; mov %rbp, S+40; mov %rsi, S+48; mov %rdi, S+56\n"
    "mov %r8, S+64; mov %r9, S+72; mov %r10, S+80; mov %r11, S+88\n"
    "mov %r12, S+96; mov %r13, S+104; mov %r14, S+112; mov %r15, S+120\n"
    "mov S+0x800, %rsp\n"
    "pushfq\n"
    "popq S+128\n"
    "cld\n"
    "mov $7, %eax; xor %edx, %edx; cmpb $0, S+0x810; je 1f\n"
    "xsave64 S+192; jmp host_fault\n"
    "1: fxsave64 S+192\n"
    "host_fault:\n"
    "mov $7, %eax; xor %edx, %edx; cmpb $0, S+0x810; je 1f\n"
    "xrstor64 S+0xa00; jmp 2f\n"
    "1: fxrstor64 S+0xa00\n"
    "2:\n"
    "pop %r15; pop %r14; pop %r13; pop %r12; pop %rbp; pop %rbx\n"
    "ret\n"
);

static const int greg_order[16] = {
    REG_RAX, REG_RCX, REG_RDX, REG_RBX, REG_RSP, REG_RBP, REG_RSI, REG_RDI,
    REG_R8, REG_R9, REG_R10, REG_R11, REG_R12, REG_R13, REG_R14, REG_R15,
};

static volatile bool in_host;

static void on_fault(int sig, siginfo_t *si, void *ctx)
{
    ucontext_t *uc = ctx;
    greg_t *g = uc->uc_mcontext.gregs;

    if (!in_host) {
        signal(sig, SIG_DFL);       /* a fault of our own */
        return;
    }
    for (int i = 0; i < 16; i++) {
        ST->regs[i] = g[greg_order[i]];
    }
    ST->flags = g[REG_EFL];
    ST->rip = g[REG_RIP];
    ST->trap = g[REG_TRAPNO];
    ST->error = g[REG_ERR];
    ST->cr2 = g[REG_CR2];
    memcpy(&ST->fx, uc->uc_mcontext.fpregs, 512);
    if (HAS_AVX) {
        memcpy(ST->ymmh, (uint8_t *)uc->uc_mcontext.fpregs + 576, sizeof(ST->ymmh));
    }
    g[REG_RIP] = (greg_t)host_fault;
    g[REG_RSP] = HOST_RSP;
    g[REG_EFL] = 0x202;
}

bool host_init(void)
{
    static const int sigs[] = { SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGTRAP };
    static uint8_t stack[65536];
    stack_t ss = { .ss_sp = stack, .ss_size = sizeof(stack) };
    struct sigaction sa = { .sa_sigaction = on_fault,
                            .sa_flags = SA_SIGINFO | SA_ONSTACK };
    int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE;

    if (mmap((void *)STATE_VA, 4096, PROT_READ | PROT_WRITE, flags, -1, 0) ==
            MAP_FAILED ||
        mmap(host_code, CODE_SIZE, PROT_READ | PROT_WRITE | PROT_EXEC, flags,
             -1, 0) == MAP_FAILED ||
        mmap(host_data, DATA_SIZE, PROT_READ | PROT_WRITE, flags, -1, 0) ==
            MAP_FAILED) {
        perror("mmap");
        return false;
    }
    sigaltstack(&ss, NULL);
    for (unsigned i = 0; i < sizeof(sigs) / sizeof(*sigs); i++) {
        sigaction(sigs[i], &sa, NULL);
    }
    EXIT_PTR = (uint64_t)host_leave;
    HAS_AVX = host_has(HOST_AVX);
    return true;
}

bool host_is_intel(void)
{
    unsigned a, b, c, d;

    return __get_cpuid(0, &a, &b, &c, &d) && b == signature_INTEL_ebx &&
           c == signature_INTEL_ecx && d == signature_INTEL_edx;
}

static const struct {
    const char *name;
    unsigned leaf;
    uint8_t reg, bit;       /* EAX to EDX */
} features[HOST_FEATURES] = {
    [HOST_BMI1] = { "bmi1", 7, 1, 3 }, [HOST_BMI2] = { "bmi2", 7, 1, 8 },
    [HOST_ABM] = { "abm", 0x80000001, 2, 5 }, [HOST_ADX] = { "adx", 7, 1, 19 },
    [HOST_MOVBE] = { "movbe", 1, 2, 22 }, [HOST_AVX] = { "avx", 1, 2, 28 },
    [HOST_AVX2] = { "avx2", 7, 1, 5 }, [HOST_FMA] = { "fma", 1, 2, 12 },
    [HOST_F16C] = { "f16c", 1, 2, 29 }, [HOST_AES] = { "aes", 1, 2, 25 },
    [HOST_PCLMULQDQ] = { "pclmulqdq", 1, 2, 1 }, [HOST_SHA] = { "sha-ni", 7, 1, 29 },
};

const char *host_feature_name(HostFeature f)
{
    return features[f].name;
}

bool host_has(HostFeature f)
{
    unsigned r[4];

    if (f == HOST_ANY) {
        return true;
    }
    return __get_cpuid_count(features[f].leaf, 0, &r[0], &r[1], &r[2], &r[3]) &&
           (r[features[f].reg] >> features[f].bit & 1);
}

bool host_punishes_split_locks(void)
{
    char line[4096];
    bool found = false;
    FILE *f = fopen("/proc/cpuinfo", "re");

    while (f && !found && fgets(line, sizeof(line), f)) {
        found = strstr(line, "split_lock_detect") ||
                strstr(line, "bus_lock_detect");
    }
    if (f) {
        fclose(f);
    }
    return found;
}

unsigned host_exit_code(uint8_t *p)
{
    uint32_t a = STATE_VA + 0x808;

    p[0] = 0xff;                /* jmp *abs32 */
    p[1] = 0x24;
    p[2] = 0x25;
    memcpy(p + 3, &a, 4);
    return 7;
}

void host_run(CaseState *st)
{
    st->trap = -1;
    st->error = 0;
    st->cr2 = 0;
    memset(st->header, 0, sizeof(st->header));
    st->header[0] = 7;
    memcpy(ST, st, sizeof(*st));
    in_host = true;
    host_enter();
    in_host = false;
    memcpy(st, ST, sizeof(*st));
}
