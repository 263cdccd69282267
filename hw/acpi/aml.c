/*
 * Writing ACPI Machine Language.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "hw/acpi/aml.h"

#include <string.h>

#include "qemu/le.h"

/* ACPI 6.5, table 20.2 and following. */
enum {
    ZERO_OP = 0x00,
    ONE_OP = 0x01,
    NAME_OP = 0x08,
    BYTE_PREFIX = 0x0a,
    WORD_PREFIX = 0x0b,
    DWORD_PREFIX = 0x0c,
    STRING_PREFIX = 0x0d,
    QWORD_PREFIX = 0x0e,
    SCOPE_OP = 0x10,
    BUFFER_OP = 0x11,
    PACKAGE_OP = 0x12,
    METHOD_OP = 0x14,
    DUAL_NAME_PREFIX = 0x2e,
    MULTI_NAME_PREFIX = 0x2f,
    EXT_OP_PREFIX = 0x5b,
    LOCAL0_OP = 0x60,
    IF_OP = 0xa0,
    /* Behind EXT_OP_PREFIX. */
    EXT_REGION_OP = 0x80,
    EXT_FIELD_OP = 0x81,
    EXT_DEVICE_OP = 0x82,
};

#define REGION_SYSTEM_MEMORY    0
#define FIELD_DWORD_ACCESS      3
#define FIELD_WRITE_AS_ZEROS    (2 << 5)
#define METHOD_SERIALIZED       (1 << 3)

/* Resource descriptors, 6.4: first bytes, with the length of the small ones. */
#define RES_IRQ         0x22
#define RES_IO          0x47
#define RES_END_TAG     0x79
#define RES_MEMORY32    0x86
#define RES_INTERRUPT   0x89
#define IO_DECODE_16    1
#define MEMORY_WRITABLE 1
#define IRQ_CONSUMER    1
#define IRQ_EDGE        (1 << 1)

#define SEGMENT_SIZE    4

static void put8(Aml *aml, uint8_t byte)
{
    g_byte_array_append(aml->buf, &byte, 1);
}

static void put(Aml *aml, uint64_t value, unsigned size)
{
    append_le(aml->buf, value, size);
}

static void put_ext(Aml *aml, uint8_t op)
{
    put8(aml, EXT_OP_PREFIX);
    put8(aml, op);
}

static void insert(GByteArray *buf, guint at, const uint8_t *data, guint len)
{
    guint tail = buf->len - at;

    g_byte_array_set_size(buf, buf->len + len);
    memmove(buf->data + at + len, buf->data + at, tail);
    memcpy(buf->data + at, data, len);
}

/* 20.2.4: how many bytes value needs, up to 28 bits. */
static unsigned pkg_length_size(uint32_t value)
{
    g_assert(value < 1u << 28);
    return value < 1u << 6 ? 1 : value < 1u << 12 ? 2 : value < 1u << 20 ? 3 : 4;
}

static void encode_pkg_length(uint8_t *out, uint32_t value, unsigned size)
{
    if (size == 1) {
        out[0] = value;
        return;
    }
    out[0] = (size - 1) << 6 | (value & 0xf);
    for (unsigned i = 1; i < size; i++) {
        out[i] = value >> (8 * i - 4);
    }
}

/* A PkgLength counts itself. */
static void insert_pkg_length(GByteArray *buf, guint at)
{
    guint content = buf->len - at;
    unsigned size = 1;
    uint8_t bytes[4];

    while (pkg_length_size(content + size) > size) {
        size++;
    }
    encode_pkg_length(bytes, content + size, size);
    insert(buf, at, bytes, size);
}

void aml_init(Aml *aml, GByteArray *buf)
{
    *aml = (Aml) { .buf = buf };
}

/* Blocks ------------------------------------------------------------------- */

static void begin(Aml *aml, bool resources)
{
    g_assert(aml->depth < AML_MAX_DEPTH);
    aml->open[aml->depth++] = (AmlBlock) { .start = aml->buf->len, .resources = resources };
}

void aml_begin_scope(Aml *aml, const char *path)
{
    put8(aml, SCOPE_OP);
    begin(aml, false);
    aml_path(aml, path);
}

void aml_begin_device(Aml *aml, const char *name)
{
    put_ext(aml, EXT_DEVICE_OP);
    begin(aml, false);
    aml_path(aml, name);
}

void aml_begin_method(Aml *aml, const char *name, unsigned nr_args, bool serialized)
{
    g_assert(nr_args <= 7);
    put8(aml, METHOD_OP);
    begin(aml, false);
    aml_path(aml, name);
    put8(aml, nr_args | (serialized ? METHOD_SERIALIZED : 0));
}

void aml_begin_if(Aml *aml)
{
    put8(aml, IF_OP);
    begin(aml, false);
}

void aml_begin_package(Aml *aml, unsigned nr_elements)
{
    g_assert(nr_elements <= UINT8_MAX);
    put8(aml, PACKAGE_OP);
    begin(aml, false);
    put8(aml, nr_elements);
}

void aml_begin_resources(Aml *aml)
{
    put8(aml, BUFFER_OP);
    begin(aml, true);
}

/* A buffer's size comes before its bytes; the End Tag's checksum of 0 is not checked. */
static void end_resources(Aml *aml, guint start)
{
    g_autoptr(GByteArray) size = g_byte_array_new();
    Aml header = { .buf = size };

    put8(aml, RES_END_TAG);
    put8(aml, 0);
    aml_integer(&header, aml->buf->len - start);
    insert(aml->buf, start, size->data, size->len);
}

