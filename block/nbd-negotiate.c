/*
 * How a client of the NBD server and we come to terms: options, exports, contexts.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <string.h>

#include "nbd-conn.h"

#define MAX_QUERIES 64u
#define BASE "base:allocation"
#define BITMAP "qemu:dirty-bitmap:"

static bool skip(NbdConn *c, uint64_t len)
{
    uint8_t buf[4096];

    while (len) {
        size_t n = MIN(len, sizeof(buf));

        if (!nbd_conn_get(c, buf, n)) {
            return false;
        }
        len -= n;
    }
    return true;
}

static bool reply(NbdConn *c, uint32_t option, uint32_t type, const void *data, uint32_t len)
{
    uint8_t head[20], *p = head;

    nbd_put64(&p, NBD_OPTION_REPLY_MAGIC);
    nbd_put32(&p, option);
    nbd_put32(&p, type);
    nbd_put32(&p, len);
    return nbd_conn_put(c, head, sizeof(head)) && (!len || nbd_conn_put(c, data, len));
}

static bool refuse(NbdConn *c, uint32_t option, uint32_t error, const char *text)
{
    return reply(c, option, NBD_REP_ERR | error, text, strlen(text));
}

static uint16_t export_flags(const NbdExport *exp)
{
    return NBD_HAS_FLAGS | NBD_SEND_FLUSH | NBD_SEND_FUA | NBD_SEND_DF |
           (exp->writable ? NBD_SEND_TRIM | NBD_SEND_ZEROES : NBD_READ_ONLY | NBD_MULTI_CONN);
}

static uint64_t export_length(const NbdExport *exp)
{
    return __atomic_load_n(&exp->bs->length, __ATOMIC_ACQUIRE);
}

static bool send_list(NbdConn *c)
{
    g_auto(GStrv) names = nbd_export_names();
    bool ok = true;

    for (char **name = names; ok && *name; name++) {
        size_t len = strlen(*name);
        g_autofree uint8_t *buf = g_malloc(4 + len);
        uint8_t *p = buf;

        nbd_put32(&p, len);
        memcpy(p, *name, len);
        ok = reply(c, NBD_OPT_LIST, NBD_REP_SERVER, buf, 4 + len);
    }
    return ok && reply(c, NBD_OPT_LIST, NBD_REP_ACK, NULL, 0);
}

static bool send_info(NbdConn *c, uint32_t option, const NbdExport *exp)
{
    uint8_t size[12], block[14], *p = size;
    const char *text = exp->description;
    bool ok;

    nbd_put16(&p, NBD_INFO_EXPORT);
    nbd_put64(&p, export_length(exp));
    nbd_put16(&p, export_flags(exp));
    p = block;
    nbd_put16(&p, NBD_INFO_BLOCK_SIZE);
    nbd_put32(&p, BDRV_SECTOR_SIZE);
    nbd_put32(&p, 65536);
    nbd_put32(&p, NBD_MAX_PAYLOAD);
    ok = reply(c, option, NBD_REP_INFO, size, sizeof(size)) &&
         reply(c, option, NBD_REP_INFO, block, sizeof(block));
    if (ok && text) {
        g_autofree uint8_t *buf = g_malloc(2 + strlen(text));
        uint8_t *q = buf;

        nbd_put16(&q, NBD_INFO_DESCRIPTION);
        memcpy(q, text, strlen(text));
        ok = reply(c, option, NBD_REP_INFO, buf, 2 + strlen(text));
    }
    return ok && reply(c, option, NBD_REP_ACK, NULL, 0);
}

static void forget_contexts(NbdConn *c)
{
    c->want_base = false;
    g_ptr_array_set_size(c->want_bitmaps, 0);
    g_clear_pointer(&c->meta_name, g_free);
}

/* The requests are for exp from now on, whose user the connection is. */
static bool use_export(NbdConn *c, NbdExport *exp)
{
    c->exp = exp;
    if (!nbd_export_use(exp)) {
        return false;
    }
    c->length = export_length(exp);
    c->ready = true;
    if (!c->meta_name || strcmp(c->meta_name, exp->name)) {
        forget_contexts(c);
    }
    return true;
}

