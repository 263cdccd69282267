/*
 * The one-byte opcode map (SDM 2D, table A-2) and its groups.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "target/i386/cpu.h"
#include "target/i386/tcg/decode/maps.h"


#define ALU_ROW(base, name, lock) \
    [base + 0] = T(tab_##name##_er, D_MODRM | D_BYTE | lock), \
    [base + 1] = T(tab_##name##_er, D_MODRM | lock), \
    [base + 2] = T(tab_##name##_re, D_MODRM | D_BYTE), \
    [base + 3] = T(tab_##name##_re, D_MODRM), \
    [base + 4] = T(tab_##name##_ei, D_BYTE | D_IB), \
    [base + 5] = T(tab_##name##_ei, D_IZ)

#define GRP1(name, imm) \
const OpDesc x86_##name[8] = { \
    T(tab_add_ei, D_LOCK | imm), T(tab_or_ei, D_LOCK | imm), \
    T(tab_adc_ei, D_LOCK | imm), T(tab_sbb_ei, D_LOCK | imm), \
    T(tab_and_ei, D_LOCK | imm), T(tab_sub_ei, D_LOCK | imm), \
    T(tab_xor_ei, D_LOCK | imm), T(tab_cmp_ei, imm), \
};
GRP1(grp80, D_BYTE | D_IB)
GRP1(grp81, D_IZ)
GRP1(grp83, D_IB)

#define GRP2(name, fn, attr) \
const OpDesc x86_##name[8] = { \
    FI(fn, attr, 0), FI(fn, attr, 1), FI(fn, attr, 2), FI(fn, attr, 3), \
    FI(fn, attr, 4), FI(fn, attr, 5), FI(fn, attr, 6), FI(fn, attr, 7), \
};
GRP2(grpc0, op_shift_i, D_BYTE | D_IB)
GRP2(grpd0, op_shift_i, D_BYTE | D_ONE)
GRP2(grpd2, op_shift_cl, D_BYTE)

/* The tables' generic members look at id. */
#define GRP2_TABS(name, imm) \
const OpDesc x86_##name[8] = { \
    TI(tab_rol_i, imm, 0), TI(tab_ror_i, imm, 1), FI(op_shift_i, imm, 2), \
    FI(op_shift_i, imm, 3), TI(tab_shl_i, imm, 4), TI(tab_shr_i, imm, 5), \
    TI(tab_shl_i, imm, 6), TI(tab_sar_i, imm, 7), \
};
GRP2_TABS(grpc1, D_IB)
GRP2_TABS(grpd1, D_ONE)
const OpDesc x86_grpd3[8] = {
    FI(op_shift_cl, 0, 0), FI(op_shift_cl, 0, 1), FI(op_shift_cl, 0, 2),
    FI(op_shift_cl, 0, 3), TI(tab_shl_cl, 0, 4), TI(tab_shr_cl, 0, 5),
    TI(tab_shl_cl, 0, 6), TI(tab_sar_cl, 0, 7),
};

#define GRP3(name, b, imm) \
const OpDesc x86_##name[8] = { \
    T(tab_test_ei, b | imm), T(tab_test_ei, b | imm), \
    T(tab_not, b | D_LOCK), T(tab_neg, b | D_LOCK), \
    F(op_mul, b), F(op_imul1, b), F(op_div, b), F(op_idiv, b), \
};
GRP3(grpf6, D_BYTE, D_IB)
GRP3(grpf7, 0, D_IZ)

const OpDesc x86_grpfe[8] = {
    T(tab_inc, D_BYTE | D_LOCK), T(tab_dec, D_BYTE | D_LOCK),
};
const OpDesc x86_grpff[8] = {
    T(tab_inc, D_LOCK), T(tab_dec, D_LOCK), F(op_call_rm, D_FORCE64 | D_END),
    F(op_call_far_m, D_MEMONLY | D_END), F(op_jmp_rm, D_FORCE64 | D_END),
    F(op_jmp_far_m, D_MEMONLY | D_END), F(op_push_rm, D_64),
};
const OpDesc x86_grp8f[8] = { F(op_pop_rm, D_64) };
const OpDesc x86_grpc6[8] = { T(tab_mov_ei, D_BYTE | D_IB) };
const OpDesc x86_grpc7[8] = { T(tab_mov_ei, D_IZ) };

#define ROW8(base, X) \
    [base + 0] = X, [base + 1] = X, [base + 2] = X, [base + 3] = X, \
    [base + 4] = X, [base + 5] = X, [base + 6] = X, [base + 7] = X

