/* SPDX-License-Identifier: Apache-2.0 */
/**
 * How many streams of events may be open. Each one takes a worker for as long as its client stays,
 * so it must leave some for everybody else: of the threads of a process, or, where a process has
 * but one, of all processes of the server.
 */
#ifndef ETV_HTTPD_EVENTS_LIMIT_H
#define ETV_HTTPD_EVENTS_LIMIT_H

#include <httpd.h>

#include "store/seats.h"

/** In the parent, when all has been read: warn of a limit that leaves no worker. */
void etv_events_limit_check(const server_rec *s);

/** What an open stream has taken. */
typedef struct {
    int counted; /**< in this process */
    etv_seat_t seat;
} etv_events_place_t;

/** In a child. Thread safe. @return 0 when there are as many as there may be */
int etv_events_limit_enter(etv_events_place_t *place);
void etv_events_limit_leave(etv_events_place_t *place);

#endif
