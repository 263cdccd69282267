/*
 * From a block's ops to host code: what can be seen of flags, fast paths one after the other, and
 * behind them what they jump to when they do not apply.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <string.h>

#include "qemu/cutils.h"
#include "target/i386/tcg/jit/jit-int.h"
#include "target/i386/tcg/ops/vec.h"

/* From T2, which holds c + 8 * 3 * index. */
#define JUMP_FIELD(field) \
    MEM(T2, (int32_t)(offsetof(TCGCPU, jc) + offsetof(JumpEntry, field)))

/* Code and pairs of a block take no more. */
#define BLOCK_BYTES (24 * 1024u)

static TCGBlock *block_of(const X86Op *first)
{
    return (TCGBlock *)((char *)first - offsetof(TCGBlock, ops));
}

/* Registers ---------------------------------------------------------------- */

unsigned jit_get(Tr *t, unsigned g, unsigned tmp)
{
    if (jit_mapped(g)) {
        return jit_host(g);
    }
    emit_rm(&t->e, 3, I_LOAD, tmp, CPU_REG(g));
    return tmp;
}

void jit_put(Tr *t, unsigned g, unsigned reg)
{
    if (!jit_mapped(g)) {
        emit_rm(&t->e, 3, I_STORE, reg, CPU_REG(g));
    }
}

unsigned jit_dest(Tr *t, unsigned g, unsigned size, unsigned tmp)
{
    return size < 2 || jit_mapped(g) ? jit_get(t, g, tmp) : tmp;
}

/* Memory ------------------------------------------------------------------- */

/* The effective address of op's memory operand to T0; changes T2 and flags. */
static void address(Tr *t, const X86Op *op)
{
    unsigned base = op->base == R_ZERO ? H_NONE : jit_get(t, op->base, T0);
    unsigned index = op->index == R_ZERO ? H_NONE : jit_get(t, op->index, T2);

    emit_rm(&t->e, 3, I_LEA, T0, (HostMem) { base, index, op->scale, (int32_t)op->disp });
    if (op->flags & OF_EASLOW) {                        /* FS or GS */
        emit_rm(&t->e, 3, I_ADD | 2, T0, MEM(H_C, (int32_t)(offsetof(TCGCPU, segs) +
                op->seg * sizeof(SegmentCache) + offsetof(SegmentCache, base))));
    }
}

/* Those that often point to the same page have one of their own. */
static unsigned slot_of(unsigned base)
{
    return base < 8 ? base : base < 16 ? 8 + base % 4 : base == R_PAGE ? 12 : 13;
}

/* Where the slot knows the page and the access is aligned, no more than this. */
void jit_translate(Tr *t, unsigned base, unsigned size, bool write)
{
    int32_t at = offsetof(TCGCPU, slots) + slot_of(base) * sizeof(TLBSlot);
    Emit *e = &t->e;
    Stub *s;

    emit_rr(e, 3, I_STORE, T0, T2);
    emit_alu_imm(e, 3, ALU_AND, T2, -(int32_t)TCG_PAGE_SIZE | ((1 << size) - 1));
    emit_rm(e, 3, I_CMP | 2, T2, MEM(H_C, at + (int32_t)(write ? offsetof(TLBSlot, w) :
                                                                 offsetof(TLBSlot, r))));
    s = jit_stub(t, STUB_LOOK_UP, emit_jcc(e, H_NZ), false);
    emit_rm(e, 3, I_ADD | 2, T0, MEM(H_C, at + (int32_t)offsetof(TLBSlot, addend)));
    s->found = e->p;
    s->slot = slot_of(base);
    s->size = size;
    s->write = write;
}

unsigned jit_operand(Tr *t, const X86Op *op, unsigned size, bool write, bool flags)
{
    if (flags) {
        jit_settle_flags(t);    /* making them takes what holds the address */
    }
    jit_clobber_flags(t);
    address(t, op);
    jit_translate(t, op->base, size, write);
    if (!flags) {
        return T0;
    }
    emit_rr(&t->e, 3, I_STORE, T0, T2);
    jit_fetch_flags(t);
    return T2;
}

/* Leaving ------------------------------------------------------------------ */

Stub *jit_stub(Tr *t, int kind, uint8_t *from, bool native)
{
    Stub *s = &t->stubs[t->nr_stubs++];

    g_assert(t->nr_stubs <= G_N_ELEMENTS(t->stubs));
    s->kind = kind;
    s->from = from;
    s->back = NULL;
    s->i = t->i;
    s->native = native;
    s->again = t->native || t->saved ? -1 : t->again;
    s->dirty = t->vec_dirty;
    return s;
}

