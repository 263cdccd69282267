/*
 * The virtio console device and its ports against drivers and peers that lie,
 * wait or go away. Names begin with the number of the case.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <linux/virtio_console.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "chardev/char.h"
#include "hw/core/event.h"
#include "virtio-harness.h"

#define MULTIPORT (1ull << VIRTIO_CONSOLE_F_MULTIPORT)
#define EVERY (~0ull)
#define NUM 32                  /* entries of each queue */
#define CTRL_BUFS 0x40000       /* NUM buffers of 64 bytes */
#define BUF 0x20000
#define BIG 0x800000

static char *tmpdir;
static GString *events;         /* "id:open " of VSERPORT_CHANGE, in order */

/* A device under test, with the driver's rings: 0-1 port 0, 2-3 control, … */
typedef struct S {
    VT *t;
    VTRing *r[8];
} S;

static const DeviceClass *class_of(const char *name)
{
    return (const DeviceClass *)object_class_by_name(device_classes, name);
}

static void take_event(MachineState *ms, const char *event, const EventField *fields,
                       unsigned n)
{
    if (!strcmp(event, "VSERPORT_CHANGE")) {
        g_assert_cmpuint(n, ==, 2);
        g_string_append_printf(events, "%s:%d ", fields[0].str, (int)fields[1].num);
    }
}

static Chardev *new_chardev(const char *text)
{
    Error *err = NULL;
    g_autoptr(QemuOpts) opts = qemu_opts_parse(text, "backend", &err);
    Chardev *s = opts ? qemu_chr_new_from_opts(opts, &err) : NULL;

    if (!s) {
        g_error("%s: %s", text, error_get_pretty(err));
    }
    return s;
}

static char *socket_path(const char *id)
{
    return g_strdup_printf("%s/%s", tmpdir, id);
}

/* A listening socket chardev; also in the tests' folder under its id. */
static void listen_as(const char *id)
{
    g_autofree char *path = socket_path(id);
    g_autofree char *text =
        g_strdup_printf("socket,id=%s,path=%s,server=on,wait=off", id, path);

    new_chardev(text);
}

static int connect_to(VT *t, const char *id)
{
    g_autofree char *path = socket_path(id);
    struct sockaddr_un sun = { .sun_family = AF_UNIX };
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    g_strlcpy(sun.sun_path, path, sizeof(sun.sun_path));
    g_assert_cmpint(connect(fd, (struct sockaddr *)&sun, sizeof(sun)), ==, 0);
    vt_poll(t);
    return fd;
}

static DeviceState *try_port(VT *t, const char *options, Error **errp)
{
    g_autoptr(QemuOpts) opts = qemu_opts_parse(options, "driver", NULL);

    return qdev_device_add(t->ms, opts, errp);
}

static DeviceState *add_port(VT *t, const char *options)
{
    Error *err = NULL;
    DeviceState *dev = try_port(t, options, &err);

    if (!dev) {
        g_error("%s: %s", options, error_get_pretty(err));
    }
    return dev;
}

/* The usual: a console on chardev c0, a port "org.test" on c1. */
static S *s_new_empty(gconstpointer legacy, const char *options)
{
    S *s = g_new0(S, 1);

    s->t = vt_new(legacy != NULL);
    s->t->ms->event_fn = take_event;
    g_string_truncate(events, 0);
    vt_plug(s->t, class_of("virtio-serial-device"), options);
    return s;
}

static S *s_new(gconstpointer legacy)
{
    S *s = s_new_empty(legacy, "");

    listen_as("c0");
    listen_as("c1");
    add_port(s->t, "virtconsole,chardev=c0,id=con");
    add_port(s->t, "virtserialport,chardev=c1,id=port,name=org.test");
    return s;
}

static void s_free(S *s)
{
    vt_free(s->t);
    qemu_chr_cleanup();
    g_free(s);
}

static void start(S *s, uint64_t features)
{
    vt_negotiate(s->t, features);
    for (unsigned i = 0; i < 8; i++) {
        s->r[i] = vt_setup_queue(s->t, i, NUM);
    }
    vt_driver_ok(s->t);
}

static void give_ctrl_buffers(S *s)
{
    for (unsigned i = 0; i < NUM; i++) {
        vt_add(s->r[2], &(VTBuf) { CTRL_BUFS + 64 * i, 64, true }, 1);
    }
    vt_kick(s->t, s->r[2]);
}

/* Send the driver's message; bytes of len beyond it are whatever is there. */
static void control_len(S *s, uint32_t id, uint16_t event, uint16_t value, uint32_t len)
{
    struct virtio_console_control msg = { id, event, value };
    const struct vring_used_elem *used;

    memcpy(s->t->ram + BUF, &msg, sizeof(msg));
    vt_add(s->r[3], &(VTBuf) { BUF, len, false }, 1);
    vt_kick(s->t, s->r[3]);
    used = vt_used(s->r[3]);
    g_assert_nonnull(used);
    g_assert_cmpuint(used->len, ==, 0);
}

