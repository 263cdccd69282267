/*
 * Random legal instructions. RBX, RBP, R12, R13 hold pointers into the data
 * area and R14 a small index; no instruction writes them, and RSP only what moves the
 * stack, so long sequences run without faults.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <stdio.h>
#include <string.h>

#include "diff.h"
#include "gen-tables.h"
#include "qemu/sanitizer.h"

static uint64_t seed_state = 1;
bool gen_split_locks = true;
static bool have[HOST_FEATURES];

void gen_init(void)
{
    for (unsigned f = 0; f < HOST_FEATURES; f++) {
        have[f] = host_has(f);
        if (!have[f]) {
            printf("# not tried, as this host's processor does not have it: %s\n",
                   host_feature_name(f));
        }
    }
}

void rnd_seed(uint64_t seed)
{
    seed_state = seed * 2 + 1;
}

uint64_t rnd(void)
{
    /* xorshift64* */
    seed_state ^= seed_state >> 12;
    seed_state ^= seed_state << 25;
    seed_state ^= seed_state >> 27;
    return seed_state * 0x2545f4914f6cdd1dull;
}

/* Values where carries, signs and sizes meet are likelier. */
uint64_t rnd_operand(void)
{
    static const uint64_t special[] = {
        0, 1, 2, ~0ull, 0x7f, 0x80, 0xff, 0x100, 0x7fff, 0x8000, 0xffff,
        0x7fffffff, 0x80000000, 0xffffffff, 0x100000000, 0x7fffffffffffffff,
        0x8000000000000000, 0x5555555555555555, 0xaaaaaaaaaaaaaaaa,
    };
    uint64_t r = rnd();

    switch (r & 7) {
    case 0:
    case 1: return special[(r >> 8) % (sizeof(special) / 8)];
    case 2: return (r >> 8) & 0xff;
    case 3: return (int64_t)rnd() >> (rnd() & 63);
    default: return rnd();
    }
}

/* Registers that may be written. */
static unsigned pick_reg(void)
{
    static const uint8_t ok[] = { 0, 1, 2, 6, 7, 8, 9, 10, 11, 15 };

    return ok[rnd() % sizeof(ok)];
}

typedef struct Enc {
    uint8_t *p;
    unsigned n;
    uint8_t rex, modrm, sib;
    bool has_sib;
    unsigned disp_bytes;
    int32_t disp;
} Enc;

static void mem_operand(Enc *e, bool wild, unsigned align)
{
    static const uint8_t bases[] = { 3, 5, 12, 13, 4, 4 };     /* RSP may be odd words */
    unsigned base = bases[rnd() % (align ? 4 : 6)];
    unsigned how = rnd() % 4;

    /* On the host's side an address anywhere may be one of the shadow's. */
    wild = wild && !ADDRESS_SANITIZER;
    if (wild && rnd() % 2) {
        base = rnd() & 15;
    }
    e->disp = (int8_t)rnd();
    e->disp_bytes = 1;
    if (how == 0) {
        e->disp = (int32_t)(rnd() % 0x400) - 0x200;
        e->disp_bytes = 4;
    }
    if (align) {
        e->disp &= -16;
    }
    e->modrm |= e->disp_bytes == 1 ? 0x40 : 0x80;
    if (how == 1 && !align) {
        unsigned index = wild ? rnd() & 15 : 14;
        e->has_sib = true;
        e->modrm |= 4;
        if (index == 4) {
            index = 14;
        }
        e->sib = (rnd() & 0xc0) | (index & 7) << 3 | (base & 7);
        e->rex |= (index >> 3) << 1;
    } else if ((base & 7) == 4 || !(rnd() & 7)) {
        e->has_sib = true;
        e->modrm |= 4;
        e->sib = (rnd() & 0xc0) | 0x20 | (base & 7);    /* no index: the scale says nothing */
    } else {
        e->modrm |= base & 7;
    }
    e->rex |= base >> 3;
}

static void put_imm(Enc *e, uint64_t v, unsigned bytes)
{
    memcpy(e->p + e->n, &v, bytes);
    e->n += bytes;
}

