/*
 * Start the program under test and play its CPU.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "libqtest.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#define MAX_IRQ     256
#define TIMEOUT_MS  30000

typedef struct Line {
    int fd;
    GString *buf;
} Line;

struct QTestState {
    pid_t pid;
    Line qtest;
    Line qmp;
    bool irq[MAX_IRQ];
};

/* A listening socket at path. */
static int listen_at(const char *path)
{
    struct sockaddr_un addr = { .sun_family = AF_UNIX };
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    g_strlcpy(addr.sun_path, path, sizeof(addr.sun_path));
    g_assert_cmpint(bind(fd, (struct sockaddr *)&addr, sizeof(addr)), ==, 0);
    g_assert_cmpint(listen(fd, 1), ==, 0);
    return fd;
}

static void wait_readable(int fd)
{
    struct pollfd p = { .fd = fd, .events = POLLIN };
    int ret;

    do {
        ret = poll(&p, 1, TIMEOUT_MS);
    } while (ret < 0 && errno == EINTR);
    if (ret == 0) {
        g_error("no answer from the program under test");
    }
}

static int accept_one(int listener, const char *path)
{
    int fd;

    wait_readable(listener);
    fd = accept(listener, NULL, NULL);
    g_assert_cmpint(fd, >=, 0);
    close(listener);
    unlink(path);
    return fd;
}

/* The next line, without its end. */
static char *read_line(Line *l)
{
    char chunk[4096];
    char *nl, *line;
    ssize_t n;

    while (!(nl = memchr(l->buf->str, '\n', l->buf->len))) {
        wait_readable(l->fd);
        n = read(l->fd, chunk, sizeof(chunk));
        if (n <= 0) {
            g_error("the program under test is gone");
        }
        g_string_append_len(l->buf, chunk, n);
    }
    line = g_strndup(l->buf->str, nl - l->buf->str);
    g_string_erase(l->buf, 0, nl + 1 - l->buf->str);
    return line;
}

static void write_all(int fd, const char *text, size_t len)
{
    while (len) {
        ssize_t n = write(fd, text, len);

        if (n < 0 && errno == EINTR) {
            continue;
        }
        g_assert_cmpint(n, >, 0);
        text += n;
        len -= n;
    }
}

static void run_program(const char *qtest, const char *qmp, const char *args)
{
    const char *binary = g_getenv("QTEST_QEMU_BINARY");
    g_autofree char *quoted = NULL, *cmd = NULL;

    if (!binary) {
        fprintf(stderr, "QTEST_QEMU_BINARY is not set\n");
        _exit(1);
    }
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    quoted = g_shell_quote(binary);
    cmd = g_strdup_printf("exec %s -qtest unix:%s -qtest-log none "
                          "-chardev socket,path=%s,id=qmp -mon chardev=qmp,mode=control "
                          "-display none -nodefaults -accel qtest %s </dev/null",
                          quoted, qtest, qmp, args);
    execl("/bin/sh", "sh", "-c", cmd, NULL);
    _exit(1);
}

QTestState *qtest_init(const char *args)
{
    QTestState *s = g_new0(QTestState, 1);
    g_autofree char *qtest = g_strdup_printf("%s/qtest-%d.sock", g_get_tmp_dir(), getpid());
    g_autofree char *qmp = g_strdup_printf("%s/qmp-%d.sock", g_get_tmp_dir(), getpid());
    int lqtest = listen_at(qtest), lqmp = listen_at(qmp);

    signal(SIGPIPE, SIG_IGN);
    s->pid = fork();
    g_assert_cmpint(s->pid, >=, 0);
    if (s->pid == 0) {
        run_program(qtest, qmp, args);
    }
    /* The options are carried out in an order that is not ours to know. */
    s->qmp.fd = accept_one(lqmp, qmp);
    s->qtest.fd = accept_one(lqtest, qtest);
    s->qmp.buf = g_string_new(NULL);
    s->qtest.buf = g_string_new(NULL);
    g_free(qtest_ok(s, "endianness"));
    g_free(read_line(&s->qmp));
    g_free(qtest_qmp(s, "{ 'execute': 'qmp_capabilities' }"));
    return s;
}

void qtest_quit(QTestState *s)
{
    int status;

    kill(s->pid, SIGTERM);
    g_assert_cmpint(waitpid(s->pid, &status, 0), ==, s->pid);
    g_assert_true(WIFEXITED(status));
    g_assert_cmpint(WEXITSTATUS(status), ==, 0);
    close(s->qtest.fd);
    close(s->qmp.fd);
    g_string_free(s->qtest.buf, TRUE);
    g_string_free(s->qmp.buf, TRUE);
    g_free(s);
}

