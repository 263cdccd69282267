/*
 * The virtio memory balloon (virtio 1.2, section 5.5): pages that the guest can do without go back
 * to the host.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "hw/virtio/virtio.h"

#include <linux/virtio_balloon.h>
#include <stdatomic.h>
#include <string.h>

#include "exec/dirty-log.h"
#include "hw/boards.h"
#include "hw/core/event.h"
#include "hw/virtio/balloon-stats.h"
#include "qemu/cutils.h"
#include "qemu/iov.h"
#include "qemu/timer.h"
#include "sysemu/balloon.h"
#include "sysemu/hostmem.h"

#define BALLOON_QUEUE_SIZE 128
#define BALLOON_PAGE_SHIFT VIRTIO_BALLOON_PFN_SHIFT
#define BALLOON_PAGE (1u << BALLOON_PAGE_SHIFT)
#define BALLOON_BATCH 1024      /* page numbers that are sorted together */
#define BALLOON_TURN  16        /* batches or requests before the loop does something else */
#define BALLOON_EVENT_NS NANOSECONDS_PER_SECOND     /* at least from event to event */

/* Host pages larger than the guest's go back once all of their parts are in the balloon. */
typedef struct BalloonParts {
    uint64_t *inflated;         /* a bit for each page of RAM; NULL: host pages are small */
    uint32_t *count;            /* of bits, for each host page */
    uint64_t host_page;
} BalloonParts;

typedef struct VirtIOBalloon {
    VirtIODevice vdev;
    /* Properties. */
    bool deflate_on_oom, free_page_reporting, free_page_hint, page_poison;
    ObjectLink iothread;
    BalloonStats stats;

    Balloon balloon;            /* for monitors */
    HostMemoryBackend *ram;
    uint32_t num_pages;         /* what the balloon should hold */
    uint32_t actual;            /* what the driver says that it holds */
    atomic_uint poison;         /* contents of free pages, if PAGE_POISON was agreed */
    VirtQueueElement *elem[2];  /* inflating, deflating: work under way */
    BalloonParts parts;
    QEMUTimer event_timer;
    int64_t next_event;         /* on QEMU_CLOCK_REALTIME */
} VirtIOBalloon;

/* Pages ---------------------------------------------------------------------- */

static void balloon_discard(VirtIOBalloon *s, void *host, uint64_t len)
{
    host_memory_backend_discard(s->ram, host, len);
    address_space_wrote(s->vdev.as, host, len);
}

/*
 * A part of a large host page comes (in) or goes; the page itself goes with its last part. Only if
 * the driver must tell first: else a page in use could still count as one in the balloon.
 */
static void balloon_part(VirtIOBalloon *s, char *host, bool in)
{
    BalloonParts *p = &s->parts;
    uint64_t offset = host - (char *)s->ram->host;
    uint64_t n = offset / BALLOON_PAGE, bit = 1ull << n % 64;
    uint64_t page = offset / p->host_page;

    if (in == !!(p->inflated[n / 64] & bit) ||
        !virtio_has_feature(&s->vdev, VIRTIO_BALLOON_F_MUST_TELL_HOST)) {
        return;
    }
    p->inflated[n / 64] ^= bit;
    p->count[page] += in ? 1 : -1;
    if (p->count[page] == p->host_page / BALLOON_PAGE) {
        balloon_discard(s, (char *)s->ram->host + page * p->host_page, p->host_page);
    }
}

/* NULL: no page of the machine's RAM. */
static char *balloon_page(VirtIOBalloon *s, uint32_t pfn)
{
    char *host = address_space_map(s->vdev.as, (hwaddr)pfn << BALLOON_PAGE_SHIFT, BALLOON_PAGE);
    uint64_t offset = (uintptr_t)host - (uintptr_t)s->ram->host;

    return host && offset < s->ram->size ? host : NULL;
}

static int compare_pfns(const void *a, const void *b, void *opaque)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

    return x < y ? -1 : x > y;
}

