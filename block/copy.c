/*
 * Bytes of one image that go to another: what is known to be zeroes is not read.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "bitmap.h"
#include "job-internal.h"
#include "qemu/cutils.h"

#define UNIT 4096u              /* what is told of begins and ends so, seen from where one asks */
#define MIN_ZEROES (64u * 1024) /* fewer are read along with what is beside them */

bool block_reads_zero(BlockNode *bs, uint64_t pos, uint64_t bytes, uint64_t *n)
{
    uint64_t length = __atomic_load_n(&bs->length, __ATOMIC_ACQUIRE);
    bool zero = false;

    *n = bytes;
    if (pos < length && block_driver(bs)->reads_zero) {
        zero = block_driver(bs)->reads_zero(bs, pos, MIN(bytes, length - pos), n);
    }
    if (*n < bytes) {
        zero = zero && *n >= UNIT;
        *n = zero ? QEMU_ALIGN_DOWN(*n, UNIT) : MIN(QEMU_ALIGN_UP(*n, UNIT), bytes);
    }
    return zero;
}

/* The same of all that is alike, however many tables tell of it. */
static uint64_t stretch(BlockNode *bs, uint64_t pos, uint64_t bytes, bool *zero)
{
    uint64_t all, n;

    *zero = block_reads_zero(bs, pos, bytes, &all);
    while (all < bytes && block_reads_zero(bs, pos + all, bytes - all, &n) == *zero) {
        all += n;
    }
    return all;
}

bool block_copy_may_skip(BlockNode *to)
{
    for (; to; to = to->file) {
        BlockImageInfo info;

        block_image_info(to, &info);
        if (info.backing_filename && !to->backing) {
            return false;
        }
    }
    return true;
}

static int write_to(const BlockCopy *c, BlockRequest *req)
{
    int ret = block_run(c->to, req);

    block_bitmaps_mark(c->to, req->pos, req->bytes);
    return ret;
}

static int write_zeroes(const BlockCopy *c, uint64_t pos, uint64_t bytes)
{
    bool unmap = c->to->discard && !c->keep_room;
    BlockRequest req = { .node_op = BLOCK_OP_WRITE_ZEROES, .pos = pos, .bytes = bytes,
                         .node_flags = unmap ? BLOCK_REQ_MAY_UNMAP : 0 };
    bool zero;

    if (c->skip && stretch(c->to, pos, bytes, &zero) == bytes && zero) {
        return 0;
    }
    return write_to(c, &req);
}

static int copy_data(const BlockCopy *c, uint64_t pos, uint64_t bytes, bool *reading)
{
    struct iovec iov = { c->buf, bytes };
    BlockRequest req = { .node_op = BLOCK_OP_WRITE, .pos = pos, .bytes = bytes,
                         .iov = &iov, .niov = 1 };
    int ret = block_pread(c->from, pos, c->buf, bytes);

    *reading = ret < 0;
    if (ret < 0) {
        return ret;
    }
    return buffer_is_zero(c->buf, bytes) ? write_zeroes(c, pos, bytes) : write_to(c, &req);
}

int block_copy(const BlockCopy *c, uint64_t pos, uint64_t bytes, bool *reading)
{
    uint64_t end = pos + bytes, data = pos, n;
    int ret = 0;

    *reading = false;
    for (; ret == 0 && pos < end; pos += n) {
        uint64_t data_end;
        bool zero;

        n = stretch(c->from, pos, end - pos, &zero);
        zero = zero && (n >= MIN_ZEROES || n == bytes);
        data_end = zero ? pos : pos + n;
        if (data < data_end && (zero || data_end == end)) {
            ret = copy_data(c, data, data_end - data, reading);
        }
        if (zero) {
            ret = ret < 0 ? ret : write_zeroes(c, pos, n);
            data = pos + n;
        }
    }
    return ret;
}

int block_job_copy(BlockJob *job, const BlockJobCopy *c)
{
    uint64_t n;
    int ret = 0;

    block_job_set_length(job, c->length);
    for (uint64_t pos = 0; pos < c->length && ret >= 0;) {
        job->reading = true;
        ret = block_allocated_above(c->from, c->base, pos, MIN(JOB_CHUNK, c->length - pos), &n);
        if (ret > 0) {
            ret = c->copy(job, pos, n);
        }
        if (ret >= 0) {
            pos += n;
            ret = block_job_pace(job, n);
        } else {
            ret = block_job_failed(job, ret);
        }
    }
    return ret;
}
