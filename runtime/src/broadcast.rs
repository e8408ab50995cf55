//! Broadcasting: the common shape of several arrays, as NumPy defines it.

use crate::{Result, RuntimeError};

/// A shape as users write it: `(2, 3)`, `(4,)`, `()`.
pub fn format_shape(shape: &[usize]) -> String {
    match shape {
        [n] => format!("({n},)"),
        _ => {
            let parts: Vec<String> = shape.iter().map(|n| n.to_string()).collect();
            format!("({})", parts.join(", "))
        }
    }
}

/// The shape that all of `shapes` broadcast to.
pub fn broadcast_shapes(shapes: &[&[usize]]) -> Result<Vec<usize>> {
    let mut common: Vec<usize> = Vec::new();
    for shape in shapes {
        common = broadcast_two(&common, shape).ok_or_else(|| {
            // Name the two shapes that clash, not an intermediate one nobody wrote.
            let other = shapes
                .iter()
                .take_while(|s| !std::ptr::eq(**s, *shape))
                .find(|s| broadcast_two(s, shape).is_none())
                .map_or_else(|| common.clone(), |s| s.to_vec());
            RuntimeError::shape(format!(
                "shapes {} and {} cannot be broadcast together",
                format_shape(&other),
                format_shape(shape)
            ))
            .help("aligned from the right, extents must be equal or one of them 1")
        })?;
    }
    Ok(common)
}

fn broadcast_two(a: &[usize], b: &[usize]) -> Option<Vec<usize>> {
    let ndim = a.len().max(b.len());
    let extent = |s: &[usize], d: usize| {
        let missing = ndim - s.len();
        if d < missing { 1 } else { s[d - missing] }
    };
    (0..ndim)
        .map(|d| match (extent(a, d), extent(b, d)) {
            (x, y) if x == y => Some(x),
            (1, y) => Some(y),
            (x, 1) => Some(x),
            _ => None,
        })
        .collect()
}

/// Number of elements of a shape, if it can exist in memory at this element size.
pub fn checked_size(shape: &[usize], element_size: usize) -> Result<usize> {
    if shape.contains(&0) {
        return Ok(0);
    }
    let size = shape.iter().try_fold(1usize, |n, d| n.checked_mul(*d));
    size.filter(|n| {
        n.checked_mul(element_size.max(1))
            .is_some_and(|b| b <= isize::MAX as usize - 4096)
    })
    .ok_or_else(|| {
        RuntimeError::limit(format!(
            "an array of shape {} does not fit in memory",
            format_shape(shape)
        ))
        .help("use fewer elements or a smaller dtype")
    })
}
