/*
 * RAM as it was at one moment, saved while threads write to it. They are held up by what is made up
 * here in place of userfaultfd.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <errno.h>
#include <fcntl.h>
#include <glib.h>
#include <glib/gstdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "migration/internal.h"
#include "migration/page-saver.h"

#define FINGERPRINT "machine: test\n"
#define THREADS 4
#define IMAGE 65536u

/* RAM that threads write to ------------------------------------------------------------------- */

typedef struct Fake {
    WriteTracker tracker;
    HostMemoryBackend ram;
    uint64_t pages;
    int faults;                 /* offsets that somebody waits at */
    GMutex lock;
    GCond allowed;
    bool *held;                 /* of each page */
    bool prepared;
    unsigned broken;            /* allow() fails after so many; 0: never */
    uint8_t *moment;            /* what RAM was */
    GThread *threads[THREADS];
    PageSaver *saver;
    Channel channel;
    RamCounters counters;
    _Atomic uint64_t bandwidth;
    SectionWriter w;
} Fake;

static void set_held(Fake *f, uint64_t page, uint64_t n, bool held)
{
    g_mutex_lock(&f->lock);
    memset(f->held + page, held, n);
    g_cond_broadcast(&f->allowed);
    g_mutex_unlock(&f->lock);
}

static int fake_prepare(WriteTracker *t)
{
    g_assert_false(((Fake *)t)->prepared);
    ((Fake *)t)->prepared = true;
    return 0;
}

static void fake_settle(WriteTracker *t)
{
    g_assert_true(((Fake *)t)->prepared);
    ((Fake *)t)->prepared = false;
}

static int fake_protect(WriteTracker *t, uint64_t offset, uint64_t len)
{
    Fake *f = (Fake *)t;

    g_assert_cmpuint(offset + len, <=, f->ram.size);
    set_held(f, offset / FORMAT_PAGE, len / FORMAT_PAGE, true);
    return 0;
}

static void fake_lift(WriteTracker *t)
{
    Fake *f = (Fake *)t;

    set_held(f, 0, f->pages, false);
}

static int fake_allow(WriteTracker *t, uint64_t offset, uint64_t len)
{
    Fake *f = (Fake *)t;

    g_assert_cmpuint(offset + len, <=, f->ram.size);
    if (f->broken && !--f->broken) {
        return -ENOENT;
    }
    set_held(f, offset / FORMAT_PAGE, len / FORMAT_PAGE, false);
    return 0;
}

static int fake_next(WriteTracker *t, uint64_t *offset)
{
    return read(t->fd, offset, sizeof(*offset)) == sizeof(*offset) ? 0 : -EAGAIN;
}

static const WriteTrackerOps fake_ops = {
    .prepare = fake_prepare, .settle = fake_settle, .protect = fake_protect, .lift = fake_lift,
    .allow = fake_allow, .next = fake_next,
};

/* As a processor does: it waits while the page is held. */
static void store(Fake *f, uint64_t page, uint8_t value)
{
    uint64_t offset = page * FORMAT_PAGE;
    bool told = false;

    g_mutex_lock(&f->lock);
    while (f->held[page]) {
        if (!told) {
            g_assert_cmpint(write(f->faults, &offset, sizeof(offset)), ==, sizeof(offset));
            told = true;
        }
        g_cond_wait(&f->allowed, &f->lock);
    }
    memset((uint8_t *)f->ram.host + offset + page % 256, value, 1000);
    g_mutex_unlock(&f->lock);
}

/* Each begins elsewhere, and comes to all pages. */
static gpointer scribble(gpointer opaque)
{
    static atomic_uint number;
    unsigned n = atomic_fetch_add(&number, 1);
    Fake *f = opaque;
    uint64_t page = n % THREADS * f->pages / THREADS;

    for (uint64_t i = 0; i < 2 * f->pages; i++) {
        store(f, page, 0x80 | n);
        page = (page + (n % 2 ? f->pages - 1 : 7)) % f->pages;
    }
    return NULL;
}

