/*
 * A qcow2 image that is not sound: found in use, marked as such, and not written any more.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <errno.h>

#include "block/events.h"
#include "qcow2-alloc.h"

int qcow2_unsound(Qcow2Node *s, const char *what, uint64_t offset)
{
    if (!s->unsound) {
        s->unsound = what;
        s->unsound_at = offset;
    }
    return -EIO;
}

void qcow2_tell_unsound(Qcow2Node *s)
{
    uint64_t features = s->h.incompatible | QCOW2_CORRUPT, be = GUINT64_TO_BE(features);

    if (s->writable && s->h.version >= 3) {
        /* If this fails, the next one who opens the image finds it out again. */
        if (qcow2_pwrite(s->bs.file, QCOW2_AT_INCOMPATIBLE, &be, sizeof(be)) == 0) {
            qcow2_flush_files(s);
        }
        __atomic_store_n(&s->h.incompatible, features, __ATOMIC_RELAXED);
    }
    block_image_corrupted(&s->bs, s->unsound, s->unsound_at, s->writable);
}
