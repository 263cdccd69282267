/*
 * Far transfers and deliveries that end in the middle: nothing has changed then.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "guest.h"

typedef struct __attribute__((packed)) TablePointer { u16 limit; u64 base; } TablePointer;
#define NON_CANONICAL 0x800000000000ull
#define V_TRY 0x55

/* A gate of any kind. */
static void put_gate(unsigned vector, u64 addr, u16 sel, u8 type)
{
    TablePointer p;
    u64 *e;

    __asm__ volatile("sidt %0" : "=m"(p));
    e = (u64 *)p.base + vector * 2;
    e[0] = (addr & 0xffff) | (u64)sel << 16 | (u64)type << 40 | (addr >> 16 & 0xffff) << 48;
    e[1] = addr >> 32;
}

static u64 stub(unsigned vector)
{
    extern u8 trap_stubs[][16];

    return (u64)trap_stubs[vector];
}

/* RSP at the instruction that is tried. */
static volatile u64 start_sp;
#define NOTE_SP "mov %%rsp, %0; "

static void int_n(u64 a)
{
    __asm__ volatile(NOTE_SP "int $0x55" : "=m"(start_sp) :: "memory");
}

static void far_call(u64 a)
{
    __asm__ volatile(NOTE_SP "lcall *(%1)" : "=m"(start_sp) : "r"(a) : "memory");
}

static void far_ret(u64 a)
{
    __asm__ volatile("push %1; lea 1f(%%rip), %%rcx; push %%rcx; " NOTE_SP "lretq; 1:"
                     : "=m"(start_sp) : "a"(a) : "rcx", "memory");
}

static void ud2_without_stack(u64 a)
{
    __asm__ volatile("mov (%%rsp), %%rcx; mov %0, %%rsp; ud2" :: "r"(a) : "rcx", "memory");
}

/* RETF imm16 --------------------------------------------------------------- */

SNIPPET(user_back, "int $0x80");
static u64 user_rip, user_rsp;

static void ret_outwards(u64 a)
{
    __asm__ volatile("push %0; push %1; push $1; push $2; push %2; push %3; lretq $16"
                     :: "i"(UDATA), "r"(user_rsp), "i"(UCODE), "r"(user_rip) : "memory");
}

/* The parameters are dropped from both stacks. */
static void ret_imm(void)
{
    check_eq(user_run(user_back, 0), V_BACK);
    user_rip = last.rip - 2;
    user_rsp = last.rsp - 64;
    check_eq(guarded(ret_outwards, 0), V_BACK);
    check_eq(last.cs, UCODE);
    check_eq(last.rsp, user_rsp + 16);
}

/* Null selectors on the way out -------------------------------------------- */

SNIPPET(user_nulls, "mov $3, %eax; mov %eax, %ds; mov %eax, %gs; mov $2, %eax; mov %eax, %es;"
                    "mov $1, %eax; mov %eax, %fs; int $0x55;"
                    "mov %ds, %eax; mov %es, %ecx; mov %fs, %edx; mov %gs, %ebx; int $0x80");
SNIPPET(user_ds, "mov %ds, %eax; int $0x80");
#define FS_BASE 0xc0000100u

static void put_gate(unsigned vector, u64 addr, u16 sel, u8 type);
static u64 stub(unsigned vector);

static void set_base(Frame *f) { wrmsr(FS_BASE, 0x12345678000); }

/* IRET and RETF to an outer ring forget their RPL, but no base. */
static void null_selectors(void)
{
    put_gate(V_TRY, stub(V_TRY), KCODE, 0xee);
    handlers[V_TRY] = set_base;
    check_eq(user_run(user_nulls, 0), V_BACK);
    check_eq(last.rax, 0);
    check_eq(last.rcx, 0);
    check_eq(last.rdx, 0);
    check_eq(last.rbx, 0);
    check_eq(rdmsr(FS_BASE), 0x12345678000);
    handlers[V_TRY] = NULL;
    reset_gate(V_TRY);
    wrmsr(FS_BASE, 0);
    check_eq(user_run(user_ds, 0), V_BACK);
    user_rip = last.rip - 4;
    user_rsp = last.rsp - 64;
    __asm__ volatile("mov %0, %%ds; mov %0, %%es" :: "r"(3));
    check_eq(guarded(ret_outwards, 0), V_BACK);
    check_eq(last.rax, 0);
    __asm__ volatile("mov %0, %%ds; mov %0, %%es" :: "r"(KDATA));
}

/* Targets that are no addresses -------------------------------------------- */

static void bad_targets(void)
{
    struct __attribute__((packed)) { u32 off; u16 sel; } p = { 0, SPARE };

    gdt[SPARE >> 3] = (u64)KCODE << 16 | 0xecull << 40;     /* a call gate */
    gdt[(SPARE >> 3) + 1] = NON_CANONICAL >> 32;
    check_eq(guarded(far_call, (u64)&p), 13);
    check_eq(last.error, 0);
    check_eq(last.rsp, start_sp);
    check(last.rip < NON_CANONICAL);
    put_gate(V_TRY, NON_CANONICAL, KCODE, 0x8e);
    check_eq(guarded(int_n, 0), 13);
    check_eq(last.error, 0);
    check_eq(last.rsp, start_sp);
    check(last.rip < NON_CANONICAL);
    reset_gate(V_TRY);
}

static void near_jump(u64 a)
{
    __asm__ volatile(NOTE_SP ".byte 0xff, 0xe0" : "=m"(start_sp) : "a"(a) : "memory");
}

static void near_call(u64 a)
{
    __asm__ volatile(NOTE_SP ".byte 0xff, 0xd0" : "=m"(start_sp) : "a"(a) : "memory");
}

