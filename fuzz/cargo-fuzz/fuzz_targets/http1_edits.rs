#![no_main]
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| (fuzz::targets::named("http1_edits").run)(bytes));
