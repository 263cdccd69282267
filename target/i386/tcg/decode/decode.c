/*
 * The instruction decoder: prefixes, opcode, ModRM, SIB, displacement and
 * immediate to an op record (SDM 2, chapter 2 and appendix A).
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <string.h>

#include "target/i386/tcg/ops/ops.h"
#include "target/i386/tcg/decode/maps.h"
#include "target/i386/tcg/decode/vex-rules.h"

typedef struct Decoder {
    const uint8_t *p;
    unsigned avail, pos;
    bool more;              /* ran out of bytes */
    bool too_long;
    X86CodeSize mode;
    bool op16, a67, lock;
    uint8_t rep;            /* OF_REP, OF_REPNE or 0 */
    int seg;                /* override or -1 */
    uint8_t rex;            /* 0: none */
    uint8_t modrm;
    uint8_t map, opcode;    /* 0-3: one byte, 0F, 0F38, 0F3A */
    bool riprel;
    const VexDesc *vex;     /* NULL: no VEX prefix */
    uint8_t vvvv, index;    /* of VEX; VSIB's */
    X86Op *op;
} Decoder;

static uint8_t next8(Decoder *d)
{
    if (d->pos >= X86_INSN_MAX) {
        d->too_long = true;
        return 0;
    }
    if (d->pos >= d->avail) {
        d->more = true;
        return 0;
    }
    return d->p[d->pos++];
}

/* A little-endian immediate of 1, 2, 4 or 8 bytes, sign-extended. */
static int64_t next_imm(Decoder *d, unsigned bytes)
{
    uint64_t v = 0;
    unsigned i;

    for (i = 0; i < bytes; i++) {
        v |= (uint64_t)next8(d) << (8 * i);
    }
    return (int64_t)(v << (64 - 8 * bytes)) >> (64 - 8 * bytes);
}

/* One legacy prefix; false if b is none. */
static bool legacy_prefix(Decoder *d, uint8_t b)
{
    switch (b) {
    case 0x26: d->seg = R_ES; break;
    case 0x2e: d->seg = R_CS; break;
    case 0x36: d->seg = R_SS; break;
    case 0x3e: d->seg = R_DS; break;
    case 0x64: d->seg = R_FS; break;
    case 0x65: d->seg = R_GS; break;
    case 0x66: d->op16 = true; break;
    case 0x67: d->a67 = true; break;
    case 0xf0: d->lock = true; break;
    case 0xf2: d->rep = OF_REPNE; break;
    case 0xf3: d->rep = OF_REP; break;
    default: return false;
    }
    return true;
}

static uint8_t prefixes(Decoder *d)
{
    uint8_t b;

    for (;;) {
        b = next8(d);
        if (d->more || d->too_long) {
            return 0;
        }
        if (legacy_prefix(d, b)) {
            d->rex = 0;
        } else if (d->mode == CODE64 && (b & 0xf0) == 0x40) {
            d->rex = b;
        } else {
            return b;
        }
    }
}

static unsigned byte_reg(const Decoder *d, unsigned r)
{
    if (!d->rex && (r & 4)) {
        return (r & 3) * 8 + 1;     /* AH, CH, DH, BH */
    }
    return r * 8;
}

static void set_seg(Decoder *d, unsigned def)
{
    unsigned seg = d->seg >= 0 ? (unsigned)d->seg : def;

    if (d->mode == CODE64) {
        /* def is kept: a non-canonical address raises #SS or #GP by it. */
        seg = d->seg >= R_FS ? (unsigned)d->seg : def;
        if (seg >= R_FS) {
            d->op->flags |= OF_EASLOW;
        }
    }
    d->op->seg = seg;
}

static void modrm16(Decoder *d, unsigned mod, unsigned rm)
{
    static const uint8_t base[8] = { R_EBX, R_EBX, R_EBP, R_EBP,
                                     R_ZERO, R_ZERO, R_EBP, R_EBX };
    static const uint8_t index[8] = { R_ESI, R_EDI, R_ESI, R_EDI,
                                      R_ESI, R_EDI, R_ZERO, R_ZERO };
    X86Op *op = d->op;

    op->base = base[rm];
    op->index = index[rm];
    if (mod == 0 && rm == 6) {
        op->base = R_ZERO;
        op->disp = next_imm(d, 2);
    } else if (mod) {
        op->disp = next_imm(d, mod == 1 ? 1 : 2);
    }
    set_seg(d, op->base == R_EBP ? R_SS : R_DS);
}

