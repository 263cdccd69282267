/*
 * Saving and restoring x87, MMX and SSE state: FXSAVE, MXCSR.
 *
 * While guest code runs, the thread's own MXCSR holds the guest's control bits
 * with all exceptions masked and gathers the guest's flags.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <immintrin.h>
#include <string.h>

#include "target/i386/tcg/ops/fpu.h"
#include "target/i386/tcg/ops/ops.h"
#include "target/i386/tcg/sys/system.h"

#define MXCSR_EXC_MASKS 0x1f80u

void tcg_mxcsr_enter(TCGCPU *c)
{
    c->sse_checked = (c->mxcsr & MXCSR_EXC_MASKS) != MXCSR_EXC_MASKS;
    _mm_setcsr((c->mxcsr & MXCSR_MASK) | MXCSR_EXC_MASKS);
}

void tcg_mxcsr_leave(TCGCPU *c)
{
    c->mxcsr |= _mm_getcsr() & 0x3f;
    _mm_setcsr(0x1f80);
}

void tcg_set_mxcsr(TCGCPU *c, uint32_t v)
{
    c->mxcsr = v;
    tcg_mxcsr_enter(c);
}

uint32_t tcg_get_mxcsr(TCGCPU *c)
{
    return c->mxcsr | (_mm_getcsr() & 0x3f);
}

void tcg_sse_unavailable(TCGCPU *c, const X86Op *op)
{
    if (op->flags & OF_VEX) {
        return;                 /* looked at CR4.OSXSAVE and XCR0 */
    }
    sync_eip(c, op);
    if ((c->cr0 & CR0_EM) || !(c->cr4 & CR4_OSFXSR)) {
        tcg_raise(c, EXCP_UD);
    }
    if (c->cr0 & CR0_TS) {
        tcg_raise(c, EXCP_NM);
    }
}

void tcg_fpu_unavailable(TCGCPU *c, const X86Op *op)
{
    sync_eip(c, op);
    tcg_raise(c, EXCP_NM);
}

static void put16(uint8_t *p, uint16_t v) { memcpy(p, &v, 2); }
static void put32(uint8_t *p, uint32_t v) { memcpy(p, &v, 4); }
static void put64(uint8_t *p, uint64_t v) { memcpy(p, &v, 8); }

void tcg_save_x87(TCGCPU *c, uint8_t *m, bool wide)
{
    unsigned top = (c->fpus >> 11) & 7;

    put16(m, c->fpuc);
    put16(m + 2, c->fpus);
    m[4] = c->fptag;
    m[5] = 0;
    put16(m + 6, c->fpop);
    put64(m + 8, c->fpip);
    put64(m + 16, c->fpdp);
    if (!wide) {
        put32(m + 12, c->fpcs);
        put32(m + 20, c->fpds);
    }
    for (unsigned i = 0; i < 8; i++) {
        const FPReg *r = &c->fpregs[(top + i) & 7];

        put64(m + 32 + 16 * i, r->mantissa);
        put64(m + 40 + 16 * i, r->exponent);
    }
}

void tcg_restore_x87(TCGCPU *c, const uint8_t *m)
{
    unsigned top;

    memcpy(&c->fpuc, m, 2);
    memcpy(&c->fpus, m + 2, 2);
    c->fpuc = (c->fpuc & 0x1f7f) | 0x40;
    c->fptag = m[4];
    memcpy(&c->fpop, m + 6, 2);
    memcpy(&c->fpip, m + 8, 8);
    memcpy(&c->fpdp, m + 16, 8);
    /* The summary follows from the flags and masks. */
    c->fpus &= 0x7f7f;
    c->fpus |= c->fpus & ~c->fpuc & 0x3f ? 0x8080 : 0;
    top = (c->fpus >> 11) & 7;
    for (unsigned i = 0; i < 8; i++) {
        FPReg *r = &c->fpregs[(top + i) & 7];

        memcpy(&r->mantissa, m + 32 + 16 * i, 8);
        memcpy(&r->exponent, m + 40 + 16 * i, 2);
    }
}

void tcg_fxsave_image(TCGCPU *c, uint8_t *m)
{
    tcg_save_x87(c, m, true);
    put32(m + 24, c->mxcsr);
    put32(m + 28, MXCSR_MASK);
    memcpy(m + 160, c->xmm, 256);
}

void tcg_fxrstor_image(TCGCPU *c, const uint8_t *m)
{
    tcg_restore_x87(c, m);
    memcpy(&c->mxcsr, m + 24, 4);
    memcpy(c->xmm, m + 160, 256);
}

void tcg_check_area(TCGCPU *c, const X86Op *op, uint64_t addr, unsigned align, uint64_t off)
{
    sync_eip(c, op);
    if (c->cr0 & off) {
        tcg_raise(c, EXCP_NM);
    }
    if (addr & (align - 1)) {
        tcg_raise_err(c, EXCP_GP, 0);
    }
}

OP(op_fxsave)
{
    uint8_t m[512] = { 0 };
    uint64_t addr;

    if (!(op->flags & OF_MEM) || (op->flags & (OF_OP16 | OF_REP))) {
        return op_ud(c, op);
    }
    addr = ea(c, op);
    tcg_check_area(c, op, addr, 16, CR0_EM | CR0_TS);
    tcg_probe_write(c, addr, 512);
    tcg_load_bytes(c, addr + 288, m + 288, 224);
    tcg_save_x87(c, m, op->flags & OF_REXW);
    put32(m + 24, tcg_get_mxcsr(c));
    put32(m + 28, MXCSR_MASK);
    memcpy(m + 160, c->xmm, xmm_bytes(op));
    tcg_store_bytes(c, addr, m, 512);
    return op + 1;
}

OP(op_fxrstor)
{
    uint8_t m[512];
    uint32_t mxcsr;
    uint64_t addr;

    if (!(op->flags & OF_MEM) || (op->flags & (OF_OP16 | OF_REP))) {
        return op_ud(c, op);
    }
    addr = ea(c, op);
    tcg_check_area(c, op, addr, 16, CR0_EM | CR0_TS);
    tcg_load_bytes(c, addr, m, 512);
    memcpy(&mxcsr, m + 24, 4);
    if (mxcsr & ~MXCSR_MASK) {
        tcg_raise_err(c, EXCP_GP, 0);
    }
    tcg_restore_x87(c, m);
    memcpy(c->xmm, m + 160, xmm_bytes(op));
    tcg_set_mxcsr(c, mxcsr);
    return op + 1;
}

OP(op_ldmxcsr)
{
    uint32_t v;

    if (!(op->flags & OF_MEM)) {
        return op_ud(c, op);
    }
    if (c->fpu_off || !(c->cr4 & CR4_OSFXSR)) {
        tcg_sse_unavailable(c, op);
    }
    v = ld32(c, op, ea(c, op));
    if (v & ~MXCSR_MASK) {
        sync_eip(c, op);
        tcg_raise_err(c, EXCP_GP, 0);
    }
    tcg_set_mxcsr(c, v);
    NEXT;
}

OP(op_stmxcsr)
{
    if (!(op->flags & OF_MEM)) {
        return op_ud(c, op);
    }
    if (c->fpu_off || !(c->cr4 & CR4_OSFXSR)) {
        tcg_sse_unavailable(c, op);
    }
    st32(c, op, ea(c, op), tcg_get_mxcsr(c));
    NEXT;
}
