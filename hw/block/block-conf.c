/*
 * What all devices with a disk have in common: options, and what becomes of failed requests.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "hw/block/block-conf.h"

#include <errno.h>
#include <string.h>

#include "qemu/property.h"
#include "sysemu/runstate.h"

#define MAX_BLOCK_SIZE (2u << 20)

/* drive= ---------------------------------------------------------------------- */

static bool set_drive(Object *obj, const Property *prop, const char *value,
                      Error **errp)
{
    BlockBackend **blk = property_field(obj, prop);

    *blk = blk_find_for_device(value);
    if (!*blk) {
        error_setg(errp, "Property '%s.%s' can't find value '%s'", obj->oc->name,
                   prop->name, value);
    }
    return *blk != NULL;
}

static char *get_drive(const Object *obj, const Property *prop)
{
    BlockBackend *blk = *(BlockBackend **)property_field(obj, prop);
    const char *name = blk ? blk_name(blk) : "";

    return g_strdup(*name || !blk ? name : blk_node_name(blk));
}

const PropertyInfo prop_drive = {
    .name = "str", .set = set_drive, .get = get_drive,
};

/* Options ---------------------------------------------------------------------- */

static bool is_block_size(uint32_t n)
{
    return n >= BDRV_SECTOR_SIZE && n <= MAX_BLOCK_SIZE && !(n & (n - 1));
}

bool block_conf_check(BlockConf *conf, uint32_t default_size, Error **errp)
{
    if (!conf->logical_block_size) {
        conf->logical_block_size = default_size;
    }
    if (!conf->physical_block_size) {
        conf->physical_block_size = conf->logical_block_size;
    }
    if (!is_block_size(conf->logical_block_size) ||
        !is_block_size(conf->physical_block_size)) {
        error_setg(errp, "logical_block_size and physical_block_size must be powers "
                   "of 2 between 512 and %u", MAX_BLOCK_SIZE);
        return false;
    }
    if (conf->logical_block_size > conf->physical_block_size) {
        error_setg(errp, "logical_block_size > physical_block_size not supported");
        return false;
    }
    if (conf->min_io_size % conf->logical_block_size ||
        conf->min_io_size / conf->logical_block_size > UINT16_MAX) {
        error_setg(errp, "min_io_size must be a multiple of logical_block_size, and "
                   "at most 65535 of them");
        return false;
    }
    if (conf->opt_io_size % conf->logical_block_size) {
        error_setg(errp, "opt_io_size must be a multiple of logical_block_size");
        return false;
    }
    if (!conf->discard_granularity || conf->discard_granularity == UINT32_MAX) {
        conf->discard_granularity = conf->logical_block_size;
    }
    if (conf->discard_granularity % conf->logical_block_size) {
        error_setg(errp, "discard_granularity must be a multiple of "
                   "logical_block_size");
        return false;
    }
    return true;
}

bool block_conf_attach(BlockConf *conf, const char *dev_id, bool writes, Error **errp)
{
    if ((conf->werror && !blk_set_error_policy(conf->blk, false, conf->werror, errp)) ||
        (conf->rerror && !blk_set_error_policy(conf->blk, true, conf->rerror, errp)) ||
        !blk_attach(conf->blk, dev_id, writes && !blk_is_read_only(conf->blk), conf->share_rw,
                    errp)) {
        return false;
    }
    if (conf->write_cache != ON_OFF_AUTO_AUTO) {
        blk_set_write_cache(conf->blk, conf->write_cache == ON_OFF_AUTO_ON);
    }
    return true;
}

/* Errors ----------------------------------------------------------------------- */

/* BLOCK_IO_ERROR, for whoever listens. */
static void send_error_event(MachineState *ms, BlockBackend *blk, BlockOp op, int err,
                             BlockErrorAction action)
{
    static const char *const actions[] = { "report", "ignore", "stop" };
    const EventField fields[] = {
        EVENT_STR("device", blk_name(blk)),
        EVENT_STR("node-name", blk_node_name(blk)),
        EVENT_STR("operation", op == BLOCK_OP_READ ? "read" : "write"),
        EVENT_STR("action", actions[action]),
        EVENT_BOOL("nospace", err == ENOSPC),
        EVENT_STR("reason", strerror(err)),
    };

    machine_event(ms, "BLOCK_IO_ERROR", fields, G_N_ELEMENTS(fields));
}

BlockErrorAction block_conf_error(BlockConf *conf, MachineState *ms, BlockOp op, int err)
{
    BlockErrorAction action = blk_error_action(conf->blk, op, err);

    if (action == BLOCK_ERROR_ACTION_STOP || event_limit_allows(&conf->error_limit)) {
        send_error_event(ms, conf->blk, op, err, action);
    }
    if (action == BLOCK_ERROR_ACTION_STOP) {
        qemu_system_vmstop_request(ms, RUN_STATE_IO_ERROR);
    }
    return action;
}
