/*
 * The init of the boot benchmark: restarts the machine at once, nothing else.
 * With the argument "say" (on the kernel command line: "-- say") it first
 * prints a line, so that a test can count the boots.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <string.h>
#include <sys/reboot.h>
#include <unistd.h>

int main(int argc, char **argv)
{
    static const char line[] = "@@booted@@\n";

    if (argc > 1 && strcmp(argv[1], "say") == 0) {
        if (write(STDOUT_FILENO, line, sizeof(line) - 1) < 0) {
            return 1;
        }
    }
    return reboot(RB_AUTOBOOT);
}
