//! `UfuncCall`: one call of a ufunc or gufunc, with all that NumPy lets a caller say about it.

use crate::broadcast::{broadcast_shapes, checked_size, format_shape};
use crate::dtype::{Casting, WeakKind, can_cast};
use crate::engine::Engine;
use crate::fpe::{FpeMode, FpeReport};
use crate::launch::{Input, Output};
use crate::nest::Few;
use crate::resolve::{ArgType, Overrides, forbidden, of_outputs, parse_signature, resolve_call};
use crate::sites::{Site, SiteKey};
use crate::ufunc::{Arg, Ufunc};
use crate::{Array, KernelSpec, Result, RuntimeError};
use kjit_ir::{DType, FusedExpr, FusedNode, FusedOp, Loc, Signature};
use std::sync::Arc;

/// A call under construction; see [`Ufunc::on`].
///
/// ```
/// use kjit_runtime::{Arg, Array, Casting, Engine, EngineOptions, Program, Ufunc};
/// # use kjit_driver::Source;
/// # use kjit_ir::DType;
/// # use std::sync::Arc;
/// let text = "ufunc add<T: number>(a: T, b: T) -> T { a + b }";
/// let program = Arc::new(Program::compile(Source::new("add.k", text)).unwrap());
/// let add = Ufunc::new(&program, "add")?;
/// let engine = Engine::new(EngineOptions::default())?;
///
/// let x = Array::from_vec(vec![1i32, 2, 3], &[3])?;
/// let mut sum = [Array::zeros(DType::I32, &[3])?];
/// // Into an array that is there, where the mask is true; the second argument is that array.
/// let mask = Array::from_vec(vec![true, false, true], &[3])?;
/// add.on(&engine).out(&mut sum).where_(&mask).call(&[Arg::from(&x), Arg::Out(0)])?;
/// assert_eq!(sum[0].to_vec::<i32>()?, [1, 0, 3]);
/// // In another dtype.
/// let z = add.on(&engine).dtype(DType::F32).call(&[Arg::from(&x), Arg::from(1)])?;
/// assert_eq!(z[0].to_vec::<f32>()?, [2.0, 3.0, 4.0]);
/// let error = add.on(&engine).signature("bb->b").casting(Casting::Safe).call(&[Arg::from(&x), Arg::from(1)]);
/// assert_eq!(
///     error.unwrap_err().message,
///     "input a of add cannot be cast from i32 to i8 under casting = safe"
/// );
/// # Ok::<(), kjit_runtime::RuntimeError>(())
/// ```
pub struct UfuncCall<'a> {
    pub(crate) ufunc: &'a Ufunc,
    pub(crate) engine: &'a Engine,
    outs: Outs<'a>,
    mask: Option<Box<Array>>,
    pub(crate) casting: Casting,
    loops: Loops,
    fpe: FpeMode,
    pub(crate) core: CoreOptions,
}

/// Where results go.
enum Outs<'a> {
    /// To new arrays.
    New,
    /// Each to one of these.
    All(&'a mut [Array]),
    /// Those with an array to that, the others to new ones.
    Some(Vec<Option<&'a mut Array>>),
}

/// Dtypes that the caller lays down.
enum Loops {
    None,
    Dtype(DType),
    Text(String),
    Each(Vec<Option<DType>>),
}

/// What only gufuncs take.
#[derive(Default)]
pub(crate) struct CoreOptions {
    pub(crate) axes: Option<Vec<Vec<i64>>>,
    pub(crate) axis: Option<i64>,
    pub(crate) keepdims: bool,
    pub(crate) dims: Vec<(String, usize)>,
}

impl CoreOptions {
    fn named(&self) -> Option<&'static str> {
        if self.axes.is_some() {
            Some("axes")
        } else if self.axis.is_some() {
            Some("axis")
        } else if self.keepdims {
            Some("keepdims")
        } else if !self.dims.is_empty() {
            Some("extents of them")
        } else {
            None
        }
    }
}

/// The dtypes of a call.
pub(crate) struct CallTypes {
    pub(crate) generics: Vec<DType>,
    pub(crate) inputs: Few<DType>,
    pub(crate) outputs: Few<DType>,
}