static void modrm_sib(Decoder *d, unsigned mod, bool vsib)
{
    uint8_t sib = next8(d);
    X86Op *op = d->op;
    unsigned index = ((sib >> 3) & 7) | (d->rex & 2) << 2;

    op->scale = sib >> 6;
    op->index = index == R_ESP || vsib ? R_ZERO : index;
    d->index = index;
    if ((sib & 7) == 5 && mod == 0) {
        op->base = R_ZERO;
        op->disp = next_imm(d, 4);
    } else {
        op->base = (sib & 7) | (d->rex & 1) << 3;
    }
}

static void modrm32(Decoder *d, unsigned mod, unsigned rm, bool vsib)
{
    X86Op *op = d->op;

    op->index = R_ZERO;
    if (rm == 4) {
        modrm_sib(d, mod, vsib);
    } else if (rm == 5 && mod == 0) {
        op->base = R_ZERO;
        op->disp = next_imm(d, 4);
        if (d->mode == CODE64) {
            op->base = R_PAGE;      /* and the offset of the next instruction */
            d->riprel = true;
        }
    } else {
        op->base = rm | (d->rex & 1) << 3;
    }
    if (mod == 1) {
        op->disp = next_imm(d, 1);
    } else if (mod == 2) {
        op->disp = next_imm(d, 4);
    }
    set_seg(d, op->base == R_ESP || op->base == R_EBP ? R_SS : R_DS);
}

/* The r/m operand; registers are numbered as attr says. */
static void operands(Decoder *d, uint32_t attr)
{
    X86Op *op = d->op;
    unsigned mod = d->modrm >> 6, rm = d->modrm & 7;
    unsigned reg = ((d->modrm >> 3) & 7) | (d->rex & 4) << 1;

    op->reg = attr & D_BYTE ? byte_reg(d, reg) : reg;
    if (attr & (D_MMX | D_REGMMX)) {
        op->reg &= 7;
    }
    if (mod == 3 || (attr & D_NOMOD)) {
        rm |= (d->rex & 1) << 3;
        op->rm = attr & (D_BYTE | D_RMBYTE) ? byte_reg(d, rm) : rm;
        if (attr & (D_MMX | D_RMMMX)) {
            op->rm &= 7;
        }
        return;
    }
    op->flags |= OF_MEM;
    if (op->flags & OF_A16) {
        modrm16(d, mod, rm);
    } else {
        modrm32(d, mod, rm, attr & D_VSIB);
    }
}

static void sizes(Decoder *d, uint32_t attr)
{
    X86Op *op = d->op;
    bool rexw = d->rex & 8;

    if (attr & D_BYTE) {
        op->size = 0;
    } else if (d->mode == CODE64) {
        op->size = rexw ? 3 : d->op16 ? 1 : 2;
        if (((attr & (D_64 | D_FORCE64)) && op->size == 2) || (attr & D_SZ64)) {
            op->size = 3;
        }
        if ((attr & D_AUTOSIZE) && op->size == 3) {
            op->size = 2;
        }
    } else {
        op->size = (d->mode == CODE32) != d->op16 ? 2 : 1;
        if (attr & D_SZ64) {
            op->size = 2;
        }
    }
}

static void immediates(Decoder *d, uint32_t attr)
{
    X86Op *op = d->op;

    if (attr & D_ONE) {
        op->imm = 1;
    } else if (attr & D_IB) {
        op->imm = next_imm(d, 1);
    } else if (attr & D_IZ) {
        op->imm = next_imm(d, op->size == 1 ? 2 : 4);
    } else if (attr & D_IW) {
        op->imm = (uint16_t)next_imm(d, 2);
        if (attr & D_IB2) {
            op->imm |= (int32_t)next8(d) << 16;
        }
    } else if (attr & D_IV) {
        if (op->size == 3) {
            op->disp = next_imm(d, 8);
        } else {
            op->imm = next_imm(d, 1u << op->size);
        }
    } else if (attr & D_FAR) {
        op->imm = next_imm(d, op->size == 1 ? 2 : 4);
        op->disp = (uint16_t)next_imm(d, 2);
    } else if (attr & D_MOFFS) {
        op->base = op->index = R_ZERO;
        op->disp = next_imm(d, op->flags & OF_A16 ? 2 :
                               op->flags & OF_A32 ? 4 : 8);
    }
}

