//! An SVG document under construction: shapes and texts in, one well-formed document out.
//!
//! It knows nothing of sound. It shortens names to the space that they have, and lets only characters in that XML allows.

use std::fmt::{self, Write};

use super::{LEFT, RIGHT, WIDTH, colour};

/// The part of a text that stands at its x.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Anchor {
    /// Its beginning.
    Start,
    /// Its middle.
    Middle,
    /// Its end.
    End,
}

/// The look of a text.
#[derive(Debug, Clone, Copy)]
pub struct TextStyle {
    size: f64,
    colour: &'static str,
    is_bold: bool,
    anchor: Anchor,
}

impl TextStyle {
    /// A regular text that begins at its x.
    pub fn new(size: f64, colour: &'static str) -> Self {
        Self { size, colour, is_bold: false, anchor: Anchor::Start }
    }

    /// The same in bold.
    pub fn bold(self) -> Self {
        Self { is_bold: true, ..self }
    }

    /// The same at another anchor.
    pub fn at(self, anchor: Anchor) -> Self {
        Self { anchor, ..self }
    }
}

/// The document.
#[derive(Debug, Default)]
pub struct Canvas {
    body: String,
}

impl Canvas {
    /// Adds a text with its baseline at `y`.
    pub fn text(&mut self, x: f64, y: f64, text: &str, style: &TextStyle) {
        let anchor = match style.anchor {
            Anchor::Start => "",
            Anchor::Middle => r#" text-anchor="middle""#,
            Anchor::End => r#" text-anchor="end""#,
        };
        let weight = if style.is_bold { r#" font-weight="bold""# } else { "" };
        let (size, fill, text) = (Px(style.size), style.colour, Escaped(text));
        self.push(format_args!(
            r#"<text x="{}" y="{}" font-size="{size}" fill="{fill}"{weight}{anchor}>{text}</text>"#,
            Px(x),
            Px(y)
        ));
    }

    /// Adds a straight line.
    pub fn line(&mut self, from: (f64, f64), to: (f64, f64), colour: &str, width: f64) {
        self.stroke(from, to, format_args!(r#"stroke="{colour}" stroke-width="{}""#, Px(width)));
    }

    /// Adds a dashed straight line; `dashes` is a `stroke-dasharray` of SVG.
    pub fn broken_line(&mut self, from: (f64, f64), to: (f64, f64), colour: &str, dashes: &str) {
        self.stroke(from, to, format_args!(r#"stroke="{colour}" stroke-width="1.2" stroke-dasharray="{dashes}""#));
    }

    fn stroke(&mut self, from: (f64, f64), to: (f64, f64), look: fmt::Arguments) {
        let (x1, y1, x2, y2) = (Px(from.0), Px(from.1), Px(to.0), Px(to.1));
        self.push(format_args!(r#"<line x1="{x1}" y1="{y1}" x2="{x2}" y2="{y2}" {look}/>"#));
    }

    /// Adds a filled rectangle with round corners.
    pub fn rect(&mut self, at: (f64, f64), size: (f64, f64), fill: &str, radius: f64) {
        let (x, y, width, height, radius) = (Px(at.0), Px(at.1), Px(size.0), Px(size.1), Px(radius));
        self.push(format_args!(r#"<rect x="{x}" y="{y}" width="{width}" height="{height}" rx="{radius}" fill="{fill}"/>"#));
    }

    /// Adds any SVG element.
    pub fn push(&mut self, element: fmt::Arguments) {
        // Writing to a string cannot fail.
        let _ = self.body.write_fmt(element);
        self.body.push('\n');
    }

    /// Clips the drawing of `draw` at the ends of the time axis.
    pub fn clipped(&mut self, draw: impl FnOnce(&mut Self)) {
        self.group(format_args!(r##"clip-path="url(#span)""##), draw);
    }

    /// Clips the drawing of `draw` at the ends of the time axis, and makes it translucent as a whole: overlaps are no denser.
    pub fn translucent(&mut self, opacity: f64, draw: impl FnOnce(&mut Self)) {
        self.group(format_args!(r##"clip-path="url(#span)" opacity="{opacity}""##), draw);
    }

    fn group(&mut self, look: fmt::Arguments, draw: impl FnOnce(&mut Self)) {
        self.push(format_args!("<g {look}>"));
        draw(self);
        self.push(format_args!("</g>"));
    }

    /// The finished document, with this height.
    pub fn finish(self, title: &str, height: f64) -> String {
        let (width, height, title, page) = (Px(WIDTH), Px(height.ceil()), Escaped(title), colour::PAGE);
        let (left, span, body) = (Px(LEFT), Px(RIGHT - LEFT), self.body);
        format!(
            r#"<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}" font-family="DejaVu Sans, Helvetica, Arial, sans-serif">
<title>{title}</title>
<defs><clipPath id="span"><rect x="{left}" y="0" width="{span}" height="{height}"/></clipPath></defs>
<rect width="{width}" height="{height}" fill="{page}"/>
{body}</svg>
"#
        )
    }
}

/// A length in px, written with two decimals at most, so that the document stays small.
#[derive(Debug, Clone, Copy)]
pub struct Px(pub f64);

impl fmt::Display for Px {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let rounded = (self.0 * 100.0).round() / 100.0;
        // NaN and infinity are not SVG, and "-0" would be odd.
        if rounded.is_finite() && rounded != 0.0 { write!(f, "{rounded}") } else { f.write_str("0") }
    }
}

/// A text with XML's own characters escaped; characters that XML forbids or that reorder the line are replaced.
struct Escaped<'a>(&'a str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        for c in self.0.chars() {
            match c {
                '&' => f.write_str("&amp;")?,
                '<' => f.write_str("&lt;")?,
                '>' => f.write_str("&gt;")?,
                '"' => f.write_str("&quot;")?,
                '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{fffe}' | '\u{ffff}' => f.write_char('\u{fffd}')?,
                c if c.is_control() => f.write_char('\u{fffd}')?,
                c => f.write_char(c)?,
            }
        }
        Ok(())
    }
}

/// The approximate width of a text, in px. It is that of DejaVu Sans, which is wider than the fonts that may stand in for it.
pub fn width(text: &str, style: &TextStyle) -> f64 {
    let em = |c: char| match c {
        'i' | 'j' | 'l' | '\'' => 0.28,
        'I' | ' ' | '.' | ',' | ':' | ';' | '|' | '/' => 0.33,
        'f' | 'r' | 't' | '-' | '(' | ')' | '[' | ']' | '!' => 0.4,
        'm' | 'M' | 'W' | '%' | '@' => 0.98,
        'w' | 'O' | 'Q' | '+' | '<' | '=' | '>' => 0.83,
        'A'..='Z' => 0.7,
        '\u{20}'..='\u{7e}' => 0.62,
        '\u{7f}'..='\u{10ff}' => 0.7,
        _ => 1.0,
    };
    let boldness = if style.is_bold { 1.12 } else { 1.0 };
    text.chars().map(em).sum::<f64>() * style.size * boldness
}

/// `text`, shortened with an ellipsis where it is wider than `max_width`.
pub fn fit(text: &str, max_width: f64, style: &TextStyle) -> String {
    if width(text, style) <= max_width {
        return text.to_owned();
    }
    let mut short = String::new();
    let mut left = max_width - width("…", style);
    for c in text.chars() {
        left -= width(c.encode_utf8(&mut [0; 4]), style);
        if left < 0.0 {
            break;
        }
        short.push(c);
    }
    short.truncate(short.trim_end().len());
    short + "…"
}

/// `text` broken at spaces into at most `max_lines` lines of at most `max_width`; lines that are too wide are shortened.
pub fn wrap(text: &str, max_width: f64, max_lines: usize, style: &TextStyle) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        let is_last = lines.len() == max_lines;
        match lines.last_mut() {
            Some(line) if is_last || width(&format!("{line} {word}"), style) <= max_width => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines.iter().map(|line| fit(line, max_width, style)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const STYLE: fn() -> TextStyle = || TextStyle::new(10.0, colour::INK);

    #[test]
    fn a_text_is_escaped_and_has_no_control_characters() {
        let escaped = Escaped("<b a=\"1\">&\u{1b}[31m\u{202e}\0\u{ffff}é耳").to_string();
        assert_eq!(escaped, "&lt;b a=&quot;1&quot;&gt;&amp;\u{fffd}[31m\u{fffd}\u{fffd}\u{fffd}é耳");
    }

    #[test]
    fn a_length_is_short_and_always_a_number() {
        let lengths = [12.0, 1.0 / 3.0, -0.001, f64::NAN, f64::INFINITY];
        assert_eq!(lengths.map(|length| Px(length).to_string()), ["12", "0.33", "0", "0", "0"]);
    }

    #[test]
    fn a_name_is_cut_where_its_space_ends_and_only_there() {
        let style = STYLE();
        assert_eq!(fit("Dog", 30.0, &style), "Dog");
        let cut = fit("Smoke detector, smoke alarm", 60.0, &style);
        assert!(cut.ends_with('…') && cut.starts_with("Smoke") && width(&cut, &style) <= 60.0, "{cut}");
    }

    #[test]
    fn a_name_is_broken_at_its_spaces_and_the_rest_is_in_the_last_line() {
        let style = STYLE();
        assert_eq!(wrap("Smoke detector, smoke alarm", 90.0, 3, &style), ["Smoke detector,", "smoke alarm"]);
        let two = wrap("a bb ccc dddd eeeee", 20.0, 2, &style);
        assert_eq!(two.len(), 2);
        assert!(two[1].ends_with('…'), "{two:?}");
        assert!(wrap("  ", 20.0, 2, &style).is_empty());
    }
}
