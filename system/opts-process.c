/*
 * Options about the process and about what the machine does not have.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "block/handover.h"
#include "opts.h"
#include "qemu/cutils.h"
#include "qemu/fdset.h"
#include "qemu/log.h"
#include "qemu/similar.h"
#include "sysemu/watchdog.h"

/* A parameter that must be one of names (if given); *index is its place. */
static bool get_choice(QemuOpts *opts, const char *param,
                       const char *const *names, int *index, Error **errp)
{
    const char *value = qemu_opt_get(opts, param);

    for (int i = 0; value && names[i]; i++) {
        if (!strcmp(value, names[i])) {
            *index = i;
            return true;
        }
    }
    if (value) {
        g_autofree char *meant = similar_of(value, names);

        error_setg(errp, "Parameter '%s' does not accept value '%s'%s", param, value, meant);
    }
    return !value;
}

bool opt_name(VLState *vl, const char *arg, QemuOpts *opts, Error **errp)
{
    Error *err = NULL;

    g_free(vl->ms->name);
    vl->ms->name = g_strdup(qemu_opt_get(opts, "guest"));
    g_free(vl->process_name);
    vl->process_name = g_strdup(qemu_opt_get(opts, "process"));
    /* Threads are named in any case: it costs nothing. */
    qemu_opt_get_bool(opts, "debug-threads", false, &err);
    if (err) {
        error_propagate(errp, err);
        return false;
    }
    return qemu_opts_check_unused(opts, errp);
}

bool opt_uuid(VLState *vl, const char *arg, QemuOpts *opts, Error **errp)
{
    if (!g_uuid_string_is_valid(arg)) {
        error_setg(errp, "failed to parse UUID string: wrong format");
        return false;
    }
    g_free(vl->ms->uuid);
    vl->ms->uuid = g_ascii_strdown(arg, -1);
    return true;
}

bool opt_msg(VLState *vl, const char *arg, QemuOpts *opts, Error **errp)
{
    const char *hints = qemu_opt_get(opts, "hints");
    Error *err = NULL;

    if (hints && qemu_opt_get_bool(opts, "hints", false, &err)) {
        vl->hints = ON_OFF_AUTO_ON;
    } else if (hints) {
        vl->hints = ON_OFF_AUTO_OFF;
    }
    if (err) {
        error_propagate(errp, err);
        return false;
    }
    error_set_timestamp(qemu_opt_get_bool(opts, "timestamp", false, &err));
    qemu_opt_get_bool(opts, "guest-name", false, err ? NULL : &err);
    if (err) {
        error_propagate(errp, err);
        return false;
    }
    return qemu_opts_check_unused(opts, errp);
}

bool opt_d(VLState *vl, const char *arg, QemuOpts *opts, Error **errp)
{
    return qemu_set_log(arg, errp);
}

bool opt_logfile(VLState *vl, const char *arg, QemuOpts *opts, Error **errp)
{
    return qemu_set_log_filename(arg, errp);
}

bool opt_daemonize(VLState *vl, const char *arg, QemuOpts *opts, Error **errp)
{
    vl->daemonize = true;
    return true;
}

bool opt_pidfile(VLState *vl, const char *arg, QemuOpts *opts, Error **errp)
{
    g_free(vl->pidfile);
    vl->pidfile = g_strdup(arg);
    return true;
}

/* A number that is not negative, or -1 with errp set. */
static int64_t add_fd_number(QemuOpts *opts, const char *name, Error **errp)
{
    const char *text = qemu_opt_get(opts, name);
    uint64_t n;

    if (!text || qemu_strtou64(text, &n) || n > INT_MAX) {
        error_setg(errp, "%s option is required and must be non-negative", name);
        return -1;
    }
    return n;
}

