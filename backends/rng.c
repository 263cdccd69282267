/*
 * What all sources of random bytes have in common: the queue of requests.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "backends/rng.h"

static const RngBackendClass *rng_class(const RngBackend *rng)
{
    return downcast(rng->obj.oc, const RngBackendClass, oc);
}

bool object_is_rng_backend(const Object *obj)
{
    for (const ObjectClass *oc = obj->oc; oc; oc = oc->parent) {
        if (oc == &rng_backend_base_class) {
            return true;
        }
    }
    return false;
}

void rng_backend_request(RngBackend *rng, RngRequest *req)
{
    g_assert(!req->queued && req->iovcnt);
    req->queued = true;
    req->link = (GList) { .data = req };
    g_queue_push_tail_link(&rng->requests, &req->link);
    if (rng->requests.length == 1) {
        rng_class(rng)->want(rng, true);
    }
}

void rng_backend_cancel(RngBackend *rng, RngRequest *req)
{
    if (!req->queued) {
        return;
    }
    req->queued = false;
    g_queue_unlink(&rng->requests, &req->link);
    if (!rng->requests.length) {
        rng_class(rng)->want(rng, false);
    }
}

RngRequest *rng_backend_head(RngBackend *rng)
{
    return rng->requests.head ? rng->requests.head->data : NULL;
}

void rng_backend_complete(RngBackend *rng, size_t len)
{
    RngRequest *req = rng_backend_head(rng);

    /* First off the queue: done may ask again. */
    rng_backend_cancel(rng, req);
    req->done(req, len);
}

const ObjectClass rng_backend_base_class = {
    .name = "rng-backend",
    .instance_size = sizeof(RngBackend),
};
