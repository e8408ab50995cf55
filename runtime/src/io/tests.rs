//! Files: round trips, files by NumPy, and files that are wrong.

use super::{check_save, check_save_path, load, npy, save};
use crate::tests::Rng;
use crate::{Array, ErrorKind, SliceIndex};
use kjit_ir::{DType, Scalar};
use std::fs;
use std::io::Cursor;
use std::path::Path;

fn golden(name: &str) -> String {
    format!("{}/tests/golden/{name}", env!("CARGO_MANIFEST_DIR"))
}

fn read(bytes: &[u8]) -> crate::Result<Array> {
    npy::read(&mut Cursor::new(bytes), bytes.len() as u64, "x.npy")
}

/// Its elements as f64.
fn values(array: &Array) -> Vec<f64> {
    array.cast(DType::F64).unwrap().to_vec().unwrap()
}

#[test]
fn files_by_numpy() {
    let mut seen = 0;
    for entry in fs::read_dir(golden("")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let Some(stem) = name.strip_suffix(".npy") else {
            continue;
        };
        seen += 1;
        let loaded = load(&golden(&name));
        if stem.starts_with("unsupported") {
            assert_eq!(loaded.unwrap_err().kind, ErrorKind::DType, "{name}");
            continue;
        }
        let array = loaded.unwrap_or_else(|e| panic!("{name}: {e}"));
        let numpy = stem.trim_end_matches("_big");
        if let Some(dtype) = DType::ALL.iter().find(|d| d.numpy_name() == numpy) {
            assert_eq!(array.dtype(), *dtype, "{name}");
        }
        let expected: Vec<f64> = (0..array.size())
            .map(|i| if stem == "bool" { i % 2 } else { i } as f64)
            .collect();
        assert_eq!(values(&array), expected, "{name}");
        let shape: &[usize] = match stem {
            "fortran" => &[2, 3, 4],
            "zero_d" => &[],
            "empty" => &[0, 3],
            "one_d" => &[5],
            "version2" | "version3" => &[4],
            _ => &[2, 3],
        };
        assert_eq!(array.shape(), shape, "{name}");
    }
    assert_eq!(seen, 34);
    assert_eq!(
        values(&load(&golden("two.npz:x")).unwrap()),
        [0.0, 1.0, 2.0]
    );
    assert_eq!(
        values(&load(&golden("two.npz:y")).unwrap()),
        [0.0, 1.0, 2.0, 3.0]
    );
    assert_eq!(
        load(&golden("packed.npz"))
            .unwrap()
            .to_vec::<i64>()
            .unwrap(),
        (0..1000).collect::<Vec<_>>()
    );
    let error = load(&golden("two.npz:q")).unwrap_err();
    assert!(error.message.ends_with("has no member `q`"), "{error}");
    assert_eq!(error.help.as_deref(), Some("it has x, y"));
    assert!(
        load(&golden("two.npz"))
            .unwrap_err()
            .message
            .ends_with("has 2 members and none was named")
    );
}

