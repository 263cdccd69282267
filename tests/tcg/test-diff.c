/*
 * Compares the software CPU with the host's own CPU on random code. Usage:
 * test-diff [SEED [CASES [KINDS [LENGTH]]]]; with JIT=1 in the environment by way of the
 * translator.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "diff.h"

#define FLAGS 0xcd5u        /* CF PF AF ZF SF DF OF */
#define MAX_INSNS 16
#define DATA_CHECK 0x1800   /* bytes around the pointers that are compared */

typedef struct Case {
    uint8_t code[1024];
    unsigned len, n;
    unsigned at[MAX_INSNS + 1];
    const char *names[MAX_INSNS];
    uint32_t undefined;     /* flags of the last instruction */
} Case;

static unsigned failures;
static unsigned max_insns = MAX_INSNS;
static bool intel;          /* the host's CPU */

/*
 * A branch over an instruction that leaves a trace: on the flags just made, or
 * on those of a comparison of its own (often of a register with itself).
 */
static unsigned put_branch(uint8_t *p)
{
    static const uint8_t ops[] = { 0x38, 0x39, 0x3a, 0x3b, 0x84, 0x85, 0x83 };
    static const uint8_t branch[] = { 0x70, 4, 0x48, 0x8d, 0x40, 1 };
    unsigned n = 0;

    if (rnd() % 2) {
        uint8_t op = ops[rnd() % sizeof(ops)];

        p[n++] = 0x40 | (rnd() & 13);       /* REX: no second 66, no index */
        p[n++] = op;
        p[n++] = 0xc0 | (op == 0x83 ? 7 << 3 : (rnd() & 7) << 3) | (rnd() & 7);
        if (op == 0x83) {
            p[n++] = rnd();
        }
    }
    memcpy(p + n, branch, sizeof(branch));  /* jcc; lea rax, [rax+1] */
    p[n] |= rnd() & 15;
    return n + sizeof(branch);
}

/* An access to a table by an index that has been loaded: movzx eax, [rbx+d]; op [rbx+rax*n+d]. */
static unsigned put_table(uint8_t *p)
{
    static const uint8_t ops[] = { 0x01, 0x03, 0x39, 0x3b, 0x89, 0x8b };
    const uint8_t code[] = {
        0x0f, 0xb6, 0x43, (uint8_t)rnd(), 0x40 | (rnd() & 8), ops[rnd() % sizeof(ops)], 0x4c,
        (uint8_t)(rnd() % 4 << 6 | 3), (uint8_t)rnd(),
    };

    memcpy(p, code, sizeof(code));
    return sizeof(code);
}

/*
 * Back to the beginning while R14, which is 0 to 63, has something left: by what makes flags. With
 * two such branches it may be less than 0.
 */
static void put_loop(Case *k, bool twice)
{
    static const struct { const char *code; uint8_t n, jcc, jcc_signed; } ways[] = {
        { "\x49\x83\xee\x10", 4, 0x87, 0x8f },                    /* sub r14, 16; ja, jg */
        { "\x41\x80\xee\x10", 4, 0x83, 0 },                       /* sub r14b, 16; jae */
        { "\x49\x83\xfe\x10\x4d\x8d\x76\xf0", 8, 0x83, 0x8d },  /* cmp; lea; jae, jge */
        { "\x4d\x8d\x76\xf0\x4d\x85\xf6", 7, 0x89, 0x89 },       /* lea; test; jns */
        { "\x4d\x8d\x76\xf1\x49\xff\xce", 7, 0x89, 0x89 },       /* lea; dec; jns */
        /* lea; mov [rsp-64], r14; cmp qword [rsp-64], 0; jge */
        { "\x4d\x8d\x76\xf0\x4c\x89\x74\x24\xc0\x48\x83\x7c\x24\xc0\x00", 15, 0x8d, 0x8d },
    };
    unsigned w = rnd() % (sizeof(ways) / sizeof(ways[0]));
    int32_t back;

    w = twice && !ways[w].jcc_signed ? 0 : w;
    if (k->undefined) {
        memcpy(k->code + k->len, "\x39\xc8", 2);
        k->len += 2;
    }
    memcpy(k->code + k->len, ways[w].code, ways[w].n);
    k->len += ways[w].n;
    k->code[k->len++] = 0x0f;
    k->code[k->len++] = twice ? ways[w].jcc_signed : ways[w].jcc;
    back = -(int32_t)(k->len + 4);
    memcpy(k->code + k->len, &back, 4);
    k->len += 4;
    k->undefined = 0;
}

