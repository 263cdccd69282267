/*
 * Hardware tasks: who is busy and who called whom, what is saved and loaded, refusals.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "guest32.h"

#define BUSY(sel) (gdt[(sel) >> 3] >> 41 & 1)

static u8 b_stack[1024] __attribute__((aligned(16)));
/* What task B saw. */
volatile u32 b_runs, b_flags, b_cr0, b_regs[8];
volatile u16 b_tr, b_segs[6];
void b_start(void);
void b_jump(void);
void b_return(void);
void b_error(void);

/* Notes all, then jumps back or returns; the next switch to it starts behind that. */
__asm__(".pushsection .text\n"
        "b_note: pushfl; pushal; cld; mov %esp, %esi; mov $b_regs, %edi; mov $8, %ecx; rep movsl\n"
        "popal; popl b_flags; str b_tr; mov %es, b_segs; mov %cs, b_segs + 2\n"
        "mov %ss, b_segs + 4; mov %ds, b_segs + 6; mov %fs, b_segs + 8; mov %gs, b_segs + 10\n"
        "push %eax; mov %cr0, %eax; mov %eax, b_cr0; pop %eax; incl b_runs; ret\n"
        "b_jump: call b_note; ljmp $0x28, $0; jmp b_jump\n"
        "b_return: call b_note; iret; jmp b_return\n"
        "b_error: popl b_err; call b_note; iret\n"
        ".popsection");
volatile u32 b_err;

static void make_b(void (*entry)(void))
{
    reset_tasks();
    b_runs = b_err = 0;
    tss_b.eip = (u32)entry;
    tss_b.eflags = 2;
    for (unsigned i = 0; i < 8; i++) {
        tss_b.regs[i] = 0xb0000000 + i;
    }
    tss_b.regs[4] = (u32)b_stack + sizeof(b_stack);
    for (unsigned i = 0; i < 6; i++) {
        tss_b.seg[i] = KDATA;
    }
    tss_b.seg[1] = KCODE;
    tss_b.seg[5] = 0;
}

static void jump(u32 sel)
{
    struct __attribute__((packed)) { u32 off; u16 sel; } p = { 0x1234, sel };

    __asm__ volatile("ljmp *%0" :: "m"(p) : "memory");
}

static void call(u32 sel)
{
    struct __attribute__((packed)) { u32 off; u16 sel; } p = { 0x1234, sel };

    __asm__ volatile("lcall *%0" :: "m"(p) : "memory");
}

static void interrupt(u32 arg) { __asm__ volatile("int $0x81" ::: "memory"); }
static void undefined(u32 arg) { __asm__ volatile("ud2" ::: "memory"); }
static void protection(u32 arg) { __asm__ volatile("mov %0, %%fs" :: "r"(0x7f8)); }

static void check_back(void)
{
    check_eq(b_runs, 1);
    check_eq(b_tr, TSS_B);
    check_eq(rd_tr(), TSS_A);
    check_eq(BUSY(TSS_A), 1);
    check_eq(BUSY(TSS_B), 0);
    check_eq(rd_cr0() & CR0_TS, CR0_TS);
}

static void jumps(void)
{
    make_b(b_jump);
    check_eq(guarded(jump, TSS_B), -1);
    check_back();
    check_eq(b_cr0 & CR0_TS, CR0_TS);
    check_eq(b_flags & FL_NT, 0);
    for (unsigned i = 0; i < 6; i++) {
        check_eq(b_segs[i], i == 1 ? KCODE : i == 5 ? 0 : KDATA);
    }
    /* PUSHAL stores EDI first; ESP is what CALL and PUSHFL have left. */
    for (unsigned i = 0; i < 8; i++) {
        check_eq(b_regs[7 - i], i == 4 ? (u32)b_stack + sizeof(b_stack) - 8 : 0xb0000000 + i);
    }
    check_eq(tss_a.seg[1], KCODE);
    check_eq(tss_a.seg[5], KDATA);
    check_eq(tss_b.seg[3], KDATA);
    check_eq(guarded(jump, TSS_B), -1);     /* goes on behind its jump */
    check_eq(b_runs, 2);
    check_eq(guarded(jump, GATE_B), -1);
    check_eq(b_runs, 3);
}

static void calls(void)
{
    make_b(b_return);
    check_eq(guarded(call, TSS_B), -1);
    check_back();
    check_eq(tss_b.link, TSS_A);
    check_eq(b_flags & FL_NT, FL_NT);
    check_eq(tss_b.eflags & FL_NT, 0);      /* IRET clears it in what it saves */
    check_eq(guarded(call, GATE_B), -1);
    check_eq(b_runs, 2);
    check_eq(BUSY(TSS_B), 0);
}

