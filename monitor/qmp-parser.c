/*
 * A stream of JSON values: finds where each value ends, checks its grammar and
 * limits, turns QEMU's extensions into plain JSON and gives that to jansson.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <errno.h>
#include <stdint.h>
#include <string.h>

#include "qmp-parser.h"

enum Lex {
    LEX_START,          /* between tokens */
    LEX_STRING,
    LEX_ESCAPE,         /* behind a backslash in a string */
    LEX_WORD,           /* a number or keyword */
    LEX_RECOVERY,       /* behind a byte that belongs to no token */
    LEX_SKIP,           /* the message is over a limit: to its end or the line's */
};

/* What the grammar allows next. */
enum Expect {
    EXPECT_VALUE,
    EXPECT_VALUE_OR_END,    /* behind '[' */
    EXPECT_KEY_OR_END,      /* behind '{' */
    EXPECT_KEY,             /* behind ',' in an object */
    EXPECT_COLON,
    EXPECT_SEPARATOR,       /* behind an element */
};

struct QmpParser {
    QmpParserFn *fn;
    void *opaque;
    enum Lex lex;
    enum Expect expect;
    char quote;
    GString *text;              /* the message so far, as plain JSON */
    size_t token;               /* where the current token starts in text */
    unsigned tokens;
    unsigned depth;
    bool is_object[QMP_MAX_DEPTH + 1];
    char *error;                /* the message's first grammar error; owned */
    GString *id;                /* the text of the outermost "id" */
    bool key_is_id;
    bool has_id;
};

QmpParser *qmp_parser_new(QmpParserFn *fn, void *opaque)
{
    QmpParser *p = g_new0(QmpParser, 1);

    p->fn = fn;
    p->opaque = opaque;
    p->text = g_string_new(NULL);
    p->id = g_string_new(NULL);
    return p;
}

void qmp_parser_free(QmpParser *p)
{
    if (p) {
        g_string_free(p->text, TRUE);
        g_string_free(p->id, TRUE);
        g_free(p->error);
        g_free(p);
    }
}

/* Ready for the next message. A long one's memory is given back. */
static void parser_reset(QmpParser *p)
{
    if (p->text->allocated_len > 64 * 1024) {
        g_string_free(p->text, TRUE);
        p->text = g_string_new(NULL);
    }
    g_string_truncate(p->text, 0);
    g_string_truncate(p->id, 0);
    p->has_id = p->key_is_id = false;
    p->tokens = p->depth = 0;
    p->lex = LEX_START;
    p->expect = EXPECT_VALUE;
    g_clear_pointer(&p->error, g_free);
}

static void report(QmpParser *p, const char *error)
{
    g_autofree char *copy = g_strdup(error);

    parser_reset(p);
    p->fn(NULL, NULL, copy, p->opaque);
}

/* A byte that can be in no token: all before it is dropped. */
static void lexical_error(QmpParser *p, char c)
{
    g_autoptr(GString) bad = g_string_new(NULL);
    g_autofree char *valid = NULL, *error = NULL;

    if (p->lex == LEX_STRING || p->lex == LEX_ESCAPE || p->lex == LEX_WORD) {
        g_string_append_len(bad, p->text->str + p->token,
                            MIN(p->text->len - p->token, 64u));
    }
    if (c) {
        g_string_append_c(bad, c);
    }
    valid = g_utf8_make_valid(bad->str, bad->len);
    error = g_strdup_printf("JSON parse error, stray '%s'", valid);
    report(p, error);
    p->lex = LEX_RECOVERY;
}

static void grammar_error(QmpParser *p, const char *what)
{
    if (!p->error) {
        p->error = g_strdup_printf("JSON parse error, %s", what);
    }
}

/* jansson's remaining complaints, in QEMU's words where it has them. */
static char *decode_error(const json_error_t *err)
{
    switch (json_error_code(err)) {
    case json_error_duplicate_key:
        return g_strdup("JSON parse error, duplicate key");
    case json_error_invalid_utf8:
        return g_strdup("JSON parse error, invalid UTF-8 sequence in string");
    case json_error_numeric_overflow:
        return g_strdup("JSON parse error, number out of range");
    case json_error_null_byte_in_key:
    case json_error_null_character:
        return g_strdup("JSON parse error, \\u0000 is not supported in strings");
    default:
        if (strstr(err->text, "Unicode")) {
            return g_strdup("JSON parse error, not a valid Unicode character");
        }
        return g_strdup("JSON parse error, invalid escape sequence in string");
    }
}

static void message_done(QmpParser *p)
{
    g_autofree char *error = g_steal_pointer(&p->error);
    g_autofree char *id = p->has_id ? g_strdup(p->id->str) : NULL;
    json_t *value = NULL;
    json_error_t jerr;

    if (!error) {
        value = json_loadb(p->text->str, p->text->len,
                           JSON_DECODE_ANY | JSON_REJECT_DUPLICATES, &jerr);
        if (!value) {
            error = decode_error(&jerr);
        }
    }
    parser_reset(p);
    p->fn(value, error ? NULL : id, error, p->opaque);
}

