/*
 * Chardevs and their peers: sockets and terminals that come, go, stay silent
 * or send too much.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <glib.h>
#include <glib/gstdio.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include "char-front.h"
#include "qemu/main-loop.h"

static char *tmpdir;

static Fe *fe_new(const char *fmt, ...) G_GNUC_PRINTF(1, 2);
static Fe *fe_new(const char *fmt, ...)
{
    Fe *f = g_new0(Fe, 1);
    g_autoptr(QemuOpts) opts = NULL;
    g_autofree char *text = NULL;
    Error *err = NULL;
    Chardev *chr;
    va_list ap;

    va_start(ap, fmt);
    text = g_strdup_vprintf(fmt, ap);
    va_end(ap);
    opts = qemu_opts_parse(text, "backend", NULL);
    chr = qemu_chr_new_from_opts(opts, &err);
    if (err) {
        g_error("%s: %s", text, error_get_pretty(err));
    }
    fe_attach(f, chr, 100);
    return f;
}

static void fe_free(Fe *f)
{
    fe_detach(f);
    g_assert_true(qemu_chr_remove(f->chr, NULL));
    g_free(f);
}

static gboolean stop_waiting(gpointer opaque)
{
    *(bool *)opaque = true;
    return G_SOURCE_REMOVE;
}

/* Let the loop run until cond holds; it must within a minute. */
#define wait_for(cond) do { \
        bool late_ = false; \
        guint tag_ = g_timeout_add_seconds(60, stop_waiting, &late_); \
        while (!(cond)) { \
            g_main_context_iteration(NULL, TRUE); \
            if (late_) { \
                g_error("waited in vain for " #cond); \
            } \
        } \
        g_source_remove(tag_); \
    } while (0)

static void run_loop(void)
{
    while (g_main_context_iteration(NULL, FALSE)) {
    }
}

static int dial(const char *path)
{
    struct sockaddr_un un = { .sun_family = AF_UNIX };
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);

    g_strlcpy(un.sun_path, path, sizeof(un.sun_path));
    g_assert_cmpint(connect(fd, (struct sockaddr *)&un, sizeof(un)), ==, 0);
    return fd;
}

static char *receive(int fd)
{
    char *buf = g_malloc0(257);
    struct pollfd pfd = { .fd = fd, .events = POLLIN };
    ssize_t n;

    g_assert_cmpint(poll(&pfd, 1, 5000), ==, 1);
    n = read(fd, buf, 256);
    g_assert_cmpint(n, >=, 0);
    return buf;
}

static void put(Fe *f, const char *text)
{
    g_assert_cmpint(qemu_chr_fe_write(&f->b, (const uint8_t *)text, strlen(text)), ==,
                    strlen(text));
}

static int open_fds(void)
{
    DIR *dir = opendir("/proc/self/fd");
    int n = 0;

    while (readdir(dir)) {
        n++;
    }
    closedir(dir);
    return n;
}

/* Sockets ------------------------------------------------------------------ */

static void test_server(void)
{
    g_autofree char *path = g_build_filename(tmpdir, "s", NULL);
    g_autofree char *line = NULL, *name = g_strdup_printf("unix:%s,server=on", path);
    Fe *f = fe_new("socket,id=c,path=%s,server=on,wait=off", path);
    int one, two;

    put(f, "nobody hears this");
    one = dial(path);
    wait_for(f->chr->be_open);
    g_assert_cmpstr(f->chr->filename, ==, name);
    g_assert_cmpstr(f->events->str, ==, "O");
    put(f, "hello");
    line = receive(one);
    g_assert_cmpstr(line, ==, "hello");
    g_assert_cmpint(write(one, "hi", 2), ==, 2);
    wait_for(f->in->len == 2);
    /* A second client waits until the first is gone. */
    two = dial(path);
    g_assert_cmpint(write(two, "second", 6), ==, 6);
    run_loop();
    g_assert_cmpstr(f->in->str, ==, "hi");
    close(one);
    wait_for(f->in->len == 8);
    g_assert_cmpstr(f->events->str, ==, "OCO");
    close(two);
    wait_for(!f->chr->be_open);
    g_assert_true(g_str_has_prefix(f->chr->filename, "disconnected:unix:"));
    fe_free(f);
    g_assert_false(g_file_test(path, G_FILE_TEST_EXISTS));
}

