/*
 * Faults in the translator on purpose: the test is linked so that the emitter's functions are
 * called by way of these. Each place that calls one is counted when it first does; with
 * MUTATE=PLACE:KIND in the environment what that one place wants is changed.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <stdio.h>
#include <stdlib.h>

#include "diff.h"
#include "target/i386/tcg/jit/emit.h"

#define WRAP(ret, name, ...) ret __real_##name(__VA_ARGS__); ret __wrap_##name(__VA_ARGS__)
WRAP(void, emit8, Emit *e, uint8_t v);
WRAP(void, emit_rr, Emit *e, unsigned size, uint32_t opcode, unsigned reg, unsigned rm);
WRAP(void, emit_rm, Emit *e, unsigned size, uint32_t opcode, unsigned reg, HostMem m);
WRAP(void, emit_alu_imm, Emit *e, unsigned size, unsigned alu, unsigned reg, int32_t imm);
WRAP(void, emit_alu_mem_imm, Emit *e, unsigned size, unsigned alu, HostMem m, int32_t imm);
WRAP(void, emit_imm, Emit *e, unsigned size, int32_t imm);
WRAP(void, emit_mov_imm64, Emit *e, unsigned reg, uint64_t v);
WRAP(uint8_t *, emit_jcc, Emit *e, unsigned cc);

#define MAX_PLACES 1024

static const void *places[MAX_PLACES];
static unsigned nr_places, place = MAX_PLACES, kind;

/* What is wrong at the place from where the caller was called; 0: nothing. */
static unsigned mutation(const void *from)
{
    unsigned i = 0;

    while (i < nr_places && places[i] != from) {
        i++;
    }
    if (i == nr_places && i < MAX_PLACES) {
        places[nr_places++] = from;
    }
    return i == place ? kind : 0;
}
#define HERE mutation(__builtin_return_address(0))

bool mutate_init(void)
{
    const char *which = getenv("MUTATE");

    return !which || sscanf(which, "%u:%u", &place, &kind) == 2;
}

bool mutate_done(void)
{
    if (place < nr_places) {
        printf("the place was at %p\n", places[place]);
    }
    return place == MAX_PLACES || place < nr_places;
}

/* The kinds: 1 it is missing, 2 another size or number, 3 other registers or another address. */
void __wrap_emit8(Emit *e, uint8_t v)
{
    unsigned m = HERE;

    if (m != 1) {
        __real_emit8(e, v ^ (m == 2) ^ (m == 3) * 2);
    }
}

void __wrap_emit_rr(Emit *e, unsigned size, uint32_t opcode, unsigned reg, unsigned rm)
{
    unsigned m = HERE;

    if (m != 1) {
        __real_emit_rr(e, m == 2 ? 3 - size % 4 : size, opcode, m == 3 ? rm : reg,
                       m == 3 ? reg : rm);
    }
}

void __wrap_emit_rm(Emit *e, unsigned size, uint32_t opcode, unsigned reg, HostMem mem)
{
    unsigned m = HERE;

    mem.disp += m == 3 ? 8 : 0;
    if (m != 1) {
        __real_emit_rm(e, m == 2 ? 3 - size % 4 : size, opcode, reg, mem);
    }
}

void __wrap_emit_alu_imm(Emit *e, unsigned size, unsigned alu, unsigned reg, int32_t imm)
{
    unsigned m = HERE;

    if (m != 1) {
        __real_emit_alu_imm(e, size, alu ^ (m == 3), reg, imm ^ (m == 2));
    }
}

void __wrap_emit_alu_mem_imm(Emit *e, unsigned size, unsigned alu, HostMem mem, int32_t imm)
{
    unsigned m = HERE;

    mem.disp += m == 3 ? 8 : 0;
    if (m != 1) {
        __real_emit_alu_mem_imm(e, size, alu, mem, imm ^ (m == 2));
    }
}

void __wrap_emit_imm(Emit *e, unsigned size, int32_t imm)
{
    unsigned m = HERE;

    if (m != 1) {
        __real_emit_imm(e, size, imm ^ (m == 2) ^ (m == 3) * 4);
    }
}

void __wrap_emit_mov_imm64(Emit *e, unsigned reg, uint64_t v)
{
    unsigned m = HERE;

    if (m != 1) {
        __real_emit_mov_imm64(e, m == 3 ? reg ^ 1 : reg, v ^ (m == 2));
    }
}

uint8_t *__wrap_emit_jcc(Emit *e, unsigned cc)
{
    unsigned m = HERE;

    return __real_emit_jcc(e, cc ^ (m == 1 || m == 2) ^ (m == 3) * 2);
}
