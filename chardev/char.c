/*
 * The list of chardevs and how the command line makes them.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "char-internal.h"
#include "qemu/fdset.h"
#include "qemu/similar.h"

/*
 * The one piece of process-wide state here. Chardevs are named by options
 * before there is a machine, and by devices and monitors that know each other
 * only through the name: somebody has to keep the list. The set-up belongs to
 * the terminal and the process, of which there is one as well.
 */
static struct {
    GPtrArray *list;            /* of Chardev, in order of creation */
    ChardevSetup setup;
} chr_state;

static const Property chardev_base_props[] = {
    DEFINE_PROP_STRING("logfile", Chardev, logfile, NULL,
                       "file that gets a copy of the output"),
    DEFINE_PROP_BOOL("logappend", Chardev, logappend, "off",
                     "add to logfile instead of emptying it"),
    DEFINE_PROP_BOOL("mux", Chardev, mux, "off",
                     "let up to four frontends share the chardev"),
    DEFINE_PROP_END
};

const ObjectClass chardev_base_class = {
    .name = "chardev",
    .instance_size = sizeof(Chardev),
    .props = chardev_base_props,
};

void qemu_chr_setup(const ChardevSetup *setup)
{
    chr_state.setup = *setup;
}

const ChardevSetup *chr_setup(void)
{
    return &chr_state.setup;
}

Chardev *qemu_chr_find(const char *label)
{
    for (guint i = 0; chr_state.list && i < chr_state.list->len; i++) {
        Chardev *s = g_ptr_array_index(chr_state.list, i);

        if (!strcmp(s->obj.id, label)) {
            return s;
        }
    }
    return NULL;
}

void qemu_chr_foreach(ChardevFn *fn, void *opaque)
{
    for (guint i = 0; chr_state.list && i < chr_state.list->len; i++) {
        fn(g_ptr_array_index(chr_state.list, i), opaque);
    }
}

/* Creation ----------------------------------------------------------------- */

static bool open_logfile(Chardev *s, Error **errp)
{
    int flags = O_WRONLY | O_CREAT | (s->logappend ? O_APPEND : O_TRUNC);

    s->logfd = -1;
    if (!s->logfile) {
        return true;
    }
    s->logfd = qemu_open(s->logfile, flags, 0666);
    if (s->logfd < 0) {
        error_setg_errno(errp, errno, "Could not create '%s'", s->logfile);
        return false;
    }
    /* Where it takes no more, the log has a gap: nobody waits for it. */
    chr_fd_set_nonblock(s->logfd);
    return true;
}

static void chr_free(Chardev *s)
{
    chr_drop_watches(s);
    if (s->logfd >= 0) {
        close(s->logfd);
    }
    g_free(s->filename);
    object_free(&s->obj);
}

/* Open s, whose properties are set, and put it into the list. */
static bool chr_open(Chardev *s, Error **errp)
{
    const ChardevClass *cc = chr_class(s);

    /* A peer that went must not end the process. */
    signal(SIGPIPE, SIG_IGN);
    if (!open_logfile(s, errp) || !cc->open(s, errp)) {
        return false;
    }
    if (!s->filename) {
        s->filename = g_strdup(s->obj.oc->name);
    }
    if (!chr_state.list) {
        chr_state.list = g_ptr_array_new();
    }
    g_ptr_array_add(chr_state.list, s);
    return true;
}

/* Does any backend have the option? All of them then let it pass, as in QEMU. */
static bool option_of_some_backend(const char *name)
{
    for (const ObjectClass *const *const *p = chardev_classes; *p; p++) {
        if (property_find(**p, name)) {
            return true;
        }
    }
    return false;
}

static bool chr_set_opts(Chardev *s, QemuOpts *opts, Error **errp)
{
    for (guint i = 0; i < opts->opts->len; i++) {
        QemuOpt *opt = &g_array_index(opts->opts, QemuOpt, i);

        opt->used = true;
        if (!strcmp(opt->name, "id") || !strcmp(opt->name, "backend")) {
            continue;
        }
        if (property_find(s->obj.oc, opt->name)) {
            if (!property_set(&s->obj, opt->name, opt->str, errp)) {
                return false;
            }
        } else if (!option_of_some_backend(opt->name)) {
            g_autofree char *meant = property_did_you_mean(s->obj.oc, opt->name);

            error_setg(errp, "Invalid parameter '%s'%s", opt->name, meant);
            return false;
        }
    }
    return true;
}

