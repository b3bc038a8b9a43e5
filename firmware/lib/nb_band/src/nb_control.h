/* The control point: one request in, one response out. Called by nb_band once access is granted. */
#ifndef NB_CONTROL_H
#define NB_CONTROL_H
#include "nb_band.h"

#define NB_CONTROL_RESPONSE_HEAD 2u /* op, result */

/* Obey a request (1 byte or more) and queue the response. Returns an ATT error when no response can be given. */
uint8_t nb_control_write(nb_band_t *band, const uint8_t *request, uint16_t bytes);

/* Queue the response to `stop`. */
void nb_control_stopped(nb_band_t *band);

#endif
