/*
 * The frontend's side of chardevs: what devices and monitors call.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <errno.h>
#include <string.h>

#include "char-internal.h"
#include "qemu/cutils.h"

bool qemu_chr_fe_init(CharBackend *b, Chardev *s, Error **errp)
{
    const ChardevClass *cc = chr_class(s);

    if (cc->chr_attach) {
        if (!cc->chr_attach(s, b, errp)) {
            return false;
        }
    } else if (s->be) {
        error_setg(errp, "Device '%s' is in use", s->obj.id);
        return false;
    } else {
        s->be = b;
    }
    b->chr = s;
    b->fe_open = false;
    return true;
}

void qemu_chr_fe_deinit(CharBackend *b)
{
    Chardev *s = b->chr;

    if (!s) {
        return;
    }
    qemu_chr_fe_set_handlers(b, NULL, NULL, NULL, NULL);
    if (chr_class(s)->chr_detach) {
        chr_class(s)->chr_detach(s, b);
    } else {
        s->be = NULL;
    }
    b->chr = NULL;
}

void qemu_chr_fe_set_handlers(CharBackend *b, IOCanReadHandler *can_read,
                              IOReadHandler *read, IOEventHandler *event,
                              void *opaque)
{
    Chardev *s = b->chr;
    const ChardevClass *cc;

    if (!s) {
        return;
    }
    cc = chr_class(s);
    b->chr_can_read = can_read;
    b->chr_read = read;
    b->chr_event = event;
    b->opaque = opaque;
    b->fe_open = can_read || read || event;
    if (cc->chr_update_read_handler) {
        cc->chr_update_read_handler(s);
    }
    if (b->fe_open) {
        if (cc->chr_focus) {
            cc->chr_focus(s, b);    /* the input of a mux */
        }
        if (s->be_open && event) {
            event(opaque, CHR_EVENT_OPENED);
        }
    }
}

/* The copy in logfile; a full disk there is not the guest's trouble. */
static void write_log(Chardev *s, const uint8_t *buf, int len)
{
    if (s->logfd >= 0) {
        qemu_write_full(s->logfd, buf, len);
    }
}

int qemu_chr_fe_write(CharBackend *b, const uint8_t *buf, int len)
{
    Chardev *s = b->chr;
    int n;

    if (!s) {
        /* Nothing plugged in: the bytes go where a loose cable sends them. */
        return len;
    }
    n = chr_class(s)->chr_write(s, buf, len);
    if (n > 0) {
        b->written = true;
        write_log(s, buf, n);
        s->write_failed = false;
        return n;
    }
    if (n == -EAGAIN) {
        return 0;
    }
    if (n < 0 && !s->write_failed) {
        s->write_failed = true;
        warn_report("chardev %s: write failed: %s", s->obj.id, strerror(-n));
    }
    return n;
}

void qemu_chr_fe_accept_input(CharBackend *b)
{
    Chardev *s = b->chr;

    if (!s) {
        return;
    }
    if (chr_class(s)->chr_accept_input) {
        chr_class(s)->chr_accept_input(s);
    }
    if (chr_class(s)->chr_update_read_handler) {
        chr_class(s)->chr_update_read_handler(s);
    }
}

void qemu_chr_fe_set_open(CharBackend *b, bool open)
{
    b->fe_open = open;
}

void qemu_chr_fe_set_echo(CharBackend *b, bool echo)
{
    if (b->chr && chr_class(b->chr)->chr_set_echo) {
        chr_class(b->chr)->chr_set_echo(b->chr, echo);
    }
}

bool qemu_chr_fe_get_size(CharBackend *b, uint16_t *cols, uint16_t *rows)
{
    *cols = *rows = 0;
    return b->chr && chr_class(b->chr)->chr_get_size &&
           chr_class(b->chr)->chr_get_size(b->chr, cols, rows);
}

int qemu_chr_fe_get_msgfd(CharBackend *b)
{
    if (!b->chr || !chr_class(b->chr)->chr_get_msgfd) {
        return -1;
    }
    return chr_class(b->chr)->chr_get_msgfd(b->chr);
}

/* Watches ------------------------------------------------------------------ */

/*
 * Waits for room. The descriptor is polled as long as the peer is there; when
 * it goes the descriptor is taken out of the source before anybody closes it,
 * and the source fires at once: the frontend then finds that its bytes are
 * taken (and dropped), and nobody polls a number that was reused.
 */
