/*
 * Channels: files, sockets, descriptors and programs that a saved machine goes to or comes from.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "internal.h"
#include "monitor/monitor.h"
#include "net/socket-addr.h"
#include "qemu/confine.h"
#include "qemu/fdset.h"

#define PROGRAM_POLL_MS 20

/* Files --------------------------------------------------------------------------------- */

/*
 * What is there stays until all is written: beside it a temporary file is made. That goes for
 * plain files and new ones; pipes, devices and passed descriptors are written as they are.
 */
static int open_temp(Channel *c, const char *path)
{
    struct stat st;
    int fd;

    if (g_str_has_prefix(path, "/dev/") || (stat(path, &st) == 0 && !S_ISREG(st.st_mode))) {
        return qemu_open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    }
    c->temp = g_strdup_printf("%s.XXXXXX", path);
    fd = mkostemp(c->temp, O_CLOEXEC);
    if (fd < 0) {
        g_clear_pointer(&c->temp, g_free);
    }
    return fd;
}

static bool open_file(Channel *c, const char *path, bool incoming, Error **errp)
{
    if (strstr(path, ",offset=")) {
        error_setg(errp, "'offset' is not supported");
        return false;
    }
    c->fd = incoming ? qemu_open(path, O_RDONLY, 0) : open_temp(c, path);
    if (c->fd < 0) {
        int err = confine_errno(path, !incoming, errno);

        error_setg(errp, "Could not open '%s': %s", path, confine_strerror(err));
        return false;
    }
    c->path = g_strdup(path);
    return true;
}

/* Sockets ------------------------------------------------------------------------------- */

static bool open_socket(Channel *c, NetAddr *addr, bool incoming, Error **errp)
{
    c->fd = net_addr_socket(incoming ? addr : NULL, incoming ? NULL : addr, SOCK_STREAM, errp);
    c->listening = incoming && c->fd >= 0;
    if (c->listening) {
        confine_need(CONFINE_SOCKETS);
    }
    c->connecting = !incoming;
    return c->fd >= 0;
}

static bool open_unix(Channel *c, const char *path, bool incoming, Error **errp)
{
    NetAddr addr = { .type = (char *)"unix", .path = (char *)path };

    if (!open_socket(c, &addr, incoming, errp)) {
        return false;
    }
    if (incoming) {
        confine_need_path(path, CONFINE_REMOVE);
        c->unlink_path = g_strdup(path);
    }
    return true;
}

static bool open_tcp(Channel *c, const char *text, bool incoming, Error **errp)
{
    NetAddr addr = { 0 };
    bool ok = net_addr_parse(&addr, text, errp);

    if (ok) {
        g_free(addr.type);
        addr.type = g_strdup("inet");
        ok = open_socket(c, &addr, incoming, errp);
    }
    net_addr_clear(&addr);
    return ok;
}

/* Programs ------------------------------------------------------------------------------- */

static bool open_exec(Channel *c, const char *command, bool incoming, Error **errp)
{
    const char *const argv[] = { "/bin/sh", "-c", command, NULL };
    g_autoptr(GError) err = NULL;
    int in, out;

    if (!confine_programs(errp)) {
        return false;
    }
    if (!g_spawn_async_with_pipes(NULL, (char **)argv, NULL, G_SPAWN_DO_NOT_REAP_CHILD, NULL,
                                  NULL, &c->pid, incoming ? NULL : &in, incoming ? &out : NULL,
                                  NULL, &err)) {
        error_setg(errp, "cannot run '%s': %s", command, err->message);
        return false;
    }
    c->fd = incoming ? out : in;
    return true;
}

/* The program has read all when it ends; how it ends is how it went. */
static int wait_for_program(Channel *c)
{
    struct pollfd pfd = { .fd = c->hurry.fd, .events = POLLIN };
    pid_t pid;

    close(c->fd);
    c->fd = -1;
    while ((pid = waitpid(c->pid, &c->status, WNOHANG)) == 0) {
        if (poll(&pfd, 1, PROGRAM_POLL_MS) > 0) {
            return -ECANCELED;
        }
    }
    if (pid > 0) {
        c->pid = 0;
    }
    return pid > 0 && !c->status ? 0 : -ECHILD;
}

/* All of them ------------------------------------------------------------------------------ */

static bool open_fd(Channel *c, MachineState *ms, const char *name, Error **errp)
{
    c->fd = monitor_fd_param(ms, NULL, name, errp);
    return c->fd >= 0;
}

