/* The band service; see nb_band.h. */
#include "nb_band.h"

#include <string.h>

#include "nb_control.h"
#include "nb_model.h"
#include "nb_version.h"
#include "nb_wire_spec.h"

#define SUBSCRIBED_STREAM  0x01u
#define SUBSCRIBED_CONTROL 0x02u
#define NAME_SERIAL_BYTES  4u
#define RECORDS_A_BLOCK    5u /* at most one of each kind */

static const nb_radio_attribute_t ATTRIBUTES[] = {
#define ROW(n) {NB_ATTR_##n, NB_ATTR_##n##_PROPERTIES, NB_ATTR_##n##_SECURITY, NB_UUID_##n##_LE},
    NB_ATTRIBUTES(ROW)
#undef ROW
};
#define ATTRIBUTE_COUNT (sizeof ATTRIBUTES / sizeof *ATTRIBUTES)

static uint64_t now_us(const nb_band_t *band)
{
    return band->session->now_us(band->session->app);
}

/* --- Security ------------------------------------------------------------------------------------------------------- */

/* wire.toml's `bonded`, from the band's own record of the bond. */
static bool link_is_bonded(const nb_band_t *band)
{
    const nb_link_t *l = &band->link;
    return l->connected && l->encrypted && l->authenticated && l->secure_connections && l->key_bytes >= NB_PAIRING_KEY_BYTES &&
           nb_bonds_has(&band->bonds, &l->peer);
}

/* May this link use `property` of this attribute now? An ATT error otherwise. */
static uint8_t check_access(const nb_band_t *band, uint16_t attr, uint8_t property, uint8_t error)
{
    for (size_t i = 0; i < ATTRIBUTE_COUNT; i++) {
        if (ATTRIBUTES[i].attr != attr)
            continue;
        if (!(ATTRIBUTES[i].properties & property))
            return error;
        if (ATTRIBUTES[i].security != NB_SECURITY_OPEN && !link_is_bonded(band))
            return NB_ATT_ERROR_INSUFFICIENT_AUTHENTICATION;
        return NB_ATT_OK;
    }
    return NB_ATT_NOT_FOUND;
}

/* --- Values --------------------------------------------------------------------------------------------------------- */

static bool signals_withheld(const nb_band_t *band)
{
    return band->link.connected && band->link.att_mtu < NB_ATT_MTU_SIGNALS_MIN;
}

static nb_status_t make_status(const nb_band_t *band)
{
    const nb_session_t *session = band->session;
    uint32_t samples_taken, underruns;
    session->counters(session->app, &samples_taken, &underruns);
    const unsigned flags = (signals_withheld(band) ? NB_STATUS_FLAG_SIGNALS_WITHHELD : 0u) |
                           (nb_pairing_is_open(&band->pairing, now_us(band)) ? NB_STATUS_FLAG_PAIRING_OPEN : 0u) |
                           (band->bonds.count ? NB_STATUS_FLAG_BONDED : 0u) |
                           (session->ready(session->app) ? NB_STATUS_FLAG_FRONT_END_READY : 0u);
    return (nb_status_t){
        .state = band->running ? NB_STATE_RUNNING : NB_STATE_IDLE,
        .battery_percent = band->battery_percent,
        .flags = (uint16_t)flags,
        .samples_taken = samples_taken,
        .underruns = underruns,
        .frames_sent = band->stream.frames_sent,
        .frames_dropped = band->stream.frames_dropped,
        .predictions = band->predictions,
    };
}

static nb_info_t make_info(void)
{
    nb_info_t info = {.wire_major = NB_WIRE_MAJOR,
                      .wire_minor = NB_WIRE_MINOR,
                      .firmware_version = NB_FIRMWARE_VERSION,
                      .spec_hash = NB_SPEC_HASH};
    memcpy(info.model_hash, nb_model_info.manifest_hash, sizeof info.model_hash);
    return info;
}

static uint16_t manifest_pages(void)
{
    return (uint16_t)((nb_model_info.manifest_bytes + NB_MANIFEST_DATA_BYTES - 1u) / NB_MANIFEST_DATA_BYTES);
}

static uint16_t make_manifest_page(uint16_t page, uint8_t *value)
{
    _Static_assert(sizeof(nb_manifest_page_t) + NB_MANIFEST_DATA_BYTES <= NB_RADIO_VALUE_BYTES_MAX, "a page is one value");
    const nb_manifest_page_t head = {.page = page, .pages = manifest_pages(), .bytes_total = nb_model_info.manifest_bytes};
    const uint32_t at = page * NB_MANIFEST_DATA_BYTES;
    const uint32_t left = nb_model_info.manifest_bytes - at;
    const uint32_t bytes = left < NB_MANIFEST_DATA_BYTES ? left : NB_MANIFEST_DATA_BYTES;
    memcpy(value, &head, sizeof head);
    memcpy(value + sizeof head, nb_model_info.manifest + at, bytes);
    return (uint16_t)(sizeof head + bytes);
}

