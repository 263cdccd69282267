/*
 * What a kernel finds at its start: memory and registers.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <glib.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "boot-machine.h"
#include "hw/i386/microvm.h"
#include "hw/i386/x86-boot-internal.h"
#include "hw/loader.h"
#include "kernel-image.h"
#include "qemu/cutils.h"
#include "qemu/le.h"

#define RAM_SIZE (64 * MiB)

static uint64_t rd(const uint8_t *p, unsigned size)
{
    uint64_t value = 0;

    memcpy(&value, p, size);
    return value;
}

/* Good files --------------------------------------------------------------- */

static void check_segments(const BootAttempt *a, const uint8_t *image)
{
    g_assert_cmpmem(a->m.ram + IMG_TEXT_ADDR, IMG_ELF_TEXT_SIZE,
                    image + IMG_ELF_TEXT, IMG_ELF_TEXT_SIZE);
    g_assert_cmpmem(a->m.ram + IMG_DATA_ADDR, IMG_ELF_DATA_SIZE,
                    image + IMG_ELF_DATA, IMG_ELF_DATA_SIZE);
}

static void check_page_tables(const uint8_t *ram, uint64_t cr3)
{
    uint64_t pml4 = rd(ram + cr3, 8);
    uint64_t pdpt = rd(ram + (pml4 & ~0xfffULL), 8);

    g_assert_cmphex(pml4 & 3, ==, 3);
    g_assert_cmphex(pdpt & 3, ==, 3);
    for (unsigned i = 0; i < 512; i++) {
        g_assert_cmphex(rd(ram + (pdpt & ~0xfffULL) + 8 * i, 8), ==,
                        i * 0x200000ULL | 0x83);
    }
}

static void check_boot_params(const BootAttempt *a, uint64_t initrd_size)
{
    const uint8_t *bp = a->m.ram + a->boot.info;
    uint64_t initrd = rd(bp + 0x218, 4) | rd(bp + 0xc0, 4) << 32;

    g_assert_cmphex(a->boot.info, ==, BOOT_PARAMS_START);
    g_assert_cmphex(bp[0x1ef], ==, 0);                  /* sentinel */
    g_assert_cmphex(rd(bp + 0x1fe, 2), ==, 0xaa55);
    g_assert_cmphex(rd(bp + 0x70, 8), ==, BOOT_RSDP);   /* acpi_rsdp_addr */
    g_assert_cmpmem(bp + 0x202, 4, "HdrS", 4);
    g_assert_cmphex(bp[0x210], ==, 0xff);               /* type_of_loader */
    g_assert_cmphex(bp[0x211] & 1, ==, 1);
    g_assert_cmphex(rd(bp + 0x228, 4), ==, KERNEL_CMDLINE_START);
    g_assert_cmphex(rd(bp + 0x21c, 4), ==, initrd_size);
    if (initrd_size) {
        g_assert_cmphex(initrd & 0xfff, ==, 0);
        g_assert_cmphex(initrd, ==,
                        QEMU_ALIGN_DOWN(RAM_SIZE - initrd_size, 4096));
    }
    g_assert_cmpuint(bp[0x1e8], ==, 3);                 /* e820_entries */
    g_assert_cmphex(rd(bp + 0x2d0 + 40, 8), ==, 0x100000);
    g_assert_cmphex(rd(bp + 0x2d0 + 48, 8), ==, RAM_SIZE - 0x100000);
    g_assert_cmpuint(rd(bp + 0x2d0 + 56, 4), ==, 1);
}

