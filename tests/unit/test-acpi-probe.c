/*
 * Whether a kernel file uses ACPI: where the signature counts, and files that lie.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <glib.h>
#include <string.h>
#include <unistd.h>

#include "boot-machine.h"
#include "kernel-image.h"
#include "qemu/cutils.h"

#define SIGNATURE   "RSD PTR "
#define LOOKS       "the kernel looks for ACPI's tables"
#define LOOKS_NOT   "the kernel does not look for ACPI's tables"
#define NO_FILE     "the kernel file cannot be loaded"

/* Behind what image_build() makes: section headers and their names. */
#define NR_SECTIONS 3
#define SHOFF       IMG_ELF_SIZE
#define NAMES       (SHOFF + NR_SECTIONS * sizeof(Elf64_Shdr))
#define WHOLE_SIZE  (NAMES + sizeof(names))

static const char names[] = "\0.rodata\0.shstrtab";

static bool uses_acpi(const void *image, size_t len, const char **reason)
{
    MachineState ms = { 0 };
    char name[64];
    int fd = boot_file(image, len, name);
    bool found;

    ms.kernel_filename = name;
    found = x86_kernel_uses_acpi(&ms, X86_BOOT_NONE, reason);
    close(fd);
    return found;
}

static void check(const void *image, size_t len, bool expected)
{
    const char *reason;

    g_assert_cmpint(uses_acpi(image, len, &reason), ==, expected);
    g_assert_cmpstr(reason, ==, expected ? LOOKS : LOOKS_NOT);
}

static void sign(uint8_t *image, size_t offset)
{
    memcpy(image + offset, SIGNATURE, 8);
}

/* An ELF file with sections, .rodata being the data segment. */
static size_t build_with_sections(uint8_t buf[IMG_MAX_SIZE])
{
    Elf64_Shdr sections[NR_SECTIONS] = {
        { 0 },
        { .sh_name = 1, .sh_type = SHT_PROGBITS, .sh_offset = IMG_ELF_DATA,
          .sh_size = IMG_ELF_DATA_SIZE },
        { .sh_name = 9, .sh_type = SHT_STRTAB, .sh_offset = NAMES, .sh_size = sizeof(names) },
    };
    Elf64_Ehdr e;

    image_build(IMAGE_ELF64, buf);
    memcpy(&e, buf, sizeof(e));
    e.e_shoff = SHOFF;
    e.e_shentsize = sizeof(Elf64_Shdr);
    e.e_shnum = NR_SECTIONS;
    e.e_shstrndx = 2;
    memcpy(buf, &e, sizeof(e));
    memcpy(buf + SHOFF, sections, sizeof(sections));
    memcpy(buf + NAMES, names, sizeof(names));
    return WHOLE_SIZE;
}

/* Without sections all that is loaded counts, to its last byte and no further. */
static void test_segments(void)
{
    static const struct {
        size_t offset;
        bool expected;
    } rows[] = {
        { IMG_ELF_TEXT, true }, { IMG_ELF_TEXT + 3, true }, { IMG_ELF_DATA, true },
        { IMG_ELF_SIZE - 8, true }, { IMG_ELF_NOTE + 64, false },
        { IMG_ELF_TEXT - 8, false }, { IMG_ELF_TEXT - 1, false },
        { IMG_ELF_DATA - 4, false },    /* half in one, half in the next */
    };
    uint8_t image[IMG_MAX_SIZE];

    check(image, image_build(IMAGE_ELF64, image), false);
    for (unsigned i = 0; i < G_N_ELEMENTS(rows); i++) {
        size_t len = image_build(IMAGE_ELF64, image);

        g_test_message("0x%zx", rows[i].offset);
        sign(image, rows[i].offset);
        check(image, len, rows[i].expected);
        image[rows[i].offset + 7] = 'x';
        check(image, len, false);
    }
}

/* With sections only .rodata does. */
static void test_sections(void)
{
    uint8_t image[IMG_MAX_SIZE];
    size_t len = build_with_sections(image);

    check(image, len, false);
    sign(image, IMG_ELF_TEXT);
    check(image, len, false);
    sign(image, IMG_ELF_DATA + 9);
    check(image, len, true);
}

/* What is read piece by piece is found wherever it lies. */
static void test_pieces(void)
{
    size_t len = 200 * KiB, base = 0x2000;
    g_autofree uint8_t *image = g_malloc0(base + len);
    Elf64_Phdr ph;

    image_build(IMAGE_ELF64, image);
    memcpy(&ph, image + sizeof(Elf64_Ehdr), sizeof(ph));
    ph.p_offset = base;
    ph.p_filesz = ph.p_memsz = len;
    memcpy(image + sizeof(Elf64_Ehdr), &ph, sizeof(ph));
    memset(image + base, 'R', len);
    check(image, base + len, false);
    for (size_t at = 64 * KiB - 20; at < 64 * KiB + 20; at++) {
        sign(image, base + at);
        check(image, base + len, true);
        memset(image + base + at, 'R', 8);
    }
    sign(image, base + len - 8);
    check(image, base + len, true);
}

