/*
 * SMBIOS structures, built into a buffer. Section numbers: DMTF DSP0134 3.6.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "hw/smbios/smbios.h"

#include <inttypes.h>
#include <string.h>

#include "qemu/cutils.h"
#include "qemu/le.h"

/* 5.2.2: the entry point. */
#define ENTRY_CHECKSUM      5
#define ENTRY_MAX_SIZE      12
#define ENTRY_ADDRESS       16
#define SMBIOS_MAJOR        3
#define SMBIOS_MINOR        0

/* Handles: one row for each type. */
#define HANDLE(type, n)     ((uint16_t)((type) << 8 | (n)))
#define HANDLE_NONE         0xffff
#define HANDLE_NO_ERROR     0xfffe      /* no error information is provided */
#define MAX_SOCKETS         256
#define MAX_DIMM            (16 * GiB)
#define CPU_MHZ             2000

/* A structure under construction: its formatted part, then the strings that it counts. */
typedef struct Structure {
    GByteArray *out;
    guint start;
    GString *strings;
    unsigned nr_strings;
} Structure;

static void put(Structure *s, uint64_t value, unsigned size)
{
    append_le(s->out, value, size);
}

static Structure begin(GByteArray *out, uint8_t type, uint16_t handle)
{
    Structure s = { .out = out, .start = out->len, .strings = g_string_new(NULL) };

    put(&s, type, 1);
    put(&s, 0, 1);              /* the length, see end() */
    put(&s, handle, 2);
    return s;
}

/* 6.1.3: strings are numbered from 1; 0 stands for none. */
static void put_string(Structure *s, const char *text)
{
    if (!text || !*text) {
        put(s, 0, 1);
        return;
    }
    put(s, ++s->nr_strings, 1);
    g_string_append_len(s->strings, text, strlen(text) + 1);
}

static void end(Structure *s)
{
    s->out->data[s->start + 1] = s->out->len - s->start;
    g_string_append_c(s->strings, 0);
    if (!s->nr_strings) {
        g_string_append_c(s->strings, 0);
    }
    g_byte_array_append(s->out, (const uint8_t *)s->strings->str, s->strings->len);
    g_string_free(s->strings, TRUE);
}

/* What -smbios says of a field, or def. */
static const char *field(const SmbiosOptions *o, unsigned type, const char *name,
                         const char *def)
{
    g_autofree char *key = g_strdup_printf("%u.%s", type, name);
    const char *value = o ? g_hash_table_lookup(o->fields, key) : NULL;

    return value ? value : def;
}

static uint64_t number(const SmbiosOptions *o, unsigned type, const char *name, uint64_t def)
{
    const char *text = field(o, type, name, NULL);
    uint64_t value = def;

    if (text) {
        qemu_strtou64(text, &value);    /* checked by smbios_options_add() */
    }
    return value;
}

/* 7.2.1: all zeros where there is none. */
static void put_uuid(Structure *s, const char *text)
{
    uint8_t bytes[16] = { 0 };

    if (text) {
        qemu_uuid_le_bytes(text, bytes);
    }
    g_byte_array_append(s->out, bytes, sizeof(bytes));
}

/* 7.1: only if something is said of it: there is no BIOS. */
static void build_bios(GByteArray *out, const SmbiosOptions *o)
{
    Structure s = begin(out, 0, HANDLE(0, 0));
    char *dot;
    unsigned major = g_ascii_strtoull(field(o, 0, "release", "0.0"), &dot, 10);
    unsigned minor = g_ascii_strtoull(dot + 1, NULL, 10);
    bool uefi = false;

    qemu_parse_bool(field(o, 0, "uefi", "off"), &uefi);
    put_string(&s, field(o, 0, "vendor", NULL));
    put_string(&s, field(o, 0, "version", NULL));
    put(&s, 0, 2);                      /* no segment */
    put_string(&s, field(o, 0, "date", NULL));
    put(&s, 0, 1);                      /* ROM size */
    put(&s, 1u << 3, 8);                /* characteristics are not supported */
    put(&s, 0, 1);
    put(&s, 0x14 | (uefi ? 0x08 : 0), 1);   /* a virtual machine, content may be targeted */
    put(&s, major, 1);
    put(&s, minor, 1);
    put(&s, 0xffff, 2);                 /* no embedded controller */
    end(&s);
}

static void build_system(GByteArray *out, const SmbiosOptions *o, const SmbiosInfo *info)
{
    Structure s = begin(out, 1, HANDLE(1, 0));

    put_string(&s, field(o, 1, "manufacturer", "QEMU"));
    put_string(&s, field(o, 1, "product", info->product));
    put_string(&s, field(o, 1, "version", info->version));
    put_string(&s, field(o, 1, "serial", NULL));
    put_uuid(&s, field(o, 1, "uuid", info->uuid));
    put(&s, 6, 1);                      /* wake-up type: power switch */
    put_string(&s, field(o, 1, "sku", NULL));
    put_string(&s, field(o, 1, "family", NULL));
    end(&s);
}

