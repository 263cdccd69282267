/*
 * The size of a virtio console's terminal: in the configuration space, and in messages
 * (virtio 1.2, sections 5.3.4 and 5.3.6.2). And what clients hear of the console.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <fcntl.h>
#include <linux/virtio_console.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include "chardev/char.h"
#include "hw/core/event.h"
#include "virtio-harness.h"

#define MULTIPORT (1ull << VIRTIO_CONSOLE_F_MULTIPORT)
#define SIZE (1ull << VIRTIO_CONSOLE_F_SIZE)
#define BUF 0x20000
#define CTRL_BUFS 0x40000
#define NR_BUFS 16

typedef struct Console {
    VT *t;
    int terminal;               /* the pty's slave */
    unsigned taken;             /* control buffers */
} Console;

static Console *console_new(gconstpointer legacy, const char *options)
{
    Console *c = g_new0(Console, 1);
    g_autoptr(QemuOpts) pty = qemu_opts_parse("pty,id=c", "backend", NULL);
    g_autoptr(QemuOpts) port = qemu_opts_parse("virtconsole,chardev=c,id=c0", "driver", NULL);
    Chardev *chr = qemu_chr_new_from_opts(pty, NULL);

    c->t = vt_new(legacy != NULL);
    vt_plug(c->t, (const DeviceClass *)object_class_by_name(device_classes,
                                                           "virtio-serial-device"), options);
    g_assert_nonnull(qdev_device_add(c->t->ms, port, NULL));
    c->terminal = open(chr->filename + strlen("pty:"), O_RDWR | O_NOCTTY);
    g_assert_cmpint(c->terminal, >=, 0);
    return c;
}

static void console_free(Console *c)
{
    vt_free(c->t);
    qemu_chr_cleanup();
    close(c->terminal);
    g_free(c);
}

static void set_size(Console *c, unsigned cols, unsigned rows)
{
    struct winsize size = { .ws_col = cols, .ws_row = rows };

    g_assert_cmpint(ioctl(c->terminal, TIOCSWINSZ, &size), ==, 0);
}

static void assert_config(Console *c, unsigned cols, unsigned rows)
{
    g_assert_cmpuint(vt_rd_sized(c->t, VT_CONFIG, 2), ==, cols);
    g_assert_cmpuint(vt_rd_sized(c->t, VT_CONFIG + 2, 2), ==, rows);
}

static void say(Console *c)
{
    VTBuf buf = { BUF, 4, false };

    vt_add(&c->t->ring[1], &buf, 1);
    vt_kick(c->t, &c->t->ring[1]);
    vt_poll(c->t);
}

/* One port: the configuration changes, when the driver has shown that it is there. */
static void test_config(gconstpointer legacy)
{
    Console *c = console_new(legacy, "max_ports=1");

    set_size(c, 101, 37);
    VT_WAIT(c->t, vt_rd_sized(c->t, VT_CONFIG, 2) != 0);
    assert_config(c, 101, 37);
    vt_negotiate(c->t, SIZE);
    vt_setup_queue(c->t, 0, 16);
    vt_setup_queue(c->t, 1, 16);
    vt_driver_ok(c->t);
    g_assert_cmphex(vt_rd(c->t, VT_ISR) & 2, ==, 0);
    say(c);
    g_assert_cmphex(vt_rd(c->t, VT_ISR) & 2, ==, 2);
    vt_wr(c->t, VT_ACK, 3);
    say(c);
    g_assert_cmphex(vt_rd(c->t, VT_ISR) & 2, ==, 0);
    console_free(c);
}

static void send_control(Console *c, uint16_t event, uint16_t value)
{
    struct virtio_console_control msg = { .event = event, .value = value };
    VTBuf buf = { BUF, sizeof(msg), false };

    memcpy(c->t->ram + BUF, &msg, sizeof(msg));
    vt_add(&c->t->ring[3], &buf, 1);
    vt_kick(c->t, &c->t->ring[3]);
    vt_poll(c->t);
}

static void start(Console *c, uint64_t features)
{
    vt_negotiate(c->t, features);
    for (int i = 0; i < 4; i++) {
        vt_setup_queue(c->t, i, 32);
    }
    vt_driver_ok(c->t);
    for (int i = 0; i < NR_BUFS; i++) {
        VTBuf buf = { CTRL_BUFS + 64 * i, 64, true };
        vt_add(&c->t->ring[2], &buf, 1);
    }
    vt_kick(c->t, &c->t->ring[2]);
    send_control(c, VIRTIO_CONSOLE_DEVICE_READY, 1);
    send_control(c, VIRTIO_CONSOLE_PORT_READY, 1);
}

