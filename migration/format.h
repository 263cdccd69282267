/*
 * The format of saved machines: docs/devel/machine-state.rst. All numbers are little-endian.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef MIGRATION_FORMAT_H
#define MIGRATION_FORMAT_H

#include <glib.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "qemu/error.h"

#define FORMAT_MAGIC    "mvmstate"
#define FORMAT_VERSION  1u
#define FORMAT_STREAM   0u      /* sections one after the other */
#define FORMAT_MAPPED   1u      /* all but RAM; it follows as an image that can be mapped */
#define FORMAT_DIFFERENCE 2u    /* the same; it has only what differs from another file's */

typedef struct FormatHeader {
    char magic[8];
    uint32_t version;
    uint32_t layout;            /* FORMAT_STREAM or MAPPED */
    uint64_t ram_size;
    uint32_t reserved;          /* 0 */
    uint32_t crc;               /* CRC-32C of what stands before it */
} FormatHeader;
G_STATIC_ASSERT(sizeof(FormatHeader) == 32);

typedef enum SectionType {
    SECTION_FINGERPRINT = 1,    /* text: "NAME: VALUE\n" for each thing that must be the same */
    SECTION_PAGES,              /* uint64_t offset in RAM, then pages */
    SECTION_ZERO,               /* uint64_t offset in RAM, uint64_t length: all zeros */
    SECTION_STATE,              /* uint32_t instance, uint8_t n, n bytes of name, fields */
    SECTION_END,                /* uint32_t: how many sections came before it */
    SECTION_RAM_IMAGE,          /* uint64_t: where in the file RAM begins; for FORMAT_MAPPED */
    SECTION_ROUND,              /* nothing: all of RAM was there, what has changed comes again */
    SECTION_CONFIRM,            /* nothing: whoever reads it answers */
    /* Answers, and what comes after them: text. */
    SECTION_LOADED,             /* all of it was there, and is loaded */
    SECTION_FAILED,             /* it is not, and why */
    SECTION_YOURS,              /* the source's, to that: run it */
    /* Post-copy: pages that come when the guest has gone. */
    SECTION_POSTCOPY,           /* nothing: there may be some */
    SECTION_MISSING,            /* uint64_t number of a page, then a bit for each from there on */
    SECTION_SWITCH,             /* nothing: all but those was sent, and is loaded now */
    SECTION_REQUEST,            /* an answer, uint64_t offset: somebody waits for that page */
    SECTION_ARRIVED,            /* an answer: no page is missing any more */
    /* Of files to be mapped. */
    SECTION_IDENTITY,           /* FORMAT_ID_SIZE random bytes: which file this is */
    SECTION_BASE,               /* FormatBase, then the name of a file in the same folder */
    SECTION_EXTENTS,            /* FormatExtent of RAM, ascending: what is in this file */
} SectionType;

/* flags */
#define SECTION_OPTIONAL 1u     /* who does not know the type may skip it */
#define SECTION_UNSUMMED 2u     /* pages that the guest wrote to meanwhile: no check sum */

typedef struct SectionHeader {
    uint32_t type;
    uint16_t version;
    uint16_t flags;
    uint64_t length;            /* of what follows */
    uint32_t crc;               /* of what follows */
    uint32_t header_crc;        /* of what stands before it */
} SectionHeader;
G_STATIC_ASSERT(sizeof(SectionHeader) == 24);

#define FORMAT_ID_SIZE 16

typedef struct FormatBase {
    uint64_t size;              /* of the file */
    uint8_t id[FORMAT_ID_SIZE];
} FormatBase;
G_STATIC_ASSERT(sizeof(FormatBase) == 24);

/* In bytes: whole pages. */
typedef struct FormatExtent {
    uint64_t offset, len;
} FormatExtent;
G_STATIC_ASSERT(sizeof(FormatExtent) == 16);

/* Limits of what a source may make us keep. */
#define FORMAT_PAGE             4096u
#define FORMAT_MAX_PAGES        (1u << 20)  /* bytes of RAM in one section */
#define FORMAT_MAX_FINGERPRINT  (1u << 20)
#define FORMAT_MAX_STATE        (16u << 20) /* one section */
#define FORMAT_MAX_ALL_STATE    (64u << 20) /* all of them */
#define FORMAT_MAX_SECTIONS     16384u      /* of state */
#define FORMAT_MAX_NAME         64u
#define FORMAT_MAX_REPLY        1024u
#define FORMAT_MAX_MISSING      65536u      /* bytes of bits in one section */
#define FORMAT_MAX_BASE_NAME    255u
#define FORMAT_MAX_EXTENTS      4096u       /* each is a mapping of its own */

/* Where the image of RAM begins: a multiple of this. */
#define FORMAT_IMAGE_ALIGN      (2u << 20)

/* CRC-32C (Castagnoli) of data, going on from crc (0 at first). */
uint32_t format_crc(uint32_t crc, const void *data, size_t len);

void format_make_header(FormatHeader *h, uint32_t layout, uint64_t ram_size);
bool format_check_header(const FormatHeader *h, uint64_t ram_size, Error **errp);
/* crc: of the data. */
void format_make_section(SectionHeader *h, SectionType type, uint64_t length, uint32_t crc);
/* SECTION_PAGES with SECTION_UNSUMMED. */
void format_make_unsummed(SectionHeader *h, uint64_t length);
bool format_check_section(const SectionHeader *h, Error **errp);

#endif
