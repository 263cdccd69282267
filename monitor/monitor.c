/*
 * Monitors on character devices: buffering, flow control, several at once.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <string.h>
#include <unistd.h>

#include "hw/core/cpu.h"
#include "hw/core/event.h"
#include "monitor-internal.h"
#include "qemu/confine.h"
#include "qemu/fd-param.h"
#include "qemu/main-loop.h"
#include "qmp.h"

/* Bytes taken from a peer at a time. */
#define MONITOR_CHUNK 4096

static void monitor_run(Monitor *mon)
{
    if (mon->running) {
        return;     /* a command lets the loop run: whoever runs it goes on */
    }
    mon->running = true;
    if (mon->mode == MONITOR_CONTROL) {
        qmp_session_run(mon);
    } else {
        hmp_session_run(mon);
    }
    mon->running = false;
    monitor_flush(mon);
}

void monitor_resume(Monitor *mon)
{
    monitor_run(mon);
    qemu_chr_fe_accept_input(&mon->chr);
}

static void monitor_drained(void *opaque)
{
    monitor_resume(opaque);
}

size_t monitor_out_len(const Monitor *mon)
{
    return mon->internal ? mon->out->len : chr_txq_len(&mon->tx);
}

void monitor_flush(Monitor *mon)
{
    if (!mon->internal) {
        chr_txq_flush(&mon->tx);
    }
}

void monitor_put_raw(Monitor *mon, const char *str, size_t len)
{
    if (mon->internal) {
        g_string_append_len(mon->out, str, len);
    } else if (mon->mode == MONITOR_CONTROL ||
               chr_txq_len(&mon->tx) <= MONITOR_OUT_MAX + MONITOR_OUT_PAUSE) {
        /* What nobody reads is not kept for ever. */
        chr_txq_put(&mon->tx, str, len);
    }
}

void monitor_puts(Monitor *mon, const char *str)
{
    const char *nl;

    while ((nl = strchr(str, '\n'))) {
        monitor_put_raw(mon, str, nl - str);
        monitor_put_raw(mon, "\r\n", 2);
        str = nl + 1;
    }
    monitor_put_raw(mon, str, strlen(str));
}

void monitor_printf(Monitor *mon, const char *fmt, ...)
{
    g_autofree char *s = NULL;
    va_list ap;

    va_start(ap, fmt);
    s = g_strdup_vprintf(fmt, ap);
    va_end(ap);
    monitor_puts(mon, s);
}

CPUState *monitor_cpu(Monitor *mon)
{
    MachineState *ms = mon->ms;

    if (!ms->cpus || mon->cpu_index >= ms->smp.cpus) {
        return NULL;
    }
    return ms->cpus[mon->cpu_index];
}

/* Descriptors handed over ------------------------------------------------ */

static void monitor_close_fd(gpointer data)
{
    close(GPOINTER_TO_INT(data) - 1);
}

void monitor_add_fd(Monitor *mon, const char *fdname, int fd)
{
    g_hash_table_insert(mon->fds, g_strdup(fdname), GINT_TO_POINTER(fd + 1));
}

int monitor_take_fd(Monitor *mon, const char *fdname)
{
    g_autofree char *key = NULL;
    gpointer fd;

    if (!g_hash_table_steal_extended(mon->fds, fdname, (gpointer *)&key, &fd)) {
        return -1;
    }
    return GPOINTER_TO_INT(fd) - 1;
}

int monitor_fd_param(MachineState *ms, Monitor *mon, const char *fdname,
                     Error **errp)
{
    MonitorHub *hub = ms->monitors;
    int fd = -1;

    if (g_ascii_isdigit(fdname[0])) {
        return fd_param_open(fdname, errp);
    }
    if (mon) {
        fd = monitor_take_fd(mon, fdname);
    }
    for (guint i = 0; !mon && hub && fd < 0 && i < hub->monitors->len; i++) {
        fd = monitor_take_fd(g_ptr_array_index(hub->monitors, i), fdname);
    }
    if (fd < 0) {
        error_setg(errp, "File descriptor named '%s' has not been found", fdname);
    }
    return fd;
}

/* Input ------------------------------------------------------------------- */

static int monitor_can_read(void *opaque)
{
    Monitor *mon = opaque;

    return mon->in->len || mon->job || qmp_session_busy(mon) || chr_txq_full(&mon->tx) ? 0 :
        MONITOR_CHUNK;
}

static void monitor_read(void *opaque, const uint8_t *buf, int size)
{
    Monitor *mon = opaque;

    g_byte_array_append(mon->in, buf, size);
    monitor_run(mon);
}