/// What kjit writes, kjit reads back the same; and NumPy's bytes are reproduced.
#[test]
fn round_trips() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_string();
    for &dtype in DType::ALL {
        let base = Array::from_vec((0..24u8).collect(), &[2, 3, 4])
            .unwrap()
            .cast(dtype)
            .unwrap();
        let half = SliceIndex::Range {
            start: None,
            end: None,
            step: -2,
        };
        let empty = SliceIndex::range(Some(1), Some(1));
        let views = [
            base.clone(),
            base.transpose(),
            base.slice(&[SliceIndex::ALL, half, half]).unwrap(),
            base.slice(&[SliceIndex::At(0), SliceIndex::At(1), SliceIndex::At(2)])
                .unwrap(),
            base.slice(&[SliceIndex::ALL, empty]).unwrap(),
        ];
        for (i, array) in views.iter().enumerate() {
            for name in ["a.npy", "a.npz:m"] {
                save(&path(name), array).unwrap();
                let back = load(&path(name)).unwrap();
                assert_eq!(
                    (back.dtype(), back.shape()),
                    (dtype, array.shape()),
                    "{name} {i}"
                );
                assert_eq!(values(&back), values(array), "{name} {dtype} {i}");
            }
        }
        let own = fs::read(golden(&format!("{}.npy", dtype.numpy_name()))).unwrap();
        let mut again = Vec::new();
        npy::write(&mut again, &read(&own).unwrap()).unwrap();
        // NumPy leaves more blanks at the end of the header; all else is the same.
        assert_eq!(read(&again).unwrap().bytes(), read(&own).unwrap().bytes());
        assert_eq!(again[10..70], own[10..70], "{dtype}");
    }
    // Members of an archive live side by side.
    save(&path("b.npz:one"), &Array::scalar(Scalar::f32(1.0))).unwrap();
    save(&path("b.npz:two"), &Array::scalar(Scalar::f32(2.0))).unwrap();
    save(&path("b.npz:one"), &Array::scalar(Scalar::f32(3.0))).unwrap();
    assert_eq!(values(&load(&path("b.npz:one")).unwrap()), [3.0]);
    assert_eq!(values(&load(&path("b.npz:two")).unwrap()), [2.0]);

    let table =
        Array::from_vec(vec![1.5f64, -0.0, f64::INFINITY, 1e300, 0.1, 3.0], &[3, 2]).unwrap();
    save(&path("t.csv"), &table).unwrap();
    assert_eq!(load(&path("t.csv")).unwrap().bytes(), table.bytes());
    save(
        &path("t.csv"),
        &Array::from_vec(vec![true, false], &[2]).unwrap(),
    )
    .unwrap();
    assert_eq!(fs::read_to_string(path("t.csv")).unwrap(), "1\n0\n");
    assert_eq!(load(&path("t.csv")).unwrap().shape(), [2]);

    for (shape, dtype) in [
        (vec![3, 5], DType::F64),
        (vec![3, 5, 3], DType::U8),
        (vec![2, 2], DType::Bool),
    ] {
        save(&path("p.png"), &Array::zeros(dtype, &shape).unwrap()).unwrap();
        let file = std::io::BufReader::new(fs::File::open(path("p.png")).unwrap());
        let reader = png::Decoder::new(file).read_info().unwrap();
        assert_eq!(
            (reader.info().height as usize, reader.info().width as usize),
            (shape[0], shape[1])
        );
    }
    let left: Vec<_> = fs::read_dir(folder.path())
        .unwrap()
        .map(|e| e.unwrap().file_name())
        .collect();
    assert_eq!(left.len(), 5, "no temporary files stay behind: {left:?}");
}

fn header(text: &str) -> Vec<u8> {
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend((text.len() as u16).to_le_bytes());
    bytes.extend(text.as_bytes());
    bytes
}

fn with_data(text: &str, data: usize) -> Vec<u8> {
    let mut bytes = header(text);
    bytes.extend(vec![0; data]);
    bytes
}

/// One error each, naming the file and what is wrong.
#[test]
fn wrong_headers() {
    const GOOD: &str = "{'descr': '<f4', 'fortran_order': False, 'shape': (2,), }";
    assert!(read(&with_data(GOOD, 8)).is_ok());
    let mut long = header(GOOD);
    long[6] = 2;
    long.splice(8..10, u32::MAX.to_le_bytes());
    let dict = |descr: &str, fortran: &str, shape: &str| {
        with_data(
            &format!("{{'descr': {descr}, 'fortran_order': {fortran}, 'shape': {shape}}}"),
            8,
        )
    };
    let cases: Vec<(Vec<u8>, &str)> = vec![
        (vec![], "shorter than the header"),
        (b"\x93NUM".to_vec(), "shorter than the header"),
        (b"PK\x03\x04 something".to_vec(), "signature"),
        (b"\x93NUMPY\x09\x00\x10\x00".to_vec(), "version 9.0"),
        (b"\x93NUMPY\x01\x00\xff\xff{".to_vec(), "claims 65535 bytes"),
        (long, "claims 4294967295 bytes"),
        (with_data("", 8), "lacks a `{`"),
        (with_data("{}", 8), "lacks `descr`"),
        (with_data("{'descr': '<f4'", 8), "lacks a `}`"),
        (with_data("{'descr", 8), "string without end"),
        (with_data("{'descr': '<f4', 'descr': '<f4'}", 8), "twice"),
        (with_data("{'other': 1}", 8), "not one of the format"),
        (with_data(&format!("{GOOD} x"), 8), "follows the dictionary"),
        (dict("'<f4'", "Maybe", "(2,)"), "fortran_order"),
        (dict("'<f4'", "False", "2"), "lacks a `(`"),
        (dict("'<f4'", "False", "(-2,)"), "tuple of sizes"),
        (dict("'<f4'", "False", "(2.5,)"), "lacks a `)`"),
        (
            dict("'<f4'", "False", "(99999999999999999999,)"),
            "tuple of sizes",
        ),
        (
            dict("'<f4'", "False", "(4611686018427387904, 4)"),
            "more elements than memory",
        ),
        (dict("'<f4'", "False", "(1000000000000,)"), "truncated"),
        (dict("'<f4'", "False", "(3,)"), "truncated"),
        (dict("'<f4'", "False", "(1,)"), "4 bytes follow"),
        (
            dict("'<f4'", "False", &format!("({})", "1,".repeat(65))),
            "64 axes",
        ),
        (dict("'|O'", "False", "(2,)"), "its dtype |O"),
        (dict("'<f2'", "False", "(5,)"), "truncated"),
        (dict("'<c16'", "False", "(1,)"), "truncated"),
        (dict("[('a', '<f4')]", "False", "(2,)"), "several fields"),
        (dict("'é'", "False", "(2,)"), "its dtype of the header"),
    ];
    for (bytes, expected) in &cases {
        let error = read(bytes).unwrap_err();
        assert!(
            error.message.contains(expected) && error.message.contains("x.npy"),
            "{expected}: {error}"
        );
        assert!(error.help.is_some(), "{expected}");
    }
}

