/*
 * vCPU threads of the software CPU: start, run, sleep, INIT and SIPI.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "tcg-int.h"

#include <linux/futex.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "target/i386/apic.h"
#include "qemu/log.h"
#include "sysemu/runstate.h"
#include "target/i386/cpuid.h"
#include "target/i386/tcg/jit/jit.h"
#include "target/i386/tcg/mem/mmu.h"


/*
 * Without one the interpreter does it all; the user hears of it only if it was to be there. Code
 * may need as much of the address space as there is for all.
 */
static void make_jit(TCGAccel *s)
{
    TCGJitConfig config = { .size = s->state->arena_size,
                            .threshold = MAX(s->jit_threshold, 1),
                            .verify = s->verify, .perf_map = s->perf_map };
    const char *why;

    s->perf_map = -1;
    s->state->jit = tcg_jit_new(&config, &why);
    if (!s->state->jit && (s->jit == ON_OFF_AUTO_ON || s->verify)) {
        warn_report("-accel tcg: no translator: %s", why);
    }
}

/* RAM lies below 4 GiB and from there up: no address is above this. */
static bool make_state(TCGAccel *s, MachineState *ms, Error **errp)
{
    if (!s->state) {
        /* What programs may need in the end depends on how much RAM they have. */
        size_t most = CLAMP(ms->ram_size / 5, TCG_CODE, 208 * MiB), size = s->tb_size;

        s->state = tcg_state_new(ms->ram_size + 0x100000000ull, size ? size : TCG_CODE,
                                 size ? size : most);
        if (!s->state) {
            error_setg(errp, "no memory for the software CPU");
            return false;
        }
        s->state->one_insn = s->one_insn;
        s->state->watch_storms = true;
        s->state->take_turns = s->thread_mode == TCG_THREAD_SINGLE || s->verify;
        if ((s->jit != ON_OFF_AUTO_OFF || s->verify) && !s->one_insn) {
            make_jit(s);
        }
        tcg_crash_init();
    }
    return true;
}

