/*
 * The bytes of an NBD server that tests of the client script themselves.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "nbd-peer.h"

#include <glib.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "block/nbd-client.h"

int peer_listen(const char *path)
{
    struct sockaddr_un un = { .sun_family = AF_UNIX };
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    g_strlcpy(un.sun_path, path, sizeof(un.sun_path));
    g_assert_cmpint(bind(fd, (struct sockaddr *)&un, sizeof(un)), ==, 0);
    g_assert_cmpint(listen(fd, 5), ==, 0);
    return fd;
}

bool peer_get(int fd, void *buf, size_t len)
{
    return !len || recv(fd, buf, len, MSG_WAITALL) == (ssize_t)len;
}

void peer_put(int fd, const void *buf, size_t len)
{
    const uint8_t *p = buf;

    while (len) {
        ssize_t n = send(fd, p, len, MSG_NOSIGNAL);

        if (n <= 0) {
            return;
        }
        p += n;
        len -= n;
    }
}

void peer_put_greeting(int fd, uint64_t magic)
{
    uint8_t head[18], *p = head;

    nbd_put64(&p, magic);
    nbd_put64(&p, NBD_OPTION_MAGIC);
    nbd_put16(&p, NBD_FIXED_NEWSTYLE | NBD_NO_ZEROES);
    peer_put(fd, head, sizeof(head));
}

bool peer_get_option(int fd, uint32_t *option, void *data, size_t size)
{
    uint8_t head[16];
    const uint8_t *p = head + 8;
    uint32_t len;

    if (!peer_get(fd, head, sizeof(head))) {
        return false;
    }
    *option = nbd_get(&p, 4);
    len = nbd_get(&p, 4);
    return len <= size && peer_get(fd, data, len);
}

void peer_put_option(int fd, uint32_t option, uint32_t type, const void *data, uint32_t len)
{
    uint8_t head[20], *p = head;

    nbd_put64(&p, NBD_OPTION_REPLY_MAGIC);
    nbd_put32(&p, option);
    nbd_put32(&p, type);
    nbd_put32(&p, len);
    peer_put(fd, head, sizeof(head));
    peer_put(fd, data, MIN(len, 64));
}

void peer_put_export(int fd, uint64_t size, uint16_t flags)
{
    uint8_t info[12], *p = info;

    nbd_put16(&p, NBD_INFO_EXPORT);
    nbd_put64(&p, size);
    nbd_put16(&p, flags);
    peer_put_option(fd, NBD_OPT_GO, NBD_REP_INFO, info, sizeof(info));
}

void peer_put_reply(int fd, uint32_t error, uint64_t cookie)
{
    uint8_t head[16], *p = head;

    nbd_put32(&p, NBD_SIMPLE_REPLY_MAGIC);
    nbd_put32(&p, error);
    nbd_put64(&p, cookie);
    peer_put(fd, head, sizeof(head));
}