typedef struct FEWatch {
    GSource source;
    Chardev *chr;
    struct FEWatch *next;   /* of the same chardev */
    gpointer fd_tag;
} FEWatch;

static gboolean watch_dispatch(GSource *source, GSourceFunc fn, gpointer opaque)
{
    FEWatch *w = downcast(source, FEWatch, source);
    GIOCondition cond = G_IO_HUP;

    if (w->fd_tag) {
        cond = g_source_query_unix_fd(source, w->fd_tag);
        if (!cond) {
            return G_SOURCE_CONTINUE;
        }
    }
    return ((FEWatchFunc *)(void (*)(void))fn)(opaque, cond);
}

static void watch_finalize(GSource *source)
{
    FEWatch *w = downcast(source, FEWatch, source);

    for (FEWatch **p = w->chr ? &w->chr->watches : NULL; p && *p; p = &(*p)->next) {
        if (*p == w) {
            *p = w->next;
            break;
        }
    }
}

static const GSourceFuncs watch_funcs = {
    .dispatch = watch_dispatch,
    .finalize = watch_finalize,
};

guint qemu_chr_fe_add_watch(CharBackend *b, GIOCondition cond,
                            FEWatchFunc *fn, void *opaque)
{
    Chardev *s = b->chr;
    GSource *source;
    FEWatch *w;
    int fd = -1;
    guint tag;

    if (!s) {
        return 0;
    }
    if (chr_class(s)->chr_watch_fd) {
        fd = chr_class(s)->chr_watch_fd(s);
    }
    source = g_source_new((GSourceFuncs *)&watch_funcs, sizeof(FEWatch));
    w = downcast(source, FEWatch, source);
    w->chr = s;
    w->next = s->watches;
    s->watches = w;
    if (fd >= 0) {
        w->fd_tag = g_source_add_unix_fd(source, fd, cond | G_IO_HUP | G_IO_ERR);
    } else {
        g_source_set_ready_time(source, 0);
    }
    g_source_set_callback(source, (GSourceFunc)(void (*)(void))fn, opaque, NULL);
    tag = g_source_attach(source, NULL);
    g_source_unref(source);
    return tag;
}

/* Let a watch fire once more, without its descriptor. */
static void watch_release(FEWatch *w)
{
    if (w->fd_tag && !g_source_is_destroyed(&w->source)) {
        g_source_remove_unix_fd(&w->source, w->fd_tag);
        w->fd_tag = NULL;
        g_source_set_ready_time(&w->source, 0);
    }
}

void chr_set_be_open(Chardev *s, bool open)
{
    s->be_open = open;
    if (!open) {
        for (FEWatch *w = s->watches; w; w = w->next) {
            watch_release(w);
        }
    }
}

void chr_drop_watches(Chardev *s)
{
    for (FEWatch *w = s->watches; w; w = w->next) {
        watch_release(w);
        w->chr = NULL;
    }
    s->watches = NULL;
}

/* The device property ------------------------------------------------------ */

static bool prop_chr_set(Object *obj, const Property *prop, const char *value,
                         Error **errp)
{
    CharBackend *b = property_field(obj, prop);
    Chardev *s = qemu_chr_find(value);
    Error *err = NULL;

    if (!s) {
        error_setg(errp, "Property '%s.%s' can't find value '%s'", obj->oc->name,
                   prop->name, value);
        return false;
    }
    qemu_chr_fe_deinit(b);
    if (!qemu_chr_fe_init(b, s, &err)) {
        error_propagate(errp, err);
        error_prepend(errp, "Property '%s.%s' can't take value '%s': ",
                      obj->oc->name, prop->name, value);
        return false;
    }
    return true;
}

static char *prop_chr_get(const Object *obj, const Property *prop)
{
    const CharBackend *b = property_field(obj, prop);

    return b->chr ? g_strdup(b->chr->obj.id) : NULL;
}

static void prop_chr_release(Object *obj, const Property *prop)
{
    qemu_chr_fe_deinit(property_field(obj, prop));
}

const PropertyInfo prop_chr = {
    .name = "str",
    .set = prop_chr_set,
    .get = prop_chr_get,
    .release = prop_chr_release,
};
