/*
 * Line editing by libedit, for monitors on any character device.
 *
 * libedit wants a terminal and waits for keys; a monitor's peer may be a socket
 * or one of a mux's frontends, and the main loop must not wait. Three things
 * bring them together:
 *
 * - The terminal that libedit asks for modes and sizes is a pseudo terminal of
 *   our own, on which nothing is ever read or written.
 * - Output goes to a stream whose writes end in the monitor's buffer.
 * - libedit is called for one key at a time. A key of several bytes (an arrow)
 *   may have arrived in part: libedit then asks for a character that is not
 *   there, gives the key up, and is shown all of it again with the next byte.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "hmp-edit.h"

#include <fcntl.h>
#include <histedit.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/ttydefaults.h>
#include <unistd.h>

#include "qemu/error.h"
#include "qemu/library.h"

#define EDIT_SONAME     "libedit.so.2"
#define HISTORY_MAX     64
/* Longer than any key; what stays incomplete beyond that is none. */
#define KEY_MAX         16
/* What a peer that tells no size is: wide enough for a whole line, one row. */
#define UNKNOWN_COLS    (HMP_LINE_MAX + 32)

/* The functions that we use, with the library's types. */
typedef struct EditLib {
    __typeof__(el_init_fd) *init_fd;
    __typeof__(el_end) *end;
    __typeof__(el_wset) *set;
    __typeof__(el_wget) *get;
    __typeof__(el_wgets) *gets;
    __typeof__(el_wline) *line;
    __typeof__(el_winsertstr) *insertstr;
    __typeof__(el_resize) *resize;
    __typeof__(history_winit) *history_init;
    __typeof__(history_wend) *history_end;
    __typeof__(history_w) *history;
} EditLib;

struct HmpEdit {
    const EditLib *lib;
    locale_t utf8;
    Monitor *mon;
    HmpCompleteFn *complete;
    wchar_t *prompt;
    EditLine *el;
    HistoryW *history;
    FILE *out;
    int tty;
    bool mute;                  /* what is written shows already */
    char utf8_in[8];            /* a character that is not complete yet */
    unsigned utf8_len;
    wchar_t key[KEY_MAX];       /* typed, not yet taken by libedit */
    unsigned key_len, key_pos;
    bool starved;               /* libedit asked for more than was there */
};

/* The library ------------------------------------------------------------- */

static bool edit_lib_load(EditLib *lib, Error **errp)
{
    static const LibrarySymbol symbols[] = {
        { "el_init_fd", offsetof(EditLib, init_fd) },
        { "el_end", offsetof(EditLib, end) },
        { "el_wset", offsetof(EditLib, set) },
        { "el_wget", offsetof(EditLib, get) },
        { "el_wgets", offsetof(EditLib, gets) },
        { "el_wline", offsetof(EditLib, line) },
        { "el_winsertstr", offsetof(EditLib, insertstr) },
        { "el_resize", offsetof(EditLib, resize) },
        { "history_winit", offsetof(EditLib, history_init) },
        { "history_wend", offsetof(EditLib, history_end) },
        { "history_w", offsetof(EditLib, history) },
    };

    return library_load(EDIT_SONAME, symbols, G_N_ELEMENTS(symbols), lib, errp);
}

/* The library, loaded by the first who asks; NULL for ever if that failed. */
static const EditLib *edit_lib(void)
{
    static EditLib lib;
    static bool tried, loaded;
    Error *err = NULL;

    if (!tried) {
        tried = true;
        loaded = edit_lib_load(&lib, &err);
        if (!loaded) {
            warn_report("no line editing in monitors: %s", error_get_pretty(err));
            error_free(err);
        }
    }
    return loaded ? &lib : NULL;
}

/* What libedit calls ------------------------------------------------------- */

static HmpEdit *edit_of(EditLine *el)
{
    HmpEdit *ed = NULL;

    /* Every editor's library is the same. */
    edit_lib()->get(el, EL_CLIENTDATA, &ed);
    return ed;
}

