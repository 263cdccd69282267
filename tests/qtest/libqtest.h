/*
 * Start the program under test and play its CPU (the qtest protocol).
 *
 * What goes wrong in here is a failed test: these functions abort the program
 * with a message instead of returning errors.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef TESTS_LIBQTEST_H
#define TESTS_LIBQTEST_H

#include <glib.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdint.h>

typedef struct QTestState QTestState;

/*
 * Run $QTEST_QEMU_BINARY with -accel qtest and these options, separated by spaces.
 * Waits until it answers.
 */
QTestState *qtest_init(const char *args);
/* End it with SIGTERM and check that its status is 0. */
void qtest_quit(QTestState *s);

/* Send one line (without its end) and return the answer; caller frees. */
char *qtest_request(QTestState *s, const char *fmt, ...) G_GNUC_PRINTF(2, 3);
/* The same, and the answer must be OK: returns what follows it; caller frees. */
char *qtest_ok(QTestState *s, const char *fmt, ...) G_GNUC_PRINTF(2, 3);

uint8_t qtest_inb(QTestState *s, uint16_t port);
uint16_t qtest_inw(QTestState *s, uint16_t port);
uint32_t qtest_inl(QTestState *s, uint16_t port);
void qtest_outb(QTestState *s, uint16_t port, uint8_t value);
void qtest_outw(QTestState *s, uint16_t port, uint16_t value);
void qtest_outl(QTestState *s, uint16_t port, uint32_t value);
uint8_t qtest_readb(QTestState *s, uint64_t addr);
uint16_t qtest_readw(QTestState *s, uint64_t addr);
uint32_t qtest_readl(QTestState *s, uint64_t addr);
uint64_t qtest_readq(QTestState *s, uint64_t addr);
void qtest_writeb(QTestState *s, uint64_t addr, uint8_t value);
void qtest_writew(QTestState *s, uint64_t addr, uint16_t value);
void qtest_writel(QTestState *s, uint64_t addr, uint32_t value);
void qtest_writeq(QTestState *s, uint64_t addr, uint64_t value);
void qtest_memread(QTestState *s, uint64_t addr, void *buf, size_t size);
void qtest_memwrite(QTestState *s, uint64_t addr, const void *buf, size_t size);
void qtest_memset(QTestState *s, uint64_t addr, uint8_t pattern, size_t size);

/* Move the virtual clock; all return the new time in ns. */
int64_t qtest_clock_step(QTestState *s, int64_t ns);
int64_t qtest_clock_step_next(QTestState *s);
int64_t qtest_clock_set(QTestState *s, int64_t ns);

/* Watch the inputs of the interrupt controllers; then qtest_get_irq(). */
void qtest_irq_intercept_in(QTestState *s, const char *path);
/* The level of input n, as told up to the last answer. */
bool qtest_get_irq(QTestState *s, unsigned n);

/*
 * Run a QMP command (JSON text) and return the answer's line; caller frees.
 * Events are skipped.
 */
char *qtest_qmp(QTestState *s, const char *json);
/* Wait for an event of this name and return its line; caller frees. */
char *qtest_qmp_event(QTestState *s, const char *name);

#endif
