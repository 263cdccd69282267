/*
 * A PS/2 keyboard with scan code set 2: commands and keys (IBM, "Keyboards (101- and
 * 102-key)", technical reference).
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "ps2-keyboard.h"

#define CMD_SET_LEDS        0xed
#define CMD_ECHO            0xee
#define CMD_SCAN_CODES      0xf0
#define CMD_IDENTIFY        0xf2
#define CMD_SET_RATE        0xf3
#define CMD_ENABLE          0xf4
#define CMD_DISABLE         0xf5
#define CMD_DEFAULTS        0xf6
#define CMD_RESET           0xff

#define REPLY_ACK           0xfa
#define REPLY_RESEND        0xfe
#define REPLY_TEST_PASSED   0xaa
#define CODE_EXTENDED       0xe0
#define CODE_RELEASED       0xf0
#define SCAN_CODE_SET       2

static void send(PS2Keyboard *kbd, uint8_t byte)
{
    if (kbd->count < PS2_QUEUE_SIZE) {
        kbd->queue[(kbd->head + kbd->count++) % PS2_QUEUE_SIZE] = byte;
    }
}

uint8_t ps2_keyboard_read(PS2Keyboard *kbd)
{
    uint8_t byte = kbd->queue[kbd->head];

    kbd->head = (kbd->head + 1) % PS2_QUEUE_SIZE;
    kbd->count--;
    return byte;
}

void ps2_keyboard_reset(PS2Keyboard *kbd)
{
    *kbd = (PS2Keyboard) { .scanning = true };
}

static void take_parameter(PS2Keyboard *kbd, uint8_t byte)
{
    uint8_t command = kbd->command;

    kbd->command = 0;
    if (command == CMD_SCAN_CODES && byte > SCAN_CODE_SET) {
        send(kbd, REPLY_RESEND);
        return;
    }
    send(kbd, REPLY_ACK);
    if (command == CMD_SCAN_CODES && byte == 0) {
        send(kbd, SCAN_CODE_SET);
    }
}

void ps2_keyboard_write(PS2Keyboard *kbd, uint8_t byte)
{
    if (kbd->command && byte < CMD_SET_LEDS) {
        take_parameter(kbd, byte);
        return;
    }
    kbd->command = 0;
    switch (byte) {
    case CMD_ECHO:
        send(kbd, CMD_ECHO);
        break;
    case CMD_SET_LEDS:
    case CMD_SET_RATE:
    case CMD_SCAN_CODES:
        kbd->command = byte;
        send(kbd, REPLY_ACK);
        break;
    case CMD_IDENTIFY:
        send(kbd, REPLY_ACK);
        send(kbd, 0xab);
        send(kbd, 0x83);
        break;
    case CMD_ENABLE:
        kbd->scanning = true;
        send(kbd, REPLY_ACK);
        break;
    case CMD_DISABLE:
    case CMD_DEFAULTS:
        kbd->scanning = byte == CMD_DEFAULTS;
        send(kbd, REPLY_ACK);
        break;
    case CMD_RESET:
        ps2_keyboard_reset(kbd);
        send(kbd, REPLY_ACK);
        send(kbd, REPLY_TEST_PASSED);
        break;
    default:
        send(kbd, REPLY_RESEND);
        break;
    }
}

/* All of a code or nothing: half of one would be another key. */
void ps2_keyboard_key(PS2Keyboard *kbd, const InputKey *key, bool down)
{
    bool extended = key->number & KEY_EXTENDED;

    if (!kbd->scanning || kbd->count + extended + !down + 1 > PS2_QUEUE_SIZE) {
        return;
    }
    if (extended) {
        send(kbd, CODE_EXTENDED);
    }
    if (!down) {
        send(kbd, CODE_RELEASED);
    }
    send(kbd, key->set2);
}
