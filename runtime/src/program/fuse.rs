//! From the expression graph to kernels: pending nodes become one fused expression whose inputs are
//! arrays and scalars; it is computed by the engine, stored or reduced, in one loop.

use super::Evaluator;
use super::limits::check_memory;
use super::value::{Lazy, Node, Op, Operand, State};
use super::warnings::name_error;
use crate::array::Array;
use crate::engine::ReduceOp;
use crate::{Result, RuntimeError};
use kjit_driver::KernelSpec;
use kjit_ir::{DType, FusedExpr, FusedNode, FusedOp, Loc, Scalar};
use rustc_hash::{FxHashMap, FxHashSet};
use std::rc::Rc;

/// Most pending nodes of one kernel.
const MAX_NODES: usize = 160;
/// Most arrays and scalars that one kernel reads: devices bind a limited number of buffers.
const MAX_INPUTS: usize = 24;

impl Evaluator<'_> {
    /// A new pending node. Its shape must be the broadcast shape of the arguments.
    ///
    /// Arguments are computed first when the kernel would otherwise become too large.
    pub(super) fn node(
        &self,
        op: Op,
        mut args: Vec<Operand>,
        shape: Vec<usize>,
        dtypes: Vec<DType>,
        loc: Loc,
    ) -> Result<Rc<Node>> {
        let cheap = !matches!(op, Op::Call(..))
            && args.iter().all(|arg| match arg {
                Operand::Lazy(lazy) => lazy.node.cheap && !lazy.node.is_ready(),
                Operand::Scalar(_) => true,
            });
        let (mut weight, mut inputs) = extent(&args);
        while weight >= MAX_NODES || inputs > MAX_INPUTS {
            // The sums count shared nodes twice; count exactly before storing anything.
            (weight, inputs) = exact_extent(&args);
            if weight < MAX_NODES && inputs <= MAX_INPUTS {
                break;
            }
            let heaviest = args
                .iter()
                .filter_map(|arg| match arg {
                    Operand::Lazy(lazy) if !lazy.node.is_ready() => Some(lazy),
                    _ => None,
                })
                .max_by_key(|lazy| (lazy.node.weight, lazy.node.inputs));
            let Some(heaviest) = heaviest else {
                // A call with very many arguments: the target has the last word.
                break;
            };
            self.force(&heaviest.node.clone())?;
            // Inner nodes that are stored now are leaves from here on.
            args = args.into_iter().map(settle).collect();
            (weight, inputs) = extent(&args);
        }
        Ok(Rc::new(Node {
            shape,
            dtypes,
            loc,
            cheap,
            weight: weight + 1,
            inputs,
            keep: Default::default(),
            state: State::Pending { op, args }.into(),
        }))
    }

    /// The array of a lazy expression, computed now if it has not been.
    pub(super) fn array(&self, lazy: &Lazy) -> Result<Array> {
        Ok(self.force(&lazy.node)?.swap_remove(lazy.result))
    }

    /// All results of a node, computed now if they have not been, and stored.
    pub(super) fn force(&self, node: &Rc<Node>) -> Result<Vec<Array>> {
        if let State::Ready(arrays) = &*node.state.borrow() {
            return Ok(arrays.clone());
        }
        let name = match self.looks_for_flags() {
            true => self.named(node),
            false => String::new(),
        };
        let fail = |error: RuntimeError| name_error(error, &name).at(node.loc);
        check_memory(&node.shape, &node.dtypes).map_err(fail)?;
        let arrays = match zeros_of(node) {
            Some(dtype) => vec![Array::zeros(dtype, &node.shape).map_err(fail)?],
            None => {
                let (expr, inputs) = self.fuse(node, None)?;
                self.engine
                    .elementwise(
                        self.program,
                        &KernelSpec::Fused(expr),
                        &inputs,
                        &node.shape,
                        &node.dtypes,
                    )
                    .map_err(fail)?
            }
        };
        self.name_warnings(&name, node.loc);
        *node.state.borrow_mut() = State::Ready(arrays.clone());
        Ok(arrays)
    }

    /// A reduction of all elements. Nothing is stored unless other consumers want the array as well.
    /// The caller has made sure that there are elements, or that the reduction of none has a value.
    pub(super) fn reduce(&self, lazy: &Lazy, op: ReduceOp, loc: Loc) -> Result<Scalar> {
        // Status flags are looked for where elements are stored.
        if self.looks_for_flags() || lazy.node.keep.get() && !lazy.node.cheap {
            self.force(&lazy.node)?;
        }
        let (expr, inputs) = self.fuse(&lazy.node, Some(lazy.result))?;
        self.engine
            .reduce(
                self.program,
                &KernelSpec::Fused(expr),
                &inputs,
                lazy.shape(),
                lazy.dtype(),
                op,
            )
            .map_err(|error| error.at(loc))
    }

    /// The fused expression of a node (of one of its results, or of all) and its inputs.
    fn fuse(&self, root: &Rc<Node>, result: Option<usize>) -> Result<(FusedExpr, Vec<Array>)> {
        let mut fuser = Fuser::new(self, root.size());
        let results = match result {
            Some(result) => result..result + 1,
            None => 0..root.dtypes.len(),
        };
        for result in results {
            let output = fuser.root(root, result)?;
            fuser.expr.outputs.push(output);
        }
        Ok((fuser.expr, fuser.inputs))
    }
}

