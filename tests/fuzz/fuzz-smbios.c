/*
 * Fuzz target: -smbios, an option a line; behind a line of nothing a file of structures. The tables
 * that come of it are a row of whole structures, and the last one ends it.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "fuzz.h"
#include "hw/smbios/smbios.h"

static void add(SmbiosOptions *o, const char *text)
{
    Error *err = NULL;
    g_autoptr(QemuOpts) opts = qemu_opts_parse(text, NULL, &err);
    bool ok = opts && smbios_options_add(o, opts, &err);

    if (ok == (err != NULL)) {
        abort();
    }
    error_free(err);
}

static void add_file(SmbiosOptions *o, const char *data, size_t size)
{
    int fd = memfd_create("smbios", MFD_CLOEXEC);
    g_autofree char *text = g_strdup_printf("file=/proc/self/fd/%d", fd);

    if (fd < 0 || write(fd, data, size) != (ssize_t)size) {
        abort();
    }
    add(o, text);
    close(fd);
}

/* The number of structures' ends must be the table's. */
static void check(const GByteArray *t)
{
    const uint8_t *p = t->data, *end = p + t->len;
    uint8_t type = 0;

    while (p < end) {
        if (end - p < 6 || p[1] < 4 || p[1] > end - p - 2 || type == 127) {
            abort();
        }
        type = p[0];
        for (p += p[1]; p + 1 < end && (p[0] || p[1]); p++) {
            continue;
        }
        p += 2;
    }
    if (p != end || type != 127) {
        abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const SmbiosRange ram[] = { { 0, 3ull << 30 }, { 4ull << 30, 61ull << 30 } };
    static const SmbiosInfo machine = {
        .product = "microvm", .version = "1.0", .sockets = 2, .cores = 3, .threads = 2,
        .ram_size = 64ull << 30, .ram = ram, .nr_ram = 2,
    };
    g_autofree char *text = g_strndup((const char *)data, size);
    char *file = strstr(text, "\n\n");
    SmbiosOptions *o = smbios_options_new();
    GByteArray *tables;

    if (file) {
        *file = 0;
        add_file(o, (const char *)data + (file + 2 - text), size - (file + 2 - text));
    }
    for (char *line = text, *next; line; line = next) {
        next = strchr(line, '\n');
        if (next) {
            *next++ = 0;
        }
        if (!strstr(line, "file") && !strstr(line, "path")) {
            add(o, line);
        }
    }
    tables = smbios_build_tables(o, &machine);
    check(tables);
    g_byte_array_unref(tables);
    smbios_options_free(o);
    return 0;
}
