/*
 * Paging: accessed and dirty bits, permissions, reserved bits, error codes.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "guest.h"

static void rd(u64 a) { (void)*(volatile u8 *)a; }
static void wr(u64 a) { *(volatile u8 *)a = 1; }
static void rmw(u64 a) { __asm__ volatile("lock incq (%0)" :: "r"(a) : "memory"); }
static void call(u64 a) { ((void (*)(void))a)(); }
static void sgdt(u64 a) { __asm__ volatile("sgdt (%0)" :: "r"(a) : "memory"); }
static void fxsave(u64 a) { __asm__ volatile("fxsave (%0)" :: "r"(a) : "memory"); }

/*
 * QEMU's own emulated processor, on which KVM runs in our tests, leaves bit 0 out
 * of the error code for reserved bits, and does not check CR3.
 */
#define soft_host() option("soft-host")
#define faults(fn, a, err) do { \
        check_eq(guarded(fn, a), 14); \
        check_eq(last.error | (last.error & 8 && soft_host()), err); \
        check_eq(last_cr2, a); \
    } while (0)

static void ad_bits(void)
{
    u64 va = map_page(0, PTE_P | PTE_W);

    check_eq(test_pt[0] & (PTE_A | PTE_D), 0);
    check_eq(guarded(rd, va), -1);
    check_eq(test_pt[0] & (PTE_A | PTE_D), PTE_A);
    check_eq(guarded(wr, va), -1);
    check_eq(test_pt[0] & (PTE_A | PTE_D), PTE_A | PTE_D);
    map_page(0, PTE_P | PTE_W);
    check_eq(guarded(rmw, va), -1);
    check_eq(test_pt[0] & (PTE_A | PTE_D), PTE_A | PTE_D);
    check(test_pd[0] & PTE_A);
    check(pml4[2] & PTE_A);
    /* A refused write leaves D alone. */
    map_page(0, PTE_P);
    faults(wr, va, 3);
    check_eq(test_pt[0] & PTE_D, 0);
    faults(rmw, va, 3);
    check_eq(test_pt[0] & PTE_D, 0);
}

static void not_present(void)
{
    u64 va = map_page(0, 0);

    test_pt[0] = 0;
    faults(rd, va + 5, 0);
    faults(wr, va + 5, 2);
    faults(call, va, rdmsr(0xc0000080) & 0x800 ? 0x10 : 0);
    faults(rd, 3 * USER_ALIAS, 0);
    /* Across two pages: the address is that of the missing one. */
    map_page(1, PTE_P | PTE_W);
    va = map_page(2, PTE_P | PTE_W);
    test_pt[3] = 0;
    invlpg(va + 4096);
    check_eq(guarded(rmw, va + 4092), 14);
    check_eq(last_cr2, va + 4096);
    check(last.error == 2 || soft_host());
    check_eq(guarded(sgdt, va + 4092), 14);
    check(*(u32 *)(page(2) + 4092) == 0 || soft_host());
    check_eq(guarded(fxsave, va + 4096 - 256), 14);
    check_eq(last_cr2, va + 4096);
    check_eq(last.error, 2);
}

static void write_protect(void)
{
    u64 va = map_page(0, PTE_P);

    faults(wr, va, 3);
    wr_cr0(rd_cr0() & ~(u64)CR0_WP);
    check_eq(guarded(wr, va), -1);
    check(test_pt[0] & PTE_D);
    wr_cr0(rd_cr0() | CR0_WP);
    faults(wr, va, 3);
    /* The upper levels count as well. */
    map_page(0, PTE_P | PTE_W);
    test_pd[0] &= ~PTE_W;
    wr_cr3(rd_cr3());
    faults(wr, va, 3);
    test_pd[0] |= PTE_W;
    check_eq(guarded(wr, va), -1);
}

