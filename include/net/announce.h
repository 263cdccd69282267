/*
 * Telling the network where a guest is: RARP frames in the names of its cards.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef NET_ANNOUNCE_H
#define NET_ANNOUNCE_H

#include <stdint.h>

/* In milliseconds: the first pause, the longest, and how much longer each is. */
typedef struct NetAnnounce {
    int64_t initial, max, step;
    int64_t rounds;             /* frames for each card; 0: stop one under way */
} NetAnnounce;

/*
 * A frame from each card now and the rest later; drivers that agreed to it are asked to
 * announce themselves, too. names: only these cards, or NULL (a NULL-terminated list, copied).
 * id tells apart what runs at the same time; one of that id is replaced. Main loop.
 */
void net_announce_self(const char *id, const NetAnnounce *params, char **names);

#endif
