/*
 * The property tree: machine, devices, objects and chardevs under paths, with
 * the properties of their classes' rows.
 *
 * The tree is built from the machine's lists for each question and thrown
 * away: it has a few dozen nodes and is never out of date.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <string.h>

#include "hmp.h"
#include "hw/core/cpu.h"
#include "qmp-types.h"
#include "qmp.h"
#include "sysemu/accel.h"

typedef struct QomNode {
    char *name;
    char *type;
    Object *obj;            /* NULL: a container, or a CPU */
    const DeviceState *dev; /* obj as a device, or NULL */
    GPtrArray *children;    /* of QomNode; owned */
} QomNode;

static void node_free(gpointer data)
{
    QomNode *node = data;

    g_free(node->name);
    g_free(node->type);
    g_ptr_array_unref(node->children);
    g_free(node);
}

G_DEFINE_AUTOPTR_CLEANUP_FUNC(QomNode, node_free)

/* name and type are taken over; parent may be NULL. */
static QomNode *node_new(QomNode *parent, char *name, char *type, Object *obj)
{
    QomNode *node = g_new0(QomNode, 1);

    node->name = name;
    node->type = type;
    node->obj = obj;
    node->children = g_ptr_array_new_with_free_func(node_free);
    if (parent) {
        g_ptr_array_add(parent->children, node);
    }
    return node;
}

static QomNode *container_new(QomNode *parent, const char *name)
{
    return node_new(parent, g_strdup(name), g_strdup("container"), NULL);
}

static char *cpu_type(const MachineState *ms)
{
    const char *model = ms->cpu_model ? ms->cpu_model :
        machine_default_cpu_model(machine_get_class(ms), ms->accel);

    return g_strdup_printf("%.*s-x86_64-cpu", (int)strcspn(model, ","), model);
}

/* Devices the user named, made without a name, or that the board made. */
static void add_devices(QomNode *machine, MachineState *ms)
{
    QomNode *peripheral = container_new(machine, "peripheral");
    QomNode *anon = container_new(machine, "peripheral-anon");
    QomNode *unattached = container_new(machine, "unattached");

    for (unsigned i = 0; ms->cpus && i < ms->smp.cpus; i++) {
        node_new(unattached, g_strdup_printf("device[%u]", i), cpu_type(ms), NULL);
    }
    for (guint i = 0; i < ms->devices->len; i++) {
        DeviceState *dev = g_ptr_array_index(ms->devices, i);
        QomNode *node;
        bool user = dev->parent_bus && device_get_class(dev)->user_creatable;
        QomNode *parent = dev->obj.id ? peripheral : user ? anon : unattached;
        char *name = dev->obj.id ? g_strdup(dev->obj.id) :
            g_strdup_printf("device[%u]", parent->children->len);

        node = node_new(parent, name, g_strdup(dev->obj.oc->name), &dev->obj);
        node->dev = dev;
        /* Where QEMU has virtio devices of other buses: libvirt looks there. */
        if (dev->obj.id && dev->parent_bus && property_find(dev->obj.oc, "drive")) {
            node_new(node, g_strdup("virtio-backend"), g_strdup(dev->obj.oc->name),
                     &dev->obj)->dev = dev;
        }
    }
}

static void add_chardev(Chardev *s, void *opaque)
{
    if (s->obj.id) {
        node_new(opaque, g_strdup(s->obj.id),
                 g_strdup_printf("chardev-%s", s->obj.oc->name), &s->obj);
    }
}

static QomNode *build_tree(MachineState *ms)
{
    QomNode *root = container_new(NULL, "");
    QomNode *machine = node_new(root, g_strdup("machine"),
                                g_strdup(object_class_type_name(ms->obj.oc)), &ms->obj);
    QomNode *objects = container_new(root, "objects");

    add_devices(machine, ms);
    for (guint i = 0; i < ms->objects->len; i++) {
        Object *obj = g_ptr_array_index(ms->objects, i);

        node_new(objects, g_strdup(obj->id), g_strdup(obj->oc->name), obj);
    }
    qemu_chr_foreach(add_chardev, container_new(root, "chardevs"));
    return root;
}

