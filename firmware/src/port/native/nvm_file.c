/* nb_nvm_t over a file; see nvm_file.h. */
#define _POSIX_C_SOURCE 200809L
#include "nvm_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static int file = -1;
static uint8_t memory[NB_NVM_SLOTS][NB_NVM_SLOT_BYTES];

static bool in_range(uint8_t slot, uint16_t bytes)
{
    return slot < NB_NVM_SLOTS && bytes <= NB_NVM_SLOT_BYTES;
}

static bool nvm_read(void *port, uint8_t slot, void *data, uint16_t bytes)
{
    (void)port;
    if (!in_range(slot, bytes))
        return false;
    memcpy(data, memory[slot], bytes);
    return true;
}

static bool nvm_write(void *port, uint8_t slot, const void *data, uint16_t bytes)
{
    (void)port;
    if (!in_range(slot, bytes))
        return false;
    memcpy(memory[slot], data, bytes);
    return file < 0 ||
           (pwrite(file, memory[slot], NB_NVM_SLOT_BYTES, slot * NB_NVM_SLOT_BYTES) == NB_NVM_SLOT_BYTES && fdatasync(file) == 0);
}

bool nvm_file_open(nb_nvm_t *nvm, const char *path)
{
    *nvm = (nb_nvm_t){.read = nvm_read, .write = nvm_write};
    if (!path)
        return true;
    file = open(path, O_RDWR | O_CREAT, 0600);
    if (file < 0 || read(file, memory, sizeof memory) < 0) {
        fprintf(stderr, "band: cannot use %s as its memory: %s\n", path, strerror(errno));
        return false;
    }
    return true;
}
