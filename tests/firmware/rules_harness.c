/* Rules that need hours or power cuts to show on a running band, with a clock and a memory of our own: the pairing window, the
   bonds' two copies, and a sampler whose interrupt is late. Prints what fails; exit status 0 when nothing does. */
#include <stdio.h>
#include <string.h>

#include "nb_bonds.h"
#include "nb_pairing.h"
#include "nb_wire_spec.h"
#include "sampler.h"

static int failures;
#define CHECK(condition) ((condition) ? (void)0 : (void)(failures++, printf("%s:%d: %s\n", __FILE__, __LINE__, #condition)))
#define SECOND           1000000ull

/* --- A memory whose power can be cut after so many bytes ---------------------------------------------------------- */

static uint8_t memory[NB_NVM_SLOTS][NB_NVM_SLOT_BYTES];
static int bytes_until_cut = -1; /* -1: never */

static bool nvm_read(void *port, uint8_t slot, void *data, uint16_t bytes)
{
    (void)port;
    memcpy(data, memory[slot], bytes);
    return true;
}

static bool nvm_write(void *port, uint8_t slot, const void *data, uint16_t bytes)
{
    (void)port;
    const bool cut = bytes_until_cut >= 0 && bytes_until_cut < bytes;
    memcpy(memory[slot], data, cut ? (size_t)bytes_until_cut : bytes);
    return !cut;
}

static const nb_nvm_t NVM = {.read = nvm_read, .write = nvm_write};

static nb_peer_t peer(uint8_t n)
{
    return (nb_peer_t){.address = {n, 1, 2, 3, 4, 5}, .type = 1};
}

static bool has(const nb_bonds_t *bonds, uint8_t n)
{
    const nb_peer_t p = peer(n);
    return nb_bonds_has(bonds, &p);
}

static bool add(nb_bonds_t *bonds, uint8_t n)
{
    const nb_peer_t p = peer(n);
    return nb_bonds_add(bonds, &p);
}

static void test_bonds_survive_a_cut_at_every_byte(void)
{
    for (int cut = 0; cut < (int)NB_NVM_SLOT_BYTES; cut++) {
        nb_bonds_t bonds;
        memset(memory, 0xFF, sizeof memory);
        bytes_until_cut = -1;
        nb_bonds_load(&bonds, &NVM);
        CHECK(bonds.count == 0);
        CHECK(add(&bonds, 1) && add(&bonds, 2));
        bytes_until_cut = cut;
        const bool written = add(&bonds, 3);
        CHECK(has(&bonds, 3) == written);
        bytes_until_cut = -1;
        nb_bonds_load(&bonds, &NVM);
        CHECK(has(&bonds, 1) && has(&bonds, 2));
        CHECK(has(&bonds, 3) == written);
    }
}

static void test_bonds_are_four_and_forgotten_for_good(void)
{
    nb_bonds_t bonds;
    memset(memory, 0, sizeof memory);
    nb_bonds_load(&bonds, &NVM);
    for (uint8_t n = 1; n <= 4; n++)
        CHECK(add(&bonds, n));
    CHECK(add(&bonds, 1)); /* renewed: now the youngest */
    CHECK(add(&bonds, 5)); /* the oldest, 2, gives way */
    CHECK(bonds.count == 4 && has(&bonds, 1) && !has(&bonds, 2) && has(&bonds, 5));
    CHECK(nb_bonds_clear(&bonds));
    memory[bonds.slot][0] ^= 1; /* even when the newest copy is damaged afterwards */
    nb_bonds_load(&bonds, &NVM);
    CHECK(bonds.count == 0);
}

/* --- Pairing window ------------------------------------------------------------------------------------------------- */

static void test_window_closes_after_its_time(void)
{
    nb_pairing_t pairing = {0};
    nb_bonds_t bonds;
    nb_bonds_load(&bonds, &NVM);
    CHECK(!nb_pairing_request(&pairing, 0));
    nb_pairing_open(&pairing, 5 * SECOND);
    CHECK(nb_pairing_request(&pairing, (5 + NB_PAIRING_WINDOW_S) * SECOND - 1));
    const nb_pair_result_t good = {true, true, true, NB_PAIRING_KEY_BYTES, peer(9)};
    CHECK(nb_pairing_result(&pairing, &good, &bonds)); /* begun in time: it may end after */
    nb_pairing_open(&pairing, 5 * SECOND);
    CHECK(!nb_pairing_request(&pairing, (5 + NB_PAIRING_WINDOW_S) * SECOND));
    CHECK(!nb_pairing_is_open(&pairing, (5 + NB_PAIRING_WINDOW_S) * SECOND));
}

static void test_a_bond_that_is_not_kept_is_no_bond(void)
{
    nb_pairing_t pairing = {0};
    nb_bonds_t bonds;
    const nb_pair_result_t good = {true, true, true, NB_PAIRING_KEY_BYTES, peer(77)};
    nb_bonds_load(&bonds, &NVM);
    nb_pairing_open(&pairing, 0);
    CHECK(nb_pairing_request(&pairing, 1));
    bytes_until_cut = 0;
    CHECK(!nb_pairing_result(&pairing, &good, &bonds) && !has(&bonds, 77));
    bytes_until_cut = -1;
}