static void make_case(Case *k, GenKind kind, bool wild)
{
    unsigned want = wild || max_insns == 1 ? 1 : 1 + rnd() % max_insns;
    bool twice = false;

    k->len = k->n = 0;
    k->undefined = 0;
    while (k->n < want) {
        uint32_t u;

        if (k->undefined) {
            /* Nobody may see undefined flags: define them (cmp eax, ecx). */
            memcpy(k->code + k->len, "\x39\xc8", 2);
            k->len += 2;
        }
        k->at[k->n] = k->len;
        k->len += gen_insn(k->code + k->len, kind, wild, &u, &k->names[k->n]);
        if (max_insns > 1 && !wild && !(u & ~0x10u) && rnd() % 4 == 0) {
            k->len += put_branch(k->code + k->len);
        }
        if (max_insns > 1 && !wild && rnd() % 8 == 0) {
            k->len += put_table(k->code + k->len);
        }
        k->undefined = u;
        k->n++;
        if (max_insns > 1 && !wild && rnd() % 32 == 0 && !twice) {
            twice = true;       /* and perhaps once more at the end */
            put_loop(k, true);
        }
    }
    k->at[k->n] = k->len;
    if (max_insns > 1 && !wild && rnd() % 4 == 0) {
        put_loop(k, twice);
    }
}

/* 16 of them, of 16 bytes. */
static void random_vectors(uint8_t *to)
{
    for (unsigned i = 0; i < 32; i++) {
        uint64_t v = rnd_operand();
        double d = (double)(int64_t)(rnd() >> 40) / (1 + (rnd() & 15));

        switch (rnd() % 4) {
        case 0: {
            float f[2] = { (float)d, (float)(int32_t)rnd() };
            memcpy(&v, f, 8);
            break;
        }
        case 1: memcpy(&v, &d, 8); break;
        default: break;
        }
        memcpy(to + 8 * i, &v, 8);
    }
}

static void random_fx(uint8_t *fx)
{
    uint32_t mxcsr = 0x1f80 | (rnd() & 0xe040);
    uint16_t fcw = 0x37f | (rnd() & 0xc00), fsw = (rnd() & 7) << 11;

    memset(fx, 0, 512);
    if (rnd() % 2) {
        mxcsr = 0x1f80;
        fcw = 0x37f;
    }
    if (rnd() % 16 == 0 && intel) {
        /* Unmasked exceptions: not tried on AMD yet. Of SSE without OM and UM. */
        fcw &= ~(rnd() & 0x3f);
        mxcsr &= ~((rnd() & 0x27) << 7);
    }
    memcpy(fx, &fcw, 2);
    memcpy(fx + 2, &fsw, 2);
    fx[4] = rnd() % 4 ? 0xff : rnd();
    memcpy(fx + 24, &mxcsr, 4);
    for (unsigned i = 0; i < 8; i++) {
        uint64_t m = rnd_operand();
        uint16_t e = rnd() % 3 ? 0x3fff - 20 + rnd() % 40 : rnd();

        if (rnd() % 8) {
            m |= 1ull << 63;
        }
        memcpy(fx + 32 + 16 * i, &m, 8);
        memcpy(fx + 40 + 16 * i, &e, 2);
    }
    random_vectors(fx + 160);
}

static void random_state(CaseState *st, bool wild)
{
    for (unsigned i = 0; i < 16; i++) {
        st->regs[i] = rnd_operand();
    }
    uint64_t mid = DATA_VA + DATA_SIZE / 2, edge = gen_split_locks ? 0x3f : 0x30;
    st->regs[3] = mid + (rnd() & 0xff0);
    st->regs[5] = mid - (rnd() & 0xff0);
    st->regs[12] = mid + (rnd() & 0x3f0);
    st->regs[13] = mid - (rnd() & 0x3f0);
    st->regs[14] = rnd() & 63;
    st->regs[4] = mid + 0x200 + (rnd() & 0xf8);
    if (wild && rnd() % 2) {
        /* At the edges of the area. */
        st->regs[rnd() % 2 ? 3 : 12] = (rnd() % 2 ? DATA_VA : DATA_VA + DATA_SIZE) +
                                       (rnd() & edge) - 0x20;
    }
    st->flags = 0x202 | (rnd() & (FLAGS & ~0x400u));
    st->rip = CODE_VA;
    random_fx(st->fx.b);
    random_vectors(st->ymmh);
}

/* DPPS and DPPD: which partial sum raises an unmasked exception is not modelled. */
static void mask_dot_products(const Case *k, CaseState *st)
{
    for (unsigned i = 0; i < k->n; i++) {
        if (strstr(k->names[i], "dpp")) {
            *(uint32_t *)(st->fx.b + 24) |= 0x1f80;
        }
    }
}

