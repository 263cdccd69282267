/*
 * Reassembly of fragments: in any order, of both protocols; and what a hostile guest sends.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <glib.h>
#include <string.h>

#include "net/ip-fragment.h"
#include "net/ip-reassembly.h"
#include "net/packet.h"

#define MAX_DATA 65515

static uint8_t payload[MAX_DATA + 100], frame[2000], out[70000];
static IPReassembly r;
static int64_t now;

/* Fragment [from, from + len) of datagram id; the frame's length. */
static size_t make(bool ipv6, unsigned id, unsigned from, unsigned len, bool more)
{
    uint8_t *ip = frame + ETH_HLEN;

    memset(frame, 0, sizeof(frame));
    store16(frame + ETH_TYPE, ipv6 ? ETH_TYPE_IPV6 : ETH_TYPE_IP);
    if (ipv6) {
        ip[0] = 0x60;
        store16(ip + IP6_PAYLOAD, IP6_FRAG_HLEN + len);
        ip[IP6_NEXT] = IP6_FRAGMENT;
        ip[IP6_HLEN] = 17;
        store16(ip + IP6_HLEN + 2, from | more);
        store16(ip + IP6_HLEN + 6, id);
        memcpy(ip + IP6_HLEN + IP6_FRAG_HLEN, payload + from, len);
        return ETH_HLEN + IP6_HLEN + IP6_FRAG_HLEN + len;
    }
    ip[0] = 0x45;
    store16(ip + IP_TOTAL, IP_HLEN + len);
    store16(ip + IP_ID, id);
    store16(ip + IP_FRAGMENT, from / 8 | (more ? IP_MF : 0));
    ip[IP_PROTOCOL] = 17;
    memcpy(ip + IP_HLEN, payload + from, len);
    return ETH_HLEN + IP_HLEN + len;
}

static size_t give(bool ipv6, unsigned id, unsigned from, unsigned len, bool more)
{
    size_t n = make(ipv6, id, from, len, more);

    g_assert_true(ip_is_fragment(frame, n));
    return ip_reassemble(&r, frame, n, now, out, sizeof(out));
}

static void assert_whole(bool ipv6, size_t got, unsigned len)
{
    size_t data_len = 0;
    uint8_t proto = 0;
    const uint8_t *data;

    g_assert_cmpuint(got, ==, ETH_HLEN + (ipv6 ? IP6_HLEN : IP_HLEN) + len);
    g_assert_false(ip_is_fragment(out, got));
    data = ip_payload(out, got, &proto, &data_len);
    g_assert_cmpmem(data, data_len, payload, len);
    g_assert_cmpuint(proto, ==, 17);
    g_assert_true(ipv6 || sum16(out + ETH_HLEN, IP_HLEN, 0) == 0xffff);
}

static void assert_empty(void)
{
    for (unsigned i = 0; i < IP_REASSEMBLY_MAX; i++) {
        g_assert_null(r.datagram[i]);
    }
}

/* Datagrams of all sizes, cut anywhere, in any order; the buffer may be the frame's own. */
static void test_orders(void)
{
    for (unsigned i = 0; i < 600; i++) {
        unsigned len = i % 5 ? (unsigned)g_test_rand_int_range(9, 5000) : MAX_DATA - i % 3;
        unsigned units = g_test_rand_int_range(1, 180);
        unsigned step = MIN(units, (len - 1) / 8) * 8;
        unsigned n = (len + step - 1) / step;
        g_autofree unsigned *order = g_new(unsigned, n);
        bool ipv6 = i % 2;

        for (unsigned k = 0; k < n; k++) {
            unsigned j = i % 4 ? (unsigned)g_test_rand_int_range(0, k + 1) : k;

            order[k] = order[j];
            order[j] = k;
        }
        for (unsigned k = 0; k < n; k++) {
            unsigned from = order[k] * step, part = MIN(step, len - from);
            size_t got = give(ipv6, i, from, part, from + part < len);

            if (k + 1 < n) {
                g_assert_cmpuint(got, ==, 0);
            } else {
                assert_whole(ipv6, got, len);
            }
        }
        assert_empty();
    }
}

