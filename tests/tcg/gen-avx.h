/*
 * Rows of gen-tables.c for vector instructions with a VEX prefix; most from the CPU's own list,
 * as in gen-vex.h.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#define VEXV (RM | G_VEX | G_NOSIZE | G_VECREG | G_VECRM)
#define VEX_F(r) (((r) & VX_V ? G_V : 0) | ((r) & VX_L0 ? 0 : G_L) | ((r) & VX_I8 ? G_IB : 0) | \
                  ((r) & VX_MO ? G_MEMONLY : 0) | ((r) & VX_W0 ? 0 : G_REXW))
#define VEX_HOST(r) ((r) & VX_A2 || VX_NEED_OF(r) == VEX_AVX2 ? HOST_AVX2 : \
                     VX_NEED_OF(r) == VEX_F16C ? HOST_F16C : VX_NEED_OF(r) == VEX_AES ? HOST_AES : \
                     VX_NEED_OF(r) == VEX_CLMUL ? HOST_PCLMULQDQ : HOST_AVX)
#define VL(map, pfx, op, name, bytes, rules) \
    { "vex " #name, KS | 8, map, PFX(pfx), op, -1, VEXV | VEX_F(rules), 0, 0, VEX_HOST(rules) },
#include "target/i386/tcg/decode/vex-list.h"
#undef VL

/* need: AVX or AVX2; of A, with vvvv of V, from or to general registers of G. */
#define A(n, map, pfx, op, f, need) \
    { n, KS | 8, map, pfx, op, -1, VEXV | (f), 0, 0, HOST_##need }
#define V(n, map, pfx, op, f, need) A(n, map, pfx, op, G_V | (f), need)
#define G(n, map, pfx, op, f) { n, KS | 8, map, pfx, op, -1, RM | G_VEX | G_NOSIZE | (f), 0, 0, \
                                HOST_AVX }
#define AD(n, op, d) { n, KS | 8, 1, 0x66, op, d, \
                       G_MODRM | G_NOSIZE | G_VECRM | G_IB | G_VEX | G_V | G_L, 0, 0, HOST_AVX2 }
    A("vmovups", 1, 0, 0x10, G_L, AVX), A("vmovupd", 1, 0x66, 0x10, G_L, AVX),
    A("vmovups st", 1, 0, 0x11, G_L, AVX), A("vmovupd st", 1, 0x66, 0x11, G_L, AVX),
    A("vmovaps", 1, 0, 0x28, G_L | G_ALIGN, AVX),
    A("vmovapd st", 1, 0x66, 0x29, G_L | G_ALIGN, AVX),
    A("vmovdqa", 1, 0x66, 0x6f, G_L | G_ALIGN, AVX), A("vmovdqu", 1, 0xf3, 0x6f, G_L, AVX),
    A("vmovdqa st", 1, 0x66, 0x7f, G_L | G_ALIGN, AVX), A("vmovdqu st", 1, 0xf3, 0x7f, G_L, AVX),
    A("vmovntps", 1, 0, 0x2b, G_L | G_ALIGN | G_MEMONLY, AVX),
    A("vmovntdq", 1, 0x66, 0xe7, G_L | G_ALIGN | G_MEMONLY, AVX),
    A("vlddqu", 1, 0xf2, 0xf0, G_L | G_MEMONLY, AVX),
    A("vmovntdqa", 2, 0x66, 0x2a, G_L | G_ALIGN | G_MEMONLY, AVX2),
    A("vmovss", 1, 0xf3, 0x10, G_L | G_MEMONLY, AVX), A("vmovsd", 1, 0xf2, 0x10, G_MEMONLY, AVX),
    A("vmovss st", 1, 0xf3, 0x11, G_MEMONLY, AVX), A("vmovsd st", 1, 0xf2, 0x11, G_MEMONLY, AVX),
#define VR(n, pfx, op) { n, KS | 8, 1, pfx, op, -1, \
    G_MODRM | G_VEX | G_NOSIZE | G_VECREG | G_VECRM | G_V | G_L, 0, 0, HOST_AVX }
    VR("vmovss r", 0xf3, 0x10), VR("vmovsd r", 0xf2, 0x10),
    VR("vmovss r st", 0xf3, 0x11), VR("vmovsd r st", 0xf2, 0x11),
    A("vmovlps st", 1, 0, 0x13, G_MEMONLY, AVX), A("vmovhpd st", 1, 0x66, 0x17, G_MEMONLY, AVX),
    A("vmovq st", 1, 0x66, 0xd6, 0, AVX),
    A("vucomiss", 1, 0, 0x2e, G_L, AVX), A("vcomisd", 1, 0x66, 0x2f, G_L, AVX),
    G("vmovd", 1, 0x66, 0x6e, G_REXW | G_VECREG), G("vmovd st", 1, 0x66, 0x7e, G_REXW | G_VECREG),
    G("vcvtsi2ss", 1, 0xf3, 0x2a, G_REXW | G_VECREG | G_V | G_L),
    G("vcvtsi2sd", 1, 0xf2, 0x2a, G_REXW | G_VECREG | G_V),
    G("vcvttss2si", 1, 0xf3, 0x2c, G_REXW | G_VECRM),
    G("vcvttsd2si", 1, 0xf2, 0x2c, G_REXW | G_VECRM),
    G("vcvtss2si", 1, 0xf3, 0x2d, G_REXW | G_VECRM | G_L),
    G("vcvtsd2si", 1, 0xf2, 0x2d, G_REXW | G_VECRM),
    G("vpinsrw", 1, 0x66, 0xc4, G_VECREG | G_V | G_IB),
    G("vpinsrb", 3, 0x66, 0x20, G_VECREG | G_V | G_IB),
    G("vpinsrd", 3, 0x66, 0x22, G_REXW | G_VECREG | G_V | G_IB),
    G("vpextrb", 3, 0x66, 0x14, G_VECREG | G_IB), G("vpextrw", 3, 0x66, 0x15, G_VECREG | G_IB),
    G("vpextrd", 3, 0x66, 0x16, G_REXW | G_VECREG | G_IB),
    G("vextractps", 3, 0x66, 0x17, G_VECREG | G_IB),
