/*
 * In a guest: socket filters, which the kernel translates to code of its own each time. A filter
 * computes how much of a message it lets through; what arrives shows whether it was right.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <linux/filter.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define STEPS 40

static unsigned next(unsigned *seed)
{
    *seed = *seed * 1103515245u + 12345;
    return *seed >> 16;
}

/* A = its steps' result, of which 6 bits count; returns these. */
static unsigned make(struct sock_filter *f, unsigned *n, unsigned seed)
{
    static const unsigned short ops[] = { BPF_ADD, BPF_SUB, BPF_XOR, BPF_OR, BPF_AND, BPF_LSH };
    unsigned a = seed;

    *n = 0;
    f[(*n)++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_IMM, a);
    for (unsigned i = 0; i < STEPS; i++) {
        unsigned short op = ops[next(&seed) % 6];
        unsigned k = op == BPF_LSH ? next(&seed) % 8 : next(&seed);

        a = op == BPF_ADD ? a + k : op == BPF_SUB ? a - k : op == BPF_XOR ? a ^ k :
            op == BPF_OR ? a | k : op == BPF_AND ? a & (k | 0xff) : a << k;
        k = op == BPF_AND ? k | 0xff : k;
        f[(*n)++] = (struct sock_filter)BPF_STMT(BPF_ALU | op | BPF_K, k);
        f[(*n)++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, a, 1, 0);
        f[(*n)++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, 100);
    }
    f[(*n)++] = (struct sock_filter)BPF_STMT(BPF_ALU | BPF_AND | BPF_K, 63);
    f[(*n)++] = (struct sock_filter)BPF_STMT(BPF_ALU | BPF_ADD | BPF_K, 1);
    f[(*n)++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_A, 0);
    return (a & 63) + 1;
}

int main(int argc, char **argv)
{
    struct sock_filter f[4 + 3 * STEPS];
    char message[200] = { 0 };
    int s[2];

    if (socketpair(AF_UNIX, SOCK_DGRAM, 0, s) < 0) {
        return 1;
    }
    for (unsigned i = 0; i < 50; i++) {
        struct sock_fprog p = { .filter = f };
        unsigned n, want = make(f, &n, atoi(argv[1]) * 1000 + i);
        ssize_t got;

        p.len = n;
        if (setsockopt(s[1], SOL_SOCKET, SO_ATTACH_FILTER, &p, sizeof(p)) < 0 ||
            write(s[0], message, sizeof(message)) != sizeof(message)) {
            perror("filter");
            return 1;
        }
        got = read(s[1], message, sizeof(message));
        if (got != want) {
            printf("filter %u: %zd instead of %u\n", i, got, want);
            return 1;
        }
    }
    return 0;
}
