/*
 * A block under translation, and what templates are made with.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef TARGET_I386_TCG_JIT_TRANSLATE_H
#define TARGET_I386_TCG_JIT_TRANSLATE_H

#include "target/i386/tcg/jit/jit-int.h"

#define NO_SLOT 0xff            /* Stub.slot: there is nothing to look up any more */

/* Code behind the block's: where a fast path goes when it does not apply. */
typedef struct Stub {
    enum { STUB_LOOK_UP, STUB_CALL, STUB_TAKEN, STUB_AT, STUB_EIP, STUB_TMP, STUB_POLL,
           STUB_AROUND, STUB_STACK } kind;
    uint8_t *from, *back;       /* the jump to it; where the next op begins */
    uint8_t *found;             /* STUB_LOOK_UP: where it goes on with the host's address */
    HostMem address;            /* STUB_LOOK_UP: the guest's; T0: there, and wanted there */
    bool find;                  /* first jit_find_again(), with address's address */
    uint8_t i;                  /* the op */
    uint8_t size, slot;         /* STUB_LOOK_UP: log2, c->slots[] */
    bool write, aligned;        /* STUB_LOOK_UP: aligned to size, or #GP */
    uint16_t dirty, valid;      /* XMM registers to store; to load before going on */
    int8_t keep;                /* STUB_TAKEN: that op, where flags are native, too */
    int8_t again;               /* the flags are to be made again by this op; -1: they are there */
    bool native;                /* flags are in the host's: at from, or wanted at back */
} Stub;

/*
 * What is known between two instructions, but for "native", of Tr. Where the flags are: in the
 * host's (native), in c (both: in either place), or nowhere: then op again's operands are still
 * there, or its result and one of them, to make them from.
 */
typedef struct JitState {
    bool saved;
    int again;                  /* -1: none such */
    uint16_t vec_valid, vec_dirty;  /* XMM registers: c's value is loaded; a newer one */
    bool vec_checked;           /* SSE can be used */
    unsigned vex_checked;       /* needs (VEX_*) that can be met */
} JitState;

/* A block that branches back to its beginning: loop.c. */
typedef struct JitLoop {
    unsigned first, branch;     /* the first op that does, and the last; n: none */
    bool differ;                /* where flags are at the branches */
    unsigned join;              /* before it beginning and iterations have code of their own */
    unsigned poll;              /* before it the poll word is looked at */
    bool native, save;          /* at top flags are in the host's; are to be saved before */
    JitState state;             /* at top */
    uint8_t *top;               /* NULL: not yet, or no such block */
} JitLoop;

/* Accesses to the stack that need not look where it is: stack.c. */
typedef struct JitStack {
    uint32_t ops;               /* bit i: op i's */
    unsigned end;               /* no such op behind this one */
    int low, high;              /* they lie between these distances from RSP at the beginning */
    bool write;
    uint8_t *out[2];            /* jumps to the translation where all look for themselves */
} JitStack;

/* A block under translation. */
struct Tr {
    Emit e;
    TCGCPU *c;
    TCGJit *jit;
    TCGBlock *b;
    const X86Op *ops;           /* as decoded, with the interpreter's general functions */
    unsigned n, i;              /* of instructions; the one under translation */
    const Template *templates[TCG_BLOCK_OPS];
    const uint8_t *from, *end;  /* the code of the block's instructions */
    Emit apart;                 /* where e goes on with what follows */
    const uint8_t *out_of_line; /* there: the stubs' code, a second translation; NULL: not yet */
    uint16_t live[TCG_BLOCK_OPS];   /* flags that may be seen after the op */
    bool native;                /* the flags are in the host's */
    bool spoiled;               /* once op i is done, they cannot be made again: nobody will */
    JitState now;
    X86Op *pairs;               /* for STUB_CALL: op and what returns */
    JitLoop loop;
    JitStack stack;
    Stub stubs[8 * TCG_BLOCK_OPS];
    unsigned nr_stubs;
};

/* The linear address of op i, for the CPU that has the block translated. */
static inline uint64_t jit_guest_address(const Tr *t, unsigned i)
{
    return t->c->regs[R_PAGE] + t->ops[i].off;
}

static inline void jit_link(Tr *t, uint8_t *at, const uint8_t *executable)
{
    emit_link(&t->e, at, t->jit->writable + (executable - t->jit->executable));
}