bool opt_add_fd(VLState *vl, const char *arg, QemuOpts *opts, Error **errp)
{
    int64_t fd = add_fd_number(opts, "fd", errp), set;
    const char *opaque = qemu_opt_get(opts, "opaque");
    int flags;

    set = fd < 0 ? -1 : add_fd_number(opts, "set", errp);
    if (set < 0 || !qemu_opts_check_unused(opts, errp)) {
        return false;
    }
    if (fd <= STDERR_FILENO) {
        error_setg(errp, "fd cannot be a standard I/O stream");
        return false;
    }
    /* Ours are all closed on exec: it is one of them, or in a set already. */
    flags = fcntl(fd, F_GETFD);
    if (flags < 0 || (flags & FD_CLOEXEC)) {
        error_setg(errp, "fd is not valid or already in use");
        return false;
    }
    fcntl(fd, F_SETFD, flags | FD_CLOEXEC);
    fdset_add(set, fd, opaque);
    return true;
}

bool opt_stopped(VLState *vl, const char *arg, QemuOpts *opts, Error **errp)
{
    vl->paused = true;
    return true;
}

bool opt_incoming(VLState *vl, const char *arg, QemuOpts *opts, Error **errp)
{
    vl->incoming = arg;
    blk_expect_handover();
    return true;
}

bool opt_loadvm(VLState *vl, const char *arg, QemuOpts *opts, Error **errp)
{
    vl->loadvm = arg;
    return true;
}

bool opt_only_migratable(VLState *vl, const char *arg, QemuOpts *opts, Error **errp)
{
    vl->only_migratable = true;
    return true;
}

bool opt_no_reboot(VLState *vl, const char *arg, QemuOpts *opts, Error **errp)
{
    vl->ms->rsm.reboot_action = REBOOT_ACTION_SHUTDOWN;
    return true;
}

bool opt_no_shutdown(VLState *vl, const char *arg, QemuOpts *opts, Error **errp)
{
    vl->ms->rsm.shutdown_action = SHUTDOWN_ACTION_PAUSE;
    return true;
}

bool opt_watchdog_action(VLState *vl, const char *arg, QemuOpts *opts, Error **errp)
{
    if (!g_strv_contains(watchdog_action_names, arg)) {
        g_autofree char *meant = similar_of(arg, watchdog_action_names);

        error_setg(errp, "Parameter 'watchdog' does not accept value '%s'%s", arg, meant);
        return false;
    }
    vl->ms->rsm.watchdog_action = watchdog_action_by_name(arg);
    return true;
}

bool opt_action(VLState *vl, const char *arg, QemuOpts *opts, Error **errp)
{
    static const char *const reboot[] = { "reset", "shutdown", NULL };
    static const char *const shutdown[] = { "poweroff", "pause", NULL };
    static const char *const sigterm[] = { "poweroff", "powerdown", NULL };
    static const char *const panic[] = { "shutdown", "pause", "none", "exit-failure", NULL };
    RunStateMachine *rsm = &vl->ms->rsm;
    int r = rsm->reboot_action, s = rsm->shutdown_action, p = rsm->panic_action;
    int w = rsm->watchdog_action, t = vl->sigterm_powerdown;

    if (!get_choice(opts, "reboot", reboot, &r, errp) ||
        !get_choice(opts, "shutdown", shutdown, &s, errp) ||
        !get_choice(opts, "panic", panic, &p, errp) ||
        !get_choice(opts, "sigterm", sigterm, &t, errp) ||
        !get_choice(opts, "watchdog", watchdog_action_names, &w, errp)) {
        return false;
    }
    rsm->reboot_action = r;
    rsm->shutdown_action = s;
    rsm->panic_action = p;
    rsm->watchdog_action = w;
    vl->sigterm_powerdown = t;
    return qemu_opts_check_unused(opts, errp);
}

bool opt_nodefaults(VLState *vl, const char *arg, QemuOpts *opts, Error **errp)
{
    vl->nodefaults = true;
    return true;
}

bool opt_nographic(VLState *vl, const char *arg, QemuOpts *opts, Error **errp)
{
    vl->nographic = true;
    return true;
}

bool opt_display(VLState *vl, const char *arg, QemuOpts *opts, Error **errp)
{
    const char *gl = qemu_opt_get(opts, "gl");

    /* Clients that read the console anyway pass this as well, for a look at the screen. */
    if (vl->nographic && g_str_has_prefix(arg, "vnc=")) {
        warn_report("ignored: there is no graphical display, -nographic has the console");
        return true;
    }
    if (g_strcmp0(qemu_opt_get(opts, "type"), "none")) {
        error_setg(errp, "there is no graphical display: only 'none' is supported");
        return false;
    }
    if (gl && strcmp(gl, "off")) {
        error_setg(errp, "OpenGL is not supported by the display");
        return false;
    }
    return qemu_opts_check_unused(opts, errp);
}

