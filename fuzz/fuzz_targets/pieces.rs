#![no_main]
#![allow(missing_docs)]

use std::sync::LazyLock;

#[path = "../targets.rs"]
#[allow(dead_code)]
mod targets;

static TARGET: LazyLock<targets::Target> = LazyLock::new(|| targets::Target::new("pieces"));

libfuzzer_sys::fuzz_target!(|data: &[u8]| TARGET.run(data));
