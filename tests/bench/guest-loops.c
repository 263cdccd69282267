/*
 * What a guest's processor is asked to do, in small: one static program for
 * the guest and for the host. As init it runs all parts (or "NAME [SECONDS]"),
 * printing "begin NAME" and "end NAME ROUNDS CHECKSUM" around each, and reboots: the time is
 * taken outside. On a host "guest-loops NAME ROUNDS" runs one part, so that its
 * instructions can be counted.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/reboot.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define PART_SECONDS 1              /* how long a part goes on, at least */

static uint32_t seed = 1;

static uint32_t next_random(void)
{
    seed = seed * 1664525u + 1013904223u;
    return seed >> 8;
}

/* integer loops ------------------------------------------------------------ */

static uint32_t ror32(uint32_t x, unsigned n)
{
    return x >> n | x << (32 - n);
}

/* The compression function of FIPS 180-4; the constants' values do not matter. */
static void sha256_block(uint32_t state[8], const uint8_t *p, const uint32_t k[64])
{
    uint32_t w[64], s[8];

    for (unsigned i = 0; i < 16; i++) {
        w[i] = (uint32_t)p[4 * i] << 24 | p[4 * i + 1] << 16 |
               p[4 * i + 2] << 8 | p[4 * i + 3];
    }
    for (unsigned i = 16; i < 64; i++) {
        uint32_t a = w[i - 15], b = w[i - 2];

        w[i] = w[i - 16] + w[i - 7] + (ror32(a, 7) ^ ror32(a, 18) ^ a >> 3) +
               (ror32(b, 17) ^ ror32(b, 19) ^ b >> 10);
    }
    memcpy(s, state, sizeof(s));
    for (unsigned i = 0; i < 64; i++) {
        uint32_t e = s[4], a = s[0];
        uint32_t t1 = s[7] + (ror32(e, 6) ^ ror32(e, 11) ^ ror32(e, 25)) +
                      ((e & s[5]) ^ (~e & s[6])) + k[i] + w[i];
        uint32_t t2 = (ror32(a, 2) ^ ror32(a, 13) ^ ror32(a, 22)) +
                      ((a & s[1]) ^ (a & s[2]) ^ (s[1] & s[2]));

        for (unsigned j = 7; j > 0; j--) {
            s[j] = s[j - 1];
        }
        s[4] += t1;
        s[0] = t1 + t2;
    }
    for (unsigned i = 0; i < 8; i++) {
        state[i] += s[i];
    }
}

static uint32_t part_sha256(void)
{
    static uint8_t data[16384];
    uint32_t k[64], state[8] = { 1, 2, 3, 4, 5, 6, 7, 8 };

    seed = 7;
    for (unsigned i = 0; i < 64; i++) {
        k[i] = next_random() * 257;
    }
    for (unsigned i = 0; i < sizeof(data); i++) {
        data[i] = i * 31;
    }
    for (unsigned i = 0; i < sizeof(data); i += 64) {
        sha256_block(state, data + i, k);
    }
    return state[0];
}

static int compare(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

    return x < y ? -1 : x > y;
}

static uint32_t part_qsort(void)
{
    static uint32_t v[4096];

    seed = 3;
    for (unsigned i = 0; i < 4096; i++) {
        v[i] = next_random();
    }
    qsort(v, 4096, sizeof(v[0]), compare);
    return v[1000];
}

static uint32_t part_sieve(void)
{
    static uint8_t composite[65536];
    uint32_t primes = 0;

    for (unsigned i = 0; i < sizeof(composite); i++) {
        composite[i] = 0;
        __asm__ volatile("" ::: "memory");      /* no memset() */
    }
    for (unsigned i = 2; i < sizeof(composite); i++) {
        if (!composite[i]) {
            primes++;
            for (unsigned j = 2 * i; j < sizeof(composite); j += i) {
                composite[j] = 1;
            }
        }
    }
    return primes;
}

/* Greedy matches through a hash of three bytes, as LZ77 packers find them. */
static uint32_t part_lz(void)
{
    static uint8_t text[32768];
    static uint16_t last[4096];
    uint32_t packed = 0, at = 0;

    seed = 11;
    for (unsigned i = 0; i < sizeof(text); i++) {
        text[i] = i > 64 && next_random() % 8 ? text[i - 1 - next_random() % 60] :
                  next_random();
    }
    memset(last, 0, sizeof(last));
    while (at + 3 < sizeof(text)) {
        uint32_t hash = (text[at] << 16 | text[at + 1] << 8 | text[at + 2]) *
                        2654435761u >> 20;
        uint32_t from = last[hash], n = 0;

        last[hash] = at;
        while (from < at && at + n < sizeof(text) && text[from + n] == text[at + n]) {
            n++;
        }
        packed += n > 2 ? 3 : 1;
        at += n > 2 ? n : 1;
    }
    return packed;
}

/* A small stack machine: sums up the lengths of Collatz sequences. */
enum { PUSH, ADD, DUP, HALVE, TRIPLE, ODD, JZ, JMP, ISONE, COUNT, HALT };

