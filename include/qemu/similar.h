/*
 * "Did you mean …?": the word that is nearest to one that was mistyped.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef QEMU_SIMILAR_H
#define QEMU_SIMILAR_H

#include <glib.h>

typedef struct Similar {
    const char *word;           /* as it was written */
    const char *best;           /* candidate nearest so far, or NULL: none is near */
    unsigned limit;             /* slips of the pen that the next may have */
} Similar;

/* word and all candidates must outlive s. */
void similar_init(Similar *s, const char *word);
void similar_try(Similar *s, const char *candidate);
/* ": did you mean PREFIXbest?", or ""; for the end of a message. Caller frees. */
char *similar_text(const Similar *s, const char *prefix);
/* The same for one of names, which NULL ends. Caller frees. */
char *similar_of(const char *word, const char *const *names);

#endif