/* A name of an option's data; NULL: there is none. */
static char *take_name(const uint8_t **p, const uint8_t *end)
{
    uint64_t len;
    char *name;

    if (end - *p < 4) {
        return NULL;
    }
    len = nbd_get(p, 4);
    if (len > NBD_MAX_NAME || len > (uint64_t)(end - *p) || memchr(*p, 0, len)) {
        return NULL;
    }
    name = g_strndup((const char *)*p, len);
    *p += len;
    return name;
}

static bool answer_go(NbdConn *c, uint32_t option, const uint8_t *p, const uint8_t *end)
{
    g_autofree char *name = take_name(&p, end);
    NbdExport *exp;
    bool ok;

    if (!name || end - p < 2 || (uint64_t)(end - p - 2) != nbd_get(&p, 2) * 2) {
        return refuse(c, option, NBD_ERR_INVALID, "malformed request");
    }
    exp = nbd_export_get(name);
    if (!exp) {
        return refuse(c, option, NBD_ERR_UNKNOWN, "export not present");
    }
    ok = send_info(c, option, exp);
    if (ok && option == NBD_OPT_GO) {
        return use_export(c, exp);
    }
    nbd_export_put(exp);
    return ok;
}

/* The oldest way: no answer but what the export is. */
static bool answer_export_name(NbdConn *c, const uint8_t *p, uint32_t len)
{
    g_autofree char *name = g_strndup((const char *)p, len);
    NbdExport *exp = nbd_export_get(name);
    uint8_t buf[10 + 124] = { 0 }, *q = buf;

    if (!exp || !use_export(c, exp)) {
        return false;
    }
    nbd_put64(&q, c->length);
    nbd_put16(&q, export_flags(exp));
    return nbd_conn_put(c, buf, c->no_zeroes ? 10 : sizeof(buf));
}

/* Contexts: what stretches of the disk a client wants to be told of --------------------------- */

static bool send_context(NbdConn *c, uint32_t option, uint32_t id, const char *name)
{
    size_t len = strlen(name);
    g_autofree uint8_t *buf = g_malloc(4 + len);
    uint8_t *p = buf;

    nbd_put32(&p, option == NBD_OPT_SET_META ? id : 0);
    memcpy(p, name, len);
    return reply(c, option, NBD_REP_META, buf, 4 + len);
}

/* Does the query ask for the context? A list takes beginnings, too. */
static bool is_asked(const char *query, const char *name, bool list)
{
    size_t len = strlen(query);

    return !strcmp(query, name) ||
           (list && (!len || (query[len - 1] == ':' && g_str_has_prefix(name, query))));
}

bool nbd_conn_wants(const NbdConn *c, const char *bitmap)
{
    return g_ptr_array_find_with_equal_func(c->want_bitmaps, bitmap, g_str_equal, NULL);
}

static bool answer_query(NbdConn *c, uint32_t option, const NbdExport *exp, const char *query)
{
    bool list = option == NBD_OPT_LIST_META, ok = true;

    if (is_asked(query, BASE, list) && (list || !c->want_base)) {
        c->want_base = true;
        ok = send_context(c, option, 0, BASE);
    }
    for (unsigned i = 0; ok && exp->bitmaps[i]; i++) {
        const char *bitmap = exp->bitmaps[i]->name;
        g_autofree char *name = g_strconcat(BITMAP, bitmap, NULL);

        if (is_asked(query, name, list) && (list || !nbd_conn_wants(c, bitmap))) {
            g_ptr_array_add(c->want_bitmaps, g_strdup(bitmap));
            ok = send_context(c, option, i + 1, name);
        }
    }
    return ok;
}

static bool answer_queries(NbdConn *c, uint32_t option, const NbdExport *exp, const uint8_t *p,
                           const uint8_t *end)
{
    uint64_t n = nbd_get(&p, 4);
    bool ok = true;

    if (!n && option == NBD_OPT_LIST_META) {
        ok = answer_query(c, option, exp, "");
    }
    for (uint64_t i = 0; ok && i < n; i++) {
        g_autofree char *query = i < MAX_QUERIES ? take_name(&p, end) : NULL;

        if (!query) {
            forget_contexts(c);
            return refuse(c, option, NBD_ERR_INVALID, "malformed request");
        }
        ok = answer_query(c, option, exp, query);
    }
    return ok && reply(c, option, NBD_REP_ACK, NULL, 0);
}