#define M(n, map, pfx, op, f, need) { n, KS | 8, map, pfx, op, -1, \
    G_MODRM | G_VEX | G_NOSIZE | G_VECRM | (f), 0, 0, HOST_##need }
    M("vmovmskps", 1, 0, 0x50, G_L, AVX), M("vmovmskpd", 1, 0x66, 0x50, G_L, AVX),
    M("vpmovmskb", 1, 0x66, 0xd7, G_L, AVX2), M("vpextrw r", 1, 0x66, 0xc5, G_IB, AVX),
    V("vinsertps", 3, 0x66, 0x21, G_IB, AVX),
    A("vpcmpestrm", 3, 0x66, 0x60, G_IB | G_REXW, AVX), A("vpcmpestri", 3, 0x66, 0x61, G_IB, AVX),
    A("vpcmpistrm", 3, 0x66, 0x62, G_IB, AVX), A("vpcmpistri", 3, 0x66, 0x63, G_IB, AVX),
    AD("vpsrlw i", 0x71, 2), AD("vpsraw i", 0x71, 4), AD("vpsllw i", 0x71, 6),
    AD("vpsrld i", 0x72, 2), AD("vpsrad i", 0x72, 4), AD("vpslld i", 0x72, 6),
    AD("vpsrlq i", 0x73, 2), AD("vpsrldq", 0x73, 3), AD("vpsllq i", 0x73, 6),
    AD("vpslldq", 0x73, 7),
    A("vptest", 2, 0x66, 0x17, G_L, AVX), A("vtestps", 2, 0x66, 0x0e, G_L, AVX),
    A("vtestpd", 2, 0x66, 0x0f, G_L, AVX),
    V("vpermps", 2, 0x66, 0x16, G_L1, AVX2), V("vpermd", 2, 0x66, 0x36, G_L1, AVX2),
    A("vbroadcastss", 2, 0x66, 0x18, G_L, AVX2), A("vbroadcastsd", 2, 0x66, 0x19, G_L1, AVX2),
    A("vbroadcastf128", 2, 0x66, 0x1a, G_L1 | G_MEMONLY, AVX),
    A("vbroadcasti128", 2, 0x66, 0x5a, G_L1 | G_MEMONLY, AVX2),
    A("vpbroadcastd", 2, 0x66, 0x58, G_L, AVX2), A("vpbroadcastq", 2, 0x66, 0x59, G_L, AVX2),
    A("vpbroadcastb", 2, 0x66, 0x78, G_L, AVX2), A("vpbroadcastw", 2, 0x66, 0x79, G_L, AVX2),
    V("vmaskmovps", 2, 0x66, 0x2c, G_L | G_MEMONLY, AVX),
    V("vmaskmovpd", 2, 0x66, 0x2d, G_L | G_MEMONLY, AVX),
    V("vmaskmovps st", 2, 0x66, 0x2e, G_L | G_MEMONLY, AVX),
    V("vmaskmovpd st", 2, 0x66, 0x2f, G_L | G_MEMONLY, AVX),
    V("vpmaskmov", 2, 0x66, 0x8c, G_L | G_MEMONLY | G_REXW, AVX2),
    V("vpmaskmov st", 2, 0x66, 0x8e, G_L | G_MEMONLY | G_REXW, AVX2),
    A("vpermq", 3, 0x66, 0x00, G_L1 | G_W1 | G_IB, AVX2),
    A("vpermpd", 3, 0x66, 0x01, G_L1 | G_W1 | G_IB, AVX2),
    V("vperm2f128", 3, 0x66, 0x06, G_L1 | G_IB, AVX),
    V("vperm2i128", 3, 0x66, 0x46, G_L1 | G_IB, AVX2),
    V("vinsertf128", 3, 0x66, 0x18, G_L1 | G_IB, AVX),
    V("vinserti128", 3, 0x66, 0x38, G_L1 | G_IB, AVX2),
    A("vextractf128", 3, 0x66, 0x19, G_L1 | G_IB, AVX),
    A("vextracti128", 3, 0x66, 0x39, G_L1 | G_IB, AVX2),
    V("vblendvps", 3, 0x66, 0x4a, G_L | G_IB, AVX), V("vblendvpd", 3, 0x66, 0x4b, G_L | G_IB, AVX),
    V("vpblendvb", 3, 0x66, 0x4c, G_L | G_IB, AVX2),
    A("vcvtps2ph", 3, 0x66, 0x1d, G_L | G_IB, F16C),
