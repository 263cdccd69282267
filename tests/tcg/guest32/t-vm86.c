/*
 * Virtual-8086 mode: segments, what IOPL forbids, interrupts out of it, IRET into it.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "guest32.h"

#define SEG     0x1000u                 /* code, data and stack: 0x10000-0x1ffff */
#define MEMORY  ((volatile u8 *)0x10000)
#define V_BACK  0x80

#define CODE16(name, text) \
    extern const u8 name[], name##_end[]; \
    __asm__(".pushsection .text\n.code16\n" #name ": " text "\n" #name "_end:\n" \
            ".code32\n.popsection")

static void go(u32 flags)
{
    const u32 frame[9] = { 0, SEG, flags | 2 | FL_VM, 0x8000, SEG, 0x2001, 0x3002, 0x4003, 0x5004 };

    vm86_enter(frame);
}

/* Run the code with these flags; the vector that ended it. */
static int run86(const u8 *code, const u8 *end, u32 flags)
{
    for (unsigned i = 0; code + i < end; i++) {
        MEMORY[i] = code[i];
    }
    return guarded(go, flags);
}
#define RUN(name, flags) run86(name, name##_end, flags)

CODE16(v_back, "int $0x80");
CODE16(v_data, "mov %cs, %ax; mov %ax, %ds; movw $0x1234, 0x200; mov %ss, %bx; mov $0x1040, %cx;"
               "mov %cx, %fs; mov %fs:0, %dx; movl $0x12345678, %esi; int $0x80");
CODE16(v_stack, "push $0x55; pushl $0x12345678; pop %ax; pop %bx; pop %cx; int $0x80");
CODE16(v_far, "lcall $0x1010, $0x20; mov %cs, %cx; int $0x80; .org v_far + 0x120;"
              "mov %cs, %bx; lret");
CODE16(v_jump, "ljmp $0x1010, $0x20; .org v_jump + 0x120; mov %cs, %bx; int $0x80");

static void mode(void)
{
    check_eq(RUN(v_back, FL_IOPL), V_BACK);
    check_eq(last.eip, 2);
    check_eq(last.cs, SEG);
    check_eq(last.eflags, 2 | FL_VM | FL_IOPL);
    check_eq(last.esp, 0x8000);
    check_eq(last.ss, SEG);
    check_eq(last.es, 0x2001);
    check_eq(last.ds, 0x3002);
    check_eq(last.fs, 0x4003);
    check_eq(last.gs, 0x5004);
    check_eq(last.eax, 0x1111);
    check_eq(trap_ds & 0xffff, 0);
    check_eq(trap_gs & 0xffff, 0);
    MEMORY[0x400] = 0x77;
    check_eq(RUN(v_data, FL_IOPL), V_BACK);
    check_eq(*(volatile u16 *)(MEMORY + 0x200), 0x1234);
    check_eq(last.ebx & 0xffff, SEG);
    check_eq(last.edx & 0xff, 0x77);
    check_eq(last.esi, 0x12345678);
    check_eq(RUN(v_stack, FL_IOPL), V_BACK);
    check_eq(last.eax & 0xffff, 0x5678);
    check_eq(last.ecx & 0xffff, 0x55);
    check_eq(RUN(v_far, FL_IOPL), V_BACK);
    check_eq(last.ebx & 0xffff, 0x1010);
    check_eq(last.ecx & 0xffff, SEG);
    check_eq(RUN(v_jump, FL_IOPL), V_BACK);
    check_eq(last.cs, 0x1010);
}

CODE16(v_cli, "cli; sti; int $0x80");
CODE16(v_sti, "sti; int $0x80");
CODE16(v_pushf, "pushf; int $0x80");
CODE16(v_popf, "push $0x3202; popf; int $0x80");
CODE16(v_iret, "pushf; push %cs; push $8; iret; .org v_iret + 8; int $0x80");
CODE16(v_int3, "int3");

