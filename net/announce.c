/*
 * Announcements of the guest's cards.
 *
 * A RARP request (RFC 903) for the card's own address: switches learn its port
 * from the source, nobody has to answer.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "net/announce.h"

#include <string.h>

#include "net/net.h"
#include "qemu/timer.h"

#define RARP_LEN 60         /* padded to the shortest frame */

typedef struct Announcer {
    char *id;
    NetAnnounce params;
    char **names;           /* NULL: all cards */
    int64_t sent;           /* rounds */
    QEMUTimer timer;
} Announcer;

static GPtrArray *announcers;   /* of Announcer; owned */

static void announcer_free(gpointer data)
{
    Announcer *a = data;

    timer_del(&a->timer);
    g_free(a->id);
    g_strfreev(a->names);
    g_free(a);
}

static void make_rarp(uint8_t frame[RARP_LEN], const uint8_t *mac)
{
    static const uint8_t request[] = {
        0x80, 0x35,             /* RARP */
        0, 1, 8, 0, 6, 4,       /* Ethernet and IPv4 addresses */
        0, 3,                   /* request reverse */
    };

    memset(frame, 0, RARP_LEN);
    memset(frame, 0xff, 6);
    memcpy(frame + 6, mac, 6);
    memcpy(frame + 12, request, sizeof(request));
    memcpy(frame + 22, mac, 6);     /* sender */
    memcpy(frame + 32, mac, 6);     /* target: the same */
}

static void announce_card(NetClientState *nc, void *opaque)
{
    const Announcer *a = opaque;
    static const uint8_t header[16];    /* virtio-net's: nothing to be done */
    uint8_t frame[RARP_LEN];
    struct iovec iov[] = { { (void *)header, nc->hdr_len }, { frame, sizeof(frame) } };
    NetRxFilter f;

    if (!nc->nic || !nc->nic->ops || !nc->nic->ops->rx_filter ||
        (a->names && !g_strv_contains((const char *const *)a->names,
                                      nc->nic->name ? nc->nic->name : nc->obj.id))) {
        return;
    }
    nc->nic->ops->rx_filter(nc->nic->opaque, &f);
    make_rarp(frame, f.main_mac);
    net_send(nc->nic, 0, nc->hdr_len ? iov : iov + 1, nc->hdr_len ? 2 : 1);
    if (nc->nic->ops->announce) {
        nc->nic->ops->announce(nc->nic->opaque);
    }
}

static void announce_round(void *opaque)
{
    Announcer *a = opaque;
    const NetAnnounce *p = &a->params;
    int64_t pause = MIN(p->initial + a->sent * p->step, p->max);

    net_foreach(announce_card, a);
    if (++a->sent >= p->rounds) {
        g_ptr_array_remove(announcers, a);
        return;
    }
    timer_mod_ns(&a->timer, qemu_clock_get_ns(QEMU_CLOCK_REALTIME) + pause * 1000000);
}

void net_announce_self(const char *id, const NetAnnounce *params, char **names)
{
    Announcer *a;

    if (!announcers) {
        announcers = g_ptr_array_new_with_free_func(announcer_free);
    }
    for (guint i = 0; i < announcers->len; i++) {
        a = g_ptr_array_index(announcers, i);
        if (!strcmp(a->id, id)) {
            g_ptr_array_remove_index(announcers, i);
            break;
        }
    }
    if (!params->rounds) {
        return;
    }
    a = g_new0(Announcer, 1);
    a->id = g_strdup(id);
    a->params = *params;
    a->names = g_strdupv(names);
    timer_init_ns(&a->timer, QEMU_CLOCK_REALTIME, announce_round, a);
    g_ptr_array_add(announcers, a);
    announce_round(a);
}
