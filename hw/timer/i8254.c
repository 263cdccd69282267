/*
 * 8254 programmable interval timer with port 0x61.
 *
 * Nothing ticks: counts and outputs are computed from the clock when they are
 * looked at. Only channel 0 has a host timer, for its interrupt. Intel 82C54 data
 * sheet (231244).
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "hw/timer/i8254.h"

#include "qemu/timer.h"

/* Channel 0 gives no interrupts closer than this, whatever the guest asks. */
#define MIN_PERIOD_TICKS    60      /* 50 us */
/* Memory refresh of the first PCs: bit 4 of port 0x61 toggles. */
#define REFRESH_NS          15085

struct PITState {
    GMutex lock;            /* all below; timers and interrupt controllers come after it */
    PITChannel ch[3];
    bool speaker;
    qemu_irq out;
    QEMUTimer timer;        /* next rising edge of channel 0 */
    int64_t edge;           /* its tick */
    MemoryRegion mr, port_b;
};

/* Time in ticks of 1193182 Hz ---------------------------------------------- */

static int64_t ticks_now(void)
{
    return (__int128)qemu_clock_get_ns(QEMU_CLOCK_VIRTUAL) * PIT_FREQ /
        NANOSECONDS_PER_SECOND;
}

/* The first nanosecond that belongs to a tick. */
static int64_t ticks_to_ns(int64_t ticks)
{
    return ((__int128)ticks * NANOSECONDS_PER_SECOND + PIT_FREQ - 1) / PIT_FREQ;
}

/* A channel's count and output --------------------------------------------- */

static bool is_periodic(const PITChannel *c)
{
    return c->mode == 2 || c->mode == 3;
}

/* Modes in which only a rising gate starts the count. */
static bool is_triggered(const PITChannel *c)
{
    return c->mode == 1 || c->mode == 5;
}

/* A count that was written to a running period begins with the next one. */
static void catch_up(PITChannel *c, int64_t now)
{
    if (c->next_count && now >= c->reload_at) {
        c->start = c->reload_at;
        c->count = c->next_count;
        c->next_count = 0;
        c->null_count = false;
    }
}

static int64_t elapsed(const PITChannel *c, int64_t now)
{
    return c->held >= 0 ? c->held : now - c->start;
}

/* The counter as a number from 0 to 65536. */
static uint32_t counter(const PITChannel *c, int64_t now)
{
    uint32_t modulus = c->bcd ? 10000 : 65536;
    int64_t d = elapsed(c, now);
    int64_t left;

    if (!c->running) {
        return c->count;
    }
    switch (c->mode) {
    case 2:
        return c->count - d % c->count;
    case 3: /* counts by two, twice per period; odd counts lose one */
        d = d % c->count * 2;
        left = (int64_t)c->count - d;
        return (left > 0 ? left : left + c->count) & ~1u;
    default:    /* goes on below zero */
        left = ((int64_t)c->count - d) % modulus;
        return left < 0 ? left + modulus : left;
    }
}

static bool output(const PITChannel *c, int64_t now)
{
    int64_t d = elapsed(c, now);

    if (!c->running) {
        return c->mode != 0;
    }
    switch (c->mode) {
    case 0:
    case 1:
        return d >= c->count;
    case 2:
        return !c->gate || d % c->count != c->count - 1;
    case 3:
        return !c->gate || d % c->count < (c->count + 1) / 2;
    default:    /* a strobe of one tick */
        return d != c->count;
    }
}

static uint16_t to_bcd(uint32_t n)
{
    n %= 10000;
    return n / 1000 << 12 | n / 100 % 10 << 8 | n / 10 % 10 << 4 | n % 10;
}

/* Digits above nine are the guest's mistake; they just count for more. */
static uint32_t from_bcd(uint16_t n)
{
    return (n >> 12) * 1000 + (n >> 8 & 15) * 100 + (n >> 4 & 15) * 10 + (n & 15);
}

static uint16_t read_counter(const PITChannel *c, int64_t now)
{
    uint32_t n = counter(c, now);

    return c->bcd ? to_bcd(n) : n;
}

/* Channel 0's interrupt; lock held ----------------------------------------- */

