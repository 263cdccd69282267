/*
 * Between the architectural state and KVM's ioctls.
 *
 * A vCPU that KVM has just made is in the state after power-on, so only what a
 * board changed of that is transferred; for an application processor nothing.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "accel/kvm/kvm-int.h"

#include <errno.h>
#include <string.h>

#include "qemu/log.h"
#include "qemu/timer.h"
#include "target/i386/apic-regs.h"

/* General registers. */

static void get_regs(CPUX86State *env, const struct kvm_regs *r)
{
    const uint64_t order[CPU_NB_REGS] = {
        r->rax, r->rcx, r->rdx, r->rbx, r->rsp, r->rbp, r->rsi, r->rdi,
        r->r8, r->r9, r->r10, r->r11, r->r12, r->r13, r->r14, r->r15,
    };

    memcpy(env->regs, order, sizeof(order));
    env->eip = r->rip;
    env->eflags = r->rflags;
}

static void put_regs(const CPUX86State *env, struct kvm_regs *r)
{
    const uint64_t *v = env->regs;

    *r = (struct kvm_regs) {
        .rax = v[R_EAX], .rbx = v[R_EBX], .rcx = v[R_ECX], .rdx = v[R_EDX],
        .rsi = v[R_ESI], .rdi = v[R_EDI], .rsp = v[R_ESP], .rbp = v[R_EBP],
        .r8 = v[R_R8], .r9 = v[R_R9], .r10 = v[R_R10], .r11 = v[R_R11],
        .r12 = v[R_R12], .r13 = v[R_R13], .r14 = v[R_R14], .r15 = v[R_R15],
        .rip = env->eip, .rflags = env->eflags,
    };
}

/* Segments, control registers. */

static void get_segment(SegmentCache *seg, const struct kvm_segment *k)
{
    seg->selector = k->selector;
    seg->base = k->base;
    seg->limit = k->limit;
    seg->attr = k->unusable ? 0 :
        k->type | k->s << 4 | k->dpl << DESC_DPL_SHIFT | k->present << 7 |
        k->avl << 12 | k->l << 13 | k->db << 14 | k->g << 15;
}

static void put_segment(const SegmentCache *seg, struct kvm_segment *k)
{
    *k = (struct kvm_segment) {
        .selector = seg->selector, .base = seg->base, .limit = seg->limit,
        .type = seg->attr & DESC_TYPE_MASK, .s = seg->attr >> 4 & 1,
        .dpl = seg->attr >> DESC_DPL_SHIFT & 3, .present = seg->attr >> 7 & 1,
        .avl = seg->attr >> 12 & 1, .l = seg->attr >> 13 & 1,
        .db = seg->attr >> 14 & 1, .g = seg->attr >> 15 & 1,
        .unusable = !(seg->attr & DESC_P),
    };
}

static void get_sregs(CPUX86State *env, const struct kvm_sregs *k)
{
    get_segment(&env->segs[R_ES], &k->es);
    get_segment(&env->segs[R_CS], &k->cs);
    get_segment(&env->segs[R_SS], &k->ss);
    get_segment(&env->segs[R_DS], &k->ds);
    get_segment(&env->segs[R_FS], &k->fs);
    get_segment(&env->segs[R_GS], &k->gs);
    get_segment(&env->ldt, &k->ldt);
    get_segment(&env->tr, &k->tr);
    env->gdt = (DescriptorTable) { .base = k->gdt.base, .limit = k->gdt.limit };
    env->idt = (DescriptorTable) { .base = k->idt.base, .limit = k->idt.limit };
    env->cr[0] = k->cr0;
    env->cr[2] = k->cr2;
    env->cr[3] = k->cr3;
    env->cr[4] = k->cr4;
    env->cr8 = k->cr8;
    env->efer = k->efer;
    env->apic_base = k->apic_base;
}

/* k holds no pending interrupt: that goes with the events. */
static void put_sregs(const CPUX86State *env, struct kvm_sregs *k)
{
    memset(k, 0, sizeof(*k));
    put_segment(&env->segs[R_ES], &k->es);
    put_segment(&env->segs[R_CS], &k->cs);
    put_segment(&env->segs[R_SS], &k->ss);
    put_segment(&env->segs[R_DS], &k->ds);
    put_segment(&env->segs[R_FS], &k->fs);
    put_segment(&env->segs[R_GS], &k->gs);
    put_segment(&env->ldt, &k->ldt);
    put_segment(&env->tr, &k->tr);
    k->gdt = (struct kvm_dtable) { .base = env->gdt.base, .limit = env->gdt.limit };
    k->idt = (struct kvm_dtable) { .base = env->idt.base, .limit = env->idt.limit };
    k->cr0 = env->cr[0];
    k->cr2 = env->cr[2];
    k->cr3 = env->cr[3];
    k->cr4 = env->cr[4];
    k->cr8 = env->cr8;
    k->efer = env->efer;
    k->apic_base = env->apic_base;
}

