/*
 * Trace events: single lines of the log (-d, -D) with a name, switched on and
 * off one by one. Off, an event costs one test of a word.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef QEMU_TRACE_H
#define QEMU_TRACE_H

#include <stdint.h>

#include "qemu/log.h"

/* Every event, by QEMU's name where it has the same. At most 64. */
#define TRACE_EVENTS(X) \
    X(runstate_set) X(qemu_system_shutdown_request) X(qemu_system_reset) \
    X(qemu_system_powerdown_request) \
    X(memory_region_ops_read) X(memory_region_ops_write) \
    X(kvm_ioctl) X(kvm_run_exit) \
    X(virtio_mmio_queue_notify) X(virtio_set_status) X(virtio_queue_notify) \
    X(virtqueue_pop) X(virtqueue_fill) X(virtio_notify) X(virtio_notify_config) \
    X(virtio_blk_submit) X(virtio_blk_req_complete) \
    X(net_send) X(net_recv) X(virtio_input_status) \
    X(virtio_serial_handle_control_message) X(virtio_serial_send_control_event) \
    X(apic_deliver_irq) X(ioapic_set_irq) X(pic_set_irq) \
    X(handle_qmp_command) X(monitor_qmp_respond) X(monitor_protocol_event_emit) \
    X(handle_hmp_command) X(gdbstub_io_command)

#define TRACE_ENUM(name) TRACE_##name,
typedef enum TraceEvent { TRACE_EVENTS(TRACE_ENUM) TRACE_COUNT } TraceEvent;
#undef TRACE_ENUM

extern uint64_t trace_enabled;      /* bit n: event n */

static inline bool trace_is_on(TraceEvent event)
{
    return __builtin_expect(__atomic_load_n(&trace_enabled, __ATOMIC_RELAXED) >> event & 1, 0);
}

/* trace(virtio_notify, "queue %u", n): arguments are evaluated only when it is on. */
#define trace(name, fmt, ...) do { \
        if (trace_is_on(TRACE_##name)) { \
            qemu_log(#name " " fmt "\n", ##__VA_ARGS__); \
        } \
    } while (0)

/*
 * Switch the events that pattern names ('*' and '?' match any text, any
 * character); returns how many there are.
 */
unsigned trace_set(const char *pattern, bool on);
/* An event's name. */
const char *trace_name(TraceEvent event);
/* "-pattern" switches off. Warns when there is no such event. */
void trace_set_by_option(const char *pattern);
/* The same for each line of a file; '#' begins a comment. False with errp set. */
bool trace_set_by_file(const char *filename, Error **errp);

#endif
