/*
 * KVM vCPUs: the run loop and its table of exits.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "kvm-int.h"
#include "qemu/log.h"
#include "qemu/main-loop.h"
#include "qemu/trace.h"
#include "sysemu/cpus.h"

static void kick_arrived(int sig)
{
}

void kvm_init_kick(void)
{
    struct sigaction act = { .sa_handler = kick_arrived };
    sigset_t set;

    sigaction(SIG_IPI, &act, NULL);
    sigemptyset(&set);
    sigaddset(&set, SIG_IPI);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
}

void kvm_inject_nmi(CPUState *cpu)
{
    int ret = kvm_ioctl(kvm_cpu(cpu)->fd, KVM_NMI, NULL);

    if (ret < 0) {
        error_report("cannot inject an NMI: %s", strerror(-ret));
    }
}

static void kvm_free_cpu(KVMState *s, KVMCPU *kc)
{
    if (kc->run) {
        kvm_coalesced_unmap(s, kc->run);
        munmap(kc->run, s->run_size);
    }
    if (kc->fd >= 0) {
        close(kc->fd);
    }
    g_clear_pointer(&kc->other_msrs, g_bytes_unref);
    g_free(kc);
}

/* The ioctls that make a vCPU; several threads do this at the same time. */
static bool kvm_make_vcpu(CPUState *cpu, KVMCPU *kc, Error **errp)
{
    KVMState *s = kvm_state(cpu);
    void *run;
    int ret;

    kc->fd = kvm_ioctl(s->vmfd, KVM_CREATE_VCPU,
                       (void *)(uintptr_t)x86_cpu(cpu)->apic_id);
    if (kc->fd < 0) {
        error_setg_errno(errp, -kc->fd, "KVM cannot create CPU %u", cpu->cpu_index);
        return false;
    }
    run = mmap(NULL, s->run_size, PROT_READ | PROT_WRITE, MAP_SHARED, kc->fd, 0);
    if (run == MAP_FAILED) {
        error_setg_errno(errp, errno, "cannot map the state of CPU %u",
                         cpu->cpu_index);
        return false;
    }
    kc->run = run;
    if (!cpu->cpu_index) {
        kvm_coalesced_map(s, run);
    }
    /* From here on it can be kicked. */
    __atomic_store_n(&cpu->accel, (AccelCPU *)kc, __ATOMIC_SEQ_CST);
    kvm_lapic_connect(cpu);
    ret = kvm_arch_init_vcpu(cpu);
    if (ret < 0) {
        error_setg_errno(errp, -ret, "KVM refuses the CPUID of CPU %u",
                         cpu->cpu_index);
        return false;
    }
    return true;
}

bool kvm_vcpu_init(CPUState *cpu, Error **errp)
{
    KVMCPU *kc = g_new0(KVMCPU, 1);
    sigset_t set;
    bool ok;

    kc->fd = -1;
    sigemptyset(&set);
    sigaddset(&set, SIG_IPI);
    pthread_sigmask(SIG_UNBLOCK, &set, NULL);
    kc->thread = pthread_self();

    bql_unlock();
    ok = kvm_make_vcpu(cpu, kc, errp);
    bql_lock();
    if (!ok) {
        cpu->accel = NULL;
        kvm_free_cpu(kvm_state(cpu), kc);
    }
    return ok;
}

/*
 * Exits. A handler returns true when the guest may go on.
 */
typedef bool KVMExitHandler(CPUState *cpu, struct kvm_run *run);

static bool kvm_exit_io(CPUState *cpu, struct kvm_run *run)
{
    AddressSpace *as = &cpu->machine->io;
    uint8_t *data = (uint8_t *)run + run->io.data_offset;
    bool is_write = run->io.direction == KVM_EXIT_IO_OUT;

    kvm_cpu(cpu)->io_pending = true;
    for (uint32_t i = 0; i < run->io.count; i++) {
        uint64_t value = 0;

        if (is_write) {
            memcpy(&value, data, run->io.size);
        }
        address_space_rw(as, run->io.port, &value, run->io.size, is_write);
        if (!is_write) {
            memcpy(data, &value, run->io.size);
        }
        data += run->io.size;
    }
    return true;
}

/* The two halves of an access that crosses a page can have any length. */
void kvm_mmio_access(AddressSpace *as, hwaddr addr, uint8_t *data, unsigned len,
                     bool is_write)
{
    while (len) {
        unsigned size = 1u << g_bit_nth_msf(len, -1);
        uint64_t value = 0;

        if (is_write) {
            memcpy(&value, data, size);
        }
        address_space_rw(as, addr, &value, size, is_write);
        if (!is_write) {
            memcpy(data, &value, size);
        }
        addr += size;
        data += size;
        len -= size;
    }
}

