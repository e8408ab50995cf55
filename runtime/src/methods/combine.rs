//! What combines two elements: the compiled loop of a ufunc, or hand-written loops for plain operations.

use super::native;
use crate::cache::Kernel;
use crate::dtype::cast::copy_block;
use crate::engine::Engine;
use crate::launch::has_flags;
use crate::nest::Few;
use crate::tree::{LANES, LEAF};
use crate::{Result, RuntimeError};
use kjit_driver::CpuCode;
use kjit_ir::abi::KernelStatus;
use kjit_ir::target::CompiledKernel;
use kjit_ir::{Access, DType, Function, Imm, Opcode, Part, Role};
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

/// A run of elements: the first one's address, and bytes between neighbours.
pub(super) type Run = (*const u8, isize);
/// A run that is written.
pub(super) type RunMut = (*mut u8, isize);

/// Columns of `len` contiguous elements, at least one; bytes from one to the next.
#[derive(Clone, Copy)]
pub(super) struct Column {
    pub first: *const u8,
    pub len: usize,
    pub step: isize,
}

/// Combines elements of one dtype with a function of two of them. All runs are aligned to the element size.
pub(super) trait Combine: Sync + Send {
    /// `to[i] = f(a[i], b[i])` for `n` contiguous elements; `to` may be `a` or `b`.
    ///
    /// # Safety
    /// The runs have `n` elements and overlap only as said.
    unsafe fn rows(&self, a: *const u8, b: *const u8, to: *mut u8, n: usize) -> Result<()>;

    /// `*acc = f(*acc, x[i])` from left to right.
    ///
    /// # Safety
    /// `x` has `n` elements, and `acc` is not among them.
    unsafe fn fold(&self, acc: *mut u8, x: Run, n: usize) -> Result<()>;

    /// `to[i + 1] = f(to[i], x[i])` from left to right.
    ///
    /// # Safety
    /// `x` has `n` elements, `to` one more; `x[i]` may be `to[i + 1]`, otherwise they do not overlap.
    unsafe fn scan(&self, x: Run, to: RunMut, n: usize) -> Result<()>;

    /// A leaf of the tree: `1 <= n <= LEAF` contiguous elements become one.
    ///
    /// # Safety
    /// `x` has `n` elements, and `to` is not among them.
    unsafe fn leaf(&self, x: *const u8, n: usize, to: *mut u8) -> Result<()>;

    /// The tree of each of `count` columns, whose elements follow each other in memory and are of a dtype, if
    /// there are loops for that.
    ///
    /// # Safety
    /// There are that many elements, aligned, and as much room at `to`, which overlaps none of them.
    unsafe fn subtrees(&self, _from: DType, _x: Column, _count: usize, _to: *mut u8) -> bool {
        false
    }

    /// The tree of each slice of contiguous elements of a dtype; none is empty. If there are loops for that.
    ///
    /// # Safety
    /// The slices are of elements behind the first, aligned, and `to` has room for a result each, away from them.
    unsafe fn slices(
        &self,
        _from: DType,
        _first: *const u8,
        _slices: &[Range<usize>],
        _to: *mut u8,
    ) -> bool {
        false
    }

    /// The tree of each of `n` neighbouring columns: rows of `n` elements lie at the step of `x`. If there
    /// are loops for so many rows.
    ///
    /// # Safety
    /// `x` has as many rows, at least one, and `to` room for one; `memory` has room for [`LANES`]. None overlap.
    unsafe fn across(
        &self,
        _x: Run,
        _rows: usize,
        _memory: *mut u8,
        _to: *mut u8,
        _n: usize,
    ) -> bool {
        false
    }

    /// `to[i] = f(to[i], x[n])` for the `n`-th of the positions `i`, in order, if it has a loop for that.
    ///
    /// # Safety
    /// Positions are inside of `to`, and `x` has as many elements as there are positions.
    unsafe fn scatter(&self, to: RunMut, positions: &[usize], x: Run) -> bool;

