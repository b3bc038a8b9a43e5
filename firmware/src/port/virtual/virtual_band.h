/* What the emulated boards share: the application behind three byte channels (bridge.toml) instead of real parts. */
#ifndef VIRTUAL_BAND_H
#define VIRTUAL_BAND_H
#include "app.h"
#include "nb_bridge.h"

typedef struct {
    const char *name; /* at most 8 characters, said in `boot` */
    uint64_t (*now_us)(void);
    const nb_nvm_t *nvm;
    nb_channel_t radio, front_end, board;
} virtual_board_t;

/* Boot. `board` stays valid. */
void virtual_band_init(const virtual_board_t *board);

/* From the main loop. */
void virtual_band_poll(void);

/* From the timer's interrupt, once a millisecond. */
void virtual_band_timer(void);

#endif
