/*
 * The fingerprint of a machine: what must be the same where it goes on, and what differs.
 *
 * It is what a guest has seen and relies on: processors, memory, devices at their places and what
 * they offer. What only the host sees (files, networks, character devices) may be another.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "hw/virtio/virtio.h"
#include "internal.h"
#include "sysemu/accel.h"
#include "sysemu/numa.h"
#include "target/i386/cpuid.h"

/* Longest piece of hostile text in a message. */
#define QUOTE_MAX 80

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
        if (*name == *host_props[i] && !strcmp(name, host_props[i])) {
            return true;
        }
    }
    return false;
}

/* A machine that goes on is waiting: printf() is for what is rare. Texts, up to a NULL. */
static void append(GString *out, ...) G_GNUC_NULL_TERMINATED;
static void append(GString *out, ...)
{
    const char *text;
    va_list ap;

    va_start(ap, out);
    while ((text = va_arg(ap, const char *))) {
        g_string_append_len(out, text, strlen(text));
    }
    va_end(ap);
}

typedef struct PropList {
    const Object *obj;
    const char *name;
    GString *out;
} PropList;

/* What a program does that knows nothing of the property: a line more would part us from it. */
static bool is_default(const Property *prop, const char *value)
{
    static const char *const nothing[] = { "off", "0", "false", "" };
    bool zero = !value;

    if (prop->defval) {
        return !g_strcmp0(value, prop->defval);
    }
    for (unsigned i = 0; !zero && i < G_N_ELEMENTS(nothing); i++) {
        zero = !strcmp(value, nothing[i]);
    }
    return zero;
}

static void append_prop(const Property *prop, void *opaque)
{
    PropList *list = opaque;
    g_autofree char *value = NULL;

    if (prop->info == &prop_ignored || !prop->info->get || is_host_prop(prop->name)) {
        return;
    }
    value = prop->info->get(list->obj, prop);
    if (is_default(prop, value)) {
        return;
    }
    append(list->out, list->name, ".", prop->name, ": ", value ? value : "(none)", "\n", NULL);
}

static void append_props(GString *out, const Object *obj, const char *name)
{
    PropList list = { .obj = obj, .name = name, .out = out };

    property_foreach(obj->oc, append_prop, &list);
}

static void append_device(GString *out, const DeviceState *dev, unsigned index)
{
    const VirtIODevice *vdev = downcast(dev, const VirtIODevice, dev);
    char number[sizeof("device 4294967295")];
    g_autofree char *name = NULL;

    snprintf(number, sizeof(number), "device %u", index);
    name = g_strconcat(number, " (", qdev_name(dev), ")", NULL);
    append(out, number, ": ", dev->obj.oc->name, ", bus ",
           dev->parent_bus ? dev->parent_bus->name : "(none)", "\n", NULL);
    append_props(out, &dev->obj, name);
    if (dev->parent_bus && !strcmp(dev->parent_bus->type, "virtio-bus")) {
        g_string_append_printf(out, "%s features: 0x%" PRIx64 "\n", name, vdev->host_features);
        g_string_append_printf(out, "%s queues: %u\n", name, vdev->vqs->len);
    }
}

#define HEX_MAX sizeof("0x12345678 ")

/* "0xVALUE " at p; returns its end. There are hundreds of them. */
static char *put_hex(char *p, uint32_t value)
{
    unsigned digits = value ? (35 - __builtin_clz(value)) / 4 : 1;

    *p++ = '0';
    *p++ = 'x';
    for (unsigned i = digits; i--;) {
        *p++ = "0123456789abcdef"[value >> 4 * i & 15];
    }
    *p++ = ' ';
    return p;
}

static void append_cpuid(GString *out, const MachineState *ms)
{
    const CPUIDTable *table = ms->cpus ? x86_cpu(ms->cpus[0])->cpuid : NULL;

    for (unsigned i = 0; table && i < table->n; i++) {
        const CPUIDEntry *e = &table->e[i];
        char line[sizeof("cpuid : ") + 6 * HEX_MAX] = "cpuid ";
        char *p = put_hex(line + strlen(line), e->leaf);

        p = put_hex(p, e->subleaf);
        p[-1] = ':';
        *p++ = ' ';
        p = put_hex(put_hex(p, e->eax), e->ebx);
        p = put_hex(put_hex(p, e->ecx), e->edx);
        p[-1] = '\n';
        g_string_append_len(out, line, p - line);
    }
}

/* What the guest's tables said when it started. */
static void append_numa(GString *out, const MachineState *ms)
{
    const NumaState *numa = ms->numa;

    for (unsigned i = 0; numa && i < numa->nr_nodes; i++) {
        g_string_append_printf(out, "node %u: %" PRIu64 " cpus", i, numa->nodes[i].size);
        for (unsigned cpu = 0; cpu < ms->smp.max_cpus; cpu++) {
            if (numa->cpu_node[cpu] == (int)i) {
                g_string_append_printf(out, " %u", cpu);
            }
        }
        for (unsigned j = 0; numa->distance && j < numa->nr_nodes; j++) {
            g_string_append_printf(out, "%s%u", j ? " " : " distances ", numa->distance[i][j]);
        }
        g_string_append_c(out, '\n');
    }
}

