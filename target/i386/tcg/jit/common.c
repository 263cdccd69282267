/*
 * The code that all translated blocks share: in, out, and calls of the interpreter.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "target/i386/tcg/jit/verify.h"

/* What callers of the host's functions expect to find unchanged. */
static const uint8_t callee_saved[] = { H_RBX, H_RBP, H_R12, H_R13, H_R14, H_R15 };

/* For XMM registers, and RSP a multiple of 16 again, eight registers after a call. */
#define VEC_ROOM (16 * 16 + 8)

/* Called by translated code ------------------------------------------------ */

const X86Op *tcg_jit_op_stop(TCGCPU *c, const X86Op *op)
{
    return op;
}

/* As SETO and LAHF make them, in AX; never 0: bit 1 of the flags is 1. */
static unsigned get_flags(TCGCPU *c)
{
    unsigned fl = lf_get(c) | 2;

    return (fl & 0xff) << 8 | fl >> 11;
}

static void set_flags(TCGCPU *c, unsigned image)
{
    if (image) {
        lf_set(c, (image >> 8 & (CC_ALL & 0xff)) | (image & 1) << 11);
    }
}

/*
 * Let the interpreter do op, which op[1] follows: tcg_jit_op_stop(), its disp the block. Returns
 * NULL when translated code is not to go on: c->eip says where it is.
 */
static const X86Op *tcg_jit_run_op(TCGCPU *c, const X86Op *op, unsigned image)
{
    const TCGBlock *b = (const TCGBlock *)(intptr_t)op[1].disp;
    const X86Op *next;

    set_flags(c, image);
    if (unlikely(c->verify)) {
        tcg_verify_call(c, op);
    }
    next = op->fn(c, op);
    if (next && unlikely(__atomic_load_n(&b->dead, __ATOMIC_RELAXED))) {
        c->eip = next_eip(c, op);
        return NULL;
    }
    g_assert(!next || next == op + 1);
    if (unlikely(c->verify) && next) {
        tcg_verify_return(c, op);
    }
    return next;
}

/* Emitting ----------------------------------------------------------------- */

static void emit_load(Emit *e)
{
    for (unsigned g = 0; jit_mapped(g); g++) {
        emit_rm(e, 3, I_LOAD, jit_host(g), CPU_REG(g));
    }
}

static void emit_store(Emit *e)
{
    for (unsigned g = 0; jit_mapped(g); g++) {
        emit_rm(e, 3, I_STORE, jit_host(g), CPU_REG(g));
    }
}

static void emit_call_c(Emit *e, const void *fn)
{
    emit_mov_imm64(e, H_RAX, (uintptr_t)fn);
    emit_call_reg(e, H_RAX);
}

static void emit_no_flags(Emit *e)
{
    emit_rm(e, 2, I_MOV_IMM, 0, CPU_FIELD(jit_flags));
    emit32(e, 0);
}

/* An OpFn: RDI c, RSI op. */
static void emit_enter(Emit *e, bool verify)
{
    for (unsigned i = 0; i < sizeof(callee_saved); i++) {
        emit_push(e, callee_saved[i]);
    }
    emit_push(e, H_RAX);            /* RSP is a multiple of 16 */
    emit_rm(e, 3, I_LEA, H_C, MEM(H_RDI, C_BIAS));
    emit_rr(e, 3, I_STORE, H_RSI, T0);
    emit_no_flags(e);
    emit_load(e);
    emit_jmp_mem(e, MEM(T0, verify ? OF_BLOCK(code) : OF_BLOCK(entry)));
}

/* Undo what emit_enter() did to the stack. */
static void emit_unwind(Emit *e)
{
    emit_pop(e, H_RCX);
    for (unsigned i = sizeof(callee_saved); i-- > 0;) {
        emit_pop(e, callee_saved[i]);
    }
}

/* Give c what it has to know: T0, an op, stays in RAX. */
static void emit_give_back(Emit *e)
{
    uint8_t *none;

    emit_store(e);
    emit_rm(e, 2, I_LOAD, H_RSI, CPU_FIELD(jit_flags));
    emit_rr(e, 2, I_TEST, H_RSI, H_RSI);
    none = emit_jcc(e, H_Z);
    emit_rr(e, 3, I_STORE, T0, H_RBX);
    emit_rm(e, 3, I_LEA, H_RDI, C_AT(0));
    emit_call_c(e, set_flags);
    emit_rr(e, 3, I_STORE, H_RBX, H_RAX);
    emit_here(e, none);
}

/* T0: the op to go on with. Returns where registers are stored already and T0 is NULL. */
static uint8_t *emit_leave(Emit *e)
{
    uint8_t *out;

    emit_give_back(e);
    out = e->p;
    emit_unwind(e);
    emit8(e, 0xc3);
    return out;
}

