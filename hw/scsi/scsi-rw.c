/*
 * SCSI commands that reach the medium (SBC-3).
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <errno.h>
#include <string.h>

#include "qemu/cutils.h"
#include "qemu/iov.h"
#include "scsi-internal.h"

/* CDB bits. */
#define PROTECT         0xe0        /* RDPROTECT, WRPROTECT, VRPROTECT */
#define FUA             0x08
#define BYTCHK          0x06
#define SAME_ANCHOR     0x10
#define SAME_UNMAP      0x08
#define SAME_NDOB       0x01

#define UNMAP_HEADER    8
#define UNMAP_ENTRY     16
#define PATTERN_MAX     (16u << 10)

/* Where, and how much -------------------------------------------------------------- */

/* Logical blocks that a CDB of any size names. */
static void get_range(const uint8_t *cdb, uint64_t *lba, uint64_t *blocks)
{
    switch (cdb[0] >> 5) {
    case 0:
        *lba = scsi_get(cdb + 1, 3) & 0x1fffff;
        *blocks = cdb[4] ? cdb[4] : 256;
        break;
    case 1:
    case 2:
        *lba = scsi_get(cdb + 2, 4);
        *blocks = scsi_get(cdb + 7, 2);
        break;
    case 5:
        *lba = scsi_get(cdb + 2, 4);
        *blocks = scsi_get(cdb + 6, 4);
        break;
    default:
        *lba = scsi_get(cdb + 2, 8);
        *blocks = scsi_get(cdb + 10, 4);
        break;
    }
}

static bool range_ok(const SCSIDevice *dev, uint64_t lba, uint64_t blocks)
{
    uint64_t all = scsi_blocks(dev);

    return lba <= all && blocks <= all - lba;
}

/* Requests to the host --------------------------------------------------------------- */

/* What became of a step while it was submitted. */
enum { STEP_WAITS, STEP_DONE, STEP_ENDED };

static void next_step(SCSIRequest *req);

static SCSISense sense_of(BlockOp op, int err)
{
    switch (err) {
    case ENOSPC:
        return SENSE_NO_SPACE;
    case EPERM:
    case EACCES:
    case EROFS:
        return SENSE_WRITE_PROTECTED;
    default:
        return op == BLOCK_OP_READ ? SENSE_READ_ERROR : SENSE_WRITE_ERROR;
    }
}

/* True when the request goes on as if it had worked. */
static bool goes_on(SCSIRequest *req, int err)
{
    switch (block_conf_error(&req->dev->conf, req->dev->dev.machine, req->breq.op, err)) {
    case BLOCK_ERROR_ACTION_STOP:
        req->failed = true;
        req->complete(req);
        return false;
    case BLOCK_ERROR_ACTION_IGNORE:
        return true;
    default:
        scsi_check(req, sense_of(req->breq.op, err));
        return false;
    }
}

static void request_done(BlockRequest *breq, int ret)
{
    SCSIRequest *req = container_of(breq, SCSIRequest, breq);
    int *end = req->step_end;

    req->step_end = NULL;
    if (ret < 0 && !goes_on(req, -ret)) {
        if (end) {
            *end = STEP_ENDED;
        }
    } else if (end) {
        *end = STEP_DONE;
    } else {
        next_step(req);
    }
}

static void submit(SCSIRequest *req)
{
    req->failed = false;
    req->breq.cb = request_done;
    req->dev->need_kick = true;
    blk_submit(req->dev->conf.blk, &req->breq);
}

void scsi_request_retry(SCSIRequest *req)
{
    submit(req);
}

/* Commands of one step ----------------------------------------------------------------- */

/* One request for the host; it ends with so many bytes transferred. */
static void submit_one(SCSIRequest *req, BlockOp op, unsigned flags)
{
    req->breq.op = op;
    req->breq.flags = flags;
    submit(req);
}

void scsi_flush(SCSIRequest *req)
{
    req->transferred = 0;
    req->breq.offset = req->breq.bytes = 0;
    req->breq.iov = NULL;
    req->breq.niov = 0;
    submit_one(req, BLOCK_OP_FLUSH, 0);
}

