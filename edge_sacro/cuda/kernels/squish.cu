// preprocess.squish: Pillow's bilinear resize in fixed point, across and then down, each rounded to 8 bits.
#include "pixel.h"

#define PRECISION 22
#define STRIP 8192  // pixels of a row that a block holds

// The triangle's weights of one axis: first input pixel of each output pixel, and its weights, tap by tap so
// that neighbouring threads read neighbouring ones.
KERNEL squish_weights(int *first, int *weights, int length, int target, int taps) {
    int index = blockIdx.x * blockDim.x + threadIdx.x;
    if (index >= target) return;
    double scale = (double)length / target, support = scale > 1.0 ? scale : 1.0, centre = (index + 0.5) * scale;
    int begin = larger((int)(centre - support + 0.5), 0), end = smaller((int)(centre + support + 0.5), length);
    double total = 0.0, inverse = 1.0 / support;
    for (int pass = 0; pass < 2; pass++) {
        double norm = pass ? 1.0 / total : 0.0;
        for (int tap = 0; tap < taps; tap++) {
            double distance = ((begin + tap) - centre + 0.5) * inverse;
            distance = distance < 0.0 ? -distance : distance;
            double weight = begin + tap < end && distance < 1.0 ? 1.0 - distance : 0.0;
            if (pass)
                weights[tap * target + index] = (int)(0.5 + weight * norm * (1 << PRECISION));
            else
                total += weight;
        }
    }
    first[index] = begin;
}

INLINE byte rounded(int total) { return (byte)clamped(total >> PRECISION, 256); }

// A block to a row. A pixel weighs in two output pixels or more, so it is read once and kept while they are made; a row
// longer than the strip is done in parts, and of an output pixel that weighs more than a strip the rest is read as needed.
KERNEL squish_across(Image image, const byte *table, const int *first, const int *weights, byte *squished, int target,
                     int taps) {
    __shared__ byte strip[STRIP];
    int row = blockIdx.x, columns = columns_of(image), room = larger(STRIP - taps, 0);
    int part = columns <= STRIP ? target : larger((int)((long long)room * target / columns), 1);
    for (int begin = 0; begin < target; begin += part) {
        int end = smaller(begin + part, target), left = first[begin];
        int held = smaller(smaller(first[end - 1] + taps, columns) - left, STRIP);
        __syncthreads();  // until then others read the part before
        for (int x = threadIdx.x; x < held; x += blockDim.x) strip[x] = table[entry_at(image, row, left + x)];
        __syncthreads();
        for (int column = begin + threadIdx.x; column < end; column += blockDim.x) {
            int total = 1 << (PRECISION - 1), from = first[column] - left;
            for (int tap = 0; tap < taps && left + from + tap < columns; tap++) {
                int x = from + tap;
                int gray = x < held ? strip[x] : table[entry_at(image, row, left + x)];
                total += gray * weights[tap * target + column];
            }
            squished[(size_t)row * target + column] = rounded(total);
        }
    }
}

// Down, and the network's three channels.
KERNEL squish_down(const byte *squished, const int *first, const int *weights, Output output, Channels channels,
                   int length, int rows, int columns, int taps) {
    int column = blockIdx.x * blockDim.x + threadIdx.x, row = blockIdx.y * blockDim.y + threadIdx.y;
    if (row >= rows || column >= columns) return;
    int total = 1 << (PRECISION - 1);
    for (int tap = 0; tap < taps && first[row] + tap < length; tap++)
        total += squished[(size_t)(first[row] + tap) * columns + column] * weights[tap * rows + row];
    float gray = (float)rounded(total) / 255.0f;
    store_channels(output, channels, (size_t)row * columns + column, (size_t)rows * columns, gray);
}
