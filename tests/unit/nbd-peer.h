/*
 * The bytes of an NBD server that tests of the client script themselves.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef TESTS_NBD_PEER_H
#define TESTS_NBD_PEER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A socket that listens there. */
int peer_listen(const char *path);
/* False: the client has gone. */
bool peer_get(int fd, void *buf, size_t len);
/* Nothing is lost on a client that has gone. */
void peer_put(int fd, const void *buf, size_t len);
/* What a server says first, with this number at the beginning. */
void peer_put_greeting(int fd, uint64_t magic);
/* The client's next option and its data; false: it has gone, or sends more than size bytes. */
bool peer_get_option(int fd, uint32_t *option, void *data, size_t size);
/* An answer that says it has len bytes; at most 64 of them follow. */
void peer_put_option(int fd, uint32_t option, uint32_t type, const void *data, uint32_t len);
/* What the export is. */
void peer_put_export(int fd, uint64_t size, uint16_t flags);
void peer_put_reply(int fd, uint32_t error, uint64_t cookie);

#endif
