/*
 * Compressed clusters of a qcow2 image: deflate or zstd, read only.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <errno.h>
#include <zlib.h>

#include "qcow2.h"

/* deflate without zlib's head, whatever window it was made with. */
static bool inflate_cluster(const Qcow2Node *s, const uint8_t *in, size_t in_len,
                            uint8_t *out, size_t out_len)
{
    z_stream z = { .next_in = (uint8_t *)in, .avail_in = in_len,
                   .next_out = out, .avail_out = out_len };
    int ret;

    if (inflateInit2(&z, -15) != Z_OK) {
        return false;
    }
    ret = inflate(&z, Z_FINISH);
    inflateEnd(&z);
    /* The size is in whole sectors, so there may be more to read than belongs to it. */
    return (ret == Z_STREAM_END || ret == Z_BUF_ERROR) && !z.avail_out;
}

static bool unzstd_cluster(const Qcow2Node *s, const uint8_t *in, size_t in_len,
                           uint8_t *out, size_t out_len)
{
    const ZstdLib *lib = &s->zstd;
    ZSTD_inBuffer src = { in, in_len, 0 };
    ZSTD_outBuffer dst = { out, out_len, 0 };
    ZSTD_DStream *d = lib->new_stream();
    size_t ret = 1;

    if (!d || lib->is_error(lib->set_parameter(d, ZSTD_d_windowLogMax, 22))) {
        lib->free_stream(d);
        return false;
    }
    while (dst.pos < dst.size && src.pos < src.size && !lib->is_error(ret)) {
        ret = lib->decompress_stream(d, &dst, &src);
    }
    lib->free_stream(d);
    return dst.pos == dst.size && !lib->is_error(ret);
}

/* "Compressed Clusters Descriptor": the host's offset, then sectors after the first. */
void qcow2_compressed_range(const Qcow2Node *s, uint64_t entry, uint64_t *first, uint64_t *last)
{
    unsigned offset_bits = 62 - (s->cluster_bits - 8);
    uint64_t sectors = (entry & (QCOW2_COMPRESSED - 1)) >> offset_bits;

    *first = entry & ((1ull << offset_bits) - 1);
    *last = QEMU_ALIGN_DOWN(*first, BDRV_SECTOR_SIZE) + (sectors + 1) * BDRV_SECTOR_SIZE - 1;
}

int qcow2_read_compressed(Qcow2Node *s, uint64_t entry, uint8_t *buf)
{
    g_autofree uint8_t *in = NULL;
    uint64_t offset, last;
    size_t len;
    int ret;

    qcow2_compressed_range(s, entry, &offset, &last);
    if (offset >= s->h.file_length) {
        return -EIO;
    }
    len = MIN(last + 1, s->h.file_length) - offset;
    in = g_malloc(len);
    ret = block_pread(s->bs.file, offset, in, len);
    if (ret < 0) {
        return ret;
    }
    return (s->h.compression ? unzstd_cluster : inflate_cluster)(s, in, len, buf, s->cluster_size)
           ? 0 : -EIO;
}