static void control(S *s, uint32_t id, uint16_t event, uint16_t value)
{
    control_len(s, id, event, value, 8);
}

/* What the device has said since, as "id.event=value,text "; buffers go back. */
static char *said(S *s)
{
    GString *text = g_string_new(NULL);
    const struct vring_used_elem *used;

    vt_poll(s->t);
    while ((used = vt_used(s->r[2]))) {
        hwaddr addr = s->r[2]->desc[used->id].addr;
        struct virtio_console_control msg;

        g_assert_cmpuint(used->len, >=, sizeof(msg));
        memcpy(&msg, s->t->ram + addr, sizeof(msg));
        g_string_append_printf(text, "%u.%u=%u", msg.id, msg.event, msg.value);
        if (used->len > sizeof(msg)) {
            g_string_append_printf(text, ",%.*s", (int)(used->len - sizeof(msg)),
                                   s->t->ram + addr + sizeof(msg));
        }
        g_string_append_c(text, ' ');
        vt_add(s->r[2], &(VTBuf) { addr, 64, true }, 1);
    }
    return g_string_free(text, FALSE);
}

#define ASSERT_SAID(s, expected) do { \
        g_autofree char *said_text = said(s); \
        g_assert_cmpstr(said_text, ==, expected); \
    } while (0)

/* A multiport driver that has come up and opened both ports. */
static void start_multiport(S *s)
{
    start(s, EVERY);
    give_ctrl_buffers(s);
    control(s, -1, VIRTIO_CONSOLE_DEVICE_READY, 1);
    ASSERT_SAID(s, "0.1=1 1.1=1 ");
    control(s, 0, VIRTIO_CONSOLE_PORT_READY, 1);
    ASSERT_SAID(s, "0.4=1 0.6=1 ");
    control(s, 1, VIRTIO_CONSOLE_PORT_READY, 1);
    ASSERT_SAID(s, "1.7=1,org.test ");
    control(s, 0, VIRTIO_CONSOLE_PORT_OPEN, 1);
    control(s, 1, VIRTIO_CONSOLE_PORT_OPEN, 1);
    g_assert_cmpstr(events->str, ==, "con:1 port:1 ");
    g_string_truncate(events, 0);
}

static void send_text(S *s, unsigned queue, const char *text)
{
    memcpy(s->t->ram + BUF, text, strlen(text));
    vt_add(s->r[queue], &(VTBuf) { BUF, strlen(text), false }, 1);
    vt_kick(s->t, s->r[queue]);
}

static void assert_peer_reads(S *s, int fd, const char *text)
{
    char buf[256] = "";
    ssize_t n;

    vt_poll(s->t);
    n = read(fd, buf, sizeof(buf) - 1);
    g_assert_cmpint(n, ==, strlen(text));
    g_assert_cmpstr(buf, ==, text);
}

static void assert_no_input(int fd)
{
    char c;

    g_assert_cmpint(read(fd, &c, 1), ==, -1);
    g_assert_cmpint(errno, ==, EAGAIN);
}

static bool can_write(int fd, const char *byte)
{
    return write(fd, byte, 1) == 1;
}

/* Both directions between fd and the port with these queues. */
static void assert_works(S *s, int fd, unsigned rx)
{
    const struct vring_used_elem *used;

    send_text(s, rx + 1, "from the guest");
    g_assert_nonnull(vt_used(s->r[rx + 1]));
    assert_peer_reads(s, fd, "from the guest");
    vt_add(s->r[rx], &(VTBuf) { BIG, 4096, true }, 1);
    vt_kick(s->t, s->r[rx]);
    g_assert_cmpint(write(fd, "to the guest", 12), ==, 12);
    VT_WAIT(s->t, (used = vt_used(s->r[rx])));
    g_assert_cmpuint(used->len, ==, 12);
    g_assert_cmpmem(s->t->ram + BIG, 12, "to the guest", 12);
}

/* Good manners --------------------------------------------------------------- */

static void test_config(gconstpointer legacy)
{
    S *s = s_new(legacy);

    g_assert_cmpint(vt_rd(s->t, VT_DEVICE_ID), ==, 3);
    g_assert_cmphex(vt_offered(s->t) & 0xffffff & ~7ull, ==, 0);
    g_assert_cmphex(vt_offered(s->t) & 6, ==, 6);
    g_assert_cmpint(vt_rd(s->t, VT_CONFIG + 4), ==, 31);
    s_free(s);
    s = s_new_empty(legacy, "max_ports=1,emergency-write=off");
    g_assert_cmphex(vt_offered(s->t) & 6, ==, 0);
    g_assert_cmpint(vt_rd(s->t, VT_CONFIG + 4), ==, 1);
    vt_wr(s->t, VT_QUEUE_SEL, 1);
    g_assert_cmpint(vt_rd(s->t, VT_QUEUE_NUM_MAX), !=, 0);
    vt_wr(s->t, VT_QUEUE_SEL, 2);
    g_assert_cmpint(vt_rd(s->t, VT_QUEUE_NUM_MAX), ==, 0);
    s_free(s);
}

