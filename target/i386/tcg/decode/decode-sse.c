/*
 * Opcode maps of vector instructions, by mandatory prefix.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "target/i386/tcg/decode/maps.h"
#include "target/i386/tcg/ops/crypto.h"
#include "target/i386/tcg/ops/vec.h"
#include "target/i386/tcg/ops/vex.h"

#define VM  (D_MODRM | D_VEC)
#define VI  (D_MODRM | D_VEC | D_IB)
#define MM  (D_MODRM | D_MMX)

#define ATTR(at) (VM | ((at) & V_IB ? D_IB : 0) | ((at) & V_MEM ? D_MEMONLY : 0))
#define V0F(op, pfx, name, n, at)
#define V38 V0F
#define V3A V0F
#define W0F(op, name, n, how)
#define W38 W0F

#define SHIFT_ROW(op, r) \
    [r] = FI(op_vec_shift_imm, D_REGONLY | D_IB, op << 4 | r)
const OpDesc x86_grpsse_71[8] = {
    SHIFT_ROW(0x71, 2), SHIFT_ROW(0x71, 4), SHIFT_ROW(0x71, 6),
};
const OpDesc x86_grpsse_72[8] = {
    SHIFT_ROW(0x72, 2), SHIFT_ROW(0x72, 4), SHIFT_ROW(0x72, 6),
};
const OpDesc x86_grpsse_73_mmx[8] = { SHIFT_ROW(0x73, 2), SHIFT_ROW(0x73, 6) };
const OpDesc x86_grpsse_73[8] = {
    SHIFT_ROW(0x73, 2), SHIFT_ROW(0x73, 3), SHIFT_ROW(0x73, 6),
    SHIFT_ROW(0x73, 7),
};
const OpDesc x86_grpsse_ae_f3[8] = {
    FI(op_fsgsbase, D_REGONLY, 0), FI(op_fsgsbase, D_REGONLY, 2),
    FI(op_fsgsbase, D_REGONLY, 1), FI(op_fsgsbase, D_REGONLY, 3),
};

#undef V0F
#undef W0F
#undef V38
#undef V3A
#undef W38
#define V0F(op, pfx, name, n, at) \
    [op][pfx] = SSE(0, pfx, op, ATTR(at)),
#define W0F(op, name, n, how) \
    [op][1] = SSE(0, 1, op, VM), \
    [op][0] = FI(op_mmx, MM, SSE_ID(0, 1, op)),
#define V38(op, pfx, name, n, at)
#define V3A V38
#define W38(op, name, n, how)

#pragma GCC diagnostic ignored "-Woverride-init"

const OpDesc x86_sse0f[256][4] = {
#include "target/i386/tcg/decode/sse-list.h"
    [0x10] = { TI(tab_mov16_ld, VM, 0), TI(tab_mov16_ld, VM, 0),
               TI(tab_movss_ld, VM, 2), TI(tab_movsd_ld, VM, 3) },
    [0x11] = { TI(tab_mov16_st, VM, 0), TI(tab_mov16_st, VM, 0),
               FI(op_sse_store, VM, 4), FI(op_sse_store, VM, 8) },
    [0x13] = { FI(op_sse_store, VM | D_MEMONLY, 8),
               FI(op_sse_store, VM | D_MEMONLY, 8) },
    [0x17] = { FI(op_sse_store, VM | D_MEMONLY, 9),
               FI(op_sse_store, VM | D_MEMONLY, 9) },
    [0x28] = { TI(tab_mov16_ld, VM, 1), TI(tab_mov16_ld, VM, 1) },
    [0x29] = { TI(tab_mov16_st, VM, 1), TI(tab_mov16_st, VM, 1) },
    [0x2a] = { FI(op_cvt_mmx, D_MODRM | D_RMMMX, 0),
               FI(op_cvt_mmx, D_MODRM | D_RMMMX, 1),
               FI(op_cvt_gpr, D_MODRM, 0), FI(op_cvt_gpr, D_MODRM, 1) },
    [0x2b] = { FI(op_mov16_st, VM | D_MEMONLY, 1),
               FI(op_mov16_st, VM | D_MEMONLY, 1) },
    [0x2c] = { FI(op_cvt_mmx, D_MODRM | D_REGMMX, 2),
               FI(op_cvt_mmx, D_MODRM | D_REGMMX, 4),
               FI(op_cvt_gpr, D_MODRM, 4), FI(op_cvt_gpr, D_MODRM, 6) },
    [0x2d] = { FI(op_cvt_mmx, D_MODRM | D_REGMMX, 3),
               FI(op_cvt_mmx, D_MODRM | D_REGMMX, 5),
               FI(op_cvt_gpr, D_MODRM, 5), FI(op_cvt_gpr, D_MODRM, 7) },
    [0x2e] = { FI(op_comis, VM, 0), FI(op_comis, VM, 1) },
    [0x2f] = { FI(op_comis, VM, 2), FI(op_comis, VM, 3) },
    [0x50] = { FI(op_vec_movmsk, VM | D_REGONLY, 0),
               FI(op_vec_movmsk, VM | D_REGONLY, 1) },
    [0x6e] = { FI(op_mmx_movd, D_MODRM | D_REGMMX, 0), FI(op_vec_movd, D_MODRM, 0) },
    [0x6f] = { FI(op_mmx_mov, MM, 0), TI(tab_mov16_ld, VM, 1),
               TI(tab_mov16_ld, VM, 0) },
    [0x70][0] = FI(op_mmx_mov, MM | D_IB, 2),
    [0x71] = { G(grpsse_71, 0), G(grpsse_71, 0) }, [0x72] = { G(grpsse_72, 0), G(grpsse_72, 0) },
    [0x73] = { G(grpsse_73_mmx, 0), G(grpsse_73, 0) },
    [0x77][0] = F(op_emms, 0),
    [0x7e] = { FI(op_mmx_movd, D_MODRM | D_REGMMX, 1), FI(op_vec_movd, D_MODRM, 1),
               SSE(0, 2, 0x7e, VM) },
    [0x7f] = { FI(op_mmx_mov, MM, 1), TI(tab_mov16_st, VM, 1),
               TI(tab_mov16_st, VM, 0) },
    [0xae][2] = G(grpsse_ae_f3, 0),
    [0xb8][2] = F(op_popcnt, D_MODRM),
    [0xbc][2] = FI(op_count_zeros, D_MODRM, 0), [0xbd][2] = FI(op_count_zeros, D_MODRM, 1),
    [0xc3][0] = F(op_movnti, D_MODRM | D_MEMONLY),
    [0xc4] = { FI(op_pinsr, D_MODRM | D_IB | D_REGMMX, 3),
               FI(op_pinsr, D_MODRM | D_IB, 1) },
    [0xc5] = { FI(op_pextr, D_MODRM | D_IB | D_RMMMX | D_REGONLY, 3),
               FI(op_pextr, D_MODRM | D_IB | D_REGONLY, 4) },
    [0xd6] = { { 0 }, FI(op_sse_store, VM, 10),
               FI(op_movq2dq, D_MODRM | D_RMMMX | D_REGONLY, 0),
               FI(op_movq2dq, D_MODRM | D_REGMMX | D_REGONLY, 1) },
    [0xd7] = { FI(op_vec_movmsk, D_MODRM | D_RMMMX | D_REGONLY, 3),
               FI(op_vec_movmsk, VM | D_REGONLY, 2) },
    [0xe7] = { FI(op_mmx_mov, MM | D_MEMONLY, 1),
               FI(op_mov16_st, VM | D_MEMONLY, 1) },
    [0xf0][3] = FI(op_mov16_ld, VM | D_MEMONLY, 0),
    [0xf7] = { FI(op_maskmov, MM | D_REGONLY, 1),
               FI(op_maskmov, VM | D_REGONLY, 0) },
};

#undef V0F
#undef W0F
#undef V38
#undef W38
#define V0F(op, pfx, name, n, at)
#define W0F(op, name, n, how)
#undef V3A
#define V3A(op, pfx, name, n, at)
#define V38(op, pfx, name, n, at) \
    [op][pfx] = SSE(1, pfx, op, ATTR(at)),
#define W38(op, name, n, how) \
    [op][1] = SSE(1, 1, op, VM), \
    [op][0] = FI(op_mmx, MM, SSE_ID(1, 1, op)),

const OpDesc x86_sse38[X86_SSE38_END][4] = {
#include "target/i386/tcg/decode/sse-list.h"
    [0x10][1] = FI(op_blendv, VM, 1),
    [0x14][1] = FI(op_blendv, VM, 4),
    [0x15][1] = FI(op_blendv, VM, 8),
    [0x17][1] = F(op_ptest, VM),
};
const OpDesc x86_invpcid = F(op_invpcid, D_MODRM | D_MEMONLY | D_END);
const OpDesc x86_crc32[2] = {
    FI(op_crc32, D_MODRM | D_RMBYTE, 1), F(op_crc32, D_MODRM),
};
#define CRYPTO(name, attr) FI(op_crypto, attr, CRYPTO_##name)
const OpDesc x86_crypto38[0x18] = {
    CRYPTO(sha1nexte, VM), CRYPTO(sha1msg1, VM), CRYPTO(sha1msg2, VM), F(op_sha256rnds2, VM),
    CRYPTO(sha256msg1, VM), CRYPTO(sha256msg2, VM),
    [0xdb - 0xc8] = CRYPTO(aesimc, VM), CRYPTO(aesenc, VM), CRYPTO(aesenclast, VM),
    CRYPTO(aesdec, VM), CRYPTO(aesdeclast, VM),
};
const OpDesc x86_crypto3a[2] = { CRYPTO(sha1rnds4, VI), CRYPTO(aeskeygenassist, VI) };
const OpDesc x86_movbe[2] = {
    FI(op_movbe, D_MODRM | D_MEMONLY, 0), FI(op_movbe, D_MODRM | D_MEMONLY, 1),
};
const OpDesc x86_adx[2] = { FI(op_adx, D_MODRM, 0), FI(op_adx, D_MODRM, 1) };

#undef V38
#undef W38
#undef V3A
#define V38(op, pfx, name, n, at)
#define W38(op, name, n, how)
#define V3A(op, pfx, name, n, at) \
    [op][pfx] = SSE(2, pfx, op, ATTR(at)),

const OpDesc x86_sse3a[X86_SSE3A_END][4] = {
#include "target/i386/tcg/decode/sse-list.h"
    [0x0f][0] = F(op_mmx_palignr, MM | D_IB),
    [0x14][1] = FI(op_pextr, D_MODRM | D_IB, 0),
    [0x15][1] = FI(op_pextr, D_MODRM | D_IB, 1),
    [0x16][1] = FI(op_pextr, D_MODRM | D_IB, 2),
    [0x17][1] = FI(op_pextr, D_MODRM | D_IB, 5),
    [0x20][1] = FI(op_pinsr, D_MODRM | D_IB, 0),
    [0x21][1] = F(op_insertps, VI),
    [0x22][1] = FI(op_pinsr, D_MODRM | D_IB, 2),
    [0x44][1] = CRYPTO(pclmulqdq, VI),
    [0x60][1] = FI(op_pcmpstr, VI, 0), [0x61][1] = FI(op_pcmpstr, VI, 1),
    [0x62][1] = FI(op_pcmpstr, VI, 2), [0x63][1] = FI(op_pcmpstr, VI, 3),
};
