/*
 * SMBIOS structures, as a reader of the specification finds them.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <glib.h>
#include <glib/gstdio.h>
#include <string.h>
#include <unistd.h>

#include "hw/smbios/smbios.h"
#include "qemu/cutils.h"

static const SmbiosRange ram[] = { { 0, 3 * GiB }, { 4 * GiB, 61 * GiB } };
static const SmbiosInfo machine = {
    .product = "microvm", .version = "1.0", .uuid = "00112233-4455-6677-8899-aabbccddeeff",
    .sockets = 2, .cores = 3, .threads = 2, .cpu_signature = 0x663, .cpu_features = 0x78bfbfd,
    .ram_size = 64 * GiB, .ram = ram, .nr_ram = 2,
};

/* Reading ------------------------------------------------------------------ */

static uint64_t rd(const uint8_t *p, unsigned size)
{
    uint64_t value = 0;

    memcpy(&value, p, size);
    return value;
}

/* The first byte behind a structure. */
static const uint8_t *skip(const uint8_t *p)
{
    p += p[1];
    while (p[0] || p[1]) {
        p++;
    }
    return p + 2;
}

/* Number n of a type, or NULL. */
static const uint8_t *find(const GByteArray *t, unsigned type, unsigned n)
{
    const uint8_t *p = t->data;

    while (p < t->data + t->len) {
        if (p[0] == type && n-- == 0) {
            return p;
        }
        p = skip(p);
    }
    g_assert_true(p == t->data + t->len);
    return NULL;
}

/* The string that the byte at offset names; "" for none. */
static const char *text(const uint8_t *p, unsigned offset)
{
    unsigned n = p[offset];
    const char *s = (const char *)p + p[1];

    if (n == 0) {
        return "";
    }
    while (--n > 0) {
        s += strlen(s) + 1;
    }
    return s;
}

static bool add(SmbiosOptions *o, const char *option, char **message)
{
    Error *err = NULL;
    g_autoptr(QemuOpts) opts = qemu_opts_parse(option, NULL, NULL);
    bool ok = smbios_options_add(o, opts, &err);

    *message = err ? g_strdup(error_get_pretty(err)) : NULL;
    g_assert_cmpint(ok, ==, err == NULL);
    error_free(err);
    return ok;
}

static GByteArray *build(const char *const *options)
{
    SmbiosOptions *o = smbios_options_new();
    GByteArray *table;
    char *message;

    for (; *options; options++) {
        g_assert_true(add(o, *options, &message));
    }
    table = smbios_build_tables(o, &machine);
    smbios_options_free(o);
    return table;
}

/* Tests -------------------------------------------------------------------- */

static void test_default(void)
{
    static const uint8_t uuid[16] = {
        0x33, 0x22, 0x11, 0x00, 0x55, 0x44, 0x77, 0x66,
        0x88, 0x99, 0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff,
    };
    g_autoptr(GByteArray) t = smbios_build_tables(NULL, &machine);
    const uint8_t *p = find(t, 1, 0);

    g_assert_cmpuint(p[1], ==, 0x1b);
    g_assert_cmpstr(text(p, 4), ==, "QEMU");
    g_assert_cmpstr(text(p, 5), ==, "microvm");
    g_assert_cmpstr(text(p, 7), ==, "");
    g_assert_cmpmem(p + 8, 16, uuid, 16);
    g_assert_null(find(t, 0, 0));
    g_assert_null(find(t, 2, 0));
    g_assert_nonnull(find(t, 3, 0));
    g_assert_null(find(t, 11, 0));
    p = find(t, 127, 0);
    g_assert_cmpuint(t->data + t->len - p, ==, 6);
    /* Every handle is another one. */
    for (const uint8_t *a = t->data; a < p; a = skip(a)) {
        for (const uint8_t *b = skip(a); b < p; b = skip(b)) {
            g_assert_cmphex(rd(a + 2, 2), !=, rd(b + 2, 2));
        }
    }
}

