/*
 * No -sandbox: built without libseccomp.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "confine.h"

bool sandbox_available(Error **errp)
{
    error_setg(errp, "-sandbox support is not enabled in this QEMU binary");
    return false;
}

bool sandbox_enter(unsigned sets, Error **errp)
{
    return sandbox_available(errp);
}
