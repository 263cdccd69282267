/*
 * HMP's look at virtio devices.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <linux/virtio_config.h>
#include <string.h>

#include "hmp.h"
#include "hw/virtio/virtio-info.h"

/* All devices at a glance -------------------------------------------------- */

static void print_status(Monitor *mon, const VirtioInfo *info)
{
    static const char what[] = "VIRTIO_CONFIG_S_";
    const char *words = info->status & VIRTIO_CONFIG_S_NEEDS_RESET ?
                            " (the driver broke the rules and has to reset it)" :
                        info->status & VIRTIO_CONFIG_S_FAILED ? " (the driver gave up)" :
                        info->status & VIRTIO_CONFIG_S_DRIVER_OK ? " (in use)" :
                        info->status & VIRTIO_CONFIG_S_DRIVER ? " (the driver is not done)" :
                        info->status ? " (seen, but no driver)" :
                        "none (the guest has not looked at it, or has reset it)";

    monitor_puts(mon, "  driver:");
    for (unsigned bit = 0; bit < 8; bit++) {
        const char *name = virtio_status_name(bit);

        if ((info->status >> bit & 1) && name) {
            monitor_printf(mon, " %s", name + strlen(what));
        }
    }
    monitor_printf(mon, "%s%s\n", info->status ? "" : " ", words);
}

/* Names in lines of a readable length. */
static void print_features(Monitor *mon, const char *title, uint16_t device_id, uint64_t bits)
{
    g_autoptr(GString) line = g_string_new(NULL);

    g_string_append_printf(line, "  %s:", title);
    for (unsigned bit = 0; bit < 64; bit++) {
        const char *name = virtio_feature_name(device_id, bit);
        g_autofree char *word = !(bits >> bit & 1) ? NULL :
            name ? g_strdup_printf(" %s", name + strlen("VIRTIO_")) :
            g_strdup_printf(" bit-%u", bit);

        if (word && line->len + strlen(word) > 78) {
            monitor_printf(mon, "%s\n", line->str);
            g_string_truncate(line, 0);
            g_string_append(line, "   ");
        }
        if (word) {
            g_string_append(line, word);
        }
    }
    monitor_printf(mon, "%s%s\n", line->str, bits ? "" : " none");
}

static void print_queue(Monitor *mon, unsigned n, const VirtioQueueInfo *q)
{
    monitor_printf(mon, "  queue %u: %u of %u entries, descriptors 0x%" PRIx64
                   ", available 0x%" PRIx64 ", used 0x%" PRIx64 "\n", n, q->num, q->max,
                   q->desc, q->avail, q->used);
    monitor_printf(mon, "    available index %u, taken up to %u, returned up to %u, "
                   "%u in flight%s\n", q->avail_idx, q->last_avail, q->used_idx, q->in_flight,
                   q->worker ? " (vhost)" : "");
}

/* Those that are not set up stand in one line, as long as they are alike. */
static void print_queues(Monitor *mon, VirtIODevice *vdev)
{
    VirtioQueueInfo q, next;
    unsigned n = 0, first;

    while (virtio_get_queue_info(vdev, n, &q)) {
        first = n++;
        if (q.ready) {
            print_queue(mon, first, &q);
            continue;
        }
        while (virtio_get_queue_info(vdev, n, &next) && !next.ready && next.max == q.max) {
            n++;
        }
        if (n - first == 1) {
            monitor_printf(mon, "  queue %u", first);
        } else {
            monitor_printf(mon, "  queues %u to %u", first, n - 1);
        }
        monitor_printf(mon, ": not set up (at most %u entries)\n", q.max);
    }
}

void hmp_info_virtio(Monitor *mon, json_t *args)
{
    VirtIODevice *vdev;
    VirtioInfo info;
    unsigned i;

    for (i = 0; (vdev = virtio_nth_device(mon->ms, i)); i++) {
        g_autofree char *path = qdev_get_path((const DeviceState *)vdev);

        virtio_get_info(vdev, &info);
        monitor_printf(mon, "%s [%s]\n  slot %u (%s), registers at 0x%" PRIx64
                       ", interrupt %u, version %u\n", path, virtio_device_name(info.device_id),
                       info.slot, info.bus_name, info.base, info.irq, info.legacy ? 1 : 2);
        print_status(mon, &info);
        print_features(mon, "offered", info.device_id, info.offered);
        print_features(mon, "agreed", info.device_id, info.agreed);
        print_queues(mon, vdev);
    }
    if (i == 0) {
        monitor_puts(mon, "No virtio device: -device help lists them\n");
    }
}

/* What QMP says, in lines ---------------------------------------------------- */

static void print_value(Monitor *mon, const char *key, json_t *v, int indent)
{
    monitor_printf(mon, "%*s%s:", indent, "", key);
    if (json_is_integer(v)) {
        json_int_t n = json_integer_value(v);

        /* Addresses. */
        monitor_printf(mon, n >= 0 && n < 1 << 20 ? " %" PRId64 "\n" : " 0x%" PRIx64 "\n",
                       (int64_t)n);
    } else if (json_is_string(v)) {
        monitor_printf(mon, " %s\n", json_string_value(v));
    } else if (json_is_boolean(v)) {
        monitor_puts(mon, json_is_true(v) ? " true\n" : " false\n");
    } else {
        monitor_puts(mon, json_array_size(v) || json_object_size(v) ? "\n" : " none\n");
    }
}

/* No deeper than QMP's answers are. */
static void print_members(Monitor *mon, json_t *obj, int indent)
{
    const char *key;
    json_t *v, *item;
    size_t i;

    json_object_foreach(obj, key, v) {
        print_value(mon, key, v, indent);
        print_members(mon, v, indent + 2);
        json_array_foreach(v, i, item) {
            if (json_is_string(item)) {
                monitor_printf(mon, "%*s%s\n", indent + 2, "", json_string_value(item));
            } else {
                monitor_printf(mon, "%*s%zu\n", indent + 2, "", i);
                print_members(mon, item, indent + 4);
            }
        }
    }
}

static void print_query(Monitor *mon, const char *name, json_t *args)
{
    json_t *ret = hmp_qmp(mon, name, args);

    print_members(mon, ret, 0);
    json_decref(ret);
}

void hmp_info_virtio_status(Monitor *mon, json_t *args)
{
    print_query(mon, "x-query-virtio-status", args);
}

void hmp_info_virtio_queue_status(Monitor *mon, json_t *args)
{
    print_query(mon, "x-query-virtio-queue-status", args);
}

void hmp_info_virtio_vhost_queue_status(Monitor *mon, json_t *args)
{
    print_query(mon, "x-query-virtio-vhost-queue-status", args);
}

void hmp_info_virtio_queue_element(Monitor *mon, json_t *args)
{
    print_query(mon, "x-query-virtio-queue-element", args);
}
