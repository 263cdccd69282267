/*
 * The multiplexer: up to four frontends share one chardev; keys after an
 * escape character (Ctrl-A) say who gets the input.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "char-internal.h"

#define MAX_MUX 4
/*
 * Input that waits for its frontend. While it lasts the escape keys are seen
 * even when the guest reads nothing; a longer paste stops at the terminal.
 */
#define MUX_BUFFER_SIZE 4096
#define DEFAULT_ESCAPE 0x01

typedef struct MuxInput {
    uint8_t buf[MUX_BUFFER_SIZE];
    unsigned head;
    unsigned len;
} MuxInput;

typedef struct MuxChardev {
    Chardev parent;
    CharBackend lower;          /* we are the frontend of the real chardev */
    CharBackend *frontends[MAX_MUX];
    MuxInput input[MAX_MUX];
    int focus;                  /* index of the frontend with the input, or -1 */
    bool got_escape;
    bool timestamps;
    bool line_start;
    int64_t start_ms;           /* when timestamps were first switched on, or 0 */
} MuxChardev;

static const ChardevClass mux_class;

static int escape_char(void)
{
    int c = chr_setup()->escape;

    return c ? c : DEFAULT_ESCAPE;
}

/* Frontends ---------------------------------------------------------------- */

static void send_event(MuxChardev *m, int n, QEMUChrEvent event)
{
    CharBackend *b = n >= 0 ? m->frontends[n] : NULL;

    if (b && b->chr_event) {
        b->chr_event(b->opaque, event);
    }
}

static void set_focus(MuxChardev *m, int n)
{
    int old = m->focus;

    m->focus = n;
    send_event(m, old, CHR_EVENT_MUX_OUT);
    send_event(m, n, CHR_EVENT_MUX_IN);
    /* Its buffer may have the room that the other's had not. */
    qemu_chr_fe_accept_input(&m->lower);
}

/* The attached frontend after n, n itself if it is alone, or -1. */
static int next_frontend(const MuxChardev *m, int n)
{
    for (int i = 1; i <= MAX_MUX; i++) {
        int slot = (n + i) % MAX_MUX;

        if (m->frontends[slot]) {
            return slot;
        }
    }
    return -1;
}

static bool mux_attach(Chardev *s, CharBackend *b, Error **errp)
{
    MuxChardev *m = downcast(s, MuxChardev, parent);

    for (int i = 0; i < MAX_MUX; i++) {
        if (!m->frontends[i]) {
            m->frontends[i] = b;
            m->input[i].len = 0;
            b->tag = i;
            return true;
        }
    }
    error_setg(errp, "too many uses of multiplexed chardev '%s' (maximum is %d)",
               s->obj.id, MAX_MUX);
    return false;
}

static void mux_detach(Chardev *s, CharBackend *b)
{
    MuxChardev *m = downcast(s, MuxChardev, parent);

    m->frontends[b->tag] = NULL;
    if (m->focus == b->tag) {
        m->focus = -1;
        set_focus(m, next_frontend(m, b->tag));
    }
}

static void mux_take_focus(Chardev *s, CharBackend *b)
{
    set_focus(downcast(s, MuxChardev, parent), b->tag);
}

/* Input -------------------------------------------------------------------- */

static void drain(MuxChardev *m, int n)
{
    MuxInput *in = &m->input[n];

    while (in->len) {
        CharBackend *b = m->frontends[n];
        unsigned run = MIN(in->len, MUX_BUFFER_SIZE - in->head);
        int room = b && b->chr_read && b->chr_can_read ?
                   b->chr_can_read(b->opaque) : 0;
        uint8_t *p = in->buf + in->head;

        if (room <= 0) {
            return;
        }
        run = MIN(run, (unsigned)room);
        /* Account first: the frontend may come back to us from its handler. */
        in->head = (in->head + run) % MUX_BUFFER_SIZE;
        in->len -= run;
        b->chr_read(b->opaque, p, run);
    }
}

static void put_input(MuxChardev *m, uint8_t byte)
{
    MuxInput *in;

    if (m->focus < 0) {
        return;
    }
    in = &m->input[m->focus];
    if (in->len < MUX_BUFFER_SIZE) {
        in->buf[(in->head + in->len++) % MUX_BUFFER_SIZE] = byte;
    }
}

