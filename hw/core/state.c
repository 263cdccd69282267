/*
 * State by its rows: to bytes and back.
 *
 * A field is a byte with the length of its name, the name, a byte with the size of an element (0:
 * what follows are fields again), four bytes with the length of what follows, and that.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "hw/core/state.h"

#include <string.h>

#include "qemu/timer.h"

#define LENGTH_SIZE 4

/* Writing ------------------------------------------------------------------- */

/* Everything of a field but its data; returns where its length stands. */
static guint put_head(GByteArray *out, const char *name, uint8_t size, uint32_t len)
{
    uint8_t n = strlen(name);

    g_byte_array_append(out, &n, 1);
    g_byte_array_append(out, (const uint8_t *)name, n);
    g_byte_array_append(out, &size, 1);
    g_byte_array_append(out, (const uint8_t *)&len, LENGTH_SIZE);
    return out->len - LENGTH_SIZE;
}

void state_put_int(GByteArray *out, const char *name, uint64_t value)
{
    put_head(out, name, sizeof(value), sizeof(value));
    g_byte_array_append(out, (const uint8_t *)&value, sizeof(value));
}

void state_put_bytes(GByteArray *out, const char *name, const void *data, uint32_t len)
{
    put_head(out, name, 1, len);
    g_byte_array_append(out, data, len);
}

void state_put_struct(GByteArray *out, const char *name, const StateField *rows,
                      const void *obj)
{
    guint at = put_head(out, name, 0, 0);
    uint32_t len;

    state_save_fields(rows, obj, out);
    len = out->len - at - LENGTH_SIZE;
    memcpy(out->data + at, &len, LENGTH_SIZE);
}

static void put_timer(GByteArray *out, const char *name, const QEMUTimer *ts)
{
    state_put_int(out, name, timer_pending(ts) ? (uint64_t)ts->expire : UINT64_MAX);
}

static void save_field(const StateField *row, const uint8_t *p, GByteArray *out)
{
    switch (row->kind) {
    case STATE_KIND_STRUCT:
        for (unsigned i = 0; i < row->count; i++) {
            state_put_struct(out, row->name, row->arg.rows, p + i * row->size);
        }
        break;
    case STATE_KIND_TIMER:
        put_timer(out, row->name, (const QEMUTimer *)p);
        break;
    case STATE_KIND_CUSTOM:
        row->arg.info->save(p, row->name, out);
        break;
    default:
        put_head(out, row->name, row->size, row->size * row->count);
        g_byte_array_append(out, p, row->size * row->count);
        break;
    }
}

void state_save_fields(const StateField *rows, const void *obj, GByteArray *out)
{
    for (; rows && rows->kind != STATE_KIND_END; rows++) {
        save_field(rows, (const uint8_t *)obj + rows->offset, out);
    }
}

/* Reading -------------------------------------------------------------------- */

/* A field as it stands in the section. */
typedef struct RawField {
    const char *name;       /* of name_len bytes */
    uint8_t name_len, size;
    uint32_t len;
    const uint8_t *data;
} RawField;

/* The next field, without taking it; false: there is none, or half of one. */
static bool peek(const StateReader *in, RawField *f)
{
    size_t head;

    if (!in->left) {
        return false;
    }
    f->name_len = in->p[0];
    head = 1 + f->name_len + 1 + LENGTH_SIZE;
    if (in->left < head) {
        return false;
    }
    f->name = (const char *)in->p + 1;
    f->size = in->p[1 + f->name_len];
    memcpy(&f->len, in->p + 2 + f->name_len, LENGTH_SIZE);
    f->data = in->p + head;
    return f->len <= in->left - head;
}

static bool is_called(const RawField *f, const char *name)
{
    return f->name_len == strlen(name) && !memcmp(f->name, name, f->name_len);
}

/* What a hostile source calls it is not fit to be printed. */
static bool take(StateReader *in, const char *name, RawField *f, Error **errp)
{
    if (!peek(in, f)) {
        error_setg(errp, "field '%s' is missing or cut off", name);
        return false;
    }
    if (!is_called(f, name)) {
        error_setg(errp, "another field stands where '%s' is expected", name);
        return false;
    }
    in->left -= (f->data - in->p) + f->len;
    in->p = f->data + f->len;
    return true;
}

