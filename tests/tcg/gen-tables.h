/*
 * The instructions that gen.c makes.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef TESTS_TCG_GEN_TABLES_H
#define TESTS_TCG_GEN_TABLES_H

#include <stdint.h>

#include "diff.h"

enum {
    G_MODRM = 1, G_BYTE = 2, G_MEM = 4, G_MEMONLY = 8, G_LOCK = 16, G_IB = 32,
    G_IZ = 64, G_IV = 128, G_OPREG = 256, G_NO16 = 512, G_NOSIZE = 1024,
    G_VECREG = 2048, G_VECRM = 4096, G_ALIGN = 8192, G_FIXED = 1 << 14,
    G_STRING = 1 << 15, G_WILD = 1 << 16, G_REGWIDE = 1 << 17,
    G_RMWIDE = 1 << 18, G_REXW = 1 << 19, G_MMX = 1 << 20, G_IMM64 = 1 << 21,
    G_X87REG = 1 << 23, /* any register form of D8 to DF: aliases, undefined ones too */
    G_ATOMIC = 1 << 22, /* locked with memory, prefix or not, here or there */
    G_VEX = 1 << 24, G_V = 1 << 25,     /* a VEX prefix; with vvvv */
    G_L = 1 << 26, G_L1 = 1 << 27,      /* 128 or 256 bits; 256 */
    G_W1 = 1 << 28,
    G_TAME = 1 << 29,   /* which byte of several faults differs between processors */
    G_DIV = 1 << 29,    /* RDX:RAX, or AX, is most often made small enough first */
};

typedef struct GenRow {
    const char *name;
    uint8_t kind;       /* bits of GenKind */
    uint8_t map, pfx, op;
    int8_t digit;       /* ModRM.reg, or -1 */
    uint32_t f;
    uint32_t undef;     /* flags left undefined */
    const char *bytes;  /* G_FIXED: op bytes */
    HostFeature need;
} GenRow;

extern const GenRow gen_rows[];
extern const unsigned gen_nr_rows;

#endif
