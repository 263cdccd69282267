/*
 * HMP: what the Tab key completes.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <string.h>

#include "hmp.h"
#include "net/net.h"

/* Commands whose first argument is a name that some QMP query lists. */
static const struct {
    const char *cmd;
    const char *query;
    const char *arg, *value;    /* its argument, or NULL */
    const char *member;         /* what holds the name */
} named[] = {
    { "block_resize", "query-block", NULL, NULL, "device" },
    { "chardev-remove", "query-chardev", NULL, NULL, "label" },
    { "device_add", "qom-list-types", "implements", "device", "name" },
    { "device_del", "qom-list", "path", "/machine/peripheral", "name" },
    { "object_del", "qom-list", "path", "/objects", "name" },
    { "set_link", "query-rx-filter", NULL, NULL, "name" },
    { "trace-event", "trace-event-get-state", "name", "*", "name" },
    { "info trace-events", "trace-event-get-state", "name", "*", "name" },
};

static void add_match(GPtrArray *list, const char *name, const char *word)
{
    if (name && *name && strcmp(name, "type") && g_str_has_prefix(name, word)) {
        g_ptr_array_add(list, g_strdup(name));
    }
}

/* The answer of a query with at most one argument; NULL when it fails. */
static json_t *ask(Monitor *mon, const char *query, const char *arg, const char *value)
{
    json_t *args = arg ? json_pack("{s:s}", arg, value) : NULL;
    json_t *ret = qmp_call(mon, query, args, NULL);

    json_decref(args);
    return ret;
}

static void complete_named(Monitor *mon, unsigned row, const char *word, GPtrArray *list)
{
    json_t *ret = ask(mon, named[row].query, named[row].arg, named[row].value), *item;
    size_t i;

    json_array_foreach(ret, i, item) {
        add_match(list, hmp_str(item, named[row].member), word);
    }
    json_decref(ret);
}

typedef struct NetMatch {
    GPtrArray *list;
    const char *word;
} NetMatch;

static void match_netdev(NetClientState *nc, void *opaque)
{
    NetMatch *m = opaque;

    add_match(m->list, nc->obj.id, m->word);
}

/* The next part of a path of objects. */
static void complete_path(Monitor *mon, const char *word, GPtrArray *list)
{
    const char *slash = strrchr(word, '/');
    g_autofree char *dir = slash ? g_strndup(word, MAX(slash - word, 1)) : g_strdup("/");
    json_t *ret = ask(mon, "qom-list", "path", dir), *item;
    size_t i;

    json_array_foreach(ret, i, item) {
        g_autofree char *path = g_strconcat(dir, strcmp(dir, "/") ? "/" : "",
                                            hmp_str(item, "name"), NULL);

        if (g_str_has_prefix(hmp_str(item, "type"), "child<")) {
            add_match(list, path, word);
        }
    }
    json_decref(ret);
}

static void complete_table(const HmpCommand *table, const char *word, GPtrArray *list)
{
    for (; table->name; table++) {
        g_auto(GStrv) names = g_strsplit(table->name, "|", -1);

        for (char **n = names; *n; n++) {
            add_match(list, *n, word);
        }
    }
}

/* The first argument of cmd. */
static void complete_argument(Monitor *mon, const char *cmd, const char *word,
                              GPtrArray *list)
{
    NetMatch m = { list, word };

    for (unsigned i = 0; i < G_N_ELEMENTS(named); i++) {
        if (!strcmp(cmd, named[i].cmd)) {
            complete_named(mon, i, word, list);
        }
    }
    if (!strcmp(cmd, "netdev_del") || !strcmp(cmd, "set_link")) {
        net_foreach(match_netdev, &m);
    }
    if (g_str_has_prefix(cmd, "qom-") || !strcmp(cmd, "info qom-tree")) {
        complete_path(mon, word, list);
    }
}

void hmp_complete(Monitor *mon, const char *line, GPtrArray *list)
{
    g_autofree char *cmd = NULL;
    const char *word;

    while (*line == ' ') {
        line++;
    }
    if (g_str_has_prefix(line, "help ")) {
        line += strlen("help ");
    }
    word = strchr(line, ' ');
    if (!word) {
        complete_table(hmp_commands, line, list);
        return;
    }
    word++;
    if (g_str_has_prefix(line, "info ")) {
        if (!strchr(word, ' ')) {
            complete_table(hmp_info_commands, word, list);
            return;
        }
        word = strchr(word, ' ') + 1;
    }
    cmd = g_strndup(line, word - line - 1);
    if (!strchr(word, ' ')) {
        complete_argument(mon, cmd, word, list);
    }
}
