/*
 * The little language in which the command table names types.
 *
 *   s string   i integer   b boolean   n number   a anything   t a scalar that becomes a text
 *   u 4 2 1 unsigned integers of 8, 4, 2, 1 bytes   [T] array of T   (x|y) one of these strings
 *   {name:T,?name:T,*} object; '?' marks what may be left out, '*' allows more
 *   <x:{…},y:{…}> one of these strings: the object around it has that one's members, too
 *   B O N the same with the names of block drivers, objects, network back ends; their members
 *   are the rows of their classes, where QAPI has no other idea of them
 *   R options of a block node, or a node's name   Q the same, or null
 *   V overlap checks of qcow2: a string or an object
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef MONITOR_QMP_TYPES_H
#define MONITOR_QMP_TYPES_H

#include <jansson.h>

#include "qemu/property.h"

/* The first byte behind the type at t. */
const char *qmp_type_end(const char *t);

typedef struct QmpMember {
    const char *name;
    size_t name_len;
    bool optional;
    bool any;               /* '*': others are allowed; no name, no type */
    const char *type;
} QmpMember;

/* The member at *p, which moves to the next one; false at the end. */
bool qmp_next_member(const char **p, QmpMember *m);
bool qmp_has_member(const char *members, const char *name);

/* A string at which the object around gets more members. */
bool qmp_is_tag(const char *type);
/* What B, O and N stand for, ending with NULL. */
const ObjectClass *const *const *qmp_tag_classes(char letter);
/* The members that come with this value; NULL: there is no such value. Caller frees. */
char *qmp_tag_members(const char *type, const char *value);
/* For the schema, where nodes have theirs in common: of the class without its parents. */
char *qmp_class_members(char letter, const ObjectClass *oc);

/* A row's type, as a property of oc. Caller frees. */
char *qmp_row_type(const ObjectClass *oc, const Property *row);

/* Check a value, or the members of an object, with QEMU's messages; name: as the client sees it. */
bool qmp_check_value(const char *type, json_t *v, const char *name, Error **errp);
bool qmp_check_args(const char *members, json_t *args, Error **errp);

#endif
