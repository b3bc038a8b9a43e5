/* Non-volatile memory: the board's PSRAM at 0x21000000, which QEMU backs with a file. */
#ifndef NVM_PSRAM_H
#define NVM_PSRAM_H
#include "nb_nvm.h"

extern const nb_nvm_t nvm_psram;

#endif
