//! Images, files and sound of a Gemini call.

use std::borrow::Cow;

use base64ct::{Base64, Encoding as _};

use super::fields;
use crate::translate::call::{File, Image, Part, Source};
use crate::translate::request::json::{Node, Object, Outcome, refused};
use crate::translate::request::notes::Notes;

/// Parts about tools that Google runs.
const HOSTED: [&str; 4] = ["executableCode", "codeExecutionResult", "toolCall", "toolResponse"];
const PDF: &str = "application/pdf";

/// Reads a part that is neither text nor a call of a function; `None` if it is left out.
pub(super) fn data<'a>(node: &Node<'a>, part: &Object<'a>, notes: &mut Notes<'_>) -> Outcome<Option<Part<'a>>> {
    if let Some(file) = file(part)? {
        return Ok(Some(file));
    }
    if HOSTED.iter().any(|name| fields::get(part, name).is_some()) {
        notes.drop(node.path.clone());
        return Ok(None);
    }
    // A signature may be alone.
    if node.is_empty() || fields::get(part, "thoughtSignature").is_some() {
        return Ok(None);
    }
    Err(node.refused("must have text, inlineData, fileData, functionCall or functionResponse"))
}

/// Reads data or a URL; `None` if the part has neither.
pub(super) fn file<'a>(part: &Object<'a>) -> Outcome<Option<Part<'a>>> {
    if let Some(inline) = fields::object(part, "inlineData")? {
        let media_type = media_type(&inline)?;
        let data = standard(inline.required_text("data")?);
        if media_type.starts_with("text/") {
            let text = Base64::decode_vec(&data).ok().and_then(|bytes| String::from_utf8(bytes).ok());
            let text = text.ok_or_else(|| refused(&inline.field_path("data"), "must be UTF-8 text in base64"))?;
            return Ok(Some(Part::text(text)));
        }
        return image_or_file(&inline, &media_type, |media_type| Source::Base64 { media_type, data }).map(Some);
    }
    let Some(file) = fields::object(part, "fileData")? else { return Ok(None) };
    let uri = fields::text(&file, "fileUri")?.ok_or_else(|| refused(&file.field_path("fileUri"), "is missing"))?;
    let is_of_google = uri.contains("generativelanguage.googleapis.com/");
    if is_of_google || !(uri.starts_with("https://") || uri.starts_with("http://")) {
        let advice = "belongs to Google, and this model is served by another provider: send the data itself";
        return Err(refused(&file.field_path("fileUri"), advice));
    }
    let media_type = media_type(&file)?;
    if !media_type.starts_with("image/") && media_type != PDF {
        return Err(refused(
            &file.field_path("mimeType"),
            "must be an image or a PDF, where a URL names it: send the data itself",
        ));
    }
    image_or_file(&file, &media_type, |_| Source::Url(uri)).map(Some)
}

fn image_or_file<'a>(
    object: &Object<'a>,
    media_type: &str,
    source: impl FnOnce(Cow<'a, str>) -> Source<'a>,
) -> Outcome<Part<'a>> {
    let path = object.path.clone();
    if media_type.starts_with("video/") {
        return Err(refused(&path, "is a video, which this model's provider does not take"));
    }
    let source = source(media_type.to_owned().into());
    Ok(if media_type.starts_with("image/") {
        Part::Image(Box::new(Image { source, detail: None, path }))
    } else {
        Part::File(Box::new(File { source, name: fields::text(object, "displayName")?, path }))
    })
}

/// The media type without its parameters, in the spelling that providers take.
fn media_type(object: &Object<'_>) -> Outcome<String> {
    let written = fields::text(object, "mimeType")?;
    let written =
        written.ok_or_else(|| refused(&object.field_path("mimeType"), "is missing: name the type of the file"))?;
    let plain = written.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    Ok(if plain == "image/jpg" { "image/jpeg".to_owned() } else { plain })
}

/// Base64 in the standard alphabet: Google's SDK for Python (google-genai, 3.3) writes that of URLs.
fn standard(data: Cow<'_, str>) -> Cow<'_, str> {
    if data.contains(['-', '_']) { data.replace('-', "+").replace('_', "/").into() } else { data }
}
