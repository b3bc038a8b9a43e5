/* nb_radio_t over the radio channel; see nb_bridge_radio.h. Messages of a wrong length are ignored: nothing is read past them. */
#include "nb_bridge_radio.h"

#include <string.h>

#include "nb_wire_spec.h"

#define MESSAGES_A_POLL 16u /* so that a chatty radio cannot keep the main loop from the samples */

/* --- Calls of the band ---------------------------------------------------------------------------------------------- */

static void register_attributes(void *port, const nb_radio_attribute_t *table, uint8_t count)
{
    nb_bridge_radio_t *r = port;
    for (uint8_t i = 0; i <= count; i++) {
        nb_msg_radio_register_t m = {0}; /* attr = 0 ends the table */
        if (i < count) {
            m = (nb_msg_radio_register_t){
                .attr = table[i].attr, .properties = table[i].properties, .security = table[i].security};
            memcpy(m.uuid, table[i].uuid_le, sizeof m.uuid);
        }
        nb_bridge_send(&r->bridge, NB_MSG_RADIO_REGISTER, &m, sizeof m, NULL, 0);
    }
}

static void advertise(void *port, bool on, const uint8_t *data, uint8_t bytes)
{
    nb_bridge_radio_t *r = port;
    const nb_msg_radio_advertise_t m = {.on = on};
    nb_bridge_send(&r->bridge, NB_MSG_RADIO_ADVERTISE, &m, sizeof m, data, bytes);
}

static bool notify(void *port, uint16_t attr, const uint8_t *value, uint16_t bytes)
{
    nb_bridge_radio_t *r = port;
    const nb_msg_radio_notify_t m = {.attr = attr};
    if (!r->credits || !nb_bridge_send(&r->bridge, NB_MSG_RADIO_NOTIFY, &m, sizeof m, value, bytes))
        return false;
    r->credits--;
    return true;
}

static void disconnect(void *port)
{
    nb_bridge_radio_t *r = port;
    nb_bridge_send(&r->bridge, NB_MSG_RADIO_DISCONNECT, NULL, 0, NULL, 0);
}

static void forget(void *port)
{
    nb_bridge_radio_t *r = port;
    nb_bridge_send(&r->bridge, NB_MSG_RADIO_FORGET, NULL, 0, NULL, 0);
}

/* --- Messages from the radio ---------------------------------------------------------------------------------------- */

static nb_peer_t peer_of(const uint8_t address[6], uint8_t type)
{
    nb_peer_t peer = {.type = type};
    memcpy(peer.address, address, sizeof peer.address);
    return peer;
}

static void on_ready(nb_bridge_radio_t *r, const uint8_t *payload, uint16_t bytes)
{
    (void)payload, (void)bytes;
    r->credits = 0;
    r->events.ready(r->events.band);
}

static void on_link(nb_bridge_radio_t *r, const uint8_t *payload, uint16_t bytes)
{
    nb_msg_radio_link_t m;
    (void)bytes;
    memcpy(&m, payload, sizeof m);
    if (!m.connected)
        r->credits = 0;
    const nb_link_t link = {.connected = m.connected,
                            .encrypted = m.encrypted,
                            .authenticated = m.authenticated,
                            .secure_connections = m.secure_connections,
                            .key_bytes = m.key_bytes,
                            .peer = peer_of(m.peer, m.peer_type),
                            .att_mtu = m.att_mtu};
    r->events.link(r->events.band, &link);
}

static void on_pair_request(nb_bridge_radio_t *r, const uint8_t *payload, uint16_t bytes)
{
    nb_msg_radio_pair_request_t m;
    (void)bytes;
    memcpy(&m, payload, sizeof m);
    const nb_peer_t peer = peer_of(m.peer, m.peer_type);
    uint32_t passkey = 0;
    const bool accept = r->events.pair_request(r->events.band, &peer, &passkey);
    const nb_msg_radio_pair_answer_t a = {.accept = accept, .passkey = accept ? passkey : 0};
    nb_bridge_send(&r->bridge, NB_MSG_RADIO_PAIR_ANSWER, &a, sizeof a, NULL, 0);
}

static void on_pair_result(nb_bridge_radio_t *r, const uint8_t *payload, uint16_t bytes)
{
    nb_msg_radio_pair_result_t m;
    (void)bytes;
    memcpy(&m, payload, sizeof m);
    const nb_pair_result_t result = {.success = m.success,
                                     .authenticated = m.authenticated,
                                     .secure_connections = m.secure_connections,
                                     .key_bytes = m.key_bytes,
                                     .peer = peer_of(m.peer, m.peer_type)};
    r->events.pair_result(r->events.band, &result);
}