static const OpDesc none;

/* 0F 38 b and 0F 3A b. */
static const OpDesc *lookup38(uint8_t b, unsigned pfx)
{
    if (b < X86_SSE38_END) {
        return &x86_sse38[b][pfx];
    }
    if ((b & ~1) == 0xf0 && pfx < 2) {
        return &x86_movbe[b & 1];
    }
    if (b == 0xf6 && (pfx == 1 || pfx == 2)) {
        return &x86_adx[pfx - 1];
    }
    if (b == 0x82 && pfx == 1) {
        return &x86_invpcid;
    }
    if (b >= 0xc8 && b < 0xe0) {
        return pfx == (b >= 0xd0) ? &x86_crypto38[b - 0xc8] : &none;
    }
    return (b & ~1) == 0xf0 && pfx == 3 ? &x86_crc32[b & 1] : &none;
}

static const OpDesc *lookup3a(uint8_t b, unsigned pfx)
{
    if (b == 0xcc || b == 0xdf) {
        return pfx == (b == 0xdf) ? &x86_crypto3a[b == 0xdf] : &none;
    }
    return b < X86_SSE3A_END ? &x86_sse3a[b][pfx] : &none;
}

/* What 0F is followed by. */
static const OpDesc *lookup0f(Decoder *d)
{
    unsigned pfx = d->rep == OF_REP ? 2 : d->rep == OF_REPNE ? 3 : d->op16;
    uint8_t b = next8(d);
    const OpDesc *desc = &x86_map0f[b];

    d->map = b == 0x38 ? 2 : b == 0x3a ? 3 : 1;
    d->opcode = d->map == 1 ? b : next8(d);
    if (d->map == 2) {
        return lookup38(d->opcode, pfx);
    }
    if (d->map == 3) {
        return lookup3a(d->opcode, pfx);
    }
    if ((!desc->h && !desc->attr) ||
        (d->rep == OF_REP && (b == 0xb8 || b == 0xae || (b & ~1) == 0xbc))) {
        return &x86_sse0f[b][pfx];
    }
    return desc;
}

/* Does the VEX prefix say what the instruction wants? */
static bool vex_refused(const Decoder *d, uint32_t rules, bool l, bool w)
{
    return (rules & VX_L0 && l) || (rules & VX_L1 && !l) || (rules & VX_W0 && w) ||
           (rules & VX_W1 && !w) || (!(rules & (VX_V | VX_VREG)) && d->vvvv);
}

/* What a VEX prefix leads to: C5 in two bytes or C4 in three (SDM 2A, 2.3.5). */
static const OpDesc *lookup_vex(Decoder *d, uint8_t b)
{
    bool refused = d->op16 || d->rep || d->lock || d->rex;
    uint8_t first = next8(d), last = b == 0xc4 ? next8(d) : first & 0x7f;
    unsigned prefix = last & 3;

    d->opcode = next8(d);
    d->map = b == 0xc4 ? first & 31 : 1;
    d->vvvv = ~last >> 3 & 15;
    d->rep = prefix == 2 ? OF_REP : prefix == 3 ? OF_REPNE : 0;
    d->rex = (~first >> 5 & (b == 0xc4 ? 7 : 4)) | (last & 0x80) >> 4;
    if (d->mode != CODE64) {
        d->rex &= 8;
        d->vvvv &= 7;
    }
    d->vex = d->more || d->too_long ? NULL : x86_vex_find(d->map, d->opcode, prefix);
    if (!d->vex || refused || vex_refused(d, d->vex->rules, last & 4, last & 0x80)) {
        return &none;
    }
    if (d->vex->rules & VX_GPR && d->mode != CODE64) {
        d->rex = 0;
    }
    d->op->flags |= OF_VEX | (d->rex & 8 ? OF_REXW : 0) | (prefix == 1 ? OF_OP16 : 0) |
                    (last & 4 && !(d->vex->rules & VX_LIG) ? OF_L : 0);
    return &d->vex->d;
}

