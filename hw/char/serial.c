/*
 * The 16550A UART: registers, FIFOs, interrupts.
 *
 * The transmitter has no speed of its own: a byte goes to the chardev at once,
 * and the holding register is empty again before the guest can look. When the
 * peer does not read, bytes queue up and THRE stays clear, as on a line with
 * flow control; a driver that writes all the same (Linux's console does after
 * 10 ms) is still not made to lose anything until TX_QUEUE bytes wait.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <string.h>

#include "hw/char/serial.h"
#include "qemu/log.h"

#define TX_QUEUE (64 * 1024)

enum {
    UART_DATA = 0,      /* RBR, THR; divisor low with DLAB */
    UART_IER = 1,       /* divisor high with DLAB */
    UART_IIR = 2,       /* FCR when written */
    UART_LCR = 3,
    UART_MCR = 4,
    UART_LSR = 5,
    UART_MSR = 6,
    UART_SCR = 7,
};

enum { IER_RDI = 0x01, IER_THRI = 0x02, IER_RLSI = 0x04, IER_MSI = 0x08, IER_MASK = 0x0f };
enum {
    IIR_NO_INT = 0x01, IIR_MSI = 0x00, IIR_THRI = 0x02, IIR_RDI = 0x04,
    IIR_RLSI = 0x06, IIR_CTI = 0x0c, IIR_FIFOS = 0xc0,
};
enum { FCR_ENABLE = 0x01, FCR_CLEAR_RX = 0x02, FCR_CLEAR_TX = 0x04, FCR_KEPT = 0xc9 };
enum { LCR_WLEN = 0x03, LCR_STOP = 0x04, LCR_PARITY = 0x08, LCR_BREAK = 0x40, LCR_DLAB = 0x80 };
enum {
    MCR_DTR = 0x01, MCR_RTS = 0x02, MCR_OUT1 = 0x04, MCR_OUT2 = 0x08,
    MCR_LOOP = 0x10, MCR_MASK = 0x1f,
};
enum {
    LSR_DR = 0x01, LSR_OE = 0x02, LSR_PE = 0x04, LSR_FE = 0x08, LSR_BI = 0x10,
    LSR_THRE = 0x20, LSR_TEMT = 0x40, LSR_FIFO_ERR = 0x80,
    LSR_ERRORS = LSR_OE | LSR_PE | LSR_FE | LSR_BI,
};
enum {
    MSR_DCTS = 0x01, MSR_DDSR = 0x02, MSR_TERI = 0x04, MSR_DDCD = 0x08,
    MSR_CTS = 0x10, MSR_DSR = 0x20, MSR_RI = 0x40, MSR_DCD = 0x80,
    MSR_DELTAS = 0x0f,
};

/* The modem lines outside: a peer that is always ready. */
#define MSR_PEER (MSR_DCD | MSR_DSR | MSR_CTS)

/* 9600 baud, what firmware leaves behind. */
#define DEFAULT_DIVISOR 12
/* A guest that never set the speed shall not make typing slow. */
#define MAX_RX_TIMEOUT_NS (20 * 1000 * 1000)

static bool fifo_enabled(const SerialState *s)
{
    return s->fcr & FCR_ENABLE;
}

static unsigned rx_capacity(const SerialState *s)
{
    return fifo_enabled(s) ? UART_FIFO_LENGTH : 1;
}

static unsigned rx_trigger(const SerialState *s)
{
    static const uint8_t levels[4] = { 1, 4, 8, 14 };

    return fifo_enabled(s) ? levels[s->fcr >> 6] : 1;
}

/* Interrupts --------------------------------------------------------------- */

/* The pending interrupt of the highest priority, as IIR says it. */
static uint8_t interrupt_id(const SerialState *s)
{
    if (s->ier & IER_RLSI && s->lsr & LSR_ERRORS) {
        return IIR_RLSI;
    }
    if (s->ier & IER_RDI && s->rx.len >= rx_trigger(s)) {
        return IIR_RDI;
    }
    if (s->ier & IER_RDI && s->timeout_ipending) {
        return IIR_CTI;
    }
    if (s->ier & IER_THRI && s->thr_ipending) {
        return IIR_THRI;
    }
    if (s->ier & IER_MSI && s->msr & MSR_DELTAS) {
        return IIR_MSI;
    }
    return IIR_NO_INT;
}

/* On a PC, OUT2 opens the gate between the UART and the interrupt line. */
static void update_irq(SerialState *s)
{
    bool level = interrupt_id(s) != IIR_NO_INT && s->mcr & MCR_OUT2;

    if (level != s->irq_level) {
        s->irq_level = level;
        qemu_set_irq(s->irq, level);
    }
}

/* Receiver ----------------------------------------------------------------- */

