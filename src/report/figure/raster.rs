//! Figures in pixels, drawn by resvg from the same SVG with a font of ours: the same bytes on every machine.
//!
//! The font is DejaVu Sans (fonts/LICENSE), cut to Latin, Greek, Cyrillic, Hebrew, Arabic and the signs of figures; other
//! scripts come out as boxes here and right in SVG, where the reader's own fonts draw them.

use std::io;
use std::sync::Arc;

use resvg::tiny_skia::{Pixmap, Transform};
use resvg::usvg::{Options, Tree, fontdb};

const FONT: &[u8] = include_bytes!("fonts/DejaVuSans.ttf");

/// Pixels a side at most: 400 MB of them.
const MOST_PIXELS: u32 = 10_000;

/// An SVG as PNG, `scale` pixels to one of its own.
///
/// # Errors
/// A picture too large for its pixels.
pub(super) fn png(svg: &str, scale: f32) -> io::Result<Vec<u8>> {
    let mut fonts = fontdb::Database::new();
    fonts.load_font_data(FONT.to_vec());
    fonts.set_sans_serif_family("DejaVu Sans");
    let options =
        Options { font_family: "DejaVu Sans".to_owned(), fontdb: Arc::new(fonts), ..Options::default() };
    // Its style sheet is about the screens of readers; the colours stand at the marks.
    let tree = Tree::from_str(&without_style(svg), &options).map_err(io::Error::other)?;
    let size = tree
        .size()
        .to_int_size()
        .scale_by(scale)
        .filter(|size| size.width().max(size.height()) <= MOST_PIXELS);
    let pixmap = size.and_then(|size| Pixmap::new(size.width(), size.height()));
    let mut pixmap =
        pixmap.ok_or_else(|| io::Error::other("the picture is too large for pixels; .svg is not"))?;
    resvg::render(&tree, Transform::from_scale(scale, scale), &mut pixmap.as_mut());
    pixmap.encode_png().map_err(io::Error::other)
}

fn without_style(svg: &str) -> String {
    match (svg.find("<style>"), svg.find("</style>")) {
        (Some(start), Some(end)) if start < end => {
            format!("{}{}", &svg[..start], &svg[end + "</style>".len()..])
        }
        _ => svg.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SVG: &str = "<svg xmlns='http://www.w3.org/2000/svg' width='40' height='20'><style>.a{fill:#0f0}</style>\
         <rect width='40' height='20' fill='#ffffff'/><text x='2' y='15' font-size='14' font-family='no such, sans-serif' \
         class='a' fill='#000000'>r0c0</text></svg>";

    #[test]
    fn pictures_in_pixels_have_their_text_and_the_same_bytes_every_time() {
        let bytes = png(SVG, 2.0).expect("drawn");
        assert_eq!(bytes, png(SVG, 2.0).expect("drawn"));
        let drawn = Pixmap::decode_png(&bytes).expect("a PNG");
        assert_eq!((drawn.width(), drawn.height()), (80, 40));
        let dark = drawn.pixels().iter().filter(|pixel| pixel.red() < 100).count();
        // Four letters of 14 units: some hundred pixels, and no green ones.
        assert!((100..1200).contains(&dark), "{dark}");
        assert!(drawn.pixels().iter().all(|pixel| pixel.green() == pixel.red()));
    }

    #[test]
    fn what_is_too_large_is_told() {
        let large = "<svg xmlns='http://www.w3.org/2000/svg' width='8000' height='8000'></svg>";
        assert!(png(large, 3.0).is_err());
    }
}