static void reserved_bits(void)
{
    unsigned phys = cpuid(0x80000008, 0).a & 0xff;
    u64 high = phys < 52 ? 1ull << phys : 0, old = test_pd[0];
    u64 va = map_page(0, PTE_P | PTE_W | high);

    if (high) {
        faults(rd, va, 9);
        faults(wr, va, 0xb);
        map_page(0, PTE_P | PTE_W);
        test_pd[0] = old | high;
        wr_cr3(rd_cr3());
        faults(rd, va, 9);
        test_pd[0] = old;
    }
    test_pdpt[1] = PTE_P | PTE_W | PTE_PS | 1ull << 13;     /* 1 GiB, bit 13 */
    faults(rd, TEST_VA + (1ull << 30), 9);
    test_pd[1] = PTE_P | PTE_W | PTE_PS | 1ull << 13;       /* 2 MiB */
    faults(rd, TEST_VA + (1ull << 21), 9);
    pml4[2] |= PTE_PS;
    wr_cr3(rd_cr3());
    faults(rd, va, 9);
    pml4[2] &= ~PTE_PS;
    if (option("tcg") && !(cpuid(0x80000001, 0).d & 1u << 26)) {
        test_pdpt[1] = PTE_P | PTE_W | PTE_PS;              /* no pages of 1 GiB */
        faults(rd, TEST_VA + (1ull << 30), 9);
    }
    test_pdpt[1] = test_pd[1] = 0;
    check_eq(guarded(rd, va), -1);
}

static void no_execute(void)
{
    u64 va = map_page(0, PTE_P | PTE_W);

    *page(0) = 0xc3;
    check_eq(guarded(call, va), -1);
    map_page(0, PTE_P | PTE_W | PTE_NX);
    faults(call, va, 0x11);
    check_eq(last.rip, va);
    check_eq(guarded(rd, va), -1);
    wrmsr(0xc0000080, rdmsr(0xc0000080) & ~0x800ull);
    invlpg(va);
    faults(rd, va, 9);                          /* the bit is reserved then */
    wrmsr(0xc0000080, rdmsr(0xc0000080) | 0x800);
    /* An instruction that runs into such a page. */
    va = map_page(1, PTE_P | PTE_W);
    map_page(2, PTE_P | PTE_W | PTE_NX);
    page(1)[4095] = 0x0f;
    page(2)[0] = 0x0b;
    check_eq(guarded(call, va + 4095), 14);
    check_eq(last.error, 0x11);
    check_eq(last_cr2, va + 4096);
    check_eq(last.rip, va + 4095);
}

SNIPPET(user_read, "movabs $0x10000000000, %rax; mov (%rax), %cl; int $0x80");
SNIPPET(user_write, "movabs $0x10000000000, %rax; mov %cl, (%rax); int $0x80");
SNIPPET(user_jump, "movabs $0x10000000000, %rax; jmp *%rax");

static void user_access(void)
{
    map_page(0, PTE_P | PTE_W);
    check_eq(user_run(user_read, 0), 14);
    check_eq(last.error, 5);
    check_eq(user_run(user_write, 0), 14);
    check_eq(last.error, 7);
    check_eq(user_run(user_jump, 0), 14);
    check_eq(last.error, 0x15);
    map_page(0, PTE_P | PTE_U);
    check_eq(user_run(user_read, 0), V_BACK);
    check_eq(user_run(user_write, 0), 14);
    check_eq(last.error, 7);
    test_pt[0] = 0;
    invlpg(TEST_VA);
    check_eq(user_run(user_read, 0), 14);
    check_eq(last.error, 4);
    check_eq(last.cs, UCODE);
    check_eq(last.ss, UDATA);
}

static void smep_smap(void)
{
    u32 has = cpuid(7, 0).b;
    u64 va = map_page(0, PTE_P | PTE_W | PTE_U);

    *page(0) = 0xc3;
    check_eq(guarded(call, va), -1);
    if (has & 1u << 7) {
        wr_cr4(rd_cr4() | CR4_SMEP);
        faults(call, va, 0x11);
        check_eq(guarded(rd, va), -1);
        wr_cr4(rd_cr4() & ~(u64)CR4_SMEP);
    }
    if (has & 1u << 20) {
        wr_cr4(rd_cr4() | CR4_SMAP);
        faults(rd, va, 1);
        faults(wr, va, 3);
        __asm__ volatile("stac");
        rd(va);
        __asm__ volatile("clac");
        faults(rd, va, 1);
        check_eq(user_run(user_read, 0), V_BACK);
        wr_cr4(rd_cr4() & ~(u64)CR4_SMAP);
        check_eq(guarded(rd, va), -1);
    } else {
        check_eq(guarded((void (*)(u64))wr_cr4, rd_cr4() | CR4_SMAP), 13);
    }
}

