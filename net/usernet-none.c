/*
 * No user networks: built without them.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <stdlib.h>

#include "usernet.h"

bool usernet_wanted(char **argv)
{
    return false;
}

void usernet_main(UserNetSandboxFn *sandbox)
{
    abort();
}
