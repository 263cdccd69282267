/*
 * The command line: a table of options, stored first and carried out by phase.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef SYSTEM_OPTIONS_H
#define SYSTEM_OPTIONS_H

#include "hw/boards.h"
#include "qemu/option.h"

/*
 * When an option takes effect, whatever its place on the command line: so a
 * -device may stand before its -drive.
 */
typedef enum OptionPhase {
    PHASE_NONE,         /* accepted, without effect */
    PHASE_SELECT,       /* which machine, which accelerator */
    PHASE_EARLY,        /* the process: logging, names, -daemonize */
    PHASE_MACHINE,      /* properties of the machine */
    PHASE_OBJECT,
    PHASE_CHARDEV,
    PHASE_BLOCKDEV,
    PHASE_DRIVE,
    PHASE_NETDEV,
    PHASE_MONITOR,
    PHASE_SERIAL,
    PHASE_DEVICE,       /* after the machine's own parts are there */
    PHASE_LATE,         /* all is built; nothing has run */
} OptionPhase;

/* What the command line says about the process, not the machine. */
typedef struct VLState {
    GArray *stored;             /* of StoredOption, in order */
    MachineState *ms;
    QemuOpts *machine_opts;     /* all -machine options, merged */
    GPtrArray *accels;          /* of QemuOpts: each -accel */
    bool nodefaults;
    bool nographic;
    bool has_serial;
    bool has_monitor;
    bool paused;                /* -S */
    bool daemonize;
    char *pidfile;
    char *mem_path;
    bool mem_prealloc;
    bool ram_size_given;        /* -m */
    char *process_name;
    const char *qtest_log;      /* -qtest-log */
    int escape;                 /* -echr; 0: the default */
    bool nested_devices;        /* second pass of -device: see opt_device() */
    bool running;               /* the main loop has been entered */
    bool done;                  /* help was printed: leave with status 0 */
} VLState;

typedef struct OptionRow {
    const char *name;           /* without dashes */
    const char *arg;            /* what help shows; NULL: takes no argument */
    const char *help;
    OptionPhase phase;
    /* arg as written; opts only with keyval (the callee may keep a clone). */
    bool (*fn)(VLState *vl, const char *arg, QemuOpts *opts, Error **errp);
    bool keyval;                /* arg is a key=value list */
    const char *implied_key;    /* of its first bare word */
    /* Print what "help" as the argument asks for; false if arg does not ask. */
    bool (*print_help)(const char *arg, QemuOpts *opts);
} OptionRow;

/* An option as given, waiting for its phase. */
typedef struct StoredOption {
    const OptionRow *row;
    const char *arg;
    QemuOpts *opts;
    char *where;                /* "-device virtio-blk-device": for messages */
} StoredOption;

/* The rows, ending with a NULL name. */
extern const OptionRow option_table[];

/*
 * Match argv with the table and store. Syntax errors of key=value lists are
 * found here. Prints the help that is asked for and sets vl->done. False with errp set.
 */
bool options_parse(VLState *vl, int argc, char **argv, Error **errp);
/* Call the functions of one phase's options, in order; messages name them. */
bool options_run_phase(VLState *vl, OptionPhase phase, Error **errp);
/* Call fn for the stored options of a phase; no order between phases. */
typedef void StoredOptionFn(VLState *vl, const StoredOption *so);
void options_foreach(VLState *vl, OptionPhase phase, StoredOptionFn *fn);
void options_free(VLState *vl);

/* -h: on stdout. */
void options_print_help(void);
/* The line that -version prints first. */
void options_print_version(void);

/* The functions behind the rows, by topic: see the file named. */

/* system/opts-machine.c */
bool opt_machine(VLState *, const char *, QemuOpts *, Error **);
bool opt_accel(VLState *, const char *, QemuOpts *, Error **);
bool opt_enable_kvm(VLState *, const char *, QemuOpts *, Error **);
bool opt_cpu(VLState *, const char *, QemuOpts *, Error **);
bool opt_smp(VLState *, const char *, QemuOpts *, Error **);
bool opt_m(VLState *, const char *, QemuOpts *, Error **);
bool opt_mem_path(VLState *, const char *, QemuOpts *, Error **);
bool opt_mem_prealloc(VLState *, const char *, QemuOpts *, Error **);
bool opt_overcommit(VLState *, const char *, QemuOpts *, Error **);
bool opt_numa(VLState *, const char *, QemuOpts *, Error **);
bool opt_kernel(VLState *, const char *, QemuOpts *, Error **);
bool opt_initrd(VLState *, const char *, QemuOpts *, Error **);
bool opt_append(VLState *, const char *, QemuOpts *, Error **);
bool opt_global(VLState *, const char *, QemuOpts *, Error **);
bool opt_object(VLState *, const char *, QemuOpts *, Error **);
bool opt_device(VLState *, const char *, QemuOpts *, Error **);
bool help_machine(const char *, QemuOpts *);
bool help_accel(const char *, QemuOpts *);
bool help_cpu(const char *, QemuOpts *);
bool help_object(const char *, QemuOpts *);
bool help_device(const char *, QemuOpts *);
/* The machine class that -machine asks for; NULL with errp set. */
const MachineClass *select_machine(VLState *vl, Error **errp);
/* Warn about -global rows that no class used. */
void warn_unused_globals(MachineState *ms);

