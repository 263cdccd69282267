/*
 * Sources of random bytes: -object rng-random and rng-builtin.
 *
 * Main loop, machine lock held.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef BACKENDS_RNG_H
#define BACKENDS_RNG_H

#include <sys/uio.h>

#include "qemu/object.h"

typedef struct RngBackend RngBackend;
typedef struct RngBackendClass RngBackendClass;
typedef struct RngRequest RngRequest;

struct RngBackendClass {
    ObjectClass oc;             /* .parent = &rng_backend_base_class */
    /* The first request came (true), or the last one is gone (false). */
    void (*want)(RngBackend *rng, bool want);
};

/* First member of every source. */
struct RngBackend {
    Object obj;
    GQueue requests;            /* of RngRequest, oldest first */
};

/* Embedded in who asks. The caller fills in iov, iovcnt and done. */
struct RngRequest {
    const struct iovec *iov;    /* where the bytes go; stays the caller's */
    unsigned iovcnt;
    /* len bytes, at least one and maybe less than asked for, are there. */
    void (*done)(RngRequest *req, size_t len);
    /* Private. */
    GList link;
    bool queued;
};

extern const ObjectClass rng_backend_base_class;

/* Is the object (not NULL) one of these? */
bool object_is_rng_backend(const Object *obj);

/*
 * Ask for bytes. done is called later, never from here, once: after seconds, or
 * never, when the source is dry. Several may ask one source; first come, first
 * served.
 */
void rng_backend_request(RngBackend *rng, RngRequest *req);
/* Withdraw: done will not be called, memory not be touched. Harmless if done. */
void rng_backend_cancel(RngBackend *rng, RngRequest *req);

/*
 * For sources: the oldest request, or NULL; and its end, which calls done and
 * then want(false) when there is no other.
 */
RngRequest *rng_backend_head(RngBackend *rng);
void rng_backend_complete(RngBackend *rng, size_t len);

/* The system's own generator, for devices without rng=. */
RngBackend *rng_builtin_new(void);

#endif
