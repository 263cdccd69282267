/*
 * Registers of interrupt controllers and PIT, in which those of the board and those that an
 * accelerator keeps can be turned into each other.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef SYSEMU_ACCEL_CHIPS_H
#define SYSEMU_ACCEL_CHIPS_H

#include <stdbool.h>
#include <stdint.h>

/* An 8259A. */
typedef struct PICChip {
    uint8_t irr;            /* edges latched; of level inputs the levels */
    uint8_t imr;
    uint8_t isr;
    uint8_t lines;          /* inputs as they are */
    uint8_t elcr;           /* 1: level */
    uint8_t base;           /* ICW2 */
    uint8_t lowest;         /* input with the lowest priority */
    uint8_t icw;            /* the ICW that the next A0=1 write is; 0: none */
    bool icw4_needed, single;
    bool read_isr;          /* OCW3: what A0=0 reads */
    bool poll;
    bool special_mask;
    bool auto_eoi, rotate_on_aeoi;
    bool special_nested;
    uint64_t taken[8];      /* by the CPU, for "info irq" */
} PICChip;

#define IOAPIC_NUM_PINS 24

/* An I/O APIC. */
typedef struct IOAPICRegisters {
    uint32_t lines;         /* bit n: input n is asserted */
    uint8_t id, select;
    uint64_t rte[IOAPIC_NUM_PINS];
} IOAPICRegisters;
/* How a count of the 8254 is written and read. */
enum { RW_LATCH, RW_LSB, RW_MSB, RW_WORD };

typedef struct PITChannel {
    uint8_t mode;           /* 0-5 */
    uint8_t rw;             /* RW_*; 0: never programmed */
    bool bcd;
    bool gate;
    bool written;           /* a count came after the control word */
    bool running;           /* counts, or would but for the gate */
    bool null_count;        /* written, not yet in the counter */
    bool write_msb, read_msb;   /* RW_WORD: second byte is next */
    uint8_t write_lsb;
    uint8_t latched;        /* bytes of latch still to be read: 0-2 */
    uint16_t latch;
    bool status_latched;
    uint8_t status;
    uint32_t count;         /* in the counter: 1 to 65536 */
    uint32_t next_count;    /* from reload_at on; 0: none */
    int64_t reload_at;
    int64_t start;          /* tick at which the counter was loaded */
    int64_t held;           /* gate low: ticks counted before; -1: not held */
} PITChannel;

/* Which of them, and what it holds. */
typedef struct AccelChips {
    enum { ACCEL_CHIP_PICS, ACCEL_CHIP_IOAPIC, ACCEL_CHIP_PIT } which;
    PICChip pic[2];
    IOAPICRegisters ioapic;
    /* Of channels start and held do not count, but how long ago the count was loaded: */
    PITChannel pit[3];
    int64_t pit_elapsed[3];     /* ns; -1: it does not count. From the accelerator only */
} AccelChips;

#endif
