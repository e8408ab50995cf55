//! Which axes of the operands of a gufunc are core axes, what the extents of its core dimensions are, and
//! which shapes the outputs have: NumPy's rules.

use crate::broadcast::{broadcast_shapes, checked_size, format_shape};
use crate::call::CoreOptions;
use crate::nest::Few;
use crate::{Array, Result, RuntimeError};
use kjit_ir::{CoreSignature, DimExpr, Signature};

/// An operand as far as shapes go.
#[derive(Clone, Copy)]
pub(crate) struct OperandShape<'a> {
    pub(crate) shape: &'a [usize],
    pub(crate) strides: &'a [isize],
}

impl<'a> From<&'a Array> for OperandShape<'a> {
    fn from(array: &'a Array) -> OperandShape<'a> {
        OperandShape {
            shape: array.shape(),
            strides: array.strides(),
        }
    }
}

/// The dimensions of a call.
#[derive(Clone, Debug)]
pub(crate) struct CoreCall {
    /// What inputs and outputs broadcast to, core axes aside.
    pub(crate) loop_shape: Vec<usize>,
    /// The extent of each core dimension; 1 where it is optional and missing.
    pub(crate) extents: Vec<usize>,
    /// Inputs, then outputs.
    pub(crate) operands: Vec<CoreAxes>,
    /// Shape of each output.
    pub(crate) out_shapes: Vec<Vec<usize>>,
}

/// Where the core axes of an operand are.
#[derive(Clone, Debug)]
pub(crate) struct CoreAxes {
    /// The axis of each core dimension of the operand; `None` for a missing one.
    pub(crate) axes: Few<Option<usize>>,
    /// Axes of extent 1 that `keepdims` adds.
    pub(crate) kept: Few<usize>,
}

impl CoreAxes {
    pub(crate) fn is_core(&self, axis: usize) -> bool {
        self.axes.contains(&Some(axis)) || self.kept.contains(&axis)
    }

    /// The axes that are not core axes.
    pub(crate) fn loop_axes(&self, ndim: usize) -> impl Iterator<Item = usize> {
        (0..ndim).filter(|axis| !self.is_core(*axis))
    }

    /// Steps along the loop shape, and along each core dimension.
    pub(crate) fn steps(
        &self,
        operand: OperandShape,
        loop_shape: &[usize],
    ) -> (Few<isize>, Few<isize>) {
        let own: Few<usize> = self.loop_axes(operand.shape.len()).collect();
        let new = loop_shape.len() - own.len();
        let mut loops: Few<isize> = smallvec::smallvec![0; new];
        for (axis, extent) in own.into_iter().zip(&loop_shape[new..]) {
            let repeated = operand.shape[axis] == 1 && *extent != 1;
            loops.push(if repeated { 0 } else { operand.strides[axis] });
        }
        let core = self.axes.iter();
        let core = core.map(|axis| axis.map_or(0, |axis| operand.strides[axis]));
        (loops, core.collect())
    }
}

