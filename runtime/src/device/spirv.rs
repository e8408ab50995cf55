//! Makes SPIR-V strict: no contraction, no reassociation, zeros, infinities and NaN preserved.
//!
//! The writer of the SPIR-V leaves all that to the driver. The patch
//!
//! * decorates every float operation with `NoContraction`;
//! * declares `SignedZeroInfNanPreserve` for every float width of the module;
//! * turns the ordered `!=` into the unordered one, so that NaN differs from everything.

const HEADER: usize = 5;

const OP_ENTRY_POINT: u16 = 15;
const OP_CAPABILITY: u16 = 17;
const OP_TYPE_FLOAT: u16 = 22;
const OP_DECORATE: u16 = 71;
const OP_EXECUTION_MODE: u16 = 16;
const OP_F_ORD_NOT_EQUAL: u16 = 182;
const OP_F_UNORD_NOT_EQUAL: u16 = 183;
/// Negation, sum, difference, product, quotient, remainders, vector times scalar.
const FLOAT_OPS: [u16; 8] = [127, 129, 131, 133, 136, 140, 141, 142];
/// Declarations of types: the first one ends the annotations.
const TYPES: std::ops::RangeInclusive<u16> = 19..=39;

const NO_CONTRACTION: u32 = 42;
const CAPABILITY_PRESERVE: u32 = 4466;
const MODE_PRESERVE: u32 = 4461;

/// The module, strict. `None` when it is not a module with one entry point.
pub(super) fn make_strict(words: &[u32]) -> Option<Vec<u32>> {
    let instructions = split(words)?;
    let op = |i: &&[u32]| i[0] as u16;
    let widths: Vec<u32> = instructions
        .iter()
        .filter(|i| op(i) == OP_TYPE_FLOAT)
        .map(|i| i[2])
        .collect();
    let decorated: Vec<u32> = instructions
        .iter()
        .filter(|i| FLOAT_OPS.contains(&op(i)))
        .map(|i| i[2])
        .collect();
    let entry = instructions.iter().find(|i| op(i) == OP_ENTRY_POINT)?[2];
    let mut out = words[..HEADER].to_vec();
    let emit = |out: &mut Vec<u32>, op: u16, operands: &[u32]| {
        out.push((operands.len() as u32 + 1) << 16 | op as u32);
        out.extend_from_slice(operands);
    };
    let (mut capable, mut moded, mut annotated) = (widths.is_empty(), widths.is_empty(), false);
    for instruction in &instructions {
        let code = op(instruction);
        if !capable && code != OP_CAPABILITY {
            emit(&mut out, OP_CAPABILITY, &[CAPABILITY_PRESERVE]);
            capable = true;
        }
        if !annotated && TYPES.contains(&code) {
            for id in &decorated {
                emit(&mut out, OP_DECORATE, &[*id, NO_CONTRACTION]);
            }
            annotated = true;
        }
        let start = out.len();
        out.extend_from_slice(instruction);
        if code == OP_F_ORD_NOT_EQUAL {
            out[start] = (out[start] & 0xffff_0000) | OP_F_UNORD_NOT_EQUAL as u32;
        }
        // There is one entry point, so modes may follow it.
        if !moded && code == OP_ENTRY_POINT {
            for width in &widths {
                emit(&mut out, OP_EXECUTION_MODE, &[entry, MODE_PRESERVE, *width]);
            }
            moded = true;
        }
    }
    (capable && moded && annotated).then_some(out)
}

/// The instructions after the header.
fn split(words: &[u32]) -> Option<Vec<&[u32]>> {
    let mut rest = words.get(HEADER..)?;
    let mut instructions = Vec::new();
    while let Some(first) = rest.first() {
        let len = (first >> 16) as usize;
        if len == 0 || len > rest.len() {
            return None;
        }
        let (instruction, after) = rest.split_at(len);
        instructions.push(instruction);
        rest = after;
    }
    Some(instructions)
}
