//! The kernels by hand.

use super::math::{exp, log, ndtr};
use super::tree::{dot, sum};
use super::vector::{Lane, Vector};
use std::arch::x86_64::{__m256, __m256d, __m512, __m512d};

/// A loop: where each parameter is, in the order of the kernel's, and how many elements there are: a multiple of every
/// loop's lanes.
pub type Loop = unsafe fn(&[*mut u8], usize);

/// How one kernel is done.
trait Kernel {
    /// # Safety
    /// As [`Vector`], and as [`Loop`] says.
    unsafe fn run<V: Vector>(args: &[*mut u8], n: usize);
}

/// # Safety
/// As [`Kernel::run`], on a machine with AVX2 and FMA.
#[target_feature(enable = "avx2,fma,bmi1,bmi2")]
unsafe fn avx2<K: Kernel, V: Vector>(args: &[*mut u8], n: usize) {
    // SAFETY: the caller's promise.
    unsafe { K::run::<V>(args, n) }
}

/// # Safety
/// As [`Kernel::run`], on a machine with AVX-512.
#[target_feature(enable = "avx512f,avx512dq,avx512vl,avx512bw,avx2,fma,bmi1,bmi2")]
unsafe fn avx512<K: Kernel, V: Vector>(args: &[*mut u8], n: usize) {
    // SAFETY: the caller's promise.
    unsafe { K::run::<V>(args, n) }
}

/// One kernel: one, two and four vectors at a time, each in turn for [f32, f64] of 256 bits, then of 512.
pub type Loops = [[[Loop; 3]; 2]; 2];

fn loops<K: Kernel>() -> Loops {
    [
        [
            [
                avx2::<K, [__m256; 1]>,
                avx2::<K, [__m256; 2]>,
                avx2::<K, [__m256; 4]>,
            ],
            [
                avx2::<K, [__m256d; 1]>,
                avx2::<K, [__m256d; 2]>,
                avx2::<K, [__m256d; 4]>,
            ],
        ],
        [
            [
                avx512::<K, [__m512; 1]>,
                avx512::<K, [__m512; 2]>,
                avx512::<K, [__m512; 4]>,
            ],
            [
                avx512::<K, [__m512d; 1]>,
                avx512::<K, [__m512d; 2]>,
                avx512::<K, [__m512d; 4]>,
            ],
        ],
    ]
}

/// The loops of a kernel, by its name.
pub fn of(name: &str) -> Loops {
    match name {
        "saxpy" => loops::<Saxpy>(),
        "discriminant" => loops::<Discriminant>(),
        "polynomial" => loops::<Polynomial>(),
        "gaussian" => loops::<Gaussian>(),
        "black_scholes" => loops::<BlackScholes>(),
        "mandelbrot" => loops::<Mandelbrot>(),
        "sum" => loops::<Sum>(),
        "dot" => loops::<Dot>(),
        _ => panic!("no loops for {name}"),
    }
}

/// An element-wise kernel of so many arrays, all of one dtype, to one of the same.
macro_rules! element_wise {
    ($kernel:ident, |$($x:ident),*| $body:expr) => {
        struct $kernel;

        impl Kernel for $kernel {
            #[inline(always)]
            unsafe fn run<V: Vector>(args: &[*mut u8], n: usize) {
                let [$($x,)* out] = *args else {
                    panic!("as many pointers as parameters");
                };
                $(let $x = $x.cast::<V::Lane>().cast_const();)*
                let out = out.cast::<V::Lane>();
                let mut at = 0;
                while at < n {
                    // SAFETY: the caller's promise.
                    unsafe {
                        $(let $x = V::load($x.add(at));)*
                        let value: V = $body;
                        value.store(out.add(at));
                    }
                    at += V::LANES;
                }
            }
        }
    };
}

struct Saxpy;

