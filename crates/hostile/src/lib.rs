//! Hostile input for parsers: mutations of seeds, and the memory that a parser may take for them.
//!
//! A crate that reads bytes from outside lists its [`Target`]s in `fuzz.rs`. The same functions run in two places: a
//! fixed slice with [`slice()`] among the crate's own tests, and for as long as it is let under the fuzzer in `fuzz/`.
//! A crate that links this one has its memory counted; only tests and the fuzzer do.

mod memory;
mod mutate;

pub use memory::peak;
pub use mutate::Mutator;

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::Path;

/// Name, bytes of memory allowed beside [`PER_BYTE`], and the function: it gives the input to a parser and panics when
/// the answers contradict each other. A tuple, so that the crates that list targets need nothing from here to do so.
pub type Target = (&'static str, usize, fn(&[u8]));

/// Bytes of memory allowed for each byte of input.
pub const PER_BYTE: usize = 64;

/// Mutations in the fixed slice of a target.
const ROUNDS: usize = 3000;

/// Runs a target over one input and holds it to its bound of memory.
pub fn check((name, base, run): &Target, input: &[u8]) {
    let peak = peak(|| run(input));
    let bound = base + PER_BYTE * input.len();
    assert!(peak <= bound, "{name}: {peak} bytes of memory for {} of input; {bound} are allowed", input.len());
}

/// Runs a target over its seeds, `fuzz/seeds/<name>/*`, and over mutations of them that are the same each time.
pub fn slice(target: &Target) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/seeds").join(target.0);
    let mut paths: Vec<_> =
        fs::read_dir(&folder).into_iter().flatten().filter_map(|entry| Some(entry.ok()?.path())).collect();
    paths.sort();
    let seeds: Vec<Vec<u8>> = paths.iter().filter_map(|path| fs::read(path).ok()).collect();
    assert!(!seeds.is_empty(), "no seeds in {}", folder.display());
    let mut mutator = Mutator::new(1);
    let mutated = (0..ROUNDS).map(|_| mutator.mutate(&seeds));
    for input in seeds.iter().cloned().chain(mutated) {
        if let Err(fault) = catch_unwind(AssertUnwindSafe(|| check(target, &input))) {
            let kept = std::env::temp_dir().join(format!("{}.input", target.0));
            let _ = fs::write(&kept, &input);
            eprintln!("the input is kept in {}", kept.display());
            resume_unwind(fault);
        }
    }
}
