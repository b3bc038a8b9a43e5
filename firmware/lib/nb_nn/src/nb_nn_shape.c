/* See nb_nn_shape.h. */
#include "nb_nn_shape.h"

#include <string.h>

/* Single elements without a call. */
static inline void copy_run(uint8_t *to, const uint8_t *from, uint32_t bytes)
{
    if (bytes == 1) {
        *to = *from;
    } else if (bytes == 2) {
        memcpy(to, from, 2);
    } else {
        memcpy(to, from, bytes);
    }
}

void nb_nn_copy(const void *x, const nb_nn_block_t *block, void *y)
{
    for (uint32_t i = 0; i < block->count[0]; i++) {
        for (uint32_t j = 0; j < block->count[1]; j++) {
            const uint8_t *from = (const uint8_t *)x + (int32_t)i * block->from[0] + (int32_t)j * block->from[1];
            uint8_t *to = (uint8_t *)y + (int32_t)i * block->to[0] + (int32_t)j * block->to[1];
            for (uint32_t k = 0; k < block->count[2]; k++, from += block->from[2], to += block->to[2]) {
                copy_run(to, from, block->bytes);
            }
        }
    }
}

void nb_nn_fill(void *y, uint32_t bytes, int32_t value)
{
    memset(y, value, bytes);
}
