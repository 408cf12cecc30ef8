//! The picture as PNG: renders the SVG at twice its size with the fonts of the machine. It fails where there is no font.

use std::sync::Arc;

use resvg::tiny_skia::{Pixmap, Transform};
use resvg::usvg::fontdb::{Database, Family, Query};
use resvg::usvg::{Options, Tree};

/// The image's pixels for one px of the SVG.
const SCALE: f32 = 2.0;

/// Why a picture cannot be drawn as PNG.
#[derive(Debug, thiserror::Error)]
pub enum PlotError {
    /// No font is installed, so the picture would have no text.
    #[error("no font is installed, so a PNG would have no text; install fonts-dejavu-core, or write an .svg")]
    NoFont,
    /// The picture is not valid SVG.
    #[error("the picture cannot be read as SVG: {0}")]
    Svg(#[from] resvg::usvg::Error),
    /// The picture is larger than an image can be.
    #[error("the picture is too large for a PNG ({width} x {height} px); show fewer labels, or write an .svg")]
    TooLarge {
        /// Its width in px.
        width: f32,
        /// Its height in px.
        height: f32,
    },
    /// The PNG encoder failed.
    #[error("the picture cannot be written as PNG: {0}")]
    Png(String),
}

/// Renders `svg` as a PNG at twice its size.
pub fn png(svg: &str) -> Result<Vec<u8>, PlotError> {
    let mut fonts = Database::new();
    fonts.load_system_fonts();
    rasterise(svg, fonts)
}

fn rasterise(svg: &str, mut fonts: Database) -> Result<Vec<u8>, PlotError> {
    let Some(any) = fonts.faces().next().and_then(|face| face.families.first()).map(|(name, _)| name.clone()) else {
        return Err(PlotError::NoFont);
    };
    // The SVG falls back to sans-serif, which has to be a font that is installed.
    let named = ["DejaVu Sans", "Helvetica", "Arial", "Liberation Sans", "Noto Sans"];
    let is_there = |name: &&&str| fonts.query(&Query { families: &[Family::Name(name)], ..Query::default() }).is_some();
    let sans_serif = named.iter().find(is_there).map_or(any, |name| (*name).to_owned());
    fonts.set_sans_serif_family(sans_serif);
    let tree = Tree::from_str(svg, &Options { fontdb: Arc::new(fonts), ..Options::default() })?;
    let (width, height) = (tree.size().width() * SCALE, tree.size().height() * SCALE);
    let mut pixmap = Pixmap::new(width.ceil() as u32, height.ceil() as u32).ok_or(PlotError::TooLarge { width, height })?;
    resvg::render(&tree, Transform::from_scale(SCALE, SCALE), &mut pixmap.as_mut());
    pixmap.encode_png().map_err(|error| PlotError::Png(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_font_it_says_what_to_install() {
        let error = rasterise(r#"<svg xmlns="http://www.w3.org/2000/svg" width="4" height="4"/>"#, Database::new());
        insta::assert_snapshot!(error.unwrap_err(), @"no font is installed, so a PNG would have no text; install fonts-dejavu-core, or write an .svg");
    }
}