/* The peer went: the next one starts afresh. */
static void monitor_closed(Monitor *mon)
{
    chr_txq_cleanup(&mon->tx);
    g_byte_array_set_size(mon->in, 0);
    g_hash_table_remove_all(mon->fds);
    monitor_job_cancel(mon);
    if (mon->mode == MONITOR_CONTROL) {
        qmp_session_free(mon);
    } else {
        hmp_session_free(mon);
    }
}

static void monitor_event(void *opaque, QEMUChrEvent event)
{
    Monitor *mon = opaque;

    switch (event) {
    case CHR_EVENT_OPENED:
        if (mon->mode == MONITOR_CONTROL) {
            qmp_session_start(mon);
        } else if (mon->hub->started) {
            hmp_session_start(mon);
        } else {
            mon->greet = true;
        }
        break;
    case CHR_EVENT_CLOSED:
        mon->greet = false;
        monitor_closed(mon);
        return;
    case CHR_EVENT_MUX_IN:
        chr_txq_hold(&mon->tx, false);
        if (mon->line) {
            hmp_session_resume(mon);
        }
        break;
    case CHR_EVENT_MUX_OUT:
        if (mon->line && !mon->tx.held) {
            monitor_puts(mon, "\n");
            monitor_flush(mon);
        }
        chr_txq_hold(&mon->tx, true);
        break;
    case CHR_EVENT_RESIZE:
        if (mon->line) {
            hmp_line_resize(mon->line);
        }
        break;
    default:
        break;
    }
    monitor_flush(mon);
}

/* Life --------------------------------------------------------------------- */

static Monitor *monitor_new(MonitorHub *hub)
{
    Monitor *mon = g_new0(Monitor, 1);

    mon->hub = hub;
    mon->ms = hub->ms;
    mon->in = g_byte_array_new();
    mon->fds = g_hash_table_new_full(g_str_hash, g_str_equal, g_free,
                                     monitor_close_fd);
    return mon;
}

static void monitor_free(gpointer opaque)
{
    Monitor *mon = opaque;

    if (!mon->internal) {
        qmp_session_finish(mon);
        monitor_flush(mon);
        monitor_closed(mon);
        qemu_chr_fe_deinit(&mon->chr);
    }
    monitor_job_cancel(mon);
    if (mon->out) {
        g_string_free(mon->out, TRUE);
    }
    g_byte_array_unref(mon->in);
    g_hash_table_unref(mon->fds);
    g_free(mon->id);
    g_free(mon);
}

json_t *monitor_internal_text(const Monitor *mon)
{
    g_autofree char *text = g_utf8_make_valid(mon->out->str, mon->out->len);

    return json_string(text);
}

Monitor *monitor_new_internal(MonitorHub *hub, unsigned cpu_index, MonitorDoneFn *done,
                              void *opaque)
{
    Monitor *mon = monitor_new(hub);

    mon->done = done;
    mon->opaque = opaque;
    mon->internal = true;
    mon->out = g_string_new(NULL);
    mon->cpu_index = cpu_index;
    return mon;
}

void monitor_free_internal(Monitor *mon)
{
    monitor_free(mon);
}

static void hub_runstate(MachineState *ms, RunStateEvent event,
                         ShutdownCause cause, void *opaque)
{
    qmp_runstate_event(opaque, event, cause);
}

/* An event on its way from another thread to the main loop. */
typedef struct QueuedEvent {
    MachineState *ms;
    char *name;
    json_t *data;
} QueuedEvent;

static gboolean hub_send_queued(gpointer opaque)
{
    QueuedEvent *ev = opaque;

    if (ev->ms->monitors) {
        qmp_emit(ev->ms->monitors, ev->name, g_steal_pointer(&ev->data));
    }
    return G_SOURCE_REMOVE;
}

static void hub_free_queued(gpointer opaque)
{
    QueuedEvent *ev = opaque;

    json_decref(ev->data);
    g_free(ev->name);
    g_free(ev);
}

static void hub_machine_event(MachineState *ms, const char *event,
                              const EventField *fields, unsigned n)
{
    json_t *data = n ? json_object() : NULL;
    QueuedEvent *ev;

    for (unsigned i = 0; i < n; i++) {
        const EventField *f = &fields[i];
        json_t *v = f->type == EVENT_FIELD_STR ? (f->str ? json_string(f->str) : NULL) :
                    f->type == EVENT_FIELD_BOOL ? json_boolean(f->num) :
                    json_integer(f->num);
        if (v) {
            json_object_set_new(data, f->name, v);
        }
    }
    if (bql_locked()) {
        qmp_emit(ms->monitors, event, data);
        return;
    }
    ev = g_new0(QueuedEvent, 1);
    ev->ms = ms;
    ev->name = g_strdup(event);
    ev->data = data;
    g_idle_add_full(G_PRIORITY_DEFAULT, hub_send_queued, ev, hub_free_queued);
}