static void leave_with(Tr *t, const X86Op *op)
{
    emit_mov_imm64(&t->e, T0, (uintptr_t)op);
    jit_link(t, emit_jmp(&t->e), op == t->b->ops ? t->jit->leave_first : t->jit->leave);
}

static void jit_leave_at(Tr *t)
{
    jit_settle_flags(t);
    jit_settle_vec(t);
    leave_with(t, &t->b->ops[t->i]);
}

/* Where a branch goes, to T0. */
static void branch_target(Tr *t, const X86Op *op)
{
    emit_rm(&t->e, 3, I_LOAD, T0, CPU_REG(R_PAGE));
    emit_rm(&t->e, 3, I_LEA, T0, MEM(T0, op->off + op->len));
    emit_rm(&t->e, 3, I_LEA, T0, MEM(T0, op->imm));
}

static void jit_go_linked(Tr *t, unsigned i, int out)
{
    const X86Op *op = &t->b->ops[i], *link = __atomic_load_n(&op->link, __ATOMIC_ACQUIRE);
    Emit *e = &t->e;

    t->i = i;
    if (op->imm < 0) {
        emit_alu_mem_imm(e, 2, ALU_CMP, CPU_FIELD(poll), 0);
        jit_stub(t, STUB_EIP, emit_jcc(e, H_NZ), false);
    }
    if (link) {
        emit_mov_imm64(e, T0, (uintptr_t)link);
    } else {
        emit_mov_imm64(e, T0, (uintptr_t)&op->link);
        emit_rm(e, 3, I_LOAD, T0, MEM(T0, 0));
        emit_rr(e, 3, I_TEST, T0, T0);
        jit_stub(t, out, emit_jcc(e, H_Z), false);
    }
    jit_enter_block(t);
}

void jit_enter_block(Tr *t)
{
    emit_jmp_mem(&t->e, MEM(T0, OF_BLOCK(entry)));
}

void jit_go_direct(Tr *t, unsigned i, int out)
{
    const X86Op *op = &t->b->ops[i];

    if ((op->flags & OF_INPAGE) && (op->link || out == STUB_AT)) {
        jit_go_linked(t, i, out);
        return;
    }
    t->i = i;
    branch_target(t, op);
    jit_find_target(t, out);
    jit_enter_block(t);
}

void jit_find_target(Tr *t, int out)
{
    Emit *e = &t->e;

    emit_rr(e, 3, I_STORE, T0, T2);
    emit_rr(e, 3, I_SHIFT_IMM, 5, T2);
    emit8(e, JC_BITS);
    emit_rr(e, 2, I_XOR, T0, T2);
    emit_alu_imm(e, 2, ALU_AND, T2, JC_SIZE - 1);
    emit_rm(e, 2, I_LEA, T2, (HostMem) { T2, T2, 1, 0 });
    _Static_assert(sizeof(JumpEntry) == 8 * 3, "JumpEntry");
    emit_rm(e, 3, I_LEA, T2, (HostMem) { H_C, T2, 3, 0 });
    emit_alu_mem_imm(e, 2, ALU_CMP, CPU_FIELD(poll), 0);
    jit_stub(t, out, emit_jcc(e, H_NZ), false);
    emit_rm(e, 3, I_CMP | 2, T0, JUMP_FIELD(lin));
    jit_stub(t, out, emit_jcc(e, H_NZ), false);
    emit_rr(e, 3, I_SHIFT_IMM, 5, T0);
    emit8(e, 63);
    emit_rm(e, 3, I_LOAD, T0, (HostMem) { H_C, T0, 3, (int32_t)offsetof(TCGCPU, jc_tag) });
    emit_rm(e, 3, I_CMP | 2, T0, JUMP_FIELD(tag));
    jit_stub(t, out, emit_jcc(e, H_NZ), false);
    emit_rm(e, 3, I_LOAD, T0, JUMP_FIELD(lin));
    emit_alu_imm(e, 3, ALU_AND, T0, -(int32_t)TCG_PAGE_SIZE);
    emit_rm(e, 3, I_STORE, T0, CPU_REG(R_PAGE));
    emit_rm(e, 3, I_LOAD, T0, JUMP_FIELD(op));
}

