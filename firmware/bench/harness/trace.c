/* See trace.h. */
#include "trace.h"

static uint32_t hash;

void trace_begin(void)
{
    hash = 0;
}

uint32_t trace_end(void)
{
    return hash;
}

#ifdef NB_TRACE
#include "nb_nn_branch.h"
#include "nb_nn_lstm_int8.h"

/* What the linker calls the function itself, and what it calls in its place. */
#define WRAPPED(name) __real_##name
#define WRAPPER(name) __wrap_##name

void WRAPPED(nb_nn_branch)(const nb_nn_branch_t *branch, const int16_t *x, uint32_t stride, const nb_nn_branch_memory_t *memory,
                           int16_t *mean, int16_t *maximum);
void WRAPPER(nb_nn_branch)(const nb_nn_branch_t *branch, const int16_t *x, uint32_t stride, const nb_nn_branch_memory_t *memory,
                           int16_t *mean, int16_t *maximum);
void WRAPPED(nb_nn_lstm_int8)(const nb_nn_lstm_int8_t *lstm, nb_nn_lstm_int8_step_t *step, const int16_t *x, uint32_t stride,
                              uint32_t steps, int16_t *state, int8_t *hs);
void WRAPPER(nb_nn_lstm_int8)(const nb_nn_lstm_int8_t *lstm, nb_nn_lstm_int8_step_t *step, const int16_t *x, uint32_t stride,
                              uint32_t steps, int16_t *state, int8_t *hs);

static nb_nn_lstm_step_t *watched_step;

static void step_and_look(const nb_nn_lstm_t *lstm, int16_t *row)
{
    watched_step(lstm, row);
    const int16_t *h = row + lstm->row + lstm->inputs;
    for (uint32_t u = 0; u < lstm->units; u++) {
        hash = hash * 31u + (uint16_t)h[u];
    }
}

/* int16x8: the branch as it is, but for a step that is looked at. */
void WRAPPER(nb_nn_branch)(const nb_nn_branch_t *branch, const int16_t *x, uint32_t stride, const nb_nn_branch_memory_t *memory,
                           int16_t *mean, int16_t *maximum)
{
    nb_nn_branch_t watched = *branch;
    watched_step = branch->step;
    watched.step = step_and_look;
    WRAPPED(nb_nn_branch)(&watched, x, stride, memory, mean, maximum);
}

/* int8: it leaves all hidden states behind. */
void WRAPPER(nb_nn_lstm_int8)(const nb_nn_lstm_int8_t *lstm, nb_nn_lstm_int8_step_t *step, const int16_t *x, uint32_t stride,
                              uint32_t steps, int16_t *state, int8_t *hs)
{
    WRAPPED(nb_nn_lstm_int8)(lstm, step, x, stride, steps, state, hs);
    for (uint32_t i = 0; i < steps * lstm->hidden; i++) {
        hash = hash * 31u + (uint16_t)hs[i];
    }
}
#endif