/* One system call for what lies side by side; twice the same page is once. */
static void balloon_inflate(VirtIOBalloon *s, uint32_t *pfns, size_t n)
{
    char *start = NULL, *end = NULL;

    /* Not qsort(): it asks the host for the size of its memory, which an iothread may not. */
    g_qsort_with_data(pfns, n, sizeof(*pfns), compare_pfns, NULL);
    for (size_t i = 0; i < n; i++) {
        char *host = balloon_page(s, pfns[i]);

        if (!host || (i && pfns[i] == pfns[i - 1])) {
            continue;
        }
        if (s->parts.inflated) {
            balloon_part(s, host, true);
        } else if (start && host == end) {
            end += BALLOON_PAGE;
        } else {
            if (start) {
                balloon_discard(s, start, end - start);
            }
            start = host;
            end = host + BALLOON_PAGE;
        }
    }
    if (start) {
        balloon_discard(s, start, end - start);
    }
}

/* The host gives memory again when it is touched: only the account is kept here. */
static void balloon_deflate(VirtIOBalloon *s, const uint32_t *pfns, size_t n)
{
    for (size_t i = 0; s->parts.inflated && i < n; i++) {
        char *host = balloon_page(s, pfns[i]);

        if (host) {
            balloon_part(s, host, false);
        }
    }
}

/* Queues --------------------------------------------------------------------- */

/* A request has any number of page numbers: the loop gets its turn within one, too. */
static void balloon_handle_pages(VirtIODevice *vdev, VirtQueue *vq)
{
    VirtIOBalloon *s = downcast(vdev, VirtIOBalloon, vdev);
    unsigned index = virtio_queue_index(vq);
    VirtQueueElement **elem = &s->elem[index];
    uint32_t pfns[BALLOON_BATCH];

    for (unsigned i = 0; i < BALLOON_TURN; i++) {
        size_t len;

        if (!*elem && !(*elem = virtqueue_pop(vq))) {
            return;
        }
        len = iov_to_buf((*elem)->out_sg, (*elem)->out_num, 0, pfns, sizeof(pfns));
        iov_discard_front(&(*elem)->out_sg, &(*elem)->out_num, len);
        if (index == 0) {
            balloon_inflate(s, pfns, len / sizeof(*pfns));
        } else {
            balloon_deflate(s, pfns, len / sizeof(*pfns));
        }
        if (!(*elem)->out_num) {
            virtqueue_push(vq, *elem, 0);
            virtio_notify(vq);
            *elem = NULL;
        }
    }
    virtio_queue_kick(vq);
}

/* Section 5.5.6.7: a reported page holds zeros or what it held; poison other than 0 is neither. */
static void balloon_handle_report(VirtIODevice *vdev, VirtQueue *vq)
{
    VirtIOBalloon *s = downcast(vdev, VirtIOBalloon, vdev);
    bool keep = virtio_has_feature(vdev, VIRTIO_BALLOON_F_PAGE_POISON) && s->poison;

    for (unsigned i = 0; i < BALLOON_TURN; i++) {
        VirtQueueElement *elem = virtqueue_pop(vq);

        if (!elem) {
            return;
        }
        for (unsigned n = 0; !keep && n < elem->in_num; n++) {
            balloon_discard(s, elem->in_sg[n].iov_base, elem->in_sg[n].iov_len);
        }
        virtqueue_push(vq, elem, 0);
        virtio_notify(vq);
    }
    virtio_queue_kick(vq);
}

/* Hints spare a migration free pages (section 5.5.6.5): there is none, they are only returned. */
static void balloon_handle_hints(VirtIODevice *vdev, VirtQueue *vq)
{
    for (unsigned i = 0; i < BALLOON_TURN; i++) {
        VirtQueueElement *elem = virtqueue_pop(vq);

        if (!elem) {
            return;
        }
        virtqueue_push(vq, elem, 0);
        virtio_notify(vq);
    }
    virtio_queue_kick(vq);
}

static void balloon_handle_stats(VirtIODevice *vdev, VirtQueue *vq)
{
    balloon_stats_receive(&downcast(vdev, VirtIOBalloon, vdev)->stats);
}

/* Configuration -------------------------------------------------------------- */

