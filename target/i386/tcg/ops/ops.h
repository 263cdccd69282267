/*
 * What the files with instructions share: registers by width, going on to the
 * next op, leaving a block, and the tables the decoder takes functions from.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef TARGET_I386_TCG_OPS_H
#define TARGET_I386_TCG_OPS_H

#include "target/i386/tcg/ops/flags.h"
#include "target/i386/tcg/mem/mem.h"
#include "target/i386/tcg/decode/optabs.h"

/*
 * GO ends a function of type OpFn by going on with op_, TAIL with another function for
 * the same op. Where meson.build sets TCG_TAIL_CALLS both are jumps: the compiler must make
 * them (musttail), or scripts/check-tail-calls finds in the objects that it did. In other
 * builds GO returns to the loop in exec.c. Either way the stack is no deeper after any
 * number of instructions, provided that nothing but functions of type OpFn goes on: what
 * needs the address of a local, or other parameters, is a function that comes back.
 */
#if TCG_TAIL_CALLS && defined(__has_attribute)
#if __has_attribute(musttail)
#define TAIL __attribute__((musttail)) return
#endif
#endif
#ifndef TAIL
#define TAIL return
#endif
#if TCG_TAIL_CALLS
#define GO(op_) TAIL (op_)->fn(c, (op_))
#else
#define GO(op_) return (op_)
#endif
#define NEXT GO(op + 1)

#define OP(name) const X86Op *name(TCGCPU *c, const X86Op *op); \
                 const X86Op *name(TCGCPU *c, const X86Op *op)
#define SOP(name) static const X86Op *name(TCGCPU *c, const X86Op *op)

#define RB8(i)      (((uint8_t *)c->regs)[i])
#define RGET8       RB8
#define RGET16(i)   ((uint16_t)c->regs[i])
#define RGET32(i)   ((uint32_t)c->regs[i])
#define RGET64(i)   (c->regs[i])
#define RSET8(i, v)  (RB8(i) = (uint8_t)(v))
#define RSET16(i, val_) (((un16 *)&c->regs[i])->v = (uint16_t)(val_))
#define RSET32(i, v) (c->regs[i] = (uint32_t)(v))
#define RSET64(i, v) (c->regs[i] = (v))

#define SET_LOGIC(N, r) do { \
        c->lf_res = (int##N##_t)(r); \
        c->lf_aux = 0; \
    } while (0)
#define SET_ADD(N, a, b, r) do { \
        uint64_t a_ = (a), b_ = (b), r_ = (r), v_; \
        v_ = (a_ & b_) | ((a_ | b_) & ~r_); \
        c->lf_res = (int##N##_t)r_; \
        c->lf_aux = ((v_ << (64 - N)) & AUX_TOP) | (v_ & 8); \
    } while (0)
#define SET_SUB(N, a, b, r) do { \
        uint64_t a_ = (a), b_ = (b), r_ = (r), v_; \
        v_ = (~a_ & b_) | (~(a_ ^ b_) & r_); \
        c->lf_res = (int##N##_t)r_; \
        c->lf_aux = ((v_ << (64 - N)) & AUX_TOP) | (v_ & 8); \
    } while (0)

/* Register by size at run time, for what is not worth a function per size. */
static inline uint64_t reg_get(TCGCPU *c, unsigned i, unsigned size)
{
    switch (size) {
    case 0: return RGET8(i);
    case 1: return RGET16(i);
    case 2: return RGET32(i);
    default: return RGET64(i);
    }
}

static inline void reg_set(TCGCPU *c, unsigned i, uint64_t v, unsigned size)
{
    switch (size) {
    case 0: RSET8(i, v); break;
    case 1: RSET16(i, v); break;
    case 2: RSET32(i, v); break;
    default: RSET64(i, v); break;
    }
}

static inline uint64_t rm_get(TCGCPU *c, const X86Op *op, unsigned size)
{
    if (op->flags & OF_MEM) {
        return ld_size(c, op, ea(c, op), size);
    }
    return reg_get(c, op->rm, size);
}

static inline void rm_set(TCGCPU *c, const X86Op *op, uint64_t v, unsigned size)
{
    if (op->flags & OF_MEM) {
        st_size(c, op, ea(c, op), v, size);
    } else {
        reg_set(c, op->rm, v, size);
    }
}

static inline int64_t sext(uint64_t v, unsigned size)
{
    return (int64_t)(v << (64 - (8u << size))) >> (64 - (8u << size));
}

static inline uint64_t size_mask(unsigned size)
{
    return ~(uint64_t)0 >> (64 - (8u << size));
}

/* RIP after op. */
static inline uint64_t next_eip(const TCGCPU *c, const X86Op *op)
{
    uint64_t v = c->regs[R_PAGE] + op->off + op->len;

    return op->flags & OF_C64 ? v : (uint32_t)v;
}

/* Leave the block for eip, or for what follows op, by way of the loop. */
#define EXIT_TO(eip_) do { c->eip = (eip_); return NULL; } while (0)
#define EXIT_NEXT EXIT_TO(next_eip(c, op))

/* #NM, #UD as CR0 and CR4 want it before SSE and x87 instructions. */
void tcg_sse_unavailable(TCGCPU *c, const X86Op *op);
void tcg_fpu_unavailable(TCGCPU *c, const X86Op *op);

/* Look a near target in whatever page up in the jump cache; false: by way of the loop. */
static inline bool jump_find(TCGCPU *c, uint64_t eip, const X86Op **target)
{
    uint64_t lin = eip + c->segs[R_CS].base;
    JumpEntry *e = &c->jc[jump_hash(lin)];

    if (unlikely(atomic_load_explicit(&c->poll, memory_order_relaxed)) ||
        e->lin != lin || e->tag != code_tag(c, lin)) {
        return false;
    }
    c->regs[R_PAGE] = eip - (lin & 0xfff);
    *target = e->op;
    return true;
}

/* Go on at a near target in whatever page. */
#define JUMP_TO(eip_) do { \
        const X86Op *target_; \
        uint64_t to_ = (eip_); \
        if (!jump_find(c, to_, &target_)) { \
            c->eip = to_; \
            return NULL; \
        } \
        GO(target_); \
    } while (0)

/*
 * RET to what was not found, with RSP moved already: leaves the block, or raises #GP of
 * the RET itself if eip is no address.
 */
SLOW_PATH const X86Op *tcg_ret_missed(TCGCPU *c, const X86Op *op, uint64_t eip);

/* A taken direct branch without a usable link: make it, or look it up. */
OpFn tcg_branch_slow;
/* The direct branch op_ is taken. */
#define TAKE_BRANCH(op_) do { \
        const X86Op *from_ = (op_); \
        const X86Op *to_ = __atomic_load_n(&from_->link, __ATOMIC_ACQUIRE); \
        if (likely(to_) && \
            likely(!atomic_load_explicit(&c->poll, memory_order_relaxed))) { \
            GO(to_); \
        } \
        TAIL tcg_branch_slow(c, from_); \
    } while (0)

/* IF has become 1: take what waited. True: leave the block. */
static inline bool irq_window(TCGCPU *c)
{
    unsigned poll = atomic_load_explicit(&c->poll, memory_order_relaxed);

    if ((c->eflags & IF_MASK) && (c->irq_waiting || (poll & POLL_IRQ))) {
        atomic_fetch_or(&c->poll, POLL_IRQ);
        return true;
    }
    return false;
}

#endif
