/*
 * A kernel that is no Linux: asks of each boot protocol what Nanos, Unikraft, FreeBSD and NetBSD
 * rely on, drives a virtio device at the place that it is told of, and ends by the means that
 * there are. It prints what is wrong, then "done". REQUESTS: how many the device gets.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "bare.h"

enum { LINUX64 = 1, PVH = 2, MULTIBOOT = 3 };
enum { CODE = 8, V_DEVICE = 0x40, KERNEL = 0x200000 };

typedef struct Machine {
    const char *cmdline;
    u64 cmdline_size;           /* 0: not told */
    u64 initrd, initrd_size;
    u64 ram_start, ram_end;     /* of the range that the kernel is in */
    u64 rsdp;                   /* 0: not told */
} Machine;

/* What a device is found by. */
typedef struct Place {
    u64 base;
    u32 gsi;
} Place;

extern u32 cr0_before;
extern u8 _end[];
void load_segments(void);
void irq_entry(void);
void on_irq(void);
void guest_main(u64 protocol, u64 info, u64 rsp, u64 flags);

/* Memory ------------------------------------------------------------------- */

static u64 ld(u64 addr, unsigned size)
{
    u64 value = 0;

    while (size--) {
        value = value << 8 | ((volatile u8 *)addr)[size];
    }
    return value;
}

static u32 reg_read(u64 addr)
{
    return *(volatile u32 *)addr;
}

static void reg_write(u64 addr, u32 value)
{
    *(volatile u32 *)addr = value;
}

static bool same(u64 addr, const char *text)
{
    for (; *text; text++, addr++) {
        if (*(volatile char *)addr != *text) {
            return false;
        }
    }
    return true;
}

static u64 length(const char *s)
{
    u64 n = 0;

    while (s[n]) {
        n++;
    }
    return n;
}

/* Ranges are in order, whole, apart from each other; ours is RAM that starts above 0. */
static void take_range(Machine *m, u64 *last_end, u64 start, u64 size, u32 type)
{
    check(size && start >= *last_end && start + size > start);
    check(!(start & 0xfff) && !(size & 0xfff));
    *last_end = start + size;
    if (type == 1 && start <= KERNEL && start + size >= (u64)_end) {
        m->ram_start = start;
        m->ram_end = start + size;
    }
    check(type != 1 || start + size <= 0x9fc00 || start >= 0x100000);
}

/* Linux' boot protocol, "64-bit BOOT PROTOCOL" and zero-page.rst ------------ */

static void from_boot_params(Machine *m, u64 p, u64 rsp)
{
    u64 end = 0, n = ld(p + 0x1e8, 1);

    check(ld(p + 0x1fe, 2) == 0xaa55 && same(p + 0x202, "HdrS"));
    /* Nanos writes a list from 0x7dfe downwards, up to the first that is not 0. */
    for (u64 at = p + 0x2d0 + n * 20; at < p + 0x1000; at++) {
        if (ld(at, 1)) {
            check(at < 0x7000);
            break;
        }
    }
    /* Some KiB of stack that is nobody else's. */
    check(rsp - 3072 >= p + 0x1000 || rsp <= p);
    m->cmdline = (const char *)(ld(p + 0x228, 4) | ld(p + 0xc8, 4) << 32);
    m->cmdline_size = ld(p + 0x238, 4);
    m->initrd = ld(p + 0x218, 4) | ld(p + 0xc0, 4) << 32;
    m->initrd_size = ld(p + 0x21c, 4) | ld(p + 0xc4, 4) << 32;
    m->rsdp = ld(p + 0x70, 8);
    for (u64 i = 0, row = p + 0x2d0; i < n; i++, row += 20) {
        take_range(m, &end, ld(row, 8), ld(row + 8, 8), ld(row + 16, 4));
    }
}

/* Xen, public/arch-x86/hvm/start_info.h ------------------------------------ */

static void from_start_info(Machine *m, u64 p)
{
    u64 end = 0, memmap = ld(p + 0x28, 8), modules = ld(p + 0x10, 8);

    check(ld(p, 4) == 0x336ec578 && ld(p + 4, 4) == 1 && ld(p + 8, 4) == 0);
    /* Nanos maps only these 2 MiB; FreeBSD takes memory from behind the last of the structures. */
    check(memmap >> 21 == p >> 21 && modules >> 21 == p >> 21);
    check(memmap < KERNEL && p < KERNEL);
    m->cmdline = (const char *)ld(p + 0x18, 8);
    m->rsdp = ld(p + 0x20, 8);
    check(ld(p + 0xc, 4) == (modules ? 1 : 0));
    if (modules) {
        m->initrd = ld(modules, 8);
        m->initrd_size = ld(modules + 8, 8);
    }
    for (u64 i = 0, row = memmap; i < ld(p + 0x30, 4); i++, row += 24) {
        take_range(m, &end, ld(row, 8), ld(row + 8, 8), ld(row + 16, 4));
    }
}

