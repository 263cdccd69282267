/*
 * QMP and HMP about the limits of disks.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <inttypes.h>
#include <string.h>

#include "block/throttle.h"
#include "hmp.h"
#include "qmp.h"

/* As block_set_io_throttle has them; "%s_max" and "%s_max_length" go with each. */
static const char *const kinds[THROTTLE__KINDS] = {
    "bps", "bps_rd", "bps_wr", "iops", "iops_rd", "iops_wr",
};

static void set_int(json_t *o, const char *name, const char *suffix, uint64_t value)
{
    g_autofree char *full = g_strconcat(name, suffix, NULL);

    json_object_set_new(o, full, json_integer(value));
}

void qmp_add_throttle(json_t *o, const BlockBackend *blk)
{
    ThrottleLimits limits = { 0 };
    const char *group = blk ? blk_get_throttle(blk, &limits) : NULL;

    for (unsigned i = 0; i < THROTTLE__KINDS; i++) {
        const ThrottleLimit *l = &limits.of[i];

        set_int(o, kinds[i], "", l->avg);
        if (l->max) {
            set_int(o, kinds[i], "_max", l->max);
            set_int(o, kinds[i], "_max_length", l->length);
        }
    }
    if (limits.iops_size) {
        set_int(o, "iops_size", "", limits.iops_size);
    }
    if (group) {
        json_object_set_new(o, "group", json_string(group));
    }
}

static uint64_t get_int(json_t *args, const char *name, const char *suffix, uint64_t def)
{
    g_autofree char *full = g_strconcat(name, suffix, NULL);

    return qmp_int(args, full, def);
}

/* A disk by its own name, by that of its device, or by that of the device's object. */
static BlockBackend *find_disk(const char *name)
{
    g_auto(GStrv) parts = g_strsplit(name, "/", -1);
    guint n = g_strv_length(parts);

    if (n > 1 && !strcmp(parts[n - 1], "virtio-backend")) {
        n--;
    }
    return n ? blk_find(parts[n - 1]) : NULL;
}

json_t *qmp_block_set_io_throttle(Monitor *mon, json_t *args, Error **errp)
{
    const char *device = qmp_str(args, "device"), *id = qmp_str(args, "id");
    const char *name = device ? device : id;
    BlockBackend *blk = name ? find_disk(name) : NULL;
    ThrottleLimits limits;

    if (!name || (device && id)) {
        error_setg(errp, "Need exactly one of 'device' and 'id'");
        return NULL;
    }
    if (!blk) {
        error_set(errp, ERROR_CLASS_DEVICE_NOT_FOUND, "Device '%s' not found", name);
        return NULL;
    }
    for (unsigned i = 0; i < THROTTLE__KINDS; i++) {
        limits.of[i] = (ThrottleLimit) {
            .avg = get_int(args, kinds[i], "", 0), .max = get_int(args, kinds[i], "_max", 0),
            .length = get_int(args, kinds[i], "_max_length", 1),
        };
    }
    limits.iops_size = qmp_int(args, "iops_size", 0);
    blk_set_throttle(blk, &limits, qmp_str(args, "group"), name, errp);
    return NULL;
}

/* "info block": nothing where there are none. */
void hmp_print_throttle(Monitor *mon, const BlockBackend *blk)
{
    ThrottleLimits limits;
    const char *group = blk ? blk_get_throttle(blk, &limits) : NULL;

    if (!group) {
        return;
    }
    monitor_puts(mon, "    I/O throttling:  ");
    for (unsigned i = 0; i < THROTTLE__KINDS; i++) {
        const ThrottleLimit *l = &limits.of[i];

        monitor_printf(mon, " %s=%" PRIu64 " %s_max=%" PRIu64, kinds[i], l->avg, kinds[i], l->max);
    }
    monitor_printf(mon, " iops_size=%" PRIu64 " group=%s\n", limits.iops_size, group);
}
