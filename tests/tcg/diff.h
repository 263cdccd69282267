/*
 * The differential test: one piece of code run by the host's CPU and by the
 * software CPU, from the same state, results compared.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef TESTS_TCG_DIFF_H
#define TESTS_TCG_DIFF_H

#include <stdbool.h>
#include <stdint.h>
#include <stddef.h>

/* Both sides see these addresses; outside there is nothing mapped. */
#define CODE_VA   0x20000000ul
#define CODE_SIZE 0x2000u
#define DATA_VA   0x20100000ul
#define DATA_SIZE 0x4000u

typedef struct __attribute__((aligned(16))) FXArea {
    uint8_t b[512];
} FXArea;

/* Registers before and after. Layout known to the assembly in host.c. */
typedef struct CaseState {
    uint64_t regs[16];
    uint64_t flags;         /* 128 */
    uint64_t rip;           /* 136 */
    uint64_t pad[6];
    FXArea fx;              /* 192: with the next two as XSAVE has it */
    uint8_t header[64], ymmh[256];
    int trap;               /* vector, or -1 */
    uint32_t error;
    uint64_t cr2;
} CaseState;

/* host.c ------------------------------------------------------------------- */
typedef enum HostFeature {
    HOST_ANY, HOST_BMI1, HOST_BMI2, HOST_ABM, HOST_ADX, HOST_MOVBE, HOST_AVX, HOST_AVX2,
    HOST_FMA, HOST_F16C, HOST_AES, HOST_PCLMULQDQ, HOST_SHA, HOST_FEATURES,
} HostFeature;
/* Its name, as -cpu has it; and whether the host has it. */
const char *host_feature_name(HostFeature f);
bool host_has(HostFeature f);
bool host_init(void);
extern uint8_t *const host_code, *const host_data;
/* Run from st->rip until the code jumps to host_exit_code()'s end or faults. */
void host_run(CaseState *st);
/* Where vendors differ our CPU is an AMD one: the host is of the others. */
bool host_is_intel(void);
/* A locked operand in two cache lines costs the host milliseconds. */
bool host_punishes_split_locks(void);
/* Bytes that leave the code; returns their number. */
unsigned host_exit_code(uint8_t *p);

/* emul.c ------------------------------------------------------------------- */
/* jit: all that the translator can take goes through it. False: there is none. */
bool emul_init(bool jit);
extern uint8_t *emul_code, *emul_data;
/* The same; the code ends at end. Code bytes have changed: fresh. */
void emul_run(CaseState *st, uint64_t end);
void emul_code_changed(void);

/* mutate.c ----------------------------------------------------------------- */
/* What MUTATE in the environment asks for; false: it makes no sense. */
bool mutate_init(void);
/* After all cases: false if there is no such place. */
bool mutate_done(void);

/* gen.c -------------------------------------------------------------------- */
typedef enum GenKind { GEN_INT, GEN_SSE, GEN_X87, GEN_ALL } GenKind;
/* Leave out what the host does not have, and say so. */
void gen_init(void);
uint64_t rnd(void);
extern bool gen_split_locks;    /* locked operands may lie in two cache lines */
void rnd_seed(uint64_t seed);
uint64_t rnd_operand(void);
/*
 * One random instruction at p. wild: memory operands may be anywhere. Returns
 * its length; *undefined: EFLAGS bits left undefined; *name: for reports.
 */
unsigned gen_insn(uint8_t *p, GenKind kind, bool wild, uint32_t *undefined,
                  const char **name);

#endif
