//! Functions as kjit's library computes them, operation by operation: `exp`, `log` and `ndtr`.
#![allow(
    clippy::approx_constant,
    clippy::excessive_precision,
    reason = "the numbers of the library, digit by digit"
)]

use super::vector::{Lane, Vector};

/// One of two numbers, by the dtype.
#[inline(always)]
fn pick<V: Vector, T>(single: T, double: T) -> T {
    if V::Lane::DOUBLE { double } else { single }
}

/// A constant.
macro_rules! number {
    ($single:literal, $double:literal) => {
        V::splat(pick::<V, f64>($single, $double))
    };
    ($both:literal) => {
        V::splat($both)
    };
}

/// A polynomial, the highest coefficient first.
///
/// # Safety
/// As [`Vector`].
#[inline(always)]
unsafe fn polynomial<V: Vector>(x: V, coefficients: &[f64]) -> V {
    // SAFETY: the caller's promise.
    unsafe {
        let mut p = V::splat(coefficients[0]);
        for c in &coefficients[1..] {
            p = p.fma(x, V::splat(*c));
        }
        p
    }
}

/// As [`polynomial`], with the coefficients of the dtype.
macro_rules! polynomial {
    ($x:expr, [$($single:literal)*], [$($double:literal)*]) => {
        if V::Lane::DOUBLE { polynomial($x, &[$($double),*]) } else { polynomial($x, &[$($single),*]) }
    };
}

/// `y * 2^k`, `k` the low bits of `t`.
///
/// # Safety
/// As [`Vector`].
#[inline(always)]
unsafe fn scale<V: Vector>(y: V, t: V) -> V {
    // SAFETY: the caller's promise.
    unsafe {
        let k = t.bits();
        let half = V::shr::<1>(k);
        let rest = V::int_sub(k, half);
        y.mul(power(half)).mul(power(rest))
    }
}

/// `2^k`.
///
/// # Safety
/// As [`Vector`].
#[inline(always)]
unsafe fn power<V: Vector>(k: V::Ints) -> V {
    // SAFETY: the caller's promise.
    unsafe {
        let shifted = match V::Lane::DOUBLE {
            true => V::shl::<52>(k),
            false => V::shl::<23>(k),
        };
        let one = V::int(pick::<V, i64>(0x3f80_0000, 0x3ff0_0000_0000_0000));
        V::of_bits(V::int_add(shifted, one))
    }
}

/// `e^x`.
///
/// # Safety
/// As [`Vector`].
#[inline(always)]
pub unsafe fn exp<V: Vector>(x: V) -> V {
    // SAFETY: the caller's promise.
    unsafe {
        let a = number!(89.0, 710.0).min(x);
        let a = number!(-104.0, -746.0).max(a);
        let magic = number!(12582912.0, 6755399441055744.0);
        let t = a.fma(number!(1.442695, 1.4426950408889634), magic);
        let k = t.sub(magic);
        let r = k.fnma(number!(6.9314575e-1, 6.931471805601177e-1), a);
        let r = k.fnma(number!(1.4286068e-6, -1.7239444525614835e-13), r);
        let p = polynomial!(
            r,
            [1.3821329e-3 8.368671e-3 4.166826e-2 1.6666521e-1 4.9999994e-1 1.0],
            [2.500697858145161e-8 2.76302457763382e-7 2.7557559847331108e-6 2.4801493034453093e-5
             1.984126954368174e-4 1.3888888943820196e-3 8.333333333472198e-3 4.1666666666528455e-2
             1.666666666666646e-1 5.000000000000011e-1 1.0]
        );
        scale(r.fma(p, number!(1.0)), t)
    }
}

/// Parts of a positive normal number: `x = 2^k (1 + f)`.
///
/// # Safety
/// As [`Vector`].
#[inline(always)]
unsafe fn split<V: Vector>(x: V) -> (V, V) {
    // SAFETY: the caller's promise.
    unsafe {
        let one = number!(1.0);
        if V::Lane::DOUBLE {
            let root = V::int(0x3fe6_a09e_667f_3bcd);
            let bits = V::int_add(
                x.bits(),
                V::int(0x3ff0_0000_0000_0000 - 0x3fe6_a09e_667f_3bcd),
            );
            let k = V::int_or(V::shr::<52>(bits), V::int(0x4330_0000_0000_0000));
            let k = V::of_bits(k).sub(number!(4503599627371519.0));
            let fraction = V::int_and(bits, V::int(0xf_ffff_ffff_ffff));
            (k, V::of_bits(V::int_add(fraction, root)).sub(one))
        } else {
            let k = V::sar::<23>(V::int_sub(x.bits(), V::int(0x3f35_04f3)));
            let f = V::int_sub(x.bits(), V::shl::<23>(k));
            (V::int_to_float(k), V::of_bits(f).sub(one))
        }
    }
}