static void test_single_port(gconstpointer legacy)
{
    S *s = s_new(legacy);
    int fd = connect_to(s->t, "c0");

    start(s, EVERY & ~MULTIPORT);
    assert_works(s, fd, 0);
    close(fd);
    s_free(s);
}

static void test_multiport(gconstpointer legacy)
{
    S *s = s_new(legacy);
    int fd0 = connect_to(s->t, "c0");
    int fd1;

    start_multiport(s);
    assert_works(s, fd0, 0);
    fd1 = connect_to(s->t, "c1");
    ASSERT_SAID(s, "1.6=1 ");
    assert_works(s, fd1, 4);
    control(s, 1, VIRTIO_CONSOLE_PORT_OPEN, 0);
    control(s, 1, VIRTIO_CONSOLE_PORT_OPEN, 0);
    g_assert_cmpstr(events->str, ==, "port:0 ");
    close(fd1);
    ASSERT_SAID(s, "1.6=0 ");
    /* A reset closes what the guest had open. */
    vt_wr(s->t, VT_STATUS, 0);
    g_assert_cmpstr(events->str, ==, "port:0 con:0 ");
    close(fd0);
    s_free(s);
}

/* Section 5.3.5: output from power-on. */
static void test_emergency(gconstpointer legacy)
{
    S *s = s_new(legacy);
    int fd = connect_to(s->t, "c0");

    for (const char *p = "panic"; *p; p++) {
        vt_wr(s->t, VT_CONFIG + 8, (unsigned char)*p | 0x1200);
    }
    assert_peer_reads(s, fd, "panic");
    for (unsigned off = 0; off < 0x100; off++) {
        for (unsigned size = 1; size <= 8; size *= 2) {
            if (off != 8) {
                vt_wr_sized(s->t, VT_CONFIG + off, 0x4141414141414141, size);
            }
        }
    }
    vt_poll(s->t);
    assert_no_input(fd);
    close(fd);
    s_free(s);
}

/* Messages that find no buffer wait, in order; a peer that came anew is seen. */
static void test_messages_wait(gconstpointer legacy)
{
    S *s = s_new(legacy);
    int fd;

    start(s, EVERY);
    control(s, -1, VIRTIO_CONSOLE_DEVICE_READY, 1);
    control(s, 1, VIRTIO_CONSOLE_PORT_READY, 1);
    give_ctrl_buffers(s);
    ASSERT_SAID(s, "0.1=1 1.1=1 ");
    control(s, 1, VIRTIO_CONSOLE_PORT_READY, 1);
    ASSERT_SAID(s, "1.7=1,org.test ");
    s->r[2] = vt_layout_queue(s->t, 2, NUM);
    vt_negotiate(s->t, EVERY);
    for (unsigned i = 0; i < 8; i++) {
        s->r[i] = vt_setup_queue(s->t, i, NUM);
    }
    vt_driver_ok(s->t);
    vt_add(s->r[2], &(VTBuf) { CTRL_BUFS, 64, true }, 1);
    vt_add(s->r[2], &(VTBuf) { CTRL_BUFS + 64, 64, true }, 1);
    control(s, -1, VIRTIO_CONSOLE_DEVICE_READY, 1);
    control(s, 1, VIRTIO_CONSOLE_PORT_READY, 1);
    for (int i = 0; i < 5; i++) {
        fd = connect_to(s->t, "c1");
        close(fd);
        vt_poll(s->t);
    }
    fd = connect_to(s->t, "c1");
    ASSERT_SAID(s, "0.1=1 1.1=1 ");
    vt_kick(s->t, s->r[2]);
    ASSERT_SAID(s, "1.7=1,org.test 1.6=0 ");
    vt_kick(s->t, s->r[2]);
    ASSERT_SAID(s, "1.6=1 ");
    close(fd);
    s_free(s);
}

/* Back-pressure -------------------------------------------------------------- */