/* Grammar ------------------------------------------------------------------ */

static bool in_object(const QmpParser *p)
{
    return p->depth && p->is_object[p->depth];
}

/* An element is complete. */
static void value_done(QmpParser *p)
{
    p->expect = EXPECT_SEPARATOR;
    if (!p->depth) {
        message_done(p);
    }
}

/* Whether text belongs to the value of the outermost "id". */
static bool inside_id(const QmpParser *p)
{
    return p->key_is_id && !(p->depth == 1 && p->expect != EXPECT_VALUE);
}

static void id_append(QmpParser *p, const char *text, size_t len)
{
    if (inside_id(p)) {
        g_string_append_len(p->id, text, len);
        p->has_id = true;
    }
}

/* A string, number or keyword that is all in text. */
static void scalar_done(QmpParser *p, bool is_string)
{
    const char *tok = p->text->str + p->token;

    if (p->expect == EXPECT_KEY || p->expect == EXPECT_KEY_OR_END) {
        if (!is_string) {
            grammar_error(p, "key is not a string in object");
        }
        id_append(p, tok, p->text->len - p->token);
        p->key_is_id |= p->depth == 1 && !strcmp(tok, "\"id\"");
        p->expect = EXPECT_COLON;
        return;
    }
    if (p->expect == EXPECT_COLON) {
        grammar_error(p, "missing : in object pair");
    } else if (p->expect == EXPECT_SEPARATOR) {
        grammar_error(p, in_object(p) ? "expected separator in dict" :
                      "expected separator in list");
    }
    id_append(p, tok, p->text->len - p->token);
    value_done(p);
}

static void open_container(QmpParser *p, char c)
{
    if (p->depth == QMP_MAX_DEPTH) {
        report(p, "JSON nesting depth limit exceeded");
        p->lex = LEX_SKIP;
        return;
    }
    if (p->expect == EXPECT_KEY || p->expect == EXPECT_KEY_OR_END) {
        grammar_error(p, "key is not a string in object");
    } else if (p->expect == EXPECT_COLON) {
        grammar_error(p, "missing : in object pair");
    } else if (p->expect == EXPECT_SEPARATOR) {
        grammar_error(p, in_object(p) ? "expected separator in dict" :
                      "expected separator in list");
    }
    id_append(p, &c, 1);
    p->is_object[++p->depth] = c == '{';
    p->expect = c == '{' ? EXPECT_KEY_OR_END : EXPECT_VALUE_OR_END;
}

static void close_container(QmpParser *p, char c)
{
    bool right = p->depth && in_object(p) == (c == '}');

    if (!right) {
        /* Nothing sensible can follow: the message ends here. */
        grammar_error(p, "expecting value");
        p->depth = 0;
        message_done(p);
        return;
    }
    if (p->expect == EXPECT_COLON) {
        grammar_error(p, "missing : in object pair");
    } else if (p->expect == EXPECT_VALUE || p->expect == EXPECT_KEY) {
        grammar_error(p, "expecting value");
    }
    if (p->depth > 1) {
        id_append(p, &c, 1);
    }
    p->depth--;
    value_done(p);
}

static void punctuation(QmpParser *p, char c)
{
    if (c == ':' && p->expect == EXPECT_COLON) {
        id_append(p, ": ", 2);
        p->expect = EXPECT_VALUE;
    } else if (c == ',' && p->expect == EXPECT_SEPARATOR && p->depth) {
        id_append(p, ", ", 2);
        p->key_is_id &= p->depth > 1;
        p->expect = in_object(p) ? EXPECT_KEY : EXPECT_VALUE;
    } else {
        grammar_error(p, p->expect == EXPECT_COLON ? "missing : in object pair" :
                      p->expect == EXPECT_SEPARATOR && in_object(p) ?
                      "expected separator in dict" :
                      p->expect == EXPECT_SEPARATOR && p->depth ?
                      "expected separator in list" : "expecting value");
        if (!p->depth) {
            message_done(p);
        }
    }
}

/* Tokens ------------------------------------------------------------------- */

static bool is_number(const char *s)
{
    s += *s == '-';
    if (*s == '0') {
        s++;
    } else {
        if (!g_ascii_isdigit(*s)) {
            return false;
        }
        s += strspn(s, "0123456789");
    }
    if (*s == '.') {
        if (!g_ascii_isdigit(*++s)) {
            return false;
        }
        s += strspn(s, "0123456789");
    }
    if (*s == 'e' || *s == 'E') {
        s++;
        s += *s == '+' || *s == '-';
        if (!g_ascii_isdigit(*s)) {
            return false;
        }
        s += strspn(s, "0123456789");
    }
    return !*s;
}

