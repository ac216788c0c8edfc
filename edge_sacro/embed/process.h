/* The runtime's process: started, spoken to before deadlines, ended. Nothing here waits longer than it is told. */
#ifndef EDGE_SACRO_PROCESS_H
#define EDGE_SACRO_PROCESS_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "edge_sacro.h"

enum { ESI_UNREAPED = 8 };

/* socket: requests and answers. lifeline: a pipe's end whose closing ends the process, however the console ends.
 * unreaped: processes that were killed and that the system has not ended yet; 0 where there is none. */
struct esi_process {
    pid_t pid; /* 0: none */
    int socket, lifeline;
    pid_t unreaped[ESI_UNREAPED];
};

/* Milliseconds of the monotonic clock. */
int64_t esi_now(void);

/* Write an error, where there is a place for it; `text` is printf's. Returns `status`. */
__attribute__((format(printf, 5, 6))) es_status esi_fail(es_error *error, es_status status, const char *code,
                                                         const char *remedy, const char *text, ...);

/* Start `arguments[0]` with the arguments, which a null ends. log_path: null, or where its own messages go. */
es_status esi_process_start(struct esi_process *process, char *const arguments[], const char *log_path,
                            es_error *error);

/* End it, with whatever it started, and take its status; does nothing where there is none.
 * closing: it closed its socket, so that its own end is on its way. how: receives how it ended, or "". */
void esi_process_end(struct esi_process *process, int closing, char *how, size_t size);

/* Whether it lives and has said nothing that it was not asked. */
int esi_process_quiet(const struct esi_process *process);

/* Wait until `descriptor` is ready for `events` of poll(): ES_OK, ES_DEADLINE or ES_SYSTEM. */
es_status esi_wait(int descriptor, short events, int64_t deadline);

/* Send all bytes: ES_OK, ES_DEADLINE, ES_CRASHED, ES_SYSTEM. `answered` receives 1, and the rest is not sent, where the
 * process speaks before it has read them. */
es_status esi_send(const struct esi_process *process, const void *data, size_t size, int64_t deadline, int *answered);

/* Receive until `*filled` is `size`: ES_OK, ES_DEADLINE, ES_CRASHED, ES_SYSTEM. */
es_status esi_receive(const struct esi_process *process, void *into, size_t *filled, size_t size, int64_t deadline);

#endif
