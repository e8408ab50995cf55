//! `kjit call` with methods and with options that say how: results, and what a mistake is called.

use crate::support::Sandbox;

const FILE: &str = "\
ufunc add<T: number>(a: T, b: T) -> T identity 0 { a + b }
ufunc sub<T: number>(a: T, b: T) -> T { a - b }
ufunc neg<T: number>(x: T) -> T { -x }
ufunc divmod(a: i64, b: i64) -> (q: i64, r: i64) { (a / b, a % b) }
ufunc recip(x: f64) -> f64 { 1.0 / x }
ufunc positive(x: f64) -> bool { x > 0.0 }
gufunc matmul<T: number>(a: [T; m, k], b: [T; k, n]) -> (c: [T; m, n]) {
    for i in 0..m {
        for j in 0..n {
            let mut acc: T = 0;
            for l in 0..k { acc += a[i, l] * b[l, j]; }
            c[i, j] = acc;
        }
    }
}
gufunc histogram(x: [i64; n]) -> (count: [i64; bins]) { for i in 0..n { count[x[i]] += 1; } }
gufunc total<T: number>(x: [T; n]) -> (s: T) { s = 0; for i in 0..n { s += x[i]; } }
";

/// A folder with the ufuncs, a matrix [[0, 1, 2], [3, 4, 5]], a mask of three elements and indices.
fn sandbox() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.write("f.k", FILE);
    sandbox.write("a.csv", "0,1,2\n3,4,5\n");
    sandbox.write("mask.csv", "1,0,1\n");
    sandbox.write("ix.csv", "0\n2\n2\n");
    sandbox.write("halves.csv", "0\n0.5\n");
    let make = "main {
        save(\"mask.npy\", [1, 0, 1] == 1);
        save(\"ix.npy\", [0, 2, 2]);
        save(\"far.npy\", [0, 9]);
    }";
    sandbox.write("make.k", make);
    sandbox.run(&["run", "-q", "make.k"]).ok();
    sandbox
}

/// Words of a command line.
fn call(sandbox: &Sandbox, words: &str) -> crate::support::Ran {
    let args: Vec<&str> = ["call", "f.k"]
        .into_iter()
        .chain(words.split_whitespace())
        .collect();
    sandbox.run(&args)
}

/// What commands print.
fn prints(cases: &[(&str, &str)]) {
    let sandbox = sandbox();
    for (words, want) in cases {
        assert_eq!(call(&sandbox, words).ok(), format!("{want}\n"), "{words}");
    }
}

/// What commands say that end with exit code 1, and with an output file named leave it unwritten.
fn refuses(cases: &[(&str, &[&str])]) {
    let sandbox = sandbox();
    let before = sandbox.files();
    for (words, wants) in cases {
        let message = call(&sandbox, &format!("{words} -o out.npy")).error();
        for want in *wants {
            assert!(message.contains(want), "{words}\n{message}\nlacks: {want}");
        }
        assert_eq!(sandbox.files(), before, "{words}");
    }
}

#[test]
fn options_of_calls() {
    prints(&[
        (
            "add a.csv 10 --where mask.npy",
            "[[10.  0. 12.]\n [13.  0. 15.]]",
        ),
        ("add arange:3 10 --where true", "[10 11 12]"),
        // A .csv knows floats alone.
        ("add arange:3 10 --where mask.csv", "[[10  0 12]]"),
        ("recip 2 --fpe ignore", "0.5"),
        ("total a.csv --axes 0;", "[3. 5. 7.]"),
        (
            "matmul a.csv a.csv --axes 1,0;0,1;0,1",
            "[[ 9. 12. 15.]\n [12. 17. 22.]\n [15. 22. 29.]]",
        ),
        ("add arange:3:dtype=f64 0.1 --dtype f32", "[0.1 1.1 2.1]"),
        (
            "add arange:3:dtype=f64 10 --dtype i8 --casting unsafe",
            "[10 11 12]",
        ),
        (
            "add arange:3:dtype=f64 10 --signature ff->f",
            "[10. 11. 12.]",
        ),
        (
            "add arange:3:dtype=f64 10 --signature f32,f32->f32",
            "[10. 11. 12.]",
        ),
        ("histogram arange:3 --dim bins=5", "[1 1 1 0 0]"),
        ("histogram arange:3 --dim bins=5 --dim n=3", "[1 1 1 0 0]"),
        ("total a.csv", "[ 3. 12.]"),
        ("total a.csv --axis 0", "[3. 5. 7.]"),
        ("total a.csv --axis 0 --keepdims", "[[3. 5. 7.]]"),
    ]);
}

#[test]
fn methods() {
    prints(&[
        ("add a.csv --method reduce", "[3. 5. 7.]"),
        (
            "add a.csv --method reduce --axis none --keepdims",
            "[[15.]]",
        ),
        ("add a.csv --method reduce --axis 0,1 --initial 10", "25.0"),
        (
            "add a.csv --method reduce --axis -1 --initial -1.5",
            "[ 1.5 10.5]",
        ),
        ("add a.csv --method reduce --where mask.npy", "[3. 0. 7.]"),
        ("add a.csv --method reduce --dtype i32", "[3 5 7]"),
        (
            "sub a.csv --method accumulate --axis 1",
            "[[ 0. -1. -3.]\n [ 3. -1. -6.]]",
        ),
        ("add arange:6 ix.npy --method reduceat", "[ 1  2 14]"),
        ("add arange:6 ix.csv --method reduceat", "[ 1  2 14]"),
        (
            "add arange:2 arange:3 --method outer",
            "[[0 1 2]\n [1 2 3]]",
        ),
        (
            "add arange:2 arange:3 --method outer --dtype f32",
            "[[0. 1. 2.]\n [1. 2. 3.]]",
        ),
        (
            "add arange:2:dtype=f64 3 --method outer --dtype u8 --casting unsafe",
            "[3 4]",
        ),
        ("divmod arange:3 2 --method outer", "[0 0 1]\n[0 1 0]"),
        ("add arange:4 ix.npy 10 --method at", "[10  1 22  3]"),
        ("add arange:4 ix.npy arange:3 --method at", "[0 1 5 3]"),
        ("add arange:4 2 10 --method at", "[ 0  1 12  3]"),
        ("neg arange:4 ix.npy --method at", "[0 1 2 3]"),
    ]);
}

#[test]
fn wrong_shapes_name_operands_and_sizes() {
    refuses(&[
        (
            "add arange:6 arange:4",
            &["operands a and b of add", "(6,)", "(4,)"],
        ),
        (
            "add arange:6 1 --where mask.npy",
            &["where of add", "(6,)", "(3,)"],
        ),
        (
            "matmul a.csv a.csv",
            &["operand 1 (b) of matmul", "(k): 2 is not 3"],
        ),
        (
            "matmul a.csv arange:3",
            &["operand 1 (b) of matmul has 1 axis, and its core has 2"],
        ),
        (
            "total 3",
            &["operand 0 (x) of total has 0 axes, and its core has 1"],
        ),
        (
            "histogram arange:3 --dim bins=4 --dim n=4",
            &["operand 0 (x) of histogram", "(n): 3 is not 4"],
        ),
        (
            "histogram arange:3 --dim bin=4",
            &["no core dimension bin", "(n)->(bins)"],
        ),
        (
            "histogram arange:3 --dim bins=2",
            &["index 2 is out of bounds for axis 0 of count with extent 2"],
        ),
        (
            "histogram arange:3",
            &[
                "needs the extent of its core dimension bins",
                "give it as --dim bins=10",
            ],
        ),
        (
            "add a.csv --method reduce --where ix.npy",
            &["add.reduce: where is i64, and must be bool"],
        ),
        (
            "add arange:6 --method reduce --where mask.npy",
            &["where of shape (3,)", "operand's (6,)"],
        ),
        (
            "add a.csv --method reduce --initial arange:3",
            &["initial is one number", "shape (3,)"],
        ),
        (
            "add arange:6 far.npy --method reduceat",
            &["index 9 out-of-bounds in add.reduceat [0, 6)"],
        ),
        (
            "add arange:6 ix.npy arange:4 --method at",
            &["add.at: values of shape (4,)", "to (3,)"],
        ),
        (
            "add arange:6 far.npy 1 --method at",
            &["index 9 is out of bounds for axis 0 with 6 elements"],
        ),
        (
            "add 6 ix.npy 1 --method at",
            &["add.at: a single value has no axis to index"],
        ),
    ]);
}

#[test]
fn wrong_axes() {
    refuses(&[
        (
            "total a.csv --axis 2",
            &["axis 2 is out of bounds for operand 0 (x) of total, which has 2 axes"],
        ),
        ("total a.csv --axis 0,1", &["a call takes one axis"]),
        (
            "matmul a.csv a.csv --axis 0",
            &["matmul does not take axis", "(m,k),(k,n)->(m,n)"],
        ),
        (
            "add 1 2 --axis 0",
            &["add has no core dimensions and takes no axis"],
        ),
        (
            "add a.csv --method reduce --axis 2",
            &["add.reduce: axis 2 is out of bounds", "(2, 3)"],
        ),
        (
            "add a.csv --method reduce --axis 0,0",
            &["duplicate value in axis: axis 0"],
        ),
        ("add a.csv --method reduce --axis x", &["x is no axis"]),
        (
            "sub a.csv --method reduce --axis 0,1",
            &["sub is not reorderable"],
        ),
        (
            "add a.csv --method accumulate --axis none",
            &["accumulate goes along one axis"],
        ),
    ]);
}

#[test]
fn wrong_dtypes_and_signatures() {
    let add = "add arange:3:dtype=f64 1";
    let cast = |options: &str| format!("{add} {options}");
    refuses(&[
        (
            &cast("--dtype i32"),
            &[
                "input a of add",
                "from f64 to i32 under casting = same_kind",
            ],
        ),
        (
            &cast("--dtype f32 --casting safe"),
            &["from f64 to f32 under casting = safe"],
        ),
        (&cast("--signature ff"), &["the signature", "ff"]),
        (
            &cast("--signature f->f"),
            &["does not fit add, which has 2 dtypes before the arrow and 1 behind it"],
        ),
        (
            &cast("--signature fz->f"),
            &["z in the signature of add is no dtype"],
        ),
        (
            &cast("--where ix.npy"),
            &["the mask of add is an array of i64, not of bool"],
        ),
        (
            &cast("--where 1"),
            &["the mask of add is an array of i64, not of bool"],
        ),
        (&cast("--initial 1"), &["a call takes no --initial"]),
        (
            "add arange:3:dtype=f64 arange:2 --method outer --dtype i32",
            &["from f64 to i32"],
        ),
        (
            "add arange:6 ones:2 --method reduceat",
            &["add.reduceat: indices are f64, and must be integers"],
        ),
        (
            "add arange:6 ix.npy 1.5 --method at",
            &["results are f64", "the target's i64"],
        ),
        (
            "positive a.csv --method reduce",
            &["positive.reduce is only for ufuncs with two inputs and one output"],
        ),
        (
            "total a.csv --method reduce",
            &["total is a gufunc, and reduce is only for ufuncs"],
        ),
        (
            "total a.csv --where true",
            &["total is a gufunc and takes no mask"],
        ),
    ]);
}

#[test]
fn options_and_arguments_that_a_method_does_not_take() {
    refuses(&[
        (
            "add a.csv --method reduce --signature ff->f",
            &["reduce takes no --signature"],
        ),
        (
            "add a.csv --method accumulate --keepdims",
            &["accumulate takes no --keepdims"],
        ),
        (
            "add a.csv 1 --method outer --where true",
            &["outer takes no --where"],
        ),
        (
            "add arange:6 ix.npy 1 --method at --dtype f32",
            &["at takes no --dtype"],
        ),
        (
            "add a.csv a.csv --method reduce",
            &["add.reduce takes 1 argument, not 2"],
        ),
        (
            "add a.csv --method reduceat",
            &["add.reduceat takes 2 arguments, not 1"],
        ),
        (
            "add a.csv --method outer",
            &["add.outer takes 2 arguments, not 1"],
        ),
        (
            "add arange:6 ix.npy --method at",
            &["add.at needs a second operand"],
        ),
        (
            "neg arange:6 ix.npy 3 --method at",
            &["neg.at takes no values, since neg has one argument"],
        ),
        (
            "neg arange:6 2 --method outer",
            &["neg.outer is only for ufuncs with two inputs"],
        ),
        ("add 1", &["add takes 2 arguments, not 1"]),
        (
            "add 1 2 -o more.npy",
            &["add has 1 output but 2 files were given"],
        ),
        ("divmod 7 2", &["divmod has 2 outputs but 1 file was given"]),
    ]);
}

#[test]
fn what_is_no_argument_mask_or_list_of_axes() {
    refuses(&[
        (
            "add 1.5x 2",
            &["`1.5x` is neither a number, nor true or false, nor an array"],
        ),
        ("add 1 [1,2]", &["`[1,2]` is neither a number"]),
        (
            "add 1 2 --where halves.csv",
            &["halves.csv has 0.5, which a mask cannot have"],
        ),
        (
            "add arange:6 halves.csv --method reduceat",
            &[
                "halves.csv has 0.5, which indices cannot have",
                "whole numbers",
            ],
        ),
        ("total a.csv --axes x", &["x is no list of axes"]),
        (
            "add 1 2 --axes 0;0;0",
            &["add has no core dimensions and takes no axes"],
        ),
        (
            "add a.csv --method reduce --axes 0",
            &["reduce takes no --axes"],
        ),
    ]);
}

#[test]
fn words_that_are_no_options_are_wrong_usage() {
    let sandbox = sandbox();
    for (words, want) in [
        ("add 1 2 --casting bold", "'bold' for '--casting"),
        ("add a.csv --method fold", "'fold' for '--method"),
        ("histogram arange:3 --dim bins", "expected NAME=N"),
        ("histogram arange:3 --dim bins=-3", "N is a whole number"),
        (
            "add 1 2 --signature ff->f --dtype f32",
            "cannot be used with",
        ),
    ] {
        let ran = call(&sandbox, words);
        assert_eq!(ran.code, Some(2), "{words}\n{}", ran.stderr);
        assert!(ran.stderr.contains(want), "{words}\n{}", ran.stderr);
    }
}

#[test]
fn status_flags_name_the_ufunc_and_its_place() {
    let sandbox = sandbox();
    let ran = call(&sandbox, "recip linspace:-1:1:3 --fpe warn");
    assert_eq!(ran.code, Some(0));
    assert_eq!(ran.stdout, "[-1. inf  1.]\n");
    assert_eq!(
        ran.stderr,
        "warning: divide by zero in recip at 1 of 3 elements, first at index (1,) (f.k:5:7)\n"
    );
    refuses(&[(
        "recip linspace:-1:1:3 --fpe raise",
        &[
            "divide by zero in recip at 1 of 3 elements, first at index (1,)",
            "f.k:5:7",
        ],
    )]);
}

#[test]
fn status_flags_of_programs_name_the_expression_and_its_place() {
    let sandbox = sandbox();
    sandbox.write(
        "m.k",
        "ufunc recip(x: f64) -> f64 { 1.0 / x }
main {
    let x = linspace(-1.0, 1.0, 3);
    let y = 2.0 / x;
    print(y + recip(x) * 0.5);
    print(sum(log(x)));
}",
    );
    let ran = sandbox.run(&["run", "-q", "m.k", "--fpe", "warn"]);
    assert_eq!(ran.stdout, "[-2.5  inf  2.5]\nnan\n");
    let lines: Vec<&str> = ran.stderr.lines().collect();
    let at = "at 1 of 3 elements, first at index";
    assert_eq!(
        lines,
        [
            format!("warning: divide by zero in `2.0 / x` {at} (1,) (m.k:4:13)"),
            format!("warning: divide by zero in recip {at} (1,) (m.k:5:15)"),
            format!("warning: divide by zero in log {at} (1,) (m.k:6:15)"),
            format!("warning: invalid value in log {at} (0,) (m.k:6:15)"),
        ]
    );
    let message = sandbox.run(&["run", "-q", "m.k", "--fpe", "raise"]).error();
    assert!(message.contains("divide by zero in `2.0 / x`"), "{message}");
    assert!(message.contains("m.k:4:13"), "{message}");
}
