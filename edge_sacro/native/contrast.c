/* The contrast filter of edge_sacro.preprocess.clahe, compiled: the same values bit for bit, in single file, no library.
 *
 * Sums, roundings and their order are those of the NumPy functions; nothing may be contracted or reordered, so it is built
 * with -ffp-contract=off and without -ffast-math. Every function works on rows [from, to), so that threads can share an
 * image. Each is compiled twice, for every processor and for those with AVX2; the results do not depend on which runs.
 */

#include <stdint.h>

#ifndef SUFFIX
#define SUFFIX(name) name##_baseline
#endif

enum { RADIUS = 4, NEAR = 2 * RADIUS + 1, BINS = 256 };

static long within(long index, long count) { return index < 0 ? 0 : index >= count ? count - 1 : index; }

/* Median-filtered image minus 0.6 times its Gaussian of sigma 1.
 * image, out: rows x columns. weights: of the centre and of distance 1 to 4. work: 10 (columns + 8) values.
 * range: receives the lowest and the highest value. */
void SUFFIX(edge_sacro_sharpen)(const float *restrict image, long rows, long columns, long from, long to,
                                const double *restrict weights, double *restrict work, float *restrict out,
                                float *restrict range)
{
    const double w0 = weights[0], w1 = weights[1], w2 = weights[2], w3 = weights[3], w4 = weights[4];
    const long width = columns + 2 * RADIUS;
    double *restrict line = work + NEAR * width;
    float low = 3.4e38f, high = -3.4e38f;
    long known = from - RADIUS; /* rows before this one stand in `work`, each in double precision at its number modulo 9 */
    for (long y = from; y < to; ++y) {
        for (; known <= y + RADIUS; ++known) {
            const float *row = image + within(known, rows) * columns;
            double *restrict kept = work + (known + NEAR) % NEAR * width;
            for (long x = 0; x < columns; ++x)
                kept[x] = row[x];
        }
        const double *near[NEAR];
        for (long k = 0; k < NEAR; ++k)
            near[k] = work + (y + k - RADIUS + NEAR) % NEAR * width;
        const double *a = near[0], *b = near[1], *c = near[2], *d = near[3], *e = near[4], *f = near[5], *g = near[6],
                     *h = near[7], *i = near[8];
        double *restrict inside = line + RADIUS;
        for (long x = 0; x < columns; ++x) {
            double sum = e[x] * w0;
            sum += (d[x] + f[x]) * w1;
            sum += (c[x] + g[x]) * w2;
            sum += (b[x] + h[x]) * w3;
            sum += (a[x] + i[x]) * w4;
            inside[x] = (float)sum;
        }
        for (long k = 0; k < RADIUS; ++k) {
            line[k] = inside[0];
            inside[columns + k] = inside[columns - 1];
        }
        const float *middle = image + y * columns;
        float *restrict row = out + y * columns;
        for (long x = 0; x < columns; ++x) {
            const double *p = line + x;
            double sum = p[4] * w0;
            sum += (p[3] + p[5]) * w1;
            sum += (p[2] + p[6]) * w2;
            sum += (p[1] + p[7]) * w3;
            sum += (p[0] + p[8]) * w4;
            row[x] = middle[x] - (float)sum * 0.6f;
        }
        for (long x = 0; x < columns; ++x) {
            low = row[x] < low ? row[x] : low;
            high = row[x] > high ? row[x] : high;
        }
    }
    range[0] = low;
    range[1] = high;
}

/* Histogram bin of each pixel: rescaled to 0..1 by low and high, to 16 bits rounded half to even, then by a table.
 * bins: rows of `stride` bytes. */
void SUFFIX(edge_sacro_bins)(const float *restrict image, long columns, long from, long to, float low, float high,
                             const uint8_t *restrict table, uint8_t *restrict bins, long stride)
{
    const float span = high - low, rounder = 12582912.0f; /* 1.5 x 2^23: adding it leaves no fraction bits */
    for (long y = from; y < to; ++y) {
        const float *row = image + y * columns;
        uint8_t *target = bins + y * stride;
        for (long start = 0; start < columns; start += 256) {
            int32_t level[256];
            const long count = columns - start < 256 ? columns - start : 256;
            for (long x = 0; x < count; ++x)
                level[x] = (int32_t)(((row[start + x] - low) / span * 65535.0f + rounder) - rounder);
            for (long x = 0; x < count; ++x)
                target[start + x] = table[level[x]];
        }
    }
}

