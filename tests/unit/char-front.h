/*
 * A front end of a chardev that keeps what it is told, for tests.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef TESTS_CHAR_FRONT_H
#define TESTS_CHAR_FRONT_H

#include "chardev/char.h"

typedef struct Fe {
    CharBackend b;
    Chardev *chr;
    GString *in;
    GString *events;            /* a letter each: opened, closed, break, focus + and - */
    int room;                   /* bytes that it takes at once */
    bool fills;                 /* room is what is left of it */
} Fe;

/* It takes room bytes, again and again. */
void fe_attach(Fe *f, Chardev *chr, int room);
void fe_detach(Fe *f);

#endif
