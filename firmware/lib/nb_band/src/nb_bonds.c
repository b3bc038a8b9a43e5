/* Two copies take turns, each with a generation and a checksum: the one being written is never the one that counts. */
#include "nb_bonds.h"

#include <stddef.h>
#include <string.h>

#include "nb_crc16.h"

#define MAGIC 0x31424E42u /* "BNB1" */

typedef struct __attribute__((packed)) {
    uint32_t magic;
    uint32_t generation;
    uint8_t count;
    nb_peer_t peers[NB_BONDS_MAX];
    uint16_t crc;
} image_t;
_Static_assert(sizeof(image_t) <= NB_NVM_SLOT_BYTES, "the record must fit a slot");

static uint16_t image_crc(const image_t *image)
{
    return nb_crc16(NB_CRC16_START, image, offsetof(image_t, crc));
}

static bool read_slot(const nb_nvm_t *nvm, uint8_t slot, image_t *image)
{
    return nvm->read(nvm->port, slot, image, sizeof *image) && image->magic == MAGIC && image->count <= NB_BONDS_MAX &&
           image->crc == image_crc(image);
}

static bool save(nb_bonds_t *bonds)
{
    image_t image = {.magic = MAGIC, .generation = bonds->generation + 1, .count = bonds->count};
    memcpy(image.peers, bonds->peers, sizeof image.peers);
    image.crc = image_crc(&image);
    const uint8_t slot = (uint8_t)((bonds->slot + 1u) % NB_NVM_SLOTS);
    if (!bonds->nvm->write(bonds->nvm->port, slot, &image, sizeof image))
        return false;
    bonds->slot = slot;
    bonds->generation = image.generation;
    return true;
}

void nb_bonds_load(nb_bonds_t *bonds, const nb_nvm_t *nvm)
{
    *bonds = (nb_bonds_t){.nvm = nvm};
    for (uint8_t slot = 0; slot < NB_NVM_SLOTS; slot++) {
        image_t image;
        /* The difference tells the newer one even after the counter has wrapped. */
        if (!read_slot(nvm, slot, &image) || (bonds->generation && (int32_t)(image.generation - bonds->generation) <= 0))
            continue;
        bonds->generation = image.generation;
        bonds->slot = slot;
        bonds->count = image.count;
        memcpy(bonds->peers, image.peers, sizeof bonds->peers);
    }
}

static uint8_t find(const nb_bonds_t *bonds, const nb_peer_t *peer)
{
    uint8_t i = 0;
    while (i < bonds->count && memcmp(&bonds->peers[i], peer, sizeof *peer) != 0)
        i++;
    return i;
}

bool nb_bonds_has(const nb_bonds_t *bonds, const nb_peer_t *peer)
{
    return find(bonds, peer) < bonds->count;
}

bool nb_bonds_add(nb_bonds_t *bonds, const nb_peer_t *peer)
{
    const nb_bonds_t before = *bonds;
    uint8_t at = find(bonds, peer);
    if (at == NB_BONDS_MAX) /* not there and no room: the oldest goes */
        at = 0;
    if (at < bonds->count) {
        memmove(&bonds->peers[at], &bonds->peers[at + 1], (bonds->count - at - 1u) * sizeof *peer);
        bonds->count--;
    }
    bonds->peers[bonds->count++] = *peer;
    if (save(bonds))
        return true;
    *bonds = before;
    return false;
}

bool nb_bonds_clear(nb_bonds_t *bonds)
{
    bonds->count = 0;
    memset(bonds->peers, 0, sizeof bonds->peers);
    /* Both copies, so that no older one is left to come back. */
    const bool first = save(bonds), second = save(bonds);
    return first && second;
}