void aml_end(Aml *aml)
{
    AmlBlock *block;

    g_assert(aml->depth > 0);
    block = &aml->open[--aml->depth];
    if (block->resources) {
        end_resources(aml, block->start);
    }
    insert_pkg_length(aml->buf, block->start);
}

/* Objects ------------------------------------------------------------------ */

void aml_name(Aml *aml, const char *name)
{
    put8(aml, NAME_OP);
    aml_path(aml, name);
}

void aml_integer(Aml *aml, uint64_t value)
{
    if (value <= 1) {
        put8(aml, value ? ONE_OP : ZERO_OP);
    } else if (value <= UINT8_MAX) {
        put8(aml, BYTE_PREFIX);
        put(aml, value, 1);
    } else if (value <= UINT16_MAX) {
        put8(aml, WORD_PREFIX);
        put(aml, value, 2);
    } else if (value <= UINT32_MAX) {
        put8(aml, DWORD_PREFIX);
        put(aml, value, 4);
    } else {
        put8(aml, QWORD_PREFIX);
        put(aml, value, 8);
    }
}

void aml_string(Aml *aml, const char *text)
{
    put8(aml, STRING_PREFIX);
    g_byte_array_append(aml->buf, (const uint8_t *)text, strlen(text) + 1);
}

void aml_eisa_id(Aml *aml, const char *id)
{
    uint32_t value = 0;

    g_assert(strlen(id) == 7);
    for (unsigned i = 0; i < 3; i++) {
        g_assert(id[i] >= 'A' && id[i] <= 'Z');
        value = value << 5 | (id[i] - '@');
    }
    for (unsigned i = 3; i < 7; i++) {
        g_assert(g_ascii_isxdigit(id[i]));
        value = value << 4 | g_ascii_xdigit_value(id[i]);
    }
    put8(aml, DWORD_PREFIX);
    put(aml, GUINT32_SWAP_LE_BE(value), 4);
}

static bool valid_segment(const char *s, size_t len)
{
    if (len == 0 || len > SEGMENT_SIZE || g_ascii_isdigit(*s)) {
        return false;
    }
    while (len--) {
        if (!g_ascii_isupper(*s) && !g_ascii_isdigit(*s) && *s != '_') {
            return false;
        }
        s++;
    }
    return true;
}

/* Short segments are filled up with underscores. */
static void put_segment(Aml *aml, const char *s)
{
    size_t len = strlen(s);

    g_assert(valid_segment(s, len));
    for (unsigned i = 0; i < SEGMENT_SIZE; i++) {
        put8(aml, i < len ? s[i] : '_');
    }
}

void aml_path(Aml *aml, const char *path)
{
    g_auto(GStrv) segments = g_strsplit(path + (*path == '\\'), ".", -1);
    unsigned n = g_strv_length(segments);

    if (*path == '\\') {
        put8(aml, '\\');
    }
    if (n == 0) {
        put8(aml, ZERO_OP);         /* the root itself */
    } else if (n == 2) {
        put8(aml, DUAL_NAME_PREFIX);
    } else if (n > 2) {
        put8(aml, MULTI_NAME_PREFIX);
        put8(aml, n);
    }
    for (unsigned i = 0; i < n; i++) {
        put_segment(aml, segments[i]);
    }
}

void aml_local(Aml *aml, unsigned n)
{
    g_assert(n <= 7);
    put8(aml, LOCAL0_OP + n);
}

void aml_op(Aml *aml, AmlOp op)
{
    put8(aml, op);
}

void aml_memory_region(Aml *aml, const char *name, uint64_t addr, uint64_t size)
{
    put_ext(aml, EXT_REGION_OP);
    aml_path(aml, name);
    put8(aml, REGION_SYSTEM_MEMORY);
    aml_integer(aml, addr);
    aml_integer(aml, size);
}

void aml_dword_field(Aml *aml, const char *region, const char *field, unsigned bits)
{
    uint8_t length[4];
    unsigned size = pkg_length_size(bits);

    put_ext(aml, EXT_FIELD_OP);
    begin(aml, false);
    aml_path(aml, region);
    put8(aml, FIELD_DWORD_ACCESS | FIELD_WRITE_AS_ZEROS);
    put_segment(aml, field);
    encode_pkg_length(length, bits, size);
    g_byte_array_append(aml->buf, length, size);
    aml_end(aml);
}

/* Resource descriptors ----------------------------------------------------- */

void aml_res_irq(Aml *aml, unsigned irq)
{
    g_assert(irq < 16);
    put8(aml, RES_IRQ);
    put(aml, 1u << irq, 2);
}

void aml_res_io(Aml *aml, uint16_t port, uint8_t size, uint8_t align)
{
    put8(aml, RES_IO);
    put8(aml, IO_DECODE_16);
    put(aml, port, 2);
    put(aml, port, 2);
    put8(aml, align);
    put8(aml, size);
}

void aml_res_memory32(Aml *aml, uint32_t addr, uint32_t size)
{
    put8(aml, RES_MEMORY32);
    put(aml, 9, 2);
    put8(aml, MEMORY_WRITABLE);
    put(aml, addr, 4);
    put(aml, size, 4);
}

void aml_res_interrupt(Aml *aml, uint32_t gsi)
{
    put8(aml, RES_INTERRUPT);
    put(aml, 6, 2);
    put8(aml, IRQ_CONSUMER | IRQ_EDGE);
    put8(aml, 1);
    put(aml, gsi, 4);
}
