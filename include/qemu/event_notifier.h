/*
 * An eventfd: what crosses threads, and what KVM signals and listens to.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef QEMU_EVENT_NOTIFIER_H
#define QEMU_EVENT_NOTIFIER_H

#include <glib.h>
#include <stdbool.h>

typedef struct EventNotifier {
    int fd;                 /* -1 when not open */
} EventNotifier;

/* Open, non-blocking and close-on-exec. 0 or negative errno. */
int event_notifier_init(EventNotifier *e);
void event_notifier_cleanup(EventNotifier *e);
/* Any thread, signal-safe. */
void event_notifier_set(EventNotifier *e);
/* True if it had been set. */
bool event_notifier_test_and_clear(EventNotifier *e);

typedef void EventNotifierHandler(void *opaque);
/*
 * Call handler from ctx (NULL: the main loop) whenever e is set; e is cleared
 * before the call. The source is returned attached: g_source_destroy() and
 * g_source_unref() it to stop.
 */
GSource *event_notifier_add_handler(EventNotifier *e, GMainContext *ctx,
                                    EventNotifierHandler *handler,
                                    void *opaque);

#endif
