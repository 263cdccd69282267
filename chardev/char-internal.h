/*
 * What the chardev backends share with the core and with one another.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef CHARDEV_CHAR_INTERNAL_H
#define CHARDEV_CHAR_INTERNAL_H

#include "chardev/char.h"

static inline const ChardevClass *chr_class(const Chardev *s)
{
    return downcast(s->obj.oc, const ChardevClass, oc);
}

/* What qemu_chr_setup() was told; never NULL. */
const ChardevSetup *chr_setup(void);

/*
 * Make a mux called id on top of base and put it into the list. NULL with errp
 * set on failure: base stays the caller's.
 */
Chardev *mux_chr_new(const char *id, Chardev *base, Error **errp);
const ObjectClass *mux_object_class(void);
/* What a mux sits on; NULL when s is no mux. */
Chardev *mux_chr_base(Chardev *s);
/* Is s a mux with a frontend? */
bool mux_chr_busy(Chardev *s);

/* An instance of a class without properties of its own, opened and listed. */
Chardev *chr_new_internal(const ObjectClass *oc, const char *id, Error **errp);

/*
 * A peer came or went: sets be_open and, when it went, wakes every frontend
 * that waits to write, before the backend closes the descriptor they poll.
 */
void chr_set_be_open(Chardev *s, bool open);

/* Forget the pending watches of a chardev that is about to be freed. */
void chr_drop_watches(Chardev *s);

/*
 * Input from a descriptor. It is polled only while the frontend takes input:
 * that is the back-pressure on the peer.
 */
typedef struct FDReader {
    Chardev *chr;
    int fd;                     /* -1: none; the owner closes it */
    guint tag;                  /* the source that polls, or 0 */
    void (*gone)(Chardev *s);   /* after end of file or an error */
} FDReader;

void fd_reader_init(FDReader *r, Chardev *chr, int fd, void (*gone)(Chardev *));
/* Start or stop polling, as the frontend can take input or not. */
void fd_reader_update(FDReader *r);
/* Stop and forget the descriptor. */
void fd_reader_stop(FDReader *r);

/* The size of the terminal fd, for chr_get_size(). */
bool chr_fd_get_size(int fd, uint16_t *cols, uint16_t *rows);
/* One write(2) of what fits: bytes, or negative errno (-EAGAIN: nothing fits). */
int chr_fd_write(int fd, const uint8_t *buf, int len);
/* Make fd non-blocking. */
void chr_fd_set_nonblock(int fd);
/* open(2) with O_CLOEXEC through EINTR; "Could not open 'P': …" on failure. */
int chr_open_file(const char *path, int flags, Error **errp);

#endif