/* A third of it zeros. */
static Fake *fake_new(uint64_t pages)
{
    Fake *f = g_new0(Fake, 1);
    int fds[2];

    g_assert_cmpint(pipe2(fds, O_CLOEXEC), ==, 0);
    g_assert_cmpint(fcntl(fds[0], F_SETFL, O_NONBLOCK), ==, 0);
    f->pages = pages;
    f->ram.size = pages * FORMAT_PAGE;
    f->ram.host = g_malloc0(f->ram.size);
    for (uint64_t n = 0; n < pages; n++) {
        memset((uint8_t *)f->ram.host + n * FORMAT_PAGE, n % 9 < 3 ? 0 : n % 100 + 1, FORMAT_PAGE);
    }
    f->held = g_new0(bool, pages);
    f->tracker = (WriteTracker) { .ops = &fake_ops, .fd = fds[0], .ram = &f->ram };
    f->faults = fds[1];
    g_mutex_init(&f->lock);
    g_cond_init(&f->allowed);
    f->channel = (Channel) { .fd = -1 };
    g_assert_cmpint(event_notifier_init(&f->channel.hurry), ==, 0);
    f->w = (SectionWriter) {
        .c = &f->channel, .counters = &f->counters, .max_bandwidth = &f->bandwidth,
    };
    f->counters.remaining = f->ram.size;
    return f;
}

/* What is written to while pages are being protected is part of it. */
static gpointer write_early(gpointer opaque)
{
    Fake *f = opaque;

    for (uint64_t page = f->pages; page-- > 0;) {
        if (page % 9 >= 3) {
            store(f, page, 0x60);
        }
    }
    return NULL;
}

/* From now on it is saved as it is now, while threads write to it. */
static void fake_begin(Fake *f)
{
    unsigned broken = f->broken;
    GThread *early;

    f->broken = 0;
    f->saver = page_saver_new(&f->tracker, &f->channel.hurry, NULL);
    g_assert_nonnull(f->saver);
    early = g_thread_new("early", write_early, f);
    g_assert_cmpint(page_saver_arm(f->saver), ==, 0);
    g_thread_join(early);
    /* One page more, which is not protected any more when all stand still. */
    store(f, 4, 0x70);
    f->moment = g_memdup2(f->ram.host, f->ram.size);
    g_assert_cmpint(page_saver_freeze(f->saver), ==, 0);
    f->broken = broken;
    for (unsigned i = 0; i < THREADS; i++) {
        f->threads[i] = g_thread_new("scribble", scribble, f);
    }
}

/* Nobody waits for ever, and what they wrote is there. */
static void fake_end(Fake *f)
{
    page_saver_end(f->saver);
    for (unsigned i = 0; i < THREADS && f->threads[i]; i++) {
        g_thread_join(f->threads[i]);
    }
    for (uint64_t n = 0; n < f->pages; n++) {
        g_assert_cmpint(((uint8_t *)f->ram.host)[n * FORMAT_PAGE + n % 256], >=, 0x80);
    }
    page_saver_end(f->saver);
    page_saver_free(f->saver);
    g_assert_false(f->prepared);
    close(f->tracker.fd);
    close(f->faults);
    channel_close(&f->channel);
    g_mutex_clear(&f->lock);
    g_cond_clear(&f->allowed);
    g_free(f->moment);
    g_free(f->held);
    g_free(f->ram.host);
    g_free(f);
}

/* A file that goes when it is closed. */
static int open_file(void)
{
    g_autofree char *name = NULL;
    int fd = g_file_open_tmp("page-saver-XXXXXX", &name, NULL);

    g_assert_cmpint(fd, >=, 0);
    g_unlink(name);
    return fd;
}

static void check_counters(const Fake *f)
{
    g_assert_cmpuint(f->counters.remaining, ==, 0);
    g_assert_cmpuint(f->counters.normal + f->counters.duplicate, ==, f->pages);
    g_assert_cmpuint(f->counters.duplicate, ==, (f->pages / 9) * 3 + MIN(f->pages % 9, 3));
}

/* It arrives ----------------------------------------------------------------------------------- */

/* A reader of any version takes it: rounds of a stream. */
static void test_stream(void)
{
    Fake *f = fake_new(1000);
    g_autofree uint8_t *ram = g_malloc0(f->ram.size);
    SavedMachine saved = {
        .fingerprint = g_strdup(FINGERPRINT), .ram = { .ram = ram, .size = f->ram.size },
    };
    Error *err = NULL;

    memset(ram, 0xee, f->ram.size);
    f->channel.fd = open_file();
    fake_begin(f);
    g_assert_cmpint(machine_write_begin(&f->w, FORMAT_STREAM, f->ram.size, FINGERPRINT), ==, 0);
    g_assert_cmpint(page_saver_write(f->saver, &f->w, 0), ==, 0);
    g_assert_cmpint(machine_write_end(&f->w), ==, 0);
    check_counters(f);
    g_assert_null(page_saver_why(f->saver));
    g_assert_cmpint(lseek(f->channel.fd, 0, SEEK_SET), ==, 0);
    saved_machine_read(&saved, &f->channel, &err);
    g_assert_null(err);
    g_assert_cmpmem(ram, f->ram.size, f->moment, f->ram.size);
    saved_machine_clear(&saved);
    fake_end(f);
}

