/*
 * The test guest's page tables, descriptor tables, exceptions and output.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "guest.h"

#define PAGE __attribute__((aligned(4096)))
PAGE u64 test_pt[512];
PAGE u64 test_pd[512];
PAGE u64 test_pdpt[512];
PAGE u64 pml4[512];
static PAGE u64 pdpt[512], pd[4][512];
static PAGE u8 pages[8][4096];
static PAGE u8 user_code[4096];
static PAGE u8 user_stack[4096];
static PAGE u8 trap_stack[8192], df_stack[8192];

u64 gdt[32] = {
    [KCODE >> 3] = 0x00af9b000000ffff, [KDATA >> 3] = 0x00cf93000000ffff,
    [UCODE32 >> 3] = 0x00cffb000000ffff, [UDATA >> 3] = 0x00cff3000000ffff,
    [UCODE >> 3] = 0x00affb000000ffff, [KCODE32 >> 3] = 0x00cf9b000000ffff,
    [RODATA >> 3] = 0x00cf91000000ffff,
};
u32 tss[32];
static u64 idt[512];
Frame last;
u64 last_cr2;
void (*handlers[256])(Frame *f);
extern u8 trap_stubs[][16];
extern u64 guarded_sp, boot_params;
void guarded_out(void);
static unsigned nr, failed;
static bool test_failed;

void print(const char *s)
{
    for (; *s; s++) {
        while (!(inb(0x3f8 + 5) & 0x20)) {
        }
        outb(0x3f8, *s);
    }
}

void print_hex(u64 v)
{
    char buf[17];
    unsigned i = 16;

    buf[i] = 0;
    do {
        buf[--i] = "0123456789abcdef"[v & 15];
        v >>= 4;
    } while (v);
    print(buf + i);
}

static void print_dec(unsigned v)
{
    if (v >= 10) {
        print_dec(v / 10);
    }
    print((const char[]){ '0' + v % 10, 0 });
}

void check_at(bool ok, const char *what, u64 got, u64 want, unsigned line)
{
    if (ok) {
        return;
    }
    test_failed = true;
    print("# line ");
    print_dec(line);
    print(": ");
    print(what);
    print(" is ");
    print_hex(got);
    print(", not ");
    print_hex(want);
    print("\n");
}

bool option(const char *word)
{
    /* boot_params: cmd_line_ptr. */
    const char *s = (const char *)(u64)*(u32 *)(boot_params + 0x228);

    while (*s) {
        const char *w = word;

        while (*w && *s == *w) {
            s++;
            w++;
        }
        if (!*w && (*s == ' ' || !*s)) {
            return true;
        }
        while (*s && *s != ' ') {
            s++;
        }
        while (*s == ' ') {
            s++;
        }
    }
    return false;
}

void *memcpy(void *d, const void *s, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        ((u8 *)d)[i] = ((const u8 *)s)[i];
    }
    return d;
}

void *memset(void *d, int v, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        ((u8 *)d)[i] = v;
    }
    return d;
}

u8 *page(unsigned n)
{
    return pages[n];
}

void set_gate(unsigned vector, u64 addr, u8 type, u8 ist)
{
    idt[vector * 2] = (addr & 0xffff) | (u64)KCODE << 16 | (u64)ist << 32 | (u64)type << 40 |
                      (addr >> 16 & 0xffff) << 48;
    idt[vector * 2 + 1] = addr >> 32;
}

void reset_gate(unsigned vector)
{
    set_gate(vector, (u64)trap_stubs[vector], vector == V_BACK || vector == 3 ? 0xee : 0x8e,
             vector == 8 ? 1 : 0);
}

void on_trap(Frame *f)
{
    if (handlers[f->vector]) {
        handlers[f->vector](f);
        return;
    }
    last = *f;
    last_cr2 = rd_cr2();
    if (!guarded_sp) {
        print("Bail out! vector ");
        print_hex(f->vector);
        print(" at ");
        print_hex(f->rip);
        print("\n");
        outb(0xf4, 2);
    }
    __asm__ volatile("jmp guarded_out" :: "D"((u32)f->vector));
    __builtin_unreachable();
}

static void go_user(u64 flags)
{
    enter(USER_ALIAS + (u64)user_code, UCODE, UDATA, USER_ALIAS + (u64)user_stack + 4096, flags);
}

int user_run(const void *code, u64 flags)
{
    memcpy(user_code, code, 512);
    return guarded(go_user, flags | 2);
}

static void go_code32(u64 segs)
{
    enter((u64)user_code, segs & 0xffff, segs >> 16, (u64)user_stack + 4096, 2);
}