    /// `a[i] = f(a[i], b[i])` where both are present, `b[i]` where only that is; then `a[i]` is present
    /// where either was. Presence is a byte, 0 or 1. Does nothing and says so if it has no loop for that.
    ///
    /// # Safety
    /// All have `n` elements, and nothing overlaps.
    unsafe fn join(&self, a: RowMut, b: RowMut, n: usize) -> bool;

    /// The status flags raised since this was last asked; none unless the kernel has them.
    fn take_flags(&self) -> u8 {
        0
    }

    /// Rough time to combine two elements, in nanoseconds.
    fn ns(&self) -> f64;
}

/// Elements, and one byte each that tells whether it is present.
#[derive(Clone, Copy)]
pub(super) struct RowMut {
    pub values: *mut u8,
    pub present: *mut u8,
}

/// The combination of a ufunc's loop whose three dtypes are `dtype`.
pub(super) fn of_kernel(
    engine: &Engine,
    kernel: &Arc<Kernel>,
    dtype: DType,
) -> Result<Box<dyn Combine>> {
    if let Some(fault) = &kernel.fault {
        return Err(RuntimeError::value(fault));
    }
    if engine.code() != CpuCode::Interp
        && let Some(op) = plain_operation(&kernel.function)
        && let Some(native) = native::combine(op, dtype)
    {
        return Ok(native);
    }
    Ok(Box::new(Compiled::new(engine, kernel, dtype)?))
}

/// The operation, if all that a kernel does is to store it of its two inputs, and the order in which a
/// reduction applies it makes no difference but of rounding.
pub(crate) fn plain_operation(function: &Function) -> Option<Opcode> {
    let insts = &function.block(function.entry).insts;
    let [a, b, op, store, ret] = insts.as_slice() else {
        return None;
    };
    let [a, b, op, store, ret] = [a, b, op, store, ret].map(|i| function.inst(*i));
    let loads = a.op == Opcode::Load && b.op == Opcode::Load && a.imm != b.imm;
    let plain = matches!(
        op.op,
        Opcode::Add
            | Opcode::Mul
            | Opcode::Min
            | Opcode::Max
            | Opcode::FMin
            | Opcode::FMax
            | Opcode::And
            | Opcode::Or
            | Opcode::Xor
    );
    let (x, y) = (*a.results.first()?, *b.results.first()?);
    let of_both = op.args.as_slice() == [x, y] || op.args.as_slice() == [y, x];
    let whole = function.arrays.len() == 3;
    let stored = store.op == Opcode::Store
        && matches!(store.imm, Imm::Array(n) if n.index() == 2)
        && store.args.first() == op.results.first();
    (loads && plain && of_both && whole && stored && ret.op == Opcode::Return).then_some(op.op)
}

/// Elements whose status flags are gathered at a time.
const FLAG_BLOCK: usize = 1024;

/// The code of a kernel with two inputs and one output of one dtype.
struct Compiled {
    kernel: Arc<Kernel>,
    size: usize,
    /// The status flags raised, if the kernel has an output of them: its fourth argument.
    raised: Option<AtomicU8>,
    /// Bytes from an argument to the part that each array parameter is, and which argument it belongs to.
    params: Few<(usize, usize)>,
    /// Code for contiguous elements, and how many it takes at a time.
    vector: Option<(CpuCode, usize)>,
    scalar: CpuCode,
    stats: crate::stats::SharedStats,
    ns: f64,
}