static bool fx_equal(const CaseState *h, const CaseState *e)
{
    /* Not the x87 instruction and data pointers, opcode; nor reserved parts. */
    return memcmp(h->fx.b + 160, e->fx.b + 160, 256) == 0 &&
           memcmp(h->fx.b, e->fx.b, 5) == 0 &&
           (*(uint32_t *)(h->fx.b + 24) & 0xffff) ==
           (*(uint32_t *)(e->fx.b + 24) & 0xffff) &&
           memcmp(h->fx.b + 32, e->fx.b + 32, 128) == 0 &&
           memcmp(h->ymmh, e->ymmh, sizeof(h->ymmh)) == 0;
}

static bool same(const CaseState *h, const CaseState *e, uint32_t undefined)
{
    uint64_t mask = FLAGS & ~undefined;

    if (h->trap != e->trap || h->rip != e->rip) {
        return false;
    }
    /* The host has pages in its kernel's half. */
    uint32_t p = h->trap == 14 && h->cr2 >> 47 ? 1 : 0;

    if (h->trap >= 0 && ((h->error | p) != (e->error | p) ||
                         (h->trap == 14 && h->cr2 != e->cr2))) {
        return false;
    }
    return memcmp(h->regs, e->regs, sizeof(h->regs)) == 0 &&
           ((h->flags ^ e->flags) & mask) == 0 && fx_equal(h, e);
}

/*
 * Intel's CPUs make TOP 0 for an MMX store even when its address faults, and fill
 * all tags as well for CVTPS2PI and its kin when they raise #XM; AMD's, and ours,
 * leave all as it was.
 */
static void enter_mmx(CaseState *st, bool fill)
{
    uint8_t *fx = st->fx.b, regs[8 * 16];
    unsigned top = fx[3] >> 3 & 7;

    for (unsigned i = 0; i < 8; i++) {
        memcpy(regs + 16 * ((top + i) & 7), fx + 32 + 16 * i, 16);
    }
    memcpy(fx + 32, regs, sizeof(regs));
    fx[3] &= ~(7 << 3);
    fx[4] = fill ? 0xff : fx[4];
}

static bool same_on_intel(const Case *k, const CaseState *h, const CaseState *e)
{
    CaseState as_intel = *e;
    unsigned i = 0;

    while (i < k->n && CODE_VA + k->at[i] != h->rip) {
        i++;
    }
    if (h->trap < 0 || i == k->n ||
        !(strstr(k->names[i], "mmx") || strstr(k->names[i], "2pi") ||
          strstr(k->names[i], "pi2p"))) {
        return false;
    }
    enter_mmx(&as_intel, h->trap == 19);
    return same(h, &as_intel, 0xffffffff);
}

static void print_fx(const CaseState *st, const CaseState *h, const CaseState *e)
{
    printf("  mxcsr %04x host %04x emul %04x; fcw/fsw/tag host %04x %04x %02x "
           "emul %04x %04x %02x before %04x %04x %02x\n",
           *(uint32_t *)(st->fx.b + 24), *(uint32_t *)(h->fx.b + 24),
           *(uint32_t *)(e->fx.b + 24), *(uint16_t *)h->fx.b,
           *(uint16_t *)(h->fx.b + 2), h->fx.b[4], *(uint16_t *)e->fx.b,
           *(uint16_t *)(e->fx.b + 2), e->fx.b[4], *(uint16_t *)st->fx.b,
           *(uint16_t *)(st->fx.b + 2), st->fx.b[4]);
    for (unsigned i = 0; i < 24; i++) {
        const uint64_t *a = (const uint64_t *)(h->fx.b + 32 + 16 * i);
        const uint64_t *b = (const uint64_t *)(e->fx.b + 32 + 16 * i);
        const uint64_t *s = (const uint64_t *)(st->fx.b + 32 + 16 * i);

        if (memcmp(a, b, 16)) {
            printf("  %s%u: before %016lx:%016lx host %016lx:%016lx emul %016lx:%016lx\n",
                   i < 8 ? "st" : "xmm", i < 8 ? i : i - 8, s[1], s[0], a[1],
                   a[0], b[1], b[0]);
        }
    }
}

static void print_upper(const CaseState *st, const CaseState *h, const CaseState *e)
{
    for (unsigned i = 0; i < 16; i++) {
        const uint64_t *a = (const uint64_t *)(h->ymmh + 16 * i);
        const uint64_t *b = (const uint64_t *)(e->ymmh + 16 * i);
        const uint64_t *s = (const uint64_t *)(st->ymmh + 16 * i);

        if (memcmp(a, b, 16)) {
            printf("  ymm%u, upper half: before %016lx:%016lx host %016lx:%016lx emul "
                   "%016lx:%016lx\n", i, s[1], s[0], a[1], a[0], b[1], b[0]);
        }
    }
}