/* Other blocks ------------------------------------------------------------- */

static bool decode_again(TCGCPU *c, const TCGBlock *b, X86Op *ops);
static unsigned choose(Tr *t, unsigned *called);

/* Does the block overwrite all flags before anybody can see what they were? */
static bool entry_ignores_flags(Tr *t, const X86Op *first)
{
    TCGBlock *b = block_of(first);
    X86Op ops[TCG_BLOCK_OPS + 1];
    Tr other = { .jit = t->jit, .b = b, .ops = ops, .n = b->nr_ops - 1 };
    unsigned called;

    if (b->flags_in == BLOCK_FLAGS_UNKNOWN) {
        b->flags_in = BLOCK_FLAGS_LIVE;
        if ((b->key & 3) == CODE64 && decode_again(t->c, b, ops)) {
            choose(&other, &called);
            b->flags_in = jit_find_live_flags(&other) ? BLOCK_FLAGS_LIVE : BLOCK_FLAGS_DEAD;
        }
    }
    return b->flags_in == BLOCK_FLAGS_DEAD;
}

/* What fast paths jump to -------------------------------------------------- */

static void call_op(Tr *t, unsigned i)
{
    emit_link(&t->e, emit_lea_rip(&t->e, T0), (const uint8_t *)&t->pairs[2 * i]);
    jit_link(t, emit_call(&t->e), t->jit->run_op);
}

/* What c has to know before others go on: also where only the flags' operands are left. */
static void settle_stub(Tr *t, const Stub *s)
{
    jit_store_vec(t, s->dirty);
    if (s->again >= 0) {
        jit_make_flags(t, s->again);
        jit_save_flags(t);
    }
}

/* The interpreter does all of an op; then the next one's code goes on. */
static void emit_call_stub(Tr *t, const Stub *s)
{
    settle_stub(t, s);
    call_op(t, s->i);
    jit_load_vec(t, s->valid);
    if (s->native) {
        jit_link(t, emit_call(&t->e), t->jit->get_flags);
    }
    emit_link(&t->e, emit_jmp(&t->e), s->back);
}

/* Not the slot's page: look into the TLB. What goes elsewhere cannot be called. */
static void emit_look_up_stub(Tr *t, const Stub *s)
{
    Emit *e = &t->e;
    uint8_t *odd = NULL;

    if (s->aligned) {
        emit_alu_imm(e, 0, ALU_TEST, T0, (1 << s->size) - 1);
        odd = emit_jcc(e, H_NZ);
    }
    emit_rm(e, 3, I_LEA, T2, MEM(H_C, (int32_t)(offsetof(TCGCPU, slots) +
                                                s->slot * sizeof(TLBSlot))));
    jit_link(t, emit_call(e), t->jit->look_up[s->write][s->size]);
    emit_link(e, emit_jcc(e, H_Z), s->found);
    if (odd) {
        emit_here(e, odd);
    }
    if (t->templates[s->i]->attr & TA_END) {
        settle_stub(t, s);
        leave_with(t, &t->b->ops[s->i]);
    } else {
        emit_call_stub(t, s);
    }
}

/*
 * A branch within the page is taken. Where its target overwrites the flags, they are made again
 * only if it leads out.
 */
static void emit_taken_stub(Tr *t, const Stub *s)
{
    const X86Op *link = t->b->ops[s->i].link;

    jit_store_vec(t, s->dirty);
    t->native = false;
    t->saved = true;
    if (s->native && link && s->keep >= 0 && entry_ignores_flags(t, link)) {
        t->again = s->keep;
        t->saved = false;
    } else if (s->native) {
        jit_save_flags(t);
    }
    jit_go_direct(t, s->i, STUB_AT);
}

/* May need more of them. */
static void emit_stub(Tr *t, const Stub *s)
{
    Emit *e = &t->e;

    emit_here(e, s->from);
    switch (s->kind) {
    case STUB_LOOK_UP:
        emit_look_up_stub(t, s);
        break;
    case STUB_CALL:
        emit_call_stub(t, s);
        break;
    case STUB_TAKEN:
        emit_taken_stub(t, s);
        break;
    case STUB_AT:
        settle_stub(t, s);
        leave_with(t, &t->b->ops[s->i]);
        break;
    case STUB_EIP:
        settle_stub(t, s);
        branch_target(t, &t->ops[s->i]);
        jit_link(t, emit_jmp(e), t->jit->leave_eip);
        break;
    case STUB_TMP:
        settle_stub(t, s);
        emit_rm(e, 3, I_LOAD, T0, CPU_FIELD(jit_tmp));
        jit_link(t, emit_jmp(e), t->jit->leave_eip);
        break;
    }
}

