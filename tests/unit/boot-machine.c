/*
 * A machine with RAM and nothing else, to load kernels into.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "boot-machine.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "hw/i386/microvm.h"
#include "hw/loader.h"

void boot_machine_init(BootMachine *m, uint64_t ram_size)
{
    MachineState *ms = &m->ms;
    uint64_t below = MIN(ram_size, MICROVM_LOWMEM_END);

    memset(m, 0, sizeof(*m));
    m->ram = mmap(NULL, ram_size, PROT_READ | PROT_WRITE,
                  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    g_assert_true(m->ram != MAP_FAILED);
    ms->ram_size = ram_size;
    memory_region_init(&ms->system_memory, "system", UINT64_MAX);
    address_space_init(&ms->memory, &ms->system_memory, "memory", false);
    memory_region_init_ram_ptr(&m->low, "low", below, m->ram);
    memory_region_add_subregion(&ms->system_memory, 0, &m->low);
    if (ram_size > below) {
        memory_region_init_ram_ptr(&m->high, "high", ram_size - below,
                                   m->ram + below);
        memory_region_add_subregion(&ms->system_memory, MICROVM_HIGHMEM_START,
                                    &m->high);
    }
    g_assert_true(address_space_seal(&ms->memory, NULL));
}

void boot_machine_cleanup(BootMachine *m)
{
    rom_free_all(&m->ms);
    munmap(m->ram, m->ms.ram_size);
    address_space_destroy(&m->ms.memory);
}

int boot_file(const void *data, size_t len, char name[64])
{
    int fd = memfd_create("kernel", MFD_CLOEXEC);

    g_assert_cmpint(fd, >=, 0);
    g_assert_cmpint(write(fd, data, len), ==, (ssize_t)len);
    snprintf(name, 64, "/proc/self/fd/%d", fd);
    return fd;
}

void boot_load(BootAttempt *a, uint64_t ram, const uint8_t *kernel, size_t len,
               const char *initrd, const char *cmdline)
{
    char kernel_name[64], initrd_name[64];
    int kfd = boot_file(kernel, len, kernel_name), ifd = -1;

    memset(a, 0, sizeof(*a));
    boot_machine_init(&a->m, ram);
    a->m.ms.kernel_filename = kernel_name;
    if (initrd) {
        ifd = boot_file(initrd, strlen(initrd), initrd_name);
        a->m.ms.initrd_filename = initrd_name;
    }
    a->ok = x86_load_linux(&a->m.ms, cmdline, BOOT_RSDP, &a->boot, &a->err);
    g_assert_cmpint(a->ok, ==, a->err == NULL);
    g_assert_cmphex(a->m.ram[KERNEL_CMDLINE_START], ==, 0);
    close(kfd);
    if (ifd >= 0) {
        close(ifd);
    }
    if (a->ok) {
        g_assert_true(rom_reset_all(&a->m.ms, true));
    } else {
        g_assert_null(strchr(error_get_pretty(a->err), '\n'));
        g_assert_nonnull(strstr(error_get_pretty(a->err), "/proc/self/fd/"));
    }
}

void boot_done(BootAttempt *a)
{
    boot_machine_cleanup(&a->m);
    error_free(a->err);
}
