/*
 * A kernel that starts CPUS processors in x2APIC mode and reaches each of them by an IPI of its
 * own, and the one with the highest id by an input of the I/O APIC as well, as the extended
 * destination of KVM's paravirtual interface has it. It prints what is wrong, then "done".
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "bare.h"

enum {
    CODE = 8, VECTOR = 0x40, TRAMPOLINE = 0x8000, IDS = 1024, IOAPIC = 0xfec00000, COM1_INPUT = 4,
};
enum { MSR_BASE = 0x1b, X2APIC_ID = 0x802, X2APIC_EOI = 0x80b, X2APIC_SVR = 0x80f,
       X2APIC_ICR = 0x830 };

typedef struct __attribute__((packed)) Table {
    u16 limit;
    u64 base;
} Table;

extern u8 ap_start[], ap_cr3[], ap_end[];
void load_segments(void);
void irq_entry(void);
void on_irq(void);
void ap_main(void);
void guest_main(void);

static u64 idt[2 * 256];
static volatile u32 here, hits[IDS];
static volatile bool seen[IDS];

static u64 rdmsr(u32 msr)
{
    u32 low, high;

    __asm__ volatile("rdmsr" : "=a"(low), "=d"(high) : "c"(msr));
    return low | (u64)high << 32;
}

static void wrmsr(u32 msr, u64 value)
{
    __asm__ volatile("wrmsr" : : "c"(msr), "a"((u32)value), "d"((u32)(value >> 32)) : "memory");
}

static void reg_write(u64 addr, u32 value)
{
    *(volatile u32 *)addr = value;
}

void on_irq(void)
{
    hits[rdmsr(X2APIC_ID) % IDS]++;
    wrmsr(X2APIC_EOI, 0);
}

/* What each processor does first, the one that starts the others included. */
static void join(void)
{
    Table table = { sizeof(idt) - 1, (u64)idt };
    u64 id;

    wrmsr(MSR_BASE, rdmsr(MSR_BASE) | 0xc00);
    wrmsr(X2APIC_SVR, 0x1ff);
    __asm__ volatile("lidt %0" : : "m"(table));
    id = rdmsr(X2APIC_ID);
    check(id < IDS && !seen[id % IDS]);
    seen[id % IDS] = true;
    __atomic_fetch_add(&here, 1, __ATOMIC_SEQ_CST);
}

void ap_main(void)
{
    join();
}

static void set_gate(void)
{
    u64 entry = (u64)irq_entry;

    idt[2 * VECTOR] = (entry & 0xffff) | CODE << 16 | 0x8e00ULL << 32 |
                      (entry >> 16 & 0xffff) << 48;
    outb(0x21, 0xff);
    outb(0xa1, 0xff);
}

/* INIT and SIPI to all but this one. */
static void start_all(u32 cr3)
{
    for (u64 i = 0; i < (u64)(ap_end - ap_start); i++) {
        ((volatile u8 *)TRAMPOLINE)[i] = ap_start[i];
    }
    reg_write(TRAMPOLINE + (ap_cr3 - ap_start), cr3);
    wrmsr(X2APIC_ICR, 0xc4500);
    wrmsr(X2APIC_ICR, 0xc4600 | TRAMPOLINE >> 12);
    while (here < CPUS) {
        __asm__ volatile("pause");
    }
}

static void wait_for_hits(u32 id, u32 n)
{
    while (hits[id] < n) {
        __asm__ volatile("pause");
    }
    check(hits[id] == n);
}

/* Edge, fixed, physical: bits 63..56 hold the destination's low bits, 55..49 the next seven. */
static void interrupt_by_ioapic(u32 id)
{
    u32 max, features, unused;

    __asm__ volatile("cpuid" : "=a"(max), "=b"(unused), "=c"(unused), "=d"(unused)
                     : "a"(0x40000000), "c"(0));
    __asm__ volatile("cpuid" : "=a"(features), "=b"(unused), "=c"(unused), "=d"(unused)
                     : "a"(0x40000001), "c"(0));
    check(max >= 0x40000001 && features & 1 << 15);     /* KVM_FEATURE_MSI_EXT_DEST_ID */
    reg_write(IOAPIC, 0x10 + 2 * COM1_INPUT + 1);
    reg_write(IOAPIC + 0x10, id << 24 | (id >> 8 & 0x7f) << 17);
    reg_write(IOAPIC, 0x10 + 2 * COM1_INPUT);
    reg_write(IOAPIC + 0x10, VECTOR);
    outb(0x3fc, 8);              /* OUT2 */
    outb(0x3f9, 2);              /* the transmitter is empty */
    wait_for_hits(id, 2);
    outb(0x3f9, 0);
}

void guest_main(void)
{
    u32 last = 0, cr3 = map_all();

    load_segments();
    set_gate();
    join();
    start_all(cr3);
    for (u32 id = 1; id < IDS; id++) {
        if (seen[id]) {
            wrmsr(X2APIC_ICR, (u64)id << 32 | 0x4000 | VECTOR);
            wait_for_hits(id, 1);
            last = id;
        }
    }
    check(last > 255 && !hits[0]);
    interrupt_by_ioapic(last);
    print("done\n");
    __asm__ volatile("cli; lidt %0; int3" : : "m"((Table){ 0, 0 }));
}
