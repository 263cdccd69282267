/*
 * -smbios: fields of structures, and files with whole structures.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "hw/smbios/smbios.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "hw/loader.h"
#include "qemu/cutils.h"

#define TYPE_OEM_STRINGS    11
#define TYPE_END            127
#define HEADER_SIZE         4           /* 6.1.2: type, length, handle */
#define MAX_FILE_SIZE       (64 * KiB)
#define MAX_OEM_STRINGS     255         /* strings are counted in a byte */

typedef enum FieldKind { FIELD_TEXT, FIELD_BOOL, FIELD_UINT16, FIELD_UINT64, FIELD_RELEASE,
                         FIELD_UUID } FieldKind;

static const struct {
    uint8_t type;
    const char *name;
    FieldKind kind;
} field_rows[] = {
    { 0, "vendor" }, { 0, "version" }, { 0, "date" },
    { 0, "release", FIELD_RELEASE }, { 0, "uefi", FIELD_BOOL },
    { 1, "manufacturer" }, { 1, "product" }, { 1, "version" }, { 1, "serial" },
    { 1, "uuid", FIELD_UUID }, { 1, "sku" }, { 1, "family" },
    { 2, "manufacturer" }, { 2, "product" }, { 2, "version" }, { 2, "serial" }, { 2, "asset" },
    { 2, "location" },
    { 3, "manufacturer" }, { 3, "version" }, { 3, "serial" }, { 3, "asset" }, { 3, "sku" },
    { 4, "sock_pfx" }, { 4, "manufacturer" }, { 4, "version" }, { 4, "serial" }, { 4, "asset" },
    { 4, "part" }, { 4, "max-speed", FIELD_UINT16 }, { 4, "current-speed", FIELD_UINT16 },
    { 4, "processor-id", FIELD_UINT64 },
    { 17, "loc_pfx" }, { 17, "bank" }, { 17, "manufacturer" }, { 17, "serial" },
    { 17, "asset" }, { 17, "part" }, { 17, "speed", FIELD_UINT16 },
};

SmbiosOptions *smbios_options_new(void)
{
    SmbiosOptions *o = g_new0(SmbiosOptions, 1);

    o->fields = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
    o->oem_strings = g_ptr_array_new_with_free_func(g_free);
    o->files = g_byte_array_new();
    return o;
}

void smbios_options_free(SmbiosOptions *o)
{
    if (o) {
        g_hash_table_unref(o->fields);
        g_ptr_array_unref(o->oem_strings);
        g_byte_array_unref(o->files);
        g_free(o);
    }
}

static bool check_value(FieldKind kind, const char *name, const char *value, Error **errp)
{
    unsigned major, minor;
    uint64_t number;
    bool on, ok = true;
    char rest;

    switch (kind) {
    case FIELD_TEXT:
        break;
    case FIELD_BOOL:
        ok = qemu_parse_bool(value, &on);
        break;
    case FIELD_UINT16:
    case FIELD_UINT64:
        ok = !qemu_strtou64(value, &number) && (kind == FIELD_UINT64 || number <= UINT16_MAX);
        break;
    case FIELD_RELEASE:
        ok = sscanf(value, "%u.%u%c", &major, &minor, &rest) == 2 && major < 256 && minor < 256;
        break;
    case FIELD_UUID:
        ok = g_uuid_string_is_valid(value);
        break;
    }
    if (!ok) {
        error_setg(errp, "Invalid value '%s' for '%s'", value, name);
    }
    return ok;
}

static bool take_fields(SmbiosOptions *o, unsigned type, QemuOpts *opts, Error **errp)
{
    bool known = false;

    for (unsigned i = 0; i < G_N_ELEMENTS(field_rows); i++) {
        const char *value;

        if (field_rows[i].type != type) {
            continue;
        }
        known = true;
        value = qemu_opt_get(opts, field_rows[i].name);
        if (value && !check_value(field_rows[i].kind, field_rows[i].name, value, errp)) {
            return false;
        }
        if (value) {
            g_hash_table_insert(o->fields, g_strdup_printf("%u.%s", type, field_rows[i].name),
                                 g_strdup(value));
        }
    }
    if (!known) {
        error_setg(errp, "Don't know how to build fields for SMBIOS type %u", type);
    }
    return known;
}

