/*
 * The functions, tables and groups that the opcode maps name, by number.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "target/i386/tcg/decode/maps.h"
#include "target/i386/tcg/ops/crypto.h"
#include "target/i386/tcg/ops/vec.h"
#include "target/i386/tcg/ops/vex.h"

#define OP_FN(name) name,
#define OP_TAB(name)
#define OP_GROUP(name)
#define V0F(op, pfx, name, bytes, attr) SSE_OP(0, pfx, op),
#define V38(op, pfx, name, bytes, attr) SSE_OP(1, pfx, op),
#define V3A(op, pfx, name, bytes, attr) SSE_OP(2, pfx, op),
#define W0F(op, name, bytes, how) SSE_OP(0, 1, op),
#define W38(op, name, bytes, how) SSE_OP(1, 1, op),
OpFn *const x86_functions[] = {
    NULL,
#include "target/i386/tcg/decode/op-list.h"
#include "target/i386/tcg/decode/sse-list.h"
};
#undef OP_FN
#undef OP_TAB

#define OP_FN(name)
#define OP_TAB(name) name,
OpFn *const *const x86_tables[] = {
    NULL,
#include "target/i386/tcg/decode/op-list.h"
};
#undef OP_TAB
#undef OP_GROUP

#define OP_TAB(name)
#define OP_GROUP(name) x86_##name,
const OpDesc *const x86_groups[] = {
    NULL,
#include "target/i386/tcg/decode/op-list.h"
};
