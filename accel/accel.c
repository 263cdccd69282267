/*
 * Choice of the accelerator: the first that works of a list of names.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "sysemu/accel.h"

#include <errno.h>
#include <string.h>

/*
 * Properties of the class, from the options nobody has used yet. Unless strict,
 * options that the class has no property for are for other accelerators.
 */
static bool set_properties(Object *obj, QemuOpts *opts, bool strict, Error **errp)
{
    g_autoptr(QemuOpts) copy = opts ? qemu_opts_clone(opts) : NULL;

    for (guint i = 0; copy && i < copy->opts->len; i++) {
        QemuOpt *opt = &g_array_index(copy->opts, QemuOpt, i);

        if (opt->used || !strcmp(opt->name, "accel") ||
            (!strict && !property_find(obj->oc, opt->name))) {
            continue;
        }
        if (!property_set(obj, opt->name, opt->str, errp)) {
            return false;
        }
    }
    return true;
}

/*
 * True when it runs. Of the two kinds of failure, wrong properties are the
 * user's and final; a facility that does not open, or with an alternative is not
 * for guests like ours, lets the next one have a try.
 */
static bool try_accel(MachineState *ms, const ObjectClass *oc, QemuOpts *opts,
                      bool alternative, bool *final, Error **errp)
{
    const AccelClass *ac = downcast(oc, const AccelClass, oc);
    AccelState *as = downcast(object_new(oc, NULL), AccelState, obj);
    bool other_guests = ac->probe && ac->probe() == -EOPNOTSUPP;

    as->machine = ms;
    if (!set_properties(&as->obj, ms->accel_opts, false, errp) ||
        !set_properties(&as->obj, opts, true, errp)) {
        *final = true;
    } else if (alternative && other_guests) {
        error_setg(errp, "this host's %s runs no ordinary guests", oc->name);
    } else if (ac->init_machine(as, ms, errp)) {
        if (other_guests) {
            warn_report("this host's %s runs no ordinary guests: they are very slow, or stop at "
                        "their first instructions", oc->name);
        }
        ms->accel = as;
        return true;
    }
    object_free(&as->obj);
    return false;
}

static const char *name_of(const GPtrArray *candidates, guint i)
{
    return qemu_opt_get(candidates->pdata[i], "accel");
}

static const ObjectClass *class_of(const GPtrArray *candidates, guint i)
{
    return object_class_by_name(accel_classes, name_of(candidates, i));
}

/* Names that are not compiled in are reported first, as QEMU does. */
static bool report_unknown(const GPtrArray *candidates, unsigned known, bool *failed,
                           Error **errp)
{
    for (guint i = 0; i < candidates->len; i++) {
        const char *name = name_of(candidates, i);
        g_autofree char *meant = NULL;

        if (class_of(candidates, i)) {
            continue;
        }
        meant = object_class_did_you_mean(accel_classes, name);
        if (!known && i + 1 == candidates->len) {
            error_setg(errp, "invalid accelerator %s%s", name, meant);
            return false;
        }
        error_report("invalid accelerator %s%s", name, meant);
        /* Only what stood before the one we end up with was passed over. */
        *failed |= i == 0;
    }
    return true;
}

/*
 * Nothing was asked for: KVM, or where the host has none the software CPU, and
 * one line that says so.
 */
static const char *default_names(void)
{
    const ObjectClass *kvm = object_class_by_name(accel_classes, "kvm");
    const ObjectClass *tcg = object_class_by_name(accel_classes, "tcg");
    int ret;

    if (!kvm || !tcg) {
        return kvm ? "kvm" : tcg ? "tcg" : "";
    }
    ret = downcast(kvm, const AccelClass, oc)->probe();
    if (ret < 0) {
        g_autofree char *why = downcast(kvm, const AccelClass, oc)->why_not(-ret);

        info_report("KVM is not available (%s): using the software CPU", why);
        return "tcg";
    }
    return "kvm:tcg";
}

GPtrArray *accel_candidates(const char *names)
{
    g_auto(GStrv) words = g_strsplit(names ? names : default_names(), ":", -1);
    GPtrArray *candidates = g_ptr_array_new_with_free_func((GDestroyNotify)qemu_opts_free);

    for (unsigned i = 0; words[i]; i++) {
        QemuOpts *opts = qemu_opts_new();

        qemu_opt_append(opts, "accel", words[i]);
        g_ptr_array_add(candidates, opts);
    }
    return candidates;
}

bool accel_init(MachineState *ms, const GPtrArray *candidates, Error **errp)
{
    unsigned known = 0;
    bool failed = false, final = false;

    for (guint i = 0; i < candidates->len; i++) {
        known += class_of(candidates, i) != NULL;
    }
    if (!report_unknown(candidates, known, &failed, errp)) {
        return false;
    }
    for (guint i = 0; i < candidates->len; i++) {
        const ObjectClass *oc = class_of(candidates, i);
        Error *err = NULL;

        if (!oc) {
            continue;
        }
        if (try_accel(ms, oc, candidates->pdata[i], known > 1, &final, &err)) {
            if (failed) {
                error_report("falling back to %s", oc->name);
            }
            return true;
        }
        if (final || --known == 0) {
            error_propagate(errp, err);
            return false;
        }
        error_report_err(err);
        failed = true;
    }
    error_setg(errp, "no accelerator found");
    return false;
}
