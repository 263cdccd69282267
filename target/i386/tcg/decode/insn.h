/*
 * Decoded instructions: the one record that the interpreter runs and that a
 * translator would read, and the tables the decoder works from.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef TARGET_I386_TCG_INSN_H
#define TARGET_I386_TCG_INSN_H

#include <stdbool.h>
#include <stdint.h>

typedef struct TCGCPU TCGCPU;
typedef struct X86Op X86Op;

/*
 * Executes op. Ends in a jump to the next op's function, or returns: the
 * op to go on with, or NULL with c->eip set to where execution continues.
 */
typedef const X86Op *OpFn(TCGCPU *c, const X86Op *op);

#define R_ZERO 16   /* regs[] slot that is always 0: no base, no index */
#define R_PAGE 17   /* regs[] slot: RIP of the first byte of the code's page */

/* X86Op.flags */
enum {
    OF_MEM    = 1 << 0,  /* the r/m operand is memory */
    OF_LOCK   = 1 << 1,
    OF_REP    = 1 << 2,  /* F3 */
    OF_REPNE  = 1 << 3,  /* F2 */
    OF_EASLOW = 1 << 4,  /* not 64-bit flat addressing: ea_slow() */
    OF_A16    = 1 << 5,  /* address size; neither: 64 */
    OF_A32    = 1 << 6,
    OF_C64    = 1 << 7,  /* code segment is 64 bits */
    OF_C16    = 1 << 8,  /* ... is 16 bits */
    OF_INPAGE = 1 << 9,  /* branch target lies in the same page */
    OF_REXW   = 1 << 10,
    OF_OP16   = 1 << 11, /* 66 prefix */
    OF_VEX    = 1 << 12, /* VEX prefix: imm has more, VEX_*_SHIFT */
    OF_L      = 1 << 13, /* ... with 256-bit vectors */
    OF_WRITES = 1 << 15, /* not 64-bit code: the memory operand is written */
};

/* Written by the decoder once; only fn and link change later. */
struct X86Op {
    OpFn *fn;
    union {
        int64_t disp;           /* displacement, or a 64-bit immediate */
        const X86Op *link;      /* direct branch: decoded target, or NULL */
    };
    int32_t imm;                /* immediate, or branch distance */
    uint16_t off;               /* of the first byte in its page */
    uint16_t id;                /* which operation, for shared functions */
    uint8_t reg;                /* ModRM.reg; a byte offset for 8-bit operands */
    union {
        uint8_t rm;             /* register operand, as reg */
        uint8_t base;           /* memory operand */
    };
    uint8_t index;
    uint8_t scale : 4;
    uint8_t seg : 4;
    uint8_t len;
    uint8_t size;               /* operand size: log2 of bytes */
    uint16_t flags;
};
/* Blocks are arrays of it; half a cache line each. */
_Static_assert(sizeof(X86Op) == 32, "X86Op");

/* In X86Op.imm with OF_VEX, beside an imm8: vvvv, VSIB's index register, VEX_* (vex-rules.h). */
#define VEX_V_SHIFT 8
#define VEX_INDEX_SHIFT 12
#define VEX_NEED_SHIFT 16

/* The id of Jcc: this and its condition. Other relative branches have smaller ones. */
#define X86_ID_JCC 0x100

static inline bool x86_is_jcc(const X86Op *op)
{
    return op->id >= X86_ID_JCC;
}

