/*
 * AVX and AVX2 where elements cross 128-bit lanes, or memory is taken element by element.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "target/i386/tcg/ops/vec.h"
#include "target/i386/tcg/ops/vex.h"

/* A vector as elements. */
typedef union Elements {
    YMMReg y;
    uint8_t b[32];
    uint16_t w[16];
    uint32_t l[8];
    uint64_t q[4];
} Elements;

static void get(const TCGCPU *c, unsigned reg, Elements *v)
{
    vex_get(c, reg, &v->y);
}

static unsigned bytes_of(const X86Op *op)
{
    return op->flags & OF_L ? 32 : 16;
}

/* An instruction is a function that comes back. */
#define AVX(name, fn) \
    OP(name) \
    { \
        VEX_CHECK(c, op); \
        fn(c, op); \
        NEXT; \
    }

/* Flags -------------------------------------------------------------------- */

/* VPTEST (id 0), VTESTPS (1), VTESTPD (2): of all bits, or the elements' signs. */
static SLOW_PATH void test(TCGCPU *c, const X86Op *op)
{
    static const uint64_t masks[3] = { ~0ull, 0x8000000080000000ull, 0x8000000000000000ull };
    uint64_t both = 0, only = 0;
    Elements s, d;

    vex_source(c, op, &s.y);
    get(c, op->reg, &d);
    for (unsigned i = 0; i < bytes_of(op) / 8; i++) {
        both |= s.q[i] & d.q[i] & masks[op->id];
        only |= s.q[i] & ~d.q[i] & masks[op->id];
    }
    lf_set(c, (both ? 0 : CC_Z) | (only ? 0 : CC_C));
}
AVX(op_vtest, test)

/* Elements elsewhere ------------------------------------------------------- */

/* id: log2 of an element's bytes. */
static SLOW_PATH void broadcast(TCGCPU *c, const X86Op *op)
{
    Elements v;

    if ((op->flags & OF_MEM) && op->id < 4) {
        v.q[0] = ld_size(c, op, ea(c, op), op->id);
    } else {
        vex_source(c, op, &v.y);
    }
    switch (op->id) {
    case 0: v.q[0] = v.b[0] * 0x0101010101010101ull; break;
    case 1: v.q[0] = v.w[0] * 0x0001000100010001ull; break;
    case 2: v.q[0] = v.l[0] * 0x0000000100000001ull; break;
    }
    v.q[1] = op->id < 4 ? v.q[0] : v.q[1];
    v.y.x[1] = v.y.x[0];
    vex_put(c, op, op->reg, &v.y);
}
AVX(op_vbroadcast, broadcast)

/* VPERMD, VPERMPS: indices in vvvv. */
static SLOW_PATH void permd(TCGCPU *c, const X86Op *op)
{
    Elements s, index, r;

    vex_source(c, op, &s.y);
    get(c, vex_v(op), &index);
    for (unsigned i = 0; i < 8; i++) {
        r.l[i] = s.l[index.l[i] & 7];
    }
    vex_put(c, op, op->reg, &r.y);
}
AVX(op_vpermd, permd)

/* VPERMQ, VPERMPD. */
static SLOW_PATH void permq(TCGCPU *c, const X86Op *op)
{
    Elements s, r;

    vex_source(c, op, &s.y);
    for (unsigned i = 0; i < 4; i++) {
        r.q[i] = s.q[op->imm >> (2 * i) & 3];
    }
    vex_put(c, op, op->reg, &r.y);
}
AVX(op_vpermq, permq)

/* VPERM2F128, VPERM2I128: each half one of four, or 0. */
static SLOW_PATH void perm2(TCGCPU *c, const X86Op *op)
{
    Elements s[2];
    YMMReg r;

    vex_source(c, op, &s[1].y);
    get(c, vex_v(op), &s[0]);
    for (unsigned i = 0; i < 2; i++) {
        unsigned how = op->imm >> (4 * i) & 15;

        r.x[i] = how & 8 ? (XMMReg) { 0 } : s[how >> 1 & 1].y.x[how & 1];
    }
    vex_put(c, op, op->reg, &r);
}
AVX(op_vperm2, perm2)

static SLOW_PATH void insert(TCGCPU *c, const X86Op *op)
{
    Elements s, r;

    vex_source(c, op, &s.y);
    get(c, vex_v(op), &r);
    r.y.x[op->imm & 1] = s.y.x[0];
    vex_put(c, op, op->reg, &r.y);
}
AVX(op_vinsert, insert)

static SLOW_PATH void extract(TCGCPU *c, const X86Op *op)
{
    XMMReg v = op->imm & 1 ? c->ymmh[op->reg] : c->xmm[op->reg];

    if (op->flags & OF_MEM) {
        vec_store16(c, op, ea(c, op), &v);
    } else {
        c->xmm[op->rm] = v;
        c->ymmh[op->rm] = (XMMReg) { 0 };
    }
}
AVX(op_vextract, extract)

