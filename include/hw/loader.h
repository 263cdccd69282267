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
 * Bytes that several roms share and that are not kept between resets: open()
 * makes them before roms are written, fd is closed afterwards.
 */
typedef struct RomSource RomSource;
struct RomSource {
    int (*open)(RomSource *s);      /* a new descriptor, or negative errno */
    void (*free)(RomSource *s);     /* with the last rom */
    int fd;                 /* -1: not open */
    unsigned refs;          /* roms that use it, and its maker */
};

/* Give up a reference. */
void rom_source_unref(RomSource *s);

/*
 * A piece of guest memory that every reset writes anew: size bytes of data
 * followed by zeros up to mem_size. The data comes from memory, or straight
 * from a file, so that each byte is copied once.
 */
typedef struct Rom {
    char *name;             /* owned */
    hwaddr addr;
    uint64_t mem_size;
    uint64_t size;
    uint8_t *data;          /* owned (g_free); NULL: from fd, or zeros */
    int fd;                 /* own duplicate; -1: none */
    RomSource *source;      /* a reference; NULL: none */
    uint64_t fd_offset;     /* in fd or source */
} Rom;

/*
 * Register a rom. The range must be RAM and overlap no other rom; false with
 * errp set otherwise. Nothing is written before the first reset. name is
 * copied; data becomes owned by the rom (also on failure); fd is duplicated.
 */
bool rom_add_blob(MachineState *ms, const char *name, uint8_t *data,
                  uint64_t size, uint64_t mem_size, hwaddr addr,
                  Error **errp);
bool rom_add_file(MachineState *ms, const char *name, int fd,
                  uint64_t fd_offset, uint64_t size, uint64_t mem_size,
                  hwaddr addr, Error **errp);

/* The same from a source, of which the rom gets a reference. */
bool rom_add_source(MachineState *ms, const char *name, RomSource *source,
                    uint64_t offset, uint64_t size, uint64_t mem_size,
                    hwaddr addr, Error **errp);

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
