/*
 * Lines that are typed at an HMP monitor: Emacs' keys, history, completion, and the picture of
 * a line on a terminal that may be narrower than it.
 *
 * The peer may be a socket or one of a mux's frontends, so nothing here waits: bytes come one
 * by one, and a key or a character that is not complete is kept until it is. The terminal is
 * one that knows VT100's movements of the cursor, as all do; a program that types gets back
 * what it typed, byte for byte, as long as it types at the end of the line.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <string.h>

#include "monitor-internal.h"

/* A longer line takes no further characters; bytes and characters alike. */
#define LINE_MAX_LEN    4095
#define HISTORY_MAX     64
/* Longer than any key of ours that begins with ESC. */
#define KEY_MAX         8
/* What a peer that tells no size is: wide enough for a whole line, one row. */
#define UNKNOWN_COLS    (LINE_MAX_LEN + 32)
#define CTRL(c)         ((c) & 0x1f)
#define ESC             0x1b
#define DEL             0x7f

/* What a key does: a movement, alone or of what is to go; or one of the rest. */
enum {
    TO_START, TO_END, TO_LEFT, TO_RIGHT, TO_WORD_LEFT, TO_WORD_RIGHT,
    MOVE = 0x10, ERASE = 0x20, KILL = 0x30,
    EFFECT = 0xf0,
};
enum { NOTHING, YANK, TRANSPOSE, OLDER, NEWER, CLEAR, COMPLETE };

struct HmpLine {
    Monitor *mon;
    const char *prompt;
    HmpLineFn *fn;
    HmpCompleteFn *complete;
    GString *text;              /* valid UTF-8 */
    size_t at;                  /* the cursor: where the next character goes */
    char *killed;               /* what Ctrl-Y brings back, or NULL */
    char *history[HISTORY_MAX]; /* oldest first */
    unsigned nr_history;
    unsigned shown;             /* which of them is edited; nr_history: none */
    char *draft;                /* what was typed before the history was looked at, or NULL */
    char utf8[4];               /* a character that is not complete yet */
    unsigned utf8_len;
    char key[KEY_MAX];          /* behind ESC */
    unsigned key_len;
    bool in_key;
    bool after_cr;              /* a '\n' that follows belongs to it */
    unsigned cols;              /* the terminal's width */
    unsigned row;               /* of the cursor, counted from the prompt's */
};

/* The text ------------------------------------------------------------------ */

/* Whether byte at of the text, or its end, is the first of a character. */
static bool begins(const HmpLine *hl, size_t at)
{
    return ((uint8_t)hl->text->str[at] & 0xc0) != 0x80;
}

static size_t left_of(const HmpLine *hl, size_t at)
{
    while (at && !begins(hl, --at)) {
    }
    return at;
}

static size_t right_of(const HmpLine *hl, size_t at)
{
    while (at < hl->text->len && !begins(hl, ++at)) {
    }
    return at;
}

static bool is_word(const HmpLine *hl, size_t at)
{
    char c = hl->text->str[at];

    return g_ascii_isalnum(c) || c == '_' || c == '-' || (c & 0x80);
}

static size_t word_left(const HmpLine *hl)
{
    size_t at = hl->at;

    while (at && !is_word(hl, at - 1)) {
        at--;
    }
    while (at && is_word(hl, at - 1)) {
        at--;
    }
    return at;
}

static size_t word_right(const HmpLine *hl)
{
    size_t at = hl->at, len = hl->text->len;

    while (at < len && !is_word(hl, at)) {
        at++;
    }
    while (at < len && is_word(hl, at)) {
        at++;
    }
    return at;
}

/* The picture --------------------------------------------------------------- */

/* Where what begins with the prompt and goes on to byte at of the text ends. */
static void place_of(const HmpLine *hl, size_t at, unsigned *row, unsigned *col)
{
    *row = 0;
    *col = strlen(hl->prompt);
    for (size_t i = 0; i < at; i = right_of(hl, i)) {
        gunichar c = g_utf8_get_char(hl->text->str + i);
        unsigned width = g_unichar_iszerowidth(c) ? 0 : g_unichar_iswide(c) ? 2 : 1;

        if (*col + width > hl->cols) {
            ++*row;
            *col = 0;
        }
        *col += width;
    }
    /* No terminal is beyond its last column: the next character begins a row. */
    *row += *col / hl->cols;
    *col %= hl->cols;
}

