/* The band's own record of the hosts it is bonded with, kept in non-volatile memory.

   Written when pairing ends well, read on every access, deleted by `forget`. It is the firmware's word against the stack's:
   a key that the stack holds and this record does not opens nothing. */
#ifndef NB_BONDS_H
#define NB_BONDS_H
#include <stdbool.h>
#include <stdint.h>

#include "nb_nvm.h"
#include "nb_radio.h"

#define NB_BONDS_MAX 4u

typedef struct {
    const nb_nvm_t *nvm;
    uint32_t generation; /* of the copy that counts */
    uint8_t slot;        /* where that copy lies */
    uint8_t count;
    nb_peer_t peers[NB_BONDS_MAX]; /* oldest first */
} nb_bonds_t;

/* Read the newest whole copy; none is an empty record. */
void nb_bonds_load(nb_bonds_t *bonds, const nb_nvm_t *nvm);

bool nb_bonds_has(const nb_bonds_t *bonds, const nb_peer_t *peer);

/* Add or renew; the oldest gives way to a fifth. False when the memory failed: then the bond is not kept at all. */
bool nb_bonds_add(nb_bonds_t *bonds, const nb_peer_t *peer);

/* Delete all. False when the memory failed; they are gone from RAM all the same. */
bool nb_bonds_clear(nb_bonds_t *bonds);

#endif
