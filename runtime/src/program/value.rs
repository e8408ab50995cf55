//! Values of the host program, and the lazy element-wise expressions among them.

use crate::array::Array;
use crate::broadcast::format_shape;
use kjit_ir::{BinaryOp, DType, Loc, Scalar, UnaryOp};
use std::cell::{Cell, RefCell};
use std::rc::Rc;

/// What an expression of the host program evaluates to.
#[derive(Clone)]
pub(crate) enum Value {
    /// An integer without a dtype yet: it adopts the other operand's.
    Int(i128),
    /// A float without a dtype yet.
    Float(f64),
    /// One number (or bool) of a dtype.
    Scalar(Scalar),
    /// Text.
    Str(Rc<str>),
    /// A dtype used as an argument.
    DType(DType),
    /// An array, computed or still to be computed. Never 0-d: that is a `Scalar`.
    Array(Lazy),
    /// Several values: a shape, or the outputs of a call.
    Tuple(Vec<Value>),
}

impl Value {
    /// An array as a value; a 0-d array becomes a scalar.
    pub(crate) fn from_array(array: Array, loc: Loc) -> crate::Result<Value> {
        if array.ndim() == 0 {
            return Ok(Value::Scalar(array.to_host()?.item()?));
        }
        Ok(Value::Array(Lazy::leaf(array, loc)))
    }

    /// What messages call it.
    pub(crate) fn describe(&self) -> String {
        match self {
            Value::Int(_) => "an integer".into(),
            Value::Float(_) => "a float".into(),
            Value::Scalar(s) if s.dtype() == DType::Bool => "a bool".into(),
            Value::Scalar(s) => format!("one {}", s.dtype()),
            Value::Str(_) => "text".into(),
            Value::DType(_) => "a dtype".into(),
            Value::Array(a) => {
                let name = a.dtype().name();
                let article = if name.starts_with(['b', 'c', 'u']) {
                    "a"
                } else {
                    "an"
                };
                format!(
                    "{article} {name} array of shape {}",
                    format_shape(a.shape())
                )
            }
            Value::Tuple(t) => format!("a tuple of {} values", t.len()),
        }
    }
}

/// One result of a node of the expression graph.
#[derive(Clone)]
pub(crate) struct Lazy {
    pub(crate) node: Rc<Node>,
    pub(crate) result: usize,
}

impl Lazy {
    /// An array that is there already.
    pub(crate) fn leaf(array: Array, loc: Loc) -> Lazy {
        let node = Node {
            shape: array.shape().to_vec(),
            dtypes: vec![array.dtype()],
            loc,
            cheap: true,
            weight: 0,
            inputs: 1,
            keep: Cell::new(false),
            state: RefCell::new(State::Ready(vec![array])),
        };
        Lazy {
            node: Rc::new(node),
            result: 0,
        }
    }

    pub(crate) fn dtype(&self) -> DType {
        self.node.dtypes[self.result]
    }

    pub(crate) fn shape(&self) -> &[usize] {
        &self.node.shape
    }

    pub(crate) fn size(&self) -> usize {
        self.node.size()
    }

    /// The array, if it has been computed.
    pub(crate) fn ready(&self) -> Option<Array> {
        match &*self.node.state.borrow() {
            State::Ready(arrays) => Some(arrays[self.result].clone()),
            State::Pending { .. } => None,
        }
    }
}

/// An element-wise operation with its shape and dtypes known, computed when somebody needs it.
pub(crate) struct Node {
    /// Shape of every result.
    pub(crate) shape: Vec<usize>,
    /// Dtype of each result.
    pub(crate) dtypes: Vec<DType>,
    /// Place of the operator or call.
    pub(crate) loc: Loc,
    /// Computing it again costs less than reading it from memory.
    pub(crate) cheap: bool,
    /// Upper bound of the pending nodes below, itself included.
    pub(crate) weight: usize,
    /// Upper bound of the arrays and scalars that a kernel for it reads.
    pub(crate) inputs: usize,
    /// Several consumers want it: the first that needs it stores it.
    pub(crate) keep: Cell<bool>,
    pub(crate) state: RefCell<State>,
}

impl Node {
    pub(crate) fn size(&self) -> usize {
        // The product was checked when the node was made.
        self.shape.iter().product()
    }

    pub(crate) fn is_ready(&self) -> bool {
        matches!(*self.state.borrow(), State::Ready(_))
    }
}

/// Computed or not.
pub(crate) enum State {
    /// Not yet: from this operation on these arguments.
    Pending { op: Op, args: Vec<Operand> },
    /// Yes: one array a result. The arguments have been let go.
    Ready(Vec<Array>),
}

/// Operations of the expression graph.
#[derive(Clone)]
pub(crate) enum Op {
    /// The one argument, a scalar, everywhere.
    Fill,
    /// Linear (C order) index of the element.
    Index,
    /// Conversion.
    Cast(DType),
    /// Operator.
    Unary(UnaryOp),
    /// Operator; both arguments have one dtype.
    Binary(BinaryOp),
    /// A ufunc or library function with the dtypes of its type parameters.
    Call(String, Vec<DType>),
}

/// An argument of a node.
#[derive(Clone)]
pub(crate) enum Operand {
    /// Another node's result.
    Lazy(Lazy),
    /// One number for all elements; an input of the kernel, so that kernels do not depend on it.
    Scalar(Scalar),
}

impl Operand {
    pub(crate) fn shape(&self) -> &[usize] {
        match self {
            Operand::Lazy(lazy) => lazy.shape(),
            Operand::Scalar(_) => &[],
        }
    }
}
