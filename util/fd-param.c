/*
 * Descriptors as values of options.
 *
 * Who opens one owns it, and closes it when it fails later on. So that a name outlives a
 * command that fails, a name gives duplicates.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "qemu/fd-param.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <unistd.h>

#include "qemu/cutils.h"

/* Of the command that runs. */
static struct {
    GHashTable *names;
    GHashTable *used;       /* name (of names) -> duplicate + 1 */
} fd_names;

static int open_named(const char *name, Error **errp)
{
    int named = fd_names.names ?
                GPOINTER_TO_INT(g_hash_table_lookup(fd_names.names, name)) - 1 : -1;
    int fd;

    if (!fd_names.names) {
        error_setg(errp, "Invalid file descriptor number '%s'", name);
        return -1;
    }
    if (named < 0 || g_hash_table_lookup(fd_names.used, name)) {
        error_setg(errp, "File descriptor named '%s' has not been found", name);
        return -1;
    }
    fd = fcntl(named, F_DUPFD_CLOEXEC, 0);
    if (fd < 0) {
        error_setg_errno(errp, errno, "File descriptor named '%s' cannot be duplicated", name);
        return -1;
    }
    g_hash_table_insert(fd_names.used, g_strdup(name), GINT_TO_POINTER(fd + 1));
    return fd;
}

int fd_param_open(const char *str, Error **errp)
{
    uint64_t num;

    if (!g_ascii_isdigit(*str)) {
        return open_named(str, errp);
    }
    if (qemu_strtou64(str, &num) || num > INT_MAX) {
        error_setg(errp, "Invalid file descriptor number '%s'", str);
        return -1;
    }
    return num;
}

static gboolean is_duplicate(gpointer name, gpointer value, gpointer fd)
{
    return value == fd;
}

void fd_param_put(int fd)
{
    if (fd_names.used && g_hash_table_foreach_remove(fd_names.used, is_duplicate,
                                                     GINT_TO_POINTER(fd + 1))) {
        close(fd);
    }
}

void fd_names_begin(GHashTable *names)
{
    fd_names.names = names;
    fd_names.used = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
}

void fd_names_end(bool succeeded)
{
    GHashTableIter iter;
    gpointer name;

    g_hash_table_iter_init(&iter, fd_names.used);
    while (succeeded && g_hash_table_iter_next(&iter, &name, NULL)) {
        g_hash_table_remove(fd_names.names, name);
    }
    g_clear_pointer(&fd_names.used, g_hash_table_unref);
    fd_names.names = NULL;
}
