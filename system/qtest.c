/*
 * The qtest protocol's server: one line, one request, one answer.
 *
 * The peer is a test program on this host, not the guest; still, lines and
 * transfers are bounded, and nonsense is answered, never fatal.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "sysemu/qtest.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "chardev/char-txq.h"
#include "qemu/main-loop.h"
#include "qemu/timer.h"
#include "sysemu/accel.h"

#define QTEST_MAX_LINE      (64u << 20)
#define QTEST_MAX_TRANSFER  (16u << 20)
#define QTEST_MAX_IRQS      64
/* No request is taken while more than this waits for the peer, bytes. */
#define QTEST_OUT_PAUSE     (64u << 10)

/* A tapped line: what devices drive goes here first. */
typedef struct QTestIRQ {
    struct QTestServer *qts;
    qemu_irq target;
    int level;
} QTestIRQ;

typedef struct QTestServer {
    MachineState *ms;
    CharBackend chr;
    CharTxQueue tx;
    GString *in;
    gsize scanned;                  /* of in: there is no end of a line */
    bool running;
    bool too_long;
    FILE *log;                      /* NULL: none */
    int64_t log_start;
    QTestIRQ irqs[QTEST_MAX_IRQS];
    atomic_bool intercept;
} QTestServer;

/* A request: words[0] is its name. The handler answers. */
typedef struct QTestRequest {
    const char *name;
    unsigned nargs;                 /* at least so many arguments */
    void (*fn)(QTestServer *s, const struct QTestRequest *req, char **words);
    unsigned size;                  /* of the access */
} QTestRequest;

/* Talking ------------------------------------------------------------------------ */

static void log_line(QTestServer *s, char direction, const char *line)
{
    int64_t now = qemu_clock_get_ns(QEMU_CLOCK_REALTIME) - s->log_start;

    if (s->log) {
        fprintf(s->log, "[%c +%.6f] %.2000s\n", direction,
                now / (double)NANOSECONDS_PER_SECOND, line);
        fflush(s->log);
    }
}

static void G_GNUC_PRINTF(2, 3) reply(QTestServer *s, const char *fmt, ...)
{
    g_autofree char *line = NULL, *wire = NULL;
    va_list ap;

    va_start(ap, fmt);
    line = g_strdup_vprintf(fmt, ap);
    va_end(ap);
    wire = g_strconcat(line, "\n", NULL);
    log_line(s, 'S', line);
    chr_txq_put(&s->tx, wire, strlen(wire));
    chr_txq_flush(&s->tx);
}

static uint64_t number(const char *word)
{
    return g_ascii_strtoull(word, NULL, 0);
}

/* Guest memory and ports ------------------------------------------------------------ */

/* The widest access, at most len bytes, that what is at addr takes. */
static unsigned access_size(AddressSpace *as, hwaddr addr, uint64_t len)
{
    const FlatRange *r = address_space_lookup(as, addr);
    unsigned max = r && r->mr->ops && r->mr->ops->valid.max_access_size ?
        r->mr->ops->valid.max_access_size : 8;

    while (max > len || addr % max) {
        max /= 2;
    }
    return max;
}

/* Like a CPU's access of any length: RAM, or registers one after the other. */
static void memory_rw(QTestServer *s, hwaddr addr, void *buf, uint64_t len, bool is_write)
{
    AddressSpace *as = &s->ms->memory;
    uint8_t *p = buf;

    while (len) {
        unsigned size = access_size(as, addr, len);
        uint64_t data = 0;

        memcpy(&data, p, is_write ? size : 0);
        address_space_rw_locked(as, addr, &data, size, is_write);
        memcpy(p, &data, is_write ? 0 : size);
        p += size;
        addr += size;
        len -= size;
    }
}

static void qtest_in(QTestServer *s, const QTestRequest *req, char **words)
{
    uint64_t data = ~0ULL;

    address_space_rw_locked(&s->ms->io, (uint16_t)number(words[1]), &data, req->size, false);
    data &= (1ULL << (req->size * 8)) - 1;
    reply(s, "OK 0x%04" PRIx64, data);
}

static void qtest_out(QTestServer *s, const QTestRequest *req, char **words)
{
    uint64_t port = number(words[1]), data = number(words[2]);

    if (port > 0xffff) {
        reply(s, "FAIL port out of range");
        return;
    }
    address_space_rw_locked(&s->ms->io, port, &data, req->size, true);
    reply(s, "OK");
}

