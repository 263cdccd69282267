/*
 * A program of the guest's for test_sandbox.py: echoes what comes by vsock, or sends.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <linux/vm_sockets.h>

#define CHUNK 65536

static char buf[CHUNK];

static struct sockaddr_vm address(unsigned cid, unsigned port)
{
    return (struct sockaddr_vm) { .svm_family = AF_VSOCK, .svm_cid = cid, .svm_port = port };
}

static void die(const char *what)
{
    perror(what);
    exit(1);
}

static void write_all(int fd, const char *data, size_t len)
{
    while (len) {
        ssize_t n = write(fd, data, len);

        if (n <= 0) {
            die("write");
        }
        data += n;
        len -= n;
    }
}

/* Until the peer has closed its half; what came goes back. */
static void echo(unsigned port)
{
    struct sockaddr_vm vm = address(VMADDR_CID_ANY, port);
    int s = socket(AF_VSOCK, SOCK_STREAM, 0), fd;
    ssize_t n;

    if (s < 0 || bind(s, (void *)&vm, sizeof(vm)) < 0 || listen(s, 8) < 0) {
        die("listen");
    }
    printf("listening %u\n", port);
    fflush(stdout);
    fd = accept(s, NULL, NULL);
    while ((n = read(fd, buf, CHUNK)) > 0) {
        write_all(fd, buf, n);
    }
    close(fd);
}

/* So many bytes to the host; then what it answers until it closes. */
static void send_to_host(unsigned port, unsigned chunks)
{
    struct sockaddr_vm vm = address(VMADDR_CID_HOST, port);
    int s = socket(AF_VSOCK, SOCK_STREAM, 0);
    uint32_t state = 1;
    ssize_t n;

    if (s < 0 || connect(s, (void *)&vm, sizeof(vm)) < 0) {
        die("connect");
    }
    for (unsigned i = 0; i < chunks; i++) {
        for (unsigned k = 0; k < CHUNK; k++) {
            state = state * 1664525 + 1013904223;
            buf[k] = state >> 24;
        }
        write_all(s, buf, CHUNK);
    }
    shutdown(s, SHUT_WR);
    while ((n = read(s, buf, CHUNK)) > 0) {
        fwrite(buf, 1, n, stdout);
    }
    printf("\n");
}

int main(int argc, char **argv)
{
    if (argc == 3 && !strcmp(argv[1], "echo")) {
        echo(atoi(argv[2]));
    } else if (argc == 4 && !strcmp(argv[1], "send")) {
        send_to_host(atoi(argv[2]), atoi(argv[3]));
    } else {
        return 2;
    }
    return 0;
}
