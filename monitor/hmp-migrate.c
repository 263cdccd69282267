/*
 * How machines are saved, for people: capabilities and parameters.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <string.h>

#include "hmp.h"
#include "qemu/cutils.h"

void hmp_migrate_set_capability(Monitor *mon, json_t *args)
{
    json_t *list = json_pack("{s:[{s:s,s:b}]}", "capabilities", "capability",
                             hmp_str(args, "capability"), "state", hmp_bool(args, "state"));

    json_decref(hmp_qmp(mon, "migrate-set-capabilities", list));
    json_decref(list);
}

/* A number; of bandwidths a size, in MiB if there is no suffix. */
void hmp_migrate_set_parameter(Monitor *mon, json_t *args)
{
    const char *name = hmp_str(args, "parameter"), *text = hmp_str(args, "value");
    char suffix = g_str_has_suffix(name, "bandwidth") ? 'M' : 'B';
    uint64_t value;
    json_t *set;

    if (qemu_strtosz(text, suffix, &value) < 0 || value > INT64_MAX) {
        monitor_printf(mon, "Error: Invalid size %s\n", text);
        return;
    }
    set = json_pack("{s:I}", name, (json_int_t)value);
    json_decref(hmp_qmp(mon, "migrate-set-parameters", set));
    json_decref(set);
}

void hmp_info_migrate_capabilities(Monitor *mon, json_t *args)
{
    json_t *list = hmp_qmp(mon, "query-migrate-capabilities", NULL), *cap;
    size_t i;

    json_array_foreach(list, i, cap) {
        monitor_printf(mon, "%s: %s\n", hmp_str(cap, "capability"),
                       hmp_bool(cap, "state") ? "on" : "off");
    }
    json_decref(list);
}

void hmp_info_migrate_parameters(Monitor *mon, json_t *args)
{
    json_t *params = hmp_qmp(mon, "query-migrate-parameters", NULL), *value;
    const char *name;

    json_object_foreach(params, name, value) {
        monitor_printf(mon, "%s: %" JSON_INTEGER_FORMAT "%s\n", name, json_integer_value(value),
                       g_str_has_suffix(name, "bandwidth") ? " bytes/second" : "");
    }
    json_decref(params);
}
