/*
 * The entry point; everything else is in libqemu, where tests can link it.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "system/vl.h"

#include "confine.h"
#include "net/usernet.h"

int main(int argc, char **argv)
{
    if (usernet_wanted(argv)) {
        usernet_main(sandbox_enter);
    }
    return qemu_main(argc, argv);
}
