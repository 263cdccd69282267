/*
 * Two-operand arithmetic: ADD OR ADC SBB AND SUB XOR CMP TEST, and INC DEC NEG
 * NOT, one function for each operand size and form.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "target/i386/tcg/ops/ops.h"
#include "target/i386/tcg/decode/optabs.h"

#define DO_add(N, a, b, r) r = a + b; SET_ADD(N, a, b, r)
#define DO_adc(N, a, b, r) r = a + b + lf_cf(c); SET_ADD(N, a, b, r)
#define DO_sub(N, a, b, r) r = a - b; SET_SUB(N, a, b, r)
#define DO_sbb(N, a, b, r) r = a - b - lf_cf(c); SET_SUB(N, a, b, r)
#define DO_and(N, a, b, r) r = a & b; SET_LOGIC(N, r)
#define DO_or(N, a, b, r)  r = a | b; SET_LOGIC(N, r)
#define DO_xor(N, a, b, r) r = a ^ b; SET_LOGIC(N, r)

/* The value alone, for the compare-and-swap loop of LOCK. */
#define V_add(a, b) ((a) + (b))
#define V_adc(a, b) ((a) + (b) + lf_cf(c))
#define V_sub(a, b) ((a) - (b))
#define V_sbb(a, b) ((a) - (b) - lf_cf(c))
#define V_and(a, b) ((a) & (b))
#define V_or(a, b)  ((a) | (b))
#define V_xor(a, b) ((a) ^ (b))

/* A writing operation with memory destination; b is evaluated before. */
#define ALU_RMW(name, N, bval) do { \
        uint##N##_t b = (bval), a, r; \
        un##N *p; \
        if (op->flags & OF_LOCK) { \
            uint##N##_t n; \
            p = atomic_rmw##N(c, op, ea(c, op)); \
            a = p->v; \
            do { \
                n = V_##name(a, b); \
            } while (!__atomic_compare_exchange_n((uint##N##_t *)p, &a, n, false, \
                                                  __ATOMIC_SEQ_CST, \
                                                  __ATOMIC_SEQ_CST)); \
            rmw_end(c, p); \
            DO_##name(N, a, b, r); \
        } else { \
            p = rmw##N(c, op, ea(c, op)); \
            a = p->v; \
            r = V_##name(a, b); \
            p->v = r; \
            rmw_end(c, p); \
            DO_##name(N, a, b, r); \
        } \
    } while (0)

