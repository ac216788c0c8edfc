// locate.segmentation_input and its windows: preprocess.resize.area_resize, preprocess.intensity.minus_one_to_one.
#include "pixel.h"

struct Windows {
    int size;    // rows and columns of the resized image
    int window;  // of one window
    int step, across;
};

#define TILE 8192  // pixels that a block holds

INLINE int bin_begin(int index, int length, int size) { return (int)((long long)index * length / size); }
INLINE int bin_end(int index, int length, int size) {
    return (int)(((long long)(index + 1) * length + size - 1) / size);
}

// Of a pixel: its gray where there is a table of it, else its entry.
INLINE int seen(const Image &image, const byte *eight_bit, int row, int column) {
    int entry = entry_at(image, row, column);
    return eight_bit ? eight_bit[entry] : entry;
}

// Each output pixel is the mean of a bin of whole pixels, and neighbouring bins may share one row or column of them: a
// block holds the pixels of all its bins, so that each is read once. Of bins so large that they do not fit, the shared
// rows and columns are few, and are read twice. eight_bit is the table where values are whole and sums exact, else
// values is.
KERNEL area_resize(Image image, const byte *eight_bit, const float *values, float *resized, count *bounds, int size) {
    __shared__ word tile[TILE];
    __shared__ count extremes[2];
    int rows = rows_of(image), columns = columns_of(image);
    int first_column = blockIdx.x * blockDim.x, first_row = blockIdx.y * blockDim.y;
    int left_of_all = bin_begin(first_column, columns, size), top_of_all = bin_begin(first_row, rows, size);
    int across = bin_end(smaller(first_column + blockDim.x, size) - 1, columns, size) - left_of_all;
    int down = bin_end(smaller(first_row + blockDim.y, size) - 1, rows, size) - top_of_all;
    bool held = (long long)across * down <= TILE;
    for (int y = threadIdx.y; held && y < down; y += blockDim.y)
        for (int x = threadIdx.x; x < across; x += blockDim.x)
            tile[y * across + x] = (word)seen(image, eight_bit, top_of_all + y, left_of_all + x);
    __syncthreads();
    int column = first_column + threadIdx.x, row = first_row + threadIdx.y;
    bool inside = row < size && column < size;
    float mean = 0.0f;
    if (inside) {
        int top = bin_begin(row, rows, size), bottom = bin_end(row, rows, size);
        int left = bin_begin(column, columns, size), right = bin_end(column, columns, size);
        unsigned long long whole = 0;
        double sum = 0.0;
        for (int x = left; x < right; x++) {
            double part = 0.0;  // rows first, then columns: the order in which the reference rounds
            for (int y = top; y < bottom; y++) {
                int found = held ? tile[(y - top_of_all) * across + x - left_of_all] : seen(image, eight_bit, y, x);
                if (eight_bit)
                    whole += (count)found;
                else
                    part += values[found];
            }
            sum += part;
        }
        double pixels = (double)(bottom - top) * (right - left);
        mean = (float)((eight_bit ? (double)whole : sum) / pixels);
        resized[(size_t)row * size + column] = mean;
    }
    extend_bounds(bounds, extremes, inside ? key_of(mean) : ~0u, inside ? key_of(mean) : 0);
}

// Windows stand in the batch column by column from the left; the last of each axis ends with the image.
KERNEL segmenter_windows(const float *resized, const count *bounds, Windows windows, Output output) {
    int column = blockIdx.x * blockDim.x + threadIdx.x, row = blockIdx.y * blockDim.y + threadIdx.y;
    if (row >= windows.window || column >= windows.window) return;
    int number = blockIdx.z, last = windows.size - windows.window;
    int left = smaller(number / windows.across * windows.step, last);
    int top = smaller(number % windows.across * windows.step, last);
    float low = float_of_key(lowest_key(bounds)), high = float_of_key(highest_key(bounds));
    float value = resized[(size_t)(top + row) * windows.size + left + column];
    value = low == high ? 0.0f : (value - low) / (high - low) * 2.0f - 1.0f;
    store(output, ((size_t)number * windows.window + row) * windows.window + column, value);
}
