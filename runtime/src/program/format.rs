//! How `print` writes values: floats as the shortest text that reads back as the same number, arrays in
//! brackets as NumPy does, long ones with their first and last elements only.

use super::value::Value;
use crate::array::Array;
use crate::{Result, RuntimeError};
use kjit_ir::{DType, Scalar};

/// Arrays with more elements are abbreviated.
const SUMMARIZE_FROM: usize = 1000;
/// Elements shown at each end of an abbreviated axis.
const EDGE: usize = 3;
/// Columns of a line.
const LINE_WIDTH: usize = 75;
/// Digits after the point of array elements.
const PRECISION: usize = 8;

/// A number or bool by itself.
pub(super) fn scalar(value: Scalar) -> String {
    if let Some([re, im]) = value.parts() {
        return complex(re, im);
    }
    match value.dtype() {
        DType::F16 => float64(shortest_half(value.bits() as u16)),
        DType::Bool => value.as_bool().to_string(),
        DType::F32 => float32(value.as_f32()),
        DType::F64 => float64(value.as_f64()),
        dtype if dtype.is_int() => value.as_int().to_string(),
        _ => value.to_string(),
    }
}

/// As Python and NumPy write it: `(1-2.5j)`, and `2j` where the real part is +0.
fn complex(re: Scalar, im: Scalar) -> String {
    let text = |part: Scalar| {
        let text = scalar(part);
        text.strip_suffix(".0").map(str::to_string).unwrap_or(text)
    };
    let (whole, imaginary) = (text(re), text(im));
    if re.bits() == 0 {
        return format!("{imaginary}j");
    }
    let sign = if imaginary.starts_with('-') { "" } else { "+" };
    format!("({whole}{sign}{imaginary}j)")
}

/// The `f64` with the fewest digits that rounds to this `f16`.
pub(crate) fn shortest_half(bits: u16) -> f64 {
    let exact = f64::from(kjit_ir::half::to_f32(bits));
    if !exact.is_finite() {
        return exact;
    }
    let mut texts = (0..5).map(|digits| format!("{exact:.digits$e}").parse::<f64>());
    let found = texts.find_map(|x| x.ok().filter(|x| kjit_ir::half::from_f64(*x) == bits));
    found.unwrap_or(exact)
}

/// The shortest text that reads back as this `f64`.
pub(super) fn float64(x: f64) -> String {
    if x.is_nan() {
        "nan".into()
    } else {
        format!("{x:?}")
    }
}

fn float32(x: f32) -> String {
    if x.is_nan() {
        "nan".into()
    } else {
        format!("{x:?}")
    }
}

/// A value that is no array, as `print` writes it.
pub(super) fn simple(value: &Value) -> Option<String> {
    Some(match value {
        Value::Int(n) => n.to_string(),
        Value::Float(x) => float64(*x),
        Value::Scalar(s) => scalar(*s),
        Value::Str(s) => s.to_string(),
        Value::DType(d) => d.to_string(),
        Value::Array(_) | Value::Tuple(_) => return None,
    })
}

/// The text of an array as `print` writes it; of a device that fails, the failure.
pub fn format_array(array_or_scalar: &Array) -> String {
    let text = array_or_scalar
        .to_host()
        .and_then(|host| match host.ndim() {
            0 => Ok(scalar(host.item()?)),
            _ => array(&host),
        });
    text.unwrap_or_else(|error| format!("<{error}>"))
}

/// An array on the host.
pub(super) fn array(array: &Array) -> Result<String> {
    let shape = array.shape().to_vec();
    if array.size() == 0 {
        return Ok(if shape.len() == 1 {
            "[]".into()
        } else {
            format!("[] of shape {shape:?}")
        });
    }
    let shown: Vec<Vec<Option<usize>>> = shape
        .iter()
        .map(|n| {
            if array.size() > SUMMARIZE_FROM && *n > 2 * EDGE {
                let head = (0..EDGE).map(Some);
                head.chain([None]).chain((n - EDGE..*n).map(Some)).collect()
            } else {
                (0..*n).map(Some).collect()
            }
        })
        .collect();
    let mut elements = Vec::new();
    collect(array, &shown, &mut Vec::new(), &mut elements)?;
    let texts = align(&elements);
    let mut out = String::new();
    let mut next = texts.iter();
    write_axis(&shown, 0, &mut next, &mut out);
    Ok(out)
}

/// The elements that are shown, in C order.
fn collect(
    array: &Array,
    shown: &[Vec<Option<usize>>],
    index: &mut Vec<usize>,
    out: &mut Vec<Scalar>,
) -> Result<()> {
    match shown.get(index.len()) {
        None => out.push(array.get(index)?),
        Some(axis) => {
            for i in axis.iter().flatten() {
                index.push(*i);
                collect(array, shown, index, out)?;
                index.pop();
            }
        }
    }
    Ok(())
}

