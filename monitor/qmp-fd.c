/*
 * QMP about descriptors that clients hand over: by name, and in sets.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <unistd.h>

#include "qemu/fdset.h"
#include "qmp.h"

/* The descriptor that came with the command, or -1 with errp set. */
static int passed_fd(Monitor *mon, Error **errp)
{
    int fd = mon->internal ? -1 : qemu_chr_fe_get_msgfd(&mon->chr);

    if (fd < 0) {
        error_setg(errp, "No file descriptor supplied via SCM_RIGHTS");
    }
    return fd;
}

json_t *qmp_getfd(Monitor *mon, json_t *args, Error **errp)
{
    const char *fdname = qmp_str(args, "fdname");
    int fd = passed_fd(mon, errp);

    if (fd < 0) {
        return NULL;
    }
    if (g_ascii_isdigit(fdname[0])) {
        close(fd);
        error_setg(errp, "Parameter 'fdname' expects a name not starting with a digit");
        return NULL;
    }
    monitor_add_fd(mon, fdname, fd);
    return NULL;
}

json_t *qmp_closefd(Monitor *mon, json_t *args, Error **errp)
{
    const char *fdname = qmp_str(args, "fdname");
    int fd = monitor_take_fd(mon, fdname);

    if (fd < 0) {
        error_setg(errp, "File descriptor named '%s' not found", fdname);
    } else {
        close(fd);
    }
    return NULL;
}

json_t *qmp_add_fd(Monitor *mon, json_t *args, Error **errp)
{
    int64_t set = qmp_int(args, "fdset-id", -1);
    int fd = passed_fd(mon, errp);

    if (fd < 0) {
        return NULL;
    }
    if (set < 0 && json_object_get(args, "fdset-id")) {
        close(fd);
        error_setg(errp, "Parameter 'fdset-id' expects a non-negative value");
        return NULL;
    }
    set = fdset_add(set, fd, qmp_str(args, "opaque"));
    return json_pack("{s:I,s:i}", "fdset-id", (json_int_t)set, "fd", fd);
}

json_t *qmp_remove_fd(Monitor *mon, json_t *args, Error **errp)
{
    int64_t set = qmp_int(args, "fdset-id", -1), fd = qmp_int(args, "fd", -1);
    bool one = json_object_get(args, "fd");

    if (set < 0 || (one && (fd < 0 || fd > INT_MAX)) || !fdset_remove(set, fd)) {
        g_autofree char *which = one ? g_strdup_printf(", fd:%" PRId64, fd) : g_strdup("");

        error_setg(errp, "File descriptor named 'fdset-id:%" PRId64 "%s' not found", set, which);
    }
    return NULL;
}

json_t *qmp_query_fdsets(Monitor *mon, json_t *args, Error **errp)
{
    const GArray *members = fdset_members();
    json_t *sets = json_array(), *fds = NULL;
    int64_t set = -1;

    for (guint i = 0; members && i < members->len; i++) {
        const FDSetMember *m = &g_array_index(members, FDSetMember, i);
        json_t *item = json_pack("{s:i}", "fd", m->fd);

        if (m->opaque) {
            json_object_set_new(item, "opaque", json_string(m->opaque));
        }
        if (m->set != set) {
            set = m->set;
            fds = json_array();
            json_array_append_new(sets, json_pack("{s:I,s:o}", "fdset-id", (json_int_t)set,
                                                  "fds", fds));
        }
        json_array_append_new(fds, item);
    }
    return sets;
}
