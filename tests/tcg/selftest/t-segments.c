/*
 * Games with LDT and GDT: what descriptors can be had and loaded, limits, types and 16 bits
 * in code of other segments, LAR, LSL, VERR and VERW.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <asm/ldt.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "selftest.h"

static void load_ds(u64 sel) { __asm__ volatile("mov %w0, %%ds" :: "r"(sel)); }
static void load_ss(u64 sel) { __asm__ volatile("mov %w0, %%ss" :: "r"(sel)); }
static void load_gs(u64 sel) { __asm__ volatile("mov %w0, %%gs" :: "r"(sel)); }

static void try(const char *name, void (*fn)(u64), u64 arg)
{
    clear_traps();
    run_code(fn, arg, false);
    print_traps(name, 0);
}

static void look(u16 sel)
{
    u32 lar = 0, lsl = 0;
    bool has_lar, has_lsl, verr, verw;

    __asm__("lar %w2, %0; setz %1" : "+r"(lar), "=q"(has_lar) : "r"(sel) : "cc");
    __asm__("lsl %w2, %0; setz %1" : "+r"(lsl), "=q"(has_lsl) : "r"(sel) : "cc");
    __asm__("verr %w1; setz %0" : "=q"(verr) : "r"(sel) : "cc");
    __asm__("verw %w1; setz %0" : "=q"(verw) : "r"(sel) : "cc");
    printf("%04x: lar %d %x lsl %d %x verr %d verw %d\n", sel, has_lar, has_lar ? lar : 0,
           has_lsl, has_lsl ? lsl : 0, verr, verw);
}

static const struct { const char *name; u32 limit; unsigned flags; } kinds[] = {
    { "data", 0xfff, LDT_32 }, { "data in pages", 0xf, LDT_32 | LDT_PAGES },
    { "16-bit data", 0xfff, 0 }, { "read-only", 0xfff, LDT_32 | LDT_RO },
    { "down", 0xfff, LDT_32 | LDT_DOWN }, { "16-bit down", 0xfff, LDT_DOWN },
    { "down, read-only", 0xfff, LDT_32 | LDT_DOWN | LDT_RO },
    { "code", 0xfff, LDT_32 | LDT_CODE }, { "execute-only", 0xfff, LDT_32 | LDT_CODE | LDT_RO },
    { "16-bit code", 0xffff, LDT_CODE }, { "absent", 0xfff, LDT_32 | LDT_ABSENT },
    { "absent code", 0xfff, LDT_32 | LDT_CODE | LDT_ABSENT },
    { "conforming, absent", 0xfff, LDT_32 | LDT_CONFORMING | LDT_ABSENT },
    { "conforming", 0xfff, LDT_32 | LDT_CONFORMING },
    { "useable", 0xfffff, LDT_32 | LDT_PAGES | LDT_USEABLE },
};
#define NR_KINDS (sizeof(kinds) / sizeof(*kinds))

static void descriptors(void)
{
    for (unsigned i = 0; i < NR_KINDS; i++) {
        printf("%s: %d\n", kinds[i].name, set_ldt(i, (u32)(u64)low, kinds[i].limit,
                                                  kinds[i].flags));
        look(LDT_SEL(i));
        look(LDT_SEL(i) & ~3);
        try("DS", load_ds, LDT_SEL(i));
        try("GS", load_gs, LDT_SEL(i));
        try("SS", load_ss, LDT_SEL(i));
        load_ss(DS_USER);
        load_ds(0);
        load_gs(0);
    }
    clear_ldt(0);
    look(LDT_SEL(0));
    try("cleared", load_ds, LDT_SEL(0));
    look(LDT_SEL(100));
    try("beyond", load_ds, LDT_SEL(100));
}

/* Entries 6, 7, 12 to 14 are the same in all kernels for x86-64, per-CPU ones are not. */
static void global(void)
{
    static const u16 sels[] = { 0, 1, 3, CS32, DS_USER, CS64, 0x20, 0x28, 0x30, 0x63, 0xf8, 0x7c };

    for (unsigned i = 0; i < sizeof(sels) / sizeof(*sels); i++) {
        look(sels[i]);
        try("DS", load_ds, sels[i]);
        try("SS", load_ss, sels[i]);
        load_ss(DS_USER);
        load_ds(0);
    }
    try("kernel's", load_ds, 0x18);
    try("TSS", load_ds, 0x43);
}