#define ALU_FORMS(name, N) \
SOP(name##_rr##N) /* r/m register, reg */ \
{ \
    uint##N##_t a = RGET##N(op->rm), b = RGET##N(op->reg), r; \
    DO_##name(N, a, b, r); \
    RSET##N(op->rm, r); \
    NEXT; \
} \
SOP(name##_ld##N) /* reg, memory */ \
{ \
    uint##N##_t b = ld##N(c, op, ea(c, op)), a = RGET##N(op->reg), r; \
    DO_##name(N, a, b, r); \
    RSET##N(op->reg, r); \
    NEXT; \
} \
SOP(name##_rv##N) /* reg, r/m register */ \
{ \
    uint##N##_t a = RGET##N(op->reg), b = RGET##N(op->rm), r; \
    DO_##name(N, a, b, r); \
    RSET##N(op->reg, r); \
    NEXT; \
} \
SOP(name##_ri##N) \
{ \
    uint##N##_t a = RGET##N(op->rm), b = (int64_t)op->imm, r; \
    DO_##name(N, a, b, r); \
    RSET##N(op->rm, r); \
    NEXT; \
} \
SOP(name##_mr##N) \
{ \
    ALU_RMW(name, N, RGET##N(op->reg)); \
    NEXT; \
} \
SOP(name##_mi##N) \
{ \
    ALU_RMW(name, N, (int64_t)op->imm); \
    NEXT; \
}

/* CMP and TEST write nothing but flags. */
#define CMP_FORMS(name, alu, N) \
SOP(name##_rr##N) \
{ \
    uint##N##_t a = RGET##N(op->rm), b = RGET##N(op->reg), r; \
    DO_##alu(N, a, b, r); \
    (void)r; \
    NEXT; \
} \
SOP(name##_rv##N) \
{ \
    uint##N##_t a = RGET##N(op->reg), b = RGET##N(op->rm), r; \
    DO_##alu(N, a, b, r); \
    (void)r; \
    NEXT; \
} \
SOP(name##_ld##N) \
{ \
    uint##N##_t b = ld##N(c, op, ea(c, op)), a = RGET##N(op->reg), r; \
    DO_##alu(N, a, b, r); \
    (void)r; \
    NEXT; \
} \
SOP(name##_ri##N) \
{ \
    uint##N##_t a = RGET##N(op->rm), b = (int64_t)op->imm, r; \
    DO_##alu(N, a, b, r); \
    (void)r; \
    NEXT; \
} \
SOP(name##_mr##N) \
{ \
    uint##N##_t a = ld##N(c, op, ea(c, op)), b = RGET##N(op->reg), r; \
    DO_##alu(N, a, b, r); \
    (void)r; \
    NEXT; \
} \
SOP(name##_mi##N) \
{ \
    uint##N##_t a = ld##N(c, op, ea(c, op)), b = (int64_t)op->imm, r; \
    DO_##alu(N, a, b, r); \
    (void)r; \
    NEXT; \
}

#define SIZES(F, form) \
    F##_##form##8, F##_##form##16, F##_##form##32, F##_##form##64
/* Tables: r/m,reg; reg,r/m; r/m,imm. */
#define ALU_TABS(name) \
    OpFn *const tab_##name##_er[8] = { SIZES(name, rr), SIZES(name, mr) }; \
    OpFn *const tab_##name##_re[8] = { SIZES(name, rv), SIZES(name, ld) }; \
    OpFn *const tab_##name##_ei[8] = { SIZES(name, ri), SIZES(name, mi) };
#define ALU_ALL(name) \
    ALU_FORMS(name, 8) ALU_FORMS(name, 16) ALU_FORMS(name, 32) \
    ALU_FORMS(name, 64) ALU_TABS(name)
#define CMP_ALL(name, alu) \
    CMP_FORMS(name, alu, 8) CMP_FORMS(name, alu, 16) \
    CMP_FORMS(name, alu, 32) CMP_FORMS(name, alu, 64) ALU_TABS(name)

ALU_ALL(add)
ALU_ALL(or)
ALU_ALL(adc)
ALU_ALL(sbb)
ALU_ALL(and)
ALU_ALL(sub)
ALU_ALL(xor)
CMP_ALL(cmp, sub)
CMP_ALL(test, and)

/* One-operand forms. INC and DEC leave CF alone. */
#define U_inc(a) ((a) + 1)
#define U_dec(a) ((a) - 1)
#define U_neg(a) (-(a))
#define U_not(a) (~(a))
#define FL_inc(N, a, r) do { \
        unsigned cf_ = lf_cf(c); \
        SET_ADD(N, a, 1, r); \
        lf_set_cf(c, cf_); \
    } while (0)
#define FL_dec(N, a, r) do { \
        unsigned cf_ = lf_cf(c); \
        SET_SUB(N, a, 1, r); \
        lf_set_cf(c, cf_); \
    } while (0)
#define FL_neg(N, a, r) SET_SUB(N, 0, a, r)
#define FL_not(N, a, r) ((void)0)

#define UNARY_FORMS(name, N) \
SOP(name##_r##N) \
{ \
    uint##N##_t a = RGET##N(op->rm), r = U_##name(a); \
    RSET##N(op->rm, r); \
    FL_##name(N, a, r); \
    NEXT; \
} \
SOP(name##_m##N) \
{ \
    un##N *p; \
    uint##N##_t a, r; \
    if (op->flags & OF_LOCK) { \
        p = atomic_rmw##N(c, op, ea(c, op)); \
        a = p->v; \
        do { \
            r = U_##name(a); \
        } while (!__atomic_compare_exchange_n((uint##N##_t *)p, &a, r, false, \
                                              __ATOMIC_SEQ_CST, \
                                              __ATOMIC_SEQ_CST)); \
    } else { \
        p = rmw##N(c, op, ea(c, op)); \
        a = p->v; \
        r = U_##name(a); \
        p->v = r; \
    } \
    rmw_end(c, p); \
    FL_##name(N, a, r); \
    NEXT; \
}
#define UNARY_ALL(name) \
    UNARY_FORMS(name, 8) UNARY_FORMS(name, 16) UNARY_FORMS(name, 32) \
    UNARY_FORMS(name, 64) \
    OpFn *const tab_##name[8] = { SIZES(name, r), SIZES(name, m) };

UNARY_ALL(inc)
UNARY_ALL(dec)
UNARY_ALL(neg)
UNARY_ALL(not)
