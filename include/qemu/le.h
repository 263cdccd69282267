/*
 * Little-endian numbers of 1 to 8 bytes at any address: what a guest or a file's reader sees.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef QEMU_LE_H
#define QEMU_LE_H

#include <glib.h>
#include <stdint.h>

static inline void st_le(uint8_t *p, uint64_t value, unsigned size)
{
    for (unsigned i = 0; i < size; i++) {
        p[i] = value >> (8 * i);
    }
}

static inline uint64_t ld_le(const uint8_t *p, unsigned size)
{
    uint64_t value = 0;

    for (unsigned i = 0; i < size; i++) {
        value |= (uint64_t)p[i] << (8 * i);
    }
    return value;
}

static inline void append_le(GByteArray *buf, uint64_t value, unsigned size)
{
    uint8_t bytes[8];

    st_le(bytes, value, size);
    g_byte_array_append(buf, bytes, size);
}

#endif
