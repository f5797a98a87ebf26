/* Pooling with ReLU, and dropout: both together, or each alone, in one pass forward and one backward.

   Compiled once for float32 and, with -DBFLOAT16, once for bfloat16. Images lie as (batch, height, width, channels), and
   every number equals that of PyTorch's operations one after another; zeros may differ in sign. */

#include <stdint.h>
#include <string.h>

#ifdef BFLOAT16
typedef uint16_t number;

static inline float widen(number x) {
    uint32_t bits = (uint32_t)x << 16;
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

/* The nearest, and of two that are equally near the even one. */
static inline number narrow(float x) {
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return x != x ? 0x7FC0 : (number)((bits + 0x7FFF + (bits >> 16 & 1)) >> 16);
}
#else
typedef float number;

static inline float widen(number x) { return x; }
static inline number narrow(float x) { return x; }
#endif

/* Of four places the one with the maximum, or none: ReLU lets no gradient through. Plus DROPPED where it is dropped. */
enum { NONE = 4, DROPPED = 8 };
/* Numbers that `pool_back` takes at a time: several columns, since the channels of one are few for vectors. */
enum { PART = 1024 };

/* relu(the maximum of four places' numbers) for each channel, and which place has it. */
static inline void pool_place(const number *restrict a, const number *restrict b, const number *restrict c,
                              const number *restrict d, number *restrict y, uint8_t *restrict place, int64_t channels) {
    for (int64_t k = 0; k < channels; k++) {
        const float others[] = {widen(b[k]), widen(c[k]), widen(d[k])};
        float most = widen(a[k]);
        int32_t from = 0;
        for (int32_t other = 0; other < 3; other++) {
            const int is_more = others[other] > most || others[other] != others[other]; /* NaN is more than any number */
            from = is_more ? other + 1 : from;
            most = is_more ? others[other] : most;
        }
        y[k] = narrow(most <= 0 ? 0 : most);
        place[k] = (uint8_t)(most <= 0 ? NONE : from);
    }
}

static inline number dropped(number x, int is_kept, float scale) {
    return narrow(widen(x) * (is_kept ? 1.0f : 0.0f) * scale);
}

static inline number dropped_back(number grad, int is_kept, float scale) {
    return narrow(widen(narrow(widen(grad) * scale)) * (is_kept ? 1.0f : 0.0f));
}

static inline void pool_place_back(const number *restrict grad, const uint8_t *restrict place, number *restrict a,
                                   number *restrict b, number *restrict c, number *restrict d, int64_t channels) {
#pragma omp simd
    for (int64_t k = 0; k < channels; k++) {
        a[k] = place[k] == 0 ? grad[k] : 0;
        b[k] = place[k] == 1 ? grad[k] : 0;
        c[k] = place[k] == 2 ? grad[k] : 0;
        d[k] = place[k] == 3 ? grad[k] : 0;
    }
}

/* y = relu(the maximum of 2x2), (batch, height / 2, width / 2, channels), and where each comes from. With random bits,
   it is dropped out, too, as `drop` does it. */
void pool(const number *x, const int16_t *random, number *y, uint8_t *places, int64_t batch, int64_t height,
          int64_t width, int64_t channels, int bound, float scale, int threads) {
    const int64_t rows = height / 2, columns = width / 2, line = width * channels, count = columns * channels;
    const int16_t least = (int16_t)bound;
#pragma omp parallel for num_threads(threads) if (threads > 1)
    for (int64_t row = 0; row < batch * rows; row++) {
        const number *top = x + (row / rows * height + 2 * (row % rows)) * line;
        number *restrict its = y + row * count;
        uint8_t *restrict from = places + row * count;
        for (int64_t column = 0; column < columns; column++, top += 2 * channels) {
            const int64_t at = column * channels;
            pool_place(top, top + channels, top + line, top + line + channels, its + at, from + at, channels);
        }
        if (!random) continue;
        const int16_t *restrict bits = random + row * count;
        for (int64_t k = 0; k < count; k++) its[k] = dropped(its[k], bits[k] >= least, scale);
        for (int64_t k = 0; k < count; k++) from[k] |= (uint8_t)(bits[k] >= least ? 0 : DROPPED);
    }
}

/* The gradient of x from that of y; every number of it is written. Without dropout, the scale is 1. */
void pool_back(const number *grad, const uint8_t *places, number *to, int64_t batch, int64_t height, int64_t width,
               int64_t channels, float scale, int threads) {
    const int64_t rows = height / 2, line = width * channels, count = width / 2 * channels;
#pragma omp parallel for num_threads(threads) if (threads > 1)
    for (int64_t row = 0; row < batch * rows; row++) {
        number *top = to + (row / rows * height + 2 * (row % rows)) * line;
        if (height % 2 && row % rows == rows - 1) memset(top + 2 * line, 0, line * sizeof(number));
        const number *restrict its = grad + row * count;
        const uint8_t *restrict from = places + row * count;
        for (int64_t start = 0, part; start < count; start += part) {
            number back[PART];
            uint8_t bare[PART];
            part = count - start < PART ? count - start : PART;
            for (int64_t k = 0; k < part; k++) back[k] = dropped_back(its[start + k], from[start + k] < DROPPED, scale);
            for (int64_t k = 0; k < part; k++) bare[k] = from[start + k] % DROPPED;
            for (int64_t k = 0, some; k < part; k += some) { /* of one column */
                const int64_t column = (start + k) / channels, channel = (start + k) % channels;
                some = channels - channel < part - k ? channels - channel : part - k;
                number *a = top + 2 * column * channels + channel;
                pool_place_back(back + k, bare + k, a, a + channels, a + line, a + line + channels, some);
            }
        }
        if (width % 2) {
            number *last = top + 2 * count;
            memset(last, 0, channels * sizeof(number));
            memset(last + line, 0, channels * sizeof(number));
        }
    }
}

/* y = x * kept * scale, where kept is 1 if 16 random bits are no less than the bound, else 0. */
void drop(const number *restrict x, const int16_t *restrict random, number *restrict y, uint8_t *restrict kept,
          int64_t count, int bound, float scale, int threads) {
#pragma omp parallel for num_threads(threads) if (threads > 1)
    for (int64_t k = 0; k < count; k++) {
        kept[k] = random[k] >= bound;
        y[k] = dropped(x[k], random[k] >= bound, scale);
    }
}

void drop_back(const number *restrict grad, const uint8_t *restrict kept, number *restrict to, int64_t count,
               float scale, int threads) {
#pragma omp parallel for num_threads(threads) if (threads > 1)
    for (int64_t k = 0; k < count; k++) {
        to[k] = dropped_back(grad[k], kept[k], scale);
    }
}