static void opcode(Enc *e, const GenRow *r)
{
    if (r->map) {
        e->p[e->n++] = 0x0f;
    }
    if (r->map == 2) {
        e->p[e->n++] = 0x38;
    } else if (r->map == 3) {
        e->p[e->n++] = 0x3a;
    }
}

/* Registers of the general kind by width; byte registers may be AH to DH. */
static unsigned gpr(Enc *e, bool byte, unsigned rex_bit)
{
    unsigned r = pick_reg();

    if (byte && !e->rex && rnd() % 4 == 0) {
        static const uint8_t high[] = { 4, 5, 6 };     /* AH CH DH */
        return high[rnd() % 3];
    }
    if (r >= 8 || (byte && r >= 4)) {
        e->rex |= 0x40 | (r >= 8 ? rex_bit : 0);
    }
    return r & 7;
}

/* A VEX prefix; what REX would say is in e->rex. */
static void vex_prefix(Enc *e, const GenRow *r)
{
    unsigned v = 0, l = r->f & G_L1 || ((r->f & G_L) && rnd() % 2), pp, last;
    bool w = e->rex & 8 || r->f & G_W1;

    if (r->f & G_V) {
        v = r->f & G_VECREG ? rnd() & 15 : pick_reg();
    }
    pp = r->pfx == 0x66 ? 1 : r->pfx == 0xf3 ? 2 : r->pfx == 0xf2 ? 3 : 0;
    last = (~v & 15) << 3 | l << 2 | pp;
    if (r->map == 1 && !w && !(e->rex & 3) && rnd() % 4) {
        e->p[e->n++] = 0xc5;
        e->p[e->n++] = (e->rex & 4 ? 0 : 0x80) | last;
        return;
    }
    e->p[e->n++] = 0xc4;
    e->p[e->n++] = (~e->rex & 7) << 5 | r->map;
    e->p[e->n++] = (unsigned)w << 7 | last;
}

/* A dividend whose quotient fits, but for few divisors. */
static unsigned dividend(uint8_t *p, bool byte, bool is_signed)
{
    if (byte) {
        memcpy(p, is_signed ? "\x66\x98" : "\x0f\xb6\xc0", 3);   /* cbw; movzx eax, al */
        return is_signed ? 2 : 3;
    }
    if (is_signed) {
        memcpy(p, rnd() & 1 ? "\x48\x99" : "\x66\x99", 2);       /* cqo; cwd */
    } else {
        memcpy(p, "\x31\xd2", 2);                                /* xor edx, edx */
    }
    return 2;
}