static int edit_getc(EditLine *el, wchar_t *ch)
{
    HmpEdit *ed = edit_of(el);

    if (ed->key_pos == ed->key_len) {
        ed->starved = true;
        return 0;
    }
    *ch = ed->key[ed->key_pos++];
    return 1;
}

static wchar_t *edit_prompt(EditLine *el)
{
    return edit_of(el)->prompt;
}

static ssize_t edit_write(void *cookie, const char *buf, size_t len)
{
    HmpEdit *ed = cookie;
    g_autofree char *text = g_strndup(buf, len);

    if (!ed->mute) {
        monitor_puts(ed->mon, text);
    }
    return len;
}

/* What all of list begin with, as a length. */
static size_t common_prefix(GPtrArray *list)
{
    const char *first = g_ptr_array_index(list, 0);
    size_t common = strlen(first);

    for (guint i = 1; i < list->len; i++) {
        const char *other = g_ptr_array_index(list, i);
        size_t n = 0;

        while (n < common && other[n] == first[n]) {
            n++;
        }
        common = n;
    }
    return common;
}

static void show_list(Monitor *mon, GPtrArray *list)
{
    monitor_puts(mon, "\n");
    for (guint i = 0; i < list->len; i++) {
        monitor_printf(mon, "%-20s%s", (char *)g_ptr_array_index(list, i),
                       i % 4 == 3 || i + 1 == list->len ? "\n" : "");
    }
}

/* UTF-8 text as libedit takes it. */
static wchar_t *to_wide(const char *text)
{
    G_STATIC_ASSERT(sizeof(wchar_t) == sizeof(gunichar));
    return (wchar_t *)g_utf8_to_ucs4_fast(text, -1, NULL);
}

static char *from_wide(const wchar_t *text, size_t len)
{
    return g_ucs4_to_utf8((const gunichar *)text, len, NULL, NULL, NULL);
}

/* The Tab key. */
static unsigned char edit_complete(EditLine *el, wint_t ch)
{
    HmpEdit *ed = edit_of(el);
    const LineInfoW *line = ed->lib->line(el);
    g_autofree char *head = from_wide(line->buffer, line->cursor - line->buffer);
    g_autoptr(GPtrArray) list = g_ptr_array_new_with_free_func(g_free);
    g_autofree char *more = NULL;
    g_autofree wchar_t *wide = NULL;
    const char *word;
    size_t typed, common;

    if (!head) {
        return CC_ERROR;
    }
    word = strrchr(head, ' ') ? strrchr(head, ' ') + 1 : head;
    typed = strlen(word);
    ed->complete(ed->mon, head, list);
    if (!list->len) {
        return CC_ERROR;
    }
    common = common_prefix(list);
    if (common <= typed && list->len > 1) {
        show_list(ed->mon, list);
        return CC_REDISPLAY;
    }
    more = g_strdup_printf("%.*s%s", (int)(common - typed),
                           (char *)g_ptr_array_index(list, 0) + typed,
                           list->len == 1 ? " " : "");
    wide = to_wide(more);
    return ed->lib->insertstr(el, wide) ? CC_ERROR : CC_REFRESH;
}

/* Life --------------------------------------------------------------------- */

/* A terminal for libedit to ask for modes and size, or -1. */
static int open_tty(void)
{
    int fd = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);

    if (fd < 0) {
        warn_report("no line editing in monitors: no pseudo terminal: %s",
                    g_strerror(errno));
    }
    return fd;
}

static void set_size(HmpEdit *ed)
{
    struct winsize size = { .ws_row = 1, .ws_col = UNKNOWN_COLS };

    qemu_chr_fe_get_size(&ed->mon->chr, &size.ws_col, &size.ws_row);
    ioctl(ed->tty, TIOCSWINSZ, &size);
}

