/*
 * What the rest of this accelerator stands on: ioctls, and the kick of a vCPU.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <errno.h>
#include <signal.h>
#include <sys/ioctl.h>

#include "kvm-int.h"
#include "qemu/trace.h"

int kvm_ioctl(int fd, unsigned long request, void *arg)
{
    int ret;

    do {
        ret = ioctl(fd, request, arg);
    } while (ret < 0 && errno == EINTR);
    ret = ret < 0 ? -errno : ret;
    trace(kvm_ioctl, "fd %d request 0x%lx: %d", fd, request, ret);
    return ret;
}

int kvm_check_extension(const KVMState *s, int cap)
{
    int ret = kvm_ioctl(s->fd, KVM_CHECK_EXTENSION, (void *)(intptr_t)cap);

    return MAX(ret, 0);
}

void kvm_vcpu_kick(CPUState *cpu)
{
    KVMCPU *kc = (KVMCPU *)__atomic_load_n(&cpu->accel, __ATOMIC_SEQ_CST);

    if (kc) {
        atomic_store(&kc->kicked, 1);
        /* In user space: stops the next KVM_RUN. In the kernel: the signal does. */
        __atomic_store_n(&kc->run->immediate_exit, 1, __ATOMIC_SEQ_CST);
        pthread_kill(kc->thread, SIG_IPI);
    }
}