/* In 64-bit code always; elsewhere LES and LDS with a register would be it. */
static bool is_vex(Decoder *d, uint8_t b)
{
    if (b != 0xc4 && b != 0xc5) {
        return false;
    }
    if (d->mode == CODE64) {
        return true;
    }
    d->more |= d->pos >= d->avail;
    return !d->more && d->pos < X86_INSN_MAX && d->p[d->pos] >= 0xc0;
}

static const OpDesc *lookup_byte(Decoder *d, uint8_t b)
{
    static const OpDesc nop = F(op_nop, 0), pause = F(op_pause, 0);
    static const OpDesc arpl = F(op_arpl, D_MODRM);

    if (b == 0x0f) {
        return lookup0f(d);
    }
    if (is_vex(d, b)) {
        return lookup_vex(d, b);
    }
    d->opcode = b;
    if (b == 0x90 && !(d->rex & 1)) {
        return d->rep == OF_REP ? &pause : &nop;
    }
    return b == 0x63 && d->mode != CODE64 ? &arpl : &x86_map1[b];
}

/* The description of the opcode, with its attributes added up in *attr. */
static const OpDesc *lookup(Decoder *d, uint8_t b, uint32_t *attr)
{
    const OpDesc *desc = lookup_byte(d, b);

    *attr = desc->attr;
    if (*attr & D_MODRM) {
        d->modrm = next8(d);
    }
    if (*attr & D_GRP7 && d->modrm >= 0xc0) {
        desc = &x86_grp7_reg[d->modrm & 0x3f];
        *attr = desc->attr | D_MODRM;
    } else if (*attr & D_GRP) {
        desc = &x86_groups[desc->h][(d->modrm >> 3) & 7];
        *attr |= desc->attr;
    }
    return d->more || d->too_long ? &none : desc;
}

/*
 * Which of D8 to DF are instructions: by ModRM.reg with memory, by the low six bits of ModRM
 * without. SDM 2D, A.5.2, and the second names of FCOMP, FXCH and FSTP.
 */
static bool x87_defined(const Decoder *d)
{
    static const uint8_t memory[8] = { 0xff, 0xfd, 0xff, 0xaf, 0xff, 0xdf, 0xff, 0xff };
    static const uint64_t registers[8] = {
        ~0ull, 0xffff7f33ff01ffff, 0x00000200ffffffff, 0x00ffff1fffffffff,
        ~0ull, 0x0000ffffffffffff, 0xffffffff02ffffff, 0x00ffff01ffffffff,
    };
    unsigned opc = d->opcode & 7;

    if (d->op->flags & OF_MEM) {
        return (memory[opc] >> ((d->modrm >> 3) & 7)) & 1;
    }
    return (registers[opc] >> (d->modrm & 63)) & 1;
}

static bool invalid(const Decoder *d, const OpDesc *desc, uint32_t attr)
{
    bool mem = d->op->flags & OF_MEM;

    return !desc->h || (d->mode == CODE64 && (attr & D_NO64)) ||
           (desc->h == H_op_x87 && !x87_defined(d)) ||
           ((attr & D_MEMONLY) && !mem) || ((attr & D_REGONLY) && mem) ||
           (mem && d->vex && (d->vex->rules & VX_VREG) && d->vvvv) ||
           ((attr & D_VSIB) && ((d->modrm & 7) != 4 || (d->op->flags & OF_A16))) ||
           (d->lock && !(mem && (attr & D_LOCK)));
}