/* F51: clients come and go a thousand times. */
static void test_thousand_clients(void)
{
    g_autofree char *path = g_build_filename(tmpdir, "s", NULL);
    Fe *f = fe_new("socket,id=c,path=%s,server=on,wait=off", path);
    int before = open_fds();

    for (int i = 0; i < 1000; i++) {
        g_autofree char *line = NULL;
        int fd = dial(path);

        wait_for(f->chr->be_open);
        put(f, "half a li");
        line = receive(fd);
        g_assert_cmpstr(line, ==, "half a li");
        close(fd);
        wait_for(!f->chr->be_open);
        put(f, "ne\n");
    }
    g_assert_cmpint(open_fds(), ==, before);
    fe_free(f);
}

/* F36: a client comes while there is no descriptor for it. */
static void test_no_descriptor(void)
{
    g_autofree char *path = g_build_filename(tmpdir, "s", NULL);
    Fe *f = fe_new("socket,id=c,path=%s,server=on,wait=off", path);
    int one = dial(path), next = dup(one);
    struct rlimit old, low;
    unsigned loops = 0;

    close(next);
    g_assert_cmpint(getrlimit(RLIMIT_NOFILE, &old), ==, 0);
    low = (struct rlimit){ next, old.rlim_max };
    g_assert_cmpint(setrlimit(RLIMIT_NOFILE, &low), ==, 0);
    while (g_main_context_iteration(NULL, FALSE) && loops < 100) {
        loops++;
    }
    g_assert_cmpint(setrlimit(RLIMIT_NOFILE, &old), ==, 0);
    g_assert_cmpuint(loops, <, 100);
    g_assert_false(f->chr->be_open);
    wait_for(f->chr->be_open);
    close(one);
    wait_for(!f->chr->be_open);
    fe_free(f);
}

/* A guest that reads nothing must not lock out the next client. */
static void test_gone_while_blocked(void)
{
    g_autofree char *path = g_build_filename(tmpdir, "s", NULL);
    Fe *f = fe_new("socket,id=c,path=%s,server=on,wait=off", path);
    int fd = dial(path);

    wait_for(f->chr->be_open);
    f->room = 0;
    qemu_chr_fe_accept_input(&f->b);
    close(fd);
    wait_for(!f->chr->be_open);
    /* Last words are kept while nobody else comes. */
    f->room = 100;
    fd = dial(path);
    wait_for(f->chr->be_open);
    f->room = 0;
    qemu_chr_fe_accept_input(&f->b);
    g_assert_cmpint(write(fd, "last words", 10), ==, 10);
    close(fd);
    run_loop();
    f->room = 100;
    qemu_chr_fe_accept_input(&f->b);
    wait_for(!f->chr->be_open);
    g_assert_cmpstr(f->in->str, ==, "last words");
    fe_free(f);
}

static void test_inherited(void)
{
    g_autofree char *path = g_build_filename(tmpdir, "listen", NULL), *line = NULL;
    struct sockaddr_un un = { .sun_family = AF_UNIX };
    int fds[2], listener, peer;
    Fe *f;

    g_assert_cmpint(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), ==, 0);
    f = fe_new("socket,id=c,fd=%d", fds[0]);
    g_assert_true(f->chr->be_open);
    g_assert_cmpstr(f->events->str, ==, "O");
    put(f, "connected");
    line = receive(fds[1]);
    g_assert_cmpstr(line, ==, "connected");
    close(fds[1]);
    wait_for(!f->chr->be_open);
    fe_free(f);

    listener = socket(AF_UNIX, SOCK_STREAM, 0);
    g_strlcpy(un.sun_path, path, sizeof(un.sun_path));
    g_assert_cmpint(bind(listener, (struct sockaddr *)&un, sizeof(un)), ==, 0);
    g_assert_cmpint(listen(listener, 1), ==, 0);
    f = fe_new("socket,id=c,fd=%d,server=on,wait=off", listener);
    peer = dial(path);
    wait_for(f->chr->be_open);
    close(peer);
    wait_for(!f->chr->be_open);
    fe_free(f);
    /* It was not ours to remove. */
    g_assert_true(g_file_test(path, G_FILE_TEST_EXISTS));
    g_unlink(path);
}

