/*
 * Chardevs as the command line makes them: options and their errors, short
 * forms, names, the list, the mux, log files and queues.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <glib.h>
#include <glib/gstdio.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "chardev/char-txq.h"
#include "char-front.h"
#include "chardev/char.h"
#include "qemu/main-loop.h"

static char *tmpdir;

/* With @ standing for the temporary folder. */
static char *expand(const char *text)
{
    g_auto(GStrv) parts = g_strsplit(text, "@", -1);

    return g_strjoinv(tmpdir, parts);
}

static Chardev *new_opts(const char *text, Error **errp)
{
    g_autofree char *full = expand(text);
    g_autoptr(QemuOpts) opts = qemu_opts_parse(full, "backend", errp);

    return opts ? qemu_chr_new_from_opts(opts, errp) : NULL;
}

static Chardev *must(const char *text)
{
    Error *err = NULL;
    Chardev *s = new_opts(text, &err);

    if (err) {
        g_error("%s: %s", text, error_get_pretty(err));
    }
    return s;
}

static void count_one(Chardev *s, void *opaque)
{
    ++*(int *)opaque;
}

static int count(void)
{
    int n = 0;

    qemu_chr_foreach(count_one, &n);
    return n;
}

/* Bad options, and QEMU's message (a prefix of it where the host adds). */
static void test_bad_options(void)
{
    static const char *const rows[][2] = {
        { "null", "chardev: no id specified" },
        { "", "chardev: no id specified" },
        { "bogus,id=a", "'bogus' is not a valid char driver name" },
        { "mux,id=a", "'mux' is not a valid char driver name" },
        { "null,id=dup", "Duplicate ID 'dup' for chardev" },
        { "null,id=1a", "Parameter 'id' expects an identifier" },
        { "null,id=", "Parameter 'id' expects an identifier" },
        { "null,id=a:b", "Parameter 'id' expects an identifier" },
        { "null,id=a,foo=bar", "Invalid parameter 'foo'" },
        { "null,id=a,mux=maybe", "Parameter 'mux' expects 'on' or 'off'" },
        { "null,id=a,logfile=/nonexist/x",
          "Could not create '/nonexist/x': No such file or directory" },
        { "file,id=a", "chardev: file: no filename given" },
        { "file,id=a,path=/nonexist/x",
          "Could not open '/nonexist/x': No such file or directory" },
        { "file,id=a,path=/", "Could not open '/': Is a directory" },
        { "file,id=a,path=/dev/null,append=maybe",
          "Parameter 'append' expects 'on' or 'off'" },
        { "file,id=a,path=/dev/null,input-path=/nonexist",
          "Could not open '/nonexist': No such file or directory" },
        { "pipe,id=a", "chardev: pipe: no device path given" },
        { "pipe,id=a,path=/nonexist", "Could not open '/nonexist': No such file" },
        { "stdio,id=a,signal=maybe", "Parameter 'signal' expects 'on' or 'off'" },
        { "ringbuf,id=a,size=3", "size of ringbuf chardev must be power of two" },
        { "ringbuf,id=a,size=abc", "Parameter 'size' expects a" },
        { "ringbuf,id=a,size=1T", "size of ringbuf chardev must be at most 1 GiB" },
        { "socket,id=a", "chardev: socket: no 'path', 'fd' or 'host' given" },
        { "socket,id=a,path=/nonexist/x",
          "Failed to connect to '/nonexist/x': No such file or directory" },
        { "socket,id=a,path=/nonexist/x,server=on,wait=off",
          "Failed to bind socket to /nonexist/x: No such file or directory" },
        { "socket,id=a,path=@/plain,server=on,wait=off",
          "Failed to bind socket to " },
        { "socket,id=a,host=127.0.0.1", "chardev: socket: no port given" },
        { "socket,id=a,host=127.0.0.1,port=1",
          "Failed to connect to '127.0.0.1:1': Connection refused" },
        { "socket,id=a,host=127.0.0.1,port=abc",
          "address resolution failed for 127.0.0.1:abc: " },
        { "socket,id=a,path=/tmp/x,host=1,port=2",
          "None or one of 'path', 'fd' or 'host' option required." },
        { "socket,id=a,fd=99", "File descriptor '99' is not a socket" },
        { "socket,id=a,fd=0,reconnect=1", "'reconnect' option is incompatible with 'fd'" },
        { "socket,id=a,fd=abc", "Invalid file descriptor number 'abc'" },
        { "socket,id=a,path=@/s,reconnect=1,server=on,wait=off",
          "'reconnect' option is incompatible with socket in server listen mode" },
        { "socket,id=a,path=@/s,wait=off",
          "'wait' option is incompatible with socket in client connect mode" },
        { "socket,id=a,path=@/s,server=maybe",
          "Parameter 'server' expects 'on' or 'off'" },
        { "socket,id=a,path=0123456789012345678901234567890123456789012345678901234567"
          "890123456789012345678901234567890123456789012345678901234567890123456789",
          "UNIX socket path '0123456789" },
    };
    g_autofree char *plain = expand("@/plain");
    g_autofree char *link_free = expand("@/s");
    int before;

    g_assert_true(g_file_set_contents(plain, "x", 1, NULL));
    must("null,id=dup");
    before = count();
    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
        Error *err = NULL;

        g_assert_null(new_opts(rows[i][0], &err));
        g_assert_nonnull(err);
        if (!g_str_has_prefix(error_get_pretty(err), rows[i][1])) {
            g_error("%s: %s", rows[i][0], error_get_pretty(err));
        }
        error_free(err);
        g_assert_cmpint(count(), ==, before);
    }
    /* The plain file is still there. */
    g_assert_true(g_file_test(plain, G_FILE_TEST_IS_REGULAR));
    g_assert_false(g_file_test(link_free, G_FILE_TEST_EXISTS));
    qemu_chr_cleanup();
    g_assert_cmpint(count(), ==, 0);
}

