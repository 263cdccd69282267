/*
 * Post-copy: who gets a guest and who sends it, each against a peer that is made up here. Pages
 * come from memory of ours in place of userfaultfd.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <errno.h>
#include <fcntl.h>
#include <glib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "migration/internal.h"
#include "migration/postcopy.h"

#define PAGES 130u              /* the third word of bits is not full */
#define WORDS 3
#define RAM_SIZE (PAGES * FORMAT_PAGE)
#define FINGERPRINT "machine: test\n"

/* RAM -------------------------------------------------------------------------------------- */

typedef struct FakePager {
    Pager pager;
    HostMemoryBackend ram;
    bool there[PAGES];
    bool registered;
    int faults;                 /* offsets that somebody waits at */
} FakePager;

static void fake_prepare(Pager *p)
{
    g_assert_false(((FakePager *)p)->registered);
}

static int fake_begin(Pager *p)
{
    ((FakePager *)p)->registered = true;
    return 0;
}

static void fake_end(Pager *p)
{
    ((FakePager *)p)->registered = false;
}

static int fake_discard(Pager *p, uint64_t offset, uint64_t len)
{
    FakePager *f = (FakePager *)p;

    g_assert_true(f->registered && offset + len <= RAM_SIZE);
    for (uint64_t n = offset / FORMAT_PAGE; n < (offset + len) / FORMAT_PAGE; n++) {
        f->there[n] = false;
    }
    return 0;
}

static int fake_fill(Pager *p, uint64_t offset, const uint8_t *data, uint64_t len)
{
    FakePager *f = (FakePager *)p;

    g_assert_true(f->registered && offset + len <= RAM_SIZE);
    for (uint64_t n = offset / FORMAT_PAGE; n < (offset + len) / FORMAT_PAGE; n++) {
        if (f->there[n]) {
            return -EEXIST;
        }
        f->there[n] = true;
    }
    if (data) {
        memcpy((uint8_t *)f->ram.host + offset, data, len);
    } else {
        memset((uint8_t *)f->ram.host + offset, 0, len);
    }
    return 0;
}

static int fake_next(Pager *p, uint64_t *offset)
{
    ssize_t n = read(p->fd, offset, sizeof(*offset));

    return n == sizeof(*offset) ? 0 : -EAGAIN;
}

static void fake_free(Pager *p)
{
}

static const PagerOps fake_ops = {
    fake_prepare, fake_begin, fake_end, fake_discard, fake_fill, fake_next, fake_free,
};

static void channel_of(Channel *c, int fd)
{
    *c = (Channel) { .fd = fd, .two_way = true };
    fcntl(fd, F_SETFL, O_NONBLOCK);
    g_assert_cmpint(event_notifier_init(&c->hurry), ==, 0);
}

/* Who gets it -------------------------------------------------------------------------------- */

typedef struct Arrival {
    FakePager fake;
    Postcopy *post;
    SavedMachine saved;
    Channel here, there;
    SectionWriter w;            /* the source's */
    RamCounters counters;
    _Atomic uint64_t bandwidth;
    GThread *reader;
    Error *err;
    atomic_uint told;           /* bits of SectionType */
} Arrival;

static void tell(void *opaque, SectionType what)
{
    atomic_fetch_or(&((Arrival *)opaque)->told, 1u << what);
}

static gpointer read_it(gpointer opaque)
{
    Arrival *a = opaque;

    saved_machine_read(&a->saved, &a->here, &a->err);
    return NULL;
}

static void put(Arrival *a, SectionType type, const void *data, size_t len)
{
    g_assert_cmpint(section_write(&a->w, type, NULL, 0, data, len), ==, 0);
}

