//! Machine code for people: each instruction with its address, and with the source that it comes from beside.

use iced_x86::{Decoder, DecoderOptions, Formatter, GasFormatter, Instruction};
use kjit::Source;
use kjit_driver::Listing;
use std::fmt::Write;

/// Where the source stands in a line.
const BESIDE: usize = 64;
/// Characters of source in a line, at most.
const SHOWN: usize = 40;

/// The text of a kernel's machine code.
pub fn text(name: &str, isa: &str, code: &Listing, source: &Source) -> String {
    let mut out = String::new();
    // Writing to a string does not fail.
    let _ = writeln!(
        out,
        "{name}, {isa}: {} bytes of code, {} of constants; {} lanes a vector, {} an iteration",
        code.len,
        code.bytes.len() - code.len,
        code.report.lanes,
        match code.report.copies {
            1 => "1 vector".to_string(),
            n => format!("{n} vectors"),
        }
    );
    let mut formatter = GasFormatter::new();
    let options = formatter.options_mut();
    options.set_branch_leading_zeros(false);
    options.set_uppercase_hex(false);
    options.set_space_after_operand_separator(true);
    let mut decoder = Decoder::new(64, &code.bytes[..code.len], DecoderOptions::NONE);
    let mut instruction = Instruction::default();
    let mut places = code.places.iter().peekable();
    while decoder.can_decode() {
        decoder.decode_out(&mut instruction);
        let mut line = format!("{:5x}:  ", instruction.ip());
        formatter.format(&instruction, &mut line);
        let mut place = None;
        while let Some((_, next)) = places.next_if(|p| p.0 as u64 <= instruction.ip()) {
            place = Some(*next);
        }
        match place.map(|place| beside(source, place)) {
            Some(said) => {
                let _ = writeln!(out, "{line:BESIDE$} ; {said}");
            }
            None => {
                let _ = writeln!(out, "{line}");
            }
        }
    }
    out
}

/// The line of a place and what is there. What comes from no place is for the loop over the elements.
pub fn beside(source: &Source, place: kjit::Loc) -> String {
    if place.file == 0 {
        return "(no line)".to_string();
    }
    let Some(text) = source.text_of(place) else {
        return "(the built-in library)".to_string();
    };
    let (line, _) = source.line_col(place.start);
    let first = text.lines().next().unwrap_or_default();
    let shown: String = first.chars().take(SHOWN).collect();
    let more = if shown.len() < text.len() { " .." } else { "" };
    format!("{line}: {shown}{more}")
}