static void test_good_options(void)
{
    static const char *const rows[][2] = {
        { "null,id=c", "null" },
        { "null,id=a.b-c_d9", "null" },
        { "null,id=c,path=/x,server=on,signal=off", "null" },
        { "null,id=c,mux=on", "mux" },
        { "ringbuf,id=c", "ringbuf" },
        { "memory,id=c,size=4K", "ringbuf" },
        { "file,id=c,path=@/out", "file" },
        { "file,id=c,path=@/out,append=on,input-path=/dev/null", "file" },
        { "pipe,id=c,path=@/fifo", "pipe" },
        { "socket,id=c,path=@/s,server=on,wait=off", "disconnected:unix:@/s,server=on" },
        { "socket,id=c,path=@/s,server,nowait", "disconnected:unix:@/s,server=on" },
        { "socket,id=c,path=unlikely-name,abstract=on,server=on,wait=off",
          "disconnected:unix:unlikely-name,abstract=on,tight=on,server=on" },
        { "socket,id=c,host=127.0.0.1,port=0,server=on,wait=off",
          "disconnected:tcp:127.0.0.1:*" },
        { "socket,id=c,host=127.0.0.1,port=0,server=on,wait=off,telnet=on,nodelay=on",
          "disconnected:telnet:127.0.0.1:*" },
        { "socket,id=c,path=@/none,reconnect=9", "disconnected:unix:@/none" },
    };
    g_autofree char *fifo = expand("@/fifo"), *sock = expand("@/s");

    g_assert_cmpint(mkfifo(fifo, 0600), ==, 0);
    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
        g_autofree char *want = expand(rows[i][1]);
        Chardev *s = must(rows[i][0]);

        if (!g_pattern_match_simple(want, s->filename)) {
            g_error("%s: %s", rows[i][0], s->filename);
        }
        g_assert_true(qemu_chr_remove(s, NULL));
        g_assert_cmpint(count(), ==, 0);
        g_assert_false(g_file_test(sock, G_FILE_TEST_EXISTS));
    }
}

