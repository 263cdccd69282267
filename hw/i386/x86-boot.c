/*
 * From a kernel file to roms in guest memory: finds the format, places the
 * initrd, builds what the boot protocol wants.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <errno.h>
#include <glib.h>
#include <string.h>
#include <unistd.h>

#include "hw/i386/microvm.h"
#include "hw/i386/x86-boot-internal.h"
#include "hw/loader.h"
#include "qemu/cutils.h"
#include "qemu/option.h"
#include "sysemu/accel.h"

bool x86_kernel_read(const X86KernelFile *file, uint64_t offset, void *buf,
                     size_t len, const char *what, Error **errp)
{
    ssize_t n;

    if (!x86_range_fits(offset, len, file->size)) {
        error_setg(errp, "the file ends before the end of its %s", what);
        return false;
    }
    n = qemu_pread_full(file->fd, buf, len, offset);
    if (n < 0) {
        error_setg_errno(errp, -n, "could not read the %s", what);
        return false;
    }
    if ((size_t)n < len) {
        error_setg(errp, "the file ends before the end of its %s", what);
        return false;
    }
    return true;
}

/* A file to load, as a source; NULL with errp set when it cannot be opened. */
static RomSource *open_source(const char *filename, uint64_t *size, Error **errp)
{
    int fd = load_file_open(filename, size);

    if (fd < 0) {
        error_setg(errp, "%s", fd == -EINVAL ? "not a regular file" : strerror(-fd));
        return NULL;
    }
    return rom_source_new(fd);
}

bool x86_kernel_parse(const X86KernelFile *file, X86Kernel *kernel, Error **errp)
{
    uint8_t head[X86_KERNEL_PROBE_SIZE];
    size_t len = MIN(sizeof(head), file->size);
    MultibootHeader mb;

    if (!x86_kernel_read(file, 0, head, len, "kernel header", errp)) {
        return false;
    }
    if (x86_elf_probe(head, len)) {
        return x86_elf_parse(file, kernel, errp);
    }
    if (x86_bzimage_probe(head, len)) {
        return x86_bzimage_parse(file, kernel, errp);
    }
    if (x86_multiboot_find(file, &mb) && mb.has_addresses) {
        return x86_multiboot_parse(file, &mb, kernel, errp);
    }
    error_setg(errp, "invalid kernel header: neither ELF, bzImage nor Multiboot");
    return false;
}

/* ": -m N or more", where more RAM below the hole of the devices would help. Caller frees. */
static char *more_ram(uint64_t end)
{
    uint64_t mib = QEMU_ALIGN_UP(end, MiB) / MiB;

    return end <= MICROVM_LOWMEM_END ? g_strdup_printf(": -m %" PRIu64 " or more", mib)
                                     : g_strdup("");
}

/* Decompression needs room; the 64-bit entry runs on page tables that end. */
static bool check_room(const MachineState *ms, const X86Kernel *kernel,
                       Error **errp)
{
    uint64_t low_end = MIN(ms->ram_size, MICROVM_LOWMEM_END);

    if (kernel->protocol != X86_BOOT_LINUX64 && kernel->protocol != X86_BOOT_LINUX32 &&
        ms->ram_size >= MICROVM_LOWMEM_END) {
        return true;            /* pieces may lie above the hole */
    }
    if (kernel->end > low_end) {
        g_autofree char *more = more_ram(kernel->end);

        error_setg(errp, "it needs memory from 0x%" PRIx64 " to 0x%" PRIx64
                   ", RAM ends at 0x%" PRIx64 "%s", kernel->start, kernel->end, low_end, more);
        return false;
    }
    if (kernel->protocol == X86_BOOT_LINUX64 && kernel->end > X86_PAGE_TABLES_SPAN) {
        error_setg(errp, "it needs memory up to 0x%" PRIx64 ", the 64-bit "
                   "boot protocol has up to 0x%llx here", kernel->end,
                   X86_PAGE_TABLES_SPAN);
        return false;
    }
    return true;
}

/* An unpacked kernel, made again for each reset from the file. */
typedef struct UnpackedKernel {
    RomSource source;
    RomSource *packed;
    X86Payload payload;
    uint64_t size;
} UnpackedKernel;

