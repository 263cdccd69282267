/*
 * What confined threads can still do, each time in a child.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "qemu/confine.h"

#include <errno.h>
#include <fcntl.h>
#include <glib.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* What the thread does; its result becomes the child's exit status. */
typedef int Try(void);

typedef struct Job {
    const ThreadFilter *filter;
    Try *fn;
} Job;

static gpointer confined_thread(gpointer data)
{
    const Job *job = data;

    thread_confine(job->filter);
    return GINT_TO_POINTER(job->fn());
}

/* The child's exit status; what it said on stderr in text. */
static int in_thread(const ThreadFilter *filter, Try *fn, char *text, size_t size)
{
    Job job = { filter, fn };
    int fds[2], status;
    ssize_t n;
    pid_t pid;

    g_assert_cmpint(pipe(fds), ==, 0);
    pid = fork();
    if (pid == 0) {
        dup2(fds[1], STDERR_FILENO);
        confine_close(true);
        _exit(GPOINTER_TO_INT(g_thread_join(g_thread_new("tester", confined_thread, &job))));
    }
    g_assert_cmpint(pid, >, 0);
    close(fds[1]);
    n = read(fds[0], text, size - 1);
    text[MAX(n, 0)] = '\0';
    close(fds[0]);
    g_assert_cmpint(waitpid(pid, &status, 0), ==, pid);
    g_assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static int try_socket(void)
{
    return socket(AF_INET, SOCK_STREAM, 0) < 0 ? errno : 0;
}

static int try_connect(void)
{
    return syscall(SYS_connect, -1, NULL, 0) < 0 ? errno : 0;
}

static int try_exec(void)
{
    execl("/bin/true", "true", NULL);
    return errno;
}

static int try_kill(void)
{
    return kill(1, 0) < 0 ? errno : 0;
}

/* A thread of another process; of this one it is how a vCPU is woken. */
static int try_tgkill(void)
{
    return syscall(SYS_tgkill, 1, 1, 0) < 0 ? errno : 0;
}

static int try_own_thread(void)
{
    return syscall(SYS_tgkill, getpid(), gettid(), 0) < 0 ? errno : 0;
}

static int try_rename(void)
{
    return rename("/nonexistent", "/nonexistent2") < 0 ? errno : 0;
}

static int try_ptrace(void)
{
    return syscall(SYS_ptrace, 0, 0, 0, 0) < 0 ? errno : 0;
}

static int try_fork(void)
{
    return syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0) < 0 ? errno : 0;
}

static int try_ring(void)
{
    return syscall(SYS_io_uring_register, -1, 0, NULL, 0) < 0 ? errno : 0;
}

static int try_executable_memory(void)
{
    return mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) ==
           MAP_FAILED ? errno : 0;
}

static int try_terminal(void)
{
    return ioctl(STDIN_FILENO, TIOCSTI, "x") < 0 ? errno : 0;
}

/* Ends the process, by a line that names the call. */
static void test_refused(void)
{
    static const struct {
        Try *fn;
        const char *call;
    } cases[] = {
        { try_socket, "(socket)" }, { try_connect, "(connect)" }, { try_exec, "(execve)" },
        { try_kill, "(kill)" }, { try_tgkill, "(tgkill)" }, { try_rename, "(rename)" },
        { try_ptrace, "(ptrace)" }, { try_fork, "(clone)" }, { try_ring, "(io_uring_register)" },
        { try_executable_memory, "(mmap)" }, { try_terminal, "(ioctl)" },
    };
    const ThreadFilter *filters[] = { &iothread_filter, &block_pool_filter };
    char text[256];

    for (size_t f = 0; f < G_N_ELEMENTS(filters); f++) {
        for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
            g_assert_cmpint(in_thread(filters[f], cases[i].fn, text, sizeof(text)), ==,
                            128 + SIGSYS);
            g_test_message("%s: %s", cases[i].call, text);
            g_assert_nonnull(strstr(text, "thread 'tester' was stopped at system call "));
            g_assert_nonnull(strstr(text, cases[i].call));
        }
    }
}

static int try_open(void)
{
    return open("/etc/passwd", O_RDONLY) < 0 ? errno : 0;
}

static int try_own_ring(void)
{
    return syscall(SYS_io_uring_setup, 1, NULL) < 0 ? errno : 0;
}

/* What a library does by itself and can do without fails. */
static void test_fails(void)
{
    char text[256];

    g_assert_cmpint(in_thread(&block_pool_filter, try_open, text, sizeof(text)), ==, EACCES);
    g_assert_cmpint(in_thread(&iothread_filter, try_open, text, sizeof(text)), ==, EACCES);
    g_assert_cmpint(in_thread(&iothread_filter, try_own_ring, text, sizeof(text)), ==, EPERM);
    g_assert_cmpint(in_thread(&block_pool_filter, try_own_thread, text, sizeof(text)), ==, 0);
    g_assert_cmpstr(text, ==, "");
}

static gpointer worker(gpointer data)
{
    thread_confine(&block_pool_filter);
    return g_strdup("done");
}

/* Memory, locks, clocks, threads of its own. */
static int try_work(void)
{
    g_autofree char *big = g_malloc(1 << 20);
    g_autofree char *result = g_thread_join(g_thread_new("worker", worker, NULL));

    g_usleep(1);
    return !strcmp(result, "done") && memset(big, 1, 1 << 20) && g_get_monotonic_time() ? 42 : 1;
}

static void test_works(void)
{
    char text[256];

    g_assert_cmpint(in_thread(&iothread_filter, try_work, text, sizeof(text)), ==, 42);
    g_assert_cmpstr(text, ==, "");
}

/* Before confine_close() nothing is given up. */
static void test_not_yet(void)
{
    int status;
    pid_t pid = fork();

    if (pid == 0) {
        thread_confine(&block_pool_filter);
        _exit(socket(AF_UNIX, SOCK_STREAM, 0) >= 0 && prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 0
              ? 42 : 1);
    }
    g_assert_cmpint(waitpid(pid, &status, 0), ==, pid);
    g_assert_cmpint(WEXITSTATUS(status), ==, 42);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/confine/not-yet", test_not_yet);
    if (iothread_filter.len) {
        g_test_add_func("/confine/refused", test_refused);
        g_test_add_func("/confine/fails", test_fails);
        g_test_add_func("/confine/works", test_works);
    }
    return g_test_run();
}
