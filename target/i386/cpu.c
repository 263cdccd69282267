/*
 * The state of an x86 CPU: its reset values and its printed form.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "target/i386/cpu.h"

#include <string.h>

#include "target/i386/apic.h"
#include "target/i386/cpuid.h"

/* SDM 3A, table 9-1, "Processor States Following Power-up, Reset, or INIT". */
static const CPUX86State reset_state = {
    .eip = 0xfff0,
    .eflags = 0x2,
    .segs = {
        [R_ES] = { .limit = 0xffff, .attr = 0x93 },
        [R_CS] = { .selector = 0xf000, .base = 0xffff0000, .limit = 0xffff,
                   .attr = 0x9b },
        [R_SS] = { .limit = 0xffff, .attr = 0x93 },
        [R_DS] = { .limit = 0xffff, .attr = 0x93 },
        [R_FS] = { .limit = 0xffff, .attr = 0x93 },
        [R_GS] = { .limit = 0xffff, .attr = 0x93 },
    },
    .ldt = { .limit = 0xffff, .attr = 0x82 },
    .tr = { .limit = 0xffff, .attr = 0x8b },
    .gdt = { .limit = 0xffff },
    .idt = { .limit = 0xffff },
    .cr = { [0] = CR0_CD | CR0_NW | CR0_ET },
    .dr = { [6] = 0xffff0ff0, [7] = 0x400 },
    .xcr0 = 1,
    .apic_base = APIC_DEFAULT_ADDRESS | APICBASE_ENABLE,
    .pat = 0x0007040600070406ULL,
    .misc_enable = 1,           /* fast string operations */
    .poll_control_msr = 1,
    /* The table has the power-up value 0x40; this is FINIT's, as KVM starts. */
    .fpuc = 0x37f,
    .mxcsr = 0x1f80,
    .mp_state = X86_MP_UNINITIALIZED,
    .put_level = X86_PUT_RESET,
};

void x86_cpu_reset(X86CPU *cpu)
{
    CPUX86State *env = &cpu->env;
    uint32_t id[4] = { 0 };

    g_free(env->xsave_area);
    *env = reset_state;
    if (cpu->cpuid) {
        x86_cpuid_lookup(cpu->cpuid, 1, 0, id);
    }
    env->regs[R_EDX] = id[0];
    if (cpu->x2apic_at_reset) {
        env->apic_base |= APICBASE_EXTD;
    }
    if (cpu->cs.cpu_index == 0) {
        env->apic_base |= APICBASE_BSP;
        env->mp_state = X86_MP_RUNNABLE;
    }
}

/* What the table above calls unchanged by INIT. */
static void keep_over_init(CPUX86State *env, const CPUX86State *old)
{
#define KEEP(f) env->f = old->f;
    KEEP(star) KEEP(lstar) KEEP(cstar) KEEP(fmask) KEEP(kernel_gs_base)
    KEEP(sysenter_cs) KEEP(sysenter_esp) KEEP(sysenter_eip) KEEP(pat) KEEP(misc_enable)
    KEEP(tsc) KEEP(tsc_clock) KEEP(tsc_adjust) KEEP(tsc_aux) KEEP(mtrr_deftype) KEEP(xcr0)
    KEEP(fpuc) KEEP(fpus) KEEP(fptag) KEEP(fpop) KEEP(fpip) KEEP(fpdp) KEEP(mxcsr)
    KEEP(xsave_area) KEEP(xsave_size)
#undef KEEP
    memcpy(env->mtrr_fixed, old->mtrr_fixed, sizeof(env->mtrr_fixed));
    memcpy(env->mtrr_var, old->mtrr_var, sizeof(env->mtrr_var));
    memcpy(env->fpregs, old->fpregs, sizeof(env->fpregs));
    memcpy(env->xmm, old->xmm, sizeof(env->xmm));
}