/* count elements of size bytes, each at most max (0: any). */
static bool take_array(StateReader *in, const StateField *row, uint64_t max, RawField *f,
                       Error **errp)
{
    if (!take(in, row->name, f, errp)) {
        return false;
    }
    if (f->size != row->size || f->len != (uint32_t)row->size * row->count) {
        error_setg(errp, "field '%s' has another size", row->name);
        return false;
    }
    for (unsigned i = 0; max && i < row->count; i++) {
        uint64_t value = 0;

        memcpy(&value, f->data + i * row->size, row->size);
        if (value > max) {
            error_setg(errp, "field '%s' is out of range", row->name);
            return false;
        }
    }
    return true;
}

bool state_get_int(StateReader *in, const char *name, uint64_t max, uint64_t *value,
                   Error **errp)
{
    StateField row = { .kind = STATE_KIND_INT, .size = sizeof(*value), .count = 1 };
    RawField f;

    g_strlcpy(row.name, name, sizeof(row.name));
    if (!take_array(in, &row, max, &f, errp)) {
        return false;
    }
    memcpy(value, f.data, sizeof(*value));
    return true;
}

bool state_get_bytes(StateReader *in, const char *name, const uint8_t **data, uint32_t *len,
                     Error **errp)
{
    RawField f;

    if (!take(in, name, &f, errp)) {
        return false;
    }
    *data = f.data;
    *len = f.len;
    return true;
}

bool state_check_end(const StateReader *in, Error **errp)
{
    if (in->left) {
        error_setg(errp, "there are fields that this version does not know");
    }
    return !in->left;
}

bool state_get_struct(StateReader *in, const char *name, const StateField *rows, void *obj,
                      Error **errp)
{
    StateReader inner;
    RawField f;

    if (!take(in, name, &f, errp)) {
        return false;
    }
    inner = (StateReader) { .p = f.data, .left = f.len };
    if (f.size || !state_load_fields(rows, obj, &inner, errp) ||
        !state_check_end(&inner, errp)) {
        if (f.size) {
            error_setg(errp, "field '%s' is no struct", name);
        } else {
            error_prepend(errp, "%s: ", name);
        }
        return false;
    }
    return true;
}

static bool get_timer(StateReader *in, const char *name, QEMUTimer *ts, Error **errp)
{
    uint64_t expire;

    if (!state_get_int(in, name, 0, &expire, errp)) {
        return false;
    }
    if (expire != UINT64_MAX && expire > INT64_MAX) {
        error_setg(errp, "field '%s' is out of range", name);
        return false;
    }
    if (expire == UINT64_MAX) {
        timer_del(ts);
    } else {
        timer_mod_ns(ts, expire);
    }
    return true;
}

static bool load_field(const StateField *row, uint8_t *p, StateReader *in, Error **errp)
{
    RawField f;

    switch (row->kind) {
    case STATE_KIND_STRUCT:
        for (unsigned i = 0; i < row->count; i++) {
            if (!state_get_struct(in, row->name, row->arg.rows, p + i * row->size, errp)) {
                return false;
            }
        }
        return true;
    case STATE_KIND_TIMER:
        return get_timer(in, row->name, (QEMUTimer *)p, errp);
    case STATE_KIND_CUSTOM:
        return row->arg.info->load(p, row->name, in, errp);
    }
    if (!take_array(in, row, row->kind == STATE_KIND_BOOL ? 1 : row->max, &f, errp)) {
        return false;
    }
    memcpy(p, f.data, f.len);
    return true;
}

bool state_load_fields(const StateField *rows, void *obj, StateReader *in, Error **errp)
{
    for (; rows && rows->kind != STATE_KIND_END; rows++) {
        if (!load_field(rows, (uint8_t *)obj + rows->offset, in, errp)) {
            return false;
        }
    }
    return true;
}

const StateDesc state_none = { .version = 1 };
