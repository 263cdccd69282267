/*
 * Keys that the host presses for the guest: names, codes, and the keyboard that gets them.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef SYSEMU_INPUT_H
#define SYSEMU_INPUT_H

#include "hw/boards.h"

/* A key by QMP's name (QKeyCode), and what a PC's keyboard sends when it is pressed. */
typedef struct InputKey {
    const char *name;
    uint8_t number;             /* scan code set 1; KEY_EXTENDED: behind an E0 */
    uint8_t set2;               /* scan code set 2, behind an E0 for the same keys */
} InputKey;
#define KEY_EXTENDED 0x80

/* All of them; the last has no name. */
extern const InputKey input_keys[];

/* NULL when there is none. */
const InputKey *input_key_by_name(const char *name);
const InputKey *input_key_by_number(uint64_t number);

/* A keyboard: told of each key that goes down or up. Main thread, machine lock held. */
typedef void InputKeyFn(void *opaque, const InputKey *key, bool down);

/* The one that was added last gets the keys. Any number; machine lock held. */
void input_add_keyboard(MachineState *ms, InputKeyFn *fn, void *opaque);
void input_del_keyboard(MachineState *ms, void *opaque);
bool input_has_keyboard(const MachineState *ms);
/* False when there is no keyboard. */
bool input_send_key(MachineState *ms, const InputKey *key, bool down);

#endif