static uint32_t interpret(const uint8_t *code, uint32_t start)
{
    uint32_t stack[16] = { start }, count = 0;
    unsigned sp = 0, pc = 0;

    for (;;) {
        switch (code[pc++]) {
        case PUSH: stack[++sp] = code[pc++]; break;
        case ADD: sp--; stack[sp] += stack[sp + 1]; break;
        case DUP: stack[sp + 1] = stack[sp]; sp++; break;
        case HALVE: stack[sp] >>= 1; break;
        case TRIPLE: stack[sp] *= 3; break;
        case ODD: stack[sp + 1] = stack[sp] & 1; sp++; break;
        case ISONE: stack[sp + 1] = stack[sp] == 1; sp++; break;
        case JZ: pc = stack[sp--] ? pc + 1 : code[pc]; break;
        case JMP: pc = code[pc]; break;
        case COUNT: count++; break;
        default: return count;
        }
    }
}

static uint32_t part_interp(void)
{
    static const uint8_t code[] = {
        ISONE, JZ, 4, HALT, COUNT, ODD, JZ, 14, TRIPLE, PUSH, 1, ADD, JMP, 0,
        HALVE, JMP, 0,
    };
    volatile const uint8_t *p = code;
    uint32_t sum = 0;

    for (uint32_t i = 1; i < 400; i++) {
        sum += interpret((const uint8_t *)p, i);
    }
    return sum;
}

/* memory and floating point ------------------------------------------------ */

#define COPY_BYTES (1u << 20)

static uint32_t part_memcpy(void)
{
    static uint8_t from[COPY_BYTES], to[COPY_BYTES];

    from[77]++;
    memcpy(to, from, sizeof(to));
    __asm__ volatile("" ::: "memory");
    return to[78];
}

/* Bodies that attract each other: multiplications, a root and divisions. */
static uint32_t part_fp(void)
{
    double x[5] = { 0, 4.8, 8.3, 12.9, 15.4 }, v[5] = { 0 };

    for (unsigned step = 0; step < 2000; step++) {
        for (unsigned i = 0; i < 5; i++) {
            for (unsigned j = 0; j < 5; j++) {
                double d = x[j] - x[i], r = d * d + 0.01;

                v[i] += 1e-4 * d / (r * __builtin_sqrt(r));
            }
        }
        for (unsigned i = 0; i < 5; i++) {
            x[i] += 1e-3 * v[i];
        }
    }
    return (uint32_t)(x[2] * 1e6);
}

/* the kernel --------------------------------------------------------------- */

static uint32_t part_syscall(void)
{
    uint32_t n = 0;

    for (unsigned i = 0; i < 100; i++) {
        n += syscall(SYS_getppid) >= 0;
    }
    return n;
}

static uint32_t part_fault(void)
{
    const size_t size = 64 * 4096;
    uint8_t *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
                      -1, 0);
    uint32_t n = 0;

    for (size_t at = 0; at < size; at += 4096) {
        n += ++p[at];
    }
    munmap(p, size);
    return n;
}

/* A byte goes to another process and back, 100 times. */
static uint32_t part_pipe(void)
{
    static int there[2], back[2], pid;
    uint8_t byte = 1;

    if (!pid) {
        if (pipe(there) || pipe(back)) {
            return 0;
        }
        pid = fork();
        while (pid == 0) {
            if (read(there[0], &byte, 1) != 1 || write(back[1], &byte, 1) != 1) {
                _exit(0);
            }
        }
    }
    for (unsigned i = 0; i < 100; i++) {
        if (write(there[1], &byte, 1) != 1 || read(back[0], &byte, 1) != 1) {
            return 0;
        }
    }
    return byte;
}

static uint32_t part_fork(void)
{
    pid_t pid = fork();
    int status;

    if (pid == 0) {
        _exit(3);
    }
    waitpid(pid, &status, 0);
    return WEXITSTATUS(status);
}

static uint32_t part_idle(void)
{
    return usleep(2000000) == 0;
}

/* running the parts -------------------------------------------------------- */

static const struct {
    const char *name;
    uint32_t (*round)(void);
} parts[] = {
    { "sha256", part_sha256 }, { "qsort", part_qsort }, { "sieve", part_sieve },
    { "lz", part_lz }, { "interp", part_interp }, { "memcpy", part_memcpy },
    { "fp", part_fp }, { "syscall", part_syscall }, { "fault", part_fault },
    { "pipe", part_pipe }, { "fork", part_fork },
    { "idle", part_idle },
};
#define NR_PARTS (sizeof(parts) / sizeof(parts[0]))

static uint64_t now_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000000000ull + t.tv_nsec;
}

/* Whoever reads the two lines knows what the time between them cost. */
static void measure(unsigned n, unsigned seconds)
{
    uint32_t sum = parts[n].round();
    uint64_t rounds = 0, start = now_ns();

    printf("begin %s\n", parts[n].name);
    do {
        parts[n].round();
        rounds++;
    } while (now_ns() - start < seconds * 1000000000ull);
    printf("end %s %llu %u\n", parts[n].name, (unsigned long long)rounds, sum);
}

int main(int argc, char **argv)
{
    bool init = getpid() == 1;

    setvbuf(stdout, NULL, _IOLBF, 0);
    for (unsigned n = 0; n < NR_PARTS; n++) {
        if (argc > 1 && strcmp(argv[1], parts[n].name) != 0) {
            continue;
        }
        if (init) {
            measure(n, argc > 2 ? atoi(argv[2]) : PART_SECONDS);
        } else if (argc == 3) {
            for (long i = atol(argv[2]); i > 0; i--) {
                printf("%u\n", parts[n].round());
            }
        }
    }
    if (init) {
        usleep(500000);     /* the last line is read while the machine is there */
        reboot(RB_AUTOBOOT);
    }
    return 0;
}
