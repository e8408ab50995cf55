//! Element-wise work on arrays that do not fit the device: one part after the other.
//!
//! A part is a run of elements in C order, so an index parameter counts on from the elements before.
//! Results are gathered on the host, for the device has no room for them.

use super::{Device, launch};
use crate::{Array, Result, SliceIndex, Stats};
use kjit_ir::{DType, Function};

/// Bytes of all operands of a piece.
const PIECE: usize = 256 << 20;

impl Device {
    /// As [`Device::elementwise`], over parts of `shape`; host arrays come back.
    pub(super) fn in_pieces(
        &self,
        kernel: &Function,
        inputs: &[Array],
        shape: &[usize],
        out_dtypes: &[DType],
        fast: bool,
        stats: &mut Stats,
    ) -> Result<Vec<Array>> {
        let dtypes = inputs
            .iter()
            .map(Array::dtype)
            .chain(out_dtypes.iter().copied());
        let width: usize = dtypes.map(DType::size).sum();
        let limit = usize::try_from(self.0.limits.max_buffer_size / 4).unwrap_or(PIECE);
        let most = PIECE.min(limit) / width.max(1);
        self.in_pieces_of(most, kernel, inputs, shape, out_dtypes, fast, stats)
    }

    #[expect(
        clippy::too_many_arguments,
        reason = "a call and the size of its pieces"
    )]
    pub(super) fn in_pieces_of(
        &self,
        most: usize,
        kernel: &Function,
        inputs: &[Array],
        shape: &[usize],
        out_dtypes: &[DType],
        fast: bool,
        stats: &mut Stats,
    ) -> Result<Vec<Array>> {
        let views = inputs
            .iter()
            .map(|a| a.broadcast_to(shape))
            .collect::<Result<Vec<_>>>()?;
        let mut outs = out_dtypes
            .iter()
            .map(|d| Array::zeros(*d, shape))
            .collect::<Result<Vec<_>>>()?;
        each_piece(shape, most, &mut |piece| {
            let parts = views
                .iter()
                .map(|view| view.slice(piece.index))
                .collect::<Result<Vec<_>>>()?;
            let (nest, results) = self.place(&parts, piece.shape, out_dtypes, stats)?;
            launch::elementwise(&self.0, kernel, nest, piece.base, fast, stats)?;
            for (out, result) in outs.iter_mut().zip(&results) {
                out.assign(piece.index, result)?;
            }
            Ok(())
        })?;
        Ok(outs)
    }
}

/// A run of elements in C order.
pub(super) struct Piece<'a> {
    /// Where it is.
    pub(super) index: &'a [SliceIndex],
    pub(super) shape: &'a [usize],
    /// Elements before it.
    pub(super) base: usize,
}

/// Cuts `shape` (without zeros) into runs of at most `most` elements (at least one), in order.
pub(super) fn each_piece(
    shape: &[usize],
    most: usize,
    visit: &mut dyn FnMut(Piece) -> Result<()>,
) -> Result<()> {
    let most = most.max(1);
    // The outermost axis of which one step fits, and how many steps do.
    let inner = |axis: usize| shape[axis + 1..].iter().product::<usize>();
    let Some(axis) = (0..shape.len()).find(|axis| inner(*axis) <= most) else {
        // No axes: one element.
        return visit(Piece {
            index: &[],
            shape,
            base: 0,
        });
    };
    let steps = most / inner(axis);
    let outer: usize = shape[..axis].iter().product();
    let mut index = vec![SliceIndex::ALL; axis + 1];
    for row in 0..outer {
        let mut rest = row;
        for at in (0..axis).rev() {
            index[at] = SliceIndex::At((rest % shape[at]) as i64);
            rest /= shape[at];
        }
        for first in (0..shape[axis]).step_by(steps) {
            let end = (first + steps).min(shape[axis]);
            index[axis] = SliceIndex::range(Some(first as i64), Some(end as i64));
            let mut own = vec![end - first];
            own.extend_from_slice(&shape[axis + 1..]);
            visit(Piece {
                index: &index,
                shape: &own,
                base: (row * shape[axis] + first) * inner(axis),
            })?;
        }
    }
    Ok(())
}
