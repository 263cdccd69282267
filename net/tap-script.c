/*
 * Scripts of TAP interfaces. The process starts no programs any more when the guest runs, so the
 * script for the end is started with that for the beginning, in a shell that waits.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "tap-script.h"

#include <errno.h>
#include <sys/wait.h>
#include <unistd.h>

#include "qemu/confine.h"
#include "qemu/cutils.h"

/* Without a line on standard input, because we were killed, nothing is run. */
#define WAIT_AND_RUN "read -r go && exec \"$0\" \"$@\" </dev/null"

static bool check_status(const char *script, int status, Error **errp)
{
    if (status) {
        error_setg(errp, "network script %s failed with status %d", script, status);
        return false;
    }
    return true;
}

bool tap_script_run(const char *script, const char *ifname, Error **errp)
{
    char *argv[] = { (char *)script, (char *)ifname, NULL };
    g_autoptr(GError) gerr = NULL;
    int status;

    if (!confine_programs(errp)) {
        error_prepend(errp, "network script %s: ", script);
        return false;
    }
    if (!g_spawn_sync(NULL, argv, NULL, G_SPAWN_CHILD_INHERITS_STDIN, NULL, NULL, NULL,
                      NULL, &status, &gerr)) {
        error_setg(errp, "could not launch network script %s: %s", script, gerr->message);
        return false;
    }
    return check_status(script, status, errp);
}

/* What ends us from the terminal must not end the shell. */
static void leave_session(gpointer data)
{
    setsid();
}

bool tap_script_prepare(WaitingScript *w, const char *script, const char *ifname, Error **errp)
{
    char *argv[] = { "/bin/sh", "-c", WAIT_AND_RUN, (char *)script, (char *)ifname, NULL };
    g_autoptr(GError) gerr = NULL;

    if (access(script, X_OK) < 0) {
        return true;
    }
    if (!confine_programs(errp)) {
        error_prepend(errp, "network script %s: ", script);
        return false;
    }
    if (!g_spawn_async_with_pipes(NULL, argv, NULL, G_SPAWN_DO_NOT_REAP_CHILD, leave_session,
                                  NULL, &w->pid, &w->go, NULL, NULL, &gerr)) {
        error_setg(errp, "could not launch network script %s: %s", script, gerr->message);
        return false;
    }
    return true;
}

bool tap_script_finish(WaitingScript *w, const char *script, Error **errp)
{
    int status = 0;

    if (!w->pid) {
        error_setg(errp, "could not launch network script %s: it was not there at the start",
                   script);
        return false;
    }
    qemu_write_full(w->go, "\n", 1);
    close(w->go);
    while (waitpid(w->pid, &status, 0) < 0 && errno == EINTR) {
        continue;
    }
    w->pid = 0;
    return check_status(script, status, errp);
}
