/*
 * The raw format, as option parsing sees it.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef BLOCK_RAW_H
#define BLOCK_RAW_H

#include "block-internal.h"

typedef struct RawNode {
    BlockNode bs;
    uint64_t offset, size;
    bool has_size;
    bool probed;                /* nobody said that it is raw */
} RawNode;

/* The format that an image with this first sector has; "raw" if no other. */
const char *block_probe_format(const uint8_t *sector);

#endif
