/* The checksum of bridge messages and of what lies in non-volatile memory. */
#include "nb_crc16.h"

uint16_t nb_crc16(uint16_t crc, const void *data, size_t bytes)
{
    const uint8_t *p = data;
    for (size_t i = 0; i < bytes; i++) {
        /* The byte-wise form without a table: the shifts fold the eight polynomial steps into four. */
        uint8_t x = (uint8_t)(crc >> 8) ^ p[i];
        x ^= x >> 4;
        crc = (uint16_t)((crc << 8) ^ ((uint16_t)x << 12) ^ ((uint16_t)x << 5) ^ x);
    }
    return crc;
}
