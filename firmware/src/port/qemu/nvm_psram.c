/* nb_nvm_t in the file-backed memory; see nvm_psram.h. */
#include "nvm_psram.h"

#include <string.h>

extern uint8_t __nvm_base[];

static bool in_range(uint8_t slot, uint16_t bytes)
{
    return slot < NB_NVM_SLOTS && bytes <= NB_NVM_SLOT_BYTES;
}

static bool nvm_read(void *port, uint8_t slot, void *data, uint16_t bytes)
{
    (void)port;
    if (!in_range(slot, bytes))
        return false;
    memcpy(data, __nvm_base + slot * NB_NVM_SLOT_BYTES, bytes);
    return true;
}

static bool nvm_write(void *port, uint8_t slot, const void *data, uint16_t bytes)
{
    (void)port;
    if (!in_range(slot, bytes))
        return false;
    memcpy(__nvm_base + slot * NB_NVM_SLOT_BYTES, data, bytes);
    return true;
}

const nb_nvm_t nvm_psram = {.read = nvm_read, .write = nvm_write};
