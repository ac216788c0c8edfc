// preprocess.clahe and classify.classifier_input for a batch of crops: blockIdx.z is the crop. Each stage stands in a
// work buffer from which the next reads; a crop's part of every such buffer begins at its offset, in pixels.
#include "pixel.h"

#define TILE_ROWS 16
#define TILE_COLUMNS 32
#define RADIUS 4
#define SIDE_ROWS (TILE_ROWS + 2 * RADIUS)
#define SIDE_COLUMNS (TILE_COLUMNS + 2 * RADIUS)
#define BINS 256
#define MOST_TILES 15
#define STRIP_ROWS 8

// A crop in canonical view, and how its resized form stands in the network's input.
struct Crop {
    int left, top, rows, columns;
    int offset;
    int tile_rows, tile_columns, tiles_down, tiles_across;
    int from_row, from_column;                        // first pixel of the resized crop that the network sees
    int to_row, to_column, kept_rows, kept_columns;  // where it stands in the input, and how many are seen
    float row_step, column_step;
};

// Lowest and highest key of each crop after each stage.
struct Bounds {
    count gray[2], sharpened[2], level[2];
};

struct Gaussian {
    double weights[RADIUS + 1];  // of the centre first
};

struct Equalisation {
    double clip_limit;
    int levels, bin_width;
};

// The crop's gray, mirrored left to right: its tiles stand at the mirrored corner.
KERNEL crop_gray(Image image, const byte *table, const Crop *crops, byte *gray, Bounds *bounds) {
    __shared__ count extremes[2];
    Crop crop = crops[blockIdx.z];
    int column = blockIdx.x * blockDim.x + threadIdx.x, row = blockIdx.y * blockDim.y + threadIdx.y;
    bool inside = row < crop.rows && column < crop.columns;
    byte value = 0;
    if (inside) {
        value = table[entry_at(image, crop.top + row, crop.left + crop.columns - 1 - column)];
        gray[crop.offset + row * crop.columns + column] = value;
    }
    extend_bounds(bounds[blockIdx.z].gray, extremes, inside ? value : ~0u, value);
}

INLINE void order(byte &low, byte &high) {
    byte least = low < high ? low : high;
    high = low < high ? high : low;
    low = least;
}

// Median of 3 x 3, the border repeated. Rescaling keeps the order, so the median of the bytes is that of the floats.
// row and column are the crop's, top and left those of the first pixel in gray.
INLINE byte median_at(const byte gray[SIDE_ROWS + 2][SIDE_COLUMNS + 2], const Crop &crop, int row, int column, int top,
                      int left) {
    byte v[9];
    for (int k = 0; k < 9; k++)
        v[k] = gray[clamped(row + k / 3 - 1, crop.rows) - top][clamped(column + k % 3 - 1, crop.columns) - left];
    order(v[1], v[2]), order(v[4], v[5]), order(v[7], v[8]), order(v[0], v[1]), order(v[3], v[4]), order(v[6], v[7]);
    order(v[1], v[2]), order(v[4], v[5]), order(v[7], v[8]), order(v[0], v[3]), order(v[5], v[8]), order(v[4], v[7]);
    order(v[3], v[6]), order(v[1], v[4]), order(v[2], v[5]), order(v[4], v[7]), order(v[4], v[2]), order(v[6], v[4]);
    order(v[4], v[2]);
    return v[4];
}

// Sum in double precision from the centre and then from the outer taps inwards, stored in single precision.
INLINE float smoothed(const float *centre, int stride, const Gaussian &gaussian) {
    double total = centre[0] * gaussian.weights[0];
    for (int tap = RADIUS; tap > 0; tap--)
        total += ((double)centre[-tap * stride] + (double)centre[tap * stride]) * gaussian.weights[tap];
    return (float)total;
}