/* No prompt before the machine is there: what comes first may be an error, and the end. */
static gboolean hub_start(gpointer opaque)
{
    MonitorHub *hub = opaque;

    hub->started = true;
    for (guint i = 0; i < hub->monitors->len; i++) {
        Monitor *mon = g_ptr_array_index(hub->monitors, i);

        if (mon->greet) {
            hmp_session_start(mon);
            monitor_resume(mon);        /* what has been typed meanwhile */
        }
    }
    return G_SOURCE_REMOVE;
}

MonitorHub *monitor_hub(MachineState *ms)
{
    MonitorHub *hub = ms->monitors;

    if (!hub) {
        hub = ms->monitors = g_new0(MonitorHub, 1);
        hub->ms = ms;
        hub->monitors = g_ptr_array_new_with_free_func(monitor_free);
        ms->event_fn = hub_machine_event;
        net_set_stream_listener(qmp_stream_event, hub);
        block_set_listener(&qmp_block_listener, hub);
        runstate_add_notifier(ms, hub_runstate, hub);
        /* Before anything that has been typed is read. */
        g_idle_add_full(G_PRIORITY_HIGH, hub_start, hub, NULL);
    }
    return hub;
}

bool monitor_init(MachineState *ms, Chardev *chr, MonitorMode mode,
                  bool pretty, Error **errp)
{
    Monitor *mon = monitor_new(monitor_hub(ms));

    mon->mode = mode;
    mon->pretty = pretty;
    if (!qemu_chr_fe_init(&mon->chr, chr, errp)) {
        mon->internal = true;
        monitor_free(mon);
        return false;
    }
    g_ptr_array_add(mon->hub->monitors, mon);
    confine_need(CONFINE_MONITOR);
    chr_txq_init(&mon->tx, &mon->chr, MONITOR_OUT_PAUSE, monitor_drained, mon);
    /* On a mux the first frontend keeps the focus until Ctrl-A c. */
    chr_txq_hold(&mon->tx, !strcmp(chr->obj.oc->name, "mux"));
    qemu_chr_fe_set_handlers(&mon->chr, monitor_can_read, monitor_read,
                             monitor_event, mon);
    return true;
}

bool monitor_init_compat(MachineState *ms, const char *filename,
                         MonitorMode mode, bool pretty, Error **errp)
{
    MonitorHub *hub = monitor_hub(ms);
    g_autofree char *label = NULL;
    Error *err = NULL;
    bool mux_mon = false;
    Chardev *chr;

    if (!strcmp(filename, "none")) {
        return true;
    }
    label = g_strdup_printf("compat_monitor%u", hub->next_compat++);
    chr = qemu_chr_new(label, filename, &mux_mon, &err);
    if (!chr) {
        error_propagate(errp, err);
        return !err;
    }
    return monitor_init(ms, chr, mode, pretty, errp);
}

bool monitor_init_opts(MachineState *ms, QemuOpts *opts, Error **errp)
{
    const char *name = qemu_opt_get(opts, "mode");
    const char *chardev = qemu_opt_get(opts, "chardev");
    MonitorMode mode = MONITOR_READLINE;
    const QemuOpt *bad;
    Error *err = NULL;
    Chardev *chr;
    bool pretty;

    qemu_opt_get(opts, "id");
    pretty = qemu_opt_get_bool(opts, "pretty", false, &err);
    if (err) {
        error_propagate(errp, err);
        return false;
    }
    if (name && !strcmp(name, "control")) {
        mode = MONITOR_CONTROL;
    } else if (name && strcmp(name, "readline")) {
        error_setg(errp, "Parameter 'mode' does not accept value '%s'", name);
        return false;
    }
    if (pretty && mode == MONITOR_READLINE) {
        error_setg(errp, "'pretty' is not compatible with HMP monitors");
        return false;
    }
    bad = qemu_opts_first_unused(opts);
    if (bad) {
        error_setg(errp, "Parameter '%s' is unexpected", bad->name);
        return false;
    }
    if (!chardev) {
        error_setg(errp, "Parameter 'chardev' is missing");
        return false;
    }
    chr = qemu_chr_find(chardev);
    if (!chr) {
        error_setg(errp, "chardev \"%s\" not found", chardev);
        return false;
    }
    return monitor_init(ms, chr, mode, pretty, errp);
}

void monitor_cleanup(MachineState *ms)
{
    MonitorHub *hub = ms->monitors;

    if (!hub) {
        return;
    }
    dump_cleanup(hub);
    runstate_del_notifier(ms, hub_runstate, hub);
    ms->event_fn = NULL;
    net_set_stream_listener(NULL, NULL);
    block_set_listener(NULL, NULL);
    g_ptr_array_unref(hub->monitors);
    ms->monitors = NULL;
    g_free(hub);
}
