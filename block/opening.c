/*
 * Nodes whose opening takes long, as a server may: that part of it is done before they are opened,
 * while the main loop goes on.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <string.h>

#include "begin.h"

struct BlockOpening {
    GPtrArray *begun;           /* of BlockNode: what drivers' new() made */
    EventNotifier ready;
    GSource *source;
    BlockOpeningFunc *fn;
    void *opaque;
};

static void on_ready(void *opaque)
{
    BlockOpening *o = opaque;

    for (guint i = 0; i < o->begun->len; i++) {
        BlockNode *bs = g_ptr_array_index(o->begun, i);

        if (!block_driver(bs)->begin->is_done(bs)) {
            return;
        }
    }
    o->fn(o->opaque);
}

static void end_one(void *data)
{
    BlockNode *bs = data;

    block_driver(bs)->begin->free(bs);
}

/* "driver", or that of a child: "file.driver" of a node for which prefix is "file.". */
static void begin_driver(BlockOpening *o, const QemuOpts *opts, const QemuOpt *opt)
{
    const ObjectClass *oc = object_class_by_name(block_classes, opt->str);
    const BlockDriver *drv = downcast(oc, const BlockDriver, oc);
    size_t len = strlen(opt->name) - strlen("driver");
    g_autofree char *prefix = g_strndup(opt->name, len);
    g_autoptr(QemuOpts) all = NULL, own = NULL;
    BlockNode *bs;

    if (!oc || !drv->begin) {
        return;
    }
    all = qemu_opts_clone(opts);
    own = len ? block_take_prefixed(all, prefix) : g_steal_pointer(&all);
    g_free(qemu_opt_take(own, "driver"));
    bs = drv->begin->new(own, &o->ready);
    if (bs) {
        g_ptr_array_add(o->begun, bs);
    }
}

BlockOpening *block_opening_new(const QemuOpts *opts, BlockOpeningFunc *fn, void *opaque)
{
    BlockOpening *o = g_new0(BlockOpening, 1);

    o->begun = g_ptr_array_new_with_free_func(end_one);
    o->fn = fn;
    o->opaque = opaque;
    if (event_notifier_init(&o->ready) < 0) {
        o->ready.fd = -1;
    }
    for (unsigned i = 0; o->ready.fd >= 0 && i < opts->opts->len; i++) {
        const QemuOpt *opt = &g_array_index(opts->opts, QemuOpt, i);

        if (!strcmp(opt->name, "driver") || g_str_has_suffix(opt->name, ".driver")) {
            begin_driver(o, opts, opt);
        }
    }
    if (!o->begun->len) {
        block_opening_free(o);
        return NULL;
    }
    o->source = event_notifier_add_handler(&o->ready, NULL, on_ready, o);
    return o;
}

void block_opening_free(BlockOpening *o)
{
    if (!o) {
        return;
    }
    if (o->source) {
        g_source_destroy(o->source);
        g_source_unref(o->source);
    }
    g_ptr_array_unref(o->begun);
    event_notifier_cleanup(&o->ready);
    g_free(o);
}