static void build_baseboard(GByteArray *out, const SmbiosOptions *o, const SmbiosInfo *info)
{
    Structure s = begin(out, 2, HANDLE(2, 0));

    put_string(&s, field(o, 2, "manufacturer", "QEMU"));
    put_string(&s, field(o, 2, "product", info->product));
    put_string(&s, field(o, 2, "version", info->version));
    put_string(&s, field(o, 2, "serial", NULL));
    put_string(&s, field(o, 2, "asset", NULL));
    put(&s, 1, 1);                      /* a hosting board */
    put_string(&s, field(o, 2, "location", NULL));
    put(&s, HANDLE(3, 0), 2);
    put(&s, 0x0a, 1);                   /* motherboard */
    put(&s, 0, 1);
    end(&s);
}

static void build_chassis(GByteArray *out, const SmbiosOptions *o, const SmbiosInfo *info)
{
    Structure s = begin(out, 3, HANDLE(3, 0));

    put_string(&s, field(o, 3, "manufacturer", "QEMU"));
    put(&s, 1, 1);                      /* type: other */
    put_string(&s, field(o, 3, "version", info->version));
    put_string(&s, field(o, 3, "serial", NULL));
    put_string(&s, field(o, 3, "asset", NULL));
    put(&s, 0x02030303, 4);             /* states: safe; security: unknown */
    put(&s, 0, 4);
    put(&s, 0, 4);                      /* height, power cords, contained elements */
    put_string(&s, field(o, 3, "sku", NULL));
    end(&s);
}

static void build_processor(GByteArray *out, const SmbiosOptions *o, const SmbiosInfo *info,
                            unsigned n)
{
    Structure s = begin(out, 4, HANDLE(4, n));
    g_autofree char *socket = g_strdup_printf("%s%4x", field(o, 4, "sock_pfx", "CPU"), n);
    unsigned threads = info->cores * info->threads;
    uint64_t id = (uint64_t)info->cpu_features << 32 | info->cpu_signature;

    put_string(&s, socket);
    put(&s, 3, 1);                      /* a central processor */
    put(&s, 1, 1);                      /* family: other */
    put_string(&s, field(o, 4, "manufacturer", "QEMU"));
    put(&s, number(o, 4, "processor-id", id), 8);
    put_string(&s, field(o, 4, "version", info->version));
    put(&s, 0, 1);
    put(&s, 0, 2);
    put(&s, number(o, 4, "max-speed", CPU_MHZ), 2);
    put(&s, number(o, 4, "current-speed", CPU_MHZ), 2);
    put(&s, 0x41, 1);                   /* populated, enabled */
    put(&s, 1, 1);                      /* upgrade: other */
    put(&s, HANDLE_NONE, 2);            /* no structures for caches */
    put(&s, HANDLE_NONE, 2);
    put(&s, HANDLE_NONE, 2);
    put_string(&s, field(o, 4, "serial", NULL));
    put_string(&s, field(o, 4, "asset", NULL));
    put_string(&s, field(o, 4, "part", NULL));
    put(&s, MIN(info->cores, 255), 1);  /* 7.5.6: 255 means "see below" */
    put(&s, MIN(info->cores, 255), 1);
    put(&s, MIN(threads, 255), 1);
    put(&s, 2, 2);                      /* characteristics: unknown */
    put(&s, 1, 2);
    put(&s, info->cores, 2);
    put(&s, info->cores, 2);
    put(&s, threads, 2);
    end(&s);
}

static void build_oem_strings(GByteArray *out, const SmbiosOptions *o)
{
    Structure s = begin(out, 11, HANDLE(11, 0));

    put(&s, o->oem_strings->len, 1);
    for (guint i = 0; i < o->oem_strings->len; i++) {
        const char *text = g_ptr_array_index(o->oem_strings, i);

        /* Numbered by their place: an empty one needs a byte that is no end. */
        text = *text ? text : " ";
        g_string_append_len(s.strings, text, strlen(text) + 1);
        s.nr_strings++;
    }
    end(&s);
}

static void build_memory_array(GByteArray *out, const SmbiosInfo *info, unsigned nr_dimms)
{
    Structure s = begin(out, 16, HANDLE(16, 0));
    uint64_t kib = info->ram_size / KiB;

    put(&s, 1, 1);                      /* location: other */
    put(&s, 3, 1);                      /* system memory */
    put(&s, 6, 1);                      /* multi-bit error correction */
    put(&s, kib < 0x80000000 ? kib : 0x80000000, 4);
    put(&s, HANDLE_NO_ERROR, 2);
    put(&s, nr_dimms, 2);
    put(&s, kib < 0x80000000 ? 0 : info->ram_size, 8);
    end(&s);
}

