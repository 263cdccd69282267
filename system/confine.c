/*
 * What the process gives up: what it inherited at once; before the guest runs its root folder,
 * its user, capabilities, system calls. Everything is open by then: -chroot and -sandbox never
 * get in the way of the set-up itself.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "confine.h"

#include <errno.h>
#include <glib.h>
#include <grp.h>
#include <limits.h>
#include <pwd.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "opts.h"
#include "qemu/confine.h"
#include "qemu/cutils.h"

static struct {
    char *root;
    struct {
        bool given;
        uid_t uid;
        gid_t gid;
        char *name;         /* for its supplementary groups; NULL: none */
    } user;
    bool off;               /* -sandbox off: nothing but what other options ask for */
    bool sandbox;
    unsigned denied;        /* set of SandboxSet */
    GPtrArray *folders;     /* -sandbox path= */
    MainConfinement main;
    ConfineOrders orders;   /* for other processes of ours */
} confine = { .denied = SANDBOX_OBSOLETE };

/* Options ------------------------------------------------------------------ */

/* "UID:GID" or a name. */
static bool set_user(const char *arg, Error **errp)
{
    g_auto(GStrv) ids = g_strsplit(arg, ":", 2);
    uint64_t uid, gid;
    const struct passwd *pw;

    if (ids[0] && ids[1] && !qemu_strtou64(ids[0], &uid) && !qemu_strtou64(ids[1], &gid) &&
        uid < (uid_t)-1 && gid < (gid_t)-1) {
        confine.user.uid = uid;
        confine.user.gid = gid;
    } else {
        pw = getpwnam(arg);
        if (!pw) {
            error_setg(errp, "User \"%s\" doesn't exist (and is not <uid>:<gid>)", arg);
            return false;
        }
        confine.user.uid = pw->pw_uid;
        confine.user.gid = pw->pw_gid;
        confine.user.name = g_strdup(arg);
    }
    confine.user.given = true;
    return true;
}

bool opt_user(VLState *vl, const char *arg, QemuOpts *opts, Error **errp)
{
    return set_user(arg, errp);
}

bool opt_chroot(VLState *vl, const char *arg, QemuOpts *opts, Error **errp)
{
    g_free(confine.root);
    confine.root = g_strdup(arg);
    return true;
}

bool opt_run_with(VLState *vl, const char *arg, QemuOpts *opts, Error **errp)
{
    const char *user = qemu_opt_get(opts, "user");
    const char *root = qemu_opt_get(opts, "chroot");
    Error *err = NULL;

    if (qemu_opt_get_bool(opts, "async-teardown", false, &err)) {
        error_setg(&err, "async-teardown is not supported");
    }
    if (err) {
        error_propagate(errp, err);
        return false;
    }
    if (root) {
        opt_chroot(vl, root, NULL, NULL);
    }
    return (!user || set_user(user, errp)) && qemu_opts_check_unused(opts, errp);
}

/* One "NAME=allow|deny" of -sandbox; "children" where it has a meaning. */
static bool sandbox_choice(QemuOpts *opts, const char *name, unsigned set, bool children,
                           Error **errp)
{
    const char *value = qemu_opt_get(opts, name);

    if (!value) {
        return true;
    }
    if (!strcmp(value, "deny")) {
        confine.denied |= set;
    } else if (!strcmp(value, "allow") || (children && !strcmp(value, "children"))) {
        /* Programs that we start gain nothing in any sandbox: "no new privileges". */
        confine.denied &= ~set;
    } else {
        error_setg(errp, "invalid argument '%s' of '%s'", value, name);
        return false;
    }
    return true;
}

/* Nothing, "on", "off" or "strict". */
static bool sandbox_enable(QemuOpts *opts, Error **errp)
{
    const char *enable = qemu_opt_get(opts, "enable");
    Error *err = NULL;

    if (!enable) {
        return true;
    }
    confine.main.strict = !strcmp(enable, "strict");
    confine.sandbox = !confine.main.strict && qemu_opt_get_bool(opts, "enable", false, &err);
    confine.off = !confine.main.strict && !confine.sandbox;
    if (err) {
        error_propagate(errp, err);
        return false;
    }
    return !confine.sandbox || sandbox_available(errp);
}

/* "monitor=", "path=", and whether programs are wanted in so many words. */
static bool sandbox_main_thread(QemuOpts *opts, Error **errp)
{
    const char *monitor = qemu_opt_get(opts, "monitor"), *spawn = qemu_opt_get(opts, "spawn");

    if (monitor && strcmp(monitor, "open") && strcmp(monitor, "closed")) {
        error_setg(errp, "Parameter 'monitor' expects open or closed");
        return false;
    }
    if (monitor) {
        confine.main.monitor_closed = !strcmp(monitor, "closed");
    }
    if (spawn && !strcmp(spawn, "allow")) {
        confine_need(CONFINE_PROGRAMS);
    }
    if (!confine.folders) {
        confine.folders = g_ptr_array_new();
    }
    for (guint i = 0; i < opts->opts->len; i++) {
        QemuOpt *opt = &g_array_index(opts->opts, QemuOpt, i);

        if (!strcmp(opt->name, "path")) {
            opt->used = true;
            g_ptr_array_add(confine.folders, g_canonicalize_filename(opt->str, NULL));
        }
    }
    confine.main.folders = confine.folders->len ? confine.folders : NULL;
    return true;
}

