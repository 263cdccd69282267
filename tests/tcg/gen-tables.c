/*
 * Tables of instructions for random sequences.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "gen-tables.h"
#include "target/i386/tcg/decode/vex-rules.h"

#define CF 1u
#define PF 4u
#define AF 0x10u
#define ZF 0x40u
#define SF 0x80u
#define OF 0x800u

#define KI 1            /* integer */
#define KS 2            /* SSE and MMX */
#define KX 4            /* x87 */

#define RM (G_MODRM | G_MEM)
#define R(n, map, op, f, u) { n, KI | 8, map, 0, op, -1, f, u, 0 }
#define D(n, map, op, d, f, u) { n, KI | 8, map, 0, op, d, f, u, 0 }
#define B(n, k, bytes) { n, k | 8, 0, 0, sizeof(bytes) - 1, -1, G_FIXED, 0, bytes }

#define ALU(n, b, u) \
    R(n " rm8,r8", 0, b, RM | G_BYTE | G_LOCK, u), \
    R(n " rm,r", 0, b + 1, RM | G_LOCK, u), \
    R(n " r8,rm8", 0, b + 2, RM | G_BYTE, u), R(n " r,rm", 0, b + 3, RM, u), \
    R(n " al,i", 0, b + 4, G_BYTE | G_IB, u), R(n " eax,i", 0, b + 5, G_IZ, u), \
    D(n " rm8,i", 0, 0x80, b >> 3, RM | G_BYTE | G_IB | G_LOCK, u), \
    D(n " rm,i", 0, 0x81, b >> 3, RM | G_IZ | G_LOCK, u), \
    D(n " rm,i8", 0, 0x83, b >> 3, RM | G_IB | G_LOCK, u)
#define SHIFT(n, d, u) \
    D(n " rm8,i", 0, 0xc0, d, RM | G_BYTE | G_IB, u), \
    D(n " rm,i", 0, 0xc1, d, RM | G_IB, u), \
    D(n " rm8,1", 0, 0xd0, d, RM | G_BYTE, (u) & AF), \
    D(n " rm,1", 0, 0xd1, d, RM, (u) & AF), \
    D(n " rm8,cl", 0, 0xd2, d, RM | G_BYTE, u), \
    D(n " rm,cl", 0, 0xd3, d, RM, u)
#define CC(n) \
    R("cmovcc", 1, 0x40 + n, RM, 0), R("setcc", 1, 0x90 + n, RM | G_BYTE, 0)
#define STR(n, op) \
    R(n "b", 0, op, G_STRING | G_BYTE, 0), R(n, 0, op + 1, G_STRING, 0)
#define MULF (PF | AF | ZF | SF)
#define BITF (OF | SF | AF | PF)
#define ALLF (CF | PF | AF | ZF | SF | OF)

