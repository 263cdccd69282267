/*
 * HMP's commands: the two tables, and what is refused.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <string.h>

#include "hmp.h"
#include "hw/qdev.h"
#include "net/net.h"
#include "qemu/fd-param.h"
#include "qemu/log.h"
#include "sysemu/help.h"

static void hmp_cpu(Monitor *mon, json_t *args)
{
    int64_t index = hmp_int(args, "index", 0);

    if (!mon->ms->cpus || index < 0 || index >= mon->ms->smp.cpus) {
        monitor_puts(mon, "invalid CPU index\n");
        return;
    }
    mon->cpu_index = index;
}

static void hmp_log(Monitor *mon, json_t *args)
{
    const char *items = hmp_str(args, "items");
    Error *err = NULL;

    if (!strcmp(items, "none")) {
        qemu_loglevel = 0;
        return;
    }
    qemu_set_log(items, &err);
    hmp_error(mon, err);
}

static void hmp_info_trace_events(Monitor *mon, json_t *args)
{
    const char *name = hmp_str(args, "name");
    json_t *all = json_pack("{s:s}", "name", name ? name : "*"), *list, *item;
    size_t i;

    list = hmp_qmp(mon, "trace-event-get-state", all);
    json_array_foreach(list, i, item) {
        monitor_printf(mon, "%s : state %d\n", hmp_str(item, "name"),
                       !strcmp(hmp_str(item, "state"), "enabled"));
    }
    json_decref(list);
    json_decref(all);
}

static void hmp_screendump(Monitor *mon, json_t *args)
{
    monitor_puts(mon, "Error: There is no console to take a screendump from\n");
}

static void hmp_commit(Monitor *mon, json_t *args)
{
    monitor_puts(mon, "Error: images are opened without a backing file: "
                 "nothing to commit\n");
}

/* Print the value of a QMP command that answers with JSON. */
static void hmp_qom_get(Monitor *mon, json_t *args)
{
    json_t *ret = hmp_qmp(mon, "qom-get", args);
    char *text;

    if (ret) {
        text = json_dumps(ret, JSON_ENCODE_ANY | JSON_INDENT(4));
        monitor_printf(mon, "%s\n", text);
        free(text);
        json_decref(ret);
    }
}

static void hmp_qom_list(Monitor *mon, json_t *args)
{
    json_t *ret, *item;
    size_t i;

    if (!hmp_str(args, "path")) {
        monitor_puts(mon, "/\n");
        return;
    }
    ret = hmp_qmp(mon, "qom-list", args);
    json_array_foreach(ret, i, item) {
        monitor_printf(mon, "%s (%s)\n", hmp_str(item, "name"), hmp_str(item, "type"));
    }
    json_decref(ret);
}

/* What -object, -device, … do with their text. */
typedef void HmpAddFn(MachineState *ms, QemuOpts *opts, Error **errp);

static void hmp_add(Monitor *mon, json_t *args, HmpAddFn *add, const char *implied, HelpKind kind)
{
    g_autoptr(GString) help = g_string_new(NULL);
    Error *err = NULL;
    g_autoptr(QemuOpts) opts = qemu_opts_parse(hmp_str(args, "args"), implied, &err);

    if (opts && option_help(help, kind, opts)) {
        monitor_puts(mon, help->str);
    } else if (opts) {
        fd_names_begin(mon->fds);
        add(mon->ms, opts, &err);
        fd_names_end(!err);
    }
    hmp_error(mon, err);
}

static void add_object(MachineState *ms, QemuOpts *opts, Error **errp)
{
    machine_add_object(ms, opts, errp);
}

static void hmp_object_add(Monitor *mon, json_t *args)
{
    hmp_add(mon, args, add_object, "qom-type", HELP_OBJECT);
}

static void add_device(MachineState *ms, QemuOpts *opts, Error **errp)
{
    qdev_device_add(ms, opts, errp);
}

static void hmp_device_add(Monitor *mon, json_t *args)
{
    hmp_add(mon, args, add_device, "driver", HELP_DEVICE);
}

static void add_netdev(MachineState *ms, QemuOpts *opts, Error **errp)
{
    net_client_new(opts, errp);
}

