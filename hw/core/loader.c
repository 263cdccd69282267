/*
 * Loading files and blobs into guest memory, and back at every reset.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "hw/loader.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "qemu/cutils.h"

#define POPULATE_MIN_SIZE (64 * KiB)

int load_file_open(const char *filename, uint64_t *size)
{
    /* Non-blocking: to open a FIFO without a writer must not wait for one. */
    int fd = open(filename, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    struct stat st;

    if (fd < 0) {
        return -errno;
    }
    if (fstat(fd, &st) < 0) {
        int err = errno;

        close(fd);
        return -err;
    }
    if (!S_ISREG(st.st_mode)) {
        close(fd);
        return S_ISDIR(st.st_mode) ? -EISDIR : -EINVAL;
    }
    *size = st.st_size;
    return fd;
}

static void source_close(RomSource *s)
{
    if (s->fd >= 0) {
        close(s->fd);
        s->fd = -1;
    }
}

void rom_source_unref(RomSource *s)
{
    if (--s->refs == 0) {
        source_close(s);
        s->free(s);
    }
}

static void rom_free(Rom *rom)
{
    if (rom->source) {
        rom_source_unref(rom->source);
    }
    if (rom->fd >= 0) {
        close(rom->fd);
    }
    g_free(rom->data);
    g_free(rom->name);
    g_free(rom);
}

/*
 * Where rom goes in the array that is sorted by address. False with errp set
 * when it overlaps a neighbour.
 */
static bool rom_find_place(const GPtrArray *roms, const Rom *rom, guint *index,
                           Error **errp)
{
    guint i;

    for (i = 0; i < roms->len; i++) {
        const Rom *other = g_ptr_array_index(roms, i);

        if (other->addr + other->mem_size <= rom->addr) {
            continue;
        }
        if (rom->addr + rom->mem_size <= other->addr) {
            break;
        }
        error_setg(errp, "%s at 0x%" HWADDR_PRIx " overlaps %s at 0x%"
                   HWADDR_PRIx, rom->name, rom->addr, other->name,
                   other->addr);
        return false;
    }
    *index = i;
    return true;
}

/* Takes ownership of rom. */
static bool rom_add(MachineState *ms, Rom *rom, Error **errp)
{
    guint index;

    /* Also refuses ranges that wrap: no piece of RAM holds them. */
    if (rom->size > rom->mem_size ||
        !address_space_map(&ms->memory, rom->addr, rom->mem_size)) {
        error_setg(errp, "%s: no RAM for 0x%" PRIx64 " bytes at 0x%"
                   HWADDR_PRIx, rom->name, rom->mem_size, rom->addr);
        rom_free(rom);
        return false;
    }
    if (!ms->roms) {
        ms->roms = g_ptr_array_new();
    }
    if (!rom_find_place(ms->roms, rom, &index, errp)) {
        rom_free(rom);
        return false;
    }
    g_ptr_array_insert(ms->roms, index, rom);
    return true;
}

static Rom *rom_new(const char *name, hwaddr addr, uint64_t size,
                    uint64_t mem_size)
{
    Rom *rom = g_new0(Rom, 1);

    rom->name = g_strdup(name);
    rom->addr = addr;
    rom->size = size;
    rom->mem_size = mem_size;
    rom->fd = -1;
    return rom;
}

bool rom_add_blob(MachineState *ms, const char *name, uint8_t *data,
                  uint64_t size, uint64_t mem_size, hwaddr addr,
                  Error **errp)
{
    Rom *rom = rom_new(name, addr, size, mem_size);

    rom->data = data;
    return rom_add(ms, rom, errp);
}

bool rom_add_file(MachineState *ms, const char *name, int fd,
                  uint64_t fd_offset, uint64_t size, uint64_t mem_size,
                  hwaddr addr, Error **errp)
{
    Rom *rom = rom_new(name, addr, size, mem_size);

    rom->fd_offset = fd_offset;
    rom->fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    if (rom->fd < 0) {
        error_setg_errno(errp, errno, "%s: could not keep the file open",
                         name);
        rom_free(rom);
        return false;
    }
    return rom_add(ms, rom, errp);
}

bool rom_add_source(MachineState *ms, const char *name, RomSource *source,
                    uint64_t offset, uint64_t size, uint64_t mem_size,
                    hwaddr addr, Error **errp)
{
    Rom *rom = rom_new(name, addr, size, mem_size);

    source->refs++;
    rom->source = source;
    rom->fd_offset = offset;
    return rom_add(ms, rom, errp);
}

/*
 * Have the kernel make the whole pages of a large piece at once: that costs a
 * third of a page fault for each. A hint; hosts before Linux 5.14 lack it.
 */
static void populate(uint8_t *host, uint64_t size)
{
    uintptr_t page = sysconf(_SC_PAGESIZE);
    uintptr_t start = QEMU_ALIGN_UP((uintptr_t)host, page);
    uintptr_t end = QEMU_ALIGN_DOWN((uintptr_t)host + size, page);

    if (size >= POPULATE_MIN_SIZE) {
        madvise((void *)start, end - start, MADV_POPULATE_WRITE);
    }
}

/* From the file straight to guest memory. */
static bool rom_read_file(const Rom *rom, void *host)
{
    RomSource *s = rom->source;
    ssize_t n = 0;

    if (s && s->fd < 0) {
        n = s->fd = s->open(s);
    }
    populate(host, rom->size);
    if (n >= 0) {
        n = qemu_pread_full(s ? s->fd : rom->fd, host, rom->size, rom->fd_offset);
    }
    if (n < 0) {
        error_report("could not read %s: %s", rom->name, strerror(-n));
        return false;
    }
    if ((uint64_t)n < rom->size) {
        error_report("could not read %s: the file has become shorter",
                     rom->name);
        return false;
    }
    return true;
}

static bool rom_reset(MachineState *ms, const Rom *rom, bool fresh)
{
    uint8_t *host = address_space_map(&ms->memory, rom->addr, rom->mem_size);
    bool from_file = rom->fd >= 0 || rom->source;

    if (from_file) {
        if (!rom_read_file(rom, host)) {
            return false;
        }
    } else if (rom->data) {
        memcpy(host, rom->data, rom->size);
    }
    if (!fresh) {
        uint64_t written = from_file || rom->data ? rom->size : 0;

        memset(host + written, 0, rom->mem_size - written);
    }
    return true;
}

bool rom_reset_all(MachineState *ms, bool fresh)
{
    bool ok = true;

    for (guint i = 0; ok && ms->roms && i < ms->roms->len; i++) {
        ok = rom_reset(ms, g_ptr_array_index(ms->roms, i), fresh);
    }
    for (guint i = 0; ms->roms && i < ms->roms->len; i++) {
        const Rom *rom = g_ptr_array_index(ms->roms, i);

        if (rom->source) {
            source_close(rom->source);
        }
    }
    return ok;
}

void rom_free_all(MachineState *ms)
{
    for (guint i = 0; ms->roms && i < ms->roms->len; i++) {
        rom_free(g_ptr_array_index(ms->roms, i));
    }
    g_clear_pointer(&ms->roms, g_ptr_array_unref);
}

void rom_foreach(MachineState *ms, RomFn *fn, void *opaque)
{
    for (guint i = 0; ms->roms && i < ms->roms->len; i++) {
        fn(g_ptr_array_index(ms->roms, i), opaque);
    }
}
