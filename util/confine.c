/*
 * Threads give up what they do not need: capabilities, and the system calls that are not in the
 * list of their kind.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "qemu/confine.h"

#include <errno.h>
#include <glib.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

#include "qemu/cutils.h"

static struct {
    bool closed;                /* nothing is declared any more; set once */
    bool threads;               /* threads confine themselves; set with closed, or never */
    uint64_t kept;              /* capabilities */
    unsigned needs;             /* of the main thread: set of ConfineNeed */
    GArray *paths;              /* of ConfinePath */
    ConfineProcessFn *process;  /* to be told the orders; NULL: nobody */
    const ConfineOrders *orders;
} confine;

/* Of the calling thread, once it is confined. */
static __thread const ThreadFilter *own_filter;
/* Capabilities that it keeps. */
static __thread uint64_t own_kept;

/* Capabilities ------------------------------------------------------------- */

void confine_keep_capability(unsigned cap)
{
    confine.kept |= UINT64_C(1) << cap;
}

void thread_keep_capabilities(uint64_t set)
{
    own_kept = set;
}

void confine_drop_capabilities(bool whole_process)
{
    /* Where all that is mapped is locked, each thread's memory is. */
    uint64_t kept = own_kept |
        (confine.kept & (whole_process ? UINT64_MAX : UINT64_C(1) << CAP_IPC_LOCK));
    struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
    struct __user_cap_data_struct now[_LINUX_CAPABILITY_U32S_3];

    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    if (syscall(SYS_capget, &header, now) < 0) {
        return;
    }
    for (unsigned i = 0; i < G_N_ELEMENTS(now); i++) {
        now[i].permitted &= kept >> (32 * i);
        now[i].effective &= now[i].permitted;
        now[i].inheritable = 0;
    }
    syscall(SYS_capset, &header, now);
}

/* What the main thread needs ----------------------------------------------- */

void confine_need(ConfineNeed need)
{
    if (!confine.closed) {
        confine.needs |= need;
    }
}

void confine_need_path(const char *path, ConfineAccess access)
{
    /* -daemonize will change the directory. */
    ConfinePath entry = { .access = access };

    if (confine.closed) {
        return;
    }
    if (!confine.paths) {
        confine.paths = g_array_new(FALSE, FALSE, sizeof(ConfinePath));
    }
    entry.path = g_canonicalize_filename(path, NULL);
    g_array_append_val(confine.paths, entry);
}

unsigned confine_needs(void)
{
    return confine.needs;
}

const GArray *confine_paths(void)
{
    return confine.paths;
}

bool confine_programs(Error **errp)
{
    if (!confine.closed) {
        return true;
    }
    if (!(confine.needs & CONFINE_PROGRAMS)) {
        error_setg(errp, "starting programs is outside of what -sandbox allows (spawn=allow)");
        return false;
    }
    return true;
}

/* Another process -------------------------------------------------------- */

void confine_add_process(ConfineProcessFn *fn)
{
    confine.process = fn;
}

bool confine_process_orders(const ConfineOrders *orders, Error **errp)
{
    confine.orders = orders;
    return !confine.process || confine.process(orders, errp);
}

const ConfineOrders *confine_orders(void)
{
    return confine.orders;
}

/* Refusals ----------------------------------------------------------------- */

const char *confine_strerror(int err)
{
    return err == ESANDBOX ? "outside of what -sandbox allows (path=…)" : strerror(err);
}

/* Permissions are looked at by access(), of which Landlock knows nothing. */
int confine_errno(const char *path, bool write, int err)
{
    g_autofree char *folder = NULL;

    if (err != EACCES || !confine.closed) {
        return err;
    }
    if (access(path, F_OK) == 0) {
        return access(path, write ? W_OK : R_OK) == 0 ? ESANDBOX : err;
    }
    folder = g_path_get_dirname(path);
    return access(folder, W_OK | X_OK) == 0 ? ESANDBOX : err;
}

/* System calls ------------------------------------------------------------- */

static const char *syscall_name(int nr)
{
    const char *name = iothread_filter.names;

    if (nr < 0 || nr >= SYSCALL_NAMES) {
        return "unknown";
    }
    while (nr-- > 0) {
        name += strlen(name) + 1;
    }
    return name;
}

/* The thread made a call that is not in its list: all that is left is to say so. */
static void refuse(int signum, siginfo_t *info, void *context)
{
    const greg_t *regs = ((const ucontext_t *)context)->uc_mcontext.gregs;
    char name[16] = "?", line[160];

    prctl(PR_GET_NAME, name);
    snprintf(line, sizeof(line), "%s: thread '%s' was stopped at system call %d (%s) of "
             "%#llx, %#llx\n",
             program_invocation_short_name, name, info->si_syscall, syscall_name(info->si_syscall),
             regs[REG_RDI], regs[REG_RSI]);
    qemu_write_full(STDERR_FILENO, line, strlen(line));
    syscall(SYS_exit_group, 128 + SIGSYS);
}

static void catch_refused_calls(void)
{
    struct sigaction act = { .sa_sigaction = refuse, .sa_flags = SA_SIGINFO };

    sigfillset(&act.sa_mask);
    sigaction(SIGSYS, &act, NULL);
}

int confine_probe(void)
{
    uint32_t action = SECCOMP_RET_TRAP;

    return syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &action) < 0 ? errno : 0;
}

void confine_close(bool threads)
{
    confine.closed = true;
    if (threads) {
        catch_refused_calls();
        __atomic_store_n(&confine.threads, true, __ATOMIC_RELEASE);
    }
}

/* The list as it stands in the program, with this process's number where it is asked for. */
static struct sock_filter *own_instructions(const ThreadFilter *filter)
{
    struct sock_filter *insns = g_memdup2(filter->insns, filter->len * sizeof(*insns));

    for (unsigned i = 0; i < filter->len; i++) {
        if (insns[i].code == (BPF_JMP | BPF_JEQ | BPF_K) && insns[i].k == CONFINE_OWN_PID) {
            insns[i].k = getpid();
        }
    }
    return insns;
}

void confine_enter(const ThreadFilter *filter)
{
    g_autofree struct sock_filter *insns = own_instructions(filter);
    struct sock_fprog prog = { .len = filter->len, .filter = insns };
    sigset_t set;

    if (!filter->len) {
        return;
    }
    sigemptyset(&set);
    sigaddset(&set, SIGSYS);
    pthread_sigmask(SIG_UNBLOCK, &set, NULL);
    if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_SPEC_ALLOW, &prog) < 0) {
        g_error("cannot confine a thread: %s", strerror(errno));
    }
}

bool thread_confine_due(void)
{
    return G_UNLIKELY(!own_filter) && __atomic_load_n(&confine.threads, __ATOMIC_ACQUIRE);
}

void thread_confine(const ThreadFilter *filter)
{
    if (!thread_confine_due()) {
        return;
    }
    own_filter = filter;
    confine_drop_capabilities(false);
    confine_enter(filter);
}
