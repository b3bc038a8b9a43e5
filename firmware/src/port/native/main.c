/* The band as a process on the host: the same application and libraries as on a board, over TCP to the virtual board.

       program --radio PORT --front-end PORT --board PORT [--nvm FILE]

   Ends with 0 on SIGTERM, SIGINT or when a channel closes, with 2 on wrong use. */
#define _POSIX_C_SOURCE 200809L
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "nvm_file.h"
#include "sockets.h"
#include "virtual_band.h"

enum { RADIO, FRONT_END, BOARD, CHANNELS };
static const char *const OPTIONS[CHANNELS] = {"--radio", "--front-end", "--board"};
static socket_channel_t sockets[CHANNELS];
static volatile sig_atomic_t ended;
static struct timespec boot;

static uint64_t now_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)((int64_t)(t.tv_sec - boot.tv_sec) * 1000000 + (t.tv_nsec - boot.tv_nsec) / 1000);
}

static void on_signal(int signal_number)
{
    (void)signal_number;
    ended = 1;
}

static bool parse(int argc, char **argv, unsigned ports[CHANNELS], const char **nvm)
{
    for (int i = 1; i + 1 < argc; i += 2) {
        if (strcmp(argv[i], "--nvm") == 0)
            *nvm = argv[i + 1];
        for (int c = 0; c < CHANNELS; c++)
            if (strcmp(argv[i], OPTIONS[c]) == 0)
                ports[c] = (unsigned)strtoul(argv[i + 1], NULL, 10);
    }
    for (int c = 0; c < CHANNELS; c++)
        if (ports[c] == 0 || ports[c] > 65535)
            return false;
    return argc % 2 == 1;
}

/* Sleep until there is something to do; the timer ticks at least once a millisecond. */
static void wait_for_work(void)
{
    struct pollfd fds[CHANNELS];
    for (int c = 0; c < CHANNELS; c++)
        fds[c] = (struct pollfd){.fd = sockets[c].fd, .events = socket_events(&sockets[c])};
    poll(fds, CHANNELS, 1);
}

static void run(void)
{
    while (!ended) {
        wait_for_work();
        for (int c = 0; c < CHANNELS; c++) {
            socket_pump(&sockets[c]);
            ended |= sockets[c].closed;
        }
        virtual_band_timer();
        virtual_band_poll();
    }
}

int main(int argc, char **argv)
{
    unsigned ports[CHANNELS] = {0};
    const char *nvm_path = NULL;
    static nb_nvm_t nvm;
    if (!parse(argc, argv, ports, &nvm_path)) {
        fprintf(stderr, "usage: %s --radio PORT --front-end PORT --board PORT [--nvm FILE]\n", argv[0]);
        return 2;
    }
    if (!nvm_file_open(&nvm, nvm_path))
        return 2;
    for (int c = 0; c < CHANNELS; c++)
        if (!socket_open(&sockets[c], OPTIONS[c] + 2, ports[c]))
            return 2;
    clock_gettime(CLOCK_MONOTONIC, &boot);
    const struct sigaction action = {.sa_handler = on_signal};
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGINT, &action, NULL);
    static virtual_board_t board;
    board = (virtual_board_t){.name = "native",
                              .now_us = now_us,
                              .nvm = &nvm,
                              .radio = socket_channel(&sockets[RADIO]),
                              .front_end = socket_channel(&sockets[FRONT_END]),
                              .board = socket_channel(&sockets[BOARD])};
    virtual_band_init(&board);
    run();
    return 0;
}