/* Whatever two fragments share ends the datagram (RFC 5722): no word of it comes out. */
static void test_overlaps(void)
{
    static const struct { unsigned from, len; bool more; } rows[][3] = {
        { { 0, 16, true }, { 8, 16, true } },
        { { 8, 16, true }, { 0, 16, true } },
        { { 0, 64, true }, { 16, 8, true } },
        { { 16, 8, true }, { 0, 64, true } },
        { { 0, 16, true }, { 0, 16, true } },               /* the same again */
        { { 16, 5, false }, { 16, 5, false } },
        { { 16, 5, false }, { 16, 8, true } },              /* shares the last unit */
        { { 16, 8, false }, { 24, 8, true } },              /* behind the end */
        { { 24, 8, true }, { 16, 8, false } },              /* the end before it */
        { { 16, 8, false }, { 24, 8, false } },             /* two ends */
        { { 24, 8, false }, { 16, 8, false } },
    };

    for (unsigned i = 0; i < 2 * G_N_ELEMENTS(rows); i++) {
        bool ipv6 = i % 2;

        g_assert_cmpuint(give(ipv6, 7, rows[i / 2][0].from, rows[i / 2][0].len,
                              rows[i / 2][0].more), ==, 0);
        g_assert_cmpuint(give(ipv6, 7, rows[i / 2][1].from, rows[i / 2][1].len,
                              rows[i / 2][1].more), ==, 0);
        assert_empty();
    }
}

/* Fragments that make no sense by themselves leave nothing behind. */
static void test_malformed(void)
{
    for (unsigned i = 0; i < 2; i++) {
        size_t n;

        g_assert_cmpuint(give(i, 1, 0, 12, true), ==, 0);           /* no multiple of 8 */
        g_assert_cmpuint(give(i, 1, 8, 0, true), ==, 0);            /* nothing */
        g_assert_cmpuint(give(i, 1, 8, 0, false), ==, 0);
        g_assert_cmpuint(give(i, 1, 65528, 8, false), ==, 0);       /* longer than can be */
        g_assert_cmpuint(give(i, 1, 65520, 24, true), ==, 0);
        n = make(i, 1, 0, 64, true);
        for (size_t cut = 0; cut < n; cut++) {
            g_assert_cmpuint(ip_reassemble(&r, frame, cut, now, out, sizeof(out)), ==, 0);
        }
        frame[ETH_HLEN] = i ? 0x60 : 0x44;
        g_assert_cmpuint(i ? 0 : ip_reassemble(&r, frame, n, now, out, sizeof(out)), ==, 0);
        assert_empty();
    }
    /* The first fragment's options make it longer than was allowed for. */
    g_assert_cmpuint(give(false, 1, 65512, 3, false), ==, 0);
    ip_reassembly_clear(&r);
    assert_empty();
}

static void test_small_buffer(void)
{
    size_t n;

    g_assert_cmpuint(give(false, 3, 0, 1000, true), ==, 0);
    n = make(false, 3, 1000, 500, false);
    g_assert_cmpuint(ip_reassemble(&r, frame, n, now, out, 1533), ==, 0);
    assert_empty();
}

/* What belongs to others is kept apart: address, identification, protocol, version. */
static void test_keys(void)
{
    for (unsigned i = 0; i < 4; i++) {
        size_t n;

        g_assert_cmpuint(give(false, 9, 0, 8, true), ==, 0);
        n = make(i == 3, i == 0 ? 10 : 9, 8, 8, false);
        frame[ETH_HLEN + IP_SOURCE] ^= i == 1;
        frame[ETH_HLEN + IP_PROTOCOL] ^= i == 2;
        g_assert_cmpuint(ip_reassemble(&r, frame, n, now, out, sizeof(out)), ==, 0);
        assert_whole(false, give(false, 9, 8, 8, false), 16);
        ip_reassembly_clear(&r);
    }
}

