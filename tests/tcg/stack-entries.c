/*
 * The instructions of test-stack: all that the decoder's maps lead to.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <assert.h>
#include <string.h>

#include "stack-entries.h"
#include "target/i386/tcg/decode/optabs.h"

/* What needs preparation, or was once wrong. */
static const struct Special {
    const char *bytes;
    uint8_t len;
    enum { BOTH, ONLY64, ONLY32 } where;
    bool often;
} specials[] = {
#define SPECIAL(where, often, bytes) { bytes, sizeof(bytes) - 1, where, often }
    SPECIAL(BOTH, true, "\x31\xc0\x31\xc9\x0f\xa2"),                    /* CPUID */
    SPECIAL(BOTH, true, "\x0f\xc7\xf0"),                                /* RDRAND */
    SPECIAL(BOTH, true, "\x0f\xc7\xf8"),                                /* RDSEED */
    SPECIAL(BOTH, true, "\xf3\x0f\xc7\xf8"),                            /* RDPID */
    SPECIAL(BOTH, true, "\x0f\x01\xf9"),                                /* RDTSCP */
    SPECIAL(BOTH, true, "\xb9\x20\x00\x00\x00\x0f\x02\xc1"),            /* LAR */
    SPECIAL(BOTH, true, "\xb9\x20\x00\x00\x00\x0f\x03\xc1"),            /* LSL */
    SPECIAL(BOTH, true, "\xb9\x20\x00\x00\x00\x0f\x00\xe1"),            /* VERR */
    SPECIAL(BOTH, true, "\xb9\x20\x00\x00\x00\x0f\x00\xe9"),            /* VERW */
    SPECIAL(BOTH, true, "\xb9\x3b\x00\x00\x00\x0f\x02\xc1"),            /* LAR, of CPL 3 */
    SPECIAL(BOTH, true, "\xb9\x3b\x00\x00\x00\x0f\x00\xe9"),            /* VERW, of CPL 3 */
    SPECIAL(BOTH, true, "\xb9\x10\x00\x00\x00\x0f\x32"),                /* RDMSR: TSC */
    SPECIAL(BOTH, false, "\xb9\x81\x00\x00\xc0\x0f\x32\x0f\x30"),       /* WRMSR: STAR */
    SPECIAL(BOTH, false, "\x0f\x20\xc0\x0f\x22\xc0"),                   /* MOV CR0 */
    SPECIAL(BOTH, false, "\x0f\x20\xd0\x0f\x22\xd0"),                   /* MOV CR2 */
    SPECIAL(BOTH, false, "\x0f\x20\xd8\x0f\x22\xd8"),                   /* MOV CR3 */
    SPECIAL(BOTH, false, "\x0f\x20\xe0\x0f\x22\xe0"),                   /* MOV CR4 */
    SPECIAL(ONLY64, false, "\x44\x0f\x20\xc0\x44\x0f\x22\xc0"),         /* MOV CR8 */
    SPECIAL(BOTH, false, "\x31\xc0\x0f\x23\xc0\x0f\x21\xc0"),           /* MOV DR0 */
    SPECIAL(BOTH, false, "\x31\xc0\x0f\x23\xf0\x0f\x21\xf0"),           /* MOV DR6 */
    SPECIAL(BOTH, false, "\x31\xc0\x0f\x23\xf8\x0f\x21\xf8"),           /* MOV DR7 */
    SPECIAL(BOTH, false, "\x0f\x01\xe0\x0f\x01\xf0"),                   /* SMSW, LMSW */
    SPECIAL(BOTH, false, "\x0f\x01\x03\x0f\x01\x13"),                   /* SGDT, LGDT */
    SPECIAL(BOTH, false, "\x0f\x01\x0b\x0f\x01\x1b"),                   /* SIDT, LIDT */
    SPECIAL(BOTH, false, "\x31\xc0\x0f\x00\xd0\x0f\x00\xc0"),           /* LLDT, SLDT */
    /* LTR, of a TSS that was made available. */
    SPECIAL(BOTH, false, "\xc6\x04\x25\x55\x40\x00\x00\x89\xb8\x50\x00\x00\x00\x0f\x00\xd8"),
    SPECIAL(BOTH, false, "\x8c\xd0\x8e\xd0"),                           /* MOV SS */
    SPECIAL(BOTH, false, "\x8c\xd8\x8e\xd8"),                           /* MOV DS */
    SPECIAL(ONLY32, false, "\x16\x17"),                                 /* PUSH, POP SS */
    SPECIAL(ONLY64, false, "\x0f\xa8\x0f\xa9"),                         /* PUSH, POP GS */
    SPECIAL(BOTH, false, "\xfb\x90\xfa"),                               /* STI, CLI */
    SPECIAL(BOTH, false, "\x9c\x9d"),                                   /* PUSHF, POPF */
    /* POPF that sets TF. */
    SPECIAL(BOTH, false, "\x9c\x81\x0c\x24\x00\x01\x00\x00\x9d\x90\x90"),
    SPECIAL(ONLY64, false, "\xbc\x00\x70\x00\x00\x48\xcf"),             /* IRET to the loop */
    SPECIAL(ONLY64, false, "\x8c\xc8\x50\x68\x00\x00\x01\x00\x48\xcb"), /* RETF to the loop */
    SPECIAL(ONLY32, false, "\x9c\x0e\x68\x00\x00\x01\x00\xcf"),         /* IRET */
    SPECIAL(ONLY32, false, "\x0e\x68\x00\x00\x01\x00\xcb"),             /* RETF */
    SPECIAL(BOTH, false, "\x8c\x4b\x04\xff\x2b"),                       /* JMP far */
    SPECIAL(BOTH, false, "\x8c\x4b\x04\xff\x1b"),                       /* CALL far */
    SPECIAL(BOTH, false, "\xb8\x00\x00\x01\x00\xff\xe0"),               /* JMP rax */
    SPECIAL(BOTH, false, "\xb8\x00\x00\x01\x00\xff\xd0"),               /* CALL rax */
    SPECIAL(BOTH, false, "\xe8\x00\x00\x00\x00\xc7\x04\x24\x00\x00\x01\x00\xc3"),  /* CALL, RET */
    SPECIAL(ONLY64, false, "\xb9\x00\x00\x01\x00\x9c\x41\x5b\x48\x0f\x07"),     /* SYSRET */
    SPECIAL(BOTH, false, "\x31\xc9\x0f\x01\xd0\x0f\x01\xd1"),           /* XGETBV, XSETBV */
    /* XSAVE, XRSTOR, with a header of zeroes. */
    SPECIAL(BOTH, false, "\xbb\x00\x10\x04\x00\x31\xd2\xb8\x03\x00\x00\x00"
                         "\x0f\xae\x23\x0f\xae\x2b"),
    SPECIAL(BOTH, false, "\x0f\xae\x03\x0f\xae\x0b"),                   /* FXSAVE, FXRSTOR */
    SPECIAL(BOTH, false, "\x0f\xae\x1b\x0f\xae\x13"),                   /* STMXCSR, LDMXCSR */
    SPECIAL(BOTH, false, "\xdd\x33\xdd\x23"),                           /* FNSAVE, FRSTOR */
    /* IDIV of the smallest dividend by -1. */
    SPECIAL(ONLY64, false, "\x31\xc0\x48\xba\x00\x00\x00\x00\x00\x00\x00\x80"
                           "\x48\x83\xc9\xff\x48\xf7\xf9"),
    SPECIAL(BOTH, false, "\xcd\x20"),                                   /* INT */
    SPECIAL(BOTH, false, "\xb8\x80\x00\x00\x00\x0f\x22\xc0\x0f\x0b"),   /* CR0 that is none */
};

