/*
 * The instructions of test-stack.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef TESTS_TCG_STACK_ENTRIES_H
#define TESTS_TCG_STACK_ENTRIES_H

#include <stdbool.h>
#include <stdint.h>

/*
 * What registers point to before an instruction: its operands, RSP. Around both, memory is
 * full of the address where the loop begins.
 */
#define DATA       0x40000u
#define STACK_TOP  0x60000u

#define MAX_ENTRIES 8192

typedef struct Entry {
    uint8_t bytes[30];      /* the instruction, perhaps behind others that prepare it */
    uint8_t len;
    bool often;             /* worth ten times as many executions */
} Entry;

/*
 * One for each operation that the decoder knows in 64- or in 32-bit code, by operand size,
 * form and prefix, and what needs more than general registers to succeed.
 */
unsigned list_entries(Entry *entries, bool code64);

#endif
