/*
 * XSAVE and its kin: components of the state in the standard and in the compacted form (SDM 1,
 * chapter 13).
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <string.h>

#include "target/i386/tcg/ops/fpu.h"
#include "target/i386/tcg/ops/ops.h"
#include "target/i386/tcg/sys/system.h"

#define LEGACY 512u             /* FXSAVE's image; then XSTATE_BV, XCOMP_BV, zeroes */
#define COMPACTED (1ull << 63)  /* XCOMP_BV */
#define MXCSR_INIT 0x1f80u

uint64_t tcg_xcr0_mask(const TCGCPU *c)
{
    return XCR0_X87 | XCR0_SSE | (tcg_has(c, X86_FEATURE_AVX) ? XCR0_AVX : 0) |
           (tcg_has(c, X86_FEATURE_PKU) ? XCR0_PKRU : 0);
}

/* x87 and SSE count as used always: that is allowed. */
uint64_t tcg_xinuse(const TCGCPU *c)
{
    static const XMMReg zero[16];

    return XCR0_X87 | XCR0_SSE | (memcmp(c->ymmh, zero, sizeof(zero)) ? XCR0_AVX : 0) |
           (c->pkru ? XCR0_PKRU : 0);
}

unsigned tcg_xsave_size(uint64_t components)
{
    return components & XCR0_PKRU ? XSAVE_END : components & XCR0_AVX ? XSAVE_PKRU : XSAVE_AVX;
}

/* Where PKRU is among these components, one behind the other. */
static unsigned compacted_pkru(uint64_t components)
{
    return components & XCR0_AVX ? XSAVE_PKRU : XSAVE_AVX;
}

unsigned tcg_xsavec_size(uint64_t components)
{
    return compacted_pkru(components) + (components & XCR0_PKRU ? XSAVE_PKRU_SIZE : 0);
}

/* The components asked for. */
static uint64_t requested(const TCGCPU *c)
{
    return c->xcr0 & ((uint64_t)(uint32_t)c->regs[R_EDX] << 32 | (uint32_t)c->regs[R_EAX]);
}

static void put32(uint8_t *p, uint32_t v) { memcpy(p, &v, 4); }

/* The parts of the legacy area that belong to components, in m. */
static void save_legacy(TCGCPU *c, const X86Op *op, uint8_t *m, uint64_t parts, bool mxcsr)
{
    if (parts & XCR0_X87) {
        tcg_save_x87(c, m, op->flags & OF_REXW);
    }
    if (mxcsr) {
        put32(m + 24, tcg_get_mxcsr(c));
        put32(m + 28, MXCSR_MASK);
    }
    if (parts & XCR0_SSE) {
        memcpy(m + 160, c->xmm, xmm_bytes(op));
    }
}

enum { PLAIN, OPTIMIZED, COMPACT };

static SLOW_PATH void save(TCGCPU *c, const X86Op *op, unsigned form)
{
    uint64_t rfbm = requested(c), used = rfbm & tcg_xinuse(c), header[2];
    uint64_t parts = form == PLAIN ? rfbm : used, addr = ea(c, op);
    unsigned size = form == COMPACT ? tcg_xsavec_size(rfbm) : tcg_xsave_size(parts);
    uint8_t m[LEGACY];

    tcg_check_area(c, op, addr, 64, CR0_TS);
    tcg_probe_write(c, addr, size);
    tcg_load_bytes(c, addr, m, LEGACY);
    save_legacy(c, op, m, parts, rfbm & (form == COMPACT ? XCR0_SSE : XCR0_SSE | XCR0_AVX));
    tcg_store_bytes(c, addr, m, LEGACY);
    if (form == COMPACT) {
        header[0] = used;
        header[1] = rfbm | COMPACTED;
        tcg_store_bytes(c, addr + LEGACY, header, 16);
    } else {
        header[0] = (tcg_load_slow(c, addr + LEGACY, 8) & ~rfbm) | used;
        tcg_store_slow(c, addr + LEGACY, header[0], 8);
    }
    if (parts & XCR0_AVX) {
        tcg_store_bytes(c, addr + XSAVE_AVX, c->ymmh, xmm_bytes(op));
    }
    if (parts & XCR0_PKRU) {
        tcg_store_slow(c, addr + (form == COMPACT ? compacted_pkru(rfbm) : XSAVE_PKRU), c->pkru,
                       XSAVE_PKRU_SIZE);
    }
}

static bool xsave_refused(const TCGCPU *c, const X86Op *op)
{
    return !(op->flags & OF_MEM) || !(c->cr4 & CR4_OSXSAVE) || (op->flags & (OF_OP16 | OF_REP));
}

OP(op_xsave)
{
    if (xsave_refused(c, op)) {
        return op_ud(c, op);
    }
    save(c, op, PLAIN);
    NEXT;
}

OP(op_xsaveopt)
{
    if (xsave_refused(c, op) || !tcg_has(c, X86_FEATURE_XSAVEOPT)) {
        return op_ud(c, op);
    }
    save(c, op, OPTIMIZED);
    NEXT;
}

