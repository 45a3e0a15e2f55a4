// AES-128-GCM without additional data, in place.
#ifndef GCM_H
#define GCM_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { GCM_KEY = 16, GCM_NONCE = 12, GCM_TAG = 16 };
struct Gcm;

// Whether this processor can; nothing else may be called where it cannot.
bool gcm_here(void);
// Bytes of a `struct Gcm`, which wants to lie at a multiple of 16.
size_t gcm_size(void);
void gcm_key(struct Gcm *g, const uint8_t key[GCM_KEY]);
void gcm_seal(const struct Gcm *g, const uint8_t nonce[GCM_NONCE], uint8_t *data, size_t length, uint8_t tag[GCM_TAG]);
// False when it is not what was sealed; the data is then of no use.
bool gcm_open(const struct Gcm *g, const uint8_t nonce[GCM_NONCE], uint8_t *data, size_t length, const uint8_t tag[GCM_TAG]);
#endif
