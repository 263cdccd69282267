/*
 * Segments: descriptors, segment register loads, segmented addresses (SDM 3A,
 * chapters 3 and 5).
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "target/i386/tcg/mem/mem.h"
#include "target/i386/tcg/ops/ops.h"
#include "target/i386/tcg/sys/system.h"

uint64_t tcg_seg_lin(TCGCPU *c, unsigned seg, uint64_t off, unsigned size,
                     bool write)
{
    const SegmentCache *s = &c->segs[seg];
    int vec = seg == R_SS ? EXCP_SS : EXCP_GP;
    unsigned type = s->attr & DESC_TYPE_MASK;

    if (c->code_size == CODE64) {
        return seg >= R_FS ? off + s->base : off;
    }
    if (!(s->attr & DESC_P) && tcg_protected(c)) {
        tcg_raise_err(c, EXCP_GP, 0);
    }
    if (!tcg_in_limit(s, off, size)) {
        tcg_raise_err(c, vec, 0);
    }
    if (tcg_protected(c) && (write ? (type & 8) || !(type & 2) :
                              (type & 10) == 8)) {
        tcg_raise_err(c, vec, 0);
    }
    return (uint32_t)(off + s->base);
}

uint64_t tcg_ea_offset(TCGCPU *c, const X86Op *op)
{
    uint64_t off = c->regs[op->base] + (c->regs[op->index] << op->scale) +
                   (uint64_t)op->disp;

    if (op->flags & OF_A32) {
        return (uint32_t)off;
    }
    return op->flags & OF_A16 ? (uint16_t)off : off;
}

uint64_t tcg_ea_slow(TCGCPU *c, const X86Op *op)
{
    uint64_t off;

    if (likely((op->flags & (OF_C64 | OF_A32)) == OF_C64)) {
        /* FS or GS in 64-bit code. */
        return c->segs[op->seg].base + c->regs[op->base] +
               (c->regs[op->index] << op->scale) + (uint64_t)op->disp;
    }
    off = tcg_ea_offset(c, op);
    if (op->flags & OF_C64) {
        return op->seg >= R_FS ? off + c->segs[op->seg].base : off;
    }
    sync_eip(c, op);
    return tcg_seg_lin(c, op->seg, off, 1u << op->size, op->flags & OF_WRITES);
}

bool tcg_read_desc(TCGCPU *c, uint16_t sel, uint64_t *lo, uint64_t *hi)
{
    uint64_t base = c->gdt.base, limit = c->gdt.limit;
    unsigned off = sel & ~7u;

    if (sel & 4) {
        if (!(c->ldt.attr & DESC_P)) {
            return false;
        }
        base = c->ldt.base;
        limit = c->ldt.limit;
    }
    if (off + 7 > limit) {
        return false;
    }
    *lo = tcg_load_sys(c, base + off, 8);
    if (hi) {
        if (off + 15 > limit) {
            return false;
        }
        *hi = tcg_load_sys(c, base + off + 8, 8);
    }
    return true;
}

void tcg_desc_to_cache(uint16_t sel, uint64_t d, SegmentCache *sc)
{
    uint32_t limit = (d & 0xffff) | ((d >> 32) & 0xf0000);

    sc->selector = sel;
    sc->attr = (d >> 40) & 0xf0ff;
    sc->base = desc_base(d, 0);
    sc->limit = sc->attr & DESC_G ? limit << 12 | 0xfff : limit;
}

uint64_t tcg_mark_accessed(TCGCPU *c, uint16_t sel, uint64_t d)
{
    uint64_t base = sel & 4 ? c->ldt.base : c->gdt.base;

    if (!(d & (1ull << 40))) {
        d |= 1ull << 40;
        tcg_store_sys(c, base + (sel & ~7u) + 5, (d >> 40) & 0xff, 1);
    }
    return d;
}

static void load_null(TCGCPU *c, unsigned seg, uint16_t sel)
{
    SegmentCache *s = &c->segs[seg];

    if (seg == R_SS && (c->code_size != CODE64 || c->cpl == 3 ||
                        (sel & 3) != c->cpl)) {
        tcg_raise_err(c, EXCP_GP, 0);
    }
    s->selector = sel;
    s->attr = 0;
    s->base = 0;
    s->limit = 0;
    if (seg == R_SS) {
        tcg_set_flat_ss(c, sel, c->cpl);
    }
}