static bool kvm_exit_mmio(CPUState *cpu, struct kvm_run *run)
{
    unsigned len = MIN(run->mmio.len, sizeof(run->mmio.data));

    kvm_cpu(cpu)->io_pending = true;
    if (kvm_lapic_mmio(cpu, run)) {
        return true;
    }
    kvm_mmio_access(&cpu->machine->memory, run->mmio.phys_addr, run->mmio.data, len,
                    run->mmio.is_write);
    return true;
}

/* A triple fault: with no firmware in the way it resets the machine. */
static bool kvm_exit_shutdown(CPUState *cpu, struct kvm_run *run)
{
    const RunStateMachine *r = &cpu->machine->rsm;
    const X86CPU *x86 = x86_cpu(cpu);

    if (!r->explain_faults && !qemu_loglevel_mask(LOG_CPU_RESET)) {
        qemu_system_reset_request(cpu->machine, SHUTDOWN_CAUSE_GUEST_RESET);
        return false;
    }
    kvm_arch_get_registers(cpu);
    qemu_system_triple_fault(cpu->machine, cpu->cpu_index, x86->env.eip,
                             x86->env.idt.limit == 0);
    return false;
}

static bool kvm_exit_system_event(CPUState *cpu, struct kvm_run *run)
{
    switch (run->system_event.type) {
    case KVM_SYSTEM_EVENT_SHUTDOWN:
        qemu_system_shutdown_request(cpu->machine, SHUTDOWN_CAUSE_GUEST_SHUTDOWN);
        break;
    case KVM_SYSTEM_EVENT_RESET:
        qemu_system_reset_request(cpu->machine, SHUTDOWN_CAUSE_GUEST_RESET);
        break;
    case KVM_SYSTEM_EVENT_CRASH:
        qemu_system_guest_panicked(cpu->machine);
        break;
    default:
        qemu_log_mask(LOG_UNIMP, "kvm: system event %u\n", run->system_event.type);
        return true;
    }
    return false;
}

static bool kvm_exit_go_on(CPUState *cpu, struct kvm_run *run)
{
    return true;
}

/* The VM cannot go on, and a person has to find out why. */
static bool kvm_internal_error(CPUState *cpu)
{
    g_autofree char *regs = NULL;

    kvm_arch_get_registers(cpu);
    regs = x86_cpu_dump_state(x86_cpu(cpu));
    error_printf("%s", regs);
    qemu_system_vmstop_request(cpu->machine, RUN_STATE_INTERNAL_ERROR);
    return false;
}

static bool kvm_exit_internal_error(CPUState *cpu, struct kvm_run *run)
{
    unsigned n = MIN(run->internal.ndata, G_N_ELEMENTS(run->internal.data));

    error_printf("KVM internal error. Suberror: %u\n", run->internal.suberror);
    for (unsigned i = 0; i < n; i++) {
        error_printf("extra data[%u]: 0x%016" PRIx64 "\n", i,
                     (uint64_t)run->internal.data[i]);
    }
    if (run->internal.suberror == KVM_INTERNAL_ERROR_EMULATION) {
        error_printf("emulation failure\n");
    }
    return kvm_internal_error(cpu);
}

static bool kvm_exit_fail_entry(CPUState *cpu, struct kvm_run *run)
{
    error_printf("KVM: entry failed, hardware error 0x%" PRIx64 "\n",
                 (uint64_t)run->fail_entry.hardware_entry_failure_reason);
    return kvm_internal_error(cpu);
}

static bool kvm_exit_unknown(CPUState *cpu, struct kvm_run *run)
{
    error_printf("KVM: unexpected exit reason %u, hardware reason 0x%" PRIx64 "\n",
                 run->exit_reason, (uint64_t)run->hw.hardware_exit_reason);
    return kvm_internal_error(cpu);
}

static bool kvm_exit_ioapic_eoi(CPUState *cpu, struct kvm_run *run)
{
    kvm_split_eoi(kvm_state(cpu), run->eoi.vector);
    return true;
}

static const struct {
    KVMExitHandler *handler;
    const char *name;
} kvm_exits[KVM_NR_EXITS] = {
    [KVM_EXIT_UNKNOWN] = { kvm_exit_unknown, "unknown" },
    [KVM_EXIT_IO] = { kvm_exit_io, "io" },
    [KVM_EXIT_DEBUG] = { kvm_exit_debug, "debug" },
    [KVM_EXIT_HLT] = { kvm_exit_hlt, "hlt" },
    [KVM_EXIT_MMIO] = { kvm_exit_mmio, "mmio" },
    [KVM_EXIT_IRQ_WINDOW_OPEN] = { kvm_exit_go_on, "irq-window" },
    [KVM_EXIT_SET_TPR] = { kvm_exit_go_on, "set-tpr" },
    [KVM_EXIT_SHUTDOWN] = { kvm_exit_shutdown, "shutdown" },
    [KVM_EXIT_FAIL_ENTRY] = { kvm_exit_fail_entry, "fail-entry" },
    [KVM_EXIT_INTR] = { kvm_exit_go_on, "interrupted" },
    [KVM_EXIT_INTERNAL_ERROR] = { kvm_exit_internal_error, "internal-error" },
    [KVM_EXIT_IOAPIC_EOI] = { kvm_exit_ioapic_eoi, "ioapic-eoi" },
    [KVM_EXIT_SYSTEM_EVENT] = { kvm_exit_system_event, "system-event" },
};