/* The op is done: slow paths come back here, with flags as fast ones leave them. */
static void finish_op(Tr *t, unsigned first_stub)
{
    for (unsigned k = first_stub; k < t->nr_stubs; k++) {
        if (t->stubs[k].kind <= STUB_CALL) {
            t->stubs[k].back = t->e.p;
            t->stubs[k].native = t->native;
            t->stubs[k].valid = t->vec_valid;
        }
    }
}

/* A block ------------------------------------------------------------------ */

/* Of functions that do both: is it MMX? */
static bool is_mmx(const X86Op *op)
{
    return (op->fn == op_vec_shift_imm && !(op->flags & OF_OP16)) ||
           (op->fn == op_vec_movmsk && op->id == 3);
}

/* Does the template do this op? */
static bool fits(const Template *tm, const X86Op *op)
{
    bool bytes = op->size == 0 && !(tm->attr & TA_VEC), mem = op->flags & OF_MEM;
    bool high = (bytes && (op->reg & 1) && !(tm->attr & TA_GROUP)) ||
                ((bytes || (tm->attr & TA_RMBYTE)) && !mem && (op->rm & 1) &&
                 !(tm->attr & TA_HIGH));
    unsigned smallest = tm->attr & TA_64 ? 3 : tm->attr & TA_WIDE ? 2 : tm->attr & TA_WORD ? 1 : 0;

    return !high && !is_mmx(op) && op->size >= smallest && !(op->flags & OF_LOCK) &&
           !((tm->attr & TA_SHIFT) && !(op->imm & (op->size == 3 ? 63 : 31))) &&
           !((tm->attr & TA_FLAT) && (op->flags & OF_EASLOW)) &&
           !((tm->attr & TA_REGONLY) && mem) &&
           !(mem && ((op->flags & OF_A32) || op->disp != (int32_t)op->disp));
}

/* For each op its template; NULL: leave. How many are worth it; called: and how many not. */
static unsigned choose(Tr *t, unsigned *called)
{
    static const Template by_call = { .attr = TA_FAULT };
    unsigned native = 0;

    *called = 0;
    for (unsigned i = 0; i < t->n; i++) {
        const Template *tm = tcg_jit_template(t->jit, t->ops[i].fn);

        if (tm && tm->emit && !fits(tm, &t->ops[i])) {
            tm = tm->attr & (TA_BRANCH | TA_END) ? NULL : &by_call;
        } else if (tm && tm->fn == op_sti && i + 1 == t->n) {
            tm = NULL;          /* what follows it is another block's */
        }
        t->templates[i] = tm;
        native += tm && tm->emit;
        *called += tm && !tm->emit;
    }
    return native;
}

/* Ops of their own, for calls: decoded ones followed by what returns. */
static void make_pairs(Tr *t)
{
    t->pairs = (X86Op *)t->e.p;
    for (unsigned i = 0; i < t->n; i++) {
        X86Op *p = &t->pairs[2 * i];

        p[0] = t->ops[i];
        memset(&p[1], 0, sizeof(p[1]));
        p[1].fn = tcg_jit_op_stop;
        p[1].disp = (intptr_t)t->b;
    }
    t->e.p += 2 * t->n * sizeof(X86Op);
}

/* True: the op ends the block. */
static SLOW_PATH bool emit_op(Tr *t)
{
    const X86Op *op = &t->ops[t->i];
    const Template *tm = t->templates[t->i];
    unsigned first_stub = t->nr_stubs;

    if (!tm) {
        jit_leave_at(t);
        return true;
    }
    jit_flags_begin_op(t);
    if (!tm->emit || (tm->attr & TA_END)) {
        jit_settle_flags(t);
        jit_settle_vec(t);
    }
    if (tm->emit) {
        tm->emit(t, op);
        finish_op(t, first_stub);
    } else {
        jit_clobber_flags(t);
        call_op(t, t->i);
        t->vec_valid = 0;
    }
    return tm->attr & TA_END;
}