static void report(const Case *k, const CaseState *st, const CaseState *h,
                   const CaseState *e, uint64_t seed)
{
    printf("MISMATCH seed %lu:", seed);
    for (unsigned i = 0; i < k->n; i++) {
        printf(" %s;", k->names[i]);
    }
    printf("\n  code:");
    for (unsigned i = 0; i < k->len; i++) {
        printf(" %02x", k->code[i]);
    }
    printf("\n  trap host %d err %x cr2 %lx rip %lx; emul %d err %x cr2 %lx rip %lx\n",
           h->trap, h->error, h->cr2, h->rip, e->trap, e->error, e->cr2, e->rip);
    printf("  flags before %lx host %lx emul %lx undefined %x\n", st->flags,
           h->flags, e->flags, k->undefined);
    for (unsigned i = 0; i < 16; i++) {
        if (h->regs[i] != e->regs[i]) {
            printf("  reg %u: before %lx host %lx emul %lx\n", i, st->regs[i],
                   h->regs[i], e->regs[i]);
        }
    }
    if (memcmp(host_data, emul_data, DATA_SIZE)) {
        unsigned i = 0;

        while (host_data[i] == emul_data[i]) {
            i++;
        }
        printf("  memory at %lx: host %02x emul %02x\n", DATA_VA + i,
               host_data[i], emul_data[i]);
    }
    print_fx(st, h, e);
    print_upper(st, h, e);
}

static void run_both(const Case *k, const CaseState *st, CaseState *h, CaseState *e)
{
    uint64_t end = CODE_VA + k->len;

    memcpy(host_code, k->code, k->len);
    host_exit_code(host_code + k->len);
    memcpy(emul_code, k->code, k->len);
    emul_code[k->len] = 0xf4;
    emul_code_changed();
    *h = *e = *st;
    host_run(h);
    if (h->trap < 0) {
        h->rip = end;
    }
    emul_run(e, end);
}

/* A wild address can be one where this process has memory: the host finds something there. */
static bool found_ours(const CaseState *h, const CaseState *e)
{
    uint64_t page = e->cr2 & ~0xfffull;
    unsigned char in_core;

    return h->trap < 0 && e->trap == 14 &&
           page - CODE_VA >= CODE_SIZE && page - DATA_VA >= DATA_SIZE &&
           mincore((void *)page, 1, &in_core) == 0;
}

/* A failing sequence is cut to its first wrong instruction. */
static bool run_case(const Case *k, const CaseState *st, uint64_t seed,
                     bool check_mem)
{
    CaseState h, e;
    bool good = true;

    run_both(k, st, &h, &e);
    if ((same(&h, &e, h.trap < 0 ? k->undefined : 0xffffffff) ||
         (intel && same_on_intel(k, &h, &e))) &&
        (!check_mem || !memcmp(host_data, emul_data, DATA_SIZE))) {
        return true;
    }
    if (!found_ours(&h, &e)) {
        report(k, st, &h, &e, seed);
        good = false;
    }
    memcpy(emul_data, host_data, DATA_SIZE);
    return good;
}

static void random_data(void)
{
    for (unsigned i = 0; i < DATA_SIZE; i += 8) {
        uint64_t v = rnd_operand();

        memcpy(host_data + i, &v, 8);
    }
    memcpy(emul_data, host_data, DATA_SIZE);
}

int main(int argc, char **argv)
{
    uint64_t seed = argc > 1 ? strtoull(argv[1], NULL, 0) : 1;
    uint64_t cases = argc > 2 ? strtoull(argv[2], NULL, 0) : 1000000, done = 0, i;
    unsigned kinds = argc > 3 ? strtoul(argv[3], NULL, 0) : 7;
    Case k;
    CaseState st;

    if (argc > 4) {
        max_insns = strtoul(argv[4], NULL, 0);
    }

    if (!host_init() || !mutate_init()) {
        return 1;
    }
    if (!emul_init(getenv("JIT"))) {
        printf("1..0 # SKIP no translator\n");
        return 77;
    }
    intel = host_is_intel();
    gen_init();
    gen_split_locks = !host_punishes_split_locks();
    for (i = 0; done < cases && failures < 20; i++) {
        bool wild = i % 512 == 0;
        GenKind kind;

        rnd_seed(seed * 1000000007 + i);
        rnd();
        if (i % 64 == 0) {
            random_data();
        }
        do {
            kind = rnd() % 4;
        } while (kind != GEN_ALL && !(kinds & (1u << kind)));
        if (kind == GEN_ALL && kinds != 7) {
            kind = kinds & 1 ? GEN_INT : kinds & 2 ? GEN_SSE : GEN_X87;
        }
        make_case(&k, kind, wild);
        random_state(&st, wild);
        mask_dot_products(&k, &st);
        failures += !run_case(&k, &st, i, i % 16 == 0 || wild);
        done += k.n;
    }
    printf("%lu instructions in %lu sequences, %u failures\n", done, i, failures);
    return !mutate_done() ? 77 : failures != 0;
}