static void put_text(MuxChardev *m, const char *text)
{
    qemu_chr_fe_write(&m->lower, (const uint8_t *)text, strlen(text));
}

static void print_help(MuxChardev *m)
{
    static const char *const keys[][2] = {
        { "h", "print this help" },
        { "x", "exit emulator" },
        { "s", "save disk data back to file (if -snapshot)" },
        { "t", "toggle console timestamps" },
        { "b", "send break (magic sysrq)" },
        { "c", "switch between console and monitor" },
    };
    g_autoptr(GString) text = g_string_new("\n\r");
    int esc = escape_char();
    char name[8];

    if (esc < 27) {
        snprintf(name, sizeof(name), "C-%c", esc - 1 + 'a');
    } else {
        snprintf(name, sizeof(name), "%c", esc);
    }
    for (size_t i = 0; i < G_N_ELEMENTS(keys); i++) {
        g_string_append_printf(text, "%s %s    %s\n\r", name, keys[i][0], keys[i][1]);
    }
    g_string_append_printf(text, "%s %s  sends %s\n\r", name, name, name);
    put_text(m, text->str);
}

static int64_t now_ms(void)
{
    return g_get_monotonic_time() / 1000;
}

static void escape_key(MuxChardev *m, uint8_t key)
{
    const ChardevSetup *setup = chr_setup();

    if (key == escape_char()) {
        put_input(m, key);
        return;
    }
    switch (key) {
    case '?':
    case 'h':
        print_help(m);
        break;
    case 'x':
        put_text(m, "QEMU: Terminated\n\r");
        if (setup->quit) {
            setup->quit(setup->opaque);
        }
        break;
    case 's':
        if (setup->commit) {
            setup->commit(setup->opaque);
        }
        break;
    case 'b':
        send_event(m, m->focus, CHR_EVENT_BREAK);
        break;
    case 'c':
        set_focus(m, next_frontend(m, m->focus < 0 ? 0 : m->focus));
        break;
    case 't':
        m->timestamps = !m->timestamps;
        m->start_ms = m->start_ms ? m->start_ms : now_ms();
        m->line_start = false;
        break;
    }
}

static void lower_read(void *opaque, const uint8_t *buf, int size)
{
    MuxChardev *m = opaque;

    for (int i = 0; i < size; i++) {
        if (m->got_escape) {
            m->got_escape = false;
            escape_key(m, buf[i]);
        } else if (buf[i] == escape_char()) {
            m->got_escape = true;
        } else {
            put_input(m, buf[i]);
        }
    }
    for (int i = 0; i < MAX_MUX; i++) {
        drain(m, i);
    }
}

static int lower_can_read(void *opaque)
{
    MuxChardev *m = opaque;

    return m->focus < 0 ? MUX_BUFFER_SIZE
                        : (int)(MUX_BUFFER_SIZE - m->input[m->focus].len);
}

static void lower_event(void *opaque, QEMUChrEvent event)
{
    MuxChardev *m = opaque;

    if (event == CHR_EVENT_BREAK) {
        send_event(m, m->focus, event);
        return;
    }
    if (event == CHR_EVENT_OPENED || event == CHR_EVENT_CLOSED) {
        chr_set_be_open(&m->parent, event == CHR_EVENT_OPENED);
    }
    for (int i = 0; i < MAX_MUX; i++) {
        send_event(m, i, event);
    }
}

static void mux_accept_input(Chardev *s)
{
    MuxChardev *m = downcast(s, MuxChardev, parent);

    for (int i = 0; i < MAX_MUX; i++) {
        drain(m, i);
    }
}

static void mux_update_read_handler(Chardev *s)
{
    qemu_chr_fe_accept_input(&downcast(s, MuxChardev, parent)->lower);
}

/* Output ------------------------------------------------------------------- */

