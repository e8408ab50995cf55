//! Random kernels through the kernel ABI: passes and vectorization change nothing that they compute.

use super::*;
use kjit_ir::eval::same;
use kjit_ir::passes::{inline, optimize, vectorize};
use kjit_ir::testing::{Options, random_module, random_scalar};
use kjit_ir::{Access, ArrayMode, ArrayParam};
use std::time::{Duration, Instant};

/// Elements of each array: as many as two groups of eight lanes.
const ELEMENTS: usize = 16;

/// More than a right kernel needs, so that a wrong one fails and does not hang.
const FUEL: u64 = 5_000_000;

/// The index of the first element.
const FIRST_INDEX: usize = 5;

/// The memory of one array.
struct Memory {
    bytes: Vec<u8>,
    size: usize,
    step: usize,
}

impl Memory {
    fn new(param: &ArrayParam, elements: &[Scalar]) -> Memory {
        let size = param.dtype.size();
        let step = match param.access {
            Access::Uniform => 0,
            Access::Contiguous => size,
            Access::Strided => 2 * size + 1,
        };
        let mut bytes = vec![0xa5; step * (elements.len() - 1) + size];
        for (n, element) in elements.iter().enumerate() {
            let (image, size) = element.to_ne_bytes();
            bytes[step * n..][..size].copy_from_slice(&image[..size]);
        }
        Memory { bytes, size, step }
    }

    fn element(&self, param: &ArrayParam, n: usize) -> Scalar {
        Scalar::from_ne_bytes(param.dtype, &self.bytes[self.step * n..][..self.size])
    }
}

/// What a run leaves: the elements of the outputs, and whether a check failed.
fn run_kernel(
    interp: Interp,
    kernel: &Function,
    inputs: &[Vec<Scalar>],
) -> (Vec<Vec<Scalar>>, bool) {
    let code = interp
        .with_fuel(FUEL)
        .compile(kernel)
        .unwrap_or_else(|e| panic!("{e}"));
    let arrays = kernel.arrays.iter().zip(inputs);
    let mut memory: Vec<Memory> = arrays
        .map(|(a, elements)| Memory::new(a, elements))
        .collect();
    let (mut args, mut steps) = (Vec::new(), Vec::new());
    for (param, memory) in kernel.arrays.iter().zip(&mut memory) {
        if param.mode == ArrayMode::Index {
            args.push(FIRST_INDEX as *mut u8);
            steps.push(match param.access {
                Access::Uniform => 0,
                Access::Contiguous => 1,
                Access::Strided => 3,
            });
        } else {
            args.push(memory.bytes.as_mut_ptr());
            steps.push(memory.step as isize);
        }
    }
    let status = KernelStatus::default();
    let dims = [ELEMENTS as isize];
    // SAFETY: each array holds `ELEMENTS` elements at its step.
    unsafe {
        code.call(
            args.as_ptr(),
            dims.as_ptr(),
            steps.as_ptr(),
            (&raw const status).cast(),
        );
    }
    let trap = status.trap.into_inner();
    assert_ne!(trap, OUT_OF_FUEL, "a loop does not end\n{kernel}");
    let outputs = kernel.arrays.iter().zip(&memory);
    let outputs = outputs
        .filter(|(param, _)| param.mode == ArrayMode::Out)
        .map(|(param, memory)| (0..ELEMENTS).map(|n| memory.element(param, n)).collect());
    (outputs.collect(), trap != 0)
}

fn check_seed(seed: u64) {
    let mut state = (seed + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        // xorshift64*
        state ^= state >> 12;
        state ^= state << 25;
        state ^= state >> 27;
        (state.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 32) as u32
    };
    let options = Options {
        size: 6 + (seed % 40) as u32,
        ..Options::default()
    };
    let (module, root) = random_module(&mut next, &options);
    let mut inputs = Vec::new();
    for param in &module[root].arrays {
        let elements = (0..ELEMENTS).map(|_| match param.mode {
            ArrayMode::Out => Scalar::zero(param.dtype),
            _ => random_scalar(&mut next, param.dtype),
        });
        inputs.push(elements.collect::<Vec<Scalar>>());
    }
    let original = inline(&module, root);
    let optimized = optimize(&module, root);
    let expected = run_kernel(Interp::default(), &original, &inputs);
    let forms = [
        ("optimized", 1, optimized.clone()),
        ("vectorized", 4, vectorize(&original)),
        ("vectorized", 8, vectorize(&original)),
        ("optimized and vectorized", 4, vectorize(&optimized)),
        ("optimized and vectorized", 8, vectorize(&optimized)),
    ];
    for (what, lanes, form) in &forms {
        let got = run_kernel(Interp::with_lanes(*lanes), form, &inputs);
        let equal = (expected.0.iter().flatten())
            .zip(got.0.iter().flatten())
            .all(|(a, b)| same(*a, *b));
        assert!(
            equal && expected.1 == got.1,
            "seed {seed}, {what}, {lanes} lanes: {got:?}, not {expected:?}\n{original}\n{form}"
        );
    }
}

#[test]
fn random_kernels_keep_their_meaning() {
    let start = Instant::now();
    let mut seed = 0;
    while seed < 100 || start.elapsed() < Duration::from_millis(1200) {
        check_seed(seed);
        seed += 1;
    }
}