const GenRow gen_rows[] = {
    ALU("add", 0x00, 0), ALU("or", 0x08, AF), ALU("adc", 0x10, 0),
    ALU("sbb", 0x18, 0), ALU("and", 0x20, AF), ALU("sub", 0x28, 0),
    ALU("xor", 0x30, AF),
    R("cmp rm8,r8", 0, 0x38, RM | G_BYTE, 0), R("cmp rm,r", 0, 0x39, RM, 0),
    R("cmp r8,rm8", 0, 0x3a, RM | G_BYTE, 0), R("cmp r,rm", 0, 0x3b, RM, 0),
    R("cmp al,i", 0, 0x3c, G_BYTE | G_IB, 0), R("cmp eax,i", 0, 0x3d, G_IZ, 0),
    D("cmp rm8,i", 0, 0x80, 7, RM | G_BYTE | G_IB, 0),
    D("cmp rm,i8", 0, 0x83, 7, RM | G_IB, 0), D("cmp rm,i", 0, 0x81, 7, RM | G_IZ, 0),
    R("test", 0, 0x84, RM | G_BYTE, AF), R("test", 0, 0x85, RM, AF),
    R("test al,i", 0, 0xa8, G_BYTE | G_IB, AF), R("test eax,i", 0, 0xa9, G_IZ, AF),
    D("test rm8,i", 0, 0xf6, 0, RM | G_BYTE | G_IB, AF),
    D("test rm,i", 0, 0xf7, 0, RM | G_IZ, AF),
    D("not", 0, 0xf6, 2, RM | G_BYTE | G_LOCK, 0), D("not", 0, 0xf7, 2, RM | G_LOCK, 0),
    D("neg", 0, 0xf6, 3, RM | G_BYTE | G_LOCK, 0), D("neg", 0, 0xf7, 3, RM | G_LOCK, 0),
    D("inc", 0, 0xfe, 0, RM | G_BYTE | G_LOCK, 0), D("inc", 0, 0xff, 0, RM | G_LOCK, 0),
    D("dec", 0, 0xfe, 1, RM | G_BYTE | G_LOCK, 0), D("dec", 0, 0xff, 1, RM | G_LOCK, 0),
    D("mul", 0, 0xf6, 4, RM | G_BYTE, MULF), D("mul", 0, 0xf7, 4, RM, MULF),
    D("imul1", 0, 0xf6, 5, RM | G_BYTE, MULF), D("imul1", 0, 0xf7, 5, RM, MULF),
    D("div", 0, 0xf6, 6, RM | G_BYTE | G_DIV, ALLF), D("div", 0, 0xf7, 6, RM | G_DIV, ALLF),
    D("idiv", 0, 0xf6, 7, RM | G_BYTE | G_DIV, ALLF), D("idiv", 0, 0xf7, 7, RM | G_DIV, ALLF),
    R("imul r,rm", 1, 0xaf, RM, MULF), R("imul r,rm,i", 0, 0x69, RM | G_IZ, MULF),
    R("imul r,rm,i8", 0, 0x6b, RM | G_IB, MULF),
    R("mov", 0, 0x88, RM | G_BYTE, 0), R("mov", 0, 0x89, RM, 0),
    R("mov", 0, 0x8a, RM | G_BYTE, 0), R("mov", 0, 0x8b, RM, 0),
    D("mov rm8,i", 0, 0xc6, 0, RM | G_BYTE | G_IB, 0),
    D("mov rm,i", 0, 0xc7, 0, RM | G_IZ, 0),
    R("mov r8,i", 0, 0xb0, G_OPREG | G_BYTE | G_IB, 0),
    R("mov r,i", 0, 0xb8, G_OPREG | G_IV, 0),
    R("lea", 0, 0x8d, RM | G_MEMONLY, 0),
    R("xchg", 0, 0x86, RM | G_BYTE | G_LOCK | G_ATOMIC, 0),
    R("xchg", 0, 0x87, RM | G_LOCK | G_ATOMIC, 0),
    R("xchg eax", 0, 0x90, G_OPREG, 0),
    R("xadd", 1, 0xc0, RM | G_BYTE | G_LOCK, 0), R("xadd", 1, 0xc1, RM | G_LOCK, 0),
    R("cmpxchg", 1, 0xb0, RM | G_BYTE | G_LOCK, 0),
    R("cmpxchg", 1, 0xb1, RM | G_LOCK, 0),
    D("cmpxchg8b", 1, 0xc7, 1, RM | G_MEMONLY | G_LOCK | G_NOSIZE, 0),
    D("cmpxchg16b", 1, 0xc7, 1, RM | G_MEMONLY | G_LOCK | G_NOSIZE | G_REXW | G_ALIGN, 0),
    R("movzx8", 1, 0xb6, RM | G_BYTE | G_REGWIDE, 0), R("movzx16", 1, 0xb7, RM, 0),
    R("movsx8", 1, 0xbe, RM | G_BYTE | G_REGWIDE, 0),
    R("movsx16", 1, 0xbf, RM, 0), R("movsxd", 0, 0x63, RM, 0),
    R("cbw", 0, 0x98, 0, 0), R("cwd", 0, 0x99, 0, 0),
    R("bswap", 1, 0xc8, G_OPREG | G_NO16, 0),
    R("bt", 1, 0xa3, G_MODRM, BITF), R("bts", 1, 0xab, G_MODRM, BITF),
    R("btr", 1, 0xb3, G_MODRM, BITF), R("btc", 1, 0xbb, G_MODRM, BITF),
    D("bt i", 1, 0xba, 4, RM | G_IB, BITF),
    D("bts i", 1, 0xba, 5, RM | G_IB | G_LOCK, BITF),
    D("btr i", 1, 0xba, 6, RM | G_IB | G_LOCK, BITF),
    D("btc i", 1, 0xba, 7, RM | G_IB | G_LOCK, BITF),
    R("bsf", 1, 0xbc, RM, CF | PF | AF | SF | OF), R("bsr", 1, 0xbd, RM, CF | PF | AF | SF | OF),
    { "popcnt", KI | 8, 1, 0xf3, 0xb8, -1, RM | G_NO16, 0, 0 },
#define H(n, map, pfx, op, f, u, need) { n, KI | 8, map, pfx, op, -1, RM | (f), u, 0, HOST_##need }
    H("tzcnt", 1, 0xf3, 0xbc, 0, PF | AF | SF | OF, BMI1),
    H("lzcnt", 1, 0xf3, 0xbd, 0, PF | AF | SF | OF, ABM),
    H("adcx", 2, 0x66, 0xf6, G_NOSIZE | G_REXW, 0, ADX),
    H("adox", 2, 0xf3, 0xf6, G_NOSIZE | G_REXW, 0, ADX),
    H("movbe", 2, 0, 0xf0, G_MEMONLY, 0, MOVBE), H("movbe st", 2, 0, 0xf1, G_MEMONLY, 0, MOVBE),
#define X(n, map, pfx, op, f, u, need) \
    { n, KI | 8, map, pfx, op, -1, RM | G_VEX | G_NOSIZE | G_REXW | (f), u, 0, HOST_##need }
#define XD(n, op, d) \
    { n, KI | 8, 2, 0, op, d, RM | G_VEX | G_V | G_NOSIZE | G_REXW, PF | AF, 0, HOST_BMI1 }
    X("andn", 2, 0, 0xf2, G_V, PF | AF, BMI1), X("bextr", 2, 0, 0xf7, G_V, PF | AF | SF, BMI1),
    XD("blsr", 0xf3, 1), XD("blsmsk", 0xf3, 2), XD("blsi", 0xf3, 3),
    X("bzhi", 2, 0, 0xf5, G_V, PF | AF, BMI2), X("mulx", 2, 0xf2, 0xf6, G_V, 0, BMI2),
    X("pdep", 2, 0xf2, 0xf5, G_V, 0, BMI2), X("pext", 2, 0xf3, 0xf5, G_V, 0, BMI2),
    X("shlx", 2, 0x66, 0xf7, G_V, 0, BMI2), X("sarx", 2, 0xf3, 0xf7, G_V, 0, BMI2),
    X("shrx", 2, 0xf2, 0xf7, G_V, 0, BMI2), X("rorx", 3, 0xf2, 0xf0, G_IB, 0, BMI2),
    SHIFT("rol", 0, OF), SHIFT("ror", 1, OF), SHIFT("rcl", 2, OF),
    SHIFT("rcr", 3, OF), SHIFT("shl", 4, OF | AF | CF), SHIFT("shr", 5, OF | AF | CF),
    SHIFT("sar", 7, OF | AF),
    R("shld", 1, 0xa4, RM | G_IB | G_NO16, OF | AF),
    R("shrd", 1, 0xac, RM | G_IB | G_NO16, OF | AF),
    R("shld cl", 1, 0xa5, RM | G_NO16, OF | AF), R("shrd cl", 1, 0xad, RM | G_NO16, OF | AF),
    CC(0), CC(1), CC(2), CC(3), CC(4), CC(5), CC(6), CC(7), CC(8), CC(9),
    CC(10), CC(11), CC(12), CC(13), CC(14), CC(15),
    STR("movs", 0xa4), STR("stos", 0xaa), STR("lods", 0xac), STR("cmps", 0xa6),
    STR("scas", 0xae),
    R("push r", 0, 0x50, G_OPREG | G_NOSIZE, 0), R("pop r", 0, 0x58, G_OPREG | G_NOSIZE, 0),
    R("push i", 0, 0x6a, G_IB | G_NOSIZE, 0), D("push rm", 0, 0xff, 6, RM | G_NOSIZE, 0),
    D("pop rm", 0, 0x8f, 0, RM | G_NOSIZE, 0),
    R("lahf", 0, 0x9f, G_NOSIZE, 0), R("sahf", 0, 0x9e, G_NOSIZE, 0),
    R("cmc", 0, 0xf5, G_NOSIZE, 0), R("clc", 0, 0xf8, G_NOSIZE, 0),
    R("stc", 0, 0xf9, G_NOSIZE, 0), R("cld", 0, 0xfc, G_NOSIZE, 0),
    B("pushfq", KI, "\x9c"), B("enter", KI, "\x55\xc8\x20\x00\x00\xc9\x5d"),
    B("enter3", KI, "\x55\xc8\x20\x00\x03\xc9\x5d"),
    B("jz+2", KI, "\x74\x02\x04\x07"), B("jc+2", KI, "\x72\x02\x04\x07"),
    B("jg+3", KI, "\x7f\x03\x80\xc2\x01"), B("jle+3", KI, "\x7e\x03\x80\xc2\x01"),
    B("js+2", KI, "\x78\x02\x34\x55"), B("jo+2", KI, "\x70\x02\x34\x55"),
    B("jp+2", KI, "\x7a\x02\x34\x55"), B("ja+2", KI, "\x77\x02\x34\x55"),
    B("call+0;pop", KI, "\xe8\x00\x00\x00\x00\x58"),
    B("jrcxz+2", KI, "\xe3\x02\x04\x07"),
    B("loop", KI, "\xb1\x05\x48\x0f\xb6\xc9\x04\x03\xe2\xfc"),
    B("ud2", KI * 0, "\x0f\x0b"),
#include "gen-vec.h"
#include "gen-avx.h"
#include "gen-x87.h"
};
const unsigned gen_nr_rows = sizeof(gen_rows) / sizeof(gen_rows[0]);
