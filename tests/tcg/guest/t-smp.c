/*
 * More processors: INIT and SIPI, IPIs, atomics, shoot-downs, changing code.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "guest.h"

#define AP_PAGE 0x10000ul

extern u8 ap_start[], ap_end[], ap_cr3[], ap_stack[];
static u8 ap_stack_mem[16384] __attribute__((aligned(16)));     /* for four */
static volatile u32 alive, irqs, counter, other;
static void (*volatile job)(void);
void (*volatile ap_first)(void);
void ap_main(void);

void ap_main(void)
{
    struct __attribute__((packed)) { u16 limit; u64 base; } ptr;

    if (ap_first) {
        ap_first();
    }
    __asm__ volatile("sidt %0" : "=m"(ptr));
    __atomic_fetch_add(&alive, 1, __ATOMIC_SEQ_CST);
    for (;;) {
        void (*j)(void) = job;

        if (j) {
            j();
            job = NULL;
        }
        __asm__ volatile("pause");
    }
}

static void send(u32 icr)
{
    apic_wr(APIC_ICR2, 1u << 24);
    apic_wr(APIC_ICR, icr);
    while (apic_rd(APIC_ICR) & 0x1000) {
    }
}

static void delay(u64 cycles)
{
    u64 end = rdtsc() + cycles;

    while (rdtsc() < end) {
        __asm__ volatile("pause");
    }
}

static void put64(u8 *where, u64 v)
{
    *(u64 *)(AP_PAGE + (u64)(where - ap_start)) = v;
}

static void put_trampoline(void)
{
    for (u64 i = 0; i < (u64)(ap_end - ap_start); i++) {
        ((volatile u8 *)AP_PAGE)[i] = ap_start[i];
    }
    put64(ap_cr3, rd_cr3());
    put64(ap_stack, (u64)ap_stack_mem + sizeof(ap_stack_mem));
    apic_wr(APIC_SVR, 0x100 | V_SPURIOUS);
}

void start_others(void)
{
    put_trampoline();
    apic_wr(APIC_ICR, 0xc4500);
    apic_wr(APIC_ICR, 0xc4600 | AP_PAGE >> 12);
}

static void bring_up(void)
{
    put_trampoline();
    send(0xc500);
    send(0x8500);
    delay(10000000);
    check_eq(alive, 0);
    send(0x600 | AP_PAGE >> 12);
    check(wait_for(&alive, 1));
    send(0x600 | AP_PAGE >> 12);            /* the second one does nothing */
    delay(1000000);
    check_eq(alive, 1);
}

/* Start the other processor once more; now how often it has come up. */
static bool restart(u32 times)
{
    put64(ap_stack, (u64)ap_stack_mem + sizeof(ap_stack_mem));
    send(0xc500);
    send(0x8500);
    delay(10000000);
    send(0x600 | AP_PAGE >> 12);
    return wait_for(&alive, times);
}

static void run_there(void (*fn)(void))
{
    job = fn;
}

static bool done(void)
{
    u64 end = rdtsc() + 20000000000ull;

    while (job) {
        if (rdtsc() > end) {
            return false;
        }
        __asm__ volatile("pause");
    }
    return true;
}

/* An emulated processor below KVM takes its time. */
#define ROUNDS (option("soft-host") ? 1000 : 20000)
#define DEKKERS (option("soft-host") ? 100 : 2000)
static u8 line[128] __attribute__((aligned(64)));

static void add_there(void)
{
    for (unsigned i = 0, n = ROUNDS; i < n; i++) {
        __asm__ volatile("lock incl %0" : "+m"(counter));
        __asm__ volatile("lock incl %0" : "+m"(other));
    }
}

static void atomics(void)
{
    check_eq(alive, 1);
    run_there(add_there);
    add_there();
    check(done());
    check_eq(counter, 2 * ROUNDS);
    check_eq(other, 2 * ROUNDS);
}

/* INIT leaves MSRs and vectors alone. */
static volatile u64 star_there, adjust_there, xmm_there;

static void set_state_there(void)
{
    wr_cr4(rd_cr4() | CR4_OSFXSR);
    wrmsr(0xc0000081, 0x1234567800000000);
    if (cpuid(7, 0).b & 2) {
        wrmsr(0x3b, 0x1000000000);
    }
    __asm__ volatile("movq %0, %%xmm0" :: "r"(0x1122334455667788));
}