/* Megabytes of tables that are zeros: pages that no guest needs are never touched. */
static TCGCPU *new_cpu(void)
{
    TCGCPU *c = mmap(NULL, sizeof(*c), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    return c == MAP_FAILED ? NULL : c;
}

bool tcg_vcpu_init(CPUState *cpu, Error **errp)
{
    TCGAccel *s = tcg_accel(cpu);
    X86CPU *x = x86_cpu(cpu);
    CPUIDTable *own;
    TCGCPU *c;

    if (!make_state(s, cpu->machine, errp)) {
        return false;
    }
    c = new_cpu();
    if (!c) {
        error_setg(errp, "no memory for the software CPU");
        return false;
    }
    own = g_new0(CPUIDTable, 1);
    if (x->cpuid) {
        x86_cpuid_for_cpu(x->cpuid, x->apic_id, own);
    }
    c->cs = cpu;
    c->index = cpu->cpu_index;
    c->tcg = s->state;
    c->mem = &cpu->machine->memory;
    c->io = &cpu->machine->io;
    tcg_set_cpuid(c, own);
    c->apic_page = ~(uint64_t)0;
    c->phys_reserved = 0x000fffffffffffffull & ~((1ull << TCG_PHYS_BITS) - 1);
    c->gib_reserved = tcg_has(c, X86_FEATURE_PDPE1GB) ? 0 : 1 << 7;      /* PS itself */
    c->delivering = -1;
    atomic_store(&c->sipi_pending, -1);
    if (s->verify && s->state->jit) {
        tcg_jit_verify(c);
    }
    tcg_tlb_init(c);
    s->state->cpus[cpu->cpu_index] = c;
    s->state->nr_cpus = MAX(s->state->nr_cpus, cpu->cpu_index + 1);
    __atomic_store_n(&cpu->accel, (AccelCPU *)c, __ATOMIC_SEQ_CST);
    tcg_connect_apic(c, x);
    return true;
}

void tcg_vcpu_destroy(CPUState *cpu)
{
    TCGCPU *c = tcg_cpu(cpu);

    cpu->accel = NULL;
    g_free((void *)c->cpuid);
    g_aligned_free(c->verify);
    munmap(c, sizeof(*c));
}

void tcg_inject_nmi(CPUState *cpu)
{
    TCGCPU *c = tcg_cpu(cpu);

    nmi_latch(&c->nmi_pending);
    tcg_poll_set(c, POLL_IRQ);
    tcg_wake(c);
}

/* Until something is in the poll word. */
static void sleep_for_poll(TCGCPU *c)
{
    bool deaf = c->mp_state != X86_MP_RUNNABLE || !(c->eflags & IF_MASK);

    if (deaf && !atomic_load(&c->poll)) {
        cpu_fall_deaf(c->cs);
    }
    atomic_store(&c->asleep, true);
    while (!atomic_load(&c->poll)) {
        syscall(SYS_futex, &c->poll, FUTEX_WAIT_PRIVATE, 0, NULL, NULL, 0);
    }
    atomic_store(&c->asleep, false);
    cpu_hear_again(c->cs);
}

bool tcg_is_dead(CPUState *cpu)
{
    TCGCPU *c = tcg_cpu(cpu);
    bool waits = c->mp_state != X86_MP_RUNNABLE;

    return (waits || (c->halted && !(c->eflags & IF_MASK))) &&
           !atomic_load(&c->init_pending) && atomic_load(&c->sipi_pending) < 0 &&
           (waits || (!atomic_load(&c->pv_unhalted) &&
                      (c->nmi_masked || !atomic_load(&c->nmi_pending))));
}

/* As one that runs: another vCPU that is alone may be dropping translations, ours too. */
static void do_init(TCGCPU *c)
{
    tcg_get_registers(c->cs);
    x86_cpu_init_reset(x86_cpu(c->cs));
    tcg_run_begin(c);
    tcg_put_registers(c->cs);
    tcg_run_end(c);
}

/* SDM 3A, 9.4.3: real mode at vector << 12. */
static void do_sipi(TCGCPU *c, unsigned vector)
{
    if (c->mp_state != X86_MP_INIT_RECEIVED &&
        c->mp_state != X86_MP_UNINITIALIZED) {
        return;
    }
    c->segs[R_CS].selector = vector << 8;
    c->segs[R_CS].base = vector << 12;
    c->eip = 0;
    c->mp_state = X86_MP_RUNNABLE;
    c->halted = false;
    tcg_update_mode(c);
}

static void handle_events(TCGCPU *c)
{
    int sipi;

    if (atomic_exchange(&c->init_pending, false)) {
        do_init(c);
    }
    sipi = atomic_exchange(&c->sipi_pending, -1);
    if (sipi >= 0) {
        do_sipi(c, sipi);
    }
}

static void triple_fault(TCGCPU *c)
{
    c->shutdown = false;
    c->mp_state = X86_MP_UNINITIALIZED;
    qemu_system_triple_fault(c->cs->machine, c->index, c->eip, c->idt.limit == 0);
}

void tcg_vcpu_exec(CPUState *cpu)
{
    TCGCPU *c = tcg_cpu(cpu);
    TCGExit why;

    for (;;) {
        /* Clear first, then look: setters do it the other way round. */
        atomic_fetch_and(&c->poll, ~(unsigned)POLL_EXIT);
        handle_events(c);
        if (atomic_load(&cpu->exit_request)) {
            return;
        }
        if (c->mp_state != X86_MP_RUNNABLE) {
            atomic_fetch_and(&c->poll, POLL_EXIT);
            sleep_for_poll(c);
            continue;
        }
        tcg_run_begin(c);
        tcg_mxcsr_enter(c);
        tcg_steal_begin(c);
        tcg_crash_running(c);
        why = tcg_run(c);
        tcg_crash_running(NULL);
        tcg_mxcsr_leave(c);
        tcg_run_end(c);
        if (why == TCG_EXIT_HALT) {
            sleep_for_poll(c);
        } else if (why == TCG_EXIT_SHUTDOWN) {
            triple_fault(c);
        } else if (why == TCG_EXIT_DEBUG && tcg_debug_exit(c)) {
            return;
        }
    }
}
