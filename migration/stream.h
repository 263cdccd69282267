/*
 * A machine as a stream: sections, RAM in them, what comes in, answers to it. Any thread.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef MIGRATION_STREAM_H
#define MIGRATION_STREAM_H

#include <stdatomic.h>

#include "channel.h"
#include "format.h"
#include "layers.h"

/* ram.c: RAM in a stream; any thread -------------------------------------------- */

typedef struct RamCounters {
    _Atomic uint64_t transferred;   /* bytes on the channel, all of it */
    _Atomic uint64_t remaining;     /* bytes of RAM that are yet to be sent, as far as known */
    _Atomic uint64_t duplicate, normal;     /* pages */
    _Atomic uint64_t requests, late_bytes;  /* post-copy: asked for; of transferred */
} RamCounters;

typedef struct SectionWriter {
    Channel *c;
    RamCounters *counters;
    uint32_t sections;
    _Atomic uint64_t *max_bandwidth;    /* bytes a second; 0: no limit */
    bool moving;                /* the guest runs and writes to RAM */
    bool rush;                  /* it waits for us: the limit does not count */
    const atomic_bool *interrupt;   /* set: end a round in the middle; NULL: never */
    uint64_t debt;              /* bytes that went beyond the limit, as of paid_at */
    int64_t paid_at;            /* monotonic us */
} SectionWriter;
/* A section with up to two pieces of data. 0 or negative errno. */
int section_write(SectionWriter *w, SectionType type, const void *head, size_t head_len,
                  const void *data, size_t len);
/* What comes first and last, layout: FORMAT_*; likewise. */
int machine_write_begin(SectionWriter *w, uint32_t layout, uint64_t ram_size,
                        const char *fingerprint);
int machine_write_end(SectionWriter *w);
int ram_write(SectionWriter *w, const uint8_t *ram, uint64_t size);
/* Only pages that have a bit. *reached: all before that page have been written. */
int ram_write_pages(SectionWriter *w, const uint8_t *ram, uint64_t size, const uint64_t *pages,
                    uint64_t *reached);
/* Of pages from n on, which has a bit, a run of up to max of them; its length in *done. */
int ram_write_run(SectionWriter *w, const uint8_t *ram, const uint64_t *pages, uint64_t n,
                  uint64_t max, uint64_t *done);
/* The first page from n on that has a bit (pages NULL: all have), or end. */
uint64_t ram_next_page(const uint64_t *pages, uint64_t n, uint64_t end);
/* Bytes have been written that the limit counts: ms until more may be, at most 50; 0: now. */
unsigned bandwidth_due(SectionWriter *w, uint64_t bytes);
/* These parts of an image at offset of the channel's file, with holes for zeros and the rest. */
int ram_write_extents(SectionWriter *w, const uint8_t *ram, uint64_t size, uint64_t offset,
                      const FormatExtent *extents, uint32_t n);
/* A piece of one, at place of the file. / The file ends there; what was not written is a hole. */
int ram_write_image(SectionWriter *w, uint64_t place, const uint8_t *data, uint64_t len);
int ram_truncate_image(SectionWriter *w, uint64_t end);

typedef struct RamLoader {
    uint8_t *ram;
    uint64_t size;
    uint64_t next;              /* offsets only grow */
    bool fresh;                 /* what was not written yet is zeros */
    bool whole;                 /* all of it was there: pages come again */
    bool replaceable;           /* a mapping of its own, in place of which another may come */
    bool replaced;
} RamLoader;
/* Where len bytes for offset are to be put, which count as put; NULL with errp set. */
uint8_t *ram_load_place(RamLoader *l, uint64_t offset, uint64_t len, Error **errp);
/* What has not come by now comes some other way. */
void ram_load_leave(RamLoader *l);
/* A section's data. */
bool ram_load_zero(RamLoader *l, const uint8_t *data, size_t len, Error **errp);
/* What has changed since comes again. */
bool ram_load_round(RamLoader *l, Error **errp);
bool ram_load_complete(const RamLoader *l);

/* All of it, from offset of the channel's file: mapped if it may be, else read. */
bool ram_load_image(RamLoader *l, Channel *c, uint64_t offset, Error **errp);
/* The same of a file and its bases; layers may be NULL, which is an error. */
bool ram_load_layers(RamLoader *l, const Layers *layers, Error **errp);

/* reader.c: a stream, taken apart; any thread ------------------------------------- */

typedef struct SavedMachine {
    char *fingerprint;          /* of this machine, to compare with */
    RamLoader ram;
    GPtrArray *sections;        /* of GBytes: SECTION_STATE */
    uint64_t state_bytes;
    uint32_t nr_sections;       /* all of them */
    bool has_fingerprint, complete;
    bool mapped;                /* FORMAT_MAPPED or FORMAT_DIFFERENCE */
    bool difference;            /* FORMAT_DIFFERENCE */
    bool confirm;               /* the source waits for an answer */
    uint64_t image;             /* where RAM is then; 0: not said yet */
    struct Postcopy *post;      /* borrowed; NULL: it is refused. Its bits come second */
    bool late;                  /* the source may make use of it */
} SavedMachine;

/* The header and the first section alone: is it this machine? */
bool saved_machine_peek(SavedMachine *m, Channel *c, Error **errp);
/* Read to the end. RAM is filled on the way. False with errp set. */
bool saved_machine_read(SavedMachine *m, Channel *c, Error **errp);
void saved_machine_clear(SavedMachine *m);

/* reply.c: answers of who gets a machine; any thread ----------------------------------- */

/* 0 or negative errno. */
int reply_write(Channel *c, SectionType type, const char *text);
/* With up to FORMAT_MAX_REPLY bytes of any kind. */
int answer_write(Channel *c, SectionType type, const void *data, size_t len);
/*
 * text: of FORMAT_MAX_REPLY + 1 bytes; printable, or a request's number. 0; or negative errno,
 * -EBADMSG for nonsense.
 */
int reply_read(Channel *c, SectionType *type, char *text);
/* Why the other side did not take it, if it has said so: the channel is broken. Caller frees. */
char *reply_refusal(Channel *c);
/* The source: all is written. 0: it is the other side's now; else ours: -EREMOTEIO with why. */
int reply_confirm(Channel *c, char **refusal);
/* Who gets it: all is loaded. Whether it is ours; or errp is set. */
bool reply_await(Channel *c, Error **errp);

#endif
