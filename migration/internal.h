/*
 * What the files of migration/ share.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef MIGRATION_INTERNAL_H
#define MIGRATION_INTERNAL_H

#include "exec/dirty-log.h"
#include "migration/migration.h"
#include "qemu/confine.h"
#include "qemu/timer.h"
#include "stream.h"

/* Of thread-calls.inc; of page-saver-calls.inc. */
extern const ThreadFilter migration_filter, page_saver_filter;

/* fingerprint.c ---------------------------------------------------------------- */

/* Lines "NAME: VALUE"; ram_stays: one says that RAM is not part of it. Caller frees. */
char *fingerprint_make(MachineState *ms, bool ram_stays);
/* False with errp set, naming the first thing that differs. theirs: len hostile bytes. */
bool fingerprint_check(const char *ours, const char *theirs, size_t len, Error **errp);

/* fingerprint-cpus.c */

/* Lines of CPUID: the first feature that only one has; caller frees. NULL: no such one. */
char *fingerprint_feature(const char *ours, const char *theirs);
/* Can the CPUs of theirs (hostile text) go on as ours, whoever runs them? False with errp set. */
bool fingerprint_check_cpus(const char *ours, const char *theirs, Error **errp);

/* parts.c: devices and the rest that has state ---------------------------------- */

/* The first part that cannot be saved; false with errp set. */
bool parts_check(MachineState *ms, Error **errp);
/* All parts, as GBytes of section data. The machine is stopped. */
GPtrArray *parts_save(MachineState *ms);
/* A section for each of them; any thread. 0 or negative errno. */
int parts_write(const GPtrArray *sections, SectionWriter *w);
/* The same parts in the same order. False with errp set: the machine is not to run. */
bool parts_load(MachineState *ms, const GPtrArray *sections, Error **errp);

/* clock.c ------------------------------------------------------------------------ */

/* Of a MachineState: QEMU_CLOCK_VIRTUAL and what the guest did when it was saved. */
extern const StateDesc machine_clock_state;

/* migration.c ---------------------------------------------------------------------- */

struct Migration {
    MachineState *ms;
    MigrationStatus status;
    bool caps[MIGRATION_CAP__MAX];
    MigrationParams params;
    bool mapped;                /* MIGRATION_CAP_MAPPED_RAM as it was when this began */
    bool ram_stays;             /* it is not sent: both sides map the same */
    /* What the thread wants to know of params. */
    _Atomic uint64_t max_bandwidth, max_postcopy_bandwidth, downtime_limit;
    char *error;
    struct DirtyRate *measurement;  /* NULL: none was asked for */
    /* What goes out. */
    Channel channel;
    GThread *thread;
    RamCounters counters;
    GPtrArray *sections;        /* of GBytes */
    char *fingerprint;
    int result;                 /* of the thread: 0 or negative errno */
    bool cancelled;             /* it ended because of that */
    char *why;                  /* it was ended: no images to hand over, or refused there */
    RunState before;
    bool was_running;
    bool stay_stopped;          /* "stop" came since: it was running, but does not go on */
    bool snapshot;              /* savevm.c is at it */
    /* ms; ready: the thread begins; stopped, resumed: the guest, the latter in post-copy alone */
    int64_t began, ready, stopped, resumed, ended;
    MigrationDone *done;
    void *opaque;
    /* Of a guest that runs meanwhile. */
    bool live;
    DirtyLog *log;              /* kept for the next time: somebody may be about to mark in it */
    uint64_t *pages;            /* the thread's: what is to be sent */
    EventNotifier turn;         /* set: the guest has stopped, sections are there */
    _Atomic uint64_t bandwidth, dirty_rate;     /* bytes, pages a second; the thread's findings */
    atomic_uint rounds, throttle;
    QEMUTimer throttle_timer, retry_timer;
    bool held;                  /* CPUs stand still for a while */
    /* Post-copy. */
    bool may_postcopy;          /* MIGRATION_CAP_POSTCOPY_RAM as it was when this began */
    atomic_bool want_postcopy;  /* stop the guest now; memory comes afterwards */
    atomic_bool gone;           /* it was given to the other side: it never runs here any more */
    /* The guest goes on while what it had is saved. */
    bool background;            /* MIGRATION_CAP_BACKGROUND_SNAPSHOT as it was when this began */
    struct Background *back;    /* what this process needs for it; NULL: it did not want it */
    /* What comes in. */
    bool expected, autostart;
    bool came_in;               /* the last that was done */
    bool took_images;           /* before the source has said that they are ours */
    guint accept_tag;
    struct Postcopy *post;      /* what this process needs for it; NULL, and why not */
    Error *no_post;
    SavedMachine saved;
    Error *load_error;          /* of the thread */
    atomic_bool ending;         /* the thread ends because it shall */
};

/* ms->migration, made if need be. */
Migration *migration_get(MachineState *ms);
/* Status, and the event that tells of it. */
void migration_set_status(Migration *m, MigrationStatus status);
/* Nothing else is under way, and all of the machine can be saved. */
bool migration_may_start(MachineState *ms, Error **errp);
/*
 * Into finish-migrate: before and was_running are set; stop: what was written is safe on the disks,
 * too. And back, if it is still there.
 */
void migration_stop_guest(Migration *m);
void migration_hold_guest(Migration *m);
void migration_go_on(Migration *m);
/* Main loop, for the thread: stop the guest, take its parts, set turn. / The thread is done. */
void migration_switch_over(void *opaque);
void migration_written(void *opaque);

/* dirty.c ---------------------------------------------------------------------------- */

/*
 * From now on everybody marks what they write; what they wrote before they have written. Main
 * thread; false with errp set. / No more.
 */
bool dirty_begin(Migration *m, Error **errp);
void dirty_end(Migration *m);
/* Into m->pages: what was written since the last call; how many bytes that is. Any thread. */
uint64_t dirty_take(Migration *m);

/* dirty-rate.c: the log is its own at the moment. / At exit. */
bool dirty_rate_has_log(const Migration *m);
void dirty_rate_cleanup(Migration *m);

/* writer.c: the thread; opaque is a Migration. */
gpointer migration_writer(gpointer opaque);

/* converge.c ----------------------------------------------------------------------- */

/* Once. */
void converge_init(Migration *m);
/* A round is over, in which the guest wrote to so many bytes; the thread's. */
void converge(Migration *m, uint64_t bytes);
/* CPUs run as they like; main thread. */
void converge_end(Migration *m);

/* background.c, without CONFIG_BACKGROUND_SNAPSHOT refused --------------------------- */

/* Whether this process can do it, with its RAM and caps (NULL: any) besides; or errp. */
bool background_check(MachineState *ms, const bool *caps, Error **errp);
/* Whatever can be refused; main thread, as the following. False with errp set. */
bool background_prepare(Migration *m, Error **errp);
/* If it does not run: that is the moment. 0 or negative errno, as the following. */
int background_take(Migration *m);
/* The thread's: it is when this returns, at the latest, and m->sections are there. */
int background_await(Migration *m);
/*
 * The same: RAM of that moment; image: page_saver_write()'s. / Nobody waits for us any more;
 * failed: m->why says why, where it is known.
 */
int background_write(Migration *m, SectionWriter *w, uint64_t image);
void background_lift(Migration *m, bool failed);
/* After background_prepare(): the thread has ended, or there was none. */
void background_end(Migration *m);
/* At exit. */
void background_cleanup(Migration *m);

/* incoming.c */
void incoming_cleanup(Migration *m);

#endif
