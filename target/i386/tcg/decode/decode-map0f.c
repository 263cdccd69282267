/*
 * The two-byte opcode map, but for vector instructions (SDM 2D, table A-3).
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "target/i386/cpu.h"
#include "target/i386/tcg/decode/maps.h"


const OpDesc x86_grp0f_6[8] = {
    F(op_sldt, 0), F(op_str, 0), F(op_lldt, D_END), F(op_ltr, D_END),
    FI(op_verr, 0, 0), FI(op_verr, 0, 1),
};
const OpDesc x86_grp0f_7[8] = {
    FI(op_sgdt, 0, 0), FI(op_sgdt, 0, 1), FI(op_lgdt, D_END, 0),
    FI(op_lgdt, D_END, 1), F(op_smsw, 0), F(NULL, 0), F(op_lmsw, D_END),
    F(op_invlpg, D_END),
};
#define SMSW8 [0x20] = F(op_smsw, 0), [0x21] = F(op_smsw, 0), \
    [0x22] = F(op_smsw, 0), [0x23] = F(op_smsw, 0), [0x24] = F(op_smsw, 0), \
    [0x25] = F(op_smsw, 0), [0x26] = F(op_smsw, 0), [0x27] = F(op_smsw, 0)
#define LMSW1 F(op_lmsw, D_END)
const OpDesc x86_grp7_reg[64] = {
    [0x01] = F(op_vmcall, D_END),               /* VMCALL */
    [0x08] = FI(op_monitor, 0, 0), [0x09] = FI(op_monitor, 0, 1),
    [0x0a] = F(op_clac, 0), [0x0b] = F(op_stac, 0),
    [0x10] = F(op_xgetbv, 0), [0x11] = F(op_xsetbv, D_END),
    [0x19] = F(op_vmcall, D_END),               /* VMMCALL */
    SMSW8,
    [0x2e] = FI(op_pkru, 0, 0), [0x2f] = FI(op_pkru, D_END, 1),
    [0x30] = LMSW1, [0x31] = LMSW1, [0x32] = LMSW1, [0x33] = LMSW1,
    [0x34] = LMSW1, [0x35] = LMSW1, [0x36] = LMSW1, [0x37] = LMSW1,
    [0x38] = F(op_swapgs, 0), [0x39] = F(op_rdtscp, 0),
};

const OpDesc x86_grp0f_ba[8] = {
    [4] = FI(op_bt, D_IB, 4), [5] = FI(op_bt, D_IB | D_LOCK, 5),
    [6] = FI(op_bt, D_IB | D_LOCK, 6), [7] = FI(op_bt, D_IB | D_LOCK, 7),
};
const OpDesc x86_grp0f_c7[8] = {
    [1] = F(op_cmpxchg8b, D_MEMONLY | D_LOCK),
    [3] = F(op_xrstors, D_MEMONLY),
    [4] = FI(op_xsavec, D_MEMONLY, 0), [5] = FI(op_xsavec, D_MEMONLY, 1),
    [6] = F(op_rdrand, D_REGONLY), [7] = FI(op_rdrand, D_REGONLY, 1),
};
const OpDesc x86_grp0f_ae[8] = {
    FI(op_fxsave, 0, 0), FI(op_fxrstor, 0, 1), FI(op_ldmxcsr, 0, 2),
    FI(op_stmxcsr, 0, 3), FI(op_xsave, 0, 4), FI(op_xrstor, 0, 5),
    FI(op_fence, 0, 6), FI(op_clflush, 0, 7),
};

#define BSWAP F(op_bswap, D_OPREG)
#define J(n)    [0x80 + n] = FI(op_jmp_rel, D_IZ | D_REL | D_FORCE64, X86_ID_JCC + n)
#define CMOV(n) [0x40 + n] = TI(tab_cmov, D_MODRM, n)
#define SET(n)  [0x90 + n] = FI(op_setcc, D_MODRM | D_BYTE, n)
#define ALL(X) X(0), X(1), X(2), X(3), X(4), X(5), X(6), X(7), X(8), X(9), \
               X(10), X(11), X(12), X(13), X(14), X(15)
#define HINT F(op_nop, D_MODRM)

