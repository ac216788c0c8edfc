// locate.segmentation_input and its windows: preprocess.resize.area_resize, preprocess.intensity.minus_one_to_one.
#include "pixel.h"

struct Windows {
    int size;    // rows and columns of the resized image
    int window;  // of one window
    int step, across;
};

// Each output pixel is the mean of a bin of whole pixels; neighbouring bins may share one row or column of them, and
// every other pixel is read once. eight_bit is the table where values are whole and sums exact, else values is.
KERNEL area_resize(Image image, const byte *eight_bit, const float *values, float *resized, count *bounds, int size) {
    __shared__ count extremes[2];
    int column = blockIdx.x * blockDim.x + threadIdx.x, row = blockIdx.y * blockDim.y + threadIdx.y;
    bool inside = row < size && column < size;
    float mean = 0.0f;
    if (inside) {
        long long rows = rows_of(image), columns = columns_of(image);
        int top = (int)(row * rows / size), bottom = (int)(((row + 1) * rows + size - 1) / size);
        int left = (int)(column * columns / size), right = (int)(((column + 1) * columns + size - 1) / size);
        unsigned long long whole = 0;
        double sum = 0.0;
        for (int x = left; x < right; x++) {
            double down = 0.0;  // rows first, then columns: the order in which the reference rounds
            for (int y = top; y < bottom; y++) {
                int entry = entry_at(image, y, x);
                if (eight_bit)
                    whole += eight_bit[entry];
                else
                    down += values[entry];
            }
            sum += down;
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