bool opt_must_be_none(VLState *vl, const char *arg, QemuOpts *opts, Error **errp)
{
    if (strcmp(arg, "none")) {
        error_setg(errp, "the machine has no such device: only 'none' is supported");
        return false;
    }
    return true;
}

/* "2006-06-17T16:01:21" or "2006-06-17", a date of the calendar, in *seconds of 1970. */
static bool parse_date(const char *text, int64_t *seconds)
{
    struct tm tm = { 0 };
    struct tm normal;
    const char *end = strptime(text, "%Y-%m-%d", &tm);

    if (end && *end == 'T') {
        end = strptime(end + 1, "%H:%M:%S", &tm);
    }
    if (!end || *end) {
        return false;
    }
    normal = tm;
    *seconds = timegm(&normal);
    return normal.tm_mday == tm.tm_mday && normal.tm_sec == tm.tm_sec;
}

static bool parse_rtc_base(const char *base, RTCConfig *config, Error **errp)
{
    config->localtime = !strcmp(base, "localtime");
    config->has_date = !config->localtime && strcmp(base, "utc");
    if (config->has_date && !parse_date(base, &config->date)) {
        error_setg(errp, "-rtc base=%s is neither utc, localtime nor a date such as "
                   "2006-06-17T16:01:21", base);
        return false;
    }
    return true;
}

bool opt_rtc(VLState *vl, const char *arg, QemuOpts *opts, Error **errp)
{
    static const char *const clock[] = { "host", "rt", "vm", NULL };
    static const char *const driftfix[] = { "none", "slew", NULL };
    const char *base = qemu_opt_get(opts, "base");
    RTCConfig *config = &vl->ms->rtc;
    int source = config->clock, slew = 0;

    if ((base && !parse_rtc_base(base, config, errp)) ||
        !get_choice(opts, "clock", clock, &source, errp) ||
        !get_choice(opts, "driftfix", driftfix, &slew, errp)) {
        return false;
    }
    config->clock = source;
    if (slew) {
        add_global(vl->ms, "mc146818rtc", "lost_tick_policy", "slew");
    }
    return qemu_opts_check_unused(opts, errp);
}

bool opt_boot(VLState *vl, const char *arg, QemuOpts *opts, Error **errp)
{
    static const char *const names[] = { "order", "once", "menu", "splash", "splash-time",
                                         "reboot-timeout", "strict" };

    for (size_t i = 0; i < G_N_ELEMENTS(names); i++) {
        qemu_opt_get(opts, names[i]);
    }
    return qemu_opts_check_unused(opts, errp);
}

bool opt_audiodev(VLState *vl, const char *arg, QemuOpts *opts, Error **errp)
{
    const char *driver = qemu_opt_get(opts, "driver");

    if (g_strcmp0(driver, "none")) {
        error_setg(errp, "Parameter 'driver' does not accept value '%s'",
                   driver ? driver : "");
        return false;
    }
    return true;
}

/* Command lines for other versions of this machine name the firmware that starts -kernel. */
bool opt_bios(VLState *vl, const char *arg, QemuOpts *opts, Error **errp)
{
    warn_report("ignored: there is no firmware, -kernel is started directly");
    return true;
}

bool help_version(const char *arg, QemuOpts *opts)
{
    options_print_version();
    return true;
}

bool help_usage(const char *arg, QemuOpts *opts)
{
    options_print_help();
    return true;
}

bool help_d(const char *arg, QemuOpts *opts)
{
    if (strcmp(arg, "help") && strcmp(arg, "?")) {
        return false;
    }
    qemu_print_log_usage();
    return true;
}

bool help_display(const char *arg, QemuOpts *opts)
{
    if (strcmp(arg, "help") && strcmp(arg, "?")) {
        return false;
    }
    printf("Available display backend types:\nnone\n");
    return true;
}
