/*
 * Options for what firmware would tell a guest: SMBIOS tables, fw_cfg files.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <string.h>

#include "hw/loader.h"
#include "hw/nvram/fw_cfg.h"
#include "hw/smbios/smbios.h"
#include "opts.h"

bool opt_smbios(VLState *vl, const char *arg, QemuOpts *opts, Error **errp)
{
    if (!vl->ms->smbios) {
        vl->ms->smbios = smbios_options_new();
    }
    if (!smbios_options_add(vl->ms->smbios, opts, errp)) {
        g_clear_pointer(&vl->ms->smbios, smbios_options_free);
        return false;
    }
    return true;
}

static void free_item(gpointer data)
{
    FWCfgItem *item = data;

    g_free(item->name);
    g_bytes_unref(item->data);
    g_free(item);
}

/* string= without its final NUL, or a file. */
static GBytes *fw_cfg_data(QemuOpts *opts, Error **errp)
{
    const char *file = qemu_opt_get(opts, "file"), *string = qemu_opt_get(opts, "string");
    GBytes *data;

    if (!file == !string) {
        error_setg(errp, "name and one of file= and string= are wanted");
        return NULL;
    }
    if (string) {
        return g_bytes_new(string, strlen(string));
    }
    data = load_file_bytes(file, FW_CFG_MAX_SIZE, errp);
    if (!data) {
        error_prepend(errp, "can't load %s: ", file);
    }
    return data;
}

bool opt_fw_cfg(VLState *vl, const char *arg, QemuOpts *opts, Error **errp)
{
    const char *name = qemu_opt_get(opts, "name");
    MachineState *ms = vl->ms;
    GBytes *data = fw_cfg_data(opts, errp);
    FWCfgItem *item;

    if (!data) {
        return false;
    }
    if (!name || !*name || strlen(name) > FW_CFG_MAX_NAME) {
        error_setg(errp, name && *name ? "name too long (max. %d char)"
                                       : "name and one of file= and string= are wanted",
                   FW_CFG_MAX_NAME);
        g_bytes_unref(data);
        return false;
    }
    if (!g_str_has_prefix(name, "opt/")) {
        warn_report("externally provided fw_cfg item names should be prefixed with \"opt/\"");
    }
    item = g_new(FWCfgItem, 1);
    *item = (FWCfgItem) { g_strdup(name), data };
    if (!ms->fw_cfg_items) {
        ms->fw_cfg_items = g_ptr_array_new_with_free_func(free_item);
    }
    g_ptr_array_add(ms->fw_cfg_items, item);
    return qemu_opts_check_unused(opts, errp);
}
