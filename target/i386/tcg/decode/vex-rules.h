/*
 * What VEX prefixes of instructions may say, and features that these belong to.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef TARGET_I386_TCG_VEX_RULES_H
#define TARGET_I386_TCG_VEX_RULES_H

#include "target/i386/tcg/decode/insn.h"

/* Bits of c->vex_has and vex_on. */
enum {
    VEX_AVX = 1, VEX_AVX2 = 2, VEX_FMA = 4, VEX_F16C = 8, VEX_AES = 16, VEX_CLMUL = 32,
};

/* VexDesc.rules; what breaks one is #UD. */
enum {
    VX_V    = 1 << 0,       /* vvvv is an operand; else it must be 1111 (0 as decoded) */
    VX_VREG = 1 << 1,       /* ... but not if r/m is memory */
    VX_L0   = 1 << 2,       /* 128-bit vectors only, or L must be 0 */
    VX_L1   = 1 << 3,       /* 256-bit ones only */
    VX_LIG  = 1 << 4,       /* L is ignored: scalars */
    VX_W0   = 1 << 5, VX_W1 = 1 << 6,
    VX_GPR  = 1 << 7,       /* W is a general register's size, in 64-bit code alone */
    VX_MO   = 1 << 8,       /* r/m must be memory */
    VX_RO   = 1 << 9,       /* r/m must be a register */
    VX_I8   = 1 << 10,      /* an imm8 */
    VX_VSIB = 1 << 11,
    VX_NOMODRM = 1 << 12,
    VX_A2   = 1 << 13,      /* with 256 bits it is AVX2's */
    VX_A2REG = 1 << 14,     /* if r/m is a register it is */
    VX_FIXED = 1 << 15,     /* r/m has one size for all of L */
    VX_WHOLE = 1 << 16,     /* with 256 bits it has 32 bytes, whatever 128 bits take */
    /* How 128-bit lanes are done one by one: vex.c. */
    VX_NARROW = 1 << 17,    /* 8 bytes of result a lane, together in the lower half */
    VX_FP   = 1 << 18,      /* may raise #XM */
};
#define VX_W8 (1u << 28)        /* with W the r/m operand has twice the bytes */
#define VX_IMM_LANE(n) ((n) << 19)          /* the immediate's bits for a lane, if it has its own */
#define VX_LANE_BITS(rules) ((rules) >> 19 & 7)
#define VX_NEED(bits) ((bits) << 22)        /* VEX_*: instead of VEX_AVX */
#define VX_NEED_OF(rules) ((rules) >> 22 & 63 ? (rules) >> 22 & 63 : VEX_AVX)

/* size: log2 of a memory operand's bytes (with 128 bits, or a scalar's); 0: by VX_GPR. */
typedef struct VexDesc {
    OpDesc d;
    uint32_t rules;
    uint8_t size;
} VexDesc;

#define VEX_ROW(map, pfx, op) VEX_##map##_##pfx##_##op
/* X86Op.id of the instructions of vex-list.h. */
#define VL(map, pfx, op, name, bytes, rules) VEX_ROW(map, pfx, op),
enum {
    VEX_NONE,
#include "target/i386/tcg/decode/vex-list.h"
    VEX_LANE_ROWS
};
#undef VL

/* map 1 to 3: 0F, 0F38, 0F3A; prefix: none, 66, F3, F2. NULL: #UD. */
const VexDesc *x86_vex_find(unsigned map, uint8_t opcode, unsigned prefix);

#endif