static void hmp_netdev_add(Monitor *mon, json_t *args)
{
    hmp_add(mon, args, add_netdev, "type", HELP_NETDEV);
}

static void add_chardev(MachineState *ms, QemuOpts *opts, Error **errp)
{
    qemu_chr_new_from_opts(opts, errp);
}

static void hmp_chardev_add(Monitor *mon, json_t *args)
{
    hmp_add(mon, args, add_chardev, "backend", HELP_CHARDEV);
}

static void hmp_dump_guest_memory(Monitor *mon, json_t *args)
{
    g_autofree char *protocol = g_strdup_printf("file:%s", hmp_str(args, "filename"));
    json_t *qmp = json_pack("{s:b,s:s,s:b}", "paging", hmp_bool(args, "paging"),
                            "protocol", protocol, "detach", hmp_bool(args, "detach"));

    if (json_object_get(args, "begin")) {
        json_object_set(qmp, "begin", json_object_get(args, "begin"));
    }
    if (json_object_get(args, "length")) {
        json_object_set(qmp, "length", json_object_get(args, "length"));
    }
    json_decref(hmp_qmp(mon, "dump-guest-memory", qmp));
    json_decref(qmp);
}

static void find_user_network(NetClientState *nc, void *opaque)
{
    NetClientState **found = opaque;

    if (!*found && net_client_class(nc)->change_hostfwd) {
        *found = nc;
    }
}

/* [netdev_id] rule: without a name the first user network is meant. */
static void change_hostfwd(Monitor *mon, json_t *args, bool add)
{
    const char *id = hmp_str(args, "arg1"), *rule = hmp_str(args, "arg2");
    NetClientState *nc = NULL;
    Error *err = NULL;

    if (rule) {
        nc = net_find(id);
        if (!nc || !net_client_class(nc)->change_hostfwd) {
            monitor_printf(mon, nc ? "'%s' is not a user mode network\n"
                                   : "unrecognized netdev id '%s'\n", id);
            return;
        }
    } else {
        rule = id;
        net_foreach(find_user_network, &nc);
        if (!nc) {
            monitor_puts(mon, "user mode network stack not in use\n");
            return;
        }
    }
    net_client_class(nc)->change_hostfwd(nc, rule, add, &err);
    if (!hmp_error(mon, err) && !add) {
        monitor_printf(mon, "host forwarding rule for %s removed\n", rule);
    }
}

static void hmp_hostfwd_add(Monitor *mon, json_t *args)
{
    change_hostfwd(mon, args, true);
}

static void hmp_hostfwd_remove(Monitor *mon, json_t *args)
{
    change_hostfwd(mon, args, false);
}

static void hmp_memsave(Monitor *mon, json_t *args)
{
    json_object_set_new(args, "cpu-index", json_integer(mon->cpu_index));
    json_decref(hmp_qmp(mon, "memsave", args));
}

/* As often as QEMU does after a migration. */
static void hmp_announce_self(Monitor *mon, json_t *args)
{
    json_t *qmp = json_pack("{s:i,s:i,s:i,s:i}", "initial", 50, "max", 550, "rounds", 5,
                            "step", 100);

    json_decref(hmp_qmp(mon, "announce-self", qmp));
    json_decref(qmp);
}

/* A guest's output could be commands for the user's terminal: those are shown as \uXXXX. */
static void hmp_ringbuf_read(Monitor *mon, json_t *args)
{
    json_t *data = hmp_qmp(mon, "ringbuf-read", args);
    g_autoptr(GString) text = g_string_new(NULL);

    if (!data) {
        return;
    }
    for (const char *p = json_string_value(data); *p; p = g_utf8_next_char(p)) {
        gunichar c = g_utf8_get_char(p);

        if (g_unichar_iscntrl(c) && c != '\n') {
            g_string_append_printf(text, "\\u%04X", c);
        } else {
            g_string_append_len(text, p, g_utf8_next_char(p) - p);
            g_string_append(text, c == '\\' ? "\\" : "");
        }
    }
    monitor_printf(mon, "%s\n", text->str);
    json_decref(data);
}

