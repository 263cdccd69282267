/*
 * Fuzz target: the software CPU in each of its modes, with any code. What has come to its end one
 * instruction at a time must come to the same in blocks, and by way of the translator, which is
 * compared with the interpreter besides (x-verify).
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "fuzz-cpu.h"
#include "fuzz.h"
#include "qemu/timer.h"
#include "target/i386/cpuid.h"
#include "target/i386/tcg/block.h"
#include "target/i386/tcg/jit/templates.h"
#include "target/i386/tcg/jit/verify.h"
#include "target/i386/tcg/mem/mmu.h"
#include "target/i386/tcg/ops/flags.h"
#include "target/i386/tcg/ops/fpu.h"
#include "target/i386/tcg/sys/cpuid.h"
#include "target/i386/tcg/sys/system.h"

#define MAX_STEPS   2000
#define TICK_NS     300000
#define MAX_TICKS   200000      /* for what took MAX_STEPS: a minute */
#define NO_EXCP     (-2)

/* A CPU with memory of its own. */
typedef struct Runner {
    const char *name;
    TCGCPU *cpu, *fresh;        /* and as it was made */
    uint8_t *ram;
    MemoryRegion root, mr, ports;
    AddressSpace mem, io;
} Runner;

enum { STEPS, BLOCKS, TRANSLATOR, VERIFY };
static Runner runners[] = { { "steps" }, { "blocks" }, { "translator" }, { "x-verify" } };
static CPUIDTable cpuid;
static TCGCPU *running;
static timer_t clock_timer;
static atomic_uint ticks;
static uint8_t tables[CPU_TABLES_END - CPU_TABLES];     /* as they were made */

static void tick(int signum)
{
    atomic_fetch_add(&ticks, 1);
    tcg_poll_set(running, POLL_EXIT);
}

static void make_runner(Runner *r, bool jit, bool verify)
{
    const TCGJitConfig config = { .size = 1 << 20,
                                  .threshold = 1, .verify = verify,
                                  .perf_map = -1 };
    const char *why;
    TCGCPU *c;

    r->ram = g_aligned_alloc0(1, CPU_RAM, 4096);
    memory_region_init(&r->root, "memory", UINT64_MAX);
    memory_region_init_ram_ptr(&r->mr, "ram", CPU_RAM, r->ram);
    memory_region_add_subregion(&r->root, 0, &r->mr);
    memory_region_init(&r->ports, "io", 0x10000);
    address_space_init(&r->mem, &r->root, "memory", false);
    address_space_init(&r->io, &r->ports, "io", false);
    g_assert(address_space_seal(&r->mem, NULL) && address_space_seal(&r->io, NULL));
    c = r->cpu = g_aligned_alloc0(1, sizeof(*c), 64);
    c->mem = &r->mem;
    c->io = &r->io;
    c->tcg = tcg_state_new(CPU_RAM, 1 << 20, 1 << 20);
    c->tcg->jit = jit ? tcg_jit_new(&config, &why) : NULL;
    c->tcg->nr_cpus = 1;
    c->tcg->cpus[0] = c;
    c->apic_page = ~(uint64_t)0;
    c->delivering = -1;
    c->pat = 0x0007040600070406ull;
    c->phys_reserved = 0x000fff0000000000ull;
    atomic_store(&c->sipi_pending, -1);
    tcg_set_cpuid(c, &cpuid);
    if (c->tcg->jit) {
        tcg_jit_prepare(c->tcg->jit);
    }
    if (c->tcg->jit && verify) {
        tcg_jit_verify(c);
    }
    tcg_tlb_init(c);
    r->fresh = g_aligned_alloc0(1, sizeof(*c), 64);
    *r->fresh = *c;
}

