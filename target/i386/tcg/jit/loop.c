/*
 * Blocks that branch back to their own beginning: host code jumps there directly.
 *
 * How things are at the end of an iteration is found by translating once for nothing. The second
 * time code behind that branch begins just so: flags are made again from the last iteration's
 * operands if anybody wants them, XMM registers stay. Who enters the block executes a copy of
 * the first instructions, up to where it makes no difference any more.
 *
 *         code:  [SSE can be used?] [XMM registers] copy of instructions 0 to join - 1; jmp join
 *         top:   instructions 0 to join - 1
 *         join:  the others; jcc top
 *
 * The poll word is looked at before one of them where that spoils no flags.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "target/i386/tcg/jit/templates.h"

#define MAX_COPY 8u             /* instructions */

bool jit_loop_find(Tr *t)
{
    JitLoop *l = &t->loop;

    l->first = l->branch = t->n;
    l->differ = false;
    for (unsigned i = 0; i < t->n && t->templates[i]; i++) {
        const X86Op *op = &t->ops[i];

        if (t->templates[i]->emit == jit_jcc && (op->flags & OF_INPAGE) &&
            op->off + op->len + op->imm == t->ops[0].off) {
            l->first = MIN(l->first, i);
            l->branch = i;
        }
        if (t->templates[i]->attr & TA_END) {
            break;
        }
    }
    return l->branch < t->n;
}

/* How many instructions it takes until it does not matter where flags were before. */
static unsigned find_join(const Tr *t, unsigned end)
{
    unsigned i = 0;

    while (i < end && t->templates[i]->emit && t->templates[i]->writes != CC_ALL) {
        i++;
    }
    return i + 1;
}

/* The place behind the first instruction that flags can be made again from; or n. */
static unsigned find_free_poll(const Tr *t, unsigned end)
{
    for (unsigned i = 0; i < end; i++) {
        if (jit_can_again(t, i)) {
            return i + 1;
        }
    }
    return t->n;
}

/* As things are. Flags that have been saved need not be made again. */
static JitState state(const Tr *t)
{
    JitState s = t->now;

    s.again = s.saved ? -1 : s.again;
    return s;
}

static bool same(const JitState *a, const JitState *b)
{
    return a->saved == b->saved && a->again == b->again && a->vec_valid == b->vec_valid &&
           a->vec_dirty == b->vec_dirty && a->vec_checked == b->vec_checked &&
           a->vex_checked == b->vex_checked;
}

/* Flags may be in different places at the branches, but at each they are in the host's, too. */
static void meet(JitLoop *l, const JitState *now)
{
    l->differ |= l->state.saved != now->saved || l->state.again != now->again;
}

void jit_loop_tried(Tr *t)
{
    JitLoop *l = &t->loop;
    JitState last = state(t);

    if (l->first != l->branch) {
        meet(l, &last);
    }
    l->state = last;
    if (l->differ) {
        l->state.saved = false;
        l->state.again = -1;
    }
    l->native = l->save = false;
    l->join = find_join(t, l->branch);
    l->poll = 0;
    if (l->state.saved) {
        l->join = 0;
    } else if (l->state.again < 0) {
        l->poll = t->jit->verify ? t->n : find_free_poll(t, l->first);
        l->native = true;
    }
    if (l->join > MIN(MAX_COPY, l->first) || l->poll > l->first) {
        l->save = true;
        l->native = false;
        l->state.saved = true;
        l->state.again = -1;
        l->poll = l->join = 0;
    }
}

void jit_loop_begin(Tr *t)
{
    JitLoop *l = &t->loop;
    uint8_t *join;

    t->i = 0;
    jit_begin_vec(t, l->state.vec_checked, l->state.vex_checked);
    jit_load_vec(t, l->state.vec_valid);
    t->now = l->state;
    t->now.saved = true;
    t->now.again = -1;
    jit_emit_ops(t, 0, l->join);
    join = emit_jmp(&t->e);
    l->top = t->e.p;
    t->now = l->state;
    t->native = l->native;
    if (l->poll == 0) {
        t->i = 0;
        jit_loop_poll(t);
    }
    jit_emit_ops(t, 0, l->join);
    emit_here(&t->e, join);
}

void jit_loop_poll(Tr *t)
{
    jit_clobber_flags(t);
    if (t->jit->verify) {       /* one iteration at a time */
        jit_stub(t, STUB_POLL, emit_jmp(&t->e), false);
        return;
    }
    emit_alu_mem_imm(&t->e, 2, ALU_CMP, CPU_FIELD(poll), 0);
    jit_stub(t, STUB_POLL, emit_jcc(&t->e, H_NZ), false);
}

bool jit_loop_branch(Tr *t, unsigned cc)
{
    JitLoop *l = &t->loop;
    JitState now = state(t);
    const X86Op *op = &t->ops[t->i];

    if (l->branch >= t->n || !(op->flags & OF_INPAGE) ||
        op->off + op->len + op->imm != t->ops[0].off) {
        return false;
    }
    if (!l->top) {              /* translated for nothing */
        if (t->i == l->first) {
            l->state = now;
        }
        meet(l, &now);
        return false;
    }
    if (l->save || l->native) {
        now.saved = l->save;
        now.again = -1;
    }
    if (!same(&now, &l->state)) {
        return false;
    }
    if (l->save && !t->now.saved) {
        jit_stub(t, STUB_AROUND, emit_jcc(&t->e, cc), true);
    } else {
        emit_link(&t->e, emit_jcc(&t->e, cc), l->top);
    }
    return true;
}

void jit_loop_around(Tr *t)
{
    jit_save_flags(t);
    emit_link(&t->e, emit_jmp(&t->e), t->loop.top);
}
