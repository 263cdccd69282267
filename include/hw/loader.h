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
    uint64_t fd_offset;
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
