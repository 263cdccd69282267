/*
 * Telnet commands in a byte stream.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef CHARDEV_CHAR_TELNET_H
#define CHARDEV_CHAR_TELNET_H

#include <stdbool.h>
#include <stdint.h>

/* What the server sends first: it echoes, needs no go-ahead, sends 8 bits. */
#define TELNET_HELLO_SIZE 12
extern const uint8_t telnet_hello[TELNET_HELLO_SIZE];

/*
 * Take the commands out of len bytes of input, in place: the bytes left.
 * state is 0 at the start of a connection; *brk tells of a break.
 */
int telnet_input(unsigned *state, uint8_t *buf, int len, bool *brk);

#endif