static void test_elf64(void)
{
    uint8_t image[IMG_MAX_SIZE];
    size_t len = image_build(IMAGE_ELF64, image);
    BootAttempt a;

    boot_load(&a, RAM_SIZE, image, len, "initrd data", "console=ttyS0 quiet");
    g_assert_true(a.ok);
    g_assert_cmpint(a.boot.protocol, ==, X86_BOOT_LINUX64);
    g_assert_cmphex(a.boot.entry, ==, IMG_ELF_ENTRY);
    check_segments(&a, image);
    check_page_tables(a.m.ram, a.boot.cr3);
    check_boot_params(&a, 11);
    /* This kernel has no header to say its limit in: the size of the line (with NUL). */
    g_assert_cmpuint(rd(a.m.ram + a.boot.info + 0x238, 4), ==, 20);
    g_assert_cmpstr((char *)a.m.ram + KERNEL_CMDLINE_START, ==,
                    "console=ttyS0 quiet");
    g_assert_cmpmem(a.m.ram + RAM_SIZE - 4096, 11, "initrd data", 11);

    /* A second boot finds everything new, bss included. */
    memset(a.m.ram + IMG_DATA_ADDR, 0x55, IMG_DATA_MEM);
    memset(a.m.ram + RAM_SIZE - 4096, 0x55, 11);
    g_assert_true(rom_reset_all(&a.m.ms, false));
    check_segments(&a, image);
    for (unsigned i = IMG_ELF_DATA_SIZE; i < IMG_DATA_MEM; i++) {
        g_assert_cmphex(a.m.ram[IMG_DATA_ADDR + i], ==, 0);
    }
    g_assert_cmpmem(a.m.ram + RAM_SIZE - 4096, 11, "initrd data", 11);
    boot_done(&a);
}

static void check_start_info(const BootAttempt *a, uint64_t initrd_size)
{
    const uint8_t *si = a->m.ram + a->boot.info;
    const uint8_t *map = a->m.ram + rd(si + 0x28, 8);

    g_assert_cmphex(a->boot.info, ==, START_INFO_START);
    g_assert_cmphex(rd(si, 4), ==, 0x336ec578);
    g_assert_cmpuint(rd(si + 4, 4), ==, 1);
    g_assert_cmphex(rd(si + 0x18, 8), ==, KERNEL_CMDLINE_START);
    g_assert_cmphex(rd(si + 0x20, 8), ==, BOOT_RSDP);   /* rsdp_paddr */
    g_assert_cmpuint(rd(si + 0x0c, 4), ==, initrd_size ? 1 : 0);
    if (initrd_size) {
        const uint8_t *mod = a->m.ram + rd(si + 0x10, 8);

        g_assert_cmphex(rd(mod, 8), ==, RAM_SIZE - 4096);
        g_assert_cmpuint(rd(mod + 8, 8), ==, initrd_size);
    }
    g_assert_cmpuint(rd(si + 0x30, 4), ==, 3);
    g_assert_cmphex(rd(map + 24, 8), ==, MPTABLE_START);
    g_assert_cmpuint(rd(map + 24 + 16, 4), ==, 2);
    g_assert_cmphex(rd(map + 48 + 8, 8), ==, RAM_SIZE - 0x100000);
}

static void test_pvh(gconstpointer data)
{
    ImageKind kind = GPOINTER_TO_INT(data);
    uint8_t image[IMG_MAX_SIZE];
    size_t len = image_build(kind, image);
    BootAttempt a;

    boot_load(&a, RAM_SIZE, image, len, NULL, "");
    g_assert_true(a.ok);
    g_assert_cmpint(a.boot.protocol, ==, X86_BOOT_PVH);
    g_assert_cmphex(a.boot.entry, ==, IMG_PVH_ENTRY);
    check_segments(&a, image);
    check_start_info(&a, 0);
    /* A stack in usable memory, below which nothing of ours is for a while. */
    g_assert_cmphex(a.boot.rsp, ==, BOOT_STACK_POINTER);
    g_assert_cmphex(rd(a.m.ram + rd(a.m.ram + a.boot.info + 0x28, 8) + 8, 8), >, a.boot.rsp);
    for (unsigned i = BOOT_PARAMS_START; i < BOOT_STACK_POINTER; i++) {
        g_assert_cmphex(a.m.ram[i], ==, 0);
    }
    boot_done(&a);

    boot_load(&a, RAM_SIZE, image, len, "rd", "a=b");
    g_assert_true(a.ok);
    check_start_info(&a, 2);
    g_assert_cmpstr((char *)a.m.ram + KERNEL_CMDLINE_START, ==, "a=b");
    boot_done(&a);
}

