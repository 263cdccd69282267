/*
 * Post-copy: the guest goes on where it arrives before all of its memory is there.
 *
 * docs/devel/machine-state.rst tells who does what when. All of RAM is at the source until it has
 * been sent; a page is sent once. Without CONFIG_POSTCOPY it is refused.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef MIGRATION_POSTCOPY_H
#define MIGRATION_POSTCOPY_H

#include "pager.h"
#include "stream.h"

/* Whether this program has it, or errp. */
bool postcopy_built(Error **errp);

/* Who gets it ------------------------------------------------------------------------ */

typedef struct Postcopy {
    Pager *pager;
    Channel *c;
    /* SECTION_SWITCH: parts can be loaded; SECTION_YOURS: the guest can run. On the reader. */
    void (*tell)(void *opaque, SectionType what);
    void *opaque;
    uint64_t pages;             /* of RAM */
    _Atomic uint64_t *missing;  /* a bit for each; who finds none here waits for zeros */
    uint64_t left;              /* bits that are set; the reader's */
    uint64_t next;              /* what the next SECTION_MISSING may begin with */
    bool begun;                 /* somebody may wait for pages */
    bool switched;              /* only pages and words come by now */
    bool ours;                  /* the source has said so */
    GThread *thread;            /* asks for pages */
    EventNotifier go, stop;     /* it shall begin; end */
    GMutex lock;                /* who writes to the channel, a whole section */
} Postcopy;

/* pager is the result's from now on. The caller sets c, tell and opaque. */
Postcopy *postcopy_new(Pager *pager);
void postcopy_free(Postcopy *p);
/* Before anything is read: main thread. False with errp set. */
bool postcopy_start(Postcopy *p, Error **errp);

/* The reader's. False with errp set: nobody who waits for a page will ever get it. */
bool postcopy_take_missing(Postcopy *p, const uint8_t *data, size_t len, Error **errp);
/* All but pages is there. */
bool postcopy_take_switch(Postcopy *p, Error **errp);
/* The guest is ours. */
bool postcopy_take_yours(Postcopy *p, Error **errp);
bool postcopy_take_pages(Postcopy *p, uint64_t offset, const uint8_t *data, uint64_t len,
                         Error **errp);
bool postcopy_take_zeros(Postcopy *p, const uint8_t *data, size_t len, Error **errp);
/* All is there (errp is set if not), and the source learns it. */
bool postcopy_take_end(Postcopy *p, Error **errp);

/* A word to the source; any thread. 0 or negative errno. */
int postcopy_say(Postcopy *p, SectionType type, const void *data, size_t len);
/* No page comes any more, and nobody waits for one: the thread that asks ends. */
void postcopy_end(Postcopy *p);

/* Who sends it ------------------------------------------------------------------------ */

/*
 * The thread that writes; the guest stands still, m->pages has what is not there yet. All of it,
 * and answers to requests. 0; negative errno, m->gone says whether it runs there.
 */
int postcopy_send(struct Migration *m, SectionWriter *w);
/* A round has been given up before page reached: what it has not sent is to be sent. */
void postcopy_note_unsent(struct Migration *m, uint64_t reached, bool first);

#endif
