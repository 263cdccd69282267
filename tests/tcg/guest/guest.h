/*
 * A tiny guest that tests the processor it runs on: what tests share.
 *
 * A test is a function in a table of main.c; it calls check() as often as it
 * likes. All run in ring 0 of long mode with interrupts off, on page tables of
 * their own (see lib.c); what a test changes it puts back.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef TESTS_TCG_GUEST_H
#define TESTS_TCG_GUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
typedef uint64_t u64;

/* Reporting, on the serial port -------------------------------------------- */
void print(const char *s);
void print_hex(u64 v);
void check_at(bool ok, const char *what, u64 got, u64 want, unsigned line);
#define check(cond) check_at((cond), #cond, 0, 1, __LINE__)
#define check_eq(got, want) do { \
        u64 g_ = (u64)(got), w_ = (u64)(want); \
        check_at(g_ == w_, #got, g_, w_, __LINE__); \
    } while (0)
/* The word stands alone on the kernel's command line. */
bool option(const char *word);

/* Segments of the GDT ------------------------------------------------------ */
enum {
    KCODE = 0x08, KDATA = 0x10, UCODE32 = 0x18 | 3, UDATA = 0x20 | 3,
    UCODE = 0x28 | 3, TSS = 0x30, KCODE32 = 0x40, RODATA = 0x48, SPARE = 0x50,
};
extern u64 gdt[32];
extern u32 tss[32];
/* Vectors that return from ring 3, and that interrupts use. */
enum { V_BACK = 0x80, V_IRQ = 0x90, V_IRQ2 = 0x91, V_TIMER = 0xa0, V_SPURIOUS = 0xff };

/* Exceptions --------------------------------------------------------------- */
typedef struct Frame {
    u64 r15, r14, r13, r12, r11, r10, r9, r8, rdi, rsi, rbp, rbx, rdx, rcx, rax;
    u64 vector, error, rip, cs, rflags, rsp, ss;
} Frame;
/* What ended guarded() last, with CR2. */
extern Frame last;
extern u64 last_cr2;
int guarded(void (*fn)(u64), u64 arg);
/* Handlers that return to where the vector came from; NULL: ends guarded(). */
extern void (*handlers[256])(Frame *f);
/* Another entry for a vector's gate: address, type and DPL byte, IST. */
void set_gate(unsigned vector, u64 addr, u8 type, u8 ist);
void reset_gate(unsigned vector);
void enter(u64 rip, u64 cs, u64 ss, u64 rsp, u64 flags);
/*
 * Run code (position-independent, up to end) in ring 3, 64-bit or, with code32, in
 * compatibility mode; it comes back by INT 80h. Returns the vector it ended with.
 */
