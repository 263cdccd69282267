/*
 * The null chardev: output vanishes, input never comes.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "char-internal.h"

static bool null_open(Chardev *s, Error **errp)
{
    return true;
}

static int null_write(Chardev *s, const uint8_t *buf, int len)
{
    return len;
}

static const ChardevClass null_class = {
    .oc = {
        .name = "null",
        .desc = "output vanishes, input never comes",
        .parent = &chardev_base_class,
        .instance_size = sizeof(Chardev),
    },
    .open = null_open,
    .chr_write = null_write,
};
DEFINE_CLASS(chardev_null, &null_class.oc);
