/*
 * What all devices with a disk have in common: options, and what becomes of failed requests.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef HW_BLOCK_BLOCK_CONF_H
#define HW_BLOCK_BLOCK_CONF_H

#include "block/block.h"
#include "hw/core/event.h"

/* In a device's struct, with DEFINE_BLOCK_PROPS among its rows. */
typedef struct BlockConf {
    BlockBackend *blk;          /* NULL: drive= is not given */
    uint32_t logical_block_size, physical_block_size;
    uint32_t min_io_size, opt_io_size, discard_granularity;
    OnOffAuto write_cache;
    bool share_rw;
    char *werror, *rerror;
    EventLimit error_limit;     /* of BLOCK_IO_ERROR, where it does not stop the machine */
} BlockConf;

extern const PropertyInfo prop_drive;

#define DEFINE_BLOCK_PROPS(_s, _f) \
    DEFINE_PROP("drive", _s, _f.blk, prop_drive, BlockBackend *, NULL, \
                "The drive or block node that holds the data"), \
    DEFINE_PROP_SIZE32("logical_block_size", _s, _f.logical_block_size, "0", \
                       "512 to 2M, a power of two"), \
    DEFINE_PROP_SIZE32("physical_block_size", _s, _f.physical_block_size, "0", \
                       "512 to 2M, a power of two"), \
    DEFINE_PROP_SIZE32("min_io_size", _s, _f.min_io_size, "0", NULL), \
    DEFINE_PROP_SIZE32("opt_io_size", _s, _f.opt_io_size, "0", NULL), \
    DEFINE_PROP_SIZE32("discard_granularity", _s, _f.discard_granularity, "0", NULL), \
    DEFINE_PROP_ON_OFF_AUTO("write-cache", _s, _f.write_cache, "auto", \
                            "off: every write is stable"), \
    DEFINE_PROP_BOOL("share-rw", _s, _f.share_rw, "off", "other users of the image may write"), \
    DEFINE_PROP_STRING("werror", _s, _f.werror, NULL, \
                       "on write errors: report, ignore, stop, enospc, auto"), \
    DEFINE_PROP_STRING("rerror", _s, _f.rerror, NULL, \
                       "on read errors: report, ignore, stop, auto")

/*
 * Check the sizes, those that are not given being made to fit default_size (bytes of a logical
 * block). False with errp set.
 */
bool block_conf_check(BlockConf *conf, uint32_t default_size, Error **errp);
/*
 * Take the drive for the device called dev_id; writes: it is for writing, if it can be.
 * blk_detach() undoes it.
 */
bool block_conf_attach(BlockConf *conf, const char *dev_id, bool writes, Error **errp);
/*
 * A request failed with errno err (positive): what to do. Clients have been told, and STOP has been
 * asked for: keep the request until the machine goes on. Loop.
 */
BlockErrorAction block_conf_error(BlockConf *conf, MachineState *ms, BlockOp op, int err);

#endif