static void test_bzimage(void)
{
    uint8_t image[IMG_MAX_SIZE];
    size_t len = image_build(IMAGE_BZIMAGE, image);
    BootAttempt a;

    image[0x21c] = 0x77;        /* what the file has there does not matter */
    boot_load(&a, RAM_SIZE, image, len, NULL, "x");
    g_assert_true(a.ok);
    g_assert_cmpint(a.boot.protocol, ==, X86_BOOT_LINUX64);
    g_assert_cmphex(a.boot.entry, ==, IMG_TEXT_ADDR + 0x200);
    g_assert_cmpmem(a.m.ram + IMG_TEXT_ADDR, IMG_BZ_CODE_SIZE,
                    image + IMG_BZ_CODE, IMG_BZ_CODE_SIZE);
    check_page_tables(a.m.ram, a.boot.cr3);
    check_boot_params(&a, 0);
    g_assert_cmpuint(rd(a.m.ram + a.boot.info + 0x238, 4), ==, IMG_BZ_CMDLINE);
    /* The header is the file's; what follows it is not. */
    g_assert_cmphex(rd(a.m.ram + a.boot.info + 0x258, 8), ==, IMG_TEXT_ADDR);
    g_assert_cmphex(rd(a.m.ram + a.boot.info + 0x260, 4), ==, IMG_BZ_INIT_SIZE);
    g_assert_cmphex(rd(a.m.ram + a.boot.info + 0x26e, 8), ==, 0);
    boot_done(&a);
}

/* Signatures may follow the image; they are not loaded. */
static void test_bzimage_trailer(void)
{
    uint8_t image[IMG_MAX_SIZE + 16];
    size_t len = image_build(IMAGE_BZIMAGE, image);
    BootAttempt a;

    memset(image + len, 0x99, 16);
    boot_load(&a, RAM_SIZE, image, len + 16, NULL, "");
    g_assert_true(a.ok);
    g_assert_cmphex(a.m.ram[IMG_TEXT_ADDR + IMG_BZ_CODE_SIZE], ==, 0);
    boot_done(&a);
}

/* Up to 15 bytes of the last paragraph may be missing; they are zeros. */
static void test_bzimage_cut(void)
{
    uint8_t image[IMG_MAX_SIZE];
    size_t len = image_build(IMAGE_BZIMAGE, image);

    for (unsigned cut = 1; cut <= 16; cut++) {
        BootAttempt a;
        uint8_t *end;

        boot_load(&a, RAM_SIZE, image, len - cut, NULL, "");
        g_assert_cmpint(a.ok, ==, cut < 16);
        if (a.ok) {
            end = a.m.ram + IMG_TEXT_ADDR + IMG_BZ_CODE_SIZE;
            memset(end - 16, 0x99, 16);
            g_assert_true(rom_reset_all(&a.m.ms, false));
            g_assert_cmpmem(end - 16, 16 - cut, image + len - 16, 16 - cut);
            for (uint8_t *p = end - cut; p < end; p++) {
                g_assert_cmphex(*p, ==, 0);
            }
        }
        boot_done(&a);
    }
}

static void test_bzimage_address(void)
{
    uint8_t image[IMG_MAX_SIZE];
    size_t len = image_build(IMAGE_BZIMAGE, image);
    BootAttempt a;

    /* A relocatable kernel goes up to its alignment, … */
    st_le(image + 0x258, 0x1001000, 8);
    boot_load(&a, RAM_SIZE, image, len, NULL, "");
    g_assert_true(a.ok);
    g_assert_cmphex(a.boot.entry, ==, 0x1200200);
    boot_done(&a);
    /* … another stays where it was linked. */
    image[0x234] = 0;
    st_le(image + 0x230, 0, 4);
    boot_load(&a, RAM_SIZE, image, len, NULL, "");
    g_assert_true(a.ok);
    g_assert_cmphex(a.boot.entry, ==, 0x1001200);
    boot_done(&a);
}

/* Files that are none, command lines, initrds ------------------------------ */