static void rd_pkru(u64 a) { rdpkru(); }
static void odd_pkru(u64 a)
{
    __asm__ volatile(".byte 0x0f, 0x01, 0xef" :: "a"(0), "c"(1), "d"(0));
}

/* Key 3 of a page of the user's, for the kernel, too. */
static void keys(void)
{
    u64 va = map_page(0, PTE_P | PTE_W | PTE_U | 3ull << 59), wp = rd_cr0();
    u64 own = map_page(1, PTE_P | PTE_W | 3ull << 59);

    if (!(cpuid(7, 0).c & 1u << 3)) {
        check_eq(guarded((void (*)(u64))wr_cr4, rd_cr4() | CR4_PKE), 13);
        check_eq(guarded(rd_pkru, 0), 6);
        return;
    }
    check_eq(guarded(rd_pkru, 0), 6);
    check(!(cpuid(7, 0).c & 1u << 4));
    rd(va);
    wr_cr4(rd_cr4() | CR4_PKE);
    check(cpuid(7, 0).c & 1u << 4);
    check_eq(guarded(odd_pkru, 0), 13);
    wrpkru(0);
    rd(va);
    wr(va);
    wrpkru(1u << 6);                    /* no access */
    check_eq(rdpkru(), 1u << 6);
    faults(rd, va, 0x21);
    faults(wr, va, 0x23);
    rd(own);
    wr(own);
    check_eq(user_run(user_read, 0), 14);
    check_eq(last.error, 0x25);
    wrpkru(2u << 6);                    /* no writing */
    rd(va);
    wr_cr0(wp | CR0_WP);
    faults(wr, va, 0x23);
    wr_cr0(wp & ~(u64)CR0_WP);
    check_eq(guarded(wr, va), -1);
    wr_cr0(wp);
    check_eq(user_run(user_read, 0), V_BACK);
    wrpkru(3u << 4 | 3u << 8);          /* other keys */
    check_eq(guarded(wr, va), -1);
    wrpkru(0);
    wr_cr4(rd_cr4() & ~(u64)CR4_PKE);
}

static void translations(void)
{
    u64 va = map_page(0, PTE_P | PTE_W);

    *page(0) = 0x11;
    *page(1) = 0x22;
    check_eq(*(volatile u8 *)va, 0x11);
    test_pt[0] = (u64)page(1) | PTE_P | PTE_W;
    invlpg(va);
    check_eq(*(volatile u8 *)va, 0x22);
    /* Global pages outlive CR3, not CR4.PGE. */
    test_pt[0] = (u64)page(0) | PTE_P | PTE_W;
    wr_cr3(rd_cr3());
    check_eq(*(volatile u8 *)va, 0x11);
    test_pt[0] = (u64)page(1) | PTE_P | PTE_W;
    wr_cr4(rd_cr4() ^ 0x80);
    wr_cr4(rd_cr4() ^ 0x80);
    check_eq(*(volatile u8 *)va, 0x22);
    /* A 2 MiB page, then a table in its place. */
    test_pd[1] = ((u64)page(0) & ~0x1fffffull) | PTE_P | PTE_W | PTE_PS;
    check_eq(*(volatile u8 *)(TEST_VA + 0x200000 + ((u64)page(0) & 0x1fffff)), 0x11);
    check(!(test_pd[1] & PTE_D));
    test_pd[1] = 0;
    invlpg(TEST_VA + 0x200000 + ((u64)page(0) & 0x1fffff));
    faults(rd, TEST_VA + 0x200000 + ((u64)page(0) & 0x1fffff), 0);
}

/* MOV $v, %eax; RET at the start of a page of its own. */
static void put_code(unsigned n, u32 v)
{
    volatile u8 *p = page(n);

    p[0] = 0xb8;
    *(volatile u32 *)(p + 1) = v;
    p[5] = 0xc3;
}