/* A guest without clocks and random numbers is the same each time. */
static void make_cpuid(void)
{
    tcg_cpuid_fill(&cpuid, 40, tcg_tsc_khz());
    *x86_feature_reg(&cpuid, FEAT_KVM) = 0;
    x86_feature_set(&cpuid, X86_FEATURE_RDRAND, false);
    x86_feature_set(&cpuid, X86_FEATURE_RDSEED, false);
    x86_cpuid_read_features(&cpuid);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    const struct sigaction act = { .sa_handler = tick, .sa_flags = SA_RESTART };
    struct sigevent event = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGVTALRM };

    sigaction(SIGVTALRM, &act, NULL);
    g_assert_cmpint(timer_create(CLOCK_MONOTONIC, &event, &clock_timer), ==, 0);
    qemu_clock_virtual_manual();
    make_cpuid();
    for (unsigned i = 0; i < G_N_ELEMENTS(runners); i++) {
        make_runner(&runners[i], i >= TRANSLATOR, i == VERIFY);
    }
    return 0;
}

/* Runs --------------------------------------------------------------------- */

static void begin(Runner *r, const CpuGuest *g)
{
    TCGCPU *c = r->cpu;

    *c = *r->fresh;
    tcg_flush_blocks(c);
    cpu_guest_load(g, c, r->ram);
    memcpy(tables, r->ram + CPU_TABLES, sizeof(tables));
    tcg_debug_update(c);
    running = c;
}

static bool ended(const TCGCPU *c)
{
    return c->halted || c->shutdown;
}

/*
 * Flags that an instruction leaves undefined are others in translated code. *undefined: those now.
 * True when what has just been executed may have seen one.
 */
static bool saw_undefined(const TCGCPU *c, const TCGJit *jit, unsigned *undefined)
{
    const X86Op *op = &c->tmp_ops[0];
    const Template *tm = tcg_jit_template(jit, op->fn);
    bool seen = *undefined && (!tm || !tm->emit || (tm->reads & *undefined) || c->excp != NO_EXCP);
    X86Op described = { 0 };

    if (tm) {
        tcg_verify_describe(tm, op, &described);
    }
    *undefined = (*undefined & ~described.off) | described.imm;
    return seen;
}

/* What an input's single steps say of comparing them. */
typedef struct Steps {
    bool ended;
    bool defined;               /* no undefined flag was looked at */
    bool changed_itself;        /* a repeated instruction; when that is seen is up to the CPU */
} Steps;

/* One instruction after the other. */
static Steps run_steps(Runner *r, const CpuGuest *g, const TCGJit *jit)
{
    TCGCPU *c = r->cpu;
    uint64_t last_eip = 0;
    unsigned undefined = 0;
    Steps steps = { .defined = true };

    begin(r, g);
    c->debug.want.single_step = true;
    tcg_debug_update(c);
    for (unsigned i = 0; i < MAX_STEPS && !ended(c); i++) {
        const X86Op last = c->tmp_ops[0];
        bool again = (last.flags & (OF_REP | OF_REPNE)) && c->eip == last_eip;

        last_eip = c->eip;
        c->debug.stepped = c->debug.event.hit = false;
        c->excp = NO_EXCP;
        tcg_run(c);
        steps.changed_itself |= again && memcmp(&last, &c->tmp_ops[0], sizeof(last));
        steps.defined &= !jit || !saw_undefined(c, jit, &undefined);
    }
    tcg_mxcsr_leave(c);
    steps.ended = ended(c);
    steps.defined &= !undefined;
    return steps;
}

/* Until the end if there is one, else for a tick. */
static void run_on(Runner *r, const CpuGuest *g, bool to_end)
{
    static const struct itimerspec on = { { 0, TICK_NS }, { 0, TICK_NS } }, off;
    TCGCPU *c = r->cpu;

    begin(r, g);
    atomic_store(&ticks, 0);
    timer_settime(clock_timer, 0, &on, NULL);
    do {
        atomic_fetch_and(&c->poll, ~(unsigned)POLL_EXIT);
        tcg_run(c);
    } while (!ended(c) && atomic_load(&ticks) < (to_end ? MAX_TICKS : 1));
    timer_settime(clock_timer, 0, &off, NULL);
    tcg_mxcsr_leave(c);
}

