//! An assembler: instructions one after the other, with labels, jumps, alignment and a pool of constants.
//!
//! Jumps get the short form where the distance allows it: only [`Assembler::finish`] knows, so bytes are kept without
//! jumps and alignment until then. Constants follow the code, larger ones first, equal ones once.

use super::instr::{Arg, ConstId, ConstRef, Decor, Instr};
use super::{Op, Width};
use rustc_hash::FxHashMap;

/// A place in the code.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, PartialOrd, Ord)]
pub struct Label(u32);

/// A condition of flags; the discriminant is its number in opcodes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Cc {
    /// Overflow.
    O,
    /// No overflow.
    No,
    /// Below, unsigned; carry.
    B,
    /// Above or equal, unsigned; no carry.
    Ae,
    /// Equal; zero.
    E,
    /// Not equal; not zero.
    Ne,
    /// Below or equal, unsigned.
    Be,
    /// Above, unsigned.
    A,
    /// Negative.
    S,
    /// Not negative.
    Ns,
    /// Parity even: floats do not compare.
    P,
    /// Parity odd: floats compare.
    Np,
    /// Less, signed.
    L,
    /// Greater or equal, signed.
    Ge,
    /// Less or equal, signed.
    Le,
    /// Greater, signed.
    G,
}

impl Cc {
    /// All of them, by number.
    pub const ALL: [Cc; 16] = [
        Cc::O,
        Cc::No,
        Cc::B,
        Cc::Ae,
        Cc::E,
        Cc::Ne,
        Cc::Be,
        Cc::A,
        Cc::S,
        Cc::Ns,
        Cc::P,
        Cc::Np,
        Cc::L,
        Cc::Ge,
        Cc::Le,
        Cc::G,
    ];

    /// The opposite.
    pub const fn not(self) -> Cc {
        Cc::ALL[self as usize ^ 1]
    }
}

/// Something whose size only [`Assembler::finish`] knows.
#[derive(Clone, Copy, Debug)]
enum Elastic {
    /// A jump.
    Jump {
        condition: Option<Cc>,
        target: Label,
        near: bool,
    },
    /// `nop`s up to a multiple of this.
    Align(u8),
}

/// Machine code in the making.
#[derive(Debug, Default)]
pub struct Assembler {
    bytes: Vec<u8>,
    /// By position in `bytes`, before which they stand, ascending.
    elastic: Vec<(usize, Elastic)>,
    /// Position in `bytes`, and how many of `elastic` come before it.
    labels: Vec<Option<(usize, usize)>>,
    /// As the labels.
    marks: Vec<(usize, usize)>,
    refs: Vec<(ConstRef, usize)>,
    constants: Vec<Box<[u8]>>,
    known: FxHashMap<Box<[u8]>, ConstId>,
}

/// Finished code.
#[derive(Debug)]
pub struct Code {
    /// Instructions, then the pool. To run at any address that is a multiple of `align`.
    pub bytes: Vec<u8>,
    /// Bytes of instructions.
    pub len: usize,
    /// What the alignments inside rest on.
    pub align: usize,
    /// Where each [`Assembler::mark`] is.
    pub marks: Vec<usize>,
}

impl Assembler {
    /// Without code.
    pub fn new() -> Assembler {
        Assembler::default()
    }

    /// A label, to be placed once.
    pub fn label(&mut self) -> Label {
        self.labels.push(None);
        Label(self.labels.len() as u32 - 1)
    }

    /// The label is here.
    pub fn place(&mut self, label: Label) {
        let here = (self.bytes.len(), self.elastic.len());
        let old = self.labels[label.0 as usize].replace(here);
        debug_assert_eq!(old, None, "a label has one place");
    }

    /// [`Code::marks`] says where this is.
    pub fn mark(&mut self) {
        self.marks.push((self.bytes.len(), self.elastic.len()));
    }

