/*
 * AES, PCLMULQDQ and SHA in their SSE forms: for each the host's instruction.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef TARGET_I386_TCG_CRYPTO_H
#define TARGET_I386_TCG_CRYPTO_H

#include "target/i386/tcg/ops/sse.h"

/* X(name, feature): in the order of X86Op.id. */
#define CRYPTO_LIST(X) \
    X(aesimc, AES) X(aesenc, AES) X(aesenclast, AES) X(aesdec, AES) X(aesdeclast, AES) \
    X(aeskeygenassist, AES) X(pclmulqdq, PCLMULQDQ) X(sha1nexte, SHA_NI) X(sha1msg1, SHA_NI) \
    X(sha1msg2, SHA_NI) X(sha256msg1, SHA_NI) X(sha256msg2, SHA_NI) X(sha1rnds4, SHA_NI)
#define CRYPTO_ID(name, feature) CRYPTO_##name,
enum { CRYPTO_LIST(CRYPTO_ID) };
#define CRYPTO_FN(name, feature) SSEFn sse_##name;
CRYPTO_LIST(CRYPTO_FN)

OpFn op_crypto, op_sha256rnds2;

#endif
