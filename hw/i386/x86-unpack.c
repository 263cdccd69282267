/*
 * Unpacking of compressed kernels. Linux's build appends the unpacked size, four
 * bytes little-endian, to what a packer made of vmlinux (gzip's format ends with
 * it anyway); so one buffer of that size takes all of it, and more is an error.
 *
 * Formats: RFC 1952; the .xz file format 1.1; RFC 8878; LZ4's "legacy frame"
 * (lz4_Frame_format.md).
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <errno.h>
#include <glib.h>
#include <lz4.h>
#include <lzma.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <zlib.h>

#include "hw/i386/x86-boot-internal.h"
#include "qemu/cutils.h"
#include "qemu/le.h"
#include "qemu/zstd-lib.h"

#define SIZE_BYTES 4
/* For the dictionary, which the file chooses; xz -9 has 64 MiB. */
#define XZ_MEMORY_LIMIT (80 * MiB)
#define GZIP_WINDOW (MAX_WBITS + 16)    /* +16: with a gzip header */

/* Unpack all of in to exactly out_size bytes; false if they do not come out. */
typedef bool Unpacker(const uint8_t *in, size_t in_size, uint8_t *out,
                      size_t out_size);

static bool unpack_gzip(const uint8_t *in, size_t in_size, uint8_t *out,
                        size_t out_size)
{
    z_stream z = {
        .next_in = (Bytef *)in,
        .avail_in = in_size + SIZE_BYTES,   /* here it belongs to the format */
        .next_out = out,
        .avail_out = out_size,
    };
    int ret;

    if (inflateInit2(&z, GZIP_WINDOW) != Z_OK) {
        return false;
    }
    ret = inflate(&z, Z_FINISH);
    inflateEnd(&z);
    return ret == Z_STREAM_END && z.avail_out == 0;
}

static bool unpack_xz(const uint8_t *in, size_t in_size, uint8_t *out,
                      size_t out_size)
{
    uint64_t memory = XZ_MEMORY_LIMIT;
    size_t in_pos = 0, out_pos = 0;

    return lzma_stream_buffer_decode(&memory, 0, NULL, in, &in_pos, in_size,
                                     out, &out_pos, out_size) == LZMA_OK &&
           out_pos == out_size;
}

static bool unpack_zstd(const uint8_t *in, size_t in_size, uint8_t *out,
                        size_t out_size)
{
    ZstdLib lib;

    return zstd_lib_load(&lib, NULL) &&
           lib.decompress(out, out_size, in, in_size) == out_size;
}

/* The magic, then blocks: a size, and as many bytes to unpack. */
static bool unpack_lz4(const uint8_t *in, size_t in_size, uint8_t *out,
                       size_t out_size)
{
    size_t at = 4, done = 0;

    while (at + 4 <= in_size) {
        uint32_t len = ld_le(in + at, 4);
        int n;

        at += 4;
        if (len > in_size - at || len > INT32_MAX) {
            return false;
        }
        n = LZ4_decompress_safe((const char *)in + at, (char *)out + done, len,
                                MIN(out_size - done, INT32_MAX));
        if (n < 0) {
            return false;
        }
        at += len;
        done += n;
    }
    return at == in_size && done == out_size;
}

static const struct {
    uint8_t magic[6];
    uint8_t len;
    Unpacker *unpack;
} formats[] = {
    { { 0x1f, 0x8b }, 2, unpack_gzip },
    { { 0xfd, '7', 'z', 'X', 'Z', 0 }, 6, unpack_xz },
    { { 0x28, 0xb5, 0x2f, 0xfd }, 4, unpack_zstd },
    { { 0x02, 0x21, 0x4c, 0x18 }, 4, unpack_lz4 },
};

static Unpacker *find_unpacker(const uint8_t *in)
{
    for (unsigned i = 0; i < G_N_ELEMENTS(formats); i++) {
        if (memcmp(in, formats[i].magic, formats[i].len) == 0) {
            return formats[i].unpack;
        }
    }
    return NULL;
}

/* A memory file with what comes out of in; its descriptor or negative errno. */
static int unpack_to_file(Unpacker *unpack, const uint8_t *in, size_t in_size,
                          size_t out_size)
{
    int fd = memfd_create("kernel", MFD_CLOEXEC), err = 0;
    uint8_t *out;

    if (fd < 0) {
        return -errno;
    }
    if (ftruncate(fd, out_size) < 0) {
        err = -errno;
        goto out;
    }
    out = mmap(NULL, out_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (out == MAP_FAILED) {
        err = -errno;
        goto out;
    }
    if (!unpack(in, in_size, out, out_size)) {
        err = -EINVAL;
    }
    munmap(out, out_size);
out:
    if (err < 0) {
        close(fd);
    }
    return err < 0 ? err : fd;
}

int x86_unpack(int fd, const X86Payload *payload, uint64_t *size)
{
    g_autofree uint8_t *in = NULL;
    Unpacker *unpack;
    ssize_t n;

    if (payload->size < sizeof(formats[0].magic) + SIZE_BYTES) {
        return -ENOTSUP;
    }
    in = g_try_malloc(payload->size);
    if (!in) {
        return -ENOMEM;
    }
    n = qemu_pread_full(fd, in, payload->size, payload->offset);
    if (n < 0 || (uint64_t)n < payload->size) {
        return n < 0 ? n : -EINVAL;
    }
    unpack = find_unpacker(in);
    if (!unpack) {
        return -ENOTSUP;
    }
    *size = ld_le(in + payload->size - SIZE_BYTES, SIZE_BYTES);
    if (*size == 0 || *size > payload->limit) {
        return -EINVAL;
    }
    return unpack_to_file(unpack, in, payload->size - SIZE_BYTES, *size);
}
