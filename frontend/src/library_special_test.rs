//! Values of the special functions where they are known exactly: as in C99 (annex F) and SciPy.

use super::tests::{Functions, has_function, ordinal};
use kjit_ir::{DType, Scalar};

/// `None` is NaN.
#[test]
fn special_functions_at_edges_and_poles() {
    const INF: f64 = f64::INFINITY;
    type Unary = (&'static str, &'static [(f64, Option<f64>)]);
    let unary: &[Unary] = &[
        (
            "erf",
            &[
                (0.0, Some(0.0)),
                (-0.0, Some(-0.0)),
                (1e30, Some(1.0)),
                (INF, Some(1.0)),
                (-INF, Some(-1.0)),
            ],
        ),
        (
            "erfc",
            &[
                (0.0, Some(1.0)),
                (-0.0, Some(1.0)),
                (1e30, Some(0.0)),
                (INF, Some(0.0)),
                (-INF, Some(2.0)),
            ],
        ),
        (
            "ndtr",
            &[
                (0.0, Some(0.5)),
                (-0.0, Some(0.5)),
                (-1e30, Some(0.0)),
                (INF, Some(1.0)),
                (-INF, Some(0.0)),
            ],
        ),
        (
            "erfinv",
            &[
                (0.0, Some(0.0)),
                (-0.0, Some(-0.0)),
                (1.0, Some(INF)),
                (-1.0, Some(-INF)),
                (1.5, None),
                (-INF, None),
            ],
        ),
        (
            "ndtri",
            &[
                (0.0, Some(-INF)),
                (-0.0, Some(-INF)),
                (0.5, Some(0.0)),
                (1.0, Some(INF)),
                (1.5, None),
                (-0.25, None),
                (INF, None),
            ],
        ),
        (
            "gamma",
            &[
                (0.0, Some(INF)),
                (-0.0, Some(-INF)),
                (1.0, Some(1.0)),
                (2.0, Some(1.0)),
                (5.0, Some(24.0)),
                (172.0, Some(INF)),
                (-1.0, None),
                (-300.5, Some(-0.0)),
                (-301.5, Some(0.0)),
                (-6000001.5, Some(0.0)),
                (-1e30, None),
                (INF, Some(INF)),
                (-INF, None),
            ],
        ),
        (
            "lgamma",
            &[
                (0.0, Some(INF)),
                (-0.0, Some(INF)),
                (1.0, Some(0.0)),
                (2.0, Some(0.0)),
                (-1.0, Some(INF)),
                (-1e30, Some(INF)),
                (INF, Some(INF)),
                (-INF, Some(INF)),
            ],
        ),
        (
            "digamma",
            &[
                (0.0, Some(-INF)),
                (-0.0, Some(INF)),
                (-1.0, None),
                (-1e30, None),
                (INF, Some(INF)),
                (-INF, None),
            ],
        ),
    ];
    let mut functions = Functions::default();
    let mut check = |name: &str, x: f64, want: Option<f64>| {
        for dtype in [DType::F32, DType::F64] {
            let scalar = |x: f64| match dtype {
                DType::F32 => Scalar::f32(x as f32),
                _ => Scalar::f64(x),
            };
            for (name, most) in [(name.to_string(), 0), (format!("{name}_fast"), 4)] {
                if !has_function(&name, dtype) {
                    continue;
                }
                let got = functions.call(&name, dtype, &[scalar(x)]);
                let right = match want {
                    None => got.to_f64().is_nan(),
                    Some(want) if want == 0.0 || want.is_infinite() => got == scalar(want),
                    Some(want) => {
                        let want = ordinal(scalar(want).bits(), dtype);
                        (ordinal(got.bits(), dtype) - want).abs() <= most
                    }
                };
                assert!(right, "{name} of {x} as {dtype} is {}", got.to_f64());
            }
        }
    };
    for (name, cases) in unary {
        check(name, f64::NAN, None);
        for (x, want) in *cases {
            check(name, *x, *want);
        }
    }
}

/// Infinite only where the result does not fit: for f32 it was from 0.1 % below on.
#[test]
fn lgamma_is_finite_up_to_the_largest_float() {
    let mut functions = Functions::default();
    for (x, want) in [(4.0834794e36, 3.4015388e38), (4.085e36, 3.4028206e38)] {
        let got = functions.call("lgamma", DType::F32, &[Scalar::f32(x)]);
        let want = ordinal(Scalar::f32(want).bits(), DType::F32);
        let apart = ordinal(got.bits(), DType::F32) - want;
        assert!(apart.abs() <= 2, "{x}: {}", got.to_f64());
    }
    for (x, want) in [
        (2.5563e305, 1.7951029165623062e308),
        (2.55634816e305, 1.7951367839757667e308),
    ] {
        let got = functions.call("lgamma", DType::F64, &[Scalar::f64(x)]);
        let want = ordinal(Scalar::f64(want).bits(), DType::F64);
        let apart = ordinal(got.bits(), DType::F64) - want;
        assert!(apart.abs() <= 2, "{x}: {}", got.to_f64());
    }
    let beyond = functions.call("lgamma", DType::F32, &[Scalar::f32(4.0851e36)]);
    assert_eq!(beyond.as_f32(), f32::INFINITY);
    let beyond = functions.call("lgamma", DType::F64, &[Scalar::f64(2.56e305)]);
    assert_eq!(beyond.as_f64(), f64::INFINITY);
}
