/*
 * kernel-irqchip=off: the local APICs are ours too.
 *
 * KVM runs the CPU only. Interrupts go in by KVM_INTERRUPT when it says that it can
 * take one, the APIC's registers are an MMIO exit, CR8 and IA32_APIC_BASE pass
 * through kvm_run, and HLT, INIT and start-up IPIs are waited for here. env.mp_state
 * is right at all times, as KVM keeps none. What has no exit to us, the MSRs of x2APIC
 * mode and of the deadline timer, is not offered: KVM may take those writes before
 * it looks at a filter (KVM API, 4.97).
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <linux/futex.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "target/i386/apic.h"
#include "kvm-int.h"
#include "qemu/log.h"
#include "target/i386/cpuid.h"

/* What the host kernel does with its own APICs only. */
static const uint16_t needs_kernel_apic[] = {
    X86_FEATURE_X2APIC, X86_FEATURE_TSC_DEADLINE, X86_FEATURE_KVM_ASYNCPF,
    X86_FEATURE_KVM_ASYNCPF_VMEXIT, X86_FEATURE_KVM_ASYNCPF_INT, X86_FEATURE_KVM_PV_EOI,
    X86_FEATURE_KVM_PV_UNHALT, X86_FEATURE_KVM_PV_IPI, X86_FEATURE_KVM_PV_SCHED_YIELD,
    X86_FEATURE_KVM_MSI_EXT_DEST_ID,
};

void kvm_lapic_limit_cpuid(CPUIDTable *table)
{
    for (unsigned i = 0; i < G_N_ELEMENTS(needs_kernel_apic); i++) {
        x86_feature_set(table, needs_kernel_apic[i], false);
    }
}

/* APIC to CPU: any thread -------------------------------------------------- */

static void cpu_interrupt(void *opaque)
{
    CPUState *cpu = opaque;
    KVMCPU *kc = kvm_cpu(cpu);

    /* A CPU that was kicked, or that is here itself, looks before it runs on. */
    if (!atomic_exchange(&kc->kicked, 1) && !pthread_equal(kc->thread, pthread_self())) {
        kvm_vcpu_kick(cpu);
    }
}

static void cpu_nmi(void *opaque)
{
    nmi_latch(&kvm_cpu(opaque)->nmi_pending);
    cpu_interrupt(opaque);
}

static void cpu_init(void *opaque)
{
    KVMCPU *kc = kvm_cpu(opaque);

    /* A start-up IPI that came before is forgotten. */
    atomic_store(&kc->sipi_pending, -1);
    atomic_store(&kc->init_pending, true);
    cpu_interrupt(opaque);
}

static void cpu_sipi(void *opaque, uint8_t vector)
{
    atomic_store(&kvm_cpu(opaque)->sipi_pending, vector);
    cpu_interrupt(opaque);
}

static const APICCPUOps cpu_ops = {
    .interrupt = cpu_interrupt,
    .nmi = cpu_nmi,
    .init = cpu_init,
    .sipi = cpu_sipi,
};

static void kvm_lapic_reset(CPUState *cpu)
{
    KVMCPU *kc = kvm_cpu(cpu);

    atomic_store(&kc->init_pending, false);
    atomic_store(&kc->nmi_pending, 0);
    atomic_store(&kc->sipi_pending, -1);
}

int kvm_lapic_get_events(CPUState *cpu)
{
    CPUX86State *env = &x86_cpu(cpu)->env;
    KVMCPU *kc = kvm_cpu(cpu);
    int sipi = atomic_load(&kc->sipi_pending);

    if (x86_cpu(cpu)->apic) {
        env->init_pending = atomic_load(&kc->init_pending);
        env->has_sipi = sipi >= 0;
        env->sipi_vector = sipi >= 0 ? sipi : 0;
        env->nmi_pending = MIN(env->nmi_pending + atomic_load(&kc->nmi_pending), 2u);
    }
    return 0;
}

void kvm_lapic_put_events(CPUState *cpu)
{
    const CPUX86State *env = &x86_cpu(cpu)->env;
    KVMCPU *kc = kvm_cpu(cpu);

    kvm_lapic_reset(cpu);
    atomic_store(&kc->init_pending, env->init_pending);
    atomic_store(&kc->sipi_pending, env->has_sipi ? env->sipi_vector : -1);
}

void kvm_lapic_connect(CPUState *cpu)
{
    X86CPU *x86 = x86_cpu(cpu);
    uint32_t sizes[4] = { 0 };
    APICFeatures features;

    if (!x86->apic) {
        return;
    }
    if (x86->cpuid) {
        x86_cpuid_lookup(x86->cpuid, 0x80000008, 0, sizes);
    }
    features = (APICFeatures) { .phys_bits = MAX(sizes[0] & 0xff, 36) };
    kvm_lapic_reset(cpu);
    apic_connect_cpu(x86->apic, &cpu_ops, cpu, &features);
}

/* INIT, start-up IPI, HLT -------------------------------------------------- */

static void put_own_registers(CPUState *cpu)
{
    if (!kvm_arch_put_registers(cpu)) {
        qemu_system_vmstop_request(cpu->machine, RUN_STATE_INTERNAL_ERROR);
    }
}

static void do_init(CPUState *cpu)
{
    kvm_arch_get_registers(cpu);
    x86_cpu_init_reset(x86_cpu(cpu));
    put_own_registers(cpu);
}