/// The natural logarithm; other than of positive normal numbers from the standard library.
///
/// # Safety
/// As [`Vector`].
#[inline(always)]
pub unsafe fn log<V: Vector>(x: V) -> V {
    // SAFETY: the caller's promise.
    unsafe {
        let (k, f) = split(x);
        let tail = if V::Lane::DOUBLE {
            let s = f.div(V::splat(2.0).add(f));
            let z = s.mul(s);
            let square = V::splat(0.5).mul(f).mul(f);
            let p = polynomial(
                z,
                &[
                    7.397939137351088e-2,
                    7.65703144976222e-2,
                    9.09178179958083e-2,
                    1.1111099296540292e-1,
                    1.4285714371058283e-1,
                    1.9999999999708204e-1,
                    3.333333333333367e-1,
                ],
            );
            s.fms(z.add(z).fma(p, square), square)
        } else {
            let p23 = V::splat(2.0002006e-1).fma(f, V::splat(-2.500161e-1));
            let p45 = V::splat(1.4180836e-1).fma(f, V::splat(-1.660842e-1));
            let p67 = V::splat(1.2912896e-1).fma(f, V::splat(-1.3247927e-1));
            let square = f.mul(f);
            let p25 = p45.fma(square, p23);
            let p68 = V::splat(-7.619346e-2).fma(square, p67);
            let p28 = p68.fma(square.mul(square), p25);
            let p = p28
                .fma(f, V::splat(3.3333325e-1))
                .fma(f, V::splat(-4.9999988e-1));
            square.mul(p)
        };
        let whole = k.mul(number!(6.9314575e-1, 6.931471805601177e-1));
        let h = whole.add(f);
        let l = f.sub(h.sub(whole));
        let low = k.fma(number!(1.4286068e-6, -1.7239444525614835e-13), tail);
        let mut value = h.add(l.add(low));
        let moved = V::int_add(
            x.bits(),
            V::int(pick::<V, i64>(0x7f80_0000, 0x7ff0_0000_0000_0000)),
        );
        let most = V::int(pick::<V, i64>(-0x100_0001, -0x20_0000_0000_0001));
        if V::any(V::int_above(moved, most)) {
            let mut lanes = [V::Lane::ZERO; 64];
            x.store(lanes.as_mut_ptr());
            unusual(&mut lanes[..V::LANES]);
            value = V::load(lanes.as_ptr());
        }
        value
    }
}

#[cold]
#[inline(never)]
fn unusual<T: Lane>(lanes: &mut [T]) {
    for lane in lanes {
        *lane = lane.ln();
    }
}

