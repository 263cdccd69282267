/*
 * Proof: the notes of a hostile ELF file. A note in 11 to 20 bytes with names and descriptions of
 * up to 6 bytes or of the largest size: nothing outside of what was read is touched, and no sum
 * that decides about it overflows.
 *
 * Eva: 100000 20
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "__fc_builtin.h"
#include "hw/i386/x86-elf.c"

#define NOTES 20
#define FEW   6

static uint8_t data[NOTES];     /* notes end where it ends */
static uint64_t size;
static unsigned align;
static uint32_t name_size, desc_size;

int main(void)
{
    PVHNote pvh = { 0 };

    size = Frama_C_interval(sizeof(Elf64_Nhdr) - 1, NOTES);
    align = Frama_C_interval(0, 1) ? 8 : 4;
    name_size = Frama_C_interval(0, FEW + 1);
    desc_size = Frama_C_interval(0, FEW + 1);
    /*@ split size; */
    /*@ split align; */
    /*@ split name_size; */
    /*@ split desc_size; */
    Frama_C_make_unknown((char *)data, sizeof(data));
    if (size >= sizeof(Elf64_Nhdr)) {
        st_le(data + NOTES - size, name_size > FEW ? UINT32_MAX : name_size, 4);
        st_le(data + NOTES - size + 4, desc_size > FEW ? UINT32_MAX : desc_size, 4);
    }
    return scan_notes(data + NOTES - size, size, align, &pvh, NULL);
}
