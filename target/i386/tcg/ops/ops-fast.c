/*
 * Shorter functions for what 64-bit code does most: flat addresses of common
 * shapes, flags that nobody reads, compare and branch in one. They are put into
 * blocks after decoding, in place of the function that the decoder chose; to that
 * one they go whenever something is unusual (above all a TLB miss), so that they
 * call nothing and save no registers.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "target/i386/tcg/ops/ops-fast.h"
#include "target/i386/tcg/ops/ops.h"
#include "target/i386/tcg/ops/vec.h"

/* Indices into the tables by operand size: registers and memory. */
#define R8 0
#define R32 2
#define R64 3
#define M8 4
#define M16 5
#define M32 6
#define M64 7

/* Memory: b is base + displacement, x has an index too --------------------- */

#define EA_b (c->regs[op->base] + (uint64_t)op->disp)
#define EA_x (EA_b + (c->regs[op->index] << op->scale))

/* Declares a, the address, and e, its translation; without one, bail out. */
#define LOOK_UP(N, addr, tag, slow) \
    uint64_t a = (addr); \
    const TLBEntry *e = tlb_entry(c, a); \
    if (unlikely(e->tag != tlb_tag(c, a, N / 8))) { \
        TAIL slow(c, op); \
    } \
    un##N *p = (un##N *)(a + e->addend)

