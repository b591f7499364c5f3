#![no_main]
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| (fuzz::targets::named("translated_response").run)(bytes));
