/*
 * Sockets between guest and host: states, credit, limits, hostile guests and programs. Names begin
 * with the number of the case.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <errno.h>
#include <glib/gstdio.h>
#include <linux/virtio_vsock.h>
#include <poll.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "virtio-harness.h"

#define CID     3
#define HDR     ((uint32_t)sizeof(struct virtio_vsock_hdr))
#define RX      0x400000        /* 64 buffers */
#define RX_SIZE 0x2000
#define RX_NUM  64
#define TX      0x800000        /* 64 packets */
#define TX_SIZE 0x20000
#define BOTH    (VIRTIO_VSOCK_SHUTDOWN_RCV | VIRTIO_VSOCK_SHUTDOWN_SEND)
#define OP(name) VIRTIO_VSOCK_OP_##name

typedef struct virtio_vsock_hdr Hdr;

typedef struct V {
    VT *t;
    VTRing *rx, *tx, *event;
    Hdr hdr;                    /* the last packet from the device */
    uint8_t *data;
} V;

static char *dir, *path;

/* The host's programs --------------------------------------------------------------- */

static struct sockaddr_un address(const char *suffix)
{
    struct sockaddr_un un = { .sun_family = AF_UNIX };

    g_snprintf(un.sun_path, sizeof(un.sun_path), "%s%s", path, suffix);
    return un;
}

static int listen_to(const char *suffix)
{
    struct sockaddr_un un = address(suffix);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    unlink(un.sun_path);
    g_assert_cmpint(bind(fd, (struct sockaddr *)&un, sizeof(un)), ==, 0);
    g_assert_cmpint(listen(fd, 4096), ==, 0);
    return fd;
}

static int connect_host(const char *hello)
{
    struct sockaddr_un un = address("");
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    g_assert_cmpint(connect(fd, (struct sockaddr *)&un, sizeof(un)), ==, 0);
    g_assert_cmpint(send(fd, hello, strlen(hello), 0), ==, strlen(hello));
    return fd;
}

/* Exactly this comes; an empty text is the end. */
static void expect(V *v, int fd, const char *text)
{
    char buf[4096];
    ssize_t len;

    VT_WAIT(v->t, (len = recv(fd, buf, sizeof(buf), 0)) >= 0 || errno == ECONNRESET);
    g_assert_cmpint(MAX(len, 0), ==, strlen(text));
    g_assert_cmpint(memcmp(buf, text, strlen(text)), ==, 0);
}

static bool is_quiet(int fd)
{
    char c;

    return recv(fd, &c, 1, MSG_PEEK) < 0 && errno == EAGAIN;
}

/* The guest's driver ---------------------------------------------------------------- */

static void post(V *v, unsigned i)
{
    vt_desc(v->rx, i, RX + i * RX_SIZE, RX_SIZE, VRING_DESC_F_WRITE, 0);
    vt_avail(v->rx, i);
}

static V *new_vsock(bool legacy, unsigned buffers)
{
    const ObjectClass *oc = object_class_by_name(device_classes, "virtio-vsock-device");
    g_autofree char *options = g_strdup_printf("guest-cid=3,uds-path=%s", path);
    V *v = g_new0(V, 1);

    v->t = vt_new(legacy);
    vt_plug(v->t, (const DeviceClass *)oc, options);
    vt_negotiate(v->t, 0);
    v->rx = vt_setup_queue(v->t, 0, 64);
    v->tx = vt_setup_queue(v->t, 1, 128);
    v->event = vt_setup_queue(v->t, 2, 16);
    vt_driver_ok(v->t);
    for (unsigned i = 0; i < buffers; i++) {
        post(v, i);
    }
    return v;
}

static void free_vsock(V *v)
{
    vt_free(v->t);
    g_free(v);
    g_assert_false(g_file_test(path, G_FILE_TEST_EXISTS));
}

/* Send hdr with its data; fields that are zero get what an honest guest would say. */
static void send_packet(V *v, Hdr hdr, const void *data)
{
    unsigned slot = v->tx->avail->idx % 64;
    uint64_t at = TX + slot * TX_SIZE;

    hdr.src_cid = hdr.src_cid ? hdr.src_cid : CID;
    hdr.dst_cid = hdr.dst_cid ? hdr.dst_cid : 2;
    hdr.type = hdr.type ? hdr.type : VIRTIO_VSOCK_TYPE_STREAM;
    memcpy(v->t->ram + at, &hdr, sizeof(hdr));
    if (data) {
        memcpy(v->t->ram + at + HDR, data, hdr.len);
    }
    vt_add(v->tx, &(VTBuf) { at, HDR + (data ? hdr.len : 0), false }, 1);
    vt_kick(v->t, v->tx);
}

