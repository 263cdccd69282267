/*
 * Host instructions as bytes: x86-64 encodings of the few forms that the translator uses
 * (SDM 2, chapter 2).
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef TARGET_I386_TCG_JIT_EMIT_H
#define TARGET_I386_TCG_JIT_EMIT_H

#include <stdbool.h>
#include <stdint.h>

/* Host registers, by their numbers in encodings. */
enum {
    H_RAX, H_RCX, H_RDX, H_RBX, H_RSP, H_RBP, H_RSI, H_RDI,
    H_R8, H_R9, H_R10, H_R11, H_R12, H_R13, H_R14, H_R15,
    H_NONE = 0xff,
};

/* Where bytes go. Once full, nothing is written any more. */
typedef struct Emit {
    uint8_t *p, *end;
    bool full;
} Emit;

/* base and index may be H_NONE. */
typedef struct HostMem {
    uint8_t base, index, scale;
    int32_t disp;
} HostMem;

#define MEM(base_, disp_) ((HostMem) { (base_), H_NONE, 0, (disp_) })

/*
 * Opcodes are numbers: one byte, 0F and one byte (0x0fa2), both after a mandatory prefix
 * (0xf30fb8), or 0F 38 and 0F 3A with one (0x660f3800).
 */
enum {
    I_ADD = 0x01, I_OR = 0x09, I_AND = 0x21, I_SUB = 0x29, I_XOR = 0x31, I_CMP = 0x39,
    I_TEST = 0x85, I_STORE = 0x89, I_LOAD = 0x8b, I_LEA = 0x8d, I_IMM8 = 0x83, I_IMM = 0x81,
    I_SHIFT_IMM = 0xc1, I_SHIFT_CL = 0xd3, I_MOV_IMM = 0xc7, I_UNARY = 0xf7, I_INCDEC = 0xff,
    I_SETCC = 0x0f90, I_CMOV = 0x0f40, I_BT_IMM = 0x0fba, I_MOVZX8 = 0x0fb6, I_MOVZX16 = 0x0fb7,
    I_MOVAPS = 0x0f28, I_MOVAPS_STORE = 0x0f29,
};
/* /digit of I_IMM and I_IMM8. */
enum { ALU_ADD, ALU_OR, ALU_ADC, ALU_SBB, ALU_AND, ALU_SUB, ALU_XOR, ALU_CMP, ALU_TEST };
/* Conditions of Jcc. */
enum { H_O, H_NO, H_B, H_NB, H_Z, H_NZ, H_BE, H_A, H_S, H_NS, H_P, H_NP, H_L, H_GE, H_LE, H_G };

void emit8(Emit *e, uint8_t v);
void emit32(Emit *e, uint32_t v);

/* An instruction with ModRM; size: log2 of the operands' bytes. An immediate follows by itself. */
void emit_rr(Emit *e, unsigned size, uint32_t opcode, unsigned reg, unsigned rm);
void emit_rm(Emit *e, unsigned size, uint32_t opcode, unsigned reg, HostMem m);
/* An arithmetic instruction ALU_* of a register and an immediate, which is cut to size. */
void emit_alu_imm(Emit *e, unsigned size, unsigned alu, unsigned reg, int32_t imm);
void emit_alu_mem_imm(Emit *e, unsigned size, unsigned alu, HostMem m, int32_t imm);
/* The immediate of an instruction with operands of that size, at most 32 bits. */
void emit_imm(Emit *e, unsigned size, int32_t imm);
void emit_mov_imm64(Emit *e, unsigned reg, uint64_t v);
void emit_push(Emit *e, unsigned reg);
void emit_pop(Emit *e, unsigned reg);
void emit_call_reg(Emit *e, unsigned reg);
void emit_jmp_mem(Emit *e, HostMem m);

/* Jumps whose distance of 32 bits is filled in by emit_here() or emit_link(); the place of it. */
uint8_t *emit_jmp(Emit *e);
uint8_t *emit_jcc(Emit *e, unsigned cc);
uint8_t *emit_call(Emit *e);
/* lea reg, [rip + distance]. */
uint8_t *emit_lea_rip(Emit *e, unsigned reg);
void emit_link(Emit *e, uint8_t *at, const uint8_t *target);
void emit_here(Emit *e, uint8_t *at);

#endif