static void test_short_forms(void)
{
    static const char *const rows[][2] = {
        { "null", "null" }, { "vc", "null" }, { "vc:80Cx24C", "null" },
        { "ringbuf", "ringbuf" }, { "file:@/a,b", "file" }, { "mon:null", "mux" },
        { "unix:@/s,server=on,wait=off", "disconnected:unix:@/s,server=on" },
        { "unix:@/s,server,nowait", "disconnected:unix:@/s,server=on" },
        { "unix:path=@/s,server=on,wait=off", "disconnected:unix:@/s,server=on" },
        { "tcp::0,server=on,wait=off", "disconnected:tcp:*:*,server=on" },
        { "tcp:127.0.0.1:0,server,nowait", "disconnected:tcp:127.0.0.1:*,server=on" },
        { "telnet:localhost:0,server,nowait", "disconnected:telnet:127.0.0.1:*" },
    };
    static const char *const bad[][2] = {
        { "bogus", "'bogus' is not a valid char driver" },
        { "mon:bogus", "'bogus' is not a valid char driver" },
        { "null,foo=bar", "'null,foo=bar' is not a valid char driver" },
        { "file:", "Could not open '': No such file or directory" },
        { "tcp:", "'' is not an address of the form HOST:PORT" },
        { "tcp:127.0.0.1", "'127.0.0.1' is not an address of the form HOST:PORT" },
        { "chardev:no", "Chardev 'no' not found" },
        { "unix:@/s,foo=bar", "Invalid parameter 'foo'" },
        { "unix:@/s,server=maybe", "Parameter 'server' expects 'on' or 'off'" },
    };
    bool mon;
    Error *err = NULL;

    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
        g_autofree char *form = expand(rows[i][0]), *want = expand(rows[i][1]);
        Chardev *s;

        mon = false;
        s = qemu_chr_new("serial0", form, &mon, &err);
        g_assert_null(err);
        g_assert_cmpstr(s->obj.id, ==, "serial0");
        g_assert_cmpint(mon, ==, g_str_has_prefix(form, "mon:"));
        if (!g_pattern_match_simple(want, s->filename)) {
            g_error("%s: %s", form, s->filename);
        }
        g_assert_true(qemu_chr_find("serial0") == s);
        g_assert_true(qemu_chr_remove(s, NULL));
        g_assert_cmpint(count(), ==, 0);
    }
    for (size_t i = 0; i < G_N_ELEMENTS(bad); i++) {
        g_autofree char *form = expand(bad[i][0]);

        g_assert_null(qemu_chr_new("serial0", form, &mon, &err));
        g_assert_cmpstr(error_get_pretty(err), ==, bad[i][1]);
        g_clear_pointer(&err, error_free);
    }
    g_assert_null(qemu_chr_new("serial0", "none", &mon, &err));
    g_assert_null(err);
    must("null,id=x");
    g_assert_true(qemu_chr_new("serial0", "chardev:x", &mon, &err) == qemu_chr_find("x"));
    g_assert_null(qemu_chr_new("m", "mon:null", NULL, &err));
    g_assert_nonnull(err);
    error_free(err);
    g_assert_cmpint(count(), ==, 1);
    qemu_chr_cleanup();
}

static void put(CharBackend *b, const char *text)
{
    g_assert_cmpint(qemu_chr_fe_write(b, (const uint8_t *)text, strlen(text)), ==,
                    strlen(text));
}

static void test_ringbuf(void)
{
    Chardev *s = must("ringbuf,id=r,size=8");
    CharBackend b = { 0 }, second = { 0 };
    Error *err = NULL;
    uint8_t buf[16];

    g_assert_true(qemu_chr_fe_init(&b, s, NULL));
    g_assert_false(qemu_chr_fe_init(&second, s, &err));
    g_assert_cmpstr(error_get_pretty(err), ==, "Device 'r' is in use");
    g_clear_pointer(&err, error_free);
    g_assert_false(qemu_chr_remove(s, &err));
    g_assert_cmpstr(error_get_pretty(err), ==, "Chardev 'r' is busy");
    error_free(err);
    put(&b, "abc");
    g_assert_cmpint(qemu_chr_ringbuf_read(s, buf, 2), ==, 2);
    g_assert_cmpmem(buf, 2, "ab", 2);
    put(&b, "0123456789");
    g_assert_cmpint(qemu_chr_ringbuf_read(s, buf, 16), ==, 8);
    g_assert_cmpmem(buf, 8, "23456789", 8);
    g_assert_cmpint(qemu_chr_ringbuf_read(s, buf, 16), ==, 0);
    g_assert_cmpint(qemu_chr_ringbuf_read(must("null,id=n"), buf, 1), <, 0);
    /* At exit frontends may still be there. */
    qemu_chr_cleanup();
    g_assert_null(b.chr);
    put(&b, "into the void");
    qemu_chr_fe_deinit(&b);
}

static void test_file_and_log(void)
{
    g_autofree char *out = expand("@/log-out"), *log = expand("@/log");
    g_autofree char *text = NULL, *copy = NULL;
    CharBackend b = { 0 };

    for (int i = 0; i < 2; i++) {
        Chardev *s = must(i ? "file,id=f,path=@/log-out,append=on,logfile=@/log,logappend=on"
                            : "file,id=f,path=@/log-out,logfile=@/log");

        g_assert_true(qemu_chr_fe_init(&b, s, NULL));
        put(&b, i ? "two" : "one");
        qemu_chr_fe_deinit(&b);
        g_assert_true(qemu_chr_remove(s, NULL));
    }
    g_assert_true(g_file_get_contents(out, &text, NULL, NULL));
    g_assert_true(g_file_get_contents(log, &copy, NULL, NULL));
    g_assert_cmpstr(text, ==, "onetwo");
    g_assert_cmpstr(copy, ==, "onetwo");
}

