/*
 * The fingerprint of a machine: what must be the same where it goes on, and what differs.
 *
 * It is what a guest has seen and relies on: processors, memory, devices at their places and what
 * they offer. What only the host sees (files, networks, character devices) may be another.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <inttypes.h>
#include <string.h>

#include "hw/virtio/virtio.h"
#include "internal.h"
#include "sysemu/accel.h"
#include "target/i386/cpu.h"

/* Longest piece of hostile text in a message. */
#define QUOTE_MAX 60

/* Properties that the guest does not see, or that it is told of when it goes on. */
static const char *const host_props[] = {
    "accel", "memory-backend", "mem-merge", "dump-guest-core", "halt-poweroff", "graphics",
    "drive", "netdev", "mac", "chardev", "iothread", "rng", "memdev", "serial", "werror", "rerror",
    "write-cache", "share-rw", "request-merging", "guest-cid", "uds-path", "guid",
    "guest-stats", "guest-stats-polling-interval", "lost_tick_policy", "kernel-protocol",
    "auto-kernel-cmdline", "max-bytes", "period",
};

static bool is_host_prop(const char *name)
{
    for (unsigned i = 0; i < G_N_ELEMENTS(host_props); i++) {
        if (!strcmp(name, host_props[i])) {
            return true;
        }
    }
    return false;
}

typedef struct PropList {
    const Object *obj;
    const char *name;
    GString *out;
} PropList;

static void append_prop(const Property *prop, void *opaque)
{
    PropList *list = opaque;
    g_autofree char *value = NULL;

    if (prop->info == &prop_ignored || !prop->info->get || is_host_prop(prop->name)) {
        return;
    }
    value = prop->info->get(list->obj, prop);
    g_string_append_printf(list->out, "%s.%s: %s\n", list->name, prop->name,
                           value ? value : "(none)");
}

static void append_props(GString *out, const Object *obj, const char *name)
{
    PropList list = { .obj = obj, .name = name, .out = out };

    property_foreach(obj->oc, append_prop, &list);
}

static void append_device(GString *out, const DeviceState *dev, unsigned index)
{
    g_autofree char *name = g_strdup_printf("device %u (%s)", index, qdev_name(dev));
    const VirtIODevice *vdev = (const VirtIODevice *)dev;

    g_string_append_printf(out, "device %u: %s, bus %s\n", index, dev->obj.oc->name,
                           dev->parent_bus ? dev->parent_bus->name : "(none)");
    append_props(out, &dev->obj, name);
    if (dev->parent_bus && !strcmp(dev->parent_bus->type, "virtio-bus")) {
        g_string_append_printf(out, "%s features: 0x%" PRIx64 "\n", name, vdev->host_features);
        g_string_append_printf(out, "%s queues: %u\n", name, vdev->vqs->len);
    }
}

static void append_cpuid(GString *out, const MachineState *ms)
{
    const CPUIDTable *table = ms->cpus ? x86_cpu(ms->cpus[0])->cpuid : NULL;

    for (unsigned i = 0; table && i < table->n; i++) {
        const CPUIDEntry *e = &table->e[i];

        g_string_append_printf(out, "cpuid 0x%x 0x%x: 0x%x 0x%x 0x%x 0x%x\n", e->leaf,
                               e->subleaf, e->eax, e->ebx, e->ecx, e->edx);
    }
}

char *fingerprint_make(MachineState *ms)
{
    GString *out = g_string_new(NULL);
    const char *type = object_class_type_name(ms->obj.oc);
    const CpuTopology *t = &ms->smp;

    g_string_append_printf(out, "machine: %s\n", type);
    g_string_append_printf(out, "accelerator: %s\n", ms->accel->obj.oc->name);
    g_string_append_printf(out, "RAM: %" PRIu64 "\n", ms->ram_size);
    g_string_append_printf(out, "cpus: %u of %u sockets %u dies %u cores %u threads %u\n",
                           t->cpus, t->max_cpus, t->sockets, t->dies, t->cores, t->threads);
    append_props(out, &ms->obj, type);
    append_props(out, &ms->accel->obj, ms->accel->obj.oc->name);
    append_cpuid(out, ms);
    for (guint i = 0; i < ms->devices->len; i++) {
        append_device(out, g_ptr_array_index(ms->devices, i), i);
    }
    return g_string_free(out, FALSE);
}

/* Comparing ----------------------------------------------------------------------------- */

/* A line that may hold anything, as far as it can be shown. */
static char *quote(const char *line, size_t len)
{
    char *text = g_strndup(line, MIN(len, QUOTE_MAX));

    for (char *p = text; *p; p++) {
        if (!g_ascii_isprint(*p)) {
            *p = '?';
        }
    }
    return text;
}

static size_t line_length(const char *p, size_t left)
{
    const char *end = memchr(p, '\n', left);

    return end ? (size_t)(end - p) : left;
}

bool fingerprint_check(const char *ours, const char *theirs, size_t len, Error **errp)
{
    size_t left = strlen(ours);

    while (left || len) {
        size_t a = line_length(ours, left), b = line_length(theirs, len);

        if (a != b || memcmp(ours, theirs, a)) {
            g_autofree char *here = quote(ours, a), *there = quote(theirs, b);

            error_setg(errp, "the saved machine is another one: it has '%s' where this one has "
                       "'%s'", there, here);
            return false;
        }
        a = MIN(a + 1, left);
        b = MIN(b + 1, len);
        ours += a;
        left -= a;
        theirs += b;
        len -= b;
    }
    return true;
}
