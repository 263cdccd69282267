/*
 * Who gets a machine says that all of it is there, and runs it when it is told to.
 *
 * Until "loaded" has come the guest is the source's, which may go on with it at any time. With
 * "yours" it gives it up. So it runs on one side at most, whatever breaks between them.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "internal.h"

int answer_write(Channel *c, SectionType type, const void *data, size_t len)
{
    SectionHeader h;
    struct iovec iov[] = { { &h, sizeof(h) }, { (void *)data, len } };

    format_make_section(&h, type, len, format_crc(0, data, len));
    return channel_writev(c, iov, len ? 2 : 1);
}

int reply_write(Channel *c, SectionType type, const char *text)
{
    return answer_write(c, type, text, MIN(strlen(text), FORMAT_MAX_REPLY));
}

static bool is_reply(const SectionHeader *h)
{
    return (h->type >= SECTION_LOADED && h->type <= SECTION_YOURS) ||
           (h->type == SECTION_REQUEST && h->length == sizeof(uint64_t)) ||
           h->type == SECTION_ARRIVED;
}

/* Text of another process is shown: one line. */
static void make_printable(char *text)
{
    for (; *text; text++) {
        *text = g_ascii_isprint(*text) ? *text : '?';
    }
}

static int read_all(Channel *c, void *data, size_t len)
{
    ssize_t n = channel_read(c, data, len);

    return n < 0 ? n : (size_t)n < len ? -ECONNRESET : 0;
}

int reply_read(Channel *c, SectionType *type, char *text)
{
    SectionHeader h;
    int ret = read_all(c, &h, sizeof(h));

    if (ret) {
        return ret;
    }
    if (!format_check_section(&h, NULL) || !is_reply(&h)) {
        return -EBADMSG;
    }
    ret = read_all(c, text, h.length);
    if (ret) {
        return ret;
    }
    text[h.length] = 0;
    *type = h.type;
    if (format_crc(0, text, h.length) != h.crc) {
        return -EBADMSG;
    }
    if (h.type != SECTION_REQUEST) {
        make_printable(text);
    }
    return 0;
}

/* It came in one piece, or there is none. */
char *reply_refusal(Channel *c)
{
    struct {
        SectionHeader h;
        char text[FORMAT_MAX_REPLY + 1];
    } in;
    ssize_t n = c->fd >= 0 && c->two_way ? read(c->fd, &in, sizeof(in) - 1) : -1;

    if (n < (ssize_t)sizeof(in.h) || !format_check_section(&in.h, NULL) ||
        in.h.type != SECTION_FAILED || in.h.length > n - sizeof(in.h) ||
        in.h.length > FORMAT_MAX_REPLY) {
        return NULL;
    }
    in.text[in.h.length] = 0;
    make_printable(in.text);
    return g_strdup(in.text);
}

int reply_confirm(Channel *c, char **refusal)
{
    char text[FORMAT_MAX_REPLY + 1];
    SectionType type;
    int ret = reply_read(c, &type, text);

    if (ret) {
        return ret;
    }
    if (type == SECTION_FAILED) {
        *refusal = g_strdup(text);
        return -EREMOTEIO;
    }
    /* What cannot be written nobody has read: the guest is still ours. */
    return type == SECTION_LOADED ? reply_write(c, SECTION_YOURS, "") : -EBADMSG;
}

bool reply_await(Channel *c, Error **errp)
{
    char text[FORMAT_MAX_REPLY + 1];
    SectionType type;
    int ret = reply_write(c, SECTION_LOADED, "");

    ret = ret ? ret : reply_read(c, &type, text);
    if (!ret && type != SECTION_YOURS) {
        ret = -EBADMSG;
    }
    if (ret) {
        error_setg_errno(errp, -ret, "the source keeps its guest");
    }
    return !ret;
}
