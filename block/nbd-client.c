/*
 * The "nbd" driver: an image that an NBD server has.
 *
 * Requests of a loop and of workers alike go to the link's thread; neither waits for the server
 * with anything held that others need.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "nbd-client.h"

#include <errno.h>
#include <string.h>

#include "begin.h"

static const BlockDriver block_nbd;

typedef struct NbdNode {
    BlockNode bs;
    NetAddr server;
    char *export_name, *tls_creds, *tls_hostname;
    uint32_t open_timeout, reconnect_delay, reply_timeout;
    char *name;                 /* bs.filename */
    NbdLink *link;
    const struct NbdNode *of;   /* while a twin is opened: it shares that one's link */
    bool export_ro;             /* nobody may write it */
    bool tells_zeroes;          /* the server knows what reads as zeroes */
} NbdNode;

/* Of a loop ------------------------------------------------------------------------------------ */

typedef struct NbdEngine {
    BlockEngine e;
    EventNotifier notifier;
    GSource *source;
    NbdCall *begun, **begun_end;    /* loop: until kick() */
    GMutex lock;                /* finished; a leaf */
    GCond cond;
    NbdCall *finished;
} NbdEngine;

typedef struct LoopCall {
    NbdCall call;
    NbdEngine *engine;
    int ret;
} LoopCall;

static void loop_call_done(NbdCall *call, int ret)
{
    NbdEngine *n = downcast(call, LoopCall, call)->engine;
    bool was_empty;

    downcast(call, LoopCall, call)->ret = ret;
    g_mutex_lock(&n->lock);
    was_empty = !n->finished;
    call->next = n->finished;
    n->finished = call;
    g_cond_signal(&n->cond);
    if (was_empty) {
        event_notifier_set(&n->notifier);
    }
    g_mutex_unlock(&n->lock);
}

static void engine_submit(BlockEngine *e, BlockRequest *req)
{
    NbdEngine *n = downcast(e, NbdEngine, e);
    LoopCall *c = g_new0(LoopCall, 1);

    c->call.req = req;
    c->call.done = loop_call_done;
    c->engine = n;
    e->in_flight++;
    *n->begun_end = &c->call;
    n->begun_end = &c->call.next;
}

static void engine_kick(BlockEngine *e)
{
    NbdEngine *n = downcast(e, NbdEngine, e);

    if (n->begun) {
        nbd_link_submit(downcast(e->bs, NbdNode, bs)->link, n->begun);
        n->begun = NULL;
        n->begun_end = &n->begun;
    }
}

static void engine_poll(BlockEngine *e, bool wait)
{
    NbdEngine *n = downcast(e, NbdEngine, e);
    NbdCall *list;

    engine_kick(e);
    g_mutex_lock(&n->lock);
    while (wait && !n->finished) {
        g_cond_wait(&n->cond, &n->lock);
    }
    list = n->finished;
    n->finished = NULL;
    g_mutex_unlock(&n->lock);
    while (list) {
        LoopCall *c = downcast(list, LoopCall, call);
        BlockRequest *req = list->req;
        int ret = c->ret;

        list = list->next;
        g_free(c);
        e->in_flight--;
        block_request_done(req, ret);
    }
}

static void engine_ready(void *opaque)
{
    NbdEngine *n = opaque;
    BlockNode *top = block_top(n->e.bs);

    engine_poll(&n->e, false);
    block_batch_end(top->blk);
}

static void engine_free(BlockEngine *e)
{
    NbdEngine *n = downcast(e, NbdEngine, e);

    g_assert(!e->in_flight);
    g_source_destroy(n->source);
    g_source_unref(n->source);
    event_notifier_cleanup(&n->notifier);
    g_mutex_clear(&n->lock);
    g_cond_clear(&n->cond);
    g_free(n);
}

static const BlockEngineOps engine_ops = {
    .submit = engine_submit, .kick = engine_kick, .poll = engine_poll, .free = engine_free,
};

static BlockEngine *engine_new(BlockNode *bs)
{
    NbdEngine *n = g_new0(NbdEngine, 1);
    int ret = event_notifier_init(&n->notifier);

    if (ret < 0) {
        g_error("cannot create an eventfd: %s", strerror(-ret));
    }
    n->e = (BlockEngine) { .ops = &engine_ops, .bs = bs };
    n->begun_end = &n->begun;
    g_mutex_init(&n->lock);
    g_cond_init(&n->cond);
    n->source = event_notifier_add_handler(&n->notifier, block_context(bs), engine_ready, n);
    return &n->e;
}

static void nbd_submit(BlockNode *bs, BlockRequest *req)
{
    if (req->node_op == BLOCK_OP_FLUSH && bs->no_flush) {
        block_request_done(req, 0);
        return;
    }
    if (!bs->engine) {
        bs->engine = engine_new(bs);
    }
    engine_submit(bs->engine, req);
}

