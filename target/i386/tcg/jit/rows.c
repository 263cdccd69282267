/*
 * Which template is for which function of the interpreter.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "target/i386/tcg/jit/jit-int.h"
#include "target/i386/tcg/jit/templates.h"
#include "target/i386/tcg/ops/crypto.h"
#include "target/i386/tcg/ops/sse.h"
#include "target/i386/tcg/ops/vec.h"
#include "target/i386/tcg/ops/vex.h"

/*
 * Rows are calls: in a table each pointer would cost every start of the program, whether or not
 * it runs a guest, and this is needed once.
 */
typedef struct RowAttrs {
    uint32_t arg;
    uint16_t reads, writes, attr;
    uint8_t dst, size;
} RowAttrs;                     /* of a Template */

static const Template called = { "called" };
static const Template jcc = {
    "jcc", NULL, jit_jcc, .reads = CC_ALL, .attr = TA_BRANCH | TA_64, .dst = DST_NONE,
};

static unsigned hash_of(OpFn *fn)
{
    return ((uintptr_t)fn * 0x9e3779b97f4a7c15ull) >> 53;
}

static unsigned find(const TCGJit *jit, OpFn *fn)
{
    unsigned i = hash_of(fn) % JIT_HASH;

    while (jit->hash[i].fn && jit->hash[i].fn != fn) {
        i = (i + 1) % JIT_HASH;
    }
    return i;
}

/* The first row with a function counts. */
static void add(TCGJit *jit, OpFn *fn, const Template *t)
{
    Template *at;

    if (!fn) {
        return;
    }
    at = &jit->hash[find(jit, fn)];
    if (!at->fn) {
        *at = *t;
        at->fn = fn;
    }
}

static Template template(const char *name, TemplateFn *emit, RowAttrs a)
{
    return (Template) {
        .name = name, .emit = emit, .arg = a.arg, .reads = a.reads, .writes = a.writes,
        .attr = a.attr, .dst = a.dst, .size = a.size,
    };
}

/* For one function. */
static void row(TCGJit *jit, const char *name, OpFn *fn, TemplateFn *emit, RowAttrs a)
{
    Template t = template(name, emit, a);

    add(jit, fn, &t);
}

/* Is it for the k-th function of a table? */
static bool suits(const Template *t, unsigned k)
{
    return (k & 3) >= jit_smallest(t) && !((t->attr & TA_REGONLY) && k >= 4);
}

/* For the functions of a table by operand size and form. */
static void tab_row(TCGJit *jit, const char *name, OpFn *const *tab, TemplateFn *emit, RowAttrs a)
{
    Template t = template(name, emit, a);

    for (unsigned k = 0; k < 8; k++) {
        add(jit, tab[k], suits(&t, k) ? &t : &called);
    }
}

#define ROW(tab, emit, ...) tab_row(jit, #tab, tab, emit, (RowAttrs) { __VA_ARGS__ })
#define FN(fn, emit, ...) row(jit, #fn, fn, emit, (RowAttrs) { __VA_ARGS__ })
/* By the interpreter's function, which goes on with the next op or leaves: nothing else. */
#define CALL(fn) row(jit, #fn, fn, NULL, (RowAttrs) { 0 })

/* Integer instructions ------------------------------------------------------ */

