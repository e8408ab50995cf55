//! Tests of the `kjit` command, as a user runs it.

mod bad_input;
mod call;
mod call_options;
mod commands;
mod examples;
mod explain;
mod support;