static void expect_error(MachineState *ms, const char *cmdline,
                         const char *message)
{
    g_autoptr(Error) err = NULL;
    X86BootState boot = { 0 };

    g_assert_false(x86_load_linux(ms, cmdline, 0, &boot, &err));
    g_assert_cmpstr(error_get_pretty(err), ==, message);
    rom_free_all(ms);
}

static void test_no_files(void)
{
    uint8_t image[IMG_MAX_SIZE];
    size_t len = image_build(IMAGE_ELF64, image);
    g_autofree char *empty = NULL;
    BootMachine m;
    char kernel[64], initrd[64];
    int kfd = boot_file(image, len, kernel);
    int ifd = boot_file("", 0, initrd);

    boot_machine_init(&m, RAM_SIZE);
    m.ms.kernel_filename = (char *)"/nonexist";
    expect_error(&m.ms, "", "could not open kernel file '/nonexist': "
                 "No such file or directory");
    m.ms.kernel_filename = (char *)"/";
    expect_error(&m.ms, "", "could not open kernel file '/': Is a directory");
    m.ms.kernel_filename = (char *)"/dev/zero";
    expect_error(&m.ms, "", "could not open kernel file '/dev/zero': "
                 "not a regular file");
    m.ms.kernel_filename = initrd;
    empty = g_strdup_printf("could not load kernel '%s': invalid kernel "
                            "header: neither ELF, bzImage nor Multiboot", initrd);
    expect_error(&m.ms, "", empty);

    m.ms.kernel_filename = kernel;
    m.ms.initrd_filename = (char *)"/nonexist";
    expect_error(&m.ms, "", "error reading initrd /nonexist: "
                 "No such file or directory");
    m.ms.initrd_filename = (char *)"/dev/zero";
    expect_error(&m.ms, "", "error reading initrd /dev/zero: "
                 "not a regular file");
    m.ms.initrd_filename = initrd;
    g_free(empty);
    empty = g_strdup_printf("error reading initrd %s: the file is empty",
                            initrd);
    expect_error(&m.ms, "", empty);
    boot_machine_cleanup(&m);
    close(kfd);
    close(ifd);
}

/* A file of a huge size costs no memory and no time. */
static void test_huge_initrd(void)
{
    uint8_t image[IMG_MAX_SIZE];
    size_t len = image_build(IMAGE_ELF64, image);
    BootMachine m;
    Error *err = NULL;
    X86BootState boot = { 0 };
    char kernel[64], initrd[64];
    int kfd = boot_file(image, len, kernel);
    int ifd = boot_file("", 0, initrd);

    boot_machine_init(&m, RAM_SIZE);
    m.ms.kernel_filename = kernel;
    m.ms.initrd_filename = initrd;
    for (unsigned shift = 26; shift < 63; shift++) {
        g_assert_cmpint(ftruncate(ifd, (1ULL << shift) - 1), ==, 0);
        g_assert_false(x86_load_linux(&m.ms, "", 0, &boot, &err));
        g_assert_nonnull(strstr(error_get_pretty(err), "no room for"));
        g_clear_pointer(&err, error_free);
        rom_free_all(&m.ms);
    }
    boot_machine_cleanup(&m);
    close(kfd);
    close(ifd);
}

static bool try_cmdline(ImageKind kind, size_t cmdline_len)
{
    uint8_t image[IMG_MAX_SIZE];
    size_t len = image_build(kind, image);
    g_autofree char *cmdline = g_strnfill(cmdline_len, 'c');
    BootAttempt a;
    bool ok;

    boot_load(&a, RAM_SIZE, image, len, NULL, cmdline);
    ok = a.ok;
    if (ok) {
        g_assert_cmpstr((char *)a.m.ram + KERNEL_CMDLINE_START, ==, cmdline);
    } else {
        g_assert_nonnull(strstr(error_get_pretty(a.err), "too long"));
    }
    boot_done(&a);
    return ok;
}

