/*
 * A saved machine that names its base: files that lie one above the other, each with what changed.
 *
 * Such a file (FORMAT_DIFFERENCE) is one to be mapped whose image has holes where its base has
 * what belongs there. The base lies in the same folder, and may be a difference itself.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef MIGRATION_LAYERS_H
#define MIGRATION_LAYERS_H

#include "format.h"

#define LAYERS_MAX 8

typedef struct Layer {
    int fd;
    uint64_t size;              /* of the file */
    uint64_t image;             /* where in it RAM begins */
    uint64_t ram_size;
    uint8_t id[FORMAT_ID_SIZE];
    bool has_id;
    FormatExtent *extents;      /* what it has of RAM, ascending; NULL: all of it */
    uint32_t nr_extents;
} Layer;

/* The first one is the newest, the last one has all of RAM. */
typedef struct Layers {
    Layer layer[LAYERS_MAX];
    unsigned n;
} Layers;

/*
 * What the file fd at path consists of: all of it hostile. fd stays the caller's. Reads heads only;
 * main thread, before the process is confined. NULL with errp set.
 */
Layers *layers_open(const char *path, int fd, Error **errp);
void layers_free(Layers *layers);
/* Whether fd is a file with a base; its place in it stays what it is. */
bool layers_are_needed(int fd);

/* A name without a folder. */
bool layers_check_name(const char *name, Error **errp);
/* SECTION_BASE for a difference to these, which are called name; caller frees. */
GByteArray *layers_base_section(const Layers *base, const char *name);

/*
 * All of RAM to host, which has ram_size bytes: mapped privately in place of what is there, or read
 * to there. Any thread. 0 or negative errno: what is there then is anything.
 */
int layers_map(const Layers *layers, void *host);
int layers_read(const Layers *layers, void *host);

/*
 * Where ram differs from base: *n of *extents (caller frees), of which there are so few that pages
 * between them may be the same. Any thread. 0 or negative errno, -ECANCELED when hurry (a
 * descriptor) is readable.
 */
int layers_compare(const Layers *base, const void *ram, int hurry, FormatExtent **extents,
                   uint32_t *n);

#endif