impl Kernel for Saxpy {
    #[inline(always)]
    unsafe fn run<V: Vector>(args: &[*mut u8], n: usize) {
        let [a, x, y, out] = *args else {
            panic!("four pointers");
        };
        let (x, y, out) = (
            x.cast::<V::Lane>(),
            y.cast::<V::Lane>(),
            out.cast::<V::Lane>(),
        );
        // SAFETY: the caller's promise.
        unsafe {
            let one = match V::Lane::DOUBLE {
                true => a.cast::<f64>().read(),
                false => f64::from(a.cast::<f32>().read()),
            };
            let a = V::splat(one);
            let mut at = 0;
            while at < n {
                let value = a.mul(V::load(x.add(at))).add(V::load(y.add(at)));
                value.store(out.add(at));
                at += V::LANES;
            }
        }
    }
}

element_wise!(Discriminant, |a, b, c| {
    let product = V::splat(4.0).mul(a).mul(c);
    b.mul(b).sub(product).sqrt()
});

element_wise!(Polynomial, |x| {
    let mut y = V::splat(0.5);
    for c in [
        0.1, 0.2, 0.3, 0.4, 1.1, 1.2, 1.3, 1.4, 2.1, 2.2, 2.3, 2.4, 3.1, 3.2, 3.3, 3.4,
    ] {
        y = y.fma(x, V::splat(c));
    }
    y
});

element_wise!(Gaussian, |x| {
    let square = V::splat(-0.5).mul(x).mul(x);
    exp(square).mul(V::splat(0.3989422804014327))
});

element_wise!(BlackScholes, |s, k, t| {
    let root = V::splat(0.2).mul(t.sqrt());
    let d = log(s.div(k)).add(V::splat(0.05).mul(t)).div(root);
    let less = k.mul(exp(V::splat(-0.03).mul(t)));
    s.mul(ndtr(d)).sub(less.mul(ndtr(d.sub(root))))
});

struct Mandelbrot;

impl Kernel for Mandelbrot {
    #[inline(always)]
    unsafe fn run<V: Vector>(args: &[*mut u8], n: usize) {
        let [cr, ci, out] = *args else {
            panic!("three pointers");
        };
        let (cr, ci, out) = (
            cr.cast::<V::Lane>(),
            ci.cast::<V::Lane>(),
            out.cast::<i32>(),
        );
        let mut at = 0;
        while at < n {
            // SAFETY: the caller's promise.
            unsafe {
                let (cr, ci) = (V::load(cr.add(at)), V::load(ci.add(at)));
                let (mut zr, mut zi) = (V::splat(0.0), V::splat(0.0));
                let (mut live, mut counts) = (V::all(), V::no_counts());
                for _ in 0..64 {
                    let (rr, ii) = (zr.mul(zr), zi.mul(zi));
                    live = rr.add(ii).within(V::splat(4.0), live);
                    if !V::any(live) {
                        break;
                    }
                    counts = V::count(counts, live);
                    zi = V::splat(2.0).mul(zr).mul(zi).add(ci);
                    zr = rr.sub(ii).add(cr);
                }
                V::store_counts(counts, out.add(at));
            }
            at += V::LANES;
        }
    }
}

struct Sum;

impl Kernel for Sum {
    #[inline(always)]
    unsafe fn run<V: Vector>(args: &[*mut u8], n: usize) {
        let [x, out] = *args else {
            panic!("two pointers");
        };
        // SAFETY: the caller's promise.
        unsafe {
            let value = sum::<V>(x.cast(), n);
            out.cast::<V::Lane>().write(value);
        }
    }
}

struct Dot;

impl Kernel for Dot {
    #[inline(always)]
    unsafe fn run<V: Vector>(args: &[*mut u8], n: usize) {
        let [x, y, out] = *args else {
            panic!("three pointers");
        };
        // SAFETY: the caller's promise.
        unsafe {
            let value = dot::<V>(x.cast(), y.cast(), n);
            out.cast::<V::Lane>().write(value);
        }
    }
}
