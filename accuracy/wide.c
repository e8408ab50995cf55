// Fast references: the C library's functions of f64, for f32, and those of 80 bits (`long double` on x86), for f64; functions
// that it lacks are made of these. A reference says how far it may be off, so that the caller can ask MPFR where that matters.
#define _GNU_SOURCE
#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

typedef long double wide;

_Static_assert(sizeof(wide) == 16, "80-bit numbers in 16 bytes");

static const wide PI = 3.141592653589793238462643383279502884L;

// What a reference may be off: rel of the value, and of another quantity `off` where terms cancel.
struct answer {
    wide value;
    wide off;
};

// Sine, cosine and tangent of pi x, in two widths. At integers and half-integers C23 says which zero, which infinity.
#define TURNS(name, type, l) \
    static type name##sinpi(type x) { \
        type r = x - 2 * round##l(x / 2); \
        if (r > (type)0.5) r = 1 - r; \
        if (r < (type)-0.5) r = -1 - r; \
        if (r == 0) return copysign##l(0, x); \
        if (fabs##l(r) > (type)0.25) return copysign##l(cos##l((type)PI * ((type)0.5 - fabs##l(r))), r); \
        return sin##l((type)PI * r); \
    } \
    static type name##cospi(type x) { \
        type r = fabs##l(x - 2 * round##l(x / 2)), sign = 1; \
        if (r > (type)0.5) { \
            r = 1 - r; \
            sign = -1; \
        } \
        if (r == (type)0.5) return 0; \
        return sign * (r > (type)0.25 ? sin##l((type)PI * ((type)0.5 - r)) : cos##l((type)PI * r)); \
    } \
    static type name##tanpi(type x) { \
        if (isinf(x)) return NAN; \
        type r = x - round##l(x); \
        if (r == 0) return copysign##l(0, x) * (fmod##l(x, 2) == 0 ? 1 : -1); \
        if (fabs##l(r) == (type)0.5) return fmod##l(floor##l(x), 2) == 0 ? INFINITY : -INFINITY; \
        if (fabs##l(r) > (type)0.25) return copysign##l(1 / tan##l((type)PI * ((type)0.5 - fabs##l(r))), r); \
        return tan##l((type)PI * r); \
    }

TURNS(, wide, l)
TURNS(narrow_, double, )

// Functions that the C library lacks, made of those it has, in both widths. `half` is sqrt(1/2), `rest` what it is off.
//
// erfc(x / sqrt(2)): x / sqrt(2) in two parts, for large x are worth an error of x^2 / 2 ulp. Inverses take steps of third order from
// a value that is nearly right, or from zero on where it is not; ndtri for min(p, 1 - p), which is exact.
#define MADE(name, type, l, half, rest) \
    static type name##rsqrt(type x) { return 1 / sqrt##l(x); } \
    static type name##sinc(type x) { return x == 0 ? 1 : name##sinpi(x) / ((type)PI * x); } \
    static type name##degrees(type x) { return x * (type)(180 / PI); } \
    static type name##radians(type x) { return x * (type)(PI / 180); } \
    static type name##erfc_of_part(type x) { \
        type t = x * (type)half; \
        type d = fma##l(x, (type)half, -t) + x * (type)rest; \
        return erfc##l(t) - (type)1.1283791670955125739L * exp##l(-t * t) * d; \
    } \
    static type name##ndtr(type x) { return isinf(x) ? (x > 0 ? 1 : 0) : (type)0.5 * name##erfc_of_part(-x); } \
    static type name##erfinv(type y, type guess) { \
        if (isnan(y) || fabs##l(y) > 1) return NAN; \
        if (fabs##l(y) == 1) return copysign##l(INFINITY, y); \
        if (y == 0) return y; \
        type a = fabs##l(y); \
        type x = fabs##l(guess); \
        if (!(x < 10) || x == 0) x = a < (type)0.9 ? a : sqrt##l(-log##l(1 - a)); \
        for (int n = 0; n < 60; n++) { \
            type left = a < (type)0.5 ? erf##l(x) - a : (1 - a) - erfc##l(x); \
            type u = left * (type)0.88622692545275801364908374167057259L * exp##l(x * x); \
            type step = u / (1 + u * x); \
            x -= step; \
            if (fabs##l(step) <= (type)1e-6 * x) break; \
        } \
        return copysign##l(x, y); \
    } \
    static type name##ndtri(type p, type guess) { \
        if (isnan(p) || p < 0 || p > 1) return NAN; \
        if (p == 0) return -INFINITY; \
        if (p == 1) return INFINITY; \
        if (p == (type)0.5) return 0; \
        type q = p < (type)0.5 ? p : 1 - p; \
        type x = -fabs##l(guess); \
        if (!(x > -60) || x == 0) x = -sqrt##l(-2 * log##l(q)) / 2; \
        for (int n = 0; n < 60; n++) { \
            type left = q > (type)0.3 ? (type)0.5 * erf##l(x * (type)half) - (q - (type)0.5) : name##ndtr(x) - q; \
            type u = left * (type)2.5066282746310005024157652848110453L * exp##l((type)0.5 * x * x); \
            type step = u / (1 + (type)0.5 * u * x); \
            x -= step; \
            if (fabs##l(step) <= (type)1e-6 * -x) break; \
        } \
        return p < (type)0.5 ? x : -x; \
    }

MADE(, wide, l, 0.70710678118654752440084436210484904L, 1.8950325588932570797e-20L)
MADE(narrow_, double, , 0.70710678118654752440084436210484904, -4.8336466567264565186e-17)

// psi(x + n) - 1/x - .. - 1/(x + n - 1), and reflection; the asymptotic series from 20 on.
static struct answer digamma(wide x) {
    if (isnan(x) || x == -INFINITY) return (struct answer){NAN, 0};
    if (x == 0) return (struct answer){copysignl(INFINITY, -x), 0};
    if (x < 0) {
        wide r = x - roundl(x);
        if (r == 0) return (struct answer){NAN, 0};
        wide part = fabsl(r) == 0.5L ? 0 : PI / tanpi(r);
        struct answer other = digamma(1 - x);
        // 1 - x rounds: psi' is at most that of 1.
        return (struct answer){other.value - part, fabsl(other.value) + fabsl(part) + other.off + fabsl(x)};
    }
    wide sum = 0;
    wide y = x;
    while (y < 20) {
        sum += 1 / y;
        y += 1;
    }
    wide z = 1 / (y * y);
    wide tail = z * (1 / 12.0L - z * (1 / 120.0L - z * (1 / 252.0L - z * (1 / 240.0L - z * (1 / 132.0L - z * (691 / 32760.0L
        - z * (1 / 12.0L - z * (3617 / 8160.0L))))))));
    wide value = logl(y) - 0.5L / y - tail - sum;
    return (struct answer){value, logl(y) + sum};
}

static wide logaddexp(wide a, wide b) {
    if (a == b) return a + 0.69314718055994530941723212145817657L;
    wide d = a - b;
    if (isnan(d)) return d;
    return d > 0 ? a + log1pl(expl(-d)) : b + log1pl(expl(d));
}

static wide logaddexp2(wide a, wide b) {
    static const wide LOG2E = 1.4426950408889634073599246810018921L;
    if (a == b) return a + 1;
    wide d = a - b;
    if (isnan(d)) return d;
    return d > 0 ? a + LOG2E * log1pl(exp2l(-d)) : b + LOG2E * log1pl(exp2l(d));
}

// The sign that C's gamma leaves in a global variable is not asked for.
static wide lgamma_of(wide x) {
    int sign;
    return lgammal_r(x, &sign);
}

static double narrow_lgamma(double x) {
    int sign;
    return lgamma_r(x, &sign);
}

static wide larger(wide a, wide b) { return fabsl(a > b ? a : b); }

static wide lgamma_term(wide x, wide y) {
    (void)y;
    return fmaxl(fabsl(lgamma_of(-x)), 1);
}

static wide digamma_term(wide x, wide y) {
    (void)y;
    return fmaxl(fabsl(digamma(1 - x).value), 1);
}

// How the C library's 80-bit functions err: 8 units of the last place and more than glibc's manual states for any of them.
#define WIDE_OFF 0x1p-60L
#define NARROW_OFF 0x1p-48L

struct row {
    const char *name;
    double (*narrow)(double);
    double (*narrow2)(double, double);
    wide (*one)(wide);
    wide (*two)(wide, wide);
    double (*narrow_inverse)(double, double);
    wide (*inverse)(wide, wide);
    struct answer (*sum)(wide);
    // The size of the largest term, if the value is a sum that may cancel.
    wide (*term)(wide, wide);
    int own;
};

#define C1(f) {.name = #f, .narrow = f, .one = f##l}
#define C2(f) {.name = #f, .narrow2 = f, .two = f##l}
#define MADE1(f) {.name = #f, .narrow = narrow_##f, .one = f, .own = 1}
#define SUM2(f) {.name = #f, .two = f, .term = larger, .own = 1}

static const struct row ROWS[] = {
    C1(exp), C1(exp2), C1(exp10), C1(expm1), C1(log), C1(log2), C1(log10), C1(log1p), C1(cbrt), C1(sin), C1(cos), C1(tan),
    C1(asin), C1(acos), C1(atan), C1(sinh), C1(cosh), C1(tanh), C1(asinh), C1(acosh), C1(atanh), C1(erf), C1(erfc),
    C2(pow), C2(hypot), C2(atan2),
    MADE1(sinpi), MADE1(cospi), MADE1(tanpi), MADE1(sinc), MADE1(degrees), MADE1(radians), MADE1(ndtr),
    SUM2(logaddexp), SUM2(logaddexp2),
    {.name = "rsqrt", .narrow = narrow_rsqrt, .one = rsqrt},
    {.name = "gamma", .narrow = tgamma, .one = tgammal},
    {.name = "lgamma", .narrow = narrow_lgamma, .one = lgamma_of, .term = lgamma_term},
    {.name = "digamma", .sum = digamma, .term = digamma_term, .own = 1},
    {.name = "erfinv", .narrow_inverse = narrow_erfinv, .inverse = erfinv, .own = 1},
    {.name = "ndtri", .narrow_inverse = narrow_ndtri, .inverse = ndtri, .own = 1},
};

// The number of a function, or -1.
int reference_row(const char *name) {
    for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++)
        if (!strcmp(ROWS[i].name, name)) return (int)i;
    return -1;
}

// Whose a function's values are, `narrow` for f32: 0 the C library's of f64, 1 its of 80 bits; 2 and 3 are made of these.
int reference_kind(int row, int narrow) {
    const struct row *f = &ROWS[row];
    return 2 * f->own + !(narrow && (f->narrow || f->narrow2 || f->narrow_inverse));
}

// Values of a function in 80 bits and what each may be off. `guess` holds results near the right ones, from which inverse
// functions are computed. `term` is null, or gets the sizes of the largest terms.
void reference_values(int row, const double *x, const double *y, const double *guess, wide *value, wide *term, wide *off,
                      size_t n) {
    const struct row *f = &ROWS[row];
    for (size_t i = 0; i < n; i++) {
        struct answer a = {0, 0};
        if (f->one) {
            a.value = f->one(x[i]);
        } else if (f->two) {
            a.value = f->two(x[i], y[i]);
        } else if (f->inverse) {
            a.value = f->inverse(x[i], guess[i]);
        } else {
            a = f->sum(x[i]);
        }
        if (f->two && f->term) a.off = f->term(x[i], y[i]);
        if (term) {
            term[i] = f->term(x[i], y[i]);
            if (isfinite(term[i])) a.off += term[i];
        }
        value[i] = a.value;
        off[i] = isfinite(a.value) ? WIDE_OFF * (fabsl(a.value) + a.off) : 0;
    }
}

// The parts of an 80-bit number: arithmetic on its NaNs and infinities takes a hundred times longer.
struct parts {
    uint64_t digits;
    uint16_t exponent;
};

static struct parts parts_of(const wide *x) {
    struct parts parts;
    memcpy(&parts, x, 10);
    return parts;
}

// The exponent of a number's ulp in f32 or f64.
static int ulp_exponent(struct parts want, int bits) {
    int least = bits == 32 ? -149 : -1074, most = bits == 32 ? 104 : 971, digits = bits == 32 ? 23 : 52;
    int e = (want.exponent & 0x7fff) - 16383 - digits;
    return e < least ? least : e > most ? most : e;
}

static wide power(int e) {
    struct parts parts = {(uint64_t)1 << 63, (uint16_t)(e + 16383)};
    wide value = 0;
    memcpy(&value, &parts, 10);
    return value;
}

// The errors of results in ulp of f32 or f64 (`bits`), and in `doubt` what the references may be off; infinite where a special
// value is wrong: a NaN, an infinity or the sign of a zero. With `term`, ulp are those of the terms where these are larger than
// the values, and signs of finite results do not count.
void reference_errors(int bits, const double *got, const wide *value, const wide *term, const wide *off, double *error,
                      double *doubt, size_t n) {
    const double top = bits == 32 ? 0x1p128 : INFINITY;
    for (size_t i = 0; i < n; i++) {
        struct parts want = parts_of(&value[i]);
        doubt[i] = 0;
        if ((want.exponent & 0x7fff) == 0x7fff) {
            int nan = want.digits << 1 != 0;
            error[i] = (nan ? isnan(got[i]) : isinf(got[i]) && !signbit(got[i]) == !(want.exponent >> 15)) ? 0 : INFINITY;
            continue;
        }
        double size = fabs((double)value[i]);
        int negative = want.exponent >> 15;
        int sum = term && term[i] > fabsl(value[i]);
        int zero = !sum && (got[i] == 0 || want.digits == 0);
        if (isnan(got[i]) || ((!signbit(got[i])) == negative && (zero || isinf(got[i])))) {
            error[i] = INFINITY;
        } else if (isinf(got[i]) && size >= top) {
            error[i] = 0;
        } else {
            wide near = isinf(got[i]) ? copysignl(bits == 32 ? 0x1p128L : 0x1p1024L, got[i]) : got[i];
            wide scale = power(-ulp_exponent(sum ? parts_of(&term[i]) : want, bits));
            error[i] = isinf(got[i]) && fabsl(value[i]) >= fabsl(near) ? 0 : (double)(fabsl(near - value[i]) * scale);
            doubt[i] = (double)(off[i] * scale);
            // The exact value may be below that power of two, and have half the ulp.
            if (!sum && want.digits == (uint64_t)1 << 63) doubt[i] += error[i];
        }
    }
}

// Errors in ulp of f32 of a function that has a reference in f64, most of them two at a time. A reference is off by a
// millionth of an ulp at most, which is what comes back.
double narrow_errors(int row, const double *x, const double *y, double *restrict value, const double *const *got,
                     double *const *error, size_t grades, size_t n) {
    const struct row *f = &ROWS[row];
    const double off = NARROW_OFF * 0x1p24;
    if (f->narrow)
        for (size_t i = 0; i < n; i++) value[i] = f->narrow(x[i]);
    else if (f->narrow2)
        for (size_t i = 0; i < n; i++) value[i] = f->narrow2(x[i], y[i]);
    else
        for (size_t i = 0; i < n; i++) value[i] = f->narrow_inverse(x[i], got[0][i]);
    for (size_t grade = 0; grade < grades; grade++) {
        const double *restrict results = got[grade];
        double *restrict out = error[grade];
        for (size_t i = 0; i < n; i++) {
            double size = fabs(value[i]), scale;
            uint64_t bits;
            memcpy(&bits, &size, 8);
            // The exact value may be below a power of two, and have half the ulp: the larger error is assumed.
            uint64_t exponent = (bits - 1) & 0x7ff0000000000000;
            bits = ((uint64_t)(2 * 1023 + 23) << 52) - exponent;
            memcpy(&scale, &bits, 8);
            double found = fabs(results[i] - value[i]) * scale;
            double result = fabs(results[i]);
            // Neither zero, subnormal, infinite nor NaN: else -1, and the loop below has another look.
            int common = (size > 0x1p-126) & (size < 0x1p127) & (result > 0) & (result < 0x1p127);
            out[i] = common ? found : -1;
        }
        for (size_t i = 0; i < n; i++) {
            if (out[i] >= 0) continue;
            double g = results[i], v = value[i];
            if ((isnan(g) && isnan(v)) || (g == v && !signbit(g) == !signbit(v))) {
                out[i] = 0;
            } else {
                wide want = v, none = 0;
                double doubt;
                reference_errors(32, &g, &want, NULL, &none, &out[i], &doubt, 1);
            }
        }
    }
    return off;
}