/* The first rising edge of the output after now, or -1. */
static int64_t next_edge(const PITChannel *c, int64_t now)
{
    int64_t step = c->count;

    if (!c->running || c->held >= 0) {
        return -1;
    }
    if (is_periodic(c)) {
        if (!c->gate) {
            return -1;
        }
        if (step < MIN_PERIOD_TICKS) {
            step = (MIN_PERIOD_TICKS + step - 1) / step * step;
        }
        if (c->next_count) {
            return c->reload_at > now ? c->reload_at : now + 1;
        }
        return c->start + ((now - c->start) / step + 1) * step;
    }
    /* The strobe rises a tick after the end of the count. */
    step += c->mode >= 4;
    return c->start + step > now ? c->start + step : -1;
}

static void schedule(PITState *s, int64_t now)
{
    s->edge = next_edge(&s->ch[0], now);
    if (s->edge < 0) {
        timer_del(&s->timer);
    } else {
        timer_mod_ns(&s->timer, ticks_to_ns(s->edge));
    }
}

/* The output was low before, however shortly. Ticks that were missed are gone. */
static void pulse(PITState *s)
{
    qemu_set_irq(s->out, 0);
    qemu_set_irq(s->out, 1);
}

static void timer_cb(void *opaque)
{
    PITState *s = opaque;
    int64_t now;

    g_mutex_lock(&s->lock);
    now = ticks_now();
    if (s->edge >= 0) {
        if (now >= s->edge) {
            catch_up(&s->ch[0], now);
            pulse(s);
        }
        schedule(s, now);
    }
    g_mutex_unlock(&s->lock);
}

/* Channel n was reprogrammed: its line and the next edge. */
static void changed(PITState *s, unsigned n, int64_t now)
{
    if (n == 0) {
        qemu_set_irq(s->out, output(&s->ch[0], now));
        schedule(s, now);
    }
}

/* Programming; lock held --------------------------------------------------- */

static void load_count(PITChannel *c, uint16_t value, int64_t now)
{
    uint32_t count = c->bcd ? from_bcd(value) : value;

    if (!count) {
        count = c->bcd ? 10000 : 65536;
    }
    catch_up(c, now);
    c->written = true;
    if (is_periodic(c) && c->running && c->gate) {
        c->next_count = count;
        c->reload_at = c->start + ((now - c->start) / c->count + 1) * c->count;
        c->null_count = true;
        return;
    }
    if (is_triggered(c)) {
        c->next_count = count;
        c->reload_at = INT64_MAX;
        c->null_count = true;
        return;
    }
    c->count = count;
    c->next_count = 0;
    c->start = now;
    c->held = !is_periodic(c) && !c->gate ? 0 : -1;
    c->running = !is_periodic(c) || c->gate;
    c->null_count = !c->running;
}

static void write_counter(PITChannel *c, uint8_t value, int64_t now)
{
    switch (c->rw) {
    case RW_LSB:
        load_count(c, value, now);
        break;
    case RW_MSB:
        load_count(c, value << 8, now);
        break;
    case RW_WORD:
        if (c->write_msb) {
            load_count(c, value << 8 | c->write_lsb, now);
        } else {
            c->write_lsb = value;
            if (c->mode == 0) {     /* the first byte stops the count */
                c->running = false;
            }
        }
        c->write_msb = !c->write_msb;
        break;
    }
}

static void latch_count(PITChannel *c, int64_t now)
{
    if (c->latched) {
        return;
    }
    c->latch = read_counter(c, now);
    if (c->rw == RW_MSB) {
        c->latch >>= 8;
    }
    c->latched = c->rw == RW_WORD ? 2 : 1;
    c->read_msb = false;
}

static void latch_status(PITChannel *c, int64_t now)
{
    if (!c->status_latched) {
        c->status = output(c, now) << 7 | c->null_count << 6 | c->rw << 4 |
            c->mode << 1 | c->bcd;
        c->status_latched = true;
    }
}

static uint8_t read_channel(PITChannel *c, int64_t now)
{
    uint16_t value;
    bool msb;

    if (c->status_latched) {
        c->status_latched = false;
        return c->status;
    }
    if (c->latched) {
        value = c->latch;
        c->latch >>= 8;
        c->latched--;
        return value;
    }
    value = read_counter(c, now);
    msb = c->rw == RW_MSB || (c->rw == RW_WORD && c->read_msb);
    c->read_msb = c->rw == RW_WORD && !c->read_msb;
    return msb ? value >> 8 : value;
}

