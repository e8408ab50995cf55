//! Indexing and slice assignment, with NumPy's rules for basic indexing.

use super::elementwise::arg_type;
use super::value::{Lazy, Value};
use super::{Evaluator, Indices};
use crate::array::Array;
use crate::broadcast::format_shape;
use crate::dtype::{Casting, WeakKind, can_cast};
use crate::resolve::ArgType;
use crate::slice::SliceIndex;
use crate::{Result, RuntimeError};
use kjit_ir::Loc;
use kjit_ir::host::{HostExpr, HostIndex};
use std::rc::Rc;

impl Evaluator<'_> {
    /// `base[index]`
    pub(super) fn index(&self, base: Value, index: &Indices, loc: Loc) -> Result<Value> {
        let index = self.slice_indices(index)?;
        match base {
            Value::Array(lazy) => {
                let part = self.array(&lazy)?.slice(&index).map_err(|e| e.at(loc))?;
                Value::from_array(part, loc)
            }
            Value::Tuple(values) => match index.as_slice() {
                [SliceIndex::At(i)] => {
                    let n = values.len() as i64;
                    let position = if *i < 0 { *i + n } else { *i };
                    let found = usize::try_from(position)
                        .ok()
                        .and_then(|p| values.get(p).cloned());
                    found.ok_or_else(|| {
                        RuntimeError::value(format!(
                            "index {i} is out of bounds for a tuple of {n} values"
                        ))
                        .at(loc)
                    })
                }
                _ => Err(RuntimeError::value("a tuple takes one index, not a slice").at(loc)),
            },
            base => Err(
                RuntimeError::shape(format!("{} cannot be indexed", base.describe()))
                    .help("only arrays and tuples have elements")
                    .at(loc),
            ),
        }
    }

    /// `target[index] = value`: other variables that share the elements keep the old ones.
    pub(super) fn assign_index(
        &mut self,
        target: usize,
        index: &Indices,
        value: &HostExpr,
        loc: Loc,
    ) -> Result<()> {
        let index = self.slice_indices(index)?;
        let value = self.expr(value)?;
        let Some(Value::Array(lazy)) = self.slots[target].clone() else {
            let found = self.slots[target]
                .as_ref()
                .map_or("nothing".into(), Value::describe);
            return Err(
                RuntimeError::shape(format!("{found} cannot be changed in place"))
                    .help("only elements of arrays are assigned to: x = .. sets a variable")
                    .at(loc),
            );
        };
        let dtype = lazy.dtype();
        // Everything that can be wrong is found before the array changes.
        let fits = match arg_type(&value) {
            Some(ArgType::Typed(from)) => can_cast(from, dtype, Casting::Safe),
            Some(ArgType::Weak(WeakKind::Int)) => dtype.is_number(),
            Some(ArgType::Weak(WeakKind::Float)) => dtype.is_float(),
            None => false,
        };
        if !fits {
            return Err(RuntimeError::dtype(format!(
                "{} cannot be stored in an array of {dtype} without loss",
                value.describe()
            ))
            .help(format!("convert it first: x as {dtype}"))
            .at(loc));
        }
        let value = match value {
            Value::Array(lazy) => self.array(&lazy)?.to_host()?,
            value => match self.operand(value, dtype, loc)? {
                super::value::Operand::Scalar(scalar) => Array::scalar(scalar),
                super::value::Operand::Lazy(_) => {
                    return Err(
                        RuntimeError::internal("bug in kjit: a number became an array").at(loc),
                    );
                }
            },
        };
        let view = self.array(&lazy)?.slice(&index).map_err(|e| e.at(loc))?;
        value.broadcast_to(view.shape()).map_err(|_| {
            RuntimeError::shape(format!(
                "an array of shape {} does not fit a slice of shape {}",
                format_shape(value.shape()),
                format_shape(view.shape())
            ))
            .help("aligned from the right, extents must be equal or that of the array 1")
            .at(loc)
        })?;
        drop(view);
        // Give up our own handles, so that an array nobody else sees is changed without a copy.
        self.slots[target] = None;
        let mut array = take(lazy).map_err(|e| e.at(loc))?;
        let result = array.assign(&index, &value).map_err(|e| e.at(loc));
        self.slots[target] = Some(Value::Array(Lazy::leaf(array, loc)));
        result
    }

    /// The values of indices.
    fn slice_indices(&self, index: &Indices) -> Result<Vec<SliceIndex>> {
        let integer = |e: &HostExpr| self.integer(e, "an index is one integer");
        index
            .iter()
            .map(|i| match i {
                HostIndex::At(e) => Ok(SliceIndex::At(integer(e)?)),
                HostIndex::Range(start, end) => Ok(SliceIndex::range(
                    start.as_ref().map(integer).transpose()?,
                    end.as_ref().map(integer).transpose()?,
                )),
            })
            .collect()
    }
}

/// The array of a computed expression, as the only handle if there is no other.
fn take(lazy: Lazy) -> Result<Array> {
    let shared = || RuntimeError::internal("bug in kjit: an array is not computed yet");
    match Rc::try_unwrap(lazy.node) {
        Ok(node) => match node.state.into_inner() {
            super::value::State::Ready(mut arrays) => Ok(arrays.swap_remove(lazy.result)),
            super::value::State::Pending { .. } => Err(shared()),
        },
        Err(node) => Lazy {
            node,
            result: lazy.result,
        }
        .ready()
        .ok_or_else(shared),
    }
}
