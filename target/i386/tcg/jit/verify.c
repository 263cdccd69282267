/*
 * x-verify: each translated block is also interpreted, and both must come to the same.
 *
 * A stretch is what translated code does from one place where c knows all to the next: where a
 * block begins or is left, and where it has the interpreter do an instruction. The interpreter
 * goes first, one instruction after the other, up to what is done by calls, faults, or touches
 * devices or code; what it has written is noted and taken back. Then the translated code runs
 * from the same state. What it has the interpreter do is done once and compared with nothing, as
 * that is the interpreter anyway; so devices, time and faults happen once.
 *
 * In this mode the TLB lets nobody write: all stores take the slow path, where they are noted.
 * Translated code may write to the pages that the interpreter has written to in the stretch: for
 * anything else it comes back, and the address that it asked for is compared. Memory is compared
 * where it should have been written and MARGIN bytes around.
 *
 * Only one vCPU at a time is in guest code (as with thread=single), but devices are not stopped:
 * before a difference counts, the interpreter repeats the stretch.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <immintrin.h>
#include <stdio.h>
#include <stdlib.h>

#include "qemu/cutils.h"
#include "target/i386/tcg/jit/templates.h"
#include "target/i386/tcg/jit/verify.h"
#include "target/i386/tcg/sys/system.h"

#define MARGIN 8u
#define MAX_BYTES 32u           /* of one store */
#define MAX_WRITES (4 * TCG_BLOCK_OPS)

typedef struct Write {
    uint64_t va;
    uint8_t *host;
    unsigned n;
    uint8_t before[MAX_BYTES];
} Write;

/* What a stretch can change; mem: where it should have written, with margins. */
typedef struct State {
    uint64_t regs[18], lf_aux, eip, cr2;
    int64_t lf_res;
    uint32_t flags, csr, mxcsr;
    XMMReg xmm[16], ymmh[16];
    uint8_t mem[MAX_WRITES][MAX_BYTES + 2 * MARGIN];
} State;

/*
 * Where a stretch ends: before op at of the block, or (at == OUTSIDE) at eip. unseen: flags that
 * the block there overwrites before anything can see them.
 */
#define OUTSIDE (~0u)
typedef struct Place {
    unsigned at, unseen;
    uint64_t eip;
} Place;

typedef struct TCGVerify {
    const TCGBlock *b;
    const X86Op *pairs;
    unsigned first;             /* op with which the stretch begins */
    bool active;                /* translated code is under way */
    Place end;         /* the interpreter's */
    unsigned undefined;         /* flags at the end */
    Write writes[MAX_WRITES];
    unsigned nr_writes;
    State before, expected, actual;
    TLBSlot slots[TLB_SLOTS];   /* as translated code left them, with the right to write */
} TCGVerify;

/* State -------------------------------------------------------------------- */

/* The bytes around a write, within its page. */
static uint8_t *span(const Write *w, unsigned *n)
{
    uintptr_t page = (uintptr_t)w->host & TCG_PAGE_MASK;
    uintptr_t from = MAX((uintptr_t)w->host - MARGIN, page);

    *n = MIN((uintptr_t)w->host + w->n + MARGIN, page + TCG_PAGE_SIZE) - from;
    return (uint8_t *)from;
}

static void take(const TCGCPU *c, const TCGVerify *v, State *s)
{
    memcpy(s->regs, c->regs, sizeof(s->regs));
    memcpy(s->xmm, c->xmm, sizeof(s->xmm));
    memcpy(s->ymmh, c->ymmh, sizeof(s->ymmh));
    s->lf_res = c->lf_res;
    s->lf_aux = c->lf_aux;
    s->flags = lf_get(c);
    s->eip = c->eip;
    s->cr2 = c->cr2;
    s->csr = _mm_getcsr();
    s->mxcsr = c->mxcsr;
    for (unsigned i = 0; i < v->nr_writes; i++) {
        unsigned n;
        const uint8_t *p = span(&v->writes[i], &n);

        memcpy(s->mem[i], p, n);
    }
}

/* All but memory. */
static void give(TCGCPU *c, const State *s)
{
    memcpy(c->regs, s->regs, sizeof(s->regs));
    memcpy(c->xmm, s->xmm, sizeof(s->xmm));
    memcpy(c->ymmh, s->ymmh, sizeof(s->ymmh));
    c->lf_res = s->lf_res;
    c->lf_aux = s->lf_aux;
    c->eip = s->eip;
    c->cr2 = s->cr2;
    _mm_setcsr(s->csr);
    c->mxcsr = s->mxcsr;
}