static void iopl(void)
{
    static const struct {
        const u8 *code, *end;
    } rows[] = {
        { v_cli, v_cli_end }, { v_sti, v_sti_end }, { v_pushf, v_pushf_end },
        { v_popf, v_popf_end }, { v_iret, v_iret_end }, { v_back, v_back_end },
    };

    for (unsigned i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        check_eq(run86(rows[i].code, rows[i].end, FL_IOPL), V_BACK);
        check_eq(run86(rows[i].code, rows[i].end, 0), 13);
        check_eq(last.error, 0);
        check_eq(last.eflags & (FL_VM | FL_IOPL), FL_VM);
        check_eq(run86(rows[i].code, rows[i].end, 0x2000), 13);
    }
    check_eq(RUN(v_pushf, FL_IOPL), V_BACK);
    check_eq(*(volatile u16 *)(MEMORY + 0x7ffe), 0x3002);
    check_eq(RUN(v_popf, FL_IOPL), V_BACK);
    check_eq(last.eflags, 0x3202 | FL_VM);
    check_eq(RUN(v_int3, 0), 3);                /* IOPL does not matter */
    check_eq(last.eip, 1);
}

/* Flags of 32 bits: VM and IOPL stay, whatever is popped. */
CODE16(v_popfl, "pushl $0x40202; popfl; pushfl; popl %eax; int $0x80");
CODE16(v_iretl, "pushl $0x40202; pushl $0x1000; pushl $0x20; iretl; .org v_iretl + 0x20;"
                "pushfl; popl %eax; int $0x80");

static void wide_flags(void)
{
    check_eq(RUN(v_popfl, FL_IOPL), V_BACK);
    check_eq(last.eax, 0x43202);
    check_eq(last.eflags, 0x43202 | FL_VM);
    check_eq(RUN(v_iretl, FL_IOPL), V_BACK);
    check_eq(last.eax, 0x43202);
    check_eq(last.eflags, 0x43202 | FL_VM);
}

CODE16(v_hlt, "hlt");
CODE16(v_cr, "mov %cr0, %eax");
CODE16(v_lgdt, "lgdt 0");
CODE16(v_sldt, "sldt %ax");
CODE16(v_lar, "lar %ax, %bx");
CODE16(v_arpl, "arpl %ax, %bx");
CODE16(v_andn, ".byte 0xc4, 0xe2, 0x78, 0xf2, 0xc0");    /* no VEX prefixes here */
CODE16(v_edge, "mov 0xffff, %ax");
CODE16(v_edge_ss, "mov $1, %sp; push %ax");

static void faults(void)
{
    check_eq(RUN(v_hlt, FL_IOPL), 13);
    check_eq(RUN(v_cr, FL_IOPL), 13);
    check_eq(RUN(v_lgdt, FL_IOPL), 13);
    check_eq(RUN(v_sldt, FL_IOPL), 6);
    check_eq(RUN(v_lar, FL_IOPL), 6);
    check_eq(RUN(v_arpl, FL_IOPL), 6);
    check_eq(RUN(v_andn, FL_IOPL), 6);
    check_eq(RUN(v_edge, FL_IOPL), 13);
    check_eq(last.error, 0);
    check_eq(RUN(v_edge_ss, FL_IOPL), 12);
    check_eq(last.error, 0);
}

CODE16(v_in, "in $0x61, %al; int $0x80");

static void ports(void)
{
    check_eq(RUN(v_in, FL_IOPL), 13);           /* IOPL does not help */
    tss_a.bitmap[0x61 / 8] &= ~2;
    check_eq(RUN(v_in, 0), 13);                 /* now it is the INT */
    check_eq(last.eip, 2);
    check_eq(RUN(v_in, FL_IOPL), V_BACK);
    tss_a.bitmap[0x61 / 8] = 0xff;
}

static void step(void)
{
    check_eq(RUN(v_far, FL_IOPL | FL_TF), 1);
    check_eq(last.cs, 0x1010);
    check_eq(last.eip, 0x20);
}

/* A handler must be in ring 0. */
static void bad_handler(void)
{
    idt[0x80] = gate(UCODE, 0, 0xee);
    check_eq(RUN(v_back, FL_IOPL), 13);
    check_eq(last.error, UCODE & ~3);
    check_eq(last.eip, 0);
    reset_gate(0x80);
}

const Test vm86_tests[] = {
    { "virtual-8086 mode", mode },
    { "virtual-8086 mode: IOPL", iopl },
    { "virtual-8086 mode: flags of 32 bits", wide_flags },
    { "virtual-8086 mode: faults", faults },
    { "virtual-8086 mode: ports", ports },
    { "virtual-8086 mode: single step", step },
    { "virtual-8086 mode: handlers in ring 3", bad_handler },
    { NULL, NULL }
};