/* Up to the end of the first line, after a stamp if a line starts. */
static int write_stamped(MuxChardev *m, const uint8_t *buf, int len)
{
    const uint8_t *newline = memchr(buf, '\n', len);
    int64_t ms = now_ms() - m->start_ms;
    char stamp[40];
    int n;

    if (m->line_start) {
        snprintf(stamp, sizeof(stamp), "[%02d:%02d:%02d.%03d] ", (int)(ms / 3600000),
                 (int)(ms / 60000 % 60), (int)(ms / 1000 % 60), (int)(ms % 1000));
        n = qemu_chr_fe_write(&m->lower, (uint8_t *)stamp, strlen(stamp));
        if (n <= 0) {
            return n ? n : -EAGAIN;
        }
        m->line_start = false;
    }
    n = qemu_chr_fe_write(&m->lower, buf, newline ? newline + 1 - buf : len);
    if (newline && n == newline + 1 - buf) {
        m->line_start = true;
    }
    return n ? n : -EAGAIN;
}

static int mux_write(Chardev *s, const uint8_t *buf, int len)
{
    MuxChardev *m = downcast(s, MuxChardev, parent);
    int done = 0, n;

    if (!m->timestamps) {
        n = qemu_chr_fe_write(&m->lower, buf, len);
        return n ? n : -EAGAIN;
    }
    while (done < len) {
        n = write_stamped(m, buf + done, len - done);
        if (n < 0) {
            return done ? done : n;
        }
        done += n;
    }
    return done;
}

static int mux_watch_fd(Chardev *s)
{
    Chardev *base = downcast(s, MuxChardev, parent)->lower.chr;

    return base && chr_class(base)->chr_watch_fd ?
           chr_class(base)->chr_watch_fd(base) : -1;
}

static void mux_set_echo(Chardev *s, bool echo)
{
    qemu_chr_fe_set_echo(&downcast(s, MuxChardev, parent)->lower, echo);
}

static bool mux_get_size(Chardev *s, uint16_t *cols, uint16_t *rows)
{
    return qemu_chr_fe_get_size(&downcast(s, MuxChardev, parent)->lower, cols, rows);
}

/* Life --------------------------------------------------------------------- */

static bool mux_open(Chardev *s, Error **errp)
{
    downcast(s, MuxChardev, parent)->focus = -1;
    return true;
}

static void mux_close(Chardev *s)
{
    MuxChardev *m = downcast(s, MuxChardev, parent);

    for (int i = 0; i < MAX_MUX; i++) {
        if (m->frontends[i]) {
            m->frontends[i]->chr = NULL;
        }
    }
    qemu_chr_fe_deinit(&m->lower);
}

static const ChardevClass mux_class = {
    .oc = {
        .name = "mux",
        .desc = "shares a chardev between frontends",
        .parent = &chardev_base_class,
        .instance_size = sizeof(MuxChardev),
    },
    .internal = true,
    .open = mux_open,
    .close = mux_close,
    .chr_write = mux_write,
    .chr_watch_fd = mux_watch_fd,
    .chr_update_read_handler = mux_update_read_handler,
    .chr_accept_input = mux_accept_input,
    .chr_set_echo = mux_set_echo,
    .chr_get_size = mux_get_size,
    .chr_attach = mux_attach,
    .chr_detach = mux_detach,
    .chr_focus = mux_take_focus,
};
DEFINE_CLASS(chardev_mux, &mux_class.oc);

const ObjectClass *mux_object_class(void)
{
    return &mux_class.oc;
}

Chardev *mux_chr_new(const char *id, Chardev *base, Error **errp)
{
    Chardev *s = chr_new_internal(&mux_class.oc, id, errp);
    MuxChardev *m = downcast(s, MuxChardev, parent);

    if (!s) {
        return NULL;
    }
    if (!qemu_chr_fe_init(&m->lower, base, errp)) {
        qemu_chr_remove(s, NULL);
        return NULL;
    }
    qemu_chr_fe_set_handlers(&m->lower, lower_can_read, lower_read, lower_event, m);
    return s;
}

Chardev *mux_chr_base(Chardev *s)
{
    return s->obj.oc == &mux_class.oc ? downcast(s, MuxChardev, parent)->lower.chr : NULL;
}

bool mux_chr_busy(Chardev *s)
{
    MuxChardev *m = downcast(s, MuxChardev, parent);

    return s->obj.oc == &mux_class.oc && next_frontend(m, 0) >= 0;
}
