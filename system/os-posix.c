/*
 * The process: background, pid file, signals.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "opts.h"
#include "qemu/confine.h"
#include "qemu/cutils.h"
#include "qemu/main-loop.h"

/* What belongs to the process as such. */
static struct {
    int daemon_pipe;    /* to the waiting parent; 0: none */
    int null_fd;        /* with it: /dev/null, which a new root may not have */
    char *pidfile;      /* to be removed at exit */
    SignalFn *signal_fn;
} os;

/*
 * For every thread but the main one. Eight megabytes, the usual size, would be worth a
 * huge page to the host's kernel: two megabytes for each thread that touches a few
 * kilobytes. The deepest that we go is a name look-up by the C library; the software
 * CPU translates and runs without recursion.
 */
#define THREAD_STACK_SIZE (256 * KiB)

void os_open_standard_fds(void)
{
    int fd;

    do {
        fd = fcntl(STDERR_FILENO, F_GETFD) < 0 || fcntl(STDOUT_FILENO, F_GETFD) < 0 ||
             fcntl(STDIN_FILENO, F_GETFD) < 0 ? open("/dev/null", O_RDWR) : -1;
    } while (fd >= 0 && fd < STDERR_FILENO);
}

void os_limit_stacks(void)
{
    pthread_attr_t attr;

    if (pthread_attr_init(&attr) == 0) {
        pthread_attr_setstacksize(&attr, THREAD_STACK_SIZE);
        pthread_setattr_default_np(&attr);
        pthread_attr_destroy(&attr);
    }
}

/* The parent of a daemon: report the child's success or end. */
static int wait_for_child(int fd)
{
    char status;
    ssize_t n;

    do {
        n = read(fd, &status, 1);
    } while (n < 0 && errno == EINTR);
    return n == 1 ? 0 : 1;
}

bool os_daemonize(Error **errp)
{
    int null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
    int fds[2];
    pid_t pid;

    if (null_fd < 0 || pipe2(fds, O_CLOEXEC) < 0) {
        error_setg_errno(errp, errno, "cannot daemonize");
        return false;
    }
    pid = fork();
    if (pid < 0) {
        error_setg_errno(errp, errno, "cannot daemonize");
        return false;
    }
    if (pid > 0) {
        close(fds[1]);
        _exit(wait_for_child(fds[0]));
    }
    close(fds[0]);
    os.daemon_pipe = fds[1];
    os.null_fd = null_fd;
    setsid();
    pid = fork();
    if (pid != 0) {
        _exit(pid < 0);     /* the grandchild holds the pipe */
    }
    umask(027);
    signal(SIGTSTP, SIG_IGN);
    signal(SIGTTOU, SIG_IGN);
    signal(SIGTTIN, SIG_IGN);
    return true;
}

bool os_daemonize_done(Error **errp)
{
    if (!os.daemon_pipe) {
        return true;
    }
    if (chdir("/") < 0) {
        error_setg_errno(errp, errno, "cannot daemonize");
        return false;
    }
    dup2(os.null_fd, STDIN_FILENO);
    dup2(os.null_fd, STDOUT_FILENO);
    dup2(os.null_fd, STDERR_FILENO);
    close(os.null_fd);
    /* A parent that was killed meanwhile does not matter to us. */
    qemu_write_full(os.daemon_pipe, "", 1);
    close(os.daemon_pipe);
    os.daemon_pipe = 0;
    return true;
}

/*
 * The file at path, locked by us, or -1. The lock lasts as long as fd is open and tells
 * a second instance that we live.
 */