/* --- Sampler -------------------------------------------------------------------------------------------------------- */

static sampler_t sampler;

/* Slot n carries samples 20 n to 20 n + 19, each its own number. */
static void fill(uint32_t *next_slot)
{
    for (; sampler_has_room(&sampler); ++*next_slot) {
        sampler_slot_t slot = {.eda = (uint16_t)*next_slot};
        for (unsigned i = 0; i < SAMPLER_EMG_PER_SLOT; i++)
            slot.emg[i][0] = slot.emg[i][1] = (int16_t)(*next_slot * SAMPLER_EMG_PER_SLOT + i);
        sampler_put(&sampler, &slot);
    }
}

/* Take every block; checks that samples go on from `*next`, without holes. */
static void drain(uint32_t *next)
{
    for (const sampler_block_t *b; (b = sampler_peek(&sampler)) != NULL; sampler_take(&sampler)) {
        CHECK(b->underruns == 0);
        CHECK(b->eda[1] == (uint16_t)(*next / SAMPLER_EMG_PER_SLOT + 1));
        for (unsigned i = 0; i < NB_EMG_PER_BLOCK; i++)
            CHECK(b->emg[i][1] == (int16_t)(*next)++);
    }
}

static void test_late_interrupts_lose_nothing(void)
{
    memset(&sampler, 0, sizeof sampler);
    uint32_t slot = 0, next = 0;
    fill(&slot);
    CHECK(slot == SAMPLER_SLOTS);
    sampler_start(&sampler, 1000);
    sampler_timer(&sampler, 999);
    CHECK(sampler_peek(&sampler) == NULL && sampler.due_us == 1000);
    sampler_timer(&sampler, 1000 + 2 * SECOND); /* two seconds late */
    CHECK(sampler.samples_taken == 2000);
    drain(&next);
    fill(&slot);
    for (int i = 0; i < 4; i++) { /* ten seconds late: as far as the queue goes, the rest stays due */
        sampler_timer(&sampler, 12 * SECOND);
        drain(&next);
        fill(&slot);
    }
    CHECK(sampler.underruns == 0 && next >= 4 * SAMPLER_BLOCKS * NB_EMG_PER_BLOCK);
}

static void test_stop_gives_back_what_is_no_block(void)
{
    memset(&sampler, 0, sizeof sampler);
    uint32_t slot = 0, next = 0;
    fill(&slot);
    sampler_start(&sampler, 0);
    sampler_timer(&sampler, 95 * 1000); /* two blocks and sixteen samples */
    sampler_stop(&sampler);
    sampler_timer(&sampler, 500 * 1000);
    CHECK(sampler.samples_taken == 2 * NB_EMG_PER_BLOCK);
    drain(&next);
    CHECK(next == 2 * NB_EMG_PER_BLOCK);
    fill(&slot); /* the next samples may come over the freed slots, never over those given back */
    sampler_start(&sampler, 900 * 1000);
    sampler_timer(&sampler, 980 * 1000);
    drain(&next);
    CHECK(next == 4 * NB_EMG_PER_BLOCK);
}

static void put(uint32_t n)
{
    sampler_slot_t slot = {.eda = (uint16_t)n};
    for (unsigned i = 0; i < SAMPLER_EMG_PER_SLOT; i++)
        slot.emg[i][0] = slot.emg[i][1] = (int16_t)(n * SAMPLER_EMG_PER_SLOT + i);
    sampler_put(&sampler, &slot);
}

/* After underruns blocks no longer end where slots do: what is given back begins within one. */
static void test_stop_after_underruns_gives_back_the_right_samples(void)
{
    memset(&sampler, 0, sizeof sampler);
    uint32_t slot = 0, next = 75;
    while (slot < 3)
        put(slot++);
    sampler_start(&sampler, 0);
    sampler_timer(&sampler, 64 * 1000); /* 60 samples, and five ticks without one */
    while (slot < 60)
        put(slot++);
    sampler_timer(&sampler, 110 * 1000);
    CHECK(sampler.samples_taken == 2 * NB_EMG_PER_BLOCK && sampler.underruns == 5);
    sampler_stop(&sampler);
    while (sampler_peek(&sampler))
        sampler_take(&sampler);
    sampler_start(&sampler, 900 * 1000);
    sampler_timer(&sampler, 900 * 1000 + 119 * 1000);
    CHECK(sampler_backlog(&sampler) == 3);
    for (const sampler_block_t *b; (b = sampler_peek(&sampler)) != NULL; sampler_take(&sampler)) {
        CHECK(b->underruns == 0 && b->eda[0] == next / SAMPLER_EMG_PER_SLOT);
        for (unsigned i = 0; i < NB_EMG_PER_BLOCK; i++)
            CHECK(b->emg[i][0] == (int16_t)next++);
    }
}

int main(void)
{
    test_bonds_survive_a_cut_at_every_byte();
    test_bonds_are_four_and_forgotten_for_good();
    test_window_closes_after_its_time();
    test_a_bond_that_is_not_kept_is_no_bond();
    test_late_interrupts_lose_nothing();
    test_stop_gives_back_what_is_no_block();
    test_stop_after_underruns_gives_back_the_right_samples();
    return failures != 0;
}