static const ObjectClass *find_class(QemuOpts *opts, const char *id, Error **errp)
{
    const char *name = qemu_opt_get(opts, "backend");
    const ObjectClass *oc;

    if (!id) {
        error_setg(errp, "chardev: no id specified");
        return NULL;
    }
    if (!qemu_check_id(id, errp)) {
        return NULL;
    }
    if (qemu_chr_find(id)) {
        error_setg(errp, "Duplicate ID '%s' for chardev", id);
        return NULL;
    }
    if (!name) {
        error_setg(errp, "chardev: \"%s\" missing backend", id);
        return NULL;
    }
    oc = object_class_by_name(chardev_classes, name);
    if (!oc || downcast(oc, const ChardevClass, oc)->internal) {
        g_autofree char *meant = object_class_did_you_mean(chardev_classes, name);

        error_setg(errp, "'%s' is not a valid char driver name%s", name, meant);
        return NULL;
    }
    return oc;
}

/* Close s, take it out of the list and free it; a frontend is left unattached. */
static void chr_destroy(Chardev *s)
{
    const ChardevClass *cc = chr_class(s);

    g_ptr_array_remove(chr_state.list, s);
    if (s->be) {
        s->be->chr = NULL;
        s->be = NULL;
    }
    if (cc->close) {
        cc->close(s);
    }
    chr_free(s);
}

Chardev *qemu_chr_new_from_opts(QemuOpts *opts, Error **errp)
{
    const char *id = qemu_opt_get(opts, "id");
    const ObjectClass *oc = find_class(opts, id, errp);
    Chardev *s, *mux;

    if (!oc) {
        return NULL;
    }
    s = downcast(object_new(oc, id), Chardev, obj);
    s->logfd = -1;
    if (!chr_set_opts(s, opts, errp)) {
        chr_free(s);
        return NULL;
    }
    if (s->mux) {
        g_free(s->obj.id);
        s->obj.id = g_strconcat(id, "-base", NULL);
    }
    if (!chr_open(s, errp)) {
        chr_free(s);
        return NULL;
    }
    if (!s->mux) {
        return s;
    }
    mux = mux_chr_new(id, s, errp);
    if (!mux) {
        chr_destroy(s);
    }
    return mux;
}

Chardev *chr_new_internal(const ObjectClass *oc, const char *id, Error **errp)
{
    Chardev *s = downcast(object_new(oc, id), Chardev, obj);

    s->logfd = -1;
    if (!chr_open(s, errp)) {
        chr_free(s);
        return NULL;
    }
    return s;
}

/* Short forms -------------------------------------------------------------- */

/* HOST:PORT[,options] or :PORT[,options]; the host may stand in brackets. */
static QemuOpts *parse_inet(const char *p, bool telnet, Error **errp)
{
    const char *comma = p + strcspn(p, ",");
    g_autofree char *address = g_strndup(p, comma - p);
    char *colon = strrchr(address, ':');
    char *host = address;
    QemuOpts *opts;

    if (!colon || !colon[1]) {
        error_setg(errp, "'%s' is not an address of the form HOST:PORT", address);
        return NULL;
    }
    opts = qemu_opts_parse(*comma ? comma + 1 : comma, NULL, errp);
    if (!opts) {
        return NULL;
    }
    *colon = '\0';
    if (*host == '[' && colon[-1] == ']') {
        host++;
        colon[-1] = '\0';
    }
    qemu_opt_set(opts, "host", host);
    qemu_opt_set(opts, "port", colon + 1);
    if (telnet) {
        qemu_opt_set(opts, "telnet", "on");
    }
    return opts;
}

static void short_form_error(const char *filename, Error **errp)
{
    static const char *const forms[] = {
        "null", "pty", "stdio", "ringbuf", "file", "pipe", "unix", "tcp", "telnet", "none",
        "chardev", "mon", NULL,
    };
    g_autofree char *word = g_strndup(filename, strcspn(filename, ":"));
    g_autofree char *meant = similar_of(word, forms);

    error_setg(errp, "'%s' is not a valid char driver%s", filename, meant);
}