static int unpacked_open(RomSource *s)
{
    UnpackedKernel *u = container_of(s, UnpackedKernel, source);
    uint64_t size;
    int fd = x86_unpack(u->packed->fd, &u->payload, &size);

    if (fd >= 0 && size != u->size) {
        close(fd);
        return -EINVAL;         /* somebody has changed the file */
    }
    return fd;
}

static void unpacked_free(RomSource *s)
{
    UnpackedKernel *u = container_of(s, UnpackedKernel, source);

    rom_source_unref(u->packed);
    g_free(u);
}

/*
 * Guest code is slow: what a bzImage's own stub would unpack there is unpacked
 * here and started like any ELF kernel. Whatever is unusual is left to the stub.
 */
static RomSource *use_payload(const MachineState *ms, X86BootProtocol wanted, RomSource *packed,
                              X86KernelFile *file)
{
    g_autofree X86Kernel *kernel = g_new0(X86Kernel, 1);
    X86KernelFile inner = { .fd = -1 };
    UnpackedKernel *u;
    X86Payload payload;

    if (!ms->accel || !accel_get_class(ms->accel)->unpack_kernels ||
        !x86_bzimage_payload(file, &payload)) {
        return packed;
    }
    payload.limit = MIN(payload.limit, ms->ram_size);
    inner.fd = x86_unpack(file->fd, &payload, &inner.size);
    if (inner.fd < 0) {
        return packed;
    }
    kernel->protocol = wanted;
    if (!x86_elf_parse(&inner, kernel, NULL)) {
        close(inner.fd);
        return packed;
    }
    u = g_new0(UnpackedKernel, 1);
    u->source = (RomSource) { unpacked_open, unpacked_free, inner.fd, 1 };
    u->packed = packed;
    u->payload = payload;
    u->size = inner.size;
    *file = inner;
    return &u->source;
}

static bool add_segments(MachineState *ms, RomSource *source, const X86Kernel *kernel,
                         Error **errp)
{
    for (unsigned i = 0; i < kernel->nr_segments; i++) {
        g_autofree char *name = g_strdup_printf("kernel segment %u", i);

        if (!rom_add_file(ms, name, source, &kernel->segments[i], errp)) {
            return false;
        }
    }
    return true;
}

static bool load_kernel(MachineState *ms, X86Kernel *kernel, Error **errp)
{
    X86KernelFile file = { 0 };
    RomSource *source = open_source(ms->kernel_filename, &file.size, errp);
    bool ok;

    if (!source) {
        error_prepend(errp, "could not open kernel file '%s': ", ms->kernel_filename);
        return false;
    }
    file.fd = source->fd;
    source = use_payload(ms, kernel->protocol, source, &file);
    ok = x86_kernel_parse(&file, kernel, errp) && check_room(ms, kernel, errp) &&
         add_segments(ms, source, kernel, errp);
    if (!ok) {
        error_prepend(errp, "could not load kernel '%s': ",
                      ms->kernel_filename);
    }
    rom_source_unref(source);       /* the roms have theirs */
    return ok;
}

static bool load_cmdline(MachineState *ms, const X86Kernel *kernel,
                         const char *cmdline, Error **errp)
{
    size_t len = strlen(cmdline);
    uint64_t max = MIN(kernel->cmdline_max, KERNEL_CMDLINE_MAX_SIZE - 1);
    uint8_t *buf;

    if (len > max) {
        error_setg(errp, "kernel command line of %zu characters is too long "
                   "(at most %" PRIu64 " for '%s')", len, max,
                   ms->kernel_filename);
        return false;
    }
    buf = rom_add(ms, "kernel command line", KERNEL_CMDLINE_START, len + 1, errp);
    if (!buf) {
        return false;
    }
    memcpy(buf, cmdline, len);
    return true;
}

uint64_t x86_place_initrd(const X86Kernel *kernel, uint64_t limit,
                          uint64_t size)
{
    uint64_t top = MIN(limit, kernel->initrd_limit);
    uint64_t addr;

    for (unsigned i = 0; i < 2; i++) {
        if (top < HIMEM_START || size > top - HIMEM_START) {
            return 0;
        }
        addr = QEMU_ALIGN_DOWN(top - size, X86_PAGE_SIZE);
        if (addr >= kernel->end || addr + size <= kernel->start) {
            return addr;
        }
        top = MIN(top, kernel->start);
    }
    return 0;
}

