#include "answer.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

int esi_head_valid(const struct esi_head *head)
{
    if (head->magic != ESI_ANSWER)
        return 0;
    switch (head->kind) {
    case ESI_READY:
        return head->body_length == sizeof(uint32_t) && head->report_length == 0;
    case ESI_RESULT:
        return head->body_length == sizeof(struct esi_result) && head->report_length > 0 &&
               head->report_length <= ES_MAX_REPORT_BYTES;
    case ESI_ERROR:
        return head->body_length == sizeof(es_error) && head->report_length == 0;
    default:
        return 0;
    }
}

/* Bytes of the UTF-8 sequence at `text`, of which `left` bytes are there; 0 where it is none (RFC 3629, section 4). */
static size_t sequence(const unsigned char *text, size_t left)
{
    const unsigned first = text[0];
    if (first < 0x80)
        return first != 0;
    const size_t size = first < 0xc2 ? 0 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : first < 0xf5 ? 4 : 0;
    if (size == 0 || size > left)
        return 0;
    const unsigned low = first == 0xe0 ? 0xa0 : first == 0xf0 ? 0x90 : 0x80;
    const unsigned high = first == 0xed ? 0x9f : first == 0xf4 ? 0x8f : 0xbf;
    if (text[1] < low || text[1] > high)
        return 0;
    for (size_t k = 2; k < size; ++k)
        if ((text[k] & 0xc0) != 0x80)
            return 0;
    return size;
}

int esi_text_valid(const char *text, size_t size)
{
    const unsigned char *bytes = (const unsigned char *)text;
    while (size) {
        const size_t step = sequence(bytes, size);
        if (step == 0)
            return 0;
        bytes += step;
        size -= step;
    }
    return 1;
}

/* Whether a field holds a text that ends inside it. */
static int field_valid(const char *field, size_t size)
{
    const char *end = memchr(field, 0, size);
    return end != NULL && esi_text_valid(field, (size_t)(end - field));
}

static int box_valid(const int32_t box[4])
{
    return box[0] >= 0 && box[1] >= 0 && box[0] < box[2] && box[1] < box[3];
}

static int probability_valid(double value) { return isnan(value) || (value >= 0.0 && value <= 1.0); }

static int decided(int32_t state) { return state == ES_POSITIVE || state == ES_NEGATIVE || state == ES_BORDERLINE; }

int esi_result_valid(const struct esi_result *values)
{
    const int32_t state = values->state;
    if (!decided(state) && state != ES_NOT_ASSESSABLE && state != ES_REFUSED)
        return 0;
    /* a decision without a probability, or the other way about, is none of the runtime's answers */
    if (!probability_valid(values->probability) || decided(state) == !!isnan(values->probability))
        return 0;
    if (values->flags >= ESI_BOX << 2 || ((values->flags & ESI_CROP) && !box_valid(values->crop)))
        return 0;
    if (!field_valid(values->code, sizeof values->code) || !field_valid(values->reason, sizeof values->reason) ||
        !field_valid(values->remedy, sizeof values->remedy) ||
        !field_valid(values->statement, sizeof values->statement))
        return 0;
    for (int side = 0; side < 2; ++side) {
        if (values->joint_state[side] < ES_POSITIVE || values->joint_state[side] > ES_REFUSED)
            return 0;
        if ((values->flags & (unsigned)ESI_BOX << side) && !box_valid(values->joint_box[side]))
            return 0;
        if (!probability_valid(values->joint_probability[side]) ||
            !field_valid(values->joint_reason[side], sizeof values->joint_reason[side]))
            return 0;
    }
    return 1;
}

int esi_error_valid(const es_error *error)
{
    return (error->status == ES_FAILED || error->status == ES_DEADLINE || error->status == ES_MEMORY) &&
           error->code[0] != '\0' && field_valid(error->code, sizeof error->code) &&
           field_valid(error->text, sizeof error->text) && field_valid(error->remedy, sizeof error->remedy);
}

static int is_side(es_side side) { return side == ES_LEFT || side == ES_RIGHT; }

es_state es_result_state(const es_result *result) { return result ? (es_state)result->values.state : ES_NONE; }

double es_result_probability(const es_result *result) { return result ? result->values.probability : (double)NAN; }

const char *es_result_reason(const es_result *result) { return result ? result->values.reason : ""; }

const char *es_result_reason_code(const es_result *result) { return result ? result->values.code : ""; }

const char *es_result_remedy(const es_result *result) { return result ? result->values.remedy : ""; }

int es_result_demonstration(const es_result *result) { return result && (result->values.flags & ESI_DEMONSTRATION); }

const char *es_result_statement(const es_result *result) { return result ? result->values.statement : ""; }

es_state es_result_joint_state(const es_result *result, es_side side)
{
    return result && is_side(side) ? (es_state)result->values.joint_state[side] : ES_NONE;
}

double es_result_joint_probability(const es_result *result, es_side side)
{
    return result && is_side(side) ? result->values.joint_probability[side] : (double)NAN;
}

const char *es_result_joint_reason(const es_result *result, es_side side)
{
    return result && is_side(side) ? result->values.joint_reason[side] : "";
}

static int box_copied(const int32_t from[4], int there, int32_t box[4])
{
    if (there && box)
        memcpy(box, from, 4 * sizeof *box);
    return there && box;
}

int es_result_joint_box(const es_result *result, es_side side, int32_t box[4])
{
    if (!result || !is_side(side))
        return 0;
    return box_copied(result->values.joint_box[side], (result->values.flags & (unsigned)ESI_BOX << side) != 0, box);
}

int es_result_crop_box(const es_result *result, int32_t box[4])
{
    return result ? box_copied(result->values.crop, (result->values.flags & ESI_CROP) != 0, box) : 0;
}

const char *es_result_report_json(const es_result *result, size_t *length)
{
    if (length)
        *length = result ? result->length : 0;
    return result ? result->report : "";
}

void es_result_free(es_result *result) { free(result); }
