/*
 * String instructions. Runs of REP MOVS and REP STOS within a page go at the
 * host's speed; everything else goes element by element. Registers are exact
 * after each element or run, so a fault or an interrupt can come between.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "target/i386/tcg/ops/ops.h"
#include "target/i386/tcg/decode/optabs.h"
#include "target/i386/tcg/sys/system.h"

static inline uint64_t a_mask(const X86Op *op)
{
    return op->flags & OF_A32 ? 0xffffffffu :
           op->flags & OF_A16 ? 0xffffu : ~(uint64_t)0;
}

static inline void a_set(TCGCPU *c, const X86Op *op, unsigned r, uint64_t v)
{
    if (op->flags & OF_A32) {
        RSET32(r, v);
    } else if (op->flags & OF_A16) {
        RSET16(r, v);
    } else {
        c->regs[r] = v;
    }
}

static inline uint64_t a_get(TCGCPU *c, const X86Op *op, unsigned r)
{
    return c->regs[r] & a_mask(op);
}

static inline void a_step(TCGCPU *c, const X86Op *op, unsigned r, uint64_t n)
{
    a_set(c, op, r, c->regs[r] + (uint64_t)c->df * n);
}

static inline uint64_t src_lin(TCGCPU *c, const X86Op *op)
{
    return tcg_seg_lin(c, op->seg, a_get(c, op, R_ESI), 1u << op->size, false);
}

static inline uint64_t dst_lin(TCGCPU *c, const X86Op *op, bool write)
{
    return tcg_seg_lin(c, R_ES, a_get(c, op, R_EDI), 1u << op->size, write);
}

static inline bool repeated(const X86Op *op)
{
    return op->flags & (OF_REP | OF_REPNE);
}

static inline bool polled(TCGCPU *c)
{
    return atomic_load_explicit(&c->poll, memory_order_relaxed) != 0;
}

/* Elements that fit before the page of lin ends, at most n. */
static uint64_t run_length(uint64_t lin, unsigned size, uint64_t n)
{
    uint64_t room = (TCG_PAGE_SIZE - (lin & 0xfff)) >> size;

    return room < n ? room : n;
}

/* May runs be used: flat addresses going up. */
static inline bool runs(TCGCPU *c, const X86Op *op)
{
    return c->df > 0 && (op->flags & OF_C64) && !(op->flags & OF_A32) &&
           !(c->eflags & TF_MASK);
}

static void movs_one(TCGCPU *c, const X86Op *op)
{
    uint64_t v = ld_size(c, op, src_lin(c, op), op->size);

    st_size(c, op, dst_lin(c, op, true), v, op->size);
    a_step(c, op, R_ESI, 1u << op->size);
    a_step(c, op, R_EDI, 1u << op->size);
}

/* Move up to n elements at once. Returns how many; 0: do one by itself. */
static uint64_t movs_run(TCGCPU *c, const X86Op *op, uint64_t n)
{
    uint64_t s = src_lin(c, op), d = dst_lin(c, op, true);
    uint8_t *sp, *dp;
    uint64_t bytes;

    n = run_length(s, op->size, run_length(d, op->size, n));
    if (n == 0) {
        return 0;
    }
    sp = tcg_page_ptr(c, s, MMU_READ);
    dp = sp ? tcg_page_ptr(c, d, MMU_WRITE) : NULL;
    if (!dp) {
        return 0;
    }
    bytes = n << op->size;
    if (dp > sp && dp < sp + bytes) {
        /* Elements read what earlier ones wrote. */
        n = (uint64_t)(dp - sp) >> op->size;
        if (n == 0) {
            return 0;
        }
        bytes = n << op->size;
        memcpy(dp, sp, bytes);
    } else {
        memmove(dp, sp, bytes);
    }
    c->regs[R_ESI] += bytes;
    c->regs[R_EDI] += bytes;
    return n;
}

OP(op_movs)
{
    uint64_t n;

    sync_eip(c, op);
    if (!repeated(op)) {
        movs_one(c, op);
        NEXT;
    }
    while ((n = a_get(c, op, R_ECX)) != 0) {
        uint64_t k = runs(c, op) ? movs_run(c, op, n) : 0;

        if (k == 0) {
            movs_one(c, op);
            k = 1;
        }
        a_set(c, op, R_ECX, n - k);
        if (polled(c) && n != k) {
            EXIT_TO(c->eip);
        }
    }
    NEXT;
}

static void fill(uint8_t *p, uint64_t v, unsigned size, uint64_t n)
{
    uint64_t i;

    switch (size) {
    case 0: memset(p, (uint8_t)v, n); break;
    case 1: for (i = 0; i < n; i++) { ((un16 *)p)[i].v = v; } break;
    case 2: for (i = 0; i < n; i++) { ((un32 *)p)[i].v = v; } break;
    default:
        if (v == 0) {
            memset(p, 0, n * 8);
        } else {
            for (i = 0; i < n; i++) {
                ((un64 *)p)[i].v = v;
            }
        }
    }
}

