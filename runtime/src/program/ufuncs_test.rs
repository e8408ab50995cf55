//! Methods, named arguments and reductions along axes in array programs, against NumPy's answers.

use super::tests::{fails, prints};
use crate::ErrorKind;

const UFUNCS: &str = "ufunc add<T: number>(a: T, b: T) -> T identity 0 { a + b }
ufunc sub<T: number>(a: T, b: T) -> T { a - b }
ufunc parts<T: real>(a: T, b: T) -> (sum: T, difference: T) { (a + b, a - b) }
";

fn main_prints(body: &str, expected: &str) {
    let text = format!("{UFUNCS}main {{ let x = reshape(arange(6), (2, 3)); {body} }}");
    prints(&text, expected);
}

#[test]
fn reduce_along_axes() {
    main_prints("print(add.reduce(x));", "[3 5 7]");
    main_prints("print(add.reduce(x, axis = 1));", "[ 3 12]");
    main_prints(
        "print(add.reduce(x, axis = none), add.reduce(x, axis = (0, 1)));",
        "15 15",
    );
    main_prints(
        "print(add.reduce(x, axis = -1, keepdims = true));",
        "[[ 3]\n [12]]",
    );
    main_prints("print(add.reduce(x, axis = 1, initial = 10));", "[13 22]");
    main_prints("print(add.reduce(x, where = x > 1));", "[3 4 7]");
    main_prints("print(add.reduce(x, dtype = f32));", "[3. 5. 7.]");
    main_prints("print(sub.reduce(x, axis = 1));", "[-3 -6]");
    main_prints(
        "print(max.reduce(x), min.reduce(x, axis = none));",
        "[3 4 5] 0",
    );
    // What is reduced may still have to be computed.
    main_prints("print(add.reduce(2 * x + 1, axis = 1));", "[ 9 27]");
}

#[test]
fn other_methods() {
    main_prints(
        "print(add.accumulate(x, axis = 1));",
        "[[ 0  1  3]\n [ 3  7 12]]",
    );
    main_prints(
        "print(add.reduceat(arange(8), [0, 4, 1, 5]));",
        "[ 6  4 10 18]",
    );
    main_prints(
        "print(add.outer([1, 2], [10, 20, 30]));",
        "[[11 21 31]\n [12 22 32]]",
    );
    main_prints(
        "let (s, d) = parts.outer([1, 2], [10, 20]); print(s); print(d);",
        "[[11 21]\n [12 22]]\n[[ -9 -19]\n [ -8 -18]]",
    );
    // Duplicates count each, and the old array keeps its elements.
    main_prints(
        "let z = zeros(4, dtype = i64); print(add.at(z, [0, 0, 3], [1, 2, 3]), z);",
        "[3 0 0 3] [0 0 0 0]",
    );
}

#[test]
fn calls_with_named_arguments() {
    main_prints("print(add(x, 1, where = x > 2));", "[[0 0 0]\n [4 5 6]]");
    main_prints("print(add([1, 2], [3, 4], dtype = f32));", "[4. 6.]");
    main_prints(
        "print(add([1, 2], [3, 4], signature = \"ff->f\", casting = \"unsafe\"));",
        "[4. 6.]",
    );
    main_prints(
        "let (s, d) = parts(x, 1, where = x == 5); print(max(s), max(d));",
        "6 4",
    );
    main_prints("print(hypot(3.0, [4.0], dtype = f32));", "[5.]");
}

#[test]
fn reductions_of_main_along_axes() {
    main_prints(
        "print(sum(x, axis = 0), sum(x, axis = none), sum(x > 2, axis = 1));",
        "[3 5 7] 15 [0 3]",
    );
    main_prints("print(sum(x, keepdims = true));", "[[15]]");
    main_prints(
        "print(mean(x, axis = 1), mean(x, axis = 0));",
        "[1. 4.] [1.5 2.5 3.5]",
    );
    main_prints(
        "print(min(x, axis = 0)); print(max(x, axis = 1, keepdims = true));",
        "[0 1 2]\n[[2]\n [5]]",
    );
    main_prints("print(max(x > 2, axis = 1));", "[false  true]");
    main_prints(
        "print(cumsum([1, 2, 3]), cumsum(x, axis = 1));",
        "[1 3 6] [[ 0  1  3]\n [ 3  7 12]]",
    );
    // `sum` does not depend on what the program calls `add`.
    prints(
        "ufunc add<T: number>(a: T, b: T) -> T { a * b } main { print(sum([[2, 3], [4, 5]], axis = 0)); }",
        "[6 8]",
    );
}

#[test]
fn complex_and_half_arrays() {
    let text = "ufunc unit<T: complex>(z: T) -> T { let r = abs(z); complex(re(z) / r, im(z) / r) }
    main {
        let z = complex([3.0, 0.0], [4.0, 1.0]);
        print(z, abs(z), unit(z), conj(z), re(z), z < 2.0);
        print([1.5f16, 2.0f16] * 2, 1.0f16 / 3, complex(1, 2));
    }";
    prints(
        text,
        "[3.+4.j 0.+1.j] [5. 1.] [0.6+0.8j 0. +1.j ] [3.-4.j 0.-1.j] [3. 0.] [false  true]
[3. 4.] 0.3333 (1+2j)",
    );
    fails(
        "main { let z = complex([3.0], [4.0]); print(z as f64); }",
        ErrorKind::DType,
        "a c128 array of shape (1,) cannot be converted to f64, which has no imaginary part",
        "z as f64",
    );
}