/* system/opts-block.c */
bool opt_drive(VLState *, const char *, QemuOpts *, Error **);
bool opt_blockdev(VLState *, const char *, QemuOpts *, Error **);

/* system/opts-process.c */
bool opt_name(VLState *, const char *, QemuOpts *, Error **);
bool opt_uuid(VLState *, const char *, QemuOpts *, Error **);
bool opt_msg(VLState *, const char *, QemuOpts *, Error **);
bool opt_d(VLState *, const char *, QemuOpts *, Error **);
bool opt_logfile(VLState *, const char *, QemuOpts *, Error **);
bool opt_daemonize(VLState *, const char *, QemuOpts *, Error **);
bool opt_pidfile(VLState *, const char *, QemuOpts *, Error **);
bool opt_stopped(VLState *, const char *, QemuOpts *, Error **);
bool opt_no_reboot(VLState *, const char *, QemuOpts *, Error **);
bool opt_no_shutdown(VLState *, const char *, QemuOpts *, Error **);
bool opt_action(VLState *, const char *, QemuOpts *, Error **);
bool opt_nodefaults(VLState *, const char *, QemuOpts *, Error **);
bool opt_nographic(VLState *, const char *, QemuOpts *, Error **);
bool opt_display(VLState *, const char *, QemuOpts *, Error **);
bool opt_must_be_none(VLState *, const char *, QemuOpts *, Error **);
bool opt_rtc(VLState *, const char *, QemuOpts *, Error **);
bool opt_boot(VLState *, const char *, QemuOpts *, Error **);
bool opt_audiodev(VLState *, const char *, QemuOpts *, Error **);
bool opt_sandbox(VLState *, const char *, QemuOpts *, Error **);
bool help_version(const char *, QemuOpts *);
bool help_usage(const char *, QemuOpts *);
bool help_d(const char *, QemuOpts *);
bool help_display(const char *, QemuOpts *);

/* system/opts-char.c */
bool opt_chardev(VLState *, const char *, QemuOpts *, Error **);
bool opt_serial(VLState *, const char *, QemuOpts *, Error **);
bool opt_monitor(VLState *, const char *, QemuOpts *, Error **);
bool opt_qmp(VLState *, const char *, QemuOpts *, Error **);
bool opt_qmp_pretty(VLState *, const char *, QemuOpts *, Error **);
bool opt_mon(VLState *, const char *, QemuOpts *, Error **);
bool opt_echr(VLState *, const char *, QemuOpts *, Error **);
bool help_chardev(const char *, QemuOpts *);
/* What -nographic adds when nothing else is said. */
bool add_default_serial(VLState *vl, Error **errp);

/* system/opts-net.c */
bool opt_netdev(VLState *, const char *, QemuOpts *, Error **);
bool opt_nic(VLState *, const char *, QemuOpts *, Error **);
bool opt_net(VLState *, const char *, QemuOpts *, Error **);
bool help_netdev(const char *, QemuOpts *);

/* system/opts-debug.c */
bool opt_qtest(VLState *, const char *, QemuOpts *, Error **);
bool opt_gdb(VLState *, const char *, QemuOpts *, Error **);
bool opt_s(VLState *, const char *, QemuOpts *, Error **);
bool opt_qtest_log(VLState *, const char *, QemuOpts *, Error **);

/* system/os-posix.c */

/* Have 0, 1 and 2 open, so that no file of ours gets our messages. */
void os_open_standard_fds(void);
/* Small stacks for all threads that will be started. */
void os_limit_stacks(void);

/*
 * Fork; the parent waits until the child calls os_daemonize_done() (exit
 * status 0) or ends (status 1). Returns in the child only; false with errp.
 */
bool os_daemonize(Error **errp);
bool os_daemonize_done(Error **errp);
/* Write and lock the pid file; it is removed by os_remove_pidfile(). */
bool os_create_pidfile(const char *path, Error **errp);
void os_remove_pidfile(void);
/*
 * SIGTERM, SIGINT and SIGHUP are reported and call fn from the main loop; SIGPIPE
 * is ignored. Before any thread is started.
 */
typedef void SignalFn(void *opaque);
bool os_setup_signals(SignalFn *fn, void *opaque, Error **errp);
/* -overcommit mem-lock=on */
bool os_mlock(Error **errp);
/* The name in ps; thread names follow it. */
void os_set_process_name(const char *name);

#endif