#define X87(n) [0xd8 + n] = FI(op_x87, D_MODRM, n)

const OpDesc x86_map1[256] = {
    ALU_ROW(0x00, add, D_LOCK), ALU_ROW(0x08, or, D_LOCK),
    ALU_ROW(0x10, adc, D_LOCK), ALU_ROW(0x18, sbb, D_LOCK),
    ALU_ROW(0x20, and, D_LOCK), ALU_ROW(0x28, sub, D_LOCK),
    ALU_ROW(0x30, xor, D_LOCK), ALU_ROW(0x38, cmp, 0),
    [0x06] = FI(op_push_seg, D_NO64, R_ES),
    [0x07] = FI(op_pop_seg, D_NO64 | D_END, R_ES),
    [0x0e] = FI(op_push_seg, D_NO64, R_CS),
    [0x16] = FI(op_push_seg, D_NO64, R_SS),
    [0x17] = FI(op_pop_seg, D_NO64 | D_END, R_SS),
    [0x1e] = FI(op_push_seg, D_NO64, R_DS),
    [0x1f] = FI(op_pop_seg, D_NO64 | D_END, R_DS),
    [0x27] = F(op_daa, D_NO64), [0x2f] = F(op_das, D_NO64),
    [0x37] = F(op_aaa, D_NO64), [0x3f] = F(op_aas, D_NO64),
    /* 40-4F are REX in 64-bit code and never come here then. */
    ROW8(0x40, T(tab_inc, D_OPREG)), ROW8(0x48, T(tab_dec, D_OPREG)),
    ROW8(0x50, F(op_push_r, D_OPREG | D_64)),
    ROW8(0x58, F(op_pop_r, D_OPREG | D_64)),
    [0x60] = F(op_pusha, D_NO64), [0x61] = F(op_popa, D_NO64),
    [0x62] = F(op_bound, D_NO64 | D_MODRM | D_MEMONLY),
    [0x63] = T(tab_movsxd, D_MODRM),    /* ARPL outside: see the decoder */
    [0x68] = F(op_push_imm, D_IZ | D_64),
    [0x69] = T(tab_imul_rei, D_MODRM | D_IZ),
    [0x6a] = F(op_push_imm, D_IB | D_64),
    [0x6b] = T(tab_imul_rei, D_MODRM | D_IB),
    [0x6c] = F(op_ins, D_BYTE), [0x6d] = F(op_ins, D_AUTOSIZE),
    [0x6e] = F(op_outs, D_BYTE), [0x6f] = F(op_outs, D_AUTOSIZE),
#define J(n) [0x70 + n] = FI(op_jmp_rel, D_IB | D_REL | D_FORCE64, X86_ID_JCC + n)
    J(0), J(1), J(2), J(3), J(4), J(5), J(6), J(7),
    J(8), J(9), J(10), J(11), J(12), J(13), J(14), J(15),
    [0x80] = G(grp80, D_BYTE), [0x81] = G(grp81, 0),
    [0x82] = G(grp80, D_BYTE | D_NO64), [0x83] = G(grp83, 0),
    [0x84] = T(tab_test_er, D_MODRM | D_BYTE),
    [0x85] = T(tab_test_er, D_MODRM),
    [0x86] = T(tab_xchg, D_MODRM | D_BYTE | D_LOCK),
    [0x87] = T(tab_xchg, D_MODRM | D_LOCK),
    [0x88] = T(tab_mov_er, D_MODRM | D_BYTE), [0x89] = T(tab_mov_er, D_MODRM),
    [0x8a] = T(tab_mov_re, D_MODRM | D_BYTE), [0x8b] = T(tab_mov_re, D_MODRM),
    [0x8c] = F(op_mov_from_seg, D_MODRM),
    [0x8d] = T(tab_lea, D_MODRM | D_MEMONLY),
    [0x8e] = F(op_mov_to_seg, D_MODRM | D_END),
    [0x8f] = G(grp8f, 0),
    ROW8(0x90, T(tab_xchg, D_OPREG)),
    [0x98] = F(op_cbw, 0), [0x99] = F(op_cwd, 0),
    [0x9a] = F(op_call_far, D_NO64 | D_FAR | D_END),
    [0x9b] = F(op_fwait, 0),
    [0x9c] = F(op_pushf, D_64), [0x9d] = F(op_popf, D_64),
    [0x9e] = F(op_sahf, 0), [0x9f] = F(op_lahf, 0),
    [0xa0] = F(op_mov_moffs_ld, D_BYTE | D_MOFFS),
    [0xa1] = F(op_mov_moffs_ld, D_MOFFS),
    [0xa2] = F(op_mov_moffs_st, D_BYTE | D_MOFFS),
    [0xa3] = F(op_mov_moffs_st, D_MOFFS),
    [0xa4] = F(op_movs, D_BYTE), [0xa5] = F(op_movs, 0),
    [0xa6] = F(op_cmps, D_BYTE), [0xa7] = F(op_cmps, 0),
    [0xa8] = T(tab_test_ei, D_BYTE | D_IB), [0xa9] = T(tab_test_ei, D_IZ),
    [0xaa] = F(op_stos, D_BYTE), [0xab] = F(op_stos, 0),
    [0xac] = F(op_lods, D_BYTE), [0xad] = F(op_lods, 0),
    [0xae] = F(op_scas, D_BYTE), [0xaf] = F(op_scas, 0),
    ROW8(0xb0, T(tab_mov_ei, D_OPREG | D_BYTE | D_IB)),
    ROW8(0xb8, T(tab_mov_iv, D_OPREG | D_IV)),
    [0xc0] = G(grpc0, D_BYTE), [0xc1] = G(grpc1, 0),
    [0xc2] = F(op_ret, D_IW | D_FORCE64 | D_END),
    [0xc3] = F(op_ret, D_FORCE64 | D_END),
    [0xc4] = FI(op_les, D_NO64 | D_MODRM | D_MEMONLY | D_END, R_ES),
    [0xc5] = FI(op_les, D_NO64 | D_MODRM | D_MEMONLY | D_END, R_DS),
    [0xc6] = G(grpc6, D_BYTE), [0xc7] = G(grpc7, 0),
    [0xc8] = F(op_enter, D_IW | D_IB2 | D_64), [0xc9] = F(op_leave, D_64),
    [0xca] = F(op_retf, D_IW | D_END), [0xcb] = F(op_retf, D_END),
    [0xcc] = F(op_int3, D_END), [0xcd] = F(op_int, D_IB | D_END),
    [0xce] = F(op_into, D_NO64), [0xcf] = F(op_iret, D_END),
    [0xd0] = G(grpd0, D_BYTE), [0xd1] = G(grpd1, 0),
    [0xd2] = G(grpd2, D_BYTE), [0xd3] = G(grpd3, 0),
    [0xd4] = F(op_aam, D_NO64 | D_IB), [0xd5] = F(op_aad, D_NO64 | D_IB),
    [0xd6] = F(op_salc, D_NO64), [0xd7] = F(op_xlat, 0),
    X87(0), X87(1), X87(2), X87(3), X87(4), X87(5), X87(6), X87(7),
#define LOOP_ATTR (D_IB | D_REL | D_FORCE64)
    [0xe0] = FI(op_loop, LOOP_ATTR, 0), [0xe1] = FI(op_loop, LOOP_ATTR, 1),
    [0xe2] = FI(op_loop, LOOP_ATTR, 2), [0xe3] = FI(op_jcxz, LOOP_ATTR, 0),
    [0xe4] = FI(op_in, D_BYTE | D_IB, 1), [0xe5] = FI(op_in, D_IB | D_AUTOSIZE, 1),
    [0xe6] = FI(op_out, D_BYTE | D_IB, 1), [0xe7] = FI(op_out, D_IB | D_AUTOSIZE, 1),
    [0xe8] = F(op_call_rel, D_IZ | D_REL | D_FORCE64 | D_END),
    [0xe9] = F(op_jmp_rel, D_IZ | D_REL | D_FORCE64 | D_END),
    [0xea] = F(op_jmp_far, D_NO64 | D_FAR | D_END),
    [0xeb] = F(op_jmp_rel, D_IB | D_REL | D_FORCE64 | D_END),
    [0xec] = FI(op_in, D_BYTE, 0), [0xed] = FI(op_in, D_AUTOSIZE, 0),
    [0xee] = FI(op_out, D_BYTE, 0), [0xef] = FI(op_out, D_AUTOSIZE, 0),
    [0xf1] = F(op_int1, D_END), [0xf4] = F(op_hlt, D_END),
    [0xf5] = F(op_cmc, 0), [0xf6] = G(grpf6, D_BYTE), [0xf7] = G(grpf7, 0),
    [0xf8] = F(op_clc, 0), [0xf9] = F(op_stc, 0), [0xfa] = F(op_cli, 0),
    [0xfb] = F(op_sti, 0), [0xfc] = F(op_cld, 0), [0xfd] = F(op_std, 0),
    [0xfe] = G(grpfe, D_BYTE), [0xff] = G(grpff, 0),
};
