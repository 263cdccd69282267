/*
 * Single steps and breakpoints by the debug registers.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "guest.h"

#define RD_DR(n) static u64 rd_dr##n(void) \
    { u64 v; __asm__ volatile("mov %%dr" #n ", %0" : "=r"(v)); return v; }
#define WR_DR(n) static void wr_dr##n(u64 v) \
    { __asm__ volatile("mov %0, %%dr" #n :: "r"(v) : "memory"); }
RD_DR(6) RD_DR(7) WR_DR(0) WR_DR(1) WR_DR(2) WR_DR(6) WR_DR(7)

#define HITS 16
static u64 hit_rip[HITS], hit_dr6[HITS], hit_flags[HITS];
static volatile u32 hits;

static void on_db(Frame *f)
{
    if (hits < HITS) {
        hit_rip[hits] = f->rip;
        hit_dr6[hits] = rd_dr6() & 0xe00f;
        hit_flags[hits] = f->rflags;
    }
    hits++;
    wr_dr6(0xffff0ff0);
    if (hits > HITS) {
        f->rflags &= ~0x100ull;
    }
    if (hit_dr6[hits - 1] == 1) {
        f->rflags |= 0x10000;               /* RF: go on past the breakpoint */
    }
}

static void start(void)
{
    hits = 0;
    handlers[1] = on_db;
    wr_dr7(0x400);
    wr_dr6(0xffff0ff0);
}

static void single_step(void)
{
    u64 a, b;

    start();
    __asm__ volatile("lea 1f(%%rip), %0; lea 2f(%%rip), %1\n"
                     "pushfq; orl $0x100, (%%rsp); popfq\n"
                     "nop\n"
                     "1: pushfq; andl $~0x100, (%%rsp); popfq; 2: nop"
                     : "=&r"(a), "=&r"(b) :: "memory", "cc");
    check_eq(hits, 4);
    check_eq(hit_rip[0], a);
    check_eq(hit_dr6[0], 0x4000);
    check_eq(hit_rip[3], b);                /* POPF that clears TF is stepped */
    /* MOV SS holds the trap back until after the next instruction. */
    start();
    __asm__ volatile("lea 1f(%%rip), %0\n"
                     "pushfq; orl $0x100, (%%rsp); popfq\n"
                     "mov %1, %%ss; nop\n"
                     "1: pushfq; andl $~0x100, (%%rsp); popfq"
                     : "=&r"(a) : "r"(KDATA) : "memory", "cc");
    check_eq(hits, 4);
    check_eq(hit_rip[0], a);
}

static void step_string(void)
{
    u64 n = 3, rip;
    u8 from[8] = "abc", to[8] = "";
    void *s = from, *d = to;

    start();
    __asm__ volatile("lea 1f(%%rip), %3\n"
                     "pushfq; pop %%rax; mov %%rax, %%rdx; or $0x100, %%eax; push %%rax; popfq\n"
                     "1: rep movsb\n"
                     "push %%rdx; popfq"
                     : "+c"(n), "+S"(s), "+D"(d), "=&r"(rip) :: "rax", "rdx", "memory", "cc");
    check_eq(hits, 5);                      /* each element, PUSH, POPF */
    check_eq(hit_rip[0], rip);
    check_eq(hit_rip[1], rip);
    check_eq(hit_rip[2], rip + 2);
    check_eq(to[2], 'c');
}

static void breakpoint(void)
{
    u64 rip;

    start();
    __asm__ volatile("lea 1f(%0), %0\n"
                     "mov %0, %%dr0; movl $0x401, %%eax; mov %%rax, %%dr7\n"
                     "mov $3, %%ecx\n"
                     "1: dec %%ecx; jnz 1b\n"
                     : "=r"(rip) : "0"(0ull) : "rax", "rcx", "cc");
    wr_dr7(0x400);
    check_eq(hits, 3);
    check_eq(hit_rip[0], rip);
    check_eq(hit_dr6[0], 1);
    check(!(hit_flags[0] & 0x10000) || hit_rip[0] == rip);
    /* Local and global enable bits; none: off. */
    start();
    __asm__ volatile("lea 1f(%0), %0\n"
                     "mov %0, %%dr0; movl $0x402, %%eax; mov %%rax, %%dr7\n"
                     "1: nop; movl $0x400, %%eax; mov %%rax, %%dr7; jmp 2f\n"
                     "2: nop"
                     : "=r"(rip) : "0"(0ull) : "rax", "rcx", "cc");
    check_eq(hits, 1);
}

