/* Who may pair: only within 60 s of a press on the band's button, and three failures close that window.

   Kept apart from nb_band so that the rules can be read, and tested, on one page. */
#ifndef NB_PAIRING_H
#define NB_PAIRING_H
#include <stdbool.h>
#include <stdint.h>

#include "nb_bonds.h"

typedef struct {
    uint64_t closes_us; /* 0 = closed */
    uint8_t failures;   /* since the window opened */
    bool under_way;     /* accepted, and no result yet */
} nb_pairing_t;

/* The button was pressed. */
void nb_pairing_open(nb_pairing_t *pairing, uint64_t now_us);

bool nb_pairing_is_open(const nb_pairing_t *pairing, uint64_t now_us);

/* A host asks; true when it may go on. */
bool nb_pairing_request(nb_pairing_t *pairing, uint64_t now_us);

/* How it ended. True when the bond is made: good enough for wire.toml's `bonded` and kept. */
bool nb_pairing_result(nb_pairing_t *pairing, const nb_pair_result_t *result, nb_bonds_t *bonds);

/* The link is gone: pairing that was under way has failed, or a guesser could hang up before each verdict. */
void nb_pairing_link_lost(nb_pairing_t *pairing);

#endif
