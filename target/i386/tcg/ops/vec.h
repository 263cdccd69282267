/*
 * What the files with vector instructions share.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef TARGET_I386_TCG_VEC_H
#define TARGET_I386_TCG_VEC_H

#include "target/i386/tcg/ops/ops.h"

/* CR0 and CR4 allow SSE, or #UD, #NM. */
#define VEC_CHECK(c, op) do { \
        if (unlikely((c)->fpu_off || !((c)->cr4 & CR4_OSFXSR))) { \
            tcg_sse_unavailable(c, op); \
        } \
    } while (0)

/* 16 bytes of memory, wherever they begin. */
void vec_load16(TCGCPU *c, const X86Op *op, uint64_t a, void *buf);
void vec_store16(TCGCPU *c, const X86Op *op, uint64_t a, const void *buf);
/* The r/m operand: a register, or 16 aligned bytes of memory in c->vec_tmp. */
const XMMReg *vec_source16(TCGCPU *c, const X86Op *op);

/* Shifts by an immediate: groups 71 to 73, id = opcode << 4 | ModRM.reg. */
void vec_shift_imm(XMMReg *d, unsigned id, unsigned n);
/* Signs: id 0 MOVMSKPS, 1 MOVMSKPD, 2 PMOVMSKB. */
unsigned vec_movmsk(const XMMReg *s, unsigned id);

/* Around a host operation when exceptions are unmasked; the end may raise #XM. */
void vec_fp_begin(TCGCPU *c);
void vec_fp_end(TCGCPU *c, const X86Op *op);

/* MMX: the checks before, and the changes of x87 state. */
void mmx_begin(TCGCPU *c, const X86Op *op);
void mmx_touch(TCGCPU *c);
void mmx_set(TCGCPU *c, unsigned r, uint64_t v);
uint64_t mmx_source(TCGCPU *c, const X86Op *op);

extern OpTab tab_mov16_ld, tab_mov16_st, tab_movss_ld, tab_movsd_ld;
OpFn op_mov16_ld, op_mov16_st;
OpFn op_vec_shift_imm, op_mmx_movd, op_mmx_palignr;
/* ops-vecgpr.c */
OpFn op_vec_movd, op_vec_movmsk, op_cvt_gpr, op_comis, op_pinsr, op_pextr;
OpFn op_blendv, op_ptest, op_insertps, op_pcmpstr, op_maskmov, op_movnti;
OpFn op_cvt_mmx, op_movq2dq;

#endif