/* F52: the server is absent, present, gone and back. */
static void test_reconnect(void)
{
    g_autofree char *path = g_build_filename(tmpdir, "r", NULL);
    Fe *client, *server;

    client = fe_new("socket,id=client,path=%s,reconnect=1", path);
    g_assert_false(client->chr->be_open);
    for (int i = 0; i < 2; i++) {
        server = fe_new("socket,id=server,path=%s,server=on,wait=off", path);
        wait_for(client->chr->be_open && server->chr->be_open);
        put(client, "x");
        wait_for(server->in->len == 1);
        fe_free(server);
        wait_for(!client->chr->be_open);
    }
    fe_free(client);
}

static void test_descriptors(void)
{
    int fds[2], gift = open("/dev/null", O_RDONLY), got, before;
    union {
        struct cmsghdr align;
        char buf[CMSG_SPACE(sizeof(int))];
    } control = { 0 };
    struct iovec iov = { .iov_base = (char *)"x", .iov_len = 1 };
    struct msghdr msg = {
        .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control.buf,
        .msg_controllen = sizeof(control.buf),
    };
    struct cmsghdr *cmsg = CMSG_FIRSTHDR(&msg);
    Fe *f;

    g_assert_cmpint(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), ==, 0);
    f = fe_new("socket,id=c,fd=%d", fds[0]);
    cmsg->cmsg_level = SOL_SOCKET;
    cmsg->cmsg_type = SCM_RIGHTS;
    cmsg->cmsg_len = CMSG_LEN(sizeof(int));
    memcpy(CMSG_DATA(cmsg), &gift, sizeof(int));
    g_assert_cmpint(qemu_chr_fe_get_msgfd(&f->b), ==, -1);
    g_assert_cmpint(sendmsg(fds[1], &msg, 0), ==, 1);
    wait_for(f->in->len == 1);
    got = qemu_chr_fe_get_msgfd(&f->b);
    g_assert_cmpint(got, >=, 0);
    g_assert_cmpint(fcntl(got, F_GETFD), ==, FD_CLOEXEC);
    g_assert_cmpint(qemu_chr_fe_get_msgfd(&f->b), ==, -1);
    close(got);
    /* Descriptors that nobody takes do not pile up. */
    before = open_fds();
    for (unsigned i = 0; i < 100; i++) {
        g_assert_cmpint(sendmsg(fds[1], &msg, 0), ==, 1);
        wait_for(f->in->len == i + 2);
    }
    g_assert_cmpint(open_fds(), <=, before + 1);
    fe_free(f);
    g_assert_cmpint(open_fds(), <=, before);
    close(fds[1]);
    close(gift);
}

static void test_telnet(void)
{
    static const uint8_t in[] = {
        'a', 255, 253, 1, 'b', 255, 255, 255, 250, 24, 1, 255, 240, 'c', 255, 243, 'd',
    };
    static const uint8_t hello[] = { 255, 251, 1, 255, 251, 3, 255, 251, 0, 255, 253, 0 };
    Fe *f = fe_new("socket,id=c,host=127.0.0.1,port=0,server=on,wait=off,telnet=on,nodelay=on");
    struct sockaddr_in sin = { .sin_family = AF_INET };
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    g_autofree char *text = NULL, *more = NULL;

    sin.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    sin.sin_port = htons(atoi(strrchr(f->chr->filename, ':') + 1));
    g_assert_cmpint(connect(fd, (struct sockaddr *)&sin, sizeof(sin)), ==, 0);
    wait_for(f->chr->be_open);
    g_assert_true(g_pattern_match_simple(
        "telnet:127.0.0.1:*,server=on <-> 127.0.0.1:*", f->chr->filename));
    text = receive(fd);
    g_assert_cmpmem(text, 12, hello, 12);
    /* One byte at a time: commands may be cut anywhere. */
    for (size_t i = 0; i < sizeof(in); i++) {
        g_assert_cmpint(write(fd, &in[i], 1), ==, 1);
        g_usleep(200);
        run_loop();
    }
    wait_for(f->in->len == 5);
    g_assert_cmpmem(f->in->str, 5, "ab\377cd", 5);
    g_assert_cmpstr(f->events->str, ==, "OB");
    for (int done = 0; done < 3;) {
        int n = qemu_chr_fe_write(&f->b, (const uint8_t *)"x\377y" + done, 3 - done);

        g_assert_cmpint(n, >, 0);
        done += n;
    }
    g_usleep(1000);
    more = receive(fd);
    g_assert_cmpstr(more, ==, "x\377\377y");
    close(fd);
    wait_for(!f->chr->be_open);
    fe_free(f);
}

