/*
 * -d and -D.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "qemu/trace.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "qemu/similar.h"

unsigned qemu_loglevel;

/* NULL: stderr. Replaced only by the main thread's -D or "logfile". */
static FILE *log_file;

static const struct {
    const char *name;
    unsigned mask;
    const char *help;
} log_items[] = {
    { "guest_errors", LOG_GUEST_ERROR, "what a guest did that no driver should do" },
    { "unimp", LOG_UNIMP, "what a guest asked for and we do not have" },
    { "virtio", LOG_VIRTIO, "life cycle and queues of virtio devices" },
    { "kvm", LOG_KVM, "exits from KVM and failing ioctls" },
    { "boot", LOG_BOOT, "what the kernel file decides: whether there is ACPI" },
    { "int", LOG_INT, "interrupts and exceptions" },
    { "cpu_reset", LOG_CPU_RESET, "CPU state at every reset" },
    { "exec", LOG_EXEC, "each instruction before it runs (software CPU)" },
    { "in_asm", LOG_IN_ASM, "the same with its bytes (software CPU)" },
    { "out_asm", LOG_OUT_ASM, "translated code, for scripts/disas-objdump (software CPU)" },
};

void qemu_log(const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    vfprintf(log_file ? log_file : stderr, fmt, ap);
    va_end(ap);
}

/* ": did you mean X?", or ""; caller frees. */
static char *log_item_near(const char *name)
{
    Similar s;

    similar_init(&s, name);
    for (size_t i = 0; i < G_N_ELEMENTS(log_items); i++) {
        similar_try(&s, log_items[i].name);
    }
    return similar_text(&s, "");
}

static unsigned log_item_mask(const char *name)
{
    for (size_t i = 0; i < G_N_ELEMENTS(log_items); i++) {
        if (!strcmp(name, log_items[i].name)) {
            return log_items[i].mask;
        }
    }
    return !strcmp(name, "all") ? ~0u : 0;
}

bool qemu_set_log(const char *items, Error **errp)
{
    g_auto(GStrv) names = g_strsplit(items, ",", -1);
    unsigned level = 0;

    for (char **name = names; *name; name++) {
        unsigned mask = log_item_mask(*name);

        if (g_str_has_prefix(*name, "trace:")) {
            trace_set_by_option(*name + strlen("trace:"));
            continue;
        }
        if (!mask && **name && strcmp(*name, "none")) {
            g_autofree char *meant = log_item_near(*name);

            error_setg(errp, "unknown log item '%s'%s", *name, meant);
            error_append_hint(errp, "Use -d help for a list of log items.\n");
            return false;
        }
        level |= mask;
    }
    qemu_loglevel = level;
    return true;
}

bool qemu_set_log_filename(const char *filename, Error **errp)
{
    FILE *f = fopen(filename, "we");

    if (!f) {
        error_setg_errno(errp, errno, "could not open '%s'", filename);
        return false;
    }
    setvbuf(f, NULL, _IOLBF, 0);
    if (log_file) {
        fclose(log_file);
    }
    log_file = f;
    return true;
}

void qemu_print_log_usage(void)
{
    printf("Log items (comma separated):\n");
    for (size_t i = 0; i < G_N_ELEMENTS(log_items); i++) {
        printf("%-15s %s\n", log_items[i].name, log_items[i].help);
    }
    printf("trace:PATTERN   trace events, as -trace\n");
}
