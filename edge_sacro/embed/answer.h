/* What goes between the library and the runtime's process, and the check of what comes back: it is no more trusted than
 * any other input. Little-endian; edge_sacro/embed/wire.py is the other end. No JSON is taken apart here. */
#ifndef EDGE_SACRO_ANSWER_H
#define EDGE_SACRO_ANSWER_H

#include <stddef.h>
#include <stdint.h>

#include "edge_sacro.h"

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "the messages are little-endian"
#endif

enum { ESI_REQUEST = 0x51455345, ESI_ANSWER = 0x41455345 }; /* "ESEQ" and "ESEA" */
enum { ESI_FILE = 1, ESI_BYTES = 2 };                       /* kinds of request */
enum { ESI_READY = 1, ESI_RESULT = 2, ESI_ERROR = 3 };      /* kinds of answer */
enum { ESI_DEMONSTRATION = 1, ESI_CROP = 2, ESI_BOX = 4 };  /* flags of a result; ESI_BOX << side */

/* A request is this, then the path or the name, then the file's bytes. */
struct esi_request {
    uint32_t magic, kind;
    uint64_t number, length;
    uint32_t deadline_ms, name_length;
};

/* An answer is this, then its body: ESI_READY a uint32 ES_VERSION, ESI_RESULT a struct esi_result, then the report,
 * ESI_ERROR an es_error. */
struct esi_head {
    uint32_t magic, kind;
    uint64_t number; /* the request's; 0 of the greeting */
    uint32_t body_length, report_length;
};

struct esi_result {
    int32_t state, joint_state[2];
    uint32_t flags;
    double probability, joint_probability[2];
    int32_t crop[4], joint_box[2][4];
    char code[64], reason[2048], remedy[1024], statement[1024], joint_reason[2][1024];
};

struct es_result {
    struct esi_result values;
    size_t length;
    char report[]; /* length + 1 bytes */
};

_Static_assert(sizeof(struct esi_request) == 32, "the request's layout");
_Static_assert(sizeof(struct esi_head) == 24, "the head's layout");
_Static_assert(sizeof(struct esi_result) == 6296, "the result's layout");
_Static_assert(sizeof(es_error) == 2112, "the error's layout");
_Static_assert(sizeof(double) == 8, "binary64");

/* Whether a head is one of ours, and its lengths are those of its kind. */
int esi_head_valid(const struct esi_head *head);
/* Whether every value of a result is in its range and every text ends inside its field. */
int esi_result_valid(const struct esi_result *values);
/* Whether an error is one that the runtime's process may answer with. */
int esi_error_valid(const es_error *error);
/* Whether `size` bytes are UTF-8 without a zero. */
int esi_text_valid(const char *text, size_t size);

#endif
