/*
 * HMP's command tables.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef MONITOR_HMP_H
#define MONITOR_HMP_H

#include "block/block.h"
#include "monitor-internal.h"

/*
 * A row of a command table, which ends with a NULL name. args lists the
 * arguments as "name:T" with commas between, where T is
 *   s  a word, or "quoted" text       F  the same, a file name
 *   B  the same, a block device       S  the rest of the line
 *   i  an expression, 32 bits         l  an expression, 64 bits
 *   b  on or off                      -x the flag -x
 *   o  a size with a suffix; MiB without one
 *   /  a format like "/4xg" (members "count", "format", "size")
 * and a '?' after T makes it optional. Handlers find the values in args.
 */
typedef struct HmpCommand {
    const char *name;           /* "quit|q" */
    const char *args;
    const char *params;         /* as help shows them */
    const char *help;
    void (*fn)(Monitor *mon, json_t *args);
    const char *qmp;            /* with a NULL fn: the QMP command of these args */
} HmpCommand;

extern const HmpCommand hmp_commands[];
extern const HmpCommand hmp_info_commands[];

/* Values of args; the defaults when the argument was left out. */
const char *hmp_str(json_t *args, const char *name);
int64_t hmp_int(json_t *args, const char *name, int64_t def);
bool hmp_bool(json_t *args, const char *name);

/* Print err as "Error: …" and free it; harmless when NULL. True if there was one. */
bool hmp_error(Monitor *mon, Error *err);
/* qmp_call() that prints its error: a new reference or NULL. args not consumed. */
json_t *hmp_qmp(Monitor *mon, const char *name, json_t *args);

/*
 * An expression of numbers, $registers, + - * / % & | ^ ~ and parentheses at *p,
 * which is moved behind it. False with errp set when it is none.
 */
bool hmp_expr(Monitor *mon, const char **p, int64_t *result, Error **errp);
/* Parse "/fmt" at *p into args ("count", "format", "size"). */
bool hmp_format(const char **p, json_t *args, Error **errp);

/* Append what may stand where line ends to list (hmp-complete.c). */
void hmp_complete(Monitor *mon, const char *line, GPtrArray *list);

/* Handlers outside hmp-cmds.c. */
void hmp_help(Monitor *mon, json_t *args);
void hmp_info_help(Monitor *mon, json_t *args);
void hmp_info_version(Monitor *mon, json_t *args);
void hmp_info_status(Monitor *mon, json_t *args);
void hmp_info_name(Monitor *mon, json_t *args);
void hmp_info_uuid(Monitor *mon, json_t *args);
void hmp_info_vm_generation_id(Monitor *mon, json_t *args);
void hmp_info_kvm(Monitor *mon, json_t *args);
void hmp_info_balloon(Monitor *mon, json_t *args);
void hmp_info_cpus(Monitor *mon, json_t *args);
void hmp_info_registers(Monitor *mon, json_t *args);
void hmp_info_jit(Monitor *mon, json_t *args);
void hmp_info_lapic(Monitor *mon, json_t *args);
void hmp_info_pic(Monitor *mon, json_t *args);
void hmp_info_irq(Monitor *mon, json_t *args);
void hmp_info_usernet(Monitor *mon, json_t *args);
void hmp_info_block(Monitor *mon, json_t *args);                /* qmp-block.c */
void hmp_print_throttle(Monitor *mon, const BlockBackend *blk); /* qmp-throttle.c */
void hmp_info_blockstats(Monitor *mon, json_t *args);
void hmp_info_chardev(Monitor *mon, json_t *args);
void hmp_info_network(Monitor *mon, json_t *args);
void hmp_info_roms(Monitor *mon, json_t *args);
void hmp_info_history(Monitor *mon, json_t *args);
void hmp_info_mtree(Monitor *mon, json_t *args);
void hmp_info_acpi(Monitor *mon, json_t *args);
void hmp_info_surface(Monitor *mon, json_t *args);
void hmp_info_qtree(Monitor *mon, json_t *args);
void hmp_info_qom_tree(Monitor *mon, json_t *args);
void hmp_info_iothreads(Monitor *mon, json_t *args);
void hmp_info_memdev(Monitor *mon, json_t *args);
void hmp_info_numa(Monitor *mon, json_t *args);
void hmp_info_virtio(Monitor *mon, json_t *args);               /* hmp-virtio.c */
void hmp_info_virtio_status(Monitor *mon, json_t *args);
void hmp_info_virtio_queue_status(Monitor *mon, json_t *args);
void hmp_info_virtio_vhost_queue_status(Monitor *mon, json_t *args);
void hmp_info_virtio_queue_element(Monitor *mon, json_t *args);
void hmp_memory_dump(Monitor *mon, json_t *args);           /* x */
void hmp_physical_memory_dump(Monitor *mon, json_t *args);  /* xp */
void hmp_print(Monitor *mon, json_t *args);
void hmp_gpa2hva(Monitor *mon, json_t *args);
void hmp_gva2gpa(Monitor *mon, json_t *args);
void hmp_ioport_read(Monitor *mon, json_t *args);
void hmp_ioport_write(Monitor *mon, json_t *args);
void hmp_sum(Monitor *mon, json_t *args);
void hmp_migrate(Monitor *mon, json_t *args);                   /* qmp-migrate.c */
void hmp_info_migrate(Monitor *mon, json_t *args);
void hmp_migrate_set_capability(Monitor *mon, json_t *args);    /* hmp-migrate.c */
void hmp_migrate_set_parameter(Monitor *mon, json_t *args);
void hmp_info_migrate_capabilities(Monitor *mon, json_t *args);
void hmp_info_migrate_parameters(Monitor *mon, json_t *args);
void hmp_calc_dirty_rate(Monitor *mon, json_t *args);           /* qmp-dirty-rate.c */
void hmp_info_dirty_rate(Monitor *mon, json_t *args);
/* "1.5 GiB", caller frees. */
char *monitor_size_text(uint64_t size);                         /* qmp-block.c */
void hmp_savevm(Monitor *mon, json_t *args);                    /* qmp-snapshot.c */
void hmp_loadvm(Monitor *mon, json_t *args);
void hmp_delvm(Monitor *mon, json_t *args);
void hmp_info_snapshots(Monitor *mon, json_t *args);
void hmp_sendkey(Monitor *mon, json_t *args);                   /* qmp-input.c */

#endif