void x86_cpu_init_reset(X86CPU *cpu)
{
    uint64_t base = cpu->apic ? apic_get_base(cpu->apic) : 0;
    CPUX86State old = cpu->env;

    cpu->env.xsave_area = NULL;     /* it goes on */
    x86_cpu_reset(cpu);
    keep_over_init(&cpu->env, &old);
    if (cpu->cs.cpu_index != 0) {
        cpu->env.mp_state = X86_MP_INIT_RECEIVED;
    }
    cpu->env.put_level = X86_PUT_INIT;
    cpu->env.apic_base = base;
    if (cpu->apic) {
        apic_init_reset(cpu->apic);
    }
}

static void dump_general(GString *s, const CPUX86State *env, bool cs64)
{
    static const char *const names32[] = {
        "EAX", "ECX", "EDX", "EBX", "ESP", "EBP", "ESI", "EDI",
    };
    static const char *const names64[] = {
        "RAX", "RCX", "RDX", "RBX", "RSP", "RBP", "RSI", "RDI", "R8 ", "R9 ",
        "R10", "R11", "R12", "R13", "R14", "R15",
    };
    static const uint8_t order[] = {
        R_EAX, R_EBX, R_ECX, R_EDX, R_ESI, R_EDI, R_EBP, R_ESP, R_R8, R_R9,
        R_R10, R_R11, R_R12, R_R13, R_R14, R_R15,
    };

    for (unsigned i = 0; i < (cs64 ? 16 : 8); i++) {
        unsigned r = order[i];

        if (cs64) {
            g_string_append_printf(s, "%s=%016" PRIx64, names64[r], env->regs[r]);
        } else {
            g_string_append_printf(s, "%s=%08x", names32[r], (uint32_t)env->regs[r]);
        }
        g_string_append_c(s, i % 4 == 3 ? '\n' : ' ');
    }
}

static void dump_flags(GString *s, const CPUX86State *env, bool cs64)
{
    static const struct {
        uint32_t mask;
        char letter;
    } flags[] = {
        { DF_MASK, 'D' }, { CC_O, 'O' }, { CC_S, 'S' }, { CC_Z, 'Z' },
        { CC_A, 'A' }, { CC_P, 'P' }, { CC_C, 'C' },
    };

    if (cs64) {
        g_string_append_printf(s, "RIP=%016" PRIx64 " RFL=%08x [", env->eip,
                               (uint32_t)env->eflags);
    } else {
        g_string_append_printf(s, "EIP=%08x EFL=%08x [", (uint32_t)env->eip,
                               (uint32_t)env->eflags);
    }
    for (unsigned i = 0; i < G_N_ELEMENTS(flags); i++) {
        g_string_append_c(s, env->eflags & flags[i].mask ? flags[i].letter : '-');
    }
    g_string_append_printf(s, "] CPL=%d II=%d A20=1 SMM=0 HLT=%d\n",
                           env->segs[R_SS].attr >> DESC_DPL_SHIFT & 3,
                           env->interrupt_shadow != 0,
                           env->mp_state != X86_MP_RUNNABLE);
}

/* "DPL=0 CS64 [-RA]": SDM 3A, 3.4.5.1 and 3.5. */
static void dump_type(GString *s, const SegmentCache *seg, bool lma)
{
    static const char *const system_names[2][16] = {
        { "Reserved", "TSS16-avl", "LDT", "TSS16-busy", "CallGate16", "TaskGate",
          "IntGate16", "TrapGate16", "Reserved", "TSS32-avl", "Reserved",
          "TSS32-busy", "CallGate32", "Reserved", "IntGate32", "TrapGate32" },
        { "<hiword>", "Reserved", "LDT", "Reserved", "Reserved", "Reserved",
          "Reserved", "Reserved", "Reserved", "TSS64-avl", "Reserved",
          "TSS64-busy", "CallGate64", "Reserved", "IntGate64", "TrapGate64" },
    };
    unsigned type = seg->attr & DESC_TYPE_MASK;

    g_string_append_printf(s, " DPL=%d ", seg->attr >> DESC_DPL_SHIFT & 3);
    if (!(seg->attr & DESC_S)) {
        g_string_append(s, system_names[lma][type]);
        return;
    }
    if (type & 8) {
        g_string_append(s, seg->attr & DESC_L ? "CS64" :
                           seg->attr & DESC_DB ? "CS32" : "CS16");
        g_string_append_printf(s, " [%c%c", type & 4 ? 'C' : '-', type & 2 ? 'R' : '-');
    } else {
        g_string_append(s, seg->attr & DESC_DB || lma ? "DS  " : "DS16");
        g_string_append_printf(s, " [%c%c", type & 4 ? 'E' : '-', type & 2 ? 'W' : '-');
    }
    g_string_append_printf(s, "%c]", type & 1 ? 'A' : '-');
}

