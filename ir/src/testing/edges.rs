//! Values where operations go wrong.

use crate::{DType, Scalar};

/// Edge values of a dtype.
pub fn edges(dtype: DType) -> Vec<Scalar> {
    match dtype {
        DType::Bool => vec![Scalar::bool(false), Scalar::bool(true)],
        DType::F32 => [
            0.0f32,
            -0.0,
            0.5,
            -0.5,
            1.0,
            -1.0,
            1.5,
            2.5,
            -2.5,
            3.75,
            -3.3,
            127.5,
            -129.0,
            255.4,
            256.0,
            32768.0,
            65535.9,
            8388609.0,
            2147483520.0,
            2147483648.0,
            -2147483648.0,
            4294967040.0,
            4294967296.0,
            9.2e18,
            9.223372e18,
            1.8446742e19,
            1.8446744e19,
            -1e20,
            1e-40,
            -1e-45,
            f32::MIN_POSITIVE,
            f32::MAX,
            f32::MIN,
            f32::INFINITY,
            f32::NEG_INFINITY,
            f32::NAN,
        ]
        .map(Scalar::f32)
        .to_vec(),
        DType::F64 => [
            0.0f64,
            -0.0,
            0.5,
            -0.5,
            1.0,
            -1.0,
            1.5,
            2.5,
            -2.5,
            -3.3,
            127.5,
            255.99,
            -32769.0,
            65536.0,
            2147483647.0,
            2147483647.5,
            2147483648.0,
            -2147483648.9,
            -2147483649.0,
            4294967295.0,
            4294967295.5,
            4294967296.0,
            4503599627370497.5,
            9.223372036854775e18,
            9.223372036854776e18,
            -9.223372036854776e18,
            1.844674407370955e19,
            1.8446744073709552e19,
            1e300,
            1e-40,
            5e-324,
            1.0000000596046448,
            3.4028235677973366e38,
            f64::MAX,
            f64::MIN_POSITIVE,
            f64::INFINITY,
            f64::NEG_INFINITY,
            f64::NAN,
        ]
        .map(Scalar::f64)
        .to_vec(),
        int => {
            let bits = int.bits();
            let mut values: Vec<i128> = vec![0, 1, 2, 3, 5, 7, 10, 31, 100, -1, -2, -7, -100];
            for power in [7, 8, 15, 16, 24, 31, 32, 53, 63] {
                if power <= bits {
                    let p = 1i128 << power;
                    values.extend([p - 1, p, p + 1, -p, -p - 1]);
                }
            }
            values.extend([0x55aa_1234_89ab_cdef, 0x7fff_ff80_0000_0001, 123_456_789]);
            let mut scalars: Vec<Scalar> = values.iter().map(|v| Scalar::int(int, *v)).collect();
            scalars.sort_by_key(|s| s.bits());
            scalars.dedup();
            scalars
        }
    }
}
