/*
 * QMP sessions: negotiation, dispatch, answers and events.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <string.h>

#include "hw/core/event.h"
#include "qemu/main-loop.h"
#include "qemu/trace.h"
#include "qmp-parser.h"
#include "qmp-types.h"
#include "qmp.h"
#include "version.h"

/* A message that the parser has found; value is NULL for a malformed one. */
typedef struct QmpRequest {
    json_t *value;
    char *id;
    char *error;
} QmpRequest;

struct QmpSession {
    Monitor *mon;
    QmpParser *parser;
    GQueue requests;        /* of QmpRequest: at most two */
    bool negotiated;
    char *job_id;           /* of the command that is a job; may be NULL */
    char *held;             /* an answer that waits for its event */
    guint held_source;
};

/* Values ---------------------------------------------------------------------- */

const char *qmp_str(json_t *args, const char *name)
{
    return json_string_value(json_object_get(args, name));
}

int64_t qmp_int(json_t *args, const char *name, int64_t def)
{
    json_t *v = json_object_get(args, name);

    return v ? json_integer_value(v) : def;
}

bool qmp_bool(json_t *args, const char *name, bool def)
{
    json_t *v = json_object_get(args, name);

    return v ? json_is_true(v) : def;
}

/* Output ---------------------------------------------------------------------- */

static char *dump_json(const Monitor *mon, json_t *v)
{
    size_t flags = JSON_ENSURE_ASCII | JSON_ENCODE_ANY;
    char *text = json_dumps(v, mon->pretty ? flags | JSON_INDENT(4) : flags);
    char *copy = g_strdup(text);

    free(text);
    return copy;
}

static void send_line(Monitor *mon, const char *text)
{
    monitor_puts(mon, text);
    monitor_put_raw(mon, "\r\n", 2);
}

static const char *class_name(ErrorClass cls)
{
    static const char *const names[] = {
        [ERROR_CLASS_GENERIC_ERROR] = "GenericError",
        [ERROR_CLASS_COMMAND_NOT_FOUND] = "CommandNotFound",
        [ERROR_CLASS_DEVICE_NOT_ACTIVE] = "DeviceNotActive",
        [ERROR_CLASS_DEVICE_NOT_FOUND] = "DeviceNotFound",
        [ERROR_CLASS_KVM_MISSING_CAP] = "KVMMissingCap",
    };

    return names[cls];
}

/* The answer's text; ret and err are consumed, id is a JSON text or NULL. */
static char *make_answer(Monitor *mon, json_t *ret, Error *err, const char *id)
{
    g_autofree char *body = NULL;
    const char *sep = mon->pretty ? ",\n    " : ", ";
    const char *in = mon->pretty ? "\n    " : "", *out = mon->pretty ? "\n" : "";
    bool failed = err != NULL;
    char *answer;

    if (failed) {
        g_autofree char *desc = g_utf8_make_valid(error_get_pretty(err), -1);

        ret = json_pack("{s:s,s:s}", "class", class_name(error_get_class(err)),
                        "desc", desc);
        error_free(err);
    } else if (!ret) {
        ret = json_object();
    }
    body = dump_json(mon, ret);
    json_decref(ret);
    if (mon->pretty) {
        g_auto(GStrv) lines = g_strsplit(body, "\n", -1);

        g_free(body);
        body = g_strjoinv("\n    ", lines);
    }
    if (failed) {
        answer = g_strdup_printf("{%s%s%s%s\"error\": %s%s}", in, id ? "\"id\": " : "",
                                 id ? id : "", id ? sep : "", body, out);
    } else {
        answer = g_strdup_printf("{%s\"return\": %s%s%s%s%s}", in, body, id ? sep : "",
                                 id ? "\"id\": " : "", id ? id : "", out);
    }
    return answer;
}

void qmp_session_finish(Monitor *mon)
{
    QmpSession *s = mon->qmp;

    if (s && s->held) {
        g_clear_handle_id(&s->held_source, g_source_remove);
        send_line(mon, s->held);
        g_clear_pointer(&s->held, g_free);
    }
}

