/*
 * Ports of a hub, and what passes a back end into a file.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "net-harness.h"

static void netdev(const char *text, const char *error)
{
    g_autoptr(QemuOpts) opts = qemu_opts_parse(text, "type", NULL);
    Error *err = NULL;

    net_client_new(opts, &err);
    g_assert_cmpstr(err ? error_get_pretty(err) : NULL, ==, error);
    error_free(err);
}

/* A back end whose other end is returned. */
static int open_pair(const char *id)
{
    g_autofree char *text = NULL;
    int fds[2];

    g_assert_cmpint(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0, fds), ==, 0);
    text = g_strdup_printf("socket,id=%s,fd=%d", id, fds[0]);
    netdev(text, NULL);
    return fds[1];
}

/* A card and two sockets at one hub, a third at another. */
static void test_hub(gconstpointer legacy)
{
    int a = open_pair("a"), b = open_pair("b"), c = open_pair("c");
    uint8_t frame[200], got[400];
    NT *n;

    netdev("hubport,id=pa,hubid=1,netdev=a", NULL);
    netdev("hubport,id=pb,hubid=1,netdev=b", NULL);
    netdev("hubport,id=pc,hubid=2,netdev=c", NULL);
    n = nt_new(legacy, "hubport,id=n0,hubid=1", NULL);
    nt_start(n, NT_ALL_FEATURES);
    nt_give(n, 32, NT_RX_SIZE);

    /* Out of the guest: everywhere but back. */
    nt_frame(frame, sizeof(frame), NULL, 1);
    nt_send(n, NULL, frame, sizeof(frame));
    g_assert_cmpint(recv(a, got, sizeof(got), 0), ==, sizeof(frame));
    g_assert_cmpint(recv(b, got, sizeof(got), 0), ==, sizeof(frame));
    g_assert(!memcmp(frame, got, sizeof(frame)));
    g_assert_cmpint(recv(c, got, sizeof(got), 0), <, 0);
    g_assert_true(nt_quiet(n));

    /* In by one port: to the guest and the other one. */
    nt_frame(frame, sizeof(frame), NULL, 2);
    g_assert_cmpint(send(a, frame, sizeof(frame), 0), ==, sizeof(frame));
    g_assert_cmpuint(nt_receive(n, got, sizeof(got), NULL, NULL), ==, sizeof(frame));
    g_assert(!memcmp(frame, got, sizeof(frame)));
    g_assert_cmpint(recv(b, got, sizeof(got), 0), ==, sizeof(frame));
    g_assert_cmpint(recv(a, got, sizeof(got), 0), <, 0);

    /* No end of frames for a guest that takes none: the other goes on, memory is bounded. */
    for (unsigned i = 0; i < 20000; i++) {
        g_assert_cmpint(send(a, frame, sizeof(frame), 0), ==, sizeof(frame));
        while (recv(b, got, sizeof(got), 0) < 0) {
            g_main_context_iteration(NULL, TRUE);
        }
    }
    nt_free(n);
    close(a);
    close(b);
    close(c);
}

/* Ports and back ends that go, in any order; what is wrong. */
static void test_ends(void)
{
    int a = open_pair("a");
    uint8_t frame[60];

    netdev("hubport,id=p", "Parameter 'hubid' is missing");
    netdev("hubport,id=p,hubid=1,netdev=x", "Property 'hubport.netdev' can't find value 'x'");
    netdev("hubport,id=p,hubid=1,netdev=a", NULL);
    netdev("hubport,id=q,hubid=1,netdev=a",
           "Property 'hubport.netdev' can't take value 'a', it's in use");
    netdev("hubport,id=q,hubid=1", NULL);
    nt_frame(frame, sizeof(frame), NULL, 1);
    g_assert_cmpint(send(a, frame, sizeof(frame), 0), ==, sizeof(frame));
    net_client_del(net_find("a"));
    while (g_main_context_iteration(NULL, FALSE)) {
        continue;
    }
    net_client_del(net_find("p"));
    netdev("hubport,id=r,hubid=1", NULL);
    net_cleanup();
    close(a);
}

/* -object filter-dump ----------------------------------------------------------------------- */

static Object *dump_new(const char *options, const char *error)
{
    const ObjectClass *oc = object_class_by_name(object_classes, "filter-dump");
    Object *obj = object_new(oc, "dump");
    g_autoptr(QemuOpts) opts = qemu_opts_parse(options, NULL, NULL);
    Error *err = NULL;

    if (object_set_opts(obj, opts, &err) && oc->complete(obj, &err)) {
        g_assert_null(error);
        return obj;
    }
    g_assert_cmpstr(error_get_pretty(err), ==, error);
    error_free(err);
    object_free(obj);
    return NULL;
}

