/*
 * A fuzz target as a program that feeds each file of the folders that it is given once.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <glib.h>
#include <stdio.h>

#include "fuzz.h"

static void feed_folder(const char *path)
{
    g_autoptr(GDir) dir = g_dir_open(path, 0, NULL);
    const char *name;

    g_assert_nonnull(dir);
    while ((name = g_dir_read_name(dir))) {
        g_autofree char *file = g_build_filename(path, name, NULL);
        g_autofree char *data = NULL;
        gsize size;

        g_assert_true(g_file_get_contents(file, &data, &size, NULL));
        LLVMFuzzerTestOneInput((const uint8_t *)data, size);
    }
}

int main(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        feed_folder(argv[i]);
    }
    printf("1..1\nok 1 - %d corpora\n", argc - 1);
    return 0;
}
