/*
 * Descriptors of userfaultfd.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "userfaultfd.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

/* The device's; older headers do not have it. */
#ifndef USERFAULTFD_IOC_NEW
#define USERFAULTFD_IOC_NEW _IO(0xAA, 0x00)
#endif

/* The call, or the device, whichever this process may use. */
static int open_either(void)
{
    int fd = syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK), device;

    if (fd >= 0 || errno != EPERM) {
        return fd;
    }
    device = open("/dev/userfaultfd", O_RDWR | O_CLOEXEC);
    if (device < 0) {
        errno = EPERM;
        return -1;
    }
    fd = ioctl(device, USERFAULTFD_IOC_NEW, O_CLOEXEC | O_NONBLOCK);
    close(device);
    return fd;
}

int userfaultfd_open(Error **errp)
{
    int fd = open_either();

    if (fd < 0 && errno == EPERM) {
        error_setg(errp, "this process may not use userfaultfd: it needs sysctl "
                   "vm.unprivileged_userfaultfd=1, access to /dev/userfaultfd, or CAP_SYS_PTRACE");
    } else if (fd < 0) {
        error_setg_errno(errp, errno, "userfaultfd");
    }
    return fd;
}
