//! Tests of the parser: trees, precedence, recovery, limits, and that nothing makes it panic.

use super::{MAX_DEPTH, parse_file};
use crate::ast;
use crate::diagnostic::Diagnostic;
use crate::lexer::{MAX_SOURCE_BYTES, TokenKind, dump_tokens, lex};
use crate::render::render;
use crate::source::Source;
use arbitrary::Unstructured;

/// Good programs that touch all of the syntax.
pub(crate) const SAMPLES: &[&str] = &[
    "gufunc windows<T: float>(x: [T; n?, 3], f: [T; w], s: T) -> (y: [T; (n - w + 1) / 2, K * n], t: T) fast {
    t = s;
    for i in 0..n { y[i, 0] += x[i, 2] * f[i]; if n < 3 { return; } }
}
",
    "// saxpy
ufunc saxpy<T: float>(a: T, x: T, y: T) -> T { a * x + y }
param n = 1e6;
main {
    let x = uniform(n, seed = 1);
    print(\"sum\", sum(saxpy(2.0, x, x)));
}
",
    "ufunc roots<T: float>(a: T, b: T, c: T) -> (lo: T, hi: T) fast {
    let d = sqrt(b * b - 4 * a * c); // the discriminant
    ((-b - d) / (2 * a), (-b + d) / (2 * a))
}
ufunc add<T: number>(a: T, b: T) -> T identity 0 { a + b }
",
    "const LIMIT: i32 = 1_000;