/// Binds the core dimensions of a call.
pub(crate) fn bind(
    signature: &Signature,
    core: &CoreSignature,
    options: &CoreOptions,
    inputs: &[OperandShape],
    outs: &[Option<OperandShape>],
) -> Result<CoreCall> {
    let cx = Context {
        signature,
        core,
        missing: missing_dims(signature, core, inputs, outs)?,
    };
    let nin = inputs.len();
    let counts: Vec<usize> = (0..nin + outs.len())
        .map(|operand| cx.present(operand).count())
        .collect();
    let kept = cx.kept(options, &counts)?;
    let axes_of = cx.axes_of(options, &counts, kept)?;
    let mut operands: Vec<Option<CoreAxes>> = Vec::new();
    let mut loops: Vec<Vec<usize>> = Vec::new();
    for (operand, given) in inputs
        .iter()
        .map(|i| Some(*i))
        .chain(outs.iter().copied())
        .enumerate()
    {
        let Some(given) = given else {
            operands.push(None);
            continue;
        };
        let kept = if operand < nin { 0 } else { kept };
        let axes = cx.place(operand, given.shape.len(), kept, axes_of.as_deref())?;
        let own = axes.loop_axes(given.shape.len());
        loops.push(own.map(|axis| given.shape[axis]).collect());
        operands.push(Some(axes));
    }
    let shapes: Vec<&[usize]> = loops.iter().map(Vec::as_slice).collect();
    let loop_shape = broadcast_shapes(&shapes).map_err(|_| {
        let names = (0..nin + outs.len()).filter(|o| operands[*o].is_some());
        let list: Vec<String> = names
            .zip(&shapes)
            .map(|(o, shape)| format!("{}: {}", cx.name_of(o), format_shape(shape)))
            .collect();
        RuntimeError::shape(format!(
            "the loop dimensions of {} cannot be broadcast together: {}",
            signature.name,
            list.join(", ")
        ))
        .help(format!(
            "its core signature is {core}; the axes left are aligned from the right"
        ))
    })?;
    let operands = operands
        .into_iter()
        .enumerate()
        .map(|(operand, axes)| match axes {
            Some(axes) => Ok(axes),
            None => {
                let ndim = loop_shape.len() + counts[operand] + kept;
                cx.place(operand, ndim, kept, axes_of.as_deref())
            }
        })
        .collect::<Result<Vec<CoreAxes>>>()?;
    let all = inputs.iter().map(|i| Some(*i)).chain(outs.iter().copied());
    let all: Vec<Option<OperandShape>> = all.collect();
    let extents = cx.extents(options, &operands, &all)?;
    let mut out_shapes = Vec::new();
    for (k, out) in outs.iter().enumerate() {
        let operand = nin + k;
        let axes = &operands[operand];
        let mut shape = vec![1; loop_shape.len() + counts[operand] + kept];
        for (dim, axis) in core.outputs[k].iter().zip(&axes.axes) {
            if let Some(axis) = axis {
                shape[*axis] = extents[*dim];
            }
        }
        let places: Vec<usize> = axes.loop_axes(shape.len()).collect();
        for (place, extent) in places.into_iter().zip(&loop_shape) {
            shape[place] = *extent;
        }
        if let Some(out) = out
            && out.shape != shape.as_slice()
        {
            return Err(RuntimeError::shape(format!(
                "{} of {} has shape {}, and the call gives shape {}",
                cx.name_of(operand),
                signature.name,
                format_shape(out.shape),
                format_shape(&shape)
            ))
            .help("an output is not broadcast: give one of the shape of the call"));
        }
        checked_size(&shape, 16)?;
        out_shapes.push(shape);
    }
    Ok(CoreCall {
        loop_shape,
        extents,
        operands,
        out_shapes,
    })
}

/// Which optional dimensions the arguments lack. They are removed from all operands together.
fn missing_dims(
    signature: &Signature,
    core: &CoreSignature,
    inputs: &[OperandShape],
    outs: &[Option<OperandShape>],
) -> Result<Vec<bool>> {
    let mut missing = vec![false; core.dims.len()];
    let given = inputs.iter().map(|i| Some(*i)).chain(outs.iter().copied());
    let dims = core.inputs.iter().chain(&core.outputs);
    for (operand, (given, dims)) in given.zip(dims).enumerate() {
        let Some(given) = given else {
            continue;
        };
        let left = |missing: &[bool]| dims.iter().filter(|d| !missing[**d]).count();
        for dim in dims {
            if given.shape.len() < left(&missing) && core.dims[*dim].optional {
                missing[*dim] = true;
            }
        }
        let wanted = left(&missing);
        if given.shape.len() < wanted {
            return Err(RuntimeError::shape(format!(
                "operand {operand} ({}) of {} has {} ax{}, and its core has {wanted}",
                operand_name(signature, operand),
                signature.name,
                given.shape.len(),
                if given.shape.len() == 1 { "is" } else { "es" },
            ))
            .help(format!("the core signature is {core}")));
        }
    }
    Ok(missing)
}

