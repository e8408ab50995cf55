//! Kernels that `promote_loops` made, run over their loops, against the kernel as it was.

mod carry;

use super::*;
use kjit_ir::passes::{optimize, optimize_gufunc, promote_loops, vectorize};
use kjit_ir::{
    Access, ArrayMode, ArrayParam, DType, FunctionBuilder, Module, Opcode, Role, Trap, Type, Value,
};

/// Elements of a call.
const N: usize = 3;

/// Builds gufunc kernels of i32 over dimensions `n` and `m`.
struct Build {
    b: FunctionBuilder,
}

impl Build {
    fn new() -> Build {
        let mut b = FunctionBuilder::new("k");
        b.dim("n");
        b.dim("m");
        Build { b }
    }

    /// An array over some of the dimensions.
    fn array(&mut self, mode: ArrayMode, dims: &[u32]) -> ArrayRef {
        let name = format!("x{}", self.b.func.arrays.len());
        let param = ArrayParam::new(name, DType::I32, mode, Access::Strided);
        let dims: Vec<DimRef> = dims.iter().map(|d| DimRef(*d)).collect();
        self.b.array(param.with_core(&dims))
    }

    fn extent(&mut self, dim: u32) -> Value {
        self.b.extent(DimRef(dim))
    }

    fn int(&mut self, value: i128) -> Value {
        self.b.int(DType::I64, value)
    }

    /// `a + factor * b`
    fn plus(&mut self, a: Value, factor: i128, b: Value) -> Value {
        let factor = self.int(factor);
        let product = self.b.binary(Opcode::Mul, b, factor);
        self.b.binary(Opcode::Add, a, product)
    }

    /// `for i in low..high { body }`
    fn count(&mut self, low: Value, high: Value, body: impl FnOnce(&mut Build, Value)) {
        self.fold(low, high, None, |b, i, _| {
            body(b, i);
            None
        });
    }

    /// The same with a carried value, or without.
    fn fold(
        &mut self,
        low: Value,
        high: Value,
        carried: Option<Value>,
        body: impl FnOnce(&mut Build, Value, Option<Value>) -> Option<Value>,
    ) -> Option<Value> {
        let func = &mut self.b.func;
        let block = func.new_block();
        let counter = func.new_param(block, DType::I64.into());
        let types: Vec<Type> = carried.iter().map(|_| DType::I32.into()).collect();
        let param = carried.map(|_| func.new_param(block, DType::I32.into()));
        let outer = self.b.block();
        self.b.switch_to(block);
        let more = self.b.binary(Opcode::Lt, counter, high);
        let old: Vec<Value> = param.into_iter().collect();
        self.b
            .if_else(more, &[], |b| b.yield_(&[]), |b| b.break_(&old));
        let next = body(self, counter, param);
        let one = self.int(1);
        let step = self.b.binary(Opcode::Add, counter, one);
        let again: Vec<Value> = [step].into_iter().chain(next).collect();
        self.b.continue_(&again);
        self.b.switch_to(outer);
        let initial: Vec<Value> = [low].into_iter().chain(carried).collect();
        let imm = kjit_ir::Imm::None;
        let inst = self.b.push(Opcode::Loop, &initial, imm, &[block], &types);
        self.b.func.inst(inst).results.first().copied()
    }

    /// `for i in 0..(extent of dim) { body }`
    fn over(&mut self, dim: u32, body: impl FnOnce(&mut Build, Value)) {
        let (zero, high) = (self.int(0), self.extent(dim));
        self.count(zero, high, body);
    }

    fn finish(self) -> Function {
        let mut module = Module::default();
        let root = module.push(self.b.ret(&[]));
        optimize(&module, root)
    }
}

/// Memory in C order, element after element.
type Memory = Vec<Vec<i32>>;

/// Elements of a sub-array.
fn size(array: &ArrayParam, extents: &[usize]) -> usize {
    array.core.iter().map(|d| extents[d.index()]).product()
}

/// In which order the iterations of promoted loops run: none may matter.
#[derive(Clone, Copy, Debug)]
enum Order {
    /// Outer loops first, the loop of this number (0: of the elements) within a call.
    Along(usize),
    /// From the last to the first, each in a call of its own.
    Backwards,
}

