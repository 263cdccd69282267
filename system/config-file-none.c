/*
 * In place of -readconfig, where the program is without it.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "options.h"

bool options_read_config(VLState *vl, const char *filename, Error **errp)
{
    error_setg(errp, "-readconfig: this program reads no configuration files: use the options");
    return false;
}