/* Every field of the section headers with every value that may hurt: an answer each time. */
static void test_hostile_sections(void)
{
    static const uint64_t values[] = {
        0, 1, 7, 0xff, 0xffff, 0x7fffffff, 0xffffffff, IMG_ELF_SIZE, WHOLE_SIZE, WHOLE_SIZE - 1,
        WHOLE_SIZE + 1, INT64_MAX, UINT64_MAX, UINT64_MAX - 7, UINT64_MAX - WHOLE_SIZE,
    };
    uint8_t image[IMG_MAX_SIZE];
    const char *reason;

    for (unsigned i = 0; i < G_N_ELEMENTS(values); i++) {
        for (size_t at = SHOFF; at < NAMES; at += 4) {
            size_t len = build_with_sections(image);

            memcpy(image + at, &values[i], at + 8 > NAMES ? 4 : 8);
            uses_acpi(image, len, &reason);
            g_assert_nonnull(reason);
        }
        for (size_t at = 0; at + 8 <= sizeof(Elf64_Ehdr); at += 2) {
            size_t len = build_with_sections(image);

            memcpy(image + at, &values[i], 8);
            uses_acpi(image, len, &reason);
            g_assert_nonnull(reason);
        }
    }
}

/* Where the section headers are no use the loaded bytes decide. */
static void test_useless_sections(void)
{
    static const struct {
        size_t offset;
        uint64_t value;
        unsigned size;
    } rows[] = {
        { offsetof(Elf64_Ehdr, e_shoff), UINT64_MAX, 8 },
        { offsetof(Elf64_Ehdr, e_shoff), WHOLE_SIZE - 1, 8 },
        { offsetof(Elf64_Ehdr, e_shnum), 0, 2 },
        { offsetof(Elf64_Ehdr, e_shnum), 0xffff, 2 },
        { offsetof(Elf64_Ehdr, e_shnum), 2, 2 },
        { offsetof(Elf64_Ehdr, e_shentsize), 1, 2 },
        { offsetof(Elf64_Ehdr, e_shstrndx), 0xffff, 2 },
        { SHOFF + sizeof(Elf64_Shdr), UINT32_MAX, 4 },
        { SHOFF + 2 * sizeof(Elf64_Shdr) + offsetof(Elf64_Shdr, sh_offset), UINT64_MAX, 8 },
        { NAMES + 2, 'R', 1 },
    };
    uint8_t image[IMG_MAX_SIZE];

    for (unsigned i = 0; i < G_N_ELEMENTS(rows); i++) {
        size_t len = build_with_sections(image);

        g_test_message("row %u", i);
        memcpy(image + rows[i].offset, &rows[i].value, rows[i].size);
        check(image, len, false);
        sign(image, IMG_ELF_TEXT);
        check(image, len, true);
    }
}

#define PAYLOAD         0x800
#define PAYLOAD_SIZE    0x400

static size_t build_packed(uint8_t image[IMG_MAX_SIZE], uint32_t offset, uint32_t size)
{
    size_t len = image_build(IMAGE_BZIMAGE, image);

    memcpy(image + 0x248, &offset, 4);
    memcpy(image + 0x24c, &size, 4);
    return len;
}

/* The compressed kernel does not count, all around it does. */
static void test_bzimage(void)
{
    size_t payload = IMG_BZ_CODE + PAYLOAD;
    uint8_t image[IMG_MAX_SIZE];
    size_t len = build_packed(image, PAYLOAD, PAYLOAD_SIZE);

    check(image, len, false);
    sign(image, payload);
    sign(image, payload + PAYLOAD_SIZE - 8);
    sign(image, payload + PAYLOAD_SIZE - 20);
    check(image, len, false);
    sign(image, len - 8);
    check(image, len, true);
    build_packed(image, PAYLOAD, PAYLOAD_SIZE);
    sign(image, IMG_BZ_CODE);
    check(image, len, true);
    build_packed(image, PAYLOAD, PAYLOAD_SIZE);
    sign(image, payload - 8);
    check(image, len, true);
}

/* A payload that is not in the file: all of the code is looked at. */
static void test_wrong_payload(void)
{
    static const struct {
        uint32_t offset, size;
    } rows[] = {
        { PAYLOAD, UINT32_MAX }, { UINT32_MAX, PAYLOAD_SIZE }, { UINT32_MAX, UINT32_MAX },
        { IMG_BZ_CODE_SIZE, 1 }, { PAYLOAD, IMG_BZ_CODE_SIZE - PAYLOAD + 1 },
    };
    uint8_t image[IMG_MAX_SIZE];

    for (unsigned i = 0; i < G_N_ELEMENTS(rows); i++) {
        size_t len = build_packed(image, rows[i].offset, rows[i].size);

        g_test_message("row %u", i);
        check(image, len, false);
        sign(image, IMG_BZ_CODE + PAYLOAD);
        check(image, len, true);
    }
}

static void test_others(void)
{
    uint8_t image[IMG_MAX_SIZE];
    MachineState ms = { .kernel_filename = (char *)"/nonexistent/kernel" };
    const char *reason;

    g_assert_true(uses_acpi(image, image_build(IMAGE_ELF64_PVH, image), &reason));
    g_assert_cmpstr(reason, ==, "the kernel is PVH and not Linux");
    g_assert_false(uses_acpi(image, 3, &reason));
    g_assert_cmpstr(reason, ==, NO_FILE);
    g_assert_false(x86_kernel_uses_acpi(&ms, X86_BOOT_NONE, &reason));
    g_assert_cmpstr(reason, ==, NO_FILE);
    check(image, image_build(IMAGE_MULTIBOOT, image), false);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/acpi-probe/segments", test_segments);
    g_test_add_func("/acpi-probe/sections", test_sections);
    g_test_add_func("/acpi-probe/pieces", test_pieces);
    g_test_add_func("/acpi-probe/hostile-sections", test_hostile_sections);
    g_test_add_func("/acpi-probe/useless-sections", test_useless_sections);
    g_test_add_func("/acpi-probe/bzimage", test_bzimage);
    g_test_add_func("/acpi-probe/wrong-payload", test_wrong_payload);
    g_test_add_func("/acpi-probe/others", test_others);
    return g_test_run();
}
