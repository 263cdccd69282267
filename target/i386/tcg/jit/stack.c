/*
 * A block's accesses to the stack: where these go is looked at once, when the block is entered.
 *
 * Most of what code accesses by way of RSP are places at known distances from where that points
 * to at the block's beginning. If all of those lie in one page, whose host address and rights a
 * slot of their own has, the instructions do nothing about it; and as they cannot fault, nobody
 * sees flags there. If not, the block goes on in a second translation without.
 *
 * What the interpreter does in between may take the page away: behind its calls one look shows
 * it. Of its functions that are called each time only those before which no such access comes.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "target/i386/tcg/jit/templates.h"

#define MAX_SPAN 2048           /* bytes */
#define WORTH_IT 3              /* accesses, if this is no loop */
#define SLOT(field) \
    C_AT(offsetof(TCGCPU, slots) + TLB_SLOT_STACK * sizeof(TLBSlot) + offsetof(TLBSlot, field))

/* What is known when the next op is looked at. */
typedef struct Walk {
    JitStack w;
    int delta;                  /* RSP, from what it is at the block's beginning */
    bool lost;                  /* not known any more */
} Walk;

static unsigned number(const X86Op *op, unsigned reg)
{
    return op->size ? reg : reg >> 3;
}

static void note(Walk *k, unsigned i, int at, bool write)
{
    JitStack *w = &k->w;
    int low = MIN(w->low, at), high = MAX(w->high, at + 8);

    if (high - low > MAX_SPAN) {
        k->lost = true;
        return;
    }
    w->low = low;
    w->high = high;
    w->write |= write;
    w->ops |= 1u << i;
}

/* Does an op that is none of those below change RSP? */
static bool changes_rsp(const Template *tm, const X86Op *op)
{
    bool mem = op->flags & OF_MEM;

    if (tm->attr & TA_VEC) {
        return (tm->emit == jit_vec_movd || tm->emit == jit_vec_cvt || tm->dst == DST_REG) &&
               (op->reg == R_ESP || op->rm == R_ESP);
    }
    switch (tm->dst) {
    case DST_NONE:
        return false;
    case DST_REG:
        return number(op, op->reg) == R_ESP;
    case DST_RM:
        return !mem && number(op, op->rm) == R_ESP;
    default:
        return tm->emit == jit_leave || (!mem && number(op, op->rm) == R_ESP) ||
               (!(tm->attr & TA_GROUP) && number(op, op->reg) == R_ESP);
    }
}

/* ADD and SUB of a number, LEA: the distance, to *by. */
static bool moves_rsp(const Template *tm, const X86Op *op, int64_t *by)
{
    if (op->size != 3 || (op->flags & OF_EASLOW)) {
        return false;
    }
    if (tm->emit == jit_alu_ei && !(op->flags & OF_MEM) && op->rm == R_ESP &&
        (tm->arg == ALU_ADD || tm->arg == ALU_SUB)) {
        *by = tm->arg == ALU_ADD ? op->imm : -(int64_t)op->imm;
        return true;
    }
    *by = op->disp;
    return tm->emit == jit_lea && op->reg == R_ESP && op->base == R_ESP && op->index == R_ZERO;
}

static void move(Walk *k, int64_t by)
{
    if (by < -MAX_SPAN || by > MAX_SPAN) {
        k->lost = true;
    } else {
        k->delta += by;
    }
}

/* PUSH, POP, CALL, RET. True: it was one. */
static bool look_at_stack_op(Walk *k, unsigned i, const Template *tm, const X86Op *op)
{
    if (tm->emit == jit_push || tm->emit == jit_push_imm || tm->emit == jit_call) {
        note(k, i, k->delta - 8, true);
        k->delta -= 8;
    } else if (tm->emit == jit_pop || tm->emit == jit_ret) {
        note(k, i, k->delta, false);
        k->delta += 8;
        k->lost |= tm->emit == jit_pop && op->rm == R_ESP;
    } else {
        return false;
    }
    return true;
}

