/*
 * Random bytes from the kernel's generator: getrandom().
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <sys/random.h>

#include "backends/rng.h"

/* How long to wait for a host that has just booted, in ms. */
#define NOT_SEEDED_MS 100

typedef struct RngBuiltin {
    RngBackend parent;
    guint tag;
} RngBuiltin;

/* Large reads may be cut short by a signal: what came is enough. */
static gboolean builtin_serve(gpointer opaque)
{
    RngBuiltin *b = opaque;
    RngRequest *req = rng_backend_head(&b->parent);
    size_t done = 0;

    for (unsigned i = 0; i < req->iovcnt; i++) {
        ssize_t n = getrandom(req->iov[i].iov_base, req->iov[i].iov_len,
                              GRND_NONBLOCK);

        done += n > 0 ? n : 0;
        if (n != (ssize_t)req->iov[i].iov_len) {
            break;
        }
    }
    if (done) {
        /* Removes this source when it was the last request. */
        rng_backend_complete(&b->parent, done);
        return G_SOURCE_CONTINUE;
    }
    b->tag = g_timeout_add(NOT_SEEDED_MS, builtin_serve, b);
    return G_SOURCE_REMOVE;
}

static void builtin_want(RngBackend *rng, bool want)
{
    RngBuiltin *b = downcast(rng, RngBuiltin, parent);

    if (want) {
        b->tag = g_idle_add_full(G_PRIORITY_DEFAULT, builtin_serve, b, NULL);
    } else {
        g_source_remove(b->tag);
        b->tag = 0;
    }
}

static const RngBackendClass rng_builtin_class = {
    .oc = {
        .name = "rng-builtin",
        .desc = "random bytes from the host's kernel",
        .parent = &rng_backend_base_class,
        .instance_size = sizeof(RngBuiltin),
    },
    .want = builtin_want,
};
DEFINE_CLASS(rng_builtin, &rng_builtin_class.oc);

RngBackend *rng_builtin_new(void)
{
    return downcast(object_new(&rng_builtin_class.oc, NULL), RngBackend, obj);
}
