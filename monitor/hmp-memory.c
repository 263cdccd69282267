/*
 * HMP: looking at guest memory, I/O ports and expressions.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <string.h>

#include "guest-memory.h"
#include "hmp.h"
#include "qemu/main-loop.h"

#define SUM_PAGE 4096u
/* Summed at a time, bytes. */
#define SUM_STEP (4u << 20)

/* Appends one value in format o, x, u, d or c. */
static void put_value(GString *s, char format, unsigned size, uint64_t v)
{
    /* Columns: enough digits for the largest value. */
    int hex = size * 2, oct = (size * 8 + 2) / 3, dec = (size * 80 + 32) / 33;
    int64_t sv = (int64_t)(v << (64 - size * 8)) >> (64 - size * 8);

    switch (format) {
    case 'o':
        g_string_append_printf(s, "0%0*" PRIo64, oct, v);
        break;
    case 'u':
        g_string_append_printf(s, "%*" PRIu64, dec, v);
        break;
    case 'd':
        g_string_append_printf(s, "%*" PRId64, dec, sv);
        break;
    case 'c':
        v &= 0xff;
        if (v == '\'' || v == '\\') {
            g_string_append_printf(s, "'\\%c'", (char)v);
        } else if (g_ascii_isprint(v)) {
            g_string_append_printf(s, "'%c'", (char)v);
        } else {
            g_string_append_printf(s, "'\\x%02" PRIx64 "'", v);
        }
        break;
    default:
        g_string_append_printf(s, "0x%0*" PRIx64, hex, v);
        break;
    }
}

static bool read_memory(Monitor *mon, CPUState *cs, uint64_t addr, void *buf,
                        uint64_t len)
{
    return cs ? guest_virtual_rw(cs, addr, buf, len, false) :
        address_space_read(&mon->ms->memory, addr, buf, len);
}

/* cs: whose virtual memory; NULL: physical. */
static void memory_dump(Monitor *mon, json_t *args, CPUState *cs)
{
    char format = hmp_str(args, "format")[0];
    int64_t count = hmp_int(args, "count", 1);
    int64_t size = hmp_int(args, "size", -1);
    uint64_t addr = hmp_int(args, "addr", 0);
    unsigned per_line;
    uint8_t buf[16];

    if (format == 'i') {
        monitor_puts(mon, "Error: there is no disassembler; attach a debugger with -gdb\n");
        return;
    }
    size = size > 0 ? size : format == 'c' ? 1 : 4;
    per_line = (size == 1 || format == 'c' ? 8 : (int64_t)sizeof(buf)) / size;
    while (count > 0) {
        g_autoptr(GString) line = g_string_new(NULL);
        unsigned n = MIN(count, MAX(per_line, 1u));

        g_string_append_printf(line, "%016" PRIx64 ":", addr);
        if (!read_memory(mon, cs, addr, buf, n * size)) {
            monitor_printf(mon, "%s Cannot access memory\n", line->str);
            return;
        }
        for (unsigned i = 0; i < n; i++) {
            uint64_t v = 0;

            memcpy(&v, buf + i * size, size);
            g_string_append_c(line, ' ');
            put_value(line, format, size, v);
        }
        monitor_printf(mon, "%s\n", line->str);
        if (monitor_out_len(mon) > MONITOR_OUT_MAX) {
            monitor_puts(mon, "(cut)\n");
            return;
        }
        addr += n * size;
        count -= n;
    }
}

void hmp_memory_dump(Monitor *mon, json_t *args)
{
    CPUState *cs = monitor_cpu(mon);

    if (!cs) {
        monitor_puts(mon, "No CPU\n");
        return;
    }
    memory_dump(mon, args, cs);
}

void hmp_physical_memory_dump(Monitor *mon, json_t *args)
{
    memory_dump(mon, args, NULL);
}

