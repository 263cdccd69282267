/*
 * QMP about what is done to disks at one moment: snapshots, backups, transactions.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <string.h>

#include "qmp.h"

/* A command's action; args have been checked. NULL with errp set. */
typedef BlockAction *MakeFn(json_t *args, Error **errp);

static bool is_existing(json_t *args)
{
    const char *mode = qmp_str(args, "mode");

    return mode && !strcmp(mode, "existing");
}

static BlockAction *make_snapshot(json_t *args, Error **errp)
{
    return block_action_snapshot(&(BlockSnapshot) {
        .node = qmp_str(args, "node"), .overlay = qmp_str(args, "overlay"),
    });
}

static BlockAction *make_snapshot_sync(json_t *args, Error **errp)
{
    const char *device = qmp_str(args, "device"), *format = qmp_str(args, "format");
    BlockSnapshot sn = {
        .node = device ? device : qmp_str(args, "node-name"),
        .file = qmp_str(args, "snapshot-file"),
        .overlay_name = qmp_str(args, "snapshot-node-name"), .existing = is_existing(args),
    };

    if (!sn.node) {
        error_setg(errp, "Need 'device' or 'node-name'");
    } else if (format && strcmp(format, "qcow2")) {
        error_setg(errp, "Format '%s' does not support backing files", format);
    } else {
        return block_action_snapshot(&sn);
    }
    return NULL;
}

static BlockAction *make_backup_of(json_t *args, BlockBackupOptions *b, Error **errp)
{
    BlockJobOptions o;

    b->device = qmp_str(args, "device");
    b->sync = qmp_str(args, "sync");
    if (qmp_bool(args, "compress", false)) {
        error_setg(errp, "Parameter 'compress' is not supported");
        return NULL;
    }
    return qmp_job_options(args, &o, errp) ? block_action_backup(b, &o) : NULL;
}

static BlockAction *make_backup(json_t *args, Error **errp)
{
    BlockBackupOptions b = { .target = qmp_str(args, "target") };

    return make_backup_of(args, &b, errp);
}

static BlockAction *make_drive_backup(json_t *args, Error **errp)
{
    BlockBackupOptions b = {
        .file = qmp_str(args, "target"), .format = qmp_str(args, "format"),
        .existing = is_existing(args),
    };

    return make_backup_of(args, &b, errp);
}

static BlockAction *make_abort(json_t *args, Error **errp)
{
    return block_action_abort();
}

/* Alone --------------------------------------------------------------------------------- */

static json_t *run_one(json_t *args, MakeFn *make, Error **errp)
{
    BlockAction *action = make(args, errp);

    if (action) {
        block_transaction_one(action, errp);
    }
    return NULL;
}

json_t *qmp_blockdev_snapshot(Monitor *mon, json_t *args, Error **errp)
{
    return run_one(args, make_snapshot, errp);
}

json_t *qmp_blockdev_snapshot_sync(Monitor *mon, json_t *args, Error **errp)
{
    return run_one(args, make_snapshot_sync, errp);
}

json_t *qmp_blockdev_backup(Monitor *mon, json_t *args, Error **errp)
{
    return run_one(args, make_backup, errp);
}

json_t *qmp_drive_backup(Monitor *mon, json_t *args, Error **errp)
{
    return run_one(args, make_drive_backup, errp);
}

/* Together -------------------------------------------------------------------------------- */

static const struct { const char *type; MakeFn *make; } kinds[] = {
    { "blockdev-snapshot", make_snapshot }, { "blockdev-snapshot-sync", make_snapshot_sync },
    { "blockdev-backup", make_backup }, { "drive-backup", make_drive_backup },
    { "abort", make_abort },
};

static BlockAction *make_action(json_t *action, Error **errp)
{
    const char *type = qmp_str(action, "type");
    json_t *data = json_object_get(action, "data");

    unsigned i = 0;

    while (strcmp(kinds[i].type, type)) {
        i++;                    /* the table of commands knows no other types */
    }
    return kinds[i].make(data, errp);
}

json_t *qmp_transaction(Monitor *mon, json_t *args, Error **errp)
{
    g_autoptr(GPtrArray) list = g_ptr_array_new_with_free_func(g_free);
    json_t *actions = json_object_get(args, "actions"), *action;
    json_t *properties = json_object_get(args, "properties");
    const char *mode = properties ? qmp_str(properties, "completion-mode") : NULL;
    size_t i;

    if (mode && strcmp(mode, "individual")) {
        error_setg(errp, "completion-mode '%s' is not supported", mode);
        return NULL;
    }
    json_array_foreach(actions, i, action) {
        BlockAction *a = make_action(action, errp);

        if (!a) {
            return NULL;
        }
        g_ptr_array_add(list, a);
    }
    block_transaction(list, errp);
    return NULL;
}