/* OpDesc.attr */
enum {
    D_MODRM   = 1 << 0,
    D_IB      = 1 << 1,     /* imm8, sign-extended */
    D_IZ      = 1 << 2,     /* imm16 or imm32 by operand size */
    D_IW      = 1 << 3,     /* imm16 */
    D_IV      = 1 << 4,     /* imm16/32/64 by operand size (MOV r, imm) */
    D_BYTE    = 1 << 5,     /* 8-bit operands */
    D_RMBYTE  = 1 << 6,     /* r/m is 8 bits wide, reg is not */
    D_64      = 1 << 7,     /* 64-bit operand size by default in 64-bit code */
    D_NO64    = 1 << 8,     /* #UD in 64-bit code */
    D_END     = 1 << 9,     /* ends the block */
    D_LOCK    = 1 << 10,    /* LOCK is allowed with a memory operand */
    D_MEMONLY = 1 << 11,
    D_REGONLY = 1 << 12,
    D_TAB     = 1 << 13,    /* a table: [size + (memory ? 4 : 0)] */
    D_GRP     = 1 << 14,    /* a group: [ModRM.reg] */
    D_NOMOD   = 1 << 15,    /* ModRM.mod is ignored: always a register */
    D_OPREG   = 1 << 16,    /* register number in the opcode, to rm */
    D_MOFFS   = 1 << 17,
    D_VEC     = 1 << 18,    /* reg and r/m are XMM numbers */
    D_MMX     = 1 << 19,    /* reg and r/m are MMX numbers */
    D_SZ64    = 1 << 20,    /* 64 bits in 64-bit code, else 32; 66 ignored */
    D_IB2     = 1 << 21,    /* a second imm8, to bits 23:16 of imm */
    D_AUTOSIZE = 1 << 22,   /* IN, OUT, INS, OUTS: never 64 bits */
    D_RMMMX   = 1 << 23,    /* only r/m is an MMX number */
    D_REGMMX  = 1 << 24,    /* only reg is */
    D_FORCE64 = 1 << 25,    /* a near branch: as D_64 (66 counts, as on AMD) */
    D_FAR     = 1 << 26,    /* ptr16:16/32 immediate */
    D_GRP7    = 1 << 27,    /* 0F 01 */
    D_REL     = 1 << 28,    /* the immediate is a branch distance */
    D_ONE     = 1 << 29,    /* the immediate is 1: shifts */
    D_VSIB    = 1 << 30,    /* memory addressed by a vector of indices */
};

typedef struct OpDesc {
    uint32_t attr;
    uint16_t h;                 /* the number of a function, table or group: maps.h */
    uint16_t id;
} OpDesc;

extern const OpDesc x86_map1[256];      /* one-byte opcodes */
extern const OpDesc x86_map0f[256];
/* 0F 01 with a register: by the low six bits of ModRM. */
extern const OpDesc x86_grp7_reg[64];
/* By opcode and mandatory prefix: none, 66, F3, F2. */
extern const OpDesc x86_sse0f[256][4];
/* Opcodes from X86_SSE3[8A]_END on are not defined, but for decode-sse.c's few. */
#define X86_SSE38_END 0x42
#define X86_SSE3A_END 0x64
extern const OpDesc x86_sse38[X86_SSE38_END][4];
extern const OpDesc x86_sse3a[X86_SSE3A_END][4];
/* 0F38 C8 to DF, 0F3A CC and DF: the latter of each with 66, the former without. */
extern const OpDesc x86_crypto38[0x18], x86_crypto3a[2];
extern const OpDesc x86_invpcid, x86_crc32[2], x86_movbe[2], x86_adx[2];

typedef enum X86CodeSize { CODE16, CODE32, CODE64 } X86CodeSize;

#define X86_INSN_MAX 15

/*
 * Decode the instruction at p, of which avail bytes may be read; page_off is
 * the offset of p in its page. Returns the attributes (D_END) with *op
 * filled in (invalid instructions become one that raises #UD or #GP), or -1 when
 * more than avail bytes are needed.
 */
int x86_decode(const uint8_t *p, unsigned avail, X86CodeSize mode,
               unsigned page_off, X86Op *op);

/* Does this opcode write its memory operand? Maps: one byte, 0F, 0F38, 0F3A. */
bool x86_writes_memory(unsigned map, uint8_t op, uint8_t modrm, bool f3);

#endif
