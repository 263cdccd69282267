/*
 * What the 64-bit guest cannot try of pending debug exceptions and of null selectors:
 * SYSENTER after MOV SS, IRET to an outer ring of 32 bits.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "guest32.h"

u32 watched_ss = KDATA;
extern u8 sysenter_entry[], user_look[];

/* SYSENTER's target, and a ring 3 that tells of its data segments. */
__asm__(".pushsection .text\n"
        "sysenter_entry: ud2\n"
        "user_look: mov %ds, %eax; mov %es, %ecx; mov %fs, %edx; mov %gs, %ebx; int $0x80\n"
        ".popsection");

static void set_sysenter(u32 esp)
{
    __asm__ volatile("wrmsr" :: "c"(0x174), "a"(KCODE), "d"(0));
    __asm__ volatile("wrmsr" :: "c"(0x175), "a"(esp), "d"(0));
    __asm__ volatile("wrmsr" :: "c"(0x176), "a"(sysenter_entry), "d"(0));
}

static void enter(u32 flags)
{
    u32 esp;

    __asm__ volatile("mov %%esp, %0" : "=r"(esp));
    set_sysenter(esp - 1024);
    __asm__ volatile("push %0; popf; mov watched_ss, %%ss; sysenter" :: "r"(flags) : "memory");
}

static void watch(u32 dr7)
{
    __asm__ volatile("mov %0, %%dr0; mov %1, %%dr7" :: "r"(&watched_ss), "r"(dr7 | 0x400));
    wr_dr6(0xffff0ff0);
}

/* SYSENTER does not clear TF. */
static void sysenter(void)
{
    watch(2 | 3 << 16 | 1 << 18);
    check_eq(guarded(enter, 2), 1);
    check_eq(last.eip, (u32)sysenter_entry);
    check_eq(last_dr6 & 0xe00f, 1);
    wr_dr6(0xffff0ff0);
    check_eq(guarded(enter, FL_TF | 2), 1);
    check_eq(last.eip, (u32)sysenter_entry);
    check_eq(last_dr6 & 0xe00f, 0x4001);
    watch(0);
    check_eq(guarded(enter, FL_TF | 2), 1);
    check_eq(last.eip, (u32)sysenter_entry);
    check_eq(last_dr6 & 0xe00f, 0x4000);
    wr_dr6(0xffff0ff0);
    check_eq(guarded(enter, 2), 6);
}

static void to_ring_3(u32 sel)
{
    static u32 stack[64];

    __asm__ volatile("mov %0, %%ds; mov %0, %%es; mov %0, %%fs; mov %0, %%gs\n"
                     "push %1; push %2; push $2; push %3; push $user_look; iret"
                     :: "r"(sel), "i"(UDATA), "r"(stack + 64), "i"(UCODE) : "memory");
}

static void selectors(void)
{
    static const u16 in[] = { 0, 1, 3, KDATA, UDATA }, out[] = { 0, 0, 0, 0, UDATA };

    for (unsigned i = 0; i < sizeof(in) / sizeof(*in); i++) {
        check_eq(guarded(to_ring_3, in[i]), 0x80);
        check_eq(last.eax, out[i]);
        check_eq(last.ecx, out[i]);
        check_eq(last.edx, out[i]);
        check_eq(last.ebx, out[i]);
    }
}

const Test pending_tests[] = {
    { "SYSENTER after MOV SS", sysenter },
    { "data segments after IRET to ring 3", selectors },
    { NULL, NULL }
};
