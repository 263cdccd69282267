/*
 * Tables of functions by operand size and form, and single functions, that
 * the decoder's opcode maps name.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef TARGET_I386_TCG_OPTABS_H
#define TARGET_I386_TCG_OPTABS_H

#include "target/i386/tcg/decode/insn.h"

typedef OpFn *const OpTab[8];

#define ALU_DECL(n) extern OpTab tab_##n##_er, tab_##n##_re, tab_##n##_ei;
ALU_DECL(add) ALU_DECL(or) ALU_DECL(adc) ALU_DECL(sbb) ALU_DECL(and)
ALU_DECL(sub) ALU_DECL(xor) ALU_DECL(cmp) ALU_DECL(test) ALU_DECL(mov)
#undef ALU_DECL

OpFn op_ud, op_gp0, op_dead, op_block_end;
extern OpTab tab_inc, tab_dec, tab_neg, tab_not;
extern OpTab tab_xchg, tab_xadd, tab_cmpxchg, tab_mov_iv, tab_lea, tab_cmov;
extern OpTab tab_movzx8, tab_movzx16, tab_movsx8, tab_movsx16, tab_movsxd;
extern OpTab tab_shl_i, tab_shr_i, tab_sar_i, tab_rol_i, tab_ror_i;
extern OpTab tab_shl_cl, tab_shr_cl, tab_sar_cl;
extern OpTab tab_imul_re, tab_imul_rei;
extern OpFn *const tab_jcc[16];

OpFn op_mov_moffs_ld, op_mov_moffs_st, op_setcc, op_bswap, op_cbw, op_cwd;
OpFn op_cmpxchg8b, op_xlat, op_nop;
/* ops-shift.c */
OpFn op_shift_cl, op_shift_i, op_shld, op_bt, op_bitscan;
OpFn op_popcnt, op_mul, op_imul1, op_div, op_idiv, op_crc32, op_movbe;
/* ops-bcd.c */
OpFn op_daa, op_das, op_aaa, op_aas, op_aam, op_aad, op_bound, op_arpl;
OpFn op_pusha, op_popa, op_into, op_les, op_salc;
/* ops-stack.c */
OpFn op_push_r, op_pop_r, op_push_imm, op_push_rm, op_pop_rm, op_pushf, op_popf;
OpFn op_enter, op_leave, op_push_seg, op_pop_seg, op_lahf, op_sahf;
OpFn op_push_r64, op_pop_r64;
/* ops-branch.c */
OpFn op_jmp_rel, op_call_rel, op_ret, op_jmp_rm, op_call_rm, op_loop, op_jcxz;
/* ops-string.c */
OpFn op_movs, op_stos, op_lods, op_cmps, op_scas, op_ins, op_outs;
/* ops-misc.c */
OpFn op_cmc, op_clc, op_stc, op_cli, op_sti, op_cld, op_std, op_hlt, op_pause;
OpFn op_cpuid, op_rdtsc, op_rdtscp, op_rdrand, op_in, op_out, op_int3, op_int;
OpFn op_int1, op_fence, op_clflush, op_fsgsbase, op_rdpmc, op_wbinvd;
OpFn op_monitor;
/* ops-sys.c */
OpFn op_mov_from_cr, op_mov_to_cr, op_mov_from_dr, op_mov_to_dr, op_clts;
OpFn op_lmsw, op_smsw, op_invlpg, op_invpcid, op_rdmsr, op_wrmsr, op_swapgs;
OpFn op_sgdt, op_lgdt, op_sldt, op_str, op_lldt, op_ltr, op_verr, op_lar;
OpFn op_syscall, op_sysret, op_sysenter, op_sysexit, op_clac, op_stac;
OpFn op_pkru, op_xgetbv, op_xsetbv, op_vmcall, op_mov_from_seg, op_mov_to_seg;
OpFn op_jmp_far, op_call_far, op_jmp_far_m, op_call_far_m, op_retf, op_iret;
/* x87 and vector */
OpFn op_x87, op_fwait, op_fxsave, op_fxrstor, op_xsave, op_xrstor;
OpFn op_xsaveopt, op_xsavec, op_xrstors;
OpFn op_ldmxcsr, op_stmxcsr, op_emms;
OpFn op_sse_store, op_sse_movmsk, op_mmx, op_mmx_mov, op_vec_gpr;

#endif
