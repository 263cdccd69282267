/*
 * Malformed kernel files: each is refused in words, or makes sense after all.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <glib.h>
#include <string.h>
#include <unistd.h>

#include "boot-machine.h"
#include "hw/i386/x86-boot-internal.h"
#include "kernel-image.h"
#include "qemu/cutils.h"
#include "qemu/le.h"

#define RAM_SIZE (64 * MiB)

/* One change each, and words of the error. */

typedef struct BadFile {
    ImageKind kind;
    unsigned offset;
    uint64_t value;
    unsigned size;
    const char *message;
} BadFile;

#define EH(field) offsetof(Elf64_Ehdr, field)
#define PH(n, field) (sizeof(Elf64_Ehdr) + (n) * sizeof(Elf64_Phdr) + \
                      offsetof(Elf64_Phdr, field))
#define NOTE(off) (IMG_ELF_NOTE + 24 + (off))

static const BadFile bad_files[] = {
    { IMAGE_ELF64, 0, 0x7e, 1, "invalid kernel header" },
    { IMAGE_ELF64, EI_CLASS, 3, 1, "class" },
    { IMAGE_ELF64, EI_DATA, ELFDATA2MSB, 1, "little-endian" },
    { IMAGE_ELF64, EI_VERSION, 0, 1, "version" },
    { IMAGE_ELF64, EH(e_machine), EM_AARCH64, 2, "machine" },
    { IMAGE_ELF64, EH(e_machine), EM_386, 2, "machine" },
    { IMAGE_ELF64, EH(e_type), ET_REL, 2, "type" },
    { IMAGE_ELF64, EH(e_type), ET_CORE, 2, "type" },
    { IMAGE_ELF64, EH(e_phnum), 0, 2, "no program headers" },
    { IMAGE_ELF64, EH(e_phnum), PN_XNUM, 2, "too many" },
    { IMAGE_ELF64, EH(e_phnum), 257, 2, "too many" },
    { IMAGE_ELF64, EH(e_phentsize), 0, 2, "program headers of" },
    { IMAGE_ELF64, EH(e_phentsize), 55, 2, "program headers of" },
    { IMAGE_ELF64, EH(e_phentsize), 0xffff, 2, "program headers of" },
    { IMAGE_ELF64, EH(e_phoff), UINT64_MAX, 8, "program header table" },
    { IMAGE_ELF64, EH(e_phoff), UINT64_MAX - 100, 8, "program header table" },
    { IMAGE_ELF64, EH(e_phoff), IMG_ELF_SIZE - 1, 8, "program header table" },
    { IMAGE_ELF64, EH(e_entry), 0, 8, "entry point" },
    { IMAGE_ELF64, EH(e_entry), IMG_TEXT_ADDR - 1, 8, "entry point" },
    { IMAGE_ELF64, EH(e_entry), IMG_TEXT_ADDR + IMG_ELF_TEXT_SIZE, 8,
      "entry point" },
    { IMAGE_ELF64, EH(e_entry), 0xffffffff81000000, 8, "entry point" },
    { IMAGE_ELF64, PH(0, p_offset), UINT64_MAX, 8, "beyond the end" },
    { IMAGE_ELF64, PH(0, p_offset), IMG_ELF_SIZE, 8, "beyond the end" },
    { IMAGE_ELF64, PH(0, p_filesz), UINT64_MAX, 8, "beyond the end" },
    { IMAGE_ELF64, PH(0, p_filesz), IMG_ELF_TEXT_SIZE + 1, 8, "larger than" },
    { IMAGE_ELF64, PH(0, p_memsz), 1, 8, "larger than" },
    { IMAGE_ELF64, PH(1, p_memsz), UINT64_MAX, 8, "wrap around" },
    { IMAGE_ELF64, PH(1, p_memsz), RAM_SIZE, 8, "RAM ends" },
    { IMAGE_ELF64, PH(1, p_memsz), 0x7000000000000000, 8, "RAM ends" },
    { IMAGE_ELF64, PH(1, p_paddr), UINT64_MAX, 8, "wrap around" },
    { IMAGE_ELF64, PH(1, p_paddr), UINT64_MAX - IMG_DATA_MEM, 8, "no RAM" },
    { IMAGE_ELF64, PH(1, p_paddr), RAM_SIZE - 1, 8, "RAM ends" },
    { IMAGE_ELF64, PH(1, p_paddr), 0xd0000000, 8, "RAM ends" },
    { IMAGE_ELF64_PVH, PH(1, p_paddr), 0xd0000000, 8, "RAM ends" },
    { IMAGE_ELF64_PVH, PH(1, p_paddr), RAM_SIZE - 1, 8, "RAM ends" },
    { IMAGE_ELF64_PVH, PH(1, p_memsz), 1ULL << 60, 8, "RAM ends" },
    { IMAGE_ELF64, PH(1, p_paddr), IMG_TEXT_ADDR, 8, "overlaps" },
    { IMAGE_ELF64, PH(1, p_paddr), IMG_TEXT_ADDR + IMG_ELF_TEXT_SIZE - 1, 8,
      "overlaps" },
    { IMAGE_ELF64, PH(1, p_paddr), IMG_TEXT_ADDR - 1, 8, "overlaps" },
    { IMAGE_ELF64, PH(0, p_type), PT_NULL, 4, "entry point" },
    { IMAGE_ELF64, PH(2, p_filesz), UINT64_MAX, 8, "beyond the end" },
    { IMAGE_ELF64, PH(2, p_offset), UINT64_MAX - 3, 8, "beyond the end" },
    { IMAGE_ELF64_PVH, NOTE(0), 0xffffffff, 4, "note ends beyond" },
    { IMAGE_ELF64_PVH, NOTE(4), 0xffffffff, 4, "note ends beyond" },
    { IMAGE_ELF64_PVH, NOTE(-24), 0xffffffff, 4, "note ends beyond" },
    { IMAGE_ELF64_PVH, NOTE(-20), 0xffffffff, 4, "note ends beyond" },
    { IMAGE_ELF64_PVH, NOTE(-24), 0xfffffffd, 4, "note ends beyond" },
    { IMAGE_ELF64_PVH, NOTE(4), 7, 4, "4 or 8" },
    { IMAGE_ELF64_PVH, NOTE(4), 0, 4, "4 or 8" },
    { IMAGE_ELF64_PVH, NOTE(16), 0, 8, "entry point" },
    { IMAGE_ELF64_PVH, NOTE(16), UINT64_MAX, 8, "entry point" },
    { IMAGE_ELF64_PVH, NOTE(16), 1ULL << 32 | IMG_PVH_ENTRY, 8,
      "entry point" },
    { IMAGE_ELF32_PVH, NOTE(8), 19, 4, "needs a PVH note" },
    { IMAGE_ELF32_PVH, NOTE(12), 'x', 1, "needs a PVH note" },
    { IMAGE_ELF32_PVH, NOTE(16), 0xffffffff, 4, "entry point" },
    { IMAGE_ELF32_PVH, offsetof(Elf32_Ehdr, e_machine), EM_X86_64, 2,
      "machine" },
    { IMAGE_ELF32_PVH, offsetof(Elf32_Ehdr, e_phoff), 0xffffffff, 4,
      "program header table" },
    { IMAGE_ELF32_PVH, offsetof(Elf32_Ehdr, e_phentsize), 56, 2,
      "program headers of" },

    { IMAGE_BZIMAGE, 0x1fe, 0, 2, "invalid kernel header" },
    { IMAGE_BZIMAGE, 0x202, 0, 4, "invalid kernel header" },
    { IMAGE_BZIMAGE, 0x206, 0, 2, "too old" },
    { IMAGE_BZIMAGE, 0x206, 0x1ff, 2, "too old" },
    { IMAGE_BZIMAGE, 0x206, 0x209, 2, "too old" },
    { IMAGE_MULTIBOOT32, IMG_MB_ELF_HEADER, 0, 4, "PVH note or a Multiboot" },
    { IMAGE_MULTIBOOT32, IMG_MB_ELF_HEADER + 8, 1, 4, "PVH note or a Multiboot" },
    { IMAGE_MULTIBOOT, IMG_MB_HEADER, 0, 4, "neither ELF" },
    { IMAGE_MULTIBOOT, IMG_MB_HEADER + 8, 0, 4, "neither ELF" },
    { IMAGE_MULTIBOOT, IMG_MB_HEADER + 12, IMG_TEXT_ADDR - 1, 4, "load address" },
    { IMAGE_MULTIBOOT, IMG_MB_HEADER + 12, 0xffffffff, 4, "load address" },
    { IMAGE_MULTIBOOT, IMG_MB_HEADER + 16, 0, 4, "load address" },
    { IMAGE_MULTIBOOT, IMG_MB_HEADER + 20, IMG_TEXT_ADDR, 4, "end of data" },
    { IMAGE_MULTIBOOT, IMG_MB_HEADER + 20, IMG_TEXT_ADDR + IMG_MB_SIZE + 1, 4, "end of data" },
    { IMAGE_MULTIBOOT, IMG_MB_HEADER + 20, 0xffffffff, 4, "end of data" },
    { IMAGE_MULTIBOOT, IMG_MB_HEADER + 28, IMG_TEXT_ADDR - 1, 4, "entry point" },
    { IMAGE_MULTIBOOT, IMG_MB_HEADER + 28, IMG_TEXT_ADDR + IMG_MB_MEM, 4, "entry point" },
    { IMAGE_BZIMAGE, 0x211, 0xfe, 1, "zImage" },
    { IMAGE_BZIMAGE, 0x1f1, 6, 1, "invalid kernel header" },
    { IMAGE_BZIMAGE, 0x1f1, 255, 1, "invalid kernel header" },
    { IMAGE_BZIMAGE, 0x1f4, IMG_BZ_CODE_SIZE / 16 + 1, 4,
      "invalid kernel header" },
    { IMAGE_BZIMAGE, 0x1f4, 0xffffffff, 4, "invalid kernel header" },
    { IMAGE_BZIMAGE, 0x1f4, 0, 4, "invalid kernel header" },
    { IMAGE_BZIMAGE, 0x1f4, 0x20, 4, "invalid kernel header" },
    { IMAGE_BZIMAGE, 0x230, 0, 4, "alignment" },
    { IMAGE_BZIMAGE, 0x230, 3, 4, "alignment" },
    { IMAGE_BZIMAGE, 0x230, 0x80000000, 4, "RAM ends" },
    { IMAGE_BZIMAGE, 0x258, 0, 8, "preferred address" },
    { IMAGE_BZIMAGE, 0x258, 0xfffff, 8, "preferred address" },
    { IMAGE_BZIMAGE, 0x258, UINT64_MAX, 8, "preferred address" },
    { IMAGE_BZIMAGE, 0x258, 1ULL << 32, 8, "preferred address" },
    { IMAGE_BZIMAGE, 0x258, 0xffffffff, 8, "RAM ends" },
    { IMAGE_BZIMAGE, 0x260, 0, 4, "init_size" },
    { IMAGE_BZIMAGE, 0x260, IMG_BZ_CODE_SIZE - 1, 4, "init_size" },
    { IMAGE_BZIMAGE, 0x260, 0xffffffff, 4, "RAM ends" },
    { IMAGE_BZIMAGE, 0x201, 0, 1, "it ends at" },
    { IMAGE_BZIMAGE, 0x201, 0x61, 1, "it ends at" },
};