static bool add_oem_string(SmbiosOptions *o, const char *name, const char *value, Error **errp)
{
    g_autoptr(GBytes) bytes = NULL;
    const char *text = value;
    gsize len = strlen(value);

    if (o->oem_strings->len == MAX_OEM_STRINGS) {
        error_setg(errp, "more than %d OEM strings", MAX_OEM_STRINGS);
        return false;
    }
    if (!strcmp(name, "path")) {
        bytes = load_file_bytes(value, MAX_FILE_SIZE, errp);
        if (!bytes) {
            error_prepend(errp, "Unable to read OEM string from %s: ", value);
            return false;
        }
        text = g_bytes_get_data(bytes, &len);
    }
    if (memchr(text, 0, len)) {
        error_setg(errp, "NUL in OEM strings value in %s", value);
        return false;
    }
    g_ptr_array_add(o->oem_strings, g_strndup(text, len));
    return true;
}

/* value= and path= may stand more than once, in the order of the strings. */
static bool take_oem_strings(SmbiosOptions *o, QemuOpts *opts, Error **errp)
{
    for (guint i = 0; i < opts->opts->len; i++) {
        const QemuOpt *opt = &g_array_index(opts->opts, QemuOpt, i);

        if ((!strcmp(opt->name, "value") || !strcmp(opt->name, "path")) &&
            !add_oem_string(o, opt->name, opt->str, errp)) {
            return false;
        }
    }
    qemu_opt_get(opts, "value");        /* used */
    qemu_opt_get(opts, "path");
    return true;
}

/* The size of the structure at p with its strings and the two zero bytes behind; 0: cut off. */
static size_t structure_size(const uint8_t *p, size_t left)
{
    size_t n = left >= HEADER_SIZE ? p[1] : 0;

    if (n < HEADER_SIZE) {
        return 0;
    }
    for (; n + 2 <= left; n++) {
        if (p[n] == 0 && p[n + 1] == 0) {
            return n + 2;
        }
    }
    return 0;
}

/* All but an end of the table, which the dump of a whole one has: ours comes behind all. */
static bool add_file(SmbiosOptions *o, const char *filename, Error **errp)
{
    g_autoptr(GBytes) bytes = load_file_bytes(filename, MAX_FILE_SIZE, errp);
    g_autoptr(GByteArray) taken = g_byte_array_new();
    const uint8_t *data;
    gsize size, pos = 0;

    if (!bytes) {
        error_prepend(errp, "Failed to load SMBIOS file %s: ", filename);
        return false;
    }
    data = g_bytes_get_data(bytes, &size);
    while (pos < size) {
        const uint8_t *p = data + pos;
        size_t n = structure_size(p, size - pos);

        if (n == 0) {
            break;
        }
        if (o->has_type[p[0]]) {
            error_setg(errp, "can't load type %u struct, fields already specified!", p[0]);
            return false;
        }
        if (p[0] != TYPE_END) {
            o->has_file[p[0]] = true;
            g_byte_array_append(taken, p, n);
        }
        pos += n;
    }
    if (pos < size || size == 0) {
        error_setg(errp, "Cannot read SMBIOS file %s: it is not a row of whole structures",
                   filename);
        return false;
    }
    g_byte_array_append(o->files, taken->data, taken->len);
    return true;
}

bool smbios_options_add(SmbiosOptions *o, QemuOpts *opts, Error **errp)
{
    const char *filename = qemu_opt_get(opts, "file"), *text = qemu_opt_get(opts, "type");
    uint64_t type;

    if (filename) {
        return qemu_opts_check_unused(opts, errp) && add_file(o, filename, errp);
    }
    if (!text) {
        error_setg(errp, "Must specify type= or file=");
        return false;
    }
    if (qemu_strtou64(text, &type) || type > UINT8_MAX) {
        error_setg(errp, "out of range!");
        return false;
    }
    if (o->has_file[type]) {
        error_setg(errp, "can't process fields for smbios type %" PRIu64 ": it comes from a file",
                   type);
        return false;
    }
    o->has_type[type] = true;
    return (type == TYPE_OEM_STRINGS ? take_oem_strings(o, opts, errp)
                                     : take_fields(o, type, opts, errp)) &&
           qemu_opts_check_unused(opts, errp);
}
