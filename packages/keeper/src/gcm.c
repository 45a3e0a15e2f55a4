// AES-128-GCM (NIST SP 800-38D) by the processor's own instructions, which take the same time whatever the data; where it
// has none there is none here. Eight blocks at once; GHASH as in Intel's white paper on carry-less multiplication.
#include "gcm.h"
#include <string.h>

#if defined(__x86_64__)
#include <immintrin.h>
#define HARD __attribute__((target("aes,pclmul,ssse3,sse4.1")))
#define EACH(i) _Pragma("GCC unroll 8") for (int i = 0; i < 8; i++)

typedef struct {
  __m128i lo, mid, hi;
} Product;

struct Gcm {
  __m128i key[11];
  __m128i power[8];  // of the hash's key: the eighth first, bytes reversed
  __m128i folded[8]; // each one's halves, added
};

bool gcm_here(void) {
  __builtin_cpu_init();
  return __builtin_cpu_supports("aes") && __builtin_cpu_supports("pclmul") && __builtin_cpu_supports("sse4.1");
}

HARD static inline __m128i reversed(__m128i x) {
  return _mm_shuffle_epi8(x, _mm_set_epi8(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15));
}

HARD static inline __m128i expand(__m128i key, __m128i assisted) {
  assisted = _mm_shuffle_epi32(assisted, 0xff);
  for (int i = 0; i < 3; i++) key = _mm_xor_si128(key, _mm_slli_si128(key, 4));
  return _mm_xor_si128(key, assisted);
}

HARD static inline __m128i encrypted(const struct Gcm *g, __m128i block) {
  block = _mm_xor_si128(block, g->key[0]);
  for (int round = 1; round < 10; round++) block = _mm_aesenc_si128(block, g->key[round]);
  return _mm_aesenclast_si128(block, g->key[10]);
}

HARD static inline __m128i folded(__m128i x) { return _mm_xor_si128(x, _mm_shuffle_epi32(x, 0x4e)); }

HARD static inline void multiply(Product *sum, __m128i x, __m128i power, __m128i power_folded) {
  sum->lo = _mm_xor_si128(sum->lo, _mm_clmulepi64_si128(x, power, 0x00));
  sum->hi = _mm_xor_si128(sum->hi, _mm_clmulepi64_si128(x, power, 0x11));
  sum->mid = _mm_xor_si128(sum->mid, _mm_clmulepi64_si128(folded(x), power_folded, 0x00));
}

// Modulo the field's polynomial, after the shift by one bit that reversed bits ask for.
HARD static inline __m128i reduced(Product p) {
  __m128i mid = _mm_xor_si128(p.mid, _mm_xor_si128(p.lo, p.hi));
  __m128i lo = _mm_xor_si128(p.lo, _mm_slli_si128(mid, 8)), hi = _mm_xor_si128(p.hi, _mm_srli_si128(mid, 8));
  __m128i over_lo = _mm_srli_epi32(lo, 31), over_hi = _mm_srli_epi32(hi, 31);
  lo = _mm_or_si128(_mm_slli_epi32(lo, 1), _mm_slli_si128(over_lo, 4));
  hi = _mm_or_si128(_mm_slli_epi32(hi, 1), _mm_slli_si128(over_hi, 4));
  hi = _mm_or_si128(hi, _mm_srli_si128(over_lo, 12));
  __m128i left = _mm_xor_si128(_mm_slli_epi32(lo, 31), _mm_xor_si128(_mm_slli_epi32(lo, 30), _mm_slli_epi32(lo, 25)));
  lo = _mm_xor_si128(lo, _mm_slli_si128(left, 12));
  __m128i right = _mm_xor_si128(_mm_srli_epi32(lo, 1), _mm_xor_si128(_mm_srli_epi32(lo, 2), _mm_srli_epi32(lo, 7)));
  right = _mm_xor_si128(right, _mm_srli_si128(left, 4));
  return _mm_xor_si128(hi, _mm_xor_si128(lo, right));
}

HARD static inline __m128i times(__m128i x, __m128i y) {
  Product p = {0};
  multiply(&p, x, y, folded(y));
  return reduced(p);
}

HARD void gcm_key(struct Gcm *g, const uint8_t key[GCM_KEY]) {
  g->key[0] = _mm_loadu_si128((const __m128i *)key);
#define ROUND(i, constant) g->key[i] = expand(g->key[i - 1], _mm_aeskeygenassist_si128(g->key[i - 1], constant))
  ROUND(1, 0x01), ROUND(2, 0x02), ROUND(3, 0x04), ROUND(4, 0x08), ROUND(5, 0x10);
  ROUND(6, 0x20), ROUND(7, 0x40), ROUND(8, 0x80), ROUND(9, 0x1b), ROUND(10, 0x36);
  g->power[7] = reversed(encrypted(g, _mm_setzero_si128()));
  for (int i = 6; i >= 0; i--) g->power[i] = times(g->power[i + 1], g->power[7]);
  EACH(i) g->folded[i] = folded(g->power[i]);
}

