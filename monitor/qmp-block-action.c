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
    b->bitmap = qmp_str(args, "bitmap");
    b->bitmap_mode = qmp_str(args, "bitmap-mode");
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

static BlockAction *make_bitmap(json_t *args, BlockBitmapVerb verb, bool enabled)
{
    return block_action_bitmap(verb, &(BlockBitmapAction) {
        .node = qmp_str(args, "node"), .name = qmp_str(args, "name"), .enabled = enabled,
        .granularity = qmp_int(args, "granularity", 0),
        .persistent = qmp_bool(args, "persistent", false),
    });
}

static BlockAction *make_bitmap_add(json_t *args, Error **errp)
{
    return make_bitmap(args, BITMAP_ADD, !qmp_bool(args, "disabled", false));
}

static BlockAction *make_bitmap_remove(json_t *args, Error **errp)
{
    return make_bitmap(args, BITMAP_REMOVE, false);
}

static BlockAction *make_bitmap_clear(json_t *args, Error **errp)
{
    return make_bitmap(args, BITMAP_CLEAR, false);
}

static BlockAction *make_bitmap_enable(json_t *args, Error **errp)
{
    return make_bitmap(args, BITMAP_ENABLE, true);
}

static BlockAction *make_bitmap_disable(json_t *args, Error **errp)
{
    return make_bitmap(args, BITMAP_ENABLE, false);
}

bool qmp_bitmap_name(json_t *source, BlockBitmapName *from, Error **errp)
{
    if (json_is_string(source)) {
        *from = (BlockBitmapName) { .name = json_string_value(source) };
        return true;
    }
    *from = (BlockBitmapName) { qmp_str(source, "node"), qmp_str(source, "name") };
    if (!from->node || !from->name) {
        error_setg(errp, "Invalid parameter type for 'bitmaps', expected: string, or object with "
                   "'node' and 'name'");
        return false;
    }
    return true;
}

static BlockAction *make_bitmap_merge(json_t *args, Error **errp)
{
    json_t *sources = json_object_get(args, "bitmaps"), *source;
    unsigned n = json_array_size(sources);
    g_autofree BlockBitmapName *from = g_new0(BlockBitmapName, n + 1);
    size_t i;

    json_array_foreach(sources, i, source) {
        if (!qmp_bitmap_name(source, &from[i], errp)) {
            return NULL;
        }
    }
    return block_action_bitmap(BITMAP_MERGE, &(BlockBitmapAction) {
        .node = qmp_str(args, "node"), .name = qmp_str(args, "target"), .from = from, .n_from = n,
    });
}

static BlockAction *make_abort(json_t *args, Error **errp)
{
    return block_action_abort();
}

/* What is a command of its own, and an action of "transaction", too. */
#define ACTIONS(X) \
    X("blockdev-snapshot", qmp_blockdev_snapshot, make_snapshot) \
    X("blockdev-snapshot-sync", qmp_blockdev_snapshot_sync, make_snapshot_sync) \
    X("blockdev-backup", qmp_blockdev_backup, make_backup) \
    X("drive-backup", qmp_drive_backup, make_drive_backup) \
    X("block-dirty-bitmap-add", qmp_bitmap_add, make_bitmap_add) \
    X("block-dirty-bitmap-remove", qmp_bitmap_remove, make_bitmap_remove) \
    X("block-dirty-bitmap-clear", qmp_bitmap_clear, make_bitmap_clear) \
    X("block-dirty-bitmap-enable", qmp_bitmap_enable, make_bitmap_enable) \
    X("block-dirty-bitmap-disable", qmp_bitmap_disable, make_bitmap_disable) \
    X("block-dirty-bitmap-merge", qmp_bitmap_merge, make_bitmap_merge)

/* Alone --------------------------------------------------------------------------------- */

static json_t *run_one(json_t *args, MakeFn *make, Error **errp)
{
    BlockAction *action = make(args, errp);

    if (action) {
        block_transaction_one(action, errp);
    }
    return NULL;
}

#define COMMAND(type, fn, make) \
    json_t *fn(Monitor *mon, json_t *args, Error **errp) \
    { \
        return run_one(args, make, errp); \
    }
ACTIONS(COMMAND)

/* All of the nodes or none. */
json_t *qmp_blockdev_reopen(Monitor *mon, json_t *args, Error **errp)
{
    g_autoptr(GPtrArray) actions = g_ptr_array_new_with_free_func(g_free);
    g_autoptr(GPtrArray) opts = g_ptr_array_new_with_free_func((GDestroyNotify)qemu_opts_free);
    json_t *list = json_object_get(args, "options"), *item;
    size_t i;

    json_array_foreach(list, i, item) {
        QemuOpts *o = qemu_opts_from_object(item, errp);

        if (!o) {
            return NULL;
        }
        g_ptr_array_add(opts, o);
        g_ptr_array_add(actions, block_action_reopen(o));
    }
    block_transaction(actions, false, errp);
    return NULL;
}

/* Together -------------------------------------------------------------------------------- */

#define ROW(type, fn, make) { type, make },
static const struct { const char *type; MakeFn *make; } kinds[] = {
    ACTIONS(ROW)
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

/* What is done at once has no completion that could wait for others. */
static bool may_be_grouped(json_t *action, bool grouped, Error **errp)
{
    const char *type = qmp_str(action, "type");

    if (!grouped || g_str_has_suffix(type, "-backup") || !strcmp(type, "abort")) {
        return true;
    }
    error_setg(errp, "Action '%s' does not support Transaction property completion-mode = grouped",
               type);
    return false;
}

json_t *qmp_transaction(Monitor *mon, json_t *args, Error **errp)
{
    g_autoptr(GPtrArray) list = g_ptr_array_new_with_free_func(g_free);
    json_t *actions = json_object_get(args, "actions"), *action;
    json_t *properties = json_object_get(args, "properties");
    const char *mode = properties ? qmp_str(properties, "completion-mode") : NULL;
    bool grouped = mode && !strcmp(mode, "grouped");
    size_t i;

    json_array_foreach(actions, i, action) {
        BlockAction *a = may_be_grouped(action, grouped, errp) ? make_action(action, errp) : NULL;

        if (!a) {
            return NULL;
        }
        g_ptr_array_add(list, a);
    }
    block_transaction(list, grouped, errp);
    return NULL;
}
