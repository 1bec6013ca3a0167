//! The SVG of a figure as shapes with a font of ours: what pixels and PDF are drawn from, the same on every machine.
//!
//! The font is DejaVu Sans (fonts/LICENSE), cut to Latin, Greek, Cyrillic, Hebrew, Arabic and the signs of figures; other
//! scripts come out as boxes here and right in SVG, where the reader's own fonts draw them.

use std::io;
use std::sync::Arc;

use resvg::usvg::{Options, Tree, fontdb};

const FONT: &[u8] = include_bytes!("fonts/DejaVuSans.ttf");

/// The shapes of an SVG.
///
/// # Errors
/// What is no SVG.
pub(super) fn shapes(svg: &str) -> io::Result<Tree> {
    let mut fonts = fontdb::Database::new();
    fonts.load_font_data(FONT.to_vec());
    fonts.set_sans_serif_family("DejaVu Sans");
    let options =
        Options { font_family: "DejaVu Sans".to_owned(), fontdb: Arc::new(fonts), ..Options::default() };
    // Its style sheet is about the screens of readers; the colours stand at the marks.
    Tree::from_str(&without_style(svg), &options).map_err(io::Error::other)
}

fn without_style(svg: &str) -> String {
    match (svg.find("<style>"), svg.find("</style>")) {
        (Some(start), Some(end)) if start < end => {
            format!("{}{}", &svg[..start], &svg[end + "</style>".len()..])
        }
        _ => svg.to_owned(),
    }
}
