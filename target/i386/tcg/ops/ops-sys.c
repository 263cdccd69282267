/*
 * System registers and privileged instructions.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "target/i386/apic.h"
#include "target/i386/tcg/block.h"
#include "target/i386/tcg/mem/mmu.h"
#include "target/i386/tcg/ops/fpu.h"
#include "target/i386/tcg/ops/ops.h"
#include "target/i386/tcg/decode/optabs.h"
#include "target/i386/tcg/sys/system.h"

static void need_cpl0(TCGCPU *c, const X86Op *op)
{
    sync_eip(c, op);
    if (c->cpl != 0) {
        tcg_raise_err(c, EXCP_GP, 0);
    }
}

OP(op_mov_from_cr)
{
    uint64_t v;

    need_cpl0(c, op);
    switch (op->reg) {
    case 0: v = c->cr0; break;
    case 2: v = c->cr2; break;
    case 3: v = c->cr3; break;
    case 4: v = c->cr4; break;
    case 8:
        v = c->apic ? apic_get_cr8(c->apic) : 0;
        break;
    default: return op_ud(c, op);
    }
    reg_set(c, op->rm, v, op->size);
    NEXT;
}

OP(op_mov_to_cr)
{
    uint64_t v = reg_get(c, op->rm, op->size);

    need_cpl0(c, op);
    switch (op->reg) {
    case 0:
        if ((v >> 32) || ((v & CR0_PG) && !(v & CR0_PE)) ||
            ((v & CR0_NW) && !(v & CR0_CD))) {
            tcg_raise_err(c, EXCP_GP, 0);
        }
        tcg_set_cr0(c, v);
        break;
    case 2: c->cr2 = v; break;
    case 3: tcg_set_cr3(c, v); break;
    case 4: tcg_set_cr4(c, v); break;
    case 8:
        if (v & ~(uint64_t)15) {
            tcg_raise_err(c, EXCP_GP, 0);
        }
        if (c->apic) {
            apic_set_cr8(c->apic, v);
        }
        break;
    default: return op_ud(c, op);
    }
    JUMP_TO(next_eip(c, op));
}

/* Which debug register MOV names: 4 and 5 are other names of 6 and 7. */
static unsigned debug_register(TCGCPU *c, const X86Op *op)
{
    unsigned r = op->reg;

    need_cpl0(c, op);
    if (r > 7 || ((r == 4 || r == 5) && (c->cr4 & CR4_DE))) {
        tcg_raise(c, EXCP_UD);
    }
    if (c->dr[7] & DR7_GD) {
        tcg_raise_debug(c, DR6_BD, false);
    }
    return r == 4 || r == 5 ? r + 2 : r;
}

OP(op_mov_from_dr)
{
    unsigned r = debug_register(c, op);

    reg_set(c, op->rm, c->dr[r], op->size);
    NEXT;
}

OP(op_mov_to_dr)
{
    unsigned r = debug_register(c, op);
    uint64_t v = reg_get(c, op->rm, op->size);

    if (r >= 6 && (v >> 32)) {
        tcg_raise_err(c, EXCP_GP, 0);
    }
    if (r == 6) {
        v = (v & 0xe00f) | 0xffff0ff0u;
    } else if (r == 7) {
        v = (v & 0xffff2fff) | 0x400;
    }
    c->dr[r] = v;
    if (r != 6) {
        tcg_debug_update(c);
    }
    EXIT_NEXT;
}

OP(op_clts)
{
    need_cpl0(c, op);
    c->cr0 &= ~(uint64_t)CR0_TS;
    tcg_update_mode(c);
    NEXT;
}

OP(op_lmsw)
{
    uint64_t v = rm_get(c, op, 1);

    need_cpl0(c, op);
    /* PE can be set but not cleared this way. */
    tcg_set_cr0(c, (c->cr0 & ~(uint64_t)0xe) | (v & 0xf));
    EXIT_NEXT;
}

static void check_umip(TCGCPU *c, const X86Op *op)
{
    sync_eip(c, op);
    if ((c->cr4 & CR4_UMIP) && c->cpl) {
        tcg_raise_err(c, EXCP_GP, 0);
    }
}

