/*
 * What kernels of ours start from: a serial port, complaints, memory one to one.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef TESTS_SYSTEM_BARE_H
#define TESTS_SYSTEM_BARE_H

#include <stdbool.h>
#include <stdint.h>

typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
typedef uint64_t u64;

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
        while (!(inb(0x3fd) & 0x20)) {
        }
        outb(0x3f8, *s);
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

/* The first 4 GiB, one to one; CR3. */
static u64 map_all(void)
{
    static _Alignas(4096) u64 pml4[512], pdpt[512], pd[4][512];

    for (u64 i = 0; i < 4 * 512; i++) {
        pd[i / 512][i % 512] = i << 21 | 0x83;
    }
    for (unsigned i = 0; i < 4; i++) {
        pdpt[i] = (u64)pd[i] | 3;
    }
    pml4[0] = (u64)pdpt | 3;
    __asm__ volatile("mov %0, %%cr3" : : "r"(pml4) : "memory");
    return (u64)pml4;
}

#endif