/* --- Advertising ---------------------------------------------------------------------------------------------------- */

/* Flags, the service and the name: 29 of 31 bytes, because some scanners never see a scan response. */
static void advertise(nb_band_t *band)
{
    static const uint8_t uuid[] = NB_UUID_SERVICE_LE;
    const size_t prefix = sizeof NB_NAME_PREFIX - 1u;
    uint8_t data[3 + 2 + sizeof uuid + 2 + sizeof NB_NAME_PREFIX - 1u + NAME_SERIAL_BYTES];
    _Static_assert(sizeof data <= NB_RADIO_ADVERTISING_BYTES_MAX, "advertising data is at most 31 bytes");
    if (!band->radio_up || !band->identified || band->link.connected)
        return;
    uint8_t *p = data;
    memcpy(p, (const uint8_t[]){2, 0x01, 0x06}, 3); /* general discoverable, no BR/EDR */
    p += 3;
    memcpy(p, (const uint8_t[]){1 + sizeof uuid, 0x07}, 2); /* complete list of 128-bit services */
    memcpy(p + 2, uuid, sizeof uuid);
    p += 2 + sizeof uuid;
    memcpy(p, (const uint8_t[]){(uint8_t)(1 + prefix + NAME_SERIAL_BYTES), 0x09}, 2); /* complete local name */
    memcpy(p + 2, NB_NAME_PREFIX, prefix);
    memcpy(p + 2 + prefix, band->identity.serial + NB_SERIAL_BYTES - NAME_SERIAL_BYTES, NAME_SERIAL_BYTES);
    band->radio->advertise(band->radio->port, true, data, sizeof data);
}

/* --- What the radio tells ------------------------------------------------------------------------------------------- */

static void link_reset(nb_band_t *band)
{
    band->subscribed = 0;
    band->manifest_page = 0;
    band->closing = band->stop_unanswered = false;
    nb_stream_clear(&band->stream);
}

static void on_ready(void *context)
{
    nb_band_t *band = context;
    nb_pairing_link_lost(&band->pairing);
    if (band->closing) /* `forget` was under way: the stack's keys still have to go */
        band->radio->forget(band->radio->port);
    band->link = (nb_link_t){0};
    link_reset(band);
    band->radio_up = true;
    band->radio->register_attributes(band->radio->port, ATTRIBUTES, ATTRIBUTE_COUNT);
    advertise(band);
}

static void on_link(void *context, const nb_link_t *link)
{
    nb_band_t *band = context;
    const bool was_connected = band->link.connected;
    const bool same_peer = memcmp(&band->link.peer, &link->peer, sizeof link->peer) == 0;
    band->link = *link;
    if (band->closing && link->connected)
        return;
    if (band->closing) /* the host hung up first: the stack's keys still have to go */
        band->radio->forget(band->radio->port);
    /* What one host asked for is never another's, whether or not the stack told of the change in between. */
    if (was_connected != link->connected || !same_peer || !link_is_bonded(band))
        link_reset(band);
    if (was_connected && !link->connected) {
        nb_pairing_link_lost(&band->pairing);
        advertise(band);
    }
}

static bool on_pair_request(void *context, const nb_peer_t *peer, uint32_t *passkey)
{
    nb_band_t *band = context;
    (void)peer; /* any host that can read the label */
    *passkey = band->identity.passkey;
    return band->identified && band->link.connected && nb_pairing_request(&band->pairing, now_us(band));
}

static void on_pair_result(void *context, const nb_pair_result_t *result)
{
    nb_band_t *band = context;
    if (!nb_pairing_result(&band->pairing, result, &band->bonds) && result->success)
        band->radio->disconnect(band->radio->port); /* the stack is content, the band is not */
}

static uint8_t on_read(void *context, uint16_t attr, uint8_t *value, uint16_t *bytes)
{
    nb_band_t *band = context;
    *bytes = 0;
    const uint8_t error = check_access(band, attr, NB_PROPERTY_READ, NB_ATT_READ_NOT_PERMITTED);
    if (error)
        return error;
    if (attr == NB_ATTR_MANIFEST) {
        *bytes = make_manifest_page(band->manifest_page, value);
    } else if (attr == NB_ATTR_STATUS) {
        const nb_status_t status = make_status(band);
        memcpy(value, &status, sizeof status);
        *bytes = sizeof status;
    } else {
        const nb_info_t info = make_info();
        memcpy(value, &info, sizeof info);
        *bytes = sizeof info;
    }
    return NB_ATT_OK;
}

static uint8_t write_manifest_page(nb_band_t *band, const uint8_t *value, uint16_t bytes)
{
    if (bytes != 2)
        return NB_ATT_BAD_LENGTH;
    const uint16_t page = (uint16_t)(value[0] | value[1] << 8);
    if (page >= manifest_pages())
        return NB_ATT_VALUE_NOT_ALLOWED;
    band->manifest_page = page;
    return NB_ATT_OK;
}