static uint64_t balloon_actual(const Balloon *balloon)
{
    const VirtIOBalloon *s = container_of(balloon, VirtIOBalloon, balloon);
    uint64_t held = (uint64_t)s->actual << BALLOON_PAGE_SHIFT;

    return s->ram->size - MIN(held, s->ram->size);
}

static void balloon_set_target(Balloon *balloon, uint64_t bytes)
{
    VirtIOBalloon *s = container_of(balloon, VirtIOBalloon, balloon);
    uint64_t pages = (s->ram->size - MIN(bytes, s->ram->size)) >> BALLOON_PAGE_SHIFT;

    s->num_pages = MIN(pages, UINT32_MAX);
    virtio_notify_config(&s->vdev);
}

/* Clients have only so much room: the first change at once, then the last of each second. */
static void balloon_changed(VirtIOBalloon *s)
{
    if (!timer_pending(&s->event_timer)) {
        timer_mod_ns(&s->event_timer,
                     MAX(s->next_event, qemu_clock_get_ns(QEMU_CLOCK_REALTIME)));
    }
}

static void balloon_send_event(void *opaque)
{
    VirtIOBalloon *s = opaque;

    s->next_event = qemu_clock_get_ns(QEMU_CLOCK_REALTIME) + BALLOON_EVENT_NS;
    machine_event(s->vdev.dev.machine, "BALLOON_CHANGE", (EventField []) {
        EVENT_INT("actual", balloon_actual(&s->balloon)) }, 1);
}

static void balloon_get_config(VirtIODevice *vdev, void *data)
{
    const VirtIOBalloon *s = downcast(vdev, const VirtIOBalloon, vdev);
    struct virtio_balloon_config config = {
        .num_pages = s->num_pages,
        .actual = s->actual,
        .free_page_hint_cmd_id = VIRTIO_BALLOON_CMD_ID_STOP,
        .poison_val = s->poison,
    };

    memcpy(data, &config, vdev->config_len);
}

/* The driver writes actual and poison_val, by whatever widths. */
static void balloon_set_config(VirtIODevice *vdev, unsigned offset, const void *data, unsigned len)
{
    VirtIOBalloon *s = downcast(vdev, VirtIOBalloon, vdev);
    struct virtio_balloon_config config = { .actual = s->actual, .poison_val = s->poison };

    memcpy((char *)&config + offset, data, len);
    s->poison = config.poison_val;
    if (config.actual != s->actual) {
        s->actual = config.actual;
        balloon_changed(s);
    }
}

static uint64_t balloon_get_features(VirtIODevice *vdev, bool modern)
{
    const VirtIOBalloon *s = downcast(vdev, const VirtIOBalloon, vdev);
    const struct {
        bool on;
        unsigned bit;
    } features[] = {
        { s->parts.inflated != NULL, VIRTIO_BALLOON_F_MUST_TELL_HOST },
        { true, VIRTIO_BALLOON_F_STATS_VQ },
        { s->deflate_on_oom, VIRTIO_BALLOON_F_DEFLATE_ON_OOM },
        { s->free_page_hint, VIRTIO_BALLOON_F_FREE_PAGE_HINT },
        { s->page_poison, VIRTIO_BALLOON_F_PAGE_POISON },
        { s->free_page_reporting, VIRTIO_BALLOON_F_REPORTING },
    };
    uint64_t f = 0;

    for (size_t i = 0; i < G_N_ELEMENTS(features); i++) {
        f |= (uint64_t)features[i].on << features[i].bit;
    }
    return f;
}

/* Life ----------------------------------------------------------------------- */

static void balloon_queue_reset(VirtIODevice *vdev, VirtQueue *vq)
{
    VirtIOBalloon *s = downcast(vdev, VirtIOBalloon, vdev);
    unsigned index = virtio_queue_index(vq);

    if (index < G_N_ELEMENTS(s->elem)) {
        s->elem[index] = NULL;
    }
    if (vq == s->stats.vq) {
        s->stats.elem = NULL;
    }
}