int user_run(const void *code, u64 flags);
int code32_run(const void *code, unsigned cs, unsigned ss);
/* Code in a test: UCODE(name, "asm"). It is copied to where user code can run. */
#define SNIPPET(name, text) \
    extern const u8 name[], name##_end[]; \
    __asm__(".pushsection .text\n" #name ": " text "\n" #name "_end:\n.popsection")

/* Memory ------------------------------------------------------------------- */
#define PTE_P   1ull
#define PTE_W   2ull
#define PTE_U   4ull
#define PTE_A   0x20ull
#define PTE_D   0x40ull
#define PTE_PS  0x80ull
#define PTE_G   0x100ull
#define PTE_NX  (1ull << 63)
/* All memory below 4 GiB again, for ring 3. */
#define USER_ALIAS  0x8000000000ull
/* Pages for tests: entry n of test_pt maps TEST_VA + n * 4096. */
#define TEST_VA     0x10000000000ull
extern u64 test_pt[512], test_pd[512], test_pdpt[512], pml4[512];
/* A zeroed page that nothing else uses: n < 8. */
u8 *page(unsigned n);
static inline void invlpg(u64 va) { __asm__ volatile("invlpg (%0)" :: "r"(va) : "memory"); }
/* Map page n at entry n of test_pt with these bits, and forget old translations. */
static inline u64 map_page(unsigned n, u64 bits)
{
    u64 va = TEST_VA + n * 4096ull;

    test_pt[n] = (u64)page(n) | bits;
    invlpg(va);
    return va;
}

/* The processor ------------------------------------------------------------ */
#define RD_CR(n) static inline u64 rd_cr##n(void) \
    { u64 v; __asm__ volatile("mov %%cr" #n ", %0" : "=r"(v)); return v; }
#define WR_CR(n) static inline void wr_cr##n(u64 v) \
    { __asm__ volatile("mov %0, %%cr" #n :: "r"(v) : "memory"); }
RD_CR(0) RD_CR(2) RD_CR(3) RD_CR(4) RD_CR(8)
WR_CR(0) WR_CR(2) WR_CR(3) WR_CR(4) WR_CR(8)
#define CR0_WP (1u << 16)
#define CR0_AM (1u << 18)
#define CR0_TS (1u << 3)
#define CR0_EM (1u << 2)
#define CR4_DE (1u << 3)
#define CR4_OSFXSR (1u << 9)
#define CR4_OSXMMEXCPT (1u << 10)
#define CR4_UMIP (1u << 11)
#define CR4_PCIDE (1u << 17)
#define CR4_OSXSAVE (1u << 18)
#define CR4_SMEP (1u << 20)
#define CR4_SMAP (1u << 21)
#define CR4_PKE (1u << 22)

static inline u64 rdmsr(u32 msr)
{
    u32 lo, hi;

    __asm__ volatile("rdmsr" : "=a"(lo), "=d"(hi) : "c"(msr));
    return (u64)hi << 32 | lo;
}

static inline void wrmsr(u32 msr, u64 v)
{
    __asm__ volatile("wrmsr" :: "c"(msr), "a"((u32)v), "d"((u32)(v >> 32)) : "memory");
}

typedef struct CPUIDRegs { u32 a, b, c, d; } CPUIDRegs;
static inline CPUIDRegs cpuid(u32 leaf, u32 sub)
{
    CPUIDRegs r;

    __asm__ volatile("cpuid" : "=a"(r.a), "=b"(r.b), "=c"(r.c), "=d"(r.d)
                     : "a"(leaf), "c"(sub));
    return r;
}

/* A bit of KVM's features. */
static inline bool kvm_has(unsigned bit)
{
    return cpuid(0x40000000, 0).b == 0x4b4d564b && (cpuid(0x40000001, 0).a >> bit & 1);
}

static inline u32 rdpkru(void)
{
    u32 v;

    __asm__ volatile(".byte 0x0f, 0x01, 0xee" : "=a"(v) : "c"(0) : "edx");
    return v;
}

static inline void wrpkru(u32 v)
{
    __asm__ volatile(".byte 0x0f, 0x01, 0xef" :: "a"(v), "c"(0), "d"(0) : "memory");
}

static inline u64 rdtsc(void)
{
    u32 lo, hi;

    __asm__ volatile("rdtsc" : "=a"(lo), "=d"(hi));
    return (u64)hi << 32 | lo;
}

static inline void outb(u16 port, u8 v) { __asm__ volatile("outb %0, %1" :: "a"(v), "d"(port)); }
static inline u8 inb(u16 port)
{
    u8 v;

    __asm__ volatile("inb %1, %0" : "=a"(v) : "d"(port));
    return v;
}

static inline u64 rflags(void)
{
    u64 f;

    __asm__ volatile("pushfq; popq %0" : "=r"(f));
    return f;
}

/* The local APIC, in xAPIC mode at its usual place ------------------------- */
static inline u32 apic_rd(u32 reg) { return *(volatile u32 *)(0xfee00000ul + reg); }
static inline void apic_wr(u32 reg, u32 v) { *(volatile u32 *)(0xfee00000ul + reg) = v; }
enum { APIC_ID = 0x20, APIC_TPR = 0x80, APIC_EOI = 0xb0, APIC_SVR = 0xf0, APIC_ISR = 0x100,
       APIC_IRR = 0x200, APIC_ICR = 0x300, APIC_ICR2 = 0x310, APIC_LVT_TIMER = 0x320,
       APIC_LVT_LINT0 = 0x350, APIC_TIMER_INIT = 0x380, APIC_TIMER_NOW = 0x390,
       APIC_TIMER_DIV = 0x3e0 };
/* STI, one instruction, CLI: what waits is taken there. */
static inline void irq_window(void) { __asm__ volatile("sti; nop; nop; cli" ::: "memory"); }
/* Until *p is at least v or a second has passed: then false. */
bool wait_for(volatile u32 *p, u32 v);

/* Other processors --------------------------------------------------------- */
/* INIT and a start-up IPI to all of them at once. */
void start_others(void);
/* What they do then, first of all; NULL: wait for work. */
extern void (*volatile ap_first)(void);

/* The tests ---------------------------------------------------------------- */
typedef struct Test { const char *name; void (*fn)(void); } Test;
extern const Test paging_tests[], excp_tests[], far_tests[], irq_tests[], smp_tests[],
                  debug_tests[], pending_tests[], state_tests[], avx_tests[];
/* t-lives.c, instead of the tests. */
void lives(void);

#endif