static void test_bad_files(void)
{
    uint8_t image[IMG_MAX_SIZE];
    BootAttempt a;

    for (unsigned i = 0; i < G_N_ELEMENTS(bad_files); i++) {
        const BadFile *b = &bad_files[i];
        size_t len = image_build(b->kind, image);

        st_le(image + b->offset, b->value, b->size);
        boot_load(&a, RAM_SIZE, image, len, NULL, "");
        if (a.ok || !strstr(error_get_pretty(a.err), b->message)) {
            g_error("row %u (kind %d, offset 0x%x): got \"%s\", wanted \"%s\"",
                    i, b->kind, b->offset,
                    a.ok ? "success" : error_get_pretty(a.err), b->message);
        }
        boot_done(&a);
    }
}

/* Any file at all ---------------------------------------------------------- */

static void check_kernel(const X86Kernel *k, uint64_t file_size)
{
    bool entry_seen = false;

    g_assert_cmpuint(k->nr_segments, >, 0);
    g_assert_cmpuint(k->nr_segments, <=, X86_KERNEL_MAX_SEGMENTS);
    g_assert_cmpint(k->protocol, >, X86_BOOT_NONE);
    g_assert_cmpint(k->protocol, <=, X86_BOOT_MULTIBOOT);
    for (unsigned i = 0; i < k->nr_segments; i++) {
        const RomSegment *s = &k->segments[i];

        g_assert_cmphex(s->size, <=, s->mem_size);
        g_assert_cmphex(s->offset, <=, file_size);
        g_assert_cmphex(s->size, <=, file_size - s->offset);
        g_assert_cmphex(s->addr + s->mem_size, >, s->addr);
        g_assert_true(s->addr >= 4 * GiB ||
                      (k->start <= s->addr &&
                       k->end >= s->addr + s->mem_size));
        entry_seen |= k->entry >= s->addr &&
                      k->entry - s->addr < s->mem_size;
    }
    g_assert_true(entry_seen);
}