/* C04: the guest reads nothing; then it reads all, and nothing is missing. */
static void test_flood(gconstpointer legacy)
{
    S *s = s_new(legacy);
    int fd = connect_to(s->t, "c0");
    size_t sent = 0, got = 0, idle;
    uint8_t chunk[1000];

    start_multiport(s);
    do {
        ssize_t n;

        idle = sent;
        for (size_t i = 0; i < sizeof(chunk); i++) {
            chunk[i] = (sent + i) * 7 >> 3;
        }
        n = write(fd, chunk, sizeof(chunk));
        sent += n > 0 ? n : 0;
        vt_poll(s->t);
    } while (sent != idle);
    g_assert_cmpuint(sent, <, 4 << 20);
    while (got < sent) {
        const struct vring_used_elem *used;

        vt_add(s->r[0], &(VTBuf) { BIG, 1 + got % 5000, true }, 1);
        vt_kick(s->t, s->r[0]);
        VT_WAIT(s->t, (used = vt_used(s->r[0])));
        g_assert_cmpuint(used->len, >, 0);
        for (unsigned i = 0; i < used->len; i++, got++) {
            g_assert_cmphex(s->t->ram[BIG + i], ==, (uint8_t)(got * 7 >> 3));
        }
    }
    g_assert_cmpuint(got, ==, sent);
    close(fd);
    s_free(s);
}

/* Fill port 0's path until the device stops taking; how many bytes it has. */
static size_t fill_tx(S *s, unsigned *waiting)
{
    size_t sent = 0;

    *waiting = 0;
    for (;;) {
        for (unsigned i = 0; i < 65536; i++) {
            s->t->ram[BIG + i] = (sent + i) * 5 >> 2;
        }
        vt_add(s->r[1], &(VTBuf) { BIG, 65536, false }, 1);
        sent += 65536;
        vt_kick(s->t, s->r[1]);
        if (!vt_used(s->r[1])) {
            *waiting = 1;
            return sent;
        }
        g_assert_cmpuint(sent, <, 8 << 20);
    }
}

/* Read what the guest sent, slowly, and compare. */
static void drain_tx(S *s, int fd, size_t expected)
{
    uint8_t buf[777];

    for (size_t got = 0; got < expected;) {
        ssize_t n = read(fd, buf, sizeof(buf));

        for (ssize_t i = 0; i < n; i++, got++) {
            g_assert_cmphex(buf[i], ==, (uint8_t)(got * 5 >> 2));
        }
        vt_poll(s->t);
    }
    assert_no_input(fd);
}

static void test_slow_reader(gconstpointer legacy)
{
    S *s = s_new(legacy);
    int fd = connect_to(s->t, "c0");
    unsigned waiting;
    size_t sent;

    start_multiport(s);
    sent = fill_tx(s, &waiting);
    /* More stay in the queue, and the other port is not in the way. */
    for (int i = 0; i < 10; i++) {
        vt_kick(s->t, s->r[1]);
    }
    g_assert_null(vt_used(s->r[1]));
    g_assert_cmpuint(virtqueue_in_flight(virtio_get_queue(s->t->vdev, 1)), ==, 1);
    drain_tx(s, fd, sent);
    g_assert_nonnull(vt_used(s->r[1]));
    assert_works(s, fd, 0);
    close(fd);
    s_free(s);
}

/* A terminal takes parts of what it is offered. */
static void test_slow_terminal(gconstpointer legacy)
{
    S *s = s_new_empty(legacy, "");
    Chardev *chr = new_chardev("pty,id=p");
    unsigned waiting;
    size_t sent;
    int fd;

    add_port(s->t, "virtconsole,chardev=p");
    fd = open(chr->filename + strlen("pty:"), O_RDWR | O_NOCTTY | O_NONBLOCK);
    g_assert_cmpint(fd, >=, 0);
    VT_WAIT(s->t, chr->be_open);
    start(s, 0);
    sent = fill_tx(s, &waiting);
    drain_tx(s, fd, sent);
    g_assert_nonnull(vt_used(s->r[1]));
    close(fd);
    s_free(s);
}

/* A stopped machine sends nothing, and goes on where it was. */
static void test_slow_reader_stop(gconstpointer legacy)
{
    S *s = s_new(legacy);
    int fd = connect_to(s->t, "c0");
    unsigned waiting;
    size_t sent;

    start_multiport(s);
    sent = fill_tx(s, &waiting);
    vm_stop(s->t->ms, RUN_STATE_PAUSED);
    vt_poll(s->t);
    g_assert_true(can_write(fd, "x"));
    vt_poll(s->t);
    vm_start(s->t->ms);
    drain_tx(s, fd, sent);
    g_assert_nonnull(vt_used(s->r[1]));
    close(fd);
    s_free(s);
}

static void test_slow_reader_reset(gconstpointer legacy)
{
    S *s = s_new(legacy);
    int fd = connect_to(s->t, "c0");
    uint8_t sink[4096];
    unsigned waiting;

    start_multiport(s);
    fill_tx(s, &waiting);
    vt_wr(s->t, VT_STATUS, 0);
    g_string_truncate(events, 0);
    while (read(fd, sink, sizeof(sink)) > 0) {
        vt_poll(s->t);
    }
    start_multiport(s);
    assert_works(s, fd, 0);
    close(fd);
    s_free(s);
}

