//! Images, files and sound in a message.

use super::super::parts::{Encoded, needs_data, url};
use crate::translate::call::{File, Image, Source};
use crate::translate::request::json::{ObjectWriter, refused};

/// The words for the resolution of an image.
const DETAILS: [&str; 3] = ["auto", "low", "high"];

pub(super) fn image_part(image: &Image<'_>) -> String {
    let mut inner = ObjectWriter::new();
    inner.text("url", &url(&image.source));
    match image.detail.as_deref() {
        // The word of Responses for the best that it has.
        Some("original") => _ = inner.text("detail", "high"),
        Some(detail) if DETAILS.contains(&detail) => _ = inner.text("detail", detail),
        Some(_) | None => {}
    }
    ObjectWriter::of_type("image_url").raw("image_url", &inner.finish()).finish()
}

pub(super) fn file_part(file: &File<'_>) -> Encoded {
    if matches!(file.source, Source::Url(_)) {
        return Err(needs_data(&file.path));
    }
    if let Source::Base64 { media_type, data } = &file.source
        && let Some(kind) = media_type.strip_prefix("audio/")
    {
        return sound_part(kind, data, &file.path);
    }
    let name = file.name.as_deref().unwrap_or("document.pdf");
    let inner = ObjectWriter::new().text("filename", name).text("file_data", &url(&file.source)).finish();
    Ok(ObjectWriter::of_type("file").raw("file", &inner).finish())
}

/// Sound in one of the two formats that the API has.
fn sound_part(kind: &str, data: &str, path: &str) -> Encoded {
    let format = match kind {
        "mp3" | "mpeg" => "mp3",
        "wav" | "wave" | "x-wav" => "wav",
        _ => return Err(refused(path, "must be MP3 or WAV: this model's provider takes no other sound")),
    };
    let inner = ObjectWriter::new().text("data", data).text("format", format).finish();
    Ok(ObjectWriter::of_type("input_audio").raw("input_audio", &inner).finish())
}
