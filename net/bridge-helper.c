/*
 * The program that makes TAP interfaces in bridges, for processes that may not.
 *
 * It has more rights than we (set-user-ID) and decides by a list of its own which bridges are
 * for us. It gets one end of a pair of sockets, by the number in --fd=, and sends a byte with the
 * descriptor.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "bridge-helper.h"

#include <errno.h>
#include <fcntl.h>
#include <glib.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "qemu/confine.h"
#include "qemu/socket.h"

#define PATIENCE_MS 10000       /* for the descriptor */
#define GRACE_MS 2000           /* and then for the end */
#define CHILD_FD 3

/* The argument vector; NULL with errp set. */
static GPtrArray *make_argv(const char *helper, const char *bridge, Error **errp)
{
    g_auto(GStrv) words = NULL;
    g_autoptr(GError) gerr = NULL;
    GPtrArray *argv = g_ptr_array_new_with_free_func(g_free);

    if (!g_shell_parse_argv(helper, NULL, &words, &gerr)) {
        error_setg(errp, "helper=%s: %s", helper, gerr->message);
        g_ptr_array_unref(argv);
        return NULL;
    }
    for (char **w = words; *w; w++) {
        g_ptr_array_add(argv, g_strdup(*w));
    }
    g_ptr_array_add(argv, g_strdup("--use-vnet"));
    g_ptr_array_add(argv, g_strdup_printf("--fd=%d", CHILD_FD));
    if (!strstr(helper, "--br=")) {
        g_ptr_array_add(argv, g_strdup_printf("--br=%s", bridge));
    }
    g_ptr_array_add(argv, NULL);
    return argv;
}

static bool start(GPtrArray *argv, int fd, GPid *pid, Error **errp)
{
    g_autoptr(GError) gerr = NULL;
    int target = CHILD_FD;

    errno = 0;
    if (!g_spawn_async_with_pipes_and_fds(
            NULL, (const char *const *)argv->pdata, NULL,
            G_SPAWN_DO_NOT_REAP_CHILD | G_SPAWN_CHILD_INHERITS_STDIN, NULL, NULL, -1, -1, -1,
            &fd, &target, 1, pid, NULL, NULL, NULL, &gerr)) {
        error_setg(errp, "bridge helper: %s", errno == ESANDBOX ?
                   "-sandbox lets no program start while the guest runs" : gerr->message);
        return false;
    }
    return true;
}

/* The descriptor, or -1: the program ended without one, or takes too long. */
static int receive(int fd)
{
    int got = -1;
    unsigned nr;
    char byte;
    struct pollfd pfd = { .fd = fd, .events = POLLIN };
    gint64 end = g_get_monotonic_time() + PATIENCE_MS * 1000;
    ssize_t n = -1;

    do {
        gint64 left = (end - g_get_monotonic_time()) / 1000;

        if (left <= 0) {
            return -1;
        }
        if (poll(&pfd, 1, left) > 0) {
            nr = 1;
            n = recv_with_fds(fd, &byte, 1, &got, &nr);
        }
    } while (n < 0 && (errno == EINTR || errno == EAGAIN));
    return got;
}

/* The program's status: it has nothing more to do, and is ended if it does not end. */
static int reap(GPid pid)
{
    int status = 0;

    for (unsigned ms = 0; ms < GRACE_MS; ms += 10) {
        if (waitpid(pid, &status, WNOHANG) != 0) {
            return status;
        }
        g_usleep(10000);
    }
    kill(pid, SIGKILL);
    waitpid(pid, &status, 0);
    return status;
}

int bridge_helper_open(const char *helper, const char *bridge, Error **errp)
{
    g_autoptr(GPtrArray) argv = NULL;
    int sv[2], fd = -1, status;
    GPid pid;

    helper = helper ? helper : DEFAULT_BRIDGE_HELPER;
    argv = make_argv(helper, bridge ? bridge : DEFAULT_BRIDGE, errp);
    if (!argv) {
        return -1;
    }
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv) < 0) {
        error_setg_errno(errp, errno, "bridge helper: socketpair");
        return -1;
    }
    if (!start(argv, sv[1], &pid, errp)) {
        close(sv[0]);
        close(sv[1]);
        return -1;
    }
    close(sv[1]);
    fd = receive(sv[0]);
    close(sv[0]);
    status = reap(pid);
    if (fd >= 0 && fcntl(fd, F_SETFL, O_RDWR | O_NONBLOCK) == 0) {
        return fd;
    }
    if (fd >= 0) {
        close(fd);
    }
    error_setg(errp, "bridge helper failed: %s (status %d)", helper,
               WIFEXITED(status) ? WEXITSTATUS(status) : -1);
    return -1;
}
