/*
 * A fuzz target as a program without libFuzzer: it feeds each input of the folders that it is
 * given, then, with "--seconds N" before them, for so long what it makes of them by chance. A file
 * *.b64 has an input in each line. An input that ends the program is printed.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <glib.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fuzz.h"

#define MAX_SIZE 4096u

static GPtrArray *inputs;       /* of GByteArray */
static const GByteArray *running;

/* As "xxd -r -p" takes it; only what a signal handler may do. */
static void print_running(int signum)
{
    static const char hex[] = "0123456789abcdef";

    for (guint i = 0; running && i < running->len; i++) {
        char text[2] = { hex[running->data[i] >> 4], hex[running->data[i] & 15] };

        if (write(STDERR_FILENO, text, 2) != 2) {
            break;
        }
    }
    signal(signum, SIG_DFL);
    raise(signum);
}

static void feed(const GByteArray *input)
{
    /* A copy of exact size, so that a sanitizer sees what is read beyond it. */
    g_autofree uint8_t *data = g_memdup2(input->data, input->len);

    running = input;
    LLVMFuzzerTestOneInput(data ? data : (const uint8_t *)"", input->len);
    running = NULL;
}

/* Inputs ------------------------------------------------------------------- */

static void add(guchar *data, gsize size)
{
    g_ptr_array_add(inputs, g_byte_array_new_take(data, size));
}

static void add_lines(const char *text)
{
    g_auto(GStrv) lines = g_strsplit(text, "\n", -1);

    for (char **line = lines; *line && **line; line++) {
        gsize size;
        guchar *data = g_base64_decode(*line, &size);

        add(data, size);
    }
}

static void add_folder(const char *path)
{
    g_autoptr(GDir) dir = g_dir_open(path, 0, NULL);
    const char *name;

    g_assert_nonnull(dir);
    while ((name = g_dir_read_name(dir))) {
        g_autofree char *file = g_build_filename(path, name, NULL);
        char *data = NULL;
        gsize size;

        g_assert_true(g_file_get_contents(file, &data, &size, NULL));
        if (g_str_has_suffix(name, ".b64")) {
            add_lines(data);
            g_free(data);
        } else {
            add((guchar *)data, size);
        }
    }
}

/* Chance ------------------------------------------------------------------- */

static guint below(guint n)
{
    return n ? g_random_int_range(0, n) : 0;
}

/* Some bytes of another input go into this one. */
static void splice(GByteArray *input)
{
    const GByteArray *other = g_ptr_array_index(inputs, below(inputs->len));
    guint from = below(other->len), n = MIN(1 + below(other->len - from), 64u);
    guint at = below(input->len + 1);
    g_autoptr(GByteArray) tail = g_byte_array_new();

    g_byte_array_append(tail, input->data + at, input->len - at);
    g_byte_array_set_size(input, at);
    if (other->len) {
        g_byte_array_append(input, other->data + from, MIN(n, other->len - from));
    }
    g_byte_array_append(input, tail->data, tail->len);
    g_byte_array_set_size(input, MIN(input->len, MAX_SIZE));
}

static void change(GByteArray *input)
{
    guint at = below(input->len);

    switch (input->len ? below(5) : 4) {
    case 0:
        input->data[at] ^= 1u << below(8);
        break;
    case 1:
        input->data[at] = g_random_int();
        break;
    case 2:
        input->data[at] += g_random_boolean() ? 1 : -1;
        break;
    case 3:
        g_byte_array_remove_range(input, at, 1 + below(MIN(input->len - at, 8u)));
        break;
    default:
        splice(input);
    }
}

static void feed_by_chance(void)
{
    const GByteArray *base = g_ptr_array_index(inputs, below(inputs->len));
    g_autoptr(GByteArray) input = g_byte_array_new();

    g_byte_array_append(input, base->data, base->len);
    for (guint n = 1 + below(6); n; n--) {
        change(input);
    }
    feed(input);
}

int main(int argc, char **argv)
{
    int first = argc > 2 && !strcmp(argv[1], "--seconds") ? 3 : 1;
    gint64 end = first == 3 ? g_get_monotonic_time() + atoi(argv[2]) * G_USEC_PER_SEC : 0;
    unsigned runs = 0;

    inputs = g_ptr_array_new_with_free_func((GDestroyNotify)g_byte_array_unref);
    for (int i = first; i < argc; i++) {
        add_folder(argv[i]);
    }
    g_assert_cmpuint(inputs->len, >, 0);
    if (LLVMFuzzerInitialize) {
        LLVMFuzzerInitialize(&argc, &argv);
    }
    signal(SIGABRT, print_running);
    signal(SIGTRAP, print_running);
    for (guint i = 0; i < inputs->len; i++) {
        feed(g_ptr_array_index(inputs, i));
    }
    for (; g_get_monotonic_time() < end; runs++) {
        feed_by_chance();
    }
    printf("1..1\nok 1 - %u inputs, %u by chance\n", inputs->len, runs);
    g_ptr_array_unref(inputs);
    return 0;
}
