/*
 * When the software CPU itself crashes: which guest instruction it was at.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "tcg-int.h"

#include <signal.h>
#include <stdio.h>
#include <ucontext.h>
#include <unistd.h>

#include "qemu/sanitizer.h"
#include "target/i386/tcg/jit/jit.h"

/* The vCPU whose code this thread runs, or NULL. */
static __thread TCGCPU *running;

void tcg_crash_running(TCGCPU *c)
{
    running = c;
}

static bool is_op(const TCGCPU *c, uintptr_t p)
{
    uintptr_t arena = (uintptr_t)c->tcg->arena, tmp = (uintptr_t)c->tmp_ops;

    return (p >= arena && p < arena + c->tcg->arena_used) ||
           (p >= tmp && p < tmp + sizeof(c->tmp_ops));
}

/*
 * The op under execution: functions get it as second argument, and keep it in
 * some register as long as they need it. NULL: lost.
 */
static const X86Op *current_op(const TCGCPU *c, const ucontext_t *uc)
{
#ifdef __x86_64__
    static const uint8_t order[] = {
        REG_RSI, REG_RBX, REG_RBP, REG_R12, REG_R13, REG_R14, REG_R15, REG_RAX, REG_RDX,
    };

    for (unsigned i = 0; i < sizeof(order); i++) {
        uintptr_t p = uc->uc_mcontext.gregs[order[i]];

        if (is_op(c, p)) {
            return (const X86Op *)p;
        }
    }
#endif
    return NULL;
}

/* Where the guest is by the host's registers; how: NULL, or the name of a template. */
static const char *guest_place(const TCGCPU *c, const ucontext_t *uc, uint64_t *rip,
                               const char **how)
{
    const X86Op *op;
    TCGJitPlace place;

#ifdef __x86_64__
    if (tcg_jit_find(c->tcg, uc->uc_mcontext.gregs[REG_RIP], &place)) {
        *how = place.name;
        *rip = c->regs[R_PAGE] + place.off;
        return place.b ? "in" : "near";
    }
#endif
    op = current_op(c, uc);
    *how = NULL;
    *rip = op ? c->regs[R_PAGE] + op->off : c->eip;
    return op ? "in" : "near";
}

/* Only functions that a signal handler may call, snprintf() apart: we die anyway. */
static void on_crash(int sig, siginfo_t *si, void *context)
{
    const TCGCPU *c = running;
    char text[200];
    int n;

    if (c) {
        uint64_t rip;
        const char *how, *where = guest_place(c, context, &rip, &how);

        n = snprintf(text, sizeof(text), "cpu %u: signal %d (address %p) %s the guest's "
                     "instruction at %04x:%016" PRIx64 "%s%s\n", c->index, sig, si->si_addr,
                     where, c->segs[R_CS].selector, rip, how ? ", translated: " : "",
                     how ? how : "");
        if (write(STDERR_FILENO, text, n) < 0) {
            /* Nobody listens. */
        }
    }
    raise(sig);                 /* the default action: SA_RESETHAND */
}

void tcg_crash_init(void)
{
    static const int signals[] = { SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT };
    struct sigaction sa = {
        .sa_sigaction = on_crash, .sa_flags = SA_SIGINFO | SA_RESETHAND,
    };

    for (unsigned i = 0; !ADDRESS_SANITIZER && i < sizeof(signals) / sizeof(*signals); i++) {
        sigaction(signals[i], &sa, NULL);
    }
}
