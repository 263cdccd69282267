/*
 * Confinement of the process: root folder, user, system calls.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef SYSTEM_CONFINE_H
#define SYSTEM_CONFINE_H

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
 * Do what the options -chroot, -user and -sandbox asked for: when all is set up, before
 * the guest runs. All threads are confined, those to come too. False with errp set.
 */
bool confine_process(Error **errp);

/* Whether there is a sandbox in this build and on this host. */
bool sandbox_available(Error **errp);
/*
 * Deny the sets. A call of the first two kills the process: nothing in it makes one. The
 * others fail with EPERM. Not to be undone.
 */
bool sandbox_enter(unsigned sets, Error **errp);

#endif
