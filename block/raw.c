/*
 * The "raw" format: what is in the file is what is on the disk.
 *
 * Where the format was only guessed, a guest must not be able to write a header
 * that is taken for another format next time: such writes to the first sector
 * fail.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "raw.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "job-internal.h"
#include "qemu/cutils.h"
#include "qemu/iov.h"

/* What images of other formats begin with. */
static const struct {
    const char *format;
    const char *magic;
    unsigned len, offset;
} image_magics[] = {
    { "qcow", "QFI\xfb\0\0\0\1", 8, 0 },
    { "qcow2", "QFI\xfb", 4, 0 },
    { "qed", "QED\0", 4, 0 },
    { "vmdk", "KDMV", 4, 0 },
    { "vmdk", "COWD", 4, 0 },
    { "vmdk", "# Disk Descriptor", 17, 0 },
    { "vpc", "conectix", 8, 0 },
    { "vhdx", "vhdxfile", 8, 0 },
    { "vdi", "\x7f\x10\xda\xbe", 4, 64 },
    { "luks", "LUKS\xba\xbe", 6, 0 },
    { "parallels", "WithoutFreeSpace", 16, 0 },
    { "parallels", "WithouFreSpacExt", 16, 0 },
    { "bochs", "Bochs Virtual HD Image", 22, 0 },
    { "cloop", "#!/bin/sh\n#V2.0 Format\n", 23, 0 },
};

const char *block_probe_format(const uint8_t *sector)
{
    for (unsigned i = 0; i < G_N_ELEMENTS(image_magics); i++) {
        if (!memcmp(sector + image_magics[i].offset, image_magics[i].magic,
                    image_magics[i].len)) {
            return image_magics[i].format;
        }
    }
    return "raw";
}

static bool raw_open(BlockNode *bs, Error **errp)
{
    RawNode *raw = downcast(bs, RawNode, bs);
    uint64_t length = bs->file->length;

    if (raw->offset % BDRV_SECTOR_SIZE || raw->offset > length) {
        error_setg(errp, "offset %" PRIu64 " is not a multiple of 512 within the "
                   "image", raw->offset);
        return false;
    }
    length -= raw->offset;
    if (raw->has_size) {
        if (raw->size % BDRV_SECTOR_SIZE || raw->size > length) {
            error_setg(errp, "size %" PRIu64 " is not a multiple of 512 within "
                       "the image", raw->size);
            return false;
        }
        length = raw->size;
    }
    if (bs->file->is_ro && !bs->read_only && !bs->file->auto_read_only) {
        error_setg(errp, "Block node is read-only");
        return false;
    }
    bs->is_ro |= bs->file->is_ro;
    bs->length = length;
    bs->align = bs->file->align;
    bs->mem_align = bs->file->mem_align;
    bs->filename = bs->file->filename;
    bs->direct = bs->file->direct;
    bs->no_flush |= bs->file->no_flush;
    return true;
}

static bool touches_header(const RawNode *raw, const BlockRequest *req)
{
    return raw->probed && req->node_op == BLOCK_OP_WRITE &&
           req->pos < BDRV_SECTOR_SIZE && req->bytes;
}

static void raw_submit(BlockNode *bs, BlockRequest *req)
{
    RawNode *raw = downcast(bs, RawNode, bs);

    if (touches_header(raw, req)) {
        BlockEngine *pool = block_pool(bs);

        pool->ops->submit(pool, req);
        return;
    }
    if (req->node_op == BLOCK_OP_FLUSH && bs->no_flush) {
        block_request_done(req, 0);
        return;
    }
    req->pos += raw->offset;
    block_submit(bs->file, req);
}

/*
 * The first sector is judged and written from a copy that the guest cannot
 * change meanwhile; sectors are whole, so the rest follows.
 */