typedef struct Sweep {
    Entry *entries;
    X86Op ops[MAX_ENTRIES];     /* of these */
    unsigned n;
    bool code64;
} Sweep;

/* What makes another form of an operation; REP does where it is not part of the opcode. */
static unsigned flags_of(const X86Op *op)
{
    bool string = op->fn == op_movs || op->fn == op_stos || op->fn == op_lods ||
                  op->fn == op_cmps || op->fn == op_scas || op->fn == op_ins ||
                  op->fn == op_outs || op->fn == op_rdrand;

    return op->flags & (OF_MEM | OF_LOCK | (string ? OF_REP | OF_REPNE : 0));
}

/* by_reg: ModRM chooses what the operation is. */
static bool known(const Sweep *s, const X86Op *op, bool by_reg)
{
    for (unsigned i = s->n; i-- > 0;) {
        const X86Op *o = &s->ops[i];

        if (o->fn == op->fn && o->id == op->id && flags_of(o) == flags_of(op) &&
            (by_reg ? o->reg == op->reg && (op->flags & OF_MEM || o->rm == op->rm) :
             o->size == op->size)) {
            return true;
        }
    }
    return false;
}

static void try_bytes(Sweep *s, const uint8_t *bytes, bool by_reg)
{
    X86Op op;

    if (x86_decode(bytes, X86_INSN_MAX, s->code64 ? CODE64 : CODE32, 0, &op) < 0 ||
        known(s, &op, by_reg)) {
        return;
    }
    assert(s->n < MAX_ENTRIES);
    s->ops[s->n] = op;
    memcpy(s->entries[s->n].bytes, bytes, op.len);
    s->entries[s->n].len = op.len;
    s->entries[s->n].often = false;
    s->n++;
}

