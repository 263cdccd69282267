/*
 * HMP's commands: the two tables, and what is refused.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <string.h>

#include "hmp.h"
#include "net/net.h"
#include "qemu/log.h"

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

static void hmp_sendkey(Monitor *mon, json_t *args)
{
    monitor_puts(mon, "Error: this machine has no keyboard\n");
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

/* The line of -object, -device, … as the arguments of a QMP command. */
static void hmp_add(Monitor *mon, json_t *args, const char *cmd, const char *implied)
{
    Error *err = NULL;
    g_autoptr(QemuOpts) opts = qemu_opts_parse(hmp_str(args, "args"), implied, &err);
    json_t *obj;

    if (hmp_error(mon, err)) {
        return;
    }
    obj = json_object();
    for (guint i = 0; i < opts->opts->len; i++) {
        QemuOpt *o = &g_array_index(opts->opts, QemuOpt, i);

        json_object_set_new(obj, o->name, json_string(o->str));
    }
    json_decref(hmp_qmp(mon, cmd, obj));
    json_decref(obj);
}

static void hmp_object_add(Monitor *mon, json_t *args)
{
    hmp_add(mon, args, "object-add", "qom-type");
}

static void hmp_device_add(Monitor *mon, json_t *args)
{
    hmp_add(mon, args, "device_add", "driver");
}

static void hmp_netdev_add(Monitor *mon, json_t *args)
{
    hmp_add(mon, args, "netdev_add", "type");
}

