/*
 * IOPERM and IOPL: the TSS's bitmap, and what IOPL 3 allows. Port 80h shows codes of the
 * BIOS, if anything.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <sys/io.h>

#include "selftest.h"

static void in8(u64 port) { __asm__ volatile("inb %w0, %%al" :: "d"(port) : "rax"); }
static void in16(u64 port) { __asm__ volatile("inw %w0, %%ax" :: "d"(port) : "rax"); }
static void in32(u64 port) { __asm__ volatile("inl %w0, %%eax" :: "d"(port) : "rax"); }
static void out8(u64 port) { __asm__ volatile("outb %%al, %w0" :: "d"(port), "a"(0)); }
static void cli(u64 a) { __asm__ volatile("cli; sti"); }
static void hlt(u64 a) { __asm__ volatile("hlt"); }
static void popf_if(u64 a)
{
    __asm__ volatile("pushfq; andl $~0x200, (%%rsp); popfq" ::: "cc", "memory");
}

static void ins(u64 port)
{
    u8 b, *p = &b;
    u64 n = 1;

    __asm__ volatile("rep insb" : "+D"(p), "+c"(n) : "d"(port) : "memory");
}

/* Few hosts allow this: so it is said here what is right. */
static void try(const char *name, void (*fn)(u64), u64 port, bool allowed)
{
    clear_traps();
    run_code(fn, port, false);
    print_traps(name, 0);
    if (allowed ? nr_traps != 0 : nr_traps != 1 || traps[0].trapno != 13) {
        printf("WRONG\n");
    }
}

/* with80: port 80h alone is allowed. */
static void all(bool with80)
{
    try("in8 80", in8, 0x80, with80);
    try("in8 7f", in8, 0x7f, false);
    try("in8 81", in8, 0x81, false);
    try("in16 80", in16, 0x80, false);
    try("in16 7f", in16, 0x7f, false);
    try("in32 80", in32, 0x80, false);
    try("in8 ffff", in8, 0xffff, false);
    try("out8 80", out8, 0x80, with80);
    try("ins 80", ins, 0x80, with80);
    try("ins 7f", ins, 0x7f, false);
}

void ports_tests(void)
{
    u64 flags;

    test("ports of nobody");
    all(false);
    try("cli", cli, 0, false);
    test("ports of one's own");
    if (ioperm(0x80, 1, 1)) {
        skipped("not permitted");
        return;
    }
    all(true);
    ioperm(0x81, 1, 1);
    try("in16 80", in16, 0x80, true);
    try("in32 80", in32, 0x80, false);
    ioperm(0x82, 2, 1);
    try("in32 80", in32, 0x80, true);
    ioperm(0x80, 4, 0);
    all(false);
    test("IOPL");
    if (iopl(3)) {
        skipped("not permitted");
        return;
    }
    try("in8 80", in8, 0x80, true);
    try("in32 7e", in32, 0x7e, true);
    try("hlt", hlt, 0, false);
    try("popf", popf_if, 0, true);
    __asm__ volatile("pushfq; pop %0" : "=r"(flags));
    printf("IF %d\n", !!(flags & 0x200));
    iopl(0);
    try("in8 80", in8, 0x80, false);
}