impl<'a> UfuncCall<'a> {
    pub(crate) fn new(ufunc: &'a Ufunc, engine: &'a Engine) -> UfuncCall<'a> {
        UfuncCall {
            ufunc,
            engine,
            outs: Outs::New,
            mask: None,
            casting: Casting::default(),
            loops: Loops::None,
            fpe: engine.options().fpe,
            core: CoreOptions::default(),
        }
    }

    /// Writes the outputs to these arrays, one an output: of any strides, of dtypes to which the results
    /// may be cast. Arguments broadcast to their shape, and they to none. A call that fails leaves them as
    /// they were.
    pub fn out(mut self, outs: &'a mut [Array]) -> Self {
        self.outs = Outs::All(outs);
        self
    }

    /// As [`UfuncCall::out`], where `None` asks for a new array.
    pub fn outs(mut self, outs: Vec<Option<&'a mut Array>>) -> Self {
        self.outs = Outs::Some(outs);
        self
    }

    /// Computes only where the mask (of bools) is true; it broadcasts with the arguments. Other elements
    /// keep what `out` holds, or are 0.
    pub fn where_(mut self, mask: &Array) -> Self {
        self.mask = Some(Box::new(mask.clone()));
        self
    }

    /// Which casts are permitted, of results to `out`, and of arguments where `dtype` or `signature` asks
    /// for one; [`Casting::SameKind`] unless said.
    pub fn casting(mut self, casting: Casting) -> Self {
        self.casting = casting;
        self
    }

    /// The instance with outputs of this dtype.
    pub fn dtype(mut self, dtype: DType) -> Self {
        self.loops = Loops::Dtype(dtype);
        self
    }

    /// The instance of these types: `ff->f`, `f32,f32->f32`, `->f` or `f`.
    pub fn signature(mut self, types: &str) -> Self {
        self.loops = Loops::Text(types.to_string());
        self
    }

    /// The instance that has these dtypes where one is given: inputs, then outputs.
    pub fn loop_dtypes(mut self, dtypes: &[Option<DType>]) -> Self {
        self.loops = Loops::Each(dtypes.to_vec());
        self
    }

    /// What becomes of status flags; by default what the engine was made with.
    pub fn fpe(mut self, mode: FpeMode) -> Self {
        self.fpe = mode;
        self
    }

    /// Of a gufunc: for each argument, then each output, where its core axes are. Outputs without core axes
    /// may be left out.
    pub fn axes(mut self, axes: &[Vec<i64>]) -> Self {
        self.core.axes = Some(axes.to_vec());
        self
    }

    /// Of a gufunc with one core dimension: which axis of every argument it is.
    pub fn axis(mut self, axis: i64) -> Self {
        self.core.axis = Some(axis);
        self
    }

    /// Of a gufunc whose outputs have no core axes: they keep those of the arguments, with extent 1.
    pub fn keepdims(mut self, keep: bool) -> Self {
        self.core.keepdims = keep;
        self
    }

    /// Of a gufunc: the extent of a core dimension, which has to be given where it appears in outputs only.
    pub fn dim(mut self, name: &str, extent: usize) -> Self {
        self.core.dims.push((name.to_string(), extent));
        self
    }

    /// Calls it. New arrays come back, one for each output that has no array to go to, in order.
    ///
    /// # Errors
    /// Whatever does not fit: the message names the operand and both shapes or dtypes. Nothing has been
    /// written then.
    pub fn call(mut self, args: &[Arg]) -> Result<Vec<Array>> {
        match self.quick(args) {
            Some(result) => result,
            None => self.report(args).map(|(new, _)| new),
        }
    }

    /// The short way of a call that is like an earlier one: one output, small arrays of one shape, nothing
    /// else asked for. `None` if it is not that simple; then nothing has happened.
    fn quick(&mut self, args: &[Arg]) -> Option<Result<Vec<Array>>> {
        let plain = matches!(self.loops, Loops::None)
            && self.mask.is_none()
            && self.fpe == FpeMode::Ignore
            && self.core.named().is_none();
        let mut out = match &mut self.outs {
            _ if !plain => return None,
            Outs::New => None,
            Outs::All([out]) => Some(out),
            Outs::All(_) | Outs::Some(_) => return None,
        };
        let out_dtype = out.as_ref().map(|out| out.dtype());
        let type_of = |arg: &Arg| match arg {
            Arg::Array(array) => Some(ArgType::Typed(array.dtype())),
            Arg::Out(0) => out_dtype.map(ArgType::Typed),
            Arg::Int(_) => Some(ArgType::Weak(WeakKind::Int)),
            Arg::Float(_) => Some(ArgType::Weak(WeakKind::Float)),
            Arg::Out(_) => None,
        };
        let site = self.ufunc.sites().find_with(|key| {
            key.engine == self.engine.number()
                && key.casting == self.casting
                && !key.flags
                && !key.masked
                && *key.outs == [out_dtype]
                && key.args.len() == args.len()
                && key
                    .args
                    .iter()
                    .zip(args)
                    .all(|(known, arg)| type_of(arg) == Some(*known))
        })?;
        // One for each argument that is a literal; no memory where there is none.
        let mut literals: Vec<Array> = Vec::new();
        for (n, arg) in args.iter().enumerate() {
            if matches!(arg, Arg::Int(_) | Arg::Float(_)) {
                let to = site.types.inputs[n];
                literals.extend(self.ufunc.literal_argument(n, arg, to, self.casting).ok()?);
            }
        }
        let inputs = || {
            let mut literals = literals.iter();
            args.iter().filter_map(move |arg| match arg {
                Arg::Array(array) => Some(Input::Array(array)),
                Arg::Out(_) => Some(Input::Out(0)),
                Arg::Int(_) | Arg::Float(_) => literals.next().map(Input::Array),
            })
        };
        if let Some(out) = &mut out {
            let ran = self.engine.call_flat(&site.kernel, inputs(), out)?;
            return Some(ran.map(|()| Vec::new()));
        }
        let mut shapes = args.iter().filter_map(|arg| match arg {
            Arg::Array(array) => Some(array.shape()),
            _ => None,
        });
        let shape = shapes.next()?;
        if !is_small(shape) || !shapes.all(|other| other == shape) {
            return None;
        }
        let mut new = Array::zeros(site.types.outputs[0], shape).ok()?;
        let ran = self.engine.call_flat(&site.kernel, inputs(), &mut new)?;
        Some(ran.map(|()| vec![new]))
    }

    /// As [`UfuncCall::call`]; says also which status flags were raised (none are looked for under
    /// [`FpeMode::Ignore`]).
    ///
    /// # Errors
    /// As [`UfuncCall::call`].
    pub fn report(mut self, args: &[Arg]) -> Result<(Vec<Array>, FpeReport)> {
        let signature = self.ufunc.signature();
        let nout = signature.outputs.len();
        let mut outs: Few<Option<&mut Array>> = match std::mem::replace(&mut self.outs, Outs::New) {
            Outs::New => (0..nout).map(|_| None).collect(),
            Outs::All(outs) => outs.iter_mut().map(Some).collect(),
            Outs::Some(outs) => outs.into_iter().collect(),
        };
        if outs.len() != nout {
            return Err(RuntimeError::value(format!(
                "{} has {nout} output{}, and {} given for them",
                signature.name,
                if nout == 1 { "" } else { "s" },
                match outs.len() {
                    1 => "1 array is".to_string(),
                    n => format!("{n} arrays are"),
                }
            ))
            .help("give one array an output, or none"));
        }
        if let Some(core) = &signature.core {
            let types = self.types(signature, &self.arg_types(args, &outs)?, &outs)?;
            if self.mask.is_some() {
                return Err(RuntimeError::value(format!(
                    "{} is a gufunc and takes no mask",
                    signature.name
                ))
                .help(
                    "a mask says which numbers to compute, and an element of a gufunc is an array",
                ));
            }
            return self.gufunc(core, args, &types, &mut outs);
        }
        if let Some(word) = self.core.named() {
            return Err(RuntimeError::value(format!(
                "{} has no core dimensions and takes no {word}",
                signature.name
            ))
            .help(format!("only gufuncs take {word}")));
        }
        let site = self.site(signature, args, &outs)?;
        self.elementwise(args, &site, &mut outs)
    }

    /// The dtypes and the kernel of this call, which an earlier one may have found.
    fn site(
        &self,
        signature: &Signature,
        args: &[Arg],
        outs: &[Option<&mut Array>],
    ) -> Result<Arc<Site>> {
        let arg_types = self.arg_types(args, outs)?;
        let flags = self.fpe != FpeMode::Ignore;
        let key = matches!(self.loops, Loops::None).then(|| SiteKey {
            engine: self.engine.number(),
            casting: self.casting,
            flags,
            masked: self.mask.is_some(),
            args: arg_types.clone(),
            outs: outs.iter().map(|o| o.as_ref().map(|o| o.dtype())).collect(),
        });
        let sites = self.ufunc.sites();
        if let Some(site) = key.as_ref().and_then(|key| sites.find(key)) {
            return Ok(site.clone());
        }
        let types = self.types(signature, &arg_types, outs)?;
        let spec = self.spec(&arg_types, &types, outs);
        let program = self.ufunc.program();
        let kernel = self.engine.kernel_flagged(program, &spec, flags)?;
        let site = Arc::new(Site { types, kernel });
        if let Some(key) = key {
            sites.add(key, &site);
        }
        Ok(site)
    }

    /// The types of the arguments.
    fn arg_types(&self, args: &[Arg], outs: &[Option<&mut Array>]) -> Result<Few<ArgType>> {
        args.iter()
            .map(|arg| match arg {
                Arg::Array(array) => Ok(ArgType::Typed(array.dtype())),
                Arg::Int(_) => Ok(ArgType::Weak(WeakKind::Int)),
                Arg::Float(_) => Ok(ArgType::Weak(WeakKind::Float)),
                Arg::Out(n) => match outs.get(*n) {
                    Some(Some(out)) => Ok(ArgType::Typed(out.dtype())),
                    _ => Err(RuntimeError::value(format!(
                        "an argument of {} is its output {n}, for which no array is given",
                        self.ufunc.name()
                    ))
                    .help("give the array with `out`")),
                },
            })
            .collect()
    }

    /// The dtypes of this call; casts that the rule forbids are errors.
    fn types(
        &self,
        signature: &Signature,
        arg_types: &[ArgType],
        outs: &[Option<&mut Array>],
    ) -> Result<CallTypes> {
        let name = &signature.name;
        let laid_down = match &self.loops {
            Loops::None => Vec::new(),
            Loops::Dtype(dtype) => of_outputs(signature, *dtype),
            Loops::Text(text) => parse_signature(text, signature)?,
            Loops::Each(dtypes) => dtypes.clone(),
        };
        let overrides = Overrides {
            loop_dtypes: &laid_down,
            casting: self.casting,
        };
        let generics = resolve_call(signature, arg_types, &overrides)?;
        let resolve = |list: &[(String, kjit_ir::TypeSpec)]| -> Few<DType> {
            list.iter()
                .map(|(_, spec)| spec.resolve(&generics))
                .collect()
        };
        let types = CallTypes {
            inputs: resolve(&signature.inputs),
            outputs: resolve(&signature.outputs),
            generics,
        };
        for (((operand, _), from), out) in signature.outputs.iter().zip(&types.outputs).zip(outs) {
            if let Some(out) = out
                && !can_cast(*from, out.dtype(), self.casting)
            {
                let to = out.dtype();
                return Err(forbidden(name, "output", operand, *from, to, self.casting));
            }
        }
        Ok(types)
    }

    /// What becomes of status flags.
    pub(crate) fn flags(&self) -> FpeMode {
        self.fpe
    }

    /// An argument that is a literal, as an array of the parameter's dtype.
    pub(crate) fn literal(&self, n: usize, arg: &Arg, to: DType) -> Result<Option<Array>> {
        self.ufunc.literal_argument(n, arg, to, self.casting)
    }

    fn elementwise(
        &self,
        args: &[Arg],
        site: &Site,
        outs: &mut [Option<&mut Array>],
    ) -> Result<(Vec<Array>, FpeReport)> {
        let name = self.ufunc.name();
        let (types, kernel) = (&site.types, &*site.kernel);
        // Outputs that are computed elsewhere first: elements that the mask keeps must not go through another
        // dtype and back, and whether a complex number is true is not for one of its parts to say.
        let through: Few<bool> = (outs.iter().zip(&types.outputs))
            .map(|(out, from)| match out {
                Some(out) if out.dtype() != *from => {
                    self.mask.is_some() || from.is_complex() && out.dtype() == DType::Bool
                }
                _ => false,
            })
            .collect();
        let through = |k: usize| through[k];
        // Arguments that are no arrays of the caller, and outputs that are read but not written to.
        let own = args
            .iter()
            .zip(&types.inputs)
            .enumerate()
            .map(|(n, (arg, to))| match arg {
                Arg::Out(k) if through(*k) => Ok(outs[*k].as_deref().cloned()),
                _ => self.literal(n, arg, *to),
            })
            .collect::<Result<Few<Option<Array>>>>()?;
        let zeros: Few<Array> = match &self.mask {
            Some(_) => types
                .outputs
                .iter()
                .map(|dtype| Array::zeros(*dtype, &[]))
                .collect::<Result<_>>()?,
            None => Few::new(),
        };
        let shape = self.shape(args, outs)?;
        let mut inputs: Few<Input> = args
            .iter()
            .zip(&own)
            .map(|(arg, own)| match (arg, own) {
                (_, Some(array)) | (Arg::Array(array), None) => Input::Array(array),
                (Arg::Out(n), None) => Input::Out(*n),
                (Arg::Int(_) | Arg::Float(_), None) => {
                    unreachable!("bug in kjit: a literal that is no array")
                }
            })
            .collect();
        if let Some(mask) = &self.mask {
            inputs.push(Input::Array(mask));
            for (k, zero) in zeros.iter().enumerate() {
                inputs.push(match &outs[k] {
                    Some(_) if !through(k) => Input::Out(k),
                    _ => Input::Array(zero),
                });
            }
        }
        if let ([out], FpeMode::Ignore, false) = (&mut *outs, self.fpe, through(0)) {
            let all = || inputs.iter().copied();
            let ran = match out {
                Some(out) if out.shape() == shape.as_slice() => {
                    self.engine.call_flat(kernel, all(), out)
                }
                Some(_) => None,
                None if !is_small(&shape) => None,
                None => {
                    let mut new = Array::zeros(types.outputs[0], &shape)?;
                    let ran = self.engine.call_flat(kernel, all(), &mut new);
                    if let Some(result) = ran {
                        return result.map(|()| (vec![new], FpeReport::default()));
                    }
                    None
                }
            };
            if let Some(result) = ran {
                return result.map(|()| (Vec::new(), FpeReport::default()));
            }
        }
        let (new, report) = {
            let mut targets: Few<Output> = outs
                .iter_mut()
                .zip(&types.outputs)
                .enumerate()
                .map(|(k, (out, dtype))| match out {
                    Some(out) if !through(k) => Output::Into(out),
                    _ => Output::New(*dtype),
                })
                .collect();
            let rules = (Casting::Unsafe, Casting::Unsafe);
            self.engine
                .launch(kernel, &inputs, &shape, &mut targets, rules, self.fpe)?
        };
        self.engine.judge(name, &report, self.fpe)?;
        let new = new
            .into_iter()
            .enumerate()
            .map(|(k, new)| match (new, &outs[k], &self.mask) {
                (Some(new), Some(out), Some(mask)) if through(k) => {
                    self.merge(mask, &new, out).map(Some)
                }
                (Some(new), Some(out), None) if through(k) => new.cast(out.dtype()).map(Some),
                (new, _, _) => Ok(new),
            })
            .collect::<Result<Vec<_>>>()?;
        // Nothing fails from here on.
        let mut fresh = Vec::new();
        for (new, out) in new.into_iter().zip(outs) {
            match (new, out) {
                (Some(new), Some(out)) => **out = new,
                (Some(new), None) => fresh.push(new),
                (None, _) => {}
            }
        }
        Ok((fresh, report))
    }

    /// What an output is after a masked call that computed in another dtype.
    fn merge(&self, mask: &Array, computed: &Array, out: &Array) -> Result<Array> {
        let dtype = out.dtype();
        let spec = KernelSpec::Ufunc {
            name: "select".to_string(),
            generics: vec![dtype],
            masked: false,
        };
        let inputs = [mask.clone(), computed.cast(dtype)?, out.clone()];
        let program = self.ufunc.program();
        let merged = self
            .engine
            .elementwise(program, &spec, &inputs, out.shape(), &[dtype])?;
        merged
            .into_iter()
            .next()
            .ok_or_else(|| RuntimeError::internal("bug in kjit: a call without output"))
    }

    /// The shape of the call.
    fn shape(&self, args: &[Arg], outs: &[Option<&mut Array>]) -> Result<Few<usize>> {
        let name = self.ufunc.name();
        if let Some(mask) = &self.mask
            && mask.dtype() != DType::Bool
        {
            return Err(RuntimeError::dtype(format!(
                "the mask of {name} is an array of {}, not of bool",
                mask.dtype()
            ))
            .help("compare first, as in mask != 0"));
        }
        if let Some(shape) = self.equal_shapes(args, outs) {
            return Ok(shape);
        }
        let parameters = &self.ufunc.signature().inputs;
        let mut operands: Few<(&str, &[usize])> = Few::new();
        for (arg, (parameter, _)) in args.iter().zip(parameters) {
            if let Arg::Array(array) = arg {
                operands.push((parameter, array.shape()));
            }
        }
        if let Some(mask) = &self.mask {
            operands.push(("where", mask.shape()));
        }
        let results = &self.ufunc.signature().outputs;
        let given = || {
            results
                .iter()
                .zip(outs)
                .filter_map(|((name, _), out)| Some((name.as_str(), out.as_ref()?.shape())))
        };
        let inputs: Few<&[usize]> = operands.iter().map(|(_, shape)| *shape).collect();
        let all: Few<&[usize]> = inputs.iter().copied().chain(given().map(|o| o.1)).collect();
        let shape: Few<usize> = match broadcast_shapes(&all) {
            Ok(shape) => shape.into(),
            Err(error) => return Err(clash(name, &operands, given()).unwrap_or(error)),
        };
        for (operand, of) in given() {
            if of != shape.as_slice() {
                return Err(RuntimeError::shape(format!(
                    "output {operand} of {name} has shape {}, and the call has shape {}",
                    format_shape(of),
                    format_shape(&shape)
                ))
                .help("an output is not broadcast: give one of the shape of the call"));
            }
        }
        for (_, spec) in results {
            let size = match spec {
                kjit_ir::TypeSpec::DType(dtype) => dtype.size(),
                _ => 1,
            };
            checked_size(&shape, size)?;
        }
        Ok(shape)
    }

    /// The shape that all arrays have, if they have one; then there is nothing to broadcast.
    fn equal_shapes(&self, args: &[Arg], outs: &[Option<&mut Array>]) -> Option<Few<usize>> {
        let arrays = args.iter().filter_map(|arg| match arg {
            Arg::Array(array) => Some(array.shape()),
            _ => None,
        });
        let outs = outs.iter().flatten().map(|out| out.shape());
        let mut shapes = arrays
            .chain(outs)
            .chain(self.mask.iter().map(|mask| mask.shape()));
        let first = shapes.next()?;
        // The largest element: whatever is made of this shape fits into memory.
        (shapes.all(|shape| shape == first) && checked_size(first, 16).is_ok())
            .then(|| first.into())
    }

    /// What the kernel computes. Casts are part of the kernel where that has a place for them.
    fn spec(
        &self,
        arg_types: &[ArgType],
        types: &CallTypes,
        outs: &[Option<&mut Array>],
    ) -> KernelSpec {
        let name = self.ufunc.name().to_string();
        let generics = types.generics.clone();
        let inputs = arg_types.iter().zip(&types.inputs);
        let from: Few<DType> = inputs
            .map(|(arg, to)| match arg {
                ArgType::Typed(dtype) => *dtype,
                ArgType::Weak(_) => *to,
            })
            .collect();
        // A status flag of a cast of a result would not be one of the ufunc's.
        let ignored = self.fpe == FpeMode::Ignore;
        let to: Few<DType> = outs
            .iter()
            .zip(&types.outputs)
            .map(|(out, dtype)| match out {
                Some(out) if ignored && has_cast(*dtype, out.dtype()) => out.dtype(),
                _ => *dtype,
            })
            .collect();
        let casts = from != types.inputs || to != types.outputs;
        if self.mask.is_none() && casts {
            KernelSpec::Fused(casting_call(name, types, &from, &to))
        } else {
            KernelSpec::Ufunc {
                name,
                generics,
                masked: self.mask.is_some(),
            }
        }
    }
}

