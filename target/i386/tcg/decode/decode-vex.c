/*
 * The opcode maps of instructions with a VEX prefix (SDM 2D, tables ).
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <stddef.h>

#include "target/i386/tcg/decode/vex-rules.h"
#include "target/i386/tcg/decode/maps.h"
#include "target/i386/tcg/ops/vex.h"

#define AVX2 VX_NEED(VEX_AVX2)
#define GPR (VX_GPR | VX_L0)

/* X(map, prefix, opcode, function, id, log2 of an operand's bytes, rules): general registers. */
#define VEX_GENERAL(X) \
    X(2, 0, 0xf2, op_andn, 0, 0, GPR | VX_V) X(2, 0, 0xf5, op_bzhi, 0, 0, GPR | VX_V) \
    X(2, 3, 0xf5, op_pdep, 0, 0, GPR | VX_V) X(2, 2, 0xf5, op_pdep, 1, 0, GPR | VX_V) \
    X(2, 3, 0xf6, op_mulx, 0, 0, GPR | VX_V) X(2, 0, 0xf7, op_bextr, 0, 0, GPR | VX_V) \
    X(2, 1, 0xf7, op_shiftx, 1, 0, GPR | VX_V) X(2, 2, 0xf7, op_shiftx, 2, 0, GPR | VX_V) \
    X(2, 3, 0xf7, op_shiftx, 3, 0, GPR | VX_V) X(3, 3, 0xf0, op_rorx, 0, 0, GPR | VX_I8)
/* Moves, and what is done as with SSE, but for the upper half of the result. */
#define VEX_MOVES(X) \
    X(1, 0, 0x10, op_vex_load, 0, 4, 0) X(1, 1, 0x10, op_vex_load, 0, 4, 0) \
    X(1, 2, 0x10, op_vex_movs, 4, 2, VX_VREG | VX_LIG) \
    X(1, 3, 0x10, op_vex_movs, 8, 3, VX_VREG | VX_LIG) \
    X(1, 0, 0x11, op_vex_store, 0, 4, 0) X(1, 1, 0x11, op_vex_store, 0, 4, 0) \
    X(1, 2, 0x11, op_vex_movs_st, 4, 2, VX_VREG | VX_LIG) \
    X(1, 3, 0x11, op_vex_movs_st, 8, 3, VX_VREG | VX_LIG) \
    X(1, 0, 0x13, op_vex_sse_store, 8, 3, VX_L0 | VX_MO) \
    X(1, 1, 0x13, op_vex_sse_store, 8, 3, VX_L0 | VX_MO) \
    X(1, 0, 0x17, op_vex_sse_store, 9, 3, VX_L0 | VX_MO) \
    X(1, 1, 0x17, op_vex_sse_store, 9, 3, VX_L0 | VX_MO) \
    X(1, 0, 0x28, op_vex_load, 1, 4, 0) X(1, 1, 0x28, op_vex_load, 1, 4, 0) \
    X(1, 0, 0x29, op_vex_store, 1, 4, 0) X(1, 1, 0x29, op_vex_store, 1, 4, 0) \
    X(1, 0, 0x2b, op_vex_store, 1, 4, VX_MO) X(1, 1, 0x2b, op_vex_store, 1, 4, VX_MO) \
    X(1, 1, 0x6f, op_vex_load, 1, 4, 0) X(1, 2, 0x6f, op_vex_load, 0, 4, 0) \
    X(1, 1, 0x7f, op_vex_store, 1, 4, 0) X(1, 2, 0x7f, op_vex_store, 0, 4, 0) \
    X(1, 1, 0xe7, op_vex_store, 1, 4, VX_MO) X(1, 3, 0xf0, op_vex_load, 0, 4, VX_MO) \
    X(2, 1, 0x2a, op_vex_load, 1, 4, VX_A2 | VX_MO) \
    X(1, 2, 0x2a, op_vex_cvt_gpr, 0, 0, VX_GPR | VX_LIG | VX_V) \
    X(1, 3, 0x2a, op_vex_cvt_gpr, 1, 0, VX_GPR | VX_LIG | VX_V) \
    X(1, 2, 0x2c, op_vex_cvt_gpr, 4, 2, VX_GPR | VX_LIG) \
    X(1, 3, 0x2c, op_vex_cvt_gpr, 6, 3, VX_GPR | VX_LIG) \
    X(1, 2, 0x2d, op_vex_cvt_gpr, 5, 2, VX_GPR | VX_LIG) \
    X(1, 3, 0x2d, op_vex_cvt_gpr, 7, 3, VX_GPR | VX_LIG) \
    X(1, 0, 0x2e, op_vex_comis, 0, 2, VX_LIG) X(1, 1, 0x2e, op_vex_comis, 1, 3, VX_LIG) \
    X(1, 0, 0x2f, op_vex_comis, 2, 2, VX_LIG) X(1, 1, 0x2f, op_vex_comis, 3, 3, VX_LIG) \
    X(1, 0, 0x50, op_vex_movmsk, 0, 4, VX_RO) X(1, 1, 0x50, op_vex_movmsk, 1, 4, VX_RO) \
    X(1, 1, 0xd7, op_vex_movmsk, 2, 4, VX_RO | VX_A2) \
    X(1, 1, 0x6e, op_vex_movd, 0, 0, GPR) X(1, 1, 0x7e, op_vex_movd, 1, 0, GPR) \
    X(1, 0, 0x77, op_vzero, 0, 4, VX_NOMODRM) \
    X(1, 1, 0xc4, op_vex_pinsr, 1, 1, VX_L0 | VX_V | VX_I8) \
    X(1, 1, 0xc5, op_vex_pextr, 4, 1, VX_L0 | VX_RO | VX_I8) \
    X(1, 1, 0xd6, op_vex_sse_store, 10, 3, VX_L0) \
    X(1, 1, 0xf7, op_vex_maskmovdqu, 0, 4, VX_L0 | VX_RO) \
    X(3, 1, 0x14, op_vex_pextr, 0, 1, VX_L0 | VX_I8) \
    X(3, 1, 0x15, op_vex_pextr, 1, 1, VX_L0 | VX_I8) \
    X(3, 1, 0x16, op_vex_pextr, 2, 0, GPR | VX_I8) \
    X(3, 1, 0x17, op_vex_pextr, 5, 2, VX_L0 | VX_I8) \
    X(3, 1, 0x20, op_vex_pinsr, 0, 1, VX_L0 | VX_V | VX_I8) \
    X(3, 1, 0x21, op_vex_insertps, 0, 2, VX_L0 | VX_V | VX_I8) \
    X(3, 1, 0x22, op_vex_pinsr, 2, 0, GPR | VX_V | VX_I8) \
    X(3, 1, 0x60, op_vex_pcmpstr, 0, 4, VX_L0 | VX_GPR | VX_I8) \
    X(3, 1, 0x61, op_vex_pcmpstr, 1, 4, VX_L0 | VX_GPR | VX_I8) \
    X(3, 1, 0x62, op_vex_pcmpstr, 2, 4, VX_L0 | VX_I8) \
    X(3, 1, 0x63, op_vex_pcmpstr, 3, 4, VX_L0 | VX_I8)
