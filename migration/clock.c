/*
 * The machine's clock, and what the guest did when it was saved.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <string.h>

#include "internal.h"
#include "qemu/timer.h"

static void save_clock(const void *field, const char *name, GByteArray *out)
{
    const MachineState *ms = (const void *)((const char *)field - offsetof(MachineState, rsm));
    const Migration *m = ms->migration;
    const char *state = runstate_name(!m->was_running ? m->before :
                                      m->stay_stopped ? RUN_STATE_PAUSED : RUN_STATE_RUNNING);

    state_put_int(out, "virtual-ns", qemu_clock_get_ns(QEMU_CLOCK_VIRTUAL));
    state_put_bytes(out, "run-state", state, strlen(state));
    state_put_int(out, "panicked", ms->rsm.panicked);
}

/* The run state of this name: one that a machine can be saved in. */
static bool find_state(const uint8_t *name, uint32_t len, RunState *state)
{
    for (*state = 0; *state < RUN_STATE__MAX; ++*state) {
        const char *known = runstate_name(*state);

        if (strlen(known) == len && !memcmp(known, name, len)) {
            return *state != RUN_STATE_INMIGRATE && *state != RUN_STATE_FINISH_MIGRATE;
        }
    }
    return false;
}

static bool load_clock(void *field, const char *name, StateReader *in, Error **errp)
{
    MachineState *ms = (void *)((char *)field - offsetof(MachineState, rsm));
    Migration *m = ms->migration;
    uint64_t ns, panicked;
    const uint8_t *text;
    uint32_t len;

    if (!state_get_int(in, "virtual-ns", INT64_MAX / 4, &ns, errp) ||
        !state_get_bytes(in, "run-state", &text, &len, errp) ||
        !state_get_int(in, "panicked", 1, &panicked, errp)) {
        return false;
    }
    if (!find_state(text, len, &m->before)) {
        error_setg(errp, "the run state is not known");
        return false;
    }
    m->was_running = m->before == RUN_STATE_RUNNING;
    ms->rsm.panicked = panicked;
    qemu_clock_set_virtual(ns);
    return true;
}

static const StateInfo clock_info = { .save = save_clock, .load = load_clock };

static const StateField clock_fields[] = {
    STATE_CUSTOM(MachineState, rsm, clock_info),
    STATE_END
};

const StateDesc machine_clock_state = { .name = "machine", .version = 1, .fields = clock_fields };