/// Can kernels convert this to that?
fn has_cast(from: DType, to: DType) -> bool {
    from == to || !from.is_complex() || to.is_complex()
}

/// Elements of new arrays for which the short way is tried.
const MOST_FLAT: usize = 4096;

fn is_small(shape: &[usize]) -> bool {
    let size = shape
        .iter()
        .try_fold(1usize, |n, extent| n.checked_mul(*extent));
    size.is_some_and(|n| n <= MOST_FLAT)
}

/// The message for shapes that do not broadcast: it names the two operands that clash.
fn clash<'s>(
    name: &str,
    inputs: &[(&'s str, &'s [usize])],
    outputs: impl Iterator<Item = (&'s str, &'s [usize])>,
) -> Option<RuntimeError> {
    let mut seen: Vec<(&str, &[usize])> = Vec::new();
    let inputs = inputs.iter().map(|o| (*o, false));
    for ((operand, shape), is_output) in inputs.chain(outputs.map(|o| (o, true))) {
        for (other, other_shape) in &seen {
            if broadcast_shapes(&[other_shape, shape]).is_err() {
                let (a, b) = (format_shape(other_shape), format_shape(shape));
                let error = RuntimeError::shape(format!(
                    "operands {other} and {operand} of {name} have shapes {a} and {b}, which cannot be \
                     broadcast together"
                ));
                let help = if is_output {
                    "an output has the shape to which the arguments broadcast"
                } else {
                    "aligned from the right, extents must be equal or one of them 1"
                };
                return Some(error.help(help));
            }
        }
        seen.push((operand, shape));
    }
    None
}

