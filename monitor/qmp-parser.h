/*
 * A stream of JSON values, byte by byte, with QEMU's extensions and limits.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef MONITOR_QMP_PARSER_H
#define MONITOR_QMP_PARSER_H

#include <glib.h>
#include <jansson.h>
#include <stdbool.h>

/* Limits of one message. */
#define QMP_MAX_SIZE    (8u << 20)      /* bytes */
#define QMP_MAX_TOKENS  (256u << 10)
#define QMP_MAX_DEPTH   1024u

typedef struct QmpParser QmpParser;

/*
 * Called once for each complete value (error is NULL; value is the callee's to
 * unref), or malformed message (value is NULL; error as QEMU words it). id is
 * the exact text of the member "id" of an object, or NULL.
 */
typedef void QmpParserFn(json_t *value, const char *id, const char *error,
                         void *opaque);

QmpParser *qmp_parser_new(QmpParserFn *fn, void *opaque);
void qmp_parser_free(QmpParser *p);
/*
 * Feed one byte. Values may be in single or double quotes; numbers above
 * INT64_MAX and up to UINT64_MAX arrive as negative integers (their bits), larger
 * ones as reals. fn may be called up to two times.
 */
void qmp_parser_feed(QmpParser *p, char c);

#endif
