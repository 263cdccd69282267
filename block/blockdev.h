/*
 * From options to nodes: what -drive, -blockdev and backing files have in common.
 *
 * Main thread.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef BLOCK_BLOCKDEV_H
#define BLOCK_BLOCKDEV_H

#include "block-internal.h"

/* Move the options whose names begin with prefix, without it, to new opts. */
QemuOpts *block_take_prefixed(QemuOpts *opts, const char *prefix);
/* NULL with errp set; an image of another program's format is told how it is converted. */
const BlockDriver *block_find_driver(const char *name, const char *filename, Error **errp);
/* The slots' names in options. */
extern const char *const block_child_names[];
/* bs's rows; those that it does not have are an error. */
bool block_set_node_opts(BlockNode *bs, QemuOpts *opts, Error **errp);
/* May detect-zeroes be what opts say? -drive takes it all the same: there it means "on". */
bool block_check_detect_zeroes(QemuOpts *opts, Error **errp);
/* What a child that opts describe takes from them. */
void block_inherit_opts(QemuOpts *opts, QemuOpts *child_opts);
/* The node called name for one above it that has opts, or a twin if that one only reads. */
BlockNode *block_find_child(const char *name, QemuOpts *opts, Error **errp);
/* bs will be below parent: is it there already, or the chain too long? False with errp set. */
bool block_check_chain(const BlockNode *parent, const BlockNode *bs, Error **errp);
/*
 * The node that opts describe, nested "file.…" included, and the backing files that it names.
 * opts are consumed.
 */
BlockNode *block_node_new(QemuOpts *opts, Error **errp);
/* The same without backing files that opts do not have. */
BlockNode *block_node_new_alone(QemuOpts *opts, Error **errp);
/*
 * A node of a format over file, which goes with it, on failure too, without backing files.
 * opts are consumed. probed: nobody said what the format is.
 */
BlockNode *block_format_node(const BlockDriver *drv, QemuOpts *opts, BlockNode *file,
                             bool probed, Error **errp);
/* What the image that begins as file does is: the name of a format, "raw" if none other. */
const char *block_probe(BlockNode *file);
/* Add a protocol's driver and filename to opts, as the text file says: "file:…", a path. */
bool block_parse_filename(const char *file, QemuOpts *opts, Error **errp);
/* Append, where opts do not have it and value is not NULL. */
void block_opt_default(QemuOpts *opts, const char *name, const char *value);

/*
 * What images name: backing.c. Main thread. A name without a folder is looked for beside the
 * image; "json:" describes a node.
 */
char *block_backing_path(const char *image, const char *name);
bool block_open_data_file(BlockNode *bs, const char *name, Error **errp);
/* The backing files of bs, which is open, one below the other. */
bool block_open_chain(BlockNode *bs, Error **errp);

/* Whether -drive's if= is one of ours; the kinds that other machines have get a hint. */
bool drive_check_interface(const char *name, Error **errp);

#endif
