/*
 * Which protocol a kernel is started by, and what Multiboot and 32-bit Linux find.
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

static uint32_t rd32(const uint8_t *p)
{
    return ld_le(p, 4);
}

/* The choice --------------------------------------------------------------- */

/* The protocol by which an image is started when one is wanted; NONE: refused. */
static X86BootProtocol chosen(ImageKind kind, X86BootProtocol wanted, uint64_t *entry)
{
    uint8_t image[IMG_MAX_SIZE];
    size_t len = image_build(kind, image);
    g_autofree X86Kernel *k = g_new0(X86Kernel, 1);
    g_autoptr(Error) err = NULL;
    X86KernelFile file = { .size = len };
    char name[64];

    if (kind == IMAGE_BZIMAGE && wanted == X86_BOOT_NONE) {
        image[0x236] = 0;               /* xloadflags: only the 32-bit entry */
    }
    file.fd = boot_file(image, len, name);
    k->protocol = wanted;
    if (!x86_kernel_parse(&file, k, &err)) {
        g_assert_nonnull(strstr(error_get_pretty(err), wanted ? "asked for" : "PVH note"));
        k->protocol = X86_BOOT_NONE;
    }
    *entry = k->entry;
    close(file.fd);
    return k->protocol;
}

static void test_choice(void)
{
    static const struct {
        ImageKind kind;
        X86BootProtocol wanted, got;
        uint64_t entry;
    } rows[] = {
        { IMAGE_ELF64, X86_BOOT_NONE, X86_BOOT_LINUX64, IMG_ELF_ENTRY },
        { IMAGE_ELF64, X86_BOOT_PVH, X86_BOOT_NONE, 0 },
        { IMAGE_ELF64, X86_BOOT_LINUX32, X86_BOOT_NONE, 0 },
        { IMAGE_ELF64, X86_BOOT_MULTIBOOT, X86_BOOT_NONE, 0 },
        { IMAGE_ELF64_PVH, X86_BOOT_NONE, X86_BOOT_PVH, IMG_PVH_ENTRY },
        { IMAGE_ELF64_PVH, X86_BOOT_LINUX64, X86_BOOT_LINUX64, IMG_ELF_ENTRY },
        { IMAGE_ELF32_PVH, X86_BOOT_NONE, X86_BOOT_PVH, IMG_PVH_ENTRY },
        { IMAGE_ELF32_PVH, X86_BOOT_LINUX64, X86_BOOT_NONE, 0 },
        { IMAGE_ELF32_PVH, X86_BOOT_LINUX32, X86_BOOT_LINUX32, IMG_ELF_ENTRY },
        { IMAGE_MULTIBOOT32, X86_BOOT_NONE, X86_BOOT_MULTIBOOT, IMG_ELF_ENTRY },
        { IMAGE_MULTIBOOT, X86_BOOT_NONE, X86_BOOT_MULTIBOOT, IMG_MB_ENTRY },
        { IMAGE_BZIMAGE, X86_BOOT_NONE, X86_BOOT_LINUX32, IMG_TEXT_ADDR },
        { IMAGE_BZIMAGE, X86_BOOT_LINUX64, X86_BOOT_LINUX64, IMG_TEXT_ADDR + 0x200 },
        { IMAGE_BZIMAGE, X86_BOOT_LINUX32, X86_BOOT_LINUX32, IMG_TEXT_ADDR },
        { IMAGE_BZIMAGE, X86_BOOT_PVH, X86_BOOT_NONE, 0 },
        { IMAGE_BZIMAGE, X86_BOOT_MULTIBOOT, X86_BOOT_NONE, 0 },
    };

    for (unsigned i = 0; i < G_N_ELEMENTS(rows); i++) {
        uint64_t entry;

        g_test_message("row %u", i);
        g_assert_cmpint(chosen(rows[i].kind, rows[i].wanted, &entry), ==, rows[i].got);
        if (rows[i].got != X86_BOOT_NONE) {
            g_assert_cmphex(entry, ==, rows[i].entry);
        }
    }
}

/* A 64-bit ELF file with a header that has no addresses goes where its segments say. */
static void test_elf64(void)
{
    uint8_t image[IMG_MAX_SIZE], other[IMG_MAX_SIZE];
    size_t len = image_build(IMAGE_ELF64, image);
    BootAttempt a;

    image_build(IMAGE_MULTIBOOT32, other);
    memcpy(image + 0x200, other + IMG_MB_ELF_HEADER, 12);
    boot_load(&a, RAM_SIZE, image, len, NULL, "");
    g_assert_true(a.ok);
    g_assert_cmpint(a.boot.protocol, ==, X86_BOOT_MULTIBOOT);
    g_assert_cmphex(a.boot.entry, ==, IMG_ELF_ENTRY);
    boot_done(&a);
    st_le(image + 24, 1ull << 32 | IMG_ELF_ENTRY, 8);
    boot_load(&a, RAM_SIZE, image, len, NULL, "");
    g_assert_false(a.ok);
    g_assert_nonnull(strstr(error_get_pretty(a.err), "entry point 0x1"));
    boot_done(&a);
}

