/*
 * Options about character devices, serial ports and monitors.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <stdio.h>
#include <string.h>

#include "chardev/char.h"
#include "monitor/monitor.h"
#include "opts.h"
#include "qemu/cutils.h"

#define MAX_SERIAL_PORTS 4

bool opt_chardev(VLState *vl, const char *arg, QemuOpts *opts, Error **errp)
{
    return qemu_chr_new_from_opts(opts, errp) != NULL;
}

/* Open DEV for a serial port; "mon:" puts a monitor on it, too. */
static bool add_serial(VLState *vl, const char *dev, Error **errp)
{
    g_autofree char *label = g_strdup_printf("serial%u", vl->ms->serials->len);
    bool with_monitor = false;
    Error *err = NULL;
    Chardev *chr;

    chr = qemu_chr_new(label, dev, &with_monitor, &err);
    if (err) {
        error_propagate(errp, err);
        return false;
    }
    g_ptr_array_add(vl->ms->serials, chr);
    return !with_monitor || monitor_init(vl->ms, chr, MONITOR_READLINE, false, errp);
}

bool opt_serial(VLState *vl, const char *arg, QemuOpts *opts, Error **errp)
{
    vl->has_serial = true;
    if (vl->ms->serials->len == MAX_SERIAL_PORTS) {
        error_setg(errp, "the machine has at most %d serial ports", MAX_SERIAL_PORTS);
        return false;
    }
    if (vl->daemonize && (!strcmp(arg, "stdio") || !strcmp(arg, "mon:stdio"))) {
        error_setg(errp, "cannot use stdio with -daemonize");
        return false;
    }
    return add_serial(vl, arg, errp);
}

bool add_default_serial(VLState *vl, Error **errp)
{
    if (!vl->nographic || vl->nodefaults) {
        return true;
    }
    if (!vl->has_serial) {
        return add_serial(vl, vl->has_monitor ? "stdio" : "mon:stdio", errp);
    }
    /* As QEMU: with a serial port elsewhere, the monitor has stdio alone. */
    return vl->has_monitor ||
           monitor_init_compat(vl->ms, "stdio", MONITOR_READLINE, false, errp);
}

static bool add_monitor(VLState *vl, const char *dev, MonitorMode mode,
                        bool pretty, Error **errp)
{
    return monitor_init_compat(vl->ms, dev, mode, pretty, errp);
}

bool opt_monitor(VLState *vl, const char *arg, QemuOpts *opts, Error **errp)
{
    vl->has_monitor = true;
    return add_monitor(vl, arg, MONITOR_READLINE, false, errp);
}

bool opt_qmp(VLState *vl, const char *arg, QemuOpts *opts, Error **errp)
{
    return add_monitor(vl, arg, MONITOR_CONTROL, false, errp);
}

bool opt_qmp_pretty(VLState *vl, const char *arg, QemuOpts *opts, Error **errp)
{
    return add_monitor(vl, arg, MONITOR_CONTROL, true, errp);
}

bool opt_mon(VLState *vl, const char *arg, QemuOpts *opts, Error **errp)
{
    return monitor_init_opts(vl->ms, opts, errp);
}

bool opt_echr(VLState *vl, const char *arg, QemuOpts *opts, Error **errp)
{
    uint64_t code;

    if (qemu_strtou64(arg, &code) || code > 255) {
        error_setg(errp, "expects the code of a character, 0 to 255");
        return false;
    }
    vl->escape = code;
    return true;
}
