/*
 * Scatter-gather lists.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef QEMU_IOV_H
#define QEMU_IOV_H

#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

/* Sum of the lengths. */
size_t iov_size(const struct iovec *iov, unsigned cnt);
/* Copy up to bytes from offset on; returns how many the list had. */
size_t iov_to_buf(const struct iovec *iov, unsigned cnt, size_t offset,
                  void *buf, size_t bytes);
size_t iov_from_buf(const struct iovec *iov, unsigned cnt, size_t offset,
                    const void *buf, size_t bytes);
size_t iov_memset(const struct iovec *iov, unsigned cnt, size_t offset,
                  int fillc, size_t bytes);
/*
 * Take bytes off the front or the back, in place: *iov and *cnt move past
 * entries that become empty. Returns how many were there to take.
 */
size_t iov_discard_front(struct iovec **iov, unsigned *cnt, size_t bytes);
size_t iov_discard_back(struct iovec *iov, unsigned *cnt, size_t bytes);
/*
 * What lies from offset on, at most bytes of it, as a list of its own: up to max entries in out,
 * none of them empty. Returns how many.
 */
unsigned iov_slice(struct iovec *out, unsigned max, const struct iovec *iov, unsigned cnt,
                   size_t offset, size_t bytes);

#endif