static bool take(V *v)
{
    const struct vring_used_elem *used = vt_used(v->rx);

    if (!used) {
        return false;
    }
    memcpy(&v->hdr, v->t->ram + RX + used->id * RX_SIZE, sizeof(v->hdr));
    v->data = v->t->ram + RX + used->id * RX_SIZE + HDR;
    g_assert_cmpuint(used->len, ==, HDR + v->hdr.len);
    g_assert_cmpuint(v->hdr.src_cid, ==, 2);
    g_assert_cmpuint(v->hdr.dst_cid, ==, CID);
    post(v, used->id);
    return true;
}

/* The next packet; its data stay until the buffer is used again. */
static void receive(V *v, unsigned op)
{
    VT_WAIT(v->t, take(v));
    g_assert_cmpuint(v->hdr.op, ==, op);
    vt_kick(v->t, v->rx);
}

static void nothing_comes(V *v)
{
    vt_poll(v->t);
    g_assert_false(take(v));
}

/* Port 1000 of the guest's connects to port of the host's; a listener has its end. */
static void connect_guest(V *v, uint32_t from, uint32_t port, uint32_t room)
{
    send_packet(v, (Hdr) { .src_port = from, .dst_port = port, .op = OP(REQUEST),
                           .buf_alloc = room }, NULL);
}

static int open_one(V *v, int listener)
{
    int fd;

    connect_guest(v, 1000, 7, 65536);
    receive(v, OP(RESPONSE));
    g_assert_cmpuint(v->hdr.src_port, ==, 7);
    g_assert_cmpuint(v->hdr.dst_port, ==, 1000);
    g_assert_cmpuint(v->hdr.buf_alloc, >=, 65536);
    fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    g_assert_cmpint(fd, >=, 0);
    return fd;
}

static Hdr packet(unsigned op, uint32_t len)
{
    return (Hdr) { .src_port = 1000, .dst_port = 7, .op = op, .len = len, .buf_alloc = 65536 };
}

static void test_options(gconstpointer legacy)
{
    const DeviceClass *dc = (const DeviceClass *)object_class_by_name(device_classes,
                                                                      "virtio-vsock-device");
    static const char *const bad[][2] = {
        { "guest-cid=3", "uds-path property not set" },
        { "uds-path=/x", "guest-cid property must be greater than 2" },
        { "uds-path=/x,guest-cid=2", "guest-cid property must be greater than 2" },
        { "uds-path=/x,guest-cid=4294967296", "guest-cid property must be a 32-bit number" },
        { "uds-path=/x,guest-cid=4294967295", "guest-cid 4294967295 is reserved" },
        { "uds-path=/nowhere/x,guest-cid=3",
          "cannot listen at '/nowhere/x': No such file or directory" },
        { "uds-path=/0123456789012345678901234567890123456789012345678901234567890123456789"
          "01234567890123456789012345678901,guest-cid=3", NULL },
    };

    for (unsigned i = 0; i < G_N_ELEMENTS(bad); i++) {
        VT *t = vt_new(legacy);
        g_autofree char *error = vt_plug_error(t, dc, bad[i][0]);

        if (bad[i][1]) {
            g_assert_cmpstr(error, ==, bad[i][1]);
        } else {
            g_assert_nonnull(strstr(error, "is longer than"));
        }
        vt_free(t);
    }
}

