//! Tests of compiled code against [`kjit_ir::eval`], which defines every operation.

mod chains;
mod core;
mod kernels;
mod operations;
mod random;

use crate::Cranelift;
use kjit_ir::eval::same;
use kjit_ir::target::{Backend, CompiledKernel};
use kjit_ir::testing::memory::{FILL, Memory, call_raw};
use kjit_ir::{
    Access, ArrayMode, ArrayParam, ArrayRef, DType, Function, FunctionBuilder, Imm, Opcode, Scalar,
    Type, Value,
};

/// The dtypes that kernels compute with.
fn dtypes() -> impl Iterator<Item = DType> {
    DType::ALL.iter().copied().filter(|d| d.is_native())
}

/// Backends with all and with the fewest instructions, and each interleave factor.
fn backends() -> Vec<(&'static str, Cranelift)> {
    let make = |native, lanes| {
        let mut backend = Cranelift::with_features(native).unwrap();
        backend.lanes = lanes;
        backend
    };
    vec![
        ("native", make(true, Some(4))),
        ("native x2", make(true, Some(8))),
        ("native x4", make(true, Some(16))),
        ("baseline", make(false, Some(4))),
        ("baseline x4", make(false, Some(16))),
    ]
}

/// Calls a kernel; returns the trap reported.
fn call(kernel: &dyn CompiledKernel, memory: &mut [Memory], n: usize) -> u32 {
    assert_eq!(n % kernel.lanes(), 0);
    let args: Vec<*mut u8> = memory.iter_mut().map(Memory::pointer).collect();
    let steps: Vec<isize> = memory.iter().map(|m| m.step).collect();
    // SAFETY: the arrays hold `n` elements at the steps given.
    unsafe { call_raw(kernel, &args, &steps, n) }
}

/// Builds kernels of either form with one vocabulary.
struct Build {
    b: FunctionBuilder,
    vector: bool,
}

impl Build {
    fn new(vector: bool) -> Build {
        let mut b = FunctionBuilder::new("test");
        if vector {
            b.func.form = kjit_ir::Form::Vector;
        }
        Build { b, vector }
    }

    fn array(&mut self, dtype: DType, mode: ArrayMode, access: Access) -> ArrayRef {
        let name = format!("p{}", self.b.func.arrays.len());
        self.b.array(ArrayParam::new(name, dtype, mode, access))
    }

    /// Type of a value that differs between elements.
    fn ty(&self, dtype: DType) -> Type {
        Type {
            dtype,
            varying: self.vector,
        }
    }

    /// The element, as a value that may differ between elements.
    fn load(&mut self, array: ArrayRef) -> Value {
        let param = self.b.func.arrays[array.index()].clone();
        let op = if param.mode == ArrayMode::Index {
            Opcode::Index
        } else {
            Opcode::Load
        };
        let uniform = param.access == Access::Uniform;
        let ty = if uniform {
            Type::scalar(param.dtype)
        } else {
            self.ty(param.dtype)
        };
        let inst = self.b.push(op, &[], Imm::Array(array), &[], &[ty]);
        let value = self.b.func.result(inst);
        if uniform { self.lift(value) } else { value }
    }

    /// A uniform value in every lane.
    fn lift(&mut self, value: Value) -> Value {
        if !self.vector || self.b.func.ty(value).varying {
            return value;
        }
        let ty = Type::varying(self.b.func.ty(value).dtype);
        let inst = self.b.push(Opcode::Splat, &[value], Imm::None, &[], &[ty]);
        self.b.func.result(inst)
    }

    fn constant(&mut self, scalar: Scalar) -> Value {
        let value = self.b.constant(scalar);
        self.lift(value)
    }

    fn finish(self) -> Function {
        self.b.ret(&[])
    }
}

/// Compiles, with the IR in the message when that fails.
fn compile(backend: &Cranelift, kernel: &Function) -> std::sync::Arc<dyn CompiledKernel> {
    match backend.compile(kernel) {
        Ok(code) => code,
        Err(error) => panic!("{error}\n{kernel:#?}"),
    }
}