static void test_queue_reset(gconstpointer legacy)
{
    S *s = s_new(legacy);
    int fd = connect_to(s->t, "c0");
    uint8_t sink[4096];
    unsigned waiting;

    start_multiport(s);
    fill_tx(s, &waiting);
    vt_wr(s->t, VT_QUEUE_SEL, 1);
    vt_wr(s->t, VT_QUEUE_RESET, 1);
    while (read(fd, sink, sizeof(sink)) > 0) {
        vt_poll(s->t);
    }
    s->r[1] = vt_setup_queue(s->t, 1, NUM);
    assert_works(s, fd, 0);
    close(fd);
    s_free(s);
}

/* C09: the peer goes while bytes wait for it. */
static void test_disconnect(gconstpointer legacy)
{
    S *s = s_new(legacy);
    int fd = connect_to(s->t, "c0");
    unsigned waiting;

    start_multiport(s);
    fill_tx(s, &waiting);
    close(fd);
    VT_WAIT(s->t, vt_used(s->r[1]));
    send_text(s, 1, "nobody hears this");
    g_assert_nonnull(vt_used(s->r[1]));
    fd = connect_to(s->t, "c0");
    assert_works(s, fd, 0);
    close(fd);
    s_free(s);
}

static void test_disconnect_port(gconstpointer legacy)
{
    S *s = s_new(legacy);
    VTRing *r;
    int fd;

    start_multiport(s);
    /* Never connected: what the guest sends is dropped at once. */
    send_text(s, 5, "lost");
    g_assert_nonnull(vt_used(s->r[5]));
    fd = connect_to(s->t, "c1");
    ASSERT_SAID(s, "1.6=1 ");
    r = s->r[1];
    s->r[1] = s->r[5];
    {
        unsigned waiting;
        fill_tx(s, &waiting);
    }
    s->r[1] = r;
    close(fd);
    VT_WAIT(s->t, vt_used(s->r[5]));
    ASSERT_SAID(s, "1.6=0 ");
    fd = connect_to(s->t, "c1");
    ASSERT_SAID(s, "1.6=1 ");
    assert_works(s, fd, 4);
    close(fd);
    s_free(s);
}

/* C09: the port goes while bytes wait. */
static void test_unplug_pending(gconstpointer legacy)
{
    S *s = s_new(legacy);
    int fd = connect_to(s->t, "c0");
    unsigned waiting;

    start_multiport(s);
    fill_tx(s, &waiting);
    qdev_unrealize(qdev_find(s->t->ms, "con"));
    g_assert_nonnull(vt_used(s->r[1]));
    ASSERT_SAID(s, "0.2=1 ");
    g_assert_cmpstr(events->str, ==, "con:0 ");
    /* Its queues go on, into the void. */
    send_text(s, 1, "void");
    g_assert_nonnull(vt_used(s->r[1]));
    close(fd);
    vt_poll(s->t);
    s_free(s);
}

/* Hot-plugging --------------------------------------------------------------- */

static void test_hotplug(gconstpointer legacy)
{
    S *s = s_new(legacy);
    int fd;

    start_multiport(s);
    listen_as("c2");
    for (int i = 0; i < 3; i++) {
        add_port(s->t, "virtserialport,id=hp,name=hot,chardev=c2");
        ASSERT_SAID(s, "2.1=1 ");
        control(s, 2, VIRTIO_CONSOLE_PORT_READY, 1);
        ASSERT_SAID(s, "2.7=1,hot ");
        fd = connect_to(s->t, "c2");
        ASSERT_SAID(s, "2.6=1 ");
        control(s, 2, VIRTIO_CONSOLE_PORT_OPEN, 1);
        assert_works(s, fd, 6);
        qdev_unrealize(qdev_find(s->t->ms, "hp"));
        ASSERT_SAID(s, "2.2=1 ");
        g_assert_cmpstr(events->str, ==, "hp:1 hp:0 ");
        g_string_truncate(events, 0);
        /* A driver that has not noticed. */
        control(s, 2, VIRTIO_CONSOLE_PORT_OPEN, 1);
        control(s, 2, VIRTIO_CONSOLE_PORT_READY, 1);
        ASSERT_SAID(s, "");
        g_assert_cmpuint(events->len, ==, 0);
        close(fd);
        vt_poll(s->t);
    }
    /* Gone before the driver took the message: it must not hear of the new one. */
    while (vt_used(s->r[2])) {
        continue;
    }
    add_port(s->t, "virtserialport,id=hp");
    ASSERT_SAID(s, "2.1=1 ");
    qdev_unrealize(qdev_find(s->t->ms, "hp"));
    add_port(s->t, "virtserialport,id=hp2");
    ASSERT_SAID(s, "2.2=1 2.1=1 ");
    s_free(s);
}