static gboolean send_held(gpointer opaque)
{
    Monitor *mon = opaque;

    mon->qmp->held_source = 0;
    qmp_session_finish(mon);
    monitor_resume(mon);
    return G_SOURCE_REMOVE;
}

/* Dispatch -------------------------------------------------------------------- */

static const QmpCommand *find_command(const char *name)
{
    for (unsigned i = 0; qmp_command_tables[i]; i++) {
        for (const QmpCommand *c = qmp_command_tables[i]; c->name; c++) {
            if (!strcmp(c->name, name)) {
                return c;
            }
        }
    }
    return NULL;
}

static json_t *run_command(Monitor *mon, const QmpCommand *cmd, json_t *args,
                           Error **errp)
{
    json_t *ret, *empty = args ? NULL : json_object();
    Error *err = NULL;

    args = args ? args : empty;
    ret = qmp_check_args(cmd->args, args, &err) ? cmd->fn(mon, args, &err) : NULL;
    json_decref(empty);
    if (err) {
        json_decref(ret);
        error_propagate(errp, err);
        return NULL;
    }
    return ret ? ret : json_object();
}

json_t *qmp_call(Monitor *mon, const char *name, json_t *args, Error **errp)
{
    const QmpCommand *cmd = find_command(name);

    g_assert(cmd);
    return run_command(mon, cmd, args, errp);
}

/* The command of a message, or NULL with errp set. */
static const QmpCommand *check_request(QmpSession *s, json_t *req, Error **errp)
{
    json_t *exec = json_object_get(req, "execute"), *v;
    const QmpCommand *cmd;
    const char *key;

    if (!json_is_object(req)) {
        error_setg(errp, "QMP input must be a JSON object");
        return NULL;
    }
    json_object_foreach(req, key, v) {
        if (!strcmp(key, "execute") && !json_is_string(v)) {
            error_setg(errp, "QMP input member 'execute' must be a string");
            return NULL;
        }
        if (!strcmp(key, "arguments") && !json_is_object(v)) {
            error_setg(errp, "QMP input member 'arguments' must be an object");
            return NULL;
        }
        if (strcmp(key, "execute") && strcmp(key, "arguments") && strcmp(key, "id")) {
            error_setg(errp, "QMP input member '%s' is unexpected", key);
            return NULL;
        }
    }
    if (!exec) {
        error_setg(errp, "QMP input lacks member 'execute'");
        return NULL;
    }
    cmd = find_command(json_string_value(exec));
    if (!s->negotiated && !(cmd && cmd->flags & QMP_NEGOTIATION)) {
        error_set(errp, ERROR_CLASS_COMMAND_NOT_FOUND, "Expecting capabilities "
                  "negotiation with 'qmp_capabilities'");
        return NULL;
    }
    if (!cmd) {
        error_set(errp, ERROR_CLASS_COMMAND_NOT_FOUND,
                  "The command %s has not been found", json_string_value(exec));
    } else if (s->negotiated && cmd->flags & QMP_NEGOTIATION) {
        error_set(errp, ERROR_CLASS_COMMAND_NOT_FOUND, "Capabilities negotiation "
                  "is already complete, command ignored");
        return NULL;
    }
    return cmd;
}

static void handle_request(QmpSession *s, QmpRequest *req)
{
    Monitor *mon = s->mon;
    const QmpCommand *cmd = NULL;
    json_t *ret = NULL;
    Error *err = NULL;
    char *answer;

    if (req->error) {
        error_setg(&err, "%s", req->error);
    } else {
        cmd = check_request(s, req->value, &err);
    }
    if (cmd) {
        trace(handle_qmp_command, "%s", cmd->name);
        ret = run_command(mon, cmd, json_object_get(req->value, "arguments"), &err);
    }
    if (cmd && cmd->flags & QMP_NEGOTIATION && !err) {
        s->negotiated = true;
    }
    if (mon->job) {
        json_decref(ret);
        s->job_id = g_steal_pointer(&req->id);
        return;
    }
    answer = make_answer(mon, ret, err, req->id);
    trace(monitor_qmp_respond, "%s", ret ? "return" : "error");
    if (cmd && cmd->flags & QMP_EVENT_FIRST && ret) {
        s->held = answer;
        s->held_source = g_idle_add_full(G_PRIORITY_DEFAULT, send_held, mon, NULL);
    } else {
        send_line(mon, answer);
        g_free(answer);
    }
}

