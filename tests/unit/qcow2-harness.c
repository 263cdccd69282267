/*
 * Images of qemu-img's making, and what is in them, for the tests of qcow2.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "qcow2-harness.h"

#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

static char *folder;

bool have_tools(void)
{
    g_autofree char *img = g_find_program_in_path("qemu-img");
    g_autofree char *io = g_find_program_in_path("qemu-io");

    if (!img || !io) {
        g_test_skip("there is no qemu-img or no qemu-io");
    }
    return img && io;
}

const char *scratch(void)
{
    if (!folder) {
        folder = g_dir_make_tmp("qcow2-XXXXXX", NULL);
    }
    return folder;
}

char *in_scratch(const char *name)
{
    return g_build_filename(scratch(), name, NULL);
}

void scratch_remove(void)
{
    if (folder) {
        tool("rm -rf '%s'", folder);
        g_clear_pointer(&folder, g_free);
    }
}

static int run_shell(const char *format, va_list args)
{
    g_autofree char *command = g_strdup_vprintf(format, args);
    g_autofree char *all = g_strdup_printf("cd '%s' && %s", scratch(), command);
    int status = system(all);

    return WIFEXITED(status) ? WEXITSTATUS(status) : 255;
}

int tool_status(const char *format, ...)
{
    va_list args;
    int status;

    va_start(args, format);
    status = run_shell(format, args);
    va_end(args);
    return status;
}

void tool(const char *format, ...)
{
    va_list args;
    int status;

    va_start(args, format);
    status = run_shell(format, args);
    if (status) {
        g_printerr("status %d of: %s\n", status, format);
    }
    g_assert_cmpint(status, ==, 0);
    va_end(args);
}

void check_image(const char *name, bool strict)
{
    int status = tool_status("qemu-img check -q %s >check.log 2>&1", name);

    if (status && (strict || status != 3)) {
        tool("cat check.log >&2");
        g_assert_cmpint(status, ==, 0);
    }
}

BlockBackend *open_drive(const char *name, const char *options)
{
    g_autofree char *path = in_scratch(name);
    g_autofree char *msg = try_drive(path, options);

    g_assert_cmpstr(msg, ==, NULL);
    return blk_find_for_device("d");
}

uint8_t *contents(const char *name, size_t *length)
{
    g_autofree char *path = in_scratch("contents.raw");
    char *data;

    /* It warns of bitmaps, in the middle of a line of TAP. */
    tool("qemu-img convert -t unsafe -O raw %s contents.raw 2>convert.log || "
         "{ cat convert.log >&2; false; }", name);
    g_assert_true(g_file_get_contents(path, &data, length, NULL));
    return (uint8_t *)data;
}

void compare_reads(BlockBackend *blk, const uint8_t *model, size_t length, GRand *rng)
{
    g_autofree uint8_t *buf = g_malloc(4 << 20);
    size_t pos = 0;

    g_assert_cmpuint(blk_getlength(blk), ==, length);
    while (pos < length) {
        size_t max = g_rand_int_range(rng, 0, 4) ? 64 << 10 : 4 << 20;
        size_t len = g_rand_int_range(rng, 0, max / 512) * 512 + 512;

        len = MIN(len, length - pos);
        memset(buf, 0xee, len);
        g_assert_cmpint(run_request(blk, BLOCK_OP_READ, 0, pos, buf, len), ==, 0);
        for (size_t i = 0; memcmp(buf, model + pos, len) && i < len; i += 512) {
            if (memcmp(buf + i, model + pos + i, 512)) {
                g_error("sector at %zu: 0x%02x.., not 0x%02x..", pos + i, buf[i], model[pos + i]);
            }
        }
        pos += len;
    }
}
