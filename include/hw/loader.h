/*
 * Loading files and blobs into guest memory, and back at every reset.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef HW_LOADER_H
#define HW_LOADER_H

#include "exec/memory.h"
#include "hw/boards.h"

/*
 * Open a regular file for loading. Refuses directories, FIFOs and devices.
 * Returns a file descriptor and the size in bytes, or negative errno.
 */
int load_file_open(const char *filename, uint64_t *size);

/*
 * All of a regular file of at most max bytes; caller unrefs. NULL with errp set, in words that
 * can follow the file's name.
 */
GBytes *load_file_bytes(const char *filename, uint64_t max, Error **errp);

/*
 * The bytes that a file gives to roms. With open(), they are not kept between
 * resets: it makes them before roms are written, and fd is closed afterwards.
 */
typedef struct RomSource RomSource;
struct RomSource {
    int (*open)(RomSource *s);      /* a new descriptor, or negative errno; may be NULL */
    void (*free)(RomSource *s);     /* with the last rom */
    int fd;                 /* own; -1: not open */
    unsigned refs;          /* roms that use it, and its maker */
};

/* A source with one reference that is the file fd, which it closes in the end. */
RomSource *rom_source_new(int fd);
/* Give up a reference. */
void rom_source_unref(RomSource *s);

/* A piece of a file and where in guest memory it goes; zeros follow up to mem_size. */
typedef struct RomSegment {
    uint64_t offset;        /* in the file */
    uint64_t size;
    uint64_t mem_size;
    hwaddr addr;
} RomSegment;

/*
 * A piece of guest memory that every reset writes anew, from a buffer or
 * straight from a file, so that each byte is copied once.
 */
typedef struct Rom {
    char *name;             /* owned */
    RomSegment seg;
    uint8_t *data;          /* owned; NULL: from source */
    RomSource *source;      /* a reference; NULL: from data */
} Rom;

/*
 * Register a rom of size bytes at addr and return its buffer: zeros, for the
 * caller to fill before the next reset; it is the rom's own and lives as long
 * as the machine. NULL with errp set if the range is not all RAM or overlaps
 * another rom. name is copied. Nothing is written before the first reset.
 */
uint8_t *rom_add(MachineState *ms, const char *name, hwaddr addr, uint64_t size, Error **errp);
/* The same for a piece of a file; the rom gets a reference to source. */
bool rom_add_file(MachineState *ms, const char *name, RomSource *source, const RomSegment *seg,
                  Error **errp);

/*
 * Write all roms to guest memory. With fresh set (the first reset) RAM is
 * known to be zero and zeros are not written. A read error of a file is
 * reported and false returned.
 */
bool rom_reset_all(MachineState *ms, bool fresh);
void rom_free_all(MachineState *ms);

/* In ascending order of address, for "info roms". */
typedef void RomFn(const Rom *rom, void *opaque);
void rom_foreach(MachineState *ms, RomFn *fn, void *opaque);

#endif