static void test_guest_connects(gconstpointer legacy)
{
    V *v = new_vsock(legacy, RX_NUM);
    int listener = listen_to("_7"), fd = open_one(v, listener);

    g_assert_cmpint(vt_rd(v->t, VT_DEVICE_ID), ==, 19);
    g_assert_cmpuint(vt_rd(v->t, VT_CONFIG), ==, CID);
    g_assert_cmpuint(vt_rd(v->t, VT_CONFIG + 4), ==, 0);
    send_packet(v, packet(OP(RW), 5), "hello");
    expect(v, fd, "hello");
    g_assert_cmpint(write(fd, "world!", 6), ==, 6);
    receive(v, OP(RW));
    g_assert_cmpint(v->hdr.len, ==, 6);
    g_assert_cmpint(memcmp(v->data, "world!", 6), ==, 0);
    g_assert_cmpuint(v->hdr.fwd_cnt, ==, 5);
    /* The host closes: all of its data, then SHUTDOWN, once; RST confirms it. */
    g_assert_cmpint(write(fd, "bye", 3), ==, 3);
    close(fd);
    do {                        /* that it does not read is known first */
        VT_WAIT(v->t, take(v));
        vt_kick(v->t, v->rx);
    } while (v->hdr.op == OP(SHUTDOWN));
    g_assert_cmpuint(v->hdr.op, ==, OP(RW));
    g_assert_cmpint(memcmp(v->data, "bye", 3), ==, 0);
    receive(v, OP(SHUTDOWN));
    if (v->hdr.flags != BOTH) {
        receive(v, OP(SHUTDOWN));
    }
    g_assert_cmpuint(v->hdr.flags, ==, BOTH);
    send_packet(v, packet(OP(RST), 0), NULL);
    nothing_comes(v);
    /* Nobody there; the same ports again. */
    connect_guest(v, 1000, 8, 65536);
    receive(v, OP(RST));
    fd = open_one(v, listener);
    send_packet(v, packet(OP(RST), 0), NULL);
    expect(v, fd, "");
    nothing_comes(v);
    close(fd);
    close(listener);
    free_vsock(v);
}

static void test_host_connects(gconstpointer legacy)
{
    V *v = new_vsock(legacy, RX_NUM);
    int fd = connect_host("CON");
    g_autofree char *ok = NULL;
    Hdr hdr;

    vt_poll(v->t);
    g_assert_cmpint(write(fd, "NECT 5", 6), ==, 6);
    g_assert_cmpint(write(fd, "2\nearly", 7), ==, 7);
    receive(v, OP(REQUEST));
    g_assert_cmpuint(v->hdr.dst_port, ==, 52);
    g_assert_cmpuint(v->hdr.src_port, >, 1024);
    hdr = (Hdr) { .src_port = 52, .dst_port = v->hdr.src_port, .op = OP(RESPONSE),
                  .buf_alloc = 65536 };
    g_assert_true(is_quiet(fd));
    send_packet(v, hdr, NULL);
    ok = g_strdup_printf("OK %u\n", hdr.dst_port);
    expect(v, fd, ok);
    receive(v, OP(RW));
    g_assert_cmpint(v->hdr.len, ==, 5);
    g_assert_cmpint(memcmp(v->data, "early", 5), ==, 0);
    /* Half of it closes, then the other half. */
    shutdown(fd, SHUT_WR);
    receive(v, OP(SHUTDOWN));
    g_assert_cmpuint(v->hdr.flags, ==, VIRTIO_VSOCK_SHUTDOWN_SEND);
    hdr.op = OP(RW);
    hdr.len = 4;
    send_packet(v, hdr, "more");
    expect(v, fd, "more");
    hdr.op = OP(SHUTDOWN);
    hdr.len = 0;
    hdr.flags = VIRTIO_VSOCK_SHUTDOWN_SEND;
    send_packet(v, hdr, NULL);
    expect(v, fd, "");
    hdr.flags = BOTH;
    send_packet(v, hdr, NULL);
    while (v->hdr.op != OP(RST)) {      /* the host's end, if it came to know of it first */
        VT_WAIT(v->t, take(v));
    }
    nothing_comes(v);
    close(fd);
    /* The guest refuses. */
    fd = connect_host("CONNECT 53\n");
    receive(v, OP(REQUEST));
    hdr = (Hdr) { .src_port = 53, .dst_port = v->hdr.src_port, .op = OP(RST) };
    send_packet(v, hdr, NULL);
    expect(v, fd, "");
    close(fd);
    free_vsock(v);
}

static void test_bad_hello(gconstpointer legacy)
{
    static const char *const bad[] = {
        "\n", "CONNECT\n", "CONNECT \n", "CONNECT -1\n", "CONNECT  1\n", "CONNECT 1 \n",
        "connect 1\n", "CONNECT 4294967295\n", "CONNECT 99999999999999999999\n", "CONNECT 1x\n",
        "CONNECT 000000000000000000000000000000000000001\n", "GET / HTTP/1.1\r\n\r\n",
        "CONNECT 0000000000000000000000000000000000000000000000000000",
    };
    V *v = new_vsock(legacy, RX_NUM);
    int fd = connect_host("CONNECT 1");

    shutdown(fd, SHUT_WR);
    expect(v, fd, "");
    close(fd);
    for (unsigned i = 0; i < G_N_ELEMENTS(bad); i++) {
        fd = connect_host(bad[i]);
        expect(v, fd, "");
        close(fd);
    }
    nothing_comes(v);
    free_vsock(v);
}