OP(op_smsw)
{
    check_umip(c, op);
    rm_set(c, op, c->cr0, op->flags & OF_MEM ? 1 : op->size);
    NEXT;
}

OP(op_invlpg)
{
    uint64_t addr = ea(c, op);

    need_cpl0(c, op);
    tcg_tlb_flush_page(c, addr);
    JUMP_TO(next_eip(c, op));
}

/* INVPCID r, m128 (SDM 2A). */
OP(op_invpcid)
{
    uint64_t addr = ea(c, op), type = reg_get(c, op->reg, op->flags & OF_C64 ? 3 : 2);
    uint64_t pcid, va;

    sync_eip(c, op);
    if (!tcg_has(c, X86_FEATURE_INVPCID)) {
        tcg_raise(c, EXCP_UD);
    }
    need_cpl0(c, op);
    pcid = ld64(c, op, addr);
    va = ld64(c, op, addr + 8);
    if (type > 3 || (pcid >> 12) || (type < 2 && pcid && !(c->cr4 & CR4_PCIDE)) ||
        (type == 0 && !tcg_canonical(va))) {
        tcg_raise_err(c, EXCP_GP, 0);
    }
    if (type == 0) {
        tcg_tlb_flush_page(c, va);
    } else if (type == 1) {
        tcg_tlb_flush_pcid(c, pcid);
    } else {
        tcg_tlb_flush_all(c);
    }
    JUMP_TO(next_eip(c, op));
}

static SLOW_PATH void rdmsr(TCGCPU *c)
{
    uint64_t v;

    tcg_rdmsr(c, (uint32_t)c->regs[R_ECX], &v);
    c->regs[R_EAX] = (uint32_t)v;
    c->regs[R_EDX] = v >> 32;
}

OP(op_rdmsr)
{
    need_cpl0(c, op);
    rdmsr(c);
    NEXT;
}

OP(op_wrmsr)
{
    uint64_t v = (uint64_t)(uint32_t)c->regs[R_EDX] << 32 | (uint32_t)c->regs[R_EAX];

    need_cpl0(c, op);
    tcg_wrmsr(c, (uint32_t)c->regs[R_ECX], v);
    JUMP_TO(next_eip(c, op));
}

OP(op_swapgs)
{
    uint64_t v = c->segs[R_GS].base;

    if (!(op->flags & OF_C64)) {
        return op_ud(c, op);
    }
    need_cpl0(c, op);
    c->segs[R_GS].base = c->kernel_gs_base;
    c->kernel_gs_base = v;
    NEXT;
}

/* id 0: GDT, 1: IDT. */
OP(op_sgdt)
{
    const DescriptorTable *t = op->id ? &c->idt : &c->gdt;
    struct __attribute__((packed)) { uint16_t limit; uint64_t base; } image = { t->limit, t->base };
    uint64_t addr = ea(c, op);

    check_umip(c, op);
    tcg_store_bytes(c, addr, &image, op->flags & OF_C64 ? 10 : 6);
    return op + 1;
}

OP(op_lgdt)
{
    DescriptorTable *t = op->id ? &c->idt : &c->gdt;
    uint64_t addr = ea(c, op), base;
    uint16_t limit;

    need_cpl0(c, op);
    limit = ld16(c, op, addr);
    if (op->flags & OF_C64) {
        base = ld64(c, op, addr + 2);
        if (!tcg_canonical(base)) {
            tcg_raise_err(c, EXCP_GP, 0);
        }
    } else {
        base = ld32(c, op, addr + 2);
        if (op->size == 1) {
            base &= 0xffffff;
        }
    }
    t->limit = limit;
    t->base = base;
    NEXT;
}

OP(op_sldt)
{
    check_umip(c, op);
    if (!tcg_protected(c)) {
        return op_ud(c, op);
    }
    rm_set(c, op, c->ldt.selector, op->flags & OF_MEM ? 1 : op->size);
    NEXT;
}

OP(op_str)
{
    check_umip(c, op);
    if (!tcg_protected(c)) {
        return op_ud(c, op);
    }
    rm_set(c, op, c->tr.selector, op->flags & OF_MEM ? 1 : op->size);
    NEXT;
}