fn escape(cr: f32, ci: f32) -> i32 {
    let mut x: f32 = 0.0;
    let mut y = 0.0f32;
    let mut n = 0;
    while x * x + y * y < 4.0 && n < LIMIT {
        let t = x * x - y * y + cr;
        y = 2.0 * x * y + ci;
        x = t;
        n += 1;
    }
    n
}
",
    "fn sums(a: i64) -> (i64, i64) {
    let mut buffer = [0; 8];
    let table: [f32; 2 + 2] = [1.0, 2.5e-3, .. ];
    0
}
",
    "fn control(a: u8) -> u8 {
    let mut s = 0xffu8;
    for i in 0..10 {
        if i == a { continue; } else if i > 7 { break; }
        s ^= i << 2;
    }
    loop {
        s -= 1;
        if s == 0 { return s; }
    }
    { let k = s; }
    if s > 1 { s } else { !s as i32 as u8 }
}
main {
    let (a, b) = roots(x, y, z);
    let v = x[1..-1, .., 2..];
    let r = load(\"a.npy\").sqrt().max(0.5);
    x[0] = -1;
    assert(all(v == r), \"they differ\\n\");
    /* nested /* comment */ here */
    save(\"z.npy\", if a { b } else { c });
}
",
];

fn good_samples() -> impl Iterator<Item = &'static str> {
    // one sample is wrong on purpose: it serves the mutations only
    SAMPLES.iter().copied().filter(|s| !s.contains(", .. ]"))
}

fn parse(text: &str) -> (ast::File, Vec<Diagnostic>) {
    parse_file(&Source::new("test.k", text))
}

fn rendered(text: &str, diagnostics: &[Diagnostic]) -> String {
    render(diagnostics, &[&Source::new("test.k", text)], false)
}

fn expr(text: &str) -> String {
    let program = format!("main {{ {text} }}");
    let (file, diagnostics) = parse(&program);
    assert!(
        diagnostics.is_empty(),
        "{}",
        rendered(&program, &diagnostics)
    );
    match &file.items[0].kind {
        ast::ItemKind::Main(block) => match &block.tail {
            Some(tail) => ast::dump_expr(tail),
            None => panic!("no tail in {text}"),
        },
        _ => panic!("no main in {text}"),
    }
}

#[test]
fn samples_parse() {
    for text in good_samples() {
        let (_, diagnostics) = parse(text);
        assert!(diagnostics.is_empty(), "{}", rendered(text, &diagnostics));
    }
}

#[test]
fn expressions() {
    let table = [
        // precedence is Rust's
        ("1 + 2 * 3", "(+ 1 (* 2 3))"),
        ("1 * 2 + 3", "(+ (* 1 2) 3)"),
        ("a - b - c", "(- (- a b) c)"),
        ("a / b * c % d", "(% (* (/ a b) c) d)"),
        ("-a as f32 * b", "(* (as (neg a) f32) b)"),
        ("a as f32 as i32", "(as (as a f32) i32)"),
        ("a + b as f32", "(+ a (as b f32))"),
        ("-x.sqrt()", "(neg (method sqrt x))"),
        ("!a & b", "(& (not a) b)"),
        ("a | b ^ c & d", "(| a (^ b (& c d)))"),
        ("a << 1 + b", "(<< a (+ 1 b))"),
        ("a & b << c", "(& a (<< b c))"),
        ("a & b == c", "(== (& a b) c)"),
        ("a | b < c", "(< (| a b) c)"),
        (
            "a < b && c >= d || e != f",
            "(|| (&& (< a b) (>= c d)) (!= e f))",
        ),
        ("a || b && c", "(|| a (&& b c))"),
        ("- - a", "(neg (neg a))"),
        ("a - -b", "(- a (neg b))"),
        ("a as f32 < b", "(< (as a f32) b)"),
        ("(a + b) * c", "(* (+ a b) c)"),
        // literals
        ("1_000", "1000"),
        ("0xff", "255"),
        ("0b1010u8", "10u8"),
        ("0o17", "15"),
        ("1e8", "1e8"),
        ("1E-3", "1E-3"),
        ("2.5f32", "2.5f32"),
        ("2f64", "2f64"),
        ("1_f32", "1f32"),
        ("3.", "3."),
        (
            "340282366920938463463374607431768211455",
            "340282366920938463463374607431768211455",
        ),
        ("\"a\\tb\\u{41}\\\"\"", "\"a\\tbA\\\"\""),
        // calls, methods, indices
        ("f()", "(call f)"),
        ("f(a, b = 2)", "(call f a b=2)"),
        ("f(a == b)", "(call f (== a b))"),
        ("2.0.sqrt()", "(method sqrt 2.0)"),
        ("2.pow(3)", "(method pow 2 3)"),
        ("x.min(y).max(z)", "(method max (method min x y) z)"),
        ("f.reduce(x, axis = 0)", "(method reduce f x axis=0)"),
        ("x[0]", "(index x 0)"),
        ("x[1..-1, ..]", "(index x (.. 1 (neg 1)) (.. _ _))"),
        ("x[..n, a + 1..]", "(index x (.. _ n) (.. (+ a 1) _))"),
        ("x[i][j]", "(index (index x i) j)"),
        ("f(x)[0].g()", "(method g (index (call f x) 0))"),
        // tuples and arrays
        ("()", "(tuple)"),
        ("(a)", "a"),
        ("(a,)", "a"),
        ("(a, b,)", "(tuple a b)"),
        ("[]", "(array)"),
        ("[1, 2,]", "(array 1 2)"),
        ("[0.0; 4]", "(repeat 0.0 4)"),
        // blocks
        ("if a { b } else { c }", "(if a (block b) (block c))"),
        (
            "if a { b } else if c { d } else { e }",
            "(if a (block b) (block (if c (block d) (block e))))",
        ),
        (
            "if (a) { b } else { c }.sqrt() + 1",
            "(+ (method sqrt (if a (block b) (block c))) 1)",
        ),
        (
            "1 + if a { b } else { c } + 2",
            "(+ (+ 1 (if a (block b) (block c))) 2)",
        ),
        ("{ 1 } ", "(block 1)"),
        ("-{ 1 }", "(neg (block 1))"),
        ("π * r", "(* π r)"),
    ];
    for (text, expected) in table {
        assert_eq!(expr(text), expected, "{text}");
    }
}

#[test]
fn statements() {
    let text = "main {
    let mut x: [f32; 2] = [0.0; 2];
    let (mut a, mut b) = f(1);
    x[0] <<= 1;
    a = 3 // no semicolon is fine only at the end
    ;
    for i in 1..n - 1 { g(i); }
    if a { b = 1 } else { b = 2 }
    while a < 3 { a += 1; continue }
    { 1; }
    loop { if c { break } return }
    return 1;
}";
    let (file, diagnostics) = parse(text);
    assert!(diagnostics.is_empty(), "{}", rendered(text, &diagnostics));
    let expected = "(main (block
  (let mut x (type [f32 2]) (repeat 0.0 2))
  (let mut (tuple a b) (call f 1))
  (<<= (index x 0) 1)
  (= a 3)
  (for i 1 (- n 1) (block
    (do (call g i))))
  (do (if a (block
    (= b 1)) (block
    (= b 2))))
  (while (< a 3) (block
    (+= a 1)
    (continue)))
  (do (block
    (do 1)))
  (loop (block
    (do (if c (block
      (break))))
    (return)))
  (return 1)))