static void qtest_read_reg(QTestServer *s, const QTestRequest *req, char **words)
{
    uint64_t data = 0;

    memory_rw(s, number(words[1]), &data, req->size, false);
    reply(s, "OK 0x%016" PRIx64, data);
}

static void qtest_write_reg(QTestServer *s, const QTestRequest *req, char **words)
{
    uint64_t data = number(words[2]);

    memory_rw(s, number(words[1]), &data, req->size, true);
    reply(s, "OK");
}

/* The length argument; false when it was answered as wrong. */
static bool transfer_len(QTestServer *s, const char *word, uint64_t min, uint64_t *len)
{
    *len = number(word);
    if (*len < min || *len > QTEST_MAX_TRANSFER) {
        reply(s, "ERR invalid argument size");
        return false;
    }
    return true;
}

static void qtest_read(QTestServer *s, const QTestRequest *req, char **words)
{
    g_autofree uint8_t *buf = NULL;
    g_autoptr(GString) hex = NULL;
    uint64_t len;

    if (!transfer_len(s, words[2], 1, &len)) {
        return;
    }
    buf = g_malloc0(len);
    hex = g_string_new(NULL);
    memory_rw(s, number(words[1]), buf, len, false);
    for (uint64_t i = 0; i < len; i++) {
        static const char digits[] = "0123456789abcdef";

        g_string_append_c(hex, digits[buf[i] >> 4]);
        g_string_append_c(hex, digits[buf[i] & 15]);
    }
    reply(s, "OK 0x%s", hex->str);
}

static void qtest_write(QTestServer *s, const QTestRequest *req, char **words)
{
    g_autofree uint8_t *buf = NULL;
    const char *hex = words[3];
    size_t given = strlen(hex);
    uint64_t len;

    if (given < 3) {
        reply(s, "ERR invalid argument size");
        return;
    }
    if (!transfer_len(s, words[2], 1, &len)) {
        return;
    }
    /* What is missing is zero. */
    buf = g_malloc0(len);
    for (uint64_t i = 0; i < len && 3 + i * 2 < given; i++) {
        int hi = g_ascii_xdigit_value(hex[2 + i * 2]);
        int lo = g_ascii_xdigit_value(hex[3 + i * 2]);

        buf[i] = (hi < 0 ? 0 : hi << 4) | (lo < 0 ? 0 : lo);
    }
    memory_rw(s, number(words[1]), buf, len, true);
    reply(s, "OK");
}

static void qtest_b64read(QTestServer *s, const QTestRequest *req, char **words)
{
    g_autofree uint8_t *buf = NULL;
    g_autofree char *text = NULL;
    uint64_t len;

    if (!transfer_len(s, words[2], 1, &len)) {
        return;
    }
    buf = g_malloc0(len);
    memory_rw(s, number(words[1]), buf, len, false);
    text = g_base64_encode(buf, len);
    reply(s, "OK %s", text);
}

static void qtest_b64write(QTestServer *s, const QTestRequest *req, char **words)
{
    gsize got = 0;
    g_autofree uint8_t *buf = g_base64_decode(words[3], &got);
    uint64_t len;

    if (!transfer_len(s, words[2], 1, &len)) {
        return;
    }
    memory_rw(s, number(words[1]), buf, MIN(len, got), true);
    reply(s, "OK");
}

static void qtest_memset(QTestServer *s, const QTestRequest *req, char **words)
{
    g_autofree uint8_t *buf = NULL;
    uint64_t len;

    if (!transfer_len(s, words[2], 0, &len)) {
        return;
    }
    if (len) {
        buf = g_malloc(len);
        memset(buf, number(words[3]), len);
        memory_rw(s, number(words[1]), buf, len, true);
    }
    reply(s, "OK");
}

static void qtest_endianness(QTestServer *s, const QTestRequest *req, char **words)
{
    reply(s, "OK little");
}

/* The clock --------------------------------------------------------------------------- */

static bool clock_is_ours(const QTestServer *s)
{
    return s->ms->accel && !strcmp(s->ms->accel->obj.oc->name, "qtest");
}

static void qtest_clock(QTestServer *s, const QTestRequest *req, char **words)
{
    int64_t now = qemu_clock_get_ns(QEMU_CLOCK_VIRTUAL), dest;

    if (!clock_is_ours(s)) {
        reply(s, "FAIL Unknown command '%s'", words[0]);
        return;
    }
    if (!strcmp(words[0], "clock_set")) {
        dest = words[1] ? (int64_t)number(words[1]) : now;
    } else if (words[1]) {
        dest = now + (int64_t)MIN(number(words[1]), (uint64_t)(INT64_MAX - now));
    } else {
        dest = qemu_clock_deadline_virtual();
    }
    if (dest > now && !qemu_clock_advance_virtual(dest)) {
        reply(s, "FAIL %s: too many timers, the clock is at %" PRId64, words[0],
              qemu_clock_get_ns(QEMU_CLOCK_VIRTUAL));
        return;
    }
    reply(s, "OK %" PRId64, qemu_clock_get_ns(QEMU_CLOCK_VIRTUAL));
}

