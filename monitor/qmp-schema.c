/*
 * QMP types: checking arguments and describing the commands.
 *
 * Both read the type strings of the command table (qmp.h).
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <string.h>

#include "block/image-info.h"
#include "qmp.h"

/* Walking type strings ------------------------------------------------------ */

/* The first byte behind the type at t. */
static const char *type_end(const char *t)
{
    int depth = 0;

    do {
        if (strchr("{[(", *t)) {
            depth++;
        } else if (strchr("}])", *t)) {
            depth--;
        }
        t++;
    } while (depth);
    return t;
}

typedef struct Member {
    const char *name;
    size_t name_len;
    bool optional;
    bool any;               /* '*': others are allowed */
    const char *type;
} Member;

/* The member at *p, which moves to the next one; false at the end. */
static bool next_member(const char **p, Member *m)
{
    const char *s = *p;

    if (!*s || *s == '}') {
        return false;
    }
    *m = (Member) { .any = *s == '*' };
    if (m->any) {
        s++;
    } else {
        m->optional = *s == '?';
        m->name = s + m->optional;
        m->name_len = strchr(m->name, ':') - m->name;
        m->type = m->name + m->name_len + 1;
        s = type_end(m->type);
    }
    *p = *s == ',' ? s + 1 : s;
    return true;
}

/* Checking ------------------------------------------------------------------- */

static bool check_members(const char *members, json_t *obj, const char *prefix,
                          Error **errp);

static bool wrong_type(const char *name, const char *expected, Error **errp)
{
    error_setg(errp, "Invalid parameter type for '%s', expected: %s", name, expected);
    return false;
}

static bool check_enum(const char *type, json_t *v, const char *name, Error **errp)
{
    const char *val = json_string_value(v);
    size_t len, n;

    if (!val) {
        return wrong_type(name, "string", errp);
    }
    len = json_string_length(v);
    for (type++; *type && *type != ')'; type += n + (type[n] == '|')) {
        n = strcspn(type, "|)");
        if (n == len && !memcmp(type, val, n)) {
            return true;
        }
        if (type[n] == ')') {
            break;
        }
    }
    error_setg(errp, "Parameter '%s' does not accept value '%s'", name, val);
    return false;
}

static bool check_array(const char *type, json_t *v, const char *name, Error **errp);

static bool check_value(const char *type, json_t *v, const char *name, Error **errp)
{
    g_autofree char *prefix = NULL;

    switch (*type) {
    case 's':
    case 'B':
    case 'O':
        return json_is_string(v) || wrong_type(name, "string", errp);
    case 'i':
    case 'u':
        return json_is_integer(v) || wrong_type(name, "integer", errp);
    case 'b':
        return json_is_boolean(v) || wrong_type(name, "boolean", errp);
    case 'n':
        return json_is_number(v) || wrong_type(name, "number", errp);
    case '(':
        return check_enum(type, v, name, errp);
    case '[':
        return check_array(type, v, name, errp);
    case '{':
        if (!json_is_object(v)) {
            return wrong_type(name, "object", errp);
        }
        prefix = g_strconcat(name, ".", NULL);
        return check_members(type + 1, v, prefix, errp);
    default:
        return true;
    }
}

static bool check_array(const char *type, json_t *v, const char *name, Error **errp)
{
    json_t *item;
    size_t i;

    if (!json_is_array(v)) {
        return wrong_type(name, "array", errp);
    }
    json_array_foreach(v, i, item) {
        g_autofree char *elem = g_strdup_printf("%s[%zu]", name, i);

        if (!check_value(type + 1, item, elem, errp)) {
            return false;
        }
    }
    return true;
}

/* Whether the list has a member called name. */
static bool has_member(const char *members, const char *name)
{
    Member m;

    while (next_member(&members, &m)) {
        if (m.any || (strlen(name) == m.name_len && !memcmp(name, m.name, m.name_len))) {
            return true;
        }
    }
    return false;
}

static bool check_members(const char *members, json_t *obj, const char *prefix,
                          Error **errp)
{
    const char *p = members, *key;
    json_t *v;
    Member m;

    while (next_member(&p, &m)) {
        g_autofree char *name = NULL, *full = NULL;

        if (m.any) {
            continue;
        }
        name = g_strndup(m.name, m.name_len);
        full = g_strconcat(prefix, name, NULL);
        v = json_object_get(obj, name);
        if (!v && !m.optional) {
            error_setg(errp, "Parameter '%s' is missing", full);
            return false;
        }
        if (v && !check_value(m.type, v, full, errp)) {
            return false;
        }
    }
    json_object_foreach(obj, key, v) {
        if (!has_member(members, key)) {
            error_setg(errp, "Parameter '%s%s' is unexpected", prefix, key);
            return false;
        }
    }
    return true;
}

