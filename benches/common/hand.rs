//! The loops a careful programmer would write by hand at 128 bits: plain loops where rustc vectorises
//! them, SSE2 intrinsics (part of every x86-64) for the masked loop, which it does not.

/// A loop from three inputs to one output.
type Ternary<T> = fn(&[T], &[T], &[T], &mut [T]);

/// The loops of one dtype.
#[derive(Clone, Copy)]
pub struct Loops<T> {
    pub saxpy: fn(T, &[T], &[T], &mut [T]),
    pub discriminant: Ternary<T>,
    pub horner: fn(&[T], &mut [T]),
    pub mandelbrot: fn(&[T], &[T], &mut [i32]),
}

macro_rules! loops {
    ($name:ident $float:ident $mandelbrot:path) => {
        pub const $name: Loops<$float> = Loops {
            saxpy: |a, x, y, out| {
                for ((out, x), y) in out.iter_mut().zip(x).zip(y) {
                    *out = a * x + y;
                }
            },
            discriminant: |a, b, c, out| {
                for (((out, a), b), c) in out.iter_mut().zip(a).zip(b).zip(c) {
                    *out = (b * b - 4.0 * a * c).sqrt();
                }
            },
            horner: |x, out| {
                for (out, x) in out.iter_mut().zip(x) {
                    let mut p: $float = 1.0;
                    for c in [
                        0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4,
                        0.3,
                    ] {
                        p = p * x + c;
                    }
                    *out = p;
                }
            },
            mandelbrot: $mandelbrot,
        };
    };
}

loops!(F32 f32 mandelbrot_f32);
loops!(F64 f64 mandelbrot_f64);

#[cfg(target_arch = "x86_64")]
fn mandelbrot_f32(cr: &[f32], ci: &[f32], out: &mut [i32]) {
    use std::arch::x86_64::*;
    assert!(cr.len() == out.len() && ci.len() == out.len() && out.len().is_multiple_of(4));
    for i in (0..out.len()).step_by(4) {
        // SAFETY: SSE2 is part of x86-64; i + 4 <= len of all three slices, and loads and stores are unaligned.
        unsafe {
            let (cr, ci) = (
                _mm_loadu_ps(cr.as_ptr().add(i)),
                _mm_loadu_ps(ci.as_ptr().add(i)),
            );
            let (mut zr, mut zi, mut n) = (_mm_setzero_ps(), _mm_setzero_ps(), _mm_setzero_si128());
            for _ in 0..256 {
                let (rr, ii) = (_mm_mul_ps(zr, zr), _mm_mul_ps(zi, zi));
                let live = _mm_cmple_ps(_mm_add_ps(rr, ii), _mm_set1_ps(4.0));
                if _mm_movemask_ps(live) == 0 {
                    break;
                }
                n = _mm_sub_epi32(n, _mm_castps_si128(live));
                let next = _mm_add_ps(_mm_sub_ps(rr, ii), cr);
                zi = _mm_add_ps(_mm_mul_ps(_mm_mul_ps(_mm_set1_ps(2.0), zr), zi), ci);
                zr = next;
            }
            _mm_storeu_si128(out.as_mut_ptr().add(i).cast(), n);
        }
    }
}

#[cfg(target_arch = "x86_64")]
fn mandelbrot_f64(cr: &[f64], ci: &[f64], out: &mut [i32]) {
    use std::arch::x86_64::*;
    assert!(cr.len() == out.len() && ci.len() == out.len() && out.len().is_multiple_of(2));
    for i in (0..out.len()).step_by(2) {
        // SAFETY: as above, with two lanes.
        unsafe {
            let (cr, ci) = (
                _mm_loadu_pd(cr.as_ptr().add(i)),
                _mm_loadu_pd(ci.as_ptr().add(i)),
            );
            let (mut zr, mut zi, mut n) = (_mm_setzero_pd(), _mm_setzero_pd(), _mm_setzero_si128());
            for _ in 0..256 {
                let (rr, ii) = (_mm_mul_pd(zr, zr), _mm_mul_pd(zi, zi));
                let live = _mm_cmple_pd(_mm_add_pd(rr, ii), _mm_set1_pd(4.0));
                if _mm_movemask_pd(live) == 0 {
                    break;
                }
                n = _mm_sub_epi64(n, _mm_castpd_si128(live));
                let next = _mm_add_pd(_mm_sub_pd(rr, ii), cr);
                zi = _mm_add_pd(_mm_mul_pd(_mm_mul_pd(_mm_set1_pd(2.0), zr), zi), ci);
                zr = next;
            }
            let packed = _mm_shuffle_epi32::<0b1000>(n);
            _mm_storel_epi64(out.as_mut_ptr().add(i).cast(), packed);
        }
    }
}

#[cfg(not(target_arch = "x86_64"))]
fn mandelbrot_f32(cr: &[f32], ci: &[f32], out: &mut [i32]) {
    scalar_mandelbrot(
        cr,
        ci,
        out,
        |zr, zi| zr * zr + zi * zi <= 4.0,
        |zr, zi, cr, ci| (zr * zr - zi * zi + cr, 2.0 * zr * zi + ci),
    );
}

#[cfg(not(target_arch = "x86_64"))]
fn mandelbrot_f64(cr: &[f64], ci: &[f64], out: &mut [i32]) {
    scalar_mandelbrot(
        cr,
        ci,
        out,
        |zr, zi| zr * zr + zi * zi <= 4.0,
        |zr, zi, cr, ci| (zr * zr - zi * zi + cr, 2.0 * zr * zi + ci),
    );
}

#[cfg(not(target_arch = "x86_64"))]
fn scalar_mandelbrot<T: Copy + Default>(
    cr: &[T],
    ci: &[T],
    out: &mut [i32],
    bounded: impl Fn(T, T) -> bool,
    step: impl Fn(T, T, T, T) -> (T, T),
) {
    for ((out, cr), ci) in out.iter_mut().zip(cr).zip(ci) {
        let (mut zr, mut zi, mut n) = (T::default(), T::default(), 0);
        while n < 256 && bounded(zr, zi) {
            (zr, zi) = step(zr, zi, *cr, *ci);
            n += 1;
        }
        *out = n;
    }
}