/* Multiboot 0.6.96, 3.3 ---------------------------------------------------- */

static void from_multiboot(Machine *m, u64 p)
{
    u64 end = 0, map = ld(p + 48, 4), map_end = map + ld(p + 44, 4);
    bool high = false;

    check((ld(p, 4) & 0x24d) == 0x24d);
    m->cmdline = (const char *)ld(p + 16, 4);
    if (ld(p + 20, 4)) {
        u64 module = ld(p + 24, 4);

        m->initrd = ld(module, 4);
        m->initrd_size = ld(module + 4, 4) - m->initrd;
        check(same(ld(module + 8, 4) + length((const char *)ld(module + 8, 4)) - 4, "word"));
    }
    for (u64 row = map; row < map_end; row += ld(row, 4) + 4) {
        take_range(m, &end, ld(row + 4, 8), ld(row + 12, 8), ld(row + 20, 4));
        high |= ld(row + 4, 8) == 0x100000 && ld(row + 20, 4) == 1;
    }
    check(high);                /* Unikraft looks for the range that starts there */
}

/* ACPI 6.5, 5.2.5 and following --------------------------------------------- */

static u64 find_rsdp(void)
{
    for (u64 at = 0xe0000; at < 0x100000; at += 16) {
        if (same(at, "RSD PTR ")) {
            return at;
        }
    }
    return 0;
}

static u64 find_table(u64 rsdp, const char *name)
{
    u64 xsdt = ld(rsdp + 24, 8), fadt;

    for (u64 row = xsdt + 36; row < xsdt + ld(xsdt + 4, 4); row += 8) {
        if (same(ld(row, 8), name)) {
            return ld(row, 8);
        }
    }
    fadt = same((u64)name, "FACP") ? 0 : find_table(rsdp, "FACP");
    return fadt ? ld(fadt + 140, 8) : 0;
}

/* The first virtio device: "LNRO0005" with its resources (6.4.3.4, 6.4.3.6). */
static Place acpi_device(u64 dsdt)
{
    u64 at = dsdt, end = dsdt + ld(dsdt + 4, 4);
    Place place = { 0 };

    while (at < end && !same(at, "LNRO0005")) {
        at++;
    }
    while (at < end && ld(at, 3) != 0x000986) {
        at++;
    }
    place.base = ld(at + 4, 4);
    at += 12;
    check(at < end && ld(at, 3) == 0x000689 && ld(at + 4, 1) == 1);
    check((ld(at + 3, 1) & 6) == 2);        /* edge, active high: as Nanos sets it */
    place.gsi = ld(at + 5, 4);
    return place;
}

/* The I/O APIC with this input, from the MADT (5.2.12.3). */
static u64 acpi_ioapic(u64 madt, u32 gsi, u32 *first)
{
    u64 found = 0;

    for (u64 at = madt + 44; at < madt + ld(madt + 4, 4); at += ld(at + 1, 1)) {
        if (ld(at, 1) == 1 && ld(at + 8, 4) <= gsi && gsi < ld(at + 8, 4) + 24) {
            found = ld(at + 4, 4);
            *first = ld(at + 8, 4);
        }
    }
    return found;
}

/* S5 by the FADT's sleep control register (4.8.3.7), or a triple fault. */
static void power_off(u64 fadt)
{
    struct __attribute__((packed)) {
        u16 limit;
        u64 base;
    } none = { 0, 0 };

    if (fadt) {
        *(volatile u8 *)ld(fadt + 248, 8) = 5 << 2 | 0x20;
    }
    __asm__ volatile("lidt %0; int3" : : "m"(none));
}

/* Without ACPI: virtio_mmio.device=SIZE@BASE:IRQ ---------------------------- */

static u64 number(const char **s, unsigned base)
{
    u64 value = 0;

    for (;; (*s)++) {
        char c = **s;
        unsigned digit = c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : 99;

        if (digit >= base) {
            return value;
        }
        value = value * base + digit;
    }
}

static Place named_device(const char *s)
{
    static const char name[] = "virtio_mmio.device=";
    Place place = { 0 };

    while (*s && !same((u64)s, name)) {
        s++;
    }
    if (*s) {
        s += sizeof(name) - 1;
        check(number(&s, 10) == 512 && same((u64)s, "@0x"));
        s += 3;
        place.base = number(&s, 16);
        check(*s++ == ':');
        place.gsi = number(&s, 10);
    }
    return place;
}

/* Interrupts --------------------------------------------------------------- */

static u64 device;
static volatile unsigned irqs;

void on_irq(void)
{
    u32 status = reg_read(device + 0x60);

    check(status == 1);
    reg_write(device + 0x64, status);
    irqs++;
    reg_write(0xfee000b0, 0);
}

