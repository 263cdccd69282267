/*
 * Fuzz target: what a QMP client sends. A value must be one: written down, it is read the same
 * again; and after whatever came the next message is understood.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "monitor/qmp-parser.h"

typedef struct Seen {
    unsigned values, errors;
    json_t *last;
} Seen;

static void take(json_t *value, const char *id, const char *error, void *opaque)
{
    Seen *seen = opaque;

    if (!value == !error) {
        abort();
    }
    seen->values += !error;
    seen->errors += !!error;
    json_decref(seen->last);
    seen->last = value;
}

static void feed(QmpParser *p, const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        qmp_parser_feed(p, text[i]);
    }
}

/* Compact text of a value that was read is read as the same value. */
static void check_again(const json_t *value)
{
    char *text = json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT);
    Seen seen = { 0 };
    QmpParser *p = qmp_parser_new(take, &seen);

    if (!text) {
        abort();
    }
    feed(p, text, strlen(text));
    feed(p, "\n", 1);
    if (seen.values != 1 || seen.errors || !json_equal(seen.last, value)) {
        abort();
    }
    json_decref(seen.last);
    qmp_parser_free(p);
    free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    Seen seen = { 0 };
    QmpParser *p = qmp_parser_new(take, &seen);

    feed(p, (const char *)data, size);
    if (seen.last) {
        check_again(seen.last);
    }
    json_decref(seen.last);
    qmp_parser_free(p);
    return 0;
}