static u64 watched[4];

static void watchpoint(void)
{
    u64 rip;

    start();
    wr_dr1((u64)&watched[1]);
    wr_dr7(0x400 | 4 | 0x900000ull);        /* DR1: writes, 4 bytes... */
    wr_dr7(0x400 | 4 | 0xd00000ull);
    __asm__ volatile("movl $1, %1; lea 1f(%%rip), %0; 1:" : "=r"(rip), "=m"(watched[1]));
    check_eq(hits, 1);
    check_eq(hit_dr6[0], 2);
    (void)*(volatile u64 *)&watched[1];     /* reads do not count */
    *(volatile u8 *)((u8 *)watched + 7) = 1;
    check_eq(hits, 1);
    *(volatile u8 *)((u8 *)watched + 11) = 1;
    check_eq(hits, 2);
    *(volatile u8 *)((u8 *)watched + 12) = 1;
    check_eq(hits, 2);
    *(volatile u64 *)((u8 *)watched + 4) = 1;   /* overlaps */
    check_eq(hits, 3);
    __asm__ volatile("lock incq %0" : "+m"(watched[1]));
    check_eq(hits, 4);
    wr_dr7(0x400 | 4 | 0xb00000ull);        /* reads and writes, 8 bytes */
    (void)*(volatile u8 *)((u8 *)watched + 15);
    check_eq(hits, 5);
    wr_dr7(0x400);
    *(volatile u64 *)&watched[1] = 1;
    check_eq(hits, 5);
}

static void watch_after(void)
{
    u64 rip;

    start();
    wr_dr1((u64)&watched[1]);
    wr_dr7(0x400 | 8 | 0x900000ull);        /* global, 8 bytes */
    __asm__ volatile("lea 1f(%%rip), %0; movq $1, %1; 1: nop" : "=&r"(rip), "=m"(watched[1]));
    check_eq(hits, 1);
    check_eq(hit_rip[0], rip);              /* a trap: after the instruction */
    wr_dr7(0x400);
}

static void io_breakpoint(void)
{
    start();
    wr_cr4(rd_cr4() | CR4_DE);
    wr_dr2(0x80);
    wr_dr7(0x400 | 0x10 | 2ull << 24);
    outb(0x80, 0);
    check_eq(hits, 1);
    check_eq(hit_dr6[0], 4);
    outb(0x81, 0);
    check_eq(hits, 1);
    wr_dr7(0x400);
    outb(0x80, 0);
    check_eq(hits, 1);
    wr_cr4(rd_cr4() & ~(u64)CR4_DE);
}

static void set_dr4(u64 v) { __asm__ volatile("mov %0, %%dr4" :: "r"(v)); }

static void registers(void)
{
    start();
    check_eq(rd_dr7(), 0x400);
    wr_dr6(0);
    check_eq(rd_dr6(), 0xffff0ff0);
    check_eq(guarded(wr_dr7, 1ull << 32), 13);
    check_eq(guarded(wr_dr6, 1ull << 32), 13);
    wr_cr4(rd_cr4() | CR4_DE);
    check_eq(guarded(set_dr4, 0), 6);
    wr_cr4(rd_cr4() & ~(u64)CR4_DE);
    check_eq(guarded(set_dr4, 0), -1);
    /* General detect: an access is refused before it happens, and GD cleared. */
    start();
    handlers[1] = NULL;
    wr_dr7(0x2400);
    check_eq(guarded(wr_dr0, 0), 1);
    check_eq(rd_dr6() & 0xe00f, 0x2000);
    check_eq(rd_dr7(), 0x400);
    wr_dr6(0xffff0ff0);
}

const Test debug_tests[] = {
    { "single steps", single_step },
    { "single steps of REP MOVS", step_string },
    { "instruction breakpoints", breakpoint },
    { "data breakpoints", watchpoint },
    { "data breakpoints trap after the instruction", watch_after },
    { "port breakpoints", io_breakpoint },
    { "debug registers", registers },
    { NULL, NULL }
};
