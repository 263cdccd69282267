/*
 * What happens to images, from any thread to the listener on the main thread.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "block/events.h"

#include "block-internal.h"

static struct {
    const BlockListener *ops;
    void *opaque;
} listener;

void block_set_listener(const BlockListener *ops, void *opaque)
{
    listener.ops = ops;
    listener.opaque = opaque;
}

void block_job_event(const BlockJobInfo *info, BlockJobEvent event)
{
    if (listener.ops && listener.ops->job) {
        listener.ops->job(listener.opaque, info, event);
    }
}

void block_export_event(const char *id)
{
    if (listener.ops && listener.ops->export_deleted) {
        listener.ops->export_deleted(listener.opaque, id);
    }
}

/* On its way to the main thread, where the node may be gone. */
typedef struct Message {
    BlockCorruption c;
    char *node_name;
} Message;

static gboolean deliver(gpointer data)
{
    Message *m = data;
    BlockBackend *blk = blk_find(m->node_name);

    m->c.node_name = m->node_name;
    m->c.device = blk ? blk_name(blk) : "";
    if (listener.ops && listener.ops->corrupted) {
        listener.ops->corrupted(listener.opaque, &m->c);
    }
    return G_SOURCE_REMOVE;
}

static void message_free(gpointer data)
{
    Message *m = data;

    g_free(m->node_name);
    g_free(m);
}

void block_image_corrupted(const BlockNode *bs, const char *what, uint64_t offset, bool fatal)
{
    Message *m = g_new0(Message, 1);

    m->c = (BlockCorruption) { .what = what, .offset = offset, .fatal = fatal };
    m->node_name = g_strdup(bs->node_name);
    g_idle_add_full(G_PRIORITY_DEFAULT, deliver, m, message_free);
}