static QomNode *find_child(QomNode *node, const char *name)
{
    for (guint i = 0; i < node->children->len; i++) {
        QomNode *child = g_ptr_array_index(node->children, i);

        if (!strcmp(child->name, name)) {
            return child;
        }
    }
    return NULL;
}

static QomNode *find_below(QomNode *node, char **parts)
{
    for (; node && *parts; parts++) {
        if (**parts) {
            node = find_child(node, *parts);
        }
    }
    return node;
}

/* A path without '/' in front is looked for everywhere, as QEMU does. */
static QomNode *find_partial(QomNode *node, char **parts)
{
    QomNode *found = find_below(node, parts);

    for (guint i = 0; !found && i < node->children->len; i++) {
        found = find_partial(g_ptr_array_index(node->children, i), parts);
    }
    return found;
}

static QomNode *find_path(QomNode *root, const char *path, Error **errp)
{
    g_auto(GStrv) parts = g_strsplit(path, "/", -1);
    QomNode *node = *path == '/' ? find_below(root, parts) :
        *path ? find_partial(root, parts) : NULL;

    if (!node) {
        error_set(errp, ERROR_CLASS_DEVICE_NOT_FOUND, "Device '%s' not found", path);
    }
    return node;
}

/* Values ------------------------------------------------------------------------ */

static json_t *property_value(const Object *obj, const Property *prop)
{
    g_autofree char *text = prop->info->get ? prop->info->get(obj, prop) : NULL;
    PropertyKind kind = prop->info->kind;

    if (kind == PROP_KIND_BOOL) {
        return json_boolean(text && !strcmp(text, "on"));
    }
    if (text && (kind == PROP_KIND_INT || kind == PROP_KIND_SIZE)) {
        return json_integer(*text == '-' ? g_ascii_strtoll(text, NULL, 10) :
                            (json_int_t)g_ascii_strtoull(text, NULL, 10));
    }
    if (text && kind == PROP_KIND_ANY) {
        return json_loads(text, JSON_DECODE_ANY, NULL);
    }
    if (text && kind == PROP_KIND_LINK) {
        return json_sprintf("/objects/%s", text);
    }
    return json_string(text ? text : "");
}

/* Rows "NAME.MEMBER" are members of the property NAME. */
typedef struct Group {
    const QomNode *node;
    const char *name;
    json_t *members;            /* filled in */
} Group;

static void add_member(const Property *prop, void *opaque)
{
    Group *g = opaque;
    size_t len = strlen(g->name);

    if (!strncmp(prop->name, g->name, len) && prop->name[len] == '.') {
        json_object_set_new(g->members, prop->name + len + 1,
                            property_value(g->node->obj, prop));
    }
}

/* The property as it is now; NULL: there is none of that name. */
static json_t *group_value(const QomNode *node, const char *name)
{
    Group g = { node, name, json_object() };

    if (node->obj) {
        property_foreach(node->obj->oc, add_member, &g);
    }
    if (!json_object_size(g.members)) {
        json_decref(g.members);
        return NULL;
    }
    return g.members;
}

/* What every device has besides its rows. */
static const struct {
    const char *name, *type;
} device_state[] = {
    { "realized", "bool" }, { "hotplugged", "bool" }, { "hotpluggable", "bool" },
    { "parent_bus", "link<bus>" },
};

/* One of these; NULL: no such thing. Buses have no paths here, only names. */
static json_t *device_state_value(const DeviceState *dev, const char *name)
{
    const BusState *bus = dev->parent_bus;

    if (!strcmp(name, "realized")) {
        return json_boolean(dev->realized);
    }
    if (!strcmp(name, "hotplugged")) {
        return json_boolean(dev->hotplugged);
    }
    if (!strcmp(name, "hotpluggable")) {
        return json_boolean(device_get_class(dev)->hotpluggable && bus && bus->hotpluggable);
    }
    return strcmp(name, "parent_bus") ? NULL : json_string(bus ? bus->name : "");
}

