/*
 * Devices and buses.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "hw/qdev.h"

#include <string.h>

#include "hw/boards.h"

DeviceState *qdev_new(const DeviceClass *dc, const char *id)
{
    return downcast(object_new(&dc->oc, id), DeviceState, obj);
}

const char *qdev_name(const DeviceState *dev)
{
    return dev->obj.id ? dev->obj.id : dev->obj.oc->name;
}

typedef struct LinkSearch {
    DeviceState *dev;
    bool ok;
    Error **errp;
} LinkSearch;

static void find_link(const Property *prop, void *opaque)
{
    LinkSearch *s = opaque;
    const ObjectLinkTarget *target = prop->arg;
    ObjectLink *link = property_field(&s->dev->obj, prop);

    if (!s->ok || prop->info->kind != PROP_KIND_LINK || !link->id) {
        return;
    }
    link->obj = machine_find_object(s->dev->machine, link->id);
    s->ok = link->obj && target->is(link->obj);
    if (!link->obj) {
        error_setg(s->errp, "Device '%s' not found", link->id);
    } else if (!s->ok) {
        error_setg(s->errp, "Invalid parameter type for '%s', expected: %s", prop->name,
                   target->what);
    }
}

static bool find_links(DeviceState *dev, Error **errp)
{
    LinkSearch s = { .dev = dev, .ok = true, .errp = errp };

    property_foreach(dev->obj.oc, find_link, &s);
    return s.ok;
}

bool qdev_realize(DeviceState *dev, MachineState *ms, BusState *bus,
                  Error **errp)
{
    const DeviceClass *dc = device_get_class(dev);

    g_assert(!dev->realized);
    dev->machine = ms;
    dev->parent_bus = bus;
    if (!find_links(dev, errp) || (dc->realize && !dc->realize(dev, errp))) {
        dev->parent_bus = NULL;
        return false;
    }
    dev->realized = true;
    dev->hotplugged = ms->memory.sealed;
    g_ptr_array_add(ms->devices, dev);
    if (bus) {
        g_ptr_array_add(bus->children, dev);
    }
    return true;
}

void qdev_unrealize(DeviceState *dev)
{
    const DeviceClass *dc = device_get_class(dev);

    g_assert(dev->realized);
    if (dc->unrealize) {
        dc->unrealize(dev);
    }
    dev->realized = false;
    if (dev->parent_bus) {
        g_ptr_array_remove(dev->parent_bus->children, dev);
    }
    g_ptr_array_remove(dev->machine->devices, dev);
    object_free(&dev->obj);
}

void qbus_init(BusState *bus, const char *type, const char *name,
               DeviceState *parent, MachineState *ms)
{
    bus->type = type;
    bus->name = g_strdup(name);
    bus->parent = parent;
    bus->machine = ms;
    bus->children = g_ptr_array_new();
    g_ptr_array_add(ms->buses, bus);
    if (parent) {
        if (!parent->child_buses) {
            parent->child_buses = g_ptr_array_new();
        }
        g_ptr_array_add(parent->child_buses, bus);
    }
}

char *qbus_new_name(const DeviceState *parent, const char *type, const char *stem)
{
    const MachineState *ms = parent->machine;
    unsigned n = 0;

    if (parent->obj.id) {
        return g_strdup_printf("%s.0", parent->obj.id);
    }
    for (guint i = 0; i < ms->buses->len; i++) {
        const BusState *bus = ms->buses->pdata[i];

        n += !strcmp(bus->type, type) && bus->parent && !bus->parent->obj.id;
    }
    return g_strdup_printf("%s.%u", stem, n);
}

void qbus_cleanup(BusState *bus)
{
    if (!bus->children) {
        return;
    }
    g_ptr_array_remove(bus->machine->buses, bus);
    if (bus->parent) {
        g_ptr_array_remove(bus->parent->child_buses, bus);
    }
    g_ptr_array_unref(bus->children);
    bus->children = NULL;
    g_free(bus->name);
}

static bool qbus_is_full(const BusState *bus)
{
    return bus->max_dev && bus->children->len >= bus->max_dev;
}

BusState *qbus_find(MachineState *ms, const char *type, const char *name,
                    const char *driver, Error **errp)
{
    unsigned full = 0;

    for (guint i = 0; i < ms->buses->len; i++) {
        BusState *bus = g_ptr_array_index(ms->buses, i);

        full += !strcmp(bus->type, type) && qbus_is_full(bus);
        if (name ? strcmp(bus->name, name) : strcmp(bus->type, type) || qbus_is_full(bus)) {
            continue;
        }
        if (strcmp(bus->type, type)) {
            error_setg(errp, "Device '%s' can't go on %s bus", driver, bus->type);
            return NULL;
        }
        if (qbus_is_full(bus)) {
            error_setg(errp, "Bus '%s' is full", name);
            return NULL;
        }
        return bus;
    }
    if (name) {
        error_setg(errp, "Bus '%s' not found", name);
    } else if (full && !strcmp(type, "virtio-bus")) {
        error_setg(errp, "no room for device '%s': all %u transports are in use", driver, full);
    } else {
        error_setg(errp, "No '%s' bus found for device '%s'", type, driver);
    }
    return NULL;
}

DeviceState *qdev_find_class(const MachineState *ms, const char *name)
{
    for (guint i = 0; i < ms->devices->len; i++) {
        DeviceState *dev = g_ptr_array_index(ms->devices, i);

        if (!strcmp(dev->obj.oc->name, name)) {
            return dev;
        }
    }
    return NULL;
}

DeviceState *qdev_find(MachineState *ms, const char *id)
{
    for (guint i = 0; i < ms->devices->len; i++) {
        DeviceState *dev = g_ptr_array_index(ms->devices, i);

        if (dev->obj.id && !strcmp(dev->obj.id, id)) {
            return dev;
        }
    }
    return NULL;
}

/* The class that -device driver names, if users may make one. */
static const DeviceClass *find_user_class(const char *driver, Error **errp)
{
    const ObjectClass *oc = object_class_by_name(device_classes, driver);
    const DeviceClass *dc = downcast(oc, const DeviceClass, oc);

    if (!oc) {
        g_autofree char *why = qdev_why_not(driver);

        error_setg(errp, "'%s' is not a valid device model name%s", driver, why);
        return NULL;
    }
    if (!dc->user_creatable) {
        error_setg(errp, "Parameter 'driver' expects a pluggable device type");
        return NULL;
    }
    return dc;
}