/* The host's program does not read: what was granted is kept, one byte more ends it. */
static void test_guest_credit(gconstpointer legacy)
{
    V *v = new_vsock(legacy, RX_NUM);
    int listener = listen_to("_7"), fd = open_one(v, listener);
    g_autofree uint8_t *chunk = g_malloc(65536), *got = g_malloc(65536);
    uint32_t alloc = v->hdr.buf_alloc, sent = 0, fwd = 0, seen = 0, n = 0;

    for (unsigned i = 0; i < 65536; i++) {
        chunk[i] = i * 7 + (i >> 8);
    }
    while (sent - fwd < alloc) {
        uint32_t len = MIN(alloc - (sent - fwd), 20000);

        send_packet(v, packet(OP(RW), len), chunk);
        sent += len;
        while (take(v)) {
            g_assert_cmpuint(v->hdr.op, ==, OP(CREDIT_UPDATE));
            fwd = v->hdr.fwd_cnt;
        }
        vt_kick(v->t, v->rx);
        send_packet(v, packet(OP(CREDIT_REQUEST), 0), NULL);
        receive(v, OP(CREDIT_UPDATE));
        fwd = v->hdr.fwd_cnt;
        n++;
        g_assert_cmpuint(n, <, 1000);
    }
    g_assert_cmpuint(sent, >, alloc);
    /* Reading makes room, of which the guest is told. */
    while (seen < sent - 10) {
        ssize_t len = recv(fd, got, MIN(sent - 10 - seen, 65536), 0);

        g_assert_true(len > 0 || (errno == EAGAIN && seen < sent));
        vt_poll(v->t);
        seen += MAX(len, 0);
    }
    receive(v, OP(CREDIT_UPDATE));
    while (take(v)) {
    }
    g_assert_cmpuint(v->hdr.fwd_cnt, >, fwd);
    send_packet(v, packet(OP(RW), 1), "x");
    send_packet(v, packet(OP(CREDIT_REQUEST), 0), NULL);
    receive(v, OP(CREDIT_UPDATE));
    g_assert_cmpuint(v->hdr.fwd_cnt, ==, sent + 1);
    /* More than was granted. */
    for (n = 0; n < 100 && v->hdr.op != OP(RST); n++) {
        send_packet(v, packet(OP(RW), 65536), chunk);
        while (v->hdr.op != OP(RST) && take(v)) {
        }
        vt_kick(v->t, v->rx);
    }
    g_assert_cmpuint(v->hdr.op, ==, OP(RST));
    close(fd);
    close(listener);
    free_vsock(v);
}

/* Never more than the guest has room for, whatever it says; one question, not a dialogue. */
static void test_host_credit(gconstpointer legacy)
{
    V *v = new_vsock(legacy, RX_NUM);
    int listener = listen_to("_7"), fd;
    g_autofree char *data = g_malloc0(100000);
    uint32_t got = 0;
    Hdr hdr;

    connect_guest(v, 1000, 7, 10000);
    receive(v, OP(RESPONSE));
    fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    g_assert_cmpint(write(fd, data, 100000), ==, 100000);
    while (got < 10000) {
        receive(v, OP(RW));
        got += v->hdr.len;
    }
    g_assert_cmpuint(got, ==, 10000);
    receive(v, OP(CREDIT_REQUEST));
    nothing_comes(v);
    hdr = packet(OP(CREDIT_UPDATE), 0);
    hdr.buf_alloc = 10000;
    for (unsigned i = 0; i < 20; i++) {
        hdr.fwd_cnt = i % 2 ? 0 : 0xfffffff0 - i;   /* nothing read; or before the beginning */
        send_packet(v, hdr, NULL);
        nothing_comes(v);
    }
    hdr.fwd_cnt = 10001;                            /* more than there was */
    send_packet(v, hdr, NULL);
    nothing_comes(v);
    hdr.buf_alloc = 0;
    hdr.fwd_cnt = 10000;
    send_packet(v, hdr, NULL);
    nothing_comes(v);
    hdr.buf_alloc = 3;
    send_packet(v, hdr, NULL);
    receive(v, OP(RW));
    g_assert_cmpuint(v->hdr.len, ==, 3);
    close(fd);
    close(listener);
    free_vsock(v);
}