unsigned gen_insn(uint8_t *p, GenKind kind, bool wild, uint32_t *undefined,
                  const char **name)
{
    const GenRow *r;
    Enc e = { .p = p };
    uint8_t op;
    unsigned size, osize;
    bool byte, mem, locked, align, sized;

    do {
        r = &gen_rows[rnd() % gen_nr_rows];
    } while (!(r->kind & (1u << kind)) || (wild ? r->f & G_TAME : r->f & G_WILD) ||
             !have[r->need]);
    *name = r->name;
    *undefined = r->undef;
    if (r->f & G_FIXED) {
        memcpy(p, r->bytes, r->op);
        return r->op;
    }
    if (r->f & G_X87REG) {
        p[0] = r->op | (rnd() & 7);
        p[1] = 0xc0 | (rnd() & 63);
        return 2;
    }
    if (r->f & G_STRING) {
        /* mov ecx, n; lea rsi, [rbx+d]; lea rdi, [r12+d]; [cld|std] */
        p[e.n++] = 0xb9; put_imm(&e, rnd() % 24, 4);
        memcpy(p + e.n, "\x48\x8d\x73", 3); e.n += 3; p[e.n++] = rnd();
        memcpy(p + e.n, "\x49\x8d\x7c\x24", 4); e.n += 4; p[e.n++] = rnd();
        p[e.n++] = rnd() % 4 ? 0xfc : 0xfd;
    }
    if ((r->f & G_DIV) && rnd() % 8) {
        e.n += dividend(p + e.n, r->f & G_BYTE, r->digit == 7);
    }
    byte = r->f & G_BYTE;
    sized = !(r->f & G_NOSIZE) && (!byte || (r->f & G_REGWIDE));
    size = rnd() % 3;                   /* 16, 32, 64 */
    if (r->f & G_NO16) {
        size = 1 + (rnd() & 1);
    }
    osize = size;
    mem = (r->f & G_MEM) && ((r->f & G_MEMONLY) || rnd() % 3 == 0);
    locked = mem && (r->f & G_LOCK) && rnd() % 4 == 0;
    if (r->pfx && !(r->f & G_VEX)) {
        p[e.n++] = r->pfx;
    }
    if (locked) {
        p[e.n++] = 0xf0;
    }
    if ((r->f & G_STRING) && rnd() % 2) {
        p[e.n++] = rnd() & 1 ? 0xf2 : 0xf3;
    }
    if (sized && size == 0) {
        p[e.n++] = 0x66;
    }
    if (sized && size == 2) {
        e.rex = 0x48;
    }
    if ((r->f & G_REXW) && (rnd() & 1)) {
        e.rex = 0x48;
        osize = 2;
    }
    op = r->op;
    if (r->f & G_OPREG) {
        unsigned n = pick_reg();
        op |= n & 7;
        e.rex |= n >= 8 ? 0x41 : byte && n >= 4 ? 0x40 : 0;
    } else if (r->f & G_MODRM) {
        if (r->f & G_VECREG) {
            e.modrm = (rnd() & 7) << 3;
            e.rex |= !(r->f & G_MMX) && (rnd() & 1) ? 0x44 : 0;
        } else if (r->digit >= 0) {
            e.modrm = r->digit << 3;
        } else {
            e.modrm = gpr(&e, byte && !(r->f & G_REGWIDE), 4) << 3;
        }
        if (mem) {
            if (byte && (e.modrm >> 3) >= 4 && r->digit < 0 && !e.rex &&
                !(r->f & G_REGWIDE)) {
                e.modrm = 0;    /* a base of R8 up would turn AH into SPL */
            }
            align = (r->f & G_ALIGN) && rnd() % 200;
            align |= !gen_split_locks && (locked || (r->f & G_ATOMIC));
            mem_operand(&e, wild, align);
        } else if (r->f & G_VECRM) {
            e.modrm |= 0xc0 | (rnd() & 7);
            e.rex |= !(r->f & G_MMX) && (rnd() & 1) ? 0x41 : 0;
        } else {
            bool b = byte && !(r->f & G_RMWIDE);
            uint8_t before = e.rex;
            unsigned n = gpr(&e, b, 1);
            /* A REX that came late renames AH to DH: avoid RSP and RBP. */
            if (byte && !before && e.rex && r->digit < 0 &&
                (e.modrm >> 3) >= 4 && !(r->f & G_REGWIDE)) {
                e.modrm = 0;
            }
            e.modrm |= 0xc0 | n;
        }
    }
    if (r->f & G_VEX) {
        vex_prefix(&e, r);
    } else {
        if (e.rex) {
            e.rex |= 0x40;
            p[e.n++] = e.rex;
        }
        opcode(&e, r);
    }
    p[e.n++] = op;
    if (r->f & G_MODRM) {
        p[e.n++] = e.modrm;
        if (e.has_sib) {
            p[e.n++] = e.sib;
        }
        if (mem) {
            put_imm(&e, (uint64_t)(int64_t)e.disp, e.disp_bytes);
        }
    }
    if (r->f & G_IB) {
        put_imm(&e, r->f & G_IMM64 ? rnd() & 0x3f : rnd_operand(), 1);
    }
    if (r->f & G_IZ) {
        put_imm(&e, rnd_operand(), byte ? 1 : osize == 0 ? 2 : 4);
    }
    if (r->f & G_IV) {
        put_imm(&e, rnd_operand(), byte ? 1 : osize == 0 ? 2 : osize == 1 ? 4 : 8);
    }
    return e.n;
}
