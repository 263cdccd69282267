/*
 * Can a kernel use ACPI? Looks for the RSDP's signature where Linux has it.
 *
 * The file is hostile: counts and sizes are bounded, sums do not overflow.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <elf.h>
#include <errno.h>
#include <glib.h>
#include <string.h>
#include <unistd.h>

#include "hw/i386/x86-boot-internal.h"
#include "hw/loader.h"

#define SIGNATURE       "RSD PTR "
#define SIGNATURE_SIZE  8
/* Linux' read-only data has 1 to 10 MiB; more is not looked at. */
#define MAX_SEARCH      (64 * 1024 * 1024)
#define CHUNK_SIZE      (64 * 1024)
#define MAX_SECTIONS    4096
#define MAX_NAME_SIZE   16

/* Read-only data has few capital letters, so that memchr() makes long steps. */
static bool find_signature(const uint8_t *data, size_t len)
{
    const uint8_t *end = data + len;

    while ((size_t)(end - data) >= SIGNATURE_SIZE) {
        data = memchr(data, SIGNATURE[0], end - data - SIGNATURE_SIZE + 1);
        if (!data) {
            return false;
        }
        if (memcmp(data, SIGNATURE, SIGNATURE_SIZE) == 0) {
            return true;
        }
        data++;
    }
    return false;
}

static bool search(const X86KernelFile *file, uint64_t offset, uint64_t size)
{
    g_autofree uint8_t *buf = g_malloc(CHUNK_SIZE);
    uint64_t step = CHUNK_SIZE - (SIGNATURE_SIZE - 1);

    if (!x86_range_fits(offset, size, file->size)) {
        return false;
    }
    size = MIN(size, MAX_SEARCH);
    for (uint64_t pos = 0; pos < size; pos += step) {
        size_t len = MIN(CHUNK_SIZE, size - pos);

        if (!x86_kernel_read(file, offset + pos, buf, len, "kernel", NULL)) {
            return false;
        }
        if (find_signature(buf, len)) {
            return true;
        }
    }
    return false;
}

/* ELF ---------------------------------------------------------------------- */

/* The section called .rodata; false when there is none to be found. */
static bool find_rodata(const X86KernelFile *file, Elf64_Shdr *rodata)
{
    g_autofree Elf64_Shdr *table = NULL;
    Elf64_Shdr names;
    Elf64_Ehdr e;

    if (!x86_kernel_read(file, 0, &e, sizeof(e), "ELF header", NULL) ||
        e.e_ident[EI_CLASS] != ELFCLASS64 || e.e_shentsize != sizeof(Elf64_Shdr) ||
        e.e_shnum > MAX_SECTIONS || e.e_shstrndx >= e.e_shnum) {
        return false;
    }
    table = g_new(Elf64_Shdr, e.e_shnum);
    if (!x86_kernel_read(file, e.e_shoff, table, e.e_shnum * sizeof(*table), "sections", NULL)) {
        return false;
    }
    names = table[e.e_shstrndx];
    for (unsigned i = 0; i < e.e_shnum; i++) {
        char name[sizeof(".rodata")];

        if (table[i].sh_name < names.sh_size && x86_range_fits(names.sh_offset, names.sh_size,
                                                               file->size) &&
            x86_kernel_read(file, names.sh_offset + table[i].sh_name, name, sizeof(name),
                            "section name", NULL) &&
            memcmp(name, ".rodata", sizeof(name)) == 0) {
            *rodata = table[i];
            return true;
        }
    }
    return false;
}

/* ELF and flat kernels: read-only data where a section says that, else all that is loaded. */
static bool search_elf(const X86KernelFile *file, const X86Kernel *kernel)
{
    Elf64_Shdr rodata;

    if (find_rodata(file, &rodata)) {
        return search(file, rodata.sh_offset, rodata.sh_size);
    }
    for (unsigned i = 0; i < kernel->nr_segments; i++) {
        if (search(file, kernel->segments[i].offset, kernel->segments[i].size)) {
            return true;
        }
    }
    return false;
}

/*
 * What lies around the compressed kernel of a bzImage is the code that unpacks it, which looks for
 * the RSDP since Linux 5.1.
 */
static bool search_bzimage(const X86KernelFile *file, const X86Payload *payload)
{
    uint64_t end = payload->offset + payload->size;

    return search(file, end, file->size - end) || search(file, 0, payload->offset);
}

static bool probe(const X86KernelFile *file, X86BootProtocol protocol, const char **reason)
{
    g_autofree X86Kernel *kernel = g_new0(X86Kernel, 1);
    X86Payload payload;
    bool found;

    kernel->protocol = protocol;
    if (!x86_kernel_parse(file, kernel, NULL)) {
        *reason = "the kernel file cannot be loaded";
        return false;
    }
    if (kernel->protocol == X86_BOOT_PVH && !kernel->is_linux) {
        *reason = "the kernel is PVH and not Linux";
        return true;
    }
    found = x86_bzimage_payload(file, &payload) ? search_bzimage(file, &payload)
                                                : search_elf(file, kernel);
    *reason = found ? "the kernel looks for ACPI's tables"
                    : "the kernel does not look for ACPI's tables";
    return found;
}

bool x86_kernel_uses_acpi(const MachineState *ms, X86BootProtocol protocol, const char **reason)
{
    X86KernelFile file = { 0 };
    bool found;

    file.fd = load_file_open(ms->kernel_filename, &file.size);
    if (file.fd < 0) {
        *reason = "the kernel file cannot be loaded";
        return false;
    }
    found = probe(&file, protocol, reason);
    close(file.fd);
    return found;
}
