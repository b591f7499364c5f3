//! Charts as PNG: the SVG, drawn with an embedded font, so that the same chart has the same bytes on every server.

use std::sync::{Arc, OnceLock};

use resvg::tiny_skia::{Pixmap, Transform};
use resvg::usvg::fontdb::Database;
use resvg::usvg::{Options, Tree};
use tokio::sync::Semaphore;

use crate::process::bounded_work;

/// Characters of Latin, Greek and Cyrillic. A character that the font lacks is not drawn; the table of the chart has it.
const FONT: &[u8] = include_bytes!("../../fonts/DejaVuSans.ttf");
const FAMILY: &str = "DejaVu Sans";
/// Pixels of the PNG per unit of the SVG.
const SCALE: u16 = 2;
/// Maximum width and height of a PNG in pixels.
const SIDE_MAX: u32 = 4_096;
/// Maximum number of charts that are drawn at once, because each uses a processor and some megabytes.
const DRAWN_MAX: usize = 2;

/// Draws charts outside of the threads that serve requests.
#[derive(Debug)]
pub(crate) struct PictureDrawer {
    turns: Arc<Semaphore>,
}

/// A chart that cannot be drawn.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PictureError {
    #[error("the chart is not valid SVG")]
    Svg(#[from] resvg::usvg::Error),
    #[error("the chart has more than {SIDE_MAX} pixels in one direction")]
    Size,
    #[error("the pixels cannot be written as PNG")]
    Png,
    #[error("the drawing was aborted")]
    Aborted(#[from] tokio::task::JoinError),
}

impl Default for PictureDrawer {
    fn default() -> Self {
        Self { turns: Arc::new(Semaphore::new(DRAWN_MAX)) }
    }
}

impl PictureDrawer {
    /// Draws an SVG document. Waits while other charts are drawn.
    ///
    /// # Errors
    /// [`PictureError`].
    pub(crate) async fn png(&self, svg: String) -> Result<Vec<u8>, PictureError> {
        bounded_work::run(&self.turns, move || draw(&svg)).await?
    }
}

fn draw(svg: &str) -> Result<Vec<u8>, PictureError> {
    let options = Options { fontdb: fonts(), font_family: FAMILY.to_owned(), ..Options::default() };
    let tree = Tree::from_str(svg, &options)?;
    let size = tree.size().to_int_size();
    let width = size.width() * u32::from(SCALE);
    let height = size.height() * u32::from(SCALE);
    if width > SIDE_MAX || height > SIDE_MAX {
        return Err(PictureError::Size);
    }
    let mut pixels = Pixmap::new(width, height).ok_or(PictureError::Size)?;
    let scale = f32::from(SCALE);
    resvg::render(&tree, Transform::from_scale(scale, scale), &mut pixels.as_mut());
    pixels.encode_png().map_err(|_| PictureError::Png)
}

/// Returns the embedded font, which is read once.
fn fonts() -> Arc<Database> {
    static FONTS: OnceLock<Arc<Database>> = OnceLock::new();
    let read = || {
        let mut fonts = Database::new();
        fonts.load_font_data(FONT.to_vec());
        fonts.set_sans_serif_family(FAMILY);
        Arc::new(fonts)
    };
    FONTS.get_or_init(read).clone()
}

#[cfg(test)]
mod tests {
    use insights::charts::{ChartKind, ChartTheme, draw as chart};

    use super::*;

    #[tokio::test]
    async fn the_same_chart_has_the_same_bytes_and_texts_are_drawn() {
        let brief = serde_json::from_str(include_str!("../../../../examples/insights/brief_test.json")).unwrap();
        let drawer = PictureDrawer::default();
        for kind in ChartKind::ALL {
            let svg = chart(kind, &brief, ChartTheme::Dark).svg;
            let png = drawer.png(svg.clone()).await.unwrap();
            assert_eq!(png, drawer.png(svg.clone()).await.unwrap());
            let pixels = Pixmap::decode_png(&png).unwrap();
            assert_eq!((pixels.width(), pixels.height() % 2), (1_280, 0));
            // Without its texts, the chart has other pixels.
            let mute = svg.replace("<text", "<desc").replace("</text", "</desc");
            assert_ne!(png, drawer.png(mute).await.unwrap());
        }
    }

    #[test]
    fn what_is_no_chart_is_refused() {
        assert!(matches!(draw("<svg"), Err(PictureError::Svg(_))));
        let wide = "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"5000\" height=\"10\"/>";
        assert!(matches!(draw(wide), Err(PictureError::Size)));
    }
}