/* A TLS entry of the GDT by the 32-bit call, and what becomes of GS when it changes. */
static void thread_areas(void)
{
    struct user_desc *d = (void *)(low + 4096);
    u32 value = 0, base = (u32)(u64)low + 8192;
    int n = -1, ret;

    memset(d, 0, sizeof(*d));
    d->entry_number = -1;
    d->base_addr = base;
    d->limit = 0xfffff;
    d->seg_32bit = d->limit_in_pages = d->useable = 1;
    *(u32 *)(low + 8192) = 0x1234;
    __asm__ volatile("int $0x80" : "=a"(ret) : "a"(243), "b"(d)
                     : "memory", "r8", "r9", "r10", "r11");
    if (ret) {
        skipped("no 32-bit system calls");
        return;
    }
    n = d->entry_number;
    printf("entry %d\n", n);
    look(n << 3 | 3);
    __asm__ volatile("mov %1, %%gs; mov %%gs:0, %0" : "=r"(value) : "r"(n << 3 | 3));
    printf("by GS %x\n", value);
    load_gs(0);
}

/* Code elsewhere ----------------------------------------------------------- */

CODE32(read_limit, "mov $7, %eax; mov %eax, %es; mov %es:0xffc, %eax; mov %es:0xffd, %ax; int3");
CODE32(read_last, "mov $7, %eax; mov %eax, %es; mov %es:0xffd, %eax; int3");
CODE32(write_it, "mov $7, %eax; mov %eax, %es; movl $1, %es:0x800; int3");
CODE32(read_down, "mov $7, %eax; mov %eax, %es; mov %es:0x1000, %eax; mov %es:0xfff, %al; int3");
CODE32(read_high, "mov $7, %eax; mov %eax, %es; mov %es:0xffff, %al; mov %es:0x10000, %al; int3");
CODE32(null_ds, "xor %eax, %eax; mov %eax, %ds; mov 0, %al; int3");
CODE32(write_cs, "movl $1, %cs:0x100(%ebx); int3");
CODE32(stack_limit, "mov $7, %eax; mov %eax, %ss; mov $0x1000, %esp; push %eax; pop %eax;"
                    "add $2, %esp; pop %eax; int3");
CODE32(into, "mov $0x7fffffff, %eax; inc %eax; into; int3");
CODE32(bound_in, "push $9; push $1; mov $9, %eax; bound %eax, (%esp); int3");
CODE32(bound_out, "push $9; push $1; mov $10, %eax; bound %eax, (%esp); int3");
CODE32(bcd, "mov $0x1f, %eax; aaa; mov %eax, %ecx; mov $0x9b, %eax; daa; mov %eax, %edx;"
            "mov $0x0523, %eax; aad; mov %eax, %esi; mov $123, %eax; aam; int3");
CODE32(seg_regs, "mov $0x2b, %eax; mov %eax, %ds; push %ds; pop %es; mov %es, %ecx; push %cs;"
                 "pop %edx; push %ss; pop %esi; xor %eax, %eax; mov %eax, %ds; int3");
CODE32(int80, "mov $20, %eax; int $0x80; test %eax, %eax; mov $1, %eax; jg 1f; mov $0, %eax;"
              "1: int3");
CODE32(arpl, "mov $0x10, %eax; mov $3, %ecx; arpl %cx, %ax; int3");
CODE32(ldt_far, "ljmp $0xf, $1f - ldt_far; 1: mov %cs, %eax; int3");
CODE32(bad_far, "ljmp $0x17, $0");
CODE32(beyond, "ljmp $0xf, $0x2000");
CODE32(pusha, "mov $1, %eax; mov $2, %ecx; mov $3, %edx; pusha; pushaw; popaw; mov $9, %eax;"
              "popa; int3");
CODE32(enter, "mov %esp, %ebp; mov %esp, %esi; enter $16, $3; sub %esp, %esi; mov %ebp, %edi;"
              "sub %esp, %edi; leave; mov $0, %ebp; int3");
CODE32(les, "push $0x2b; push $0x77; les (%esp), %eax; mov %es, %ecx; pop %edx; pop %edx; int3");

