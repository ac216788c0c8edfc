/* Passes over a whole radiograph, compiled: the values of the NumPy functions bit for bit, in a single file, no library.
 * Built like contrast.c. Where a function works on rows [from, to), threads can share an image.
 */

#include <stdint.h>

#ifndef SUFFIX
#define SUFFIX(name) name##_baseline
#endif

enum { MOST = 255, LABELS = 3, NUMBERS = 5 };

/* edge_sacro.preprocess.resize.area_resize: means over bins of whole pixels, for rows [from, to) of the result.
 * rows, columns: first pixel of each bin and the one after its last, in pairs. sums: `width` values. */
void SUFFIX(edge_sacro_area)(const uint8_t *restrict image, long width, const int64_t *restrict rows, long from, long to,
                             const int64_t *restrict columns, long count, uint32_t *restrict sums, float *restrict out)
{
    for (long y = from; y < to; ++y) {
        const uint8_t *line = image + rows[2 * y] * width;
        for (long x = 0; x < width; ++x)
            sums[x] = line[x];
        for (long row = rows[2 * y] + 1; row < rows[2 * y + 1]; ++row) {
            line = image + row * width;
            for (long x = 0; x < width; ++x)
                sums[x] += line[x];
        }
        const long height = rows[2 * y + 1] - rows[2 * y];
        float *restrict target = out + y * count;
        for (long k = 0; k < count; ++k) {
            const long begin = columns[2 * k], end = columns[2 * k + 1];
            uint64_t sum = 0;
            for (long x = begin; x < end; ++x)
                sum += sums[x];
            target[k] = (float)((double)sum / (double)(height * (end - begin)));
        }
    }
}

/* edge_sacro.preprocess.resize.bilinear_align_corners, of single precision.
 * at_rows: upper and lower row for each row of the result; at_columns: left and right column. down, across: the weight of
 * the second. out: rows x columns. */
void SUFFIX(edge_sacro_bilinear)(const float *restrict image, long width, const int64_t *restrict at_rows,
                                 const float *restrict down, long from, long to, const int64_t *restrict at_columns,
                                 const float *restrict across, long count, float *restrict out)
{
    for (long y = from; y < to; ++y) {
        const float *upper = image + at_rows[2 * y] * width, *lower = image + at_rows[2 * y + 1] * width;
        const float weight = down[y], rest = 1.0f - weight;
        float *restrict target = out + y * count;
        for (long x = 0; x < count; ++x) {
            const int64_t left = at_columns[2 * x], right = at_columns[2 * x + 1];
            const float second = across[x], first = 1.0f - second;
            const float top = first * upper[left] + second * upper[right];
            const float bottom = first * lower[left] + second * lower[right];
            target[x] = rest * top + weight * bottom;
        }
    }
}

/* edge_sacro.preprocess.field: how many pixels are at least `white`, and at most `black`, of each row in [from, to) and of
 * each column over those rows.
 * by_row: two counts for each row of the image. by_column: `columns` counts of white and as many of black, zeros. */
void SUFFIX(edge_sacro_ends)(const uint8_t *restrict image, long columns, long from, long to, long white, long black,
                             int32_t *restrict by_row, int32_t *restrict by_column)
{
    const uint8_t bright = (uint8_t)white, dark = (uint8_t)black;
    int32_t *restrict whites = by_column, *restrict blacks = by_column + columns;
    for (long y = from; y < to; ++y) {
        const uint8_t *p = image + y * columns;
        int32_t white_count = 0, black_count = 0;
        for (long x = 0; x < columns; ++x) {
            const int32_t is_white = p[x] >= bright, is_black = p[x] <= dark;
            white_count += is_white;
            black_count += is_black;
            whites[x] += is_white;
            blacks[x] += is_black;
        }
        by_row[2 * y] = white_count;
        by_row[2 * y + 1] = black_count;
    }
}