static bool kvm_handle_exit(CPUState *cpu, struct kvm_run *run)
{
    unsigned reason = MIN(run->exit_reason, KVM_NR_EXITS - 1);
    KVMExitHandler *handler = kvm_exits[reason].handler;

    kvm_cpu(cpu)->exits[reason]++;
    trace(kvm_run_exit, "cpu %u reason %u (%s)", cpu->cpu_index, run->exit_reason,
          kvm_exits[reason].name ? kvm_exits[reason].name : "?");
    /* What this or another CPU wrote before comes first. */
    kvm_coalesced_flush(kvm_state(cpu));
    return (handler ? handler : kvm_exit_unknown)(cpu, run);
}

/* KVM_RUN returned an error: true when it is worth another try. */
static bool kvm_run_failed(CPUState *cpu, int err)
{
    /* EAGAIN: a CPU that waited for INIT and SIPI was woken. */
    if (err == EINTR || err == EAGAIN) {
        kvm_cpu(cpu)->exits[KVM_EXIT_INTR]++;
        return true;
    }
    error_printf("error: kvm run failed %s\n", strerror(err));
    return kvm_internal_error(cpu);
}

void kvm_vcpu_exec(CPUState *cpu)
{
    KVMCPU *kc = kvm_cpu(cpu);
    struct kvm_run *run = kc->run;
    bool go_on = true, stop;

    kc->touched = true;
    atomic_store(&kvm_state(cpu)->ran, true);
    for (;;) {
        /*
         * Cleared before the flag is read: a kick that we do not see here finds
         * immediate_exit ours no more and stops us at the kernel's door. kicked goes last: left
         * set without its immediate_exit, nobody would kick a CPU that runs.
         */
        __atomic_store_n(&run->immediate_exit, 0, __ATOMIC_SEQ_CST);
        atomic_store(&kc->kicked, 0);
        stop = !go_on || atomic_load(&cpu->exit_request);
        if (kc->io_pending) {
            if (stop || kvm_lapic_pending(cpu)) {
                /* Registers are only right when KVM has finished the access. */
                run->immediate_exit = 1;
            }
        } else if (stop) {
            return;
        } else if (!kvm_lapic_before_run(cpu)) {
            continue;
        }
        kc->io_pending = false;
        kvm_split_before_run(cpu);
        if (ioctl(kc->fd, KVM_RUN, 0) < 0) {
            go_on &= kvm_run_failed(cpu, errno);
            kvm_lapic_after_run(cpu);
        } else {
            kvm_lapic_after_run(cpu);
            go_on &= kvm_handle_exit(cpu, run);
        }
    }
}

static void append_exits(GString *text, const uint64_t exits[KVM_NR_EXITS])
{
    uint64_t total = 0;

    for (unsigned reason = 0; reason < KVM_NR_EXITS; reason++) {
        total += exits[reason];
        if (exits[reason] && kvm_exits[reason].name) {
            g_string_append_printf(text, " %s=%" PRIu64, kvm_exits[reason].name,
                                   exits[reason]);
        } else if (exits[reason]) {
            g_string_append_printf(text, " reason-%u=%" PRIu64, reason, exits[reason]);
        }
    }
    g_string_append_printf(text, " total=%" PRIu64 "\n", total);
}

char *kvm_info(AccelState *as)
{
    const MachineState *ms = as->machine;
    GString *text = g_string_new(NULL);

    for (unsigned i = 0; ms->cpus && i < ms->smp.cpus; i++) {
        if (ms->cpus[i] && ms->cpus[i]->accel) {
            g_string_append_printf(text, "CPU#%u exits:", i);
            append_exits(text, kvm_cpu(ms->cpus[i])->exits);
        }
    }
    return g_string_free(text, FALSE);
}

void kvm_vcpu_destroy(CPUState *cpu)
{
    KVMCPU *kc = kvm_cpu(cpu);

    if (qemu_loglevel_mask(LOG_KVM)) {
        g_autoptr(GString) text = g_string_new(NULL);

        append_exits(text, kc->exits);
        qemu_log("kvm: CPU#%u exits:%s", cpu->cpu_index, text->str);
    }
    cpu->accel = NULL;
    kvm_free_cpu(kvm_state(cpu), kc);
}