static bool open_by_scheme(Channel *c, MachineState *ms, const char *uri, bool incoming,
                           Error **errp)
{
    const char *rest = strchr(uri, ':');

    rest = rest ? rest + 1 : uri;
    if (g_str_has_prefix(uri, "file:")) {
        return open_file(c, rest, incoming, errp);
    }
    if (g_str_has_prefix(uri, "fd:")) {
        return open_fd(c, ms, rest, errp);
    }
    if (g_str_has_prefix(uri, "unix:")) {
        return open_unix(c, rest, incoming, errp);
    }
    if (g_str_has_prefix(uri, "tcp:")) {
        return open_tcp(c, rest, incoming, errp);
    }
    if (g_str_has_prefix(uri, "exec:")) {
        return open_exec(c, rest, incoming, errp);
    }
    error_setg(errp, "unknown migration protocol: %s", uri);
    return false;
}

bool channel_open(Channel *c, MachineState *ms, const char *uri, bool incoming, Error **errp)
{
    *c = (Channel) { .fd = -1, .writes = !incoming };
    if (event_notifier_init(&c->hurry) < 0) {
        error_setg_errno(errp, errno, "no eventfd");
        return false;
    }
    if (!open_by_scheme(c, ms, uri, incoming, errp)) {
        channel_close(c);
        return false;
    }
    fcntl(c->fd, F_SETFL, fcntl(c->fd, F_GETFL) | O_NONBLOCK);
    return true;
}

bool channel_commit(Channel *c, Error **errp)
{
    if (c->temp && rename(c->temp, c->path) < 0) {
        error_setg_errno(errp, errno, "cannot replace '%s'", c->path);
        return false;
    }
    g_clear_pointer(&c->temp, g_free);
    return true;
}

int channel_finish(Channel *c)
{
    if (c->pid) {
        return wait_for_program(c);
    }
    return c->temp && fsync(c->fd) < 0 ? -errno : 0;
}

void channel_close(Channel *c)
{
    if (c->fd >= 0) {
        close(c->fd);
    }
    /* One that writes ends by itself when nobody reads. */
    if (c->pid && c->writes) {
        kill(c->pid, SIGTERM);
        while (waitpid(c->pid, NULL, 0) < 0 && errno == EINTR) {
            continue;
        }
    } else if (c->pid) {
        waitpid(c->pid, NULL, WNOHANG);
    }
    if (c->temp) {
        unlink(c->temp);
    }
    if (c->unlink_path) {
        unlink(c->unlink_path);
    }
    g_clear_pointer(&c->temp, g_free);
    g_clear_pointer(&c->path, g_free);
    g_clear_pointer(&c->unlink_path, g_free);
    if (c->hurry.fd >= 0) {
        event_notifier_cleanup(&c->hurry);
    }
    *c = (Channel) { .fd = -1, .hurry.fd = -1 };
}

/* Until fd is ready; 0, or -ECANCELED. */
static int wait_for(Channel *c, short events)
{
    struct pollfd pfd[2] = {
        { .fd = c->fd, .events = events },
        { .fd = c->hurry.fd, .events = POLLIN },
    };

    while (poll(pfd, G_N_ELEMENTS(pfd), -1) < 0 && errno == EINTR) {
        continue;
    }
    return pfd[1].revents ? -ECANCELED : 0;
}

static int finish_connect(Channel *c)
{
    int err = 0, ret = wait_for(c, POLLOUT);
    socklen_t len = sizeof(err);

    c->connecting = false;
    if (!ret && getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &err, &len) < 0) {
        err = errno;
    }
    return ret ? ret : -err;
}

int channel_write(Channel *c, const void *data, size_t len)
{
    const char *p = data;
    int ret = c->connecting ? finish_connect(c) : 0;

    while (len && !ret) {
        ssize_t n = write(c->fd, p, len);

        if (n >= 0) {
            p += n;
            len -= n;
        } else if (errno == EAGAIN) {
            ret = wait_for(c, POLLOUT);
        } else if (errno != EINTR) {
            ret = -errno;
        }
    }
    return ret;
}

ssize_t channel_read(Channel *c, void *data, size_t len)
{
    size_t done = 0;
    int ret;

    while (done < len) {
        ssize_t n = read(c->fd, (char *)data + done, len - done);

        if (n > 0) {
            done += n;
        } else if (n == 0) {
            break;
        } else if (errno == EAGAIN) {
            ret = wait_for(c, POLLIN);
            if (ret) {
                return ret;
            }
        } else if (errno != EINTR) {
            return -errno;
        }
    }
    return done;
}
