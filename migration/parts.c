/*
 * The parts of a machine that have state: found, saved and loaded in one order.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <string.h>

#include "internal.h"
#include "sysemu/accel.h"
#include "target/i386/cpu.h"

/* In front of the fields: instance, version, length of the name; then the name. */
typedef struct __attribute__((packed)) PartHead {
    uint32_t instance;
    uint16_t version;
    uint8_t name_len;
} PartHead;

/* Clocks come before what counts on them, and controllers before devices. */
static void foreach_part(MachineState *ms, StateFn *fn, void *opaque)
{
    const MachineClass *mc = machine_get_class(ms);
    const AccelClass *ac = accel_get_class(ms->accel);

    fn(&machine_clock_state, NULL, 0, ms, opaque);
    for (unsigned i = 0; ms->cpus && i < ms->smp.cpus; i++) {
        fn(&x86_cpu_state, NULL, i, ms->cpus[i], opaque);
    }
    if (mc->foreach_state) {
        mc->foreach_state(ms, fn, opaque);
    }
    if (ac->foreach_state) {
        ac->foreach_state(ms->accel, fn, opaque);
    }
    for (guint i = 0; i < ms->devices->len; i++) {
        DeviceState *dev = g_ptr_array_index(ms->devices, i);

        fn(device_get_class(dev)->state, dev->obj.oc->name, i, dev, opaque);
    }
}

static const char *part_name(const StateDesc *desc, const char *name)
{
    return desc && desc->name ? desc->name : name;
}

/* What cannot be saved --------------------------------------------------------------- */

typedef struct Check {
    Error **errp;
    bool failed;
} Check;

static void check_part(const StateDesc *desc, const char *name, unsigned instance, void *obj,
                       void *opaque)
{
    Check *check = opaque;
    const char *why = !desc ? "does not support migration"
                            : desc->blocker ? desc->blocker(obj) : NULL;

    if (!why || check->failed) {
        return;
    }
    check->failed = true;
    if (desc && desc->name) {
        error_setg(check->errp, "State blocked by '%s': it %s", desc->name, why);
    } else {
        error_setg(check->errp, "State blocked by non-migratable device '%s': %s %s",
                   qdev_name(obj), name, why);
    }
}

bool parts_check(MachineState *ms, Error **errp)
{
    Check check = { .errp = errp };

    foreach_part(ms, check_part, &check);
    return !check.failed;
}

/* Saving ------------------------------------------------------------------------------- */

static void prepare_part(const StateDesc *desc, const char *name, unsigned instance, void *obj,
                         void *opaque)
{
    if (desc->pre_save) {
        desc->pre_save(obj);
    }
}

static void save_part(const StateDesc *desc, const char *name, unsigned instance, void *obj,
                      void *opaque)
{
    GByteArray *out = g_byte_array_new();
    PartHead head = {
        .instance = instance, .version = desc->version,
        .name_len = strlen(part_name(desc, name)),
    };

    g_byte_array_append(out, (const uint8_t *)&head, sizeof(head));
    g_byte_array_append(out, (const uint8_t *)part_name(desc, name), head.name_len);
    state_save_fields(desc->fields, obj, out);
    g_ptr_array_add(opaque, g_byte_array_free_to_bytes(out));
}

GPtrArray *parts_save(MachineState *ms)
{
    GPtrArray *sections = g_ptr_array_new_with_free_func((GDestroyNotify)g_bytes_unref);

    /* What one still has to do may change another, as a device lowers a controller's input. */
    foreach_part(ms, prepare_part, NULL);
    foreach_part(ms, save_part, sections);
    return sections;
}

int parts_write(const GPtrArray *sections, SectionWriter *w)
{
    int ret = 0;

    for (guint i = 0; i < sections->len && !ret; i++) {
        gsize size;
        const void *data = g_bytes_get_data(sections->pdata[i], &size);

        ret = section_write(w, SECTION_STATE, NULL, 0, data, size);
    }
    return ret;
}