/* Keys beyond libedit's own for Emacs; and those that wait for a key, off. */
static void bind_keys(HmpEdit *ed)
{
    static const struct {
        const wchar_t *key, *action;
    } keys[] = {
        { L"\t", L"hmp-complete" },
        { L"^D", L"ed-delete-next-char" },
        { L"^U", L"vi-kill-line-prev" },
        { L"^W", L"ed-delete-prev-word" },
        { L"^R", L"ed-unassigned" },
        { L"^S", L"ed-unassigned" },
        { L"^V", L"ed-unassigned" },
        { L"^Q", L"ed-unassigned" },
        { L"\\ex", L"ed-unassigned" },
        { L"\\eX", L"ed-unassigned" },
        { L"\\e[H", L"ed-move-to-beg" },
        { L"\\e[1~", L"ed-move-to-beg" },
        { L"\\e[F", L"ed-move-to-end" },
        { L"\\e[4~", L"ed-move-to-end" },
        { L"\\e[3~", L"ed-delete-next-char" },
        { L"\\e[2~", L"ed-ignore" },
        { L"\\e[5~", L"ed-ignore" },
        { L"\\e[6~", L"ed-ignore" },
        { L"\\e[1;5C", L"em-next-word" },
        { L"\\e[1;5D", L"ed-prev-word" },
    };

    ed->lib->set(ed->el, EL_ADDFN, L"hmp-complete", L"Complete the word", edit_complete);
    for (size_t i = 0; i < G_N_ELEMENTS(keys); i++) {
        ed->lib->set(ed->el, EL_BIND, keys[i].key, keys[i].action, NULL);
    }
}

/* While the library works, the C library's characters are UTF-8. */
static locale_t edit_enter(HmpEdit *ed)
{
    return uselocale(ed->utf8 ? ed->utf8 : (locale_t)0);
}

static void edit_leave(HmpEdit *ed, locale_t old)
{
    fflush(ed->out);
    uselocale(old);
}

static void edit_setup(HmpEdit *ed)
{
    const EditLib *lib = ed->lib;
    HistEventW ev;

    /* Whatever the terminal is that the program was started from. */
    lib->set(ed->el, EL_TERMINAL, "vt100");
    lib->set(ed->el, EL_EDITOR, L"emacs");
    lib->set(ed->el, EL_SIGNAL, 0);
    lib->set(ed->el, EL_CLIENTDATA, ed);
    lib->set(ed->el, EL_GETCFN, edit_getc);
    lib->set(ed->el, EL_PROMPT, edit_prompt);
    ed->history = lib->history_init();
    if (ed->history) {
        lib->history(ed->history, &ev, H_SETSIZE, HISTORY_MAX);
        lib->history(ed->history, &ev, H_SETUNIQUE, 1);
        lib->set(ed->el, EL_HIST, lib->history, ed->history);
    }
    bind_keys(ed);
    lib->set(ed->el, EL_UNBUFFERED, 1);
}

HmpEdit *hmp_edit_new(Monitor *mon, const char *prompt, HmpCompleteFn *complete)
{
    const cookie_io_functions_t io = { .write = edit_write };
    const EditLib *lib = edit_lib();
    int tty = lib ? open_tty() : -1;
    HmpEdit *ed;
    locale_t old;

    if (tty < 0) {
        return NULL;
    }
    ed = g_new0(HmpEdit, 1);
    ed->lib = lib;
    ed->mon = mon;
    ed->complete = complete;
    ed->prompt = to_wide(prompt);
    ed->tty = tty;
    ed->utf8 = newlocale(LC_CTYPE_MASK, "C.UTF-8", (locale_t)0);
    set_size(ed);
    ed->out = fopencookie(ed, "w", io);
    old = edit_enter(ed);
    ed->mute = true;
    ed->el = lib->init_fd("qemu", ed->out, ed->out, ed->out, tty, tty, tty);
    if (ed->el) {
        edit_setup(ed);
    }
    edit_leave(ed, old);
    ed->mute = false;
    if (!ed->el) {
        g_clear_pointer(&ed, hmp_edit_free);
    }
    return ed;
}