/* What is not done lane by lane. */
#define VEX_OTHERS(X) \
    X(2, 1, 0x0e, op_vtest, 1, 4, VX_W0) X(2, 1, 0x0f, op_vtest, 2, 4, VX_W0) \
    X(2, 1, 0x16, op_vpermd, 0, 4, VX_V | VX_L1 | VX_W0 | AVX2) \
    X(2, 1, 0x36, op_vpermd, 0, 4, VX_V | VX_L1 | VX_W0 | AVX2) \
    X(2, 1, 0x17, op_vtest, 0, 4, 0) \
    X(2, 1, 0x18, op_vbroadcast, 2, 2, VX_FIXED | VX_W0 | VX_A2REG) \
    X(2, 1, 0x19, op_vbroadcast, 3, 3, VX_FIXED | VX_L1 | VX_W0 | VX_A2REG) \
    X(2, 1, 0x1a, op_vbroadcast, 4, 4, VX_FIXED | VX_L1 | VX_W0 | VX_MO) \
    X(2, 1, 0x5a, op_vbroadcast, 4, 4, VX_FIXED | VX_L1 | VX_W0 | VX_MO | AVX2) \
    X(2, 1, 0x58, op_vbroadcast, 2, 2, VX_FIXED | VX_W0 | AVX2) \
    X(2, 1, 0x59, op_vbroadcast, 3, 3, VX_FIXED | VX_W0 | AVX2) \
    X(2, 1, 0x78, op_vbroadcast, 0, 1, VX_FIXED | VX_W0 | AVX2) \
    X(2, 1, 0x79, op_vbroadcast, 1, 1, VX_FIXED | VX_W0 | AVX2) \
    X(2, 1, 0x2c, op_vmaskmov, 4, 4, VX_V | VX_W0 | VX_MO) \
    X(2, 1, 0x2d, op_vmaskmov, 8, 4, VX_V | VX_W0 | VX_MO) \
    X(2, 1, 0x2e, op_vmaskmov_st, 4, 4, VX_V | VX_W0 | VX_MO) \
    X(2, 1, 0x2f, op_vmaskmov_st, 8, 4, VX_V | VX_W0 | VX_MO) \
    X(2, 1, 0x8c, op_vmaskmov, 0, 4, VX_V | VX_MO | AVX2) \
    X(2, 1, 0x8e, op_vmaskmov_st, 0, 4, VX_V | VX_MO | AVX2) \
    X(2, 1, 0x90, op_vgather, 0, 2, VX_V | VX_MO | VX_VSIB | VX_FIXED | AVX2) \
    X(2, 1, 0x91, op_vgather, 1, 2, VX_V | VX_MO | VX_VSIB | VX_FIXED | AVX2) \
    X(2, 1, 0x92, op_vgather, 0, 2, VX_V | VX_MO | VX_VSIB | VX_FIXED | AVX2) \
    X(2, 1, 0x93, op_vgather, 1, 2, VX_V | VX_MO | VX_VSIB | VX_FIXED | AVX2) \
    X(3, 1, 0x00, op_vpermq, 0, 4, VX_L1 | VX_W1 | VX_I8 | AVX2) \
    X(3, 1, 0x01, op_vpermq, 0, 4, VX_L1 | VX_W1 | VX_I8 | AVX2) \
    X(3, 1, 0x06, op_vperm2, 0, 4, VX_V | VX_L1 | VX_W0 | VX_I8) \
    X(3, 1, 0x46, op_vperm2, 0, 4, VX_V | VX_L1 | VX_W0 | VX_I8 | AVX2) \
    X(3, 1, 0x18, op_vinsert, 0, 4, VX_V | VX_L1 | VX_W0 | VX_I8 | VX_FIXED) \
    X(3, 1, 0x38, op_vinsert, 0, 4, VX_V | VX_L1 | VX_W0 | VX_I8 | VX_FIXED | AVX2) \
    X(3, 1, 0x19, op_vextract, 0, 4, VX_L1 | VX_W0 | VX_I8 | VX_FIXED) \
    X(3, 1, 0x39, op_vextract, 0, 4, VX_L1 | VX_W0 | VX_I8 | VX_FIXED | AVX2) \
    X(3, 1, 0x4a, op_vblendv, 4, 4, VX_V | VX_W0 | VX_I8) \
    X(3, 1, 0x4b, op_vblendv, 8, 4, VX_V | VX_W0 | VX_I8) \
    X(3, 1, 0x4c, op_vblendv, 1, 4, VX_V | VX_W0 | VX_A2 | VX_I8)