/// A node that only fills with zeros needs no kernel: fresh memory is zero.
fn zeros_of(node: &Node) -> Option<DType> {
    match &*node.state.borrow() {
        State::Pending { op: Op::Fill, args } => match args.as_slice() {
            [Operand::Scalar(value)] if value.bits() == 0 => Some(value.dtype()),
            _ => None,
        },
        _ => None,
    }
}

/// An argument that has been computed becomes a leaf, so that it no longer counts.
fn settle(arg: Operand) -> Operand {
    match &arg {
        Operand::Lazy(lazy) if lazy.node.weight > 0 => match lazy.ready() {
            Some(array) => Operand::Lazy(Lazy::leaf(array, lazy.node.loc)),
            None => arg,
        },
        _ => arg,
    }
}

/// Upper bounds of pending nodes and inputs below some arguments.
fn extent(args: &[Operand]) -> (usize, usize) {
    args.iter().fold((0, 0), |(weight, inputs), arg| match arg {
        Operand::Lazy(lazy) if lazy.node.is_ready() => (weight, inputs + 1),
        Operand::Lazy(lazy) => (weight + lazy.node.weight, inputs + lazy.node.inputs),
        Operand::Scalar(_) => (weight, inputs + 1),
    })
}

/// The same, with shared nodes and equal scalars counted once.
fn exact_extent(args: &[Operand]) -> (usize, usize) {
    fn visit(
        args: &[Operand],
        pending: &mut FxHashSet<*const Node>,
        leaves: &mut FxHashSet<(*const Node, usize)>,
        scalars: &mut FxHashSet<Scalar>,
    ) {
        for arg in args {
            match arg {
                Operand::Scalar(scalar) => {
                    scalars.insert(*scalar);
                }
                Operand::Lazy(lazy) => match &*lazy.node.state.borrow() {
                    State::Ready(_) => {
                        leaves.insert((Rc::as_ptr(&lazy.node), lazy.result));
                    }
                    State::Pending { args, .. } => {
                        if pending.insert(Rc::as_ptr(&lazy.node)) {
                            visit(args, pending, leaves, scalars);
                        }
                    }
                },
            }
        }
    }
    let (mut pending, mut leaves, mut scalars) = Default::default();
    visit(args, &mut pending, &mut leaves, &mut scalars);
    (pending.len(), leaves.len() + scalars.len())
}

/// A fused expression in the making.
struct Fuser<'e, 'a> {
    evaluator: &'e Evaluator<'a>,
    /// Elements of the kernel.
    size: usize,
    expr: FusedExpr,
    inputs: Vec<Array>,
    /// The fused node of a pending node. The graph below the root stays alive while it is fused, so
    /// addresses name nodes.
    nodes: FxHashMap<*const Node, usize>,
    leaves: FxHashMap<(*const Node, usize), usize>,
    scalars: FxHashMap<Scalar, usize>,
    /// Equal operations on equal arguments are one node.
    known: FxHashMap<(FusedOp, Vec<(usize, usize)>), usize>,
}