static void test_image(void)
{
    Fake *f = fake_new(1000);
    g_autofree uint8_t *ram = g_malloc(f->ram.size);

    f->channel.fd = open_file();
    fake_begin(f);
    g_assert_cmpint(page_saver_write(f->saver, &f->w, IMAGE), ==, 0);
    check_counters(f);
    g_assert_cmpint(lseek(f->channel.fd, 0, SEEK_END), ==, IMAGE + f->ram.size);
    g_assert_cmpint(pread(f->channel.fd, ram, f->ram.size, IMAGE), ==, f->ram.size);
    g_assert_cmpmem(ram, f->ram.size, f->moment, f->ram.size);
    fake_end(f);
}

static gpointer write_slowly(gpointer opaque)
{
    Fake *f = opaque;

    return GINT_TO_POINTER(page_saver_write(f->saver, &f->w, IMAGE));
}

/* No bandwidth to speak of: nobody waits for it. */
static void test_slow(void)
{
    Fake *f = fake_new(500);
    g_autofree uint8_t *ram = g_malloc(f->ram.size);
    GThread *writer;

    f->bandwidth = 1;
    f->channel.fd = open_file();
    fake_begin(f);
    writer = g_thread_new("writer", write_slowly, f);
    for (unsigned i = 0; i < THREADS; i++) {
        g_thread_join(g_steal_pointer(&f->threads[i]));
    }
    f->bandwidth = 0;
    g_assert_null(g_thread_join(writer));
    g_assert_cmpint(pread(f->channel.fd, ram, f->ram.size, IMAGE), ==, f->ram.size);
    g_assert_cmpmem(ram, f->ram.size, f->moment, f->ram.size);
    fake_end(f);
}

/* It does not ---------------------------------------------------------------------------------- */

typedef struct Disk {
    uint64_t room;
} Disk;

static int put_to_disk(void *opaque, const void *data, size_t len)
{
    Disk *disk = opaque;

    if (len > disk->room) {
        return -ENOSPC;
    }
    disk->room -= len;
    return 0;
}

static void test_full(void)
{
    for (uint64_t room = 0; room < 600 * FORMAT_PAGE; room += 50 * FORMAT_PAGE) {
        Fake *f = fake_new(1000);
        Disk disk = { room };

        f->channel.put = put_to_disk;
        f->channel.opaque = &disk;
        fake_begin(f);
        g_assert_cmpint(page_saver_write(f->saver, &f->w, 0), ==, -ENOSPC);
        g_assert_null(page_saver_why(f->saver));
        fake_end(f);
    }
}

static void test_cancelled(void)
{
    Fake *f = fake_new(1000);
    Disk disk = { UINT64_MAX };

    f->channel.put = put_to_disk;
    f->channel.opaque = &disk;
    fake_begin(f);
    event_notifier_set(&f->channel.hurry);
    g_assert_cmpint(page_saver_write(f->saver, &f->w, 0), ==, -ECANCELED);
    fake_end(f);
}

/* The protection itself fails, whoever comes upon it. */
static void test_broken(void)
{
    for (unsigned n = 1; n < 5; n++) {
        Fake *f = fake_new(1000);
        Disk disk = { UINT64_MAX };

        f->channel.put = put_to_disk;
        f->channel.opaque = &disk;
        f->broken = n;
        fake_begin(f);
        g_assert_cmpint(page_saver_write(f->saver, &f->w, 0), <, 0);
        fake_end(f);
    }
}

/* Nobody reads, and there is no room any more to put pages aside: nobody waits for ever. */
static void test_stuck(void)
{
    Fake *f = fake_new(2 * PAGE_SAVER_ASIDE);
    int fds[2];

    g_assert_cmpint(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), ==, 0);
    f->channel.fd = fds[0];
    fake_begin(f);
    g_assert_cmpint(page_saver_write(f->saver, &f->w, 0), ==, -ECANCELED);
    g_assert_nonnull(page_saver_why(f->saver));
    close(fds[1]);
    fake_end(f);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/page-saver/stream", test_stream);
    g_test_add_func("/page-saver/image", test_image);
    g_test_add_func("/page-saver/slow", test_slow);
    g_test_add_func("/page-saver/full", test_full);
    g_test_add_func("/page-saver/cancelled", test_cancelled);
    g_test_add_func("/page-saver/broken", test_broken);
    g_test_add_func("/page-saver/stuck", test_stuck);
    return g_test_run();
}
