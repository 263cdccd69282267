/*
 * Error objects and the one reporter that prints them.
 *
 * Four kinds of error exist and are never mixed: a user's mistake travels as
 * an Error and is printed once; a host error is a negative errno; a guest
 * error is logged (qemu/log.h); our own bug is a g_assert().
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef QEMU_ERROR_H
#define QEMU_ERROR_H

#include <glib.h>
#include <stdbool.h>

/* QMP's error classes; all but the named ones are ERROR_CLASS_GENERIC_ERROR. */
typedef enum ErrorClass {
    ERROR_CLASS_GENERIC_ERROR,
    ERROR_CLASS_COMMAND_NOT_FOUND,
    ERROR_CLASS_DEVICE_NOT_ACTIVE,
    ERROR_CLASS_DEVICE_NOT_FOUND,
    ERROR_CLASS_KVM_MISSING_CAP,
} ErrorClass;

typedef struct Error Error;

/*
 * Store a new error in *errp. With a NULL errp the error is dropped. Setting
 * an errp that holds an error already is a bug (assert).
 */
void error_setg(Error **errp, const char *fmt, ...) G_GNUC_PRINTF(2, 3);

/* Like error_setg(), with ": " and strerror(os_errno) appended; os_errno > 0. */
void error_setg_errno(Error **errp, int os_errno, const char *fmt, ...)
    G_GNUC_PRINTF(3, 4);

/* Like error_setg(), with a QMP class of its own. */
void error_set(Error **errp, ErrorClass err_class, const char *fmt, ...)
    G_GNUC_PRINTF(3, 4);

/* Put text in front of the message of *errp (which must hold an error). */
void error_prepend(Error **errp, const char *fmt, ...) G_GNUC_PRINTF(2, 3);

/* Add lines that follow the message when a person reads it; end with '\n'. */
void error_append_hint(Error **errp, const char *fmt, ...) G_GNUC_PRINTF(2, 3);

/* Hand local_err (may be NULL) to *dst_errp; takes ownership of local_err. */
void error_propagate(Error **dst_errp, Error *local_err);

const char *error_get_pretty(const Error *err);
ErrorClass error_get_class(const Error *err);
void error_free(Error *err);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Error, error_free)

/* Print err (and its hint) through error_report() and free it. */
void error_report_err(Error *err);
/*
 * The same, and the process ends at once with status 1. For any thread, where others wait for what
 * never comes: nothing is cleaned up.
 */
_Noreturn void error_end_process(Error *err);

/*
 * Print one line on stderr: "[timestamp ]PROGRAM: [location: ]message".
 * Thread-safe.
 */
void error_report(const char *fmt, ...) G_GNUC_PRINTF(1, 2);
void warn_report(const char *fmt, ...) G_GNUC_PRINTF(1, 2);
void info_report(const char *fmt, ...) G_GNUC_PRINTF(1, 2);
void hint_report(const char *fmt, ...) G_GNUC_PRINTF(1, 2);
/* A line without prefix, for hints and for the few texts QEMU prints bare. */
void error_printf(const char *fmt, ...) G_GNUC_PRINTF(1, 2);

/* The program's name for messages; argv0 must stay alive. */
void error_init(const char *argv0);
/* -msg timestamp=on */
void error_set_timestamp(bool on);

/*
 * The place that messages are about, for example "-device virtio-blk-device";
 * NULL for none. The string is not copied. Returns the former location so
 * that callers can nest.
 */
const char *loc_set(const char *where);

#endif
