/*
 * Options for testing and debugging.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "chardev/char.h"
#include "opts.h"
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

bool opt_gdb(VLState *vl, const char *arg, QemuOpts *opts, Error **errp)
{
    return gdbserver_start(vl->ms, arg, errp);
}

bool opt_s(VLState *vl, const char *arg, QemuOpts *opts, Error **errp)
{
    return gdbserver_start(vl->ms, "tcp::1234", errp);
}
