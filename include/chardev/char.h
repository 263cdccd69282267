/*
 * Character devices: byte streams to the host's terminals, files and sockets.
 *
 * A Chardev is the host's side; at most one frontend (a CharBackend, embedded
 * in the device or monitor) is attached to it, or up to four through a mux.
 * Main loop and machine lock, except where noted.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef CHARDEV_CHAR_H
#define CHARDEV_CHAR_H

#include <stdint.h>
#include <sys/types.h>

#include "qemu/object.h"

typedef struct Chardev Chardev;
typedef struct ChardevClass ChardevClass;
typedef struct CharBackend CharBackend;

typedef enum QEMUChrEvent {
    CHR_EVENT_OPENED,       /* a peer is there */
    CHR_EVENT_CLOSED,       /* it went away */
    CHR_EVENT_BREAK,        /* serial break */
    CHR_EVENT_MUX_IN,       /* this frontend of a mux has the focus now */
    CHR_EVENT_MUX_OUT,
    CHR_EVENT_RESIZE,       /* the terminal has another size now */
} QEMUChrEvent;

/* How many bytes the frontend takes now; 0 stops the backend's reading. */
typedef int IOCanReadHandler(void *opaque);
typedef void IOReadHandler(void *opaque, const uint8_t *buf, int size);
typedef void IOEventHandler(void *opaque, QEMUChrEvent event);

struct ChardevClass {
    ObjectClass oc;         /* "socket", "pty", … and its property rows */
    bool internal;          /* not for -chardev: mux */
    /* Open what the properties name; the instance is zeroed before. */
    bool (*open)(Chardev *s, Error **errp);
    void (*close)(Chardev *s);          /* may be NULL */
    /*
     * Write without blocking: bytes taken, or negative errno; -EAGAIN when none
     * can be taken now.
     */
    int (*chr_write)(Chardev *s, const uint8_t *buf, int len);
    /*
     * The descriptor that polls writable when chr_write can take more, or -1:
     * it can now. NULL: it always can.
     */
    int (*chr_watch_fd)(Chardev *s);
    /* The frontend can read again, or was attached, or went: poll as needed. */
    void (*chr_update_read_handler)(Chardev *s);    /* may be NULL */
    void (*chr_accept_input)(Chardev *s);           /* may be NULL */
    void (*chr_set_echo)(Chardev *s, bool echo);    /* may be NULL */
    /* The terminal's size in characters; false: not known. NULL: never known. */
    bool (*chr_get_size)(Chardev *s, uint16_t *cols, uint16_t *rows);
    /* A file descriptor handed over by the peer (SCM_RIGHTS), or -1. */
    int (*chr_get_msgfd)(Chardev *s);               /* may be NULL */
    /* For backends with several frontends; NULL: one, which the core keeps. */
    bool (*chr_attach)(Chardev *s, CharBackend *b, Error **errp);
    void (*chr_detach)(Chardev *s, CharBackend *b);
    void (*chr_focus)(Chardev *s, CharBackend *b);
};

struct Chardev {
    Object obj;             /* id is the label */
    /* Rows that every backend has. */
    char *logfile;
    bool logappend;
    bool mux;

    CharBackend *be;        /* the frontend, or NULL */
    char *filename;         /* "pty:/dev/pts/3": what query-chardev shows; owned */
    int logfd;              /* -1: none */
    bool be_open;           /* a peer is there */
    bool write_failed;      /* the user was told */
    struct FEWatch *watches;    /* of frontends' watches that are pending */
};

/* Embedded in the frontend; zeroed means not attached. */
struct CharBackend {
    Chardev *chr;
    IOCanReadHandler *chr_can_read;
    IOReadHandler *chr_read;
    IOEventHandler *chr_event;
    void *opaque;
    int tag;                /* which of a mux's frontends */
    bool fe_open;
    bool written;           /* something was */
};

/* The rows common to all backends; parent of every chardev class. */
extern const ObjectClass chardev_base_class;

