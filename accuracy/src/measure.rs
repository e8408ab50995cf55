//! Measures a function: kjit's vector code against the references, on every core.

use crate::exact;
use crate::inputs::{CHUNK, Inputs, fill};
use crate::table::Function;
use kjit::{Array, DType, Engine, EngineOptions, KernelSpec, Program, Source};
use std::ffi::{CString, c_char, c_int};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

/// Chunks are taken in steps of so many; a prime.
const STEP: u64 = 7919;

/// A number of 80 bits, as C holds it.
#[derive(Clone, Copy, Default)]
#[repr(C, align(16))]
struct Wide([u8; 16]);

unsafe extern "C" {
    fn reference_row(name: *const c_char) -> c_int;
    fn reference_kind(row: c_int, narrow: c_int) -> c_int;
    fn reference_values(
        row: c_int,
        x: *const f64,
        y: *const f64,
        guess: *const f64,
        value: *mut Wide,
        term: *mut Wide,
        off: *mut Wide,
        n: usize,
    );
    fn reference_errors(
        bits: c_int,
        got: *const f64,
        value: *const Wide,
        term: *const Wide,
        off: *const Wide,
        error: *mut f64,
        doubt: *mut f64,
        n: usize,
    );
    fn narrow_errors(
        row: c_int,
        x: *const f64,
        y: *const f64,
        value: *mut f64,
        got: *const *const f64,
        error: *const *mut f64,
        grades: usize,
        n: usize,
    ) -> f64;
}

/// A result, and where.
#[derive(Clone, Copy, Debug, Default)]
pub struct Place {
    pub error: f64,
    pub x: f64,
    pub y: f64,
    pub got: f64,
}

/// What was found in one grade.
#[derive(Clone, Copy, Debug, Default)]
pub struct Found {
    /// The largest error.
    pub worst: Place,
    /// How many errors are above the bound; from fast references once they are many.
    pub above: u64,
    /// Special values that are wrong, and the first.
    pub wrong: u64,
    pub first_wrong: Option<Place>,
    /// Values that MPFR was asked for.
    pub asked: u64,
}

/// Runs one function in one grade.
struct Kernel {
    engine: Engine,
    program: Program,
    spec: KernelSpec,
}

impl Kernel {
    fn new(function: &Function, double: bool, fast: bool) -> Result<Kernel, String> {
        let t = if double { "f64" } else { "f32" };
        let (params, args) = match function.arguments {
            1 => (format!("x: {t}"), "x"),
            _ => (format!("x: {t}, y: {t}"), "x, y"),
        };
        let text = format!("ufunc f({params}) -> {t} {{ {}({args}) }}", function.name);
        let source = Source::new("accuracy.k", text);
        let program = Program::compile(source.clone())
            .map_err(|list| kjit::render_diagnostics(&list, &source, false))?;
        let options = EngineOptions {
            fast,
            ..EngineOptions::default()
        };
        let engine = Engine::new(options).map_err(|e| e.to_string())?;
        let spec = KernelSpec::Ufunc {
            name: "f".into(),
            generics: vec![],
            masked: false,
        };
        Ok(Kernel {
            engine,
            program,
            spec,
        })
    }

    fn run(
        &self,
        x: &[f64],
        y: Option<&[f64]>,
        double: bool,
        out: &mut Vec<f64>,
    ) -> Result<(), String> {
        let n = x.len();
        let array = |v: &[f64]| match double {
            true => Array::from_vec(v.to_vec(), &[n]),
            false => Array::from_vec(v.iter().map(|x| *x as f32).collect(), &[n]),
        };
        let inputs: Result<Vec<Array>, _> = [Some(x), y].into_iter().flatten().map(array).collect();
        let dtype = if double { DType::F64 } else { DType::F32 };
        let outs = inputs.and_then(|inputs| {
            self.engine
                .elementwise(&self.program, &self.spec, &inputs, &[n], &[dtype])
        });
        let outs = outs.map_err(|e| e.to_string())?;
        out.clear();
        match double {
            true => out.extend_from_slice(outs[0].as_slice::<f64>().unwrap_or(&[])),
            false => out.extend(
                outs[0]
                    .as_slice::<f32>()
                    .unwrap_or(&[])
                    .iter()
                    .map(|x| f64::from(*x)),
            ),
        }
        Ok(())
    }
}

/// Buffers of a thread.
#[derive(Default)]
struct Work {
    x: Vec<f64>,
    y: Vec<f64>,
    got: [Vec<f64>; 2],
    narrow: Vec<f64>,
    value: Vec<Wide>,
    term: Vec<Wide>,
    off: Vec<Wide>,
    error: [Vec<f64>; 2],
    doubt: [Vec<f64>; 2],
}

/// What the threads share.
struct Shared<'a> {
    function: &'a Function,
    double: bool,
    inputs: Inputs,
    kernels: [Kernel; 2],
    row: c_int,
    next: AtomicU64,
    /// Bits of the largest errors so far: those of positive floats are in order.
    largest: [AtomicU64; 2],
}