const HmpCommand hmp_commands[] = {
    { "announce_self", "", "", "tell the network where the guest is (RARP frames)",
      hmp_announce_self, NULL },
    { "balloon", "value:o", "target", "ask the guest to keep so much memory (MiB)", NULL,
      "balloon" },
    { "block_resize", "force:-f,device:B,size:o", "[-f] device size",
      "change an image's size (MiB) and tell the guest; -f shrinks a disk in use", NULL,
      "block_resize" },
    { "block_set_io_throttle", "device:B,bps:l,bps_rd:l,bps_wr:l,iops:l,iops_rd:l,iops_wr:l",
      "device bps bps_rd bps_wr iops iops_rd iops_wr",
      "what a disk may do in a second; 0: as much as it likes", NULL, "block_set_io_throttle" },
    { "calc_dirty_rate", "dirty-ring:-r,dirty-bitmap:-b,second:l,sample-pages:l?",
      "[-b] seconds [samples]", "measure how fast the guest writes to its memory (-b: each page; "
      "else so many of each GiB)", hmp_calc_dirty_rate, NULL },
    { "chardev-add", "args:s", "args", "make a chardev, as -chardev does", hmp_chardev_add, NULL },
    { "chardev-remove", "id:s", "id", "remove chardev", NULL, "chardev-remove" },
    { "closefd", "fdname:s", "name",
      "forget a descriptor that getfd has named", NULL, "closefd" },
    { "commit", "device:B", "device|all", "refused: no image has a backing file",
      hmp_commit, NULL },
    { "cont|c", "", "", "let the guest run", NULL, "cont" },
    { "cpu", "index:i", "index", "the CPU that later commands are about", hmp_cpu, NULL },
    { "delvm", "name:s", "tag", "forget a snapshot of the machine", hmp_delvm, NULL },
    { "device_add", "args:s", "driver[,prop=value][,...]",
      "make a device, as -device does", hmp_device_add, NULL },
    { "device_del", "id:s", "device", "unplug a device", NULL, "device_del" },
    { "dump-guest-memory", "paging:-p,detach:-d,filename:F,begin:l?,length:l?",
      "[-p] [-d] filename [begin length]",
      "write the guest's memory into an ELF core file (-p: by the guest's "
      "virtual addresses, -d: do not wait)", hmp_dump_guest_memory, NULL },
    { "getfd", "fdname:s", "name",
      "give a name to a descriptor that came over the socket", NULL, "getfd" },
    { "gpa2hva", "addr:l", "addr",
      "where in our memory a physical address of the guest is",
      hmp_gpa2hva, NULL },
    { "gva2gpa", "addr:l", "addr",
      "the physical address behind a virtual one",
      hmp_gva2gpa, NULL },
    { "help|?", "name:S?", "[cmd]", "list commands, or explain one", hmp_help, NULL },
    { "hostfwd_add", "arg1:s,arg2:s?",
      "[netdev_id] [tcp|udp]:[hostaddr]:hostport-[guestaddr]:guestport",
      "forward a port of the host into a -netdev user",
      hmp_hostfwd_add, NULL },
    { "hostfwd_remove", "arg1:s,arg2:s?", "[netdev_id] [tcp|udp]:[hostaddr]:hostport",
      "end the forwarding of a port", hmp_hostfwd_remove, NULL },
    { "i", "fmt:/,addr:i", "/fmt addr", "read an I/O port", hmp_ioport_read, NULL },
    { "info", "", "[subcommand]", "what is known of a subject",
      hmp_info_help, NULL },
    { "loadvm", "name:s", "tag", "go back to a snapshot of the machine", hmp_loadvm, NULL },
    { "log", "items:s", "item1[,...]", "choose what is logged, see -d help; none: nothing",
      hmp_log, NULL },
    { "memsave", "val:l,size:i,filename:s", "addr size file",
      "copy virtual memory into a file",
      hmp_memsave, NULL },
    { "migrate", "detach:-d,uri:s", "[-d] uri",
      "save the machine: file:FILE, unix:PATH, tcp:HOST:PORT, fd:NAME, exec:COMMAND (-d: do not "
      "wait)", hmp_migrate, NULL },
    { "migrate_cancel", "", "", "do not save it: the guest goes on", NULL, "migrate_cancel" },
    { "migrate_incoming", "uri:s", "uri", "after -incoming defer: load a saved machine",
      NULL, "migrate-incoming" },
    { "migrate_set_capability", "capability:s,state:b", "capability on|off",
      "what saving does besides", hmp_migrate_set_capability, NULL },
    { "migrate_start_postcopy", "", "", "the guest goes on there now, its memory follows", NULL,
      "migrate-start-postcopy" },
    { "migrate_set_parameter", "parameter:s,value:s", "parameter value",
      "how it does it; bandwidths are in MiB, or have a suffix", hmp_migrate_set_parameter, NULL },
    { "netdev_add", "args:s", "type,id=str[,prop=value][,...]",
      "make a network backend, as -netdev does", hmp_netdev_add, NULL },
    { "netdev_del", "id:s", "id", "end a network backend", NULL, "netdev_del" },
    { "nmi", "", "", "send a non-maskable interrupt to the CPUs", NULL, "inject-nmi" },
    { "o", "fmt:/,addr:i,val:i", "/fmt addr value", "write an I/O port",
      hmp_ioport_write, NULL },
    { "object_add", "args:s", "[qom-type=]type,id=str[,prop=value][,...]",
      "make an object, as -object does", hmp_object_add, NULL },
    { "object_del", "id:s", "id", "end an object", NULL, "object-del" },
    { "pmemsave", "val:l,size:i,filename:s", "addr size file",
      "copy physical memory into a file",
      NULL, "pmemsave" },
    { "print|p", "fmt:/,val:l", "/fmt expr",
      "compute; $rax and so on are the CPU's registers", hmp_print, NULL },
    { "qom-get", "path:s,property:s", "path property", "the value of a property",
      hmp_qom_get, NULL },
    { "qom-list", "path:s?", "path", "the properties of an object", hmp_qom_list, NULL },
    { "qom-set", "path:s,property:s,value:S", "path property value",
      "change a property", NULL, "qom-set" },
    { "quit|q", "", "", "end the emulator", NULL, "quit" },
    { "ringbuf_read", "device:s,size:i", "device size",
      "take the oldest output that a ringbuf holds", hmp_ringbuf_read, NULL },
    { "savevm", "name:s?", "[tag]",
      "a snapshot of the machine, inside of its disks' images", hmp_savevm, NULL },
    { "screendump", "filename:F", "filename", "refused: there is no screen",
      hmp_screendump, NULL },
    { "sendkey", "keys:s,hold-time:i?", "keys [hold_ms]",
      "press these keys, and let them go ('sendkey ctrl-alt-f1')", hmp_sendkey, NULL },
    { "set_link", "name:s,up:b", "name on|off",
      "plug or pull the cable of a network card", NULL, "set_link" },
    { "stop|s", "", "", "pause the guest", NULL, "stop" },
    { "sum", "start:i,size:i", "addr size", "the checksum of physical memory",
      hmp_sum, NULL },
    { "system_powerdown", "", "", "press the power button",
      NULL, "system_powerdown" },
    { "system_reset", "", "", "reset the machine", NULL, "system_reset" },
    { "system_wakeup", "", "", "wake the guest from suspend", NULL, "system_wakeup" },
    { "trace-event", "name:s,enable:b", "name on|off",
      "switch trace events on or off; * and ? match any text", NULL,
      "trace-event-set-state" },
    { "x", "fmt:/,addr:l", "/fmt addr", "show virtual memory",
      hmp_memory_dump, NULL },
    { "xp", "fmt:/,addr:l", "/fmt addr", "show physical memory",
      hmp_physical_memory_dump, NULL },
    { NULL }
};