/// Name of an operand, inputs before outputs.
fn operand_name(signature: &Signature, operand: usize) -> &str {
    let all = signature.inputs.iter().chain(&signature.outputs);
    all.map(|(name, _)| name.as_str())
        .nth(operand)
        .unwrap_or("")
}

struct Context<'a> {
    signature: &'a Signature,
    core: &'a CoreSignature,
    missing: Vec<bool>,
}

impl Context<'_> {
    /// `operand 1 (b)`
    fn name_of(&self, operand: usize) -> String {
        format!(
            "operand {operand} ({})",
            operand_name(self.signature, operand)
        )
    }

    fn dims(&self, operand: usize) -> &[usize] {
        let nin = self.core.inputs.len();
        match operand.checked_sub(nin) {
            None => &self.core.inputs[operand],
            Some(output) => &self.core.outputs[output],
        }
    }

    /// The dimensions of an operand that are not missing.
    fn present(&self, operand: usize) -> impl Iterator<Item = usize> {
        let dims = self.dims(operand).iter().copied();
        dims.filter(|dim| !self.missing[*dim])
    }

    /// Number of axes that `keepdims` adds to each output.
    fn kept(&self, options: &CoreOptions, counts: &[usize]) -> Result<usize> {
        if !options.keepdims {
            return Ok(0);
        }
        let (inputs, outputs) = counts.split_at(self.core.inputs.len());
        let same = inputs.windows(2).all(|w| w[0] == w[1]);
        if !same || outputs.iter().any(|n| *n > 0) {
            return Err(RuntimeError::value(format!(
                "{} does not take keepdims",
                self.signature.name
            ))
            .help(format!(
                "keepdims is for gufuncs whose arguments have as many core axes each and whose outputs have \
                 none, and the core signature is {}",
                self.core
            )));
        }
        Ok(inputs.first().copied().unwrap_or(0))
    }

    /// The axes that the caller names, one list an operand; `None` for the last ones.
    fn axes_of(
        &self,
        options: &CoreOptions,
        counts: &[usize],
        kept: usize,
    ) -> Result<Option<Vec<Vec<i64>>>> {
        let name = &self.signature.name;
        let nin = self.core.inputs.len();
        let wanted = |operand: usize| counts[operand] + if operand < nin { 0 } else { kept };
        match (&options.axes, options.axis) {
            (None, None) => Ok(None),
            (Some(_), Some(_)) => Err(RuntimeError::value(format!(
                "{name} is given both axis and axes"
            ))
            .help("axes alone says all")),
            (Some(axes), None) => {
                let mut axes = axes.clone();
                let optional = (nin..counts.len()).all(|operand| wanted(operand) == 0);
                if axes.len() == nin && optional {
                    axes.resize(counts.len(), Vec::new());
                }
                if axes.len() != counts.len() {
                    return Err(RuntimeError::value(format!(
                        "axes of {name} has {} entr{}, and there are {} arguments and outputs",
                        axes.len(),
                        if axes.len() == 1 { "y" } else { "ies" },
                        counts.len()
                    ))
                    .help(
                        "entries of outputs may be left out only where no output has core axes",
                    ));
                }
                for (operand, list) in axes.iter().enumerate() {
                    if list.len() != wanted(operand) {
                        return Err(RuntimeError::value(format!(
                            "axes names {} ax{} for {} of {name}, whose core has {}",
                            list.len(),
                            if list.len() == 1 { "is" } else { "es" },
                            self.name_of(operand),
                            wanted(operand)
                        ))
                        .help(format!("the core signature is {}", self.core)));
                    }
                }
                Ok(Some(axes))
            }
            (None, Some(axis)) => {
                let mut dims: Vec<usize> =
                    (0..counts.len()).flat_map(|o| self.present(o)).collect();
                dims.sort_unstable();
                dims.dedup();
                if dims.len() != 1 || counts.iter().any(|n| *n > 1) {
                    return Err(RuntimeError::value(format!("{name} does not take axis")).help(
                        format!(
                            "axis is for gufuncs with one core dimension, and the core signature is {}; use \
                             axes",
                            self.core
                        ),
                    ));
                }
                let axes = (0..counts.len()).map(|operand| vec![axis; wanted(operand)]);
                Ok(Some(axes.collect()))
            }
        }
    }

    /// Where the core axes of an operand with so many axes are.
    fn place(
        &self,
        operand: usize,
        ndim: usize,
        kept: usize,
        axes: Option<&[Vec<i64>]>,
    ) -> Result<CoreAxes> {
        let present = self.present(operand).count();
        let count = present + kept;
        if ndim < count {
            return Err(RuntimeError::shape(format!(
                "{} of {} has {ndim} ax{}, and its core has {count}",
                self.name_of(operand),
                self.signature.name,
                if ndim == 1 { "is" } else { "es" }
            ))
            .help(format!("the core signature is {}", self.core)));
        }
        let mut places: Few<usize> = Few::new();
        match axes {
            None => places.extend(ndim - count..ndim),
            Some(axes) => {
                for axis in &axes[operand] {
                    let place = if *axis < 0 {
                        *axis + ndim as i64
                    } else {
                        *axis
                    };
                    let place = usize::try_from(place).ok().filter(|p| *p < ndim);
                    let fail = |message: String| {
                        RuntimeError::shape(message)
                            .help(format!("the core signature is {}", self.core))
                    };
                    match place {
                        None => {
                            return Err(fail(format!(
                                "axis {axis} is out of bounds for {} of {}, which has {ndim} ax{}",
                                self.name_of(operand),
                                self.signature.name,
                                if ndim == 1 { "is" } else { "es" }
                            )));
                        }
                        Some(place) if places.contains(&place) => {
                            return Err(fail(format!(
                                "axis {axis} is named twice for {} of {}",
                                self.name_of(operand),
                                self.signature.name
                            )));
                        }
                        Some(place) => places.push(place),
                    }
                }
            }
        }
        let kept_axes: Few<usize> = places.drain(present..).collect();
        let mut places = places.into_iter();
        let axes = self
            .dims(operand)
            .iter()
            .map(|dim| {
                if self.missing[*dim] {
                    None
                } else {
                    places.next()
                }
            })
            .collect();
        Ok(CoreAxes {
            axes,
            kept: kept_axes,
        })
    }

    /// The extent of each core dimension.
    fn extents(
        &self,
        options: &CoreOptions,
        operands: &[CoreAxes],
        given: &[Option<OperandShape>],
    ) -> Result<Vec<usize>> {
        let name = &self.signature.name;
        let mut known: Vec<Option<i64>> = vec![None; self.core.dims.len()];
        for (n, dim) in self.core.dims.iter().enumerate() {
            known[n] = match dim.extent {
                _ if self.missing[n] => Some(1),
                DimExpr::Const(extent) => Some(extent),
                _ => None,
            };
        }
        for (dim, extent) in &options.dims {
            let found = self.core.dims.iter().position(|d| d.name == *dim);
            let free = found.filter(|n| self.core.dims[*n].extent == DimExpr::Free);
            let Some(n) = free else {
                return Err(RuntimeError::value(format!(
                    "{name} has no core dimension {dim} to be given"
                ))
                .help(format!("the core signature is {}", self.core)));
            };
            known[n] = Some(i64::try_from(*extent).map_err(|_| too_large(name, dim))?);
        }
        // Extents that arguments (and outputs that are there) give; then those computed from them.
        for computed in [false, true] {
            for (operand, axes) in operands.iter().enumerate() {
                let Some(given) = given[operand] else {
                    continue;
                };
                let dims = self.dims(operand).iter().zip(&axes.axes);
                let present = dims.filter_map(|(dim, axis)| Some((*dim, (*axis)?)));
                for (core_axis, (dim, axis)) in present.enumerate() {
                    let extent = given.shape[axis] as i64;
                    let is = match &self.core.dims[dim].extent {
                        DimExpr::Free | DimExpr::Const(_) => known[dim],
                        _ if !computed => continue,
                        _ => Some(self.evaluate(dim, &known, 0)?),
                    };
                    match is {
                        None => known[dim] = Some(extent),
                        Some(is) if is == extent => {}
                        Some(is) => {
                            return Err(RuntimeError::shape(format!(
                                "{} of {name} has a mismatch in its core dimension {core_axis} ({}): \
                                 {extent} is not {is}",
                                self.name_of(operand),
                                self.core.dims[dim].name
                            ))
                            .help(format!("the core signature is {}", self.core)));
                        }
                    }
                }
            }
        }
        (0..known.len())
            .map(|dim| match self.evaluate(dim, &known, 0)? {
                extent if extent <= LARGEST => Ok(extent as usize),
                _ => Err(too_large(name, &self.core.dims[dim].name)),
            })
            .collect()
    }

    /// The extent of a dimension, not negative.
    fn evaluate(&self, dim: usize, known: &[Option<i64>], depth: usize) -> Result<i64> {
        let name = &self.signature.name;
        let of = &self.core.dims[dim];
        if let Some(extent) = known[dim] {
            return Ok(extent);
        }
        if of.extent == DimExpr::Free || depth > self.core.dims.len() {
            return Err(RuntimeError::shape(format!(
                "{name} needs the extent of its core dimension {}, which is that of no argument",
                of.name
            ))
            .help(format!("give it by its name, as in {} = 10", of.name)));
        }
        let extent = self.expression(&of.extent, known, depth)?;
        match extent {
            Some(extent) if extent >= 0 => Ok(extent),
            Some(extent) => Err(RuntimeError::shape(format!(
                "core dimension {} of {name} would have the extent {extent}",
                of.name
            ))
            .help(format!("the core signature is {}", self.core))),
            None => Err(too_large(name, &of.name)),
        }
    }

    /// The value of an expression; `None` where it overflows or divides by zero.
    fn expression(
        &self,
        expr: &DimExpr,
        known: &[Option<i64>],
        depth: usize,
    ) -> Result<Option<i64>> {
        let both = |a: &DimExpr, b: &DimExpr| -> Result<Option<(i64, i64)>> {
            let a = self.expression(a, known, depth)?;
            let b = self.expression(b, known, depth)?;
            Ok(a.zip(b))
        };
        Ok(match expr {
            DimExpr::Free => None,
            DimExpr::Const(value) => Some(*value),
            DimExpr::Dim(dim) => Some(self.evaluate(*dim, known, depth + 1)?),
            DimExpr::Add(a, b) => both(a, b)?.and_then(|(a, b)| a.checked_add(b)),
            DimExpr::Sub(a, b) => both(a, b)?.and_then(|(a, b)| a.checked_sub(b)),
            DimExpr::Mul(a, b) => both(a, b)?.and_then(|(a, b)| a.checked_mul(b)),
            DimExpr::Div(a, b) => both(a, b)?.and_then(|(a, b)| {
                let quotient = a.checked_div_euclid(b)?;
                // Rounded down, whatever the sign of the divisor.
                let exact = quotient.checked_mul(b)? == a;
                Some(if b < 0 && !exact {
                    quotient - 1
                } else {
                    quotient
                })
            }),
        })
    }
}

/// The largest extent: the front end proves indices in bounds for extents up to this (views that repeat one
/// element may have larger ones).
const LARGEST: i64 = 1 << 47;

fn too_large(name: &str, dim: &str) -> RuntimeError {
    RuntimeError::limit(format!(
        "the extent of core dimension {dim} of {name} is no number that an array can have"
    ))
    .help("use smaller arrays, and no division by zero")
}