static bool check_id(MachineState *ms, const char *id, Error **errp)
{
    if (id && qdev_find(ms, id)) {
        error_setg(errp, "Duplicate device ID '%s'", id);
        return false;
    }
    return !id || qemu_check_id(id, errp);
}

static BusState *bus_for(MachineState *ms, const DeviceClass *dc,
                         const char *name, Error **errp)
{
    BusState *bus = qbus_find(ms, dc->bus_type, name, dc->oc.name, errp);

    if (bus && ms->memory.sealed && !bus->hotpluggable) {
        error_setg(errp, "Bus '%s' does not support hotplugging", bus->name);
        return NULL;
    }
    return bus;
}

DeviceState *qdev_device_add(MachineState *ms, QemuOpts *opts, Error **errp)
{
    const char *driver = qemu_opt_get(opts, "driver");
    const char *id = qemu_opt_get(opts, "id");
    const char *bus_name = qemu_opt_get(opts, "bus");
    const DeviceClass *dc;
    BusState *bus = NULL;
    DeviceState *dev;

    if (!driver) {
        error_setg(errp, "Parameter 'driver' is missing");
        return NULL;
    }
    dc = find_user_class(driver, errp);
    if (!dc || !check_id(ms, id, errp)) {
        return NULL;
    }
    if (dc->bus_type) {
        bus = bus_for(ms, dc, bus_name, errp);
        if (!bus) {
            return NULL;
        }
    }
    dev = qdev_new(dc, id);
    if (!machine_apply_globals(ms, &dev->obj, errp) ||
        !object_set_opts(&dev->obj, opts, errp) ||
        !qdev_realize(dev, ms, bus, errp)) {
        object_free(&dev->obj);
        return NULL;
    }
    return dev;
}

void qdev_reset_all(MachineState *ms)
{
    for (guint i = 0; i < ms->devices->len; i++) {
        DeviceState *dev = g_ptr_array_index(ms->devices, i);
        const DeviceClass *dc = device_get_class(dev);

        if (dc->reset) {
            dc->reset(dev);
        }
    }
}

/* In the order that the property tree counts them in. */
char *qdev_get_path(const DeviceState *dev)
{
    unsigned n = 0;

    if (dev->obj.id) {
        return g_strdup_printf("/machine/peripheral/%s", dev->obj.id);
    }
    for (guint i = 0; dev->machine->devices->pdata[i] != dev; i++) {
        const DeviceState *d = g_ptr_array_index(dev->machine->devices, i);

        n += !d->obj.id && d->parent_bus && device_get_class(d)->user_creatable;
    }
    return g_strdup_printf("/machine/peripheral-anon/device[%u]", n);
}
