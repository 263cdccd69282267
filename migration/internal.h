/*
 * What the files of migration/ share.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef MIGRATION_INTERNAL_H
#define MIGRATION_INTERNAL_H

#include <stdatomic.h>

#include "format.h"
#include "migration/migration.h"
#include "qemu/confine.h"
#include "qemu/event_notifier.h"

/* Of thread-calls.inc. */
extern const ThreadFilter migration_filter;

/* channel.c: where a machine goes to or comes from ---------------------------- */

typedef struct Channel {
    int fd;                     /* -1: none */
    bool connecting;            /* the first write finds out whether it is */
    bool listening;             /* fd is to be accepted from */
    bool writes;                /* the machine goes out */
    char *path;                 /* file: what shall be replaced; NULL: another kind */
    char *temp;                 /* what is written meanwhile; NULL: path itself */
    char *unlink_path;          /* of a listening socket */
    GPid pid;                   /* exec: of the program; 0: none, or it has ended */
    int status;                 /* of one that has: as waitpid() says */
    EventNotifier hurry;        /* set: no more waiting */
} Channel;

/* To write to, or to read from. False with errp set; then c holds nothing. */
bool channel_open(Channel *c, MachineState *ms, const char *uri, bool incoming, Error **errp);
/* Any thread: all was written. 0; or negative errno, -ECHILD for a program that fails. */
int channel_finish(Channel *c);
/*
 * After that: put the file in its place. Where that is not wanted, or failed, what was
 * written is removed by channel_close().
 */
bool channel_commit(Channel *c, Error **errp);
void channel_close(Channel *c);
/* Any thread. All of it: 0 or negative errno, -ECANCELED after hurry. */
int channel_write(Channel *c, const void *data, size_t len);
/* Bytes read, less than len only at the end; or negative errno. */
ssize_t channel_read(Channel *c, void *data, size_t len);

/* ram.c: RAM in a stream; any thread, nobody else touches RAM ----------------- */

typedef struct RamCounters {
    _Atomic uint64_t transferred;   /* bytes on the channel, all of it */
    _Atomic uint64_t done;          /* bytes of RAM */
    _Atomic uint64_t duplicate, normal;     /* pages */
} RamCounters;

typedef struct SectionWriter {
    Channel *c;
    RamCounters *counters;
    uint32_t sections;
    _Atomic uint64_t *max_bandwidth;    /* bytes a second; 0: no limit */
    int64_t started;                    /* monotonic us */
} SectionWriter;
/* A section with up to two pieces of data. 0 or negative errno. */
int section_write(SectionWriter *w, SectionType type, const void *head, size_t head_len,
                  const void *data, size_t len);
int ram_write(SectionWriter *w, const uint8_t *ram, uint64_t size);
/* The same as an image at offset of the channel's file, with holes for zeros. */
int ram_write_image(SectionWriter *w, const uint8_t *ram, uint64_t size, uint64_t offset);

typedef struct RamLoader {
    uint8_t *ram;
    uint64_t size;
    uint64_t next;              /* offsets only grow */
    bool fresh;                 /* what was not written yet is zeros */
    bool replaceable;           /* a mapping of its own, in place of which another may come */
    bool replaced;
} RamLoader;
/* One section's data. */
bool ram_load_pages(RamLoader *l, const uint8_t *data, size_t len, Error **errp);
bool ram_load_zero(RamLoader *l, const uint8_t *data, size_t len, Error **errp);

/* All of it, from offset of the channel's file: mapped if it may be, else read. */
bool ram_load_image(RamLoader *l, Channel *c, uint64_t offset, Error **errp);

/* fingerprint.c ---------------------------------------------------------------- */

/* Lines "NAME: VALUE"; caller frees. */
char *fingerprint_make(MachineState *ms);
/* False with errp set, naming the first thing that differs. theirs: len hostile bytes. */
bool fingerprint_check(const char *ours, const char *theirs, size_t len, Error **errp);

/* parts.c: devices and the rest that has state ---------------------------------- */

/* The first part that cannot be saved; false with errp set. */
bool parts_check(MachineState *ms, Error **errp);
/* All parts, as GBytes of section data. The machine is stopped. */
GPtrArray *parts_save(MachineState *ms);
/* The same parts in the same order. False with errp set: the machine is not to run. */
bool parts_load(MachineState *ms, const GPtrArray *sections, Error **errp);

/* clock.c ------------------------------------------------------------------------ */

/* Of a MachineState: QEMU_CLOCK_VIRTUAL and what the guest did when it was saved. */
extern const StateDesc machine_clock_state;

/* reader.c: a stream, taken apart; any thread ------------------------------------- */

typedef struct SavedMachine {
    char *fingerprint;          /* of this machine, to compare with */
    RamLoader ram;
    GPtrArray *sections;        /* of GBytes: SECTION_STATE */
    uint64_t state_bytes;
    uint32_t nr_sections;       /* all of them */
    bool has_fingerprint, complete;
    bool mapped;                /* FORMAT_MAPPED */
    uint64_t image;             /* where RAM is then; 0: not said yet */
} SavedMachine;

/* Read to the end. RAM is filled on the way. False with errp set. */
bool saved_machine_read(SavedMachine *m, Channel *c, Error **errp);
void saved_machine_clear(SavedMachine *m);

/* migration.c ---------------------------------------------------------------------- */

struct Migration {
    MachineState *ms;
    MigrationStatus status;
    bool events;                /* tell of each status */
    bool mapped;                /* capability mapped-ram */
    _Atomic uint64_t max_bandwidth;
    char *error;
    /* What goes out. */
    Channel channel;
    GThread *thread;
    RamCounters counters;
    GPtrArray *sections;        /* of GBytes */
    char *fingerprint;
    int result;                 /* of the thread: 0 or negative errno */
    RunState before;
    bool was_running;
    int64_t began, ready, ended;    /* ms */
    MigrationDone *done;
    void *opaque;
    /* What comes in. */
    bool expected, autostart;
    bool came_in;               /* the last that was done */
    guint accept_tag;
    SavedMachine saved;
    Error *load_error;          /* of the thread */
};

/* ms->migration, made if need be. */
Migration *migration_get(MachineState *ms);
/* Status, and the event that tells of it. */
void migration_set_status(Migration *m, MigrationStatus status);
/* incoming.c */
void incoming_cleanup(Migration *m);

#endif
