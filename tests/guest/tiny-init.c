/*
 * The init of the boot benchmark: restarts the machine at once, nothing else.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <sys/reboot.h>

int main(void)
{
    return reboot(RB_AUTOBOOT);
}