";
    assert_eq!(ast::dump(&file), expected);
}

#[test]
fn items() {
    let text = "ufunc f<T: float, U: int>(a: T, b: U) -> (lo: T, hi: T) identity -1 fast { (a, a) }
fn g(a: [f32; 3]) -> (f32, f32) { (1, 2) }
const N: i64 = 3;
param m = 1e3;
param k: f32 = 2;
main { }";
    let (file, diagnostics) = parse(text);
    assert!(diagnostics.is_empty(), "{}", rendered(text, &diagnostics));
    let expected = "(ufunc f (generics (T float) (U int)) (params (a T) (b U)) (outputs (lo T) (hi T)) (identity (neg 1)) fast (block (tuple a a)))
(fn g (params (a [f32 3])) (outputs f32 f32) (block (tuple 1 2)))
(const N i64 3)
(param m 1e3)
(param k f32 2)
(main (block))
";
    assert_eq!(ast::dump(&file), expected);
}

#[test]
fn tokens_are_dumped() {
    let expected = "0..1 Ident \"x\"\n2..3 Assign \"=\"\n4..5 Number \"0\"\n5..7 DotDot \"..\"\n7..8 Ident \"n\"\n9..13 LineComment \"// c\"\n13..13 Eof \"\"\n";
    assert_eq!(dump_tokens(&Source::new("t", "x = 0..n // c")), expected);
}