/* A stream, as far as a source of its own kind says that memory may come late. */
static Arrival *arrival_new(void)
{
    Arrival *a = g_new0(Arrival, 1);
    int fds[2], faults[2];

    g_assert_cmpint(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), ==, 0);
    g_assert_cmpint(pipe2(faults, O_NONBLOCK), ==, 0);
    channel_of(&a->here, fds[0]);
    channel_of(&a->there, fds[1]);
    a->fake = (FakePager) {
        .pager = { &fake_ops, faults[0], &a->fake.ram }, .faults = faults[1],
        .ram = { .host = memset(g_malloc(RAM_SIZE), 0xaa, RAM_SIZE), .size = RAM_SIZE },
    };
    memset(a->fake.there, true, sizeof(a->fake.there));
    a->post = postcopy_new(&a->fake.pager);
    a->post->c = &a->here;
    a->post->tell = tell;
    a->post->opaque = a;
    g_assert_true(postcopy_start(a->post, NULL));
    a->saved = (SavedMachine) {
        .fingerprint = g_strdup(FINGERPRINT), .ram = { a->fake.ram.host, RAM_SIZE },
        .post = a->post,
    };
    a->w = (SectionWriter) {
        .c = &a->there, .counters = &a->counters, .max_bandwidth = &a->bandwidth,
    };
    g_assert_cmpint(machine_write_begin(&a->w, FORMAT_STREAM, RAM_SIZE, FINGERPRINT), ==, 0);
    put(a, SECTION_CONFIRM, NULL, 0);
    put(a, SECTION_POSTCOPY, NULL, 0);
    a->reader = g_thread_new("reader", read_it, a);
    return a;
}

static void put_missing(Arrival *a, uint64_t first, const uint64_t *bits, size_t words)
{
    g_assert_cmpint(section_write(&a->w, SECTION_MISSING, &first, sizeof(first), bits,
                                  words * sizeof(*bits)), ==, 0);
}

static void put_page(Arrival *a, uint64_t n, uint8_t byte)
{
    uint8_t page[FORMAT_PAGE];
    uint64_t offset = n * FORMAT_PAGE;

    memset(page, byte, sizeof(page));
    g_assert_cmpint(section_write(&a->w, SECTION_PAGES, &offset, sizeof(offset), page,
                                  sizeof(page)), ==, 0);
}

static void put_zeros(Arrival *a, uint64_t n, uint64_t count)
{
    uint64_t range[2] = { n * FORMAT_PAGE, count * FORMAT_PAGE };

    put(a, SECTION_ZERO, range, sizeof(range));
}

/* What the reader came to say: NULL, if all is well. Caller frees. */
static char *arrival_end(Arrival *a)
{
    char *text = NULL;

    shutdown(a->there.fd, SHUT_WR);
    g_thread_join(a->reader);
    if (a->err) {
        text = g_strdup(error_get_pretty(a->err));
        error_free(a->err);
    }
    postcopy_free(a->post);
    saved_machine_clear(&a->saved);
    close(a->fake.pager.fd);
    close(a->fake.faults);
    channel_close(&a->here);
    channel_close(&a->there);
    g_free(a->fake.ram.host);
    g_free(a);
    return text;
}

static void expect_answer(Arrival *a, SectionType wanted, uint64_t offset)
{
    char text[FORMAT_MAX_REPLY + 1];
    SectionType type;

    g_assert_cmpint(reply_read(&a->there, &type, text), ==, 0);
    g_assert_cmpint(type, ==, wanted);
    if (type == SECTION_REQUEST) {
        g_assert_cmpint(memcmp(text, &offset, sizeof(offset)), ==, 0);
    }
}

static void touch(Arrival *a, uint64_t n)
{
    uint64_t offset = n * FORMAT_PAGE;

    g_assert_cmpint(write(a->fake.faults, &offset, sizeof(offset)), ==, sizeof(offset));
}

/* Pages 1, 65, 66, 129 come late; the first page is never sent: zeros. */
static const uint64_t late[WORDS] = { 1 << 1, 1 << 1 | 1 << 2, 1 << 1 };

