/*
 * guestfwd= to a chardev: bytes between the chardev and the process of user networks.
 *
 * Main loop, machine lock.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef NET_SLIRP_RELAY_H
#define NET_SLIRP_RELAY_H

#include "slirp-options.h"

typedef struct SlirpRelay SlirpRelay;

/*
 * Open the chardev that r names. *peer is a socket for the other process; it is the caller's. NULL
 * with errp set on failure.
 */
SlirpRelay *slirp_relay_new(const GuestRule *r, int *peer, Error **errp);
void slirp_relay_free(SlirpRelay *r);

#endif
