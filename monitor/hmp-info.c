/*
 * HMP's "info": QMP's answers in a person's form.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <stdlib.h>

#include "hmp.h"
#include "target/i386/apic.h"
#include "hw/loader.h"
#include "net/net.h"
#include "qemu/cutils.h"
#include "sysemu/accel.h"
#include "sysemu/cpus.h"
#include "sysemu/numa.h"
#include "target/i386/cpu.h"
#include "version.h"

void hmp_info_version(Monitor *mon, json_t *args)
{
    monitor_puts(mon, QEMU_INTERFACE_VERSION " (microvm " MICROVM_VERSION ")\n");
}

void hmp_info_status(Monitor *mon, json_t *args)
{
    json_t *st = hmp_qmp(mon, "query-status", NULL);
    const char *name = hmp_str(st, "status");
    bool running = hmp_bool(st, "running");

    monitor_printf(mon, "VM status: %s", running ? "running" : "paused");
    if (!running && g_strcmp0(name, "paused")) {
        monitor_printf(mon, " (%s)", name);
    }
    monitor_puts(mon, "\n");
    json_decref(st);
}

void hmp_info_name(Monitor *mon, json_t *args)
{
    if (mon->ms->name) {
        monitor_printf(mon, "%s\n", mon->ms->name);
    }
}

void hmp_info_uuid(Monitor *mon, json_t *args)
{
    json_t *ret = hmp_qmp(mon, "query-uuid", NULL);

    monitor_printf(mon, "%s\n", hmp_str(ret, "UUID"));
    json_decref(ret);
}

void hmp_info_vm_generation_id(Monitor *mon, json_t *args)
{
    json_t *ret = hmp_qmp(mon, "query-vm-generation-id", NULL);

    if (ret) {
        monitor_printf(mon, "%s\n", hmp_str(ret, "guid"));
        json_decref(ret);
    }
}

void hmp_info_kvm(Monitor *mon, json_t *args)
{
    json_t *ret = hmp_qmp(mon, "query-kvm", NULL);

    monitor_printf(mon, "kvm support: %s\n",
                   !hmp_bool(ret, "present") ? "not compiled" :
                   hmp_bool(ret, "enabled") ? "enabled" : "disabled");
    json_decref(ret);
}

void hmp_info_balloon(Monitor *mon, json_t *args)
{
    json_t *ret = hmp_qmp(mon, "query-balloon", NULL);

    if (ret) {
        monitor_printf(mon, "balloon: actual=%" PRId64 "\n", hmp_int(ret, "actual", 0) >> 20);
        json_decref(ret);
    }
}

void hmp_info_cpus(Monitor *mon, json_t *args)
{
    MachineState *ms = mon->ms;

    for (unsigned i = 0; ms->cpus && i < ms->smp.cpus; i++) {
        monitor_printf(mon, "%c CPU #%u: thread_id=%d\n",
                       i == mon->cpu_index ? '*' : ' ', i, (int)ms->cpus[i]->thread_id);
    }
}

static void print_registers(Monitor *mon, CPUState *cs)
{
    g_autofree char *text = NULL;

    cpu_synchronize_state(cs);
    text = x86_cpu_dump_state(x86_cpu(cs));
    monitor_printf(mon, "\nCPU#%u\n%s", cs->cpu_index, text);
}

void hmp_info_registers(Monitor *mon, json_t *args)
{
    MachineState *ms = mon->ms;
    int64_t index = hmp_int(args, "vcpu", mon->cpu_index);
    unsigned n = ms->cpus ? ms->smp.cpus : 0;

    if (hmp_bool(args, "all")) {
        for (unsigned i = 0; i < n; i++) {
            print_registers(mon, ms->cpus[i]);
        }
    } else if (index < 0 || index >= n) {
        monitor_puts(mon, n ? "CPU not available\n" : "No CPU available\n");
    } else {
        print_registers(mon, ms->cpus[index]);
    }
}

void hmp_info_lapic(Monitor *mon, json_t *args)
{
    MachineState *ms = mon->ms;
    int64_t id = hmp_int(args, "apic-id", -1);
    unsigned n = ms->cpus ? ms->smp.cpus : 0;

    for (unsigned i = 0; i < n; i++) {
        const X86CPU *cpu = x86_cpu(ms->cpus[i]);
        bool wanted = id < 0 ? i == (unsigned)mon->cpu_index : cpu->apic_id == id;

        if (wanted && cpu->apic) {
            g_autofree char *text = apic_dump(cpu->apic);

            monitor_puts(mon, text);
            return;
        }
        if (wanted) {
            monitor_puts(mon, "The local APIC is the accelerator's\n");
            return;
        }
    }
    monitor_puts(mon, "No local APIC\n");
}

void hmp_info_jit(Monitor *mon, json_t *args)
{
    AccelState *as = mon->ms->accel;
    const AccelClass *ac = as ? accel_get_class(as) : NULL;
    g_autofree char *text = ac && ac->info ? ac->info(as) : NULL;

    monitor_puts(mon, text ? text : "JIT information is only available with accel=tcg\n");
}

static void print_irqchip(Monitor *mon, bool counts)
{
    const MachineClass *mc = machine_get_class(mon->ms);
    g_autofree char *text = mc->irqchip_info ? mc->irqchip_info(mon->ms, counts) : NULL;

    monitor_puts(mon, text ? text
                      : "No interrupt controllers but the accelerator's\n");
}

void hmp_info_pic(Monitor *mon, json_t *args)
{
    print_irqchip(mon, false);
}

void hmp_info_irq(Monitor *mon, json_t *args)
{
    print_irqchip(mon, true);
}

#define NIC_MODEL "virtio-net-device"

typedef struct NetList {
    Monitor *mon;
    unsigned nameless;      /* cards without an id so far */
} NetList;