/// Runs a kernel over elements and over its promoted loops.
fn run(kernel: &Function, memory: &mut Memory, extents: &[usize], order: Order) -> u32 {
    let code = Interp::with_lanes(1).compile(kernel);
    let code = code.unwrap_or_else(|e| panic!("{e}\n{kernel}"));
    let mut loops = vec![N];
    for promoted in &kernel.loops {
        let mut count = promoted.constant;
        for (dim, coefficient) in &promoted.dims {
            count += coefficient * extents[dim.index()] as i64;
        }
        loops.push(count.max(0) as usize);
    }
    // For each array its address, its step along each loop, and its core steps.
    let (mut bases, mut moves, mut core_steps) = (Vec::new(), Vec::new(), Vec::new());
    for (n, array) in kernel.arrays.iter().enumerate() {
        let mut own = vec![0isize; loops.len()];
        match array.role {
            Role::Iota(k) => {
                bases.push(0);
                own[1 + k as usize] = 1;
            }
            role => {
                let of = match role {
                    Role::Alias(of) => of.index(),
                    _ => n,
                };
                let mut steps = vec![4isize; array.core.len()];
                for axis in (1..array.core.len()).rev() {
                    steps[axis - 1] = steps[axis] * extents[array.core[axis].index()] as isize;
                }
                own[0] = 4 * size(array, extents) as isize;
                for (k, along) in array.along.iter().enumerate() {
                    let parts = along.iter();
                    own[1 + k] = parts.map(|(a, c)| steps[*a as usize] * *c as isize).sum();
                }
                core_steps.extend(steps);
                bases.push(memory[of].as_mut_ptr() as isize);
            }
        }
        moves.push(own);
    }
    let inner = match order {
        Order::Along(inner) => Some(inner.min(kernel.loops.len())),
        Order::Backwards => None,
    };
    let mut steps: Vec<isize> = moves.iter().map(|own| own[inner.unwrap_or(0)]).collect();
    steps.extend(&core_steps);
    let count = inner.map_or(1, |inner| loops[inner]);
    let dims: Vec<isize> = [count].iter().chain(extents).map(|d| *d as isize).collect();
    let outer: Vec<usize> = (0..loops.len()).filter(|k| Some(*k) != inner).collect();
    let rounds: usize = outer.iter().map(|k| loops[*k]).product();
    let status = KernelStatus::default();
    for round in 0..rounds {
        let mut at = bases.clone();
        let mut left = match order {
            Order::Along(_) => round,
            Order::Backwards => rounds - 1 - round,
        };
        for k in outer.iter().rev() {
            let position = (left % loops[*k]) as isize;
            left /= loops[*k];
            for (base, own) in at.iter_mut().zip(&moves) {
                *base += own[*k] * position;
            }
        }
        let args: Vec<*mut u8> = at.iter().map(|base| *base as *mut u8).collect();
        let data = (&raw const status).cast();
        // SAFETY: the extents and steps are those of the memory.
        unsafe { code.call(args.as_ptr(), dims.as_ptr(), steps.as_ptr(), data) };
    }
    status.trap.into_inner()
}

/// Checks that the promoted kernels do what the kernel does; gives the loops of each.
fn check(kernel: &Function, seed: u32) -> Vec<usize> {
    let kernels = promote_loops(kernel);
    for promoted in &kernels {
        if let Err(errors) = verify(promoted, None) {
            panic!("{errors}\n{kernel}\n{promoted}");
        }
        assert_eq!(
            promoted.arrays.len().min(kernel.arrays.len()),
            kernel.arrays.len()
        );
    }
    let mut state = seed.wrapping_mul(0x9e37_79b9) | 1;
    for extents in [[3, 4], [4, 2], [1, 3], [0, 2], [2, 0], [5, 5]] {
        let mut next = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 16) as i32 % 7
        };
        let arrays = kernel.arrays.iter().map(|array| {
            let count = N * size(array, &extents);
            // Outputs that are read start as zeros.
            (0..count)
                .map(|_| if array.mode == In { next() } else { 0 })
                .collect()
        });
        let start: Memory = arrays.collect();
        let mut expected = start.clone();
        let trap = run(kernel, &mut expected, &extents, Order::Along(0));
        let text: String = kernels.iter().map(|k| k.to_string()).collect();
        let orders = [0, 1, 2].map(Order::Along);
        for order in orders.into_iter().chain([Order::Backwards]) {
            let (mut got, mut got_trap) = (start.clone(), 0);
            for promoted in &kernels {
                let form = match order {
                    Order::Along(1) => vectorize(&optimize_gufunc(promoted.clone())),
                    Order::Along(2) => optimize_gufunc(promoted.clone()),
                    _ => promoted.clone(),
                };
                got_trap = got_trap.max(run(&form, &mut got, &extents, order));
            }
            let what = format!("seed {seed}, {extents:?}, {order:?}\n{kernel}\n{text}");
            assert_eq!(trap == 0, got_trap == 0, "{what}");
            assert_eq!(got, expected, "{what}");
        }
    }
    kernels.iter().map(|k| k.loops.len()).collect()
}