/* INVLPG is heeded by code, too, also where it runs right after it has been written. */
static void code_elsewhere(void)
{
    u64 va = TEST_VA + (1ull << 30) + 6 * 4096;     /* no large page is near */
    u32 (*fn)(void) = (u32 (*)(void))va;

    test_pdpt[1] = test_pdpt[0];
    for (u32 i = 1; i < 20; i++) {
        unsigned n = 6 + i % 2;

        put_code(n, i);
        test_pt[6] = (u64)page(n) | PTE_P | PTE_W;
        invlpg(va);
        check_eq(fn(), i);
        check_eq(i % 3 ? i : fn(), i);
    }
    test_pt[6] = 0;
    invlpg(va);
    faults(call, va, rdmsr(0xc0000080) & 0x800 ? 0x10 : 0);
    test_pdpt[1] = 0;
    wr_cr3(rd_cr3());
}

static struct { u64 pcid, va; } inv;
static void invpcid(u64 type)
{
    __asm__ volatile("invpcid %0, %1" :: "m"(inv), "r"(type) : "memory");
}

static void invpcid_refusals(void)
{
    for (unsigned type = 0; type < 4; type++) {
        inv.pcid = 1;
        inv.va = 0;
        check_eq(guarded(invpcid, type), -1);
        inv.va = 1ull << 47;
        check_eq(guarded(invpcid, type), type ? -1 : 13);   /* what the address is for */
        inv.va = 0;
        inv.pcid = 1 << 12;
        check_eq(guarded(invpcid, type), 13);
    }
    inv.pcid = 0;
    check_eq(guarded(invpcid, 4), 13);
}

static void pcid(void)
{
    u64 va = map_page(0, PTE_P | PTE_W), cr3 = rd_cr3();

    if (!(cpuid(1, 0).c & 1u << 17)) {
        check_eq(guarded((void (*)(u64))wr_cr4, rd_cr4() | CR4_PCIDE), 13);
        return;
    }
    *page(0) = 0x11;
    *page(1) = 0x22;
    wr_cr4(rd_cr4() | CR4_PCIDE);
    wr_cr3(cr3 | 1);
    check_eq(*(volatile u8 *)va, 0x11);
    wr_cr3(cr3 | 2);
    test_pt[0] = (u64)page(1) | PTE_P | PTE_W;
    wr_cr3(cr3 | 1);                /* without bit 63: flushed */
    check_eq(*(volatile u8 *)va, 0x22);
    wr_cr3(cr3 | 2 | 1ull << 63);
    check_eq(rd_cr3(), cr3 | 2);
    if (cpuid(7, 0).b & 1u << 10) {
        invpcid_refusals();
    }
    wr_cr3(cr3);
    wr_cr4(rd_cr4() & ~(u64)CR4_PCIDE);
}

static void set_efer(u64 v) { wrmsr(0xc0000080, v); }

static void big_addresses(void)
{
    check_eq(guarded(rd, 1ull << 47), 13);
    check_eq(last.error, 0);
    check_eq(guarded(wr, 0xffff700000000000), 13);
    check_eq(guarded(rd, (1ull << 47) - 1), 14);
    if (!soft_host()) {
        check_eq(guarded((void (*)(u64))wr_cr3, 1ull << 52), 13);
    }
    check_eq(guarded((void (*)(u64))wr_cr0, rd_cr0() & ~1ull), 13);
    check_eq(guarded((void (*)(u64))wr_cr0, (u64)1 << 32 | rd_cr0()), 13);
    check_eq(guarded((void (*)(u64))wr_cr4, rd_cr4() & ~0x20ull), 13);
    check_eq(guarded((void (*)(u64))wr_cr4, 1ull << 40 | rd_cr4()), 13);
    check_eq(guarded(set_efer, rdmsr(0xc0000080) ^ 0x100), 13);     /* LME while paging */
    check_eq(guarded(set_efer, rdmsr(0xc0000080) | 2), 13);
    if (!(cpuid(0x80000001, 0).d & 1u << 25)) {
        check_eq(guarded(set_efer, rdmsr(0xc0000080) | 0x4000), 13);    /* FFXSR */
    }
}

const Test paging_tests[] = {
    { "accessed and dirty bits", ad_bits },
    { "pages that are not there", not_present },
    { "write protection", write_protect },
    { "reserved bits", reserved_bits },
    { "no-execute", no_execute },
    { "user pages and user accesses", user_access },
    { "SMEP and SMAP", smep_smap },
    { "protection keys", keys },
    { "INVLPG, CR3, global and large pages", translations },
    { "INVLPG and code", code_elsewhere },
    { "PCID", pcid },
    { "addresses and control registers out of range", big_addresses },
    { NULL, NULL }
};
