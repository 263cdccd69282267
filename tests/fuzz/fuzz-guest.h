/*
 * A guest of a fuzz target: its memory, the registers of one device, drivers of its queues.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef TESTS_FUZZ_GUEST_H
#define TESTS_FUZZ_GUEST_H

#include "machine.h"

#define NR_QUEUES   8
#define QUEUE_MAX   256u        /* entries that the layout below has room for */
#define QUEUES      0x10000u    /* in guest memory: rings, 16 KiB each */
#define QUEUE_SPACE 0x4000u
#define BUFFERS     (QUEUES + NR_QUEUES * QUEUE_SPACE)
#define BUFFERS_END (BUFFERS + 0x40000u)
#define BUFFER_MAX  255u        /* bytes that an input has for a buffer */

/* A queue's driver. */
typedef struct Ring {
    unsigned num;               /* 0: not set up */
    unsigned next;              /* free descriptor; packed: position, which runs on */
    unsigned last;              /* packed: where the last chain begins */
    uint16_t avail;
} Ring;

typedef struct Guest Guest;

/* The first bytes of a request that makes sense, in a buffer of queue q; returns their number. */
typedef unsigned GuestHeadFn(Guest *g, unsigned q, uint8_t to[BUFFER_MAX]);

struct Guest {
    FuzzInput in;
    GuestHeadFn *head;          /* NULL: what there is in the input will do */
    uint8_t kick;               /* the last chain's queue */
    hwaddr buffer;              /* the next one */
    Ring ring[NR_QUEUES];
    hwaddr base;                /* of the device's transport */
    bool legacy, packed;
    bool workers;               /* the device has threads, whose answers take a while */
    unsigned which;             /* of several devices */
    int peer;                   /* -1: not connected */
    bool deaf;                  /* it does not read */
};

static inline uint64_t take(Guest *g, unsigned bytes)
{
    return fuzz_take(&g->in, bytes);
}

/* fuzz-driver.c: queues --------------------------------------------------- */

/* The machine that the guests below run in. */
void guest_init(MachineState *machine);
/* Memory there, all of it RAM. */
uint8_t *guest_ram(hwaddr addr, hwaddr len);
/* The transport's registers, words. */
void guest_write(Guest *g, unsigned reg, uint32_t value);
uint32_t guest_read(Guest *g, unsigned reg);
/* Steps of an input. A driver's start: some of the features, all of the queues. */
void step_start(Guest *g);
/* Of 1 to 8 buffers, in the queue or in an indirect table, made available; and a kick. */
void step_chain(Guest *g);
void step_kick(Guest *g);

/* fuzz-heads.c: requests -------------------------------------------------- */

GuestHeadFn scsi_head, vsock_head, p9_head;

/* fuzz-usernet.c, in its own target: the other process of a user network "n" - */

/* What it says to the questions that come next. */
void usernet_ahead(Guest *g) __attribute__((weak));
void usernet_leave(Guest *g) __attribute__((weak));
/* What it does meanwhile. */
void usernet_host(Guest *g) __attribute__((weak));

#endif