/// Writes one axis; `texts` are the elements still to come.
fn write_axis<'t>(
    shown: &[Vec<Option<usize>>],
    depth: usize,
    texts: &mut impl Iterator<Item = &'t String>,
    out: &mut String,
) {
    out.push('[');
    let innermost = depth + 1 == shown.len();
    let mut column = depth + 1;
    for (n, i) in shown[depth].iter().enumerate() {
        if innermost {
            let text = if i.is_some() {
                texts.next().map_or("", String::as_str)
            } else {
                "..."
            };
            if n > 0 {
                if column + 1 + text.len() > LINE_WIDTH {
                    out.push('\n');
                    out.extend(std::iter::repeat_n(' ', depth + 1));
                    column = depth + 1;
                } else {
                    out.push(' ');
                    column += 1;
                }
            }
            out.push_str(text);
            column += text.len();
        } else {
            if n > 0 {
                // A blank line between planes, as NumPy has.
                let breaks = shown.len() - depth - 1;
                out.extend(std::iter::repeat_n('\n', breaks));
                out.extend(std::iter::repeat_n(' ', depth + 1));
            }
            match i {
                Some(_) => write_axis(shown, depth + 1, texts, out),
                None => out.push_str("..."),
            }
        }
    }
    out.push(']');
}

/// The texts of the elements, padded to one width.
fn align(elements: &[Scalar]) -> Vec<String> {
    let is_float = elements.first().is_some_and(|e| e.dtype().is_float());
    let parts: Option<Vec<[Scalar; 2]>> = elements.iter().map(|e| e.parts()).collect();
    let texts = if let Some(parts) = parts {
        complex_texts(&parts)
    } else if is_float {
        float_texts(elements)
    } else {
        elements.iter().map(|e| scalar(*e)).collect()
    };
    to_one_width(texts)
}

fn to_one_width(texts: Vec<String>) -> Vec<String> {
    let width = texts.iter().map(String::len).max().unwrap_or(0);
    texts.into_iter().map(|t| format!("{t:>width$}")).collect()
}

/// Complex numbers with both points in columns; the `j` stands behind the last digit.
fn complex_texts(parts: &[[Scalar; 2]]) -> Vec<String> {
    let column = |n: usize| parts.iter().map(|p| p[n]).collect::<Vec<Scalar>>();
    let real = to_one_width(float_texts(&column(0)));
    let signed = float_texts(&column(1)).into_iter().map(|text| {
        let sign = if text.starts_with('-') { "" } else { "+" };
        format!("{sign}{text}")
    });
    let imaginary = to_one_width(signed.collect());
    let joined = real.into_iter().zip(imaginary).map(|(re, im)| {
        let digits = im.trim_end();
        format!("{re}{digits}j{}", &im[digits.len()..])
    });
    joined.collect()
}

/// Floats with their points in one column: fixed where that is short, scientific where numbers are very
/// large, very small or very different.
fn float_texts(elements: &[Scalar]) -> Vec<String> {
    let exact: Vec<f64> = elements.iter().map(|e| e.to_f64()).collect();
    let shortest = |e: &Scalar| match e.dtype() {
        DType::F16 => Scalar::f64(shortest_half(e.bits() as u16)),
        _ => *e,
    };
    let elements: Vec<Scalar> = elements.iter().map(shortest).collect();
    let sizes = || {
        elements
            .iter()
            .map(|e| e.to_f64().abs())
            .filter(|x| x.is_finite() && *x != 0.0)
    };
    let largest = sizes().fold(0.0, f64::max);
    let smallest = sizes().fold(f64::INFINITY, f64::min);
    let scientific =
        largest >= 1e8 || (largest > 0.0 && (smallest < 1e-4 || largest / smallest > 1000.0));
    // Mantissa digits and exponent, or digits before and after the point.
    let parts: Vec<(String, String, String)> = elements
        .iter()
        .map(|e| float_parts(*e, scientific))
        .collect();
    let digits = parts.iter().map(|p| p.1.len()).max().unwrap_or(0);
    let finite = || parts.iter().filter(|p| p.2 != SPECIAL);
    let exponents = finite().map(|p| p.2.len()).max().unwrap_or(0);
    parts
        .into_iter()
        .zip(exact)
        .map(|((whole, fraction, exponent), exact)| {
            if exponent == SPECIAL {
                return whole;
            }
            let exponent = match exponent.split_at_checked(2) {
                Some((sign, number)) => format!("{sign}{number:0>0$}", exponents - 2),
                None => exponent,
            };
            if scientific && fraction.len() < digits {
                // Further digits are the number's own, not zeros.
                let longer = format!("{exact:.digits$e}");
                let mantissa = longer.split_once('e').map_or("", |(mantissa, _)| mantissa);
                return format!("{mantissa}{exponent}");
            }
            let padding = " ".repeat(digits - fraction.len());
            format!("{whole}.{fraction}{padding}{exponent}")
        })
        .collect()
}

