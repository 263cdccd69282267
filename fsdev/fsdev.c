/*
 * -fsdev: the folders that guests share, by their ids.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "fs-internal.h"

#include <string.h>

#include "qemu/cutils.h"

static GPtrArray *exports;      /* of FsExport; NULL: none yet */

static const char *const model_names[] = {
    "passthrough", "none", "mapped-xattr", "mapped-file", "mapped", NULL
};
static const char *const multidevs_names[] = { "warn", "remap", "forbid", NULL };

static const Property fsdev_props[] = {
    DEFINE_PROP_STRING("path", FsExport, path, NULL, "the folder"),
    DEFINE_PROP_ENUM("security_model", FsExport, model, model_names, NULL,
                     "where the guest's owners and modes are kept"),
    DEFINE_PROP_BOOL("readonly", FsExport, readonly, "off", "guests change nothing"),
    DEFINE_PROP_ENUM("multidevs", FsExport, multidevs, multidevs_names, "warn",
                     "files of several devices"),
    DEFINE_PROP_STRING("fmode", FsExport, fmode_text, NULL,
                       "mapped: mode of new files on the host, octal (default 0600)"),
    DEFINE_PROP_STRING("dmode", FsExport, dmode_text, NULL,
                       "mapped: mode of new folders on the host, octal (default 0700)"),
    DEFINE_PROP_STRING("writeout", FsExport, writeout, NULL,
                       "immediate: what is written is on its way to the disk"),
    DEFINE_PROP_END
};

static void fsdev_finalize(Object *obj)
{
    FsExport *fs = downcast(obj, FsExport, obj);

    fs_close_root(fs);
    if (fs->devs) {
        g_hash_table_unref(fs->devs);
    }
    g_mutex_clear(&fs->devs_lock);
}

static void fsdev_init(Object *obj)
{
    FsExport *fs = downcast(obj, FsExport, obj);

    fs->root = fs->proc = -1;
    g_mutex_init(&fs->devs_lock);
}

static const ObjectClass fsdev_local_class = {
    .name = "local",
    .desc = "a folder of the host",
    .instance_size = sizeof(FsExport),
    .props = fsdev_props,
    .init = fsdev_init,
    .finalize = fsdev_finalize,
};

static bool parse_mode(const FsExport *fs, const char *name, const char *text, mode_t def,
                       mode_t *mode, Error **errp)
{
    char *end;
    uint64_t value;

    *mode = def;
    if (!text) {
        return true;
    }
    if (!fs_is_mapped(fs)) {
        error_setg(errp, "%s is only valid for mapped security modes", name);
        return false;
    }
    value = g_ascii_strtoull(text, &end, 8);
    if (!*text || *end || value > 0777) {
        error_setg(errp, "invalid %s '%s': an octal number up to 0777 is wanted", name, text);
        return false;
    }
    *mode = value;
    return true;
}

static bool check_options(FsExport *fs, QemuOpts *opts, Error **errp)
{
    if (!fs->path || !*fs->path) {
        error_setg(errp, "path property not set");
        return false;
    }
    if (!qemu_opt_get(opts, "security_model")) {
        error_setg(errp, "security_model property not set");
        error_append_hint(errp, "Valid options are: security_model="
                          "passthrough|mapped-xattr|mapped-file|none\n");
        return false;
    }
    if (fs->writeout && strcmp(fs->writeout, "immediate")) {
        error_setg(errp, "invalid writeout '%s': immediate is the only one", fs->writeout);
        return false;
    }
    if (fs->model > FS_MAPPED_FILE) {
        fs->model = FS_MAPPED_XATTR;    /* "mapped" */
    }
    return parse_mode(fs, "fmode", fs->fmode_text, 0600, &fs->fmode, errp) &&
           parse_mode(fs, "dmode", fs->dmode_text, 0700, &fs->dmode, errp);
}

static bool check_driver(const char *driver, Error **errp)
{
    if (!driver) {
        error_setg(errp, "no driver: the first word is \"local\"");
        return false;
    }
    if (!strcmp(driver, "synth") || !strcmp(driver, "proxy")) {
        error_setg(errp, "fsdriver '%s' is not supported: use local", driver);
        return false;
    }
    if (strcmp(driver, "local")) {
        error_setg(errp, "fsdriver %s not found", driver);
        return false;
    }
    return true;
}

bool fsdev_add(QemuOpts *opts, Error **errp)
{
    g_autofree char *driver = qemu_opt_take(opts, "fsdriver");
    const char *id = qemu_opt_get(opts, "id");
    FsExport *fs;

    if (!check_driver(driver, errp)) {
        return false;
    }
    if (!id) {
        error_setg(errp, "No id specified");
        return false;
    }
    if (!qemu_check_id(id, errp)) {
        return false;
    }
    if (fsdev_find(id)) {
        error_setg(errp, "Duplicate ID '%s' for fsdev", id);
        return false;
    }
    fs = downcast(object_new(&fsdev_local_class, id), FsExport, obj);
    if (!object_set_opts(&fs->obj, opts, errp) || !check_options(fs, opts, errp) ||
        !fs_open_root(fs, errp)) {
        object_free(&fs->obj);
        return false;
    }
    fs->devs = g_hash_table_new_full(g_bytes_hash, g_bytes_equal, (GDestroyNotify)g_bytes_unref,
                                     NULL);
    fs_claim_first_number(fs);
    if (!exports) {
        exports = g_ptr_array_new();
    }
    g_ptr_array_add(exports, fs);
    return true;
}

FsExport *fsdev_find(const char *id)
{
    for (guint i = 0; exports && i < exports->len; i++) {
        FsExport *fs = g_ptr_array_index(exports, i);

        if (!strcmp(fs->obj.id, id)) {
            return fs;
        }
    }
    return NULL;
}

unsigned fsdev_count(void)
{
    return exports ? exports->len : 0;
}

char *fsdev_help(void)
{
    GString *text = g_string_new(NULL);

    object_class_help(text, &fsdev_local_class);
    return g_string_free(text, FALSE);
}