/* The next resize message's first and second number; false: there is none. */
static bool next_resize(Console *c, uint16_t size[2])
{
    const struct vring_used_elem *used;

    while ((used = vt_used(&c->t->ring[2]))) {
        const uint8_t *p = c->t->ram + CTRL_BUFS + 64 * c->taken++;
        struct virtio_console_control msg;

        memcpy(&msg, p, sizeof(msg));
        if (msg.event == VIRTIO_CONSOLE_RESIZE) {
            g_assert_cmpuint(used->len, ==, sizeof(msg) + 4);
            g_assert_cmpuint(msg.id, ==, 0);
            memcpy(size, p + sizeof(msg), 4);
            return true;
        }
    }
    return false;
}

static void check_messages(gconstpointer legacy, const char *options, unsigned first,
                           unsigned second)
{
    Console *c = console_new(legacy, options);
    uint16_t size[2];

    set_size(c, 101, 37);
    VT_WAIT(c->t, vt_rd_sized(c->t, VT_CONFIG, 2) != 0);
    start(c, SIZE | MULTIPORT);
    g_assert_true(next_resize(c, size));
    g_assert_cmpuint(size[0], ==, first);
    g_assert_cmpuint(size[1], ==, second);
    g_assert_false(next_resize(c, size));
    console_free(c);
}

static void test_messages(gconstpointer legacy)
{
    check_messages(legacy, "", 101, 37);
    check_messages(legacy, "console-size-rows-first=on", 37, 101);
}

/* A change is seen when input comes. */
static void test_change(gconstpointer legacy)
{
    Console *c = console_new(legacy, "");
    VTBuf buf = { BUF + 4096, 64, true };
    uint32_t generation;
    uint16_t size[2];

    start(c, SIZE | MULTIPORT);
    send_control(c, VIRTIO_CONSOLE_PORT_OPEN, 1);
    g_assert_false(next_resize(c, size));
    vt_add(&c->t->ring[0], &buf, 1);
    vt_kick(c->t, &c->t->ring[0]);
    set_size(c, 80, 24);
    generation = vt_rd(c->t, VT_GENERATION);
    g_assert_cmpint(write(c->terminal, "x", 1), ==, 1);
    VT_WAIT(c->t, next_resize(c, size));
    assert_config(c, 80, 24);
    /* 4.2.2.1: whoever has read one of the two before looks at both again. */
    g_assert(legacy || vt_rd(c->t, VT_GENERATION) != generation);
    g_assert_cmpuint(size[0], ==, 80);
    g_assert_cmpuint(size[1], ==, 24);
    console_free(c);
}

/* Not offered, or not accepted: no word about it. */
static void test_without(gconstpointer legacy)
{
    Console *c = console_new(legacy, "console-size=off");
    uint16_t size[2];

    g_assert_cmphex(vt_offered(c->t) & SIZE, ==, 0);
    console_free(c);
    c = console_new(legacy, "");
    set_size(c, 101, 37);
    VT_WAIT(c->t, vt_rd_sized(c->t, VT_CONFIG, 2) != 0);
    start(c, MULTIPORT);
    g_assert_false(next_resize(c, size));
    g_assert_cmpuint(c->taken, >, 0);
    console_free(c);
}

static unsigned changes;
static bool said_open;

static void count_changes(MachineState *ms, const char *event, const EventField *fields,
                          unsigned n)
{
    if (!strcmp(event, "VSERPORT_CHANGE")) {
        changes++;
        said_open = fields[1].num;
    }
}

/* A port that is opened and closed all the time: some events, and how it is in the end. */
static void test_event_flood(gconstpointer legacy)
{
    Console *c = console_new(legacy, "");

    start(c, MULTIPORT);
    c->t->ms->event_fn = count_changes;
    for (int i = 0; i < 101; i++) {
        send_control(c, VIRTIO_CONSOLE_PORT_OPEN, i % 2 == 0);
        g_assert_nonnull(vt_used(&c->t->ring[3]));
    }
    g_assert_cmpuint(changes, >=, 5);
    g_assert_cmpuint(changes, <=, 20);
    VT_WAIT(c->t, said_open);
    g_assert_cmpuint(changes, <=, 21);
    console_free(c);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    vt_add_test("/console-size/config", test_config);
    vt_add_test("/console-size/messages", test_messages);
    vt_add_test("/console-size/change", test_change);
    vt_add_test("/console-size/without", test_without);
    vt_add_modern_test("/console-events/flood", test_event_flood);
    return g_test_run();
}
