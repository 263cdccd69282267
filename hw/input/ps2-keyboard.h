/*
 * A keyboard at the end of a PS/2 cable.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef HW_INPUT_PS2_KEYBOARD_H
#define HW_INPUT_PS2_KEYBOARD_H

#include "sysemu/input.h"

#define PS2_QUEUE_SIZE 64

typedef struct PS2Keyboard {
    bool scanning;              /* keys are sent */
    uint8_t command;            /* waits for its parameter; 0: none */
    uint8_t head, count;
    uint8_t queue[PS2_QUEUE_SIZE];  /* what it wants to send */
} PS2Keyboard;

void ps2_keyboard_reset(PS2Keyboard *kbd);
/* A byte to the keyboard; the answer is queued. */
void ps2_keyboard_write(PS2Keyboard *kbd, uint8_t byte);
/* A key goes down or up: scan code set 2. A full queue forgets it. */
void ps2_keyboard_key(PS2Keyboard *kbd, const InputKey *key, bool down);
/* The next byte from it, to be called only while count is not 0. */
uint8_t ps2_keyboard_read(PS2Keyboard *kbd);

#endif
