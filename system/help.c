/*
 * The lists behind "-device help", "-object X,help" and their like, and behind the same words
 * at the monitor.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "sysemu/help.h"

#include <stdio.h>
#include <string.h>

#include "block/block.h"
#include "chardev/char.h"
#include "hw/qdev.h"
#include "net/net.h"
#include "opts.h"

static void list_object(GString *out, const ObjectClass *oc)
{
    g_string_append_printf(out, "  %s\n", oc->name);
}

static void list_chardev(GString *out, const ObjectClass *oc)
{
    if (!downcast(oc, const ChardevClass, oc)->internal) {
        list_object(out, oc);
    }
}

static void list_netdev(GString *out, const ObjectClass *oc)
{
    g_string_append_printf(out, "%s\n", oc->name);
}

static void list_device(GString *out, const ObjectClass *oc)
{
    const DeviceClass *dc = downcast(oc, const DeviceClass, oc);

    if (!dc->user_creatable) {
        return;
    }
    g_string_append_printf(out, "name \"%s\"", oc->name);
    if (dc->bus_type) {
        g_string_append_printf(out, ", bus %s", dc->bus_type);
    }
    if (oc->alias) {
        g_string_append_printf(out, ", alias \"%s\"", oc->alias);
    }
    if (oc->desc) {
        g_string_append_printf(out, ", desc \"%s\"", oc->desc);
    }
    g_string_append_c(out, '\n');
}

/* What each option makes, and the key that says which. */
static const struct HelpTable {
    const char *key;
    const ObjectClass *const *const *classes;
    const char *title;
    void (*list)(GString *out, const ObjectClass *oc);
} kinds[] = {
    [HELP_BLOCKDEV] = { "driver", block_classes, "Available block drivers:\n", list_object },
    [HELP_CHARDEV] = { "backend", chardev_classes, "Available chardev backend types: \n",
                       list_chardev },
    [HELP_DEVICE] = { "driver", device_classes, "", list_device },
    [HELP_NETDEV] = { "type", netdev_classes, "Available netdev backend types:\n",
                      list_netdev },
    [HELP_OBJECT] = { "qom-type", object_classes, "List of user creatable objects:\n",
                      list_object },
};

bool option_help(GString *out, HelpKind kind, QemuOpts *opts)
{
    const struct HelpTable *k = &kinds[kind];
    const char *name;
    const ObjectClass *oc;

    if (!qemu_opts_has_help(opts)) {
        return false;
    }
    name = qemu_opt_get(opts, k->key);
    oc = name ? object_class_by_name(k->classes, name) : NULL;
    if (oc) {
        object_class_help(out, oc);
        return true;
    }
    g_string_append(out, k->title);
    for (const ObjectClass *const *const *p = k->classes; *p; p++) {
        k->list(out, **p);
    }
    return true;
}

static bool print_help(HelpKind kind, QemuOpts *opts)
{
    g_autoptr(GString) text = g_string_new(NULL);

    return option_help(text, kind, opts) && printf("%s", text->str);
}

bool help_blockdev(const char *arg, QemuOpts *opts)
{
    return print_help(HELP_BLOCKDEV, opts);
}

bool help_drive(const char *arg, QemuOpts *opts)
{
    g_autoptr(GString) text = g_string_new(NULL);

    if (!qemu_opts_has_help(opts)) {
        return false;
    }
    object_class_help(text, &drive_class);
    printf("%s", text->str);
    return true;
}

/* What stands for a character device in one word: the short form of -chardev. */
bool help_dev(const char *arg, QemuOpts *opts)
{
    if (strcmp(arg, "help") && strcmp(arg, "?")) {
        return false;
    }
    printf("DEV is one of\n"
           "  none                     nothing\n"
           "  null                     what is written is lost\n"
           "  stdio                    this terminal\n"
           "  pty                      a new pseudo-terminal; its name is printed\n"
           "  file:PATH                a file that is written to\n"
           "  pipe:PATH                the FIFOs PATH.in and PATH.out, or the one PATH\n"
           "  unix:PATH[,server=on][,wait=off]\n"
           "  tcp:HOST:PORT[,server=on][,wait=off]\n"
           "  telnet:HOST:PORT[,server=on][,wait=off]\n"
           "  ringbuf                  memory, which ringbuf-read reads\n"
           "  chardev:ID               what -chardev has made\n"
           "  mon:DEV                  DEV shared with a monitor: Ctrl-A c switches (-serial)\n");
    return true;
}

bool help_chardev(const char *arg, QemuOpts *opts)
{
    return print_help(HELP_CHARDEV, opts);
}

bool help_device(const char *arg, QemuOpts *opts)
{
    return print_help(HELP_DEVICE, opts);
}

bool help_netdev(const char *arg, QemuOpts *opts)
{
    return print_help(HELP_NETDEV, opts);
}

bool help_object(const char *arg, QemuOpts *opts)
{
    return print_help(HELP_OBJECT, opts);
}
