/*
 * -trace: which events are written to the log.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "qemu/trace.h"

#include <string.h>

#include "qemu/similar.h"

uint64_t trace_enabled;

#define TRACE_NAME(name) #name "\0"
static const char trace_names[] = TRACE_EVENTS(TRACE_NAME);

G_STATIC_ASSERT(TRACE_COUNT <= 64);

const char *trace_name(TraceEvent event)
{
    const char *name = trace_names;

    for (unsigned i = 0; i < event; i++) {
        name += strlen(name) + 1;
    }
    return name;
}

unsigned trace_set(const char *pattern, bool on)
{
    uint64_t mask = 0;

    for (unsigned i = 0; i < TRACE_COUNT; i++) {
        if (g_pattern_match_simple(pattern, trace_name(i))) {
            mask |= 1ULL << i;
        }
    }
    if (on) {
        __atomic_fetch_or(&trace_enabled, mask, __ATOMIC_RELAXED);
    } else {
        __atomic_fetch_and(&trace_enabled, ~mask, __ATOMIC_RELAXED);
    }
    return __builtin_popcountll(mask);
}

void trace_set_by_option(const char *pattern)
{
    bool on = *pattern != '-';

    if (!trace_set(pattern + !on, on)) {
        g_autofree char *meant = NULL;
        Similar s;

        similar_init(&s, pattern + !on);
        for (unsigned i = 0; i < TRACE_COUNT; i++) {
            similar_try(&s, trace_name(i));
        }
        meant = similar_text(&s, "");
        warn_report("trace event '%s' does not exist%s", pattern + !on, meant);
    }
}

bool trace_set_by_file(const char *filename, Error **errp)
{
    g_autofree char *text = NULL;
    g_auto(GStrv) lines = NULL;
    g_autoptr(GError) err = NULL;

    if (!g_file_get_contents(filename, &text, NULL, &err)) {
        error_setg(errp, "%s", err->message);
        return false;
    }
    lines = g_strsplit(text, "\n", -1);
    for (char **line = lines; *line; line++) {
        g_strstrip(*line);
        if (**line && **line != '#') {
            trace_set_by_option(*line);
        }
    }
    return true;
}
