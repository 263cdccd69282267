/*
 * The table of QMP's commands and events.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "qmp.h"

#define CPU_PROPS "{?node-id:i,socket-id:i,die-id:i,core-id:i,thread-id:i}"
#define SURFACE "{ranges:[{start:i,size:i,name:s,server:(kernel|vmm)}],count:i,bytes:i," \
    "kernel-bytes:i,vmm-bytes:i}"
#define VIRTIO_FEATURES "{transports:[s],?dev-features:[s],?unknown-dev-features:i}"
#define DIRTY_RATE_MODE "(page-sampling|dirty-ring|dirty-bitmap)"
#define MIGRATION_STATUS "(none|setup|active|pre-switchover|device|postcopy-active|completed|" \
    "failed|cancelling|cancelled)"
#define RX_STATE "(normal|none|all)"
#define IO_LIMITS "bps:i,bps_rd:i,bps_wr:i,iops:i,iops_rd:i,iops_wr:i"
#define IO_BURSTS "?bps_max:i,?bps_rd_max:i,?bps_wr_max:i,?iops_max:i,?iops_rd_max:i,?iops_wr_max:i"
#define IO_LENGTHS "?bps_max_length:i,?bps_rd_max_length:i,?bps_wr_max_length:i," \
    "?iops_max_length:i,?iops_rd_max_length:i,?iops_wr_max_length:i"
#define STOP_REASON "guest:b,reason:s"
#define CHR "?logfile:s,?logappend:b"
#define CHR_BACKEND "{type:<file:{data:{?in:s,out:s,?append:b," CHR "}},pipe:{data:{device:s," CHR \
    "}},socket:{data:{addr:" QMP_ADDRESS ",?server:b,?wait:b,?nodelay:b,?telnet:b,?reconnect:i," \
    CHR "}},pty:{?data:{" CHR "}},null:{?data:{" CHR "}},stdio:{?data:{?signal:b," CHR "}}," \
    "ringbuf:{?data:{?size:i," CHR "}},memory:{?data:{?size:i," CHR "}}>}"
#define KEY_VALUE "{type:<number:{data:i},qcode:{data:s}>}"
#define INPUT_EVENT "{type:<key:{data:{key:" KEY_VALUE ",down:b}},btn:{data:{button:(left|middle|" \
    "right|wheel-up|wheel-down|side|extra|wheel-left|wheel-right),down:b}}," \
    "rel:{data:{axis:(x|y),value:i}},abs:{data:{axis:(x|y),value:i}}>}"

static const QmpCommand qmp_commands[] = {
    /* The protocol */
    { "qmp_capabilities", "?enable:[s]", NULL, qmp_capabilities,
      DOC("end negotiation; must be the first command") QMP_NEGOTIATION },
    { "query-version", "", "{qemu:{micro:i,minor:i,major:i},package:s}", qmp_query_version,
      DOC("interface version and our own") },
    { "query-commands", "", "[{name:s}]", qmp_query_commands, DOC("all commands") },
    { "query-events", "", "[{name:s}]", qmp_query_events, DOC("all events") },
    { "query-qmp-schema", "", "[{name:s,meta-type:s,*}]", qmp_query_schema,
      DOC("types of all commands and events") },
    { "human-monitor-command", "command-line:s,?cpu-index:i", "s",
      qmp_human_monitor_command, DOC("run a command of the monitor for people") },

    /* The machine */
    { "query-status", "", "{status:s,singlestep:b,running:b}", qmp_query_status,
      DOC("the run state") },
    { "query-name", "", "{?name:s}", qmp_query_name, DOC("the guest's name (-name)") },
    { "query-vm-generation-id", "", "{guid:s}", qmp_query_vm_generation_id,
      DOC("what -device vmgenid shows") },
    { "query-uuid", "", "{UUID:s}", qmp_query_uuid, DOC("the guest's UUID (-uuid)") },
    { "query-kvm", "", "{enabled:b,present:b}", qmp_query_kvm, DOC("whether KVM is used") },
    { "query-target", "", "{arch:s}", qmp_query_target, DOC("the guest's architecture") },
    { "query-machines", "", "[{name:s,?alias:s,?is-default:b,cpu-max:i,"
      "hotpluggable-cpus:b,numa-mem-supported:b,deprecated:b,?default-cpu-type:s,"
      "?default-ram-id:s}]", qmp_query_machines, DOC("machine types") },
    { "query-current-machine", "", "{wakeup-suspend-support:b}", qmp_query_current_machine,
      DOC("what the running machine can do") },
    { "query-cpus-fast", "", "[{cpu-index:i,qom-path:s,thread-id:i,props:" CPU_PROPS
      ",target:s}]", qmp_query_cpus_fast, DOC("CPUs and their threads") },
    { "query-hotpluggable-cpus", "", "[{type:s,vcpus-count:i,props:" CPU_PROPS "}]",
      qmp_query_hotpluggable_cpus, DOC("refused: CPUs are fixed") },
    { "query-cpu-definitions", "", "[{name:s,typename:s,unavailable-features:[s],"
      "static:b,migration-safe:b,deprecated:b}]", qmp_query_cpu_definitions, DOC("CPU models") },
    { "query-cpu-model-expansion", "type:(static|full),model:{name:s,?props:a}",
      "{model:{name:s,?props:a}}", qmp_query_cpu_model_expansion,
      DOC("the features that a CPU model has here") },
    { "query-memory-size-summary", "", "{base-memory:i,?plugged-memory:i}",
      qmp_query_memory_size_summary, DOC("RAM in bytes") },
    { "query-memory-devices", "", "[a]", qmp_empty_list, DOC("none: memory is fixed") },
    { "query-memdev", "", "[{?id:s,size:i,merge:b,dump:b,prealloc:b,share:b,?reserve:b,"
      "host-nodes:[i],policy:s}]", qmp_query_memdev, DOC("memory backends") },
    { "query-iothreads", "", "[{id:s,thread-id:i,poll-max-ns:i,"
      "poll-grow:i,poll-shrink:i,aio-max-batch:i}]", qmp_query_iothreads, DOC("I/O threads") },
    { "query-command-line-options", "?option:s", "[{option:s,parameters:"
      "[{name:s,type:(string|boolean|number|size),?help:s}]}]",
      qmp_query_command_line_options, DOC("options that take properties") },
    { "query-tpm-models", "", "[s]", qmp_empty_list, DOC("none") },
    { "query-tpm-types", "", "[s]", qmp_empty_list, DOC("none") },
    { "stop", "", NULL, qmp_stop, DOC("pause the guest") },
    { "cont", "", NULL, qmp_cont, DOC("let the guest run") },
    { "quit", "", NULL, qmp_quit, DOC("end the program") QMP_EVENT_FIRST },
    { "system_reset", "", NULL, qmp_system_reset, DOC("reset the machine") QMP_EVENT_FIRST },
    { "system_powerdown", "", NULL, qmp_system_powerdown, DOC("press the power button")
      QMP_EVENT_FIRST },
    { "system_wakeup", "", NULL, qmp_system_wakeup, DOC("refused: there is no suspend") },
    { "trace-event-get-state", "name:s",
      "[{name:s,state:(unavailable|disabled|enabled),vcpu:b}]", qmp_trace_event_get_state,
      DOC("which of these trace events are logged") },
    { "trace-event-set-state", "name:s,enable:b,?ignore-unavailable:b", NULL,
      qmp_trace_event_set_state, DOC("log these trace events, or do not") },
    { "inject-nmi", "", NULL, qmp_inject_nmi, DOC("send an NMI to every CPU") },
    { "set-action", "?reboot:(reset|shutdown),?shutdown:(poweroff|pause),"
      "?panic:(pause|shutdown|exit-failure|none),"
      "?watchdog:(reset|shutdown|poweroff|pause|debug|none|inject-nmi)", NULL,
      qmp_set_action, DOC("what to do on these events (-action)") },

    /* Memory and dumps */
    { "memsave", "val:i,size:i,filename:s,?cpu-index:i", NULL, qmp_memsave,
      DOC("write virtual memory to a file") },
    { "pmemsave", "val:i,size:i,filename:s", NULL, qmp_pmemsave,
      DOC("write physical memory to a file") },
    { "dump-guest-memory", "paging:b,protocol:s,?detach:b,?begin:i,?length:i,?format:(elf)",
      NULL, qmp_dump_guest_memory, DOC("write RAM and registers as an ELF core") },
    { "query-dump", "", "{status:(none|active|completed|failed),completed:i,total:i}",
      qmp_query_dump, DOC("the last dump") },
    { "query-dump-guest-memory-capability", "", "{formats:[s]}", qmp_query_dump_capability,
      DOC("formats of dumps") },

    /* Backends */
    { "query-chardev", "", "[{label:s,filename:s,frontend-open:b}]", qmp_query_chardev,
      DOC("character devices") },
    { "query-chardev-backends", "", "[{name:s}]", qmp_query_chardev_backends,
      DOC("kinds of character devices") },
    { "chardev-add", "id:s,backend:" CHR_BACKEND, "{?pty:s}", qmp_chardev_add,
      DOC("add a character device") },
    { "chardev-remove", "id:s", NULL, qmp_chardev_remove, DOC("remove a character device") },
    { "ringbuf-read", "device:s,size:i,?format:(utf8|base64)", "s", qmp_ringbuf_read,
      DOC("take the oldest output that a ringbuf holds") },
    { "getfd", "fdname:s", NULL, qmp_getfd, DOC("keep the passed descriptor under a name") },
    { "closefd", "fdname:s", NULL, qmp_closefd, DOC("close it") },
    { "add-fd", "?fdset-id:i,?opaque:s", "{fdset-id:i,fd:i}", qmp_add_fd,
      DOC("add the passed descriptor to a set: /dev/fdset/N opens it") },
    { "remove-fd", "fdset-id:i,?fd:i", NULL, qmp_remove_fd,
      DOC("close a descriptor of a set, or all of them") },
    { "query-fdsets", "", "[{fdset-id:i,fds:[{fd:i,?opaque:s}]}]", qmp_query_fdsets,
      DOC("descriptor sets") },
    { "query-block", "", "[{device:s,*}]", qmp_query_block, DOC("disks") },
    { "query-named-block-nodes", "?flat:b", "[{node-name:s,*}]", qmp_query_named_block_nodes,
      DOC("block nodes") },
    { "blockdev-add", "driver:B,node-name:s", NULL, qmp_blockdev_add,
      DOC("open an image (-blockdev)") },
    { "blockdev-del", "node-name:s", NULL, qmp_blockdev_del,
      DOC("close an image that no device uses") },
    { "query-blockstats", "?query-nodes:b", "[{?device:s,*}]", qmp_query_blockstats,
      DOC("what disks have done") },
    { "query-rx-filter", "?name:s", "[{name:s,promiscuous:b,multicast:" RX_STATE ",unicast:"
      RX_STATE ",vlan:" RX_STATE ",broadcast-allowed:b,multicast-overflow:b,unicast-overflow:b,"
      "main-mac:s,vlan-table:[i],unicast-table:[s],multicast-table:[s]}]", qmp_query_rx_filter,
      DOC("what network cards receive") },
    { "block_resize", "?device:s,?node-name:s,size:i,?force:b", NULL, qmp_block_resize,
      DOC("change an image's size and tell the guest; a disk in use shrinks only with force") },
    { "block_set_io_throttle", "?device:s,?id:s," IO_LIMITS "," IO_BURSTS "," IO_LENGTHS
      ",?iops_size:i,?group:s", NULL,
      qmp_block_set_io_throttle, DOC("limits of what a disk does in a second; 0: none") },
    { "netdev_add", "type:N,id:s", NULL, qmp_netdev_add, DOC("add a network backend") },
    { "netdev_del", "id:s", NULL, qmp_netdev_del, DOC("remove a network backend") },
    { "object-add", "qom-type:O,id:s,*", NULL, qmp_object_add, DOC("add an object (-object)") },
    { "object-del", "id:s", NULL, qmp_object_del, DOC("remove an object") },

    /* Devices and properties */
    { "qom-list", "path:s", "[{name:s,type:s}]", qmp_qom_list,
      DOC("properties and children at a path") },
    { "qom-get", "path:s,property:s", "a", qmp_qom_get, DOC("a property's value") },
    { "qom-set", "path:s,property:s,value:a", NULL, qmp_qom_set,
      DOC("set a property that can change while the machine runs; most cannot") },
    { "qom-list-types", "?implements:s,?abstract:b", "[{name:s,?abstract:b,?parent:s}]",
      qmp_qom_list_types, DOC("all types") },
    { "qom-list-properties", "typename:s", "[{name:s,type:s,?description:s,?default-value:a}]",
      qmp_qom_list_properties, DOC("properties of a type") },
    { "device-list-properties", "typename:s",
      "[{name:s,type:s,?description:s,?default-value:a}]", qmp_device_list_properties,
      DOC("properties of a device type") },
    { "x-query-surface", "", "{ports:" SURFACE ",memory:" SURFACE "}", qmp_x_query_surface,
      DOC("every port and address that the guest can reach") },
    { "x-query-virtio", "", "[{path:s,name:s}]", qmp_x_query_virtio, DOC("virtio devices") },
    { "x-query-virtio-status", "path:s", "{name:s,device-id:i,vhost-started:b,device-endian:s,"
      "guest-features:" VIRTIO_FEATURES ",host-features:" VIRTIO_FEATURES ",backend-features:"
      VIRTIO_FEATURES ",num-vqs:i,status:{statuses:[s],?unknown-statuses:i},isr:i,queue-sel:i,"
      "vm-running:b,broken:b,disabled:b,use-started:b,started:b,start-on-kick:b,"
      "disable-legacy-check:b,bus-name:s,use-guest-notifier-mask:b,?vhost-dev:{"
      "n-mem-sections:i,n-tmp-sections:i,nvqs:i,vq-index:i,features:" VIRTIO_FEATURES
      ",acked-features:" VIRTIO_FEATURES ",backend-features:" VIRTIO_FEATURES
      ",protocol-features:{protocols:[s],?unknown-protocols:i},max-queues:i,backend-cap:i,"
      "log-enabled:b,log-size:i}}", qmp_x_query_virtio_status,
      DOC("a virtio device: what is offered and agreed, what the driver has said") },
    { "x-query-virtio-queue-status", "path:s,queue:2", "{name:s,queue-index:i,inuse:i,"
      "vring-num:i,vring-num-default:i,vring-align:i,vring-desc:i,vring-avail:i,vring-used:i,"
      "?last-avail-idx:i,?shadow-avail-idx:i,used-idx:i,signalled-used:i,"
      "signalled-used-valid:b}", qmp_x_query_virtio_queue_status,
      DOC("a virtqueue: its rings and how far they are worked through") },
    { "x-query-virtio-vhost-queue-status", "path:s,queue:2", "{name:s,kick:i,call:i,desc:i,"
      "avail:i,used:i,num:i,desc-phys:i,desc-size:i,avail-phys:i,avail-size:i,used-phys:i,"
      "used-size:i}", qmp_x_query_virtio_vhost_queue_status,
      DOC("a virtqueue that a worker in the host's kernel serves, as that has it") },
    { "x-query-virtio-queue-element", "path:s,queue:2,?index:2", "{name:s,index:i,"
      "descs:[{addr:i,len:i,flags:[s]}],avail:{flags:i,idx:i,ring:i},used:{flags:i,idx:i}}",
      qmp_x_query_virtio_queue_element,
      DOC("a request in a virtqueue: the next one, or that of an entry of the available ring") },
    { "device_add", "driver:t,?bus:t,?id:t,*", NULL, qmp_device_add,
      DOC("plug a device in, where the bus allows it") },
    { "device_del", "id:s", NULL, qmp_device_del, DOC("unplug a device") },
    { "set_link", "name:s,up:b", NULL, qmp_set_link, DOC("plug a network cable in or out") },
    { "announce-self", "initial:i,max:i,rounds:i,step:i,?interfaces:[s],?id:s", NULL,
      qmp_announce_self, DOC("tell the network where the guest is, by RARP frames") },
    { "balloon", "value:i", NULL, qmp_balloon,
      DOC("ask the guest to keep so many bytes of memory and to give the rest back") },
    { "input-send-event", "?device:s,?head:i,events:[" INPUT_EVENT "]", NULL,
      qmp_input_send_event, DOC("keys and buttons go down or up, pointers move") },
    { "send-key", "keys:[" KEY_VALUE "],?hold-time:i", NULL, qmp_send_key,
      DOC("press these keys, and let them go after hold-time ms") },
    { "query-balloon", "", "{actual:i}", qmp_query_balloon,
      DOC("bytes of memory that the guest has, as its balloon says") },

    /* Saving and loading the machine */
    { "migrate", "uri:s,?detach:b,?resume:b", NULL, qmp_migrate,
      DOC("save the machine: file:PATH, unix:PATH, tcp:HOST:PORT, fd:NAME, exec:COMMAND") },
    { "migrate_cancel", "", NULL, qmp_migrate_cancel, DOC("do not save it: the guest goes on") },
    { "migrate-continue", "state:s", NULL, qmp_migrate_continue,
      DOC("from state \"pre-switchover\": hand the guest over") },
    { "migrate-start-postcopy", "", NULL, qmp_migrate_start_postcopy,
      DOC("with capability postcopy-ram: the guest goes on there now, its memory follows") },
    { "migrate-incoming", "uri:s", NULL, qmp_migrate_incoming,
      DOC("after -incoming defer: load a saved machine from there") },
    { "query-migrate", "", "{?status:" MIGRATION_STATUS ",?ram:{transferred:i,remaining:i,"
      "total:i,mbps:n,*},?error-desc:s,?blocked-reasons:[s],*}", qmp_query_migrate,
      DOC("how far it is, or what came of it") },
    { "query-migrate-capabilities", "", "[{capability:s,state:b}]",
      qmp_query_migrate_capabilities, DOC("what it can do besides, and whether that is on") },
    { "migrate-set-capabilities", "capabilities:[{capability:s,state:b}]", NULL,
      qmp_migrate_set_capabilities, DOC("turn these on or off") },
    { "query-migrate-parameters", "", "{max-bandwidth:i,max-postcopy-bandwidth:i,downtime-limit:i,"
      "cpu-throttle-initial:i,cpu-throttle-increment:i,max-cpu-throttle:i}",
      qmp_query_migrate_parameters, DOC("its limits") },
    { "migrate-set-parameters", "?max-bandwidth:i,?max-postcopy-bandwidth:i,?downtime-limit:i,"
      "?cpu-throttle-initial:i,?cpu-throttle-increment:i,?max-cpu-throttle:i,"
      "?block-bitmap-mapping:[{node-name:s,alias:s,"
      "bitmaps:[{name:s,alias:s,?transform:{?persistent:b}}]}],*", NULL, qmp_migrate_set_parameters,
      DOC("set limits: bandwidths in bytes a second, 0 for none; downtime-limit in ms") },
    { "calc-dirty-rate", "calc-time:i,?sample-pages:i,?mode:" DIRTY_RATE_MODE, NULL,
      qmp_calc_dirty_rate, DOC("measure for calc-time s how fast the guest writes to its memory") },
    { "query-dirty-rate", "", "{?dirty-rate:i,status:(unstarted|measuring|measured),start-time:i,"
      "calc-time:i,sample-pages:i,mode:" DIRTY_RATE_MODE "}", qmp_query_dirty_rate,
      DOC("what came of that, in MiB a second") },
    { NULL }
};