impl Compiled {
    fn new(engine: &Engine, kernel: &Arc<Kernel>, dtype: DType) -> Result<Compiled> {
        let mut params: Few<(usize, usize)> = Few::new();
        let mut argument = 0;
        let has_flags = has_flags(kernel);
        for array in &kernel.function.arrays {
            if !matches!(array.role, Role::Argument | Role::Fpe) {
                return Err(RuntimeError::internal(format!(
                    "bug in kjit: {} is no plain loop",
                    kernel.function.name
                )));
            }
            if array.part == Part::Im {
                params.push((argument - 1, dtype.size() / 2));
            } else {
                params.push((argument, 0));
                argument += 1;
            }
        }
        if argument != 3 + has_flags as usize {
            return Err(RuntimeError::internal(format!(
                "bug in kjit: {} is not binary",
                kernel.function.name
            )));
        }
        let scalar = match engine.code() {
            CpuCode::Interp => CpuCode::Interp,
            _ => CpuCode::Scalar,
        };
        let mut combine = Compiled {
            kernel: kernel.clone(),
            size: dtype.size(),
            raised: has_flags.then(AtomicU8::default),
            params,
            vector: None,
            scalar,
            stats: Default::default(),
            ns: engine.ns_per_element(kernel),
        };
        // Parts of complex numbers are two elements apart: such kernels run as scalar code.
        let vector = engine.code();
        if matches!(vector, CpuCode::Vector(_)) && combine.params.len() == argument {
            let lanes = combine.code(Access::Contiguous, vector)?.lanes();
            combine.vector = Some((vector, lanes.max(1)));
        }
        combine.code(Access::Strided, scalar)?;
        engine.stats.add(&combine.stats.get());
        Ok(combine)
    }

    fn code(&self, access: Access, code: CpuCode) -> Result<&dyn CompiledKernel> {
        let access: Few<Access> = self.params.iter().map(|_| access).collect();
        self.kernel.code(&access, code, &self.stats)
    }

    /// Runs code for `n` elements, one after the other if it is scalar code, and gathers their status flags.
    ///
    /// # Safety
    /// The arguments have `n` elements at these steps; vector code gets a multiple of its lanes, and
    /// contiguous elements that overlap only element upon same element.
    unsafe fn run(&self, code: &dyn CompiledKernel, args: [RunMut; 3], n: usize) -> Result<()> {
        let Some(raised) = &self.raised else {
            // SAFETY: passed on.
            return unsafe { self.call(code, &args, n) };
        };
        let mut flags = [0; FLAG_BLOCK];
        let mut all = 0;
        for done in (0..n).step_by(FLAG_BLOCK) {
            let count = FLAG_BLOCK.min(n - done);
            let [a, b, to] =
                args.map(|(at, step)| (at.wrapping_offset(done as isize * step), step));
            // SAFETY: the caller's promise for some of the elements, and a byte for each of them.
            unsafe { self.call(code, &[a, b, to, (flags.as_mut_ptr(), 1)], count)? };
            all = flags[..count].iter().fold(all, |all, flag| all | flag);
        }
        raised.fetch_or(all, Ordering::Relaxed);
        Ok(())
    }

    /// # Safety
    /// As [`Compiled::run`].
    unsafe fn call(&self, code: &dyn CompiledKernel, args: &[RunMut], n: usize) -> Result<()> {
        let status = KernelStatus::default();
        let dims = n as isize;
        let data = std::ptr::from_ref(&status).cast::<u8>();
        // Scalar code loads and stores element by element, so that one element may read what the one
        // before has written.
        if let ([a, b, to], 3) = (args, self.params.len()) {
            let args = [a, b, to];
            let (pointers, steps) = (args.map(|a| a.0), args.map(|a| a.1));
            // SAFETY: the caller's promise.
            unsafe { code.call(pointers.as_ptr(), &dims, steps.as_ptr(), data) };
        } else {
            let pointers: Few<*mut u8> = (self.params.iter())
                .map(|(argument, offset)| args[*argument].0.wrapping_add(*offset))
                .collect();
            let steps: Few<isize> = self.params.iter().map(|(a, _)| args[*a].1).collect();
            // SAFETY: the caller's promise.
            unsafe { code.call(pointers.as_ptr(), &dims, steps.as_ptr(), data) };
        }
        match status.trap.load(Ordering::Relaxed) as usize {
            0 => Ok(()),
            trap => Err(match self.kernel.function.traps.get(trap - 1) {
                Some(trap) => RuntimeError::trap(trap),
                None => RuntimeError::internal("bug in kjit: a kernel reported an unknown check"),
            }),
        }
    }
}

