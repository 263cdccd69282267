/*
 * The balloon as monitors see it: how much memory the guest should have, and has.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef SYSEMU_BALLOON_H
#define SYSEMU_BALLOON_H

#include <stdint.h>

/* In its device, which is there as long as MachineState.balloon is set. Machine lock. */
typedef struct Balloon Balloon;
struct Balloon {
    /* Ask the guest for so many bytes of memory in all: more than there is means all. */
    void (*set_target)(Balloon *balloon, uint64_t bytes);
    /* Bytes that the guest has by its own account. */
    uint64_t (*actual)(const Balloon *balloon);
};

#endif