static void build_dimm(GByteArray *out, const SmbiosOptions *o, unsigned n, uint64_t size)
{
    Structure s = begin(out, 17, HANDLE(17, n));
    g_autofree char *locator = g_strdup_printf("%s %u", field(o, 17, "loc_pfx", "DIMM"), n);
    unsigned speed = number(o, 17, "speed", 0);
    uint64_t mib = size / MiB;

    put(&s, HANDLE(16, 0), 2);
    put(&s, HANDLE_NO_ERROR, 2);
    put(&s, 0xffff, 2);                 /* widths: unknown */
    put(&s, 0xffff, 2);
    put(&s, MIN(mib, 0x7fff), 2);
    put(&s, 9, 1);                      /* DIMM */
    put(&s, 0, 1);
    put_string(&s, locator);
    put_string(&s, field(o, 17, "bank", NULL));
    put(&s, 7, 1);                      /* RAM */
    put(&s, 2, 2);                      /* of another kind */
    put(&s, speed, 2);
    put_string(&s, field(o, 17, "manufacturer", "QEMU"));
    put_string(&s, field(o, 17, "serial", NULL));
    put_string(&s, field(o, 17, "asset", NULL));
    put_string(&s, field(o, 17, "part", NULL));
    put(&s, 0, 1);
    put(&s, mib < 0x7fff ? 0 : mib, 4);
    put(&s, speed, 2);
    put(&s, 0, 6);                      /* voltages */
    end(&s);
}

/* 7.20: addresses in KiB, or, where they do not fit, in bytes. */
static void build_mapped_address(GByteArray *out, const SmbiosRange *range, unsigned n)
{
    Structure s = begin(out, 19, HANDLE(19, n));
    uint64_t last = range->addr + range->size - 1;
    bool fits = last / KiB < UINT32_MAX;

    put(&s, fits ? range->addr / KiB : UINT32_MAX, 4);
    put(&s, fits ? last / KiB : UINT32_MAX, 4);
    put(&s, HANDLE(16, 0), 2);
    put(&s, 1, 1);
    put(&s, fits ? 0 : range->addr, 8);
    put(&s, fits ? 0 : last, 8);
    end(&s);
}

static void build_memory(GByteArray *out, const SmbiosOptions *o, const SmbiosInfo *info)
{
    unsigned nr_dimms = MIN(DIV_ROUND_UP(info->ram_size, MAX_DIMM), 255);
    uint64_t left = info->ram_size;

    build_memory_array(out, info, nr_dimms);
    for (unsigned i = 0; i < nr_dimms; i++) {
        uint64_t size = i + 1 == nr_dimms ? left : MIN(left, MAX_DIMM);

        build_dimm(out, o, i, size);
        left -= size;
    }
    for (unsigned i = 0; i < info->nr_ram; i++) {
        build_mapped_address(out, &info->ram[i], i);
    }
}

static void build_boot_status(GByteArray *out)
{
    Structure s = begin(out, 32, HANDLE(32, 0));

    put(&s, 0, 7);                      /* reserved; no errors */
    end(&s);
}

static void build_end(GByteArray *out)
{
    Structure s = begin(out, 127, HANDLE(127, 0));

    end(&s);
}

GByteArray *smbios_build_tables(const SmbiosOptions *o, const SmbiosInfo *info)
{
    static const bool no_files[256];
    const bool *has_file = o ? o->has_file : no_files;
    GByteArray *out = g_byte_array_new();

    if (o && o->has_type[0]) {
        build_bios(out, o);
    }
    if (!has_file[1]) {
        build_system(out, o, info);
    }
    if (o && o->has_type[2]) {
        build_baseboard(out, o, info);
    }
    if (!has_file[3]) {
        build_chassis(out, o, info);
    }
    for (unsigned i = 0; !has_file[4] && i < MIN(info->sockets, MAX_SOCKETS); i++) {
        build_processor(out, o, info, i);
    }
    if (o && o->oem_strings->len) {
        build_oem_strings(out, o);
    }
    if (!has_file[16] && !has_file[17] && !has_file[19]) {
        build_memory(out, o, info);
    }
    if (!has_file[32]) {
        build_boot_status(out);
    }
    if (o) {
        g_byte_array_append(out, o->files->data, o->files->len);
    }
    build_end(out);
    return out;
}

void smbios_build_entry(uint64_t addr, uint32_t size, uint8_t entry[SMBIOS_ENTRY_SIZE])
{
    uint8_t sum = 0;

    memset(entry, 0, SMBIOS_ENTRY_SIZE);
    memcpy(entry, "_SM3_", 5);
    entry[6] = SMBIOS_ENTRY_SIZE;
    entry[7] = SMBIOS_MAJOR;
    entry[8] = SMBIOS_MINOR;
    entry[10] = 1;                      /* revision of the entry point */
    st_le(entry + ENTRY_MAX_SIZE, size, 4);
    st_le(entry + ENTRY_ADDRESS, addr, 8);
    for (unsigned i = 0; i < SMBIOS_ENTRY_SIZE; i++) {
        sum += entry[i];
    }
    entry[ENTRY_CHECKSUM] = -sum;
}
