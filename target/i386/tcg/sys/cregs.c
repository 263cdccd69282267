/*
 * Control registers and EFER: what they may hold, and the mode that comes of it.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "target/i386/tcg/decode/vex-rules.h"
#include "target/i386/tcg/mem/mmu.h"
#include "target/i386/tcg/sys/system.h"

/* Nothing is ever found here: with alignment checks on, all accesses take the slow path. */
static TLBEntry empty_tlb[TLB_SIZE];

void tcg_set_cpuid(TCGCPU *c, const CPUIDTable *t)
{
    c->cpuid = t;
    c->vex_has = 0;
    if (tcg_has(c, X86_FEATURE_XSAVE) && tcg_has(c, X86_FEATURE_AVX)) {
        c->vex_has = VEX_AVX | (tcg_has(c, X86_FEATURE_AVX2) ? VEX_AVX2 : 0) |
                     (tcg_has(c, X86_FEATURE_FMA) ? VEX_FMA : 0) |
                     (tcg_has(c, X86_FEATURE_F16C) ? VEX_F16C : 0) |
                     (tcg_has(c, X86_FEATURE_AES) ? VEX_AES : 0) |
                     (tcg_has(c, X86_FEATURE_PCLMULQDQ) ? VEX_CLMUL : 0);
    }
}

/* May instructions with a VEX prefix use vectors: SDM 2A, 2.4? */
static bool vex_enabled(const TCGCPU *c)
{
    return (c->cr4 & CR4_OSXSAVE) && (c->xcr0 & XCR0_AVX) && !(c->cr0 & CR0_TS) &&
           tcg_protected(c);
}

void tcg_update_mode(TCGCPU *c)
{
    TLBSpace *sp = &c->spaces[c->cur_space];
    uint16_t cs = c->segs[R_CS].attr;

    if ((c->efer & EFER_LMA) && (cs & DESC_L)) {
        c->code_size = CODE64;
    } else {
        c->code_size = cs & DESC_DB ? CODE32 : CODE16;
    }
    c->stack32 = c->segs[R_SS].attr & DESC_DB;
    if (c->cpl == 3) {
        c->mmu_mode = MMU_USER;
    } else if ((c->cr4 & CR4_SMAP) && (c->eflags & AC_MASK)) {
        c->mmu_mode = MMU_KERNEL_AC;
    } else {
        c->mmu_mode = MMU_KERNEL;
    }
    c->fpu_off = c->cr0 & (CR0_TS | CR0_EM);
    c->vex_on = vex_enabled(c) ? c->vex_has : 0;
    c->vec_off = c->fpu_off || !(c->cr4 & CR4_OSFXSR);
    c->check_alignment = c->cpl == 3 && (c->cr0 & CR0_AM) && (c->eflags & AC_MASK);
    c->tlb = c->check_alignment ? empty_tlb : sp->e[c->mmu_mode];
    c->tlb_gen = sp->gen;
    for (unsigned i = 0; i < TLB_SLOTS; i++) {
        c->slots[i].r = c->slots[i].w = TLB_SLOT_EMPTY;
    }
    c->jc_tag[0] = sp->code_gen << 3 | c->code_size << 1 | (c->cpl == 3);
    c->jc_tag[1] = c->upper_gen << 3 | c->code_size << 1 | (c->cpl == 3);
}

void tcg_set_cr0(TCGCPU *c, uint64_t v)
{
    uint64_t old = c->cr0;

    v = (v & 0xe005003f) | CR0_ET;
    if ((v & CR0_PG) && !(old & CR0_PG) && (c->efer & EFER_LME)) {
        if (!(c->cr4 & CR4_PAE) || (c->segs[R_CS].attr & DESC_L)) {
            tcg_raise_err(c, EXCP_GP, 0);
        }
        c->efer |= EFER_LMA;
    } else if (!(v & CR0_PG) && (old & CR0_PG)) {
        if (c->code_size == CODE64 || (c->cr4 & CR4_PCIDE)) {
            tcg_raise_err(c, EXCP_GP, 0);
        }
        c->efer &= ~(uint64_t)EFER_LMA;
    }
    c->cr0 = v;
    if ((old ^ v) & (CR0_PG | CR0_WP | CR0_PE)) {
        tcg_tlb_flush_all(c);
    }
    tcg_update_mode(c);
}