/* The least RAM, in whole MiB, that holds both; UINT64_MAX if no amount does. */
static uint64_t initrd_needs(const X86Kernel *kernel, uint64_t size)
{
    for (uint64_t end = MiB; end <= MICROVM_LOWMEM_END; end += MiB) {
        if (end >= kernel->end && x86_place_initrd(kernel, end, size)) {
            return end;
        }
    }
    return UINT64_MAX;
}

static bool add_initrd(MachineState *ms, const X86Kernel *kernel, RomSource *source,
                       X86BootInfo *info, Error **errp)
{
    uint64_t limit = MIN(ms->ram_size, MICROVM_LOWMEM_END), size = info->initrd_size;
    RomSegment seg = { .size = size, .mem_size = size };

    if (size == 0) {
        error_setg(errp, "the file is empty");
        return false;
    }
    seg.addr = info->initrd_addr = x86_place_initrd(kernel, limit, size);
    if (!seg.addr) {
        g_autofree char *more = more_ram(initrd_needs(kernel, size));

        error_setg(errp, "no room for %" PRIu64 " bytes beside the kernel "
                   "(RAM below 0x%" PRIx64 ")%s", size, limit, more);
        return false;
    }
    return rom_add_file(ms, "initrd", source, &seg, errp);
}

static bool load_initrd(MachineState *ms, const X86Kernel *kernel, X86BootInfo *info,
                        Error **errp)
{
    RomSource *source = open_source(ms->initrd_filename, &info->initrd_size, errp);
    bool ok = source && add_initrd(ms, kernel, source, info, errp);

    if (!ok) {
        error_prepend(errp, "error reading initrd %s: ", ms->initrd_filename);
    }
    if (source) {
        rom_source_unref(source);
    }
    return ok;
}

static bool load_pvh_tables(MachineState *ms, const X86BootInfo *info,
                            X86BootState *boot, Error **errp)
{
    uint8_t *start_info = rom_add(ms, "hvm_start_info", START_INFO_START, X86_START_INFO_SIZE,
                                  errp);

    if (!start_info) {
        return false;
    }
    x86_build_start_info(info, START_INFO_START, start_info);
    boot->info = START_INFO_START;
    return true;
}

static bool load_linux_tables(MachineState *ms, const X86BootInfo *info,
                              X86BootState *boot, Error **errp)
{
    bool is64 = boot->protocol == X86_BOOT_LINUX64;
    uint8_t *params, *gdt, *tables = NULL;

    if (!(params = rom_add(ms, "boot_params", BOOT_PARAMS_START, X86_PAGE_SIZE, errp)) ||
        (is64 && !(tables = rom_add(ms, "page tables", PML4_START, X86_PAGE_TABLES_SIZE,
                                    errp))) ||
        !(gdt = rom_add(ms, "boot GDT", BOOT_GDT_START, X86_BOOT_GDT_SIZE, errp))) {
        return false;
    }
    x86_build_boot_params(info, params);
    x86_build_gdt(is64, gdt);
    boot->info = BOOT_PARAMS_START;
    if (is64) {
        x86_build_page_tables(PML4_START, tables);
        boot->cr3 = PML4_START;
    }
    return true;
}

/* m->string is "FILE ARGUMENTS": put FILE at m->start and note its size. */
static bool add_module(MachineState *ms, MultibootModule *m, Error **errp)
{
    uint64_t size, limit = MIN(ms->ram_size, MICROVM_LOWMEM_END);
    g_autofree char *filename = g_strndup(m->string, strcspn(m->string, " "));
    RomSource *source = open_source(filename, &size, errp);
    RomSegment seg = { .size = size, .mem_size = size, .addr = m->start };
    bool ok = source != NULL;

    if (ok && size == 0) {
        error_setg(errp, "the file is empty");
        ok = false;
    } else if (ok && !x86_range_fits(m->start, size, limit)) {
        g_autofree char *more = more_ram(m->start + size);

        error_setg(errp, "no room for it behind the kernel%s", more);
        ok = false;
    }
    ok = ok && rom_add_file(ms, filename, source, &seg, errp);
    if (!ok) {
        error_prepend(errp, "error reading initrd %s: ", filename);
    }
    if (source) {
        rom_source_unref(source);
    }
    m->size = size;
    return ok;
}

