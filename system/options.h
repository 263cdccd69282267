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
    PHASE_NUMA,         /* parts of the machine, of which there may be several */
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
    bool snapshot;
    bool nographic;
    QemuOpts *net_nic;          /* -net nic; owned */
    QemuOpts *net_backend;      /* the other -net; owned */
    bool has_serial;
    bool has_monitor;
    bool paused;                /* -S */
    const char *incoming;       /* -incoming; NULL: none */
    const char *loadvm;         /* -loadvm; NULL: none */
    bool only_migratable;
    bool daemonize;
    char *pidfile;
    char *mem_path;
    bool mem_prealloc;
    bool ram_size_given;        /* -m */
    char *process_name;
    const char *qtest_log;      /* -qtest-log */
    int escape;                 /* -echr; 0: the default */
    bool late_objects;          /* second pass of -object: see opt_object() */
    bool nested_devices;        /* second pass of -device: see opt_device() */
    OnOffAuto hints;            /* -msg hints= */
    bool running;               /* the main loop has been entered */
    bool sigterm_powerdown;     /* -action sigterm= */
    bool dump_guest_core;   /* asked for: memory may be in a core file */
    bool button_pressed;        /* by a SIGTERM */
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
    const char *section;        /* the heading that this row and those after it have in help */
    bool is_file;               /* arg names one with options: options_read_config() */
} OptionRow;

/* An option as given, waiting for its phase. */
typedef struct StoredOption {
    const OptionRow *row;
    const char *arg;
    QemuOpts *opts;
    char *where;                /* "-device virtio-blk-device": for messages */
    char *owned;                /* arg, if it does not come from argv */
} StoredOption;

/* The row of an option without its dashes; NULL: there is none. */
const OptionRow *options_find(const char *name);
/* The rows, ending with a NULL name. */
extern const OptionRow option_table[];

/* What QEMU's other machines take and this program has nothing for; ends with a NULL name. */
typedef struct RefusedOption {
    const char *names;          /* without dashes: "hda|hdb" */
    const char *why;            /* and what to use instead, if there is something */
} RefusedOption;

extern const RefusedOption refused_options[];

/*
 * Match argv with the table and store. Syntax errors of key=value lists are
 * found here. Prints the help that is asked for and sets vl->done. False with errp set.
 */
bool options_parse(VLState *vl, int argc, char **argv, Error **errp);
/*
 * The options of a -readconfig file, as if they stood in its place: each group of a list of
 * parameters. False with errp set.
 */
bool options_read_config(VLState *vl, const char *filename, Error **errp);
/* For that: keep an option whose argument (taken over) is a list. where: for messages, taken. */
bool options_store(VLState *vl, const OptionRow *row, char *where, char *arg, Error **errp);
/* Call the functions of one phase's options, in order; messages name them. */
bool options_run_phase(VLState *vl, OptionPhase phase, Error **errp);

/* -h: on stdout. */
void options_print_help(void);
/* The line that -version prints first. */
void options_print_version(void);

#endif