static void look_at_state_there(void)
{
    u64 v;

    wr_cr4(rd_cr4() | CR4_OSFXSR);
    star_there = rdmsr(0xc0000081);
    if (cpuid(7, 0).b & 2) {
        adjust_there = rdmsr(0x3b);
        wrmsr(0x3b, 0);
    }
    __asm__ volatile("movq %%xmm0, %0" : "=r"(v));
    xmm_there = v;
}

static void init_keeps_state(void)
{
    check_eq(alive, 1);
    run_there(set_state_there);
    check(done());
    check(restart(2));
    run_there(look_at_state_there);
    check(done());
    check_eq(star_there, 0x1234567800000000);
    check_eq(adjust_there, cpuid(7, 0).b & 2 ? 0x1000000000 : 0);
    check_eq(xmm_there, 0x1122334455667788);
    alive = 1;
}

/* INIT leaves an APIC in x2APIC mode, and there its logical id follows from the other. */
static volatile u64 base_there, ldr_there;

static void enter_x2apic_there(void)
{
    wrmsr(0x1b, rdmsr(0x1b) | 0x400);
    ldr_there = rdmsr(0x80d);
}

static void look_at_apic_there(void)
{
    base_there = rdmsr(0x1b);
    ldr_there = base_there & 0x400 ? rdmsr(0x80d) : 0;
    wrmsr(0x1b, base_there & ~0xc00ull);
    wrmsr(0x1b, base_there & ~0x400ull);
}

static void init_in_x2apic(void)
{
    check_eq(alive, 1);
    if (!(cpuid(1, 0).c & 1u << 21)) {
        return;
    }
    run_there(enter_x2apic_there);
    check(done());
    check_eq(ldr_there, 2);
    check(restart(2));
    run_there(look_at_apic_there);
    check(done());
    check_eq(base_there & 0xd00, 0xc00);
    check_eq(ldr_there, 2);
    alive = 1;
}

/* An operand in two cache lines: few, as hosts punish it. */
static void split_there(void)
{
    unsigned n = option("split") ? 2000 : 2;

    for (unsigned i = 0; i < n; i++) {
        __asm__ volatile("lock incl %0" : "+m"(line[62]));
    }
}

static void split_locks(void)
{
    check_eq(alive, 1);
    run_there(split_there);
    split_there();
    check(done());
    check_eq(*(u32 *)(line + 62), option("split") ? 4000 : 4);
}

/*
 * So much code that the cache of decoded code is emptied time and again (run-guest has a
 * small one), while the other processor's instructions wait for it.
 */
static u8 much_code[0x18000] __attribute__((aligned(4096)));
static volatile u32 much_done;

static void split_and_check_there(void)
{
    u32 bad = 0;

    while (!much_done) {
        u64 a = 5;

        __asm__ volatile("lock incl %1; mov $1, %%ecx; lea 2(%%rcx), %0; add %%rcx, %0\n"
                         "lock incl %1; imul $3, %0; sub %%rcx, %0; xor $8, %0"
                         : "+r"(a), "+m"(line[62]) :: "rcx", "cc");
        bad += a != 3;
        counter += 2;
    }
    other = bad;
}

static void cache_flushes(void)
{
    check_eq(alive, 1);
    if (!option("much-code")) {
        return;
    }
    for (unsigned i = 0; i < sizeof(much_code); i += 2) {
        *(u16 *)(much_code + i) = 0xc0ff;           /* inc %eax */
    }
    much_code[sizeof(much_code) - 1] = 0xc3;
    much_code[sizeof(much_code) - 2] = 0x90;
    counter = other = 0;
    *(u32 *)(line + 62) = 0;
    run_there(split_and_check_there);
    for (unsigned i = 0; i < 30; i++) {
        u32 v = 0;

        __asm__ volatile("call *%1" : "+a"(v) : "r"(much_code) : "memory");
        check_eq(v, sizeof(much_code) / 2 - 1);
    }
    much_done = 1;
    check(done());
    check_eq(other, 0);
    check_eq(*(u32 *)(line + 62), counter);
}