/* Takes over text. Interrupt messages before the answer are kept. */
static char *exchange(QTestState *s, char *text)
{
    g_autofree char *wire = g_strconcat(text, "\n", NULL);
    char *line;
    unsigned n;

    g_free(text);
    write_all(s->qtest.fd, wire, strlen(wire));
    for (;;) {
        line = read_line(&s->qtest);
        if (sscanf(line, "IRQ raise %u", &n) == 1 && n < MAX_IRQ) {
            s->irq[n] = true;
        } else if (sscanf(line, "IRQ lower %u", &n) == 1 && n < MAX_IRQ) {
            s->irq[n] = false;
        } else {
            return line;
        }
        g_free(line);
    }
}

char *qtest_request(QTestState *s, const char *fmt, ...)
{
    va_list ap;
    char *text;

    va_start(ap, fmt);
    text = g_strdup_vprintf(fmt, ap);
    va_end(ap);
    return exchange(s, text);
}

char *qtest_ok(QTestState *s, const char *fmt, ...)
{
    g_autofree char *answer = NULL;
    va_list ap;
    char *text;

    va_start(ap, fmt);
    text = g_strdup_vprintf(fmt, ap);
    va_end(ap);
    answer = exchange(s, text);
    if (strcmp(answer, "OK") && !g_str_has_prefix(answer, "OK ")) {
        g_error("answer '%s'", answer);
    }
    return g_strdup(answer[2] ? answer + 3 : "");
}

static uint64_t request_value(QTestState *s, const char *op, uint64_t addr)
{
    g_autofree char *value = qtest_ok(s, "%s 0x%" PRIx64, op, addr);

    return strtoull(value, NULL, 0);
}

static void request_write(QTestState *s, const char *op, uint64_t addr, uint64_t value)
{
    g_free(qtest_ok(s, "%s 0x%" PRIx64 " 0x%" PRIx64, op, addr, value));
}

#define ACCESSORS(type, in, out, addr_type) \
    type qtest_##in(QTestState *s, addr_type addr) \
    { \
        return request_value(s, #in, addr); \
    } \
    void qtest_##out(QTestState *s, addr_type addr, type value) \
    { \
        request_write(s, #out, addr, value); \
    }

ACCESSORS(uint8_t, inb, outb, uint16_t)
ACCESSORS(uint16_t, inw, outw, uint16_t)
ACCESSORS(uint32_t, inl, outl, uint16_t)
ACCESSORS(uint8_t, readb, writeb, uint64_t)
ACCESSORS(uint16_t, readw, writew, uint64_t)
ACCESSORS(uint32_t, readl, writel, uint64_t)
ACCESSORS(uint64_t, readq, writeq, uint64_t)

void qtest_memread(QTestState *s, uint64_t addr, void *buf, size_t size)
{
    g_autofree char *text = NULL;
    g_autofree guchar *data = NULL;
    gsize got;

    if (!size) {
        return;
    }
    text = qtest_ok(s, "b64read 0x%" PRIx64 " 0x%zx", addr, size);
    data = g_base64_decode(text, &got);
    g_assert_cmpuint(got, ==, size);
    memcpy(buf, data, size);
}

void qtest_memwrite(QTestState *s, uint64_t addr, const void *buf, size_t size)
{
    g_autofree char *text = g_base64_encode(buf, size);

    if (size) {
        g_free(qtest_ok(s, "b64write 0x%" PRIx64 " 0x%zx %s", addr, size, text));
    }
}

void qtest_memset(QTestState *s, uint64_t addr, uint8_t pattern, size_t size)
{
    g_free(qtest_ok(s, "memset 0x%" PRIx64 " 0x%zx 0x%x", addr, size, pattern));
}

static int64_t clock_value(char *text)
{
    int64_t now = g_ascii_strtoll(text, NULL, 10);

    g_free(text);
    return now;
}

int64_t qtest_clock_step(QTestState *s, int64_t ns)
{
    return clock_value(qtest_ok(s, "clock_step %" PRId64, ns));
}

int64_t qtest_clock_step_next(QTestState *s)
{
    return clock_value(qtest_ok(s, "clock_step"));
}

int64_t qtest_clock_set(QTestState *s, int64_t ns)
{
    return clock_value(qtest_ok(s, "clock_set %" PRId64, ns));
}

void qtest_irq_intercept_in(QTestState *s, const char *path)
{
    g_free(qtest_ok(s, "irq_intercept_in %s", path));
}

bool qtest_get_irq(QTestState *s, unsigned n)
{
    g_assert_cmpuint(n, <, MAX_IRQ);
    /* An answer comes after all interrupt messages that were due. */
    g_free(qtest_ok(s, "endianness"));
    return s->irq[n];
}

char *qtest_qmp(QTestState *s, const char *json)
{
    write_all(s->qmp.fd, json, strlen(json));
    for (;;) {
        char *line = read_line(&s->qmp);

        if (!strstr(line, "\"event\": ")) {
            return line;
        }
        g_free(line);
    }
}

char *qtest_qmp_event(QTestState *s, const char *name)
{
    g_autofree char *want = g_strdup_printf("\"event\": \"%s\"", name);

    for (;;) {
        char *line = read_line(&s->qmp);

        if (strstr(line, want)) {
            return line;
        }
        g_free(line);
    }
}