// Rescale, median, minus a part of its Gaussian. Medians stand for positions outside the crop as its border's do.
KERNEL sharpen(const Crop *crops, const byte *gray, float *sharpened, Bounds *bounds, Gaussian gaussian, float part) {
    __shared__ byte pixels[SIDE_ROWS + 2][SIDE_COLUMNS + 2];
    __shared__ float median[SIDE_ROWS][SIDE_COLUMNS], down[TILE_ROWS][SIDE_COLUMNS];
    __shared__ count extremes[2];
    Crop crop = crops[blockIdx.z];
    int top = blockIdx.y * TILE_ROWS, left = blockIdx.x * TILE_COLUMNS;
    if (top >= crop.rows || left >= crop.columns) return;
    int thread = threadIdx.y * blockDim.x + threadIdx.x, threads = blockDim.x * blockDim.y;
    int first_row = top - RADIUS - 1, first_column = left - RADIUS - 1;
    for (int index = thread; index < (SIDE_ROWS + 2) * (SIDE_COLUMNS + 2); index += threads) {
        int row = index / (SIDE_COLUMNS + 2), column = index % (SIDE_COLUMNS + 2);
        int place = clamped(first_row + row, crop.rows) * crop.columns + clamped(first_column + column, crop.columns);
        pixels[row][column] = gray[crop.offset + place];
    }
    __syncthreads();
    float low = (float)lowest_key(bounds[blockIdx.z].gray), high = (float)highest_key(bounds[blockIdx.z].gray);
    for (int index = thread; index < SIDE_ROWS * SIDE_COLUMNS; index += threads) {
        int row = clamped(first_row + 1 + index / SIDE_COLUMNS, crop.rows);
        int column = clamped(first_column + 1 + index % SIDE_COLUMNS, crop.columns);
        byte middle = median_at(pixels, crop, row, column, first_row, first_column);
        median[index / SIDE_COLUMNS][index % SIDE_COLUMNS] = zero_to_one(middle, low, high);
    }
    __syncthreads();
    for (int index = thread; index < TILE_ROWS * SIDE_COLUMNS; index += threads) {
        int row = index / SIDE_COLUMNS, column = index % SIDE_COLUMNS;
        down[row][column] = smoothed(&median[row + RADIUS][column], SIDE_COLUMNS, gaussian);
    }
    __syncthreads();
    count least = ~0u, most = 0;
    int column = left + threadIdx.x;
    for (int row = threadIdx.y; row < TILE_ROWS && column < crop.columns && top + row < crop.rows; row += blockDim.y) {
        float value = median[row + RADIUS][threadIdx.x + RADIUS];
        value = value - part * smoothed(&down[row][threadIdx.x + RADIUS], 1, gaussian);
        sharpened[crop.offset + (top + row) * crop.columns + column] = value;
        least = key_of(value) < least ? key_of(value) : least;
        most = key_of(value) > most ? key_of(value) : most;
    }
    extend_bounds(bounds[blockIdx.z].sharpened, extremes, least, most);
}

// By way of 16 bits and of 14 bits, each rounded half to even. A rescaled image reaches from 0 to 65535, and
// v / 65535 * 16383 is v * 5461 / 21845, which is never half-way; an image of one value keeps its level, cut to 14 bits.
INLINE byte bin_of(float value, float low, float high, const Equalisation &how) {
    int sixteen = (int)rintf(zero_to_one(value, low, high) * 65535.0f);
    int level = low == high ? smaller(sixteen, how.levels - 1) : (sixteen * 10922 + 21845) / 43690;
    return (byte)(level / how.bin_width);
}

INLINE int reflected(int index, int length) { return index < length ? index : 2 * length - 2 - index; }

// Cut the histogram at the limit and spread what was cut, as scikit-image does. One thread a bin; own is its count.
INLINE count clipped(count own, count limit, count *shared) {
    int bin = threadIdx.x;
    if (bin < 4) shared[bin] = 0;
    __syncthreads();
    if (own > limit) atomicAdd(&shared[0], own - limit);
    __syncthreads();
    int excess = (int)shared[0];
    own = own > limit ? limit : own;
    if (excess == 0) return own;
    int share = excess / BINS;
    bool low = (int)own < (int)limit - share, middle = own < limit && !low;
    own += low ? share : 0;
    // A bin lifted to just below the limit by its share counts as a middle one too.
    middle = middle || (low && (int)own >= (int)limit - share && own < limit);
    if (low) atomicAdd(&shared[1], 1u);
    if (middle) atomicAdd(&shared[2], limit - own);
    __syncthreads();
    excess -= (int)shared[1] * share + (int)shared[2];
    own = middle ? limit : own;
    // Passes over the bins: each adds 1 to every step-th bin that has room, until nothing is left. Three counters turn
    // about, so that one can be cleared while the others are in use.
    for (int index = 0, turn = 0; excess > 0; index = (index + 1) % BINS, turn++) {
        count *under = &shared[4 + turn % 3], *chosen = &shared[7 + turn % 3];
        if (turn == 0 && bin < 6) shared[4 + bin] = 0;
        if (turn == 0) __syncthreads();
        if (own < limit) atomicAdd(under, 1u);
        __syncthreads();
        int step = larger(1, (int)*under / excess);
        bool mine = own < limit && bin >= index && (bin - index) % step == 0;
        if (mine) atomicAdd(chosen, 1u), own++;
        if (bin == 0) shared[4 + (turn + 1) % 3] = shared[7 + (turn + 1) % 3] = 0;
        __syncthreads();
        excess -= (int)*chosen;
    }
    return own;
}

