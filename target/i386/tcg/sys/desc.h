/*
 * Descriptors of segments, gates and system segments, as the tables of the guest have them
 * (SDM 3A, 3.4.5, 3.5, 5.8.3 and 7.2; APM 2, 4.8).
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef TARGET_I386_TCG_DESC_H
#define TARGET_I386_TCG_DESC_H

#include <stdbool.h>
#include <stdint.h>

/* desc_type(): with bit 4, code or data, or else one of these. */
enum {
    TYPE_TSS16 = 1, TYPE_LDT = 2, TYPE_TSS16_BUSY = 3, TYPE_TSS = 9,
    GATE_CALL16 = 4, GATE_TASK = 5, GATE_CALL = 12, GATE_INTERRUPT = 14, GATE_TRAP = 15,
};

static inline unsigned desc_type(uint64_t d)
{
    return (d >> 40) & 31;
}

static inline unsigned desc_dpl(uint64_t d)
{
    return (d >> 45) & 3;
}

static inline bool desc_present(uint64_t d)
{
    return (d >> 47) & 1;
}

/* Code or data, not a system segment or a gate. */
static inline bool desc_is_segment(uint64_t d)
{
    return desc_type(d) & 16;
}

static inline bool desc_is_code(uint64_t d)
{
    return (desc_type(d) & 0x18) == 0x18;
}

static inline bool desc_is_conforming(uint64_t d)
{
    return (desc_type(d) & 0x1c) == 0x1c;
}

static inline bool desc_is_readable(uint64_t d)
{
    return desc_is_segment(d) && (desc_type(d) & 10) != 8;
}

/* What a stack has to be: data that can be written. */
static inline bool desc_is_writable(uint64_t d)
{
    return (desc_type(d) & 0x1a) == 0x12;
}

/* The L bit: 64-bit code in long mode, where D must be 0. */
static inline bool desc_is_long(uint64_t d)
{
    return (d >> 53) & 1;
}

static inline bool desc_is_big(uint64_t d)
{
    return (d >> 54) & 1;
}

/* hi: the upper half of a descriptor of 16 bytes, or 0. */
static inline uint64_t desc_base(uint64_t lo, uint64_t hi)
{
    return ((lo >> 16) & 0xffffff) | ((lo >> 32) & 0xff000000u) | hi << 32;
}

/* Where a call, interrupt or trap gate leads; those of the 80286 have 16 bits. */
static inline uint16_t desc_gate_selector(uint64_t d)
{
    return d >> 16;
}

static inline uint64_t desc_gate_offset(uint64_t lo, uint64_t hi)
{
    return (lo & 0xffff) | (desc_type(lo) & 8 ? (lo >> 32) & 0xffff0000u : 0) | hi << 32;
}

#endif
