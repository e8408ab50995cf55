//! Options of `kjit call` that say how: methods, axes, masks, dtypes.

use crate::call::parse_arg;
use crate::emit::parse_dtype;
use crate::report::Failure;
use clap::ValueEnum;
use kjit::{Arg, Array, Axis, Casting, Engine, Program, Reduce, Ufunc, UfuncMethod};

/// How to call.
#[derive(clap::Args, Debug)]
pub struct CallOptions {
    /// A method of the ufunc instead of a call
    #[arg(long, value_enum)]
    method: Option<MethodArg>,
    /// Along which axis or axes: 0, -1, 0,2 or none (all)
    #[arg(long, allow_hyphen_values = true)]
    axis: Option<String>,
    /// Keep reduced axes with the extent 1
    #[arg(long)]
    keepdims: bool,
    /// What reduce starts from
    #[arg(long, value_name = "ARG", allow_hyphen_values = true)]
    initial: Option<String>,
    /// A mask of bools: compute only where it is true
    #[arg(long = "where", value_name = "ARG")]
    mask: Option<String>,
    /// The dtype to compute in
    #[arg(long)]
    dtype: Option<String>,
    /// Which casts are permitted
    #[arg(long, value_enum)]
    casting: Option<CastingArg>,
    /// The types of inputs and outputs: ff->f or f32,f32->f32
    #[arg(long, value_name = "TYPES", conflicts_with = "dtype")]
    signature: Option<String>,
    /// The extent of a core dimension that only outputs have
    #[arg(long = "dim", value_name = "NAME=N", value_parser = parse_dim)]
    dims: Vec<(String, usize)>,
}

/// `--method`
#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
enum MethodArg {
    /// Elements along axes become one
    Reduce,
    /// The results so far, along an axis
    Accumulate,
    /// Reductions of ranges that an array of indices gives
    Reduceat,
    /// Every pair of elements
    Outer,
    /// Changes elements at indices, duplicates in order
    At,
}

/// `--casting`
#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
#[value(rename_all = "snake_case")]
enum CastingArg {
    /// None
    No,
    /// Of byte order alone
    Equiv,
    /// Those that keep every value
    Safe,
    /// Those within a kind of number, too
    SameKind,
    /// All
    Unsafe,
}

fn parse_dim(text: &str) -> Result<(String, usize), String> {
    let (name, extent) = text
        .split_once('=')
        .ok_or("expected NAME=N, such as p=10")?;
    let extent = extent.trim().parse().map_err(|_| "N is a whole number")?;
    Ok((name.trim().to_string(), extent))
}

impl CallOptions {
    /// The call, or method, as asked for.
    pub fn run(
        &self,
        ufunc: &Ufunc,
        engine: &Engine,
        program: &Program,
        args: &[Arg],
        fail: &dyn Fn(kjit::RuntimeError) -> Failure,
    ) -> Result<Vec<Array>, Failure> {
        let arg = |text: &String| parse_arg(text, engine, program);
        let mask = self.mask.as_ref().map(arg).transpose()?;
        let mask = mask.map(|m| array(&m, "--where")).transpose()?;
        let dtype = self.dtype.as_deref().map(parse_dtype).transpose()?;
        let axis = self.axis.as_deref().map(parse_axis).transpose()?;
        let Some(method) = self.method else {
            if self.initial.is_some() {
                return Err(not_taken("a call", "--initial"));
            }
            let mut call = ufunc.on(engine).keepdims(self.keepdims);
            if let Some(mask) = &mask {
                call = call.where_(mask);
            }
            if let Some(dtype) = dtype {
                call = call.dtype(dtype);
            }
            if let Some(casting) = self.casting() {
                call = call.casting(casting);
            }
            if let Some(types) = &self.signature {
                call = call.signature(types);
            }
            match axis {
                None => {}
                Some(Axis::One(axis)) => call = call.axis(axis),
                Some(_) => {
                    return Err(Failure::with_help(
                        "a call takes one axis",
                        "give --axis a number; reductions of several axes are --method reduce",
                    ));
                }
            }
            for (name, extent) in &self.dims {
                call = call.dim(name, *extent);
            }
            return call.call(args).map_err(fail);
        };
        let method = method.method();
        self.check(method)?;
        let (least, most) = method.arity();
        if !(least..=most).contains(&args.len()) {
            let want = if least == most {
                least.to_string()
            } else {
                format!("{least} or {most}")
            };
            return Err(Failure::with_help(
                format!(
                    "{}.{} takes {want} arguments, not {}",
                    ufunc.name(),
                    method.name(),
                    args.len()
                ),
                "give an array, then for reduceat and at the indices, then for at the values",
            ));
        }
        let one_axis = || match &axis {
            None => Ok(0),
            Some(Axis::One(axis)) => Ok(*axis),
            Some(_) => Err(Failure::with_help(
                format!("{} goes along one axis", method.name()),
                "give --axis one number",
            )),
        };
        let mut x = match method {
            UfuncMethod::Outer => {
                return ufunc.outer(engine, &args[0], &args[1]).map_err(fail);
            }
            _ => array(&args[0], "the first argument")?,
        };
        let result = match method {
            UfuncMethod::Reduce => {
                let initial = self.initial.as_ref().map(arg).transpose()?;
                let options = Reduce {
                    axis: axis.clone().unwrap_or_default(),
                    keepdims: self.keepdims,
                    initial,
                    where_: mask.as_ref(),
                    dtype,
                };
                ufunc.reduce(engine, &x, &options)
            }
            UfuncMethod::Accumulate => ufunc.accumulate(engine, &x, one_axis()?, dtype),
            UfuncMethod::ReduceAt => {
                let indices = array(&args[1], "the indices")?;
                ufunc.reduceat(engine, &x, &indices, one_axis()?, dtype)
            }
            UfuncMethod::At | UfuncMethod::Outer => {
                let indices = array(&args[1], "the indices")?;
                ufunc.at(engine, &mut x, &indices, args.get(2)).map(|()| x)
            }
        };
        result.map(|array| vec![array]).map_err(fail)
    }

