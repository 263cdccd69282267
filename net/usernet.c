/*
 * The process of user networks, from the machine's side: its start, questions and their answers,
 * its end.
 *
 * It is the same program, executed anew: nothing of the machine's memory is in it, and where its
 * own lies tells nothing of where the machine's does. It ends with the machine's process, by the
 * end of the socket and by the kernel (PR_SET_PDEATHSIG).
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "usernet.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "qemu/confine.h"
#include "qemu/main-loop.h"

#define PROGRAM "/proc/self/exe"

/* Of an answer, at a start or later on: libslirp answers at once, but hosts can be busy. */
#define PATIENCE_MS 20000
/* Of the end, once the socket has ended. */
#define END_MS 200
#define ANSWER_MAX (4u << 20)

static struct {
    pid_t pid;              /* 0: there is none */
    int pidfd;              /* -1: the kernel has no such thing */
    int fd;
    guint watch;
    UserNetLost *lost;
} usernet = { .pidfd = -1 };

/* Its end ------------------------------------------------------------------- */

/* How it ended, if it has; caller frees. */
static char *reap(void)
{
    struct pollfd p = { .fd = usernet.pidfd, .events = POLLIN };
    int status = 0;
    pid_t pid;

    if (usernet.pidfd >= 0) {
        poll(&p, 1, END_MS);
        close(usernet.pidfd);
        usernet.pidfd = -1;
    }
    pid = waitpid(usernet.pid, &status, WNOHANG);
    return pid > 0 && WIFSIGNALED(status) ?
               g_strdup_printf("has ended by signal %d", WTERMSIG(status)) :
           pid > 0 ? g_strdup_printf("has ended with status %d", WEXITSTATUS(status)) :
                     g_strdup("has left");
}

static void forget(const char *why)
{
    g_autofree char *how = NULL;

    g_source_remove(usernet.watch);
    close(usernet.fd);
    how = reap();
    usernet.pid = 0;
    warn_report("user networking: its process %s; the links of its networks are down",
                why ? why : how);
    usernet.lost();
}

void usernet_give_up(const char *why)
{
    if (usernet.pid) {
        forget(why);
    }
}

/* Nobody has asked anything: it says that it is no more, or nonsense. */
static gboolean socket_ready(gint fd, GIOCondition cond, gpointer opaque)
{
    forget(cond & G_IO_HUP ? NULL : "speaks without being asked");
    return G_SOURCE_CONTINUE;
}

/* Questions ------------------------------------------------------------------ */

char *usernet_printable(const char *s, size_t len, bool lines)
{
    g_autofree char *valid = g_utf8_make_valid(s, len);
    GString *out = g_string_new(NULL);

    for (const char *p = valid; *p; p = g_utf8_next_char(p)) {
        gunichar c = g_utf8_get_char(p);

        g_string_append_unichar(out, g_unichar_iscntrl(c) && !(lines && c == '\n') ? '?' : c);
    }
    return g_string_free(out, FALSE);
}

static bool send_request(UserNetOp op, uint32_t net, const GString *text, const int *fds,
                         unsigned nfds)
{
    uint32_t head[] = { op, net };
    struct iovec iov[] = { { head, sizeof(head) }, { text->str, text->len } };
    union {
        struct cmsghdr align;
        char buf[CMSG_SPACE(sizeof(int) * USERNET_MAX_FDS)];
    } control = { 0 };
    struct msghdr msg = { .msg_iov = iov, .msg_iovlen = 2 };

    if (nfds) {
        msg.msg_control = control.buf;
        msg.msg_controllen = CMSG_SPACE(sizeof(int) * nfds);
        control.align = (struct cmsghdr) {
            .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS,
            .cmsg_len = CMSG_LEN(sizeof(int) * nfds),
        };
        memcpy(CMSG_DATA(&control.align), fds, sizeof(int) * nfds);
    }
    return sendmsg(usernet.fd, &msg, MSG_NOSIGNAL | MSG_DONTWAIT) >= 0;
}

/* The next packet of the answer; its text's length, or -1: there is none. */
static ssize_t next_packet(UserNetAnswer *a, gint64 end)
{
    struct pollfd p = { .fd = usernet.fd, .events = POLLIN };
    ssize_t len;
    int ret;

    do {
        ret = poll(&p, 1, MAX(0, (end - g_get_monotonic_time()) / 1000));
    } while (ret < 0 && errno == EINTR);
    if (ret <= 0) {
        return -1;
    }
    len = recv(usernet.fd, a, sizeof(*a), MSG_DONTWAIT);
    return len < (ssize_t)sizeof(a->status) ? -1 : len - (ssize_t)sizeof(a->status);
}

