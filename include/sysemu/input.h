/*
 * Keys, buttons and movements that the host makes for the guest, and the devices that get them.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef SYSEMU_INPUT_H
#define SYSEMU_INPUT_H

#include "hw/boards.h"

/* A key by QMP's name (QKeyCode), and what keyboards send when it is pressed. */
typedef struct InputKey {
    const char *name;
    uint8_t number;             /* scan code set 1; KEY_EXTENDED: behind an E0 */
    uint8_t set2;               /* scan code set 2, behind an E0 for the same keys */
    uint8_t code;               /* linux/input-event-codes.h */
} InputKey;
#define KEY_EXTENDED 0x80

/* All of them; the last has no name. */
extern const InputKey input_keys[];

/* NULL when there is none. */
const InputKey *input_key_by_name(const char *name);
const InputKey *input_key_by_number(uint64_t number);

/* QMP's InputEventKind, InputButton. */
typedef enum InputKind { INPUT_KEY, INPUT_BTN, INPUT_REL, INPUT_ABS, INPUT_KINDS } InputKind;
typedef enum InputButton {
    INPUT_LEFT, INPUT_MIDDLE, INPUT_RIGHT, INPUT_WHEEL_UP, INPUT_WHEEL_DOWN, INPUT_SIDE,
    INPUT_EXTRA, INPUT_WHEEL_LEFT, INPUT_WHEEL_RIGHT, INPUT_BUTTONS
} InputButton;

#define INPUT_ABS_MAX 0x7fff    /* the right or lower edge, by an absolute position */

typedef struct InputEvent {
    InputKind kind;
    bool down;                  /* KEY, BTN */
    bool y;                     /* REL, ABS: the axis */
    const InputKey *key;        /* KEY */
    InputButton button;         /* BTN */
    int32_t value;              /* REL: distance; ABS: 0 to INPUT_ABS_MAX */
} InputEvent;

/* In a device. Called with the machine lock held, on the main thread. */
typedef struct InputHandler InputHandler;
struct InputHandler {
    unsigned kinds;             /* that it takes: bits 1 << INPUT_* */
    void (*event)(InputHandler *h, const InputEvent *event);
    void (*sync)(InputHandler *h);      /* the events so far are one report; NULL */
    bool unsynced;              /* input.c: it had events since */
};

/* Each kind goes to the last of those that take it. Any number; machine lock. */
void input_add_handler(MachineState *ms, InputHandler *h);
void input_del_handler(MachineState *ms, InputHandler *h);
/* The driver of one that was added has come: it is preferred. / It went: others are. */
void input_prefer(MachineState *ms, InputHandler *h, bool first);
bool input_is_taken(const MachineState *ms, InputKind kind);
/* False when nobody takes such events. */
bool input_send(MachineState *ms, const InputEvent *event);
/* Events since the last call belong together. */
void input_sync(MachineState *ms);

#endif