/* The cursor is where byte from of the text is: to where byte at is. */
static void go_to(HmpLine *hl, size_t at)
{
    unsigned row, col;

    place_of(hl, at, &row, &col);
    if (row < hl->row) {
        monitor_printf(hl->mon, "\x1b[%uA", hl->row - row);
    } else if (row > hl->row) {
        monitor_printf(hl->mon, "\x1b[%uB", row - hl->row);
    }
    monitor_put_raw(hl->mon, "\r", 1);
    if (col) {
        monitor_printf(hl->mon, "\x1b[%uC", col);
    }
    hl->row = row;
}

/* The text from byte from on, where the cursor is; then the cursor to its place. */
static void draw_from(HmpLine *hl, size_t from)
{
    size_t len = hl->text->len;
    unsigned col;

    monitor_put_raw(hl->mon, hl->text->str + from, len - from);
    place_of(hl, len, &hl->row, &col);
    if (!col && len) {
        /* Behind the last column a terminal waits for one more character. */
        monitor_puts(hl->mon, "\n");
    }
    if (hl->at != len) {
        go_to(hl, hl->at);
    }
}

/* The text is another one from byte from on, where the cursor is. */
static void redraw_from(HmpLine *hl, size_t from)
{
    monitor_puts(hl->mon, "\x1b[J");
    draw_from(hl, from);
}

static void move_to(HmpLine *hl, size_t at)
{
    if (at != hl->at) {
        hl->at = at;
        go_to(hl, at);
    }
}

void hmp_line_show(HmpLine *hl)
{
    monitor_puts(hl->mon, hl->prompt);
    draw_from(hl, 0);
}

void hmp_line_resize(HmpLine *hl)
{
    uint16_t cols = 0, rows;
    unsigned col;

    hl->cols = qemu_chr_fe_get_size(&hl->mon->chr, &cols, &rows) && cols ? cols : UNKNOWN_COLS;
    /* Terminals lay out anew what is on them. */
    place_of(hl, hl->at, &hl->row, &col);
}

/* Changes ------------------------------------------------------------------- */

static bool insert(HmpLine *hl, const char *str, size_t len)
{
    size_t from = hl->at;

    if (hl->text->len + len > LINE_MAX_LEN) {
        return false;
    }
    g_string_insert_len(hl->text, from, str, len);
    hl->at += len;
    draw_from(hl, from);
    return true;
}

/* Take out what is between the cursor and byte to. */
static void erase_to(HmpLine *hl, size_t to)
{
    size_t from = MIN(hl->at, to), len = MAX(hl->at, to) - from;

    if (len) {
        move_to(hl, from);
        g_string_erase(hl->text, from, len);
        redraw_from(hl, from);
    }
}

static void kill_to(HmpLine *hl, size_t to)
{
    size_t from = MIN(hl->at, to), len = MAX(hl->at, to) - from;

    if (len) {
        g_free(hl->killed);
        hl->killed = g_strndup(hl->text->str + from, len);
        erase_to(hl, to);
    }
}

static void replace(HmpLine *hl, const char *str)
{
    move_to(hl, 0);
    g_string_truncate(hl->text, 0);
    g_string_append(hl->text, str);
    hl->at = hl->text->len;
    redraw_from(hl, 0);
}

/* The characters on both sides of the cursor, or the last two. */
static void transpose(HmpLine *hl)
{
    size_t end = right_of(hl, hl->at), mid = left_of(hl, end), from = left_of(hl, mid);
    g_autofree char *second = g_strndup(hl->text->str + mid, end - mid);

    if (from == mid) {
        return;
    }
    move_to(hl, from);
    g_string_erase(hl->text, mid, end - mid);
    g_string_insert_len(hl->text, from, second, end - mid);
    hl->at = end;
    draw_from(hl, from);
}

/* History ------------------------------------------------------------------- */

static void remember(HmpLine *hl, const char *line)
{
    unsigned n = hl->nr_history;

    if (*line && !(n && !strcmp(hl->history[n - 1], line))) {
        if (n == HISTORY_MAX) {
            g_free(hl->history[0]);
            memmove(&hl->history[0], &hl->history[1], --n * sizeof(hl->history[0]));
        }
        hl->history[n++] = g_strdup(line);
    }
    hl->nr_history = hl->shown = n;
    g_clear_pointer(&hl->draft, g_free);
}