static void interrupts(void)
{
    make_b(b_return);
    idt[0x81] = gate(TSS_B, 0, 0x85);
    check_eq(guarded(interrupt, 0), -1);
    check_back();
    check_eq(tss_b.link, TSS_A);
    /* A fault: back to the instruction, which then ends by the ordinary handler. */
    make_b(b_return);
    idt[6] = gate(TSS_B, 0, 0x85);
    tss_b.eip = (u32)b_start;
    check_eq(guarded(undefined, 0), -1);
    check_back();
    check_eq(tss_a.eflags >> 16 & 1, 1);    /* RF */
    make_b(b_error);
    idt[13] = gate(TSS_B, 0, 0x85);
    idt[6] = idt[13];
    tss_b.eip = (u32)b_error;
    check_eq(guarded(protection, 0), -1);
    check_eq(b_err, 0x7f8);
    reset_gate(6);
    reset_gate(13);
    reset_gate(0x81);
}
/* Makes the instruction at which A stopped two NOPs. */
__asm__(".pushsection .text\n"
        "b_start: mov tss_a + 0x20, %eax; movw $0x9090, (%eax); jmp b_return\n.popsection");

static void refusals(void)
{
    make_b(b_jump);
    check_eq(guarded(jump, TSS_A), 13);             /* busy */
    check_eq(last.error, TSS_A);
    check_eq(guarded(jump, TSS_B | 4), 13);         /* there is no LDT */
    gdt[TSS_B >> 3] &= ~(1ull << 47);
    check_eq(guarded(jump, TSS_B), 11);
    check_eq(last.error, TSS_B);
    gdt[TSS_B >> 3] = segment((u32)&tss_b, 0x66, 0x89, 0);
    check_eq(guarded(call, TSS_B), 10);
    check_eq(last.error, TSS_B);
    make_b(b_jump);
    gdt[GATE_B >> 3] = gate(KDATA, 0, 0x85);
    check_eq(guarded(call, GATE_B), 13);
    check_eq(last.error, KDATA);
    gdt[GATE_B >> 3] = gate(TSS_B, 0, 0x05);
    check_eq(guarded(call, GATE_B), 11);
    check_eq(last.error, GATE_B);
    check_eq(rd_tr(), TSS_A);
    check_eq(BUSY(TSS_B), 0);
    check_eq(b_runs, 0);
}

static void iret_nt(u32 link)
{
    tss_a.link = link;
    __asm__ volatile("pushfl; orl $0x4000, (%%esp); popfl; iret" ::: "memory");
}

static void bad_links(void)
{
    make_b(b_jump);
    check_eq(guarded(iret_nt, TSS_B), 10);          /* not busy */
    check_eq(last.error, TSS_B);
    check_eq(guarded(iret_nt, KDATA), 10);
    check_eq(last.error, KDATA);
    check_eq(guarded(iret_nt, 0), 10);
    check_eq(last.error, 0);
}

/* Faults in the new task: at CPL 3, so that its TSS says where the handler's stack is. */
static void bad_state(void)
{
    static const struct {
        u8 seg;
        u16 sel;
        u8 vector;
        u16 error;
    } rows[] = {
        { 1, KDATA | 3, 10, KDATA }, { 1, 3, 10, 0 }, { 1, SPARE | 3, 11, SPARE },
        { 2, KDATA, 10, KDATA }, { 2, 0, 10, 0 }, { 3, KDATA, 10, KDATA },
        { 4, SPARE | 3, 10, SPARE }, { 0, 0x7f8, 10, 0x7f8 },
    };

    for (unsigned i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        make_b(b_jump);
        for (unsigned s = 0; s < 6; s++) {
            tss_b.seg[s] = UDATA;
        }
        tss_b.seg[1] = UCODE;
        gdt[SPARE >> 3] = segment(0, 0xfffff, 0x7b, 0xc);  /* code, absent, not readable */
        gdt[SPARE >> 3] &= ~(2ull << 40);
        tss_b.seg[rows[i].seg] = rows[i].sel;
        check_eq(guarded(jump, TSS_B), rows[i].vector);
        check_eq(last.error, rows[i].error);
        check_eq(rd_tr(), TSS_B);
        check_eq(last.eip, (u32)b_jump);
    }
    make_b(b_jump);
    tss_b.ldt = KDATA;
    tss_b.seg[1] = UCODE;
    tss_b.seg[2] = UDATA;
    check_eq(guarded(jump, TSS_B), 10);
    check_eq(last.error, KDATA);
    reset_tasks();
}

