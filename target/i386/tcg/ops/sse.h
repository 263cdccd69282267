/*
 * Functions that compute vector instructions on the host's own vector unit.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef TARGET_I386_TCG_SSE_H
#define TARGET_I386_TCG_SSE_H

#include "target/i386/cpu.h"
#include "target/i386/tcg/decode/insn.h"

enum { V_IB = 1, V_FP = 2, V_MEM = 4 };
/* How an XMM function does the MMX form: see op_mmx(). */
enum { MMX_LOW, MMX_PACK, MMX_HIGH, MMX_SHUF };

/* imm: the immediate; without one, bits of SSE_*. s may be d. */
typedef void SSEFn(XMMReg *d, const XMMReg *s, unsigned imm);
enum { SSE_MEM = 1, SSE_W = 2 };    /* the source is memory; VEX.W */

typedef struct SSEDesc {
    SSEFn *fn;
    uint8_t bytes, attr, mmx;
} SSEDesc;

#define V0F(op, pfx, name, bytes, attr) SSEFn sse_##name;
#define V38 V0F
#define V3A V0F
#define W0F(op, name, bytes, how) SSEFn sse_##name;
#define W38 W0F
#include "target/i386/tcg/decode/sse-list.h"
#undef V0F
#undef V38
#undef V3A
#undef W0F
#undef W38

#define VL(map, pfx, op, name, bytes, rules) SSEFn sse_##name;
#include "target/i386/tcg/decode/vex-list.h"
#undef VL

/* Numbers of the rows, without gaps; map, prefix and opcode make the names. */
#define SSE_ID(map, pfx, op) SSE_##map##_##pfx##_##op
#define V0F(op, pfx, name, bytes, attr) SSE_ID(0, pfx, op),
#define V38(op, pfx, name, bytes, attr) SSE_ID(1, pfx, op),
#define V3A(op, pfx, name, bytes, attr) SSE_ID(2, pfx, op),
#define W0F(op, name, bytes, how) SSE_ID(0, 1, op),
#define W38(op, name, bytes, how) SSE_ID(1, 1, op),
enum {
#include "target/i386/tcg/decode/sse-list.h"
    SSE_COUNT
};
#undef V0F
#undef V38
#undef V3A
#undef W0F
#undef W38

/* And of their functions. */
#define SSE_OP(map, pfx, op) op_sse_##map##_##pfx##_##op
#define V0F(op, pfx, name, bytes, attr) OpFn SSE_OP(0, pfx, op);
#define V38(op, pfx, name, bytes, attr) OpFn SSE_OP(1, pfx, op);
#define V3A(op, pfx, name, bytes, attr) OpFn SSE_OP(2, pfx, op);
#define W0F(op, name, bytes, how) OpFn SSE_OP(0, 1, op);
#define W38(op, name, bytes, how) OpFn SSE_OP(1, 1, op);
#include "target/i386/tcg/decode/sse-list.h"
#undef V0F
#undef V38
#undef V3A
#undef W0F
#undef W38

#endif