static const QmpEvent qmp_events[] = {
    { "SHUTDOWN", STOP_REASON, DOC("the machine ended") },
    { "RESET", STOP_REASON, DOC("the machine was reset") },
    { "STOP", "", DOC("the guest was paused") },
    { "RESUME", "", DOC("the guest runs again") },
    { "POWERDOWN", "", DOC("the power button was pressed") },
    { "GUEST_CRASHLOADED", "action:(pause|poweroff|run)",
      DOC("the guest's kernel crashed, and a kernel of the guest's own deals with it") },
    { "WATCHDOG", "action:(reset|shutdown|poweroff|pause|debug|none|inject-nmi)",
      DOC("a watchdog was not fed") },
    { "GUEST_PANICKED", "action:(pause|poweroff|run)", DOC("the guest's kernel crashed") },
    { "DEVICE_TRAY_MOVED", "device:s,id:s,tray-open:b", DOC("a CD drive's tray opened or closed") },
    { "BLOCK_IO_ERROR", "device:s,?node-name:s,operation:s,action:s,?nospace:b,reason:s",
      DOC("an access to a disk's backend failed") },
    { "BLOCK_IMAGE_CORRUPTED", "device:s,?node-name:s,msg:s,?offset:i,?size:i,fatal:b",
      DOC("an image is not sound: it is marked so, and not written any more") },
    { "VSERPORT_CHANGE", "id:s,open:b", DOC("the guest opened or closed a port") },
    { "BALLOON_CHANGE", "actual:i", DOC("the guest has given memory back, or taken some") },
    { "RTC_CHANGE", "offset:i", DOC("the guest set its clock") },
    { "NIC_RX_FILTER_CHANGED", "?name:s,path:s", DOC("the guest changed what it receives") },
    { "NETDEV_STREAM_CONNECTED",
      "netdev-id:s,addr:{?host:s,?port:s,?ipv4:b,?ipv6:b,?path:s,?abstract:b,type:s}",
      DOC("-netdev stream has a peer") },
    { "NETDEV_STREAM_DISCONNECTED", "netdev-id:s", DOC("-netdev stream has lost its peer") },
    { "DUMP_COMPLETED", "result:{total:i,status:s,completed:i},?error:s",
      DOC("a dump has been written") },
    { "MIGRATION", "status:" MIGRATION_STATUS, DOC("how far saving or loading is") },
    { "MIGRATION_PASS", "pass:i", DOC("RAM is sent for the pass-th time, as far as it changed") },
    { "DEVICE_DELETED", "?device:s,path:s", DOC("a device is gone") },
    { NULL }
};

/* All tables ------------------------------------------------------------------------------ */

const QmpCommand *const qmp_command_tables[] = {
    qmp_commands, qmp_job_commands, qmp_export_commands, NULL
};

const QmpEvent *const qmp_event_tables[] = {
    qmp_events, qmp_job_events, qmp_export_events, NULL
};