/// Every wrong program gives this one code, once.
#[test]
fn one_mistake_one_message() {
    let table = [
        // in `main`: (text, code)
        ("let x = 1 @ 2; let y = 3;", "E0101"),
        ("let x = 'abc'; let y = 3;", "E0101"),
        ("let x = 1 − 2;", "E0101"),
        (
            "# comment of another language ; ) } {\n let x = 1;",
            "E0101",
        ),
        ("let x = 0b12;", "E0102"),
        ("let x = 0x;", "E0102"),
        ("let x = 1e;", "E0102"),
        ("let x = 1.0f;", "E0102"),
        ("let x = 3abc;", "E0102"),
        ("let x = 2.5i32;", "E0102"),
        ("let x = 400000000000000000000000000000000000000;", "E0102"),
        ("print(\"a\\qb\");", "E0102"),
        ("print(\"abc);\n let x = 1;", "E0103"),
        ("let x = 1; /* never closed", "E0103"),
        ("let x = 1\n let y = 2;", "E0104"),
        ("let x = 1\n print(x);", "E0104"),
        ("let x = ;", "E0104"),
        ("let x 1;", "E0104"),
        ("let = 1;", "E0104"),
        ("let x;", "E0104"),
        ("let mut (a, b) = f(1);", "E0104"),
        ("let (mut a, b) = f(1);", "E0104"),
        ("let fast = 1;", "E0104"),
        ("if x = 1 { print(x); }", "E0104"),
        ("if x == 1 print(x);", "E0104"),
        ("if x: print(x);", "E0104"),
        ("let x = a and b;", "E0104"),
        ("let x = not a;", "E0104"),
        ("let x = a ** 2;", "E0104"),
        ("x++; print(x);", "E0104"),
        ("++x; print(x);", "E0104"),
        ("let y = c ? 1 : 2; print(y);", "E0104"),
        ("let y = a < b < c;", "E0104"),
        ("let y = a <> b;", "E0104"),
        ("let y = a === b;", "E0104"),
        ("let y = x.0;", "E0104"),
        ("let y = x.shape;", "E0104"),
        ("let y = .5;", "E0104"),
        ("let y = +5;", "E0104"),
        ("let y = &x;", "E0104"),
        ("let y = f32::MAX;", "E0104"),
        ("let y = f(a b); let z = 1;", "E0104"),
        ("let y = f(a, , b);", "E0104"),
        ("let y = x[1:3];", "E0104"),
        ("let y = x[];", "E0104"),
        ("let y = 0..3;", "E0104"),
        ("let y = a +;", "E0104"),
        ("let y = a + * b;", "E0104"),
        ("println!(\"{}\", x);", "E0104"),
        ("for i = 0 { }", "E0104"),
        ("for (i = 0; i < 3; i++) { print(i); }", "E0104"),
        ("for i in range(3) { print(i); }", "E0104"),
        ("for i in 0..=3 { print(i); }", "E0104"),
        ("loop { break 3; }", "E0104"),
        ("else { print(1); }", "E0104"),
        ("if a { b(); } elif c { d(); } else { e(); }", "E0104"),
        ("int x = 1; print(x);", "E0104"),
        ("x := 1; print(x);", "E0104"),
        ("match x { 1 => 2, _ => 3 }", "E0104"),
        ("let y = f(x)); let z = 1;", "E0104"),
        ("a = b = c;", "E0104"),
        ("let y = f(a, (b + c); let z = 1;", "E0105"),
        ("let y = [1, 2; let z = 1;", "E0105"),
        ("let y = x[1; let z = 1;", "E0105"),
        ("print((1);", "E0105"),
        ("if a { print(1);", "E0105"),
        ("if a {\n  b();\n else { c(); }", "E0105"),
        ("if a {\n  b()\n else { c(); }", "E0105"),
        ("let x = 1.0i;", "E0102"),
        ("let x = 2.0j;", "E0102"),
        ("fn inner(a: f32) -> f32 { a }\n let x = 1;", "E0210"),
        ("const A = 1;\n let x = 1;", "E0210"),
        ("let x = loop { break; };", "E0210"),
    ];
    for (text, code) in table {
        check_one(
            &format!("main {{\n {text}\n}}\n\nfn after(a: f32) -> f32 {{ a }}\n"),
            code,
            text,
        );
    }
    // as items
    let table = [
        ("pub fn f(a: f32) -> f32 { a }", "E0104"),
        ("def f(x):\n    return x", "E0104"),
        ("let x = 1;", "E0104"),
        ("print(1); print(2);", "E0104"),
        ("use std::f32;", "E0104"),
        ("struct A { x: f32 }", "E0104"),
        ("fn main() { print(1); }", "E0104"),
        ("}", "E0104"),
        ("fn f(a, b: f32) -> f32 { b }", "E0104"),
        ("fn f(f32 a) -> f32 { a }", "E0104"),
        ("fn f(mut a: f32) -> f32 { a }", "E0104"),
        ("fn f(a: &f32) -> f32 { a }", "E0104"),
        ("fn f(a: Vec<f32>) -> f32 { a }", "E0104"),
        ("fn f(a: [f32]) -> f32 { a }", "E0104"),
        ("fn f(a: f32): f32 { a }", "E0104"),
        ("fn f(a: f32) { a }", "E0104"),
        ("fn f(a: f32) -> () { a }", "E0104"),
        ("fn f(a: f32 = 1.0) -> f32 { a }", "E0104"),
        ("ufunc f<T>(a: T) -> T { a }", "E0104"),
        ("ufunc f<T: float + int>(a: T) -> T { a }", "E0104"),
        ("ufunc f<T: float>(a: T) -> T where T: int { a }", "E0104"),
        ("ufunc f(a: f32) -> f32 fast fast { a }", "E0104"),
        ("ufunc (a: f32) -> f32 { a }", "E0104"),
        ("ufunc f a: f32 -> f32 { a }", "E0104"),
        ("const X;", "E0104"),
        ("param n = 3", "E0104"),
        ("const fast = 3;", "E0104"),
        ("fn f(a: f32 -> f32 { a }", "E0104"),
        ("fn f(a: f32) -> f32 { a", "E0105"),
        ("fn f(a: f32) -> f32 {\n    if a > 0.0 {\n    a\n}", "E0105"),
        ("fn f(a: f32, b: f32) -> f32 reorderable { a }", "E0210"),
        (
            "gufunc mm<T: number>(a: [T; m, k]) -> (c: [T; m]) identity 0 { c[0] = a[0, 0]; }",
            "E0210",
        ),
        (
            "gufunc mm(a: [f32; m,, k]) -> (c: [f32; m]) { c[0] = a[0, 0]; }",
            "E0104",
        ),
        (
            "gufunc mm(a: [f32; m? k]) -> (c: [f32; m]) { c[0] = a[0, 0]; }",
            "E0104",
        ),
        (
            "gufunc mm(a: [f32; m, k) -> (c: [f32; m]) { c[0] = a[0, 0]; }",
            "E0105",
        ),
        ("kernel k(a: f32) { }", "E0107"),
        ("fn f(a: f32) -> f32 identity 0 { a }", "E0210"),
    ];
    for (text, code) in table {
        check_one(
            &format!(
                "fn before(a: f32) -> f32 {{ a }}\n{text}\n\nfn after(a: f32) -> f32 {{ a }}\n"
            ),
            code,
            text,
        );
    }
}