static int write_header(RawNode *raw, BlockRequest *req)
{
    uint8_t sector[BDRV_SECTOR_SIZE] __attribute__((aligned(BDRV_SECTOR_SIZE)));
    struct iovec iov = { sector, sizeof(sector) };
    BlockRequest head = {
        .node_op = BLOCK_OP_WRITE, .node_flags = req->node_flags, .pos = raw->offset,
        .bytes = sizeof(sector), .iov = &iov, .niov = 1,
    };
    int ret;

    iov_to_buf(req->iov, req->niov, 0, sector, sizeof(sector));
    if (strcmp(block_probe_format(sector), "raw")) {
        return -EPERM;
    }
    ret = block_run(raw->bs.file, &head);
    if (ret == 0 && req->bytes > BDRV_SECTOR_SIZE) {
        g_autofree struct iovec *rest = g_memdup2(req->iov, req->niov * sizeof(iov));
        struct iovec *r = rest;
        BlockRequest tail = *req;

        iov_discard_front(&r, &tail.niov, BDRV_SECTOR_SIZE);
        tail.iov = r;
        tail.pos = raw->offset + BDRV_SECTOR_SIZE;
        tail.bytes -= BDRV_SECTOR_SIZE;
        ret = block_run(raw->bs.file, &tail);
    }
    return ret;
}

static int raw_run(BlockNode *bs, BlockRequest *req)
{
    RawNode *raw = downcast(bs, RawNode, bs);

    if (touches_header(raw, req)) {
        return write_header(raw, req);
    }
    req->pos += raw->offset;
    return block_run(bs->file, req);
}

static void raw_copy_options(BlockNode *to, const BlockNode *from)
{
    const RawNode *raw = downcast(from, const RawNode, bs);

    downcast(to, RawNode, bs)->offset = raw->offset;
    downcast(to, RawNode, bs)->size = raw->size;
    downcast(to, RawNode, bs)->has_size = raw->has_size;
}

static int raw_truncate(BlockNode *bs, uint64_t size)
{
    RawNode *raw = downcast(bs, RawNode, bs);
    int ret;

    if (raw->has_size || !block_driver(bs->file)->truncate) {
        return -ENOTSUP;
    }
    ret = block_driver(bs->file)->truncate(bs->file, size + raw->offset);
    if (ret == 0) {
        __atomic_store_n(&bs->length, size, __ATOMIC_RELEASE);
    }
    return ret;
}

static bool raw_reads_zero(BlockNode *bs, uint64_t pos, uint64_t bytes, uint64_t *n)
{
    return block_reads_zero(bs->file, downcast(bs, RawNode, bs)->offset + pos, bytes, n);
}

static bool raw_reopen(BlockNode *bs, bool read_only, Error **errp)
{
    return block_reopen(bs->file, read_only, errp);
}

static bool set_size(Object *obj, const Property *prop, const char *value,
                     Error **errp)
{
    downcast(obj, RawNode, bs.obj)->has_size = true;
    return prop_size.set(obj, prop, value, errp);
}

static const PropertyInfo prop_raw_size = {
    .name = "size", .kind = PROP_KIND_SIZE, .set = set_size,
};

static const Property raw_props[] = {
    DEFINE_PROP_SIZE("offset", RawNode, offset, "0", "where the disk starts in the file"),
    DEFINE_PROP("size", RawNode, size, prop_raw_size, uint64_t, NULL,
                "bytes that the disk has (default: up to the end)"),
    DEFINE_PROP_END
};

const BlockDriver block_raw = {
    .oc = {
        .name = "raw",
        .desc = "Raw images",
        .parent = &block_node_base_class,
        .instance_size = sizeof(RawNode),
        .props = raw_props,
    },
    .copy_options = raw_copy_options,
    .open = raw_open,
    .submit = raw_submit,
    .run = raw_run,
    .truncate = raw_truncate,
    .reopen = raw_reopen,
    .reads_zero = IMAGE_JOBS(raw_reads_zero),
};
DEFINE_CLASS(block_raw, &block_raw.oc);