/* Rows "NAME.MEMBER" are one property to clients: NAME. */
static void list_property(const Property *prop, void *opaque)
{
    const char *dot = strchr(prop->name, '.');
    json_t *last = json_array_get(opaque, json_array_size(opaque) - 1);
    g_autofree char *group = dot ? g_strndup(prop->name, dot - prop->name) : NULL;

    if (group) {
        if (strcmp(qmp_str(last, "name"), group)) {
            json_array_append_new(opaque, json_pack("{s:s,s:s}", "name", group,
                                                    "type", "struct"));
        }
        return;
    }
    json_array_append_new(opaque, json_pack("{s:s,s:s}", "name", prop->name,
                                            "type", prop->info->name));
}

json_t *qmp_qom_list(Monitor *mon, json_t *args, Error **errp)
{
    g_autoptr(QomNode) root = build_tree(mon->ms);
    QomNode *node = find_path(root, qmp_str(args, "path"), errp);
    json_t *list;

    if (!node) {
        return NULL;
    }
    list = json_pack("[{s:s,s:s}]", "name", "type", "type", "string");
    if (node->obj) {
        property_foreach(node->obj->oc, list_property, list);
    }
    for (size_t i = 0; node->dev && i < G_N_ELEMENTS(device_state); i++) {
        json_array_append_new(list, json_pack("{s:s,s:s}", "name", device_state[i].name,
                                              "type", device_state[i].type));
    }
    for (guint i = 0; i < node->children->len; i++) {
        QomNode *child = g_ptr_array_index(node->children, i);
        g_autofree char *type = g_strdup_printf("child<%s>", child->type);

        json_array_append_new(list, json_pack("{s:s,s:s}", "name", child->name,
                                              "type", type));
    }
    return list;
}

static const Property *node_property(const QomNode *node, const char *name, Error **errp)
{
    const Property *prop = node->obj ? property_find(node->obj->oc, name) : NULL;

    if (!prop) {
        error_setg(errp, "Property '%s.%s' not found", node->type, name);
    }
    return prop;
}

json_t *qmp_qom_get(Monitor *mon, json_t *args, Error **errp)
{
    g_autoptr(QomNode) root = build_tree(mon->ms);
    QomNode *node = find_path(root, qmp_str(args, "path"), errp);
    const char *name = qmp_str(args, "property");
    const Property *prop;
    json_t *state = NULL;
    QomNode *child;

    if (!node) {
        return NULL;
    }
    if (!strcmp(name, "type")) {
        return json_string(node->type);
    }
    if (node->dev && (state = device_state_value(node->dev, name))) {
        return state;
    }
    child = find_child(node, name);
    if (child) {
        g_autofree char *path = g_strdup_printf("%s/%s", qmp_str(args, "path"), name);

        return json_string(path);
    }
    state = group_value(node, name);
    if (state) {
        return state;
    }
    prop = node_property(node, name, errp);
    return prop ? property_value(node->obj, prop) : NULL;
}

static bool set_value(const QomNode *node, const char *name, json_t *value, Error **errp)
{
    const Property *prop = node_property(node, name, errp);
    g_autofree char *text = NULL, *type = NULL;

    if (!prop) {
        return false;
    }
    if (!prop->info->live) {
        error_setg(errp, "Attempt to set property '%s' on device '%s' (type '%s') "
                   "after it was realized", name, node->obj->id ? node->obj->id : "",
                   node->type);
        return false;
    }
    type = qmp_row_type(node->obj->oc, prop);
    if (!qmp_check_value(type, value, name, errp)) {
        return false;
    }
    text = qemu_json_text(value);
    return property_set(node->obj, name, text, errp);
}

static bool set_members(const QomNode *node, const char *name, json_t *value, Error **errp)
{
    const char *key;
    json_t *v;

    json_object_foreach(value, key, v) {
        g_autofree char *full = g_strdup_printf("%s.%s", name, key);

        if (!set_value(node, full, v, errp)) {
            return false;
        }
    }
    return true;
}

