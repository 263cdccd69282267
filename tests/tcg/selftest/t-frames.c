/*
 * Signal frames that return to odd segments and odd addresses: IRET from the kernel, which
 * refuses some of them and goes to others.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "selftest.h"

#define UC_SIGCONTEXT_SS 2
#define UC_STRICT_RESTORE_SS 4

typedef struct Change {
    const char *name;
    u16 cs, ss;
    u64 rip, rsp;           /* 0: of low */
    u64 flags;              /* set */
} Change;

static const Change *change;
/* INT3 in any mode, far from its end. */
CODE32(all_int3, ".fill 64, 1, 0xcc");

static void on_usr1(int sig, siginfo_t *si, void *context)
{
    ucontext_t *uc = context;
    greg_t *r = uc->uc_mcontext.gregs;
    bool based = change->cs & 4;

    uc->uc_flags |= UC_SIGCONTEXT_SS | UC_STRICT_RESTORE_SS;
    r[REG_CSGSFS] = (r[REG_CSGSFS] & 0xffffffff0000) | change->cs | (u64)change->ss << 48;
    r[REG_RIP] = change->rip ? change->rip : based ? 16 : (u64)low + 16;
    r[REG_RSP] = change->rsp ? change->rsp : (u64)low + LOW_SIZE - 64;
    r[REG_EFL] |= change->flags;
}

static void raise_it(u64 arg)
{
    raise(SIGUSR1);
}

static const Change changes[] = {
    { "64 bits", CS64, DS_USER, 0, 0, 0 },
    { "32 bits", CS32, DS_USER, 0, 0, 0 },
    { "64 bits, SS null 3", CS64, 3, 0, 0, 0 },
    { "64 bits, SS null 0", CS64, 0, 0, 0, 0 },
    { "32 bits, SS null 3", CS32, 3, 0, 0, 0 },
    { "64 bits, SS is code", CS64, CS32, 0, 0, 0 },
    { "64 bits, SS of the kernel", CS64, 0x18, 0, 0, 0 },
    { "CS null", 3, DS_USER, 0, 0, 0 },
    { "CS is data", DS_USER, DS_USER, 0, 0, 0 },
    { "CS beyond the GDT", 0xfffb, DS_USER, 0, 0, 0 },
    { "CS beyond the LDT", LDT_SEL(1000), DS_USER, 0, 0, 0 },
    { "LDT, 32 bits", LDT_SEL(0), DS_USER, 0, 0, 0 },
    { "LDT, 16 bits", LDT_SEL(1), DS_USER, 0, 0, 0 },
    { "LDT, absent", LDT_SEL(2), DS_USER, 0, 0, 0 },
    { "LDT, data", LDT_SEL(3), DS_USER, 0, 0, 0 },
    { "LDT, beyond the limit", LDT_SEL(0), DS_USER, 0x2000, 0, 0 },
    { "SS of the LDT", CS32, LDT_SEL(3), 0, 0, 0 },
    { "SS of the LDT, 16 bits", CS32, LDT_SEL(4), 0, 0xfff0, 0 },
    { "SS of the LDT, 16 bits, high ESP", LDT_SEL(1), LDT_SEL(4), 0, 0x1234fff0, 0 },
    { "64 bits, SS of the LDT, 16 bits", CS64, LDT_SEL(4), 0, 0, 0 },
    { "SS of the LDT, read-only", CS32, LDT_SEL(5), 0, 0, 0 },
    { "SS of the LDT, absent", CS32, LDT_SEL(6), 0, 0, 0 },
    { "SS of the LDT, code", CS32, LDT_SEL(0), 0, 0, 0 },
    { "RIP is no address", CS64, DS_USER, 1ull << 47, 0, 0 },
    { "RIP is no address, upper half", CS64, DS_USER, 1ull << 63, 0, 0 },
    { "RIP above 32 bits of 32-bit code", CS32, DS_USER, 1ull << 32 | 16, 0, 0 },
    { "RSP is no address", CS64, DS_USER, 0, 1ull << 47, 0 },
    { "TF", CS64, DS_USER, 0, 0, FL_TF },
    { "RF", CS64, DS_USER, 0, 0, 0x10000 },
    { "NT", CS64, DS_USER, 0, 0, 0x4000 },
    { "DF, OF, CF", CS64, DS_USER, 0, 0, 0xc01 },
    { "IOPL, VM, ID", CS64, DS_USER, 0, 0, 0x223000 },
};

static void print_place(void)
{
    Trap *t = &traps[0];
    u64 sp = t->regs[REG_RSP];
    const char *of = sp - (u64)low < LOW_SIZE ? "low+" : "";

    printf("  cs %x ss %x sp %s%llx flags %llx\n", t->cs, t->ss, of,
           (unsigned long long)(*of ? sp - (u64)low : sp), t->regs[REG_EFL] & 0x3f7fd5ull);
}

void frames_tests(void)
{
    struct sigaction sa = { .sa_sigaction = on_usr1, .sa_flags = SA_SIGINFO | SA_ONSTACK };

    test("signal frames with odd segments");
    sigaction(SIGUSR1, &sa, NULL);
    memcpy(low, all_int3, CODE_SIZE(all_int3));
    if (!set_ldt(0, (u32)(u64)low, 0xfff, LDT_32 | LDT_CODE)) {
        skipped("no modify_ldt");
        return;
    }
    set_ldt(1, (u32)(u64)low, 0xffff, LDT_CODE);
    set_ldt(2, (u32)(u64)low, 0xfff, LDT_32 | LDT_CODE | LDT_ABSENT);
    set_ldt(3, 0, 0xfffff, LDT_32 | LDT_PAGES);
    set_ldt(4, (u32)(u64)low, 0xffff, LDT_DATA);
    set_ldt(5, 0, 0xfffff, LDT_32 | LDT_PAGES | LDT_RO);
    set_ldt(6, 0, 0xfffff, LDT_32 | LDT_PAGES | LDT_ABSENT);
    for (unsigned i = 0; i < sizeof(changes) / sizeof(*changes); i++) {
        change = &changes[i];
        clear_traps();
        run_code(raise_it, 0, true);
        print_traps(change->name, change->cs & 4 ? 0 : (u64)low);
        print_place();
    }
}