    /// A constant of 1 to 64 bytes, a power of two, in the pool.
    pub fn constant(&mut self, bytes: &[u8]) -> ConstId {
        debug_assert!(bytes.len().is_power_of_two() && bytes.len() <= 64);
        if let Some(id) = self.known.get(bytes) {
            return *id;
        }
        let id = ConstId(self.constants.len() as u32);
        self.constants.push(bytes.into());
        self.known.insert(bytes.into(), id);
        id
    }

    /// An instruction that [`Instr::check`] takes.
    pub fn instr(&mut self, instr: &Instr<'_>) {
        if let Some(constant) = instr.encode(&mut self.bytes) {
            self.refs.push((constant, self.elastic.len()));
        }
    }

    /// An instruction that says no more than its operands.
    pub fn op(&mut self, op: Op, width: Width, args: &[Arg]) {
        self.instr(&Instr {
            op,
            width,
            args,
            decor: Decor::NONE,
        });
    }

    /// Goes to a label.
    pub fn jump(&mut self, target: Label) {
        self.elastic(Elastic::Jump {
            condition: None,
            target,
            near: false,
        });
    }

    /// Goes to a label if a condition holds.
    pub fn jump_if(&mut self, condition: Cc, target: Label) {
        self.elastic(Elastic::Jump {
            condition: Some(condition),
            target,
            near: false,
        });
    }

    /// Goes on at a multiple of `bytes`, a power of two up to 64.
    pub fn align(&mut self, bytes: u8) {
        debug_assert!(bytes.is_power_of_two() && bytes <= 64);
        self.elastic(Elastic::Align(bytes));
    }

    fn elastic(&mut self, elastic: Elastic) {
        self.elastic.push((self.bytes.len(), elastic));
    }

    /// Lays everything out. Every label that a jump goes to must be placed; else it says which is not.
    pub fn finish(mut self) -> Result<Code, String> {
        let starts = self.relax()?;
        let shift = |position: usize, before: usize| match before {
            0 => position,
            n => position + starts[n] - self.elastic[n - 1].0,
        };
        // `starts[n]`: where the bytes that follow the first n elastic things go.
        let len = shift(self.bytes.len(), self.elastic.len());
        let (offsets, end) = self.pool(len);
        let mut bytes = Vec::with_capacity(end);
        let mut copied = 0;
        for (n, &(position, elastic)) in self.elastic.iter().enumerate() {
            bytes.extend_from_slice(&self.bytes[copied..position]);
            copied = position;
            let size = starts[n + 1] - bytes.len();
            match elastic {
                Elastic::Align(_) => nops(&mut bytes, size),
                Elastic::Jump {
                    condition,
                    target,
                    near,
                } => {
                    let (position, before) = self.placed(target)?;
                    let distance = shift(position, before) as i64 - starts[n + 1] as i64;
                    jump(&mut bytes, condition, near, distance);
                }
            }
        }
        bytes.extend_from_slice(&self.bytes[copied..]);
        for (constant, before) in &self.refs {
            let at = shift(constant.at, *before);
            let target = offsets[constant.id.0 as usize] as i64;
            let field = &mut bytes[at..at + 4];
            let mut add = [0; 4];
            add.copy_from_slice(field);
            let add = i64::from(i32::from_le_bytes(add));
            let distance = target - (at + constant.rest) as i64 + add;
            field.copy_from_slice(&(distance as i32).to_le_bytes());
        }
        bytes.resize(end, 0);
        for (constant, &offset) in self.constants.iter().zip(&offsets) {
            bytes[offset..offset + constant.len()].copy_from_slice(constant);
        }
        let aligned = |(_, elastic): &(usize, Elastic)| match elastic {
            Elastic::Align(bytes) => usize::from(*bytes),
            Elastic::Jump { .. } => 1,
        };
        let align = self.elastic.iter().map(aligned);
        let align = align.chain(self.constants.iter().map(|c| c.len()));
        let marks = self.marks.iter().map(|&(at, before)| shift(at, before));
        Ok(Code {
            marks: marks.collect(),
            len,
            align: align.max().unwrap_or(1),
            bytes,
        })
    }