/* jansson's integers are int64_t: fit larger ones in. */
static void fit_integer(QmpParser *p)
{
    const char *tok = p->text->str + p->token;
    char *end;
    guint64 val;

    if (tok[strcspn(tok, ".eE")] || strlen(tok) < 19) {
        return;
    }
    if (tok[0] != '-') {
        errno = 0;
        val = g_ascii_strtoull(tok, &end, 10);
        if (!errno) {
            g_string_truncate(p->text, p->token);
            g_string_append_printf(p->text, "%" G_GINT64_FORMAT, (gint64)val);
            return;
        }
    } else {
        errno = 0;
        g_ascii_strtoll(tok, &end, 10);
        if (!errno) {
            return;
        }
    }
    g_string_append(p->text, ".0");
}

/* The id is echoed as it came, so it is taken before numbers are changed. */
static void word_done(QmpParser *p)
{
    const char *tok = p->text->str + p->token;
    bool number = is_number(tok);
    bool top = !p->depth;

    if (!number && !g_ascii_isalpha(tok[0])) {
        lexical_error(p, 0);
        return;
    }
    p->lex = LEX_START;
    if (!number && strcmp(tok, "true") && strcmp(tok, "false") && strcmp(tok, "null")) {
        g_autofree char *what = g_strdup_printf("invalid keyword '%.64s'", tok);

        grammar_error(p, what);
    }
    if (number && top) {
        fit_integer(p);
    }
    scalar_done(p, false);
    if (number && !top) {
        fit_integer(p);
    }
}

/* Start a token, within the limits. */
static bool token_start(QmpParser *p, enum Lex lex)
{
    if (++p->tokens > QMP_MAX_TOKENS) {
        report(p, "JSON token count limit exceeded");
        p->lex = LEX_SKIP;
        return false;
    }
    p->token = p->text->len;
    p->lex = lex;
    return true;
}

static void lex_start(QmpParser *p, char c)
{
    if (c == ' ' || c == '\t' || c == '\n' || c == '\r') {
        return;
    }
    if (c == '"' || c == '\'') {
        if (token_start(p, LEX_STRING)) {
            p->quote = c;
            g_string_append_c(p->text, '"');
        }
    } else if (g_ascii_isalnum(c) || c == '-') {
        if (token_start(p, LEX_WORD)) {
            g_string_append_c(p->text, c);
        }
    } else if (c && strchr("{}[],:", c)) {
        if (token_start(p, LEX_START)) {
            g_string_append_c(p->text, c);
            if (c == '{' || c == '[') {
                open_container(p, c);
            } else if (c == '}' || c == ']') {
                close_container(p, c);
            } else {
                punctuation(p, c);
            }
        }
    } else {
        lexical_error(p, c);
    }
}

static void lex_string(QmpParser *p, char c)
{
    if ((uint8_t)c < 0x20 || (uint8_t)c >= 0xfe) {
        lexical_error(p, c);
    } else if (c == p->quote) {
        g_string_append_c(p->text, '"');
        p->lex = LEX_START;
        scalar_done(p, true);
    } else if (c == '\\') {
        p->lex = LEX_ESCAPE;
    } else {
        if (c == '"') {
            g_string_append_c(p->text, '\\');
        }
        g_string_append_c(p->text, c);
    }
}

static void lex_escape(QmpParser *p, char c)
{
    if ((uint8_t)c < 0x20 || (uint8_t)c >= 0xfe) {
        lexical_error(p, c);
        return;
    }
    if (c != '\'') {
        g_string_append_c(p->text, '\\');
    }
    g_string_append_c(p->text, c);
    p->lex = LEX_STRING;
}

void qmp_parser_feed(QmpParser *p, char c)
{
    if (p->text->len >= QMP_MAX_SIZE) {
        report(p, "JSON token size limit exceeded");
        p->lex = LEX_SKIP;
    }
    switch (p->lex) {
    case LEX_SKIP:
        if (c == '\n') {
            p->lex = LEX_START;
        }
        return;
    case LEX_RECOVERY:
        if ((uint8_t)c < 0x20) {
            p->lex = LEX_START;
            return;
        }
        if (!strchr("{}[],:", c)) {
            return;
        }
        p->lex = LEX_START;
        break;
    case LEX_STRING:
        lex_string(p, c);
        return;
    case LEX_ESCAPE:
        lex_escape(p, c);
        return;
    case LEX_WORD:
        if (g_ascii_isalnum(c) || c == '-' || c == '+' || c == '.') {
            g_string_append_c(p->text, c);
            return;
        }
        word_done(p);
        break;
    case LEX_START:
        break;
    }
    if (p->lex == LEX_RECOVERY) {
        /* The word was no token: this byte may end the recovery. */
        qmp_parser_feed(p, c);
        return;
    }
    lex_start(p, c);
}