/*
 * x87, SSE and beyond: the layout of XSAVE's legacy region and header (SDM 1,
 * 13.4.1 and 13.4.2).
 */
typedef struct XSaveArea {
    uint16_t fcw, fsw;
    uint8_t ftw, reserved;
    uint16_t fop;
    uint64_t fip, fdp;
    uint32_t mxcsr, mxcsr_mask;
    struct { uint64_t mantissa; uint16_t exponent; uint16_t pad[3]; } st[8];
    XMMReg xmm[16];
    uint8_t available[96];
    uint64_t xstate_bv, xcomp_bv;
    uint8_t header[48];
} XSaveArea;
G_STATIC_ASSERT(sizeof(XSaveArea) == 576);

/* The FP registers are stored from ST(0) on; env counts from R0. */
static unsigned physical(unsigned fsw, unsigned st)
{
    return ((fsw >> 11) + st) & 7;
}

static int get_xsave(CPUState *cpu)
{
    KVMState *s = kvm_state(cpu);
    CPUX86State *env = &x86_cpu(cpu)->env;
    XSaveArea *x;
    int ret;

    if (env->xsave_size != (uint32_t)s->xsave_size) {     /* none, or a saved machine's */
        g_free(env->xsave_area);
        env->xsave_area = g_malloc0(s->xsave_size);
        env->xsave_size = s->xsave_size;
    }
    x = env->xsave_area;
    ret = kvm_ioctl(kvm_cpu(cpu)->fd, s->xsave_size > 4096 ? KVM_GET_XSAVE2 :
                    KVM_GET_XSAVE, x);
    if (ret < 0) {
        return ret;
    }
    env->fpuc = x->fcw;
    env->fpus = x->fsw;
    env->fptag = x->ftw;
    env->fpop = x->fop;
    env->fpip = x->fip;
    env->fpdp = x->fdp;
    env->mxcsr = x->mxcsr;
    for (unsigned i = 0; i < 8; i++) {
        FPReg *reg = &env->fpregs[physical(x->fsw, i)];

        reg->mantissa = x->st[i].mantissa;
        reg->exponent = x->st[i].exponent;
    }
    memcpy(env->xmm, x->xmm, sizeof(env->xmm));
    return 0;
}

static int put_xsave(CPUState *cpu)
{
    KVMState *s = kvm_state(cpu);
    CPUX86State *env = &x86_cpu(cpu)->env;
    g_autofree XSaveArea *x = g_malloc0(s->xsave_size);

    if (env->xsave_size > (uint32_t)s->xsave_size) {
        return -E2BIG;      /* saved where there are more registers */
    }
    if (env->xsave_area) {
        memcpy(x, env->xsave_area, env->xsave_size);
    }
    x->fcw = env->fpuc;
    x->fsw = env->fpus;
    x->ftw = env->fptag;
    x->fop = env->fpop;
    x->fip = env->fpip;
    x->fdp = env->fpdp;
    x->mxcsr = env->mxcsr;
    for (unsigned i = 0; i < 8; i++) {
        const FPReg *reg = &env->fpregs[physical(x->fsw, i)];

        x->st[i].mantissa = reg->mantissa;
        x->st[i].exponent = reg->exponent;
    }
    memcpy(x->xmm, env->xmm, sizeof(env->xmm));
    /* x87 and SSE are in the area; what a reset left out takes initial values. */
    x->xstate_bv |= 3;
    return kvm_ioctl(kvm_cpu(cpu)->fd, KVM_SET_XSAVE, x);
}

static int get_xcrs(CPUState *cpu)
{
    struct kvm_xcrs xcrs = { 0 };
    int ret = 0;

    if (kvm_state(cpu)->has_xcrs) {
        ret = kvm_ioctl(kvm_cpu(cpu)->fd, KVM_GET_XCRS, &xcrs);
        for (unsigned i = 0; ret == 0 && i < MIN(xcrs.nr_xcrs, KVM_MAX_XCRS); i++) {
            if (xcrs.xcrs[i].xcr == 0) {
                x86_cpu(cpu)->env.xcr0 = xcrs.xcrs[i].value;
            }
        }
    }
    return ret;
}

