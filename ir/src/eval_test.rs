//! `eval` against Rust's own arithmetic, on edge values of every dtype.

use super::*;

/// Values of a dtype at which things go wrong.
fn edges(dtype: DType) -> Vec<Scalar> {
    match dtype {
        DType::Bool => vec![Scalar::bool(false), Scalar::bool(true)],
        DType::F32 => {
            let mut all = vec![
                0.0,
                0.5,
                1.0,
                1.5,
                2.5,
                3.0,
                0.1,
                1e-45,
                f32::MIN_POSITIVE,
                f32::MAX,
                f32::INFINITY,
                f32::NAN,
                8388607.5,
                16777217.0,
                2147483647.0,
                2147483648.0,
                4294967296.0,
                9.223_372e18,
                1.844_674_4e19,
                127.5,
                128.0,
                255.5,
                256.0,
            ];
            all.extend(all.clone().iter().map(|x| -x));
            all.into_iter().map(Scalar::f32).collect()
        }
        DType::F64 => {
            let mut all = vec![
                0.0,
                0.5,
                1.0,
                1.5,
                2.5,
                0.1,
                5e-324,
                f64::MIN_POSITIVE,
                f64::MAX,
                f64::INFINITY,
                f64::NAN,
                4503599627370495.5,
                16777217.0,
                1e40,
                1e-50,
                2147483647.5,
                4294967295.5,
                9.223372036854776e18,
                1.8446744073709552e19,
                127.9,
                65535.9,
            ];
            all.extend(all.clone().iter().map(|x| -x));
            all.into_iter().map(Scalar::f64).collect()
        }
        _ => {
            let bits = dtype.bits();
            [
                0i128,
                1,
                2,
                3,
                7,
                8,
                31,
                63,
                64,
                100,
                -1,
                -2,
                -3,
                -7,
                1 << (bits - 1),
                (1 << (bits - 1)) - 1,
                (1 << (bits - 1)) + 1,
                (1 << (bits / 2)) - 1,
                0x5555_5555_5555_5555,
            ]
            .into_iter()
            .map(|x| Scalar::int(dtype, x))
            .collect()
        }
    }
}

fn native() -> impl Iterator<Item = DType> {
    DType::ALL.iter().copied().filter(|d| d.is_native())
}

#[track_caller]
fn check(op: Opcode, args: &[Scalar], expected: Scalar) {
    let got = eval(op, None, args);
    assert!(
        got.is_some_and(|got| same(got, expected)),
        "{op} {args:?}: {got:?}, expected {expected:?}"
    );
}

macro_rules! int_checks {
    ($($dtype:ident $int:ty, $wide:ty;)*) => {$(
        let scalar = |x: $int| Scalar::int(DType::$dtype, x as i128);
        for a in edges(DType::$dtype) {
            let x = a.as_int() as $int;
            check(Opcode::Neg, &[a], scalar((0 as $int).wrapping_sub(x)));
            check(Opcode::Not, &[a], scalar(!x));
            check(Opcode::Rare, &[a], a);
            #[allow(unused_comparisons, reason = "the macro covers unsigned types too")]
            check(Opcode::Abs, &[a], scalar(if x < 0 { (0 as $int).wrapping_sub(x) } else { x }));
            for b in edges(DType::$dtype) {
                let y = b.as_int() as $int;
                check(Opcode::Add, &[a, b], scalar(x.wrapping_add(y)));
                check(Opcode::Sub, &[a, b], scalar(x.wrapping_sub(y)));
                check(Opcode::Mul, &[a, b], scalar(x.wrapping_mul(y)));
                check(Opcode::MulHi, &[a, b], scalar(((x as $wide * y as $wide) >> <$int>::BITS) as $int));
                check(Opcode::Div, &[a, b], scalar(if y == 0 { 0 } else { x.wrapping_div(y) }));
                check(Opcode::Rem, &[a, b], scalar(if y == 0 { 0 } else { x.wrapping_rem(y) }));
                check(Opcode::Min, &[a, b], scalar(x.min(y)));
                check(Opcode::Max, &[a, b], scalar(x.max(y)));
                check(Opcode::And, &[a, b], scalar(x & y));
                check(Opcode::Or, &[a, b], scalar(x | y));
                check(Opcode::Xor, &[a, b], scalar(x ^ y));
                check(Opcode::Shl, &[a, b], scalar(x.wrapping_shl(y as u32)));
                check(Opcode::Shr, &[a, b], scalar(x.wrapping_shr(y as u32)));
                check(Opcode::Eq, &[a, b], Scalar::bool(x == y));
                check(Opcode::Ne, &[a, b], Scalar::bool(x != y));
                check(Opcode::Lt, &[a, b], Scalar::bool(x < y));
                check(Opcode::Le, &[a, b], Scalar::bool(x <= y));
                check(Opcode::Gt, &[a, b], Scalar::bool(x > y));
                check(Opcode::Ge, &[a, b], Scalar::bool(x >= y));
            }
        }
    )*};
}

