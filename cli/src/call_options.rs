//! Options of `kjit call` that say how: methods, axes, masks, dtypes.

use crate::call::parse_arg;
use crate::emit::parse_dtype;
use crate::report::Failure;
use clap::ValueEnum;
use kjit::{
    Arg, Array, Axis, Casting, DType, Engine, Program, Reduce, RuntimeError, Scalar, Ufunc,
    UfuncCall, UfuncMethod,
};

/// How to call.
#[derive(clap::Args, Debug)]
pub struct CallOptions {
    /// A method of the ufunc instead of a call
    #[arg(long, value_enum)]
    method: Option<MethodArg>,
    /// Along which axis or axes: 0, -1, 0,2 or none (all); of a gufunc, its one core dimension
    #[arg(long, allow_hyphen_values = true)]
    axis: Option<String>,
    /// Of a gufunc: where each operand has its core axes, with `;` between operands: 0;0;0 or -2,-1;0,1;-2,-1
    #[arg(long, allow_hyphen_values = true, conflicts_with = "axis")]
    axes: Option<String>,
    /// Keep the axes that reduce or a gufunc takes away, with the extent 1
    #[arg(long)]
    keepdims: bool,
    /// What reduce starts from
    #[arg(long, value_name = "ARG", allow_hyphen_values = true)]
    initial: Option<String>,
    /// A mask of bools (or of 0 and 1 in a .csv): compute only where it is true; elsewhere results are 0
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
        (args, texts): (&[Arg], &[String]),
        fail: &dyn Fn(RuntimeError) -> Failure,
    ) -> Result<Vec<Array>, Failure> {
        let arg = |text: &String| parse_arg(text, engine, program);
        let mask = self.mask.as_ref().map(|text| {
            let mask = array(&arg(text)?)?;
            from_csv(text, mask, DType::Bool)
        });
        let mask = mask.transpose()?;
        let indices = || from_csv(&texts[1], array(&args[1])?, DType::I64);
        let dtype = self.dtype.as_deref().map(parse_dtype).transpose()?;
        let axis = self.axis.as_deref().map(parse_axis).transpose()?;
        let Some(method) = self.method else {
            if self.initial.is_some() {
                return Err(not_taken("a call", "--initial"));
            }
            let axis = match axis {
                None => None,
                Some(Axis::One(axis)) => Some(axis),
                Some(_) => {
                    return Err(Failure::with_help(
                        "a call takes one axis",
                        "give --axis a number; reductions of several axes are --method reduce",
                    ));
                }
            };
            let call = self.described(ufunc.on(engine), mask.as_ref(), dtype);
            let call = axis.into_iter().fold(call, |call, axis| call.axis(axis));
            let axes = self.axes.as_deref().map(parse_axes).transpose()?;
            let call = axes.iter().fold(call, |call, axes| call.axes(axes));
            return call
                .call(args)
                .map_err(|error| fail(on_command_line(error)));
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
                    "{}.{} takes {want} argument{}, not {}",
                    ufunc.name(),
                    method.name(),
                    if most == 1 { "" } else { "s" },
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
            UfuncMethod::Outer if dtype.is_none() && self.casting.is_none() => {
                return ufunc.outer(engine, &args[0], &args[1]).map_err(fail);
            }
            UfuncMethod::Outer => {
                // Every pair: the axes of the second argument come after those of the first.
                let first = match (&args[0], &args[1]) {
                    (Arg::Array(a), Arg::Array(b)) => {
                        let ones = std::iter::repeat_n(1, b.ndim());
                        let shape: Vec<usize> = a.shape().iter().copied().chain(ones).collect();
                        Arg::Array(a.reshape(&shape).map_err(fail)?)
                    }
                    (first, _) => first.clone(),
                };
                let call = self.described(ufunc.on(engine), None, dtype);
                return call.call(&[first, args[1].clone()]).map_err(fail);
            }
            _ => array(&args[0])?,
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
            UfuncMethod::ReduceAt => ufunc.reduceat(engine, &x, &indices()?, one_axis()?, dtype),
            UfuncMethod::At | UfuncMethod::Outer => ufunc
                .at(engine, &mut x, &indices()?, args.get(2))
                .map(|()| x),
        };
        result.map(|array| vec![array]).map_err(fail)
    }

    /// A call with the options that say how, but for those about axes.
    fn described<'u>(
        &self,
        call: UfuncCall<'u>,
        mask: Option<&Array>,
        dtype: Option<DType>,
    ) -> UfuncCall<'u> {
        let call = call.keepdims(self.keepdims);
        let call = mask.into_iter().fold(call, |call, mask| call.where_(mask));
        let call = dtype
            .into_iter()
            .fold(call, |call, dtype| call.dtype(dtype));
        let casting = self.casting();
        let call = casting
            .into_iter()
            .fold(call, |call, rule| call.casting(rule));
        let types = self.signature.iter();
        let call = types.fold(call, |call, types| call.signature(types));
        let dims = self.dims.iter();
        dims.fold(call, |call, (name, extent)| call.dim(name, *extent))
    }

    /// Options that the method does not take are mistakes.
    fn check(&self, method: UfuncMethod) -> Result<(), Failure> {
        let known = method.named();
        let given = [
            ("axis", self.axis.is_some()),
            ("axes", self.axes.is_some()),
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

/// The cure of a call, in the words of the command line.
fn on_command_line(mut error: RuntimeError) -> RuntimeError {
    error.help = error
        .help
        .map(|help| match help.split_once("by its name, as in ") {
            Some((_, example)) => format!("give it as --dim {}", example.replace(' ', "")),
            None => help,
        });
    error
}

/// An argument as an array: a number is one without axes.
fn array(arg: &Arg) -> Result<Array, Failure> {
    match arg {
        Arg::Array(array) => Ok(array.clone()),
        Arg::Int(n) => i64::try_from(*n)
            .map(|n| Array::scalar(Scalar::int(DType::I64, n.into())))
            .map_err(|_| {
                Failure::with_help(format!("{n} does not fit 64 bits"), "give a smaller number")
            }),
        Arg::Float(x) => Ok(Array::scalar(Scalar::f64(*x))),
        Arg::Out(_) => unreachable!("bug in kjit: no text of the command line is an output"),
    }
}

/// Files of `.csv` hold floats alone: as masks and indices they are what these numbers stand for.
fn from_csv(text: &str, array: Array, to: DType) -> Result<Array, Failure> {
    let path = text.split('[').next().unwrap_or_default();
    if !path.to_ascii_lowercase().ends_with(".csv") || array.dtype() != DType::F64 {
        return Ok(array);
    }
    let failed = |error: RuntimeError| Failure::runtime(&error, None);
    let fits = |x: &f64| match to {
        DType::Bool => *x == 0.0 || *x == 1.0,
        _ => x.fract() == 0.0 && x.abs() < 2f64.powi(53),
    };
    if let Some(wrong) = array.iter::<f64>().map_err(failed)?.find(|x| !fits(x)) {
        let (what, cure) = match to {
            DType::Bool => ("a mask", "0 and 1"),
            _ => ("indices", "whole numbers"),
        };
        return Err(Failure::with_help(
            format!("{path} has {wrong}, which {what} cannot have"),
            format!("write {cure}"),
        ));
    }
    array.cast(to).map_err(failed)
}

/// `-2,-1;0,1;-2,-1`: lists of axes.
fn parse_axes(text: &str) -> Result<Vec<Vec<i64>>, Failure> {
    let axes = |part: &str| -> Result<Vec<i64>, std::num::ParseIntError> {
        let part = part.trim();
        if part.is_empty() {
            return Ok(Vec::new());
        }
        part.split(',').map(|a| a.trim().parse()).collect()
    };
    text.split(';').map(axes).collect::<Result<_, _>>().map_err(|_| {
        Failure::with_help(
            format!("{text} is no list of axes"),
            "write the axes of each operand with commas, and ; between operands: --axes '-2,-1;0,1;-2,-1'",
        )
    })
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
