/*
 * -cpu: models by name, their properties and features.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <stdio.h>
#include <string.h>

#include "qemu/cutils.h"
#include "target/i386/cpuid.h"

typedef struct ModelDef {
    const char *name;
    const char *desc;
    const struct ModelDef *parent;      /* whose features it has too */
    const char *features;               /* NULL: all that there are */
    int16_t family, model, stepping;
} ModelDef;

/*
 * What every model has on top where the accelerator does, and nobody is to miss: what makes
 * guests faster (QEMU's KVM defaults), and what only an operating system sees, which takes what
 * it finds.
 */
#define OPTIONAL_FEATURES \
    "hypervisor x2apic kvmclock kvm-nopiodelay kvm-asyncpf kvm-steal-time " \
    "kvm-pv-eoi kvmclock-stable-bit arat mce mtrr mca pse36"

/* The levels of the x86-64 psABI, 3.1.1, with what an operating system needs. */
static const ModelDef model_v1 = {
    "x86-64-v1", "x86-64 baseline", NULL,
    "fpu de pse tsc msr pae cx8 apic sep pge cmov pat clflush mmx fxsr sse sse2 syscall nx lm",
    15, 107, 1,
};
static const ModelDef model_v2 = {
    "x86-64-v2", "x86-64 level 2", &model_v1,
    "cx16 lahf-lm popcnt pni sse4.1 sse4.2 ssse3 svm", 15, 107, 1,
};
static const ModelDef model_v3 = {
    "x86-64-v3", "x86-64 level 3", &model_v2,
    "avx avx2 bmi1 bmi2 f16c fma abm movbe xsave xsaveopt", 15, 107, 1,
};
static const ModelDef model_qemu64 = {
    "qemu64", "QEMU Virtual CPU", &model_v1, "cx16 pni lahf-lm svm", 15, 107, 1,
};
static const ModelDef model_kvm64 = {
    "kvm64", "Common KVM processor", &model_v1, "vme cx16 pni", 15, 6, 1,
};
static const ModelDef model_host = {
    "host", "processor with all supported host features", NULL, NULL, -1, -1, -1,
};
static const ModelDef model_max = {
    "max", "Everything that the accelerator offers on this host",
    NULL, NULL, -1, -1, -1,
};

static const ModelDef *const models[] = {
    &model_kvm64, &model_qemu64, &model_v1, &model_v2, &model_v3, &model_host,
    &model_max,
};

static const ModelDef *find_model(const char *name)
{
    for (unsigned i = 0; i < G_N_ELEMENTS(models); i++) {
        if (!strcmp(models[i]->name, name)) {
            return models[i];
        }
    }
    return NULL;
}

static void add_features(X86FeatureSet *set, const char *list)
{
    g_auto(GStrv) names = g_strsplit(list, " ", -1);

    for (unsigned i = 0; names[i]; i++) {
        bool known = x86_feature_find(names[i], set);

        g_assert(known);
    }
}

static void set_base(X86CPUModel *model, const ModelDef *def)
{
    add_features(&model->optional, OPTIONAL_FEATURES);
    for (; def; def = def->parent) {
        add_features(&model->base, def->features);
    }
    /* Virtualization in a guest: QEMU's models go without it on KVM. */
    if (x86_feature_in(&model->base, X86_FEATURE_SVM)) {
        x86_feature_add(&model->optional, X86_FEATURE_SVM);
    }
    for (FeatureWord w = 0; w < FEATURE_WORDS; w++) {
        /* VMX comes whole, but for what is taken away. */
        model->base.w[w] |= w >= FEAT_FIRST_MSR && x86_feature_gate(w) == X86_FEATURE_VMX ?
                            ~0u : model->optional.w[w];
    }
}

const char *x86_cpu_model_name(unsigned i)
{
    return i < G_N_ELEMENTS(models) ? models[i]->name : NULL;
}

void x86_cpu_list(void)
{
    printf("Available CPUs:\n");
    for (unsigned i = 0; i < G_N_ELEMENTS(models); i++) {
        printf("x86 %-20s  %s\n", models[i]->name, models[i]->desc);
    }
    printf("\nRecognized CPUID flags:\n");
    x86_feature_list();
}

/* Properties that are not feature bits. */

typedef enum CPUPropType {
    CPU_PROP_BOOL, CPU_PROP_UINT8, CPU_PROP_UINT32, CPU_PROP_INT32, CPU_PROP_STRING,
    CPU_PROP_IGNORED_BOOL, CPU_PROP_IGNORED,
} CPUPropType;

