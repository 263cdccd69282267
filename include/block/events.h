/*
 * What happens to images, told to whoever listens (QMP's clients).
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef BLOCK_EVENTS_H
#define BLOCK_EVENTS_H

#include "block/block.h"

/* An image turned out not to be sound. */
typedef struct BlockCorruption {
    const char *device;         /* the backend above, "" if it has no name */
    const char *node_name;
    const char *what;           /* for people */
    uint64_t offset;            /* in the file */
    bool fatal;                 /* it is not written any more */
} BlockCorruption;

typedef struct BlockListener {
    void (*corrupted)(void *opaque, const BlockCorruption *c);
} BlockListener;

/* NULL: nobody. Called on the main thread with the machine lock. */
void block_set_listener(const BlockListener *listener, void *opaque);

/* Any thread. what: a literal. */
void block_image_corrupted(const BlockNode *bs, const char *what, uint64_t offset, bool fatal);

#endif
