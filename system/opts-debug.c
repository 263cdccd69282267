/*
 * Options for testing and debugging.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <stdio.h>

#include "chardev/char.h"
#include "opts.h"
#include "qemu/trace.h"
#include "sysemu/gdbstub.h"
#include "sysemu/qtest.h"

bool opt_qtest_log(VLState *vl, const char *arg, QemuOpts *opts, Error **errp)
{
    vl->qtest_log = arg;
    return true;
}

bool opt_qtest(VLState *vl, const char *arg, QemuOpts *opts, Error **errp)
{
    bool mux_mon = false;
    Chardev *chr = qemu_chr_new("qtest", arg, &mux_mon, errp);

    return chr && qtest_server_init(vl->ms, chr, vl->qtest_log, errp);
}

bool opt_trace(VLState *vl, const char *arg, QemuOpts *opts, Error **errp)
{
    const char *enable = qemu_opt_get(opts, "enable"), *events = qemu_opt_get(opts, "events");
    const char *file = qemu_opt_get(opts, "file");

    if (!qemu_opts_check_unused(opts, errp) || (file && !qemu_set_log_filename(file, errp)) ||
        (events && !trace_set_by_file(events, errp))) {
        return false;
    }
    if (enable) {
        trace_set_by_option(enable);
    }
    return true;
}

bool help_trace(const char *arg, QemuOpts *opts)
{
    if (!qemu_opts_has_help(opts)) {
        return false;
    }
    for (unsigned i = 0; i < TRACE_COUNT; i++) {
        printf("%s\n", trace_name(i));
    }
    return true;
}

bool opt_gdb(VLState *vl, const char *arg, QemuOpts *opts, Error **errp)
{
    return gdbserver_start(vl->ms, arg, errp);
}

bool opt_s(VLState *vl, const char *arg, QemuOpts *opts, Error **errp)
{
    return gdbserver_start(vl->ms, "tcp::1234", errp);
}
