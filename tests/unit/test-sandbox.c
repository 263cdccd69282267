/*
 * The system call filter of -sandbox, each time in a child.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <errno.h>
#include <glib.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "system/confine.h"

/* What a child does in the sandbox; it ends with the result as its status. */
typedef int Try(void);

static int in_sandbox(unsigned sets, Try *fn)
{
    int status;
    pid_t pid = fork();

    if (pid == 0) {
        _exit(sandbox_enter(sets, NULL) ? fn() : 99);
    }
    g_assert_cmpint(pid, >, 0);
    g_assert_cmpint(waitpid(pid, &status, 0), ==, pid);
    return WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
}

static int try_mount(void)
{
    return mount("none", "/nonexistent", "tmpfs", 0, NULL) < 0 ? errno : 0;
}

static int try_obsolete(void)
{
    return syscall(SYS_ustat, 0, NULL) < 0 ? errno : 0;
}

static int try_fork(void)
{
    pid_t pid = fork();

    if (pid == 0) {
        _exit(0);
    }
    return pid < 0 ? errno : 0;
}

static int try_exec(void)
{
    execl("/bin/true", "true", NULL);
    return errno;
}

static gpointer thread(gpointer data)
{
    return data;
}

static int try_thread(void)
{
    return g_thread_join(g_thread_new("t", thread, (gpointer)0x55)) != (gpointer)0x55;
}

static int try_setuid(void)
{
    return syscall(SYS_setuid, getuid()) < 0 ? errno : 0;
}

static int try_affinity(void)
{
    cpu_set_t set;

    if (sched_getaffinity(0, sizeof(set), &set) < 0) {
        return 98;
    }
    return sched_setaffinity(0, sizeof(set), &set) < 0 ? errno : 0;
}

static int try_limits(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) < 0) {
        return 98;
    }
    return setrlimit(RLIMIT_NOFILE, &limit) < 0 ? errno : 0;
}

static void test_kills(void)
{
    g_assert_cmpint(in_sandbox(0, try_mount), ==, -SIGSYS);
    g_assert_cmpint(in_sandbox(SANDBOX_OBSOLETE, try_obsolete), ==, -SIGSYS);
    g_assert_cmpint(in_sandbox(0, try_obsolete), >=, 0);
}

static void test_refuses(void)
{
    static const struct {
        SandboxSet set;
        Try *fn;
    } cases[] = {
        { SANDBOX_SPAWN, try_fork },
        { SANDBOX_SPAWN, try_exec },
        { SANDBOX_PRIVILEGES, try_setuid },
        { SANDBOX_RESOURCES, try_affinity },
        { SANDBOX_RESOURCES, try_limits },
    };

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_assert_cmpint(in_sandbox(cases[i].set, cases[i].fn), ==, EPERM);
        g_assert_cmpint(in_sandbox(0, cases[i].fn), ==, 0);
    }
}

static void test_threads(void)
{
    g_assert_cmpint(in_sandbox(SANDBOX_SPAWN | SANDBOX_RESOURCES | SANDBOX_PRIVILEGES |
                               SANDBOX_OBSOLETE, try_thread), ==, 0);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/sandbox/kills", test_kills);
    g_test_add_func("/sandbox/refuses", test_refuses);
    g_test_add_func("/sandbox/threads", test_threads);
    return g_test_run();
}
