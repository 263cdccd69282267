/*
 * Kernels in bzImages: all formats come out whole and boot like ELF files, and
 * whatever is broken is left to the guest.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <errno.h>
#include <glib.h>
#include <lz4.h>
#include <lzma.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>
#include <zstd.h>

#include "boot-machine.h"
#include "hw/i386/x86-boot-internal.h"
#include "kernel-image.h"
#include "qemu/cutils.h"
#include "qemu/le.h"
#include "sysemu/accel.h"

#define RAM_SIZE (64 * MiB)
#define PACKED_MAX 0x4000
#define PAYLOAD 0x300           /* where it lies in the image's code */
#define FILE_MAX (IMG_BZ_CODE + PACKED_MAX)

/* packers: all return the size --------------------------------------------- */

typedef size_t Packer(const uint8_t *in, size_t size, uint8_t *out);

static size_t pack_gzip(const uint8_t *in, size_t size, uint8_t *out)
{
    z_stream z = { .next_in = (Bytef *)in, .avail_in = size,
                   .next_out = out, .avail_out = PACKED_MAX };

    g_assert_cmpint(deflateInit2(&z, 9, Z_DEFLATED, MAX_WBITS + 16, 9,
                                 Z_DEFAULT_STRATEGY), ==, Z_OK);
    g_assert_cmpint(deflate(&z, Z_FINISH), ==, Z_STREAM_END);
    deflateEnd(&z);
    return z.total_out - 4;     /* the size is the format's own */
}

/* With the filter for x86 code, as Linux does it. */
static size_t pack_xz(const uint8_t *in, size_t size, uint8_t *out)
{
    lzma_options_lzma options;
    lzma_filter filters[] = {
        { LZMA_FILTER_X86, NULL }, { LZMA_FILTER_LZMA2, &options },
        { LZMA_VLI_UNKNOWN, NULL },
    };
    size_t n = 0;

    g_assert_false(lzma_lzma_preset(&options, 6));
    options.dict_size = 32 * MiB;
    g_assert_cmpint(lzma_stream_buffer_encode(filters, LZMA_CHECK_CRC32, NULL, in, size,
                                              out, &n, PACKED_MAX), ==, LZMA_OK);
    return n;
}

static size_t pack_zstd(const uint8_t *in, size_t size, uint8_t *out)
{
    size_t n = ZSTD_compress(out, PACKED_MAX, in, size, 19);

    g_assert_false(ZSTD_isError(n));
    return n;
}

/* Several blocks, so that their borders are seen. */
static size_t pack_lz4(const uint8_t *in, size_t size, uint8_t *out)
{
    size_t n = 4;

    memcpy(out, "\x02\x21\x4c\x18", 4);
    for (size_t at = 0; at < size; at += 0x1000) {
        int len = LZ4_compress_default((const char *)in + at, (char *)out + n + 4,
                                       MIN(0x1000, size - at), PACKED_MAX - n - 4);

        g_assert_cmpint(len, >, 0);
        st_le(out + n, len, 4);
        n += 4 + len;
    }
    return n;
}

static const struct {
    const char *name;
    Packer *pack;
} packers[] = {
    { "gzip", pack_gzip }, { "xz", pack_xz }, { "zstd", pack_zstd },
    { "lz4", pack_lz4 },
};

/* images ------------------------------------------------------------------- */

/* A bzImage around the packed ELF kernel; its size. */
static size_t build(Packer *pack, uint8_t file[FILE_MAX])
{
    uint8_t elf[IMG_MAX_SIZE], head[IMG_MAX_SIZE];
    size_t size = image_build(IMAGE_ELF64_PVH, elf), n, code;

    image_build(IMAGE_BZIMAGE, head);
    memset(file, 0, FILE_MAX);
    memcpy(file, head, IMG_BZ_CODE + PAYLOAD);
    n = pack(elf, size, file + IMG_BZ_CODE + PAYLOAD);
    st_le(file + IMG_BZ_CODE + PAYLOAD + n, size, 4);
    n += 4;
    code = QEMU_ALIGN_UP(PAYLOAD + n, 16);
    st_le(file + 0x1f4, code / 16, 4);     /* syssize */
    st_le(file + 0x248, PAYLOAD, 4);       /* payload_offset, payload_length */
    st_le(file + 0x24c, n, 4);
    return IMG_BZ_CODE + code;
}

