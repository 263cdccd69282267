/*
 * The program's machine in the process of a fuzz target.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "machine.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "qemu/landlock.h"
#include "qemu/main-loop.h"
#include "sysemu/cpus.h"
#include "system/vl.h"

/* Callbacks that are run before the next part of an input. */
#define SETTLE_ROUNDS 400

/* Inputs ------------------------------------------------------------------- */

uint64_t fuzz_take(FuzzInput *in, unsigned bytes)
{
    uint64_t value = 0;

    for (unsigned i = 0; i < bytes && in->p < in->end; i++) {
        value |= (uint64_t)*in->p++ << (8 * i);
    }
    return value;
}

const uint8_t *fuzz_take_bytes(FuzzInput *in, size_t *len)
{
    const uint8_t *p = in->p;

    *len = MIN(*len, (size_t)(in->end - in->p));
    in->p += *len;
    return p;
}

/* The folder --------------------------------------------------------------- */

static char *folder;

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    return ftw->level == 0 && folder && strcmp(path, folder) ? 0 : remove(path);
}

/* By a process that outlives this one, which Landlock will not let remove the folder itself. */
static void remove_folder_later(void)
{
    int end[2];
    char c;

    g_assert_cmpint(pipe2(end, O_CLOEXEC), ==, 0);
    if (fork() != 0) {
        close(end[0]);
        return;         /* the other end is closed by our end */
    }
    close_range(0, end[0] - 1, 0);
    close_range(end[0] + 1, ~0u, 0);
    while (read(end[0], &c, 1) < 0 && errno == EINTR) {
        continue;
    }
    nftw(folder, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    _exit(0);
}

const char *fuzz_folder(void)
{
    if (!folder) {
        folder = g_dir_make_tmp("fuzz-XXXXXX", NULL);
        g_assert_nonnull(folder);
        remove_folder_later();
    }
    return folder;
}

void fuzz_empty_folder(const char *name)
{
    g_autofree char *path = g_build_filename(fuzz_folder(), name, NULL);

    nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

typedef int AddressFn(int fd, const struct sockaddr *addr, socklen_t len);

/* -1: bind() or connect() has failed. */
static int socket_at(const char *name, AddressFn *fn)
{
    struct sockaddr_un un = { .sun_family = AF_UNIX };
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    g_snprintf(un.sun_path, sizeof(un.sun_path), "%s/%s", fuzz_folder(), name);
    if (fd >= 0 && fn(fd, (struct sockaddr *)&un, sizeof(un)) < 0) {
        close(fd);
        fd = -1;
    }
    return fd;
}

int fuzz_connect(const char *name)
{
    return socket_at(name, connect);
}

int fuzz_listen(const char *name)
{
    int fd = socket_at(name, bind);

    g_assert_cmpint(listen(fd, SOMAXCONN), ==, 0);
    return fd;
}

/* The machine -------------------------------------------------------------- */

static bool starts;             /* no -S */

static void confine(void)
{
    int rules = landlock_new();

    unshare(CLONE_NEWNET);          /* where we may */
    if (rules < 0) {
        g_printerr("no Landlock: what an input asks for can reach this machine's files\n");
        return;
    }
    g_assert_cmpint(landlock_allow(rules, "/", FILES_READ), ==, 0);
    g_assert_cmpint(landlock_allow(rules, fuzz_folder(), FILES_ALL), ==, 0);
    landlock_allow(rules, "corpus", FILES_ALL);
    landlock_allow(rules, "found", FILES_ALL);
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    g_assert_cmpint(landlock_enter(rules), ==, 0);
}

static VLState vl;
static char **machine_argv;     /* options keep pointers into it */

/* What GLib keeps for a thread is freed by its end. */
static void end_machine(void)
{
    vm_stop(vl.ms, RUN_STATE_SHUTDOWN);
    if (vl.ms->cpus) {
        cpu_stop_threads(vl.ms);
    }
    g_strfreev(machine_argv);
}

MachineState *fuzz_machine_new(const char *options)
{
    g_autoptr(GString) text = g_string_new("fuzz -M microvm,");
    Error *err = NULL;

    g_string_append(text, options);
    if (!strstr(options, "-accel")) {
        g_string_append(text, " -accel qtest");
    }
    g_string_append(text, " -m 16M -nodefaults -sandbox off -msg hints=off");
    g_string_replace(text, "%s", fuzz_folder(), 0);
    machine_argv = g_strsplit(text->str, " ", -1);
    if (!vl_start(&vl, g_strv_length(machine_argv), machine_argv, &err)) {
        g_error("%s: %s", text->str, error_get_pretty(err));
    }
    signal(SIGALRM, SIG_DFL);       /* libFuzzer's own; it sets it later */
    starts = !vl.paused;
    if (starts) {
        vm_start(vl.ms);
    }
    confine();
    atexit(end_machine);
    return vl.ms;
}

typedef struct Input {
    void (*fn)(void *opaque);
    void *opaque;
} Input;

static void run_input(void *opaque)
{
    Input *input = opaque;

    input->fn(input->opaque);
    qemu_main_loop_quit();
}

void fuzz_in_loop(void (*fn)(void *opaque), void *opaque)
{
    Input input = { fn, opaque };

    qemu_bh_schedule_oneshot(run_input, &input);
    qemu_main_loop();
}

void fuzz_settle(void)
{
    for (unsigned i = 0; i < SETTLE_ROUNDS && g_main_context_iteration(NULL, FALSE); i++) {
        continue;
    }
}

void fuzz_machine_restart(MachineState *ms)
{
    fuzz_settle();
    vm_stop(ms, RUN_STATE_PAUSED);
    qemu_system_reset(ms, SHUTDOWN_CAUSE_NONE);
    runstate_set(ms, RUN_STATE_PRELAUNCH);
    if (starts) {
        vm_start(ms);
    }
    fuzz_settle();
}
