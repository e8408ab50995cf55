//! Puts recorded elements into memory in a layout.

use super::answers::{Answers, Values, shape};
use kjit::{Arg, Array, HostBuffer, SliceIndex, Storage};
use std::collections::HashMap;
use std::sync::Arc;

/// The arguments of one call; those of one name share their memory.
pub struct Arguments<'a> {
    answers: &'a Answers,
    layout: &'a str,
    shared: HashMap<String, Array>,
}

impl<'a> Arguments<'a> {
    pub fn new(answers: &'a Answers, layout: &'a str) -> Arguments<'a> {
        Arguments {
            answers,
            layout,
            shared: HashMap::new(),
        }
    }

    /// The argument that a text names.
    pub fn arg(&mut self, text: &str) -> Arg {
        match text.strip_prefix('#') {
            Some(number) if number.contains('.') => {
                Arg::Float(number.parse().expect("a plain float"))
            }
            Some(number) => Arg::Int(number.parse().expect("a plain integer")),
            None => Arg::Array(self.array(text)),
        }
    }

    /// The array that a text names.
    pub fn array(&mut self, text: &str) -> Array {
        if let Some((name, extents)) = text.split_once('>') {
            let base = self.base(name);
            return base.broadcast_to(&shape(extents)).expect("it broadcasts");
        }
        if let Some((name, extents)) = text.split_once('~') {
            let base = place(self.values(name), "contiguous");
            let extents = shape(extents);
            let steps = vec![base.dtype().size() as isize; extents.len()];
            let storage = base.storage().clone();
            return Array::from_storage(storage, base.dtype(), &extents, &steps, 0)
                .expect("windows");
        }
        if let Some((name, span)) = text.split_once('[') {
            let (start, end) = span.trim_end_matches(']').split_once(':').expect("a range");
            let index = SliceIndex::Range {
                start: start.parse().ok(),
                end: end.parse().ok(),
                step: 1,
            };
            return self.base(name).slice(&[index]).expect("a slice");
        }
        self.base(text)
    }

    fn base(&mut self, name: &str) -> Array {
        if let Some(array) = self.shared.get(name) {
            return array.clone();
        }
        let array = place(self.values(name), self.layout);
        self.shared.insert(name.to_string(), array.clone());
        array
    }

    fn values(&self, name: &str) -> &'a Values {
        self.answers
            .inputs
            .get(name)
            .unwrap_or_else(|| panic!("no input {name}"))
    }
}

/// An array of these elements in a layout.
pub fn place(values: &Values, layout: &str) -> Array {
    let size = values.dtype.size();
    let mut strides = kjit::c_strides(&values.shape, size);
    let mut len = values.bytes.len();
    let mut offset = 0;
    match layout {
        "strided" => {
            // every second element along each axis
            for (axis, stride) in strides.iter_mut().enumerate() {
                *stride <<= values.shape.len() - axis;
            }
            len <<= values.shape.len();
        }
        "negative" => {
            offset = len.saturating_sub(size);
            strides.iter_mut().for_each(|s| *s = -*s);
        }
        "fortran" => {
            let mut step = size as isize;
            for (stride, extent) in strides.iter_mut().zip(&values.shape) {
                *stride = step;
                step *= (*extent).max(1) as isize;
            }
        }
        "unaligned" => {
            offset = 1;
            len += 1;
        }
        _ => {}
    }
    let mut memory = vec![0xA5; len];
    let mut index = vec![0; values.shape.len()];
    for element in values.bytes.chunks_exact(size) {
        let walk = index.iter().zip(&strides);
        let at = offset as isize + walk.map(|(i, s)| *i as isize * s).sum::<isize>();
        memory[at as usize..][..size].copy_from_slice(element);
        for (i, extent) in index.iter_mut().zip(&values.shape).rev() {
            *i += 1;
            if *i < *extent {
                break;
            }
            *i = 0;
        }
    }
    let storage = Storage::Host(Arc::new(HostBuffer::from_bytes(&memory).expect("memory")));
    Array::from_storage(storage, values.dtype, &values.shape, &strides, offset).expect("an array")
}