static bool answer_meta(NbdConn *c, uint32_t option, const uint8_t *p, const uint8_t *end)
{
    g_autofree char *name = take_name(&p, end);
    NbdExport *exp;
    bool ok;

    if (!c->structured || !name || end - p < 4) {
        return refuse(c, option, NBD_ERR_INVALID, "malformed request, or no structured replies");
    }
    forget_contexts(c);
    exp = nbd_export_get(name);
    if (!exp) {
        return refuse(c, option, NBD_ERR_UNKNOWN, "export not present");
    }
    c->meta_name = g_strdup(name);
    ok = answer_queries(c, option, exp, p, end);
    nbd_export_put(exp);
    if (option == NBD_OPT_LIST_META) {
        forget_contexts(c);
    }
    return ok;
}

static bool answer_option(NbdConn *c, uint32_t option, const uint8_t *data, uint32_t len)
{
    switch (option) {
    case NBD_OPT_EXPORT_NAME:
        return answer_export_name(c, data, len);
    case NBD_OPT_ABORT:
        reply(c, option, NBD_REP_ACK, NULL, 0);
        return false;
    case NBD_OPT_LIST:
        return len ? refuse(c, option, NBD_ERR_INVALID, "malformed request") : send_list(c);
    case NBD_OPT_STRUCTURED_REPLY:
        if (len) {
            return refuse(c, option, NBD_ERR_INVALID, "malformed request");
        }
        c->structured = true;
        return reply(c, option, NBD_REP_ACK, NULL, 0);
    case NBD_OPT_INFO:
    case NBD_OPT_GO:
        return answer_go(c, option, data, data + len);
    case NBD_OPT_LIST_META:
    case NBD_OPT_SET_META:
        return answer_meta(c, option, data, data + len);
    case NBD_OPT_STARTTLS:
        return refuse(c, option, NBD_ERR_POLICY, "TLS is not configured");
    default:
        return refuse(c, option, NBD_ERR_UNSUP, "unsupported option");
    }
}

static bool negotiate_option(NbdConn *c)
{
    uint8_t head[16];
    const uint8_t *p = head;
    uint32_t option, len;
    uint64_t magic;

    if (!nbd_conn_get(c, head, sizeof(head))) {
        return false;
    }
    magic = nbd_get(&p, 8);
    option = nbd_get(&p, 4);
    len = nbd_get(&p, 4);
    if (magic != NBD_OPTION_MAGIC || (option == NBD_OPT_EXPORT_NAME && len > NBD_MAX_NAME)) {
        return false;
    }
    if (len > NBD_MAX_OPTION) {
        return len <= NBD_MAX_PAYLOAD && skip(c, len) &&
               refuse(c, option, NBD_ERR_TOO_BIG, "too much data");
    }
    return (!len || nbd_conn_get(c, c->buf, len)) && answer_option(c, option, c->buf, len);
}

bool nbd_negotiate(NbdConn *c)
{
    uint8_t hello[18], *p = hello, answer[4];
    const uint8_t *q = answer;
    uint32_t flags;

    nbd_put64(&p, NBD_MAGIC);
    nbd_put64(&p, NBD_OPTION_MAGIC);
    nbd_put16(&p, NBD_FIXED_NEWSTYLE | NBD_NO_ZEROES);
    if (!nbd_conn_put(c, hello, sizeof(hello)) || !nbd_conn_get(c, answer, sizeof(answer))) {
        return false;
    }
    flags = nbd_get(&q, 4);
    c->no_zeroes = flags & NBD_NO_ZEROES;
    if (!(flags & NBD_FIXED_NEWSTYLE) || (flags & ~(NBD_FIXED_NEWSTYLE | NBD_NO_ZEROES))) {
        return false;
    }
    while (!c->ready) {
        if (!negotiate_option(c)) {
            return false;
        }
    }
    return true;
}