static void test_arrival(void)
{
    Arrival *a = arrival_new();
    const uint8_t *ram = a->fake.ram.host;

    put_page(a, 1, 1);          /* and is written to afterwards */
    put_page(a, 2, 2);
    put_missing(a, 0, late, WORDS);
    put(a, SECTION_STATE, "state", 5);
    put(a, SECTION_SWITCH, NULL, 0);
    a->fake.there[0] = false;   /* as if nobody had written there */
    touch(a, 65);
    expect_answer(a, SECTION_REQUEST, 65 * FORMAT_PAGE);
    touch(a, 0);
    touch(a, 1);                /* no request for page 0 comes before this one */
    expect_answer(a, SECTION_REQUEST, FORMAT_PAGE);
    g_assert_true(a->fake.there[0] && a->fake.there[2] && !a->fake.there[1]);
    put_page(a, 65, 3);
    put_page(a, 1, 4);
    put(a, SECTION_YOURS, NULL, 0);
    put_zeros(a, 66, 1);
    put_page(a, 129, 5);
    put(a, SECTION_END, &a->w.sections, sizeof(a->w.sections));
    expect_answer(a, SECTION_ARRIVED, 0);
    g_assert_cmphex(a->told, ==, 1u << SECTION_SWITCH | 1u << SECTION_YOURS);
    g_assert_false(a->fake.registered);
    g_assert_true(ram[0] == 0 && ram[2 * FORMAT_PAGE] == 2 && ram[FORMAT_PAGE] == 4 &&
                  ram[65 * FORMAT_PAGE] == 3 && ram[66 * FORMAT_PAGE] == 0 &&
                  ram[RAM_SIZE - 1] == 5);
    g_assert_cmpstr(arrival_end(a), ==, NULL);
}

static void expect(Arrival *a, const char *message)
{
    g_autofree char *text = arrival_end(a);

    if (!text || !strstr(text, message)) {
        g_error("'%s' instead of '%s'", text, message);
    }
}

static Arrival *missed(void)
{
    Arrival *a = arrival_new();

    put_missing(a, 0, late, WORDS);
    return a;
}

static Arrival *switched(void)
{
    Arrival *a = missed();

    put(a, SECTION_SWITCH, NULL, 0);
    return a;
}

/* What a hostile source names as missing. */
static void test_hostile_lists(void)
{
    static const uint64_t beyond[WORDS] = { 0, 0, 1 << 2 }, all[WORDS + 1] = { 1, 1, 1, 0 };
    static const struct {
        uint64_t first;
        const uint64_t *bits;
        size_t words;
    } bad[] = {
        { 0, beyond, WORDS }, { 0, all, WORDS + 1 }, { 64, late, WORDS }, { 192, late, 1 },
        { 1, late, 1 }, { -64, late, 1 }, { 0, late, 0 }, { 1ull << 62, late, 1 },
    };
    Arrival *a;

    for (size_t i = 0; i < G_N_ELEMENTS(bad); i++) {
        a = arrival_new();
        put_missing(a, bad[i].first, bad[i].bits, bad[i].words);
        expect(a, "pages are missing that RAM does not have");
    }
    a = missed();
    put_missing(a, 128, late, 1);
    expect(a, "or that were named before");
    a = arrival_new();
    put(a, SECTION_MISSING, "1234", 4);
    expect(a, "pages are missing that RAM does not have");
}

