/*
 * -cpu: models by name, their properties and features.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "qemu/cutils.h"
#include "qemu/similar.h"
#include "target/i386/cpu-named.h"
#include "target/i386/cpuid.h"

typedef struct ModelDef {
    ObjectClass oc;
    const struct ModelDef *parent;      /* whose features it has too */
    const char *features;               /* NULL: all that there are */
    int16_t family, model, stepping;
    const char *vendor;                 /* NULL: the accelerator's */
    char **fields;                      /* of a named model, whose texts the others are */
} ModelDef;

/* Properties that are not feature bits. */

/* A 32-bit field; arg: the most that it takes. */
static bool set_number(Object *obj, const Property *prop, const char *value, Error **errp)
{
    uint32_t max = *(const uint32_t *)prop->arg;
    uint64_t number;

    if (qemu_strtou64(value, &number) < 0) {
        error_setg(errp, "Parameter '%s' expects uint64", prop->name);
        return false;
    }
    if (number > max) {
        error_setg(errp, "Property '%s.%s' doesn't take value '%s' (maximum: %u)",
                   object_class_type_name(obj->oc), prop->name, value, max);
        return false;
    }
    *(uint32_t *)property_field(obj, prop) = number;
    return true;
}

static const PropertyInfo prop_number = { .name = "uint32", .set = set_number };

#define NUMBER(n, f, limit) { \
        .name = (n), .info = &prop_number, .offset = offsetof(X86CPUModel, f), \
        .arg = (const uint32_t[]) { limit }, \
    }
#define BOOL(n, f, def) DEFINE_PROP_BOOL(n, X86CPUModel, f, def, NULL)

static const Property cpu_props[] = {
    BOOL("kvm", kvm, "on"),
    BOOL("pmu", pmu, NULL),
    BOOL("migratable", migratable, "on"),
    BOOL("check", check, "on"),
    BOOL("enforce", enforce, NULL),
    BOOL("host-phys-bits", host_phys_bits, NULL),
    NUMBER("host-phys-bits-limit", host_phys_bits_limit, 64),
    NUMBER("phys-bits", phys_bits, 255),
    NUMBER("family", family, 0xff + 0xf),
    NUMBER("model", model, 0xff),
    NUMBER("stepping", stepping, 0xf),
    NUMBER("level", level, 0xffff),
    NUMBER("xlevel", xlevel, 0xffffffff),
    DEFINE_PROP_STRING("vendor", X86CPUModel, vendor, NULL, NULL),
    DEFINE_PROP_STRING("model-id", X86CPUModel, model_id, NULL, NULL),
    /* Set by habit; they say what we do anyway or name what we do not have. */
    BOOL("l3-cache", ignored, NULL),
    BOOL("host-cache-info", ignored, NULL),
    BOOL("legacy-cache", ignored, NULL),
    BOOL("fill-mtrr-mask", ignored, NULL),
    BOOL("full-cpuid-auto-level", ignored, NULL),
    BOOL("kvm-pv-enforce-cpuid", ignored, NULL),
    BOOL("lmce", ignored, NULL),
    BOOL("realized", ignored, NULL),
    DEFINE_PROP_IGNORED("min-level", NULL),
    DEFINE_PROP_IGNORED("min-xlevel", NULL),
    DEFINE_PROP_END
};