/// The normal distribution.
///
/// # Safety
/// As [`Vector`].
#[inline(always)]
pub unsafe fn ndtr<V: Vector>(x: V) -> V {
    // SAFETY: the caller's promise.
    unsafe {
        let (one, half_one) = (number!(1.0), number!(0.5));
        let a = number!(14.4, 38.6).min(x.abs());
        let a = number!(0.84).max(a);
        let (root_hi, root_lo) = (
            number!(1.4142135, 1.4142135623730951),
            number!(2.4203235e-8, -9.667293313452913e-17),
        );
        let d = a.fma(root_hi, one);
        let d_rest = a.fma(root_lo, a.fma(root_hi, one.sub(d)));
        let half = half_one.mul(a);
        let s = half.mul(a);
        let (half_hi, half_lo) = (
            number!(7.0710677e-1, 7.071067811865476e-1),
            number!(1.21016175e-8, -4.833646656726457e-17),
        );
        let u = a.mul(half_hi);
        let u_rest = a.fma(half_lo, a.fms(half_hi, u));
        let s_rest = half.fms(a, s);

        let h = u.add(number!(4.0));
        let h_rest = u.sub(h.sub(number!(4.0))).add(u_rest);
        let ratio = number!(4.0).div(h);
        let more = ratio
            .fnma(h_rest, ratio.fnma(h, number!(4.0)))
            .mul(number!(0.25).mul(h));
        let q = ratio.sub(half_one);
        let r = polynomial!(
            q,
            [1.3018453 -1.1451069 -2.5897624 -4.102988 -4.7634625 -4.2467213 -2.9991324 -1.6166036
             -5.4478127e-1 6.151851e-2 2.7924225e-1],
            [-9.994776889397611e-3 6.908816126978342e-3 2.957587491123588e-2 -1.8270450976698036e-2
             -5.7903132380009284e-2 1.942773197828791e-2 1.0827736081294129e-1 1.9274396072742218e-2
             -1.8711408999041718e-1 -1.8386334985966354e-1 1.998804151659223e-1 6.169464730756699e-1
             4.0807756247605587e-1 -7.759598510369943e-1 -2.5763686220600373 -4.1466199186994475
             -4.7574419889772095 -4.245143411983382 -2.9994507199445897 -1.6166250565808662
             -5.447764340375577e-1 6.151860841047911e-2 2.7924223368112505e-1]
        );
        let middle = number!(1.2329952, 1.2329951186255526);
        let p = q.fma(r, middle);
        let p_rest = q
            .fma(r, middle.sub(p))
            .add(number!(-3.3847897e-8, -4.625318921008717e-17));
        let magic = number!(12582912.0, 6755399441055744.0);
        let t = s.fnma(number!(1.442695, 1.4426950408889634), magic);
        let k = t.sub(magic);
        let whole = k.fnms(number!(6.9314575e-1, 6.931471805601177e-1), s);
        let part = k.mul(number!(1.4286068e-6, -1.7239444525614835e-13));
        let near = whole.sub(part);
        let after = whole
            .sub(near)
            .sub(part)
            .sub(number!(2.0).mul(u).fma(more, s_rest));
        let w = near.add(after);
        let lost = after.sub(w.sub(near));
        let e = one.add(w);
        let e_poly = polynomial!(
            w,
            [1.9945066e-4 1.3932666e-3 8.333207e-3 4.166649e-2 1.6666667e-1 5.0e-1],
            [2.091279816734777e-9 2.5109333421368187e-8 2.755727736774803e-7 2.7557243422236787e-6
             2.4801587323744386e-5 1.98412698868381e-4 1.3888888888883592e-3 8.333333333321381e-3
             4.166666666666667e-2 1.6666666666666677e-1 5.0e-1]
        );
        let e_rest = w
            .sub(e.sub(one))
            .add(w.mul(w).fma(e_poly, lost.fma(w, lost)));
        let n = p.mul(e);
        let slope = number!(1.1283792, 1.1283791670955126)
            .mul(more)
            .mul(d.mul(e.add(e_rest)));
        let n_rest = p.fms(e, n).add(p.fma(e_rest, p_rest.mul(e))).add(slope);
        let d_more = number!(2.0).fma(more, d_rest);
        let inverse = one.div(d);
        let v = n.mul(inverse);
        let rest = v.fnma(d, n).add(v.fnma(d_more, n_rest));
        let v = rest.fma(inverse, v);
        let y = scale(v, t.sub(one));
        let far = one.sub(y).or_else(V::splat(0.0).less(x), y);

        let z = half_one.mul(x).mul(x);
        let density = number!(3.989423e-1, 3.989422804014327e-1);
        let g = x.mul(density);
        let erf = polynomial!(
            z,
            [-7.3994906e-4 5.181517e-3 -2.685909e-2 1.1283742e-1 -3.7612638e-1],
            [-5.760257840612246e-9 2.3932872589566128e-8 -1.7146925283738233e-7 1.6499703622898688e-6
             -1.4926769689268573e-5 1.2055354312365648e-4 -8.548327283142567e-4 5.223977627396793e-3
             -2.686617064521575e-2 1.1283791670955307e-1 -3.7612638903183754e-1]
        );
        let scaled = number!(0.35355339059327379).mul(z);
        let inner = scaled.fma(erf, number!(-1.133517e-8, -2.49232720227773e-17));
        let l = x.fma(inner, x.fms(density, g));
        let close = half_one.add(g);
        let close = close.add(g.sub(close.sub(half_one)).add(l));
        close.or_else(x.abs().less(number!(0.84)), far)
    }
}