/* edge_sacro.preprocess.components.extents: how many pixels each label 1 to 3 has, its first and last row, and its first
 * and last column.
 * few, many: 3 x columns values, zeros. found: five numbers for each label; of one that is absent the first is 0. */
void SUFFIX(edge_sacro_extents)(const uint8_t *restrict labels, long rows, long columns, uint8_t *restrict few,
                                uint32_t *restrict many, int64_t *restrict found)
{
    uint8_t *restrict ones = few, *restrict twos = few + columns, *restrict threes = few + 2 * columns;
    for (long label = 0; label < LABELS; ++label) {
        found[NUMBERS * label + 1] = rows;
        found[NUMBERS * label + 2] = -1;
    }
    for (long y = 0; y < rows; ++y) {
        const uint8_t *p = labels + y * columns;
        uint8_t any[LABELS], one = 0, two = 0, three = 0;
        for (long x = 0; x < columns; ++x) {
            const uint8_t is_one = p[x] == 1, is_two = p[x] == 2, is_three = p[x] == 3;
            ones[x] += is_one;
            twos[x] += is_two;
            threes[x] += is_three;
            one |= is_one;
            two |= is_two;
            three |= is_three;
        }
        any[0] = one;
        any[1] = two;
        any[2] = three;
        for (long label = 0; label < LABELS; ++label)
            if (any[label]) {
                int64_t *box = found + NUMBERS * label;
                box[1] = y < box[1] ? y : box[1];
                box[2] = y;
            }
        if (y % MOST == MOST - 1 || y == rows - 1)
            for (long x = 0; x < LABELS * columns; ++x) {
                many[x] += few[x];
                few[x] = 0;
            }
    }
    for (long label = 0; label < LABELS; ++label) {
        const uint32_t *counts = many + label * columns;
        int64_t total = 0, left = columns, right = -1;
        for (long x = 0; x < columns; ++x)
            if (counts[x]) {
                total += counts[x];
                left = x < left ? x : left;
                right = x;
            }
        found[NUMBERS * label] = total;
        found[NUMBERS * label + 3] = left;
        found[NUMBERS * label + 4] = right;
    }
}

/* edge_sacro.preprocess.components.dilated: 1 where a label lies within `radius` rows and columns, else 0.
 * labels: the first pixel of a part of a map whose rows are `stride` pixels apart. out: rows x columns.
 * work: 2 columns + 2 radius values, zeros. */
void SUFFIX(edge_sacro_dilate)(const uint8_t *restrict labels, long stride, long rows, long columns, long label,
                               long radius, uint16_t *restrict work, uint8_t *restrict out)
{
    const uint8_t sought = (uint8_t)label;
    uint16_t *restrict within = work;                      /* labelled pixels of each column in the rows around y */
    uint8_t *restrict line = (uint8_t *)(work + columns);  /* `radius` zeros, whether there are any, `radius` zeros */
    const long whole = columns + 2 * radius, window = 2 * radius + 1;
    for (long y = -radius; y < rows; ++y) {
        if (y + radius < rows) {
            const uint8_t *enters = labels + (y + radius) * stride;
            for (long x = 0; x < columns; ++x)
                within[x] += enters[x] == sought;
        }
        if (y > radius) {
            const uint8_t *leaves = labels + (y - radius - 1) * stride;
            for (long x = 0; x < columns; ++x)
                within[x] -= leaves[x] == sought;
        }
        if (y < 0)
            continue;
        for (long x = 0; x < radius; ++x)
            line[x] = line[radius + columns + x] = 0;
        for (long x = 0; x < columns; ++x)
            line[radius + x] = within[x] != 0;
        /* line[x] becomes the maximum of line[x .. x + reach - 1], the reach being doubled until it is the window's */
        long reach = 1;
        while (reach < window) {
            const long step = reach < window - reach ? reach : window - reach;
            for (long x = 0; x < whole - step; ++x)
                line[x] |= line[x + step];
            reach += step;
        }
        uint8_t *restrict target = out + y * columns;
        for (long x = 0; x < columns; ++x)
            target[x] = line[x];
    }
}