void qmp_session_answer(Monitor *mon, json_t *ret, Error *err)
{
    g_autofree char *id = g_steal_pointer(&mon->qmp->job_id);
    g_autofree char *answer = make_answer(mon, ret, err, id);

    trace(monitor_qmp_respond, "%s", err ? "error" : "return");
    send_line(mon, answer);
}

static void free_request(gpointer data)
{
    QmpRequest *req = data;

    json_decref(req->value);
    g_free(req->id);
    g_free(req->error);
    g_free(req);
}

static void parsed(json_t *value, const char *id, const char *error, void *opaque)
{
    QmpSession *s = opaque;
    QmpRequest *req = g_new0(QmpRequest, 1);

    req->value = value;
    req->id = g_strdup(id);
    req->error = g_strdup(error);
    g_queue_push_tail(&s->requests, req);
}

bool qmp_session_busy(const Monitor *mon)
{
    return mon->qmp && mon->qmp->held;
}

void qmp_session_run(Monitor *mon)
{
    QmpSession *s = mon->qmp;
    guint done = 0;

    if (!s) {
        return;
    }
    for (;;) {
        QmpRequest *req;

        if (s->held || mon->job || chr_txq_full(&mon->tx)) {
            break;
        }
        req = g_queue_pop_head(&s->requests);
        if (req) {
            handle_request(s, req);
            free_request(req);
            continue;
        }
        if (done == mon->in->len) {
            break;
        }
        while (done < mon->in->len && !s->requests.length) {
            qmp_parser_feed(s->parser, mon->in->data[done++]);
        }
    }
    g_byte_array_remove_range(mon->in, 0, done);
}

/* Sessions -------------------------------------------------------------------- */

static json_t *version_info(void)
{
    return json_pack("{s:{s:i,s:i,s:i},s:s}", "qemu", "micro", QEMU_INTERFACE_MICRO,
                     "minor", QEMU_INTERFACE_MINOR, "major", QEMU_INTERFACE_MAJOR,
                     "package", "microvm " MICROVM_VERSION);
}

void qmp_session_start(Monitor *mon)
{
    json_t *greeting = json_pack("{s:{s:o,s:[]}}", "QMP", "version", version_info(),
                                 "capabilities");
    g_autofree char *text = dump_json(mon, greeting);
    QmpSession *s = g_new0(QmpSession, 1);

    qmp_session_free(mon);
    s->mon = mon;
    s->parser = qmp_parser_new(parsed, s);
    mon->qmp = s;
    send_line(mon, text);
    json_decref(greeting);
}

void qmp_session_free(Monitor *mon)
{
    QmpSession *s = mon->qmp;

    if (s) {
        g_clear_handle_id(&s->held_source, g_source_remove);
        g_free(s->held);
        g_free(s->job_id);
        g_queue_clear_full(&s->requests, free_request);
        qmp_parser_free(s->parser);
        g_free(s);
        mon->qmp = NULL;
    }
}

/* Events ---------------------------------------------------------------------- */

/* Send an event object to every negotiated session; takes over event. */
static void send_event(MonitorHub *hub, json_t *event)
{
    for (guint i = 0; i < hub->monitors->len; i++) {
        Monitor *mon = g_ptr_array_index(hub->monitors, i);
        g_autofree char *text = NULL;

        if (!mon->qmp || !mon->qmp->negotiated || monitor_out_len(mon) > MONITOR_OUT_MAX) {
            continue;
        }
        text = dump_json(mon, event);
        send_line(mon, text);
        if (!mon->running) {
            monitor_flush(mon);
        }
    }
    json_decref(event);
}