/* Pages that come in the wrong place, twice, or never; words in the wrong order. */
static void test_hostile_source(void)
{
    static const uint64_t ranges[][2] = {
        { 0, 1 }, { 1, 2 }, { PAGES, 1 }, { 129, 2 }, { 1, 0 }, { 1, UINT64_MAX / FORMAT_PAGE },
        { UINT64_MAX / FORMAT_PAGE, 2 },
    };
    Arrival *a;

    for (size_t i = 0; i < G_N_ELEMENTS(ranges); i++) {
        a = switched();
        put_zeros(a, ranges[i][0], ranges[i][1]);
        expect(a, "pages that RAM does not have, or has already");
    }
    a = switched();
    put_page(a, 65, 1);
    put_page(a, 65, 1);
    expect(a, "or has already");
    a = switched();
    put(a, SECTION_PAGES, "\1\20\0\0\0\0\0\0x", 9);
    expect(a, "pages that RAM does not have");
    a = switched();
    put(a, SECTION_YOURS, NULL, 0);
    put(a, SECTION_END, &a->w.sections, 4);
    expect(a, "RAM is not complete");
    a = arrival_new();
    put(a, SECTION_SWITCH, NULL, 0);
    put(a, SECTION_END, &a->w.sections, 4);
    expect(a, "RAM is not complete");       /* nobody has said whose guest it is */
    a = missed();
    put_page(a, 2, 1);
    expect(a, "a section of type 2 in the switch to post-copy");
    a = missed();
    put(a, SECTION_ROUND, NULL, 0);
    expect(a, "a section of type 7 in the switch");
    a = switched();
    put(a, SECTION_STATE, "x", 1);
    expect(a, "a section of type 4 after the switch to post-copy");
    a = switched();
    put(a, SECTION_YOURS, NULL, 0);
    put(a, SECTION_YOURS, NULL, 0);
    expect(a, "an answer where none is expected");
    a = switched();
    expect(a, "cut off");
}

/* It was not agreed on. */
static void test_not_agreed(void)
{
    Arrival *a = arrival_new();
    static const uint8_t nothing[8];

    a->post->switched = false;
    put(a, SECTION_POSTCOPY, NULL, 0);
    put(a, SECTION_ARRIVED, NULL, 0);
    expect(a, "an answer where none is expected");
    a = arrival_new();
    put(a, SECTION_REQUEST, nothing, sizeof(nothing));
    expect(a, "an answer where none is expected");
}

/* Who sends it --------------------------------------------------------------------------------- */

typedef struct Departure {
    Migration m;
    DirtyLog log;
    uint8_t *ram;
    Channel there;
    SectionWriter w;
    GThread *thread;
    int ret;
    atomic_bool done;
} Departure;

static gpointer send_it(gpointer opaque)
{
    Departure *d = opaque;

    d->ret = postcopy_send(&d->m, &d->w);
    atomic_store(&d->done, true);
    g_main_context_wakeup(NULL);
    return NULL;
}

/* Every third page is yet to be sent; page n holds n + 1. */
static Departure *departure_new(uint64_t bandwidth)
{
    Departure *d = g_new0(Departure, 1);
    int fds[2];

    g_assert_cmpint(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), ==, 0);
    channel_of(&d->m.channel, fds[0]);
    channel_of(&d->there, fds[1]);
    d->ram = g_malloc(RAM_SIZE);
    d->m.pages = g_new0(uint64_t, WORDS);
    d->log = (DirtyLog) { .host = d->ram, .pages = PAGES };
    d->m.log = &d->log;
    d->m.sections = g_ptr_array_new();
    d->m.status = MIGRATION_ACTIVE;
    d->m.max_postcopy_bandwidth = bandwidth;
    g_assert_cmpint(event_notifier_init(&d->m.turn), ==, 0);
    for (unsigned n = 0; n < PAGES; n++) {
        memset(d->ram + n * FORMAT_PAGE, n + 1, FORMAT_PAGE);
        if (n % 3 == 0) {
            d->m.pages[n / 64] |= 1ull << n % 64;
            d->m.counters.remaining += FORMAT_PAGE;
        }
    }
    d->w = (SectionWriter) {
        .c = &d->m.channel, .counters = &d->m.counters, .max_bandwidth = &d->m.max_bandwidth,
        .rush = true,
    };
    d->thread = g_thread_new("sender", send_it, d);
    d->m.thread = d->thread;
    return d;
}

/* The next section's type; its data, of which there is at most a page and a number. */
static SectionType next_section(Departure *d, uint8_t *data, size_t *len)
{
    SectionHeader h;

    while (recv(d->there.fd, &h, sizeof(h), MSG_PEEK) < 0 && errno == EAGAIN) {
        g_main_context_iteration(NULL, FALSE);      /* what the thread asks the main loop for */
        g_usleep(100);
    }
    g_assert_cmpint(channel_read(&d->there, &h, sizeof(h)), ==, sizeof(h));
    g_assert_true(format_check_section(&h, NULL));
    g_assert_cmpint(h.length, <=, FORMAT_PAGE + 8);
    g_assert_cmpint(channel_read(&d->there, data, h.length), ==, h.length);
    g_assert_cmphex(format_crc(0, data, h.length), ==, h.crc);
    *len = h.length;
    return h.type;
}

