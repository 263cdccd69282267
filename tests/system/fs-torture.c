/*
 * Works in a folder and says what it saw: the same on every file system, wherever it runs.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * fs-torture FOLDER FILES [nomap]: the folder is empty and writable, its user is root.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <time.h>
#include <unistd.h>

#define BIG (3 << 20)
#define WORKERS 4

static uint32_t seed = 1;

static uint32_t next_random(void)
{
    seed = seed * 1664525 + 1013904223;
    return seed >> 8;
}

/* "what: 0 OK" or the error's name. */
static int said(const char *what, long ret)
{
    printf("%s: %s\n", what, ret < 0 ? strerrorname_np(errno) : "OK");
    return ret;
}

static void say_stat(const char *what, const struct stat *st)
{
    printf("%s: mode %o uid %u gid %u links %lu size %ld rdev %lx\n", what, st->st_mode,
           st->st_uid, st->st_gid, S_ISDIR(st->st_mode) ? 0 : (unsigned long)st->st_nlink,
           S_ISDIR(st->st_mode) ? 0 : (long)st->st_size,
           S_ISCHR(st->st_mode) ? (unsigned long)st->st_rdev : 0);
}

static void stat_name(const char *name)
{
    struct stat st;

    if (said(name, lstat(name, &st)) == 0) {
        say_stat(name, &st);
    }
}