void qmp_emit(MonitorHub *hub, const char *name, json_t *data)
{
    gint64 now = g_get_real_time();
    json_t *event = json_pack("{s:{s:I,s:I},s:s}", "timestamp",
                              "seconds", (json_int_t)(now / G_USEC_PER_SEC),
                              "microseconds", (json_int_t)(now % G_USEC_PER_SEC),
                              "event", name);

    trace(monitor_protocol_event_emit, "%s", name);
    if (data) {
        json_object_set_new(event, "data", data);
    }
    send_event(hub, event);
}

static json_t *cause_data(ShutdownCause cause)
{
    return json_pack("{s:b,s:s}", "guest", shutdown_caused_by_guest(cause),
                     "reason", shutdown_cause_name(cause));
}

void qmp_runstate_event(MonitorHub *hub, int event, int cause)
{
    switch ((RunStateEvent)event) {
    case RUN_STATE_EVENT_STOP:
        /* The end itself is told by SHUTDOWN, unless the machine stays. */
        if (hub->ms->rsm.state == RUN_STATE_SHUTDOWN &&
            hub->ms->rsm.shutdown_action == SHUTDOWN_ACTION_POWEROFF) {
            break;
        }
        qmp_emit(hub, "STOP", NULL);
        break;
    case RUN_STATE_EVENT_RESUME:
        qmp_emit(hub, "RESUME", NULL);
        break;
    case RUN_STATE_EVENT_RESET:
        if (cause != SHUTDOWN_CAUSE_NONE) {
            qmp_emit(hub, "RESET", cause_data(cause));
        }
        break;
    case RUN_STATE_EVENT_SHUTDOWN:
        qmp_emit(hub, "SHUTDOWN", cause_data(cause));
        break;
    case RUN_STATE_EVENT_POWERDOWN:
        qmp_emit(hub, "POWERDOWN", NULL);
        break;
    }
}

/* Commands about the protocol itself ------------------------------------------- */

json_t *qmp_capabilities(Monitor *mon, json_t *args, Error **errp)
{
    json_t *cap, *list = json_object_get(args, "enable");
    size_t i;

    json_array_foreach(list, i, cap) {
        error_setg(errp, "Parameter 'enable' does not accept value '%s'",
                   json_string_value(cap));
        return NULL;
    }
    return NULL;
}

json_t *qmp_query_version(Monitor *mon, json_t *args, Error **errp)
{
    return version_info();
}

json_t *qmp_query_commands(Monitor *mon, json_t *args, Error **errp)
{
    json_t *list = json_array();

    for (unsigned i = 0; qmp_command_tables[i]; i++) {
        for (const QmpCommand *c = qmp_command_tables[i]; c->name; c++) {
            json_array_append_new(list, json_pack("{s:s}", "name", c->name));
        }
    }
    return list;
}

json_t *qmp_query_events(Monitor *mon, json_t *args, Error **errp)
{
    json_t *list = json_array();

    for (unsigned i = 0; qmp_event_tables[i]; i++) {
        for (const QmpEvent *e = qmp_event_tables[i]; e->name; e++) {
            json_array_append_new(list, json_pack("{s:s}", "name", e->name));
        }
    }
    return list;
}

json_t *qmp_query_schema(Monitor *mon, json_t *args, Error **errp)
{
    return qmp_schema();
}

/* The job of the client's own session is the monitor of its command: it goes, too. */
static void answer_client(Monitor *hmp, void *client)
{
    monitor_job_done(client, monitor_internal_text(hmp), NULL);
}

static void free_internal(gpointer hmp)
{
    monitor_free_internal(hmp);
}

json_t *qmp_human_monitor_command(Monitor *mon, json_t *args, Error **errp)
{
    Monitor *hmp = monitor_new_internal(mon->hub, qmp_int(args, "cpu-index", 0), answer_client,
                                        mon);
    json_t *ret;

    if (hmp->cpu_index && !monitor_cpu(hmp)) {
        error_setg(errp, "Parameter 'cpu-index' expects a CPU number");
        monitor_free_internal(hmp);
        return NULL;
    }
    hmp_execute(hmp, qmp_str(args, "command-line"));
    if (hmp->job) {
        monitor_job_start(mon, -1, NULL, free_internal, hmp);
        return NULL;
    }
    ret = monitor_internal_text(hmp);
    monitor_free_internal(hmp);
    return ret;
}
