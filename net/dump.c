/*
 * -object filter-dump: what passes a network back end goes into a file (pcap).
 *
 * The file may be slow: a thread writes it. What comes while too much waits is left out.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#include "filter.h"
#include "qemu/confine.h"
#include "qemu/cutils.h"
#include "qemu/fdset.h"
#include "qemu/iov.h"
#include "qemu/thread.h"

#define MAX_WAITING (4u << 20)  /* bytes */
#define LINK_ETHERNET 1

/* The file's format; all in the host's order of bytes, which the magic number shows. */
struct pcap_file_header {
    uint32_t magic;
    uint16_t major, minor;
    int32_t zone;
    uint32_t accuracy, max_len, link;
};
struct pcap_frame_header {
    uint32_t seconds, microseconds, kept, len;
};

typedef enum DumpQueue { DUMP_ALL, DUMP_RX, DUMP_TX } DumpQueue;

typedef struct NetDump {
    Object obj;
    NetFilterState filter;
    char *netdev, *file;
    uint32_t max_len;
    int queue;                  /* DumpQueue */
    bool on;

    int fd;
    bool warned;                /* that frames were left out */
    GThread *thread;
    GMutex lock;                /* what follows; a leaf */
    GCond cond;
    GByteArray *waiting;
    _Atomic bool end;           /* set under it */
} NetDump;

/* The thread ---------------------------------------------------------------------------------- */

/* Of a pipe nobody may read; then the end does not wait for it. 0 or negative errno. */
static int write_all(NetDump *d, const uint8_t *data, size_t len)
{
    while (len) {
        ssize_t n = write(d->fd, data, len);

        if (n > 0) {
            data += n;
            len -= n;
        } else if (n < 0 && errno == EAGAIN && !atomic_load(&d->end)) {
            g_usleep(20000);        /* poll() is not among a worker's calls */
        } else if (n < 0 && errno != EINTR) {
            return -errno;
        }
    }
    return 0;
}

static void *dump_thread(void *opaque)
{
    NetDump *d = opaque;
    GByteArray *own = g_byte_array_new();
    int ret = 0;

    g_mutex_lock(&d->lock);
    while (d->waiting->len || !atomic_load(&d->end)) {
        GByteArray *full = d->waiting;

        if (!full->len) {
            g_cond_wait(&d->cond, &d->lock);
            continue;
        }
        d->waiting = own;
        own = full;
        g_mutex_unlock(&d->lock);
        thread_confine(&block_pool_filter);
        if (ret == 0) {
            ret = write_all(d, own->data, own->len);
            if (ret < 0) {
                warn_report("filter-dump %s: %s: %s: no more frames", d->obj.id, d->file,
                            strerror(-ret));
            }
        }
        g_byte_array_set_size(own, 0);
        g_mutex_lock(&d->lock);
    }
    g_mutex_unlock(&d->lock);
    g_byte_array_unref(own);
    return NULL;
}

static void dump_see(NetFilterState *f, bool to_guest, const struct iovec *iov, unsigned cnt,
                     size_t offset, size_t len)
{
    NetDump *d = container_of(f, NetDump, filter);
    gint64 now = g_get_real_time();
    struct pcap_frame_header h = { now / 1000000, now % 1000000, MIN(len, d->max_len), len };
    bool room;

    if (!d->on || (d->queue != DUMP_ALL && to_guest != (d->queue == DUMP_TX))) {
        return;
    }
    g_mutex_lock(&d->lock);
    room = d->waiting->len + sizeof(h) + h.kept <= MAX_WAITING;
    if (room) {
        guint at = d->waiting->len + sizeof(h);

        g_byte_array_append(d->waiting, (const uint8_t *)&h, sizeof(h));
        g_byte_array_set_size(d->waiting, at + h.kept);
        iov_to_buf(iov, cnt, offset, d->waiting->data + at, h.kept);
        g_cond_signal(&d->cond);
    }
    g_mutex_unlock(&d->lock);
    if (!room && !d->warned) {
        d->warned = true;
        warn_report("filter-dump %s: the file is too slow, frames are left out", d->obj.id);
    }
}