static uint8_t on_write(void *context, uint16_t attr, const uint8_t *value, uint16_t bytes)
{
    nb_band_t *band = context;
    const uint8_t error = check_access(band, attr, NB_PROPERTY_WRITE, NB_ATT_WRITE_NOT_PERMITTED);
    if (error)
        return error;
    if (attr == NB_ATTR_MANIFEST)
        return write_manifest_page(band, value, bytes);
    if (band->closing)
        return NB_ATT_BUSY;
    if (!(band->subscribed & SUBSCRIBED_CONTROL)) /* the response is a notification */
        return NB_ATT_CCCD_IMPROPER;
    return nb_control_write(band, value, bytes);
}

static uint8_t on_subscribe(void *context, uint16_t attr, bool on)
{
    nb_band_t *band = context;
    const uint8_t error = check_access(band, attr, NB_PROPERTY_NOTIFY, NB_ATT_NOT_SUPPORTED);
    if (error)
        return error;
    const uint8_t bit = attr == NB_ATTR_STREAM ? SUBSCRIBED_STREAM : SUBSCRIBED_CONTROL;
    band->subscribed = (uint8_t)(on ? band->subscribed | bit : band->subscribed & ~bit);
    if (!on)
        nb_stream_withdraw(&band->stream, attr);
    if (!on && attr == NB_ATTR_CONTROL)
        band->stop_unanswered = false;
    return NB_ATT_OK;
}

/* --- What the application calls ------------------------------------------------------------------------------------- */

void nb_band_init(nb_band_t *band, const nb_radio_t *radio, const nb_nvm_t *nvm, const nb_session_t *session)
{
    memset(band, 0, sizeof *band);
    band->radio = radio;
    band->session = session;
    band->battery_percent = 100;
    nb_bonds_load(&band->bonds, nvm);
}

nb_radio_events_t nb_band_events(nb_band_t *band)
{
    return (nb_radio_events_t){.band = band,
                               .ready = on_ready,
                               .link = on_link,
                               .pair_request = on_pair_request,
                               .pair_result = on_pair_result,
                               .read = on_read,
                               .write = on_write,
                               .subscribe = on_subscribe};
}

void nb_band_identify(nb_band_t *band, const nb_identity_t *identity)
{
    band->identity = *identity;
    band->identified = identity->passkey <= NB_RADIO_PASSKEY_MAX;
    advertise(band);
}

void nb_band_button(nb_band_t *band)
{
    nb_pairing_open(&band->pairing, now_us(band));
}

void nb_band_battery(nb_band_t *band, uint8_t percent)
{
    band->battery_percent = percent;
}

void nb_band_record(nb_band_t *band, uint8_t kind, uint64_t t_us, const void *record, uint16_t bytes)
{
    band->predictions += kind == NB_KIND_PREDICTION;
    const bool heard = (band->subscribed & SUBSCRIBED_STREAM) && link_is_bonded(band);
    /* Only from a host that listens, and is told so, are signals withheld. While a link is being made again (its MTU begins at
       23) they are lost, and must leave holes. */
    if (heard && (kind == NB_KIND_SIGNALS || kind == NB_KIND_MOTION) && signals_withheld(band))
        return;
    const bool fits = NB_FRAME_HEADER_BYTES + bytes + NB_ATT_OVERHEAD <= band->link.att_mtu;
    nb_stream_frame(&band->stream, heard && fits, kind, t_us, record, bytes);
}

bool nb_band_has_room(const nb_band_t *band)
{
    return band->stream.count + RECORDS_A_BLOCK <= NB_STREAM_QUEUE - NB_STREAM_RESERVED;
}

bool nb_band_may_wait(const nb_band_t *band)
{
    return !band->stopping || now_us(band) < band->stopping_until_us;
}

void nb_band_finish(nb_band_t *band)
{
    if (!band->stopping)
        return;
    band->running = band->stopping = false;
    nb_band_send_status(band);
    if (band->stop_unanswered)
        nb_control_stopped(band);
    band->stop_unanswered = false;
}

void nb_band_send_status(nb_band_t *band)
{
    const nb_status_t status = make_status(band);
    nb_band_record(band, NB_KIND_STATUS, now_us(band), &status, sizeof status);
}

bool nb_band_sites_match(const nb_band_t *band)
{
    for (unsigned i = 0; i < NB_EMG_CHANNELS; i++)
        if (nb_model_info.sites[i] && nb_model_info.sites[i] != band->identity.sites[i])
            return false;
    return true;
}

void nb_band_poll(nb_band_t *band)
{
    if (band->closing) {
        nb_stream_flush(&band->stream, band->radio); /* holds nothing but `forget`'s own response */
        if (band->stream.count && now_us(band) < band->closing_until_us)
            return;
        link_reset(band);
        band->radio->forget(band->radio->port);
        band->radio->disconnect(band->radio->port);
    } else if (link_is_bonded(band)) {
        nb_stream_flush(&band->stream, band->radio);
    }
}