bool qmp_check_args(const char *members, json_t *args, Error **errp)
{
    return check_members(members, args, "", errp);
}

/* The schema ---------------------------------------------------------------- */

typedef struct Schema {
    json_t *list;
    GHashTable *names;      /* type string -> its name in the schema */
    char *node;             /* name of the type of a block node's options */
} Schema;

static char *schema_type(Schema *s, const char *type);

static char *schema_builtin(Schema *s, const char *name, const char *json_type)
{
    if (!g_hash_table_contains(s->names, name)) {
        g_hash_table_add(s->names, g_strdup(name));
        json_array_append_new(s->list, json_pack("{s:s,s:s,s:s}", "name", name,
                                                 "meta-type", "builtin",
                                                 "json-type", json_type));
    }
    return g_strdup(name);
}

static json_t *schema_members(Schema *s, const char *members)
{
    json_t *list = json_array();
    Member m;

    while (next_member(&members, &m)) {
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
    g_autofree char *text = g_strndup(type + 1, type_end(type) - type - 2);
    g_auto(GStrv) words = g_strsplit(text, "|", -1);

    for (char **w = words; *w; w++) {
        json_array_append_new(values, json_string(*w));
        json_array_append_new(members, json_pack("{s:s}", "name", *w));
    }
    return json_pack("{s:s,s:s,s:o,s:o}", "name", name, "meta-type", "enum",
                     "members", members, "values", values);
}

/* Rows of a class, in the language of types. */

static void append_row_type(GString *out, const Property *row)
{
    static const char letters[] = {
        [PROP_KIND_STRING] = 's', [PROP_KIND_BOOL] = 'b', [PROP_KIND_INT] = 'i',
        [PROP_KIND_SIZE] = 'i', [PROP_KIND_ANY] = 'a',
        [PROP_KIND_LINK] = 's',
    };

    if (row->info->kind == PROP_KIND_ENUM) {
        g_autofree char *values = g_strjoinv("|", (char **)property_names(row));

        g_string_append_printf(out, "(%s)", values);
    } else {
        g_string_append_c(out, letters[row->info->kind]);
    }
}

/* "cache.direct" and its neighbour "cache.no-flush" are members of an object. */
static void append_rows(GString *out, const Property *row)
{
    g_autofree char *group = g_strdup("");

    for (; row && row->name; row++) {
        const char *dot = strrchr(row->name, '.');
        g_autofree char *of = g_strndup(row->name, dot ? dot - row->name : 0);

        if (strcmp(of, group)) {
            g_string_append(out, *group ? "}," : "");
            if (*of) {
                g_string_append_printf(out, "?%s:{", of);
            }
            g_free(group);
            group = g_steal_pointer(&of);
        }
        g_string_append_printf(out, "?%s:", dot ? dot + 1 : row->name);
        append_row_type(out, row);
        g_string_append_c(out, ',');
    }
    g_string_append(out, *group ? "}," : "");
}

/* The classes that the letter B or O stands for. */
static const ObjectClass *const *const *classes_of(char letter)
{
    return letter == 'B' ? block_classes : object_classes;
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

static void add_variant(Schema *s, json_t *list, char letter, const ObjectClass *oc,
                        const char *name)
{
    g_autoptr(GString) members = g_string_new("{");
    g_autofree char *type = NULL;

    if (letter == 'B' && !block_class_is_protocol(oc)) {
        g_string_append(members, "file:R,");
    }
    if (letter == 'B' && block_class_has_backing(oc)) {
        g_string_append(members, "?backing:R,?data-file:R,");
    }
    append_rows(members, oc->props);
    /* An object's parents are its own; a node's are those of all nodes. */
    for (oc = oc->parent; letter == 'O' && oc; oc = oc->parent) {
        append_rows(members, oc->props);
    }
    g_string_append_c(members, '}');
    type = schema_type(s, members->str);
    json_array_append_new(list, json_pack("{s:s,s:s}", "case", name, "type", type));
}

/* All nodes have these options; node-name is there. */
static void add_node_members(Schema *s, json_t *members)
{
    g_autoptr(GString) common = g_string_new(NULL);
    json_t *more, *m;
    size_t i;

    append_rows(common, (*block_classes[0])->parent->props);
    more = schema_members(s, common->str);
    json_array_foreach(more, i, m) {
        if (strcmp(qmp_str(m, "name"), "node-name")) {
            json_array_append(members, m);
        }
    }
    json_decref(more);
}

/* entry is an object whose member tag names a class (B, O): it has that one's members, too. */
static void add_variants(Schema *s, json_t *entry, const char *tag, char letter)
{
    const ObjectClass *const *const *classes = classes_of(letter);
    json_t *list = json_array();

    json_object_set_new(entry, "tag", json_string(tag));
    json_object_set_new(entry, "variants", list);
    for (size_t i = 0; classes[i]; i++) {
        const ObjectClass *oc = *classes[i];

        add_variant(s, list, letter, oc, oc->name);
        if (oc->alias) {
            add_variant(s, list, letter, oc, oc->alias);
        }
    }
}

static json_t *schema_object(Schema *s, const char *name, const char *members)
{
    json_t *entry = json_pack("{s:s,s:s,s:o}", "name", name, "meta-type", "object",
                              "members", schema_members(s, members));
    Member m;

    while (next_member(&members, &m)) {
        if (!m.any && (*m.type == 'B' || *m.type == 'O')) {
            g_autofree char *tag = g_strndup(m.name, m.name_len);

            if (*m.type == 'B') {
                s->node = g_strdup(name);
                add_node_members(s, json_object_get(entry, "members"));
            }
            add_variants(s, entry, tag, *m.type);
        }
    }
    return entry;
}

/* A node, or the name of one. */
static char *schema_node_ref(Schema *s)
{
    static const char name[] = "node-ref";

    if (!g_hash_table_contains(s->names, name)) {
        g_autofree char *str = schema_type(s, "s");

        g_hash_table_add(s->names, g_strdup(name));
        json_array_append_new(s->list, json_pack("{s:s,s:s,s:[{s:s},{s:s}]}", "name", name,
                                                 "meta-type", "alternate", "members",
                                                 "type", s->node, "type", str));
    }
    return g_strdup(name);
}

/* The name of a type in the schema, which gets an entry at first use. */
static char *schema_type(Schema *s, const char *type)
{
    g_autofree char *key = NULL;
    const char *known;
    char *name;

    switch (*type) {
    case 's':
        return schema_builtin(s, "str", "string");
    case 'i':
    case 'u':
        return schema_builtin(s, "int", "int");
    case 'b':
        return schema_builtin(s, "bool", "boolean");
    case 'n':
        return schema_builtin(s, "number", "number");
    case 'a':
        return schema_builtin(s, "any", "value");
    case 'B':
    case 'O':
        key = class_enum(classes_of(*type));
        return schema_type(s, key);
    case 'R':
        return schema_node_ref(s);
    }
    key = g_strndup(type, type_end(type) - type);
    known = g_hash_table_lookup(s->names, key);
    if (known) {
        return g_strdup(known);
    }
    if (*type == '[') {
        g_autofree char *element = schema_type(s, type + 1);

        name = g_strdup_printf("[%s]", element);
        json_array_append_new(s->list, json_pack("{s:s,s:s,s:s}", "name", name,
                                                 "meta-type", "array",
                                                 "element-type", element));
    } else {
        name = g_strdup_printf("%u", g_hash_table_size(s->names));
        g_hash_table_insert(s->names, g_strdup(key), g_strdup(name));
        json_array_append_new(s->list, *type == '(' ? schema_enum(name, type) :
                              schema_object(s, name, type + 1));
        return name;
    }
    g_hash_table_insert(s->names, g_steal_pointer(&key), g_strdup(name));
    return name;
}

json_t *qmp_schema(void)
{
    Schema s = { .list = json_array(),
                 .names = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL) };

    for (const QmpCommand *c = qmp_commands; c->name; c++) {
        g_autofree char *desc = g_strdup_printf("{%s}", c->args);
        g_autofree char *args = schema_type(&s, desc);
        g_autofree char *ret = schema_type(&s, c->ret ? c->ret : "{}");

        json_array_append_new(s.list, json_pack("{s:s,s:s,s:s,s:s,s:b}", "name", c->name,
                                                "meta-type", "command", "arg-type", args,
                                                "ret-type", ret, "allow-oob", 0));
    }
    for (const QmpEvent *e = qmp_events; e->name; e++) {
        g_autofree char *desc = g_strdup_printf("{%s}", e->data);
        g_autofree char *data = schema_type(&s, desc);

        json_array_append_new(s.list, json_pack("{s:s,s:s,s:s}", "name", e->name,
                                                "meta-type", "event", "arg-type", data));
    }
    g_hash_table_destroy(s.names);
    g_free(s.node);
    return s.list;
}