/* The line of a card, or of the hub port that stands for one; QEMU's card has no link=. */
static void print_nic(NetList *list, const NICState *nic, unsigned queue)
{
    g_autofree char *name = nic->name ? g_strdup(nic->name) :
        g_strdup_printf(NIC_MODEL ".%u", list->nameless);
    NetRxFilter f = { 0 };

    if (nic->port) {
        monitor_printf(list->mon, "%s: index=%u,%s\n", name, queue, nic->port->info);
        return;
    }
    monitor_printf(list->mon, "%s: index=%u,type=nic,model=" NIC_MODEL, name, queue);
    if (nic->ops->rx_filter) {
        nic->ops->rx_filter(nic->opaque, &f);
        monitor_printf(list->mon, ",macaddr=%02x:%02x:%02x:%02x:%02x:%02x", f.main_mac[0],
                       f.main_mac[1], f.main_mac[2], f.main_mac[3], f.main_mac[4],
                       f.main_mac[5]);
    }
    monitor_printf(list->mon, ",link=%s\n", net_link_up(nic) ? "up" : "down");
}

static void print_net_client(NetClientState *nc, void *opaque)
{
    NetList *list = opaque;

    if (nc->own_nic && nc->own_nic->nc) {
        return;             /* before its back end */
    }
    for (unsigned q = 0; q < nc->queues; q++) {
        if (nc->nic) {
            print_nic(list, nc->nic, q);
        }
        monitor_printf(list->mon, "%s%s: index=%u,%s\n", nc->nic ? " \\ " : "", nc->obj.id, q,
                       nc->info);
    }
    list->nameless += nc->nic && !nc->nic->name;
}

void hmp_info_network(Monitor *mon, json_t *args)
{
    NetList list = { mon, 0 };

    net_foreach(print_net_client, &list);
}

static void print_connections(NetClientState *nc, void *opaque)
{
    const NetClientClass *ncc = net_client_class(nc);
    char *text = ncc->connections ? ncc->connections(nc) : NULL;

    if (text) {
        monitor_printf(opaque, "Hub -1 (%s):\n%s", nc->obj.id, text);
        free(text);
    }
}

void hmp_info_usernet(Monitor *mon, json_t *args)
{
    net_foreach(print_connections, mon);
}

void hmp_info_chardev(Monitor *mon, json_t *args)
{
    json_t *list = hmp_qmp(mon, "query-chardev", NULL), *item;
    size_t i;

    json_array_foreach(list, i, item) {
        monitor_printf(mon, "%s: filename=%s\n", hmp_str(item, "label"),
                       hmp_str(item, "filename"));
    }
    json_decref(list);
}

static void print_rom(const Rom *rom, void *opaque)
{
    monitor_printf(opaque, "addr=%016" PRIx64 " size=0x%06" PRIx64 " mem=ram name=\"%s\"\n",
                   rom->seg.addr, rom->seg.mem_size, rom->name);
}

void hmp_info_roms(Monitor *mon, json_t *args)
{
    rom_foreach(mon->ms, print_rom, mon);
}

void hmp_info_acpi(Monitor *mon, json_t *args)
{
    const MachineClass *mc = machine_get_class(mon->ms);
    g_autofree char *text = mc->acpi_info ? mc->acpi_info(mon->ms) : NULL;

    monitor_puts(mon, text ? text : "ACPI: off (the machine has none)\n");
}

void hmp_info_history(Monitor *mon, json_t *args)
{
    char *line;

    for (unsigned i = 0; mon->line && (line = hmp_line_history(mon->line, i)); i++) {
        monitor_printf(mon, "%u: '%s'\n", i, line);
        g_free(line);
    }
}

void hmp_info_iothreads(Monitor *mon, json_t *args)
{
    json_t *list = hmp_qmp(mon, "query-iothreads", NULL), *item;
    size_t i;

    json_array_foreach(list, i, item) {
        monitor_printf(mon, "%s:\n  thread_id=%" PRId64 "\n",
                       hmp_str(item, "id"), hmp_int(item, "thread-id", 0));
    }
    json_decref(list);
}

static const char *yes(json_t *item, const char *name)
{
    return hmp_bool(item, name) ? "true" : "false";
}

void hmp_info_memdev(Monitor *mon, json_t *args)
{
    json_t *list = hmp_qmp(mon, "query-memdev", NULL), *item, *node;
    size_t i, n;

    json_array_foreach(list, i, item) {
        monitor_printf(mon, "memory backend: %s\n  size:  %" PRId64
                       "\n  merge: %s\n  dump: %s\n  prealloc: %s\n  share: %s\n"
                       "  reserve: %s\n  policy: %s\n  host nodes: ",
                       hmp_str(item, "id"), hmp_int(item, "size", 0),
                       yes(item, "merge"), yes(item, "dump"), yes(item, "prealloc"),
                       yes(item, "share"), yes(item, "reserve"),
                       hmp_str(item, "policy"));
        json_array_foreach(json_object_get(item, "host-nodes"), n, node) {
            monitor_printf(mon, "%s%" JSON_INTEGER_FORMAT, n ? "," : "",
                           json_integer_value(node));
        }
        monitor_puts(mon, "\n");
    }
    monitor_puts(mon, "\n");
    json_decref(list);
}

void hmp_info_numa(Monitor *mon, json_t *args)
{
    g_autofree char *text = numa_info(mon->ms);

    monitor_puts(mon, text);
}
