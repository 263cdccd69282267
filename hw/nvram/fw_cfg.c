/*
 * The fw_cfg device: blobs for the guest, selected by a key.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "hw/nvram/fw_cfg.h"

#include <string.h>

#include "exec/dirty-log.h"
#include "exec/memory.h"
#include "hw/acpi/aml.h"
#include "qemu/log.h"

/* Registers, in bytes from the first port. */
#define REG_SELECTOR        0       /* 16 bits, write */
#define REG_DATA            1       /* 8 bits, read */
#define REG_DMA_HIGH        4       /* 32 bits each, big-endian; the low half starts it */
#define REG_DMA_LOW         8

/* Keys. */
#define KEY_SIGNATURE       0x00
#define KEY_FEATURES        0x01
#define KEY_FILE_DIR        0x19
#define KEY_FIRST_FILE      0x20
#define KEY_ARCH_LOCAL      0x8000  /* there are none */
#define KEY_MASK            0x3fff

#define FEATURES            3       /* the registers, and DMA */
#define SIGNATURE           "QEMU"
#define DMA_SIGNATURE       "QEMU CFG"

/* struct FWCfgDmaAccess, big-endian: control, length, address. */
#define DMA_SIZE            16
#define DMA_LENGTH          4
#define DMA_ADDRESS         8
#define DMA_ERROR           (1u << 0)
#define DMA_READ            (1u << 1)
#define DMA_SKIP            (1u << 2)
#define DMA_SELECT          (1u << 3)
#define DMA_WRITE           (1u << 4)
/* Reads beyond the end of a blob give zeros, but not without an end: this runs at one go. */
#define MAX_ZEROS           (1u << 20)

/* struct FWCfgFile in the directory. */
#define DIR_ENTRY_SIZE      64
#define DIR_NAME            8

typedef struct FWCfgFile {
    char *name;
    GBytes *bytes;              /* NULL: data is somebody else's, and writable */
    const uint8_t *data;
    uint8_t *writable;
    uint32_t size;
} FWCfgFile;

typedef struct FWCfgState {
    DeviceState dev;
    MemoryRegion io;
    uint16_t port;
    GPtrArray *files;           /* of FWCfgFile, by name: the keys follow the order */
    GByteArray *dir;

    uint16_t key;
    uint32_t offset;            /* in the blob */
    uint32_t dma_high;
} FWCfgState;

/* Blobs -------------------------------------------------------------------- */

static void put_be(uint8_t *p, uint64_t value, unsigned size)
{
    for (unsigned i = 0; i < size; i++) {
        p[i] = value >> (8 * (size - 1 - i));
    }
}

static uint64_t get_be(const uint8_t *p, unsigned size)
{
    uint64_t value = 0;

    for (unsigned i = 0; i < size; i++) {
        value = value << 8 | p[i];
    }
    return value;
}

/* What the selected key stands for; nothing for unknown ones. */
static FWCfgFile selected(FWCfgState *s)
{
    static const uint8_t features[4] = { FEATURES };
    unsigned key = s->key & KEY_MASK;

    if (s->key & KEY_ARCH_LOCAL) {
        return (FWCfgFile) { 0 };
    }
    if (key >= KEY_FIRST_FILE && key - KEY_FIRST_FILE < s->files->len) {
        return *(FWCfgFile *)g_ptr_array_index(s->files, key - KEY_FIRST_FILE);
    }
    switch (key) {
    case KEY_SIGNATURE:
        return (FWCfgFile) { .data = (const uint8_t *)SIGNATURE, .size = 4 };
    case KEY_FEATURES:
        return (FWCfgFile) { .data = features, .size = sizeof(features) };
    case KEY_FILE_DIR:
        return (FWCfgFile) { .data = s->dir->data, .size = s->dir->len };
    default:
        return (FWCfgFile) { 0 };
    }
}

static void select_key(FWCfgState *s, uint16_t key)
{
    s->key = key;
    s->offset = 0;
}

static void build_directory(FWCfgState *s)
{
    g_byte_array_set_size(s->dir, 4 + s->files->len * DIR_ENTRY_SIZE);
    memset(s->dir->data, 0, s->dir->len);
    put_be(s->dir->data, s->files->len, 4);
    for (guint i = 0; i < s->files->len; i++) {
        const FWCfgFile *file = g_ptr_array_index(s->files, i);
        uint8_t *entry = s->dir->data + 4 + i * DIR_ENTRY_SIZE;

        put_be(entry, file->size, 4);
        put_be(entry + 4, KEY_FIRST_FILE + i, 2);
        memcpy(entry + DIR_NAME, file->name, strlen(file->name));
    }
}

static gint compare_names(gconstpointer a, gconstpointer b)
{
    return strcmp((*(const FWCfgFile *const *)a)->name, (*(const FWCfgFile *const *)b)->name);
}

