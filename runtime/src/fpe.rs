//! Status flags: how many elements of a call divided by zero, were invalid or overflowed, and the first.

use crate::broadcast::format_shape;
use crate::{Array, Result};
use kjit_ir::abi::fpe;

/// What becomes of status flags.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum FpeMode {
    /// They are not looked for.
    #[default]
    Ignore,
    /// They become warnings: see [`crate::Engine::take_warnings`].
    Warn,
    /// They make the call fail, and nothing is written.
    Raise,
}

/// How many elements raised a flag, and which was the first in C order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FpeCount {
    /// How many.
    pub count: u64,
    /// Index of the first, if there is one.
    pub first: Option<Vec<usize>>,
}

/// The status flags of a call.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FpeReport {
    /// A number divided by zero, or a function at its pole.
    pub divide: FpeCount,
    /// A NaN out of numbers.
    pub invalid: FpeCount,
    /// An infinity out of finite numbers.
    pub overflow: FpeCount,
    /// Elements of the call: of a method, its results; of `at`, the elements that are combined.
    pub elements: u64,
}

impl FpeReport {
    /// No flags.
    pub(crate) fn none(elements: usize) -> FpeReport {
        FpeReport {
            elements: elements as u64,
            ..FpeReport::default()
        }
    }

    /// Changes the indices of first elements.
    pub(crate) fn map_first(&mut self, f: impl Fn(&mut Vec<usize>)) {
        for count in [&mut self.divide, &mut self.invalid, &mut self.overflow] {
            if let Some(first) = &mut count.first {
                f(first);
            }
        }
    }

    /// Adds the flags of elements behind these.
    pub(crate) fn append(&mut self, more: FpeReport) {
        let pairs = [
            (&mut self.divide, more.divide),
            (&mut self.invalid, more.invalid),
            (&mut self.overflow, more.overflow),
        ];
        for (all, more) in pairs {
            all.count += more.count;
            if all.first.is_none() {
                all.first = more.first;
            }
        }
        self.elements += more.elements;
    }

    /// Counts the flags of an array of them.
    pub(crate) fn of(flags: &Array) -> Result<FpeReport> {
        let host = flags.to_contiguous()?;
        let bytes = host.bytes().unwrap_or_default();
        let mut report = FpeReport {
            elements: bytes.len() as u64,
            ..FpeReport::default()
        };
        for (number, flag) in bytes.iter().enumerate().filter(|(_, flag)| **flag != 0) {
            for (bit, place) in [
                (fpe::DIVIDE, &mut report.divide),
                (fpe::INVALID, &mut report.invalid),
                (fpe::OVERFLOW, &mut report.overflow),
            ] {
                if flag & bit != 0 {
                    place.count += 1;
                    place
                        .first
                        .get_or_insert_with(|| index_of(number, host.shape()));
                }
            }
        }
        Ok(report)
    }

    /// Did no element raise a flag?
    pub fn is_empty(&self) -> bool {
        self.divide.count == 0 && self.invalid.count == 0 && self.overflow.count == 0
    }

    /// One sentence a flag: `divide by zero in f at 3 of 10 elements, first at index (2,)`.
    pub fn describe(&self, name: &str) -> Vec<String> {
        [
            ("divide by zero", &self.divide),
            ("invalid value", &self.invalid),
            ("overflow", &self.overflow),
        ]
        .into_iter()
        .filter_map(|(what, count)| {
            let first = format_shape(count.first.as_ref()?);
            let s = if self.elements == 1 { "" } else { "s" };
            Some(format!(
                "{what} in {name} at {} of {} element{s}, first at index {first}",
                count.count, self.elements
            ))
        })
        .collect()
    }
}

/// The index of an element, given its number in C order.
pub(crate) fn index_of(number: usize, shape: &[usize]) -> Vec<usize> {
    let mut index = vec![0; shape.len()];
    let mut rest = number;
    for (i, extent) in index.iter_mut().zip(shape).rev() {
        *i = rest % (*extent).max(1);
        rest /= (*extent).max(1);
    }
    index
}
