/*
 * A tiny guest in 32-bit protected mode: virtual-8086 mode and hardware tasks, which long
 * mode has not. Made like the guest of tests/tcg/guest.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef TESTS_TCG_GUEST32_H
#define TESTS_TCG_GUEST32_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
typedef uint64_t u64;

void print(const char *s);
void check_at(bool ok, const char *what, u32 got, u32 want, unsigned line);
#define check_eq(got, want) do { \
        u32 g_ = (u32)(got), w_ = (u32)(want); \
        check_at(g_ == w_, #got, g_, w_, __LINE__); \
    } while (0)

/* Segments: TSS_A is the one that tests run in. */
enum { KCODE = 0x08, KDATA = 0x10, UCODE = 0x18 | 3, UDATA = 0x20 | 3, TSS_A = 0x28,
       TSS_B = 0x30, GATE_B = 0x38, SPARE = 0x40 };
extern u64 gdt[16], idt[256];
u64 segment(u32 base, u32 limit, u8 access, u8 flags);
u64 gate(u16 sel, u32 off, u8 access);

typedef struct Tss {
    u32 link, esp0, ss0, esp1, ss1, esp2, ss2, cr3, eip, eflags;
    u32 regs[8];                /* EAX ECX EDX EBX ESP EBP ESI EDI */
    u32 seg[6];                 /* ES CS SS DS FS GS */
    u32 ldt;
    u16 trap, iomap;
    u8 bitmap[0x20 + 1];        /* ports up to 0xff */
} __attribute__((packed)) Tss;
extern Tss tss_a, tss_b;
/* Both tasks as at the start, TSS_A running. */
void reset_tasks(void);

/* What ended guarded(). esp to gs: of virtual-8086 mode. */
typedef struct Frame {
    u32 edi, esi, ebp, sp, ebx, edx, ecx, eax, vector, error, eip, cs, eflags, esp, ss, es,
        ds, fs, gs;
} Frame;
extern Frame last;
extern u32 trap_ds, trap_gs;    /* at the handler's start */
extern u32 last_dr6;
int guarded(void (*fn)(u32), u32 arg);
void reset_gate(unsigned vector);
void vm86_enter(const u32 frame[9]);

#define CR0_TS 8u
#define FL_TF 0x100u
#define FL_IOPL 0x3000u
#define FL_NT 0x4000u
#define FL_VM 0x20000u

#define RD(name) static inline u32 rd_##name(void) \
    { u32 v; __asm__ volatile("mov %%" #name ", %0" : "=r"(v)); return v; }
#define WR(name) static inline void wr_##name(u32 v) \
    { __asm__ volatile("mov %0, %%" #name :: "r"(v) : "memory"); }
RD(cr0) RD(cr3) RD(cr4) RD(dr6) WR(cr0) WR(cr3) WR(cr4) WR(dr6)

static inline u16 rd_tr(void)
{
    u16 v;

    __asm__ volatile("str %0" : "=r"(v));
    return v;
}

typedef struct Test { const char *name; void (*fn)(void); } Test;
extern const Test vm86_tests[], task_tests[], pending_tests[], vex_tests[];

#endif