/* Comparison --------------------------------------------------------------- */

static const char *what_differs(const Runner *a, const Runner *b)
{
    TCGCPU *x = a->cpu, *y = b->cpu;
    uint8_t fx[2][512] = { { 0 } };

#define SAME(field) \
    do { \
        if (memcmp(&x->field, &y->field, sizeof(x->field))) { \
            return #field; \
        } \
    } while (0)
    SAME(halted);
    SAME(shutdown);
    SAME(eip);
    if (memcmp(x->regs, y->regs, 16 * sizeof(x->regs[0]))) {
        return "regs";
    }
    if (cpu_get_eflags(x) != cpu_get_eflags(y)) {
        return "eflags";
    }
    for (unsigned i = 0; i < CPU_NB_SEGS; i++) {
        SAME(segs[i].selector);
        SAME(segs[i].attr);
        SAME(segs[i].limit);
        SAME(segs[i].base);
    }
    SAME(cpl);
    SAME(cr0);
    SAME(cr2);
    SAME(cr3);
    SAME(cr4);
    SAME(efer);
    SAME(dr);
    SAME(gdt.base);
    SAME(idt.base);
    SAME(ymmh);
    tcg_fxsave_image(x, fx[0]);
    tcg_fxsave_image(y, fx[1]);
    if (memcmp(fx[0], fx[1], sizeof(fx[0]))) {
        return "FPU";
    }
    if (memcmp(a->ram, b->ram, CPU_TABLES) ||
        memcmp(a->ram + CPU_TABLES_END, b->ram + CPU_TABLES_END, CPU_RAM - CPU_TABLES_END)) {
        return "memory";
    }
    return NULL;
#undef SAME
}

static void print_state(const Runner *r)
{
    const TCGCPU *c = r->cpu;

    fprintf(stderr, "%s: rip %" PRIx64 " eflags %" PRIx64 " cr2 %" PRIx64 "%s%s\n ", r->name,
            c->eip, (uint64_t)cpu_get_eflags((TCGCPU *)c), c->cr2, c->halted ? " halted" : "",
            c->shutdown ? " shutdown" : "");
    for (unsigned i = 0; i < 16; i++) {
        fprintf(stderr, " %" PRIx64, c->regs[i]);
    }
    fprintf(stderr, "\n");
}

static void compare(const Runner *a, const Runner *b)
{
    const char *what = what_differs(a, b);

    if (what) {
        fprintf(stderr, "%s and %s: %s\n", a->name, b->name, what);
        print_state(a);
        print_state(b);
        abort();
    }
}

/* Page tables that the code has changed are seen when the TLB has to look: not comparable. */
static bool tables_changed(const Runner *r)
{
    const uint64_t mask = ~0x0000006000000060ull;       /* accessed, dirty */

    for (unsigned at = 0; at < sizeof(tables); at += 8) {
        uint64_t old, new;

        memcpy(&old, tables + at, 8);
        memcpy(&new, r->ram + CPU_TABLES + at, 8);
        if ((old ^ new) & mask) {
            return true;
        }
    }
    return false;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    FuzzInput in = { data, data + size };
    CpuGuest g;
    const TCGJit *jit = runners[VERIFY].cpu->tcg->jit;
    bool same;
    Steps steps;

    cpu_guest_take(&g, &in);
    steps = run_steps(&runners[STEPS], &g, jit);
    same = steps.ended && !steps.changed_itself && !tables_changed(&runners[STEPS]);
    run_on(&runners[BLOCKS], &g, same);
    if (same) {
        compare(&runners[STEPS], &runners[BLOCKS]);
    }
    if (g.mode != MODE_LONG || !jit) {
        return 0;
    }
    run_on(&runners[TRANSLATOR], &g, same && steps.defined);
    if (same && steps.defined) {
        compare(&runners[STEPS], &runners[TRANSLATOR]);
        run_on(&runners[VERIFY], &g, true);
    }
    return 0;
}
