/*
 * Proof: what is done with lists of up to two pieces of up to two bytes, all offsets and numbers of
 * bytes that differ for them: nothing outside of the pieces and the buffer is touched.
 * Eva: 100000 0
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "__fc_builtin.h"
#include "util/iov.c"

#define LEN 2
#define ALL (2 * LEN)

static uint8_t a[LEN], b[LEN], buffer[ALL];
static struct iovec list[2], out[2];
/* Not local, for what is told apart stays so. */
static unsigned x, y, n, which;
static size_t offset, bytes, few;

/* Each piece ends where its memory does. */
static void make_list(void)
{
    x = Frama_C_interval(0, LEN);
    y = Frama_C_interval(0, LEN);
    n = Frama_C_interval(0, 2);
    /*@ split x; */
    /*@ split y; */
    /*@ split n; */
    list[0] = (struct iovec) { a + LEN - x, x };
    list[1] = (struct iovec) { b + LEN - y, y };
}

/* Up to one more than there can be, and the largest. */
static void choose(void)
{
    offset = Frama_C_interval(0, ALL + 2);
    bytes = Frama_C_interval(0, ALL + 2);
    which = Frama_C_interval(0, 6);
    /*@ split offset; */
    /*@ split bytes; */
    /*@ split which; */
    offset = offset == ALL + 2 ? SIZE_MAX : offset;
    bytes = bytes == ALL + 2 ? SIZE_MAX : bytes;
    few = bytes > ALL ? ALL : bytes;
}

int main(void)
{
    struct iovec *p = list;

    make_list();
    choose();
    switch (which) {
    case 0:
        return iov_size(list, n);
    case 1:
        return iov_to_buf(list, n, offset, buffer, few);
    case 2:
        return iov_from_buf(list, n, offset, buffer, few);
    case 3:
        return iov_memset(list, n, offset, 1, bytes);
    case 4:
        return iov_slice(out, 1, list, n, offset, bytes);
    case 5:
        return iov_discard_back(list, &n, bytes);
    default:
        return iov_discard_front(&p, &n, bytes);
    }
}