use ArrayMode::{In, InOut, Out};

#[test]
fn a_matrix_product_loses_two_loops() {
    let mut k = Build::new();
    let (a, b, out) = (
        k.array(In, &[0, 1]),
        k.array(In, &[1, 0]),
        k.array(Out, &[0, 0]),
    );
    k.over(0, |k, i| {
        k.over(0, |k, j| {
            let (zero, high, sum) = (k.int(0), k.extent(1), k.b.int(DType::I32, 0));
            let sum = k.fold(zero, high, Some(sum), |k, p, sum| {
                let (x, y) = (k.b.core_load(a, &[i, p]), k.b.core_load(b, &[p, j]));
                let product = k.b.binary(Opcode::Mul, x, y);
                Some(k.b.binary(Opcode::Add, sum?, product))
            });
            k.b.core_store(out, &[i, j], sum.unwrap());
        });
    });
    assert_eq!(check(&k.finish(), 1), [2]);
}

#[test]
fn loops_around_a_sum_go_wherever_they_stand() {
    // for p, for i, for j: out[i, j] += a[i, p] * b[p, j], in each order of the three.
    for order in [
        [0, 1, 2],
        [0, 2, 1],
        [1, 0, 2],
        [1, 2, 0],
        [2, 0, 1],
        [2, 1, 0],
    ] {
        let mut k = Build::new();
        let (a, b) = (k.array(In, &[0, 1]), k.array(In, &[1, 0]));
        let out = k.array(InOut, &[0, 0]);
        let dims = [1, 0, 0];
        k.over(dims[order[0]], |k, x| {
            k.over(dims[order[1]], |k, y| {
                k.over(dims[order[2]], |k, z| {
                    let mut counters = [x; 3];
                    for (at, counter) in order.into_iter().zip([x, y, z]) {
                        counters[at] = counter;
                    }
                    let [p, i, j] = counters;
                    let (x, y) = (k.b.core_load(a, &[i, p]), k.b.core_load(b, &[p, j]));
                    let product = k.b.binary(Opcode::Mul, x, y);
                    let old = k.b.core_load(out, &[i, j]);
                    let sum = k.b.binary(Opcode::Add, old, product);
                    k.b.core_store(out, &[i, j], sum);
                });
            });
        });
        assert_eq!(check(&k.finish(), 20), [2], "{order:?}");
    }
}

#[test]
fn an_index_of_sums_of_sums_is_not_written_out() {
    let mut k = Build::new();
    let (x, out) = (k.array(In, &[0]), k.array(Out, &[0]));
    k.over(0, |k, i| {
        // Fibonacci numbers: written out, the sums are as long as these are large.
        let (mut a, mut b) = (i, k.int(1));
        for _ in 0..60 {
            (a, b) = (b, k.b.binary(Opcode::Add, a, b));
        }
        let next = k.b.binary(Opcode::Add, a, b);
        let rest = k.b.binary(Opcode::Sub, next, b);
        let zero = k.b.binary(Opcode::Sub, rest, a);
        let value = k.b.core_load(x, &[zero]);
        k.b.core_store(out, &[i], value);
    });
    assert_eq!(check(&k.finish(), 21), [1]);
}

#[test]
fn outer_products_and_what_is_loaded_between_loops() {
    let mut k = Build::new();
    let (a, b, out) = (k.array(In, &[0]), k.array(In, &[1]), k.array(Out, &[0, 1]));
    k.over(0, |k, i| {
        let x = k.b.core_load(a, &[i]);
        k.over(1, |k, j| {
            let y = k.b.core_load(b, &[j]);
            let product = k.b.binary(Opcode::Mul, x, y);
            k.b.core_store(out, &[i, j], product);
        });
    });
    assert_eq!(check(&k.finish(), 2), [2]);
}