/* That a section of this type comes; a page's number. */
static uint64_t expect_section(Departure *d, SectionType wanted)
{
    uint8_t data[FORMAT_PAGE + 8] = { 0 };
    uint64_t offset;
    size_t len;

    g_assert_cmpint(next_section(d, data, &len), ==, wanted);
    memcpy(&offset, data, sizeof(offset));
    return offset / FORMAT_PAGE;
}

static void say(Departure *d, SectionType type, const void *data, size_t len)
{
    g_assert_cmpint(answer_write(&d->there, type, data, len), ==, 0);
}

static void ask(Departure *d, uint64_t n)
{
    uint64_t offset = n * FORMAT_PAGE;

    say(d, SECTION_REQUEST, &offset, sizeof(offset));
}

static int departure_end(Departure *d)
{
    int ret;

    while (!atomic_load(&d->done)) {
        g_main_context_iteration(NULL, TRUE);
    }
    g_thread_join(d->thread);
    ret = d->ret;
    event_notifier_cleanup(&d->m.turn);
    channel_close(&d->m.channel);
    channel_close(&d->there);
    g_ptr_array_unref(d->m.sections);
    g_free(d->m.pages);
    g_free(d->m.why);
    g_free(d->ram);
    g_free(d);
    return ret;
}

/* At 1 byte a second nothing comes by itself after the first stretch. */
static void test_requests(void)
{
    Departure *d = departure_new(1);
    bool seen[PAGES] = { false };

    expect_section(d, SECTION_MISSING);
    expect_section(d, SECTION_SWITCH);
    seen[expect_section(d, SECTION_PAGES)] = true;
    ask(d, 99);
    g_assert_cmpuint(expect_section(d, SECTION_PAGES), ==, 99);
    ask(d, 99);                 /* it is there already */
    ask(d, 7);                  /* and was before */
    ask(d, 129);
    g_assert_cmpuint(expect_section(d, SECTION_PAGES), ==, 129);
    g_assert_false(d->m.gone);
    say(d, SECTION_LOADED, NULL, 0);
    expect_section(d, SECTION_YOURS);
    g_assert_cmpint(d->m.status, ==, MIGRATION_POSTCOPY_ACTIVE);
    atomic_store(&d->m.max_postcopy_bandwidth, 0);
    seen[99] = seen[129] = true;
    for (unsigned left = (PAGES + 2) / 3 - 3; left; left--) {
        uint64_t n = expect_section(d, SECTION_PAGES);

        g_assert_true(n % 3 == 0 && !seen[n]);
        seen[n] = true;
    }
    expect_section(d, SECTION_END);
    g_assert_cmpuint(d->m.counters.requests, ==, 4);
    say(d, SECTION_ARRIVED, NULL, 0);
    g_assert_cmpint(departure_end(d), ==, 0);
}

/* Who asks and asks does not keep the rest from coming. */
static void test_flood(void)
{
    Departure *d = departure_new(0);
    unsigned pages = 0;

    for (unsigned i = 0; i < 300; i++) {
        ask(d, 6);
    }
    say(d, SECTION_LOADED, NULL, 0);
    expect_section(d, SECTION_MISSING);
    expect_section(d, SECTION_SWITCH);
    for (;;) {
        uint8_t data[FORMAT_PAGE + 8];
        size_t len;
        SectionType type = next_section(d, data, &len);

        if (type == SECTION_END) {
            break;
        }
        pages += type == SECTION_PAGES || type == SECTION_ZERO;
        if (pages < 40) {
            ask(d, 6);          /* and once more for each that comes */
        }
    }
    g_assert_cmpuint(pages, ==, (PAGES + 2) / 3);
    say(d, SECTION_ARRIVED, NULL, 0);
    g_assert_cmpint(departure_end(d), ==, 0);
}

