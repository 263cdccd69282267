/*
 * The software CPU as the differential test drives it: user mode behind page
 * tables that map the same two areas as the host has.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "diff.h"
#include "target/i386/tcg/block.h"
#include "target/i386/tcg/jit/templates.h"
#include "target/i386/tcg/sys/cpuid.h"
#include "target/i386/tcg/ops/flags.h"
#include "target/i386/tcg/ops/fpu.h"
#include "target/i386/tcg/mem/mmu.h"
#include "target/i386/tcg/sys/system.h"

#define RAM_SIZE  0x100000u
#define PHYS_CODE 0x10000u
#define PHYS_DATA 0x20000u

static uint8_t *ram;
static TCGCPU *cpu;
static CPUIDTable cpuid;
uint8_t *emul_code, *emul_data;

static void put(uint64_t pa, uint64_t v)
{
    memcpy(ram + pa, &v, 8);
}

static void map(uint64_t va, uint64_t pa, unsigned pages)
{
    for (unsigned i = 0; i < pages; i++, va += 4096, pa += 4096) {
        put(0x1000 + ((va >> 39) & 511) * 8, 0x2000 | 7);
        put(0x2000 + ((va >> 30) & 511) * 8, 0x3000 | 7);
        put(0x3000 + ((va >> 21) & 511) * 8, 0x4000 | 7);
        put(0x4000 + ((va >> 12) & 511) * 8, pa | 7);
    }
}

static void make_memory(void)
{
    static MemoryRegion root, mr;
    static AddressSpace as;
    Error *err = NULL;

    memory_region_init(&root, "memory", UINT64_MAX);
    memory_region_init_ram_ptr(&mr, "ram", RAM_SIZE, ram);
    memory_region_add_subregion(&root, 0, &mr);
    address_space_init(&as, &root, "memory", false);
    if (!address_space_seal(&as, &err)) {
        error_report_err(err);
        exit(1);
    }
    cpu->mem = &as;
}

static void no_code(Tr *t, const X86Op *op)
{
}

/* The n-th template, of those that do not branch, does nothing. True: there is one. */
static bool break_template(TCGJit *jit, unsigned n)
{
    for (unsigned i = 0; i < JIT_HASH; i++) {
        Template *t = &jit->hash[i];

        if (t->emit && t->emit != jit_nop && !(t->attr & (TA_BRANCH | TA_END)) && n-- == 0) {
            printf("nothing for the function at %p\n", (void *)(uintptr_t)t->fn);
            t->emit = no_code;
            return true;
        }
    }
    return false;
}

/* The translator takes all from the beginning; BREAK=n in the environment: but not well. */
static bool make_jit(void)
{
    const TCGJitConfig config = { .size = 1 << 20,
                                  .threshold = 1, .verify = getenv("VERIFY"),
                                  .perf_map = -1 };
    const char *why, *broken = getenv("BREAK");

    cpu->tcg->jit = tcg_jit_new(&config, &why);
    if (cpu->tcg->jit && config.verify) {
        tcg_jit_verify(cpu);
    }
    if (cpu->tcg->jit) {
        tcg_jit_prepare(cpu->tcg->jit);
    }
    return cpu->tcg->jit && (!broken || break_template(cpu->tcg->jit, atoi(broken)));
}

bool emul_init(bool jit)
{
    ram = mmap(NULL, RAM_SIZE, PROT_READ | PROT_WRITE,
               MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    emul_code = ram + PHYS_CODE;
    emul_data = ram + PHYS_DATA;
    map(CODE_VA, PHYS_CODE, CODE_SIZE / 4096);
    map(DATA_VA, PHYS_DATA, DATA_SIZE / 4096);
    tcg_cpuid_fill(&cpuid, 40, tcg_tsc_khz());
    cpu = g_aligned_alloc0(1, sizeof(*cpu), 64);
    make_memory();
    cpu->tcg = tcg_state_new(RAM_SIZE, 1 << 20, 1 << 20);
    cpu->tcg->nr_cpus = 1;
    cpu->tcg->cpus[0] = cpu;
    cpu->apic_page = ~(uint64_t)0;
    tcg_set_cpuid(cpu, &cpuid);
    cpu->cr0 = CR0_PE | CR0_PG | CR0_WP | CR0_NE | CR0_MP;
    cpu->cr4 = CR4_PAE | CR4_OSFXSR | CR4_OSXMMEXCPT | CR4_OSXSAVE;
    cpu->xcr0 = tcg_xcr0_mask(cpu);
    cpu->efer = EFER_LME | EFER_LMA | EFER_NXE | EFER_SCE;
    cpu->cr3 = 0x1000;
    cpu->phys_reserved = 0x000fff0000000000ull;
    tcg_tlb_init(cpu);
    tcg_set_flat_ss(cpu, 0x2b, 3);
    tcg_set_flat_cs(cpu, 0x33, 3, true);
    return !jit || make_jit();
}

void emul_code_changed(void)
{
    tcg_code_written(cpu, PHYS_CODE, 4096);
    tcg_code_written(cpu, PHYS_CODE + 4096, 4096);
}

void emul_run(CaseState *st, uint64_t end)
{
    TCGCPU *c = cpu;

    memcpy(c->regs, st->regs, sizeof(st->regs));
    c->eip = st->rip;
    cpu_set_eflags(c, st->flags);
    tcg_update_mode(c);
    tcg_fxrstor_image(c, st->fx.b);
    memcpy(c->ymmh, st->ymmh, sizeof(c->ymmh));
    tcg_mxcsr_enter(c);
    st->trap = -1;
    st->error = 0;
    st->cr2 = 0;
    c->cr2 = 0;
    if (sigsetjmp(c->jmp, 0)) {
        st->trap = c->excp;
        st->error = c->excp_has_err ? c->excp_err : 0;
        st->cr2 = c->excp == EXCP_PF ? c->cr2 : 0;
    } else {
        while (c->eip != end) {
            const X86Op *op = tcg_block_find(c);

            while (op) {
                op = op->fn(c, op);
            }
        }
    }
    tcg_mxcsr_leave(c);
    memcpy(st->regs, c->regs, sizeof(st->regs));
    st->rip = c->eip;
    st->flags = cpu_get_eflags(c);
    tcg_fxsave_image(c, st->fx.b);
    memcpy(st->ymmh, c->ymmh, sizeof(c->ymmh));
    /* The end is an instruction that faults (HLT): that is not one. */
    if (st->trap == EXCP_GP && st->rip == end) {
        st->trap = -1;
        st->error = 0;
    }
}