/* True when the file was accepted. */
static bool parse_any(int fd, size_t len)
{
    X86KernelFile file = { .fd = fd, .size = len };
    g_autofree X86Kernel *k = g_new0(X86Kernel, 1);
    g_autoptr(Error) err = NULL;
    bool ok = x86_kernel_parse(&file, k, &err);

    g_assert_cmpint(ok, ==, err == NULL);
    if (ok) {
        check_kernel(k, len);
    }
    return ok;
}

/* Every length that a broken download may leave. */
static void test_truncated(gconstpointer data)
{
    uint8_t image[IMG_MAX_SIZE];
    size_t len = image_build(GPOINTER_TO_INT(data), image);
    char name[64];
    int fd = boot_file(image, len, name);

    g_assert_true(parse_any(fd, len));
    /* A bzImage may lack a part of its last 16 bytes (test-x86-boot.c). */
    len -= GPOINTER_TO_INT(data) == IMAGE_BZIMAGE ? 15 : 0;
    while (len-- > 0) {
        g_assert_cmpint(ftruncate(fd, len), ==, 0);
        g_assert_false(parse_any(fd, len));
    }
    close(fd);
}

/* Every header byte with every value that matters: survives, makes sense. */
static void test_mutated(gconstpointer data)
{
    static const uint8_t values[] = {
        0x00, 0x01, 0x04, 0x7f, 0x80, 0xfe, 0xff,
    };
    uint8_t image[IMG_MAX_SIZE];
    size_t len = image_build(GPOINTER_TO_INT(data), image);
    unsigned accepted = 0, refused = 0;
    char name[64];
    int fd = boot_file(image, len, name);

    for (size_t off = 0; off < 0x500; off++) {
        for (unsigned i = 0; i < G_N_ELEMENTS(values); i++) {
            g_assert_cmpint(pwrite(fd, &values[i], 1, off), ==, 1);
            *(parse_any(fd, len) ? &accepted : &refused) += 1;
        }
        g_assert_cmpint(pwrite(fd, &image[off], 1, off), ==, 1);
    }
    g_assert_cmpuint(accepted, >, 0);
    g_assert_cmpuint(refused, >, 0);
    close(fd);
}

