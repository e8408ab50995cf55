//! Loop nests: the order in which the elements of several strided operands are visited.
//!
//! As NumPy's iterator does: axes of extent 1 fall away, axes are ordered so that the innermost one
//! has the smallest steps, axes that all operands walk backwards are flipped, and neighbouring axes
//! that behave like one are merged. What is left is an outer nest around one inner run. Positions in
//! it are numbered from 0, and any range of positions can be run by itself, so that splitting the work
//! among threads needs nothing more.

use smallvec::{SmallVec, smallvec};

/// A few numbers, one an axis or one an operand.
pub(crate) type Few<T> = SmallVec<[T; 6]>;

/// In which order elements may be visited.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Order {
    /// Any that suits the memory.
    Any,
    /// C order of the shape: position is the element's linear index.
    C,
}

/// One operand: bytes between neighbours along each axis of the shape, and the size of an element.
#[derive(Clone, Copy, Debug)]
pub struct Layout<'a> {
    /// One step an axis.
    pub strides: &'a [isize],
    /// Bytes of an element.
    pub size: usize,
}

/// The plan; see the module documentation.
#[derive(Clone, Debug)]
pub struct LoopNest {
    /// Extents, outermost first; at least one.
    extents: Few<usize>,
    /// `strides[operand * ndim + axis]`.
    strides: SmallVec<[isize; 24]>,
    /// Bytes from an operand's element with index zero to the first one visited.
    starts: Few<isize>,
    size: usize,
}

impl LoopNest {
    /// Plans the loops over `shape`.
    pub fn plan(shape: &[usize], operands: &[Layout], order: Order) -> LoopNest {
        if shape.contains(&0) {
            // The other extents may be so large that their products mean nothing.
            return LoopNest {
                extents: smallvec![0],
                strides: operands.iter().map(|o| o.size as isize).collect(),
                starts: smallvec![0; operands.len()],
                size: 0,
            };
        }
        let mut axes: Few<usize> = (0..shape.len()).filter(|a| shape[*a] != 1).collect();
        if order == Order::Any {
            sort_axes(&mut axes, operands);
        }
        if axes.is_empty() && !shape.is_empty() {
            // One element: the last axis tells arrays of one element from repeated scalars.
            axes.push(shape.len() - 1);
        }
        let size = axes.iter().map(|a| shape[*a]).product();
        let mut starts: Few<isize> = smallvec![0; operands.len()];
        let mut extents: Few<usize> = Few::new();
        // Per axis the steps of all operands; merged as we go, transposed at the end.
        let mut steps: SmallVec<[isize; 24]> = SmallVec::new();
        let n = operands.len();
        for axis in axes {
            let extent = shape[axis];
            let step_of = |o: &Layout| match o.strides[axis] {
                // Nothing lies one step away, so that any number may stand there.
                step if extent == 1 && step != 0 => o.size as isize,
                step => step,
            };
            let mut of_axis: Few<isize> = operands.iter().map(step_of).collect();
            let backwards = of_axis.iter().all(|s| *s <= 0) && of_axis.iter().any(|s| *s < 0);
            if order == Order::Any && backwards {
                for (start, step) in starts.iter_mut().zip(&mut of_axis) {
                    *start += *step * (extent - 1) as isize;
                    *step = -*step;
                }
            }
            let merges = !extents.is_empty()
                && steps[steps.len() - n..]
                    .iter()
                    .zip(&of_axis)
                    .all(|(outer, inner)| *outer == inner.wrapping_mul(extent as isize));
            if merges {
                *extents.last_mut().expect("not empty") *= extent;
                let at = steps.len() - n;
                steps[at..].copy_from_slice(&of_axis);
            } else {
                extents.push(extent);
                steps.extend_from_slice(&of_axis);
            }
        }
        if extents.is_empty() {
            extents.push(1);
            steps.extend(operands.iter().map(|o| o.size as isize));
        }
        let ndim = extents.len();
        let strides = (0..n * ndim)
            .map(|k| steps[(k % ndim) * n + k / ndim])
            .collect();
        LoopNest {
            extents,
            strides,
            starts,
            size,
        }
    }

    /// Number of elements.
    pub fn size(&self) -> usize {
        self.size
    }

    /// Number of loops.
    pub fn ndim(&self) -> usize {
        self.extents.len()
    }

    /// Extents of the loops, outermost first.
    pub fn extents(&self) -> &[usize] {
        &self.extents
    }

    /// Steps of an operand, outermost loop first.
    pub fn strides(&self, operand: usize) -> &[isize] {
        let n = self.ndim();
        &self.strides[operand * n..(operand + 1) * n]
    }

    /// Elements of the inner run.
    pub fn inner(&self) -> usize {
        self.extents[self.ndim() - 1]
    }

    /// Step of an operand in the inner run.
    pub fn inner_step(&self, operand: usize) -> isize {
        self.strides(operand)[self.ndim() - 1]
    }

    /// Does the operand stay where it is?
    pub fn is_fixed(&self, operand: usize) -> bool {
        self.strides(operand).iter().all(|s| *s == 0)
    }

    /// Are all its inner runs the same elements?
    pub(crate) fn repeats(&self, operand: usize) -> bool {
        let strides = self.strides(operand);
        strides[..strides.len() - 1].iter().all(|s| *s == 0)
    }

