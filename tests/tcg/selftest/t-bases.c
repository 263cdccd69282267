/*
 * The bases of FS and GS, flags across system calls, and null selectors that IRET returns to.
 * Left out: what a null selector does to a base, which AMD's older processors do otherwise.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <asm/prctl.h>
#include <sched.h>
#include <sys/auxv.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "selftest.h"

#define HWCAP2_FSGSBASE 2

static void wrgsbase(u64 v) { __asm__ volatile("wrgsbase %0" :: "r"(v) : "memory"); }
static u64 rdgsbase(void)
{
    u64 v;

    __asm__ volatile("rdgsbase %0" : "=r"(v));
    return v;
}

static void try(const char *name, void (*fn)(u64), u64 arg)
{
    clear_traps();
    run_code(fn, arg, false);
    print_traps(name, 0);
}

static void bases(void)
{
    static const u64 values[] = { 0, 1, 0x7fffffffffff, 0xffff800000000000, ~0ull };
    u64 got = 0;

    for (unsigned i = 0; i < sizeof(values) / sizeof(*values); i++) {
        wrgsbase(values[i]);
        sched_yield();
        printf("%llx: %d", (unsigned long long)values[i], rdgsbase() == values[i]);
        syscall(SYS_arch_prctl, ARCH_GET_GS, &got);
        printf(" %d", got == values[i]);
        if (fork() == 0) {
            _exit(rdgsbase() == values[i]);
        }
        wait((int *)&got);
        printf(" %d\n", WEXITSTATUS((int)got));
    }
    try("no address", wrgsbase, 1ull << 47);
    try("no address", wrgsbase, 1ull << 63);
    printf("arch_prctl %ld\n", syscall(SYS_arch_prctl, ARCH_SET_GS, 1ull << 47));
    wrgsbase((u64)low);
    __asm__ volatile("mov %0, %%gs" :: "r"(DS_USER));
    printf("by a selector %llx\n", (unsigned long long)rdgsbase());
    __asm__ volatile("mov $0xfffffffff, %%rax; wrgsbase %%eax; rdgsbase %%rcx; rdgsbase %%edx;"
                     "mov %%rcx, %0" : "=m"(got) :: "rax", "rcx", "rdx");
    printf("32 bits %llx\n", (unsigned long long)got);
    wrgsbase(0);
    __asm__ volatile("mov %0, %%gs" :: "r"(0));
}

static void nulls(void)
{
    u32 ds, es, gs;

    __asm__ volatile("mov $3, %%eax; mov %%eax, %%ds; mov $2, %%eax; mov %%eax, %%es\n"
                     "mov $1, %%eax; mov %%eax, %%gs; mov $20, %%eax; int $0x80\n"
                     "mov %%ds, %0; mov %%es, %1; mov %%gs, %2"
                     : "=r"(ds), "=r"(es), "=r"(gs) :: "rax", "r8", "r9", "r10", "r11", "memory");
    printf("after INT 80h: ds %x es %x gs %x\n", ds, es, gs);
}

/* Flags -------------------------------------------------------------------- */

#define FLAG_LIST { 1, 0x400, 0x800, 0x4000, 0x40000, 0x200000 }

static void flags(void)
{
    static const u32 list[] = FLAG_LIST;
    u64 before, after, r11, rcx;

    for (unsigned i = 0; i < sizeof(list) / sizeof(*list); i++) {
        for (unsigned how = 0; how < 2; how++) {
            before = 0x202 | list[i];
            if (how) {
                __asm__ volatile("push %2; popfq; syscall; 1: pushfq; cld; pop %0; push $0x202;"
                                 "popfq; mov %%r11, %1; lea 1b(%%rip), %%r11; sub %%r11, %%rcx"
                                 : "=&r"(after), "=&r"(r11), "=c"(rcx)
                                 : "r"(before), "a"(SYS_getpid) : "r11", "memory", "cc");
                printf("%x by SYSCALL: %llx, r11 %llx, rcx %llx\n", list[i],
                       (unsigned long long)after, (unsigned long long)r11,
                       (unsigned long long)rcx);
            } else {
                __asm__ volatile("push %1; popfq; int $0x80; pushfq; cld; pop %0;"
                                 "push $0x202; popfq"
                                 : "=&r"(after) : "r"(before), "a"(20)
                                 : "r8", "r9", "r10", "r11", "memory", "cc");
                printf("%x by INT 80h: %llx\n", list[i], (unsigned long long)after);
            }
        }
    }
}

static void jump(u64 a) { __asm__ volatile("jmp *%0" :: "r"(a)); }
static void call(u64 a) { __asm__ volatile("call *%0" :: "r"(a)); }
static void ret(u64 a) { __asm__ volatile("push %0; ret" :: "r"(a)); }
static void push_there(u64 a)
{
    __asm__ volatile("mov %%rsp, %%rcx; mov %0, %%rsp; push %%rax; mov %%rcx, %%rsp"
                     :: "r"(a) : "rcx");
}
static void load(u64 a) { (void)*(volatile u8 *)a; }
static void load_rbp(u64 a)
{
    __asm__ volatile("push %%rbp; mov %0, %%rbp; mov (%%rbp), %%rax; pop %%rbp" :: "r"(a) : "rax");
}

static void no_addresses(void)
{
    static const u64 list[] = { 0x7ffffffff000, 0x800000000000, 0xffff7fffffffffff, ~0ull };

    for (unsigned i = 0; i < sizeof(list) / sizeof(*list); i++) {
        printf("%llx\n", (unsigned long long)list[i]);
        /* The upper half's error codes tell of the kernel's pages. */
        try("load", i == 3 ? load_rbp : load, list[i] & ~7ull ? list[i] : 0);
        try("load by RBP", load_rbp, i == 3 ? 1ull << 47 : list[i]);
        try("jump", jump, list[i]);
        try("call", call, list[i]);
        try("ret", ret, list[i]);
        try("push", push_there, list[i]);
    }
}

void bases_tests(void)
{
    test("FSGSBASE");
    if (getauxval(AT_HWCAP2) & HWCAP2_FSGSBASE) {
        bases();
    } else {
        skipped("no FSGSBASE");
    }
    test("null selectors after IRET");
    nulls();
    test("flags across system calls");
    flags();
    test("where there are no addresses");
    no_addresses();
}