int code32_run(const void *code, unsigned cs, unsigned ss)
{
    memcpy(user_code, code, 512);
    return guarded(go_code32, cs | ss << 16);
}

/* Flat long mode of our own: the boot protocol's tables may lie in our way. */
static void make_tables(void)
{
    struct __attribute__((packed)) { u16 limit; u64 base; } ptr;
    u64 t = (u64)tss;

    for (unsigned i = 0; i < 2048; i++) {
        pd[i >> 9][i & 511] = (u64)i << 21 | PTE_PS | PTE_P | PTE_W | PTE_U;
    }
    for (unsigned i = 0; i < 4; i++) {
        pdpt[i] = (u64)pd[i] | PTE_P | PTE_W | PTE_U;
    }
    pml4[0] = (u64)pdpt | PTE_P | PTE_W;
    pml4[1] = (u64)pdpt | PTE_P | PTE_W | PTE_U;
    pml4[2] = (u64)test_pdpt | PTE_P | PTE_W | PTE_U;
    test_pdpt[0] = (u64)test_pd | PTE_P | PTE_W | PTE_U;
    test_pd[0] = (u64)test_pt | PTE_P | PTE_W | PTE_U;
    wrmsr(0xc0000080, rdmsr(0xc0000080) | 0x801);       /* NXE, SCE */
    wr_cr3((u64)pml4);
    wr_cr0((rd_cr0() | 0x10032) & ~0xcull);             /* WP, NE, MP */
    wr_cr4(rd_cr4() | CR4_OSFXSR | CR4_OSXMMEXCPT);
    for (unsigned i = 0; i < 256; i++) {
        reset_gate(i);
    }
    tss[1] = (u64)trap_stack + sizeof(trap_stack);      /* RSP0, IST1 */
    tss[9] = (u64)df_stack + sizeof(df_stack);
    tss[25] = 104 << 16;                                /* no I/O bitmap */
    gdt[TSS >> 3] = 103 | (t & 0xffffff) << 16 | 0x89ull << 40 | (t >> 24 & 0xff) << 56;
    gdt[(TSS >> 3) + 1] = t >> 32;
    ptr.limit = sizeof(gdt) - 1;
    ptr.base = (u64)gdt;
    __asm__ volatile("lgdt %0; mov %1, %%ss; mov %1, %%ds; mov %1, %%es\n"
                     "mov %2, %%fs; mov %2, %%gs\n"
                     "pushq %3; lea 1f(%%rip), %%rax; push %%rax; lretq; 1:"
                     :: "m"(ptr), "r"(KDATA), "r"(0), "i"(KCODE) : "rax", "memory");
    ptr.limit = sizeof(idt) - 1;
    ptr.base = (u64)idt;
    __asm__ volatile("lidt %0; ltr %w1" :: "m"(ptr), "r"(TSS));
}

bool wait_for(volatile u32 *p, u32 v)
{
    u64 end = rdtsc() + 5000000000ull;

    while (*p < v) {
        __asm__ volatile("pause");
        if (rdtsc() > end) {
            return false;
        }
    }
    return true;
}

static void run(const Test *t)
{
    for (; t->name; t++) {
        test_failed = false;
        t->fn();
        failed += test_failed;
        print(test_failed ? "not ok " : "ok ");
        print_dec(++nr);
        print(" - ");
        print(t->name);
        print("\n");
    }
}

void guest_main(void);
void guest_main(void)
{
    static const Test *const all[] = { paging_tests, excp_tests, far_tests, irq_tests,
                                       debug_tests, pending_tests, state_tests, avx_tests,
                                       smp_tests };

    make_tables();
    if (option("lives")) {
        lives();
    }
    if (option("spin")) {
        print("spinning\n");
        __asm__ volatile(".globl spin; spin: jmp spin");
    }
    if (option("triple")) {
        set_gate(6, 0, 0, 0);
        set_gate(8, 0, 0, 0);
        set_gate(11, 0, 0, 0);
        set_gate(13, 0, 0, 0);
        __asm__ volatile("ud2");
        print("not ok 1 - a triple fault\n");
    }
    for (unsigned i = 0; i < sizeof(all) / sizeof(*all); i++) {
        /* QEMU's emulated processor puts nothing off, and hangs at HLT. */
        if (all[i] != pending_tests || !option("soft-host")) {
            run(all[i]);
        }
    }
    print("1..");
    print_dec(nr);
    print("\n");
    outb(0xf4, failed ? 1 : 0);
}