/* A word that is out of place, or a page that is not there, ends it; the guest is where it was. */
static void test_hostile_answers(void)
{
    static const struct {
        SectionType type;
        uint64_t offset;
        int ret;
    } bad[] = {
        { SECTION_REQUEST, RAM_SIZE, -EBADMSG }, { SECTION_REQUEST, 1, -EBADMSG },
        { SECTION_REQUEST, -(uint64_t)FORMAT_PAGE, -EBADMSG }, { SECTION_YOURS, 0, -EBADMSG },
        { SECTION_ARRIVED, 0, -EBADMSG }, { SECTION_FAILED, 0, -EREMOTEIO },
    };
    Departure *d;

    for (size_t i = 0; i < G_N_ELEMENTS(bad); i++) {
        bool request = bad[i].type == SECTION_REQUEST;

        d = departure_new(1);
        say(d, bad[i].type, &bad[i].offset, request ? sizeof(uint64_t) : 0);
        g_assert_false(d->m.gone);
        g_assert_cmpint(departure_end(d), ==, bad[i].ret);
    }
    d = departure_new(1);
    say(d, SECTION_LOADED, NULL, 0);
    say(d, SECTION_LOADED, NULL, 0);
    while (!atomic_load(&d->done)) {
        g_main_context_iteration(NULL, TRUE);
    }
    g_assert_true(d->m.gone);           /* there, or nowhere */
    g_assert_nonnull(strstr(d->m.why, "cannot go on here"));
    g_assert_cmpint(departure_end(d), ==, -EBADMSG);
}

/* Somebody gives up while the other side says that it has all: it is not handed over. */
static void test_cancelled(void)
{
    Departure *d = departure_new(1);

    d->m.status = MIGRATION_CANCELLING;
    say(d, SECTION_LOADED, NULL, 0);
    event_notifier_set(&d->m.channel.hurry);
    while (!atomic_load(&d->done)) {
        g_main_context_iteration(NULL, TRUE);
    }
    g_assert_false(d->m.gone);
    g_assert_cmpint(d->m.status, ==, MIGRATION_CANCELLING);
    g_assert_cmpint(departure_end(d), ==, -ECANCELED);
}

/* What a round that was broken off has left. */
static void test_unsent(void)
{
    static const struct {
        uint64_t reached;
        bool first;
        uint64_t want[WORDS];
    } rows[] = {
        { 0, true, { -1ull, -1ull, 3 } }, { 65, true, { 0, -2ull, 3 } },
        { 64, true, { 0, -1ull, 3 } },
        { 130, true, { 0, 0, 0 } }, { 129, true, { 0, 0, 2 } }, { 65, false, { 0, 0xf0, 1 } },
        { 3, false, { 0xf8, 0xf1, 1 } },
    };

    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
        uint64_t pages[WORDS] = { 0xff, 0xf1, 1 }, log[WORDS] = { 0 };
        DirtyLog dirty = { .pages = PAGES, .words = (_Atomic uint64_t *)log };
        Migration m = { .log = &dirty, .pages = pages };

        postcopy_note_unsent(&m, rows[i].reached, rows[i].first);
        g_assert_cmpmem(pages, sizeof(pages), rows[i].want, sizeof(pages));
        g_assert_cmpmem(log, sizeof(log), rows[i].want, sizeof(log));
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/postcopy/arrival", test_arrival);
    g_test_add_func("/postcopy/hostile-lists", test_hostile_lists);
    g_test_add_func("/postcopy/hostile-source", test_hostile_source);
    g_test_add_func("/postcopy/not-agreed", test_not_agreed);
    g_test_add_func("/postcopy/requests", test_requests);
    g_test_add_func("/postcopy/flood", test_flood);
    g_test_add_func("/postcopy/hostile-answers", test_hostile_answers);
    g_test_add_func("/postcopy/cancelled", test_cancelled);
    g_test_add_func("/postcopy/unsent", test_unsent);
    return g_test_run();
}