/* F56: a full disk is reported once and stops nobody. */
static void test_full_disk(void)
{
    CharBackend b = { 0 };
    CharTxQueue q;
    Chardev *s = must("file,id=f,path=/dev/full");

    g_assert_true(qemu_chr_fe_init(&b, s, NULL));
    g_assert_cmpint(qemu_chr_fe_write(&b, (const uint8_t *)"x", 1), ==, -ENOSPC);
    chr_txq_init(&q, &b, 16, NULL, NULL);
    g_assert_cmpuint(chr_txq_write(&q, (const uint8_t *)"hello", 5), ==, 5);
    g_assert_true(chr_txq_empty(&q));
    chr_txq_cleanup(&q);
    qemu_chr_fe_deinit(&b);
    qemu_chr_cleanup();
}

/* Mux ---------------------------------------------------------------------- */

static void attach(Fe *f, Chardev *s)
{
    fe_attach(f, s, 1000);
    f->fills = true;
}

static void keys(const char *text)
{
    Chardev *base = qemu_chr_find("m-base");

    for (; *text && qemu_chr_be_can_write(base) > 0; text++) {
        qemu_chr_be_write(base, (const uint8_t *)text, 1);
    }
}

static void quit_asked(void *opaque)
{
    ++*(int *)opaque;
}

static char *screen(void)
{
    char buf[1024];
    ssize_t n = qemu_chr_ringbuf_read(qemu_chr_find("m-base"), (uint8_t *)buf, sizeof(buf));

    return g_strndup(buf, n);
}

static void test_mux_keys(void)
{
    int quits = 0;
    ChardevSetup setup = { .quit = quit_asked, .opaque = &quits };
    Chardev *s = must("ringbuf,id=m,mux=on");
    g_autofree char *help = NULL, *bye = NULL, *stamped = NULL;
    Fe a, b;

    qemu_chr_setup(&setup);
    g_assert_cmpstr(s->obj.id, ==, "m");
    g_assert_cmpstr(qemu_chr_find("m-base")->filename, ==, "ringbuf");
    attach(&a, s);
    attach(&b, s);
    g_assert_cmpstr(a.events->str, ==, "+O-");
    g_assert_cmpstr(b.events->str, ==, "+O");
    keys("to b");
    keys("\001cto a\001\001!");
    g_assert_cmpstr(b.in->str, ==, "to b");
    g_assert_cmpstr(a.in->str, ==, "to a\001!");
    keys("\001b");
    g_assert_cmpstr(a.events->str, ==, "+O-+B");
    /* Unknown keys are swallowed; help is printed; x asks to quit. */
    keys("\001z\001h");
    help = screen();
    g_assert_nonnull(strstr(help, "\n\rC-a h    print this help\n\rC-a x    exit emulator\n\r"));
    g_assert_nonnull(strstr(help, "C-a c    switch between console and monitor\n\r"));
    g_assert_nonnull(strstr(help, "C-a C-a  sends C-a\n\r"));
    keys("\001x");
    bye = screen();
    g_assert_cmpstr(bye, ==, "QEMU: Terminated\n\r");
    g_assert_cmpint(quits, ==, 1);
    put(&a.b, "one\n");
    keys("\001t");
    put(&a.b, "two\nthree");
    stamped = screen();
    g_assert_true(g_pattern_match_simple("one\ntwo\n[00:00:0?.???] three", stamped));
    /* Another escape character. */
    setup.escape = 2;
    qemu_chr_setup(&setup);
    keys("\002c\001");
    g_assert_cmpstr(b.in->str, ==, "to b\001");
    setup.escape = 0;
    qemu_chr_setup(&setup);
    fe_detach(&b);
    keys("again a");
    g_assert_true(g_str_has_suffix(a.in->str, "again a"));
    fe_detach(&a);
    g_assert_true(qemu_chr_remove(s, NULL));
    g_assert_cmpint(count(), ==, 0);
}

