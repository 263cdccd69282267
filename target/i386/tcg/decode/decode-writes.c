/*
 * Which opcodes write their memory operand. Outside 64-bit code a segment may
 * be read-only; in 64-bit code nobody asks.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "target/i386/tcg/decode/insn.h"

/* Rows of 16 opcodes; a bit for each. */
static const uint16_t map1[16] = {
    [0x0] = 0x0303, [0x1] = 0x0303, [0x2] = 0x0303, [0x3] = 0x0003,
    [0x6] = 0x0008,     /* ARPL */
    [0x8] = 0x93cf,     /* groups, XCHG, MOV, MOV from segment */
    [0xa] = 0x000c,     /* MOV to an absolute offset */
    [0xc] = 0x00c3,     /* shifts, MOV */
    [0xd] = 0x000f,
    [0xf] = 0xc0c0,     /* groups */
};
static const uint16_t map0f[16] = {
    [0x0] = 0x0003,     /* SLDT, STR; SGDT, SIDT, SMSW */
    [0x1] = 0x008a, [0x2] = 0x0a00,
    [0x7] = 0xc000, [0x9] = 0xffff,
    [0xa] = 0x7830,     /* SHLD, BTS, SHRD, the FXSAVE group */
    [0xb] = 0x0c0b,     /* CMPXCHG, BTR; BT's group, BTC */
    [0xc] = 0x008b,     /* XADD, MOVNTI, CMPXCHG8B */
    [0xd] = 0x0040, [0xe] = 0x0080,
};

/* Members of groups that write, by ModRM.reg; other opcodes: all. */
static unsigned group_members(unsigned map, uint8_t op)
{
    switch (map << 8 | op) {
    case 0x80: case 0x81: case 0x82: case 0x83: return 0x7f;    /* not CMP */
    case 0xf6: case 0xf7: return 0x0c;                          /* NOT, NEG */
    case 0xfe: case 0xff: return 0x03;                          /* INC, DEC */
    case 0xd9: return 0xcc;
    case 0xdb: return 0x8e;
    case 0xdd: return 0xce;
    case 0xdf: return 0xce;
    case 0x100: return 0x03;
    case 0x101: return 0x13;
    case 0x1ae: return 0x59;    /* FXSAVE, STMXCSR, XSAVE, XSAVEOPT */
    case 0x1ba: return 0xe0;
    case 0x1c7: return 0x32;    /* CMPXCHG8B, XSAVEC, XSAVES */
    default: return 0xff;
    }
}

static bool x87_store(uint8_t op)
{
    return op == 0xd9 || op == 0xdb || op == 0xdd || op == 0xdf;
}

bool x86_writes_memory(unsigned map, uint8_t op, uint8_t modrm, bool f3)
{
    bool may;

    switch (map) {
    case 0:
        may = (map1[op >> 4] >> (op & 15) & 1) || x87_store(op);
        break;
    case 1:
        may = map0f[op >> 4] >> (op & 15) & 1;
        if (op == 0x7e && f3) {
            may = false;        /* MOVQ xmm, m64 */
        }
        break;
    case 2:
        /* MOVBE; CRC32 reads, but both refuse then. VMASKMOVPS, VMASKMOVPD, VPMASKMOV. */
        return op == 0xf1 || op == 0x2e || op == 0x2f || op == 0x8e;
    default:
        /* And VEXTRACTF128, VCVTPS2PH, VEXTRACTI128. */
        return (op >= 0x14 && op <= 0x17) || op == 0x19 || op == 0x1d || op == 0x39;
    }
    return may && (group_members(map, op) >> ((modrm >> 3) & 7) & 1);
}