    /// Options that the method does not take are mistakes.
    fn check(&self, method: UfuncMethod) -> Result<(), Failure> {
        // `outer` computes in the dtypes of its arguments here.
        let known: &[&str] = match method {
            UfuncMethod::Outer => &[],
            _ => method.named(),
        };
        let given = [
            ("axis", self.axis.is_some()),
            ("keepdims", self.keepdims),
            ("initial", self.initial.is_some()),
            ("where", self.mask.is_some()),
            ("dtype", self.dtype.is_some()),
            ("casting", self.casting.is_some()),
            ("signature", self.signature.is_some()),
            ("dim", !self.dims.is_empty()),
        ];
        match given
            .iter()
            .find(|(name, set)| *set && !known.contains(name))
        {
            Some((name, _)) => Err(not_taken(method.name(), &format!("--{name}"))),
            None => Ok(()),
        }
    }

    /// Is one method asked for, so that there is one result?
    pub fn is_method(&self) -> bool {
        self.method.is_some_and(|m| m != MethodArg::Outer)
    }

    fn casting(&self) -> Option<Casting> {
        self.casting.map(|casting| match casting {
            CastingArg::No => Casting::No,
            CastingArg::Equiv => Casting::Equiv,
            CastingArg::Safe => Casting::Safe,
            CastingArg::SameKind => Casting::SameKind,
            CastingArg::Unsafe => Casting::Unsafe,
        })
    }
}

impl MethodArg {
    fn method(self) -> UfuncMethod {
        match self {
            MethodArg::Reduce => UfuncMethod::Reduce,
            MethodArg::Accumulate => UfuncMethod::Accumulate,
            MethodArg::Reduceat => UfuncMethod::ReduceAt,
            MethodArg::Outer => UfuncMethod::Outer,
            MethodArg::At => UfuncMethod::At,
        }
    }
}

fn not_taken(what: &str, option: &str) -> Failure {
    Failure::with_help(
        format!("{what} takes no {option}"),
        format!("leave {option} out"),
    )
}

/// An argument as an array.
fn array(arg: &Arg, what: &str) -> Result<Array, Failure> {
    match arg {
        Arg::Array(array) => Ok(array.clone()),
        _ => Err(Failure::with_help(
            format!("{what} must be an array"),
            "give a file, or make one as in arange:10",
        )),
    }
}

fn parse_axis(text: &str) -> Result<Axis, Failure> {
    if text.trim() == "none" {
        return Ok(Axis::All);
    }
    let axes: Result<Vec<i64>, _> = text.split(',').map(|a| a.trim().parse()).collect();
    match axes.as_deref() {
        Ok([axis]) => Ok(Axis::One(*axis)),
        Ok(list) => Ok(Axis::Many(list.to_vec())),
        Err(_) => Err(Failure::with_help(
            format!("{text} is no axis"),
            "write a number, numbers with commas between them, or none",
        )),
    }
}
