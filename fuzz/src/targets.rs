//! The list of targets: name, function, and words for inputs.

pub mod body;
pub mod configuration;
pub mod endpoint;
pub mod env_file;
pub mod export;
pub mod http1;
pub mod json_edits;
pub mod key;
pub mod multipart;
pub mod origin;
pub mod price;
pub mod quantity;
pub mod route;
pub mod spool;
pub mod tap;
pub mod translate;

/// A property test of one parser of untrusted bytes.
#[derive(Debug)]
pub struct FuzzTarget {
    /// The name on the command line and of the folders in `corpus/` and `findings/`.
    pub name: &'static str,
    /// The test. It panics if a property is violated.
    pub run: fn(&[u8]),
    /// Words and signs from which inputs are made.
    pub words: &'static [&'static str],
    /// The maximum length of an input.
    pub bytes_max: usize,
}

const KIB: usize = 1024;

/// The list of all targets.
pub const ALL: &[FuzzTarget] = &[
    FuzzTarget { name: "api_key", run: key::api_key, words: key::WORDS, bytes_max: 256 },
    FuzzTarget {
        name: "configuration",
        run: configuration::configuration,
        words: configuration::WORDS,
        bytes_max: 16 * KIB,
    },
    FuzzTarget { name: "endpoint", run: endpoint::endpoint, words: endpoint::WORDS, bytes_max: 4 * KIB },
    FuzzTarget { name: "env_file", run: env_file::env_file, words: env_file::WORDS, bytes_max: 4 * KIB },
    FuzzTarget { name: "export", run: export::export, words: export::WORDS, bytes_max: 16 * KIB },
    FuzzTarget { name: "http1_chunked", run: http1::chunked, words: http1::CHUNKED_WORDS, bytes_max: 16 * KIB },
    FuzzTarget { name: "http1_edits", run: http1::edits, words: http1::REQUEST_WORDS, bytes_max: 8 * KIB },
    FuzzTarget { name: "http1_pipeline", run: http1::pipeline, words: &[], bytes_max: KIB },
    FuzzTarget { name: "http1_request", run: http1::request, words: http1::REQUEST_WORDS, bytes_max: 16 * KIB },
    FuzzTarget { name: "http1_response", run: http1::response, words: http1::RESPONSE_WORDS, bytes_max: 16 * KIB },
    FuzzTarget { name: "json_edits", run: json_edits::json_edits, words: json_edits::WORDS, bytes_max: 8 * KIB },
    FuzzTarget { name: "multipart", run: multipart::multipart, words: multipart::WORDS, bytes_max: 32 * KIB },
    FuzzTarget { name: "origin", run: origin::origin, words: origin::WORDS, bytes_max: 4 * KIB },
    FuzzTarget { name: "price", run: price::price, words: price::WORDS, bytes_max: 256 },
    FuzzTarget { name: "quantity", run: quantity::quantity, words: quantity::WORDS, bytes_max: 256 },
    FuzzTarget { name: "request_body", run: body::request_body, words: body::WORDS, bytes_max: 64 * KIB },
    FuzzTarget { name: "route", run: route::route, words: route::WORDS, bytes_max: 4 * KIB },
    FuzzTarget { name: "spool_folder", run: spool::folder, words: &[], bytes_max: 2 * KIB },
    FuzzTarget { name: "spool_records", run: spool::records, words: spool::WORDS, bytes_max: 16 * KIB },
    FuzzTarget { name: "tap", run: tap::tap, words: tap::WORDS, bytes_max: 160 * KIB },
    FuzzTarget {
        name: "translated_request",
        run: translate::request,
        words: translate::REQUEST_WORDS,
        bytes_max: 64 * KIB,
    },
    FuzzTarget {
        name: "translated_response",
        run: translate::response,
        words: translate::RESPONSE_WORDS,
        bytes_max: 64 * KIB,
    },
];

/// The target with this name.
#[must_use]
pub fn find(name: &str) -> Option<&'static FuzzTarget> {
    ALL.iter().find(|target| target.name == name)
}

/// The target with this name. It panics if the target does not exist.
#[must_use]
pub fn named(name: &str) -> &'static FuzzTarget {
    find(name).unwrap_or_else(|| panic!("no target is named `{name}`"))
}
