/*
 * The types that property rows have, and how a class's table names them.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef QEMU_PROPERTY_H
#define QEMU_PROPERTY_H

#include "qemu/object.h"

typedef enum OnOffAuto { ON_OFF_AUTO_AUTO, ON_OFF_AUTO_ON, ON_OFF_AUTO_OFF } OnOffAuto;

/* Names of an enum's values, in order, ending with NULL: Property.arg. */
typedef const char *const EnumNames[];

/* The values of a row of PROP_KIND_ENUM, ending with NULL. */
const char *const *property_names(const Property *prop);

extern const PropertyInfo prop_bool;        /* bool */
extern const PropertyInfo prop_on_off_auto; /* OnOffAuto */
extern const PropertyInfo prop_uint8;
extern const PropertyInfo prop_uint16;
extern const PropertyInfo prop_uint32;
extern const PropertyInfo prop_int32;
extern const PropertyInfo prop_uint64;
extern const PropertyInfo prop_size;        /* uint64_t, bytes; K/M/G/T/P/E */
extern const PropertyInfo prop_size32;      /* uint32_t, bytes */
extern const PropertyInfo prop_string;      /* char *, owned by the object */
extern const PropertyInfo prop_strlist;     /* GPtrArray * of char *: repeats add up */
extern const PropertyInfo prop_enum;        /* int; arg: EnumNames */
/* ObjectLink of a device; arg: ObjectLinkTarget. qdev_realize() finds the object. */
extern const PropertyInfo prop_link;
extern const PropertyInfo prop_ignored;     /* accepted and without effect */
/* What there is not, and why, in arg: only off or auto are accepted, or of texts none. */
extern const PropertyInfo prop_off, prop_off_auto, prop_no_string;

/* An object of -object that a device uses; object-del spares it. */
typedef struct ObjectLink {
    char *id;                       /* NULL: none */
    Object *obj;                    /* from qdev_realize() on */
} ObjectLink;

typedef struct ObjectLinkTarget {
    const char *what;               /* in messages */
    bool (*is)(const Object *obj);
} ObjectLinkTarget;

/* type is checked against the field at compile time. */
#define DEFINE_PROP(_name, _state, _field, _info, _type, _defval, _help) { \
        .name = (_name), .info = &(_info), \
        .offset = offsetof(_state, _field) + \
            0 * sizeof((_type *)0 == &((_state *)0)->_field), \
        .defval = (_defval), .help = (_help) }
#define DEFINE_PROP_BOOL(n, s, f, d, h) \
    DEFINE_PROP(n, s, f, prop_bool, bool, d, h)
#define DEFINE_PROP_ON_OFF_AUTO(n, s, f, d, h) \
    DEFINE_PROP(n, s, f, prop_on_off_auto, OnOffAuto, d, h)
#define DEFINE_PROP_UINT8(n, s, f, d, h) \
    DEFINE_PROP(n, s, f, prop_uint8, uint8_t, d, h)
#define DEFINE_PROP_UINT16(n, s, f, d, h) \
    DEFINE_PROP(n, s, f, prop_uint16, uint16_t, d, h)
#define DEFINE_PROP_UINT32(n, s, f, d, h) \
    DEFINE_PROP(n, s, f, prop_uint32, uint32_t, d, h)
#define DEFINE_PROP_INT32(n, s, f, d, h) \
    DEFINE_PROP(n, s, f, prop_int32, int32_t, d, h)
#define DEFINE_PROP_UINT64(n, s, f, d, h) \
    DEFINE_PROP(n, s, f, prop_uint64, uint64_t, d, h)
#define DEFINE_PROP_SIZE(n, s, f, d, h) \
    DEFINE_PROP(n, s, f, prop_size, uint64_t, d, h)
#define DEFINE_PROP_SIZE32(n, s, f, d, h) \
    DEFINE_PROP(n, s, f, prop_size32, uint32_t, d, h)
#define DEFINE_PROP_STRING(n, s, f, d, h) \
    DEFINE_PROP(n, s, f, prop_string, char *, d, h)
#define DEFINE_PROP_STRLIST(n, s, f, h) \
    DEFINE_PROP(n, s, f, prop_strlist, GPtrArray *, NULL, h)
#define DEFINE_PROP_ENUM(n, s, f, names, d, h) { \
        .name = (n), .info = &prop_enum, .offset = offsetof(s, f), \
        .defval = (d), .help = (h), .arg = (names) }
#define DEFINE_PROP_LINK(n, s, f, target, h) { \
        .name = (n), .info = &prop_link, .help = (h), .arg = (target), \
        .offset = offsetof(s, f) + 0 * sizeof((ObjectLink *)0 == &((s *)0)->f) }
#define DEFINE_PROP_IGNORED(n, h) { .name = (n), .info = &prop_ignored, .help = (h) }
/* Something that there is not: "off" and "auto" are accepted, "on" is the error why. */
#define DEFINE_PROP_OFF(n, why) { .name = (n), .info = &prop_off, .defval = "off", \
        .help = "not available: off", .arg = (why) }
#define DEFINE_PROP_OFF_AUTO(n, why) { .name = (n), .info = &prop_off_auto, .defval = "auto", \
        .help = "Not available: off or auto", .arg = (why) }
/* A text that is for something that there is not: any is the error why. */
#define DEFINE_PROP_NO_STRING(n, why) { .name = (n), .info = &prop_no_string, \
        .help = "not supported", .arg = (why) }
#define DEFINE_PROP_END { .name = NULL }

#endif
