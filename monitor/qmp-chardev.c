/*
 * QMP about character devices.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <string.h>

#include "qemu/fd-param.h"
#include "qmp.h"

/* QMP names a few members differently from -chardev. */
static const char *chardev_key(const char *key)
{
    return !strcmp(key, "out") || !strcmp(key, "device") ? "path" :
           !strcmp(key, "in") ? "input-path" : !strcmp(key, "str") ? "fd" : key;
}

/* Flatten "data" of chardev-add, whose addr is {type, data}. */
static void chardev_opts(QemuOpts *opts, json_t *data)
{
    const char *key;
    json_t *v;

    json_object_foreach(data, key, v) {
        if (json_is_object(v)) {
            chardev_opts(opts, json_object_get(v, "data"));
        } else {
            g_autofree char *text = qemu_json_text(v);

            qemu_opt_append(opts, chardev_key(key), text);
        }
    }
}

json_t *qmp_chardev_add(Monitor *mon, json_t *args, Error **errp)
{
    json_t *backend = json_object_get(args, "backend");
    g_autoptr(QemuOpts) opts = qemu_opts_new();
    Chardev *chr;

    qemu_opt_append(opts, "backend", qmp_str(backend, "type"));
    qemu_opt_append(opts, "id", qmp_str(args, "id"));
    /* A socket here waits for nobody: the main loop must go on. */
    if (!strcmp(qmp_str(backend, "type"), "socket")) {
        json_t *data = json_object_get(backend, "data");

        if (!json_object_get(data, "server")) {
            qemu_opt_append(opts, "server", "on");
        }
        if (qmp_bool(data, "server", true)) {
            qemu_opt_append(opts, "wait", "off");
        }
    }
    if (qemu_chr_find(qmp_str(args, "id"))) {
        error_setg(errp, "Chardev with id '%s' already exists", qmp_str(args, "id"));
        return NULL;
    }
    chardev_opts(opts, json_object_get(backend, "data"));
    fd_names_begin(mon->fds);
    chr = qemu_chr_new_from_opts(opts, errp);
    fd_names_end(chr);
    if (!chr) {
        error_prepend(errp, "Failed to add chardev '%s': ", qmp_str(args, "id"));
        return NULL;
    }
    if (chr->filename && g_str_has_prefix(chr->filename, "pty:")) {
        return json_pack("{s:s}", "pty", chr->filename + 4);
    }
    return NULL;
}

json_t *qmp_chardev_remove(Monitor *mon, json_t *args, Error **errp)
{
    const char *id = qmp_str(args, "id");
    Chardev *chr = qemu_chr_find(id);

    if (!chr) {
        error_setg(errp, "Chardev '%s' not found", id);
        return NULL;
    }
    qemu_chr_remove(chr, errp);
    return NULL;
}

/* Up to size of the oldest bytes; NULL with errp set. */
static GByteArray *ringbuf_take(const char *id, int64_t size, Error **errp)
{
    Chardev *chr = qemu_chr_find(id);
    g_autoptr(GByteArray) data = g_byte_array_new();
    uint8_t buf[4096];
    ssize_t n = 0;

    if (!chr) {
        error_setg(errp, "Device '%s' not found", id);
        return NULL;
    }
    if (size <= 0) {
        error_setg(errp, "size must be greater than zero");
        return NULL;
    }
    while (size > 0 &&
           (n = qemu_chr_ringbuf_read(chr, buf, MIN((int64_t)sizeof(buf), size))) > 0) {
        g_byte_array_append(data, buf, n);
        size -= n;
    }
    if (n < 0) {
        error_setg(errp, "%s is not a ringbuf device", id);
        return NULL;
    }
    return g_steal_pointer(&data);
}

/* What is no UTF-8 is lost in the format of that name. */
json_t *qmp_ringbuf_read(Monitor *mon, json_t *args, Error **errp)
{
    g_autoptr(GByteArray) data = ringbuf_take(qmp_str(args, "device"),
                                              qmp_int(args, "size", 0), errp);
    g_autofree char *text = NULL;

    if (!data) {
        return NULL;
    }
    if (!g_strcmp0(qmp_str(args, "format"), "base64")) {
        text = g_base64_encode(data->data, data->len);
    } else {
        text = data->len ? g_utf8_make_valid((char *)data->data, data->len) : g_strdup("");
    }
    return json_string(text);
}