/* SDM 3A, 9.4.3: real mode at vector << 12. */
static void do_sipi(CPUState *cpu, unsigned vector)
{
    CPUX86State *env = &x86_cpu(cpu)->env;

    if (env->mp_state != X86_MP_INIT_RECEIVED && env->mp_state != X86_MP_UNINITIALIZED) {
        return;
    }
    kvm_arch_get_registers(cpu);
    env->segs[R_CS].selector = vector << 8;
    env->segs[R_CS].base = vector << 12;
    env->eip = 0;
    env->mp_state = X86_MP_RUNNABLE;
    put_own_registers(cpu);
}

static void handle_events(CPUState *cpu)
{
    KVMCPU *kc = kvm_cpu(cpu);
    int sipi;

    if (atomic_exchange(&kc->init_pending, false)) {
        do_init(cpu);
    }
    sipi = atomic_exchange(&kc->sipi_pending, -1);
    if (sipi >= 0) {
        do_sipi(cpu, sipi);
    }
    for (unsigned n = atomic_exchange(&kc->nmi_pending, 0); n; n--) {
        kvm_inject_nmi(cpu);    /* KVM drops what is too many */
    }
}

bool kvm_exit_hlt(CPUState *cpu, struct kvm_run *run)
{
    if (x86_cpu(cpu)->apic) {
        x86_cpu(cpu)->env.mp_state = X86_MP_HALTED;
    }
    return true;
}

/* kvm_vcpu_kick() interrupts the wait, or has changed the word before it. */
static void sleep_for_kick(KVMCPU *kc)
{
    syscall(SYS_futex, &kc->kicked, FUTEX_WAIT_PRIVATE, 0, NULL, NULL, 0);
}

/* Around KVM_RUN: own thread ----------------------------------------------- */

/*
 * What KVM_INTERRUPT queues is injected whatever the CPU is doing, so only with
 * KVM's word that it can be.
 */
static void inject(CPUState *cpu, struct kvm_run *run)
{
    APICState *apic = x86_cpu(cpu)->apic;
    struct kvm_interrupt irq;
    int vector;

    if (run->ready_for_interrupt_injection && run->if_flag) {
        vector = apic_get_interrupt(apic);
        if (vector >= 0) {
            irq.irq = vector;
            kvm_ioctl(kvm_cpu(cpu)->fd, KVM_INTERRUPT, &irq);
            run->ready_for_interrupt_injection = 0;
        }
    }
    run->request_interrupt_window = apic_has_interrupt(apic);
}

bool kvm_lapic_pending(CPUState *cpu)
{
    KVMCPU *kc = kvm_cpu(cpu);
    APICState *apic = x86_cpu(cpu)->apic;

    return apic && (atomic_load(&kc->init_pending) || atomic_load(&kc->nmi_pending) ||
                    atomic_load(&kc->sipi_pending) >= 0 || apic_has_interrupt(apic));
}

bool kvm_is_dead(CPUState *cpu)
{
    KVMCPU *kc = kvm_cpu(cpu);
    X86MPState state = x86_cpu(cpu)->env.mp_state;

    return x86_cpu(cpu)->apic && state != X86_MP_RUNNABLE &&
           (state != X86_MP_HALTED || !kc->run->if_flag) &&
           !atomic_load(&kc->init_pending) && !atomic_load(&kc->nmi_pending) &&
           atomic_load(&kc->sipi_pending) < 0;
}

bool kvm_lapic_before_run(CPUState *cpu)
{
    CPUX86State *env = &x86_cpu(cpu)->env;
    APICState *apic = x86_cpu(cpu)->apic;
    struct kvm_run *run = kvm_cpu(cpu)->run;

    if (!apic) {
        return true;
    }
    handle_events(cpu);
    if (env->mp_state == X86_MP_HALTED && run->if_flag && apic_has_interrupt(apic)) {
        env->mp_state = X86_MP_RUNNABLE;
    }
    if (env->mp_state != X86_MP_RUNNABLE) {
        if (env->mp_state != X86_MP_HALTED || !run->if_flag) {
            cpu_fall_deaf(cpu);
        }
        sleep_for_kick(kvm_cpu(cpu));
        cpu_hear_again(cpu);
        return false;
    }
    inject(cpu, run);
    run->cr8 = apic_get_cr8(apic);
    return true;
}

void kvm_lapic_after_run(CPUState *cpu)
{
    APICState *apic = x86_cpu(cpu)->apic;
    const struct kvm_run *run = kvm_cpu(cpu)->run;

    if (!apic) {
        return;
    }
    if (run->cr8 != apic_get_cr8(apic)) {
        apic_set_cr8(apic, run->cr8);
    }
    if (run->apic_base != apic_get_base(apic) &&
        !apic_msr_write(apic, MSR_APIC_BASE, run->apic_base)) {
        qemu_log_mask(LOG_GUEST_ERROR, "kvm: IA32_APIC_BASE 0x%" PRIx64 " ignored\n",
                      (uint64_t)run->apic_base);
    }
}

bool kvm_lapic_mmio(CPUState *cpu, struct kvm_run *run)
{
    APICState *apic = x86_cpu(cpu)->apic;
    unsigned offset = run->mmio.phys_addr & 0xfff;
    uint32_t value = 0;

    if (!apic || run->mmio.phys_addr - offset != apic_mmio_page(apic) || run->mmio.len > 4) {
        return false;
    }
    if (run->mmio.is_write) {
        memcpy(&value, run->mmio.data, run->mmio.len);
        apic_mmio_write(apic, offset, value, run->mmio.len);
        run->cr8 = apic_get_cr8(apic);  /* perhaps it was the TPR */
    } else {
        value = apic_mmio_read(apic, offset, run->mmio.len);
        memcpy(run->mmio.data, &value, run->mmio.len);
    }
    return true;
}