OP(op_stos)
{
    uint64_t n, v = reg_get(c, R_EAX, op->size);

    sync_eip(c, op);
    if (!repeated(op)) {
        st_size(c, op, dst_lin(c, op, true), v, op->size);
        a_step(c, op, R_EDI, 1u << op->size);
        NEXT;
    }
    while ((n = a_get(c, op, R_ECX)) != 0) {
        uint64_t d = dst_lin(c, op, true), k = 0;
        uint8_t *p = NULL;

        if (runs(c, op) && (k = run_length(d, op->size, n)) != 0) {
            p = tcg_page_ptr(c, d, MMU_WRITE);
        }
        if (p) {
            fill(p, v, op->size, k);
            c->regs[R_EDI] += k << op->size;
        } else {
            st_size(c, op, d, v, op->size);
            a_step(c, op, R_EDI, 1u << op->size);
            k = 1;
        }
        a_set(c, op, R_ECX, n - k);
        if (polled(c) && n != k) {
            EXIT_TO(c->eip);
        }
    }
    NEXT;
}

static void lods_one(TCGCPU *c, const X86Op *op)
{
    uint64_t v = ld_size(c, op, src_lin(c, op), op->size);

    a_step(c, op, R_ESI, 1u << op->size);
    reg_set(c, R_EAX, v, op->size);
}

static void compare(TCGCPU *c, uint64_t a, uint64_t b, unsigned size)
{
    switch (size) {
    case 0: SET_SUB(8, a, b, (uint8_t)(a - b)); break;
    case 1: SET_SUB(16, a, b, (uint16_t)(a - b)); break;
    case 2: SET_SUB(32, a, b, (uint32_t)(a - b)); break;
    default: SET_SUB(64, a, b, a - b); break;
    }
}

static void cmps_one(TCGCPU *c, const X86Op *op)
{
    uint64_t a = ld_size(c, op, src_lin(c, op), op->size);
    uint64_t b = ld_size(c, op, dst_lin(c, op, false), op->size);

    a_step(c, op, R_ESI, 1u << op->size);
    a_step(c, op, R_EDI, 1u << op->size);
    compare(c, a, b, op->size);
}

static void scas_one(TCGCPU *c, const X86Op *op)
{
    uint64_t b = ld_size(c, op, dst_lin(c, op, false), op->size);

    a_step(c, op, R_EDI, 1u << op->size);
    compare(c, reg_get(c, R_EAX, op->size), b, op->size);
}

static void ins_one(TCGCPU *c, const X86Op *op)
{
    unsigned size = 1u << op->size;
    uint64_t addr = dst_lin(c, op, true);

    /* The port is only read once the store cannot fault. */
    tcg_probe_write(c, addr, size);
    st_size(c, op, addr, tcg_in(c, (uint16_t)c->regs[R_EDX], size), op->size);
    a_step(c, op, R_EDI, size);
}

static void outs_one(TCGCPU *c, const X86Op *op)
{
    uint64_t v = ld_size(c, op, src_lin(c, op), op->size);

    tcg_out(c, (uint16_t)c->regs[R_EDX], v, 1u << op->size);
    a_step(c, op, R_ESI, 1u << op->size);
}

typedef void StringFn(TCGCPU *c, const X86Op *op);

/*
 * REP of one; with until_z, ends after an element with ZF as the prefix says. False: there
 * are elements left for later.
 */
static bool repeat(TCGCPU *c, const X86Op *op, StringFn *one, bool until_z)
{
    uint64_t n;

    sync_eip(c, op);
    if (!repeated(op)) {
        one(c, op);
        return true;
    }
    while ((n = a_get(c, op, R_ECX)) != 0) {
        one(c, op);
        a_set(c, op, R_ECX, n - 1);
        if (until_z && cond_z(c) != !!(op->flags & OF_REP)) {
            break;
        }
        if (polled(c) && n != 1) {
            return false;
        }
    }
    return true;
}

/* With elements left, c->eip is where the instruction begins. */
#define REPEAT(one, until_z) do { \
        if (!repeat(c, op, one, until_z)) { \
            return NULL; \
        } \
        NEXT; \
    } while (0)

OP(op_lods) { REPEAT(lods_one, false); }
OP(op_cmps) { REPEAT(cmps_one, true); }
OP(op_scas) { REPEAT(scas_one, true); }

OP(op_ins)
{
    sync_eip(c, op);
    tcg_check_io(c, (uint16_t)c->regs[R_EDX], 1u << op->size);
    REPEAT(ins_one, false);
}

OP(op_outs)
{
    sync_eip(c, op);
    tcg_check_io(c, (uint16_t)c->regs[R_EDX], 1u << op->size);
    REPEAT(outs_one, false);
}