#[test]
fn an_input_read_two_ways_is_two_parameters() {
    // out[i, j] = x[i, j] - x[j, i]
    let mut k = Build::new();
    let (x, out) = (k.array(In, &[0, 0]), k.array(Out, &[0, 0]));
    k.over(0, |k, i| {
        k.over(0, |k, j| {
            let (a, b) = (k.b.core_load(x, &[i, j]), k.b.core_load(x, &[j, i]));
            let difference = k.b.binary(Opcode::Sub, a, b);
            k.b.core_store(out, &[i, j], difference);
        });
    });
    let kernel = k.finish();
    assert_eq!(check(&kernel, 3), [2]);
    let promoted = promote_loops(&kernel).remove(0);
    let roles: Vec<Role> = promoted.arrays.iter().map(|a| a.role).collect();
    assert_eq!(
        roles,
        [Role::Argument, Role::Argument, Role::Alias(ArrayRef(0))]
    );
}

#[test]
fn a_stencil_with_boundary_statements_becomes_three_kernels() {
    let mut k = Build::new();
    let (x, out) = (k.array(In, &[0]), k.array(Out, &[0]));
    let (zero, one, n) = (k.int(0), k.int(1), k.extent(0));
    let last = k.plus(n, -1, one);
    let some = k.b.binary(Opcode::Gt, n, zero);
    let copy = |k: &mut Build, at: Value| {
        k.b.if_else(
            some,
            &[],
            |b| {
                let value = b.core_load(x, &[at]);
                b.core_store(out, &[at], value);
                b.yield_(&[]);
            },
            |b| b.yield_(&[]),
        );
    };
    copy(&mut k, zero);
    k.count(one, last, |k, i| {
        let (before, behind) = (k.plus(i, -1, one), k.plus(i, 1, one));
        let (a, b) = (k.b.core_load(x, &[before]), k.b.core_load(x, &[behind]));
        let mut sum = k.b.binary(Opcode::Add, a, b);
        let here = k.b.core_load(x, &[i]);
        sum = k.b.binary(Opcode::Sub, sum, here);
        k.b.core_store(out, &[i], sum);
    });
    copy(&mut k, last);
    assert_eq!(check(&k.finish(), 4), [0, 1, 0]);
}

#[test]
fn a_moving_sum_keeps_its_inner_loop() {
    let mut k = Build::new();
    let (x, out) = (k.array(In, &[0]), k.array(Out, &[0]));
    k.over(0, |k, i| {
        // The sum of x[i..min(i + 2, n)].
        let (two, n, sum) = (k.int(2), k.extent(0), k.b.int(DType::I32, 0));
        let high = k.plus(i, 1, two);
        let high = k.b.binary(Opcode::Min, high, n);
        let sum = k.fold(i, high, Some(sum), |k, j, sum| {
            let value = k.b.core_load(x, &[j]);
            Some(k.b.binary(Opcode::Add, sum?, value))
        });
        k.b.core_store(out, &[i], sum.unwrap());
    });
    assert_eq!(check(&k.finish(), 5), [1]);
}

#[test]
fn counters_as_numbers_and_indices_that_are_loaded() {
    // out[m - 1 - j, 2 * i - i] = i * i + x[(i * i) % n], which needs the counters themselves
    let mut k = Build::new();
    let (x, out) = (k.array(In, &[0]), k.array(Out, &[1, 0]));
    k.over(0, |k, i| {
        k.over(1, |k, j| {
            let (m, n, one) = (k.extent(1), k.extent(0), k.int(1));
            let row = k.plus(m, -1, j);
            let row = k.plus(row, -1, one);
            let square = k.b.binary(Opcode::Mul, i, i);
            let at = k.b.binary(Opcode::Rem, square, n);
            let value = k.b.core_load(x, &[at]);
            let number = k.b.cast(square, DType::I32);
            let value = k.b.binary(Opcode::Add, value, number);
            let twice = k.plus(i, 1, i);
            let column = k.plus(twice, -1, i);
            k.b.core_store(out, &[row, column], value);
        });
    });
    assert_eq!(check(&k.finish(), 6), [2]);
}

#[test]
fn statements_that_follow_read_what_others_wrote() {
    // a: y[i] = x[i]; b: for i, for j in 0..i: z[i] += y[j]
    let mut k = Build::new();
    let (x, y, z) = (
        k.array(In, &[0]),
        k.array(InOut, &[0]),
        k.array(InOut, &[0]),
    );
    k.over(0, |k, i| {
        let value = k.b.core_load(x, &[i]);
        k.b.core_store(y, &[i], value);
    });
    k.over(0, |k, i| {
        let zero = k.int(0);
        k.count(zero, i, |k, j| {
            let (a, b) = (k.b.core_load(y, &[j]), k.b.core_load(z, &[i]));
            let sum = k.b.binary(Opcode::Add, a, b);
            k.b.core_store(z, &[i], sum);
        });
    });
    assert_eq!(check(&k.finish(), 7), [1, 1]);
}