/* The time of four characters, as the line is set up. */
static int64_t rx_timeout_ns(const SerialState *s)
{
    unsigned bits = 1 + 5 + (s->lcr & LCR_WLEN) + !!(s->lcr & LCR_PARITY) + 1 +
                    !!(s->lcr & LCR_STOP);
    int64_t ns = 4LL * bits * MAX(s->divisor, 1) * NANOSECONDS_PER_SECOND /
                 MAX(s->baudbase, 1);

    return CLAMP(ns, 1000, MAX_RX_TIMEOUT_NS);
}

/* The timeout runs anew from every character that came or was taken. */
static void restart_rx_timeout(SerialState *s)
{
    s->timeout_ipending = false;
    if (!fifo_enabled(s) || !s->rx.len) {
        timer_del(&s->rx_timeout);
    } else {
        timer_mod_ns(&s->rx_timeout,
                     qemu_clock_get_ns(QEMU_CLOCK_VIRTUAL) + rx_timeout_ns(s));
    }
}

static void rx_timeout(void *opaque)
{
    SerialState *s = opaque;

    if (s->rx.len) {
        s->timeout_ipending = true;
        update_irq(s);
    }
}

/* Errors show when their character is the next to be read. */
static void rx_head_changed(SerialState *s)
{
    s->lsr &= ~LSR_DR;
    if (s->rx.len) {
        s->lsr |= LSR_DR | s->rx.err[s->rx.head];
        s->rx.err[s->rx.head] = 0;
    }
}

static void rx_clear(SerialState *s)
{
    s->rx.head = s->rx.len = 0;
    memset(s->rx.err, 0, sizeof(s->rx.err));
    rx_head_changed(s);
    restart_rx_timeout(s);
}

/* A character off the line, with its LSR bits. */
static void rx_put(SerialState *s, uint8_t byte, uint8_t err)
{
    unsigned tail = (s->rx.head + s->rx.len) % UART_FIFO_LENGTH;

    if (s->rx.len < rx_capacity(s)) {
        s->rx.data[tail] = byte;
        s->rx.err[tail] = err;
        if (s->rx.len++ == 0) {
            rx_head_changed(s);
        }
    } else {
        /* Overrun: the FIFO keeps what it has, RBR is written over. */
        s->lsr |= LSR_OE;
        if (!fifo_enabled(s)) {
            s->rx.data[s->rx.head] = byte;
            s->lsr |= err;
        }
    }
    restart_rx_timeout(s);
}

static uint8_t rx_get(SerialState *s)
{
    uint8_t byte = s->rx.data[s->rx.head];

    if (s->rx.len) {
        s->rx.head = (s->rx.head + 1) % UART_FIFO_LENGTH;
        s->rx.len--;
        rx_head_changed(s);
        restart_rx_timeout(s);
        update_irq(s);
        if (!(s->mcr & MCR_LOOP)) {
            qemu_chr_fe_accept_input(&s->chr);
        }
    }
    return byte;
}

static bool rx_has_error(const SerialState *s)
{
    for (unsigned i = 0; i < s->rx.len; i++) {
        if (s->rx.err[(s->rx.head + i) % UART_FIFO_LENGTH]) {
            return true;
        }
    }
    return s->lsr & (LSR_PE | LSR_FE | LSR_BI);
}

/* The chardev's side ------------------------------------------------------- */

/* In loopback the pin is cut off: the peer waits. */
static int serial_can_receive(void *opaque)
{
    SerialState *s = opaque;

    if (s->mcr & MCR_LOOP || s->rx.len >= rx_capacity(s)) {
        return 0;
    }
    return rx_capacity(s) - s->rx.len;
}

static void serial_receive(void *opaque, const uint8_t *buf, int size)
{
    SerialState *s = opaque;

    for (int i = 0; i < size; i++) {
        rx_put(s, buf[i], 0);
    }
    update_irq(s);
}

static void serial_event(void *opaque, QEMUChrEvent event)
{
    SerialState *s = opaque;

    if (event == CHR_EVENT_BREAK && !(s->mcr & MCR_LOOP)) {
        rx_put(s, 0, LSR_BI);
        update_irq(s);
    }
}

/* Transmitter -------------------------------------------------------------- */

/* The guest's view: all that it wrote is out, or given up by FCR. */
static bool tx_is_empty(const SerialState *s)
{
    return chr_txq_empty(&s->tx) || s->tx_reset;
}

static void tx_drained(void *opaque)
{
    SerialState *s = opaque;

    if (!s->tx_reset) {
        s->thr_ipending = true;
        update_irq(s);
    }
    s->tx_reset = false;
}