/// Is the fast reference of a function in this dtype one of f64, if it has one?
fn is_narrow(function: &Function, double: bool) -> bool {
    !double && !function.sum
}

/// What the fast references of a function are, in words.
pub fn reference(function: &Function, double: bool) -> &'static str {
    let Ok(name) = CString::new(function.name) else {
        return "";
    };
    // SAFETY: a C string that lives until the calls return; the row is checked before it is used.
    let kind = unsafe {
        match reference_row(name.as_ptr()) {
            -1 => return "",
            row => reference_kind(row, c_int::from(is_narrow(function, double))),
        }
    };
    ["glibc f64", "glibc 80 bits", "own f64", "own 80 bits"][kind as usize]
}

/// Default and fast grade of a function in one dtype.
///
/// # Errors
/// When kjit refuses the function, when there is no reference for it, or when the references differ by more than they say.
pub fn measure(function: &Function, double: bool, inputs: Inputs) -> Result<[Found; 2], String> {
    let name = CString::new(function.name).map_err(|e| e.to_string())?;
    // SAFETY: a C string that lives until the call returns.
    let row = unsafe { reference_row(name.as_ptr()) };
    if row < 0 || exact::exact(function.name, 0.5, 0.5, 0.5).is_none() {
        return Err(format!(
            "no reference for {}: add it to wide.c and exact.rs",
            function.name
        ));
    }
    let shared = Shared {
        function,
        double,
        inputs,
        kernels: [
            Kernel::new(function, double, false)?,
            Kernel::new(function, double, true)?,
        ],
        row,
        next: AtomicU64::new(0),
        largest: Default::default(),
    };
    let total = Mutex::new([Found::default(); 2]);
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let results: Vec<Result<(), String>> = std::thread::scope(|scope| {
        let run = || {
            let found = shared.work()?;
            let mut total = total.lock().map_err(|e| e.to_string())?;
            for (sum, part) in total.iter_mut().zip(found) {
                sum.add(part);
            }
            Ok(())
        };
        let handles: Vec<_> = (0..threads).map(|_| scope.spawn(run)).collect();
        let join = |h: std::thread::ScopedJoinHandle<'_, Result<(), String>>| {
            h.join().unwrap_or_else(|_| Err("a thread panicked".into()))
        };
        handles.into_iter().map(join).collect()
    });
    results.into_iter().collect::<Result<Vec<()>, String>>()?;
    total.into_inner().map_err(|e| e.to_string())
}

impl Found {
    fn add(&mut self, other: Found) {
        if other.worst.error > self.worst.error {
            self.worst = other.worst;
        }
        self.above += other.above;
        self.wrong += other.wrong;
        self.asked += other.asked;
        self.first_wrong = self.first_wrong.or(other.first_wrong);
    }
}