static void finish(Decoder *d, const OpDesc *desc, uint32_t attr)
{
    X86Op *op = d->op;

    op->len = d->pos;
    op->id = desc->id;
    if (attr & D_TAB) {
        op->fn = x86_tables[desc->h][op->size + (op->flags & OF_MEM ? 4 : 0)];
    } else {
        op->fn = x86_functions[desc->h];
    }
    if (d->riprel) {
        op->disp += op->off + op->len;
    }
    if (op->fn == op_push_r && op->size == 3) {
        op->fn = op_push_r64;
    } else if (op->fn == op_pop_r && op->size == 3) {
        op->fn = op_pop_r64;
    }
    if (attr & D_REL) {
        if (x86_is_jcc(op)) {
            op->fn = tab_jcc[op->id & 15];
        }
        int64_t t = (int64_t)op->off + op->len + op->imm;

        if (t >= 0 && t < TCG_PAGE_SIZE && op->size != 1) {
            op->flags |= OF_INPAGE;
        }
    }
}

/* The fields beside the immediate. */
static void finish_vex(Decoder *d)
{
    uint32_t rules = d->vex->rules, need = VX_NEED_OF(rules);
    X86Op *op = d->op;

    if ((rules & VX_A2 && op->flags & OF_L) || (rules & VX_A2REG && !(op->flags & OF_MEM))) {
        need = VEX_AVX2;
    }
    op->imm = (uint8_t)op->imm | (uint32_t)d->vvvv << VEX_V_SHIFT |
              (uint32_t)d->index << VEX_INDEX_SHIFT | need << VEX_NEED_SHIFT;
}

static unsigned size_vex(const Decoder *d)
{
    bool wide = d->op->flags & OF_L;

    if (!d->vex->size) {
        return d->rex & 8 ? 3 : 2;
    }
    if (wide && d->vex->rules & VX_WHOLE) {
        return 5;
    }
    return d->vex->size + (wide && !(d->vex->rules & VX_FIXED)) +
           (d->vex->rules & VX_W8 && d->rex & 8);
}

static void init_op(Decoder *d, unsigned page_off)
{
    X86Op *op = d->op;

    memset(op, 0, sizeof(*op));
    op->off = page_off;
    op->index = R_ZERO;
    switch (d->mode) {
    case CODE64:
        op->flags = OF_C64 | (d->a67 ? OF_A32 | OF_EASLOW : 0);
        break;
    case CODE32:
        op->flags = OF_EASLOW | (d->a67 ? OF_A16 : OF_A32);
        break;
    default:
        op->flags = OF_EASLOW | OF_C16 | (d->a67 ? OF_A32 : OF_A16);
        break;
    }
    op->flags |= d->rep | (d->lock ? OF_LOCK : 0) | (d->op16 ? OF_OP16 : 0) |
                 (d->rex & 8 ? OF_REXW : 0);
    set_seg(d, R_DS);
}

int x86_decode(const uint8_t *p, unsigned avail, X86CodeSize mode,
               unsigned page_off, X86Op *op)
{
    Decoder d = { .p = p, .avail = avail, .mode = mode, .seg = -1, .op = op };
    const OpDesc *desc = NULL;
    uint32_t attr = 0;
    uint8_t b = prefixes(&d);

    init_op(&d, page_off);
    if (!d.more && !d.too_long) {
        desc = lookup(&d, b, &attr);
        if (attr & D_OPREG) {
            unsigned r = (d.p[d.pos - 1] & 7) | (d.rex & 1) << 3;
            op->rm = attr & D_BYTE ? byte_reg(&d, r) : r;
        }
        sizes(&d, attr);
        if (d.vex) {
            op->size = size_vex(&d);
        }
        if (attr & D_MODRM) {
            operands(&d, attr);
        }
        if ((attr & (D_64 | D_FORCE64)) && !(op->flags & OF_MEM)) {
            op->seg = R_SS;         /* what a bad stack address raises */
        }
        immediates(&d, attr);
        if (d.vex) {
            finish_vex(&d);
        }
        if (mode != CODE64 && x86_writes_memory(d.map, d.opcode, d.modrm, d.rep == OF_REP)) {
            op->flags |= OF_WRITES;
        }
    }
    if (d.too_long) {
        op->fn = op_gp0;
        op->len = X86_INSN_MAX;
        return D_END;
    }
    if (d.more) {
        return -1;
    }
    finish(&d, desc, attr);
    if (invalid(&d, desc, attr) || !op->fn) {
        op->fn = op_ud;
        return D_END;
    }
    return attr;
}
