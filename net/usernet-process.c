/*
 * The process of user networks from within: it does what the machine's process asks, and serves
 * the stacks of its networks meanwhile.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "qemu/main-loop.h"
#include "qemu/socket.h"
#include "qemu/timer.h"
#include "slirp-internal.h"
#include "usernet-confine.h"

typedef struct Process {
    GHashTable *nets;           /* number -> SlirpStack */
    UserNetSandboxFn *sandbox;
    UserNetRequest req;
    size_t len;                 /* of its text */
    size_t pos;                 /* of the next string there */
    int fds[USERNET_MAX_FDS];
} Process;

/* All that there is goes with the process. */
static _Noreturn void leave(int status)
{
    for (;;) {
        syscall(SYS_exit_group, status);
    }
}

/* The next string of the request, or NULL. */
static const char *next(Process *p)
{
    const char *s = p->req.text + p->pos;

    if (p->pos >= p->len || !memchr(s, 0, p->len - p->pos)) {
        return NULL;
    }
    p->pos += strlen(s) + 1;
    return s;
}

static void answer(UserNetStatus status, const char *text)
{
    g_autofree UserNetAnswer *a = g_new(UserNetAnswer, 1);
    size_t len = strlen(text);

    do {
        size_t part = MIN(len, sizeof(a->text));

        a->status = len > part ? USERNET_MORE : status;
        memcpy(a->text, text, part);
        send(USERNET_SOCKET, a, sizeof(a->status) + part, MSG_NOSIGNAL);
        text += part;
        len -= part;
    } while (a->status == USERNET_MORE);
}

static bool add(Process *p, Error **errp)
{
    SlirpStack *s = slirp_stack_new(next(p));
    const char *name, *value;
    bool ok = true;

    s->wake_fd = p->fds[USERNET_FD_WAKE];
    while (ok && (name = next(p)) && (value = next(p))) {
        ok = property_set(&s->o.nc.obj, name, value, errp);
    }
    ok = ok && slirp_stack_open(s, p->fds, errp);
    if (ok) {
        g_hash_table_insert(p->nets, GUINT_TO_POINTER(p->req.net), s);
    } else {
        slirp_stack_free(s);
    }
    return ok;
}

static bool confine(Process *p, Error **errp)
{
    g_autoptr(GPtrArray) folders = g_ptr_array_new();
    UserNetOrders o = { .folders = folders, .sandbox = p->sandbox };
    const char *numbers = next(p), *folder;
    GHashTableIter it;
    SlirpStack *s;

    if (sscanf(numbers, "%u %u %u %u", &o.flags, &o.denied, &o.uid, &o.gid) != 4) {
        g_assert_not_reached();
    }
    o.user = next(p);
    o.root = next(p);
    while ((folder = next(p))) {
        g_ptr_array_add(folders, (char *)folder);
    }
    g_hash_table_iter_init(&it, p->nets);
    while (g_hash_table_iter_next(&it, NULL, (gpointer *)&s)) {
        o.connections += MIN(s->o.max_connections, 1u << 20);
    }
    return usernet_confine(&o, errp);
}

/* The answer's text, for free(); NULL with errp set. */
static char *obey(Process *p, Error **errp)
{
    SlirpStack *s = g_hash_table_lookup(p->nets, GUINT_TO_POINTER(p->req.net));
    bool ok = true;

    switch ((UserNetOp)p->req.op) {
    case USERNET_ADD:
        ok = add(p, errp);
        break;
    case USERNET_DEL:
        g_hash_table_remove(p->nets, GUINT_TO_POINTER(p->req.net));
        break;
    case USERNET_HOSTFWD_ADD:
    case USERNET_HOSTFWD_REMOVE:
        ok = slirp_change_hostfwd(s, next(p), p->req.op == USERNET_HOSTFWD_ADD, errp);
        break;
    case USERNET_CONNECTIONS:
        return slirp_stack_connections(s);
    case USERNET_CONFINE:
        ok = confine(p, errp);
        break;
    }
    return ok ? g_strdup("") : NULL;
}

static gboolean serve(gint fd, GIOCondition cond, gpointer opaque)
{
    Process *p = opaque;
    unsigned nfds = USERNET_MAX_FDS;
    ssize_t len = recv_with_fds(fd, &p->req, sizeof(p->req), p->fds, &nfds);
    Error *err = NULL;
    char *text;

    if (len < 0 && (errno == EAGAIN || errno == EINTR)) {
        return G_SOURCE_CONTINUE;
    }
    if (len < (ssize_t)offsetof(UserNetRequest, text)) {
        leave(0);       /* the machine has ended */
    }
    p->len = len - offsetof(UserNetRequest, text);
    p->pos = 0;
    text = obey(p, &err);
    answer(text ? USERNET_OK : USERNET_ERROR, text ? text : error_get_pretty(err));
    free(text);
    g_clear_pointer(&err, error_free);
    return G_SOURCE_CONTINUE;
}

/* What ends the machine from a terminal, or by its service's manager, ends it first. */
static void outlive_machine_signals(void)
{
    static const int signals[] = { SIGHUP, SIGINT, SIGTERM, SIGPIPE, SIGXFSZ };

    for (size_t i = 0; i < G_N_ELEMENTS(signals); i++) {
        signal(signals[i], SIG_IGN);
    }
}

bool usernet_wanted(char **argv)
{
    return argv[0] && !strcmp(argv[0], USERNET_ARGV0);
}

void usernet_main(UserNetSandboxFn *sandbox)
{
    const struct rlimit none = { 0, 0 };
    Process *p = g_new0(Process, 1);

    prctl(PR_SET_PDEATHSIG, SIGKILL);
    prctl(PR_SET_NAME, USERNET_ARGV0);
    setrlimit(RLIMIT_CORE, &none);
    error_init("qemu-system-x86_64");
    outlive_machine_signals();
    if (chdir("/") < 0) {
        leave(1);
    }
    p->sandbox = sandbox;
    p->nets = g_hash_table_new_full(NULL, NULL, NULL, (GDestroyNotify)slirp_stack_free);
    qemu_init_main_loop();
    qemu_clock_enable_virtual(true);
    qemu_fd_add(USERNET_SOCKET, G_IO_IN, serve, p);
    qemu_main_loop();
    leave(0);
}
