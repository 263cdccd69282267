/*
 * Saved machines that name their bases: what is written, mapped and read again; hostile ones.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <fcntl.h>
#include <glib.h>
#include <glib/gstdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "migration/internal.h"
#include "migration/layers.h"

#define PAGES 16
#define RAM_SIZE (PAGES * FORMAT_PAGE)
#define FINGERPRINT "machine: test\n"

static char *folder;

static char *path_of(const char *name)
{
    return g_build_filename(folder, name, NULL);
}

/* Writing, as the writer's thread does --------------------------------------------------------- */

typedef struct File {
    Channel c;
    SectionWriter w;
    RamCounters counters;
    _Atomic uint64_t bandwidth;
} File;

static File *file_new(const char *name, uint32_t layout, uint64_t ram_size)
{
    g_autofree char *path = path_of(name);
    File *f = g_new0(File, 1);

    f->c = (Channel) { .fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600) };
    g_assert_cmpint(f->c.fd, >=, 0);
    g_assert_cmpint(event_notifier_init(&f->c.hurry), ==, 0);
    f->w = (SectionWriter) {
        .c = &f->c, .counters = &f->counters, .max_bandwidth = &f->bandwidth,
    };
    g_assert_cmpint(machine_write_begin(&f->w, layout, ram_size, FINGERPRINT), ==, 0);
    return f;
}

static void put(File *f, SectionType type, const void *data, size_t len)
{
    g_assert_cmpint(section_write(&f->w, type, NULL, 0, data, len), ==, 0);
}

static void put_id(File *f, const char *id)
{
    uint8_t bytes[FORMAT_ID_SIZE] = { 0 };

    memcpy(bytes, id, strlen(id));
    put(f, SECTION_IDENTITY, bytes, sizeof(bytes));
}

static void file_end(File *f, const uint8_t *ram, uint64_t size, const FormatExtent *e, uint32_t n)
{
    const uint64_t image = FORMAT_IMAGE_ALIGN;

    put(f, SECTION_RAM_IMAGE, &image, sizeof(image));
    g_assert_cmpint(machine_write_end(&f->w), ==, 0);
    g_assert_cmpint(ram_write_extents(&f->w, ram, size, image, e, n), ==, 0);
    channel_close(&f->c);
    g_free(f);
}

static void write_whole(const char *name, const uint8_t *ram, uint64_t size)
{
    const FormatExtent all = { 0, size };
    File *f = file_new(name, FORMAT_MAPPED, size);

    put_id(f, name);
    file_end(f, ram, size, &all, 1);
}

/* The message, which is fit to be shown; NULL: *layers is there. Caller frees. */
static char *try_open(const char *name, Layers **layers)
{
    g_autofree char *path = path_of(name);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    Error *err = NULL;
    char *text = NULL;

    g_assert_cmpint(fd, >=, 0);
    *layers = layers_open(path, fd, &err);
    close(fd);
    g_assert(!*layers == !!err);
    if (err) {
        text = g_strdup(error_get_pretty(err));
        for (const char *p = text; *p; p++) {
            g_assert_true(g_ascii_isprint(*p));
        }
        error_free(err);
    }
    return text;
}

static Layers *must_open(const char *name)
{
    Layers *layers;
    g_autofree char *text = try_open(name, &layers);

    g_assert_cmpstr(text, ==, NULL);
    return layers;
}

static void expect(const char *name, const char *message)
{
    Layers *layers;
    g_autofree char *text = try_open(name, &layers);

    g_assert_nonnull(text);
    if (!strstr(text, message)) {
        g_test_message("%s", text);
        g_test_fail();
    }
}

/* n: how many extents it has. */
static void write_difference(const char *name, const char *base_name, const uint8_t *ram,
                             uint64_t size, uint32_t *n)
{
    Layers *base = must_open(base_name);
    g_autoptr(GByteArray) section = layers_base_section(base, base_name);
    File *f = file_new(name, FORMAT_DIFFERENCE, size);
    g_autofree FormatExtent *extents = NULL;

    g_assert_cmpint(layers_compare(base, ram, f->c.hurry.fd, &extents, n), ==, 0);
    put_id(f, name);
    put(f, SECTION_BASE, section->data, section->len);
    put(f, SECTION_EXTENTS, extents, *n * sizeof(*extents));
    file_end(f, ram, size, extents, *n);
    layers_free(base);
}