#define FMAP (VX_V | VX_NEED(VEX_FMA) | VX_FP)
#define FMAS (FMAP | VX_LIG | VX_W8)
#define VEX_FMAS(X) \
    X(2, 1, 0x96, op_vfma, 0x96, 4, FMAP) X(2, 1, 0x97, op_vfma, 0x97, 4, FMAP) \
    X(2, 1, 0x98, op_vfma, 0x98, 4, FMAP) X(2, 1, 0x99, op_vfma, 0x99, 2, FMAS) \
    X(2, 1, 0x9a, op_vfma, 0x9a, 4, FMAP) X(2, 1, 0x9b, op_vfma, 0x9b, 2, FMAS) \
    X(2, 1, 0x9c, op_vfma, 0x9c, 4, FMAP) X(2, 1, 0x9d, op_vfma, 0x9d, 2, FMAS) \
    X(2, 1, 0x9e, op_vfma, 0x9e, 4, FMAP) X(2, 1, 0x9f, op_vfma, 0x9f, 2, FMAS) \
    X(2, 1, 0xa6, op_vfma, 0xa6, 4, FMAP) X(2, 1, 0xa7, op_vfma, 0xa7, 4, FMAP) \
    X(2, 1, 0xa8, op_vfma, 0xa8, 4, FMAP) X(2, 1, 0xa9, op_vfma, 0xa9, 2, FMAS) \
    X(2, 1, 0xaa, op_vfma, 0xaa, 4, FMAP) X(2, 1, 0xab, op_vfma, 0xab, 2, FMAS) \
    X(2, 1, 0xac, op_vfma, 0xac, 4, FMAP) X(2, 1, 0xad, op_vfma, 0xad, 2, FMAS) \
    X(2, 1, 0xae, op_vfma, 0xae, 4, FMAP) X(2, 1, 0xaf, op_vfma, 0xaf, 2, FMAS) \
    X(2, 1, 0xb6, op_vfma, 0xb6, 4, FMAP) X(2, 1, 0xb7, op_vfma, 0xb7, 4, FMAP) \
    X(2, 1, 0xb8, op_vfma, 0xb8, 4, FMAP) X(2, 1, 0xb9, op_vfma, 0xb9, 2, FMAS) \
    X(2, 1, 0xba, op_vfma, 0xba, 4, FMAP) X(2, 1, 0xbb, op_vfma, 0xbb, 2, FMAS) \
    X(2, 1, 0xbc, op_vfma, 0xbc, 4, FMAP) X(2, 1, 0xbd, op_vfma, 0xbd, 2, FMAS) \
    X(2, 1, 0xbe, op_vfma, 0xbe, 4, FMAP) X(2, 1, 0xbf, op_vfma, 0xbf, 2, FMAS) \
    X(3, 1, 0x1d, op_vcvtps2ph, 0, 3, VX_W0 | VX_I8 | VX_NEED(VEX_F16C))
