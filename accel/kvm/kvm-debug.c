/*
 * Debugging guest code with KVM's help: KVM_SET_GUEST_DEBUG.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <string.h>
#include <sys/ioctl.h>

#include "kvm-int.h"
#include "sysemu/cpus.h"
#include "sysemu/debug.h"

#define VECTOR_DB   1
#define VECTOR_BP   3

#define DR6_BS      (1u << 14)      /* a single step */
#define DR7_FIXED   (1u << 10)

/* DR7's fields for one address register (SDM 3B, 17.2.4). */
static uint64_t dr7_bits(unsigned n, CPUDebugType type, unsigned len)
{
    static const uint8_t lengths[9] = { [1] = 0, [2] = 1, [4] = 3, [8] = 2 };

    return 2ULL << (n * 2) | (uint64_t)(type | lengths[len] << 2) << (16 + n * 4);
}

/* inject: KVM_GUESTDBG_INJECT_*, once. */
static int apply_debug(CPUState *cpu, uint32_t inject)
{
    KVMCPU *kc = kvm_cpu(cpu);
    const CPUDebug *debug = &kc->debug;
    struct kvm_guest_debug dbg = { .control = inject };

    if (debug->enabled) {
        dbg.control |= KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_USE_SW_BP;
    }
    if (debug->single_step) {
        dbg.control |= KVM_GUESTDBG_SINGLESTEP;
    }
    if (debug->nr_hw) {
        dbg.control |= KVM_GUESTDBG_USE_HW_BP;
        dbg.arch.debugreg[7] = DR7_FIXED;
    }
    for (unsigned i = 0; i < debug->nr_hw; i++) {
        dbg.arch.debugreg[i] = debug->hw[i].addr;
        dbg.arch.debugreg[7] |= dr7_bits(i, debug->hw[i].type, debug->hw[i].len);
    }
    return kvm_ioctl(kc->fd, KVM_SET_GUEST_DEBUG, &dbg);
}

int kvm_set_debug(CPUState *cpu, const CPUDebug *debug)
{
    kvm_cpu(cpu)->debug = *debug;
    return apply_debug(cpu, 0);
}

bool kvm_exit_debug(CPUState *cpu, struct kvm_run *run)
{
    const struct kvm_debug_exit_arch *arch = &run->debug.arch;
    const CPUDebug *debug = &kvm_cpu(cpu)->debug;
    CPUDebugEvent *ev = &cpu->debug_event;
    bool ours = arch->exception == VECTOR_BP ? cpu_debug_owns_breakpoint(debug, arch->pc) :
        debug->single_step && arch->dr6 & DR6_BS;

    *ev = (CPUDebugEvent) { .hit = true };
    for (unsigned i = 0; arch->exception == VECTOR_DB && i < debug->nr_hw; i++) {
        if (!(arch->dr6 & 1u << i)) {
            continue;
        }
        ours = true;
        if (debug->hw[i].type != CPU_DEBUG_EXECUTE) {
            ev->watch = true;
            ev->addr = debug->hw[i].addr;
            ev->type = debug->hw[i].type;
        }
    }
    if (!ours && !apply_debug(cpu, arch->exception == VECTOR_BP ? KVM_GUESTDBG_INJECT_BP :
                              KVM_GUESTDBG_INJECT_DB)) {
        /* The guest's own INT3 or trap: it gets its exception after all. */
        ev->hit = false;
        return true;
    }
    qemu_system_vmstop_request(cpu->machine, RUN_STATE_DEBUG);
    return false;
}