// One block of BINS threads a tile: its bins, their histogram, and the level that it gives to each bin. Tiles beyond the
// crop see it reflected.
KERNEL tile_maps(const Crop *crops, const float *sharpened, const Bounds *bounds, byte *bins, word *maps,
                 Equalisation how) {
    __shared__ count histogram[BINS], shared[10];
    Crop crop = crops[blockIdx.z];
    int tile_row = blockIdx.y, tile_column = blockIdx.x, bin = threadIdx.x;
    if (tile_row >= crop.tiles_down || tile_column >= crop.tiles_across) return;
    float low = float_of_key(lowest_key(bounds[blockIdx.z].sharpened));
    float high = float_of_key(highest_key(bounds[blockIdx.z].sharpened));
    histogram[bin] = 0;
    __syncthreads();
    int pixels = crop.tile_rows * crop.tile_columns;
    for (int index = bin; index < pixels; index += BINS) {
        int row = tile_row * crop.tile_rows + index / crop.tile_columns;
        int column = tile_column * crop.tile_columns + index % crop.tile_columns;
        int place = crop.offset + reflected(row, crop.rows) * crop.columns + reflected(column, crop.columns);
        byte found = bin_of(sharpened[place], low, high, how);
        if (row < crop.rows && column < crop.columns) bins[place] = found;
        atomicAdd(&histogram[found], 1u);
    }
    __syncthreads();
    count limit = (count)larger((int)(how.clip_limit * pixels), 1);
    count own = clipped(histogram[bin], limit, shared);
    __syncthreads();
    histogram[bin] = own;
    for (int reach = 1; reach < BINS; reach *= 2) {  // cumulative
        __syncthreads();
        count below = bin >= reach ? histogram[bin - reach] : 0;
        __syncthreads();
        histogram[bin] += below;
    }
    double level = histogram[bin] * ((double)(how.levels - 1) / pixels);
    level = level < how.levels - 1 ? level : how.levels - 1;
    int number = (blockIdx.z * MOST_TILES + tile_row) * MOST_TILES + tile_column;
    maps[(size_t)number * BINS + bin] = (word)(int)level;
}

// Mix the maps of the four nearest tiles for each pixel and cut fractions off; the outermost tiles stand once more
// beyond the border. A block is a strip of STRIP_ROWS rows.
KERNEL interpolate(const Crop *crops, const byte *bins, const word *maps, word *levels, Bounds *bounds) {
    __shared__ double down[STRIP_ROWS];
    __shared__ count extremes[2];
    Crop crop = crops[blockIdx.z];
    int column = blockIdx.x * blockDim.x + threadIdx.x, top = blockIdx.y * STRIP_ROWS;
    if (top >= crop.rows) return;
    if (threadIdx.x < STRIP_ROWS)
        down[threadIdx.x] = (double)((top + threadIdx.x + crop.tile_rows / 2) % crop.tile_rows) / crop.tile_rows;
    __syncthreads();
    bool inside = column < crop.columns;
    int place = column + crop.tile_columns / 2, across = place / crop.tile_columns;
    double second = (double)(place % crop.tile_columns) / crop.tile_columns;
    count least = ~0u, most = 0;
    for (int row = top; inside && row < smaller(top + STRIP_ROWS, crop.rows); row++) {
        int tile_row = (row + crop.tile_rows / 2) / crop.tile_rows, pixel = crop.offset + row * crop.columns + column;
        float total = 0.0f;
        for (int edge = 0; edge < 4; edge++) {
            int tile = clamped(tile_row + edge / 2 - 1, crop.tiles_down) * MOST_TILES;
            tile += blockIdx.z * MOST_TILES * MOST_TILES + clamped(across + edge % 2 - 1, crop.tiles_across);
            double weight = edge % 2 ? second : 1.0 - second;
            weight *= edge / 2 ? down[row - top] : 1.0 - down[row - top];
            total += (float)(maps[(size_t)tile * BINS + bins[pixel]] * weight);
        }
        count level = (count)(int)total;
        levels[pixel] = (word)level;
        least = level < least ? level : least;
        most = level > most ? level : most;
    }
    extend_bounds(bounds[blockIdx.z].level, extremes, least, most);
}

// preprocess.resize.bilinear_align_corners: where an output pixel lies between two of the crop's.
INLINE Sample sample_at(int index, float step, int length) {
    float position = (float)index * step;
    int first = smaller((int)position, length - 1);
    return {first, smaller(first + 1, length - 1), position - (float)first};
}

// Resize, cut or pad about the centre.
KERNEL classifier_input(const Crop *crops, const word *levels, const Bounds *bounds, Output output, int rows,
                        int columns) {
    Crop crop = crops[blockIdx.z];
    int column = blockIdx.x * blockDim.x + threadIdx.x, row = blockIdx.y * blockDim.y + threadIdx.y;
    if (row >= rows || column >= columns) return;
    size_t index = ((size_t)blockIdx.z * rows + row) * columns + column;
    int y = row - crop.to_row, x = column - crop.to_column;
    if (y < 0 || y >= crop.kept_rows || x < 0 || x >= crop.kept_columns) {
        store(output, index, 0.0f);
        return;
    }
    float low = (float)lowest_key(bounds[blockIdx.z].level), high = (float)highest_key(bounds[blockIdx.z].level);
    Sample down = sample_at(y + crop.from_row, crop.row_step, crop.rows);
    Sample across = sample_at(x + crop.from_column, crop.column_step, crop.columns);
    const word *upper = levels + crop.offset + down.first * crop.columns;
    const word *lower = levels + crop.offset + down.second * crop.columns;
    float above = (1.0f - across.weight) * zero_to_one(upper[across.first], low, high) +
                  across.weight * zero_to_one(upper[across.second], low, high);
    float below = (1.0f - across.weight) * zero_to_one(lower[across.first], low, high) +
                  across.weight * zero_to_one(lower[across.second], low, high);
    store(output, index, (1.0f - down.weight) * above + down.weight * below);
}