/* What floor 6 tells the chardevs once, before any is made. */
typedef struct ChardevSetup {
    void (*quit)(void *opaque);     /* C-a x in a mux: end the emulator */
    void (*commit)(void *opaque);   /* C-a s: save -snapshot data; may be NULL */
    void *opaque;
    int escape;                     /* -echr; 0: the default, C-a */
    bool no_stdio;                  /* -daemonize: nobody is at the terminal */
} ChardevSetup;
/* setup is copied. */
void qemu_chr_setup(const ChardevSetup *setup);

/*
 * -chardev: opts has "backend", "id" and the properties. The chardev is added
 * to the list that qemu_chr_find() searches. NULL with errp set on failure.
 */
Chardev *qemu_chr_new_from_opts(QemuOpts *opts, Error **errp);
/*
 * The short form of -serial, -monitor and -qmp: "stdio", "pty", "null",
 * "file:F", "pipe:F", "unix:P,server=on", "tcp:H:P", "telnet:…", "mon:stdio",
 * "chardev:ID", "none" (returns NULL without an error). label names a new one.
 * With mux_mon set, "mon:" asks the caller to attach a monitor to the mux.
 */
Chardev *qemu_chr_new(const char *label, const char *filename, bool *mux_mon,
                      Error **errp);
/* The chardev with this label, or NULL. */
Chardev *qemu_chr_find(const char *label);
/* Close, free and forget; refuses (errp) while a frontend uses it. */
bool qemu_chr_remove(Chardev *s, Error **errp);
/* Close them all at exit: sockets are unlinked, terminals restored. */
void qemu_chr_cleanup(void);
typedef void ChardevFn(Chardev *s, void *opaque);
void qemu_chr_foreach(ChardevFn *fn, void *opaque);

/* Frontends ------------------------------------------------------------- */

/* Attach b to s; false when s has all the frontends it can have. */
bool qemu_chr_fe_init(CharBackend *b, Chardev *s, Error **errp);
/* Detach; harmless on a zeroed b. */
void qemu_chr_fe_deinit(CharBackend *b);
/* Who gets input and events; NULLs stop input. Delivers OPENED if connected. */
void qemu_chr_fe_set_handlers(CharBackend *b, IOCanReadHandler *can_read,
                              IOReadHandler *read, IOEventHandler *event,
                              void *opaque);
/* Write what fits without blocking: bytes taken, 0 or more; -errno. */
int qemu_chr_fe_write(CharBackend *b, const uint8_t *buf, int len);
/*
 * Call fn once the peer takes bytes again; returns a source id for
 * g_source_remove(), or 0 if that can never happen. fn returns G_SOURCE_REMOVE
 * or G_SOURCE_CONTINUE.
 */
typedef gboolean FEWatchFunc(void *opaque, GIOCondition cond);
guint qemu_chr_fe_add_watch(CharBackend *b, GIOCondition cond,
                            FEWatchFunc *fn, void *opaque);
/* The frontend can take input again (its can_read was 0). */
void qemu_chr_fe_accept_input(CharBackend *b);
/* The device's end opened or closed (virtserialport). */
void qemu_chr_fe_set_open(CharBackend *b, bool open);
void qemu_chr_fe_set_echo(CharBackend *b, bool echo);
/*
 * The size of the terminal behind b; false (and both 0) if it is not known. Not every
 * backend can tell by an event when it changes: ask again when input comes.
 */
bool qemu_chr_fe_get_size(CharBackend *b, uint16_t *cols, uint16_t *rows);
/* The oldest descriptor that came with the input (caller closes it), or -1. */
int qemu_chr_fe_get_msgfd(CharBackend *b);

/* Backends --------------------------------------------------------------- */

/* How much the frontend takes, and handing it over. */
int qemu_chr_be_can_write(Chardev *s);
void qemu_chr_be_write(Chardev *s, const uint8_t *buf, int len);
void qemu_chr_be_event(Chardev *s, QEMUChrEvent event);

/*
 * Take up to len of the oldest bytes that a ringbuf chardev holds; how many, or
 * -EINVAL when s is none.
 */
ssize_t qemu_chr_ringbuf_read(Chardev *s, uint8_t *buf, size_t len);

/* A device property that names a chardev; the field is a CharBackend. */
extern const PropertyInfo prop_chr;
#define DEFINE_PROP_CHR(n, s, f) \
    DEFINE_PROP(n, s, f, prop_chr, CharBackend, NULL, "ID of a chardev to use")

#endif