/* Interrupt lines ----------------------------------------------------------------------- */

/* Devices may call this from any thread; the answer goes out from the loop. */
typedef struct IRQNote {
    QTestServer *s;
    int n, level;
} IRQNote;

static void send_irq_note(void *opaque)
{
    g_autofree IRQNote *note = opaque;

    reply(note->s, "IRQ %s %d", note->level ? "raise" : "lower", note->n);
}

static void tap_handler(void *opaque, int n, int level)
{
    QTestIRQ *irq = opaque;
    QTestServer *s = irq->qts;
    bool changed = !!level != irq->level;

    irq->level = !!level;
    if (changed && atomic_load(&s->intercept)) {
        if (bql_locked()) {
            reply(s, "IRQ %s %d", level ? "raise" : "lower", n);
        } else {
            IRQNote *note = g_new(IRQNote, 1);

            *note = (IRQNote) { s, n, !!level };
            qemu_bh_schedule_oneshot(send_irq_note, note);
        }
        return;
    }
    qemu_set_irq(irq->target, level);
}

static qemu_irq tap_irq(MachineState *ms, unsigned n, qemu_irq irq)
{
    QTestServer *s = ms->qtest;

    if (n >= QTEST_MAX_IRQS) {
        return irq;
    }
    s->irqs[n] = (QTestIRQ) { .qts = s, .target = irq };
    return (qemu_irq) { .handler = tap_handler, .opaque = &s->irqs[n], .n = n };
}

static bool is_ioapic(const char *path)
{
    const char *name = strrchr(path, '/');

    return !strcmp(name ? name + 1 : path, "ioapic");
}

static void qtest_irq_intercept(QTestServer *s, const QTestRequest *req, char **words)
{
    if (!is_ioapic(words[1])) {
        reply(s, "FAIL Unknown device");
        return;
    }
    atomic_store(&s->intercept, true);
    reply(s, "OK");
}

static void qtest_set_irq_in(QTestServer *s, const QTestRequest *req, char **words)
{
    uint64_t n = number(words[3]);

    if (!is_ioapic(words[1])) {
        reply(s, "FAIL Unknown device");
    } else if (strcmp(words[2], "unnamed-gpio-in") || n >= QTEST_MAX_IRQS) {
        reply(s, "FAIL Unknown line");
    } else {
        qemu_set_irq(s->irqs[n].target, number(words[4]) != 0);
        reply(s, "OK");
    }
}

/* Everything is compiled in: there are no modules to load. */
static void qtest_module_load(QTestServer *s, const QTestRequest *req, char **words)
{
    reply(s, "FAIL");
}

/* Requests --------------------------------------------------------------------------------- */

static const QTestRequest requests[] = {
    { "endianness", 0, qtest_endianness, 0 },
    { "inb", 1, qtest_in, 1 },
    { "inw", 1, qtest_in, 2 },
    { "inl", 1, qtest_in, 4 },
    { "outb", 2, qtest_out, 1 },
    { "outw", 2, qtest_out, 2 },
    { "outl", 2, qtest_out, 4 },
    { "readb", 1, qtest_read_reg, 1 },
    { "readw", 1, qtest_read_reg, 2 },
    { "readl", 1, qtest_read_reg, 4 },
    { "readq", 1, qtest_read_reg, 8 },
    { "writeb", 2, qtest_write_reg, 1 },
    { "writew", 2, qtest_write_reg, 2 },
    { "writel", 2, qtest_write_reg, 4 },
    { "writeq", 2, qtest_write_reg, 8 },
    { "read", 2, qtest_read, 0 },
    { "write", 3, qtest_write, 0 },
    { "b64read", 2, qtest_b64read, 0 },
    { "b64write", 3, qtest_b64write, 0 },
    { "memset", 3, qtest_memset, 0 },
    { "clock_step", 0, qtest_clock, 0 },
    { "clock_set", 1, qtest_clock, 0 },
    { "irq_intercept_in", 1, qtest_irq_intercept, 0 },
    { "irq_intercept_out", 1, qtest_irq_intercept, 0 },
    { "set_irq_in", 4, qtest_set_irq_in, 0 },
    { "module_load", 2, qtest_module_load, 0 },
};