static void write_thr(SerialState *s, uint8_t byte)
{
    /* The write ends a THRE interrupt, its going out is the next: an edge. */
    s->thr_ipending = false;
    update_irq(s);
    if (s->mcr & MCR_LOOP) {
        rx_put(s, byte, 0);
    } else {
        if (!chr_txq_write(&s->tx, &byte, 1)) {
            qemu_log_mask(LOG_GUEST_ERROR,
                          "serial: byte 0x%02x written to a full transmitter\n", byte);
        }
        s->tx_reset = false;
    }
    s->thr_ipending = tx_is_empty(s);
    update_irq(s);
}

/* Registers ---------------------------------------------------------------- */

static void write_ier(SerialState *s, uint8_t val)
{
    uint8_t risen = val & ~s->ier;

    s->ier = val & IER_MASK;
    /* Enabling the interrupt with the transmitter empty raises it. */
    if (risen & IER_THRI && tx_is_empty(s)) {
        s->thr_ipending = true;
    }
    update_irq(s);
}

static void write_fcr(SerialState *s, uint8_t val)
{
    /* Turning the FIFOs on or off empties both. */
    if ((val ^ s->fcr) & FCR_ENABLE) {
        val |= FCR_CLEAR_RX | FCR_CLEAR_TX;
    }
    s->fcr = val & FCR_ENABLE ? val & FCR_KEPT : 0;
    if (val & FCR_CLEAR_RX) {
        rx_clear(s);
        qemu_chr_fe_accept_input(&s->chr);
    }
    if (val & FCR_CLEAR_TX && !tx_is_empty(s)) {
        /* The host's queue is no part of the chip: the peer still gets it. */
        s->tx_reset = true;
        s->thr_ipending = true;
    }
    update_irq(s);
}

static void write_lcr(SerialState *s, uint8_t val)
{
    bool break_starts = val & LCR_BREAK && !(s->lcr & LCR_BREAK);

    s->lcr = val;
    if (break_starts && s->mcr & MCR_LOOP) {
        rx_put(s, 0, LSR_BI);
        update_irq(s);
    }
}

/* The four modem inputs as the MSR shows them. */
static uint8_t modem_inputs(const SerialState *s)
{
    if (!(s->mcr & MCR_LOOP)) {
        return MSR_PEER;
    }
    return (s->mcr & MCR_RTS ? MSR_CTS : 0) | (s->mcr & MCR_DTR ? MSR_DSR : 0) |
           (s->mcr & MCR_OUT1 ? MSR_RI : 0) | (s->mcr & MCR_OUT2 ? MSR_DCD : 0);
}

static void update_msr(SerialState *s)
{
    uint8_t now = modem_inputs(s), changed = (now ^ s->msr) & 0xf0;

    s->msr = now | (s->msr & MSR_DELTAS);
    s->msr |= (changed & (MSR_CTS | MSR_DSR | MSR_DCD)) >> 4;
    /* The ring indicator counts only when it goes away. */
    if (changed & MSR_RI && !(now & MSR_RI)) {
        s->msr |= MSR_TERI;
    }
}

static void write_mcr(SerialState *s, uint8_t val)
{
    bool loop_ends = s->mcr & MCR_LOOP && !(val & MCR_LOOP);

    s->mcr = val & MCR_MASK;
    update_msr(s);
    update_irq(s);
    if (loop_ends) {
        qemu_chr_fe_accept_input(&s->chr);
    }
}

static void serial_write(void *opaque, hwaddr addr, uint64_t data, unsigned size)
{
    SerialState *s = opaque;
    uint8_t val = data;
    bool dlab = s->lcr & LCR_DLAB;

    switch (addr) {
    case UART_DATA:
        if (dlab) {
            s->divisor = (s->divisor & 0xff00) | val;
        } else {
            write_thr(s, val);
        }
        break;
    case UART_IER:
        if (dlab) {
            s->divisor = (s->divisor & 0x00ff) | val << 8;
        } else {
            write_ier(s, val);
        }
        break;
    case UART_IIR:
        write_fcr(s, val);
        break;
    case UART_LCR:
        write_lcr(s, val);
        break;
    case UART_MCR:
        write_mcr(s, val);
        break;
    case UART_SCR:
        s->scr = val;
        break;
    default:
        /* LSR and MSR are for reading; the chip's test writes do nothing. */
        break;
    }
}

static uint8_t read_iir(SerialState *s)
{
    uint8_t id = interrupt_id(s);

    if (id == IIR_THRI) {
        s->thr_ipending = false;
        update_irq(s);
    }
    return id | (fifo_enabled(s) ? IIR_FIFOS : 0);
}

static uint8_t read_lsr(SerialState *s)
{
    uint8_t val = s->lsr | (tx_is_empty(s) ? LSR_THRE | LSR_TEMT : 0);

    if (fifo_enabled(s) && rx_has_error(s)) {
        val |= LSR_FIFO_ERR;
    }
    if (s->lsr & LSR_ERRORS) {
        s->lsr &= ~LSR_ERRORS;
        update_irq(s);
    }
    return val;
}

