/*
 * QMP's command table.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef MONITOR_QMP_H
#define MONITOR_QMP_H

#include "block/action.h"
#include "block/events.h"
#include "monitor-internal.h"
#include "net/peer.h"
#include "qemu/option-json.h"

enum {
    QMP_NEGOTIATION = 1 << 0,   /* before negotiation, and only then */
    QMP_EVENT_FIRST = 1 << 1,   /* answer after the main loop has run once */
};

/*
 * A row of the table, which ends with a NULL name. args and ret are types (qmp-types.h): args lists
 * members without the braces; ret NULL means an empty object.
 */
typedef struct QmpCommand {
    const char *name;
    const char *args;
    const char *ret;
    /*
     * args has been checked and is never NULL. Returns a new reference; NULL
     * is an empty object, or failure with errp set.
     */
    json_t *(*fn)(Monitor *mon, json_t *args, Error **errp);
    unsigned flags;
} QmpCommand;

typedef struct QmpEvent {
    const char *name;
    const char *data;           /* as QmpCommand.args */
} QmpEvent;

/* For docs/system/monitor-commands.rst (scripts/monitor-docs), not for the program. */
#define DOC(text)

/* Where a socket is. */
#define QMP_ADDRESS "{type:<inet:{data:{host:s,port:s,?to:2,?ipv4:b,?ipv6:b}}," \
    "unix:{data:{path:s,?abstract:b,?tight:b}},fd:{data:{str:s}}>}"

/* The tables, each ends with a NULL name, and lists of them all, which end with NULL. */
extern const QmpCommand qmp_job_commands[], qmp_export_commands[];
extern const QmpEvent qmp_job_events[], qmp_export_events[];
extern const QmpCommand *const qmp_command_tables[];
extern const QmpEvent *const qmp_event_tables[];

/* What query-qmp-schema answers. */
json_t *qmp_schema(void);

/* Members of checked args; what is absent gives NULL, def or false. */
const char *qmp_str(json_t *args, const char *name);
int64_t qmp_int(json_t *args, const char *name, int64_t def);
bool qmp_bool(json_t *args, const char *name, bool def);

typedef json_t *QmpFn(Monitor *mon, json_t *args, Error **errp);
QmpFn qmp_capabilities, qmp_query_version, qmp_query_commands, qmp_query_events, qmp_query_schema,
    qmp_human_monitor_command;                                  /* qmp.c */
QmpFn qmp_query_status, qmp_query_name, qmp_query_uuid, qmp_query_vm_generation_id, qmp_query_kvm,
    qmp_query_target, qmp_query_memory_size_summary,
    qmp_query_current_machine, qmp_query_machines, qmp_query_chardev,
    qmp_query_chardev_backends, qmp_query_iothreads, qmp_query_memdev,
    qmp_query_command_line_options, qmp_empty_list;             /* qmp-query.c */
QmpFn qmp_query_cpus_fast, qmp_query_cpu_definitions,
    qmp_query_cpu_model_expansion;                              /* qmp-cpu.c */
QmpFn qmp_stop, qmp_cont, qmp_quit, qmp_system_reset, qmp_system_powerdown,
    qmp_system_wakeup, qmp_inject_nmi, qmp_set_action, qmp_memsave, qmp_pmemsave,
    qmp_device_add, qmp_device_del, qmp_object_add, qmp_object_del,
    qmp_balloon, qmp_query_balloon, qmp_query_hotpluggable_cpus,
    qmp_trace_event_get_state, qmp_trace_event_set_state;       /* qmp-control.c */
QmpFn qmp_query_migrate, qmp_migrate, qmp_migrate_cancel, qmp_migrate_incoming,
    qmp_query_migrate_capabilities, qmp_migrate_set_capabilities, qmp_query_migrate_parameters,
    qmp_migrate_set_parameters, qmp_migrate_continue,
    qmp_migrate_start_postcopy;                                 /* qmp-migrate.c */
QmpFn qmp_calc_dirty_rate, qmp_query_dirty_rate;            /* qmp-dirty-rate.c */
QmpFn qmp_chardev_add, qmp_chardev_remove, qmp_ringbuf_read;     /* qmp-chardev.c */
QmpFn qmp_input_send_event, qmp_send_key;                       /* qmp-input.c */
QmpFn qmp_getfd, qmp_closefd, qmp_add_fd, qmp_remove_fd, qmp_query_fdsets; /* qmp-fd.c */
QmpFn qmp_netdev_add, qmp_netdev_del, qmp_set_link, qmp_query_rx_filter,
    qmp_announce_self;                                          /* qmp-net.c */
NetStreamFn qmp_stream_event;                                   /* qmp-net.c */
QmpFn qmp_query_block, qmp_query_named_block_nodes, qmp_query_blockstats,
    qmp_block_resize, qmp_blockdev_add, qmp_blockdev_del;       /* qmp-block.c */
extern const char *const qmp_iostatus_names[];                  /* of BlockIoStatus */
QmpFn qmp_block_set_io_throttle;                                /* qmp-throttle.c */
/* The members about limits that query-block has of blk; NULL: of a node without a backend. */
void qmp_add_throttle(json_t *o, const BlockBackend *blk);
QmpFn qmp_query_jobs, qmp_query_block_jobs, qmp_job_cancel, qmp_job_pause, qmp_job_resume,
    qmp_job_complete, qmp_job_finalize, qmp_job_dismiss, qmp_block_job_set_speed,
    qmp_block_stream, qmp_block_commit, qmp_blockdev_mirror, qmp_blockdev_create,
    qmp_drive_mirror;
/* The listener of a QMP session's; an image has become corrupt. */
extern const BlockListener qmp_block_listener;
void qmp_block_corrupted(void *opaque, const BlockCorruption *c);           /* qmp-block.c */
/* What all commands that make jobs have. */
bool qmp_job_options(json_t *args, BlockJobOptions *o, Error **errp);   /* qmp-block-job.c */
QmpFn qmp_blockdev_snapshot, qmp_blockdev_snapshot_sync, qmp_blockdev_backup, qmp_drive_backup,
    qmp_bitmap_add, qmp_bitmap_remove, qmp_bitmap_clear, qmp_bitmap_enable, qmp_bitmap_disable,
    qmp_bitmap_merge, qmp_blockdev_reopen, qmp_transaction;
QmpFn qmp_snapshot_save, qmp_snapshot_load, qmp_snapshot_delete;   /* qmp-snapshot.c */
/* A bitmap's name, or a node's and a bitmap's. */
bool qmp_bitmap_name(json_t *value, BlockBitmapName *name, Error **errp);  /* qmp-block-action.c */
QmpFn qmp_qom_list, qmp_qom_get, qmp_qom_set;                   /* qom.c */
QmpFn qmp_qom_list_types, qmp_qom_list_properties,
    qmp_device_list_properties;                                 /* qom-types.c */
QmpFn qmp_x_query_virtio, qmp_x_query_virtio_status, qmp_x_query_virtio_queue_status,
    qmp_x_query_virtio_vhost_queue_status, qmp_x_query_virtio_queue_element; /* qmp-virtio.c */
QmpFn qmp_x_query_surface;                                      /* mtree.c */
QmpFn qmp_dump_guest_memory, qmp_query_dump, qmp_query_dump_capability; /* dump.c */

#endif