static void test_plug_errors(gconstpointer legacy)
{
    static const char *const rows[][2] = {
        { "virtserialport,nr=0", "Port number 0 on virtio-serial devices reserved for "
          "virtconsole devices for backward compatibility." },
        { "virtserialport,nr=1", "virtio-serial-bus: A port already exists at id 1" },
        { "virtserialport,nr=3", "virtio-serial-bus: Out-of-range port id specified, max. "
          "allowed: 2" },
        { "virtserialport,name=x", "virtio-serial-bus: A port already exists by name x" },
        { "virtserialport,bus=nowhere", "Bus 'nowhere' not found" },
        { "virtserialport,chardev=none", "Property 'virtserialport.chardev' can't find "
          "value 'none'" },
    };
    static const char *const devices[][2] = {
        { "max_ports=0", "Maximum number of serial ports not specified" },
        { "max_ports=512", "maximum ports supported: 511" },
    };
    S *s = s_new_empty(legacy, "max_ports=3");
    VT *t;
    Error *err = NULL;

    add_port(s->t, "virtserialport,name=x,nr=1,bus=dut.0");
    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
        g_assert_null(try_port(s->t, rows[i][0], &err));
        g_assert_cmpstr(error_get_pretty(err), ==, rows[i][1]);
        g_clear_pointer(&err, error_free);
    }
    add_port(s->t, "virtserialport");
    g_assert_null(try_port(s->t, "virtserialport", &err));
    g_assert_cmpstr(error_get_pretty(err), ==,
                    "virtio-serial-bus: Maximum port limit for this device reached");
    g_clear_pointer(&err, error_free);
    add_port(s->t, "virtconsole");
    g_assert_null(try_port(s->t, "virtconsole", &err));
    g_assert_cmpstr(error_get_pretty(err), ==,
                    "No 'virtio-serial-bus' bus found for device 'virtconsole'");
    g_clear_pointer(&err, error_free);
    s_free(s);
    t = vt_new(legacy != NULL);
    for (size_t i = 0; i < G_N_ELEMENTS(devices); i++) {
        g_autofree char *msg = vt_plug_error(t, class_of("virtio-serial-device"),
                                             devices[i][0]);
        g_assert_cmpstr(msg, ==, devices[i][1]);
    }
    vt_free(t);
}

/* Drivers that lie ----------------------------------------------------------- */

/* C01 */
static void test_bad_control(gconstpointer legacy)
{
    static const uint32_t ids[] = { 0, 1, 2, 30, 31, 32, 0x7fffffff, 0x80000000, 0xffffffff };
    S *s = s_new(legacy);
    int fd = connect_to(s->t, "c0");

    start(s, EVERY);
    give_ctrl_buffers(s);
    /* Before the driver has been told of any port. */
    for (size_t i = 0; i < G_N_ELEMENTS(ids); i++) {
        for (unsigned event = 1; event < 20; event++) {
            control(s, ids[i], event, 1);
        }
    }
    ASSERT_SAID(s, "");
    control(s, -1, VIRTIO_CONSOLE_DEVICE_READY, 0);
    ASSERT_SAID(s, "");
    g_assert_cmpuint(events->len, ==, 0);
    start_multiport(s);
    for (size_t i = 2; i < G_N_ELEMENTS(ids); i++) {
        for (unsigned event = 1; event < 20; event++) {
            control(s, ids[i], event, 1);
            control(s, ids[i], event, 0xffff);
        }
    }
    control(s, 0, 0xffff, 1);
    control(s, 1, VIRTIO_CONSOLE_PORT_READY, 0);
    for (unsigned len = 1; len < 8; len++) {
        control_len(s, 1, VIRTIO_CONSOLE_PORT_OPEN, 0, len);
    }
    /* A second hello adds nothing that is there. */
    control(s, -1, VIRTIO_CONSOLE_DEVICE_READY, 1);
    ASSERT_SAID(s, "");
    g_assert_cmpuint(events->len, ==, 0);
    assert_works(s, fd, 0);
    close(fd);
    s_free(s);
}

static size_t rss_pages(void)
{
    g_autofree char *text = NULL;

    g_assert_true(g_file_get_contents("/proc/self/statm", &text, NULL, NULL));
    return strtoull(strchr(text, ' '), NULL, 10);
}

