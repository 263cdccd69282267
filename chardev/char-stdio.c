/*
 * The stdio chardev: the terminal (or pipe) that the emulator was started on.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "char-internal.h"
#include "qemu/event_notifier.h"

typedef struct StdioChardev {
    Chardev parent;
    bool signal;
    int out_fd;         /* a descriptor of our own, non-blocking; or stdout */
    FDReader in;
    GSource *resized;   /* of term.resized; or NULL */
} StdioChardev;

/*
 * The terminal's state is the process's: signal handlers and atexit() have to
 * give it back without knowing any chardev.
 */
static struct {
    struct termios saved;
    struct termios raw;
    volatile sig_atomic_t is_raw;
    int stdout_flags;       /* to put back; -1: we left them alone */
    bool in_use;
    bool hooked;
    EventNotifier resized;  /* SIGWINCH came */
} term;

static void term_restore(void)
{
    if (term.is_raw) {
        term.is_raw = 0;
        tcsetattr(STDIN_FILENO, TCSANOW, &term.saved);
    }
    if (term.stdout_flags >= 0) {
        fcntl(STDOUT_FILENO, F_SETFL, term.stdout_flags);
        term.stdout_flags = -1;
    }
}

/* A signal that ends the process at once: only async-signal-safe calls here. */
static void deadly_signal(int sig)
{
    term_restore();
    /* SA_RESETHAND has put the default action back. */
    pthread_kill(pthread_self(), sig);
}

/* Back from the shell's job control: the shell has set the terminal its way. */
static void continued(int sig)
{
    if (term.is_raw) {
        tcsetattr(STDIN_FILENO, TCSANOW, &term.raw);
    }
}

static void resized(int sig)
{
    event_notifier_set(&term.resized);
}

static void hook_signal(int sig, void (*handler)(int), int flags)
{
    struct sigaction old, act = { .sa_handler = handler, .sa_flags = flags };

    if (!sigaction(sig, NULL, &old) && old.sa_handler == SIG_DFL) {
        sigaction(sig, &act, NULL);
    }
}

static void term_hook(void)
{
    static const int deadly[] = {
        SIGABRT, SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGQUIT, SIGTERM, SIGINT, SIGHUP,
    };

    if (term.hooked) {
        return;
    }
    term.hooked = true;
    atexit(term_restore);
    for (size_t i = 0; i < G_N_ELEMENTS(deadly); i++) {
        hook_signal(deadly[i], deadly_signal, SA_RESETHAND | SA_NODEFER);
    }
    hook_signal(SIGCONT, continued, SA_RESTART);
}

static void stdio_set_echo(Chardev *s, bool echo)
{
    StdioChardev *d = downcast(s, StdioChardev, parent);
    struct termios tty;

    if (!isatty(STDIN_FILENO)) {
        return;
    }
    tty = term.saved;
    if (!echo) {
        tty.c_iflag &= ~(IGNBRK | BRKINT | PARMRK | ISTRIP | INLCR | IGNCR |
                         ICRNL | IXON);
        /* OPOST stays: our own messages come out on the same screen. */
        tty.c_oflag |= OPOST;
        tty.c_lflag &= ~(ECHO | ECHONL | ICANON | IEXTEN);
        tty.c_cflag = (tty.c_cflag & ~(CSIZE | PARENB)) | CS8;
        tty.c_cc[VMIN] = 1;
        tty.c_cc[VTIME] = 0;
    }
    if (!d->signal) {
        tty.c_lflag &= ~ISIG;
    }
    term.raw = tty;
    term.is_raw = 1;
    tcsetattr(STDIN_FILENO, TCSANOW, &tty);
}

/*
 * Output that never blocks. O_NONBLOCK belongs to the open file, which is
 * shared with the shell and with whoever else writes there: so open a second
 * one where the kernel lets us, and only else change the shared one.
 */
static void open_output(StdioChardev *d)
{
    int flags = fcntl(STDOUT_FILENO, F_GETFL);

    term.stdout_flags = -1;
    d->out_fd = STDOUT_FILENO;
    if (flags < 0 || flags & O_NONBLOCK) {
        return;
    }
    if (isatty(STDOUT_FILENO)) {
        int fd = open("/proc/self/fd/1", O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);

        if (fd >= 0) {
            d->out_fd = fd;
            return;
        }
    }
    term.stdout_flags = flags;
    chr_fd_set_nonblock(STDOUT_FILENO);
}

static void stdio_gone(Chardev *s)
{
    qemu_chr_be_event(s, CHR_EVENT_CLOSED);
}

static void stdio_resized(void *opaque)
{
    qemu_chr_be_event(opaque, CHR_EVENT_RESIZE);
}

static bool stdio_get_size(Chardev *s, uint16_t *cols, uint16_t *rows)
{
    return chr_fd_get_size(downcast(s, StdioChardev, parent)->out_fd, cols, rows);
}

static void watch_size(StdioChardev *d)
{
    if (isatty(d->out_fd) && event_notifier_init(&term.resized) == 0) {
        d->resized = event_notifier_add_handler(&term.resized, NULL, stdio_resized, d);
        hook_signal(SIGWINCH, resized, SA_RESTART);
    }
}

static bool stdio_open(Chardev *s, Error **errp)
{
    StdioChardev *d = downcast(s, StdioChardev, parent);

    if (chr_setup()->no_stdio) {
        error_setg(errp, "cannot use stdio with -daemonize");
        return false;
    }
    if (term.in_use) {
        error_setg(errp, "cannot use stdio by multiple character devices");
        return false;
    }
    term.in_use = true;
    term_hook();
    open_output(d);
    if (!tcgetattr(STDIN_FILENO, &term.saved)) {
        stdio_set_echo(s, false);
    }
    watch_size(d);
    fd_reader_init(&d->in, s, STDIN_FILENO, stdio_gone);
    s->be_open = true;
    return true;
}

static void stdio_close(Chardev *s)
{
    StdioChardev *d = downcast(s, StdioChardev, parent);

    fd_reader_stop(&d->in);
    if (d->resized) {
        signal(SIGWINCH, SIG_DFL);
        g_source_destroy(d->resized);
        g_clear_pointer(&d->resized, g_source_unref);
        event_notifier_cleanup(&term.resized);
    }
    if (d->out_fd != STDOUT_FILENO) {
        close(d->out_fd);
    }
    term_restore();
    term.in_use = false;
}

static int stdio_write(Chardev *s, const uint8_t *buf, int len)
{
    return chr_fd_write(downcast(s, StdioChardev, parent)->out_fd, buf, len);
}

static int stdio_watch_fd(Chardev *s)
{
    return downcast(s, StdioChardev, parent)->out_fd;
}

static void stdio_update_read_handler(Chardev *s)
{
    fd_reader_update(&downcast(s, StdioChardev, parent)->in);
}

static const Property stdio_props[] = {
    DEFINE_PROP_BOOL("signal", StdioChardev, signal, "on",
                     "keys like Ctrl-C send signals to the emulator"),
    DEFINE_PROP_END
};

static const ChardevClass stdio_class = {
    .oc = {
        .name = "stdio",
        .desc = "standard input and output",
        .parent = &chardev_base_class,
        .instance_size = sizeof(StdioChardev),
        .props = stdio_props,
    },
    .open = stdio_open,
    .close = stdio_close,
    .chr_write = stdio_write,
    .chr_watch_fd = stdio_watch_fd,
    .chr_update_read_handler = stdio_update_read_handler,
    .chr_set_echo = stdio_set_echo,
    .chr_get_size = stdio_get_size,
};
DEFINE_CLASS(chardev_stdio, &stdio_class.oc);
