/*
 * The part of the telnet protocol (RFC 854, 857, 858, 856) that a console
 * server needs: offers on connect, and commands taken out of the input.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "char-telnet.h"

enum {
    TELNET_SE = 240, TELNET_BREAK = 243, TELNET_IP = 244, TELNET_SB = 250,
    TELNET_WILL = 251, TELNET_DONT = 254, TELNET_IAC = 255,
    OPT_BINARY = 0, OPT_ECHO = 1, OPT_SGA = 3, TELNET_DO = 253,
};

enum { STATE_DATA, STATE_IAC, STATE_OPTION, STATE_SUB, STATE_SUB_IAC };

const uint8_t telnet_hello[TELNET_HELLO_SIZE] = {
    TELNET_IAC, TELNET_WILL, OPT_ECHO,
    TELNET_IAC, TELNET_WILL, OPT_SGA,
    TELNET_IAC, TELNET_WILL, OPT_BINARY,
    TELNET_IAC, TELNET_DO, OPT_BINARY,
};

/* A byte after IAC; true when it is data after all. */
static bool command(unsigned *state, uint8_t byte, bool *brk)
{
    *state = STATE_DATA;
    if (byte == TELNET_IAC) {
        return true;
    }
    if (byte >= TELNET_WILL && byte <= TELNET_DONT) {
        *state = STATE_OPTION;
    } else if (byte == TELNET_SB) {
        *state = STATE_SUB;
    } else if (byte == TELNET_BREAK || byte == TELNET_IP) {
        *brk = true;
    }
    return false;
}

int telnet_input(unsigned *state, uint8_t *buf, int len, bool *brk)
{
    int out = 0;

    *brk = false;
    for (int i = 0; i < len; i++) {
        uint8_t byte = buf[i];
        bool is_data = false;

        switch (*state) {
        case STATE_DATA:
            is_data = byte != TELNET_IAC;
            *state = is_data ? STATE_DATA : STATE_IAC;
            break;
        case STATE_IAC:
            is_data = command(state, byte, brk);
            break;
        case STATE_OPTION:
            /* Whatever the client says about options, we stay as offered. */
            *state = STATE_DATA;
            break;
        case STATE_SUB:
            *state = byte == TELNET_IAC ? STATE_SUB_IAC : STATE_SUB;
            break;
        case STATE_SUB_IAC:
            *state = byte == TELNET_SE ? STATE_DATA : STATE_SUB;
            break;
        }
        if (is_data) {
            buf[out++] = byte;
        }
    }
    return out;
}