/* Several random bytes at once; the seed is fixed, so failures repeat. */
static void test_random(gconstpointer data)
{
    uint8_t image[IMG_MAX_SIZE], bad[IMG_MAX_SIZE];
    size_t len = image_build(GPOINTER_TO_INT(data), image);
    GRand *rand = g_rand_new_with_seed(20);
    char name[64];
    int fd = boot_file(image, len, name);

    for (unsigned round = 0; round < 5000; round++) {
        memcpy(bad, image, 0x500);
        for (int n = g_rand_int_range(rand, 1, 9); n > 0; n--) {
            unsigned off = g_rand_int_range(rand, 0, 0x500);
            unsigned size = 1 << g_rand_int_range(rand, 0, 4);

            st_le(bad + off, g_rand_boolean(rand) ? g_rand_int(rand)
                  : UINT64_MAX - g_rand_int_range(rand, 0, 16), size);
        }
        g_assert_cmpint(pwrite(fd, bad, 0x500, 0), ==, 0x500);
        parse_any(fd, len);
    }
    g_rand_free(rand);
    close(fd);
}

static void add_for_each_kind(const char *name, GTestDataFunc fn)
{
    static const char *const kinds[] = {
        "elf64", "elf64-pvh", "elf32-pvh", "bzimage", "multiboot-elf32", "multiboot",
    };

    for (int i = 0; i < IMAGE__MAX; i++) {
        g_autofree char *path = g_strdup_printf("/kernel-file/%s/%s", name,
                                                kinds[i]);

        g_test_add_data_func(path, GINT_TO_POINTER(i), fn);
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/kernel-file/bad", test_bad_files);
    add_for_each_kind("truncated", test_truncated);
    add_for_each_kind("mutated", test_mutated);
    add_for_each_kind("random", test_random);
    return g_test_run();
}