static void test_processors_and_memory(void)
{
    g_autoptr(GByteArray) t = smbios_build_tables(NULL, &machine);
    const uint8_t *p = find(t, 4, 1);

    g_assert_cmpuint(p[1], ==, 0x30);
    g_assert_cmpstr(text(p, 4), ==, "CPU   1");
    g_assert_cmphex(rd(p + 8, 4), ==, 0x663);
    g_assert_cmphex(rd(p + 12, 4), ==, 0x78bfbfd);
    g_assert_cmpuint(p[0x23], ==, 3);
    g_assert_cmpuint(p[0x25], ==, 6);
    g_assert_null(find(t, 4, 2));

    p = find(t, 16, 0);
    g_assert_cmpuint(p[1], ==, 0x17);
    g_assert_cmphex(rd(p + 7, 4), ==, 64 * GiB / KiB);
    g_assert_cmpuint(rd(p + 13, 2), ==, 4);
    p = find(t, 17, 3);
    g_assert_cmpuint(p[1], ==, 0x28);
    g_assert_cmpuint(rd(p + 12, 2), ==, 16 * 1024);
    g_assert_cmpstr(text(p, 16), ==, "DIMM 3");
    g_assert_null(find(t, 17, 4));
    p = find(t, 19, 1);
    g_assert_cmphex(rd(p + 4, 4), ==, 4 * GiB / KiB);
    g_assert_cmphex(rd(p + 8, 4), ==, 65 * GiB / KiB - 1);
}

static void test_fields(void)
{
    static const char *const options[] = {
        "type=0,vendor=V,release=1.2,uefi=on", "type=1,serial=S1,sku=K,family=F",
        "type=1,serial=S2,uuid=ffffffff-0000-0000-0000-000000000000",
        "type=2,product=Board,asset=A", "type=3,sku=C", "type=4,max-speed=4000,part=P",
        "type=17,loc_pfx=Slot,speed=3200,manufacturer=M", "type=11,value=one,value=two,,2",
        "type=11,value=", NULL
    };
    g_autoptr(GByteArray) t = build(options);
    const uint8_t *p = find(t, 0, 0);

    g_assert_cmpstr(text(p, 4), ==, "V");
    g_assert_cmpuint(p[0x13] & 8, ==, 8);
    g_assert_cmpuint(p[0x14], ==, 1);
    g_assert_cmpuint(p[0x15], ==, 2);
    p = find(t, 1, 0);
    g_assert_cmpstr(text(p, 7), ==, "S2");
    g_assert_cmphex(rd(p + 8, 8), ==, 0xffffffff);
    g_assert_cmpstr(text(p, 0x19), ==, "K");
    g_assert_cmpstr(text(p, 0x1a), ==, "F");
    p = find(t, 2, 0);
    g_assert_cmpstr(text(p, 5), ==, "Board");
    g_assert_cmpstr(text(p, 8), ==, "A");
    g_assert_cmphex(rd(p + 11, 2), ==, rd(find(t, 3, 0) + 2, 2));
    g_assert_cmpstr(text(find(t, 3, 0), 0x15), ==, "C");
    p = find(t, 4, 0);
    g_assert_cmpuint(rd(p + 0x14, 2), ==, 4000);
    g_assert_cmpstr(text(p, 0x22), ==, "P");
    p = find(t, 17, 0);
    g_assert_cmpstr(text(p, 16), ==, "Slot 0");
    g_assert_cmpuint(rd(p + 0x15, 2), ==, 3200);
    p = find(t, 11, 0);
    g_assert_cmpuint(p[4], ==, 3);
    g_assert_cmpstr((const char *)p + 5, ==, "one");
    g_assert_cmpstr((const char *)p + 9, ==, "two,2");
    g_assert_cmpstr((const char *)p + 15, ==, " ");
}

/* A file with a row of structures replaces ours of the same types. */
static void test_files(void)
{
    static const uint8_t whole[] = {
        1, 4, 1, 2, 'x', 0, 0, 200, 5, 3, 4, 9, 0, 0,
    };
    g_autofree char *name = NULL, *option = NULL, *message = NULL;
    int fd = g_file_open_tmp("smbios-XXXXXX", &name, NULL);
    SmbiosOptions *o = smbios_options_new();
    g_autoptr(GByteArray) t = NULL;

    g_assert_cmpint(write(fd, whole, sizeof(whole)), ==, sizeof(whole));
    option = g_strdup_printf("file=%s", name);
    g_assert_true(add(o, option, &message));
    g_assert_false(add(o, "type=1,serial=x", &message));
    g_assert_nonnull(strstr(message, "from a file"));
    t = smbios_build_tables(o, &machine);
    smbios_options_free(o);
    g_assert_cmphex(rd(find(t, 1, 0) + 2, 2), ==, 0x201);
    g_assert_null(find(t, 1, 1));
    g_assert_cmpuint(find(t, 200, 0)[4], ==, 9);

    for (unsigned len = sizeof(whole) - 1; len > 0; len--) {
        g_autofree char *why = NULL;

        o = smbios_options_new();
        g_assert_cmpint(ftruncate(fd, len), ==, 0);
        g_assert_true(add(o, option, &why) == (len == 7));
        g_assert_true(len == 7 || strstr(why, "Cannot read SMBIOS file"));
        smbios_options_free(o);
    }
    close(fd);
    g_unlink(name);
}