impl Shared<'_> {
    fn work(&self) -> Result<[Found; 2], String> {
        let mut found = [Found::default(); 2];
        let mut work = Work::default();
        loop {
            // Not in order of size, so that errors near the largest are met early.
            let chunks = self.inputs.chunks();
            let chunk = match self.next.fetch_add(1, Ordering::Relaxed) {
                n if n >= chunks => return Ok(found),
                n if chunks.is_multiple_of(STEP) => n,
                n => n * STEP % chunks,
            };
            fill(
                self.function,
                self.double,
                self.inputs,
                chunk,
                &mut work.x,
                &mut work.y,
            );
            if work.x.is_empty() {
                continue;
            }
            self.references(&mut work)?;
            for fast in [false, true] {
                self.judge(&work, chunk, fast, &mut found[usize::from(fast)])?;
            }
        }
    }

    /// Results of both grades, and their errors by the fast references.
    fn references(&self, work: &mut Work) -> Result<(), String> {
        let Work { x, y, got, .. } = work;
        let second = (self.function.arguments == 2).then_some(&y[..]);
        for (kernel, out) in self.kernels.iter().zip(got.iter_mut()) {
            kernel.run(x, second, self.double, out)?;
            assert_eq!(out.len(), x.len());
        }
        assert!(x.len() <= CHUNK && y.len() == x.len());
        let lists = [&mut work.narrow]
            .into_iter()
            .chain(&mut work.error)
            .chain(&mut work.doubt);
        lists.for_each(|list| list.resize(CHUNK, 0.0));
        // SAFETY: row is one that C gave.
        let kind =
            unsafe { reference_kind(self.row, c_int::from(is_narrow(self.function, self.double))) };
        if kind % 2 == 0 {
            self.narrow(work);
        } else {
            self.wide(work);
        }
        Ok(())
    }

    fn narrow(&self, work: &mut Work) {
        let Work {
            x,
            y,
            got,
            narrow,
            error,
            doubt,
            ..
        } = work;
        let got = [got[0].as_ptr(), got[1].as_ptr()];
        let [first, second] = error;
        let errors = [first.as_mut_ptr(), second.as_mut_ptr()];
        // SAFETY: all buffers have room for as many numbers as x has, which is at most CHUNK; the row has a reference of f64.
        let off = unsafe {
            narrow_errors(
                self.row,
                x.as_ptr(),
                y.as_ptr(),
                narrow.as_mut_ptr(),
                got.as_ptr(),
                errors.as_ptr(),
                got.len(),
                x.len(),
            )
        };
        doubt.iter_mut().for_each(|list| list.fill(off));
    }

    fn wide(&self, work: &mut Work) {
        let Work {
            x,
            y,
            got,
            value,
            term,
            off,
            error,
            doubt,
            ..
        } = work;
        value.resize(CHUNK, Wide::default());
        term.resize(CHUNK, Wide::default());
        off.resize(CHUNK, Wide::default());
        // SAFETY: all buffers have room for as many numbers as x has, which is at most CHUNK; row is one that C gave.
        unsafe {
            reference_values(
                self.row,
                x.as_ptr(),
                y.as_ptr(),
                got[0].as_ptr(),
                value.as_mut_ptr(),
                if self.function.sum {
                    term.as_mut_ptr()
                } else {
                    std::ptr::null_mut()
                },
                off.as_mut_ptr(),
                x.len(),
            );
            for ((got, error), doubt) in got.iter().zip(error).zip(doubt) {
                reference_errors(
                    if self.double { 64 } else { 32 },
                    got.as_ptr(),
                    value.as_ptr(),
                    if self.function.sum {
                        term.as_ptr()
                    } else {
                        std::ptr::null()
                    },
                    off.as_ptr(),
                    error.as_mut_ptr(),
                    doubt.as_mut_ptr(),
                    x.len(),
                );
            }
        }
    }

    /// The errors of one grade: by the fast references, and by MPFR where these could be wrong about the largest.
    fn judge(&self, work: &Work, chunk: u64, fast: bool, found: &mut Found) -> Result<(), String> {
        let Work { x, y, .. } = work;
        let grade = usize::from(fast);
        let (got, error, doubt) = (&work.got[grade], &work.error[grade], &work.doubt[grade]);
        let n = x.len();
        let place = |i: usize, error: f64| Place {
            error,
            x: x[i],
            y: y[i],
            got: got[i],
        };
        let exact = |i: usize, guess: f64| -> f64 {
            let name = self.function.name;
            let term = (self.function.sum).then(|| exact::largest_term(name, x[i], y[i]));
            match exact::exact(name, x[i], y[i], guess) {
                Some(want) => exact::error(got[i], &want, term.as_ref(), self.double),
                None => f64::INFINITY,
            }
        };
        let largest = &self.largest[usize::from(fast)];
        let bound = self.function.bound(self.double, fast);
        // A fast reference that claims too much would hide errors: some of each sample are checked.
        if chunk < 2 && !fast {
            for i in (0..n).step_by(61) {
                if !error[i].is_finite() || !got[i].is_finite() || error[i] > 1e6 {
                    continue;
                }
                let right = exact(i, got[i]);
                // Where the value may be on either side of a power of two, a fast reference takes the larger ulp or the smaller.
                let differ = |ulp: f64| (right - error[i] * ulp).abs() > doubt[i] + 1e-9;
                if differ(1.0) && differ(0.5) {
                    return Err(format!(
                        "references of {} differ: {} ulp, not {right}, at {:?}",
                        self.function.name,
                        error[i],
                        place(i, error[i])
                    ));
                }
            }
        }
        // Errors below a tenth are not worth the question.
        let sure = |i: usize| {
            if error[i].is_finite() {
                error[i] - doubt[i]
            } else {
                0.0
            }
        };
        let floor = (0..n).map(sure).fold(0.1, f64::max);
        let floor = floor.max(f64::from_bits(largest.load(Ordering::Relaxed)));
        let ceiling = floor.min(bound);
        for i in 0..n {
            if error[i] + doubt[i] < ceiling {
                continue;
            }
            if error[i] == f64::INFINITY {
                found.wrong += 1;
                found.first_wrong.get_or_insert(place(i, error[i]));
                continue;
            }
            let large = error[i] + doubt[i] > bound;
            if !large && (error[i] + doubt[i] < floor || error[i] + doubt[i] <= found.worst.error) {
                continue;
            }
            // Once many are above the bound, no more questions.
            let right = match found.above > 1000 {
                true => error[i],
                false => {
                    found.asked += 1;
                    exact(i, got[i])
                }
            };
            found.above += u64::from(right > bound);
            if right > found.worst.error {
                found.worst = place(i, right);
                largest.fetch_max(right.to_bits(), Ordering::Relaxed);
            }
        }
        Ok(())
    }
}
