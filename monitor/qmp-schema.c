/*
 * QMP types: describing the commands and events for query-qmp-schema.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <string.h>

#include "block/block.h"
#include "qmp-types.h"
#include "qmp.h"

typedef struct Schema {
    json_t *list;
    GHashTable *names;      /* type string -> its name in the schema; NULL: the same */
    char *node;             /* name of the type of a block node's options */
} Schema;

static char *schema_type(Schema *s, const char *type);

/* True: there was no entry of this name yet, and the caller makes it. */
static bool schema_claim(Schema *s, const char *name)
{
    return g_hash_table_insert(s->names, g_strdup(name), NULL);
}

static char *schema_builtin(Schema *s, const char *name, const char *json_type)
{
    if (schema_claim(s, name)) {
        json_array_append_new(s->list, json_pack("{s:s,s:s,s:s}", "name", name,
                                                 "meta-type", "builtin",
                                                 "json-type", json_type));
    }
    return g_strdup(name);
}

static json_t *schema_members(Schema *s, const char *members)
{
    json_t *list = json_array();
    QmpMember m;

    while (qmp_next_member(&members, &m)) {
        g_autofree char *name = NULL, *type = NULL;
        json_t *item;

        if (m.any) {
            continue;
        }
        name = g_strndup(m.name, m.name_len);
        type = schema_type(s, m.type);
        item = json_pack("{s:s,s:s}", "name", name, "type", type);
        if (m.optional) {
            json_object_set_new(item, "default", json_null());
        }
        json_array_append_new(list, item);
    }
    return list;
}

static json_t *schema_enum(const char *name, const char *type)
{
    json_t *values = json_array(), *members = json_array();
    g_autofree char *text = g_strndup(type + 1, qmp_type_end(type) - type - 2);
    g_auto(GStrv) words = g_strsplit(text, "|", -1);

    for (char **w = words; *w; w++) {
        json_array_append_new(values, json_string(*w));
        json_array_append_new(members, json_pack("{s:s}", "name", *w));
    }
    return json_pack("{s:s,s:s,s:o,s:o}", "name", name, "meta-type", "enum",
                     "members", members, "values", values);
}

static char *class_enum(const ObjectClass *const *const *classes)
{
    GString *text = g_string_new("(");

    for (unsigned i = 0; classes[i]; i++) {
        const ObjectClass *oc = *classes[i];

        g_string_append_printf(text, "%s%s", i ? "|" : "", oc->name);
        if (oc->alias) {
            g_string_append_printf(text, "|%s", oc->alias);
        }
    }
    g_string_append_c(text, ')');
    return g_string_free(text, FALSE);
}

/* The names that a tag has: a type. */
static char *tag_enum(const char *type)
{
    GString *text;
    QmpMember m;

    if (*type != '<') {
        return class_enum(qmp_tag_classes(*type));
    }
    text = g_string_new("(");
    for (const char *p = type + 1; qmp_next_member(&p, &m);) {
        g_string_append_printf(text, "%s%.*s", text->len > 1 ? "|" : "", (int)m.name_len, m.name);
    }
    g_string_append_c(text, ')');
    return g_string_free(text, FALSE);
}

static void add_variant(Schema *s, json_t *list, const char *name, const char *members)
{
    g_autofree char *object = g_strdup_printf("{%s}", members);
    g_autofree char *type = schema_type(s, object);

    json_array_append_new(list, json_pack("{s:s,s:s}", "case", name, "type", type));
}

/* All nodes have these options; node-name is there. */
static void add_node_members(Schema *s, json_t *members)
{
    g_autofree char *common = qmp_class_members('B', (*block_classes[0])->parent);
    json_t *more = schema_members(s, common), *m;
    size_t i;

    json_array_foreach(more, i, m) {
        if (strcmp(qmp_str(m, "name"), "node-name")) {
            json_array_append(members, m);
        }
    }
    json_decref(more);
}

static void add_class_variants(Schema *s, json_t *list, char letter)
{
    const ObjectClass *const *const *classes = qmp_tag_classes(letter);

    for (size_t i = 0; classes[i]; i++) {
        g_autofree char *members = qmp_class_members(letter, *classes[i]);

        add_variant(s, list, (*classes[i])->name, members);
        if ((*classes[i])->alias) {
            add_variant(s, list, (*classes[i])->alias, members);
        }
    }
}

/* entry is an object whose member tag is of a type at which it has more members. */
static void add_variants(Schema *s, json_t *entry, const char *tag, const char *type)
{
    json_t *list = json_array();
    const char *p = type + 1;
    QmpMember m;

    json_object_set_new(entry, "tag", json_string(tag));
    json_object_set_new(entry, "variants", list);
    if (*type != '<') {
        add_class_variants(s, list, *type);
        return;
    }
    while (qmp_next_member(&p, &m)) {
        g_autofree char *name = g_strndup(m.name, m.name_len);
        g_autofree char *members = qmp_tag_members(type, name);

        add_variant(s, list, name, members);
    }
}

