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

static void save_part(const StateDesc *desc, const char *name, unsigned instance, void *obj,
                      void *opaque)
{
    GByteArray *out = g_byte_array_new();
    PartHead head = {
        .instance = instance, .version = desc->version,
        .name_len = strlen(part_name(desc, name)),
    };

    if (desc->pre_save) {
        desc->pre_save(obj);
    }
    g_byte_array_append(out, (const uint8_t *)&head, sizeof(head));
    g_byte_array_append(out, (const uint8_t *)part_name(desc, name), head.name_len);
    state_save_fields(desc->fields, obj, out);
    g_ptr_array_add(opaque, g_byte_array_free_to_bytes(out));
}

GPtrArray *parts_save(MachineState *ms)
{
    GPtrArray *sections = g_ptr_array_new_with_free_func((GDestroyNotify)g_bytes_unref);

    foreach_part(ms, save_part, sections);
    return sections;
}

/* Loading ------------------------------------------------------------------------------ */

typedef struct Load {
    const GPtrArray *sections;
    guint next;
    bool failed;
    Error **errp;
} Load;

/* The section is this part's; the reader is then at its fields. */
static bool match(StateReader *in, const StateDesc *desc, const char *name, unsigned instance,
                  Error **errp)
{
    PartHead head;

    if (in->left < sizeof(head) ||
        (memcpy(&head, in->p, sizeof(head)), in->left - sizeof(head) < head.name_len)) {
        error_setg(errp, "a part is cut off");
        return false;
    }
    if (head.instance != instance || head.name_len != strlen(name) ||
        memcmp(in->p + sizeof(head), name, head.name_len)) {
        error_setg(errp, "another part stands in its place");
        return false;
    }
    if (head.version != desc->version) {
        error_setg(errp, "version %u is not known: this program has %u", head.version,
                   desc->version);
        return false;
    }
    in->p += sizeof(head) + head.name_len;
    in->left -= sizeof(head) + head.name_len;
    return true;
}

static bool load_section(GBytes *section, const StateDesc *desc, const char *name,
                         unsigned instance, void *obj, Error **errp)
{
    gsize size;
    StateReader in = { .p = g_bytes_get_data(section, &size) };

    in.left = size;
    return match(&in, desc, name, instance, errp) &&
        state_load_fields(desc->fields, obj, &in, errp) && state_check_end(&in, errp) &&
        (!desc->post_load || desc->post_load(obj, errp));
}

static void load_part(const StateDesc *desc, const char *name, unsigned instance, void *obj,
                      void *opaque)
{
    Load *load = opaque;

    if (load->failed) {
        return;
    }
    if (load->next == load->sections->len) {
        error_setg(load->errp, "part '%s' %u is missing", part_name(desc, name), instance);
        load->failed = true;
    } else if (!load_section(g_ptr_array_index(load->sections, load->next++), desc,
                             part_name(desc, name), instance, obj, load->errp)) {
        error_prepend(load->errp, "part '%s' %u: ", part_name(desc, name), instance);
        load->failed = true;
    }
}

bool parts_load(MachineState *ms, const GPtrArray *sections, Error **errp)
{
    Load load = { .sections = sections, .errp = errp };

    if (!parts_check(ms, errp)) {
        return false;
    }
    foreach_part(ms, load_part, &load);
    if (!load.failed && load.next < sections->len) {
        error_setg(errp, "there are parts that this machine does not have");
        load.failed = true;
    }
    return !load.failed;
}