static bool check_range(SCSIRequest *req, uint64_t *lba, uint64_t *blocks, bool write)
{
    get_range(req->cdb, lba, blocks);
    if (req->cdb[0] >> 5 && (req->cdb[1] & PROTECT)) {
        scsi_check(req, SENSE_INVALID_FIELD);
    } else if (write && scsi_is_read_only(req->dev)) {
        scsi_check(req, SENSE_WRITE_PROTECTED);
    } else if (!range_ok(req->dev, *lba, *blocks)) {
        scsi_check(req, SENSE_LBA_RANGE);
    } else {
        return true;
    }
    return false;
}

static void read_write(SCSIRequest *req, bool write)
{
    unsigned size = req->dev->conf.logical_block_size;
    bool fua = req->cdb[0] >> 5 && (req->cdb[1] & FUA);
    uint64_t lba, blocks, bytes;

    if (!check_range(req, &lba, &blocks, write)) {
        return;
    }
    bytes = blocks * size;
    if (bytes > BDRV_REQUEST_MAX_BYTES) {
        scsi_check(req, SENSE_INVALID_FIELD);
    } else if (write ? !scsi_has_out(req, bytes) : !scsi_has_in(req, bytes)) {
        return;
    } else if (!bytes) {
        scsi_good(req, 0);
    } else {
        req->breq.offset = lba * size;
        req->breq.bytes = req->transferred = bytes;
        req->breq.iov = write ? req->out : req->in;
        req->breq.niov = write ? req->out_num : req->in_num;
        iov_discard_back(req->breq.iov, &req->breq.niov,
                         (write ? req->out_len : req->in_len) - bytes);
        submit_one(req, write ? BLOCK_OP_WRITE : BLOCK_OP_READ,
                   write && fua ? BLOCK_REQ_FUA : 0);
    }
}

void scsi_read(SCSIRequest *req)
{
    read_write(req, false);
}

/* WRITE AND VERIFY, too: what is on the medium is what was written. */
void scsi_write(SCSIRequest *req)
{
    if ((req->cdb[0] & 0x1f) == 0x0e) {
        req->cdb[1] = (req->cdb[1] & PROTECT) | FUA;
    }
    read_write(req, true);
}

/* Of the medium alone, not against data of the guest's. */
void scsi_verify(SCSIRequest *req)
{
    uint64_t lba, blocks;

    if (req->cdb[1] & BYTCHK) {
        scsi_check(req, SENSE_INVALID_FIELD);
    } else if (check_range(req, &lba, &blocks, false)) {
        scsi_good(req, 0);
    }
}

void scsi_sync(SCSIRequest *req)
{
    uint64_t lba, blocks;

    get_range(req->cdb, &lba, &blocks);
    if (!range_ok(req->dev, lba, blocks)) {
        scsi_check(req, SENSE_LBA_RANGE);
    } else if (scsi_is_read_only(req->dev)) {
        scsi_good(req, 0);
    } else {
        scsi_flush(req);
    }
}

/* UNMAP -------------------------------------------------------------------------------- */

/* Entry n of the list, which the guest may change under us; false: the list has an end. */
static bool get_entry(const SCSIRequest *req, unsigned n, uint64_t *lba, uint64_t *blocks)
{
    uint8_t entry[UNMAP_ENTRY];
    size_t at = UNMAP_HEADER + (size_t)n * UNMAP_ENTRY;

    if (at + UNMAP_ENTRY > req->transferred ||
        iov_to_buf(req->out, req->out_num, at, entry, sizeof(entry)) < sizeof(entry)) {
        return false;
    }
    *lba = scsi_get(entry, 8);
    *blocks = scsi_get(entry + 8, 4);
    return true;
}

static bool entry_ok(const SCSIDevice *dev, uint64_t lba, uint64_t blocks)
{
    return range_ok(dev, lba, blocks) &&
           blocks <= dev->max_unmap_size / dev->conf.logical_block_size;
}

void scsi_unmap(SCSIRequest *req)
{
    size_t len = scsi_get(req->cdb + 7, 2);
    uint64_t lba, blocks;
    uint8_t header[UNMAP_HEADER];

    if (req->cdb[1] & 1) {
        scsi_check(req, SENSE_INVALID_FIELD);       /* ANCHOR */
        return;
    }
    if (scsi_is_read_only(req->dev)) {
        scsi_check(req, SENSE_WRITE_PROTECTED);
        return;
    }
    if (!scsi_has_list(req, len)) {
        return;
    }
    if (len < UNMAP_HEADER) {
        scsi_check(req, SENSE_LIST_LENGTH);
        return;
    }
    iov_to_buf(req->out, req->out_num, 0, header, sizeof(header));
    req->transferred = MIN(len, UNMAP_HEADER + scsi_get(header + 2, 2));
    for (unsigned i = 0; get_entry(req, i, &lba, &blocks); i++) {
        if (!entry_ok(req->dev, lba, blocks)) {
            scsi_check(req, SENSE_LBA_RANGE);
            return;
        }
    }
    req->step = 0;
    next_step(req);
}