static void test_resets(gconstpointer legacy)
{
    V *v = new_vsock(legacy, RX_NUM);
    int listener = listen_to("_7"), fd;
    Hdr hdr = packet(0, 0);

    for (hdr.op = 0; hdr.op < 12; hdr.op++) {
        if (hdr.op == OP(REQUEST)) {
            continue;
        }
        send_packet(v, hdr, NULL);
        if (hdr.op == OP(RST)) {
            nothing_comes(v);
            continue;
        }
        receive(v, OP(RST));
        g_assert_cmpuint(v->hdr.src_port, ==, 7);
        g_assert_cmpuint(v->hdr.dst_port, ==, 1000);
    }
    /* Types that there are not; the connection at these ports is not meant. */
    fd = open_one(v, listener);
    for (hdr.type = 2; hdr.type < 5; hdr.type++) {
        hdr.op = hdr.type == 3 ? OP(REQUEST) : OP(RW);
        send_packet(v, hdr, NULL);
        receive(v, OP(RST));
        g_assert_cmpuint(v->hdr.type, ==, hdr.type);
    }
    /* For others, or from others: no answer. */
    hdr = packet(OP(RST), 0);
    for (unsigned i = 0; i < 5; i++) {
        static const uint64_t cids[] = { 1, 3, 0xffffffff, 1ull << 32 | 2, UINT64_MAX };

        hdr.dst_cid = cids[i];
        send_packet(v, hdr, NULL);
        hdr.dst_cid = 0;
        hdr.src_cid = cids[i] == 3 ? 4 : cids[i];
        send_packet(v, hdr, NULL);
        hdr.src_cid = 0;
    }
    nothing_comes(v);
    send_packet(v, packet(OP(RW), 5), "still");
    expect(v, fd, "still");
    /* What ends a connection: a wrong word, or a second REQUEST. */
    for (unsigned op = 0; op < 10; op++) {
        if (op < OP(RESPONSE) + 1 || op > OP(CREDIT_REQUEST)) {
            send_packet(v, packet(op, 0), NULL);
            receive(v, OP(RST));
            expect(v, fd, "");
            close(fd);
            fd = open_one(v, listener);
        }
    }
    /* Data after the last word; SHUTDOWN without flags is none. */
    hdr = packet(OP(SHUTDOWN), 0);
    send_packet(v, hdr, NULL);
    hdr.flags = VIRTIO_VSOCK_SHUTDOWN_SEND;
    send_packet(v, hdr, NULL);
    nothing_comes(v);
    send_packet(v, packet(OP(RW), 1), "x");
    receive(v, OP(RST));
    close(fd);
    close(listener);
    free_vsock(v);
}

static void test_shapes(gconstpointer legacy)
{
    V *v = new_vsock(legacy, RX_NUM);
    int listener = listen_to("_7"), fd = open_one(v, listener);
    Hdr hdr = packet(OP(RW), 3);
    VTBuf bufs[HDR + 3];

    /* A byte a buffer. */
    hdr.src_cid = CID;
    hdr.dst_cid = 2;
    hdr.type = 1;
    memcpy(v->t->ram + TX, &hdr, sizeof(hdr));
    memcpy(v->t->ram + TX + HDR, "abcdef", 6);
    for (unsigned i = 0; i < HDR + 3; i++) {
        bufs[i] = (VTBuf) { TX + i, 1, false };
    }
    vt_add(v->tx, bufs, HDR + 3);
    vt_kick(v->t, v->tx);
    expect(v, fd, "abc");
    /* More buffer than data; no header at all; buffers for the wrong direction. */
    vt_add(v->tx, &(VTBuf) { TX, HDR + 6, false }, 1);
    vt_add(v->tx, &(VTBuf) { TX, HDR - 1, false }, 1);
    vt_add(v->tx, &(VTBuf) { TX, HDR + 3, true }, 1);
    vt_kick(v->t, v->tx);
    expect(v, fd, "abc");
    nothing_comes(v);
    g_assert_true(is_quiet(fd));
    /* Less data than it says, up to 4 GiB. */
    for (uint32_t len = 1; len; len = len == 1 ? 65537 : len == 65537 ? 0xffffffff : 0) {
        send_packet(v, packet(OP(RW), len), NULL);
        receive(v, OP(RST));
        expect(v, fd, "");
        close(fd);
        fd = open_one(v, listener);
    }
    close(fd);
    close(listener);
    free_vsock(v);
}

