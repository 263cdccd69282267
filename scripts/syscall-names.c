/*
 * Makes the table of system calls' names, for the message about one that was refused: C source on
 * standard output. Runs when the product is built.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <seccomp.h>
#include <stdio.h>
#include <stdlib.h>

#include "qemu/confine.h"

int main(void)
{
    printf("extern const char syscall_names[];\nconst char syscall_names[] =\n");
    for (int nr = 0; nr < SYSCALL_NAMES; nr++) {
        char *name = seccomp_syscall_resolve_num_arch(SCMP_ARCH_NATIVE, nr);

        printf("    \"%s\\0\"\n", name ? name : "");
        free(name);
    }
    printf("    ;\n");
    return fflush(stdout) ? 1 : 0;
}
