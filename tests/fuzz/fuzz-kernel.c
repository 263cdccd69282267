/*
 * Fuzz target: kernel files. What the parsers accept must make sense.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <glib.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "fuzz.h"
#include "hw/i386/x86-boot-internal.h"

static void check_kernel(const X86Kernel *k, uint64_t file_size)
{
    bool entry_seen = false;

    for (unsigned i = 0; i < k->nr_segments; i++) {
        const RomSegment *s = &k->segments[i];

        if (s->size > s->mem_size || s->addr + s->mem_size <= s->addr ||
            !x86_range_fits(s->offset, s->size, file_size)) {
            abort();
        }
        entry_seen |= k->entry >= s->addr && k->entry - s->addr < s->mem_size;
    }
    if (!entry_seen || k->protocol == X86_BOOT_NONE || k->protocol > X86_BOOT_MULTIBOOT) {
        abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static int fd = -1;
    X86KernelFile file = { .size = size };
    g_autofree X86Kernel *k = g_new0(X86Kernel, 1);
    g_autoptr(Error) err = NULL;
    bool ok;

    if (fd < 0) {
        fd = memfd_create("kernel", MFD_CLOEXEC);
    }
    if (fd < 0 || ftruncate(fd, size) < 0 ||
        pwrite(fd, data, size, 0) != (ssize_t)size) {
        abort();
    }
    file.fd = fd;
    ok = x86_kernel_parse(&file, k, &err);
    if (ok == (err != NULL)) {
        abort();
    }
    if (ok) {
        check_kernel(k, size);
        x86_place_initrd(k, 1ULL << 30, size);
    }
    return 0;
}