static void read_back(PITState *s, uint8_t command, int64_t now)
{
    for (unsigned i = 0; i < 3; i++) {
        if (!(command >> (i + 1) & 1)) {
            continue;
        }
        if (!(command & 0x20)) {
            latch_count(&s->ch[i], now);
        }
        if (!(command & 0x10)) {
            latch_status(&s->ch[i], now);
        }
    }
}

static void write_control(PITState *s, uint8_t value, int64_t now)
{
    unsigned n = value >> 6;
    PITChannel *c;

    if (n == 3) {
        read_back(s, value, now);
        return;
    }
    c = &s->ch[n];
    if ((value >> 4 & 3) == RW_LATCH) {
        latch_count(c, now);
        return;
    }
    c->rw = value >> 4 & 3;
    c->mode = value >> 1 & 7;
    if (c->mode > 5) {  /* 6 and 7 are 2 and 3 */
        c->mode -= 4;
    }
    c->bcd = value & 1;
    c->running = c->written = false;
    c->null_count = true;
    c->next_count = 0;
    c->held = -1;
    c->write_msb = c->read_msb = false;
    c->latched = 0;
    c->status_latched = false;
    changed(s, n, now);
}

/* A rising gate in modes 1, 2, 3 and 5: begin anew with the newest count. */
static void trigger(PITChannel *c, int64_t now)
{
    if (!c->written) {
        return;
    }
    if (c->next_count) {
        c->count = c->next_count;
        c->next_count = 0;
    }
    c->start = now;
    c->held = -1;
    c->running = true;
    c->null_count = false;
}

static void set_gate(PITChannel *c, bool gate, int64_t now)
{
    if (gate == c->gate) {
        return;
    }
    c->gate = gate;
    if (gate && (is_triggered(c) || is_periodic(c))) {
        trigger(c, now);
    } else if (gate && c->held >= 0) {      /* modes 0 and 4 go on */
        c->start = now - c->held;
        c->held = -1;
    } else if (!gate && c->running && !is_triggered(c)) {
        c->held = now - c->start;
    }
}

/* Ports -------------------------------------------------------------------- */

static void pit_write(void *opaque, hwaddr addr, uint64_t data, unsigned size)
{
    PITState *s = opaque;
    int64_t now;

    g_mutex_lock(&s->lock);
    now = ticks_now();
    for (unsigned i = 0; i < 3; i++) {
        catch_up(&s->ch[i], now);
    }
    if (addr == 3) {
        write_control(s, data, now);
    } else {
        write_counter(&s->ch[addr], data, now);
        changed(s, addr, now);
    }
    g_mutex_unlock(&s->lock);
}

static uint64_t pit_read(void *opaque, hwaddr addr, unsigned size)
{
    PITState *s = opaque;
    uint8_t value = 0xff;   /* the control register cannot be read */
    int64_t now;

    g_mutex_lock(&s->lock);
    if (addr < 3) {
        now = ticks_now();
        catch_up(&s->ch[addr], now);
        value = read_channel(&s->ch[addr], now);
    }
    g_mutex_unlock(&s->lock);
    return value;
}

static const MemoryRegionOps pit_ops = {
    .read = pit_read,
    .write = pit_write,
    .valid = { .min_access_size = 1, .max_access_size = 2, .unaligned = true },
    .impl = { .min_access_size = 1, .max_access_size = 1 },
    .lockless = true,
};

static uint64_t port_b_read(void *opaque, hwaddr addr, unsigned size)
{
    PITState *s = opaque;
    PITChannel *c = &s->ch[2];
    int64_t ns = qemu_clock_get_ns(QEMU_CLOCK_VIRTUAL);
    uint8_t value;
    int64_t now;

    g_mutex_lock(&s->lock);
    now = ticks_now();
    catch_up(c, now);
    value = c->gate | s->speaker << 1 | (ns / REFRESH_NS & 1) << 4 |
        output(c, now) << 5;
    g_mutex_unlock(&s->lock);
    return value;
}

static void port_b_write(void *opaque, hwaddr addr, uint64_t data, unsigned size)
{
    PITState *s = opaque;
    int64_t now;

    g_mutex_lock(&s->lock);
    now = ticks_now();
    catch_up(&s->ch[2], now);
    set_gate(&s->ch[2], data & 1, now);
    s->speaker = data >> 1 & 1;
    g_mutex_unlock(&s->lock);
}

static const MemoryRegionOps port_b_ops = {
    .read = port_b_read,
    .write = port_b_write,
    .valid = { .min_access_size = 1, .max_access_size = 1 },
    .lockless = true,
};

