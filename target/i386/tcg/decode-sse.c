/* temporary */
#include "target/i386/cpu.h"
#include "target/i386/tcg/optabs.h"
#define F(f_, a_)       { { .fn = f_ }, a_, 0 }
#define FI(f_, a_, i_)  { { .fn = f_ }, a_, i_ }
const OpDesc x86_sse0f[256][4] = { [0xb8][2] = F(op_popcnt, D_MODRM) };
const OpDesc x86_sse38[256][4];
const OpDesc x86_sse3a[256][4];
#include "target/i386/tcg/ops.h"

OP(op_x87) { return op_ud(c, op); } OP(op_fwait) { return op_ud(c, op); }