static uint8_t read_msr(SerialState *s)
{
    uint8_t val = s->msr;

    if (val & MSR_DELTAS) {
        s->msr &= ~MSR_DELTAS;
        update_irq(s);
    }
    return val;
}

static uint64_t serial_read(void *opaque, hwaddr addr, unsigned size)
{
    SerialState *s = opaque;
    bool dlab = s->lcr & LCR_DLAB;

    switch (addr) {
    case UART_DATA:
        return dlab ? s->divisor & 0xff : rx_get(s);
    case UART_IER:
        return dlab ? s->divisor >> 8 : s->ier;
    case UART_IIR:
        return read_iir(s);
    case UART_LCR:
        return s->lcr;
    case UART_MCR:
        return s->mcr;
    case UART_LSR:
        return read_lsr(s);
    case UART_MSR:
        return read_msr(s);
    case UART_SCR:
        return s->scr;
    }
    return 0xff;
}

/* Wider accesses are cut into bytes, as the ISA bus does. */
static const MemoryRegionOps serial_io_ops = {
    .read = serial_read,
    .write = serial_write,
    .valid = { .min_access_size = 1, .max_access_size = 4, .unaligned = true },
    .impl = { .min_access_size = 1, .max_access_size = 1 },
};

/* State --------------------------------------------------------------------- */

STATE_NOT(SerialState, baudbase, "the owner's property");
STATE_NOT(SerialState, tx, "the peer is the host's: what it has not read stays with who saved");

/* Where the machine goes on nothing waits for the peer: the transmitter is empty. */
static void serial_pre_save(void *obj)
{
    SerialState *s = obj;

    s->tx_waits = !tx_is_empty(s);
}

static bool serial_post_load(void *obj, Error **errp)
{
    SerialState *s = obj;

    s->thr_ipending |= s->tx_waits;
    s->tx_reset = false;
    update_irq(s);
    qemu_chr_fe_accept_input(&s->chr);
    return true;
}

static const StateField serial_fields[] = {
    STATE_INT(SerialState, divisor),
    STATE_INT(SerialState, ier),
    STATE_INT(SerialState, fcr),
    STATE_INT(SerialState, lcr),
    STATE_INT(SerialState, mcr),
    STATE_INT(SerialState, scr),
    STATE_INT(SerialState, lsr),
    STATE_INT(SerialState, msr),
    STATE_BOOL(SerialState, thr_ipending),
    STATE_BOOL(SerialState, timeout_ipending),
    STATE_BOOL(SerialState, irq_level),
    STATE_ARRAY(SerialState, rx.data),
    STATE_ARRAY(SerialState, rx.err),
    STATE_MAX(SerialState, rx.head, UART_FIFO_LENGTH - 1),
    STATE_MAX(SerialState, rx.len, UART_FIFO_LENGTH),
    STATE_TIMER(SerialState, rx_timeout),
    STATE_BOOL(SerialState, tx_reset),
    STATE_BOOL(SerialState, tx_waits),
    STATE_END
};

const StateDesc serial_state = {
    .version = 1,
    .fields = serial_fields,
    .pre_save = serial_pre_save,
    .post_load = serial_post_load,
};

/* Life --------------------------------------------------------------------- */

void serial_reset(SerialState *s)
{
    s->ier = s->fcr = s->lcr = s->mcr = s->scr = 0;
    s->lsr = 0;
    s->divisor = DEFAULT_DIVISOR;
    s->msr = MSR_PEER;
    s->thr_ipending = false;
    s->tx_reset = !chr_txq_empty(&s->tx);
    rx_clear(s);
    update_irq(s);
    qemu_chr_fe_accept_input(&s->chr);
}

void serial_realize(SerialState *s, qemu_irq irq, const char *name)
{
    s->irq = irq;
    memory_region_init_io(&s->io, &serial_io_ops, s, name, UART_NUM_REGS);
    timer_init_ns(&s->rx_timeout, QEMU_CLOCK_VIRTUAL, rx_timeout, s);
    chr_txq_init(&s->tx, &s->chr, TX_QUEUE, tx_drained, s);
    serial_reset(s);
    qemu_chr_fe_set_handlers(&s->chr, serial_can_receive, serial_receive, serial_event, s);
}

void serial_unrealize(SerialState *s)
{
    timer_del(&s->rx_timeout);
    chr_txq_cleanup(&s->tx);
    qemu_chr_fe_set_handlers(&s->chr, NULL, NULL, NULL, NULL);
    qemu_set_irq(s->irq, 0);
}
