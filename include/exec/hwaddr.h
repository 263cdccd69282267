/*
 * Guest-physical addresses.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef EXEC_HWADDR_H
#define EXEC_HWADDR_H

#include <inttypes.h>
#include <stdint.h>

typedef uint64_t hwaddr;
#define HWADDR_PRIx PRIx64
#define HWADDR_FMT "%016" PRIx64

#endif