static bool same_memory(const TCGVerify *v)
{
    for (unsigned i = 0; i < v->nr_writes; i++) {
        unsigned n;

        span(&v->writes[i], &n);
        if (memcmp(v->expected.mem[i], v->actual.mem[i], n)) {
            return false;
        }
    }
    return true;
}

/* Registers 0 to 15: R_PAGE follows from where it is. */
static bool agree(const TCGVerify *v, Place at)
{
    const State *e = &v->expected, *a = &v->actual;

    return v->end.at == at.at && (at.at != OUTSIDE || v->end.eip == at.eip) &&
           !memcmp(e->regs, a->regs, 16 * sizeof(e->regs[0])) &&
           !memcmp(e->xmm, a->xmm, sizeof(e->xmm)) &&
           !memcmp(e->ymmh, a->ymmh, sizeof(e->ymmh)) && e->csr == a->csr &&
           !((e->flags ^ a->flags) & ~(v->undefined | at.unseen)) && same_memory(v);
}

/* The interpreter ---------------------------------------------------------- */

/* c->on_access: it is about to access memory by the slow path. */
static void accessed(TCGCPU *c, const TCGAccess *a)
{
    TCGVerify *v = c->verify;
    Write *w;

    if (!a->host || (a->write && a->code)) {
        tcg_restart(c);         /* not more than once: let the stretch end here */
    }
    if (!a->write) {
        return;
    }
    g_assert(v->nr_writes < MAX_WRITES && a->n <= MAX_BYTES);
    w = &v->writes[v->nr_writes++];
    w->va = a->va;
    w->host = a->host;
    w->n = a->n;
    memcpy(w->before, a->host, a->n);
}

/* One instruction by itself; false: this is the end. */
static SLOW_PATH bool tcg_verify_step(TCGCPU *c, TCGVerify *v)
{
    const X86Op *pair = &v->pairs[2 * v->end.at];
    X86Op alone[2] = { pair[0], pair[1] };
    const X86Op *next;

    if (!pair[1].reg) {
        return false;
    }
    alone[0].flags &= ~OF_INPAGE;
    next = alone[0].fn(c, alone);
    v->undefined = (v->undefined & ~(unsigned)pair[1].off) | (unsigned)pair[1].imm;
    if (!next) {
        v->end.at = OUTSIDE;
        v->end.eip = c->eip;
        return false;
    }
    v->end.at++;
    return true;
}

/* From the beginning of the stretch to op limit, or not so far. */
static void interpret(TCGCPU *c, TCGVerify *v, unsigned limit)
{
    unsigned n = v->b->nr_ops - 1;
    sigjmp_buf outer;

    memcpy(&outer, &c->jmp, sizeof(outer));
    v->nr_writes = 0;
    v->undefined = 0;
    v->end.at = v->first;
    c->ahead = true;
    tcg_poll_set(c, POLL_STEP);         /* branches lead out */
    if (!sigsetjmp(c->jmp, 0)) {
        while (v->end.at < MIN(limit, n) && tcg_verify_step(c, v)) {
        }
        if (v->end.at == n && limit > n) {
            v->end.at = OUTSIDE;
            v->end.eip = c->regs[R_PAGE] + v->b->ops[n].off;
        }
    }
    atomic_fetch_and(&c->poll, ~(unsigned)POLL_STEP);
    c->ahead = false;
    memcpy(&c->jmp, &outer, sizeof(outer));
    take(c, v, &v->expected);
}

static void take_back(TCGCPU *c, TCGVerify *v)
{
    for (unsigned i = v->nr_writes; i-- > 0;) {
        memcpy(v->writes[i].host, v->writes[i].before, v->writes[i].n);
    }
    give(c, &v->before);
}

/* The translated code ------------------------------------------------------ */

static bool is_written(const TCGVerify *v, uint64_t page)
{
    for (unsigned i = 0; i < v->nr_writes; i++) {
        if ((v->writes[i].va & TCG_PAGE_MASK) == page) {
            return true;
        }
    }
    return false;
}

static void let_write(TCGCPU *c, const TCGVerify *v)
{
    for (unsigned i = 0; i < v->nr_writes; i++) {
        TLBEntry *e = tlb_entry(c, v->writes[i].va);

        if (e->r == tlb_tag(c, v->writes[i].va, 1)) {
            e->w = e->r;
        }
    }
    for (unsigned i = 0; i < TLB_SLOTS; i++) {
        TLBSlot *s = &c->slots[i];
        const TLBSlot *old = &v->slots[i];

        if (s->r == old->r && s->addend == old->addend && old->w != TLB_SLOT_EMPTY &&
            is_written(v, old->w)) {
            s->w = old->w;
        }
    }
}