/* The dump of a whole table: its end does not end ours. */
static void test_file_with_end(void)
{
    static const uint8_t table[] = {
        1, 4, 1, 2, 'x', 0, 0, 127, 4, 0, 127, 0, 0, 200, 5, 3, 4, 9, 0, 0,
    };
    g_autofree char *name = NULL, *option = NULL, *message = NULL;
    int fd = g_file_open_tmp("smbios-XXXXXX", &name, NULL);
    SmbiosOptions *o = smbios_options_new();
    g_autoptr(GByteArray) t = NULL;

    g_assert_cmpint(write(fd, table, sizeof(table)), ==, sizeof(table));
    close(fd);
    option = g_strdup_printf("file=%s", name);
    g_assert_true(add(o, option, &message));
    t = smbios_build_tables(o, &machine);
    smbios_options_free(o);
    g_assert_nonnull(find(t, 200, 0));
    g_assert_true(find(t, 127, 0) + 6 == t->data + t->len);
    g_unlink(name);
}

static void test_mistakes(void)
{
    static const char *const rows[][2] = {
        { "serial=x", "Must specify type= or file=" },
        { "type=x", "out of range!" }, { "type=256", "out of range!" },
        { "type=5,a=b", "Don't know how to build fields for SMBIOS type 5" },
        { "type=1,seral=x", "Invalid parameter 'seral'" },
        { "type=1,uuid=x", "Invalid value 'x' for 'uuid'" },
        { "type=0,release=1", "Invalid value '1' for 'release'" },
        { "type=0,release=1.256", "Invalid value '1.256' for 'release'" },
        { "type=0,uefi=maybe", "Invalid value 'maybe' for 'uefi'" },
        { "type=17,speed=65536", "Invalid value '65536' for 'speed'" },
        { "file=/nonexist", "Failed to load SMBIOS file /nonexist: No such file or directory" },
        { "file=/dev/zero", "Failed to load SMBIOS file /dev/zero: not a regular file" },
        { "type=11,path=/", "Unable to read OEM string from /: Is a directory" },
        { "type=11,text=x", "Invalid parameter 'text'" },
    };
    SmbiosOptions *o = smbios_options_new();

    for (unsigned i = 0; i < G_N_ELEMENTS(rows); i++) {
        g_autofree char *message = NULL;

        g_assert_false(add(o, rows[i][0], &message));
        if (!g_str_has_prefix(message, rows[i][1])) {
            g_error("%s: '%s', not '%s'", rows[i][0], message, rows[i][1]);
        }
    }
    smbios_options_free(o);
}

static void test_entry(void)
{
    uint8_t entry[SMBIOS_ENTRY_SIZE], sum = 0;

    smbios_build_entry(0xf0020, 0x1234, entry);
    g_assert_cmpmem(entry, 5, "_SM3_", 5);
    g_assert_cmpuint(entry[6], ==, 24);
    g_assert_cmphex(rd(entry + 12, 4), ==, 0x1234);
    g_assert_cmphex(rd(entry + 16, 8), ==, 0xf0020);
    for (unsigned i = 0; i < sizeof(entry); i++) {
        sum += entry[i];
    }
    g_assert_cmphex(sum, ==, 0);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/smbios/default", test_default);
    g_test_add_func("/smbios/processors-and-memory", test_processors_and_memory);
    g_test_add_func("/smbios/fields", test_fields);
    g_test_add_func("/smbios/files", test_files);
    g_test_add_func("/smbios/file-with-end", test_file_with_end);
    g_test_add_func("/smbios/mistakes", test_mistakes);
    g_test_add_func("/smbios/entry", test_entry);
    return g_test_run();
}
