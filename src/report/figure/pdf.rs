//! Figures as PDF, drawn by krilla from the same SVG: one page as large as the figure, real text, the same bytes every time.

use std::io;

use krilla::Document;
use krilla::geom::Size;
use krilla::metadata::Metadata;
use krilla::page::PageSettings;
use krilla_svg::{SurfaceExt, SvgSettings};

use super::shapes::shapes;

/// Points of a pixel: 72 and 96 to the inch.
const POINTS: f32 = 0.75;

/// An SVG as a PDF of one page.
///
/// # Errors
/// What cannot be drawn.
pub(super) fn pdf(svg: &str, title: &str) -> io::Result<Vec<u8>> {
    let tree = shapes(svg)?;
    let (width, height) = (tree.size().width() * POINTS, tree.size().height() * POINTS);
    let too_large = || io::Error::other("the picture is too large for a page");
    let size = Size::from_wh(width, height).ok_or_else(too_large)?;
    let settings = PageSettings::from_wh(width, height).ok_or_else(too_large)?;
    let mut document = Document::new();
    // No date: the same figure is the same bytes.
    document.set_metadata(Metadata::new().title(title.to_owned()));
    let mut page = document.start_page_with(settings);
    let mut surface = page.surface();
    let drawn = surface.draw_svg(&tree, size, SvgSettings::default());
    surface.finish();
    page.finish();
    drawn.ok_or_else(|| io::Error::other("the picture cannot be drawn as PDF"))?;
    document.finish().map_err(|error| io::Error::other(format!("{error:?}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pictures_as_pdf_are_a_page_of_their_size_and_the_same_bytes_every_time() {
        let svg = "<svg xmlns='http://www.w3.org/2000/svg' width='400' height='200'><style>.a{fill:#0f0}</style>\
             <rect width='400' height='200' fill='#ffffff'/><text x='2' y='15' font-size='14' fill='#000000'>r0c0</text></svg>";
        let bytes = pdf(svg, "Values <of> slots").expect("drawn");
        assert!(bytes.starts_with(b"%PDF-") && bytes == pdf(svg, "Values <of> slots").expect("drawn"));
        let text = String::from_utf8_lossy(&bytes);
        assert!(text.contains("/MediaBox[0 0 300 150]"), "{text}");
        assert!(text.contains("/Font"), "text is text, not outlines");
        assert!(!text.contains("CreationDate"));
    }
}
