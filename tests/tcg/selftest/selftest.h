/*
 * What a Linux process can see of its processor where systems and processors are at their
 * oddest. The program is run on the host and in our guest, and its output compared: so it
 * prints nothing that depends on addresses, time, the kernel's version or the processor's
 * vendor. Where something does, the test says why it is left out.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef TESTS_TCG_SELFTEST_H
#define TESTS_TCG_SELFTEST_H

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <ucontext.h>

typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
typedef uint64_t u64;

/* The kernel's user segments. */
enum { CS32 = 0x23, DS_USER = 0x2b, CS64 = 0x33 };
#define LDT_SEL(n) ((n) << 3 | 7)
#define FL_TF 0x100u

/* Signals ------------------------------------------------------------------ */

typedef struct Trap {
    int sig, code, trapno;
    u64 error;
    greg_t regs[NGREG];
    u16 cs, ss;
} Trap;
/* All that arrived since clear_traps(); the last one counts when there are too many. */
extern Trap traps[64];
extern unsigned nr_traps;
void clear_traps(void);
/*
 * Run fn(arg) until it returns or a signal other than SIGTRAP ends it; the SIGTRAPs go on
 * where they came, but for the first one with stop_at_trap.
 */
void run_code(void (*fn)(u64), u64 arg, bool stop_at_trap);
/* Print the traps, their RIP as distance from base. */
void print_traps(const char *name, u64 base);

/* Code and segments -------------------------------------------------------- */

/* A page below 4 GiB that may be written and executed; its second half is for stacks. */
#define LOW_SIZE 65536u
extern u8 *low;
/*
 * Copy code to the start of low and go there by IRET with these selectors; EBX is where low
 * is, ESP its end or, with a 16-bit stack based there, LOW_SIZE - 16. The first signal ends it.
 */
void run_at(const void *code, unsigned size, u16 cs, u16 ss, u64 rip, u64 rsp, u64 flags);
#define CODE32(name, text) \
    extern const u8 name[], name##_end[]; \
    __asm__(".pushsection .rodata\n.code32\n" #name ": " text "\n" #name "_end:\n" \
            ".code64\n.popsection")
#define CODE16(name, text) \
    extern const u8 name[], name##_end[]; \
    __asm__(".pushsection .rodata\n.code16\n" #name ": " text "\n" #name "_end:\n" \
            ".code64\n.popsection")
#define CODE_SIZE(name) ((unsigned)(name##_end - name))

/* Put an entry into the LDT (modify_ldt): flags of LDT_*. False: refused. */
enum {
    LDT_32 = 1, LDT_RO = 8, LDT_PAGES = 16, LDT_ABSENT = 32, LDT_USEABLE = 64,
    LDT_DATA = 0, LDT_DOWN = 2, LDT_CODE = 4, LDT_CONFORMING = 6,
};
bool set_ldt(unsigned n, u32 base, u32 limit, unsigned flags);
void clear_ldt(unsigned n);

/* The tests ---------------------------------------------------------------- */
void test(const char *name);
/* The rest of this test is not possible here. */
void skipped(const char *why);
void steps_tests(void);
void segments_tests(void);
void frames_tests(void);
void bases_tests(void);
void ports_tests(void);
void x87_tests(void);
void ptrace_tests(void);

#endif
