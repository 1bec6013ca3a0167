//! Figures in pixels, drawn by resvg from the same SVG: the same bytes on every machine.

use std::io;

use resvg::tiny_skia::{Pixmap, Transform};

use super::shapes::shapes;

/// Pixels a side at most: 400 MB of them.
const MOST_PIXELS: u32 = 10_000;

/// An SVG as PNG, `scale` pixels to one of its own.
///
/// # Errors
/// A picture too large for its pixels.
pub(super) fn png(svg: &str, scale: f32) -> io::Result<Vec<u8>> {
    let tree = shapes(svg)?;
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
