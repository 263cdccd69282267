/*
 * The templates: each emits one instruction of the guest's, t->i of the block.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef TARGET_I386_TCG_JIT_TEMPLATES_H
#define TARGET_I386_TCG_JIT_TEMPLATES_H

#include "target/i386/tcg/jit/translate.h"

typedef void TemplateFn(Tr *t, const X86Op *op);

/* templates.c */
TemplateFn jit_alu_er, jit_alu_re, jit_alu_ei;
TemplateFn jit_mov_er, jit_mov_re, jit_mov_ei, jit_mov_iv64, jit_extend, jit_lea;
TemplateFn jit_xchg, jit_bswap, jit_cbw, jit_cwd, jit_nop, jit_carry;
TemplateFn jit_incdec, jit_not, jit_neg, jit_shift_imm, jit_shift_cl, jit_shld;
TemplateFn jit_bt, jit_bitscan, jit_popcnt, jit_imul, jit_imul_imm, jit_mul, jit_div, jit_idiv;
TemplateFn jit_setcc, jit_cmov;
/* vector.c */
TemplateFn jit_vec, jit_vec_shift, jit_mov16_ld, jit_mov16_st, jit_movs_ld, jit_vec_store;
TemplateFn jit_vec_movd, jit_vec_movmsk, jit_vec_cvt, jit_vec_comis;
TemplateFn jit_vex_load, jit_vex_store, jit_vzeroupper;
/* branches.c */
TemplateFn jit_push, jit_push_imm, jit_pop, jit_leave;
TemplateFn jit_jcc, jit_jmp, jit_call, jit_ret, jit_jmp_rm, jit_call_rm;

/* jump-cache.c ------------------------------------------------------------- */
/*
 * From a linear address in T0 to the op there, to T0: first to what T2 holds, which shows that it
 * is an address; then on with T2. Else out: nothing has changed but these.
 */
void jit_hash_target(Tr *t, int out);
void jit_take_target(Tr *t, int out);
/* The same for that of direct branch op, which is in T0. */
void jit_find_known(Tr *t, const X86Op *op, int out);
/* In a stub: T0 is looked up once more; if it is not there, what follows is next. */
void jit_find_again(Tr *t, const Stub *s);
void jit_load_target(Tr *t);            /* to T0, T2 of jit_hash_target() being in c->jit_tmp */

#endif