static gboolean count_ready(void *opaque, GIOCondition cond)
{
    ++*(int *)opaque;
    return G_SOURCE_REMOVE;
}

/* Watches fire on room, and when the peer goes. */
static void test_watches(void)
{
    static uint8_t block[65536];
    int fds[2], ready = 0, n;
    Fe *f;

    g_assert_cmpint(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), ==, 0);
    f = fe_new("socket,id=c,fd=%d", fds[0]);
    do {
        n = qemu_chr_fe_write(&f->b, block, sizeof(block));
    } while (n > 0);
    g_assert_cmpint(n, ==, 0);
    g_assert_cmpint(qemu_chr_fe_add_watch(&f->b, G_IO_OUT, count_ready, &ready), >, 0);
    run_loop();
    g_assert_cmpint(ready, ==, 0);
    while (recv(fds[1], block, sizeof(block), MSG_DONTWAIT) > 0) {
    }
    wait_for(ready == 1);
    while (qemu_chr_fe_write(&f->b, block, sizeof(block)) > 0) {
    }
    qemu_chr_fe_add_watch(&f->b, G_IO_OUT, count_ready, &ready);
    qemu_chr_fe_add_watch(&f->b, G_IO_OUT, count_ready, &ready);
    close(fds[1]);
    wait_for(ready == 3);
    wait_for(!f->chr->be_open);
    fe_free(f);
    run_loop();
}

/* Terminals ---------------------------------------------------------------- */

/* Turns of the loop in 300 ms. */
static int turns(void)
{
    bool late = false;
    int n = 0;

    g_timeout_add(300, stop_waiting, &late);
    while (!late) {
        g_main_context_iteration(NULL, TRUE);
        n++;
    }
    return n;
}

/* A pty; the sentence on stdout that scripts look for is checked. */
static Fe *pty_new(void)
{
    int saved, fds[2];
    g_autofree char *line = NULL, *want = NULL;
    Fe *f;

    fflush(stdout);
    saved = dup(1);
    g_assert_cmpint(pipe(fds), ==, 0);
    dup2(fds[1], 1);
    f = fe_new("pty,id=c");
    dup2(saved, 1);
    line = receive(fds[0]);
    want = g_strdup_printf("char device redirected to %s (label c)\n",
                           f->chr->filename + strlen("pty:"));
    g_assert_cmpstr(line, ==, want);
    close(saved);
    close(fds[0]);
    close(fds[1]);
    return f;
}

static void test_pty(void)
{
    Fe *f = pty_new();
    const char *path = f->chr->filename + strlen("pty:");
    struct termios tty;

    g_assert_true(g_str_has_prefix(f->chr->filename, "pty:/dev/pts/"));
    /* F54: nobody there, and the loop sleeps. */
    put(f, "nobody hears this");
    g_assert_cmpint(turns(), <, 20);
    for (int i = 0; i < 3; i++) {
        int fd = open(path, O_RDWR | O_NOCTTY);
        g_autofree char *line = NULL;

        g_assert_cmpint(fd, >=, 0);
        wait_for(f->chr->be_open);
        g_assert_cmpint(tcgetattr(fd, &tty), ==, 0);
        g_assert_cmphex(tty.c_lflag & (ICANON | ECHO), ==, 0);
        put(f, "login: ");
        line = receive(fd);
        g_assert_cmpstr(line, ==, "login: ");
        g_assert_cmpint(write(fd, "root\r", 5), ==, 5);
        wait_for(g_str_has_suffix(f->in->str, "root\r"));
        close(fd);
        wait_for(!f->chr->be_open);
        g_assert_cmpint(turns(), <, 20);
    }
    fe_free(f);
}

