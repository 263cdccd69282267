/*
 * The NBD server: who may connect, and which images there are.
 *
 * The main thread accepts; each connection has a thread (nbd-conn.c), which ends when its client
 * goes or its socket is shut down, and tells the main thread.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "block/events.h"
#include "block/export.h"
#include "job-internal.h"
#include "nbd.h"
#include "net/socket-addr.h"
#include "qemu/confine.h"
#include "qemu/main-loop.h"
#include "qemu/thread.h"

#define MAX_CONNECTIONS 100u
#define RETRY_MS 200            /* for a client that cannot be accepted now */

typedef struct Connection {
    int fd;
    GThread *thread;
    NbdExport *exp;             /* under the lock: that it uses */
} Connection;

static struct {
    int fd;                     /* that listens */
    guint source, retry;
    char *path;                 /* of a UNIX socket, removed at the end */
    unsigned max;
    bool running;
    GMutex lock;                /* the lists, and exports' users; a leaf */
    GPtrArray *exports;         /* of NbdExport: also those that are closing */
    GPtrArray *connections;     /* of Connection */
} server;

/* Exports: any thread ------------------------------------------------------------------------- */

static Connection *current(void)
{
    for (guint i = 0; i < server.connections->len; i++) {
        Connection *c = server.connections->pdata[i];

        if (c->thread == g_thread_self()) {
            return c;
        }
    }
    return NULL;
}

NbdExport *nbd_export_get(const char *name)
{
    NbdExport *found = NULL;

    g_mutex_lock(&server.lock);
    for (guint i = 0; !found && i < server.exports->len; i++) {
        NbdExport *exp = server.exports->pdata[i];

        if (!exp->closing && !strcmp(exp->name, name)) {
            found = exp;
            exp->users++;
        }
    }
    g_mutex_unlock(&server.lock);
    return found;
}

bool nbd_export_use(NbdExport *exp)
{
    bool closing;

    g_mutex_lock(&server.lock);
    closing = exp->closing;
    current()->exp = exp;
    g_mutex_unlock(&server.lock);
    return !closing;
}

static void finish_export(NbdExport *exp);

static gboolean export_unused(gpointer opaque)
{
    finish_export(opaque);
    return G_SOURCE_REMOVE;
}

void nbd_export_put(NbdExport *exp)
{
    bool last;

    g_mutex_lock(&server.lock);
    if (current()->exp == exp) {
        current()->exp = NULL;
    }
    last = !--exp->users && exp->closing;
    g_mutex_unlock(&server.lock);
    if (last) {
        g_idle_add_full(G_PRIORITY_DEFAULT, export_unused, exp, NULL);
    }
}

char **nbd_export_names(void)
{
    g_autoptr(GPtrArray) names = g_ptr_array_new();

    g_mutex_lock(&server.lock);
    for (guint i = 0; i < server.exports->len; i++) {
        NbdExport *exp = server.exports->pdata[i];

        if (!exp->closing) {
            g_ptr_array_add(names, g_strdup(exp->name));
        }
    }
    g_mutex_unlock(&server.lock);
    g_ptr_array_add(names, NULL);
    return (char **)g_ptr_array_steal(names, NULL);
}

/* Connections --------------------------------------------------------------------------------- */

static void end_connection(Connection *c)
{
    g_thread_join(c->thread);
    while (g_source_remove_by_user_data(c)) {
    }
    g_mutex_lock(&server.lock);
    g_ptr_array_remove(server.connections, c);
    g_mutex_unlock(&server.lock);
    close(c->fd);
    g_free(c);
}

static gboolean connection_over(gpointer opaque)
{
    end_connection(opaque);
    return G_SOURCE_REMOVE;
}

static gpointer connection_thread(gpointer opaque)
{
    Connection *c = opaque;

    /* Whoever started it has put it on the list by then. */
    g_mutex_lock(&server.lock);
    g_mutex_unlock(&server.lock);
    nbd_serve(c->fd);
    g_idle_add_full(G_PRIORITY_DEFAULT, connection_over, c, NULL);
    return NULL;
}

