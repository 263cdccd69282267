/*
 * Saving and restoring x87, MMX and SSE state: FXSAVE, XSAVE, MXCSR.
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

#define MXCSR_MASK 0xffffu
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

static void set_mxcsr(TCGCPU *c, uint32_t v)
{
    c->mxcsr = v;
    tcg_mxcsr_enter(c);
}

static uint32_t get_mxcsr(TCGCPU *c)
{
    return c->mxcsr | (_mm_getcsr() & 0x3f);
}

void tcg_sse_unavailable(TCGCPU *c, const X86Op *op)
{
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

/* The x87 part; pointers as the 64-bit form has them. */
static void save_x87(TCGCPU *c, uint8_t *m, bool wide)
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

static void restore_x87(TCGCPU *c, const uint8_t *m)
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
    save_x87(c, m, true);
    put32(m + 24, c->mxcsr);
    put32(m + 28, MXCSR_MASK);
    memcpy(m + 160, c->xmm, 256);
}

void tcg_fxrstor_image(TCGCPU *c, const uint8_t *m)
{
    restore_x87(c, m);
    memcpy(&c->mxcsr, m + 24, 4);
    memcpy(c->xmm, m + 160, 256);
}

/* Before the area of an instruction that saves or restores the FPU is touched; off: bits of CR0. */
static void check_area(TCGCPU *c, const X86Op *op, uint64_t addr, unsigned align, uint64_t off)
{
    sync_eip(c, op);
    if (c->cr0 & off) {
        tcg_raise(c, EXCP_NM);
    }
    if (addr & (align - 1)) {
        tcg_raise_err(c, EXCP_GP, 0);
    }
}

/* How many XMM registers this code can save. */
static unsigned xmm_bytes(const X86Op *op)
{
    return op->flags & OF_C64 ? 256 : 128;
}

OP(op_fxsave)
{
    uint8_t m[512] = { 0 };
    uint64_t addr;

    if (!(op->flags & OF_MEM) || (op->flags & (OF_OP16 | OF_REP))) {
        return op_ud(c, op);
    }
    addr = ea(c, op);
    check_area(c, op, addr, 16, CR0_EM | CR0_TS);
    tcg_probe_write(c, addr, 512);
    tcg_load_bytes(c, addr + 288, m + 288, 224);
    save_x87(c, m, op->flags & OF_REXW);
    put32(m + 24, get_mxcsr(c));
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
    check_area(c, op, addr, 16, CR0_EM | CR0_TS);
    tcg_load_bytes(c, addr, m, 512);
    memcpy(&mxcsr, m + 24, 4);
    if (mxcsr & ~MXCSR_MASK) {
        tcg_raise_err(c, EXCP_GP, 0);
    }
    restore_x87(c, m);
    memcpy(c->xmm, m + 160, xmm_bytes(op));
    set_mxcsr(c, mxcsr);
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
    set_mxcsr(c, v);
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
    st32(c, op, ea(c, op), get_mxcsr(c));
    NEXT;
}

/* XSAVE and XRSTOR, standard form, components x87 and SSE (SDM 1, 13). */
OP(op_xsave)
{
    uint8_t m[512] = { 0 };
    uint64_t addr, bv, rfbm;

    if (!(op->flags & OF_MEM) || !(c->cr4 & CR4_OSXSAVE) ||
        (op->flags & (OF_OP16 | OF_REP))) {
        return op_ud(c, op);
    }
    addr = ea(c, op);
    check_area(c, op, addr, 64, CR0_TS);
    rfbm = c->xcr0 & ((u64)(u32)c->regs[R_EDX] << 32 | (u32)c->regs[R_EAX]);
    tcg_probe_write(c, addr, 520);
    tcg_load_bytes(c, addr, m, 512);
    bv = tcg_load_slow(c, addr + 512, 8);
    if (rfbm & 1) {
        save_x87(c, m, op->flags & OF_REXW);
    }
    if (rfbm & 2) {
        put32(m + 24, get_mxcsr(c));
        put32(m + 28, MXCSR_MASK);
        memcpy(m + 160, c->xmm, xmm_bytes(op));
    }
    tcg_store_bytes(c, addr, m, 512);
    tcg_store_slow(c, addr + 512, bv | rfbm, 8);
    return op + 1;
}

static void init_x87(TCGCPU *c)
{
    static const uint8_t zero[512] = { 0x7f, 3 };

    restore_x87(c, zero);
}

OP(op_xrstor)
{
    uint8_t m[576];
    uint64_t addr, bv, comp, zero, rfbm;
    uint32_t mxcsr;

    if (!(op->flags & OF_MEM)) {
        TAIL op_fence(c, op);           /* LFENCE */
    }
    if (!(c->cr4 & CR4_OSXSAVE) || (op->flags & (OF_OP16 | OF_REP))) {
        return op_ud(c, op);
    }
    addr = ea(c, op);
    check_area(c, op, addr, 64, CR0_TS);
    tcg_load_bytes(c, addr, m, 576);
    memcpy(&bv, m + 512, 8);
    memcpy(&comp, m + 520, 8);
    memcpy(&zero, m + 528, 8);
    memcpy(&mxcsr, m + 24, 4);
    rfbm = c->xcr0 & ((u64)(u32)c->regs[R_EDX] << 32 | (u32)c->regs[R_EAX]);
    if ((bv & ~c->xcr0) || comp || zero ||
        ((rfbm & 2) && (mxcsr & ~MXCSR_MASK))) {
        tcg_raise_err(c, EXCP_GP, 0);
    }
    if (rfbm & 1) {
        if (bv & 1) {
            restore_x87(c, m);
        } else {
            init_x87(c);
        }
    }
    if (rfbm & 2) {
        if (bv & 2) {
            memcpy(c->xmm, m + 160, xmm_bytes(op));
        } else {
            memset(c->xmm, 0, xmm_bytes(op));
        }
        set_mxcsr(c, mxcsr);
    }
    return op + 1;
}