/* Dekker's: with a fence between, one of the two stores is seen. */
static volatile u32 flag_a, flag_b, saw_b, turn, ready;
static unsigned both;

static void dekker_there(void)
{
    for (u32 i = 1, n = DEKKERS; i <= n; i++) {
        while (turn != i) {
            __asm__ volatile("pause");
        }
        flag_b = 1;
        __asm__ volatile("mfence" ::: "memory");
        saw_b = flag_a;
        ready = i;
    }
}

static void ordering(void)
{
    u32 saw_a;

    check_eq(alive, 1);
    run_there(dekker_there);
    for (u32 i = 1, n = DEKKERS; i <= n; i++) {
        flag_a = flag_b = 0;
        turn = i;
        flag_a = 1;
        __asm__ volatile("mfence" ::: "memory");
        saw_a = flag_b;
        while (ready != i) {
            __asm__ volatile("pause");
        }
        both += !saw_a && !saw_b;
    }
    check(done());
    check_eq(both, 0);
}

/* The other processor runs code that this one changes. */
static u8 code[64] __attribute__((aligned(64))) = { 0xb8, 1, 0, 0, 0, 0xc3 };
static volatile u32 stop, seen, wrong;

static void call_there(void)
{
    u32 before = 0;

    while (!stop) {
        u32 v = ((u32 (*)(void))code)();

        wrong += v < before;
        before = seen = v;
    }
}

static void cross_modifying(void)
{
    check_eq(alive, 1);
    run_there(call_there);
    for (u32 i = 2, n = option("soft-host") ? 10 : 100; i < n; i++) {
        __atomic_store_n((u32 *)(code + 1), i, __ATOMIC_SEQ_CST);
        check(wait_for(&seen, i));
    }
    stop = 1;
    check(done());
    check_eq(wrong, 0);
}

/*
 * A jump label that flips as fast as it can, under both processors: JMP over MOV and RET, or to
 * them. Only its page changes, and with it what is decoded of it.
 */
static u8 label[4096] __attribute__((aligned(4096))) = {
    0xeb, 0, 0xb8, 1, 0, 0, 0, 0xc3, 0xb8, 2, 0, 0, 0, 0xc3,
};

static void jump_there(void)
{
    while (!stop) {
        u32 v = ((u32 (*)(void))label)();

        wrong += v != 1 && v != 2;
        seen = v;
    }
}

static void flip(unsigned i)
{
    __atomic_store_n(label + 1, i % 2 ? 6 : 0, __ATOMIC_SEQ_CST);
    wrong += ((u32 (*)(void))label)() != 1 + i % 2;
}

static void jump_labels(void)
{
    stop = wrong = 0;
    run_there(jump_there);
    for (unsigned i = 0, n = option("soft-host") ? 100 : 10000; i < n; i++) {
        flip(i);
    }
    flip(1);
    check(wait_for(&seen, 2));
    flip(0);
    check(wait_for(&seen, 1));
    stop = 1;
    check(done());
    check_eq(wrong, 0);
}

/* A loop that nothing ends but a change of its branch, with interrupts off. */
static u8 spin[64] __attribute__((aligned(64))) = {
    0x31, 0xc0,                     /* xor %eax, %eax */
    0x83, 0xc0, 1, 0x85, 0xd2,      /* 1: add $1, %eax; test %edx, %edx */
    0x74, 0xf9, 0xc3,               /* jz 1b; ret */
};
static volatile u32 spins;

static void spin_there(void)
{
    spins = 1;
    __asm__ volatile("call *%0" :: "r"(spin), "d"(0) : "rax", "cc", "memory");
}

static void ended_loop(void)
{
    check_eq(alive, 1);
    run_there(spin_there);
    check(wait_for(&spins, 1));
    delay(10000000);
    *(volatile u8 *)(spin + 7) = 0x75;
    check(done());
}

/* KVM's hypercalls: Linux, Documentation/virt/kvm/x86/hypercalls.rst ------- */

static u64 hypercall(u64 nr, u64 a, u64 b, u64 c, u64 d)
{
    u64 r;

    __asm__ volatile("vmmcall" : "=a"(r) : "a"(nr), "b"(a), "c"(b), "d"(c), "S"(d) : "memory");
    return r;
}

static volatile u32 awake;

