/*
 * The guest's first output arrives on the serial port, in legacy mode: with every
 * kind of kernel file, on every accelerator named in BOOT_SERIAL_ACCELS ("tcg kvm";
 * without it, on the software CPU).
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <glib.h>
#include <glib/gstdio.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>

#include "../unit/kernel-image.h"

#define MESSAGE         "the first output of a guest\r\n"
#define COMMON_CODE     0x300       /* in the text segment, behind every entry */
#define BZ_ENTRY64      0x200       /* in the 64-bit code: boot.rst */
#define PATIENCE_S      60

typedef struct Boot {
    const char *accel;
    ImageKind kind;
    const char *options;
} Boot;

/* A jump from one offset to another; the same bytes in 32- and 64-bit mode. */
static void put_jump(uint8_t *text, unsigned from, unsigned to)
{
    int32_t distance = to - (from + 5);

    text[from] = 0xe9;
    memcpy(text + from + 1, &distance, 4);
}

/* As a driver does: wait for THRE, write. Ends in HLT. Both modes, too. */
static void put_code(uint8_t *p)
{
    static const uint8_t one[] = {
        0x66, 0xba, 0xfd, 0x03,     /* mov $0x3fd, %dx */
        0xec, 0xa8, 0x20,           /* 1: in %dx, %al; test $0x20, %al */
        0x74, 0xfb,                 /* jz 1b */
        0xb2, 0xf8,                 /* mov $0xf8, %dl */
        0xb0, 0, 0xee,              /* mov $char, %al; out %al, %dx */
    };
    static const uint8_t end[] = { 0xfa, 0xf4, 0xeb, 0xfd };    /* cli; 1: hlt; jmp 1b */

    for (const char *c = MESSAGE; *c; c++, p += sizeof(one)) {
        memcpy(p, one, sizeof(one));
        p[12] = *c;
    }
    memcpy(p, end, sizeof(end));
}

static void write_kernel(const char *path, ImageKind kind)
{
    uint8_t image[IMG_MAX_SIZE];
    uint8_t *text = image + (kind == IMAGE_MULTIBOOT ? 0 : IMG_ELF_TEXT);
    size_t size = image_build(kind, image);

    if (kind == IMAGE_BZIMAGE) {
        put_code(image + IMG_BZ_CODE + BZ_ENTRY64);
    } else {
        if (kind == IMAGE_MULTIBOOT) {
            put_jump(text, IMG_MB_ENTRY - IMG_TEXT_ADDR, COMMON_CODE);
        } else {
            put_jump(text, IMG_ELF_ENTRY - IMG_TEXT_ADDR, COMMON_CODE);
            put_jump(text, IMG_PVH_ENTRY - IMG_TEXT_ADDR, COMMON_CODE);
        }
        put_code(text + COMMON_CODE);
    }
    g_assert_true(g_file_set_contents(path, (char *)image, size, NULL));
}

/* What has been written, once it is enough or the guest has had its time. */
static char *wait_for_output(const char *path)
{
    char *text = NULL;

    for (int i = 0; i < PATIENCE_S * 100; i++) {
        g_clear_pointer(&text, g_free);
        if (g_file_get_contents(path, &text, NULL, NULL) && strlen(text) >= strlen(MESSAGE)) {
            break;
        }
        g_usleep(10000);
    }
    return text;
}

static void test_boot(gconstpointer data)
{
    const Boot *b = data;
    g_autofree char *dir = g_dir_make_tmp("boot-serial-XXXXXX", NULL);
    g_autofree char *kernel = g_build_filename(dir, "kernel", NULL);
    g_autofree char *serial = g_build_filename(dir, "serial", NULL);
    g_autofree char *line = g_strdup_printf("-M microvm,%s -accel %s -m 64M -smp 2 -nodefaults "
                                            "-no-user-config -display none", b->options,
                                            b->accel);
    g_autofree char *chardev = g_strdup_printf("file,id=s0,path=%s", serial);
    g_autofree char *text = NULL;
    g_auto(GStrv) options = g_strsplit(line, " ", -1);
    g_autoptr(GPtrArray) argv = g_ptr_array_new();
    int status;
    GPid pid;

    write_kernel(kernel, b->kind);
    g_ptr_array_add(argv, (char *)g_getenv("QTEST_QEMU_BINARY"));
    for (char **o = options; *o; o++) {
        g_ptr_array_add(argv, *o);
    }
    g_ptr_array_add(argv, "-chardev");
    g_ptr_array_add(argv, chardev);
    g_ptr_array_add(argv, "-serial");
    g_ptr_array_add(argv, "chardev:s0");
    g_ptr_array_add(argv, "-kernel");
    g_ptr_array_add(argv, kernel);
    g_ptr_array_add(argv, NULL);
    g_assert_true(g_spawn_async(NULL, (char **)argv->pdata, NULL, G_SPAWN_DO_NOT_REAP_CHILD,
                                NULL, NULL, &pid, NULL));
    text = wait_for_output(serial);
    kill(pid, SIGTERM);
    g_assert_cmpint(waitpid(pid, &status, 0), ==, pid);
    g_assert_cmpstr(text, ==, MESSAGE);
    g_assert_cmpint(status, ==, 0);
    g_unlink(kernel);
    g_unlink(serial);
    g_rmdir(dir);
}

static void add_tests(const char *accel)
{
    static const char *const kinds[IMAGE__MAX] = {
        [IMAGE_ELF64] = "elf64", [IMAGE_ELF64_PVH] = "elf64-pvh",
        [IMAGE_ELF32_PVH] = "elf32-pvh", [IMAGE_BZIMAGE] = "bzimage",
        [IMAGE_MULTIBOOT32] = "multiboot32", [IMAGE_MULTIBOOT] = "multiboot",
    };
    static const char *const modes[] = { "legacy", "legacy=on,pic=off,pit=off" };

    for (int kind = 0; kind < IMAGE__MAX; kind++) {
        for (unsigned m = 0; m < G_N_ELEMENTS(modes); m++) {
            g_autofree char *path = g_strdup_printf("/boot-serial/%s/%s/%s", accel, kinds[kind],
                                                    modes[m]);
            Boot *b = g_new0(Boot, 1);

            *b = (Boot) { g_strdup(accel), kind, modes[m] };
            g_test_add_data_func(path, b, test_boot);
        }
    }
}

int main(int argc, char **argv)
{
    const char *names = g_getenv("BOOT_SERIAL_ACCELS");
    g_auto(GStrv) accels = g_strsplit(names ? names : "tcg", " ", -1);

    g_test_init(&argc, &argv, NULL);
    g_assert_nonnull(g_getenv("QTEST_QEMU_BINARY"));
    for (char **accel = accels; *accel; accel++) {
        add_tests(*accel);
    }
    return g_test_run();
}
