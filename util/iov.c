/*
 * Scatter-gather lists: sums, copies and trimming.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "qemu/iov.h"

#include <glib.h>
#include <string.h>

typedef enum IovOp { IOV_TO_BUF, IOV_FROM_BUF, IOV_MEMSET } IovOp;

size_t iov_size(const struct iovec *iov, unsigned cnt)
{
    size_t sum = 0;

    for (unsigned i = 0; i < cnt; i++) {
        sum += iov[i].iov_len;
    }
    return sum;
}

/* What happens to each piece; buf goes on by its length. */
typedef struct IovWork {
    IovOp op;
    uint8_t *buf;
    int fill;
} IovWork;

static void iov_piece(IovWork *work, uint8_t *piece, size_t len)
{
    switch (work->op) {
    case IOV_TO_BUF:
        memcpy(work->buf, piece, len);
        work->buf += len;
        break;
    case IOV_FROM_BUF:
        memcpy(piece, work->buf, len);
        work->buf += len;
        break;
    case IOV_MEMSET:
        memset(piece, work->fill, len);
        break;
    }
}

static size_t iov_walk(IovWork work, const struct iovec *iov, unsigned cnt,
                       size_t offset, size_t bytes)
{
    size_t done = 0;

    for (unsigned i = 0; i < cnt && done < bytes; i++) {
        size_t len;

        if (offset >= iov[i].iov_len) {
            offset -= iov[i].iov_len;
            continue;
        }
        len = MIN(iov[i].iov_len - offset, bytes - done);
        iov_piece(&work, (uint8_t *)iov[i].iov_base + offset, len);
        done += len;
        offset = 0;
    }
    return done;
}

size_t iov_to_buf(const struct iovec *iov, unsigned cnt, size_t offset,
                  void *buf, size_t bytes)
{
    return iov_walk((IovWork) { IOV_TO_BUF, buf, 0 }, iov, cnt, offset, bytes);
}

size_t iov_from_buf(const struct iovec *iov, unsigned cnt, size_t offset,
                    const void *buf, size_t bytes)
{
    return iov_walk((IovWork) { IOV_FROM_BUF, (uint8_t *)buf, 0 }, iov, cnt, offset, bytes);
}

size_t iov_memset(const struct iovec *iov, unsigned cnt, size_t offset,
                  int fillc, size_t bytes)
{
    return iov_walk((IovWork) { IOV_MEMSET, NULL, fillc }, iov, cnt, offset, bytes);
}

size_t iov_discard_front(struct iovec **iov, unsigned *cnt, size_t bytes)
{
    size_t done = 0;

    while (*cnt && done < bytes) {
        size_t len = MIN((*iov)->iov_len, bytes - done);

        (*iov)->iov_base = (uint8_t *)(*iov)->iov_base + len;
        (*iov)->iov_len -= len;
        done += len;
        if ((*iov)->iov_len) {
            break;
        }
        (*iov)++;
        (*cnt)--;
    }
    return done;
}

size_t iov_discard_back(struct iovec *iov, unsigned *cnt, size_t bytes)
{
    size_t done = 0;

    while (*cnt && done < bytes) {
        struct iovec *last = &iov[*cnt - 1];
        size_t len = MIN(last->iov_len, bytes - done);

        last->iov_len -= len;
        done += len;
        if (last->iov_len) {
            break;
        }
        (*cnt)--;
    }
    return done;
}

unsigned iov_slice(struct iovec *out, unsigned max, const struct iovec *iov, unsigned cnt,
                   size_t offset, size_t bytes)
{
    unsigned n = 0;

    for (unsigned i = 0; i < cnt && bytes && n < max; i++) {
        size_t gone = MIN(offset, iov[i].iov_len), len = MIN(iov[i].iov_len - gone, bytes);

        offset -= gone;
        if (len) {
            out[n++] = (struct iovec) { (uint8_t *)iov[i].iov_base + gone, len };
            bytes -= len;
        }
    }
    return n;
}