impl<'e, 'a> Fuser<'e, 'a> {
    fn new(evaluator: &'e Evaluator<'a>, size: usize) -> Fuser<'e, 'a> {
        Fuser {
            evaluator,
            size,
            expr: FusedExpr::default(),
            inputs: Vec::new(),
            nodes: FxHashMap::default(),
            leaves: FxHashMap::default(),
            scalars: FxHashMap::default(),
            known: FxHashMap::default(),
        }
    }

    fn root(&mut self, root: &Rc<Node>, result: usize) -> Result<(usize, usize)> {
        let lazy = Lazy {
            node: root.clone(),
            result,
        };
        match lazy.ready() {
            Some(array) => Ok((self.leaf(&lazy, array), 0)),
            None => self.pending(root, result),
        }
    }

    fn operand(&mut self, operand: &Operand) -> Result<(usize, usize)> {
        let lazy = match operand {
            Operand::Scalar(scalar) => return Ok((self.scalar(*scalar), 0)),
            Operand::Lazy(lazy) => lazy,
        };
        // An expression with fewer elements than the kernel is computed once, not once for each of
        // the elements it is broadcast to; and the index of its elements is its own.
        let smaller = lazy.size() != self.size;
        let shared = lazy.node.keep.get() && !lazy.node.cheap;
        let apart = self.evaluator.looks_for_flags();
        if (smaller || shared || apart) && !lazy.node.is_ready() && !is_fill(&lazy.node) {
            self.evaluator.force(&lazy.node)?;
        }
        match lazy.ready() {
            Some(array) => Ok((self.leaf(lazy, array), 0)),
            None => self.pending(&lazy.node, lazy.result),
        }
    }

    fn pending(&mut self, node: &Rc<Node>, result: usize) -> Result<(usize, usize)> {
        if let Some(known) = self.nodes.get(&Rc::as_ptr(node)) {
            return Ok((*known, result));
        }
        let (op, args) = match &*node.state.borrow() {
            State::Pending { op, args } => (op.clone(), args.clone()),
            State::Ready(_) => unreachable!("bug in kjit: fusing a computed node"),
        };
        let args = args
            .iter()
            .map(|arg| self.operand(arg))
            .collect::<Result<Vec<_>>>()?;
        let op = match op {
            Op::Fill => {
                self.nodes.insert(Rc::as_ptr(node), args[0].0);
                return Ok(args[0]);
            }
            Op::Index => FusedOp::Index,
            Op::Cast(dtype) => FusedOp::Cast(dtype),
            Op::Unary(op) => FusedOp::Unary(op),
            Op::Binary(op) => FusedOp::Binary(op),
            Op::Call(name, generics) => FusedOp::Call(name, generics),
        };
        let index = self.push(op, args, node.loc);
        self.nodes.insert(Rc::as_ptr(node), index);
        Ok((index, result))
    }

    fn push(&mut self, op: FusedOp, args: Vec<(usize, usize)>, loc: Loc) -> usize {
        let key = (op, args);
        if let Some(known) = self.known.get(&key) {
            return *known;
        }
        let index = self.expr.nodes.len();
        self.expr.nodes.push(FusedNode {
            op: key.0.clone(),
            args: key.1.clone(),
            loc,
        });
        self.known.insert(key, index);
        index
    }

    fn input(&mut self, array: Array, loc: Loc) -> usize {
        let number = self.inputs.len();
        self.expr.inputs.push(array.dtype());
        self.inputs.push(array);
        self.push(FusedOp::Input(number), Vec::new(), loc)
    }

    fn leaf(&mut self, lazy: &Lazy, array: Array) -> usize {
        let key = (Rc::as_ptr(&lazy.node), lazy.result);
        if let Some(known) = self.leaves.get(&key) {
            return *known;
        }
        let node = self.input(array, lazy.node.loc);
        self.leaves.insert(key, node);
        node
    }

    fn scalar(&mut self, scalar: Scalar) -> usize {
        if let Some(known) = self.scalars.get(&scalar) {
            return *known;
        }
        let node = self.input(Array::scalar(scalar), Loc::default());
        self.scalars.insert(scalar, node);
        node
    }
}

/// A scalar everywhere: it needs no storage whatever its shape.
fn is_fill(node: &Node) -> bool {
    matches!(&*node.state.borrow(), State::Pending { op: Op::Fill, .. })
}
