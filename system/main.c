/*
 * The entry point; everything else is in libqemu, where tests can link it.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "system/vl.h"

int main(int argc, char **argv)
{
    return qemu_main(argc, argv);
}