static void test_cmdline(void)
{
    g_assert_true(try_cmdline(IMAGE_BZIMAGE, IMG_BZ_CMDLINE));
    g_assert_false(try_cmdline(IMAGE_BZIMAGE, IMG_BZ_CMDLINE + 1));
    g_assert_true(try_cmdline(IMAGE_ELF64, KERNEL_CMDLINE_MAX_SIZE - 1));
    g_assert_false(try_cmdline(IMAGE_ELF64, KERNEL_CMDLINE_MAX_SIZE));
    g_assert_false(try_cmdline(IMAGE_ELF64_PVH, MiB));
    g_assert_true(try_cmdline(IMAGE_ELF64_PVH, 0));
}

static void test_place_initrd(void)
{
    X86Kernel k = {
        .start = 0x1000000, .end = 0x2000000, .initrd_limit = 1ULL << 32,
    };

    g_assert_cmphex(x86_place_initrd(&k, 0x4000000, 1), ==, 0x3fff000);
    g_assert_cmphex(x86_place_initrd(&k, 0x4000000, 4096), ==, 0x3fff000);
    g_assert_cmphex(x86_place_initrd(&k, 0x4000000, 4097), ==, 0x3ffe000);
    g_assert_cmphex(x86_place_initrd(&k, 0x4000000, 0x2000000), ==, 0x2000000);
    /* No room above the kernel: below it, if that is above 1 MiB. */
    g_assert_cmphex(x86_place_initrd(&k, 0x2001000, 0x2000), ==, 0xffe000);
    g_assert_cmphex(x86_place_initrd(&k, 0x2001000, 0xf00000), ==, 0x100000);
    g_assert_cmphex(x86_place_initrd(&k, 0x2001000, 0xf00001), ==, 0);
    g_assert_cmphex(x86_place_initrd(&k, 0x4000000, UINT64_MAX), ==, 0);
    g_assert_cmphex(x86_place_initrd(&k, 0x1000, 1), ==, 0);
    /* The kernel's own limit counts, wherever RAM ends. */
    k.initrd_limit = 0x3000001;
    g_assert_cmphex(x86_place_initrd(&k, 0x4000000, 4096), ==, 0x2fff000);
    k.initrd_limit = 0;
    g_assert_cmphex(x86_place_initrd(&k, 0x4000000, 4096), ==, 0);
}

/* Kernels above and RAM beyond 4 GiB. */
static void test_big_ram(void)
{
    uint8_t image[IMG_MAX_SIZE];
    size_t len = image_build(IMAGE_ELF64_PVH, image);
    BootAttempt a;

    st_le(image + IMG_ELF64_DATA_PADDR, 1ULL << 32, 8);
    boot_load(&a, 5 * GiB, image, len, "i", "");
    g_assert_true(a.ok);
    g_assert_cmphex(a.m.ram[MICROVM_LOWMEM_END], ==, image[IMG_ELF_DATA]);
    g_assert_cmphex(a.m.ram[MICROVM_LOWMEM_END - 4096], ==, 'i');
    boot_done(&a);
}

/* The boot processor ------------------------------------------------------- */

static void test_cpu_linux64(void)
{
    X86BootState boot = {
        .protocol = X86_BOOT_LINUX64, .entry = 0x1000200, .info = 0x7000,
        .rsp = 0x8ff0, .cr3 = 0x9000,
    };
    X86CPU cpu = { .cs.stopped = true, .env.cr[0] = 0x60000010, .env.regs[R_EDX] = 0x600 };
    const CPUX86State *env = &cpu.env;
    uint8_t gdt[X86_BOOT_GDT_SIZE];

    x86_boot_cpu(&cpu, &boot);
    g_assert_cmphex(env->eip, ==, 0x1000200);
    g_assert_cmphex(env->regs[R_ESI], ==, 0x7000);
    g_assert_cmphex(env->regs[R_ESP], ==, 0x8ff0);
    g_assert_cmphex(env->regs[R_EDX], ==, 0);
    g_assert_cmphex(env->eflags, ==, 2);
    g_assert_cmphex(env->cr[0], ==, CR0_PG | CR0_ET | CR0_PE);
    g_assert_cmphex(env->cr[3], ==, 0x9000);
    g_assert_cmphex(env->cr[4], ==, CR4_PAE);
    g_assert_cmphex(env->efer, ==, EFER_LME | EFER_LMA);
    g_assert_cmphex(env->segs[R_CS].selector, ==, 0x10);
    g_assert_cmphex(env->segs[R_CS].attr, ==, 0xa09b);
    g_assert_cmphex(env->segs[R_SS].selector, ==, 0x18);
    g_assert_cmphex(env->segs[R_DS].attr, ==, 0xc093);
    g_assert_cmphex(env->tr.attr, ==, 0x8b);
    g_assert_true(cpu.cs.vcpu_dirty);

    /* Reloading the selectors from the GDT changes nothing. */
    x86_build_gdt(true, gdt);
    g_assert_cmphex(ld_le(gdt + X86_BOOT_CS, 8) >> 40 & 0xf0ff, ==, env->segs[R_CS].attr);
    g_assert_cmphex(ld_le(gdt + X86_BOOT_DS, 8) >> 40 & 0xf0ff, ==, env->segs[R_DS].attr);
    g_assert_cmphex(env->gdt.base, ==, BOOT_GDT_START);
    g_assert_cmphex(env->gdt.limit, ==, sizeof(gdt) - 1);
}