static void on_read(nb_bridge_radio_t *r, const uint8_t *payload, uint16_t bytes)
{
    nb_msg_radio_read_t m;
    (void)bytes;
    memcpy(&m, payload, sizeof m);
    uint8_t value[NB_RADIO_VALUE_BYTES_MAX];
    uint16_t value_bytes = 0;
    nb_msg_radio_read_answer_t a = {.attr = m.attr};
    a.att_error = r->events.read(r->events.band, m.attr, value, &value_bytes);
    nb_bridge_send(&r->bridge, NB_MSG_RADIO_READ_ANSWER, &a, sizeof a, value, a.att_error ? 0 : value_bytes);
}

static void answer_write(nb_bridge_radio_t *r, uint16_t attr, uint8_t att_error)
{
    const nb_msg_radio_write_answer_t a = {.attr = attr, .att_error = att_error};
    nb_bridge_send(&r->bridge, NB_MSG_RADIO_WRITE_ANSWER, &a, sizeof a, NULL, 0);
}

static void on_write(nb_bridge_radio_t *r, const uint8_t *payload, uint16_t bytes)
{
    nb_msg_radio_write_t m;
    memcpy(&m, payload, sizeof m);
    answer_write(r, m.attr, r->events.write(r->events.band, m.attr, payload + sizeof m, (uint16_t)(bytes - sizeof m)));
}

static void on_subscribe(nb_bridge_radio_t *r, const uint8_t *payload, uint16_t bytes)
{
    nb_msg_radio_subscribe_t m;
    (void)bytes;
    memcpy(&m, payload, sizeof m);
    answer_write(r, m.attr, r->events.subscribe(r->events.band, m.attr, m.on));
}

static void on_credit(nb_bridge_radio_t *r, const uint8_t *payload, uint16_t bytes)
{
    nb_msg_radio_credit_t m;
    (void)bytes;
    memcpy(&m, payload, sizeof m);
    const uint32_t sum = (uint32_t)r->credits + m.credits;
    r->credits = sum > UINT16_MAX ? UINT16_MAX : (uint16_t)sum;
}

static const struct {
    uint8_t type;
    uint16_t bytes;
    bool open_ended;
    void (*obey)(nb_bridge_radio_t *r, const uint8_t *payload, uint16_t bytes);
} MESSAGES[] = {
    {NB_MSG_RADIO_READY, 0, false, on_ready},
    {NB_MSG_RADIO_LINK, NB_MSG_RADIO_LINK_BYTES, false, on_link},
    {NB_MSG_RADIO_PAIR_REQUEST, NB_MSG_RADIO_PAIR_REQUEST_BYTES, false, on_pair_request},
    {NB_MSG_RADIO_PAIR_RESULT, NB_MSG_RADIO_PAIR_RESULT_BYTES, false, on_pair_result},
    {NB_MSG_RADIO_READ, NB_MSG_RADIO_READ_BYTES, false, on_read},
    {NB_MSG_RADIO_WRITE, NB_MSG_RADIO_WRITE_BYTES, true, on_write},
    {NB_MSG_RADIO_SUBSCRIBE, NB_MSG_RADIO_SUBSCRIBE_BYTES, false, on_subscribe},
    {NB_MSG_RADIO_CREDIT, NB_MSG_RADIO_CREDIT_BYTES, false, on_credit},
};

void nb_bridge_radio_init(nb_bridge_radio_t *r, const nb_channel_t *channel)
{
    nb_bridge_init(&r->bridge, channel);
    r->credits = 0;
    r->radio = (nb_radio_t){.port = r,
                            .register_attributes = register_attributes,
                            .advertise = advertise,
                            .notify = notify,
                            .disconnect = disconnect,
                            .forget = forget};
}

void nb_bridge_radio_listen(nb_bridge_radio_t *r, const nb_radio_events_t *events)
{
    r->events = *events;
}

void nb_bridge_radio_poll(nb_bridge_radio_t *r)
{
    nb_bridge_message_t m;
    for (unsigned n = 0; n < MESSAGES_A_POLL && nb_bridge_receive(&r->bridge, &m); n++)
        for (size_t i = 0; i < sizeof MESSAGES / sizeof *MESSAGES; i++)
            if (MESSAGES[i].type == m.type &&
                (m.bytes == MESSAGES[i].bytes || (MESSAGES[i].open_ended && m.bytes > MESSAGES[i].bytes)))
                MESSAGES[i].obey(r, m.payload, m.bytes);
}