static void watch_listener(void);

static gboolean listen_again(gpointer opaque)
{
    server.retry = 0;
    watch_listener();
    return G_SOURCE_REMOVE;
}

static gboolean accept_client(gint fd, GIOCondition condition, gpointer opaque)
{
    int client = accept4(fd, NULL, NULL, SOCK_CLOEXEC);
    Connection *c;

    if (client < 0) {
        if (errno == EAGAIN || errno == EINTR || errno == ECONNABORTED) {
            return G_SOURCE_CONTINUE;
        }
        /* Out of descriptors: whoever knocks would keep the loop awake. */
        server.source = 0;
        server.retry = g_timeout_add(RETRY_MS, listen_again, NULL);
        return G_SOURCE_REMOVE;
    }
    if (server.connections->len >= server.max) {
        close(client);
        return G_SOURCE_CONTINUE;
    }
    c = g_new0(Connection, 1);
    c->fd = client;
    g_mutex_lock(&server.lock);
    c->thread = thread_try_new("nbd-client", connection_thread, c, NULL);
    if (c->thread) {
        g_ptr_array_add(server.connections, c);
    }
    g_mutex_unlock(&server.lock);
    if (!c->thread) {
        close(client);
        g_free(c);
    }
    return G_SOURCE_CONTINUE;
}

static void watch_listener(void)
{
    server.source = qemu_fd_add(server.fd, G_IO_IN, accept_client, NULL);
}

bool block_nbd_start(const NetAddr *addr, uint32_t max_connections, Error **errp)
{
    bool is_unix = net_addr_is_unix(addr);

    if (server.running) {
        error_setg(errp, "NBD server already running");
        return false;
    }
    server.fd = net_addr_socket(addr, NULL, SOCK_STREAM, errp);
    if (server.fd < 0) {
        return false;
    }
    if (!server.exports) {
        server.exports = g_ptr_array_new();
        server.connections = g_ptr_array_new();
    }
    server.path = is_unix ? g_strdup(addr->path) : NULL;
    server.max = max_connections ? MIN(max_connections, MAX_CONNECTIONS) : MAX_CONNECTIONS;
    server.running = true;
    watch_listener();
    return true;
}

/* The clients of an export, or those that have none yet (NULL), are cut off. */
static void cut_off(const NbdExport *exp)
{
    g_mutex_lock(&server.lock);
    for (guint i = 0; i < server.connections->len; i++) {
        Connection *c = server.connections->pdata[i];

        if (c->exp == exp) {
            shutdown(c->fd, SHUT_RDWR);
        }
    }
    g_mutex_unlock(&server.lock);
}

/* Exports: main thread ------------------------------------------------------------------------ */

static NbdExport *find_export(const char *id)
{
    for (guint i = 0; server.exports && i < server.exports->len; i++) {
        NbdExport *exp = server.exports->pdata[i];

        if (!strcmp(exp->id, id)) {
            return exp;
        }
    }
    return NULL;
}

static void free_export(NbdExport *exp)
{
    for (unsigned i = 0; exp->bitmaps && exp->bitmaps[i]; i++) {
        exp->bitmaps[i]->busy = false;
        exp->owners[i]->twins--;
    }
    if (exp->bs) {
        exp->bs->twins--;
        if (exp->writable) {
            exp->bs->busy = false;
        }
    }
    g_free(exp->bitmaps);
    g_free(exp->owners);
    g_free(exp->description);
    g_free(exp->name);
    g_free(exp->id);
    g_free(exp);
}

static void finish_export(NbdExport *exp)
{
    g_mutex_lock(&server.lock);
    g_ptr_array_remove(server.exports, exp);
    g_mutex_unlock(&server.lock);
    block_export_event(exp->id);
    free_export(exp);
}

/* Nobody begins to use it. Whether nobody does: then it is to be finished. */
static bool begin_closing(NbdExport *exp)
{
    bool unused;

    g_mutex_lock(&server.lock);
    unused = !exp->users && !exp->closing;
    exp->closing = true;
    g_mutex_unlock(&server.lock);
    return unused;
}

