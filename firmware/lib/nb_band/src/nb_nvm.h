/* The port to a little non-volatile memory, for what must outlive a reset.

   Emulated boards give a file or a memory backed by one. On NOR flash the port turns a write into erase and program of the
   whole slot; nb_bonds never overwrites the copy that counts, so a write that power cuts short loses nothing. */
#ifndef NB_NVM_H
#define NB_NVM_H
#include <stdbool.h>
#include <stdint.h>

#define NB_NVM_SLOTS      2u
#define NB_NVM_SLOT_BYTES 128u

typedef struct {
    void *port;
    /* `bytes` (at most NB_NVM_SLOT_BYTES) from the start of a slot; false when the memory fails. */
    bool (*read)(void *port, uint8_t slot, void *data, uint16_t bytes);
    bool (*write)(void *port, uint8_t slot, const void *data, uint16_t bytes);
} nb_nvm_t;

#endif
