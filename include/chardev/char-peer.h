/*
 * A chardev whose frontend and peer exchange messages with file descriptors: UNIX sockets.
 *
 * What comes in goes the way of all chardevs, to chr_read and chr_event of the frontend, which
 * has to take input always; the descriptors of a message are at qemu_chr_fe_get_msgfd(). Main
 * loop and machine lock.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef CHARDEV_CHAR_PEER_H
#define CHARDEV_CHAR_PEER_H

#include "chardev/char.h"

/* Can descriptors go with its bytes? */
bool qemu_chr_passes_fds(const Chardev *s);

/*
 * Wait until a peer is there: a client with reconnect= tries again and again, a server waits.
 * False with errp set when the program is asked to end meanwhile, or a client without
 * reconnect= has lost its peer.
 */
bool qemu_chr_fe_wait_connected(CharBackend *b, Error **errp);

/*
 * Write all of buf, with nr_fds descriptors on its first byte; wait for room up to timeout_ms.
 * 0 or negative errno: the stream is broken then.
 */
int qemu_chr_fe_send_fds(CharBackend *b, const void *buf, size_t len, const int *fds,
                         unsigned nr_fds, int timeout_ms);

/*
 * Wait for input, or the peer's end, and hand it to the frontend as the main loop would.
 * 0, -ETIMEDOUT, or -ENOTCONN: there is no peer any more.
 */
int qemu_chr_fe_wait_input(CharBackend *b, int timeout_ms);

/* Be done with this peer; CHR_EVENT_CLOSED comes when the main loop finds out. */
void qemu_chr_fe_hang_up(CharBackend *b);

#endif
