/*
 * The 32-bit test guest's tables, exceptions and output.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "guest32.h"

u64 gdt[16], idt[256];
Tss tss_a, tss_b;
Frame last;
u32 last_dr6;
extern u8 trap_stubs[][16];
extern u32 guarded_sp;
void on_trap(Frame *f);
void guest_main(void);
static u8 trap_stack[4096] __attribute__((aligned(16)));
static unsigned nr, failed;
static bool test_failed;

static void outb(u16 port, u8 v) { __asm__ volatile("outb %0, %1" :: "a"(v), "d"(port)); }

static u8 inb(u16 port)
{
    u8 v;

    __asm__ volatile("inb %1, %0" : "=a"(v) : "d"(port));
    return v;
}

void print(const char *s)
{
    for (; *s; s++) {
        while (!(inb(0x3f8 + 5) & 0x20)) {
        }
        outb(0x3f8, *s);
    }
}

static void print_number(u32 v, unsigned radix)
{
    if (v >= radix) {
        print_number(v / radix, radix);
    }
    print((const char[]){ "0123456789abcdef"[v % radix], 0 });
}

void check_at(bool ok, const char *what, u32 got, u32 want, unsigned line)
{
    if (ok) {
        return;
    }
    test_failed = true;
    print("# line ");
    print_number(line, 10);
    print(": ");
    print(what);
    print(" is ");
    print_number(got, 16);
    print(", not ");
    print_number(want, 16);
    print("\n");
}

void *memset(void *d, int v, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        ((volatile u8 *)d)[i] = v;
    }
    return d;
}

void *memcpy(void *d, const void *s, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        ((volatile u8 *)d)[i] = ((const u8 *)s)[i];
    }
    return d;
}

u64 segment(u32 base, u32 limit, u8 access, u8 flags)
{
    return (limit & 0xffff) | (u64)(base & 0xffffff) << 16 | (u64)access << 40 |
        (u64)(limit >> 16 & 15) << 48 | (u64)flags << 52 | (u64)(base >> 24) << 56;
}

u64 gate(u16 sel, u32 off, u8 access)
{
    return (off & 0xffff) | (u64)sel << 16 | (u64)access << 40 | (u64)(off >> 16) << 48;
}

void reset_gate(unsigned vector)
{
    idt[vector] = gate(KCODE, (u32)trap_stubs[vector], vector == 0x80 || vector == 3 ? 0xee : 0x8e);
}

void on_trap(Frame *f)
{
    /* From ring 0 the stack goes on after EFLAGS with what was there. */
    last = *f;
    last_dr6 = rd_dr6();
    if (!guarded_sp) {
        print("Bail out! vector ");
        print_number(f->vector, 16);
        print(" at ");
        print_number(f->eip, 16);
        print("\n");
        outb(0xf4, 2);
    }
    __asm__ volatile("jmp guarded_out" :: "a"(f->vector));
    __builtin_unreachable();
}

void reset_tasks(void)
{
    memset(&tss_a, 0, sizeof(tss_a));
    memset(&tss_b, 0, sizeof(tss_b));
    tss_a.esp0 = tss_b.esp0 = (u32)trap_stack + sizeof(trap_stack);
    tss_a.ss0 = tss_b.ss0 = KDATA;
    tss_a.iomap = tss_b.iomap = offsetof(Tss, bitmap);
    memset(tss_a.bitmap, 0xff, sizeof(tss_a.bitmap));
    gdt[TSS_A >> 3] = segment((u32)&tss_a, sizeof(Tss) - 1, 0x89, 0);
    gdt[TSS_B >> 3] = segment((u32)&tss_b, sizeof(Tss) - 1, 0x89, 0);
    gdt[GATE_B >> 3] = gate(TSS_B, 0, 0x85);
    __asm__ volatile("ltr %w0" :: "r"(TSS_A));
    wr_cr0(rd_cr0() & ~CR0_TS);
}

static void make_tables(void)
{
    struct __attribute__((packed)) { u16 limit; u32 base; } ptr = { sizeof(gdt) - 1, (u32)gdt };

    gdt[KCODE >> 3] = segment(0, 0xfffff, 0x9b, 0xc);
    gdt[KDATA >> 3] = segment(0, 0xfffff, 0x93, 0xc);
    gdt[UCODE >> 3] = segment(0, 0xfffff, 0xfb, 0xc);
    gdt[UDATA >> 3] = segment(0, 0xfffff, 0xf3, 0xc);
    __asm__ volatile("lgdt %0; ljmp %1, $1f; 1: mov %2, %%ds; mov %2, %%es; mov %2, %%ss\n"
                     "mov %2, %%fs; mov %2, %%gs" :: "m"(ptr), "i"(KCODE), "r"(KDATA) : "memory");
    for (unsigned i = 0; i < 256; i++) {
        reset_gate(i);
    }
    ptr.limit = sizeof(idt) - 1;
    ptr.base = (u32)idt;
    __asm__ volatile("lidt %0" :: "m"(ptr));
    reset_tasks();
}

static void run(const Test *t)
{
    for (; t->name; t++) {
        test_failed = false;
        t->fn();
        failed += test_failed;
        print(test_failed ? "not ok " : "ok ");
        print_number(++nr, 10);
        print(" - ");
        print(t->name);
        print("\n");
    }
}

void guest_main(void)
{
    make_tables();
    run(vm86_tests);
    run(task_tests);
    run(pending_tests);
    run(vex_tests);
    print("1..");
    print_number(nr, 10);
    print("\n");
    outb(0xf4, failed ? 1 : 0);
}
