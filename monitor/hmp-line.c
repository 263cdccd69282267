/*
 * A line discipline for HMP on any character device.
 *
 * Line editing libraries want a terminal of their own and block until a line
 * is complete; a monitor's peer may be a socket, a pty's other side or one of
 * a mux's frontends, and the main loop must not wait. So the few keys that
 * people use are handled here: a byte goes in, escape sequences come out.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <string.h>

#include "monitor-internal.h"

#define LINE_MAX_LEN    4095
#define HISTORY_MAX     64

#define CTRL(c) ((c) - '@')

enum LineState { LINE_TEXT, LINE_ESC, LINE_CSI, LINE_SS3 };

struct HmpLine {
    Monitor *mon;
    const char *prompt;
    HmpLineFn *fn;
    HmpCompleteFn *complete;
    GString *text;
    size_t pos;                 /* cursor, bytes from the start */
    enum LineState state;
    unsigned csi_arg;
    bool after_cr;              /* a '\n' that follows belongs to it */
    GPtrArray *history;         /* of char *, oldest first */
    unsigned hist_pos;          /* shown entry; == len: the new line */
    char *saved;                /* the new line while history is shown */
};

HmpLine *hmp_line_new(Monitor *mon, const char *prompt, HmpLineFn *fn,
                      HmpCompleteFn *complete)
{
    HmpLine *hl = g_new0(HmpLine, 1);

    hl->mon = mon;
    hl->prompt = prompt;
    hl->fn = fn;
    hl->complete = complete;
    hl->text = g_string_new(NULL);
    hl->history = g_ptr_array_new_with_free_func(g_free);
    return hl;
}

void hmp_line_free(HmpLine *hl)
{
    if (hl) {
        g_string_free(hl->text, TRUE);
        g_ptr_array_free(hl->history, TRUE);
        g_free(hl->saved);
        g_free(hl);
    }
}

const char *hmp_line_history(const HmpLine *hl, unsigned i)
{
    return i < hl->history->len ? g_ptr_array_index(hl->history, i) : NULL;
}

void hmp_line_show(HmpLine *hl)
{
    monitor_puts(hl->mon, hl->prompt);
    monitor_put_raw(hl->mon, hl->text->str, hl->text->len);
    hl->pos = hl->text->len;
}

/* Continuation bytes of UTF-8 take no column. */
static bool is_cont(char c)
{
    return ((uint8_t)c & 0xc0) == 0x80;
}

static void move_left(HmpLine *hl, const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (!is_cont(text[i])) {
            monitor_put_raw(hl->mon, "\033[D", 3);
        }
    }
}

/* Replace del bytes at the cursor by ins and show it. */
static void line_splice(HmpLine *hl, size_t del, const char *ins, size_t ins_len)
{
    if (hl->text->len - del + ins_len > LINE_MAX_LEN) {
        return;
    }
    g_string_erase(hl->text, hl->pos, del);
    g_string_insert_len(hl->text, hl->pos, ins, ins_len);
    monitor_put_raw(hl->mon, hl->text->str + hl->pos, hl->text->len - hl->pos);
    if (del) {
        monitor_put_raw(hl->mon, "\033[K", 3);
    }
    hl->pos += ins_len;
    move_left(hl, hl->text->str + hl->pos, hl->text->len - hl->pos);
}

static void line_goto(HmpLine *hl, size_t pos)
{
    if (pos < hl->pos) {
        move_left(hl, hl->text->str + pos, hl->pos - pos);
    } else {
        monitor_put_raw(hl->mon, hl->text->str + hl->pos, pos - hl->pos);
    }
    hl->pos = pos;
}

static size_t char_before(const HmpLine *hl)
{
    size_t pos = hl->pos;

    while (pos && is_cont(hl->text->str[--pos])) {
    }
    return pos;
}

static size_t char_after(const HmpLine *hl)
{
    size_t pos = hl->pos;

    if (pos < hl->text->len) {
        pos++;
    }
    while (pos < hl->text->len && is_cont(hl->text->str[pos])) {
        pos++;
    }
    return pos;
}

/* Delete from pos to the cursor. */
static void line_kill_back(HmpLine *hl, size_t pos)
{
    size_t n = hl->pos - pos;

    line_goto(hl, pos);
    line_splice(hl, n, "", 0);
}

static size_t word_before(const HmpLine *hl)
{
    size_t pos = hl->pos;

    while (pos && hl->text->str[pos - 1] == ' ') {
        pos--;
    }
    while (pos && hl->text->str[pos - 1] != ' ') {
        pos--;
    }
    return pos;
}

static void history_show(HmpLine *hl, unsigned pos)
{
    const char *text;

    if (pos > hl->history->len) {
        return;
    }
    if (hl->hist_pos == hl->history->len) {
        g_free(hl->saved);
        hl->saved = g_strdup(hl->text->str);
    }
    hl->hist_pos = pos;
    text = hmp_line_history(hl, pos);
    text = text ? text : hl->saved;
    line_goto(hl, 0);
    line_splice(hl, hl->text->len, text, strlen(text));
}

