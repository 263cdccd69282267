/*
 * Machine events: what happened, told to whoever listens (QMP's clients).
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef HW_CORE_EVENT_H
#define HW_CORE_EVENT_H

#include "hw/boards.h"
#include "qemu/timer.h"

typedef enum EventFieldType {
    EVENT_FIELD_STR,
    EVENT_FIELD_INT,
    EVENT_FIELD_BOOL,
} EventFieldType;

/* One member of an event's data. A NULL str leaves the member out. */
typedef struct EventField {
    const char *name;
    EventFieldType type;
    const char *str;
    int64_t num;
} EventField;

#define EVENT_STR(n, v) { .name = (n), .type = EVENT_FIELD_STR, .str = (v) }
#define EVENT_INT(n, v) { .name = (n), .type = EVENT_FIELD_INT, .num = (v) }
#define EVENT_BOOL(n, v) { .name = (n), .type = EVENT_FIELD_BOOL, .num = (v) }

/*
 * Send an event with its QMP name ("BLOCK_IO_ERROR") and n fields, which are
 * copied. Any thread, with or without the machine lock; costs one test when
 * nobody listens.
 */
static inline void machine_event(MachineState *ms, const char *event,
                                 const EventField *fields, unsigned n)
{
    if (ms->event_fn) {
        ms->event_fn(ms, event, fields, n);
    }
}

/*
 * A guest causes some events as often as it likes, and clients have only so much room for
 * them. Zeroed at first; one thread at a time.
 */
#define EVENTS_PER_SECOND 10

typedef struct EventLimit {
    int64_t since;              /* start of the second, on QEMU_CLOCK_REALTIME */
    unsigned count;             /* events in it */
} EventLimit;

/* True if one more may be sent; false: enough until since + a second. */
static inline bool event_limit_allows(EventLimit *limit)
{
    int64_t now = qemu_clock_get_ns(QEMU_CLOCK_REALTIME);

    if (now - limit->since >= NANOSECONDS_PER_SECOND) {
        *limit = (EventLimit) { .since = now };
    }
    return limit->count < EVENTS_PER_SECOND && ++limit->count;
}

#endif
