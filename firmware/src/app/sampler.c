/* Sampling; see sampler.h. */
#include "sampler.h"

#include <string.h>

#define SAMPLE_US (1000000u / NB_EMG_RATE_HZ)
_Static_assert(NB_EMG_PER_BLOCK % SAMPLER_EMG_PER_SLOT == 0, "a block is whole slots");
_Static_assert(NB_EMG_PER_BLOCK / SAMPLER_EMG_PER_SLOT == NB_EDA_PER_BLOCK && NB_EDA_PER_BLOCK == NB_ACCEL_PER_BLOCK,
               "each slot brings one EDA and one accelerometer sample");

static uint32_t get(const _Atomic uint32_t *index)
{
    return atomic_load_explicit(index, memory_order_acquire);
}

static void set(_Atomic uint32_t *index, uint32_t value)
{
    atomic_store_explicit(index, value, memory_order_release);
}

/* --- Main loop ------------------------------------------------------------------------------------------------------ */

bool sampler_has_room(const sampler_t *sampler)
{
    return get(&sampler->slots_put) - get(&sampler->slots_freed) < SAMPLER_SLOTS;
}

void sampler_put(sampler_t *sampler, const sampler_slot_t *slot)
{
    const uint32_t put = get(&sampler->slots_put);
    sampler->slots[put % SAMPLER_SLOTS] = *slot;
    set(&sampler->slots_put, put + 1);
}

bool sampler_ready(const sampler_t *sampler)
{
    return get(&sampler->slots_put) - get(&sampler->slots_freed) >= SAMPLER_READY_SLOTS;
}

void sampler_start(sampler_t *sampler, uint64_t t0_us)
{
    set(&sampler->blocks_made, 0);
    set(&sampler->blocks_taken, 0);
    set(&sampler->samples_taken, 0);
    set(&sampler->underruns, 0);
    sampler->due_us = t0_us;
    sampler->tick = sampler->block = 0;
    sampler->block_place = sampler->place;
    atomic_store_explicit(&sampler->running, true, memory_order_release);
}

void sampler_stop(sampler_t *sampler)
{
    atomic_store_explicit(&sampler->running, false, memory_order_release);
    sampler->place = sampler->block_place;
    if (sampler->place.sample) /* within a slot, since underruns shift blocks against slots: the one that is not freed yet */
        sampler->last = sampler->slots[sampler->place.slot % SAMPLER_SLOTS];
}

const sampler_block_t *sampler_peek(const sampler_t *sampler)
{
    const uint32_t taken = get(&sampler->blocks_taken);
    return taken == get(&sampler->blocks_made) ? NULL : &sampler->blocks[taken % SAMPLER_BLOCKS];
}

void sampler_take(sampler_t *sampler)
{
    set(&sampler->blocks_taken, get(&sampler->blocks_taken) + 1);
}

uint32_t sampler_backlog(const sampler_t *sampler)
{
    return get(&sampler->blocks_made) - get(&sampler->blocks_taken);
}

/* --- Timer ---------------------------------------------------------------------------------------------------------- */

/* The next sample into `last` and `last_sample`; false when the ring is empty and the last one has to do once more. */
static bool advance(sampler_t *sampler)
{
    if (sampler->place.sample == 0) {
        if (sampler->place.slot == get(&sampler->slots_put))
            return false;
        sampler->last = sampler->slots[sampler->place.slot % SAMPLER_SLOTS];
    }
    sampler->last_sample = sampler->place.sample;
    if (++sampler->place.sample == SAMPLER_EMG_PER_SLOT)
        sampler->place = (sampler_place_t){.slot = sampler->place.slot + 1};
    return true;
}

static void finish_block(sampler_t *sampler, const sampler_block_t *block)
{
    set(&sampler->samples_taken, get(&sampler->samples_taken) + NB_EMG_PER_BLOCK);
    set(&sampler->underruns, get(&sampler->underruns) + block->underruns);
    set(&sampler->slots_freed, sampler->place.slot);
    set(&sampler->blocks_made, get(&sampler->blocks_made) + 1);
    sampler->block_place = sampler->place;
    sampler->tick = 0;
    sampler->block++;
}

static void take_sample(sampler_t *sampler)
{
    sampler_block_t *block = &sampler->blocks[get(&sampler->blocks_made) % SAMPLER_BLOCKS];
    const uint32_t tick = sampler->tick;
    if (tick == 0) {
        block->index = sampler->block;
        block->underruns = 0;
    }
    block->underruns = (uint16_t)(block->underruns + !advance(sampler));
    memcpy(block->emg[tick], sampler->last.emg[sampler->last_sample], sizeof block->emg[tick]);
    if (tick % SAMPLER_EMG_PER_SLOT == 0) {
        block->eda[tick / SAMPLER_EMG_PER_SLOT] = sampler->last.eda;
        memcpy(block->accel_mg[tick / SAMPLER_EMG_PER_SLOT], sampler->last.accel_mg, sizeof sampler->last.accel_mg);
    }
    if (++sampler->tick == NB_EMG_PER_BLOCK)
        finish_block(sampler, block);
}

void sampler_timer(sampler_t *sampler, uint64_t now_us)
{
    if (!atomic_load_explicit(&sampler->running, memory_order_acquire))
        return;
    /* With the queue full samples stay due: they are taken once the main loop has caught up. */
    while (now_us >= sampler->due_us && sampler_backlog(sampler) < SAMPLER_BLOCKS) {
        take_sample(sampler);
        sampler->due_us += SAMPLE_US;
    }
}
