/*
 * What is said of translated code: perf's map of names, and -d out_asm.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <stdio.h>
#include <unistd.h>

#include "qemu/log.h"
#include "target/i386/tcg/jit/translate.h"

/* perf's map: "START SIZE NAME" a line. What cannot be written has no name in the profile. */
static void name_range(const TCGJit *jit, const uint8_t *from, const uint8_t *to, const char *name)
{
    char line[100];
    int n = snprintf(line, sizeof(line), "%" PRIxPTR " %zx %s\n",
                     (uintptr_t)jit_executable(jit, (uint8_t *)from), (size_t)(to - from), name);

    if (write(jit->perf_map, line, n) < 0) {
        /* The disk is full, or so. */
    }
}

/* As QEMU's lines without a disassembler: scripts/disas-objdump reads them. */
static void add_code(GString *text, const uint8_t *from, const uint8_t *to)
{
    if (from < to) {
        g_string_append(text, "OBJD-H: ");
        for (const uint8_t *p = from; p < to; p++) {
            g_string_append_printf(text, "%02x", *p);
        }
        g_string_append(text, "\n");
    }
}

/* Is there code for op i? */
static bool has_code(const Tr *t, unsigned i)
{
    return i < t->n && (i == 0 || t->pairs[2 * i + 1].id);
}

/* All in one piece: other threads log, too. */
static void log_code(const Tr *t)
{
    g_autoptr(GString) text = g_string_new(NULL);
    const uint8_t *from = t->from;

    g_string_printf(text, "OUT: [size=%zu] at 0x%016" PRIxPTR "\n", (size_t)(t->end - from),
                    (uintptr_t)jit_executable(t->jit, from));
    if (t->pairs[1].id) {
        g_string_append(text, "  -- entry\n");
        add_code(text, from, from + t->pairs[1].id);
    }
    for (unsigned i = 0; has_code(t, i); i++) {
        const Template *tm = t->templates[i];
        const uint8_t *end = has_code(t, i + 1) ? from + t->pairs[2 * i + 3].id : t->end;

        g_string_append_printf(text, "  -- guest addr 0x%016" PRIx64 " %s%s\n",
                               jit_guest_address(t, i), !tm ? "leaves" : tm->name,
                               tm && !tm->emit ? " by a call" : "");
        add_code(text, from + t->pairs[2 * i + 1].id, end);
    }
    g_string_append_printf(text, "  -- out of line at 0x%016" PRIxPTR "\n",
                           (uintptr_t)jit_executable(t->jit, t->out_of_line));
    add_code(text, t->out_of_line, t->e.p);
    qemu_log("%s", text->str);
}

void tcg_jit_report(const Tr *t)
{
    char name[40];

    if (t->jit->perf_map >= 0) {
        snprintf(name, sizeof(name), "guest:0x%016" PRIx64, jit_guest_address(t, 0));
        name_range(t->jit, t->from, t->end, name);
        name_range(t->jit, t->out_of_line, t->e.p, name);
    }
    if (qemu_loglevel_mask(LOG_OUT_ASM)) {
        log_code(t);
    }
}

void tcg_jit_report_common(const TCGJit *jit)
{
    if (jit->perf_map >= 0) {
        name_range(jit, jit->writable, jit->writable + jit->fixed, "guest:common");
    }
}

bool tcg_jit_find(const TCGState *s, uintptr_t address, TCGJitPlace *place)
{
    const TCGJit *jit = s->jit;
    uintptr_t first = jit ? (uintptr_t)jit->executable : 0;
    const TCGBlock *b;
    const X86Op *pairs;

    *place = (TCGJitPlace) { .name = "what all blocks share" };
    if (!jit || address < first || address >= first + jit->used_apart) {
        return false;
    }
    b = address < first + jit->fixed ? NULL : tcg_block_of_code(s, address);
    if (!b) {
        return true;
    }
    place->b = b;
    pairs = b->pairs;
    if (address >= first + jit->apart) {
        place->off = pairs[0].off;
        place->name = "out of line";
        return true;
    }
    for (unsigned i = 0; i + 1u < b->nr_ops && (i == 0 || pairs[2 * i + 1].id); i++) {
        if (i == 0 || address - (uintptr_t)b->code >= pairs[2 * i + 1].id) {
            const Template *tm = tcg_jit_template(jit, pairs[2 * i].fn);

            place->off = pairs[2 * i].off;
            place->name = tm ? tm->name : "leaves";
        }
    }
    return true;
}
