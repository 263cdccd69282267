/*
 * A machine with RAM and nothing else, to load kernels into.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef TESTS_UNIT_BOOT_MACHINE_H
#define TESTS_UNIT_BOOT_MACHINE_H

#include "hw/boards.h"
#include "hw/i386/x86-boot.h"

typedef struct BootMachine {
    MachineState ms;
    MemoryRegion low, high;
    uint8_t *ram;
} BootMachine;

/* RAM as the microvm machine has it: not touched before it is written. */
void boot_machine_init(BootMachine *m, uint64_t ram_size);
void boot_machine_cleanup(BootMachine *m);
/* A memory file with this content, and its name in /proc; caller closes. */
int boot_file(const void *data, size_t len, char name[64]);

/* Where boot_load() says that the RSDP is. */
#define BOOT_RSDP 0x123456789abcull

/* One attempt to load: the machine, and what came out. */
typedef struct BootAttempt {
    BootMachine m;
    X86BootState boot;
    Error *err;
    bool ok;
} BootAttempt;

/*
 * Load from memory files and do the first reset. Checks that nothing is
 * written before it, and that errors are one line that names the file.
 */
void boot_load(BootAttempt *a, uint64_t ram, const uint8_t *kernel, size_t len,
               const char *initrd, const char *cmdline);
void boot_done(BootAttempt *a);

#endif
