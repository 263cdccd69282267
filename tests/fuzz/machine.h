/*
 * The program's machine in the process of a fuzz target, and inputs that are taken apart.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef TESTS_FUZZ_MACHINE_H
#define TESTS_FUZZ_MACHINE_H

#include "hw/boards.h"

/* What is left of an input. */
typedef struct FuzzInput {
    const uint8_t *p, *end;
} FuzzInput;

/* The next bytes (1 to 8) as a little-endian number; behind the end there are zeroes. */
uint64_t fuzz_take(FuzzInput *in, unsigned bytes);
/* Up to *len bytes; *len says how many there are. */
const uint8_t *fuzz_take_bytes(FuzzInput *in, size_t *len);

/*
 * A machine that runs (without -S), by default without an accelerator; options are separated by
 * blanks, "%s" is fuzz_folder(). Once. From then on files are written below that folder and
 * libFuzzer's "corpus" and "found" only, and no program is started, whatever a monitor is told.
 */
MachineState *fuzz_machine_new(const char *options);
/* Call fn from the main loop, where nobody waits for a peer. */
void fuzz_in_loop(void (*fn)(void *opaque), void *opaque);
/* Let the main loop do what it has to do now. */
void fuzz_settle(void);
/* As if it had been switched on, and started as at first. */
void fuzz_machine_restart(MachineState *ms);

/* A folder for sockets and files; removed at exit. */
const char *fuzz_folder(void);
/* Remove what is in the folder below it that is called name. */
void fuzz_empty_folder(const char *name);
/* A connection to the socket of this name in the folder, or -1. Non-blocking. */
int fuzz_connect(const char *name);
/* A socket there that listens. Non-blocking. */
int fuzz_listen(const char *name);

#endif