#define CPU_CLASS(model, description) { \
        .name = (model), .type_name = model "-x86_64-cpu", .desc = (description), \
        .instance_size = sizeof(X86CPUModel), .props = cpu_props, \
    }

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
    CPU_CLASS("x86-64-v1", "x86-64 baseline"), NULL,
    "fpu de pse tsc msr pae cx8 apic sep pge cmov pat clflush mmx fxsr sse sse2 syscall nx lm",
    15, 107, 1,
};
static const ModelDef model_v2 = {
    CPU_CLASS("x86-64-v2", "x86-64 level 2"), &model_v1,
    "cx16 lahf-lm popcnt pni sse4.1 sse4.2 ssse3 svm", 15, 107, 1,
};
static const ModelDef model_v3 = {
    CPU_CLASS("x86-64-v3", "x86-64 level 3"), &model_v2,
    "avx avx2 bmi1 bmi2 f16c fma abm movbe xsave xsaveopt", 15, 107, 1,
};
static const ModelDef model_qemu64 = {
    CPU_CLASS("qemu64", "QEMU Virtual CPU"), &model_v1, "cx16 pni lahf-lm svm", 15, 107, 1,
};
static const ModelDef model_kvm64 = {
    CPU_CLASS("kvm64", "Common KVM processor"), &model_v1, "vme cx16 pni", 15, 6, 1,
};
static const ModelDef model_host = {
    CPU_CLASS("host", "processor with all supported host features"), NULL, NULL, -1, -1, -1,
};
static const ModelDef model_max = {
    CPU_CLASS("max", "Everything that the accelerator offers on this host"),
    NULL, NULL, -1, -1, -1,
};

static const ModelDef *const models[] = {
    &model_kvm64, &model_qemu64, &model_v1, &model_v2, &model_v3, &model_host,
    &model_max,
};

static const char *vendor_name(char letter)
{
    return letter == 'I' ? "GenuineIntel" : letter == 'A' ? "AuthenticAMD" : "HygonGenuine";
}

/* Made for the one that asks, and freed with it: most programs run without any of them. */
static ModelDef *named_model(const char *name)
{
    char **f = x86_named_model_find(name);
    ModelDef *def;

    if (!f) {
        return NULL;
    }
    def = g_new(ModelDef, 1);
    *def = (ModelDef) {
        .oc = {
            .name = g_strdup(name), .type_name = g_strconcat(name, "-x86_64-cpu", NULL),
            .desc = f[X86_ROW_TEXT], .instance_size = sizeof(X86CPUModel), .props = cpu_props,
        },
        .features = f[X86_ROW_FEATURES],
        .family = g_ascii_strtoull(f[X86_ROW_FAMILY], NULL, 10),
        .model = g_ascii_strtoull(f[X86_ROW_MODEL], NULL, 10),
        .stepping = g_ascii_strtoull(f[X86_ROW_STEPPING], NULL, 10),
        .vendor = vendor_name(*f[X86_ROW_VENDOR]), .fields = f,
    };
    return def;
}

static void free_named_model(const ModelDef *def)
{
    if (def->fields) {
        g_free((char *)def->oc.name);
        g_free((char *)def->oc.type_name);
        g_strfreev(def->fields);
        g_free((ModelDef *)def);
    }
}

static const ModelDef *find_model(const char *name)
{
    for (unsigned i = 0; i < G_N_ELEMENTS(models); i++) {
        if (!strcmp(models[i]->oc.name, name)) {
            return models[i];
        }
    }
    return named_model(name);
}

/* ": did you mean X?", or ""; caller frees. */
static char *near_model(const char *name)
{
    g_autoptr(GPtrArray) names = g_ptr_array_new_with_free_func(g_free);
    char *other;
    Similar s;

    similar_init(&s, name);
    for (unsigned i = 0; (other = x86_cpu_model_name(i)); i++) {
        g_ptr_array_add(names, other);
        similar_try(&s, other);
    }
    return similar_text(&s, "");
}

/* Where the accelerator has not this feature of the model, nobody misses it. */
static void make_optional(X86CPUModel *model, X86Feature f)
{
    if (x86_feature_in(&model->base, f)) {
        x86_feature_add(&model->optional, f);
    }
}

static void set_base(X86CPUModel *model, const ModelDef *def)
{
    x86_feature_apply_list(&model->optional, OPTIONAL_FEATURES);
    for (; def; def = def->parent) {
        x86_feature_apply_list(&model->base, def->features);
    }
    /* Virtualization in a guest, and MONITOR: QEMU's models go without them on KVM. */
    make_optional(model, X86_FEATURE_SVM);
    make_optional(model, X86_FEATURE_MONITOR);
    for (FeatureWord w = 0; w < FEATURE_WORDS; w++) {
        /* VMX comes whole, but for what is taken away. */
        model->base.w[w] |= w >= FEAT_FIRST_MSR && x86_feature_gate(w) == X86_FEATURE_VMX ?
                            ~0u : model->optional.w[w];
    }
}