static void dump_segment(GString *s, const CPUX86State *env, const char *name,
                         const SegmentCache *seg)
{
    bool lma = env->efer & EFER_LMA;

    g_string_append_printf(s, "%-3s=%04x %0*" PRIx64 " %08x %08x", name,
                           seg->selector, lma ? 16 : 8, seg->base, seg->limit,
                           (uint32_t)seg->attr << 8);
    if (env->cr[0] & CR0_PE && seg->attr & DESC_P) {
        dump_type(s, seg, lma);
    }
    g_string_append_c(s, '\n');
}

static void dump_system(GString *s, const CPUX86State *env)
{
    static const char *const seg_names[] = { "ES", "CS", "SS", "DS", "FS", "GS" };
    int w = env->efer & EFER_LMA ? 16 : 8;

    for (unsigned i = 0; i < CPU_NB_SEGS; i++) {
        dump_segment(s, env, seg_names[i], &env->segs[i]);
    }
    dump_segment(s, env, "LDT", &env->ldt);
    dump_segment(s, env, "TR", &env->tr);
    g_string_append_printf(s, "GDT=     %0*" PRIx64 " %08x\n", w, env->gdt.base,
                           env->gdt.limit);
    g_string_append_printf(s, "IDT=     %0*" PRIx64 " %08x\n", w, env->idt.base,
                           env->idt.limit);
    g_string_append_printf(s, "CR0=%08x CR2=%0*" PRIx64 " CR3=%0*" PRIx64
                           " CR4=%08x\n", (uint32_t)env->cr[0], w, env->cr[2], w,
                           env->cr[3], (uint32_t)env->cr[4]);
    for (unsigned i = 0; i < 4; i++) {
        g_string_append_printf(s, "DR%u=%016" PRIx64 " ", i, env->dr[i]);
    }
    g_string_append_printf(s, "\nDR6=%016" PRIx64 " DR7=%016" PRIx64 "\n",
                           env->dr[6], env->dr[7]);
    g_string_append_printf(s, "EFER=%016" PRIx64 "\n", env->efer);
}

static void dump_fpu(GString *s, const CPUX86State *env, bool cs64)
{
    g_string_append_printf(s, "FCW=%04x FSW=%04x [ST=%d] FTW=%02x MXCSR=%08x\n",
                           env->fpuc, env->fpus, env->fpus >> 11 & 7, env->fptag,
                           env->mxcsr);
    for (unsigned i = 0; i < 8; i++) {
        g_string_append_printf(s, "FPR%u=%016" PRIx64 " %04x%c", i,
                               env->fpregs[i].mantissa, env->fpregs[i].exponent,
                               i & 1 ? '\n' : ' ');
    }
    for (unsigned i = 0; i < (cs64 ? 16 : 8); i++) {
        g_string_append_printf(s, "XMM%02u=%016" PRIx64 " %016" PRIx64 "%c", i,
                               env->xmm[i].q[1], env->xmm[i].q[0], i & 1 ? '\n' : ' ');
    }
}

char *x86_cpu_dump_state(X86CPU *cpu)
{
    const CPUX86State *env = &cpu->env;
    GString *s = g_string_new(NULL);
    bool cs64 = env->efer & EFER_LMA && env->segs[R_CS].attr & DESC_L;

    dump_general(s, env, cs64);
    dump_flags(s, env, cs64);
    dump_system(s, env);
    dump_fpu(s, env, cs64);
    return g_string_free(s, FALSE);
}