static void near_ret(u64 a)
{
    __asm__ volatile("push %1; " NOTE_SP ".byte 0xc2, 0x10, 0" : "=m"(start_sp) : "a"(a)
                     : "memory");
}

/* The branch itself faults, not what it should lead to. */
static void bad_near_targets(void)
{
    static void (*const fns[])(u64) = { near_jump, near_call, near_ret };
    static const u16 codes[] = { 0xe0ff, 0xd0ff, 0x10c2 };

    for (unsigned i = 0; i < 3; i++) {
        check_eq(guarded(fns[i], NON_CANONICAL), 13);
        check_eq(last.error, 0);
        check(last.rip < NON_CANONICAL && *(u16 *)last.rip == codes[i]);
        check_eq(last.rsp, start_sp);
    }
}

static void load_tr(u64 sel) { __asm__ volatile("ltr %w0" :: "r"(sel)); }
static void load_ldt(u64 sel) { __asm__ volatile("lldt %w0" :: "r"(sel)); }

/* The 16-byte descriptor of a TSS or an LDT may only name addresses. */
static void bad_bases(void)
{
    if (option("soft-host")) {
        return;                         /* QEMU's processor takes it, and has no TSS then */
    }
    gdt[SPARE >> 3] = 0x0000890000000067;
    gdt[(SPARE >> 3) + 1] = NON_CANONICAL >> 32;
    check_eq(guarded(load_tr, SPARE), 13);
    check_eq(last.error, SPARE);
    check_eq(gdt[SPARE >> 3], 0x0000890000000067);          /* not busy */
    gdt[SPARE >> 3] = 0x0000820000000067;
    check_eq(guarded(load_ldt, SPARE), 13);
    check_eq(last.error, SPARE);
    gdt[(SPARE >> 3) + 1] = 0xffff8000;
    check_eq(guarded(load_ldt, SPARE), -1);
    check_eq(guarded(load_ldt, 0), -1);
}

/* The push of a delivery to what is no address is #SS whatever was accessed before. */
static void no_stack(void)
{
    set_gate(12, stub(12), 0x8e, 1);
    set_gate(13, stub(13), 0x8e, 1);
    check_eq(guarded(ud2_without_stack, NON_CANONICAL + 4096), 12);
    check_eq(last.rsp, NON_CANONICAL + 4096);
    reset_gate(12);
    reset_gate(13);
}

/* A descriptor whose accessed bit cannot be set ---------------------------- */

SNIPPET(user_try, "int $0x55");
void lret_target(void);
void iret_target(void);
__asm__(".pushsection .text\nlret_target: lretq\niret_target: iretq\n.popsection");

static void read_only_gdt(void)
{
    struct __attribute__((packed)) { u32 off; u16 sel; } p = { (u32)(u64)lret_target, SPARE };
    u64 va = map_page(3, PTE_P), sp;
    TablePointer mine, old;

    gdt[SPARE >> 3] = 0x00af9a000000ffff;                   /* 64-bit code */
    for (unsigned i = 0; i < sizeof(gdt) / sizeof(*gdt); i++) {
        ((u64 *)page(3))[i] = gdt[i];
    }
    __asm__ volatile("sgdt %0" : "=m"(old));
    mine.base = va;
    mine.limit = old.limit;
    __asm__ volatile("lgdt %0" :: "m"(mine));
    put_gate(V_TRY, (u64)iret_target, SPARE, 0xee);
    sp = va + SPARE + 5;
    check_eq(guarded(far_call, (u64)&p), 14);
    check_eq(last_cr2, sp);
    check_eq(last.error, 3);
    check_eq(last.rsp, start_sp);
    check_eq(guarded(far_ret, SPARE), 14);
    check_eq(last_cr2, sp);
    check_eq(last.rsp, start_sp);
    check_eq(guarded(int_n, 0), 14);
    check_eq(last.rsp, start_sp);
    check_eq(user_run(user_try, 0), 14);
    check_eq(last_cr2, sp);
    check_eq(last.cs, UCODE);
    check_eq(last.ss, UDATA);
    check_eq(*(u16 *)last.rip, 0x55cd);
    __asm__ volatile("lgdt %0" :: "m"(old));
    far_ret(KCODE);                                         /* should the other have worked */
    reset_gate(V_TRY);
    test_pt[3] = 0;
    invlpg(va);
}

/* A handler in ring 3 ------------------------------------------------------ */

SNIPPET(user_steals, "movabs $0x10000000800, %rsp; int $0x55");

/* What a delivery within ring 3 pushes is written with the rights of ring 3. */
static void user_handler(void)
{
    map_page(0, PTE_P | PTE_W);
    ((volatile u64 *)page(0))[255] = 0x4711;
    *(volatile u16 *)page(5) = 0x80cd;
    put_gate(V_TRY, USER_ALIAS + (u64)page(5), UCODE, 0xee);
    check_eq(user_run(user_steals, 0), 14);
    check_eq(last.error, 7);
    check_eq(last.cs, UCODE);
    check_eq(((volatile u64 *)page(0))[255], 0x4711);
    check_eq(user_run(user_try, 0), V_BACK);
    check_eq(last.rip, USER_ALIAS + (u64)page(5) + 2);
    reset_gate(V_TRY);
    test_pt[0] = 0;
    invlpg(TEST_VA);
}

const Test far_tests[] = {
    { "far RET to an outer ring drops parameters", ret_imm },
    { "null selectors on the way to an outer ring", null_selectors },
    { "far targets that are no addresses", bad_targets },
    { "near targets that are no addresses", bad_near_targets },
    { "system segments at what is no address", bad_bases },
    { "deliveries without a stack", no_stack },
    { "a GDT that cannot be written", read_only_gdt },
    { "a handler in ring 3", user_handler },
    { NULL, NULL }
};
