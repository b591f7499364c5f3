//! The embedded fonts. The first one that has a character prints it.

use std::sync::LazyLock;

use harfrust::{FontRef, ShaperData};
use krilla::text::Font;
use skrifa::MetadataProvider as _;
use skrifa::charmap::Charmap;

use super::error::PdfError;

/// The character that replaces one that no font has.
pub(super) const REPLACEMENT: char = '\u{fffd}';

macro_rules! embedded {
    ($($name:literal)*) => { [$(include_bytes!(concat!("../../../fonts/", $name)).as_slice()),*] };
}

/// The fonts with the scripts of Europe.
const REGULAR: &[u8] = include_bytes!("../../../fonts/NotoSans-Regular.ttf");
const BOLD: &[u8] = include_bytes!("../../../fonts/NotoSans-Bold.ttf");
/// The fonts with one script each; that of East Asia, which also has Latin letters of double width, is last.
const OTHERS: [&[u8]; 10] = embedded!(
    "NotoSansArabic-Regular.ttf" "NotoSansHebrew-Regular.ttf" "NotoSansDevanagari-Regular.ttf"
    "NotoSansBengali-Regular.ttf" "NotoSansTamil-Regular.ttf" "NotoSansThai-Regular.ttf" "NotoSansJavanese-Regular.ttf"
    "NotoSansGeorgian-Regular.ttf" "NotoSansArmenian-Regular.ttf" "DroidSansFallback.ttf"
);

static FONTS: LazyLock<Option<Fonts>> = LazyLock::new(Fonts::read);

/// The weight of a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Weight {
    /// The weight of ordinary text.
    Regular,
    /// Emphasized text. Scripts outside of Europe have no bold font.
    Bold,
}

/// A font that the binary contains.
pub(super) struct FontFace {
    font: FontRef<'static>,
    characters: Charmap<'static>,
    shaping: ShaperData,
    embedded: Font,
}

/// The fonts that the binary contains.
pub(super) struct Fonts {
    regular: FontFace,
    bold: FontFace,
    others: Vec<FontFace>,
}

impl FontFace {
    fn read(bytes: &'static [u8]) -> Option<Self> {
        let font = FontRef::from_index(bytes, 0).ok()?;
        let embedded = Font::new(bytes.into(), 0)?;
        Some(Self { characters: font.charmap(), shaping: ShaperData::new(&font), embedded, font })
    }

    /// Whether the font has a glyph for a character.
    pub(super) fn has(&self, character: char) -> bool {
        self.characters.map(character).is_some_and(|glyph| glyph.to_u32() != 0)
    }

    /// Returns the font as the writer of PDF files embeds it.
    pub(super) const fn embedded(&self) -> &Font {
        &self.embedded
    }

    /// Returns the shaper of the font.
    pub(super) fn shaper(&self) -> harfrust::Shaper<'_> {
        self.shaping.shaper(&self.font).build()
    }
}

impl Fonts {
    /// Returns the fonts, which are read once.
    ///
    /// # Errors
    /// [`PdfError::Fonts`] if one of them is unreadable.
    pub(super) fn embedded() -> Result<&'static Self, PdfError> {
        FONTS.as_ref().ok_or(PdfError::Fonts)
    }

    fn read() -> Option<Self> {
        let others = OTHERS.into_iter().map(FontFace::read).collect::<Option<_>>()?;
        Some(Self { regular: FontFace::read(REGULAR)?, bold: FontFace::read(BOLD)?, others })
    }

    /// Returns the first font that has a character, or the font of the weight.
    pub(super) fn face(&self, character: char, weight: Weight) -> &FontFace {
        let first = self.first(weight);
        let has = |face: &&FontFace| face.has(character);
        Some(first).into_iter().chain(&self.others).find(has).unwrap_or(first)
    }

    /// Returns a text as it can be printed: without control characters, and with a replacement of characters that no
    /// font has.
    pub(super) fn printable(&self, text: &str) -> String {
        let printed = |character: char| {
            let is_known = self.face(character, Weight::Regular).has(character);
            match character {
                character if character.is_control() => None,
                character if is_known => Some(character),
                character if is_ignorable(character) => None,
                _ => Some(REPLACEMENT),
            }
        };
        text.chars().filter_map(printed).collect()
    }

    const fn first(&self, weight: Weight) -> &FontFace {
        match weight {
            Weight::Regular => &self.regular,
            Weight::Bold => &self.bold,
        }
    }
}

/// Whether a character only changes how others are printed: joiners, directions and variants.
const fn is_ignorable(character: char) -> bool {
    matches!(character, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}')
}