static int compare(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* How many names there are below, and a sum over them in order. */
static void tree(const char *path, unsigned *names, uint32_t *sum)
{
    char *list[20000];
    unsigned n = 0;
    struct dirent *d;
    DIR *dir = opendir(path);

    while (dir && (d = readdir(dir)) && n < 20000) {
        if (strcmp(d->d_name, ".") && strcmp(d->d_name, "..")) {
            list[n++] = strdup(d->d_name);
        }
    }
    if (dir) {
        closedir(dir);
    }
    qsort(list, n, sizeof(list[0]), compare);
    for (unsigned i = 0; i < n; i++) {
        char name[4096];
        struct stat st;

        snprintf(name, sizeof(name), "%s/%s", path, list[i]);
        for (const char *p = list[i]; *p; p++) {
            *sum = *sum * 31 + *p;
        }
        ++*names;
        if (lstat(name, &st) < 0) {
            printf("%s: %s\n", name, strerrorname_np(errno));
        } else if (S_ISDIR(st.st_mode)) {
            tree(name, names, sum);
        } else {
            *sum = *sum * 31 + st.st_size;
        }
        free(list[i]);
    }
}

static void say_tree(const char *path)
{
    unsigned names = 0;
    uint32_t sum = 0;

    tree(path, &names, &sum);
    printf("tree %s: %u names, sum %08x\n", path, names, sum);
}

/* Many files: made, renamed about, removed in part ------------------------------------------ */

static void many_files(unsigned files)
{
    char name[64], other[64];
    unsigned bad = 0, moved = 0, gone = 0;

    for (unsigned i = 0; i < 20; i++) {
        snprintf(name, sizeof(name), "many/%u", i);
        bad += i == 0 && mkdir("many", 0755) < 0;
        bad += mkdir(name, 0755) < 0;
    }
    for (unsigned i = 0; i < files; i++) {
        int fd;

        snprintf(name, sizeof(name), "many/%u/file-%u", i % 20, i);
        fd = open(name, O_CREAT | O_EXCL | O_WRONLY, 0644);
        bad += fd < 0 || write(fd, name, i % 60) != i % 60 || close(fd) < 0;
    }
    printf("many: %u wrong\n", bad);
    say_tree("many");
    for (unsigned i = 0; i < files / 2; i++) {
        unsigned a = next_random() % files, b = next_random() % files;

        snprintf(name, sizeof(name), "many/%u/file-%u", a % 20, a);
        snprintf(other, sizeof(other), "many/%u/file-%u", b % 20, b);
        moved += rename(name, other) == 0;
        if (i % 8 == 0) {
            snprintf(name, sizeof(name), "many/%u/file-%u", i % 20, i);
            gone += unlink(name) == 0;
        }
    }
    printf("renamed %u, removed %u\n", moved, gone);
    said("move a folder", rename("many/3", "many/4/three"));
    said("over one that is full", rename("many/5", "many/4"));
    said("below itself", rename("many/4", "many/4/x"));
    say_tree("many");
}

/* Processes that rename the same few files: none is lost, none is there twice. */
static void storm(unsigned rounds)
{
    unsigned names = 0;
    uint32_t sum = 0;

    mkdir("storm", 0755);
    for (unsigned i = 0; i < 16; i++) {
        char name[32];

        snprintf(name, sizeof(name), "storm/%u", i);
        close(open(name, O_CREAT | O_WRONLY, 0600));
    }
    for (unsigned w = 0; w < WORKERS; w++) {
        if (fork() == 0) {
            seed = w + 1;
            for (unsigned i = 0; i < rounds; i++) {
                char name[32], other[32];

                /* To a name of its own and back: other workers may have it meanwhile. */
                snprintf(name, sizeof(name), "storm/%u", next_random() % 16);
                snprintf(other, sizeof(other), "storm/own-%u", w);
                if (rename(name, other) == 0 && link(other, name) == 0) {
                    unlink(other);
                } else if (access(other, F_OK) == 0) {
                    _exit(1);
                }
            }
            _exit(0);
        }
    }
    for (unsigned w = 0; w < WORKERS; w++) {
        int status;

        wait(&status);
        printf("storm: status %d\n", WEXITSTATUS(status));
    }
    tree("storm", &names, &sum);
    printf("storm: %u names\n", names);
}

/* One file ------------------------------------------------------------------------------------ */

static void sparse(void)
{
    int fd = open("sparse", O_CREAT | O_RDWR, 0600);
    struct stat st;
    char buf[16] = "";

    said("write far away", pwrite(fd, "end", 3, 1ll << 36));
    fstat(fd, &st);
    printf("size %lld, few blocks: %d\n", (long long)st.st_size, st.st_blocks < 1000);
    said("read a hole", pread(fd, buf, 16, 1 << 30));
    printf("zeros: %d\n", !memcmp(buf, (char[16]) { 0 }, 16));
    said("cut", ftruncate(fd, 100));
    said("grow", ftruncate(fd, 1 << 20));
    printf("read at the end: %ld\n", (long)pread(fd, buf, 16, (1 << 20) - 8));
    said("negative", ftruncate(fd, -1));
    close(fd);
    said("truncate", truncate("sparse", 7));
    stat_name("sparse");
}

static void no_name(void)
{
    int fd = open("gone", O_CREAT | O_RDWR, 0600);
    struct stat st;
    char buf[8];

    said("unlink", unlink("gone"));
    said("write", write(fd, "12345678", 8));
    said("fstat", fstat(fd, &st));
    printf("links %lu size %ld\n", (unsigned long)st.st_nlink, (long)st.st_size);
    said("ftruncate", ftruncate(fd, 4));
    said("fchmod", fchmod(fd, 0640));
    printf("read %ld\n", (long)pread(fd, buf, 8, 0));
    close(fd);
    stat_name("gone");
}

static void data_and_append(void)
{
    uint8_t *data = malloc(BIG), *back = malloc(BIG);
    int fd = open("big", O_CREAT | O_RDWR | O_APPEND, 0600), other;

    for (unsigned i = 0; i < BIG; i++) {
        data[i] = next_random();
    }
    for (unsigned at = 0, len; at < BIG; at += len) {
        len = next_random() % 200000 + 1;
        len = len < BIG - at ? len : BIG - at;
        if (write(fd, data + at, len) != len) {
            said("big", -1);
        }
    }
    said("fsync", fsync(fd));
    other = open("big", O_RDONLY);
    for (unsigned at = 0, len; at < BIG; at += len) {
        len = read(other, back + at, next_random() % 300000 + 1);
        len = len && len < BIG ? len : BIG;
    }
    printf("big: same %d\n", !memcmp(data, back, BIG));
    for (unsigned i = 0; i < 200; i++) {
        unsigned at = next_random() % (BIG - 5000), len = next_random() % 5000;

        if (pread(other, back, len, at) != len || memcmp(back, data + at, len)) {
            printf("big: wrong at %u\n", at);
        }
    }
    close(fd);
    close(other);
    free(data);
    free(back);
}

static void mapped(void)
{
    int fd = open("mapped", O_CREAT | O_RDWR, 0600);
    char *p, buf[4];

    said("grow", ftruncate(fd, 100000));
    p = mmap(NULL, 100000, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (said("mmap", p == MAP_FAILED ? -1 : 0) < 0) {
        return;
    }
    memcpy(p + 50000, "abcd", 4);
    said("msync", msync(p, 100000, MS_SYNC));
    pread(fd, buf, 4, 50000);
    printf("mapped: %.4s\n", buf);
    munmap(p, 100000);
    close(fd);
    stat_name("mapped");
}

/* A counter in a file, under a lock: nothing is lost. */
static void locks(unsigned rounds)
{
    int fd = open("counter", O_CREAT | O_RDWR, 0600);
    struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_len = 8 };
    uint64_t value = 0;

    pwrite(fd, &value, 8, 0);
    for (unsigned w = 0; w < WORKERS; w++) {
        if (fork() == 0) {
            for (unsigned i = 0; i < rounds; i++) {
                lock.l_type = F_WRLCK;
                if (fcntl(fd, F_SETLKW, &lock) < 0 || pread(fd, &value, 8, 0) != 8) {
                    _exit(1);
                }
                value++;
                pwrite(fd, &value, 8, 0);
                lock.l_type = F_UNLCK;
                fcntl(fd, F_SETLK, &lock);
            }
            _exit(0);
        }
    }
    for (unsigned w = 0; w < WORKERS; w++) {
        int status;

        wait(&status);
        printf("locks: status %d\n", WEXITSTATUS(status));
    }
    pread(fd, &value, 8, 0);
    printf("counter %lu\n", (unsigned long)value);
    said("lock", fcntl(fd, F_SETLK, &lock));
    if (fork() == 0) {
        int own = open("counter", O_RDWR);

        lock.l_type = F_WRLCK;
        said("somebody else's", fcntl(own, F_SETLK, &lock));
        lock.l_start = 100;
        said("another range", fcntl(own, F_SETLK, &lock));
        fflush(stdout);
        _exit(0);
    }
    wait(NULL);
    close(fd);
}

static void attributes(void)
{
    char buf[70000];
    ssize_t len;

    close(open("attr", O_CREAT | O_WRONLY, 0600));
    said("none", getxattr("attr", "user.x", buf, sizeof(buf)));
    said("set", setxattr("attr", "user.x", "value", 5, 0));
    said("set twice", setxattr("attr", "user.x", "value", 5, XATTR_CREATE));
    said("replace", setxattr("attr", "user.x", "other value", 11, XATTR_REPLACE));
    said("replace none", setxattr("attr", "user.y", "v", 1, XATTR_REPLACE));
    said("long", setxattr("attr", "user.long", memset(buf, 'l', 2000), 2000, 0));
    len = getxattr("attr", "user.x", buf, sizeof(buf));
    printf("get %ld %.*s\n", (long)len, (int)len, buf);
    said("short", getxattr("attr", "user.long", buf, 10));
    printf("list %ld\n", (long)listxattr("attr", buf, sizeof(buf)));
    said("remove", removexattr("attr", "user.x"));
    said("remove again", removexattr("attr", "user.x"));
}

static void names(void)
{
    char path[4096];
    struct timespec times[2] = { { 1000000000, 0 }, { 1234567890, 0 } };
    struct stat st;
    ssize_t len;

    said("mkdir", mkdir("d", 0750));
    said("again", mkdir("d", 0750));
    said("below none", mkdir("none/d", 0750));
    stat_name("d");
    said("symlink", symlink("../outside/\xc3\xa4", "d/link"));
    len = readlink("d/link", path, sizeof(path));
    printf("link %.*s\n", (int)len, path);
    stat_name("d/link");
    said("through it", open("d/link", O_RDONLY));
    said("nofollow", open("d/link", O_RDONLY | O_NOFOLLOW));
    said("mkfifo", mkfifo("d/fifo", 0622));
    stat_name("d/fifo");
    said("mknod", mknod("d/null", S_IFCHR | 0666, 0x103));
    stat_name("d/null");
    said("create", open("d/file", O_CREAT | O_EXCL | O_RDWR, 04755));
    said("excl", open("d/file", O_CREAT | O_EXCL | O_RDWR, 04755));
    stat_name("d/file");
    said("link", link("d/file", "d/hard"));
    stat_name("d/hard");
    said("rename to itself", rename("d/file", "d/hard"));
    said("chown", chown("d/hard", 12, 34));
    said("chmod", chmod("d/hard", 02711));
    stat_name("d/file");
    said("utimens", utimensat(AT_FDCWD, "d/file", times, 0));     /* Linux' 9p: seconds */
    stat("d/file", &st);
    printf("mtime %ld.%09ld\n", (long)st.st_mtim.tv_sec, st.st_mtim.tv_nsec);
    memset(path, 'n', 300);
    path[256] = '\0';
    said("long name", mkdir(path, 0700));
    path[255] = '\0';
    said("longest name", mkdir(path, 0700));
    said("remove it", rmdir(path));
    said("rmdir full", rmdir("d"));
    said("rmdir file", rmdir("d/file"));
    said("unlink folder", unlink("d") < 0 && errno == EPERM ? (errno = EISDIR, -1) : -1);
    said("file over folder", rename("d/file", "many"));
    said("folder over file", rename("many", "d/file"));
    said("not a folder", open("d/file/x", O_RDONLY));
}

int main(int argc, char **argv)
{
    unsigned files = argc > 2 ? atoi(argv[2]) : 0;

    setvbuf(stdout, NULL, _IOLBF, 0);
    umask(0);
    if (!files || chdir(argv[1]) < 0) {
        fprintf(stderr, "usage: fs-torture FOLDER FILES [nomap]\n");
        return 1;
    }
    many_files(files);
    names();
    sparse();
    no_name();
    data_and_append();
    if (argc < 4) {
        mapped();
    }
    attributes();
    locks(files / 50 + 10);
    fflush(stdout);
    storm(files / 10 + 10);
    say_tree(".");
    return 0;
}
