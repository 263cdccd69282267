/*
 * RAM as it was at one moment, written while everybody writes to it: who wants to change a page
 * waits until it has been put aside.
 *
 * A writer takes all pages in order; a thread puts those aside that somebody waits for, which the
 * writer takes first. Neither of them waits for anything that somebody who waits could hold.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef MIGRATION_PAGE_SAVER_H
#define MIGRATION_PAGE_SAVER_H

#include "stream.h"
#include "write-tracker.h"

/* Pages that are put aside at most, and how long somebody waits while the writer takes none. */
#define PAGE_SAVER_ASIDE 4096u
#define PAGE_SAVER_PATIENCE_US 5000000

typedef struct PageSaver PageSaver;

/* hurry is set when all ends in failure: the writer shall not wait. NULL with errp set. */
PageSaver *page_saver_new(WriteTracker *tracker, EventNotifier *hurry, Error **errp);
/* After page_saver_end(); NULL does nothing. The tracker stays the caller's. */
void page_saver_free(PageSaver *s);

/*
 * While everybody writes: protect all but what they write to. It takes time, and them some. 0 or
 * negative errno. Any thread.
 */
int page_saver_arm(PageSaver *s);
/* After that, with nobody writing: what is saved is what RAM is now. Likewise. */
int page_saver_freeze(PageSaver *s);
/*
 * The writer, once: all of RAM as it was, as rounds of a stream (image 0) or into an image at that
 * offset of the channel's file. 0 or negative errno.
 */
int page_saver_write(PageSaver *s, SectionWriter *w, uint64_t image);
/* Nobody waits any more; any thread, more than once. Not before nobody is about to write. */
void page_saver_end(PageSaver *s);
/* Why page_saver_write() failed, if the channel was not the reason; or NULL. */
const char *page_saver_why(const PageSaver *s);

#endif