    fn placed(&self, label: Label) -> Result<(usize, usize), String> {
        let place = self.labels.get(label.0 as usize).copied().flatten();
        place.ok_or_else(|| format!("{label:?} has no place"))
    }

    /// Chooses between short and near jumps. All start short and those that cannot be become near, until none does;
    /// so it ends. The result says where the bytes behind each elastic thing go (the first entry stands for the
    /// beginning).
    fn relax(&mut self) -> Result<Vec<usize>, String> {
        loop {
            let mut starts = vec![0];
            let (mut at, mut copied) = (0, 0);
            for &(position, elastic) in &self.elastic {
                at += position - copied;
                copied = position;
                at = match elastic {
                    Elastic::Align(bytes) => at.next_multiple_of(usize::from(bytes)),
                    Elastic::Jump { near: false, .. } => at + 2,
                    Elastic::Jump {
                        condition: None, ..
                    } => at + 5,
                    Elastic::Jump { .. } => at + 6,
                };
                starts.push(at);
            }
            let mut grown = Vec::new();
            for (n, &(_, elastic)) in self.elastic.iter().enumerate() {
                if let Elastic::Jump {
                    target,
                    near: false,
                    ..
                } = elastic
                {
                    let (position, before) = self.placed(target)?;
                    let to = match before {
                        0 => position,
                        b => position + starts[b] - self.elastic[b - 1].0,
                    };
                    if i8::try_from(to as i64 - starts[n + 1] as i64).is_err() {
                        grown.push(n);
                    }
                }
            }
            if grown.is_empty() {
                return Ok(starts);
            }
            for n in grown {
                if let (_, Elastic::Jump { near, .. }) = &mut self.elastic[n] {
                    *near = true;
                }
            }
        }
    }

    /// Offsets of the constants behind `len` bytes of code, and where the pool ends.
    fn pool(&self, len: usize) -> (Vec<usize>, usize) {
        let mut order: Vec<usize> = (0..self.constants.len()).collect();
        order.sort_by_key(|&n| std::cmp::Reverse(self.constants[n].len()));
        let mut offsets = vec![0; order.len()];
        let mut end = len;
        for n in order {
            let size = self.constants[n].len();
            offsets[n] = end.next_multiple_of(size);
            end = offsets[n] + size;
        }
        (offsets, end)
    }
}

/// A jump over `distance` bytes from its end.
fn jump(bytes: &mut Vec<u8>, condition: Option<Cc>, near: bool, distance: i64) {
    match (condition, near) {
        (None, false) => bytes.extend([0xeb, distance as u8]),
        (Some(cc), false) => bytes.extend([0x70 | cc as u8, distance as u8]),
        (None, true) => {
            bytes.push(0xe9);
            bytes.extend((distance as i32).to_le_bytes());
        }
        (Some(cc), true) => {
            bytes.extend([0x0f, 0x80 | cc as u8]);
            bytes.extend((distance as i32).to_le_bytes());
        }
    }
}

/// So many bytes that do nothing, in as few instructions as possible.
fn nops(bytes: &mut Vec<u8>, mut count: usize) {
    // The forms that Intel's manual recommends (volume 2, NOP).
    const FORMS: [&[u8]; 9] = [
        &[0x90],
        &[0x66, 0x90],
        &[0x0f, 0x1f, 0x00],
        &[0x0f, 0x1f, 0x40, 0x00],
        &[0x0f, 0x1f, 0x44, 0x00, 0x00],
        &[0x66, 0x0f, 0x1f, 0x44, 0x00, 0x00],
        &[0x0f, 0x1f, 0x80, 0x00, 0x00, 0x00, 0x00],
        &[0x0f, 0x1f, 0x84, 0x00, 0x00, 0x00, 0x00, 0x00],
        &[0x66, 0x0f, 0x1f, 0x84, 0x00, 0x00, 0x00, 0x00, 0x00],
    ];
    while count > 0 {
        let form = FORMS[count.min(FORMS.len()) - 1];
        bytes.extend_from_slice(form);
        count -= form.len();
    }
}