/* False: it does not answer, or does not end to, as it could by packets with little in them. */
static bool take_answer(UserNetAnswer *a, GString *text)
{
    gint64 end = g_get_monotonic_time() + PATIENCE_MS * 1000ll;
    ssize_t len;

    do {
        len = next_packet(a, end);
        if (len < 0 || text->len + len > ANSWER_MAX ||
            (a->status == USERNET_MORE && len < (ssize_t)sizeof(a->text))) {
            return false;
        }
        g_string_append_len(text, a->text, len);
    } while (a->status == USERNET_MORE);
    return true;
}

char *usernet_call(UserNetOp op, uint32_t net, const GString *text, const int *fds, unsigned nfds,
                   Error **errp)
{
    g_autofree UserNetAnswer *a = g_new(UserNetAnswer, 1);
    g_autoptr(GString) answer = g_string_new(NULL);
    g_autofree char *printable = NULL;

    if (!usernet.pid) {
        error_setg(errp, "the process of user networks has ended");
        return NULL;
    }
    if (text->len > USERNET_TEXT_MAX) {
        error_setg(errp, "options of user networks may be %u bytes long", USERNET_TEXT_MAX);
        return NULL;
    }
    if (!send_request(op, net, text, fds, nfds) || !take_answer(a, answer)) {
        usernet_give_up(NULL);
        error_setg(errp, "the process of user networks does not answer");
        return NULL;
    }
    printable = usernet_printable(answer->str, answer->len, op == USERNET_CONNECTIONS);
    if (a->status != USERNET_OK) {
        error_setg(errp, "%s", printable);
        return NULL;
    }
    return g_steal_pointer(&printable);
}

/* Its start ------------------------------------------------------------------- */

static void append(GString *text, const char *s)
{
    g_string_append_len(text, s, strlen(s) + 1);
}

static bool send_orders(const ConfineOrders *o, Error **errp)
{
    unsigned flags = (o->off ? USERNET_UNCONFINED : 0) | (o->strict ? USERNET_STRICT : 0) |
                     (o->programs ? USERNET_PROGRAMS : 0) | (o->dumpable ? USERNET_DUMPABLE : 0) |
                     (o->daemon ? USERNET_DAEMON : 0) | (o->has_user ? USERNET_USER : 0);
    g_autoptr(GString) text = g_string_new(NULL);
    g_autofree char *answer = NULL;

    if (!usernet.pid) {
        return true;
    }
    g_string_append_printf(text, "%u %u %u %u", flags, o->denied, o->uid, o->gid);
    g_string_append_c(text, 0);
    append(text, o->user ? o->user : "");
    append(text, o->root ? o->root : "");
    for (guint i = 0; o->folders && i < o->folders->len; i++) {
        append(text, g_ptr_array_index(o->folders, i));
    }
    answer = usernet_call(USERNET_CONFINE, 0, text, NULL, 0, errp);
    return answer;
}

/* Its standard error is ours; nothing else is left open. Signals that end us are blocked in it. */
static int spawn(int fd)
{
    char *argv[] = { (char *)USERNET_ARGV0, NULL };
    posix_spawn_file_actions_t actions;
    int err;

    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDWR, 0);
    posix_spawn_file_actions_adddup2(&actions, STDIN_FILENO, STDOUT_FILENO);
    posix_spawn_file_actions_adddup2(&actions, fd, USERNET_SOCKET);
    posix_spawn_file_actions_addclosefrom_np(&actions, USERNET_SOCKET + 1);
    err = posix_spawn(&usernet.pid, PROGRAM, &actions, NULL, argv, environ);
    posix_spawn_file_actions_destroy(&actions);
    return err;
}

bool usernet_start(UserNetLost *lost, Error **errp)
{
    int fds[2], err;

    if (usernet.pid) {
        return true;
    }
    if (!confine_programs(errp)) {
        error_prepend(errp, "user networks are in a process of their own, which one on the command "
                      "line starts: ");
        return false;
    }
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) < 0) {
        error_setg_errno(errp, errno, "socketpair");
        return false;
    }
    err = spawn(fds[1]);
    close(fds[1]);
    if (err) {
        usernet.pid = 0;
        close(fds[0]);
        error_setg_errno(errp, err, "cannot start the process of user networks (%s)", PROGRAM);
        return false;
    }
    usernet.pidfd = syscall(SYS_pidfd_open, usernet.pid, 0);
    usernet.fd = fds[0];
    usernet.lost = lost;
    usernet.watch = qemu_fd_add(fds[0], G_IO_IN, socket_ready, NULL);
    if (confine_orders()) {
        return send_orders(confine_orders(), errp);
    }
    confine_add_process(send_orders);
    return true;
}