static void test_rx_buffers(gconstpointer legacy)
{
    for (unsigned i = 0; i < 2; i++) {
        V *v = new_vsock(legacy, 0);

        vt_add(v->rx, &(VTBuf) { RX, i ? HDR : RX_SIZE, i == 1 }, 1);
        vt_kick(v->t, v->rx);
        send_packet(v, packet(OP(RW), 0), NULL);
        vt_assert_needs_reset(v->t);
        free_vsock(v);
    }
}

/* A guest that takes nothing can have so much answered; the rest when it takes again. */
static void test_rx_full(gconstpointer legacy)
{
    V *v = new_vsock(legacy, 0);
    unsigned taken, answers = 0;

    for (unsigned i = 0; i < 400; i++) {
        if (v->tx->avail->idx - v->tx->used->idx < 60) {
            send_packet(v, packet(OP(RW), 0), NULL);
        }
    }
    taken = v->tx->used->idx;
    g_assert_cmpuint(taken, >=, 256);
    g_assert_cmpuint(taken, <, v->tx->avail->idx);
    for (unsigned i = 0; i < RX_NUM; i++) {
        post(v, i);
    }
    vt_kick(v->t, v->rx);
    VT_WAIT(v->t, (answers += take(v), vt_wr(v->t, VT_QUEUE_NOTIFY, 0),
                   answers == v->tx->avail->idx));
    g_assert_cmpuint(v->tx->used->idx, ==, v->tx->avail->idx);
    nothing_comes(v);
    free_vsock(v);
}

/* What the guest sent before it closed arrives, however late the program reads. */
static void test_linger(gconstpointer legacy)
{
    V *v = new_vsock(legacy, RX_NUM);
    int listener = listen_to("_7"), fd = open_one(v, listener);
    uint32_t alloc = v->hdr.buf_alloc, sent = 0, fwd = 0, seen = 0;
    g_autofree char *chunk = g_malloc0(16384), *buf = g_malloc(16384);
    Hdr hdr = packet(OP(SHUTDOWN), 0);
    ssize_t len;

    hdr.flags = BOTH;
    while (sent - fwd + 16384 <= alloc) {
        send_packet(v, packet(OP(RW), 16384), chunk);
        sent += 16384;
        while (take(v)) {
            fwd = v->hdr.fwd_cnt;
        }
        vt_kick(v->t, v->rx);
    }
    send_packet(v, hdr, NULL);
    receive(v, OP(RST));
    /* The guest may use the ports again while the program reads. */
    connect_guest(v, 1000, 7, 65536);
    receive(v, OP(RESPONSE));
    VT_WAIT(v->t, (len = recv(fd, buf, 16384, 0)) == 0 || (seen += MAX(len, 0), false));
    g_assert_cmpuint(seen, ==, sent);
    close(fd);
    close(listener);
    free_vsock(v);
}

static bool many_fds(void)
{
    struct rlimit lim;

    getrlimit(RLIMIT_NOFILE, &lim);
    lim.rlim_cur = lim.rlim_max;
    setrlimit(RLIMIT_NOFILE, &lim);
    return lim.rlim_cur >= 4000;
}

/*
 * Requests without end: so many are accepted, old connections work, the host has its reserve, and
 * each connection with data has its turn.
 */
static void test_flood(gconstpointer legacy)
{
    V *v = new_vsock(legacy, RX_NUM);
    int listener = listen_to("_7"), fd, extra;
    unsigned opened = 0, refused = 0;
    g_autofree char *data = g_malloc0(20000);
    int fds[32];

    if (!many_fds()) {
        g_test_skip("too few descriptors");
        free_vsock(v);
        return;
    }
    fd = open_one(v, listener);
    for (unsigned i = 0; i < 3000; i++) {
        connect_guest(v, 2000 + i, 7, 65536);
        VT_WAIT(v->t, take(v));
        opened += v->hdr.op == OP(RESPONSE);
        refused += v->hdr.op == OP(RST);
        vt_kick(v->t, v->rx);
        if (i < 32) {
            fds[i] = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        }
    }
    g_assert_cmpuint(opened + refused, ==, 3000);
    g_assert_cmpuint(opened, ==, 1024 - 64 - 1);
    send_packet(v, packet(OP(RW), 5), "alive");
    expect(v, fd, "alive");
    extra = connect_host("CONNECT 1\n");
    receive(v, OP(REQUEST));
    for (unsigned i = 0; i < 32; i++) {
        g_assert_cmpint(write(fds[i], data, 20000), ==, 20000);
    }
    for (unsigned round = 0; round < 2; round++) {
        uint32_t seen = 0;

        for (unsigned i = 0; i < 32; i++) {
            receive(v, OP(RW));
            seen |= 1u << (v->hdr.dst_port - 2000);
        }
        g_assert_cmphex(seen, ==, 0xffffffff);
    }
    /* Slots come back. */
    send_packet(v, (Hdr) { .src_port = 2000, .dst_port = 7, .op = OP(RST) }, NULL);
    while (take(v)) {
        vt_kick(v->t, v->rx);
    }
    connect_guest(v, 9000, 7, 1);
    VT_WAIT(v->t, take(v) && v->hdr.dst_port == 9000);
    g_assert_cmpuint(v->hdr.op, ==, OP(RESPONSE));
    for (unsigned i = 0; i < 32; i++) {
        close(fds[i]);
    }
    close(extra);
    close(fd);
    close(listener);
    free_vsock(v);
}

