/* What stands in for the interpreter: a process that greets and answers as the runtime's does, or as none should.
 * bundle=MODE chooses the greeting; the first 8 bytes of each request's file choose what is wrong with its answer. */
#define _GNU_SOURCE
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "answer.h"

static uint64_t state;

static uint32_t drawn(uint32_t below)
{
    state ^= state << 13; /* Marsaglia's xorshift64 */
    state ^= state >> 7;
    state ^= state << 17;
    return (uint32_t)((state >> 16) % below);
}

static void receive(void *into, size_t size)
{
    for (size_t filled = 0; filled < size;) {
        const ssize_t found = recv(0, (char *)into + filled, size - filled, 0);
        if (found <= 0)
            exit(0);
        filled += (size_t)found;
    }
}

static void say(const void *data, size_t size)
{
    for (size_t sent = 0; sent < size;) {
        const ssize_t now = send(0, (const char *)data + sent, size - sent, MSG_NOSIGNAL);
        if (now <= 0)
            exit(0);
        sent += (size_t)now;
    }
}

static struct esi_result good(void)
{
    struct esi_result made;
    memset(&made, 0, sizeof made);
    made.state = ES_NEGATIVE;
    made.probability = 0.25;
    made.flags = ESI_DEMONSTRATION | ESI_BOX;
    for (int side = 0; side < 2; ++side) {
        made.joint_state[side] = ES_LOCATED;
        made.joint_probability[side] = (double)NAN;
    }
    memcpy(made.joint_box[0], (int32_t[]){1, 2, 3, 4}, sizeof made.joint_box[0]);
    snprintf(made.reason, sizeof made.reason, "%d", getpid());
    return made;
}

/* A right answer of `size` bytes in all, at `whole`, for request `number`. */
static size_t answer(char *whole, uint64_t number, size_t report)
{
    const struct esi_head head = {ESI_ANSWER, ESI_RESULT, number, sizeof(struct esi_result), (uint32_t)report};
    const struct esi_result body = good();
    memcpy(whole, &head, sizeof head);
    memcpy(whole + sizeof head, &body, sizeof body);
    memset(whole + sizeof head + sizeof body, 'x', report);
    return sizeof head + sizeof body + report;
}

static void greet(const char *mode)
{
    const struct esi_head head = {ESI_ANSWER, ESI_READY, 0, 4, 0};
    char whole[28];
    const uint32_t version = strcmp(mode, "version") ? ES_VERSION : ES_VERSION + 1;
    memcpy(whole, &head, sizeof head);
    memcpy(whole + sizeof head, &version, sizeof version);
    if (!strcmp(mode, "silent"))
        pause();
    if (!strcmp(mode, "ends"))
        exit(7);
    if (!strcmp(mode, "aborts"))
        abort();
    if (!strncmp(mode, "random", 6)) {
        state = strtoull(mode + 6, NULL, 10) * 2654435761u + 1;
        for (size_t k = 0; k < sizeof whole; ++k)
            if (!drawn(4))
                whole[k] = (char)drawn(256);
    }
    if (!strcmp(mode, "late"))
        usleep(400000);
    say(whole, sizeof whole);
}

/* One wrong answer. */
static void spoil(char *whole, size_t size, uint64_t number)
{
    const size_t body = sizeof(struct esi_head) + sizeof(struct esi_result);
    struct esi_head *head = (struct esi_head *)whole;
    switch (drawn(8)) {
    case 0: /* bytes overwritten anywhere in head and values */
        for (uint32_t count = 1 + drawn(20); count; --count)
            whole[drawn((uint32_t)body)] = (char)drawn(256);
        break;
    case 1: /* bytes of the values' numbers overwritten */
        for (uint32_t count = 1 + drawn(3); count; --count)
            whole[sizeof *head + drawn(88)] = (char)drawn(256);
        break;
    case 2: /* a text that does not end, or is no UTF-8 */
        memset(whole + sizeof *head + 88, drawn(2) ? 'y' : 0xff, sizeof(struct esi_result) - 88);
        break;
    case 3: /* lengths that are not its own */
        head->report_length = drawn(2) ? 0xffffffffu : drawn(3 << 20);
        break;
    case 4: /* it ends before all is said */
        say(whole, drawn((uint32_t)size));
        exit((int)drawn(3));
    case 5: /* more than was asked for */
        say(whole, size);
        break;
    case 6: /* an error that is none */
        *head = (struct esi_head){ESI_ANSWER, ESI_ERROR, number, sizeof(es_error), 0};
        memset(whole + sizeof *head, (int)drawn(256), sizeof(es_error));
        size = sizeof *head + sizeof(es_error);
        break;
    default: /* noise */
        for (size_t k = 0; k < size; ++k)
            whole[k] = (char)drawn(256);
    }
    say(whole, size);
}

/* As the runtime does where it sees that it will not be in time. */
static void give_up(uint64_t number)
{
    const struct esi_head head = {ESI_ANSWER, ESI_ERROR, number, sizeof(es_error), 0};
    const es_error error = {ES_DEADLINE, "deadline_exceeded", "given up", "more time"};
    say(&head, sizeof head);
    say(&error, sizeof error);
}

int main(int argc, char **argv)
{
    static char whole[4 << 20], name[8192], data[1 << 20];
    const char *mode = "";
    for (int k = 1; k < argc; ++k)
        if (!strncmp(argv[k], "bundle=", 7))
            mode = argv[k] + 7;
    greet(mode);
    for (;;) {
        struct esi_request request;
        uint64_t seed = 0;
        receive(&request, sizeof request);
        receive(name, request.name_length);
        if (request.length == 4 << 20) /* does not care to hear it */
            exit(3);
        if (request.length > sizeof data) { /* speaks before it has heard all */
            say(whole, answer(whole, request.number, 8));
            pause();
        }
        receive(data, (size_t)request.length);
        memcpy(&seed, data, request.length < sizeof seed ? (size_t)request.length : sizeof seed);
        const size_t size = answer(whole, request.number, 100);
        if (seed == 0)
            say(whole, size);
        else if (seed == 1)
            pause();
        else if (seed == 2)
            abort();
        else if (seed == 3)
            give_up(request.number);
        else {
            state = seed * 2654435761u;
            spoil(whole, size, request.number);
        }
    }
}
