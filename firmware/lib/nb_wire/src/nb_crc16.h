/* CRC-16/CCITT-FALSE: polynomial 0x1021, start 0xFFFF, no reflection; "123456789" gives 0x29B1. */
#ifndef NB_CRC16_H
#define NB_CRC16_H
#include <stddef.h>
#include <stdint.h>

#define NB_CRC16_START 0xFFFFu

/* Continue `crc` over `bytes` of `data`. */
uint16_t nb_crc16(uint16_t crc, const void *data, size_t bytes);

#endif