static void balloon_reset(VirtIODevice *vdev)
{
    VirtIOBalloon *s = downcast(vdev, VirtIOBalloon, vdev);
    BalloonParts *p = &s->parts;

    memset(s->elem, 0, sizeof(s->elem));
    balloon_stats_reset(&s->stats);
    s->poison = 0;
    s->actual = 0;
    if (p->inflated) {
        memset(p->inflated, 0, QEMU_ALIGN_UP(s->ram->size, 64 * BALLOON_PAGE) / BALLOON_PAGE / 8);
        memset(p->count, 0, s->ram->size / p->host_page * sizeof(*p->count));
    }
}

static void balloon_init_parts(VirtIOBalloon *s)
{
    BalloonParts *p = &s->parts;

    p->host_page = s->ram->page_size;
    if (p->host_page > BALLOON_PAGE) {
        p->inflated = g_new0(uint64_t, QEMU_ALIGN_UP(s->ram->size, 64 * BALLOON_PAGE) /
                             BALLOON_PAGE / 64);
        p->count = g_new0(uint32_t, s->ram->size / p->host_page);
    }
}

/* As QEMU numbers them: queues of features that are not offered do not count. */
static void balloon_add_queues(VirtIOBalloon *s)
{
    VirtIODevice *vdev = &s->vdev;
    const size_t size = sizeof(VirtQueueElement);

    virtio_add_queue(vdev, BALLOON_QUEUE_SIZE, size, balloon_handle_pages);
    virtio_add_queue(vdev, BALLOON_QUEUE_SIZE, size, balloon_handle_pages);
    s->stats.vq = virtio_add_queue(vdev, BALLOON_QUEUE_SIZE, size, balloon_handle_stats);
    if (s->free_page_hint) {
        virtio_add_queue(vdev, BALLOON_QUEUE_SIZE, size, balloon_handle_hints);
    }
    if (s->free_page_reporting) {
        virtio_add_queue(vdev, BALLOON_QUEUE_SIZE, size, balloon_handle_report);
    }
}

static bool balloon_realize(VirtIODevice *vdev, Error **errp)
{
    VirtIOBalloon *s = downcast(vdev, VirtIOBalloon, vdev);
    MachineState *ms = vdev->dev.machine;

    if (ms->balloon) {
        error_setg(errp, "Only one balloon device is supported");
        return false;
    }
    s->ram = ms->memdev;
    vdev->iothread = downcast(s->iothread.obj, IOThread, obj);
    vdev->config_len = s->page_poison ? sizeof(struct virtio_balloon_config) :
        s->free_page_hint ? offsetof(struct virtio_balloon_config, poison_val) :
        offsetof(struct virtio_balloon_config, free_page_hint_cmd_id);
    balloon_init_parts(s);
    balloon_add_queues(s);
    timer_init_ns(&s->event_timer, QEMU_CLOCK_REALTIME, balloon_send_event, s);
    balloon_stats_start(&s->stats, vdev);
    s->balloon = (Balloon) { .set_target = balloon_set_target, .actual = balloon_actual };
    ms->balloon = &s->balloon;
    return true;
}

static void balloon_unrealize(VirtIODevice *vdev)
{
    VirtIOBalloon *s = downcast(vdev, VirtIOBalloon, vdev);

    vdev->dev.machine->balloon = NULL;
    balloon_stats_stop(&s->stats);
    timer_del(&s->event_timer);
    g_free(s->parts.inflated);
    g_free(s->parts.count);
}

static const ObjectLinkTarget iothread_target = { "iothread", object_is_iothread };

static const Property balloon_props[] = {
    DEFINE_PROP_BOOL("deflate-on-oom", VirtIOBalloon, deflate_on_oom, "off",
                     "the guest may take pages back before it kills processes"),
    DEFINE_PROP_BOOL("free-page-reporting", VirtIOBalloon, free_page_reporting, "off",
                     "the guest tells what is free, and the host takes it"),
    DEFINE_PROP_BOOL("free-page-hint", VirtIOBalloon, free_page_hint, "off",
                     "offer hints of free pages for a migration"),
    DEFINE_PROP_BOOL("page-poison", VirtIOBalloon, page_poison, "on",
                     "the guest tells what it fills free pages with"),
    DEFINE_PROP_LINK("iothread", VirtIOBalloon, iothread, &iothread_target,
                     "ID of the -object iothread that serves the queues"),
    { .name = "guest-stats", .info = &prop_balloon_stats,
      .offset = offsetof(VirtIOBalloon, stats), .help = "the guest's account of its memory" },
    { .name = "guest-stats-polling-interval", .info = &prop_balloon_interval,
      .offset = offsetof(VirtIOBalloon, stats), .defval = "0",
      .help = "seconds from account to account; 0: none" },
    DEFINE_PROP_END
};

