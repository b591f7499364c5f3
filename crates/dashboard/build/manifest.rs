//! The list of the dashboard's files: a table that its build writes, and the Rust source that embeds the files.

use std::fmt::Write;
use std::path::Path;

/// One line of the list.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Entry<'a> {
    /// The path of the file in the folder, with slashes.
    pub(crate) path: &'a str,
    pub(crate) media_type: &'a str,
    /// The hash of the content, without quotes.
    pub(crate) hash: &'a str,
    /// Whether the folder contains the file compressed by Brotli and by gzip.
    pub(crate) is_compressed: bool,
    /// The CSP hashes of the inline scripts.
    pub(crate) scripts: Vec<&'a str>,
}

/// Reads a line: path, media type, hash, `compressed` or `plain`, and the hashes of scripts separated by spaces.
/// Separators are tabs.
pub(crate) fn entry(line: &str) -> Option<Entry<'_>> {
    let mut fields = line.split('\t');
    let path = fields.next()?;
    let media_type = fields.next()?;
    let hash = fields.next()?;
    let is_compressed = match fields.next()? {
        "compressed" => true,
        "plain" => false,
        _ => return None,
    };
    let scripts: Vec<&str> = fields.next()?.split(' ').filter(|script| !script.is_empty()).collect();
    let is_inside = !path.is_empty() && !path.split('/').any(|part| part.is_empty() || part == "..");
    let is_complete = fields.next().is_none() && is_inside && !media_type.is_empty() && !hash.is_empty();
    is_complete.then_some(Entry { path, media_type, hash, is_compressed, scripts })
}

/// Returns an expression of the type `&[File]`, sorted by path.
///
/// # Errors
/// Returns a line that is no entry.
pub(crate) fn source(folder: &Path, manifest: &str) -> Result<String, String> {
    let mut entries = manifest.lines().map(|line| entry(line).ok_or(line)).collect::<Result<Vec<_>, _>>()?;
    entries.sort_by(|a, b| a.path.cmp(b.path));
    let mut source = String::from("&[\n");
    for Entry { path, media_type, hash, is_compressed, scripts } in entries {
        let included = |ending: &str| format!("include_bytes!({:?})", folder.join(format!("{path}{ending}")));
        let coded =
            |ending: &str| if is_compressed { format!("Some({})", included(ending)) } else { "None".to_owned() };
        let plain = included("");
        let br = coded(".br");
        let gzip = coded(".gz");
        // Writing to a `String` cannot fail.
        let _ = writeln!(
            source,
            "File {{ path: {path:?}, media_type: {media_type:?}, hash: {hash:?}, scripts: &{scripts:?}, plain: {plain}, \
             br: {br}, gzip: {gzip} }},"
        );
    }
    source.push_str("]\n");
    Ok(source)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_becomes_sorted_source() {
        let list = "b/page.html\ttext/html\tff\tcompressed\tsha256-a= sha256-b=\na.woff2\tfont/woff2\tee\tplain\t\n";
        let source = source(Path::new("/out"), list).unwrap();
        let lines: Vec<_> = source.lines().collect();
        assert_eq!(lines.len(), 4, "{source}");
        assert!(lines[1].contains(r#"path: "a.woff2""#) && lines[1].contains("br: None, gzip: None"), "{source}");
        for part in [
            r#"scripts: &["sha256-a=", "sha256-b="]"#,
            r#"plain: include_bytes!("/out/b/page.html")"#,
            r#"br: Some(include_bytes!("/out/b/page.html.br"))"#,
            r#"gzip: Some(include_bytes!("/out/b/page.html.gz"))"#,
        ] {
            assert!(lines[2].contains(part), "{part}: {source}");
        }
    }

    #[test]
    fn no_list_is_an_empty_slice() {
        assert_eq!(source(Path::new("/out"), "").unwrap(), "&[\n]\n");
    }

    #[test]
    fn incomplete_lines_and_paths_outside_are_refused() {
        for line in [
            "",
            "a\tb\tc\tplain",
            "a\tb\tc\tzip\t",
            "a\tb\t\tplain\t",
            "../a\tb\tc\tplain\t",
            "/a\tb\tc\tplain\t",
            "a\tb\tc\tplain\t\tmore",
        ] {
            assert_eq!(entry(line), None, "{line}");
        }
        assert_eq!(source(Path::new("/out"), "a\tb\n"), Err("a\tb".to_owned()));
    }
}