/* T0: the first op of a translated block, whose function is emit_enter()'s by now. */
static void emit_leave_first(Emit *e, bool verify)
{
    emit_give_back(e);
    if (verify) {                   /* tcg_verify_block() does it */
        emit_unwind(e);
        emit_rm(e, 3, I_LEA, H_RAX, MEM(H_RAX, 1));
        emit8(e, 0xc3);
        return;
    }
    emit_rr(e, 3, I_STORE, H_RAX, H_RSI);
    emit_rm(e, 3, I_LEA, H_RDI, C_AT(0));
    emit_unwind(e);
    emit_jmp_mem(e, MEM(H_RSI, OF_BLOCK(first)));
}

/* T0: where the guest goes on. */
static void emit_leave_eip(Emit *e, const uint8_t *leave)
{
    emit_rm(e, 3, I_STORE, T0, CPU_FIELD(eip));
    emit_rr(e, 2, I_XOR, H_RAX, H_RAX);
    emit_link(e, emit_jmp(e), leave);
}

/* Called with T0: the op, one of a pair. Comes back when it is done, with flags in c. */
static void emit_run_op(Emit *e, const uint8_t *out)
{
    uint8_t *gone;

    emit_store(e);
    emit_push(e, H_RAX);            /* a multiple of 16 again */
    emit_rr(e, 3, I_STORE, T0, H_RSI);
    emit_rm(e, 3, I_LEA, H_RDI, C_AT(0));
    emit_rm(e, 2, I_LOAD, H_RDX, CPU_FIELD(jit_flags));
    emit_call_c(e, tcg_jit_run_op);
    emit_pop(e, H_RCX);
    emit_rr(e, 3, I_TEST, H_RAX, H_RAX);
    gone = emit_jcc(e, H_Z);
    emit_no_flags(e);
    emit_load(e);
    emit8(e, 0xc3);
    emit_here(e, gone);
    emit_pop(e, H_RCX);
    emit_link(e, emit_jmp(e), out);
}

/* Called: the flags from wherever they are into the host's; T0 changes, nothing else. */
static void emit_get_flags(Emit *e)
{
    static const uint8_t caller_saved[] = {
        H_RCX, H_RDX, H_RSI, H_RDI, H_R8, H_R9, H_R10, H_R11,
    };
    uint8_t *slow, *again;

    emit_rm(e, 2, I_LOAD, H_RAX, CPU_FIELD(jit_flags));
    emit_rr(e, 2, I_TEST, H_RAX, H_RAX);
    slow = emit_jcc(e, H_Z);
    again = e->p;
    emit_alu_imm(e, 0, ALU_ADD, H_RAX, 127);    /* OF if AL was 1 */
    emit8(e, 0x9e);                             /* SAHF */
    emit8(e, 0xc3);
    emit_here(e, slow);
    for (unsigned i = 0; i < sizeof(caller_saved); i++) {
        emit_push(e, caller_saved[i]);
    }
    emit_alu_imm(e, 3, ALU_SUB, H_RSP, VEC_ROOM);
    for (unsigned n = 0; n < 16; n++) {
        emit_rm(e, 2, I_MOVAPS_STORE, n, MEM(H_RSP, 16 * (int)n));
    }
    emit_rm(e, 3, I_LEA, H_RDI, C_AT(0));
    emit_call_c(e, get_flags);
    emit_rm(e, 2, I_STORE, H_RAX, CPU_FIELD(jit_flags));
    for (unsigned n = 0; n < 16; n++) {
        emit_rm(e, 2, I_MOVAPS, n, MEM(H_RSP, 16 * (int)n));
    }
    emit_alu_imm(e, 3, ALU_ADD, H_RSP, VEC_ROOM);
    for (unsigned i = sizeof(caller_saved); i-- > 0;) {
        emit_pop(e, caller_saved[i]);
    }
    emit_link(e, emit_jmp(e), again);
}

/* Called: VZEROUPPER. */
static void emit_zero_upper(Emit *e)
{
    emit_rm(e, 2, I_MOVAPS_STORE, 0, CPU_FIELD(vec_tmp));
    emit_rr(e, 2, 0x0f57, 0, 0);                /* XORPS */
    for (unsigned n = 0; n < 16; n++) {
        emit_rm(e, 2, I_MOVAPS_STORE, 0, C_AT(offsetof(TCGCPU, ymmh) + n * sizeof(XMMReg)));
    }
    emit_rm(e, 2, I_MOVAPS, 0, CPU_FIELD(vec_tmp));
    emit8(e, 0xc3);
}