fn check_one(program: &str, code: &str, text: &str) {
    let (file, diagnostics) = parse(program);
    let codes: Vec<&str> = diagnostics.iter().map(|d| d.code.as_str()).collect();
    assert_eq!(codes, [code], "{text}\n{}", rendered(program, &diagnostics));
    assert!(diagnostics[0].help.is_some() || !diagnostics[0].message.is_empty());
    let ends_early = text.contains("never closed");
    let after = file
        .items
        .iter()
        .any(|i| matches!(&i.kind, ast::ItemKind::Function(f) if f.name.name == "after"));
    assert!(
        after || ends_early,
        "the item after the mistake is lost: {text}\n{}",
        ast::dump(&file)
    );
}

#[test]
fn two_mistakes_two_messages() {
    let (_, diagnostics) =
        parse("main {\n let x = ;\n let y = 1 +;\n f(]);\n}\nfn f(a) -> f32 { a b }");
    let codes: Vec<&str> = diagnostics.iter().map(|d| d.code.as_str()).collect();
    assert_eq!(codes, ["E0104"; 5]);
}

#[test]
fn nesting_is_limited() {
    let n = 10_000;
    let programs = [
        format!("main {{ let x = {}1{}; }}", "(".repeat(n), ")".repeat(n)),
        format!("main {{ let x = {}1{}; }}", "[".repeat(n), "]".repeat(n)),
        format!("main {{ let x = {}1; }}", "(".repeat(n)),
        format!("main {{ {}{} }}", "{".repeat(n), "}".repeat(n)),
        format!("main {{ {} }}", "{".repeat(n)),
        format!("main {{ let x = {}1; }}", "-".repeat(n)),
        format!("main {{ let x = {}1; }}", "!".repeat(n)),
        format!("main {{ let x = 1{}; }}", " + 1".repeat(10 * n)),
        format!("main {{ let x = 1{}; }}", " as f32".repeat(n)),
        format!("main {{ let x = y{}; }}", ".f()".repeat(n)),
        format!("main {{ let x = y{}; }}", "[0]".repeat(n)),
        format!("main {{ let x = {}1{}; }}", "f(".repeat(n), ")".repeat(n)),
        format!("main {{ {}{} }}", "if a { ".repeat(n), "}".repeat(n)),
        format!("main {{ if a {{ }} {} }}", "else if a { } ".repeat(n)),
        format!("main {{ {}{} }}", "while a { ".repeat(n), "}".repeat(n)),
        format!(
            "main {{ {}{} }}",
            "for i in 0..1 { ".repeat(n),
            "}".repeat(n)
        ),
        format!(
            "fn f(a: {}f32{}) -> f32 {{ 1 }}",
            "[".repeat(n),
            "; 2]".repeat(n)
        ),
        format!(
            "main {{ let x = {}1{}; }}",
            "(1 + ".repeat(n),
            ")".repeat(n)
        ),
        format!(
            "main {{ let x = {}1{}; }}",
            "if a { ".repeat(n),
            " } else { 1 }".repeat(n)
        ),
    ];
    for program in &programs {
        let (_, diagnostics) = parse(program);
        let codes: Vec<&str> = diagnostics.iter().map(|d| d.code.as_str()).collect();
        assert_eq!(codes, ["E0106"], "{}", &program[..60]);
    }
    let deep = MAX_DEPTH as usize - 10;
    let (_, diagnostics) = parse(&format!(
        "main {{ let x = {}1{}; }}",
        "(".repeat(deep),
        ")".repeat(deep)
    ));
    assert!(diagnostics.is_empty());
    let (_, diagnostics) = parse(&format!("main {{ let x = 1{}; }}", " + 1".repeat(deep)));
    assert!(diagnostics.is_empty());
}

/// Depth of a tree, by its dump.
#[test]
fn trees_are_never_deeper_than_the_limit() {
    // chains within parentheses within chains: each within its own limit, deep together
    let mut text = "1".to_string();
    for _ in 0..100 {
        text = format!("({text}{})", " + 1".repeat(100));
    }
    let (file, diagnostics) = parse(&format!("main {{ let x = {text}; }}"));
    assert_eq!(diagnostics.len(), 1);
    let mut depth = 0i32;
    let mut deepest = 0;
    for c in ast::dump(&file).chars() {
        depth += i32::from(c == '(') - i32::from(c == ')');
        deepest = deepest.max(depth);
    }
    assert!(deepest <= MAX_DEPTH as i32 + 8, "{deepest}");
}