/* Both ways to get it are what ram is; and so is the reader's. */
static void check(const char *name, const uint8_t *ram, uint64_t size)
{
    Layers *layers = must_open(name);
    uint8_t *own = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    memset(own, 0xaa, size);
    g_assert_cmpint(layers_read(layers, own), ==, 0);
    g_assert_cmpmem(own, size, ram, size);
    memset(own, 0xaa, size);
    g_assert_cmpint(layers_map(layers, own), ==, 0);
    g_assert_cmpmem(own, size, ram, size);
    memset(own, 0x55, size);        /* the files stay as they are */
    g_assert_cmpint(layers_map(layers, own), ==, 0);
    g_assert_cmpmem(own, size, ram, size);
    munmap(own, size);
    layers_free(layers);
}

static void fill(uint8_t *ram, uint64_t size)
{
    for (uint64_t i = 0; i < size; i++) {
        ram[i] = i / FORMAT_PAGE % 3 ? i * 7 : 0;
    }
}

static void test_chain(void)
{
    g_autofree uint8_t *ram = g_malloc(RAM_SIZE);
    uint32_t n;

    fill(ram, RAM_SIZE);
    write_whole("base", ram, RAM_SIZE);
    check("base", ram, RAM_SIZE);
    write_difference("same", "base", ram, RAM_SIZE, &n);
    g_assert_cmpint(n, ==, 0);
    check("same", ram, RAM_SIZE);
    /* A page becomes zeros, one of zeros something, the last byte of all; twins are one extent. */
    memset(ram + 4 * FORMAT_PAGE, 0, FORMAT_PAGE);
    ram[5 * FORMAT_PAGE] ^= 1;
    ram[9 * FORMAT_PAGE + 1] = 1;
    ram[RAM_SIZE - 1] ^= 1;
    write_difference("one", "base", ram, RAM_SIZE, &n);
    g_assert_cmpint(n, ==, 3);
    check("one", ram, RAM_SIZE);
    memset(ram + 5 * FORMAT_PAGE, 3, 2 * FORMAT_PAGE);
    write_difference("two", "one", ram, RAM_SIZE, &n);
    g_assert_cmpint(n, ==, 1);
    check("two", ram, RAM_SIZE);
}

/* More pieces than a list may have. */
static void test_many_extents(void)
{
    const uint64_t size = (3 * FORMAT_MAX_EXTENTS + 1) * (uint64_t)FORMAT_PAGE;
    g_autofree uint8_t *ram = g_malloc0(size);
    uint32_t n;

    write_whole("big", ram, size);
    for (uint64_t at = 0; at < size; at += 2 * FORMAT_PAGE) {
        ram[at] = 1 + at / FORMAT_PAGE % 250;
    }
    write_difference("many", "big", ram, size, &n);
    g_assert_cmpint(n, >, 0);
    g_assert_cmpint(n, <=, FORMAT_MAX_EXTENTS);
    check("many", ram, size);
}

static void test_wrong_bases(void)
{
    g_autofree uint8_t *ram = g_malloc0(2 * RAM_SIZE);
    g_autofree char *base = path_of("b0"), *other = path_of("other");
    File *f;
    uint32_t n;

    write_whole("b0", ram, RAM_SIZE);
    for (unsigned i = 1; i < LAYERS_MAX; i++) {
        g_autofree char *name = g_strdup_printf("b%u", i), *below = g_strdup_printf("b%u", i - 1);

        ram[i * FORMAT_PAGE] = i;
        write_difference(name, below, ram, RAM_SIZE, &n);
        check(name, ram, RAM_SIZE);
    }
    /* One more, which the monitor refuses to make. */
    write_difference("b8", "b7", ram, RAM_SIZE, &n);
    expect("b8", "more than 8 files");
    write_whole("other", ram, RAM_SIZE);
    g_assert_cmpint(g_rename(other, base), ==, 0);
    expect("b1", "it is not the one that it was");
    write_whole("b0", ram, 2 * RAM_SIZE);
    expect("b2", "it is not the one that it was");
    f = file_new("b0", FORMAT_MAPPED, RAM_SIZE);
    file_end(f, ram, RAM_SIZE, NULL, 0);
    expect("b1", "older version");
    f = file_new("b0", FORMAT_STREAM, RAM_SIZE);
    file_end(f, ram, RAM_SIZE, NULL, 0);
    expect("b1", "without mapped-ram");
    g_unlink(base);
    expect("b1", "No such file");
}

