/*
 * A kernel that starts CPUS processors in x2APIC mode and reaches each of them by an IPI of its
 * own, and the one with the highest id by an input of the I/O APIC as well, as the extended
 * destination of KVM's paravirtual interface has it. It prints what is wrong, then "done".
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <stdbool.h>
#include <stdint.h>

typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
typedef uint64_t u64;

enum { CODE = 8, VECTOR = 0x40, TRAMPOLINE = 0x8000, IDS = 1024, IOAPIC = 0xfec00000, COM1 = 0x3f8,
       COM1_INPUT = 4 };
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

static _Alignas(4096) u64 pml4[512], pdpt[512], pd[4][512];
static u64 idt[2 * 256];
static volatile u32 here, hits[IDS];
static volatile bool seen[IDS];

static void outb(u16 port, u8 value)
{
    __asm__ volatile("outb %0, %1" : : "a"(value), "Nd"(port));
}

static u8 inb(u16 port)
{
    u8 value;

    __asm__ volatile("inb %1, %0" : "=a"(value) : "Nd"(port));
    return value;
}

static void print(const char *s)
{
    for (; *s; s++) {
        while (!(inb(COM1 + 5) & 0x20)) {
        }
        outb(COM1, *s);
    }
}

static void check_at(bool ok, const char *what)
{
    if (!ok) {
        print("wrong: ");
        print(what);
        print("\n");
    }
}
#define check(cond) check_at((cond), #cond)

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

static void map_all(void)
{
    for (u64 i = 0; i < 4 * 512; i++) {
        pd[i / 512][i % 512] = i << 21 | 0x83;
    }
    for (unsigned i = 0; i < 4; i++) {
        pdpt[i] = (u64)pd[i] | 3;
    }
    pml4[0] = (u64)pdpt | 3;
    __asm__ volatile("mov %0, %%cr3" : : "r"(pml4) : "memory");
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
static void start_all(void)
{
    u32 cr3 = (u64)pml4;

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
    outb(COM1 + 4, 8);              /* OUT2 */
    outb(COM1 + 1, 2);              /* the transmitter is empty */
    wait_for_hits(id, 2);
    outb(COM1 + 1, 0);
}

void guest_main(void)
{
    u32 last = 0;

    map_all();
    load_segments();
    set_gate();
    join();
    start_all();
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