/* A header with addresses says where a 64-bit ELF file goes, too. */
static void test_elf64_addresses(void)
{
    uint8_t image[IMG_MAX_SIZE], flat[IMG_MAX_SIZE];
    size_t len = image_build(IMAGE_ELF64, image);
    BootAttempt a;

    image_build(IMAGE_MULTIBOOT, flat);
    memcpy(image + 0x200, flat + IMG_MB_HEADER, 32);
    st_le(image + 0x200 + 12, IMG_TEXT_ADDR + 0x200, 4);
    boot_load(&a, RAM_SIZE, image, len, NULL, "");
    g_assert_true(a.ok);
    g_assert_cmpint(a.boot.protocol, ==, X86_BOOT_MULTIBOOT);
    g_assert_cmphex(a.boot.entry, ==, IMG_MB_ENTRY);
    g_assert_cmpmem(a.m.ram + IMG_TEXT_ADDR, IMG_MB_SIZE, image, IMG_MB_SIZE);
    boot_done(&a);
}

/* Bits 3 to 15 of the flags are wishes that a loader must not ignore. */
static void test_unknown_wish(void)
{
    uint8_t image[IMG_MAX_SIZE];
    size_t len = image_build(IMAGE_MULTIBOOT32, image);
    BootAttempt a;

    st_le(image + IMG_MB_ELF_HEADER + 4, 0x8003, 4);
    st_le(image + IMG_MB_ELF_HEADER + 8, -(0x1badb002u + 0x8003), 4);
    boot_load(&a, RAM_SIZE, image, len, NULL, "");
    g_assert_false(a.ok);
    g_assert_nonnull(strstr(error_get_pretty(a.err), "flags 0x8000"));
    boot_done(&a);
}

/* What the kernel finds ---------------------------------------------------- */

static void check_information(const BootMachine *m, const uint8_t *info)
{
    g_autofree char *cmdline = g_strdup_printf("%s one two", m->ms.kernel_filename);
    const uint8_t *row = m->ram + rd32(info + 48);

    g_assert_cmphex(rd32(info), ==, 0x24d);         /* memory, command line, modules, map, name */
    g_assert_cmpuint(rd32(info + 4), ==, 632);      /* KiB, below the MP tables */
    g_assert_cmpuint(rd32(info + 8), ==, (RAM_SIZE - MiB) / KiB);
    g_assert_cmpstr((const char *)m->ram + rd32(info + 16), ==, cmdline);
    g_assert_cmpstr((const char *)m->ram + rd32(info + 64), ==, "qemu-system-x86_64");

    g_assert_cmpuint(rd32(info + 44), ==, 3 * 24);
    g_assert_cmphex(rd32(row), ==, 20);
    g_assert_cmphex(ld_le(row + 4, 8), ==, 0);
    g_assert_cmphex(rd32(row + 20), ==, E820_RAM);
    g_assert_cmphex(ld_le(row + 48 + 4, 8), ==, MiB);
    g_assert_cmphex(ld_le(row + 48 + 12, 8), ==, RAM_SIZE - MiB);
}

static void check_module(const BootMachine *m, const uint8_t *entry, const char *content,
                         const char *string)
{
    uint32_t start = rd32(entry), end = rd32(entry + 4);

    g_assert_cmphex(start % X86_PAGE_SIZE, ==, 0);
    g_assert_cmphex(start, >=, IMG_TEXT_ADDR + IMG_MB_MEM);
    g_assert_cmpmem(m->ram + start, end - start, content, strlen(content));
    g_assert_cmpstr((const char *)m->ram + rd32(entry + 8), ==, string);
    g_assert_cmphex(rd32(entry + 12), ==, 0);
}

static void test_modules(void)
{
    uint8_t image[IMG_MAX_SIZE];
    size_t len = image_build(IMAGE_MULTIBOOT, image);
    char kernel[64], first[64], second[64];
    int fds[] = {
        boot_file(image, len, kernel), boot_file("first module", 12, first),
        boot_file("2", 1, second),
    };
    g_autofree char *list = g_strdup_printf("%s a=b,,c d,%s", first, second);
    g_autofree char *string = g_strdup_printf("%s a=b,c d", first);
    BootMachine m;
    X86BootState boot = { 0 };
    X86CPU cpu = { .cs.stopped = true, .env.cr[0] = 0x60000010 };
    const uint8_t *info, *mods;

    boot_machine_init(&m, RAM_SIZE);
    m.ms.kernel_filename = kernel;
    m.ms.initrd_filename = list;
    g_assert_true(x86_load_linux(&m.ms, "one two", 0, &boot, NULL));
    g_assert_true(rom_reset_all(&m.ms, true));
    g_assert_cmpmem(m.ram + IMG_TEXT_ADDR, IMG_MB_SIZE, image, IMG_MB_SIZE);
    info = m.ram + boot.info;
    mods = m.ram + rd32(info + 24);
    check_information(&m, info);
    g_assert_cmpuint(rd32(info + 20), ==, 2);
    check_module(&m, mods, "first module", string);
    check_module(&m, mods + 16, "2", second);
    g_assert_cmphex(rd32(mods + 16), >=, rd32(mods + 4));

    x86_boot_cpu(&cpu, &boot);
    g_assert_cmphex(cpu.env.regs[R_EAX], ==, 0x2badb002);
    g_assert_cmphex(cpu.env.regs[R_EBX], ==, boot.info);
    g_assert_cmphex(cpu.env.eip, ==, IMG_MB_ENTRY);
    g_assert_cmphex(cpu.env.cr[0], ==, CR0_ET | CR0_PE);
    g_assert_cmphex(cpu.env.segs[R_CS].attr, ==, 0xc09b);
    boot_machine_cleanup(&m);
    for (unsigned i = 0; i < G_N_ELEMENTS(fds); i++) {
        close(fds[i]);
    }
}