/* What a file says of itself, and what becomes of it. */
static void made_up(const char *base_name, const FormatExtent *e, uint32_t n, const char *message)
{
    g_autofree uint8_t *ram = g_malloc0(RAM_SIZE);
    FormatBase base = { .size = FORMAT_IMAGE_ALIGN + RAM_SIZE, .id = "self" };
    g_autoptr(GByteArray) section = g_byte_array_new();
    File *f = file_new("self", FORMAT_DIFFERENCE, RAM_SIZE);

    g_byte_array_append(section, (const uint8_t *)&base, sizeof(base));
    g_byte_array_append(section, (const uint8_t *)base_name, strlen(base_name));
    put_id(f, "self");
    put(f, SECTION_BASE, section->data, section->len);
    put(f, SECTION_EXTENTS, e, n * sizeof(*e));
    file_end(f, ram, RAM_SIZE, NULL, 0);
    expect("self", message);
}

static void test_made_up(void)
{
    const FormatExtent fine = { 0, FORMAT_PAGE }, wrong[][2] = {
        { { 1, FORMAT_PAGE } }, { { 0, 0 } }, { { 0, 1 } }, { { RAM_SIZE, FORMAT_PAGE } },
        { { 0, RAM_SIZE + FORMAT_PAGE } }, { { UINT64_MAX & ~0xfffull, FORMAT_PAGE } },
        { { FORMAT_PAGE, UINT64_MAX & ~0xfffull } },
        { { FORMAT_PAGE, FORMAT_PAGE }, { 0, FORMAT_PAGE } },
        { { 0, 2 * FORMAT_PAGE }, { FORMAT_PAGE, FORMAT_PAGE } },
    };
    File *f;

    made_up("self", &fine, 1, "more than 8 files");
    made_up("../self", &fine, 1, "in the same folder");
    made_up("..", &fine, 1, "in the same folder");
    made_up("a\nb", &fine, 1, "in the same folder");
    for (unsigned i = 0; i < G_N_ELEMENTS(wrong); i++) {
        made_up("self", wrong[i], wrong[i][1].len ? 2 : 1, "does not have");
    }
    f = file_new("self", FORMAT_DIFFERENCE, RAM_SIZE);
    put_id(f, "self");
    file_end(f, NULL, RAM_SIZE, NULL, 0);
    expect("self", "incomplete");
    f = file_new("self", FORMAT_MAPPED, RAM_SIZE);
    put_id(f, "self");
    put(f, SECTION_EXTENTS, &fine, sizeof(fine));
    file_end(f, NULL, RAM_SIZE, NULL, 0);
    expect("self", "incomplete");
}

/* Cut off anywhere in its head, and each byte of that changed: refused, or what it was. */
static void test_damaged(void)
{
    g_autofree uint8_t *ram = g_malloc0(RAM_SIZE), *data = NULL;
    g_autofree char *path = path_of("damaged");
    Layers *layers;
    size_t len;
    uint32_t n;
    int fd;

    write_whole("base", ram, RAM_SIZE);
    ram[FORMAT_PAGE] = 1;
    write_difference("damaged", "base", ram, RAM_SIZE, &n);
    fd = open(path, O_RDWR | O_CLOEXEC);
    data = g_malloc(4096);
    g_assert_cmpint(pread(fd, data, 4096, 0), ==, 4096);
    for (len = 4096; !data[len - 1]; len--) {
        continue;
    }
    for (size_t i = 0; i < len; i++) {
        uint8_t changed = data[i] ^ (1 + i % 255);
        g_autofree char *text = NULL;

        g_assert_cmpint(pwrite(fd, &changed, 1, i), ==, 1);
        text = try_open("damaged", &layers);
        layers_free(layers);
        g_assert_cmpint(pwrite(fd, &data[i], 1, i), ==, 1);
    }
    check("damaged", ram, RAM_SIZE);
    for (size_t i = len; i--;) {
        g_assert_cmpint(ftruncate(fd, i), ==, 0);
        expect("damaged", "");
    }
    close(fd);
}

static void remove_all(void)
{
    g_autoptr(GDir) dir = g_dir_open(folder, 0, NULL);
    const char *name;

    while ((name = g_dir_read_name(dir))) {
        g_autofree char *path = path_of(name);

        g_unlink(path);
    }
    g_rmdir(folder);
    g_free(folder);
}

int main(int argc, char **argv)
{
    int ret;

    g_test_init(&argc, &argv, NULL);
    folder = g_dir_make_tmp("layers-XXXXXX", NULL);
    g_test_add_func("/layers/chain", test_chain);
    g_test_add_func("/layers/many-extents", test_many_extents);
    g_test_add_func("/layers/wrong-bases", test_wrong_bases);
    g_test_add_func("/layers/made-up", test_made_up);
    g_test_add_func("/layers/damaged", test_damaged);
    ret = g_test_run();
    remove_all();
    return ret;
}
