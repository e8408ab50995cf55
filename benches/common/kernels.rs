//! Kernels that several benchmarks measure.
#![allow(dead_code, reason = "no benchmark uses all of it")]

/// A kernel, for f32 and f64.
pub struct Bench {
    pub name: &'static str,
    pub text: &'static str,
    /// The values of each input: from and to; the same twice is one for all elements.
    pub inputs: &'static [[f64; 2]],
}

impl Bench {
    /// Is the result the sum of the elements?
    pub fn is_sum(&self) -> bool {
        matches!(self.name, "sum" | "dot")
    }
}

pub static KERNELS: [Bench; 8] = [
    Bench {
        name: "saxpy",
        text: "ufunc saxpy<T: float>(a: T, x: T, y: T) -> T { a * x + y }",
        inputs: &[[1.5, 1.5], [-0.4, 1.1], [-0.4, 1.1]],
    },
    Bench {
        name: "discriminant",
        text: "ufunc discriminant<T: float>(a: T, b: T, c: T) -> T { sqrt(b * b - 4 * a * c) }",
        inputs: &[[-0.4, 1.1]; 3],
    },
    Bench {
        name: "polynomial",
        text: "ufunc polynomial<T: float>(x: T) -> T {
            let mut y: T = 0.5;
            y = fma(y, x, 0.1); y = fma(y, x, 0.2); y = fma(y, x, 0.3); y = fma(y, x, 0.4);
            y = fma(y, x, 1.1); y = fma(y, x, 1.2); y = fma(y, x, 1.3); y = fma(y, x, 1.4);
            y = fma(y, x, 2.1); y = fma(y, x, 2.2); y = fma(y, x, 2.3); y = fma(y, x, 2.4);
            y = fma(y, x, 3.1); y = fma(y, x, 3.2); y = fma(y, x, 3.3); y = fma(y, x, 3.4);
            y
        }",
        inputs: &[[-0.4, 1.1]],
    },
    Bench {
        name: "gaussian",
        text: "ufunc gaussian<T: float>(x: T) -> T { exp(-0.5 * x * x) * 0.3989422804014327 }",
        inputs: &[[-5.0, 5.0]],
    },
    Bench {
        name: "black_scholes",
        text: "ufunc black_scholes<T: float>(s: T, k: T, t: T) -> T {
            let root = 0.2 * sqrt(t);
            let d = (log(s / k) + 0.05 * t) / root;
            s * ndtr(d) - k * exp(-0.03 * t) * ndtr(d - root)
        }",
        inputs: &[[50.0, 150.0], [50.0, 150.0], [0.1, 2.0]],
    },
    Bench {
        name: "mandelbrot",
        text: "ufunc mandelbrot<T: float>(cr: T, ci: T) -> i32 {
            let mut zr: T = 0; let mut zi: T = 0; let mut n: i32 = 0;
            while n < 64 && zr * zr + zi * zi <= 4 {
                let next = zr * zr - zi * zi + cr; zi = 2 * zr * zi + ci; zr = next; n += 1;
            }
            n
        }",
        inputs: &[[-2.25, 0.75], [-1.0, 1.0]],
    },
    Bench {
        name: "sum",
        text: "ufunc sum<T: float>(x: T) -> T { x }",
        inputs: &[[-0.4, 1.1]],
    },
    Bench {
        name: "dot",
        text: "ufunc dot<T: float>(x: T, y: T) -> T { x * y }",
        inputs: &[[-0.4, 1.1], [-0.4, 1.1]],
    },
];
