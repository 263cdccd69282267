/*
 * fsync() of a disk that takes as long as a test wants, or fails.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "slow-disk.h"

#include <errno.h>
#include <glib.h>

static struct {
    GMutex lock;
    GCond cond;
    bool hold;
    unsigned syncs;
    int error;
} disk;

int __wrap_fsync(int fd);

int __wrap_fsync(int fd)
{
    int error;

    g_mutex_lock(&disk.lock);
    disk.syncs++;
    g_cond_broadcast(&disk.cond);
    while (disk.hold) {
        g_cond_wait(&disk.cond, &disk.lock);
    }
    error = disk.error;
    g_mutex_unlock(&disk.lock);
    errno = error;
    return error ? -1 : 0;
}

void slow_disk_reset(void)
{
    slow_disk_hold(true);
    slow_disk_hold(false);
    slow_disk_fail(0);
}

void slow_disk_hold(bool on)
{
    g_mutex_lock(&disk.lock);
    disk.hold = on;
    disk.syncs = on ? 0 : disk.syncs;
    g_cond_broadcast(&disk.cond);
    g_mutex_unlock(&disk.lock);
}

void slow_disk_fail(int error)
{
    g_mutex_lock(&disk.lock);
    disk.error = error;
    g_mutex_unlock(&disk.lock);
}

unsigned slow_disk_syncs(void)
{
    unsigned n;

    g_mutex_lock(&disk.lock);
    n = disk.syncs;
    g_mutex_unlock(&disk.lock);
    return n;
}

void slow_disk_wait(unsigned n)
{
    g_mutex_lock(&disk.lock);
    while (disk.syncs < n) {
        g_cond_wait(&disk.cond, &disk.lock);
    }
    g_mutex_unlock(&disk.lock);
}
