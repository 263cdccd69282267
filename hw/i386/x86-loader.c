/*
 * -device loader: a number or a file that is put into the guest's memory at each reset.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <errno.h>
#include <string.h>

#include "hw/i386/microvm.h"
#include "qemu/property.h"
#include "x86-boot-internal.h"

#define NO_CPU UINT32_MAX

typedef struct LoaderState {
    DeviceState dev;
    /* Properties. */
    char *file;
    uint64_t addr, data;
    uint8_t data_len;
    bool data_be, force_raw;
    uint32_t cpu;
} LoaderState;

/* Options --------------------------------------------------------------------- */

static bool wants_data(const LoaderState *s)
{
    return s->data || s->data_len || s->data_be;
}

static bool loader_realize(DeviceState *dev, Error **errp)
{
    const LoaderState *s = downcast(dev, LoaderState, dev);

    if (dev->machine->memory.sealed) {
        error_setg(errp, "Device 'loader' does not support hotplugging");
    } else if (s->cpu != NO_CPU) {
        error_setg(errp, "cpu-num is not supported: -kernel says where processors start");
    } else if (wants_data(s) && (s->file || s->force_raw)) {
        error_setg(errp, "Specifying %s is not supported when loading memory values",
                   s->file ? "a file" : "force-raw");
    } else if (wants_data(s) && !s->data_len) {
        error_setg(errp, "Both data and data-len must be specified");
    } else if (s->data_len > sizeof(s->data)) {
        error_setg(errp, "data-len cannot be greater than 8 bytes");
    } else if (!wants_data(s) && !s->file) {
        error_setg(errp, "please include valid arguments: file=, or data= with data-len=");
    } else {
        return true;
    }
    return false;
}

/* Loading --------------------------------------------------------------------- */

static bool load_data(MachineState *ms, const LoaderState *s, Error **errp)
{
    uint8_t *buf = rom_add(ms, "loader's data", s->addr, s->data_len, errp);

    for (unsigned i = 0; buf && i < s->data_len; i++) {
        unsigned byte = s->data_be ? s->data_len - 1 - i : i;

        buf[i] = s->data >> 8 * byte;
    }
    return buf;
}

/* The segments of an ELF file where they want to be, or the whole of another. */
static bool find_segments(const LoaderState *s, const X86KernelFile *file, X86Kernel *kernel,
                          Error **errp)
{
    uint8_t head[X86_KERNEL_PROBE_SIZE];
    size_t len = MIN(file->size, sizeof(head));

    if (!file->size) {
        error_setg(errp, "the file is empty");
        return false;
    }
    if (!x86_kernel_read(file, 0, head, len, "the file", errp)) {
        return false;
    }
    if (!s->force_raw && x86_elf_probe(head, len)) {
        return x86_elf_segments(file, kernel, errp);
    }
    kernel->nr_segments = 1;
    kernel->segments[0] = (RomSegment) {
        .size = file->size, .mem_size = file->size, .addr = s->addr,
    };
    return true;
}

static bool load_file(MachineState *ms, const LoaderState *s, Error **errp)
{
    g_autofree X86Kernel *kernel = g_new0(X86Kernel, 1);
    X86KernelFile file;
    RomSource *source;
    bool ok;

    file.fd = load_file_open(s->file, &file.size);
    if (file.fd < 0) {
        error_setg(errp, "%s: %s", s->file,
                   file.fd == -EINVAL ? "not a regular file" : strerror(-file.fd));
        return false;
    }
    source = rom_source_new(file.fd);
    ok = find_segments(s, &file, kernel, errp);
    if (!ok) {
        error_prepend(errp, "%s: ", s->file);
    }
    for (unsigned i = 0; ok && i < kernel->nr_segments; i++) {
        ok = rom_add_file(ms, s->file, source, &kernel->segments[i], errp);
    }
    rom_source_unref(source);
    return ok;
}

bool x86_run_loaders(MachineState *ms, Error **errp)
{
    for (guint i = 0; i < ms->devices->len; i++) {
        const LoaderState *s = ms->devices->pdata[i];

        if (strcmp(s->dev.obj.oc->name, "loader")) {
            continue;
        }
        if (s->file ? !load_file(ms, s, errp) : !load_data(ms, s, errp)) {
            error_prepend(errp, "-device loader: ");
            return false;
        }
    }
    return true;
}

/* Class ------------------------------------------------------------------------- */

static const Property loader_props[] = {
    DEFINE_PROP_STRING("file", LoaderState, file, NULL, "an ELF file, or any other for addr="),
    DEFINE_PROP_UINT64("addr", LoaderState, addr, "0", "where it goes: guest-physical"),
    DEFINE_PROP_UINT64("data", LoaderState, data, "0", "a number, instead of a file"),
    DEFINE_PROP_UINT8("data-len", LoaderState, data_len, "0", "its bytes: 1 to 8"),
    DEFINE_PROP_BOOL("data-be", LoaderState, data_be, "off", "it is big-endian"),
    DEFINE_PROP_BOOL("force-raw", LoaderState, force_raw, "off", "an ELF file is like any other"),
    DEFINE_PROP_UINT32("cpu-num", LoaderState, cpu, "4294967295", "not supported"),
    DEFINE_PROP_END
};

static const DeviceClass loader_class = {
    .oc = {
        .name = "loader",
        .desc = "a number or a file that is in the guest's memory from the start",
        .instance_size = sizeof(LoaderState),
        .props = loader_props,
    },
    .user_creatable = true,
    .realize = loader_realize,
    .state = MACHINE_STATE(&state_none),
};
DEFINE_CLASS(loader, &loader_class.oc);
