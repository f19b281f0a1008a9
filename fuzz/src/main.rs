//! Every target in one binary: `MINGYING_FUZZ=dimse_pdu mingying-fuzz CORPUS -max_total_time=60`; further arguments are
//! libFuzzer's. Without the variable it lists the targets and ends.

#![no_main]

use libfuzzer_sys::fuzz_target;
use mingying_hostile::Target;
use std::sync::OnceLock;

const CRATES: [&[Target]; 7] = [
    mingying_archive::fuzz::TARGETS,
    mingying_blob::fuzz::TARGETS,
    mingying_dicom::fuzz::TARGETS,
    mingying_dicomweb::fuzz::TARGETS,
    mingying_dimse::fuzz::TARGETS,
    mingying_hl7::fuzz::TARGETS,
    mingying_mllp::fuzz::TARGETS,
];

static TARGET: OnceLock<Target> = OnceLock::new();

fuzz_target!(
    init: {
        let name = std::env::var("MINGYING_FUZZ").unwrap_or_default();
        match CRATES.iter().copied().flatten().find(|target| target.0 == name) {
            Some(target) => _ = TARGET.set(*target),
            None => {
                CRATES.iter().copied().flatten().for_each(|target| println!("{}", target.0));
                std::process::exit(i32::from(!name.is_empty()));
            }
        }
    },
    |input: &[u8]| {
        if let Some(target) = TARGET.get() {
            mingying_hostile::check(target, input);
        }
    }
);
