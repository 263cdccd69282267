/*
 * Error objects and the reporter.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "qemu/error.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "qemu/confine.h"

struct Error {
    char *msg;
    char *hint;
    ErrorClass err_class;
};

/* The reporter's state: process-wide by nature, set by the main thread. */
static struct {
    const char *progname;
    const char *where;
    bool timestamp;
} reporter = { .progname = "qemu-system-x86_64" };

static void error_setv(Error **errp, ErrorClass err_class, const char *fmt,
                       va_list ap)
{
    Error *err;

    if (!errp) {
        return;
    }
    g_assert(*errp == NULL);
    err = g_new0(Error, 1);
    err->msg = g_strdup_vprintf(fmt, ap);
    err->err_class = err_class;
    *errp = err;
}

void error_setg(Error **errp, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    error_setv(errp, ERROR_CLASS_GENERIC_ERROR, fmt, ap);
    va_end(ap);
}

void error_set(Error **errp, ErrorClass err_class, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    error_setv(errp, err_class, fmt, ap);
    va_end(ap);
}

void error_setg_errno(Error **errp, int os_errno, const char *fmt, ...)
{
    va_list ap;
    char *msg;

    if (!errp) {
        return;
    }
    va_start(ap, fmt);
    error_setv(errp, ERROR_CLASS_GENERIC_ERROR, fmt, ap);
    va_end(ap);
    msg = g_strdup_printf("%s: %s", (*errp)->msg, confine_strerror(os_errno));
    g_free((*errp)->msg);
    (*errp)->msg = msg;
}

void error_prepend(Error **errp, const char *fmt, ...)
{
    g_autofree char *front = NULL;
    char *msg;
    va_list ap;

    if (!errp || !*errp) {
        return;
    }
    va_start(ap, fmt);
    front = g_strdup_vprintf(fmt, ap);
    va_end(ap);
    msg = g_strconcat(front, (*errp)->msg, NULL);
    g_free((*errp)->msg);
    (*errp)->msg = msg;
}

void error_append_hint(Error **errp, const char *fmt, ...)
{
    g_autofree char *before = NULL, *more = NULL;
    va_list ap;

    if (!errp || !*errp) {
        return;
    }
    before = (*errp)->hint;
    va_start(ap, fmt);
    more = g_strdup_vprintf(fmt, ap);
    va_end(ap);
    (*errp)->hint = g_strconcat(before ? before : "", more, NULL);
}

void error_propagate(Error **dst_errp, Error *local_err)
{
    if (!local_err) {
        return;
    }
    if (!dst_errp) {
        error_free(local_err);
        return;
    }
    g_assert(*dst_errp == NULL);
    *dst_errp = local_err;
}

const char *error_get_pretty(const Error *err)
{
    return err->msg;
}

ErrorClass error_get_class(const Error *err)
{
    return err->err_class;
}

void error_free(Error *err)
{
    if (!err) {
        return;
    }
    g_free(err->msg);
    g_free(err->hint);
    g_free(err);
}

void error_init(const char *argv0)
{
    const char *slash = strrchr(argv0, '/');

    reporter.progname = slash ? slash + 1 : argv0;
}

void error_set_timestamp(bool on)
{
    reporter.timestamp = on;
}

const char *loc_set(const char *where)
{
    const char *old = reporter.where;

    reporter.where = where;
    return old;
}

/* One write per line, so that lines of several threads do not mix. */
static void report(const char *kind, const char *fmt, va_list ap)
{
    g_autofree char *msg = g_strdup_vprintf(fmt, ap);
    g_autofree char *stamp = NULL;

    if (reporter.timestamp) {
        struct timespec now;
        struct tm tm;

        clock_gettime(CLOCK_REALTIME, &now);
        gmtime_r(&now.tv_sec, &tm);
        stamp = g_strdup_printf("%d-%02d-%02dT%02d:%02d:%02d.%06ldZ ", tm.tm_year + 1900,
                                tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec,
                                now.tv_nsec / 1000);
    }
    fprintf(stderr, "%s%s: %s%s%s%s\n", stamp ? stamp : "", reporter.progname,
            reporter.where ? reporter.where : "", reporter.where ? ": " : "",
            kind, msg);
}

void error_report(const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    report("", fmt, ap);
    va_end(ap);
}

void warn_report(const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    report("warning: ", fmt, ap);
    va_end(ap);
}

void info_report(const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    report("info: ", fmt, ap);
    va_end(ap);
}

void hint_report(const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    report("hint: ", fmt, ap);
    va_end(ap);
}

void error_printf(const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    vfprintf(stderr, fmt, ap);
    va_end(ap);
}

void error_report_err(Error *err)
{
    error_report("%s", err->msg);
    if (err->hint) {
        error_printf("%s", err->hint);
    }
    error_free(err);
}

void error_end_process(Error *err)
{
    error_report_err(err);
    _exit(1);
}