static void test_cpu_pvh(void)
{
    X86BootState boot = {
        .protocol = X86_BOOT_PVH, .entry = 0x1000080, .info = 0x6000, .rsp = 0x8ff0,
    };
    X86CPU cpu = { .cs.stopped = true, .env.cr[0] = 0x60000010 };
    const CPUX86State *env = &cpu.env;

    x86_boot_cpu(&cpu, &boot);
    g_assert_cmphex(env->eip, ==, 0x1000080);
    g_assert_cmphex(env->regs[R_EBX], ==, 0x6000);
    g_assert_cmphex(env->regs[R_ESP], ==, 0x8ff0);
    g_assert_cmphex(env->cr[0], ==, CR0_ET | CR0_PE);
    g_assert_cmphex(env->cr[4], ==, 0);
    g_assert_cmphex(env->efer, ==, 0);
    g_assert_cmphex(env->eflags & (VM_MASK | IF_MASK | TF_MASK), ==, 0);
    g_assert_cmphex(env->segs[R_CS].attr, ==, 0xc09b);
    g_assert_cmphex(env->segs[R_CS].limit, ==, 0xffffffff);
    g_assert_cmphex(env->segs[R_ES].attr, ==, 0xc093);
    g_assert_cmphex(env->tr.limit, ==, 0x67);
}

static void test_cpu_none(void)
{
    X86BootState boot = { 0 };
    X86CPU cpu = { .env.eip = 0xfff0, .env.regs[R_EDX] = 0x600 };

    x86_boot_cpu(&cpu, &boot);
    g_assert_cmphex(cpu.env.eip, ==, 0xfff0);
    g_assert_cmphex(cpu.env.regs[R_EDX], ==, 0x600);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/x86-boot/elf64", test_elf64);
    g_test_add_data_func("/x86-boot/elf64-pvh",
                         GINT_TO_POINTER(IMAGE_ELF64_PVH), test_pvh);
    g_test_add_data_func("/x86-boot/elf32-pvh",
                         GINT_TO_POINTER(IMAGE_ELF32_PVH), test_pvh);
    g_test_add_func("/x86-boot/bzimage", test_bzimage);
    g_test_add_func("/x86-boot/bzimage-trailer", test_bzimage_trailer);
    g_test_add_func("/x86-boot/bzimage-cut", test_bzimage_cut);
    g_test_add_func("/x86-boot/bzimage-address", test_bzimage_address);
    g_test_add_func("/x86-boot/no-files", test_no_files);
    g_test_add_func("/x86-boot/huge-initrd", test_huge_initrd);
    g_test_add_func("/x86-boot/cmdline", test_cmdline);
    g_test_add_func("/x86-boot/place-initrd", test_place_initrd);
    g_test_add_func("/x86-boot/big-ram", test_big_ram);
    g_test_add_func("/x86-boot/cpu-linux64", test_cpu_linux64);
    g_test_add_func("/x86-boot/cpu-pvh", test_cpu_pvh);
    g_test_add_func("/x86-boot/cpu-none", test_cpu_none);
    return g_test_run();
}
