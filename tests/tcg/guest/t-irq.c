/*
 * Interrupts: the local APIC, its timer, shadows of STI and MOV SS, NMI, HLT.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "guest.h"

static volatile u32 count[256];
static u64 came_at;

static void on_irq(Frame *f)
{
    count[f->vector]++;
    came_at = f->rip;
    apic_wr(APIC_EOI, 0);
}

static void on_nmi(Frame *f)
{
    count[2]++;
}

static void ipi(u32 icr)
{
    apic_wr(APIC_ICR2, 0);
    apic_wr(APIC_ICR, icr);
    while (apic_rd(APIC_ICR) & 0x1000) {
    }
}

#define SELF 0x40000u

static void start(void)
{
    apic_wr(APIC_SVR, 0x100 | V_SPURIOUS);
    for (unsigned v = V_IRQ; v < 256; v++) {
        handlers[v] = on_irq;
        count[v] = 0;
    }
    handlers[2] = on_nmi;
}

static void self_ipi(void)
{
    start();
    ipi(SELF | V_IRQ);
    check_eq(count[V_IRQ], 0);
    check(apic_rd(APIC_IRR + (V_IRQ >> 5) * 0x10) & 1u << (V_IRQ & 31));
    irq_window();
    check_eq(count[V_IRQ], 1);
    check_eq(apic_rd(APIC_IRR + (V_IRQ >> 5) * 0x10), 0);
    check_eq(apic_rd(APIC_ISR + (V_IRQ >> 5) * 0x10), 0);
    /* The higher one first; TPR holds back. */
    ipi(SELF | V_IRQ);
    ipi(SELF | V_TIMER);
    if (option("soft-host")) {
        apic_wr(APIC_TPR, 0x90);            /* QEMU's processor dies of CR8 there */
    } else {
        wr_cr8(9);
    }
    irq_window();
    check_eq(count[V_IRQ], 1);
    check_eq(count[V_TIMER], 1);
    check_eq(apic_rd(APIC_TPR), 0x90);
    check_eq(rd_cr8(), 9);
    apic_wr(APIC_TPR, 0);
    irq_window();
    check_eq(count[V_IRQ], 2);
}

static void shadows(void)
{
    u64 rip;

    start();
    ipi(SELF | V_IRQ);
    __asm__ volatile("lea 1f(%%rip), %0; sti; nop; 1: nop; cli" : "=&r"(rip) :: "memory");
    check_eq(count[V_IRQ], 1);
    check_eq(came_at, rip);
    ipi(SELF | V_IRQ);
    __asm__ volatile("sti; cli" ::: "memory");          /* never open */
    check_eq(count[V_IRQ], 1);
    __asm__ volatile("lea 1f(%%rip), %0; sti; mov %1, %%ss; nop; 1: nop; cli"
                     : "=&r"(rip) : "r"(KDATA) : "memory");
    check_eq(count[V_IRQ], 2);
    ipi(SELF | V_IRQ);
    __asm__ volatile("lea 1f(%%rip), %0; pushfq; orl $0x200, (%%rsp); popfq; 1: nop; cli"
                     : "=&r"(rip) :: "memory");
    check_eq(count[V_IRQ], 3);
    check_eq(came_at, rip);
}

/* Three while one is in service: one waits, the others are lost. */
static void on_first_nmi(Frame *f)
{
    if (count[2]++ == 0) {
        for (unsigned i = 0; i < 3; i++) {
            ipi(SELF | 0x400);
        }
    }
}

static void nmi(void)
{
    volatile u32 *icr = (volatile u32 *)(0xfee00000ul + APIC_ICR);
    u64 end;

    start();
    count[2] = 0;
    ipi(SELF | 0x400);
    check(wait_for(&count[2], 1));
    /* Two as close together as can be: both are taken. */
    __asm__ volatile("movl %1, %0; movl %1, %0" : "+m"(*icr) : "r"(SELF | 0x400));
    check(wait_for(&count[2], 3));
    handlers[2] = on_first_nmi;
    count[2] = 0;
    ipi(SELF | 0x400);
    check(wait_for(&count[2], 2));
    for (end = rdtsc() + 1000000; rdtsc() < end; ) {
    }
    check_eq(count[2], 2);
}

/* Its registers are not there. */
static void disabled(void)
{
    volatile u32 *id = (volatile u32 *)(0xfee00000ul + APIC_ID);

    wrmsr(0x1b, rdmsr(0x1b) & ~0x800ull);
    check_eq(*id, 0xffffffff);
    wrmsr(0x1b, rdmsr(0x1b) | 0x800);
    check_eq(*id, 0);
    if (cpuid(1, 0).c & 1u << 21) {
        wrmsr(0x1b, rdmsr(0x1b) | 0x400);
        check_eq(*id, 0xffffffff);
        wrmsr(0x1b, rdmsr(0x1b) & ~0xc00ull);
        wrmsr(0x1b, rdmsr(0x1b) | 0x800);
    }
    start();
}

