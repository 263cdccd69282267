/*
 * gdb's remote serial protocol: registers, memory, break- and watchpoints,
 * single steps; one thread per CPU.
 *
 * gdb manual, appendix E "Remote Protocol". The peer is a debugger that may do
 * anything to the guest, but must not be able to hurt us.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <stdio.h>
#include <string.h>

#include "gdbstub/gdb-internal.h"
#include "qemu/confine.h"
#include "qemu/cutils.h"
#include "sysemu/gdbstub.h"

/* No packet is taken while more than this waits for the debugger, bytes. */
#define GDB_OUT_PAUSE   (64u << 10)
/* Taken from the debugger at a time: few packets, so that few answers pile up. */
#define GDB_CHUNK       512

#define SIGNAL_INT      2
#define SIGNAL_TRAP     5
#define SIGNAL_ABRT     6

/* Output --------------------------------------------------------------------------- */

static void gdb_drained(void *opaque)
{
    GdbServer *s = opaque;

    qemu_chr_fe_accept_input(&s->chr);
}

void gdb_put_packet(GdbServer *s, const char *data, size_t len)
{
    uint8_t sum = 0;
    char end[4];

    for (size_t i = 0; i < len; i++) {
        sum += (uint8_t)data[i];
    }
    snprintf(end, sizeof(end), "#%02x", sum);
    chr_txq_put(&s->tx, "$", 1);
    chr_txq_put(&s->tx, data, len);
    chr_txq_put(&s->tx, end, 3);
    chr_txq_flush(&s->tx);
}

void gdb_answer(GdbServer *s, const char *fmt, ...)
{
    g_autofree char *text = NULL;
    va_list ap;

    va_start(ap, fmt);
    text = g_strdup_vprintf(fmt, ap);
    va_end(ap);
    gdb_put_packet(s, text, strlen(text));
}

/* Stops ------------------------------------------------------------------------------ */

CPUState *gdb_cpu(GdbServer *s, uint64_t n)
{
    return s->ms->cpus && n < s->ms->smp.cpus ? s->ms->cpus[n] : NULL;
}

/* The reply to a stop, also to '?'. */
void gdb_report_stop(GdbServer *s)
{
    static const char *const names[] = { "", "watch", "", "awatch" };
    int signal = s->ms->rsm.state == RUN_STATE_INTERNAL_ERROR ? SIGNAL_ABRT :
        s->ms->rsm.state == RUN_STATE_DEBUG ? SIGNAL_TRAP : SIGNAL_INT;

    for (unsigned i = 0; s->ms->cpus && i < s->ms->smp.cpus; i++) {
        CPUDebugEvent *ev = &s->ms->cpus[i]->debug_event;

        if (!ev->hit) {
            continue;
        }
        s->cpu = s->step_cpu = i;
        if (ev->watch) {
            gdb_answer(s, "T%02xthread:%02x;%s:%" PRIx64 ";", SIGNAL_TRAP, i + 1,
                   names[ev->type & 3], ev->addr);
            return;
        }
        signal = SIGNAL_TRAP;
        break;
    }
    gdb_answer(s, "T%02xthread:%02x;", signal, s->cpu + 1);
}

static void gdb_runstate(MachineState *ms, RunStateEvent event, ShutdownCause cause,
                         void *opaque)
{
    GdbServer *s = opaque;

    if (!s->attached) {
        return;
    }
    if (event == RUN_STATE_EVENT_SHUTDOWN && s->running) {
        gdb_answer(s, "W00");
        s->running = false;
    } else if (event == RUN_STATE_EVENT_STOP && s->running) {
        s->running = false;
        gdb_report_stop(s);
    }
}

/* Input -------------------------------------------------------------------------------------- */

static void packet_done(GdbServer *s, char digit)
{
    g_autoptr(GString) packet = g_steal_pointer(&s->packet);
    const char digits[2] = { s->sum_digit, digit };
    int want = qemu_hex_byte(digits);       /* -1 is the sum of no packet */

    s->packet = g_string_new(NULL);
    s->state = GDB_IDLE;
    if (!s->no_ack) {
        chr_txq_put(&s->tx, want == s->sum ? "+" : "-", 1);
    }
    if (want == s->sum || s->no_ack) {
        gdb_handle_packet(s, packet->str);
    }
    chr_txq_flush(&s->tx);
}