/* -initrd 'FILE ARGUMENTS,FILE…': one behind the other, after the kernel. */
static bool load_modules(MachineState *ms, const X86Kernel *kernel, GArray *modules, Error **errp)
{
    const char *list = ms->initrd_filename ? ms->initrd_filename : "";
    uint64_t next = MAX(kernel->end, HIMEM_START);

    while (*list) {
        MultibootModule m = { .start = QEMU_ALIGN_UP(next, X86_PAGE_SIZE) };

        if (modules->len == X86_MAX_MODULES || next >= MICROVM_LOWMEM_END) {
            error_setg(errp, "-initrd: too many modules, or no room for them");
            return false;
        }
        m.string = qemu_opt_split(&list);
        g_array_append_val(modules, m);
        if (!add_module(ms, &g_array_index(modules, MultibootModule, modules->len - 1), errp)) {
            return false;
        }
        next = m.start + g_array_index(modules, MultibootModule, modules->len - 1).size;
    }
    return true;
}

static void free_module(gpointer data)
{
    g_free(((MultibootModule *)data)->string);
}

/* The command line begins with the kernel's name (Multiboot, 3.3). */
static bool load_multiboot(MachineState *ms, const X86Kernel *kernel, const char *args,
                           X86BootState *boot, Error **errp)
{
    g_autofree char *cmdline = g_strdup_printf("%s %s", ms->kernel_filename, args);
    g_autoptr(GArray) modules = g_array_new(FALSE, TRUE, sizeof(MultibootModule));
    E820Entry e820[E820_MAX];
    MultibootInfo info = {
        .cmdline = cmdline, .e820 = e820, .nr_e820 = x86_build_e820(ms->ram_size, e820),
    };
    uint8_t *buf;
    size_t size;

    g_array_set_clear_func(modules, free_module);
    if (!load_modules(ms, kernel, modules, errp)) {
        return false;
    }
    info.modules = (const MultibootModule *)(void *)modules->data;
    info.nr_modules = modules->len;
    size = x86_multiboot_info_size(&info);
    if (size > MULTIBOOT_INFO_MAX_SIZE) {
        error_setg(errp, "the command lines of kernel and modules are too long (%zu bytes of "
                   "at most %u)", size, MULTIBOOT_INFO_MAX_SIZE);
        return false;
    }
    buf = rom_add(ms, "Multiboot information", MULTIBOOT_INFO_START, size, errp);
    if (!buf) {
        return false;
    }
    x86_build_multiboot_info(&info, MULTIBOOT_INFO_START, buf);
    boot->info = MULTIBOOT_INFO_START;
    return true;
}

/* The protocols that have the command line at KERNEL_CMDLINE_START and one initrd. */
static bool load_linux(MachineState *ms, const X86Kernel *kernel, const char *cmdline,
                       uint64_t rsdp, X86BootState *boot, Error **errp)
{
    E820Entry e820[E820_MAX];
    X86BootInfo info = {
        .setup_header = kernel->setup_header,
        .cmdline_addr = KERNEL_CMDLINE_START,
        .cmdline_size = strlen(cmdline) + 1,
        .e820 = e820,
        .nr_e820 = x86_build_e820(ms->ram_size, e820),
        .rsdp_addr = rsdp,
    };

    if (!load_cmdline(ms, kernel, cmdline, errp) ||
        (ms->initrd_filename && !load_initrd(ms, kernel, &info, errp))) {
        return false;
    }
    return boot->protocol == X86_BOOT_PVH ? load_pvh_tables(ms, &info, boot, errp)
                                          : load_linux_tables(ms, &info, boot, errp);
}

bool x86_load_linux(MachineState *ms, const char *cmdline, uint64_t rsdp, X86BootState *boot,
                    Error **errp)
{
    g_autofree X86Kernel *kernel = g_new0(X86Kernel, 1);

    kernel->protocol = boot->protocol;
    if (!load_kernel(ms, kernel, errp)) {
        return false;
    }
    *boot = (X86BootState) {
        .protocol = kernel->protocol, .entry = kernel->entry, .rsp = BOOT_STACK_POINTER,
    };
    return boot->protocol == X86_BOOT_MULTIBOOT
           ? load_multiboot(ms, kernel, cmdline, boot, errp)
           : load_linux(ms, kernel, cmdline, rsdp, boot, errp);
}