HARD static inline __m128i counter(__m128i base, uint32_t number) { return _mm_insert_epi32(base, (int)__builtin_bswap32(number), 3); }

// Eight blocks of the key's stream.
HARD static inline void streamed(const struct Gcm *g, __m128i base, uint32_t number, __m128i stream[8]) {
  EACH(i) stream[i] = _mm_xor_si128(counter(base, number + (uint32_t)i), g->key[0]);
  for (int round = 1; round < 10; round++) EACH(i) stream[i] = _mm_aesenc_si128(stream[i], g->key[round]);
  EACH(i) stream[i] = _mm_aesenclast_si128(stream[i], g->key[10]);
}

// Enciphers or deciphers in place, and hashes what is enciphered.
HARD static inline __attribute__((always_inline)) void
crypt(const struct Gcm *g, const uint8_t nonce[GCM_NONCE], uint8_t *data, size_t length, bool opens, uint8_t tag[GCM_TAG]) {
  uint8_t first[16] = {0};
  memcpy(first, nonce, GCM_NONCE);
  const __m128i base = _mm_loadu_si128((const __m128i *)first);
  __m128i hash = _mm_setzero_si128();
  uint32_t number = 2;
  size_t at = 0;
  for (; at + 128 <= length; at += 128, number += 8) {
    __m128i *block = (__m128i *)(data + at), stream[8], cipher[8];
    streamed(g, base, number, stream);
    EACH(i) {
      __m128i given = _mm_loadu_si128(block + i), made = _mm_xor_si128(given, stream[i]);
      _mm_storeu_si128(block + i, made);
      cipher[i] = reversed(opens ? given : made);
    }
    cipher[0] = _mm_xor_si128(cipher[0], hash);
    Product sum = {0};
    EACH(i) multiply(&sum, cipher[i], g->power[i], g->folded[i]);
    hash = reduced(sum);
  }
  for (; at < length; at += 16, number++) {
    size_t some = length - at < 16 ? length - at : 16;
    uint8_t given[16] = {0}, made[16];
    memcpy(given, data + at, some);
    __m128i stream = encrypted(g, counter(base, number));
    _mm_storeu_si128((__m128i *)made, _mm_xor_si128(_mm_loadu_si128((__m128i *)given), stream));
    memset(made + some, 0, 16 - some);
    memcpy(data + at, made, some);
    __m128i cipher = _mm_loadu_si128((__m128i *)(opens ? given : made));
    hash = times(_mm_xor_si128(hash, reversed(cipher)), g->power[7]);
  }
  // Lengths in bits: nothing is authenticated besides.
  hash = times(_mm_xor_si128(hash, _mm_set_epi64x(0, (long long)length * 8)), g->power[7]);
  _mm_storeu_si128((__m128i *)tag, _mm_xor_si128(reversed(hash), encrypted(g, counter(base, 1))));
}

HARD void gcm_seal(const struct Gcm *g, const uint8_t nonce[GCM_NONCE], uint8_t *data, size_t length, uint8_t tag[GCM_TAG]) {
  crypt(g, nonce, data, length, false, tag);
}

HARD bool gcm_open(const struct Gcm *g, const uint8_t nonce[GCM_NONCE], uint8_t *data, size_t length, const uint8_t tag[GCM_TAG]) {
  uint8_t own[GCM_TAG], other = 0;
  crypt(g, nonce, data, length, true, own);
  for (int i = 0; i < GCM_TAG; i++) other |= own[i] ^ tag[i];
  return other == 0;
}
#else
struct Gcm {
  int none;
};
bool gcm_here(void) { return false; }
void gcm_key(struct Gcm *g, const uint8_t key[GCM_KEY]) { (void)g, (void)key; }
void gcm_seal(const struct Gcm *g, const uint8_t nonce[GCM_NONCE], uint8_t *data, size_t length, uint8_t tag[GCM_TAG]) {
  (void)g, (void)nonce, (void)data, (void)length, (void)tag;
}
bool gcm_open(const struct Gcm *g, const uint8_t nonce[GCM_NONCE], uint8_t *data, size_t length, const uint8_t tag[GCM_TAG]) {
  return (void)g, (void)nonce, (void)data, (void)length, (void)tag, false;
}
#endif

size_t gcm_size(void) { return sizeof(struct Gcm); }
