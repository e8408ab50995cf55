//! `outer`: a ufunc of every pair.

use crate::ufunc::Arg;
use crate::{Array, Engine, Result, RuntimeError, Ufunc};

impl Ufunc {
    /// Applies a ufunc to every pair of an element of `a` and one of `b`: the result has the axes of `a`,
    /// then those of `b`.
    ///
    /// ```
    /// use kjit_runtime::{Array, Engine, EngineOptions, Program, Ufunc};
    /// # use std::sync::Arc;
    /// let source = kjit_driver::Source::new("m.k", "ufunc mul<T: number>(a: T, b: T) -> T { a * b }");
    /// let program = Arc::new(Program::compile(source).unwrap());
    /// let engine = Engine::new(EngineOptions::default())?;
    /// let mul = Ufunc::new(&program, "mul")?;
    /// let a = Array::from_vec(vec![1i32, 2], &[2])?;
    /// let b = Array::from_vec(vec![3i32, 4, 5], &[3])?;
    /// let table = &mul.outer(&engine, &(&a).into(), &(&b).into())?[0];
    /// assert_eq!(table.to_vec::<i32>()?, [3, 4, 5, 6, 8, 10]);
    /// # Ok::<(), kjit_runtime::RuntimeError>(())
    /// ```
    ///
    /// # Errors
    /// The ufunc does not take two arguments, and what a call may report.
    pub fn outer(&self, engine: &Engine, a: &Arg, b: &Arg) -> Result<Vec<Array>> {
        if self.nin() != 2 || self.signature().core.is_some() {
            return Err(RuntimeError::value(format!(
                "{}.outer is only for ufuncs with two inputs, and {} has {}",
                self.name(),
                self.name(),
                self.nin()
            ))
            .help("call it on arrays that broadcast instead"));
        }
        let more = match b {
            Arg::Array(b) => b.ndim(),
            _ => 0,
        };
        let a = match a {
            Arg::Array(a) if more > 0 => {
                let mut shape = a.shape().to_vec();
                let mut strides = a.strides().to_vec();
                shape.resize(a.ndim() + more, 1);
                strides.resize(a.ndim() + more, 0);
                let (storage, offset) = (a.storage().clone(), a.offset());
                Arg::Array(Array::from_storage(
                    storage,
                    a.dtype(),
                    &shape,
                    &strides,
                    offset,
                )?)
            }
            other => other.clone(),
        };
        self.call(engine, &[a, b.clone()])
    }
}
