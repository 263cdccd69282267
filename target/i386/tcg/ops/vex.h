/*
 * What instructions with a VEX prefix share (SDM 2A, 2.3): their fields in the op record,
 * what has to be so that they can be executed, and 256-bit operands. The upper halves of
 * registers are in c->ymmh: SSE instructions leave them alone.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef TARGET_I386_TCG_VEX_H
#define TARGET_I386_TCG_VEX_H

#include "target/i386/tcg/tcg-cpu.h"

/* The register that VEX.vvvv names. */
static inline unsigned vex_v(const X86Op *op)
{
    return (op->imm >> VEX_V_SHIFT) & 15;
}

/* #UD or #NM: SDM 2A, 2.4. */
G_NORETURN void tcg_vex_unavailable(TCGCPU *c, const X86Op *op);
#define VEX_CHECK(c, op) do { \
        if (unlikely(!((c)->vex_on & (op)->imm >> VEX_NEED_SHIFT))) { \
            tcg_vex_unavailable(c, op); \
        } \
    } while (0)

typedef struct YMMReg {
    XMMReg x[2];
} YMMReg;

void vex_get(const TCGCPU *c, unsigned reg, YMMReg *v);
/* The r/m operand: a register, or as many bytes of memory as op->size says. */
void vex_source(TCGCPU *c, const X86Op *op, YMMReg *v);
/* Without OF_L the upper half becomes 0. */
void vex_put(TCGCPU *c, const X86Op *op, unsigned reg, const YMMReg *v);

/* An SSE function has a VEX form, too: its first source, and 0 for what is above its result. */
static inline const XMMReg *vec_first(const TCGCPU *c, const X86Op *op)
{
    return &c->xmm[op->flags & OF_VEX ? vex_v(op) : op->reg];
}

static inline void vec_clear_upper(TCGCPU *c, const X86Op *op, unsigned reg)
{
    if (op->flags & OF_VEX) {
        c->ymmh[reg] = (XMMReg) { 0 };
    }
}

/* vex.c */
OpFn op_vex_lanes, op_vex_load, op_vex_store, op_vex_movs, op_vex_movs_st, op_vex_sse_store;
OpFn op_vex_cvt_gpr, op_vex_comis, op_vex_movmsk, op_vex_movd, op_vex_pinsr, op_vex_pextr;
OpFn op_vex_insertps, op_vex_pcmpstr, op_vex_maskmovdqu, op_vex_shift_imm;
OpFn op_vex_ldmxcsr, op_vex_stmxcsr, op_vzero;
/* ops-avx.c */
OpFn op_vtest, op_vpermd, op_vbroadcast, op_vmaskmov, op_vmaskmov_st, op_vgather, op_vpermq;
OpFn op_vperm2, op_vinsert, op_vextract, op_vblendv;
/* fma.c */
OpFn op_vfma, op_vcvtps2ph;
/* ops-bmi.c */
OpFn op_andn, op_bls, op_bextr, op_bzhi, op_pdep, op_mulx, op_rorx, op_shiftx;
OpFn op_adx, op_count_zeros;

#endif
