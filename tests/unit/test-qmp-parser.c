/*
 * The stream of JSON values that QMP clients send: values, errors, limits and
 * going on after each of them.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <string.h>

#include "monitor/qmp-parser.h"

/* What the parser said since the last check, one line per call. */
static void collect(json_t *value, const char *id, const char *error, void *opaque)
{
    GString *out = opaque;

    g_assert(!value != !error);
    if (error) {
        g_string_append_printf(out, "!%s\n", error);
    } else {
        char *text = json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT);

        g_string_append_printf(out, "%s%s%s\n", text, id ? " id=" : "", id ? id : "");
        free(text);
    }
    json_decref(value);
}

static void feed(QmpParser *p, const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        qmp_parser_feed(p, text[i]);
    }
}

static void check(const char *in, const char *want)
{
    g_autoptr(GString) out = g_string_new(NULL);
    QmpParser *p = qmp_parser_new(collect, out);

    feed(p, in, strlen(in));
    g_assert_cmpstr(out->str, ==, want);
    qmp_parser_free(p);
}

static void test_values(void)
{
    check("{}", "{}\n");
    check(" {\"a\" : [ 1, 2.5, true,null] }\n", "{\"a\":[1,2.5,true,null]}\n");
    /* A stream, not lines. */
    check("{}{}[]", "{}\n{}\n[]\n");
    check("{\"a\":\n1}{\n}", "{\"a\":1}\n{}\n");
    check("1 null \"x\"", "1\nnull\n\"x\"\n");
    /* Single quotes are an extension. */
    check("{'a':'b\"c\\'d'}", "{\"a\":\"b\\\"c'd\"}\n");
    check("{\"a\":\"it's\"}", "{\"a\":\"it's\"}\n");
    check("{\"a\":\"\\u00e4\\n\"}", "{\"a\":\"\303\244\\n\"}\n");
}

static void test_numbers(void)
{
    check("[9223372036854775807]", "[9223372036854775807]\n");
    check("[-9223372036854775808]", "[-9223372036854775808]\n");
    check("[18446744071578845184]", "[-2130706432]\n");
    check("[18446744073709551615]", "[-1]\n");
    check("[18446744073709551616]", "[1.8446744073709552e19]\n");
    check("[-0]", "[0]\n");
    check("[1e999]", "!JSON parse error, number out of range\n");
    check("[01]", "!JSON parse error, stray '01'\n!JSON parse error, expecting value\n");
    check("[1.]", "!JSON parse error, stray '1.'\n!JSON parse error, expecting value\n");
}

static void test_id(void)
{
    check("{'id':5}", "{\"id\":5} id=5\n");
    check("{'id':'x','a':1}", "{\"id\":\"x\",\"a\":1} id=\"x\"\n");
    check("{'a':{'id':1}}", "{\"a\":{\"id\":1}}\n");
    check("{'id':18446744073709551615}", "{\"id\":-1} id=18446744073709551615\n");
    check("{'id':-0,'b':2}", "{\"id\":0,\"b\":2} id=-0\n");
    check("{'id':null}", "{\"id\":null} id=null\n");
    check("{'id':[1,{'a':\n'b'}],'c':[2]}",
          "{\"id\":[1,{\"a\":\"b\"}],\"c\":[2]} id=[1, {\"a\": \"b\"}]\n");
    check("{'id':{'id':3}}{}", "{\"id\":{\"id\":3}} id={\"id\": 3}\n{}\n");
}

static void test_grammar(void)
{
    check("{]", "!JSON parse error, expecting value\n");
    check("[}", "!JSON parse error, expecting value\n");
    check("}", "!JSON parse error, expecting value\n");
    check("]{}", "!JSON parse error, expecting value\n{}\n");
    check("{\"a\" 1}", "!JSON parse error, missing : in object pair\n");
    check("{\"a\":1 \"b\":2}", "!JSON parse error, expected separator in dict\n");
    check("{1:2}", "!JSON parse error, key is not a string in object\n");
    check("{\"a\":}", "!JSON parse error, expecting value\n");
    check("{\"a\":1,}", "!JSON parse error, expecting value\n");
    check("[1,]", "!JSON parse error, expecting value\n");
    check("[1 2]", "!JSON parse error, expected separator in list\n");
    check("[,1]", "!JSON parse error, expecting value\n");
    check(",", "!JSON parse error, expecting value\n");
    check("{\"a\":1,\"a\":2}", "!JSON parse error, duplicate key\n");
    check("bad ", "!JSON parse error, invalid keyword 'bad'\n");
    check("{\"a\":tru}{}", "!JSON parse error, invalid keyword 'tru'\n{}\n");
    /* One error for a message, however much is wrong with it. */
    check("{1 2 : tru, bad}{}", "!JSON parse error, key is not a string in object\n{}\n");
}

