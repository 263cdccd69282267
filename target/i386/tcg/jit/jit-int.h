/*
 * What the files of the translator share: the plan of registers, the state of a translation.
 *
 * Twelve of the guest's registers live in the host's, the others in c, to which R15 points. RAX
 * and R14 are scratch. The guest's flags are in the host's between instructions, or as LAHF and
 * SETO have stored them in c->jit_flags, or (0 there) in c->lf_*.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef TARGET_I386_TCG_JIT_INT_H
#define TARGET_I386_TCG_JIT_INT_H

#include <stddef.h>

#include "target/i386/tcg/block-decode.h"
#include "target/i386/tcg/jit/emit.h"
#include "target/i386/tcg/jit/jit.h"
#include "target/i386/tcg/ops/ops.h"

#define JIT_HASH 2048u
#define JIT_SIZES 5             /* of accesses: 1 to 16 bytes */

#define H_C H_R15               /* c */
#define T0 H_RAX
#define T2 H_R14
#define CPU_FIELD(field) MEM(H_C, (int32_t)offsetof(TCGCPU, field))
#define CPU_REG(g) MEM(H_C, (int32_t)offsetof(TCGCPU, regs) + 8 * (int)(g))
/* From a block's first op. */
#define OF_BLOCK(field) \
    ((int32_t)offsetof(TCGBlock, field) - (int32_t)offsetof(TCGBlock, ops))

typedef struct Tr Tr;

/* How to translate what a function of the interpreter does. */
typedef struct Template {
    OpFn *fn;
    void (*emit)(Tr *t, const X86Op *op);   /* NULL: by calling fn */
    uint32_t arg;
    uint16_t reads, writes;     /* flags: CC_* */
    uint16_t attr;
    enum { DST_ANY, DST_NONE, DST_REG, DST_RM } dst;    /* which register it writes */
    uint8_t size;               /* TA_VEC: log2 of an operand in memory */
} Template;
enum {
    TA_FAULT = 1 << 0,          /* may fault; as every OF_MEM may */
    TA_BRANCH = 1 << 1,         /* may leave the block */
    TA_END = 1 << 2,            /* always leaves it */
    TA_RMBYTE = 1 << 3,         /* rm is a byte register */
    TA_WORD = 1 << 4,           /* not for bytes */
    TA_WIDE = 1 << 5,           /* nor for 16 bits */
    TA_64 = 1 << 6,             /* only for 64 */
    TA_SHIFT = 1 << 7,          /* by an immediate that must not be 0 */
    TA_VEC = 1 << 8,            /* reg and rm are XMM registers */
    TA_FLAT = 1 << 9,           /* no segment, no 32-bit address */
    TA_REGONLY = 1 << 10,       /* no memory operand */
    TA_GROUP = 1 << 11,         /* ModRM.reg belongs to the opcode */
    TA_IMM8 = 1 << 12,          /* TA_VEC: there is an immediate */
    TA_HIGH = 1 << 13,          /* rm may be AH, CH, DH, BH */
};

struct TCGJit {
    uint8_t *writable, *executable;
    size_t size, used, fixed;   /* fixed: the common code at the beginning */
    unsigned threshold;
    bool full;
    const uint8_t *enter, *leave, *leave_first, *leave_eip, *run_op, *get_flags;
    const uint8_t *look_up[2][JIT_SIZES];   /* for reading, writing; by log2 of the size */
    Template hash[JIT_HASH];    /* by fn */
    struct {
        uint64_t blocks, ops, called, refused, forgotten;
    } stats;
};

/* Code behind the block's: where a fast path goes when it does not apply. */
typedef struct Stub {
    enum { STUB_LOOK_UP, STUB_CALL, STUB_TAKEN, STUB_AT, STUB_EIP, STUB_TMP } kind;
    uint8_t *from, *back;       /* the jump to it; where the next op begins */
    uint8_t *found;             /* STUB_LOOK_UP: where it goes on with the host's address */
    uint8_t i;                  /* the op */
    uint8_t size, slot;         /* STUB_LOOK_UP: log2, c->slots[] */
    bool write, aligned;        /* STUB_LOOK_UP: aligned to size, or #GP */
    uint16_t dirty, valid;      /* XMM registers to store; to load before going on */
    int8_t keep;                /* STUB_TAKEN: that op, where flags are native, too */
    int8_t again;               /* the flags are to be made again by this op; -1: they are there */
    bool native;                /* flags are in the host's: at from, or wanted at back */
} Stub;