/// In place of the exponents of NaN and infinities.
const SPECIAL: &str = "special";

/// Digits before the point, after it, and the exponent.
fn float_parts(value: Scalar, scientific: bool) -> (String, String, String) {
    let x = value.to_f64();
    if !x.is_finite() {
        return (scalar(value), String::new(), SPECIAL.into());
    }
    // The shortest text of the number's own dtype, or 8 digits if that is longer.
    let is_f32 = value.dtype() == DType::F32;
    let (text, exponent) = if scientific {
        let shortest = if is_f32 {
            format!("{:e}", value.as_f32())
        } else {
            format!("{x:e}")
        };
        let (mantissa, exponent) = shortest.split_once('e').unwrap_or((&shortest, "0"));
        let long = mantissa
            .split_once('.')
            .is_some_and(|(_, f)| f.len() > PRECISION);
        let rounded = format!("{x:.PRECISION$e}");
        let (mantissa, exponent) = if long {
            rounded.split_once('e').unwrap_or((&rounded, "0"))
        } else {
            (mantissa, exponent)
        };
        let number: i32 = exponent.parse().unwrap_or(0);
        let sign = if number < 0 { '-' } else { '+' };
        (mantissa.to_string(), format!("e{sign}{:02}", number.abs()))
    } else {
        let shortest = if is_f32 {
            format!("{}", value.as_f32())
        } else {
            format!("{x}")
        };
        let long = shortest
            .split_once('.')
            .is_some_and(|(_, f)| f.len() > PRECISION);
        (
            if long {
                format!("{x:.PRECISION$}")
            } else {
                shortest
            },
            String::new(),
        )
    };
    let (whole, fraction) = text.split_once('.').unwrap_or((&text, ""));
    (
        whole.to_string(),
        fraction.trim_end_matches('0').to_string(),
        exponent,
    )
}

/// Writes to the program's output.
pub(super) fn write(out: &mut dyn std::io::Write, text: &str) -> Result<()> {
    writeln!(out, "{text}")
        .map_err(|error| RuntimeError::io(format!("cannot write the output: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Complex64, f16};

    fn text<T: crate::Element + Clone>(values: &[T]) -> String {
        let array = Array::from_vec(values.to_vec(), &[values.len()]).unwrap();
        format_array(&array)
    }

    /// What NumPy prints.
    #[test]
    fn half_and_complex_numbers_as_numpy_prints_them() {
        let half = [0.0999755859375, 0.333251953125, 1.5, -2.0].map(f16::from_f64);
        assert_eq!(text(&half), "[ 0.1     0.3333  1.5    -2.    ]");
        let numbers = [(1.0, 2.0), (3.5, -1.0)].map(|(re, im)| Complex64::new(re, im));
        assert_eq!(text(&numbers), "[1. +2.j 3.5-1.j]");
        let numbers =
            [(0.25, 10.0), (-1.0, -0.5), (0.0, 100.0)].map(|(re, im)| Complex64::new(re, im));
        assert_eq!(text(&numbers), "[ 0.25 +10.j  -1.    -0.5j  0.  +100.j ]");
        assert_eq!(complex(Scalar::f64(1.0), Scalar::f64(2.0)), "(1+2j)");
        assert_eq!(complex(Scalar::f64(1.5), Scalar::f64(-0.5)), "(1.5-0.5j)");
        assert_eq!(complex(Scalar::f64(0.0), Scalar::f64(2.0)), "2j");
        assert_eq!(complex(Scalar::f64(f64::NAN), Scalar::f64(0.0)), "(nan+0j)");
        // The shortest digits; NumPy leaves out the zeros by an exponent.
        assert_eq!(scalar(Scalar::f16(65504.0)), "65500.0");
        assert_eq!(scalar(Scalar::f16(0.1)), "0.1");
        let half = [0.43310546875, 0.033294677734375, -1.9169921875, 1000.5].map(f16::from_f64);
        let wanted = "[ 4.3311e-01  3.3295e-02 -1.9170e+00  1.0005e+03]";
        assert_eq!(text(&half), wanted);
        let wanted = "[3.4028235e+38 3.0000001e-01]";
        assert_eq!(text(&[f32::MAX, 0.3]), wanted);
        let wanted = "[3.00000000e-001 1.00000000e-300 1.23456789e+005]";
        assert_eq!(text(&[0.3, 1e-300, 123456.789]), wanted);
    }
}