/* X(map, prefix, opcode, members, rules): by ModRM.reg. */
#define VEX_GROUPS(X) \
    X(1, 1, 0x71, grpvex_71, VX_V | VX_A2 | VX_RO | VX_I8) \
    X(1, 1, 0x72, grpvex_72, VX_V | VX_A2 | VX_RO | VX_I8) \
    X(1, 1, 0x73, grpvex_73, VX_V | VX_A2 | VX_RO | VX_I8) \
    X(1, 0, 0xae, grpvex_ae, VX_L0 | VX_MO) \
    X(2, 0, 0xf3, grpvex_17, GPR | VX_V)

#define SHIFT(op, r) [r] = FI(op_vex_shift_imm, 0, op << 4 | r)
const OpDesc x86_grpvex_71[8] = { SHIFT(0x71, 2), SHIFT(0x71, 4), SHIFT(0x71, 6) };
const OpDesc x86_grpvex_72[8] = { SHIFT(0x72, 2), SHIFT(0x72, 4), SHIFT(0x72, 6) };
const OpDesc x86_grpvex_73[8] = {
    SHIFT(0x73, 2), SHIFT(0x73, 3), SHIFT(0x73, 6), SHIFT(0x73, 7),
};
const OpDesc x86_grpvex_ae[8] = {
    [2] = FI(op_vex_ldmxcsr, 0, 0), [3] = FI(op_vex_stmxcsr, 0, 0),
};
const OpDesc x86_grpvex_17[8] = {
    [1] = FI(op_bls, 0, 1), [2] = FI(op_bls, 0, 2), [3] = FI(op_bls, 0, 3),
};

#define ROW_ID(map, pfx, op, fn, id, size, rules) VEX_ROW(map, pfx, op),
#define GROUP_ID(map, pfx, op, members, rules) VEX_ROW(map, pfx, op),
enum {
    VEX_FIRST_ROW = VEX_LANE_ROWS - 1,
    VEX_GENERAL(ROW_ID) VEX_MOVES(ROW_ID) VEX_OTHERS(ROW_ID) VEX_FMAS(ROW_ID)
    VEX_GROUPS(GROUP_ID)
};

#define ATTR(r) (((r) & VX_NOMODRM ? 0 : D_MODRM) | ((r) & VX_I8 ? D_IB : 0) | \
                 ((r) & VX_MO ? D_MEMONLY : 0) | ((r) & VX_RO ? D_REGONLY : 0) | \
                 ((r) & VX_VSIB ? D_VSIB : 0))
#define LOG2(bytes) ((bytes) == 16 ? 4 : (bytes) == 8 ? 3 : (bytes) == 4 ? 2 : 1)
#define VL(map, pfx, op, name, bytes, rules) [VEX_ROW(map, pfx, op)] = { \
        FI(op_vex_lanes, ATTR(rules), VEX_ROW(map, pfx, op)), rules, LOG2(bytes) },
#define ROW(map, pfx, op, fn, id, size, rules) \
    [VEX_ROW(map, pfx, op)] = { FI(fn, ATTR(rules), id), rules, size },
#define GROUP(map, pfx, op, members, rules) \
    [VEX_ROW(map, pfx, op)] = { \
        G(members, ATTR(rules)), rules, (map) == 1 ? 2 : 0 },
static const VexDesc descs[] = {
#include "target/i386/tcg/decode/vex-list.h"
    VEX_GENERAL(ROW) VEX_MOVES(ROW) VEX_OTHERS(ROW) VEX_FMAS(ROW)
    VEX_GROUPS(GROUP)
};
#undef VL

#define AT(map, pfx, op, ...) [(map) - 1][op][pfx] = VEX_ROW(map, pfx, op),
#define VL AT
static const uint16_t numbers[3][256][4] = {
#include "target/i386/tcg/decode/vex-list.h"
    VEX_GENERAL(AT) VEX_MOVES(AT) VEX_OTHERS(AT) VEX_FMAS(AT)
    VEX_GROUPS(AT)
};

const VexDesc *x86_vex_find(unsigned map, uint8_t opcode, unsigned prefix)
{
    unsigned n = map >= 1 && map <= 3 ? numbers[map - 1][opcode][prefix] : VEX_NONE;

    return n == VEX_NONE ? NULL : &descs[n];
}
