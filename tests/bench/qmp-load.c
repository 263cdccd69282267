/*
 * qmp-load SOCKET RATE: asks a QMP monitor query-status so often a second until
 * standard input ends; then prints how many answers came and the CPU time spent here.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#define _GNU_SOURCE
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

static void say(int fd, const char *text)
{
    if (write(fd, text, strlen(text)) < 0) {
        perror("qmp-load: write");
        exit(1);
    }
}

/* Read one line, of which nothing else follows. */
static void answer(int fd)
{
    char buf[4096];
    ssize_t n;

    do {
        n = read(fd, buf, sizeof(buf));
        if (n <= 0) {
            fprintf(stderr, "qmp-load: the monitor is gone\n");
            exit(1);
        }
    } while (buf[n - 1] != '\n');
}

static int connect_to(const char *path)
{
    struct sockaddr_un addr = { .sun_family = AF_UNIX };
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    snprintf(addr.sun_path, sizeof(addr.sun_path), "%s", path);
    if (fd < 0 || connect(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0) {
        perror("qmp-load: connect");
        exit(1);
    }
    return fd;
}

int main(int argc, char **argv)
{
    struct pollfd pfd = { .fd = STDIN_FILENO, .events = POLLIN };
    struct timespec interval = { 0 };
    struct rusage usage;
    unsigned long count = 0;
    int fd;

    if (argc != 3 || atoi(argv[2]) <= 0) {
        fprintf(stderr, "usage: qmp-load SOCKET RATE\n");
        return 2;
    }
    interval.tv_nsec = 1000000000L / atoi(argv[2]);
    fd = connect_to(argv[1]);
    answer(fd);
    say(fd, "{\"execute\":\"qmp_capabilities\"}\n");
    answer(fd);
    while (ppoll(&pfd, 1, &interval, NULL) == 0) {
        say(fd, "{\"execute\":\"query-status\"}\n");
        answer(fd);
        count++;
    }
    getrusage(RUSAGE_SELF, &usage);
    printf("%lu %.6f\n", count,
           usage.ru_utime.tv_sec + usage.ru_stime.tv_sec +
           (usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6);
    return 0;
}
