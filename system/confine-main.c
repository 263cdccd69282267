/*
 * What the main thread gives up before the guest runs: the system calls that no machine needs,
 * and files and sockets where nothing on the command line and no monitor asks for them.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "confine.h"

#include <errno.h>
#include <string.h>

#include "qemu/confine.h"
#include "qemu/landlock.h"

extern const ThreadFilter main_thread_filter, never_filter, no_files_filter, no_sockets_filter;

/* Where names of hosts are looked up, and libraries that are loaded for it or for a monitor. */
static const char *const name_files[] = {
    "/etc/gai.conf", "/etc/host.conf", "/etc/hosts", "/etc/ld.so.cache", "/etc/nsswitch.conf",
    "/etc/resolv.conf", "/etc/services", "/lib", "/lib64", "/usr/lib", "/usr/lib64",
};
/* What a monitor's commands use besides what they name. */
static const char *const monitor_files[] = { "/dev/null", "/dev/ptmx", "/dev/pts" };

bool confine_lacks(const MainConfinement *c, const char *what, int err, Error **errp)
{
    if (c->strict) {
        error_setg_errno(errp, err, "-sandbox strict: this host's kernel has no %s", what);
        return false;
    }
    warn_report("this host's kernel has no %s (%s)", what, strerror(err));
    return true;
}

/* Files -------------------------------------------------------------------- */

static bool is_for_monitor(const ConfinePath *p)
{
    return p->access == CONFINE_AGAIN_READ || p->access == CONFINE_AGAIN_WRITE;
}

static unsigned rights(const ConfinePath *p)
{
    return p->access == CONFINE_READ || p->access == CONFINE_AGAIN_READ ? FILES_READ :
           p->access == CONFINE_REMOVE ? FILES_REMOVE : FILES_READ | FILES_WRITE;
}

/* What is not there now was not opened, either. */
static void allow_all(int rules, const char *const *paths, size_t n, unsigned rights)
{
    for (size_t i = 0; i < n; i++) {
        landlock_allow(rules, paths[i], rights);
    }
}

static void allow_declared(int rules, bool monitor)
{
    const GArray *paths = confine_paths();

    for (guint i = 0; paths && i < paths->len; i++) {
        const ConfinePath *p = &g_array_index(paths, ConfinePath, i);
        g_autofree char *folder = g_path_get_dirname(p->path);

        if (monitor || !is_for_monitor(p)) {
            landlock_allow(rules, p->access == CONFINE_REMOVE ? folder : p->path, rights(p));
        }
    }
    if (monitor || confine_needs() & CONFINE_NAMES) {
        allow_all(rules, name_files, G_N_ELEMENTS(name_files), FILES_READ);
    }
    if (monitor) {
        allow_all(rules, monitor_files, G_N_ELEMENTS(monitor_files), FILES_READ | FILES_WRITE);
    }
}

static bool allow_folders(int rules, const GPtrArray *folders, Error **errp)
{
    for (guint i = 0; folders && i < folders->len; i++) {
        const char *folder = g_ptr_array_index(folders, i);
        int ret = landlock_allow(rules, folder, FILES_READ | FILES_WRITE);

        if (ret < 0) {
            error_setg_errno(errp, -ret, "-sandbox path=%s", folder);
            return false;
        }
    }
    return true;
}

/* Whether anything is opened or removed by name while the guest runs. */
static bool opens_files(const MainConfinement *c)
{
    const GArray *paths = confine_paths();
    bool opens = c->folders || confine_needs() & CONFINE_NAMES;

    for (guint i = 0; !opens && paths && i < paths->len; i++) {
        opens = !is_for_monitor(&g_array_index(paths, ConfinePath, i));
    }
    return opens;
}

static bool limit_files(const MainConfinement *c, bool monitor, Error **errp)
{
    int rules = landlock_new();
    int ret = rules < 0 ? rules : 0;

    if (ret == 0) {
        allow_declared(rules, monitor);
        if (!allow_folders(rules, c->folders, errp)) {
            return false;
        }
        ret = landlock_enter(rules);
    }
    return ret == 0 || confine_lacks(c, "Landlock: files are not confined", -ret, errp);
}

/* All of it ---------------------------------------------------------------- */

static bool confine_files(const MainConfinement *c, bool monitor, Error **errp)
{
    if (opens_files(c)) {
        return limit_files(c, monitor, errp);
    }
    if (!monitor && c->filters) {
        confine_enter(&no_files_filter);
    }
    return true;
}

bool confine_main_thread(const MainConfinement *c, Error **errp)
{
    unsigned needs = confine_needs();
    bool monitor = needs & CONFINE_MONITOR && !c->monitor_closed;
    bool programs = needs & CONFINE_PROGRAMS;

    if (programs && c->folders) {
        error_setg(errp, "-sandbox path=: programs may be started here (spawn=allow, guestfwd=): "
                   "their files are not known");
        return false;
    }
    if ((c->folders || !(monitor || programs)) && !confine_files(c, monitor, errp)) {
        return false;
    }
    if (!c->filters) {
        return true;
    }
    if (!monitor && !programs && !(needs & (CONFINE_SOCKETS | CONFINE_NAMES))) {
        confine_enter(&no_sockets_filter);
    }
    /* A program would be left with the list of the thread that starts it. */
    confine_enter(programs ? &never_filter : &main_thread_filter);
    return true;
}
