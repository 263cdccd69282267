/*
 * What the files of the translator share: the plan of registers, rows, what all blocks use.
 *
 * Twelve of the guest's registers live in the host's, the others in c, into which R15 points. RAX
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
#define JIT_SIZES 6             /* of accesses: 1 to 32 bytes */

#define JIT_NOWHERE 0x8000000000000001ull   /* in c->jit_missed: no address */

/*
 * R15 points into c, to where displacements of eight bits reach what code names most: from
 * regs[12] on, which have no register of the host, to the first of slots[].
 */
#define H_C H_R15
#define C_BIAS ((int32_t)offsetof(TCGCPU, regs) + 12 * 8 + 128)
#define C_AT(offset) MEM(H_C, (int32_t)(offset) - C_BIAS)
#define T0 H_RAX
#define T2 H_R14
#define CPU_FIELD(field) C_AT(offsetof(TCGCPU, field))
#define CPU_REG(g) C_AT((int32_t)offsetof(TCGCPU, regs) + 8 * (int)(g))
/* From a block's first op. */
#define OF_BLOCK(field) \
    ((int32_t)offsetof(TCGBlock, field) - (int32_t)offsetof(TCGBlock, ops))

typedef struct Tr Tr;

/* How to translate what a function of the interpreter does. */
typedef struct Template {
    const char *name;           /* of fn, or of the table that has it */
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
    /*
     * First what blocks execute one after the other, close together, as a large program's code is
     * slow mostly for want of the host's caches; from apart on what they rarely need; at the end,
     * from pairs on, what the interpreter does of them. fixed: the common code at the beginning.
     */
    size_t size, apart, used, used_apart, pairs, fixed;
    unsigned threshold;
    bool full, verify;
    int perf_map;               /* jit.h */
    const uint8_t *enter, *leave, *leave_first, *leave_eip, *run_op;
    const uint8_t *get_flags, *zero_upper, *find_target;
    const uint8_t *look_up[2][JIT_SIZES];   /* for reading, writing; by log2 of the size */
    Template *hash;             /* JIT_HASH of them, by fn */
    struct {
        uint64_t blocks, ops, called, refused, forgotten;
        uint64_t guest_bytes, code_bytes, killed;
    } stats;
};

/* The size of operands (log2) from which on a template is for them. */
static inline unsigned jit_smallest(const Template *t)
{
    return t->attr & TA_64 ? 3 : t->attr & TA_WIDE ? 2 : t->attr & TA_WORD ? 1 : 0;
}

static inline TCGBlock *jit_block_of(const X86Op *first)
{
    return (TCGBlock *)((char *)first - offsetof(TCGBlock, ops));
}

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

/* code.c: what needs no system calls is made when the first block is; with the lock. */
void tcg_jit_prepare(TCGJit *jit);
bool jit_has_room(const TCGJit *jit);       /* for a block that is as long as any */

/* common.c: the code that all blocks share --------------------------------- */
void tcg_jit_emit_common(TCGJit *jit);
/* jump-cache.c: called with T0, an address: Z, and the op there to T0; T2 and flags change. */
void jit_emit_find_target(Emit *e);

/* rows.c ------------------------------------------------------------------- */
void tcg_jit_fill_hash(TCGJit *jit);
const Template *tcg_jit_template(const TCGJit *jit, OpFn *fn);

/* report.c: the block is translated; the common code is there. */
void tcg_jit_report(const Tr *t);
void tcg_jit_report_common(const TCGJit *jit);

/* Called by translated code ------------------------------------------------ */
OpFn tcg_jit_op_stop;

#endif