/* XSAVEC (id 0), XSAVES (1): no component is the supervisor's yet, so they do the same. */
OP(op_xsavec)
{
    if (xsave_refused(c, op) || !(op->id ? tcg_has(c, X86_FEATURE_XSAVES) :
                                  tcg_has(c, X86_FEATURE_XSAVEC))) {
        return op_ud(c, op);
    }
    sync_eip(c, op);
    if (op->id && c->cpl) {
        tcg_raise_err(c, EXCP_GP, 0);
    }
    save(c, op, COMPACT);
    NEXT;
}

/* Restoring ---------------------------------------------------------------- */

/* What an area holds, read once. */
typedef struct Area {
    uint8_t legacy[LEGACY];
    uint64_t bv, comp, rest[6];
    uint8_t ymmh[XSAVE_AVX_SIZE];
    uint32_t pkru;
} Area;

/* Is the header one that cannot be? */
static bool bad_header(const TCGCPU *c, const Area *a, bool compacted)
{
    bool zeroes = true;

    /* The standard form looks at 16 bytes, the other at all. */
    for (unsigned i = 0; i < (compacted ? 6 : 1); i++) {
        zeroes &= !a->rest[i];
    }
    if (compacted) {
        return !tcg_has(c, X86_FEATURE_XSAVEC) || !zeroes || (a->bv & ~a->comp) ||
               (a->comp & ~COMPACTED & ~c->xcr0);
    }
    return (a->bv & ~c->xcr0) || a->comp || !zeroes;
}

static void restore_sse(TCGCPU *c, const X86Op *op, const Area *a, bool there)
{
    if (there) {
        memcpy(c->xmm, a->legacy + 160, xmm_bytes(op));
    } else {
        memset(c->xmm, 0, xmm_bytes(op));
    }
}

static void restore_x87(TCGCPU *c, const Area *a, bool there)
{
    static const uint8_t zero[LEGACY] = { 0x7f, 3 };

    tcg_restore_x87(c, there ? a->legacy : zero);
}

/* What is behind the header; parts that are not there are as at the beginning. */
static void load_rest(TCGCPU *c, const X86Op *op, uint64_t addr, uint64_t parts, Area *a)
{
    unsigned pkru = a->comp & COMPACTED ? compacted_pkru(a->comp) : XSAVE_PKRU;

    memset(a->ymmh, 0, sizeof(a->ymmh));
    if (parts & XCR0_AVX) {
        tcg_load_bytes(c, addr + XSAVE_AVX, a->ymmh, xmm_bytes(op));
    }
    a->pkru = parts & XCR0_PKRU ? tcg_load_slow(c, addr + pkru, XSAVE_PKRU_SIZE) : 0;
}

static SLOW_PATH void restore(TCGCPU *c, const X86Op *op, bool supervisor)
{
    uint64_t rfbm = requested(c), addr = ea(c, op);
    uint32_t mxcsr;
    bool compacted;
    Area a;

    tcg_check_area(c, op, addr, 64, CR0_TS);
    tcg_load_bytes(c, addr, &a, XSAVE_AVX);
    compacted = a.comp & COMPACTED;
    memcpy(&mxcsr, a.legacy + 24, 4);
    if (compacted && !(a.bv & XCR0_SSE)) {
        mxcsr = MXCSR_INIT;
    }
    /* Only the standard form has it outside of the component of SSE. */
    if (bad_header(c, &a, compacted) || (supervisor && !compacted) ||
        ((rfbm & (compacted ? XCR0_SSE : XCR0_SSE | XCR0_AVX)) && (mxcsr & ~MXCSR_MASK))) {
        tcg_raise_err(c, EXCP_GP, 0);
    }
    load_rest(c, op, addr, rfbm & a.bv, &a);
    if (rfbm & XCR0_X87) {
        restore_x87(c, &a, a.bv & XCR0_X87);
    }
    if (rfbm & XCR0_SSE) {
        restore_sse(c, op, &a, a.bv & XCR0_SSE);
    }
    if (rfbm & (compacted ? XCR0_SSE : XCR0_SSE | XCR0_AVX)) {
        tcg_set_mxcsr(c, mxcsr);
    }
    if (rfbm & XCR0_AVX) {
        memcpy(c->ymmh, a.ymmh, xmm_bytes(op));
    }
    if (rfbm & XCR0_PKRU) {
        tcg_set_pkru(c, a.pkru);
    }
}

/* 0F AE /5; without memory LFENCE. */
OP(op_xrstor)
{
    if (!(op->flags & OF_MEM)) {
        TAIL op_fence(c, op);
    }
    if (xsave_refused(c, op)) {
        return op_ud(c, op);
    }
    restore(c, op, false);
    NEXT;
}

OP(op_xrstors)
{
    if (xsave_refused(c, op) || !tcg_has(c, X86_FEATURE_XSAVES)) {
        return op_ud(c, op);
    }
    sync_eip(c, op);
    if (c->cpl) {
        tcg_raise_err(c, EXCP_GP, 0);
    }
    restore(c, op, true);
    NEXT;
}
