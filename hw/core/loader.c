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

#include "exec/dirty-log.h"
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

GBytes *load_file_bytes(const char *filename, uint64_t max, Error **errp)
{
    uint64_t size;
    int fd = load_file_open(filename, &size);
    g_autofree char *data = NULL;
    ssize_t n;

    if (fd < 0) {
        error_setg(errp, "%s", fd == -EINVAL ? "not a regular file" : strerror(-fd));
        return NULL;
    }
    if (size > max) {
        error_setg(errp, "larger than %" PRIu64 " bytes", max);
        close(fd);
        return NULL;
    }
    data = g_malloc(size + 1);
    n = qemu_pread_full(fd, data, size, 0);
    close(fd);
    if (n < 0) {
        error_setg(errp, "%s", strerror(-n));
        return NULL;
    }
    return g_bytes_new_take(g_steal_pointer(&data), n);
}

static void source_close(RomSource *s)
{
    if (s->fd >= 0) {
        close(s->fd);
        s->fd = -1;
    }
}

static void source_free(RomSource *s)
{
    g_free(s);
}

RomSource *rom_source_new(int fd)
{
    RomSource *s = g_new0(RomSource, 1);

    *s = (RomSource) { .free = source_free, .fd = fd, .refs = 1 };
    return s;
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
    g_free(rom->data);
    g_free(rom->name);
    g_free(rom);
}

/*
 * Where a rom goes in the array that is sorted by address. False with errp set
 * when it overlaps a neighbour.
 */
static bool rom_find_place(const GPtrArray *roms, const char *name, const RomSegment *seg,
                           guint *index, Error **errp)
{
    guint i;

    for (i = 0; i < roms->len; i++) {
        const Rom *other = g_ptr_array_index(roms, i);

        if (other->seg.addr + other->seg.mem_size <= seg->addr) {
            continue;
        }
        if (seg->addr + seg->mem_size <= other->seg.addr) {
            break;
        }
        error_setg(errp, "%s at 0x%" HWADDR_PRIx " overlaps %s at 0x%" HWADDR_PRIx, name,
                   seg->addr, other->name, other->seg.addr);
        return false;
    }
    *index = i;
    return true;
}

static Rom *rom_new(MachineState *ms, const char *name, const RomSegment *seg, Error **errp)
{
    guint index;
    Rom *rom;

    /* Also refuses ranges that wrap: no piece of RAM holds them. */
    if (seg->size > seg->mem_size || !address_space_map(&ms->memory, seg->addr, seg->mem_size)) {
        error_setg(errp, "%s: no RAM for 0x%" PRIx64 " bytes at 0x%" HWADDR_PRIx, name,
                   seg->mem_size, seg->addr);
        return NULL;
    }
    if (!ms->roms) {
        ms->roms = g_ptr_array_new();
    }
    if (!rom_find_place(ms->roms, name, seg, &index, errp)) {
        return NULL;
    }
    rom = g_new0(Rom, 1);
    rom->name = g_strdup(name);
    rom->seg = *seg;
    g_ptr_array_insert(ms->roms, index, rom);
    return rom;
}

uint8_t *rom_add(MachineState *ms, const char *name, hwaddr addr, uint64_t size, Error **errp)
{
    RomSegment seg = { .size = size, .mem_size = size, .addr = addr };
    Rom *rom = rom_new(ms, name, &seg, errp);

    if (!rom) {
        return NULL;
    }
    rom->data = g_malloc0(size);
    return rom->data;
}

bool rom_add_file(MachineState *ms, const char *name, RomSource *source, const RomSegment *seg,
                  Error **errp)
{
    Rom *rom = rom_new(ms, name, seg, errp);

    if (!rom) {
        return false;
    }
    source->refs++;
    rom->source = source;
    return true;
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

    if (s->fd < 0) {
        n = s->fd = s->open(s);
    }
    populate(host, rom->seg.size);
    if (n >= 0) {
        n = qemu_pread_full(s->fd, host, rom->seg.size, rom->seg.offset);
    }
    if (n < 0) {
        error_report("could not read %s: %s", rom->name, strerror(-n));
        return false;
    }
    if ((uint64_t)n < rom->seg.size) {
        error_report("could not read %s: the file has become shorter",
                     rom->name);
        return false;
    }
    return true;
}

static bool rom_reset(MachineState *ms, const Rom *rom, bool fresh)
{
    const RomSegment *seg = &rom->seg;
    uint8_t *host = address_space_map(&ms->memory, seg->addr, seg->mem_size);

    if (rom->data) {
        memcpy(host, rom->data, seg->size);
    } else if (!rom_read_file(rom, host)) {
        return false;
    }
    if (!fresh) {
        memset(host + seg->size, 0, seg->mem_size - seg->size);
    }
    address_space_wrote(&ms->memory, host, seg->mem_size);
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

        if (rom->source && rom->source->open) {
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