    /// Do the operand's elements follow each other in memory over the whole nest?
    pub fn is_linear(&self, operand: usize, size: usize) -> bool {
        let mut step = size as isize;
        for (stride, extent) in self.strides(operand).iter().zip(&self.extents).rev() {
            if *stride != step {
                return false;
            }
            step = step.wrapping_mul(*extent as isize);
        }
        true
    }

    /// Bytes, relative to the element with index zero, of an operand's lowest and highest elements.
    pub fn extent_of(&self, operand: usize) -> (isize, isize) {
        let (mut low, mut high) = (self.starts[operand], self.starts[operand]);
        for (stride, extent) in self.strides(operand).iter().zip(&self.extents) {
            let span = stride.wrapping_mul(extent.saturating_sub(1) as isize);
            if span < 0 {
                low += span;
            } else {
                high += span;
            }
        }
        (low, high)
    }

    /// The place of a position.
    pub fn cursor(&self, position: usize) -> Cursor<'_> {
        let mut index: Few<usize> = smallvec![0; self.ndim()];
        let mut rest = position;
        for (i, extent) in index.iter_mut().zip(&self.extents).rev() {
            *i = rest % (*extent).max(1);
            rest /= (*extent).max(1);
        }
        let offsets = (0..self.starts.len())
            .map(|o| {
                let walk = index.iter().zip(self.strides(o));
                self.starts[o] + walk.map(|(i, s)| *i as isize * s).sum::<isize>()
            })
            .collect();
        Cursor {
            nest: self,
            index,
            offsets,
        }
    }
}

/// A place in a nest: the index of each loop and the offset of each operand.
#[derive(Clone, Debug)]
pub struct Cursor<'a> {
    nest: &'a LoopNest,
    index: Few<usize>,
    /// Bytes from each operand's element with index zero.
    pub offsets: Few<isize>,
}

impl Cursor<'_> {
    /// Elements left in this inner run.
    pub fn run(&self) -> usize {
        self.nest.inner() - self.index[self.nest.ndim() - 1]
    }

    /// Goes on by `n` elements, at most to the end of the run.
    pub fn advance(&mut self, n: usize) {
        self.advance_along(self.nest.ndim() - 1, n);
    }

    /// Rows of the loop around the inner run that follow each other from here on, where a run begins, and an
    /// operand's step from one to the next.
    pub(crate) fn rows(&self, operand: usize) -> (usize, isize) {
        match self.nest.ndim().checked_sub(2) {
            Some(axis) => (
                self.nest.extents[axis] - self.index[axis],
                self.nest.strides(operand)[axis],
            ),
            None => (1, 0),
        }
    }

    /// Goes on by `n` rows, at most as many as [`Cursor::rows`] says.
    pub(crate) fn advance_rows(&mut self, n: usize) {
        match self.nest.ndim().checked_sub(2) {
            Some(axis) => self.advance_along(axis, n),
            None => self.advance(n * self.nest.inner()),
        }
    }

    /// Goes on by `n` steps of a loop, at most to its end.
    fn advance_along(&mut self, mut axis: usize, n: usize) {
        self.index[axis] += n;
        for (o, offset) in self.offsets.iter_mut().enumerate() {
            *offset += self.nest.strides(o)[axis] * n as isize;
        }
        while self.index[axis] >= self.nest.extents[axis] {
            let extent = self.nest.extents[axis] as isize;
            self.index[axis] = 0;
            for (o, offset) in self.offsets.iter_mut().enumerate() {
                *offset -= self.nest.strides(o)[axis] * extent;
            }
            if axis == 0 {
                return;
            }
            axis -= 1;
            self.index[axis] += 1;
            for (o, offset) in self.offsets.iter_mut().enumerate() {
                *offset += self.nest.strides(o)[axis];
            }
        }
    }
}

/// Sorts axes, outermost first, so that steps shrink; where operands disagree, or do not care, the
/// order stays.
fn sort_axes(axes: &mut Few<usize>, operands: &[Layout]) {
    for i in 1..axes.len() {
        let axis = axes[i];
        let mut place = i;
        // Every axis before `i` is sorted; find how far out this one belongs.
        for j in (0..i).rev() {
            match compare(axes[j], axis, operands) {
                Some(true) => place = j,
                Some(false) => break,
                None => {}
            }
        }
        axes.remove(i);
        axes.insert(place, axis);
    }
}

/// Should `inner` come outside of `outer`? `None` when no operand cares.
fn compare(outer: usize, inner: usize, operands: &[Layout]) -> Option<bool> {
    let mut swap = None;
    for operand in operands {
        let (a, b) = (operand.strides[outer], operand.strides[inner]);
        if a != 0 && b != 0 {
            if a.unsigned_abs() >= b.unsigned_abs() {
                return Some(false);
            }
            swap = Some(true);
        }
    }
    swap
}

/// Strides of a fresh array of this shape, laid out in the order in which `operands` are best walked
/// (so that the sum of Fortran-ordered arrays is Fortran-ordered).
pub fn matching_strides(shape: &[usize], operands: &[Layout], size: usize) -> Few<isize> {
    let mut axes: Few<usize> = (0..shape.len()).filter(|a| shape[*a] != 1).collect();
    sort_axes(&mut axes, operands);
    let mut strides: Few<isize> = smallvec![size as isize; shape.len()];
    let mut step = size as isize;
    for axis in axes.into_iter().rev() {
        strides[axis] = step;
        step = step.wrapping_mul(shape[axis].max(1) as isize);
    }
    strides
}