#[test]
fn size_is_limited() {
    let (file, diagnostics) = parse(&" ".repeat(MAX_SOURCE_BYTES + 1));
    assert!(file.items.is_empty());
    assert_eq!(diagnostics[0].code.as_str(), "E0108");
    assert_eq!(diagnostics.len(), 1);
}

#[test]
fn long_lines_are_cut() {
    let text = format!("main {{ let x = [{} @, 2]; }}", "1.5, ".repeat(200_000));
    assert!(text.len() >= 1_000_000);
    let (_, diagnostics) = parse(&text);
    let shown = rendered(&text, &diagnostics);
    assert_eq!(diagnostics.len(), 1, "{shown}");
    assert!(shown.len() < 1500, "{} bytes", shown.len());
    assert!(shown.contains("test.k:1:1000018"), "{shown}");
    assert!(shown.contains('^'), "{shown}");
}

#[test]
fn messages_are_few_in_rubbish() {
    let (_, diagnostics) = parse(&"@ ) ; } fn $ ".repeat(10_000));
    assert!(diagnostics.len() <= 50);
}

/// The parser ends, and what it says can be drawn.
fn survives(text: &str) {
    let (file, diagnostics) = parse(text);
    ast::dump(&file);
    rendered(text, &diagnostics);
    let (tokens, _) = lex(&Source::new("t", text));
    let mut end = 0;
    for token in &tokens {
        assert!(token.span.start >= end && token.span.end >= token.span.start);
        end = token.span.end;
        assert!(text.is_char_boundary(end as usize));
    }
    assert_eq!(tokens.last().map(|t| t.kind), Some(TokenKind::Eof));
}

/// Tries a property on the same random bytes each time: a test is a fact about the commit.
pub(crate) fn cases(
    count: u64,
    mut property: impl FnMut(&mut Unstructured<'_>) -> arbitrary::Result<()>,
) {
    for seed in 0..count {
        let bytes = kjit_ir::testing::seeded_bytes(seed);
        // Running out of bytes is no failure.
        let _ = property(&mut Unstructured::new(&bytes));
    }
}

#[test]
fn random_text_never_panics() {
    cases(1000, |u| {
        let bytes: Vec<u8> = u.arbitrary()?;
        survives(&String::from_utf8_lossy(&bytes));
        Ok(())
    });
}

const SOUP: &[&str] = &[
    "ufunc", "fn", "const", "param", "main", "gufunc", "identity", "fast", "let", "mut", "if",
    "else", "while", "loop", "for", "in", "break", "continue", "return", "as", "true", "x", "f",
    "T", "f32", "1", "2.5", "1e-3", "0..", "\"s\"", "(", ")", "[", "]", "{", "}", ",", ";", ":",
    "::", ".", "..", "..=", "->", "=>", "?", "=", "+=", "+", "-", "*", "/", "%", "!", "&", "|",
    "^", "<<", ">>", "&&", "||", "==", "!=", "<", "<=", ">", ">=", "// c\n", "/* c */", "/*", "\"",
    "\n", "@", "'", "#", "and", "not", "elif", "pub", "match", "é", "−",
];

#[test]
fn token_soup_never_panics() {
    cases(1000, |u| {
        let mut text = String::new();
        while !u.is_empty() && text.len() < 2000 {
            text.push_str(u.choose(SOUP)?);
            if u.ratio(3, 4)? {
                text.push(' ');
            }
        }
        survives(&text);
        Ok(())
    });
}

#[test]
fn mutated_programs_never_panic() {
    cases(1000, |u| {
        let mut text = u.choose(SAMPLES)?.to_string();
        for _ in 0..u.int_in_range(1..=4)? {
            let (tokens, _) = lex(&Source::new("t", text.as_str()));
            let span = u.choose(&tokens)?.span;
            let with = match u.int_in_range(0..=2)? {
                0 => "",
                1 => *u.choose(SOUP)?,
                _ => {
                    let other = u.choose(&tokens)?.span;
                    &text[other.start as usize..other.end as usize].to_string()
                }
            };
            text = format!(
                "{} {with} {}",
                &text[..span.start as usize],
                &text[span.end as usize..]
            );
        }
        survives(&text);
        Ok(())
    });
}

/// Programs that broke an earlier parser.
#[test]
fn once_broken() {
    for text in [
        "",
        "{",
        "main",
        "main {",
        "fn f<",
        "fn f<T:",
        "x.",
        "main { x.",
        "main { f(",
        "\u{feff}main {}",
        "0x",
        "main{1.}",
    ] {
        survives(text);
    }
}
