//! Which instance serves a call: the answers are NumPy 2.4's for the ufunc named beside each.

use super::*;
use Class::{Any, Float, Int, Number, Uint};
use DType::{Bool, F32, F64, I8, I16, I32, I64, U8, U16, U32, U64};

const INT: ArgType = ArgType::Weak(WeakKind::Int);
const FLOAT: ArgType = ArgType::Weak(WeakKind::Float);

fn typed(dtype: DType) -> ArgType {
    ArgType::Typed(dtype)
}

fn signature(class: Class, inputs: usize) -> Signature {
    let operand = |n: usize| (format!("x{n}"), TypeSpec::Generic(0));
    Signature {
        name: "f".into(),
        generics: vec![("T".into(), class)],
        inputs: (0..inputs).map(operand).collect(),
        outputs: vec![("out".into(), TypeSpec::Generic(0))],
        identity: None,
        reorderable: false,
        core: None,
        loc: Default::default(),
    }
}

#[test]
fn smallest_member_of_the_class() {
    let resolve = |class, args: &[ArgType]| {
        resolve_loop(&signature(class, args.len()), args)
            .map(|generics| generics[0])
            .map_err(|error| error.message)
    };
    for (class, args, dtype) in [
        // sqrt
        (Float, &[typed(I16)][..], F32),
        (Float, &[typed(U16)], F32),
        (Float, &[typed(I32)], F64),
        (Float, &[typed(U64)], F64),
        (Float, &[typed(F32)], F32),
        (Float, &[INT], F64),
        // arctan2
        (Float, &[typed(I16), INT], F32),
        (Float, &[typed(I8), FLOAT], F64),
        (Float, &[typed(F32), typed(I32)], F64),
        (Float, &[typed(I64), typed(U64)], F64),
        // square(True)
        (Number, &[typed(Bool)], I8),
        // add
        (Number, &[typed(I8), typed(U8)], I16),
        (Number, &[typed(I64), typed(U64)], F64),
        (Number, &[typed(I8), INT], I8),
        (Number, &[typed(I8), FLOAT], F64),
        (Any, &[typed(Bool), typed(Bool)], Bool),
        // No peer in NumPy: what casts safely.
        (Uint, &[typed(Bool)], U8),
        (Int, &[typed(Bool), typed(U32)], U32),
    ] {
        assert_eq!(resolve(class, args), Ok(dtype), "{class} {args:?}");
    }
    let error = |class, args: &[ArgType]| resolve(class, args).unwrap_err();
    assert_eq!(
        error(Uint, &[typed(I8)]),
        "f is not defined for x0: i8, since T must be u8, u16, u32 or u64"
    );
    assert_eq!(
        error(Int, &[typed(I32), FLOAT]),
        "f is not defined for x0: i32, x1: a float, since T must be i8, i16, i32, i64, u8, u16, u32 or u64"
    );
    // One of two that are larger than any integer has no common integer.
    assert!(error(Int, &[typed(I64), typed(U64)]).starts_with("f is not defined for"));
}

#[test]
fn overrides_as_numpys() {
    let add = signature(Number, 2);
    let resolve = |args: &[ArgType], text: &str, casting| {
        let loop_dtypes = parse_signature(text, &add)?;
        resolve_call(
            &add,
            args,
            &Overrides {
                loop_dtypes: &loop_dtypes,
                casting,
            },
        )
        .map(|generics| generics[0])
    };
    let ints = [typed(I8), typed(I8)];
    for text in [
        "ff->f",
        "->f",
        "f",
        "f32",
        "float32",
        "f32,f32->f32",
        "f4,f->f",
    ] {
        let got = resolve(&ints, text, Casting::SameKind);
        match text {
            "f4,f->f" => assert_eq!(
                got.unwrap_err().message,
                "f4 in the signature of f is no dtype"
            ),
            _ => assert_eq!(got, Ok(F32), "{text}"),
        }
    }
    let doubles = [typed(F64), typed(F64)];
    assert_eq!(resolve(&doubles, "->f", Casting::SameKind), Ok(F32));
    assert_eq!(resolve(&doubles, "->i", Casting::Unsafe), Ok(I32));
    assert_eq!(resolve(&[typed(F64), FLOAT], "i", Casting::Unsafe), Ok(I32));
    let error = |args: &[ArgType], text: &str, casting| {
        let error = resolve(args, text, casting).unwrap_err();
        (error.message, error.help.unwrap_or_default())
    };
    let text = |a: &str, b: &str| (a.to_string(), b.to_string());
    assert_eq!(
        error(&doubles, "->i", Casting::SameKind),
        text(
            "input x0 of f cannot be cast from f64 to i32 under casting = same_kind",
            "casting = unsafe permits it"
        )
    );
    assert_eq!(
        error(&doubles, "->f", Casting::Safe),
        text(
            "input x0 of f cannot be cast from f64 to f32 under casting = safe",
            "casting = same_kind permits it"
        )
    );
    assert_eq!(
        error(&ints, "", Casting::No).0,
        "the signature  does not fit f, which has 2 dtypes before the arrow and 1 behind it"
    );
    assert_eq!(
        error(&ints, "ff", Casting::No).0,
        "the signature ff does not fit f, which has 2 dtypes before the arrow and 1 behind it"
    );
    assert_eq!(
        error(&ints, "f->f", Casting::No).0,
        "the signature f->f does not fit f, which has 2 dtypes before the arrow and 1 behind it"
    );
    assert_eq!(
        error(&ints, "df->f", Casting::Unsafe).0,
        "f has no instance with both f64 and f32 for T"
    );
    assert!(
        error(&ints, "?", Casting::Unsafe)
            .0
            .starts_with("f has no instance with out: bool, since T must be i8, ")
    );
    // Without a signature inputs cast safely, or less than that.
    let mixed = [typed(I8), typed(I16)];
    let plain = |casting| {
        let overrides = Overrides {
            loop_dtypes: &[],
            casting,
        };
        resolve_call(&add, &mixed, &overrides).map_err(|e| e.message)
    };
    assert_eq!(plain(Casting::Unsafe), Ok(vec![I16]));
    assert_eq!(
        plain(Casting::No),
        Err("input x0 of f cannot be cast from i8 to i16 under casting = no".into())
    );
}

#[test]
fn fixed_results_and_their_overrides() {
    let mut test = signature(Float, 1);
    test.outputs[0].1 = TypeSpec::DType(Bool);
    let resolve = |dtype| {
        let loop_dtypes = of_outputs(&test, dtype);
        let overrides = Overrides {
            loop_dtypes: &loop_dtypes,
            casting: Casting::SameKind,
        };
        resolve_call(&test, &[typed(F32)], &overrides)
    };
    assert_eq!(resolve(Bool), Ok(vec![F32]));
    let error = resolve(F64).unwrap_err();
    assert_eq!(
        error.message,
        "f has no instance with out: f64, since out is bool"
    );
}

#[test]
fn characters_are_numpys() {
    for dtype in DType::ALL {
        assert_eq!(dtype_from_text(&char_of(*dtype).to_string()), Some(*dtype));
        assert_eq!(dtype_from_text(dtype.name()), Some(*dtype));
        assert_eq!(dtype_from_text(dtype.numpy_name()), Some(*dtype));
    }
    assert_eq!(dtype_from_text("q"), Some(I64));
    assert_eq!(dtype_from_text("Q"), Some(U64));
    assert_eq!(dtype_from_text("x"), None);
    assert_eq!(
        types(&signature(Int, 2)),
        [
            "bb->b", "BB->B", "hh->h", "HH->H", "ii->i", "II->I", "ll->l", "LL->L"
        ]
    );
}