/* Of others ------------------------------------------------------------------------------------ */

typedef struct SyncCall {
    NbdCall call;
    GMutex lock;                /* what follows; a leaf */
    GCond cond;
    bool ended;
    int ret;
} SyncCall;

static void sync_call_done(NbdCall *call, int ret)
{
    SyncCall *c = downcast(call, SyncCall, call);

    g_mutex_lock(&c->lock);
    c->ret = ret;
    c->ended = true;
    g_cond_signal(&c->cond);
    g_mutex_unlock(&c->lock);
}

static int call_and_wait(BlockNode *bs, SyncCall *c)
{
    c->call.done = sync_call_done;
    g_mutex_init(&c->lock);
    g_cond_init(&c->cond);
    nbd_link_submit(downcast(bs, NbdNode, bs)->link, &c->call);
    g_mutex_lock(&c->lock);
    while (!c->ended) {
        g_cond_wait(&c->cond, &c->lock);
    }
    g_mutex_unlock(&c->lock);
    g_mutex_clear(&c->lock);
    g_cond_clear(&c->cond);
    return c->ret;
}

static int nbd_run(BlockNode *bs, BlockRequest *req)
{
    SyncCall c = { .call = { .req = req } };

    return req->node_op == BLOCK_OP_FLUSH && bs->no_flush ? 0 : call_and_wait(bs, &c);
}

static bool nbd_reads_zero(BlockNode *bs, uint64_t pos, uint64_t bytes, uint64_t *n)
{
    BlockRequest req = { .pos = pos, .bytes = bytes };
    SyncCall c = { .call = { .req = &req, .status = true } };

    if (!downcast(bs, NbdNode, bs)->tells_zeroes || call_and_wait(bs, &c) < 0 || !c.call.known) {
        return false;
    }
    *n = c.call.extent;
    return c.call.zero;
}

/* Open and closed ------------------------------------------------------------------------------ */

static bool check_options(const NbdNode *n, Error **errp)
{
    if (n->tls_creds || n->tls_hostname) {
        error_setg(errp, "'%s' is not supported: there is no TLS",
                   n->tls_creds ? "tls-creds" : "tls-hostname");
    } else if (!n->server.type) {
        error_setg(errp, "NBD server address missing");
    } else if (n->export_name && strlen(n->export_name) > NBD_MAX_NAME) {
        error_setg(errp, "export name too long to send to server");
    } else if (!n->reply_timeout) {
        error_setg(errp, "'x-reply-timeout' must be 1 or more");
    } else {
        return true;
    }
    return false;
}

static char *make_name(const NbdNode *n)
{
    const char *name = n->export_name ? n->export_name : "";

    if (!strcmp(n->server.type, "unix")) {
        return g_strdup_printf("nbd+unix:///%s?socket=%s", name, n->server.path);
    }
    return g_strdup_printf("nbd://%s:%s%s%s", n->server.host ? n->server.host : "",
                           n->server.port ? n->server.port : "", *name ? "/" : "", name);
}

/* What the export allows. */
static bool apply_terms(BlockNode *bs, const NbdTerms *terms, Error **errp)
{
    if ((terms->flags & NBD_READ_ONLY) && !bs->is_ro) {
        if (!bs->auto_read_only) {
            error_setg(errp, "request on write denied without write permission");
            return false;
        }
        bs->is_ro = true;
    }
    downcast(bs, NbdNode, bs)->export_ro = terms->flags & NBD_READ_ONLY;
    downcast(bs, NbdNode, bs)->tells_zeroes = terms->has_base;
    bs->length = terms->size;
    bs->align = bs->mem_align = 1;
    return true;
}

static void nbd_close(BlockNode *bs)
{
    NbdNode *n = downcast(bs, NbdNode, bs);

    nbd_link_unref(n->link);
    g_free(n->name);
}

static NbdLink *new_link(const NbdNode *n, EventNotifier *ready, Error **errp)
{
    return nbd_link_new(&(NbdLinkOptions) {
        .server = &n->server, .export_name = n->export_name ? n->export_name : "",
        .open_timeout = n->open_timeout, .reconnect_delay = n->reconnect_delay,
        .reply_timeout = n->reply_timeout,
    }, ready, errp);
}

/* Nodes that are to be opened, by nbd_begin(): their links connect meanwhile. Main thread. */
static GSList *begun;

static bool same_options(const NbdNode *a, const NbdNode *b)
{
    const NetAddr *x = &a->server, *y = &b->server;

    return !g_strcmp0(x->type, y->type) && !g_strcmp0(x->host, y->host) &&
           !g_strcmp0(x->port, y->port) && !g_strcmp0(x->path, y->path) &&
           !g_strcmp0(a->export_name, b->export_name) && a->open_timeout == b->open_timeout &&
           a->reconnect_delay == b->reconnect_delay && a->reply_timeout == b->reply_timeout;
}