static void close_export(NbdExport *exp)
{
    bool unused = begin_closing(exp);

    cut_off(exp);
    if (unused) {
        finish_export(exp);
    }
}

static Connection *user_of(const NbdExport *exp)
{
    Connection *found = NULL;

    g_mutex_lock(&server.lock);
    for (guint i = 0; i < server.connections->len && !found; i++) {
        Connection *c = server.connections->pdata[i];

        found = c->exp == exp ? c : NULL;
    }
    g_mutex_unlock(&server.lock);
    return found;
}

void block_exports_give_back(void)
{
    for (guint i = server.exports ? server.exports->len : 0; i-- > 0;) {
        NbdExport *exp = server.exports->pdata[i];
        Connection *c;

        if (!exp->writable || !exp->bs->blk) {
            continue;
        }
        if (begin_closing(exp)) {
            finish_export(exp);
        } else {
            while ((c = user_of(exp))) {
                shutdown(c->fd, SHUT_RDWR);
                end_connection(c);
            }
        }
    }
}

/*
 * Nodes that go with their parents may go at any time. A disk of a machine that is expected may be
 * filled before its guest comes.
 */
static bool may_be_exported(const BlockNode *bs, bool writable, Error **errp)
{
    for (const BlockNode *p = bs; p->parent; p = p->parent) {
        for (unsigned i = 0; i < BLOCK_CHILDREN; i++) {
            if (p->parent->child[i] == p && p->parent->own[i]) {
                error_setg(errp, "Node '%s' is a part of node '%s'", bs->node_name,
                           p->parent->node_name);
                return false;
            }
        }
    }
    if (writable && bs->is_ro) {
        error_setg(errp, "Block node is read-only");
    } else if (writable && ((bs->blk && !bs->inactive) || bs->parent || bs->busy || bs->twins)) {
        error_setg(errp, "Node '%s' is busy: it is in use already", bs->node_name);
    } else {
        return true;
    }
    return false;
}

/* The bitmap of that name that bs has, or one of those that are read below it; *owner: which. */
static BlockBitmap *find_bitmap(BlockNode *bs, const BlockBitmapName *name, BlockNode **owner,
                                Error **errp)
{
    BlockBitmap *b = NULL;

    bs = name->node ? block_find_node(name->node) : bs;
    while (bs && !b) {
        *owner = bs;
        b = block_bitmap_find(bs, name->name, NULL);
        bs = name->node ? NULL : bs->is_twin ? block_find_node(bs->node_name) : bs->backing;
    }
    if (!b) {
        error_setg(errp, "Bitmap '%s' is not found", name->name);
    } else if (b->busy || b->inconsistent) {
        error_setg(errp, "Bitmap '%s' is %s", b->name, b->busy ? "currently in use by another "
                   "operation and cannot be used" : "inconsistent and cannot be used");
        b = NULL;
    } else if (!may_be_exported(*owner, false, errp)) {
        b = NULL;
    }
    return b;
}

static bool take_bitmaps(NbdExport *exp, const BlockExportOptions *o, Error **errp)
{
    exp->bitmaps = g_new0(BlockBitmap *, o->n_bitmaps + 1);
    exp->owners = g_new0(BlockNode *, o->n_bitmaps + 1);
    for (unsigned i = 0; i < o->n_bitmaps; i++) {
        exp->bitmaps[i] = find_bitmap(exp->bs, &o->bitmaps[i], &exp->owners[i], errp);
        if (!exp->bitmaps[i]) {
            return false;
        }
        exp->bitmaps[i]->busy = true;
        exp->owners[i]->twins++;
    }
    return true;
}