static void test_device_reset(gconstpointer legacy)
{
    V *v = new_vsock(legacy, RX_NUM);
    int listener = listen_to("_7"), fd = open_one(v, listener), hello = connect_host("CONN");

    vt_poll(v->t);
    vt_wr(v->t, VT_STATUS, 0);
    expect(v, fd, "");
    expect(v, hello, "");
    close(fd);
    close(hello);
    close(listener);
    free_vsock(v);
}

/* One queue alone is reset: connections are gone, and the driver is told. */
static void test_transport_reset(gconstpointer legacy)
{
    V *v = new_vsock(legacy, RX_NUM);
    int listener = listen_to("_7"), fd;

    vt_negotiate(v->t, 1ull << VT_F_RING_RESET);
    v->rx = vt_setup_queue(v->t, 0, 64);
    v->tx = vt_setup_queue(v->t, 1, 128);
    v->event = vt_setup_queue(v->t, 2, 16);
    vt_driver_ok(v->t);
    for (unsigned i = 0; i < RX_NUM; i++) {
        post(v, i);
    }
    fd = open_one(v, listener);
    vt_add(v->event, &(VTBuf) { RX - 64, 4, true }, 1);
    memset(v->t->ram + RX - 64, 0xff, 4);
    vt_kick(v->t, v->event);
    g_assert_null(vt_used(v->event));
    vt_wr(v->t, VT_QUEUE_SEL, 1);
    vt_wr(v->t, VT_QUEUE_RESET, 1);
    vt_poll(v->t);
    expect(v, fd, "");
    VT_WAIT(v->t, vt_used(v->event));
    g_assert_cmphex(*(uint32_t *)(v->t->ram + RX - 64), ==, VIRTIO_VSOCK_EVENT_TRANSPORT_RESET);
    vt_add(v->event, &(VTBuf) { RX - 64, 4, true }, 1);
    vt_kick(v->t, v->event);
    g_assert_null(vt_used(v->event));
    close(fd);
    close(listener);
    free_vsock(v);
}

/* Nobody answers in the guest: two seconds, then the host knows. */
static void test_timeout(gconstpointer legacy)
{
    V *v = new_vsock(legacy, RX_NUM);
    int fd = connect_host("CONNECT 9\n");
    gint64 start = g_get_monotonic_time();

    receive(v, OP(REQUEST));
    expect(v, fd, "");
    g_assert_cmpint(g_get_monotonic_time() - start, >, G_USEC_PER_SEC);
    receive(v, OP(RST));
    close(fd);
    free_vsock(v);
}