#define ALU_ROW(name, N, form, ...) \
    tab_row(jit, #name "_" #form, tab_##name##_##form, jit_alu_##form, \
            (RowAttrs) { ALU_##N, READS_##N, CC_ALL, __VA_ARGS__ })
#define TEST_ROWS(name, N, rm) \
    ALU_ROW(name, N, er, 0, rm); \
    ALU_ROW(name, N, ei, TA_GROUP, rm)
#define ALU_ROWS(name, N, rm, reg) \
    TEST_ROWS(name, N, rm); \
    ALU_ROW(name, N, re, 0, reg)
#define ALU(name, N) ALU_ROWS(name, N, DST_RM, DST_REG)
#define COMPARE(name, N) ALU_ROWS(name, N, DST_NONE, DST_NONE)
#define READS_ADD 0
#define READS_OR 0
#define READS_ADC CC_C
#define READS_SBB CC_C
#define READS_AND 0
#define READS_SUB 0
#define READS_XOR 0
#define READS_CMP 0
#define READS_TEST 0

static void integer_rows(TCGJit *jit)
{
    ALU(add, ADD); ALU(or, OR); ALU(adc, ADC); ALU(sbb, SBB); ALU(and, AND); ALU(sub, SUB);
    ALU(xor, XOR); COMPARE(cmp, CMP); TEST_ROWS(test, TEST, DST_NONE);
    ROW(tab_mov_er, jit_mov_er, .dst = DST_RM);
    ROW(tab_mov_re, jit_mov_re, .dst = DST_REG);
    ROW(tab_mov_ei, jit_mov_ei, .attr = TA_GROUP, .dst = DST_RM);
    ROW(tab_mov_iv, jit_mov_iv64);
    ROW(tab_movzx8, jit_extend, 0x0fb6, .attr = TA_RMBYTE | TA_HIGH, .dst = DST_REG);
    ROW(tab_movsx8, jit_extend, 0x0fbe, .attr = TA_RMBYTE | TA_HIGH, .dst = DST_REG);
    ROW(tab_movzx16, jit_extend, 0x0fb7, .dst = DST_REG);
    ROW(tab_movsx16, jit_extend, 0x0fbf, .dst = DST_REG);
    ROW(tab_movsxd, jit_extend, 0x63, .dst = DST_REG);
    ROW(tab_lea, jit_lea, .attr = TA_FLAT | TA_WIDE, .dst = DST_REG);
    ROW(tab_xchg, jit_xchg, .attr = TA_REGONLY);
    ROW(tab_cmov, jit_cmov, 0, CC_ALL, .dst = DST_REG);
    ROW(tab_inc, jit_incdec, 0, 0, CC_ALL & ~CC_C, TA_GROUP);
    ROW(tab_dec, jit_incdec, 1, 0, CC_ALL & ~CC_C, TA_GROUP);
    ROW(tab_neg, jit_neg, 0, 0, CC_ALL, TA_GROUP);
    ROW(tab_not, jit_not, .attr = TA_GROUP, .dst = DST_RM);
    FN(op_shift_i, jit_shift_imm, 0, CC_C, 0, TA_GROUP);
    FN(op_shift_cl, jit_shift_cl, 0, CC_C, 0, TA_GROUP);
    ROW(tab_shl_i, jit_shift_imm, 0, 0, CC_ALL, TA_SHIFT);
    ROW(tab_shr_i, jit_shift_imm, 0, 0, CC_ALL, TA_SHIFT);
    ROW(tab_sar_i, jit_shift_imm, 0, 0, CC_ALL, TA_SHIFT);
    ROW(tab_rol_i, jit_shift_imm); ROW(tab_ror_i, jit_shift_imm);
    ROW(tab_shl_cl, jit_shift_cl); ROW(tab_shr_cl, jit_shift_cl); ROW(tab_sar_cl, jit_shift_cl);
    FN(op_shld, jit_shld, .attr = TA_REGONLY); FN(op_bt, jit_bt, .attr = TA_REGONLY);
    FN(op_bitscan, jit_bitscan, 0, 0, CC_ALL); FN(op_popcnt, jit_popcnt, 0, 0, CC_ALL, TA_WIDE);
    ROW(tab_imul_re, jit_imul, 0, 0, CC_ALL);
    ROW(tab_imul_rei, jit_imul_imm, 0, 0, CC_ALL, TA_WIDE);
    FN(op_mul, jit_mul, 4, 0, CC_ALL, TA_WORD); FN(op_imul1, jit_mul, 5, 0, CC_ALL, TA_WORD);
    FN(op_div, jit_div, .attr = TA_FAULT | TA_WORD);
    FN(op_idiv, jit_idiv, .attr = TA_FAULT | TA_WIDE);
    FN(op_setcc, jit_setcc, 0, CC_ALL, 0, TA_REGONLY | TA_GROUP, DST_RM);
    FN(op_bswap, jit_bswap, .attr = TA_WIDE);
    FN(op_cbw, jit_cbw); FN(op_cwd, jit_cwd); FN(op_nop, jit_nop, .dst = DST_NONE);
    FN(op_clc, jit_carry, 0xf8, 0, CC_C); FN(op_stc, jit_carry, 0xf9, 0, CC_C);
    FN(op_cmc, jit_carry, 0xf5, CC_C, CC_C);
    FN(op_push_r64, jit_push, .attr = TA_FAULT | TA_64);
    FN(op_push_imm, jit_push_imm, .attr = TA_FAULT | TA_64);
    FN(op_pop_r64, jit_pop, .attr = TA_FAULT | TA_64);
    FN(op_leave, jit_leave, .attr = TA_FAULT | TA_64);
    FN(op_jmp_rel, jit_jmp, .attr = TA_BRANCH | TA_END | TA_64);
    FN(op_call_rel, jit_call, .attr = TA_FAULT | TA_BRANCH | TA_END | TA_64);
    FN(op_ret, jit_ret, .attr = TA_FAULT | TA_BRANCH | TA_END | TA_64);
    FN(op_jmp_rm, jit_jmp_rm, .attr = TA_FAULT | TA_BRANCH | TA_END | TA_64);
    FN(op_call_rm, jit_call_rm, .attr = TA_FAULT | TA_BRANCH | TA_END | TA_64);
}

/* By calls ------------------------------------------------------------------ */

static void call_rows(TCGJit *jit)
{
    CALL(op_movs); CALL(op_stos); CALL(op_lods); CALL(op_cmps); CALL(op_scas);
    CALL(op_mov_moffs_ld); CALL(op_mov_moffs_st); CALL(op_push_r); CALL(op_pop_r);
    CALL(op_push_rm); CALL(op_pop_rm); CALL(op_pushf); CALL(op_popf); CALL(op_lahf);
    CALL(op_sahf); CALL(op_cmpxchg8b); CALL(op_cld); CALL(op_std); CALL(op_cli); CALL(op_sti);
    CALL(op_pause); CALL(op_rdtsc); CALL(op_fence); CALL(op_clac); CALL(op_stac);
    CALL(op_crc32); CALL(op_swapgs); CALL(op_x87);
    CALL(op_rdtscp); CALL(op_rdrand); CALL(op_fsgsbase); CALL(op_clflush); CALL(op_xlat);
    CALL(op_enter); CALL(op_mov_from_seg); CALL(op_fwait); CALL(op_movbe); CALL(op_count_zeros);
    CALL(op_andn); CALL(op_bls); CALL(op_bextr); CALL(op_bzhi); CALL(op_pdep); CALL(op_mulx);
    CALL(op_rorx); CALL(op_shiftx); CALL(op_adx); CALL(op_crypto); CALL(op_sha256rnds2);
    CALL(op_ptest); CALL(op_pextr); CALL(op_pinsr); CALL(op_movnti); CALL(op_pcmpstr);
    CALL(op_insertps); CALL(op_blendv); CALL(op_maskmov); CALL(op_movq2dq); CALL(op_cvt_mmx);
    CALL(op_mmx); CALL(op_mmx_mov); CALL(op_mmx_movd); CALL(op_mmx_palignr); CALL(op_emms);
    /* With VEX: not what loads MXCSR, which may unmask exceptions. */
    CALL(op_vex_lanes); CALL(op_vex_movs);
    CALL(op_vex_movs_st); CALL(op_vex_sse_store); CALL(op_vex_cvt_gpr); CALL(op_vex_comis);
    CALL(op_vex_movmsk); CALL(op_vex_movd); CALL(op_vex_pinsr); CALL(op_vex_pextr);
    CALL(op_vex_insertps); CALL(op_vex_pcmpstr); CALL(op_vex_maskmovdqu); CALL(op_vex_shift_imm);
    CALL(op_vtest); CALL(op_vpermd); CALL(op_vbroadcast); CALL(op_vmaskmov);
    CALL(op_vmaskmov_st); CALL(op_vgather); CALL(op_vpermq); CALL(op_vperm2); CALL(op_vinsert);
    CALL(op_vextract); CALL(op_vblendv); CALL(op_vfma); CALL(op_vcvtps2ph);
}

/* Vector instructions: writing no general register, but for MOVD and its kin - */

#define VEC(fn, emit, ...) FN(fn, emit, .attr = TA_VEC | TA_FAULT, __VA_ARGS__)
#define VEC_TAB(tab, emit) ROW(tab, emit, .attr = TA_VEC | TA_FAULT, .dst = DST_NONE)
#define PREFIX(p) ((p) == 1 ? 0x66 : (p) == 2 ? 0xf3 : (p) == 3 ? 0xf2 : 0)
#define LIST(name, fn, opcode, n, a) \
    row(jit, #name, fn, jit_vec, \
        (RowAttrs) { opcode, 0, 0, TA_VEC | TA_FAULT | ((a) & V_IB ? TA_IMM8 : 0), \
                     DST_NONE, (n) == 16 ? 4 : (n) == 8 ? 3 : (n) == 4 ? 2 : 1 });
#define V0F(op, pfx, name, n, a) \
    LIST(name, SSE_OP(0, pfx, op), (uint32_t)PREFIX(pfx) << 16 | 0x0f00 | op, n, a)
#define V38(op, pfx, name, n, a) LIST(name, SSE_OP(1, pfx, op), 0x660f3800u | op, n, a)
#define V3A(op, pfx, name, n, a) LIST(name, SSE_OP(2, pfx, op), 0x660f3a00u | op, n, a)
#define W0F(op, name, n, how) V0F(op, 1, name, n, 0)
#define W38(op, name, n, how) V38(op, 1, name, n, 0)

static void vector_rows(TCGJit *jit)
{
    VEC(op_vex_load, jit_vex_load); VEC(op_vex_store, jit_vex_store); VEC(op_vzero, jit_vzeroupper);
#include "target/i386/tcg/decode/sse-list.h"
    VEC(op_mov16_ld, jit_mov16_ld); VEC(op_mov16_st, jit_mov16_st);
    VEC_TAB(tab_mov16_ld, jit_mov16_ld); VEC_TAB(tab_mov16_st, jit_mov16_st);
    VEC_TAB(tab_movss_ld, jit_movs_ld); VEC_TAB(tab_movsd_ld, jit_movs_ld);
    VEC(op_sse_store, jit_vec_store); VEC(op_vec_shift_imm, jit_vec_shift);
    VEC(op_vec_movd, jit_vec_movd); VEC(op_vec_movmsk, jit_vec_movmsk, .dst = DST_REG);
    FN(op_cvt_gpr, jit_vec_cvt, .attr = TA_VEC | TA_FAULT);
    VEC(op_comis, jit_vec_comis, .writes = CC_ALL);
}

void tcg_jit_fill_hash(TCGJit *jit)
{
    /* Of tables, all of whose functions only go on with the next op. */
    OpFn *const *const call_tabs[] = { tab_xadd, tab_cmpxchg };

    integer_rows(jit);
    call_rows(jit);
    vector_rows(jit);
    for (unsigned cc = 0; cc < 16; cc++) {
        add(jit, tab_jcc[cc], &jcc);
    }
    for (unsigned n = 0; n < G_N_ELEMENTS(call_tabs); n++) {
        for (unsigned k = 0; k < 8; k++) {
            add(jit, call_tabs[n][k], &called);
        }
    }
}

const Template *tcg_jit_template(const TCGJit *jit, OpFn *fn)
{
    const Template *t = &jit->hash[find(jit, fn)];

    return t->fn ? t : NULL;
}
