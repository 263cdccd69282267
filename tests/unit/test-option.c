/*
 * Option lists, sizes and property rows.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <errno.h>
#include <string.h>

#include "qemu/cutils.h"
#include "qemu/object.h"

/* What the parsed list must look like, as "name=value;name=value". */
static void check(const char *params, const char *implied, const char *expect)
{
    Error *err = NULL;
    g_autoptr(QemuOpts) opts = qemu_opts_parse(params, implied, &err);
    g_autoptr(GString) s = g_string_new(NULL);

    g_assert_null(err);
    for (guint i = 0; i < opts->opts->len; i++) {
        QemuOpt *opt = &g_array_index(opts->opts, QemuOpt, i);

        g_string_append_printf(s, "%s%s=%s", i ? ";" : "", opt->name, opt->str);
    }
    g_assert_cmpstr(s->str, ==, expect);
}

static void test_parse(void)
{
    check("", NULL, "");
    check("a=1", NULL, "a=1");
    check("a=1,b=2,a=3", NULL, "a=1;b=2;a=3");
    check("microvm,legacy", "type", "type=microvm;legacy=on");
    check("microvm,", "type", "type=microvm");
    check("a=x,,y,b=,,", NULL, "a=x,y;b=,");
    check("a=k=v", NULL, "a=k=v");
    check("socket,path=/a,server,nowait", "backend",
          "backend=socket;path=/a;server=on;wait=off");
    check("file,nodelay", "backend", "backend=file;nodelay=on");
    check("type=microvm", "type", "type=microvm");
}

static void test_parse_json(void)
{
    check("{\"driver\":\"raw\",\"n\":3,\"b\":true,\"c\":false}", NULL,
          "driver=raw;n=3;b=on;c=off");
    check("{\"file\":{\"driver\":\"file\",\"cache\":{\"direct\":true}}}", NULL,
          "file.driver=file;file.cache.direct=on");
    check("{\"hostfwd\":[{\"str\":\"a\"},{\"str\":\"b\"}],\"l\":[\"c\"]}", NULL,
          "hostfwd=a;hostfwd=b;l=c");
    check("{\"host-nodes\":[0,3],\"e\":[],\"o\":[{\"a\":1}]}", NULL,
          "host-nodes=0;host-nodes=3;o.0.a=1");
    /* Either quotes, and the other kind inside. */
    check("{'a':'b\"c', \"d\":\"e'f\",'g':'h\\'i\\\\', 'j':\"k\\'l\\\"\"}", NULL,
          "a=b\"c;d=e'f;g=h'i\\;j=k'l\"");
}

static void test_parse_bad(void)
{
    static const char *const bad[] = {
        "=x", "a=1,=2", "{", "{}}", "{'a':'b}", "{'a':\"b'}", "{'a':'b\\",
        "{\"a\":1,\"a\":2}", "[1]x",
        "{'a':null}", "{'a':[null]}", "{'a':1.5}", "{'a':{'b':1e3}}",
        ("{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":"
         "{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":1}}}}}}}}}}}}}}}}}}"),
    };

    for (size_t i = 0; i < G_N_ELEMENTS(bad); i++) {
        Error *err = NULL;
        QemuOpts *opts = qemu_opts_parse(bad[i], NULL, &err);

        if (bad[i][0] == '[') {     /* only '{' starts JSON: this is a bare word */
            g_assert_nonnull(opts);
            qemu_opts_free(opts);
            continue;
        }
        g_assert_null(opts);
        g_assert_nonnull(err);
        error_free(err);
    }
}

static void test_lookup(void)
{
    g_autoptr(QemuOpts) opts = qemu_opts_parse("a=1,b=2,a=3,help", NULL, NULL);
    g_autofree char *taken = NULL;

    g_assert_true(qemu_opts_has_help(opts));
    g_assert_cmpstr(qemu_opt_get(opts, "a"), ==, "3");
    g_assert_null(qemu_opt_get(opts, "c"));
    g_assert_cmpstr(qemu_opts_first_unused(opts)->name, ==, "b");
    taken = qemu_opt_take(opts, "a");
    g_assert_cmpstr(taken, ==, "3");
    g_assert_null(qemu_opt_get(opts, "a"));
    qemu_opt_set(opts, "b", "9");
    g_assert_cmpstr(qemu_opt_get(opts, "b"), ==, "9");
}

static void test_sizes(void)
{
    static const struct {
        const char *str;
        char suffix;
        int ret;
        uint64_t value;
    } cases[] = {
        { "0", 'B', 0, 0 }, { "512", 'M', 0, 512 * MiB }, { "512m", 'M', 0, 512 * MiB },
        { "512M", 'B', 0, 512 * MiB }, { "1G", 'M', 0, GiB }, { "1.5G", 'M', 0, 3 * GiB / 2 },
        { "2T", 'M', 0, 2048 * GiB }, { "4k", 'B', 0, 4096 }, { "7B", 'M', 0, 7 },
        { "0x10", 'B', 0, 16 }, { "16E", 'B', -ERANGE, 0 }, { "15E", 'B', 0, 15ULL << 60 },
        { "18446744073709551615", 'B', 0, UINT64_MAX },
        { "18446744073709551616", 'B', -ERANGE, 0 }, { "-1", 'B', -EINVAL, 0 },
        { "", 'B', -EINVAL, 0 }, { "abc", 'M', -EINVAL, 0 }, { "1x", 'M', -EINVAL, 0 },
        { "1MB", 'M', -EINVAL, 0 }, { "1.5B", 'B', -EINVAL, 0 }, { "1.", 'M', 0, MiB },
    };

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        uint64_t value = 0;
        int ret = qemu_strtosz(cases[i].str, cases[i].suffix, &value);

        g_test_message("size '%s'", cases[i].str);
        g_assert_cmpint(ret, ==, cases[i].ret);
        if (ret == 0) {
            g_assert_cmpuint(value, ==, cases[i].value);
        }
    }
}