#define FMA(n, op) V(n "132", 2, 0x66, 0x9##op, G_L | G_REXW, FMA), \
                   V(n "213", 2, 0x66, 0xa##op, G_L | G_REXW, FMA), \
                   V(n "231", 2, 0x66, 0xb##op, G_L | G_REXW, FMA)
    FMA("vfmaddsub", 6), FMA("vfmsubadd", 7), FMA("vfmadd", 8), FMA("vfmadds", 9),
    FMA("vfmsub", a), FMA("vfmsubs", b), FMA("vfnmadd", c), FMA("vfnmadds", d),
    FMA("vfnmsub", e), FMA("vfnmsubs", f),
#define C(n, map, pfx, op, f, need) \
    { n, KS | 8, map, pfx, op, -1, VEC | G_ALIGN | (f), 0, 0, HOST_##need }
    C("aesimc", 2, 0x66, 0xdb, 0, AES), C("aesenc", 2, 0x66, 0xdc, 0, AES),
    C("aesenclast", 2, 0x66, 0xdd, 0, AES), C("aesdec", 2, 0x66, 0xde, 0, AES),
    C("aesdeclast", 2, 0x66, 0xdf, 0, AES), C("aeskeygenassist", 3, 0x66, 0xdf, G_IB, AES),
    C("pclmulqdq", 3, 0x66, 0x44, G_IB, PCLMULQDQ), C("sha1nexte", 2, 0, 0xc8, 0, SHA),
    C("sha1msg1", 2, 0, 0xc9, 0, SHA), C("sha1msg2", 2, 0, 0xca, 0, SHA),
    C("sha256rnds2", 2, 0, 0xcb, 0, SHA), C("sha256msg1", 2, 0, 0xcc, 0, SHA),
    C("sha256msg2", 2, 0, 0xcd, 0, SHA), C("sha1rnds4", 3, 0, 0xcc, G_IB, SHA),
#define BV(n, need, bytes) \
    { n, KS | 8, 0, 0, sizeof(bytes) - 1, -1, G_FIXED, 0, bytes, HOST_##need }
#define BW(n, bytes) \
    { n, KS | 8, 0, 0, sizeof(bytes) - 1, -1, G_FIXED | G_WILD, 0, bytes, HOST_AVX2 }
    BV("vzeroupper", AVX, "\xc5\xf8\x77"), BV("vzeroall", AVX, "\xc5\xfc\x77"),
    { "vmaskmovdqu", KS | 8, 0, 0, 8, -1, G_FIXED | G_TAME, 0, "\x48\x8d\x7b\x05\xc5\xf9\xf7\xd1",
      HOST_AVX },
    BV("vstmxcsr", AVX, "\xc5\xf8\xae\x5b\x10"),
/* Indices of 6 bits in YMM1: mov $63, %eax; vmovd; vpbroadcast; vpand with YMM2. */
#define INDEX32 "\xb8\x3f\x00\x00\x00\xc5\xf9\x6e\xc8\xc4\xe2\x7d\x58\xc9\xc5\xf5\xdb\xca"
#define INDEX64 "\xb8\x3f\x00\x00\x00\xc5\xf9\x6e\xc8\xc4\xe2\x7d\x59\xc9\xc5\xf5\xdb\xca"
    BV("vpgatherdd y", AVX2, INDEX32 "\xc4\xe2\x5d\x90\x1c\x8b"),
    BV("vpgatherdq y", AVX2, INDEX32 "\xc4\xe2\xdd\x90\x5c\xcb\x05"),
    BV("vpgatherqd y", AVX2, INDEX64 "\xc4\xe2\x5d\x91\x1c\x8b"),
    BV("vpgatherqq y", AVX2, INDEX64 "\xc4\xe2\xdd\x91\x9c\x4b\xf8\xff\xff\xff"),
    BV("vgatherdps", AVX2, INDEX32 "\xc4\x62\x59\x92\x1c\x8b"),
    BV("vgatherdpd", AVX2, INDEX32 "\xc4\xe2\xd9\x92\x1c\xcb"),
    BV("vgatherqps", AVX2, INDEX64 "\xc4\xe2\x59\x93\x1c\x8b"),
    BV("vgatherqpd", AVX2, INDEX64 "\xc4\xc2\xd9\x93\x1c\x0c"),
    BW("vpgatherdd wild", "\xc4\xe2\x5d\x90\x1c\x8b"),
    BW("vpgatherqq wild", "\xc4\xe2\xdd\x91\x1c\xcb"),
    BW("vgatherdpd wild", INDEX32 "\xc4\xe2\xd9\x92\x1c\xcb"),
    BW("vgatherqps wild", INDEX64 "\xc4\xe2\x5d\x93\x1c\x8b"),
