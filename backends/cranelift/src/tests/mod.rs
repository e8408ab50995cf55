//! Tests of compiled code against [`kjit_ir::eval`], which defines every operation.

mod chains;
mod core;
mod edges;
mod kernels;
mod operations;
mod random;

use crate::Cranelift;
use kjit_ir::abi::KernelStatus;
use kjit_ir::target::{Backend, CompiledKernel};
use kjit_ir::{
    Access, ArrayMode, ArrayParam, ArrayRef, DType, Function, FunctionBuilder, Imm, Opcode, Scalar,
    Type, Value,
};
use std::sync::atomic::Ordering;

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

/// An array of a test call: bytes at an odd address, any step.
struct Memory {
    dtype: DType,
    bytes: Vec<u8>,
    step: isize,
    offset: usize,
}

/// Bytes that no test value consists of.
const FILL: u8 = 0xa5;

impl Memory {
    /// Memory for `n` elements of an access class, starting one byte off.
    fn new(dtype: DType, access: Access, n: usize) -> Memory {
        let size = dtype.size() as isize;
        let step = match access {
            Access::Contiguous => size,
            Access::Uniform => 0,
            Access::Strided => -(2 * size + 1),
        };
        let span = (step.unsigned_abs() + size as usize) * n + 2;
        let offset = if step < 0 {
            (n.max(1) - 1) * step.unsigned_abs() + 1
        } else {
            1
        };
        Memory {
            dtype,
            bytes: vec![FILL; span],
            step,
            offset,
        }
    }

    fn holding(access: Access, values: &[Scalar]) -> Memory {
        let mut memory = Memory::new(values[0].dtype(), access, values.len());
        for (n, value) in values.iter().enumerate() {
            let (bytes, size) = value.to_ne_bytes();
            let at = memory.at(n);
            memory.bytes[at..at + size].copy_from_slice(&bytes[..size]);
        }
        memory
    }

    fn at(&self, n: usize) -> usize {
        (self.offset as isize + n as isize * self.step) as usize
    }

    fn get(&self, n: usize) -> Scalar {
        let at = self.at(n);
        Scalar::from_ne_bytes(self.dtype, &self.bytes[at..at + self.dtype.size()])
    }

    fn pointer(&mut self) -> *mut u8 {
        self.bytes[self.offset..].as_mut_ptr()
    }

    /// Bytes that belong to no element.
    fn padding(&self, n: usize) -> Vec<u8> {
        let mut own = vec![true; self.bytes.len()];
        for k in 0..n {
            let at = self.at(k);
            own[at..at + self.dtype.size()].fill(false);
        }
        let bytes = self.bytes.iter().zip(own);
        bytes.filter(|(_, own)| *own).map(|(b, _)| *b).collect()
    }
}

/// Calls a kernel; returns the trap reported.
fn call(kernel: &dyn CompiledKernel, memory: &mut [Memory], n: usize) -> u32 {
    assert_eq!(n % kernel.lanes(), 0);
    let args: Vec<*mut u8> = memory.iter_mut().map(Memory::pointer).collect();
    let steps: Vec<isize> = memory.iter().map(|m| m.step).collect();
    call_raw(kernel, &args, &steps, n)
}

fn call_raw(kernel: &dyn CompiledKernel, args: &[*mut u8], steps: &[isize], n: usize) -> u32 {
    let status = KernelStatus::default();
    let dims = [n as isize];
    // SAFETY: the arrays hold `n` elements at the steps given.
    unsafe {
        kernel.call(
            args.as_ptr(),
            dims.as_ptr(),
            steps.as_ptr(),
            (&raw const status).cast(),
        );
    }
    status.trap.load(Ordering::Relaxed)
}

/// Equal, where any NaN equals any NaN.
fn same(a: Scalar, b: Scalar) -> bool {
    let nan = |s: Scalar| match s.dtype() {
        DType::F32 => s.as_f32().is_nan(),
        DType::F64 => s.as_f64().is_nan(),
        _ => false,
    };
    a == b || (a.dtype() == b.dtype() && nan(a) && nan(b))
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