#[test]
fn arguments_that_do_not_fit_are_named() {
    let program = |call: &str| format!("{UFUNCS}main {{ let x = arange(6); print({call}); }}");
    fails(
        &program("sum(x, axis = 1.5)"),
        ErrorKind::DType,
        "axis is an integer, a tuple of them, or none, not a float",
        "1.5",
    );
    fails(
        &program("add.reduce(x, keepdims = 1)"),
        ErrorKind::DType,
        "keepdims is true or false, not an integer",
        "1",
    );
    fails(
        &program("add.accumulate(x, axis = none)"),
        ErrorKind::Value,
        "add.accumulate goes along one axis",
        "add.accumulate(x, axis = none)",
    );
    fails(
        &program("add(x, x, signature = 3)"),
        ErrorKind::DType,
        "signature is text such as \"ff->f\", not an integer",
        "3",
    );
}

#[test]
fn extremes_along_an_axis_are_the_first_and_nan_wins() {
    let body = "let y = [[3.0, 1.0, 1.0], [0.0, 5.0, -0.0]];";
    for (what, expected) in [
        ("argmin(y, axis = 0)", "[1 0 1]"),
        ("argmin(y, axis = 1)", "[1 0]"),
        ("argmax(y, axis = -1, keepdims = true)", "[[0]\n [1]]"),
        ("argmax(y, axis = none, keepdims = true)", "[[4]]"),
        ("argmax(y, keepdims = true)", "[[4]]"),
        ("argmax(y as f16, axis = 0)", "[0 1 0]"),
        ("argmax(complex(1.0, y), axis = 0)", "[0 1 0]"),
        ("argmax(y > 0.0, axis = 0)", "[0 0 0]"),
        ("argmin(x, axis = 0) + argmax(x, axis = 0)", "[1 1 1]"),
        ("argmin(2 * x - 3, axis = 1)", "[0 0]"),
        ("argmax([[1.0, 0.0 / 0.0], [2.0, 3.0]], axis = 0)", "[1 0]"),
        ("argmin([[1.0, 0.0 / 0.0], [2.0, 3.0]], axis = 1)", "[1 0]"),
        ("argmin(zeros((0, 2)), axis = 1)", "[]"),
        // Rows long enough to be reduced on the tree.
        (
            "argmax(reshape(arange(400000), (2, 200000)), axis = 1)",
            "[199999 199999]",
        ),
    ] {
        main_prints(&format!("{body} print({what});"), expected);
    }
    let wrong = |call: &str, message: &str| {
        let text = format!("main {{ let x = reshape(arange(6), (2, 3)); {call}; }}");
        fails(&text, ErrorKind::Value, message, call);
    };
    wrong(
        "argmin(x, axis = 2)",
        "argmin: axis 2 is out of bounds for an array of 2 dimensions",
    );
    wrong("argmin(x, axis = (0, 1))", "argmin goes along one axis");
    wrong(
        "argmax(zeros((2, 0, 3)), axis = 1)",
        "argmax of no elements: the shape is (2, 0, 3)",
    );
}

#[test]
fn at_takes_a_tuple_of_indices() {
    let zeros = "let z = zeros((2, 3), dtype = i64);";
    for (call, expected) in [
        (
            "add.at(z, ([0, 1, 0], [2, -1, 2]), [1, 10, 100])",
            "[[  0   0 101]\n [  0   0  10]]",
        ),
        // Indices broadcast, and values to them.
        (
            "add.at(z, (reshape([0, 1], (2, 1)), [0, 2]), [1, 2])",
            "[[1 0 2]\n [1 0 2]]",
        ),
        ("add.at(z, (1, 1), 7)", "[[0 0 0]\n [0 7 0]]"),
        ("add.at(z, (1,), 7)", "[[0 0 0]\n [7 7 7]]"),
        // Axes behind those of the indices.
        (
            "add.at(reshape(z, (1, 2, 3)), ([0, 0], [1, 1]), [[1, 2, 3], [10, 20, 30]])",
            "[[[ 0  0  0]\n  [11 22 33]]]",
        ),
        // A target that is no block of memory.
        (
            "add.at(transpose(z), ([2, 2], [1, 1]), 1)",
            "[[0 0]\n [0 0]\n [0 2]]",
        ),
    ] {
        main_prints(&format!("{zeros} print({call});"), expected);
    }
    let wrong = |call: &str, kind: ErrorKind, message: &str| {
        let text = format!("{UFUNCS}main {{ let x = zeros((2, 3)); {call}; }}");
        fails(&text, kind, message, call);
    };
    wrong(
        "add.at(x, ([0, 1], [0, 3]), 1.0)",
        ErrorKind::Value,
        "index 3 is out of bounds for axis 1 with 3 elements",
    );
    wrong(
        "add.at(x, ([0, 1], [0, 1, 2]), 1.0)",
        ErrorKind::Shape,
        "add.at: indices of shapes (2,) and (3,) cannot be broadcast together",
    );
    wrong(
        "add.at(x, (0, 1, 2), 1.0)",
        ErrorKind::Shape,
        "add.at: there are indices for 3 axes, and the target has 2",
    );
    wrong(
        "add.at(x, (0, 0.5), 1.0)",
        ErrorKind::DType,
        "add.at: indices are f64, and must be integers that i64 can hold",
    );
}