static void trap_bit(void)
{
    make_b(b_jump);
    tss_b.trap = 1;
    wr_dr6(0);
    check_eq(guarded(jump, TSS_B), 1);
    check_eq(last_dr6 & 0x8000, 0x8000);
    check_eq(last.eip, (u32)b_jump);
    check_eq(b_runs, 0);
    reset_tasks();
}

/* A task of the 80286: 44 bytes, 16-bit registers. */
static void tss16(void)
{
    static u16 tss[22];
    static const u8 code[] = { 0xea, 0, 0, TSS_A, 0 };      /* jmp TSS_A:0 */

    reset_tasks();
    for (unsigned i = 0; i < sizeof(code); i++) {
        ((volatile u8 *)0x10000)[i] = code[i];
    }
    gdt[SPARE >> 3] = segment(0x10000, 0xffff, 0x9b, 0);    /* 16-bit code */
    gdt[TSS_B >> 3] = segment((u32)tss, sizeof(tss) - 1, 0x81, 0);
    tss[7] = 0;                                             /* IP, flags, AX */
    tss[8] = 2;
    tss[9] = 0x1234;
    tss[13] = 0x8000;
    for (unsigned i = 17; i < 21; i++) {
        tss[i] = KDATA;
    }
    tss[18] = SPARE;
    check_eq(guarded(jump, TSS_B), -1);
    check_eq(tss[7], sizeof(code));
    check_eq(tss[9], 0x1234);
    check_eq(tss[18], SPARE);
    check_eq(rd_tr(), TSS_A);
    reset_tasks();
}

/* An interrupt that waits comes as soon as the new task's flags let it. */
#define APIC(reg) (*(volatile u32 *)(0xfee00000 + (reg)))
void b_wait(void);
__asm__(".pushsection .text\n"
        "b_wait: mov $1000, %ecx; 1: dec %ecx; jnz 1b; jmp b_jump\n.popsection");

static void pending_interrupt(void)
{
    make_b(b_wait);
    tss_b.eflags = 0x202;
    APIC(0xf0) = 0x1ff;
    APIC(0x300) = 0x40090;                                  /* to itself */
    check_eq(guarded(jump, TSS_B), 0x90);
    check_eq(rd_tr(), TSS_B);
    check_eq(last.eip, (u32)b_wait);
    APIC(0xb0) = 0;
    reset_tasks();
}

/* A stack beyond its segment's limit takes no frame; the task for #SS has another. */
void b_bad_stack(void);
void small_stack(void);                                     /* of the handler itself */
__asm__(".pushsection .text\n"
        "b_bad_stack: popl b_err; incl b_runs; mov $12, %eax; jmp guarded_out\n"
        "small_stack: mov $0x10, %eax; mov %eax, %ss; mov $6, %eax; jmp guarded_out\n"
        ".popsection");

static void without_stack(u32 sp)
{
    __asm__ volatile("mov %0, %%ss; mov %1, %%esp; ud2" :: "r"(SPARE), "r"(sp) : "memory");
}

static void stack_limits(void)
{
    for (unsigned down = 0; down < 2; down++) {
        make_b(b_bad_stack);
        idt[12] = gate(TSS_B, 0, 0x85);
        idt[6] = gate(KCODE, (u32)small_stack, 0x8e);
        gdt[SPARE >> 3] = down ? segment(0, 0x8fff, 0x97, 4) : segment(0, 0x8fff, 0x93, 4);
        check_eq(guarded(without_stack, down ? 0x9008 : 0x9004), 12);
        check_eq(b_runs, 1);
        check_eq(b_err, 1);                                 /* EXT alone */
        check_eq(guarded(without_stack, down ? 0x9010 : 0x9000), 6);
        reset_gate(6);
        reset_gate(12);
        reset_tasks();
    }
}

/* Which descriptors LAR and LSL show: types 0 to 15 of system descriptors. */
static void visible_types(void)
{
    for (unsigned type = 0; type < 16; type++) {
        u32 rights = 1, limit = 1;
        bool lar, lsl;

        gdt[SPARE >> 3] = segment(0, 0x1234, 0x80 | type, 0);
        __asm__ volatile("lar %2, %0" : "+r"(rights), "=@ccz"(lar) : "r"(SPARE));
        __asm__ volatile("lsl %2, %0" : "+r"(limit), "=@ccz"(lsl) : "r"(SPARE));
        check_eq(lar, 0x1a3e >> type & 1);                  /* gates but those of the IDT */
        check_eq(lsl, 0x0a0e >> type & 1);
        check_eq(rights, lar ? (0x80 | type) << 8 : 1);
        check_eq(limit, lsl ? 0x1234 : 1);
    }
}