/* RDX, a page that may be read, becomes an empty slot's unless RCX's entry is for writing, too. */
static void emit_may_write(Emit *e)
{
    uint8_t *not, *done;

    emit_rm(e, 3, I_ADD | 2, H_RDX, CPU_FIELD(tlb_gen));
    emit_rm(e, 3, I_CMP | 2, H_RDX, MEM(H_RCX, offsetof(TLBEntry, w)));
    not = emit_jcc(e, H_NZ);
    emit_rm(e, 3, I_SUB | 2, H_RDX, CPU_FIELD(tlb_gen));
    done = emit_jmp(e);
    emit_here(e, not);
    emit_mov_imm64(e, H_RDX, TLB_SLOT_EMPTY);
    emit_here(e, done);
}

/*
 * Called with T0: an address, T2: a slot. Z, T0: the host's address, T2: what it is made of the
 * guest's by, if the TLB has it; then the slot has the page from now on. Who may write may read.
 */
static void emit_look_up(Emit *e, unsigned size, bool write, bool verify)
{
    uint8_t *hit, *miss;

    emit_push(e, H_RCX);
    emit_push(e, H_RDX);
    emit_rr(e, 2, I_STORE, T0, H_RCX);
    emit_rr(e, 2, I_SHIFT_IMM, 5, H_RCX);
    emit8(e, TCG_PAGE_BITS - 5);
    _Static_assert(sizeof(TLBEntry) == 1 << 5, "TLBEntry");
    emit_alu_imm(e, 2, ALU_AND, H_RCX, (TLB_SIZE - 1) * sizeof(TLBEntry));
    emit_rm(e, 3, I_ADD | 2, H_RCX, CPU_FIELD(tlb));
    emit_rm(e, 3, I_LEA, H_RDX, MEM(T0, (1 << size) - 1));
    emit_alu_imm(e, 3, ALU_AND, H_RDX, -(int32_t)TCG_PAGE_SIZE);
    emit_rm(e, 3, I_ADD | 2, H_RDX, CPU_FIELD(tlb_gen));
    emit_rm(e, 3, I_CMP | 2, H_RDX, MEM(H_RCX, write ? offsetof(TLBEntry, w) :
                                                       offsetof(TLBEntry, r)));
    miss = emit_jcc(e, H_NZ);
    emit_rm(e, 3, I_SUB | 2, H_RDX, CPU_FIELD(tlb_gen));
    emit_rm(e, 3, I_STORE, H_RDX, MEM(T2, offsetof(TLBSlot, r)));
    if (!write) {
        emit_may_write(e);
    }
    emit_rm(e, 3, I_STORE, H_RDX, MEM(T2, offsetof(TLBSlot, w)));
    emit_rm(e, 3, I_LOAD, H_RCX, MEM(H_RCX, offsetof(TLBEntry, addend)));
    emit_rm(e, 3, I_STORE, H_RCX, MEM(T2, offsetof(TLBSlot, addend)));
    emit_rr(e, 3, I_STORE, H_RCX, T2);
    emit_rr(e, 3, I_ADD, H_RCX, T0);
    emit_rr(e, 2, I_XOR, H_RCX, H_RCX);
    if (verify) {
        hit = emit_jmp(e);
        emit_here(e, miss);
        emit_rm(e, 3, I_STORE, T0, CPU_FIELD(jit_missed));
        emit_here(e, hit);
    } else {
        emit_here(e, miss);
    }
    emit_pop(e, H_RDX);
    emit_pop(e, H_RCX);
    emit8(e, 0xc3);
}

static const uint8_t *begin(TCGJit *jit, Emit *e)
{
    while ((uintptr_t)e->p & 15 && !e->full) {
        emit8(e, 0xcc);
    }
    return jit_executable(jit, e->p);
}

void tcg_jit_emit_common(TCGJit *jit)
{
    Emit e = { jit->writable, jit->writable + jit->apart, false };
    uint8_t *out, *leave;

    jit->enter = begin(jit, &e);
    emit_enter(&e, jit->verify);
    jit->leave = begin(jit, &e);
    leave = e.p;
    out = emit_leave(&e);
    jit->leave_first = begin(jit, &e);
    emit_leave_first(&e, jit->verify);
    jit->leave_eip = begin(jit, &e);
    emit_leave_eip(&e, leave);
    jit->run_op = begin(jit, &e);
    emit_run_op(&e, out);
    jit->get_flags = begin(jit, &e);
    emit_get_flags(&e);
    jit->zero_upper = begin(jit, &e);
    emit_zero_upper(&e);
    jit->find_target = begin(jit, &e);
    jit_emit_find_target(&e);
    for (unsigned k = 0; k < 2 * JIT_SIZES; k++) {
        jit->look_up[k & 1][k / 2] = begin(jit, &e);
        emit_look_up(&e, k / 2, k & 1, jit->verify);
    }
    begin(jit, &e);
    jit->fixed = jit->used = e.p - jit->writable;
    jit->used_apart = jit->apart;
    jit->pairs = jit->size;
    g_assert(!e.full);
}