impl Combine for Compiled {
    unsafe fn rows(&self, a: *const u8, b: *const u8, to: *mut u8, n: usize) -> Result<()> {
        let size = self.size;
        let step = size as isize;
        let mut done = 0;
        if let Some((code, lanes)) = self.vector
            && n >= lanes
        {
            done = n / lanes * lanes;
            let code = self.code(Access::Contiguous, code)?;
            let args = [(a.cast_mut(), step), (b.cast_mut(), step), (to, step)];
            // SAFETY: the caller's promise; whole vectors.
            unsafe { self.run(code, args, done)? };
        }
        if done == n {
            return Ok(());
        }
        let code = self.code(Access::Strided, self.scalar)?;
        let at = done * size;
        let args = [
            (a.wrapping_add(at).cast_mut(), step),
            (b.wrapping_add(at).cast_mut(), step),
            (to.wrapping_add(at), step),
        ];
        // SAFETY: the caller's promise, for the rest.
        unsafe { self.run(code, args, n - done) }
    }

    unsafe fn fold(&self, acc: *mut u8, x: Run, n: usize) -> Result<()> {
        let code = self.code(Access::Strided, self.scalar)?;
        // SAFETY: the caller's promise; the accumulator stays where it is.
        unsafe { self.run(code, [(acc, 0), (x.0.cast_mut(), x.1), (acc, 0)], n) }
    }

    unsafe fn scan(&self, x: Run, to: RunMut, n: usize) -> Result<()> {
        let code = self.code(Access::Strided, self.scalar)?;
        let next = to.0.wrapping_offset(to.1);
        // SAFETY: the caller's promise; each element reads what the one before wrote.
        unsafe { self.run(code, [to, (x.0.cast_mut(), x.1), (next, to.1)], n) }
    }

    unsafe fn leaf(&self, x: *const u8, n: usize, to: *mut u8) -> Result<()> {
        #[repr(align(64))]
        struct Lanes([u8; 16 * LANES]);
        debug_assert!((1..=LEAF).contains(&n), "a leaf");
        let size = self.size;
        let mut memory = Lanes([0; 16 * LANES]);
        let lanes = memory.0.as_mut_ptr();
        let present = n.min(LANES);
        let step = size as isize;
        // SAFETY: lanes are `present <= 16` elements of at most 16 bytes; rows of `x` are inside of it;
        // the upper lanes do not overlap the lower ones.
        unsafe {
            copy_block(size, (x, step), (lanes, step), present);
            // The code of whole rows is looked up once.
            let whole = match self.vector {
                Some((code, lanes)) if LANES.is_multiple_of(lanes) => {
                    Some(self.code(Access::Contiguous, code)?)
                }
                _ => None,
            };
            for row in (present..n).step_by(LANES) {
                let (count, x) = (LANES.min(n - row), x.add(row * size));
                match whole {
                    Some(code) if count == LANES => {
                        let args = [(lanes, step), (x.cast_mut(), step), (lanes, step)];
                        self.run(code, args, LANES)?;
                    }
                    _ => self.rows(lanes, x, lanes, count)?,
                }
            }
            for w in [8, 4, 2, 1] {
                let count = present.saturating_sub(w).min(w);
                if count > 0 {
                    self.rows(lanes, lanes.add(w * size), lanes, count)?;
                }
            }
            copy_block(size, (lanes, step), (to, step), 1);
        }
        Ok(())
    }

    unsafe fn scatter(&self, _: RunMut, _: &[usize], _: Run) -> bool {
        false
    }

    unsafe fn join(&self, _: RowMut, _: RowMut, _: usize) -> bool {
        false
    }

    fn take_flags(&self) -> u8 {
        (self.raised.as_ref()).map_or(0, |raised| raised.swap(0, Ordering::Relaxed))
    }

    fn ns(&self) -> f64 {
        self.ns
    }
}
