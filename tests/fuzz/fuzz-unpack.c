/*
 * Fuzz target: what a bzImage has inside, in all formats that Linux is packed in.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <glib.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fuzz.h"
#include "hw/i386/x86-boot-internal.h"

#define LIMIT (1u << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static int fd = -1;
    X86Payload payload = { .size = size, .limit = LIMIT };
    uint64_t unpacked = 0;
    struct stat st;
    int out;

    fd = fd < 0 ? memfd_create("payload", MFD_CLOEXEC) : fd;
    if (fd < 0 || ftruncate(fd, size) < 0 || pwrite(fd, data, size, 0) != (ssize_t)size) {
        abort();
    }
    out = x86_unpack(fd, &payload, &unpacked);
    if (out >= 0) {
        if (unpacked > LIMIT || fstat(out, &st) < 0 || (uint64_t)st.st_size < unpacked) {
            abort();
        }
        close(out);
    }
    return 0;
}
