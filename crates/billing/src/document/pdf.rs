//! A document as a PDF file on A4 pages, with embedded fonts.

mod error;
mod fonts;
mod layout;
mod line;
mod table;
mod wrapping;

use access::Timestamp;
use krilla::Document;
use krilla::color::luma;
use krilla::geom::{PathBuilder, Point, Rect};
use krilla::metadata::{DateTime, Metadata};
use krilla::page::PageSettings;
use krilla::paint::Fill;
use krilla::surface::Surface;

pub use self::error::PdfError;
use self::layout::{Ink, Mark, PAGE_HEIGHT, PAGE_WIDTH, pages};
use super::texts::DocumentTexts;

/// The thickness of a rule in points.
const RULE: f32 = 0.6;
const MICROS_PER_SECOND: u64 = 1_000_000;

/// Returns the document as a file. `made_at` is the time at which it got its number.
pub(super) fn file(of: &DocumentTexts, made_at: Option<Timestamp>) -> Result<Vec<u8>, PdfError> {
    let pages = pages(of)?;
    let mut document = Document::new();
    document.set_metadata(metadata(of, made_at));
    for marks in pages {
        let size = PageSettings::from_wh(PAGE_WIDTH, PAGE_HEIGHT).ok_or(PdfError::Geometry)?;
        let mut page = document.start_page_with(size);
        let mut surface = page.surface();
        for mark in marks {
            draw(&mut surface, &mark)?;
        }
        surface.finish();
        page.finish();
    }
    document.finish().map_err(|error| PdfError::Writing(error.to_string()))
}

/// Returns what a reader shows as the properties of the file. Its only time is that of the invoice, so that the bytes of an
/// invoice do not change.
fn metadata(of: &DocumentTexts, made_at: Option<Timestamp>) -> Metadata {
    let metadata = Metadata::new().title(of.title.clone()).language(of.language.code().to_owned());
    match made_at.and_then(date_time) {
        Some(at) => metadata.creation_date(at),
        None => metadata,
    }
}

fn date_time(at: Timestamp) -> Option<DateTime> {
    let date = at.day().civil();
    let seconds = at.0 / MICROS_PER_SECOND;
    let part = |value: u64| u8::try_from(value % 60).ok();
    Some(
        DateTime::new(u16::try_from(date.year).ok()?)
            .month(u8::try_from(date.month).ok()?)
            .day(u8::try_from(date.day).ok()?)
            .hour(u8::try_from(seconds / 3_600 % 24).ok()?)
            .minute(part(seconds / 60)?)
            .second(part(seconds)?)
            .utc_offset_hour(0)
            .utc_offset_minute(0),
    )
}

fn draw(surface: &mut Surface<'_>, mark: &Mark) -> Result<(), PdfError> {
    match mark {
        Mark::Rule { x, y, width } => {
            surface.set_fill(Some(filled(Ink::Rule)));
            let mut path = PathBuilder::new();
            path.push_rect(Rect::from_xywh(*x, *y, *width, RULE).ok_or(PdfError::Geometry)?);
            surface.draw_path(&path.finish().ok_or(PdfError::Geometry)?);
        }
        Mark::Text { x, y, size, ink, line } => {
            surface.set_fill(Some(filled(*ink)));
            let mut x = *x;
            for run in &line.runs {
                let font = run.face.embedded().clone();
                surface.draw_glyphs(Point::from_xy(x, *y), &run.glyphs, font, &run.text, *size, false);
                x += run.width * size;
            }
        }
    }
    Ok(())
}

fn filled(ink: Ink) -> Fill {
    let lightness = match ink {
        Ink::Text => 28,
        Ink::Label => 87,
        Ink::Rule => 214,
    };
    Fill { paint: luma::Color::new(lightness).into(), ..Fill::default() }
}
