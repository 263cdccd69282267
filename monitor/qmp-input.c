/*
 * Keys and pointers for the guest, by QMP and HMP.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <string.h>

#include "hmp.h"
#include "qemu/cutils.h"
#include "qemu/timer.h"
#include "qmp.h"
#include "sysemu/input.h"

#define DEFAULT_HOLD_MS     100
#define MAX_HOLD_MS         (60 * 1000)
#define MAX_KEYS            16

/* Keys that are down and will come up. */
typedef struct HeldKeys {
    MachineState *ms;
    QEMUTimer timer;
    unsigned n;
    const InputKey *keys[MAX_KEYS];
} HeldKeys;

static void send_key(MachineState *ms, const InputKey *key, bool down)
{
    input_send(ms, &(InputEvent) { .kind = INPUT_KEY, .key = key, .down = down });
    input_sync(ms);
}

static void release_keys(void *opaque)
{
    HeldKeys *h = opaque;

    while (h->n > 0) {
        send_key(h->ms, h->keys[--h->n], false);
    }
    g_free(h);
}

/* Press them in order; they come up in the opposite one. Takes h. */
static void press_keys(HeldKeys *h, int64_t hold_ms)
{
    for (unsigned i = 0; i < h->n; i++) {
        send_key(h->ms, h->keys[i], true);
    }
    timer_init_ns(&h->timer, QEMU_CLOCK_REALTIME, release_keys, h);
    timer_mod_ns(&h->timer, qemu_clock_get_ns(QEMU_CLOCK_REALTIME) +
                 CLAMP(hold_ms, 0, MAX_HOLD_MS) * 1000000);
}

/* {type: "qcode", data: NAME} or {type: "number", data: N}. */
static const InputKey *key_value(json_t *value, Error **errp)
{
    const char *name = qmp_str(value, "data");
    const InputKey *key = name ? input_key_by_name(name) :
                          input_key_by_number(qmp_int(value, "data", 0));

    if (!key && name) {
        error_setg(errp, "Parameter 'data' does not accept value '%s'", name);
    } else if (!key) {
        error_setg(errp, "Parameter 'data' is no key's number");
    }
    return key;
}

static bool check_running(Monitor *mon, Error **errp)
{
    if (!runstate_is_running(mon->ms)) {
        error_setg(errp, "VM not running");
        return false;
    }
    return true;
}

json_t *qmp_send_key(Monitor *mon, json_t *args, Error **errp)
{
    json_t *list = json_object_get(args, "keys"), *value;
    HeldKeys *h = g_new0(HeldKeys, 1);
    size_t i;

    h->ms = mon->ms;
    json_array_foreach(list, i, value) {
        const InputKey *key = i < MAX_KEYS ? key_value(value, errp) : NULL;

        if (!key) {
            if (i >= MAX_KEYS) {
                error_setg(errp, "at most %d keys at once", MAX_KEYS);
            }
            g_free(h);
            return NULL;
        }
        h->keys[h->n++] = key;
    }
    if (!input_is_taken(mon->ms, INPUT_KEY)) {
        error_setg(errp, "There is no keyboard");
        g_free(h);
        return NULL;
    }
    press_keys(h, qmp_int(args, "hold-time", DEFAULT_HOLD_MS));
    return NULL;
}

/* Whose place in the list is their number in the interface. */
static int find_word(const char *const *words, int n, const char *word)
{
    int i = 0;

    while (i < n && strcmp(words[i], word)) {
        i++;
    }
    g_assert(i < n);    /* the command's table has let only these pass */
    return i;
}

/* One event of input-send-event; false with errp set. */
static bool parse_event(json_t *value, InputEvent *event, Error **errp)
{
    static const char *const kinds[] = { "key", "btn", "rel", "abs" };
    static const char *const buttons[] = {
        "left", "middle", "right", "wheel-up", "wheel-down", "side", "extra", "wheel-left",
        "wheel-right",
    };
    json_t *data = json_object_get(value, "data");
    int64_t number = qmp_int(data, "value", 0);

    *event = (InputEvent) {
        .kind = find_word(kinds, INPUT_KINDS, qmp_str(value, "type")),
        .down = qmp_bool(data, "down", false),
    };
    switch (event->kind) {
    case INPUT_KEY:
        event->key = key_value(json_object_get(data, "key"), errp);
        return event->key;
    case INPUT_BTN:
        event->button = find_word(buttons, INPUT_BUTTONS, qmp_str(data, "button"));
        return true;
    case INPUT_REL:
        event->y = !strcmp(qmp_str(data, "axis"), "y");
        event->value = CLAMP(number, INT32_MIN, INT32_MAX);
        return true;
    default:
        event->y = !strcmp(qmp_str(data, "axis"), "y");
        event->value = CLAMP(number, 0, INPUT_ABS_MAX);
        return true;
    }
}

/* All events are checked before the first one is sent. */
json_t *qmp_input_send_event(Monitor *mon, json_t *args, Error **errp)
{
    json_t *list = json_object_get(args, "events"), *value;
    InputEvent event;
    size_t i;

    if (!check_running(mon, errp)) {
        return NULL;
    }
    json_array_foreach(list, i, value) {
        if (!parse_event(value, &event, errp)) {
            return NULL;
        }
        if (!input_is_taken(mon->ms, event.kind)) {
            error_setg(errp, "Input handler not found for event type %s", qmp_str(value, "type"));
            return NULL;
        }
    }
    json_array_foreach(list, i, value) {
        if (parse_event(value, &event, NULL)) {
            input_send(mon->ms, &event);
        }
    }
    input_sync(mon->ms);
    return NULL;
}

static const InputKey *named_key(const char *word)
{
    uint64_t number;

    if (g_str_has_prefix(word, "0x") && !qemu_strtou64(word, &number)) {
        return input_key_by_number(number);
    }
    return input_key_by_name(word);
}

/* "ctrl-alt-f1"; numbers are those of scan code set 1. */
void hmp_sendkey(Monitor *mon, json_t *args)
{
    g_auto(GStrv) words = g_strsplit(hmp_str(args, "keys"), "-", MAX_KEYS);
    HeldKeys *h = g_new0(HeldKeys, 1);

    h->ms = mon->ms;
    for (unsigned i = 0; words[i]; i++) {
        /* As ever, "<" may be written for the key that has no letter. */
        const InputKey *key = named_key(strcmp(words[i], "<") ? words[i] : "less");

        if (!key) {
            monitor_printf(mon, "unknown key: '%s'\n", words[i]);
            g_free(h);
            return;
        }
        h->keys[h->n++] = key;
    }
    if (!input_is_taken(mon->ms, INPUT_KEY)) {
        monitor_puts(mon, "Error: this machine has no keyboard: -device i8042\n");
        g_free(h);
        return;
    }
    press_keys(h, hmp_int(args, "hold-time", DEFAULT_HOLD_MS));
}
