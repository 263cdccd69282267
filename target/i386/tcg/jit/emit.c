/*
 * Host instructions as bytes.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "target/i386/tcg/jit/emit.h"

#include <string.h>

static void put(Emit *e, const void *bytes, unsigned n)
{
    if (e->end - e->p < (int)n) {
        e->full = true;
        return;
    }
    memcpy(e->p, bytes, n);
    e->p += n;
}

void emit8(Emit *e, uint8_t v) { put(e, &v, 1); }
static void emit16(Emit *e, uint16_t v) { put(e, &v, 2); }
void emit32(Emit *e, uint32_t v) { put(e, &v, 4); }
static void emit64(Emit *e, uint64_t v) { put(e, &v, 8); }

/* Byte operands in registers: without REX, 4 to 7 would be AH to BH. */
static bool has_bytes(unsigned size, uint32_t opcode)
{
    return size == 0 || (opcode & ~8u) == I_MOVZX8 || (opcode & ~15u) == I_SETCC;
}

/* Prefixes and opcode; the numbers of registers go into REX. */
static void emit_head(Emit *e, unsigned size, uint32_t opcode, unsigned reg, unsigned index,
                      unsigned base)
{
    uint8_t rex = (size == 3) << 3 | (reg >> 3 & 1) << 2 | (index >> 3 & 1) << 1 | (base >> 3 & 1);
    bool map3 = opcode >> 24, prefix = opcode >> 16;

    if (prefix) {
        emit8(e, map3 ? opcode >> 24 : opcode >> 16);
    } else if (size == 1) {
        emit8(e, 0x66);
    }
    if (rex || has_bytes(size, opcode)) {
        emit8(e, 0x40 | rex);
    }
    if (map3) {
        emit8(e, 0x0f);
    }
    if (opcode >> 8) {
        emit8(e, opcode >> 8);
    }
    emit8(e, opcode);
}

void emit_rr(Emit *e, unsigned size, uint32_t opcode, unsigned reg, unsigned rm)
{
    emit_head(e, size, opcode, reg, 0, rm);
    emit8(e, 0xc0 | (reg & 7) << 3 | (rm & 7));
}

void emit_rm(Emit *e, unsigned size, uint32_t opcode, unsigned reg, HostMem m)
{
    bool base = m.base != H_NONE, index = m.index != H_NONE;
    bool sib = index || !base || (m.base & 7) == H_RSP, small = m.disp == (int8_t)m.disp;
    /* mod 0 with 5 as base would be no base at all. */
    unsigned mod = !base ? 0 : !m.disp && (m.base & 7) != H_RBP ? 0 : small ? 1 : 2;

    emit_head(e, size, opcode, reg, index ? m.index : 0, base ? m.base : 0);
    emit8(e, mod << 6 | (reg & 7) << 3 | (sib ? 4 : m.base & 7));
    if (sib) {
        emit8(e, m.scale << 6 | (index ? m.index & 7 : 4) << 3 | (base ? m.base & 7 : 5));
    }
    if (!base || mod == 2) {
        emit32(e, m.disp);
    } else if (mod == 1) {
        emit8(e, m.disp);
    }
}

void emit_imm(Emit *e, unsigned size, int32_t imm)
{
    if (size == 0) {
        emit8(e, imm);
    } else if (size == 1) {
        emit16(e, imm);
    } else {
        emit32(e, imm);
    }
}

/* The opcode for an arithmetic instruction with an immediate; *imm_size: how that is written. */
static uint32_t alu_imm_opcode(unsigned size, unsigned alu, int32_t imm, unsigned *imm_size)
{
    *imm_size = size;
    if (alu == ALU_TEST) {
        return size ? I_UNARY : I_UNARY - 1;
    }
    if (size == 0) {
        return 0x80;
    }
    if (imm == (int8_t)imm) {
        *imm_size = 0;
        return I_IMM8;
    }
    return I_IMM;
}

void emit_alu_imm(Emit *e, unsigned size, unsigned alu, unsigned reg, int32_t imm)
{
    unsigned imm_size;
    uint32_t opcode = alu_imm_opcode(size, alu, imm, &imm_size);

    emit_rr(e, size, opcode, alu == ALU_TEST ? 0 : alu, reg);
    emit_imm(e, imm_size, imm);
}

void emit_alu_mem_imm(Emit *e, unsigned size, unsigned alu, HostMem m, int32_t imm)
{
    unsigned imm_size;
    uint32_t opcode = alu_imm_opcode(size, alu, imm, &imm_size);

    emit_rm(e, size, opcode, alu == ALU_TEST ? 0 : alu, m);
    emit_imm(e, imm_size, imm);
}

void emit_mov_imm64(Emit *e, unsigned reg, uint64_t v)
{
    if (v == (uint32_t)v) {             /* the upper half becomes 0 */
        emit_head(e, 2, 0xb8 | (reg & 7), 0, 0, reg);
        emit32(e, v);
        return;
    }
    emit_head(e, 3, 0xb8 | (reg & 7), 0, 0, reg);
    emit64(e, v);
}

void emit_push(Emit *e, unsigned reg)
{
    emit_head(e, 2, 0x50 | (reg & 7), 0, 0, reg);
}

void emit_pop(Emit *e, unsigned reg)
{
    emit_head(e, 2, 0x58 | (reg & 7), 0, 0, reg);
}

void emit_call_reg(Emit *e, unsigned reg)
{
    emit_rr(e, 2, 0xff, 2, reg);
}

void emit_jmp_mem(Emit *e, HostMem m)
{
    emit_rm(e, 2, 0xff, 4, m);
}

/* Leaves room for a distance. */
static uint8_t *distance(Emit *e)
{
    uint8_t *at = e->p;

    emit32(e, 0);
    return at;
}

uint8_t *emit_jmp(Emit *e)
{
    emit8(e, 0xe9);
    return distance(e);
}

uint8_t *emit_jcc(Emit *e, unsigned cc)
{
    emit8(e, 0x0f);
    emit8(e, 0x80 | cc);
    return distance(e);
}

uint8_t *emit_call(Emit *e)
{
    emit8(e, 0xe8);
    return distance(e);
}

uint8_t *emit_lea_rip(Emit *e, unsigned reg)
{
    emit8(e, 0x48 | (reg >> 3) << 2);
    emit8(e, I_LEA);
    emit8(e, 5 | (reg & 7) << 3);
    return distance(e);
}

void emit_link(Emit *e, uint8_t *at, const uint8_t *target)
{
    int32_t d = target - (at + 4);

    if (!e->full) {
        memcpy(at, &d, 4);
    }
}

void emit_here(Emit *e, uint8_t *at)
{
    emit_link(e, at, e->p);
}
