/*
 * From a block's ops to host code: what can be seen of flags, fast paths one after the other, and
 * behind them what they jump to when they do not apply.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <string.h>

#include "qemu/cutils.h"
#include "target/i386/tcg/jit/templates.h"
#include "target/i386/tcg/jit/verify.h"
#include "target/i386/tcg/ops/vec.h"

#define MAX_DEPTH 3u            /* branches from a hot block to what is translated with it */

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

/* Leaving ------------------------------------------------------------------ */

Stub *jit_stub(Tr *t, int kind, uint8_t *from, bool native)
{
    Stub *s = &t->stubs[t->nr_stubs++];

    g_assert(t->nr_stubs <= G_N_ELEMENTS(t->stubs));
    s->kind = kind;
    s->address = MEM(T0, 0);
    s->from = from;
    s->back = s->found = NULL;
    s->find = false;
    s->i = t->i;
    s->native = native;
    s->again = t->native || t->now.saved ? -1 : t->now.again;
    s->dirty = t->now.vec_dirty;
    return s;
}

void jit_leave_with(Tr *t, const X86Op *op)
{
    emit_mov_imm64(&t->e, T0, (uintptr_t)op);
    jit_link(t, emit_jmp(&t->e), op == t->b->ops ? t->jit->leave_first : t->jit->leave);
}

static void jit_leave_at(Tr *t)
{
    jit_settle_flags(t);
    jit_settle_vec(t);
    jit_leave_with(t, &t->b->ops[t->i]);
}

void jit_branch_target(Tr *t, const X86Op *op)
{
    int64_t by = (int64_t)op->off + op->len + op->imm;

    emit_rm(&t->e, 3, I_LOAD, T0, CPU_REG(R_PAGE));
    if (by == (int32_t)by) {
        emit_rm(&t->e, 3, I_LEA, T0, MEM(T0, by));
    } else {
        emit_rm(&t->e, 3, I_LEA, T0, MEM(T0, op->off + op->len));
        emit_rm(&t->e, 3, I_LEA, T0, MEM(T0, op->imm));
    }
}

