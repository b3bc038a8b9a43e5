/* Sampling: the band's timer takes one sample a millisecond from the front end's ring and hands on blocks of 40 ms.

   The main loop puts slots of 20 ms into the ring and takes blocks out of the queue; the timer's interrupt moves samples from
   one to the other. Both buffers hold 2.5 s, so that neither a long inference nor a stalled host costs a sample. Each side
   writes only its own indices, so no locks are needed. */
#ifndef SAMPLER_H
#define SAMPLER_H
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "nb_features_spec.h"

#define SAMPLER_EMG_PER_SLOT 20u
#define SAMPLER_SLOT_MS      20u
#define SAMPLER_SLOTS        128u
#define SAMPLER_BLOCKS       64u
#define SAMPLER_READY_SLOTS  25u /* half a second: enough to begin with */
#define SAMPLER_RING_MS      (SAMPLER_SLOTS * SAMPLER_SLOT_MS)
_Static_assert(SAMPLER_RING_MS >= 2000u, "the front end's ring holds at least 2 s");
_Static_assert(SAMPLER_BLOCKS *NB_BLOCK_US >= 2000000u, "the block queue holds at least 2 s");

/* What the converters deliver in 20 ms, in counts. */
typedef struct {
    uint16_t eda;
    int16_t accel_mg[NB_ACCEL_CHANNELS];
    int16_t emg[SAMPLER_EMG_PER_SLOT][NB_EMG_CHANNELS];
} sampler_slot_t;

typedef struct {
    uint32_t index; /* in this epoch */
    uint16_t underruns;
    uint16_t eda[NB_EDA_PER_BLOCK];
    int16_t accel_mg[NB_ACCEL_PER_BLOCK][NB_ACCEL_CHANNELS];
    int16_t emg[NB_EMG_PER_BLOCK][NB_EMG_CHANNELS];
} sampler_block_t;

/* A place in the ring: slots taken since boot, and samples of the next one. */
typedef struct {
    uint32_t slot;
    uint32_t sample;
} sampler_place_t;

typedef struct {
    /* The ring: written by the main loop, read by the timer, freed a block at a time. */
    sampler_slot_t slots[SAMPLER_SLOTS];
    _Atomic uint32_t slots_put;
    _Atomic uint32_t slots_freed;
    /* The queue: written by the timer, read by the main loop. */
    sampler_block_t blocks[SAMPLER_BLOCKS];
    _Atomic uint32_t blocks_made;
    _Atomic uint32_t blocks_taken;
    /* The timer's. */
    _Atomic bool running;
    uint64_t due_us; /* of the next sample */
    uint32_t tick;   /* of the block under way */
    uint32_t block;  /* in this epoch */
    sampler_place_t place, block_place;
    sampler_slot_t last;
    uint32_t last_sample;
    _Atomic uint32_t samples_taken; /* in whole blocks of this epoch */
    _Atomic uint32_t underruns;     /* in whole blocks of this epoch */
} sampler_t;

/* --- From the main loop. A zero-initialised sampler is empty and stopped. --- */
bool sampler_has_room(const sampler_t *sampler);
void sampler_put(sampler_t *sampler, const sampler_slot_t *slot);
bool sampler_ready(const sampler_t *sampler);

/* The front end's next sample becomes sample 0, at `t0_us`. */
void sampler_start(sampler_t *sampler, uint64_t t0_us);

/* Whole blocks stay in the queue; samples short of a block go back to the ring. */
void sampler_stop(sampler_t *sampler);

/* The oldest block, valid until sampler_take; NULL when there is none. */
const sampler_block_t *sampler_peek(const sampler_t *sampler);
void sampler_take(sampler_t *sampler);

/* Blocks in the queue. */
uint32_t sampler_backlog(const sampler_t *sampler);

/* --- From the timer's interrupt, about once a millisecond: takes every sample that is due by the device's clock, so that a
   late interrupt delays samples and loses none. --- */
void sampler_timer(sampler_t *sampler, uint64_t now_us);

#endif
