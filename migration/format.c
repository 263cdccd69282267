/*
 * The format of saved machines: headers and check sums.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "format.h"

#include <string.h>

/* Four bits at a time, for processors without the instruction. */
static uint32_t crc_table(uint32_t crc, const uint8_t *p, size_t len)
{
    static const uint32_t table[16] = {
        0x00000000, 0x105ec76f, 0x20bd8ede, 0x30e349b1, 0x417b1dbc, 0x5125dad3, 0x61c69362,
        0x7198540d, 0x82f63b78, 0x92a8fc17, 0xa24bb5a6, 0xb21572c9, 0xc38d26c4, 0xd3d3e1ab,
        0xe330a81a, 0xf36e6f75,
    };

    while (len--) {
        crc ^= *p++;
        crc = crc >> 4 ^ table[crc & 15];
        crc = crc >> 4 ^ table[crc & 15];
    }
    return crc;
}

__attribute__((target("sse4.2")))
static uint32_t crc_sse(uint32_t crc, const uint8_t *p, size_t len)
{
    uint64_t wide = crc, word;

    for (; len >= sizeof(word); len -= sizeof(word), p += sizeof(word)) {
        memcpy(&word, p, sizeof(word));
        wide = __builtin_ia32_crc32di(wide, word);
    }
    crc = wide;
    while (len--) {
        crc = __builtin_ia32_crc32qi(crc, *p++);
    }
    return crc;
}

uint32_t format_crc(uint32_t crc, const void *data, size_t len)
{
    crc = ~crc;
    return ~(__builtin_cpu_supports("sse4.2") ? crc_sse(crc, data, len)
                                              : crc_table(crc, data, len));
}

void format_make_header(FormatHeader *h, uint32_t layout, uint64_t ram_size)
{
    *h = (FormatHeader) {
        .version = FORMAT_VERSION, .layout = layout, .ram_size = ram_size,
    };
    memcpy(h->magic, FORMAT_MAGIC, sizeof(h->magic));
    h->crc = format_crc(0, h, offsetof(FormatHeader, crc));
}

bool format_check_header(const FormatHeader *h, uint64_t ram_size, Error **errp)
{
    if (memcmp(h->magic, FORMAT_MAGIC, sizeof(h->magic))) {
        error_setg(errp, "this is no saved machine of this program");
    } else if (h->version != FORMAT_VERSION) {
        error_setg(errp, "format version %u is not known: this program has %u", h->version,
                   FORMAT_VERSION);
    } else if (h->crc != format_crc(0, h, offsetof(FormatHeader, crc))) {
        error_setg(errp, "the header is damaged");
    } else if (h->layout > FORMAT_DIFFERENCE) {
        error_setg(errp, "layout %u is not known", h->layout);
    } else if (h->ram_size != ram_size) {
        error_setg(errp, "the saved machine has %" G_GUINT64_FORMAT " bytes of RAM, this one %"
                   G_GUINT64_FORMAT, h->ram_size, ram_size);
    } else {
        return true;
    }
    return false;
}

void format_make_section(SectionHeader *h, SectionType type, uint64_t length, uint32_t crc)
{
    *h = (SectionHeader) { .type = type, .version = 1, .length = length, .crc = crc };
    h->header_crc = format_crc(0, h, offsetof(SectionHeader, header_crc));
}

void format_make_unsummed(SectionHeader *h, uint64_t length)
{
    *h = (SectionHeader) {
        .type = SECTION_PAGES, .version = 1, .flags = SECTION_UNSUMMED, .length = length,
    };
    h->header_crc = format_crc(0, h, offsetof(SectionHeader, header_crc));
}

bool format_check_section(const SectionHeader *h, Error **errp)
{
    static const uint32_t limits[] = {
        [SECTION_FINGERPRINT] = FORMAT_MAX_FINGERPRINT,
        [SECTION_PAGES] = FORMAT_MAX_PAGES + sizeof(uint64_t),
        [SECTION_ZERO] = 2 * sizeof(uint64_t),
        [SECTION_STATE] = FORMAT_MAX_STATE,
        [SECTION_END] = sizeof(uint32_t),
        [SECTION_RAM_IMAGE] = sizeof(uint64_t),
        [SECTION_ROUND] = 0, [SECTION_CONFIRM] = 0,
        [SECTION_LOADED ... SECTION_YOURS] = FORMAT_MAX_REPLY,
        [SECTION_POSTCOPY] = 0, [SECTION_SWITCH] = 0, [SECTION_ARRIVED] = 0,
        [SECTION_MISSING] = FORMAT_MAX_MISSING + sizeof(uint64_t),
        [SECTION_REQUEST] = sizeof(uint64_t),
        [SECTION_IDENTITY] = FORMAT_ID_SIZE,
        [SECTION_BASE] = sizeof(FormatBase) + FORMAT_MAX_BASE_NAME,
        [SECTION_EXTENTS] = FORMAT_MAX_EXTENTS * sizeof(FormatExtent),
    };
    bool known = h->type >= SECTION_FINGERPRINT && h->type <= SECTION_EXTENTS;

    if (h->header_crc != format_crc(0, h, offsetof(SectionHeader, header_crc))) {
        error_setg(errp, "a section's header is damaged");
    } else if (!known && !(h->flags & SECTION_OPTIONAL)) {
        error_setg(errp, "section type %u is not known", h->type);
    } else if (known && h->version != 1) {
        error_setg(errp, "section type %u has version %u: this program has 1", h->type,
                   h->version);
    } else if (known && h->type != SECTION_PAGES && (h->flags & SECTION_UNSUMMED)) {
        error_setg(errp, "a section of type %u has no check sum", h->type);
    } else if (h->length > (known ? limits[h->type] : FORMAT_MAX_STATE)) {
        error_setg(errp, "a section of type %u is too long", h->type);
    } else {
        return true;
    }
    return false;
}