static void history_add(HmpLine *hl, const char *line)
{
    const char *last = hl->history->len ?
        hmp_line_history(hl, hl->history->len - 1) : NULL;

    if (*line && g_strcmp0(last, line)) {
        if (hl->history->len == HISTORY_MAX) {
            g_ptr_array_remove_index(hl->history, 0);
        }
        g_ptr_array_add(hl->history, g_strdup(line));
    }
    hl->hist_pos = hl->history->len;
    g_clear_pointer(&hl->saved, g_free);
}

static void line_complete(HmpLine *hl)
{
    g_autoptr(GPtrArray) list = g_ptr_array_new_with_free_func(g_free);
    g_autofree char *head = g_strndup(hl->text->str, hl->pos);
    const char *word = strrchr(head, ' ') ? strrchr(head, ' ') + 1 : head;
    const char *first;
    size_t typed = strlen(word), common;

    hl->complete(hl->mon, head, list);
    if (!list->len) {
        return;
    }
    first = g_ptr_array_index(list, 0);
    common = strlen(first);
    for (guint i = 1; i < list->len; i++) {
        const char *other = g_ptr_array_index(list, i);
        size_t n = 0;

        while (n < common && other[n] == first[n]) {
            n++;
        }
        common = n;
    }
    if (common > typed) {
        line_splice(hl, 0, first + typed, common - typed);
    }
    if (list->len == 1) {
        line_splice(hl, 0, " ", 1);
    } else if (common == typed) {
        monitor_puts(hl->mon, "\n");
        for (guint i = 0; i < list->len; i++) {
            monitor_printf(hl->mon, "%-20s%s", (char *)g_ptr_array_index(list, i),
                           i % 4 == 3 || i + 1 == list->len ? "\n" : "");
        }
        hmp_line_show(hl);
    }
}

static void line_enter(HmpLine *hl)
{
    g_autofree char *line = g_strdup(hl->text->str);

    monitor_puts(hl->mon, "\n");
    g_string_truncate(hl->text, 0);
    hl->pos = 0;
    history_add(hl, line);
    hl->fn(hl->mon, line);
    hmp_line_show(hl);
}

/* The last byte of an escape sequence. */
static void line_escape(HmpLine *hl, uint8_t ch)
{
    switch (ch) {
    case 'A':
        history_show(hl, hl->hist_pos ? hl->hist_pos - 1 : 0);
        break;
    case 'B':
        history_show(hl, hl->hist_pos + 1);
        break;
    case 'C':
        line_goto(hl, char_after(hl));
        break;
    case 'D':
        line_goto(hl, char_before(hl));
        break;
    case 'H':
        line_goto(hl, 0);
        break;
    case 'F':
        line_goto(hl, hl->text->len);
        break;
    case '~':
        if (hl->csi_arg == 3) {
            line_splice(hl, char_after(hl) - hl->pos, "", 0);
        } else if (hl->csi_arg == 1 || hl->csi_arg == 4) {
            line_goto(hl, hl->csi_arg == 1 ? 0 : hl->text->len);
        }
        break;
    }
}

static void line_control(HmpLine *hl, uint8_t ch)
{
    switch (ch) {
    case CTRL('A'):
        line_goto(hl, 0);
        break;
    case CTRL('B'):
        line_goto(hl, char_before(hl));
        break;
    case CTRL('D'):
        line_splice(hl, char_after(hl) - hl->pos, "", 0);
        break;
    case CTRL('E'):
        line_goto(hl, hl->text->len);
        break;
    case CTRL('F'):
        line_goto(hl, char_after(hl));
        break;
    case CTRL('H'):
    case 0x7f:
        line_kill_back(hl, char_before(hl));
        break;
    case '\t':
        line_complete(hl);
        break;
    case CTRL('K'):
        line_splice(hl, hl->text->len - hl->pos, "", 0);
        break;
    case CTRL('L'):
        monitor_put_raw(hl->mon, "\033[2J\033[1;1H", 10);
        hmp_line_show(hl);
        break;
    case CTRL('N'):
        history_show(hl, hl->hist_pos + 1);
        break;
    case CTRL('P'):
        history_show(hl, hl->hist_pos ? hl->hist_pos - 1 : 0);
        break;
    case CTRL('U'):
        line_kill_back(hl, 0);
        break;
    case CTRL('W'):
        line_kill_back(hl, word_before(hl));
        break;
    case CTRL('['):
        hl->state = LINE_ESC;
        break;
    }
}

void hmp_line_input(HmpLine *hl, uint8_t ch)
{
    bool after_cr = hl->after_cr;

    hl->after_cr = ch == '\r';
    switch (hl->state) {
    case LINE_ESC:
        hl->csi_arg = 0;
        hl->state = ch == '[' ? LINE_CSI : ch == 'O' ? LINE_SS3 : LINE_TEXT;
        return;
    case LINE_CSI:
        if (g_ascii_isdigit(ch)) {
            hl->csi_arg = MIN(hl->csi_arg * 10 + (ch - '0'), 1000u);
            return;
        }
        /* fall through */
    case LINE_SS3:
        hl->state = LINE_TEXT;
        line_escape(hl, ch);
        return;
    case LINE_TEXT:
        break;
    }
    if (ch == '\r' || (ch == '\n' && !after_cr)) {
        line_enter(hl);
    } else if (ch >= ' ' && ch != 0x7f) {
        line_splice(hl, 0, (const char *)&ch, 1);
    } else if (ch != '\n') {
        line_control(hl, ch);
    }
}