void hmp_print(Monitor *mon, json_t *args)
{
    int64_t v = hmp_int(args, "val", 0);

    switch (hmp_str(args, "format")[0]) {
    case 'o':
        monitor_printf(mon, "%#" PRIo64 "\n", (uint64_t)v);
        break;
    case 'u':
        monitor_printf(mon, "%" PRIu64 "\n", (uint64_t)v);
        break;
    case 'd':
        monitor_printf(mon, "%" PRId64 "\n", v);
        break;
    case 'c': {
        g_autoptr(GString) s = g_string_new(NULL);

        put_value(s, 'c', 1, v);
        monitor_printf(mon, "%s\n", s->str);
        break;
    }
    default:
        monitor_printf(mon, "%#" PRIx64 "\n", (uint64_t)v);
        break;
    }
}

void hmp_gpa2hva(Monitor *mon, json_t *args)
{
    hwaddr addr = hmp_int(args, "addr", 0);
    const FlatRange *r = address_space_lookup(&mon->ms->memory, addr);
    const void *host = address_space_map_ro(&mon->ms->memory, addr, 1);

    if (!host) {
        monitor_printf(mon, "Error: No memory is mapped at address 0x%" PRIx64 "\n", addr);
        return;
    }
    monitor_printf(mon, "Host virtual address for 0x%" PRIx64 " (%s) is %p\n",
                   addr, r->mr->name, host);
}

void hmp_gva2gpa(Monitor *mon, json_t *args)
{
    CPUState *cs = monitor_cpu(mon);
    GuestPage page;

    if (!cs) {
        monitor_puts(mon, "No cpu\n");
    } else if (!guest_translate(cs, hmp_int(args, "addr", 0), &page)) {
        monitor_puts(mon, "Unmapped\n");
    } else {
        monitor_printf(mon, "gpa: %#" PRIx64 "\n", page.phys);
    }
}

static unsigned port_size(json_t *args, char *suffix)
{
    int64_t size = hmp_int(args, "size", 1);

    *suffix = size == 2 ? 'w' : size == 4 ? 'l' : 'b';
    return size == 2 || size == 4 ? size : 1;
}

void hmp_ioport_read(Monitor *mon, json_t *args)
{
    uint64_t port = hmp_int(args, "addr", 0) & 0xffff, val = ~0ULL;
    char suffix;
    unsigned size = port_size(args, &suffix);

    address_space_rw_locked(&mon->ms->io, port, &val, size, false);
    if (size < 8) {
        val &= (1ULL << (size * 8)) - 1;
    }
    monitor_printf(mon, "port%c[0x%04" PRIx64 "] = 0x%0*" PRIx64 "\n", suffix, port,
                   (int)size * 2, val);
}

void hmp_ioport_write(Monitor *mon, json_t *args)
{
    uint64_t port = hmp_int(args, "addr", 0) & 0xffff, val = hmp_int(args, "val", 0);
    char suffix;
    unsigned size = port_size(args, &suffix);

    address_space_rw_locked(&mon->ms->io, port, &val, size, true);
}

/* The 16-bit checksum of BSD's sum(1), continued by n bytes; NULL: zeroes. */
static uint16_t bsd_sum(uint16_t sum, const uint8_t *p, unsigned n)
{
    unsigned turn = n % 16;

    if (!p) {
        return sum >> turn | (uint32_t)sum << (16 - turn);
    }
    while (n--) {
        sum = (sum >> 1 | sum << 15) + *p++;
    }
    return sum;
}

typedef struct SumJob {
    uint64_t addr, left;
    uint16_t sum;
} SumJob;

/* What is no RAM counts as zeroes, a page at a time. */
static bool sum_step(Monitor *mon, void *opaque, Error **errp)
{
    SumJob *s = opaque;

    for (unsigned page = 0; page < SUM_STEP / SUM_PAGE && s->left; page++) {
        unsigned n = MIN(s->left, SUM_PAGE - s->addr % SUM_PAGE);

        s->sum = bsd_sum(s->sum, address_space_map_ro(&mon->ms->memory, s->addr, n), n);
        s->addr += n;
        s->left -= n;
    }
    if (!s->left) {
        monitor_printf(mon, "%05d\n", s->sum);
    }
    return s->left;
}

/* Start and size are of 32 bits. */
void hmp_sum(Monitor *mon, json_t *args)
{
    SumJob *s = g_new0(SumJob, 1);

    s->addr = (uint32_t)hmp_int(args, "start", 0);
    s->left = (uint32_t)hmp_int(args, "size", 0);
    monitor_job_start(mon, -1, sum_step, g_free, s);
}