/* A flood takes the place of the oldest only, and what never ends is forgotten. */
static void test_bounds(void)
{
    for (unsigned id = 0; id < 1000 + IP_REASSEMBLY_MAX; id++, now++) {
        g_assert_cmpuint(give(id % 2, id, 8, 8, false), ==, 0);
    }
    for (unsigned id = 1000; id < 1000 + IP_REASSEMBLY_MAX; id++) {
        assert_whole(id % 2, give(id % 2, id, 0, 8, true), 16);
    }
    assert_empty();
    g_assert_cmpuint(give(false, 1, 0, 8, true), ==, 0);
    now += IP_REASSEMBLY_MS - 1;
    assert_whole(false, give(false, 1, 8, 8, false), 16);
    g_assert_cmpuint(give(false, 1, 0, 8, true), ==, 0);
    now += IP_REASSEMBLY_MS;
    g_assert_cmpuint(give(false, 1, 8, 8, false), ==, 0);
    ip_reassembly_clear(&r);
}

/* What we cut into fragments comes out as it was. */
static size_t pieces, put_together;

static void take_piece(const uint8_t *piece, size_t len, void *opaque)
{
    pieces++;
    g_assert_cmpuint(len, <=, ETH_HLEN + *(unsigned *)opaque);
    put_together = ip_is_fragment(piece, len)
                   ? ip_reassemble(&r, piece, len, now, out, sizeof(out)) : len;
}

static void test_fragment(void)
{
    static uint8_t whole[70000];
    unsigned mtus[] = { 68, 576, 1499, 1500 };

    for (unsigned i = 0; i < 400; i++) {
        bool ipv6 = i % 2;
        unsigned len = i % 10 ? (unsigned)g_test_rand_int_range(1, 3000) : MAX_DATA - i % 3;
        size_t header = ETH_HLEN + (ipv6 ? IP6_HLEN : IP_HLEN);
        uint8_t *ip = whole + ETH_HLEN;

        make(ipv6, i, 0, 8, false);
        memcpy(whole, frame, header);
        memcpy(whole + header, payload, len);
        if (ipv6) {
            ip[IP6_NEXT] = 17;
            store16(ip + IP6_PAYLOAD, len);
        } else {
            store16(ip + IP_TOTAL, IP_HLEN + len);
        }
        pieces = 0;
        ip_fragment(whole, header + len, mtus[i / 2 % 4], i, take_piece, &mtus[i / 2 % 4]);
        if (pieces > 1) {
            assert_whole(ipv6, put_together, len);
        } else {
            g_assert_cmpuint(header + len, <=, ETH_HLEN + mtus[i / 2 % 4]);
        }
        assert_empty();
    }
}

/* Anything at all: for the sanitizers, and what comes out is consistent. */
static void test_random(void)
{
    for (unsigned i = 0; i < 100000; i++) {
        bool ipv6 = g_test_rand_bit();
        unsigned from = g_test_rand_int_range(0, i % 3 ? 20 : 8192) * 8;
        unsigned len = g_test_rand_int_range(0, i % 7 ? 40 : 1400);
        size_t n, got, data_len;
        uint8_t proto;

        from = MIN(from, MAX_DATA - len) & ~7u;
        n = make(ipv6, g_test_rand_int_range(0, 20), from, len, g_test_rand_bit());
        if (i % 4 == 0) {
            frame[g_test_rand_int_range(0, 64)] = g_test_rand_int();
        }
        now += g_test_rand_int_range(0, 10);
        got = ip_reassemble(&r, frame, n, now, frame, sizeof(frame));
        g_assert_true(!got || ip_payload(frame, got, &proto, &data_len));
    }
    ip_reassembly_clear(&r);
    assert_empty();
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    for (size_t i = 0; i < sizeof(payload); i++) {
        payload[i] = i * 31 + i / 256;
    }
    g_test_add_func("/ip-reassembly/orders", test_orders);
    g_test_add_func("/ip-reassembly/overlaps", test_overlaps);
    g_test_add_func("/ip-reassembly/malformed", test_malformed);
    g_test_add_func("/ip-reassembly/small-buffer", test_small_buffer);
    g_test_add_func("/ip-reassembly/keys", test_keys);
    g_test_add_func("/ip-reassembly/bounds", test_bounds);
    g_test_add_func("/ip-reassembly/fragment", test_fragment);
    g_test_add_func("/ip-reassembly/random", test_random);
    return g_test_run();
}