/* C02: the head of the message counts, the rest is not even read. */
static void test_large_control(gconstpointer legacy)
{
    S *s = s_new(legacy);
    VTBuf bufs[12];
    size_t rss;

    start_multiport(s);
    /* What the driver's memory itself takes must not count. */
    memset(s->t->ram + BIG, 0, 4 << 20);
    rss = rss_pages();
    for (int i = 0; i < 12; i++) {
        bufs[i] = (VTBuf) { BIG, 4 << 20, false };
    }
    ((struct virtio_console_control *)(s->t->ram + BIG))->id = 1;
    ((struct virtio_console_control *)(s->t->ram + BIG))->event = VIRTIO_CONSOLE_PORT_OPEN;
    vt_add(s->r[3], bufs, 12);
    vt_kick(s->t, s->r[3]);
    g_assert_nonnull(vt_used(s->r[3]));
    g_assert_cmpuint(rss_pages(), <, rss + 1024);
    g_assert_cmpstr(events->str, ==, "port:0 ");
    /* In pieces of one byte, it still means what it says. */
    g_string_truncate(events, 0);
    ((struct virtio_console_control *)(s->t->ram + BIG))->value = 1;
    for (int i = 0; i < 8; i++) {
        bufs[i] = (VTBuf) { BIG + i, 1, false };
    }
    vt_add(s->r[3], bufs, 8);
    vt_kick(s->t, s->r[3]);
    g_assert_cmpstr(events->str, ==, "port:1 ");
    s_free(s);
}

/* Answers need 8 bytes of room. */
static void test_small_ctrl_buffers(gconstpointer legacy)
{
    S *s = s_new(legacy);

    start(s, EVERY);
    vt_add(s->r[2], &(VTBuf) { CTRL_BUFS, 7, true }, 1);
    control(s, -1, VIRTIO_CONSOLE_DEVICE_READY, 1);
    vt_assert_needs_reset(s->t);
    start(s, EVERY);
    vt_add(s->r[2], &(VTBuf) { CTRL_BUFS, 64, false }, 1);
    control(s, -1, VIRTIO_CONSOLE_DEVICE_READY, 1);
    vt_assert_needs_reset(s->t);
    start(s, EVERY);
    vt_add(s->r[2], &(VTBuf) { CTRL_BUFS, 8, true }, 1);
    vt_add(s->r[2], &(VTBuf) { CTRL_BUFS + 64, 8, true }, 1);
    control(s, -1, VIRTIO_CONSOLE_DEVICE_READY, 1);
    while (vt_used(s->r[2])) {
        continue;
    }
    s->t->ram[CTRL_BUFS + 12] = 0x77;
    vt_add(s->r[2], &(VTBuf) { CTRL_BUFS, 12, true }, 1);
    control(s, 1, VIRTIO_CONSOLE_PORT_READY, 1);
    g_assert_cmpmem(s->t->ram + CTRL_BUFS + 8, 4, "org.", 4);
    g_assert_cmphex(s->t->ram[CTRL_BUFS + 12], ==, 0x77);
    s_free(s);
}

/* C03 */
static void test_bad_buffers(gconstpointer legacy)
{
    VTBuf mixed[2] = { { BUF, 16, false }, { BUF + 16, 16, true } };
    S *s = s_new(legacy);
    int fd = connect_to(s->t, "c0");

    start(s, 0);
    vt_add(s->r[1], &(VTBuf) { BUF, 16, true }, 1);
    vt_kick(s->t, s->r[1]);
    vt_assert_needs_reset(s->t);
    start(s, 0);
    vt_add(s->r[1], mixed, 2);
    vt_kick(s->t, s->r[1]);
    vt_assert_needs_reset(s->t);
    start(s, 0);
    vt_add(s->r[0], &(VTBuf) { BUF, 16, false }, 1);
    vt_kick(s->t, s->r[0]);
    vt_assert_needs_reset(s->t);
    g_assert_true(can_write(fd, "x"));
    vt_poll(s->t);
    start(s, 0);
    vt_add(s->r[1], &(VTBuf) { BUF, 0, false }, 1);
    vt_kick(s->t, s->r[1]);
    vt_assert_needs_reset(s->t);
    start(s, 0);
    vt_add(s->r[1], &(VTBuf) { BUF, 0xffffffff, false }, 1);
    vt_kick(s->t, s->r[1]);
    vt_assert_needs_reset(s->t);
    assert_no_input(fd);
    /* The byte from above is still there. */
    start(s, 0);
    vt_add(s->r[0], &(VTBuf) { BIG, 16, true }, 1);
    vt_kick(s->t, s->r[0]);
    VT_WAIT(s->t, vt_used(s->r[0]));
    g_assert_cmphex(s->t->ram[BIG], ==, 'x');
    assert_works(s, fd, 0);
    close(fd);
    s_free(s);
}

static gboolean count_turn(gpointer opaque)
{
    ++*(unsigned *)opaque;
    return G_SOURCE_CONTINUE;
}

