/*
 * Every option of the command line: one row each.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "opts.h"

#define KEYVAL(implied) .keyval = true, .implied_key = (implied)

const OptionRow option_table[] = {
    /* Help */
    { "h", NULL, "show this help and exit", PHASE_NONE, .print_help = help_usage },
    { "help", NULL, NULL, PHASE_NONE, .print_help = help_usage },
    { "version", NULL, "show the version and exit", PHASE_NONE, .print_help = help_version },

    /* The machine */
    { "machine", "[type=]NAME[,prop=value…]", "the machine and its properties; \"help\" lists",
      PHASE_SELECT, opt_machine, KEYVAL("type"), help_machine },
    { "M", "NAME[,prop=value…]", "the same as -machine", PHASE_SELECT, opt_machine,
      KEYVAL("type"), help_machine },
    { "accel", "[accel=]NAME[,prop=value…]", "the accelerator: kvm, tcg, qtest; may be repeated",
      PHASE_SELECT, opt_accel, KEYVAL("accel"), help_accel },
    { "enable-kvm", NULL, "the same as -accel kvm", PHASE_SELECT, opt_enable_kvm },
    { "cpu", "MODEL[,+feature][,-feature]", "CPU model; \"help\" lists", PHASE_MACHINE, opt_cpu,
      .print_help = help_cpu },
    { "smp", "[cpus=]N[,maxcpus=][,sockets=][,dies=][,cores=][,threads=]",
      "number of CPUs and their topology", PHASE_MACHINE, opt_smp, KEYVAL("cpus") },
    { "m", "[size=]MEGS", "size of RAM; suffixes M and G (default: 128 MiB)", PHASE_MACHINE,
      opt_m, KEYVAL("size") },
    { "mem-path", "PATH", "back RAM by a file, or by files in this directory", PHASE_MACHINE,
      opt_mem_path },
    { "mem-prealloc", NULL, "allocate all of RAM at start", PHASE_MACHINE, opt_mem_prealloc },
    { "overcommit", "[mem-lock=on|off][,cpu-pm=on|off]",
      "lock memory; let the guest idle without exits", PHASE_MACHINE, opt_overcommit,
      KEYVAL(NULL) },
    { "numa", "node[,memdev=ID]", "one node: the RAM backend to use", PHASE_MACHINE, opt_numa,
      KEYVAL("type") },
    { "global", "DRIVER.PROP=VALUE", "set a property of all devices of a kind", PHASE_MACHINE,
      opt_global },
    { "object", "TYPE[,prop=value…]", "create a backend object; \"help\" lists", PHASE_OBJECT,
      opt_object, KEYVAL("qom-type"), help_object },
    { "device", "DRIVER[,prop=value…]", "add a device; \"help\" lists", PHASE_DEVICE, opt_device,
      KEYVAL("driver"), help_device },

    /* Disks */
    { "drive", "file=FILE,if=virtio|none[,id=ID][,format=raw][,cache=…][,aio=…][,prop=value…]",
      "a disk (if=virtio), or an image for a -device to use", PHASE_DRIVE, opt_drive,
      KEYVAL(NULL) },
    { "blockdev", "[driver=]raw,node-name=NAME,file.driver=file,file.filename=FILE[,prop=value…]",
      "the same, node by node; or JSON", PHASE_BLOCKDEV, opt_blockdev, KEYVAL("driver") },
    { "snapshot", NULL, "what guests write to any -drive is temporary", PHASE_EARLY,
      opt_snapshot },

    /* The kernel */
    { "kernel", "FILE", "kernel to boot: ELF vmlinux or bzImage", PHASE_MACHINE, opt_kernel },
    { "initrd", "FILE", "initial RAM disk for the kernel", PHASE_MACHINE, opt_initrd },
    { "append", "CMDLINE", "kernel command line", PHASE_MACHINE, opt_append },

    { "smbios", "type=N[,field=value…]|file=FILE",
      "SMBIOS tables for the guest: fields of a structure, or whole ones", PHASE_MACHINE,
      opt_smbios, KEYVAL(NULL) },
    { "fw_cfg", "[name=]NAME,file=FILE|string=TEXT", "a blob that the guest reads by fw_cfg",
      PHASE_MACHINE, opt_fw_cfg, KEYVAL("name") },

    /* Character devices and monitors */
    { "chardev", "BACKEND,id=ID[,prop=value…]", "add a character device; \"help\" lists",
      PHASE_CHARDEV, opt_chardev, KEYVAL("backend"), help_chardev },
    { "serial", "DEV", "connect the next serial port (up to four)", PHASE_SERIAL, opt_serial },
    { "monitor", "DEV", "a monitor for people on DEV", PHASE_MONITOR, opt_monitor },
    { "qmp", "DEV", "a monitor for programs (QMP) on DEV", PHASE_MONITOR, opt_qmp },
    { "qmp-pretty", "DEV", "the same with JSON over several lines", PHASE_MONITOR,
      opt_qmp_pretty },
    { "mon", "[chardev=]ID[,mode=readline|control]", "a monitor on a chardev", PHASE_MONITOR,
      opt_mon, KEYVAL("chardev") },
    { "add-fd", "fd=FD,set=SET[,opaque=TEXT]",
      "put an inherited descriptor into a set, to be opened as /dev/fdset/SET", PHASE_EARLY,
      opt_add_fd, KEYVAL(NULL) },
    { "echr", "N", "ASCII code of the multiplexer's escape key (default: 1, Ctrl-A)",
      PHASE_EARLY, opt_echr },
    { "nodefaults", NULL, "no default devices", PHASE_EARLY, opt_nodefaults },
    { "no-user-config", NULL, "read no configuration files (none are ever read)", PHASE_NONE },
    { "nographic", NULL, "console and monitor on stdio, Ctrl-A switches", PHASE_EARLY,
      opt_nographic },
    { "display", "none[,gl=off]", "there is no graphical display", PHASE_EARLY, opt_display,
      KEYVAL("type"), help_display },
    { "vga", "none", NULL, PHASE_EARLY, opt_must_be_none },
    { "parallel", "none", NULL, PHASE_EARLY, opt_must_be_none },

    /* Networks */
    { "netdev", "TYPE,id=ID[,prop=value…]", "add a network backend; \"help\" lists", PHASE_NETDEV,
      opt_netdev, KEYVAL("type"), help_netdev },
    { "nic", "none|TYPE[,mac=MAC][,prop=value…]", "a network card with its backend",
      PHASE_DEVICE, opt_nic, KEYVAL("type"), help_netdev },
    { "net", "none|nic[,model=…][,macaddr=MAC]|TYPE[,prop=value…]",
      "the same in two parts: -net nic -net TYPE", PHASE_EARLY, opt_net, KEYVAL("type"),
      help_netdev },

    /* The process */
    { "name", "[guest=]NAME[,process=NAME][,debug-threads=on|off]", "names of guest and process",
      PHASE_EARLY, opt_name, KEYVAL("guest") },
    { "uuid", "UUID", "the guest's UUID", PHASE_EARLY, opt_uuid },
    { "S", NULL, "do not start the CPUs", PHASE_EARLY, opt_stopped },
    { "no-reboot", NULL, "exit instead of rebooting", PHASE_EARLY, opt_no_reboot },
    { "no-shutdown", NULL, "stop instead of exiting when the guest shuts down", PHASE_EARLY,
      opt_no_shutdown },
    { "action", "[reboot=reset|shutdown][,shutdown=poweroff|pause]"
      "[,panic=shutdown|pause|exit-failure|none][,watchdog=ACTION][,sigterm=poweroff|powerdown]",
      "what to do on these events", PHASE_EARLY, opt_action, KEYVAL(NULL) },
    { "watchdog-action", "reset|shutdown|poweroff|inject-nmi|pause|debug|none",
      "what to do when a watchdog was not fed", PHASE_EARLY, opt_watchdog_action },
    { "daemonize", NULL, "run in the background once everything is set up", PHASE_EARLY,
      opt_daemonize },
    { "pidfile", "FILE", "write the process id to FILE", PHASE_EARLY, opt_pidfile },
    { "msg", "timestamp=on|off", "time stamps on messages", PHASE_EARLY, opt_msg, KEYVAL(NULL) },
    { "d", "ITEMS", "log these items; \"help\" lists", PHASE_EARLY, opt_d, .print_help = help_d },
    { "D", "FILE", "log to FILE instead of stderr", PHASE_EARLY, opt_logfile },
    { "trace", "[enable=]PATTERN[,events=FILE][,file=FILE]",
      "log these trace events; \"help\" lists", PHASE_EARLY, opt_trace, KEYVAL("enable"),
      help_trace },
    { "gdb", "DEV", "wait for a debugger on DEV: tcp::PORT, or a character device", PHASE_LATE,
      opt_gdb },
    { "s", NULL, "the same as -gdb tcp::1234", PHASE_LATE, opt_s },
    { "qtest", "DEV", "let a test program on DEV play the CPU", PHASE_MONITOR, opt_qtest },
    { "qtest-log", "FILE", "log of -qtest; \"none\" for none", PHASE_EARLY, opt_qtest_log },
    { "chroot", "DIR", "change the root folder when all is set up", PHASE_EARLY, opt_chroot },
    { "user", "NAME|UID:GID", "become this user when all is set up", PHASE_EARLY, opt_user },
    { "runas", "NAME|UID:GID", NULL, PHASE_EARLY, opt_user },
    { "run-with", "[user=NAME|UID:GID][,chroot=DIR]", "the same two", PHASE_EARLY, opt_run_with,
      KEYVAL(NULL) },
    { "sandbox", "on|off[,obsolete=allow|deny][,elevateprivileges=allow|deny|children]"
      "[,spawn=allow|deny][,resourcecontrol=allow|deny]",
      "deny system calls when all is set up", PHASE_EARLY, opt_sandbox, KEYVAL("enable") },
    { "rtc", "[base=utc|localtime|DATE][,clock=host|rt|vm][,driftfix=none|slew]",
      "where the real-time clock's time comes from", PHASE_EARLY, opt_rtc, KEYVAL("base") },

    /* What clients pass by habit; checked, but the machine has no such thing */
    { "boot", "[strict=on|off][,…]", NULL, PHASE_EARLY, opt_boot, KEYVAL("order") },
    { "audiodev", "none,id=ID", NULL, PHASE_EARLY, opt_audiodev, KEYVAL("driver") },
    { "id", "ID", NULL, PHASE_NONE },
    { "no-acpi", NULL, NULL, PHASE_EARLY, opt_no_acpi },
    { "no-hpet", NULL, NULL, PHASE_NONE },
    { "L", "DIR", NULL, PHASE_NONE },
    { "bios", "FILE", NULL, PHASE_EARLY, opt_bios },
    { NULL }
};