static void test_strings(void)
{
    check("{\"a\":\"\\q\"}", "!JSON parse error, invalid escape sequence in string\n");
    check("{\"a\":\"\\ud800\"}", "!JSON parse error, not a valid Unicode character\n");
    check("{\"a\":\"\\u0000\"}",
          "!JSON parse error, \\u0000 is not supported in strings\n");
    check("{\"a\":\"\300\200\"}",
          "!JSON parse error, invalid UTF-8 sequence in string\n");
}

/* After a byte that no token has, the very next message must be understood. */
static void test_recovery(void)
{
    static const char *const bad[] = {
        "{]\n", "{\377", "{\001", "{'bad \377", "{'execute': 'x', 'id':'\n", "%p",
        "\"abc\n", "{\"a\":\"\376\"", "@", "{\"a\":\\",
    };

    for (size_t i = 0; i < G_N_ELEMENTS(bad); i++) {
        g_autoptr(GString) out = g_string_new(NULL);
        QmpParser *p = qmp_parser_new(collect, out);

        feed(p, bad[i], strlen(bad[i]));
        g_assert(g_str_has_prefix(out->str, "!JSON parse error, "));
        g_string_truncate(out, 0);
        feed(p, "{'execute':'y'}", 15);
        g_assert(g_str_has_suffix(out->str, "{\"execute\":\"y\"}\n"));
        qmp_parser_free(p);
    }
    check("\377{}", "!JSON parse error, stray '\357\277\275'\n{}\n");
}

/* count times text, then a newline and a good message. */
static void check_limit(const char *start, const char *text, size_t count,
                        const char *error)
{
    g_autoptr(GString) out = g_string_new(NULL);
    g_autofree char *want = g_strdup_printf("!%s\n{\"b\":1}\n", error);
    QmpParser *p = qmp_parser_new(collect, out);

    feed(p, start, strlen(start));
    for (size_t i = 0; i < count; i++) {
        feed(p, text, strlen(text));
    }
    feed(p, "\n{'b':1}", 8);
    g_assert_cmpstr(out->str, ==, want);
    qmp_parser_free(p);
}

static void test_limits(void)
{
    check_limit("", "[", QMP_MAX_DEPTH + 1, "JSON nesting depth limit exceeded");
    check_limit("", "{'a':", 100000, "JSON nesting depth limit exceeded");
    check_limit("[1", ",1", QMP_MAX_TOKENS, "JSON token count limit exceeded");
    check_limit("{'a':'", "0123456789abcdef", QMP_MAX_SIZE / 16 + 1,
                "JSON token size limit exceeded");
    check_limit("", "1234567890123456", QMP_MAX_SIZE / 16 + 1,
                "JSON token size limit exceeded");
}

/* Each byte of noise is answered or waited on, never more than a bounded time. */
static void test_noise(void)
{
    static const char alphabet[] = "{}[],:'\"\\ \n10.eE-+truefalsn\377\001id";
    GRand *rand = g_rand_new_with_seed(1);
    g_autoptr(GString) out = g_string_new(NULL);
    QmpParser *p = qmp_parser_new(collect, out);

    for (int i = 0; i < 300000; i++) {
        qmp_parser_feed(p, alphabet[g_rand_int_range(rand, 0, sizeof(alphabet) - 1)]);
        if (out->len > 65536) {
            g_string_truncate(out, 0);
        }
    }
    qmp_parser_free(p);
    g_rand_free(rand);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/qmp-parser/values", test_values);
    g_test_add_func("/qmp-parser/numbers", test_numbers);
    g_test_add_func("/qmp-parser/id", test_id);
    g_test_add_func("/qmp-parser/grammar", test_grammar);
    g_test_add_func("/qmp-parser/strings", test_strings);
    g_test_add_func("/qmp-parser/recovery", test_recovery);
    g_test_add_func("/qmp-parser/limits", test_limits);
    g_test_add_func("/qmp-parser/noise", test_noise);
    return g_test_run();
}