static int put_xcrs(CPUState *cpu)
{
    struct kvm_xcrs xcrs = { .nr_xcrs = 1 };

    if (!kvm_state(cpu)->has_xcrs) {
        return 0;
    }
    xcrs.xcrs[0].value = x86_cpu(cpu)->env.xcr0;
    return kvm_ioctl(kvm_cpu(cpu)->fd, KVM_SET_XCRS, &xcrs);
}

static int get_debugregs(CPUState *cpu)
{
    CPUX86State *env = &x86_cpu(cpu)->env;
    struct kvm_debugregs d;
    int ret = kvm_ioctl(kvm_cpu(cpu)->fd, KVM_GET_DEBUGREGS, &d);

    if (ret == 0) {
        for (unsigned i = 0; i < 4; i++) {
            env->dr[i] = d.db[i];
        }
        env->dr[6] = d.dr6;
        env->dr[7] = d.dr7;
    }
    return ret;
}

static int put_debugregs(CPUState *cpu)
{
    const CPUX86State *env = &x86_cpu(cpu)->env;
    struct kvm_debugregs d = { .dr6 = env->dr[6], .dr7 = env->dr[7] };

    for (unsigned i = 0; i < 4; i++) {
        d.db[i] = env->dr[i];
    }
    return kvm_ioctl(kvm_cpu(cpu)->fd, KVM_SET_DEBUGREGS, &d);
}

/* Events under way, and whether the CPU runs, halts or waits for INIT. */

static int get_events(CPUState *cpu)
{
    CPUX86State *env = &x86_cpu(cpu)->env;
    struct kvm_vcpu_events e;
    int ret = kvm_ioctl(kvm_cpu(cpu)->fd, KVM_GET_VCPU_EVENTS, &e);

    if (ret < 0) {
        return ret;
    }
    env->exception_injected = e.exception.injected;
    env->exception_pending = e.exception.pending;
    env->exception_nr = e.exception.nr;
    env->has_error_code = e.exception.has_error_code;
    env->error_code = e.exception.error_code;
    env->interrupt_injected = e.interrupt.injected;
    env->interrupt_nr = e.interrupt.nr;
    env->interrupt_soft = e.interrupt.soft;
    env->interrupt_shadow = e.interrupt.shadow;
    env->nmi_injected = e.nmi.injected;
    env->nmi_pending = e.nmi.pending;
    env->nmi_masked = e.nmi.masked;
    env->sipi_vector = e.sipi_vector;
    return 0;
}

static int put_events(CPUState *cpu)
{
    const CPUX86State *env = &x86_cpu(cpu)->env;
    struct kvm_vcpu_events e = {
        .exception = {
            .injected = env->exception_injected, .nr = env->exception_nr,
            .has_error_code = env->has_error_code, .error_code = env->error_code,
        },
        .interrupt = {
            .injected = env->interrupt_injected, .nr = env->interrupt_nr,
            .soft = env->interrupt_soft, .shadow = env->interrupt_shadow,
        },
        .nmi = {
            .injected = env->nmi_injected, .pending = env->nmi_pending,
            .masked = env->nmi_masked,
        },
        .sipi_vector = env->sipi_vector,
        .flags = KVM_VCPUEVENT_VALID_SHADOW,
    };

    if (env->put_level >= X86_PUT_INIT) {
        e.flags |= KVM_VCPUEVENT_VALID_NMI_PENDING | KVM_VCPUEVENT_VALID_SIPI_VECTOR;
    }
    /* Without KVM_CAP_EXCEPTION_PAYLOAD a pending exception is injected as one. */
    e.exception.injected |= env->exception_pending;
    return kvm_ioctl(kvm_cpu(cpu)->fd, KVM_SET_VCPU_EVENTS, &e);
}

static const uint32_t mp_states[] = {
    [X86_MP_RUNNABLE] = KVM_MP_STATE_RUNNABLE,
    [X86_MP_UNINITIALIZED] = KVM_MP_STATE_UNINITIALIZED,
    [X86_MP_INIT_RECEIVED] = KVM_MP_STATE_INIT_RECEIVED,
    [X86_MP_SIPI_RECEIVED] = KVM_MP_STATE_SIPI_RECEIVED,
    [X86_MP_HALTED] = KVM_MP_STATE_HALTED,
};

static int get_mp_state(CPUState *cpu)
{
    struct kvm_mp_state mp;
    int ret;

    if (x86_cpu(cpu)->apic) {
        return 0;       /* kvm-lapic.c keeps it */
    }
    ret = kvm_ioctl(kvm_cpu(cpu)->fd, KVM_GET_MP_STATE, &mp);

    for (unsigned i = 0; ret == 0 && i < G_N_ELEMENTS(mp_states); i++) {
        if (mp_states[i] == mp.mp_state) {
            x86_cpu(cpu)->env.mp_state = i;
        }
    }
    return ret;
}