/* Input for a frontend that takes none is kept and stops; keys still work. */
static void test_mux_pressure(void)
{
    Chardev *s = must("ringbuf,id=m,mux=on"), *base = qemu_chr_find("m-base");
    Error *err = NULL;
    Fe a, b, more[2];
    CharBackend fifth = { 0 };
    int n = 0;

    attach(&b, s);
    attach(&a, s);
    a.room = 0;
    keys("abc\001c");
    keys("x");
    g_assert_cmpstr(b.in->str, ==, "x");
    g_assert_cmpstr(a.in->str, ==, "");
    a.room = 2;
    qemu_chr_fe_accept_input(&a.b);
    g_assert_cmpstr(a.in->str, ==, "ab");
    a.room = 10;
    qemu_chr_fe_accept_input(&a.b);
    g_assert_cmpstr(a.in->str, ==, "abc");
    b.room = 0;
    while (qemu_chr_be_can_write(base) > 0 && n < 100000) {
        keys("y");
        n++;
    }
    g_assert_cmpint(n, <=, 65536);
    b.room = 100000;
    qemu_chr_fe_accept_input(&b.b);
    g_assert_cmpint(b.in->len, ==, n + 1);
    for (int i = 0; i < 2; i++) {
        attach(&more[i], s);
    }
    g_assert_false(qemu_chr_fe_init(&fifth, s, &err));
    g_assert_cmpstr(error_get_pretty(err), ==,
                    "too many uses of multiplexed chardev 'm' (maximum is 4)");
    error_free(err);
    g_assert_false(qemu_chr_remove(s, NULL));
    for (int i = 0; i < 2; i++) {
        fe_detach(&more[i]);
    }
    fe_detach(&a);
    fe_detach(&b);
    qemu_chr_cleanup();
}

/* A socket that begins to listen just before the next one does; -1: none. */
static int rival = -1;

int __real_listen(int fd, int backlog);
int __wrap_listen(int fd, int backlog);

int __wrap_listen(int fd, int backlog)
{
    if (rival >= 0) {
        g_assert_cmpint(__real_listen(rival, 1), ==, 0);
        rival = -1;
    }
    return __real_listen(fd, backlog);
}

/* A socket of the loopback interface that is bound and shares its port until one listens. */
static int bound(uint16_t *port)
{
    struct sockaddr_in sin = {
        .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
    };
    socklen_t len = sizeof(sin);
    int one = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
    g_assert_cmpint(bind(fd, (struct sockaddr *)&sin, len), ==, 0);
    g_assert_cmpint(getsockname(fd, (struct sockaddr *)&sin, &len), ==, 0);
    *port = ntohs(sin.sin_port);
    return fd;
}

/* A port is taken between bind(2) and listen(2): with to= it is the next one. */
static void test_port_taken(void)
{
    g_autofree char *line = NULL;
    const char *name;
    Error *err = NULL;
    uint16_t port;
    uint64_t got;
    int fd = bound(&port);

    line = g_strdup_printf("socket,id=a,host=127.0.0.1,port=%u,server=on,wait=off", port);
    rival = fd;
    g_assert_null(new_opts(line, &err));
    g_assert_cmpstr(error_get_pretty(err), ==,
                    "Failed to find an available port: Address already in use");
    error_free(err);
    close(fd);

    fd = bound(&port);
    g_free(line);
    line = g_strdup_printf("socket,id=a,host=127.0.0.1,port=%u,to=65535,server=on,wait=off", port);
    rival = fd;
    name = must(line)->filename;
    g_assert_cmpint(rival, ==, -1);
    g_assert_true(g_str_has_prefix(name, "disconnected:tcp:127.0.0.1:"));
    got = g_ascii_strtoull(strrchr(name, ':') + 1, NULL, 10);
    g_assert_cmpuint(got, >, port);
    close(fd);
    qemu_chr_cleanup();
}

int main(int argc, char **argv)
{
    int rc;

    g_test_init(&argc, &argv, NULL);
    error_init("test");
    qemu_init_main_loop();
    tmpdir = g_dir_make_tmp("char-XXXXXX", NULL);
    g_test_add_func("/char/bad-options", test_bad_options);
    g_test_add_func("/char/good-options", test_good_options);
    g_test_add_func("/char/short-forms", test_short_forms);
    g_test_add_func("/char/ringbuf", test_ringbuf);
    g_test_add_func("/char/file-and-log", test_file_and_log);
    g_test_add_func("/char/full-disk", test_full_disk);
    g_test_add_func("/char/port-taken", test_port_taken);
    g_test_add_func("/char/mux/keys", test_mux_keys);
    g_test_add_func("/char/mux/pressure", test_mux_pressure);
    rc = g_test_run();
    return rc;
}