static void free_file(gpointer data)
{
    FWCfgFile *file = data;

    g_free(file->name);
    g_clear_pointer(&file->bytes, g_bytes_unref);
    g_free(file);
}

static bool add_file(FWCfgState *s, FWCfgFile file, Error **errp)
{
    if (s->files->len == FW_CFG_MAX_FILES) {
        error_setg(errp, "more than %d fw_cfg files", FW_CFG_MAX_FILES);
        return false;
    }
    for (guint i = 0; i < s->files->len; i++) {
        if (!strcmp(((FWCfgFile *)g_ptr_array_index(s->files, i))->name, file.name)) {
            error_setg(errp, "duplicate fw_cfg file name: %s", file.name);
            return false;
        }
    }
    file.name = g_strdup(file.name);
    if (file.bytes) {
        g_bytes_ref(file.bytes);
    }
    g_ptr_array_add(s->files, g_memdup2(&file, sizeof(file)));
    g_ptr_array_sort(s->files, compare_names);
    build_directory(s);
    return true;
}

bool fw_cfg_add_buffer(DeviceState *dev, const char *name, void *data, uint32_t size,
                       Error **errp)
{
    return add_file(downcast(dev, FWCfgState, dev), (FWCfgFile) {
        .name = (char *)name, .data = data, .writable = data, .size = size,
    }, errp);
}

/* What -fw_cfg named. */
static bool add_item(FWCfgState *s, const FWCfgItem *item, Error **errp)
{
    gsize size;
    FWCfgFile file = {
        .name = item->name, .bytes = item->data, .data = g_bytes_get_data(item->data, &size),
    };

    g_assert(size <= FW_CFG_MAX_SIZE && strlen(item->name) <= FW_CFG_MAX_NAME);
    file.size = size;
    return add_file(s, file, errp);
}

/* DMA ---------------------------------------------------------------------- */

/* The rest of the blob, and zeros. */
static bool dma_read(const FWCfgFile *file, uint32_t left, uint8_t *to, uint32_t length)
{
    uint32_t n = MIN(left, length);

    if (length - n > MAX_ZEROS) {
        return false;
    }
    memmove(to, file->data + file->size - left, n);
    memset(to + n, 0, length - n);
    return true;
}

static bool dma_write(const FWCfgFile *file, uint32_t left, const uint8_t *from, uint32_t length)
{
    if (!file->writable || length > left) {
        return false;
    }
    memcpy(file->writable + file->size - left, from, length);
    return true;
}

static bool dma_transfer(FWCfgState *s, uint32_t control, uint32_t length, uint64_t addr)
{
    FWCfgFile file = selected(s);
    uint32_t left = file.size - MIN(s->offset, file.size);
    bool ok = true;

    if (length && control & (DMA_READ | DMA_WRITE)) {
        uint8_t *p = address_space_map(&s->dev.machine->memory, addr, length);

        ok = p && (control & DMA_READ ? dma_read(&file, left, p, length)
                                      : dma_write(&file, left, p, length));
        address_space_wrote(&s->dev.machine->memory, p, length);
    }
    if (ok && control & (DMA_READ | DMA_WRITE | DMA_SKIP)) {
        s->offset = file.size - left + MIN(left, length);
    }
    return ok;
}

/* The guest's request is read once; its control field says how it went. */
static void dma_run(FWCfgState *s, uint64_t addr)
{
    uint8_t *shared = address_space_map(&s->dev.machine->memory, addr, DMA_SIZE);
    uint8_t request[DMA_SIZE];
    uint32_t control;
    bool ok;

    if (!shared) {
        qemu_log_mask(LOG_GUEST_ERROR, "fw_cfg: no request at 0x%" PRIx64 "\n", addr);
        return;
    }
    memcpy(request, shared, DMA_SIZE);
    control = get_be(request, 4);
    if (control & DMA_SELECT) {
        select_key(s, control >> 16);
    }
    ok = dma_transfer(s, control, get_be(request + DMA_LENGTH, 4),
                      get_be(request + DMA_ADDRESS, 8));
    put_be(shared, ok ? 0 : DMA_ERROR, 4);
    address_space_wrote(&s->dev.machine->memory, shared, 4);
}

/* Registers ---------------------------------------------------------------- */

static uint64_t fw_cfg_read(void *opaque, hwaddr addr, unsigned size)
{
    FWCfgState *s = opaque;
    uint64_t value = 0;

    if (addr >= REG_DMA_HIGH) {
        for (unsigned i = 0; i < size; i++) {
            value |= (uint64_t)(uint8_t)DMA_SIGNATURE[addr - REG_DMA_HIGH + i] << (8 * i);
        }
    } else if (size == 1 && addr <= REG_DATA) {
        FWCfgFile file = selected(s);

        value = s->offset < file.size ? file.data[s->offset++] : 0;
    }
    return value;
}