static uint32_t word(const char *data, size_t at)
{
    uint32_t w;

    memcpy(&w, data + at, sizeof(w));
    return w;
}

static void test_dump(gconstpointer legacy)
{
    g_autofree char *dir = g_dir_make_tmp("dump-XXXXXX", NULL);
    g_autofree char *path = g_build_filename(dir, "f", NULL);
    g_autofree char *options = g_strdup_printf("netdev=n0,maxlen=100,file=%s", path);
    g_autofree char *from = g_strdup_printf("netdev=n0,queue=rx,file=%s.rx", path);
    g_autofree char *rx = g_strconcat(path, ".rx", NULL);
    g_autofree char *data = NULL, *rx_data = NULL;
    gsize len;
    NT *n = nt_new_pair(legacy, SOCK_DGRAM, NULL);
    Object *all = dump_new(options, NULL), *out = dump_new(from, NULL);
    uint8_t frame[200], got[400];

    nt_start(n, NT_ALL_FEATURES);
    nt_give(n, 4, NT_RX_SIZE);
    nt_frame(frame, 60, NULL, 1);
    nt_send(n, NULL, frame, 60);
    g_assert_cmpint(recv(n->peer, got, sizeof(got), 0), ==, 60);
    nt_frame(frame, 200, NULL, 2);
    g_assert_cmpint(send(n->peer, frame, 200, 0), ==, 200);
    g_assert_cmpuint(nt_receive(n, got, sizeof(got), NULL, NULL), ==, 200);
    object_free(all);
    nt_assert_works(n);
    object_free(out);
    g_assert_true(g_file_get_contents(path, &data, &len, NULL));
    g_assert_cmpuint(len, ==, 24 + 16 + 60 + 16 + 100);
    g_assert_cmphex(word(data, 0), ==, 0xa1b2c3d4);
    g_assert_cmpuint(word(data, 16), ==, 100);
    g_assert_cmpuint(word(data, 20), ==, 1);
    g_assert_cmpuint(word(data, 24 + 8), ==, 60);
    g_assert_cmpuint(word(data, 24 + 76 + 8), ==, 100);
    g_assert_cmpuint(word(data, 24 + 76 + 12), ==, 200);
    g_assert(!memcmp(data + 24 + 76 + 16, frame, 100));
    /* The other one: what comes from the guest alone. */
    g_assert_true(g_file_get_contents(rx, &rx_data, &len, NULL));
    g_assert_cmpuint(word(rx_data, 24 + 8), ==, 60);
    g_assert(!memcmp(rx_data + 24 + 16, data + 24 + 16, 60));
    unlink(path);
    unlink(rx);
    rmdir(dir);
    nt_free(n);
}

/* A pipe that nobody reads: nobody waits for it. A back end that goes before its filter. */
static void test_slow_dump(void)
{
    g_autofree char *dir = g_dir_make_tmp("dump-XXXXXX", NULL);
    g_autofree char *path = g_build_filename(dir, "f", NULL);
    g_autofree char *options = g_strdup_printf("netdev=n0,file=%s", path);
    g_autofree char *no_reader = g_strdup_printf("net dump: can't open %s: No such device or "
                                                 "address", path);
    uint8_t frame[1500];
    Object *obj;
    int fd;
    NT *n = nt_new_pair(NULL, SOCK_DGRAM, NULL);

    dump_new("file=/x", "Parameter 'netdev' is missing");
    dump_new("netdev=n0", "Parameter 'file' is missing");
    dump_new("netdev=n1,file=/x", "Parameter 'netdev' expects a network backend id");
    g_assert_cmpint(mkfifo(path, 0600), ==, 0);
    dump_new(options, no_reader);
    fd = open(path, O_RDWR);
    g_assert_cmpint(fd, >=, 0);
    obj = dump_new(options, NULL);
    nt_start(n, NT_ALL_FEATURES);
    nt_frame(frame, sizeof(frame), NULL, 2);
    for (unsigned i = 0; i < 5000; i++) {
        uint8_t got[1600];

        nt_send(n, NULL, frame, sizeof(frame));
        g_assert_cmpint(recv(n->peer, got, sizeof(got), 0), ==, sizeof(frame));
        while (vt_used(n->tx)) {
            continue;
        }
    }
    nt_free(n);
    object_free(obj);
    close(fd);
    unlink(path);
    rmdir(dir);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    vt_add_test("/hub/frames", test_hub);
    g_test_add_func("/hub/ends", test_ends);
    vt_add_test("/dump/frames", test_dump);
    g_test_add_func("/dump/slow", test_slow_dump);
    return g_test_run();
}
