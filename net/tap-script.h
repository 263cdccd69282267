/*
 * The programs that set a TAP interface up and take it down. Main thread.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef NET_TAP_SCRIPT_H
#define NET_TAP_SCRIPT_H

#include <glib.h>

#include "qemu/error.h"

/* A script that waits to be run; zeroed: there is none. */
typedef struct WaitingScript {
    GPid pid;
    int go;             /* to be told by */
} WaitingScript;

/* Run script with the interface's name and wait for it; false with errp set, also if it fails. */
bool tap_script_run(const char *script, const char *ifname, Error **errp);
/*
 * Let a shell wait for tap_script_finish(), with the privileges that we have now and shall not
 * have then. If the script is not there now, tap_script_finish() says so.
 */
bool tap_script_prepare(WaitingScript *w, const char *script, const char *ifname, Error **errp);
/* Run it as tap_script_run() would, once. */
bool tap_script_finish(WaitingScript *w, const char *script, Error **errp);

#endif