static void fw_cfg_write(void *opaque, hwaddr addr, uint64_t data, unsigned size)
{
    FWCfgState *s = opaque;

    if (addr == REG_SELECTOR && size == 2) {
        select_key(s, data);
    } else if (addr == REG_DMA_HIGH && size == 4) {
        s->dma_high = __builtin_bswap32(data);
    } else if (addr == REG_DMA_LOW && size == 4) {
        uint64_t request = (uint64_t)s->dma_high << 32 | __builtin_bswap32(data);

        s->dma_high = 0;
        dma_run(s, request);
    }
}

static const MemoryRegionOps fw_cfg_ops = {
    .read = fw_cfg_read,
    .write = fw_cfg_write,
    .valid = { .min_access_size = 1, .max_access_size = 4 },
};

/* Device ------------------------------------------------------------------- */

static void fw_cfg_build_aml(DeviceState *dev, Aml *aml)
{
    const FWCfgState *s = downcast(dev, const FWCfgState, dev);

    aml_begin_device(aml, "FWCF");
    aml_name(aml, "_HID");
    aml_string(aml, "QEMU0002");
    aml_name(aml, "_STA");
    aml_integer(aml, 0xb);          /* 6.3.7: present, enabled, working; not shown to people */
    aml_name(aml, "_CRS");
    aml_begin_resources(aml);
    aml_res_io(aml, s->port, FW_CFG_PORTS, 1);
    aml_end(aml);
    aml_end(aml);
}

static void fw_cfg_init(Object *obj)
{
    FWCfgState *s = downcast(obj, FWCfgState, dev.obj);

    s->files = g_ptr_array_new_with_free_func(free_file);
    s->dir = g_byte_array_new();
    build_directory(s);
}

static void fw_cfg_finalize(Object *obj)
{
    FWCfgState *s = downcast(obj, FWCfgState, dev.obj);

    g_ptr_array_unref(s->files);
    g_byte_array_unref(s->dir);
}

static bool fw_cfg_realize(DeviceState *dev, Error **errp)
{
    FWCfgState *s = downcast(dev, FWCfgState, dev);
    const GPtrArray *items = dev->machine->fw_cfg_items;
    MemoryRegion *io = &dev->machine->system_io;
    const MemoryRegion *other = memory_region_find(io, s->port, FW_CFG_PORTS);

    if (other) {
        error_setg(errp, "fw_cfg: I/O ports 0x%x-0x%x overlap those of '%s'", s->port,
                   s->port + FW_CFG_PORTS - 1, other->name);
        return false;
    }
    for (guint i = 0; items && i < items->len; i++) {
        if (!add_item(s, g_ptr_array_index(items, i), errp)) {
            return false;
        }
    }
    memory_region_init_io(&s->io, &fw_cfg_ops, s, "fwcfg", FW_CFG_PORTS);
    memory_region_add_subregion(io, s->port, &s->io);
    return true;
}

static void fw_cfg_reset(DeviceState *dev)
{
    FWCfgState *s = downcast(dev, FWCfgState, dev);

    select_key(s, KEY_SIGNATURE);
    s->dma_high = 0;
}

STATE_NOT(FWCfgState, port, "the board's");
STATE_NOT(FWCfgState, files, "of the command line, like what it is made of");
STATE_NOT(FWCfgState, dir, "made of files");

static const StateField fw_cfg_fields[] = {
    STATE_INT(FWCfgState, key),
    STATE_INT(FWCfgState, offset),
    STATE_INT(FWCfgState, dma_high),
    STATE_END
};

static const StateDesc fw_cfg_state = { .version = 1, .fields = fw_cfg_fields };

static const DeviceClass fw_cfg_class = {
    .oc = {
        .name = "fw_cfg_io",
        .desc = "blobs for the guest to read",
        .instance_size = sizeof(FWCfgState),
        .init = fw_cfg_init,
        .finalize = fw_cfg_finalize,
    },
    .realize = fw_cfg_realize,
    .reset = fw_cfg_reset,
    .build_aml = fw_cfg_build_aml,
    .state = MACHINE_STATE(&fw_cfg_state),
};
DEFINE_CLASS(fw_cfg, &fw_cfg_class.oc);

DeviceState *fw_cfg_create(MachineState *ms, uint16_t port, Error **errp)
{
    DeviceState *dev = qdev_new(&fw_cfg_class, NULL);

    downcast(dev, FWCfgState, dev)->port = port;
    if (!qdev_realize(dev, ms, NULL, errp)) {
        object_free(&dev->obj);
        return NULL;
    }
    return dev;
}