const OpDesc x86_map0f[256] = {
    [0x00] = G(grp0f_6, 0),
    [0x01] = G(grp0f_7, D_GRP7),
    [0x02] = FI(op_lar, D_MODRM, 0), [0x03] = FI(op_lar, D_MODRM, 1),
    [0x05] = F(op_syscall, D_END), [0x06] = F(op_clts, D_END),
    [0x07] = F(op_sysret, D_END),
    [0x08] = F(op_wbinvd, 0), [0x09] = F(op_wbinvd, 0),
    [0x0b] = F(op_ud, D_END),
    [0x0d] = F(op_nop, D_MODRM | D_MEMONLY),
    [0x18] = HINT, [0x19] = HINT, [0x1a] = HINT, [0x1b] = HINT,
    [0x1c] = HINT, [0x1d] = HINT, [0x1e] = HINT, [0x1f] = HINT,
    [0x20] = F(op_mov_from_cr, D_MODRM | D_NOMOD | D_SZ64 | D_LOCK),
    [0x21] = F(op_mov_from_dr, D_MODRM | D_NOMOD | D_SZ64),
    [0x22] = F(op_mov_to_cr, D_MODRM | D_NOMOD | D_SZ64 | D_END),
    [0x23] = F(op_mov_to_dr, D_MODRM | D_NOMOD | D_SZ64 | D_END),
    [0x30] = F(op_wrmsr, D_END), [0x31] = F(op_rdtsc, 0),
    [0x32] = F(op_rdmsr, 0), [0x33] = F(op_rdpmc, 0),
    [0x34] = F(op_sysenter, D_END), [0x35] = F(op_sysexit, D_END),
    ALL(CMOV), ALL(J), ALL(SET),
    [0xa0] = FI(op_push_seg, D_64, R_FS),
    [0xa1] = FI(op_pop_seg, D_64 | D_END, R_FS),
    [0xa2] = F(op_cpuid, 0),
    [0xa3] = FI(op_bt, D_MODRM, 0),
    [0xa4] = FI(op_shld, D_MODRM | D_IB, 0), [0xa5] = FI(op_shld, D_MODRM, 2),
    [0xa8] = FI(op_push_seg, D_64, R_GS),
    [0xa9] = FI(op_pop_seg, D_64 | D_END, R_GS),
    [0xab] = FI(op_bt, D_MODRM | D_LOCK, 1),
    [0xac] = FI(op_shld, D_MODRM | D_IB, 1), [0xad] = FI(op_shld, D_MODRM, 3),
    [0xae] = G(grp0f_ae, 0),
    [0xaf] = T(tab_imul_re, D_MODRM),
    [0xb0] = T(tab_cmpxchg, D_MODRM | D_BYTE | D_LOCK),
    [0xb1] = T(tab_cmpxchg, D_MODRM | D_LOCK),
    [0xb2] = FI(op_les, D_MODRM | D_MEMONLY | D_END, R_SS),
    [0xb3] = FI(op_bt, D_MODRM | D_LOCK, 2),
    [0xb4] = FI(op_les, D_MODRM | D_MEMONLY | D_END, R_FS),
    [0xb5] = FI(op_les, D_MODRM | D_MEMONLY | D_END, R_GS),
    [0xb6] = T(tab_movzx8, D_MODRM | D_RMBYTE),
    [0xb7] = T(tab_movzx16, D_MODRM),
    [0xb9] = F(op_ud, D_MODRM | D_END),
    [0xba] = G(grp0f_ba, 0),
    [0xbb] = FI(op_bt, D_MODRM | D_LOCK, 3),
    [0xbc] = FI(op_bitscan, D_MODRM, 0), [0xbd] = FI(op_bitscan, D_MODRM, 1),
    [0xbe] = T(tab_movsx8, D_MODRM | D_RMBYTE),
    [0xbf] = T(tab_movsx16, D_MODRM),
    [0xc0] = T(tab_xadd, D_MODRM | D_BYTE | D_LOCK),
    [0xc1] = T(tab_xadd, D_MODRM | D_LOCK),
    [0xc7] = G(grp0f_c7, 0),
    [0xc8] = BSWAP, [0xc9] = BSWAP, [0xca] = BSWAP, [0xcb] = BSWAP,
    [0xcc] = BSWAP, [0xcd] = BSWAP, [0xce] = BSWAP, [0xcf] = BSWAP,
    [0xff] = F(op_ud, D_MODRM | D_END),
};