static json_t *schema_object(Schema *s, const char *name, const char *members)
{
    json_t *entry = json_pack("{s:s,s:s,s:o}", "name", name, "meta-type", "object",
                              "members", schema_members(s, members));
    QmpMember m;

    while (qmp_next_member(&members, &m)) {
        if (!m.any && qmp_is_tag(m.type)) {
            g_autofree char *tag = g_strndup(m.name, m.name_len);

            if (*m.type == 'B') {
                s->node = s->node ? s->node : g_strdup(name);
                add_node_members(s, json_object_get(entry, "members"));
            }
            /* Network back ends by name alone: some clients read lines of 64 KiB at most. */
            if (*m.type != 'N') {
                add_variants(s, entry, tag, m.type);
            }
        }
    }
    return entry;
}

/* A node, or the name of one; or null. */
static char *schema_node_ref(Schema *s, bool or_null)
{
    const char *name = or_null ? "node-ref-or-null" : "node-ref";

    if (schema_claim(s, name)) {
        g_autofree char *str = schema_type(s, "s");
        g_autofree char *null = or_null ? schema_builtin(s, "null", "null") : NULL;

        json_array_append_new(s->list, json_pack("{s:s,s:s,s:[{s:s},{s:s},o*]}", "name", name,
                                                 "meta-type", "alternate", "members",
                                                 "type", s->node, "type", str,
                                                 null ? json_pack("{s:s}", "type", null) : NULL));
    }
    return g_strdup(name);
}

static char *schema_array(Schema *s, const char *type)
{
    g_autofree char *element = schema_type(s, type);
    char *name = g_strdup_printf("[%s]", element);

    if (schema_claim(s, name)) {
        json_array_append_new(s->list, json_pack("{s:s,s:s,s:s}", "name", name, "meta-type",
                                                 "array", "element-type", element));
    }
    return name;
}

/* The name of a type in the schema, which gets an entry at first use. */
static char *schema_type(Schema *s, const char *type)
{
    g_autofree char *key = NULL;
    const char *known;
    char *name;

    switch (*type) {
    case 's':
    case 't':
    case 'V':
        return schema_builtin(s, "str", "string");
    case 'i':
    case 'u':
    case '4':
    case '2':
    case '1':
        return schema_builtin(s, "int", "int");
    case 'b':
        return schema_builtin(s, "bool", "boolean");
    case 'n':
        return schema_builtin(s, "number", "number");
    case 'a':
        return schema_builtin(s, "any", "value");
    case '<':
    case 'B':
    case 'O':
    case 'N':
        key = tag_enum(type);
        return schema_type(s, key);
    case 'R':
    case 'Q':
        return schema_node_ref(s, *type == 'Q');
    case '[':
        return schema_array(s, type + 1);
    }
    key = g_strndup(type, qmp_type_end(type) - type);
    known = g_hash_table_lookup(s->names, key);
    if (known) {
        return g_strdup(known);
    }
    name = g_strdup_printf("%u", g_hash_table_size(s->names));
    g_hash_table_insert(s->names, g_steal_pointer(&key), g_strdup(name));
    json_array_append_new(s->list, *type == '(' ? schema_enum(name, type) :
                          schema_object(s, name, type + 1));
    return name;
}

json_t *qmp_schema(void)
{
    Schema s = { .list = json_array(),
                 .names = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free) };

    for (unsigned i = 0; qmp_command_tables[i]; i++) {
        for (const QmpCommand *c = qmp_command_tables[i]; c->name; c++) {
            g_autofree char *desc = g_strdup_printf("{%s}", c->args);
            g_autofree char *args = schema_type(&s, desc);
            g_autofree char *ret = schema_type(&s, c->ret ? c->ret : "{}");

            json_array_append_new(s.list, json_pack("{s:s,s:s,s:s,s:s,s:b}", "name", c->name,
                                                    "meta-type", "command", "arg-type", args,
                                                    "ret-type", ret, "allow-oob", 0));
        }
    }
    for (unsigned i = 0; qmp_event_tables[i]; i++) {
        for (const QmpEvent *e = qmp_event_tables[i]; e->name; e++) {
            g_autofree char *desc = g_strdup_printf("{%s}", e->data);
            g_autofree char *data = schema_type(&s, desc);

            json_array_append_new(s.list, json_pack("{s:s,s:s,s:s}", "name", e->name,
                                                    "meta-type", "event", "arg-type", data));
        }
    }
    g_hash_table_unref(s.names);
    g_free(s.node);
    return s.list;
}
