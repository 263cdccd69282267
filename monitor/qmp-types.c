/*
 * QMP types: walking the strings that name them, and those of classes.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "qmp-types.h"

#include <string.h>

#include "block/block.h"
#include "net/net.h"
#include "qmp.h"

/* Walking ------------------------------------------------------------------------ */

const char *qmp_type_end(const char *t)
{
    int depth = 0;

    do {
        if (strchr("{[(<", *t)) {
            depth++;
        } else if (strchr("}])>", *t)) {
            depth--;
        }
        t++;
    } while (depth);
    return t;
}

bool qmp_next_member(const char **p, QmpMember *m)
{
    const char *s = *p;

    if (!*s || *s == '}' || *s == '>') {
        return false;
    }
    *m = (QmpMember) { .any = *s == '*' };
    if (m->any) {
        s++;
    } else {
        m->optional = *s == '?';
        m->name = s + m->optional;
        m->name_len = strchr(m->name, ':') - m->name;
        m->type = m->name + m->name_len + 1;
        s = qmp_type_end(m->type);
    }
    *p = *s == ',' ? s + 1 : s;
    return true;
}

static bool find_member(const char *members, const char *name, QmpMember *m)
{
    while (qmp_next_member(&members, m)) {
        if (m->any || (strlen(name) == m->name_len && !memcmp(name, m->name, m->name_len))) {
            return true;
        }
    }
    return false;
}

bool qmp_has_member(const char *members, const char *name)
{
    QmpMember m;

    return find_member(members, name, &m);
}

/* Rows of a class ------------------------------------------------------------------ */

#define ADDRESS "{type:<inet:{host:s,port:s,?numeric:b,?to:i,?ipv4:b,?ipv6:b,?keep-alive:b," \
    "?mptcp:b},unix:{path:s,?abstract:b,?tight:b},fd:{str:s}>}"
#define HOST_FILE "filename:s,?locking:(auto|on|off),?pr-manager:s,?drop-cache:b,?aio-max-batch:i"
#define HOST_MEMORY "size:u,?host-nodes:[2],?x-use-canonical-path-for-ramblock-id:b"

/* What QAPI has otherwise than the rows, or insists on. */
static const struct {
    const char *of, *members;
} differences[] = {
    { "memory-backend-ram", HOST_MEMORY }, { "memory-backend-memfd", HOST_MEMORY },
    { "memory-backend-file", HOST_MEMORY ",mem-path:s" },
    { "iothread", "?poll-max-ns:i,?poll-grow:i,?poll-shrink:i,?aio-max-batch:i,"
      "?thread-pool-min:i,?thread-pool-max:i" },
    { "file", HOST_FILE }, { "host_device", HOST_FILE }, { "raw", "file:R" },
    { "qcow2", "file:R,?backing:Q,?data-file:R,?overlap-check:V" },
    { "null-co", "?latency-ns:u" }, { "null-aio", "?latency-ns:u" },
    { "user", "?ipv6-prefixlen:i" }, { "tap", "?poll-us:4" },
    { "vhost-user", "chardev:s,?vhostforce:b,?queues:i" },
    { "stream", "addr:" ADDRESS }, { "dgram", "?local:" ADDRESS ",?remote:" ADDRESS },
};

static const char *class_differences(const ObjectClass *oc)
{
    for (size_t i = 0; i < G_N_ELEMENTS(differences); i++) {
        if (!strcmp(differences[i].of, oc->name)) {
            return differences[i].members;
        }
    }
    return "";
}

/* QAPI's numbers are int for images, and sizes for objects and networks. */
static bool has_int(const ObjectClass *oc)
{
    while (oc->parent) {
        oc = oc->parent;
    }
    return oc == (*block_classes[0])->parent;
}

char *qmp_row_type(const ObjectClass *oc, const Property *row)
{
    static const struct {
        const char *name, *type;
    } numbers[] = { { "uint8", "1" }, { "uint16", "2" }, { "uint32", "4" }, { "int32", "i" },
        { "int", "i" } };
    static const char *const types[] = {
        [PROP_KIND_STRING] = "s", [PROP_KIND_BOOL] = "b", [PROP_KIND_INT] = "u",
        [PROP_KIND_SIZE] = "u", [PROP_KIND_ANY] = "a", [PROP_KIND_LINK] = "s",
    };
    const char *type = row->info->name;

    if (row->info == &prop_strlist) {
        return g_strdup("[{str:s}]");
    }
    /* QAPI has a boolean for what is three-valued here. */
    if (!strcmp(type, "OnOffAuto")) {
        return g_strdup("b");
    }
    if (row->info->kind == PROP_KIND_ENUM) {
        g_autofree char *values = g_strjoinv("|", (char **)property_names(row));

        return g_strdup_printf("(%s)", values);
    }
    for (size_t i = 0; i < G_N_ELEMENTS(numbers); i++) {
        if (!has_int(oc) && !strcmp(numbers[i].name, type)) {
            return g_strdup(numbers[i].type);
        }
    }
    type = types[row->info->kind];
    return g_strdup(*type == 'u' && has_int(oc) ? "i" : type);
}

/* "cache.direct" and its neighbour "cache.no-flush" are members of an object. */
static void append_rows(GString *out, const ObjectClass *oc, const char *differences)
{
    g_autofree char *group = g_strdup("");

    for (const Property *row = oc->props; row && row->name; row++) {
        const char *dot = strrchr(row->name, '.');
        g_autofree char *of = g_strndup(row->name, dot ? dot - row->name : 0);
        g_autofree char *type = qmp_row_type(oc, row);

        if (qmp_has_member(differences, dot ? of : row->name)) {
            continue;
        }
        if (strcmp(of, group)) {
            g_string_append(out, *group ? "}," : "");
            if (*of) {
                g_string_append_printf(out, "?%s:{", of);
            }
            g_free(group);
            group = g_steal_pointer(&of);
        }
        g_string_append_printf(out, "?%s:%s,", dot ? dot + 1 : row->name, type);
    }
    g_string_append(out, *group ? "}," : "");
}

char *qmp_class_members(char letter, const ObjectClass *oc)
{
    const char *differences = class_differences(oc);
    GString *members = g_string_new(differences);

    g_string_append(members, *differences ? "," : "");
    append_rows(members, oc, differences);
    for (oc = oc->parent; letter != 'B' && oc; oc = oc->parent) {
        append_rows(members, oc, differences);
    }
    return g_string_free(members, FALSE);
}

/* Tags ------------------------------------------------------------------------------- */

bool qmp_is_tag(const char *type)
{
    return strchr("<BON", *type);
}

const ObjectClass *const *const *qmp_tag_classes(char letter)
{
    return letter == 'B' ? block_classes : letter == 'O' ? object_classes : netdev_classes;
}

char *qmp_tag_members(const char *type, const char *value)
{
    const ObjectClass *oc;
    QmpMember m;

    if (*type == '<') {
        return find_member(type + 1, value, &m) ?
               g_strndup(m.type + 1, qmp_type_end(m.type) - m.type - 2) : NULL;
    }
    oc = object_class_by_name(qmp_tag_classes(*type), value);
    if (oc && *type == 'B') {
        g_autofree char *own = qmp_class_members('B', oc);
        g_autofree char *common = qmp_class_members('B', oc->parent);

        return g_strconcat(own, common, NULL);
    }
    return oc ? qmp_class_members(*type, oc) : NULL;
}
