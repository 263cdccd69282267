/*
 * A thread that somebody has taken over, to be preloaded: it makes the system calls that a test
 * asks for.
 *
 * The file that the environment variable INTRUDER names holds a struct Order, mapped by both. The
 * thread that receives SIGNAL makes the call there and says how it ended, if it can.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#define SIGNAL (SIGRTMIN + 7)
#define PAGE 4096

/* The rest of the page is for what arguments point to. */
struct Order {
    uint64_t address;       /* of this, in the process */
    int64_t number;
    uint64_t arg[6];
    int64_t result;
    uint64_t done;
};

static struct Order *order;

static int64_t call(int64_t number, const uint64_t *arg)
{
    register uint64_t r10 __asm__("r10") = arg[3];
    register uint64_t r8 __asm__("r8") = arg[4];
    register uint64_t r9 __asm__("r9") = arg[5];
    int64_t ret;

    __asm__ volatile("syscall" : "=a"(ret)
                     : "a"(number), "D"(arg[0]), "S"(arg[1]), "d"(arg[2]), "r"(r10), "r"(r8),
                       "r"(r9)
                     : "rcx", "r11", "memory");
    return ret;
}

/* Threads block all signals but few: not this one. */
int pthread_sigmask(int how, const sigset_t *set, sigset_t *old)
{
    sigset_t mine;

    if (set) {
        mine = *set;
        if (how != SIG_UNBLOCK) {
            sigdelset(&mine, SIGNAL);
        }
    }
    return syscall(SYS_rt_sigprocmask, how, set ? &mine : NULL, old, _NSIG / 8) < 0 ? errno : 0;
}

static void obey(int signum)
{
    order->result = call(order->number, order->arg);
    __atomic_store_n(&order->done, 1, __ATOMIC_RELEASE);
}

__attribute__((constructor)) static void come_in(void)
{
    const struct sigaction act = { .sa_handler = obey, .sa_flags = SA_RESTART };
    const char *path = getenv("INTRUDER");
    int fd = path ? open(path, O_RDWR | O_CLOEXEC) : -1;

    if (fd < 0) {
        return;
    }
    order = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    if (order != MAP_FAILED) {
        order->address = (uintptr_t)order;
        sigaction(SIGNAL, &act, NULL);
    }
}