static void recall(HmpLine *hl, unsigned i)
{
    if (i > hl->nr_history) {
        return;     /* beyond either end, by the wrap of an unsigned number */
    }
    if (hl->shown == hl->nr_history) {
        g_free(hl->draft);
        hl->draft = g_strdup(hl->text->str);
    }
    hl->shown = i;
    replace(hl, i == hl->nr_history ? hl->draft : hl->history[i]);
}

char *hmp_line_history(const HmpLine *hl, unsigned i)
{
    return i < hl->nr_history ? g_strdup(hl->history[i]) : NULL;
}

/* Completion ---------------------------------------------------------------- */

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

static void show_list(HmpLine *hl, GPtrArray *list)
{
    go_to(hl, hl->text->len);
    monitor_puts(hl->mon, "\n");
    for (guint i = 0; i < list->len; i++) {
        monitor_printf(hl->mon, "%-20s%s", (char *)g_ptr_array_index(list, i),
                       i % 4 == 3 || i + 1 == list->len ? "\n" : "");
    }
    hmp_line_show(hl);
}

static void complete(HmpLine *hl)
{
    g_autofree char *head = g_strndup(hl->text->str, hl->at);
    g_autoptr(GPtrArray) list = g_ptr_array_new_with_free_func(g_free);
    const char *word = strrchr(head, ' ') ? strrchr(head, ' ') + 1 : head;
    size_t typed = strlen(word), common;

    hl->complete(hl->mon, head, list);
    if (!list->len) {
        return;
    }
    common = common_prefix(list);
    if (common <= typed && list->len > 1) {
        show_list(hl, list);
    } else if (insert(hl, (char *)g_ptr_array_index(list, 0) + typed, common - typed) &&
               list->len == 1) {
        insert(hl, " ", 1);
    }
}

/* Keys ---------------------------------------------------------------------- */

static size_t target(const HmpLine *hl, unsigned movement)
{
    switch (movement) {
    case TO_END:        return hl->text->len;
    case TO_LEFT:       return left_of(hl, hl->at);
    case TO_RIGHT:      return right_of(hl, hl->at);
    case TO_WORD_LEFT:  return word_left(hl);
    case TO_WORD_RIGHT: return word_right(hl);
    default:            return 0;
    }
}

static void act_otherwise(HmpLine *hl, unsigned action)
{
    switch (action) {
    case YANK:
        insert(hl, hl->killed ? hl->killed : "", hl->killed ? strlen(hl->killed) : 0);
        break;
    case TRANSPOSE:
        transpose(hl);
        break;
    case OLDER:
        recall(hl, hl->shown - 1);
        break;
    case NEWER:
        recall(hl, hl->shown + 1);
        break;
    case CLEAR:
        monitor_puts(hl->mon, "\x1b[H\x1b[2J");
        hmp_line_show(hl);
        break;
    case COMPLETE:
        complete(hl);
        break;
    }
}

static void act(HmpLine *hl, unsigned action)
{
    size_t to = target(hl, action & ~EFFECT);

    switch (action & EFFECT) {
    case MOVE:
        move_to(hl, to);
        break;
    case ERASE:
        erase_to(hl, to);
        break;
    case KILL:
        kill_to(hl, to);
        break;
    default:
        act_otherwise(hl, action);
    }
}

static uint8_t control_key(uint8_t byte)
{
    static const uint8_t actions[] = {
        [CTRL('A')] = MOVE | TO_START, [CTRL('B')] = MOVE | TO_LEFT,
        [CTRL('D')] = ERASE | TO_RIGHT, [CTRL('E')] = MOVE | TO_END,
        [CTRL('F')] = MOVE | TO_RIGHT, [CTRL('H')] = ERASE | TO_LEFT, [CTRL('I')] = COMPLETE,
        [CTRL('K')] = KILL | TO_END, [CTRL('L')] = CLEAR, [CTRL('N')] = NEWER,
        [CTRL('P')] = OLDER, [CTRL('T')] = TRANSPOSE, [CTRL('U')] = KILL | TO_START,
        [CTRL('W')] = KILL | TO_WORD_LEFT, [CTRL('Y')] = YANK, [DEL] = ERASE | TO_LEFT,
    };

    return actions[byte];
}

