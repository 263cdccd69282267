/*
 * What opcode maps are written with. Their rows have numbers instead of pointers, which every start
 * of the program would have to pay for, whether or not it decodes anything.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef TARGET_I386_TCG_MAPS_H
#define TARGET_I386_TCG_MAPS_H

#include "target/i386/tcg/decode/optabs.h"
#include "target/i386/tcg/ops/sse.h"

/* OpDesc.h: of functions, or of tables (D_TAB) or groups (D_GRP); 0 is #UD. */
#define OP_FN(name) H_##name,
#define OP_TAB(name)
#define OP_GROUP(name)
enum {
    H_NULL,
#include "target/i386/tcg/decode/op-list.h"
    H_SSE                       /* and behind it, by SSE_ID() */
};
#undef OP_FN
#undef OP_TAB
#define OP_FN(name)
#define OP_TAB(name) H_##name,
enum {
    H_NO_TAB,
#include "target/i386/tcg/decode/op-list.h"
};
#undef OP_TAB
#undef OP_GROUP
#define OP_TAB(name)
#define OP_GROUP(name) H_##name,
enum {
    H_NO_GROUP,
#include "target/i386/tcg/decode/op-list.h"
};
#undef OP_GROUP
#define OP_GROUP(name) extern const OpDesc x86_##name[8];
#include "target/i386/tcg/decode/op-list.h"
#undef OP_FN
#undef OP_TAB
#undef OP_GROUP

/* A function, with an id; a table; rows by ModRM.reg; a row of sse-list.h. */
#define F(f_, a_)       { a_, H_##f_, 0 }
#define FI(f_, a_, i_)  { a_, H_##f_, i_ }
#define T(t_, a_)       { (a_) | D_TAB, H_##t_, 0 }
#define TI(t_, a_, i_)  { (a_) | D_TAB, H_##t_, i_ }
#define G(g_, a_)       { (a_) | D_GRP | D_MODRM, H_##g_, 0 }
#define SSE(map, pfx, op, a_) \
    { a_, H_SSE + SSE_ID(map, pfx, op), SSE_ID(map, pfx, op) }

/* By those numbers. */
extern OpFn *const x86_functions[];
extern OpFn *const *const x86_tables[];
extern const OpDesc *const x86_groups[];

#endif