static bool check_export(const BlockExportOptions *o, Error **errp)
{
    const char *name = o->name ? o->name : o->node;

    for (guint i = 0; server.exports && i < server.exports->len; i++) {
        NbdExport *exp = server.exports->pdata[i];

        if (!strcmp(exp->name, name)) {
            error_setg(errp, "NBD server already has export named '%s'", name);
            return false;
        }
    }
    if (!qemu_check_id(o->id, NULL)) {
        error_setg(errp, "Invalid block export id");
    } else if (!server.running) {
        error_setg(errp, "NBD server not running");
    } else if (find_export(o->id)) {
        error_setg(errp, "Block export id '%s' is already in use", o->id);
    } else if (strlen(name) > NBD_MAX_NAME) {
        error_setg(errp, "export name '%s' too long", name);
    } else if (o->description && strlen(o->description) > NBD_MAX_NAME) {
        error_setg(errp, "description '%s' too long", o->description);
    } else {
        return true;
    }
    return false;
}

bool block_export_add(const BlockExportOptions *o, Error **errp)
{
    BlockBackend *blk = blk_find(o->node);
    BlockNode *bs;
    NbdExport *exp;

    if (!check_export(o, errp)) {
        return false;
    }
    bs = blk ? blk->root : block_get_node(o->node, errp);
    if (!bs || !may_be_exported(bs, o->writable, errp) ||
        (o->writable && !block_activate(bs, errp))) {
        return false;
    }
    exp = g_new0(NbdExport, 1);
    exp->id = g_strdup(o->id);
    exp->name = g_strdup(o->name ? o->name : o->node);
    exp->description = g_strdup(o->description);
    exp->writable = o->writable;
    exp->bs = bs;
    bs->twins++;
    bs->busy |= o->writable;
    if (!take_bitmaps(exp, o, errp)) {
        free_export(exp);
        return false;
    }
    g_mutex_lock(&server.lock);
    g_ptr_array_add(server.exports, exp);
    g_mutex_unlock(&server.lock);
    return true;
}

bool block_export_del(const char *id, bool hard, Error **errp)
{
    NbdExport *exp = find_export(id);
    bool used;

    if (!exp) {
        error_setg(errp, "Export '%s' is not found", id);
        return false;
    }
    g_mutex_lock(&server.lock);
    used = exp->users;
    g_mutex_unlock(&server.lock);
    if (exp->closing) {
        error_setg(errp, "Export '%s' is already shutting down", id);
    } else if (used && !hard) {
        error_setg(errp, "export '%s' still in use", id);
        error_append_hint(errp, "Use mode='hard' to force client disconnect\n");
    } else {
        close_export(exp);
        return true;
    }
    return false;
}

void block_export_foreach(BlockExportInfoFn *fn, void *opaque)
{
    for (guint i = 0; server.exports && i < server.exports->len; i++) {
        NbdExport *exp = server.exports->pdata[i];
        BlockExportInfo info = { exp->id, exp->bs->node_name, exp->closing };

        fn(&info, opaque);
    }
}

/* The end ------------------------------------------------------------------------------------- */

bool block_nbd_stop(Error **errp)
{
    if (!server.running) {
        error_setg(errp, "NBD server not running");
        return false;
    }
    server.running = false;
    g_clear_handle_id(&server.source, g_source_remove);
    g_clear_handle_id(&server.retry, g_source_remove);
    close(server.fd);
    if (server.path) {
        unlink(server.path);
        g_clear_pointer(&server.path, g_free);
    }
    for (guint i = server.exports->len; i-- > 0;) {
        close_export(server.exports->pdata[i]);
    }
    cut_off(NULL);
    return true;
}

void block_nbd_end(void)
{
    if (server.running) {
        block_nbd_stop(NULL);
    }
    while (server.connections && server.connections->len) {
        Connection *c = server.connections->pdata[0];

        shutdown(c->fd, SHUT_RDWR);
        end_connection(c);
    }
    while (server.exports && server.exports->len) {
        NbdExport *exp = server.exports->pdata[0];

        while (g_source_remove_by_user_data(exp)) {
        }
        finish_export(exp);
    }
    g_clear_pointer(&server.exports, g_ptr_array_unref);
    g_clear_pointer(&server.connections, g_ptr_array_unref);
}