/* An opcode with one prefix: with memory at RBX, and with registers. */
static void sweep_opcode(Sweep *s, const char *prefix, const char *map, uint8_t opcode)
{
    bool x87 = !*map && *prefix != '\xc4' && (opcode & 0xf8) == 0xd8;
    bool two = !strcmp(map, "\x0f");
    bool any_rm = x87 || (two && opcode == 0x01);
    bool group = any_rm || (two && opcode >= 0x20 && opcode <= 0x23);
    uint8_t bytes[X86_INSN_MAX] = { 0 };
    unsigned n = strlen(prefix);

    memcpy(bytes, prefix, n);
    memcpy(bytes + n, map, strlen(map));
    n += strlen(map);
    bytes[n++] = opcode;
    for (unsigned reg = 0; reg < 8; reg++) {
        bytes[n] = reg << 3 | 3;
        try_bytes(s, bytes, group);
        for (unsigned rm = any_rm ? 0 : 1; rm < (any_rm ? 8 : 2); rm++) {
            bytes[n] = 0xc0 | reg << 3 | rm;
            try_bytes(s, bytes, group);
        }
    }
}

/* All that a VEX prefix of three bytes leads to, but for registers. */
static void sweep_vex(Sweep *s)
{
    char prefix[4] = "\xc4";

    for (unsigned n = 0; n < 3 * 16; n++) {
        prefix[1] = (char)(0xe0 | (1 + n / 16));
        prefix[2] = (char)(0x78 | (n & 7) | (n & 8) << 4);
        for (unsigned opcode = 0; opcode < 256; opcode++) {
            sweep_opcode(s, prefix, "", opcode);
        }
    }
}

unsigned list_entries(Entry *entries, bool code64)
{
    static const char *const prefixes[] = { "", "\x66", "\xf2", "\xf3", "\xf0", "\x48" };
    static const char *const maps[] = { "", "\x0f", "\x0f\x38", "\x0f\x3a" };
    static Sweep s;

    s.entries = entries;
    s.code64 = code64;
    s.n = 0;
    for (unsigned p = 0; p < 6; p++) {
        for (unsigned m = 0; m < 4; m++) {
            for (unsigned opcode = 0; opcode < 256; opcode++) {
                sweep_opcode(&s, prefixes[p], maps[m], opcode);
            }
        }
    }
    sweep_vex(&s);
    for (unsigned i = 0; i < sizeof(specials) / sizeof(specials[0]); i++) {
        if (specials[i].where == (code64 ? ONLY32 : ONLY64)) {
            continue;
        }
        assert(s.n < MAX_ENTRIES && specials[i].len <= sizeof(entries->bytes));
        memcpy(entries[s.n].bytes, specials[i].bytes, specials[i].len);
        entries[s.n].len = specials[i].len;
        entries[s.n++].often = specials[i].often;
    }
    return s.n;
}