static int put_mp_state(CPUState *cpu)
{
    struct kvm_mp_state mp = {
        .mp_state = mp_states[x86_cpu(cpu)->env.mp_state],
    };

    return x86_cpu(cpu)->apic ? 0 : kvm_ioctl(kvm_cpu(cpu)->fd, KVM_SET_MP_STATE, &mp);
}

/* SDM 3A, 11.4.7.1: the local APIC after power-on or reset. */
static int reset_lapic(CPUState *cpu)
{
    const X86CPU *x86 = x86_cpu(cpu);
    struct kvm_lapic_state lapic = { 0 };
    uint32_t (*r)[4] = (void *)lapic.regs;  /* the first of each four is the register */

    r[REG_ID][0] = x86->x2apic_at_reset ? x86->apic_id : x86->apic_id << 24;
    r[REG_VERSION][0] = 0x00050014;         /* KVM puts its own version there */
    r[REG_DFR][0] = 0xffffffff;
    r[REG_SVR][0] = 0xff;                   /* disabled by software */
    for (unsigned lvt = REG_LVT_TIMER; lvt <= REG_LVT_ERROR; lvt++) {
        r[lvt][0] = 0x10000;                /* masked */
    }
    if (cpu->cpu_index == 0) {
        /* Virtual wire mode: no firmware is there to set it (MP spec, 3.6.2.2). */
        r[REG_LVT_LINT0][0] = 0x700;
    }
    return kvm_ioctl(kvm_cpu(cpu)->fd, KVM_SET_LAPIC, &lapic);
}

static int put_general(CPUState *cpu)
{
    const CPUX86State *env = &x86_cpu(cpu)->env;
    int fd = kvm_cpu(cpu)->fd;
    struct kvm_sregs sregs;
    struct kvm_regs regs;
    int ret;

    put_sregs(env, &sregs);
    put_regs(env, &regs);
    /* KVM's word of the last exit is void. */
    kvm_cpu(cpu)->run->ready_for_interrupt_injection = 0;
    kvm_cpu(cpu)->run->if_flag = (env->eflags & IF_MASK) != 0;
    ret = kvm_ioctl(fd, KVM_SET_SREGS, &sregs);
    return ret < 0 ? ret : kvm_ioctl(fd, KVM_SET_REGS, &regs);
}

typedef struct Step {
    int (*fn)(CPUState *cpu);
    const char *what;
    X86PutLevel level;      /* from which on it is taken */
} Step;

/*
 * Linux 6.1 on AMD clears a vCPU's control block when it shuts down, and with it
 * the root of the nested page tables, which comes back only when paging state
 * changes. A guest that faulted with paging off would hang in its next life, so
 * make CR0 change.
 */
static int stir_paging(CPUState *cpu)
{
    const CPUX86State *env = &x86_cpu(cpu)->env;
    struct kvm_sregs sregs;

    put_sregs(env, &sregs);
    sregs.cr0 ^= CR0_WP;
    return kvm_ioctl(kvm_cpu(cpu)->fd, KVM_SET_SREGS, &sregs);
}

static bool run_steps(CPUState *cpu, const Step *steps, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        int ret = x86_cpu(cpu)->env.put_level < steps[i].level ? 0 : steps[i].fn(cpu);

        if (ret < 0) {
            error_report("KVM refuses the %s of CPU %u: %s", steps[i].what,
                         cpu->cpu_index, strerror(-ret));
            return false;
        }
    }
    return true;
}

static int get_general(CPUState *cpu)
{
    CPUX86State *env = &x86_cpu(cpu)->env;
    int fd = kvm_cpu(cpu)->fd;
    struct kvm_sregs sregs;
    struct kvm_regs regs;
    int ret = kvm_ioctl(fd, KVM_GET_REGS, &regs);

    if (ret == 0) {
        ret = kvm_ioctl(fd, KVM_GET_SREGS, &sregs);
    }
    if (ret == 0) {
        get_regs(env, &regs);
        get_sregs(env, &sregs);
    }
    return ret;
}

void kvm_arch_get_registers(CPUState *cpu)
{
    static const Step steps[] = {
        /* First: it lets KVM settle INIT and SIPI that are under way. */
        { get_mp_state, "run state" },
        { get_general, "registers" },
        { get_xcrs, "XCR0" },
        { get_xsave, "FPU state" },
        { get_debugregs, "debug registers" },
        { kvm_get_msrs, "MSRs" },
        { get_events, "events" },
        { kvm_lapic_get_events, "events" },
    };

    x86_cpu(cpu)->env.put_level = X86_PUT_CHANGED;
    run_steps(cpu, steps, G_N_ELEMENTS(steps));
    x86_cpu(cpu)->env.tsc_clock = qemu_clock_get_ns(QEMU_CLOCK_VIRTUAL);
}

