/*
 * QMP about CPUs: which there are, which models, what a model is here.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <string.h>

#include "hw/core/cpu.h"
#include "qmp.h"
#include "sysemu/accel.h"
#include "sysemu/numa.h"
#include "target/i386/cpuid.h"

static json_t *cpu_props(const MachineState *ms, unsigned index)
{
    CpuPlace place = cpu_place(&ms->smp, index);
    json_t *props = json_pack("{s:i,s:i,s:i,s:i}", "socket-id", (int)place.socket,
                              "die-id", (int)place.die, "core-id", (int)place.core,
                              "thread-id", (int)place.thread);

    if (ms->numa && ms->numa->cpu_node) {
        json_object_set_new(props, "node-id", json_integer(ms->numa->cpu_node[index]));
    }
    return props;
}

json_t *qmp_query_cpus_fast(Monitor *mon, json_t *args, Error **errp)
{
    MachineState *ms = mon->ms;
    json_t *list = json_array();

    for (unsigned i = 0; ms->cpus && i < ms->smp.cpus; i++) {
        g_autofree char *path = g_strdup_printf("/machine/unattached/device[%u]", i);

        json_array_append_new(list,
            json_pack("{s:i,s:o,s:s,s:i,s:s}", "thread-id", (int)ms->cpus[i]->thread_id,
                      "props", cpu_props(ms, i), "qom-path", path,
                      "cpu-index", (int)i, "target", "x86_64"));
    }
    return list;
}

/* What the accelerator can give a CPU, caller frees; NULL with errp when it has no CPUID. */
static CPUIDTable *supported_cpuid(MachineState *ms, Error **errp)
{
    const AccelClass *ac = ms->accel ? accel_get_class(ms->accel) : NULL;
    g_autofree CPUIDTable *table = g_new0(CPUIDTable, 1);

    table->want_msrs = true;
    if (!ac || !ac->supported_cpuid) {
        error_setg(errp, "accelerator '%s' has no CPU models", ac ? ac->oc.name : "none");
        return NULL;
    }
    if (!ac->supported_cpuid(ms->accel, table, errp)) {
        return NULL;
    }
    return g_steal_pointer(&table);
}

/* Models ---------------------------------------------------------------------- */

/* The features of a model that table lacks. */
static json_t *missing_features(const char *name, CPUIDTable *table)
{
    X86CPUModel *model = x86_cpu_model_parse(name, name, NULL);
    X86FeatureSet missing;
    json_t *list = json_array();

    x86_cpuid_read_features(table);
    x86_cpu_model_missing(model, &table->features, &missing);
    for (unsigned f = 0; f < FEATURE_WORDS * 32; f++) {
        if (x86_feature_in(&missing, f)) {
            json_array_append_new(list, json_string(x86_feature_name(f / 32, f % 32)));
        }
    }
    x86_cpu_model_free(model);
    return list;
}

json_t *qmp_query_cpu_definitions(Monitor *mon, json_t *args, Error **errp)
{
    g_autofree CPUIDTable *table = supported_cpuid(mon->ms, NULL);
    json_t *list = json_array();
    char *next;

    for (unsigned i = 0; (next = x86_cpu_model_name(i)); i++) {
        g_autofree char *name = next;
        g_autofree char *type = g_strdup_printf("%s-x86_64-cpu", name);

        json_array_append_new(list,
            json_pack("{s:s,s:s,s:o,s:b,s:b,s:b}", "name", name, "typename", type,
                      "unavailable-features", table ? missing_features(name, table) :
                      json_array(), "static", 0, "migration-safe", x86_cpu_model_is_fixed(name),
                      "deprecated", 0));
    }
    return list;
}

/* Whether each feature that has a name is in table. */
static json_t *feature_props(const CPUIDTable *table)
{
    json_t *props = json_object();

    for (unsigned f = 0; f < FEATURE_WORDS * 32; f++) {
        const char *name = x86_feature_name(f / 32, f % 32);

        /* Some names stand for two bits: one of them is enough. */
        if (name && !qmp_bool(props, name, false)) {
            json_object_set_new(props, name, json_boolean(x86_feature_in(&table->features, f)));
        }
    }
    return props;
}

/* "NAME,prop=value…" as -cpu takes it; NULL with errp for values without a text form. */
static char *model_text(json_t *model, Error **errp)
{
    json_t *props = json_object_get(model, "props");
    const char *name = qmp_str(model, "name");
    g_autoptr(GString) text = g_string_new(name);
    g_autoptr(QemuOpts) opts = NULL;

    if (strchr(name, ',')) {
        error_setg(errp, "unable to find CPU model '%s'", name);
        return NULL;
    }
    if (props && !json_is_object(props)) {
        error_setg(errp, "Invalid parameter type for 'model.props', expected: dict");
        return NULL;
    }
    opts = props ? qemu_opts_from_object(props, errp) : qemu_opts_new();
    if (!opts) {
        return NULL;
    }
    for (guint i = 0; i < opts->opts->len; i++) {
        const QemuOpt *o = &g_array_index(opts->opts, QemuOpt, i);

        if (strchr(o->name, ',') || strchr(o->str, ',')) {
            error_setg(errp, "Property '%s' not found", o->name);
            return NULL;
        }
        g_string_append_printf(text, ",%s=%s", o->name, o->str);
    }
    return g_string_free(g_steal_pointer(&text), FALSE);
}

json_t *qmp_query_cpu_model_expansion(Monitor *mon, json_t *args, Error **errp)
{
    const X86CPUTopoInfo topo = { 1, 1, 1 };
    bool full = !strcmp(qmp_str(args, "type"), "full");
    g_autofree char *text = model_text(json_object_get(args, "model"), errp);
    g_autofree CPUIDTable *table = text ? supported_cpuid(mon->ms, errp) : NULL;
    X86CPUModel *model = table ? x86_cpu_model_parse(text, "", errp) : NULL;
    json_t *ret = NULL;

    if (!model) {
        return NULL;
    }
    model->check = false;
    if (x86_cpuid_build(table, model, &topo, errp)) {
        ret = json_pack("{s:{s:s,s:o}}", "model", "name", full ? model->obj.oc->name : "base",
                        "props", feature_props(table));
    }
    x86_cpu_model_free(model);
    return ret;
}