/// A call whose arguments and results are converted inside the kernel, element by element.
fn casting_call(name: String, types: &CallTypes, from: &[DType], outputs: &[DType]) -> FusedExpr {
    let node = |op, args| FusedNode {
        op,
        args,
        loc: Loc::default(),
    };
    let mut nodes = Vec::new();
    let mut args = Vec::new();
    let mut inputs = Vec::new();
    for (n, (from, to)) in from.iter().zip(&types.inputs).enumerate() {
        nodes.push(node(FusedOp::Input(n), vec![]));
        // What kernels cannot convert is converted on the way in.
        let in_kernel = has_cast(*from, *to);
        inputs.push(if in_kernel { *from } else { *to });
        if in_kernel && from != to {
            let value = (nodes.len() - 1, 0);
            nodes.push(node(FusedOp::Cast(*to), vec![value]));
        }
        args.push((nodes.len() - 1, 0));
    }
    nodes.push(node(FusedOp::Call(name, types.generics.clone()), args));
    let call = nodes.len() - 1;
    let mut results = Vec::new();
    for (n, (from, to)) in types.outputs.iter().zip(outputs).enumerate() {
        if from == to {
            results.push((call, n));
        } else {
            nodes.push(node(FusedOp::Cast(*to), vec![(call, n)]));
            results.push((nodes.len() - 1, 0));
        }
    }
    FusedExpr {
        inputs,
        nodes,
        outputs: results,
    }
}
