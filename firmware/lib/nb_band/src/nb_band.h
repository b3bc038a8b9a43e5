/* The band service: what a host sees over BLE, and who may see it.

   Between the radio port (nb_radio.h) and the application, which hands over records as they are made and runs sessions when
   a host asks for them. Every decision on access is here: an attribute that wire.toml marks `bonded` opens only on an
   encrypted link, authenticated by passkey with LE Secure Connections and a 16-byte key, from a host in nb_bonds. */
#ifndef NB_BAND_H
#define NB_BAND_H
#include <stdbool.h>
#include <stdint.h>

#include "nb_bonds.h"
#include "nb_features_spec.h"
#include "nb_nvm.h"
#include "nb_pairing.h"
#include "nb_radio.h"
#include "nb_stream.h"

#define NB_SERIAL_BYTES        8u
#define NB_MANIFEST_DATA_BYTES 500u /* of a page; with its header it stays within a 512-byte attribute */

/* What the factory wrote on the band and its label. */
typedef struct {
    uint8_t serial[NB_SERIAL_BYTES]; /* ASCII */
    uint32_t passkey;                /* 0-999999 */
    uint8_t sites[NB_EMG_CHANNELS];  /* NB_SITE_* of each EMG channel */
} nb_identity_t;

/* What the application does for the band. */
typedef struct {
    void *app;
    uint64_t (*now_us)(void *app);
    /* Are enough samples buffered to begin? */
    bool (*ready)(void *app);
    /* Begin; the device time of sample 0. */
    uint64_t (*start)(void *app);
    /* Stop sampling. Then hand over the records of the whole blocks taken and call nb_band_finish, or discard them. */
    void (*stop)(void *app, bool discard);
    /* EMG samples taken and underruns in this epoch. */
    void (*counters)(void *app, uint32_t *samples_taken, uint32_t *underruns);
} nb_session_t;

/* All state, owned by the caller. */
typedef struct {
    const nb_radio_t *radio;
    const nb_session_t *session;
    nb_bonds_t bonds;
    nb_pairing_t pairing;
    nb_stream_t stream;
    nb_identity_t identity;
    bool identified;
    bool radio_up;
    nb_link_t link;
    uint8_t subscribed; /* bits SUBSCRIBED_* of nb_band.c */
    uint16_t manifest_page;
    bool running;
    bool stopping; /* `stop` was obeyed: what was sampled is on its way out, then comes the response */
    uint64_t stopping_until_us;
    bool stop_unanswered; /* the host that asked for it is still there to be answered */
    bool closing;         /* `forget` was obeyed: only its response is still to go */
    uint64_t closing_until_us;
    uint32_t predictions;
    uint8_t battery_percent;
} nb_band_t;

/* Reads the bonds. The radio must call the events of nb_band_events from then on. */
void nb_band_init(nb_band_t *band, const nb_radio_t *radio, const nb_nvm_t *nvm, const nb_session_t *session);
nb_radio_events_t nb_band_events(nb_band_t *band);

/* Who this band is; it advertises once it knows. */
void nb_band_identify(nb_band_t *band, const nb_identity_t *identity);
void nb_band_button(nb_band_t *band);
void nb_band_battery(nb_band_t *band, uint8_t percent);

/* A record of the stream. Signals and motion are left out when a host listens on a link too narrow for them; else it takes a
   sequence number and is queued, or dropped and counted when no secured, subscribed link or no room is there. */
void nb_band_record(nb_band_t *band, uint8_t kind, uint64_t t_us, const void *record, uint16_t bytes);

/* Is there room for the records of one more block? Without it, better wait: the sampler's queue is the longer one. */
bool nb_band_has_room(const nb_band_t *band);

/* `stop` was asked for, and there is still time to wait for room. */
bool nb_band_may_wait(const nb_band_t *band);

/* The application has handed over everything that was sampled: ends the session, if it is to end. */
void nb_band_finish(nb_band_t *band);

/* A status record, made now. */
void nb_band_send_status(nb_band_t *band);

/* The electrode sites are those that the model was trained on. */
bool nb_band_sites_match(const nb_band_t *band);

/* Sends what waits. Call it often. */
void nb_band_poll(nb_band_t *band);

#endif
