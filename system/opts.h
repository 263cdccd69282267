/*
 * The functions behind the rows of the option table, by topic.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef SYSTEM_OPTS_H
#define SYSTEM_OPTS_H

#include "options.h"

/* system/opts-machine.c */
bool opt_machine(VLState *, const char *, QemuOpts *, Error **);
bool opt_accel(VLState *, const char *, QemuOpts *, Error **);
bool opt_enable_kvm(VLState *, const char *, QemuOpts *, Error **);
bool opt_perfmap(VLState *, const char *, QemuOpts *, Error **);
bool opt_cpu(VLState *, const char *, QemuOpts *, Error **);
bool opt_no_acpi(VLState *, const char *, QemuOpts *, Error **);
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
/* A row as by -global; all three are copied. */
void add_global(MachineState *ms, const char *driver, const char *property,
                const char *value);
/* Warn about -global rows that no class used. */
void warn_unused_globals(MachineState *ms);

/* system/opts-block.c */
bool opt_drive(VLState *, const char *, QemuOpts *, Error **);
bool opt_blockdev(VLState *, const char *, QemuOpts *, Error **);
bool opt_snapshot(VLState *, const char *, QemuOpts *, Error **);
/* The devices of -drive if=virtio, after those that -device names. */
bool add_virtio_drives(VLState *vl, Error **errp);

/* system/opts-process.c */
bool opt_name(VLState *, const char *, QemuOpts *, Error **);
bool opt_uuid(VLState *, const char *, QemuOpts *, Error **);
bool opt_msg(VLState *, const char *, QemuOpts *, Error **);
bool opt_d(VLState *, const char *, QemuOpts *, Error **);
bool opt_logfile(VLState *, const char *, QemuOpts *, Error **);
bool opt_daemonize(VLState *, const char *, QemuOpts *, Error **);
bool opt_pidfile(VLState *, const char *, QemuOpts *, Error **);
bool opt_stopped(VLState *, const char *, QemuOpts *, Error **);
bool opt_incoming(VLState *, const char *, QemuOpts *, Error **);
bool opt_loadvm(VLState *, const char *, QemuOpts *, Error **);
bool opt_only_migratable(VLState *, const char *, QemuOpts *, Error **);
bool opt_no_reboot(VLState *, const char *, QemuOpts *, Error **);
bool opt_no_shutdown(VLState *, const char *, QemuOpts *, Error **);
bool opt_add_fd(VLState *, const char *, QemuOpts *, Error **);
bool opt_action(VLState *, const char *, QemuOpts *, Error **);
bool opt_nodefaults(VLState *, const char *, QemuOpts *, Error **);
bool opt_nographic(VLState *, const char *, QemuOpts *, Error **);
bool opt_display(VLState *, const char *, QemuOpts *, Error **);
bool opt_must_be_none(VLState *, const char *, QemuOpts *, Error **);
bool opt_rtc(VLState *, const char *, QemuOpts *, Error **);
bool opt_boot(VLState *, const char *, QemuOpts *, Error **);
bool opt_audiodev(VLState *, const char *, QemuOpts *, Error **);
bool opt_bios(VLState *, const char *, QemuOpts *, Error **);
bool opt_watchdog_action(VLState *, const char *, QemuOpts *, Error **);
/* confine.c */
bool opt_chroot(VLState *, const char *, QemuOpts *, Error **);
bool opt_user(VLState *, const char *, QemuOpts *, Error **);
bool opt_run_with(VLState *, const char *, QemuOpts *, Error **);
bool opt_sandbox(VLState *, const char *, QemuOpts *, Error **);
bool help_drive(const char *, QemuOpts *);
bool help_blockdev(const char *, QemuOpts *);
bool help_dev(const char *, QemuOpts *);
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
/* What the two halves of -net ask for. */
bool add_net_card(VLState *vl, Error **errp);
bool help_netdev(const char *, QemuOpts *);

/* system/opts-fs.c */
bool opt_fsdev(VLState *, const char *, QemuOpts *, Error **);
bool opt_virtfs(VLState *, const char *, QemuOpts *, Error **);
bool help_fsdev(const char *, QemuOpts *);

/* system/opts-firmware.c */
bool opt_smbios(VLState *, const char *, QemuOpts *, Error **);
bool opt_fw_cfg(VLState *, const char *, QemuOpts *, Error **);

/* system/opts-debug.c */
bool opt_qtest(VLState *, const char *, QemuOpts *, Error **);
bool opt_trace(VLState *, const char *, QemuOpts *, Error **);
bool help_trace(const char *, QemuOpts *);
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
 * SIGTERM, SIGINT and SIGHUP call fn from the main loop, with the number and who sent it
 * (" from pid 1 (init)", or nothing) for a message; SIGPIPE is
 * ignored, as are SIGUSR1, SIGALRM and SIGIO. Before any thread is started.
 */
typedef void SignalFn(void *opaque, int signum, const char *sender);
bool os_setup_signals(SignalFn *fn, void *opaque, Error **errp);
/* -overcommit mem-lock=on */
bool os_mlock(Error **errp);
/* The name in ps; thread names follow it. */
void os_set_process_name(const char *name);

#endif