/* Cut a histogram at the limit and spread the rest, as scikit-image does. */
static void clip(int32_t *histogram, int32_t limit)
{
    int32_t excess = 0;
    for (long k = 0; k < BINS; ++k)
        if (histogram[k] > limit) {
            excess += histogram[k] - limit;
            histogram[k] = limit;
        }
    if (!excess)
        return;
    const int32_t share = excess / BINS;
    for (long k = 0; k < BINS; ++k) {
        if (histogram[k] < limit - share) {
            histogram[k] += share;
            excess -= share;
            if (histogram[k] < limit - share || histogram[k] >= limit)
                continue;
        } else if (histogram[k] >= limit)
            continue;
        excess -= limit - histogram[k];
        histogram[k] = limit;
    }
    while (excess > 0)
        for (long first = 0; first < BINS && excess > 0; ++first) {
            long under = 0;
            for (long k = 0; k < BINS; ++k)
                under += histogram[k] < limit;
            const long step = under / excess > 1 ? under / excess : 1;
            for (long k = first; k < BINS; k += step)
                if (histogram[k] < limit) {
                    ++histogram[k];
                    --excess;
                }
        }
}

/* Levels that each tile gives to each bin, for tile rows [from, to).
 * bins: padded, rows of `stride` bytes; the first tile begins at `bins`. maps: tile rows x tile columns x 256. */
void SUFFIX(edge_sacro_maps)(const uint8_t *restrict bins, long stride, long tile_rows, long tile_columns, long across,
                             long from, long to, long limit, double scale, double *restrict maps)
{
    for (long row = from; row < to; ++row)
        for (long column = 0; column < across; ++column) {
            int32_t histogram[BINS], second[BINS];
            for (long k = 0; k < BINS; ++k)
                histogram[k] = second[k] = 0;
            for (long y = 0; y < tile_rows; ++y) {
                const uint8_t *p = bins + (row * tile_rows + y) * stride + column * tile_columns;
                long x = 0;
                for (; x + 1 < tile_columns; x += 2) {
                    ++histogram[p[x]];
                    ++second[p[x + 1]];
                }
                if (x < tile_columns)
                    ++histogram[p[x]];
            }
            for (long k = 0; k < BINS; ++k)
                histogram[k] += second[k];
            clip(histogram, (int32_t)limit);
            double *map = maps + (row * across + column) * BINS;
            int64_t sum = 0;
            for (long k = 0; k < BINS; ++k) {
                sum += histogram[k];
                const double level = (double)sum * scale;
                map[k] = level > 16383.0 ? 16383.0 : (double)(int32_t)level;
            }
        }
}

/* Mix the maps of the four nearest tiles for each pixel of the image, fractions cut off.
 * bins: the image's own first pixel in the padded array of `stride`; it stands at (top, left) of the tile grid.
 * maps: with one more row and column of tiles on each side; `across` tile columns in all. ahead: tile_columns weights,
 * the part of a tile that lies before each column. out: rows x columns. range: lowest and highest level. */
void SUFFIX(edge_sacro_mix)(const uint8_t *restrict bins, long stride, long columns, long from, long to, long top, long left,
                            long tile_rows, long tile_columns, const double *restrict maps, long across,
                            const double *restrict ahead, float *restrict out, float *restrict range)
{
    float low = 3.4e38f, high = -3.4e38f;
    for (long y = from; y < to; ++y) {
        const long tile_row = (y + top) / tile_rows;
        const double down = (double)((y + top) % tile_rows) / (double)tile_rows, up = 1 - down;
        const uint8_t *source = bins + y * stride;
        float *target = out + y * columns;
        for (long x = 0; x < columns;) {
            const long tile_column = (x + left) / tile_columns, begin = (x + left) % tile_columns;
            const long rest = columns - x, whole = tile_columns - begin, count = rest < whole ? rest : whole;
            const double *m00 = maps + (tile_row * across + tile_column) * BINS, *m01 = m00 + BINS;
            const double *m10 = m00 + across * BINS, *m11 = m10 + BINS;
            const double *weight = ahead + begin;
            for (long k = 0; k < count; ++k) {
                const uint8_t bin = source[x + k];
                const double right = weight[k], behind = 1 - right;
                float total = (float)(m00[bin] * (behind * up));
                total += (float)(m01[bin] * (right * up));
                total += (float)(m10[bin] * (behind * down));
                total += (float)(m11[bin] * (right * down));
                const float level = (float)(int32_t)total;
                target[x + k] = level;
                low = level < low ? level : low;
                high = level > high ? level : high;
            }
            x += count;
        }
    }
    range[0] = low;
    range[1] = high;
}

/* Rescale in place to 0..1 by the lowest and the highest value, which differ. */
void SUFFIX(edge_sacro_rescale)(float *restrict image, long count, float low, float high)
{
    const float span = high - low;
    for (long x = 0; x < count; ++x)
        image[x] = (image[x] - low) / span;
}