/* A terminal that nobody reads fills up; closing it frees the writer. */
static void test_pty_full(void)
{
    static uint8_t block[65536];
    Fe *f = pty_new();
    int fd = open(f->chr->filename + strlen("pty:"), O_RDWR | O_NOCTTY), ready = 0;

    wait_for(f->chr->be_open);
    f->room = 0;
    qemu_chr_fe_accept_input(&f->b);
    while (qemu_chr_fe_write(&f->b, block, sizeof(block)) > 0) {
    }
    qemu_chr_fe_add_watch(&f->b, G_IO_OUT, count_ready, &ready);
    close(fd);
    wait_for(ready == 1);
    /* The kernel may have made room meanwhile; a writer is never held up again. */
    for (int i = 0; f->chr->be_open && i < 1000; i++) {
        g_assert_cmpint(qemu_chr_fe_write(&f->b, block, sizeof(block)), >, 0);
        run_loop();
    }
    g_assert_false(f->chr->be_open);
    fe_free(f);
}

/* A process with stdio on a terminal of its own; how it ends. */
static void stdio_child(int slave, int end)
{
    struct rlimit no_core = { 0, 0 };
    Fe *f;

    setsid();
    dup2(slave, 0);
    dup2(slave, 1);
    setrlimit(RLIMIT_CORE, &no_core);
    /* A shell's background jobs ignore some. */
    if (end) {
        signal(end, SIG_DFL);
    }
    f = fe_new("stdio,id=c,signal=off");
    put(f, "ready");
    if (end == SIGABRT) {
        signal(SIGALRM, SIG_DFL);
        g_usleep(300000);
        abort();
    }
    if (end == 0) {
        wait_for(f->in->len == 1);
        exit(0);
    }
    pause();
    _exit(99);
}

/* F55: however we end, the terminal is as it was. */
static void test_stdio_terminal(void)
{
    static const int ends[] = { 0, SIGTERM, SIGINT, SIGABRT, SIGQUIT };

    for (size_t i = 0; i < G_N_ELEMENTS(ends); i++) {
        int master = posix_openpt(O_RDWR | O_NOCTTY), slave, status;
        struct termios before, raw, after;
        g_autofree char *text = NULL;
        pid_t pid;

        g_assert_true(!grantpt(master) && !unlockpt(master));
        slave = open(ptsname(master), O_RDWR | O_NOCTTY);
        g_assert_cmpint(tcgetattr(slave, &before), ==, 0);
        pid = fork();
        if (!pid) {
            stdio_child(slave, ends[i]);
        }
        text = receive(master);
        g_assert_cmpstr(text, ==, "ready");
        g_assert_cmpint(tcgetattr(slave, &raw), ==, 0);
        g_assert_cmphex(raw.c_lflag & (ICANON | ECHO | ISIG), ==, 0);
        if (ends[i] && ends[i] != SIGABRT) {
            kill(pid, ends[i]);
        } else if (!ends[i]) {
            g_assert_cmpint(write(master, "q", 1), ==, 1);
        }
        g_assert_cmpint(waitpid(pid, &status, 0), ==, pid);
        if (ends[i]) {
            g_assert_true(WIFSIGNALED(status) && WTERMSIG(status) == ends[i]);
        } else {
            g_assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
        }
        g_assert_cmpint(tcgetattr(slave, &after), ==, 0);
        g_assert_cmphex(after.c_lflag, ==, before.c_lflag);
        g_assert_cmphex(after.c_iflag, ==, before.c_iflag);
        g_assert_cmpint(fcntl(slave, F_GETFL) & O_NONBLOCK, ==, 0);
        close(slave);
        close(master);
    }
}

