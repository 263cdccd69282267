/*
 * vhost-user: what a back end asks of us.
 *
 * Payloads are of no interest: of all requests only the change of the configuration space is
 * known here, and it has none. Others are refused, if an answer is wanted. Who breaks the
 * protocol is no longer listened to; that does no harm to the device.
 *
 * System calls: socketpair recv send.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "vhost-user-channel.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "qemu/main-loop.h"

/* No message of the specification has more. */
#define MAX_PAYLOAD sizeof(VuPayload)

void vu_channel_close(VuChannel *ch)
{
    if (ch->source) {
        g_source_destroy(ch->source);
        g_clear_pointer(&ch->source, g_source_unref);
        close(ch->fd);
    }
}

/* The whole message is there. */
static bool channel_serve(VuChannel *ch)
{
    struct {
        VuHeader header;
        uint64_t result;
    } __attribute__((packed)) answer = {
        { ch->header.request, VU_VERSION | VU_REPLY, sizeof(uint64_t) }, 1,
    };

    ch->have = 0;
    if (ch->header.request == VU_BACKEND_CONFIG_CHANGE_MSG) {
        answer.result = 0;
        ch->fn(ch->opaque);
    }
    /* No room for an answer: it does not read them. */
    return !(ch->header.flags & VU_NEED_REPLY) ||
           send(ch->fd, &answer, sizeof(answer), MSG_DONTWAIT | MSG_NOSIGNAL) == sizeof(answer);
}

/* One recv() of the message's next part: descriptors that come along are not even taken. */
static bool channel_receive(VuChannel *ch)
{
    uint8_t trash[MAX_PAYLOAD];
    bool head = ch->have < sizeof(ch->header);
    void *buf = head ? (uint8_t *)&ch->header + ch->have : trash;
    size_t want = head ? sizeof(ch->header) - ch->have : ch->skip;
    ssize_t n = recv(ch->fd, buf, want, MSG_DONTWAIT);

    if (n <= 0) {
        return n < 0 && (errno == EAGAIN || errno == EINTR);
    }
    if (!head) {
        ch->skip -= n;
    } else {
        ch->have += n;
        if (ch->have < sizeof(ch->header)) {
            return true;
        }
        ch->skip = ch->header.size;
        if (ch->skip > MAX_PAYLOAD || (ch->header.flags & VU_VERSION_MASK) != VU_VERSION) {
            return false;
        }
    }
    return ch->skip || channel_serve(ch);
}

static gboolean channel_ready(gint fd, GIOCondition cond, gpointer opaque)
{
    VuChannel *ch = opaque;

    if (!channel_receive(ch)) {
        vu_channel_close(ch);
        return G_SOURCE_REMOVE;
    }
    return G_SOURCE_CONTINUE;
}

int vu_channel_open(VuChannel *ch)
{
    int pair[2];

    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0) {
        return -errno;
    }
    ch->fd = pair[0];
    ch->have = ch->skip = 0;
    ch->source = qemu_fd_source(NULL, ch->fd, G_IO_IN | G_IO_HUP | G_IO_ERR, channel_ready, ch,
                                NULL);
    return pair[1];
}