static void emit_block(Tr *t)
{
    t->native = false;
    t->saved = true;
    t->again = -1;
    for (t->i = 0; t->i < t->n; t->i++) {
        if (emit_op(t)) {
            break;
        }
    }
    if (t->i == t->n) {
        /* On to what follows in the page, or in another. */
        jit_settle_flags(t);
        jit_settle_vec(t);
        if (t->b->ops[t->n].flags & OF_INPAGE) {
            jit_go_linked(t, t->n, STUB_AT);
        } else {
            leave_with(t, &t->b->ops[t->n]);
        }
    }
    t->vec_dirty = 0;           /* stubs store what there was */
    for (unsigned k = 0; k < t->nr_stubs; k++) {
        emit_stub(t, &t->stubs[k]);
    }
}

/* Decode what the block was made of once more; false: it is not the same any more. */
static bool decode_again(TCGCPU *c, const TCGBlock *b, X86Op *ops)
{
    uint64_t pa = b->key >> 2;
    const uint8_t *host = address_space_map_ro(c->mem, pa & TCG_PAGE_MASK, TCG_PAGE_SIZE);
    unsigned end, n;

    if (!host || b->page2 != TCG_NO_PAGE) {
        return false;
    }
    n = tcg_decode_run(host, pa & 0xfff, CODE64, ops, &end);
    if (n + 1 != b->nr_ops) {
        return false;
    }
    for (unsigned i = 0; i < n; i++) {
        if (ops[i].off != b->ops[i].off || ops[i].len != b->ops[i].len ||
            ops[i].imm != b->ops[i].imm || ops[i].id != b->ops[i].id) {
            return false;
        }
    }
    return true;
}

static bool translate_locked(TCGCPU *c, TCGBlock *b)
{
    TCGJit *jit = c->tcg->jit;
    X86Op ops[TCG_BLOCK_OPS + 1];
    Tr t = {
        .c = c, .jit = jit, .b = b, .ops = ops, .n = b->nr_ops - 1,
        .e = { jit->writable + jit->used, jit->writable + jit->size, false },
    };
    unsigned native, called;
    const uint8_t *code;

    if (!decode_again(c, b, ops)) {
        return false;
    }
    native = choose(&t, &called);
    if (native < 2 * called || !t.templates[0]) {
        jit->stats.refused++;
        return false;
    }
    if (jit->size - jit->used < BLOCK_BYTES) {
        __atomic_store_n(&jit->full, true, __ATOMIC_RELAXED);
        return false;
    }
    b->flags_in = jit_find_live_flags(&t) ? BLOCK_FLAGS_LIVE : BLOCK_FLAGS_DEAD;
    make_pairs(&t);
    code = jit_executable(jit, t.e.p);
    emit_block(&t);
    g_assert(!t.e.full);
    jit->stats.blocks++;
    jit->stats.ops += native + called;
    jit->stats.called += called;
    jit->used = QEMU_ALIGN_UP(t.e.p - jit->writable, 64);
    b->entry = code;
    __atomic_store_n(&b->ops[0].fn, (OpFn *)jit->enter, __ATOMIC_RELEASE);
    return true;
}

/* Tier-up ------------------------------------------------------------------ */

static OpFn op_cold;

static SLOW_PATH void block_is_hot(TCGCPU *c, TCGBlock *b)
{
    g_mutex_lock(&c->tcg->lock);
    if (!b->dead && b->ops[0].fn == op_cold && !translate_locked(c, b)) {
        __atomic_store_n(&b->ops[0].fn, b->first, __ATOMIC_RELEASE);
    }
    g_mutex_unlock(&c->tcg->lock);
}

/* The first op of a block that has not been executed often yet. */
SOP(op_cold)
{
    TCGBlock *b = block_of(op);
    OpFn *fn = b->first;

    if (unlikely(--b->cold == 0)) {
        block_is_hot(c, b);
        fn = __atomic_load_n(&op->fn, __ATOMIC_ACQUIRE);
        fn = fn == op_cold ? b->first : fn;
    }
    TAIL fn(c, op);
}

void tcg_jit_block_made(TCGJit *jit, TCGBlock *b)
{
    b->entry = jit->leave;
    if ((b->key & 3) == CODE64 && b->page2 == TCG_NO_PAGE) {
        b->first = b->ops[0].fn;
        b->cold = jit->threshold;
        b->ops[0].fn = op_cold;
    }
}

void tcg_jit_block_killed(TCGJit *jit, TCGBlock *b)
{
    __atomic_store_n(&b->entry, jit->leave, __ATOMIC_RELEASE);
}