STATE_NOT(VirtIOBalloon, balloon, "for monitors");
STATE_NOT(VirtIOBalloon, ram, "the board's");
STATE_NOT(VirtIOBalloon, elem, "in flight: taken again");
STATE_NOT(VirtIOBalloon, event_timer, "of events for the host's clients");
STATE_NOT(VirtIOBalloon, next_event, "of events for the host's clients");

/* Of large host pages of which parts are in the balloon; those of another size start anew. */
static void save_parts(const void *field, const char *name, GByteArray *out)
{
    const VirtIOBalloon *s = container_of(field, VirtIOBalloon, parts);
    const BalloonParts *p = field;

    state_put_int(out, "host-page", p->inflated ? p->host_page : 0);
    state_put_bytes(out, "inflated", p->inflated, p->inflated ?
                    QEMU_ALIGN_UP(s->ram->size, 64 * BALLOON_PAGE) / BALLOON_PAGE / 8 : 0);
}

static void count_parts(BalloonParts *p, uint64_t ram_size)
{
    memset(p->count, 0, ram_size / p->host_page * sizeof(*p->count));
    for (uint64_t n = 0; n < ram_size / BALLOON_PAGE; n++) {
        p->count[n * BALLOON_PAGE / p->host_page] += p->inflated[n / 64] >> n % 64 & 1;
    }
}

static bool load_parts(void *field, const char *name, StateReader *in, Error **errp)
{
    VirtIOBalloon *s = container_of(field, VirtIOBalloon, parts);
    BalloonParts *p = field;
    uint64_t host_page;
    const uint8_t *data;
    uint32_t len;

    if (!state_get_int(in, "host-page", 0, &host_page, errp) ||
        !state_get_bytes(in, "inflated", &data, &len, errp)) {
        return false;
    }
    if (p->inflated && host_page == p->host_page &&
        len == QEMU_ALIGN_UP(s->ram->size, 64 * BALLOON_PAGE) / BALLOON_PAGE / 8) {
        memcpy(p->inflated, data, len);
        count_parts(p, s->ram->size);
    }
    return true;
}

static const StateInfo parts_info = { .save = save_parts, .load = load_parts };

static const StateField balloon_fields[] = {
    STATE_INT(VirtIOBalloon, num_pages),
    STATE_INT(VirtIOBalloon, actual),
    STATE_INT(VirtIOBalloon, poison),
    STATE_ARRAY(VirtIOBalloon, stats.value),
    STATE_INT(VirtIOBalloon, stats.last_update),
    STATE_CUSTOM(VirtIOBalloon, parts, parts_info),
    STATE_END
};

static const StateDesc balloon_state = { .version = 1, .fields = balloon_fields };

static const VirtioDeviceClass virtio_balloon_class = {
    .dc = {
        .oc = {
            .name = "virtio-balloon-device",
            .alias = "virtio-balloon",
            .desc = "virtio memory balloon",
            .parent = &virtio_device_base_class,
            .instance_size = sizeof(VirtIOBalloon),
            .props = balloon_props,
        },
        VIRTIO_DEVICE_HOOKS,
        .state = MACHINE_STATE(&balloon_state),
    },
    .device_id = VIRTIO_ID_BALLOON,
    .in_order = true,
    .realize = balloon_realize,
    .unrealize = balloon_unrealize,
    .get_features = balloon_get_features,
    .get_config = balloon_get_config,
    .set_config = balloon_set_config,
    .reset = balloon_reset,
    .queue_reset = balloon_queue_reset,
};
DEFINE_CLASS(virtio_balloon, &virtio_balloon_class.dc.oc);
