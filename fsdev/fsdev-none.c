/*
 * -fsdev of a program that cannot share folders this way.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "fsdev/fsdev.h"

bool fsdev_add(QemuOpts *opts, Error **errp)
{
    error_setg(errp, "this program shares no folders by 9p");
    return false;
}

char *fsdev_help(void)
{
    return g_strdup("This program shares no folders by 9p.\n");
}