static void gdb_byte(GdbServer *s, uint8_t c)
{
    switch (s->state) {
    case GDB_IDLE:
        if (c == '$') {
            s->state = GDB_PACKET;
            s->sum = 0;
            g_string_truncate(s->packet, 0);
        } else if (c == 3 && runstate_is_running(s->ms)) {
            vm_stop(s->ms, RUN_STATE_PAUSED);
        }
        break;
    case GDB_PACKET:
        if (c == '#') {
            s->state = GDB_SUM1;
        } else if (s->packet->len == GDB_MAX_PACKET) {
            s->state = GDB_IDLE;
        } else {
            s->sum += c;
            g_string_append_c(s->packet, c);
        }
        break;
    case GDB_SUM1:
        s->sum_digit = c;
        s->state = GDB_SUM2;
        break;
    case GDB_SUM2:
        packet_done(s, c);
        break;
    }
}

void gdb_run(GdbServer *s)
{
    while (s->in->len && !s->hmp) {
        uint8_t c = s->in->data[0];

        g_byte_array_remove_range(s->in, 0, 1);
        gdb_byte(s, c);
    }
}

static int gdb_can_read(void *opaque)
{
    GdbServer *s = opaque;

    return s->hmp || chr_txq_full(&s->tx) ? 0 : GDB_CHUNK;
}

static void gdb_read(void *opaque, const uint8_t *buf, int size)
{
    GdbServer *s = opaque;

    g_byte_array_append(s->in, buf, size);
    gdb_run(s);
}

static void gdb_event(void *opaque, QEMUChrEvent event)
{
    GdbServer *s = opaque;

    if (event == CHR_EVENT_OPENED) {
        s->attached = true;
        s->running = s->no_ack = false;
        s->state = GDB_IDLE;
        s->cpu = s->step_cpu = 0;
        s->debug = (CPUDebug) {
            .enabled = true, .owns_breakpoint = gdb_owns_breakpoint, .opaque = s,
        };
        if (runstate_is_running(s->ms)) {
            vm_stop(s->ms, RUN_STATE_PAUSED);
        }
    } else if (event == CHR_EVENT_CLOSED) {
        chr_txq_cleanup(&s->tx);
        g_byte_array_set_size(s->in, 0);
        gdb_detach(s);
    }
}

bool gdbserver_start(MachineState *ms, const char *device, Error **errp)
{
    g_autofree char *listening = NULL;
    bool mux_mon = false;
    GdbServer *s;
    Chardev *chr;

    if (!strcmp(device, "none")) {
        return true;
    }
    if (ms->gdb) {
        error_setg(errp, "gdbstub: there is one -gdb already");
        return false;
    }
    /* gdb comes to us; the guest does not wait for it. */
    listening = g_str_has_prefix(device, "tcp:") && !strstr(device, "server") ?
        g_strdup_printf("%s,server=on,wait=off", device) : g_strdup(device);
    chr = qemu_chr_new("gdb", listening, &mux_mon, errp);
    if (!chr) {
        return false;
    }
    s = g_new0(GdbServer, 1);
    s->ms = ms;
    s->packet = g_string_new(NULL);
    s->in = g_byte_array_new();
    s->swbp = g_array_new(FALSE, FALSE, sizeof(GdbBreakpoint));
    g_mutex_init(&s->lock);
    ms->gdb = s;
    runstate_add_notifier(ms, gdb_runstate, s);
    if (!qemu_chr_fe_init(&s->chr, chr, errp)) {
        return false;
    }
    confine_need(CONFINE_MONITOR);      /* gdb's "monitor" has its commands */
    chr_txq_init(&s->tx, &s->chr, GDB_OUT_PAUSE, gdb_drained, s);
    qemu_chr_fe_set_handlers(&s->chr, gdb_can_read, gdb_read, gdb_event, s);
    return true;
}