#[test]
fn iterations_that_depend_on_each_other_stay() {
    // A running sum, kept in the output: out[i, j] += out[i, j - 1]. The rows are independent.
    let mut k = Build::new();
    let (x, out) = (k.array(In, &[0, 1]), k.array(InOut, &[0, 1]));
    k.over(0, |k, i| {
        let (one, m) = (k.int(1), k.extent(1));
        k.count(one, m, |k, j| {
            let before = k.plus(j, -1, one);
            let (a, b) = (k.b.core_load(out, &[i, before]), k.b.core_load(x, &[i, j]));
            let sum = k.b.binary(Opcode::Add, a, b);
            k.b.core_store(out, &[i, j], sum);
        });
    });
    assert_eq!(check(&k.finish(), 8), [1]);
    // All of y is written by each i: out[0, j] = x[i, j]. That loop runs inside, for each j.
    let mut k = Build::new();
    let (x, out) = (k.array(In, &[0, 1]), k.array(Out, &[0, 1]));
    k.over(0, |k, i| {
        k.over(1, |k, j| {
            let (zero, value) = (k.int(0), k.b.core_load(x, &[i, j]));
            k.b.core_store(out, &[zero, j], value);
        });
    });
    assert_eq!(check(&k.finish(), 9), [1]);
    // Two iterations meet: out[i + j]; and a transpose in place: out[j, i] = out[i, j].
    let mut k = Build::new();
    let out = k.array(InOut, &[0, 0]);
    k.over(0, |k, i| {
        k.over(0, |k, j| {
            let value = k.b.core_load(out, &[i, j]);
            let one = k.b.int(DType::I32, 1);
            let value = k.b.binary(Opcode::Add, value, one);
            k.b.core_store(out, &[j, i], value);
        });
    });
    assert_eq!(check(&k.finish(), 10), [0]);
}

#[test]
fn rows_with_two_passes_stay_rows() {
    // out[i, j] = x[i, j] - sum(x[i, ..]): the sum is not computed again for each j.
    let mut k = Build::new();
    let (x, out) = (k.array(In, &[0, 1]), k.array(Out, &[0, 1]));
    k.over(0, |k, i| {
        let (zero, m, sum) = (k.int(0), k.extent(1), k.b.int(DType::I32, 0));
        let sum = k.fold(zero, m, Some(sum), |k, j, sum| {
            let value = k.b.core_load(x, &[i, j]);
            Some(k.b.binary(Opcode::Add, sum?, value))
        });
        k.over(1, |k, j| {
            let value = k.b.core_load(x, &[i, j]);
            let value = k.b.binary(Opcode::Sub, value, sum.unwrap());
            k.b.core_store(out, &[i, j], value);
        });
    });
    assert_eq!(check(&k.finish(), 11), [1]);
}

/// A statement of a random kernel: a nest of one to three loops, in which accesses are checked.
fn random_nest(k: &mut Build, arrays: &[ArrayRef], next: &mut impl FnMut(i128) -> i128) {
    let depth = 1 + next(3);
    nested(k, arrays, next, depth, &[]);
}

fn nested(
    k: &mut Build,
    arrays: &[ArrayRef],
    next: &mut impl FnMut(i128) -> i128,
    depth: i128,
    counters: &[Value],
) {
    if depth == 0 {
        for _ in 0..1 + next(2) {
            let value = random_load(k, arrays, next, counters);
            let other = random_load(k, arrays, next, counters);
            let value = k.b.binary(Opcode::Add, value, other);
            random_store(k, arrays, next, counters, value);
        }
        return;
    }
    let dim = next(2) as u32;
    let (low, one, mut high) = (k.int(0), k.int(1), k.extent(dim));
    let low = if next(4) == 0 { one } else { low };
    if next(4) == 0 {
        high = k.plus(high, -1, one);
    }
    if next(6) == 0 {
        let _ = random_load(k, arrays, next, counters);
    }
    let mut counters = counters.to_vec();
    k.count(low, high, |k, i| {
        counters.push(i);
        if next(6) == 0 {
            let value = random_load(k, arrays, next, &counters);
            random_store(k, arrays, next, &counters, value);
        }
        nested(k, arrays, next, depth - 1, &counters);
    });
}