void tcg_set_cr3(TCGCPU *c, uint64_t v)
{
    bool pcid = c->cr4 & CR4_PCIDE, keep = pcid && (v >> 63);

    if (pcid) {
        v &= ~(1ull << 63);
    }
    if (c->efer & EFER_LMA) {
        if ((v >> 52) || (v & c->phys_reserved)) {
            tcg_raise_err(c, EXCP_GP, 0);
        }
    }
    tcg_tlb_set_cr3(c, v, keep);
}

/* The bits of CR4 that go with features CPUID shows. */
static uint64_t cr4_allowed(const TCGCPU *c)
{
    uint64_t v = CR4_TSD | CR4_DE | CR4_PSE | CR4_PAE | CR4_MCE | CR4_PGE |
                 CR4_PCE | CR4_OSFXSR | CR4_OSXMMEXCPT;

    v |= tcg_has(c, X86_FEATURE_FSGSBASE) ? CR4_FSGSBASE : 0;
    v |= tcg_has(c, X86_FEATURE_PCID) ? CR4_PCIDE : 0;
    v |= tcg_has(c, X86_FEATURE_XSAVE) ? CR4_OSXSAVE : 0;
    v |= tcg_has(c, X86_FEATURE_SMEP) ? CR4_SMEP : 0;
    v |= tcg_has(c, X86_FEATURE_SMAP) ? CR4_SMAP : 0;
    v |= tcg_has(c, X86_FEATURE_UMIP) ? CR4_UMIP : 0;
    v |= tcg_has(c, X86_FEATURE_PKU) ? CR4_PKE : 0;
    return v;
}

void tcg_set_cr4(TCGCPU *c, uint64_t v)
{
    uint64_t old = c->cr4;

    if (v & ~cr4_allowed(c)) {
        tcg_raise_err(c, EXCP_GP, 0);
    }
    if ((c->efer & EFER_LMA) && !(v & CR4_PAE)) {
        tcg_raise_err(c, EXCP_GP, 0);
    }
    if ((v & CR4_PCIDE) && !(old & CR4_PCIDE) &&
        (!(c->efer & EFER_LMA) || (c->cr3 & 0xfff))) {
        tcg_raise_err(c, EXCP_GP, 0);
    }
    c->cr4 = v;
    if ((old ^ v) & (CR4_PSE | CR4_PAE | CR4_PGE | CR4_PCIDE | CR4_SMEP |
                     CR4_SMAP | CR4_PKE)) {
        c->spaces[c->cur_space].cr3 = c->cr3;
        tcg_tlb_flush_all(c);
    }
    tcg_update_mode(c);
}

void tcg_set_pkru(TCGCPU *c, uint32_t v)
{
    bool differs = c->pkru != v;

    c->pkru = v;
    if (differs && (c->cr4 & CR4_PKE)) {
        tcg_tlb_flush_data(c);
    }
}

void tcg_set_efer(TCGCPU *c, uint64_t v)
{
    uint64_t ok = EFER_SCE | EFER_LME | EFER_LMA;

    ok |= tcg_has(c, X86_FEATURE_NX) ? EFER_NXE : 0;
    ok |= tcg_has(c, X86_FEATURE_FXSR_OPT) ? EFER_FFXSR : 0;
    ok |= tcg_has(c, X86_FEATURE_AUTO_IBRS) ? EFER_AUTOIBRS : 0;
    if (v & ~ok) {
        tcg_raise_err(c, EXCP_GP, 0);
    }
    if (((v ^ c->efer) & EFER_LME) && (c->cr0 & CR0_PG)) {
        tcg_raise_err(c, EXCP_GP, 0);
    }
    if ((v ^ c->efer) & EFER_NXE) {
        tcg_tlb_flush_all(c);
    }
    c->efer = (v & ~(uint64_t)EFER_LMA) | (c->efer & EFER_LMA);
    tcg_update_mode(c);
}