#[test]
fn integers_agree_with_rust() {
    int_checks! {
        I8 i8, i16; I16 i16, i32; I32 i32, i64; I64 i64, i128;
        U8 u8, u16; U16 u16, u32; U32 u32, u64; U64 u64, u128;
    }
}

macro_rules! float_checks {
    ($($dtype:ident $make:ident $get:ident;)*) => {$(
        for a in edges(DType::$dtype) {
            let x = a.$get();
            check(Opcode::Sqrt, &[a], Scalar::$make(x.sqrt()));
            check(Opcode::Floor, &[a], Scalar::$make(x.floor()));
            check(Opcode::Ceil, &[a], Scalar::$make(x.ceil()));
            check(Opcode::Trunc, &[a], Scalar::$make(x.trunc()));
            check(Opcode::Round, &[a], Scalar::$make(x.round_ties_even()));
            // Exact, NaNs included.
            let sign = 1u128 << (DType::$dtype.bits() - 1);
            assert_eq!(eval(Opcode::Neg, None, &[a]).unwrap().bits(), a.bits() ^ sign);
            assert_eq!(eval(Opcode::Abs, None, &[a]).unwrap().bits(), a.bits() & !sign);
            for b in edges(DType::$dtype) {
                let y = b.$get();
                check(Opcode::Add, &[a, b], Scalar::$make(x + y));
                check(Opcode::Sub, &[a, b], Scalar::$make(x - y));
                check(Opcode::Mul, &[a, b], Scalar::$make(x * y));
                check(Opcode::Div, &[a, b], Scalar::$make(x / y));
                check(Opcode::Eq, &[a, b], Scalar::bool(x == y));
                check(Opcode::Ne, &[a, b], Scalar::bool(x != y));
                check(Opcode::Lt, &[a, b], Scalar::bool(x < y));
                check(Opcode::Le, &[a, b], Scalar::bool(x <= y));
                check(Opcode::Gt, &[a, b], Scalar::bool(x > y));
                check(Opcode::Ge, &[a, b], Scalar::bool(x >= y));
                if x.is_nan() || y.is_nan() {
                    check(Opcode::Min, &[a, b], Scalar::$make(x + y));
                    check(Opcode::Max, &[a, b], Scalar::$make(x + y));
                    check(Opcode::FMin, &[a, b], if x.is_nan() { b } else { a });
                    check(Opcode::FMax, &[a, b], if x.is_nan() { b } else { a });
                } else {
                    let (low, high) = if x.total_cmp(&y).is_lt() { (a, b) } else { (b, a) };
                    for op in [Opcode::Min, Opcode::FMin] { check(op, &[a, b], low); }
                    for op in [Opcode::Max, Opcode::FMax] { check(op, &[a, b], high); }
                }
                for c in edges(DType::$dtype) {
                    check(Opcode::Fma, &[a, b, c], Scalar::$make(x.mul_add(y, c.$get())));
                }
            }
        }
    )*};
}

#[test]
fn floats_agree_with_rust() {
    float_checks! { F32 f32 as_f32; F64 f64 as_f64; }
}

