/*
 * Confinement of the process: root folder, user, system calls.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef SYSTEM_CONFINE_H
#define SYSTEM_CONFINE_H

#include <glib.h>
#include <stdbool.h>

#include "qemu/error.h"

/* Groups of system calls that -sandbox can deny, beside those that it always does. */
typedef enum SandboxSet {
    SANDBOX_ALWAYS = 1,
    SANDBOX_OBSOLETE = 2,       /* not needed since long ago */
    SANDBOX_PRIVILEGES = 4,     /* becoming another user or session */
    SANDBOX_SPAWN = 8,          /* new processes, other programs; threads are allowed */
    SANDBOX_RESOURCES = 16,     /* affinity, scheduling, priorities, limits */
} SandboxSet;

/*
 * Unless -sandbox is off, close the descriptors above 2 that were left open for us and that no
 * number in the arguments can mean: before anything is opened. False with errp set.
 */
bool confine_early(int argc, char **argv, Error **errp);
/*
 * Do what the options -chroot, -user and -sandbox asked for: when all is set up, before
 * the guest runs. All threads are confined, those to come too, and processes of ours. Unless
 * -sandbox is off, then give up capabilities, let threads confine themselves (qemu/confine.h), and,
 * unless dumpable, let no one of the same user read our memory and no crash write it to a file.
 * daemon: nobody will read standard error. False with errp set.
 */
bool confine_process(bool dumpable, bool daemon, Error **errp);
/* Nothing of the guest runs any more: a sanitizer may read our memory now, to find leaks. */
void confine_end(void);

/* How far the main thread is confined; beside what was declared (confine_need()). */
typedef struct MainConfinement {
    bool strict;                /* what this host cannot do is an error */
    bool filters;               /* the host's kernel filters system calls */
    bool monitor_closed;        /* what monitors are asked for opens nothing */
    const GPtrArray *folders;   /* where files may be opened, of char *; NULL: none named */
} MainConfinement;

/* This host cannot do what there is err for: a warning, and true, or errp set. */
bool confine_lacks(const MainConfinement *c, const char *what, int err, Error **errp);
/*
 * Files and sockets are left to the main thread as far as a monitor, a back end or c ask for them;
 * of system calls those of main-calls.inc, or, where programs are started, all but those of
 * never-calls.inc. Needs no_new_privs. False with errp set.
 */
bool confine_main_thread(const MainConfinement *c, Error **errp);

/* Whether there is a sandbox in this build and on this host. */
bool sandbox_available(Error **errp);
/*
 * Deny the sets. A call of the first two kills the process: nothing in it makes one. The
 * others fail with EPERM. Not to be undone.
 */
bool sandbox_enter(unsigned sets, Error **errp);

#endif