/* Loading ------------------------------------------------------------------------------ */

typedef struct Load {
    const GPtrArray *sections;
    bool *used;             /* of each section */
    guint next;             /* where the next part is looked for first */
    bool failed;
    Error **errp;
} Load;

/* What a section says it is; false: it is cut off. The name is not ended. */
static bool read_head(GBytes *section, PartHead *head, const char **name)
{
    gsize size;
    const char *data = g_bytes_get_data(section, &size);

    if (size < sizeof(*head) ||
        (memcpy(head, data, sizeof(*head)), size - sizeof(*head) < head->name_len)) {
        return false;
    }
    *name = data + sizeof(*head);
    return true;
}

static bool is_part(GBytes *section, const char *name, unsigned instance)
{
    const char *its_name;
    PartHead head;

    return read_head(section, &head, &its_name) && head.instance == instance &&
        head.name_len == strlen(name) && !memcmp(its_name, name, head.name_len);
}

/* Where the order is another one, too: who has a part may be the board or the accelerator. */
static bool find_section(Load *load, const char *name, unsigned instance, guint *at)
{
    for (guint i = 0; i < load->sections->len; i++) {
        *at = (load->next + i) % load->sections->len;
        if (!load->used[*at] && is_part(load->sections->pdata[*at], name, instance)) {
            return true;
        }
    }
    return false;
}

static bool match_version(const PartHead *head, const StateDesc *desc, Error **errp)
{
    if (head->version != desc->version) {
        error_setg(errp, "version %u is not known: this program has %u", head->version,
                   desc->version);
        return false;
    }
    return true;
}

static bool load_section(GBytes *section, const StateDesc *desc, void *obj, Error **errp)
{
    gsize size;
    StateReader in = { .p = g_bytes_get_data(section, &size) };
    PartHead head;
    size_t skip;

    memcpy(&head, in.p, sizeof(head));
    skip = sizeof(head) + head.name_len;
    in.p += skip;
    in.left = size - skip;
    return match_version(&head, desc, errp) &&
        state_load_fields(desc->fields, obj, &in, errp) && state_check_end(&in, errp) &&
        (!desc->post_load || desc->post_load(obj, errp));
}

static void load_part(const StateDesc *desc, const char *name, unsigned instance, void *obj,
                      void *opaque)
{
    Load *load = opaque;
    guint at;

    name = part_name(desc, name);
    if (load->failed) {
        return;
    }
    if (!find_section(load, name, instance, &at)) {
        load->failed = !desc->optional;
        if (load->failed) {
            error_setg(load->errp, "part '%s' %u is missing", name, instance);
        }
        return;
    }
    load->used[at] = true;
    load->next = at + 1;
    if (!load_section(load->sections->pdata[at], desc, obj, load->errp)) {
        error_prepend(load->errp, "part '%s' %u: ", name, instance);
        load->failed = true;
    }
}

/* What only another accelerator has a place for, and the guest cannot tell. */
static bool may_be_left(GBytes *section)
{
    static const char kvms[] = "kvm-msrs";
    const char *name;
    PartHead head;

    return read_head(section, &head, &name) && head.name_len == strlen(kvms) &&
        !memcmp(name, kvms, head.name_len);
}

static bool check_left(Load *load)
{
    for (guint i = 0; i < load->sections->len; i++) {
        if (!load->used[i] && !may_be_left(load->sections->pdata[i])) {
            error_setg(load->errp, "there are parts that this machine does not have");
            return false;
        }
    }
    return true;
}

bool parts_load(MachineState *ms, const GPtrArray *sections, Error **errp)
{
    g_autofree bool *used = g_new0(bool, sections->len + 1);
    Load load = { .sections = sections, .used = used, .errp = errp };

    if (!parts_check(ms, errp)) {
        return false;
    }
    foreach_part(ms, load_part, &load);
    return !load.failed && check_left(&load);
}