#[test]
fn fma_rounds_once() {
    let x = 1.0f32 + f32::EPSILON;
    let args = [x, x, -(1.0 + 2.0 * f32::EPSILON)].map(Scalar::f32);
    check(Opcode::Fma, &args, Scalar::f32(f32::EPSILON * f32::EPSILON));
}

#[test]
fn casts_agree_with_rust() {
    macro_rules! to_all {
        ($a:ident $x:expr) => {{
            let x = $x;
            for (to, expected) in [
                (DType::I8, x as i8 as i128),
                (DType::I16, x as i16 as i128),
                (DType::I32, x as i32 as i128),
                (DType::I64, x as i64 as i128),
                (DType::U8, x as u8 as i128),
                (DType::U16, x as u16 as i128),
                (DType::U32, x as u32 as i128),
                (DType::U64, x as u64 as i128),
            ] {
                let got = eval(Opcode::Cast, Some(to), &[$a]);
                assert_eq!(got, Some(Scalar::int(to, expected)), "{:?} to {to}", $a);
            }
            let got = eval(Opcode::Cast, Some(DType::F32), &[$a]).unwrap();
            assert!(same(got, Scalar::f32(x as f32)), "{:?} to f32", $a);
            let got = eval(Opcode::Cast, Some(DType::F64), &[$a]).unwrap();
            assert!(same(got, Scalar::f64(x as f64)), "{:?} to f64", $a);
        }};
    }
    for from in native() {
        for a in edges(from) {
            match from {
                DType::Bool => to_all!(a a.as_bool() as u8),
                DType::F32 => to_all!(a a.as_f32()),
                DType::F64 => to_all!(a a.as_f64()),
                DType::U64 => to_all!(a a.as_int() as u64),
                _ => to_all!(a a.as_int() as i64),
            }
            let nonzero = match from {
                DType::F32 => a.as_f32() != 0.0,
                DType::F64 => a.as_f64() != 0.0,
                _ => a.as_int() != 0,
            };
            let got = eval(Opcode::Cast, Some(DType::Bool), &[a]);
            assert_eq!(got, Some(Scalar::bool(nonzero)), "{a:?} to bool");
        }
    }
}

#[test]
fn bits_move_unchanged() {
    let nan = Scalar::from_bits(DType::F32, 0xffa0_0001);
    let as_int = eval(Opcode::Bitcast, Some(DType::U32), &[nan]).unwrap();
    assert_eq!(as_int, Scalar::int(DType::U32, 0xffa0_0001));
    assert_eq!(
        eval(Opcode::Bitcast, Some(DType::F32), &[as_int]),
        Some(nan)
    );
    assert_eq!(eval(Opcode::Bitcast, Some(DType::F64), &[nan]), None);
    let args = [Scalar::bool(false), Scalar::f32(1.0), nan];
    assert_eq!(eval(Opcode::Select, None, &args), Some(nan));
}

#[test]
fn defined_exactly_where_the_table_says() {
    use crate::Type;
    for op in Opcode::ALL.iter().copied().filter(|op| op.is_pure()) {
        let Some(arity @ 1..) = op.arity() else {
            continue;
        };
        for dtype in DType::ALL.iter().copied() {
            let mut args = vec![Scalar::one(dtype); arity];
            if op == Opcode::Select {
                args[0] = Scalar::bool(true);
            }
            for to in DType::ALL.iter().copied() {
                let types: Vec<Type> = args.iter().map(|a| a.dtype().into()).collect();
                let table = match op {
                    Opcode::Splat => Some(dtype),
                    Opcode::AnyTrue => (dtype == DType::Bool).then_some(dtype),
                    _ => op.result_type(&types, Some(to)).ok().map(|t| t.dtype),
                };
                let got = eval(op, Some(to), &args).map(Scalar::dtype);
                assert_eq!(got, table, "{op} on {dtype} (to {to})");
            }
        }
    }
    assert_eq!(eval(Opcode::Load, None, &[]), None);
    assert_eq!(eval(Opcode::Add, None, &[Scalar::f32(1.0)]), None);
}
