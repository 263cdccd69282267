/*
 * Proof: the program headers of a hostile ELF file, with any numbers, before any segments that are
 * there: nothing outside of what was read and of the list is touched, and no sum that decides about
 * it overflows.
 *
 * Eva: 0 70
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "__fc_builtin.h"
#include "hw/i386/x86-elf.c"

static uint8_t raw[sizeof(Elf64_Phdr)];
static X86Kernel kernel;
static ElfHeader h;

int main(void)
{
    X86KernelFile file = { .size = Frama_C_unsigned_long_long_interval(0, INT64_MAX) };
    ProgramHeader ph;

    h.is64 = Frama_C_interval(0, 1);
    Frama_C_make_unknown((char *)raw, sizeof(raw));
    ph = decode_phdr(&h, raw);
    kernel.nr_segments = Frama_C_interval(0, X86_KERNEL_MAX_SEGMENTS);
    if (check_phdr(&file, &ph, 0, NULL)) {
        add_segment(&kernel, &ph, NULL);
    }
    return entry_is_loaded(&kernel);
}