const RefusedOption refused_options[] = {
    { "hda|hdb|hdc|hdd|cdrom|fda|fdb|sd|mtdblock",
      "there is no such drive: use -drive if=virtio,format=raw,file=FILE" },
    { "pflash|option-rom|acpitable|no-fd-bootchk",
      "there is no firmware: -kernel is started directly" },
    { "dtb", "there is no device tree: the MP table describes the machine" },
    { "vnc|spice|full-screen|k|ctrl-grab|alt-grab|portrait|rotate|sdl|curses",
      "there is no graphical display" },
    { "audio|audio-help|soundhw", "there is no sound card" },
    { "usb|usbdevice", "there is no USB" },
    { "tpmdev", "there is no TPM" },
    { "fsdev|virtfs", "file systems of the host cannot be shared" },
    { "iscsi", "images are local files" },
    { "debugcon", "use -chardev DEV,id=ID and -device isa-debugcon,iobase=0xe9,chardev=ID" },
    { "incoming|only-migratable|loadvm", "this machine cannot be saved, loaded or migrated" },
    { "readconfig|writeconfig|set", "configuration files are not supported: use the options" },
    { "preconfig", "machines are configured by options alone" },
    { "icount", "the software CPU does not count instructions" },
    { "plugin|singlestep|one-insn-per-tb|dfilter|perfmap|jitdump",
      "the software CPU has no such means: see -d help and -trace help" },
    { NULL }
};