/* Load LDTR or TR from a descriptor of one of types (a bit mask). */
static uint64_t load_system_seg(TCGCPU *c, uint16_t sel, unsigned types,
                                SegmentCache *out)
{
    uint64_t lo, hi = 0;
    bool lm = c->efer & EFER_LMA;

    if ((sel & 4) || !tcg_read_desc(c, sel, &lo, lm ? &hi : NULL) ||
        desc_is_segment(lo) || !(types & (1u << desc_type(lo)))) {
        tcg_raise_err(c, EXCP_GP, sel & ~3u);
    }
    if (!desc_present(lo)) {
        tcg_raise_err(c, EXCP_NP, sel & ~3u);
    }
    /* The upper half's type is there to tell it from a segment's. */
    if (desc_type(hi) || (lm && !tcg_canonical(desc_base(lo, hi)))) {
        tcg_raise_err(c, EXCP_GP, sel & ~3u);
    }
    tcg_desc_to_cache(sel, lo, out);
    out->base = desc_base(lo, hi);
    return lo;
}

OP(op_lldt)
{
    uint16_t sel;
    SegmentCache s = { 0 };

    sync_eip(c, op);
    if (!tcg_protected(c)) {
        return op_ud(c, op);
    }
    need_cpl0(c, op);
    sel = rm_get(c, op, 1);
    if (sel & ~3u) {
        load_system_seg(c, sel, 1 << TYPE_LDT, &s);
    }
    s.selector = sel;
    c->ldt = s;
    EXIT_NEXT;
}

OP(op_ltr)
{
    SegmentCache s;
    uint64_t d;
    uint16_t sel;

    sync_eip(c, op);
    if (!tcg_protected(c)) {
        return op_ud(c, op);
    }
    need_cpl0(c, op);
    sel = rm_get(c, op, 1);
    if (!(sel & ~3u)) {
        tcg_raise_err(c, EXCP_GP, 0);
    }
    d = load_system_seg(c, sel, c->efer & EFER_LMA ? 1 << TYPE_TSS :
                        1 << TYPE_TSS | 1 << TYPE_TSS16, &s);
    /* It becomes busy. */
    tcg_store_sys(c, c->gdt.base + (sel & ~7u) + 5, ((d >> 40) & 0xff) | 2, 1);
    s.attr |= 2;
    c->tr = s;
    EXIT_NEXT;
}

/* May the selector be seen: LAR, LSL, VERR, VERW. */
static bool visible(TCGCPU *c, uint16_t sel, unsigned sys_types, uint64_t *d)
{
    unsigned dpl;

    if (!(sel & ~3u) || !tcg_read_desc(c, sel, d, NULL)) {
        return false;
    }
    dpl = desc_dpl(*d);
    if (!desc_is_segment(*d) && !(sys_types & (1u << desc_type(*d)))) {
        return false;
    }
    return desc_is_conforming(*d) || (dpl >= c->cpl && dpl >= (sel & 3));
}

static void set_zf(TCGCPU *c, bool z)
{
    lf_set(c, (lf_get(c) & ~CC_Z) | (z ? CC_Z : 0));
}

/* id 0: VERR, 1: VERW. */
static SLOW_PATH void verify_segment(TCGCPU *c, const X86Op *op)
{
    uint64_t d = 0;
    uint16_t sel = rm_get(c, op, 1);

    set_zf(c, visible(c, sel, 0, &d) &&
              (op->id ? desc_is_writable(d) : desc_is_readable(d)));
}

OP(op_verr)
{
    sync_eip(c, op);
    if (!tcg_protected(c)) {
        return op_ud(c, op);
    }
    verify_segment(c, op);
    NEXT;
}

/* id 0: LAR, 1: LSL. */
static SLOW_PATH void load_attributes(TCGCPU *c, const X86Op *op)
{
    bool lm = c->efer & EFER_LMA;
    unsigned types = op->id ? (lm ? 0xa04 : 0xa0e) : lm ? 0x1a04 : 0x1a3e;
    uint64_t d = 0;
    SegmentCache s;
    uint16_t sel = rm_get(c, op, 1);

    if (!visible(c, sel, types, &d)) {
        set_zf(c, false);
        return;
    }
    tcg_desc_to_cache(sel, d, &s);
    reg_set(c, op->reg, op->id ? s.limit : (d >> 32) & 0x00ffff00, op->size);
    set_zf(c, true);
}