char *fingerprint_make(MachineState *ms, bool ram_stays)
{
    GString *out = g_string_sized_new(4096);
    const char *type = object_class_type_name(ms->obj.oc);
    const CpuTopology *t = &ms->smp;

    g_string_append_printf(out, "machine: %s\n", type);
    g_string_append_printf(out, "accelerator: %s\n", ms->accel->obj.oc->name);
    g_string_append_printf(out, "RAM: %" PRIu64 "\n", ms->ram_size);
    append(out, ram_stays ? "RAM's contents: where they are\n" : "", NULL);
    g_string_append_printf(out, "cpus: %u of %u sockets %u dies %u cores %u threads %u\n",
                           t->cpus, t->max_cpus, t->sockets, t->dies, t->cores, t->threads);
    append_numa(out, ms);
    append_props(out, &ms->obj, type);
    append_cpuid(out, ms);
    for (guint i = 0; i < ms->devices->len; i++) {
        append_device(out, g_ptr_array_index(ms->devices, i), i);
    }
    return g_string_free(out, FALSE);
}

/* Comparing ----------------------------------------------------------------------------- */

/* A line, and what is left of a text that may hold anything. */
typedef struct Text {
    const char *p;
    size_t len;
} Text;

static Text take_line(Text *rest)
{
    const char *end = rest->len ? memchr(rest->p, '\n', rest->len) : NULL;
    Text line = { rest->p, end ? (size_t)(end - rest->p) : rest->len };
    size_t step = MIN(line.len + 1, rest->len);

    rest->p += step;
    rest->len -= step;
    return line;
}

static bool same_text(Text a, Text b)
{
    return a.len == b.len && !memcmp(a.p, b.p, a.len);
}

/* "NAME: " of a line, or all of it. */
static Text name_of(Text line)
{
    for (size_t i = 0; i + 1 < line.len; i++) {
        if (line.p[i] == ':' && line.p[i + 1] == ' ') {
            return (Text) { line.p, i + 2 };
        }
    }
    return line;
}

/* The line of this one's name; p is NULL where there is none. */
static Text find_line(Text text, Text line)
{
    Text name = name_of(line);

    while (text.len) {
        Text found = take_line(&text);

        if (same_text(name_of(found), name)) {
            return found;
        }
    }
    return (Text) { NULL, 0 };
}

/* As far as it can be shown. */
static char *quote(Text line)
{
    char *text = g_strndup(line.p ? line.p : "", MIN(line.len, QUOTE_MAX));

    for (char *p = text; *p; p++) {
        if (!g_ascii_isprint(*p)) {
            *p = '?';
        }
    }
    return text;
}

/* theirs, ours: one of them may not be there. */
static bool differ(Text ours, Text theirs, Error **errp)
{
    g_autofree char *here = quote(ours), *there = quote(theirs), *feature = NULL;

    if (ours.p && theirs.p) {
        feature = fingerprint_feature(here, there);
    }
    if (feature) {
        error_setg(errp, "the saved machine is another one: %s", feature);
    } else if (!ours.p) {
        error_setg(errp, "the saved machine is another one: it has '%s', this one has not", there);
    } else if (!theirs.p) {
        error_setg(errp, "the saved machine is another one: it does not have '%s'", here);
    } else {
        error_setg(errp, "the saved machine is another one: it has '%s' where this one has '%s'",
                   there, here);
    }
    return false;
}

/* Whose CPUID is never the same to the last leaf: what CPUs rely on is looked at by itself. */
static bool other_accelerator(Text ours, Text theirs)
{
    const Text name = { "accelerator: ", strlen("accelerator: ") };
    Text a = find_line(ours, name), b = find_line(theirs, name);

    return a.p && b.p && !same_text(a, b);
}

static bool begins(Text line, const char *with)
{
    return line.len >= strlen(with) && !memcmp(line.p, with, strlen(with));
}

/* Each line of one that the other does not have like this. */
static bool compare(Text text, Text with, bool foreign, bool swapped, Error **errp)
{
    while (text.len) {
        Text line = take_line(&text), found;

        if (foreign && (begins(line, "accelerator: ") || begins(line, "cpuid "))) {
            continue;
        }
        found = find_line(with, line);
        if (!found.p || !same_text(found, line)) {
            return swapped ? differ(found, line, errp) : differ(line, found, errp);
        }
    }
    return true;
}

bool fingerprint_check(const char *ours, const char *theirs, size_t len, Error **errp)
{
    Text all = { ours, strlen(ours) }, other = { theirs, len };
    bool foreign;

    if (same_text(all, other)) {
        return true;
    }
    foreign = other_accelerator(all, other);
    if (foreign) {
        g_autofree char *text = g_strndup(theirs, len);

        if (!fingerprint_check_cpus(ours, text, errp)) {
            return false;
        }
    }
    return compare(all, other, foreign, false, errp) && compare(other, all, foreign, true, errp);
}