/* Random packets, and programs that do anything: at the end a connection works. */
static void random_step(V *v, GRand *r, int listener, int *fds, unsigned n)
{
    static const uint32_t ports[] = { 7, 8, 0, 0xffffffff, 1u << 30, (1u << 30) + 1 };
    static char data[70000];
    unsigned i = g_rand_int_range(r, 0, n);
    Hdr hdr = {
        .src_port = 1000 + g_rand_int_range(r, 0, 6), .op = g_rand_int_range(r, 0, 9),
        .dst_port = ports[g_rand_int_range(r, 0, 3) ? 0 : g_rand_int_range(r, 0, 6)],
        .type = g_rand_int_range(r, 0, 20) ? 1 : g_rand_int(r),
        .buf_alloc = g_rand_int_range(r, 0, 4) ? 65536 : g_rand_int(r),
        .fwd_cnt = g_rand_int_range(r, 0, 4) ? 0 : g_rand_int(r),
        .flags = g_rand_int_range(r, 0, 3) ? 0 : g_rand_int(r),
        .len = g_rand_int_range(r, 0, 65536),
    };

    switch (g_rand_int_range(r, 0, 12)) {
    case 0:
        if (fds[i] < 0) {
            fds[i] = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        }
        break;
    case 1:
        if (fds[i] < 0) {
            fds[i] = connect_host(g_rand_boolean(r) ? "CONNECT 1001\n" : "CONN");
        }
        break;
    case 2:
        close(fds[i]);
        fds[i] = -1;
        break;
    case 3:
        shutdown(fds[i], g_rand_int_range(r, 0, 3));
        break;
    case 4:
        (void)!recv(fds[i], data, g_rand_int_range(r, 0, 65536), 0);
        break;
    case 5:
        send(fds[i], data, g_rand_int_range(r, 0, 65536), MSG_NOSIGNAL);
        break;
    default:
        send_packet(v, hdr, g_rand_int_range(r, 0, 10) ? data : NULL);
    }
    while (g_rand_int_range(r, 0, 3) && take(v)) {
        vt_kick(v->t, v->rx);
    }
}

static void test_random(gconstpointer legacy)
{
    const char *steps = g_getenv("VSOCK_STEPS");
    unsigned count = steps ? atoi(steps) : 4000;
    g_autoptr(GRand) r = g_rand_new_with_seed(g_test_rand_int());
    V *v = new_vsock(legacy, RX_NUM);
    int listener = listen_to("_7"), fds[16], fd;

    memset(fds, 0xff, sizeof(fds));
    for (unsigned i = 0; i < count; i++) {
        while (v->tx->avail->idx - v->tx->used->idx >= 60) {
            take(v);
            vt_kick(v->t, v->rx);
        }
        random_step(v, r, listener, fds, G_N_ELEMENTS(fds));
    }
    for (unsigned i = 0; i < G_N_ELEMENTS(fds); i++) {
        close(fds[i]);
    }
    close(listener);
    listener = listen_to("_77");
    connect_guest(v, 5000, 77, 65536);
    VT_WAIT(v->t, (vt_wr(v->t, VT_QUEUE_NOTIFY, 0), take(v)) && v->hdr.dst_port == 5000);
    g_assert_cmpuint(v->hdr.op, ==, OP(RESPONSE));
    fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    send_packet(v, (Hdr) { .src_port = 5000, .dst_port = 77, .op = OP(RW), .len = 2 }, "ok");
    expect(v, fd, "ok");
    g_assert_false(virtio_is_broken(v->t->vdev));
    close(fd);
    close(listener);
    free_vsock(v);
}

int main(int argc, char **argv)
{
    int ret;

    g_test_init(&argc, &argv, NULL);
    dir = g_dir_make_tmp("vsock-XXXXXX", NULL);
    path = g_build_filename(dir, "v", NULL);
    vt_add_modern_test("/vsock/01-options", test_options);
    vt_add_test("/vsock/02-guest-connects", test_guest_connects);
    vt_add_test("/vsock/03-host-connects", test_host_connects);
    vt_add_modern_test("/vsock/04-bad-hello", test_bad_hello);
    vt_add_modern_test("/vsock/05-guest-credit", test_guest_credit);
    vt_add_modern_test("/vsock/06-host-credit", test_host_credit);
    vt_add_modern_test("/vsock/07-resets", test_resets);
    vt_add_modern_test("/vsock/08-shapes", test_shapes);
    vt_add_modern_test("/vsock/09-rx-buffers", test_rx_buffers);
    vt_add_modern_test("/vsock/10-rx-full", test_rx_full);
    vt_add_modern_test("/vsock/11-linger", test_linger);
    vt_add_modern_test("/vsock/12-flood", test_flood);
    vt_add_test("/vsock/13-device-reset", test_device_reset);
    vt_add_modern_test("/vsock/14-transport-reset", test_transport_reset);
    vt_add_modern_test("/vsock/15-timeout", test_timeout);
    vt_add_modern_test("/vsock/16-random", test_random);
    ret = g_test_run();
    while (ret == 0) {
        g_autoptr(GDir) d = g_dir_open(dir, 0, NULL);
        const char *name = g_dir_read_name(d);
        g_autofree char *file = name ? g_build_filename(dir, name, NULL) : NULL;

        if (!file) {
            break;
        }
        unlink(file);
    }
    rmdir(dir);
    return ret;
}