/* Life ---------------------------------------------------------------------------------------- */

static NetClientState *find_netdev(const NetDump *d, Error **errp)
{
    NetClientState *nc = d->netdev ? net_find(d->netdev) : NULL;

    if (!d->file || !d->netdev) {
        error_setg(errp, "Parameter '%s' is missing", d->netdev ? "file" : "netdev");
        return NULL;
    }
    if (!nc) {
        error_setg(errp, "Parameter 'netdev' expects a network backend id");
        return NULL;
    }
    if (nc->vhost || nc->vhost_user) {
        error_setg(errp, "the frames of '%s' do not pass this process (vhost)", d->netdev);
        return NULL;
    }
    return nc;
}

static bool start_thread(NetDump *d, Error **errp)
{
    const struct pcap_file_header h = {
        .magic = 0xa1b2c3d4, .major = 2, .minor = 4, .max_len = d->max_len,
        .link = LINK_ETHERNET,
    };
    g_autoptr(GError) gerr = NULL;

    g_mutex_init(&d->lock);
    g_cond_init(&d->cond);
    d->waiting = g_byte_array_new();
    g_byte_array_append(d->waiting, (const uint8_t *)&h, sizeof(h));
    d->thread = thread_try_new("filter-dump", dump_thread, d, &gerr);
    if (!d->thread) {
        error_setg(errp, "cannot create a thread for '%s': %s", d->obj.id, gerr->message);
    }
    return d->thread;
}

static bool dump_complete(Object *obj, Error **errp)
{
    NetDump *d = downcast(obj, NetDump, obj);
    NetClientState *nc = find_netdev(d, errp);

    if (!nc) {
        return false;
    }
    d->fd = qemu_open(d->file, O_CREAT | O_TRUNC | O_WRONLY | O_NONBLOCK, 0644);
    if (d->fd < 0) {
        error_setg_errno(errp, errno, "net dump: can't open %s", d->file);
        return false;
    }
    if (!start_thread(d, errp)) {
        return false;
    }
    d->filter.see = dump_see;
    net_filter_attach(&d->filter, nc);
    return true;
}

static void dump_finalize(Object *obj)
{
    NetDump *d = downcast(obj, NetDump, obj);

    net_filter_detach(&d->filter);
    if (d->thread) {
        g_mutex_lock(&d->lock);
        atomic_store(&d->end, true);
        g_cond_signal(&d->cond);
        g_mutex_unlock(&d->lock);
        g_thread_join(d->thread);
    }
    if (d->waiting) {
        g_byte_array_unref(d->waiting);
        g_mutex_clear(&d->lock);
        g_cond_clear(&d->cond);
    }
    if (d->fd >= 0) {
        close(d->fd);
    }
}

static void dump_init(Object *obj)
{
    downcast(obj, NetDump, obj)->fd = -1;
}

static const char *const queue_names[] = { "all", "rx", "tx", NULL };

static const Property dump_props[] = {
    DEFINE_PROP_STRING("netdev", NetDump, netdev, NULL, "ID of the -netdev"),
    DEFINE_PROP_STRING("file", NetDump, file, NULL, "the file, which is written anew"),
    DEFINE_PROP_UINT32("maxlen", NetDump, max_len, "65536", "bytes of a frame that are kept"),
    DEFINE_PROP_ENUM("queue", NetDump, queue, &queue_names, "all",
                     "rx: frames from the guest; tx: to it"),
    DEFINE_PROP_BOOL("status", NetDump, on, "on", "off: none are kept"),
    DEFINE_PROP_IGNORED("position", "accepted, without effect"),
    DEFINE_PROP_IGNORED("insert", "accepted, without effect"),
    DEFINE_PROP_END
};

static const ObjectClass dump_class = {
    .name = "filter-dump",
    .desc = "writes a network back end's frames to a file (pcap)",
    .instance_size = sizeof(NetDump),
    .props = dump_props,
    .late = true,
    .init = dump_init,
    .complete = dump_complete,
    .finalize = dump_finalize,
};
DEFINE_CLASS(filter_dump, &dump_class);