/* Interrupts are off: nothing but a kick ends this HLT. */
static void halt_there(void)
{
    __asm__ volatile("cli; hlt");
    awake = 1;
}

static void on_ipi(Frame *f)
{
    irqs++;
    apic_wr(APIC_EOI, 0);
}

static void hypercalls(void)
{
    check_eq(alive, 1);
    if (!kvm_has(3)) {
        return;
    }
    check_eq(hypercall(4711, 0, 0, 0, 0), -1000);
    if (kvm_has(7)) {
        run_there(halt_there);
        delay(2000000);
        check_eq(awake, 0);
        check_eq(hypercall(5, 0, 1, 0, 0), 0);
        check(done());
        check_eq(awake, 1);
    }
    if (kvm_has(11)) {
        handlers[V_IRQ] = on_ipi;
        check_eq(hypercall(10, 1, 0, 0, V_IRQ), 1);     /* to APIC id 0 */
        irq_window();
        check_eq(irqs, 1);
        check_eq(hypercall(10, 1, 0, 77, V_IRQ), 0);
    }
    if (kvm_has(13)) {
        check_eq(hypercall(11, 1, 0, 0, 0), 0);
    }
}

static void set_steal(u64 v) { wrmsr(0x4b564d03, v); }

static volatile u64 steal[8] __attribute__((aligned(64)));

/* Two spinning processors and the host's work: something is stolen sooner or later. */
static void steal_time(void)
{
    if (!kvm_has(5)) {
        return;
    }
    check_eq(guarded(set_steal, 2), 13);
    wrmsr(0x4b564d03, (u64)steal | 1);
    check_eq(rdmsr(0x4b564d03), (u64)steal | 1);
    check(!((u32)steal[1] & 1));
    wrmsr(0x4b564d03, 0);
}

/*
 * With one thread for all, the other processor waits while this one runs. It has a translation
 * cached, and is asked to drop it as KVM's guests do: bit 0 of the byte behind the flags says
 * that it waits, bit 1 asks.
 */
static volatile u64 their_steal[8] __attribute__((aligned(64)));
static volatile u32 first_value, second_value, changed;

static void look_there(void)
{
    volatile u32 *p = (volatile u32 *)TEST_VA;

    wrmsr(0x4b564d03, (u64)their_steal | 1);
    first_value = *p;
    while (!changed) {
        __asm__ volatile("pause");
    }
    second_value = *p;
    wrmsr(0x4b564d03, 0);
}

static void flush_waiting(void)
{
    volatile u8 *preempted = (volatile u8 *)&their_steal[2];
    u64 end = rdtsc() + 5000000000ull;
    u8 waits;

    check_eq(alive, 1);
    if (!option("single") || !kvm_has(9) || !kvm_has(5)) {
        return;
    }
    *(u32 *)page(0) = 0x1111;
    *(u32 *)page(1) = 0x2222;
    map_page(0, PTE_P | PTE_W);
    run_there(look_there);
    check(wait_for(&first_value, 1));
    test_pt[0] = (u64)page(1) | PTE_P | PTE_W;
    do {
        waits = 1;
    } while (!__atomic_compare_exchange_n(preempted, &waits, 3, false, __ATOMIC_SEQ_CST,
                                          __ATOMIC_SEQ_CST) && rdtsc() < end);
    check_eq(waits, 1);
    changed = 1;
    check(done());
    check_eq(first_value, 0x1111);
    check_eq(second_value, 0x2222);
    test_pt[0] = 0;
    invlpg(TEST_VA);
}

const Test smp_tests[] = {
    { "INIT and SIPI", bring_up },
    { "LOCK from two processors", atomics },
    { "INIT keeps MSRs and vectors", init_keeps_state },
    { "INIT in x2APIC mode", init_in_x2apic },
    { "split locks", split_locks },
    { "split locks while decoded code is dropped", cache_flushes },
    { "KVM's hypercalls", hypercalls },
    { "KVM's steal time", steal_time },
    { "KVM's TLB flush of a processor that waits", flush_waiting },
    { "stores and fences", ordering },
    { "code that another processor changes", cross_modifying },
    { "a jump label that flips all the time", jump_labels },
    { "a loop that another processor ends", ended_loop },
    { NULL, NULL }
};
