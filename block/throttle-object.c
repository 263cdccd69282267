/*
 * -object throttle-group: limits that the disks have together that are in it.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "throttle-internal.h"

typedef struct ThrottleObject {
    Object obj;
    ThrottleLimits limits;
    ThrottleGroup *group;
} ThrottleObject;

/* Also after a change of "limits" while the machine runs. */
static bool throttle_object_complete(Object *obj, Error **errp)
{
    ThrottleObject *t = downcast(obj, ThrottleObject, obj);

    if (!throttle_check(&t->limits, errp)) {
        return false;
    }
    if (!t->group) {
        if (throttle_group_find(obj->id)) {
            error_setg(errp, "A group with this name already exists");
            return false;
        }
        t->group = throttle_group_get(obj->id);
    }
    throttle_group_set(t->group, &t->limits);
    return true;
}

static bool throttle_object_in_use(const Object *obj)
{
    return throttle_group_users(downcast(obj, const ThrottleObject, obj)->group) > 1;
}

static void throttle_object_finalize(Object *obj)
{
    ThrottleObject *t = downcast(obj, ThrottleObject, obj);

    if (t->group) {
        throttle_group_put(t->group);
    }
}

static bool set_limit(Object *obj, const Property *prop, const char *value, Error **errp)
{
    return prop_uint64.set(obj, prop, value, errp);
}

static char *get_limit(const Object *obj, const Property *prop)
{
    ThrottleObject copy = *downcast(obj, const ThrottleObject, obj);

    /* A disk in the group may have changed them. */
    if (copy.group) {
        throttle_group_limits(copy.group, &copy.limits);
    }
    return prop_uint64.get(&copy.obj, prop);
}

static const PropertyInfo prop_live_limit = {
    .name = "uint64", .kind = PROP_KIND_INT, .set = set_limit, .get = get_limit, .live = true,
};
static const PropertyInfo prop_limit = {
    .name = "uint64", .kind = PROP_KIND_INT, .set = set_limit, .get = get_limit,
};

#define ROW(n, info, field, def, help) \
    DEFINE_PROP(n, ThrottleObject, limits.field, info, uint64_t, def, help)
#define LIMIT_ROWS(prefix, info, n, i, what) \
    ROW(prefix n, info, of[i].avg, "0", what " a second"), \
    ROW(prefix n "-max", info, of[i].max, "0", what " a second in bursts"), \
    ROW(prefix n "-max-length", info, of[i].length, "1", "length of these bursts in seconds")
#define ALL_ROWS(prefix, info) \
    LIMIT_ROWS(prefix, info, "bps-total", THROTTLE_BPS_TOTAL, "bytes"), \
    LIMIT_ROWS(prefix, info, "bps-read", THROTTLE_BPS_READ, "bytes read"), \
    LIMIT_ROWS(prefix, info, "bps-write", THROTTLE_BPS_WRITE, "bytes written"), \
    LIMIT_ROWS(prefix, info, "iops-total", THROTTLE_IOPS_TOTAL, "requests"), \
    LIMIT_ROWS(prefix, info, "iops-read", THROTTLE_IOPS_READ, "reads"), \
    LIMIT_ROWS(prefix, info, "iops-write", THROTTLE_IOPS_WRITE, "writes"), \
    ROW(prefix "iops-size", info, iops_size, "0", "bytes that count as one request")

static const Property throttle_object_props[] = {
    ALL_ROWS("limits.", prop_live_limit),
    ALL_ROWS("x-", prop_limit),
    DEFINE_PROP_END
};

static const ObjectClass throttle_object_class = {
    .name = "throttle-group",
    .desc = "limits that disks share",
    .instance_size = sizeof(ThrottleObject),
    .props = throttle_object_props,
    .complete = throttle_object_complete,
    .in_use = throttle_object_in_use,
    .finalize = throttle_object_finalize,
};
DEFINE_CLASS(throttle_object, &throttle_object_class);
