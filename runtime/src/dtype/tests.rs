//! Promotion and casting against tables recorded from NumPy.

use super::{Casting, WeakKind, can_cast, cast::cast_block, promote, promote_weak};
use kjit_ir::{DType, Opcode, Scalar, eval::eval, eval::same};

const NUMPY: &str = include_str!("../../tests/golden/promote.txt");

fn dtype(name: &str) -> DType {
    DType::from_name(name).unwrap_or_else(|| panic!("{name}"))
}

#[test]
fn promotion_and_casting_are_numpys() {
    let (mut pairs, mut weak) = (0, 0);
    for line in NUMPY.lines().filter(|l| !l.starts_with('#')) {
        match line.split(' ').collect::<Vec<_>>().as_slice() {
            ["pair", a, b, common, safe, same_kind] => {
                let (a, b) = (dtype(a), dtype(b));
                assert_eq!(promote(a, b), Some(dtype(common)), "promote {line}");
                assert_eq!(can_cast(a, b, Casting::Safe), *safe == "1", "safe {line}");
                assert_eq!(
                    can_cast(a, b, Casting::SameKind),
                    *same_kind == "1",
                    "same kind {line}"
                );
                assert_eq!(can_cast(a, b, Casting::No), a == b);
                pairs += 1;
            }
            ["weak", a, int, float] => {
                assert_eq!(promote_weak(dtype(a), WeakKind::Int), dtype(int), "{line}");
                assert_eq!(
                    promote_weak(dtype(a), WeakKind::Float),
                    dtype(float),
                    "{line}"
                );
                weak += 1;
            }
            _ => panic!("{line}"),
        }
    }
    assert_eq!((pairs, weak), (14 * 14, 14));
}

/// Casts of blocks mean what the IR's `cast` means.
#[test]
fn casts_are_the_irs() {
    for &from in DType::ALL {
        let mut values: Vec<Scalar> = [
            0,
            1,
            -1,
            2,
            127,
            128,
            255,
            -129,
            i64::MIN as i128,
            u64::MAX as i128,
        ]
        .iter()
        .map(|v| match from {
            DType::Bool => Scalar::bool(*v & 1 == 1),
            DType::F16 => Scalar::f16(*v as f64 * 1.5),
            DType::C64 | DType::C128 => {
                let part = from.part().unwrap_or(from);
                let number = |x: f64| eval(Opcode::Cast, Some(part), &[Scalar::f64(x)]);
                let parts = number(*v as f64 * 1.5).zip(number(-1.0 / *v as f64));
                let complex = parts.and_then(|(re, im)| Scalar::complex(re, im));
                complex.expect("two parts of one dtype")
            }
            DType::F32 => Scalar::f32(*v as f32 * 1.5),
            DType::F64 => Scalar::f64(*v as f64 * 1.5),
            _ => Scalar::int(from, *v),
        })
        .collect();
        match from {
            DType::F32 => values.extend([f32::NAN, -0.0, 1e30, f32::NEG_INFINITY].map(Scalar::f32)),
            // The last two would be rounded twice on the way through f32.
            DType::F64 => values.extend(
                [
                    f64::NAN,
                    -0.0,
                    1e300,
                    16777217.0,
                    1.000488281250001,
                    5.960464477539064e-8,
                ]
                .map(Scalar::f64),
            ),
            DType::F16 => {
                let bits = [0x7e00, 0x8000, 0x7c00, 0xfc00, 1, 0x3ff, 0x7bff];
                values.extend(bits.map(|b| Scalar::from_bits(from, b)));
            }
            _ => {}
        }
        for &to in DType::ALL {
            for value in &values {
                let (src, mut dst) = (value.to_ne_bytes().0, [0u8; 17]);
                // SAFETY: one element on each side (the destination unaligned).
                unsafe { cast_block(from, (src.as_ptr(), 0), to, (dst.as_mut_ptr().add(1), 0), 1) };
                let got = Scalar::from_ne_bytes(to, &dst[1..1 + to.size()]);
                let want = eval(Opcode::Cast, Some(to), &[*value]);
                assert!(
                    want.is_some_and(|want| same(got, want)),
                    "{value:?} as {to}: {got:?}, not {want:?}"
                );
            }
        }
    }
}
