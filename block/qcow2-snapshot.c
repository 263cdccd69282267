/*
 * Internal snapshots of a qcow2 image: the list of them ("Snapshots" of the specification).
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <string.h>

#include "qcow2.h"

#define FIXED_BYTES 40          /* of an entry, before its extra data */

/* What is left of the table. */
typedef struct Reader {
    const uint8_t *p;
    size_t len;
} Reader;

static uint64_t take(Reader *r, unsigned bytes)
{
    uint64_t v = 0;

    for (unsigned i = 0; i < bytes; i++) {
        v = v << 8 | r->p[i];
    }
    r->p += bytes;
    r->len -= bytes;
    return v;
}

static char *take_text(Reader *r, size_t len)
{
    char *text = g_strndup((const char *)r->p, len);

    r->p += len;
    r->len -= len;
    return text;
}

/* One entry; false: it does not fit. */
static bool read_entry(Reader *r, BlockSnapshotInfo *sn)
{
    const uint8_t *start = r->p;
    size_t id_len, name_len, extra, pad;

    if (r->len < FIXED_BYTES) {
        return false;
    }
    sn->l1_offset = take(r, 8);
    sn->l1_size = take(r, 4);
    id_len = take(r, 2);
    name_len = take(r, 2);
    sn->date_sec = take(r, 4);
    sn->date_nsec = take(r, 4);
    sn->vm_clock_ns = take(r, 8);
    sn->vm_state_size = take(r, 4);
    sn->icount = -1;
    sn->extra_size = extra = take(r, 4);
    if (extra > r->len || id_len + name_len > r->len - extra) {
        return false;
    }
    if (extra >= 8) {
        Reader x = { r->p, extra };

        sn->vm_state_size = take(&x, 8);
        if (extra >= 24) {
            sn->disk_size = take(&x, 8);
            sn->icount = take(&x, 8);
        }
    }
    r->p += extra;
    r->len -= extra;
    sn->id = take_text(r, id_len);
    sn->name = take_text(r, name_len);
    pad = -(size_t)(r->p - start) & 7;
    r->p += MIN(pad, r->len);
    r->len -= MIN(pad, r->len);
    return true;
}

bool qcow2_read_snapshots(Qcow2Node *s, Error **errp)
{
    uint64_t offset = s->h.snapshots_offset, length = s->bs.file->length;
    g_autofree uint8_t *table = NULL;
    Reader r;
    int ret;

    if (!s->h.nb_snapshots) {
        return true;
    }
    if (s->h.nb_snapshots > QCOW2_MAX_SNAPSHOTS || !offset ||
        offset % s->cluster_size || offset >= length) {
        error_setg(errp, "Snapshot table is outside of the image file, or too large");
        return false;
    }
    r.len = MIN(length - offset, QCOW2_MAX_SNAPSHOT_BYTES);
    r.len = MIN(r.len, s->h.nb_snapshots * (size_t)4096);
    r.p = table = g_malloc(r.len);
    ret = block_pread(s->bs.file, offset, table, r.len);
    if (ret < 0) {
        error_setg_errno(errp, -ret, "Could not read snapshots");
        return false;
    }
    s->snapshots = g_new0(BlockSnapshotInfo, s->h.nb_snapshots);
    for (unsigned i = 0; i < s->h.nb_snapshots; i++) {
        if (!read_entry(&r, &s->snapshots[i])) {
            error_setg(errp, "Snapshot table is not sound");
            return false;
        }
    }
    s->snapshots_bytes = r.p - table;
    return true;
}

void qcow2_free_snapshots(Qcow2Node *s)
{
    for (unsigned i = 0; s->snapshots && i < s->h.nb_snapshots; i++) {
        g_free(s->snapshots[i].id);
        g_free(s->snapshots[i].name);
    }
    g_clear_pointer(&s->snapshots, g_free);
}