char *x86_cpu_model_name(unsigned i)
{
    return i < G_N_ELEMENTS(models) ? g_strdup(models[i]->oc.name) :
           x86_named_model_name(i - G_N_ELEMENTS(models));
}

bool x86_cpu_model_is_fixed(const char *name)
{
    const ModelDef *def = find_model(name);
    bool fixed = def && def->features;

    if (def) {
        free_named_model(def);
    }
    return fixed;
}

void x86_cpu_list(void)
{
    char *name;

    printf("Available CPUs:\n");
    for (unsigned i = 0; (name = x86_cpu_model_name(i)); i++) {
        const ModelDef *def = find_model(name);
        const char *of = def->fields && strcmp(def->fields[X86_ROW_NAME], name) ?
                         def->fields[X86_ROW_NAME] : NULL;

        printf("x86 %-20s  %s%s%s\n", name, of ? "(alias of " : def->oc.desc, of ? of : "",
               of ? ")" : "");
        free_named_model(def);
        g_free(name);
    }
    printf("\nRecognized CPUID flags:\n");
    x86_feature_list();
}

/* Move the feature's bits to what is asked for (on) or taken away. */
static bool set_feature(X86CPUModel *model, const char *name, bool on, Error **errp)
{
    X86FeatureSet bits = { 0 };

    if (!x86_feature_find(name, &bits)) {
        error_setg(errp, "Property '%s.%s' not found", object_class_type_name(model->obj.oc), name);
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
    const Property *prop = property_find(model->obj.oc, name);
    bool on;

    if (prop) {
        return prop->info->set(&model->obj, prop, value, errp);
    }
    /* The name first: an unknown one is the likelier mistake. */
    if (!set_feature(model, name, true, errp)) {
        return false;
    }
    if (!qemu_parse_bool(value, &on)) {
        error_setg(errp, "Parameter '%s' expects 'on' or 'off'", name);
        return false;
    }
    return set_feature(model, name, on, errp);
}

/* "+f" and "-f": they also name the properties that are not bits. */
static bool set_signed(X86CPUModel *model, const char *word, Error **errp)
{
    const char *name = word + 1;

    if (property_find(model->obj.oc, name)) {
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

static bool check_text(const X86CPUModel *model, const char *name, const char *text,
                       size_t min, size_t max, Error **errp)
{
    if (text && (strlen(text) < min || strlen(text) > max)) {
        error_setg(errp, "Property '%s.%s' doesn't take value '%s'",
                   object_class_type_name(model->obj.oc), name, text);
        return false;
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
    return check_text(model, "vendor", model->vendor, 12, 12, errp) &&
           check_text(model, "model-id", model->model_id, 0, 48, errp);
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
        g_autofree char *meant = near_model(list[0]);

        error_setg(errp, "unable to find CPU model '%s'%s", list[0], meant);
        return NULL;
    }
    model = downcast(object_new(&def->oc, NULL), X86CPUModel, obj);
    model->named_vendor = def->vendor;
    model->accel_name = "host";
    model->family = def->family;
    model->model = def->model;
    model->stepping = def->stepping;
    model->has_base = def->features != NULL;
    model->pmu = model->host_phys_bits = !model->has_base;
    if (model->has_base) {
        set_base(model, def);
        model->phys_bits = 40;
        model->model_id = g_strdup(def->oc.desc);
    }
    if (!parse_features(model, list + 1, errp) || !check_model(model, errp)) {
        x86_cpu_model_free(model);
        return NULL;
    }
    return model;
}

void x86_cpu_model_free(X86CPUModel *model)
{
    const ModelDef *def = model ? downcast(model->obj.oc, const ModelDef, oc) : NULL;

    if (model) {
        object_free((Object *)model);
        free_named_model(def);
    }
}