/* What key, which stands behind ESC, does. */
static uint8_t escape_key(const char *key)
{
    static const struct {
        char key[KEY_MAX - 1];
        uint8_t action;
    } keys[] = {
        { "[A", OLDER }, { "[B", NEWER }, { "[C", MOVE | TO_RIGHT }, { "[D", MOVE | TO_LEFT },
        { "[H", MOVE | TO_START }, { "[1~", MOVE | TO_START }, { "[F", MOVE | TO_END },
        { "[4~", MOVE | TO_END }, { "[3~", ERASE | TO_RIGHT },
        { "[1;5C", MOVE | TO_WORD_RIGHT }, { "f", MOVE | TO_WORD_RIGHT },
        { "[1;5D", MOVE | TO_WORD_LEFT }, { "b", MOVE | TO_WORD_LEFT },
        { "d", KILL | TO_WORD_RIGHT }, { "\x7f", KILL | TO_WORD_LEFT },
        { "\b", KILL | TO_WORD_LEFT },
    };

    for (size_t i = 0; i < G_N_ELEMENTS(keys); i++) {
        if (!strcmp(keys[i].key, key)) {
            return keys[i].action;
        }
    }
    return NOTHING;
}

/* A byte behind ESC: a letter, or [ or O with what ends by a letter or '~'. */
static void key_byte(HmpLine *hl, uint8_t byte)
{
    bool first = !hl->key_len;

    if (hl->key_len < KEY_MAX - 1) {
        hl->key[hl->key_len++] = first && byte == 'O' ? '[' : byte;
    }
    if (first ? byte == '[' || byte == 'O' : byte < '@') {
        return;
    }
    hl->key[hl->key_len] = '\0';
    hl->in_key = false;
    act(hl, escape_key(hl->key));
}

/* A byte of a character of several: shown once it is all there. */
static void utf8_byte(HmpLine *hl, uint8_t byte)
{
    gunichar c;

    if (byte >= 0xc0) {
        hl->utf8_len = 0;       /* begins one; what went before is none */
    }
    hl->utf8[hl->utf8_len++] = byte;
    c = g_utf8_get_char_validated(hl->utf8, hl->utf8_len);
    if (c == (gunichar)-2 && hl->utf8_len < sizeof(hl->utf8)) {
        return;
    }
    if (c < (gunichar)-2) {
        insert(hl, hl->utf8, hl->utf8_len);
    }
    hl->utf8_len = 0;
}

/* Use ----------------------------------------------------------------------- */

HmpLine *hmp_line_new(Monitor *mon, const char *prompt, HmpLineFn *fn,
                      HmpCompleteFn *complete_fn)
{
    HmpLine *hl = g_new0(HmpLine, 1);

    hl->mon = mon;
    hl->prompt = prompt;
    hl->fn = fn;
    hl->complete = complete_fn;
    hl->text = g_string_new(NULL);
    hmp_line_resize(hl);
    return hl;
}

void hmp_line_free(HmpLine *hl)
{
    if (hl) {
        for (unsigned i = 0; i < hl->nr_history; i++) {
            g_free(hl->history[i]);
        }
        g_string_free(hl->text, TRUE);
        g_free(hl->killed);
        g_free(hl->draft);
        g_free(hl);
    }
}

void hmp_line_next(HmpLine *hl)
{
    /* After "quit", what comes next on a terminal is the shell's prompt. */
    if (!hl->mon->ms->rsm.shutdown_requested) {
        hmp_line_show(hl);
    }
}

static void end_line(HmpLine *hl)
{
    g_autofree char *line = g_strdup(hl->text->str);

    move_to(hl, hl->text->len);
    monitor_puts(hl->mon, "\n");
    remember(hl, line);
    g_string_truncate(hl->text, 0);
    hl->at = 0;
    hl->row = 0;
    hl->fn(hl->mon, line);
    if (!hl->mon->job) {
        hmp_line_next(hl);
    }
}

static void ascii_byte(HmpLine *hl, uint8_t byte)
{
    hl->utf8_len = 0;
    if (byte == '\r' || byte == '\n') {
        hl->in_key = false;
        end_line(hl);
    } else if (byte == ESC) {
        hl->in_key = true;
        hl->key_len = 0;
    } else if (hl->in_key) {
        key_byte(hl, byte);
    } else if (byte < ' ' || byte == DEL) {
        act(hl, control_key(byte));
    } else {
        insert(hl, (const char *)&byte, 1);
    }
}

void hmp_line_input(HmpLine *hl, uint8_t byte)
{
    bool after_cr = hl->after_cr;

    hl->after_cr = byte == '\r';
    if (byte & 0x80) {
        utf8_byte(hl, byte);
    } else if (byte != '\n' || !after_cr) {
        ascii_byte(hl, byte);
    }
}