/* Its flags make it a task of virtual-8086 mode. */
static void vm86_task(void)
{
    make_b(b_jump);
    ((volatile u8 *)0x10000)[0] = 0xcd;
    ((volatile u8 *)0x10000)[1] = 0x80;
    tss_b.eip = 0;
    tss_b.eflags = FL_VM | FL_IOPL | 2;
    for (unsigned i = 0; i < 6; i++) {
        tss_b.seg[i] = 0x1000;
    }
    check_eq(guarded(jump, TSS_B), 0x80);
    check_eq(last.cs, 0x1000);
    check_eq(last.ds, 0x1000);
    check_eq(last.eip, 2);
    check_eq(last.eflags & FL_VM, FL_VM);
    reset_tasks();
}

/* Each task has its page directory: 4 MiB pages, one of them elsewhere. */
static u32 dir_a[1024] __attribute__((aligned(4096)));
static u32 dir_b[1024] __attribute__((aligned(4096)));
#define FAR ((volatile u32 *)0x40000000)
void b_look(void);
volatile u32 b_far;
__asm__(".pushsection .text\n"
        "b_look: mov 0x40000000, %eax; mov %eax, b_far; jmp b_return\n.popsection");

static void read_far(u32 at) { (void)*(volatile u32 *)at; }
static void call_far(u32 at) { ((void (*)(void))at)(); }

/* Faults of 32-bit paging: no fetches of their own whatever EFER.NXE is, reserved bits. */
static void page_faults(void)
{
    u32 efer, high;

    __asm__ volatile("rdmsr; or $0x800, %%eax; wrmsr" : "=a"(efer), "=d"(high) : "c"(0xc0000080));
    check_eq(guarded(call_far, 0x40400000), 14);
    check_eq(last.error, 0);
    for (unsigned bit = 13; bit < 22; bit++) {
        dir_a[0x101] = 0x00800083 | 1 << bit;
        check_eq(guarded(read_far, 0x40400000), 14);
        check_eq(last.error, 9);
    }
    dir_a[0x101] = 0x00801083;                              /* PAT */
    check_eq(guarded(read_far, 0x40400000), -1);
    __asm__ volatile("wrmsr" :: "a"(efer & ~0x800u), "d"(high), "c"(0xc0000080));
}

static void paging(void)
{
    u32 cr4 = rd_cr4();

    for (unsigned i = 0; i < 1024; i++) {
        dir_a[i] = dir_b[i] = i << 22 | 0x83;
    }
    dir_a[0x100] = 0x00800083;
    dir_b[0x100] = 0x00c00083;
    *(volatile u32 *)0x00800000 = 0xaaaa;
    *(volatile u32 *)0x00c00000 = 0xbbbb;
    make_b(b_look);
    tss_a.cr3 = (u32)dir_a;
    tss_b.cr3 = (u32)dir_b;
    wr_cr4(cr4 | 0x10);
    wr_cr3((u32)dir_a);
    wr_cr0(rd_cr0() | 0x80000000);
    check_eq(*FAR, 0xaaaa);
    check_eq(guarded(call, TSS_B), -1);
    check_eq(b_far, 0xbbbb);
    check_eq(*FAR, 0xaaaa);
    check_eq(rd_cr3(), (u32)dir_a);
    dir_a[0x101] = 0;
    page_faults();
    wr_cr0(rd_cr0() & ~0x80000000);
    wr_cr4(cr4);
    reset_tasks();
}

const Test task_tests[] = {
    { "tasks: JMP", jumps },
    { "tasks: CALL and IRET", calls },
    { "tasks: interrupts and faults", interrupts },
    { "tasks: refusals", refusals },
    { "tasks: IRET without a caller", bad_links },
    { "tasks: state that cannot be loaded", bad_state },
    { "tasks: trap bit", trap_bit },
    { "tasks: an interrupt that waits", pending_interrupt },
    { "stacks beyond their limit", stack_limits },
    { "LAR and LSL", visible_types },
    { "tasks of the 80286", tss16 },
    { "tasks in virtual-8086 mode", vm86_task },
    { "tasks: page directories", paging },
    { NULL, NULL }
};