/* The options that filename, without "mon:", stands for; backend is set. */
static QemuOpts *parse_short(const char *filename, Error **errp)
{
    static const char *const plain[] = { "null", "pty", "stdio", "ringbuf" };
    const char *backend = NULL, *p;
    QemuOpts *opts = NULL;

    for (size_t i = 0; i < G_N_ELEMENTS(plain); i++) {
        if (!strcmp(filename, plain[i])) {
            backend = plain[i];
            opts = qemu_opts_new();
        }
    }
    if (!strcmp(filename, "vc") || g_str_has_prefix(filename, "vc:")) {
        /* A console in a window: we have no windows. */
        backend = "null";
        opts = qemu_opts_new();
    } else if (g_str_has_prefix(filename, "file:") ||
               g_str_has_prefix(filename, "pipe:")) {
        /* The rest is a name, commas and all. */
        backend = *filename == 'f' ? "file" : "pipe";
        opts = qemu_opts_new();
        qemu_opt_append(opts, "path", filename + 5);
    } else if (g_str_has_prefix(filename, "unix:")) {
        backend = "socket";
        opts = qemu_opts_parse(filename + 5, "path", errp);
    } else if (g_str_has_prefix(filename, "tcp:") ||
               g_str_has_prefix(filename, "telnet:")) {
        backend = "socket";
        p = strchr(filename, ':') + 1;
        opts = parse_inet(p, filename[1] == 'e', errp);
    } else if (!backend) {
        short_form_error(filename, errp);
    }
    if (opts) {
        qemu_opt_set(opts, "backend", backend);
    }
    return opts;
}

Chardev *qemu_chr_new(const char *label, const char *filename, bool *mux_mon,
                      Error **errp)
{
    g_autoptr(QemuOpts) opts = NULL;
    const char *p;
    bool mon = g_str_has_prefix(filename, "mon:");
    Chardev *s;

    if (!strcmp(filename, "none")) {
        return NULL;
    }
    if (g_str_has_prefix(filename, "chardev:")) {
        p = filename + strlen("chardev:");
        s = qemu_chr_find(p);
        if (!s) {
            error_setg(errp, "Chardev '%s' not found", p);
        }
        return s;
    }
    p = mon ? filename + strlen("mon:") : filename;
    opts = parse_short(p, errp);
    if (!opts) {
        return NULL;
    }
    if (mon) {
        qemu_opt_set(opts, "mux", "on");
        if (!strcmp(p, "stdio")) {
            /* Ctrl-C is the guest's here; C-a x is the way out. */
            qemu_opt_set(opts, "signal", "off");
        }
    }
    qemu_opt_set(opts, "id", label);
    s = qemu_chr_new_from_opts(opts, errp);
    if (s && s->obj.oc == mux_object_class()) {
        if (mux_mon) {
            *mux_mon = true;
        } else if (mon) {
            error_setg(errp, "mon: isn't supported in this context");
            qemu_chr_remove(s, NULL);
            return NULL;
        }
    }
    return s;
}

/* Removal ------------------------------------------------------------------ */

bool qemu_chr_remove(Chardev *s, Error **errp)
{
    Chardev *base = mux_chr_base(s);

    if (s->be || mux_chr_busy(s)) {
        error_setg(errp, "Chardev '%s' is busy", s->obj.id);
        return false;
    }
    chr_destroy(s);
    if (base) {
        chr_destroy(base);
    }
    return true;
}

void qemu_chr_cleanup(void)
{
    /* The last first: a mux goes before what it sits on. */
    while (chr_state.list && chr_state.list->len) {
        chr_destroy(g_ptr_array_index(chr_state.list, chr_state.list->len - 1));
    }
    g_clear_pointer(&chr_state.list, g_ptr_array_unref);
}

/* What backends tell the frontend ------------------------------------------ */

int qemu_chr_be_can_write(Chardev *s)
{
    CharBackend *be = s->be;

    if (!be || !be->chr_read) {
        return 0;
    }
    return be->chr_can_read ? be->chr_can_read(be->opaque) : 0;
}

void qemu_chr_be_write(Chardev *s, const uint8_t *buf, int len)
{
    CharBackend *be = s->be;

    if (be && be->chr_read) {
        be->chr_read(be->opaque, buf, len);
    }
}

void qemu_chr_be_event(Chardev *s, QEMUChrEvent event)
{
    CharBackend *be = s->be;

    if (event == CHR_EVENT_OPENED || event == CHR_EVENT_CLOSED) {
        chr_set_be_open(s, event == CHR_EVENT_OPENED);
    }
    if (be && be->chr_event) {
        be->chr_event(be->opaque, event);
    }
}