/* State -------------------------------------------------------------------- */

#define TICKS_LIMIT (1LL << 60)     /* apart from INT64_MAX, what no clock gets to */

static bool is_sound(const PITChannel *c)
{
    return c->count >= 1 && c->count <= 65536 && c->next_count <= 65536 && c->held >= -1 &&
        c->held < TICKS_LIMIT && c->start > -TICKS_LIMIT && c->start < TICKS_LIMIT &&
        (c->reload_at == INT64_MAX || (c->reload_at >= 0 && c->reload_at < TICKS_LIMIT));
}

static bool pit_post_load(void *obj, Error **errp)
{
    PITState *s = obj;

    for (unsigned i = 0; i < 3; i++) {
        if (!is_sound(&s->ch[i])) {
            error_setg(errp, "impossible count of channel %u", i);
            return false;
        }
    }
    return true;
}

static const StateField channel_fields[] = {
    STATE_MAX(PITChannel, mode, 5),
    STATE_MAX(PITChannel, rw, RW_WORD),
    STATE_BOOL(PITChannel, bcd),
    STATE_BOOL(PITChannel, gate),
    STATE_BOOL(PITChannel, written),
    STATE_BOOL(PITChannel, running),
    STATE_BOOL(PITChannel, null_count),
    STATE_BOOL(PITChannel, write_msb),
    STATE_BOOL(PITChannel, read_msb),
    STATE_INT(PITChannel, write_lsb),
    STATE_MAX(PITChannel, latched, 2),
    STATE_INT(PITChannel, latch),
    STATE_BOOL(PITChannel, status_latched),
    STATE_INT(PITChannel, status),
    STATE_INT(PITChannel, count),
    STATE_INT(PITChannel, next_count),
    STATE_INT(PITChannel, reload_at),
    STATE_INT(PITChannel, start),
    STATE_INT(PITChannel, held),
    STATE_END
};

static const StateField pit_fields[] = {
    STATE_STRUCTS(PITState, ch, channel_fields),
    STATE_BOOL(PITState, speaker),
    STATE_TIMER(PITState, timer),
    STATE_INT(PITState, edge),
    STATE_END
};

const StateDesc pit_state = {
    .name = "i8254", .version = 1, .fields = pit_fields, .post_load = pit_post_load,
};

/* Life cycle --------------------------------------------------------------- */

void pit_reset(PITState *s)
{
    g_mutex_lock(&s->lock);
    for (unsigned i = 0; i < 3; i++) {
        /* A count of a whole turn, so that nothing ever divides by zero. */
        s->ch[i] = (PITChannel) {
            .mode = 3, .gate = i != 2, .count = 65536, .held = -1,
        };
    }
    s->speaker = false;
    changed(s, 0, ticks_now());
    g_mutex_unlock(&s->lock);
}

PITState *pit_new(qemu_irq out)
{
    PITState *s = g_new0(PITState, 1);

    g_mutex_init(&s->lock);
    timer_init_ns(&s->timer, QEMU_CLOCK_VIRTUAL, timer_cb, s);
    memory_region_init_io(&s->mr, &pit_ops, s, "pit", 4);
    memory_region_init_io(&s->port_b, &port_b_ops, s, "port-61", 1);
    pit_reset(s);       /* nobody hears of the first level */
    s->out = out;
    return s;
}

void pit_free(PITState *s)
{
    if (s) {
        timer_del(&s->timer);
        g_mutex_clear(&s->lock);
        g_free(s);
    }
}

PITChannel *pit_channel(PITState *s, unsigned n)
{
    return &s->ch[n];
}

void pit_channel_start(PITChannel *c, uint32_t count, int64_t elapsed_ns)
{
    int64_t past = (__int128)elapsed_ns * PIT_FREQ / NANOSECONDS_PER_SECOND;

    c->count = count >= 1 && count <= 65536 ? count : 65536;
    if (elapsed_ns >= 0) {
        c->start = ticks_now() - past;
        c->running = c->written = true;
        c->held = c->gate || is_triggered(c) || is_periodic(c) ? -1 : past;
    }
}

void pit_restart(PITState *s)
{
    g_mutex_lock(&s->lock);
    changed(s, 0, ticks_now());
    g_mutex_unlock(&s->lock);
}

MemoryRegion *pit_region(PITState *s)
{
    return &s->mr;
}

MemoryRegion *pit_port_b_region(PITState *s)
{
    return &s->port_b;
}