static void let_nobody_write(TCGCPU *c, TCGVerify *v)
{
    for (unsigned i = 0; i < v->nr_writes; i++) {
        TLBEntry *e = tlb_entry(c, v->writes[i].va);

        e->w = 0;
    }
    memcpy(v->slots, c->slots, sizeof(v->slots));
    for (unsigned i = 0; i < TLB_SLOTS; i++) {
        c->slots[i].w = TLB_SLOT_EMPTY;
    }
}

static void begin(TCGCPU *c, TCGVerify *v, unsigned first)
{
    v->first = first;
    v->nr_writes = 0;
    take(c, v, &v->before);
    interpret(c, v, OUTSIDE);
    take_back(c, v);
    let_write(c, v);
    c->jit_missed = JIT_NOWHERE;
    v->active = true;
}

/* Reports ------------------------------------------------------------------ */

static const char *const register_names[] = {
    "RAX", "RCX", "RDX", "RBX", "RSP", "RBP", "RSI", "RDI",
    "R8", "R9", "R10", "R11", "R12", "R13", "R14", "R15",
};

static void print_ops(const TCGCPU *c, const TCGVerify *v)
{
    uint64_t pa = v->b->key >> 2 & TCG_PAGE_MASK;
    const uint8_t *code = address_space_map_ro(c->mem, pa, TCG_PAGE_SIZE);

    for (unsigned i = v->first; i < v->b->nr_ops - 1u; i++) {
        const X86Op *op = &v->pairs[2 * i];
        const Template *tm = tcg_jit_template(c->tcg->jit, op->fn);

        fprintf(stderr, "  %016" PRIx64, v->before.regs[R_PAGE] + op->off);
        for (unsigned k = 0; code && k < op->len; k++) {
            fprintf(stderr, " %02x", code[op->off + k]);
        }
        fprintf(stderr, "  %s%s\n", tm ? tm->name : "-",
                i == v->end.at ? "  <- the interpreter's end" : "");
    }
}

static void print_vectors(const char *name, const XMMReg *e, const XMMReg *a)
{
    for (unsigned n = 0; n < 16; n++) {
        if (memcmp(&e[n], &a[n], sizeof(e[n]))) {
            fprintf(stderr, "%s%u: interpreted %016" PRIx64 "%016" PRIx64 ", translated %016"
                    PRIx64 "%016" PRIx64 "\n", name, n, e[n].q[1], e[n].q[0], a[n].q[1],
                    a[n].q[0]);
        }
    }
}

static void print_memory(const TCGVerify *v)
{
    for (unsigned i = 0; i < v->nr_writes; i++) {
        unsigned n;
        const uint8_t *p = span(&v->writes[i], &n);
        uint64_t va = v->writes[i].va - (v->writes[i].host - p);

        for (unsigned k = 0; k < n; k++) {
            if (v->expected.mem[i][k] != v->actual.mem[i][k]) {
                fprintf(stderr, "memory at %016" PRIx64 ": interpreted %02x, translated %02x\n",
                        va + k, v->expected.mem[i][k], v->actual.mem[i][k]);
            }
        }
    }
}

static void print_place(const char *who, Place p)
{
    if (p.at == OUTSIDE) {
        fprintf(stderr, "%s: went on to %016" PRIx64 "\n", who, p.eip);
    } else {
        fprintf(stderr, "%s: ended before instruction %u\n", who, p.at);
    }
}

G_NORETURN static void differ(const TCGCPU *c, const TCGVerify *v, Place at)
{
    const State *e = &v->expected, *a = &v->actual;

    fprintf(stderr, "x-verify: cpu %u: block at %016" PRIx64 ", from instruction %u, is not what "
            "the interpreter does:\n", c->index, v->before.regs[R_PAGE] + v->b->ops[0].off,
            v->first);
    print_ops(c, v);
    print_place("interpreted", v->end);
    print_place("translated", at);
    for (unsigned g = 0; g < 16; g++) {
        fprintf(stderr, "%3s: before %016" PRIx64 ", interpreted %016" PRIx64 ", translated %016"
                PRIx64 "%s\n", register_names[g], v->before.regs[g], e->regs[g], a->regs[g],
                e->regs[g] != a->regs[g] ? "  <-" : "");
    }
    fprintf(stderr, "flags: before %03x, interpreted %03x, translated %03x, undefined %03x; "
            "MXCSR %04x, %04x\n", v->before.flags, e->flags, a->flags, v->undefined, e->csr,
            a->csr);
    print_vectors("XMM", e->xmm, a->xmm);
    print_vectors("upper half of YMM", e->ymmh, a->ymmh);
    print_memory(v);
    abort();
}