/* VBLENDVPS (id 4), VBLENDVPD (8), VPBLENDVB (1): the mask is named by the immediate. */
static SLOW_PATH void blendv(TCGCPU *c, const X86Op *op)
{
    unsigned reg = (uint8_t)op->imm >> 4;
    Elements s, r, mask;

    vex_source(c, op, &s.y);
    get(c, vex_v(op), &r);
    get(c, op->flags & OF_C64 ? reg : reg & 7, &mask);
    for (unsigned i = 0; i < 32; i++) {
        if (mask.b[i | (op->id - 1)] & 0x80) {
            r.b[i] = s.b[i];
        }
    }
    vex_put(c, op, op->reg, &r.y);
}
AVX(op_vblendv, blendv)

/* Memory by masks ---------------------------------------------------------- */

/* id 4, 8, or 0: by W. */
static unsigned element_bytes(const X86Op *op)
{
    return op->id ? op->id : op->flags & OF_REXW ? 8 : 4;
}

/* Does the element at byte i take part? */
static bool masked_in(const Elements *mask, unsigned i, unsigned n)
{
    return mask->b[i + n - 1] & 0x80;
}

/* What is masked out is not read, so does not fault. */
static SLOW_PATH void mask_load(TCGCPU *c, const X86Op *op)
{
    unsigned n = element_bytes(op);
    Elements mask, r = { .q = { 0 } };
    uint64_t a = ea(c, op);

    get(c, vex_v(op), &mask);
    for (unsigned i = 0; i < bytes_of(op); i += n) {
        if (masked_in(&mask, i, n)) {
            uint64_t v = n == 8 ? ld64(c, op, a + i) : ld32(c, op, a + i);

            memcpy(r.b + i, &v, n);
        }
    }
    vex_put(c, op, op->reg, &r.y);
}
AVX(op_vmaskmov, mask_load)

/* All that are written are tried before the first one is. */
static SLOW_PATH void mask_store(TCGCPU *c, const X86Op *op)
{
    unsigned n = element_bytes(op);
    uint64_t a = ea(c, op);
    Elements mask, v;

    get(c, vex_v(op), &mask);
    get(c, op->reg, &v);
    sync_eip(c, op);
    for (unsigned i = 0; i < bytes_of(op); i += n) {
        if (masked_in(&mask, i, n)) {
            tcg_probe_write(c, a + i, n);
        }
    }
    for (unsigned i = 0; i < bytes_of(op); i += n) {
        if (!masked_in(&mask, i, n)) {
            continue;
        }
        if (n == 8) {
            st64(c, op, a + i, v.q[i / 8]);
        } else {
            st32(c, op, a + i, v.l[i / 4]);
        }
    }
}
AVX(op_vmaskmov_st, mask_store)

/* Gathering ---------------------------------------------------------------- */

/* The i-th element, from where its index points. */
static uint64_t gather_element(TCGCPU *c, const X86Op *op, int64_t index, unsigned n)
{
    X86Op one = *op;

    one.disp += (uint64_t)index << op->scale;
    one.size = n == 8 ? 3 : 2;
    return n == 8 ? ld64(c, op, ea(c, &one)) : ld32(c, op, ea(c, &one));
}

static void put_element(TCGCPU *c, unsigned reg, unsigned i, unsigned n, uint64_t v)
{
    XMMReg *r = i < 16 ? &c->xmm[reg] : &c->ymmh[reg];

    memcpy(r->b + i % 16, &v, n);
}

/* Elements that take part become all ones, others 0 (SDM 2C, VGATHERDPS). */
static void widen_mask(TCGCPU *c, const X86Op *op, unsigned n)
{
    Elements mask, r = { .q = { 0 } };

    get(c, vex_v(op), &mask);
    for (unsigned i = 0; i < bytes_of(op); i += n) {
        if (masked_in(&mask, i, n)) {
            memset(r.b + i, 0xff, n);
        }
    }
    vex_put(c, op, vex_v(op), &r.y);
}

/*
 * id 0: indices of 32 bits, 1: of 64. What has been gathered is so, and its part of the mask
 * gone, when the next one faults: the instruction begins again there.
 */
static SLOW_PATH void gather(TCGCPU *c, const X86Op *op)
{
    unsigned n = op->flags & OF_REXW ? 8 : 4, m = op->id ? 8 : 4;
    unsigned index_reg = op->imm >> VEX_INDEX_SHIFT & 15, v = vex_v(op);
    unsigned count = bytes_of(op) / MAX(n, m);
    Elements index, mask;

    widen_mask(c, op, n);
    get(c, index_reg, &index);
    get(c, v, &mask);
    for (unsigned i = 0; i < count; i++) {
        int64_t k = m == 8 ? (int64_t)index.q[i] : (int32_t)index.l[i];

        if (masked_in(&mask, i * n, n)) {
            put_element(c, op->reg, i * n, n, gather_element(c, op, k, n));
            put_element(c, v, i * n, n, 0);
        }
    }
    memset(&mask, 0, sizeof(mask));
    vex_put(c, op, v, &mask.y);
    if (count * n <= 16) {
        c->ymmh[op->reg] = (XMMReg) { 0 };
    }
    if (count * n < 16) {
        c->xmm[op->reg].q[1] = 0;
    }
}

OP(op_vgather)
{
    unsigned index = op->imm >> VEX_INDEX_SHIFT & 15;

    VEX_CHECK(c, op);
    if (op->reg == index || op->reg == vex_v(op) || index == vex_v(op)) {
        return op_ud(c, op);
    }
    gather(c, op);
    NEXT;
}