static void print_regs(const char *name)
{
    Trap *t = &traps[0];
    greg_t *r = t->regs;

    print_traps(name, (u64)low);
    if (t->sig == SIGTRAP) {
        printf("  ax %llx cx %llx dx %llx si %llx di %llx bp %llx cs %x\n", r[REG_RAX],
               r[REG_RCX], r[REG_RDX], r[REG_RSI], r[REG_RDI], r[REG_RBP], t->cs);
    }
}

#define RUN32(name) do { \
        run_at(name, CODE_SIZE(name), CS32, DS_USER, (u64)low, (u64)low + LOW_SIZE - 16, 0); \
        if (nr_traps) { \
            print_regs(#name); \
        } \
    } while (0)

static void code32(void)
{
    memset(low, 0, LOW_SIZE);
    RUN32(null_ds); RUN32(write_cs); RUN32(into); RUN32(bound_in); RUN32(bound_out); RUN32(bcd);
    RUN32(seg_regs); RUN32(int80); RUN32(arpl); RUN32(pusha); RUN32(enter); RUN32(les);
    for (unsigned i = 0; i < NR_KINDS; i++) {
        printf("ES is %s\n", kinds[i].name);
        set_ldt(0, (u32)(u64)low, kinds[i].limit, kinds[i].flags);
        RUN32(read_limit); RUN32(read_last); RUN32(write_it); RUN32(read_down); RUN32(read_high);
        RUN32(stack_limit);
    }
    set_ldt(1, (u32)(u64)low, 0xfff, LDT_32 | LDT_CODE);
    set_ldt(2, (u32)(u64)low, 0xfff, LDT_32 | LDT_CODE | LDT_ABSENT);
    RUN32(ldt_far); RUN32(bad_far); RUN32(beyond);
}

/* 16 bits ------------------------------------------------------------------ */

CODE16(wrap_sp, "mov $2, %sp; push %ax; push %ax; mov %sp, %cx; pushl $0x12345678; pop %dx;"
                "pop %ax; int3");
CODE16(addr16, "push %ds; push %ss; pop %ds; mov $0xfff0, %bx; mov $0x20, %si; mov (%bx,%si), %ax;"
               "lea 0x1234(%bx,%si), %cx; pop %dx; mov $0, %dx; int3");
CODE16(past_end, "mov $0xffff, %bx; mov %ss:(%bx), %ax; int3");
CODE16(dwords, "mov $0x12345678, %eax; bswap %eax; movzx %al, %ecx; imul $3, %ecx, %edx; int3");
CODE16(int80_16, "mov $20, %eax; int $0x80; mov $1, %eax; int3");
CODE16(loop16, "mov $0x10003, %ecx; xor %eax, %eax; 1: inc %ax; loop 1b; int3");
CODE16(string16, "push %ss; pop %es; mov $0x100fff0, %edi; mov $0x10004, %ecx; mov $0x41, %al;"
                 "rep stosb; int3");

/* SS is 16 bits: of ESP the lower half counts, and what IRET leaves of the upper is seen. */
#define RUN16(name) do { \
        run_at(name, CODE_SIZE(name), LDT_SEL(3), LDT_SEL(4), 0, 0xfff0, 0); \
        print_regs(#name); \
        if (nr_traps) { \
            printf("  sp %x ss %x\n", (u16)traps[0].regs[REG_RSP], traps[0].ss); \
        } \
    } while (0)

static void code16(void)
{
    set_ldt(3, (u32)(u64)low, 0xffff, LDT_CODE);
    set_ldt(4, (u32)(u64)low, 0xffff, LDT_DATA);
    RUN16(wrap_sp); RUN16(addr16); RUN16(past_end); RUN16(dwords); RUN16(int80_16);
    RUN16(loop16); RUN16(string16);
    set_ldt(4, (u32)(u64)low, 0xffff, LDT_DATA | LDT_32);
    RUN16(wrap_sp);
}

void segments_tests(void)
{
    test("descriptors of the LDT");
    if (!set_ldt(0, 0, 0xfff, LDT_32)) {
        skipped("no modify_ldt");
        return;
    }
    descriptors();
    test("descriptors of the GDT");
    global();
    test("descriptors of the GDT for threads");
    thread_areas();
    test("32-bit code");
    code32();
    test("16-bit code");
    code16();
}
