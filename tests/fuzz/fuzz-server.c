/*
 * Fuzz targets: what a peer of one of the machine's servers sends, as bytes on a connection of its
 * own; a byte 0xfe is where it pauses and reads what has come.
 *
 * FUZZ_SERVER names the row of the table below that this program is made for.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "fuzz.h"
#include "machine.h"

#define PAUSE 0xfe
#define SERVER "acpi=on,rtc=on,pic=on,pit=on,legacy=on" \
    " -chardev socket,id=c,path=%s/peer,server=on,wait=off"
#define PARTS " -blockdev null-co,node-name=d,size=1M -device virtio-blk-device,drive=d,id=disk" \
    " -device virtio-balloon-device,id=b -device i8042 -chardev ringbuf,id=r" \
    " -device virtio-serial-device -device virtserialport,id=p,name=n,chardev=r"

static const struct {
    const char *name, *options;
} targets[] = {
    { "hmp", SERVER ",telnet=on" PARTS " -mon chardev=c,mode=readline" },
    { "session", SERVER PARTS " -mon chardev=c,mode=control" },
    { "gdb", SERVER " -accel tcg -smp 2 -S -kernel %s/kernel -gdb chardev:c" },
    { "qtest", SERVER PARTS " -qtest-log none -qtest chardev:c" },
};

static MachineState *ms;

/* Multiboot: a header with addresses, and "hlt; jmp" to it. */
static void make_kernel(void)
{
    static const uint32_t kernel[] = {
        0x1badb002, 0x10000, -(0x1badb002 + 0x10000), 0x100000, 0x100000, 0, 0, 0x100020,
        0x00fdebf4,
    };
    g_autofree char *path = g_build_filename(fuzz_folder(), "kernel", NULL);

    g_assert_true(g_file_set_contents(path, (const char *)kernel, sizeof(kernel), NULL));
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    make_kernel();
    for (size_t i = 0; i < G_N_ELEMENTS(targets); i++) {
        if (!strcmp(targets[i].name, FUZZ_SERVER)) {
            ms = fuzz_machine_new(targets[i].options);
        }
    }
    g_assert_nonnull(ms);
    return 0;
}

static void pause_for_answers(int fd)
{
    char trash[4096];

    do {
        fuzz_settle();
    } while (recv(fd, trash, sizeof(trash), MSG_DONTWAIT) > 0);
}

static void talk(void *opaque)
{
    FuzzInput *in = opaque;
    int fd = fuzz_connect("peer");
    const uint8_t *p = in->p, *next;

    g_assert_cmpint(fd, >=, 0);
    pause_for_answers(fd);
    for (; p < in->end; p = next + (next < in->end)) {
        next = memchr(p, PAUSE, in->end - p);
        next = next ? next : in->end;
        while (p < next) {
            ssize_t n = send(fd, p, next - p, MSG_DONTWAIT | MSG_NOSIGNAL);

            pause_for_answers(fd);
            p = n > 0 ? p + n : next;
        }
    }
    close(fd);
    fuzz_machine_restart(ms);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    FuzzInput in = { data, data + size };

    fuzz_in_loop(talk, &in);
    return 0;
}