static void look_at(Walk *k, unsigned i, const Template *tm, const X86Op *op)
{
    int64_t by;

    if (!tm || !tm->emit || tm->emit == jit_call_rm) {
        k->lost = true;         /* the interpreter's, or more than one access */
    } else if (look_at_stack_op(k, i, tm, op)) {
        return;
    } else if (moves_rsp(tm, op, &by)) {
        move(k, by);
    } else {
        if ((op->flags & OF_MEM) && !(op->flags & OF_EASLOW) && op->base == R_ESP &&
            op->index == R_ZERO && !(tm->attr & (TA_VEC | TA_FAULT)) &&
            tm->emit != jit_lea && ABS(op->disp) <= MAX_SPAN) {
            note(k, i, k->delta + (int)op->disp, tm->dst != DST_REG && tm->dst != DST_NONE);
        }
        k->lost |= changes_rsp(tm, op);
    }
}

/* Is it worth it to look? What only comes behind a branch may seldom be executed. */
static bool pays(const Tr *t, uint32_t ops)
{
    unsigned end = 0;

    if (t->loop.branch < t->n) {
        return ops << (31 - t->loop.branch);
    }
    while (end < t->n && t->templates[end] && t->templates[end]->emit != jit_jcc) {
        end++;
    }
    return __builtin_popcountll(ops & (((uint64_t)1 << end) - 1)) >= WORTH_IT;
}

bool jit_stack_find(Tr *t)
{
    Walk k = { .w = { .low = INT_MAX / 2, .high = INT_MIN / 2 } };
    unsigned branch = t->loop.branch;

    for (unsigned i = 0; i < t->n && !k.lost; i++) {
        look_at(&k, i, t->templates[i], &t->ops[i]);
        k.w.end = i;
        if (i == branch && k.delta) {
            return false;       /* the next iteration's are elsewhere */
        }
    }
    if (k.lost && branch < t->n && k.w.end <= branch) {
        return false;
    }
    if (!pays(t, k.w.ops)) {
        return false;
    }
    t->stack = k.w;
    return true;
}

/* The page by the slot, or the TLB; else the other translation. */
void jit_stack_enter(Tr *t)
{
    Emit *e = &t->e;

    emit_rm(e, 3, I_LEA, T0, MEM(jit_host(R_ESP), t->stack.low));
    emit_rr(e, 3, I_STORE, T0, T2);
    emit_alu_imm(e, 3, ALU_AND, T2, -(int32_t)TCG_PAGE_SIZE);
    emit_rm(e, 3, I_CMP | 2, T2, t->stack.write ? SLOT(w) : SLOT(r));
    jit_stub(t, STUB_STACK, emit_jcc(e, H_NZ), false);
    t->stubs[t->nr_stubs - 1].found = e->p;
    emit_rm(e, 3, I_LEA, T2, MEM(jit_host(R_ESP), t->stack.high - 1));
    emit_rr(e, 3, I_XOR, T0, T2);
    emit_alu_imm(e, 3, ALU_CMP, T2, TCG_PAGE_SIZE);
    t->stack.out[0] = emit_jcc(e, H_NB);
}

void jit_stack_look_up(Tr *t, const Stub *s)
{
    Emit *e = &t->e;

    emit_rm(e, 3, I_LEA, T2, SLOT(r));
    jit_link(t, emit_call(e), t->jit->look_up[t->stack.write][0]);
    emit_rm(e, 3, I_LEA, T0, MEM(jit_host(R_ESP), t->stack.low));
    emit_link(e, emit_jcc(e, H_Z), s->found);
    if (t->jit->verify) {       /* no instruction has asked for that */
        emit_mov_imm64(e, T0, JIT_NOWHERE);
        emit_rm(e, 3, I_STORE, T0, CPU_FIELD(jit_missed));
    }
    t->stack.out[1] = emit_jmp(e);
}

void jit_stack_other(Tr *t)
{
    emit_here(&t->e, t->stack.out[0]);
    emit_here(&t->e, t->stack.out[1]);
    t->stack.ops = 0;
}

bool jit_stack_has(const Tr *t, unsigned i)
{
    return t->stack.ops >> i & 1;
}

HostMem jit_stack_address(Tr *t, int disp)
{
    emit_rm(&t->e, 3, I_LOAD, T0, SLOT(addend));
    return (HostMem) { T0, jit_host(R_ESP), 0, disp };
}

uint8_t *jit_stack_lost(Tr *t, unsigned i)
{
    if (!t->stack.ops || i >= t->stack.end) {
        return NULL;
    }
    emit_alu_mem_imm(&t->e, 2, ALU_CMP, t->stack.write ? SLOT(w) : SLOT(r), TLB_SLOT_EMPTY);
    return emit_jcc(&t->e, H_Z);
}
