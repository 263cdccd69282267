/*
 * The word that somebody meant who wrote another.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "qemu/similar.h"

#include <string.h>

#define MAX_WORD 40

/*
 * Letters to insert, drop, replace or swap with the next to make b of a (the "optimal string
 * alignment" distance); lengths up to MAX_WORD.
 */
static unsigned distance(const char *a, size_t la, const char *b, size_t lb)
{
    unsigned rows[3][MAX_WORD + 1];
    unsigned *before = rows[0], *last = rows[1], *row = rows[2];

    for (size_t j = 0; j <= lb; j++) {
        last[j] = j;
    }
    for (size_t i = 1; i <= la; i++) {
        unsigned *free_row = before;

        row[0] = i;
        for (size_t j = 1; j <= lb; j++) {
            row[j] = MIN(MIN(row[j - 1], last[j]) + 1, last[j - 1] + (a[i - 1] != b[j - 1]));
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
                row[j] = MIN(row[j], before[j - 2] + 1);
            }
        }
        before = last;
        last = row;
        row = free_row;
    }
    return last[lb];
}

void similar_init(Similar *s, const char *word)
{
    size_t len = strlen(word);

    /* A slip in a short word leaves nothing to guess by. */
    *s = (Similar) { .word = word, .limit = len < 3 ? 0 : len < 6 ? 1 : 2 };
}

void similar_try(Similar *s, const char *candidate)
{
    size_t len = strlen(s->word), clen = strlen(candidate);
    unsigned d;

    if (len > MAX_WORD || clen > MAX_WORD || clen < 3) {
        return;
    }
    d = distance(s->word, len, candidate, clen);
    if (d && d <= s->limit) {
        s->best = candidate;
        s->limit = d - 1;       /* of equals the first */
    }
}

char *similar_of(const char *word, const char *const *names)
{
    Similar s;

    similar_init(&s, word);
    for (; *names; names++) {
        similar_try(&s, *names);
    }
    return similar_text(&s, "");
}

char *similar_text(const Similar *s, const char *prefix)
{
    return s->best ? g_strdup_printf(": did you mean %s%s?", prefix, s->best) : g_strdup("");
}