/* Translated code of a block of this page; NULL: none yet. As all of a page, it dies with us. */
static const uint8_t *code_of(const X86Op *first)
{
    return first ? jit_block_of(first)->code : NULL;
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
    if (code_of(link) && !t->jit->verify) {
        jit_link(t, emit_jmp(e), code_of(link));
        return;
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

void jit_part_with_flags(Tr *t, const X86Op *op)
{
    const X86Op *link = __atomic_load_n(&op->link, __ATOMIC_ACQUIRE);

    if (code_of(link) && jit_block_of(link)->ignores_flags && !t->jit->verify &&
        (op->imm >= 0 || t->now.again >= 0)) {
        t->native = false;
    } else {
        jit_settle_flags(t);
    }
}

void jit_go_direct(Tr *t, unsigned i, int out)
{
    const X86Op *op = &t->b->ops[i];

    if (code_of(op->link) || ((op->flags & OF_INPAGE) && (op->link || out == STUB_AT))) {
        jit_go_linked(t, i, out);
        return;
    }
    t->i = i;
    jit_branch_target(t, op);
    jit_find_known(t, op, out);
    jit_enter_block(t);
}

/* The op is done: slow paths come back here, with flags as fast ones leave them. */
static void finish_op(Tr *t, unsigned first_stub)
{
    for (unsigned k = first_stub; k < t->nr_stubs; k++) {
        if (t->stubs[k].kind <= STUB_CALL) {
            t->stubs[k].back = t->e.p;
            t->stubs[k].native = t->native;
            t->stubs[k].valid = t->now.vec_valid;
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

    return !high && !is_mmx(op) && op->size >= jit_smallest(tm) && !(op->flags & OF_LOCK) &&
           !((tm->attr & TA_SHIFT) && !(op->imm & (op->size == 3 ? 63 : 31))) &&
           !(tm->emit == jit_vzeroupper && (op->flags & OF_L)) &&      /* VZEROALL */
           !((tm->attr & TA_FLAT) && (op->flags & OF_EASLOW)) &&
           !((tm->attr & TA_REGONLY) && mem) &&
           !(mem && ((op->flags & OF_A32) || op->disp != (int32_t)op->disp));
}

/* For each op its template; NULL: leave. How many are worth it; called: and how many not. */
static unsigned choose(Tr *t, unsigned *called)
{
    static const Template by_call = { "general", .attr = TA_FAULT };
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
    t->pairs = (X86Op *)(t->jit->writable + t->jit->pairs) - 2 * t->n;
    for (unsigned i = 0; i < t->n; i++) {
        X86Op *p = &t->pairs[2 * i];

        p[0] = t->ops[i];
        memset(&p[1], 0, sizeof(p[1]));
        p[1].fn = tcg_jit_op_stop;
        p[1].disp = (intptr_t)t->b;
        if (t->jit->verify && t->templates[i]) {
            tcg_verify_describe(t->templates[i], &p[0], &p[1]);
        }
    }
}

/* True: the op ends the block. */
static SLOW_PATH bool emit_op(Tr *t)
{
    const X86Op *op = &t->ops[t->i];
    const Template *tm = t->templates[t->i];
    unsigned first_stub = t->nr_stubs;

    if (!t->out_of_line) {
        t->pairs[2 * t->i + 1].id = t->e.p - t->from;
    }
    if (!tm) {
        jit_leave_at(t);
        return true;
    }
    jit_flags_begin_op(t);
    if (!tm->emit || (tm->attr & TA_END)) {
        if (tm->emit != jit_jmp) {
            jit_settle_flags(t);
        }
        jit_settle_vec(t);
    }
    if (tm->emit) {
        tm->emit(t, op);
        finish_op(t, first_stub);
    } else {
        jit_clobber_flags(t);
        jit_call_op(t, t->i);
        t->now.vec_valid = 0;
    }
    jit_flags_end_op(t);
    return tm->attr & TA_END;
}

bool jit_emit_ops(Tr *t, unsigned from, unsigned to)
{
    for (t->i = from; t->i < to; t->i++) {
        if (t->i && t->i == t->loop.poll) {
            jit_loop_poll(t);
        }
        if (emit_op(t)) {
            return true;
        }
    }
    return false;
}

/* Nothing is known. */
static void emit_from(Tr *t, uint8_t *p)
{
    t->e.p = p;
    t->nr_stubs = 0;
    t->native = false;
    t->now = (JitState) { .saved = true, .again = -1 };
}

/* On to what follows in the page, or in another. */
static void go_on(Tr *t)
{
    jit_part_with_flags(t, &t->b->ops[t->n]);
    jit_settle_vec(t);
    jit_go_direct(t, t->n, STUB_AT);
}

/* All that comes now is rarely executed. */
static void go_apart(Tr *t)
{
    t->end = t->e.p;
    t->apart.full |= t->e.full;
    t->e = t->apart;
    t->out_of_line = t->e.p;
}

/* As t->stack says. Returns whether it overwrites all flags before anybody can see them. */
static bool emit_version(Tr *t)
{
    bool ignores;
    uint8_t *p;

    t->loop = (JitLoop) { 0 };
    ignores = !jit_find_live_flags(t);
    emit_from(t, t->e.p);
    if (t->stack.ops) {
        t->i = 0;
        jit_stack_enter(t);
    }
    p = t->e.p;
    if (jit_loop_find(t)) {
        unsigned stubs = t->nr_stubs;

        jit_emit_ops(t, 0, t->loop.branch);
        jit_loop_tried(t);
        ignores = !jit_find_live_flags(t) && !t->now.vec_checked && !t->now.vex_checked;
        emit_from(t, p);
        t->nr_stubs = stubs;
        jit_loop_begin(t);
    }
    if (!jit_emit_ops(t, t->loop.top ? t->loop.join : 0, t->n)) {
        go_on(t);
    }
    t->now.vec_dirty = 0;           /* stubs store what there was */
    if (!t->out_of_line) {
        go_apart(t);
    }
    for (unsigned k = 0; k < t->nr_stubs; k++) {
        jit_emit_stub(t, &t->stubs[k]);
    }
    return ignores;
}

static void emit_block(Tr *t)
{
    jit_loop_find(t);
    if (jit_stack_find(t)) {
        emit_version(t);
        jit_stack_other(t);
    }
    t->b->ignores_flags = emit_version(t);
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

static void count_block(const Tr *t, unsigned native, unsigned called)
{
    TCGJit *jit = t->jit;

    jit->stats.blocks++;
    jit->stats.ops += native + called;
    jit->stats.called += called;
    jit->stats.code_bytes += t->end - t->from + (t->e.p - t->out_of_line);
    for (unsigned i = 0; i < t->n && t->templates[i]; i++) {
        jit->stats.guest_bytes += t->ops[i].len;
    }
}

static OpFn op_cold;
static SLOW_PATH void translate_or_not(TCGCPU *c, TCGBlock *b, unsigned depth);

/*
 * Where the block branches to within the page, if that will be translated soon anyway: first, so
 * that its code can be jumped to, and leaves the flags be where it ignores them.
 */
static void translate_targets(TCGCPU *c, TCGBlock *b, unsigned depth)
{
    unsigned warm = c->tcg->jit->threshold - c->tcg->jit->threshold / 4;

    b->cold = UINT32_MAX;       /* not once more: they may branch to it */
    for (unsigned i = 0; i < b->nr_ops && depth < MAX_DEPTH; i++) {
        const X86Op *op = &b->ops[i];
        TCGBlock *to = op->flags & OF_INPAGE && op->link ? jit_block_of(op->link) : b;

        if (to != b && !to->dead && to->ops[0].fn == op_cold && to->cold <= warm) {
            translate_or_not(c, to, depth + 1);
        }
    }
}

/* depth: of branches from the block that is hot. */
static bool translate_locked(TCGCPU *c, TCGBlock *b, unsigned depth)
{
    TCGJit *jit = c->tcg->jit;
    X86Op ops[TCG_BLOCK_OPS + 1];
    Tr t = {
        .c = c, .jit = jit, .b = b, .ops = ops, .n = b->nr_ops - 1,
    };
    unsigned native, called;

    if (!decode_again(c, b, ops)) {
        return false;
    }
    native = choose(&t, &called);
    if (native < 2 * called || !t.templates[0]) {
        jit->stats.refused++;
        return false;
    }
    translate_targets(c, b, depth);
    if (!jit_has_room(jit)) {
        __atomic_store_n(&jit->full, true, __ATOMIC_RELAXED);
    }
    if (jit->full || !tcg_code_has_room(c->tcg)) {
        return false;
    }
    t.e = (Emit) { jit->writable + jit->used, jit->writable + jit->apart, false };
    t.from = t.e.p;
    make_pairs(&t);
    t.apart = (Emit) { jit->writable + jit->used_apart, (uint8_t *)t.pairs, false };
    emit_block(&t);
    g_assert(!t.e.full);
    count_block(&t, native, called);
    tcg_jit_report(&t);
    jit->used = QEMU_ALIGN_UP(t.end - jit->writable, 16);
    jit->used_apart = QEMU_ALIGN_UP(t.e.p - jit->writable, 16);
    jit->pairs = (uint8_t *)t.pairs - jit->writable;
    b->apart = jit_executable(jit, t.out_of_line);
    b->pairs = (const X86Op *)jit_executable(jit, (const uint8_t *)t.pairs);
    b->code = jit_executable(jit, t.from);
    if (jit->verify) {          /* each comes back at its end */
        __atomic_store_n(&b->ops[0].fn, tcg_verify_block, __ATOMIC_RELEASE);
        return true;
    }
    b->entry = b->code;
    __atomic_store_n(&b->ops[0].fn, (OpFn *)jit->enter, __ATOMIC_RELEASE);
    return true;
}

/* Tier-up ------------------------------------------------------------------ */

static void translate_or_not(TCGCPU *c, TCGBlock *b, unsigned depth)
{
    if (!translate_locked(c, b, depth)) {
        __atomic_store_n(&b->ops[0].fn, b->first, __ATOMIC_RELEASE);
    }
}

static SLOW_PATH void block_is_hot(TCGCPU *c, TCGBlock *b)
{
    g_mutex_lock(&c->tcg->lock);
    if (!b->dead && b->ops[0].fn == op_cold) {
        translate_or_not(c, b, 0);
    }
    g_mutex_unlock(&c->tcg->lock);
}

/* The first op of a block that has not been executed often yet. */
SOP(op_cold)
{
    TCGBlock *b = jit_block_of(op);
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
    tcg_jit_prepare(jit);
    b->entry = jit->leave;
    if ((b->key & 3) == CODE64 && b->page2 == TCG_NO_PAGE) {
        b->first = b->ops[0].fn;
        b->cold = jit->threshold;
        b->ops[0].fn = op_cold;
    }
}

void tcg_jit_block_killed(TCGJit *jit, TCGBlock *b)
{
    jit->stats.killed += b->code != NULL;
    __atomic_store_n(&b->entry, jit->leave, __ATOMIC_RELEASE);
}