/* Where translated code comes back ----------------------------------------- */

/* The translated code is there. */
static void reached(TCGCPU *c, TCGVerify *v, Place at)
{
    if (!v->active) {
        return;
    }
    v->active = false;
    let_nobody_write(c, v);
    take(c, v, &v->actual);
    if (agree(v, at)) {
        return;
    }
    /* It may have stopped earlier, for good reasons; or a device has changed what was read. */
    take_back(c, v);
    interpret(c, v, at.at);
    if (!agree(v, at)) {
        differ(c, v, at);
    }
    give(c, &v->actual);
}

/* It did not find an address in the TLB: one that op accesses? */
static void check_missed(TCGCPU *c, const X86Op *op)
{
    uint64_t missed = c->jit_missed, sp = c->regs[R_ESP];

    if (missed == JIT_NOWHERE ||
        ((op->flags & OF_MEM) && missed == ea(c, op)) ||
        missed == sp - 8 || missed == sp || missed == c->regs[R_EBP]) {
        return;
    }
    fprintf(stderr, "x-verify: cpu %u: translated code of the instruction at %016" PRIx64
            " (%s) asks for the address %016" PRIx64 "\n", c->index,
            c->regs[R_PAGE] + op->off, tcg_jit_template(c->tcg->jit, op->fn)->name, missed);
    abort();
}

void tcg_verify_call(TCGCPU *c, const X86Op *op)
{
    TCGVerify *v = c->verify;

    check_missed(c, op);
    reached(c, v, (Place) { .at = (op - v->pairs) / 2 });
}

void tcg_verify_return(TCGCPU *c, const X86Op *op)
{
    begin(c, c->verify, (op - c->verify->pairs) / 2 + 1);
}

const X86Op *tcg_verify_block(TCGCPU *c, const X86Op *op)
{
    TCGVerify *v = c->verify;
    TCGBlock *b = jit_block_of(op);
    const X86Op *next;
    Place at = { .at = OUTSIDE };
    bool first;

    v->b = b;
    v->pairs = b->pairs;
    begin(c, v, 0);
    next = ((OpFn *)c->tcg->jit->enter)(c, op);
    /* An odd address: the first op is left to the interpreter. */
    first = (uintptr_t)next & 1;
    next = (const X86Op *)((uintptr_t)next & ~(uintptr_t)1);
    at.eip = next ? c->regs[R_PAGE] + next->off : c->eip;
    if (first || (next > b->ops && next < b->ops + b->nr_ops - 1)) {
        at.at = next - b->ops;
        check_missed(c, &v->pairs[2 * at.at]);
    } else if (next && next != b->ops + b->nr_ops - 1 &&
               jit_block_of(next)->ignores_flags) {
        at.unseen = CC_ALL;
    }
    reached(c, v, at);
    if (first) {
        TAIL b->first(c, op);
    }
    return next;
}

void tcg_verify_describe(const Template *tm, const X86Op *op, X86Op *stop)
{
    unsigned undefined = 0;

    if (tm->emit == jit_shift_imm || tm->emit == jit_shift_cl) {
        bool one = tm->emit == jit_shift_imm && (op->imm & (op->size == 3 ? 63 : 31)) == 1;

        undefined = (one ? 0 : CC_O) | (op->id >= 4 ? CC_A : 0) |
                    (!one && op->size < 2 && op->id >= 4 ? CC_C : 0);
    } else if (tm->emit == jit_shld) {
        undefined = op->size == 1 ? CC_ALL : CC_O | CC_A;
    } else if (tm->emit == jit_bt) {
        undefined = CC_O | CC_S | CC_A | CC_P;
    } else if (tm->emit == jit_bitscan) {
        undefined = CC_ALL & ~CC_Z;
    } else if (tm->emit == jit_mul || tm->emit == jit_imul || tm->emit == jit_imul_imm) {
        undefined = CC_S | CC_Z | CC_A | CC_P;
    }
    stop->reg = tm->emit != NULL;
    stop->off = tm->writes;
    stop->imm = undefined;
}

void tcg_jit_verify(TCGCPU *c)
{
    c->verify = g_aligned_alloc0(1, sizeof(*c->verify), 64);
    c->on_access = accessed;
}