/* The message for a list of modules with a memory of this size. */
static char *modules_error(const char *list, const char *cmdline)
{
    uint8_t image[IMG_MAX_SIZE];
    size_t len = image_build(IMAGE_MULTIBOOT, image);
    X86BootState boot = { 0 };
    Error *err = NULL;
    char kernel[64], *text;
    int fd = boot_file(image, len, kernel);
    BootMachine m;

    boot_machine_init(&m, RAM_SIZE);
    m.ms.kernel_filename = kernel;
    m.ms.initrd_filename = (char *)list;
    g_assert_false(x86_load_linux(&m.ms, cmdline, 0, &boot, &err));
    text = g_strdup(error_get_pretty(err));
    error_free(err);
    boot_machine_cleanup(&m);
    close(fd);
    return text;
}

static void expect_text(char *text, const char *part)
{
    if (!strstr(text, part)) {
        g_error("'%s' does not say '%s'", text, part);
    }
    g_free(text);
}

static void test_bad_modules(void)
{
    g_autoptr(GString) many = g_string_new(NULL);
    g_autofree char *arguments = g_strnfill(MULTIBOOT_INFO_MAX_SIZE, 'a');
    char empty[64], huge[64], small[64];
    int fds[] = { boot_file("", 0, empty), boot_file("", 0, huge), boot_file("s", 1, small) };

    g_assert_cmpint(ftruncate(fds[1], RAM_SIZE), ==, 0);
    for (unsigned i = 0; i <= X86_MAX_MODULES; i++) {
        g_string_append_printf(many, "%s x,", small);
    }
    expect_text(modules_error("/nonexist a b", ""), "error reading initrd /nonexist: No such");
    expect_text(modules_error(empty, ""), "the file is empty");
    expect_text(modules_error(huge, ""), "no room for it");
    expect_text(modules_error(many->str, ""), "too many modules");
    expect_text(modules_error(small, arguments), "too long");
    for (unsigned i = 0; i < G_N_ELEMENTS(fds); i++) {
        close(fds[i]);
    }
}

/* boot_params as for 64 bits, a GDT of 32-bit segments, and no paging. */
static void test_linux32(void)
{
    uint8_t image[IMG_MAX_SIZE];
    size_t len = image_build(IMAGE_BZIMAGE, image);
    X86CPU cpu = { .cs.stopped = true, .env.cr[0] = 0x60000010 };
    const CPUX86State *env = &cpu.env;
    BootAttempt a;

    image[0x236] = 0;
    boot_load(&a, RAM_SIZE, image, len, "i", "hello");
    g_assert_true(a.ok);
    x86_boot_cpu(&cpu, &a.boot);
    g_assert_cmphex(env->eip, ==, IMG_TEXT_ADDR);
    g_assert_cmphex(env->regs[R_ESI], ==, BOOT_PARAMS_START);
    g_assert_cmphex(env->regs[R_EBX] | env->regs[R_EBP] | env->regs[R_EDI], ==, 0);
    g_assert_cmphex(env->cr[0], ==, CR0_ET | CR0_PE);
    g_assert_cmphex(env->segs[R_CS].selector, ==, 0x10);
    g_assert_cmphex(ld_le(a.m.ram + BOOT_GDT_START + 0x10, 8) >> 40 & 0xf0ff, ==,
                    env->segs[R_CS].attr);
    g_assert_cmphex(env->gdt.base, ==, BOOT_GDT_START);
    g_assert_cmpmem(a.m.ram + BOOT_PARAMS_START + 0x202, 4, "HdrS", 4);
    g_assert_cmphex(ld_le(a.m.ram + BOOT_PARAMS_START + 0x70, 8), ==, BOOT_RSDP);
    g_assert_cmpstr((char *)a.m.ram + KERNEL_CMDLINE_START, ==, "hello");
    g_assert_cmphex(ld_le(a.m.ram + PML4_START, 8), ==, 0);
    boot_done(&a);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/boot-protocols/choice", test_choice);
    g_test_add_func("/boot-protocols/elf64", test_elf64);
    g_test_add_func("/boot-protocols/elf64-addresses", test_elf64_addresses);
    g_test_add_func("/boot-protocols/unknown-wish", test_unknown_wish);
    g_test_add_func("/boot-protocols/modules", test_modules);
    g_test_add_func("/boot-protocols/bad-modules", test_bad_modules);
    g_test_add_func("/boot-protocols/linux32", test_linux32);
    return g_test_run();
}
