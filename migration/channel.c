/*
 * Channels: files, sockets, descriptors and programs that a saved machine goes to or comes from.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "channel.h"
#include "layers.h"
#include "monitor/monitor.h"
#include "net/socket-addr.h"
#include "qemu/confine.h"
#include "qemu/fdset.h"
#include "qemu/iov.h"
#include "sysemu/hostmem.h"

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

#define BASE_OPTION ",x-base="

/* Why this cannot be the base of what has so many bytes of RAM; NULL: it can. */
static const char *no_base(const Layers *base, uint64_t ram_size)
{
    if (!base->layer[0].has_id) {
        return "it was saved by an older version";
    }
    if (base->layer[0].ram_size != ram_size) {
        return "it has another size of RAM";
    }
    return base->n < LAYERS_MAX ? NULL : "too many files are below it already";
}

/* What is written to path shall be a difference to the file name beside it. */
static bool open_base(Channel *c, const MachineState *ms, const char *path, const char *name,
                      Error **errp)
{
    g_autofree char *folder = g_path_get_dirname(path), *base = NULL;
    g_autofree char *own_name = g_path_get_basename(path);
    const char *why;
    int fd;

    if (!layers_check_name(name, errp)) {
        return false;
    }
    base = g_build_filename(folder, name, NULL);
    if (!strcmp(name, own_name)) {
        error_setg(errp, "'%s' cannot be its own base", base);
        return false;
    }
    fd = qemu_open(base, O_RDONLY | O_NONBLOCK, 0);
    if (fd < 0) {
        error_setg(errp, "Could not open base '%s': %s", base,
                   confine_strerror(confine_errno(base, false, errno)));
        return false;
    }
    c->layers = layers_open(base, fd, errp);
    close(fd);
    why = c->layers ? no_base(c->layers, ms->memdev->size) : NULL;
    if (why) {
        error_setg(errp, "%s", why);
    }
    if (!c->layers || why) {
        error_prepend(errp, "base '%s': ", base);
        return false;
    }
    c->base_name = g_strdup(name);
    return true;
}

static bool open_file(Channel *c, const MachineState *ms, const char *spec, bool incoming,
                      Error **errp)
{
    const char *option = incoming ? NULL : g_strrstr(spec, BASE_OPTION);
    g_autofree char *path = option ? g_strndup(spec, option - spec) : g_strdup(spec);

    if (strstr(path, ",offset=")) {
        error_setg(errp, "'offset' is not supported");
        return false;
    }
    if (option && !open_base(c, ms, path, option + strlen(BASE_OPTION), errp)) {
        return false;
    }
    c->fd = incoming ? qemu_open(path, O_RDONLY, 0) : open_temp(c, path);
    if (c->fd < 0) {
        int err = confine_errno(path, !incoming, errno);

        error_setg(errp, "Could not open '%s': %s", path, confine_strerror(err));
        return false;
    }
    c->path = g_strdup(path);
    if (incoming && layers_are_needed(c->fd)) {
        c->layers = layers_open(path, c->fd, errp);
        return c->layers;
    }
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
        return open_file(c, ms, rest, incoming, errp);
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

/* A host that has gone without a word is noticed after half a minute. */
static void watch_over_tcp(int fd)
{
    static const struct {
        int level, name, value;
    } opts[] = {
        { SOL_SOCKET, SO_KEEPALIVE, 1 }, { IPPROTO_TCP, TCP_KEEPIDLE, 10 },
        { IPPROTO_TCP, TCP_KEEPINTVL, 5 }, { IPPROTO_TCP, TCP_KEEPCNT, 4 },
        { IPPROTO_TCP, TCP_USER_TIMEOUT, 30000 }, { IPPROTO_TCP, TCP_NODELAY, 1 },
    };

    for (size_t i = 0; i < G_N_ELEMENTS(opts); i++) {
        setsockopt(fd, opts[i].level, opts[i].name, &opts[i].value, sizeof(opts[i].value));
    }
}

static int socket_option(int fd, int name)
{
    socklen_t len = sizeof(int);
    int value;

    return getsockopt(fd, SOL_SOCKET, name, &value, &len) < 0 ? -1 : value;
}

void channel_connected(Channel *c)
{
    int domain = socket_option(c->fd, SO_DOMAIN);

    c->two_way = socket_option(c->fd, SO_TYPE) == SOCK_STREAM;
    if (c->two_way && (domain == AF_INET || domain == AF_INET6)) {
        watch_over_tcp(c->fd);
    }
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
    if (!c->listening) {
        channel_connected(c);
    }
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
    g_clear_pointer(&c->layers, layers_free);
    g_clear_pointer(&c->base_name, g_free);
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

static int put_all(Channel *c, const struct iovec *iov, unsigned niov)
{
    int ret = 0;

    for (unsigned i = 0; i < niov && !ret; i++) {
        ret = c->put(c->opaque, iov[i].iov_base, iov[i].iov_len);
    }
    return ret;
}

int channel_writev(Channel *c, struct iovec *iov, unsigned niov)
{
    int ret;

    if (c->put) {
        return put_all(c, iov, niov);
    }
    ret = c->connecting ? finish_connect(c) : 0;

    while (!ret && niov) {
        ssize_t n = writev(c->fd, iov, niov);

        if (n >= 0) {
            iov_discard_front(&iov, &niov, n);
        } else if (errno == EAGAIN) {
            ret = wait_for(c, POLLOUT);
        } else if (errno != EINTR) {
            ret = -errno;
        }
    }
    return ret;
}

int channel_write(Channel *c, const void *data, size_t len)
{
    struct iovec iov = { (void *)data, len };

    return channel_writev(c, &iov, len != 0);
}

int channel_wait(Channel *c, EventNotifier *e)
{
    struct pollfd pfd[3] = {
        { .fd = e->fd, .events = POLLIN },
        { .fd = c->hurry.fd, .events = POLLIN },
        { .fd = c->fd },
    };

    while (poll(pfd, G_N_ELEMENTS(pfd), -1) < 0 && errno == EINTR) {
        continue;
    }
    if (pfd[1].revents) {
        return -ECANCELED;
    }
    return pfd[0].revents ? 0 : -ECONNRESET;
}

int channel_poll(Channel *c, short events, int ms)
{
    struct pollfd pfd[2] = {
        { .fd = c->fd, .events = events },
        { .fd = c->hurry.fd, .events = POLLIN },
    };
    int n = poll(pfd, G_N_ELEMENTS(pfd), ms);

    if (pfd[1].revents || n <= 0) {
        return n > 0 ? -ECANCELED : 0;
    }
    return pfd[0].revents & (POLLIN | POLLOUT) ? pfd[0].revents & (POLLIN | POLLOUT) : POLLIN;
}

/* Sockets of other kinds hold little anyway. */
void channel_be_short(Channel *c)
{
    int bytes = 128 * 1024;

    setsockopt(c->fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &bytes, sizeof(bytes));
}

ssize_t channel_read(Channel *c, void *data, size_t len)
{
    size_t done = 0;
    int ret;

    if (c->get) {
        return c->get(c->opaque, data, len);
    }
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