/* The next entry with blocks: true if the host has a request. */
static bool prepare_unmap(SCSIRequest *req)
{
    unsigned size = req->dev->conf.logical_block_size;
    uint64_t lba, blocks;

    while (get_entry(req, req->step++, &lba, &blocks)) {
        if (blocks && entry_ok(req->dev, lba, blocks)) {
            req->breq = (BlockRequest) { .op = BLOCK_OP_DISCARD, .offset = lba * size,
                                         .bytes = blocks * size };
            return true;
        }
    }
    return false;
}

/* WRITE SAME ---------------------------------------------------------------------------- */

/* The block of the guest's, or zeros. */
static bool get_pattern(SCSIRequest *req, unsigned size)
{
    bool zeros = req->cdb[0] == 0x93 && (req->cdb[1] & SAME_NDOB);
    size_t room = MIN(req->left * size, PATTERN_MAX / size * size);

    room = MAX(room, size);
    if (!zeros && !scsi_has_out(req, size)) {
        return false;
    }
    req->transferred = zeros ? 0 : size;
    req->pattern = g_malloc0(room);
    if (!zeros) {
        iov_to_buf(req->out, req->out_num, 0, req->pattern, size);
    }
    if (buffer_is_zero(req->pattern, size)) {
        g_clear_pointer(&req->pattern, g_free);
        return true;
    }
    for (size_t at = size; at < room; at += size) {
        memcpy(req->pattern + at, req->pattern, size);
    }
    req->pattern_iov = (struct iovec) { req->pattern, room };
    return true;
}

void scsi_write_same(SCSIRequest *req)
{
    unsigned size = req->dev->conf.logical_block_size;

    if (!check_range(req, &req->lba, &req->left, true)) {
        return;
    }
    /* No blocks would mean all to the end: the limits say that it does not (WSNZ). */
    if (!req->left || (req->cdb[1] & SAME_ANCHOR) || req->left * size > BDRV_REQUEST_MAX_BYTES) {
        scsi_check(req, SENSE_INVALID_FIELD);
        return;
    }
    if (!get_pattern(req, size)) {
        return;
    }
    if (!req->pattern) {
        req->breq = (BlockRequest) { .offset = req->lba * size, .bytes = req->left * size };
        submit_one(req, BLOCK_OP_WRITE_ZEROES,
                   req->cdb[1] & SAME_UNMAP ? BLOCK_REQ_MAY_UNMAP : 0);
        return;
    }
    next_step(req);
}

/* The next part of the blocks. */
static bool prepare_same(SCSIRequest *req)
{
    unsigned size = req->dev->conf.logical_block_size;
    uint64_t blocks = MIN(req->left, PATTERN_MAX / size ? PATTERN_MAX / size : 1);

    if (!blocks) {
        return false;
    }
    req->pattern_iov.iov_len = blocks * size;
    req->breq = (BlockRequest) { .op = BLOCK_OP_WRITE, .offset = req->lba * size,
                                 .bytes = blocks * size, .iov = &req->pattern_iov, .niov = 1 };
    req->lba += blocks;
    req->left -= blocks;
    return true;
}

/* Steps ------------------------------------------------------------------------------------ */

static bool prepare_step(SCSIRequest *req)
{
    return req->cdb[0] == 0x42 ? prepare_unmap(req) : req->pattern && prepare_same(req);
}

/* What is done at once goes on here, not in deeper and deeper calls. */
static void next_step(SCSIRequest *req)
{
    int end = STEP_DONE;

    while (end == STEP_DONE) {
        if (!prepare_step(req)) {
            scsi_good(req, req->transferred);
            return;
        }
        end = STEP_WAITS;
        req->step_end = &end;
        submit(req);
    }
    if (end == STEP_WAITS) {
        req->step_end = NULL;
    }
}
