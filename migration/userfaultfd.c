/*
 * Descriptors of userfaultfd.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "userfaultfd.h"

#include <errno.h>
#include <fcntl.h>
#include <glib.h>
#include <linux/userfaultfd.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "format.h"

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

bool userfaultfd_wait(int fd, int stop)
{
    struct pollfd pfd[2] = { { .fd = fd, .events = POLLIN }, { .fd = stop, .events = POLLIN } };

    while (poll(pfd, G_N_ELEMENTS(pfd), -1) < 0 && errno == EINTR) {
        continue;
    }
    return !pfd[1].revents;
}

int userfaultfd_next(int fd, const void *ram, uint64_t size, uint64_t *offset)
{
    struct uffd_msg msg = { 0 };
    ssize_t n = read(fd, &msg, sizeof(msg));
    uint64_t at = msg.arg.pagefault.address - (uintptr_t)ram;

    if (n != sizeof(msg) || msg.event != UFFD_EVENT_PAGEFAULT || at >= size) {
        return n < 0 ? -errno : -EBADMSG;
    }
    *offset = at & -(uint64_t)FORMAT_PAGE;
    return 0;
}