/* Masked by nobody but us: xAPIC with a spurious vector, a gate, an edge of the input. */
static void set_interrupt(u64 ioapic, u32 input)
{
    static u64 idt[2 * 256];
    struct __attribute__((packed)) {
        u16 limit;
        u64 base;
    } pointer = { sizeof(idt) - 1, (u64)idt };
    u64 entry = (u64)irq_entry;

    load_segments();
    for (unsigned i = 0; i < 8; i++) {
        outb(0x21, 0xff);
        outb(0xa1, 0xff);
    }
    idt[2 * V_DEVICE] = (entry & 0xffff) | CODE << 16 | 0x8e00ULL << 32 |
                        (entry >> 16 & 0xffff) << 48;
    __asm__ volatile("lidt %0" : : "m"(pointer));
    reg_write(0xfee000f0, 0x1ff);
    reg_write(ioapic, 0x10 + 2 * input + 1);
    reg_write(ioapic + 0x10, reg_read(0xfee00020) & 0xff000000);
    reg_write(ioapic, 0x10 + 2 * input);
    reg_write(ioapic + 0x10, V_DEVICE);
    __asm__ volatile("sti");
}

/* Virtio 1.2, 4.2: requests of an entropy device, one at a time ------------- */

static void use_device(void)
{
    static _Alignas(16) struct {
        u64 addr;
        u32 len;
        u16 flags, next;
    } desc[8];
    static volatile u16 avail[2 + 8 + 1], used[2 + 8 * 4 + 1] __attribute__((aligned(4)));
    static u8 bytes[64];
    u64 queue[] = { (u64)desc, (u64)avail, (u64)used };

    check(reg_read(device) == 0x74726976 && reg_read(device + 4) == 2);
    check(reg_read(device + 8) == 4);
    reg_write(device + 0x70, 0);
    reg_write(device + 0x70, 1 | 2);
    reg_write(device + 0x24, 1);
    reg_write(device + 0x20, 1);            /* VIRTIO_F_VERSION_1 and nothing else */
    reg_write(device + 0x70, 1 | 2 | 8);
    check(reg_read(device + 0x70) == (1 | 2 | 8));
    reg_write(device + 0x30, 0);
    check(reg_read(device + 0x34) >= 8);
    reg_write(device + 0x38, 8);
    for (unsigned i = 0; i < 3; i++) {
        reg_write(device + 0x80 + 0x10 * i, queue[i]);
        reg_write(device + 0x84 + 0x10 * i, 0);
    }
    reg_write(device + 0x44, 1);
    reg_write(device + 0x70, 1 | 2 | 4 | 8);
    desc[0].addr = (u64)bytes;
    desc[0].len = sizeof(bytes);
    desc[0].flags = 2;
    for (unsigned i = 1; i <= REQUESTS; i++) {
        avail[1] = i;
        reg_write(device + 0x50, 0);
        while (irqs < i) {
            __asm__ volatile("pause");
        }
        check(irqs == i && used[1] == i);
    }
}

/* All of it ---------------------------------------------------------------- */

static void read_information(Machine *m, u64 protocol, u64 info, u64 rsp)
{
    switch (protocol) {
    case LINUX64:
        from_boot_params(m, info, rsp);
        break;
    case PVH:
        check(!(cr0_before & 0x80000000) && cr0_before & 1);
        from_start_info(m, info);
        break;
    case MULTIBOOT:
        check(!(cr0_before & 0x80000000) && cr0_before & 1);
        from_multiboot(m, info);
        break;
    default:
        print("wrong: EAX of a Multiboot kernel\n");
    }
}

void guest_main(u64 protocol, u64 info, u64 rsp, u64 flags)
{
    Machine m = { 0 };
    Place place;
    u64 rsdp, ioapic = 0xfec00000, fadt = 0;
    u32 first = 0;

    check(!(flags & 0x200));                /* interrupts are off */
    if (protocol != LINUX64) {              /* else the loader's: they reach all of this */
        map_all();
    }
    read_information(&m, protocol, info, rsp);
    check(m.ram_start && !(m.ram_start & 0xfff) && m.ram_end >= 64 << 20);
    check(m.cmdline && (!m.cmdline_size || m.cmdline_size == length(m.cmdline) + 1));
    check(m.initrd > (u64)_end && m.initrd_size == 17 && same(m.initrd, "an initial volume"));
    map_all();
    rsdp = find_rsdp();
    check(protocol == MULTIBOOT || m.rsdp == rsdp);
    if (rsdp) {
        fadt = find_table(rsdp, "FACP");
        place = acpi_device(find_table(rsdp, "DSDT"));
        ioapic = acpi_ioapic(find_table(rsdp, "APIC"), place.gsi, &first);
        check(!named_device(m.cmdline).base);
    } else {
        place = named_device(m.cmdline);
    }
    check(place.base && ioapic);
    device = place.base;
    set_interrupt(ioapic, place.gsi - first);
    use_device();
    print("done\n");
    power_off(fadt);
}
