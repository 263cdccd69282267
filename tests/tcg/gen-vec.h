/*
 * Rows of gen-tables.c for vector instructions, most from the CPU's own list:
 * a wrong entry there makes a wrong encoding or a mismatch here.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#define PFX(n) ((n) == 1 ? 0x66 : (n) == 2 ? 0xf3 : (n) == 3 ? 0xf2 : 0)
#define VEC (RM | G_NOSIZE | G_VECREG | G_VECRM)
#define VROW(map, op, pfx, name, n, at) \
    { #name, KS | 8, map, PFX(pfx), op, -1, \
      VEC | ((n) == 16 ? G_ALIGN : 0) | ((at) & 1 ? G_IB : 0) | \
      ((at) & 4 ? G_MEMONLY : 0), 0, 0 },
#define V0F(op, pfx, name, n, at) VROW(1, op, pfx, name, n, at)
#define V38(op, pfx, name, n, at) VROW(2, op, pfx, name, n, at)
#define V3A(op, pfx, name, n, at) VROW(3, op, pfx, name, n, at)
#define WROW(map, op, name, n) VROW(map, op, 1, name, n, 0) \
    { #name " mmx", KS, map, 0, op, -1, VEC | G_MMX, 0, 0 },
#define W0F(op, name, n, how) WROW(1, op, name, n)
#define W38(op, name, n, how) WROW(2, op, name, n)
#define V_IB 1
#define V_FP 2
#define V_MEM 4
#include "target/i386/tcg/decode/sse-list.h"

#define S(n, map, pfx, op, f) { n, KS | 8, map, pfx, op, -1, VEC | (f), 0, 0 }
#define SM(n, map, pfx, op, f) { n, KS, map, pfx, op, -1, VEC | G_MMX | (f), 0, 0 }
#define SD(n, pfx, op, d, f) { n, KS, 1, pfx, op, d, \
       G_MODRM | G_NOSIZE | G_VECRM | G_IB | (f), 0, 0 }
    S("movups", 1, 0, 0x10, 0), S("movupd", 1, 0x66, 0x10, 0),
    S("movss", 1, 0xf3, 0x10, 0), S("movsd", 1, 0xf2, 0x10, 0),
    S("movups st", 1, 0, 0x11, 0), S("movss st", 1, 0xf3, 0x11, 0),
    S("movsd st", 1, 0xf2, 0x11, 0), S("movlps st", 1, 0, 0x13, G_MEMONLY),
    S("movhpd st", 1, 0x66, 0x17, G_MEMONLY), S("movaps", 1, 0, 0x28, G_ALIGN),
    S("movapd st", 1, 0x66, 0x29, G_ALIGN), S("movntps", 1, 0, 0x2b, G_MEMONLY | G_ALIGN),
    S("ucomiss", 1, 0, 0x2e, 0), S("ucomisd", 1, 0x66, 0x2e, 0),
    S("comiss", 1, 0, 0x2f, 0), S("comisd", 1, 0x66, 0x2f, 0),
    S("movdqa", 1, 0x66, 0x6f, G_ALIGN), S("movdqu", 1, 0xf3, 0x6f, 0),
    S("movdqa st", 1, 0x66, 0x7f, G_ALIGN), S("movdqu st", 1, 0xf3, 0x7f, 0),
    S("movq st", 1, 0x66, 0xd6, 0), S("lddqu", 1, 0xf2, 0xf0, G_MEMONLY),
    S("pblendvb", 2, 0x66, 0x10, G_ALIGN), S("blendvps", 2, 0x66, 0x14, G_ALIGN),
    S("blendvpd", 2, 0x66, 0x15, G_ALIGN), S("ptest", 2, 0x66, 0x17, G_ALIGN),
    S("insertps", 3, 0x66, 0x21, G_IB),
    S("pcmpestrm", 3, 0x66, 0x60, G_IB), S("pcmpestri", 3, 0x66, 0x61, G_IB),
    S("pcmpistrm", 3, 0x66, 0x62, G_IB), S("pcmpistri", 3, 0x66, 0x63, G_IB),
    SM("movq mmx", 1, 0, 0x6f, 0), SM("movq mmx st", 1, 0, 0x7f, 0),
    SM("pshufw", 1, 0, 0x70, G_IB), SM("palignr mmx", 3, 0, 0x0f, G_IB),
    SD("psrlw i", 0x66, 0x71, 2, 0), SD("psraw i", 0x66, 0x71, 4, 0),
    SD("psllw i", 0x66, 0x71, 6, 0), SD("psrld i", 0x66, 0x72, 2, 0),
    SD("psrad i", 0x66, 0x72, 4, 0), SD("pslld i", 0x66, 0x72, 6, 0),
    SD("psrlq i", 0x66, 0x73, 2, 0), SD("psrldq", 0x66, 0x73, 3, 0),
    SD("psllq i", 0x66, 0x73, 6, 0), SD("pslldq", 0x66, 0x73, 7, 0),
    SD("psrlw i mmx", 0, 0x71, 2, G_MMX), SD("psrad i mmx", 0, 0x72, 4, G_MMX),
    SD("psllq i mmx", 0, 0x73, 6, G_MMX),
#define GV(n, map, pfx, op, f) { n, KS | 8, map, pfx, op, -1, RM | G_NOSIZE | G_REXW | (f), 0, 0 }
    GV("movd", 1, 0x66, 0x6e, G_VECREG), GV("movd st", 1, 0x66, 0x7e, G_VECREG),
    GV("cvtsi2ss", 1, 0xf3, 0x2a, G_VECREG), GV("cvtsi2sd", 1, 0xf2, 0x2a, G_VECREG),
    GV("cvttss2si", 1, 0xf3, 0x2c, G_VECRM), GV("cvttsd2si", 1, 0xf2, 0x2c, G_VECRM),
    GV("cvtss2si", 1, 0xf3, 0x2d, G_VECRM), GV("cvtsd2si", 1, 0xf2, 0x2d, G_VECRM),
    GV("pinsrw", 1, 0x66, 0xc4, G_VECREG | G_IB), GV("pinsrb", 3, 0x66, 0x20, G_VECREG | G_IB),
    GV("pinsrd", 3, 0x66, 0x22, G_VECREG | G_IB), GV("pextrb", 3, 0x66, 0x14, G_VECREG | G_IB),
    GV("pextrw", 3, 0x66, 0x15, G_VECREG | G_IB), GV("pextrd", 3, 0x66, 0x16, G_VECREG | G_IB),
    GV("extractps", 3, 0x66, 0x17, G_VECREG | G_IB),
    { "movmskps", KS | 8, 1, 0, 0x50, -1, G_MODRM | G_NOSIZE | G_VECRM, 0, 0 },
    { "movmskpd", KS | 8, 1, 0x66, 0x50, -1, G_MODRM | G_NOSIZE | G_VECRM, 0, 0 },
    { "pmovmskb", KS | 8, 1, 0x66, 0xd7, -1, G_MODRM | G_NOSIZE | G_VECRM, 0, 0 },
    { "pmovmskb mmx", KS, 1, 0, 0xd7, -1, G_MODRM | G_NOSIZE | G_VECRM | G_MMX, 0, 0 },
    { "pextrw", KS | 8, 1, 0x66, 0xc5, -1, G_MODRM | G_NOSIZE | G_VECRM | G_IB, 0, 0 },
    { "crc32b", KS | 8, 2, 0xf2, 0xf0, -1, RM | G_NOSIZE | G_BYTE | G_REGWIDE, 0, 0 },
    { "crc32", KS | 8, 2, 0xf2, 0xf1, -1, RM | G_NOSIZE | G_REXW, 0, 0 },
    { "movnti", KS | 8, 1, 0, 0xc3, -1, RM | G_MEMONLY | G_NOSIZE | G_REXW, 0, 0 },
    B("emms", KS, "\x0f\x77"), B("movq2dq", KS, "\xf3\x0f\xd6\xd1"),
    B("movdq2q", KS, "\xf2\x0f\xd6\xd1"), B("cvtpi2ps", KS, "\x0f\x2a\xd9"),
    B("cvtpi2pd", KS, "\x66\x0f\x2a\xd9"), B("cvttps2pi", KS, "\x0f\x2c\xd9"),
    B("cvtps2pi", KS, "\x0f\x2d\xe1"), B("cvtpd2pi", KS, "\x66\x0f\x2d\xe1"),
    B("cvttpd2pi", KS, "\x66\x0f\x2c\xe1"), B("stmxcsr", KS, "\x0f\xae\x5b\x10"),
    B("ldmxcsr", KS,
      "\x0f\xae\x5b\x10\x81\x63\x10\xc0\xff\x00\x00\x81\x4b\x10\x80\x1f\x00\x00\x0f\xae\x53\x10"),