const HmpCommand hmp_info_commands[] = {
    { "acpi", "", "", "whether the guest has ACPI, and why", hmp_info_acpi, NULL },
    { "balloon", "", "", "memory that the guest has, as its balloon says", hmp_info_balloon, NULL },
    { "block", "nodes:-n,verbose:-v,device:B?", "[-n] [-v] [device]",
      "drives, their images and their state (-n: nodes, -v: more of each image)",
      hmp_info_block, NULL },
    { "blockstats", "", "", "what disks have read and written", hmp_info_blockstats, NULL },
    { "chardev", "", "", "chardevs and where they lead", hmp_info_chardev, NULL },
    { "cpus", "", "", "CPUs and their threads", hmp_info_cpus, NULL },
    { "dirty_rate", "", "", "what calc_dirty_rate has found", hmp_info_dirty_rate, NULL },
    { "history", "", "", "commands typed before", hmp_info_history, NULL },
    { "iothreads", "", "", "iothread objects and their threads", hmp_info_iothreads, NULL },
    { "irq", "", "", "how often each interrupt came, where we count", hmp_info_irq, NULL },
    { "jit", "", "", "show the software CPU's blocks, translations and flushes", hmp_info_jit,
      NULL },
    { "kvm", "", "", "whether KVM runs the guest, and its exits", hmp_info_kvm, NULL },
    { "lapic", "apic-id:i?", "[apic-id]", "a local APIC (apic-id: of that one)",
      hmp_info_lapic, NULL },
    { "memdev", "", "", "memory backends", hmp_info_memdev, NULL },
    { "migrate", "", "", "how far saving the machine is", hmp_info_migrate, NULL },
    { "migrate_capabilities", "", "", "what saving can do besides, and whether that is on",
      hmp_info_migrate_capabilities, NULL },
    { "migrate_parameters", "", "", "how it does it", hmp_info_migrate_parameters, NULL },
    { "mtree", "flatview:-f", "[-f]",
      "the memory map (-f: what is left of it after overlaps)", hmp_info_mtree, NULL },
    { "name", "", "", "the machine's -name", hmp_info_name, NULL },
    { "network", "", "", "network backends and cards", hmp_info_network, NULL },
    { "numa", "", "", "NUMA nodes of the guest", hmp_info_numa, NULL },
    { "pic", "", "", "registers of the PICs and the I/O APIC", hmp_info_pic, NULL },
    { "qom-tree", "path:s?", "[path]", "objects and what they are part of",
      hmp_info_qom_tree, NULL },
    { "qtree", "", "", "devices with their properties, by bus", hmp_info_qtree, NULL },
    { "registers", "all:-a,vcpu:i?", "[-a|vcpu]",
      "registers of a CPU (-a: of all)", hmp_info_registers, NULL },
    { "roms", "", "", "what is copied into memory at a reset", hmp_info_roms, NULL },
    { "snapshots", "", "", "snapshots of the machine inside of its disks' images",
      hmp_info_snapshots, NULL },
    { "status", "", "", "whether the guest runs",
      hmp_info_status, NULL },
    { "surface", "", "", "every port and address in the guest's reach",
      hmp_info_surface, NULL },
    { "trace-events", "name:s?", "[name]", "trace events and whether they are on",
      hmp_info_trace_events, NULL },
    { "usernet", "", "", "connections through -netdev user",
      hmp_info_usernet, NULL },
    { "uuid", "", "", "the machine's -uuid", hmp_info_uuid, NULL },
    { "vm-generation-id", "", "", "what -device vmgenid shows", hmp_info_vm_generation_id,
      NULL },
    { "version", "", "", "the version", hmp_info_version, NULL },
    { "virtio", "", "", "virtio devices: slot, driver's status, features, queues",
      hmp_info_virtio, NULL },
    { "virtio-queue-element", "path:s,queue:i,index:i?", "path queue [index]",
      "a request in a virtqueue (index: of the available ring)", hmp_info_virtio_queue_element,
      NULL },
    { "virtio-queue-status", "path:s,queue:i", "path queue", "a virtqueue",
      hmp_info_virtio_queue_status, NULL },
    { "virtio-status", "path:s", "path", "all of a virtio device", hmp_info_virtio_status, NULL },
    { "virtio-vhost-queue-status", "path:s,queue:i", "path queue",
      "a virtqueue as a worker in the host's kernel has it", hmp_info_virtio_vhost_queue_status,
      NULL },
    { NULL }
};