static NbdLink *take_begun(const NbdNode *n)
{
    for (GSList *l = begun; l; l = l->next) {
        NbdNode *b = l->data;

        if (b->link && nbd_link_is_settled(b->link) && same_options(b, n)) {
            return g_steal_pointer(&b->link);
        }
    }
    return NULL;
}

static BlockNode *nbd_begin(QemuOpts *opts, EventNotifier *ready)
{
    BlockNode *bs = downcast(object_new(&block_nbd.oc, NULL), BlockNode, obj);
    NbdNode *n = downcast(bs, NbdNode, bs);

    if (block_set_node_opts(bs, opts, NULL) && check_options(n, NULL)) {
        n->link = new_link(n, ready, NULL);
    }
    if (!n->link) {
        block_node_abandon(bs);
        return NULL;
    }
    begun = g_slist_prepend(begun, n);
    return bs;
}

static bool nbd_has_begun(BlockNode *bs)
{
    NbdLink *link = downcast(bs, NbdNode, bs)->link;

    return !link || nbd_link_is_settled(link);  /* another's that was as good */
}

static void nbd_begin_end(BlockNode *bs)
{
    begun = g_slist_remove(begun, bs);
    nbd_link_unref(downcast(bs, NbdNode, bs)->link);
    block_node_abandon(bs);
}

static const BlockBeginOps nbd_begin_ops = {
    .new = nbd_begin, .is_done = nbd_has_begun, .free = nbd_begin_end,
};

static bool nbd_open(BlockNode *bs, Error **errp)
{
    NbdNode *n = downcast(bs, NbdNode, bs);
    NbdTerms terms;

    if (!n->of && !check_options(n, errp)) {
        return false;
    }
    n->link = n->of ? nbd_link_ref(n->of->link) : take_begun(n);
    if (!n->link) {
        n->link = new_link(n, NULL, errp);
    }
    n->name = n->of ? g_strdup(n->of->name) : make_name(n);
    n->of = NULL;
    bs->filename = n->name;
    if (!n->link || !nbd_link_wait(n->link, &terms, errp) || !apply_terms(bs, &terms, errp)) {
        nbd_close(bs);
        return false;
    }
    return true;
}

static bool nbd_reopen(BlockNode *bs, bool read_only, Error **errp)
{
    if (!read_only && downcast(bs, NbdNode, bs)->export_ro) {
        error_setg(errp, "request on write denied without write permission");
        return false;
    }
    return true;
}

/* Other users of an export are the server's to see to. */
static bool nbd_set_perm(BlockNode *bs, unsigned perm, unsigned unshared, Error **errp)
{
    return true;
}

static void nbd_copy_options(BlockNode *to, const BlockNode *from)
{
    downcast(to, NbdNode, bs)->of = downcast(from, const NbdNode, bs);
}

static const Property nbd_props[] = {
    DEFINE_PROP_STRING("server.type", NbdNode, server.type, NULL, "inet or unix"),
    DEFINE_PROP_STRING("server.host", NbdNode, server.host, NULL, "the server's host"),
    DEFINE_PROP_STRING("server.port", NbdNode, server.port, NULL, "and its port"),
    DEFINE_PROP_STRING("server.path", NbdNode, server.path, NULL, "the server's UNIX socket"),
    DEFINE_PROP_STRING("export", NbdNode, export_name, NULL, "the export's name"),
    DEFINE_PROP_STRING("tls-creds", NbdNode, tls_creds, NULL, "TLS is not supported"),
    DEFINE_PROP_STRING("tls-hostname", NbdNode, tls_hostname, NULL, "TLS is not supported"),
    DEFINE_PROP_UINT32("open-timeout", NbdNode, open_timeout, "0",
                       "seconds to try again for when it is opened"),
    DEFINE_PROP_UINT32("reconnect-delay", NbdNode, reconnect_delay, "0",
                       "seconds that requests wait for a new connection"),
    DEFINE_PROP_UINT32("x-reply-timeout", NbdNode, reply_timeout, "60",
                       "seconds without any reply after which a connection is given up"),
    DEFINE_PROP_END
};

static const BlockDriver block_nbd = {
    .oc = {
        .name = "nbd",
        .desc = "Exports of NBD servers",
        .parent = &block_node_base_class,
        .instance_size = sizeof(NbdNode),
        .props = nbd_props,
    },
    .is_protocol = true,
    .is_remote = true,
    .copy_options = nbd_copy_options,
    .begin = &nbd_begin_ops,
    .open = nbd_open,
    .close = nbd_close,
    .submit = nbd_submit,
    .run = nbd_run,
    .set_perm = nbd_set_perm,
    .reopen = nbd_reopen,
    .parse_filename = nbd_parse_filename,
    .reads_zero = IMAGE_JOBS(nbd_reads_zero),
};
DEFINE_CLASS(block_nbd, &block_nbd.oc);