/* End of input, too much input, and only one of them. */
static void test_stdio_pipe(void)
{
    int saved = dup(0), fds[2];
    g_autoptr(QemuOpts) opts = qemu_opts_parse("stdio,id=d", "backend", NULL);
    static char block[65536];
    Error *err = NULL;
    ssize_t total = 0, n;
    Fe *f;

    g_assert_cmpint(pipe(fds), ==, 0);
    dup2(fds[0], 0);
    fcntl(fds[1], F_SETFL, O_NONBLOCK);
    f = fe_new("stdio,id=c");
    g_assert_null(qemu_chr_new_from_opts(opts, &err));
    g_assert_cmpstr(error_get_pretty(err), ==,
                    "cannot use stdio by multiple character devices");
    error_free(err);
    /* F58 */
    f->room = 0;
    qemu_chr_fe_accept_input(&f->b);
    for (int i = 0; i < 100; i++) {
        n = write(fds[1], block, sizeof(block));
        total += n > 0 ? n : 0;
        run_loop();
    }
    g_assert_cmpint(total, <=, 65536);
    g_assert_cmpint(turns(), <, 20);
    f->room = 7;
    qemu_chr_fe_accept_input(&f->b);
    wait_for((ssize_t)f->in->len == total);
    close(fds[1]);
    wait_for(!strcmp(f->events->str, "OC"));
    g_assert_cmpint(turns(), <, 20);
    fe_free(f);
    dup2(saved, 0);
    close(saved);
    close(fds[0]);
}

/* wait=on: the message, and a signal that is blocked as in the real program. */
static void test_wait_for_client(void)
{
    g_autofree char *path = g_build_filename(tmpdir, "w", NULL), *text = NULL;
    g_autofree char *want = NULL;
    int fds[2], status;
    sigset_t set;
    pid_t pid;

    g_assert_cmpint(pipe(fds), ==, 0);
    pid = fork();
    if (!pid) {
        g_autofree char *line = g_strdup_printf("socket,id=c,path=%s,server=on", path);
        g_autoptr(QemuOpts) opts = qemu_opts_parse(line, "backend", NULL);

        dup2(fds[1], 2);
        sigemptyset(&set);
        sigaddset(&set, SIGTERM);
        sigprocmask(SIG_BLOCK, &set, NULL);
        _exit(qemu_chr_new_from_opts(opts, NULL) ? 1 : 42);
    }
    text = receive(fds[0]);
    want = g_strdup_printf(
        "test: info: QEMU waiting for connection on: disconnected:unix:%s,server=on\n", path);
    g_assert_cmpstr(text, ==, want);
    kill(pid, SIGTERM);
    g_assert_cmpint(waitpid(pid, &status, 0), ==, pid);
    g_assert_true(WIFEXITED(status));
    g_assert_cmpint(WEXITSTATUS(status), ==, 42);
    g_assert_false(g_file_test(path, G_FILE_TEST_EXISTS));
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    error_init("test");
    qemu_init_main_loop();
    tmpdir = g_dir_make_tmp("chardev-XXXXXX", NULL);
    g_test_add_func("/chardev/server", test_server);
    g_test_add_func("/chardev/thousand-clients", test_thousand_clients);
    g_test_add_func("/chardev/F36-no-descriptor", test_no_descriptor);
    g_test_add_func("/chardev/gone-while-blocked", test_gone_while_blocked);
    g_test_add_func("/chardev/inherited", test_inherited);
    g_test_add_func("/chardev/reconnect", test_reconnect);
    g_test_add_func("/chardev/descriptors", test_descriptors);
    g_test_add_func("/chardev/telnet", test_telnet);
    g_test_add_func("/chardev/watches", test_watches);
    g_test_add_func("/chardev/pty", test_pty);
    g_test_add_func("/chardev/pty-full", test_pty_full);
    g_test_add_func("/chardev/stdio-terminal", test_stdio_terminal);
    g_test_add_func("/chardev/stdio-pipe", test_stdio_pipe);
    g_test_add_func("/chardev/wait-for-client", test_wait_for_client);
    return g_test_run();
}
