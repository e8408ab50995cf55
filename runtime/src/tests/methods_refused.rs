//! Methods of ufuncs given what they refuse.

use super::execution::engines;
use super::methods::{cpu, ufunc};
use crate::{Arg, Array, Axis, Reduce, Result, SliceIndex};
use kjit_ir::{DType, Scalar};

#[test]
fn mistakes_are_named() {
    let engine = cpu();
    let x = Array::zeros(DType::F64, &[2, 3]).unwrap();
    let message = |result: Result<Array>| result.unwrap_err().message;
    let reduce =
        |name: &str, x: &Array, options: &Reduce| message(ufunc(name).reduce(&engine, x, options));
    let along = |axis| Reduce {
        axis,
        ..Reduce::default()
    };
    assert_eq!(
        reduce("add", &x, &along(Axis::One(2))),
        "add.reduce: axis 2 is out of bounds for an array of 2 dimensions"
    );
    assert_eq!(
        reduce("add", &x, &along(Axis::Many(vec![1, -1]))),
        "add.reduce: duplicate value in axis: axis -1 is given twice"
    );
    assert_eq!(
        reduce("sub", &x, &along(Axis::All)),
        "reduction operation sub is not reorderable, so at most one axis may be specified"
    );
    assert_eq!(
        reduce(
            "least",
            &Array::zeros(DType::F64, &[3, 0]).unwrap(),
            &along(Axis::One(1))
        ),
        "zero-size array to reduction operation least which has no identity"
    );
    assert_eq!(
        reduce("twice", &x, &Reduce::default()),
        "twice.reduce is only for ufuncs with two inputs and one output, and twice has 1 and 1"
    );
    assert_eq!(
        reduce("below", &x, &Reduce::default()),
        "below.reduce of f64 has no loop: (f64, f64) -> bool cannot combine its result with the next \
         element"
    );
    let mask = Array::zeros(DType::Bool, &[2, 3]).unwrap();
    let short = Array::zeros(DType::Bool, &[2]).unwrap();
    let masked = |mask| Reduce {
        where_: Some(mask),
        ..Reduce::default()
    };
    assert_eq!(
        reduce("least", &x, &masked(&mask)),
        "reduction operation least does not have an identity, so to use a where mask one has to specify \
         initial"
    );
    assert_eq!(
        reduce("add", &x, &masked(&short)),
        "add.reduce: where of shape (2,) does not broadcast to the operand's (2, 3)"
    );
    assert_eq!(
        reduce("add", &x, &masked(&x)),
        "add.reduce: where is f64, and must be bool"
    );
    let many = Reduce {
        initial: Some(Arg::Array(x.clone())),
        ..Reduce::default()
    };
    assert_eq!(
        reduce("add", &x, &many),
        "add.reduce: initial is one number, not an array of shape (2, 3)"
    );
    let one = Array::scalar(Scalar::f64(1.0));
    assert_eq!(
        message(ufunc("add").accumulate(&engine, &one, 0, None)),
        "add.accumulate: cannot accumulate on a scalar"
    );
    let indices = |list: Vec<i64>| Array::from_vec(list.clone(), &[list.len()]).unwrap();
    assert_eq!(
        message(ufunc("add").reduceat(&engine, &x, &indices(vec![0, 3]), 1, None)),
        "index 3 out-of-bounds in add.reduceat [0, 3)"
    );
    assert_eq!(
        message(ufunc("add").reduceat(&engine, &x, &x, 1, None)),
        "add.reduceat: indices are f64, and must be integers that i64 can hold"
    );
    let mut out = Array::zeros(DType::I32, &[3]).unwrap();
    let into = |shape: &[usize], dtype| {
        let mut out = Array::zeros(dtype, shape).unwrap();
        let done = ufunc("add").reduce_into(&engine, &x, &Reduce::default(), &mut out);
        done.unwrap_err().message
    };
    assert_eq!(
        into(&[2], DType::F64),
        "add.reduce: out has shape (2,), and the result (3,)"
    );
    assert_eq!(
        into(&[3], DType::I32),
        "add.reduce: out is i32, to which the result's f64 does not cast with casting = same_kind"
    );
    let mut at = |name: &str, index: Vec<i64>, values: Option<Arg>| {
        let done = ufunc(name).at(&engine, &mut out, &indices(index), values.as_ref());
        done.unwrap_err().message
    };
    let one = || Some(Arg::Int(1));
    assert_eq!(
        at("add", vec![0, 3], one()),
        "index 3 is out of bounds for axis 0 with 3 elements"
    );
    assert_eq!(at("add", vec![0], None), "add.at needs a second operand");
    assert_eq!(
        at("twice", vec![0], one()),
        "twice.at takes no values, since twice has one argument"
    );
    assert_eq!(
        at("add", vec![0], Some(Arg::Float(1.5))),
        "add.at: results are f64, which does not cast to the target's i32 with casting = same_kind"
    );
    assert_eq!(
        at("add", vec![0, 1], Some(Arg::Array(indices(vec![1, 2, 3])))),
        "add.at: values of shape (3,) do not broadcast to (2,), the shape of the indices and the other axes \
         of the target"
    );
    assert_eq!(out.to_vec::<i32>().unwrap(), [0; 3], "nothing was written");
}

/// A check of the program that fails inside of a method is an error, and `at` changes nothing then.
#[test]
fn failing_checks_are_errors() {
    for engine in engines() {
        let x = Array::from_vec(vec![0i64, 1, 2, 9], &[4]).unwrap();
        let failed = ufunc("checked").reduce(&engine, &x, &Reduce::default());
        let text = "index out of bounds: `t` has 4 elements";
        assert_eq!(failed.unwrap_err().message, text, "{engine:?}");
        let failed = ufunc("checked").accumulate(&engine, &x, 0, None);
        assert_eq!(failed.unwrap_err().message, text);
        let mut target = Array::zeros(DType::I64, &[4]).unwrap();
        let failed = ufunc("checked").at(
            &engine,
            &mut target,
            &x.slice(&[SliceIndex::range(None, Some(3))]).unwrap(),
            Some(&Arg::Int(9)),
        );
        assert_eq!(failed.unwrap_err().message, text);
        assert_eq!(target.to_vec::<i64>().unwrap(), [0; 4]);
    }
}

/// Axes without elements may be as long as they like: the product of two of them is no number.
#[test]
fn at_of_several_axes_where_their_product_overflows() {
    let engine = cpu();
    let none = Array::from_vec(Vec::<i64>::new(), &[0]).unwrap();
    let mut target = Array::zeros(DType::F64, &[1 << 40, 1 << 40, 0]).unwrap();
    let indices = [none.clone(), none];
    let one = Arg::from(1.0);
    let result = ufunc("add").at_axes(&engine, &mut target, &indices, Some(&one));
    // Nothing to do, or an error that says why: no panic, and no other shape.
    if let Err(error) = result {
        assert!(error.message.contains("memory"), "{}", error.message);
    }
    assert_eq!(target.shape(), [1 << 40, 1 << 40, 0]);
}