#define LOAD_FORM(name, N, shape, slow, ...) \
SOP(name##_##shape) \
{ \
    LOOK_UP(N, EA_##shape, r, slow); \
    uint##N##_t v = p->v; \
    __VA_ARGS__; \
    NEXT; \
}
#define STORE_FORM(name, N, shape, slow, value) \
SOP(name##_##shape) \
{ \
    LOOK_UP(N, EA_##shape, w, slow); \
    p->v = (value); \
    NEXT; \
}
#define RMW_FORM(name, N, shape, slow, ...) \
SOP(name##_##shape) \
{ \
    if (unlikely(op->flags & OF_LOCK)) { \
        TAIL slow(c, op); \
    } \
    LOOK_UP(N, EA_##shape, w, slow); \
    uint##N##_t v = p->v; \
    p->v = (__VA_ARGS__); \
    NEXT; \
}
#define LOADS(name, N, slow, ...) \
    LOAD_FORM(name, N, b, slow, __VA_ARGS__) \
    LOAD_FORM(name, N, x, slow, __VA_ARGS__)
#define STORES(name, N, slow, value) \
    STORE_FORM(name, N, b, slow, value) STORE_FORM(name, N, x, slow, value)

LOADS(mov_ld8, 8, tab_mov_re[M8], RSET8(op->reg, v))
LOADS(mov_ld32, 32, tab_mov_re[M32], RSET32(op->reg, v))
LOADS(mov_ld64, 64, tab_mov_re[M64], RSET64(op->reg, v))
LOADS(movzx8_32, 8, tab_movzx8[M32], RSET32(op->reg, v))
LOADS(movzx16_32, 16, tab_movzx16[M32], RSET32(op->reg, v))
LOADS(movsx8_32, 8, tab_movsx8[M32], RSET32(op->reg, (int8_t)v))
LOADS(movsxd, 32, tab_movsxd[M64], RSET64(op->reg, (int64_t)(int32_t)v))
STORES(mov_mr8, 8, tab_mov_er[M8], RGET8(op->reg))
STORES(mov_mr16, 16, tab_mov_er[M16], RGET16(op->reg))
STORES(mov_mr32, 32, tab_mov_er[M32], RGET32(op->reg))
STORES(mov_mr64, 64, tab_mov_er[M64], RGET64(op->reg))
STORES(mov_mi8, 8, tab_mov_ei[M8], (int64_t)op->imm)
STORES(mov_mi32, 32, tab_mov_ei[M32], (int64_t)op->imm)
STORES(mov_mi64, 64, tab_mov_ei[M64], (int64_t)op->imm)

SOP(lea64_b)
{
    c->regs[op->reg] = EA_b;
    NEXT;
}

SOP(lea64_x)
{
    c->regs[op->reg] = EA_x;
    NEXT;
}

/* Arithmetic --------------------------------------------------------------- */

#define FL_add(N, a, b, r) SET_ADD(N, a, b, r)
#define FL_sub(N, a, b, r) SET_SUB(N, a, b, r)
#define FL_and(N, a, b, r) SET_LOGIC(N, r)
#define FL_or(N, a, b, r)  SET_LOGIC(N, r)
#define FL_xor(N, a, b, r) SET_LOGIC(N, r)
#define DO_add(a, b) ((a) + (b))
#define DO_sub(a, b) ((a) - (b))
#define DO_and(a, b) ((a) & (b))
#define DO_or(a, b)  ((a) | (b))
#define DO_xor(a, b) ((a) ^ (b))

/* n: flags not wanted. */
#define ALU_FORMS(name, N) \
SOP(name##_rr##N##_n) \
{ \
    RSET##N(op->rm, DO_##name(RGET##N(op->rm), RGET##N(op->reg))); \
    NEXT; \
} \
SOP(name##_rv##N##_n) \
{ \
    RSET##N(op->reg, DO_##name(RGET##N(op->reg), RGET##N(op->rm))); \
    NEXT; \
} \
SOP(name##_ri##N##_n) \
{ \
    RSET##N(op->rm, DO_##name(RGET##N(op->rm), (uint##N##_t)(int64_t)op->imm)); \
    NEXT; \
} \
LOADS(name##_ld##N, N, tab_##name##_re[M##N], \
      uint##N##_t d = RGET##N(op->reg); uint##N##_t r = DO_##name(d, v); \
      FL_##name(N, d, v, r); RSET##N(op->reg, r)) \
RMW_FORM(name##_mr##N, N, b, tab_##name##_er[M##N], \
         ({ uint##N##_t s = RGET##N(op->reg); uint##N##_t r = DO_##name(v, s); \
            FL_##name(N, v, s, r); r; })) \
RMW_FORM(name##_mi##N, N, b, tab_##name##_ei[M##N], \
         ({ uint##N##_t s = (int64_t)op->imm; uint##N##_t r = DO_##name(v, s); \
            FL_##name(N, v, s, r); r; }))
#define FOR_ALU(X, ...) \
    X(add, __VA_ARGS__) X(sub, __VA_ARGS__) X(and, __VA_ARGS__) \
    X(or, __VA_ARGS__) X(xor, __VA_ARGS__)
FOR_ALU(ALU_FORMS, 32)
FOR_ALU(ALU_FORMS, 64)

/* Comparisons with memory, of either side. */
#define CMP_FORMS(name, alu, N) \
LOADS(name##_mr##N, N, tab_##name##_er[M##N], \
      uint##N##_t s = RGET##N(op->reg); uint##N##_t r = DO_##alu(v, s); FL_##alu(N, v, s, r)) \
LOADS(name##_mi##N, N, tab_##name##_ei[M##N], \
      uint##N##_t s = (int64_t)op->imm; uint##N##_t r = DO_##alu(v, s); FL_##alu(N, v, s, r))
CMP_FORMS(cmp, sub, 8) CMP_FORMS(cmp, sub, 32) CMP_FORMS(cmp, sub, 64)
CMP_FORMS(test, and, 8) CMP_FORMS(test, and, 32) CMP_FORMS(test, and, 64)
LOADS(cmp_ld32, 32, tab_cmp_re[M32],
      uint32_t d = RGET32(op->reg); uint32_t r = d - v; SET_SUB(32, d, v, r))
LOADS(cmp_ld64, 64, tab_cmp_re[M64],
      uint64_t d = RGET64(op->reg); uint64_t r = d - v; SET_SUB(64, d, v, r))

#define SHIFT_FORMS(N) \
SOP(shl_i##N##_n) \
{ \
    RSET##N(op->rm, RGET##N(op->rm) << (op->imm & (N - 1))); \
    NEXT; \
} \
SOP(shr_i##N##_n) \
{ \
    RSET##N(op->rm, RGET##N(op->rm) >> (op->imm & (N - 1))); \
    NEXT; \
} \
SOP(sar_i##N##_n) \
{ \
    RSET##N(op->rm, (int##N##_t)RGET##N(op->rm) >> (op->imm & (N - 1))); \
    NEXT; \
}
SHIFT_FORMS(32)
SHIFT_FORMS(64)

#define IMUL_FORM(N) \
SOP(imul_re##N##_n) \
{ \
    RSET##N(op->reg, RGET##N(op->reg) * RGET##N(op->rm)); \
    NEXT; \
}
IMUL_FORM(32)
IMUL_FORM(64)

#define MOV_FORM(N) \
SOP(mov_rr##N) \
{ \
    RSET##N(op->rm, RGET##N(op->reg)); \
    NEXT; \
}
MOV_FORM(32)
MOV_FORM(64)

#define CMP_FORM(N) \
SOP(cmp_rr##N) \
{ \
    uint##N##_t d = RGET##N(op->rm), s = RGET##N(op->reg), r = d - s; \
    SET_SUB(N, d, s, r); \
    NEXT; \
}
CMP_FORM(8)
CMP_FORM(32)
CMP_FORM(64)

SOP(mul64_r)
{
    unsigned __int128 r = (unsigned __int128)c->regs[R_EAX] * c->regs[op->rm];
    uint64_t hi = r >> 64;

    c->regs[R_EAX] = (uint64_t)r;
    c->regs[R_EDX] = hi;
    lf_set_co(c, (int64_t)(uint64_t)r, hi != 0, hi != 0);
    NEXT;
}

/* Vector moves ------------------------------------------------------------- */

#define VEC_MOVE(name, bytes, tag_, slow, use) \
SOP(name) \
{ \
    uint64_t a = EA_x; \
    const TLBEntry *e = tlb_entry(c, a); \
    if (unlikely(e->tag_ != tlb_tag(c, a, bytes) || c->fpu_off || \
                 !(c->cr4 & CR4_OSFXSR) || \
                 (bytes == 16 && op->id && (a & 15)))) { \
        TAIL slow(c, op); \
    } \
    XMMReg *m = (XMMReg *)(a + e->addend), *r = &c->xmm[op->reg]; \
    use; \
    NEXT; \
}
VEC_MOVE(mov16_ld, 16, r, op_mov16_ld, memcpy(r, m, 16))
VEC_MOVE(mov16_st, 16, w, op_mov16_st, memcpy(m, r, 16))

/* The stack in 64-bit code ------------------------------------------------- */

#define EA_sp (c->regs[R_ESP])
#define EA_push (c->regs[R_ESP] - 8)

SOP(push64)
{
    LOOK_UP(64, EA_push, w, op_push_r64);
    p->v = c->regs[op->rm];
    c->regs[R_ESP] = a;
    NEXT;
}

SOP(pop64)
{
    LOOK_UP(64, EA_sp, r, op_pop_r64);
    c->regs[R_ESP] = a + 8;
    c->regs[op->rm] = p->v;
    NEXT;
}

SOP(ret64)
{
    LOOK_UP(64, EA_sp, r, op_ret);
    const X86Op *target;
    uint64_t eip = p->v;

    c->regs[R_ESP] = a + 8 + (uint16_t)op->imm;
    if (!jump_find(c, eip, &target)) {
        return tcg_ret_missed(c, op, eip);
    }
    GO(target);
}

SOP(call64)
{
    uint64_t next = c->regs[R_PAGE] + op->off + op->len;

    LOOK_UP(64, EA_push, w, op_call_rel);
    p->v = next;
    c->regs[R_ESP] = a;
    if (op->flags & OF_INPAGE) {
        TAKE_BRANCH(op);
    }
    JUMP_TO(next + (int64_t)op->imm);
}

SOP(jmp64)
{
    JUMP_TO(c->regs[R_PAGE] + op->off + op->len + (int64_t)op->imm);
}

/* Compare and branch: op and the Jcc after it ------------------------------ */

#define BRANCH(taken) \
    if (taken) { \
        TAKE_BRANCH(op + 1); \
    } \
    GO(op + 2)

#define FUSE_CMP(form, N, x, y, cc, cond) \
SOP(cmp_##form##N##_##cc) \
{ \
    uint##N##_t d = (x), s = (y), r = d - s; \
    int##N##_t sd = d, ss = s, sr = r; \
    (void)sd; (void)ss; (void)sr; \
    SET_SUB(N, d, s, r); \
    BRANCH(cond); \
}
#define FUSE_CMPS(form, N, x, y) \
    FUSE_CMP(form, N, x, y, b, d < s) FUSE_CMP(form, N, x, y, nb, d >= s) \
    FUSE_CMP(form, N, x, y, z, d == s) FUSE_CMP(form, N, x, y, nz, d != s) \
    FUSE_CMP(form, N, x, y, be, d <= s) FUSE_CMP(form, N, x, y, a, d > s) \
    FUSE_CMP(form, N, x, y, s, sr < 0) FUSE_CMP(form, N, x, y, ns, sr >= 0) \
    FUSE_CMP(form, N, x, y, l, sd < ss) FUSE_CMP(form, N, x, y, ge, sd >= ss) \
    FUSE_CMP(form, N, x, y, le, sd <= ss) FUSE_CMP(form, N, x, y, g, sd > ss) \
    static OpFn *const fuse_cmp_##form##N[16] = { \
        NULL, NULL, cmp_##form##N##_b, cmp_##form##N##_nb, \
        cmp_##form##N##_z, cmp_##form##N##_nz, \
        cmp_##form##N##_be, cmp_##form##N##_a, \
        cmp_##form##N##_s, cmp_##form##N##_ns, NULL, NULL, \
        cmp_##form##N##_l, cmp_##form##N##_ge, \
        cmp_##form##N##_le, cmp_##form##N##_g, \
    };
#define FUSE_TEST(form, N, x, y, cc, cond) \
SOP(test_##form##N##_##cc) \
{ \
    int##N##_t r = (x) & (y); \
    SET_LOGIC(N, r); \
    BRANCH(cond); \
}
#define FUSE_TESTS(form, N, x, y) \
    FUSE_TEST(form, N, x, y, z, r == 0) FUSE_TEST(form, N, x, y, nz, r != 0) \
    FUSE_TEST(form, N, x, y, s, r < 0) FUSE_TEST(form, N, x, y, ns, r >= 0) \
    FUSE_TEST(form, N, x, y, le, r <= 0) FUSE_TEST(form, N, x, y, g, r > 0) \
    static OpFn *const fuse_test_##form##N[16] = { \
        [4] = test_##form##N##_z, [5] = test_##form##N##_nz, \
        [8] = test_##form##N##_s, [9] = test_##form##N##_ns, \
        [14] = test_##form##N##_le, [15] = test_##form##N##_g, \
    };
#define FUSE_SIZE(N) \
    FUSE_CMPS(rr, N, RGET##N(op->rm), RGET##N(op->reg)) \
    FUSE_CMPS(rv, N, RGET##N(op->reg), RGET##N(op->rm)) \
    FUSE_CMPS(ri, N, RGET##N(op->rm), (uint##N##_t)(int64_t)op->imm) \
    FUSE_TESTS(rr, N, RGET##N(op->rm), RGET##N(op->reg)) \
    FUSE_TESTS(ri, N, RGET##N(op->rm), (uint##N##_t)(int64_t)op->imm)
FUSE_SIZE(8)
FUSE_SIZE(32)
FUSE_SIZE(64)

#define FUSE_ALU(name, N, cc, cond) \
SOP(name##_ri##N##_##cc) \
{ \
    uint##N##_t d = RGET##N(op->rm), s = (int64_t)op->imm; \
    int##N##_t r = DO_##name(d, s); \
    FL_##name(N, d, s, (uint##N##_t)r); \
    RSET##N(op->rm, r); \
    BRANCH(cond); \
}
#define FUSE_ALUS(name, N) \
    FUSE_ALU(name, N, z, r == 0) FUSE_ALU(name, N, nz, r != 0) \
    FUSE_ALU(name, N, s, r < 0) FUSE_ALU(name, N, ns, r >= 0) \
    static OpFn *const fuse_##name##_ri##N[16] = { \
        [4] = name##_ri##N##_z, [5] = name##_ri##N##_nz, \
        [8] = name##_ri##N##_s, [9] = name##_ri##N##_ns, \
    };
FOR_ALU(FUSE_ALUS, 32)
FOR_ALU(FUSE_ALUS, 64)

/* Two in one: what compilers put next to each other most ------------------- */

/*
 * What the function of that name does with op. Where it bails out, the other one of
 * the pair is or will be done by itself.
 */
#define DO_mov_rr32     RSET32(op->rm, RGET32(op->reg))
#define DO_mov_rr64     c->regs[op->rm] = c->regs[op->reg]
#define DO_add_rr64_n   c->regs[op->rm] += c->regs[op->reg]
#define DO_imul_re64_n  c->regs[op->reg] *= c->regs[op->rm]
#define DO_shl_i64_n    c->regs[op->rm] <<= op->imm & 63
#define DO_shr_i64_n    c->regs[op->rm] >>= op->imm & 63
#define DO_lea64_x      c->regs[op->reg] = EA_x
#define DO_cmp_rr64     uint64_t d = c->regs[op->rm], s = c->regs[op->reg], r = d - s; \
                        SET_SUB(64, d, s, r)
#define DO_mov_ld64_b   LOOK_UP(64, EA_b, r, tab_mov_re[M64]); c->regs[op->reg] = p->v
#define DO_mov_ld64_x   LOOK_UP(64, EA_x, r, tab_mov_re[M64]); c->regs[op->reg] = p->v
#define DO_mov_mr64_b   LOOK_UP(64, EA_b, w, tab_mov_er[M64]); p->v = c->regs[op->reg]
#define DO_push64       LOOK_UP(64, EA_push, w, op_push_r64); \
                        p->v = c->regs[op->rm]; c->regs[R_ESP] = a
#define DO_pop64        LOOK_UP(64, EA_sp, r, op_pop_r64); \
                        c->regs[R_ESP] = a + 8; c->regs[op->rm] = p->v

/* The most frequent ones of a kernel's start and of arithmetic on long numbers. */
#define PAIRS(X) \
    X(mov_rr64, mov_rr64) X(mov_rr64, mov_rr32) X(mov_rr64, add_rr64_n) \
    X(mov_rr64, imul_re64_n) X(mov_rr64, push64) X(mov_rr64, mov_ld64_b) \
    X(mov_rr32, shr_i64_n) X(mov_rr32, mov_rr64) X(imul_re64_n, imul_re64_n) \
    X(imul_re64_n, mov_rr64) X(add_rr64_n, add_rr64_n) X(add_rr64_n, mov_rr64) \
    X(add_rr64_n, shl_i64_n) X(add_rr64_n, cmp_rr64) X(shl_i64_n, add_rr64_n) \
    X(shr_i64_n, add_rr64_n) X(lea64_x, mov_rr64) X(cmp_rr64, mov_rr64) \
    X(mov_ld64_b, mov_ld64_b) X(mov_ld64_b, mov_rr64) X(mov_ld64_x, lea64_x) \
    X(mov_mr64_b, mov_mr64_b) X(mov_mr64_b, mov_rr64) X(push64, push64) \
    X(push64, mov_rr64) X(pop64, pop64)

#define PAIR_FORM(first, second) \
SOP(first##__##second) \
{ \
    { DO_##first; } \
    op++; \
    { DO_##second; } \
    NEXT; \
}
PAIRS(PAIR_FORM)

static const struct {
    OpFn *first, *second, *both;
} pairs[] = {
#define PAIR_ROW(first, second) { first, second, first##__##second },
    PAIRS(PAIR_ROW)
};

/* Which function stands for which ------------------------------------------ */

enum {
    A_SETS = 1,     /* registers only; writes all flags, reads none */
    A_KEEPS = 2,    /* registers only; does not touch flags */
    A_64 = 4,       /* the function is for 64-bit operands */
    A_SHIFT = 8,    /* by an immediate: by 0 it writes no flags */
};

typedef struct Fast {
    OpFn *const *of;        /* where the decoder's choice stands */
    unsigned attr;
    OpFn *b, *x;            /* by shape of the address; registers: b */
    OpFn *noflags;
    OpFn *const *fused;     /* with the Jcc that follows, by condition */
} Fast;

static OpFn *const singles[] = {
    op_push_r64, op_pop_r64, op_ret, op_call_rel, op_jmp_rel, op_mul,
    op_mov16_ld, op_mov16_st,
};

#define MEM(tab, m, name) { &tab[m], 0, name##_b, name##_x }
#define ALU_ROWS(name, N) \
    { &tab_##name##_er[R##N], A_SETS, .noflags = name##_rr##N##_n }, \
    { &tab_##name##_re[R##N], A_SETS, .noflags = name##_rv##N##_n }, \
    { &tab_##name##_ei[R##N], A_SETS, .noflags = name##_ri##N##_n, \
      .fused = fuse_##name##_ri##N }, \
    MEM(tab_##name##_re, M##N, name##_ld##N), \
    { &tab_##name##_er[M##N], 0, name##_mr##N##_b }, \
    { &tab_##name##_ei[M##N], 0, name##_mi##N##_b },
#define CMP_ROWS(N) \
    { &tab_cmp_er[R##N], A_SETS, cmp_rr##N, .fused = fuse_cmp_rr##N }, \
    { &tab_cmp_re[R##N], A_SETS, .fused = fuse_cmp_rv##N }, \
    { &tab_cmp_ei[R##N], A_SETS, .fused = fuse_cmp_ri##N }, \
    { &tab_test_er[R##N], A_SETS, .fused = fuse_test_rr##N }, \
    { &tab_test_ei[R##N], A_SETS, .fused = fuse_test_ri##N }, \
    MEM(tab_cmp_er, M##N, cmp_mr##N), MEM(tab_cmp_ei, M##N, cmp_mi##N), \
    MEM(tab_test_er, M##N, test_mr##N), MEM(tab_test_ei, M##N, test_mi##N)
#define KEEPS(tab, i) { &tab[i], A_KEEPS }
#define SHIFTS(name, N) \
    { &tab_##name##_i[R##N], A_SETS | A_SHIFT, \
      .noflags = name##_i##N##_n }

static const Fast rows[] = {
    MEM(tab_mov_re, M8, mov_ld8), MEM(tab_mov_re, M32, mov_ld32),
    MEM(tab_mov_re, M64, mov_ld64), MEM(tab_movzx8, M32, movzx8_32),
    MEM(tab_movzx16, M32, movzx16_32), MEM(tab_movsx8, M32, movsx8_32),
    MEM(tab_movsxd, M64, movsxd), MEM(tab_mov_er, M8, mov_mr8),
    MEM(tab_mov_er, M16, mov_mr16), MEM(tab_mov_er, M32, mov_mr32),
    MEM(tab_mov_er, M64, mov_mr64), MEM(tab_mov_ei, M8, mov_mi8),
    MEM(tab_mov_ei, M32, mov_mi32), MEM(tab_mov_ei, M64, mov_mi64),
    { &tab_lea[M64], A_KEEPS, lea64_b, lea64_x },
    FOR_ALU(ALU_ROWS, 32) FOR_ALU(ALU_ROWS, 64)
    CMP_ROWS(8), CMP_ROWS(32), CMP_ROWS(64),
    MEM(tab_cmp_re, M32, cmp_ld32), MEM(tab_cmp_re, M64, cmp_ld64),
    { &tab_mov_er[R32], A_KEEPS, mov_rr32 }, { &tab_mov_er[R64], A_KEEPS, mov_rr64 },
    { &tab_imul_re[R32], A_SETS, .noflags = imul_re32_n },
    { &tab_imul_re[R64], A_SETS, .noflags = imul_re64_n }, KEEPS(tab_mov_re, R32),
    KEEPS(tab_mov_re, R64), KEEPS(tab_mov_ei, R32), KEEPS(tab_mov_iv, R32),
    KEEPS(tab_mov_iv, R64), KEEPS(tab_mov_ei, R64), KEEPS(tab_movzx8, R32),
    KEEPS(tab_movzx16, R32), KEEPS(tab_movsx8, R32), KEEPS(tab_movsxd, R64),
    KEEPS(tab_lea, M32), KEEPS(tab_not, R32), KEEPS(tab_not, R64),
    SHIFTS(shl, 32), SHIFTS(shl, 64), SHIFTS(shr, 32), SHIFTS(shr, 64),
    SHIFTS(sar, 32), SHIFTS(sar, 64),
    { &singles[0], 0, push64 }, { &singles[1], 0, pop64 },
    { &singles[2], A_64, ret64 }, { &singles[3], A_64, call64 },
    { &singles[4], A_64, jmp64 }, { &singles[5], A_64, mul64_r },
    { &singles[6], 0, mov16_ld, mov16_ld }, { &singles[7], 0, mov16_st, mov16_st },
};

/* By function: closed hashing, filled once. */
#define HASH_SIZE 1024u
static const Fast *hash[HASH_SIZE];

static unsigned hash_of(OpFn *fn)
{
    return ((uintptr_t)fn * 0x9e3779b97f4a7c15ull) >> 54;
}

static const Fast *find(OpFn *fn)
{
    unsigned i = hash_of(fn);

    while (hash[i] && *hash[i]->of != fn) {
        i = (i + 1) % HASH_SIZE;
    }
    return hash[i];
}

void tcg_fast_init(void)
{
    for (unsigned n = 0; n < G_N_ELEMENTS(rows); n++) {
        unsigned i = hash_of(*rows[n].of);

        while (hash[i] && hash[i] != &rows[n]) {
            i = (i + 1) % HASH_SIZE;
        }
        hash[i] = &rows[n];
    }
}

/*
 * Are the flags after ops[i] overwritten before anybody can see them? Nothing in
 * between may fault or leave.
 */
static bool flags_dead(const X86Op *ops, unsigned i, unsigned n)
{
    while (++i < n) {
        const Fast *f = find(ops[i].fn);

        if (!f || !(f->attr & (A_SETS | A_KEEPS))) {
            return false;
        }
        if (f->attr & A_SETS) {
            return !(f->attr & A_SHIFT) ||
                   (ops[i].imm & (ops[i].size == 3 ? 63 : 31));
        }
    }
    return false;
}

/* The function for op alone. */
static OpFn *choose(const X86Op *op, const Fast *f)
{
    if ((f->attr & A_64) && op->size != 3) {
        return op->fn;
    }
    if (op->fn == op_jmp_rel && (op->flags & OF_INPAGE)) {
        return op->fn;              /* linked */
    }
    if (op->fn == op_mul && (op->flags & OF_MEM)) {
        return op->fn;
    }
    if (!(op->flags & OF_MEM) || op->index == R_ZERO) {
        return f->b ? f->b : op->fn;
    }
    return f->x ? f->x : op->fn;
}

/* Of ops that follow each other, the first ones of pairs do both. */
static void join_pairs(X86Op *ops, unsigned n)
{
    for (unsigned i = 0; i + 1 < n; i++) {
        for (unsigned p = 0; p < G_N_ELEMENTS(pairs); p++) {
            if (ops[i].fn == pairs[p].first && ops[i + 1].fn == pairs[p].second) {
                ops[i++].fn = pairs[p].both;
                break;
            }
        }
    }
}

void tcg_fast_choose(X86Op *ops, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        X86Op *op = &ops[i];
        const Fast *f = find(op->fn);
        const X86Op *next = i + 1 < n ? op + 1 : NULL;
        OpFn *fused = NULL;

        if (!f || (op->flags & (OF_EASLOW | OF_C64)) != OF_C64) {
            continue;
        }
        if (f->fused && next && x86_is_jcc(next) &&
            next->fn == tab_jcc[next->id & 15]) {
            fused = f->fused[next->id & 15];
        }
        if (fused) {
            op->fn = fused;
        } else if (f->noflags && flags_dead(ops, i, n)) {
            op->fn = f->noflags;
        } else {
            op->fn = choose(op, f);
        }
    }
    join_pairs(ops, n);
}