static int unpack(const uint8_t *file, size_t size, uint64_t limit,
                  uint64_t *out_size)
{
    char name[64];
    X86KernelFile f = { .fd = boot_file(file, size, name), .size = size };
    X86Payload payload;
    int fd = -ENOENT;

    if (x86_bzimage_payload(&f, &payload)) {
        payload.limit = MIN(payload.limit, limit);
        fd = x86_unpack(f.fd, &payload, out_size);
    }
    close(f.fd);
    return fd;
}

static void test_whole(gconstpointer data)
{
    uint8_t file[FILE_MAX], elf[IMG_MAX_SIZE], out[IMG_MAX_SIZE];
    size_t size = build(packers[GPOINTER_TO_UINT(data)].pack, file);
    size_t elf_size = image_build(IMAGE_ELF64_PVH, elf);
    uint64_t out_size = 0;
    int fd = unpack(file, size, RAM_SIZE, &out_size);

    g_assert_cmpint(fd, >=, 0);
    g_assert_cmpuint(out_size, ==, elf_size);
    g_assert_cmpint(pread(fd, out, sizeof(out), 0), ==, elf_size);
    g_assert_cmpmem(out, elf_size, elf, elf_size);
    close(fd);
    /* No byte more than what the guest has. */
    g_assert_cmpint(unpack(file, size, elf_size, &out_size), >=, 0);
    g_assert_cmpint(unpack(file, size, elf_size - 1, &out_size), ==, -EINVAL);
}

/* Sizes that lie, ends cut off. */
static void test_lies(gconstpointer data)
{
    uint8_t good[FILE_MAX], file[FILE_MAX];
    size_t size = build(packers[GPOINTER_TO_UINT(data)].pack, good);
    size_t n = ld_le(good + 0x24c, 4), end = IMG_BZ_CODE + PAYLOAD + n;
    static const uint64_t sizes[] = { 0, 1, IMG_ELF_SIZE - 1, IMG_ELF_SIZE + 1,
                                      IMG_BZ_INIT_SIZE, 0x7fffffff, 0xffffffff };
    uint64_t out_size;

    for (unsigned i = 0; i < G_N_ELEMENTS(sizes); i++) {
        memcpy(file, good, sizeof(file));
        st_le(file + end - 4, sizes[i], 4);
        g_assert_cmpint(unpack(file, size, RAM_SIZE, &out_size), <, 0);
    }
    for (size_t cut = 0; cut < n; cut++) {
        memcpy(file, good, sizeof(file));
        st_le(file + 0x24c, cut, 4);
        if (cut >= 4) {
            st_le(file + IMG_BZ_CODE + PAYLOAD + cut - 4, IMG_ELF_SIZE, 4);
        }
        g_assert_cmpint(unpack(file, size, RAM_SIZE, &out_size), <, 0);
    }
    memcpy(file, good, sizeof(file));
    st_le(file + 0x24c, 0xffffffff, 4);
    g_assert_cmpint(unpack(file, size, RAM_SIZE, &out_size), ==, -ENOENT);
    memset(file + IMG_BZ_CODE + PAYLOAD, 0x42, 6);
    st_le(file + 0x24c, n, 4);
    g_assert_cmpint(unpack(file, size, RAM_SIZE, &out_size), ==, -ENOTSUP);
}

/* Any byte may be any other: nothing bad happens, whatever comes out. */
static void test_noise(gconstpointer data)
{
    uint8_t good[FILE_MAX], file[FILE_MAX];
    size_t size = build(packers[GPOINTER_TO_UINT(data)].pack, good);
    uint64_t out_size;

    for (unsigned i = 0; i < 300; i++) {
        memcpy(file, good, size);
        for (unsigned n = g_test_rand_int_range(1, 4); n; n--) {
            file[g_test_rand_int_range(IMG_BZ_CODE + PAYLOAD, size)] =
                g_test_rand_int_range(0, 256);
        }
        int fd = unpack(file, size, RAM_SIZE, &out_size);
        if (fd >= 0) {
            g_assert_cmpuint(out_size, <=, IMG_BZ_INIT_SIZE);
            close(fd);
        }
    }
}

