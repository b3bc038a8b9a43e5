/* The pairing window; see nb_pairing.h. */
#include "nb_pairing.h"

#include "nb_wire_spec.h"

void nb_pairing_open(nb_pairing_t *pairing, uint64_t now_us)
{
    pairing->closes_us = now_us + NB_PAIRING_WINDOW_S * 1000000ull;
    pairing->failures = 0;
}

bool nb_pairing_is_open(const nb_pairing_t *pairing, uint64_t now_us)
{
    return now_us < pairing->closes_us;
}

static void fail(nb_pairing_t *pairing)
{
    pairing->under_way = false;
    if (++pairing->failures >= NB_PAIRING_FAILURES_MAX)
        pairing->closes_us = 0;
}

bool nb_pairing_request(nb_pairing_t *pairing, uint64_t now_us)
{
    if (pairing->under_way) /* asked anew before the last attempt had a verdict */
        fail(pairing);
    if (!nb_pairing_is_open(pairing, now_us))
        return false;
    pairing->under_way = true;
    return true;
}

bool nb_pairing_result(nb_pairing_t *pairing, const nb_pair_result_t *result, nb_bonds_t *bonds)
{
    const bool good =
        result->success && result->authenticated && result->secure_connections && result->key_bytes >= NB_PAIRING_KEY_BYTES;
    /* A result that the band never agreed to is the stack acting alone: no bond. */
    if (!pairing->under_way || !good || !nb_bonds_add(bonds, &result->peer)) {
        if (pairing->under_way)
            fail(pairing);
        return false;
    }
    pairing->under_way = false;
    pairing->closes_us = 0;
    return true;
}

void nb_pairing_link_lost(nb_pairing_t *pairing)
{
    if (pairing->under_way)
        fail(pairing);
}
