/*
 * The statistics queue of the balloon (virtio 1.2, section 5.5.6.3), and its two properties.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "hw/virtio/balloon-stats.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "qemu/cutils.h"
#include "qemu/iov.h"

/* Most entries of a buffer that are looked at: there are ten kinds, in any order. */
#define STATS_ENTRIES 64
#define STATS_TURN    16

static const char *const stat_names[VIRTIO_BALLOON_S_NR] = {
    [VIRTIO_BALLOON_S_SWAP_IN] = "stat-swap-in",
    [VIRTIO_BALLOON_S_SWAP_OUT] = "stat-swap-out",
    [VIRTIO_BALLOON_S_MAJFLT] = "stat-major-faults",
    [VIRTIO_BALLOON_S_MINFLT] = "stat-minor-faults",
    [VIRTIO_BALLOON_S_MEMFREE] = "stat-free-memory",
    [VIRTIO_BALLOON_S_MEMTOT] = "stat-total-memory",
    [VIRTIO_BALLOON_S_AVAIL] = "stat-available-memory",
    [VIRTIO_BALLOON_S_CACHES] = "stat-disk-caches",
    [VIRTIO_BALLOON_S_HTLB_PGALLOC] = "stat-htlb-pgalloc",
    [VIRTIO_BALLOON_S_HTLB_PGFAIL] = "stat-htlb-pgfail",
};

/* The queue ------------------------------------------------------------------ */

static void forget_values(BalloonStats *s)
{
    memset(s->value, 0xff, sizeof(s->value));
}

static void take_account(BalloonStats *s)
{
    struct virtio_balloon_stat stat[STATS_ENTRIES];
    size_t len = iov_to_buf(s->elem->out_sg, s->elem->out_num, 0, stat, sizeof(stat));

    forget_values(s);
    for (size_t i = 0; i < len / sizeof(*stat); i++) {
        if (stat[i].tag < VIRTIO_BALLOON_S_NR) {
            s->value[stat[i].tag] = stat[i].val;
        }
    }
    s->last_update = g_get_real_time() / G_USEC_PER_SEC;
}

/* Let the driver have its buffer: it comes back with another account. */
static void give_back(void *opaque)
{
    BalloonStats *s = opaque;

    if (s->elem && virtio_queue_live(s->vq)) {
        virtqueue_push(s->vq, s->elem, 0);
        s->elem = NULL;
        virtio_notify(s->vq);
    }
}

/* One buffer is enough: a driver that gives more gets the one before back. */
void balloon_stats_receive(BalloonStats *s)
{
    for (unsigned i = 0; i < STATS_TURN; i++) {
        VirtQueueElement *elem = virtqueue_pop(s->vq);

        if (!elem) {
            return;
        }
        give_back(s);
        s->elem = elem;
        take_account(s);
    }
    virtio_queue_kick(s->vq);
}

static void ask(void *opaque)
{
    BalloonStats *s = opaque;

    timer_mod_ns(&s->timer, qemu_clock_get_ns(QEMU_CLOCK_VIRTUAL) +
                 s->interval * NANOSECONDS_PER_SECOND);
    virtio_run_in_loop(s->vdev, give_back, s);
}

void balloon_stats_start(BalloonStats *s, VirtIODevice *vdev)
{
    s->vdev = vdev;
    forget_values(s);
    timer_init_ns(&s->timer, QEMU_CLOCK_VIRTUAL, ask, s);
    if (s->interval) {
        ask(s);
    }
}

void balloon_stats_stop(BalloonStats *s)
{
    timer_del(&s->timer);
    s->vdev = NULL;
}

void balloon_stats_reset(BalloonStats *s)
{
    s->elem = NULL;
    s->last_update = 0;
    forget_values(s);
}

/* Properties ----------------------------------------------------------------- */

/* What the monitor's thread sees of the account. */
typedef struct StatsCopy {
    const BalloonStats *s;
    uint64_t value[VIRTIO_BALLOON_S_NR];
    int64_t last_update;
} StatsCopy;

static void copy_stats(void *opaque)
{
    StatsCopy *copy = opaque;

    memcpy(copy->value, copy->s->value, sizeof(copy->value));
    copy->last_update = copy->s->last_update;
}

/* What the guest did not say is -1: the same bits as QEMU's 2^64 - 1, which JSON has not. */
static char *get_stats(const Object *obj, const Property *prop)
{
    StatsCopy copy = { .s = property_field(obj, prop) };
    g_autoptr(GString) text = g_string_new("{\"stats\": {");

    if (!copy.s->vdev) {
        return NULL;
    }
    virtio_run_in_loop(copy.s->vdev, copy_stats, &copy);
    for (unsigned i = 0; i < VIRTIO_BALLOON_S_NR; i++) {
        g_string_append_printf(text, "%s\"%s\": %" PRId64, i ? ", " : "", stat_names[i],
                               (int64_t)copy.value[i]);
    }
    g_string_append_printf(text, "}, \"last-update\": %" PRId64 "}", copy.last_update);
    return g_string_free(g_steal_pointer(&text), FALSE);
}

static bool refuse_stats(Object *obj, const Property *prop, const char *value, Error **errp)
{
    error_setg(errp, "Property '%s.%s' is not writable", obj->oc->name, prop->name);
    return false;
}

static bool set_interval(Object *obj, const Property *prop, const char *value, Error **errp)
{
    BalloonStats *s = property_field(obj, prop);
    uint64_t seconds;

    if (*value == '-') {
        error_setg(errp, "timer value must be greater than zero");
        return false;
    }
    if (qemu_strtou64(value, &seconds)) {
        error_setg(errp, "Parameter '%s' expects a number", prop->name);
        return false;
    }
    if (seconds > UINT32_MAX) {
        error_setg(errp, "timer value is too big");
        return false;
    }
    if (seconds == s->interval) {
        return true;
    }
    s->interval = seconds;
    if (s->vdev && seconds) {
        ask(s);
    } else if (s->vdev) {
        timer_del(&s->timer);
    }
    return true;
}

static char *get_interval(const Object *obj, const Property *prop)
{
    const BalloonStats *s = property_field(obj, prop);

    return g_strdup_printf("%" PRIu32, s->interval);
}

const PropertyInfo prop_balloon_stats = {
    .name = "guest statistics", .kind = PROP_KIND_ANY, .set = refuse_stats, .get = get_stats,
};
const PropertyInfo prop_balloon_interval = {
    .name = "int", .kind = PROP_KIND_INT, .set = set_interval, .get = get_interval, .live = true,
};