/* loading ------------------------------------------------------------------ */

static const AccelClass slow_class = { .unpack_kernels = true };

static void load(BootAttempt *a, const uint8_t *file, size_t size, bool slow)
{
    AccelState accel = { .obj.oc = &slow_class.oc };
    char name[64];
    int fd = boot_file(file, size, name);

    memset(a, 0, sizeof(*a));
    boot_machine_init(&a->m, RAM_SIZE);
    a->m.ms.kernel_filename = name;
    a->m.ms.accel = slow ? &accel : NULL;
    a->ok = x86_load_linux(&a->m.ms, "x", 0, &a->boot, &a->err);
    close(fd);
    a->m.ms.accel = NULL;
    g_assert_true(a->ok);
}

/* The ELF kernel is entered, and there again after a reset. */
static void test_load(void)
{
    uint8_t file[FILE_MAX], elf[IMG_MAX_SIZE];
    size_t size = build(pack_zstd, file);
    BootAttempt a;

    image_build(IMAGE_ELF64_PVH, elf);
    load(&a, file, size, true);
    g_assert_cmpint(a.boot.protocol, ==, X86_BOOT_PVH);
    g_assert_cmphex(a.boot.entry, ==, IMG_PVH_ENTRY);
    for (unsigned i = 0; i < 3; i++) {
        g_assert_true(rom_reset_all(&a.m.ms, i == 0));
        g_assert_cmpmem(a.m.ram + IMG_TEXT_ADDR, IMG_ELF_TEXT_SIZE,
                        elf + IMG_ELF_TEXT, IMG_ELF_TEXT_SIZE);
        g_assert_cmpmem(a.m.ram + IMG_DATA_ADDR, IMG_ELF_DATA_SIZE,
                        elf + IMG_ELF_DATA, IMG_ELF_DATA_SIZE);
        g_assert_cmphex(a.m.ram[IMG_DATA_ADDR + IMG_ELF_DATA_SIZE], ==, 0);
        memset(a.m.ram + IMG_TEXT_ADDR, 0xcc, 2 * MiB + IMG_DATA_MEM);
    }
    boot_done(&a);
}

/* Fast guests unpack themselves; so do those whose payload is strange. */
static void test_stub(void)
{
    uint8_t file[FILE_MAX];
    size_t size = build(pack_gzip, file);
    BootAttempt a;

    load(&a, file, size, false);
    g_assert_cmpint(a.boot.protocol, ==, X86_BOOT_LINUX64);
    boot_done(&a);
    file[IMG_BZ_CODE + PAYLOAD + 20] ^= 0x55;
    load(&a, file, size, true);
    g_assert_cmpint(a.boot.protocol, ==, X86_BOOT_LINUX64);
    g_assert_true(rom_reset_all(&a.m.ms, true));
    g_assert_cmpmem(a.m.ram + IMG_TEXT_ADDR, 0x1000, file + IMG_BZ_CODE, 0x1000);
    boot_done(&a);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    for (unsigned i = 0; i < G_N_ELEMENTS(packers); i++) {
        g_autofree char *whole = g_strdup_printf("/x86-unpack/%s/whole", packers[i].name);
        g_autofree char *lies = g_strdup_printf("/x86-unpack/%s/lies", packers[i].name);
        g_autofree char *noise = g_strdup_printf("/x86-unpack/%s/noise", packers[i].name);

        g_test_add_data_func(whole, GUINT_TO_POINTER(i), test_whole);
        g_test_add_data_func(lies, GUINT_TO_POINTER(i), test_lies);
        g_test_add_data_func(noise, GUINT_TO_POINTER(i), test_noise);
    }
    g_test_add_func("/x86-unpack/load", test_load);
    g_test_add_func("/x86-unpack/stub", test_stub);
    return g_test_run();
}