/// Random damage to a good file gives an array or an error, never anything else.
#[test]
fn damaged_files() {
    let good: Vec<Vec<u8>> = ["fortran.npy", "version3.npy", "bool.npy", "two.npz"]
        .iter()
        .map(|n| fs::read(golden(n)).unwrap())
        .collect();
    let mut rng = Rng(5);
    let end = std::time::Instant::now() + std::time::Duration::from_secs(1);
    let (mut errors, mut rounds) = (0, 0);
    while rounds < 2000 || (std::time::Instant::now() < end && rounds < 200_000) {
        rounds += 1;
        let which = rng.below(good.len());
        let mut bytes = good[which].clone();
        for _ in 0..1 + rng.below(4) {
            let at = rng.below(bytes.len().min(160));
            match rng.below(4) {
                0 => bytes[at] = rng.next() as u8,
                1 => bytes[at] = b"0129',(){}:<>|"[rng.below(14)],
                2 => bytes.truncate(at.max(1)),
                _ => bytes.insert(at, rng.next() as u8),
            }
        }
        let result = if which == 3 {
            super::npz::read(super::Input::Bytes(Cursor::new(bytes)), Some("x"), "x.npz")
        } else {
            read(&bytes)
        };
        match result {
            Ok(array) => drop(values(&array)),
            Err(error) => {
                assert!(!error.message.is_empty());
                errors += 1;
            }
        }
    }
    assert!(errors > rounds / 4);
}

#[test]
fn wrong_tables_and_names() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_string();
    let table = |text: &str| {
        fs::write(path("t.csv"), text).unwrap();
        load(&path("t.csv"))
    };
    let reason = |text: &str| {
        table(text)
            .unwrap_err()
            .message
            .replace(&path("t.csv"), "t.csv")
    };
    assert_eq!(
        reason("1,2\n3\n"),
        "line 2 of t.csv has 1 fields where the first has 2"
    );
    assert_eq!(
        reason("1,2\n\n3,x\n"),
        "line 3 of t.csv has `x` where a number belongs"
    );
    assert_eq!(
        reason("# head\r\n1,2\r\n\r\n# more\r\n3,x\r\n"),
        "line 5 of t.csv has `x` where a number belongs"
    );
    assert_eq!(
        reason("a\u{7}b\n"),
        "line 1 of t.csv has `a\\u{7}b` where a number belongs"
    );
    assert_eq!(
        values(&table("# two columns\n 1 , 2e0\n-inf,nan\n").unwrap())[..3],
        [1.0, 2.0, f64::NEG_INFINITY]
    );
    assert_eq!(table("").unwrap().shape(), [0]);

    let x = Array::zeros(DType::F32, &[2, 2, 2]).unwrap();
    for name in [
        "x",
        "x.txt",
        "x.npz:",
        "x.npz:a/b",
        "no/such/x.npy",
        "t.csv",
        "x.png",
    ] {
        assert!(save(&path(name), &x).is_err(), "{name}");
    }
    assert!(check_save(&path("x.npy"), &x).is_ok());
    assert!(check_save(&path("t.csv"), &x).is_err());
    assert!(check_save(&path("x.png"), &x).is_err());
    assert!(check_save_path(&path("x.npy")).is_ok());
    assert!(
        check_save_path(&path("no/such/x.npy"))
            .unwrap_err()
            .help
            .is_some()
    );
    let missing = load("no/such.npy").unwrap_err();
    assert_eq!(
        missing.message,
        "cannot read no/such.npy: no such file or directory"
    );
    assert!(Path::new(&path("t.csv")).exists());
    assert!(!Path::new(&path("x.png")).exists());
}