/*
 * First run: KVM's vCPU is as x86_cpu_reset() makes env. What differs is what
 * the board has set for its entry point: registers, perhaps MTRRs.
 */
static bool put_first(CPUState *cpu)
{
    static const Step steps[] = { { put_general, "registers" } };
    g_autofree X86CPU *pristine = NULL;
    CPUX86State *env = &x86_cpu(cpu)->env;
    int ret;

    if (env->mp_state != X86_MP_RUNNABLE) {
        return true;
    }
    pristine = g_memdup2(cpu, sizeof(*pristine));
    pristine->env.xsave_area = NULL;
    x86_cpu_reset(pristine);
    ret = kvm_put_msrs(cpu, true, &pristine->env);
    if (ret < 0) {
        error_report("KVM refuses the first MSRs of CPU %u: %s", cpu->cpu_index,
                     strerror(-ret));
        return false;
    }
    return run_steps(cpu, steps, G_N_ELEMENTS(steps));
}

static int put_msrs(CPUState *cpu)
{
    return kvm_put_msrs(cpu, x86_cpu(cpu)->env.put_level >= X86_PUT_RESET, NULL);
}

/* A machine's whose APICs were not the kernel's: what was on its way to this CPU. */
static void settle_start(X86CPU *cpu)
{
    CPUX86State *env = &cpu->env;
    uint64_t base = env->apic_base;

    if (env->init_pending) {
        x86_cpu_init_reset(cpu);
        env->apic_base = base;
        env->put_level = X86_PUT_LOADED;
    }
    if (env->has_sipi &&
        (env->mp_state == X86_MP_UNINITIALIZED || env->mp_state == X86_MP_INIT_RECEIVED)) {
        env->mp_state = X86_MP_SIPI_RECEIVED;
    }
    env->init_pending = env->has_sipi = false;
}

/* A saved machine's. KVM counts on from where its timer was. */
static int load_lapic(CPUState *cpu)
{
    const CPUX86State *env = &x86_cpu(cpu)->env;
    struct kvm_lapic_state lapic = { 0 };
    uint32_t (*r)[4] = (void *)lapic.regs;

    for (unsigned i = 0; i < G_N_ELEMENTS(env->lapic); i++) {
        r[i][0] = env->lapic[i];
    }
    return kvm_ioctl(kvm_cpu(cpu)->fd, KVM_SET_LAPIC, &lapic);
}

static int put_lapic(CPUState *cpu)
{
    if (x86_cpu(cpu)->apic) {
        kvm_lapic_put_events(cpu);      /* the registers are the board's */
        return 0;
    }
    return x86_cpu(cpu)->env.has_lapic ? load_lapic(cpu) : reset_lapic(cpu);
}

bool kvm_arch_put_registers(CPUState *cpu)
{
    static const Step steps[] = {
        { kvm_put_clock, "clock", X86_PUT_LOADED },
        { stir_paging, "control registers", X86_PUT_RESET },
        { put_general, "registers" },
        /* After the APIC base, before the deadline timer's MSR. */
        { put_lapic, "local APIC", X86_PUT_RESET },
        { put_xcrs, "XCR0" },
        { put_xsave, "FPU state" },
        { put_debugregs, "debug registers" },
        { kvm_put_other_msrs, "MSRs", X86_PUT_LOADED },
        { put_msrs, "MSRs" },
        { put_events, "events" },
        { put_mp_state, "run state", X86_PUT_INIT },
        { kvm_put_pit, "PIT", X86_PUT_LOADED },
    };
    CPUX86State *env = &x86_cpu(cpu)->env;
    bool ok;

    if (env->put_level == X86_PUT_LOADED && !x86_cpu(cpu)->apic) {
        settle_start(x86_cpu(cpu));
    }
    /* KVM's vCPUs start in xAPIC mode. */
    if (!kvm_cpu(cpu)->touched && env->put_level == X86_PUT_RESET &&
        !x86_cpu(cpu)->x2apic_at_reset) {
        ok = put_first(cpu);
    } else {
        kvm_cpu(cpu)->touched = true;
        ok = run_steps(cpu, steps, G_N_ELEMENTS(steps));
    }
    if (ok) {
        env->put_level = X86_PUT_CHANGED;
    }
    return ok;
}
