/*
 * What a guest can tell a machine's state by: rows that say where it is, for saving and loading.
 *
 * A device has a StateDesc in its DeviceClass, next to its properties: each field is either a
 * property, a row here, or named by STATE_NOT() with the reason why it is not saved;
 * scripts/check-tree compares. A description turns into a section, a list of named fields, and
 * back (docs/devel/machine-state.rst). All of it runs on the main thread, the machine being
 * stopped, with the machine lock held.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef HW_CORE_STATE_H
#define HW_CORE_STATE_H

#include <glib.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "qemu/error.h"

typedef struct MachineState MachineState;
typedef struct StateField StateField;
typedef struct StateReader StateReader;

typedef enum StateKind {
    STATE_KIND_END,
    STATE_KIND_INT,         /* count numbers of size bytes each, little-endian */
    STATE_KIND_BOOL,
    STATE_KIND_STRUCT,      /* count structs of size bytes, described by rows */
    STATE_KIND_TIMER,       /* a QEMUTimer of QEMU_CLOCK_VIRTUAL */
    STATE_KIND_CUSTOM,      /* info */
} StateKind;

/* A field, or several of one name, that rows alone do not describe. */
typedef struct StateInfo {
    /* Append to out by state_put_*(). */
    void (*save)(const void *field, const char *name, GByteArray *out);
    /* Take back what save() wrote, by state_get_*(). The source is hostile. */
    bool (*load)(void *field, const char *name, StateReader *in, Error **errp);
} StateInfo;

/* One field. No pointer where none is needed: rows without one need no relocation. */
struct StateField {
    char name[23];
    uint8_t kind;           /* StateKind */
    uint32_t offset;
    uint16_t size;
    uint16_t count;
    uint64_t max;           /* INT: a higher number is refused; 0: any is good */
    union {
        const StateField *rows;
        const StateInfo *info;
    } arg;
};

/* A section. */
typedef struct StateDesc {
    const char *name;       /* NULL: the device's class */
    uint16_t version;
    bool optional;          /* where the file has none of it nothing is loaded */
    const StateField *fields;           /* NULL: there is nothing */
    /* Why this one cannot be saved: text to follow "NAME " (static), or NULL. May be NULL. */
    const char *(*blocker)(const void *obj);
    /* Make the fields say all; the machine may go on afterwards. May be NULL. */
    void (*pre_save)(void *obj);
    /* Check what came together, and act on it. May be NULL. */
    bool (*post_load)(void *obj, Error **errp);
} StateDesc;

/* For devices without any state of their own. */
extern const StateDesc state_none;

#define STATE_SIZE(_s, _f) sizeof(((_s *)0)->_f)
#define STATE_ROW(_s, _f, _kind, _size, _count) \
    .name = #_f, .kind = (_kind), .offset = offsetof(_s, _f), .size = (_size), .count = (_count)
/* A number of 1, 2, 4 or 8 bytes; of at most max. */
#define STATE_INT(_s, _f) { STATE_ROW(_s, _f, STATE_KIND_INT, STATE_SIZE(_s, _f), 1) }
#define STATE_MAX(_s, _f, _max) \
    { STATE_ROW(_s, _f, STATE_KIND_INT, STATE_SIZE(_s, _f), 1), .max = (_max) }
#define STATE_BOOL(_s, _f) \
    { STATE_ROW(_s, _f, STATE_KIND_BOOL, STATE_SIZE(_s, _f) / (STATE_SIZE(_s, _f) == 1), 1) }
/* An array of numbers. */
#define STATE_ARRAY(_s, _f) \
    { STATE_ROW(_s, _f, STATE_KIND_INT, STATE_SIZE(_s, _f[0]), \
                STATE_SIZE(_s, _f) / STATE_SIZE(_s, _f[0])) }
/* Whatever it is, as bytes: arrays of arrays. */
#define STATE_BYTES(_s, _f) { STATE_ROW(_s, _f, STATE_KIND_INT, 1, STATE_SIZE(_s, _f)) }
#define STATE_TIMER(_s, _f) \
    { STATE_ROW(_s, _f, STATE_KIND_TIMER, STATE_SIZE(_s, _f), 1) }
/* A struct, and an array of them. */
#define STATE_STRUCT(_s, _f, _rows) \
    { STATE_ROW(_s, _f, STATE_KIND_STRUCT, STATE_SIZE(_s, _f), 1), .arg.rows = (_rows) }
#define STATE_STRUCTS(_s, _f, _rows) \
    { STATE_ROW(_s, _f, STATE_KIND_STRUCT, STATE_SIZE(_s, _f[0]), \
                STATE_SIZE(_s, _f) / STATE_SIZE(_s, _f[0])), .arg.rows = (_rows) }
#define STATE_CUSTOM(_s, _f, _info) \
    { STATE_ROW(_s, _f, STATE_KIND_CUSTOM, 0, 1), .arg.info = &(_info) }
#define STATE_END { .kind = STATE_KIND_END }

/* This field of the struct is not saved, and why; stands between functions. */
#define STATE_NOT(_s, _f, _why) _Static_assert(sizeof(((_s *)0)->_f) > 0, _why)

/*
 * For the initializers of classes: desc, or NULL in a program without migration, which then has
 * none of what desc names either.
 */
#define MACHINE_STATE(_desc) (CONFIG_HAS_MIGRATION ? (_desc) : NULL)

/* Writing ------------------------------------------------------------------- */

/* Append the fields of obj that rows describe. */
void state_save_fields(const StateField *rows, const void *obj, GByteArray *out);
void state_put_int(GByteArray *out, const char *name, uint64_t value);
void state_put_bytes(GByteArray *out, const char *name, const void *data, uint32_t len);
void state_put_struct(GByteArray *out, const char *name, const StateField *rows,
                      const void *obj);

/* Reading -------------------------------------------------------------------- */

/* Bytes that are left of a section, or of a struct in it. */
struct StateReader {
    const uint8_t *p;
    size_t left;
};

/* False with errp set if there is anything that rows do not allow. obj is then half loaded. */
bool state_load_fields(const StateField *rows, void *obj, StateReader *in, Error **errp);
bool state_get_int(StateReader *in, const char *name, uint64_t max, uint64_t *value,
                   Error **errp);
/* *data points into the section. */
bool state_get_bytes(StateReader *in, const char *name, const uint8_t **data, uint32_t *len,
                     Error **errp);
bool state_get_struct(StateReader *in, const char *name, const StateField *rows, void *obj,
                      Error **errp);
/* Nothing may be left. */
bool state_check_end(const StateReader *in, Error **errp);

/* Call fn for each part of the machine that has state, in the order in which it is loaded. */
typedef void StateFn(const StateDesc *desc, const char *name, unsigned instance, void *obj,
                     void *opaque);

#endif