static void timer(void)
{
    u32 now;

    start();
    apic_wr(APIC_TIMER_DIV, 0xb);
    apic_wr(APIC_LVT_TIMER, V_TIMER);
    /*
     * Long enough to expire in the HLT: QEMU's SVM loses the shadow of STI when the host's
     * own interrupt comes right after it, and an interrupt that waits already is then taken
     * before the HLT, which nothing ends.
     */
    apic_wr(APIC_TIMER_INIT, 20000000);
    __asm__ volatile("sti; hlt; cli" ::: "memory");
    check_eq(count[V_TIMER], 1);
    check_eq(apic_rd(APIC_TIMER_NOW), 0);
    apic_wr(APIC_LVT_TIMER, 0x20000 | V_TIMER);         /* too late: it does not start again */
    check_eq(apic_rd(APIC_TIMER_NOW), 0);
    apic_wr(APIC_LVT_TIMER, 0x20000 | V_TIMER);         /* periodic */
    apic_wr(APIC_TIMER_INIT, 1000000);
    __asm__ volatile("sti");
    check(wait_for(&count[V_TIMER], 4));
    __asm__ volatile("cli");
    apic_wr(APIC_LVT_TIMER, 0x10000 | V_TIMER);         /* masked */
    apic_wr(APIC_TIMER_INIT, 0xffffffff);
    now = apic_rd(APIC_TIMER_NOW);
    check(now < 0xffffffff || apic_rd(APIC_TIMER_NOW) < now);
    apic_wr(APIC_TIMER_INIT, 0);
    irq_window();
}

static void deadline(void)
{
    if (!(cpuid(1, 0).c & 1u << 24)) {
        return;
    }
    start();
    apic_wr(APIC_LVT_TIMER, 0x40000 | V_TIMER);
    wrmsr(0x6e0, rdtsc() + 50000000);
    check(rdmsr(0x6e0) != 0);
    __asm__ volatile("sti; hlt; cli" ::: "memory");
    check_eq(count[V_TIMER], 1);
    check_eq(rdmsr(0x6e0), 0);
    wrmsr(0x6e0, 1);                                    /* long ago */
    irq_window();
    check_eq(count[V_TIMER], 2);
    wrmsr(0x6e0, rdtsc() + 100000000000ull);
    wrmsr(0x6e0, 0);
    irq_window();
    check_eq(count[V_TIMER], 2);
    apic_wr(APIC_LVT_TIMER, 0x10000 | V_TIMER);
}

/* Opens interrupts until one ends it or a second has passed. */
static void open_window(u64 a)
{
    u64 end = rdtsc() + 1000000000ull;

    __asm__ volatile("sti");
    while (rdtsc() < end) {
        __asm__ volatile("pause");
    }
    __asm__ volatile("cli");
}

/* An interrupt of the 8259 is none of the exceptions that have its vector. */
static void low_vector(void)
{
    static const u8 init[] = { 0x11, 8, 4, 1, 0xfe };

    start();
    apic_wr(APIC_LVT_LINT0, 0x700);
    for (unsigned i = 0; i < sizeof(init); i++) {
        outb(i ? 0x21 : 0x20, init[i]);
    }
    outb(0x43, 0x30);                                   /* IRQ 0 in a moment, once */
    outb(0x40, 0);
    outb(0x40, 2);
    set_gate(8, 0, 0x0e, 0);                            /* not present: #NP */
    check_eq(guarded(open_window, 0), 11);
    check(last.error == 8 * 8 + 2 + 1 || option("soft-host"));
    reset_gate(8);
    outb(0x20, 0x20);
    outb(0x21, 0xff);
    apic_wr(APIC_LVT_LINT0, 0x10000);
}

SNIPPET(user_loop, "sti; 1: jmp 1b");

static void on_irq_back(Frame *f)
{
    apic_wr(APIC_EOI, 0);
    last = *f;
    __asm__ volatile("jmp guarded_out" :: "D"(V_IRQ));
}

static void from_user(void)
{
    start();
    ipi(SELF | V_IRQ);
    handlers[V_IRQ] = on_irq_back;
    check_eq(user_run(user_loop, 0x3000), V_IRQ);
    check_eq(last.cs, UCODE);
    check(last.rflags & 0x200);
}

static void read_msr(u64 msr) { rdmsr(msr); }

static void x2apic(void)
{
    if (!(cpuid(1, 0).c & 1u << 21)) {
        return;
    }
    start();
    wrmsr(0x1b, rdmsr(0x1b) | 0x400);
    wrmsr(0x83f, V_IRQ);
    irq_window();
    check_eq(rdmsr(0x802), cpuid(0xb, 0).d);
    wrmsr(0x80b, 0);                                    /* EOI by MMIO did nothing */
    check_eq(count[V_IRQ], 1);
    check_eq(guarded(read_msr, 0x80b), 13); /* write-only */
    check_eq(guarded(read_msr, 0x80e), 13); /* DFR is no more */
    wrmsr(0x1b, rdmsr(0x1b) & ~0xc00ull);
    wrmsr(0x1b, rdmsr(0x1b) | 0x800);
    start();
}

const Test irq_tests[] = {
    { "IPIs to itself, priorities", self_ipi },
    { "shadows of STI and MOV SS", shadows },
    { "NMI", nmi },
    { "the page of a disabled APIC", disabled },
    { "the APIC's timer and HLT", timer },
    { "TSC deadline", deadline },
    { "an interrupt with a vector of exceptions", low_vector },
    { "an interrupt of user code", from_user },
    { "x2APIC", x2apic },
    { NULL, NULL }
};