static void handle_line(QTestServer *s, char *line)
{
    g_auto(GStrv) words = g_strsplit(g_strchomp(line), " ", 6);
    unsigned nargs = g_strv_length(words);

    log_line(s, 'R', line);
    for (size_t i = 0; i < G_N_ELEMENTS(requests); i++) {
        const QTestRequest *req = &requests[i];

        if (!nargs || strcmp(req->name, words[0])) {
            continue;
        }
        if (nargs - 1 < req->nargs) {
            reply(s, "FAIL %s: %u arguments expected", req->name, req->nargs);
        } else {
            req->fn(s, req, words);
        }
        return;
    }
    reply(s, "FAIL Unknown command '%s'", nargs ? words[0] : "");
}

/* The first line of what was read, taken out; NULL: there is no whole one. */
static char *next_line(QTestServer *s)
{
    const char *nl = memchr(s->in->str + s->scanned, '\n', s->in->len - s->scanned);
    char *line;

    if (!nl) {
        s->scanned = s->in->len;
        return NULL;
    }
    line = g_strndup(s->in->str, nl - s->in->str);
    g_string_erase(s->in, 0, nl + 1 - s->in->str);
    s->scanned = 0;
    return line;
}

/* Answer what has been read, as far as the peer takes the answers. */
static void qtest_run(QTestServer *s)
{
    char *line;

    if (s->running) {
        return;     /* a request lets the loop run */
    }
    s->running = true;
    while (!chr_txq_full(&s->tx) && (line = next_line(s))) {
        if (!s->too_long) {
            handle_line(s, line);
        }
        s->too_long = false;
        g_free(line);
    }
    s->running = false;
}

static void qtest_drained(void *opaque)
{
    QTestServer *s = opaque;

    qtest_run(s);
    qemu_chr_fe_accept_input(&s->chr);
}

/* A byte that was not scanned is a line that waits, or that is being answered. */
static int qtest_can_read(void *opaque)
{
    QTestServer *s = opaque;

    return s->running || s->scanned < s->in->len || chr_txq_full(&s->tx) ? 0 : 65536;
}

static void qtest_receive(void *opaque, const uint8_t *buf, int size)
{
    QTestServer *s = opaque;

    g_string_append_len(s->in, (const char *)buf, size);
    qtest_run(s);
    if (s->in->len > QTEST_MAX_LINE) {
        if (!s->too_long) {
            reply(s, "FAIL line too long");
        }
        s->too_long = true;
        s->scanned = 0;
        g_string_truncate(s->in, 0);
    }
}

static void qtest_event(void *opaque, QEMUChrEvent event)
{
    QTestServer *s = opaque;

    if (event == CHR_EVENT_OPENED) {
        s->scanned = 0;
        g_string_truncate(s->in, 0);
        s->log_start = qemu_clock_get_ns(QEMU_CLOCK_REALTIME);
        log_line(s, 'I', "OPENED");
    } else if (event == CHR_EVENT_CLOSED) {
        chr_txq_cleanup(&s->tx);
        log_line(s, 'I', "CLOSED");
    }
}

static bool open_log(QTestServer *s, const char *log, Error **errp)
{
    if (!log) {
        s->log = stderr;
    } else if (strcmp(log, "none")) {
        s->log = fopen(log, "we");
        if (!s->log) {
            error_setg(errp, "Could not open '%s': %s", log, strerror(errno));
            return false;
        }
    }
    return true;
}

bool qtest_server_init(MachineState *ms, Chardev *chr, const char *log, Error **errp)
{
    QTestServer *s;

    if (ms->qtest) {
        error_setg(errp, "there is one -qtest already");
        return false;
    }
    s = g_new0(QTestServer, 1);
    s->ms = ms;
    s->in = g_string_new(NULL);
    s->log_start = qemu_clock_get_ns(QEMU_CLOCK_REALTIME);
    if (!open_log(s, log, errp) || !qemu_chr_fe_init(&s->chr, chr, errp)) {
        if (s->log && s->log != stderr) {
            fclose(s->log);
        }
        g_string_free(s->in, TRUE);
        g_free(s);
        return false;
    }
    ms->qtest = s;
    ms->tap_irq = tap_irq;
    chr_txq_init(&s->tx, &s->chr, QTEST_OUT_PAUSE, qtest_drained, s);
    qemu_chr_fe_set_handlers(&s->chr, qtest_can_read, qtest_receive, qtest_event, s);
    return true;
}