static int open_locked(const char *path, Error **errp)
{
    struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
    struct stat ours, there;

    for (;;) {
        /* Non-blocking: a FIFO without a reader must not stop us. */
        int fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC | O_NONBLOCK, 0600);

        if (fd < 0) {
            error_setg_errno(errp, errno, "cannot create PID file: Could not create '%s'",
                             path);
            return -1;
        }
        if (fstat(fd, &ours) < 0 || !S_ISREG(ours.st_mode)) {
            /* We shall remove it, and no device deserves that. */
            error_setg(errp, "cannot create PID file: '%s' is not a regular file", path);
            close(fd);
            return -1;
        }
        if (fcntl(fd, F_SETLK, &lock) < 0) {
            error_setg_errno(errp, errno, "cannot create PID file: Cannot lock pid file");
            close(fd);
            return -1;
        }
        if (stat(path, &there) == 0 && ours.st_ino == there.st_ino &&
            ours.st_dev == there.st_dev) {
            return fd;
        }
        /* Its former owner removed it after we had opened it. */
        close(fd);
    }
}

bool os_create_pidfile(const char *path, Error **errp)
{
    g_autofree char *text = g_strdup_printf("%d\n", getpid());
    int fd = open_locked(path, errp);
    int ret;

    if (fd < 0) {
        return false;
    }
    ret = ftruncate(fd, 0) < 0 ? -errno : qemu_write_full(fd, text, strlen(text));
    if (ret < 0) {
        error_setg_errno(errp, -ret, "cannot create PID file: Could not write '%s'", path);
        unlink(path);
        close(fd);
        return false;
    }
    /* -daemonize changes the directory. */
    os.pidfile = g_canonicalize_filename(path, NULL);
    confine_need_path(os.pidfile, CONFINE_REMOVE);
    return true;
}

void os_remove_pidfile(void)
{
    if (os.pidfile) {
        unlink(os.pidfile);
        g_clear_pointer(&os.pidfile, g_free);
    }
}

/* The name of a process, for the message about its signal. */
static char *process_name(pid_t pid)
{
    g_autofree char *path = g_strdup_printf("/proc/%d/cmdline", pid);
    char *name = NULL;

    if (!g_file_get_contents(path, &name, NULL, NULL)) {
        return g_strdup("<unknown process>");
    }
    return name;
}

static gboolean signal_ready(gint fd, GIOCondition cond, gpointer opaque)
{
    struct signalfd_siginfo info;
    g_autofree char *name = NULL, *sender = NULL;

    if (read(fd, &info, sizeof(info)) != sizeof(info)) {
        return G_SOURCE_CONTINUE;
    }
    if (info.ssi_code <= 0) {
        name = process_name(info.ssi_pid);
        sender = g_strdup_printf(" from pid %u (%s)", info.ssi_pid, name);
    }
    os.signal_fn(opaque, info.ssi_signo, sender ? sender : "");
    return G_SOURCE_CONTINUE;
}

static void no_effect(int signum)
{
}

/* Sent to us by mistake, these would be the end. A handler goes at exec(), SIG_IGN stays. */
static void outlive_strays(void)
{
    static const int strays[] = { SIGUSR1, SIGALRM, SIGIO };
    const struct sigaction act = { .sa_handler = no_effect, .sa_flags = SA_RESTART };

    for (size_t i = 0; i < G_N_ELEMENTS(strays); i++) {
        sigaction(strays[i], &act, NULL);
    }
}

bool os_setup_signals(SignalFn *fn, void *opaque, Error **errp)
{
    sigset_t set;
    int fd;

    outlive_strays();
    signal(SIGPIPE, SIG_IGN);
    /* A limit on the size of files is an error of the write, not our end. */
    signal(SIGXFSZ, SIG_IGN);
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGHUP);
    /* Blocked before any thread starts, so in all of them. */
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
    if (fd < 0) {
        error_setg_errno(errp, errno, "signalfd");
        return false;
    }
    os.signal_fn = fn;
    qemu_fd_add(fd, G_IO_IN, signal_ready, opaque);
    return true;
}

bool os_mlock(Error **errp)
{
    if (mlockall(MCL_CURRENT | MCL_FUTURE) < 0) {
        error_setg_errno(errp, errno, "mlockall");
        error_append_hint(errp, "locking memory failed\n");
        return false;
    }
    /* What is mapped later is locked, too, beyond any RLIMIT_MEMLOCK. */
    confine_keep_capability(CAP_IPC_LOCK);
    return true;
}

void os_set_process_name(const char *name)
{
    prctl(PR_SET_NAME, name);
}
