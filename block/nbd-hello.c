/*
 * How an NBD server and we, its client, come to terms ("Newstyle negotiation").
 *
 * What the server says is bounded: by the time that all of it may take, and each length by what
 * it can mean.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>

#include "nbd-client.h"

#define MAX_TEXT 512u           /* of an error's message that is shown */
#define MAX_BLOCK (1u << 20)    /* no request is longer: a reply is never long in coming */

static const char base_context[] = "base:allocation";

static bool get(NbdStream *s, void *buf, size_t len)
{
    uint8_t *p = buf;

    while (len) {
        ssize_t n = nbd_stream_wait(s, POLLIN) ? recv(s->fd, p, len, MSG_DONTWAIT) : 0;

        if (n > 0) {
            p += n;
            len -= n;
        } else if (n == 0 || (errno != EAGAIN && errno != EINTR)) {
            return false;
        }
    }
    return true;
}

static bool put(NbdStream *s, const void *buf, size_t len)
{
    const uint8_t *p = buf;

    while (len) {
        ssize_t n = nbd_stream_wait(s, POLLOUT) ?
            send(s->fd, p, len, MSG_NOSIGNAL | MSG_DONTWAIT) : 0;

        if (n > 0) {
            p += n;
            len -= n;
        } else if (n == 0 || (errno != EAGAIN && errno != EINTR)) {
            return false;
        }
    }
    return true;
}

static bool skip(NbdStream *s, uint32_t len)
{
    uint8_t buf[4096];

    while (len) {
        size_t n = MIN(len, sizeof(buf));

        if (!get(s, buf, n)) {
            return false;
        }
        len -= n;
    }
    return true;
}

static bool lost(Error **errp)
{
    error_setg(errp, "Failed to read data: the server does not answer, or has gone");
    return false;
}

static bool ask(NbdStream *s, uint32_t option, const void *data, uint32_t len)
{
    uint8_t head[16], *p = head;

    nbd_put64(&p, NBD_OPTION_MAGIC);
    nbd_put32(&p, option);
    nbd_put32(&p, len);
    return put(s, head, sizeof(head)) && put(s, data, len);
}

typedef struct Reply {
    uint32_t type, len;
} Reply;

static bool get_reply(NbdStream *s, uint32_t option, Reply *r, Error **errp)
{
    uint8_t head[20];
    const uint8_t *p = head;

    if (!get(s, head, sizeof(head))) {
        return lost(errp);
    }
    if (nbd_get(&p, 8) != NBD_OPTION_REPLY_MAGIC || nbd_get(&p, 4) != option) {
        error_setg(errp, "Unexpected option reply from the NBD server");
        return false;
    }
    r->type = nbd_get(&p, 4);
    r->len = nbd_get(&p, 4);
    if (r->len > NBD_MAX_OPTION) {
        error_setg(errp, "The NBD server's option reply of %" PRIu32 " bytes is too long", r->len);
        return false;
    }
    return true;
}

static bool get_error(NbdStream *s, const Reply *r, const char *name, Error **errp)
{
    char text[MAX_TEXT + 1] = "";
    uint32_t len = MIN(r->len, MAX_TEXT);

    if (!get(s, text, len) || !skip(s, r->len - len)) {
        return lost(errp);
    }
    for (char *p = text; *p; p++) {
        *p = g_ascii_isprint(*p) ? *p : '?';
    }
    if (r->type == (NBD_REP_ERR | NBD_ERR_UNKNOWN)) {
        error_setg(errp, "Requested export not available: '%s'", name);
    } else if (r->type == (NBD_REP_ERR | NBD_ERR_UNSUP)) {
        error_setg(errp, "The NBD server is too old: it does not know NBD_OPT_GO");
    } else if (r->type == (NBD_REP_ERR | NBD_ERR_TLS)) {
        error_setg(errp, "The NBD server wants TLS, which is not supported");
    } else {
        error_setg(errp, "The NBD server refuses export '%s'%s%s", name, *text ? ": " : "", text);
    }
    return false;
}

/* Facts of the export, one a reply; what is not known is skipped. */
static bool get_info(NbdStream *s, const Reply *r, NbdTerms *t, bool *any, Error **errp)
{
    uint8_t buf[14];
    const uint8_t *p = buf;
    uint16_t type;

    if (r->len < 2 || !get(s, buf, 2)) {
        return lost(errp);
    }
    type = nbd_get(&p, 2);
    if ((type == NBD_INFO_EXPORT && r->len != 12) ||
        (type == NBD_INFO_BLOCK_SIZE && r->len != 14)) {
        error_setg(errp, "The NBD server's answer has a wrong length");
        return false;
    }
    if (type != NBD_INFO_EXPORT && type != NBD_INFO_BLOCK_SIZE) {
        return skip(s, r->len - 2) || lost(errp);
    }
    if (!get(s, buf + 2, r->len - 2)) {
        return lost(errp);
    }
    if (type == NBD_INFO_EXPORT) {
        t->size = nbd_get(&p, 8);
        t->flags = nbd_get(&p, 2);
        *any = true;
    } else {
        t->min_block = nbd_get(&p, 4);
        nbd_get(&p, 4);         /* preferred */
        t->max_block = nbd_get(&p, 4);
    }
    return true;
}