void hmp_edit_free(HmpEdit *ed)
{
    if (!ed) {
        return;
    }
    ed->mute = true;
    if (ed->el) {
        ed->lib->end(ed->el);
    }
    if (ed->history) {
        ed->lib->history_end(ed->history);
    }
    fclose(ed->out);
    if (ed->utf8) {
        freelocale(ed->utf8);
    }
    close(ed->tty);
    g_free(ed->prompt);
    g_free(ed);
}

/* Use ------------------------------------------------------------------------ */

void hmp_edit_prompt(HmpEdit *ed)
{
    locale_t old = edit_enter(ed);

    ed->lib->set(ed->el, EL_UNBUFFERED, 0);
    ed->lib->set(ed->el, EL_UNBUFFERED, 1);
    edit_leave(ed, old);
}

void hmp_edit_show(HmpEdit *ed)
{
    locale_t old = edit_enter(ed);

    ed->lib->set(ed->el, EL_REFRESH);
    edit_leave(ed, old);
}

void hmp_edit_resize(HmpEdit *ed)
{
    locale_t old = edit_enter(ed);

    set_size(ed);
    ed->lib->resize(ed->el);
    edit_leave(ed, old);
}

char *hmp_edit_history(HmpEdit *ed, unsigned i)
{
    int next = H_LAST;      /* libedit's last is the oldest */
    HistEventW ev;

    do {
        if (!ed->history || ed->lib->history(ed->history, &ev, next) < 0) {
            return NULL;
        }
        next = H_PREV;
    } while (i--);
    return from_wide(ev.str, wcslen(ev.str));
}

/* Whether *ch is a character now that byte is there. */
static bool utf8_char(HmpEdit *ed, uint8_t byte, wchar_t *ch)
{
    gunichar c;

    if (byte < 0x80) {
        ed->utf8_len = 0;
        *ch = byte;
        return true;
    }
    ed->utf8_in[ed->utf8_len++] = byte;
    c = g_utf8_get_char_validated(ed->utf8_in, ed->utf8_len);
    if (c == (gunichar)-2 && ed->utf8_len < 6) {
        return false;
    }
    ed->utf8_len = 0;
    *ch = c;
    return g_unichar_validate(c);
}

static bool line_is_full(HmpEdit *ed)
{
    const LineInfoW *line = ed->lib->line(ed->el);

    return line->lastchar - line->buffer >= HMP_LINE_MAX;
}

/* One key to libedit: the line without its end when that completes it. */
static char *edit_key(HmpEdit *ed)
{
    const wchar_t *line;
    HistEventW ev;
    char *text;
    int len = 0;

    ed->key_pos = 0;
    ed->starved = false;
    line = ed->lib->gets(ed->el, &len);
    if (ed->starved && ed->key_len < KEY_MAX) {
        return NULL;        /* all of it again, with the next byte */
    }
    ed->key_len = 0;
    if (!line || len < 1 || line[len - 1] != '\n') {
        return NULL;
    }
    text = from_wide(line, len - 1);
    if (len > 1 && ed->history) {
        g_autofree wchar_t *entry = to_wide(text);

        ed->lib->history(ed->history, &ev, H_ENTER, entry);
    }
    return text;
}

char *hmp_edit_input(HmpEdit *ed, uint8_t byte)
{
    locale_t old;
    wchar_t ch;
    char *text;

    if (!byte || !utf8_char(ed, byte, &ch)) {
        return NULL;
    }
    if ((ch >= ' ' || ch == CTRL('Y')) && ch != 0x7f && !ed->key_len &&
        line_is_full(ed)) {
        return NULL;
    }
    ed->key[ed->key_len++] = ch;
    old = edit_enter(ed);
    text = edit_key(ed);
    edit_leave(ed, old);
    return text;
}