/* All members or none: the class's complete() judges them together. */
static void set_group(const QomNode *node, const char *name, json_t *was, json_t *value,
                      Error **errp)
{
    const ObjectClass *oc = node->obj->oc;

    if (!json_is_object(value)) {
        error_setg(errp, "Invalid parameter type for '%s', expected: object", name);
    } else if (!set_members(node, name, value, errp) ||
               (oc->complete && !oc->complete(node->obj, errp))) {
        set_members(node, name, was, NULL);
    }
}

/* Most rows are what things are built from: they do not change afterwards. */
json_t *qmp_qom_set(Monitor *mon, json_t *args, Error **errp)
{
    g_autoptr(QomNode) root = build_tree(mon->ms);
    QomNode *node = find_path(root, qmp_str(args, "path"), errp);
    const char *name = qmp_str(args, "property");
    json_t *value = json_object_get(args, "value");
    json_t *was = node ? group_value(node, name) : NULL;

    if (was) {
        set_group(node, name, was, value, errp);
        json_decref(was);
    } else if (node && strchr(name, '.')) {
        error_setg(errp, "Property '%s.%s' not found", node->type, name);
    } else if (node) {
        set_value(node, name, value, errp);
    }
    return NULL;
}

/* For people ---------------------------------------------------------------------- */

static void print_node(Monitor *mon, const QomNode *node, int indent)
{
    monitor_printf(mon, "%*s/%s (%s)\n", indent, "", node->name, node->type);
    for (guint i = 0; i < node->children->len; i++) {
        print_node(mon, g_ptr_array_index(node->children, i), indent + 2);
    }
}

void hmp_info_qom_tree(Monitor *mon, json_t *args)
{
    const char *path = hmp_str(args, "path");
    g_autoptr(QomNode) root = build_tree(mon->ms);
    QomNode *node = find_path(root, path ? path : "/machine", NULL);

    if (node) {
        print_node(mon, node, 0);
    } else {
        monitor_printf(mon, "Path '%s' could not be resolved.\n", path);
    }
}

typedef struct TreeLine {
    Monitor *mon;
    const DeviceState *dev;
    int indent;
} TreeLine;

static void print_property(const Property *prop, void *opaque)
{
    TreeLine *t = opaque;
    json_t *v;
    char *text;

    if (!prop->info->get) {
        return;         /* accepted on the command line, without a value here */
    }
    v = property_value(&t->dev->obj, prop);
    text = json_dumps(v, JSON_ENCODE_ANY);
    monitor_printf(t->mon, "%*s%s = %s\n", t->indent, "", prop->name, text);
    free(text);
    json_decref(v);
}

static void print_bus(Monitor *mon, const BusState *bus, int indent);

static void print_device(Monitor *mon, const DeviceState *dev, int indent)
{
    TreeLine t = { mon, dev, indent + 2 };

    monitor_printf(mon, "%*sdev: %s, id \"%s\"\n", indent, "", dev->obj.oc->name,
                   dev->obj.id ? dev->obj.id : "");
    property_foreach(dev->obj.oc, print_property, &t);
    for (guint i = 0; dev->child_buses && i < dev->child_buses->len; i++) {
        print_bus(mon, g_ptr_array_index(dev->child_buses, i), indent + 2);
    }
}

static void print_bus(Monitor *mon, const BusState *bus, int indent)
{
    monitor_printf(mon, "%*sbus: %s\n%*s  type %s\n", indent, "", bus->name, indent, "",
                   bus->type);
    for (guint i = 0; i < bus->children->len; i++) {
        print_device(mon, g_ptr_array_index(bus->children, i), indent + 2);
    }
}

void hmp_info_qtree(Monitor *mon, json_t *args)
{
    MachineState *ms = mon->ms;

    monitor_puts(mon, "bus: main-system-bus\n  type System\n");
    for (guint i = 0; i < ms->devices->len; i++) {
        DeviceState *dev = g_ptr_array_index(ms->devices, i);

        if (!dev->parent_bus) {
            print_device(mon, dev, 2);
        }
    }
    for (guint i = 0; i < ms->buses->len; i++) {
        BusState *bus = g_ptr_array_index(ms->buses, i);

        if (!bus->parent) {
            print_bus(mon, bus, 2);
        }
    }
}