/* A block under translation. */
struct Tr {
    Emit e;
    TCGCPU *c;
    TCGJit *jit;
    TCGBlock *b;
    const X86Op *ops;           /* as decoded, with the interpreter's general functions */
    unsigned n, i;              /* of instructions; the one under translation */
    const Template *templates[TCG_BLOCK_OPS];
    uint16_t live[TCG_BLOCK_OPS];   /* flags that may be seen after the op */
    /*
     * Where the flags are: in the host's, in c (both: in either place), or nowhere: then op
     * again's operands are still there, or its result and one of them, to make them from.
     */
    bool native, saved;
    int again;                  /* -1: none such */
    uint16_t vec_valid, vec_dirty;  /* XMM registers: c's value is loaded; a newer one */
    bool vec_checked;           /* SSE can be used */
    X86Op *pairs;               /* for STUB_CALL: op and what returns */
    Stub stubs[6 * TCG_BLOCK_OPS];
    unsigned nr_stubs;
};

static inline bool jit_mapped(unsigned g)
{
    return g < 12;
}

/* The host's register for one of the guest's. */
static inline unsigned jit_host(unsigned g)
{
    static const uint8_t host[12] = {
        H_RBP, H_RCX, H_RDX, H_RBX, H_R12, H_R13, H_RSI, H_RDI, H_R8, H_R9, H_R10, H_R11,
    };

    return host[g];
}

static inline const uint8_t *jit_executable(const TCGJit *jit, const uint8_t *writable)
{
    return jit->executable + (writable - jit->writable);
}

static inline void jit_link(Tr *t, uint8_t *at, const uint8_t *executable)
{
    emit_link(&t->e, at, t->jit->writable + (executable - t->jit->executable));
}

/* common.c: the code that all blocks share --------------------------------- */
bool tcg_jit_emit_common(TCGJit *jit);

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
/*
 * The host's address of 1 << size bytes at the guest's linear address in T0, to T0: by the slot,
 * or the TLB; if that does not know it, the interpreter does the op, so nothing of it may have
 * happened yet. Changes T2 and the host's flags. base: the register that T0 was made of.
 */
void jit_translate(Tr *t, unsigned base, unsigned size, bool write);
/* All of that for op's memory operand; flags: these are wanted. Where the address is: T0, T2. */
unsigned jit_operand(Tr *t, const X86Op *op, unsigned size, bool write, bool flags);
/* What a jump leads to, behind the block's code: of this op. native: flags are to be saved. */
Stub *jit_stub(Tr *t, int kind, uint8_t *from, bool native);
/*
 * Go to the target of a direct branch, or else out as kind says. Flags have been saved. Within
 * the page only backward jumps look whether to stop.
 */
void jit_go_direct(Tr *t, unsigned i, int out);
/* The op at the linear address in T0, by the jump cache, to T0. Else out: nothing has changed. */
void jit_find_target(Tr *t, int out);
void jit_enter_block(Tr *t);            /* go on with the op in T0 */

/* flags.c ------------------------------------------------------------------ */
/* What the ops leave to be seen: t->live[]. Returns what is seen of flags before the first. */
unsigned jit_find_live_flags(Tr *t);
/* Op i is about to be translated: will its operands outlive it? */
void jit_flags_begin_op(Tr *t);
/* In a stub: flags into c, where they came from native ones, or by op again. */
void jit_save_flags(Tr *t);
void jit_make_flags(Tr *t, int again);

/* vector.c ----------------------------------------------------------------- */
void jit_settle_vec(Tr *t);             /* all that has been changed into c */
/* These registers: bit n, XMMn. */
void jit_load_vec(Tr *t, unsigned which);
void jit_store_vec(Tr *t, unsigned which);

/* rows.c ------------------------------------------------------------------- */
void tcg_jit_fill_hash(TCGJit *jit);
const Template *tcg_jit_template(const TCGJit *jit, OpFn *fn);

/* Called by translated code ------------------------------------------------ */
OpFn tcg_jit_op_stop;

#endif