/* translate.c -------------------------------------------------------------- */
/* The guest's value of a register: where it is, or in tmp. */
unsigned jit_get(Tr *t, unsigned g, unsigned tmp);
/* Where to put a value of that size that jit_put() takes: old parts that stay are there. */
unsigned jit_dest(Tr *t, unsigned g, unsigned size, unsigned tmp);
/* It has been changed in reg, which jit_get() or jit_dest() gave. */
void jit_put(Tr *t, unsigned g, unsigned reg);
/* Will flags from before this op, which writes some, be read by it or after it? */
bool jit_wants_flags(const Tr *t);
/* Then they have to be in the host's. Changes T0 and T2. */
void jit_need_flags(Tr *t);
void jit_fetch_flags(Tr *t);            /* from c, where they have been saved; changes only T0 */
/*
 * The host's flags are about to be changed by what is no instruction of the guest's; or by what
 * leaves the block, or calls: then c has to have them. Both change T0 and T2.
 */
void jit_clobber_flags(Tr *t);
void jit_settle_flags(Tr *t);
/* The guest's have been, by this op. */
void jit_wrote_flags(Tr *t);
/* What a jump leads to, behind the block's code: of this op. native: flags are to be saved. */
Stub *jit_stub(Tr *t, int kind, uint8_t *from, bool native);
/*
 * Before going to the target of direct branch op: flags are saved, or that is code which ignores
 * them, and if the poll word is looked at before, they can be made again.
 */
void jit_part_with_flags(Tr *t, const X86Op *op);
/*
 * Go to the target of a direct branch, or else out as kind says. Flags: as above. Within
 * the page only backward jumps look whether to stop.
 */
void jit_go_direct(Tr *t, unsigned i, int out);
void jit_enter_block(Tr *t);            /* go on with the op in T0 */
void jit_leave_with(Tr *t, const X86Op *op);            /* to that op, with all in c */
void jit_branch_target(Tr *t, const X86Op *op);         /* where the branch goes, to T0 */
/* Ops from to to - 1; true: the last of them ends the block. */
bool jit_emit_ops(Tr *t, unsigned from, unsigned to);

/* stubs.c ------------------------------------------------------------------ */
/* The interpreter does op i; flags are in c, and XMM registers. */
void jit_call_op(Tr *t, unsigned i);
/* May make more of them. */
void jit_emit_stub(Tr *t, const Stub *s);

/* flags.c ------------------------------------------------------------------ */
/* What the ops leave to be seen: t->live[]. Returns what is seen of flags before the first. */
unsigned jit_find_live_flags(Tr *t);
/* Op i is about to be translated; has been. Do the operands that flags are made of outlive it? */
void jit_flags_begin_op(Tr *t);
void jit_flags_end_op(Tr *t);
/* Can the flags that op i makes, all of them, be made from what it leaves? */
bool jit_can_again(const Tr *t, unsigned i);
/* In a stub: flags into c, where they came from native ones, or by op again. */
void jit_save_flags(Tr *t);
void jit_make_flags(Tr *t, int again);

/* vector.c ----------------------------------------------------------------- */
void jit_settle_vec(Tr *t);             /* all that has been changed into c */
/* These registers: bit n, XMMn. */
void jit_load_vec(Tr *t, unsigned which);
void jit_store_vec(Tr *t, unsigned which);
/* Can SSE be used, what VEX needs (VEX_*)? Otherwise op i is the interpreter's. */
void jit_begin_vec(Tr *t, bool sse, unsigned vex);

/* loop.c ------------------------------------------------------------------- */
/* Is the block one? Then, having been translated up to t->loop.branch: note how things are. */
bool jit_loop_find(Tr *t);
void jit_loop_tried(Tr *t);
/* The second time: to where both ways in have met, which is before op t->loop.join. */
void jit_loop_begin(Tr *t);
void jit_loop_poll(Tr *t);
/* Go back on that condition, if op i is the branch and things are as at top. Flags are native. */
bool jit_loop_branch(Tr *t, unsigned cc);
void jit_loop_around(Tr *t);            /* STUB_AROUND */

/* memory.c ----------------------------------------------------------------- */
/* A word at disp from where a register of the guest's points to: made of T0. Changes T2, flags. */
HostMem jit_word(Tr *t, unsigned g, int disp, bool write);
/* All of that for op's memory operand; flags: these are wanted. Made of T0, or T2, and others. */
HostMem jit_operand(Tr *t, const X86Op *op, unsigned size, bool write, bool flags);

/* stack.c ------------------------------------------------------------------ */
/* Are there some? After jit_loop_find(). */
bool jit_stack_find(Tr *t);
/* The block's first code; and STUB_STACK. */
void jit_stack_enter(Tr *t);
void jit_stack_look_up(Tr *t, const Stub *s);
void jit_stack_other(Tr *t);            /* what follows is the other translation */
/* Is op i's access one? Then the host's address of RSP and disp; changes T0, and no flags. */
bool jit_stack_has(const Tr *t, unsigned i);
HostMem jit_stack_address(Tr *t, int disp);
/* Behind a call of the interpreter for op i: the jump for when it took the page away; or NULL. */
uint8_t *jit_stack_lost(Tr *t, unsigned i);

#endif
