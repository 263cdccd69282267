/*
 * Fields of 9P messages: taken off, appended.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "9p-internal.h"

#include <errno.h>
#include <stdarg.h>
#include <string.h>

#include "qemu/le.h"

/* size bytes, or NULL for good. */
static const uint8_t *take(V9fsCall *c, size_t size)
{
    const uint8_t *p = c->in;

    c->in = p && (size_t)(c->in_end - p) >= size ? p + size : NULL;
    return c->in ? p : NULL;
}

static uint64_t take_number(V9fsCall *c, unsigned size)
{
    const uint8_t *p = take(c, size);

    return p ? ld_le(p, size) : 0;
}

/* Over its own length, which nobody needs any more, so that there is room for the NUL. */
static const char *take_string(V9fsCall *c, int *ret)
{
    size_t len = take_number(c, 2);
    char *s = (char *)take(c, len);

    if (!s) {
        return "";
    }
    if (memchr(s, '\0', len)) {
        *ret = -EINVAL;
    }
    s--;
    memmove(s, s + 1, len);
    s[len] = '\0';
    return s;
}

int v9fs_get(V9fsCall *c, const char *format, ...)
{
    int ret = 0;
    va_list ap;

    va_start(ap, format);
    for (; *format; format++) {
        switch (*format) {
        case 'b':
            *va_arg(ap, uint8_t *) = take_number(c, 1);
            break;
        case 'w':
            *va_arg(ap, uint16_t *) = take_number(c, 2);
            break;
        case 'd':
            *va_arg(ap, uint32_t *) = take_number(c, 4);
            break;
        case 'q':
            *va_arg(ap, uint64_t *) = take_number(c, 8);
            break;
        case 's':
            *va_arg(ap, const char **) = take_string(c, &ret);
            break;
        default:
            g_assert_not_reached();
        }
    }
    va_end(ap);
    return c->in ? ret : V9FS_MALFORMED;
}

/* Room for size bytes in the answer, or NULL. */
static uint8_t *put_space(V9fsCall *c, uint32_t size)
{
    uint8_t *p = c->scratch->out + c->out;

    if (size > sizeof(c->scratch->out) - c->out) {
        return NULL;
    }
    c->out += size;
    return p;
}

static void put_number(V9fsCall *c, uint64_t value, unsigned size)
{
    uint8_t *p = put_space(c, size);

    g_assert(p);
    st_le(p, value, size);
}

static void put_string(V9fsCall *c, const char *s)
{
    size_t len = strlen(s);
    uint8_t *p;

    put_number(c, len, 2);
    p = put_space(c, len);
    g_assert(p);
    memcpy(p, s, len);
}

int v9fs_put(V9fsCall *c, const char *format, ...)
{
    const V9fsQid *qid;
    va_list ap;

    va_start(ap, format);
    for (; *format; format++) {
        switch (*format) {
        case 'b':
            put_number(c, va_arg(ap, unsigned), 1);
            break;
        case 'w':
            put_number(c, va_arg(ap, unsigned), 2);
            break;
        case 'd':
            put_number(c, va_arg(ap, unsigned), 4);
            break;
        case 'q':
            put_number(c, va_arg(ap, uint64_t), 8);
            break;
        case 's':
            put_string(c, va_arg(ap, const char *));
            break;
        case 'Q':
            qid = va_arg(ap, const V9fsQid *);
            put_number(c, qid->type, 1);
            put_number(c, qid->version, 4);
            put_number(c, qid->path, 8);
            break;
        default:
            g_assert_not_reached();
        }
    }
    va_end(ap);
    return 0;
}

uint32_t v9fs_room(const V9fsState *s, const V9fsCall *c, uint32_t before, uint32_t wanted)
{
    size_t all = MIN(s->msize, c->in_len);

    return all < before ? 0 : MIN(wanted, all - before);
}
