//! Arrays as pictures: two axes in grey, three in colour.

use crate::broadcast::format_shape;
use crate::{Array, Result, RuntimeError};
use kjit_ir::DType;

/// The bytes of a `.png` file.
///
/// `(rows, columns)` becomes grey: u8 as it is, bool black and white, other dtypes from their smallest
/// (black) to their largest finite value (white), NaN black. `(rows, columns, 3)` of u8 is RGB.
pub(super) fn encode(array: &Array, name: &str) -> Result<Vec<u8>> {
    let (width, height, color) = check(array, name)?;
    let pixels = match array.dtype() {
        DType::U8 => array.to_vec::<u8>()?,
        DType::Bool => {
            let values = array.to_vec::<bool>()?;
            values.into_iter().map(|v| v as u8 * 255).collect()
        }
        _ => scale(&array.cast(DType::F64)?.to_vec::<f64>()?),
    };
    let failed = |e: png::EncodingError| RuntimeError::io(format!("cannot write {name}: {e}"));
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, width, height);
    encoder.set_color(color);
    encoder.set_depth(png::BitDepth::Eight);
    let mut writer = encoder.write_header().map_err(failed)?;
    writer.write_image_data(&pixels).map_err(failed)?;
    writer.finish().map_err(failed)?;
    Ok(bytes)
}

/// Width, height and colours of the picture that an array is.
pub(super) fn check(array: &Array, name: &str) -> Result<(u32, u32, png::ColorType)> {
    if array.dtype().is_complex() {
        return Err(RuntimeError::dtype(format!(
            "cannot write {name}: an array of {} is not a picture",
            array.dtype()
        ))
        .help("save its absolute values: abs(x)"));
    }
    let (rows, columns, color) = match (array.shape(), array.dtype()) {
        ([rows, columns], _) => (*rows, *columns, png::ColorType::Grayscale),
        ([rows, columns, 3], DType::U8) => (*rows, *columns, png::ColorType::Rgb),
        _ => {
            return Err(RuntimeError::shape(format!(
                "cannot write {name}: an array of {} with shape {} is not a picture",
                array.dtype(),
                format_shape(array.shape())
            ))
            .help("give it two axes, or three with extent 3 and dtype u8"));
        }
    };
    let extent = |n: usize| u32::try_from(n).ok().filter(|n| (1..1 << 31).contains(n));
    let (Some(width), Some(height)) = (extent(columns), extent(rows)) else {
        return Err(RuntimeError::shape(format!(
            "cannot write {name}: a picture cannot have shape {}",
            format_shape(array.shape())
        )));
    };
    Ok((width, height, color))
}

fn scale(values: &[f64]) -> Vec<u8> {
    let finite = || values.iter().copied().filter(|v| v.is_finite());
    let low = finite().fold(f64::INFINITY, f64::min);
    let high = finite().fold(f64::NEG_INFINITY, f64::max);
    // Halved, so that the span of any two doubles is finite.
    let span = high / 2.0 - low / 2.0;
    let grey = |v: f64| {
        if v.is_infinite() {
            return if v > 0.0 { 255 } else { 0 };
        }
        let t = (v / 2.0 - low / 2.0) / span;
        // A float-to-int cast saturates and takes NaN (also from a flat picture) to 0.
        (t * 255.0).round() as u8
    };
    values.iter().map(|v| grey(*v)).collect()
}