/* C03: requests as large as RAM leave the loop to others as well. */
static void test_fair(gconstpointer legacy)
{
    S *s = s_new_empty(legacy, "");
    unsigned turns = 0;
    VTBuf bufs[NUM];
    guint tag;

    new_chardev("null,id=n");
    add_port(s->t, "virtconsole,chardev=n");
    start(s, 0);
    for (int i = 0; i < NUM; i++) {
        bufs[i] = (VTBuf) { 0, 8 << 20, false };
    }
    vt_add(s->r[1], bufs, NUM);
    tag = g_timeout_add(0, count_turn, &turns);
    vt_wr(s->t, VT_QUEUE_NOTIFY, 1);
    while (!vt_used(s->r[1])) {
        g_main_context_iteration(NULL, FALSE);
    }
    /* 256 MiB; the timer has its turn between the parts, if a millisecond passed. */
    g_assert_cmpuint(turns, >, 5);
    g_source_remove(tag);
    s_free(s);
}

/* Without the feature there are no control queues and no second port. */
static void test_unagreed(gconstpointer legacy)
{
    S *s = s_new(legacy);
    int fd = connect_to(s->t, "c0");

    start(s, EVERY & ~MULTIPORT);
    give_ctrl_buffers(s);
    control(s, -1, VIRTIO_CONSOLE_DEVICE_READY, 1);
    control(s, 0, VIRTIO_CONSOLE_PORT_OPEN, 1);
    ASSERT_SAID(s, "");
    g_assert_cmpuint(events->len, ==, 0);
    assert_works(s, fd, 0);
    close(fd);
    s_free(s);
}

/* Every queue is kicked with rubbish in it, again and again. */
static void test_random(gconstpointer legacy)
{
    S *s = s_new(legacy);
    int fd = connect_to(s->t, "c1");
    uint8_t sink[4096];

    for (int round = 0; round < 200; round++) {
        start(s, g_test_rand_int());
        for (int i = 0; i < 200; i++) {
            VTRing *r = s->r[g_test_rand_int_range(0, 8)];
            uint32_t *msg = (uint32_t *)(s->t->ram + BUF);
            VTBuf buf = { BUF, g_test_rand_int_range(1, 5000),
                          (r->index & 1) ^ 1 ^ !g_test_rand_int_range(0, 50) };

            msg[0] = g_test_rand_int_range(-1, 4);
            msg[1] = g_test_rand_int_range(0, 9) | g_test_rand_int_range(0, 2) << 16;
            if ((uint16_t)(r->avail->idx - r->used->idx) < NUM) {
                vt_add(r, &buf, 1);
            }
            vt_kick(s->t, r);
            if (!g_test_rand_int_range(0, 20)) {
                g_assert_cmpint(write(fd, sink, 100), !=, 0);
            }
            while (read(fd, sink, sizeof(sink)) > 0) {
                continue;
            }
        }
    }
    close(fd);
    s_free(s);
}

static void add_tests(void)
{
    vt_add_test("/virtio-serial/config", test_config);
    vt_add_test("/virtio-serial/single-port", test_single_port);
    vt_add_test("/virtio-serial/multiport", test_multiport);
    vt_add_test("/virtio-serial/emergency", test_emergency);
    vt_add_test("/virtio-serial/messages-wait", test_messages_wait);
    vt_add_test("/virtio-serial/c04-flood", test_flood);
    vt_add_test("/virtio-serial/slow-reader", test_slow_reader);
    vt_add_test("/virtio-serial/slow-terminal", test_slow_terminal);
    vt_add_test("/virtio-serial/slow-reader-stop", test_slow_reader_stop);
    vt_add_test("/virtio-serial/slow-reader-reset", test_slow_reader_reset);
    vt_add_modern_test("/virtio-serial/queue-reset", test_queue_reset);
    vt_add_test("/virtio-serial/c09-disconnect", test_disconnect);
    vt_add_test("/virtio-serial/c09-disconnect-port", test_disconnect_port);
    vt_add_test("/virtio-serial/c09-unplug", test_unplug_pending);
    vt_add_test("/virtio-serial/hotplug", test_hotplug);
    vt_add_test("/virtio-serial/plug-errors", test_plug_errors);
    vt_add_test("/virtio-serial/c01-bad-control", test_bad_control);
    vt_add_test("/virtio-serial/c02-large-control", test_large_control);
    vt_add_test("/virtio-serial/small-control-buffers", test_small_ctrl_buffers);
    vt_add_test("/virtio-serial/c03-bad-buffers", test_bad_buffers);
    vt_add_test("/virtio-serial/c03-fair", test_fair);
    vt_add_test("/virtio-serial/not-agreed", test_unagreed);
    vt_add_test("/virtio-serial/random", test_random);
}

int main(int argc, char **argv)
{
    g_autofree char *rm = NULL;
    int ret;

    g_test_init(&argc, &argv, NULL);
    tmpdir = g_dir_make_tmp("test-virtio-serial-XXXXXX", NULL);
    events = g_string_new(NULL);
    add_tests();
    ret = g_test_run();
    rm = g_strdup_printf("rm -rf '%s'", tmpdir);
    g_assert_cmpint(system(rm), ==, 0);
    g_string_free(events, TRUE);
    g_free(tmpdir);
    return ret;
}