void tcg_load_seg(TCGCPU *c, unsigned seg, uint16_t sel)
{
    unsigned rpl = sel & 3, dpl;
    uint64_t d;

    if (!tcg_protected(c)) {
        c->segs[seg].selector = sel;
        c->segs[seg].base = (uint32_t)sel << 4;
        return;
    }
    if (!(sel & ~3u)) {
        load_null(c, seg, sel);
        return;
    }
    if (!tcg_read_desc(c, sel, &d, NULL)) {
        tcg_raise_err(c, EXCP_GP, sel & ~3u);
    }
    dpl = desc_dpl(d);
    if (seg == R_SS) {
        if (!desc_is_writable(d) || rpl != c->cpl || dpl != c->cpl) {
            tcg_raise_err(c, EXCP_GP, sel & ~3u);
        }
    } else if (!desc_is_readable(d) ||
               (!desc_is_conforming(d) && (rpl > dpl || c->cpl > dpl))) {
        tcg_raise_err(c, EXCP_GP, sel & ~3u);
    }
    if (!desc_present(d)) {
        tcg_raise_err(c, seg == R_SS ? EXCP_SS : EXCP_NP, sel & ~3u);
    }
    d = tcg_mark_accessed(c, sel, d);
    tcg_desc_to_cache(sel, d, &c->segs[seg]);
    if (seg == R_SS) {
        tcg_update_mode(c);
    }
}

void tcg_check_target(TCGCPU *c, uint64_t desc, uint64_t off, uint32_t error)
{
    SegmentCache s;

    tcg_desc_to_cache(0, desc, &s);
    if ((c->efer & EFER_LMA) && (s.attr & DESC_L) ?
        !tcg_canonical(off) : off > s.limit) {
        tcg_raise_err(c, EXCP_GP, error);
    }
}

void tcg_set_cs(TCGCPU *c, uint16_t sel, uint64_t desc, unsigned cpl)
{
    desc = tcg_mark_accessed(c, sel, desc);
    tcg_desc_to_cache((sel & ~3u) | cpl, desc, &c->segs[R_CS]);
    c->cpl = cpl;
    if ((c->efer & EFER_LMA) && (c->segs[R_CS].attr & DESC_L)) {
        c->segs[R_CS].base = 0;
    }
    tcg_update_mode(c);
}

void tcg_set_flat_cs(TCGCPU *c, uint16_t sel, unsigned cpl, bool code64)
{
    c->segs[R_CS] = (SegmentCache){
        .selector = sel, .limit = 0xffffffff,
        .attr = 0x809b | cpl << DESC_DPL_SHIFT |
                (code64 ? DESC_L : DESC_DB),
    };
    c->cpl = cpl;
    tcg_update_mode(c);
}

void tcg_set_flat_ss(TCGCPU *c, uint16_t sel, unsigned cpl)
{
    c->segs[R_SS] = (SegmentCache){
        .selector = sel, .limit = 0xffffffff,
        .attr = 0xc093 | cpl << DESC_DPL_SHIFT,
    };
    tcg_update_mode(c);
}

void tcg_drop_segs(TCGCPU *c)
{
    static const uint8_t segs[] = { R_ES, R_DS, R_FS, R_GS };

    for (unsigned i = 0; i < 4; i++) {
        SegmentCache *s = &c->segs[segs[i]];
        unsigned dpl = (s->attr >> DESC_DPL_SHIFT) & 3;

        if (!(s->selector & ~3u) ||
            (dpl < c->cpl && (s->attr & DESC_P) &&
             (s->attr & 0xc) != 0xc)) {     /* not conforming code */
            s->selector = 0;
            s->attr = 0;
            if (segs[i] < R_FS) {
                s->base = 0;
            }
        }
    }
}

OP(op_mov_from_seg)
{
    unsigned r = op->reg & 7;

    if (r > R_GS) {
        return op_ud(c, op);
    }
    /* To memory always 16 bits; to a register zero-extended. */
    rm_set(c, op, c->segs[r].selector, op->flags & OF_MEM ? 1 : op->size);
    NEXT;
}

OP(op_mov_to_seg)
{
    unsigned r = op->reg & 7;
    uint16_t v;

    if (r > R_GS || r == R_CS) {
        return op_ud(c, op);
    }
    v = rm_get(c, op, 1);
    sync_eip(c, op);
    tcg_load_seg(c, r, v);
    if (r == R_SS) {
        c->shadow = c->ss_shadow = true;
    }
    EXIT_NEXT;
}
