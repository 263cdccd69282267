/*
 * What the files of monitor/ share.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef MONITOR_INTERNAL_H
#define MONITOR_INTERNAL_H

#include <jansson.h>

#include "chardev/char-txq.h"
#include "monitor/monitor.h"

typedef struct HmpLine HmpLine;
typedef struct QmpSession QmpSession;
typedef struct MonitorJob MonitorJob;

/* All monitors of a machine. */
struct MonitorHub {
    MachineState *ms;
    GPtrArray *monitors;        /* of Monitor; owned */
    bool started;               /* the main loop runs: the machine is complete */
    unsigned next_compat;       /* N of the next compat_monitorN */
    struct DumpJob *dump;       /* the last dump-guest-memory, or NULL */
};

/* A reader that takes nothing is cut off from events at this backlog, bytes. */
#define MONITOR_OUT_MAX         (1u << 20)
/* No further command is run while more than this waits to be written, bytes. */
#define MONITOR_OUT_PAUSE       (64u << 10)

/* The command of an internal monitor, which was a job, is done; it may be freed here. */
typedef void MonitorDoneFn(Monitor *mon, void *opaque);

struct Monitor {
    MonitorHub *hub;
    MachineState *ms;
    CharBackend chr;
    bool internal;              /* human-monitor-command: only collects output */
    MonitorDoneFn *done;        /* internal: see monitor_new_internal() */
    void *opaque;
    MonitorMode mode;
    bool greet;                 /* READLINE: a peer came before the main loop */
    bool pretty;
    char *id;                   /* -mon id=; may be NULL */

    CharTxQueue tx;             /* the peer's; held while a mux's focus is elsewhere */
    GString *out;               /* internal: what was said */

    GByteArray *in;             /* read but not yet looked at */
    bool running;               /* inside of a command, or between those of a run */
    MonitorJob *job;            /* the command that is not done yet, or NULL */
    HmpLine *line;              /* READLINE only */
    QmpSession *qmp;            /* CONTROL only */

    GHashTable *fds;            /* getfd: name -> descriptor + 1 */
    unsigned cpu_index;         /* "cpu N" */
    uint64_t next_addr;         /* where a bare "x" goes on */
};

/* Queue text; "\n" becomes "\r\n" on the way. */
void monitor_puts(Monitor *mon, const char *str);
void monitor_printf(Monitor *mon, const char *fmt, ...) G_GNUC_PRINTF(2, 3);
/* Queue bytes as they are. */
void monitor_put_raw(Monitor *mon, const char *str, size_t len);
/* How much is queued and not yet written; what an internal one has collected. */
size_t monitor_out_len(const Monitor *mon);
/* Write what the peer takes now and arrange for the rest. */
void monitor_flush(Monitor *mon);
/* Go on with what the peer has sent: whatever made the session wait is over. */
void monitor_resume(Monitor *mon);
/* ms->monitors, which is made if there is none yet. */
MonitorHub *monitor_hub(MachineState *ms);
/*
 * The collector behind human-monitor-command and gdb's "monitor". Where mon->job is set after
 * a command, done(mon, opaque) comes later. monitor_free_internal() ends it, and the job.
 */
Monitor *monitor_new_internal(MonitorHub *hub, unsigned cpu_index, MonitorDoneFn *done,
                              void *opaque);
/* What it has collected. */
json_t *monitor_internal_text(const Monitor *mon);
void monitor_free_internal(Monitor *mon);
/* The CPU that "cpu N" chose, or NULL when the machine has none. */
CPUState *monitor_cpu(Monitor *mon);
/* Name a descriptor (taken over), replacing one of that name. */
void monitor_add_fd(Monitor *mon, const char *fdname, int fd);
/* Forget and return the descriptor, or -1. */
int monitor_take_fd(Monitor *mon, const char *fdname);

/* Commands in steps (job.c) ------------------------------------------------ */

/* One step, short of some milliseconds. True: there is more. False: done, or errp is set. */
typedef bool MonitorStepFn(Monitor *mon, void *opaque, Error **errp);
/*
 * For a command's function, as its last deed: the command is not done when the function
 * returns, but when a step says so, or monitor_job_done() if there is no step. Until then
 * nothing of this client's is run. free is called in any case, also when the client goes.
 * fd: steps are run while this descriptor takes output; -1: whenever the loop has time.
 */
void monitor_job_start(Monitor *mon, int fd, MonitorStepFn *step, GDestroyNotify free,
                       void *opaque);
/* Done: with ret (NULL: an empty object) or err, both consumed. */
void monitor_job_done(Monitor *mon, json_t *ret, Error *err);
/* The client has gone; harmless without a job. */
void monitor_job_cancel(Monitor *mon);

/* HMP (hmp.c) ------------------------------------------------------------ */

void hmp_session_start(Monitor *mon);           /* banner and prompt */
void hmp_session_run(Monitor *mon);             /* as qmp_session_run() */
void hmp_session_resume(Monitor *mon);          /* prompt again, with the line */
void hmp_session_free(Monitor *mon);
/* Run one line; output goes to mon. */
void hmp_execute(Monitor *mon, const char *line);

/* Lines that are typed (hmp-line.c) ----------------------------------------- */

typedef void HmpLineFn(Monitor *mon, const char *line);
/* Append completions of the line's end to list (of char *). */
typedef void HmpCompleteFn(Monitor *mon, const char *line, GPtrArray *list);

HmpLine *hmp_line_new(Monitor *mon, const char *prompt, HmpLineFn *fn,
                      HmpCompleteFn *complete);
void hmp_line_free(HmpLine *hl);
/* Show the prompt and what is typed so far. */
void hmp_line_show(HmpLine *hl);
void hmp_line_input(HmpLine *hl, uint8_t ch);
/* A command that waited is done: prompt for the next. */
void hmp_line_next(HmpLine *hl);
/* The terminal may have another size now. */
void hmp_line_resize(HmpLine *hl);
/* The i-th line of the history, oldest first, to be freed; or NULL. */
char *hmp_line_history(const HmpLine *hl, unsigned i);

/* QMP (qmp.c) -------------------------------------------------------------- */

void qmp_session_start(Monitor *mon);           /* greeting */
/* Parse and run from mon->in until it is used up or the session must wait. */
void qmp_session_run(Monitor *mon);
bool qmp_session_busy(const Monitor *mon);
/* Answer the command that was a job; ret and err are consumed. */
void qmp_session_answer(Monitor *mon, json_t *ret, Error *err);
/* Write a response that was held back for its event. */
void qmp_session_finish(Monitor *mon);
void qmp_session_free(Monitor *mon);
/* The same from a name and data (taken over; may be NULL), with the time. */
void qmp_emit(MonitorHub *hub, const char *name, json_t *data);
/* A runstate change or a machine event, as QMP says it. */
void qmp_runstate_event(MonitorHub *hub, int event, int cause);

/*
 * Run a command by name, as if a client had sent it: checks args (not
 * consumed; NULL: none) against the table. A new reference, or NULL with errp.
 */
json_t *qmp_call(Monitor *mon, const char *name, json_t *args, Error **errp);

/* Dumps (dump.c) ------------------------------------------------------------ */

/* A detached dump is being written: the machine must stay as it is. */
bool dump_in_progress(const MonitorHub *hub);
/* A machine that stands still for it does not run afterwards. */
void dump_stay_stopped(MonitorHub *hub);
/* Wait for it and forget it. */
void dump_cleanup(MonitorHub *hub);

#endif