static const char *const colours[] = { "red", "green", NULL };

typedef struct Thing {
    Object obj;
    bool flag;
    OnOffAuto tri;
    uint8_t small;
    uint32_t number;
    uint64_t size;
    char *text;
    GPtrArray *list;
    int colour;
    int32_t signed_number;
} Thing;

static const Property base_props[] = {
    DEFINE_PROP_BOOL("flag", Thing, flag, "on", "a flag"),
    DEFINE_PROP_END
};

static const ObjectClass base_class = {
    .name = "base", .instance_size = sizeof(Thing), .props = base_props,
};

static const Property thing_props[] = {
    DEFINE_PROP_ON_OFF_AUTO("tri-state", Thing, tri, "auto", NULL),
    DEFINE_PROP_UINT8("small", Thing, small, "7", NULL),
    DEFINE_PROP_UINT32("number", Thing, number, NULL, NULL),
    DEFINE_PROP_SIZE("size", Thing, size, "1M", NULL),
    DEFINE_PROP_STRING("text", Thing, text, "hello", NULL),
    DEFINE_PROP_STRLIST("list", Thing, list, NULL),
    DEFINE_PROP_ENUM("colour", Thing, colour, &colours, "green", NULL),
    DEFINE_PROP_INT32("signed", Thing, signed_number, "-5", NULL),
    DEFINE_PROP_IGNORED("old", NULL),
    DEFINE_PROP_END
};

static const ObjectClass thing_class = {
    .name = "thing", .type_name = "thing-type", .parent = &base_class,
    .instance_size = sizeof(Thing), .props = thing_props,
};

static void test_properties(void)
{
    Thing *t = (Thing *)object_new(&thing_class, "t0");
    g_autoptr(QemuOpts) opts = qemu_opts_parse(
        "id=x,flag=off,tri_state=off,small=0xff,size=2G,text=a,list=1,list=2,colour=red,"
        "old=whatever,signed=-7,number=4294967295", NULL, NULL);
    Error *err = NULL;
    g_autofree char *list = NULL;

    g_assert_true(t->flag);
    g_assert_cmpint(t->tri, ==, ON_OFF_AUTO_AUTO);
    g_assert_cmpint(t->small, ==, 7);
    g_assert_cmpuint(t->size, ==, MiB);
    g_assert_cmpstr(t->text, ==, "hello");
    g_assert_cmpint(t->colour, ==, 1);
    g_assert_cmpint(t->signed_number, ==, -5);

    g_assert_true(object_set_opts(&t->obj, opts, &err));
    g_assert_false(t->flag);
    g_assert_cmpint(t->tri, ==, ON_OFF_AUTO_OFF);
    g_assert_cmpint(t->small, ==, 0xff);
    g_assert_cmpuint(t->number, ==, UINT32_MAX);
    g_assert_cmpuint(t->size, ==, 2 * GiB);
    g_assert_cmpstr(t->text, ==, "a");
    g_assert_cmpint(t->colour, ==, 0);
    g_assert_cmpint(t->signed_number, ==, -7);
    list = property_get(&t->obj, "list", NULL);
    g_assert_cmpstr(list, ==, "1,2");
    object_free(&t->obj);
}

static void test_bad_properties(void)
{
    static const struct {
        const char *name, *value, *message;
    } cases[] = {
        { "nosuch", "1", "Property 'thing-type.nosuch' not found" },
        { "flag", "maybe", "Parameter 'flag' expects 'on' or 'off'" },
        { "tri-state", "maybe", "Parameter 'tri-state' does not accept value 'maybe'" },
        { "small", "256", "Property thing-type.small doesn't take value '256' "
          "(minimum: 0, maximum: 255)" },
        { "small", "-1", "Parameter 'small' expects a number" },
        { "number", "", "Parameter 'number' expects a number" },
        { "size", "abc", "Parameter 'size' expects a non-negative number below 2^64" },
        { "colour", "blue", "Parameter 'colour' does not accept value 'blue'" },
        { "signed", "2147483648", "Parameter 'signed' expects a number" },
    };
    Object *t = object_new(&thing_class, NULL);

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        Error *err = NULL;

        g_assert_false(property_set(t, cases[i].name, cases[i].value, &err));
        g_assert_cmpstr(error_get_pretty(err), ==, cases[i].message);
        error_free(err);
    }
    object_free(t);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/option/parse", test_parse);
    g_test_add_func("/option/json", test_parse_json);
    g_test_add_func("/option/bad", test_parse_bad);
    g_test_add_func("/option/lookup", test_lookup);
    g_test_add_func("/option/sizes", test_sizes);
    g_test_add_func("/property/set", test_properties);
    g_test_add_func("/property/bad", test_bad_properties);
    return g_test_run();
}
