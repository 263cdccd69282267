/*
 * What a user does with keys and pointers, and the devices that are told of it.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "sysemu/input.h"

#include <string.h>

const InputKey input_keys[] = {
    { "esc", 0x01, 0x76, 1 }, { "1", 0x02, 0x16, 2 }, { "2", 0x03, 0x1e, 3 },
    { "3", 0x04, 0x26, 4 }, { "4", 0x05, 0x25, 5 }, { "5", 0x06, 0x2e, 6 }, { "6", 0x07, 0x36, 7 },
    { "7", 0x08, 0x3d, 8 }, { "8", 0x09, 0x3e, 9 }, { "9", 0x0a, 0x46, 10 },
    { "0", 0x0b, 0x45, 11 }, { "minus", 0x0c, 0x4e, 12 }, { "equal", 0x0d, 0x55, 13 },
    { "backspace", 0x0e, 0x66, 14 }, { "tab", 0x0f, 0x0d, 15 }, { "q", 0x10, 0x15, 16 },
    { "w", 0x11, 0x1d, 17 }, { "e", 0x12, 0x24, 18 }, { "r", 0x13, 0x2d, 19 },
    { "t", 0x14, 0x2c, 20 }, { "y", 0x15, 0x35, 21 }, { "u", 0x16, 0x3c, 22 },
    { "i", 0x17, 0x43, 23 }, { "o", 0x18, 0x44, 24 }, { "p", 0x19, 0x4d, 25 },
    { "bracket_left", 0x1a, 0x54, 26 }, { "bracket_right", 0x1b, 0x5b, 27 },
    { "ret", 0x1c, 0x5a, 28 }, { "ctrl", 0x1d, 0x14, 29 }, { "a", 0x1e, 0x1c, 30 },
    { "s", 0x1f, 0x1b, 31 }, { "d", 0x20, 0x23, 32 }, { "f", 0x21, 0x2b, 33 },
    { "g", 0x22, 0x34, 34 }, { "h", 0x23, 0x33, 35 }, { "j", 0x24, 0x3b, 36 },
    { "k", 0x25, 0x42, 37 }, { "l", 0x26, 0x4b, 38 }, { "semicolon", 0x27, 0x4c, 39 },
    { "apostrophe", 0x28, 0x52, 40 }, { "grave_accent", 0x29, 0x0e, 41 },
    { "shift", 0x2a, 0x12, 42 }, { "backslash", 0x2b, 0x5d, 43 }, { "z", 0x2c, 0x1a, 44 },
    { "x", 0x2d, 0x22, 45 }, { "c", 0x2e, 0x21, 46 }, { "v", 0x2f, 0x2a, 47 },
    { "b", 0x30, 0x32, 48 }, { "n", 0x31, 0x31, 49 }, { "m", 0x32, 0x3a, 50 },
    { "comma", 0x33, 0x41, 51 }, { "dot", 0x34, 0x49, 52 }, { "slash", 0x35, 0x4a, 53 },
    { "shift_r", 0x36, 0x59, 54 }, { "kp_multiply", 0x37, 0x7c, 55 },
    { "asterisk", 0x37, 0x7c, 55 }, { "alt", 0x38, 0x11, 56 }, { "spc", 0x39, 0x29, 57 },
    { "caps_lock", 0x3a, 0x58, 58 }, { "f1", 0x3b, 0x05, 59 }, { "f2", 0x3c, 0x06, 60 },
    { "f3", 0x3d, 0x04, 61 }, { "f4", 0x3e, 0x0c, 62 }, { "f5", 0x3f, 0x03, 63 },
    { "f6", 0x40, 0x0b, 64 }, { "f7", 0x41, 0x83, 65 }, { "f8", 0x42, 0x0a, 66 },
    { "f9", 0x43, 0x01, 67 }, { "f10", 0x44, 0x09, 68 }, { "num_lock", 0x45, 0x77, 69 },
    { "scroll_lock", 0x46, 0x7e, 70 }, { "kp_7", 0x47, 0x6c, 71 }, { "kp_8", 0x48, 0x75, 72 },
    { "kp_9", 0x49, 0x7d, 73 }, { "kp_subtract", 0x4a, 0x7b, 74 }, { "kp_4", 0x4b, 0x6b, 75 },
    { "kp_5", 0x4c, 0x73, 76 }, { "kp_6", 0x4d, 0x74, 77 }, { "kp_add", 0x4e, 0x79, 78 },
    { "kp_1", 0x4f, 0x69, 79 }, { "kp_2", 0x50, 0x72, 80 }, { "kp_3", 0x51, 0x7a, 81 },
    { "kp_0", 0x52, 0x70, 82 }, { "kp_decimal", 0x53, 0x71, 83 }, { "sysrq", 0x54, 0x84, 99 },
    { "less", 0x56, 0x61, 86 }, { "f11", 0x57, 0x78, 87 }, { "f12", 0x58, 0x07, 88 },
    { "kp_equals", 0x59, 0x0f, 117 }, { "katakanahiragana", 0x70, 0x13, 93 },
    { "ro", 0x73, 0x51, 89 }, { "hiragana", 0x77, 0x62, 91 }, { "henkan", 0x79, 0x64, 92 },
    { "muhenkan", 0x7b, 0x67, 94 }, { "yen", 0x7d, 0x6a, 124 }, { "kp_comma", 0x7e, 0x6d, 121 },
    { "kp_enter", 0x9c, 0x5a, 96 }, { "ctrl_r", 0x9d, 0x14, 97 }, { "kp_divide", 0xb5, 0x4a, 98 },
    { "print", 0xb7, 0x7c, 99 }, { "alt_r", 0xb8, 0x11, 100 }, { "pause", 0xc6, 0x7e, 119 },
    { "home", 0xc7, 0x6c, 102 }, { "up", 0xc8, 0x75, 103 }, { "pgup", 0xc9, 0x7d, 104 },
    { "left", 0xcb, 0x6b, 105 }, { "right", 0xcd, 0x74, 106 }, { "end", 0xcf, 0x69, 107 },
    { "down", 0xd0, 0x72, 108 }, { "pgdn", 0xd1, 0x7a, 109 }, { "insert", 0xd2, 0x70, 110 },
    { "delete", 0xd3, 0x71, 111 }, { "meta_l", 0xdb, 0x1f, 125 }, { "meta_r", 0xdc, 0x27, 126 },
    { "menu", 0xdd, 0x2f, 139 }, { "compose", 0xdd, 0x2f, 127 }, { "power", 0xde, 0x37, 116 },
    { "sleep", 0xdf, 0x3f, 142 }, { "wake", 0xe3, 0x5e, 143 },
    { NULL }
};

const InputKey *input_key_by_name(const char *name)
{
    for (const InputKey *key = input_keys; key->name; key++) {
        if (!strcmp(key->name, name)) {
            return key;
        }
    }
    return NULL;
}

const InputKey *input_key_by_number(uint64_t number)
{
    for (const InputKey *key = input_keys; key->name; key++) {
        if (key->number == number) {
            return key;
        }
    }
    return NULL;
}

void input_add_handler(MachineState *ms, InputHandler *h)
{
    if (!ms->input_handlers) {
        ms->input_handlers = g_ptr_array_new();
    }
    g_ptr_array_add(ms->input_handlers, h);
}

void input_del_handler(MachineState *ms, InputHandler *h)
{
    if (ms->input_handlers) {
        g_ptr_array_remove(ms->input_handlers, h);
    }
}

void input_prefer(MachineState *ms, InputHandler *h, bool first)
{
    input_del_handler(ms, h);
    g_ptr_array_insert(ms->input_handlers, first ? -1 : 0, h);
}

/* Who gets events of the kind: the last of those that take them. */
static InputHandler *find_handler(const MachineState *ms, InputKind kind)
{
    for (guint i = ms->input_handlers ? ms->input_handlers->len : 0; i > 0; i--) {
        InputHandler *h = ms->input_handlers->pdata[i - 1];

        if (h->kinds >> kind & 1) {
            return h;
        }
    }
    return NULL;
}

bool input_is_taken(const MachineState *ms, InputKind kind)
{
    return find_handler(ms, kind);
}

bool input_send(MachineState *ms, const InputEvent *event)
{
    InputHandler *h = find_handler(ms, event->kind);

    if (!h) {
        return false;
    }
    h->event(h, event);
    h->unsynced = true;
    return true;
}

void input_sync(MachineState *ms)
{
    for (guint i = 0; ms->input_handlers && i < ms->input_handlers->len; i++) {
        InputHandler *h = ms->input_handlers->pdata[i];

        if (h->unsynced && h->sync) {
            h->sync(h);
        }
        h->unsynced = false;
    }
}
