//! Conversions between IEEE binary16, as bits, and the wider formats: each rounds once, to nearest even.

/// The binary16 nearest to a number; its bits. NaN gives the quiet NaN of the same sign.
pub const fn from_f64(value: f64) -> u16 {
    let bits = value.to_bits();
    let sign = (bits >> 48) as u16 & 0x8000;
    let magnitude = bits & !(1 << 63);
    if magnitude > 0x7ff << 52 {
        return sign | 0x7e00;
    }
    let exponent = (magnitude >> 52) as i32 - 1023;
    if exponent >= 16 {
        return sign | 0x7c00;
    }
    if exponent < -26 {
        return sign;
    }
    // Below 2^-14 the unit in the last place shrinks no more.
    let scale = if exponent > -14 { exponent } else { -14 };
    let significand = (magnitude & ((1 << 52) - 1)) | 1 << 52;
    let shift = 42 + scale - exponent;
    let (quotient, rest) = (significand >> shift, significand & ((1 << shift) - 1));
    let half = 1 << (shift - 1);
    let up = rest > half || (rest == half && quotient & 1 == 1);
    // The leading one of a normal number adds one to the exponent, and so does a carry: up to infinity.
    sign | ((((scale + 14) as u64) << 10) + quotient + up as u64) as u16
}

/// The number that these bits of a binary16 stand for: exact.
pub const fn to_f32(bits: u16) -> f32 {
    let sign = (bits as u32 & 0x8000) << 16;
    let (exponent, fraction) = (bits as u32 >> 10 & 0x1f, bits as u32 & 0x3ff);
    match exponent {
        0 => {
            let magnitude = fraction as f32 * f32::from_bits(103 << 23);
            f32::from_bits(magnitude.to_bits() | sign)
        }
        31 => f32::from_bits(sign | 0x7f80_0000 | fraction << 13),
        _ => f32::from_bits(sign | (exponent + 112) << 23 | fraction << 13),
    }
}

/// The binary16 nearest to `a * b + c`, all of them binary16: one rounding.
pub fn fma(a: u16, b: u16, c: u16) -> u16 {
    // 22 bits of a product fit into 53.
    let product = to_f32(a) as f64 * to_f32(b) as f64;
    let c = to_f32(c) as f64;
    let sum = product + c;
    // What the sum lost (D. Knuth, The Art of Computer Programming 2, 4.2.2): NaN for what is not finite.
    let back = sum - product;
    let lost = (product - (sum - back)) + (c - back);
    // Rounded to odd, a number of 53 bits rounds to 11 as the exact one does.
    let even = sum.to_bits() & 1 == 0;
    let odd = match lost {
        lost if even && lost != 0.0 && !lost.is_nan() => {
            let away = (lost < 0.0) == (sum < 0.0);
            let bits = sum.to_bits();
            f64::from_bits(if away { bits + 1 } else { bits - 1 })
        }
        _ => sum,
    };
    from_f64(odd)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exact_numbers_come_back() {
        for bits in 0..=u16::MAX {
            let value = to_f32(bits);
            let back = from_f64(value as f64);
            if value.is_nan() {
                assert_eq!(back & 0x7fff, 0x7e00);
            } else {
                assert_eq!(back, bits);
            }
        }
    }

    /// Between each two neighbours: below the middle, on it, above it.
    #[test]
    fn rounds_to_nearest_even() {
        for bits in 0..0x7c00u16 {
            let low = to_f32(bits) as f64;
            // The neighbour of the largest number would be 65536.
            let high = if bits == 0x7bff {
                65536.0
            } else {
                to_f32(bits + 1) as f64
            };
            let middle = (low + high) / 2.0;
            assert_eq!(from_f64(middle), bits + (bits & 1), "{middle}");
            assert_eq!(from_f64(middle.next_down()), bits);
            assert_eq!(from_f64(middle.next_up()), bits + 1);
            assert_eq!(from_f64(-middle.next_up()), (bits + 1) | 0x8000);
        }
        assert_eq!(from_f64(f64::MAX), 0x7c00);
        assert_eq!(from_f64(f64::MIN_POSITIVE), 0);
    }

    /// Against arithmetic on integers: every finite binary16 is a multiple of 2^-24.
    #[test]
    fn fma_rounds_once() {
        let units = |x: u16| (to_f32(x) as f64 * 16_777_216.0) as i128;
        let mut state = 12345u64;
        let mut next = || {
            state = state
                .wrapping_mul(6364136223846793005)
                .wrapping_add(1442695040888963407);
            // Finite ones.
            let bits = (state >> 40) as u16;
            if bits & 0x7c00 == 0x7c00 {
                bits & 0x83ff
            } else {
                bits
            }
        };
        for _ in 0..300_000 {
            let (a, b, c) = (next(), next(), next());
            let exact = units(a) * units(b) + (units(c) << 24);
            if exact == 0 {
                continue;
            }
            // Rounded to odd at 40 bits or more, then to 11: no double rounding.
            let excess = (128 - exact.unsigned_abs().leading_zeros()).saturating_sub(40);
            let kept = exact.unsigned_abs() >> excess;
            let sticky = (kept << excess != exact.unsigned_abs()) as u128;
            let magnitude = (kept | sticky) as f64 * 2f64.powi(excess as i32 - 48);
            let expected = from_f64(if exact < 0 { -magnitude } else { magnitude });
            assert_eq!(fma(a, b, c), expected, "{a:#x} {b:#x} {c:#x}");
        }
    }
}
