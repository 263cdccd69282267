/*
 * What the process of user networks gives up before it hears the guest: all files but those that
 * it is to serve or to know name servers by, all system calls but those of usernet-calls.inc,
 * capabilities, and more descriptors and memory than its networks can need.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "usernet-confine.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "qemu/confine.h"
#include "qemu/landlock.h"
#include "slirp-lib.h"

/* Sockets besides those of connections: forwards, a network that is added later. */
#define SPARE_FDS 640
/* What a connection and its buffers take at most, and all else that comes to be. */
#define CONNECTION_BYTES (320u << 10)
#define OTHER_BYTES (128u << 20)

#define RESOLV_CONF "/etc/resolv.conf"

/* Name servers; random numbers for a new stack; what tftp= has in the place of files. */
static const char *const files[] = { RESOLV_CONF, "/dev/urandom", "/dev/null" };

extern const ThreadFilter usernet_filter, never_filter;

static void lower(int resource, rlim_t limit)
{
    struct rlimit now;

    if (getrlimit(resource, &now) == 0) {
        now.rlim_cur = now.rlim_max = MIN(now.rlim_cur, limit);
        setrlimit(resource, &now);
    }
}

/* A network never takes more than half of the descriptors. */
static void set_limits(unsigned connections)
{
    rlim_t fds = 2ull * (connections + SPARE_FDS);
    g_autofree char *statm = NULL;

    lower(RLIMIT_NOFILE, fds);
    if (g_file_get_contents("/proc/self/statm", &statm, NULL, NULL)) {
        rlim_t pages = g_ascii_strtoull(statm, NULL, 10);

        lower(RLIMIT_AS, pages * sysconf(_SC_PAGESIZE) + OTHER_BYTES + fds * CONNECTION_BYTES);
    }
}

static bool change_identity(const UserNetOrders *o, Error **errp)
{
    int ret;

    if (*o->root && (chroot(o->root) < 0 || chdir("/") < 0)) {
        error_setg_errno(errp, errno, "cannot chroot to '%s'", o->root);
        return false;
    }
    if (!(o->flags & USERNET_USER) || (getuid() == o->uid && getuid() != 0)) {
        return true;
    }
    ret = *o->user ? initgroups(o->user, o->gid) : setgroups(1, &(gid_t){ o->gid });
    if (ret < 0 || setgid(o->gid) < 0 || setuid(o->uid) < 0) {
        error_setg_errno(errp, errno, "cannot become user %u of group %u", o->uid, o->gid);
        return false;
    }
    /* Becoming another user takes it back. */
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    return true;
}

/* The kernel does not know it. */
static bool lacks(const UserNetOrders *o, const char *what, int err, Error **errp)
{
    if (o->flags & USERNET_STRICT) {
        error_setg_errno(errp, err, "-sandbox strict: this host's kernel has no %s", what);
        return false;
    }
    warn_report("this host's kernel has no %s for user networks (%s)", what, strerror(err));
    return true;
}

/* A network that comes later finds it loaded, or says why it is not. */
static void load_library(void)
{
    SlirpLib lib;
    Error *err = NULL;

    slirp_lib_load(&lib, &err);
    g_clear_pointer(&err, error_free);
}

static bool limit_files(const UserNetOrders *o, Error **errp)
{
    g_autofree char *servers = realpath(RESOLV_CONF, NULL);
    g_autofree char *folder = servers ? g_path_get_dirname(servers) : NULL;
    const GArray *paths = confine_paths();
    int rules = landlock_new(), ret;

    if (rules < 0) {
        return lacks(o, "Landlock", -rules, errp);
    }
    for (size_t i = 0; i < G_N_ELEMENTS(files); i++) {
        landlock_allow(rules, files[i], FILES_READ);
    }
    if (folder && strcmp(folder, "/etc")) {
        landlock_allow(rules, folder, FILES_READ);      /* a daemon's, which replaces the file */
    }
    for (guint i = 0; paths && i < paths->len; i++) {
        landlock_allow(rules, g_array_index(paths, ConfinePath, i).path, FILES_READ);
    }
    for (guint i = 0; i < o->folders->len; i++) {
        landlock_allow(rules, g_ptr_array_index(o->folders, i), FILES_READ);
    }
    ret = landlock_enter(rules);
    return ret == 0 || lacks(o, "Landlock", -ret, errp);
}

bool usernet_confine(const UserNetOrders *o, Error **errp)
{
    int null_fd = o->flags & USERNET_DAEMON ? open("/dev/null", O_RDWR | O_CLOEXEC) : -1;
    int err = confine_probe();
    bool programs;

    if (o->flags & USERNET_PROGRAMS) {
        confine_need(CONFINE_PROGRAMS);
    }
    programs = confine_needs() & CONFINE_PROGRAMS;
    if (!programs) {
        set_limits(o->connections);
    }
    if (!change_identity(o, errp)) {
        return false;
    }
    if (null_fd >= 0) {
        dup2(null_fd, STDERR_FILENO);
        close(null_fd);
    }
    if (o->flags & USERNET_UNCONFINED) {
        return true;
    }
    if ((err && !lacks(o, "seccomp", err, errp)) ||
        (programs && o->denied && o->sandbox && !o->sandbox(o->denied, errp))) {
        return false;
    }
    confine_drop_capabilities(true);
    if (!(o->flags & USERNET_DUMPABLE)) {
        prctl(PR_SET_DUMPABLE, 0);
    }
    confine_close(!err);
    load_library();
    if (!programs && !limit_files(o, errp)) {
        return false;
    }
    if (!err) {
        confine_enter(programs ? &never_filter : &usernet_filter);
    }
    return true;
}
