/*
 * A front end of a chardev that keeps what it is told, for tests.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "char-front.h"

#include <glib.h>

static int fe_can_read(void *opaque)
{
    return ((Fe *)opaque)->room;
}

static void fe_read(void *opaque, const uint8_t *buf, int size)
{
    Fe *f = opaque;

    g_assert_cmpint(size, <=, f->room);
    f->room -= f->fills ? size : 0;
    g_string_append_len(f->in, (const char *)buf, size);
}

static void fe_event(void *opaque, QEMUChrEvent event)
{
    g_string_append_c(((Fe *)opaque)->events, "OCB+-"[event]);
}

void fe_attach(Fe *f, Chardev *chr, int room)
{
    *f = (Fe) { .chr = chr, .in = g_string_new(NULL), .events = g_string_new(NULL),
                .room = room };
    g_assert_true(qemu_chr_fe_init(&f->b, chr, NULL));
    qemu_chr_fe_set_handlers(&f->b, fe_can_read, fe_read, fe_event, f);
}

void fe_detach(Fe *f)
{
    qemu_chr_fe_deinit(&f->b);
    g_string_free(f->in, TRUE);
    g_string_free(f->events, TRUE);
}