/// Indices into an array, rather one counter an axis, and whether they are in bounds.
fn random_index(
    k: &mut Build,
    array: ArrayRef,
    next: &mut impl FnMut(i128) -> i128,
    counters: &[Value],
) -> (Vec<Value>, Value) {
    let core = k.b.func.arrays[array.index()].core.clone();
    let mut ok = k.b.constant(Scalar::bool(true));
    let mut index = Vec::new();
    for (axis, dim) in core.iter().enumerate() {
        let mut value = match next(5) {
            0 => k.int(1),
            1 => counters[next(counters.len() as i128) as usize],
            _ => counters[axis.min(counters.len() - 1)],
        };
        match next(12) {
            0 => {
                let other = counters[next(counters.len() as i128) as usize];
                let factor = next(3) - 1;
                value = k.plus(value, factor, other);
            }
            1 => {
                let by = k.int(next(3) - 1);
                value = k.plus(value, 1, by);
            }
            2 => {
                let n = k.b.extent(*dim);
                let n = k.plus(n, -1, value);
                let one = k.int(1);
                value = k.plus(n, -1, one);
            }
            _ => {}
        }
        let (zero, n) = (k.int(0), k.b.extent(*dim));
        let low = k.b.binary(Opcode::Ge, value, zero);
        let high = k.b.binary(Opcode::Lt, value, n);
        ok = k.b.binary(Opcode::And, ok, low);
        ok = k.b.binary(Opcode::And, ok, high);
        index.push(value);
    }
    (index, ok)
}

fn random_load(
    k: &mut Build,
    arrays: &[ArrayRef],
    next: &mut impl FnMut(i128) -> i128,
    counters: &[Value],
) -> Value {
    let one = k.b.int(DType::I32, 1);
    if counters.is_empty() || next(8) == 0 {
        return match counters.last() {
            Some(counter) => k.b.cast(*counter, DType::I32),
            None => one,
        };
    }
    let array = arrays[if next(3) == 0 { next(5) } else { next(3) } as usize];
    let (index, ok) = random_index(k, array, next, counters);
    if next(12) == 0 {
        let trap = Trap {
            kind: TrapKind::LoopLimit,
            loc: Default::default(),
        };
        let trap = k.b.trap(trap);
        k.b.guard(ok, trap);
    }
    let results = k.b.if_else(
        ok,
        &[DType::I32.into()],
        |b| {
            let value = b.core_load(array, &index);
            b.yield_(&[value]);
        },
        |b| b.yield_(&[one]),
    );
    results[0]
}

fn random_store(
    k: &mut Build,
    arrays: &[ArrayRef],
    next: &mut impl FnMut(i128) -> i128,
    counters: &[Value],
    value: Value,
) {
    let array = arrays[3 + next(2) as usize];
    let (index, ok) = random_index(k, array, next, counters);
    k.b.if_else(
        ok,
        &[],
        |b| {
            b.core_store(array, &index, value);
            b.yield_(&[]);
        },
        |b| b.yield_(&[]),
    );
}

/// Random numbers below a bound (Marsaglia, *Xorshift RNGs*, 2003).
fn numbers(seed: u32) -> impl FnMut(i128) -> i128 {
    let mut state = u64::from(seed) << 20 | 0x9e37_79b9;
    move |below| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        i128::from(state >> 16) % below
    }
}

#[test]
fn random_nests_keep_their_meaning() {
    let (mut promoted, mut stayed) = (0, 0);
    for seed in 1..=250u32 {
        let mut next = numbers(seed);
        let mut k = Build::new();
        let shapes: [&[u32]; 4] = [&[0], &[1], &[0, 1], &[0, 0]];
        let mut arrays = Vec::new();
        for n in 0..5 {
            let mode = if n < 3 { In } else { InOut };
            arrays.push(k.array(mode, shapes[next(4) as usize]));
        }
        for _ in 0..1 + next(3) {
            random_nest(&mut k, &arrays, &mut next);
        }
        for loops in check(&k.finish(), seed) {
            if loops > 0 {
                promoted += 1;
            } else {
                stayed += 1;
            }
        }
    }
    assert!(
        promoted > 50 && stayed > 50,
        "{promoted} promoted, {stayed} stayed"
    );
}
