/*
 * Sweeps opcodes, prefixes and ModRM bytes, and compares the decoder's idea of
 * length and validity with the host's: an instruction is put right before an
 * unmapped page with 1, 2, 3… of its bytes present; as long as bytes are missing
 * the host's fetch faults.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "diff.h"
#include "target/i386/tcg/decode/insn.h"
#include "target/i386/tcg/decode/optabs.h"
#include "target/i386/tcg/ops/vex.h"

#define END (CODE_VA + CODE_SIZE)

typedef struct Tally {
    bool intel;
    unsigned tried, same, both_invalid, host_only, late, wrong;
} Tally;

/* Instructions that would end or damage this process. */
static bool dangerous(unsigned map, uint8_t op)
{
    static const uint8_t two[] = {
        0x05, 0x34, 0x07, 0x35, 0xa1, 0xa9, 0xb4, 0xb5, 0xae, 0xc7, 0x01,
    };

    if (map == 0) {
        return op == 0xcd || op == 0xcc || op == 0xf1 || op == 0x8e ||
               op == 0x9d || op == 0xcf || op == 0xca || op == 0xcb;
    }
    return map == 1 && memchr(two, op, sizeof(two));
}

/* Functions that refuse some of their encodings when they are executed. */
static bool checks_late(const X86Op *op)
{
    return op->fn == op_mov_from_seg ||
           op->fn == op_mov_from_cr || op->fn == op_mov_to_cr ||
           op->fn == op_mov_from_dr || op->fn == op_mov_to_dr || op->fn == op_vgather;
}

/* Length on the host, or 0: #UD. */
static unsigned host_length(const uint8_t *insn)
{
    CaseState st;

    for (unsigned n = 1; n <= X86_INSN_MAX; n++) {
        memset(&st, 0, sizeof(st));
        memcpy(st.fx.b, "\x7f\x03", 2);
        memcpy(st.fx.b + 24, "\x80\x1f", 2);
        st.flags = 0x202;
        st.rip = END - n;
        memcpy((void *)(END - n), insn, n);
        host_run(&st);
        if (st.trap == 6 && st.rip == END - n) {
            return 0;
        }
        if (!(st.trap == 14 && st.rip == END - n && st.cr2 == END &&
              (st.error & 0x10))) {
            return n;
        }
    }
    return X86_INSN_MAX + 1;
}

/*
 * Near branches in 64-bit code: a 66 prefix makes their distance 16 bits on AMD
 * (as here), while Intel ignores it and reads 32 bits.
 */
static unsigned length_on_intel(const uint8_t *insn, const X86Op *op)
{
    bool two = insn[1] == 0x0f && (insn[2] & 0xf0) == 0x80;
    bool one = insn[1] == 0xe8 || insn[1] == 0xe9;

    return op->len + (insn[0] == 0x66 && (one || two) ? 2 : 0);
}

static void compare(const uint8_t *insn, Tally *t, bool verbose)
{
    X86Op op;
    int attr = x86_decode(insn, X86_INSN_MAX, CODE64, 0, &op);
    bool ours_ud = attr < 0 || op.fn == op_ud;
    unsigned host = host_length(insn);
    unsigned want = t->intel ? length_on_intel(insn, &op) : op.len;

    t->tried++;
    if (host == 0 && ours_ud) {
        t->both_invalid++;
    } else if (host != 0 && ours_ud) {
        t->host_only++;         /* a feature we do not offer */
    } else if (host == 0 && checks_late(&op)) {
        t->late++;
    } else if (host != want) {
        t->wrong++;
        if (verbose) {
            printf("host %u ours %u (%u expected there):", host, op.len, want);
            for (unsigned i = 0; i < 8; i++) {
                printf(" %02x", insn[i]);
            }
            printf("\n");
        }
    } else {
        t->same++;
    }
}

static void sweep_opcode(const uint8_t *head, unsigned n, unsigned step,
                         Tally *t)
{
    uint8_t insn[X86_INSN_MAX];

    /* Short branches: a distance of 0 alone, as others could make loops. */
    uint8_t op = head[n - 1];
    bool branch = (op & 0xf0) == 0x70 || (op & 0xfc) == 0xe0 || op == 0xeb;

    for (unsigned modrm = 0; modrm < 256; modrm += branch ? 256 : step) {
        memset(insn, 0, sizeof(insn));
        memcpy(insn, head, n);
        insn[n] = modrm;
        if ((modrm & 7) == 4) {
            insn[n + 1] = modrm * 37;   /* SIB */
        }
        compare(insn, t, t->wrong < 20);
    }
}

/* Does the host have all that we may have? */
static bool host_is_whole(void)
{
    for (unsigned f = 0; f < HOST_FEATURES; f++) {
        if (!host_has(f)) {
            printf("# VEX prefixes not tried: this host's processor has no %s\n",
                   host_feature_name(f));
            return false;
        }
    }
    return true;
}

/* VEX prefixes in both forms, some behind prefixes that they do not allow, or with registers. */
static void sweep_vex(unsigned step, Tally *t)
{
    static const uint8_t before[] = { 0x66, 0xf2, 0xf3, 0xf0, 0x48, 0x2e, 0x67, 0x66 };

    for (unsigned n = 0; n < 3 * 16 * 256; n++) {
        uint8_t map = 1 + n / 4096, last = (n >> 8 & 7) | (n & 0x800) >> 4, op = n;
        unsigned r = n * 0x9e3779b1u >> 16;     /* as good as random */
        uint8_t head[8], *p = head;

        if (r % 4 == 0) {
            *p++ = before[r >> 4 & 7];
        }
        last |= r & 0x300 ? 0x78 : r & 0x78;
        if (map == 1 && !(last & 0x80) && r & 0x400) {
            *p++ = 0xc5;
            *p++ = last | (r & 0x80);
        } else {
            *p++ = 0xc4;
            *p++ = map | 0x60 | (r & 0x80);
            *p++ = last;
        }
        *p++ = op;
        sweep_opcode(head, p - head, step, t);
    }
}

int main(int argc, char **argv)
{
    static const char *const prefixes[] = {
        "", "\x66", "\xf2", "\xf3", "\x48", "\x67", "\x66\x48", "\x2e",
    };
    static const char *const maps[] = { "", "\x0f", "\x0f\x38", "\x0f\x3a" };
    unsigned step = argc > 1 ? strtoul(argv[1], NULL, 0) : 7;
    Tally t = { 0 };

    if (!host_init()) {
        return 1;
    }
    t.intel = host_is_intel();
    for (unsigned m = 0; m < 4; m++) {
        for (unsigned p = 0; p < 8; p++) {
            for (unsigned op = 0; op < 256; op++) {
                uint8_t head[8];
                unsigned n = strlen(prefixes[p]);

                if (dangerous(m, op) || (m == 0 && op == 0x0f)) {
                    continue;
                }
                memcpy(head, prefixes[p], n);
                memcpy(head + n, maps[m], strlen(maps[m]));
                n += strlen(maps[m]);
                head[n++] = op;
                sweep_opcode(head, n, step, &t);
            }
        }
    }
    if (host_is_whole()) {
        sweep_vex(3 * step, &t);
    }
    printf("%u encodings: %u alike, %u invalid on both, %u only on the host, "
           "%u refused later, %u wrong\n", t.tried, t.same, t.both_invalid,
           t.host_only, t.late, t.wrong);
    return t.wrong != 0 || t.same < t.tried / 4;
}