typedef struct CPUProp {
    const char *name;
    CPUPropType type;
    uint16_t offset;
    uint32_t max;
} CPUProp;

#define FIELD(f) offsetof(X86CPUModel, f)

static const CPUProp cpu_props[] = {
    { "pmu", CPU_PROP_BOOL, FIELD(pmu) },
    { "migratable", CPU_PROP_BOOL, FIELD(migratable) },
    { "check", CPU_PROP_BOOL, FIELD(check) },
    { "enforce", CPU_PROP_BOOL, FIELD(enforce) },
    { "host-phys-bits", CPU_PROP_BOOL, FIELD(host_phys_bits) },
    { "host-phys-bits-limit", CPU_PROP_UINT8, FIELD(host_phys_bits_limit), 64 },
    { "phys-bits", CPU_PROP_UINT8, FIELD(phys_bits), 255 },
    { "family", CPU_PROP_INT32, FIELD(family), 0xff + 0xf },
    { "model", CPU_PROP_INT32, FIELD(model), 0xff },
    { "stepping", CPU_PROP_INT32, FIELD(stepping), 0xf },
    { "level", CPU_PROP_UINT32, FIELD(level), 0xffff },
    { "xlevel", CPU_PROP_UINT32, FIELD(xlevel), 0xffffffff },
    { "vendor", CPU_PROP_STRING, FIELD(vendor), 12 },
    { "model-id", CPU_PROP_STRING, FIELD(model_id), 48 },
    /* Set by habit; they say what we do anyway or name what we do not have. */
    { "l3-cache", CPU_PROP_IGNORED_BOOL },
    { "host-cache-info", CPU_PROP_IGNORED_BOOL },
    { "legacy-cache", CPU_PROP_IGNORED_BOOL },
    { "fill-mtrr-mask", CPU_PROP_IGNORED_BOOL },
    { "full-cpuid-auto-level", CPU_PROP_IGNORED_BOOL },
    { "kvm-pv-enforce-cpuid", CPU_PROP_IGNORED_BOOL },
    { "lmce", CPU_PROP_IGNORED_BOOL },
    { "realized", CPU_PROP_IGNORED_BOOL },
    { "min-level", CPU_PROP_IGNORED },
    { "min-xlevel", CPU_PROP_IGNORED },
};

static const CPUProp *find_prop(const char *name)
{
    g_autofree char *canonical = g_strdelimit(g_strdup(name), "_", '-');

    for (unsigned i = 0; i < G_N_ELEMENTS(cpu_props); i++) {
        if (!strcmp(cpu_props[i].name, canonical)) {
            return &cpu_props[i];
        }
    }
    return NULL;
}

static bool parse_bool(const char *name, const char *value, bool *result,
                       Error **errp)
{
    if (!qemu_parse_bool(value, result)) {
        error_setg(errp, "Parameter '%s' expects 'on' or 'off'", name);
        return false;
    }
    return true;
}

static bool parse_number(const X86CPUModel *model, const CPUProp *prop,
                         const char *value, uint64_t *result, Error **errp)
{
    if (qemu_strtou64(value, result) < 0) {
        error_setg(errp, "Parameter '%s' expects uint64", prop->name);
        return false;
    }
    if (*result > prop->max) {
        error_setg(errp, "Property '%s-x86_64-cpu.%s' doesn't take value '%s' "
                   "(maximum: %u)", model->name, prop->name, value, prop->max);
        return false;
    }
    return true;
}

static bool set_prop(X86CPUModel *model, const CPUProp *prop, const char *value,
                     Error **errp)
{
    void *field = (char *)model + prop->offset;
    uint64_t number = 0;
    bool ignored;

    switch (prop->type) {
    case CPU_PROP_BOOL:
        return parse_bool(prop->name, value, field, errp);
    case CPU_PROP_IGNORED_BOOL:
        return parse_bool(prop->name, value, &ignored, errp);
    case CPU_PROP_IGNORED:
        return true;
    case CPU_PROP_STRING:
        if (strlen(value) > prop->max || (prop->max == 12 && strlen(value) != 12)) {
            error_setg(errp, "Property '%s-x86_64-cpu.%s' doesn't take value '%s'",
                       model->name, prop->name, value);
            return false;
        }
        g_free(*(char **)field);
        *(char **)field = g_strdup(value);
        return true;
    default:
        if (!parse_number(model, prop, value, &number, errp)) {
            return false;
        }
    }
    if (prop->type == CPU_PROP_UINT8) {
        *(uint8_t *)field = number;
    } else {
        *(uint32_t *)field = number;
    }
    return true;
}

