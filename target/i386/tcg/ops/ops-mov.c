/*
 * Data movement: MOV, MOVZX, MOVSX, LEA, XCHG, XADD, CMPXCHG, CMOVcc, SETcc,
 * BSWAP and sign extensions.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "target/i386/tcg/ops/ops.h"
#include "target/i386/tcg/decode/optabs.h"

#define SIZES(F, form) \
    F##_##form##8, F##_##form##16, F##_##form##32, F##_##form##64
#define FOR_SIZES(X) X(8) X(16) X(32) X(64)

#define MOV_FORMS(N) \
SOP(mov_rr##N) \
{ \
    RSET##N(op->rm, RGET##N(op->reg)); \
    NEXT; \
} \
SOP(mov_rv##N) \
{ \
    RSET##N(op->reg, RGET##N(op->rm)); \
    NEXT; \
} \
SOP(mov_mr##N) \
{ \
    st##N(c, op, ea(c, op), RGET##N(op->reg)); \
    NEXT; \
} \
SOP(mov_ld##N) \
{ \
    uint##N##_t v = ld##N(c, op, ea(c, op)); \
    RSET##N(op->reg, v); \
    NEXT; \
} \
SOP(mov_ri##N) \
{ \
    RSET##N(op->rm, (int64_t)op->imm); \
    NEXT; \
} \
SOP(mov_mi##N) \
{ \
    st##N(c, op, ea(c, op), (int64_t)op->imm); \
    NEXT; \
} \
SOP(xchg_rr##N) \
{ \
    uint##N##_t a = RGET##N(op->rm); \
    RSET##N(op->rm, RGET##N(op->reg)); \
    RSET##N(op->reg, a); \
    NEXT; \
} \
SOP(xchg_mr##N) /* always locked */ \
{ \
    un##N *p = atomic_rmw##N(c, op, ea(c, op)); \
    uint##N##_t a = __atomic_exchange_n((uint##N##_t *)p, RGET##N(op->reg), \
                                        __ATOMIC_SEQ_CST); \
    rmw_end(c, p); \
    RSET##N(op->reg, a); \
    NEXT; \
} \
SOP(xadd_rr##N) \
{ \
    uint##N##_t a = RGET##N(op->rm), b = RGET##N(op->reg), r = a + b; \
    RSET##N(op->reg, a); \
    RSET##N(op->rm, r); \
    SET_ADD(N, a, b, r); \
    NEXT; \
} \
SOP(xadd_mr##N) \
{ \
    un##N *p = atomic_rmw##N(c, op, ea(c, op)); \
    uint##N##_t b = RGET##N(op->reg), a, r; \
    a = __atomic_fetch_add((uint##N##_t *)p, b, __ATOMIC_SEQ_CST); \
    rmw_end(c, p); \
    r = a + b; \
    RSET##N(op->reg, a); \
    SET_ADD(N, a, b, r); \
    NEXT; \
} \
SOP(cmpxchg_rr##N) \
{ \
    uint##N##_t a = RGET##N(R_EAX), b = RGET##N(op->rm), r = a - b; \
    if (a == b) { \
        RSET##N(op->rm, RGET##N(op->reg)); \
    } else { \
        RSET##N(R_EAX, b); \
    } \
    SET_SUB(N, a, b, r); \
    NEXT; \
} \
SOP(cmpxchg_mr##N) \
{ \
    un##N *p = atomic_rmw##N(c, op, ea(c, op)); \
    uint##N##_t a = RGET##N(R_EAX), b = a, r; \
    __atomic_compare_exchange_n((uint##N##_t *)p, &b, RGET##N(op->reg), false, \
                                __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST); \
    rmw_end(c, p); \
    if (a != b) { \
        RSET##N(R_EAX, b); \
    } \
    r = a - b; \
    SET_SUB(N, a, b, r); \
    NEXT; \
}
FOR_SIZES(MOV_FORMS)

OpFn *const tab_mov_er[8] = { SIZES(mov, rr), SIZES(mov, mr) };
OpFn *const tab_mov_re[8] = { SIZES(mov, rv), SIZES(mov, ld) };
OpFn *const tab_mov_ei[8] = { SIZES(mov, ri), SIZES(mov, mi) };
OpFn *const tab_xchg[8] = { SIZES(xchg, rr), SIZES(xchg, mr) };
OpFn *const tab_xadd[8] = { SIZES(xadd, rr), SIZES(xadd, mr) };
OpFn *const tab_cmpxchg[8] = { SIZES(cmpxchg, rr), SIZES(cmpxchg, mr) };

/* MOV r64, imm64: the immediate is in disp. */
SOP(mov_riv64)
{
    c->regs[op->rm] = (uint64_t)op->disp;
    NEXT;
}
OpFn *const tab_mov_iv[8] = { mov_ri8, mov_ri16, mov_ri32, mov_riv64 };

/* MOV between rAX and an absolute offset. */
OP(op_mov_moffs_ld)
{
    uint64_t v = ld_size(c, op, ea(c, op), op->size);

    reg_set(c, R_EAX, v, op->size);
    NEXT;
}

OP(op_mov_moffs_st)
{
    st_size(c, op, ea(c, op), reg_get(c, R_EAX, op->size), op->size);
    NEXT;
}

#define EXT_FORMS(name, TYPE, S, D) \
SOP(name##_r##S##D) \
{ \
    RSET##D(op->reg, (TYPE)RGET##S(op->rm)); \
    NEXT; \
} \
SOP(name##_m##S##D) \
{ \
    TYPE v = (TYPE)ld##S(c, op, ea(c, op)); \
    RSET##D(op->reg, v); \
    NEXT; \
}
EXT_FORMS(movzx, uint8_t, 8, 16)
EXT_FORMS(movzx, uint8_t, 8, 32)
EXT_FORMS(movzx, uint8_t, 8, 64)
EXT_FORMS(movzx, uint16_t, 16, 16)
EXT_FORMS(movzx, uint16_t, 16, 32)
EXT_FORMS(movzx, uint16_t, 16, 64)
EXT_FORMS(movsx, int8_t, 8, 16)
EXT_FORMS(movsx, int8_t, 8, 32)
EXT_FORMS(movsx, int8_t, 8, 64)
EXT_FORMS(movsx, int16_t, 16, 16)
EXT_FORMS(movsx, int16_t, 16, 32)
EXT_FORMS(movsx, int16_t, 16, 64)
EXT_FORMS(movsx, int32_t, 32, 64)

#define EXT_TAB(name, S) \
    { NULL, name##_r##S##16, name##_r##S##32, name##_r##S##64, \
      NULL, name##_m##S##16, name##_m##S##32, name##_m##S##64 }
OpFn *const tab_movzx8[8] = EXT_TAB(movzx, 8);
OpFn *const tab_movzx16[8] = EXT_TAB(movzx, 16);
OpFn *const tab_movsx8[8] = EXT_TAB(movsx, 8);
OpFn *const tab_movsx16[8] = EXT_TAB(movsx, 16);
/* MOVSXD; without REX.W it is a plain move. */
OpFn *const tab_movsxd[8] = { NULL, mov_rv16, mov_rv32, movsx_r3264,
                              NULL, mov_ld16, mov_ld32, movsx_m3264 };

SOP(lea64)
{
    c->regs[op->reg] = op->flags & OF_EASLOW ? tcg_ea_offset(c, op) : ea(c, op);
    NEXT;
}

SOP(lea32)
{
    RSET32(op->reg, op->flags & OF_EASLOW ? tcg_ea_offset(c, op) : ea(c, op));
    NEXT;
}

SOP(lea16)
{
    RSET16(op->reg, op->flags & OF_EASLOW ? tcg_ea_offset(c, op) : ea(c, op));
    NEXT;
}
OpFn *const tab_lea[8] = { NULL, NULL, NULL, NULL, NULL, lea16, lea32, lea64 };

/* id: condition. A 32-bit CMOV clears the upper half even if false. */
#define CMOV_FORMS(N) \
SOP(cmov_r##N) \
{ \
    uint##N##_t v = cond_eval(c, op->id) ? RGET##N(op->rm) : RGET##N(op->reg); \
    RSET##N(op->reg, v); \
    NEXT; \
} \
SOP(cmov_m##N) \
{ \
    uint##N##_t v = ld##N(c, op, ea(c, op)); \
    v = cond_eval(c, op->id) ? v : RGET##N(op->reg); \
    RSET##N(op->reg, v); \
    NEXT; \
}
CMOV_FORMS(16)
CMOV_FORMS(32)
CMOV_FORMS(64)
OpFn *const tab_cmov[8] = { NULL, cmov_r16, cmov_r32, cmov_r64,
                            NULL, cmov_m16, cmov_m32, cmov_m64 };

OP(op_setcc)
{
    uint8_t v = cond_eval(c, op->id);

    rm_set(c, op, v, 0);
    NEXT;
}

OP(op_bswap)
{
    if (op->size == 3) {
        c->regs[op->rm] = __builtin_bswap64(c->regs[op->rm]);
    } else if (op->size == 2) {
        RSET32(op->rm, __builtin_bswap32((uint32_t)c->regs[op->rm]));
    } else {
        RSET16(op->rm, 0);      /* what processors do; undefined in the SDM */
    }
    NEXT;
}

/* CBW, CWDE, CDQE */
OP(op_cbw)
{
    switch (op->size) {
    case 1: RSET16(R_EAX, (int8_t)c->regs[R_EAX]); break;
    case 2: RSET32(R_EAX, (int16_t)c->regs[R_EAX]); break;
    default: c->regs[R_EAX] = (int64_t)(int32_t)c->regs[R_EAX]; break;
    }
    NEXT;
}

/* CWD, CDQ, CQO */
OP(op_cwd)
{
    reg_set(c, R_EDX, sext(c->regs[R_EAX], op->size) < 0 ? ~(uint64_t)0 : 0,
            op->size);
    NEXT;
}

/* 16 bytes at once: what the compiler offers for it would call a library. */
static unsigned __int128 cas16(void *p, unsigned __int128 old,
                               unsigned __int128 val)
{
#ifdef __x86_64__
    uint64_t lo = (uint64_t)old, hi = (uint64_t)(old >> 64);

    __asm__ volatile("lock cmpxchg16b %0"
                     : "+m"(*(unsigned __int128 *)p), "+a"(lo), "+d"(hi)
                     : "b"((uint64_t)val), "c"((uint64_t)(val >> 64)) : "memory", "cc");
    return (unsigned __int128)hi << 64 | lo;
#else
    return __sync_val_compare_and_swap((unsigned __int128 *)p, old, val);
#endif
}

/* CMPXCHG8B and CMPXCHG16B. */
OP(op_cmpxchg8b)
{
    uint64_t want, new;
    un64 *p;

    if (op->flags & OF_REXW) {
        sync_eip(c, op);
        uint64_t addr = ea(c, op);
        if (addr & 15) {
            tcg_raise_err(c, EXCP_GP, 0);
        }
        unsigned __int128 *q = tcg_rmw_slow(c, op, addr, 16);
        unsigned __int128 old = (unsigned __int128)c->regs[R_EDX] << 64 |
                                c->regs[R_EAX];
        unsigned __int128 val = (unsigned __int128)c->regs[R_ECX] << 64 |
                                c->regs[R_EBX];
        unsigned __int128 seen = cas16(q, old, val);
        rmw_end(c, q);
        lf_set(c, (lf_get(c) & ~CC_Z) | (seen == old ? CC_Z : 0));
        if (seen != old) {
            c->regs[R_EAX] = (uint64_t)seen;
            c->regs[R_EDX] = (uint64_t)(seen >> 64);
        }
        NEXT;
    }
    p = atomic_rmw64(c, op, ea(c, op));
    want = (uint64_t)(uint32_t)c->regs[R_EDX] << 32 | (uint32_t)c->regs[R_EAX];
    new = (uint64_t)(uint32_t)c->regs[R_ECX] << 32 | (uint32_t)c->regs[R_EBX];
    uint64_t seen = __sync_val_compare_and_swap((uint64_t *)p, want, new);
    rmw_end(c, p);
    lf_set(c, (lf_get(c) & ~CC_Z) | (seen == want ? CC_Z : 0));
    if (seen != want) {
        RSET32(R_EAX, (uint32_t)seen);
        RSET32(R_EDX, (uint32_t)(seen >> 32));
    }
    NEXT;
}

/* XLAT: AL from [rBX + AL]; the decoder gives the base, AL is added here. */
OP(op_xlat)
{
    uint64_t off = c->regs[R_EBX] + (uint8_t)c->regs[R_EAX];

    sync_eip(c, op);
    if (op->flags & OF_A32) {
        off = (uint32_t)off;
    } else if (op->flags & OF_A16) {
        off = (uint16_t)off;
    }
    RSET8(R_EAX, ld8(c, op, tcg_seg_lin(c, op->seg, off, 1, false)));
    NEXT;
}

OP(op_nop)
{
    NEXT;
}