/* May stand more than once: what a later one does not name stays. */
bool opt_sandbox(VLState *vl, const char *arg, QemuOpts *opts, Error **errp)
{
    return sandbox_enable(opts, errp) && sandbox_main_thread(opts, errp) &&
        sandbox_choice(opts, "obsolete", SANDBOX_OBSOLETE, false, errp) &&
        sandbox_choice(opts, "elevateprivileges", SANDBOX_PRIVILEGES, true, errp) &&
        sandbox_choice(opts, "spawn", SANDBOX_SPAWN, false, errp) &&
        sandbox_choice(opts, "resourcecontrol", SANDBOX_RESOURCES, false, errp) &&
        qemu_opts_check_unused(opts, errp);
}

/* Descriptors left open by who started us ---------------------------------- */

/* The numbers that stand in the arguments, whatever they mean there. */
static GArray *numbers_in(int argc, char **argv)
{
    GArray *numbers = g_array_new(FALSE, FALSE, sizeof(unsigned));

    for (int i = 1; i < argc; i++) {
        for (char *p = argv[i]; *p;) {
            uint64_t n;

            if (!g_ascii_isdigit(*p)) {
                p++;
                continue;
            }
            n = g_ascii_strtoull(p, &p, 10);
            if (n > STDERR_FILENO && n <= INT_MAX) {
                g_array_append_vals(numbers, &(unsigned){ n }, 1);
            }
        }
    }
    return numbers;
}

static gint by_value(gconstpointer a, gconstpointer b)
{
    unsigned x = *(const unsigned *)a, y = *(const unsigned *)b;

    return (x > y) - (x < y);
}

/* Who is to name a descriptor later, by migrate-incoming, has left it open for that. */
static bool expects_descriptors(int argc, char **argv)
{
    bool expects = false;

    for (int i = 1; i + 1 < argc; i++) {
        const char *name = argv[i] + strspn(argv[i], "-");

        expects |= name > argv[i] && !strcmp(name, "incoming") && !strcmp(argv[i + 1], "defer");
    }
    return expects;
}

bool confine_early(int argc, char **argv, Error **errp)
{
    unsigned first = STDERR_FILENO + 1;
    GArray *kept;
    int ret = 0;

    if (confine.off || expects_descriptors(argc, argv)) {
        return true;
    }
    kept = numbers_in(argc, argv);
    g_array_append_vals(kept, &(unsigned){ UINT_MAX }, 1);      /* behind the last */
    qsort(kept->data, kept->len, sizeof(unsigned), by_value);
    for (guint i = 0; i < kept->len && ret == 0; i++) {
        unsigned fd = g_array_index(kept, unsigned, i);

        if (fd > first) {
            ret = close_range(first, fd - 1, 0);
        }
        first = MAX(first, fd + 1);
    }
    g_array_unref(kept);
    if (ret < 0 && errno != ENOSYS) {
        error_setg_errno(errp, errno, "cannot close the descriptors that were left open");
        return false;
    }
    if (ret < 0) {
        warn_report("this host's kernel (before 5.9) leaves inherited descriptors open");
    }
    return true;
}

/* Doing it ----------------------------------------------------------------- */

static bool change_root(Error **errp)
{
    if (confine.root && (chroot(confine.root) < 0 || chdir("/") < 0)) {
        error_setg_errno(errp, errno, "cannot chroot to '%s'", confine.root);
        return false;
    }
    return true;
}

static bool change_user(Error **errp)
{
    gid_t gid = confine.user.gid;
    int ret;

    if (!confine.user.given) {
        return true;
    }
    ret = confine.user.name ? initgroups(confine.user.name, gid) : setgroups(1, &gid);
    if (ret < 0 || setgid(gid) < 0 || setuid(confine.user.uid) < 0) {
        error_setg_errno(errp, errno, "cannot become user %u of group %u",
                         confine.user.uid, gid);
        return false;
    }
    if (confine.user.uid != 0 && setuid(0) == 0) {
        error_setg(errp, "dropping privileges failed: root can be had back");
        return false;
    }
    return true;
}

/* What nobody needs while the guest runs. The filters of -sandbox are for all threads alike and
 * must be there before a thread has one of its own. */
static bool confine_always(bool dumpable, Error **errp)
{
    int err = confine_probe();

    confine.main.filters = !err;
    if (err && !confine_lacks(&confine.main, "seccomp: system calls are not confined", err, errp)) {
        return false;
    }
    confine_drop_capabilities(true);
    if (!dumpable) {
        prctl(PR_SET_DUMPABLE, 0);
    }
    confine_close(confine.main.filters);
    return confine_main_thread(&confine.main, errp);
}

void confine_end(void)
{
    prctl(PR_SET_DUMPABLE, 1);
}

static bool tell_processes(bool dumpable, bool daemon, Error **errp)
{
    confine.orders = (ConfineOrders) {
        .off = confine.off,
        .strict = confine.main.strict,
        .dumpable = dumpable,
        .daemon = daemon,
        .programs = confine_needs() & CONFINE_PROGRAMS,
        .denied = confine.sandbox ? SANDBOX_ALWAYS | confine.denied : 0,
        .root = confine.root,
        .has_user = confine.user.given,
        .uid = confine.user.uid,
        .gid = confine.user.gid,
        .user = confine.user.name,
        .folders = confine.main.folders,
    };
    return confine_process_orders(&confine.orders, errp);
}

bool confine_process(bool dumpable, bool daemon, Error **errp)
{
    if (!tell_processes(dumpable, daemon, errp) || !change_root(errp) || !change_user(errp) ||
        (confine.sandbox && !sandbox_enter(confine.denied, errp))) {
        return false;
    }
    if (confine.off) {
        info_report("-sandbox off: privileges, descriptors that were left open, files, sockets and "
                    "system calls are all kept");
        return true;
    }
    return confine_always(dumpable, errp);
}
