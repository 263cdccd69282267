/*
 * Lines that are typed at an HMP monitor.
 *
 * libedit edits them, from the first byte on that somebody types. Where it is
 * not there, a byte is shown and kept until the line ends, and backspace takes
 * the last one back: what a terminal does of itself, and no more.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "hmp-edit.h"

struct HmpLine {
    Monitor *mon;
    const char *prompt;
    HmpLineFn *fn;
    HmpCompleteFn *complete;
    bool typed_at;              /* whether there is an editor is decided */
    HmpEdit *edit;              /* or NULL */
    GString *text;              /* the line, without an editor */
    bool after_cr;              /* a '\n' that follows belongs to it */
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
    return hl;
}

void hmp_line_free(HmpLine *hl)
{
    if (hl) {
        hmp_edit_free(hl->edit);
        g_string_free(hl->text, TRUE);
        g_free(hl);
    }
}

char *hmp_line_history(const HmpLine *hl, unsigned i)
{
    return hl->edit ? hmp_edit_history(hl->edit, i) : NULL;
}

void hmp_line_show(HmpLine *hl)
{
    if (hl->edit) {
        hmp_edit_show(hl->edit);
        return;
    }
    monitor_puts(hl->mon, hl->prompt);
    monitor_put_raw(hl->mon, hl->text->str, hl->text->len);
}

void hmp_line_resize(HmpLine *hl)
{
    if (hl->edit) {
        hmp_edit_resize(hl->edit);
    }
}

/* Continuation bytes of UTF-8 take no column. */
static bool is_cont(char c)
{
    return ((uint8_t)c & 0xc0) == 0x80;
}

static void plain_erase(HmpLine *hl)
{
    size_t len = hl->text->len;

    while (len && is_cont(hl->text->str[--len])) {
    }
    if (len < hl->text->len) {
        g_string_truncate(hl->text, len);
        monitor_put_raw(hl->mon, "\b \b", 3);
    }
}

/* A byte of a line that nobody edits: the line when that ends it. */
static char *plain_input(HmpLine *hl, uint8_t ch)
{
    char *line;

    if (ch == '\n') {
        line = g_string_free(hl->text, FALSE);
        hl->text = g_string_new(NULL);
        monitor_puts(hl->mon, "\n");
        return line;
    }
    if (ch == '\b' || ch == 0x7f) {
        plain_erase(hl);
    } else if (ch >= ' ' && hl->text->len < HMP_LINE_MAX) {
        g_string_append_c(hl->text, ch);
        monitor_put_raw(hl->mon, (const char *)&ch, 1);
    }
    return NULL;
}

void hmp_line_input(HmpLine *hl, uint8_t ch)
{
    bool after_cr = hl->after_cr;
    g_autofree char *line = NULL;

    hl->after_cr = ch == '\r';
    if (ch == '\n' && after_cr) {
        return;
    }
    ch = ch == '\r' ? '\n' : ch;
    if (!hl->typed_at) {
        hl->typed_at = true;
        hl->edit = hmp_edit_new(hl->mon, hl->prompt, hl->complete);
    }
    line = hl->edit ? hmp_edit_input(hl->edit, ch) : plain_input(hl, ch);
    if (!line) {
        return;
    }
    hl->fn(hl->mon, line);
    if (!hl->mon->job) {
        hmp_line_next(hl);
    }
}

void hmp_line_next(HmpLine *hl)
{
    if (hl->mon->ms->rsm.shutdown_requested) {
        return;     /* "quit": what comes next on a terminal is the shell's prompt */
    }
    if (hl->edit) {
        hmp_edit_prompt(hl->edit);
    } else {
        hmp_line_show(hl);
    }
}
