/*
 * The build without unpacking of kernels: they do it themselves.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <errno.h>

#include "hw/i386/x86-boot-internal.h"

int x86_unpack(int fd, const X86Payload *payload, uint64_t *size)
{
    return -ENOTSUP;
}