static bool check_terms(NbdTerms *t, Error **errp)
{
    if (t->size > INT64_MAX - BDRV_SECTOR_SIZE) {
        error_setg(errp, "Export length %" PRIu64 " is too large", t->size);
    } else if (!t->min_block || t->min_block > BDRV_SECTOR_SIZE ||
               (t->min_block & (t->min_block - 1))) {
        error_setg(errp, "The NBD server's minimum block size %" PRIu32 " is not supported",
                   t->min_block);
    } else if (t->max_block < 4096) {
        error_setg(errp, "The NBD server's maximum block size %" PRIu32 " is too small",
                   t->max_block);
    } else {
        t->max_block = MIN(t->max_block, MAX_BLOCK) / 4096 * 4096;
        return true;
    }
    return false;
}

static bool go(NbdStream *s, const char *name, NbdTerms *t, Error **errp)
{
    uint32_t len = strlen(name);
    g_autofree uint8_t *data = g_malloc(4 + len + 4);
    uint8_t *p = data;
    bool any = false;
    Reply r;

    nbd_put32(&p, len);
    memcpy(p, name, len);
    p += len;
    nbd_put16(&p, 1);
    nbd_put16(&p, NBD_INFO_BLOCK_SIZE);
    if (!ask(s, NBD_OPT_GO, data, p - data)) {
        return lost(errp);
    }
    while (get_reply(s, NBD_OPT_GO, &r, errp)) {
        if (r.type & NBD_REP_ERR) {
            return get_error(s, &r, name, errp);
        }
        if (r.type == NBD_REP_ACK) {
            if (!any || r.len) {
                error_setg(errp, "The NBD server did not say what the export is");
                return false;
            }
            return check_terms(t, errp);
        }
        if (r.type != NBD_REP_INFO) {
            error_setg(errp, "Unexpected option reply from the NBD server");
            return false;
        }
        if (!get_info(s, &r, t, &any, errp)) {
            return false;
        }
    }
    return false;
}

/* An option that a server need not know. *yes: it does. */
static bool ask_structured(NbdStream *s, bool *yes, Error **errp)
{
    Reply r;

    if (!ask(s, NBD_OPT_STRUCTURED_REPLY, NULL, 0)) {
        return lost(errp);
    }
    if (!get_reply(s, NBD_OPT_STRUCTURED_REPLY, &r, errp)) {
        return false;
    }
    *yes = r.type == NBD_REP_ACK;
    return skip(s, r.len) || lost(errp);
}

/* One context of those that were asked for: its number, and its name. */
static bool get_context(NbdStream *s, const Reply *r, NbdTerms *t, Error **errp)
{
    uint8_t buf[4 + sizeof(base_context) - 1];
    const uint8_t *p = buf;

    if (r->len != sizeof(buf)) {
        return skip(s, r->len) || lost(errp);
    }
    if (!get(s, buf, sizeof(buf))) {
        return lost(errp);
    }
    t->base_id = nbd_get(&p, 4);
    t->has_base = !memcmp(p, base_context, sizeof(base_context) - 1);
    return true;
}

static bool ask_contexts(NbdStream *s, const char *name, NbdTerms *t, Error **errp)
{
    uint32_t len = strlen(name), query = sizeof(base_context) - 1;
    g_autofree uint8_t *data = g_malloc(12 + len + query);
    uint8_t *p = data;
    Reply r;

    nbd_put32(&p, len);
    memcpy(p, name, len);
    p += len;
    nbd_put32(&p, 1);
    nbd_put32(&p, query);
    memcpy(p, base_context, query);
    if (!ask(s, NBD_OPT_SET_META, data, 12 + len + query)) {
        return lost(errp);
    }
    while (get_reply(s, NBD_OPT_SET_META, &r, errp)) {
        if (r.type != NBD_REP_META) {
            return skip(s, r.len) || lost(errp);
        }
        if (!get_context(s, &r, t, errp)) {
            return false;
        }
    }
    return false;
}

bool nbd_hello(NbdStream *s, const char *export_name, NbdTerms *terms, Error **errp)
{
    uint8_t head[18], answer[4], *out = answer;
    const uint8_t *p = head;
    unsigned flags;

    if (!get(s, head, sizeof(head))) {
        return lost(errp);
    }
    if (nbd_get(&p, 8) != NBD_MAGIC || nbd_get(&p, 8) != NBD_OPTION_MAGIC) {
        error_setg(errp, "Server does not speak NBD, or an old form of it");
        return false;
    }
    flags = nbd_get(&p, 2);
    if (!(flags & NBD_FIXED_NEWSTYLE)) {
        error_setg(errp, "Server does not support fixed newstyle negotiation");
        return false;
    }
    nbd_put32(&out, flags & (NBD_FIXED_NEWSTYLE | NBD_NO_ZEROES));
    if (!put(s, answer, sizeof(answer))) {
        return lost(errp);
    }
    *terms = (NbdTerms) { .min_block = 1, .max_block = MAX_BLOCK };
    return ask_structured(s, &terms->structured, errp) &&
           (!terms->structured || ask_contexts(s, export_name, terms, errp)) &&
           go(s, export_name, terms, errp);
}