/* Move the feature's bits to what is asked for (on) or taken away. */
static bool set_feature(X86CPUModel *model, const char *name, bool on, Error **errp)
{
    X86FeatureSet bits = { 0 };

    if (!x86_feature_find(name, &bits)) {
        error_setg(errp, "Property '%s-x86_64-cpu.%s' not found", model->name, name);
        return false;
    }
    for (FeatureWord w = 0; w < FEATURE_WORDS; w++) {
        model->plus.w[w] = on ? model->plus.w[w] | bits.w[w] :
                                model->plus.w[w] & ~bits.w[w];
        model->minus.w[w] = on ? model->minus.w[w] & ~bits.w[w] :
                                 model->minus.w[w] | bits.w[w];
    }
    return true;
}

static bool set_named(X86CPUModel *model, const char *name, const char *value,
                      Error **errp)
{
    const CPUProp *prop = find_prop(name);
    bool on = false;

    if (prop) {
        return set_prop(model, prop, value, errp);
    }
    if (!strcmp(name, "kvm")) {
        if (!parse_bool(name, value, &on, errp)) {
            return false;
        }
        model->kvm_hidden = !on;
        return true;
    }
    /* The name first: an unknown one is the likelier mistake. */
    if (!set_feature(model, name, true, errp)) {
        return false;
    }
    return parse_bool(name, value, &on, errp) && set_feature(model, name, on, errp);
}

/* "+f" and "-f": they also name the properties that are not bits. */
static bool set_signed(X86CPUModel *model, const char *word, Error **errp)
{
    const char *name = word + 1;

    if (find_prop(name) || !strcmp(name, "kvm")) {
        return set_named(model, name, *word == '+' ? "on" : "off", errp);
    }
    return set_feature(model, name, *word == '+', errp);
}

static bool parse_feature(X86CPUModel *model, const char *item, Error **errp)
{
    g_auto(GStrv) kv = NULL;

    if (*item == '+' || *item == '-') {
        return set_signed(model, item, errp);
    }
    kv = g_strsplit(item, "=", 2);
    return set_named(model, kv[0], kv[1] ? kv[1] : "on", errp);
}

/* QEMU's order: key=value as written, then every +f, then every -f. */
static bool parse_features(X86CPUModel *model, char **list, Error **errp)
{
    static const char passes[] = { 0, '+', '-' };

    for (unsigned pass = 0; pass < G_N_ELEMENTS(passes); pass++) {
        for (unsigned i = 0; list[i]; i++) {
            char sign = *list[i] == '+' || *list[i] == '-' ? *list[i] : 0;

            if (*list[i] && sign == passes[pass] && !parse_feature(model, list[i], errp)) {
                return false;
            }
        }
    }
    return true;
}

static bool check_model(const X86CPUModel *model, Error **errp)
{
    if (model->phys_bits && (model->phys_bits < 32 || model->phys_bits > 52)) {
        error_setg(errp, "phys-bits should be between 32 and 52 (but is %u)",
                   model->phys_bits);
        return false;
    }
    return true;
}

X86CPUModel *x86_cpu_model_parse(const char *text, const char *default_model,
                                 Error **errp)
{
    g_auto(GStrv) list = g_strsplit(text ? text : default_model, ",", -1);
    const ModelDef *def;
    X86CPUModel *model;

    if (!list[0]) {
        error_setg(errp, "-cpu option cannot be empty");
        return NULL;
    }
    def = find_model(list[0]);
    if (!def) {
        error_setg(errp, "unable to find CPU model '%s'", list[0]);
        return NULL;
    }
    model = g_new0(X86CPUModel, 1);
    model->name = g_strdup(def->name);
    model->accel_name = "host";
    model->family = def->family;
    model->model = def->model;
    model->stepping = def->stepping;
    model->migratable = model->check = true;
    model->has_base = def->features != NULL;
    model->pmu = model->host_phys_bits = !model->has_base;
    if (model->has_base) {
        set_base(model, def);
        model->phys_bits = 40;
        model->model_id = g_strdup_printf("%s", def->desc);
    }
    if (!parse_features(model, list + 1, errp) || !check_model(model, errp)) {
        x86_cpu_model_free(model);
        return NULL;
    }
    return model;
}

void x86_cpu_model_free(X86CPUModel *model)
{
    if (model) {
        g_free(model->name);
        g_free(model->vendor);
        g_free(model->model_id);
        g_free(model);
    }
}
