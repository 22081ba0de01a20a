//! Any bytes as what an NBD client says.
#![no_main]

#[path = "../model.rs"]
mod model;

#[path = "../check.rs"]
mod check;

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    check::check(input);
});