static void hmp_chardev_add(Monitor *mon, json_t *args)
{
    Error *err = NULL;
    g_autoptr(QemuOpts) opts = qemu_opts_parse(hmp_str(args, "args"), "backend", &err);

    if (opts) {
        qemu_chr_new_from_opts(opts, &err);
    }
    hmp_error(mon, err);
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

const HmpCommand hmp_commands[] = {
    { "announce_self", "", "", "tell the network where the guest is (RARP frames)",
      hmp_announce_self, NULL },
    { "block_resize", "device:B,size:l", "device size", "resize a block image",
      NULL, "block_resize" },
    { "chardev-add", "args:s", "args", "add chardev", hmp_chardev_add, NULL },
    { "chardev-remove", "id:s", "id", "remove chardev", NULL, "chardev-remove" },
    { "closefd", "fdname:s", "name",
      "close a file descriptor previously passed via SCM rights", NULL, "closefd" },
    { "commit", "device:B", "device|all", "commit changes to the disk images (refused)",
      hmp_commit, NULL },
    { "cont|c", "", "", "resume emulation", NULL, "cont" },
    { "cpu", "index:i", "index", "set the default CPU", hmp_cpu, NULL },
    { "device_add", "args:s", "driver[,prop=value][,...]",
      "add device, like -device on the command line", hmp_device_add, NULL },
    { "device_del", "id:s", "device", "remove device", NULL, "device_del" },
    { "dump-guest-memory", "paging:-p,detach:-d,filename:F,begin:l?,length:l?",
      "[-p] [-d] filename [begin length]",
      "dump guest memory into file 'filename' as an ELF core (-p: with the guest's "
      "virtual addresses, -d: do not wait)", hmp_dump_guest_memory, NULL },
    { "getfd", "fdname:s", "name",
      "receive a file descriptor via SCM rights and assign it a name", NULL, "getfd" },
    { "gpa2hva", "addr:l", "addr",
      "print the host virtual address corresponding to a guest physical address",
      hmp_gpa2hva, NULL },
    { "gva2gpa", "addr:l", "addr",
      "print the guest physical address corresponding to a guest virtual address",
      hmp_gva2gpa, NULL },
    { "help|?", "name:S?", "[cmd]", "show the help", hmp_help, NULL },
    { "hostfwd_add", "arg1:s,arg2:s?",
      "[netdev_id] [tcp|udp]:[hostaddr]:hostport-[guestaddr]:guestport",
      "redirect TCP or UDP connections from host to guest (requires -netdev user)",
      hmp_hostfwd_add, NULL },
    { "hostfwd_remove", "arg1:s,arg2:s?", "[netdev_id] [tcp|udp]:[hostaddr]:hostport",
      "remove host-to-guest TCP or UDP redirection", hmp_hostfwd_remove, NULL },
    { "i", "fmt:/,addr:i", "/fmt addr", "I/O port read", hmp_ioport_read, NULL },
    { "info", "", "[subcommand]", "show various information about the system state",
      hmp_info_help, NULL },
    { "log", "items:s", "item1[,...]", "activate logging of the specified items",
      hmp_log, NULL },
    { "memsave", "val:l,size:i,filename:s", "addr size file",
      "save to disk virtual memory dump starting at 'addr' of size 'size'",
      hmp_memsave, NULL },
    { "netdev_add", "args:s", "type,id=str[,prop=value][,...]",
      "add host network device", hmp_netdev_add, NULL },
    { "netdev_del", "id:s", "id", "remove host network device", NULL, "netdev_del" },
    { "nmi", "", "", "inject an NMI", NULL, "inject-nmi" },
    { "o", "fmt:/,addr:i,val:i", "/fmt addr value", "I/O port write",
      hmp_ioport_write, NULL },
    { "object_add", "args:s", "[qom-type=]type,id=str[,prop=value][,...]",
      "create QOM object", hmp_object_add, NULL },
    { "object_del", "id:s", "id", "destroy QOM object", NULL, "object-del" },
    { "pmemsave", "val:l,size:i,filename:s", "addr size file",
      "save to disk physical memory dump starting at 'addr' of size 'size'",
      NULL, "pmemsave" },
    { "print|p", "fmt:/,val:l", "/fmt expr",
      "print expression value (use $reg for CPU register access)", hmp_print, NULL },
    { "qom-get", "path:s,property:s", "path property", "print QOM property",
      hmp_qom_get, NULL },
    { "qom-list", "path:s?", "path", "list QOM properties", hmp_qom_list, NULL },
    { "qom-set", "path:s,property:s,value:S", "path property value",
      "set QOM property", NULL, "qom-set" },
    { "quit|q", "", "", "quit the emulator", NULL, "quit" },
    { "screendump", "filename:F", "filename", "save a picture of the screen (refused)",
      hmp_screendump, NULL },
    { "sendkey", "keys:s", "keys", "send keys to the VM (refused)", hmp_sendkey, NULL },
    { "set_link", "name:s,up:b", "name on|off",
      "change the link status of a network adapter", NULL, "set_link" },
    { "stop|s", "", "", "stop emulation", NULL, "stop" },
    { "sum", "start:i,size:i", "addr size", "compute the checksum of a memory region",
      hmp_sum, NULL },
    { "system_powerdown", "", "", "send system power down event",
      NULL, "system_powerdown" },
    { "system_reset", "", "", "reset the system", NULL, "system_reset" },
    { "system_wakeup", "", "", "wakeup guest from suspend", NULL, "system_wakeup" },
    { "trace-event", "name:s,enable:b", "name on|off",
      "change the status of trace events; * and ? match any text", NULL,
      "trace-event-set-state" },
    { "x", "fmt:/,addr:l", "/fmt addr", "virtual memory dump starting at 'addr'",
      hmp_memory_dump, NULL },
    { "xp", "fmt:/,addr:l", "/fmt addr", "physical memory dump starting at 'addr'",
      hmp_physical_memory_dump, NULL },
    { NULL }
};

const HmpCommand hmp_info_commands[] = {
    { "block", "", "", "show the block devices", hmp_info_block, NULL },
    { "blockstats", "", "", "show block device statistics", hmp_info_blockstats, NULL },
    { "chardev", "", "", "show the character devices", hmp_info_chardev, NULL },
    { "cpus", "", "", "show infos for each CPU", hmp_info_cpus, NULL },
    { "history", "", "", "show the command line history", hmp_info_history, NULL },
    { "iothreads", "", "", "show iothreads", hmp_info_iothreads, NULL },
    { "irq", "", "", "show the interrupts statistics (if available)", hmp_info_irq, NULL },
    { "jit", "", "", "show the software CPU's blocks, translations and flushes", hmp_info_jit,
      NULL },
    { "kvm", "", "", "show KVM information", hmp_info_kvm, NULL },
    { "lapic", "apic-id:i?", "[apic-id]", "show local apic state (apic-id: of that one)",
      hmp_info_lapic, NULL },
    { "memdev", "", "", "show memory backends", hmp_info_memdev, NULL },
    { "mtree", "flatview:-f", "[-f]",
      "show memory tree (-f: dump flat view for address spaces)", hmp_info_mtree, NULL },
    { "name", "", "", "show the current VM name", hmp_info_name, NULL },
    { "network", "", "", "show the network backends", hmp_info_network, NULL },
    { "pic", "", "", "show PIC and I/O APIC state", hmp_info_pic, NULL },
    { "qom-tree", "path:s?", "[path]", "show QOM composition tree",
      hmp_info_qom_tree, NULL },
    { "qtree", "", "", "show device tree", hmp_info_qtree, NULL },
    { "registers", "all:-a,vcpu:i?", "[-a|vcpu]",
      "show the cpu registers (-a: of all CPUs)", hmp_info_registers, NULL },
    { "roms", "", "", "show roms", hmp_info_roms, NULL },
    { "status", "", "", "show the current VM status (running|paused)",
      hmp_info_status, NULL },
    { "surface", "", "", "show every port and address that the guest can reach",
      hmp_info_surface, NULL },
    { "trace-events", "name:s?", "[name]", "show available trace events and their state",
      hmp_info_trace_events, NULL },
    { "usernet", "", "", "show user network stack connection states",
      hmp_info_usernet, NULL },
    { "uuid", "", "", "show the current VM UUID", hmp_info_uuid, NULL },
    { "version", "", "", "show the version of QEMU", hmp_info_version, NULL },
    { NULL }
};
