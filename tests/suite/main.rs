//! The tests of the whole: filetests, documentation, and programs and arrays at random.

mod accuracy;
mod conformance;
mod docs;
mod embedding;
mod filetests;
mod functions;
mod passes;
mod random;
mod source_errors;
mod support;
mod wgsl;
