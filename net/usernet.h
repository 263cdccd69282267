/*
 * The process of user networks: one for all of a machine, from its first to its end.
 *
 * Main thread, machine lock.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef NET_USERNET_H
#define NET_USERNET_H

#include <glib.h>
#include <stdbool.h>

#include "qemu/error.h"
#include "usernet-proto.h"

/* It has ended, or was given up: no network of it is served any more. Said once. */
typedef void UserNetLost(void);

/* Start it unless it runs. False with errp set: it cannot be started (any more). */
bool usernet_start(UserNetLost *lost, Error **errp);
/*
 * Ask and wait for the answer, at most some seconds: longer, and it is given up. Descriptors stay
 * the caller's. Returns the answer's text, printable, the caller's; NULL with errp set.
 */
char *usernet_call(UserNetOp op, uint32_t net, const GString *text, const int *fds, unsigned nfds,
                   Error **errp);
/* It breaks the rules: give it up. Not from a call into a network of it. */
void usernet_give_up(const char *why);
/* s with all that a terminal could take for a command replaced; but lines may end. Caller frees. */
char *usernet_printable(const char *s, size_t len, bool lines);

/* What a process does as which the program was started with USERNET_ARGV0; does not return. */
typedef bool UserNetSandboxFn(unsigned sets, Error **errp);
/* sandbox denies calls to programs that are started, as the main thread's does. */
void usernet_main(UserNetSandboxFn *sandbox);
/* Whether this is to be one. */
bool usernet_wanted(char **argv);

#endif