OP(op_lar)
{
    sync_eip(c, op);
    if (!tcg_protected(c)) {
        return op_ud(c, op);
    }
    load_attributes(c, op);
    NEXT;
}

static void set_ac(TCGCPU *c, const X86Op *op, bool on)
{
    if (!tcg_has(c, X86_FEATURE_SMAP) || c->cpl) {
        sync_eip(c, op);
        tcg_raise(c, EXCP_UD);
    }
    c->eflags = on ? c->eflags | AC_MASK : c->eflags & ~(uint64_t)AC_MASK;
    tcg_update_mode(c);
}

OP(op_clac) { set_ac(c, op, false); NEXT; }
OP(op_stac) { set_ac(c, op, true); NEXT; }

OP(op_xgetbv)
{
    uint64_t v;

    if (!(c->cr4 & CR4_OSXSAVE)) {
        return op_ud(c, op);
    }
    sync_eip(c, op);
    if ((uint32_t)c->regs[R_ECX] > (tcg_has(c, X86_FEATURE_XGETBV1) ? 1 : 0)) {
        tcg_raise_err(c, EXCP_GP, 0);
    }
    v = c->xcr0 & ((uint32_t)c->regs[R_ECX] ? tcg_xinuse(c) : ~0ull);
    c->regs[R_EAX] = (uint32_t)v;
    c->regs[R_EDX] = v >> 32;
    NEXT;
}

OP(op_xsetbv)
{
    uint64_t v = (uint64_t)(uint32_t)c->regs[R_EDX] << 32 | (uint32_t)c->regs[R_EAX];

    if (!(c->cr4 & CR4_OSXSAVE)) {
        return op_ud(c, op);
    }
    need_cpl0(c, op);
    if ((uint32_t)c->regs[R_ECX] != 0 || !(v & XCR0_X87) || (v & ~tcg_xcr0_mask(c)) ||
        ((v & XCR0_AVX) && !(v & XCR0_SSE))) {
        tcg_raise_err(c, EXCP_GP, 0);
    }
    c->xcr0 = v;
    tcg_update_mode(c);
    EXIT_NEXT;
}

/* RDPKRU (id 0), WRPKRU (1): ECX must be 0, of the latter EDX as well. */
OP(op_pkru)
{
    if (!(c->cr4 & CR4_PKE)) {
        return op_ud(c, op);
    }
    sync_eip(c, op);
    if ((uint32_t)c->regs[R_ECX] || (op->id && (uint32_t)c->regs[R_EDX])) {
        tcg_raise_err(c, EXCP_GP, 0);
    }
    if (op->id) {
        tcg_set_pkru(c, c->regs[R_EAX]);
        EXIT_NEXT;
    }
    c->regs[R_EAX] = c->pkru;
    c->regs[R_EDX] = 0;
    NEXT;
}

static SLOW_PATH void hypercall(TCGCPU *c)
{
    bool ring0 = c->cpl == 0;
    uint64_t args[4], nr;

    args[0] = c->regs[R_EBX];
    args[1] = c->regs[R_ECX];
    args[2] = c->regs[R_EDX];
    args[3] = c->regs[R_ESI];
    nr = c->regs[R_EAX];
    if (c->code_size != CODE64) {
        nr = (uint32_t)nr;
        for (unsigned i = 0; i < 4; i++) {
            args[i] = (uint32_t)args[i];
        }
    }
    nr = ring0 ? c->pv_ops->hypercall(c, nr, args) : (uint64_t)-1;     /* -KVM_EPERM */
    reg_set(c, R_EAX, nr, c->code_size == CODE64 ? 3 : 2);
}

/* A hypercall: KVM's, if the guest has been told that it is there. */
OP(op_vmcall)
{
    if (!c->cpuid || !c->cpuid->features.w[FEAT_KVM] || !c->pv_ops) {
        return op_ud(c, op);
    }
    hypercall(c);
    EXIT_NEXT;
}
